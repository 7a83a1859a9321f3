/* device/cpu/ref_attend: the reference's heads, attention and pick.
 *
 * K and V of a block lie as [n_kv][32 keys][d_head], f32 or f16.
 *
 * Attention of a row goes through tiles of 64 keys at absolute positions in
 * ascending order; each tile has its own maximum and is merged into the running
 * (maximum, sum, accumulator).  Which other rows or chunks there are does not
 * enter. */
#include "device/cpu/ref.h"
#include "device/cpu/view.h"

#include <math.h>
#include <string.h>

enum { TILE = 64 };

/* ---- K and V in a block --------------------------------------------------- */

/* Bytes of the vector of head h and key slot `slot` inside a part of a block. */
static size_t kv_offset(const struct g4_kv_store *kv, const g4_kv_layer *l, uint32_t h, uint32_t slot)
{
    return ((size_t)h * G4_KV_BLOCK + slot) * l->d_head * (kv->desc.type == G4_F16 ? 2 : 4);
}

static void kv_put(const struct g4_kv_store *kv, uint8_t *to, const float *x, uint32_t n)
{
    if (kv->desc.type != G4_F16) {
        memcpy(to, x, n * sizeof *x);
        return;
    }
    for (uint32_t i = 0; i < n; i++) ((uint16_t *)to)[i] = g4_f32_to_f16(x[i]);
}

/* The vector as f32: in place, or decoded into tmp. */
static const float *kv_get(const struct g4_kv_store *kv, const uint8_t *from, float *tmp, uint32_t n)
{
    if (kv->desc.type != G4_F16) return (const float *)from;
    for (uint32_t i = 0; i < n; i++) tmp[i] = g4_f16_to_f32(((const uint16_t *)from)[i]);
    return tmp;
}

/* ---- HEADS ---------------------------------------------------------------- */

static uint32_t row_items(const struct g4_cpu_run *run, const g4_op *op)
{
    return run->n_rows[op->set];
}

static size_t heads_bytes(const g4_op *op, const g4_plan_desc *desc)
{
    return 2 * op->d_head * sizeof(float); /* cosines and sines, then one vector */
}

/* y[i] = x[i] cos - x[i + d/2] sin;  y[i + d/2] = x[i + d/2] cos + x[i] sin */
static void rotate(float *x, const float *cs, uint32_t d)
{
    const uint32_t half = d / 2;

    for (uint32_t i = 0; i < half; i++) {
        const float a = x[i], b = x[i + half];
        x[i] = a * cs[i] - b * cs[half + i];
        x[i + half] = b * cs[i] + a * cs[half + i];
    }
}

/* One head in place: norm when there is a weight, then rope when there are angles. */
static void head(float *x, const g4_weight *w, const float *cs, const g4_op *op)
{
    if (w) g4_ref_scale(x, x, (const float *)w->data, op->d_head, g4_ref_rms(x, op->d_head, op->eps));
    if (cs) rotate(x, cs, op->d_head);
}

/* Stores K and V of row r (row `all` of the step); V is taken before K is changed: both may be one buffer. */
static void heads_store(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t all, const float *cs, float *tmp)
{
    const struct g4_kv_store *kv = run->kv;
    const g4_kv_layer *l = &kv->layers[op->kv_layer];
    const uint32_t pos = run->step->pos[all], slot = pos % G4_KV_BLOCK;
    const int32_t block = run->step->seqs[run->step->seq[all]].table[l->pool][pos / G4_KV_BLOCK];

    if (block < 0) return;
    for (uint32_t h = 0; h < op->n_kv; h++) {
        float *k = g4_ref_at(run, op->src2, r) + h * op->d_head;
        const float *v = g4_ref_at(run, op->src3, r) + h * op->d_head;
        const size_t at = kv_offset(kv, l, h, slot);
        if (op->v_norm) {
            g4_ref_scale(tmp, v, NULL, op->d_head, g4_ref_rms(v, op->d_head, op->eps));
            v = tmp;
        }
        kv_put(kv, g4_cpu_kv_at(kv, (uint32_t)op->kv_layer, block, 1) + at, v, op->d_head);
        head(k, op->w[1], cs, op);
        kv_put(kv, g4_cpu_kv_at(kv, (uint32_t)op->kv_layer, block, 0) + at, k, op->d_head);
    }
}

