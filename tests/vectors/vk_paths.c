/* The tiny models on Vulkan with each optional feature switched off, and each path that is
 * off by default switched on: logits against the reference device, generated rows with the
 * same bits in one piece and in chunks, prompt rows within the tolerance.  A few of them by
 * default, all with G4_TEST_FULL=1. */
#include "vec.h"

#include "base/str.h"

enum { N_MAX = 48 };

static const struct path {
    const char *disable, *enable;
    double tol;               /* of the largest logit */
    bool always;              /* not only in the full run */
} paths[] = {
    { "", "", 2e-4, true },
    { "sgsize", "", 2e-4, false },
    { "f16", "", 2e-4, false },
    { "int8", "", 2e-4, false },
    { "int16", "", 2e-4, false },
    { "storage8", "", 2e-4, false },
    { "storage16", "", 2e-4, false },
    { "int8dot", "", 2e-4, false },
    { "coopmat", "", 2e-4, false },
    { "fuse_gated", "", 2e-4, false },
    { "fuse_qkv", "", 2e-4, false },
    { "sgsize,f16,int8,int16,storage8,storage16,int8dot,coopmat,fuse_gated,fuse_qkv", "", 2e-4, true },
    { "", "subgroup", 2e-4, false },
    { "", "sixteen", 2e-4, false },
    { "sgsize", "subgroup", 2e-4, false },
    { "", "fuse_resid", 2e-4, false },
    { "", "fuse_merge", 2e-4, false },
    { "", "int8dot", 0.1, false },
    { "", "all", 0.1, true },
};

static const struct target {
    const char *dir, *file;   /* file NULL: the folder of safetensors, and an f32 cache */
    bool always;
} targets[] = {
    { "g4-edge-q", "g4-edge-q-Q4_K_M.gguf", true }, { "g4-moe", NULL, true },     { "gemma2", NULL, false },
    { "g4-edge-q", "g4-edge-q-Q8_0.gguf", false },  { "g4-edge", NULL, false },   { "gemma3", NULL, false },
    { "g4-edge-q", "g4-edge-q-Q4_0.gguf", false },  { "g4-unified", NULL, false }, { "gemma3-270m", NULL, false },
};

struct input {
    int32_t ids[N_MAX];
    uint32_t n;
};

static bool load_ids(const struct target *t, struct input *in)
{
    char path[128];
    g4_str text = { 0 };
    g4_json ref;
    size_t n;

    snprintf(path, sizeof path, "tests/data/text/%s/reference.json", t->dir);
    if (g4_file_read(path, 1 << 20, &text, NULL) || g4_json_check(text.p, text.n, &ref, NULL)) return false;
    const g4_json inputs = g4_json_get(ref, "inputs");
    int32_t *ids = json_ids(g4_json_get(g4_json_at(inputs, g4_json_count(inputs) - 1), "tokens"), &n);
    in->n = n < N_MAX ? (uint32_t)n : N_MAX;
    memcpy(in->ids, ids, in->n * sizeof *ids);
    free(ids);
    g4_str_free(&text);
    return in->n > 16;
}

static bool open_on(struct vec *v, const char *device, const struct target *t)
{
    char path[160];

    snprintf(path, sizeof path, "tests/data/text/%s%s%s", t->dir, t->file ? "/" : "", t->file ? t->file : "");
    if (vec_open(v, path, (struct vec_params){ .device = device, .threads = 1, .kv = t->file ? G4_F16 : G4_F32 })) return true;
    printf("# %s on %s: %s\n", path, device, v->err.msg);
    vec_close(v);
    return false;
}

/* Logits [n, V] of the input in chunks (0: one piece); NULL with a message. */
static float *logits(struct vec *v, const struct input *in, uint32_t chunk, bool prompt)
{
    struct vec_out o;

    v->prompt = prompt;
    if (!vec_forward(v, 1, in->ids, in->n, chunk, &o)) printf("# %s\n", v->err.msg);
    float *y = o.logits;
    o.logits = NULL;
    vec_out_free(&o);
    return y;
}

static double difference(const float *a, const float *b, size_t n)
{
    double most = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        size = fmax(size, fabs(b[i]));
        if (!(fabs((double)a[i] - b[i]) <= most)) most = fabs((double)a[i] - b[i]);
    }
    return most / size;
}

static void check_path(const struct path *p, const struct target *t, const struct input *in, const char *gpu, const float *want)
{
    const char *name = t->file ? t->file : t->dir;
    float *whole = NULL, *chunks = NULL, *prompt = NULL;
    size_t n = 0;
    struct vec v;

    setenv("G4_VK_DISABLE", p->disable, 1);
    setenv("G4_VK_ENABLE", p->enable, 1);
    if (open_on(&v, gpu, t)) {
        n = (size_t)in->n * v.hp->n_vocab;
        whole = logits(&v, in, 0, false);
        chunks = logits(&v, in, 5, false);
        prompt = logits(&v, in, 0, true);
        vec_close(&v);
    }
    unsetenv("G4_VK_DISABLE");
    unsetenv("G4_VK_ENABLE");
    const double gen = whole ? difference(whole, want, n) : NAN, pre = prompt ? difference(prompt, want, n) : NAN;
    ok(gen <= p->tol && pre <= p->tol, "%s without '%s', with '%s': %.2g of the largest logit, %.2g as a prompt", name, p->disable, p->enable, gen, pre);
    ok(whole && chunks && !memcmp(whole, chunks, n * sizeof *whole), "%s without '%s', with '%s': same bits in chunks", name, p->disable, p->enable);
    free(whole);
    free(chunks);
    free(prompt);
}

int main(void)
{
    const char *gpu = vulkan_here();
    const bool full = getenv("G4_TEST_FULL") != NULL;
    struct input in;
    struct vec v;

    if (!gpu) {
        skip("vulkan", "no such device here");
        return done_testing();
    }
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        if (!targets[i].always && !full) continue;
        float *want = NULL;
        if (load_ids(&targets[i], &in) && open_on(&v, "ref", &targets[i])) {
            want = logits(&v, &in, 0, false);
            vec_close(&v);
        }
        if (!ok(want != NULL, "%s: the reference", targets[i].dir)) continue;
        for (size_t k = 0; k < sizeof paths / sizeof *paths; k++)
            if (paths[k].always || full) check_path(&paths[k], &targets[i], &in, gpu, want);
        free(want);
    }
    return done_testing();
}
