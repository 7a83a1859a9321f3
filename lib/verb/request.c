/* verb/request: from a record to the prompt's ids.
 *
 *     record --check--> options, tools, conversation --compose--> messages (operand and
 *     system put in) --render--> segments --encode--> ids --fits?--> done, or the document
 *     is shortened and composed again
 *
 * The document is the last user text: what --truncate may drop tokens of; the
 * operand before it is never cut. */
#include "verb/impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct reader {
    g4_engine *e;
    const g4_request *r;
    struct g4_ask *ask;
    g4_err *err;
    g4_json given;      /* the record's messages; {NULL, 0}: a prompt */
    g4_sv system;       /* decoded default system text; p NULL: none */
    size_t last_user;   /* index in given; (size_t)-1: none */
    size_t text_part;   /* its first text part; (size_t)-1: content is a string, or has none */
    g4_str document;    /* decoded last user text, without the operand */
    bool changed;       /* the last user message must be written anew */
};

static const size_t NONE = (size_t)-1;

static bool given(g4_json v)
{
    return g4_json_type(v) > G4_JSON_NULL;
}

/* ---- reading ------------------------------------------------------------ */

static int want_type(g4_json v, enum g4_json_type type, const char *name, const char *what, g4_err *err)
{
    if (!given(v) || g4_json_type(v) == type) return 0;
    return g4_fail(err, G4_EINPUT, "'%s' must be %s", name, what);
}

static int check_part(g4_json part, size_t i, g4_err *err)
{
    static const char *const media[] = { "image", "image_url", "audio", "input_audio", "video" };
    const g4_json type = g4_json_get(part, "type");
    if (g4_json_is(type, "text")) {
        if (g4_json_type(g4_json_get(part, "text")) == G4_JSON_STRING) return 0;
        return g4_fail(err, G4_EINPUT, "'messages[%zu]': a text part without 'text'", i);
    }
    for (size_t k = 0; k < sizeof media / sizeof *media; k++)
        if (g4_json_is(type, media[k])) return g4_fail(err, G4_EMEDIA, "'%s' parts are not supported yet", media[k]);
    return g4_fail(err, G4_EINPUT, "'messages[%zu]': a part of unknown type", i);
}

static int check_message(g4_json m, size_t i, g4_err *err)
{
    static const char *const roles[] = { "user", "assistant", "system", "developer", "tool" };
    const g4_json role = g4_json_get(m, "role"), content = g4_json_get(m, "content");
    size_t k = 0;
    if (g4_json_type(m) != G4_JSON_OBJECT) return g4_fail(err, G4_EINPUT, "'messages[%zu]' must be an object", i);
    while (k < sizeof roles / sizeof *roles && !g4_json_is(role, roles[k])) k++;
    if (k == sizeof roles / sizeof *roles)
        return g4_fail(err, G4_EINPUT, "'messages[%zu].role' must be user, assistant, system, developer or tool", i);
    if (g4_json_type(content) == G4_JSON_ARRAY && k != 4) {
        for (g4_json_it it = g4_json_iter(content); g4_json_next(&it);)
            if (check_part(it.value, i, err)) return err ? err->code : G4_EINPUT;
    } else if (given(content) && g4_json_type(content) != G4_JSON_STRING && k != 4) {
        return g4_fail(err, G4_EINPUT, "'messages[%zu].content' must be a string or an array of parts", i);
    }
    if (given(g4_json_get(m, "tool_calls")) && g4_json_type(g4_json_get(m, "tool_calls")) != G4_JSON_ARRAY)
        return g4_fail(err, G4_EINPUT, "'messages[%zu].tool_calls' must be an array", i);
    return 0;
}

