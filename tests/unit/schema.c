/* Schemas that are refused, and why; matchers: what is forced, taking back, the end
 * that is found in time, values of tool calls, the automaton forgetting; the file of
 * the vocabulary by its bytes. */
#include "../realvocab.h"
#include "../tap.h"
#include "base/hash.h"
#include "text/matcher.h"
#include "text/schema.h"
#include "text/validate.h"

static g4_tokenizer *tok;
static g4_pieces *pieces;
static uint32_t *bits;
static uint64_t seed = 11;

static uint32_t draw(uint32_t n)
{
    seed = g4_mix64(seed + 1);
    return (uint32_t)(seed % n);
}

static g4_automaton *compile(const char *schema, bool any_order, g4_err *err)
{
    const g4_json root = { schema, strlen(schema) };
    const struct g4_schema_params p = { .root = root, .schema = root, .any_order = any_order };
    g4_grammar *g = g4_grammar_new();
    g4_node node;
    if (g4_schema_node(g, &p, &node, err)) {
        g4_grammar_free(g);
        return NULL;
    }
    g4_grammar_start(g, node);
    return g4_automaton_new(g, err);
}

/* ---- refusals ------------------------------------------------------------------- */

static void refusals(void)
{
    static const struct { const char *schema, *why; } bad[] = {
        { "{\"not\":{}}", "'not' at '#'" },
        { "{\"properties\":{\"a/b\":{\"patternProperties\":{}}}}", "'patternProperties' at '#/properties/a~1b'" },
        { "{\"items\":{\"contains\":true}}", "'contains' at '#/items'" },
        { "{\"properties\":{\"a\":{\"minLenght\":2}}}", "'minLenght' at '#/properties/a'" },
        { "{\"$defs\":{\"x\":{\"if\":true}},\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/x\"}]}", "'if' at '#/$defs/x'" },
        { "{\"unevaluatedProperties\":false}", "'unevaluatedProperties'" }, { "{\"$dynamicRef\":\"#a\"}", "'$dynamicRef'" },
        { "{\"$ref\":\"https://example.org/x\"}", "only places in the same schema" }, { "{\"$ref\":\"#/nowhere\"}", "leads nowhere" },
        { "{\"items\":[{}]}", "older draft" }, { "{\"type\":\"text\"}", "'type' at '#'" }, { "{\"type\":[\"string\",3]}", "'type'" },
        { "{\"minLength\":-1}", "'minLength'" }, { "{\"minItems\":1.5}", "'minItems'" }, { "{\"enum\":3}", "'enum'" },
        { "{\"properties\":[]}", "'properties'" }, { "{\"required\":[1]}", "'required'" }, { "{\"multipleOf\":0}", "'multipleOf'" },
        { "{\"multipleOf\":-2}", "'multipleOf'" }, { "{\"pattern\":\"(?=a)\"}", "look-ahead" }, { "{\"anyOf\":[]}", "'anyOf'" },
        { "{\"properties\":{\"a\":3}}", "must be an object, true or false" }, { "{\"enum\":[]}", "no value at all" }, { "false", "no value at all" },
        { "{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "no value at all" },
        { "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":false}}", "no value at all" },
        { "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"type\":\"object\",\"properties\":{\"b\":{\"$ref\":\"#/$defs/a\"}},\"required\":[\"b\"]}}}", "no value at all" },
        { "{\"type\":\"integer\",\"minimum\":1e40}", "34 digits" },
        { "{\"$ref\":\"#\"}", "'$ref' at '#'" }, { "{\"allOf\":[{\"type\":\"object\",\"$ref\":\"#/$defs/a\"}],\"$defs\":{\"a\":{\"$ref\":\"#\"}}}", "refers to itself without end" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        g4_err err = {0};
        g4_automaton *a = compile(bad[i].schema, false, &err);
        if (!ok(!a && err.code == G4_ESCHEMA && strstr(err.msg, bad[i].why), "refused: %s: %s", bad[i].schema, bad[i].why)) printf("# %s\n", err.msg);
        g4_automaton_free(a);
    }
}

static void put_many(g4_str *s, const char *unit, int n)
{
    for (int i = 0; i < n; i++) g4_str_adds(s, unit);
}

/* Schemas that are meant to cost: refused, or done with at once. */
static void hostile(void)
{
    static const struct { const char *head, *unit; int n; const char *tail, *why; } t[] = {
        { "{\"enum\":[0", ",1", 20000, "]}", "more than 10000 values" }, { "{\"type\":\"string\",\"pattern\":\"", "a", 30000, "\"}", "more than 20000 bytes" },
        { "{\"type\":\"string\",\"pattern\":\"", "a", 19000, "\"}", "too much memory" }, { "{\"enum\":[\"", "x", 900000, "\",\"y\"]}", NULL },
        { "{\"const\":\"", "x", 2000000, "\"}", "more than 1 MiB" }, { "{\"anyOf\":[{}", ",{\"minLength\":1}", 30000, "]}", "more than 1000 branches" },
        { "", "{\"items\":", 400, "true", "nested too deep" }, { "{\"type\":\"string\",\"pattern\":\"", "(a|b)?", 300, "\"}", NULL },
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        g4_str s = {0};
        g4_err err = {0};
        g4_str_adds(&s, t[i].head);
        put_many(&s, t[i].unit, t[i].n);
        g4_str_adds(&s, t[i].tail);
        if (!t[i].head[0]) put_many(&s, "}", t[i].n);
        g4_automaton *a = compile(s.p, false, &err);
        ok(t[i].why ? !a && strstr(err.msg, t[i].why) : a != NULL, "%d times '%s': %s", t[i].n, t[i].unit, a ? "compiled" : err.msg);
        g4_automaton_free(a);
        g4_str_free(&s);
    }
}

/* ---- one text ---------------------------------------------------------------------- */

static bool takes(const char *schema, const char *text, bool any_order)
{
    g4_err err = {0};
    g4_automaton *a = compile(schema, any_order, &err);
    if (!a) printf("# %s: %s\n", schema, err.msg);
    if (!a) return false;
    g4_matcher *m = g4_matcher_new(a, pieces, tok, false);
    const bool good = g4_matcher_bytes(m, text, strlen(text)) && g4_matcher_done(m);
    g4_matcher_free(m);
    g4_automaton_free(a);
    return good;
}

static void texts(void)
{
    static const struct { const char *schema, *text; bool want; } t[] = {
        { "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", "{\"a\":1,\"a\":2}", false },
        { "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", "{\"a\":1,\"\\u0061\":2}", false },
        { "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", "{\"a\":1,\"aa\":2}", true },
        { "{\"uniqueItems\":true}", "[1,1.0]", false }, { "{\"uniqueItems\":true}", "[{\"a\":1,\"b\":[2]},{\"b\":[2.0],\"a\":1e0}]", false },
        { "{\"uniqueItems\":true}", "[1,\"1\",true,[1],{\"1\":1},null]", true }, { "{\"uniqueItems\":true}", "[[1,1]]", true },
        { "{\"items\":{\"uniqueItems\":true}}", "[[1,2],[1,2],[3,3]]", false },
        { "{\"oneOf\":[{\"minLength\":2,\"type\":\"string\"},{\"maxLength\":4,\"type\":\"string\"}]}", "\"abc\"", false },
        { "{\"oneOf\":[{\"minLength\":2,\"type\":\"string\"},{\"maxLength\":4,\"type\":\"string\"}]}", "\"abcde\"", true },
        { "{\"type\":\"array\",\"items\":{\"oneOf\":[{\"type\":\"integer\",\"minimum\":0},{\"type\":\"integer\",\"maximum\":10}]}}", "[-1,11,5]", false },
        { "{\"type\":\"array\",\"items\":{\"oneOf\":[{\"type\":\"integer\",\"minimum\":0},{\"type\":\"integer\",\"maximum\":10}]}}", "[-1, 11]", true },
        { "{\"const\":{\"a\":[1,\"x\"],\"b\":null}}", "{ \"a\" : [ 1.0 , \"\\u0078\" ] , \"b\" : null }", true },
        { "{\"type\":\"string\",\"pattern\":\"^a+$\",\"maxLength\":3}", "\"aaaa\"", false },
        { "{\"type\":\"string\",\"pattern\":\"b$\",\"minLength\":2,\"maxLength\":3}", "\"aab\"", true },
        { "{\"type\":\"string\"}", "\"\\ud83d\\ude42\"", true }, { "{\"type\":\"string\"}", "\"\\ud83d\"", false }, { "{\"type\":\"string\"}", "\"\\ude42\"", false },
        { "{\"type\":\"string\"}", "\"\xED\xA0\x80\"", false }, { "{\"type\":\"string\"}", "\"\xC0\xAF\"", false }, { "{\"type\":\"string\"}", "\"\t\"", false },
        { "{\"type\":\"string\",\"maxLength\":1}", "\"\xF0\x9F\x99\x82\"", true }, { "{\"type\":\"integer\"}", "007", false }, { "{\"type\":\"integer\"}", "-", false },
        { "{\"type\":\"integer\"}", "1.00", true }, { "{\"type\":\"integer\"}", "1.01", false }, { "{\"type\":\"number\"}", "1e", false }, { "{}", "{\"a\":[1,{}]}", true },
        { "{\"allOf\":[{\"multipleOf\":4},{\"multipleOf\":6}],\"type\":\"integer\",\"minimum\":1}", "12", true },
        { "{\"allOf\":[{\"multipleOf\":4},{\"multipleOf\":6}],\"type\":\"integer\",\"minimum\":1}", "8", false },
        { "{\"properties\":{\"a\":{\"enum\":[1,2]}},\"allOf\":[{\"properties\":{\"a\":{\"enum\":[2,3]}},\"required\":[\"a\"]}],\"type\":\"object\"}", "{\"a\":2}", true },
        { "{\"properties\":{\"a\":{\"enum\":[1,2]}},\"allOf\":[{\"properties\":{\"a\":{\"enum\":[2,3]}},\"required\":[\"a\"]}],\"type\":\"object\"}", "{\"a\":1}", false },
        { "{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", "null", true }, { "{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", "1", false },
        { "{\"type\":\"object\",\"minProperties\":2,\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"additionalProperties\":false}", "{\"c\":1}", false },
        { "{\"type\":\"object\",\"minProperties\":2,\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"additionalProperties\":false}", "{\"b\":1,\"c\":1}", true },
    };
    size_t wrong = 0, n = sizeof t / sizeof *t;
    for (size_t i = 0; i < n; i++) {
        if (takes(t[i].schema, t[i].text, false) == t[i].want) continue;
        wrong++;
        printf("# %s: %s should be %s\n", t[i].schema, t[i].text, t[i].want ? "accepted" : "refused");
    }
    ok(!wrong, "%zu texts, %zu decided wrongly", n, wrong);
    const char *s = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}},\"required\":[\"a\"],\"additionalProperties\":false}";
    ok(takes(s, "{\"b\":null,\"a\":null}", true) && !takes(s, "{\"b\":null,\"a\":null}", false), "members in any order, when that is asked for");
    ok(!takes(s, "{\"b\":null}", true) && !takes(s, "{\"a\":null,\"a\":null}", true), "... all that are required, and none twice");
}

