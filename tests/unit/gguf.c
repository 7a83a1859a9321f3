/* GGUF: the worked example of the format, what must be refused with which words,
 * what must be accepted, split files, and metadata of every width. */
#include <stdint.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "weights/weights.h"
#include "../tap.h"

static char dir[64] = "/tmp/g4-gguf-XXXXXX";
static g4_str b;          /* the file being made */
static char note[2000];   /* what the library logged */

static void on_log(void *arg, enum g4_log_level level, const char *msg)
{
    snprintf(note, sizeof note, "%s", msg);
}

static void u8(uint8_t v) { g4_str_add(&b, &v, 1); }
static void u32(uint32_t v) { g4_str_add(&b, &v, 4); }
static void u64(uint64_t v) { g4_str_add(&b, &v, 8); }

static void bytes(const char *p, size_t n)
{
    u64(n);
    g4_str_add(&b, p, n);
}

static void string(const char *z) { bytes(z, strlen(z)); }

static void header(uint64_t n_tensor, uint64_t n_kv)
{
    g4_str_clear(&b);
    g4_str_adds(&b, "GGUF");
    u32(3);
    u64(n_tensor);
    u64(n_kv);
}

static void kv_string(const char *key, const char *value)
{
    string(key);
    u32(8);
    string(value);
}

static void kv_u32(const char *key, uint32_t v)
{
    string(key);
    u32(4);
    u32(v);
}

static void kv_u16(const char *key, uint16_t v)
{
    string(key);
    u32(2);
    g4_str_add(&b, &v, 2);
}

static void tensor(const char *name, uint32_t n_dim, const uint64_t *ne, uint32_t type, uint64_t offset)
{
    string(name);
    u32(n_dim);
    for (uint32_t d = 0; d < n_dim; d++) u64(ne[d]);
    u32(type);
    u64(offset);
}

static void pad(size_t align)
{
    while (b.n % align) u8(0);
}

static void zeros(size_t n)
{
    while (n--) u8(0);
}

static const char *save(const char *name)
{
    static char path[200];
    g4_err err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (g4_file_write_atomic(path, b.p, b.n, &err)) printf("Bail out! %s\n", err.msg);
    return path;
}

static g4_weights *open_it(g4_err *err)
{
    note[0] = 0;
    return g4_weights_open(save("t.gguf"), 0, err);
}

static void refuse(const char *what, const char *part)
{
    g4_err err = {0};
    g4_weights *w = open_it(&err);
    ok(!w && (err.code == G4_EFORMAT || err.code == G4_EUNSUP) && strstr(err.msg, part) && strstr(err.msg, "t.gguf"), "%s: %s", what,
       w ? "opened" : err.msg);
    g4_weights_free(w);
}

static void accept(const char *what, const char *noted)
{
    g4_err err = {0};
    g4_weights *w = open_it(&err);
    ok(w && (noted ? strstr(note, noted) != NULL : !note[0]), "%s is accepted%s%s (%s)", what, note[0] ? ", noted: " : "", note, err.msg);
    g4_weights_free(w);
}

/* One F32 tensor of these dimensions behind an empty metadata, its data present. */
static void one(const char *name, uint32_t n_dim, const uint64_t *ne, uint32_t type, uint64_t offset, size_t data)
{
    header(1, 0);
    tensor(name, n_dim, ne, type, offset);
    pad(32);
    zeros(data);
}

static const uint64_t dim8[5] = { 8, 1, 1, 1, 1 };

static void worked_example(void)
{
    static const uint64_t a[2] = { 32, 2 }, c[1] = { 3 };
    static const float values[3] = { 1, 2, 3 };
    header(2, 2);
    kv_string("general.architecture", "gemma4");
    kv_u32("general.alignment", 32);
    tensor("a.weight", 2, a, 2, 0);
    tensor("b.weight", 1, c, 0, 64);
    pad(32);
    for (int k = 0; k < 2; k++) {
        u8(0);
        u8(0x38);
        for (uint8_t i = 0; i < 16; i++) u8(i);
    }
    pad(32);
    g4_str_add(&b, values, sizeof values);
    pad(32);
}

