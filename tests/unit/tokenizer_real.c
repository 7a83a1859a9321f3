/* The Gemma 3 and Gemma 4 vocabularies against vectors of the reference (tests/data/tokenizer, whose
 * README says how they were made): rank form from tokenizer.json (tests/fetch-tokenizer), score form
 * from the 270M GGUF (tests/fetch-weights).  A part is skipped when its file is not there. */
#define _GNU_SOURCE
#include "text/tokenizer.h"

#include <time.h>
#include <unistd.h>

#include "../base64.h"
#include "../realvocab.h"
#include "../tap.h"
#include "base/file.h"
#include "base/mem.h"
#include "model/vocab.h"

struct real {
    const char *name;   /* what messages say */
    const char *rows;   /* "gemma3", "gemma4": the vectors that apply */
    bool llama_types;   /* types as GGUF files have them */
    g4_tokenizer *t;
};

/* ---- ids ---------------------------------------------------------------- */

struct ids {
    int32_t *p;
    size_t n, cap;
};

static struct ids encode(const g4_tokenizer *t, enum g4_seg_mode mode, const char *p, size_t n)
{
    struct ids r = {0};
    g4_tokenizer_encode(t, &(struct g4_seg){ mode, p, n }, 1, &r.p, &r.n, &r.cap);
    return r;
}

static bool same_ids(const struct ids *got, g4_json want)
{
    size_t i = 0;
    int64_t id;
    for (g4_json_it it = g4_json_iter(want); g4_json_next(&it); i++)
        if (i >= got->n || !g4_json_i64(it.value, &id) || id != got->p[i]) return false;
    return i == got->n && g4_json_type(want) == G4_JSON_ARRAY;
}

static void show(const char *file, g4_json row, const struct ids *got)
{
    printf("# %s: %.*s\n# got", file, (int)(row.n < 600 ? row.n : 600), row.p);
    for (size_t i = 0; i < got->n && i < 60; i++) printf(" %d", got->p[i]);
    printf("\n");
}

/* ---- the vectors -------------------------------------------------------- */

/* One row: true when it is met.  *counted false: the row does not apply. */
typedef bool (*row_fn)(const struct real *r, g4_json row, bool *counted);

static bool encode_row(const struct real *r, g4_json row, bool *counted)
{
    g4_str text = {0};
    bool special = false;
    g4_json_str(g4_json_get(row, "text"), &text);
    g4_json_bool(g4_json_get(row, "special"), &special);
    const enum g4_seg_mode mode = g4_json_is(g4_json_get(row, "mode"), "data") ? G4_SEG_DATA : special ? G4_SEG_TEMPLATE : G4_SEG_USER;
    struct ids got = encode(r->t, mode, text.p, text.n);
    const bool good = same_ids(&got, g4_json_get(row, "ids")) || same_ids(&got, g4_json_get(row, "ids_llamacpp"));
    if (!good) show(r->name, row, &got);
    free(got.p);
    g4_str_free(&text);
    return good;
}

static bool invalid_row(const struct real *r, g4_json row, bool *counted)
{
    g4_str bytes = {0}, line = {0};
    char *b64 = g4_json_dup(g4_json_get(row, "bytes_b64"));
    bool good = b64 && base64_get(b64, &bytes);
    struct ids got = encode(r->t, G4_SEG_USER, bytes.p, bytes.n);
    good = good && same_ids(&got, g4_json_get(row, "raw_text_ids"));
    if (!good) show(r->name, row, &got);
    g4_str_adds(&line, "{\"text\":\"");
    g4_str_add(&line, bytes.p, bytes.n);
    g4_str_adds(&line, "\"}");
    good = good && g4_json_check(line.p, line.n, NULL, NULL) == G4_EINPUT;
    free(b64);
    free(got.p);
    g4_str_free(&bytes);
    g4_str_free(&line);
    return good;
}

/* <mask> and the image marks: hidden or not depends on who typed the file. */
static bool typed_differently(g4_json ids)
{
    int64_t id;
    for (g4_json_it it = g4_json_iter(ids); g4_json_next(&it);)
        if (g4_json_i64(it.value, &id) && (id == 4 || id == 255999 || id == 256000)) return true;
    return false;
}

