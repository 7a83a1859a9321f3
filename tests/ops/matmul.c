/* Matrix ops on every level: each tensor type, odd shapes, 1 to 65 rows, against an
 * f64 reference; bits of a row alone, in a batch, and with 1, 2, 3 threads. */
#include "../tap.h"
#include "ops.h"

enum { MAX_ROWS = 65 };

static const g4_dtype types[] = { G4_F32, G4_F16, G4_BF16, G4_Q4_0, G4_Q4_1, G4_Q5_0, G4_Q5_1, G4_Q8_0, G4_Q2_K, G4_Q3_K, G4_Q4_K,
                                  G4_Q5_K, G4_Q6_K, G4_IQ4_NL, G4_IQ4_XS, G4_MXFP4, G4_NVFP4, G4_IQ2_XXS, G4_IQ2_XS, G4_IQ2_S,
                                  G4_IQ3_XXS, G4_IQ3_S, G4_IQ1_S, G4_IQ1_M, G4_TQ1_0, G4_TQ2_0, G4_Q1_0, G4_Q2_0 };
enum { N_TYPE = sizeof types / sizeof *types };

/* Types whose rows meet int8 activations on the vector levels. */
static bool int8_type(g4_dtype t)
{
    return (t >= G4_Q4_0 && t <= G4_Q6_K) || t == G4_IQ4_NL || t == G4_IQ4_XS || t == G4_MXFP4;
}

/* x as the int8 kernels see it: 32 values share the scale max / 127. */
static void quantised(const float *x, double *y, uint32_t n, bool int8)
{
    for (uint32_t b = 0; b < n; b += 32) {
        float most = 0;
        for (uint32_t i = b; i < b + 32 && i < n; i++) most = fmaxf(most, fabsf(x[i]));
        for (uint32_t i = b; i < b + 32 && i < n; i++)
            y[i] = !int8 ? x[i] : most > 1e-30f ? (double)rintf(x[i] * (127.0f / most)) * (most / 127.0f) : 0;
    }
}

struct expect { /* sums in f64 and the scale that errors are measured by */
    double *y, *size;
};

static void reference(const g4_weight *w, const float *x, uint32_t n, bool int8, struct expect *e)
{
    float *row = g4_alloc(w->cols * sizeof *row);
    double *q = g4_alloc((size_t)n * w->cols * sizeof *q);
    for (uint32_t r = 0; r < n; r++) quantised(x + (size_t)r * w->cols, q + (size_t)r * w->cols, w->cols, int8);
    for (uint32_t o = 0; o < w->rows; o++) {
        g4_dtype_get(w->type)->decode(w->data + o * w->row_bytes, row, w->cols);
        for (uint32_t r = 0; r < n; r++) {
            double sum = 0, size = 0;
            for (uint32_t i = 0; i < w->cols; i++) {
                const double p = (double)row[i] * q[(size_t)r * w->cols + i];
                sum += p;
                size += p * p;
            }
            e->y[(size_t)r * w->rows + o] = sum;
            e->size[(size_t)r * w->rows + o] = sqrt(size) + 1e-9;
        }
    }
    free(row);
    free(q);
}