static int check_messages(struct reader *d)
{
    size_t i = 0;
    g4_json last = {0};
    for (g4_json_it it = g4_json_iter(d->given); g4_json_next(&it); i++) {
        g4_err err = {0};
        if (check_message(it.value, i, &err)) return g4_fail(d->err, err.code, "%s", err.msg);
        if (g4_json_is(g4_json_get(it.value, "role"), "user")) d->last_user = i;
        last = it.value;
    }
    if (!i) return g4_fail(d->err, G4_EINPUT, "'messages' is empty");
    const bool answered = g4_json_is(g4_json_get(last, "role"), "assistant") && !g4_json_count(g4_json_get(last, "tool_calls"));
    if (answered && !d->ask->opt.prefill)
        return g4_fail(d->err, G4_EINPUT, "'messages' end in an answer ('options.prefill' goes on with it)");
    d->ask->prefill = answered;
    return 0;
}

/* The last user text, where it stands. */
static void find_document(struct reader *d)
{
    d->text_part = NONE;
    if (d->last_user == NONE) return;
    const g4_json content = g4_json_get(g4_json_at(d->given, d->last_user), "content");
    if (g4_json_type(content) == G4_JSON_STRING) g4_json_str(content, &d->document);
    size_t i = 0;
    if (g4_json_type(content) != G4_JSON_ARRAY) return;
    for (g4_json_it it = g4_json_iter(content); g4_json_next(&it); i++) {
        if (!g4_json_is(g4_json_get(it.value, "type"), "text")) continue;
        d->text_part = i;
        g4_json_str(g4_json_get(it.value, "text"), &d->document);
        return;
    }
}

/* The caller's declarations, for a record that brings none. */
static int default_tools(struct reader *d)
{
    const size_t n = strlen(d->r->tools);
    const char *text = g4_arena_strndup(&d->ask->arena, d->r->tools, n);
    const int rc = g4_json_check(text, n, &d->ask->tools, d->err);
    return rc ? rc : want_type(d->ask->tools, G4_JSON_ARRAY, "tools", "an array", d->err);
}

/* A caller's text as JSON that lives as long as the request. */
static int default_json(struct reader *d, const char *text, const char *name, g4_json *out)
{
    g4_err why = {0};
    const size_t n = strlen(text);
    if (!g4_json_check(g4_arena_strndup(&d->ask->arena, text, n), n, out, &why)) return 0;
    return g4_fail(d->err, G4_ESCHEMA, "'%s': %s", name, why.msg);
}

/* What the answer must be: the record's own word, or the caller's. */
static int read_constraint(struct reader *d, g4_json root)
{
    const g4_request *r = d->r;
    struct g4_constrain_spec *s = &d->ask->constrain;
    const g4_json schema = g4_json_get(root, "schema"), regex = g4_json_get(root, "regex"), choices = g4_json_get(root, "choices");
    const bool own = given(schema) || given(regex) || given(choices);
    int rc = 0;
    s->any_order = r->any_order;
    s->lax = r->schema_lax;
    if (given(schema) + given(regex) + given(choices) + (!own && r->schema) + (!own && r->regex) + (!own && r->choices) > 1)
        return g4_fail(d->err, G4_EINPUT, "only one of 'schema', 'regex' and 'choices' can be given");
    if (want_type(regex, G4_JSON_STRING, "regex", "a string", d->err) || want_type(choices, G4_JSON_ARRAY, "choices", "an array", d->err))
        return G4_EINPUT;
    s->schema = schema;
    s->choices = choices;
    if (!own && r->schema) rc = default_json(d, r->schema, "schema", &s->schema);
    if (!own && r->choices) rc = default_json(d, r->choices, "choices", &s->choices);
    if (given(regex)) {
        char *text = g4_json_dup(regex);
        s->regex = g4_arena_strndup(&d->ask->arena, text, strlen(text));
        free(text);
    } else if (!own && r->regex) {
        s->regex = g4_arena_strndup(&d->ask->arena, r->regex, strlen(r->regex));
    }
    s->kind = given(s->schema) ? G4_CONSTRAIN_SCHEMA : s->regex ? G4_CONSTRAIN_REGEX : given(s->choices) ? G4_CONSTRAIN_CHOICES : G4_CONSTRAIN_NONE;
    return rc;
}

