"""Short C functions with at most one seeded defect, and what a reviewer thinks and says about them.

A function is a chain of blocks (loops, allocations, strings, switches, files ...).  Each block adds its lines and one
line of thought; one block may carry a defect.
"""
from words import *

KINDS = {"off": "Off by one", "leak": "Missing free", "uaf": "Use after free", "double": "Double free", "strcpy": "Unbounded copy",
         "assign": "Assignment in a condition", "unchecked": "Unchecked malloc", "break": "Missing break",
         "sizeof": "Size of a pointer", "nul": "Missing NUL", "uninit": "Uninitialised variable",
         "overflow": "Integer overflow", "format": "Wrong format", "semi": "Stray semicolon", "local": "Returns local memory",
         "fclose": "Missing fclose"}
NOTHING = "No defect found."

ASK = ["review", "Review this code.", "review this function", "find the bug", "Is there a bug in this code?", "check this C code",
       "Review the following function.", "What is wrong here?", "Look for defects.", "code review", "Please review this.",
       "Can you spot the mistake?", "Find the defect in this function.", "review: any bugs?", "Check for memory errors and other bugs.",
       "Does this function have a problem?", "Anything wrong with this?", "Please check the code below.", "bugs?",
       "Audit this function.", "review this C", "Find errors in this C function.", "Tell me what is broken here.",
       "Is this code correct?", "Look over this function for me.", "Proofread this code.", "review the code", "Find the problem.",
       "Review my patch, please.", "Give me a code review.", "which line is wrong?", "Name the defect and the line.",
       "Inspect this function for bugs.", "Could you review this function?", "check it", "Do you see a bug?", "debug this",
       "Where is the error?", "please review the C code", "Is anything broken in this function?", "lint this code"]


# put together from parts, for training alone
LOOK = W("Review review Check check Inspect Examine Vet Analyse Assess Evaluate Verify verify Test Study Read Scrutinise Judge")
WHAT = ["this function", "this code", "the code", "this C code", "this patch", "the function below", "this snippet", "my code", "this C function", "the following code", "it"]
WISH = ["{v} {w}", "{v} {w}.", "Please {v} {w}.", "{v} {w} for bugs", "{v} {w} for mistakes.", "Can you {v} {w}?", "{v} {w}, please", "Is {w} right?", "Is {w} safe?", "Any mistake in {w}?", "What about {w}?", "Bugs in {w}?", "{v} {w} and name the line.", "I need a review of {w}.",
        "Something is wrong with {w}.", "Does {w} work?"]


def wish(r):
    return r.choice(WISH).format(v=r.choice(LOOK), w=r.choice(WHAT)) if r.training(0.5) else r.of(ASK)


class Body:
    def __init__(self, r):
        self.r, self.used, self.params, self.lines, self.notes, self.found = r, set(), [], [], [], None
        self.unit = r.choice(("    ", "    ", "\t", "  "))
        self.braces = r.chance(0.4)
        self.ret = r.choice(("int", "int", "void", "long", "char *"))
        self.closers, self.late = [], None
        self.result, self.result_type = None, None
        self.decl_for = r.chance(0.5)

    def name(self, make=ident):
        for _ in range(50):
            n = make(self.r)
            if n not in self.used and n not in ("int", "char", "long", "for", "if", "do"):
                self.used.add(n)
                return n
        return self.name(made_up)

    def index(self):
        return self.name(lambda r: r.choice(("i", "j", "k", "i", "n", "pos", "idx", "x", "y", made_up(r, 1))))

    def param(self, type_, name=None):
        name = name or self.name()
        self.params.append(type_ + name if type_.endswith("*") else f"{type_} {name}")
        return name

    def say(self, text, depth=1, bad=False):
        self.lines.append([self.unit * depth + text, bad])

    def note(self, text):
        self.notes.append(text)

    def give(self, name, type_):
        """A value the function may return or print."""
        if self.result is None:
            self.result, self.result_type = name, type_

    def flush(self):
        """Close what is open: a return that follows would leak it."""
        for close in reversed(self.closers):
            close()
        self.closers = []

    def harmless(self):
        return f"{func(self.r)}({number(self.r)});"

    def leave(self):
        """A return where nothing is open, else a call."""
        return self.harmless() if self.closers else self.fail()

    def fail(self):
        return {"void": "return;", "char *": "return NULL;"}.get(self.ret, "return -1;")

    def guard(self, cond, stmt, depth=1, bad=False):
        """An if with one statement."""
        k = self.r.random()
        if self.braces:
            self.say(f"if ({cond}) {{", depth, bad)
            self.say(stmt, depth + 1)
            self.say("}", depth)
        elif k < 0.4:
            self.say(f"if ({cond}) {stmt}", depth, bad)
        else:
            self.say(f"if ({cond})", depth, bad)
            self.say(stmt, depth + 1)

    def defect(self, kind, why, fix):
        self.found = dict(kind=kind, text=f"{KINDS[kind]}: {why}. {fix}.")