static bool decode_row(const struct real *r, g4_json row, bool *counted)
{
    const g4_json ids = g4_json_get(row, "ids");
    bool special = false;
    int64_t id;
    g4_str bytes = {0}, text = {0}, want = {0}, want_bytes = {0};
    g4_json_bool(g4_json_get(row, "show_special"), &special);
    if (r->llama_types && !special && typed_differently(ids)) {
        *counted = false;
        return true;
    }
    for (g4_json_it it = g4_json_iter(ids); g4_json_next(&it);)
        if (g4_json_i64(it.value, &id)) g4_tokenizer_piece(r->t, (int32_t)id, special, &bytes);
    struct g4_utf8_stream s = {0};
    g4_utf8_stream_push(&s, bytes.p, bytes.n, &text);
    g4_utf8_stream_flush(&s, &text);
    g4_json_str(g4_json_get(row, "text"), &want);
    char *b64 = g4_json_dup(g4_json_get(row, "bytes_b64"));
    const bool good = b64 && base64_get(b64, &want_bytes) && g4_sv_same((g4_sv){ bytes.p, bytes.n }, (g4_sv){ want_bytes.p, want_bytes.n }) &&
                      g4_sv_same((g4_sv){ text.p, text.n }, (g4_sv){ want.p, want.n });
    if (!good) printf("# %s: %.*s\n# got '%.*s'\n", r->name, (int)(row.n < 600 ? row.n : 600), row.p, (int)text.n, text.p ? text.p : "");
    free(b64);
    g4_str_free(&bytes);
    g4_str_free(&text);
    g4_str_free(&want);
    g4_str_free(&want_bytes);
    return good;
}

static bool stream_row(const struct real *r, g4_json row, bool *counted)
{
    const g4_json ids = g4_json_get(row, "ids");
    g4_json_it steps = g4_json_iter(g4_json_get(row, "steps"));
    struct g4_utf8_stream s = {0};
    g4_str piece = {0}, got = {0}, want = {0};
    bool good = true;
    int64_t id;
    if (r->llama_types && typed_differently(ids)) {
        *counted = false;
        return true;
    }
    for (g4_json_it it = g4_json_iter(ids); good && g4_json_next(&it);) {
        g4_str_clear(&piece);
        g4_str_clear(&got);
        g4_str_clear(&want);
        good = g4_json_next(&steps) && g4_json_i64(it.value, &id);
        if (good) g4_tokenizer_piece(r->t, (int32_t)id, false, &piece);
        g4_utf8_stream_push(&s, piece.p, piece.n, &got);
        if (good) g4_json_str(steps.value, &want);
        good = good && g4_sv_same((g4_sv){ got.p, got.n }, (g4_sv){ want.p, want.n }) && s.n <= 3;
    }
    g4_str_clear(&got);
    g4_str_clear(&want);
    g4_utf8_stream_flush(&s, &got);
    g4_json_str(g4_json_get(row, "flush"), &want);
    good = good && g4_sv_same((g4_sv){ got.p, got.n }, (g4_sv){ want.p, want.n }) && !g4_json_next(&steps);
    if (!good) printf("# %s: %.*s\n", r->name, (int)(row.n < 600 ? row.n : 600), row.p);
    g4_str_free(&piece);
    g4_str_free(&got);
    g4_str_free(&want);
    return good;
}

static void vectors(const struct real *r, const char *file, row_fn row_met)
{
    g4_str path = {0}, text = {0};
    int rows = 0, wrong = 0, left_out = 0;
    g4_str_addf(&path, "tests/data/tokenizer/%s", file);
    if (g4_file_read(path.p, 1 << 20, &text, NULL)) ok(false, "%s can be read", path.p);
    for (char *line = text.p, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        g4_json row;
        bool counted = true;
        if (g4_json_check(line, (size_t)(end - line), &row, NULL)) {
            wrong++;
            continue;
        }
        if (!g4_json_is(g4_json_get(row, "tokenizer"), r->rows)) continue;
        wrong += !row_met(r, row, &counted);
        rows += counted;
        left_out += !counted;
    }
    ok(!wrong && rows > 15, "%s: %d rows of %s, %d wrong, %d do not apply", r->name, rows, file, wrong, left_out);
    g4_str_free(&path);
    g4_str_free(&text);
}

