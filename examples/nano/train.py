"""Training: an endless stream of fresh examples, Muon for the matrices, Adam for the rest.

    python train.py --run DIR --until HH:MM [--decay MINUTES] [--mate DIR]

DIR holds tokenizer.json (tokenizer.py makes it), the checkpoint and the log; the same command goes on where it stood,
also after SIGTERM.  The learning rate is constant, then falls to nothing over the last --decay minutes before --until
(UTC, within the next twelve hours).
"""
import argparse
import datetime
import json
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

LONGEST = 768       # tokens; longer examples are drawn anew
POOL = 768          # examples sorted by length at a time
LOG_EVERY = 25      # steps
SAVE_EVERY = 150    # seconds


class Stream:
    """Batches of (ids [B,T], targets [B,T], own [B,T], job of each row); target -1: none; own: the model's own words."""

    def __init__(self, tok, seed, size):
        self.tok, self.seed, self.size, self.pools, self.ready = tok, seed, size, 0, []

    def example(self, r, progress):
        while True:
            conv = data.draw(r, progress)
            merged = []      # neighbours of one kind are encoded together, as the engine does
            for text, own in render(conv):
                if merged and merged[-1][1] == own:
                    merged[-1][0] += text
                else:
                    merged.append([text, own])
            ids, mine = [], []
            for text, own in merged:
                e = self.tok.encode(text, add_special_tokens=False).ids
                ids += e
                mine += [own] * len(e)
            if len(ids) <= LONGEST:
                return ids, mine, conv["job"]

    def refill(self, progress):
        r = R(self.seed * 1000003 + self.pools)
        self.pools += 1
        pool = sorted((self.example(r, progress) for _ in range(POOL)), key=lambda e: len(e[0]))
        batch = []
        for e in pool + [None]:
            if e is None or (batch and (len(batch) + 1) * pad(len(e[0])) > self.size):
                self.ready.append(pack(batch))
                batch = []
            if e:
                batch.append(e)
        r.shuffle(self.ready)

    def next(self, progress):
        if not self.ready:
            self.refill(progress)
        return self.ready.pop()


def pad(n):
    return (n + 31) // 32 * 32


def pack(batch):
    T = pad(max(len(e[0]) for e in batch))
    ids, tgt = torch.zeros(len(batch), T, dtype=torch.long), torch.full((len(batch), T), -1)
    own = torch.zeros(len(batch), T, dtype=torch.bool)
    for i, (x, mine, _) in enumerate(batch):
        ids[i, :len(x)] = torch.tensor(x)
        tgt[i, :len(x) - 1] = torch.tensor(x[1:])
        own[i, :len(x) - 1] = torch.tensor(mine[1:])
    return ids, tgt, own, [e[2] for e in batch]


def orthogonal(g, steps=5):
    """Newton-Schulz: the nearest matrix with singular values near one."""
    x = g.to(torch.bfloat16)
    flip = x.size(-2) > x.size(-1)
    x = x.mT if flip else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if flip else x).float()


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


class Tally:
    """Loss and whole answers right, by job, since the last line of the log."""

    def __init__(self):
        self.jobs, self.since, self.tokens = {}, time.time(), 0

    @torch.no_grad()
    def add(self, jobs, own, losses, hits):
        row = torch.arange(len(jobs))[:, None].expand_as(own)[own]
        sums, ns, right = (torch.zeros(len(jobs)).index_add_(0, row, x) for x in (losses, torch.ones_like(losses), hits))
        for i, j in enumerate(jobs):
            e = self.jobs.setdefault(j, [0.0, 0.0, 0, 0])
            e[0] += float(sums[i])
            e[1] += float(ns[i])
            e[2] += int(right[i] == ns[i])
            e[3] += 1

    def line(self, st, scale):
        e = self.jobs.values()
        return dict(st, seconds=round(st["seconds"], 1), rate=round(self.tokens / (time.time() - self.since)), scale=round(scale, 3),
                    loss=round(sum(x[0] for x in e) / sum(x[1] for x in e), 4),
                    jobs={j: [round(x[0] / x[1], 4), round(x[2] / x[3], 3)] for j, x in sorted(self.jobs.items())},
                    time=datetime.datetime.now(datetime.timezone.utc).strftime("%H:%M:%S"))


