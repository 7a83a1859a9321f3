/* call/turn: see turn.h. */
#include "call/turn.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void g4_turn_clear(g4_turn *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->call[i].id);
        free(t->call[i].name);
        free(t->call[i].wrong);
        g4_str_free(&t->call[i].arguments);
        g4_str_free(&t->call[i].content);
    }
    free(t->call);
    g4_str_free(&t->messages);
    *t = (g4_turn){0};
}

/* ---- one call ------------------------------------------------------------ */

/* A string as C text; NULL when it is none or holds NUL. */
static char *plain_text(g4_json v)
{
    g4_str s = {0};
    if (g4_json_type(v) != G4_JSON_STRING) return NULL;
    g4_json_str(v, &s);
    if (s.n && memchr(s.p, 0, s.n)) {
        g4_str_free(&s);
        return NULL;
    }
    return g4_str_take(&s);
}

/* Arguments come as JSON text in a string (OpenAI), or as the object itself. */
static void read_arguments(struct g4_open_call *c, g4_json v)
{
    g4_str text = {0};
    g4_json checked;
    g4_err why = {0};
    if (g4_json_type(v) == G4_JSON_STRING) g4_json_str(v, &text);
    else g4_str_add(&text, v.p, v.n);
    if (g4_json_type(v) <= G4_JSON_NULL || strspn(text.p ? text.p : "", " \t\r\n") == text.n) {
        g4_str_adds(&c->arguments, "{}");
    } else if (g4_json_check_unique(text.p, text.n, &checked, &why)) {
        g4_str_add(&c->arguments, text.p, text.n);
        g4_str s = {0};
        g4_str_addf(&s, "the arguments are not valid JSON: %s", why.msg);
        c->wrong = g4_str_take(&s);
    } else {
        g4_json_put_compact(&c->arguments, checked);
        if (g4_json_type(checked) != G4_JSON_OBJECT) c->wrong = g4_strdup("the arguments must be a JSON object");
    }
    g4_str_free(&text);
}

static void read_call(struct g4_open_call *c, g4_json v)
{
    const g4_json f = g4_json_get(v, "function");
    c->id = plain_text(g4_json_get(v, "id"));
    c->name = plain_text(g4_json_get(f, "name"));
    read_arguments(c, g4_json_get(f, "arguments"));
    if (!c->name || !*c->name) {
        free(c->wrong);
        c->wrong = g4_strdup("the call names no tool");
    }
    if (!c->name) c->name = g4_strdup("");
}

/* ---- the conversation ---------------------------------------------------- */

/* Does a message among those behind the calls answer call i?  By its id; one
 * without an id answers the first call that is still open. */
static bool answered(g4_json messages, size_t turn, g4_json call)
{
    const g4_json id = g4_json_get(call, "id");
    size_t i = 0;
    for (g4_json_it it = g4_json_iter(messages); g4_json_next(&it); i++) {
        const g4_json other = g4_json_get(it.value, "tool_call_id");
        if (i <= turn || g4_json_type(id) != G4_JSON_STRING || g4_json_type(other) != G4_JSON_STRING) continue;
        g4_str a = {0}, b = {0};
        g4_json_str(id, &a);
        g4_json_str(other, &b);
        const bool same = a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0);
        g4_str_free(&a);
        g4_str_free(&b);
        if (same) return true;
    }
    return false;
}

static void take_calls(g4_turn *t, g4_json calls, g4_json messages, size_t turn, size_t nameless)
{
    size_t cap = 0;
    for (g4_json_it it = g4_json_iter(calls); g4_json_next(&it);) {
        if (messages.n && answered(messages, turn, it.value)) continue;
        if (nameless) { /* a tool message without an id went to it */
            nameless--;
            continue;
        }
        G4_GROW(t->call, cap, t->n + 1);
        t->call[t->n] = (struct g4_open_call){0};
        read_call(&t->call[t->n++], it.value);
    }
}

