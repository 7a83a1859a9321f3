/* tests/unit/sample: the filters against a plain implementation over the whole
 * distribution, the random stream, and the frequencies that come out. */
#include "../tap.h"

#include "base/hash.h"
#include "base/mem.h"
#include "engine/sample.h"

enum { V = 3000 };

struct cand {
    int32_t id;
    double p;
};

static int by_p(const void *a, const void *b)
{
    const struct cand *x = a, *y = b;
    if (x->p != y->p) return x->p > y->p ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* Temperature, top-k, top-p, min-p over everything, sorted. */
static size_t reference(const struct g4_sampling *s, const float *row, struct cand *c)
{
    double max = -INFINITY, sum = 0, kept = 0;
    size_t n = 0, k;
    for (int i = 0; i < V; i++)
        if (row[i] > max) max = row[i];
    for (int i = 0; i < V; i++)
        if (row[i] > -INFINITY) c[n++] = (struct cand){ i, exp((row[i] - max) / s->temperature) };
    qsort(c, n, sizeof *c, by_p);
    if (s->top_k > 0 && n > (size_t)s->top_k) n = (size_t)s->top_k;
    for (size_t i = 0; i < n; i++) sum += c[i].p;
    for (k = 0; k < n; k++) {
        if (k && s->top_p < 1 && kept >= s->top_p * sum) break;
        if (k && c[k].p < s->min_p) break;
        kept += c[k].p;
    }
    for (size_t i = 0; i < k; i++) c[i].p /= kept;
    return k;
}

static void fill_pick(g4_pick *p, const struct g4_sampling *s, const float *row)
{
    static struct cand c[V];
    size_t n = 0;
    g4_sample_wants(s, -1, p);
    for (int i = 0; i < V; i++)
        if (row[i] > -INFINITY) c[n++] = (struct cand){ i, row[i] };
    qsort(c, n, sizeof *c, by_p);
    p->n_top = 0;
    for (size_t i = 0; i < p->k && i < n; i++) {
        p->top_id[i] = c[i].id;
        p->top_logit[i] = row[c[i].id];
        p->n_top++;
    }
    p->row = p->want_row ? row : NULL;
}

/* What is chosen over many u must be the reference's set, each with its share. */
static void compare(const struct g4_sampling *s, const float *row, const char *what)
{
    static struct cand c[V];
    static int32_t scratch[V];
    static double share[V];
    enum { N = 1500 };
    g4_pick *p = g4_alloc(sizeof *p);
    const size_t n = reference(s, row, c);
    double worst = 0;
    int strangers = 0;
    memset(share, 0, sizeof share);
    fill_pick(p, s, row);
    for (int i = 0; i < N; i++) {
        const int32_t id = g4_sample(s, p, V, (i + 0.5) / N, scratch);
        if (id < 0 || id >= V) strangers++;
        else share[id] += 1.0 / N;
    }
    for (size_t i = 0; i < n; i++) {
        const double d = fabs(share[c[i].id] - c[i].p);
        if (d > worst) worst = d;
        share[c[i].id] = 0;
    }
    for (int i = 0; i < V; i++) strangers += share[i] > 0;
    ok(!strangers && worst <= 1.5 / N, "%s: %zu candidates, %d strangers, shares within %.2g", what, n, strangers, worst);
    free(p);
}

static void filters(const float *peaked, const float *flat)
{
    static const struct {
        struct g4_sampling s;
        const char *what;
    } all[] = {
        { { .temperature = 1, .top_k = 64, .top_p = 0.95f }, "top-k 64, top-p 0.95" },
        { { .temperature = 0.7f, .top_k = 5, .top_p = 1 }, "temperature 0.7, top-k 5" },
        { { .temperature = 1, .top_k = 1, .top_p = 1 }, "top-k 1" },
        { { .temperature = 1.3f, .top_k = 0, .top_p = 0.9f }, "temperature 1.3, top-p 0.9" },
        { { .temperature = 1, .top_k = 0, .top_p = 0.3f }, "top-p 0.3" },
        { { .temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0.05f }, "min-p 0.05" },
        { { .temperature = 1, .top_k = 20, .top_p = 0.9f, .min_p = 0.1f }, "all three" },
        { { .temperature = 1, .top_k = 700, .top_p = 0.8f }, "top-k 700, top-p 0.8" },
        { { .temperature = 1, .top_k = 256, .top_p = 1 }, "top-k 256" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char what[80];
        snprintf(what, sizeof what, "%s, peaked", all[i].what);
        compare(&all[i].s, peaked, what);
        snprintf(what, sizeof what, "%s, flat", all[i].what);
        compare(&all[i].s, flat, what);
    }
}

/* All of a flat distribution: more ids than trials, so only the mass is compared. */
static void everything(const float *row)
{
    static int32_t scratch[V];
    const struct g4_sampling s = { .temperature = 1, .top_p = 1 };
    g4_pick *p = g4_alloc(sizeof *p);
    double want = 0, sum = 0, got = 0;
    fill_pick(p, &s, row);
    for (int i = 0; i < V; i++) {
        sum += exp(row[i]);
        if (i < V / 2) want += exp(row[i]);
    }
    for (int i = 0; i < 20000; i++) got += g4_sample(&s, p, V, (i + 0.5) / 20000, scratch) < V / 2;
    ok(fabs(got / 20000 - want / sum) < 1e-3, "no filter: half of the ids get their mass, %.4f of %.4f", got / 20000, want / sum);
    free(p);
}

static void edges(void)
{
    static int32_t scratch[V];
    float row[V];
    g4_pick *p = g4_alloc(sizeof *p);
    struct g4_sampling s = { .top_p = 1 };
    for (int i = 0; i < V; i++) row[i] = -INFINITY;
    fill_pick(p, &s, row);
    is_int(g4_sample(&s, p, V, 0.5, scratch), -1, "nothing allowed: -1");
    row[17] = 3;
    fill_pick(p, &s, row);
    is_int(g4_sample(&s, p, V, 0.999, scratch), 17, "one id allowed, greedy");
    s.temperature = 1;
    fill_pick(p, &s, row);
    is_int(g4_sample(&s, p, V, 0.999, scratch), 17, "one id allowed, sampled");
    row[9] = 3;
    s.temperature = 0;
    fill_pick(p, &s, row);
    is_int(g4_sample(&s, p, V, 0, scratch), 9, "a tie goes to the lower id");
    s = (struct g4_sampling){ .temperature = 1e-6f, .top_k = 64, .top_p = 1 };
    row[9] = 2.9f;
    fill_pick(p, &s, row);
    is_int(g4_sample(&s, p, V, 0.9999999, scratch), 17, "a temperature near nothing is greedy");
    free(p);
}

static void stream(void)
{
    const int32_t ids[] = { 2, 10, 11 };
    const uint64_t key = g4_sample_key(0, 0, ids, 3);
    double mean = 0, var = 0, lo = 1, hi = 0;
    int equal = 0;
    for (int i = 0; i < 100000; i++) {
        const double u = g4_sample_uniform(key, (uint64_t)i);
        mean += u / 100000;
        var += (u - 0.5) * (u - 0.5) / 100000;
        lo = u < lo ? u : lo;
        hi = u > hi ? u : hi;
        equal += u == g4_sample_uniform(key, (uint64_t)i + 1);
    }
    ok(fabs(mean - 0.5) < 0.005 && fabs(var - 1.0 / 12) < 0.002 && lo >= 0 && hi < 1 && !equal,
       "100000 positions: mean %.4f, variance %.4f, in [%.1g, %.6f]", mean, var, lo, hi);
    ok(key == g4_sample_key(0, 0, ids, 3), "the same key for the same request");
    ok(key != g4_sample_key(1, 0, ids, 3) && key != g4_sample_key(0, 1, ids, 3) && key != g4_sample_key(0, 0, ids, 2),
       "another for another seed, sample or prompt");
    ok(g4_sample_key(1, 0, ids, 3) != g4_sample_key(0, 1, ids, 3), "seed and sample are told apart");
}

int main(void)
{
    static float peaked[V], flat[V];
    for (int i = 0; i < V; i++) {
        const double u = (double)(g4_mix64((uint64_t)i) >> 11) * 0x1p-53;
        peaked[i] = (float)(12 * u * u * u * u);
        flat[i] = (float)u;
    }
    filters(peaked, flat);
    everything(flat);
    edges();
    stream();
    return done_testing();
}
