/* text/toolguide: tool calls by construction, as a guide (engine/guide.h declares what
 * a guide is; verb/toolchoice.c binds these functions).  A call names a declared
 * function and its arguments satisfy the declared parameters; the string delimiter
 * and the pieces around a call are matched by their ids.
 *
 *     auto       all is free until the model opens a call
 *     none       no call can be opened
 *     required   behind any thought the answer is calls, one at least
 *
 * With required, and while a call is open, the turn cannot end; when tokens run out
 * the call is brought to its end. */
#ifndef G4_TEXT_TOOLGUIDE_H
#define G4_TEXT_TOOLGUIDE_H

#include "text/chat.h"
#include "text/matcher.h"

enum g4_tool_choice { G4_TOOL_AUTO, G4_TOOL_NONE, G4_TOOL_REQUIRED };

/* One call or more of the functions of tools (OpenAI declarations); name: of this
 * one, once.  A function whose parameters cannot be enforced entirely is taken as far
 * as they can, with a warning: whoever runs it checks its arguments.  NULL: G4_EINPUT
 * (the format has no calls, no such function), or G4_ESCHEMA. */
g4_automaton *g4_toolguide_compile(const g4_tokenizer *t, enum g4_chat_format f, g4_json tools, const char *name, g4_err *err);

typedef struct g4_toolguide g4_toolguide;

struct g4_toolguide_params {
    g4_automaton *calls;         /* borrowed; may be NULL with NONE */
    const g4_pieces *pieces;     /* borrowed */
    const g4_tokenizer *tok;
    enum g4_chat_format format;
    enum g4_tool_choice choice;
    bool think;                  /* required: a thought may come first */
    bool open_thought;           /* the prompt ends inside one */
    const int32_t *stop;         /* ids that end the turn */
    size_t n_stop;
    uint32_t max_tokens;
    uint32_t n_vocab;            /* of the masks */
};

g4_toolguide *g4_toolguide_new(const struct g4_toolguide_params *p);
void g4_toolguide_free(g4_toolguide *g);

bool g4_toolguide_mask(void *g, uint32_t *mask, uint32_t n_vocab);
size_t g4_toolguide_forced(void *g, const int32_t **ids);
void g4_toolguide_accept(void *g, int32_t id);
void g4_toolguide_rollback(void *g, size_t n); /* at most 256 ids */

#endif