static void test_example(void)
{
    g4_err err = {0};
    uint8_t sum[32];
    char hex[65];
    g4_sha256 s;
    worked_example();
    g4_sha256_init(&s);
    g4_sha256_add(&s, b.p, b.n);
    g4_sha256_end(&s, sum);
    g4_hex(sum, 32, hex);
    is_str(hex, "4de3814a60859a2109445a84dc008e548055647d4e1a66ba2dc740ee1ca4ee60", "the worked example's bytes");
    g4_weights *w = open_it(&err);
    if (!ok(w != NULL, "opens (%s)", err.msg)) return;
    is_int((long long)g4_weights_count(w), 2, "tensors");
    const g4_tensor *a = g4_weights_find(w, "a.weight"), *c = g4_weights_find(w, "b.weight");
    ok(a && a->type == G4_Q4_0 && a->ne[0] == 32 && a->ne[1] == 2 && a->ne[2] == 1 && a->bytes == 36, "a.weight");
    ok(c && c->type == G4_F32 && c->n_dim == 1 && c->bytes == 12, "b.weight");
    static const float values[3] = { 1, 2, 3 };
    is_mem(c->data, 12, values, 12, "its data");
    ok(!g4_weights_find(w, "c.weight") && !g4_weights_at(w, 2), "no third one");
    g4_sv arch;
    ok(g4_kv_str(g4_weights_kv(w, "general.architecture"), &arch) && g4_sv_eq(arch, "gemma4"), "its architecture");
    ok(g4_weights_is_gguf(w) && g4_weights_bytes(w) == 288, "288 bytes");
    ok(!strncmp(g4_weights_digest(w), "fp:", 3) && strlen(g4_weights_digest(w)) == 19, "digest %s", g4_weights_digest(w));
    g4_weights_free(w);
}

/* Every prefix is refused, except those that lack nothing but the last padding. */
static void test_prefixes(void)
{
    int wrong = 0, silent = 0;
    worked_example();
    g4_str whole = {0};
    g4_str_add(&whole, b.p, b.n);
    for (size_t n = 0; n < whole.n; n++) {
        g4_err err = {0};
        g4_str_clear(&b);
        g4_str_add(&b, whole.p, n);
        g4_weights *w = open_it(&err);
        wrong += (w != NULL) != (n >= 0x10c);
        silent += !w && !strstr(err.msg, "byte");
        g4_weights_free(w);
    }
    is_int(wrong, 0, "prefixes of the example: wrong verdicts");
    is_int(silent, 0, "prefixes refused without naming a byte");
    g4_str_free(&whole);
}

static void test_header(void)
{
    worked_example();
    b.p[0] = 'X';
    refuse("a wrong magic", "wrong magic at byte 0");
    static const struct { uint32_t v; const char *part; } version[] = { { 0, "version 0" }, { 1, "version 1" }, { 4, "version 4" }, { 0x03000000, "big-endian" } };
    for (int i = 0; i < 4; i++) {
        worked_example();
        memcpy(b.p + 4, &version[i].v, 4);
        refuse("a version", version[i].part);
    }
    worked_example();
    b.p[4] = 2;
    accept("version 2", NULL);
    header(UINT64_MAX, 0);
    refuse("tensor count -1", "at byte 8");
    header((uint64_t)1 << 62, 0);
    refuse("tensor count 2^62", "at byte 8");
    header(0, (uint64_t)1 << 62);
    refuse("metadata count 2^62", "at byte 16");
    header(0, 0);
    accept("a file without tensors", NULL);
}

