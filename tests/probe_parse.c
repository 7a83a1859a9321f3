/* probe parse -m MODEL: {raw | raw_parts, chunks, tools, open_thought, dialect} to
 * {text, thinking, tool_calls, errors, finish}.
 *
 * raw is encoded with special pieces recognised and goes in id by id, raw_parts as
 * data and special parts.  chunks go in as text.  With chunks beside raw both are
 * parsed, and {error} says when they disagree; a vocabulary that lacks the
 * dialect's pieces gets raw as text too. */
#include <stdlib.h>
#include <string.h>

#include "probe.h"
#include "text/parse.h"

struct job {
    const g4_tokenizer *t;
    g4_json in;
    g4_parse *p;
    g4_str text, thinking;
};

static const struct { const char *name; enum g4_chat_format format; const char *piece[2]; } dialects[] = {
    {"gemma4", G4_CHAT_GEMMA4_LARGE, {"<|turn>", "<channel|>"}}, {"gemma3", G4_CHAT_GEMMA3, {"<start_of_turn>", "<unused95>"}},
    {"functiongemma", G4_CHAT_FUNCTIONGEMMA, {"<start_function_call>", "<escape>"}},
};

static size_t dialect_of(g4_json in)
{
    const g4_json d = g4_json_get(in, "dialect");
    for (size_t i = 1; i < sizeof dialects / sizeof *dialects; i++)
        if (g4_json_is(d, dialects[i].name)) return i;
    return 0;
}

static void begin(struct job *j)
{
    g4_str_clear(&j->text);
    g4_str_clear(&j->thinking);
    j->p = g4_parse_new(&(struct g4_parse_params){
        j->t, dialects[dialect_of(j->in)].format, probe_true(j->in, "open_thought"), g4_json_get(j->in, "tools"),
    });
}

static void push_ids(struct job *j, enum g4_seg_mode mode, g4_json text)
{
    g4_str s = {0};
    int32_t *ids = NULL;
    size_t n = 0, cap = 0;
    g4_json_str(text, &s);
    g4_tokenizer_encode(j->t, &(struct g4_seg){mode, s.p, s.n}, 1, &ids, &n, &cap);
    for (size_t i = 0; i < n && !g4_parse_push(j->p, ids[i], &j->text, &j->thinking); i++) {}
    free(ids);
    g4_str_free(&s);
}

static void push_text(struct job *j, g4_json text)
{
    g4_str s = {0};
    g4_json_str(text, &s);
    if (s.n) g4_parse_push_text(j->p, s.p, s.n, &j->text, &j->thinking);
    g4_str_free(&s);
}

/* Text whose special pieces count: ids where the vocabulary has those of the dialect. */
static void push_special(struct job *j, g4_json text)
{
    bool has = true;
    for (int i = 0; i < 2; i++) {
        const char *z = dialects[dialect_of(j->in)].piece[i];
        has = has && g4_tokenizer_find(j->t, z, strlen(z)) >= 0;
    }
    if (has) push_ids(j, G4_SEG_TEMPLATE, text);
    else push_text(j, text);
}

static void put_calls(struct job *j, g4_str *out)
{
    const struct g4_parsed_call *c;
    const size_t n = g4_parse_calls(j->p, &c);
    for (size_t i = 0; i < n; i++) {
        g4_str_adds(out, i ? ",{\"name\":" : "{\"name\":");
        g4_json_put_str(out, c[i].name, strlen(c[i].name));
        g4_str_addf(out, ",\"arguments\":%s}", c[i].arguments);
    }
}

static void put_errors(struct job *j, g4_str *out)
{
    const struct g4_parse_error *e;
    const size_t n = g4_parse_errors(j->p, &e);
    for (size_t i = 0; i < n; i++) {
        g4_str_addf(out, "%s{\"kind\":\"%s\"", i ? "," : "", e[i].kind);
        if (e[i].name) {
            g4_str_adds(out, ",\"name\":");
            g4_json_put_str(out, e[i].name, strlen(e[i].name));
        }
        g4_str_adds(out, ",\"raw\":");
        g4_json_put_str(out, e[i].raw, strlen(e[i].raw));
        g4_str_addc(out, '}');
    }
}

