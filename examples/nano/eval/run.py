"""Runs the held-out cases through g4-gen and grades its answers.

    python run.py --gen build/g4-gen --model FILE [--device cpu] [--cases 200] [--jobs review,math] [--show 3] [--into README.md]

Answers are g4's own; nothing here loads PyTorch.  --show prints failures by kind.
"""
import argparse
import collections
import json
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cases import cases

GOALS = dict(review=90, alarms=5, extract=95, schema=95, tools=90, math=90, turns=90, self=90, **{"class": 90})
NAMES = dict(review="review: kind and line of the defect", alarms="review: false alarms on clean code (at most)", extract="extraction to JSON", schema="extraction with --schema", tools="tool episodes",
             math="arithmetic with --think, and #### N", turns="several turns, system instructions", self="what it is, what it cannot do", **{"class": "classification, multiple choice"})


def generate(a, recs):
    cmd = [a.gen, "-j", "-q", "-m", a.model, "-P", "16"] + (["-d", a.device] if a.device else [])
    p = subprocess.run(cmd, input="".join(json.dumps(r, ensure_ascii=False) + "\n" for r in recs), capture_output=True, text=True)
    out = [json.loads(x) for x in p.stdout.splitlines()]
    if len(out) != len(recs):
        sys.exit(f"g4-gen: status {p.returncode}\n{p.stderr}")
    return out


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool) or isinstance(a, str) or isinstance(b, str):
        return a == b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return isinstance(a, (int, float)) and isinstance(b, (int, float)) and abs(a - b) < 1e-9


def parsed(text):
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return None


def grade(rec):
    """right?, group of the case"""
    g, text, job = rec["gold"], (rec.get("text") or "").strip(), rec["job"]
    if job == "review":
        if not g["kind"]:
            return text.startswith("No defect"), "clean"
        quote = re.search(r"`(.*)`", text)
        line = quote and quote.group(1).strip() == g["quote"]
        if g["numbered"]:
            line = text.startswith(f"Line {g['line']}:")
        return bool(line and re.search(r"^" + re.escape(g["name"]) + ":", text, re.M)), g["kind"]
    if job == "extract":
        return same(rec["data"] if "data" in rec else parsed(text), g["data"]), g["kind"]
    if job == "math":
        want = f"#### {g['answer']}" if g["hash"] else str(g["answer"])
        return text.split("\n")[-1] == want, "hash" if g["hash"] else "plain"
    if job == "class":
        return text == g["label"], g["group"]
    if job == "turns":
        return text == g["answer"], "turns"
    if job == "self":
        return ("g4-gen -m" in text and ("beyond" in text) == (g["kind"] == "beyond")) if g["kind"] != "hello" else "g4-nano" in text, g["kind"]
    raise ValueError(job)


def tool_episodes(a, recs):
    """Steps every episode: a call that is right gets its response, a wrong one ends it."""
    right = [None] * len(recs)
    live = list(range(len(recs)))
    last = [None] * len(recs)
    for step in range(4):
        if not live:
            break
        out = generate(a, [recs[i] for i in live])
        nxt = []
        for i, o in zip(live, out):
            g = recs[i]["gold"]
            last[i] = o.get("tool_calls") or o.get("text") or o.get("error")
            calls = o.get("tool_calls") or []
            if step < len(g["calls"]):
                name, args = g["calls"][step]
                f = calls[0]["function"] if len(calls) == 1 else None
                if not f or f["name"] != name or not same(parsed(f["arguments"]), args):
                    right[i] = False
                    continue
                recs[i]["messages"] = o["messages"] + [dict(role="tool", tool_call_id=calls[0]["id"], name=name, content=json.dumps(g["responses"][step]))]
                nxt.append(i)
            else:
                text = (o.get("text") or "").strip()
                if g["kind"] == "none":
                    right[i] = not calls and text == g["answer"]
                else:
                    right[i] = not calls and all(shown(v) in text for v in g["responses"][-1].values())
        live = nxt
    return [(bool(x), r["gold"]["kind"], y) for x, r, y in zip(right, recs, last)]


def shown(v):
    return str(v)


def measure(a, job, known):
    """[(row of the table, cases, right)] of one job; prints how it went by kind."""
    recs = list(cases("extract" if job == "schema" else job, a.cases, a.seed, known))
    if job == "schema":
        for r in recs:
            r["schema"] = r["gold"]["schema"]
    if job == "tools":
        graded = tool_episodes(a, recs)
    else:
        graded = [(*grade(o), (o.get("thinking"), o.get("text"), o.get("error"))) for o in generate(a, recs)]
    kinds = collections.defaultdict(list)
    for (ok, kind, got), rec in zip(graded, recs):
        kinds[kind].append(ok)
        if not ok and a.show and sum(not x for x in kinds[kind]) <= a.show:
            print(f"--- {job} {kind}\n{rec['messages'][-1].get('content', '')}\n... {got}\n=== {json.dumps(rec['gold'], ensure_ascii=False)}")
    print(job, "known" if known else "new", " ".join(f"{k}:{sum(v)}/{len(v)}" for k, v in sorted(kinds.items())), flush=True)
    if job != "review":
        return [(job, len(graded), sum(ok for ok, _, _ in graded))]
    bad, clean = [ok for ok, k, _ in graded if k != "clean"], [ok for ok, k, _ in graded if k == "clean"]
    return [("review", len(bad), sum(bad)), ("alarms", len(clean), sum(not x for x in clean))]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--gen", default="build/g4-gen")
    ap.add_argument("--model", default="examples/nano/g4-nano.gguf")
    ap.add_argument("--device")
    ap.add_argument("--cases", type=int, default=200)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--jobs", default="review,extract,schema,tools,math,class,turns,self")
    ap.add_argument("--show", type=int, default=0)
    ap.add_argument("--into", help="a file: the table replaces what stands between its marks <!-- table --> and <!-- end -->")
    a = ap.parse_args()
    rows = {}
    for job in a.jobs.split(","):
        for known in (False, True):
            for name, n, ok in measure(a, job, known):
                rows.setdefault(name, []).append((n, ok))
    share = lambda n, ok: f"{100 * ok / max(n, 1):.1f} ({ok} of {n})"
    lines = ["| what | new wordings, % | known wordings, % | goal |", "|---|---:|---:|---:|"]
    lines += [f"| {NAMES[k]} | {share(*new)} | {share(*old)} | {GOALS[k]} |" for k, (new, old) in rows.items()]
    print("\n".join(lines))
    if a.into:
        text = Path(a.into).read_text()
        head, rest = text.split("<!-- table -->\n", 1)
        Path(a.into).write_text(head + "<!-- table -->\n" + "\n".join(lines) + "\n" + rest[rest.index("<!-- end -->"):])


if __name__ == "__main__":
    main()
