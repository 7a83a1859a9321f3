/* Schemas that were changed at random: whatever compiles gives only values that the
 * validator calls valid, and never runs into a wall; what does not compile says why.
 * A part of a schema is replaced by a part of another, or by a value of any kind. */
#include "../lines.h"
#include "../tap.h"
#include "base/hash.h"
#include "base/mem.h"
#include "model/vocab.h"
#include "text/matcher.h"
#include "text/schema.h"
#include "text/validate.h"
#include "weights/weights.h"

enum { MAX_PARTS = 20000, TOKENS = 150 };

static const g4_tokenizer *tok;
static g4_pieces *pieces;
static uint32_t *bits;
static uint64_t seed = 1;
static g4_json part[MAX_PARTS]; /* values that stand somewhere in the fixtures */
static size_t n_part;
static g4_str schemas[300];
static size_t n_schema;
static size_t compiled, refused, values, cut, unknown, invalid, walls;

static uint32_t draw(uint32_t n)
{
    seed = g4_mix64(seed + 1);
    return (uint32_t)(seed % n);
}

static void collect(g4_json v)
{
    const enum g4_json_type t = g4_json_type(v);
    if (n_part < MAX_PARTS) part[n_part++] = v;
    if (t != G4_JSON_OBJECT && t != G4_JSON_ARRAY) return;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);) collect(it.value);
}

static void take(void *arg, g4_json line)
{
    const g4_json s = g4_json_get(line, "schema");
    if (n_schema == 300 || s.n > 3000) return;
    g4_str_add(&schemas[n_schema], s.p, s.n);
    collect((g4_json){ schemas[n_schema].p, schemas[n_schema].n });
    n_schema++;
}

static g4_json any_part(void)
{
    static const char *const other[] = { "0", "1", "-1", "2.5", "3", "\"a\"", "true", "false", "null", "[]", "{}", "\"^a+$\"", "\"date\"", "{\"$ref\":\"#\"}", "10", "1e3",
                                         "{\"enum\":[1,\"a\",null]}", "{\"uniqueItems\":true}", "[{\"type\":\"string\"},{\"type\":\"integer\"}]", "{\"multipleOf\":3}" };
    if (draw(3)) return part[draw((uint32_t)n_part)];
    const char *z = other[draw(sizeof other / sizeof *other)];
    return (g4_json){ z, strlen(z) };
}

/* Copies v; the value at number *left in walking order becomes another one, or is left out with its name. */
static void change(g4_json v, int *left, g4_str *out)
{
    const enum g4_json_type t = g4_json_type(v);
    if ((*left)-- == 0) v = any_part();
    else if (t == G4_JSON_OBJECT || t == G4_JSON_ARRAY) {
        bool first = true;
        g4_str_addc(out, t == G4_JSON_OBJECT ? '{' : '[');
        for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);) {
            if (*left == 0 && draw(4) == 0) {
                (*left)--;
                continue;
            }
            if (!first) g4_str_addc(out, ',');
            first = false;
            if (t == G4_JSON_OBJECT) {
                g4_str_add(out, it.key.p, it.key.n);
                g4_str_addc(out, ':');
            }
            change(it.value, left, out);
        }
        g4_str_addc(out, t == G4_JSON_OBJECT ? '}' : ']');
        return;
    }
    g4_str_add(out, v.p, v.n);
}

static int count_values(g4_json v)
{
    int n = 1;
    const enum g4_json_type t = g4_json_type(v);
    if (t != G4_JSON_OBJECT && t != G4_JSON_ARRAY) return n;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);) n += count_values(it.value);
    return n;
}

