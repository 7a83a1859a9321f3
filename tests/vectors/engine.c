/* tests/vectors/engine: the tiny models through the engine's pump.
 *
 * Greedy continuations and scored texts of every generative fixture, all at once
 * and out of one cache; and: whatever runs beside a sequence, in whatever chunks,
 * set back or not, its tokens, log-probabilities and alternatives are the same bits
 * as when it runs alone. */
#include "vec.h"

#include "base/hash.h"
#include "base/str.h"
#include "engine/core.h"

/* ---- running ---------------------------------------------------------------- */

struct job {
    int32_t ids[256];
    uint32_t n;
    struct g4_seq_params p;
    g4_seq *seq;
    g4_str log;              /* every event, as bytes */
    int32_t got[128];        /* tokens */
    uint32_t n_got;
    double prompt_sum;       /* of the prompt's log-probabilities from `score_from` on */
    uint32_t score_from, n_prompt;
    enum g4_tok_end end;
    bool ended;
};

static void submit(g4_core *c, struct job *j)
{
    const struct g4_span span = { .ids = j->ids, .n = j->n };
    j->p.spans = &span;
    j->p.n_span = 1;
    j->p.user = j;
    if (j->p.sampling.repeat_penalty == 0) j->p.sampling.repeat_penalty = 1;
    j->n_got = j->n_prompt = 0;
    j->prompt_sum = 0;
    j->ended = false;
    g4_str_clear(&j->log);
    j->seq = g4_core_submit(c, &j->p, NULL);
}

static void note(struct job *j, const struct g4_tok_event *ev)
{
    g4_str_add(&j->log, &ev->kind, sizeof ev->kind);
    if (ev->kind == G4_TOK_END) {
        g4_str_add(&j->log, &ev->end, sizeof ev->end);
        j->end = ev->end;
        j->ended = true;
        return;
    }
    g4_str_add(&j->log, &ev->id, sizeof ev->id);
    g4_str_add(&j->log, &ev->logprob, sizeof ev->logprob);
    for (uint32_t i = 0; i < ev->n_alt; i++) {
        g4_str_add(&j->log, &ev->alt_id[i], sizeof *ev->alt_id);
        g4_str_add(&j->log, &ev->alt_logprob[i], sizeof *ev->alt_logprob);
    }
    if (ev->kind == G4_TOK_TOKEN && j->n_got < 128) j->got[j->n_got++] = ev->id;
    if (ev->kind == G4_TOK_PROMPT && j->n_prompt++ >= j->score_from) j->prompt_sum += ev->logprob;
}

/* Runs to the end; NULL, or what went wrong. */
static const char *run(g4_core *c)
{
    static g4_err err;
    struct g4_tok_event ev;
    err = (g4_err){0};
    for (int steps = 0; g4_core_busy(c); steps++) {
        if (g4_core_step(c, &err)) return err.msg;
        while (g4_core_event(c, &ev)) note(ev.user, &ev);
        const g4_timeline *all[64];
        size_t n = 0;
        for (const g4_seq *q = c->running.first; q && n < 64; q = q->next) all[n++] = &q->tl;
        const char *bad = g4_cache_check(c->cache, all, n);
        if (bad) return bad;
        if (steps > 20000) return "it does not end";
    }
    return NULL;
}

struct way { /* how a set of jobs is run */
    const char *what;
    uint32_t parallel, chunk, threads;
    bool prefix;
    uint32_t n_block[2]; /* 0: the core's own choice */
    bool f32;            /* cache; else f16, but on ref */
};

static g4_core *open_core(const char *path, const char *device, const struct way *w, g4_err *err)
{
    const struct g4_core_params p = { .model_path = path, .device = device, .parallel = w->parallel, .chunk = w->chunk,
                                      .threads = w->threads, .kv_type = strcmp(device, "ref") && !w->f32 ? G4_F16 : G4_F32, .prefix_cache = w->prefix };
    g4_core *c = g4_core_new(&p, err);
    if (!c || !w->n_block[0]) return c;
    /* A smaller cache over the same store: block numbers stay inside it. */
    const uint32_t n[2] = { c->sizes.n_block[0] ? w->n_block[0] : 0, c->sizes.n_block[1] ? w->n_block[1] : 0 };
    struct g4_cache_params cp = { .n_block = { n[0], n[1] }, .n_idle = { n[0], n[1] }, .window = c->want.window, .prefix = w->prefix,
                                  .arg = c };
    cp.copy = NULL; /* nothing is forked below: every prompt is another */
    g4_cache_free(c->cache);
    c->cache = g4_cache_new(&cp);
    return c;
}

