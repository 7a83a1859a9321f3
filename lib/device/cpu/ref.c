/* device/cpu/ref: every op in plain C and float32, the reference of all devices.
 *
 * Owns the kernel table of the "ref" level; attention, rope and the pick stand in
 * ref_attend.c, the experts in ref_moe.c.  Calls base only.
 *
 * Weights are decoded to f32 one row at a time, and each row is used for all rows
 * of the step.  Sums run in a fixed order (g4_ref_dot) that depends on the length
 * of the vectors alone, so a row's result is the same bits whatever stands beside
 * it.  exp, tanh, sin, cos are libm's. */
#include "device/cpu/ref.h"

#include <math.h>
#include <string.h>

/* ---- arithmetic ---------------------------------------------------------- */

/* Four floats at any address; the compiler makes of it what the machine has. */
typedef float v4 __attribute__((vector_size(16), aligned(4), may_alias));

/* sum a[i] * b[i]: 16 partial sums over i mod 16, folded in halves; the tail of
 * n mod 16 elements joins the first partial sums. */
float g4_ref_dot(const float *a, const float *b, uint32_t n)
{
    v4 s[4] = { { 0 } };
    uint32_t i = 0;

    for (; i + 16 <= n; i += 16)
        for (uint32_t j = 0; j < 4; j++) s[j] += *(const v4 *)(a + i + 4 * j) * *(const v4 *)(b + i + 4 * j);
    for (uint32_t j = 0; i < n; i++, j++) s[j / 4][j % 4] += a[i] * b[i];
    s[0] += s[2];
    s[1] += s[3];
    s[0] += s[1];
    return (s[0][0] + s[0][2]) + (s[0][1] + s[0][3]);
}

/* 1 / sqrt(mean(x^2) + eps) */
float g4_ref_rms(const float *x, uint32_t n, float eps)
{
    return 1.0f / sqrtf(g4_ref_dot(x, x, n) / (float)n + eps);
}

/* y = x * k * w (w NULL: x * k); y may be x */
void g4_ref_scale(float *y, const float *x, const float *w, uint32_t n, float k)
{
    if (w)
        for (uint32_t i = 0; i < n; i++) y[i] = x[i] * k * w[i];
    else
        for (uint32_t i = 0; i < n; i++) y[i] = x[i] * k;
}

/* 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
float g4_ref_gelu(float x)
{
    return 0.5f * x * (1.0f + tanhf(0.79788456080286535588f * (x + 0.044715f * x * x * x)));
}

/* Row i of matrix e of w as f32, decoded into tmp unless it is f32 already. */
const float *g4_ref_row(const g4_weight *w, uint32_t e, uint32_t i, float *tmp)
{
    const uint8_t *p = w->data + ((size_t)e * w->rows + i) * w->row_bytes;

    if (w->type == G4_F32 && (uintptr_t)p % sizeof(float) == 0) return (const float *)p;
    g4_dtype_get(w->type)->decode(p, tmp, w->cols);
    return tmp;
}

static const float *vector(const g4_weight *w)
{
    return w ? (const float *)w->data : NULL;
}

size_t g4_ref_row_bytes(const g4_op *op, const g4_plan_desc *desc)
{
    size_t most = 0;

    for (int i = 0; i < 3; i++)
        if (op->w[i] && op->w[i]->cols > most) most = op->w[i]->cols;
    return 2 * most * sizeof(float); /* GATED holds two rows */
}

/* ---- matrices ------------------------------------------------------------ */

enum { BLOCK = 16 }; /* weight rows an item */

static uint32_t blocks(uint32_t rows)
{
    return (rows + BLOCK - 1) / BLOCK;
}

static uint32_t matmul_items(const struct g4_cpu_run *run, const g4_op *op)
{
    uint32_t n = 0;

    if (!run->n_rows[op->set]) return 0;
    for (int i = 0; i < op->n_w; i++) n += blocks(op->w[i]->rows);
    return n;
}

