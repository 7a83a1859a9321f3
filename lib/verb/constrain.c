/* verb/constrain: answers that satisfy a schema, an expression or a list of choices.
 *
 * What a constraint compiles to is kept with the engine: records that share one
 * share its automaton, which knows more with every record.  The vocabulary by its
 * bytes is made (or mapped) for the first one. */
#include "verb/constrain.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text/regex.h"
#include "text/schema.h"
#include "text/validate.h"

enum { IDLE_MAX = 8, MAX_STATES = 50000, MAX_CHOICES = 10000 };

struct g4_constraint {
    struct g4_constraint *next;
    g4_str key;
    g4_automaton *automaton;
    uint32_t users;
    uint64_t used;           /* when, for finding the oldest */
};

/* ---- compiling ------------------------------------------------------------------- */

static int schema_node(g4_grammar *g, const struct g4_constrain_spec *s, g4_node *out, g4_err *err)
{
    const struct g4_schema_params p = { .root = s->schema, .schema = s->schema, .any_order = s->any_order, .lax = s->lax };
    return g4_schema_node(g, &p, out, err);
}

static int regex_node(g4_grammar *g, const char *text, g4_node *out, g4_err *err)
{
    g4_err why = {0};
    g4_regex *r = g4_regex_new(text, strlen(text), &why);
    g4_dfa *d = r ? g4_dfa_regex(r, true, MAX_STATES, &why) : NULL;
    g4_regex_free(r);
    if (!d) return g4_fail(err, G4_ESCHEMA, "the expression '%.100s': %s", text, why.msg);
    *out = g4_node_text(g, d);
    return G4_OK;
}

static int choices_node(g4_grammar *g, g4_json list, g4_node *out, g4_err *err)
{
    const size_t n = g4_json_count(list);
    g4_sv *text = g4_arena_alloc(g4_grammar_arena(g), (n + 1) * sizeof *text);
    size_t kept = 0;
    if (!n || n > MAX_CHOICES) return g4_fail(err, G4_ESCHEMA, "'choices' must be a list of 1 to %u strings", (unsigned)MAX_CHOICES);
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);) {
        g4_str s = {0};
        bool twice = false;
        if (g4_json_type(it.value) != G4_JSON_STRING || it.value.n <= 2) return g4_fail(err, G4_ESCHEMA, "'choices' must be a list of strings that are not empty");
        g4_json_str(it.value, &s);
        text[kept] = (g4_sv){ g4_arena_strndup(g4_grammar_arena(g), s.p, s.n), s.n };
        g4_str_free(&s);
        for (size_t i = 0; i < kept && !twice; i++) twice = g4_sv_same(text[i], text[kept]);
        kept += !twice;
    }
    *out = g4_node_text(g, g4_dfa_strings(text, kept, false));
    return G4_OK;
}

static g4_automaton *compile(const struct g4_constrain_spec *s, g4_err *err)
{
    if (s->kind == G4_CONSTRAIN_TOOLS) return g4_toolguide_compile(s->tok, s->format, s->tools, s->function, err);
    g4_grammar *g = g4_grammar_new();
    g4_node start = G4_NODE_NEVER;
    int rc;
    if (s->kind == G4_CONSTRAIN_SCHEMA) rc = schema_node(g, s, &start, err);
    else if (s->kind == G4_CONSTRAIN_REGEX) rc = regex_node(g, s->regex, &start, err);
    else rc = choices_node(g, s->choices, &start, err);
    if (rc) {
        g4_grammar_free(g);
        return NULL;
    }
    g4_grammar_start(g, start);
    return g4_automaton_new(g, err);
}

int g4_constraint_check(const g4_request *r, g4_err *err)
{
    struct g4_constrain_spec s = { .any_order = r->any_order, .lax = r->schema_lax, .regex = r->regex };
    g4_err why = {0};
    if (r->schema && g4_json_check(r->schema, strlen(r->schema), &s.schema, &why)) return g4_fail(err, G4_ESCHEMA, "the schema is %s", why.msg);
    if (r->choices && g4_json_check(r->choices, strlen(r->choices), &s.choices, &why)) return g4_fail(err, G4_ESCHEMA, "the choices are %s", why.msg);
    s.kind = r->schema ? G4_CONSTRAIN_SCHEMA : r->regex ? G4_CONSTRAIN_REGEX : r->choices ? G4_CONSTRAIN_CHOICES : G4_CONSTRAIN_NONE;
    if (!s.kind) return G4_OK;
    g4_automaton *a = compile(&s, err);
    g4_automaton_free(a);
    return a ? G4_OK : G4_ESCHEMA;
}

