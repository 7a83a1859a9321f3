/* device/cpu/matmul: MATMUL, LOGITS, GATED, GATED_PLE and EXPERTS for the levels
 * that include it after unpack.h.
 *
 * Block types: the rows of the step are quantised to int8, 32 values a block with
 * an f32 scale (largest magnitude / 127), in tiles of tw tokens that lie as
 * [tile][block][token][32], so that a kernel walks one pointer.  Up to DIRECT_MAX
 * tokens meet the weights as they are unpacked; more of them meet a panel that is
 * unpacked once into the thread's scratch.
 *
 * F32, F16 and BF16 weights and all other types (decoded a panel at a time) are
 * multiplied with the f32 rows: lanes over k, one accumulator a pair of rows,
 * folded in a fixed order.
 *
 * Both ways end in out[token][W] for one panel and one tile of 16 tokens. */
#ifndef G4_DEVICE_CPU_MATMUL_H
#define G4_DEVICE_CPU_MATMUL_H

#include "device/cpu/ref.h"

enum { TILE = 16 }; /* tokens */

/* ---- quantised rows ---------------------------------------------------------- */

struct acts {
    uint32_t nb, tw, n_tile;
    int8_t *q;                  /* [n_tile][nb][tw][32] */
    float *d;                   /* [n_tile][nb][tw] */
    int32_t *aux[3];            /* weight i: [n_tile][nb][groups][tw]; equal kinds share one */
    const struct kind *kind[3]; /* NULL: not a block type */
};

static uint32_t tile_width(uint32_t n)
{
    return n > DIRECT_MAX ? TILE : n > 4 ? 8 : n > 2 ? 4 : n;
}

static size_t up64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

/* Lays the arrays out at base (NULL: to count); returns the bytes they take. */
static size_t acts_place(struct acts *a, uint8_t *base, uint32_t cols, uint32_t n_tile, uint32_t tw)
{
    const size_t n = (size_t)n_tile * (cols / 32) * tw;
    size_t at = 0;
    a->nb = cols / 32;
    a->tw = tw;
    a->n_tile = n_tile;
    a->q = (int8_t *)base;
    at += up64(n * 32);
    a->d = (float *)(void *)(base + at);
    at += up64(n * 4);
    for (int i = 0; i < 3; i++) {
        a->aux[i] = (int32_t *)(void *)(base + at);
        at += up64(n * 4 * 2);
    }
    return at;
}

static bool same_aux(const struct kind *a, const struct kind *b)
{
    return a && b && a->groups == b->groups && a->mins == b->mins && a->off == b->off;
}

static void acts_kinds(struct acts *a, const g4_weight *const *w, int n_w)
{
    for (int i = 0; i < 3; i++) {
        const struct format *f = i < n_w && w[i] ? format_of(w[i]->type) : NULL;
        a->kind[i] = f ? f->kind : NULL;
        for (int j = 0; j < i; j++)
            if (same_aux(a->kind[j], a->kind[i])) a->aux[i] = a->aux[j];
    }
}

static bool any_block_type(const g4_weight *const *w, int n_w)
{
    for (int i = 0; i < n_w; i++)
        if (w[i] && format_of(w[i]->type)) return true;
    return false;
}

/* Quantises 32 values; sum[2] of the integers of each half. */
INLINE float quantise32(const float *x, int8_t *q, int32_t sum[2])
{
    vf v[32 / W], most = v_set1(0);
#pragma GCC unroll 8
    for (int i = 0; i < 32 / W; i++) {
        v[i] = v_load(x + i * W);
        most = v_max(most, v_abs(v[i]));
    }
    const float top = v_most(most), inv = top > 1e-30f ? 127.0f / top : 0.0f; /* smaller is nothing */
    vi lo = v_seti(0), hi = v_seti(0);
#pragma GCC unroll 8
    for (int i = 0; i < 32 / W; i++) {
        const vi n = v_toint(v[i] * v_set1(inv));
        v_store_i8(q + i * W, n);
        if (i < 16 / W) lo = lo + n;
        else hi = hi + n;
    }
    sum[0] = v_sumi(lo);
    sum[1] = v_sumi(hi);
    return top > 1e-30f ? top / 127.0f : 0.0f;
}

