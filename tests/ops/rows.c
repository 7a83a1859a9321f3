/* The small ops on the reference and on Vulkan: against f64, awkward widths, one
 * row to several, and the same bits for a row in any company. */
#include "../tap.h"
#include "ops.h"

enum { ROWS = 70, MAX_COLS = 3001 };

static g4_device *dev; /* of the level that is tested */

/* Runs one op over n rows.  src[i] (NULL: none) fill buffers 0 to 2 of `cols` columns; buffer `want` comes back. */
static float *run(g4_op op, uint32_t cols, const float *const src[3], uint32_t n, int want)
{
    g4_err err = { 0 };
    const g4_buf_desc bufs[] = { { cols, op.set, "a" }, { cols, op.set, "b" }, { cols, op.set, "c" } };
    op.tag = "op";
    g4_plan *p = g4_plan_new(dev, &(g4_plan_desc){ .ops = &op, .n_op = 1, .bufs = bufs, .n_buf = 3, .max_rows = { ROWS, ROWS, ROWS } }, NULL, &err);
    struct plain_step s;
    plain_step_init(&s, n, 0, src[0], cols);
    for (uint32_t b = 0; p && b < 3; b++)
        if (src[b]) put_rows(dev, p, b, n, src[b]);
    if (!p || g4_plan_run(dev, p, &s.s, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    float *y = g4_dup(dev->ops->buf_read(dev, p, (uint32_t)want, n), (size_t)n * cols * sizeof *y);
    plain_step_clear(&s);
    dev->ops->plan_free(dev, p);
    return y;
}

static g4_op blank(enum g4_op_kind kind)
{
    return (g4_op){ .kind = (uint8_t)kind, .set = G4_ROWS_ALL, .src = -1, .src2 = -1, .src3 = -1, .dst = { -1, -1, -1 }, .dst2 = -1,
                    .alpha = 1, .beta = 1, .eps = 1e-6f };
}

static double rms_of(const float *x, uint32_t n, double eps)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return 1 / sqrt(sum / n + eps);
}

static void compare(const char *what, uint32_t cols, const float *got, const double *want, size_t n, double tol)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        const double e = fabs(got[i] - want[i]) / (1 + fabs(want[i]));
        if (!(e <= most)) most = e;
    }
    ok(most <= tol, "%s, %u columns: largest error %.2g", what, cols, most);
}

static void test_norm(const char *level, uint32_t cols)
{
    float *x = rnd_floats((size_t)ROWS * cols, 3), *w = rnd_floats(cols, 1);
    double *want = g4_alloc((size_t)ROWS * cols * sizeof *want);
    char what[96];
    g4_weight v = { .type = G4_F32, .cols = cols, .rows = 1, .n = 1, .row_bytes = cols * 4, .data = (const uint8_t *)w };
    for (int weighted = 0; weighted < 2; weighted++) {
        g4_op op = blank(G4_OP_NORM);
        op.src = 0, op.dst[0] = 1, op.w[0] = weighted ? &v : NULL;
        for (uint32_t r = 0; r < ROWS; r++)
            for (uint32_t i = 0; i < cols; i++)
                want[(size_t)r * cols + i] = x[(size_t)r * cols + i] * rms_of(x + (size_t)r * cols, cols, op.eps) * (weighted ? w[i] : 1);
        float *y = run(op, cols, (const float *const[]){ x, NULL, NULL }, ROWS, 1), *one = run(op, cols, (const float *const[]){ x, NULL, NULL }, 3, 1);
        snprintf(what, sizeof what, "%s: norm%s", level, weighted ? " with weights" : "");
        compare(what, cols, y, want, (size_t)ROWS * cols, 2e-6);
        ok(!memcmp(y, one, 3 * cols * sizeof *y), "%s: the same bits in 3 and %d rows", what, ROWS);
        free(one);
        op.dst[0] = 0;
        float *same = run(op, cols, (const float *const[]){ x, NULL, NULL }, ROWS, 0);
        ok(!memcmp(y, same, (size_t)ROWS * cols * sizeof *y), "%s: the same bits in place", what);
        free(y), free(same);
    }
    free(x), free(w), free(want);
}

/* ---- against the reference ----------------------------------------------------- */

/* A plan of one op with its buffers and what they hold before it runs, over a step of
 * three sequences (the first of one generated row), a few output rows. */
