/* text/mask: from a state to its tokens.
 *
 * Outside strings the trie of all pieces is walked along with the automaton; few
 * bytes are possible there, so most of it is skipped.  Inside a string nearly all
 * pieces are possible: those of plain characters are a ready bit set, or one made for
 * the DFA state, and only the rest (with quotes, backslashes, parts of characters) is
 * walked.  What does not depend on the text is kept with the state. */
#include "text/mask.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/automaton_impl.h"

enum { FEW = 600, MAX_KEPT = 32 << 20 };

struct g4_mask_memo {
    uint32_t n;          /* ids; UINT32_MAX: bits */
    uint32_t data[];
};

struct g4_plain_memo {   /* plain pieces from a DFA state */
    struct g4_plain_memo *next;
    const g4_dfa *dfa;
    uint32_t state, left;
    bool raw;
    uint32_t bits[];
};

struct fill {
    g4_automaton *a;
    const g4_pieces *p;
    struct g4_scan *scan;
    uint32_t most, *bits;
    bool asked;          /* the text was looked at: not to be kept */
};

static void set(struct fill *x, int32_t id)
{
    if (id >= 0) x->bits[id / 32] |= 1u << (id & 31);
    else
        for (const int32_t *t = x->p->twin + (-2 - id); *t >= 0; t++) x->bits[*t / 32] |= 1u << (*t & 31);
}

static size_t words(const g4_pieces *p)
{
    return ((size_t)p->n_vocab + 31) / 32;
}

/* ---- walking ------------------------------------------------------------------------ */

static g4_state answer(struct fill *x, g4_state s, const uint8_t *path, size_t n)
{
    x->asked = true;
    g4_scan_try(x->scan, (const char *)path, n);
    return g4_automaton_resolve(x->a, s, x->scan);
}

static void walk(struct fill *x, const struct g4_trie *t, g4_state s)
{
    g4_automaton *a = x->a;
    g4_state at[257];
    uint8_t path[256];
    at[0] = s;
    for (uint32_t i = 0; i < t->n;) {
        const uint32_t d = t->depth[i];
        const uint8_t byte = t->byte[i];
        const g4_state *row = a->state[at[d - 1]].row;
        g4_state to = row ? row[byte] : UINT32_MAX;
        if (to == UINT32_MAX) to = g4_automaton_step(a, at[d - 1], byte);
        path[d - 1] = byte;
        if (to != G4_STATE_DEAD && a->state[to].asks) to = answer(x, to, path, d);
        if (to == G4_STATE_DEAD) {
            i = t->skip[i];
            continue;
        }
        at[d] = to;
        if (t->id[i] != -1 && a->state[to].least <= x->most) set(x, t->id[i]);
        i++;
    }
}

/* ---- plain pieces inside a string ------------------------------------------------------- */

/* A place within a piece: DFA state, characters read, and of a character that is not complete its bits so far. */
struct spot {
    uint32_t q, n, cp;
    uint8_t left;
};

struct plain {
    struct fill *x;
    const struct g4_frame *f;
    const struct g4_node_data *d;
    const g4_dfa *dfa;
    uint32_t left;       /* characters that may come; UINT32_MAX: no limit */
    const uint32_t *plain;
    uint32_t *bits;
    bool json;
};

static bool read_char(const struct plain *w, struct spot *s, uint32_t cp)
{
    s->q = g4_dfa_step(w->dfa, s->q, cp);
    s->n++;
    if (s->q == G4_DFA_DEAD) return false;
    if (w->d->kind == G4_N_KEY) return g4_auto_key_alive(w->x->a, w->f, s->q);
    return w->left == UINT32_MAX || (s->n <= w->left && w->dfa->state[s->q].least_chars <= w->left - s->n);
}

/* One byte more.  False: nothing plain is possible that begins so. */
static bool read_byte(const struct plain *w, struct spot *s, uint8_t byte)
{
    if (byte < 0x80) {
        if (w->json && (byte < 0x20 || byte == '"' || byte == '\\')) return false;
        return !s->left && read_char(w, s, byte);
    }
    if (byte >= 0xC0) {
        s->left = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
        s->cp = byte & (0x3Fu >> s->left);
        return true;
    }
    if (!s->left) return false; /* begins within a character: not plain */
    s->cp = s->cp << 6 | (byte & 63);
    return --s->left || read_char(w, s, s->cp);
}

