"""Documents of many kinds, the fields in them, and the JSON that a reader makes of them."""
import json

from words import *

# Field makers: a name gives a value (str, int or float).
FIELD = dict(
    vendor=lambda r: f"{r.of(SHOP) if r.chance(0.7) else last(r)} {r.of(SHOP2)}", total=price, date=date, time=clock, name=person, city=city, email=mail, order=code,
    item=lambda r: r.of(THING), count=lambda r: number(r, r.choice((1, 1, 2))), phone=lambda r: f"+{r.randint(1, 99)} {r.randint(100, 999)} {r.randint(1000, 9999)}",
    host=lambda r: r.choice((made_up(r), r.of(NOUN) + str(r.randint(1, 30)))), level=lambda r: r.choice(("ERROR", "WARN", "INFO", "DEBUG", "FATAL")),
    service=lambda r: r.of(NOUN) + r.choice(("d", "-api", "-worker", "-db", "")), message=lambda r: message(r), pid=lambda r: r.randint(10, 99999),
    room=lambda r: r.choice("ABCDEFG") + str(r.randint(1, 400)), topic=lambda r: topic(r),
        flight=lambda r: "".join(r.choice("ABCDEFGHKLMNPRSTUVWXZ") for _ in range(2)) + str(r.randint(10, 9999)),
    gate=lambda r: r.choice("ABCDEFG") + str(r.randint(1, 60)), origin=city, destination=city,
        street=lambda r: f"{last(r)} {r.choice(('Street', 'Road', 'Lane', 'Avenue', 'Square'))} {r.randint(1, 200)}",
    zip=lambda r: str(r.randint(10000, 99999)), temperature=lambda r: r.randint(-15, 38), wind=lambda r: r.randint(2, 90), status=lambda r: r.choice((200, 201, 204, 301, 400, 401,
        403, 404, 500, 502, 503)),
    path=lambda r: "/" + "/".join(r.of(NOUN) for _ in range(r.randint(1, 3))), method=lambda r: r.choice(("GET", "POST", "PUT", "DELETE")), ip=lambda r: ".".join(str(r.randint(1,
        254)) for _ in range(4)),
    ms=lambda r: r.randint(1, 9000), sender=person, subject=lambda r: topic(r), due=date, assignee=lambda r: first(r), task=lambda r: task(r), invoice=code, amount=price,
        customer=person,
    title=lambda r: topic(r).capitalize(), author=person, year=lambda r: r.randint(1950, 2026), pages=lambda r: r.randint(40, 900),
        file=lambda r: f"{r.of(NOUN)}_{r.of(NOUN)}.{r.choice(('c', 'h', 'py', 'txt', 'log'))}",
    line=lambda r: r.randint(1, 2000), version=lambda r: f"{r.randint(0, 12)}.{r.randint(0, 30)}.{r.randint(0, 20)}", package=lambda r: r.choice((made_up(r), "lib" + made_up(r))),
    salary=lambda r: r.randint(20, 160) * 1000, job=lambda r: r.choice(("cook", "nurse", "driver", "teacher", "baker", "engineer", "clerk", "painter", "pilot", "gardener")),
        company=lambda r: f"{last(r)} {r.choice(('Ltd', 'GmbH', 'Inc', 'AG', 'and Sons'))}")


def message(r):
    n = r.of(NOUN)
    return r.choice((f"cannot open {n}", f"{n} not found", f"timeout while reading {n}", f"{n} {r.of(NOUN)} is full", f"lost connection to {made_up(r)}",
                     f"bad {n} in {r.of(NOUN)}", f"{n} restarted", f"no space left for {n}", f"{r.of(VERB)} of {n} failed"))


def topic(r):
    return r.choice((f"{r.of(NOUN)} {r.of(NOUN)}", f"new {r.of(NOUN)}", f"{r.of(COLOR)} {r.of(THING)}", f"the {r.of(NOUN)} plan", f"{r.of(VERB)} the {r.of(NOUN)}"))


def task(r):
    return r.choice((f"{r.of(VERB)} the {r.of(NOUN)}", f"{r.of(VERB)} the {r.of(NOUN)} {r.of(NOUN)}", f"{r.of(VERB)} {r.of(NOUN)} before release",
        f"call {r.of(FIRST)} about the {r.of(THING)}",
                     f"{r.of(VERB)} {r.of(NOUN)} and {r.of(NOUN)}", f"buy {r.of(THING)}s"))


