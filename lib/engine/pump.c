/* engine/pump: what is asked of each output row, and what becomes of the answer:
 * prompt log-probabilities, the next token, forced tokens, the end. */
#include "engine/core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/sample.h"

/* ---- logit changes ------------------------------------------------------ */

static uint32_t *slot_of(const struct g4_adjust *a, int32_t id)
{
    uint32_t i = (uint32_t)id * 2654435761u & (a->n_slot - 1);
    while (a->slot[i] && a->adj[a->slot[i] - 1].id != id) i = (i + 1) & (a->n_slot - 1);
    return &a->slot[i];
}

static void note(struct g4_adjust *a, const struct g4_sampling *s, int32_t id, bool generated)
{
    if (!a->slot || id < 0) return;
    uint32_t *slot = slot_of(a, id);
    if (!*slot) {
        if (a->n == a->cap) return; /* cannot happen: cap counts every id that may come */
        a->adj[a->n] = (g4_logit_adj){ .id = id, .rep = s->repeat_penalty };
        a->count[a->n] = 0;
        *slot = ++a->n;
    }
    g4_logit_adj *adj = &a->adj[*slot - 1];
    if (adj->add == -INFINITY || !generated) return;
    const uint32_t n = ++a->count[*slot - 1];
    adj->add = -(s->frequency_penalty * (float)n + s->presence_penalty);
}

void g4_adjust_init(struct g4_adjust *a, const struct g4_seq_params *p, const int32_t *ids, uint32_t n_ids, uint32_t most_new, uint32_t n_vocab)
{
    const struct g4_sampling *s = &p->sampling;
    const bool repeat = s->repeat_penalty != 1;
    const bool penalties = repeat || s->frequency_penalty != 0 || s->presence_penalty != 0;
    size_t cap = 0;
    *a = (struct g4_adjust){0};
    if (penalties) {
        cap = (size_t)most_new + (repeat ? n_ids : 0);
        if (cap > n_vocab) cap = n_vocab;
    }
    cap += p->n_suppress;
    if (!cap) return;
    a->cap = (uint32_t)cap;
    a->adj = g4_alloc(cap * sizeof *a->adj);
    if (penalties) {
        a->count = g4_alloc(cap * sizeof *a->count);
        for (a->n_slot = 16; a->n_slot < 2 * cap; a->n_slot *= 2) {}
        a->slot = g4_alloc(a->n_slot * sizeof *a->slot);
    }
    for (size_t i = 0; i < p->n_suppress; i++) {
        uint32_t *slot = a->slot ? slot_of(a, p->suppress[i]) : NULL;
        if (slot && *slot) continue;
        a->adj[a->n++] = (g4_logit_adj){ .id = p->suppress[i], .rep = 1, .add = -INFINITY };
        if (slot) *slot = a->n;
    }
    for (uint32_t i = 0; repeat && i < n_ids; i++) note(a, s, ids[i], false);
}

void g4_adjust_free(struct g4_adjust *a)
{
    free(a->adj);
    free(a->count);
    free(a->slot);
    *a = (struct g4_adjust){0};
}

/* The logit as the model gave it, from one that penalties have changed. */
static float raw_logit(const struct g4_adjust *a, int32_t id, float l)
{
    if (!a->slot) return l;
    const uint32_t slot = *slot_of(a, id);
    if (!slot || a->adj[slot - 1].add == -INFINITY) return l;
    const g4_logit_adj *adj = &a->adj[slot - 1];
    l -= adj->add;
    return l > 0 ? l * adj->rep : l / adj->rep;
}

/* ---- events ------------------------------------------------------------- */

static struct g4_tok_event *push_event(g4_core *c, g4_seq *s, enum g4_tok_kind kind)
{
    G4_GROW(c->events, c->event_cap, c->n_event + 1);
    struct g4_core_event *e = &c->events[c->n_event++];
    *e = (struct g4_core_event){ .ev = { .kind = kind, .seq = s, .user = s->user, .logprob = NAN }, .alt = c->n_alt };
    return &e->ev;
}

/* The n_logprob largest of a pick as alternatives of the newest event. */
static void add_alternatives(g4_core *c, g4_seq *s, const g4_pick *p, struct g4_tok_event *ev, const struct g4_adjust *a)
{
    uint32_t n = s->n_logprob > 0 ? (uint32_t)s->n_logprob : 0;
    if (n > p->n_top) n = p->n_top;
    G4_GROW(c->alt_id, c->alt_cap_id, c->n_alt + n);
    G4_GROW(c->alt_logprob, c->alt_cap_logprob, c->n_alt + n);
    for (uint32_t i = 0; i < n; i++) {
        const float l = a ? raw_logit(a, p->top_id[i], p->top_logit[i]) : p->top_logit[i];
        if (l == -INFINITY) break;
        c->alt_id[c->n_alt] = p->top_id[i];
        c->alt_logprob[c->n_alt++] = l - p->lse_raw;
        ev->n_alt++;
    }
}

void g4_pump_end(g4_core *c, g4_seq *s, enum g4_tok_end end)
{
    push_event(c, s, G4_TOK_END)->end = end;
    g4_seq_finish(c, s);
}

