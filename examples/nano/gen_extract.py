"""Documents of many kinds, the fields in them, and the JSON that a reader makes of them."""
import json

from words import *

# Field makers: a name gives a value (str, int or float).
FIELD = dict(
    vendor=lambda r: f"{r.of(SHOP)} {r.of(SHOP2)}", total=price, date=date, time=clock, name=person, city=city, email=mail, order=code,
    item=lambda r: r.of(THING), count=lambda r: number(r, r.choice((1, 1, 2))), phone=lambda r: f"+{r.randint(1, 99)} {r.randint(100, 999)} {r.randint(1000, 9999)}",
    host=lambda r: r.choice((made_up(r), r.of(NOUN) + str(r.randint(1, 30)))), level=lambda r: r.choice(("ERROR", "WARN", "INFO", "DEBUG", "FATAL")),
    service=lambda r: r.of(NOUN) + r.choice(("d", "-api", "-worker", "-db", "")), message=lambda r: message(r), pid=lambda r: r.randint(10, 99999),
    room=lambda r: r.choice("ABCDEFG") + str(r.randint(1, 400)), topic=lambda r: topic(r), flight=lambda r: "".join(r.choice("ABCDEFGHKLMNPRSTUVWXZ") for _ in range(2)) + str(r.randint(10, 9999)),
    gate=lambda r: r.choice("ABCDEFG") + str(r.randint(1, 60)), origin=city, destination=city, street=lambda r: f"{r.of(LAST)} {r.choice(('Street', 'Road', 'Lane', 'Avenue', 'Square'))} {r.randint(1, 200)}",
    zip=lambda r: str(r.randint(10000, 99999)), temperature=lambda r: r.randint(-15, 38), wind=lambda r: r.randint(2, 90), status=lambda r: r.choice((200, 201, 204, 301, 400, 401, 403, 404, 500, 502, 503)),
    path=lambda r: "/" + "/".join(r.of(NOUN) for _ in range(r.randint(1, 3))), method=lambda r: r.choice(("GET", "POST", "PUT", "DELETE")), ip=lambda r: ".".join(str(r.randint(1, 254)) for _ in range(4)),
    ms=lambda r: r.randint(1, 9000), sender=person, subject=lambda r: topic(r), due=date, assignee=lambda r: r.of(FIRST), task=lambda r: task(r), invoice=code, amount=price, customer=person,
    title=lambda r: topic(r).capitalize(), author=person, year=lambda r: r.randint(1950, 2026), pages=lambda r: r.randint(40, 900), file=lambda r: f"{r.of(NOUN)}_{r.of(NOUN)}.{r.choice(('c', 'h', 'py', 'txt', 'log'))}",
    line=lambda r: r.randint(1, 2000), version=lambda r: f"{r.randint(0, 12)}.{r.randint(0, 30)}.{r.randint(0, 20)}", package=lambda r: r.choice((made_up(r), "lib" + made_up(r))),
    salary=lambda r: r.randint(20, 160) * 1000, job=lambda r: r.choice(("cook", "nurse", "driver", "teacher", "baker", "engineer", "clerk", "painter", "pilot", "gardener")), company=lambda r: f"{r.of(LAST)} {r.choice(('Ltd', 'GmbH', 'Inc', 'AG', 'and Sons'))}")


def message(r):
    n = r.of(NOUN)
    return r.choice((f"cannot open {n}", f"{n} not found", f"timeout while reading {n}", f"{n} {r.of(NOUN)} is full", f"lost connection to {made_up(r)}",
                     f"bad {n} in {r.of(NOUN)}", f"{n} restarted", f"no space left for {n}", f"{r.of(VERB)} of {n} failed"))


def topic(r):
    return r.choice((f"{r.of(NOUN)} {r.of(NOUN)}", f"new {r.of(NOUN)}", f"{r.of(COLOR)} {r.of(THING)}", f"the {r.of(NOUN)} plan", f"{r.of(VERB)} the {r.of(NOUN)}"))


def task(r):
    return r.choice((f"{r.of(VERB)} the {r.of(NOUN)}", f"{r.of(VERB)} the {r.of(NOUN)} {r.of(NOUN)}", f"{r.of(VERB)} {r.of(NOUN)} before release", f"call {r.of(FIRST)} about the {r.of(THING)}",
                     f"{r.of(VERB)} {r.of(NOUN)} and {r.of(NOUN)}", f"buy {r.of(THING)}s"))