static void heads_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t all = g4_cpu_all_row(run, op->set, r), half = op->d_head / 2;
    const float pos = (float)run->step->pos[all];
    float *scratch = run->thread_scratch[thread], *cs = op->freq ? scratch : NULL;

    for (uint32_t i = 0; cs && i < half; i++) {
        const float angle = pos * op->freq[i];
        cs[i] = cosf(angle);
        cs[half + i] = sinf(angle);
    }
    for (uint32_t h = 0; h < op->n_head; h++) head(g4_ref_at(run, op->src, r) + h * op->d_head, op->w[0], cs, op);
    if (op->src2 >= 0) heads_store(run, op, r, all, cs, scratch + op->d_head);
}

const struct g4_cpu_kernel g4_ref_heads = { .phase = { { row_items, heads_run } }, .thread_bytes = heads_bytes };

/* ---- ATTEND --------------------------------------------------------------- */

static bool sees(const struct g4_view *v, uint32_t j)
{
    return (j >= v->win_lo && j < v->win_hi) || (j >= v->group_lo && j < v->group_hi);
}

static uint32_t attend_items(const struct g4_cpu_run *run, const g4_op *op)
{
    return run->n_rows[op->set] * op->n_head;
}

static size_t attend_bytes(const g4_op *op, const g4_plan_desc *desc)
{
    return (TILE + 2 * (size_t)op->d_head) * sizeof(float);
}

struct head_kv { /* where one KV head of one sequence lies */
    const struct g4_kv_store *kv;
    const g4_kv_layer *l;
    const int32_t *table;
    uint32_t layer, h;
};

static const float *key_at(const struct head_kv *s, uint32_t part, uint32_t j, float *tmp)
{
    const uint8_t *p = g4_cpu_kv_at(s->kv, s->layer, s->table[j / G4_KV_BLOCK], part);
    return kv_get(s->kv, p + kv_offset(s->kv, s->l, s->h, j % G4_KV_BLOCK), tmp, s->l->d_head);
}

/* Scores of the visible keys of [a, b) (-INFINITY: not visible); their maximum. */
static float tile_scores(const struct head_kv *s, const g4_op *op, const struct g4_view *v, const float *q, uint32_t a,
                         uint32_t b, float *score, float *tmp)
{
    float most = -INFINITY;

    for (uint32_t j = a; j < b; j++) {
        float x = -INFINITY;
        if (sees(v, j) && s->table[j / G4_KV_BLOCK] >= 0) {
            x = g4_ref_dot(q, key_at(s, 0, j, tmp), op->d_head) * op->alpha;
            if (op->softcap > 0) x = op->softcap * tanhf(x / op->softcap);
        }
        score[j - a] = x;
        if (x > most) most = x;
    }
    return most;
}

static void attend_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const uint32_t r = item / op->n_head, h = item % op->n_head, d = op->d_head;
    const uint32_t all = g4_cpu_all_row(run, op->set, r);
    const g4_kv_layer *l = &run->kv->layers[op->kv_layer];
    const struct head_kv s = { run->kv, l, run->step->seqs[run->step->seq[all]].table[l->pool], (uint32_t)op->kv_layer,
                               h / (op->n_head / op->n_kv) };
    const struct g4_view v = g4_view_of(run->step, op, all);
    const float *q = g4_ref_at(run, op->src, r) + h * d;
    float *score = run->thread_scratch[thread], *acc = score + TILE, *tmp = acc + d;
    float top = -INFINITY, sum = 0;

    memset(acc, 0, d * sizeof *acc);
    for (uint32_t t = v.lo / TILE * TILE; t < v.hi; t += TILE) {
        const uint32_t a = t > v.lo ? t : v.lo, b = t + TILE < v.hi ? t + TILE : v.hi;
        const float most = tile_scores(&s, op, &v, q, a, b, score, tmp);
        if (most == -INFINITY) continue;
        const float now = most > top ? most : top, keep = expf(top - now);
        sum *= keep;
        for (uint32_t i = 0; i < d; i++) acc[i] *= keep;
        for (uint32_t j = a; j < b; j++) {
            if (score[j - a] == -INFINITY) continue;
            const float p = expf(score[j - a] - now), *val = key_at(&s, 1, j, tmp);
            sum += p;
            for (uint32_t i = 0; i < d; i++) acc[i] += p * val[i];
        }
        top = now;
    }
    g4_ref_scale(g4_ref_at(run, op->dst[0], r) + h * d, acc, NULL, d, sum > 0 ? 1.0f / sum : 0.0f);
}

