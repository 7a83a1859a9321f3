/* HEADS and ATTEND on every level and on Vulkan against f64: window edges, odd head sizes, many
 * query heads a KV head, both cache types, groups, stale slots, freed blocks; and
 * the bits of a row prefilled in any chunks with any number of threads. */
#include "../tap.h"
#include "ops.h"

struct cfg {
    const char *name;
    uint32_t n_head, n_kv, d, window, rows;
    bool bidirectional;
    float softcap;
    g4_dtype type;
    uint32_t group_from, group_to; /* rows of one attention group */
};

static const struct cfg cfgs[] = {
    { "global, four heads", 4, 1, 256, 0, 700, false, 0, G4_F16, 0, 0 },
    { "d 512", 8, 1, 512, 0, 100, false, 0, G4_F16, 0, 0 },
    { "16 heads a KV head, soft-cap", 16, 1, 32, 0, 70, false, 50, G4_F16, 0, 0 },
    { "window 5, odd d", 4, 2, 28, 5, 77, false, 0, G4_F16, 0, 0 },
    { "window 64", 2, 2, 8, 64, 200, false, 0, G4_F16, 0, 0 },
    { "window 300 over parts", 3, 1, 40, 300, 650, false, 0, G4_F32, 0, 0 },
    { "f32 cache", 2, 1, 16, 0, 90, false, 0, G4_F32, 0, 0 },
    { "both ways, window 16", 3, 1, 64, 16, 150, true, 0, G4_F16, 0, 0 },
    { "both ways", 2, 2, 24, 0, 130, true, 0, G4_F16, 0, 0 },
    { "a group in a window", 2, 1, 16, 8, 60, false, 0, G4_F16, 20, 50 },
    { "5000 keys", 2, 1, 8, 0, 5000, false, 0, G4_F16, 0, 0 },
};

static bool prompt_rows;            /* rows are given as a prompt's */
static const float *rope;           /* what HEADS does besides storing; NULL: nothing */
static const g4_weight *norm_weight;

struct data {
    float *q, *k, *v; /* [rows][heads * d] */
};

static float as_cached(float x, g4_dtype type)
{
    return type == G4_F16 ? g4_f16_to_f32(g4_f32_to_f16(x)) : x;
}

static bool sees(const struct cfg *c, uint32_t i, uint32_t j)
{
    const bool mates = c->group_to && i >= c->group_from && i < c->group_to && j >= c->group_from && j < c->group_to;
    if (mates && c->window) return true;
    if (!c->bidirectional) return j <= i && (!c->window || i - j < c->window);
    return !c->window || (i > j ? i - j : j - i) <= c->window;
}

/* Output row i of head h in f64 */
static void expect_row(const struct cfg *c, const struct data *x, uint32_t i, uint32_t h, double *out)
{
    const uint32_t d = c->d, kv = h / (c->n_head / c->n_kv);
    double *s = g4_alloc(c->rows * sizeof *s), most = -1e300, sum = 0;
    for (uint32_t j = 0; j < c->rows; j++) {
        if (!sees(c, i, j)) continue;
        for (uint32_t k = 0; k < d; k++)
            s[j] += (double)x->q[((size_t)i * c->n_head + h) * d + k] * as_cached(x->k[((size_t)j * c->n_kv + kv) * d + k], c->type);
        s[j] /= sqrt(d);
        if (c->softcap > 0) s[j] = c->softcap * tanh(s[j] / c->softcap);
        most = fmax(most, s[j]);
    }
    memset(out, 0, d * sizeof *out);
    for (uint32_t j = 0; j < c->rows; j++) {
        if (!sees(c, i, j)) continue;
        const double p = exp(s[j] - most);
        sum += p;
        for (uint32_t k = 0; k < d; k++) out[k] += p * as_cached(x->v[((size_t)j * c->n_kv + kv) * d + k], c->type);
    }
    for (uint32_t k = 0; k < d; k++) out[k] /= sum;
    free(s);
}

struct rig {
    g4_device *d;
    struct g4_kv_store *kv;
    g4_plan *p;
    g4_op ops[2];
    int32_t *table, *shown; /* all blocks; those that are held */
};

