"""Prompts as training renders them, for tests/cli/nano.t: records with a field want, what g4-gen --dry-run must show.

    python prompts.py | gzip -9n >prompts.jsonl.gz
"""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cases import MAKE, R, openai
from prompt import render


def cut(conv, first):
    """The messages before the model's first or last turn, as records spell them, and the prompt."""
    msgs = conv["messages"]
    speaks = [k for k, m in enumerate(msgs) if m["role"] == "assistant"]
    k = speaks[0] if first and not (conv.get("think") and not conv.get("tools")) else speaks[-1]
    out, ids = [], {}
    for m in msgs[:k]:
        for c in m.get("tool_calls", []):
            ids[c["name"]] = c["id"]
        if m["role"] == "tool":
            m = dict(m, content=json.dumps(m["content"]), tool_call_id=ids[m["name"]])
        out.append(openai(m))
    return out, "".join(t for t, _ in render(dict(conv, messages=msgs[:k]), prompt_only=True))


def main():
    for job, make in MAKE.items():
        r = R(5, True)
        for i in range(12):
            conv = make(r)
            msgs, want = cut(conv, i % 2)
            rec = dict(id=f"{job}-{i}", messages=msgs, options=dict(think=True) if conv.get("think") else {}, want=want)
            if conv.get("tools"):
                rec["tools"] = conv["tools"]
            print(json.dumps(rec, ensure_ascii=False))


if __name__ == "__main__":
    main()