const struct g4_cpu_kernel g4_ref_attend = { .phase = { { attend_items, attend_run } }, .thread_bytes = attend_bytes };

/* ---- PICK ----------------------------------------------------------------- */

static bool allowed(const g4_pick *p, uint32_t i)
{
    return !p->allow || (p->allow[i / 32] >> i % 32 & 1);
}

/* log of the sum of exp over what is allowed; the sum in double, ascending ids. */
static float log_sum_exp(const g4_pick *p, const float *x, uint32_t n, bool masked)
{
    float most = -INFINITY;
    double sum = 0;

    for (uint32_t i = 0; i < n; i++)
        if (x[i] > most && (!masked || allowed(p, i))) most = x[i];
    if (most == -INFINITY) return -INFINITY;
    for (uint32_t i = 0; i < n; i++)
        if (!masked || allowed(p, i)) sum += expf(x[i] - most);
    return most + (float)log(sum);
}

static void adjust(const g4_pick *p, float *x, uint32_t n)
{
    for (uint32_t i = 0; i < p->n_adj; i++) {
        const g4_logit_adj *a = &p->adj[i];
        if (a->id < 0 || (uint32_t)a->id >= n) continue;
        float *l = &x[a->id];
        *l = (*l > 0 ? *l / a->rep : *l * a->rep) + a->add;
    }
}

/* The k largest in descending order by insertion; equal logits keep ascending ids. */
static void pick_top(g4_pick *p, const float *x, uint32_t n)
{
    const uint32_t k = p->k < G4_PICK_MAX ? p->k : G4_PICK_MAX;
    uint32_t have = 0;

    for (uint32_t i = 0; i < n && k; i++) {
        if (have == k && !(x[i] > p->top_logit[k - 1])) continue;
        if (!allowed(p, i) || x[i] == -INFINITY) continue;
        uint32_t at = have < k ? have++ : k - 1;
        for (; at > 0 && x[i] > p->top_logit[at - 1]; at--) {
            p->top_logit[at] = p->top_logit[at - 1];
            p->top_id[at] = p->top_id[at - 1];
        }
        p->top_logit[at] = x[i];
        p->top_id[at] = (int32_t)i;
    }
    p->n_top = have;
}

static uint32_t pick_items(const struct g4_cpu_run *run, const g4_op *op)
{
    return run->step->pick ? run->n_rows[op->set] : 0;
}

/* Adjustments, and the mask when the row is wanted, change the logits in place. */
static void pick_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t n = run->buf_cols[op->src];
    float *x = g4_ref_at(run, op->src, r);
    g4_pick *p = &run->step->pick[r];

    p->want_logit = p->want_id >= 0 && (uint32_t)p->want_id < n ? x[p->want_id] : 0.0f;
    p->lse_raw = log_sum_exp(p, x, n, false);
    adjust(p, x, n);
    p->lse = p->allow || p->n_adj ? log_sum_exp(p, x, n, true) : p->lse_raw;
    pick_top(p, x, n);
    for (uint32_t i = 0; p->want_row && p->allow && i < n; i++)
        if (!allowed(p, i)) x[i] = -INFINITY;
    p->row = p->want_row ? x : NULL;
}

const struct g4_cpu_kernel g4_ref_pick = { .phase = { { pick_items, pick_run } } };