static int read_record(struct reader *d, g4_json root)
{
    struct g4_ask *ask = d->ask;
    if (g4_json_type(root) != G4_JSON_OBJECT) return g4_fail(d->err, G4_EINPUT, "the record is not an object");
    if (d->r->options) ask->opt = *d->r->options;
    ask->budget = d->r->budget;
    g4_options own = {0};
    int rc = read_constraint(d, root);
    if (!rc) rc = g4_options_parse(g4_json_get(root, "options"), &own, &ask->arena, d->err);
    if (rc) return rc;
    g4_options_merge(&ask->opt, &own);
    rc = g4_options_finish(&ask->opt, g4_model_defaults(g4_core_model(d->e->core)), d->err);
    if (rc) return rc;

    const g4_json messages = g4_json_get(root, "messages"), prompt = g4_json_get(root, "prompt");
    const g4_json tools = g4_json_get(root, "tools"), system = g4_json_get(root, "system");
    if (want_type(messages, G4_JSON_ARRAY, "messages", "an array", d->err) ||
        want_type(prompt, G4_JSON_STRING, "prompt", "a string", d->err) ||
        want_type(tools, G4_JSON_ARRAY, "tools", "an array", d->err) ||
        want_type(system, G4_JSON_STRING, "system", "a string", d->err))
        return G4_EINPUT;
    if (given(tools)) ask->tools = tools;
    else if (d->r->tools && (rc = default_tools(d))) return rc;
    if (given(messages)) d->given = messages;
    else if (given(prompt)) g4_json_str(prompt, &d->document);
    else if (!d->r->operand) return g4_fail(d->err, G4_EINPUT, "the record has neither 'messages' nor 'prompt'");
    ask->had_chat = given(messages) || given(ask->tools);
    if (given(system)) {
        g4_str text = {0}; /* counted: it may hold NUL */
        g4_json_str(system, &text);
        d->system = (g4_sv){ g4_arena_strndup(&ask->arena, text.p ? text.p : "", text.n), text.n };
        g4_str_free(&text);
    } else if (d->r->system) {
        d->system = (g4_sv){ d->r->system, strlen(d->r->system) };
    }
    if (!d->given.p) return 0;
    if (check_messages(d)) return d->err && d->err->code ? d->err->code : G4_EINPUT;
    find_document(d);
    return 0;
}

static int read_stops(struct g4_ask *ask, g4_err *err)
{
    g4_json list;
    if (g4_json_check(ask->opt.stop_json, strlen(ask->opt.stop_json), &list, NULL) || g4_json_type(list) != G4_JSON_ARRAY ||
        g4_json_count(list) > G4_MAX_STOP)
        return g4_fail(err, G4_EINPUT, "'stop' must be a list of at most %d strings", G4_MAX_STOP);
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);) {
        char *s = g4_json_dup(it.value);
        const bool good = s && *s;
        if (good) ask->stops[ask->n_stop++] = g4_arena_strndup(&ask->arena, s, strlen(s));
        free(s);
        if (!good) return g4_fail(err, G4_EINPUT, "'stop' holds something that is no string, or is empty");
    }
    return 0;
}

/* ---- composing ---------------------------------------------------------- */

/* Instruction, blank line, document. */
static void put_user_text(const struct reader *d, g4_str *out)
{
    g4_str text = {0};
    if (d->r->operand) g4_str_adds(&text, d->r->operand);
    if (d->r->operand && d->document.n) g4_str_adds(&text, "\n\n");
    g4_str_add(&text, d->document.p, d->document.n);
    g4_json_put_str(out, text.p, text.n);
    g4_str_free(&text);
}

static void put_message(g4_str *out, const char *role, g4_sv text)
{
    g4_str_addf(out, "%s{\"role\":\"%s\",\"content\":", out->p[out->n - 1] == '[' ? "" : ",", role);
    g4_json_put_str(out, text.p, text.n);
    g4_str_addc(out, '}');
}

