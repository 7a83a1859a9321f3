/* EXPERTS on Vulkan against f64: generated rows one by one, prompt rows grouped by
 * expert; gate and up apart and in one matrix, weights in slices, skewed routes; the
 * bits of a generated row in any company. */
#include "../tap.h"
#include "ops.h"

enum { D = 256, FF = 96, EXPERTS = 12, K = 3, ROWS = 130 };

static const char *level;

struct weights {
    g4_weight *gate, *up, *down; /* up NULL: behind gate's rows of each expert */
};

struct rig {
    g4_device *d;
    g4_plan *p;
    g4_op op;
};

static void die(const g4_err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

static void rig_open(struct rig *r, const struct weights *w)
{
    const g4_buf_desc bufs[] = { { D, 0, "x" }, { 2 * K, 0, "routes" }, { D, 0, "y" } };
    g4_err err = { 0 };
    r->d = open_level(level, 1);
    r->op = (g4_op){ .kind = G4_OP_EXPERTS, .src = 0, .src2 = 1, .src3 = -1, .dst = { 2, -1, -1 }, .dst2 = -1, .n_expert = EXPERTS,
                     .k_expert = K, .d_expert = FF, .w = { w->gate, w->up, w->down }, .tag = "moe" };
    r->p = g4_plan_new(r->d, &(g4_plan_desc){ .ops = &r->op, .n_op = 1, .bufs = bufs, .n_buf = 3, .max_rows = { ROWS, 1, 2 } }, NULL, &err);
    if (!r->p) die(&err);
}

static float *rig_run(struct rig *r, const float *x, const float *routes, uint32_t n_gen, uint32_t n_prompt)
{
    const uint32_t n = n_gen + n_prompt;
    const g4_step_seq seqs[2] = { { .n_key = n }, { .n_key = n, .prompt = true } };
    g4_err err = { 0 };
    struct plain_step s;
    plain_step_init(&s, n, 0, x, D);
    s.s.n_out = 0;
    s.s.n_seq = 2;
    s.s.seqs = seqs;
    for (uint32_t i = n_gen; i < n; i++) s.of[i] = 1;
    put_rows(r->d, r->p, 0, n, x);
    put_rows(r->d, r->p, 1, n, routes);
    if (g4_plan_run(r->d, r->p, &s.s, &err)) die(&err);
    plain_step_clear(&s);
    return g4_dup(r->d->ops->buf_read(r->d, r->p, 2, n), (size_t)n * D * sizeof(float));
}

static double dot(const g4_weight *w, uint32_t e, uint32_t o, const double *x, float *row)
{
    double sum = 0;
    g4_dtype_get(w->type)->decode(w->data + ((size_t)e * w->rows + o) * w->row_bytes, row, w->cols);
    for (uint32_t i = 0; i < w->cols; i++) sum += row[i] * x[i];
    return sum;
}

static double gelu(double x)
{
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

static void expect_row(const struct weights *w, const float *x, const float *route, double *y)
{
    double in[D], hidden[FF];
    float row[D];
    for (int i = 0; i < D; i++) in[i] = x[i], y[i] = 0;
    for (int k = 0; k < K; k++) {
        const uint32_t e = (uint32_t)route[k];
        for (uint32_t o = 0; o < FF; o++)
            hidden[o] = gelu(dot(w->gate, e, o, in, row)) * (w->up ? dot(w->up, e, o, in, row) : dot(w->gate, e, FF + o, in, row));
        for (uint32_t o = 0; o < D; o++) y[o] += route[K + k] * dot(w->down, e, o, hidden, row);
    }
}

/* K different experts a row, ascending; skewed: most rows take the first ones. */
static float *rnd_routes(bool skewed)
{
    float *y = g4_alloc(ROWS * 2 * K * sizeof *y);
    for (uint32_t r = 0; r < ROWS; r++) {
        uint32_t have = 0, first = skewed && r % 9 ? 0 : rnd() % (EXPERTS - K + 1);
        for (uint32_t e = first; have < K; e++)
            if (EXPERTS - e <= K - have || skewed || rnd() % 3) y[r * 2 * K + have++] = (float)e;
        for (uint32_t k = 0; k < K; k++) y[r * 2 * K + K + k] = fabsf(rnd_unit()) + 0.05f;
    }
    return y;
}

static void compare(const char *what, const float *y, const double *want, uint32_t n)
{
    double size = 0, most = 0;
    for (uint32_t i = 0; i < n * D; i++) size += want[i] * want[i] / (n * D);
    for (uint32_t i = 0; i < n * D; i++)
        if (!(fabs(y[i] - want[i]) <= most)) most = fabs(y[i] - want[i]);
    ok(most / sqrt(size) < 1e-5, "%s: largest error %.2g of the size", what, most / sqrt(size));
}

static void test(g4_dtype type, g4_dtype down, bool joined, bool skewed, const char *how)
{
    struct weights w = { rnd_weight(type, EXPERTS, joined ? 2 * FF : FF, D), joined ? NULL : rnd_weight(type, EXPERTS, FF, D),
                         rnd_weight(down, EXPERTS, D, FF) };
    float *x = rnd_floats(ROWS * D, 3), *routes = rnd_routes(skewed);
    double *want = g4_alloc(ROWS * D * sizeof *want);
    char what[128];
    struct rig r;
    for (uint32_t i = 0; i < ROWS; i++) expect_row(&w, x + i * D, routes + i * 2 * K, want + i * D);
    rig_open(&r, &w);
    float *gen = rig_run(&r, x, routes, 64, 0), *both = rig_run(&r, x, routes, 40, ROWS - 40), *prompt = rig_run(&r, x, routes, 0, 65);
    snprintf(what, sizeof what, "experts %s and %s%s%s, generated", g4_dtype_get(type)->name, g4_dtype_get(down)->name, joined ? ", joined" : "", how);
    compare(what, gen, want, 64);
    snprintf(what, sizeof what, "experts %s and %s%s%s, mixed", g4_dtype_get(type)->name, g4_dtype_get(down)->name, joined ? ", joined" : "", how);
    compare(what, both, want, ROWS);
    compare("the same, a prompt alone", prompt, want, 65);
    bool same = !memcmp(gen, both, 40 * D * sizeof *gen) && !memcmp(both + 40 * D, prompt + 40 * D, 25 * D * sizeof *gen);
    for (uint32_t i = 0; i < 64; i += 21) {
        float *one = rig_run(&r, x + i * D, routes + i * 2 * K, 1, 0);
        same = same && !memcmp(one, gen + i * D, D * sizeof *one);
        free(one);
    }
    ok(same, "the same, a row has its bits in any company");
    r.d->ops->plan_free(r.d, r.p);
    g4_device_close(r.d);
    g4_weight *all[] = { w.gate, w.up, w.down };
    for (int i = 0; i < 3; i++)
        if (all[i]) free_weight(all[i]);
    free(gen), free(both), free(prompt), free(x), free(routes), free(want);
}

int main(void)
{
    level = vulkan_here();
    if (!level) {
        skip("vulkan", "no such device here");
        return done_testing();
    }
    test(G4_Q4_0, G4_Q4_0, false, false, "");
    test(G4_Q8_0, G4_Q5_1, true, true, ", skewed");
    test(G4_F32, G4_F32, true, false, "");
    if (getenv("G4_TEST_FULL")) test(G4_Q4_K, G4_Q8_0, true, false, ""), test(G4_BF16, G4_BF16, false, true, ""), test(G4_MXFP4, G4_F16, false, false, "");
    setenv("G4_VK_RANGE", "400000", 1);
    test(G4_F32, G4_F32, false, false, ", in slices");
    unsetenv("G4_VK_RANGE");
    return done_testing();
}
