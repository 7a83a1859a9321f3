"""The tokenizer: byte-pair merges over code points with byte fallback, in the form Gemma 4 has.

    python tokenizer.py OUT_DIR        trains it on the model's own generators, writes tokenizer.json and its config

A piece never spans two kinds of text (letters, marks, digits, space runs, newlines) and a digit is always alone, so no
word splitter is needed when encoding: merges alone give the same cut.  Only the commonest words that no job copies take
the blank before them: a name must have the same pieces after a blank, a bracket or a quote, or a small model cannot
copy it.
"""
import collections
import json
import re
import sys
from pathlib import Path

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>",
           "<tool_response|>", '<|"|>', "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>", "<|image>", "<|audio>",
           "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>"]
USER = {"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>'}
SIZE = 2048
RUNS = ["\n\n", "\n\n\n", "\t\t", "\t\t\t"] + ["▁" * n for n in range(2, 17)]
CHARS = ["\n", "\t", "▁"] + [chr(c) for c in range(33, 127)] + list("äöüßÄÖÜéèêàâçôûùîïëñáíóúãõåæø¿¡€°·–—’“”…✓«»²³½×")
CUT = re.compile(r"\n+|\t+|▁▁+|▁(?=[A-Za-zÀ-ÿ])|[A-Za-zÀ-ÿ]+|[0-9]|▁?[^\w\s▁]+|_+|.")
WORD = re.compile(r"▁([A-Za-zÀ-ÿ]+)")
WITH_BLANK = 300
SPLIT = re.compile("|".join(re.escape(s) for s in sorted(SPECIAL, key=len, reverse=True)))


def corpus(n=24000):
    import data
    from prompt import render
    from words import R
    r = R(77)
    for i in range(n):
        yield "".join(t for t, _ in render(data.draw(r, i / n)))


def count_words(texts):
    """Words to merge within, and words that follow a blank."""
    words, blank = collections.Counter(), collections.Counter()
    for t in texts:
        for part in SPLIT.split(t):
            part = part.replace(" ", "▁")
            words.update(CUT.findall(part))
            blank.update(WORD.findall(part))
    return words, blank


def copied():
    """Words that occur as names: never merged with a blank."""
    import gen_self
    import gen_tools
    import words as w
    pools = (w.FIRST, w.LAST, w.CITY, w.THING, w.COLOR, w.ANIMAL, w.SHOP, w.SHOP2, w.NOUN, w.VERB, w.SYL, w.DAY, w.MONTH, gen_tools.THINGS, gen_tools.ACTS, gen_tools.KEYS, gen_tools.PARAM, gen_self.SUBJECT, gen_self.PLACE)
    return {x.lower() for p in pools for x in p}


def train(words, n_merges, first):
    """Merges in order; first: merges that come before all others (the runs)."""
    seqs = [(list(w), c) for w, c in words.items() if len(w) > 1 and w[0] not in "\n\t" and not w.startswith("▁▁") and all(ch in CHARSET for ch in w)]
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, (s, c) in enumerate(seqs):
        for p in zip(s, s[1:]):
            pairs[p] += c
            where[p].add(i)
    merges = []
    while len(merges) < n_merges:
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        for i in list(where[best]):
            s, c = seqs[i]
            for p in zip(s, s[1:]):
                pairs[p] -= c
                where[p].discard(i)
            out, k = [], 0
            while k < len(s):
                if k + 1 < len(s) and (s[k], s[k + 1]) == best:
                    out.append(s[k] + s[k + 1])
                    k += 2
                else:
                    out.append(s[k])
                    k += 1
            seqs[i] = (out, c)
            for p in zip(out, out[1:]):
                pairs[p] += c
                where[p].add(i)
        pairs.pop(best, None)
    return first + merges


CHARSET = set(CHARS)


def build():
    base = len(SPECIAL) + 256 + len(CHARS) + len(RUNS)
    have = set(RUNS) | {"\n", "\t", "▁"}
    first = [(p[:i], p[i:]) for p in RUNS for i in range(1, len(p)) if p[:i] in have and p[i:] in have]
    words, blank = count_words(corpus())
    merges = train(words, SIZE - base - WITH_BLANK, first)
    known, no = {"".join(m) for m in merges}, copied()
    common = [x for x, _ in blank.most_common() if x.lower() not in no and x in known][:WITH_BLANK]
    merges += [("▁", x) for x in common]
    merges += train(words, SIZE - base, first)[len(merges) - len(common):][:WITH_BLANK - len(common)]
    pieces = SPECIAL + [f"<0x{b:02X}>" for b in range(256)] + CHARS + RUNS + ["".join(m) for m in merges[len(first):]]
    assert len(set(pieces)) == len(pieces) == SIZE, (len(set(pieces)), len(pieces))
    return pieces, merges


def write(folder, pieces, merges):
    added = [dict(id=i, content=p, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) for i, p in enumerate(SPECIAL)]
    tj = dict(version="1.0", truncation=None, padding=None, added_tokens=added,
              normalizer=dict(type="Replace", pattern={"String": " "}, content="▁"),
              pre_tokenizer=dict(type="Split", pattern={"String": " "}, behavior="MergedWithPrevious", invert=False), post_processor=None,
              decoder=dict(type="Sequence", decoders=[dict(type="Replace", pattern={"String": "▁"}, content=" "), dict(type="ByteFallback"), dict(type="Fuse")]),
              model=dict(type="BPE", dropout=None, unk_token="<unk>", continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=True,
                         byte_fallback=True, ignore_merges=False, vocab={p: i for i, p in enumerate(pieces)}, merges=[list(m) for m in merges]))
    Path(folder, "tokenizer.json").write_text(json.dumps(tj, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    cfg = dict(tokenizer_class="GemmaTokenizer", bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
               add_bos_token=False, add_eos_token=False, clean_up_tokenization_spaces=False, model_max_length=4096, padding_side="left", extra_special_tokens=SPECIAL[5:])
    Path(folder, "tokenizer_config.json").write_text(json.dumps(cfg, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path):
    from tokenizers import Tokenizer
    return Tokenizer.from_file(str(path))


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    write(out, *build())
