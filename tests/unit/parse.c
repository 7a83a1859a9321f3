/* The parser of model output: every vector in its given pieces, in other cuts,
 * id by id and in a file's raw parts; holding back; repairs beyond the vectors;
 * random ids and bytes; time. */
#include "text/parse.h"

#include <time.h>

#include "text/toolcalls.h"
#include "../lines.h"
#include "../minivocab.h"
#include "../tap.h"

static g4_tokenizer *gemma4, *gemma3, *function;

static uint32_t seed = 1;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* ---- one output, one result ------------------------------------------------------ */

struct got {
    g4_parse *p;
    g4_str answer, thought;
    bool stopped;
};

static struct got begin(const g4_tokenizer *t, enum g4_chat_format f, bool open, g4_json tools)
{
    return (struct got){.p = g4_parse_new(&(struct g4_parse_params){t, f, open, tools})};
}

static void end(struct got *g)
{
    g4_parse_free(g->p);
    g4_str_free(&g->answer);
    g4_str_free(&g->thought);
}

static void push_ids(struct got *g, const int32_t *id, size_t n)
{
    for (size_t i = 0; i < n && !g->stopped; i++) g->stopped = g4_parse_push(g->p, id[i], &g->answer, &g->thought);
}

static void push_encoded(struct got *g, const g4_tokenizer *t, enum g4_seg_mode mode, const char *s, size_t n)
{
    int32_t *ids = NULL;
    size_t n_ids = 0, cap = 0;
    g4_tokenizer_encode(t, &(struct g4_seg){mode, s, n}, 1, &ids, &n_ids, &cap);
    push_ids(g, ids, n_ids);
    free(ids);
}

/* Ends when no stop piece came; the finish reason as records spell it. */
static const char *finish(struct got *g)
{
    const struct g4_parsed_call *c;
    if (!g->stopped) g4_parse_end(g->p, true, &g->answer, &g->thought);
    return !g->stopped ? "length" : g4_parse_calls(g->p, &c) ? "tool_calls" : "stop";
}

/* ---- comparing ---------------------------------------------------------------------- */

static bool same_number(g4_json a, g4_json b)
{
    double x, y;
    const bool integers = !memchr(a.p, '.', a.n) && !memchr(b.p, '.', b.n) && !memchr(a.p, 'e', a.n) && !memchr(b.p, 'e', b.n);
    return g4_sv_same(a, b) || (!integers && g4_json_f64(a, &x) && g4_json_f64(b, &y) && x == y);
}

static bool same_string(g4_json a, g4_json b)
{
    g4_str x = {0}, y = {0};
    g4_json_str(a, &x);
    g4_json_str(b, &y);
    const bool same = x.n == y.n && (!x.n || !memcmp(x.p, y.p, x.n));
    g4_str_free(&x);
    g4_str_free(&y);
    return same;
}

/* Equal as JSON values, key order included. */
static bool same_json(g4_json a, g4_json b)
{
    const enum g4_json_type t = g4_json_type(a);
    if (t != g4_json_type(b)) return false;
    if (t == G4_JSON_STRING) return same_string(a, b);
    if (t == G4_JSON_NUMBER) return same_number(a, b);
    if (t != G4_JSON_ARRAY && t != G4_JSON_OBJECT) return g4_sv_same(a, b);
    if (g4_json_count(a) != g4_json_count(b)) return false;
    g4_json_it i = g4_json_iter(a), j = g4_json_iter(b);
    while (g4_json_next(&i) && g4_json_next(&j))
        if ((t == G4_JSON_OBJECT && !same_string(i.key, j.key)) || !same_json(i.value, j.value)) return false;
    return true;
}

static bool same_text(g4_json want, const g4_str *got)
{
    g4_str w = {0};
    g4_json_str(want, &w);
    const bool same = w.n == got->n && (!w.n || !memcmp(w.p, got->p, w.n));
    g4_str_free(&w);
    return same;
}