/* ---- properties --------------------------------------------------------- */

static uint32_t random_u32(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* Any code point, most of them from scripts people write. */
static void random_text(uint64_t *seed, g4_str *out)
{
    static const uint32_t from[] = { 0x20, 0x20, 0x20, 0xA0, 0x370, 0x600, 0x900, 0x4E00, 0x1F300, 0x20, 0x0, 0x10000 };
    static const uint32_t span[] = { 0x5F, 0x5F, 0x5F, 0x200, 0x190, 0x100, 0x400, 0x5000, 0x300, 1, 0x20, 0x100000 };
    const uint32_t n = random_u32(seed) % 60;
    g4_str_clear(out);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t k = random_u32(seed) % 12;
        const uint32_t cp = from[k] + random_u32(seed) % span[k];
        char utf8[4];
        if ((cp >= 0xD800 && cp < 0xE000) || cp == 0x2581) continue;
        g4_str_add(out, utf8, g4_utf8_encode(cp, utf8));
    }
}

static void round_trip(const struct real *r)
{
    uint64_t seed = 3;
    int wrong = 0;
    g4_str text = {0}, back = {0};
    for (int i = 0; i < 1000; i++) {
        random_text(&seed, &text);
        struct ids got = encode(r->t, G4_SEG_DATA, text.p, text.n);
        g4_str_clear(&back);
        for (size_t k = 0; k < got.n; k++) g4_tokenizer_piece(r->t, got.p[k], false, &back);
        wrong += !g4_sv_same((g4_sv){ text.p, text.n }, (g4_sv){ back.p, back.n });
        free(got.p);
    }
    is_int(wrong, 0, "1000 random texts come back");
    g4_str_free(&text);
    g4_str_free(&back);
}

/* Template and data behind each other are as their concatenation. */
static void borders(const struct real *r)
{
    static const char *const text = "thought\n\n\nHello  world,\n\n{unit:\t\t\"x\"}   \n the 日本語 text   \n\n\n\nand then some 🙂🙂 code:\n    for (;;)\n\t\t\tx++;\n";
    const size_t n = strlen(text);
    struct ids whole = encode(r->t, G4_SEG_TEMPLATE, text, n);
    int wrong = 0;
    for (size_t cut = 0; cut <= n; cut++) {
        const struct g4_seg seg[2] = { { G4_SEG_TEMPLATE, text, cut }, { G4_SEG_DATA, text + cut, n - cut } };
        struct ids got = {0};
        g4_tokenizer_encode(r->t, seg, 2, &got.p, &got.n, &got.cap);
        wrong += got.n != whole.n || memcmp(got.p, whole.p, got.n * sizeof *got.p) != 0;
        free(got.p);
    }
    is_int(wrong, 0, "every border of template and data gives the ids of the whole");
    free(whole.p);
}

/* Whatever special piece a text spells, as data it is none. */
static void safety(const struct real *r)
{
    const struct g4_vocab *v = g4_tokenizer_vocab(r->t);
    int pieces = 0, wrong = 0;
    for (uint32_t id = 0; id < v->n; id++) {
        const uint8_t type = v->type[id];
        const g4_sv s = v->piece[id];
        if ((type != G4_PIECE_CONTROL && type != G4_PIECE_USER && type != G4_PIECE_UNKNOWN && type != G4_PIECE_UNUSED) || !s.n) continue;
        const bool content = (id >= 107 && id <= 237) || (id >= 255968 && id <= 255998);
        struct ids got = encode(r->t, G4_SEG_DATA, s.p, s.n);
        for (size_t k = 0; k < got.n; k++) {
            const uint8_t t = v->type[got.p[k]];
            if (!content && t != G4_PIECE_NORMAL && t != G4_PIECE_BYTE) wrong++;
        }
        free(got.p);
        got = encode(r->t, G4_SEG_TEMPLATE, s.p, s.n);
        wrong += got.n != 1 || got.p[0] != (int32_t)id;
        free(got.p);
        pieces++;
    }
    ok(pieces >= 23 && !wrong, "%s: %d special pieces are text as data and themselves in a template, %d are not", r->name, pieces, wrong);
}

