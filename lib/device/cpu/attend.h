/* device/cpu/attend: HEADS and ATTEND for the levels that include it.
 *
 * Within a block of one layer K lies transposed, [n_kv][d_head][32 keys], so that
 * lanes are keys; V lies [n_kv][32 keys][d_head], so that lanes are features.
 *
 * A row's keys go in tiles of 64 at absolute positions, in ascending order, by
 * online softmax; tiles of one part (256 keys, more for a row that sees over 4096)
 * share a running (maximum, sum, accumulator), and parts are merged in ascending
 * order.  Tiles and parts depend on the row's own position alone, so a row has the
 * same bits whether its parts are computed by one thread or by many, and whatever
 * rows share the loads with it.  Keys that a row does not see weigh exactly 0;
 * blocks that are not held are never read. */
#ifndef G4_DEVICE_CPU_ATTEND_H
#define G4_DEVICE_CPU_ATTEND_H

#include "device/cpu/ref.h"
#include "device/cpu/view.h"

enum { KEYS = 64, SUB = W == 16 ? 8 : 4, GROUP_Q = 32, MAX_PART = 18, MAX_SPLIT = 64 };

INLINE vf load_upto(const float *p, uint32_t i, uint32_t n) /* lanes i .. of p[n] */
{
    return n - i < W ? v_load_n(p + i, n - i) : v_load(p + i);
}

INLINE void store_upto(float *p, uint32_t i, uint32_t n, vf v)
{
    if (n - i < W)
        v_store_n(p + i, v, n - i);
    else
        v_store(p + i, v);
}

/* 1 / sqrt(mean(x^2) + eps) */
static float rms_of(const float *x, uint32_t n, float eps)
{
    vf s = v_set1(0);
    for (uint32_t i = 0; i < n; i += W) {
        const vf v = load_upto(x, i, n);
        s = v_fma(v, v, s);
    }
    return 1.0f / sqrtf(v_sum(s) / (float)n + eps);
}

/* y = x * k * w (w NULL: x * k) */
static void scale_row(float *y, const float *x, const float *w, uint32_t n, float k)
{
    for (uint32_t i = 0; i < n; i += W) {
        vf v = load_upto(x, i, n) * v_set1(k);
        if (w) v = v * load_upto(w, i, n);
        store_upto(y, i, n, v);
    }
}

/* ---- HEADS --------------------------------------------------------------------- */

static uint32_t heads_chunk(uint32_t n)
{
    return n <= 64 ? 4 : G4_KV_BLOCK; /* rows of one block share cache lines of K */
}

static uint32_t heads_items(const struct g4_cpu_run *run, const g4_op *op)
{
    const uint32_t n = run->n_rows[op->set], per = heads_chunk(n);
    return (n + per - 1) / per;
}

static size_t heads_bytes(const g4_op *op, const g4_plan_desc *desc)
{
    return (3 * (size_t)op->d_head + 4 * W) * sizeof(float);
}

/* y[i] = x[i] cos - x[i + d/2] sin;  y[i + d/2] = x[i + d/2] cos + x[i] sin */
static void rotate(float *x, const float *cos, const float *sin, uint32_t d)
{
    const uint32_t half = d / 2;
    for (uint32_t i = 0; i < half; i += W) {
        const vf a = load_upto(x, i, half), b = load_upto(x + half, i, half);
        const vf c = load_upto(cos, i, half), s = load_upto(sin, i, half);
        store_upto(x, i, half, v_fma(-b, s, a * c));
        store_upto(x + half, i, half, v_fma(a, s, b * c));
    }
}

static void one_head(float *x, const g4_weight *w, const float *cs, const g4_op *op)
{
    const uint32_t d = op->d_head;
    if (w) scale_row(x, x, (const float *)(const void *)w->data, d, rms_of(x, d, op->eps));
    if (cs) rotate(x, cs, cs + d / 2, d);
}