static void rig_open(struct rig *r, const char *level, uint32_t threads, const struct cfg *c, uint32_t max_rows)
{
    const uint32_t n_block = (c->rows + 31) / 32;
    const g4_kv_layer layer = { 1, c->n_kv, c->d };
    const g4_kv_desc kvd = { &layer, 1, { 0, n_block + 3 }, c->type };
    const g4_buf_desc bufs[] = { { c->n_head * c->d, 0, "q" }, { c->n_kv * c->d, 0, "k" }, { c->n_kv * c->d, 0, "v" }, { c->n_head * c->d, 0, "y" } };
    const g4_op base = { .set = G4_ROWS_ALL, .n_head = c->n_head, .n_kv = c->n_kv, .d_head = c->d, .causal = !c->bidirectional,
                         .window = c->window, .softcap = c->softcap, .alpha = 1 / sqrtf((float)c->d), .dst = { -1, -1, -1 }, .dst2 = -1, .src = 0,
                         .src2 = -1, .src3 = -1, .tag = "attend" };
    g4_err err = { 0 };
    r->d = open_level(level, threads);
    r->kv = r->d->ops->kv_new(r->d, &kvd, &err);
    r->ops[0] = r->ops[1] = base;
    r->ops[0].kind = G4_OP_HEADS, r->ops[0].src2 = 1, r->ops[0].src3 = 2;
    r->ops[0].freq = rope, r->ops[0].w[0] = norm_weight, r->ops[0].eps = 1e-6f;
    r->ops[1].kind = G4_OP_ATTEND, r->ops[1].dst[0] = 3;
    r->p = r->kv ? g4_plan_new(r->d, &(g4_plan_desc){ .ops = r->ops, .n_op = 2, .bufs = bufs, .n_buf = 4, .max_rows = { max_rows, 1, 1 } }, r->kv, &err) : NULL;
    if (!r->p) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    r->table = g4_alloc((n_block + 1) * sizeof *r->table);
    r->shown = g4_alloc((n_block + 1) * sizeof *r->shown);
    for (uint32_t b = 0; b < n_block; b++) r->table[b] = (int32_t)((b * 7 + 3) % (n_block + 3)); /* out of order */
    for (uint32_t b = 0; b < n_block; b++) /* 7 may share a factor with their number */
        for (uint32_t o = 0; o < b; o++)
            if (r->table[o] == r->table[b]) r->table[b] = (r->table[b] + 1) % (int32_t)(n_block + 3), o = (uint32_t)-1;
}

static void rig_close(struct rig *r)
{
    r->d->ops->plan_free(r->d, r->p);
    r->d->ops->kv_free(r->d, r->kv);
    g4_device_close(r->d);
    free(r->table);
    free(r->shown);
}

