/* engine/sample: the filters, over the short list that a pick gives back.  The
 * whole row is looked at only when the list cannot hold all candidates: top_k off
 * (or beyond the list) and the list's mass below top_p. */
#define _GNU_SOURCE /* qsort_r */
#include "engine/sample.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"

enum { N_BIN = 4096 };
static const double BIN_RANGE = 64; /* scaled logits below the largest; exp(-64) is nothing */

uint64_t g4_sample_key(uint64_t seed, uint32_t sample, const int32_t *ids, size_t n)
{
    const uint64_t h = g4_hash64(ids, n * sizeof *ids, 0);
    return g4_mix64(g4_mix64(g4_mix64(seed) ^ sample) ^ h);
}

double g4_sample_uniform(uint64_t key, uint64_t position)
{
    const uint64_t x = g4_mix64(g4_mix64(key ^ g4_mix64(position)) + position);
    return (double)(x >> 11) * 0x1p-53;
}

static bool greedy(const struct g4_sampling *s)
{
    return !(s->temperature > 0) || s->top_k == 1;
}

bool g4_sample_wants_row(const struct g4_sampling *s)
{
    return !greedy(s) && (s->top_k <= 0 || s->top_k > G4_PICK_MAX);
}

void g4_sample_wants(const struct g4_sampling *s, int32_t n_logprob, g4_pick *p)
{
    int32_t k = greedy(s) ? 1 : s->top_k > 0 && s->top_k < G4_PICK_MAX ? s->top_k : G4_PICK_MAX;
    if (n_logprob > k) k = n_logprob < G4_PICK_MAX ? n_logprob : G4_PICK_MAX;
    p->k = (uint32_t)k;
    p->want_row = g4_sample_wants_row(s);
}

/* Candidates in descending order: logits by position, ids by position. */
struct list {
    const int32_t *id;
    const float *logit;  /* of entry i; NULL: row[id[i]] */
    const float *row;
    uint32_t n;
};

static double weight(const struct list *l, uint32_t i, double top, double inv_t)
{
    const double x = l->logit ? l->logit[i] : l->row[l->id[i]];
    return exp((x - top) * inv_t);
}

/* total: mass that top_p is a part of; 0: that of the list. */
static int32_t from_list(const struct g4_sampling *s, const struct list *l, double top, double total, double u)
{
    const double inv_t = 1.0 / s->temperature;
    double all = 0, kept = 0;
    uint32_t n = 0;
    if (total > 0) all = total;
    else for (uint32_t i = 0; i < l->n; i++) all += weight(l, i, top, inv_t);
    for (; n < l->n; n++) { /* at least one stays */
        const double w = weight(l, n, top, inv_t);
        if (n && s->top_p < 1 && kept >= s->top_p * all) break;
        if (n && w < s->min_p) break; /* the largest has weight 1 */
        if (n && w == 0) break;
        kept += w;
    }
    double r = u * kept;
    for (uint32_t i = 0; i < n; i++) {
        r -= weight(l, i, top, inv_t);
        if (r < 0) return l->id[i];
    }
    return l->id[n - 1];
}

struct order_arg {
    const float *row;
};

