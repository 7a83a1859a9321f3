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
    if (gpu) test_level(gpu);
    else skip("vulkan", "no such device here");
    return done_testing();
}