static void test_metadata(void)
{
    header(0, 2);
    kv_u32("a", 1);
    kv_u32("a", 2);
    refuse("a repeated key", "key 'a' is repeated at byte 41");
    header(0, 1);
    kv_u32("", 1);
    refuse("an empty key", "empty key at byte 24");
    header(0, 1);
    bytes("a\0b", 3);
    u32(4);
    u32(1);
    refuse("a NUL in a key", "control character in a key at byte 24");
    header(0, 1);
    kv_string("a", "\xff\xfe");
    accept("a value that is not UTF-8", NULL);
    header(0, 1);
    string("a");
    u32(13);
    zeros(8);
    refuse("value type 13", "unknown value type 13 at byte 33");
    header(0, 1);
    string("a");
    u32(9);
    u32(9);
    u64(0);
    refuse("an array of arrays", "array of arrays, which is not supported, at byte 37");
    header(0, 1);
    string("a");
    u32(9);
    u32(8);
    u64(0);
    accept("an empty array of strings", NULL);
    header(0, 1);
    string("a");
    u32(8);
    u64((uint64_t)1 << 63);
    refuse("a string of 2^63 bytes", "bad string length at byte 37");
    header(0, 1);
    string("a");
    u32(9);
    u32(0);
    u64((uint64_t)1 << 40);
    refuse("an array of 2^40", "array length over 2^30 at byte 41");
    header(0, 1);
    string("a");
    u32(9);
    u32(8);
    u64(1000000);
    zeros(100);
    refuse("an array longer than the file", "past the end of the file at byte 49");
    header(0, 1);
    string("a");
    u32(7);
    u8(2);
    accept("a boolean of 2", "boolean 'a' is 2");
}

static void test_alignment(void)
{
    static const uint32_t bad[] = { 0, 24, 131072, 0x80000000 };
    for (int i = 0; i < 4; i++) {
        header(0, 1);
        kv_u32("general.alignment", bad[i]);
        refuse("an alignment", "general.alignment is ");
    }
    header(0, 1);
    string("general.alignment");
    u32(10);
    u64(32);
    refuse("an alignment of another type", "general.alignment is not a u32, at byte 53");
    header(1, 1);
    kv_u32("general.alignment", 4);
    tensor("t", 1, dim8, 0, 0);
    pad(4);
    zeros(32);
    accept("an alignment of 4", NULL);
}

static void test_tensors(void)
{
    static const uint64_t zero[1] = { 0 }, minus[1] = { UINT64_MAX }, odd[1] = { 33 }, wrap[2] = { (uint64_t)1 << 32, (uint64_t)1 << 32 },
                          huge[2] = { (uint64_t)1 << 40, (uint64_t)1 << 20 };
    char name[65];
    memset(name, 'n', 64);
    name[64] = 0;
    one(name, 1, dim8, 0, 0, 32);
    refuse("a name of 64 bytes", "tensor name length of 64 bytes at byte 24");
    name[63] = 0;
    one(name, 1, dim8, 0, 0, 32);
    accept("a name of 63 bytes", NULL);
    one("", 1, dim8, 0, 0, 32);
    refuse("an empty name", "empty tensor name");
    one("a\n", 1, dim8, 0, 0, 32);
    refuse("a line end in a name", "control character in a tensor name");
    one("t", 0, NULL, 0, 0, 4);
    accept("no dimensions: one element", NULL);
    one("t", 5, dim8, 0, 0, 32);
    refuse("5 dimensions", "more than 4 dimensions at byte 33");
    one("t", 1, zero, 0, 0, 32);
    refuse("a dimension of 0", "a dimension of 0 or over 2^48 at byte 37");
    one("t", 1, minus, 0, 0, 32);
    refuse("a negative dimension", "a dimension of 0 or over 2^48 at byte 37");
    one("t", 1, dim8, 43, 0, 32);
    refuse("type 43", "unknown type 43 at byte 45");
    one("t", 1, dim8, 4, 0, 32);
    refuse("the removed type 4", "unknown type 4 at byte 45");
    one("t", 1, odd, 2, 0, 64);
    refuse("a row of 33 in Q4_0", "multiple of the type's block at byte 37");
    one("t", 2, wrap, 0, 0, 32);
    refuse("dimensions whose product wraps to 0", "too many elements at byte 37");
    one("t", 2, huge, 0, 0, 32);
    refuse("dimensions of 2^60 elements", "ends outside the file");
    one("t", 1, dim8, 0, 16, 64);
    refuse("an offset that is not aligned", "offset is not aligned at byte 49");
    one("t", 1, dim8, 0, (uint64_t)1 << 63, 64);
    refuse("an offset of 2^63", "ends outside the file");
    one("t", 1, dim8, 0, UINT64_MAX - 31, 64);
    refuse("an offset that wraps", "ends outside the file");
    one("t", 1, dim8, 0, 0, 31);
    refuse("data shorter than the tensor", "ends outside the file");
    one("t", 1, dim8, 0, 0, 32);
    zeros(64);
    accept("bytes behind the data", "bytes behind the last tensor");
}