static void put_content(const struct reader *d, g4_str *out, g4_json content)
{
    if (g4_json_type(content) != G4_JSON_ARRAY) {
        put_user_text(d, out);
        return;
    }
    size_t i = 0;
    g4_str_addc(out, '[');
    if (d->text_part == NONE) { /* nothing but other parts: the operand comes first */
        g4_str_adds(out, "{\"type\":\"text\",\"text\":");
        put_user_text(d, out);
        g4_str_adds(out, g4_json_count(content) ? "}," : "}");
    }
    for (g4_json_it it = g4_json_iter(content); g4_json_next(&it); i++) {
        if (i) g4_str_addc(out, ',');
        if (i == d->text_part) {
            g4_str_adds(out, "{\"type\":\"text\",\"text\":");
            put_user_text(d, out);
            g4_str_addc(out, '}');
        } else {
            g4_str_add(out, it.value.p, it.value.n);
        }
    }
    g4_str_addc(out, ']');
}

/* The last user message with its text written anew. */
static void put_last_user(const struct reader *d, g4_str *out, g4_json m)
{
    bool content = false;
    g4_str_addc(out, '{');
    for (g4_json_it it = g4_json_iter(m); g4_json_next(&it);) {
        if (out->p[out->n - 1] != '{') g4_str_addc(out, ',');
        if (g4_json_is(it.key, "content")) {
            g4_str_adds(out, "\"content\":");
            put_content(d, out, it.value);
            content = true;
        } else {
            g4_str_add(out, it.begin, (size_t)(it.end - it.begin));
        }
    }
    if (!content) {
        g4_str_adds(out, ",\"content\":");
        put_user_text(d, out);
    }
    g4_str_addc(out, '}');
}

static bool has_system(g4_json messages)
{
    const g4_json role = g4_json_get(g4_json_at(messages, 0), "role");
    return g4_json_is(role, "system") || g4_json_is(role, "developer");
}

/* d->ask->messages: the whole conversation, in the arena. */
static void compose(struct reader *d)
{
    g4_str s = {0};
    size_t i = 0;
    const bool system = d->system.p && d->system.n && !has_system(d->given);
    if (d->given.p && !system && !d->changed) {
        d->ask->messages = (g4_json){ g4_arena_strndup(&d->ask->arena, d->given.p, d->given.n), d->given.n };
        return;
    }
    g4_str_addc(&s, '[');
    if (system) put_message(&s, "system", d->system);
    for (g4_json_it it = g4_json_iter(d->given); d->given.p && g4_json_next(&it); i++) {
        if (s.p[s.n - 1] != '[') g4_str_addc(&s, ',');
        if (i == d->last_user && d->changed) put_last_user(d, &s, it.value);
        else g4_str_add(&s, it.value.p, it.value.n);
    }
    if (d->last_user == NONE && (!d->given.p || d->r->operand)) {
        if (s.p[s.n - 1] != '[') g4_str_addc(&s, ',');
        g4_str_adds(&s, "{\"role\":\"user\",\"content\":");
        put_user_text(d, &s);
        g4_str_addc(&s, '}');
    }
    g4_str_addc(&s, ']');
    d->ask->messages = (g4_json){ g4_arena_strndup(&d->ask->arena, s.p, s.n), s.n };
    g4_str_free(&s);
}

/* ---- rendering ---------------------------------------------------------- */

static void add_text(g4_str *out, g4_json content)
{
    if (g4_json_type(content) == G4_JSON_STRING) g4_json_str(content, out);
    if (g4_json_type(content) != G4_JSON_ARRAY) return;
    for (g4_json_it it = g4_json_iter(content); g4_json_next(&it);) g4_json_str(g4_json_get(it.value, "text"), out);
}

