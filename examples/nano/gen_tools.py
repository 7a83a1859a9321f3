"""Tool declarations nobody has seen before, requests for them, and whole episodes: one call, a chain of two, or none."""
import json

import gen_class
import gen_math
import gen_self
from words import *

# parameter: (json type, description, how a request says it, value)
PARAM = dict(
    city=("string", "Name of the city", ["in {v}", "for {v}"], city), name=("string", "Full name", ["for {v}", "named {v}", "of {v}"], person), date=("string", "The day", ["on {v}", "for {v}"], date),
    time=("string", "Time of day", ["at {v}"], clock), count=("integer", "How many", ["{v} times", "with count {v}", "count {v}"], lambda r: number(r)), limit=("integer", "Largest number of results", ["at most {v}", "limit {v}"], lambda r: number(r)),
    color=("string", "Color name", ["in {v}", "with color {v}"], lambda r: r.of(COLOR)), email=("string", "Mail address", ["to {v}", "for {v}"], mail), path=("string", "Path of the file", ["at {v}", "in {v}"], lambda r: f"/{r.of(NOUN)}/{r.of(NOUN)}.txt"),
    price=("number", "Price in euros", ["for {v} euros", "at a price of {v}"], price), room=("string", "Room number", ["in room {v}"], lambda r: r.choice("ABCDEF") + str(r.randint(1, 300))), level=("integer", "Level to set", ["to level {v}", "level {v}"], lambda r: r.randint(0, 100)),
    text=("string", "The text", ["saying {v}", "with the text {v}"], lambda r: f"{r.of(VERB)} the {r.of(NOUN)}"), query=("string", "What to look for", ["about {v}", "matching {v}"], lambda r: f"{r.of(COLOR)} {r.of(THING)}"), id=("string", "Identifier", ["{v}", "with id {v}", "number {v}"], code),
    unit=("string", "Unit", ["in {v}"], lambda r: r.choice(("celsius", "fahrenheit", "km", "miles", "kg", "pounds"))), verbose=("boolean", "Give details", ["with details"], lambda r: True), weight=("number", "Weight in kg", ["weighing {v} kg", "with weight {v}"], lambda r: r.randint(1, 500) / 10),
    user=("string", "User name", ["for user {v}", "of user {v}"], lambda r: made_up(r)), tag=("string", "Tag", ["with tag {v}", "tagged {v}"], lambda r: r.of(NOUN)), host=("string", "Host name", ["on {v}", "of host {v}"], lambda r: r.of(NOUN) + str(r.randint(1, 20))))
ACTS = dict(get=["get", "fetch", "show me", "give me", "what is", "tell me", "I need", "look up"], set=["set", "change", "adjust", "update"], find=["find", "search for", "look for", "locate"], book=["book", "reserve"], send=["send", "deliver"], delete=["delete", "remove", "drop"],
            create=["create", "make", "add", "set up"], start=["start", "launch", "run", "begin"], stop=["stop", "halt", "end"], list=["list", "show all", "enumerate"], count=["count", "how many", "number of"], check=["check", "verify", "test"], print=["print", "print out"], order=["order", "buy"])
GLOSS = dict(get="Get", set="Change", find="Find", book="Book", send="Send", delete="Delete", create="Create", start="Start", stop="Stop", list="List", count="Count", check="Check", print="Print", order="Order")
THINGS = W("""weather invoice parcel ticket report meeting alarm light heater door playlist song movie recipe flight hotel table taxi train bus map route photo album note reminder
calendar contact message backup server job process log printer camera battery account balance payment loan stock price currency score match team player book shelf member course exam grade
patient dose sample sensor valve pump tank motor robot drone order cart product review coupon shipment crate pallet truck garage bike scooter charger garden lawn pool oven fridge washer""")
KEYS = dict(status=lambda r: r.choice(("ok", "done", "open", "closed", "shipped", "waiting", "ready", "failed", "sent", "full")), temperature=lambda r: r.randint(-10, 35), total=price, count=lambda r: number(r), eta=date, name=person, city=city, level=lambda r: r.randint(0, 100),
            code=code, time=clock, price=price, owner=lambda r: r.of(FIRST), room=lambda r: r.choice("ABCDEF") + str(r.randint(1, 300)), sky=lambda r: r.choice(("clear", "cloudy", "rain", "snow", "fog")))


