/* tests/vectors/real: Gemma 3 270M (Q4_K_M) against transformers in float32 on the
 * same dequantised weights (tests/data/real).  On cpu, whose activations are int8:
 * greedy tokens agree until the reference's margin falls below 0.25, and wherever
 * it is above 0.5; the mean difference of log-probabilities is no larger than
 * llama.cpp's on the same texts, and at most half of that is left when they are
 * added up with their signs.  (How far a sum is off hangs on the signs of a few
 * errors: it moves by its own size when any rounding changes, so the peer's
 * figure for it is printed, not demanded.)  On ref (G4_TEST_FULL): every token,
 * each log-probability within 2e-3, sums within 0.02 %. */
#include "vec.h"

enum { CHUNK = 64 };

/* llama.cpp (September 2026, int8 activations, f16 cache) on the four texts: mean absolute difference,
 * and how far the sum is off in per cent. */
static const double peer_mean[] = { 0.077, 0.061, 0.055, 0.014 }, peer_sum[] = { 0.2, 1.1, 0.4, 0.4 };

static const char *where;
static bool exact;

/* Rows [from, n) of the timeline's logits, one at a time, to take(). */
static bool each_row(struct vec *v, const int32_t *ids, uint32_t n, uint32_t from, void (*take)(void *arg, uint32_t row, const float *x), void *arg)
{
    const uint32_t n_vocab = v->hp->n_vocab;

    v->have[0] = 0;
    for (uint32_t at = 0; at < n; at += CHUNK) {
        const uint32_t rows = n - at < CHUNK ? n - at : CHUNK;
        if (!vec_step(v, &(struct vec_part){ 0, ids + at, rows }, 1, false)) return ok(false, "%s: %s", where, v->err.msg);
        const float *x = vec_read(v, v->net.logits, rows);
        for (uint32_t r = 0; r < rows; r++)
            if (at + r >= from) take(arg, at + r, x + (size_t)r * n_vocab);
    }
    return true;
}

struct greedy {
    uint32_t n_prompt, n_vocab;
    const int32_t *next;
    const double *margin;
    size_t n_next, same;
    bool before;             /* no margin below 0.25 yet */
    uint32_t early, clear;   /* disagreements that are not allowed */
    double top5;             /* largest error of the first five log-probabilities */
    g4_json first_top5;
};

static void take_greedy(void *arg, uint32_t row, const float *x)
{
    struct greedy *g = arg;
    const uint32_t i = row + 1 - g->n_prompt;

    if (i >= g->n_next) return;
    const bool same = vec_argmax(x, g->n_vocab) == g->next[i];
    g->same += same;
    if (g->margin[i] < 0.25) g->before = false;
    if (!same && g->before) g->early++;
    if (!same && g->margin[i] > 0.5) g->clear++;
    if (i) return;
    const double lse = vec_lse(x, g->n_vocab);
    for (g4_json_it it = g4_json_iter(g->first_top5); g4_json_next(&it);) {
        const double d = fabs(x[(int32_t)json_num(g4_json_at(it.value, 0), 0)] - lse - json_num(g4_json_at(it.value, 1), NAN));
        if (!(d <= g->top5)) g->top5 = d;
    }
}

static void check_generation(struct vec *v, g4_json one)
{
    struct greedy g = { .n_vocab = v->hp->n_vocab, .before = true, .first_top5 = g4_json_get(one, "first_top5") };
    const g4_json margins = g4_json_get(one, "margins");
    char *prompt = g4_json_dup(g4_json_get(one, "prompt"));
    size_t n, i = 0;
    int32_t *ids = json_ids(g4_json_get(one, "prompt_ids"), &n), *next = json_ids(g4_json_get(one, "greedy_ids"), &g.n_next);
    double *margin = g4_alloc((g4_json_count(margins) + 1) * sizeof *margin);

    for (g4_json_it it = g4_json_iter(margins); g4_json_next(&it);) margin[i++] = json_num(it.value, 0);
    ids = g4_realloc(ids, (n + g.n_next) * sizeof *ids);
    memcpy(ids + n, next, g.n_next * sizeof *next);
    g.n_prompt = (uint32_t)n;
    g.next = next;
    g.margin = margin;
    if (each_row(v, ids, (uint32_t)(n + g.n_next), (uint32_t)n - 1, take_greedy, &g)) {
        const bool fine = exact ? g.same == g.n_next && g.top5 < 2e-3 : !g.early && !g.clear;
        ok(fine && i == g.n_next, "%s: '%.30s': %zu of %zu greedy tokens, first five log-probabilities within %.3g", where, prompt,
           g.same, g.n_next, g.top5);
        if (!fine) printf("# %u differ before the first small margin, %u at large ones\n", g.early, g.clear);
    }
    free(ids);
    free(next);
    free(margin);
    free(prompt);
}