def b_loop(b, bad):
    r, arr, n, i = b.r, b.name(), b.name(), b.index()
    typ = r.choice(("int", "int", "char", "double", "long", "unsigned"))
    b.param(f"const {typ} *" if r.chance(0.4) else f"{typ} *", arr)
    b.param(r.choice(("int", "int", "size_t")), n)
    k = r.random()
    uninit = bad == "uninit"
    acc = None
    if k < 0.55 or uninit:
        acc = b.name(lambda r: r.choice(("sum", "total", "acc", "s", "count", "best", ident(r))))
        t = r.choice(("int", "long", typ))
        b.say(f"{t} {acc};" if uninit else f"{t} {acc} = 0;", bad=uninit)
        b.note(f"{acc}: no first value" if uninit else f"{acc}: starts at 0")
        body = r.choice((f"{acc} += {arr}[{{i}}];", f"{acc} += {arr}[{{i}}] * {number(r, 1)};", f"{acc} = {acc} + {arr}[{{i}}];", f"{acc} ^= {arr}[{{i}}];"))
        if uninit:
            b.defect("uninit", f"{acc} is used before it has a value", f"Start with {acc} = 0")
        b.give(acc, t)
    else:
        c = number(r)
        body = r.choice((f"{arr}[{{i}}] = {c};", f"{arr}[{{i}}] += {c};", f"{arr}[{{i}}] *= {c};", f"{func(r)}({arr}[{{i}}]);", f"{arr}[{{i}}] = {arr}[{{i}}] + {c};"))
        b.params[-2] = b.params[-2].replace("const ", "") if "] " in body else b.params[-2]
    off = bad == "off"
    op = "<=" if off else "<"
    loop_text = f"loop over {arr}: "
    if r.chance(0.75):
        if b.decl_for:
            head = f"for ({r.choice(('int', 'int', 'size_t'))} {i} = 0; {i} {op} {n}; {r.choice((i + '++', '++' + i))})"
        else:
            b.say(f"int {i};")
            head = f"for ({i} = 0; {i} {op} {n}; {r.choice((i + '++', '++' + i))})"
        if b.braces or r.chance(0.4):
            b.say(head + " {", bad=off)
            b.say(body.format(i=i), 2)
            b.say("}")
        else:
            b.say(head, bad=off)
            b.say(body.format(i=i), 2)
    else:
        b.say(f"int {i} = 0;")
        b.say(f"while ({i} {op} {n}) {{", bad=off)
        b.say(body.format(i=i), 2)
        b.say(f"{i}++;", 2)
        b.say("}")
    b.note(loop_text + (f"{i} <= {n} goes past the end" if off else f"{i} < {n}, fine"))
    if off:
        b.defect("off", f"{i} reaches {n}, past the end of {arr}", f"Use {i} < {n}")


def b_count(b, bad):
    """A loop to <= that indexes nothing."""
    r, n, i = b.r, b.param("int"), b.index()
    acc = b.name(lambda r: r.choice(("fact", "prod", "total", ident(r))))
    b.say(f"long {acc} = 1;")
    b.note(f"{acc}: starts at 1")
    b.say(f"for (int {i} = 1; {i} <= {n}; {i}++)")
    b.say(r.choice((f"{acc} *= {i};", f"{acc} += {i};", f"{acc} += {i} * {i};")), 2)
    b.note(f"loop to {n}: no array, fine")
    b.give(acc, "long")


