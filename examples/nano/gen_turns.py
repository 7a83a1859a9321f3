"""Conversations of several turns, and system instructions that are kept to."""
import gen_class
import gen_extract
import gen_math
import gen_self
from words import *

# what a person says, how it is taken, the question later, the answer
SAY = [("My name is {v}.", "Hello {v}.", ["What is my name?", "Who am I?", "Do you remember my name?", "Say my name."], "Your name is {v}.", FIRST), ("I live in {v}.",
    "{v}, noted.", ["Where do I live?", "In which city do I live?", "What is my city?"], "You live in {v}.", CITY),
       ("My favourite color is {v}.", "{v}, noted.", ["What is my favourite color?", "Which color do I like?", "What color did I tell you?"], "Your favourite color is {v}.",
           COLOR), ("I have a {v}.", "A {v}, noted.", ["Which animal do I have?", "What animal do I have?", "What is my pet?"], "You have a {v}.", ANIMAL),
       ("I was born in {v}.", "{v}, noted.", ["When was I born?", "What is my month of birth?", "In which month was I born?"], "You were born in {v}.", MONTH), ("I bought a {v}.",
           "A {v}, noted.", ["What did I buy?", "What was it that I bought?", "Which thing did I buy?"], "You bought a {v}.", THING),
       ("The meeting is on {v}.", "{v}, noted.", ["When is the meeting?", "Which day is the meeting?", "On what day do we meet?"], "The meeting is on {v}.", DAY),
           ("Remember the word {v}.", "{v}, noted.", ["What was the word?", "Which word did I give you?", "Tell me the word."], "The word was {v}.", None),
       ("Remember the number {v}.", "{v}, noted.", ["What was the number?", "Which number did I give you?", "Repeat the number."], "The number was {v}.", 0), ("The code is {v}.",
           "{v}, noted.", ["What is the code?", "Give me the code.", "Which code did I tell you?"], "The code is {v}.", 1)]
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


THEN = {"+": ["Add {d} to that.", "Now plus {d}.", "And {d} more?", "plus {d}", "{d} on top of it?", "add {d}", "Put {d} on top.", "What if {d} are added?", "And with {d} more?",
    "{d} more, please.", "Increase it by {d}.", "now add {d} to the result"],
        "-": ["Subtract {d} from that.", "Now minus {d}.", "And {d} less?", "minus {d}", "take {d} away", "Remove {d} from it.", "What if {d} are taken away?",
            "And with {d} less?", "{d} less, please.", "Lower it by {d}.", "now subtract {d} from the result"]}
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
    msgs = [dict(role="user", content=r.of(gen_math.ASK).format(e=f"{a}{op}{b}")), dict(role="assistant", content=f"{c}", reasoning_content=w), dict(role="user", content=ask2),
        dict(role="assistant", content=f"{e}", reasoning_content=w2)]
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
FRENCH = dict(red="rouge", blue="bleu", green="vert", yellow="jaune", black="noir", white="blanc", brown="brun", Monday="lundi", Tuesday="mardi", Wednesday="mercredi",
    Thursday="jeudi", Friday="vendredi", Saturday="samedi", Sunday="dimanche",
              cat="chat", dog="chien", horse="cheval", rabbit="lapin", cow="vache", sheep="mouton", fox="renard", bee="abeille", apple="pomme", bread="pain", cheese="fromage",
                  egg="oeuf", book="livre", table="table", chair="chaise", key="clé", flower="fleur", tree="arbre")
GERMAN = dict(red="rot", blue="blau", green="grün", yellow="gelb", black="schwarz", white="weiß", brown="braun", Monday="Montag", Tuesday="Dienstag", Wednesday="Mittwoch",
    Thursday="Donnerstag", Friday="Freitag", Saturday="Samstag", Sunday="Sonntag",
              cat="Katze", dog="Hund", horse="Pferd", rabbit="Hase", cow="Kuh", sheep="Schaf", fox="Fuchs", bee="Biene", apple="Apfel", bread="Brot", cheese="Käse", egg="Ei",
                  book="Buch", table="Tisch", chair="Stuhl", key="Schlüssel", flower="Blume", tree="Baum")
