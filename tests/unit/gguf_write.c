/* The GGUF writer: the worked example of the format byte for byte, what it
 * refuses, and that nothing half done is seen.  Importance matrices in both
 * forms, and what is wrong with others. */
#include "../tap.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "weights/gguf_write.h"
#include "weights/imatrix.h"

static char folder[] = "/tmp/g4-gguf-write-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][160];
    static int i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", folder, name);
    return path[i];
}

static size_t entries(void)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static const char *sha_file(const char *path)
{
    static char hex[65];
    g4_err err = {0};
    g4_str s = {0};
    uint8_t out[32];
    g4_sha256 h;
    if (g4_file_read(path, 1 << 20, &s, &err)) return "unreadable";
    g4_sha256_init(&h);
    g4_sha256_add(&h, s.p, s.n);
    g4_sha256_end(&h, out);
    g4_hex(out, 32, hex);
    g4_str_free(&s);
    return hex;
}

/* Two tensors: Q4_0 [32, 2] and F32 [3]; 288 bytes. */
static void test_example(void)
{
    g4_err err = {0};
    uint8_t blocks[36];
    const float values[3] = { 1, 2, 3 };
    const char *path = in_folder("example.gguf");
    for (int r = 0; r < 2; r++) {
        blocks[18 * r] = 0;
        blocks[18 * r + 1] = 0x38;
        for (int j = 0; j < 16; j++) blocks[18 * r + 2 + j] = (uint8_t)j;
    }
    g4_gguf *g = g4_gguf_new();
    g4_gguf_strz(g, "general.architecture", "gemma3");
    g4_gguf_u32(g, "general.alignment", 32);
    g4_gguf_strz(g, "general.architecture", "gemma4"); /* in place */
    ok(!g4_gguf_tensor(g, "a.weight", G4_Q4_0, 2, (uint64_t[4]){ 32, 2 }, &err) && !g4_gguf_tensor(g, "b.weight", G4_F32, 1, (uint64_t[4]){ 3 }, &err),
       "tensors are named %s", err.msg);
    is_int((long long)g4_gguf_bytes(g), 288, "the size is foretold");
    ok(!g4_gguf_begin(g, path, &err), "the file begins %s", err.msg);
    ok(!g4_file_exists(path), "and has no name yet");
    ok(!g4_gguf_put(g, 1, 0, values, sizeof values, &err) && !g4_gguf_put(g, 0, 18, blocks + 18, 18, &err) && !g4_gguf_put(g, 0, 0, blocks, 18, &err),
       "bytes go to their places in any order %s", err.msg);
    ok(!g4_gguf_end(g, &err), "it ends %s", err.msg);
    g4_gguf_free(g);
    is_str(sha_file(path), "4de3814a60859a2109445a84dc008e548055647d4e1a66ba2dc740ee1ca4ee60", "the worked example, byte for byte");
    is_int((long long)entries(), 1, "nothing else is left");
}