/* ---- against the reference -------------------------------------------------- */

static void greedy_and_scored(const char *name, const char *device)
{
    char path[128];
    g4_str text = {0};
    g4_json ref;
    g4_err err = {0};
    static struct job jobs[8];
    uint32_t n = 0, n_greedy;
    int differ = 0;
    double worst = 0;
    memset(jobs, 0, sizeof jobs);
    snprintf(path, sizeof path, "tests/data/text/%s/reference.json", name);
    if (g4_file_read(path, 1 << 20, &text, &err) || g4_json_check(text.p, text.n, &ref, &err)) {
        ok(false, "%s: %s", name, err.msg);
        return;
    }
    snprintf(path, sizeof path, "tests/data/text/%s", name);
    /* an f16 cache decides a near tie of g4-edge another way, on the CPU too */
    g4_core *c = open_core(path, device, &(struct way){ .parallel = 8, .prefix = true, .f32 = true }, &err);
    if (!c) {
        ok(false, "%s: %s", name, err.msg);
        return;
    }
    const g4_json greedy = g4_json_get(ref, "greedy"), scored = g4_json_get(ref, "scored");
    for (g4_json_it it = g4_json_iter(greedy); g4_json_next(&it);) {
        size_t k;
        int32_t *ids = json_ids(g4_json_get(it.value, "prompt"), &k);
        struct job *j = &jobs[n++];
        memcpy(j->ids, ids, k * sizeof *ids);
        j->n = (uint32_t)k;
        j->p = (struct g4_seq_params){ .max_tokens = (uint32_t)g4_json_count(g4_json_get(it.value, "tokens")), .n_logprob = -1 };
        submit(c, j);
        free(ids);
    }
    n_greedy = n;
    for (g4_json_it it = g4_json_iter(scored); g4_json_next(&it);) {
        size_t k, m;
        int32_t *ids = json_ids(g4_json_get(it.value, "prompt"), &k), *more = json_ids(g4_json_get(it.value, "continuation"), &m);
        struct job *j = &jobs[n++];
        memcpy(j->ids, ids, k * sizeof *ids);
        memcpy(j->ids + k, more, m * sizeof *ids);
        j->n = (uint32_t)(k + m);
        j->score_from = (uint32_t)k;
        j->p = (struct g4_seq_params){ .n_logprob = 0, .echo = true };
        submit(c, j);
        free(ids);
        free(more);
    }
    const char *bad = run(c);
    for (uint32_t i = 0; i < n_greedy; i++) {
        size_t k;
        int32_t *want = json_ids(g4_json_get(g4_json_at(greedy, i), "tokens"), &k);
        differ += jobs[i].n_got != k || memcmp(want, jobs[i].got, k * sizeof *want);
        free(want);
    }
    for (uint32_t i = n_greedy; i < n; i++) {
        const double d = fabs(jobs[i].prompt_sum - json_num(g4_json_get(g4_json_at(scored, i - n_greedy), "logprob_sum"), NAN));
        if (!(d <= worst)) worst = d;
    }
    const double tol = json_num(g4_json_path(ref, "tolerance", "logprob_sum_abs"), 0);
    ok(!bad && !differ && n_greedy, "%s on %s: %u greedy continuations%s%s", name, device, n_greedy, bad ? ": " : "", bad ? bad : "");
    ok(worst <= tol && n > n_greedy, "%s on %s: sums of log-probabilities: largest error %.3g (tolerance %.3g)", name, device, worst, tol);
    for (uint32_t i = 0; i < n; i++) {
        g4_core_drop(c, jobs[i].seq);
        g4_str_free(&jobs[i].log);
    }
    g4_core_free(c);
    g4_str_free(&text);
}

