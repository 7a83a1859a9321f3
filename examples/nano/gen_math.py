"""Sums with the working written out digit by digit, and small word problems."""
from words import *


def columns(a, b):
    """Pairs of digits from the right, the shorter number filled with noughts."""
    n = max(len(str(a)), len(str(b)))
    return [(int(p), int(q)) for p, q in zip(reversed(f"{a:0{n}}"), reversed(f"{b:0{n}}"))]


# Every step has the same width, so that the digit it needs always stands at a distance that only depends on the step.
def add_steps(a, b):
    """1720+601: 0+1+0=01, 2+0+0=02, 7+6+0=13, 1+0+1=02"""
    out, carry = [], 0
    for p, q in columns(a, b):
        s = p + q + carry
        out.append(f"{p}+{q}+{carry}={s:02}")
        carry = s // 10
    return ", ".join(out)


def sub_steps(a, b):
    """1720-601: 10-1-0=09, 02-0-1=01, 07-6-0=01, 01-0-0=01"""
    out, borrow = [], 0
    for p, q in columns(a, b):
        more = 10 if p < q + borrow else 0
        out.append(f"{p + more:02}-{q}-{borrow}={p + more - q - borrow:02}")
        borrow = 1 if more else 0
    return ", ".join(out)


def mul_steps(a, b):
    """47*6: 7*6+0=42, 4*6+4=28"""
    out, carry = [], 0
    for c in str(a)[::-1]:
        s = int(c) * b + carry
        out.append(f"{c}*{b}+{carry}={s:02}")
        carry = s // 10
    return ", ".join(out)


def work(a, op, b):
    c = a + b if op == "+" else a - b if op == "-" else a * b
    steps = add_steps(a, b) if op == "+" else sub_steps(a, b) if op == "-" else mul_steps(a, b)
    n = 1 if op == "*" else max(len(str(a)), len(str(b)))
    return f"{a:0{n}}{op}{b:0{n}}: {steps}; {c}", c


def operands(r, level=1.0):
    op = r.choice("++-*")
    d = r.choice((1, 1, 2, 2)) if level < 0.5 else r.choice((1, 2, 2, 3, 3, 4))
    a, b = r.randint(10 ** (d - 1), 10 ** d - 1), r.randint(1, 10 ** r.randint(1, d) - 1)
    if op == "*":
        b = r.randint(2, 9)
    elif op == "-" and b > a:
        a, b = b, a
    return a, op, b


WORDS_OP = {"+": ["{a} plus {b}", "the sum of {a} and {b}", "{a} + {b}", "{a}+{b}"], "-": ["{a} minus {b}", "{a} - {b}", "the difference of {a} and {b}", "{a}-{b}"],
    "*": ["{a} times {b}", "{a} * {b}", "the product of {a} and {b}", "{a} x {b}"]}
ASK = ["What is {e}?", "Compute {e}.", "{e} = ?", "{e}", "Calculate {e}", "How much is {e}?", "Tell me {e}.", "Please compute {e}.", "Work out {e}.", "{e}?", "Give me {e}.",
    "Find {e}.", "I need {e}.", "Solve {e}.", "what's {e}"]


def plain(r, level=1.0):
    a, op, b = operands(r, level)
    w, c = work(a, op, b)
    ask = r.of(ASK).format(e=r.of(WORDS_OP[op]).format(a=a, b=b))
    return finish(r, ask, [w], c)


