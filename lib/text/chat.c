/* text/chat: walks the messages of a request and prints the prompt (prompt-format
 * spec 3.3, 5.1, 5.2).  Text is collected in runs of one mode; the template's own
 * text is TEMPLATE, everything a caller supplied is DATA. */
#define _GNU_SOURCE /* memmem */
#include "text/chat_impl.h"

#include <stdlib.h>
#include <string.h>

static const struct g4_marks gemma4_marks = {
    {"<|tool>", "<tool|>"}, {"<|tool_call>", "<tool_call|>"}, {"<|tool_response>", "<tool_response|>"}, "<|\"|>",
};
static const struct g4_marks function_marks = {
    {"<start_function_declaration>", "<end_function_declaration>"}, {"<start_function_call>", "<end_function_call>"},
    {"<start_function_response>", "<end_function_response>"}, "<escape>",
};

enum role { USER, ASSISTANT, SYSTEM, DEVELOPER, TOOL, OTHER };

struct msg {
    const g4_node *m;        /* the message */
    g4_sv role;              /* as it is printed */
    enum role kind;
    const g4_node *calls;    /* array or absent */
    g4_node *args;           /* [calls->n] the arguments object of each call */
    size_t number;           /* counted from 1, for messages about it */
};

struct chat {
    struct g4_render r;
    struct msg *msg;
    size_t n;
    const g4_node **tool;    /* function objects, schemas as they are printed */
    size_t n_tool;
};

/* ---- output --------------------------------------------------------------- */

static void put(struct g4_render *r, enum g4_seg_mode mode, const char *p, size_t n)
{
    if (!n) return;
    struct g4_run *last = r->n_run ? r->run + r->n_run - 1 : NULL;
    if (!last || last->shut || last->mode != mode) {
        G4_GROW(r->run, r->cap_run, r->n_run + 1);
        r->run[r->n_run++] = (struct g4_run){mode, r->text.n, false};
    }
    g4_str_add(&r->text, p, n);
}

void g4_put(struct g4_render *r, const char *z)
{
    put(r, G4_SEG_TEMPLATE, z, strlen(z));
}

void g4_put_data(struct g4_render *r, g4_sv s)
{
    put(r, G4_SEG_DATA, s.p, s.n);
}

void g4_put_media(struct g4_render *r, const char *mark, g4_json part)
{
    if (r->n_run) r->run[r->n_run - 1].shut = true;
    g4_put(r, mark);
    r->run[r->n_run - 1].shut = true;
    G4_GROW(r->media, r->cap_media, r->n_media + 1);
    r->media[r->n_media++] = (struct g4_chat_media){r->n_run - 1, part};
}

static void finish(struct g4_render *r, struct g4_chat_out *out)
{
    const char *text = g4_arena_strndup(r->arena, r->text.p ? r->text.p : "", r->text.n);
    *out = (struct g4_chat_out){.n_seg = r->n_run, .n_media = r->n_media, .open_thought = r->open_thought, .prefill = r->prefill};
    out->segs = g4_arena_alloc(r->arena, r->n_run * sizeof *out->segs);
    for (size_t i = 0; i < r->n_run; i++) {
        const size_t end = i + 1 < r->n_run ? r->run[i + 1].begin : r->text.n;
        out->segs[i] = (struct g4_seg){r->run[i].mode, text + r->run[i].begin, end - r->run[i].begin};
    }
    out->media = g4_arena_alloc(r->arena, r->n_media * sizeof *out->media);
    if (r->n_media) memcpy(out->media, r->media, r->n_media * sizeof *out->media);
}

void g4_chat_text(const struct g4_chat_out *out, g4_str *text)
{
    for (size_t i = 0; i < out->n_seg; i++) g4_str_add(text, out->segs[i].p, out->segs[i].n);
}

/* ---- text ------------------------------------------------------------------ */

static bool py_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