/* A value drawn token by token, forced ones as they come. */
static void draw_value(g4_automaton *a, g4_json schema)
{
    g4_matcher *m = g4_matcher_new(a, pieces, tok, false);
    bool wall = false;
    g4_matcher_limit(m, TOKENS);
    for (int left = TOKENS; left && !g4_matcher_over(m); left--) {
        const int32_t *ids;
        int32_t id = -1;
        if (g4_matcher_forced(m, &ids)) id = ids[0];
        if (id < 0) {
            uint32_t n = 0;
            g4_matcher_mask(m, bits, pieces->n_vocab);
            for (uint32_t i = 0; i < pieces->n_vocab; i++)
                if (bits[i / 32] >> (i & 31) & 1 && draw(++n) == 0) id = (int32_t)i;
            if (g4_matcher_done(m) && (!n || draw(3) == 0)) break;
            wall = !n;
            if (wall) break;
        }
        if (!g4_matcher_accept(m, id)) {
            printf("# %.*s: token %d is offered and not taken\n", (int)schema.n, schema.p, id);
            invalid++;
            break;
        }
    }
    const g4_sv text = g4_matcher_text(m);
    g4_json v;
    g4_err err = {0};
    if (!g4_matcher_done(m)) {
        cut++;
        walls += wall;
    } else {
        const int rc = g4_json_check(text.p, text.n, &v, &err) ? G4_EINPUT : g4_validate(schema, v, &err);
        values++;
        unknown += rc == G4_ESCHEMA;
        if (rc == G4_EINPUT) {
            invalid++;
            printf("# %.*s: %.*s: %s\n", (int)schema.n, schema.p, (int)text.n, text.p, err.msg);
        }
    }
    g4_matcher_free(m);
}

static void try_one(g4_json schema)
{
    const struct g4_schema_params p = { .root = schema, .schema = schema, .any_order = draw(2) };
    g4_grammar *g = g4_grammar_new();
    g4_node node;
    g4_err err = {0};
    if (g4_schema_node(g, &p, &node, &err)) {
        refused++;
        if (!err.code || !err.msg[0]) invalid++;
        g4_grammar_free(g);
        return;
    }
    g4_grammar_start(g, node);
    g4_automaton *a = g4_automaton_new(g, &err);
    if (!a) {
        refused++;
        return;
    }
    compiled++;
    for (int i = 0; i < 2; i++) draw_value(a, schema);
    g4_automaton_free(a);
}

int main(void)
{
    const char *files[] = { "core", "real", "suite" };
    g4_err err = {0};
    struct g4_vocab v;
    g4_weights *w = g4_weights_open("tests/data/text/g4-edge", G4_WEIGHTS_TEXT_ONLY, &err);
    g4_tokenizer *t = w && !g4_vocab_load(w, &v, &err) ? g4_tokenizer_new(&v, &err) : NULL;
    if (!ok(t != NULL, "the tiny vocabulary %s", err.msg)) return done_testing();
    tok = t;
    pieces = g4_pieces_new(t, false);
    bits = g4_alloc(((size_t)pieces->n_vocab + 31) / 32 * sizeof *bits);
    for (int i = 0; i < 3; i++) {
        char path[100];
        snprintf(path, sizeof path, "tests/data/schema/%s.jsonl", files[i]);
        each_line(path, take, NULL);
    }
    const int n = getenv("G4_TEST_FULL") ? 100000 : 4000;
    for (int i = 0; i < n; i++) {
        g4_str s = {0}, twice = {0};
        const g4_str *from = &schemas[draw((uint32_t)n_schema)];
        g4_json now = { from->p, from->n };
        int at = (int)draw((uint32_t)count_values(now));
        change(now, &at, &s);
        if (draw(2)) {
            now = (g4_json){ s.p, s.n };
            at = (int)draw((uint32_t)count_values(now));
            change(now, &at, &twice);
        }
        const g4_str *used = twice.n ? &twice : &s;
        g4_json schema;
        if (!g4_json_check(used->p, used->n, &schema, NULL)) try_one(schema);
        g4_str_free(&s);
        g4_str_free(&twice);
    }
    ok(!invalid && compiled > (size_t)n / 10 && refused > 0, "%d changed schemas, %zu compiled, %zu refused: %zu values, %zu invalid, %zu that cannot be judged", n,
       compiled, refused, values, invalid, unknown);
    ok(walls * 200 < values, "%zu values cut by the limit, %zu of them for lack of any way on", cut, walls);
    for (size_t i = 0; i < n_schema; i++) g4_str_free(&schemas[i]);
    free(bits);
    g4_pieces_free(pieces);
    g4_tokenizer_free(t);
    g4_weights_free(w);
    return done_testing();
}