# a story for each sign: who, what, two numbers
STORY = {
    "+": ["{p} has {a} {t}s and buys {b} more. How many {t}s does {p} have now?", "There are {a} {t}s in one box and {b} in another. How many are there?",
          "{p} finds {a} {t}s on {d} and {b} on the next day. How many in all?",
          "A shop sells {a} {t}s in the morning and {b} in the afternoon. How many {t}s does it sell?", "{p} has {a} {t}s. {q} gives {p} {b} more. How many {t}s does {p} have?",
          "{p} made {a} {t}s and {q} made {b}. How many did they make together?",
          "A shelf holds {a} {t}s. {b} more are put on it. How many {t}s are there now?", "On {d} {a} people came, on the next day {b}. How many people came?",
          "{q} gives {p} {b} {t}s. {p} had {a} before. How many {t}s does {p} have now?", "{p} was given {b} {t}s and already had {a}. How many does {p} have?",
          "{p} had {a} {t}s. {q} brings {p} {b} {t}s. How many {t}s does {p} have?", "{p} gets {a} {t}s from {q} and {b} from a friend. How many {t}s does {p} get?",
          "{p} carries {a} {t}s, {q} carries {b}. How many {t}s do they carry?", "A train with {a} people stops and {b} people get on. How many people are on the train?",
          "{p} owns {a} {t}s and receives {b} as a gift. How many {t}s is that?", "In one box are {a} {t}s and {b} {c} ones. How many {t}s in all?",
          "{p} read {a} pages yesterday and {b} today. How many pages were read?", "{q} lends {p} {b} {t}s. With the {a} of {p}, how many {t}s are there?",
          "{p} needs {a} {t}s for one wall and {b} for the other. How many {t}s are needed?", "The first bag weighs {a} kg, the second {b} kg. What do both weigh?"],
    "-": ["{p} has {a} {t}s and gives {b} to {q}. How many are left?", "There were {a} {t}s. {b} of them were sold. How many {t}s remain?",
          "{p} had {a} {t}s and lost {b}. How many {t}s does {p} have?", "Of {a} {t}s {b} are {c}. How many are not {c}?",
          "{p} needs {a} {t}s and has {b}. How many are missing?", "A box of {a} {t}s fell and {b} broke. How many are whole?",
          "{p} owns {a} {t}s, {q} owns {b}. How many more does {p} own?", "From {a} {t}s {p} takes away {b}. How many stay?",
          "{q} takes {b} of the {a} {t}s of {p}. How many does {p} still have?", "{p} had {a} {t}s. {q} borrows {b}. How many {t}s does {p} have left?",
          "{p} eats {b} of {a} {t}s. How many {t}s are left over?", "A train with {a} people stops and {b} get off. How many people stay on the train?",
          "{p} has {a} {t}s, {b} fewer are with {q}. How many has {q}?", "{a} {t}s were ordered and {b} came. How many are still to come?",
          "{p} spends {b} of {a} euros. How many euros are left?", "A book has {a} pages and {p} has read {b}. How many pages remain?",
          "{p} hands {b} of the {a} {t}s to {q}. How many {t}s does {p} keep?", "There are {a} seats and {b} are taken. How many seats are free?",
          "{p} threw away {b} of {a} {t}s. How many {t}s were kept?", "{p} saved {a} euros and paid {b} for a {t}. What is left?"],
    "*": ["{p} buys {b} boxes of {a} {t}s each. How many {t}s is that?", "Each of {b} shelves holds {a} {t}s. How many {t}s are there?",
          "A {t} costs {a} euros. What do {b} {t}s cost?", "{p} reads {a} pages a day. How many pages in {b} days?",
          "There are {b} rows with {a} {t}s in each. How many {t}s?", "{p} packs {a} {t}s into each of {b} bags. How many {t}s are packed?",
          "One crate weighs {a} kg. How heavy are {b} crates?", "{b} children have {a} {t}s each. How many {t}s do they have?",
          "{p} has {b} bags with {a} {t}s in each bag. How many {t}s does {p} have?", "{b} friends bring {a} {t}s each. How many {t}s do they bring?",
          "Every day {p} makes {a} {t}s. How many {t}s in {b} days?", "One {t} weighs {a} grams. What do {b} {t}s weigh?",
          "A pack holds {a} {t}s and {p} has {b} packs. How many {t}s are that?", "{b} tables with {a} chairs each: how many chairs?",
          "{p} pays {a} euros a month. How much is that in {b} months?", "{b} buses carry {a} people each. How many people do they carry?",
          "There are {a} {t}s in a box. How many are in {b} boxes?", "{p} runs {a} metres {b} times. How many metres is that?",
          "Each of {b} people gets {a} {t}s. How many {t}s are handed out?", "A page has {a} words. How many words are on {b} pages?"]}
# Stories put together from parts, for training alone: what there is, what happens, what is asked.
HAVE = ["{p} has {a} {t}s", "There are {a} {t}s", "{p} owns {a} {t}s", "{p} had {a} {t}s", "{a} {t}s lie on the floor", "We counted {a} {t}s", "{p} keeps {a} {t}s at home", "A shop has {a} {t}s", "{p} and {q} share {a} {t}s", "On {d} there were {a} {t}s", "{p} starts with {a} {t}s", "{a} {c} {t}s are here"]
CHANGE = {
    "+": ["{q} gives {p} {b}", "{b} more are added", "{b} come along", "then {p} finds {b}", "{p} receives {b} from {q}", "{b} were delivered on {d}", "{q} brings {b}", "{p} gets {b} as a present", "{p} earns {b}", "{b} others join", "{q} adds {b}", "{p} picks up {b}", "{b} new ones arrive", "a friend hands {p} {b}"],
    "-": ["{p} gives {q} {b}", "{b} are taken away", "{b} leave", "then {p} loses {b}", "{q} gets {b} from {p}", "{b} were sold on {d}", "{q} takes {b}", "{p} gives away {b}", "{p} pays {b}", "{b} break", "{q} removes {b}", "{p} drops {b}", "{b} old ones go", "{p} hands a friend {b}"]}