g4_sv g4_py_strip(g4_sv s)
{
    uint32_t cp;
    for (size_t len; s.n && (len = g4_utf8_decode(s.p, s.n, &cp)) && py_space(cp);) {
        s.p += len;
        s.n -= len;
    }
    while (s.n) {
        size_t at = s.n - 1;
        while (at && s.n - at < 4 && ((unsigned char)s.p[at] & 0xC0) == 0x80) at--;
        if (g4_utf8_decode(s.p + at, s.n - at, &cp) != s.n - at || !py_space(cp)) break;
        s.n = at;
    }
    return s;
}

/* The text without thoughts: of every piece that ends at a channel close, what
 * stands before its first channel open; an open one that is never closed takes
 * the rest with it. */
static void without_thoughts(g4_sv s, g4_str *out)
{
    static const char open[] = "<|channel>", shut[] = "<channel|>";
    const char *p = s.p, *stop = s.p + s.n;
    while (p < stop) {
        const char *end = memmem(p, (size_t)(stop - p), shut, sizeof shut - 1);
        const char *piece_end = end ? end : stop;
        const char *o = memmem(p, (size_t)(piece_end - p), open, sizeof open - 1);
        g4_str_add(out, p, (size_t)((o ? o : piece_end) - p));
        p = end ? end + sizeof shut - 1 : stop;
    }
}

/* Prints a trimmed text; true when anything was left of it. */
static bool put_clean(struct g4_render *r, g4_sv s, bool model)
{
    g4_str tmp = {0};
    if (model && s.n) {
        without_thoughts(s, &tmp);
        s = (g4_sv){tmp.p ? tmp.p : "", tmp.n};
    }
    s = g4_py_strip(s);
    g4_put_data(r, s);
    g4_str_free(&tmp);
    return s.n > 0;
}

/* ---- reading the request ----------------------------------------------------- */

static int fail(const struct chat *c, size_t number, const char *what)
{
    return g4_fail(c->r.err, G4_EINPUT, "message %zu: %s", number, what);
}

static enum role role_of(g4_sv s)
{
    static const char *const name[] = {"user", "assistant", "system", "developer", "tool"};
    for (int i = 0; i < 5; i++)
        if (g4_sv_eq(s, name[i])) return (enum role)i;
    return OTHER;
}

/* The arguments of one call; OpenAI clients send them as JSON text. */
static int read_arguments(struct chat *c, const struct msg *m, const g4_node *call, g4_node *out)
{
    const g4_node *f = g4_node_get(call, "function"), *a = g4_node_get(f, "arguments");
    if (g4_node_get(f, "name")->type != G4_JSON_STRING) return fail(c, m->number, "a tool call has no function name");
    if (a->type == G4_JSON_STRING) {
        g4_json v;
        if (!c->r.repair) return fail(c, m->number, "the template refuses arguments that are a string");
        if (!g4_py_strip(a->text).n) return 0;
        if (g4_json_check(a->text.p, a->text.n, &v, NULL)) return fail(c, m->number, "the arguments of a tool call are not JSON");
        a = g4_node_read(c->r.arena, v);
    }
    if (!g4_node_true(a)) return 0;
    if (a->type != G4_JSON_OBJECT) return fail(c, m->number, "the arguments of a tool call are not an object");
    *out = *a;
    return 0;
}

static int check_content(const struct chat *c, const struct msg *m)
{
    const g4_node *v = g4_node_get(m->m, "content");
    if (v->type == G4_JSON_ARRAY) {
        for (size_t i = 0; i < v->n; i++) {
            const g4_node *part = v->kid + i, *type = g4_node_get(part, "type");
            if (type->type != G4_JSON_STRING) return fail(c, m->number, "a content part has no type");
            if (g4_sv_eq(type->text, "text") && g4_node_get(part, "text")->type != G4_JSON_STRING)
                return fail(c, m->number, "a text part has no text");
        }
        return 0;
    }
    const bool plain = v->type == G4_JSON_NONE || v->type == G4_JSON_NULL || v->type == G4_JSON_STRING;
    return plain || m->kind == TOOL ? 0 : fail(c, m->number, "content is neither text nor a list of parts");
}

