/* tests/unit/toolguide: tool turns with random declarations, first with a coin in
 * the model's place, then with a tiny random model.  Whatever is drawn under the
 * guide parses, calls a declared function, and has arguments that satisfy its
 * parameters. */
#include "../tap.h"

#include <unistd.h>

#include "../minivocab.h"
#include "base/hash.h"
#include "base/json.h"
#include "g4.h"
#include "text/parse.h"
#include "text/toolguide.h"
#include "text/validate.h"

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    return (uint32_t)(g4_mix64(++state) >> 32) % below;
}

/* ---- random declarations ------------------------------------------------------- */

static void put_name(g4_str *s)
{
    static const char first[] = "abcxyz_", rest[] = "abc019_-.";
    g4_str_addc(s, first[draw(sizeof first - 1)]);
    for (uint32_t n = draw(6); n--;) g4_str_addc(s, rest[draw(sizeof rest - 1)]);
}

static void put_schema(g4_str *s, int depth);

static void put_object(g4_str *s, int depth)
{
    g4_str required = {0};
    const uint32_t n = draw(4);
    g4_str_adds(s, "{\"type\":\"object\",\"properties\":{");
    for (uint32_t i = 0; i < n; i++) {
        g4_str name = {0};
        g4_str_addf(&name, "%c", 'p' + (int)i);
        put_name(&name);
        g4_str_addf(s, "%s\"%s\":", i ? "," : "", name.p);
        put_schema(s, depth + 1);
        if (draw(2)) g4_str_addf(&required, "%s\"%s\"", required.n ? "," : "", name.p);
        g4_str_free(&name);
    }
    g4_str_addf(s, "},\"required\":[%s]", required.n ? required.p : "");
    if (draw(4) == 0) g4_str_addf(s, ",\"additionalProperties\":%s", draw(2) ? "false" : "{\"type\":\"integer\"}");
    g4_str_addc(s, '}');
    g4_str_free(&required);
}

static void put_schema(g4_str *s, int depth)
{
    const int lo = (int)draw(40) - 20;
    switch (draw(depth > 2 ? 9 : 12)) {
    case 0: g4_str_adds(s, "{\"type\":\"string\"}"); break;
    case 1: g4_str_addf(s, "{\"type\":\"string\",\"minLength\":%u,\"maxLength\":%u}", draw(4), 4 + draw(9)); break;
    case 2: g4_str_adds(s, "{\"enum\":[\"red\",\"a b\",\"say \\\"hi\\\"\",\"{x}, [y]\",\"\\u00fc\"]}"); break;
    case 3: g4_str_adds(s, "{\"type\":\"string\",\"pattern\":\"^[a-f]{2,4}(-[0-9]+)?$\"}"); break;
    case 4: g4_str_addf(s, "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}", lo, lo + 3 + (int)draw(500)); break;
    case 5: g4_str_addf(s, "{\"type\":\"number\",\"exclusiveMinimum\":%d}", lo); break;
    case 6: g4_str_adds(s, "{\"type\":\"boolean\"}"); break;
    case 7: g4_str_adds(s, "{\"type\":[\"string\",\"null\"],\"format\":\"date\"}"); break;
    case 8: g4_str_adds(s, "{\"anyOf\":[{\"type\":\"integer\",\"multipleOf\":3},{\"const\":\"none\"}]}"); break;
    case 9:
        g4_str_addf(s, "{\"type\":\"array\",\"minItems\":%u,\"maxItems\":%u,\"items\":", draw(2), 1 + draw(3));
        put_schema(s, depth + 1);
        g4_str_addc(s, '}');
        break;
    default: put_object(s, depth); break;
    }
}

static void put_tools(g4_str *s)
{
    const uint32_t n = 1 + draw(4);
    g4_str_addc(s, '[');
    for (uint32_t i = 0; i < n; i++) {
        g4_str_addf(s, "%s{\"type\":\"function\",\"function\":{\"name\":\"t%u", i ? "," : "", i);
        put_name(s);
        g4_str_adds(s, "\",\"description\":\"d\"");
        if (draw(5)) {
            g4_str_adds(s, ",\"parameters\":");
            put_object(s, 0);
        }
        g4_str_adds(s, "}}");
    }
    g4_str_addc(s, ']');
}

static g4_json span(const g4_str *s)
{
    return (g4_json){ s->p, s->n };
}

/* ---- what must hold ------------------------------------------------------------- */

struct tally {
    uint32_t turns, calls, unparsed, undeclared, invalid, empty, cut;
    char why[300];
};

static void judge(struct tally *t, g4_json tools, const char *name, const char *arguments)
{
    g4_json value, declared = {0};
    g4_err err = {0};
    t->calls++;
    for (g4_json_it it = g4_json_iter(tools); g4_json_next(&it);)
        if (g4_json_is(g4_json_path(it.value, "function", "name"), name)) declared = g4_json_get(it.value, "function");
    if (!declared.p) {
        t->undeclared++;
        return;
    }
    const g4_json none = G4_SV("{\"maxProperties\":0}"), p = g4_json_get(declared, "parameters");
    if (g4_json_check(arguments, strlen(arguments), &value, &err) || g4_validate(p.p ? p : none, value, &err)) {
        t->invalid++;
        snprintf(t->why, sizeof t->why, "%.150s: %.130s", err.msg, arguments);
    }
}