def b_malloc(b, bad):
    b.flush()
    r, p = b.r, b.name(lambda r: r.choice(("p", "buf", "tmp", "copy", "out", ident(r), ident(r))))
    typ = r.choice(("char", "int", "double", "unsigned char", "struct " + b.name()))
    over = bad == "overflow"
    wide = over or r.chance(0.15)
    if wide:
        w, h = b.param("int"), b.param("int")
        size = f"{w} * {h}" if over else f"(size_t){w} * {h}"
        size += r.choice(("", f" * {r.choice((2, 3, 4, 8))}", ""))
        n = w
    else:
        n = b.param(r.choice(("int", "size_t")))
        size = f"{n} + 1" if typ == "char" else f"{n} * sizeof *{p}" if r.chance(0.5) else f"{n} * sizeof({typ})"
        if typ == "char" and r.chance(0.3):
            size = n
    szof = bad == "sizeof"
    if szof and r.chance(0.5):
        size, szof = f"sizeof({p})" if r.chance(0.5) else f"sizeof {p}", "malloc"
    un, leak = bad == "unchecked", bad == "leak"
    b.say(f"{typ} *{p} = malloc({size});", bad=un or leak or over or szof == "malloc")
    if not un:
        b.guard(r.choice((f"!{p}", f"{p} == NULL", f"!{p}")), b.fail())
    use = [lambda: f"memset({p}, 0, {n});", lambda: f"{func(r)}({p}, {n});", lambda: f"{func(r)}({p});"]
    if not typ.startswith("struct"):
        use += [lambda: f"{p}[0] = {number(r)};", lambda: f"{p}[0] = {number(r)};"]
    if szof is True:
        b.say(f"memset({p}, 0, sizeof({p}));" if r.chance(0.6) else f"memset({p}, {r.choice((0, 255))}, sizeof {p});", bad=True)
    else:
        b.say(r.choice(use)())
    if r.chance(0.3):
        b.say(r.choice(use)())
    note = f"{p}: malloc"
    where = len(b.notes)
    b.note("")
    if over:
        mul = f"{w} * {h}"
        b.notes[where] = f"{note}, {mul} may overflow"
        b.defect("overflow", f"{mul} is computed in int", f"Use (size_t){mul}")
    elif szof:
        b.notes[where] = f"{note}, sizeof {p} is the size of a pointer"
        b.defect("sizeof", f"sizeof {p} is not the size of the memory", f"Use {n} * sizeof *{p}")
    elif un:
        b.notes[where] = f"{note}, not checked"
        b.defect("unchecked", f"{p} may be NULL", f"Add if (!{p}) {b.fail()[:-1]}")
    if bad == "leak":
        b.notes[where] = f"{note}, checked, never freed"
        b.defect("leak", f"{p} is never freed", f"Call free({p}) before the return")
        return
    if not bad and b.ret == "char *" and typ == "char" and b.result is None and r.chance(0.7):
        b.result = p
        b.notes[where] = f"{note}, checked, returned"
        return

    def close():
        b.say(f"free({p});")
        if bad == "uaf":
            b.say(r.choice((f"{func(r)}({p});", f"{func(r)}({p}, {n});", f"printf(\"%p\\n\", (void *){p});",
                f"{p}[0] = {number(r)};" if not typ.startswith("struct") else f"{func(r)}({p});")), bad=True)
            b.notes[where] = f"{note}, checked, freed, then used"
            b.defect("uaf", f"{p} is used after free({p})", f"Move free({p}) down")
        elif bad == "double":
            if r.chance(0.4):
                b.say(f"{func(r)}({n});")
            b.say(f"free({p});", bad=True)
            b.notes[where] = f"{note}, checked, freed twice"
            b.defect("double", f"{p} is freed twice", f"Remove the second free({p})")
        elif not b.notes[where]:
            b.notes[where] = f"{note}, checked, freed"
    if r.chance(0.5):
        b.closers.append(close)
    else:
        close()