static bool same_calls(g4_json want, const g4_parse *p)
{
    const struct g4_parsed_call *c;
    const size_t n = g4_parse_calls(p, &c);
    if (n != g4_json_count(want)) return false;
    for (size_t i = 0; i < n; i++) {
        const g4_json w = g4_json_at(want, i);
        g4_json args;
        if (!g4_json_is(g4_json_get(w, "name"), c[i].name)) return false;
        if (g4_json_check_unique(c[i].arguments, strlen(c[i].arguments), &args, NULL) || !same_json(g4_json_get(w, "arguments"), args)) return false;
    }
    return true;
}

static bool same_errors(g4_json want, const g4_parse *p)
{
    const struct g4_parse_error *e;
    const size_t n = g4_parse_errors(p, &e);
    if (n != (want.p ? g4_json_count(want) : 0)) return false;
    for (size_t i = 0; i < n; i++) {
        const g4_json w = g4_json_at(want, i), name = g4_json_get(w, "name");
        if (!g4_json_is(g4_json_get(w, "kind"), e[i].kind) || (e[i].name ? !g4_json_is(name, e[i].name) : name.p != NULL)) return false;
    }
    return true;
}

/* ---- vectors ------------------------------------------------------------------------ */

static size_t n_wrong, n_runs;

static void judge(g4_json line, struct got *g, const char *how)
{
    const g4_json want = g4_json_get(line, "expected");
    const char *f = finish(g);
    bool any = false;
    const struct g4_parsed_call *c;
    const struct g4_parse_error *e;
    const size_t n_calls = g4_parse_calls(g->p, &c), n_errors = g4_parse_errors(g->p, &e);
    g4_json_bool(g4_json_get(line, "any"), &any);
    n_runs++;
    const bool good = any || (same_text(g4_json_get(want, "text"), &g->answer) && same_text(g4_json_get(want, "thinking"), &g->thought) &&
                              same_calls(g4_json_get(want, "tool_calls"), g->p) && same_errors(g4_json_get(want, "errors"), g->p) &&
                              g4_json_is(g4_json_get(line, "finish"), f));
    if (!good && n_wrong++ < 20) {
        g4_str s = {0};
        g4_calls_json(c, n_calls, 0, &s);
        g4_errors_json(e, n_errors, &s);
        char *name = g4_json_dup(g4_json_get(line, "name"));
        printf("# %s (%s)\n# got      [%s] [%s] %s %s\n# expected %.*s\n", name, how, g->answer.p, g->thought.p, s.p, f, (int)want.n, want.p);
        free(name);
        g4_str_free(&s);
    }
    end(g);
}

static struct got start(g4_json line, const g4_tokenizer **t)
{
    const g4_json d = g4_json_get(line, "dialect");
    bool open = false;
    g4_json_bool(g4_json_get(line, "open_thought"), &open);
    *t = g4_json_is(d, "functiongemma") ? function : g4_json_is(d, "gemma3") ? gemma3 : gemma4;
    const enum g4_chat_format f = *t == function ? G4_CHAT_FUNCTIONGEMMA : *t == gemma3 ? G4_CHAT_GEMMA3 : G4_CHAT_GEMMA4_SMALL;
    return begin(*t, f, open, g4_json_get(line, "tools"));
}

static void push_text(struct got *g, const char *s, size_t n)
{
    g4_parse_push_text(g->p, s, n, &g->answer, &g->thought);
    g->stopped = g4_parse_stopped(g->p);
}

