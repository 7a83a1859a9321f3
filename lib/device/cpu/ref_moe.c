/* device/cpu/ref_moe: the reference's router and experts. */
#include "device/cpu/ref.h"

#include <math.h>

static uint32_t row_items(const struct g4_cpu_run *run, const g4_op *op)
{
    return run->n_rows[op->set];
}

/* ---- ROUTER --------------------------------------------------------------- */

static size_t router_bytes(const g4_op *op, const g4_plan_desc *desc)
{
    return (2 * (size_t)op->w[0]->cols + op->n_expert) * sizeof(float);
}

/* The k largest of p (ties: lower expert), their numbers ascending in chosen. */
static void choose(float *chosen, const float *p, uint32_t n, uint32_t k)
{
    uint32_t have = 0;

    for (uint32_t e = 0; e < n; e++) {
        uint32_t before = 0; /* experts that win against e */
        for (uint32_t o = 0; o < n; o++) before += p[o] > p[e] || (p[o] == p[e] && o < e);
        if (before < k && have < k) chosen[have++] = (float)e;
    }
}

/* z = rms(x) w1 alpha; p = softmax(w0 z); dst = k numbers, then p / (sum of the chosen) * w2 */
static void router_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t d = op->w[0]->cols, n = op->n_expert, k = op->k_expert;
    const float *x = g4_ref_at(run, op->src, r), *scale = (const float *)op->w[1]->data, *own = (const float *)op->w[2]->data;
    float *z = run->thread_scratch[thread], *tmp = z + d, *p = tmp + d, *y = g4_ref_at(run, op->dst[0], r);
    float most = -INFINITY, sum = 0;

    g4_ref_scale(z, x, NULL, d, g4_ref_rms(x, d, op->eps));
    for (uint32_t i = 0; i < d; i++) z[i] = z[i] * scale[i] * op->alpha;
    for (uint32_t e = 0; e < n; e++) {
        p[e] = g4_ref_dot(g4_ref_row(op->w[0], 0, e, tmp), z, d);
        if (p[e] > most) most = p[e];
    }
    for (uint32_t e = 0; e < n; e++) sum += p[e] = expf(p[e] - most);
    for (uint32_t e = 0; e < n; e++) p[e] /= sum;
    choose(y, p, n, k);
    sum = 0;
    for (uint32_t i = 0; i < k; i++) sum += p[(uint32_t)y[i]];
    for (uint32_t i = 0; i < k; i++) y[k + i] = p[(uint32_t)y[i]] / sum * own[(uint32_t)y[i]];
}

const struct g4_cpu_kernel g4_ref_router = { .phase = { { row_items, router_run } }, .thread_bytes = router_bytes };

/* ---- EXPERTS --------------------------------------------------------------
 * Phase 1 fills shared[row][slot][d_expert] = gelu(gate x) * (up x), an item an
 * expert's block of rows; phase 2 adds up w2 h over the slots, an item a block of
 * output rows.  An expert's weight row is decoded once for all rows that chose it. */

enum { BLOCK = 16 };

static uint32_t blocks(uint32_t n)
{
    return (n + BLOCK - 1) / BLOCK;
}

/* Slot of expert e in row r, -1: not chosen. */
static int slot_of(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t e)
{
    const float *c = g4_ref_at(run, op->src2, r);

    for (uint32_t i = 0; i < op->k_expert; i++)
        if ((uint32_t)c[i] == e) return (int)i;
    return -1;
}

static float *hidden_at(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, int slot)
{
    return (float *)run->shared + ((size_t)r * op->k_expert + (uint32_t)slot) * op->d_expert;
}

static uint32_t in_items(const struct g4_cpu_run *run, const g4_op *op)
{
    return run->n_rows[op->set] ? op->n_expert * blocks(op->d_expert) : 0;
}

static void in_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const uint32_t e = item / blocks(op->d_expert), from = item % blocks(op->d_expert) * BLOCK;
    const uint32_t to = from + BLOCK < op->d_expert ? from + BLOCK : op->d_expert, d = op->w[0]->cols;
    float *tmp = run->thread_scratch[thread];

    for (uint32_t o = from; o < to; o++) {
        const float *gate = NULL, *up = NULL;
        for (uint32_t r = 0; r < run->n_rows[op->set]; r++) {
            const int slot = slot_of(run, op, r, e);
            if (slot < 0) continue;
            if (!gate) {
                gate = g4_ref_row(op->w[0], e, o, tmp);
                up = op->w[1] ? g4_ref_row(op->w[1], e, o, tmp + d) : g4_ref_row(op->w[0], e, op->d_expert + o, tmp + d);
            }
            const float *x = g4_ref_at(run, op->src, r);
            hidden_at(run, op, r, slot)[o] = g4_ref_gelu(g4_ref_dot(gate, x, d)) * g4_ref_dot(up, x, d);
        }
    }
}

static uint32_t out_items(const struct g4_cpu_run *run, const g4_op *op)
{
    return run->n_rows[op->set] ? blocks(op->w[2]->rows) : 0;
}

static void out_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const g4_weight *w = op->w[2];
    const uint32_t n = run->n_rows[op->set], from = item * BLOCK, to = from + BLOCK < w->rows ? from + BLOCK : w->rows;

    for (uint32_t o = from; o < to; o++) {
        for (uint32_t r = 0; r < n; r++) g4_ref_at(run, op->dst[0], r)[o] = 0;
        for (uint32_t e = 0; e < op->n_expert; e++) {
            const float *row = NULL;
            for (uint32_t r = 0; r < n; r++) {
                const int slot = slot_of(run, op, r, e);
                if (slot < 0) continue;
                if (!row) row = g4_ref_row(w, e, o, run->thread_scratch[thread]);
                const float factor = g4_ref_at(run, op->src2, r)[op->k_expert + (uint32_t)slot];
                g4_ref_at(run, op->dst[0], r)[o] += factor * g4_ref_dot(row, hidden_at(run, op, r, slot), op->d_expert);
            }
        }
    }
}

static size_t experts_shared(const g4_op *op, const g4_plan_desc *desc)
{
    return (size_t)desc->max_rows[op->set] * op->k_expert * op->d_expert * sizeof(float);
}

const struct g4_cpu_kernel g4_ref_experts = {
    .phase = { { in_items, in_run }, { out_items, out_run } },
    .thread_bytes = g4_ref_row_bytes,
    .shared_bytes = experts_shared,
};