/* n values as f16, large ones held at the largest finite value. */
static void to_f16(uint16_t *y, const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += W) {
        uint16_t part[W];
        const vf v = v_max(v_set1(-65504.0f), v_min(v_set1(65504.0f), load_upto(x, i, n)));
        v_store_f16(part, v);
        memcpy(y + i, part, (n - i < W ? n - i : W) * 2);
    }
}

/* One K or V vector into slot `slot` of a part of a block; tmp: [d] u16. */
static void put_k(const struct g4_kv_store *kv, uint8_t *part, uint32_t h, uint32_t slot, const float *x, uint32_t d, uint16_t *tmp)
{
    const size_t at = (size_t)h * d * G4_KV_BLOCK + slot;
    if (kv->desc.type == G4_F16) {
        uint16_t *o = (uint16_t *)(void *)part + at;
        to_f16(tmp, x, d);
        for (uint32_t i = 0; i < d; i++) o[(size_t)i * G4_KV_BLOCK] = tmp[i];
    } else {
        float *o = (float *)(void *)part + at;
        for (uint32_t i = 0; i < d; i++) o[(size_t)i * G4_KV_BLOCK] = x[i];
    }
}

static void put_v(const struct g4_kv_store *kv, uint8_t *part, uint32_t h, uint32_t slot, const float *x, uint32_t d)
{
    const size_t at = ((size_t)h * G4_KV_BLOCK + slot) * d;
    if (kv->desc.type == G4_F16)
        to_f16((uint16_t *)(void *)part + at, x, d);
    else
        memcpy((float *)(void *)part + at, x, d * sizeof *x);
}

/* V is taken before K is changed: both may be one buffer. */
static void store_kv(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t all, const float *cs, float *tmp)
{
    const struct g4_kv_store *kv = run->kv;
    const g4_kv_layer *l = &kv->layers[op->kv_layer];
    const uint32_t pos = run->step->pos[all], slot = pos % G4_KV_BLOCK, d = op->d_head;
    const int32_t block = run->step->seqs[run->step->seq[all]].table[l->pool][pos / G4_KV_BLOCK];
    if (block < 0) return;
    for (uint32_t h = 0; h < op->n_kv; h++) {
        float *k = g4_ref_at(run, op->src2, r) + h * d;
        const float *v = g4_ref_at(run, op->src3, r) + h * d;
        if (op->v_norm) {
            scale_row(tmp, v, NULL, d, rms_of(v, d, op->eps));
            v = tmp;
        }
        put_v(kv, g4_cpu_kv_at(kv, (uint32_t)op->kv_layer, block, 1), h, slot, v, d);
        one_head(k, op->w[1], cs, op);
        put_k(kv, g4_cpu_kv_at(kv, (uint32_t)op->kv_layer, block, 0), h, slot, k, d, (uint16_t *)(void *)tmp);
    }
}

static void heads_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const uint32_t n = run->n_rows[op->set], per = heads_chunk(n), half = op->d_head / 2;
    float *cs = run->thread_scratch[thread], *tmp = cs + op->d_head;
    for (uint32_t r = item * per; r < n && r < (item + 1) * per; r++) {
        const uint32_t all = g4_cpu_all_row(run, op->set, r);
        const vf pos = v_set1((float)run->step->pos[all]);
        for (uint32_t i = 0; op->freq && i < half; i += W) {
            vf s, c;
            v_sincos(pos * load_upto(op->freq, i, half), &s, &c);
            store_upto(cs, i, half, c);
            store_upto(cs + half, i, half, s);
        }
        const float *angles = op->freq ? cs : NULL;
        for (uint32_t h = 0; h < op->n_head; h++) one_head(g4_ref_at(run, op->src, r) + h * op->d_head, op->w[0], angles, op);
        if (op->src2 >= 0) store_kv(run, op, r, all, angles, tmp);
    }
}

static const struct g4_cpu_kernel heads_kernel = { .phase = { { heads_items, heads_run } }, .thread_bytes = heads_bytes };

/* ---- parts ----------------------------------------------------------------------- */