static double gelu(double x)
{
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

/* Runs `op` (w[0] and w[1] set) on rows of x; the result [n, rows] is the caller's. */
static float *run_op(const char *level, uint32_t threads, g4_op op, const float *x, uint32_t n)
{
    const uint32_t cols = op.w[0]->cols, rows = op.w[0]->rows;
    g4_err err = { 0 };
    g4_device *d = open_level(level, threads);
    const g4_buf_desc bufs[] = { { cols, G4_ROWS_ALL, "x" }, { rows, G4_ROWS_ALL, "y" }, { rows, G4_ROWS_ALL, "z" } };
    g4_weight dummy = { .type = G4_F32, .cols = cols, .rows = 1, .n = 1, .row_bytes = cols * 4, .data = (const uint8_t *)x };
    op.set = G4_ROWS_ALL;
    op.src = 0, op.src2 = op.src3 = op.dst2 = -1;
    op.dst[0] = 1, op.dst[1] = op.kind == G4_OP_MATMUL && op.n_w > 1 ? 2 : -1, op.dst[2] = -1;
    op.tag = "op";
    const g4_op ops[] = { feed_op(&dummy, 0), op };
    const g4_plan_desc desc = { .ops = ops, .n_op = 2, .bufs = bufs, .n_buf = 3, .max_rows = { MAX_ROWS, MAX_ROWS, 1 } };
    g4_plan *p = g4_plan_new(d, &desc, NULL, &err);
    struct plain_step s;
    plain_step_init(&s, n, 0, x, cols);
    if (!p || g4_plan_run(d, p, &s.s, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    float *y = g4_dup(d->ops->buf_read(d, p, op.dst[1] > 0 ? 2 : 1, n), (size_t)n * rows * sizeof *y);
    plain_step_clear(&s);
    d->ops->plan_free(d, p);
    g4_device_close(d);
    return y;
}

static double worst(const float *y, const struct expect *e, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        const double err = fabs(y[i] - e->y[i]) / e->size[i];
        if (!(err <= most)) most = err;
    }
    return most;
}

static void test_type(const char *level, g4_dtype type)
{
    static const uint32_t shapes[][2] = { { 256, 48 }, { 768, 37 } }; /* cols, rows */
    static const uint32_t counts[] = { 1, 2, 3, 5, 8, 9, 16, 17, 33, 65 };
    const bool int8 = int8_type(type) && strcmp(level, "ref");
    const char *name = g4_dtype_get(type)->name;
    double most = 0;
    bool same = true;
    for (size_t s = 0; s < 2; s++) {
        g4_weight *w = rnd_weight(type, 1, shapes[s][1], shapes[s][0]);
        float *x = rnd_floats((size_t)MAX_ROWS * w->cols, 1);
        struct expect e = { g4_alloc(MAX_ROWS * w->rows * 8), g4_alloc(MAX_ROWS * w->rows * 8) };
        reference(w, x, MAX_ROWS, int8, &e);
        const g4_op op = { .kind = G4_OP_MATMUL, .n_w = 1, .w = { w }, .alpha = 1 };
        float *all = run_op(level, 1, op, x, MAX_ROWS);
        most = fmax(most, worst(all, &e, (size_t)MAX_ROWS * w->rows));
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            float *y = run_op(level, 1 + (uint32_t)c % 3, op, x, counts[c]);
            same = same && !memcmp(y, all, counts[c] * w->rows * sizeof *y);
            free(y);
        }
        free(all);
        free(e.y);
        free(e.size);
        free(x);
        free_weight(w);
    }
    ok(most < 3e-6, "%s %s: largest error %.2g of the row's size", level, name, most);
    ok(same, "%s %s: a row has the same bits in 1 to 65 rows and with 1 to 3 threads", level, name);
}

/* q, k, v of different types in one op, and alpha */
static void test_three(const char *level)
{
    g4_weight *a = rnd_weight(G4_Q5_0, 1, 64, 512), *b = rnd_weight(G4_Q6_K, 1, 64, 512);
    float *x = rnd_floats((size_t)MAX_ROWS * 512, 1);
    struct expect e = { g4_alloc(MAX_ROWS * 64 * 8), g4_alloc(MAX_ROWS * 64 * 8) };
    reference(b, x, MAX_ROWS, strcmp(level, "ref"), &e);
    float *y = run_op(level, 2, (g4_op){ .kind = G4_OP_MATMUL, .n_w = 2, .w = { a, b }, .alpha = 0.5f }, x, MAX_ROWS);
    for (size_t i = 0; i < MAX_ROWS * 64; i++) y[i] *= 2;
    const double most = worst(y, &e, MAX_ROWS * 64);
    ok(most < 3e-6, "%s: the second of two weights, alpha: largest error %.2g", level, most);
    free(y);
    free(x);
    free(e.y);
    free(e.size);
    free_weight(a);
    free_weight(b);
}

static void test_gated(const char *level, g4_dtype type)
{
    g4_weight *g = rnd_weight(type, 1, 72, 256), *u = rnd_weight(type, 1, 72, 256);
    float *x = rnd_floats((size_t)MAX_ROWS * 256, 3);
    const size_t n = MAX_ROWS * 72;
    const bool int8 = int8_type(type) && strcmp(level, "ref");
    struct expect eg = { g4_alloc(n * 8), g4_alloc(n * 8) }, eu = { g4_alloc(n * 8), g4_alloc(n * 8) };
    reference(g, x, MAX_ROWS, int8, &eg);
    reference(u, x, MAX_ROWS, int8, &eu);
    const g4_op op = { .kind = G4_OP_GATED, .n_w = 2, .w = { g, u } };
    float *y = run_op(level, 2, op, x, MAX_ROWS), *one = run_op(level, 1, op, x, 1);
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(y[i] - gelu(eg.y[i]) * eu.y[i]) / ((fabs(eg.y[i]) + eg.size[i]) * (fabs(eu.y[i]) + eu.size[i])));
    ok(most < 3e-6, "%s %s: gated, largest error %.2g", level, g4_dtype_get(type)->name, most);
    ok(!memcmp(y, one, 72 * sizeof *y), "%s %s: gated, same bits alone", level, g4_dtype_get(type)->name);
    free(y);
    free(one);
    free(x);
    free(eg.y), free(eg.size), free(eu.y), free(eu.size);
    free_weight(g);
    free_weight(u);
}

