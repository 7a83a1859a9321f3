/* text/toolguide: see toolguide.h.
 *
 * One grammar holds the calls of a whole turn; the matcher gets the tokens of calls
 * only, so that what stands between them stays free. */
#include "text/toolguide.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "text/mask.h"
#include "text/schema.h"
#include "text/steps.h"

enum { SPARE = 32 };

static int32_t find(const g4_tokenizer *t, const char *piece)
{
    return g4_tokenizer_find(t, piece, strlen(piece));
}

/* ---- compiling ------------------------------------------------------------------- */

struct marks {
    int32_t open, close, quote;
};

static bool find_marks(const g4_tokenizer *t, enum g4_chat_format f, struct marks *m)
{
    if (g4_chat_is_gemma4(f)) *m = (struct marks){ find(t, "<|tool_call>"), find(t, "<tool_call|>"), find(t, "<|\"|>") };
    else if (f == G4_CHAT_FUNCTIONGEMMA) *m = (struct marks){ find(t, "<start_function_call>"), find(t, "<end_function_call>"), find(t, "<escape>") };
    else return false;
    return m->open >= 0 && m->close >= 0 && m->quote >= 0;
}

/* {"type":"object","properties":{}} is how a function without parameters is declared. */
static bool declares_nothing(g4_json p)
{
    static const char *const known[] = { "type", "properties", "required", "title", "description", "$schema" };
    if (g4_json_count(g4_json_get(p, "properties"))) return false;
    for (g4_json_it it = g4_json_iter(p); g4_json_next(&it);) {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && !g4_json_is(it.key, known[i])) i++;
        if (i == sizeof known / sizeof *known) return false;
    }
    return true;
}

/* What the arguments of a function may be; G4_NODE_NEVER: there are none it could be called with. */
static int arguments_node(g4_grammar *g, const struct g4_dialect *d, g4_json function, const char *name, g4_node *out, g4_err *err)
{
    const g4_json own = g4_json_get(function, "function"), p = g4_json_get(own.p ? own : function, "parameters");
    g4_err why = {0};
    if (declares_nothing(p)) function = G4_SV("{}");
    if (!g4_schema_arguments(g, d, function, out, &why)) return G4_OK;
    const struct g4_schema_params lax = { .root = p, .schema = p, .dialect = *d, .object = true, .lax = true };
    if (g4_schema_node(g, &lax, out, err)) return g4_fail(err, G4_ESCHEMA, "tool '%s': %s", name, why.msg);
    g4_log(G4_LOG_WARN, "tool '%s': %s: its calls are checked when they run", name, why.msg);
    return G4_OK;
}

static int function_node(g4_grammar *g, const struct g4_dialect *d, g4_json tool, const char *only, g4_node *out, g4_err *err)
{
    const g4_json own = g4_json_get(tool, "function");
    char *name = g4_json_dup(g4_json_get(own.p ? own : tool, "name"));
    *out = G4_NODE_NEVER;
    int rc = G4_OK;
    if (name && (!only || !strcmp(only, name))) {
        g4_node args = G4_NODE_NEVER;
        rc = arguments_node(g, d, tool, name, &args, err);
        const g4_node seq[] = { g4_node_bytes(g, name, strlen(name)), args };
        if (!rc) *out = g4_node_seq(g, seq, 2);
    }
    free(name);
    return rc;
}

static int calls_node(g4_grammar *g, const struct marks *m, g4_json tools, const char *only, g4_node *out, g4_err *err)
{
    const struct g4_dialect d = { .call = true, .quote = m->quote };
    const size_t n = g4_json_count(tools);
    g4_node *alt = g4_alloc((n + 1) * sizeof *alt);
    size_t k = 0;
    int rc = G4_OK;
    for (g4_json_it it = g4_json_iter(tools); !rc && g4_json_next(&it);) {
        rc = function_node(g, &d, it.value, only, &alt[k], err);
        if (!rc && alt[k] != G4_NODE_NEVER) k++;
    }
    if (!rc && !k && only) rc = g4_fail(err, G4_EINPUT, "no tool '%s' is declared that could be called", only);
    else if (!rc && !k) rc = g4_fail(err, G4_EINPUT, "no tool is declared that could be called");
    if (!rc) {
        const g4_node call[] = { g4_node_token(g, m->open), g4_node_bytes(g, "call:", 5), g4_node_alt(g, alt, k), g4_node_token(g, m->close) };
        *out = g4_node_repeat(g, g4_node_seq(g, call, 4), 1, only ? 1 : UINT32_MAX);
    }
    free(alt);
    return rc;
}

g4_automaton *g4_toolguide_compile(const g4_tokenizer *t, enum g4_chat_format f, g4_json tools, const char *name, g4_err *err)
{
    struct marks m;
    g4_node start;
    if (!find_marks(t, f, &m)) {
        g4_fail(err, G4_EINPUT, "this model has no format for tool calls");
        return NULL;
    }
    g4_grammar *g = g4_grammar_new();
    if (calls_node(g, &m, tools, name, &start, err)) {
        g4_grammar_free(g);
        return NULL;
    }
    g4_grammar_start(g, start);
    return g4_automaton_new(g, err);
}

/* ---- the guide ------------------------------------------------------------------- */

enum mode {
    FREE,    /* auto, none: anything */
    WAIT,    /* required: a thought or a call */
    THOUGHT,
    CALL,    /* inside a call, or required: behind one */
    END,
};

