"""The exported folder in transformers and g4's reference in float32: greedy tokens of 50 held-out prompts must agree.
Prompts with tools are left out: there g4 lets the model call declared tools only, transformers lets it write anything.

    python same_tokens.py --gen build/g4-gen --folder RUN/hf [--prompts 50]
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cases import MAKE, cases

ENDS = (1, 9, 16)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--gen", default="build/g4-gen")
    ap.add_argument("--folder", required=True)
    ap.add_argument("--prompts", type=int, default=50)
    ap.add_argument("--tokens", type=int, default=60)
    a = ap.parse_args()
    torch.set_num_threads(1)
    recs = [r for i in range(10) for job in MAKE if job != "tools" for r in list(cases(job, i + 1, 7))[i:]][:a.prompts]
    for r in recs:
        r["options"]["max_tokens"] = a.tokens
    text = "".join(json.dumps(r) + "\n" for r in recs)
    ask = lambda *more: [json.loads(x) for x in subprocess.run([a.gen, "-q", "-j", "-m", a.folder, "-d", "ref", *more], input=text, capture_output=True, text=True, check=True).stdout.splitlines()]
    rendered, answers = ask("--dry-run"), ask("--logprobs", "1")
    tok, model = AutoTokenizer.from_pretrained(a.folder), AutoModelForCausalLM.from_pretrained(a.folder, dtype=torch.float32, attn_implementation="eager").eval()
    same = 0
    for p, o in zip(rendered, answers):
        ids = tok.encode(p["rendered"], add_special_tokens=False)
        with torch.no_grad():
            want = model.generate(torch.tensor([ids]), max_new_tokens=a.tokens, do_sample=False)[0][len(ids):].tolist()
        got = [t["id"] for t in o["logprobs"]["content"]]
        while want and want[-1] in ENDS:
            want.pop()
        while got and got[-1] in ENDS:
            got.pop()
        same += got == want
        if got != want:
            print("transformers:", repr(tok.decode(want)), "\ng4:          ", repr(tok.decode(got)))
    print(f"{same} of {len(recs)} prompts: the same greedy tokens, {sum(len(o['logprobs']['content']) for o in answers)} in all")
    sys.exit(same != len(recs))


if __name__ == "__main__":
    main()