static int read_message(struct chat *c, const g4_node *v, struct msg *m)
{
    *m = (struct msg){.m = v, .number = m->number};
    if (v->type != G4_JSON_OBJECT) return fail(c, m->number, "not an object");
    const g4_node *role = g4_node_get(v, "role");
    if (role->type != G4_JSON_STRING) return fail(c, m->number, "no role");
    m->role = role->text;
    m->kind = role_of(m->role);
    if (m->kind == OTHER && c->r.repair && g4_sv_eq(m->role, "model")) m->kind = ASSISTANT;
    if (m->kind == OTHER && c->r.repair)
        return g4_fail(c->r.err, G4_EINPUT, "message %zu: unknown role '%.*s'", m->number,
                       (int)(m->role.n < 60 ? m->role.n : 60), m->role.p);
    if (m->kind == DEVELOPER && c->r.repair) {
        m->kind = SYSTEM;
        m->role = G4_SV("system");
    }
    if (m->kind == ASSISTANT) m->role = G4_SV("model");
    if (check_content(c, m)) return G4_EINPUT;
    static const g4_node none;
    m->calls = &none;
    if (!g4_node_true(g4_node_get(v, "tool_calls"))) return 0;
    m->calls = g4_node_get(v, "tool_calls");
    if (m->calls->type != G4_JSON_ARRAY) return fail(c, m->number, "tool_calls is not a list");
    m->args = g4_arena_alloc(c->r.arena, m->calls->n * sizeof *m->args);
    for (size_t i = 0; i < m->calls->n; i++)
        if (read_arguments(c, m, m->calls->kid + i, m->args + i)) return G4_EINPUT;
    return 0;
}

static int read_messages(struct chat *c, g4_json messages)
{
    if (g4_json_type(messages) != G4_JSON_ARRAY) return g4_fail(c->r.err, G4_EINPUT, "messages is not a list");
    const g4_node *list = g4_node_read(c->r.arena, messages);
    c->msg = g4_arena_alloc(c->r.arena, list->n * sizeof *c->msg);
    c->n = list->n;
    for (size_t i = 0; i < c->n; i++) {
        c->msg[i].number = i + 1;
        if (read_message(c, list->kid + i, c->msg + i)) return G4_EINPUT;
    }
    return 0;
}

static bool printable_name(g4_sv s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '{' || (unsigned char)s.p[i] <= ' ') return false;
    return s.n > 0;
}

static int read_tool(struct chat *c, const g4_node *tool, size_t number, const g4_node **out)
{
    const g4_node *f = g4_node_get(tool, "function");
    const g4_node *name = g4_node_get(f, "name"), *p = g4_node_get(f, "parameters");
    if (name->type != G4_JSON_STRING) return g4_fail(c->r.err, G4_EINPUT, "tool %zu: no function name", number);
    *out = f;
    if (!c->r.repair) return 0;
    const int len = (int)(name->text.n < 100 ? name->text.n : 100);
    if (!printable_name(name->text))
        return g4_fail(c->r.err, G4_EINPUT, "tool %zu: '%.*s' cannot be a function name", number, len, name->text.p);
    if (!g4_node_true(p)) return 0;
    if (p->type != G4_JSON_OBJECT)
        return g4_fail(c->r.err, G4_EINPUT, "tool '%.*s': parameters is not a schema", len, name->text.p);
    const g4_node *normal = g4_schema_normal(c->r.arena, p, c->r.err);
    if (!normal) return G4_EINPUT;
    g4_node *copy = g4_arena_alloc(c->r.arena, sizeof *copy);
    *copy = *f;
    copy->kid = g4_arena_alloc(c->r.arena, f->n * sizeof *f->kid);
    memcpy(copy->kid, f->kid, f->n * sizeof *f->kid);
    g4_node *at = copy->kid + (p - f->kid);
    const g4_sv key = at->key;
    *at = *normal;
    at->key = key;
    *out = copy;
    return 0;
}