# kind: templates; {x} is a field.  Numbers are written plainly; every template of a kind may use any of its fields.
DOCS = {
    "receipt": ["{vendor}\nDate: {date}\n{item} x{count}\nTotal: {total} EUR", "{vendor}\n{date} {time}\n{count} {item}\nTOTAL {total}\nThank you!",
                "RECEIPT\n{vendor}, {city}\n{date}\n{item}: {count}\nSum: {total}", "*** {vendor} ***\nitem: {item}\nqty: {count}\npaid: {total}\non {date}",
                "{vendor}\n{city}\n\n{item}   {count}\nTotal due {total}\n{date} {time}", "Bought at {vendor} on {date}: {count} {item} for {total}.",
                "{date}  {vendor}\n  {count} pcs {item}\n  to pay: {total} USD\nSee you soon", "Paid {total} to {vendor} ({city}) on {date} for {count} {item}."],
    "mail": ["From: {sender}\nDate: {date}\nSubject: {subject}\n\nHi,\ncan we meet at {time} in {city}?\n{sender}", "From: {sender} <{email}>\nSubject: {subject}\n\nPlease call me at {phone} before {date}.",
             "Subject: {subject}\nFrom: {email}\nDate: {date}\n\nHello, I will be in {city} at {time}.\nBest, {sender}", "{sender} wrote on {date}:\n> about {subject}\n> my number is {phone}",
             "Hello,\n\nthe talk on {subject} starts at {time} in {city}.\n\nRegards\n{sender}\n{email}", "From: {sender}\nSubject: {subject}\n\nDear all, the date is {date}, the time {time}. See you in {city}."],
    "log": ["{date} {time} {level} {service}[{pid}]: {message}", "[{level}] {date}T{time} {host} {service}: {message}", "{time} {host} {service}[{pid}] {level} {message}",
            "{level} {service} on {host} (pid {pid}): {message}", "{date} {time} | {level} | {service} | {message}", "ts={date}T{time} level={level} svc={service} pid={pid} msg=\"{message}\"",
            "{host} {service}: {level}: {message} (at {time})"],
    "access": ["{ip} - - [{date}] \"{method} {path}\" {status} {ms}", "{date} {time} {ip} {method} {path} {status}", "{method} {path} from {ip} -> {status} in {ms} ms",
               "{time} {status} {method} {path} {ms}ms {ip}", "{ip} {method} {path} status={status} time={ms}", "request: {method} {path}, client {ip}, answer {status}, {ms} ms"],
    "meeting": ["Meeting on {topic}\n{date} at {time}, room {room}\nHost: {name}", "{name} invites you to talk about {topic} on {date}, {time}, in room {room}.", "Room {room}, {time}: {topic} with {name} ({date})",
                "Reminder: {topic}, {date} {time}\nWhere: {room}\nWho: {name}", "Notes: met {name} in {room} on {date} at {time}. Topic: {topic}.", "On {date} we discuss {topic}. {name} booked {room} for {time}."],
    "contact": ["{name}\n{job} at {company}\n{phone}\n{email}", "{name}, {job}\n{company}\n{street}\n{zip} {city}\nTel {phone}", "Contact: {name} ({company}), {email}, {phone}", "{company}\n{name}\nmail: {email}\nphone: {phone}\n{city}",
                "I met {name}, who works as a {job} for {company} in {city}. Write to {email}.", "Name: {name}\nJob: {job}\nCompany: {company}\nEmail: {email}"],
    "order": ["Order {order}: {count} {item} for {customer}, ship to {city} by {due}.", "Order no. {order}\nCustomer: {customer}\nItem: {item}\nQuantity: {count}\nDelivery: {due}", "{customer} ordered {count} {item} ({order}). Address: {street}, {zip} {city}.",
              "#{order} | {customer} | {count} x {item} | {city} | {due}", "Please send {count} {item} to {customer}, {street}, {city}. Reference {order}.", "New order {order} from {customer}:\n- {item}, {count} pieces\nwanted by {due}"],
    "flight": ["Flight {flight} from {origin} to {destination} leaves at {time} from gate {gate} on {date}.", "{flight} {origin} - {destination}\n{date} {time}\nGate {gate}", "BOARDING PASS\n{name}\n{flight}\nFrom {origin}\nTo {destination}\nGate {gate}  Time {time}",
               "{name} flies to {destination} on {date} with {flight}, starting in {origin} at {time}.", "{date}: {origin} > {destination}, {flight}, {time}, gate {gate}", "Your trip: {origin} to {destination}, flight {flight}, {date}, boarding {time} at {gate}."],
    "weather": ["Weather in {city} on {date}: {temperature} degrees, wind {wind} km/h.", "{city} {date}\ntemp {temperature}\nwind {wind}", "It will be {temperature} degrees in {city} with wind of {wind} km/h on {date}.", "{date}, {city}: wind {wind}, temperature {temperature}",
                "Station {city}: {temperature} C, {wind} km/h at {time}", "At {time} the station in {city} measured {temperature} degrees and {wind} km/h."],
    "invoice": ["INVOICE {invoice}\n{company}\nto: {customer}\namount: {amount} EUR\ndue: {due}", "{company} bills {customer} {amount} under number {invoice}, payable by {due}.", "Invoice no {invoice} of {date}\nFrom {company}\nPlease pay {amount} until {due}.",
                "Bill {invoice}: {amount} EUR, {customer}, due {due}", "Dear {customer}, invoice {invoice} over {amount} is due on {due}. {company}", "{invoice}\t{customer}\t{amount}\t{due}"],
    "ticket": ["{task} (assigned to {assignee}, due {due})", "Task: {task}\nOwner: {assignee}\nDue: {due}", "{assignee} has to {task} by {due}.", "[ ] {task} @{assignee} {due}", "{due}: {assignee}: {task}", "Ask {assignee} to {task} until {due}."],
    "crash": ["{file}:{line}: {message}", "error in {file}, line {line}: {message}", "{service} {version} crashed at {file}:{line} ({message})", "Traceback: {message}\n  file {file}\n  line {line}", "{file}({line}) {level}: {message}", "{package} {version}: {message} [{file}:{line}]"],
    "book": ["{title} by {author}, {year}, {pages} pages", "{author} ({year}): {title}. {pages} p.", "Title: {title}\nAuthor: {author}\nYear: {year}\nPages: {pages}", "In {year} {author} published {title} ({pages} pages).", "{title} | {author} | {year}", "{author} wrote {title} in {year}."],
    "release": ["{package} {version} released on {date}", "{date}: {package} upgraded to {version} by {name}", "Package: {package}\nVersion: {version}\nMaintainer: {name}", "{name} uploads {package} ({version}), {date}", "{package}-{version}, {date}", "New version {version} of {package} ({date}) by {name}"],
    "hiring": ["{name} joins {company} as a {job} in {city} for {salary} a year.", "{company} seeks a {job} in {city}. Pay: {salary}. Write to {email}.", "Job: {job}\nWhere: {city}\nFirm: {company}\nSalary: {salary}", "{name}, {job}, {company}, {salary}", "As a {job} at {company}, {name} earns {salary}.", "Wanted: {job}, {city}, {salary} per year, contact {email}"],
}
ALIAS = dict(vendor=("vendor", "shop", "store"), total=("total", "sum", "amount"), count=("count", "quantity", "number"), name=("name", "person"), email=("email", "mail"), order=("order", "order_id"), sender=("sender", "from"),
             due=("due", "deadline", "due_date"), assignee=("assignee", "owner"), customer=("customer", "client"), invoice=("invoice", "invoice_id", "number"), amount=("amount", "total"), origin=("origin", "from"), destination=("destination", "to"),
             path=("path", "url"), message=("message", "text"), item=("item", "product"), date=("date", "day"), level=("level", "severity"), service=("service", "program"), topic=("topic", "subject"), line=("line", "line_number"))