static void walk_plain(const struct plain *w)
{
    const struct g4_trie *t = &w->x->p->all;
    struct spot at[257];
    at[0] = (struct spot){ .q = w->f->a };
    for (uint32_t i = 0; i < t->n;) {
        const uint32_t d = t->depth[i];
        struct spot s = at[d - 1];
        if (!read_byte(w, &s, t->byte[i])) {
            i = t->skip[i];
            continue;
        }
        at[d] = s;
        const int32_t id = t->id[i++];
        if (id == -1) continue;
        for (const int32_t *k = id >= 0 ? &id : w->x->p->twin + (-2 - id);; k++) {
            if (*k < 0) break;
            if (w->plain[*k / 32] >> (*k & 31) & 1) w->bits[*k / 32] |= 1u << (*k & 31);
            if (id >= 0) break;
        }
    }
}

static void or_bits(uint32_t *to, const uint32_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] |= from[i];
}

/* Plain pieces of at most `left` characters. */
static void or_short(struct fill *x, const uint32_t *plain, uint32_t left)
{
    const g4_pieces *p = x->p;
    if (left >= p->most_chars) {
        or_bits(x->bits, plain, words(p));
        return;
    }
    for (uint32_t i = 0; i < p->n_vocab; i++)
        if (p->chars[i] <= left) x->bits[i / 32] |= plain[i / 32] & 1u << (i & 31);
}

static void or_dfa(struct plain *w)
{
    struct fill *x = w->x;
    g4_automaton *a = x->a;
    const size_t n = words(x->p);
    w->bits = x->bits;
    if (w->d->kind == G4_N_KEY || a->mask_bytes > MAX_KEPT) {
        walk_plain(w);
        return;
    }
    for (const struct g4_plain_memo *m = a->plain; m; m = m->next)
        if (m->dfa == w->dfa && m->state == w->f->a && m->left == w->left && m->raw != w->json) {
            or_bits(x->bits, m->bits, n);
            return;
        }
    struct g4_plain_memo *m = g4_arena_alloc(&a->arena, sizeof *m + n * sizeof *m->bits);
    a->mask_bytes += n * sizeof *m->bits;
    m->dfa = w->dfa;
    m->state = w->f->a;
    m->left = w->left;
    m->raw = !w->json;
    m->next = a->plain;
    a->plain = m;
    w->bits = m->bits;
    walk_plain(w);
    or_bits(x->bits, m->bits, n);
}

static void add_plain(struct fill *x, const struct g4_frame *f, int slice)
{
    const struct g4_node_data *d = g4_auto_node(x->a, f);
    const uint32_t *plain = x->p->slice[slice].plain;
    const bool json = slice == G4_SLICE_JSON;
    struct plain w = { .x = x, .f = f, .d = d, .plain = plain, .json = json, .left = UINT32_MAX };
    if (d->kind == G4_N_KEY) {
        w.dfa = d->object->names;
        if (w.dfa->sink != G4_DFA_DEAD && g4_auto_member_allowed(x->a, &x->a->frame[f->parent], d->object->n)) or_bits(x->bits, plain, words(x->p));
        else or_dfa(&w);
        return;
    }
    w.dfa = d->dfa;
    if (d->kind == G4_N_STRING && d->max != UINT32_MAX) w.left = d->max - f->b;
    if (!w.dfa) {
        or_short(x, plain, w.left);
        return;
    }
    const struct g4_dfa_state *q = &w.dfa->state[f->a];
    const bool free_here = json ? q->free_json : q->free_raw;
    if (free_here && (w.left == UINT32_MAX || (w.left >= q->most_least && w.left - q->most_least >= x->p->most_chars)))
        or_bits(x->bits, plain, words(x->p));
    else
        or_dfa(&w);
}

