/* cmd/chat_talk: see chat.h. */
#include "chat.h"

#include <stdlib.h>
#include <string.h>

static void drop_from(struct g4_talk *t, size_t n)
{
    while (t->n > n) free(t->message[--t->n]);
}

void g4_talk_free(struct g4_talk *t)
{
    drop_from(t, 0);
    free(t->message);
    free(t->system);
    free(t->tools);
    *t = (struct g4_talk){0};
}

void g4_talk_add(struct g4_talk *t, g4_sv message)
{
    G4_GROW(t->message, t->cap, t->n + 1);
    t->message[t->n++] = g4_strndup(message.p, message.n);
}

static void add_taken(struct g4_talk *t, g4_str *s)
{
    g4_talk_add(t, (g4_sv){ s->p, s->n });
    g4_str_free(s);
}

void g4_talk_user(struct g4_talk *t, const char *text, g4_sv parts)
{
    g4_str s = {0};
    g4_str_adds(&s, "{\"role\":\"user\",\"content\":");
    if (parts.n) {
        g4_str_addc(&s, '[');
        g4_str_add(&s, parts.p, parts.n);
        g4_str_adds(&s, ",{\"type\":\"text\",\"text\":");
    }
    g4_json_put_str(&s, text, strlen(text));
    g4_str_adds(&s, parts.n ? "}]}" : "}");
    add_taken(t, &s);
}

void g4_talk_result(struct g4_talk *t, g4_json call, const char *text)
{
    const g4_json id = g4_json_get(call, "id"), name = g4_json_path(call, "function", "name");
    g4_str s = {0};
    g4_str_adds(&s, "{\"role\":\"tool\",\"tool_call_id\":");
    g4_str_add(&s, id.n ? id.p : "null", id.n ? id.n : 4);
    g4_str_adds(&s, ",\"name\":");
    g4_str_add(&s, name.n ? name.p : "\"\"", name.n ? name.n : 2);
    g4_str_adds(&s, ",\"content\":");
    g4_json_put_str(&s, text, strlen(text));
    g4_str_addc(&s, '}');
    add_taken(t, &s);
}

void g4_talk_assistant(struct g4_talk *t, g4_sv text, g4_sv thought)
{
    g4_str s = {0};
    g4_str_adds(&s, "{\"role\":\"assistant\",\"content\":");
    g4_json_put_str(&s, text.p ? text.p : "", text.n);
    if (thought.n) {
        g4_str_adds(&s, ",\"reasoning_content\":");
        g4_json_put_str(&s, thought.p, thought.n);
    }
    g4_str_addc(&s, '}');
    add_taken(t, &s);
}

static g4_json member_of(const char *message, const char *name)
{
    return g4_json_get((g4_json){ message, strlen(message) }, name);
}

g4_json g4_talk_last(const struct g4_talk *t, const char *member)
{
    return t->n ? member_of(t->message[t->n - 1], member) : (g4_json){0};
}

/* Messages up to the last user message, it included; 0: there is none. */
static size_t upto_user(const struct g4_talk *t)
{
    size_t n = t->n;
    while (n && !g4_json_is(member_of(t->message[n - 1], "role"), "user")) n--;
    return n;
}

bool g4_talk_reopen(struct g4_talk *t)
{
    const size_t n = upto_user(t);
    if (n) drop_from(t, n);
    return n > 0;
}

bool g4_talk_undo(struct g4_talk *t)
{
    const size_t n = upto_user(t);
    if (n) drop_from(t, n - 1);
    return n > 0;
}

void g4_talk_members(const struct g4_talk *t, g4_str *out)
{
    g4_str_adds(out, "\"messages\":[");
    if (t->system) {
        g4_str_adds(out, "{\"role\":\"system\",\"content\":");
        g4_json_put_str(out, t->system, strlen(t->system));
        g4_str_addc(out, '}');
    }
    for (size_t i = 0; i < t->n; i++) {
        if (i || t->system) g4_str_addc(out, ',');
        g4_str_adds(out, t->message[i]);
    }
    g4_str_addc(out, ']');
    if (t->tools) {
        g4_str_adds(out, ",\"tools\":");
        g4_str_adds(out, t->tools);
    }
}

void g4_talk_replace(struct g4_talk *t, g4_json messages)
{
    drop_from(t, 0);
    for (g4_json_it it = g4_json_iter(messages); g4_json_next(&it);)
        if (!t->system || !g4_json_is(g4_json_get(it.value, "role"), "system") || t->n) g4_talk_add(t, it.value);
}

/* ---- reading ------------------------------------------------------------- */

static int read_messages(struct g4_talk *t, g4_json list, g4_err *err)
{
    size_t i = 0;
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it); i++) {
        const g4_json role = g4_json_get(it.value, "role"), content = g4_json_get(it.value, "content");
        if (g4_json_type(role) != G4_JSON_STRING) return g4_fail(err, G4_EINPUT, "'messages[%zu]' has no role", i);
        const bool system = g4_json_is(role, "system") || g4_json_is(role, "developer");
        if (!i && system && g4_json_type(content) == G4_JSON_STRING) {
            t->system = g4_json_dup(content);
            continue;
        }
        g4_str s = {0};
        g4_json_put_compact(&s, it.value);
        add_taken(t, &s);
    }
    return G4_OK;
}

/* A record of a single prompt: the question, and the answer when it has one. */
static int read_prompt(struct g4_talk *t, g4_json record, g4_err *err)
{
    char *prompt = g4_json_dup(g4_json_get(record, "prompt")), *text = g4_json_dup(g4_json_get(record, "text"));
    if (prompt) g4_talk_user(t, prompt, (g4_sv){0});
    if (prompt && text) g4_talk_assistant(t, (g4_sv){ text, strlen(text) }, (g4_sv){0});
    free(text);
    free(prompt);
    return prompt ? G4_OK : g4_fail(err, G4_EINPUT, "the record has neither 'messages' nor 'prompt'");
}

int g4_talk_read(struct g4_talk *t, g4_json record, g4_err *err)
{
    struct g4_talk now = {0};
    const g4_json messages = g4_json_get(record, "messages"), tools = g4_json_get(record, "tools");
    const g4_json system = g4_json_get(record, "system");
    if (g4_json_type(record) != G4_JSON_OBJECT) return g4_fail(err, G4_EINPUT, "the record is not an object");
    const bool list = g4_json_type(messages) == G4_JSON_ARRAY;
    const int rc = list ? read_messages(&now, messages, err) : read_prompt(&now, record, err);
    if (rc) {
        g4_talk_free(&now);
        return rc;
    }
    if (!now.system) now.system = g4_json_dup(system);
    if (g4_json_type(tools) == G4_JSON_ARRAY) {
        g4_str s = {0};
        g4_json_put_compact(&s, tools);
        now.tools = g4_str_take(&s);
    }
    g4_talk_free(t);
    *t = now;
    return G4_OK;
}
