"""Held-out cases as JSONL records for g4-gen -j: words, names and values that training never drew, in wordings that it
never drew either (or, with known, in those of training).

    python cases.py JOB N [SEED]      JOB: review extract math class turns self tools

Every record carries its gold answer, which g4-gen passes through untouched.
"""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import gen_c
import gen_class
import gen_extract
import gen_math
import gen_self
import gen_tools
import gen_turns
from words import R

MAKE = dict(review=lambda r: gen_c.review(r, think=True), extract=gen_extract.extract, math=gen_math.math, turns=gen_turns.turns, self=gen_self.me, tools=gen_tools.episode,
            **{"class": gen_class.classification})


def openai(m):
    """A message as the OpenAI API spells it."""
    m = {k: v for k, v in m.items() if v != ""}
    if m.get("tool_calls"):
        m["tool_calls"] = [dict(id=c["id"], type="function", function=dict(name=c["name"], arguments=json.dumps(c["arguments"]))) for c in m["tool_calls"]]
    return m


def cases(job, n, seed=1, known=False):
    r = R(900000 + seed * 1000 + sum(map(ord, job)), held_out=True, known=known)
    for i in range(n):
        conv = MAKE[job](r)
        msgs = conv["messages"]
        if job == "tools":
            msgs = msgs[:next(k for k, m in enumerate(msgs) if m["role"] == "assistant")]
        else:
            msgs = msgs[:-1]
        rec = dict(id=f"{job}-{i}", job=job, gold=conv["gold"], messages=[openai(m) for m in msgs], options=dict(temperature=0, max_tokens=400, **({"think": True} if conv.get("think") else {})))
        if conv.get("tools"):
            rec["tools"] = conv["tools"]
        yield rec


if __name__ == "__main__":
    for rec in cases(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1):
        print(json.dumps(rec, ensure_ascii=False))
