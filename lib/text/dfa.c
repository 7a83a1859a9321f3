/* text/dfa: building and finishing deterministic automata (dfa.h).
 *
 * Every builder makes states with edges, then finish() drops what cannot reach an
 * accepting state and fills in the distances. */
#include "text/dfa.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { MAX_CP = 0x10FFFF, ASCII_STATES = 512, MAX_POOL = 4000000, FAR = UINT32_MAX / 4 };

/* ---- growing --------------------------------------------------------------- */

struct build {
    g4_dfa *d;
    size_t cap_state, cap_edge;
};

static uint32_t add_state(struct build *b)
{
    g4_dfa *d = b->d;
    G4_GROW(d->state, b->cap_state, d->n_state + 1u);
    d->state[d->n_state] = (struct g4_dfa_state){ .other = G4_DFA_DEAD, .label = G4_DFA_NO_LABEL };
    return d->n_state++;
}

/* Edges of a state are added one after another, in ascending order. */
static void add_edge(struct build *b, uint32_t state, uint32_t lo, uint32_t hi, uint32_t to)
{
    g4_dfa *d = b->d;
    struct g4_dfa_state *s = &d->state[state];
    if (s->n_edge) {
        struct g4_dfa_edge *last = &d->edge[s->edge + s->n_edge - 1];
        if (last->to == to && last->hi + 1 == lo) {
            last->hi = hi;
            return;
        }
    }
    G4_GROW(d->edge, b->cap_edge, d->n_edge + 1u);
    if (!s->n_edge) s->edge = d->n_edge;
    d->edge[d->n_edge++] = (struct g4_dfa_edge){ lo, hi, to };
    s->n_edge++;
}

/* ---- finding states by what they stand for ---------------------------------- */

struct index { /* open addressing; state + 1, 0: free */
    uint32_t *slot, n;
};

/* The state at the i-th place of a hash, G4_DFA_DEAD: nothing is there or behind. */
static uint32_t index_at(const struct index *x, uint64_t i)
{
    return x->slot[i & (x->n - 1)] - 1;
}

static void index_put(struct index *x, uint64_t i, uint32_t state)
{
    while (x->slot[i & (x->n - 1)]) i++;
    x->slot[i & (x->n - 1)] = state + 1;
}

/* Makes room for one more than n_state. */
static void index_room(struct index *x, uint32_t n_state, uint64_t (*hash)(const void *of, uint32_t state), const void *of)
{
    if (x->n && 2 * (n_state + 1) <= x->n) return;
    x->n = x->n ? 2 * x->n : 256;
    free(x->slot);
    x->slot = g4_alloc(x->n * sizeof *x->slot);
    for (uint32_t s = 0; s < n_state; s++) index_put(x, hash(of, s), s);
}

/* ---- finishing ------------------------------------------------------------- */

/* Bytes of the cheapest code point of a range as a JSON string spells it. */
static uint32_t cost(uint32_t lo, uint32_t hi)
{
    if (lo <= '}' && hi >= '#') { /* an ordinary ASCII character, unless it is the backslash alone */
        if (!(lo == '\\' && hi == '\\')) return 1;
    }
    if ((lo <= ' ' && hi >= ' ') || (lo <= '!' && hi >= '!')) return 1;
    if (lo <= '"' && hi >= '"') return 2;
    if (lo == '\\') return 2;
    if (lo <= 0x7F && hi >= 0x7E) return 1;
    if (hi < 0x20) return (lo <= '\n' && hi >= '\b') || (lo <= '\r' && hi >= '\f') ? 2 : 6;
    return lo < 0x800 ? 2 : lo < 0x10000 ? 3 : 4;
}