/* A base model reads texts, blank lines between them. */
static void render_raw(struct g4_ask *ask, const g4_tokenizer *tok)
{
    g4_str text = {0};
    const struct g4_vocab *v = g4_tokenizer_vocab(tok);
    for (g4_json_it it = g4_json_iter(ask->messages); g4_json_next(&it);) {
        if (text.n) g4_str_adds(&text, "\n\n");
        add_text(&text, g4_json_get(it.value, "content"));
    }
    struct g4_seg *seg = g4_arena_alloc(&ask->arena, 2 * sizeof *seg);
    seg[0] = (struct g4_seg){ .mode = G4_SEG_TEMPLATE, .p = "", .n = 0 };
    if (v->bos >= 0) seg[0] = (struct g4_seg){ .mode = G4_SEG_TEMPLATE, .p = v->piece[v->bos].p, .n = v->piece[v->bos].n };
    seg[1] = (struct g4_seg){ .mode = G4_SEG_DATA, .p = g4_arena_strndup(&ask->arena, text.p ? text.p : "", text.n), .n = text.n };
    ask->chat = (struct g4_chat_out){ .segs = seg, .n_seg = 2 };
    g4_str_free(&text);
}

static int render(struct reader *d)
{
    struct g4_ask *ask = d->ask;
    g4_model *m = g4_core_model(d->e->core);
    const g4_tokenizer *tok = g4_model_tokenizer(m);
    compose(d);
    const struct g4_chat_in in = {
        .format = g4_model_chat(m), .messages = ask->messages, .tools = ask->tools,
        .think = ask->opt.think != 0, .add_generation_prompt = true,
    };
    ask->raw = d->r->raw || in.format == G4_CHAT_NONE;
    if (in.think && !d->e->info.can_think && !d->e->told_think) {
        d->e->told_think = true;
        g4_log(G4_LOG_WARN, "'%s' has no thinking mode", d->e->info.model_name);
    }
    if (ask->raw) {
        render_raw(ask, tok);
    } else {
        const int rc = g4_chat_render(&in, &ask->arena, &ask->chat, d->err);
        if (rc) return rc;
        if (ask->chat.n_media) return g4_fail(d->err, G4_EMEDIA, "media parts are not supported yet");
        ask->open_thought = ask->chat.open_thought;
    }
    size_t cap = 0;
    free(ask->ids);
    ask->ids = NULL;
    ask->n_ids = 0;
    g4_tokenizer_encode(tok, ask->chat.segs, ask->chat.n_seg, &ask->ids, &ask->n_ids, &cap);
    return 0;
}

/* ---- shortening --------------------------------------------------------- */

/* Drops `drop` tokens of the document: its head, its middle or its tail. */
static void shorten(struct reader *d, size_t drop)
{
    const g4_tokenizer *tok = g4_model_tokenizer(g4_core_model(d->e->core));
    const struct g4_seg seg = { .mode = G4_SEG_DATA, .p = d->document.p, .n = d->document.n };
    int32_t *ids = NULL;
    size_t n = 0, cap = 0;
    g4_tokenizer_encode(tok, &seg, 1, &ids, &n, &cap);
    if (drop > n) drop = n;
    const size_t from = d->ask->opt.truncate == G4_TRUNCATE_HEAD ? 0 : d->ask->opt.truncate == G4_TRUNCATE_MIDDLE ? (n - drop) / 2 : n - drop;
    g4_str kept = {0}, whole = {0};
    for (size_t i = 0; i < n; i++)
        if (i < from || i >= from + drop) g4_tokenizer_piece(tok, ids[i], false, &kept);
    struct g4_utf8_stream u = {0}; /* a character that was cut becomes U+FFFD */
    g4_utf8_stream_push(&u, kept.p, kept.n, &whole);
    g4_utf8_stream_flush(&u, &whole);
    g4_str_free(&kept);
    g4_str_free(&d->document);
    d->document = whole;
    d->changed = true;
    free(ids);
}

/* Tokens an answer should have: a quarter of the context, or max_tokens when that is less. */
static size_t answer_room(const struct g4_ask *ask, size_t context)
{
    size_t room = context / 4;
    if ((size_t)ask->opt.max_tokens < room) room = (size_t)ask->opt.max_tokens;
    return room ? room : 1;
}

/* A conversation that nears the context loses its oldest parts, and an eighth of the
 * context more, so that the next turns need not begin again. */