static void store_aux(const struct acts *a, int i, uint32_t tile, uint32_t b, uint32_t t, float d, const int32_t sum[2])
{
    const struct kind *k = a->kind[i];
    for (uint32_t g = 0; g < k->groups; g++) {
        const int32_t s = k->groups == 1 ? sum[0] + sum[1] : sum[g];
        int32_t v = -k->off * s;
        if (k->mins) {
            const float f = d * (float)s;
            memcpy(&v, &f, 4);
        }
        a->aux[i][(((size_t)tile * a->nb + b) * k->groups + g) * a->tw + t] = v;
    }
}

/* Row x (NULL: an empty place in the tile) becomes token t of a tile. */
static void quantise_row(const struct acts *a, uint32_t tile, uint32_t t, const float *x)
{
    for (uint32_t b = 0; b < a->nb; b++) {
        const size_t at = ((size_t)tile * a->nb + b) * a->tw + t;
        int32_t sum[2] = { 0, 0 };
        if (x)
            a->d[at] = quantise32(x + b * 32, a->q + at * 32, sum);
        else {
            memset(a->q + at * 32, 0, 32);
            a->d[at] = 0;
        }
        for (int i = 0; i < 3; i++) {
            if (!a->kind[i] || (i && a->aux[i] == a->aux[i - 1]) || (i == 2 && a->aux[2] == a->aux[0])) continue;
            store_aux(a, i, tile, b, t, a->d[at], sum);
        }
    }
}

/* ---- one panel --------------------------------------------------------------- */

struct panel {
    const g4_weight *w;
    const struct format *f;     /* NULL: f32 rows */
    const uint8_t *rows;        /* W of them (or fewer: n), stride apart */
    size_t stride;
    uint32_t n;                 /* rows that exist */
    int type;                   /* without f: G4_F32, G4_F16 or G4_BF16 */
    uint8_t *packed;            /* NULL: direct */
};

/* Scratch of one panel: its packed or decoded form, and a padded copy of its rows. */
static size_t panel_bytes(const g4_weight *w)
{
    const size_t packed = (size_t)w->cols / 32 * 12 * sizeof(vf), decoded = (size_t)w->cols * W * sizeof(float);
    return up64(packed > decoded ? packed : decoded) + up64(W * w->row_bytes);
}

/* Prepares W rows from row0 of matrix e for n_tok tokens. */
static void panel_open(struct panel *p, const g4_weight *w, uint32_t e, uint32_t row0, uint32_t n_tok, uint8_t *scratch)
{
    p->w = w;
    p->f = format_of(w->type);
    p->n = w->rows - row0 < W ? w->rows - row0 : W;
    p->rows = w->data + ((size_t)e * w->rows + row0) * w->row_bytes;
    p->stride = w->row_bytes;
    p->type = (int)w->type;
    p->packed = NULL;
    if (!p->f) {
        if (w->type == G4_F32 || w->type == G4_F16 || w->type == G4_BF16) return;
        const g4_dtype_info *t = g4_dtype_get(w->type);
        for (uint32_t r = 0; r < p->n; r++)
            t->decode(p->rows + r * p->stride, (float *)(void *)scratch + (size_t)r * w->cols, w->cols);
        p->rows = scratch;
        p->stride = w->cols * sizeof(float);
        p->type = G4_F32;
        return;
    }
    if (p->n < W) { /* kernels read W rows: behind the matrix the mapping may end */
        uint8_t *copy = scratch + panel_bytes(w) - up64(W * w->row_bytes);
        memcpy(copy, p->rows, p->n * w->row_bytes);
        memset(copy + p->n * w->row_bytes, 0, (W - p->n) * w->row_bytes);
        p->rows = copy;
    }
    if (n_tok <= DIRECT_MAX) return;
    struct ctx x = { .panel = scratch };
    p->f->pack(&x, p->rows, p->stride, w->cols / 32);
    p->packed = scratch;
}

/* out[t][r], t < n <= TILE: tile `tile` of a; v: which aux. */
static void panel_int8(const struct panel *p, const struct acts *a, int v, uint32_t tile, uint32_t n, vf *out)
{
    const struct kind k = *p->f->kind;
    const size_t at = (size_t)tile * a->nb * a->tw;
    struct ctx x = { .x = { a->q + at * 32, a->d + at, a->aux[v] + at * k.groups, a->tw } };
    if (!p->packed) {
        const int which = n > 4 ? 3 : n > 2 ? 2 : (int)n - 1;
        p->f->direct[which](&x, p->rows, p->stride, a->nb);
        memcpy(out, x.acc, n * sizeof *out);
        return;
    }
    tile_fn *const *tiles = tiles_of(k);
    x.panel = p->packed;
    for (uint32_t t = 0; t < n; t += TILE_MAX) {
        const uint32_t m = n - t < TILE_MAX ? n - t : TILE_MAX;
        tiles[(m + TILE_STEP - 1) / TILE_STEP - 1](&x, a->nb);
        memcpy(out + t, x.acc, m * sizeof *out);
        x.x.q += 32 * TILE_MAX;
        x.x.d += TILE_MAX;
        x.x.aux += TILE_MAX;
    }
}