/* ---- bits --------------------------------------------------------------------- */

enum { N_JOB = 20, VOCAB_LOW = 20, VOCAB_HIGH = 380 };

/* A guide that allows two ids of three, by position, and forces three after every seventh token. */
struct test_guide {
    uint32_t n;
    int32_t force[3];
    uint32_t left;
};

static bool guide_mask(void *self, uint32_t *mask, uint32_t n_vocab)
{
    const struct test_guide *g = self;
    if (g->n % 2) return false;
    for (uint32_t i = g->n % 3; i < n_vocab; i += 3) mask[i / 32] &= ~(1u << i % 32);
    return true;
}

static size_t guide_forced(void *self, const int32_t **ids)
{
    struct test_guide *g = self;
    *ids = g->force + 3 - g->left;
    return g->left;
}

static void guide_accept(void *self, int32_t id)
{
    struct test_guide *g = self;
    g->n++;
    if (g->left) g->left--;
    else if (g->n % 7 == 0) g->left = 3;
}

static void make_job(struct job *j, int i, struct test_guide *g)
{
    g4_str_free(&j->log);
    memset(j, 0, sizeof *j);
    j->n = i % 5 == 4 ? 1 : 3 + (uint32_t)(g4_mix64((uint64_t)i) % 120);
    for (uint32_t k = 0; k < j->n; k++) /* two of three begin alike */
        j->ids[k] = VOCAB_LOW + (int32_t)(g4_mix64(k + (i % 3 && k < 70 ? 0 : 1000003ull * (uint64_t)(i + 1))) % (VOCAB_HIGH - VOCAB_LOW));
    static const int32_t stop[] = { 30 }, suppress[] = { 40, 41, 99 };
    j->p = (struct g4_seq_params){
        .max_tokens = 90 + (uint32_t)(i * 7 % 30), .n_logprob = i % 4 - 1, .echo = i % 5 == 3,
        .stop = stop, .n_stop = i % 2, .suppress = suppress, .n_suppress = 3,
        .sampling = { .temperature = i % 4 == 0 ? 0 : 0.9f, .top_k = i % 3 ? 40 : 0, .top_p = i % 7 == 6 ? 1 : 0.95f, .min_p = i % 6 == 5 ? 0.02f : 0,
                      .repeat_penalty = i % 8 == 2 ? 1.3f : 1, .frequency_penalty = i % 8 == 3 ? 0.4f : 0,
                      .presence_penalty = i % 8 == 3 ? 0.2f : 0, .seed = (uint64_t)i },
    };
    if (j->p.echo && j->p.n_logprob < 0) j->p.n_logprob = 0;
    if (i % 4 != 1) return;
    *g = (struct test_guide){ .force = { 50, 60, 70 } };
    j->p.guides[j->p.n_guide++] = (struct g4_guide){ .self = g, .mask = guide_mask, .forced = guide_forced, .accept = guide_accept };
}

/* The events of all jobs, run in this way; 0 or more that cannot be. */
static const char *run_all(const char *path, const char *device, const struct way *w, bool one_by_one, g4_str *logs, uint64_t *n_set_back, uint64_t *n_rows)
{
    static struct job jobs[N_JOB];
    static struct test_guide guides[N_JOB];
    static g4_err err;
    const char *bad = NULL;
    err = (g4_err){0};
    g4_core *c = open_core(path, device, w, &err);
    if (!c) return err.msg;
    for (int i = 0; i < N_JOB; i++) make_job(&jobs[i], i, &guides[i]);
    for (int i = 0; i < N_JOB && !bad; i++) {
        submit(c, &jobs[i]);
        if (one_by_one) bad = run(c);
    }
    if (!bad) bad = run(c);
    for (int i = 0; i < N_JOB; i++) {
        g4_str_clear(&logs[i]);
        g4_str_add(&logs[i], jobs[i].log.p, jobs[i].log.n);
        g4_str_free(&jobs[i].log);
        if (jobs[i].seq) g4_core_drop(c, jobs[i].seq);
    }
    *n_set_back = c->n_set_back;
    *n_rows = c->n_rows;
    g4_core_free(c);
    return bad;
}