/* MATMUL, LOGITS: dst[i][r] = f(w[i] src[r]) */
static void matmul_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const uint32_t n = run->n_rows[op->set];
    float *tmp = run->thread_scratch[thread];
    int i = 0;

    while (item >= blocks(op->w[i]->rows)) item -= blocks(op->w[i++]->rows);
    const g4_weight *w = op->w[i];
    const uint32_t end = item * BLOCK + BLOCK < w->rows ? item * BLOCK + BLOCK : w->rows;
    for (uint32_t o = item * BLOCK; o < end; o++) {
        const float *row = g4_ref_row(w, 0, o, tmp);
        for (uint32_t r = 0; r < n; r++) {
            float *y = g4_ref_at(run, op->dst[i], r) + o;
            *y = g4_ref_dot(row, g4_ref_at(run, op->src, r), w->cols);
            if (op->kind == G4_OP_MATMUL)
                *y *= op->alpha;
            else if (op->softcap > 0)
                *y = op->softcap * tanhf(*y / op->softcap);
        }
    }
}

static uint32_t gated_items(const struct g4_cpu_run *run, const g4_op *op)
{
    return run->n_rows[op->set] ? blocks(op->w[0]->rows) : 0;
}

/* GATED: gelu(w0 x) * (w1 x); GATED_PLE: gelu(w0 x) * src2[off + o] */
static void gated_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const g4_weight *w = op->w[0];
    const uint32_t n = run->n_rows[op->set];
    const uint32_t end = item * BLOCK + BLOCK < w->rows ? item * BLOCK + BLOCK : w->rows;
    float *tmp = run->thread_scratch[thread];

    for (uint32_t o = item * BLOCK; o < end; o++) {
        const float *gate = g4_ref_row(w, 0, o, tmp);
        const float *up = op->kind == G4_OP_GATED ? g4_ref_row(op->w[1], 0, o, tmp + w->cols) : NULL;
        for (uint32_t r = 0; r < n; r++) {
            const float *x = g4_ref_at(run, op->src, r);
            const float g = g4_ref_gelu(g4_ref_dot(gate, x, w->cols));
            const float u = up ? g4_ref_dot(up, x, w->cols) : g4_ref_at(run, op->src2, r)[op->off + o];
            g4_ref_at(run, op->dst[0], r)[o] = g * u;
        }
    }
}

/* ---- row by row ---------------------------------------------------------- */

static uint32_t row_items(const struct g4_cpu_run *run, const g4_op *op)
{
    return run->n_rows[op->set];
}

static int32_t id_of(const struct g4_cpu_run *run, const g4_op *op, uint32_t r)
{
    return run->step->id[g4_cpu_all_row(run, op->set, r)];
}

static void embed_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const int32_t id = id_of(run, op, r);
    const uint32_t cols = op->w[0]->cols;
    float *y = g4_ref_at(run, op->dst[0], r);

    if (id < 0)
        memcpy(y, run->step->vec[g4_cpu_all_row(run, op->set, r)], cols * sizeof *y);
    else
        g4_ref_scale(y, g4_ref_row(op->w[0], 0, (uint32_t)id, run->thread_scratch[thread]), NULL, cols, op->alpha);
}

static void ple_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t cols = run->buf_cols[op->dst[0]], dim = op->dim;
    const int32_t id = id_of(run, op, r);
    const float *x = g4_ref_at(run, op->src, r), *w = vector(op->w[0]);
    const float *table = op->w[1] ? g4_ref_row(op->w[1], 0, id < 0 ? 0 : (uint32_t)id, run->thread_scratch[thread]) : NULL;
    float *y = g4_ref_at(run, op->dst[0], r);

    for (uint32_t at = 0; at < cols; at += dim) {
        g4_ref_scale(y + at, x + at, w, dim, g4_ref_rms(x + at, dim, op->eps));
        for (uint32_t i = at; table && i < at + dim; i++) y[i] = (y[i] + table[i] * op->alpha) * op->beta;
    }
}

static void norm_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t n = run->buf_cols[op->src];
    const float *x = g4_ref_at(run, op->src, r);

    g4_ref_scale(g4_ref_at(run, op->dst[0], r), x, vector(op->w[0]), n, g4_ref_rms(x, n, op->eps));
}

static void resid_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t n = run->buf_cols[op->dst[0]];
    const float *f = g4_ref_at(run, op->src, r), *w = vector(op->w[0]);
    float *x = g4_ref_at(run, op->dst[0], r);

    if (w) {
        const float k = g4_ref_rms(f, n, op->eps);
        for (uint32_t i = 0; i < n; i++) x[i] = (x[i] + f[i] * k * w[i]) * op->alpha;
    } else {
        for (uint32_t i = 0; i < n; i++) x[i] = (x[i] + f[i]) * op->alpha;
    }
    if (op->dst2 >= 0)
        g4_ref_scale(g4_ref_at(run, op->dst2, r), x, vector(op->w[1]), n, g4_ref_rms(x, n, op->eps));
}