class Tool:
    def __init__(self, r, verb=None, noun=None, params=None):
        self.verb, self.noun = verb or r.choice(list(ACTS)), noun or (r.of(THINGS) if r.chance(0.75) else made_up(r))
        self.params = params if params is not None else r.sample(list(PARAM), r.choice((1, 1, 2, 2, 3)))
        self.name = r.choice((f"{self.verb}_{self.noun}", f"{self.verb}_{self.noun}", f"{self.noun}_{self.verb}"))
        self.desc = r.choice((f"{GLOSS[self.verb]} a {self.noun}", f"{GLOSS[self.verb]} the {self.noun}", f"{GLOSS[self.verb]}s the {self.noun}.", f"{GLOSS[self.verb]} {self.noun} data"))
        self.optional = set(p for p in self.params[1:] if r.chance(0.25))

    def declare(self):
        props = {p: dict(type=PARAM[p][0], description=PARAM[p][1]) for p in self.params}
        return dict(type="function", function=dict(name=self.name, description=self.desc, parameters=dict(type="object", properties=props, required=[p for p in self.params if p not in self.optional])))

    def values(self, r, given=()):
        return {p: PARAM[p][3](r) for p in self.params if p not in self.optional or r.chance(0.5)}


def said(r, p, v):
    return r.of(PARAM[p][2]).format(v=f"{v:.2f}" if isinstance(v, float) and p == "price" else v)


FRAME = ["{a} the {n} {x}", "{a} the {n} {x}.", "Please {a} the {n} {x}.", "{a} the {n} {x}, please", "Can you {a} the {n} {x}?", "I want you to {a} the {n} {x}.", "Could you {a} a {n} {x}?", "{a} {n} {x}", "Hey, {a} the {n} {x}!", "{a} my {n} {x}",
         "We have to {a} the {n} {x}.", "Now {a} the {n} {x}.", "{a} our {n} {x}", "Let us {a} the {n} {x}.", "Would you {a} the {n} {x}?"]
ASKING = {"what is": "What is the {n} {x}?", "tell me": "Tell me the {n} {x}.", "I need": "I need the {n} {x}.", "how many": "How many {n}s {x}?", "number of": "Number of {n}s {x}?", "give me": "Give me the {n} {x}.", "show me": "Show me the {n} {x}."}


def request(r, tool, vals):
    act = r.choice(ACTS[tool.verb])
    parts = [said(r, p, v) for p, v in vals.items()]
    if r.chance(0.5):
        r.shuffle(parts)
    frame = ASKING.get(act) or r.of(FRAME)
    s = frame.format(a=act, n=tool.noun, x=" ".join(parts)).replace("  ", " ")
    return s[0].upper() + s[1:] if r.chance(0.7) else s


def shown(v):
    return f"{v}"


def response(r):
    ks = r.sample(list(KEYS), r.choice((1, 1, 2, 3)))
    return {k: KEYS[k](r) for k in ks}


def told(body, noun):
    ks = sorted(body, key=str.lower)
    return f"The {noun}: " + ", ".join(f"{k} {body[k]}" for k in ks) + "."


def call(name, args, n=0):
    return dict(name=name, arguments=args, id=f"c{n}")


def others(r, tools, n):
    """More tools beside the right ones: sometimes near misses, never the same name or the same verb and noun."""
    out = list(tools)
    for _ in range(100):
        if len(out) >= n:
            break
        t = r.choice(tools) if tools and r.chance(0.4) else None
        new = Tool(r, noun=t.noun) if t and r.chance(0.5) else Tool(r, verb=t.verb) if t else Tool(r)
        if all((new.verb, new.noun) != (o.verb, o.noun) for o in out) and new.name not in [o.name for o in out]:
            out.append(new)
    r.shuffle(out)
    return out


