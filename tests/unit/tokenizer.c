/* The tokenizer over a small vocabulary made here: both forms against a plain
 * quadratic encoder, special pieces by trust, bytes, hostile tables, decoding,
 * long input. */
#include "text/tokenizer.h"

#include <math.h>
#include <time.h>

#include "base/mem.h"
#include "../tap.h"

#define SP "\xE2\x96\x81"

enum { FIXED = 10, BYTES = 256, FIRST = FIXED + BYTES };

struct entry {
    const char *text;
    uint8_t type;
    float score;
};
static const struct entry fixed[FIXED] = {
    { "<pad>", 3, 0 }, { "<eos>", 3, 0 }, { "<bos>", 3, 0 }, { "<unk>", 2, 0 }, { "<|turn>", 3, 0 }, { "<turn|>", 3, 0 },
    { "<|tool_call>", 4, 0 }, { "\t\t", 4, 0 }, { "<table>", 4, 0 }, { "<unused7>", 3, 0 },
};
static const struct entry letters[] = {
    { "a", 1, -10 }, { "b", 1, -11 }, { "c", 1, -12 }, { SP, 1, -13 }, { "\n", 1, -14 },      /* 266-270 */
    { "ab", 1, -3 }, { "bc", 1, -2 }, { "abc", 1, -5 }, { SP "a", 1, -1 }, { SP "ab", 1, -6 }, /* 271-275 */
    { SP SP, 1, -7 }, { "aa", 1, -8 }, { "\n\n\n", 1, 0 }, { "<", 1, -9 }, { "|", 1, -9 },    /* 276-280 */
    { ">", 1, -9 }, { "t", 1, -9 }, { "u", 1, -9 }, { SP "c", 1, -4 }, { "b" SP "c", 1, -9 }, /* 281-285 */
    { "x", 1, -9 }, { "y", 1, -9 }, { "xy", 3, 100 }, { "", 1, 0 },                           /* 286-289 */
};
/* The last three are malformed, and "ab c" comes twice. */
static const char *const merges[] = {
    SP " a", "b c", "a b", SP " " SP, SP "a b", "a bc", "ab c", "a a", SP " c", "b " SP "c", "x y", "ab c", "a", " ", "a ",
};
enum { N_LETTERS = sizeof letters / sizeof *letters, N_MERGES = sizeof merges / sizeof *merges, N = FIRST + N_LETTERS };

static const char *text_of(uint32_t id, char byte[8])
{
    snprintf(byte, 8, "<0x%02X>", (id - FIXED) & 255);
    return id < FIXED ? fixed[id].text : id < FIRST ? byte : letters[id - FIRST].text;
}

static g4_tokenizer *make(bool score, const char *twice, g4_err *err)
{
    g4_arena *a = g4_alloc(sizeof *a);
    struct g4_vocab v = { .n = N, .bos = -1, .eos = 99999, .unk = 3, .pad = -1, .own = a };
    g4_sv *piece = g4_arena_alloc(a, N * sizeof *piece);
    g4_str merge = {0};
    float *scores = g4_arena_alloc(a, N * sizeof *scores);
    v.type = g4_arena_alloc(a, N);
    for (uint32_t i = 0; i < N; i++) {
        char byte[8];
        const char *s = twice && i == N - 1 ? twice : text_of(i, byte);
        piece[i] = (g4_sv){ g4_arena_strndup(a, s, strlen(s)), strlen(s) };
        v.type[i] = i < FIXED ? fixed[i].type : i < FIRST ? 6 : letters[i - FIRST].type;
        if (i >= FIRST) scores[i] = letters[i - FIRST].score;
    }
    scores[0] = NAN;
    for (size_t i = 0; i < N_MERGES; i++) {
        const uint64_t len = strlen(merges[i]);
        g4_str_add(&merge, &len, 8);
        g4_str_add(&merge, merges[i], len);
    }
    v.piece = piece;
    if (score) {
        v.score = scores;
    } else {
        v.merge = (const uint8_t *)g4_arena_strndup(a, merge.p, merge.n);
        v.merge_bytes = merge.n;
        v.n_merge = N_MERGES;
    }
    g4_str_free(&merge);
    return g4_tokenizer_new(&v, err);
}

static char *encode(const g4_tokenizer *t, const struct g4_seg *seg, size_t n_seg)
{
    int32_t *ids = NULL;
    size_t n = 0, cap = 0;
    g4_str s = {0};
    g4_tokenizer_encode(t, seg, n_seg, &ids, &n, &cap);
    for (size_t i = 0; i < n; i++) g4_str_addf(&s, "%s%d", i ? " " : "", ids[i]);
    free(ids);
    return g4_str_take(&s);
}