/* least_chars and least_bytes, by relaxing until nothing changes. */
static void measure(g4_dfa *d)
{
    for (uint32_t i = 0; i < d->n_state; i++)
        d->state[i].least_chars = d->state[i].least_bytes = d->state[i].label != G4_DFA_NO_LABEL ? 0 : FAR;
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = d->n_state; i-- > 0;) {
            struct g4_dfa_state *s = &d->state[i];
            uint32_t chars = s->least_chars, bytes = s->least_bytes;
            for (uint32_t k = 0; k < s->n_edge; k++) {
                const struct g4_dfa_edge *e = &d->edge[s->edge + k];
                const struct g4_dfa_state *t = &d->state[e->to];
                if (t->least_chars + 1 < chars) chars = t->least_chars + 1;
                const uint32_t by = t->least_bytes + cost(e->lo, e->hi);
                if (by < bytes) bytes = by;
            }
            if (s->other != G4_DFA_DEAD) {
                const struct g4_dfa_state *t = &d->state[s->other];
                if (t->least_chars + 1 < chars) chars = t->least_chars + 1;
                if (t->least_bytes + 1 < bytes) bytes = t->least_bytes + 1;
            }
            again |= chars < s->least_chars || bytes < s->least_bytes;
            s->least_chars = chars;
            s->least_bytes = bytes;
        }
    }
}

/* Drops states from which nothing is accepted; the start stays in front. */
static void prune(g4_dfa *d)
{
    uint32_t *now = g4_alloc((d->n_state + 1u) * sizeof *now), n = 0;
    for (uint32_t i = 0; i < d->n_state; i++) now[i] = d->state[i].least_chars < FAR ? n++ : G4_DFA_DEAD;
    for (uint32_t i = 0; i < d->n_state; i++) {
        struct g4_dfa_state s = d->state[i];
        uint32_t kept = 0;
        if (now[i] == G4_DFA_DEAD) continue;
        for (uint32_t k = 0; k < s.n_edge; k++) {
            struct g4_dfa_edge e = d->edge[s.edge + k];
            e.to = now[e.to];
            /* With a default, a dead edge must stay to hide it: none of the builders makes one. */
            if (e.to != G4_DFA_DEAD) d->edge[s.edge + kept++] = e;
        }
        s.n_edge = kept;
        if (s.other != G4_DFA_DEAD) s.other = now[s.other];
        d->state[now[i]] = s;
    }
    if (d->sink != G4_DFA_DEAD) d->sink = now[d->sink];
    d->n_state = n && now[0] == 0 ? n : 0;
    free(now);
}

/* Do the edges of s cover [lo, hi] (surrogates aside) with states whose flag is still set? */
static bool covers(const g4_dfa *d, const struct g4_dfa_state *s, uint32_t lo, uint32_t hi, bool json)
{
    for (uint32_t k = 0; k < s->n_edge && lo <= hi; k++) {
        const struct g4_dfa_edge *e = &d->edge[s->edge + k];
        if (e->hi < lo) continue;
        if (lo >= 0xD800 && lo <= 0xDFFF) lo = 0xE000;
        if (e->lo > lo) {
            if (e->lo > hi) break;
            if (s->other == G4_DFA_DEAD && !(lo == 0xD800 && e->lo <= 0xE000)) return false;
        }
        const struct g4_dfa_state *t = &d->state[e->to];
        if (!(json ? t->free_json : t->free_raw)) return false;
        lo = e->hi + 1;
    }
    if (lo > hi) return true;
    if (s->other == G4_DFA_DEAD) return false;
    return json ? d->state[s->other].free_json : d->state[s->other].free_raw;
}

/* Greatest fixed points: free_json, free_raw. */
static void find_free(g4_dfa *d)
{
    for (uint32_t i = 0; i < d->n_state; i++) d->state[i].free_json = d->state[i].free_raw = true;
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = d->n_state; i-- > 0;) {
            struct g4_dfa_state *s = &d->state[i];
            if (s->free_json && !(covers(d, s, 0x20, 0x21, true) && covers(d, s, 0x23, 0x5B, true) && covers(d, s, 0x5D, MAX_CP, true))) {
                s->free_json = false;
                again = true;
            }
            if (s->free_raw && !covers(d, s, 0, MAX_CP, false)) {
                s->free_raw = false;
                again = true;
            }
        }
    }
}