/* Keys a part: at most 17 parts a row. */
static uint32_t part_keys(const struct g4_view *v)
{
    uint32_t n = 256;
    while (v->hi - v->lo > 16 * n) n *= 2;
    return n;
}

/* ---- groups of rows -------------------------------------------------------------- */

struct group {
    uint32_t row, n;       /* rows of the set, one sequence */
    uint32_t lo, hi, part; /* keys that any of them sees; keys a part */
};

struct plan_head {
    uint32_t n_group, n_part; /* n_part: items a group and KV head; 0: one item does all parts */
    struct group g[];
};

static uint32_t rows_a_group(const g4_op *op)
{
    const uint32_t q = op->n_head / op->n_kv;
    return q >= GROUP_Q ? 1 : GROUP_Q / q;
}

static uint32_t group_queries(const g4_op *op) /* at most, rounded up to whole sub-tiles */
{
    return (rows_a_group(op) * (op->n_head / op->n_kv) + SUB - 1) / SUB * SUB;
}

static uint32_t padded(uint32_t d)
{
    return (d + 2 * W - 1) / (2 * W) * (2 * W);
}

/* Accumulator of one part: maxima, sums, values. */
static size_t part_floats(const g4_op *op)
{
    return (size_t)group_queries(op) * (padded(op->d_head) + 2);
}

static size_t groups_bytes(uint32_t max_rows)
{
    return (sizeof(struct plan_head) + (max_rows + 1) * sizeof(struct group) + 63) & ~(size_t)63;
}

static size_t attend_shared(const g4_op *op, const g4_plan_desc *desc)
{
    return groups_bytes(desc->max_rows[op->set]) + MAX_SPLIT * MAX_PART * part_floats(op) * sizeof(float);
}

static size_t attend_bytes(const g4_op *op, const g4_plan_desc *desc)
{
    const size_t q = group_queries(op);
    return (2 * part_floats(op) + q * op->d_head + q * KEYS + 64) * sizeof(float) + rows_a_group(op) * sizeof(struct g4_view);
}

/* Cuts the rows into groups and decides whether parts are items of their own:
 * when there are too few groups to keep the threads busy. */
static uint32_t attend_items(const struct g4_cpu_run *run, const g4_op *op)
{
    struct plan_head *h = run->shared;
    const uint32_t n = run->n_rows[op->set], most = rows_a_group(op);
    uint32_t parts = 1;
    h->n_group = 0;
    for (uint32_t r = 0; r < n; r++) {
        const uint32_t all = g4_cpu_all_row(run, op->set, r);
        const struct g4_view v = g4_view_of(run->step, op, all);
        const uint32_t part = part_keys(&v);
        struct group *g = h->n_group ? &h->g[h->n_group - 1] : NULL;
        const bool join = g && g->n < most && g->part == part && run->step->seq[all] == run->step->seq[g4_cpu_all_row(run, op->set, r - 1)];
        if (!join) {
            g = &h->g[h->n_group++];
            *g = (struct group){ r, 0, v.lo, v.hi, part };
        }
        g->n++;
        if (v.lo < g->lo) g->lo = v.lo;
        if (v.hi > g->hi) g->hi = v.hi;
        const uint32_t own = (g->hi + part - 1) / part - g->lo / part;
        if (own > parts) parts = own;
    }
    const uint32_t items = h->n_group * op->n_kv;
    h->n_part = run->n_thread > 1 && parts > 1 && parts <= MAX_PART && items < 2 * run->n_thread && items <= MAX_SPLIT ? parts : 0;
    return items * (h->n_part ? h->n_part : 1);
}

/* ---- one tile --------------------------------------------------------------------- */

struct part { /* running softmax of up to group_queries queries */
    float *m, *l; /* [q] */
    float *o;     /* [q][dp] */
};