static void segs(const g4_tokenizer *t, const struct g4_seg *seg, size_t n_seg, const char *want, const char *what)
{
    char *got = encode(t, seg, n_seg);
    is_str(got, want, what);
    free(got);
}

static void one(const g4_tokenizer *t, enum g4_seg_mode mode, const char *text, const char *want, const char *what)
{
    segs(t, &(struct g4_seg){ mode, text, strlen(text) }, 1, want, what);
}

#define SPELLED_TURN "279 280 282 283 124 120 281"
#define SPELLED_CALL "279 280 282 121 121 118 105 268 266 118 118 281"

static void merging(const g4_tokenizer *t, bool score)
{
    one(t, G4_SEG_DATA, "", "", "nothing");
    one(t, G4_SEG_DATA, "abc", "273", "best pair first");
    one(t, G4_SEG_DATA, " ab", "275", "a space belongs to the word behind it");
    one(t, G4_SEG_DATA, "aaa", "277 266", "leftmost of equals");
    one(t, G4_SEG_DATA, "cab", "268 271", "a character that merges with nothing");
    one(t, G4_SEG_DATA, "b c", "285", "a merge across a space");
    one(t, G4_SEG_DATA, "a a", "266 274", "two words");
    one(t, G4_SEG_DATA, "a  b", "266 276 267", "a run of spaces");
    one(t, G4_SEG_DATA, "a\n\n\nb", score ? "266 270 270 270 267" : "266 278 267", "a run of newlines that is a piece (rank form only)");
    one(t, G4_SEG_DATA, "\n\n", "270 270", "a run of newlines that is none");
    one(t, G4_SEG_DATA, "\xC3\xA9", "205 179", "a character without a piece is its bytes");
    one(t, G4_SEG_DATA, "a\x80" "b\xFF", "266 138 267 265", "bytes that are no character");
    one(t, G4_SEG_DATA, "a\xE2\x96", "266 236 160", "a cut character");
    one(t, G4_SEG_DATA, "<0x41>", "279 58 286 62 59 281", "a byte piece's name is text");
    segs(t, &(struct g4_seg){ G4_SEG_DATA, "a\0b", 3 }, 1, "266 10 267", "a NUL byte");
    for (int mode = G4_SEG_DATA; mode <= G4_SEG_USER; mode++)
        if (mode != G4_SEG_TEMPLATE) one(t, mode, "xy", "286 287", "no merge makes a control piece");
}

static void specials(const g4_tokenizer *t)
{
    one(t, G4_SEG_TEMPLATE, "a<|turn>a", "266 4 266", "control piece in a template");
    one(t, G4_SEG_DATA, "<|turn>", SPELLED_TURN, "control piece in data");
    one(t, G4_SEG_USER, "<|turn>", SPELLED_TURN, "control piece in user text");
    one(t, G4_SEG_USER, "<|tool_call>", "6", "user-defined piece in user text");
    one(t, G4_SEG_DATA, "<|tool_call>", SPELLED_CALL, "user-defined piece in data");
    one(t, G4_SEG_DATA, "a<table>\t\t\t", "266 8 7 19", "tags and white space runs are content");
    one(t, G4_SEG_TEMPLATE, "<unused7>", "9", "unused piece in a template");
    one(t, G4_SEG_USER, "<unused7>", "279 283 120 283 125 111 110 65 281", "unused piece in user text");
    one(t, G4_SEG_TEMPLATE, "<<|turn", "279 279 280 282 283 124 120", "a cut special piece");
    const struct g4_seg border[] = { { G4_SEG_TEMPLATE, "<|tu", 4 }, { G4_SEG_DATA, "", 0 }, { G4_SEG_DATA, "rn>", 3 } };
    segs(t, border, 3, SPELLED_TURN, "data cannot complete a control piece");
    const struct g4_seg front[] = { { G4_SEG_DATA, "<|turn", 6 }, { G4_SEG_TEMPLATE, ">", 1 } };
    segs(t, front, 2, SPELLED_TURN, "data cannot begin a control piece");
    const struct g4_seg mixed[] = { { G4_SEG_USER, "<|tool", 6 }, { G4_SEG_TEMPLATE, "_call>", 6 } };
    segs(t, mixed, 2, "6", "least trust of the bytes decides");
    const struct g4_seg join[] = { { G4_SEG_TEMPLATE, "<|turn>a", 8 }, { G4_SEG_DATA, "bc", 2 }, { G4_SEG_TEMPLATE, "<turn|>", 7 } };
    segs(t, join, 3, "4 273 5", "raw text is joined before merging");
    const struct g4_seg tabs[] = { { G4_SEG_DATA, "\t", 1 }, { G4_SEG_TEMPLATE, "\t", 1 } };
    segs(t, tabs, 2, "7", "a white space run goes across a border");
}

/* ---- the plain encoder ------------------------------------------------- */