struct one {
    g4_op op;
    g4_buf_desc bufs[4];
    float *fill[4];            /* NULL: left alone */
    uint32_t n_buf, n_row;
    int want;                  /* the buffer that is compared */
};

static float *run_one(const char *level, const struct one *o, size_t *n)
{
    enum { OUTS = 3, SEQS = 3 };
    g4_err err = { 0 };
    g4_device *d = open_level(level, 2);
    g4_plan *p = g4_plan_new(d, &(g4_plan_desc){ .ops = &o->op, .n_op = 1, .bufs = o->bufs, .n_buf = o->n_buf, .max_rows = { ROWS, ROWS, SEQS } },
                             NULL, &err);
    struct plain_step s;
    g4_step_seq seqs[SEQS] = { { .n_key = ROWS }, { .n_key = ROWS, .prompt = true }, { .n_key = ROWS, .prompt = true } };
    plain_step_init(&s, o->n_row, 0, o->fill[3], o->bufs[0].cols);
    for (uint32_t r = 0; r < o->n_row; r++) {
        s.of[r] = r == 0 ? 0 : r < 1 + o->n_row / 3 ? 1 : 2;
        s.id[r] = o->op.kind == G4_OP_EMBED || o->op.kind == G4_OP_PLE ? (int32_t)(r * 5 % 37) - (r % 7 == 3) * 99 : -1;
        s.id[r] = s.id[r] < -1 ? -1 : s.id[r];
        s.out[r] = r < OUTS ? r * (o->n_row / OUTS) : 0;
    }
    s.s.seqs = seqs;
    s.s.n_seq = SEQS;
    s.s.n_out = OUTS < o->n_row ? OUTS : 1;
    const uint32_t rows[3] = { o->n_row, s.s.n_out, SEQS };
    for (uint32_t b = 0; p && b < o->n_buf; b++)
        if (o->fill[b]) put_rows(d, p, b, rows[o->bufs[b].set], o->fill[b]);
    if (!p || g4_plan_run(d, p, &s.s, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    const g4_buf_desc *b = &o->bufs[o->want];
    *n = (size_t)rows[b->set] * b->cols;
    float *y = g4_dup(d->ops->buf_read(d, p, (uint32_t)o->want, rows[b->set]), *n * sizeof *y);
    plain_step_clear(&s);
    d->ops->plan_free(d, p);
    g4_device_close(d);
    return y;
}

static void versus(const char *level, const struct one *o, double tol, const char *what)
{
    size_t n;
    float *want = run_one("ref", o, &n), *got = run_one(level, o, &n);
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        const double e = fabs(got[i] - want[i]) / (1 + fabs(want[i]));
        if (!(e <= most)) most = e;
    }
    ok(most <= tol, "%s: %s, %u rows of %u: largest error %.2g", level, what, o->n_row, o->bufs[o->want].cols, most);
    free(want), free(got);
}

static void test_resid(const char *level, uint32_t cols, bool normed, int next)
{
    float *x = rnd_floats((size_t)ROWS * cols, 2), *f = rnd_floats((size_t)ROWS * cols, 2), *w = rnd_floats(2 * cols, 1);
    g4_weight a = { .type = G4_F32, .cols = cols, .rows = 1, .n = 1, .row_bytes = cols * 4, .data = (const uint8_t *)w };
    g4_weight b = a;
    b.data += cols * 4;
    struct one o = { .op = blank(G4_OP_RESID), .bufs = { { cols, 0, "x" }, { cols, 0, "f" }, { cols, 0, "y" } }, .fill = { x, f, NULL, f }, .n_buf = 3,
                     .n_row = ROWS };
    o.op.dst[0] = 0, o.op.src = 1, o.op.alpha = 0.7f;
    o.op.w[0] = normed ? &a : NULL, o.op.w[1] = next == 2 ? &b : NULL, o.op.dst2 = next ? 2 : -1;
    versus(level, &o, 3e-6, normed ? "residual with a norm" : "residual");
    o.want = 2;
    if (next) versus(level, &o, 3e-6, "and the next norm");
    free(x), free(f), free(w);
}

static void test_plain(const char *level, enum g4_op_kind kind, uint32_t set, uint32_t cols, const char *what)
{
    float *x = rnd_floats((size_t)ROWS * cols, 2), *f = rnd_floats((size_t)ROWS * cols, 2);
    struct one o = { .op = blank(kind), .bufs = { { cols, 0, "x" }, { cols, 0, "f" }, { cols, (uint8_t)set, "y" } }, .fill = { x, f, NULL, f }, .n_buf = 3,
                     .n_row = 37, .want = 2 };
    o.op.set = (uint8_t)set;
    if (kind == G4_OP_COPY) o.bufs[0].set = (uint8_t)set;
    o.op.src = 0, o.op.src2 = 1, o.op.dst[0] = 2;
    versus(level, &o, 1e-6, what);
    free(x), free(f);
}

static void test_tables(const char *level)
{
    enum { DIM = 64, SLICES = 5, COLS = DIM * SLICES };
    float *x = rnd_floats((size_t)ROWS * COLS, 2), *w = rnd_floats(DIM, 1);
    g4_weight *table = rnd_weight(G4_Q8_0, 1, 40, COLS), norm = { .type = G4_F32, .cols = DIM, .rows = 1, .n = 1, .row_bytes = DIM * 4,
                                                                 .data = (const uint8_t *)w };
    struct one o = { .op = blank(G4_OP_EMBED), .bufs = { { COLS, 0, "x" }, { COLS, 0, "y" } }, .fill = { NULL, NULL, NULL, x }, .n_buf = 2, .n_row = ROWS };
    o.op.dst[0] = 0, o.op.w[0] = table, o.op.alpha = 12;
    versus(level, &o, 0, "embedded ids and vectors");
    o.op = blank(G4_OP_PLE);
    o.op.src = 0, o.op.dst[0] = 1, o.op.w[0] = &norm, o.op.dim = DIM, o.op.alpha = 3, o.op.beta = 0.7f;
    o.fill[0] = x;
    o.want = 1;
    versus(level, &o, 2e-6, "per-layer inputs without a table");
    o.op.w[1] = table;
    versus(level, &o, 2e-6, "per-layer inputs");
    free_weight(table);
    free(x), free(w);
}

static void test_router(const char *level, g4_dtype type, uint32_t experts, uint32_t k)
{
    enum { COLS = 192 };
    float *x = rnd_floats((size_t)ROWS * COLS, 2);
    g4_weight *w = rnd_weight(type, 1, experts, COLS), *scale = rnd_weight(G4_F32, 1, 1, COLS), *own = rnd_weight(G4_F32, 1, 1, experts);
    struct one o = { .op = blank(G4_OP_ROUTER), .bufs = { { COLS, 0, "x" }, { 2 * k, 0, "y" } }, .fill = { x, NULL, NULL, x }, .n_buf = 2, .n_row = ROWS,
                     .want = 1 };
    o.op.src = 0, o.op.dst[0] = 1, o.op.n_expert = experts, o.op.k_expert = k, o.op.alpha = 0.1f;
    o.op.w[0] = w, o.op.w[1] = scale, o.op.w[2] = own;
    versus(level, &o, 3e-6, "router");
    free(x);
    free_weight(w), free_weight(scale), free_weight(own);
}

static void test_others(const char *level)
{
    test_resid(level, 640, true, 2);
    test_resid(level, 51, true, 1);
    test_resid(level, 1536, false, 0);
    test_resid(level, 96, false, 2);
    test_plain(level, G4_OP_ADD, G4_ROWS_ALL, 333, "sum");
    test_plain(level, G4_OP_COPY, G4_ROWS_ALL, 100, "copy");
    test_plain(level, G4_OP_COPY, G4_ROWS_OUT, 100, "copy of output rows");
    test_plain(level, G4_OP_GATHER, G4_ROWS_OUT, 257, "gathered rows");
    test_plain(level, G4_OP_L2NORM, G4_ROWS_ALL, 768, "unit length");
    test_plain(level, G4_OP_POOL, G4_ROWS_SEQ, 300, "means of sequences");
    test_tables(level);
    test_router(level, G4_F32, 128, 8);
    test_router(level, G4_BF16, 5, 5);
    test_router(level, G4_F32, 37, 1);
}

static void test_level(const char *level)
{
    static const uint32_t widths[] = { 8, 250, 640, MAX_COLS };
    dev = open_level(level, 2);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) test_norm(level, widths[i]);
    g4_device_close(dev);
}

int main(void)
{
    const char *gpu = vulkan_here();
    test_level("ref");
    if (gpu) {
        test_level(gpu);
        test_others(gpu);
    } else skip("vulkan", "no such device here");
    return done_testing();
}
