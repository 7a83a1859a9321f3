/* device/cpu/rows: NORM, RESID, ADD, ROUTER and PICK for the levels that include
 * it after attend.h. */
#ifndef G4_DEVICE_CPU_ROWS_H
#define G4_DEVICE_CPU_ROWS_H

#include "device/cpu/ref.h"

static uint32_t row_items(const struct g4_cpu_run *run, const g4_op *op)
{
    return run->n_rows[op->set];
}

static const float *floats_of(const g4_weight *w)
{
    return w ? (const float *)(const void *)w->data : NULL;
}

static void norm_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t n = run->buf_cols[op->src];
    const float *x = g4_ref_at(run, op->src, r);
    scale_row(g4_ref_at(run, op->dst[0], r), x, floats_of(op->w[0]), n, rms_of(x, n, op->eps));
}

/* x = (x + norm(f)) * alpha; then dst2 = norm(x) */
static void resid_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t n = run->buf_cols[op->dst[0]];
    const float *f = g4_ref_at(run, op->src, r), *w = floats_of(op->w[0]);
    float *x = g4_ref_at(run, op->dst[0], r);
    const vf k = v_set1(w ? rms_of(f, n, op->eps) : 1.0f), alpha = v_set1(op->alpha);
    for (uint32_t i = 0; i < n; i += W) {
        vf v = load_upto(f, i, n);
        if (w) v = v * k * load_upto(w, i, n);
        store_upto(x, i, n, (load_upto(x, i, n) + v) * alpha);
    }
    if (op->dst2 >= 0) scale_row(g4_ref_at(run, op->dst2, r), x, floats_of(op->w[1]), n, rms_of(x, n, op->eps));
}

static void add_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t n = run->buf_cols[op->dst[0]];
    const float *a = g4_ref_at(run, op->src, r), *b = g4_ref_at(run, op->src2, r);
    float *y = g4_ref_at(run, op->dst[0], r);
    for (uint32_t i = 0; i < n; i += W) store_upto(y, i, n, load_upto(a, i, n) + load_upto(b, i, n));
}

static const struct g4_cpu_kernel norm_kernel = { .phase = { { row_items, norm_run } } };
static const struct g4_cpu_kernel resid_kernel = { .phase = { { row_items, resid_run } } };
static const struct g4_cpu_kernel add_kernel = { .phase = { { row_items, add_run } } };

/* ---- PICK ----------------------------------------------------------------------
 * Phase 1, an item a chunk of the vocabulary: sums of exp before and after what
 * changes the logits, the changes themselves, and the maximum of each 64 logits.
 * Phase 2, an item a row: the k-th largest of those maxima bounds what is looked at. */

enum { CHUNK = 4096, SPAN = 64 };

struct chunk_sum { /* largest, and sum of exp(x - largest) */
    float top_raw, sum_raw, top, sum;
};

static uint32_t chunks_of(uint32_t n)
{
    return (n + CHUNK - 1) / CHUNK;
}

static struct chunk_sum *chunk_at(const struct g4_cpu_run *run, uint32_t n, uint32_t r)
{
    return (struct chunk_sum *)run->shared + (size_t)r * chunks_of(n);
}

static float *span_at(const struct g4_cpu_run *run, const g4_op *op, uint32_t n, uint32_t r)
{
    float *first = (float *)(void *)((struct chunk_sum *)run->shared + (size_t)run->n_rows[op->set] * chunks_of(n));
    return first + (size_t)r * chunks_of(n) * (CHUNK / SPAN);
}

static size_t pick_shared(const g4_op *op, const g4_plan_desc *desc)
{
    const uint32_t n = desc->bufs[op->src].cols;
    return (size_t)desc->max_rows[op->set] * chunks_of(n) * (sizeof(struct chunk_sum) + CHUNK / SPAN * sizeof(float));
}

/* What must be read before the logits change is read here, before any item runs. */
static uint32_t pick_items(const struct g4_cpu_run *run, const g4_op *op)
{
    const uint32_t n = run->buf_cols[op->src];
    if (!run->step->pick) return 0;
    for (uint32_t r = 0; r < run->n_rows[op->set]; r++) {
        g4_pick *p = &run->step->pick[r];
        p->want_logit = p->want_id >= 0 && (uint32_t)p->want_id < n ? g4_ref_at(run, op->src, r)[p->want_id] : 0.0f;
    }
    return run->n_rows[op->set] * chunks_of(n);
}

/* Largest of x[n] and the sum of exp(x - largest); spans (may be NULL): the maximum of each SPAN. */
static void sum_chunk(const float *x, uint32_t n, float *top, float *sum, float *spans)
{
    vf most = v_set1(-INFINITY);
    for (uint32_t s = 0; s < n; s += SPAN) {
        const uint32_t end = n - s < SPAN ? n : s + SPAN;
        vf m = v_set1(-INFINITY);
        for (uint32_t i = s; i < end; i += W) {
            vf v = load_upto(x, i, end);
            if (end - i < W) v = v_pick(lane_numbers() < v_seti((int32_t)(end - i)), v, v_set1(-INFINITY));
            m = v_max(m, v);
        }
        if (spans) spans[s / SPAN] = v_most(m);
        most = v_max(most, m);
    }
    *top = v_most(most);
    *sum = 0;
    if (*top == -INFINITY) return;
    vf s0 = v_set1(0), s1 = v_set1(0);
    uint32_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        s0 = s0 + v_exp(v_load(x + i) - v_set1(*top));
        s1 = s1 + v_exp(v_load(x + i + W) - v_set1(*top));
    }
    for (; i < n; i += W) {
        const vf e = v_exp(load_upto(x, i, n) - v_set1(*top));
        s0 = s0 + (n - i < W ? v_pick(lane_numbers() < v_seti((int32_t)(n - i)), e, v_set1(0)) : e);
    }
    *sum = v_sum(s0 + s1);
}