/* W values of a row at column i (n < W: zeros behind). */
INLINE vf weights_at(const uint8_t *row, uint32_t i, uint32_t n, const int type)
{
    if (type == G4_F32) {
        const float *p = (const float *)(const void *)row + i;
        return n < W ? v_load_n(p, n) : v_load(p);
    }
    const uint16_t *p = (const uint16_t *)(const void *)row + i;
    uint16_t part[W];
    if (n < W) {
        memset(part, 0, sizeof part);
        memcpy(part, p, n * 2);
        p = part;
    }
    return type == G4_F16 ? v_f16(p) : v_bf16(p);
}

/* A tile of R weight rows by T tokens. */
INLINE void float_tile(const struct panel *p, uint32_t r0, const float *const *x, const int R, const int T, const int type, float *out)
{
    const uint8_t *row[4];
    vf acc[4][4];
    const uint32_t cols = p->w->cols;
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        const uint32_t at = r0 + (uint32_t)r < p->n ? r0 + (uint32_t)r : p->n - 1;
        row[r] = p->rows + at * p->stride;
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) acc[r][t] = v_set1(0);
    }
    const uint8_t *next = p->rows + (r0 + 8) * p->stride; /* fetched in order, two tiles of rows ahead */
    const uint32_t step = R * W * (type == G4_F32 ? 4 : 2);
    for (uint32_t i = 0; i < cols; i += W, next += step) {
        const uint32_t n = cols - i;
        vf a[4];
#pragma GCC unroll 4
        for (uint32_t j = 0; j < step; j += 64) __builtin_prefetch(next + j, 0, 2);
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) a[t] = n < W ? v_load_n(x[t] + i, n) : v_load(x[t] + i);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            const vf w = weights_at(row[r], i, n, type);
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) acc[r][t] = v_fma(w, a[t], acc[r][t]);
        }
    }
#pragma GCC unroll 4
    for (int t = 0; t < T; t++)
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) out[(size_t)t * W + r0 + (uint32_t)r] = v_sum(acc[r][t]);
}

#if defined(__AVX512F__)
/* As float_tile for BF16 weights with activations rounded to bf16: pairs of k a lane. */
__attribute__((target("avx512bf16"))) static void bf16_tile(const struct panel *p, uint32_t r0, const float *const *x, uint32_t n_tok, float *out)
{
    const uint32_t cols = p->w->cols;
    __m512 acc[4][4];
    for (int r = 0; r < 4; r++)
        for (int t = 0; t < 4; t++) acc[r][t] = _mm512_setzero_ps();
    for (uint32_t i = 0; i < cols; i += 32) {
        const uint32_t n = cols - i < 32 ? cols - i : 32;
        const __mmask32 m = (__mmask32)((1ull << n) - 1);
        __m512bh a[4];
#pragma GCC unroll 4
        for (uint32_t t = 0; t < 4; t++) {
            const float *y = x[t < n_tok ? t : 0] + i;
            a[t] = _mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps((__mmask16)(m >> 16), y + 16), _mm512_maskz_loadu_ps((__mmask16)m, y));
        }
#pragma GCC unroll 4
        for (uint32_t r = 0; r < 4; r++) {
            const uint32_t at = r0 + r < p->n ? r0 + r : p->n - 1;
            const __m512bh w = (__m512bh)_mm512_maskz_loadu_epi16(m, p->rows + at * p->stride + (size_t)i * 2);
#pragma GCC unroll 4
            for (int t = 0; t < 4; t++) acc[r][t] = _mm512_dpbf16_ps(acc[r][t], w, a[t]);
        }
    }
    for (uint32_t t = 0; t < n_tok; t++)
        for (uint32_t r = 0; r < 4; r++) out[(size_t)t * W + r0 + r] = v_sum((vf)acc[r][t]);
}