struct work {
    const struct g4_cpu_run *run;
    const g4_op *op;
    const struct group *g;
    const struct g4_view *view; /* [g->n] */
    uint32_t kv_head, n_q, per_kv, dp;
    bool half;               /* f16 cache */
    const float *q;          /* [sub][d][SUB] */
    float *p;                /* [q][KEYS] */
};

INLINE vf load_kv(const uint8_t *p, size_t i, const bool half)
{
    return half ? v_f16((const uint16_t *)(const void *)p + i) : v_load((const float *)(const void *)p + i);
}

/* p[q][at .. at + 32) = q . K for Q queries; k: [d][32] */
INLINE void qk_block(float *p, const float *q, const uint8_t *k, uint32_t d, const int Q, const bool half)
{
#pragma GCC unroll 2
    for (int at = 0; at < G4_KV_BLOCK; at += 2 * W) {
        vf acc[SUB][2];
#pragma GCC unroll 8
        for (int j = 0; j < Q; j++) acc[j][0] = acc[j][1] = v_set1(0);
        for (uint32_t i = 0; i < d; i++) {
            const vf a = load_kv(k, (size_t)i * G4_KV_BLOCK + at, half), b = load_kv(k, (size_t)i * G4_KV_BLOCK + at + W, half);
#pragma GCC unroll 8
            for (int j = 0; j < Q; j++) {
                const vf x = v_set1(q[i * SUB + j]);
                acc[j][0] = v_fma(x, a, acc[j][0]);
                acc[j][1] = v_fma(x, b, acc[j][1]);
            }
        }
#pragma GCC unroll 8
        for (int j = 0; j < Q; j++) {
            v_store(p + j * KEYS + at, acc[j][0]);
            v_store(p + j * KEYS + at + W, acc[j][1]);
        }
    }
}

/* o[q] = o[q] * keep[q] + sum over the tile of p[q][key] V[key]; v[2]: the two blocks, NULL: nothing of it is seen */
INLINE void pv_tile(float *o, uint32_t dp, const float *p, const float *keep, const uint8_t *const v[2], uint32_t d, const int Q, const bool half)
{
    for (uint32_t at = 0; at < d; at += 2 * W) {
        const bool second = at + W < d;
        vf acc[SUB][2];
#pragma GCC unroll 8
        for (int j = 0; j < Q; j++) acc[j][0] = acc[j][1] = v_set1(0);
        for (int b = 0; b < 2; b++) {
            if (!v[b]) continue;
            for (uint32_t key = 0; key < G4_KV_BLOCK; key++) {
                const vf x = load_kv(v[b], (size_t)key * d + at, half);
                const vf y = second ? load_kv(v[b], (size_t)key * d + at + W, half) : x;
#pragma GCC unroll 8
                for (int j = 0; j < Q; j++) {
                    const vf w = v_set1(p[j * KEYS + b * G4_KV_BLOCK + key]);
                    acc[j][0] = v_fma(w, x, acc[j][0]);
                    acc[j][1] = v_fma(w, y, acc[j][1]);
                }
            }
        }
#pragma GCC unroll 8
        for (int j = 0; j < Q; j++) {
            float *y = o + j * dp + at;
            v_store(y, v_fma(v_load(y), v_set1(keep[j]), acc[j][0]));
            v_store(y + W, v_fma(v_load(y + W), v_set1(keep[j]), acc[j][1]));
        }
    }
}

#define SUB_FN(Q, H) \
    static __attribute__((noinline)) void qk_##Q##_##H(float *p, const float *q, const uint8_t *k, uint32_t d) { qk_block(p, q, k, d, Q, H); } \
    static __attribute__((noinline)) void pv_##Q##_##H(float *o, uint32_t dp, const float *p, const float *keep, const uint8_t *const v[2], uint32_t d) \
    { \
        pv_tile(o, dp, p, keep, v, d, Q, H); \
    }
#define SUB_FNS(Q) SUB_FN(Q, 0) SUB_FN(Q, 1)

