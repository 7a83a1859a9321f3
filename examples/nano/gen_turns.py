"""Conversations of several turns, and system instructions that are kept to."""
import gen_class
import gen_extract
import gen_math
import gen_self
from words import *

# what a person says, how it is taken, the question later, the answer
SAY = [("My name is {v}.", "Hello {v}.", ["What is my name?", "Who am I?", "Do you remember my name?", "Say my name."], "Your name is {v}.", FIRST), ("I live in {v}.", "{v}, noted.", ["Where do I live?", "In which city do I live?", "What is my city?"], "You live in {v}.", CITY),
       ("My favourite color is {v}.", "{v}, noted.", ["What is my favourite color?", "Which color do I like?", "What color did I tell you?"], "Your favourite color is {v}.", COLOR), ("I have a {v}.", "A {v}, noted.", ["Which animal do I have?", "What animal do I have?", "What is my pet?"], "You have a {v}.", ANIMAL),
       ("I was born in {v}.", "{v}, noted.", ["When was I born?", "What is my month of birth?", "In which month was I born?"], "You were born in {v}.", MONTH), ("I bought a {v}.", "A {v}, noted.", ["What did I buy?", "What was it that I bought?", "Which thing did I buy?"], "You bought a {v}.", THING),
       ("The meeting is on {v}.", "{v}, noted.", ["When is the meeting?", "Which day is the meeting?", "On what day do we meet?"], "The meeting is on {v}.", DAY), ("Remember the word {v}.", "{v}, noted.", ["What was the word?", "Which word did I give you?", "Tell me the word."], "The word was {v}.", None),
       ("Remember the number {v}.", "{v}, noted.", ["What was the number?", "Which number did I give you?", "Repeat the number."], "The number was {v}.", 0), ("The code is {v}.", "{v}, noted.", ["What is the code?", "Give me the code.", "Which code did I tell you?"], "The code is {v}.", 1)]
LEAD = ["", "", "By the way: ", "Note: ", "Please remember: ", "You should know: ", "Hi! ", "So, ", "Listen: "]


def draw(r, pool):
    return made_up(r) if pool is None else str(number(r, r.randint(1, 4))) if pool == 0 else code(r) if pool == 1 else r.of(pool)


def memory(r):
    msgs, known = [], []
    for s, ok, qs, a, pool in r.sample(SAY, r.choice((1, 2, 2, 3))):
        v = draw(r, pool)
        known.append((qs, a.format(v=v)))
        msgs += [dict(role="user", content=r.of(LEAD) + s.format(v=v)), dict(role="assistant", content=ok.format(v=v))]
        if r.chance(0.2):
            x = gen_class.question(r)["messages"]
            msgs += x
    asked = r.sample(known, min(len(known), r.choice((1, 1, 2))))
    for qs, a in asked:
        msgs += [dict(role="user", content=r.of(qs)), dict(role="assistant", content=a)]
    return dict(messages=msgs, think=False, job="turns", gold=dict(answer=msgs[-1]["content"]))


THEN = {"+": ["Add {d} to that.", "Now plus {d}.", "And {d} more?", "plus {d}", "{d} on top of it?"],
        "-": ["Subtract {d} from that.", "Now minus {d}.", "And {d} less?", "minus {d}", "take {d} away"]}
ALSO = ["and {b}?", "Now {b}.", "What about {b}?", "The same for {b}.", "Add {b} please", "now the {b}"]
AGAIN = ["Say that again.", "Repeat your answer.", "Once more, please.", "Pardon?", "again", "What did you say?"]
SAYING = ["Say: {s}", "Repeat after me: {s}", "Repeat: {s}", "Please say {s}", "Echo {s}", "Write {s}"]


def follow_math(r):
    a, op, b = gen_math.operands(r, 0.4)
    w, c = gen_math.work(a, op, b)
    op2, d = r.choice("+-"), r.randint(1, 20)
    if op2 == "-" and d > c:
        op2 = "+"
    w2, e = gen_math.work(c, op2, d)
    ask2 = r.of(THEN[op2]).format(d=d)
    msgs = [dict(role="user", content=r.of(gen_math.ASK).format(e=f"{a}{op}{b}")), dict(role="assistant", content=f"{c}", reasoning_content=w), dict(role="user", content=ask2), dict(role="assistant", content=f"{e}", reasoning_content=w2)]
    return dict(messages=msgs, think=True, job="turns", gold=dict(answer=str(e)))


def follow_extract(r):
    kind, text, vals = gen_extract.document(r)
    names = list(vals)
    r.shuffle(names)
    a, b = names[0], names[-1]
    msgs = [dict(role="user", content=r.of(gen_extract.ASK).format(f=a) + "\n\n" + text), dict(role="assistant", content=gen_extract.as_json({a: vals[a]})),
            dict(role="user", content=r.of(ALSO).format(b=b)), dict(role="assistant", content=gen_extract.as_json({b: vals[b]}))]
    return dict(messages=msgs, think=False, job="turns", gold=dict(answer=msgs[-1]["content"]))