PAIR = ["{p} has {a}, {q} has {b}", "One {t} weighs {a} kg and another {b} kg", "{a} on {d} and {b} later", "A {t} costs {a} euros, a hat {b} euros", "{a} {c} {t}s and {b} big ones", "{p} walks {a} km and then {b} km", "One box holds {a}, the other {b}", "{p} made {a} points, {q} {b}"]
GROUPS = ["{b} boxes hold {a} {t}s each", "{a} {t}s for each of {b} people", "{a} {t}s a day for {b} days", "{p} fills {b} jars with {a} {t}s each", "{b} times {p} buys {a} {t}s", "{a} euros per {t}, {b} {t}s", "{b} rooms with {a} chairs each", "{p} walks {a} km on each of {b} days", "{b} trucks bring {a} crates each", "a team of {a}, and {b} teams"]
NOW = ["How many are there now?", "How many {t}s is that?", "How many {t}s does {p} have now?", "What is the number now?", "How many does that make?", "How many are there?"]
LEFT = ["How many are left?", "How many remain?", "How many {t}s does {p} still have?", "What is left?", "How many stay?", "How many are there now?"]
BOTH = ["How much is that together?", "What is the sum?", "How many in all?", "What do they make together?", "Altogether?", "What is the total?"]


def made_story(r, op):
    cap = lambda s: s[0].upper() + s[1:]
    if op == "*":
        return cap(r.choice(GROUPS)) + ". " + r.choice(BOTH[:1] + BOTH[2:3] + BOTH[4:] + NOW[1:2] + NOW[4:])
    if op == "+" and r.chance(0.35):
        return cap(r.choice(PAIR)) + ". " + r.choice(BOTH)
    have, change = r.choice(HAVE), r.choice(CHANGE[op])
    return have + r.choice((". " + cap(change), " and " + change, ", " + change)) + ". " + r.choice(NOW if op == "+" else LEFT)


MORE = {"+": ["Then {p} gets {c} more.", "Later {c} more arrive."], "-": ["Then {c} are lost.", "Later {c} are given away."]}


def story(r, level=1.0):
    a, op, b = operands(r, min(level, 0.4) if r.chance(0.5) else level)
    p, q = r.some(FIRST, 2)
    ask = (made_story(r, op) if r.training(0.5) else r.of(STORY[op])).format(a=a, b=b, p=p, q=q, t=r.of(THING), d=r.choice(DAY), c=r.of(COLOR))
    w, c = work(a, op, b)
    steps = [w]
    if op != "*" and r.chance(0.25) and c > 3:
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
        return dict(messages=[dict(role="user", content=ask + r.choice((" ", "\n")) + r.of(HASH)), dict(role="assistant", content="\n".join(steps) + f"\n#### {c}")], think=False,
            job="math", gold=dict(answer=c, hash=True))
    if k < 0.35:
        return dict(messages=[dict(role="user", content=ask + r.choice((" ", "\n")) + r.of(HASH)), dict(role="assistant", content=f"#### {c}", reasoning_content="\n".join(steps))],
            think=True, job="math", gold=dict(answer=c, hash=True))
    if k < 0.9:
        return dict(messages=[dict(role="user", content=ask), dict(role="assistant", content=f"{c}", reasoning_content="\n".join(steps))], think=True, job="math",
            gold=dict(answer=c, hash=False))
    return dict(messages=[dict(role="user", content=ask), dict(role="assistant", content="\n".join(steps) + f"\n{c}")], think=False, job="math", gold=dict(answer=c, hash=False))


def math(r, level=1.0):
    return (plain if r.chance(0.5) else story)(r, level)


if __name__ == "__main__":
    r = R(1)
    for _ in range(10):
        m = math(r)["messages"]
        print(m[0]["content"], "=>", m[1].get("reasoning_content"), "=>", m[1]["content"])