static void add_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const float *a = g4_ref_at(run, op->src, r), *b = g4_ref_at(run, op->src2, r);
    float *y = g4_ref_at(run, op->dst[0], r);

    for (uint32_t i = 0; i < run->buf_cols[op->dst[0]]; i++) y[i] = a[i] + b[i];
}

/* COPY and GATHER: GATHER's source rows are rows of ALL. */
static void copy_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t from = op->kind == G4_OP_GATHER ? run->step->out_row[r] : r;

    memcpy(g4_ref_at(run, op->dst[0], r), g4_ref_at(run, op->src, from), run->buf_cols[op->dst[0]] * sizeof(float));
}

/* Mean over the rows of a sequence, added in order of the rows. */
static void pool_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t s, uint32_t thread)
{
    const uint32_t n = run->buf_cols[op->dst[0]];
    float *y = g4_ref_at(run, op->dst[0], s);
    uint32_t rows = 0;

    memset(y, 0, n * sizeof *y);
    for (uint32_t r = 0; r < run->step->n_row; r++) {
        if (run->step->seq[r] != s) continue;
        const float *x = g4_ref_at(run, op->src, r);
        for (uint32_t i = 0; i < n; i++) y[i] += x[i];
        rows++;
    }
    for (uint32_t i = 0; rows && i < n; i++) y[i] /= (float)rows;
}

static void l2norm_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t n = run->buf_cols[op->src];
    const float *x = g4_ref_at(run, op->src, r);
    const float len = sqrtf(g4_ref_dot(x, x, n));

    g4_ref_scale(g4_ref_at(run, op->dst[0], r), x, NULL, n, len > 0 ? 1.0f / len : 0.0f);
}

/* ---- the table ----------------------------------------------------------- */

#define BY_ROW(fn) { .phase = { { row_items, fn } } }
#define BY_ROW_DECODED(fn) { .phase = { { row_items, fn } }, .thread_bytes = g4_ref_row_bytes }

static const struct g4_cpu_kernel matmul_kernel = { .phase = { { matmul_items, matmul_run } }, .thread_bytes = g4_ref_row_bytes };
static const struct g4_cpu_kernel gated_kernel = { .phase = { { gated_items, gated_run } }, .thread_bytes = g4_ref_row_bytes };
static const struct g4_cpu_kernel embed_kernel = BY_ROW_DECODED(embed_run);
static const struct g4_cpu_kernel ple_kernel = BY_ROW_DECODED(ple_run);
static const struct g4_cpu_kernel norm_kernel = BY_ROW(norm_run);
static const struct g4_cpu_kernel resid_kernel = BY_ROW(resid_run);
static const struct g4_cpu_kernel add_kernel = BY_ROW(add_run);
static const struct g4_cpu_kernel copy_kernel = BY_ROW(copy_run);
static const struct g4_cpu_kernel pool_kernel = BY_ROW(pool_run);
static const struct g4_cpu_kernel l2norm_kernel = BY_ROW(l2norm_run);

static const struct g4_cpu_kernel *ref_kernel(const g4_op *op)
{
    static const struct g4_cpu_kernel *const table[G4_OP_END] = {
        [G4_OP_EMBED] = &embed_kernel,       [G4_OP_MATMUL] = &matmul_kernel,  [G4_OP_GATED] = &gated_kernel,
        [G4_OP_GATED_PLE] = &gated_kernel,   [G4_OP_PLE] = &ple_kernel,        [G4_OP_HEADS] = &g4_ref_heads,
        [G4_OP_ATTEND] = &g4_ref_attend,     [G4_OP_NORM] = &norm_kernel,      [G4_OP_RESID] = &resid_kernel,
        [G4_OP_ADD] = &add_kernel,           [G4_OP_ROUTER] = &g4_ref_router,  [G4_OP_EXPERTS] = &g4_ref_experts,
        [G4_OP_GATHER] = &copy_kernel,       [G4_OP_COPY] = &copy_kernel,      [G4_OP_LOGITS] = &matmul_kernel,
        [G4_OP_POOL] = &pool_kernel,         [G4_OP_L2NORM] = &l2norm_kernel,  [G4_OP_PICK] = &g4_ref_pick,
    };
    return table[op->kind];
}

static bool ref_usable(void)
{
    return true;
}

const struct g4_cpu_level g4_cpu_ref = { "ref", ref_usable, ref_kernel };