/* Rows [from, from + n) at their positions; y (may be NULL) takes the results. */
static void rig_step(struct rig *r, const struct cfg *c, const struct data *x, uint32_t from, uint32_t n, float *y)
{
    const size_t q = (size_t)c->n_head * c->d, k = (size_t)c->n_kv * c->d;
    const float *src[3] = { x->q + from * q, x->k + from * k, x->v + from * k };
    for (uint32_t b = 0; b < 3; b++)
        put_rows(r->d, r->p, b, n, src[b]);
    struct plain_step s;
    plain_step_init(&s, n, from, x->q, 0);
    s.s.n_out = 0;
    uint32_t *group = g4_alloc(n * sizeof *group);
    for (uint32_t i = 0; i < n; i++) group[i] = c->group_to && from + i >= c->group_from && from + i < c->group_to;
    if (c->group_to) s.s.group = group;
    for (uint32_t b = 0; b * 32 < c->rows; b++) { /* blocks that no row of this step can see are gone */
        const bool gone = c->window && !c->bidirectional && !c->group_to && (b + 1) * 32 + c->window <= from + 1;
        r->shown[b] = gone ? -1 : r->table[b];
    }
    s.seq.table[1] = r->shown;
    s.seq.prompt = prompt_rows;
    g4_err err = { 0 };
    if (g4_plan_run(r->d, r->p, &s.s, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    if (y) memcpy(y + from * q, r->d->ops->buf_read(r->d, r->p, 3, n), n * q * sizeof(float));
    free(group);
    plain_step_clear(&s);
}

/* All rows in chunks; the cache holds other values beforehand. */
static float *run_cfg(const char *level, uint32_t threads, const struct cfg *c, const struct data *x, const struct data *dirt, uint32_t chunk)
{
    struct rig r;
    float *y = g4_alloc((size_t)c->rows * c->n_head * c->d * sizeof *y);
    rig_open(&r, level, threads, c, c->rows);
    rig_step(&r, c, dirt, 0, c->rows, NULL);
    for (uint32_t from = 0; from < c->rows; from += chunk)
        rig_step(&r, c, x, from, c->rows - from < chunk ? c->rows - from : chunk, y);
    rig_close(&r);
    return y;
}

static struct data rnd_data(const struct cfg *c, float scale)
{
    const size_t q = (size_t)c->rows * c->n_head * c->d, k = (size_t)c->rows * c->n_kv * c->d;
    return (struct data){ rnd_floats(q, scale), rnd_floats(k, scale), rnd_floats(k, scale) };
}

static void free_data(struct data *x)
{
    free(x->q), free(x->k), free(x->v);
}

static void test_cfg(const char *level, const struct cfg *c)
{
    struct data x = rnd_data(c, 1), dirt = rnd_data(c, 100);
    const uint32_t d = c->d, step = c->rows > 1000 ? 611 : c->rows > 200 ? 13 : 3;
    const size_t n = (size_t)c->rows * c->n_head * d;
    float *y = run_cfg(level, 2, c, &x, &dirt, c->rows);
    double *want = g4_alloc(d * sizeof *want), most = 0;
    for (uint32_t i = 0; i < c->rows; i += step)
        for (uint32_t h = 0; h < c->n_head; h++) {
            expect_row(c, &x, i, h, want);
            for (uint32_t k = 0; k < d; k++) {
                const double e = fabs(y[((size_t)i * c->n_head + h) * d + k] - want[k]);
                if (!(e <= most)) most = e;
            }
        }
    ok(most < 3e-5, "%s %s%s: largest error %.2g", level, c->name, prompt_rows ? ", a prompt" : "", most);
    free(want);
    if (!c->bidirectional && !c->group_to) {
        static const uint32_t chunks[] = { 1, 7, 64 };
        bool same = true;
        const bool quick = c->rows > 1000 || ((!strcmp(level, "ref") || !strncmp(level, "vulkan", 6)) && c->rows > 200);
        for (uint32_t i = quick ? 2 : 0; i < 3; i++) {
            float *z = run_cfg(level, 3 - i, c, &x, &dirt, chunks[i]);
            same = same && !memcmp(y, z, n * sizeof *y);
            free(z);
        }
        ok(same, "%s %s%s: same bits in one piece and in chunks, with 1 to 3 threads", level, c->name, prompt_rows ? ", a prompt" : "");
    }
    free(y);
    free_data(&x);
    free_data(&dirt);
}

/* Norms, rope far out, and large values held at what f16 can express. */
static void test_heads(const char *level)
{
    enum { D = 64, N = 40 };
    const struct cfg c = { "heads", 2, 1, D, 0, N, false, 0, G4_F16, 0, 0 };
    struct data x = rnd_data(&c, 1), zero = rnd_data(&c, 1);
    float freq[D / 2], *norm = rnd_floats(D, 1);
    for (int i = 0; i < D / 2; i++) freq[i] = powf(10000, -2.0f * (float)i / D) * 2000; /* angles up to 80,000 */
    g4_weight w = { .type = G4_F32, .cols = D, .rows = 1, .n = 1, .row_bytes = D * 4, .data = (const uint8_t *)norm };
    struct rig r;
    rope = freq, norm_weight = &w;
    rig_open(&r, level, 2, &c, N);
    rope = NULL, norm_weight = NULL;
    float *y = g4_alloc(N * 2 * D * sizeof *y);
    x.v[0] = 1e6f;
    rig_step(&r, &c, &x, 0, N, y);
    const float *q = r.d->ops->buf_read(r.d, r.p, 0, N);
    double most = 0;
    for (int i = 0; i < N; i++)
        for (int h = 0; h < 2; h++) {
            const float *a = x.q + (i * 2 + h) * D, *b = q + (i * 2 + h) * D;
            double sum = 0;
            for (int k = 0; k < D; k++) sum += (double)a[k] * a[k];
            const double s = 1 / sqrt(sum / D + 1e-6);
            for (int k = 0; k < D / 2; k++) {
                const double angle = (double)((float)i * freq[k]), u = a[k] * s * norm[k], v = a[k + D / 2] * s * norm[k + D / 2];
                most = fmax(most, fabs(b[k] - (u * cos(angle) - v * sin(angle))));
                most = fmax(most, fabs(b[k + D / 2] - (v * cos(angle) + u * sin(angle))));
            }
        }
    ok(most < 2e-5, "%s: norm and rope, largest error %.2g", level, most);
    ok(strcmp(level, "ref") ? isfinite(y[0]) && y[0] <= 65504 : true, "%s: a value beyond f16 stays finite", level);
    free(y), free(norm);
    rig_close(&r);
    free_data(&x);
    free_data(&zero);
}

/* The last workgroup to come merges the parts: the bits of the merge in a dispatch of its own. */
static void test_fused_merge(const char *level)
{
    const struct cfg *c = &cfgs[5];
    struct data x = rnd_data(c, 1);
    float *apart = run_cfg(level, 1, c, &x, &x, 40);
    setenv("G4_VK_ENABLE", "fuse_merge", 1);
    float *fused = run_cfg(level, 1, c, &x, &x, 40);
    unsetenv("G4_VK_ENABLE");
    ok(!memcmp(apart, fused, (size_t)c->rows * c->n_head * c->d * sizeof *apart), "%s %s: same bits with fuse_merge", level, c->name);
    free(apart), free(fused);
    free_data(&x);
}

/* Up to 64 generated rows are split over parts of their keys, more are not: the same bits. */
static void test_vulkan(const char *level)
{
    const bool full = getenv("G4_TEST_FULL") != NULL;
    for (size_t i = 0; i < sizeof cfgs / sizeof *cfgs; i++) {
        if (cfgs[i].rows > 660 && !full) continue;
        test_cfg(level, &cfgs[i]);
        prompt_rows = true;
        test_cfg(level, &cfgs[i]);
        prompt_rows = false;
    }
    test_fused_merge(level);
    test_heads(level);
}

int main(void)
{
    for (const char *const *level = levels_here(); *level; level++) {
        for (size_t i = 0; i < sizeof cfgs / sizeof *cfgs; i++) {
            if (!strcmp(*level, "ref") && cfgs[i].rows > 600) continue; /* minutes; the others show the same there */
            test_cfg(*level, &cfgs[i]);
        }
        test_heads(*level);
    }
    if (vulkan_here()) test_vulkan(vulkan_here());
    else skip("vulkan", "no such device here");
    return done_testing();
}
