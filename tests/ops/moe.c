/* ROUTER and EXPERTS on every level against ref, rows grouped by expert; the bits
 * of a row alone and among others. */
#include "../tap.h"
#include "ops.h"

enum { D = 256, EXPERTS = 12, K = 3, FF = 96, ROWS = 70 };

struct weights {
    g4_weight *router, *scale, *own, *gate, *up, *down;
};

/* The routes [ROWS][2 K] and results [ROWS][D] of rows [from, from + n). */
static void run(const char *level, uint32_t threads, const struct weights *w, const float *x, uint32_t from, uint32_t n, float *routes, float *y)
{
    g4_device *d = open_level(level, threads);
    g4_err err = { 0 };
    const g4_buf_desc bufs[] = { { D, 0, "x" }, { 2 * K, 0, "routes" }, { D, 0, "y" } };
    const g4_op base = { .set = 0, .src = 0, .src2 = -1, .src3 = -1, .dst = { -1, -1, -1 }, .dst2 = -1, .n_expert = EXPERTS,
                         .k_expert = K, .d_expert = FF, .alpha = 1.5f, .eps = 1e-6f, .tag = "moe" };
    g4_op ops[2] = { base, base };
    ops[0].kind = G4_OP_ROUTER, ops[0].dst[0] = 1, ops[0].w[0] = w->router, ops[0].w[1] = w->scale, ops[0].w[2] = w->own;
    ops[1].kind = G4_OP_EXPERTS, ops[1].src2 = 1, ops[1].dst[0] = 2, ops[1].w[0] = w->gate, ops[1].w[1] = w->up, ops[1].w[2] = w->down;
    g4_plan *p = g4_plan_new(d, &(g4_plan_desc){ .ops = ops, .n_op = 2, .bufs = bufs, .n_buf = 3, .max_rows = { ROWS, 1, 1 } }, NULL, &err);
    struct plain_step s;
    plain_step_init(&s, n, 0, x, D);
    s.s.n_out = 0;
    if (p) memcpy((float *)(uintptr_t)d->ops->buf_read(d, p, 0, n), x + from * D, n * D * sizeof *x);
    if (!p || g4_plan_run(d, p, &s.s, &err)) fprintf(stderr, "%s\n", err.msg), exit(1);
    memcpy(routes, d->ops->buf_read(d, p, 1, n), n * 2 * K * sizeof *routes);
    memcpy(y, d->ops->buf_read(d, p, 2, n), n * D * sizeof *y);
    plain_step_clear(&s);
    d->ops->plan_free(d, p);
    g4_device_close(d);
}

static void test(const char *level, g4_dtype type, bool joined)
{
    struct weights w = { rnd_weight(G4_F32, 1, EXPERTS, D), rnd_weight(G4_F32, 1, 1, D), rnd_weight(G4_F32, 1, 1, EXPERTS),
                         rnd_weight(type, EXPERTS, joined ? 2 * FF : FF, D), joined ? NULL : rnd_weight(type, EXPERTS, FF, D),
                         rnd_weight(type, EXPERTS, D, FF) };
    float *x = rnd_floats(ROWS * D, 1);
    static float r0[ROWS * 2 * K], r1[ROWS * 2 * K], y0[ROWS * D], y1[ROWS * D], one[D], route[2 * K];
    run("ref", 1, &w, x, 0, ROWS, r0, y0);
    run(level, 3, &w, x, 0, ROWS, r1, y1);
    double size = 0, off = 0, factor = 0;
    bool same_experts = true;
    for (int i = 0; i < ROWS * 2 * K; i++) {
        if (i % (2 * K) < K) same_experts = same_experts && r0[i] == r1[i];
        else factor = fmax(factor, fabs(r0[i] - r1[i]));
    }
    for (int i = 0; i < ROWS * D; i++) {
        size += (double)y0[i] * y0[i] / (ROWS * D);
        off += pow(y0[i] - y1[i], 2) / (ROWS * D);
    }
    const double most = type == G4_F32 || type == G4_BF16 ? 1e-5 : 0.03; /* int8 activations on one side only */
    ok(same_experts && factor < 1e-6, "%s: the same experts, factors within %.1g", level, factor);
    ok(sqrt(off / size) < most, "%s %s%s: differs by %.2g of its size", level, g4_dtype_get(type)->name,
       joined ? ", gate and up in one" : "", sqrt(off / size));
    bool same = true;
    for (uint32_t r = 0; r < ROWS; r += 23) {
        run(level, 1, &w, x, r, 1, route, one);
        same = same && !memcmp(one, y1 + r * D, sizeof one);
    }
    ok(same, "%s %s: a row alone has the same bits", level, g4_dtype_get(type)->name);
    free(x);
    g4_weight *all[] = { w.router, w.scale, w.own, w.gate, w.up, w.down };
    for (int i = 0; i < 6; i++)
        if (all[i]) free_weight(all[i]);
}

int main(void)
{
    for (const char *const *level = levels_here(); *level; level++) {
        test(*level, G4_F32, false);
        test(*level, G4_BF16, true);
        test(*level, G4_Q4_0, false);
        test(*level, G4_Q8_0, true);
        test(*level, G4_Q5_1, false);
    }
    return done_testing();
}