static void two(uint64_t first, uint64_t second, size_t data, const char *name)
{
    header(2, 0);
    tensor("a", 1, dim8, 0, first);
    tensor(name, 1, dim8, 0, second);
    pad(32);
    zeros(data);
}

static void test_layout(void)
{
    two(0, 32, 64, "a");
    refuse("a repeated name", "tensor 'a': the name is repeated at byte 57");
    two(0, 64, 96, "b");
    accept("a gap", "out of order or with gaps");
    two(32, 0, 64, "b");
    accept("swapped offsets", "out of order or with gaps");
    two(0, 0, 64, "b");
    refuse("overlapping tensors", "tensors 'a' and 'b' overlap");
    two(0, 32, 60, "b");
    refuse("half of the last tensor", "tensor 'b' ends outside");
    two(0, 32, 64, "b");
    accept("two tensors", NULL);
}

static void test_widths(void)
{
    g4_err err = {0};
    header(0, 8);
    string("u8"); u32(0); u8(200);
    string("i8"); u32(1); u8(0xff);
    string("u64"); u32(10); u64(UINT64_MAX);
    string("i64"); u32(11); u64((uint64_t)-5);
    string("f32"); u32(6); u32(0x3fc00000);
    string("f64"); u32(12); u64(0x3ff8000000000000);
    string("list"); u32(9); u32(5); u64(3); u32(7); u32((uint32_t)-8); u32(9);
    string("words"); u32(9); u32(8); u64(3); string("one"); string(""); string("three");
    g4_weights *w = open_it(&err);
    if (!ok(w != NULL, "metadata of every width (%s)", err.msg)) return;
    uint64_t u;
    int64_t i;
    double d;
    g4_sv s;
    ok(g4_kv_u64(g4_weights_kv(w, "u8"), 0, &u) && u == 200, "a u8");
    ok(g4_kv_i64(g4_weights_kv(w, "i8"), 0, &i) && i == -1 && !g4_kv_u64(g4_weights_kv(w, "i8"), 0, &u), "an i8 of -1 is no u64");
    ok(g4_kv_u64(g4_weights_kv(w, "u64"), 0, &u) && u == UINT64_MAX, "a u64 that no i64 holds");
    ok(!g4_kv_i64(g4_weights_kv(w, "u64"), 0, &i), "and is no i64");
    ok(g4_kv_i64(g4_weights_kv(w, "i64"), 0, &i) && i == -5, "an i64");
    ok(g4_kv_f64(g4_weights_kv(w, "f32"), 0, &d) && d == 1.5, "a float");
    ok(g4_kv_f64(g4_weights_kv(w, "f64"), 0, &d) && d == 1.5, "a double");
    ok(g4_kv_f64(g4_weights_kv(w, "u8"), 0, &d) && d == 200, "an integer as a number");
    ok(!g4_kv_u64(g4_weights_kv(w, "f32"), 0, &u) && !g4_kv_str(g4_weights_kv(w, "f32"), &s), "a float is no integer and no string");
    const g4_kv *list = g4_weights_kv(w, "list");
    ok(list->n == 3 && g4_kv_i64(list, 1, &i) && i == -8 && !g4_kv_i64(list, 3, &i), "an array, by element");
    const g4_kv *words = g4_weights_kv(w, "words");
    const uint8_t *at = NULL;
    ok(g4_kv_next_str(words, &at, &s) && g4_sv_eq(s, "one") && g4_kv_next_str(words, &at, &s) && s.n == 0 &&
           g4_kv_next_str(words, &at, &s) && g4_sv_eq(s, "three"), "strings in order");
    ok(!g4_kv_next_str(words, &at, &s), "and none behind the last");
    ok(!g4_kv_str(words, &s) && !g4_kv_u64(words, 0, &u), "an array is no scalar string");
    is_int((long long)g4_weights_kv_count(w), 8, "entries");
    ok(!g4_weights_kv(w, "none") && !g4_kv_u64(NULL, 0, &u), "an absent key");
    g4_weights_free(w);
}

