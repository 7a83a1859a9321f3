/* Matrix ops on Vulkan against f64: every tensor type and odd shapes, generated rows
 * (1 to 64 have the same bits) and prompt rows (within a tolerance), several weights
 * in an op, weights in slices, and each optional path switched on. */
#include "../tap.h"
#include "ops.h"

#include "device/vulkan/vk.h"

enum { MAX_ROWS = 130 };

static const char *level;
static bool int8; /* generated rows are quantised */
static bool mat;  /* prompt rows go through cooperative matrices: f16 operands */

/* ---- a plan of one op ---------------------------------------------------------- */

struct rig {
    g4_device *d;
    g4_plan *p;
    g4_op op;
    uint32_t cols, rows, out; /* out: the buffer that is read */
};

static void die(const g4_err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

/* Buffer 0 holds x, 1 to 3 results, 4 what GATED_PLE multiplies by. */
static void rig_open(struct rig *r, g4_op op, uint32_t out, uint32_t side_cols)
{
    g4_err err = { 0 };
    const uint32_t rows = op.w[0]->rows, cols = op.w[0]->cols;
    const g4_buf_desc bufs[] = { { cols, 0, "x" }, { rows, 0, "y" }, { op.w[1] ? op.w[1]->rows : rows, 0, "z" },
                                 { op.w[2] ? op.w[2]->rows : rows, 0, "u" }, { side_cols ? side_cols : 1, 0, "side" } };
    *r = (struct rig){ .d = open_level(level, 1), .op = op, .cols = cols, .rows = bufs[out].cols, .out = out };
    r->op.set = G4_ROWS_ALL;
    r->op.src = 0, r->op.src2 = 4, r->op.src3 = r->op.dst2 = -1;
    r->op.tag = "op";
    for (int i = 0; i < 3; i++) r->op.dst[i] = (int16_t)(op.kind == G4_OP_MATMUL ? i < op.n_w ? i + 1 : -1 : i ? -1 : 1);
    r->p = g4_plan_new(r->d, &(g4_plan_desc){ .ops = &r->op, .n_op = 1, .bufs = bufs, .n_buf = 5, .max_rows = { MAX_ROWS, 1, 2 } }, NULL, &err);
    if (!r->p) die(&err);
}

static void rig_close(struct rig *r)
{
    r->d->ops->plan_free(r->d, r->p);
    g4_device_close(r->d);
}

/* n_gen generated rows, then n_prompt prompt rows of another sequence. */
static float *rig_run(struct rig *r, const float *x, uint32_t n_gen, uint32_t n_prompt)
{
    const uint32_t n = n_gen + n_prompt;
    g4_err err = { 0 };
    struct plain_step s;
    const g4_step_seq seqs[2] = { { .n_key = n }, { .n_key = n, .prompt = true } };
    plain_step_init(&s, n, 0, x, r->cols);
    s.s.n_out = 0;
    s.s.n_seq = 2;
    s.s.seqs = seqs;
    for (uint32_t i = n_gen; i < n; i++) s.of[i] = 1;
    put_rows(r->d, r->p, 0, n, x);
    if (g4_plan_run(r->d, r->p, &s.s, &err)) die(&err);
    plain_step_clear(&s);
    return g4_dup(r->d->ops->buf_read(r->d, r->p, r->out, n), (size_t)n * r->rows * sizeof(float));
}

/* ---- what is expected ------------------------------------------------------------ */

struct expect {
    double *y, *size;      /* sums in f64, and the scale that errors are measured by */
};

/* x as quantize.comp makes it: 32 values share the scale max / 127. */
static double *quantised(const float *x, size_t n, bool int8)
{
    double *y = g4_alloc(n * sizeof *y);
    for (size_t b = 0; b < n; b += 32) {
        float most = 0;
        for (size_t i = b; i < b + 32 && i < n; i++) most = fmaxf(most, fabsf(x[i]));
        for (size_t i = b; i < b + 32 && i < n; i++) y[i] = int8 ? (double)rintf(x[i] * (127.0f / most)) * (most / 127.0f) : x[i];
    }
    return y;
}

static struct expect reference(const g4_weight *w, const float *plain, bool int8)
{
    double *x = quantised(plain, (size_t)MAX_ROWS * w->cols, int8);
    struct expect e = { g4_alloc((size_t)MAX_ROWS * w->rows * 8), g4_alloc((size_t)MAX_ROWS * w->rows * 8) };
    float *row = g4_alloc(w->cols * sizeof *row);
    for (uint32_t o = 0; o < w->rows; o++) {
        g4_dtype_get(w->type)->decode(w->data + o * w->row_bytes, row, w->cols);
        for (uint32_t r = 0; r < MAX_ROWS; r++) {
            double sum = 0, size = 0;
            for (uint32_t i = 0; i < w->cols; i++) {
                const double p = row[i] * x[(size_t)r * w->cols + i];
                sum += p;
                size += p * p;
            }
            e.y[(size_t)r * w->rows + o] = sum;
            e.size[(size_t)r * w->rows + o] = sqrt(size) + 1e-9;
        }
    }
    free(row);
    free(x);
    return e;
}

static void expect_free(struct expect *e)
{
    free(e->y);
    free(e->size);
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

static double gelu(double x)
{
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

/* ---- tests -------------------------------------------------------------------------- */

/* Every count of generated rows gives the bits that 64 give; prompt rows in two lengths agree with each other. */
static bool same_bits(struct rig *r, const float *x)
{
    static const uint32_t few[] = { 1, 2, 3, 5, 8, 9, 17, 33 };
    const size_t n = r->rows * sizeof(float);
    float *all = rig_run(r, x, 64, 66), *prompt = rig_run(r, x + (size_t)64 * r->cols, 0, 65);
    bool same = !memcmp(all + (size_t)64 * r->rows, prompt, 65 * n);
    for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
        float *y = rig_run(r, x, few[i], i % 3 == 1 ? 5 : 0);
        same = same && !memcmp(all, y, few[i] * n);
        free(y);
    }
    free(all);
    free(prompt);
    return same;
}

static void test_shape(g4_dtype type, uint32_t cols, uint32_t rows, double tol)
{
    g4_weight *w = rnd_weight(type, 1, rows, cols);
    float *x = rnd_floats((size_t)MAX_ROWS * cols, 1);
    struct expect e = reference(w, x, int8), plain = reference(w, x, false);
    struct rig r;
    rig_open(&r, (g4_op){ .kind = G4_OP_MATMUL, .n_w = 1, .w = { w }, .alpha = 1 }, 1, 0);
    float *gen = rig_run(&r, x, MAX_ROWS, 0), *prompt = rig_run(&r, x, 0, MAX_ROWS);
    const double a = worst(gen, &e, (size_t)MAX_ROWS * rows), b = worst(prompt, &plain, (size_t)MAX_ROWS * rows);
    const char *name = g4_dtype_get(type)->name, *how = int8 ? ", int8 rows" : mat ? ", matrices" : "";
    ok(a < tol && (mat ? b > 1e-5 && b < 2e-3 : b < tol), "%s, %u columns, %u outputs%s: largest error %.2g generated, %.2g prompt", name, cols, rows, how, a, b);
    ok(same_bits(&r, x), "%s, %u columns%s: a generated row has the same bits in 1 to 64 rows", name, cols, how);
    rig_close(&r);
    free(gen);
    free(prompt);
    free(x);
    expect_free(&e);
    expect_free(&plain);
    free_weight(w);
}

static void test_types(bool full)
{
    static const g4_dtype direct[] = { G4_Q4_0, G4_Q4_1, G4_Q5_0, G4_Q5_1, G4_Q8_0, G4_Q4_K, G4_Q5_K, G4_Q6_K, G4_IQ4_NL, G4_IQ4_XS, G4_MXFP4 };
    for (size_t i = 0; i < sizeof direct / sizeof *direct; i++) {
        const bool super = g4_dtype_get(direct[i])->block == 256;
        test_shape(direct[i], 768, 37, 3e-6);
        if (full) test_shape(direct[i], super ? 256 : 32, 70, 3e-6), test_shape(direct[i], super ? 2048 : 1120, 9, 3e-6);
    }
}

static void test_int8(bool full)
{
    int8 = true;
    test_shape(G4_Q6_K, 256, 21, 3e-6);
    test_shape(G4_Q4_1, 96, 5, 3e-6);
    if (full) test_types(false);
    int8 = false;
}

/* Prompt rows on cooperative matrices, where the device has them: Mesa's CPU device since some version of 2025, not
 * Debian 12's. */
static void test_mat(bool full)
{
    static const g4_dtype all[] = { G4_Q8_0, G4_BF16, G4_Q4_K, G4_F16, G4_F32, G4_Q4_0, G4_Q4_1, G4_Q5_0, G4_Q5_1, G4_Q5_K, G4_Q6_K, G4_IQ4_NL, G4_IQ4_XS, G4_MXFP4 };
    g4_device *d = open_level(level, 1);
    const bool has = ((struct g4_vk *)(void *)d)->caps.mat_m != 0;
    g4_device_close(d);
    if (!has) {
        skip("prompt rows on cooperative matrices", "this device has none");
        return;
    }
    setenv("G4_VK_ENABLE", "coopmat", 1);
    mat = true;
    for (size_t i = 0; i < (full ? sizeof all / sizeof *all : 3); i++) test_shape(all[i], 768, 70, 3e-6);
    test_shape(G4_BF16, 204, 37, 3e-6);
    mat = false;
    unsetenv("G4_VK_ENABLE");
}

static void test_float(bool full)
{
    static const g4_dtype types[] = { G4_F32, G4_F16, G4_BF16 };
    for (size_t i = 0; i < 3; i++) {
        test_shape(types[i], 204, 37, 3e-6);
        if (full) test_shape(types[i], 31, 70, 3e-6), test_shape(types[i], 8, 3, 3e-6), test_shape(types[i], 1536, 9, 3e-6);
    }
}

/* Types without a kernel: exact where another type can hold them. */
static void test_reencoded(bool full)
{
    static const g4_dtype exact[] = { G4_Q3_K, G4_TQ1_0, G4_TQ2_0, G4_Q1_0, G4_Q2_0 },
                          near[] = { G4_Q2_K, G4_NVFP4, G4_IQ2_XXS, G4_IQ2_XS, G4_IQ2_S, G4_IQ3_XXS, G4_IQ3_S, G4_IQ1_S, G4_IQ1_M };
    for (size_t i = 0; i < (full ? 5 : 1); i++) test_shape(exact[i], 512, 21, 3e-6);
    for (size_t i = 0; i < (full ? 9 : 1); i++) test_shape(near[i], 512, 21, near[i] == G4_NVFP4 ? 8e-2 : 3e-2);
}

/* q, k, v of two types in one op, and alpha; in one dispatch where types allow, and apart. */
static void test_three(const char *how)
{
    g4_weight *w[3] = { rnd_weight(G4_Q4_0, 1, 64, 512), rnd_weight(G4_Q4_0, 1, 40, 512), rnd_weight(G4_Q6_K, 1, 33, 512) };
    float *x = rnd_floats((size_t)MAX_ROWS * 512, 1);
    for (uint32_t i = 0; i < 3; i++) {
        struct expect e = reference(w[i], x, false);
        struct rig r;
        rig_open(&r, (g4_op){ .kind = G4_OP_MATMUL, .n_w = 3, .w = { w[0], w[1], w[2] }, .alpha = 0.5f }, i + 1, 0);
        float *y = rig_run(&r, x, 9, 70);
        for (size_t k = 0; k < 79 * (size_t)w[i]->rows; k++) y[k] *= 2;
        const double most = worst(y, &e, 79 * (size_t)w[i]->rows);
        ok(most < 3e-6, "weight %u of three, alpha%s: largest error %.2g", i + 1, how, most);
        free(y);
        rig_close(&r);
        expect_free(&e);
    }
    free(x);
    for (int i = 0; i < 3; i++) free_weight(w[i]);
}

static void test_gated(g4_dtype tg, g4_dtype tu, const char *how, double tol)
{
    g4_weight *g = rnd_weight(tg, 1, 72, 256), *u = rnd_weight(tu, 1, 72, 256);
    float *x = rnd_floats((size_t)MAX_ROWS * 256, 3);
    const size_t n = (size_t)MAX_ROWS * 72;
    struct expect eg = reference(g, x, false), eu = reference(u, x, false);
    struct rig r;
    rig_open(&r, (g4_op){ .kind = G4_OP_GATED, .n_w = 2, .w = { g, u } }, 1, 0);
    float *y = rig_run(&r, x, 60, MAX_ROWS - 60);
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(y[i] - gelu(eg.y[i]) * eu.y[i]) / ((fabs(eg.y[i]) + eg.size[i]) * (fabs(eu.y[i]) + eu.size[i])));
    ok(most < tol, "gated %s and %s%s: largest error %.2g", g4_dtype_get(tg)->name, g4_dtype_get(tu)->name, how, most);
    ok(same_bits(&r, x), "gated %s and %s%s: same bits in 1 to 64 rows", g4_dtype_get(tg)->name, g4_dtype_get(tu)->name, how);
    rig_close(&r);
    free(y);
    free(x);
    expect_free(&eg);
    expect_free(&eu);
    free_weight(g);
    free_weight(u);
}

static void test_gated_ple(void)
{
    enum { OUT = 24, SIDE = 100, OFF = 13 };
    g4_weight *g = rnd_weight(G4_Q8_0, 1, OUT, 96);
    float *x = rnd_floats((size_t)MAX_ROWS * 96, 3), *side = rnd_floats((size_t)MAX_ROWS * SIDE, 1);
    struct expect e = reference(g, x, false);
    struct rig r;
    rig_open(&r, (g4_op){ .kind = G4_OP_GATED_PLE, .n_w = 1, .w = { g }, .off = OFF }, 1, SIDE);
    put_rows(r.d, r.p, 4, MAX_ROWS, side);
    float *y = rig_run(&r, x, 7, 70);
    double most = 0;
    for (size_t i = 0; i < 77 * OUT; i++)
        most = fmax(most, fabs(y[i] - gelu(e.y[i]) * side[i / OUT * SIDE + OFF + i % OUT]) / (fabs(e.y[i]) + e.size[i]));
    ok(most < 1e-5, "gated by a slice of another buffer: largest error %.2g", most);
    rig_close(&r);
    free(y), free(x), free(side);
    expect_free(&e);
    free_weight(g);
}

static void test_logits(void)
{
    g4_weight *w = rnd_weight(G4_Q8_0, 1, 3000, 64);
    float *x = rnd_floats((size_t)MAX_ROWS * 64, 4);
    struct expect e = reference(w, x, false);
    struct rig r;
    rig_open(&r, (g4_op){ .kind = G4_OP_LOGITS, .n_w = 1, .w = { w }, .softcap = 30 }, 1, 0);
    float *y = rig_run(&r, x, 3, 66);
    double most = 0;
    for (size_t i = 0; i < 69 * 3000; i++) most = fmax(most, fabs(y[i] - 30 * tanh(e.y[i] / 30)));
    ok(most < 1e-4, "soft-capped logits: largest error %.2g", most);
    rig_close(&r);
    free(y), free(x);
    expect_free(&e);
    free_weight(w);
}

/* MATMUL and the RESID behind it, n_gen and n_prompt rows: x and the next norm's input. */
static void run_resid(const g4_op ops[2], const float *f, const float *x, uint32_t n_gen, uint32_t n_prompt, float *out[2])
{
    enum { IN = 384, OUT = 200 };
    const g4_buf_desc bufs[] = { { IN, 0, "f" }, { OUT, 0, "y" }, { OUT, 0, "x" }, { OUT, 0, "h" } };
    g4_err err = { 0 };
    struct rig r = { .d = open_level(level, 1), .cols = IN, .rows = OUT, .out = 2 };
    r.p = g4_plan_new(r.d, &(g4_plan_desc){ .ops = ops, .n_op = 2, .bufs = bufs, .n_buf = 4, .max_rows = { MAX_ROWS, 1, 2 } }, NULL, &err);
    if (!r.p) die(&err);
    for (int again = 0; again < 2; again++) { /* counters are zero again behind a run */
        put_rows(r.d, r.p, 2, n_gen + n_prompt, x);
        float *y = rig_run(&r, f, n_gen, n_prompt);
        if (again) out[0] = y;
        else free(y);
    }
    out[1] = g4_dup(r.d->ops->buf_read(r.d, r.p, 3, n_gen + n_prompt), (size_t)(n_gen + n_prompt) * OUT * sizeof(float));
    rig_close(&r);
}

/* fuse_resid against the two ops apart. */
static void test_resid(g4_dtype type, bool norms)
{
    enum { IN = 384, OUT = 200, N = MAX_ROWS };
    static const uint32_t gen[] = { 1, 2, 7, 64, 100 };
    g4_weight *w = rnd_weight(type, 1, OUT, IN), *n1 = rnd_weight(G4_F32, 1, 1, OUT), *n2 = rnd_weight(G4_F32, 1, 1, OUT);
    float *f = rnd_floats((size_t)N * IN, 1), *x = rnd_floats((size_t)N * OUT, 1), *apart[2], *fused[2], *first = NULL;
    const g4_op ops[2] = {
        { .kind = G4_OP_MATMUL, .n_w = 1, .w = { w }, .alpha = 0.7f, .src = 0, .src2 = -1, .src3 = -1, .dst = { 1, -1, -1 }, .dst2 = -1, .tag = "down" },
        { .kind = G4_OP_RESID, .w = { norms ? n1 : NULL, norms ? n2 : NULL }, .alpha = 0.3f, .eps = 1e-6f, .src = 1, .src2 = -1, .src3 = -1,
          .dst = { 2, -1, -1 }, .dst2 = 3, .tag = "resid" } };
    double most = 0;
    bool same = true;
    run_resid(ops, f, x, 100, 30, apart);
    setenv("G4_VK_ENABLE", "fuse_resid", 1);
    for (size_t i = sizeof gen / sizeof *gen; i-- > 0;) {
        run_resid(ops, f, x, gen[i], gen[i] == 100 ? 30 : 0, fused);
        for (size_t k = 0; k < (size_t)gen[i] * OUT; k++)
            for (int b = 0; b < 2; b++) most = fmax(most, fabs(fused[b][k] - apart[b][k]) / (1 + fabs(apart[b][k])));
        if (!first) first = g4_dup(fused[1], (size_t)100 * OUT * sizeof *first);
        same = same && !memcmp(first, fused[1], (size_t)gen[i] * OUT * sizeof *first);
        free(fused[0]), free(fused[1]);
    }
    unsetenv("G4_VK_ENABLE");
    ok(most < 3e-6, "%s%s: fuse_resid against the ops apart: largest difference %.2g", g4_dtype_get(type)->name, norms ? ", norms" : "", most);
    ok(same, "%s%s: fuse_resid, same bits in 1 to 100 rows", g4_dtype_get(type)->name, norms ? ", norms" : "");
    free(apart[0]), free(apart[1]), free(first), free(f), free(x);
    free_weight(w), free_weight(n1), free_weight(n2);
}

/* A binding range that the weight does not fit: it comes in slices. */
static void test_slices(void)
{
    setenv("G4_VK_RANGE", "1310720", 1);
    g4_weight *w = rnd_weight(G4_Q8_0, 1, 1500, 1024);
    float *x = rnd_floats((size_t)MAX_ROWS * 1024, 1);
    struct expect e = reference(w, x, false);
    struct rig r;
    rig_open(&r, (g4_op){ .kind = G4_OP_LOGITS, .n_w = 1, .w = { w } }, 1, 0);
    float *y = rig_run(&r, x, 2, 3);
    const double most = worst(y, &e, 5 * 1500);
    ok(most < 3e-6, "a weight in slices: largest error %.2g", most);
    rig_close(&r);
    unsetenv("G4_VK_RANGE");
    free(y), free(x);
    expect_free(&e);
    free_weight(w);
}

int main(void)
{
    const bool full = getenv("G4_TEST_FULL");
    level = vulkan_here();
    if (!level) {
        skip("vulkan", "no such device here");
        return done_testing();
    }
    test_types(full);
    setenv("G4_VK_ENABLE", "sixteen", 1);
    if (full) test_shape(G4_Q4_K, 768, 37, 3e-6);
    setenv("G4_VK_ENABLE", "subgroup", 1);
    test_shape(G4_Q4_0, 2048, 9, 3e-6);
    if (full) test_shape(G4_Q6_K, 256, 70, 3e-6), test_shape(G4_BF16, 204, 37, 3e-6);
    unsetenv("G4_VK_ENABLE");
    test_float(full);
    test_reencoded(full);
    test_three("");
    setenv("G4_VK_DISABLE", "fuse_qkv", 1);
    test_three(", apart");
    unsetenv("G4_VK_DISABLE");
    test_gated(G4_Q4_0, G4_Q4_0, "", 3e-6);
    test_gated(G4_BF16, G4_BF16, "", 3e-6);
    test_gated(G4_Q4_K, G4_Q6_K, "", 3e-6);
    setenv("G4_VK_DISABLE", "fuse_gated", 1);
    test_gated(G4_Q4_0, G4_Q4_0, " apart", 3e-6);
    unsetenv("G4_VK_DISABLE");
    test_gated_ple();
    test_logits();
    test_slices();
    test_resid(G4_Q8_0, true);
    test_resid(G4_BF16, false);
    setenv("G4_VK_ENABLE", "int8dot", 1);
    test_int8(full);
    unsetenv("G4_VK_ENABLE");
    test_mat(full);
    return done_testing();
}
