/* Vocabularies from files: every tiny model's texts through its tokenizer.json, tokenizer.model and
 * GGUF, and files that are broken, cut or changed. */
#define _GNU_SOURCE
#include "model/vocab.h"

#include <dirent.h>
#include <unistd.h>

#include "../../lib/model/vocab_impl.h"
#include "../tap.h"
#include "base/file.h"
#include "text/tokenizer.h"

static char dir[] = "/tmp/g4-vocab-XXXXXX"; /* holds one tokenizer file at a time */

static g4_tokenizer *open_tokenizer(const char *path, g4_weights **w, g4_err *err)
{
    struct g4_vocab v;
    *w = g4_weights_open(path, G4_WEIGHTS_TEXT_ONLY, err);
    return *w && !g4_vocab_load(*w, &v, err) ? g4_tokenizer_new(&v, err) : NULL;
}

/* ---- the tiny models ------------------------------------------------------ */

static bool text_met(const g4_tokenizer *t, g4_json row)
{
    g4_str text = {0};
    int32_t *ids = NULL;
    size_t n = 0, cap = 0, i = 0;
    int64_t id;
    bool good = true;
    g4_json_str(g4_json_get(row, "text"), &text);
    g4_tokenizer_encode(t, &(struct g4_seg){ G4_SEG_TEMPLATE, text.p, text.n }, 1, &ids, &n, &cap);
    for (g4_json_it it = g4_json_iter(g4_json_get(row, "tokens")); g4_json_next(&it); i++)
        good = good && i < n && g4_json_i64(it.value, &id) && id == ids[i];
    good = good && i == n && n > 0;
    if (!good) {
        printf("# '%s'\n# got", text.p);
        for (size_t k = 0; k < n; k++) printf(" %d", ids[k]);
        printf("\n# expected %.*s\n", (int)row.n, row.p);
    }
    free(ids);
    g4_str_free(&text);
    return good;
}

static void texts(const char *path, g4_json rows, const char *what, bool score)
{
    g4_err err = {0};
    g4_weights *w;
    g4_tokenizer *t = open_tokenizer(path, &w, &err);
    int n = 0, wrong = 0;
    if (t) {
        for (g4_json_it it = g4_json_iter(rows); g4_json_next(&it); n++) wrong += !text_met(t, it.value);
        ok((g4_tokenizer_vocab(t)->score != NULL) == score, "%s is in %s form", what, score ? "score" : "rank");
        is_int(g4_tokenizer_vocab(t)->bos, 2, "its start id");
        is_int(g4_tokenizer_vocab(t)->eos == 1 || g4_tokenizer_vocab(t)->eos == 16, 1, "its end id");
        is_int(g4_tokenizer_vocab(t)->pad, 0, "its pad id");
    }
    ok(t && n >= 8 && !wrong, "%s: %d of %d texts %s", what, n - wrong, n, err.msg);
    g4_tokenizer_free(t);
    g4_weights_free(w);
}

static bool is_gguf(const char *name)
{
    const size_t n = strlen(name);
    return n > 5 && !strcmp(name + n - 5, ".gguf");
}

/* GGUF files lie in the tree or, packed, are unpacked under the build folder. */
static int ggufs_of(const char *folder, const char *name, g4_json rows, bool score)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!is_gguf(e->d_name)) continue;
        g4_str path = {0};
        g4_str_addf(&path, "%s/%s", folder, e->d_name);
        texts(path.p, rows, e->d_name, score);
        g4_str_free(&path);
        n++;
    }
    if (d) closedir(d);
    return n;
}

static int side_file(const char *name, const char *file, g4_json rows, bool score)
{
    g4_str from = {0}, to = {0}, what = {0};
    int n = 0;
    g4_str_addf(&from, "tests/data/text/%s/%s", name, file);
    g4_str_addf(&to, "%s/%s", dir, file);
    g4_str_addf(&what, "%s/%s", name, file);
    char *real = realpath(from.p, NULL);
    if (real && !symlink(real, to.p)) {
        texts(dir, rows, what.p, score);
        unlink(to.p);
        n = 1;
    }
    free(real);
    g4_str_free(&from);
    g4_str_free(&to);
    g4_str_free(&what);
    return n;
}

static int one_model(const char *name)
{
    g4_str path = {0}, text = {0};
    g4_json root;
    int n = 0;
    g4_str_addf(&path, "tests/data/text/%s/reference.json", name);
    if (!g4_file_read(path.p, 16 << 20, &text, NULL) && !g4_json_check(text.p, text.n, &root, NULL)) {
        const g4_json rows = g4_json_get(root, "texts");
        const bool score = strncmp(name, "g4-", 3) != 0;
        const char *build = getenv("G4_BUILD");
        n += side_file(name, "tokenizer.json", rows, false);
        n += side_file(name, "tokenizer.model", rows, true);
        g4_str_clear(&path);
        g4_str_addf(&path, "tests/data/text/%s", name);
        n += ggufs_of(path.p, name, rows, score);
        g4_str_clear(&path);
        g4_str_addf(&path, "%s/data/text/%s", build ? build : "build", name);
        n += ggufs_of(path.p, name, rows, score);
    }
    g4_str_free(&path);
    g4_str_free(&text);
    return n;
}