static void test_logits(const char *level)
{
    g4_weight *w = rnd_weight(G4_Q8_0, 1, 100, 256);
    float *x = rnd_floats((size_t)3 * 256, 4);
    struct expect e = { g4_alloc(300 * 8), g4_alloc(300 * 8) };
    reference(w, x, 3, strcmp(level, "ref"), &e);
    float *y = run_op(level, 2, (g4_op){ .kind = G4_OP_LOGITS, .n_w = 1, .w = { w }, .softcap = 30 }, x, 3);
    double most = 0;
    for (int i = 0; i < 300; i++) most = fmax(most, fabs(y[i] - 30 * tanh(e.y[i] / 30)));
    ok(most < 3e-5, "%s: soft-capped logits, largest error %.2g", level, most);
    free(y), free(x), free(e.y), free(e.size);
    free_weight(w);
}

/* --fast-bf16: activations rounded to bf16 where the processor multiplies such; else nothing changes. */
static void test_fast_bf16(const char *level)
{
    g4_weight *w = rnd_weight(G4_BF16, 1, 37, 200);
    float *x = rnd_floats((size_t)MAX_ROWS * 200, 1), *r = g4_dup(x, (size_t)MAX_ROWS * 200 * sizeof *x);
    for (size_t i = 0; i < (size_t)MAX_ROWS * 200; i++) r[i] = g4_bf16_to_f32(g4_f32_to_bf16(x[i]));
    struct expect e = { g4_alloc(MAX_ROWS * 37 * 8), g4_alloc(MAX_ROWS * 37 * 8) }, f = { g4_alloc(MAX_ROWS * 37 * 8), g4_alloc(MAX_ROWS * 37 * 8) };
    reference(w, r, MAX_ROWS, false, &e);
    reference(w, x, MAX_ROWS, false, &f);
    const g4_op op = { .kind = G4_OP_MATMUL, .n_w = 1, .w = { w }, .alpha = 1 };
    fast_bf16 = true;
    float *y = run_op(level, 2, op, x, MAX_ROWS), *one = run_op(level, 1, op, x, 3);
    fast_bf16 = false;
    const double rounded = worst(y, &e, MAX_ROWS * 37), plain = worst(y, &f, MAX_ROWS * 37);
    ok(fmin(rounded, plain) < 3e-6, "%s: fast bf16, %.2g from rounded activations, %.2g from plain ones", level, rounded, plain);
    ok(!memcmp(y, one, 3 * 37 * sizeof *y), "%s: fast bf16, same bits in 3 and 65 rows", level);
    free(y), free(one), free(x), free(r), free(e.y), free(e.size), free(f.y), free(f.size);
    free_weight(w);
}

int main(void)
{
    for (const char *const *level = levels_here(); *level; level++) {
        for (size_t t = 0; t < N_TYPE; t++) test_type(*level, types[t]);
        test_three(*level);
        test_gated(*level, G4_Q4_0);
        test_gated(*level, G4_BF16);
        test_gated(*level, G4_IQ3_S);
        test_logits(*level);
        test_fast_bf16(*level);
    }
    return done_testing();
}