def b_string(b, bad):
    r, d, s = b.r, b.name(lambda r: r.choice(("buf", "name", "line", "tmp", ident(r), ident(r)))), None
    s = b.param("const char *", b.name(lambda r: r.choice(("src", "s", "text", ident(r), ident(r)))))
    size = r.choice((8, 16, 20, 32, 64, 100, 128, 256))
    if bad == "local":
        b.ret = "char *"
    b.say(f"char {d}[{size}];")
    if bad == "strcpy":
        cat = r.chance(0.25)
        call = r.choice((f"strcpy({d}, {s});", f"strcpy({d}, {s});", f"sprintf({d}, \"%s\", {s});"))
        b.say(call, bad=True)
        b.note(f"{d}: {call.split('(')[0]}, no bound")
        b.defect("strcpy", f"{s} may be longer than {d}", f"Use snprintf({d}, sizeof {d}, \"%s\", {s})")
    elif bad == "nul" or r.chance(0.4):
        b.say(r.choice((f"strncpy({d}, {s}, sizeof {d});", f"strncpy({d}, {s}, sizeof({d}));", f"strncpy({d}, {s}, {size});")), bad=bad == "nul")
        if bad == "nul":
            b.note(f"{d}: strncpy, no NUL")
            b.defect("nul", f"{d} may lack its end", f"Add {d}[sizeof {d} - 1] = 0")
        else:
            b.say(r.choice((f"{d}[sizeof {d} - 1] = 0;", f"{d}[sizeof({d}) - 1] = '\\0';", f"{d}[{size - 1}] = 0;")))
            b.note(f"{d}: strncpy, NUL set")
    else:
        b.say(r.choice((f"snprintf({d}, sizeof {d}, \"%s\", {s});", f"snprintf({d}, sizeof({d}), \"%s\", {s});", f"snprintf({d}, {size}, \"%s\", {s});")))
        b.note(f"{d}: snprintf, bounded")
    if bad == "local":
        b.result, b.late = d, d
    else:
        b.say(r.choice((f"{func(r)}({d});", f"puts({d});", f"{func(r)}({d}, {size});")))


def b_cond(b, bad):
    r, x, c = b.r, b.param("int"), r_const(b.r)
    op = "=" if bad == "assign" else r.choice(("==", "==", "!="))
    stmt = r.choice((f"{func(r)}({x});", b.leave(), f"{func(r)}();", f"{x} = {number(r)};"))
    if bad == "semi":
        cmp = r.choice(("<", ">", "==", "!="))
        b.say(f"if ({x} {cmp} {c});", bad=True)
        b.say(stmt, 2)
        b.note(f"if {x} {cmp} {c}: empty body")
        b.defect("semi", f"the if on {x} has no body", "Remove the semicolon")
        return
    b.guard(f"{x} {op} {c}", stmt, bad=op == "=")
    if op == "=":
        b.note(f"if {x} = {c}: assigns")
        b.defect("assign", f"{x} = {c} assigns", f"Use {x} == {c}")
    else:
        b.note(f"if {x} {op} {c}: compares")


def r_const(r):
    return str(number(r)) if r.chance(0.6) else r.of(NOUN).upper() + "_" + r.of(NOUN).upper() if r.chance(0.6) else r.choice(("0", "1", "-1"))


def b_switch(b, bad):
    r, x, y = b.r, b.param("int", b.name(lambda r: r.choice(("mode", "state", "op", "kind", ident(r), ident(r))))), b.name()
    n = r.choice((2, 3, 3, 4))
    b.say(f"int {y} = 0;")
    b.note(f"{y}: starts at 0")
    start, named = r.randint(0, 3), r.chance(0.25)
    labels = [str(start + k) for k in range(n)] if not named else [r.of(NOUN).upper() for _ in range(n)]
    if len(set(labels)) < n:
        labels = [str(start + k) for k in range(n)]
    hole = r.randrange(n - 1) if bad == "break" else -1
    b.say(f"switch ({x}) {{")
    deep = 1 if r.chance(0.6) else 2
    for k, lab in enumerate(labels):
        b.say(f"case {lab}:", deep, k == hole)
        b.say(r.choice((f"{y} = {number(r)};", f"{y} += {number(r)};", f"{func(r)}({x});")), deep + 1)
        if k != hole:
            b.say("break;", deep + 1)
    if r.chance(0.6):
        b.say("default:", deep)
        b.say(r.choice((f"{y} = -1;", b.leave(), f"{y} = {number(r)};")), deep + 1)
    b.say("}")
    b.note(f"switch {x}: " + ", ".join(f"{lab} {'runs on' if k == hole else 'breaks'}" for k, lab in enumerate(labels)))
    if hole >= 0:
        b.defect("break", f"case {labels[hole]} runs into case {labels[hole + 1]}", f"Add break before case {labels[hole + 1]}")
    b.give(y, "int")


