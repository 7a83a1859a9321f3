/* safetensors: headers that must be refused, with which words, and those that must
 * not; folders with one file, with an index, with side files. */
#include <unistd.h>

#include "base/file.h"
#include "weights/weights.h"
#include "../tap.h"

static char dir[64] = "/tmp/g4-st-XXXXXX";

static void put(const char *name, const void *p, size_t n)
{
    g4_err err = {0};
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    if (g4_mkdirs(path, 0755, &err)) printf("Bail out! %s\n", err.msg);
    *slash = '/';
    if (g4_file_write_atomic(path, p, n, &err)) printf("Bail out! %s\n", err.msg);
}

static void put_st(const char *name, const char *header, size_t data)
{
    g4_str s = {0};
    const uint64_t n = strlen(header);
    g4_str_add(&s, &n, 8);
    g4_str_adds(&s, header);
    for (size_t i = 0; i < data; i++) g4_str_addc(&s, (char)i);
    put(name, s.p, s.n);
    g4_str_free(&s);
}

static g4_weights *open_dir(unsigned flags, g4_err *err)
{
    return g4_weights_open(dir, flags, err);
}

static void refused(const char *part)
{
    g4_err err = {0};
    g4_weights *w = open_dir(0, &err);
    ok(!w && err.code == G4_EFORMAT && strstr(err.msg, part) && strstr(err.msg, dir), "refused: %s", w ? "opened" : err.msg);
    g4_weights_free(w);
}

static void refuse(const char *header, size_t data, const char *part)
{
    put_st("model.safetensors", header, data);
    refused(part);
}

static void accept(const char *header, size_t data, size_t count)
{
    g4_err err = {0};
    put_st("model.safetensors", header, data);
    g4_weights *w = open_dir(0, &err);
    ok(w && g4_weights_count(w) == count, "%s is accepted (%s)", header, err.msg);
    g4_weights_free(w);
}