static void vector(void *arg, g4_json line)
{
    const g4_tokenizer *t;
    struct got g;
    g4_str raw = {0};
    const g4_json parts = g4_json_get(line, "raw_parts");
    if (g4_json_type(parts) == G4_JSON_ARRAY) {
        g = start(line, &t);
        for (g4_json_it it = g4_json_iter(parts); g4_json_next(&it);) {
            g4_str_clear(&raw);
            g4_json_str(g4_json_at(it.value, 1), &raw);
            push_encoded(&g, t, g4_json_is(g4_json_at(it.value, 0), "data") ? G4_SEG_DATA : G4_SEG_TEMPLATE, raw.p, raw.n);
        }
        judge(line, &g, "raw parts");
        g4_str_free(&raw);
        return;
    }
    g4_json_str(g4_json_get(line, "raw"), &raw);
    g = start(line, &t);
    push_encoded(&g, t, G4_SEG_TEMPLATE, raw.p, raw.n);
    judge(line, &g, "ids");
    const g4_json chunks = g4_json_get(line, "chunks");
    if (g4_json_type(chunks) == G4_JSON_ARRAY) {
        g = start(line, &t);
        for (g4_json_it it = g4_json_iter(chunks); g4_json_next(&it);) {
            g4_str c = {0};
            g4_json_str(it.value, &c);
            push_text(&g, c.p, c.n);
            g4_str_free(&c);
        }
        judge(line, &g, "chunks");
    }
    for (size_t cut = 0; cut < 12; cut++) { /* byte by byte, then random pieces */
        g = start(line, &t);
        for (size_t at = 0, n; at < raw.n; at += n) {
            n = cut ? 1 + rnd(20) : 1;
            if (n > raw.n - at) n = raw.n - at;
            push_text(&g, raw.p + at, n);
        }
        judge(line, &g, "another cut");
    }
    /* Ids that are cut otherwise: the text between marks byte by byte. */
    g = start(line, &t);
    for (size_t at = 0, n; at < raw.n && !g.stopped; at += n) {
        const char *shut = raw.p[at] == '<' ? memchr(raw.p + at, '>', raw.n - at) : NULL;
        n = shut && g4_tokenizer_find(t, raw.p + at, (size_t)(shut + 1 - raw.p) - at) >= 0 ? (size_t)(shut + 1 - raw.p) - at : 1;
        push_encoded(&g, t, n > 1 ? G4_SEG_TEMPLATE : G4_SEG_DATA, raw.p + at, n);
    }
    judge(line, &g, "other ids");
    g4_str_free(&raw);
}

/* ---- beyond the vectors ----------------------------------------------------------------- */

static g4_json json(const char *z)
{
    g4_json v = {0};
    if (z) g4_json_check(z, strlen(z), &v, NULL);
    return v;
}

/* "answer|thought|calls|errors" of an output. */
static void gives(const char *raw, const char *tools, const char *want, const char *what)
{
    struct got g = begin(gemma4, G4_CHAT_GEMMA4_LARGE, false, json(tools));
    push_encoded(&g, gemma4, G4_SEG_TEMPLATE, raw, strlen(raw));
    finish(&g);
    const struct g4_parsed_call *c;
    const struct g4_parse_error *e;
    const size_t n_calls = g4_parse_calls(g.p, &c), n_errors = g4_parse_errors(g.p, &e);
    g4_str s = {0};
    g4_str_addf(&s, "%s|%s|", g.answer.p ? g.answer.p : "", g.thought.p ? g.thought.p : "");
    for (size_t i = 0; i < n_calls; i++) g4_str_addf(&s, "%s%s%s", i ? " " : "", c[i].name, c[i].arguments);
    g4_str_addc(&s, '|');
    for (size_t i = 0; i < n_errors; i++) g4_str_addf(&s, "%s%s:%s", i ? " " : "", e[i].kind, e[i].raw);
    is_str(s.p, want, what);
    g4_str_free(&s);
    end(&g);
}

#define O "<|tool_call>"
#define C "<tool_call|>"
#define Q "<|\"|>"
#define S "<turn|>"

