"""First lessons: copying, looking up, pointing.  Nothing but the mechanism that the real jobs need."""
from words import *


def items(r, n):
    make = r.choice((lambda: made_up(r), lambda: ident(r), lambda: person(r), lambda: code(r), lambda: str(number(r)), lambda: func(r), lambda: date(r)))
    out = []
    while len(out) < n:
        x = make()
        if x not in out:
            out.append(x)
    return out


def lookup(r):
    n = r.randint(2, 8)
    ks, vs = items(r, n), items(r, n)
    i = r.randrange(n)
    sep = r.choice((": ", " = ", " -> ", ", "))
    return f"{ks[i]}?\n\n" + "\n".join(f"{k}{sep}{v}" for k, v in zip(ks, vs)), vs[i]


def after(r):
    xs = items(r, r.randint(3, 9))
    i = r.randrange(len(xs) - 1)
    return f"after {xs[i]}?\n\n" + " ".join(xs), xs[i + 1]


def same(r):
    xs = " ".join(items(r, r.randint(1, 6)))
    return f"copy\n\n{xs}", xs


def record(r):
    n = r.randint(2, 6)
    ks, vs = items(r, n), items(r, n)
    pick = r.sample(range(n), r.randint(1, min(3, n)))
    return "JSON: " + ", ".join(ks[i] for i in pick) + "\n\n" + "\n".join(f"{k}: {v}" for k, v in zip(ks, vs)), "{" + ", ".join(f'"{ks[i]}": "{vs[i]}"' for i in pick) + "}"


def line(r):
    """Quote the line that holds a word."""
    import gen_c
    f = gen_c.function(r, None, blocks=r.choice((1, 2)))
    ls = [x for x in f["lines"] if len(x.strip()) > 6 and f["lines"].count(x) == 1]
    x = r.choice(ls)
    if r.chance(0.5):
        i = f["lines"].index(x)
        return f"line {i + 1}\n\n" + "\n".join(f"{k + 1}: {t}" for k, t in enumerate(f["lines"])), f"`{x.strip()}`"
    i = f["lines"].index(x)
    before = f["lines"][i - 1].strip() if i else ""
    return (f"line after `{before}`\n\n" if before and [t.strip() for t in f["lines"]].count(before) == 1 else f"first line\n\n") + "\n".join(f["lines"]), f"`{x.strip() if before and [t.strip() for t in f['lines']].count(before) == 1 else f['lines'][0].strip()}`"


def copy(r, level=1.0):
    q, a = r.choices((lookup, after, same, record, line), (3, 1, 2, 3, 2))[0](r)
    return dict(messages=[dict(role="user", content=q), dict(role="assistant", content=a)], think=False, job="copy", gold=dict(answer=a))