/* The changes of ids [from, from + n), in the caller's order; then the mask. */
static void change_chunk(const g4_pick *p, float *x, uint32_t from, uint32_t n)
{
    for (uint32_t i = 0; i < p->n_adj; i++) {
        const g4_logit_adj *a = &p->adj[i];
        if (a->id < 0 || (uint32_t)a->id < from || (uint32_t)a->id >= from + n) continue;
        float *l = &x[(uint32_t)a->id - from];
        *l = (*l > 0 ? *l / a->rep : *l * a->rep) + a->add;
    }
    for (uint32_t i = 0; p->allow && i < n; i += W) {
        const uint32_t bits = p->allow[(from + i) / 32] >> ((from + i) % 32) & (uint32_t)((1ull << W) - 1);
        store_upto(x, i, n, v_allow(load_upto(x, i, n), v_set1(-INFINITY), bits));
    }
}

static void pick_chunk(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const uint32_t n = run->buf_cols[op->src], r = item / chunks_of(n), c = item % chunks_of(n), from = c * CHUNK;
    const uint32_t m = n - from < CHUNK ? n - from : CHUNK;
    const g4_pick *p = &run->step->pick[r];
    float *x = g4_ref_at(run, op->src, r) + from, *spans = span_at(run, op, n, r) + (size_t)c * (CHUNK / SPAN);
    struct chunk_sum *s = chunk_at(run, n, r) + c;
    sum_chunk(x, m, &s->top_raw, &s->sum_raw, spans);
    s->top = s->top_raw;
    s->sum = s->sum_raw;
    if (!p->n_adj && !p->allow) return;
    change_chunk(p, x, from, m);
    sum_chunk(x, m, &s->top, &s->sum, spans);
}

/* log of the sum over all chunks, in ascending order */
static float join_sums(const struct chunk_sum *s, uint32_t n, bool raw)
{
    float top = -INFINITY;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) top = fmaxf(top, raw ? s[i].top_raw : s[i].top);
    if (top == -INFINITY) return -INFINITY;
    for (uint32_t i = 0; i < n; i++) sum += (double)(raw ? s[i].sum_raw : s[i].sum) * exp((double)((raw ? s[i].top_raw : s[i].top) - top));
    return top + (float)log(sum);
}

/* Value v into the descending list of at most k, if it belongs there. */
static void insert(float *list, int32_t *ids, uint32_t *have, uint32_t k, float v, int32_t id)
{
    if (v == -INFINITY || (*have == k && !(v > list[k - 1]))) return;
    uint32_t at = *have < k ? (*have)++ : k - 1;
    for (; at > 0 && v > list[at - 1]; at--) {
        list[at] = list[at - 1];
        ids[at] = ids[at - 1];
    }
    list[at] = v;
    ids[at] = id;
}

/* Equal logits keep ascending ids, since ids ascend and only a larger one goes before. */
static void pick_top(g4_pick *p, const float *x, uint32_t n, const float *spans)
{
    const uint32_t n_span = (n + SPAN - 1) / SPAN, k = p->k;
    uint32_t have = 0;
    p->n_top = 0;
    if (!k) return;
    for (uint32_t s = 0; s < n_span; s++) insert(p->top_logit, p->top_id, &have, k, spans[s], 0);
    const float bound = have == k ? p->top_logit[k - 1] : -INFINITY;
    have = 0;
    for (uint32_t s = 0; s < n_span; s++) {
        if (!(spans[s] >= bound) || (have == k && !(spans[s] > p->top_logit[k - 1]))) continue;
        const uint32_t end = n - s * SPAN < SPAN ? n : (s + 1) * SPAN;
        for (uint32_t i = s * SPAN; i < end; i++)
            if (x[i] >= bound) insert(p->top_logit, p->top_id, &have, k, x[i], (int32_t)i);
    }
    p->n_top = have;
}

static uint32_t pick_rows(const struct g4_cpu_run *run, const g4_op *op)
{
    return run->step->pick ? run->n_rows[op->set] : 0;
}

static void pick_row(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t n = run->buf_cols[op->src];
    const float *x = g4_ref_at(run, op->src, r);
    const struct chunk_sum *s = chunk_at(run, n, r);
    g4_pick *p = &run->step->pick[r];
    p->lse_raw = join_sums(s, chunks_of(n), true);
    p->lse = p->n_adj || p->allow ? join_sums(s, chunks_of(n), false) : p->lse_raw;
    pick_top(p, x, n, span_at(run, op, n, r));
    p->row = p->want_row ? x : NULL;
}

static const struct g4_cpu_kernel pick_kernel = {
    .phase = { { pick_items, pick_chunk }, { pick_rows, pick_row } }, .shared_bytes = pick_shared,
};

#endif