# one-word facts said in several ways: for system instructions about the form of the answer
FRENCH = dict(red="rouge", blue="bleu", green="vert", yellow="jaune", black="noir", white="blanc", brown="brun", Monday="lundi", Tuesday="mardi", Wednesday="mercredi", Thursday="jeudi", Friday="vendredi", Saturday="samedi", Sunday="dimanche",
              cat="chat", dog="chien", horse="cheval", rabbit="lapin", cow="vache", sheep="mouton", fox="renard", bee="abeille", apple="pomme", bread="pain", cheese="fromage", egg="oeuf", book="livre", table="table", chair="chaise", key="clé", flower="fleur", tree="arbre")
GERMAN = dict(red="rot", blue="blau", green="grün", yellow="gelb", black="schwarz", white="weiß", brown="braun", Monday="Montag", Tuesday="Dienstag", Wednesday="Mittwoch", Thursday="Donnerstag", Friday="Freitag", Saturday="Samstag", Sunday="Sonntag",
              cat="Katze", dog="Hund", horse="Pferd", rabbit="Hase", cow="Kuh", sheep="Schaf", fox="Fuchs", bee="Biene", apple="Apfel", bread="Brot", cheese="Käse", egg="Ei", book="Buch", table="Tisch", chair="Stuhl", key="Schlüssel", flower="Blume", tree="Baum")
ASKS = [("The {t} is {v}.", "Which color is the {t}?", W("red blue green yellow black white brown"), "The {t} is {v}."), ("{p} has a {v}.", "Which animal does {p} have?", W("cat dog horse rabbit cow sheep fox bee"), "{p} has a {v}."), ("{p} comes on {v}.", "When does {p} come?", W("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"), "{p} comes on {v}."),
        ("{p} buys a {v}.", "What does {p} buy?", W("apple bread cheese egg book table chair key flower tree"), "{p} buys a {v}."), ("{p} paints the wall {v}.", "What color does {p} paint the wall?", W("red blue green yellow black white brown"), "{p} paints the wall {v}."), ("The shop opens on {v}.", "When does the shop open?", W("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"), "The shop opens on {v}.")]
FORMS = {
    "word": ["Answer in one word.", "One word only.", "Use a single word.", "Reply with one word.", "Give one-word answers.", "Say it in one word."], "french": ["Answer in French.", "Reply in French.", "Speak French.", "French only.", "Write your answers in French.", "Use French."],
    "german": ["Answer in German.", "Reply in German.", "Speak German.", "German only.", "Write your answers in German.", "Use German."], "upper": ["Answer in capital letters.", "USE CAPITALS ONLY.", "Write in upper case.", "Reply in capitals.", "Everything in upper case.", "Shout."],
    "sentence": ["Answer in a full sentence.", "Reply with a whole sentence.", "Use full sentences.", "Write one complete sentence.", "Give a full sentence.", "Speak in sentences."], "json": ["Answer in JSON.", "Reply with JSON only.", "Use JSON.", "Write a JSON object.", "JSON only.", "Give JSON."]}
PERSONA = ["", "", "", "You are a helpful assistant. ", "Be kind. ", "You work in a shop. ", "You are a butler. ", "Be brief. ", "You are a robot. "]


def system(r):
    s, q, vs, full = r.of(ASKS)
    v, p, t = r.choice(vs), r.of(FIRST), r.choice(("car", "door", "house", "boat", "hat", "ball", "bag", "box"))
    form = r.choice(list(FORMS))
    word = {"french": FRENCH, "german": GERMAN}.get(form, {}).get(v, v)
    full = full.format(v=v, p=p, t=t)
    say = dict(word=v, french=word, german=word, upper=full.upper(), sentence=full, json="{\"answer\": \"%s\"}" % v)[form]
    inst = r.choice(PERSONA) + r.of(FORMS[form])
    user = r.choice(("{s} {q}", "{s}\n{q}", "{s}\n\n{q}", "{q}\n\n{s}")).format(s=s.format(v=v, p=p, t=t), q=q.format(p=p, t=t))
    msgs = [dict(role="system", content=inst), dict(role="user", content=user), dict(role="assistant", content=say)] if r.chance(0.7) else [dict(role="user", content=inst + " " + user), dict(role="assistant", content=say)]
    return dict(messages=msgs, think=False, job="turns", gold=dict(answer=say))


def repeat(r):
    """Say again what was asked or answered before."""
    s = r.choice((lambda: f"{r.of(FIRST)} {r.of(VERB)}s the {r.of(NOUN)}", lambda: " ".join(made_up(r) for _ in range(r.randint(1, 4))), lambda: f"the {r.of(COLOR)} {r.of(THING)} of {r.of(FIRST)}"))()
    if r.chance(0.5):
        x = gen_class.question(r)["messages"]
        return dict(messages=x + [dict(role="user", content=r.of(AGAIN)), dict(role="assistant", content=x[-1]["content"])], think=False, job="turns", gold=dict(answer=x[-1]["content"]))
    ask = r.of(SAYING).format(s=s)
    return dict(messages=[dict(role="user", content=ask), dict(role="assistant", content=s)], think=False, job="turns", gold=dict(answer=s))


def turns(r, level=1.0):
    f = r.choices((memory, follow_math, follow_extract, system, repeat, gen_class.question), (4, 1, 1.5, 4, 1, 1))[0]
    return f(r)


if __name__ == "__main__":
    r = R(1)
    for _ in range(8):
        print([m["content"] for m in turns(r)["messages"]], "\n")