SUB_FNS(1)
SUB_FNS(2)
SUB_FNS(4)
#if defined(__AVX512F__)
SUB_FNS(8)
#else
#define qk_8_0 qk_4_0
#define qk_8_1 qk_4_1
#define pv_8_0 pv_4_0
#define pv_8_1 pv_4_1
#endif

typedef void qk_fn(float *p, const float *q, const uint8_t *k, uint32_t d);
typedef void pv_fn(float *o, uint32_t dp, const float *p, const float *keep, const uint8_t *const v[2], uint32_t d);
static qk_fn *const qk_of[4][2] = { { qk_1_0, qk_1_1 }, { qk_2_0, qk_2_1 }, { qk_4_0, qk_4_1 }, { qk_8_0, qk_8_1 } };
static pv_fn *const pv_of[4][2] = { { pv_1_0, pv_1_1 }, { pv_2_0, pv_2_1 }, { pv_4_0, pv_4_1 }, { pv_8_0, pv_8_1 } };

INLINE vi lane_numbers(void)
{
    vi v;
    for (int i = 0; i < W; i++) v[i] = i;
    return v;
}

/* -1 in the lanes of keys j .. j + W that the row sees */
INLINE vi seen_lanes(const struct g4_view *v, uint32_t j)
{
    const vi key = lane_numbers() + v_seti((int32_t)j);
    const vi win = (key >= v_seti((int32_t)v->win_lo)) & (key < v_seti((int32_t)v->win_hi));
    return win | ((key >= v_seti((int32_t)v->group_lo)) & (key < v_seti((int32_t)v->group_hi)));
}

static float exp1(float x)
{
    return v_exp(v_set1(x))[0];
}

/* Scores of one query's tile become weights; *keep is what its accumulator is
 * multiplied with.  False: the row sees nothing of the tile. */
static bool softmax_tile(const struct g4_op *op, const struct g4_view *v, uint32_t t, float *p, float *m, float *l, float *keep)
{
    const bool all = t >= v->win_lo && t + KEYS <= v->win_hi;
    vf s[KEYS / W], most = v_set1(-INFINITY);
#pragma GCC unroll 8
    for (int i = 0; i < KEYS / W; i++) {
        s[i] = v_load(p + i * W) * v_set1(op->alpha);
        if (op->softcap > 0) s[i] = v_softcap(s[i], op->softcap);
        if (!all) s[i] = v_pick(seen_lanes(v, t + (uint32_t)i * W), s[i], v_set1(-INFINITY));
        most = v_max(most, s[i]);
    }
    const float top = v_most(most);
    if (top == -INFINITY) {
        memset(p, 0, KEYS * sizeof *p);
        *keep = 1;
        return false;
    }
    const float now = top > *m ? top : *m;
    vf sum = v_set1(0);
#pragma GCC unroll 8
    for (int i = 0; i < KEYS / W; i++) {
        vf e = v_exp(s[i] - v_set1(now));
        if (!all) e = v_pick(seen_lanes(v, t + (uint32_t)i * W), e, v_set1(0));
        sum = sum + e;
        v_store(p + i * W, e);
    }
    *keep = exp1(*m - now);
    *l = *l * *keep + v_sum(sum);
    *m = now;
    return true;
}

/* Where block `b` of the sequence begins for this head; NULL: not held. */
static const uint8_t *head_block(const struct work *w, uint32_t b, uint32_t part)
{
    const g4_kv_layer *l = &w->run->kv->layers[w->op->kv_layer];
    const uint32_t all = g4_cpu_all_row(w->run, w->op->set, w->g->row);
    const int32_t block = w->run->step->seqs[w->run->step->seq[all]].table[l->pool][b];
    if (block < 0) return NULL;
    const size_t head = (size_t)w->kv_head * G4_KV_BLOCK * l->d_head * (w->half ? 2 : 4);
    return g4_cpu_kv_at(w->run->kv, (uint32_t)w->op->kv_layer, block, part) + head;
}