/* ---- tokens -------------------------------------------------------------------------- */

static const char order[] =
    "{\"type\":\"object\",\"properties\":{\"customer\":{\"type\":\"string\",\"maxLength\":12},\"state\":{\"enum\":[\"open\",\"closed\"]},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"x\",\"y\",\"z\"]},\"uniqueItems\":true},\"more\":{\"$ref\":\"#\"}},"
    "\"required\":[\"customer\",\"state\"],\"additionalProperties\":false}";

static size_t allowed(int32_t *one)
{
    size_t n = 0;
    for (uint32_t i = 0; i < pieces->n_vocab; i++)
        if (bits[i / 32] >> (i & 31) & 1) n++, *one = draw((uint32_t)n) ? *one : (int32_t)i;
    return n;
}

/* One token more, forced or drawn; false: the end. */
static bool go_on(g4_matcher *m, int32_t *id)
{
    const int32_t *ids;
    if (g4_matcher_forced(m, &ids)) *id = ids[0];
    else {
        g4_matcher_mask(m, bits, pieces->n_vocab);
        const size_t n = allowed(id);
        if (!n || (g4_matcher_done(m) && draw(4) == 0)) return false;
    }
    if (!g4_matcher_accept(m, *id)) printf("# token %d is offered and not taken\n", *id);
    return true;
}

