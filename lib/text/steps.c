/* text/steps: see steps.h. */
#include "text/steps.h"

#include <stdlib.h>

#include "base/mem.h"
#include "text/mask.h"

static size_t words(uint32_t n_vocab)
{
    return ((size_t)n_vocab + 31) / 32;
}

void g4_steps_init(struct g4_steps *s, g4_matcher *m, uint32_t max_tokens, uint32_t n_vocab)
{
    s->m = m;
    s->max_tokens = max_tokens;
    s->bits = g4_alloc(words(n_vocab) * sizeof *s->bits);
}

void g4_steps_clear(struct g4_steps *s)
{
    g4_matcher_free(s->m);
    free(s->bits);
}

uint32_t g4_steps_left(const struct g4_steps *s, size_t n)
{
    return s->max_tokens > n + 1 ? s->max_tokens - (uint32_t)n - 1 : 0;
}

bool g4_steps_is_stop(const struct g4_steps *s, int32_t id)
{
    for (size_t i = 0; i < s->n_stop; i++)
        if (s->stop[i] == id) return true;
    return false;
}

void g4_steps_set_stops(const struct g4_steps *s, uint32_t *bits, uint32_t n_vocab, bool on)
{
    for (size_t i = 0; i < s->n_stop; i++) g4_mask_set(bits, s->stop[i], n_vocab, on);
}

void g4_steps_mask(struct g4_steps *s, uint32_t *mask, uint32_t n_vocab)
{
    const size_t n = words(n_vocab);
    uint32_t any = 0;
    for (size_t i = 0; i < n; i++) any |= s->bits[i];
    if (!any || g4_matcher_done(s->m)) g4_steps_set_stops(s, s->bits, n_vocab, true);
    for (size_t i = 0; i < n; i++) mask[i] &= s->bits[i];
}

void g4_steps_note(struct g4_steps *s, uint8_t state)
{
    const size_t at = s->n++ % G4_STEPS_BACK;
    s->past[at].state = state;
    s->past[at].fed = false;
}

void g4_steps_feed(struct g4_steps *s, int32_t id)
{
    s->past[(s->n - 1) % G4_STEPS_BACK].fed = true;
    g4_matcher_accept(s->m, id);
}

bool g4_steps_back(struct g4_steps *s, size_t n, uint8_t *state)
{
    size_t fed = 0;
    if (n > G4_STEPS_BACK) n = G4_STEPS_BACK;
    if (n > s->n) n = s->n;
    if (!n) return false;
    for (size_t i = 0; i < n; i++) fed += s->past[(s->n - 1 - i) % G4_STEPS_BACK].fed;
    s->n -= n;
    *state = s->past[s->n % G4_STEPS_BACK].state;
    if (s->m) g4_matcher_rollback(s->m, fed);
    return true;
}