class Trainer:
    def __init__(self, a):
        self.a, self.run = a, Path(a.run)
        self.model = Nano(Config())
        if a.weights:
            from safetensors.torch import load_file
            self.model.load_state_dict({k: v.float() for k, v in load_file(a.weights).items()}, strict=False)
        named = list(self.model.named_parameters())
        self.params = [p for _, p in named]
        self.tables = [p for n, p in named if p.ndim == 2 and "embed" in n]
        self.small = [p for _, p in named if p.ndim < 2]
        self.muon = Muon([p for n, p in named if p.ndim == 2 and "embed" not in n], a.lr)
        self.adam = torch.optim.AdamW([dict(params=self.tables, lr=a.adam_lr), dict(params=self.small, lr=a.adam_lr * 1.5)],
                                      betas=(0.9, 0.98), weight_decay=0.0, foreach=True)
        self.rates = [g["lr"] for g in self.adam.param_groups]
        self.ema = {n: p.detach().clone() for n, p in named}
        self.state = dict(step=0, tokens=0, learnt=0, seconds=0.0)
        self.stream = Stream(tokenizer.load(self.run / "tokenizer.json"), a.seed, a.batch)
        self.checkpoint = self.run / "checkpoint.pt"
        if self.checkpoint.exists():
            self.load()

    def load(self):
        c = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(c["model"], strict=False)
        self.adam.load_state_dict(c["adam"])
        for s in self.muon.buf:
            self.muon.buf[s].copy_(c["muon"][str(s)])
        self.ema, self.state = c["ema"], c["state"]
        self.stream.pools = self.state.pop("pools")

    def save(self):
        new = self.run / "checkpoint.new"
        torch.save(dict(model=self.model.state_dict(), adam=self.adam.state_dict(), muon={str(s): b for s, b in self.muon.buf.items()}, ema=self.ema,
                        state=dict(self.state, pools=self.stream.pools)), new)
        os.replace(new, self.checkpoint)

    @torch.no_grad()
    def meet(self):
        """Two trainers that see different examples average their weights; a mate that is silent is left alone."""
        theirs = Path(self.a.mate) / "weights.pt"
        if theirs.exists() and time.time() - theirs.stat().st_mtime < 120:
            torch._foreach_lerp_(self.params, torch.load(theirs, weights_only=True), 0.5)
        torch.save([p.detach() for p in self.params], self.run / "weights.new")
        os.replace(self.run / "weights.new", self.run / "weights.pt")

    def progress(self):
        return max(self.state["tokens"] / self.a.tokens, 0.3 if self.a.weights else 0.0)

    def scale(self, end):
        """Of the learning rates: up over sixty steps, down over the last minutes."""
        return min(1.0, (self.state["step"] + 1) / 60) * min(1.0, max(0.0, (end - time.time()) / 60 / self.a.decay))

    def step(self, scale, tally):
        progress = self.progress()
        ids, tgt, own, jobs = self.stream.next(progress)
        aside = self.a.prompt_loss if progress < self.a.prompt_until else 0.0
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(self.a.bf16)):
            pick = tgt >= 0 if aside else own
            logits = self.model.head(self.model.hidden(ids)[pick])
        each, mine = F.cross_entropy(logits, tgt[pick], reduction="none"), own[pick]
        # a word of a short answer counts more than one of a long answer, else labels are hardly learnt
        share = own.sum(1, keepdim=True).clamp(min=1).float().rsqrt().expand_as(tgt)[pick]
        weight = torch.where(mine, 1.0, aside) * share
        ((each * weight).sum() / weight.sum()).backward()
        torch.nn.utils.clip_grad_norm_(self.tables + self.small, 1.0)
        self.muon.step(scale)
        for g, lr in zip(self.adam.param_groups, self.rates):
            g["lr"] = lr * scale
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        st = self.state
        st["step"] += 1
        st["tokens"] += int((ids > 0).sum())
        st["learnt"] += int(own.sum())
        tally.tokens += int((ids > 0).sum())
        tally.add(jobs, own, each.detach()[mine], (logits.detach()[mine].argmax(-1) == tgt[own]).float())
        w = min(0.995, (1 + st["step"]) / (10 + st["step"]))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.values()), self.params, 1 - w)

    def train(self, end):
        stop = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        saved, tally = time.time(), Tally()
        with open(self.run / "log.jsonl", "a") as log:
            while time.time() < end and not stop:
                t, scale = time.time(), self.scale(end)
                self.step(scale, tally)
                self.state["seconds"] += time.time() - t
                if self.state["step"] % LOG_EVERY == 0:
                    print(json.dumps(tally.line(self.state, scale)), file=log, flush=True)
                    tally = Tally()
                if self.a.mate and self.state["step"] % self.a.meet == 0:
                    self.meet()
                if time.time() - saved > SAVE_EVERY:
                    self.save()
                    saved = time.time()
        self.save()


def clock(hm):
    """The time HH:MM (UTC) nearest to now."""
    h, m = map(int, hm.split(":"))
    now = datetime.datetime.now(datetime.timezone.utc)
    at = now.replace(hour=h, minute=m, second=0)
    return (at + datetime.timedelta(days=1) if now - at > datetime.timedelta(hours=12) else at).timestamp()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", required=True)
    ap.add_argument("--until", required=True)
    ap.add_argument("--decay", type=float, default=25)
    ap.add_argument("--tokens", type=float, default=10e6, help="planned tokens of this trainer, for the curriculum")
    ap.add_argument("--batch", type=int, default=3072, help="tokens a step, padding counted")
    ap.add_argument("--lr", type=float, default=0.02)
    ap.add_argument("--adam-lr", type=float, default=0.003)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--bf16", type=int, default=1)
    ap.add_argument("--prompt-loss", type=float, default=0.25, help="weight of the words of others, early on: copying forms sooner")
    ap.add_argument("--prompt-until", type=float, default=0.3, help="share of the planned tokens up to which that holds")
    ap.add_argument("--seed", type=int, default=1, help="of the examples")
    ap.add_argument("--mate", help="the run folder of a second trainer: weights are averaged with it every --meet steps")
    ap.add_argument("--meet", type=int, default=10)
    ap.add_argument("--weights", help="start from these weights (checkpoint.safetensors); the first lessons are left out")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    Trainer(a).train(clock(a.until))


if __name__ == "__main__":
    main()