static int by_logit(const void *a, const void *b, void *arg)
{
    const float *row = ((const struct order_arg *)arg)->row;
    const int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (row[i] != row[j]) return row[i] > row[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

/* All of the row in id order, none filtered. */
static int32_t from_all(const float *row, uint32_t n, double top, double inv_t, double total, double u)
{
    double r = u * total;
    int32_t last = -1;
    for (uint32_t i = 0; i < n; i++) {
        const double w = exp((row[i] - top) * inv_t);
        if (!(w > 0)) continue;
        last = (int32_t)i;
        r -= w;
        if (r < 0) break;
    }
    return last;
}

/* A histogram of the scaled logits says how far down the candidates reach;
 * those are gathered and sorted. */
static int32_t from_row(const struct g4_sampling *s, const g4_pick *p, uint32_t n_vocab, double u, int32_t *scratch)
{
    const double top = p->top_logit[0], inv_t = 1.0 / s->temperature;
    double mass[N_BIN] = {0}, total = 0;
    uint32_t count[N_BIN] = {0}, last, n = 0, seen = 0;
    for (uint32_t i = 0; i < n_vocab; i++) {
        const double z = (top - p->row[i]) * inv_t;
        if (!(z < BIN_RANGE)) continue;
        const uint32_t bin = (uint32_t)(z * (N_BIN / BIN_RANGE));
        const double w = exp(-z);
        mass[bin] += w;
        count[bin]++;
        total += w;
    }
    if (s->top_k <= 0 && !(s->top_p < 1) && !(s->min_p > 0))
        return from_all(p->row, n_vocab, top, inv_t, total, u);
    double sum = 0;
    for (last = 0; last < N_BIN - 1; last++) {
        sum += mass[last];
        seen += count[last];
        if (s->top_k > 0 ? seen >= (uint32_t)s->top_k : s->top_p < 1 && sum >= s->top_p * total) break;
        if (s->min_p > 0 && exp(-(last + 1) * (BIN_RANGE / N_BIN)) < s->min_p) break;
    }
    for (uint32_t i = 0; i < n_vocab; i++) {
        const double z = (top - p->row[i]) * inv_t;
        if (z < BIN_RANGE && (uint32_t)(z * (N_BIN / BIN_RANGE)) <= last) scratch[n++] = (int32_t)i;
    }
    qsort_r(scratch, n, sizeof *scratch, by_logit, &(struct order_arg){ p->row });
    if (s->top_k > 0 && n > (uint32_t)s->top_k) n = (uint32_t)s->top_k;
    const struct list l = { .id = scratch, .row = p->row, .n = n };
    return from_list(s, &l, top, s->top_k > 0 ? 0 : total, u);
}

/* Mass of everything allowed, at the temperature, relative to the largest. */
static double row_mass(const g4_pick *p, uint32_t n_vocab, double inv_t)
{
    const double top = p->top_logit[0];
    double sum = 0;
    for (uint32_t i = 0; i < n_vocab; i++) sum += exp((p->row[i] - top) * inv_t);
    return sum;
}

int32_t g4_sample(const struct g4_sampling *s, const g4_pick *p, uint32_t n_vocab, double u, int32_t *scratch)
{
    if (!p->n_top || !isfinite(p->top_logit[0])) return -1;
    if (greedy(s)) return p->top_id[0];
    struct list l = { .id = p->top_id, .logit = p->top_logit, .n = p->n_top };
    while (l.n > 1 && l.logit[l.n - 1] == -INFINITY) l.n--;
    const double top = p->top_logit[0], inv_t = 1.0 / s->temperature;
    if (s->top_k > 0 && s->top_k <= G4_PICK_MAX) {
        if (l.n > (uint32_t)s->top_k) l.n = (uint32_t)s->top_k;
        return from_list(s, &l, top, 0, u);
    }
    if (l.n < p->n_top || p->n_top < p->k || p->n_top == n_vocab) { /* the list is everything that is allowed */
        return from_list(s, &l, top, 0, u);
    }
    const double least = weight(&l, l.n - 1, top, inv_t);
    if (s->min_p > 0 && s->top_k <= 0 && !(s->top_p < 1) && least < s->min_p) return from_list(s, &l, top, 0, u);
    if (s->top_k <= 0 && s->top_p < 1) {
        const double total = row_mass(p, n_vocab, inv_t);
        double sum = 0;
        for (uint32_t i = 0; i + 1 < l.n; i++) sum += weight(&l, i, top, inv_t);
        if (sum >= s->top_p * total) return from_list(s, &l, top, total, u);
    }
    return from_row(s, p, n_vocab, u, scratch);
}
