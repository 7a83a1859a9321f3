/* record/compose: see compose.h. */
#include "record/compose.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *g4_error_name(int code)
{
    switch (code) {
    case G4_ECONTEXT: return "context";
    case G4_ESCHEMA: return "schema";
    case G4_EMEDIA: return "media";
    case G4_ELIMIT: return "limit";
    case G4_ENOMEM:
    case G4_EDEVICE: return "device";
    case G4_EPOLICY: return "policy";
    case G4_ETOOL: return "tool";
    default: return "input";
    }
}

bool g4_result_cut(const g4_result *res)
{
    return res->finish == G4_FINISH_CONTEXT ||
           ((res->finish == G4_FINISH_LENGTH || res->finish == G4_FINISH_BUDGET) && !res->user_limit);
}

const char *g4_finish_name(enum g4_finish f)
{
    static const char *const names[] = { "stop", "length", "tool_calls", "budget", "context" };
    return names[f];
}

/* ---- members ------------------------------------------------------------- */

enum { /* members that are dropped only when they are written anew */
    NEW_MESSAGES = 1, NEW_SAMPLE = 2, NEW_TOOLS = 4, NEW_DATA = 8,
};

static bool replaced(g4_json key, unsigned anew)
{
    static const char *const generated[] = { "text", "thinking", "tool_calls", "finish_reason", "usage", "model",
                                             "seed", "logprobs", "dropped", "error" };
    for (size_t i = 0; i < sizeof generated / sizeof *generated; i++)
        if (g4_json_is(key, generated[i])) return true;
    return ((anew & NEW_MESSAGES) && g4_json_is(key, "messages")) || ((anew & NEW_SAMPLE) && g4_json_is(key, "sample")) ||
           ((anew & NEW_TOOLS) && g4_json_is(key, "tools")) || ((anew & NEW_DATA) && g4_json_is(key, "data"));
}

/* An answer to a constraint takes the place of an earlier one, even when it failed and has no data. */
static unsigned new_data(const struct g4_compose *c, const g4_record *r)
{
    static const char *const constraints[] = { "schema", "regex", "choices" };
    bool any = c->constrained;
    for (size_t i = 0; i < sizeof constraints / sizeof *constraints; i++)
        any |= g4_json_type(g4_json_get(r->root, constraints[i])) > G4_JSON_NULL;
    return any ? NEW_DATA : 0;
}

static bool named(g4_json key, g4_json object)
{
    g4_str name = {0};
    g4_json_str(key, &name);
    const bool hit = name.n && !memchr(name.p, 0, name.n) && g4_json_get(object, name.p).n;
    g4_str_free(&name);
    return hit;
}

/* `{` and the members that stay, with the blanks between those that stood side
 * by side.  object: its names are dropped instead of the generated ones; or {NULL, 0}. */
static void keep_members_but(const g4_record *r, unsigned anew, g4_json object, g4_str *out)
{
    const char *after = NULL; /* end of the member before, when it stayed */
    bool any = false;
    g4_str_addc(out, '{');
    if (g4_json_type(r->root) != G4_JSON_OBJECT) return; /* refused for that */
    for (g4_json_it it = g4_json_iter(r->root); g4_json_next(&it);) {
        if (object.n ? named(it.key, object) : replaced(it.key, anew)) {
            after = NULL;
            continue;
        }
        if (after) g4_str_add(out, after, (size_t)(it.begin - after));
        else if (any) g4_str_addc(out, ',');
        g4_str_add(out, it.begin, (size_t)(it.end - it.begin));
        after = it.end;
        any = true;
    }
}

static void keep_members(const g4_record *r, unsigned anew, g4_str *out)
{
    keep_members_but(r, anew, (g4_json){0}, out);
}

static void name(g4_str *out, const char *key)
{
    if (out->p[out->n - 1] != '{') g4_str_addc(out, ',');
    g4_str_addf(out, "\"%s\":", key);
}

static void put_text(g4_str *out, const char *key, const char *p, size_t n)
{
    name(out, key);
    g4_json_put_str(out, p ? p : "", n);
}

static void put_json(g4_str *out, const char *key, const char *json)
{
    if (!json) return;
    name(out, key);
    g4_str_adds(out, json);
}

static void put_model(const struct g4_compose *c, g4_str *out)
{
    if (!c->model_name) return;
    name(out, "model");
    g4_str_adds(out, "{\"name\":");
    g4_json_put_str(out, c->model_name, strlen(c->model_name));
    if (c->model_digest) put_text(out, "digest", c->model_digest, strlen(c->model_digest));
    g4_str_addc(out, '}');
}

/* ---- g4's own records ---------------------------------------------------- */

void g4_compose_result(const struct g4_compose *c, const g4_record *r, uint32_t sample, const g4_result *res, g4_str *out)
{
    const bool tools = c->tools && !r->batch && g4_json_type(g4_json_get(r->root, "tools")) <= G4_JSON_NULL;
    const bool chat = res->messages && (r->has_chat || tools) && !r->batch;
    keep_members(r, (chat ? NEW_MESSAGES : 0) | (c->sample ? NEW_SAMPLE : 0) | (tools ? NEW_TOOLS : 0) | new_data(c, r), out);
    if (tools) put_json(out, "tools", c->tools);
    if (c->sample) {
        name(out, "sample");
        g4_str_addf(out, "%u", sample);
    }
    put_text(out, "text", res->text, res->text_len);
    if (res->thinking_len) put_text(out, "thinking", res->thinking, res->thinking_len);
    put_json(out, "data", res->data);
    put_json(out, "tool_calls", res->tool_calls);
    if (chat) put_json(out, "messages", res->messages);
    put_json(out, "dropped", res->dropped);
    const char *finish = g4_finish_name(res->finish);
    put_text(out, "finish_reason", finish, strlen(finish));
    name(out, "usage");
    g4_str_addf(out, "{\"prompt_tokens\":%u,\"thinking_tokens\":%u,\"completion_tokens\":%u}", res->prompt_tokens,
                res->thinking_tokens, res->completion_tokens);
    put_model(c, out);
    name(out, "seed");
    g4_str_addf(out, "%" PRIu64, res->seed);
    put_json(out, "logprobs", res->logprobs);
    g4_str_addc(out, '}');
}