# kind: templates; {x} is a field.  Numbers are written plainly; every template of a kind may use any of its fields.
DOCS = {
    "receipt": ["{vendor}\nDate: {date}\n{item} x{count}\nTotal: {total} EUR", "{vendor}\n{date} {time}\n{count} {item}\nTOTAL {total}\nThank you!",
                "RECEIPT\n{vendor}, {city}\n{date}\n{item}: {count}\nSum: {total}", "*** {vendor} ***\nitem: {item}\nqty: {count}\npaid: {total}\non {date}",
                "{vendor}\n{city}\n\n{item}   {count}\nTotal due {total}\n{date} {time}", "Bought at {vendor} on {date}: {count} {item} for {total}.",
                "{date}  {vendor}\n  {count} pcs {item}\n  to pay: {total} USD\nSee you soon", "Paid {total} to {vendor} ({city}) on {date} for {count} {item}.",
                "{vendor} thanks you for buying {count} {item}, {total} EUR, {date} {time}.", "{city}, {date}\n{vendor}\n\n{count} x {item}\nAmount: {total}",
                "Shop: {vendor}\nWhen: {date}, {time}\nWhat: {item}\nHow many: {count}\nTo pay: {total}",
                "I paid {total} for {count} {item} in {city}, at {vendor}.", "{vendor} | {city} | {item} | {count} | {total}", "{date}: {count} {item}, {total}, {vendor}"],
    "mail": ["From: {sender}\nDate: {date}\nSubject: {subject}\n\nHi,\ncan we meet at {time} in {city}?\n{sender}",
             "From: {sender} <{email}>\nSubject: {subject}\n\nPlease call me at {phone} before {date}.",
             "Subject: {subject}\nFrom: {email}\nDate: {date}\n\nHello, I will be in {city} at {time}.\nBest, {sender}",
             "{sender} wrote on {date}:\n> about {subject}\n> my number is {phone}",
             "Hello,\n\nthe talk on {subject} starts at {time} in {city}.\n\nRegards\n{sender}\n{email}",
             "From: {sender}\nSubject: {subject}\n\nDear all, the date is {date}, the time {time}. See you in {city}.",
             "To all: {subject}. Meet me in {city} on {date}, {time}. {sender}", "{sender}, {email}\n{date}\nRe: {subject}\n\nSee you in {city}.",
             "Dear Sir,\nI write about {subject}. My phone is {phone}.\nYours, {sender}",
             "mail from {sender} ({email}) on {date}: {subject}", "Date: {date}\nTo: {email}\nSubject: {subject}\n\nCall {phone} at {time}.\n{sender}",
             "Hi, {sender} here. About {subject}: can you come to {city} at {time}? {phone}"],
    "log": ["{date} {time} {level} {service}[{pid}]: {message}", "[{level}] {date}T{time} {host} {service}: {message}", "{time} {host} {service}[{pid}] {level} {message}",
            "{level} {service} on {host} (pid {pid}): {message}", "{date} {time} | {level} | {service} | {message}",
            "ts={date}T{time} level={level} svc={service} pid={pid} msg=\"{message}\"",
            "{host} {service}: {level}: {message} (at {time})",
            "{host} {date} {time} {level} - {message}", "{service}: {message} [{level}, pid {pid}]", "{date} {host} {service}[{pid}]: {message}",
            "<{level}> {time} {service} {message}", "{level}: {message}\n  host {host}\n  service {service}\n  pid {pid}"],
    "access": ["{ip} - - [{date}] \"{method} {path}\" {status} {ms}", "{date} {time} {ip} {method} {path} {status}", "{method} {path} from {ip} -> {status} in {ms} ms",
               "{time} {status} {method} {path} {ms}ms {ip}", "{ip} {method} {path} status={status} time={ms}", "request: {method} {path}, client {ip}, answer {status}, {ms} ms",
               "{date} {ip} - {status} - {path} ({ms} ms)", "client {ip} asked for {path} with {method} and got {status}", "{status} {ip} {method} {path}",
               "[{time}] {method} {path} {ip} {status} {ms}", "{path}: {status} for {ip} after {ms} ms"],
    "meeting": ["Meeting on {topic}\n{date} at {time}, room {room}\nHost: {name}", "{name} invites you to talk about {topic} on {date}, {time}, in room {room}.",
                "Room {room}, {time}: {topic} with {name} ({date})",
                "Reminder: {topic}, {date} {time}\nWhere: {room}\nWho: {name}", "Notes: met {name} in {room} on {date} at {time}. Topic: {topic}.",
                "On {date} we discuss {topic}. {name} booked {room} for {time}.",
                "{topic}: {date}, {time}, {room}", "Invitation by {name}\nSubject: {topic}\nDay: {date}\nHour: {time}\nRoom: {room}",
                "At {time} on {date} {name} talks about {topic} in {room}.",
                "{name} moved {topic} to {date} at {time}.", "{date} {time} {room} {name}: {topic}", "Please come to {room}: {topic}, {date}, {time}. Yours, {name}"],
    "contact": ["{name}\n{job} at {company}\n{phone}\n{email}", "{name}, {job}\n{company}\n{street}\n{zip} {city}\nTel {phone}", "Contact: {name} ({company}), {email}, {phone}",
                "{company}\n{name}\nmail: {email}\nphone: {phone}\n{city}",
                "I met {name}, who works as a {job} for {company} in {city}. Write to {email}.", "Name: {name}\nJob: {job}\nCompany: {company}\nEmail: {email}",
                "{name} <{email}>, {company}, {city}", "Business card: {name}, {job}, {company}, {phone}, {email}", "Ask for {name} at {company}, phone {phone}.",
                "{job}: {name}\nAddress: {street}, {zip} {city}\nMail: {email}", "{phone} is the number of {name} from {city}, a {job}.", "{email} | {name} | {company} | {phone}"],
    "order": ["Order {order}: {count} {item} for {customer}, ship to {city} by {due}.", "Order no. {order}\nCustomer: {customer}\nItem: {item}\nQuantity: {count}\nDelivery: {due}",
              "{customer} ordered {count} {item} ({order}). Address: {street}, {zip} {city}.",
              "#{order} | {customer} | {count} x {item} | {city} | {due}", "Please send {count} {item} to {customer}, {street}, {city}. Reference {order}.",
              "New order {order} from {customer}:\n- {item}, {count} pieces\nwanted by {due}",
              "{due}: {count} {item} to {city} for {customer}, order {order}", "Item {item}, quantity {count}, customer {customer}, number {order}",
              "We got order {order}. {customer} wants {count} {item} before {due}.",
              "Ship {order} to {customer}\n{street}\n{zip} {city}\ncontents: {count} {item}", "{count} {item}\nfor {customer}\nin {city}\n({order})",
              "Customer {customer} in {city} needs {count} {item} until {due}; the number is {order}."],
    "flight": ["Flight {flight} from {origin} to {destination} leaves at {time} from gate {gate} on {date}.", "{flight} {origin} - {destination}\n{date} {time}\nGate {gate}",
               "BOARDING PASS\n{name}\n{flight}\nFrom {origin}\nTo {destination}\nGate {gate}  Time {time}",
               "{name} flies to {destination} on {date} with {flight}, starting in {origin} at {time}.", "{date}: {origin} > {destination}, {flight}, {time}, gate {gate}",
               "Your trip: {origin} to {destination}, flight {flight}, {date}, boarding {time} at {gate}.",
               "On {date} flight {flight} goes from {origin} to {destination}. Gate {gate}, {time}.", "{time} {flight} {destination} {gate}",
               "Passenger: {name}\nFlight: {flight}\nRoute: {origin} to {destination}\nDate: {date}",
               "Gate {gate}: {flight} to {destination}, boarding at {time}", "{name} leaves {origin} for {destination} at {time} ({flight}, {date}).",
               "{flight} | {origin} | {destination} | {date} | {time} | {gate}"],
    "weather": ["Weather in {city} on {date}: {temperature} degrees, wind {wind} km/h.", "{city} {date}\ntemp {temperature}\nwind {wind}",
                "It will be {temperature} degrees in {city} with wind of {wind} km/h on {date}.", "{date}, {city}: wind {wind}, temperature {temperature}",
                "Station {city}: {temperature} C, {wind} km/h at {time}", "At {time} the station in {city} measured {temperature} degrees and {wind} km/h.",
                "{date} {time} {city} {temperature} C {wind} km/h", "Today {city} has {temperature} degrees; the wind blows with {wind} km/h.",
                "{city}: {temperature} degrees at {time}, wind {wind}",
                "Forecast for {date}\nPlace: {city}\nTemperature: {temperature}\nWind: {wind}", "Wind of {wind} km/h and {temperature} degrees in {city}.",
                "{city}, {temperature} C, wind {wind} km/h, {date}"],
    "invoice": ["INVOICE {invoice}\n{company}\nto: {customer}\namount: {amount} EUR\ndue: {due}", "{company} bills {customer} {amount} under number {invoice}, payable by {due}.",
                "Invoice no {invoice} of {date}\nFrom {company}\nPlease pay {amount} until {due}.",
                "Bill {invoice}: {amount} EUR, {customer}, due {due}", "Dear {customer}, invoice {invoice} over {amount} is due on {due}. {company}",
                "{invoice}\t{customer}\t{amount}\t{due}",
                "Please pay {amount} to {company} by {due}, invoice {invoice}.", "{customer}\n\nInvoice {invoice}\nSum: {amount}\nDue date: {due}\n{company}",
                "{company}, {date}: {amount} EUR from {customer} ({invoice})",
                "{customer} owes {company} {amount} since {date}. Number {invoice}.", "No. {invoice} | {company} | {customer} | {amount} EUR | {due}",
                "The invoice {invoice} to {customer} is over {amount}, payable until {due}."],
    "ticket": ["{task} (assigned to {assignee}, due {due})", "Task: {task}\nOwner: {assignee}\nDue: {due}", "{assignee} has to {task} by {due}.", "[ ] {task} @{assignee} {due}",
               "{due}: {assignee}: {task}", "Ask {assignee} to {task} until {due}.",
               "{task} - {assignee} - {due}", "By {due} we need to {task}; {assignee} does it.", "TODO {assignee}: {task} ({due})",
               "Due {due}: {task}. Owner {assignee}.", "{assignee}, please {task}. It is due on {due}.", "* {task}\n* who: {assignee}\n* when: {due}"],
    "crash": ["{file}:{line}: {message}", "error in {file}, line {line}: {message}", "{service} {version} crashed at {file}:{line} ({message})",
              "Traceback: {message}\n  file {file}\n  line {line}", "{file}({line}) {level}: {message}", "{package} {version}: {message} [{file}:{line}]",
              "{service} ({version}): {message}, see {file} line {line}", "{message}\n    at {file}:{line}", "{level} {file} {line}: {message}",
              "In {file} on line {line}: {message}", "{package}-{version} failed with: {message}", "fatal: {message} (file {file}, line {line}, {service})"],
    "book": ["{title} by {author}, {year}, {pages} pages", "{author} ({year}): {title}. {pages} p.", "Title: {title}\nAuthor: {author}\nYear: {year}\nPages: {pages}",
             "In {year} {author} published {title} ({pages} pages).", "{title} | {author} | {year}", "{author} wrote {title} in {year}.",
             "{year}: {author}, {title}, {pages} pages", "{pages} pages, {year}\n{title}\n{author}", "{title}, a book by {author} from {year}",
             "The book {title} ({year}) has {pages} pages. Its author is {author}.", "{author} - {title} - {pages} p. - {year}", "Author {author}, title {title}, year {year}"],
    "release": ["{package} {version} released on {date}", "{date}: {package} upgraded to {version} by {name}", "Package: {package}\nVersion: {version}\nMaintainer: {name}",
                "{name} uploads {package} ({version}), {date}", "{package}-{version}, {date}", "New version {version} of {package} ({date}) by {name}",
                "{package} is now at {version}, says {name}.", "{version} of {package}, {date}", "{date} {package} {version} {name}",
                "Changes in {package} {version}\nby {name}\n{date}", "{name} released {package} {version} on {date}.", "{package} ({version}) by {name}"],
    "hiring": ["{name} joins {company} as a {job} in {city} for {salary} a year.", "{company} seeks a {job} in {city}. Pay: {salary}. Write to {email}.",
               "Job: {job}\nWhere: {city}\nFirm: {company}\nSalary: {salary}", "{name}, {job}, {company}, {salary}", "As a {job} at {company}, {name} earns {salary}.",
               "Wanted: {job}, {city}, {salary} per year, contact {email}",
               "{company}, {city}: {job} wanted, {salary} a year", "{job} at {company}: {name}, paid {salary}", "{name} now works for {company} in {city} as a {job}.",
               "Position: {job}\nCompany: {company}\nCity: {city}\nSalary: {salary}\nMail: {email}", "{company} pays {name} {salary}.",
               "{salary} per year for a {job} in {city}, write to {email}"],
}
ALIAS = dict(vendor=("vendor", "shop", "store"), total=("total", "sum", "amount"), count=("count", "quantity", "number"), name=("name", "person"), email=("email", "mail"),
    order=("order", "order_id"), sender=("sender", "from"),
             due=("due", "deadline", "due_date"), assignee=("assignee", "owner"), customer=("customer", "client"), invoice=("invoice", "invoice_id", "number"), amount=("amount",
                 "total"), origin=("origin", "from"), destination=("destination", "to"),
             path=("path", "url"), message=("message", "text"), item=("item", "product"), date=("date", "day"), level=("level", "severity"), service=("service", "program"),
                 topic=("topic", "subject"), line=("line", "line_number"))

