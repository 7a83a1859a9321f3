"""model.py against transformers on random weights, float32: prints the largest difference of the logits."""
import torch
from transformers import AutoModelForCausalLM
from transformers.models.gemma4.configuration_gemma4 import Gemma4TextConfig

from model import Config, Nano, hf_names


def main():
    torch.manual_seed(1)
    c = Config(window=40)
    m = Nano(c).eval()
    for n, p in m.named_parameters():
        if "norm" in n or "scalar" in n:
            p.data.mul_(1 + 0.3 * torch.rand_like(p))
    hf = AutoModelForCausalLM.from_config(Gemma4TextConfig(**{k: v for k, v in c.hf().items() if k not in ("architectures",)}), attn_implementation="eager").float().eval()
    missing, extra = hf.load_state_dict(hf_names(m.state_dict()), strict=False)
    missing = [k for k in missing if "lm_head" not in k and not any(f"layers.{i}.self_attn.{p}" in k for i in range(len(c.types) - c.shared, len(c.types)) for p in ("k_", "v_"))]
    assert not missing and not extra, (missing, extra)
    ids = torch.randint(24, c.vocab, (2, 100))
    with torch.no_grad():
        a, b = m(ids), hf(input_ids=ids, use_cache=False).logits
    print("largest difference of the logits", float((a - b).abs().max()), "of", float(b.abs().max()))
    assert (a - b).abs().max() < 1e-4


if __name__ == "__main__":
    main()