static void report(const char *what, const struct tally *t)
{
    ok(!t->unparsed && !t->undeclared && !t->invalid && !t->empty, "%s: %u turns, %u calls: %u unparsed, %u undeclared, %u invalid, %u without a call%s%s",
       what, t->turns, t->calls, t->unparsed, t->undeclared, t->invalid, t->empty, *t->why ? ": " : "", t->why);
}

/* ---- a coin ---------------------------------------------------------------------- */

struct bench {
    const g4_tokenizer *tok;
    const g4_pieces *pieces;
    enum g4_chat_format format;
    int32_t stop[8];
    size_t n_stop;
};

static int32_t flip(const uint32_t *mask, uint32_t n_vocab)
{
    const uint32_t from = draw(n_vocab);
    for (uint32_t i = 0; i < n_vocab; i++) {
        const uint32_t id = (from + i) % n_vocab;
        if (mask[id / 32] >> (id & 31) & 1) return (int32_t)id;
    }
    return -1;
}

/* One turn; the ids it drew go to *ids. */
static void coin_ids(const struct bench *b, g4_toolguide *g, uint32_t most, int32_t *ids, uint32_t *n, bool back)
{
    const uint32_t n_vocab = g4_tokenizer_vocab(b->tok)->n, words = (n_vocab + 31) / 32;
    uint32_t *mask = g4_alloc(words * sizeof *mask);
    for (*n = 0; *n < most;) {
        const int32_t *forced;
        memset(mask, 0xff, words * sizeof *mask);
        int32_t id = -1;
        if (g4_toolguide_forced(g, &forced)) id = forced[0];
        else if (g4_toolguide_mask(g, mask, n_vocab)) id = flip(mask, n_vocab);
        else id = (int32_t)draw(n_vocab);
        if (id < 0) break;
        ids[(*n)++] = id;
        g4_toolguide_accept(g, id);
        if (back && *n > 5 && draw(8) == 0) { /* what a draft does: some were wrong */
            const uint32_t k = 1 + draw(5);
            g4_toolguide_rollback(g, k);
            *n -= k;
            continue;
        }
        bool end = false;
        for (size_t i = 0; i < b->n_stop; i++) end |= id == b->stop[i];
        if (end) break;
    }
    free(mask);
}

static void coin_turn(const struct bench *b, g4_json tools, const char *only, uint32_t most, bool back, struct tally *t)
{
    int32_t ids[4000];
    uint32_t n = 0;
    g4_err err = {0};
    g4_str answer = {0}, thought = {0};
    g4_automaton *a = g4_toolguide_compile(b->tok, b->format, tools, only, &err);
    if (!a) {
        t->unparsed++;
        snprintf(t->why, sizeof t->why, "%.250s", err.msg);
        return;
    }
    g4_toolguide *g = g4_toolguide_new(&(struct g4_toolguide_params){
        .calls = a, .pieces = b->pieces, .tok = b->tok, .format = b->format, .choice = G4_TOOL_REQUIRED, .stop = b->stop,
        .n_stop = b->n_stop, .max_tokens = most, .n_vocab = g4_tokenizer_vocab(b->tok)->n });
    coin_ids(b, g, most, ids, &n, back);
    g4_parse *p = g4_parse_new(&(struct g4_parse_params){ .tok = b->tok, .format = b->format, .tools = tools });
    bool end = false;
    for (uint32_t i = 0; i < n; i++) end |= g4_parse_push(p, ids[i], &answer, &thought);
    g4_parse_end(p, !end, &answer, &thought);
    const struct g4_parsed_call *call;
    const struct g4_parse_error *bad;
    const size_t n_call = g4_parse_calls(p, &call), n_bad = g4_parse_errors(p, &bad);
    t->turns++;
    t->cut += !end;
    if (n_bad) snprintf(t->why, sizeof t->why, "%.40s %.200s", bad->kind, bad->raw);
    t->unparsed += (uint32_t)n_bad + (answer.n > 0);
    t->empty += !n_call;
    for (size_t i = 0; i < n_call; i++) judge(t, tools, call[i].name, call[i].arguments);
    if (only && n_call != 1) t->undeclared++;
    g4_parse_free(p);
    g4_toolguide_free(g);
    g4_automaton_free(a);
    g4_str_free(&answer);
    g4_str_free(&thought);
}