/* Ends the output and writes the result. */
static void finish(struct job *j, g4_str *out)
{
    const struct g4_parsed_call *c;
    const bool stopped = g4_parse_stopped(j->p);
    g4_parse_end(j->p, true, &j->text, &j->thinking);
    g4_str_adds(out, "{\"text\":");
    g4_json_put_str(out, j->text.p ? j->text.p : "", j->text.n);
    g4_str_adds(out, ",\"thinking\":");
    g4_json_put_str(out, j->thinking.p ? j->thinking.p : "", j->thinking.n);
    g4_str_adds(out, ",\"tool_calls\":[");
    put_calls(j, out);
    g4_str_adds(out, "],\"errors\":[");
    put_errors(j, out);
    g4_str_addf(out, "],\"finish\":\"%s\"}", !stopped ? "length" : g4_parse_calls(j->p, &c) ? "tool_calls" : "stop");
    g4_parse_free(j->p);
}

static void by_raw(struct job *j, g4_json raw, g4_json parts, g4_str *out)
{
    begin(j);
    if (g4_json_type(parts) != G4_JSON_ARRAY) push_special(j, raw);
    for (g4_json_it it = g4_json_iter(parts); g4_json_type(parts) == G4_JSON_ARRAY && g4_json_next(&it);) {
        if (g4_json_is(g4_json_at(it.value, 0), "data")) push_ids(j, G4_SEG_DATA, g4_json_at(it.value, 1));
        else push_special(j, g4_json_at(it.value, 1));
    }
    finish(j, out);
}

static void by_chunks(struct job *j, g4_json chunks, g4_str *out)
{
    begin(j);
    for (g4_json_it it = g4_json_iter(chunks); g4_json_next(&it);) push_text(j, it.value);
    finish(j, out);
}

static bool is_parts(g4_json v)
{
    if (g4_json_type(v) != G4_JSON_ARRAY) return false;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);)
        if (g4_json_type(it.value) != G4_JSON_ARRAY || g4_json_type(g4_json_at(it.value, 1)) != G4_JSON_STRING) return false;
    return true;
}

static bool is_strings(g4_json v)
{
    if (g4_json_type(v) != G4_JSON_ARRAY) return false;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);)
        if (g4_json_type(it.value) != G4_JSON_STRING) return false;
    return true;
}

static int parse(void *arg, g4_json in, g4_str *out, g4_err *err)
{
    struct job j = {.t = arg, .in = in};
    const g4_json raw = g4_json_get(in, "raw"), parts = g4_json_get(in, "raw_parts"), chunks = g4_json_get(in, "chunks");
    const bool whole = g4_json_type(raw) == G4_JSON_STRING || is_parts(parts), cut = is_strings(chunks);
    g4_str other = {0};
    int rc = 0;
    if (!whole && !cut) return g4_fail(err, G4_EINPUT, "neither raw, raw_parts nor chunks");
    if (whole) by_raw(&j, raw, parts, out);
    if (cut) by_chunks(&j, chunks, whole ? &other : out);
    if (whole && cut && (other.n != out->n || memcmp(other.p, out->p, out->n)))
        rc = g4_fail(err, G4_EINPUT, "raw and chunks give different results");
    g4_str_free(&other);
    g4_str_free(&j.text);
    g4_str_free(&j.thinking);
    return rc;
}

int probe_parse(int argc, char **argv)
{
    g4_weights *w;
    g4_tokenizer *t = probe_tokenizer(argc, argv, &w);
    const int status = probe_lines(parse, t);
    g4_tokenizer_free(t);
    g4_weights_free(w);
    return status;
}