static void tiny_models(void)
{
    int n = 0;
    DIR *d = opendir("tests/data/text");
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') n += one_model(e->d_name);
    if (d) closedir(d);
    ok(n >= 25, "%d tokenizer files of the tiny models", n);
}

/* ---- tokenizer.json: what is refused, what is accepted ---------------------- */

static int json_vocab(const char *text, size_t n, g4_err *err)
{
    struct g4_vocab v = { .bos = -1, .eos = -1, .unk = -1, .pad = -1, .own = g4_alloc(sizeof(g4_arena)) };
    char *exact = g4_dup(text, n); /* so that a sanitizer sees a read behind the end */
    int r = g4_vocab_from_json("tokenizer.json", (g4_sv){ exact, n }, &v, err);
    if (r) {
        g4_arena_free(v.own);
        free(v.own);
    } else {
        g4_tokenizer *t = g4_tokenizer_new(&v, err);
        if (!t) r = err->code;
        int32_t *ids = NULL;
        size_t n_ids = 0, cap = 0;
        g4_str back = {0};
        static const char sample[] = "the user <bos>\n\n  th\xC3\xA9<|turn>\xFF";
        if (t) g4_tokenizer_encode(t, &(struct g4_seg){ G4_SEG_TEMPLATE, sample, sizeof sample - 1 }, 1, &ids, &n_ids, &cap);
        for (size_t i = 0; i < n_ids; i++) g4_tokenizer_piece(t, ids[i], true, &back);
        free(ids);
        g4_str_free(&back);
        g4_tokenizer_free(t);
    }
    free(exact);
    return r;
}

