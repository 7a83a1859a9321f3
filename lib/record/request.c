/* record/request: see request.h. */
#include "record/request.h"

#include <string.h>

#include "base/file.h"

/* ---- attached files ------------------------------------------------------ */

static const struct kind {
    const char *type, *magic;
    size_t at, n;
} kinds[] = {
    { "image", "\x89PNG\r\n\x1a\n", 0, 8 }, { "image", "\xff\xd8\xff", 0, 3 }, { "image", "GIF8", 0, 4 },
    { "image", "WEBP", 8, 4 },              { "image", "BM", 0, 2 },           { "audio", "WAVE", 8, 4 },
    { "audio", "ID3", 0, 3 },               { "audio", "\xff\xfb", 0, 2 },     { "audio", "fLaC", 0, 4 },
    { "audio", "OggS", 0, 4 },              { "video", "ftyp", 4, 4 },         { "video", "\x1a\x45\xdf\xa3", 0, 4 },
};

int g4_request_part(const char *path, g4_str *part, g4_err *err)
{
    g4_str text = {0};
    if (g4_file_read(path, G4_ITEM_MAX, &text, err)) return G4_EINPUT;
    const char *type = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !type; i++)
        if (text.n >= kinds[i].at + kinds[i].n && memcmp(text.p + kinds[i].at, kinds[i].magic, kinds[i].n) == 0)
            type = kinds[i].type;
    int rc = G4_OK;
    if (type) {
        g4_str_addf(part, "{\"type\":\"%s\",\"path\":", type);
        g4_json_put_str(part, path, strlen(path));
    } else if (text.n && memchr(text.p, 0, text.n)) {
        rc = g4_fail(err, G4_EINPUT, "'%s' is neither text nor media that is known", path);
    } else {
        g4_str whole = {0};
        g4_utf8_drop_mark(&text);
        g4_str_addf(&whole, "==> %s <==\n", path);
        g4_str_add(&whole, text.p, text.n);
        g4_str_adds(part, "{\"type\":\"text\",\"text\":");
        g4_json_put_str(part, whole.p, whole.n);
        g4_str_free(&whole);
    }
    if (!rc) g4_str_addc(part, '}');
    g4_str_free(&text);
    return rc;
}

/* ---- OpenAI Batch -------------------------------------------------------- */

static void member(g4_str *s, const char *name, g4_json value)
{
    if (s->n && s->p[s->n - 1] != '{') g4_str_addc(s, ',');
    g4_str_addf(s, "\"%s\":", name);
    g4_str_add(s, value.p, value.n);
}

static bool given(g4_json v)
{
    return g4_json_type(v) > G4_JSON_NULL;
}

/* Body members that are options of ours under another or the same name. */
static const char *const body_options[][2] = {
    { "temperature", "temperature" }, { "top_p", "top_p" },           { "top_k", "top_k" },
    { "min_p", "min_p" },             { "seed", "seed" },             { "max_tokens", "max_tokens" },
    { "max_completion_tokens", "max_tokens" },
    { "frequency_penalty", "frequency_penalty" }, { "presence_penalty", "presence_penalty" },
    { "tool_choice", "tool_choice" },
};

static void batch_options(g4_json body, g4_str *options)
{
    for (size_t i = 0; i < sizeof body_options / sizeof *body_options; i++) {
        const g4_json v = g4_json_get(body, body_options[i][0]);
        if (given(v)) member(options, body_options[i][1], v);
    }
    const g4_json stop = g4_json_get(body, "stop"), effort = g4_json_get(body, "reasoning_effort");
    if (g4_json_type(stop) == G4_JSON_STRING) {
        g4_str list = {0};
        g4_str_addf(&list, "[%.*s]", (int)stop.n, stop.p);
        member(options, "stop", (g4_json){ list.p, list.n });
        g4_str_free(&list);
    } else if (given(stop)) {
        member(options, "stop", stop);
    }
    if (given(effort)) {
        const bool off = g4_json_is(effort, "none") || g4_json_is(effort, "minimal");
        member(options, "think", off ? G4_SV("false") : G4_SV("true"));
    }
    bool logprobs = false;
    if (g4_json_bool(g4_json_get(body, "logprobs"), &logprobs) && logprobs) {
        const g4_json top = g4_json_get(body, "top_logprobs");
        member(options, "logprobs", given(top) ? top : G4_SV("0"));
    }
}

/* response_format: text, json_object, json_schema. */
static int batch_schema(g4_json format, g4_json *schema, g4_err *err)
{
    const g4_json type = g4_json_get(format, "type");
    if (!given(format) || g4_json_is(type, "text")) return G4_OK;
    if (g4_json_is(type, "json_object")) *schema = G4_SV("{\"type\":\"object\"}");
    else if (g4_json_is(type, "json_schema")) *schema = g4_json_path(format, "json_schema", "schema");
    return given(*schema) ? G4_OK : g4_fail(err, G4_ESCHEMA, "'response_format' must be of type text, json_object or json_schema (with 'json_schema.schema')");
}