static void forced(void)
{
    g4_automaton *a = compile(order, false, NULL);
    g4_matcher *m = g4_matcher_new(a, pieces, tok, false);
    const int32_t *ids;
    g4_str s = {0};
    g4_matcher_bytes(m, "{\"", 2);
    const size_t n = g4_matcher_forced(m, &ids);
    for (size_t i = 0; i < n; i++) g4_tokenizer_piece(tok, ids[i], false, &s);
    ok(n && s.n >= 8 && !memcmp(s.p, "customer", 8), "the only key there can be is forced: '%s' in %zu tokens", s.p ? s.p : "", n);
    g4_str_clear(&s);
    g4_matcher_bytes(m, "customer\":\"\",\"state\":\"cl", 24);
    const size_t k = g4_matcher_forced(m, &ids);
    for (size_t i = 0; i < k; i++) g4_tokenizer_piece(tok, ids[i], false, &s);
    ok(k && s.n >= 4 && !memcmp(s.p, "osed", 4), "the rest of a value is forced: '%s'", s.p ? s.p : "");
    g4_matcher_free(m);
    g4_automaton_free(a);
    a = compile("{\"const\":\"x\xE2\x96\x81y\"}", false, NULL); /* a piece with U+2581 means a blank */
    m = g4_matcher_new(a, pieces, tok, false);
    for (int i = 0; i < 20 && !g4_matcher_done(m); i++) {
        int32_t id = -1;
        if (!go_on(m, &id)) break;
    }
    ok(g4_matcher_over(m), "a text that no piece spells comes out all the same: %.*s", (int)g4_matcher_text(m).n, g4_matcher_text(m).p);
    g4_str_free(&s);
    g4_matcher_free(m);
    g4_automaton_free(a);
}

