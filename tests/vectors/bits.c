/* tests/vectors/bits: a row's result is the same bits whatever is computed beside
 * it: alone, in batches of 2, 3, 8, 17 and 64 rows with strangers, its prompt in
 * one piece or in chunks of 1, 7 and 64, with 1, 2 and 3 threads, on ref and on
 * every level of cpu, with f32 and f16 caches; and on a Vulkan device's generated rows. */
#include "vec.h"

enum { N_MAX = 80 };

struct target {
    const char *dir, *file; /* file: inside the folder; NULL: the folder itself */
    g4_dtype kv;
};

static const struct target targets[] = {
    { "g4-edge", NULL, G4_F32 },                     /* shared KV, per-layer inputs */
    { "g4-moe", NULL, G4_F16 },                      /* experts, K = V */
    { "gemma3-270m", NULL, G4_F16 },
    { "vaultgemma", NULL, G4_F32 },                  /* F32 weights, soft-caps */
    { "g4-edge-q", "g4-edge-q-Q8_0.gguf", G4_F16 },
    { "g4-edge-q", "g4-edge-q-Q4_0.gguf", G4_F32 },
    { "g4-edge-q", "g4-edge-q-Q4_K_M.gguf", G4_F16 },
};

struct run {
    const struct target *t;
    const char *where;      /* "avx2" */
    struct vec v;
    int32_t ids[N_MAX];
    uint32_t n;
    float *want;            /* [n, V]: alone, one piece, one thread */
};

static bool load_ids(struct run *r)
{
    char path[128];
    g4_str text = { 0 };
    g4_json ref;
    size_t n;

    snprintf(path, sizeof path, "tests/data/text/%s/reference.json", r->t->dir);
    if (g4_file_read(path, 1 << 20, &text, NULL) || g4_json_check(text.p, text.n, &ref, NULL)) return false;
    const g4_json inputs = g4_json_get(ref, "inputs");
    int32_t *ids = json_ids(g4_json_get(g4_json_at(inputs, g4_json_count(inputs) - 1), "tokens"), &n);
    r->n = n < N_MAX ? (uint32_t)n : N_MAX;
    memcpy(r->ids, ids, r->n * sizeof *ids);
    free(ids);
    g4_str_free(&text);
    return r->n > 16;
}

static bool open_run(struct run *r, const char *level, uint32_t threads)
{
    char path[160];

    snprintf(path, sizeof path, "tests/data/text/%s%s%s", r->t->dir, r->t->file ? "/" : "", r->t->file ? r->t->file : "");
    const bool ref = strcmp(level, "ref") == 0, gpu = strncmp(level, "vulkan", 6) == 0;
    const struct vec_params p = { .device = ref || gpu ? level : "cpu", .level = ref || gpu ? NULL : level, .threads = threads, .kv = r->t->kv };
    return ok(vec_open(&r->v, path, p), "%s%s%s on %s, %u threads: opens %s", r->t->dir, r->t->file ? "/" : "", r->t->file ? r->t->file : "",
              level, threads, r->v.err.msg);
}

static void label(const struct run *r, char out[160], const char *fmt, unsigned a, unsigned b)
{
    char what[80];

    snprintf(what, sizeof what, fmt, a, b);
    snprintf(out, 160, "%s on %s, %s", r->t->file ? r->t->file : r->t->dir, r->where, what);
}

static void check_chunks(struct run *r, uint32_t threads)
{
    static const uint32_t chunks[] = { 0, 1, 7, 64 };
    char what[160];
    struct vec_out o;

    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        label(r, what, "chunks of %u, %u threads", chunks[i], threads);
        if (!vec_forward(&r->v, 1, r->ids, r->n, chunks[i], &o)) ok(false, "%s: %s", what, r->v.err.msg);
        else if (!r->want) {
            r->want = o.logits;
            o.logits = NULL;
        } else same_bits(o.logits, r->want, (size_t)r->n * r->v.hp->n_vocab, what);
        vec_out_free(&o);
    }
}

/* The target's rows, `chunk` at a time, among `strangers` rows of as many other sequences (or, as_one, of
 * one): half of them before it in the batch. */
