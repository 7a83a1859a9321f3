/* Vulkan's limits, made narrow: rows of logits that take more than one binding, and prompt work that is cut into many
 * submissions.  Results are those of the wide ones, bit for bit. */
#include "../tap.h"
#include "ops.h"

#include "device/vulkan/impl.h"

enum { COLS = 64, VOCAB = 3000, ROWS = 130, MODEL = 96 };

static const char *level;

static void die(const g4_err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

static g4_op op_of(g4_op op, enum g4_row_set set, int src, int dst)
{
    op.set = (uint8_t)set;
    op.src = (int16_t)src, op.dst[0] = (int16_t)dst;
    op.src2 = op.src3 = op.dst[1] = op.dst[2] = -1;
    op.tag = "op";
    return op;
}

/* ---- logits ------------------------------------------------------------------------------- */

struct picked {
    g4_pick pick[ROWS];
    float *logits;             /* [ROWS][VOCAB] */
};

static void run_logits(const g4_weight *w, const float *x, struct picked *to)
{
    const g4_op ops[] = { op_of(feed_op(w, 0), G4_ROWS_ALL, -1, 0), op_of((g4_op){ .kind = G4_OP_GATHER, .dst2 = -1 }, G4_ROWS_OUT, 0, 1),
                          op_of((g4_op){ .kind = G4_OP_LOGITS, .n_w = 1, .w = { w }, .softcap = 30, .dst2 = -1 }, G4_ROWS_OUT, 1, 2),
                          op_of((g4_op){ .kind = G4_OP_PICK, .dst2 = -1 }, G4_ROWS_OUT, 2, -1) };
    const g4_buf_desc bufs[] = { { COLS, G4_ROWS_ALL, "x" }, { COLS, G4_ROWS_OUT, "out" }, { VOCAB, G4_ROWS_OUT, "logits" } };
    static const g4_logit_adj adj[] = { { 5, 1, 40 }, { 77, 2, 0 } };
    g4_err err = { 0 };
    struct plain_step s;
    g4_device *d = open_level(level, 1);
    g4_plan *p = g4_plan_new(d, &(g4_plan_desc){ .ops = ops, .n_op = 4, .bufs = bufs, .n_buf = 3, .max_rows = { ROWS, ROWS, 1 } }, NULL, &err);
    if (!p) die(&err);
    plain_step_init(&s, ROWS, 0, x, COLS);
    for (uint32_t i = 0; i < ROWS; i++)
        to->pick[i] = (g4_pick){ .k = 1 + i % 9, .want_id = (int32_t)(i * 7), .adj = adj, .n_adj = i % 3 == 1 ? 2 : 0 };
    s.s.pick = to->pick;
    if (g4_plan_run(d, p, &s.s, &err)) die(&err);
    to->logits = g4_dup(d->ops->buf_read(d, p, 2, ROWS), (size_t)ROWS * VOCAB * sizeof(float));
    plain_step_clear(&s);
    d->ops->plan_free(d, p);
    g4_device_close(d);
}

static bool same_pick(const g4_pick *a, const g4_pick *b)
{
    return a->n_top == b->n_top && a->lse == b->lse && a->lse_raw == b->lse_raw && a->want_logit == b->want_logit &&
           !memcmp(a->top_id, b->top_id, a->n_top * sizeof *a->top_id) && !memcmp(a->top_logit, b->top_logit, a->n_top * sizeof *a->top_logit);
}

static void test_logits(void)
{
    static struct picked whole, cut;
    g4_weight *w = rnd_weight(G4_Q8_0, 1, VOCAB, COLS);
    float *x = rnd_floats((size_t)ROWS * COLS, 4);
    uint32_t same = 0;

    run_logits(w, x, &whole);
    setenv("G4_VK_RANGE", "800000", 1); /* 66 rows */
    run_logits(w, x, &cut);
    unsetenv("G4_VK_RANGE");
    for (uint32_t i = 0; i < ROWS; i++) same += same_pick(&whole.pick[i], &cut.pick[i]);
    ok(!memcmp(whole.logits, cut.logits, (size_t)ROWS * VOCAB * sizeof(float)), "logits in three bindings: the same bits");
    ok(same == ROWS, "and the same picks: %u of %d", same, ROWS);
    ok(whole.pick[0].n_top == 1 && whole.pick[4].top_id[0] == 5, "which are some");
    free(whole.logits), free(cut.logits), free(x);
    free_weight(w);
}

/* ---- submissions --------------------------------------------------------------------------- */

/* y = rms(w1 (w0 x)) + x over prompt rows; gives back how many submissions it took. */
static uint64_t run_chain(const g4_weight *const w[3], const float *x, double rate, float *to)
{
    const g4_op ops[] = { op_of(feed_op(w[0], 0), G4_ROWS_ALL, -1, 0),
                          op_of((g4_op){ .kind = G4_OP_MATMUL, .n_w = 1, .w = { w[0] }, .alpha = 1, .dst2 = -1 }, G4_ROWS_ALL, 0, 1),
                          op_of((g4_op){ .kind = G4_OP_MATMUL, .n_w = 1, .w = { w[1] }, .alpha = 1, .dst2 = -1 }, G4_ROWS_ALL, 1, 2),
                          op_of((g4_op){ .kind = G4_OP_RESID, .w = { w[2] }, .alpha = 1, .eps = 1e-6f, .dst2 = -1 }, G4_ROWS_ALL, 2, 0) };
    const g4_buf_desc bufs[] = { { MODEL, 0, "x" }, { MODEL, 0, "y" }, { MODEL, 0, "z" } };
    g4_err err = { 0 };
    struct plain_step s;
    g4_device *d = open_level(level, 1);
    struct g4_vk *vk = (struct g4_vk *)(void *)d;
    g4_plan *p = g4_plan_new(d, &(g4_plan_desc){ .ops = ops, .n_op = 4, .bufs = bufs, .n_buf = 3, .max_rows = { ROWS, 1, 1 } }, NULL, &err);
    if (!p) die(&err);
    if (rate > 0) vk->in->rate = rate;
    plain_step_init(&s, ROWS, 0, x, MODEL);
    s.seq.prompt = true;
    s.s.n_out = 0;
    const uint64_t before = vk->in->submitted;
    if (g4_plan_run(d, p, &s.s, &err)) die(&err);
    const uint64_t n = vk->in->submitted - before;
    memcpy(to, d->ops->buf_read(d, p, 0, ROWS), (size_t)ROWS * MODEL * sizeof *to);
    plain_step_clear(&s);
    d->ops->plan_free(d, p);
    g4_device_close(d);
    return n;
}

/* A device that is taken for a slow one: each product is cut, and what follows waits for all of it (the barriers
 * are what tests/validation.t looks at). */
static void test_submissions(void)
{
    static float whole[ROWS * MODEL], cut[ROWS * MODEL];
    const g4_weight *w[3] = { rnd_weight(G4_Q8_0, 1, MODEL, MODEL), rnd_weight(G4_Q4_0, 1, MODEL, MODEL), rnd_weight(G4_F32, 1, 1, MODEL) };
    float *x = rnd_floats((size_t)ROWS * MODEL, 1);
    const uint64_t many = run_chain(w, x, 4.5e6, cut), one = run_chain(w, x, 0, whole); /* a quarter of the work, then all */

    ok(one == 1 && many >= 4, "prompt work in %llu submission and in %llu", (unsigned long long)one, (unsigned long long)many);
    ok(!memcmp(whole, cut, sizeof whole), "the same bits");
    free(x);
    for (int i = 0; i < 3; i++) free_weight((g4_weight *)(uintptr_t)w[i]);
}

int main(void)
{
    level = vulkan_here();
    if (!level) {
        skip("vulkan", "no such device here");
        return done_testing();
    }
    if (!getenv("SHIM_PLAIN")) test_logits(); /* tests/fault/vulkan.c: parts of grids would run elsewhere */
    test_submissions();
    return done_testing();
}