/* Largest least_chars within reach of each state. */
static void find_most(g4_dfa *d)
{
    for (uint32_t i = 0; i < d->n_state; i++) d->state[i].most_least = d->state[i].least_chars;
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = d->n_state; i-- > 0;) {
            struct g4_dfa_state *s = &d->state[i];
            uint32_t most = s->most_least;
            for (uint32_t k = 0; k < s->n_edge; k++) {
                const uint32_t m = d->state[d->edge[s->edge + k].to].most_least;
                if (m > most) most = m;
            }
            if (s->other != G4_DFA_DEAD && d->state[s->other].most_least > most) most = d->state[s->other].most_least;
            again |= most != s->most_least;
            s->most_least = most;
        }
    }
}

static uint32_t search(const g4_dfa *d, const struct g4_dfa_state *s, uint32_t cp)
{
    uint32_t lo = s->edge, hi = s->edge + s->n_edge;
    while (lo < hi) {
        const uint32_t mid = (lo + hi) / 2;
        if (d->edge[mid].hi < cp) lo = mid + 1;
        else hi = mid;
    }
    return lo < s->edge + s->n_edge && d->edge[lo].lo <= cp ? d->edge[lo].to : s->other;
}

static g4_dfa *finish(g4_dfa *d)
{
    measure(d);
    prune(d);
    find_free(d);
    find_most(d);
    if (!d->n_state || d->n_state > ASCII_STATES) return d;
    d->ascii = g4_alloc((size_t)d->n_state * 128 * sizeof *d->ascii);
    for (uint32_t i = 0; i < d->n_state; i++)
        for (uint32_t c = 0; c < 128; c++) d->ascii[128 * i + c] = search(d, &d->state[i], c);
    return d;
}

void g4_dfa_free(g4_dfa *d)
{
    if (!d) return;
    free(d->state);
    free(d->edge);
    free(d->ascii);
    free(d->order);
    free(d);
}

static g4_dfa *fresh(void)
{
    g4_dfa *d = g4_alloc(sizeof *d);
    d->sink = G4_DFA_DEAD;
    return d;
}

/* ---- using ------------------------------------------------------------------- */

uint32_t g4_dfa_step(const g4_dfa *d, uint32_t state, uint32_t cp)
{
    if (cp < 128 && d->ascii) return d->ascii[128 * state + cp];
    return search(d, &d->state[state], cp);
}

/* ---- expressions: the subset construction -------------------------------------- */

struct subset {
    struct build b;
    const g4_regex *r;
    bool whole;
    uint32_t *cut, n_cut;       /* code points at which a class of equals begins */
    uint32_t *pool;             /* the instructions of each state, one list after another */
    size_t n_pool, cap_pool;
    size_t *begin;              /* begin[state] .. begin[state + 1] in the pool */
    size_t cap_begin;
    struct index index;         /* of lists */
    uint32_t *mark, step, *stack, *list, n_list;
};

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void find_cuts(struct subset *x)
{
    const g4_regex *r = x->r;
    const uint32_t n_range = r->n_set ? r->set[r->n_set] : 0;
    uint32_t n = 0;
    x->cut = g4_alloc((2u * n_range + 1) * sizeof *x->cut);
    x->cut[n++] = 0;
    for (uint32_t i = 0; i < n_range; i++) {
        x->cut[n++] = r->range[i].lo;
        if (r->range[i].hi < MAX_CP) x->cut[n++] = r->range[i].hi + 1;
    }
    qsort(x->cut, n, sizeof *x->cut, by_value);
    for (uint32_t i = 0; i < n; i++)
        if (!x->n_cut || x->cut[x->n_cut - 1] != x->cut[i]) x->cut[x->n_cut++] = x->cut[i];
}

/* Adds pc and what it leads to without a character; true when a match is among it. */
static bool follow(struct subset *x, uint32_t pc, bool at_begin, bool at_end)
{
    uint32_t n = 0;
    bool match = false;
    x->stack[n++] = pc;
    while (n) {
        pc = x->stack[--n];
        if (x->mark[pc] == x->step) continue;
        x->mark[pc] = x->step;
        const struct g4_regex_inst *i = &x->r->inst[pc];
        switch (i->op) {
        case G4_RE_SPLIT: x->stack[n++] = i->y; x->stack[n++] = i->x; break;
        case G4_RE_JUMP: x->stack[n++] = i->x; break;
        case G4_RE_BEGIN: if (at_begin) x->stack[n++] = pc + 1; break;
        case G4_RE_END: if (at_end) x->stack[n++] = pc + 1; else x->list[x->n_list++] = pc; break;
        case G4_RE_MATCH: match = true; x->list[x->n_list++] = pc; break;
        default: x->list[x->n_list++] = pc;
        }
    }
    return match;
}