ASK = ["Extract {f} as JSON.", "extract {f}", "Give me {f} as JSON.", "Read {f} from this text as JSON.", "JSON with {f}, please.", "Extract the fields {f}.",
    "Return a JSON object with {f}.", "fields: {f}",
       "Find {f} in the text and answer in JSON.", "to JSON: {f}", "Pull out {f}.", "What are {f}? Answer with JSON.", "Turn this into JSON with the keys {f}.",
           "Parse this into {f}.", "Make a record of {f}.", "Get {f} from the document.",
       "I need {f} as a JSON object.", "Please extract {f}.", "Collect {f}.", "keys: {f}", "extract: {f}", "Write {f} as JSON.", "JSON: {f}",
           "Which {f} does the text give? JSON only.", "Fill in {f}."]
ASK_ALL = ["Extract the {k} as JSON.", "extract the {k}", "JSON of this {k}", "Turn this {k} into JSON.", "Parse the {k}.", "Read the {k} into JSON.", "{k} to JSON",
    "Extract the fields of this {k}.", "Make JSON of the {k}.", "Convert the {k} to JSON."]
TODO_ASK = ["list the TODOs", "List the TODO comments as JSON.", "find all TODOs", "Extract the TODOs.", "Which TODOs are in this code?", "TODOs as JSON",
    "Collect the TODO comments.", "Give me the TODOs as JSON.", "todos?", "extract every TODO"]


