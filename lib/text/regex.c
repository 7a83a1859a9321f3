/* text/regex: parser, program, and running the program on a text (regex.h). */
#include "text/regex.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_BYTES = 20000, MAX_INST = 50000, MAX_DEPTH = 200, MAX_CP = 0x10FFFF, MAX_REPEAT = 10000 };

enum kind { EMPTY, SET, CAT, ALT, REPEAT, BEGIN, END };

struct node {
    enum kind kind;
    uint32_t set;         /* SET */
    int32_t min, max;     /* REPEAT; max -1: no limit */
    struct node *a, *b;
};

struct ranges {
    struct g4_range *v;
    size_t n, cap;
};

struct parser {
    const char *begin, *p, *end;
    g4_arena arena;
    g4_regex *out;
    size_t cap_inst, cap_range, cap_set, n_range;
    unsigned depth;
    g4_err *err;
    bool failed;
};

static struct node *bad(struct parser *s, const char *what)
{
    if (!s->failed) g4_fail(s->err, G4_ESCHEMA, "%s at byte %zu", what, (size_t)(s->p - s->begin));
    s->failed = true;
    return NULL;
}

static struct node *make(struct parser *s, enum kind kind, struct node *a, struct node *b)
{
    struct node *n = g4_arena_alloc(&s->arena, sizeof *n);
    n->kind = kind;
    n->a = a;
    n->b = b;
    return n;
}

/* ---- sets of code points ------------------------------------------------- */

static void add_range(struct ranges *r, uint32_t lo, uint32_t hi)
{
    G4_GROW(r->v, r->cap, r->n + 1);
    r->v[r->n++] = (struct g4_range){ lo, hi };
}

static int by_lo(const void *a, const void *b)
{
    const struct g4_range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Ascending, joined where they touch. */
static void normalise(struct ranges *r)
{
    size_t n = 0;
    if (r->n) qsort(r->v, r->n, sizeof *r->v, by_lo);
    for (size_t i = 0; i < r->n; i++) {
        if (n && r->v[i].lo <= r->v[n - 1].hi + 1) {
            if (r->v[i].hi > r->v[n - 1].hi) r->v[n - 1].hi = r->v[i].hi;
        } else {
            r->v[n++] = r->v[i];
        }
    }
    r->n = n;
}

static void negate(struct ranges *r)
{
    struct ranges out = {0};
    uint32_t from = 0;
    normalise(r);
    for (size_t i = 0; i < r->n; i++) {
        if (r->v[i].lo > from) add_range(&out, from, r->v[i].lo - 1);
        from = r->v[i].hi + 1;
    }
    if (from <= MAX_CP) add_range(&out, from, MAX_CP);
    free(r->v);
    *r = out;
}

/* Takes r's memory. */
static uint32_t store_set(struct parser *s, struct ranges *r)
{
    g4_regex *x = s->out;
    normalise(r);
    G4_GROW(x->set, s->cap_set, x->n_set + 2);
    G4_GROW(x->range, s->cap_range, s->n_range + r->n);
    if (r->n) memcpy(x->range + s->n_range, r->v, r->n * sizeof *r->v);
    x->set[x->n_set] = (uint32_t)s->n_range;
    s->n_range += r->n;
    x->set[x->n_set + 1] = (uint32_t)s->n_range;
    free(r->v);
    *r = (struct ranges){0};
    return x->n_set++;
}

static struct node *set_node(struct parser *s, struct ranges *r)
{
    struct node *n = make(s, SET, NULL, NULL);
    n->set = store_set(s, r);
    return n;
}

static void add_class(struct ranges *r, char c)
{
    static const struct g4_range digit[] = { { '0', '9' } };
    static const struct g4_range word[] = { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } };
    static const struct g4_range space[] = {
        { 0x09, 0x0D }, { 0x20, 0x20 }, { 0xA0, 0xA0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200A }, { 0x2028, 0x2029 },
        { 0x202F, 0x202F }, { 0x205F, 0x205F }, { 0x3000, 0x3000 }, { 0xFEFF, 0xFEFF },
    };
    const char low = (char)(c | 0x20);
    const struct g4_range *v = low == 'd' ? digit : low == 'w' ? word : space;
    const size_t n = low == 'd' ? 1 : low == 'w' ? 4 : sizeof space / sizeof *space;
    struct ranges one = {0};
    for (size_t i = 0; i < n; i++) add_range(&one, v[i].lo, v[i].hi);
    if (c != low) negate(&one);
    for (size_t i = 0; i < one.n; i++) add_range(r, one.v[i].lo, one.v[i].hi);
    free(one.v);
}