static void check_strangers(struct run *r, uint32_t strangers, uint32_t chunk, bool as_one)
{
    static int32_t other[N_MAX];
    struct vec_part part[VEC_SEQ];
    char what[160];
    const uint32_t n_vocab = r->v.hp->n_vocab, steps = getenv("G4_TEST_FULL") ? r->n : 2 + 96 / (strangers + 1);
    const uint32_t n = r->n < steps * chunk ? r->n : steps * chunk;
    uint32_t at = 0;
    size_t wrong = 0;

    for (uint32_t i = 0; i < N_MAX; i++) other[i] = (int32_t)(i * 131 + strangers * 17 + 5) % 400;
    memset(r->v.have, 0, sizeof r->v.have);
    label(r, what, as_one ? "%u rows of a stranger, chunks of %u" : "%u strangers, chunks of %u", strangers, chunk);
    while (at < n) {
        const uint32_t rows = chunk < n - at ? chunk : n - at, before = strangers / 2;
        uint32_t n_part = 0, row = 0;
        if (as_one) {
            r->v.have[1] = 0; /* the stranger starts again with every step */
            part[n_part++] = (struct vec_part){ 1, other, strangers };
            row = strangers;
        }
        for (uint32_t s = 0; !as_one && s < before; s++) part[n_part++] = (struct vec_part){ 1 + s, other + (at + s) % N_MAX, 1 }, row++;
        part[n_part++] = (struct vec_part){ 0, r->ids + at, rows };
        for (uint32_t s = before; !as_one && s < strangers; s++) part[n_part++] = (struct vec_part){ 1 + s, other + (at + s) % N_MAX, 1 };
        if (!vec_step(&r->v, part, n_part, false)) {
            ok(false, "%s: %s", what, r->v.err.msg);
            return;
        }
        const float *got = vec_read(&r->v, r->v.net.logits, row + rows) + (size_t)row * n_vocab;
        wrong += memcmp(got, r->want + (size_t)at * n_vocab, (size_t)rows * n_vocab * sizeof *got) != 0;
        at += rows;
    }
    ok(!wrong, "%s: the same bits", what);
}

static void check_target(const struct target *t, const char *level)
{
    static const uint32_t strangers[] = { 1, 2, 7, 16, 63 };
    struct run r = { .t = t, .where = level };

    if (!ok(load_ids(&r), "%s: the reference opens", t->dir)) return;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        if (open_run(&r, level, threads)) {
            check_chunks(&r, threads);
            for (size_t i = 0; (threads == 2 || getenv("G4_TEST_FULL")) && i < sizeof strangers / sizeof *strangers; i++) {
                check_strangers(&r, strangers[i], 1, false);
                check_strangers(&r, strangers[i], 7, false);
            }
            check_strangers(&r, 63, 7, true);
        }
        vec_close(&r.v);
    }
    free(r.want);
}

/* On a GPU: generated rows, 1 to 64 of them. */
static void check_gpu(const struct target *t, const char *gpu)
{
    static const uint32_t strangers[] = { 1, 2, 3, 7, 8, 16, 31, 63 };
    const bool full = getenv("G4_TEST_FULL") != NULL;
    struct run r = { .t = t, .where = gpu };

    if (!ok(load_ids(&r), "%s: the reference opens", t->dir)) return;
    if (!full && r.n > 40) r.n = 40;
    if (open_run(&r, gpu, 1)) {
        check_chunks(&r, 1);
        for (size_t i = full ? 0 : 1; i < sizeof strangers / sizeof *strangers; i += full ? 1 : 3) check_strangers(&r, strangers[i], 1, false);
        check_strangers(&r, 63, 7, true);
        check_strangers(&r, 63, 1, true);
    }
    vec_close(&r.v);
    free(r.want);
}

int main(void)
{
    static const char *const levels[] = { "ref", "avx2", "avx512", "neon" };

    for (size_t l = 0; l < sizeof levels / sizeof *levels && !vec_only_gpu(); l++) {
        g4_err err = { 0 };
        setenv("G4_CPU", levels[l], 1);
        g4_device *d = g4_device_open(&(struct g4_device_params){ .which = "cpu", .threads = 1 }, &err);
        for (size_t i = 0; d && i < sizeof targets / sizeof *targets; i++) check_target(&targets[i], levels[l]);
        if (!d) skip(levels[l], err.msg);
        g4_device_close(d);
    }
    const char *gpu = vulkan_here();
    const size_t first = getenv("G4_TEST_FULL") ? 0 : sizeof targets / sizeof *targets - 1; /* the mixture of types alone */
    for (size_t i = first; gpu && i < sizeof targets / sizeof *targets; i++) check_gpu(&targets[i], gpu);
    if (!gpu) skip("vulkan", "no such device here");
    return done_testing();
}