/* All kinds of values come back. */
static void test_values(void)
{
    g4_err err = {0};
    const g4_sv words[2] = { G4_SV("one"), { "t\0o", 3 } };
    const int32_t numbers[3] = { -1, 0, 7 };
    const char *path = in_folder("values.gguf");
    g4_gguf *g = g4_gguf_new();
    g4_gguf_i32(g, "i", -5);
    g4_gguf_f32(g, "f", 0.25f);
    g4_gguf_bool(g, "b", true);
    g4_gguf_array(g, "numbers", 5, numbers, 3);
    g4_gguf_strings(g, "words", words, 2);
    g4_gguf_string_bytes(g, "more", "\2\0\0\0\0\0\0\0ab\0\0\0\0\0\0\0\0", 18, 2);
    ok(!g4_gguf_begin(g, path, &err) && !g4_gguf_end(g, &err), "a file without tensors %s", err.msg);
    g4_gguf_free(g);
    g4_weights *w = g4_weights_open(path, 0, &err);
    if (!ok(w != NULL, "opens %s", err.msg)) return;
    int64_t i;
    double f;
    bool b;
    g4_sv s, first;
    const uint8_t *at = NULL, *more = NULL;
    ok(g4_kv_i64(g4_weights_kv(w, "i"), 0, &i) && i == -5 && g4_kv_f64(g4_weights_kv(w, "f"), 0, &f) && f == 0.25 &&
       g4_kv_bool(g4_weights_kv(w, "b"), 0, &b) && b && g4_kv_i64(g4_weights_kv(w, "numbers"), 2, &i) && i == 7, "numbers come back");
    ok(g4_kv_next_str(g4_weights_kv(w, "words"), &at, &first) && g4_kv_next_str(g4_weights_kv(w, "words"), &at, &s) && s.n == 3 && !memcmp(s.p, "t\0o", 3) &&
       g4_kv_next_str(g4_weights_kv(w, "more"), &more, &s) && g4_sv_eq(s, "ab"), "strings come back");
    g4_gguf *copy = g4_gguf_new();
    for (size_t k = 0; k < g4_weights_kv_count(w); k++) g4_gguf_kv(copy, g4_weights_kv_at(w, k));
    ok(!g4_gguf_begin(copy, in_folder("copy.gguf"), &err) && !g4_gguf_end(copy, &err), "copied %s", err.msg);
    g4_gguf_free(copy);
    char sha[65];
    snprintf(sha, sizeof sha, "%s", sha_file(path));
    is_str(sha_file(in_folder("copy.gguf")), sha, "a copy of the metadata is the same file");
    g4_weights_free(w);
}

static void refuse(const char *name, g4_dtype type, uint32_t n_dim, uint64_t a, uint64_t b, const char *say)
{
    g4_err err = {0};
    g4_gguf *g = g4_gguf_new();
    g4_gguf_tensor(g, "there", G4_F32, 1, (uint64_t[4]){ 1 }, NULL);
    const int e = g4_gguf_tensor(g, name, type, n_dim, (uint64_t[4]){ a, b, 1, 1 }, &err);
    ok(e == G4_EUNSUP && strstr(err.msg, say), "refused: %s", e ? err.msg : "nothing");
    g4_gguf_free(g);
}

static void test_refused(void)
{
    g4_err err = {0};
    refuse("there", G4_F32, 1, 1, 1, "twice");
    refuse("", G4_F32, 1, 1, 1, "1 to 63 bytes");
    refuse("a23456789012345678901234567890123456789012345678901234567890abcd", G4_F32, 1, 1, 1, "1 to 63 bytes");
    refuse("half a block", G4_Q4_0, 2, 48, 1, "type Q4_0");
    refuse("nothing", G4_F32, 2, 0, 1, "shape");
    refuse("too much", G4_F32, 2, (uint64_t)1 << 40, (uint64_t)1 << 40, "shape");
    const size_t before = entries();
    g4_gguf *g = g4_gguf_new();
    g4_gguf_tensor(g, "t", G4_F32, 1, (uint64_t[4]){ 100 }, NULL);
    ok(!g4_gguf_begin(g, in_folder("dropped.gguf"), &err), "a file begins %s", err.msg);
    g4_gguf_free(g);
    is_int((long long)entries(), (long long)before, "dropped before its end it leaves nothing");
    g = g4_gguf_new();
    ok(g4_gguf_begin(g, in_folder("no/such/folder.gguf"), &err) == G4_EIO, "a folder that is not there: %s", err.msg);
    g4_gguf_free(g);
}

/* ---- importance -------------------------------------------------------------------- */

static g4_str dat;

static void i32(int32_t v) { g4_str_add(&dat, &v, 4); }
static void f32(float v) { g4_str_add(&dat, &v, 4); }
static void text(const char *z)
{
    i32((int32_t)strlen(z));
    g4_str_adds(&dat, z);
}

static g4_imatrix *open_dat(g4_err *err)
{
    const char *path = in_folder("m.dat");
    g4_file_write_atomic(path, dat.p, dat.n, NULL);
    return g4_imatrix_open(path, err);
}

static void make_dat(float last)
{
    g4_str_clear(&dat);
    i32(2);
    text("a.weight"), i32(2), i32(3), f32(2), f32(4), f32(6);
    text("b.weight"), i32(0), i32(1), f32(last);
    i32(11), text("wiki");
}