# Training alone draws from what follows: requests and documents put together from parts, so that no layout is learnt by heart.
DO = W("Extract extract Get get Take Read read Pull Return List list Give Output Print Show Produce Collect Write Fetch Copy Note Report Select")
AS = ["", "", " as JSON", " as JSON", " as a JSON object", " in JSON", " from this text", " from the text below as JSON", " of this document", " (JSON)", ", JSON only",
    " as JSON, nothing else", " from this"]
WISH = ["{v} {f}{a}", "{v} {f}{a}.", "{v} the {f}{a}", "{v} the values of {f}{a}.", "Please {v} {f}{a}.", "{f}{a}", "{f}{a}?", "I want {f}{a}.", "Only {f}{a}.", "json {f}",
    "{v} {f}{a}, please", "The {f}{a}.", "What we need: {f}{a}", "{v} these fields{a}: {f}", "object with {f}", "{v} a {n} of {f}", "{v} a {n} with {f}.", "{n}: {f}",
    "{n} with {f}{a}", "A {n} of {f}", "{v} {n} {f}", "{v} in {f}", "for the {n}: {f}{a}", "{v} me {f}{a}", "Build an object of {f}.", "I want a {n} of {f}{a}"]
WHOLE = ["{v} a {n} of the {k}{a}", "{n} of this {k}{a}", "{k}{a}", "{v} {k}{a}", "{v} this {k}{a}", "{v} the {k}{a}.", "{v} everything in this {k}{a}.", "Please {v} the {k}{a}.",
    "this {k}{a}", "The {k}{a}, please.", "All fields of the {k}{a}."]