static bool same_mask(g4_matcher *x, g4_matcher *y)
{
    const size_t words = (pieces->n_vocab + 31) / 32;
    uint32_t *other = g4_alloc(words * sizeof *other);
    g4_matcher_mask(x, bits, pieces->n_vocab);
    memcpy(other, bits, words * sizeof *other);
    g4_matcher_mask(y, bits, pieces->n_vocab);
    const bool same = !memcmp(other, bits, words * sizeof *other) && g4_matcher_done(x) == g4_matcher_done(y);
    free(other);
    return same;
}

static void rollback(void)
{
    g4_automaton *a = compile(order, false, NULL);
    size_t wrong = 0, compared = 0;
    for (int round = 0; round < 40; round++) {
        g4_matcher *m = g4_matcher_new(a, pieces, tok, false), *fresh = g4_matcher_new(a, pieces, tok, false);
        int32_t ids[80];
        size_t n = 0;
        while (n < 80 && go_on(m, &ids[n])) n++;
        const size_t back = draw((uint32_t)n + 1);
        g4_matcher_rollback(m, back);
        for (size_t i = 0; i < n - back; i++) g4_matcher_accept(fresh, ids[i]);
        wrong += !same_mask(m, fresh);
        for (size_t i = n - back; i < n; i++) wrong += !g4_matcher_accept(m, ids[i]), compared++;
        g4_matcher_free(m);
        g4_matcher_free(fresh);
    }
    ok(!wrong && compared > 100, "taken back, a matcher is where it was: %zu tokens again, %zu wrong", compared, wrong);
    g4_automaton_free(a);
}

