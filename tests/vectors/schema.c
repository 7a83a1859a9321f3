/* Every document of tests/data/schema, judged by the validator and by the token mask:
 * compact, spread over lines and with escapes, cut by the tokenizer, into the smallest
 * pieces and at random; by the vocabulary of a tiny model, and by the real one where
 * it was fetched. */
#include "../lines.h"
#include "../realvocab.h"
#include "../tap.h"
#include "base/hash.h"
#include "text/matcher.h"
#include "text/schema.h"
#include "text/validate.h"

struct tally {
    size_t schemas, documents, wrong;
    const g4_tokenizer *t;     /* mask only */
    const g4_pieces *p;
    uint32_t *bits;
    size_t by_order, impossible, cuts;
};

/* ---- the validator ------------------------------------------------------------- */

static void verdicts(struct tally *t, g4_json line, const char *list, int want)
{
    for (g4_json_it it = g4_json_iter(g4_json_get(line, list)); g4_json_next(&it); t->documents++) {
        const g4_json name = g4_json_get(line, "name");
        g4_err err = {0};
        const int rc = g4_validate(g4_json_get(line, "schema"), it.value, &err);
        if (rc == want) continue;
        t->wrong++;
        printf("# %.*s: %.*s: %d %s\n", (int)name.n, name.p, (int)(it.value.n < 200 ? it.value.n : 200), it.value.p, rc, err.msg);
    }
}

static void judge(void *arg, g4_json line)
{
    struct tally *t = arg;
    t->schemas++;
    verdicts(t, line, "valid", G4_OK);
    verdicts(t, line, "invalid", G4_EINPUT);
}

/* ---- spellings of a document ------------------------------------------------------ */

static void put_escaped(g4_json s, g4_str *out, bool all)
{
    g4_str text = {0};
    g4_json_str(s, &text);
    if (!all) g4_json_put_str(out, text.p ? text.p : "", text.n);
    else g4_str_addc(out, '"');
    for (size_t i = 0; all && i < text.n;) {
        uint32_t cp = 0;
        i += g4_utf8_decode(text.p + i, text.n - i, &cp);
        if (cp > 0xFFFF) g4_str_addf(out, "\\u%04x\\u%04X", 0xD800 + ((cp - 0x10000) >> 10), 0xDC00 + ((cp - 0x10000) & 0x3FF));
        else g4_str_addf(out, "\\u%04x", cp);
    }
    if (all) g4_str_addc(out, '"');
    g4_str_free(&text);
}

/* way 0: compact; 1: every character of a string as \u; 2: blanks and lines between tokens. */
static void spell(g4_json v, int way, unsigned depth, g4_str *out)
{
    const enum g4_json_type t = g4_json_type(v);
    const char *gap = way == 2 ? "\n" : "";
    bool first = true;
    if (t == G4_JSON_STRING) put_escaped(v, out, way == 1);
    if (t != G4_JSON_ARRAY && t != G4_JSON_OBJECT) {
        if (t != G4_JSON_STRING) g4_str_add(out, v.p, v.n);
        return;
    }
    g4_str_addc(out, t == G4_JSON_ARRAY ? '[' : '{');
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it); first = false) {
        if (!first) g4_str_adds(out, way == 2 ? " ," : ",");
        g4_str_addf(out, "%s%*s", gap, way == 2 ? (int)depth + 1 : 0, "");
        if (t == G4_JSON_OBJECT) {
            put_escaped(it.key, out, way == 1);
            g4_str_adds(out, way == 2 ? "\t: " : ":");
        }
        spell(it.value, way, depth + 1, out);
    }
    g4_str_adds(out, gap);
    g4_str_addc(out, t == G4_JSON_ARRAY ? ']' : '}');
}

/* ---- cuts of a text ------------------------------------------------------------------ */

struct ids {
    int32_t *v;
    size_t n, cap;
};

/* A piece that the text begins with: the shortest (draw 0), or one of all.  0: none; else its length. */
static size_t piece_at(const g4_pieces *p, const char *s, size_t n, uint64_t draw, int32_t *id)
{
    const struct g4_trie *t = &p->all;
    size_t depth = 0, found = 0, len = 0;
    for (uint32_t i = 0, end = t->n; i < end && depth < n;) {
        if (t->byte[i] != (uint8_t)s[depth]) {
            i = t->skip[i];
            continue;
        }
        depth++;
        if (t->id[i] != -1 && (!found++ || (draw && g4_mix64(draw + depth) % found == 0))) {
            *id = t->id[i] >= 0 ? t->id[i] : p->twin[-2 - t->id[i]];
            len = depth;
        }
        end = t->skip[i++];
    }
    return len;
}

static bool cut(const struct tally *t, const g4_str *text, uint64_t way, struct ids *out)
{
    out->n = 0;
    if (way == 3) {
        const struct g4_seg seg = { G4_SEG_DATA, text->p, text->n };
        g4_tokenizer_encode(t->t, &seg, 1, &out->v, &out->n, &out->cap);
        return true;
    }
    for (size_t at = 0; at < text->n;) {
        int32_t id = -1;
        const size_t n = piece_at(t->p, text->p + at, text->n - at, way ? way * 1000 + at : 0, &id);
        if (!n) return false;
        G4_GROW(out->v, out->cap, out->n + 1);
        out->v[out->n++] = id;
        at += n;
    }
    return true;
}