/* Would the text be accepted if it ended with this list alive? */
static bool ends_here(struct subset *x, const uint32_t *list, uint32_t n, bool at_begin)
{
    bool match = false;
    x->step++;
    x->n_list = 0;
    for (uint32_t i = 0; i < n; i++) match |= follow(x, list[i], at_begin, true);
    return match;
}

static uint64_t list_hash(const void *of, uint32_t s)
{
    const struct subset *x = of;
    return g4_hash64(x->pool + x->begin[s], (x->begin[s + 1] - x->begin[s]) * sizeof *x->pool, s == 0);
}

/* The state of the list at hand, which is sorted. */
static uint32_t state_of(struct subset *x, bool at_begin)
{
    qsort(x->list, x->n_list, sizeof *x->list, by_value);
    uint64_t i = g4_hash64(x->list, x->n_list * sizeof *x->list, at_begin);
    index_room(&x->index, x->b.d->n_state, list_hash, x);
    for (uint32_t s; (s = index_at(&x->index, i)) != G4_DFA_DEAD; i++) {
        const size_t n = x->begin[s + 1] - x->begin[s];
        if ((s == 0) == at_begin && n == x->n_list && !memcmp(x->pool + x->begin[s], x->list, n * sizeof *x->list)) return s;
    }
    const uint32_t s = add_state(&x->b);
    index_put(&x->index, i, s);
    G4_GROW(x->pool, x->cap_pool, x->n_pool + x->n_list);
    if (x->n_list) memcpy(x->pool + x->n_pool, x->list, x->n_list * sizeof *x->list);
    G4_GROW(x->begin, x->cap_begin, s + 2u);
    x->begin[s] = x->n_pool;
    x->begin[s + 1] = x->n_pool += x->n_list;
    return s;
}

static bool set_holds(const g4_regex *r, uint32_t set, uint32_t cp)
{
    for (uint32_t i = r->set[set]; i < r->set[set + 1]; i++)
        if (cp >= r->range[i].lo && cp <= r->range[i].hi) return true;
    return false;
}

/* All edges of one state. */
static void expand(struct subset *x, uint32_t s)
{
    const size_t n = x->begin[s + 1] - x->begin[s];
    uint32_t *own = g4_alloc((n + 1) * sizeof *own);
    if (n) memcpy(own, x->pool + x->begin[s], n * sizeof *own);
    bool matched = false;
    for (size_t i = 0; i < n; i++) matched |= x->r->inst[own[i]].op == G4_RE_MATCH;
    for (uint32_t c = 0; c < x->n_cut; c++) {
        const uint32_t lo = x->cut[c], hi = c + 1 < x->n_cut ? x->cut[c + 1] - 1 : MAX_CP;
        x->n_list = 0;
        x->step++;
        if (matched && !x->whole) { /* matched already: whatever follows */
            for (size_t i = 0; i < n; i++)
                if (x->r->inst[own[i]].op == G4_RE_MATCH) x->list[x->n_list++] = own[i];
        } else {
            for (size_t i = 0; i < n; i++)
                if (x->r->inst[own[i]].op == G4_RE_SET && set_holds(x->r, x->r->inst[own[i]].x, lo)) follow(x, own[i] + 1, false, false);
            if (!x->whole) follow(x, 0, false, false);
        }
        if (!x->n_list) continue;
        const uint32_t to = state_of(x, false);
        add_edge(&x->b, s, lo, hi, to);
    }
    free(own);
}