static int read_tools(struct chat *c, g4_json tools)
{
    const enum g4_json_type type = g4_json_type(tools);
    if (type == G4_JSON_NONE || type == G4_JSON_NULL) return 0;
    if (type != G4_JSON_ARRAY) return g4_fail(c->r.err, G4_EINPUT, "tools is not a list");
    const g4_node *list = g4_node_read(c->r.arena, tools);
    c->tool = g4_arena_alloc(c->r.arena, list->n * sizeof *c->tool);
    for (size_t i = 0; i < list->n; i++)
        if (read_tool(c, list->kid + i, i + 1, c->tool + c->n_tool++)) return G4_EINPUT;
    return 0;
}

/* ---- shared by the families ---------------------------------------------------- */

static const char *media_mark(const g4_node *part)
{
    static const char *const kind[][2] = {
        {"image", "<|image|>"}, {"image_url", "<|image|>"}, {"audio", "<|audio|>"}, {"input_audio", "<|audio|>"}, {"video", "<|video|>"},
    };
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++)
        if (g4_node_is(g4_node_get(part, "type"), kind[i][0])) return kind[i][1];
    return NULL;
}

/* A final answer with a generation prompt asked for: the model goes on with it. */
static bool wants_prefill(const struct chat *c, size_t i, size_t next)
{
    const struct msg *m = c->msg + i;
    return c->r.in->add_generation_prompt && !c->r.in->exact && next == c->n && m->kind == ASSISTANT &&
           m->calls->type == G4_JSON_NONE && !g4_node_true(g4_node_get(m->m, "tool_responses"));
}

static void put_calls(struct g4_render *r, const struct msg *m)
{
    for (size_t i = 0; m->calls->type == G4_JSON_ARRAY && i < m->calls->n; i++) {
        g4_put(r, r->w->call[0]);
        g4_put(r, "call:");
        g4_put_data(r, g4_node_get(g4_node_get(m->calls->kid + i, "function"), "name")->text);
        g4_put(r, "{");
        g4_put_pairs(r, m->args + i);
        g4_put(r, "}");
        g4_put(r, r->w->call[1]);
    }
}

static bool same_value(const g4_node *a, const g4_node *b)
{
    const bool no_a = a->type <= G4_JSON_NULL, no_b = b->type <= G4_JSON_NULL;
    if (no_a || no_b) return no_a && no_b;
    return a->type == b->type && g4_sv_same(a->text, b->text);
}

/* Whose result it is: the call with its id, else the message's own name. */
static g4_sv answered_name(const struct msg *caller, const g4_node *tool)
{
    const g4_node *name = g4_node_get(tool, "name"), *id = g4_node_get(tool, "tool_call_id");
    g4_sv out = name->type == G4_JSON_STRING && name->text.n ? name->text : G4_SV("unknown");
    for (size_t i = 0; caller && caller->calls->type == G4_JSON_ARRAY && i < caller->calls->n; i++)
        if (same_value(g4_node_get(caller->calls->kid + i, "id"), id))
            out = g4_node_get(g4_node_get(caller->calls->kid + i, "function"), "name")->text;
    return out;
}

static void put_response(struct g4_render *r, g4_sv name, const g4_node *body)
{
    g4_put(r, r->w->resp[0]);
    g4_put(r, "response:");
    g4_put_data(r, name);
    g4_put(r, "{");
    if (body->type == G4_JSON_OBJECT) {
        g4_put_pairs(r, body);
    } else {
        g4_put(r, "value:");
        g4_put_value(r, body, false);
    }
    g4_put(r, "}");
    g4_put(r, r->w->resp[1]);
}

/* What a tool message says: an object, or text; JSON text that is an object
 * counts as one (spec 3.6), text parts are joined. */
static const g4_node *result_body(struct g4_render *r, const g4_node *content)
{
    g4_node *out = g4_arena_alloc(r->arena, sizeof *out);
    *out = *content;
    if (content->type == G4_JSON_STRING && r->repair && !r->in->tool_text) {
        g4_json v;
        if (!g4_json_check(content->text.p, content->text.n, &v, NULL) && g4_json_type(v) == G4_JSON_OBJECT)
            return g4_node_read(r->arena, v);
    } else if (content->type == G4_JSON_ARRAY) {
        g4_str s = {0};
        for (size_t i = 0; i < content->n; i++)
            if (g4_node_is(g4_node_get(content->kid + i, "type"), "text")) {
                const g4_sv t = g4_node_get(content->kid + i, "text")->text;
                g4_str_add(&s, t.p, t.n);
            }
        *out = (g4_node){.type = G4_JSON_STRING, .text = {g4_arena_strndup(r->arena, s.p ? s.p : "", s.n), s.n}};
        g4_str_free(&s);
    }
    return out;
}

