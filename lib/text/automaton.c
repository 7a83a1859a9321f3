/* text/automaton: interning, states and the steps between them (automaton.h). */
#include "text/automaton.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "text/automaton_impl.h"

enum { UNKNOWN = UINT32_MAX, MAX_STATES = 100000, MAX_ROWS = 20000, MAX_FRAMES = 500000 };

/* ---- tables --------------------------------------------------------------------- */

static uint64_t frame_hash(const struct g4_frame *f)
{
    return g4_mix64(g4_mix64((uint64_t)f->node << 32 | f->a) ^ ((uint64_t)f->b << 32 | f->c)) ^ g4_mix64(f->parent);
}

static uint64_t state_hash(const struct g4_thread *t, size_t n)
{
    return g4_hash64(t, n * sizeof *t, 1);
}

static uint64_t number_hash(const g4_automaton *a, const struct g4_table *t, uint32_t i)
{
    if (t == &a->frames) return frame_hash(&a->frame[i]);
    if (t == &a->states) return state_hash(a->pool + a->state[i].thread, a->state[i].n);
    return g4_hash64(a->text[i].p, a->text[i].n, 2);
}

/* Makes room for one more than n. */
static void grow(const g4_automaton *a, struct g4_table *t, size_t n)
{
    if (2 * (n + 1) <= t->n_slot) return;
    const uint32_t size = t->n_slot ? 2 * t->n_slot : 64;
    free(t->slot);
    t->slot = g4_alloc(size * sizeof *t->slot);
    t->n_slot = size;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t k = number_hash(a, t, i);
        while (t->slot[k & (size - 1)]) k++;
        t->slot[k & (size - 1)] = i + 1;
    }
}

static bool same_frame(const struct g4_frame *x, const struct g4_frame *y)
{
    return x->node == y->node && x->a == y->a && x->b == y->b && x->c == y->c && x->parent == y->parent;
}

uint32_t g4_auto_frame(g4_automaton *a, struct g4_frame f)
{
    grow(a, &a->frames, a->n_frame);
    uint64_t k = frame_hash(&f);
    for (; a->frames.slot[k & (a->frames.n_slot - 1)]; k++) {
        const uint32_t i = a->frames.slot[k & (a->frames.n_slot - 1)] - 1;
        if (same_frame(&a->frame[i], &f)) return i;
    }
    f.least = a->n_frame ? g4_auto_least(a, &f) : 0;
    G4_GROW(a->frame, a->cap_frame, a->n_frame + 1);
    a->frame[a->n_frame] = f;
    a->frames.slot[k & (a->frames.n_slot - 1)] = (uint32_t)a->n_frame + 1;
    return (uint32_t)a->n_frame++;
}

uint32_t g4_auto_text(g4_automaton *a, const char *p, size_t n)
{
    grow(a, &a->texts, a->n_text);
    uint64_t k = g4_hash64(p, n, 2);
    for (; a->texts.slot[k & (a->texts.n_slot - 1)]; k++) {
        const uint32_t i = a->texts.slot[k & (a->texts.n_slot - 1)] - 1;
        if (a->text[i].n == n && (!n || !memcmp(a->text[i].p, p, n))) return i;
    }
    G4_GROW(a->text, a->cap_text, a->n_text + 1);
    a->text[a->n_text] = (struct g4_text){ g4_arena_strndup(&a->arena, p, n), (uint32_t)n };
    a->texts.slot[k & (a->texts.n_slot - 1)] = (uint32_t)a->n_text + 1;
    return (uint32_t)a->n_text++;
}

/* ---- states ------------------------------------------------------------------------ */

void g4_auto_add(g4_automaton *a, struct g4_frame f)
{
    const uint32_t i = g4_auto_frame(a, f);
    if (a->frame[i].least == G4_NEVER_LEAST) return; /* it leads nowhere */
    G4_GROW(a->out, a->cap_out, a->n_out + 1);
    a->out[a->n_out++] = (struct g4_thread){ .frame = i, .asks = a->asks };
}

void g4_auto_add_end(g4_automaton *a)
{
    G4_GROW(a->out, a->cap_out, a->n_out + 1);
    a->out[a->n_out++] = (struct g4_thread){ .frame = 0, .asks = a->asks };
}

static int by_thread(const void *a, const void *b)
{
    const struct g4_thread *x = a, *y = b;
    if (x->frame != y->frame) return x->frame < y->frame ? -1 : 1;
    return x->asks < y->asks ? -1 : x->asks > y->asks;
}