# how a text says a field besides naming it
CLAUSE = dict(
    vendor=["at {}", "from {}", "bought at {}"], total=["for {}", "{} in all", "paid {}", "{} EUR"], date=["on {}", "dated {}", "({})", "of {}"], time=["at {}", "{} h",
        "from {} on"], name=["by {}", "with {}", "{} wrote this", "ask {}", "Mr {}"], city=["in {}", "near {}", "from {}", "({})", "city {}", "the town {}"], email=["write to {}",
        "<{}>", "mail {}"],
    order=["order {}", "no. {}", "#{}", "ref. {}"], item=["one {}", "a {}", "we have the {}"], count=["{} pieces", "{} times", "x{}", "{} of them"], phone=["call {}", "tel. {}",
        "phone {}"], host=["on {}", "host {}", "@{}"], level=["[{}]", "{}:", "level {}"], service=["{} says", "service {}", "in {}"], pid=["pid {}", "process {}", "[{}]"],
    room=["room {}", "in room {}", "Rm {}"], flight=["flight {}", "with {}", "on {}"], gate=["gate {}", "at gate {}"], origin=["from {}", "starting in {}", "leaving {}"],
        destination=["to {}", "towards {}", "arriving in {}"], street=["at {}", "living in {}", "address {}"], zip=["{}", "zip {}"], temperature=["{} degrees", "{} C",
        "at {} degrees"],
    wind=["wind {} km/h", "with {} km/h of wind", "{} km/h"], status=["status {}", "-> {}", "code {}"], path=["{}", "path {}", "for {}"], method=["{}", "a {}"], ip=["from {}",
        "client {}", "{} asks"], ms=["{} ms", "after {} ms", "took {} ms"], sender=["from {}", "{} writes", "sent by {}"], due=["due {}", "by {}", "until {}", "before {}"],
    assignee=["@{}", "{} does it", "for {}"], invoice=["invoice {}", "bill no. {}", "number {}"], amount=["{} to pay", "over {}", "amount {}"], customer=["for {}", "to {}",
        "sold to {}", "Dear {}"], author=["by {}", "{} wrote it", "written by {}"], year=["in {}", "({})", "year {}"], pages=["{} pages", "{} p."], file=["in {}", "file {}",
        "{}"],
    line=["line {}", "at line {}", "l. {}"], version=["version {}", "v{}", "release {}", "{}"], package=["package {}", "of {}", "{} is out", "{}", "{}-"], salary=["earns {}",
        "{} a year", "pay {}"], job=["works as a {}", "a {}", "the {}"], company=["at {}", "of {}", "for {}", "{} is hiring"])