/* ---- Gemma 4 -------------------------------------------------------------------- */

/* Prints text and media of a message; *seen: anything visible came out. */
static int put_content(struct chat *c, const struct msg *m, bool *seen)
{
    const g4_node *v = g4_node_get(m->m, "content");
    const bool model = m->kind == ASSISTANT;
    *seen = false;
    if (v->type == G4_JSON_STRING) *seen = put_clean(&c->r, v->text, model);
    for (size_t i = 0; v->type == G4_JSON_ARRAY && i < v->n; i++) {
        const g4_node *part = v->kid + i;
        const char *mark = media_mark(part);
        if (mark) {
            g4_put_media(&c->r, mark, part->span);
            *seen = true;
        } else if (g4_node_is(g4_node_get(part, "type"), "text")) {
            *seen |= put_clean(&c->r, g4_node_get(part, "text")->text, model);
        } else if (c->r.repair) {
            return fail(c, m->number, "a content part is neither text, image, audio nor video");
        }
    }
    return 0;
}

static int put_system_text(struct chat *c, const struct msg *m)
{
    const g4_node *v = g4_node_get(m->m, "content");
    if (v->type == G4_JSON_STRING) g4_put_data(&c->r, g4_py_strip(v->text));
    for (size_t i = 0; v->type == G4_JSON_ARRAY && i < v->n; i++) {
        if (c->r.repair && !g4_node_is(g4_node_get(v->kid + i, "type"), "text"))
            return fail(c, m->number, "a system message takes text only");
        g4_put_data(&c->r, g4_py_strip(g4_node_get(v->kid + i, "text")->text));
        g4_put_data(&c->r, G4_SV(" "));
    }
    return 0;
}

/* The system turn; *first is the message after it. */
static int gemma4_system(struct chat *c, size_t *first)
{
    struct g4_render *r = &c->r;
    const bool lead = c->n && (c->msg->kind == SYSTEM || c->msg->kind == DEVELOPER);
    *first = lead;
    if (!r->in->think && !c->n_tool && !lead) return 0;
    g4_put(r, "<|turn>system\n");
    if (r->in->think) g4_put(r, "<|think|>\n");
    if (lead && put_system_text(c, c->msg)) return G4_EINPUT;
    for (size_t i = 0; i < c->n_tool; i++) g4_put_declaration(r, c->tool[i]);
    g4_put(r, "<turn|>\n");
    return 0;
}

enum state { PLAIN, CALLED, ANSWERED };

/* Results of message i's calls; *any: there were some. */
static int gemma4_responses(struct chat *c, size_t i, bool *any)
{
    struct g4_render *r = &c->r;
    const struct msg *m = c->msg + i;
    const g4_node *own = g4_node_get(m->m, "tool_responses");
    *any = own->type == G4_JSON_ARRAY && own->n;
    for (size_t k = 0; *any && k < own->n; k++) {
        const g4_node *name = g4_node_get(own->kid + k, "name");
        put_response(r, name->type == G4_JSON_STRING && name->text.n ? name->text : G4_SV("unknown"),
                     g4_node_get(own->kid + k, "response"));
    }
    if (*any || m->calls->type == G4_JSON_NONE) return 0;
    for (size_t k = i + 1; k < c->n && c->msg[k].kind == TOOL; k++) {
        const g4_node *content = g4_node_get(c->msg[k].m, "content");
        if (content->type == G4_JSON_OBJECT && !r->repair)
            return fail(c, c->msg[k].number, "the template refuses a tool result that is an object");
        put_response(r, answered_name(m, c->msg[k].m), result_body(r, content));
        for (size_t p = 0; content->type == G4_JSON_ARRAY && p < content->n; p++)
            if (media_mark(content->kid + p)) g4_put_media(r, media_mark(content->kid + p), content->kid[p].span);
        *any = true;
    }
    return 0;
}