static double priority(bool score, g4_str a, g4_str b)
{
    g4_str s = {0};
    g4_str_addf(&s, score ? "%s%s" : "%s %s", a.p, b.p);
    double found = INFINITY;
    for (size_t i = 0; !score && i < N_MERGES && found == INFINITY; i++)
        if (!strcmp(merges[i], s.p)) found = (double)i;
    for (size_t i = 0; score && i < N_LETTERS; i++)
        if (letters[i].type == 1 && !strcmp(letters[i].text, s.p)) found = -letters[i].score;
    g4_str_free(&s);
    return found;
}

static void plain_symbol(g4_str s, g4_str *out)
{
    for (uint32_t id = FIRST; id < N; id++)
        if (letters[id - FIRST].type == 1 && !strcmp(letters[id - FIRST].text, s.p)) {
            g4_str_addf(out, " %u", id);
            return;
        }
    for (size_t i = 0; i < s.n; i++) g4_str_addf(out, " %u", (uint8_t)s.p[i] + FIXED);
}

static void plain_encode(bool score, const char *text, g4_str *out)
{
    g4_str sym[64] = {0};
    size_t n = 0;
    for (size_t i = 0, len; text[i]; i += len) {
        len = g4_utf8_decode(text + i, strlen(text + i), NULL);
        g4_str_add(&sym[n++], text[i] == ' ' ? SP : text + i, text[i] == ' ' ? 3 : len);
    }
    for (;;) {
        double best = INFINITY;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const double p = priority(score, sym[i], sym[i + 1]);
            if (p < best) { best = p; at = i; }
        }
        if (best == INFINITY) break;
        g4_str_add(&sym[at], sym[at + 1].p, sym[at + 1].n);
        g4_str_free(&sym[at + 1]);
        memmove(sym + at + 1, sym + at + 2, (--n - at - 1) * sizeof *sym);
    }
    for (size_t i = 0; i < n; i++) {
        plain_symbol(sym[i], out);
        g4_str_free(&sym[i]);
    }
}

static void random_texts(const g4_tokenizer *t, bool score)
{
    static const char *const alphabet[] = { "a", "b", "c", " ", " ", "a", "b", "c", "<", "\xC3\xA9", SP };
    uint64_t seed = 7;
    int wrong = 0;
    for (int round = 0; round < 2000; round++) {
        g4_str text = {0}, want = {0};
        g4_str_adds(&text, "");
        for (int i = 0; i < round % 40; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            g4_str_adds(&text, alphabet[(seed >> 33) % 11]);
        }
        g4_str_adds(&want, "");
        plain_encode(score, text.p, &want);
        /* The first text of a tokenizer has a table of its own. */
        g4_tokenizer *fresh = make(score, NULL, NULL);
        for (int k = 0; k < 2; k++) {
            char *got = encode(k ? fresh : t, &(struct g4_seg){ G4_SEG_DATA, text.p, text.n }, 1);
            if (strcmp(got, want.n ? want.p + 1 : "") && !wrong++) printf("# '%s'\n# got %s, expected%s\n", text.p, got, want.p);
            free(got);
        }
        g4_tokenizer_free(fresh);
        g4_str_free(&text);
        g4_str_free(&want);
    }
    is_int(wrong, 0, "2000 random texts, first and later ones, as the plain encoder has them");
}

/* ---- decoding ---------------------------------------------------------- */

static void decodes(const g4_tokenizer *t, int32_t id, bool special, const char *want, const char *what)
{
    g4_str s = {0};
    g4_str_adds(&s, "");
    g4_tokenizer_piece(t, id, special, &s);
    is_str(s.p, want, what);
    g4_str_free(&s);
}

static void decoding(const g4_tokenizer *t)
{
    decodes(t, 275, false, " ab", "U+2581 is a space");
    decodes(t, 285, false, "b c", "also inside");
    decodes(t, 4, false, "", "control pieces are hidden");
    decodes(t, 4, true, "<|turn>", "control pieces are shown when asked");
    decodes(t, 3, false, "", "so is the unknown piece");
    decodes(t, 6, false, "<|tool_call>", "user-defined pieces show");
    decodes(t, FIXED + 'A', false, "A", "byte pieces are bytes");
    decodes(t, -1, true, "", "no such id");
    decodes(t, N, true, "", "no such id");
    is_int(g4_tokenizer_find(t, "<|turn>", 7), 4, "a piece by its text");
    is_int(g4_tokenizer_find(t, "nope", 4), -1, "no such piece");
    is_int(g4_tokenizer_find(t, "", 0), -1, "the empty piece is a hole");
    is_int(g4_tokenizer_vocab(t)->bos, 2, "the start id is found by its text");
    is_int(g4_tokenizer_vocab(t)->eos, 1, "an end id out of range is replaced");
    is_int(g4_tokenizer_vocab(t)->type[9], G4_PIECE_UNUSED, "control pieces named unused are unused");
}