# bare values of these are told from one another at sight; one field of each row
SIGHT = [W("vendor company"), W("total amount"), W("date due"), W("time"), W("name sender customer author"), W("city origin destination"), W("email"), W("order invoice"),
    W("item"), W("phone"), W("ip"), W("path"), W("method"), W("level"), W("version"), W("file"), W("job"), W("street"), W("flight")]
LOOSE = W("message subject topic task title")
GLUE = ["\n", "\n", "\n", ", ", ", ", " | ", "; ", " / ", "\t", ". ", " ", "  ", "\n\n", " - "]


def label(r, f):
    k = r.choice(ALIAS.get(f, (f,))) if r.chance(0.5) else f
    return r.choice((k, k.capitalize(), k.upper(), k.replace("_", " "), k[:3].capitalize()))


def spoken(r, f, v, bare, style, sep):
    """One field as it stands in a text: bare, named, or in a phrase."""
    seen = f in bare
    named = r.chance(0.15) or (style < 0.4 and r.chance(0.9)) or (not seen and (f not in CLAUSE or r.chance(0.3)))
    if named:
        part = label(r, f) + sep + v
    elif f not in CLAUSE or (seen and (style > 0.7 or r.chance(0.4))):
        part = v
    else:
        part = r.choice(CLAUSE[f]).format(v)
    k = r.random()
    if k < 0.07:
        return r.choice((r.of(NOUN), r.of(NOUN).capitalize())) + r.choice((" ", ": ")) + part
    return part + r.choice((":", " " + r.of(NOUN), " of " + r.of(NOUN))) if k < 0.14 else part


def composed(r):
    """Any fields in any order and any layout; those of SIGHT may stand bare."""
    names = [r.choice(x) for x in r.sample(SIGHT, r.randint(1, 5))]
    bare = set(names)
    names += [f for f in r.sample(list(FIELD), r.randint(0, 3)) if f not in bare]
    r.shuffle(names)
    vals = {f: FIELD[f](r) for f in names}
    style, sep, glue = r.random(), r.choice((": ", ": ", "=", " = ", " ", " is ", ":\t", " - ")), r.choice(GLUE)
    out, loose = "", False
    for f in names:
        part = spoken(r, f, shown(r, vals[f]), bare, style, sep)
        if out and loose:
            out += r.choice(("\n", "; ", " | "))
        elif out and f in bare and r.chance(0.06):
            out += r.choice("-/:>@")
        elif out:
            out += glue if r.chance(0.75) else r.choice(GLUE) if r.chance(0.5) else f" {r.of(VERB)} "
        out += part
        loose = f in LOOSE       # nothing but the layout says where a phrase ends
    if r.chance(0.2):
        title = r.choice((r.of(NOUN).capitalize(), r.of(NOUN).upper(), f"{r.of(NOUN)} {r.of(NOUN)}:", f"{r.of(VERB)} {r.of(NOUN)}"))
        out = title + r.choice(("\n", " ", ": ")) + out
    return "record", out, vals


