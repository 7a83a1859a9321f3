/* verb/toolchoice: binds the guide of tool calls to a task, as its `tool_choice` asks. */
#include "verb/constrain.h"

#include <string.h>

static bool has_calls(enum g4_chat_format f)
{
    return g4_chat_is_gemma4(f) || f == G4_CHAT_FUNCTIONGEMMA;
}

static enum g4_tool_choice read_choice(const char *word, const char **function)
{
    *function = NULL;
    if (!word || !strcmp(word, "auto")) return G4_TOOL_AUTO;
    if (!strcmp(word, "none")) return G4_TOOL_NONE;
    if (strcmp(word, "required")) *function = word;
    return G4_TOOL_REQUIRED;
}

static int check(const g4_task *t, enum g4_tool_choice choice, enum g4_chat_format format, g4_err *err)
{
    if (choice != G4_TOOL_REQUIRED) return G4_OK;
    if (!g4_json_count(t->ask.tools)) return g4_fail(err, G4_EINPUT, "'tool_choice' asks for a call, but no tools are declared");
    if (!has_calls(format)) return g4_fail(err, G4_EINPUT, "'tool_choice' asks for a call, but this model has no format for calls");
    return G4_OK;
}

int g4_toolchoice_begin(g4_task *t, g4_err *err)
{
    g4_engine *e = t->engine;
    g4_model *m = g4_core_model(e->core);
    const struct g4_gen_defaults *d = g4_model_defaults(m);
    struct g4_constrain_spec s = { .kind = G4_CONSTRAIN_TOOLS, .tools = t->ask.tools, .tok = g4_model_tokenizer(m),
                                   .format = t->ask.raw ? G4_CHAT_NONE : g4_model_chat(m) };
    const enum g4_tool_choice choice = read_choice(t->ask.opt.tool_choice, &s.function);
    const int rc = check(t, choice, s.format, err);
    if (rc || !g4_json_count(s.tools) || !has_calls(s.format)) return rc;
    if (choice != G4_TOOL_NONE && !(t->calls = g4_constraint_get(e, &s, err))) return err && err->code ? err->code : G4_ESCHEMA;
    const struct g4_toolguide_params p = {
        .calls = t->calls ? g4_constraint_automaton(t->calls) : NULL, .pieces = t->calls ? g4_engine_pieces(e) : NULL,
        .tok = s.tok, .format = s.format, .choice = choice, .think = t->ask.opt.think != 0, .open_thought = t->ask.open_thought,
        .stop = d->stop, .n_stop = d->n_stop, .max_tokens = g4_most_tokens(t), .n_vocab = g4_model_hp(m)->n_vocab,
    };
    t->call_guide = g4_toolguide_new(&p);
    return G4_OK;
}

void g4_toolchoice_end(g4_task *t)
{
    g4_toolguide_free(t->call_guide);
    g4_constraint_put(t->calls);
    t->call_guide = NULL;
    t->calls = NULL;
}