/* ---- escapes ------------------------------------------------------------- */

static bool hex(struct parser *s, int digits, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < digits; i++, s->p++) {
        if (s->p >= s->end) return false;
        const char c = *s->p, low = (char)(c | 0x20);
        if (c >= '0' && c <= '9') v = v << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f') v = v << 4 | (uint32_t)(low - 'a' + 10);
        else return false;
    }
    *out = v;
    return true;
}

/* Behind "\u": four digits, a surrogate pair, or {digits}. */
static bool unicode_escape(struct parser *s, uint32_t *cp)
{
    if (s->p < s->end && *s->p == '{') {
        uint32_t v = 0, d;
        for (s->p++; s->p < s->end && *s->p != '}'; v = v << 4 | d)
            if (!hex(s, 1, &d) || v > MAX_CP >> 4) return false;
        if (s->p >= s->end || s->p[-1] == '{') return false;
        s->p++;
        *cp = v;
        return true;
    }
    if (!hex(s, 4, cp)) return false;
    if (*cp >= 0xD800 && *cp < 0xDC00 && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u') {
        uint32_t lo;
        s->p += 2;
        if (!hex(s, 4, &lo) || lo < 0xDC00 || lo > 0xDFFF) return false;
        *cp = 0x10000 + ((*cp - 0xD800) << 10) + (lo - 0xDC00);
    }
    return *cp < 0xD800 || *cp > 0xDFFF;
}