FORMATS = {"int": "%d", "const char *": "%s", "double": "%.2f", "long": "%ld", "size_t": "%zu", "unsigned": "%u"}


def b_printf(b, bad):
    r = b.r
    if b.result_type in FORMATS and r.chance(0.4):
        typ, x = b.result_type, b.result
    else:
        typ = r.choice(list(FORMATS))
        x = b.param(typ)
    f = FORMATS[typ]
    if bad == "format":
        good = f
        f = r.choice([g for t, g in FORMATS.items() if t != typ and not ({typ, t} <= {"int", "unsigned"})])
    label = r.choice((r.of(NOUN) + ": ", r.of(NOUN) + " ", "", r.of(NOUN) + "="))
    out = r.choice(("printf(", "printf(", "fprintf(stderr, "))
    b.say(f"{out}\"{label}{f}\\n\", {x});", bad=bad == "format")
    t = typ.replace("const ", "")
    if bad == "format":
        b.note(f"{x} is {t}, {f}: wrong")
        b.defect("format", f"{f} does not fit {t} {x}".replace("* ", "*"), f"Use {good}")
    else:
        b.note(f"{x} is {t}, {f}: fits")


def b_file(b, bad):
    b.flush()
    r, f, path = b.r, b.name(lambda r: r.choice(("f", "fp", "in", "file", ident(r)))), b.param("const char *", b.name(lambda r: r.choice(("path", "file_name", ident(r)))))
    b.say(f"FILE *{f} = fopen({path}, \"{r.choice(('r', 'w', 'rb', 'a'))}\");", bad=bad == "fclose")
    b.guard(r.choice((f"!{f}", f"{f} == NULL")), b.fail())
    b.say(r.choice((f"{func(r)}({f});", f"fputs({path}, {f});", f"{func(r)}({f}, {number(r)});")))
    if bad == "fclose":
        b.note(f"{f}: fopen, checked, never closed")
        b.defect("fclose", f"{f} stays open", f"Call fclose({f}) before the return")
        return
    b.note(f"{f}: fopen, checked, closed")
    if r.chance(0.5):
        b.closers.append(lambda: b.say(f"fclose({f});"))
    else:
        b.say(f"fclose({f});")


def b_fill(b, bad):
    """Lines with nothing to say about."""
    r = b.r
    k = r.random()
    if k < 0.3:
        b.say(f"{func(r)}({r.choice(('', number(r), ident(r)))});")
    elif k < 0.5:
        x = b.param("int")
        b.guard(f"{x} {r.choice(('<', '>'))} {number(r)}", r.choice((f"{x} = {number(r)};", b.leave())))
    elif k < 0.7:
        x = b.name()
        b.say(f"int {x} = {func(r)}({number(r)});")
        b.say(f"{func(r)}({x});")
    elif k < 0.85:
        b.say(r.choice(("/* ", "// ")) + f"{r.of(VERB)} the {r.of(NOUN)}" )
        if b.lines[-1][0].strip().startswith("/*"):
            b.lines[-1][0] += " */"
        b.say(f"{func(r)}({number(r)}, {number(r)});")
    else:
        x = b.name()
        b.say(f"const int {x} = {number(r)} {r.choice('+-*')} {number(r)};")
        b.say(f"{func(r)}({x}, {x} + {number(r)});")


BLOCKS = [(b_loop, ["off", "uninit"], 3), (b_malloc, ["unchecked", "leak", "uaf", "double", "sizeof", "overflow"], 3), (b_string, ["strcpy", "nul", "local"], 2),
          (b_cond, ["assign", "semi"], 2), (b_switch, ["break"], 1.5), (b_printf, ["format"], 1.5), (b_file, ["fclose"], 1), (b_count, [], 0.5), (b_fill, [], 2)]
HOME = {k: f for f, ks, _ in BLOCKS for k in ks}