#define T(name, dtype, shape, offsets) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_frame(void)
{
    put("model.safetensors", "1234567", 7);
    refused("shorter than a safetensors header");
    put("model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    refused("at byte 0");
    put("model.safetensors", "\x03\0\0\0\0\0\0\0{}", 10);
    refused("header length 3 at byte 0");
    put("model.safetensors", "\0\0\0\0\0\0\0\0", 8);
    refused("at byte 8");
    refuse(" {}", 0, "at byte 8 is no JSON object");
    refuse("[]", 0, "no JSON object");
    refuse("{\"a\":", 0, "not JSON");
    refuse("{}{}", 0, "something follows");
    refuse("{" T("a", "F32", "[1]", "[0,4]") "," T("\\u0061", "F32", "[1]", "[4,8]") "}", 8, "repeated member name");
    accept("{}", 0, 0);
    accept("{}        ", 0, 0);
    accept("{\"__metadata__\":{\"format\":\"pt\"}," T("a", "F32", "[1]", "[0,4]") "}", 4, 1);
    refuse("{\"__metadata__\":{\"format\":1}}", 0, "not a map of strings, at byte 9");
}

static void test_entries(void)
{
    refuse("{\"a\":1}", 0, "no object, at byte 9");
    refuse("{\"a\":{}}", 0, "unknown dtype");
    refuse("{" T("a", "F99", "[1]", "[0,4]") "}", 4, "tensor 'a': an unknown dtype, at byte 9");
    refuse("{" T("", "F32", "[1]", "[0,4]") "}", 4, "a bad name");
    refuse("{" T("a\\u0000b", "F32", "[1]", "[0,4]") "}", 4, "a bad name");
    refuse("{" T("a\\n", "F32", "[1]", "[0,4]") "}", 4, "control character");
    refuse("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no shape");
    refuse("{" T("a", "F32", "[-1]", "[0,4]") "}", 4, "a bad dimension");
    refuse("{" T("a", "F32", "[1.0]", "[0,4]") "}", 4, "a bad dimension");
    refuse("{" T("a", "F32", "[1e0]", "[0,4]") "}", 4, "a bad dimension");
    refuse("{" T("a", "F32", "[9007199254740992]", "[0,4]") "}", 4, "a bad dimension");
    refuse("{" T("a", "F32", "[\"1\"]", "[0,4]") "}", 4, "a bad dimension");
    refuse("{" T("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "too many elements");
    refuse("{" T("a", "F32", "[4503599627370496,1024]", "[0,4]") "}", 4, "no number of bytes");
    refuse("{" T("a", "F4", "[3]", "[0,2]") "}", 2, "no number of bytes");
    refuse("{" T("a", "F32", "[1]", "[0]") "}", 4, "bad data_offsets");
    refuse("{" T("a", "F32", "[1]", "[0,4,8]") "}", 4, "bad data_offsets");
    refuse("{" T("a", "F32", "[1]", "[0,4.0]") "}", 4, "bad data_offsets");
    refuse("{" T("a", "F32", "[1]", "[4,0]") "}", 4, "outside the file");
    refuse("{" T("a", "F32", "[1]", "[0,8]") "}", 4, "outside the file");
    refuse("{" T("a", "F32", "[2]", "[0,4]") "}", 4, "do not fit the shape");
    refuse("{" T("a", "F32", "[1]", "[4,8]") "}", 8, "leave a hole");
    refuse("{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[8,12]") "}", 12, "tensor 'b': its bytes overlap another's or leave a hole");
    refuse("{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[1]", "[4,8]") "}", 8, "overlap");
    refuse("{" T("a", "F32", "[1]", "[0,4]") "}", 9, "5 bytes at the end belong to no tensor");
    accept("{" T("b", "F32", "[1]", "[4,8]") "," T("a", "F32", "[]", "[0,4]") "}", 8, 2);
    accept("{" T("a", "F32", "[0,5]", "[0,0]") "," T("b", "BF16", "[2]", "[0,4]") "}", 4, 2);
}

static void test_views(void)
{
    g4_err err = {0};
    put_st("model.safetensors", "{" T("w", "BF16", "[2,3]", "[0,12]") "," T("packed", "F4", "[2,4]", "[12,16]") "," T("s", "F32", "[]", "[16,20]") "}", 20);
    put("config.json", "{\"a\": 1}", 8);
    put("bad.json", "{\"a\": }", 7);
    put_st("2_Dense/model.safetensors", "{" T("linear.weight", "F32", "[1,2]", "[0,8]") "}", 8);
    g4_weights *w = open_dir(0, &err);
    if (!ok(w != NULL, "a folder opens (%s)", err.msg)) return;
    const g4_tensor *t = g4_weights_find(w, "w"), *p = g4_weights_find(w, "packed"), *s = g4_weights_find(w, "s");
    ok(t && t->type == G4_BF16 && t->n_dim == 2 && t->ne[0] == 3 && t->ne[1] == 2 && t->bytes == 12, "a shape is turned round");
    ok(p && p->type == G4_I8 && p->ne[0] == 4 && p->ne[1] == 1 && p->bytes == 4, "a packed type is bytes");
    ok(s && s->n_dim == 0 && s->ne[0] == 1 && s->bytes == 4, "a scalar");
    ok(!g4_weights_is_gguf(w) && !g4_weights_kv(w, "general.name"), "no GGUF");
    ok(g4_json_get(g4_weights_json(w, "config.json", &err), "a").p && !err.code, "a side file as JSON");
    ok(!g4_weights_json(w, "none.json", &err).p && !err.code, "an absent one is no error");
    ok(!g4_weights_json(w, "bad.json", &err).p && strstr(err.msg, "bad.json': not JSON"), "an ill-formed one: %s", err.msg);
    ok(g4_weights_file(w, "config.json").n == 8 && !g4_weights_file(w, "none").p, "side files as bytes");
    err = (g4_err){0};
    t = g4_weights_side_tensor(w, "2_Dense/model.safetensors", "linear.weight", &err);
    ok(t && t->ne[0] == 2 && !g4_weights_side_tensor(w, "2_Dense/model.safetensors", "none", &err), "a tensor of another file");
    ok(!g4_weights_side_tensor(w, "3_Dense/model.safetensors", "linear.weight", &err) && !err.code, "an absent file is no error");
    g4_weights_free(w);
}

static void index_is(const char *map)
{
    char text[400];
    snprintf(text, sizeof text, "{\"metadata\":{\"total_size\":8},\"weight_map\":%s}", map);
    put("model.safetensors.index.json", text, strlen(text));
}

static void test_index(void)
{
    g4_err err = {0};
    put_st("m-00001-of-00002.safetensors", "{" T("a", "F32", "[1]", "[0,4]") "}", 4);
    put_st("m-00002-of-00002.safetensors", "{" T("b", "F32", "[1]", "[0,4]") "}", 4);
    index_is("{\"a\":\"m-00001-of-00002.safetensors\",\"b\":\"m-00002-of-00002.safetensors\"}");
    g4_weights *w = open_dir(0, &err);
    ok(w && g4_weights_count(w) == 2 && g4_weights_find(w, "a") && g4_weights_find(w, "b"), "two shards by their index (%s)", err.msg);
    g4_weights_free(w);
    index_is("{\"a\":\"m-00001-of-00002.safetensors\",\"c\":\"m-00002-of-00002.safetensors\"}");
    refused("tensor 'c' of the index stands in no shard");
    index_is("{\"a\":\"../m-00001-of-00002.safetensors\"}");
    refused("no bare file name");
    index_is("{\"a\":\"sub/m.safetensors\"}");
    refused("no bare file name");
    index_is("{\"a\":\"\\u002e\\u002e\"}");
    refused("no bare file name");
    index_is("{\"a\":1}");
    refused("no bare file name");
    index_is("[]");
    refused("no weight_map");
    put("model.safetensors.index.json", "{", 1);
    refused("index.json': not JSON");
    index_is("{\"a\":\"gone.safetensors\"}");
    w = open_dir(0, &err);
    ok(!w && strstr(err.msg, "gone.safetensors"), "a missing shard: %s", err.msg);
    put_st("m-00002-of-00002.safetensors", "{" T("a", "F32", "[1]", "[0,4]") "}", 4);
    index_is("{\"a\":\"m-00001-of-00002.safetensors\",\"b\":\"m-00002-of-00002.safetensors\"}");
    refused("stands in another shard too");
}

static void test_text_only(void)
{
    g4_err err = {0};
    char path[100];
    snprintf(path, sizeof path, "%s/text", dir);
    put("text/tokenizer.json", "{}", 2);
    g4_weights *w = g4_weights_open(path, G4_WEIGHTS_TEXT_ONLY, &err);
    ok(w && g4_weights_count(w) == 0 && g4_weights_file(w, "tokenizer.json").n == 2, "a folder with a tokenizer only (%s)", err.msg);
    g4_weights_free(w);
    ok(!g4_weights_open(path, 0, &err) && err.code == G4_EMODEL, "is no model: %s", err.msg);
    put("text/model.safetensors", "broken", 6);
    err = (g4_err){0};
    w = g4_weights_open(path, G4_WEIGHTS_TEXT_ONLY, &err);
    ok(w != NULL, "no weights are read for text (%s)", err.msg);
    g4_weights_free(w);
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    test_frame();
    test_entries();
    test_views();
    test_index();
    test_text_only();
    char cmd[100];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd) ? 1 : done_testing();
}