ASK = ["Extract {f} as JSON.", "extract {f}", "Give me {f} as JSON.", "Read {f} from this text as JSON.", "JSON with {f}, please.", "Extract the fields {f}.", "Return a JSON object with {f}.", "fields: {f}",
       "Find {f} in the text and answer in JSON.", "to JSON: {f}", "Pull out {f}.", "What are {f}? Answer with JSON.", "Turn this into JSON with the keys {f}.", "Parse this into {f}.", "Make a record of {f}.", "Get {f} from the document.",
       "I need {f} as a JSON object.", "Please extract {f}.", "Collect {f}.", "keys: {f}", "extract: {f}", "Write {f} as JSON.", "JSON: {f}", "Which {f} does the text give? JSON only.", "Fill in {f}."]
ASK_ALL = ["Extract the {k} as JSON.", "extract the {k}", "JSON of this {k}", "Turn this {k} into JSON.", "Parse the {k}.", "Read the {k} into JSON.", "{k} to JSON", "Extract the fields of this {k}.", "Make JSON of the {k}.", "Convert the {k} to JSON."]
TODO_ASK = ["list the TODOs", "List the TODO comments as JSON.", "find all TODOs", "Extract the TODOs.", "Which TODOs are in this code?", "TODOs as JSON", "Collect the TODO comments.", "Give me the TODOs as JSON.", "todos?", "extract every TODO"]


def fields_of(template):
    import string
    return [f for _, f, _, _ in string.Formatter().parse(template) if f]


def shown(r, v):
    return f"{v:.2f}" if isinstance(v, float) else str(v)