/* More states than are kept: they are forgotten, and what matters is found again from the text. */
static void forgetting(void)
{
    static char text[30002] = "\"";
    g4_automaton *a = compile("{\"type\":\"string\",\"maxLength\":40000}", false, NULL);
    g4_matcher *m = g4_matcher_new(a, pieces, tok, false), *early = g4_matcher_new(a, pieces, tok, false);
    int32_t id = g4_tokenizer_find(tok, "a", 1);
    memset(text + 1, 'a', 30000);
    g4_matcher_bytes(early, "\"ab", 3);
    g4_matcher_bytes(m, text, 30001);
    for (int i = 0; i < 3 && id >= 0; i++) g4_matcher_accept(m, id);
    const unsigned age = g4_automaton_age(a);
    g4_matcher_mask(m, bits, pieces->n_vocab);
    const bool forgot = g4_automaton_age(a) != age;
    g4_matcher *fresh = g4_matcher_new(a, pieces, tok, false);
    g4_matcher_bytes(fresh, "\"ab", 3);
    ok(forgot && same_mask(early, fresh) && g4_matcher_bytes(early, "\"", 1) && g4_matcher_done(early), "an automaton that grew too large forgets, its matchers do not");
    g4_matcher_rollback(m, 3);
    ok(g4_matcher_bytes(m, "\"", 1) && g4_matcher_done(m) && g4_matcher_text(m).n == 30002, "... nor do they forget what was taken back");
    g4_matcher_free(m);
    g4_matcher_free(early);
    g4_matcher_free(fresh);
    g4_automaton_free(a);
}

/* As many tokens as there are: the value is whole all the same. */
static void limits(void)
{
    g4_automaton *a = compile(order, false, NULL);
    const g4_json schema = { order, strlen(order) };
    size_t cut = 0, invalid = 0;
    for (uint32_t tokens = 45; tokens < 245; tokens++) {
        g4_matcher *m = g4_matcher_new(a, pieces, tok, false);
        uint32_t left = tokens;
        int32_t id;
        g4_json v;
        g4_matcher_limit(m, tokens);
        while (left && go_on(m, &id)) left--;
        const g4_sv text = g4_matcher_text(m);
        cut += !g4_matcher_done(m);
        if (g4_matcher_done(m)) invalid += g4_json_check(text.p, text.n, &v, NULL) || g4_validate(schema, v, NULL);
        g4_matcher_free(m);
    }
    ok(!cut && !invalid, "limits of 45 to 244 tokens: %zu values cut, %zu invalid", cut, invalid);
    g4_automaton_free(a);
}

/* ---- calls ------------------------------------------------------------------------------ */

static void calls(void)
{
    const char *declared = "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"city\":{\"type\":\"string\"},"
                           "\"days\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"uniqueItems\":true},\"o\":{\"type\":\"object\"}},\"required\":[\"city\"]}}}";
    const int32_t quote = g4_tokenizer_find(tok, "<|\"|>", 5);
    const struct g4_dialect d = { true, quote };
    g4_grammar *g = g4_grammar_new();
    g4_node node;
    g4_err err = {0};
    if (!ok(quote >= 0 && !g4_schema_arguments(g, &d, (g4_json){ declared, strlen(declared) }, &node, &err), "arguments of a declared function %s", err.msg)) return;
    g4_grammar_start(g, node);
    g4_automaton *a = g4_automaton_new(g, &err);
    static const struct { const char *before, *string, *after; bool want; } t[] = {
        { "{city:", "O\"s\nlo {}", "}", true }, { "{days:[1,2],city:", "", ",o:{x_1:null}}", true }, { "{city:", "x", ",days:[1,1]}", false },
        { "{city:", "x", ",country:1}", false }, { "{city:", "x", ", days:[1]}", false }, { "{\"city\":", "x", "}", false },
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        g4_matcher *m = g4_matcher_new(a, pieces, tok, true);
        bool good = g4_matcher_bytes(m, t[i].before, strlen(t[i].before));
        good = good && g4_matcher_accept(m, quote) && g4_matcher_bytes(m, t[i].string, strlen(t[i].string)) && g4_matcher_accept(m, quote);
        good = good && g4_matcher_bytes(m, t[i].after, strlen(t[i].after)) && g4_matcher_done(m);
        ok(good == t[i].want, "a call's arguments %s: %s<|\"|>...<|\"|>%s", t[i].want ? "taken" : "refused", t[i].before, t[i].after);
        g4_matcher_free(m);
    }
    g4_automaton_free(a);
}