static int compact(struct reader *d, size_t context)
{
    struct g4_ask *ask = d->ask;
    const g4_tokenizer *tok = g4_model_tokenizer(g4_core_model(d->e->core));
    const size_t most = context - answer_room(ask, context);
    if (!ask->opt.compact || !d->given.p || ask->n_ids <= most) return 0;
    for (int i = 0; i < 16 && ask->n_ids > most; i++) {
        const uint32_t had = ask->dropped.messages;
        if (!g4_compact(tok, &ask->arena, ask->n_ids - most + context / 8, &d->given, &ask->dropped)) return 0;
        if (d->last_user != NONE) d->last_user -= ask->dropped.messages - had;
        const int rc = render(d);
        if (rc) return rc;
    }
    return 0;
}

/* The prompt must leave room for one token; with --truncate for an answer. */
static int fit(struct reader *d)
{
    struct g4_ask *ask = d->ask;
    const size_t context = g4_core_context(d->e->core), n = ask->n_ids, room = answer_room(ask, context);
    const int rc = context ? compact(d, context) : 0;
    if (rc || !context || ask->n_ids + 1 <= context) return rc;
    for (int i = 0; ask->opt.truncate && i < 16 && d->document.n && ask->n_ids + room > context; i++) {
        shorten(d, ask->n_ids + room - context + (i ? 4 : 0));
        const int bad = render(d);
        if (bad) return bad;
    }
    if (ask->n_ids + 1 <= context) return 0;
    const char *way = d->given.p ? ": 'compact' would shorten it" : ask->opt.truncate ? "" : ": 'truncate' would cut it";
    if (d->given.p && ask->opt.compact) way = ", and nothing more of it can be left out";
    return g4_fail(d->err, G4_ECONTEXT, "the prompt has %zu tokens, the context holds %zu%s", n, context, way);
}

/* ---- all of it ---------------------------------------------------------- */

void g4_ask_free(struct g4_ask *ask)
{
    free(ask->ids);
    g4_arena_free(&ask->arena);
    *ask = (struct g4_ask){0};
}

int g4_ask_read(g4_engine *e, const g4_request *r, struct g4_ask *ask, g4_err *err)
{
    g4_err own = {0};
    struct reader d = { .e = e, .r = r, .ask = ask, .err = &own, .last_user = NONE, .text_part = NONE, .changed = r->operand != NULL };
    g4_json root;
    *ask = (struct g4_ask){0};
    const char *json = r->json ? r->json : "{}";
    size_t n = r->json && r->json_len ? r->json_len : strlen(json);
    json = g4_arena_strndup(&ask->arena, json, n); /* spans of it live as long as the task */
    int rc = g4_json_check(json, n, &root, &own);
    if (!rc) rc = read_record(&d, root);
    if (!rc) rc = read_stops(ask, &own);
    if (!rc) rc = render(&d);
    if (!rc) rc = fit(&d);
    g4_str_free(&d.document);
    if (!rc) return 0;
    g4_ask_free(ask);
    return g4_fail(err, rc, "%s", own.msg);
}

int g4_request_ids(g4_engine *e, const g4_request *r, int32_t **ids, size_t *n, g4_err *err)
{
    struct g4_ask ask;
    const int rc = g4_ask_read(e, r, &ask, err);
    if (rc) return rc;
    *ids = ask.ids;
    *n = ask.n_ids;
    ask.ids = NULL;
    g4_ask_free(&ask);
    return 0;
}

int g4_render(g4_engine *e, const g4_request *r, char **prompt, size_t *len, size_t *n_tokens, g4_err *err)
{
    struct g4_ask ask;
    const int rc = g4_ask_read(e, r, &ask, err);
    if (rc) return rc;
    g4_str text = {0};
    g4_chat_text(&ask.chat, &text);
    *len = text.n;
    *n_tokens = ask.n_ids;
    *prompt = g4_str_take(&text);
    g4_ask_free(&ask);
    return 0;
}
