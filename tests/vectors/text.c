/* tests/vectors/text: every tiny model against what the reference implementation
 * computed on it (tests/data/text: <name>/reference.json names the arrays of
 * reference.safetensors), from both containers, on `ref` within the reference's
 * own tolerance and on every level of `cpu` within eight times that. */
#include "vec.h"

#include "base/str.h"

struct fixture {
    char dir[128];
    g4_str json;
    g4_json ref;
    struct st arrays;
    double logits_abs, hidden_rel, sum_abs;
};

struct worst { /* largest error of a kind and its tolerance, as shares of it */
    double share, error, tol;
};

static bool fixture_open(struct fixture *f, const char *name)
{
    char path[192];
    g4_err err = { 0 };

    memset(f, 0, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "tests/data/text/%s", name);
    snprintf(path, sizeof path, "%s/reference.json", f->dir);
    if (g4_file_read(path, 1 << 20, &f->json, &err) || g4_json_check(f->json.p, f->json.n, &f->ref, &err)) return false;
    snprintf(path, sizeof path, "%s/reference.safetensors", f->dir);
    const g4_json tol = g4_json_get(f->ref, "tolerance");
    f->logits_abs = json_num(g4_json_get(tol, "logits_abs"), 0);
    f->hidden_rel = json_num(g4_json_get(tol, "hidden_rel"), 2e-4);
    f->sum_abs = json_num(g4_json_get(tol, "logprob_sum_abs"), 0);
    return st_open(&f->arrays, path);
}

static void fixture_close(struct fixture *f)
{
    st_close(&f->arrays);
    g4_str_free(&f->json);
}

static const float *array(struct fixture *f, g4_json entry, const char *key, size_t *n)
{
    char *name = g4_json_dup(g4_json_get(entry, key));
    const float *a = name ? st_f32(&f->arrays, name, n) : NULL;

    free(name);
    return a;
}

static void compare(struct worst *w, const float *got, const float *want, size_t n, double tol)
{
    double error = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - want[i]);
        if (!(d <= error)) error = d;
    }
    if (!(error / tol <= w->share)) *w = (struct worst){ error / tol, error, tol };
}

/* `hidden_after` lists the layers whose state was kept: -1 is the scaled embedding. */
static void compare_hidden(struct worst *w, struct fixture *f, g4_json in, const struct vec *v, const float *got, const float *want,
                           size_t n, double loose)
{
    const size_t size = n * v->hp->d_model;
    size_t i = 0;

    for (g4_json_it it = g4_json_iter(g4_json_get(in, "hidden_after")); g4_json_next(&it); i++) {
        int64_t after = 0;
        if (!g4_json_i64(it.value, &after) || after < -1 || after >= (int64_t)v->hp->n_layer) continue;
        compare(w, got + (size_t)(after + 1) * size, want + i * size, size, f->hidden_rel * loose * vec_absmax(want + i * size, size));
    }
}

static void report(const struct worst *w, const char *model, const char *what)
{
    if (!w->tol) return;
    ok(w->share <= 1, "%s: %s: largest error %.3g (tolerance %.3g)", model, what, w->error, w->tol);
}

/* ---- decoders ---------------------------------------------------------------- */

struct decoder_worst {
    struct worst logits, hidden, final, ple;
};

