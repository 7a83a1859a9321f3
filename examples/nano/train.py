"""Training: an endless stream of fresh examples, Muon for the matrices, Adam for the rest.

    python train.py --run DIR --until HH:MM [--decay MINUTES] [--tokens N]

DIR holds tokenizer.json (tokenizer.py makes it), the checkpoint and the log; the same command goes on where it stood.
The learning rate is constant, then falls to nothing over the last --decay minutes before --until (UTC).
"""
import argparse
import datetime
import json
import math
import os
import signal
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import data
import tokenizer
from model import Config, Nano
from prompt import render
from words import R

LONGEST = 512


class Stream:
    """Batches of (ids [B,T], targets [B,T], own [B,T], job of each row); target -1: none; own: the model's own words."""

    def __init__(self, tok, seed, size):
        self.tok, self.seed, self.size, self.count, self.ready = tok, seed, size, 0, []

    def example(self, r, progress):
        while True:
            conv = data.draw(r, progress)
            parts = render(conv)
            ids, learn = [], []
            # neighbours of one kind are encoded together, as the engine does
            merged = []
            for text, l in parts:
                if merged and merged[-1][1] == l:
                    merged[-1][0] += text
                else:
                    merged.append([text, l])
            for text, l in merged:
                e = self.tok.encode(text, add_special_tokens=False).ids
                ids += e
                learn += [l] * len(e)
            if len(ids) <= LONGEST:
                return ids, learn, conv["job"]

    def refill(self, progress):
        r = R(self.seed * 1000003 + self.count)
        self.count += 1
        pool = sorted((self.example(r, progress) for _ in range(768)), key=lambda e: len(e[0]))
        batch, longest = [], 0
        for e in pool + [None]:
            if e is None or (batch and (len(batch) + 1) * pad(len(e[0])) > self.size):
                self.ready.append(self.pack(batch))
                batch = []
            if e:
                batch.append(e)
        r.shuffle(self.ready)

    def pack(self, batch):
        T = pad(max(len(e[0]) for e in batch))
        ids, tgt, own = torch.zeros(len(batch), T, dtype=torch.long), torch.full((len(batch), T), -1), torch.zeros(len(batch), T, dtype=torch.bool)
        for i, (x, l, _) in enumerate(batch):
            ids[i, :len(x)] = torch.tensor(x)
            own[i, :len(l) - 1] = torch.tensor(l[1:])
            tgt[i, :len(x) - 1] = torch.tensor(x[1:])
        return ids, tgt, own, [e[2] for e in batch]

    def next(self, progress):
        if not self.ready:
            self.refill(progress)
        return self.ready.pop()


def pad(n):
    return (n + 31) // 32 * 32


def orthogonal(g, steps=5):
    """Newton-Schulz: the nearest matrix with singular values near one."""
    x = g.to(torch.bfloat16) if NS_BF16 else g
    flip = x.size(-2) > x.size(-1)
    x = x.mT if flip else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if flip else x).float()


NS_BF16 = True


class Muon:
    """Momentum, orthogonalised; matrices of one shape are done together."""

    def __init__(self, params, lr, momentum=0.95, decay=0.02):
        self.groups = {}
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.buf = {s: torch.zeros(len(g), *s) for s, g in self.groups.items()}
        self.lr, self.momentum, self.decay = lr, momentum, decay

    @torch.no_grad()
    def step(self, scale):
        for shape, ps in self.groups.items():
            g = torch.stack([p.grad for p in ps])
            b = self.buf[shape].mul_(self.momentum).add_(g, alpha=1 - self.momentum)
            u = orthogonal(g.lerp(b, self.momentum))
            lr = self.lr * scale * max(1.0, shape[0] / shape[1]) ** 0.5
            for p, d in zip(ps, u):
                p.mul_(1 - self.lr * scale * self.decay).add_(d, alpha=-lr)
                p.grad = None


def clock(hm):
    h, m = map(int, hm.split(":"))
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.replace(hour=h, minute=m, second=0).timestamp()