struct score {
    const int32_t *ids;
    uint32_t n, n_vocab;
    g4_json want;
    double sum, abs, worst;
};

static void take_score(void *arg, uint32_t row, const float *x)
{
    struct score *s = arg;

    if (row + 1 >= s->n) return;
    const double got = x[s->ids[row + 1]] - vec_lse(x, s->n_vocab), d = fabs(got - json_num(g4_json_at(s->want, row), NAN));
    s->sum += got;
    s->abs += d;
    if (!(d <= s->worst)) s->worst = d;
}

static void check_scoring(struct vec *v, g4_json one, size_t i)
{
    size_t n;
    int32_t *ids = json_ids(g4_json_get(one, "ids"), &n);
    struct score s = { .ids = ids, .n = (uint32_t)n, .n_vocab = v->hp->n_vocab, .want = g4_json_get(one, "logprobs") };
    const double want = json_num(g4_json_get(one, "sum"), NAN);

    if (each_row(v, ids, s.n, 0, take_score, &s)) {
        const double mean = s.abs / (double)(n - 1), off = 100 * fabs(s.sum / want - 1), bias = fabs(s.sum - want) / (double)(n - 1);
        if (exact)
            ok(s.worst < 2e-3 && off < 0.02, "%s: text of %zu tokens: log-probabilities within %.3g, sum off by %.4f %%", where, n, s.worst, off);
        else
            ok(mean <= peer_mean[i] && bias <= peer_mean[i] / 2,
               "%s: text of %zu tokens: mean difference %.4f (peer %.3f), signed %.4f, sum off by %.3f %% (peer %.1f)", where, n, mean,
               peer_mean[i], bias, off, peer_sum[i]);
    }
    free(ids);
}

/* Six rows of a prompt, alone and with ten strangers around each. */
static void check_company(struct vec *v, g4_json one)
{
    size_t n, wrong = 0;
    int32_t *ids = json_ids(g4_json_get(one, "prompt_ids"), &n);
    const uint32_t n_vocab = v->hp->n_vocab;
    float *alone = g4_alloc(6 * (size_t)n_vocab * sizeof *alone);
    struct vec_part part[11];

    memset(v->have, 0, sizeof v->have);
    if (vec_step(v, &(struct vec_part){ 0, ids, 6 }, 1, false)) memcpy(alone, vec_read(v, v->net.logits, 6), 6 * (size_t)n_vocab * sizeof *alone);
    v->have[0] = 0;
    for (uint32_t at = 0; at < 6; at++) {
        for (uint32_t s = 0; s < 11; s++) part[s] = (struct vec_part){ s == 5 ? 0 : s + 1, ids + (s == 5 ? at : (at + s) % 6), 1 };
        if (!vec_step(v, part, 11, false)) wrong++;
        else wrong += memcmp(vec_read(v, v->net.logits, 6) + 5 * (size_t)n_vocab, alone + at * (size_t)n_vocab, n_vocab * sizeof *alone) != 0;
    }
    ok(!wrong, "%s: rows among ten strangers: the same bits as alone %s", where, v->err.msg);
    free(alone);
    free(ids);
}

static void check_device(const char *path, g4_json ref, const char *device)
{
    struct vec v;

    exact = strcmp(device, "ref") == 0;
    where = device;
    const struct vec_params p = { .device = device, .kv = exact ? G4_F32 : G4_F16, .threads = g4_cpu_count() };
    if (ok(vec_open(&v, path, p), "%s: opens %s", where, v.err.msg)) {
        size_t i = 0;
        for (g4_json_it it = g4_json_iter(g4_json_get(ref, "generation")); g4_json_next(&it);) check_generation(&v, it.value);
        for (g4_json_it it = g4_json_iter(g4_json_get(ref, "scoring")); i < 4 && g4_json_next(&it);) check_scoring(&v, it.value, i++);
        check_company(&v, g4_json_at(g4_json_get(ref, "generation"), 0));
    }
    vec_close(&v);
}

int main(void)
{
    char *path = g4_xdg_path("XDG_CACHE_HOME", ".cache", "g4-test/gemma3-270m.gguf");
    g4_str text = { 0 };
    g4_json ref;

    if (!path || !g4_file_exists(path)) {
        printf("1..0 # SKIP no Gemma 3 270M weights (tests/fetch-weights)\n");
        return 0;
    }
    if (ok(!g4_file_read("tests/data/real/gemma3-270m.json", 1 << 20, &text, NULL) && !g4_json_check(text.p, text.n, &ref, NULL), "the reference opens")) {
        check_device(path, ref, "cpu");
        if (getenv("G4_TEST_FULL")) check_device(path, ref, "ref");
        else skip("ref", "G4_TEST_FULL=1 runs it");
    }
    g4_str_free(&text);
    free(path);
    return done_testing();
}