static void coin(const char *what, const struct mini_piece *special, enum g4_chat_format format, uint32_t turns)
{
    struct bench b = { .tok = mini_tokenizer(special), .format = format };
    struct tally all = {0}, named = {0}, drafted = {0}, small = {0};
    char name[80];
    g4_pieces *pieces = g4_pieces_new(b.tok, false);
    b.pieces = pieces;
    b.n_stop = g4_parse_stop_ids(b.tok, format, b.stop);
    for (uint32_t i = 0; i < turns; i++) {
        g4_str tools = {0};
        put_tools(&tools);
        char *only = g4_json_dup(g4_json_path(g4_json_at(span(&tools), 0), "function", "name"));
        coin_turn(&b, span(&tools), NULL, 4000, false, &all);
        coin_turn(&b, span(&tools), only, 4000, false, &named);
        coin_turn(&b, span(&tools), NULL, 4000, true, &drafted);
        coin_turn(&b, span(&tools), NULL, 400, false, &small);
        free(only);
        g4_str_free(&tools);
    }
    snprintf(name, sizeof name, "%s, required", what);
    report(name, &all);
    snprintf(name, sizeof name, "%s, one function by name", what);
    report(name, &named);
    snprintf(name, sizeof name, "%s, with tokens taken back", what);
    report(name, &drafted);
    snprintf(name, sizeof name, "%s, 400 tokens at most", what);
    report(name, &small);
    is_int(small.cut, 0, "... which always was enough to come to an end");
    g4_pieces_free(pieces);
    g4_tokenizer_free((g4_tokenizer *)b.tok);
}

/* ---- a tiny model ------------------------------------------------------------------ */

/* g4-edge with a template, which makes it a chat model. */
static g4_engine *open_model(char *dir)
{
    char cmd[400];
    g4_err err = {0};
    snprintf(cmd, sizeof cmd, "ln -s \"$PWD\"/tests/data/text/g4-edge/* '%s' && echo '<|turn>' >'%s/chat_template.jinja'", dir, dir);
    if (system(cmd)) return NULL;
    g4_engine *e = g4_engine_new(&(g4_engine_params){ .model = dir, .device = "cpu", .parallel = 16, .context = 4000 }, &err);
    if (!e) printf("# %s\n", err.msg);
    return e;
}

static void take(struct tally *t, const g4_result *res, g4_json tools)
{
    g4_json calls = {0};
    t->turns++;
    if (res->err.code || res->note) {
        t->unparsed++;
        snprintf(t->why, sizeof t->why, "%.250s", res->err.code ? res->err.msg : res->note);
    }
    if (res->tool_calls) g4_json_check(res->tool_calls, strlen(res->tool_calls), &calls, NULL);
    t->cut += res->finish != G4_FINISH_TOOL_CALLS;
    t->empty += !g4_json_count(calls);
    for (g4_json_it it = g4_json_iter(calls); g4_json_next(&it);) {
        char *name = g4_json_dup(g4_json_path(it.value, "function", "name"));
        char *arguments = g4_json_dup(g4_json_path(it.value, "function", "arguments"));
        judge(t, tools, name ? name : "", arguments ? arguments : "");
        free(name);
        free(arguments);
    }
}

static void model(uint32_t turns)
{
    char dir[] = "/tmp/g4-toolguide-XXXXXX", cmd[100];
    g4_engine *e = mkdtemp(dir) ? open_model(dir) : NULL;
    struct tally t = {0};
    g4_str *tools = g4_alloc((turns + 1) * sizeof *tools);
    uint32_t sent = 0;
    g4_err err = {0};
    g4_event ev;
    for (uint32_t done = 0; e && done < turns;) {
        while (sent < turns && g4_in_flight(e) < 16) {
            g4_str q = {0};
            put_tools(&tools[sent]);
            g4_str_addf(&q, "{\"messages\":[{\"role\":\"user\",\"content\":\"Do %u.\"}],\"tools\":%s,\"options\":{\"tool_choice\":\"required\","
                        "\"max_tokens\":500,\"seed\":%u}}", sent, tools[sent].p, sent);
            if (!g4_submit(e, &(g4_request){ .json = q.p, .user = &tools[sent] }, &err)) printf("# refused: %s\n", err.msg);
            sent++;
            g4_str_free(&q);
        }
        if (g4_step(e, NULL, 0, -1, &ev, &err) <= 0) break;
        if (ev.kind != G4_EVENT_DONE) continue;
        take(&t, ev.result, span(ev.user));
        done++;
    }
    is_int(t.turns, turns, "a tiny model: every turn ends");
    report("a tiny model, required", &t);
    is_int(t.cut, 0, "... each for its calls");
    for (uint32_t i = 0; i < turns; i++) g4_str_free(&tools[i]);
    free(tools);
    g4_engine_free(e);
    snprintf(cmd, sizeof cmd, "rm -r '%s'", dir);
    if (system(cmd)) printf("# '%s' stays\n", dir);
}

int main(void)
{
    const bool full = getenv("G4_TEST_FULL") != NULL;
    coin("Gemma 4", mini_gemma4, G4_CHAT_GEMMA4_SMALL, full ? 500 : 60);
    coin("FunctionGemma", mini_function, G4_CHAT_FUNCTIONGEMMA, full ? 500 : 60);
    model(full ? 1000 : 60);
    return done_testing();
}
