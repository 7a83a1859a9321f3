"""Sums with the working written out digit by digit, and small word problems."""
from words import *


def add_steps(a, b):
    """7+6=13, 4+8+1=13, ... from the right."""
    out, carry = [], 0
    x, y = str(a)[::-1], str(b)[::-1]
    for i in range(max(len(x), len(y))):
        p, q = (x[i] if i < len(x) else "0"), (y[i] if i < len(y) else "0")
        s = int(p) + int(q) + carry
        out.append(f"{p}+{q}" + ("+1" if carry else "") + f"={s}")
        carry = s // 10
    return ", ".join(out)


def sub_steps(a, b):
    out, borrow = [], 0
    x, y = str(a)[::-1], str(b)[::-1]
    for i in range(len(x)):
        p, q = int(x[i]) - borrow, int(y[i]) if i < len(y) else 0
        borrow = 1 if p < q else 0
        out.append(f"{p + 10 * borrow}-{q}={p + 10 * borrow - q}")
    return ", ".join(out)


def mul_steps(a, b):
    out, carry = [], 0
    for c in str(a)[::-1]:
        s = int(c) * b + carry
        out.append(f"{c}*{b}" + (f"+{carry}" if carry else "") + f"={s}")
        carry = s // 10
    return ", ".join(out)


def work(a, op, b):
    c = a + b if op == "+" else a - b if op == "-" else a * b
    steps = add_steps(a, b) if op == "+" else sub_steps(a, b) if op == "-" else mul_steps(a, b)
    return f"{a}{op}{b}: {steps}; {c}", c


def operands(r, level=1.0):
    op = r.choice("++-*")
    d = r.choice((1, 1, 2, 2)) if level < 0.5 else r.choice((1, 2, 2, 3, 3, 4))
    a, b = r.randint(10 ** (d - 1), 10 ** d - 1), r.randint(1, 10 ** r.randint(1, d) - 1)
    if op == "*":
        b = r.randint(2, 9)
    elif op == "-" and b > a:
        a, b = b, a
    return a, op, b


WORDS_OP = {"+": ["{a} plus {b}", "the sum of {a} and {b}", "{a} + {b}", "{a}+{b}"], "-": ["{a} minus {b}", "{a} - {b}", "the difference of {a} and {b}", "{a}-{b}"], "*": ["{a} times {b}", "{a} * {b}", "the product of {a} and {b}", "{a} x {b}"]}
ASK = ["What is {e}?", "Compute {e}.", "{e} = ?", "{e}", "Calculate {e}", "How much is {e}?", "Tell me {e}.", "Please compute {e}.", "Work out {e}.", "{e}?", "Give me {e}.", "Find {e}.", "I need {e}.", "Solve {e}.", "what's {e}"]


def plain(r, level=1.0):
    a, op, b = operands(r, level)
    w, c = work(a, op, b)
    ask = r.of(ASK).format(e=r.of(WORDS_OP[op]).format(a=a, b=b))
    return finish(r, ask, [w], c)


# a story for each sign: who, what, two numbers
STORY = {
    "+": ["{p} has {a} {t}s and buys {b} more. How many {t}s does {p} have now?", "There are {a} {t}s in one box and {b} in another. How many are there?", "{p} finds {a} {t}s on {d} and {b} on the next day. How many in all?",
          "A shop sells {a} {t}s in the morning and {b} in the afternoon. How many {t}s does it sell?", "{p} has {a} {t}s. {q} gives {p} {b} more. How many {t}s does {p} have?", "{p} made {a} {t}s and {q} made {b}. How many did they make together?",
          "A shelf holds {a} {t}s. {b} more are put on it. How many {t}s are there now?", "On {d} {a} people came, on the next day {b}. How many people came?"],
    "-": ["{p} has {a} {t}s and gives {b} to {q}. How many are left?", "There were {a} {t}s. {b} of them were sold. How many {t}s remain?", "{p} had {a} {t}s and lost {b}. How many {t}s does {p} have?", "Of {a} {t}s {b} are {c}. How many are not {c}?",
          "{p} needs {a} {t}s and has {b}. How many are missing?", "A box of {a} {t}s fell and {b} broke. How many are whole?", "{p} owns {a} {t}s, {q} owns {b}. How many more does {p} own?", "From {a} {t}s {p} takes away {b}. How many stay?"],
    "*": ["{p} buys {b} boxes of {a} {t}s each. How many {t}s is that?", "Each of {b} shelves holds {a} {t}s. How many {t}s are there?", "A {t} costs {a} euros. What do {b} {t}s cost?", "{p} reads {a} pages a day. How many pages in {b} days?",
          "There are {b} rows with {a} {t}s in each. How many {t}s?", "{p} packs {a} {t}s into each of {b} bags. How many {t}s are packed?", "One crate weighs {a} kg. How heavy are {b} crates?", "{b} children have {a} {t}s each. How many {t}s do they have?"]}
MORE = {"+": ["Then {p} gets {c} more.", "Later {c} more arrive."], "-": ["Then {c} are lost.", "Later {c} are given away."]}


def story(r, level=1.0):
    a, op, b = operands(r, min(level, 0.4) if r.chance(0.5) else level)
    p, q = r.some(FIRST, 2)
    ask = r.of(STORY[op]).format(a=a, b=b, p=p, q=q, t=r.of(THING), d=r.choice(DAY), c=r.of(COLOR))
    w, c = work(a, op, b)
    steps = [w]
    if r.chance(0.25) and c > 3:
        op2 = r.choice("+-")
        c2 = r.randint(1, min(c - 1, 99))
        last = max(ask.rfind(". "), 0)
        head, question = (ask[:last + 1], ask[last + 2:]) if last else ("", ask)
        if head and "How many" in question:
            ask = f"{head} {r.choice(MORE[op2]).format(p=p, c=c2)} {question}"
            w2, c = work(c, op2, c2)
            steps.append(w2)
    return finish(r, ask, steps, c)


HASH = ["End with #### and the number.", "Give the result as #### N.", "Answer in the form #### N.", "Finish with a line #### and the result.", "Put the final answer behind ####."]


def finish(r, ask, steps, c):
    k = r.random()
    if k < 0.25:
        return dict(messages=[dict(role="user", content=ask + r.choice((" ", "\n")) + r.of(HASH)), dict(role="assistant", content="\n".join(steps) + f"\n#### {c}")], think=False, job="math", gold=dict(answer=c, hash=True))
    if k < 0.35:
        return dict(messages=[dict(role="user", content=ask + r.choice((" ", "\n")) + r.of(HASH)), dict(role="assistant", content=f"#### {c}", reasoning_content="\n".join(steps))], think=True, job="math", gold=dict(answer=c, hash=True))
    if k < 0.9:
        return dict(messages=[dict(role="user", content=ask), dict(role="assistant", content=f"{c}", reasoning_content="\n".join(steps))], think=True, job="math", gold=dict(answer=c, hash=False))
    return dict(messages=[dict(role="user", content=ask), dict(role="assistant", content="\n".join(steps) + f"\n{c}")], think=False, job="math", gold=dict(answer=c, hash=False))


def math(r, level=1.0):
    return (plain if r.chance(0.5) else story)(r, level)


if __name__ == "__main__":
    r = R(1)
    for _ in range(10):
        m = math(r)["messages"]
        print(m[0]["content"], "=>", m[1].get("reasoning_content"), "=>", m[1]["content"])