@torch.no_grad()
def meet(model, here, there):
    """Two trainers that see different examples average their weights; a mate that is silent is left alone."""
    ps = [p for _, p in model.named_parameters()]
    theirs = there / "weights.pt"
    if theirs.exists() and time.time() - theirs.stat().st_mtime < 120:
        try:
            torch._foreach_lerp_(ps, torch.load(theirs, weights_only=True), 0.5)
        except (EOFError, RuntimeError, OSError):
            pass
    torch.save([p.detach() for p in ps], here / "weights.new")
    os.replace(here / "weights.new", here / "weights.pt")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--run", required=True)
    ap.add_argument("--until", required=True)
    ap.add_argument("--decay", type=float, default=25)
    ap.add_argument("--tokens", type=float, default=10e6, help="planned tokens, for the curriculum")
    ap.add_argument("--batch", type=int, default=6144)
    ap.add_argument("--lr", type=float, default=0.02)
    ap.add_argument("--adam-lr", type=float, default=0.003)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--compile", type=int, default=0)
    ap.add_argument("--bf16", type=int, default=1)
    ap.add_argument("--steps", type=int, default=10 ** 9)
    ap.add_argument("--prompt-loss", type=float, default=0.25, help="weight of the words of others, early on: copying forms sooner")
    ap.add_argument("--prompt-until", type=float, default=0.5, help="share of the planned tokens up to which that holds")
    ap.add_argument("--seed", type=int, default=1, help="of the examples")
    ap.add_argument("--mate", help="the run folder of a second trainer: weights are averaged with it every --meet steps")
    ap.add_argument("--meet", type=int, default=10)
    ap.add_argument("--weights", help="start from this safetensors checkpoint")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    run = Path(a.run)
    tok = tokenizer.load(run / "tokenizer.json")
    model = Nano(Config())
    if a.weights:
        from safetensors.torch import load_file
        model.load_state_dict({k: v.float() for k, v in load_file(a.weights).items()}, strict=False)
    mats = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    small = [p for n, p in model.named_parameters() if p.ndim < 2]
    emb = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" in n]
    muon = Muon(mats, a.lr)
    adam = torch.optim.AdamW([dict(params=emb, lr=a.adam_lr), dict(params=small, lr=a.adam_lr * 1.5)], betas=(0.9, 0.98), weight_decay=0.0, fused=False, foreach=True)
    base = [g["lr"] for g in adam.param_groups]
    ema = {k: v.detach().clone() for k, v in model.named_parameters()}
    st = dict(step=0, tokens=0, learnt=0, seconds=0.0, pools=0)
    ck = run / "checkpoint.pt"
    if ck.exists():
        c = torch.load(ck, weights_only=True)
        model.load_state_dict(c["model"], strict=False)
        adam.load_state_dict(c["adam"])
        for s in muon.buf:
            muon.buf[s].copy_(c["muon"][str(s)])
        ema, st = c["ema"], c["state"]
    stream = Stream(tok, a.seed, a.batch)
    stream.count = st["pools"]
    hidden = torch.compile(model.hidden, dynamic=True) if a.compile else model.hidden
    end, log = clock(a.until), open(run / "log.jsonl", "a")
    last_save, t_log, acc = time.time(), time.time(), {}
    tok_log = st["tokens"]

    def save():
        torch.save(dict(model=model.state_dict(), adam=adam.state_dict(), muon={str(s): b for s, b in muon.buf.items()}, ema=ema, state=dict(st, pools=stream.count)), str(ck) + ".new")
        os.replace(str(ck) + ".new", ck)

    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    while time.time() < end and st["step"] < a.steps and not stop:
        t0 = time.time()
        progress = st["tokens"] / a.tokens
        ids, tgt, own, jobs = stream.next(progress)
        aside = a.prompt_loss if progress < a.prompt_until else 0.0
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(a.bf16)):
            h = hidden(ids)
            pick = tgt >= 0 if aside else own
            logits = model.head(h[pick])
        each = F.cross_entropy(logits, tgt[pick], reduction="none")
        mine = own[pick]
        # a word of a short answer counts more than one of a long answer, else labels are hardly learnt
        share = own.sum(1, keepdim=True).clamp(min=1).float().rsqrt().expand_as(tgt)[pick]
        weight = torch.where(mine, 1.0, aside) * share
        loss = (each * weight).sum() / weight.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(emb + small, 1.0)
        scale = min(1.0, (st["step"] + 1) / 60) * min(1.0, max(0.0, (end - time.time()) / 60 / a.decay))
        muon.step(scale)
        for g, b in zip(adam.param_groups, base):
            g["lr"] = b * scale
        adam.step()
        adam.zero_grad(set_to_none=True)
        st["step"] += 1
        with torch.no_grad():
            w = min(0.995, (1 + st["step"]) / (10 + st["step"]))
            ps = [p for _, p in model.named_parameters()]
            torch._foreach_lerp_(list(ema.values()), [p.detach() for p in ps], 1 - w)
            row = torch.arange(len(jobs))[:, None].expand_as(tgt)[own]
            hit = (logits.detach()[mine].argmax(-1) == tgt[own]).float()
            sums, ns, right = (torch.zeros(len(jobs)).index_add_(0, row, x) for x in (each.detach()[mine].float(), torch.ones_like(hit), hit))
            for i, j in enumerate(jobs):
                e = acc.setdefault(j, [0.0, 0.0, 0, 0])
                e[0] += float(sums[i])
                e[1] += float(ns[i])
                e[2] += int(right[i] == ns[i])
                e[3] += 1
        st["tokens"] += int((ids > 0).sum())
        st["learnt"] += int(own.sum())
        st["seconds"] += time.time() - t0
        if st["step"] % 25 == 0:
            now = time.time()
            rec = dict(step=st["step"], tokens=st["tokens"], learnt=st["learnt"], seconds=round(st["seconds"], 1), rate=round((st["tokens"] - tok_log) / (now - t_log)), scale=round(scale, 3),
                       loss=round(sum(e[0] for e in acc.values()) / sum(e[1] for e in acc.values()), 4),
                       jobs={j: [round(e[0] / e[1], 4), round(e[2] / e[3], 3)] for j, e in sorted(acc.items())}, time=datetime.datetime.now(datetime.timezone.utc).strftime("%H:%M:%S"))
            print(json.dumps(rec), file=log, flush=True)
            print(json.dumps(rec), flush=True)
            acc, t_log, tok_log = {}, now, st["tokens"]
        if a.mate and st["step"] % a.meet == 0:
            meet(model, run, Path(a.mate))
        if time.time() - last_save > 150:
            save()
            last_save = time.time()
    save()


if __name__ == "__main__":
    main()
