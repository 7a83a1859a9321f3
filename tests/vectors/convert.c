/* What the converter makes of a folder of safetensors: the GGUF that llama.cpp's
 * converter made of the same folder, key by key and byte by byte where the tree
 * has that; the same logits (or vectors) as the folder itself; and quantised
 * files that stay near it. */
#include "vec.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/quantize.h"
#include "model/convert.h"
#include "weights/gguf_write.h"

static char folder[] = "/tmp/g4-convert-XXXXXX";

static const char *file(const char *name)
{
    static char path[2][160];
    static int i;
    i = !i;
    snprintf(path[i], sizeof path[i], "%s/%s.gguf", folder, name);
    return path[i];
}

static bool convert(const char *name, const char *type, const char *to, struct g4_convert_report *report)
{
    char from[128];
    g4_err err = {0};
    struct stat st;
    snprintf(from, sizeof from, "tests/data/text/%s", name);
    const int e = g4_convert(&(struct g4_convert_params){ .from = from, .to = to, .type = type, .threads = 2 }, report, &err);
    if (!ok(!e, "%s: converts to %s %s", name, type ? type : "its own types", err.msg)) return false;
    return ok(!stat(to, &st) && (uint64_t)st.st_size == report->bytes, "%s: the file has the size that was foretold", name);
}

/* ---- against llama.cpp's converter ------------------------------------------- */

/* Derived from the name of the folder, which says nothing of the model. */
static bool naming(g4_sv key)
{
    return g4_sv_eq(key, "general.finetune") || g4_sv_eq(key, "general.basename");
}

static bool same_kv(const g4_kv *a, const g4_kv *b)
{
    return b && a->type == b->type && a->elem == b->elem && a->n == b->n && a->end - a->data == b->end - b->data &&
           !memcmp(a->data, b->data, (size_t)(a->end - a->data));
}

/* Keys of a that b lacks or has with another value. */
static size_t other_keys(const g4_weights *a, const g4_weights *b)
{
    size_t n = 0;
    for (size_t i = 0; i < g4_weights_kv_count(a); i++) {
        const g4_kv *kv = g4_weights_kv_at(a, i);
        char key[128];
        snprintf(key, sizeof key, "%.*s", (int)kv->key.n, kv->key.p);
        if (naming(kv->key) || same_kv(kv, g4_weights_kv(b, key))) continue;
        printf("# key '%s' is not the same\n", key);
        n++;
    }
    return n;
}

static size_t other_tensors(const g4_weights *a, const g4_weights *b)
{
    size_t n = 0;
    for (size_t i = 0; i < g4_weights_count(a); i++) {
        const g4_tensor *x = g4_weights_at(a, i), *y = g4_weights_find(b, x->name);
        if (y && x->type == y->type && !memcmp(x->ne, y->ne, sizeof x->ne) && x->n_dim == y->n_dim && !memcmp(x->data, y->data, x->bytes)) continue;
        printf("# tensor '%s' is not the same\n", x->name);
        n++;
    }
    return n;
}

static void test_same(const char *name)
{
    char theirs[160];
    g4_err err = {0};
    struct g4_convert_report report;
    const char *path = file(name);
    if (!convert(name, "f32", path, &report)) return;
    snprintf(theirs, sizeof theirs, "%s/%s/%s-f32.gguf", vec_data(), name, name);
    g4_weights *a = g4_weights_open(theirs, 0, &err), *b = g4_weights_open(path, 0, &err);
    if (ok(a && b, "%s: both files open %s", name, err.msg)) {
        ok(!other_keys(a, b) && !other_keys(b, a), "%s: %zu keys as llama.cpp's converter writes them", name, g4_weights_kv_count(b));
        ok(!other_tensors(a, b) && g4_weights_count(a) == g4_weights_count(b), "%s: %zu tensors, byte by byte", name, g4_weights_count(b));
    }
    g4_weights_free(a);
    g4_weights_free(b);
}

/* ---- the same numbers ----------------------------------------------------------- */