/* The slice that all threads of the state are within; -1: they are elsewhere. */
static int slice_of(const g4_automaton *a, const struct g4_state_data *s)
{
    int slice = -1;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct g4_thread *t = &a->pool[s->thread + i];
        const struct g4_frame *f = &a->frame[t->frame];
        const struct g4_node_data *d = g4_auto_node(a, f);
        if (!t->frame) continue;
        if (d->kind != G4_N_STRING && d->kind != G4_N_KEY && d->kind != G4_N_TEXT) return -1;
        if (f->c >> 24 != G4_LEX_BODY || (d->kind == G4_N_KEY && d->call)) return -1;
        const int own = d->call || d->kind == G4_N_TEXT ? G4_SLICE_RAW : G4_SLICE_JSON;
        if (slice >= 0 && own != slice) return -1;
        slice = own;
    }
    return slice;
}

/* No plain character leads away from the end: one string of any characters. */
static bool is_level(const g4_automaton *a, const struct g4_state_data *s)
{
    const struct g4_node_data *d = g4_auto_node(a, &a->frame[a->pool[s->thread].frame]);
    return s->n == 1 && d->kind == G4_N_STRING && !d->dfa;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void fill_state(struct fill *x, g4_state s)
{
    g4_automaton *a = x->a;
    const int slice = slice_of(a, &a->state[s]);
    const int32_t *ids;
    const size_t n_id = g4_automaton_tokens(a, &ids);
    for (size_t i = 0; i < n_id; i++) {
        const uint8_t mark = g4_automaton_mark(a, ids[i]);
        g4_state to = g4_automaton_step_token(a, s, ids[i]);
        if (to != G4_STATE_DEAD && a->state[to].asks) to = answer(x, to, &mark, 1);
        if (to != G4_STATE_DEAD && a->state[to].least <= x->most && (uint32_t)ids[i] < x->p->n_vocab) set(x, ids[i]);
    }
    if (slice < 0 || (x->most != UINT32_MAX && !is_level(a, &a->state[s]))) {
        walk(x, &x->p->all, s);
        return;
    }
    const struct g4_state_data d = a->state[s];
    for (uint32_t i = 0; i < d.n; i++) {
        const struct g4_frame f = a->frame[a->pool[d.thread + i].frame];
        if (a->pool[d.thread + i].frame) add_plain(x, &f, slice);
    }
    walk(x, &x->p->slice[slice].rest, s);
}

static void keep(struct fill *x, g4_state s)
{
    g4_automaton *a = x->a;
    const size_t n = words(x->p);
    uint32_t few = 0;
    if (x->asked || x->most != UINT32_MAX || a->mask_bytes > MAX_KEPT) return;
    for (size_t i = 0; i < n; i++) few += (uint32_t)__builtin_popcount(x->bits[i]);
    const bool list = few <= FEW;
    struct g4_mask_memo *m = g4_arena_alloc(&a->arena, sizeof *m + (list ? few : n) * sizeof *m->data);
    a->mask_bytes += (list ? few : n) * sizeof *m->data;
    m->n = list ? few : UINT32_MAX;
    if (!list) memcpy(m->data, x->bits, n * sizeof *m->data);
    for (size_t i = 0, k = 0; list && i < n; i++)
        for (uint32_t w = x->bits[i]; w; w &= w - 1) m->data[k++] = (uint32_t)(32 * i) + (uint32_t)__builtin_ctz(w);
    a->state[s].mask = m;
}

void g4_mask_fill(g4_automaton *a, const g4_pieces *p, g4_state s, struct g4_scan *scan, uint32_t most, uint32_t *bits)
{
    struct fill x = { .a = a, .p = p, .scan = scan, .most = most, .bits = bits };
    const struct g4_mask_memo *m = a->state[s].mask;
    memset(bits, 0, words(p) * sizeof *bits);
    if (most == UINT32_MAX && m) {
        if (m->n == UINT32_MAX) memcpy(bits, m->data, words(p) * sizeof *bits);
        else
            for (uint32_t i = 0; i < m->n; i++) bits[m->data[i] / 32] |= 1u << (m->data[i] & 31);
        return;
    }
    fill_state(&x, s);
    keep(&x, s);
}

void g4_mask_set(uint32_t *bits, int32_t id, uint32_t n_vocab, bool on)
{
    if (id < 0 || (uint32_t)id >= n_vocab) return;
    if (on) bits[id / 32] |= 1u << (id & 31);
    else bits[id / 32] &= ~(1u << (id & 31));
}