static void beyond(void)
{
    static const char known[] = "[{\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"s\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"},"
                                "\"o\":{\"type\":\"object\",\"properties\":{\"t\":{\"type\":[\"string\",\"null\"]}}}}}}}]";
    gives("<|turn>model\nHi" S, NULL, "Hi|||", "the turn opened once more");
    gives("<|turn>user\nHi" S, NULL, "|||", "somebody else's turn");
    gives("a<|channel>thought\nb<channel|>c<|channel>thought\nd<channel|>" S, NULL, "ac|b\nd||", "two thoughts");
    gives("<|channel>thought\na\n<|channel>thought\nb<channel|>c" S, NULL, "c|a\nb||", "a channel opened inside a thought");
    gives("<|channel>thought<channel|>c" S, NULL, "c|||", "a label alone");
    gives("<|channel>tho<channel|>c" S, NULL, "c|tho||", "a thought shorter than the label");
    gives("<|channel>thou", NULL, "|||", "a label that was cut");
    gives("use " Q "x" Q S, NULL, "use " Q "x" Q "|||", "delimiters in the answer");
    gives(O "call:f{s:" Q "a" Q "}" S, known, "||f{\"s\":\"a\"}|", "no close mark");
    gives(O "call:f{a:1}" O "call:g{b:2}" C S, NULL, "||f{\"a\":1} g{\"b\":2}|", "two calls, one close mark");
    gives(O "call:f{s:" Q "ls}" C O "call:g{b:" Q "x" Q "}" C S, NULL, "||f{\"s\":\"ls\"} g{\"b\":\"x\"}|", "a closing delimiter missing, then another call");
    gives(O "call:f{s:use " O "call:g{}" C " here}" C S, known, "||f{\"s\":\"use " O "call:g{}" C " here\"}|", "a call mark in bare text is text");
    gives(O "call:f{s:" Q "ls}" C " Done." S, NULL, "Done.||f{\"s\":\"ls\"}|", "an open string, then text");
    gives(O "call:f{a:" Q "x,b:" Q "y" Q "}" C S, NULL, "||f{\"a\":\"x\",\"b\":\"y\"}|", "a closing delimiter missing before a key");
    gives(O "call:f{s:" Q "a,n:1}" C S, known, "||f{\"s\":\"a\",\"n\":1}|", "the same, by the schema");
    gives(O "call:f{s:" Q "a}" C, NULL, "||f{\"s\":\"a\"}|", "the same, cut behind the close mark");
    gives(O "call:f{s:it is (, n:5}" C S, known, "||f{\"s\":\"it is (\",\"n\":5}|", "a lone parenthesis in bare text");
    gives(O "call:f{o:{t:some, text},n:1}" C S, known, "||f{\"o\":{\"t\":\"some, text\"},\"n\":1}|", "bare text in an inner object");
    gives(O "call:f{s:text without end" S, NULL, "|||tool_call_parse:call:f{s:text without end", "bare text without an end and without a schema");
    gives(O "call:f{a:}" C S, NULL, "|||tool_call_parse:call:f{a:}", "no value");
    gives(O "call:f{a:1} trailing" C S, NULL, "|||tool_call_parse:call:f{a:1} trailing", "text behind the arguments");
    gives(O "f{n:1}" C S, known, "||f{\"n\":1}|", "a declared name alone");
    gives(O "f{n:1}" C S, NULL, "|||tool_call_parse:f{n:1}", "an undeclared name alone");
    gives(O "call:f({\"n\": 1})" C S, NULL, "||f{\"n\":1}|", "an object in parentheses");
    gives(O "call:f{x:007,y:1e5,z:-,w:[a, b]}" C S, NULL, "||f{\"x\":\"007\",\"y\":1e5,\"z\":\"-\",\"w\":[\"a\",\"b\"]}|", "what is no number is text");
    gives(O "call:f{a:[1,2}" C S, NULL, "||f{\"a\":[1,2]}|", "a list that ends with its object");
    gives(O "call:f{q:\"a\\ud83d\\ude42\\ud800\\x\"}" C S, NULL, "||f{\"q\":\"a\xF0\x9F\x99\x82\xEF\xBF\xBD\\\\x\"}|", "escapes, good and bad");
    gives("call:f{n:1}call:f{n:2} and" S, known, "and||f{\"n\":1} f{\"n\":2}|", "bare calls, then text");
    gives("call:f" S, known, "call:f|||", "the beginning of a bare call");
    gives("call:f{n:1", known, "|||", "a bare call that was cut");
    gives(O "call:f{a:1}" C "<|channel>thought\nx<channel|>y" S, NULL, "y|x|f{\"a\":1}|", "a thought behind a call");
}