def episode(r, kind=None, level=1.0):
    kind = kind or r.choices(("one", "chain", "none", "error"), (6, 2.5, 2, 0.5))[0]
    think = r.chance(0.4)
    n = r.randint(1, 5) if level >= 1 else r.randint(1, 3)
    if kind == "chain":
        return chain(r, think, n)
    if kind == "none":
        return none(r, think, n)
    t = Tool(r)
    vals = t.values(r)
    tools = others(r, [t], n)
    body = response(r) if kind == "one" else dict(error=r.choice((f"{t.noun} not found", "timeout", "no access", f"unknown {list(vals)[0]}")))
    say = told(body, t.noun) if kind == "one" else f"That failed: {body['error']}."
    m1 = dict(role="assistant", content="", tool_calls=[call(t.name, vals)])
    m2 = dict(role="assistant", content=say)
    if think:
        m1["reasoning_content"] = f"{t.noun}: {t.name} with " + ", ".join(sorted(vals))
        m2["reasoning_content"] = "The answer is there." if kind == "one" else "The call failed."
    msgs = [dict(role="user", content=request(r, t, vals)), m1, dict(role="tool", name=t.name, content=body), m2]
    return dict(messages=msgs, tools=[x.declare() for x in tools], think=think, job="tools", gold=dict(kind=kind, calls=[[t.name, vals]], responses=[body]))


def chain(r, think, n):
    """Find an id by a name, then use it."""
    noun = r.of(THINGS) if r.chance(0.7) else made_up(r)
    key = r.choice(("id", noun + "_id", "code"))
    by = r.choice(("name", "city", "email", "date", "query", "tag", "user"))
    first = Tool(r, verb="find", noun=noun, params=[by])
    first.desc = r.choice((f"Find the {key} of a {noun}", f"Gives the {key} of a {noun}", f"Look up a {noun}'s {key} by its {by}"))
    second = Tool(r, noun=r.choice((noun, r.of(THINGS))), params=[])
    if second.verb == "find":
        second.verb, second.name, second.desc = "get", f"get_{second.noun}", f"Get the {second.noun}"
    if second.name == first.name:
        second.name += "_data"
    v, ident_ = PARAM[by][3](r), code(r)
    s = r.of(CHAIN).format(a=r.choice([a for a in ACTS[second.verb] if a not in ASKING] or ["get"]), n2=second.noun, n1=noun, x=said(r, by, v))
    d2 = second.declare()
    d2["function"]["parameters"] = dict(type="object", properties={key: dict(type="string", description=f"The {key} of the {noun}")}, required=[key])
    tools = [(t.declare() if t is not second else d2) for t in others(r, [first, second], max(n, 2))]
    b1, b2 = {key: ident_}, response(r)
    m1, m2 = dict(role="assistant", content="", tool_calls=[call(first.name, {by: v})]), dict(role="assistant", content="", tool_calls=[call(second.name, {key: ident_}, 1)])
    m3 = dict(role="assistant", content=told(b2, second.noun))
    if think:
        m1["reasoning_content"] = f"First the {key}: {first.name} with {by}"
        m2["reasoning_content"] = f"Now {second.name} with {key}"
        m3["reasoning_content"] = "The answer is there."
    s = s[0].upper() + s[1:]
    msgs = [dict(role="user", content=s), m1, dict(role="tool", name=first.name, content=b1), m2, dict(role="tool", name=second.name, content=b2), m3]
    return dict(messages=msgs, tools=tools, think=think, job="tools", gold=dict(kind="chain", calls=[[first.name, {by: v}], [second.name, {key: ident_}]], responses=[b1, b2]))


CHAIN = ["Find the {n1} {x} and {a} its {n2}.", "{a} the {n2} of the {n1} {x}", "Look up the {n1} {x}, then {a} the {n2}.", "{a} the {n2} for the {n1} {x}, please.", "For the {n1} {x}: {a} the {n2}.", "I have a {n1} {x}. {a} its {n2}.", "There is a {n1} {x}; please {a} the {n2}.",
         "Which {n1} is {x}? Then {a} the {n2}.", "First find the {n1} {x}. After that {a} the {n2}.", "Can you {a} the {n2} of the {n1} {x}?"]


def none(r, think, n):
    """No tool fits: the answer comes as if there were none."""
    tools = [t.declare() for t in others(r, [Tool(r)], n)]
    inner = r.choice((gen_self.identity, gen_self.beyond, gen_self.beyond, gen_class.sentiment, gen_math.plain))(r)
    inner = dict(inner, tools=tools, think=bool(inner.get("think")), job="tools")
    inner["gold"] = dict(kind="none", calls=[], responses=[], answer=inner["messages"][-1]["content"])
    return inner


if __name__ == "__main__":
    from prompt import render
    r = R(3)
    for _ in range(6):
        print("".join(t for t, _ in render(episode(r))), "\n")