static bool bf16_panel(const struct panel *p, const float *const *x, uint32_t n, vf *out)
{
    if (p->type != G4_BF16 || !__builtin_cpu_supports("avx512bf16")) return false;
    for (uint32_t r = 0; r < W; r += 4)
        for (uint32_t t = 0; t < n; t += 4) bf16_tile(p, r, x + t, n - t < 4 ? n - t : 4, (float *)(out + t));
    return true;
}

enum { FLOAT_T = 4 };
#else
static bool bf16_panel(const struct panel *p, const float *const *x, uint32_t n, vf *out)
{
    return false; /* no such instruction: rounding would only lose */
}

enum { FLOAT_T = 2 };
#endif

INLINE void panel_float_of(const struct panel *p, const float *const *x, uint32_t n, float *out, const int type)
{
    for (uint32_t r = 0; r < W; r += 4) {
        uint32_t t = 0;
        for (; t + FLOAT_T <= n; t += FLOAT_T) float_tile(p, r, x + t, 4, FLOAT_T, type, out + (size_t)t * W);
        for (; t < n; t++) float_tile(p, r, x + t, 4, 1, type, out + (size_t)t * W);
    }
}

static void panel_float(const struct g4_cpu_run *run, const struct panel *p, const float *const *x, uint32_t n, vf *out)
{
    if (run->fast_bf16 && bf16_panel(p, x, n, out)) return;
    if (p->type == G4_F32)
        panel_float_of(p, x, n, (float *)out, G4_F32);
    else if (p->type == G4_F16)
        panel_float_of(p, x, n, (float *)out, G4_F16);
    else
        panel_float_of(p, x, n, (float *)out, G4_BF16);
}

/* ---- the ops ------------------------------------------------------------------ */

/* Panels an item, from what they cost (bytes read and products): a sixteenth of
 * the matrix within bounds.  Small enough that a late thread costs little at the
 * end, large because the panel fetched ahead at a claim's end may be another
 * thread's to read. */
static uint32_t panels_an_item(const g4_weight *w, uint32_t n)
{
    const size_t cost = W * w->row_bytes + (size_t)n * w->cols * W / 64;
    const size_t share = (w->rows + W - 1) / W * cost / 16;
    const size_t per = (share < 32768 ? 32768 : share > 262144 ? 262144 : share) / cost;
    return per < 1 ? 1 : per > 64 ? 64 : (uint32_t)per;
}

static uint32_t items_of(const g4_weight *w, uint32_t n)
{
    const uint32_t per = panels_an_item(w, n) * W;
    return (w->rows + per - 1) / per;
}

/* The quantised rows of an op in the shared scratch. */
static struct acts op_acts(const struct g4_cpu_run *run, const g4_op *op, int n_w)
{
    const uint32_t n = run->n_rows[op->set], tw = tile_width(n);
    struct acts a;
    acts_place(&a, run->shared, run->buf_cols[op->src], (n + TILE - 1) / TILE, tw);
    acts_kinds(&a, op->w, n_w);
    return a;
}

static int weights_of(const g4_op *op)
{
    return op->kind == G4_OP_MATMUL ? op->n_w : op->kind == G4_OP_GATED ? 2 : 1;
}

static uint32_t quantise_items(const struct g4_cpu_run *run, const g4_op *op)
{
    if (!any_block_type(op->w, weights_of(op))) return 0;
    return (run->n_rows[op->set] + TILE - 1) / TILE;
}

static void quantise_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t tile, uint32_t thread)
{
    const struct acts a = op_acts(run, op, weights_of(op));
    const uint32_t n = run->n_rows[op->set];
    for (uint32_t t = 0; t < a.tw; t++) {
        const uint32_t r = tile * TILE + t;
        quantise_row(&a, tile, t, r < n ? g4_ref_at(run, op->src, r) : NULL);
    }
}

/* One tile of tokens of an op whose rows are those of its set. */
static void panel_tile(const struct g4_cpu_run *run, const g4_op *op, const struct panel *p, const struct acts *a, int v,
                       uint32_t tile, uint32_t n, vf *out)
{
    if (p->f) {
        panel_int8(p, a, v, tile, n, out);
        return;
    }
    const float *x[TILE];
    for (uint32_t t = 0; t < n; t++) x[t] = g4_ref_at(run, op->src, tile * TILE + t);
    panel_float(run, p, x, n, out);
}

static void store_lanes(float *y, vf v, uint32_t n)
{
    if (n == W)
        v_store(y, v);
    else
        v_store_n(y, v, n);
}

