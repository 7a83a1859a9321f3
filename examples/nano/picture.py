"""The loss curve of a run:  python picture.py run/a/log.jsonl loss.png"""
import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main():
    rows, last = {}, None
    for line in open(sys.argv[1]):
        r = json.loads(line)
        rows[r["step"]] = r           # a run that went on from a checkpoint writes some steps again
    rows = [rows[s] for s in sorted(rows)]
    fig, ax = plt.subplots(figsize=(8, 4.5), dpi=80)
    x = [r["tokens"] / 1e6 for r in rows]
    for job in ("copy", "review", "extract", "tools", "math", "class", "turns", "self"):
        pts = [(a, r["jobs"][job][0]) for a, r in zip(x, rows) if job in r["jobs"]]
        ax.plot(*zip(*pts), lw=1, label=job)
    ax.plot(x, [r["loss"] for r in rows], "k", lw=2, label="all")
    ax.set_yscale("log")
    ax.set_xlabel("million tokens seen by one of the trainers")
    ax.set_ylabel("loss on the model's own tokens (nats)")
    ax.grid(alpha=0.3)
    ax.legend(ncol=3, fontsize=8)
    fig.tight_layout()
    fig.savefig(sys.argv[2])


if __name__ == "__main__":
    main()