static bool accepted(const struct tally *t, g4_automaton *a, const struct ids *x, const char **odd)
{
    g4_matcher *m = g4_matcher_new(a, t->p, t->t, false);
    bool good = true;
    for (size_t i = 0; i < x->n && good; i++) {
        g4_matcher_mask(m, t->bits, t->p->n_vocab);
        good = t->bits[x->v[i] / 32] >> (x->v[i] & 31) & 1;
        if (g4_matcher_accept(m, x->v[i]) != good) *odd = "mask and automaton disagree";
    }
    good = good && g4_matcher_done(m);
    g4_matcher_free(m);
    return good;
}

static void document(struct tally *t, g4_automaton *a, g4_json line, g4_json doc, bool want, bool order)
{
    struct ids x = {0};
    for (int way = 0; way < 3; way++) {
        g4_str text = {0};
        spell(doc, way, 0, &text);
        for (uint64_t c = 0; c < 4; c++) {
            const char *odd = NULL;
            if (!cut(t, &text, c, &x)) continue;
            t->cuts++;
            if (accepted(t, a, &x, &odd) == want && !odd) continue;
            const g4_json name = g4_json_get(line, "name");
            if (want && !odd && !order) {
                t->by_order++;
                continue;
            }
            t->wrong++;
            printf("# %.*s: %.*s: %s\n", (int)name.n, name.p, (int)(text.n < 300 ? text.n : 300), text.p, odd ? odd : want ? "refused" : "accepted");
        }
        g4_str_free(&text);
    }
    free(x.v);
}

static void mask_all(struct tally *t, g4_json line, bool order)
{
    const g4_json schema = g4_json_get(line, "schema");
    const struct g4_schema_params p = { .root = schema, .schema = schema, .any_order = order };
    g4_err err = {0};
    g4_node node;
    g4_grammar *g = g4_grammar_new();
    if (g4_schema_node(g, &p, &node, &err)) {
        printf("# refused: %s\n", err.msg);
        t->wrong++;
        g4_grammar_free(g);
        return;
    }
    g4_grammar_start(g, node);
    g4_automaton *a = g4_automaton_new(g, &err);
    t->impossible += !a;
    for (g4_json_it it = g4_json_iter(g4_json_get(line, "valid")); g4_json_next(&it); t->documents++)
        if (a) document(t, a, line, it.value, true, order);
        else t->wrong++;
    for (g4_json_it it = g4_json_iter(g4_json_get(line, "invalid")); g4_json_next(&it); t->documents++)
        if (a) document(t, a, line, it.value, false, order);
    g4_automaton_free(a);
}

static void mask(void *arg, g4_json line)
{
    mask_all(arg, line, false);
}

static void mask_any_order(void *arg, g4_json line)
{
    mask_all(arg, line, true);
}

/* ---- all ---------------------------------------------------------------------------------- */

static const struct { const char *name; size_t schemas, impossible; } files[] = { { "core", 66, 0 }, { "real", 35, 0 }, { "suite", 75, 3 } };

static g4_tokenizer *tiny_tokenizer(g4_weights **w, g4_err *err)
{
    struct g4_vocab v;
    *w = g4_weights_open("tests/data/text/g4-edge", G4_WEIGHTS_TEXT_ONLY, err);
    return *w && !g4_vocab_load(*w, &v, err) ? g4_tokenizer_new(&v, err) : NULL;
}

static void masks(const char *what, const g4_tokenizer *t, g4_pieces *p, size_t n_file)
{
    uint32_t *bits = g4_alloc(((size_t)p->n_vocab + 31) / 32 * sizeof *bits);
    for (size_t i = 0; i < n_file; i++) {
        char path[100];
        struct tally m = { .t = t, .p = p, .bits = bits }, any = m;
        snprintf(path, sizeof path, "tests/data/schema/%s.jsonl", files[i].name);
        each_line(path, mask, &m);
        ok(!m.wrong && m.cuts && m.impossible == files[i].impossible,
           "mask, %s, %s: %zu documents in %zu cuts, %zu wrong, %zu refused for the order of their members", what, files[i].name, m.documents, m.cuts, m.wrong, m.by_order);
        each_line(path, mask_any_order, &any);
        ok(!any.wrong && !any.by_order && any.cuts, "... in any order: %zu wrong", any.wrong);
    }
    free(bits);
    g4_pieces_free(p);
}

int main(void)
{
    g4_weights *w = NULL;
    g4_err err = {0};
    for (size_t i = 0; i < 3; i++) {
        char path[100];
        struct tally t = {0};
        snprintf(path, sizeof path, "tests/data/schema/%s.jsonl", files[i].name);
        each_line(path, judge, &t);
        ok(t.schemas == files[i].schemas && !t.wrong, "validator, %s: %zu schemas, %zu documents, %zu judged wrongly", files[i].name,
           t.schemas, t.documents, t.wrong);
    }
    g4_tokenizer *t = tiny_tokenizer(&w, &err);
    if (t) masks("tiny vocabulary", t, g4_pieces_new(t, false), 3);
    else ok(false, "the tiny vocabulary: %s", err.msg);
    g4_tokenizer_free(t);
    g4_weights_free(w);
    t = real_tokenizer(true, &w, &err);
    if (t) masks("262,144 pieces", t, g4_pieces_new(t, true), getenv("G4_TEST_FULL") ? 3 : 2);
    else skip("262,144 pieces", "no real vocabulary here (tests/fetch-tokenizer)");
    g4_tokenizer_free(t);
    g4_weights_free(w);
    return done_testing();
}