/* A call that nobody answered, with the conversation going on behind it: the
 * template would leave an open response there. */
static void put_null_responses(struct g4_render *r, const struct msg *m)
{
    static const g4_node null = {.type = G4_JSON_NULL};
    for (size_t i = 0; i < m->calls->n; i++)
        put_response(r, g4_node_get(g4_node_get(m->calls->kid + i, "function"), "name")->text, &null);
}

static bool large(const struct chat *c)
{
    return c->r.in->format == G4_CHAT_GEMMA4_LARGE;
}

static void put_thought(struct g4_render *r, const g4_node *reasoning)
{
    g4_put(r, "<|channel>thought\n");
    g4_put_data(r, reasoning->text);
    g4_put(r, "\n<channel|>");
}

static const g4_node *reasoning_of(const struct msg *m)
{
    const g4_node *a = g4_node_get(m->m, "reasoning"), *b = g4_node_get(m->m, "reasoning_content");
    return a->type == G4_JSON_STRING && a->text.n ? a : b;
}

/* One message and the results behind it.  next: the message after those, c->n
 * when there is none; after_user: it stands behind the last user message. */
static int gemma4_message(struct chat *c, size_t i, size_t next, bool same_turn, bool after_user, enum state *state)
{
    struct g4_render *r = &c->r;
    const struct msg *m = c->msg + i;
    const bool model = m->kind == ASSISTANT, calls = m->calls->type == G4_JSON_ARRAY;
    const bool text_first = r->repair && model && calls, prefill = wants_prefill(c, i, next);
    const g4_node *reasoning = reasoning_of(m);
    const bool thought = reasoning->type == G4_JSON_STRING && reasoning->text.n;
    bool seen = false;
    if (!same_turn) {
        g4_put(r, "<|turn>");
        g4_put_data(r, m->role);
        g4_put(r, "\n");
        if (prefill && !thought && !r->in->think && large(c)) g4_put(r, "<|channel>thought\n<channel|>");
    }
    if (thought && (after_user || (r->in->preserve_thinking && calls))) put_thought(r, reasoning);
    if (text_first && put_content(c, m, &seen)) return G4_EINPUT;
    put_calls(r, m);
    bool answered;
    if (gemma4_responses(c, i, &answered)) return G4_EINPUT;
    if (calls && !answered && r->repair && next < c->n) {
        put_null_responses(r, m);
        answered = true;
    }
    *state = answered ? ANSWERED : calls ? CALLED : PLAIN;
    if (!text_first && put_content(c, m, &seen)) return G4_EINPUT;
    if (*state == CALLED) {
        g4_put(r, r->w->resp[0]);
    } else if (model && next < c->n && c->msg[next].kind == ASSISTANT && (!calls || answered)) {
        return 0; /* the next message continues this turn */
    } else if (answered && (text_first || !seen) && next == c->n) {
        return 0; /* the model continues this turn */
    } else if (prefill) {
        r->prefill = true;
    } else {
        g4_put(r, "<turn|>\n");
    }
    return 0;
}

static int render_gemma4(struct chat *c)
{
    struct g4_render *r = &c->r;
    size_t first, last_user = 0;
    bool user = false, same_turn = false;
    enum state state = PLAIN;
    g4_put(r, "<bos>");
    if (gemma4_system(c, &first)) return G4_EINPUT;
    for (size_t i = first; i < c->n; i++)
        if (c->msg[i].kind == USER) {
            last_user = i;
            user = true;
        }
    for (size_t i = first, next; i < c->n; i = next) {
        next = i + 1;
        if (c->msg[i].kind == TOOL) continue; /* results that follow no call are dropped, as the template does */
        while (next < c->n && c->msg[next].kind == TOOL) next++;
        if (gemma4_message(c, i, next, same_turn && c->msg[i].kind == ASSISTANT, !user || i > last_user, &state)) return G4_EINPUT;
        same_turn = c->msg[i].kind == ASSISTANT;
    }
    if (!r->in->add_generation_prompt || r->prefill) return 0;
    if (state == PLAIN) {
        g4_put(r, "<|turn>model\n");
        if (large(c) && !r->in->think) g4_put(r, "<|channel>thought\n<channel|>");
    } else if (state == ANSWERED && r->in->think) {
        g4_put(r, "<|channel>thought\n");
        r->open_thought = true;
    }
    return 0;
}