/* The state of the threads in out, which are used up. */
static g4_state make_state(g4_automaton *a)
{
    size_t n = 0;
    if (a->n_out > 1) qsort(a->out, a->n_out, sizeof *a->out, by_thread);
    for (size_t i = 0; i < a->n_out; i++)
        if (!n || by_thread(&a->out[n - 1], &a->out[i])) a->out[n++] = a->out[i];
    a->n_out = 0;
    grow(a, &a->states, a->n_state);
    uint64_t k = state_hash(a->out, n);
    for (; a->states.slot[k & (a->states.n_slot - 1)]; k++) {
        const uint32_t i = a->states.slot[k & (a->states.n_slot - 1)] - 1;
        const struct g4_state_data *s = &a->state[i];
        if (s->n == n && (!n || !memcmp(a->pool + s->thread, a->out, n * sizeof *a->out))) return i;
    }
    struct g4_state_data s = { .thread = (uint32_t)a->n_pool, .n = (uint32_t)n, .least = G4_NEVER_LEAST };
    for (size_t i = 0; i < n; i++) {
        const struct g4_thread *t = &a->out[i];
        s.asks |= t->asks;
        s.done |= !t->frame && !t->asks;
        if (a->frame[t->frame].least < s.least) s.least = a->frame[t->frame].least;
    }
    G4_GROW(a->pool, a->cap_pool, a->n_pool + n);
    if (n) memcpy(a->pool + a->n_pool, a->out, n * sizeof *a->out);
    a->n_pool += n;
    G4_GROW(a->state, a->cap_state, a->n_state + 1);
    a->state[a->n_state] = s;
    a->states.slot[k & (a->states.n_slot - 1)] = (uint32_t)a->n_state + 1;
    return (g4_state)a->n_state++;
}

g4_state g4_automaton_step(g4_automaton *a, g4_state s, uint8_t byte)
{
    struct g4_state_data *d = &a->state[s];
    if (d->row && d->row[byte] != UNKNOWN) return d->row[byte];
    if (!d->row) {
        d->row = g4_alloc(256 * sizeof *d->row);
        memset(d->row, 0xff, 256 * sizeof *d->row);
        a->n_row++;
    }
    a->n_out = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct g4_frame f = a->frame[a->pool[d->thread + i].frame]; /* a copy: the array may move */
        a->asks = 0;
        if (a->pool[d->thread + i].frame) g4_auto_byte(a, &f, byte);
    }
    const g4_state to = make_state(a);
    return a->state[s].row[byte] = to;
}

g4_state g4_automaton_step_token(g4_automaton *a, g4_state s, int32_t id)
{
    const struct g4_state_data d = a->state[s];
    a->n_out = 0;
    for (uint32_t i = 0; i < d.n; i++) {
        const struct g4_frame f = a->frame[a->pool[d.thread + i].frame];
        a->asks = 0;
        if (a->pool[d.thread + i].frame) g4_auto_token(a, &f, id);
    }
    return make_state(a);
}

size_t g4_automaton_tokens(const g4_automaton *a, const int32_t **ids)
{
    *ids = a->g->token;
    return a->g->n_token;
}

uint8_t g4_automaton_mark(const g4_automaton *a, int32_t id)
{
    return id == a->g->quote ? G4_TEXT_QUOTE : G4_TEXT_PIECE;
}

bool g4_automaton_asks(const g4_automaton *a, g4_state s)
{
    return a->state[s].asks != 0;
}

g4_state g4_automaton_resolve(g4_automaton *a, g4_state s, struct g4_scan *text)
{
    const uint64_t asks = a->state[s].asks;
    uint64_t failed = 0;
    if (!asks) return s;
    for (unsigned bit = 0; asks >> bit; bit++) {
        bool good;
        if (!(asks >> bit & 1)) continue;
        if (bit == G4_ASK_ITEM) good = g4_scan_item_is_new(text);
        else if (bit == G4_ASK_KEY) good = g4_scan_key_is_new(text);
        else good = g4_scan_check(text, a->g->check[bit - G4_ASK_CHECK].fn, a->g->check[bit - G4_ASK_CHECK].arg);
        if (!good) failed |= 1ull << bit;
        if (bit == 63) break;
    }
    for (const struct g4_resolved *r = a->state[s].resolved; r; r = r->next)
        if (r->failed == failed) return r->to;
    const struct g4_state_data d = a->state[s];
    a->n_out = 0;
    for (uint32_t i = 0; i < d.n; i++) {
        struct g4_thread t = a->pool[d.thread + i];
        if (t.asks & failed) continue;
        t.asks = 0;
        G4_GROW(a->out, a->cap_out, a->n_out + 1);
        a->out[a->n_out++] = t;
    }
    struct g4_resolved *r = g4_arena_alloc(&a->arena, sizeof *r);
    r->failed = failed;
    r->to = make_state(a);
    r->next = a->state[s].resolved;
    a->state[s].resolved = r;
    return r->to;
}