def document(r, kind=None):
    kind = kind or r.choice(list(DOCS))
    t = r.of(DOCS[kind])
    names = list(dict.fromkeys(fields_of(t)))
    vals = {f: FIELD[f](r) for f in names}
    return kind, t.format(**{f: shown(r, v) for f, v in vals.items()}), vals


def number_text(v):
    return f"{v:.2f}" if isinstance(v, float) else json.dumps(v, ensure_ascii=False)


def as_json(d):
    """Numbers keep the spelling of the text."""
    return "{" + ", ".join(f"{json.dumps(k)}: {number_text(v)}" for k, v in d.items()) + "}"


def schema_of(d):
    t = lambda v: "string" if isinstance(v, str) else "integer" if isinstance(v, int) else "number"
    return dict(type="object", properties={k: dict(type=t(v)) for k, v in d.items()}, required=list(d), additionalProperties=False)


def form(r):
    """Keys nobody has seen, each with its value."""
    make = (made_up, person, code, date, city, lambda r: number(r), price, lambda r: r.of(THING), clock, lambda r: f"{r.of(COLOR)} {r.of(NOUN)}")
    vals = {}
    for _ in range(r.randint(2, 6)):
        vals[r.choice((lambda: r.of(NOUN), lambda: made_up(r), lambda: r.of(NOUN) + "_" + r.of(NOUN)))()] = r.choice(make)(r)
    sep, end = r.choice(((": ", "\n"), ("=", "\n"), (" = ", "\n"), (": ", ", "), ("=", " "), (" is ", ", "), (": ", "; "), ("\t", "\n"), (" - ", "\n")))
    return "form", end.join(k + sep + shown(r, v) for k, v in vals.items()), vals


PAD = ["Thank you.", "Have a nice day!", "See you.", "{p} was here.", "This is number {n}.", "Sent from my phone.", "-- {p}", "Page {n}", "Best wishes, {p}", "{c} copy", "It is {d}.", "(end)", "Please confirm.", "Do not answer this mail.", "ref {n}"]


def extract(r):
    if r.chance(0.1):
        return todos(r)
    kind, text, vals = form(r) if r.chance(0.15) else document(r)
    if r.chance(0.2):
        pad = r.of(PAD).format(p=r.of(FIRST), n=r.randint(1, 99), c=r.of(COLOR), d=r.choice(DAY))
        text = pad + "\n" + text if r.chance(0.3) else text + "\n" + pad
    names = list(vals)
    if r.chance(0.75):
        r.shuffle(names)
        names = names[:r.randint(1, min(5, len(names)))]
        keys = {}
        for f in names:
            k = r.choice(ALIAS.get(f, (f,))) if r.chance(0.6) else f
            keys[f] = f if k in keys.values() else k
        words = list(keys.values())
        ask = r.of(ASK).format(f=join(words) if r.chance(0.6) else ", ".join(words))
        out = {k: vals[f] for f, k in keys.items()}
    else:
        ask = r.of(ASK_ALL).format(k=kind)
        out = {f: vals[f] for f in names}
    if r.chance(0.15):
        before = r.choice(("", "", f"{r.of(FIRST)}: ", "Note: ", "---\n"))
        text = before + text
    user = ask + "\n\n" + text
    return dict(messages=[dict(role="user", content=user), dict(role="assistant", content=as_json(out))], job="extract", gold=dict(data=json.loads(as_json(out)), schema=schema_of(out), kind=kind))


def todos(r):
    import gen_c
    lines = gen_c.function(r, None, blocks=r.choice((1, 1, 2)))["lines"]
    found = []
    spots = sorted(r.sample(range(1, len(lines)), min(r.choice((0, 1, 1, 2, 3)), len(lines) - 2)), reverse=True)
    for at in spots:
        t, who = task(r), r.of(FIRST).lower() if r.chance(0.4) else None
        tag = "TODO" + (f"({who})" if who else "") + ": " + t
        unit = lines[at][:len(lines[at]) - len(lines[at].lstrip())]
        lines.insert(at, unit + (f"/* {tag} */" if r.chance(0.5) else f"// {tag}"))
        found.insert(0, t)
    out = "{\"todos\": [" + ", ".join(json.dumps(t) for t in found) + "]}"
    schema = dict(type="object", properties=dict(todos=dict(type="array", items=dict(type="string"))), required=["todos"], additionalProperties=False)
    return dict(messages=[dict(role="user", content=r.of(TODO_ASK) + "\n\n" + "\n".join(lines)), dict(role="assistant", content=out)], job="extract", gold=dict(data=json.loads(out), schema=schema, kind="todo"))


if __name__ == "__main__":
    r = R(2)
    for _ in range(8):
        c = extract(r)
        print(c["messages"][0]["content"], "\n=>", c["messages"][1]["content"], "\n")