/* ---- Gemma 3 ------------------------------------------------------------------ */

static int gemma3_content(struct chat *c, const struct msg *m)
{
    const g4_node *v = g4_node_get(m->m, "content");
    if (v->type == G4_JSON_STRING) put_clean(&c->r, v->text, false);
    for (size_t i = 0; v->type == G4_JSON_ARRAY && i < v->n; i++) {
        const g4_node *part = v->kid + i, *type = g4_node_get(part, "type");
        if (g4_node_is(type, "image") || (c->r.repair && g4_node_is(type, "image_url")))
            g4_put_media(&c->r, "<start_of_image>", part->span);
        else if (g4_node_is(type, "text"))
            put_clean(&c->r, g4_node_get(part, "text")->text, false);
        else if (c->r.repair)
            return fail(c, m->number, "this model reads text and images only");
    }
    return 0;
}

/* The system text, untrimmed, stands before the first user text. */
static int gemma3_prefix(struct chat *c, g4_sv *prefix)
{
    const g4_node *v = g4_node_get(c->msg->m, "content");
    if (v->type == G4_JSON_ARRAY) v = v->n ? g4_node_get(v->kid, "text") : v;
    if (v->type != G4_JSON_STRING) return fail(c, 1, "a system message takes text only");
    if (c->r.repair && c->n == 1) return fail(c, 1, "a system message needs a user message behind it");
    *prefix = v->text;
    return 0;
}

static int render_gemma3(struct chat *c)
{
    struct g4_render *r = &c->r;
    g4_sv prefix = {0};
    if (!c->n) return g4_fail(r->err, G4_EINPUT, "messages is empty");
    if (r->repair && c->n_tool) return g4_fail(r->err, G4_EINPUT, "this model's chat format has no tools");
    const bool translate = r->in->format == G4_CHAT_TRANSLATEGEMMA;
    const size_t first = c->msg->kind == SYSTEM;
    if (first && translate) return fail(c, 1, "this model takes no system text");
    if (first && gemma3_prefix(c, &prefix)) return G4_EINPUT;
    g4_put(r, "<bos>");
    for (size_t i = first; i < c->n; i++) {
        const struct msg *m = c->msg + i;
        const bool user = (i - first) % 2 == 0;
        if ((m->kind == USER) != user || (r->repair && !user && m->kind != ASSISTANT))
            return fail(c, m->number, "in this model's chat format user and assistant must alternate");
        g4_put(r, user ? "<start_of_turn>user\n" : "<start_of_turn>");
        if (!user) {
            g4_put_data(r, m->role);
            g4_put(r, "\n");
        }
        if (i == first && first) {
            g4_put_data(r, prefix);
            g4_put_data(r, G4_SV("\n\n"));
        }
        if (translate && user ? g4_put_translation(r, g4_node_get(m->m, "content"), m->number) : gemma3_content(c, m)) return G4_EINPUT;
        if (wants_prefill(c, i, i + 1)) {
            r->prefill = true;
            return 0;
        }
        g4_put(r, "<end_of_turn>\n");
    }
    if (r->in->add_generation_prompt) g4_put(r, "<start_of_turn>model\n");
    return 0;
}

/* ---- FunctionGemma ---------------------------------------------------------------- */

static int function_content(struct chat *c, const struct msg *m)
{
    const g4_node *v = g4_node_get(m->m, "content");
    if (v->type == G4_JSON_STRING) put_clean(&c->r, v->text, false);
    for (size_t i = 0; v->type == G4_JSON_ARRAY && i < v->n; i++) {
        if (!g4_node_is(g4_node_get(v->kid + i, "type"), "text")) return fail(c, m->number, "this model reads text only");
        put_clean(&c->r, g4_node_get(v->kid + i, "text")->text, false);
    }
    return 0;
}