/* Adds the tile of keys [t, t + KEYS) to a part. */
static void attend_tile(const struct work *w, uint32_t t, const struct part *a)
{
    const uint32_t d = w->op->d_head;
    const uint8_t *k[2], *v[2];
    for (uint32_t b = 0; b < 2; b++) { /* blocks outside of what is seen have no table entry */
        const uint32_t at = t + b * G4_KV_BLOCK;
        const bool inside = at < w->g->hi && at + G4_KV_BLOCK > w->g->lo;
        k[b] = inside ? head_block(w, at / G4_KV_BLOCK, 0) : NULL;
        v[b] = inside ? head_block(w, at / G4_KV_BLOCK, 1) : NULL;
    }
    for (uint32_t s = 0; s < w->n_q; s += SUB) {
        const uint32_t n = w->n_q - s < SUB ? w->n_q - s : SUB;
        const int which = n > 4 ? 3 : n > 2 ? 2 : (int)n - 1;
        const uint32_t count = n > 4 ? 8 : n > 2 ? 4 : n;
        float *p = w->p + (size_t)s * KEYS, keep[8];
        for (int b = 0; b < 2; b++) {
            if (k[b]) {
                qk_of[which][w->half](p + b * G4_KV_BLOCK, w->q + (size_t)s * d, k[b], d);
                continue;
            }
            for (uint32_t j = 0; j < count; j++) memset(p + j * KEYS + b * G4_KV_BLOCK, 0, G4_KV_BLOCK * sizeof *p);
        }
        bool any = false;
        for (uint32_t j = 0; j < count; j++) {
            keep[j] = 1;
            if (j >= n) {
                memset(p + j * KEYS, 0, KEYS * sizeof *p);
                continue;
            }
            if (softmax_tile(w->op, &w->view[(s + j) / w->per_kv], t, p + j * KEYS, &a->m[s + j], &a->l[s + j], &keep[j])) any = true;
        }
        if (any) pv_of[which][w->half](a->o + (size_t)s * w->dp, w->dp, p, keep, v, d);
    }
}

/* ---- parts ------------------------------------------------------------------------- */

static struct part part_at(const struct work *w, float *base)
{
    const uint32_t q = group_queries(w->op);
    return (struct part){ base, base + q, base + 2 * q };
}

static void clear_part(const struct work *w, const struct part *a)
{
    for (uint32_t q = 0; q < group_queries(w->op); q++) {
        a->m[q] = -INFINITY;
        a->l[q] = 0;
    }
    memset(a->o, 0, (size_t)group_queries(w->op) * w->dp * sizeof *a->o);
}

/* Computes part i (keys [i, i + 1) * g->part) from nothing. */
static void attend_part(const struct work *w, uint32_t i, const struct part *a)
{
    const uint32_t from = i * w->g->part, to = from + w->g->part;
    clear_part(w, a);
    const uint32_t first = from > w->g->lo ? from : w->g->lo / KEYS * KEYS;
    for (uint32_t t = first; t < to && t < w->g->hi; t += KEYS) attend_tile(w, t, a);
}

/* a += b */
static void merge_part(const struct work *w, const struct part *a, const struct part *b)
{
    for (uint32_t q = 0; q < w->n_q; q++) {
        if (b->m[q] == -INFINITY) continue;
        const float now = a->m[q] > b->m[q] ? a->m[q] : b->m[q];
        const float ka = exp1(a->m[q] - now), kb = exp1(b->m[q] - now);
        float *x = a->o + (size_t)q * w->dp;
        const float *y = b->o + (size_t)q * w->dp;
        for (uint32_t i = 0; i < w->dp; i += W) v_store(x + i, v_fma(v_load(x + i), v_set1(ka), v_load(y + i) * v_set1(kb)));
        a->l[q] = a->l[q] * ka + b->l[q] * kb;
        a->m[q] = now;
    }
}