/* ---- what an engine keeps ------------------------------------------------------------ */

static void put_key(const struct g4_constrain_spec *s, g4_str *key)
{
    g4_str_addf(key, "%d%d%d", s->kind, s->any_order, s->lax);
    if (s->kind == G4_CONSTRAIN_REGEX) g4_str_adds(key, s->regex);
    else if (s->kind == G4_CONSTRAIN_SCHEMA) g4_str_add(key, s->schema.p, s->schema.n);
    else if (s->kind == G4_CONSTRAIN_CHOICES) g4_str_add(key, s->choices.p, s->choices.n);
    else g4_str_addf(key, "%s %.*s", s->function ? s->function : "", (int)s->tools.n, s->tools.p);
}

static void drop(struct g4_constraint **at)
{
    struct g4_constraint *c = *at;
    *at = c->next;
    g4_automaton_free(c->automaton);
    g4_str_free(&c->key);
    free(c);
}

/* Keeps the number of constraints that nobody uses within bounds. */
static void drop_oldest(g4_engine *e)
{
    struct g4_constraint **oldest = NULL;
    unsigned idle = 0;
    for (struct g4_constraint **c = &e->constraints; *c; c = &(*c)->next) {
        if ((*c)->users) continue;
        idle++;
        if (!oldest || (*c)->used < (*oldest)->used) oldest = c;
    }
    if (idle > IDLE_MAX) drop(oldest);
}

struct g4_constraint *g4_constraint_get(g4_engine *e, const struct g4_constrain_spec *s, g4_err *err)
{
    static uint64_t clock;
    g4_str key = {0};
    struct g4_constraint *c = e->constraints;
    put_key(s, &key);
    while (c && (c->key.n != key.n || memcmp(c->key.p, key.p, key.n))) c = c->next;
    if (!c) {
        const double begin = g4_now();
        g4_automaton *a = compile(s, err);
        if (!a) {
            g4_str_free(&key);
            return NULL;
        }
        g4_log(G4_LOG_VERBOSE, "constraint compiled in %.1f ms", 1e3 * (g4_now() - begin));
        drop_oldest(e);
        c = g4_alloc(sizeof *c);
        c->key = key;
        key = (g4_str){0};
        c->automaton = a;
        c->next = e->constraints;
        e->constraints = c;
    }
    g4_str_free(&key);
    c->users++;
    c->used = ++clock;
    return c;
}

void g4_constraint_put(struct g4_constraint *c)
{
    if (c) c->users--;
}

g4_automaton *g4_constraint_automaton(const struct g4_constraint *c)
{
    return c->automaton;
}

void g4_constrain_forget(g4_engine *e)
{
    while (e->constraints) drop(&e->constraints);
    g4_pieces_free(e->pieces);
    e->pieces = NULL;
}

const g4_pieces *g4_engine_pieces(g4_engine *e)
{
    if (e->pieces) return e->pieces;
    e->pieces = g4_pieces_new(g4_model_tokenizer(g4_core_model(e->core)), true);
    g4_log(G4_LOG_VERBOSE, "vocabulary by bytes %s in %.1f ms", e->pieces->from_cache ? "loaded" : "made", e->pieces->ms);
    return e->pieces;
}

/* ---- one task ------------------------------------------------------------------------- */

/* What the model goes on from, without blanks at its ends. */
static void prefill_text(const g4_task *t, g4_str *out)
{
    const size_t n = g4_json_count(t->ask.messages);
    if (!t->ask.prefill || !n) return;
    g4_message_text(g4_json_at(t->ask.messages, n - 1), out);
    while (out->n && strchr(" \t\r\n", out->p[out->n - 1])) out->p[--out->n] = 0;
    size_t from = 0;
    while (from < out->n && strchr(" \t\r\n", out->p[from])) from++;
    if (from) memmove(out->p, out->p + from, out->n - from);
    out->n -= from;
}