static void json_cases(void)
{
    static const struct { const char *text; int code; } cases[] = {
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}", G4_OK },
        { "{\"model\":{\"vocab\":{\"a\":0,\"\\u00e9\":5},\"merges\":[[\"a\",\"\\u00e9\"],[\" \",\"x\"]]},\"added_tokens\":[{\"id\":7,\"content\":\"<x>\",\"special\":true}]}", G4_OK },
        { "", G4_EFORMAT },
        { "[]", G4_EFORMAT },
        { "{}", G4_EFORMAT },
        { "{} x", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\":0}}} x", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\":0,\"b\":0}}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\":0,\"a\":1}}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\":-1}}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\":4194304}}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\":99999999999999999999999999}}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\":\"0\"}}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":[\"a\"]}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\\q\":0}}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"\\ud800\":0}}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"\",\"a\"]]}}", G4_EFORMAT },
        { "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[1]}}", G4_EFORMAT },
        { "{\"added_tokens\":[{\"id\":9}],\"model\":{\"vocab\":{\"a\":0}}}", G4_EFORMAT },
        { "{\"added_tokens\":[{\"id\":1,\"content\":\"a\"}],\"model\":{\"vocab\":{\"a\":0}}}", G4_EFORMAT },
        { "{\"added_tokens\":[{\"id\":99999999,\"content\":\"x\"}],\"model\":{\"vocab\":{\"a\":0}}}", G4_EFORMAT },
        { "{\"model\":{\"type\":\"Unigram\",\"vocab\":{\"a\":0}}}", G4_EUNSUP },
        { "{\"model\":{\"byte_fallback\":false,\"vocab\":{\"a\":0}}}", G4_EUNSUP },
        { "{\"model\":{\"ignore_merges\":true,\"vocab\":{\"a\":0}}}", G4_EUNSUP },
        { "{\"x\":[[[[}]]]],\"model\":{\"vocab\":{\"a\":0}}}", G4_EFORMAT },
        { "{\"x\":[\"\\", G4_EFORMAT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        g4_err err = {0};
        const int r = json_vocab(cases[i].text, strlen(cases[i].text), &err);
        if (!ok(r == cases[i].code && (!r) == !err.msg[0], "%.60s: %s", cases[i].text, err.msg)) printf("# code %d\n", r);
    }
}

/* ---- cut and changed files --------------------------------------------------- */

static uint32_t random_u32(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void change(char *p, size_t n, uint64_t *seed)
{
    static const char likely[] = "\"\\[]{},:0123456789e-\x00\xFF\x7F\x80 u";
    for (uint32_t k = 1 + random_u32(seed) % 4; k; k--) {
        const size_t at = random_u32(seed) % n;
        p[at] = random_u32(seed) & 1 ? likely[random_u32(seed) % (sizeof likely - 1)] : (char)random_u32(seed);
    }
}

static int protobuf_vocab(const char *bytes, size_t n, g4_err *err)
{
    struct g4_vocab v = { .bos = -1, .eos = -1, .unk = -1, .pad = -1, .own = g4_alloc(sizeof(g4_arena)) };
    char *exact = g4_dup(bytes, n);
    int r = g4_vocab_from_protobuf("tokenizer.model", (g4_sv){ exact, n }, &v, err);
    if (r) {
        g4_arena_free(v.own);
        free(v.own);
    } else {
        g4_tokenizer *t = g4_tokenizer_new(&v, err);
        if (!t) r = err->code;
        int32_t *ids = NULL;
        size_t n_ids = 0, cap = 0;
        if (t) g4_tokenizer_encode(t, &(struct g4_seg){ G4_SEG_USER, "the user  th", 12 }, 1, &ids, &n_ids, &cap);
        free(ids);
        g4_tokenizer_free(t);
    }
    free(exact);
    return r;
}

static void hostile(const char *path, int (*load)(const char *, size_t, g4_err *), bool cut_fails)
{
    g4_str text = {0};
    uint64_t seed = 5;
    int silent = 0, loaded = 0, refused = 0;
    if (g4_file_read(path, 1 << 20, &text, NULL)) ok(false, "%s can be read", path);
    while (text.n && text.p[text.n - 1] == '\n') text.n--; /* a final newline may go */
    for (size_t n = 0; n < text.n; n += n < 200 || n + 200 > text.n ? 1 : 37) {
        g4_err err = {0};
        const int r = load(text.p, n, &err);
        silent += (cut_fails && !r) || (r && !err.msg[0]);
    }
    is_int(silent, 0, "a file cut anywhere is refused with a message");
    for (int i = 0; i < 2000; i++) {
        char *p = g4_dup(text.p, text.n);
        g4_err err = {0};
        change(p, text.n, &seed);
        const int r = load(p, text.n, &err);
        silent += r && !err.msg[0];
        *(r ? &refused : &loaded) += 1;
        free(p);
    }
    ok(!silent && loaded && refused, "%s changed 2000 times: %d loaded, %d refused, each with a message", path, loaded, refused);
    g4_str_free(&text);
}

static int gguf_vocab(const char *path, g4_err *err)
{
    g4_weights *w;
    g4_tokenizer *t = open_tokenizer(path, &w, err);
    const int r = t ? 0 : err->code;
    int32_t *ids = NULL;
    size_t n = 0, cap = 0;
    g4_str back = {0};
    if (t) g4_tokenizer_encode(t, &(struct g4_seg){ G4_SEG_TEMPLATE, "the user <bos>\n\n  th\xC3\xA9<|turn>", 29 }, 1, &ids, &n, &cap);
    for (size_t i = 0; i < n; i++) g4_tokenizer_piece(t, ids[i], true, &back);
    free(ids);
    g4_str_free(&back);
    g4_tokenizer_free(t);
    g4_weights_free(w);
    return r;
}

static void hostile_gguf(const char *name)
{
    const char *build = getenv("G4_BUILD");
    g4_str path = {0}, text = {0}, out = {0};
    uint64_t seed = 11;
    int silent = 0, loaded = 0, refused = 0;
    g4_str_addf(&path, "%s/data/text/%s/%s-f32.gguf", build ? build : "build", name, name);
    g4_str_addf(&out, "%s/changed.gguf", dir);
    if (g4_file_read(path.p, 4 << 20, &text, NULL) || text.n < 20000) {
        ok(false, "%s can be read", path.p);
        return;
    }
    for (int i = 0; i < 400; i++) {
        char *p = g4_dup(text.p, text.n);
        g4_err err = {0};
        change(p, 16000, &seed); /* the metadata */
        FILE *f = fopen(out.p, "wb");
        if (!f || fwrite(p, 1, text.n, f) != text.n) ok(false, "%s can be written", out.p);
        if (f) fclose(f);
        const int r = gguf_vocab(out.p, &err);
        silent += r && !err.msg[0];
        *(r ? &refused : &loaded) += 1;
        free(p);
    }
    ok(!silent && loaded && refused, "%s changed 400 times: %d loaded, %d refused, each with a message", path.p, loaded, refused);
    unlink(out.p);
    g4_str_free(&path);
    g4_str_free(&text);
    g4_str_free(&out);
}

int main(void)
{
    if (!mkdtemp(dir)) return ok(false, "a temporary folder"), done_testing();
    tiny_models();
    json_cases();
    hostile("tests/data/text/gemma3/tokenizer.json", json_vocab, true);
    hostile("tests/data/text/gemma3/tokenizer.model", protobuf_vocab, false);
    hostile_gguf("gemma3");
    hostile_gguf("g4-dense");
    rmdir(dir);
    return done_testing();
}