/* Behind the backslash: one code point.  False: it is something else. */
static bool char_escape(struct parser *s, bool in_class, uint32_t *cp)
{
    static const char from[] = "tnvfr", to[] = "\t\n\v\f\r";
    const char c = *s->p;
    const char *at = strchr(from, c);
    s->p++;
    if (c && at) *cp = (uint8_t)to[at - from];
    else if (c == 'b' && in_class) *cp = 8;
    else if (c == '0' && (s->p >= s->end || *s->p < '0' || *s->p > '9')) *cp = 0;
    else if (c == 'x') return hex(s, 2, cp);
    else if (c == 'u') return unicode_escape(s, cp);
    else if (c == 'c' && s->p < s->end && ((*s->p | 0x20) >= 'a' && (*s->p | 0x20) <= 'z')) *cp = (uint32_t)(*s->p++ & 31);
    else if ((uint8_t)c < 0x80 && c > ' ' && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9')) *cp = (uint8_t)c;
    else return false;
    return true;
}

static bool is_class_letter(char c)
{
    return c && strchr("dDwWsS", c);
}

/* One code point of the expression itself. */
static bool plain(struct parser *s, uint32_t *cp)
{
    const size_t n = g4_utf8_decode(s->p, (size_t)(s->end - s->p), cp);
    s->p += n;
    return n > 0;
}

/* ---- the grammar ----------------------------------------------------------- */

/* One end of a range in [...]: true with a code point, or a class that was added to r (*cp = UINT32_MAX). */
static bool class_atom(struct parser *s, struct ranges *r, uint32_t *cp)
{
    if (*s->p != '\\') return plain(s, cp);
    if (++s->p >= s->end) return false;
    if (!is_class_letter(*s->p)) return char_escape(s, true, cp);
    add_class(r, *s->p++);
    *cp = UINT32_MAX;
    return true;
}

static struct node *class(struct parser *s)
{
    struct ranges r = {0};
    const bool not = s->p < s->end && *s->p == '^';
    const char *why = "a character class without its ']'";
    if (not) s->p++;
    while (s->p < s->end && *s->p != ']') {
        uint32_t lo, hi;
        why = "an escape that is not known";
        if (!class_atom(s, &r, &lo)) goto fail;
        why = "a range out of order";
        if (s->end - s->p > 1 && *s->p == '-' && s->p[1] != ']') {
            s->p++;
            if (!class_atom(s, &r, &hi) || lo > hi || hi == UINT32_MAX) goto fail;
            add_range(&r, lo, hi);
        } else if (lo != UINT32_MAX) {
            add_range(&r, lo, lo);
        }
        why = "a character class without its ']'";
    }
    if (s->p >= s->end) goto fail;
    s->p++;
    if (not) negate(&r);
    return set_node(s, &r);
fail:
    free(r.v);
    return bad(s, why);
}

static struct node *alternatives(struct parser *s);

static struct node *group(struct parser *s)
{
    if (s->end - s->p > 1 && *s->p == '?') {
        const char c = s->p[1], d = s->end - s->p > 2 ? s->p[2] : 0;
        if (c == '=' || c == '!') return bad(s, "look-ahead, which is not supported,");
        if (c == '<' && (d == '=' || d == '!')) return bad(s, "look-behind, which is not supported,");
        if (c == '<') {
            const char *close = memchr(s->p, '>', (size_t)(s->end - s->p));
            if (!close) return bad(s, "a group name without its '>'");
            s->p = close + 1;
        } else if (c == ':') {
            s->p += 2;
        } else {
            return bad(s, "a kind of group that is not known");
        }
    }
    if (++s->depth > MAX_DEPTH) return bad(s, "groups nested too deep");
    struct node *n = alternatives(s);
    s->depth--;
    if (s->failed) return NULL;
    if (s->p >= s->end || *s->p != ')') return bad(s, "a group without its ')'");
    s->p++;
    return n;
}

static struct node *escape(struct parser *s)
{
    struct ranges r = {0};
    uint32_t cp;
    if (s->p >= s->end) return bad(s, "a backslash at the end");
    const char c = *s->p;
    if (is_class_letter(c)) {
        s->p++;
        add_class(&r, c);
        return set_node(s, &r);
    }
    if (c == 'b' || c == 'B') return bad(s, "a word boundary, which is not supported,");
    if (c == 'p' || c == 'P') return bad(s, "a Unicode property, which is not supported,");
    if ((c >= '1' && c <= '9') || c == 'k') return bad(s, "a back reference, which is not supported,");
    if (!char_escape(s, false, &cp)) return bad(s, "an escape that is not known");
    add_range(&r, cp, cp);
    return set_node(s, &r);
}

static struct node *atom(struct parser *s)
{
    struct ranges r = {0};
    uint32_t cp;
    switch (*s->p) {
    case '(': s->p++; return group(s);
    case '[': s->p++; return class(s);
    case '\\': s->p++; return escape(s);
    case '^': s->p++; return make(s, BEGIN, NULL, NULL);
    case '$': s->p++; return make(s, END, NULL, NULL);
    case '*': case '+': case '?': return bad(s, "a quantifier with nothing before it");
    case '.':
        s->p++;
        add_range(&r, '\n', '\n');
        add_range(&r, '\r', '\r');
        add_range(&r, 0x2028, 0x2029);
        negate(&r);
        return set_node(s, &r);
    }
    if (!plain(s, &cp)) return bad(s, "bytes that are not UTF-8");
    add_range(&r, cp, cp);
    return set_node(s, &r);
}

static bool number(struct parser *s, int32_t *out)
{
    int32_t v = 0;
    const char *from = s->p;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
        if (v <= MAX_REPEAT) v = v * 10 + (*s->p - '0');
    *out = v;
    return s->p > from;
}

/* {n}, {n,}, {n,m}; anything else leaves p where it was: an ordinary brace. */
static bool braces(struct parser *s, int32_t *min, int32_t *max)
{
    const char *from = s->p++;
    if (number(s, min)) {
        *max = *min;
        if (s->p < s->end && *s->p == ',') {
            s->p++;
            if (!number(s, max)) *max = -1;
        }
        if (s->p < s->end && *s->p == '}') {
            s->p++;
            return true;
        }
    }
    s->p = from;
    return false;
}

static bool quantifier(struct parser *s, int32_t *min, int32_t *max)
{
    if (s->p >= s->end) return false;
    const char c = *s->p;
    if (c == '{') {
        if (!braces(s, min, max)) return false;
    } else if (c == '*' || c == '+' || c == '?') {
        *min = c == '+';
        *max = c == '?' ? 1 : -1;
        s->p++;
    } else {
        return false;
    }
    if (s->p < s->end && *s->p == '?') s->p++; /* lazy: the language is the same */
    return true;
}

static struct node *repeated(struct parser *s)
{
    int32_t min, max;
    struct node *n = atom(s);
    if (s->failed || !quantifier(s, &min, &max)) return n;
    if (n->kind == BEGIN || n->kind == END) return bad(s, "a quantifier behind an anchor");
    if (max >= 0 && max < min) return bad(s, "a range of repeats out of order");
    if (min > MAX_REPEAT || max > MAX_REPEAT) return bad(s, "more than 10000 repeats");
    struct node *r = make(s, REPEAT, n, NULL);
    r->min = min;
    r->max = max;
    if (s->p < s->end && *s->p && strchr("*+?", *s->p)) return bad(s, "a quantifier with nothing before it");
    return r;
}

static struct node *alternatives(struct parser *s)
{
    struct node *all = NULL, *one = make(s, EMPTY, NULL, NULL);
    while (!s->failed) {
        if (s->p < s->end && *s->p != ')' && *s->p != '|') {
            struct node *n = repeated(s);
            one = one->kind == EMPTY ? n : make(s, CAT, one, n);
            continue;
        }
        all = all ? make(s, ALT, all, one) : one;
        if (s->p >= s->end || *s->p == ')') return all;
        s->p++;
        one = make(s, EMPTY, NULL, NULL);
    }
    return NULL;
}

/* ---- the program -------------------------------------------------------------- */

static uint32_t emit(struct parser *s, enum g4_regex_op op, uint32_t x, uint32_t y)
{
    g4_regex *r = s->out;
    if (r->n_inst >= MAX_INST) {
        bad(s, "an expression that is too large, which ends");
        return 0;
    }
    G4_GROW(r->inst, s->cap_inst, r->n_inst + 1);
    r->inst[r->n_inst] = (struct g4_regex_inst){ (uint8_t)op, x, y };
    return r->n_inst++;
}

static void compile(struct parser *s, const struct node *n);

static void compile_repeat(struct parser *s, const struct node *n)
{
    g4_regex *r = s->out;
    for (int32_t i = 0; i < n->min && !s->failed; i++) compile(s, n->a);
    if (n->max < 0) {
        const uint32_t split = emit(s, G4_RE_SPLIT, 0, 0);
        compile(s, n->a);
        emit(s, G4_RE_JUMP, split, 0);
        if (s->failed) return;
        r->inst[split].x = split + 1;
        r->inst[split].y = r->n_inst;
        return;
    }
    uint32_t first = UINT32_MAX; /* the optional ones are skipped from each to the end: a chain through y */
    for (int32_t i = n->min; i < n->max && !s->failed; i++) {
        const uint32_t split = emit(s, G4_RE_SPLIT, 0, first);
        first = split;
        compile(s, n->a);
        if (!s->failed) r->inst[split].x = split + 1;
    }
    while (first != UINT32_MAX && !s->failed) {
        const uint32_t next = r->inst[first].y;
        r->inst[first].y = r->n_inst;
        first = next;
    }
}

static void compile(struct parser *s, const struct node *n)
{
    if (s->failed) return;
    switch (n->kind) {
    case EMPTY: return;
    case SET: emit(s, G4_RE_SET, n->set, 0); return;
    case BEGIN: emit(s, G4_RE_BEGIN, 0, 0); return;
    case END: emit(s, G4_RE_END, 0, 0); return;
    case CAT:
        compile(s, n->a);
        compile(s, n->b);
        return;
    case REPEAT: compile_repeat(s, n); return;
    case ALT: break;
    }
    const uint32_t split = emit(s, G4_RE_SPLIT, 0, 0);
    compile(s, n->a);
    const uint32_t jump = emit(s, G4_RE_JUMP, 0, 0);
    if (s->failed) return;
    s->out->inst[split].x = split + 1;
    s->out->inst[split].y = s->out->n_inst;
    compile(s, n->b);
    s->out->inst[jump].x = s->out->n_inst;
}

g4_regex *g4_regex_new(const char *p, size_t n, g4_err *err)
{
    struct parser s = { .begin = p, .p = p, .end = p + n, .out = g4_alloc(sizeof(g4_regex)), .err = err };
    struct node *root = n > MAX_BYTES ? bad(&s, "an expression of more than 20000 bytes, which begins") : alternatives(&s);
    if (!s.failed && s.p < s.end) bad(&s, "a ')' without its group");
    if (!s.failed) compile(&s, root);
    if (!s.failed) emit(&s, G4_RE_MATCH, 0, 0);
    g4_arena_free(&s.arena);
    if (!s.failed) return s.out;
    g4_regex_free(s.out);
    return NULL;
}

void g4_regex_free(g4_regex *r)
{
    if (!r) return;
    free(r->inst);
    free(r->range);
    free(r->set);
    free(r);
}

/* ---- running -------------------------------------------------------------------- */

/* The instructions alive at one place of the text, without repeats. */
struct alive {
    uint32_t *v, n;
    uint32_t *mark; /* per instruction: the step in which it was added */
    uint32_t step;
};

struct run {
    const g4_regex *r;
    struct alive now, next;
    uint32_t *stack;
    bool at_begin, at_end, matched;
};

static void follow(struct run *x, struct alive *to, uint32_t pc)
{
    uint32_t n = 0;
    x->stack[n++] = pc;
    while (n) {
        pc = x->stack[--n];
        if (to->mark[pc] == to->step) continue;
        to->mark[pc] = to->step;
        const struct g4_regex_inst *i = &x->r->inst[pc];
        switch (i->op) {
        case G4_RE_SPLIT: x->stack[n++] = i->x; x->stack[n++] = i->y; break;
        case G4_RE_JUMP: x->stack[n++] = i->x; break;
        case G4_RE_BEGIN: if (x->at_begin) x->stack[n++] = pc + 1; break;
        case G4_RE_END: if (x->at_end) x->stack[n++] = pc + 1; break;
        case G4_RE_MATCH: x->matched = true; break;
        case G4_RE_SET: to->v[to->n++] = pc; break;
        }
    }
}

static bool in_set(const g4_regex *r, uint32_t set, uint32_t cp)
{
    uint32_t lo = r->set[set], hi = r->set[set + 1];
    while (lo < hi) {
        const uint32_t mid = (lo + hi) / 2;
        if (r->range[mid].hi < cp) lo = mid + 1;
        else hi = mid;
    }
    return lo < r->set[set + 1] && r->range[lo].lo <= cp;
}

static void alive_init(struct alive *a, uint32_t n)
{
    a->v = g4_alloc(n * sizeof *a->v);
    a->mark = g4_alloc(n * sizeof *a->mark);
    a->step = 1;
}

/* whole: the match must be all of the text. */
static bool run(const g4_regex *r, const char *p, size_t len, bool whole)
{
    struct run x = { .r = r, .stack = g4_alloc(2 * (r->n_inst + 1) * sizeof *x.stack) };
    const char *end = p + len;
    bool found = false;
    alive_init(&x.now, r->n_inst);
    alive_init(&x.next, r->n_inst);
    x.at_begin = true;
    x.at_end = !len;
    follow(&x, &x.now, 0);
    while (p < end && !(x.matched && !whole)) {
        uint32_t cp = 0;
        const size_t n = g4_utf8_decode(p, (size_t)(end - p), &cp);
        p += n ? n : 1;
        x.at_begin = x.matched = false;
        x.at_end = p >= end;
        x.next.n = 0;
        x.next.step++;
        for (uint32_t i = 0; i < x.now.n; i++)
            if (in_set(r, r->inst[x.now.v[i]].x, cp)) follow(&x, &x.next, x.now.v[i] + 1);
        if (!whole) follow(&x, &x.next, 0);
        const struct alive t = x.now;
        x.now = x.next;
        x.next = t;
        x.next.step = x.now.step;
    }
    found = x.matched;
    free(x.now.v);
    free(x.now.mark);
    free(x.next.v);
    free(x.next.mark);
    free(x.stack);
    return found;
}

bool g4_regex_search(const g4_regex *r, const char *s, size_t n)
{
    return run(r, s, n, false);
}

bool g4_regex_matches(const g4_regex *r, const char *s, size_t n)
{
    return run(r, s, n, true);
}