/* Final rows, and logits where there are any, of 40 tokens on the reference device. */
static bool run(const char *path, struct vec_out *o, uint32_t *n_vocab, uint32_t *d)
{
    struct vec v;
    int32_t ids[40];
    for (int i = 0; i < 40; i++) ids[i] = i ? 27 + (i * 37) % 370 : 2;
    bool fine = vec_open(&v, path, (struct vec_params){ .device = "ref", .threads = 1, .kv = G4_F32 }) && vec_forward(&v, 0, ids, 40, 0, o);
    if (!ok(fine, "%s runs %s", path, v.err.msg)) return false;
    *n_vocab = v.net.logits >= 0 ? v.hp->n_vocab : 0;
    *d = v.hp->d_model;
    vec_close(&v);
    return true;
}

/* tol: largest difference of final rows and logits; kld: largest divergence, when tol is 0. */
static void test_numbers(const char *name, const char *type, double tol, double kld)
{
    char from[128], what[96];
    struct g4_convert_report report;
    struct vec_out a = {0}, b = {0};
    uint32_t n_vocab, n_other, d;
    const char *path = file(name);
    if (!convert(name, type, path, &report)) return;
    snprintf(from, sizeof from, "tests/data/text/%s", name);
    if (!run(from, &a, &n_vocab, &d) || !run(path, &b, &n_other, &d)) return;
    snprintf(what, sizeof what, "%s as %s: final rows", name, type ? type : "its own types");
    if (tol > 0) {
        near_f32(b.final, a.final, (size_t)40 * d, tol, what);
        if (n_vocab && is_int(n_other, n_vocab, "as many logits")) near_f32(b.logits, a.logits, (size_t)40 * n_vocab, tol, "and logits");
    } else {
        const double got = vec_kld(a.logits, b.logits, 40, n_vocab);
        ok(got <= kld, "%s as %s: divergence from the folder %.4g, at most %.4g", name, type ? type : "its own types", got, kld);
    }
    vec_out_free(&a);
    vec_out_free(&b);
}

/* From a GGUF: a small E2B in Q8_0, whose rows are long enough for every type. */
static void test_mixture(const char *type, double kld)
{
    static const char from[] = "tests/data/text/g4-edge-q/g4-edge-q-Q8_0.gguf";
    const char *path = file(type);
    struct vec_out a = {0}, b = {0};
    struct g4_convert_report report;
    uint32_t n_vocab, d;
    g4_err err = {0};
    const int e = g4_convert(&(struct g4_convert_params){ .from = from, .to = path, .type = type, .requantize = true, .threads = 2 }, &report, &err);
    if (!ok(!e, "to %s: %s", type, e ? err.msg : "converts") || !run(from, &a, &n_vocab, &d) || !run(path, &b, &n_vocab, &d)) return;
    const double got = vec_kld(a.logits, b.logits, 40, n_vocab);
    ok(got <= kld && got > 0, "%s: divergence from its source %.4g, at most %.4g; %llu bytes", type, got, kld, (unsigned long long)report.bytes);
    vec_out_free(&a);
    vec_out_free(&b);
}

int main(void)
{
    static const char *const both[] = { "g4-dense", "g4-edge", "g4-moe", "g4-unified", "gemma2", "gemma3", "gemma3-270m", "embeddinggemma1" };
    if (!mkdtemp(folder)) return 1;
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) test_same(both[i]);
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) test_numbers(both[i], NULL, 1e-6, 0);
    test_numbers("gemma3-scale", NULL, 2e-4, 0); /* its attention scale is folded into the query norms */
    test_numbers("embeddinggemma2", NULL, 1e-6, 0);
    test_numbers("gemma3", "bf16", 1e-6, 0); /* a checkpoint in bf16 loses nothing */
    test_numbers("gemma3", "q8_0", 0, 0.02);
    test_numbers("gemma3", "q4_0", 0, 2);
    static const struct { const char *type; double kld; } mixtures[] = {
        { "q6_k", 0.03 }, { "q5_k_m", 0.07 }, { "q5_k_s", 0.07 }, { "q5_1", 0.07 }, { "q5_0", 0.08 }, { "q4_k_m", 0.2 }, { "q4_k_s", 0.2 }, { "q4_1", 0.25 },
        { "q4_0", 0.3 }, { "iq4_nl", 0.25 }, { "iq4_xs", 0.25 }, { "q3_k_l", 0.5 }, { "q3_k_m", 0.5 }, { "q3_k_s", 0.6 }, { "q2_k", 1.5 },
    };
    for (size_t i = 0; i < sizeof mixtures / sizeof *mixtures; i++) test_mixture(mixtures[i].type, mixtures[i].kld);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) ? 1 : done_testing();
}