/* Divides by the sums and writes the group's rows of this KV head. */
static void finish(const struct work *w, const struct part *a)
{
    const uint32_t d = w->op->d_head;
    for (uint32_t q = 0; q < w->n_q; q++) {
        const uint32_t r = w->g->row + q / w->per_kv, h = w->kv_head * w->per_kv + q % w->per_kv;
        scale_row(g4_ref_at(w->run, w->op->dst[0], r) + h * d, a->o + (size_t)q * w->dp, NULL, d, a->l[q] > 0 ? 1.0f / a->l[q] : 0.0f);
    }
}

/* Sets the work of group g and KV head up in the thread's scratch; *rest: behind it. */
static struct work work_of(const struct g4_cpu_run *run, const g4_op *op, uint32_t group, uint32_t kv_head, uint32_t thread, float **rest)
{
    const struct plan_head *h = run->shared;
    struct work w = { .run = run, .op = op, .g = &h->g[group], .kv_head = kv_head, .per_kv = op->n_head / op->n_kv,
                      .dp = padded(op->d_head), .half = run->kv->desc.type == G4_F16 };
    const uint32_t d = op->d_head, most = group_queries(op);
    float *q = run->thread_scratch[thread];
    w.n_q = w.g->n * w.per_kv;
    w.q = q;
    w.p = q + ((size_t)most * d + 15) / 16 * 16;
    struct g4_view *view = (struct g4_view *)(void *)(w.p + (size_t)most * KEYS);
    for (uint32_t i = 0; i < w.g->n; i++) view[i] = g4_view_of(run->step, op, g4_cpu_all_row(run, op->set, w.g->row + i));
    w.view = view;
    *rest = (float *)(void *)(view + rows_a_group(op));
    for (uint32_t i = 0; i < w.n_q; i++) {
        const float *x = g4_ref_at(run, op->src, w.g->row + i / w.per_kv) + (kv_head * w.per_kv + i % w.per_kv) * d;
        float *y = q + (size_t)(i / SUB) * SUB * d + i % SUB;
        for (uint32_t k = 0; k < d; k++) y[(size_t)k * SUB] = x[k];
    }
    return w;
}

static float *split_at(const struct g4_cpu_run *run, const g4_op *op, uint32_t item)
{
    const struct plan_head *h = run->shared;
    return (float *)(void *)((uint8_t *)run->shared + groups_bytes(h->n_group)) + item * part_floats(op);
}

static void attend_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const struct plan_head *h = run->shared;
    const uint32_t parts = h->n_part ? h->n_part : 1, unit = item / parts;
    float *rest;
    const struct work w = work_of(run, op, unit / op->n_kv, unit % op->n_kv, thread, &rest);
    const uint32_t first = w.g->lo / w.g->part;
    if (h->n_part) {
        const struct part a = part_at(&w, split_at(run, op, item));
        attend_part(&w, first + item % parts, &a);
        return;
    }
    const struct part sum = part_at(&w, rest), a = part_at(&w, rest + part_floats(op));
    clear_part(&w, &sum);
    for (uint32_t i = first; i * w.g->part < w.g->hi; i++) {
        attend_part(&w, i, &a);
        merge_part(&w, &sum, &a);
    }
    finish(&w, &sum);
}

static uint32_t join_items(const struct g4_cpu_run *run, const g4_op *op)
{
    const struct plan_head *h = run->shared;
    return h->n_part ? h->n_group * op->n_kv : 0;
}

static void join_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t unit, uint32_t thread)
{
    const struct plan_head *h = run->shared;
    float *rest;
    const struct work w = work_of(run, op, unit / op->n_kv, unit % op->n_kv, thread, &rest);
    const struct part sum = part_at(&w, rest);
    clear_part(&w, &sum);
    for (uint32_t i = 0; i < h->n_part; i++) {
        const struct part a = part_at(&w, split_at(run, op, unit * h->n_part + i));
        merge_part(&w, &sum, &a);
    }
    finish(&w, &sum);
}

static const struct g4_cpu_kernel attend_kernel = {
    .phase = { { attend_items, attend_run }, { join_items, join_run } },
    .thread_bytes = attend_bytes, .shared_bytes = attend_shared,
};

#endif