static bool is_role(g4_json message, const char *role)
{
    return g4_json_is(g4_json_get(message, "role"), role);
}

/* The last assistant turn with nothing but tool messages behind it. */
static void read_messages(g4_turn *t, g4_json messages)
{
    size_t i = 0, turn = 0, nameless = 0, calls_before = 0;
    g4_json open = {0};
    for (g4_json_it it = g4_json_iter(messages); g4_json_next(&it); i++) {
        const g4_json calls = g4_json_get(it.value, "tool_calls");
        if (is_role(it.value, "tool")) {
            nameless += g4_json_type(g4_json_get(it.value, "tool_call_id")) != G4_JSON_STRING;
            continue;
        }
        calls_before += g4_json_count(open);
        open = (g4_json){0};
        nameless = 0;
        turn = i;
        if (is_role(it.value, "assistant") && g4_json_type(calls) == G4_JSON_ARRAY) open = calls;
    }
    take_calls(t, open, messages, turn, nameless);
    t->before = (uint32_t)(calls_before + g4_json_count(open) - t->n);
    g4_json_put_compact(&t->messages, messages);
    if (t->messages.n) t->messages.n--;
}

static void put_message(g4_str *s, const char *role, g4_json content)
{
    if (g4_json_type(content) != G4_JSON_STRING) return;
    g4_str_addf(s, "%s{\"role\":\"%s\",\"content\":", s->p[s->n - 1] == '[' ? "" : ",", role);
    g4_str_add(s, content.p, content.n);
    g4_str_addc(s, '}');
}

/* A record of another program: its fields make the conversation. */
static void read_fields(g4_turn *t, g4_json record, g4_json calls)
{
    const g4_json text = g4_json_get(record, "text");
    take_calls(t, calls, (g4_json){0}, 0, 0);
    g4_str_addc(&t->messages, '[');
    put_message(&t->messages, "system", g4_json_get(record, "system"));
    put_message(&t->messages, "user", g4_json_get(record, "prompt"));
    g4_str_addf(&t->messages, "%s{\"role\":\"assistant\",\"content\":", t->messages.p[t->messages.n - 1] == '[' ? "" : ",");
    if (g4_json_type(text) == G4_JSON_STRING) g4_str_add(&t->messages, text.p, text.n);
    else g4_str_adds(&t->messages, "\"\"");
    g4_str_adds(&t->messages, ",\"tool_calls\":");
    g4_json_put_compact(&t->messages, calls);
    g4_str_addc(&t->messages, '}');
}

bool g4_turn_read(g4_turn *t, g4_json record)
{
    const g4_json messages = g4_json_get(record, "messages"), calls = g4_json_get(record, "tool_calls");
    if (g4_json_type(g4_json_get(record, "error")) > G4_JSON_NULL) return false;
    if (g4_json_type(messages) == G4_JSON_ARRAY) read_messages(t, messages);
    else if (g4_json_type(messages) <= G4_JSON_NULL && g4_json_count(calls)) read_fields(t, record, calls);
    if (t->n) return true;
    g4_turn_clear(t);
    return false;
}

void g4_turn_message(const struct g4_open_call *c, g4_str *out)
{
    g4_str_adds(out, "{\"role\":\"tool\"");
    if (c->id) {
        g4_str_adds(out, ",\"tool_call_id\":");
        g4_json_put_str(out, c->id, strlen(c->id));
    }
    if (*c->name) {
        g4_str_adds(out, ",\"name\":");
        g4_json_put_str(out, c->name, strlen(c->name));
    }
    g4_str_adds(out, ",\"content\":");
    g4_json_put_str(out, c->content.p ? c->content.p : "", c->content.n);
    g4_str_addc(out, '}');
}

void g4_turn_write(const g4_turn *t, g4_str *out)
{
    g4_str_add(out, t->messages.p, t->messages.n);
    for (size_t i = 0; i < t->n; i++) {
        g4_str_addc(out, ',');
        g4_turn_message(&t->call[i], out);
    }
    g4_str_addc(out, ']');
}