def wish(r, f):
    return r.choice(WISH).format(v=r.choice(DO), n=r.of(NOUN), f=f, a=r.choice(AS)) if r.training(0.6) else r.of(ASK).format(f=f)


def whole_wish(r, k):
    return r.choice(WHOLE).format(v=r.choice(DO), n=r.of(NOUN), k=k,
        a=r.choice([a for a in AS if "this" not in a and "text" not in a])) if r.training(0.5) else r.of(ASK_ALL).format(k=k)


def fields_of(template):
    import string
    return [f for _, f, _, _ in string.Formatter().parse(template) if f]


def shown(r, v):
    return f"{v:.2f}" if isinstance(v, float) else str(v)


def shaken(r, t):
    """A template with its parts in another order, some left out, and some words changed."""
    import re
    parts = [x for x in re.split(r"\n+|, |\. |; | \| ", t) if x]
    if len(parts) > 1 and r.chance(0.6):
        r.shuffle(parts)
        parts = parts[:max(1, len(parts) - r.choice((0, 0, 0, 1)))]
        t = r.choice(("\n", "\n", ", ", ", ", "; ", " | ", ". ")).join(parts)
    words = re.split(r"( |\n)", t)
    words = [r.choice((r.of(NOUN), r.of(VERB), made_up(r))) if re.fullmatch("[A-Za-z]+", w) and r.chance(0.15) else w for w in words]
    t = "".join(words)
    return t if "{" in t else None


def document(r, kind=None):
    kind = kind or r.choice(list(DOCS))
    t = r.of(DOCS[kind])
    if r.training(0.4):
        t = shaken(r, t) or t
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


PAD = ["Thank you.", "Have a nice day!", "See you.", "{p} was here.", "This is number {n}.", "Sent from my phone.", "-- {p}", "Page {n}", "Best wishes, {p}", "{c} copy",
    "It is {d}.", "(end)", "Please confirm.", "Do not answer this mail.", "ref {n}"]


def extract(r):
    if r.chance(0.1):
        return todos(r)
    kind, text, vals = form(r) if r.chance(0.15) else composed(r) if r.training(0.45) else document(r)
    if r.chance(0.2):
        pad = r.of(PAD).format(p=r.of(FIRST), n=r.randint(1, 99), c=r.of(COLOR), d=r.choice(DAY))
        text = pad + "\n" + text if r.chance(0.3) else text + "\n" + pad
    names = list(vals)
    if kind == "record" or r.chance(0.75):
        r.shuffle(names)
        names = names[:r.randint(1, min(5, len(names)))]
        keys = {}
        for f in names:
            k = r.choice(ALIAS.get(f, (f,))) if r.chance(0.6) else f
            keys[f] = f if k in keys.values() else k
        words = list(keys.values())
        ask = wish(r, join(words) if r.chance(0.6) else ", ".join(words))
        out = {k: vals[f] for f, k in keys.items()}
    else:
        ask = whole_wish(r, kind)
        out = {f: vals[f] for f in names}
    if r.chance(0.15):
        before = r.choice(("", "", f"{r.of(FIRST)}: ", "Note: ", "---\n"))
        text = before + text
    user = ask + "\n\n" + text
    return dict(messages=[dict(role="user", content=user), dict(role="assistant", content=as_json(out))], job="extract", gold=dict(data=json.loads(as_json(out)),
        schema=schema_of(out), kind=kind))


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
    return dict(messages=[dict(role="user", content=r.of(TODO_ASK) + "\n\n" + "\n".join(lines)), dict(role="assistant", content=out)], job="extract",
        gold=dict(data=json.loads(out), schema=schema, kind="todo"))


if __name__ == "__main__":
    r = R(2)
    for _ in range(8):
        c = extract(r)
        print(c["messages"][0]["content"], "\n=>", c["messages"][1]["content"], "\n")
