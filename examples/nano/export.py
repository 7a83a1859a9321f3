"""From a checkpoint to what other programs load.

    python export.py --run DIR [--weights FILE] --safetensors OUT_DIR     a Hugging Face folder, float32
    python export.py --run DIR [--weights FILE] --gguf FILE [--type q8_0|f16|f32]
    python export.py --run DIR --checkpoint FILE                          weights only, bf16, to go on from (train.py --weights)

The averaged weights (ema) of the run are taken, or with --weights those of a safetensors checkpoint.
"""
import argparse
import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file

import tokenizer
from model import G, S, Config, Nano, hf_names

TOP = {"embed_tokens": "token_embd", "norm": "output_norm", "embed_tokens_per_layer": "per_layer_token_embd",
       "per_layer_model_projection": "per_layer_model_proj", "per_layer_projection_norm": "per_layer_proj_norm"}
BLOCK = {"input_layernorm": "attn_norm", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "q_norm": "attn_q_norm",
         "k_norm": "attn_k_norm", "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm", "gate_proj": "ffn_gate", "up_proj": "ffn_up",
         "down_proj": "ffn_down", "post_feedforward_layernorm": "post_ffw_norm", "per_layer_input_gate": "inp_gate", "per_layer_projection": "proj",
         "post_per_layer_input_norm": "post_norm", "layer_scalar": "layer_output_scale"}

TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def gguf_name(k):
    p = k.split(".")
    if p[0] == "layers":
        return f"blk.{p[1]}.{BLOCK[p[2]]}.weight"
    return TOP[p[0]] + ".weight"


def weights(a):
    if a.weights:
        return {k: v.float() for k, v in load_file(a.weights).items()}
    kind = "model" if a.last else "ema"
    ws = [torch.load(Path(d) / "checkpoint.pt", weights_only=True)[kind] for d in [a.run] + ([a.mate] if a.mate else [])]
    return {k: sum(w[k] for w in ws) / len(ws) for k in ws[0]}


def write_safetensors(w, c, run, out):
    out.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in hf_names(w).items()}, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(c.hf(), indent=1) + "\n")
    (out / "generation_config.json").write_text(json.dumps(dict(bos_token_id=2, eos_token_id=[1, 16, 9], pad_token_id=0, do_sample=False)) + "\n")
    for f in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(run / f, out / f)
    shutil.copy(TEMPLATE, out / TEMPLATE.name)


def write_gguf(w, c, run, out, kind):
    g, L = gguf.GGUFWriter(str(out), "gemma4"), len(c.types)
    first = L - c.shared
    g.add_name("g4-nano")
    g.add_license("mit")
    g.add_description("A very small model of the Gemma 4 edge shape that ships with g4")
    g.add_file_type({"q8_0": 7, "f16": 1, "f32": 0}[kind])
    g.add_block_count(L)
    g.add_context_length(c.context)
    g.add_embedding_length(c.d)
    g.add_feed_forward_length([c.ff if i < first else 2 * c.ff for i in range(L)])
    g.add_head_count(c.heads)
    g.add_head_count_kv(c.kv)
    g.add_key_length(c.hdg)
    g.add_value_length(c.hdg)
    for k, v in (("attention.key_length_swa", c.hd), ("attention.value_length_swa", c.hd), ("rope.dimension_count", c.hdg), ("rope.dimension_count_swa", c.hd),
                 ("attention.shared_kv_layers", c.shared), ("embedding_length_per_layer_input", c.ple), ("attention.sliding_window", c.window)):
        g.add_uint32("gemma4." + k, v)
    for k, v in (("attention.layer_norm_rms_epsilon", c.eps), ("rope.freq_base", 1e6), ("rope.freq_base_swa", 1e4), ("final_logit_softcapping", c.softcap)):
        g.add_float32("gemma4." + k, v)
    g.add_array("gemma4.attention.sliding_window_pattern", [t == S for t in c.types])
    g.add_float32("general.sampling.temp", 0.0)
    tj = json.loads((run / "tokenizer.json").read_text())
    vocab = sorted(tj["model"]["vocab"], key=tj["model"]["vocab"].get)
    types = [gguf.TokenType.USER_DEFINED if p in tokenizer.USER else gguf.TokenType.UNKNOWN if p == "<unk>" else gguf.TokenType.CONTROL if p in tokenizer.SPECIAL
             else gguf.TokenType.BYTE if p.startswith("<0x") and len(p) == 6 else gguf.TokenType.NORMAL for p in vocab]
    g.add_tokenizer_model("gemma4")
    g.add_token_list(vocab)
    g.add_token_scores([-1000.0] * len(vocab))
    g.add_token_types(types)
    g.add_token_merges([" ".join(m) for m in tj["model"]["merges"]])
    g.add_bos_token_id(2)
    g.add_eos_token_id(16)
    g.add_unk_token_id(3)
    g.add_pad_token_id(0)
    g.add_mask_token_id(4)
    g.add_add_bos_token(True)
    g.add_chat_template(TEMPLATE.read_text())
    g.add_add_space_prefix(False)
    n = int(0.25 * c.hdg // 2)
    g.add_tensor("rope_freqs.weight", np.array([1.0] * n + [1e30] * (c.hdg // 2 - n), dtype=np.float32))
    for k, v in w.items():
        x = v.detach().float().numpy()
        t = "f32" if x.ndim < 2 else "f16" if "per_layer_model_projection" in k and kind == "q8_0" else kind
        q = getattr(gguf.GGMLQuantizationType, t.upper())
        g.add_tensor(gguf_name(k), gguf.quantize(x, q) if t != "f32" else x, raw_dtype=q)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", required=True)
    ap.add_argument("--mate", help="the run of the second trainer: the mean of both is taken")
    ap.add_argument("--weights")
    ap.add_argument("--last", action="store_true", help="the weights of the last step instead of the average")
    ap.add_argument("--safetensors")
    ap.add_argument("--gguf")
    ap.add_argument("--type", default="q8_0")
    ap.add_argument("--checkpoint")
    a = ap.parse_args()
    w, c, run = weights(a), Config(), Path(a.run)
    w = {k: v for k, v in w.items() if not k.startswith(("cos_", "sin_"))}
    assert set(w) == {k for k, _ in Nano(c).named_parameters()}
    if a.safetensors:
        write_safetensors(w, c, run, Path(a.safetensors))
    if a.gguf:
        write_gguf(w, c, run, Path(a.gguf), a.type)
    if a.checkpoint:
        save_file({k: v.to(torch.bfloat16).contiguous() for k, v in w.items()}, a.checkpoint, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