struct g4_toolguide {
    struct g4_steps s;
    enum g4_tool_choice choice;
    int32_t open, close, think_open, think_close; /* pieces; -1: there are none, or they may not come */
    uint32_t least;          /* tokens that a call wants, at most */
    enum mode mode;
    bool thought;            /* one has come: no second one */
};

enum { THOUGHT_BIT = 0x80 }; /* in a step's state, beside the mode */

/* Waiting for results is the end that follows a call: it comes first. */
static void take_stops(g4_toolguide *g, const struct g4_toolguide_params *p)
{
    const int32_t wait = find(p->tok, g4_chat_is_gemma4(p->format) ? "<|tool_response>" : "<start_function_response>");
    struct g4_steps *s = &g->s;
    for (size_t i = 0; i < p->n_stop && s->n_stop < G4_STEPS_STOP; i++) {
        s->stop[s->n_stop++] = p->stop[i];
        if (p->stop[i] != wait) continue;
        s->stop[s->n_stop - 1] = s->stop[0];
        s->stop[0] = wait;
    }
}

g4_toolguide *g4_toolguide_new(const struct g4_toolguide_params *p)
{
    struct marks marks = { -1, -1, -1 };
    g4_toolguide *g = g4_alloc(sizeof *g);
    const bool thinks = g4_chat_is_gemma4(p->format);
    find_marks(p->tok, p->format, &marks);
    g->choice = p->choice;
    g->open = marks.open;
    g->close = marks.close;
    g->think_open = thinks ? find(p->tok, "<|channel>") : -1;
    g->think_close = thinks ? find(p->tok, "<channel|>") : -1;
    g->thought = p->choice == G4_TOOL_REQUIRED && !p->think;
    take_stops(g, p);
    if (p->calls) g->least = g4_automaton_least(p->calls, g4_automaton_start(p->calls));
    g4_steps_init(&g->s, p->calls ? g4_matcher_new(p->calls, p->pieces, p->tok, true) : NULL, p->max_tokens, p->n_vocab);
    g->mode = p->open_thought && g->think_close >= 0 ? THOUGHT : p->choice == G4_TOOL_REQUIRED ? WAIT : FREE;
    if (g->mode == WAIT) g4_matcher_limit(g->s.m, g4_steps_left(&g->s, 0));
    return g;
}

void g4_toolguide_free(g4_toolguide *g)
{
    if (!g) return;
    g4_steps_clear(&g->s);
    free(g);
}

bool g4_toolguide_mask(void *self, uint32_t *mask, uint32_t n_vocab)
{
    g4_toolguide *g = self;
    struct g4_steps *s = &g->s;
    if (g->choice == G4_TOOL_NONE) {
        g4_mask_set(mask, g->open, n_vocab, false);
        return true;
    }
    if (g->mode == END || (g->choice == G4_TOOL_AUTO && g->mode != CALL)) return false;
    if (g->mode == THOUGHT) { /* a call must follow */
        g4_steps_set_stops(s, mask, n_vocab, false);
        return true;
    }
    g4_matcher_mask(s->m, s->bits, n_vocab);
    if (g->mode == WAIT && !g->thought) g4_mask_set(s->bits, g->think_open, n_vocab, true);
    if (g4_matcher_done(s->m) && g4_steps_left(s, s->n) < g->least + SPARE) /* no room for another */
        g4_mask_set(s->bits, g->open, n_vocab, false);
    g4_steps_mask(s, mask, n_vocab);
    return true;
}

size_t g4_toolguide_forced(void *self, const int32_t **ids)
{
    g4_toolguide *g = self;
    if (g->mode != CALL && (g->mode != WAIT || !g->thought)) return 0;
    if (g->s.n_stop && (g4_matcher_over(g->s.m) || g4_matcher_dead(g->s.m))) {
        *ids = g->s.stop;
        return 1;
    }
    return g4_matcher_forced(g->s.m, ids);
}

static void feed(g4_toolguide *g, int32_t id)
{
    g4_matcher_limit(g->s.m, g4_steps_left(&g->s, g->s.n - 1));
    g4_steps_feed(&g->s, id);
    g->mode = CALL;
    if (id == g->close && g->choice == G4_TOOL_AUTO) g->mode = FREE;
}

void g4_toolguide_accept(void *self, int32_t id)
{
    g4_toolguide *g = self;
    g4_steps_note(&g->s, (uint8_t)(g->mode | (g->thought ? THOUGHT_BIT : 0)));
    if (g->mode == END || g->choice == G4_TOOL_NONE) return;
    if (g4_steps_is_stop(&g->s, id)) g->mode = END;
    else if (g->mode == CALL || id == g->open) feed(g, id); /* a call inside a thought ends it */
    else if (id == g->think_open) g->mode = THOUGHT;
    else if (id == g->think_close && g->mode == THOUGHT) g->mode = g->choice == G4_TOOL_REQUIRED ? WAIT : FREE;
    else if (g->mode == WAIT) feed(g, id);
    g->thought |= g->mode == THOUGHT;
    if (g->s.m && g->mode == WAIT) g4_matcher_limit(g->s.m, g4_steps_left(&g->s, g->s.n));
}

void g4_toolguide_rollback(void *self, size_t n)
{
    g4_toolguide *g = self;
    uint8_t state;
    if (!g4_steps_back(&g->s, n, &state)) return;
    g->mode = (enum mode)(state & ~THOUGHT_BIT);
    g->thought = state & THOUGHT_BIT;
}