/* The model's own shape of a result is {"name": N, "response": R}, or a list. */
static void function_response(struct g4_render *r, g4_sv name, const g4_node *body)
{
    const g4_node *own = g4_node_get(body, "name"), *response = g4_node_get(body, "response");
    if (body->n == 2 && own->type == G4_JSON_STRING && response->type != G4_JSON_NONE)
        put_response(r, own->text, response);
    else
        put_response(r, name, body);
}

static int function_developer(struct chat *c, size_t *first)
{
    struct g4_render *r = &c->r;
    *first = c->n && c->msg->kind == SYSTEM;
    if (!*first && !c->n_tool) return 0;
    g4_put(r, "<start_of_turn>developer\n");
    if (!*first) g4_put(r, "You are a model that can do function calling with the following functions");
    else if (function_content(c, c->msg)) return G4_EINPUT;
    for (size_t i = 0; i < c->n_tool; i++) g4_put_declaration(r, c->tool[i]);
    g4_put(r, "<end_of_turn>\n");
    return 0;
}

static int render_functiongemma(struct chat *c)
{
    struct g4_render *r = &c->r;
    const struct msg *caller = NULL; /* whose turn is open */
    size_t first;
    g4_put(r, "<bos>");
    if (function_developer(c, &first)) return G4_EINPUT;
    for (size_t i = first; i < c->n; i++) {
        const struct msg *m = c->msg + i;
        if (m->kind == TOOL) {
            const g4_node *body = result_body(r, g4_node_get(m->m, "content"));
            function_response(r, answered_name(caller, m->m), body);
            continue;
        }
        if (!caller) {
            g4_put(r, "<start_of_turn>");
            g4_put_data(r, m->role);
            g4_put(r, "\n");
        }
        if (function_content(c, m)) return G4_EINPUT;
        put_calls(r, m);
        caller = m->calls->type == G4_JSON_ARRAY ? m : NULL;
        if (caller) continue;
        if (wants_prefill(c, i, i + 1)) {
            r->prefill = true;
            return 0;
        }
        g4_put(r, "<end_of_turn>\n");
    }
    if (caller && c->msg[c->n - 1].kind != TOOL) g4_put(r, r->w->resp[0]);
    else if (!caller && r->in->add_generation_prompt) g4_put(r, "<start_of_turn>model\n");
    return 0;
}

/* ---- entry ------------------------------------------------------------------------- */

static int render(struct chat *c)
{
    const struct g4_chat_in *in = c->r.in;
    if (read_messages(c, in->messages) || read_tools(c, in->tools)) return G4_EINPUT;
    switch (in->format) {
    case G4_CHAT_GEMMA4_SMALL:
    case G4_CHAT_GEMMA4_LARGE: return render_gemma4(c);
    case G4_CHAT_GEMMA3:
    case G4_CHAT_TRANSLATEGEMMA: return render_gemma3(c);
    case G4_CHAT_FUNCTIONGEMMA: return render_functiongemma(c);
    default: return g4_fail(c->r.err, G4_EINPUT, "a base model has no chat format");
    }
}

int g4_chat_render(const struct g4_chat_in *in, g4_arena *arena, struct g4_chat_out *out, g4_err *err)
{
    g4_err own = {0};
    struct chat c = {.r = {.in = in, .arena = arena, .err = err ? err : &own}};
    c.r.w = in->format == G4_CHAT_FUNCTIONGEMMA ? &function_marks : &gemma4_marks;
    /* FunctionGemma's template was never published: there is nothing to be exact about. */
    c.r.repair = !in->exact || in->format == G4_CHAT_FUNCTIONGEMMA;
    const int rc = render(&c);
    if (!rc) finish(&c.r, out);
    g4_str_free(&c.r.text);
    free(c.r.run);
    free(c.r.media);
    return rc;
}