g4_dfa *g4_dfa_regex(const g4_regex *r, bool whole, uint32_t max, g4_err *err)
{
    struct subset x = { .b = { .d = fresh() }, .r = r, .whole = whole };
    g4_dfa *d = x.b.d;
    x.mark = g4_alloc(r->n_inst * sizeof *x.mark);
    x.stack = g4_alloc((2u * r->n_inst + 2) * sizeof *x.stack);
    x.list = g4_alloc((r->n_inst + 1u) * sizeof *x.list);
    find_cuts(&x);
    x.step = 1;
    follow(&x, 0, true, false);
    state_of(&x, true);
    for (uint32_t s = 0; s < d->n_state && d->n_state <= max; s++) {
        if (x.n_pool > MAX_POOL) max = 0; /* few states, each of them huge: too much all the same */
        if (ends_here(&x, x.pool + x.begin[s], (uint32_t)(x.begin[s + 1] - x.begin[s]), s == 0)) d->state[s].label = 0;
        expand(&x, s);
    }
    free(x.cut);
    free(x.pool);
    free(x.begin);
    free(x.index.slot);
    free(x.mark);
    free(x.stack);
    free(x.list);
    if (d->n_state <= max) return finish(d);
    g4_dfa_free(d);
    g4_fail(err, G4_ESCHEMA, max ? "an expression that needs more than %u states" : "an expression that needs too much memory", max);
    return NULL;
}

/* ---- sets of strings -------------------------------------------------------------- */

struct entry {
    g4_sv s;
    uint32_t label;
};

static int by_bytes(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const size_t n = x->s.n < y->s.n ? x->s.n : y->s.n;
    const int c = n ? memcmp(x->s.p, y->s.p, n) : 0;
    return c ? c : x->s.n < y->s.n ? -1 : x->s.n > y->s.n;
}

struct strings {
    struct build b;
    const struct entry *e;
};

struct child { uint32_t cp, from, to; size_t at; };

static uint32_t new_node(struct strings *x, uint32_t from, uint32_t to)
{
    const uint32_t s = add_state(&x->b);
    x->b.d->state[s].from = from;
    x->b.d->state[s].to = to;
    x->b.d->state[s].other = x->b.d->sink;
    return s;
}

/* The sorted strings [from, to), which agree in their first `at` bytes, by their next character. */
static size_t split(const struct strings *x, uint32_t from, uint32_t to, size_t at, struct child **out, size_t *cap)
{
    size_t n = 0;
    for (uint32_t i = from; i < to;) {
        uint32_t cp = 0, k = i;
        const g4_sv t = x->e[i].s;
        const size_t len = g4_utf8_decode(t.p + at, t.n - at, &cp);
        while (k < to && x->e[k].s.n >= at + len && !memcmp(x->e[k].s.p + at, t.p + at, len)) k++;
        G4_GROW(*out, *cap, n + 1);
        (*out)[n++] = (struct child){ cp, i, k, at + (len ? len : 1) };
        i = k;
    }
    return n;
}

/* Everything below state s, whose strings are [from, to).  A single way on is walked, not entered: only where
 * strings part does the depth grow. */
static void fill(struct strings *x, uint32_t s, uint32_t from, uint32_t to, size_t at)
{
    struct child *c = NULL;
    size_t cap = 0, n;
    for (;;) {
        if (from < to && x->e[from].s.n == at) x->b.d->state[s].label = x->e[from++].label;
        n = split(x, from, to, at, &c, &cap);
        if (n != 1) break;
        const uint32_t t = new_node(x, c[0].from, c[0].to);
        add_edge(&x->b, s, c[0].cp, c[0].cp, t);
        s = t;
        from = c[0].from;
        to = c[0].to;
        at = c[0].at;
    }
    uint32_t *below = g4_alloc((n + 1) * sizeof *below);
    for (size_t i = 0; i < n; i++) below[i] = new_node(x, c[i].from, c[i].to);
    for (size_t i = 0; i < n; i++) add_edge(&x->b, s, c[i].cp, c[i].cp, below[i]); /* UTF-8 order is code point order */
    for (size_t i = 0; i < n; i++) fill(x, below[i], c[i].from, c[i].to, c[i].at);
    free(below);
    free(c);
}