static void check_input(struct vec *v, struct fixture *f, g4_json in, double loose, const char *model, struct decoder_worst *w)
{
    const struct g4_hparams *hp = v->hp;
    struct vec_out all, part;
    size_t n, n_logits, k;
    int32_t *ids = json_ids(g4_json_get(in, "tokens"), &n);
    const float *logits = array(f, in, "logits", &n_logits), *hidden = array(f, in, "hidden", &k);

    if (!vec_forward(v, 0, ids, (uint32_t)n, 0, &all)) {
        ok(false, "%s: runs: %s", model, v->err.msg);
        return;
    }
    if (n_logits != n * hp->n_vocab) ok(false, "%s: %zu logits, expected %zu", model, n * hp->n_vocab, n_logits);
    else compare(&w->logits, all.logits, logits, n_logits, f->logits_abs * loose);
    if (hidden) compare_hidden(&w->hidden, f, in, v, all.hidden, hidden, n, loose);
    const float *final = array(f, in, "final", &k), *ple = array(f, in, "ple", &k);
    if (final) compare(&w->final, all.final, final, n * hp->d_model, f->hidden_rel * loose * vec_absmax(final, n * hp->d_model));
    if (ple) compare(&w->ple, all.ple, ple, k, f->hidden_rel * loose * vec_absmax(ple, k));
    for (uint32_t chunk = 1; chunk <= 64; chunk = chunk == 1 ? 7 : chunk == 7 ? 64 : 65) {
        char what[96];
        if (chunk >= n) continue;
        snprintf(what, sizeof what, "%s: %zu rows in chunks of %u", model, n, chunk);
        if (vec_forward(v, 1, ids, (uint32_t)n, chunk, &part)) same_bits(part.logits, all.logits, n * hp->n_vocab, what);
        else ok(false, "%s: %s", what, v->err.msg);
        vec_out_free(&part);
    }
    vec_out_free(&all);
    free(ids);
}

/* Teacher forced: behind every prefix the largest logit is the reference's next token. */
static void check_greedy(struct vec *v, g4_json g, const char *model)
{
    size_t n_prompt, n_next, wrong = 0;
    int32_t *prompt = json_ids(g4_json_get(g, "prompt"), &n_prompt), *next = json_ids(g4_json_get(g, "tokens"), &n_next);
    struct vec_out o;

    prompt = g4_realloc(prompt, (n_prompt + n_next) * sizeof *prompt);
    memcpy(prompt + n_prompt, next, n_next * sizeof *next);
    if (!vec_forward(v, 0, prompt, (uint32_t)(n_prompt + n_next), 16, &o)) {
        ok(false, "%s: greedy: %s", model, v->err.msg);
        return;
    }
    for (size_t i = 0; i < n_next; i++)
        wrong += vec_argmax(o.logits + (n_prompt - 1 + i) * v->hp->n_vocab, v->hp->n_vocab) != next[i];
    ok(!wrong && n_next >= 48, "%s: %zu greedy tokens", model, n_next);
    if (wrong) printf("# %zu differ\n", wrong);
    vec_out_free(&o);
    free(prompt);
    free(next);
}

static void check_scored(struct vec *v, struct fixture *f, g4_json s, double loose, const char *model)
{
    size_t n_prompt, n_next;
    int32_t *ids = json_ids(g4_json_get(s, "prompt"), &n_prompt), *next = json_ids(g4_json_get(s, "continuation"), &n_next);
    struct vec_out o;
    double sum = 0;

    ids = g4_realloc(ids, (n_prompt + n_next) * sizeof *ids);
    memcpy(ids + n_prompt, next, n_next * sizeof *next);
    if (!vec_forward(v, 0, ids, (uint32_t)(n_prompt + n_next), 0, &o)) {
        ok(false, "%s: scored: %s", model, v->err.msg);
        return;
    }
    for (size_t i = 0; i < n_next; i++) {
        const float *row = o.logits + (n_prompt - 1 + i) * v->hp->n_vocab;
        sum += row[next[i]] - vec_lse(row, v->hp->n_vocab);
    }
    const double want = json_num(g4_json_get(s, "logprob_sum"), NAN);
    ok(fabs(sum - want) <= f->sum_abs * loose, "%s: log-probability of %zu tokens: %.4f, error %.3g (tolerance %.3g)", model,
       n_next, sum, fabs(sum - want), f->sum_abs * loose);
    vec_out_free(&o);
    free(ids);
    free(next);
}