static void stream(bool raw, const char *in, size_t n, const char *want, size_t want_n, const char *what)
{
    for (size_t cut = 1; cut <= 3; cut++) {
        struct g4_utf8_stream s = { .raw = raw };
        g4_str out = {0};
        size_t most = 0;
        for (size_t i = 0; i < n; i += cut) {
            g4_utf8_stream_push(&s, in + i, i + cut < n ? cut : n - i, &out);
            most = s.n > most ? s.n : most;
        }
        g4_utf8_stream_flush(&s, &out);
        is_mem(out.p, out.n, want, want_n, what);
        ok(most <= 3, "%s: at most 3 bytes are held", what);
        g4_str_free(&out);
    }
}
#define STREAM(raw, in, want, what) stream(raw, in, sizeof(in) - 1, want, sizeof(want) - 1, what)
#define FFFD "\xEF\xBF\xBD"

static void streaming(void)
{
    STREAM(false, "a\xE2\x82\xAC\xF0\x9F\x99\x82z\0", "a\xE2\x82\xAC\xF0\x9F\x99\x82z\0", "whole characters");
    STREAM(false, "\xE2\x82" "a", FFFD FFFD "a", "a cut character before a letter");
    STREAM(false, "\xF0\x9F\x99", FFFD FFFD FFFD, "a cut character at the end");
    STREAM(false, "\xFF\xE2\x82\xAC\x80", FFFD "\xE2\x82\xAC" FFFD, "good bytes between bad ones");
    STREAM(false, "\xE2\xE2\x82\xAC", FFFD "\xE2\x82\xAC", "a lead byte before a whole character");
    STREAM(true, "\xFF\xE2\x82" "a\xC3", "\xFF\xE2\x82" "a\xC3", "raw: bytes as they are");
}

/* ---- size and hostility ------------------------------------------------ */

static void long_texts(const g4_tokenizer *t)
{
    static const char *const units[] = { "a", "ab", " ", "\n", "<", "\t", "<|turn>", "b c", "\xFF", "\xC3\xA9" };
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        const size_t len = strlen(units[u]), n = (1 << 20) / len * len;
        char *text = g4_alloc(n);
        for (size_t i = 0; i < n; i += len) memcpy(text + i, units[u], len);
        int32_t *ids = NULL;
        size_t n_ids = 0, cap = 0;
        const clock_t from = clock();
        g4_tokenizer_encode(t, &(struct g4_seg){ G4_SEG_DATA, text, n }, 1, &ids, &n_ids, &cap);
        const double s = (double)(clock() - from) / CLOCKS_PER_SEC;
        g4_str back = {0};
        for (size_t i = 0; i < n_ids; i++) g4_tokenizer_piece(t, ids[i], false, &back);
        ok(back.n == n && !memcmp(back.p, text, n), "1 MB of unit %zu comes back", u);
        ok(s < 5, "1 MB of unit %zu in %.3f s", u, s);
        g4_str_free(&back);
        free(ids);
        free(text);
    }
}

static void hostile(void)
{
    g4_err err = {0};
    ok(!make(false, "abc", &err) && err.code == G4_EFORMAT, "a piece that comes twice: %s", err.msg);
    err = (g4_err){0};
    ok(!g4_tokenizer_new(&(struct g4_vocab){ .n = 0 }, &err) && err.code == G4_EFORMAT, "no pieces: %s", err.msg);
    err = (g4_err){0};
    ok(!g4_tokenizer_new(&(struct g4_vocab){ .n = UINT32_MAX }, &err) && err.code == G4_EFORMAT, "too many: %s", err.msg);
    uint8_t type[2] = { 1, 1 };
    const g4_sv piece[2] = { { "a", 1 }, { "b", 1 } };
    g4_tokenizer *t = g4_tokenizer_new(&(struct g4_vocab){ .n = 2, .piece = piece, .type = type, .bos = -1, .eos = -1, .unk = -1, .pad = -1 }, &err);
    one(t, G4_SEG_TEMPLATE, "abcba\xFF", "0 1 1 0", "without byte pieces and unknown piece the rest is dropped");
    g4_tokenizer_free(t);
}

int main(void)
{
    for (int score = 0; score < 2; score++) {
        g4_err err = {0};
        g4_tokenizer *t = make(score, NULL, &err);
        if (!ok(t != NULL, "%s form%s", score ? "score" : "rank", err.msg)) return done_testing();
        merging(t, score);
        specials(t);
        random_texts(t, score);
        decoding(t);
        long_texts(t);
        g4_tokenizer_free(t);
    }
    streaming();
    hostile();
    return done_testing();
}