def function(r, kind=None, blocks=None, level=1.0):
    """A function: text, lines, notes, found (None when clean), line (its number from 1).  level 0..1: how long it may get."""
    b = Body(r)
    n = blocks or r.choice((1, 1, 2, 2, 3) if level < 0.5 else (1, 2, 2, 3, 3, 4, 5))
    plan = [(r.choices([x[0] for x in BLOCKS], [x[2] for x in BLOCKS])[0], None) for _ in range(n - 1 if kind else n)]
    if kind:
        if kind == "local":
            b.ret = "char *"
            plan = [p for p in plan if p[0] is not b_malloc] + [(b_string, "local")]
        else:
            plan.insert(r.randint(0, len(plan)), (HOME[kind], kind))
    if kind != "local" and b.ret == "char *" and not any(f is b_malloc for f, _ in plan):
        b.ret = "int"
    name = func(r)
    b.used.add(name)
    for f, bad in plan:
        f(b, bad)
    b.flush()
    if b.late:
        b.say(f"return {b.late};", bad=True)
        b.note(f"{b.late}: local, returned")
        b.defect("local", f"{b.late} ends with the function", "Let the caller pass the buffer")
    elif b.ret in ("int", "long"):
        b.say(f"return {b.result if b.result and r.chance(0.8) else 0};")
    elif b.ret == "char *":
        b.say(f"return {b.result or 'NULL'};")
    head = ("static " if r.chance(0.3) else "") + (b.ret if b.ret.endswith("*") else b.ret + " ") + f"{name}({', '.join(b.params) or 'void'})"
    lines = [[head, False], ["{", False]] if r.chance(0.6) else [[head + " {", False]]
    if r.chance(0.15):
        lines.insert(0, [f"/* {r.of(VERB)} the {r.of(NOUN)} */", False])
    if r.chance(0.12):
        inc = ["stdio.h", "stdlib.h", "string.h"]
        lines = [[f"#include <{x}>", False] for x in inc[:r.randint(1, 3)]] + [["", False]] + lines
    lines += b.lines + [["}", False]]
    where = [i for i, (_, bad) in enumerate(lines) if bad]
    assert len(where) == (1 if kind else 0), (kind, where, lines)
    return dict(lines=[t for t, _ in lines], notes=b.notes, found=b.found, line=where[0] + 1 if where else 0, name=name)


def numbered(r, lines):
    w = len(str(len(lines)))
    form = r.choice(("{n:>%d}: {t}" % w, "{n:>%d} {t}" % max(w, 2), "{n}: {t}", "{n}\t{t}", "{n:>6}\t{t}"))
    return [form.format(n=i + 1, t=t).rstrip() for i, t in enumerate(lines)]


def review(r, kind="any", level=1.0, think=None, ask=None):
    if kind == "any":
        kind = None if r.chance(0.25) else r.choice(list(KINDS))
    f = function(r, kind, level=level)
    with_numbers = r.chance(0.3)
    text = numbered(r, f["lines"]) if with_numbers else f["lines"]
    if f["found"]:
        quote = f["lines"][f["line"] - 1].strip()
        answer = (f"Line {f['line']}: " if with_numbers else "") + f"`{quote}`\n{f['found']['text']}"
    else:
        answer = NOTHING
    notes = [x for x in f["notes"] if x] or ["nothing to check"]
    think = r.chance(0.8) if think is None else think
    m = dict(role="assistant", content=answer)
    if think:
        m["reasoning_content"] = "\n".join(notes)
    ask = ask or wish(r)
    doc = "\n".join(text)
    if r.chance(0.1):
        doc = "```c\n" + doc + "\n```"
    if r.chance(0.05):
        doc = f"==> {ident(r)}.c <==\n" + doc
    user = ask + "\n\n" + doc
    return dict(messages=[dict(role="user", content=user), m], think=think, job="review",
                gold=dict(kind=kind, line=f["line"], quote=f["lines"][f["line"] - 1].strip() if kind else None, numbered=with_numbers,
                          name=KINDS.get(kind)))


if __name__ == "__main__":
    import sys
    from prompt import render
    r = R(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    for _ in range(4):
        print("".join(t for t, _ in render(review(r))), "\n")