bool g4_automaton_done(const g4_automaton *a, g4_state s)
{
    return a->state[s].done;
}

bool g4_automaton_over(const g4_automaton *a, g4_state s)
{
    return a->state[s].done && a->state[s].n == 1;
}

uint32_t g4_automaton_least(const g4_automaton *a, g4_state s)
{
    return a->state[s].least;
}

static int only_byte(const g4_automaton *a, const struct g4_frame *f)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    switch (d->kind) {
    case G4_N_BYTES: return (uint8_t)d->bytes[f->a];
    case G4_N_TEXT:
    case G4_N_STRING:
    case G4_N_KEY: return g4_auto_string_only(a, f);
    case G4_N_OBJECT:
        if ((f->a & 7) == G4_P_COLON) return ':';
        return (f->a & 7) == G4_P_OPEN ? '{' : -1;
    case G4_N_ARRAY: return (f->a & 7) == G4_P_OPEN ? '[' : -1;
    default: return -1;
    }
}

int g4_automaton_only(const g4_automaton *a, g4_state s)
{
    const struct g4_state_data *d = &a->state[s];
    int only = -1;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct g4_thread *t = &a->pool[d->thread + i];
        const int b = t->frame && !t->asks ? only_byte(a, &a->frame[t->frame]) : -1;
        if (b < 0 || (only >= 0 && b != only)) return -1;
        only = b;
    }
    return only;
}

int32_t g4_automaton_only_token(const g4_automaton *a, g4_state s)
{
    const struct g4_state_data *d = &a->state[s];
    int32_t only = -1;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct g4_thread *t = &a->pool[d->thread + i];
        const struct g4_frame *f = &a->frame[t->frame];
        const struct g4_node_data *v = g4_auto_node(a, f);
        const bool is = t->frame && !t->asks && (v->kind == G4_N_TOKEN || (v->kind == G4_N_STRING && v->call && g4_auto_quote_only(a, f)));
        if (!is || (only >= 0 && v->token != only)) return -1;
        only = v->token;
    }
    return only;
}

/* ---- the whole ---------------------------------------------------------------------- */

static void clear(g4_automaton *a)
{
    for (size_t i = 0; i < a->n_state; i++) free(a->state[i].row);
    free(a->frame);
    free(a->frames.slot);
    free(a->states.slot);
    free(a->texts.slot);
    free(a->pool);
    free(a->state);
    free(a->text);
    free(a->out);
    g4_arena_free(&a->arena);
    *a = (g4_automaton){ .g = a->g, .age = a->age + 1 };
}

static void begin(g4_automaton *a)
{
    g4_auto_frame(a, (struct g4_frame){ .node = G4_NODE_EMPTY }); /* 0: the end of every stack */
    make_state(a);                                                 /* 0: no thread at all */
    g4_auto_text(a, "", 0);                                        /* 0: the empty text, the empty set */
    g4_auto_enter(a, a->g->start, 0);
    a->start = make_state(a);
    for (size_t i = 0; i < a->g->n_node; i++) {
        const uint32_t least = a->g->node[i].least;
        if (least != G4_NEVER_LEAST && least > a->jump && i != a->g->start) a->jump = least;
    }
}

g4_automaton *g4_automaton_new(g4_grammar *g, g4_err *err)
{
    g4_automaton *a = g4_alloc(sizeof *a);
    a->g = g;
    const bool many = g->too_many;
    if (g4_grammar_finish(g)) {
        begin(a);
        return a;
    }
    if (many) g4_fail(err, G4_ESCHEMA, "more than %u places where a finished value must be checked", (unsigned)G4_MAX_CHECKS);
    else g4_fail(err, G4_ESCHEMA, "no value at all satisfies the schema");
    g4_automaton_free(a);
    return NULL;
}

void g4_automaton_free(g4_automaton *a)
{
    if (!a) return;
    clear(a);
    g4_grammar_free(a->g);
    free(a);
}

g4_state g4_automaton_start(const g4_automaton *a)
{
    return a->start;
}

unsigned g4_automaton_age(const g4_automaton *a)
{
    return a->age;
}

void g4_automaton_trim(g4_automaton *a)
{
    if (a->n_state < MAX_STATES && a->n_row < MAX_ROWS && a->n_frame < MAX_FRAMES) return;
    clear(a);
    begin(a);
}