g4_dfa *g4_dfa_strings(const g4_sv *s, size_t n, bool others)
{
    struct entry *e = g4_alloc((n + 1) * sizeof *e);
    struct strings x = { .b = { .d = fresh() }, .e = e };
    g4_dfa *d = x.b.d;
    for (size_t i = 0; i < n; i++) e[i] = (struct entry){ s[i], (uint32_t)i };
    if (n) qsort(e, n, sizeof *e, by_bytes);
    d->order = g4_alloc((n + 1) * sizeof *d->order);
    d->n_order = (uint32_t)n;
    for (size_t i = 0; i < n; i++) d->order[i] = e[i].label;
    if (others) d->sink = 1; /* behind the start */
    new_node(&x, 0, (uint32_t)n);
    if (others) {
        add_state(&x.b);
        d->state[1] = (struct g4_dfa_state){ .other = 1, .label = (uint32_t)n };
    }
    fill(&x, 0, 0, (uint32_t)n, 0);
    free(e);
    /* A name's own end is no other text; everywhere else the text so far is. */
    for (uint32_t i = 0; others && i < d->n_state; i++)
        if (d->state[i].label == G4_DFA_NO_LABEL) d->state[i].label = (uint32_t)n;
    return finish(d);
}

/* ---- intersection -------------------------------------------------------------------- */

struct pair { uint32_t a, b; };

struct product {
    struct build b;
    struct pair *pair;
    size_t cap_pair;
    struct index index;
};

static uint64_t mix_pair(uint32_t a, uint32_t b)
{
    return g4_mix64((uint64_t)a << 32 | b);
}

static uint64_t pair_hash(const void *of, uint32_t s)
{
    const struct product *x = of;
    return mix_pair(x->pair[s].a, x->pair[s].b);
}

static uint32_t pair_state(struct product *x, uint32_t a, uint32_t b)
{
    index_room(&x->index, x->b.d->n_state, pair_hash, x);
    uint64_t i = mix_pair(a, b);
    for (uint32_t s; (s = index_at(&x->index, i)) != G4_DFA_DEAD; i++)
        if (x->pair[s].a == a && x->pair[s].b == b) return s;
    const uint32_t s = add_state(&x->b);
    index_put(&x->index, i, s);
    G4_GROW(x->pair, x->cap_pair, s + 1u);
    x->pair[s] = (struct pair){ a, b };
    return s;
}

/* First code point above cp at which an edge of s begins or has just ended; MAX_CP + 1: none. */
static uint32_t next_cut(const g4_dfa *d, uint32_t state, uint32_t cp)
{
    const struct g4_dfa_state *s = &d->state[state];
    for (uint32_t k = 0; k < s->n_edge; k++) {
        const struct g4_dfa_edge *e = &d->edge[s->edge + k];
        if (e->lo > cp) return e->lo;
        if (e->hi >= cp) return e->hi + 1;
    }
    return MAX_CP + 1;
}

g4_dfa *g4_dfa_both(const g4_dfa *a, const g4_dfa *b, uint32_t max, g4_err *err)
{
    struct product x = { .b = { .d = fresh() } };
    g4_dfa *d = x.b.d;
    if (a->n_state && b->n_state) pair_state(&x, 0, 0);
    for (uint32_t s = 0; s < d->n_state && d->n_state <= max; s++) {
        const struct pair p = x.pair[s];
        if (b->state[p.b].label != G4_DFA_NO_LABEL) d->state[s].label = a->state[p.a].label;
        for (uint32_t cp = 0; cp <= MAX_CP;) {
            const uint32_t ca = next_cut(a, p.a, cp), cb = next_cut(b, p.b, cp), end = ca < cb ? ca : cb;
            const uint32_t ta = g4_dfa_step(a, p.a, cp), tb = g4_dfa_step(b, p.b, cp);
            if (ta != G4_DFA_DEAD && tb != G4_DFA_DEAD) {
                const uint32_t to = pair_state(&x, ta, tb);
                add_edge(&x.b, s, cp, end - 1, to);
            }
            cp = end;
        }
    }
    free(x.pair);
    free(x.index.slot);
    if (d->n_state <= max) return finish(d);
    g4_dfa_free(d);
    g4_fail(err, G4_ESCHEMA, "expressions that together need more than %u states", max);
    return NULL;
}