/* What a reader has seen of the answer never changes, and never ends in blanks. */
static void holding_back(void)
{
    static const char raw[] = "One \n\n two\t<|channel>thought\nhm \n<channel|>\n three  <turn|>";
    struct got g = begin(gemma4, G4_CHAT_GEMMA4_SMALL, false, (g4_json){0});
    int blanks = 0;
    for (size_t i = 0; i < sizeof raw - 1; i++) {
        push_text(&g, raw + i, 1);
        blanks += g.answer.n && (g.answer.p[g.answer.n - 1] == ' ' || g.answer.p[g.answer.n - 1] == '\n');
        blanks += g.thought.n && (g.thought.p[g.thought.n - 1] == ' ' || g.thought.p[g.thought.n - 1] == '\n');
    }
    is_int(blanks, 0, "no blank is given out before what follows it");
    is_str(g.answer.p, "One \n\n twothree", "the answer");
    is_str(g.thought.p, "hm", "the thought");
    end(&g);
    g = begin(gemma4, G4_CHAT_NONE, false, (g4_json){0});
    push_encoded(&g, gemma4, G4_SEG_DATA, "a \n", 3);
    is_str(g.answer.p, "a \n", "a base model's text comes as it is");
    end(&g);
}

static void details(void)
{
    int32_t stop[8];
    is_int((long long)g4_parse_stop_ids(gemma4, G4_CHAT_GEMMA4_SMALL, stop), 4, "Gemma 4 stops on four pieces");
    is_int((long long)g4_parse_stop_ids(gemma3, G4_CHAT_GEMMA3, stop), 3, "Gemma 3 on three");
    is_int((long long)g4_parse_stop_ids(gemma4, G4_CHAT_NONE, stop), 1, "a base model on one");
    struct got g = begin(gemma4, G4_CHAT_GEMMA4_SMALL, false, (g4_json){0});
    push_encoded(&g, gemma4, G4_SEG_TEMPLATE, "<|channel>thought\na", 19);
    ok(g4_parse_in_thought(g.p) && !g4_parse_in_call(g.p), "inside the thought");
    is_int(g4_parse_thought_tokens(g.p), 1, "tokens behind the label count");
    push_encoded(&g, gemma4, G4_SEG_TEMPLATE, O, strlen(O));
    ok(!g4_parse_in_thought(g.p) && g4_parse_in_call(g.p), "inside the call");
    end(&g);
    g4_str s = {0};
    g4_calls_json((struct g4_parsed_call[]){{"f", "{\"a\":\"\\n\"}"}, {"g\"", "{}"}}, 2, 0, &s);
    is_str(s.p, "[{\"id\":\"call_0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"\\\\n\\\"}\"}},"
                "{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"g\\\"\",\"arguments\":\"{}\"}}]", "calls in OpenAI's shape");
    g4_str_clear(&s);
    g4_errors_json((struct g4_parse_error[]){{"unknown_tool", "x", "r"}, {"tool_call_parse", NULL, ""}}, 2, &s);
    is_str(s.p, "[{\"kind\":\"unknown_tool\",\"name\":\"x\",\"raw\":\"r\"},{\"kind\":\"tool_call_parse\",\"raw\":\"\"}]", "errors");
    g4_str_free(&s);
}

/* ---- random input ----------------------------------------------------------------------- */

static int bad_result(struct got *g)
{
    const struct g4_parsed_call *c;
    int bad = 0;
    for (size_t i = 0, n = g4_parse_calls(g->p, &c); i < n; i++) {
        g4_json v;
        bad += g4_json_check_unique(c[i].arguments, strlen(c[i].arguments), &v, NULL) || g4_json_type(v) != G4_JSON_OBJECT;
    }
    return bad + !g4_utf8_valid(g->answer.p, g->answer.n, NULL) + !g4_utf8_valid(g->thought.p, g->thought.n, NULL);
}