static const char *shard(uint16_t no, uint16_t count, uint32_t total, const char *name, const char *file)
{
    header(name ? 1 : 0, no ? 3 : 4);
    if (!no) kv_string("general.architecture", "gemma4");
    kv_u16("split.no", no);
    kv_u16("split.count", count);
    kv_u32("split.tensors.count", total);
    if (name) tensor(name, 1, dim8, 0, 0);
    if (name) pad(32);
    if (name) zeros(32);
    return save(file);
}

static void split(const char *what, const char *path, const char *part)
{
    g4_err err = {0};
    g4_weights *w = g4_weights_open(path, 0, &err);
    if (part)
        ok(!w && strstr(err.msg, part), "%s: %s", what, w ? "opened" : err.msg);
    else
        ok(w && g4_weights_count(w) == 2 && g4_weights_find(w, "y") && g4_weights_kv(w, "general.architecture"), "%s (%s)", what, err.msg);
    g4_weights_free(w);
}

static void test_split(void)
{
    char second[200], first[200];
    shard(0, 3, 2, NULL, "s-00001-of-00003.gguf");
    shard(1, 3, 2, "x", "s-00002-of-00003.gguf");
    snprintf(second, sizeof second, "%s", shard(2, 3, 2, "y", "s-00003-of-00003.gguf"));
    snprintf(first, sizeof first, "%s/s-00001-of-00003.gguf", dir);
    split("three shards, opened by the first", first, NULL);
    split("opened by the third", second, NULL);
    split("opened by the folder", dir, NULL);
    shard(2, 3, 2, "x", "s-00003-of-00003.gguf");
    split("one name in two shards", first, "'x' stands in another shard too");
    shard(1, 3, 2, "y", "s-00003-of-00003.gguf");
    split("a shard in the wrong place", first, "split.no");
    shard(2, 4, 2, "y", "s-00003-of-00003.gguf");
    split("a shard of another set", first, "split.no or split.count");
    shard(2, 3, 2, NULL, "s-00003-of-00003.gguf");
    split("a tensor too few", first, "hold 1 tensors, split.tensors.count says 2");
    unlink(second);
    split("a missing shard", first, "s-00003-of-00003.gguf");
    split("one of a set under a plain name", shard(0, 2, 2, "x", "plain.gguf"), "its name does not end in");
    split("too many shards", shard(0, 60000, 2, "x", "p-00001-of-60000.gguf"), "at most 9999");
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    g4_log_set(on_log, NULL, G4_LOG_DEBUG);
    test_split();
    test_example();
    test_prefixes();
    test_header();
    test_metadata();
    test_alignment();
    test_tensors();
    test_layout();
    test_widths();
    g4_str_free(&b);
    char cmd[100];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd) ? 1 : done_testing();
}