uint32_t g4_most_tokens(const g4_task *t)
{
    const struct g4_ask *ask = &t->ask;
    const uint32_t context = g4_core_context(t->engine->core), room = ask->n_ids < context ? context - (uint32_t)ask->n_ids : 0;
    uint32_t most = (uint32_t)ask->opt.max_tokens;
    if (ask->budget && ask->budget < most) most = ask->budget;
    return most < room ? most : room;
}

int g4_constrain_begin(g4_task *t, g4_err *err)
{
    g4_engine *e = t->engine;
    g4_model *m = g4_core_model(e->core);
    const struct g4_gen_defaults *d = g4_model_defaults(m);
    g4_str before = {0};
    int rc = G4_OK;
    if (!t->ask.constrain.kind) return G4_OK;
    if (!(t->constraint = g4_constraint_get(e, &t->ask.constrain, err))) return G4_ESCHEMA;
    const struct g4_answer_params p = {
        .matcher = g4_matcher_new(t->constraint->automaton, g4_engine_pieces(e), g4_model_tokenizer(m), false),
        .tok = g4_model_tokenizer(m), .format = t->ask.raw ? G4_CHAT_NONE : g4_model_chat(m),
        .think = t->ask.opt.think != 0, .open_thought = t->ask.open_thought, .tools = g4_json_count(t->ask.tools) > 0,
        .stop = d->stop, .n_stop = d->n_stop, .max_tokens = g4_most_tokens(t), .n_vocab = g4_model_hp(m)->n_vocab,
    };
    prefill_text(t, &before);
    if (before.n && !g4_matcher_bytes(p.matcher, before.p, before.n))
        rc = g4_fail(err, G4_EINPUT, "the turn to go on with is not the beginning of a value that the constraint allows");
    g4_str_free(&before);
    t->guide = g4_answer_new(&p);
    return rc;
}

void g4_constrain_end(g4_task *t)
{
    g4_answer_free(t->guide);
    g4_constraint_put(t->constraint);
    t->guide = NULL;
    t->constraint = NULL;
}

/* ---- the finished answer ------------------------------------------------------------------ */

static int judge_schema(g4_task *t, const g4_str *text, g4_err *err)
{
    g4_json value;
    g4_str data = {0};
    int rc = g4_json_check(text->p ? text->p : "", text->n, &value, err);
    if (!rc) rc = g4_validate(t->ask.constrain.schema, value, err);
    if (rc) return rc;
    g4_json_put_compact(&data, value);
    t->data = g4_str_take(&data);
    return G4_OK;
}

static int judge_text(g4_task *t, g4_sv text, g4_err *err)
{
    const struct g4_constrain_spec *s = &t->ask.constrain;
    g4_str own = {0};
    bool good = false;
    g4_json_put_str(&own, text.p, text.n);
    if (s->kind == G4_CONSTRAIN_REGEX) {
        g4_regex *r = g4_regex_new(s->regex, strlen(s->regex), NULL);
        good = r && g4_regex_matches(r, text.p, text.n);
        g4_regex_free(r);
    } else {
        g4_str list = {0};
        g4_str_addf(&list, "{\"enum\":%.*s}", (int)s->choices.n, s->choices.p);
        good = !g4_validate((g4_json){ list.p, list.n }, (g4_json){ own.p, own.n }, NULL);
        g4_str_free(&list);
    }
    t->data = g4_str_take(&own);
    return good ? G4_OK : g4_fail(err, G4_EINPUT, "it is none of what was asked for");
}

void g4_constrain_judge(g4_task *t)
{
    g4_result *r = &t->result;
    g4_err why = {0};
    g4_str text = {0};
    if (!t->ask.constrain.kind || g4_answer_called(t->guide) || t->tool_calls) return;
    if (r->finish != G4_FINISH_STOP) return; /* it was cut: no value */
    prefill_text(t, &text);
    g4_str_add(&text, t->answer.p, t->answer.n);
    const int rc = t->ask.constrain.kind == G4_CONSTRAIN_SCHEMA ? judge_schema(t, &text, &why) : judge_text(t, g4_answer_text(t->guide), &why);
    g4_str_free(&text);
    if (!rc) {
        r->data = t->data;
        return;
    }
    free(t->data);
    t->data = NULL;
    g4_fail(&r->err, G4_ESCHEMA, "the answer does not satisfy %s: %s", t->ask.constrain.kind == G4_CONSTRAIN_SCHEMA ? "the schema" : "the constraint", why.msg);
}