PETS, HUES = W("cat dog horse rabbit cow sheep fox bee"), W("red blue green yellow black white brown")
GOODS = W("apple bread cheese egg book table chair key flower tree")
ASKS = [("The {t} is {v}.", "Which color is the {t}?", HUES, "The {t} is {v}."), ("{p} has a {v}.", "Which animal does {p} have?", PETS, "{p} has a {v}."), ("{p} comes on {v}.",
    "When does {p} come?", DAY, "{p} comes on {v}."),
        ("{p} buys a {v}.", "What does {p} buy?", GOODS, "{p} buys a {v}."), ("{p} paints the wall {v}.", "What color does {p} paint the wall?", HUES, "{p} paints the wall {v}."),
            ("The shop opens on {v}.", "When does the shop open?", DAY, "The shop opens on {v}."),
        ("{p} sees a {v}.", "Which animal does {p} see?", PETS, "{p} sees a {v}."), ("The {t} of {p} is {v}.", "What color is the {t} of {p}?", HUES, "The {t} of {p} is {v}."),
            ("{p} sells a {v}.", "What does {p} sell?", GOODS, "{p} sells a {v}."), ("{p} travels on {v}.", "When does {p} travel?", DAY, "{p} travels on {v}."),
        ("{p} likes {v}.", "Which color does {p} like?", HUES, "{p} likes {v}."), ("{p} feeds a {v}.", "What does {p} feed?", PETS, "{p} feeds a {v}."), ("{p} wants a {v}.",
            "What does {p} want?", GOODS, "{p} wants a {v}."), ("The market is on {v}.", "When is the market?", DAY, "The market is on {v}."),
        ("{p} draws a {v}.", "Which animal does {p} draw?", PETS, "{p} draws a {v}."), ("{p} needs a {v}.", "What does {p} need?", GOODS, "{p} needs a {v}."),
            ("They painted the {t} {v}.", "Which color did they paint the {t}?", HUES, "They painted the {t} {v}."), ("{p} rests on {v}.", "On which day does {p} rest?", DAY,
            "{p} rests on {v}."),
        ("{p} loses a {v}.", "What does {p} lose?", GOODS, "{p} loses a {v}."), ("The bus comes on {v}.", "When does the bus come?", DAY, "The bus comes on {v}.")]
FORMS = {
    "word": ["Answer in one word.", "One word only.", "Use a single word.", "Reply with one word.", "Give one-word answers.", "Say it in one word.", "Your answer is one word.",
             "Just one word, please.", "A single word is enough.", "Only one word.", "Do not use more than one word.", "Keep it to one word.", "Be terse: one word.", "one word",
             "No sentences, one word."],
    "french": ["Answer in French.", "Reply in French.", "Speak French.", "French only.", "Write your answers in French.", "Use French.",
               "Please answer in French.", "You speak only French.", "The user reads French.", "All answers in French.", "Respond in French.", "French, please.", "Always use French.",
               "in French", "Say it in French."],
    "german": ["Answer in German.", "Reply in German.", "Speak German.", "German only.", "Write your answers in German.", "Use German.", "Please answer in German.",
               "You speak only German.", "The user reads German.", "All answers in German.", "Respond in German.", "German, please.", "Always use German.", "in German",
               "Say it in German."],
    "upper": ["Answer in capital letters.", "USE CAPITALS ONLY.", "Write in upper case.", "Reply in capitals.", "Everything in upper case.", "Shout.",
              "Please write in capitals.", "You only know capital letters.", "All letters are upper case.", "Use upper case.", "Respond in capital letters.", "ANSWER IN CAPITALS.",
              "Always shout.", "in capitals", "Say it in upper case."],
    "sentence": ["Answer in a full sentence.", "Reply with a whole sentence.", "Use full sentences.", "Write one complete sentence.", "Give a full sentence.",
                 "Speak in sentences.", "Please answer in a sentence.", "Your answers are full sentences.", "A whole sentence, please.", "Respond in a complete sentence.",
                 "Always use whole sentences.", "Say it in a sentence.", "Never answer in one word, use a sentence.", "in a full sentence", "Make a sentence of it."],
        "json": ["Answer in JSON.", "Reply with JSON only.", "Use JSON.", "Write a JSON object.", "JSON only.", "Give JSON.", "Please answer in JSON.", "Your answers are JSON.",
                 "The reader is a program that wants JSON.", "Respond in JSON.", "Always use JSON.", "Say it in JSON.", "Output is JSON.", "in JSON", "JSON, please."]}
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
    msgs = [dict(role="system", content=inst), dict(role="user", content=user), dict(role="assistant", content=say)] if r.chance(0.7) else [dict(role="user",
        content=inst + " " + user), dict(role="assistant", content=say)]
    return dict(messages=msgs, think=False, job="turns", gold=dict(answer=say))


def repeat(r):
    """Say again what was asked or answered before."""
    s = r.choice((lambda: f"{r.of(FIRST)} {r.of(VERB)}s the {r.of(NOUN)}", lambda: " ".join(made_up(r) for _ in range(r.randint(1, 4))),
        lambda: f"the {r.of(COLOR)} {r.of(THING)} of {r.of(FIRST)}"))()
    if r.chance(0.5):
        x = gen_class.question(r)["messages"]
        return dict(messages=x + [dict(role="user", content=r.of(AGAIN)), dict(role="assistant", content=x[-1]["content"])], think=False, job="turns",
            gold=dict(answer=x[-1]["content"]))
    ask = r.of(SAYING).format(s=s)
    return dict(messages=[dict(role="user", content=ask), dict(role="assistant", content=s)], think=False, job="turns", gold=dict(answer=s))


def turns(r, level=1.0):
    f = r.choices((memory, follow_math, follow_extract, system, repeat, gen_class.question), (4, 1, 1.5, 4, 1, 1))[0]
    return f(r)


if __name__ == "__main__":
    r = R(1)
    for _ in range(8):
        print([m["content"] for m in turns(r)["messages"]], "\n")