static void bits(const char *name, const char *device)
{
    static const struct way ways[] = {
        { "20 at once, a shared cache", 32, 512, 1, true, { 0, 0 }, false },
        { "3 at a time, chunks of 7, 2 threads", 3, 7, 2, true, { 0, 0 }, false },
        { "20 at once, chunks of 1, nothing shared", 32, 1, 1, false, { 0, 0 }, false },
        { "a cache of a few blocks", 16, 64, 1, false, { 13, 12 }, false },
    };
    char path[128];
    static g4_str alone[N_JOB], now[N_JOB];
    uint64_t back, rows, rows_alone;
    size_t bytes = 0;
    snprintf(path, sizeof path, "tests/data/text/%s", name);
    const struct way single = { "alone", 1, 512, 1, false, { 0, 0 }, false };
    const char *bad = run_all(path, device, &single, true, alone, &back, &rows_alone);
    for (int i = 0; i < N_JOB; i++) bytes += alone[i].n;
    ok(!bad && bytes > 10000, "%s on %s: 20 sequences alone: %zu bytes of events%s%s", name, device, bytes, bad ? ": " : "", bad ? bad : "");
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        int differ = 0;
        bad = run_all(path, device, &ways[w], false, now, &back, &rows);
        for (int i = 0; i < N_JOB; i++) differ += alone[i].n != now[i].n || memcmp(alone[i].p, now[i].p, now[i].n);
        ok(!bad && !differ, "%s on %s: %s: %d of 20 differ, %llu set back, %llu rows of %llu%s%s", name, device, ways[w].what, differ,
           (unsigned long long)back, (unsigned long long)rows, (unsigned long long)rows_alone, bad ? ": " : "", bad ? bad : "");
        if (ways[w].n_block[0]) ok(back > 0, "%s on %s: sequences were set back", name, device);
    }
}

/* Samples of one prompt share it by copy-on-write, and are those of each alone. */
static void samples(const char *name, const char *device)
{
    char path[128];
    g4_err err = {0};
    static struct job jobs[6];
    static g4_str alone[6];
    int differ = 0, same = 0;
    snprintf(path, sizeof path, "tests/data/text/%s", name);
    for (int together = 0; together < 2; together++) {
        const struct way w = { "", together ? 6 : 1, 64, 1, together, { 0, 0 }, false };
        g4_core *c = open_core(path, device, &w, &err);
        if (!c) break;
        for (int i = 0; i < 6; i++) {
            make_job(&jobs[i], 1, &(struct test_guide){0});
            jobs[i].p.n_guide = 0;
            jobs[i].p.n_stop = 0;
            jobs[i].p.n_logprob = 2;
            jobs[i].p.sampling.temperature = 1.5f;
            jobs[i].p.sampling.sample = (uint32_t)i;
            submit(c, &jobs[i]);
            if (!together) run(c);
        }
        const char *bad = run(c);
        if (bad) ok(false, "%s: %s", name, bad);
        if (together) is_int((long long)c->n_rows, jobs[0].n + 5 + 6 * (long long)(jobs[0].p.max_tokens - 1), "six samples run their prompt once");
        for (int i = 0; i < 6; i++) {
            if (!together) g4_str_add(&alone[i], jobs[i].log.p, jobs[i].log.n);
            else differ += alone[i].n != jobs[i].log.n || memcmp(alone[i].p, jobs[i].log.p, alone[i].n);
            if (i) same += jobs[i].n_got == jobs[0].n_got && !memcmp(jobs[i].got, jobs[0].got, jobs[0].n_got * 4);
            g4_core_drop(c, jobs[i].seq);
        }
        g4_core_free(c);
    }
    ok(!err.code && !differ, "%s on %s: six samples together are those of each alone", name, device);
    is_int(same, 0, "and no two are the same");
    for (int i = 0; i < 6; i++) {
        g4_str_free(&alone[i]);
        g4_str_free(&jobs[i].log);
    }
}