static void long_line(const struct real *r)
{
    static const char *const units[] = { "the quick brown fox ", "abcdefghij", "日本語の", " ", "\n", "=-" };
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        g4_str text = {0}, back = {0};
        while (text.n < 1000000) g4_str_adds(&text, units[u]);
        const clock_t from = clock();
        struct ids got = encode(r->t, G4_SEG_DATA, text.p, text.n);
        const double s = (double)(clock() - from) / CLOCKS_PER_SEC;
        for (size_t i = 0; i < got.n; i++) g4_tokenizer_piece(r->t, got.p[i], false, &back);
        ok(s < 8 && g4_sv_same((g4_sv){ text.p, text.n }, (g4_sv){ back.p, back.n }), "%s: 1 MB of unit %zu in one line, %zu tokens in %.3f s",
           r->name, u, got.n, s);
        free(got.p);
        g4_str_free(&text);
        g4_str_free(&back);
    }
    char newlines[40];
    memset(newlines, '\n', sizeof newlines);
    struct ids got = encode(r->t, G4_SEG_DATA, newlines, sizeof newlines);
    bool runs = got.n > 0;
    for (size_t i = 0; i < got.n; i++) runs = runs && got.p[i] >= 107 && got.p[i] <= 137;
    ok(runs, "%s: 40 newlines are %zu runs", r->name, got.n);
    free(got.p);
}

static void all_of(const struct real *r)
{
    vectors(r, "encode.jsonl", encode_row);
    vectors(r, "data_mode.jsonl", encode_row);
    vectors(r, "invalid_utf8.jsonl", invalid_row);
    vectors(r, "decode.jsonl", decode_row);
    vectors(r, "stream.jsonl", stream_row);
    round_trip(r);
    borders(r);
    safety(r);
    long_line(r);
}

/* ---- the vocabularies --------------------------------------------------- */

static void one_model(const char *path, struct real r, bool gemma4)
{
    g4_err err = {0};
    struct g4_vocab v;
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    g4_weights *w = g4_weights_open(path, G4_WEIGHTS_TEXT_ONLY, &err);
    if (w && !g4_vocab_load(w, &v, &err)) {
        if (gemma4) real_gemma4(&v);
        r.t = g4_tokenizer_new(&v, &err);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (ok(r.t != NULL, "%s opens: %u pieces in %.1f ms %s", r.name, r.t ? g4_tokenizer_vocab(r.t)->n : 0,
           (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6, err.msg))
        all_of(&r);
    g4_tokenizer_free(r.t);
    g4_weights_free(w);
}

/* A folder that holds nothing but tokenizer.json. */
static void from_json(const char *json)
{
    char dir[] = "/tmp/g4-tokenizer-XXXXXX";
    g4_str link = {0};
    if (!mkdtemp(dir)) {
        ok(false, "a temporary folder");
        return;
    }
    g4_str_addf(&link, "%s/tokenizer.json", dir);
    if (symlink(json, link.p)) ok(false, "a link to '%s'", json);
    one_model(dir, (struct real){ .name = "gemma3 tokenizer.json", .rows = "gemma3" }, false);
    one_model(dir, (struct real){ .name = "gemma4 tokenizer.json", .rows = "gemma4" }, true);
    unlink(link.p);
    rmdir(dir);
    g4_str_free(&link);
}

int main(void)
{
    char *json = g4_xdg_path("XDG_CACHE_HOME", ".cache", "g4-test/gemma3-tokenizer.json");
    char *gguf = g4_xdg_path("XDG_CACHE_HOME", ".cache", "g4-test/gemma3-270m.gguf");
    if (json && g4_file_exists(json))
        from_json(json);
    else
        skip("rank form", "no gemma3-tokenizer.json in the cache (tests/fetch-tokenizer puts it there)");
    if (gguf && g4_file_exists(gguf))
        one_model(gguf, (struct real){ .name = "gemma3 GGUF", .rows = "gemma3", .llama_types = true }, false);
    else
        skip("score form", "no gemma3-270m.gguf in the cache (tests/fetch-weights puts it there)");
    free(json);
    free(gguf);
    return done_testing();
}