static void check_matrix(g4_imatrix *m, g4_err *err, const char *what)
{
    size_t n = 0, k = 0;
    const float *a = m ? g4_imatrix_find(m, "a.weight", &n) : NULL;
    if (!ok(a && n == 3 && a[0] == 1 && a[1] == 2 && a[2] == 3, "%s: means of the columns %s", what, err->msg)) return;
    ok(g4_imatrix_count(m) == 2 && g4_imatrix_find(m, "b.weight", &k) && k == 1 && !g4_imatrix_find(m, "c.weight", &k), "%s: its tensors", what);
    ok(g4_imatrix_chunks(m) == 11 && g4_sv_eq(g4_imatrix_dataset(m), "wiki"), "%s: where it is from", what);
}

static void test_imatrix_gguf(void)
{
    g4_err err = {0};
    const g4_sv set = G4_SV("wiki");
    const float sums[3] = { 2, 4, 6 }, two = 2, none = 0, one = 5;
    const char *path = in_folder("m.gguf");
    g4_gguf *g = g4_gguf_new();
    g4_gguf_strz(g, "general.type", "imatrix");
    g4_gguf_strings(g, "imatrix.datasets", &set, 1);
    g4_gguf_u32(g, "imatrix.chunk_count", 11);
    g4_gguf_tensor(g, "a.weight.in_sum2", G4_F32, 2, (uint64_t[4]){ 3, 1 }, &err);
    g4_gguf_tensor(g, "a.weight.counts", G4_F32, 2, (uint64_t[4]){ 1, 1 }, &err);
    g4_gguf_tensor(g, "b.weight.in_sum2", G4_F32, 2, (uint64_t[4]){ 1, 1 }, &err);
    g4_gguf_tensor(g, "b.weight.counts", G4_F32, 2, (uint64_t[4]){ 1, 1 }, &err);
    g4_gguf_begin(g, path, &err);
    g4_gguf_put(g, 0, 0, sums, 12, &err);
    g4_gguf_put(g, 1, 0, &two, 4, &err);
    g4_gguf_put(g, 2, 0, &one, 4, &err);
    g4_gguf_put(g, 3, 0, &none, 4, &err);
    g4_gguf_end(g, &err);
    g4_gguf_free(g);
    g4_imatrix *m = g4_imatrix_open(path, &err);
    size_t n;
    check_matrix(m, &err, "GGUF");
    ok(m && *g4_imatrix_find(m, "b.weight", &n) == 1, "GGUF: what was never reached counts evenly");
    g4_imatrix_free(m);
    ok(!g4_imatrix_open(in_folder("example.gguf"), &err) && strstr(err.msg, "no importance matrix"), "a GGUF of another kind: %s", err.msg);
}

static void test_imatrix(void)
{
    g4_err err = {0};
    size_t n;
    make_dat(0x1p40f);
    g4_imatrix *m = open_dat(&err);
    check_matrix(m, &err, ".dat");
    ok(m && *g4_imatrix_find(m, "b.weight", &n) == 0x1p29f, ".dat: large ones are brought into range");
    g4_imatrix_free(m);
    int opened = 0;
    const size_t whole = dat.n, required = dat.n - 12; /* what stands behind the entries may be missing */
    for (size_t cut = 0; cut < required; cut++) {
        dat.n = cut;
        m = open_dat(NULL);
        opened += m != NULL;
        g4_imatrix_free(m);
    }
    is_int(opened, 0, ".dat: cut short anywhere it is refused");
    dat.n = whole;
    make_dat(NAN);
    err = (g4_err){0};
    ok(!open_dat(&err) && strstr(err.msg, "no importance"), ".dat: %s", err.msg);
    make_dat(-1);
    ok(!open_dat(NULL), ".dat: a negative one is refused");
    test_imatrix_gguf();
}

int main(void)
{
    if (!mkdtemp(folder)) return 1;
    test_example();
    test_values();
    test_refused();
    test_imatrix();
    char command[80];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) ? 1 : done_testing();
}
