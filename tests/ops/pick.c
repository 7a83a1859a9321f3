/* PICK on every level: top-k with ties, log-sum-exp before and after adjustments
 * and masks, against f64 and a full sort. */
#include "../tap.h"
#include "ops.h"

struct pair {
    float x;
    int32_t id;
};

static int by_size(const void *a, const void *b)
{
    const struct pair *p = a, *q = b;
    return p->x != q->x ? (p->x < q->x ? 1 : -1) : (p->id > q->id) - (p->id < q->id);
}

static double lse(const float *x, uint32_t n)
{
    double most = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < n; i++) most = fmax(most, x[i]);
    for (uint32_t i = 0; i < n; i++) sum += exp(x[i] - most);
    return most + log(sum);
}

/* What pick should say of the adjusted and masked row z. */
static bool right_top(const g4_pick *p, const float *z, uint32_t n)
{
    struct pair *s = g4_alloc(n * sizeof *s);
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++)
        if (z[i] != -INFINITY) s[m++] = (struct pair){ z[i], (int32_t)i };
    qsort(s, m, sizeof *s, by_size);
    bool right = p->n_top == (p->k < m ? p->k : m);
    for (uint32_t i = 0; right && i < p->n_top; i++) right = p->top_id[i] == s[i].id && p->top_logit[i] == s[i].x;
    free(s);
    return right;
}

static void test(const char *level, uint32_t n, uint32_t k, bool ties, bool adjust, bool mask)
{
    g4_device *d = open_level(level, 3);
    g4_err err = { 0 };
    const g4_buf_desc buf = { n, G4_ROWS_OUT, "logits" };
    const g4_op op = { .kind = G4_OP_PICK, .set = G4_ROWS_OUT, .src2 = -1, .src3 = -1, .dst = { -1, -1, -1 }, .dst2 = -1, .tag = "pick" };
    g4_plan *p = g4_plan_new(d, &(g4_plan_desc){ .ops = &op, .n_op = 1, .bufs = &buf, .n_buf = 1, .max_rows = { 2, 2, 1 } }, NULL, &err);
    float *x = rnd_floats(n, 4), *z = g4_dup(x, n * sizeof *x);
    for (uint32_t i = 0; ties && i < n; i++) x[i] = z[i] = rintf(x[i]);
    uint32_t *allow = g4_alloc((n / 32 + 1) * 4);
    for (uint32_t i = 0; i <= n / 32; i++) allow[i] = rnd() & rnd();
    const g4_logit_adj adj[] = { { 3, 2, 0 }, { (int32_t)n - 1, 1, 50 }, { 7, 1, -INFINITY }, { 3, 1, 1 }, { -5, 1, 1 }, { (int32_t)n, 1, 1 } };
    for (size_t i = 0; adjust && i < 4; i++) {
        float *l = &z[adj[i].id];
        *l = (*l > 0 ? *l / adj[i].rep : *l * adj[i].rep) + adj[i].add;
    }
    for (uint32_t i = 0; mask && i < n; i++)
        if (!(allow[i / 32] >> i % 32 & 1)) z[i] = -INFINITY;
    g4_pick pick[2] = { { .k = k, .want_id = 3, .want_row = true, .adj = adjust ? adj : NULL, .n_adj = adjust ? 6 : 0, .allow = mask ? allow : NULL },
                        { .k = 1, .want_id = -1 } };
    float *both = g4_alloc(2 * n * sizeof *both);
    memcpy(both, x, n * sizeof *x);
    memcpy(both + n, x, n * sizeof *x);
    put_rows(d, p, 0, 2, both);
    free(both);
    struct plain_step s;
    plain_step_init(&s, 2, 0, x, 0);
    s.s.pick = pick;
    if (g4_plan_run(d, p, &s.s, &err)) fprintf(stderr, "%s\n", err.msg), exit(1);
    const double e1 = fabs(pick[0].lse - lse(z, n)), e2 = fabs(pick[0].lse_raw - lse(x, n));
    ok(right_top(&pick[0], z, n) && right_top(&pick[1], x, n), "%s: top %u of %u%s%s%s", level, k, n, ties ? ", ties" : "",
       adjust ? ", adjusted" : "", mask ? ", masked" : "");
    ok(e1 < 4e-6 && e2 < 4e-6 && pick[0].want_logit == x[3] && !memcmp(pick[0].row, z, n * sizeof *z),
       "%s: log-sum-exp off by %.1g and %.1g, the wanted logit and row", level, e1, e2);
    plain_step_clear(&s);
    free(x), free(z), free(allow);
    d->ops->plan_free(d, p);
    g4_device_close(d);
}

static void test_level(const char *level)
{
    test(level, 1000, 1, false, false, false);
    test(level, 262144, 64, false, false, false);
    test(level, 262144, 1, true, true, true);
    test(level, 4097, 256, true, false, true);
    test(level, 5000, 40, true, true, true);
    test(level, 100, 200, false, true, false);
    test(level, 36, 64, true, true, true);
}

int main(void)
{
    for (const char *const *level = levels_here(); *level; level++) test_level(*level);
    if (vulkan_here()) test_level(vulkan_here());
    else skip("vulkan", "no such device here");
    return done_testing();
}