/* ---- tokens ------------------------------------------------------------- */

static uint32_t n_generated(const g4_seq *s)
{
    return s->n_ids - s->n_prompt;
}

static int32_t forced_id(g4_seq *s)
{
    for (size_t i = 0; i < s->n_guide; i++) {
        const int32_t *ids;
        const struct g4_guide *g = &s->guides[i];
        if (g->forced && g->forced(g->self, &ids)) return ids[0];
    }
    return -1;
}

/* Appends a token, with its event.  False: the sequence has ended. */
static bool append(g4_core *c, g4_seq *s, int32_t id, const g4_pick *pick)
{
    s->ids[s->n_ids++] = id;
    for (size_t i = 0; i < s->n_guide; i++)
        if (s->guides[i].accept) s->guides[i].accept(s->guides[i].self, id);
    struct g4_tok_event *ev = push_event(c, s, G4_TOK_TOKEN);
    ev->id = id;
    if (pick && s->n_logprob >= 0) {
        float l = pick->want_id == id ? pick->want_logit : -INFINITY;
        for (uint32_t i = 0; pick->want_id != id && i < pick->n_top; i++)
            if (pick->top_id[i] == id) l = raw_logit(&s->adjust, id, pick->top_logit[i]);
        if (l == -INFINITY && pick->want_row) l = raw_logit(&s->adjust, id, pick->row[id]);
        ev->logprob = l - pick->lse_raw;
        add_alternatives(c, s, pick, ev, &s->adjust);
    }
    note(&s->adjust, &s->sampling, id, true);
    for (size_t i = 0; i < s->n_stop; i++)
        if (s->stop[i] == id) {
            g4_pump_end(c, s, G4_END_STOP);
            return false;
        }
    if (n_generated(s) >= s->max_tokens || s->n_ids >= s->max_ids) {
        g4_pump_end(c, s, n_generated(s) >= s->max_tokens ? G4_END_LENGTH : G4_END_CONTEXT);
        return false;
    }
    return true;
}

/* Tokens that need no sampling join the pending ones at once; with
 * log-probabilities they go one a step, since each wants its logits. */
static bool append_forced(g4_core *c, g4_seq *s)
{
    if (s->n_logprob >= 0) return true;
    for (int32_t id; (id = forced_id(s)) >= 0;)
        if (!append(c, s, id, NULL)) return false;
    return true;
}

bool g4_pump_start(g4_core *c, g4_seq *s)
{
    if (s->echo && !s->echo_next) {
        push_event(c, s, G4_TOK_PROMPT)->id = s->ids[0];
        s->echo_next = 1;
    }
    return !s->max_tokens || append_forced(c, s);
}

void g4_pump_ask(g4_core *c, g4_seq *s, uint32_t pos, g4_pick *p)
{
    p->allow = NULL;
    p->adj = NULL;
    p->n_adj = 0;
    p->k = s->n_logprob > 1 ? (uint32_t)s->n_logprob : 1;
    if (p->k > G4_PICK_MAX) p->k = G4_PICK_MAX;
    p->want_id = -1;
    p->want_row = false;
    if (pos + 1 < s->n_ids) {
        p->want_id = s->ids[pos + 1];
        return;
    }
    if (n_generated(s) >= s->max_tokens) return;
    if (s->n_logprob >= 0) p->want_id = forced_id(s);
    if (p->want_id >= 0) return;
    g4_sample_wants(&s->sampling, s->n_logprob, p);
    p->adj = s->adjust.adj;
    p->n_adj = s->adjust.n;
    bool masked = false;
    for (size_t i = 0; i < s->n_guide; i++) {
        const struct g4_guide *g = &s->guides[i];
        if (!g->mask) continue;
        if (!masked) memset(s->mask, 0xff, (size_t)(c->n_vocab + 31) / 32 * sizeof *s->mask);
        masked |= g->mask(g->self, s->mask, c->n_vocab);
    }
    if (masked) p->allow = s->mask;
}

void g4_pump_take(g4_core *c, g4_seq *s, uint32_t pos, const g4_pick *p)
{
    if (pos + 1 < s->n_ids) {
        struct g4_tok_event *ev = push_event(c, s, G4_TOK_PROMPT);
        ev->id = s->ids[pos + 1];
        ev->logprob = p->want_logit - p->lse_raw;
        add_alternatives(c, s, p, ev, NULL);
        s->echo_next = pos + 2;
        return;
    }
    if (s->prompting && s->n_ids == s->n_prompt) g4_core_keep_turn(c, s);
    s->prompting = false;
    if (n_generated(s) >= s->max_tokens) {
        g4_pump_end(c, s, G4_END_LENGTH);
        return;
    }
    int32_t id = p->want_id;
    if (id < 0) id = g4_sample(&s->sampling, p, c->n_vocab, g4_sample_uniform(s->key, s->n_ids), c->scratch);
    if (id < 0) {
        g4_pump_end(c, s, G4_END_STOP);
        return;
    }
    if (append(c, s, id, p)) append_forced(c, s);
}