static int batch_request(g4_json body, g4_str *out, g4_err *err)
{
    g4_json schema = {0};
    int64_t n = 1;
    const g4_json format = g4_json_get(body, "response_format"), messages = g4_json_get(body, "messages");
    if (g4_json_type(messages) != G4_JSON_ARRAY) return g4_fail(err, G4_EINPUT, "'body' has no 'messages'");
    if (given(g4_json_get(body, "n")) && (!g4_json_i64(g4_json_get(body, "n"), &n) || n != 1))
        return g4_fail(err, G4_EINPUT, "'n' other than 1 is not taken from 'body': use --samples");
    if (batch_schema(format, &schema, err)) return G4_ESCHEMA;
    g4_str options = {0};
    g4_str_addc(&options, '{');
    batch_options(body, &options);
    g4_str_addc(&options, '}');
    g4_str_addc(out, '{');
    member(out, "messages", messages);
    if (given(g4_json_get(body, "tools"))) member(out, "tools", g4_json_get(body, "tools"));
    if (schema.p) member(out, "schema", schema);
    member(out, "options", (g4_json){ options.p, options.n });
    g4_str_addc(out, '}');
    g4_str_free(&options);
    return G4_OK;
}

/* ---- attaching ----------------------------------------------------------- */

/* Content with the parts put in front: [parts, ...]. */
static void content_with(g4_str *out, g4_sv parts, g4_json content)
{
    g4_str_addc(out, '[');
    g4_str_add(out, parts.p, parts.n);
    if (g4_json_type(content) == G4_JSON_ARRAY) {
        for (g4_json_it it = g4_json_iter(content); g4_json_next(&it);) {
            g4_str_addc(out, ',');
            g4_str_add(out, it.value.p, it.value.n);
        }
    } else if (g4_json_type(content) == G4_JSON_STRING) {
        g4_str_adds(out, ",{\"type\":\"text\",\"text\":");
        g4_str_add(out, content.p, content.n);
        g4_str_addc(out, '}');
    }
    g4_str_addc(out, ']');
}

static void message_with(g4_str *out, g4_sv parts, g4_json message)
{
    g4_str_addc(out, '{');
    for (g4_json_it it = g4_json_iter(message); g4_json_next(&it);) {
        if (out->p[out->n - 1] != '{') g4_str_addc(out, ',');
        g4_str_add(out, it.key.p, it.key.n);
        g4_str_addc(out, ':');
        if (g4_json_is(it.key, "content")) content_with(out, parts, it.value);
        else g4_str_add(out, it.value.p, it.value.n);
    }
    g4_str_addc(out, '}');
}

/* messages with the parts in the last user message. */
static void messages_with(g4_str *out, g4_sv parts, g4_json messages)
{
    size_t last = (size_t)-1, i = 0;
    for (g4_json_it it = g4_json_iter(messages); g4_json_next(&it); i++)
        if (g4_json_is(g4_json_get(it.value, "role"), "user")) last = i;
    g4_str_addc(out, '[');
    i = 0;
    for (g4_json_it it = g4_json_iter(messages); g4_json_next(&it); i++) {
        if (i) g4_str_addc(out, ',');
        if (i == last) message_with(out, parts, it.value);
        else g4_str_add(out, it.value.p, it.value.n);
    }
    g4_str_addc(out, ']');
}

static void attach(g4_json record, g4_sv parts, g4_str *out)
{
    const g4_json messages = g4_json_get(record, "messages"), prompt = g4_json_get(record, "prompt");
    const bool chat = g4_json_type(messages) == G4_JSON_ARRAY;
    g4_str_addc(out, '{');
    for (g4_json_it it = g4_json_iter(record); g4_json_next(&it);) {
        if (g4_json_is(it.key, "messages") || g4_json_is(it.key, "prompt")) continue;
        if (out->p[out->n - 1] != '{') g4_str_addc(out, ',');
        g4_str_add(out, it.begin, (size_t)(it.end - it.begin));
    }
    if (out->p[out->n - 1] != '{') g4_str_addc(out, ',');
    g4_str_adds(out, "\"messages\":");
    if (chat) {
        messages_with(out, parts, messages);
    } else {
        g4_str_adds(out, "[{\"role\":\"user\",\"content\":");
        content_with(out, parts, prompt);
        g4_str_adds(out, "}]");
    }
    g4_str_addc(out, '}');
}

/* ---- a record ------------------------------------------------------------ */

/* The conversation is complete: its last turn is the assistant's, without
 * calls, and is not to be continued. */
static bool is_answered(g4_json record, bool prefill)
{
    const g4_json messages = g4_json_get(record, "messages");
    const size_t n = g4_json_count(messages);
    if (g4_json_type(messages) != G4_JSON_ARRAY || !n) return false;
    const g4_json last = g4_json_at(messages, n - 1);
    g4_json_bool(g4_json_path(record, "options", "prefill"), &prefill);
    return !prefill && g4_json_is(g4_json_get(last, "role"), "assistant") &&
           g4_json_count(g4_json_get(last, "tool_calls")) == 0;
}

void g4_request_make(g4_record *r, bool prefill, g4_sv parts)
{
    const g4_json root = r->root, body = g4_json_get(root, "body");
    if (given(g4_json_get(root, "error")) || is_answered(root, prefill)) {
        r->pass = true;
        return;
    }
    r->batch = given(g4_json_get(root, "custom_id")) && g4_json_type(body) == G4_JSON_OBJECT;
    const g4_json asked = r->batch ? body : root;
    r->has_chat = given(g4_json_get(asked, "messages")) || given(g4_json_get(asked, "tools"));
    if (r->batch) batch_request(body, &r->request, &r->err);
    if (r->err.code || !parts.n) return;
    g4_str with = {0};
    const g4_sv base = g4_record_request(r);
    attach(base, parts, &with);
    g4_str_free(&r->request);
    r->request = with;
}
