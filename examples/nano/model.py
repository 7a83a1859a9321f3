"""The Gemma 4 edge decoder, compact: the same numbers as transformers' Gemma4ForCausalLM (see check_model.py).

No cache: it is for training and for scoring whole sequences.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

S, G = "sliding_attention", "full_attention"


@dataclass
class Config:
    vocab: int = 2048
    d: int = 128
    heads: int = 4
    kv: int = 2
    hd: int = 32                # local head size
    hdg: int = 64               # global head size
    ff: int = 256               # twice that in the layers that share keys and values
    ple: int = 32
    window: int = 512
    types: tuple = (S, S, G, S, G, S, G)
    shared: int = 2
    softcap: float = 30.0
    eps: float = 1e-6
    context: int = 4096

    def hf(self):
        L = len(self.types)
        return dict(architectures=["Gemma4ForCausalLM"], model_type="gemma4_text", vocab_size=self.vocab, hidden_size=self.d, intermediate_size=self.ff, num_hidden_layers=L,
                    num_attention_heads=self.heads, num_key_value_heads=self.kv, num_global_key_value_heads=None, head_dim=self.hd, global_head_dim=self.hdg,
                    hidden_activation="gelu_pytorch_tanh", max_position_embeddings=self.context, rms_norm_eps=self.eps, layer_types=list(self.types), sliding_window=self.window,
                    rope_parameters={G: dict(rope_type="proportional", rope_theta=1000000.0, partial_rotary_factor=0.25), S: dict(rope_type="default", rope_theta=10000.0)},
                    attention_bias=False, attention_dropout=0.0, attention_k_eq_v=False, num_kv_shared_layers=self.shared, hidden_size_per_layer_input=self.ple,
                    vocab_size_per_layer_input=self.vocab, use_double_wide_mlp=True, enable_moe_block=False, final_logit_softcapping=self.softcap, use_bidirectional_attention=None,
                    tie_word_embeddings=True, pad_token_id=0, eos_token_id=[1, 16, 9], bos_token_id=2, initializer_range=0.02, use_cache=True, dtype="float32")


class Norm(nn.Module):
    def __init__(self, n, w=1.0, eps=1e-6):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.full((n,), float(w))), eps

    def forward(self, x):
        return Rms.apply(x.float(), self.weight, self.eps)


class Rms(torch.autograd.Function):
    """x / rms(x) * w (w: None for one), in a few passes over the memory."""

    @staticmethod
    def forward(ctx, x, w, eps):
        r = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().mul_(1 / x.shape[-1]).add_(eps).rsqrt_()
        n = x * r
        ctx.save_for_backward(n, w, r)
        return n if w is None else n * w

    @staticmethod
    def backward(ctx, g):
        n, w, r = ctx.saved_tensors
        gw = None
        if w is not None:
            gw = (g * n).flatten(0, -2).sum(0)
            g = g * w
        return torch.addcmul(g, n, (g * n).mean(-1, keepdim=True), value=-1).mul_(r), gw, None


def linear(i, o, gain=1.0):
    m = nn.Linear(i, o, bias=False)
    nn.init.normal_(m.weight, std=gain / math.sqrt(i))
    return m


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Layer(nn.Module):
    def __init__(self, c, i):
        super().__init__()
        self.c, self.type = c, c.types[i]
        first = len(c.types) - c.shared
        self.owner = i < first
        self.donor = i if self.owner else max(j for j in range(first) if c.types[j] == self.type)
        hd = self.hd = c.hd if self.type == S else c.hdg
        ff = c.ff if self.owner else 2 * c.ff
        self.input_layernorm, self.post_attention_layernorm = Norm(c.d), Norm(c.d, 0.4)
        self.pre_feedforward_layernorm, self.post_feedforward_layernorm = Norm(c.d), Norm(c.d, 0.4)
        sharp = (1.5 / math.sqrt(hd)) ** 0.5          # scores are q.k unscaled: start with a spread near 1.5
        self.q_proj, self.o_proj, self.q_norm = linear(c.d, c.heads * hd), linear(c.heads * hd, c.d), Norm(hd, sharp)
        if self.owner:
            self.k_proj, self.v_proj, self.k_norm = linear(c.d, c.kv * hd), linear(c.d, c.kv * hd), Norm(hd, sharp)
        self.gate_proj, self.up_proj, self.down_proj = linear(c.d, ff), linear(c.d, ff), linear(ff, c.d)
        self.per_layer_input_gate, self.per_layer_projection = linear(c.d, c.ple), linear(c.ple, c.d)
        self.post_per_layer_input_norm = Norm(c.d, 0.3)
        self.layer_scalar = nn.Parameter(torch.ones(1))

    def forward(self, x, ple, rope, mask, kv):
        c = self.c
        B, T, _ = x.shape
        cos, sin = rope
        h = self.input_layernorm(x)
        q = rotate(self.q_norm(self.q_proj(h).view(B, T, c.heads, self.hd)), cos, sin).transpose(1, 2)
        if self.owner:
            k = rotate(self.k_norm(self.k_proj(h).view(B, T, c.kv, self.hd)), cos, sin).transpose(1, 2)
            v = Rms.apply(self.v_proj(h).view(B, T, c.kv, self.hd).float(), None, c.eps).transpose(1, 2)
            n = c.heads // c.kv
            kv = tuple(t[:, :, None].expand(B, c.kv, n, T, self.hd).reshape(B, c.heads, T, self.hd) for t in (k, v))
        k, v = kv
        if torch.is_autocast_enabled("cpu"):     # plain products: on a CPU half the time of the fused kernel's backward
            q, k, v = (t.to(torch.bfloat16) for t in (q, k, v))
        with torch.autocast("cpu", enabled=False):
            o = ((q @ k.mT) + mask.to(q.dtype)).softmax(-1) @ v
        x = x + self.post_attention_layernorm(self.o_proj(o.transpose(1, 2).reshape(B, T, -1)))
        h = self.pre_feedforward_layernorm(x)
        x = x + self.post_feedforward_layernorm(self.down_proj(F.gelu(self.gate_proj(h), approximate="tanh") * self.up_proj(h)))
        g = F.gelu(self.per_layer_input_gate(x), approximate="tanh") * ple
        x = x + self.post_per_layer_input_norm(self.per_layer_projection(g))
        return x * self.layer_scalar, kv


class Nano(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, L = c, len(c.types)
        self.embed_tokens = nn.Embedding(c.vocab, c.d)
        self.embed_tokens_per_layer = nn.Embedding(c.vocab, L * c.ple)
        nn.init.normal_(self.embed_tokens.weight, std=1 / math.sqrt(c.d))
        nn.init.normal_(self.embed_tokens_per_layer.weight, std=0.5 / math.sqrt(c.ple))
        self.per_layer_model_projection, self.per_layer_projection_norm = linear(c.d, L * c.ple), Norm(c.ple)
        self.layers = nn.ModuleList(Layer(c, i) for i in range(L))
        self.norm = Norm(c.d)
        n = int(0.25 * c.hdg // 2)
        inv = {S: 10000.0 ** (-torch.arange(0, c.hd, 2).float() / c.hd),
               G: torch.cat((1000000.0 ** (-torch.arange(0, 2 * n, 2).float() / c.hdg), torch.zeros(c.hdg // 2 - n)))}
        for t, f in inv.items():
            a = torch.outer(torch.arange(c.context).float(), f)
            a = torch.cat((a, a), -1)[:, None]
            self.register_buffer("cos_" + t, a.cos(), persistent=False)
            self.register_buffer("sin_" + t, a.sin(), persistent=False)

    def hidden(self, ids):
        """Normed hidden states [B, T, d]."""
        c = self.c
        B, T = ids.shape
        L = len(c.types)
        x = self.embed_tokens(ids) * math.sqrt(c.d)
        ctx = self.per_layer_projection_norm((self.per_layer_model_projection(x) * c.d ** -0.5).view(B, T, L, c.ple))
        ple = (ctx + self.embed_tokens_per_layer(ids).view(B, T, L, c.ple) * math.sqrt(c.ple)) * 2 ** -0.5
        rope = {t: (getattr(self, "cos_" + t)[:T], getattr(self, "sin_" + t)[:T]) for t in (S, G)}
        p = torch.arange(T, device=ids.device)
        far = p[:, None] - p
        mask = {t: torch.zeros(T, T, device=ids.device).masked_fill_((far < 0) | (far >= w), float("-inf")) for t, w in ((S, c.window), (G, T))}
        kv = {}
        for i, layer in enumerate(self.layers):
            x, own = layer(x, ple[:, :, i], rope[layer.type], mask[layer.type], kv.get(layer.donor))
            if layer.owner:
                kv[i] = own
        return self.norm(x)

    def head(self, h):
        return self.c.softcap * torch.tanh(F.linear(h, self.embed_tokens.weight).float() / self.c.softcap)

    def forward(self, ids):
        return self.head(self.hidden(ids))


def hf_names(state):
    """Names of transformers' Gemma4ForCausalLM."""
    out = {}
    for k, v in state.items():
        parts = k.split(".")
        if len(parts) > 3 and parts[2] in ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm"):
            parts.insert(2, "self_attn")
        elif len(parts) > 3 and parts[2] in ("gate_proj", "up_proj", "down_proj"):
            parts.insert(2, "mlp")
        out["model." + ".".join(parts)] = v
    return out