static uint32_t matmul_items(const struct g4_cpu_run *run, const g4_op *op)
{
    const uint32_t n = run->n_rows[op->set];
    uint32_t sum = 0;
    for (int i = 0; n && i < weights_of(op); i++) sum += items_of(op->w[i], n);
    return sum;
}

static void matmul_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const uint32_t n = run->n_rows[op->set];
    int i = 0;
    while (item >= items_of(op->w[i], n)) item -= items_of(op->w[i++], n);
    const g4_weight *w = op->w[i];
    const struct acts a = op_acts(run, op, weights_of(op));
    const uint32_t per = panels_an_item(w, n) * W, end = (item + 1) * per < w->rows ? (item + 1) * per : w->rows;
    const float cap = op->kind == G4_OP_LOGITS ? op->softcap : 0, alpha = op->kind == G4_OP_MATMUL ? op->alpha : 1.0f;
    for (uint32_t row = item * per; row < end; row += W) {
        struct panel p;
        panel_open(&p, w, 0, row, n, run->thread_scratch[thread]);
        for (uint32_t tile = 0; tile * TILE < n; tile++) {
            const uint32_t m = n - tile * TILE < TILE ? n - tile * TILE : TILE;
            vf out[TILE];
            panel_tile(run, op, &p, &a, i, tile, m, out);
            for (uint32_t t = 0; t < m; t++) {
                const vf v = cap > 0 ? v_softcap(out[t], cap) : out[t] * v_set1(alpha);
                store_lanes(g4_ref_at(run, op->dst[i], tile * TILE + t) + row, v, p.n);
            }
        }
    }
}

static uint32_t gated_items(const struct g4_cpu_run *run, const g4_op *op)
{
    const uint32_t n = run->n_rows[op->set];
    return n ? items_of(op->w[0], n) : 0;
}

/* GATED: gelu(w0 x) * (w1 x); GATED_PLE: gelu(w0 x) * src2[off + row] */
static void gated_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const uint32_t n = run->n_rows[op->set];
    const g4_weight *w = op->w[0];
    const struct acts a = op_acts(run, op, weights_of(op));
    const uint32_t per = panels_an_item(w, n) * W, end = (item + 1) * per < w->rows ? (item + 1) * per : w->rows;
    const bool two = op->kind == G4_OP_GATED;
    uint8_t *scratch = run->thread_scratch[thread];
    for (uint32_t row = item * per; row < end; row += W) {
        struct panel gate, up;
        panel_open(&gate, w, 0, row, n, scratch);
        if (two) panel_open(&up, op->w[1], 0, row, n, scratch + panel_bytes(w));
        for (uint32_t tile = 0; tile * TILE < n; tile++) {
            const uint32_t m = n - tile * TILE < TILE ? n - tile * TILE : TILE;
            vf g[TILE], u[TILE];
            panel_tile(run, op, &gate, &a, 0, tile, m, g);
            if (two) panel_tile(run, op, &up, &a, 1, tile, m, u);
            for (uint32_t t = 0; t < m; t++) {
                const uint32_t r = tile * TILE + t;
                if (!two) u[t] = v_load_n(g4_ref_at(run, op->src2, r) + op->off + row, gate.n);
                store_lanes(g4_ref_at(run, op->dst[0], r) + row, v_gelu(g[t]) * u[t], gate.n);
            }
        }
    }
}

static size_t matmul_thread_bytes(const g4_op *op, const g4_plan_desc *desc)
{
    size_t sum = 64;
    for (int i = 0; i < 3; i++)
        if (op->w[i]) sum += panel_bytes(op->w[i]);
    return sum;
}

static size_t matmul_shared_bytes(const g4_op *op, const g4_plan_desc *desc)
{
    struct acts a;
    if (!any_block_type(op->w, weights_of(op))) return 0;
    return acts_place(&a, NULL, op->w[0]->cols, (desc->max_rows[op->set] + TILE - 1) / TILE, TILE);
}

static const struct g4_cpu_kernel matmul_kernel = {
    .phase = { { quantise_items, quantise_run }, { matmul_items, matmul_run } },
    .thread_bytes = matmul_thread_bytes, .shared_bytes = matmul_shared_bytes,
};
static const struct g4_cpu_kernel gated_kernel = {
    .phase = { { quantise_items, quantise_run }, { gated_items, gated_run } },
    .thread_bytes = matmul_thread_bytes, .shared_bytes = matmul_shared_bytes,
};

#endif