static void put_error(const g4_record *r, const g4_err *why, g4_str *out)
{
    const char *code = g4_error_name(why->code);
    g4_str message = {0};
    if (r->err.code && r->line) g4_str_addf(&message, "line %" PRIu64 ": ", r->line);
    g4_str_adds(&message, why->msg);
    name(out, "error");
    g4_str_addc(out, '{');
    put_text(out, "code", code, strlen(code));
    put_text(out, "message", message.p, message.n);
    if (r->err.code && r->line) {
        name(out, "line");
        g4_str_addf(out, "%" PRIu64, r->line);
    }
    g4_str_addc(out, '}');
    g4_str_free(&message);
}

void g4_compose_error(const struct g4_compose *c, const g4_record *r, uint32_t sample, const g4_err *why, g4_str *out)
{
    keep_members(r, (c->sample ? NEW_SAMPLE : 0) | new_data(c, r), out);
    if (c->sample) {
        name(out, "sample");
        g4_str_addf(out, "%u", sample);
    }
    put_error(r, why, out);
    g4_str_addc(out, '}');
}

void g4_compose_put(const g4_record *r, g4_json object, g4_str *out)
{
    keep_members_but(r, 0, object, out);
    for (g4_json_it it = g4_json_iter(object); g4_json_next(&it);) {
        if (out->p[out->n - 1] != '{') g4_str_addc(out, ',');
        g4_str_add(out, it.begin, (size_t)(it.end - it.begin));
    }
    g4_str_addc(out, '}');
}

void g4_compose_members(const g4_record *r, g4_sv members, g4_str *out)
{
    keep_members(r, 0, out);
    if (out->p[out->n - 1] != '{') g4_str_addc(out, ',');
    g4_str_add(out, members.p, members.n);
    g4_str_addc(out, '}');
}

/* ---- OpenAI Batch -------------------------------------------------------- */

void g4_compose_choice(uint32_t sample, const g4_result *res, g4_str *out)
{
    /* OpenAI knows no other ways to end. */
    const bool cut = res->finish == G4_FINISH_BUDGET || res->finish == G4_FINISH_CONTEXT;
    const char *finish = g4_finish_name(cut ? G4_FINISH_LENGTH : res->finish);
    g4_str_addf(out, "{\"index\":%u,\"message\":{\"role\":\"assistant\"", sample);
    if (res->tool_calls && !res->text_len) put_json(out, "content", "null");
    else put_text(out, "content", res->text, res->text_len);
    if (res->thinking_len) put_text(out, "reasoning_content", res->thinking, res->thinking_len);
    put_json(out, "tool_calls", res->tool_calls);
    g4_str_addf(out, "},\"logprobs\":%s,\"finish_reason\":\"%s\"}", res->logprobs ? res->logprobs : "null", finish);
}

/* custom_id, else id as text, else the record's number. */
static void put_custom_id(const g4_record *r, g4_str *out)
{
    g4_json id = g4_json_get(r->root, "custom_id");
    if (!id.n) id = g4_json_get(r->root, "id");
    name(out, "custom_id");
    if (g4_json_type(id) == G4_JSON_STRING) g4_str_add(out, id.p, id.n);
    else if (id.n) g4_json_put_str(out, id.p, id.n);
    else g4_str_addf(out, "\"%" PRIu64 "\"", r->seq);
}

void g4_compose_batch(const struct g4_compose *c, const g4_record *r, g4_sv choices, const struct g4_usage *u, g4_str *out)
{
    const char *model = c->model_name ? c->model_name : "";
    g4_str_addf(out, "{\"id\":\"batch_req_%016" PRIx64 "\"", r->hash);
    put_custom_id(r, out);
    g4_str_addf(out, ",\"response\":{\"status_code\":200,\"request_id\":\"req_%016" PRIx64 "\",\"body\":"
                "{\"id\":\"chatcmpl-%016" PRIx64 "\",\"object\":\"chat.completion\",\"created\":0", r->hash, r->hash);
    put_text(out, "model", model, strlen(model));
    g4_str_addf(out, ",\"choices\":[%.*s],\"usage\":{\"prompt_tokens\":%" PRIu64 ",\"completion_tokens\":%" PRIu64
                ",\"total_tokens\":%" PRIu64 ",\"completion_tokens_details\":{\"reasoning_tokens\":%" PRIu64 "}}}},\"error\":null}",
                (int)choices.n, choices.p, u->prompt, u->completion, u->prompt + u->completion, u->thinking);
}

void g4_compose_batch_error(const g4_record *r, const g4_err *why, g4_str *out)
{
    g4_str_addf(out, "{\"id\":\"batch_req_%016" PRIx64 "\"", r->hash);
    put_custom_id(r, out);
    g4_str_adds(out, ",\"response\":null");
    put_error(r, why, out);
    g4_str_addc(out, '}');
}