/* ---- the file ------------------------------------------------------------------------------ */

static bool same_pieces(const g4_pieces *x, const g4_pieces *y)
{
    return x->all.n == y->all.n && !memcmp(x->all.byte, y->all.byte, x->all.n) && !memcmp(x->all.id, y->all.id, 4 * x->all.n) &&
           !memcmp(x->chars, y->chars, x->n_vocab) && x->slice[0].rest.n == y->slice[0].rest.n;
}

static void spoil(const char *path, long at, bool cut)
{
    FILE *f = fopen(path, "r+");
    if (cut) {
        if (ftruncate(fileno(f), at)) perror(path);
    } else {
        fseek(f, at, SEEK_SET);
        const int c = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(c ^ 1, f);
    }
    fclose(f);
}

static void cache(void)
{
    char dir[] = "/tmp/g4-pieces-XXXXXX", command[100];
    g4_str path = {0};
    if (!mkdtemp(dir)) return;
    setenv("XDG_CACHE_HOME", dir, 1);
    g4_pieces_free(g4_pieces_new(tok, true));
    snprintf(command, sizeof command, "ls %s/g4/pieces-*", dir);
    FILE *ls = popen(command, "r");
    char name[200] = "";
    if (ls && fgets(name, sizeof name, ls)) name[strcspn(name, "\n")] = 0;
    if (ls) pclose(ls);
    g4_pieces *p = g4_pieces_new(tok, true);
    ok(p->from_cache && same_pieces(p, pieces), "the vocabulary by its bytes comes from its file: %s", name);
    g4_pieces_free(p);
    for (int k = 0; k < 4; k++) {
        spoil(name, k == 0 ? 3 : k == 1 ? 30 : k == 2 ? 5000 : 4000, k == 3);
        p = g4_pieces_new(tok, true);
        ok(!p->from_cache && same_pieces(p, pieces), "a broken file is made anew (%d)", k);
        g4_pieces_free(p);
        p = g4_pieces_new(tok, true);
        ok(p->from_cache, "... and good again");
        g4_pieces_free(p);
    }
    setenv("XDG_CACHE_HOME", "/proc/nowhere", 1);
    p = g4_pieces_new(tok, true);
    ok(!p->from_cache && same_pieces(p, pieces), "where no file can be written there is none");
    g4_pieces_free(p);
    snprintf(command, sizeof command, "rm -r %s", dir);
    ok(system(command) == 0, "the folder is removed");
    g4_str_free(&path);
}

int main(void)
{
    g4_err err = {0};
    struct g4_vocab v;
    g4_weights *w = g4_weights_open("tests/data/text/g4-edge", G4_WEIGHTS_TEXT_ONLY, &err);
    tok = w && !g4_vocab_load(w, &v, &err) ? g4_tokenizer_new(&v, &err) : NULL;
    if (!ok(tok != NULL, "the tiny vocabulary %s", err.msg)) return done_testing();
    pieces = g4_pieces_new(tok, false);
    bits = g4_alloc(((size_t)pieces->n_vocab + 31) / 32 * sizeof *bits);
    refusals();
    hostile();
    texts();
    forced();
    rollback();
    forgetting();
    limits();
    calls();
    cache();
    free(bits);
    g4_pieces_free(pieces);
    g4_tokenizer_free(tok);
    g4_weights_free(w);
    return done_testing();
}