/* The last row's logits alone, with and without the skip, in one piece and in chunks. */
static void check_skip(struct vec *v, const char *path, struct vec_params p, g4_json in, const char *model)
{
    struct vec plain;
    size_t n;
    int32_t *ids = json_ids(g4_json_get(in, "tokens"), &n);
    const size_t n_vocab = v->hp->n_vocab;

    p.flags = G4_NET_NO_SKIP;
    if (!ok(vec_open(&plain, path, p), "%s: opens without the skip %s", model, plain.err.msg)) return;
    for (uint32_t cut = 0; cut < n; cut += (uint32_t)n / 2) {
        v->have[2] = plain.have[2] = 0;
        const struct vec_part first = { 2, ids, cut }, rest = { 2, ids + cut, (uint32_t)n - cut };
        bool fine = !cut || (vec_step(v, &first, 1, true) && vec_step(&plain, &first, 1, true));
        fine = fine && vec_step(v, &rest, 1, true) && vec_step(&plain, &rest, 1, true);
        if (ok(fine, "%s: runs for one row's logits %s%s", model, v->err.msg, plain.err.msg))
            same_bits(vec_read(v, v->net.logits, 1), vec_read(&plain, plain.net.logits, 1), n_vocab, "with and without the skip");
    }
    vec_close(&plain);
    free(ids);
}

static void check_decoder(struct fixture *f, const char *path, const char *label, struct vec_params p, double loose)
{
    struct decoder_worst w = { 0 };
    struct vec v;

    p.flags = G4_NET_TAPS;
    if (!ok(vec_open(&v, path, p), "%s: opens %s", label, v.err.msg)) {
        vec_close(&v);
        return;
    }
    for (g4_json_it it = g4_json_iter(g4_json_get(f->ref, "inputs")); g4_json_next(&it);) check_input(&v, f, it.value, loose, label, &w);
    report(&w.logits, label, "logits");
    report(&w.hidden, label, "hidden states");
    report(&w.final, label, "final norm");
    report(&w.ple, label, "per-layer inputs");
    for (g4_json_it it = g4_json_iter(g4_json_get(f->ref, "greedy")); g4_json_next(&it);) check_greedy(&v, it.value, label);
    for (g4_json_it it = g4_json_iter(g4_json_get(f->ref, "scored")); g4_json_next(&it);) check_scored(&v, f, it.value, loose, label);
    const g4_json inputs = g4_json_get(f->ref, "inputs");
    check_skip(&v, path, p, g4_json_at(inputs, g4_json_count(inputs) - 1), label);
    vec_close(&v);
}

/* ---- encoders ---------------------------------------------------------------- */