/* A long text: the window moves far, local blocks are freed and used again. */
static void long_run(const char *name)
{
    char path[128];
    g4_err err = {0};
    static struct job j;
    uint64_t hash[2] = {0};
    for (int k = 0; k < 2; k++) {
        const struct way w = { "", k ? 4 : 1, k ? 33 : 512, 1, k, { 0, 0 }, false };
        snprintf(path, sizeof path, "tests/data/text/%s", name);
        g4_core *c = open_core(path, "cpu", &w, &err);
        if (!c) break;
        make_job(&j, 0, NULL);
        j.p.max_tokens = 900;
        j.p.n_logprob = 0;
        submit(c, &j);
        const char *bad = run(c);
        if (bad) ok(false, "%s: %s", name, bad);
        hash[k] = g4_hash64(j.log.p, j.log.n, 0);
        g4_core_drop(c, j.seq);
        g4_core_free(c);
    }
    ok(!err.code && hash[0] == hash[1] && j.log.n > 900 * 12, "%s: 900 tokens, the same bits in other chunks", name);
    g4_str_free(&j.log);
}

static void ends(void)
{
    g4_err err = {0};
    static struct job j[4];
    g4_core *c = open_core("tests/data/text/gemma3-270m", "ref", &(struct way){ .parallel = 4, .prefix = true }, &err);
    if (!ok(c != NULL, "the model opens: %s", err.msg)) return;
    for (int i = 0; i < 4; i++) make_job(&j[i], 0, NULL);
    j[0].p.max_tokens = 0;
    j[1].p.max_tokens = 100000;
    j[2].p.max_tokens = 100000;
    j[2].p.max_time = 1e-9;
    for (int i = 0; i < 3; i++) submit(c, &j[i]);
    const char *bad = run(c);
    ok(!bad && j[0].ended && j[0].end == G4_END_LENGTH && !j[0].n_got, "max_tokens 0: no token, the end is a length");
    ok(j[1].end == G4_END_CONTEXT && j[1].seq->n_ids == g4_core_context(c), "no limit: the context is the end");
    ok(j[2].end == G4_END_TIME, "over its time: the end says so");
    const int32_t stop = j[1].got[5];
    uint32_t at = 0;
    while (j[1].got[at] != stop) at++;
    j[3].p.stop = &stop;
    j[3].p.n_stop = 1;
    submit(c, &j[3]);
    bad = run(c);
    ok(!bad && j[3].end == G4_END_STOP && j[3].n_got == at + 1 && j[3].got[at] == stop, "a stop id is the last token");
    g4_core_drop(c, j[1].seq);
    submit(c, &j[1]);
    g4_core_step(c, NULL);
    g4_core_drop(c, j[1].seq);
    struct g4_tok_event ev;
    ok(!g4_core_busy(c) && !g4_core_event(c, &ev), "a dropped sequence leaves nothing behind");
    for (int i = 0; i < 4; i++) {
        if (i != 1) g4_core_drop(c, j[i].seq);
        g4_str_free(&j[i].log);
    }
    g4_core_free(c);
}

int main(void)
{
    static const char *const all[] = { "g4-dense", "g4-edge", "g4-moe", "g4-unified", "gemma3", "gemma3-scale", "gemma3-270m", "gemma2", "vaultgemma" };
    if (!vec_only_gpu()) {
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) greedy_and_scored(all[i], "ref");
        bits("g4-edge", "ref");
        bits("g4-edge", "cpu");
        bits("gemma3", "cpu");
        bits("g4-moe", "cpu");
        bits("vaultgemma", "cpu");
        samples("g4-edge", "cpu");
        samples("gemma3-270m", "ref");
        long_run("gemma3");
        ends();
    }
    const char *gpu = vulkan_here();
    const bool full = getenv("G4_TEST_FULL") != NULL;
    for (size_t i = 0; gpu && i < sizeof all / sizeof *all; i += full ? 1 : 4) greedy_and_scored(all[i], gpu);
    if (gpu && full) bits("g4-edge", gpu), bits("gemma3", gpu), bits("g4-moe", gpu);
    if (!gpu) skip("vulkan", "no such device here");
    return done_testing();
}