static void random_input(int rounds)
{
    static const char *const bit[] = {
        O, C, Q, Q, Q, "<|channel>", "<channel|>", "call:", "f", "{", "}", "[", "]", "(", ")", ":", ",", "=", "'", "\"", "\\", " ", "\n", "thought\n", "a", "key:",
        "1", "-.5", "true", "null", "\xC3\xA9", "\xFF", "\xE2\x82", "<|tool_response>", "<eos>", "<|turn>", "\\u12", "x,n:", "s:",
    };
    static const char known[] = "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"s\":{\"type\":\"string\"},\"n\":{},\"a\":{\"properties\":{\"s\":{\"type\":\"string\"}}}}}}},5,{}]";
    int bad = 0, calls = 0, differ = 0;
    for (int i = 0; i < rounds; i++) {
        const g4_json tools = i & 1 ? json(known) : (g4_json){0};
        struct got a = begin(gemma4, (enum g4_chat_format)rnd(3), i % 3 == 0, tools), b = begin(gemma4, G4_CHAT_GEMMA4_SMALL, false, tools);
        struct got c = begin(gemma4, G4_CHAT_GEMMA4_SMALL, false, tools);
        const struct g4_parsed_call *list;
        g4_str text = {0};
        if (rnd(2)) g4_str_adds(&text, O "call:f{");
        for (uint32_t k = rnd(24); k; k--) g4_str_adds(&text, bit[rnd(sizeof bit / sizeof *bit)]);
        for (uint32_t k = 0; k < 40; k++) push_ids(&a, &(int32_t){(int32_t)rnd(330) - 5}, 1);
        finish(&a);
        for (size_t k = 0; k < text.n; k++) push_text(&b, text.p + k, 1);
        push_text(&c, text.p, text.n);
        differ += strcmp(finish(&b), finish(&c)) || b.answer.n != c.answer.n || b.thought.n != c.thought.n;
        calls += g4_parse_calls(b.p, &list) > 0;
        bad += bad_result(&a) + bad_result(&b);
        end(&a);
        end(&b);
        end(&c);
        g4_str_free(&text);
    }
    is_int(bad, 0, "random input: arguments are objects, texts are UTF-8");
    is_int(differ, 0, "and do not depend on the cut");
    ok(calls > rounds / 50, "with calls among it (%d of %d)", calls, rounds);
}

/* Half a megabyte of what invites looking back or ahead again and again. */
static void long_input(void)
{
    static const char *const unit[] = {"'", "\"", ",", ",x:", "\\", "[", "{", Q, O, C, " ", "s:'a,", "s:\"a,", "a:1,", "<|channel>thought\n", "<", "call:", "<|tool_cal", "\n", "'a' ,", ":'"};
    static const char *const head[] = {O "call:f{", O "call:f{s:", O "call:f{s:[", "", O "call:f{s:" Q};
    static const char known[] = "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"s\":{\"type\":\"string\"},\"x\":{}}}}}]";
    double worst = 0;
    const char *which = "";
    for (size_t h = 0; h < sizeof head / sizeof *head; h++)
        for (size_t u = 0; u < sizeof unit / sizeof *unit; u++) {
            g4_str s = {0};
            g4_str_adds(&s, head[h]);
            while (s.n < 100000) g4_str_adds(&s, unit[u]);
            g4_str_adds(&s, "}" C S);
            struct timespec a, b;
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
            struct got g = begin(gemma4, G4_CHAT_GEMMA4_SMALL, false, json(known));
            push_text(&g, s.p, s.n);
            finish(&g);
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
            const double t = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
            if (t > worst) {
                worst = t;
                which = unit[u];
            }
            end(&g);
            g4_str_free(&s);
        }
    ok(worst < 1.0, "100 kB of any one thing: at most %.3f s (of '%s')", worst, which);
}

int main(void)
{
    gemma4 = mini_tokenizer(mini_gemma4);
    gemma3 = mini_tokenizer(mini_gemma3);
    function = mini_tokenizer(mini_function);
    const bool full = getenv("G4_TEST_FULL") != NULL;
    is_int((long long)each_line("tests/data/chat/parse.jsonl", vector, NULL), 173, "vectors");
    ok(!n_wrong, "%zu of %zu runs of them are right: ids, given pieces, other cuts, other ids", n_runs - n_wrong, n_runs);
    beyond();
    holding_back();
    details();
    random_input(full ? 500000 : 20000);
    long_input();
    g4_tokenizer_free(gemma4);
    g4_tokenizer_free(gemma3);
    g4_tokenizer_free(function);
    return done_testing();
}