static double cosine(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;

    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

struct encoder_worst {
    struct worst pooled, unnormalised, embedding, half, final, hidden;
    double cosine;
};

static void check_text(struct vec *v, struct fixture *f, g4_json in, double loose, const char *model, struct encoder_worst *w)
{
    const struct g4_hparams *hp = v->hp;
    const g4_json tol = g4_json_get(f->ref, "tolerance");
    const double abs = json_num(g4_json_get(tol, "unnormalised_abs"), 0) * loose, unit = json_num(g4_json_get(tol, "embedding_abs"), 0) * loose;
    struct vec_out o;
    size_t n, k, half;
    int32_t *ids = json_ids(g4_json_get(in, "tokens"), &n);

    if (!vec_forward(v, 3, ids, (uint32_t)n, 0, &o)) {
        ok(false, "%s: runs: %s", model, v->err.msg);
        return;
    }
    const float *hidden = array(f, in, "hidden", &k), *final = array(f, in, "final", &k), *want;
    if (hidden) compare_hidden(&w->hidden, f, in, v, o.hidden, hidden, n, loose);
    compare(&w->final, o.final, final, n * hp->d_model, f->hidden_rel * loose * vec_absmax(final, n * hp->d_model));
    want = array(f, in, "pooled", &k);
    const bool projected = k != hp->d_model; /* the reference pools EmbeddingGemma 2 behind the projection */
    compare(&w->pooled, vec_read(v, projected ? v->net.unnormalised : v->net.pooled, 1), want, k, abs);
    want = array(f, in, "unnormalised", &k);
    compare(&w->unnormalised, vec_read(v, v->net.unnormalised, 1), want, k, abs);
    want = array(f, in, "embedding", &k);
    const float *e = vec_read(v, v->net.embedding, 1);
    if (k != hp->d_embed) ok(false, "%s: %zu components, expected %u", model, k, hp->d_embed);
    compare(&w->embedding, e, want, k, unit);
    if (cosine(e, want, k) < w->cosine) w->cosine = cosine(e, want, k);
    want = array(f, in, "embedding_half", &half);
    float *cut = g4_dup(e, half * sizeof *cut);
    double sq = 0;
    for (size_t i = 0; i < half; i++) sq += (double)cut[i] * cut[i];
    for (size_t i = 0; i < half; i++) cut[i] = (float)(cut[i] / sqrt(sq));
    compare(&w->half, cut, want, half, unit);
    free(cut);
    free(ids);
    vec_out_free(&o);
}

/* Texts of one batch do not see each other. */
static void check_batch(struct vec *v, struct fixture *f, const char *model)
{
    const g4_json inputs = g4_json_get(f->ref, "inputs");
    size_t n[2];
    int32_t *ids[2] = { json_ids(g4_json_get(g4_json_at(inputs, 0), "tokens"), &n[0]), json_ids(g4_json_get(g4_json_at(inputs, 1), "tokens"), &n[1]) };
    const size_t d = v->hp->d_embed;
    float *alone = g4_alloc(2 * d * sizeof *alone);

    for (uint32_t s = 0; s < 2; s++) {
        v->have[s] = 0;
        if (vec_step(v, &(struct vec_part){ s, ids[s], (uint32_t)n[s] }, 1, false)) vec_take(v, v->net.embedding, 1, d, alone + s * d);
        v->have[s] = 0;
    }
    const struct vec_part both[2] = { { 0, ids[0], (uint32_t)n[0] }, { 1, ids[1], (uint32_t)n[1] } };
    if (ok(vec_step(v, both, 2, false), "%s: two texts in one batch %s", model, v->err.msg))
        same_bits(vec_read(v, v->net.embedding, 2), alone, 2 * d, model);
    free(alone);
    free(ids[0]);
    free(ids[1]);
}

static void check_encoder(struct fixture *f, const char *path, const char *label, struct vec_params p, double loose)
{
    struct encoder_worst w = { .cosine = 1 };
    struct vec v;

    p.flags = G4_NET_TAPS;
    if (!ok(vec_open(&v, path, p), "%s: opens %s", label, v.err.msg)) {
        vec_close(&v);
        return;
    }
    for (g4_json_it it = g4_json_iter(g4_json_get(f->ref, "inputs")); g4_json_next(&it);) check_text(&v, f, it.value, loose, label, &w);
    report(&w.hidden, label, "hidden states");
    report(&w.final, label, "final norm");
    report(&w.pooled, label, "pooled");
    report(&w.unnormalised, label, "behind the head");
    report(&w.embedding, label, "embedding");
    report(&w.half, label, "half of the embedding");
    ok(w.cosine >= 0.999999, "%s: cosine at least 0.999999: 1 - %.3g", label, 1 - w.cosine);
    check_batch(&v, f, label);
    vec_close(&v);
}

/* ---- quantised files ----------------------------------------------------------- */

/* On ref the logits are those of the dequantised tensors; with int8 activations their divergence is at
 * most twice what the reference file measured on another engine. */
static void check_quantised(struct fixture *f, struct vec_params p, const char *where)
{
    const bool exact = strcmp(p.device, "ref") == 0;
    const double rel = json_num(g4_json_get(g4_json_get(f->ref, "tolerance"), "exact_logits_rel"), 0);

    for (g4_json_it file = g4_json_iter(g4_json_get(f->ref, "files")); g4_json_next(&file);) {
        char path[400], label[128];
        char *name = g4_json_dup(g4_json_get(file.value, "file"));
        struct vec v;
        snprintf(path, sizeof path, "%s/%s", f->dir, name);
        snprintf(label, sizeof label, "%s on %s", name, where);
        free(name);
        if (!ok(vec_open(&v, path, p), "%s: opens %s", label, v.err.msg)) {
            vec_close(&v);
            continue;
        }
        for (g4_json_it in = g4_json_iter(g4_json_get(f->ref, "inputs")); g4_json_next(&in);) {
            char *which = g4_json_dup(g4_json_get(in.value, "name"));
            struct vec_out o;
            size_t n, k;
            int32_t *ids = json_ids(g4_json_get(in.value, "tokens"), &n);
            const float *want = array(f, g4_json_get(file.value, "logits"), which, &k);
            if (!vec_forward(&v, 0, ids, (uint32_t)n, 0, &o)) {
                ok(false, "%s: runs: %s", label, v.err.msg);
            } else if (exact) {
                char what[192];
                snprintf(what, sizeof what, "%s, %s: logits", label, which);
                near_f32(o.logits, want, k, rel * vec_absmax(want, k), what);
            } else {
                const double kld = vec_kld(want, o.logits, n, v.hp->n_vocab), peer = json_num(g4_json_get(g4_json_get(file.value, "kld_llama_cpp"), which), 0);
                ok(kld <= 2 * peer, "%s, %s: divergence %.3g (at most %.3g)", label, which, kld, 2 * peer);
            }
            vec_out_free(&o);
            free(ids);
            free(which);
        }
        vec_close(&v);
    }
}

/* ---- all of them ---------------------------------------------------------------- */

static const struct {
    const char *name, *gguf; /* gguf: in build/data/text; NULL: none */
    bool folder, encoder, quick;
} models[] = {
    { "g4-dense", "g4-dense-f32.gguf", true, false, false },
    { "g4-edge", "g4-edge-f32.gguf", true, false, true },
    { "g4-moe", "g4-moe-f32.gguf", true, false, true },
    { "g4-unified", "g4-unified-f32.gguf", true, false, false },
    { "gemma3", "gemma3-f32.gguf", true, false, false },
    { "gemma3-scale", NULL, true, false, false },
    { "gemma3-270m", "gemma3-270m-f32.gguf", true, false, false },
    { "gemma3-27b", "gemma3-27b-bf16.gguf", false, false, false },
    { "gemma2", "gemma2-f32.gguf", true, false, false },
    { "vaultgemma", NULL, true, false, true },
    { "embeddinggemma1", "embeddinggemma1-f32.gguf", true, true, true },
    { "embeddinggemma2", NULL, true, true, false },
};

/* some: a model of each kind only, from one container. */
static void check_models(const char *where, struct vec_params p, double loose, bool some)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct fixture f;
        char path[400], label[128];
        if (some && !models[i].quick) continue;
        if (!ok(fixture_open(&f, models[i].name), "%s: the reference opens", models[i].name)) continue;
        void (*check)(struct fixture *, const char *, const char *, struct vec_params, double) = models[i].encoder ? check_encoder : check_decoder;
        if (models[i].folder) {
            snprintf(label, sizeof label, "%s folder on %s", models[i].name, where);
            check(&f, f.dir, label, p, loose);
        }
        if (models[i].gguf && !some) {
            snprintf(path, sizeof path, "%s/%s/%s", vec_data(), models[i].name, models[i].gguf);
            snprintf(label, sizeof label, "%s on %s", models[i].gguf, where);
            check(&f, path, label, p, loose);
        }
        fixture_close(&f);
    }
    struct fixture q;
    if (ok(fixture_open(&q, "g4-edge-q"), "g4-edge-q: the reference opens")) check_quantised(&q, p, where);
    fixture_close(&q);
}

int main(void)
{
    static const char *const levels[] = { "ref", "avx2", "avx512", "neon" };

    if (!vec_only_gpu()) check_models("ref", (struct vec_params){ .device = "ref", .threads = 1, .kv = G4_F32 }, 1, false);
    for (size_t i = 1; i < sizeof levels / sizeof *levels && !vec_only_gpu(); i++) {
        setenv("G4_CPU", levels[i], 1);
        g4_err err = { 0 };
        g4_device *d = g4_device_open(&(struct g4_device_params){ .which = "cpu", .threads = 1 }, &err);
        if (d)
            check_models(levels[i], (struct vec_params){ .device = "cpu", .level = levels[i], .threads = 2, .kv = G4_F32 }, 8, false);
        else
            skip(levels[i], err.msg);
        g4_device_close(d);
    }
    const char *gpu = vulkan_here();
    if (gpu) check_models(gpu, (struct vec_params){ .device = gpu, .kv = G4_F32 }, 8, !getenv("G4_TEST_FULL"));
    else skip("vulkan", "no such device here");
    return done_testing();
}
