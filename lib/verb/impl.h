/* verb/impl: what the files of lib/verb share; not for others. */
#ifndef G4_VERB_IMPL_H
#define G4_VERB_IMPL_H

#include "base/mem.h"
#include "engine/engine.h"
#include "text/answer.h"
#include "text/budget.h"
#include "text/parse.h"
#include "text/toolguide.h"
#include "verb/compact.h"
#include "verb/generate.h"

enum { G4_MAX_STOP = 64 };

enum g4_constrain_kind { G4_CONSTRAIN_NONE, G4_CONSTRAIN_SCHEMA, G4_CONSTRAIN_REGEX, G4_CONSTRAIN_CHOICES, G4_CONSTRAIN_TOOLS };

struct g4_constrain_spec {   /* what the answer must be */
    enum g4_constrain_kind kind;
    g4_json schema, choices;
    const char *regex;
    bool any_order, lax;
    /* TOOLS: what may be called, spelled in this format */
    g4_json tools;
    const char *function;    /* the only one, or NULL */
    const g4_tokenizer *tok;
    enum g4_chat_format format;
};

/* A request as understood: options resolved, conversation composed, prompt
 * rendered.  Spans live in the arena. */
struct g4_ask {
    g4_arena arena;
    g4_options opt;          /* every field valid; `set` says what the caller chose */
    const char *stops[G4_MAX_STOP]; /* in the arena, NUL-terminated */
    size_t n_stop;
    g4_json messages;        /* the conversation the model sees */
    g4_json tools;           /* or {NULL, 0} */
    struct g4_compact dropped; /* what `compact` left out of messages */
    bool had_chat;           /* the record had messages or tools: the result has messages */
    bool raw;                /* fed as it is, no chat format */
    bool open_thought, prefill;
    uint32_t budget;         /* tokens it may generate at most; 0: no limit */
    struct g4_constrain_spec constrain;
    struct g4_chat_out chat; /* segments of the prompt, BOS first */
    int32_t *ids;            /* malloc'ed */
    size_t n_ids;
};

struct g4_task {
    g4_task *prev, *next;
    g4_engine *engine;
    g4_seq *seq;
    void *user;
    struct g4_ask ask;
    g4_parse *parse;
    g4_budget *budget;
    g4_str answer, thought;
    size_t safe;             /* bytes of the answer that no stop string can take back */
    size_t sent_answer, sent_thought;
    struct g4_mark {         /* the answer up to `end` is of a token with this log-probability */
        size_t end;
        float logprob;
    } *mark;                 /* [n_mark] when log-probabilities are asked for; next_mark: not sent yet */
    size_t n_mark, cap_mark, next_mark;
    g4_str token_probs, prompt_probs; /* elements, joined by commas */
    uint32_t n_token;
    bool done;
    g4_result result;
    struct g4_constraint *constraint; /* see verb/constrain.c */
    g4_answer *guide;
    struct g4_constraint *calls; /* see verb/toolchoice.c */
    g4_toolguide *call_guide;
    char *tool_calls, *messages, *logprobs, *note, *data, *dropped;
};

struct g4_engine {
    g4_core *core;
    g4_engine_info info;
    char *digest;            /* from the store; NULL: the model's own */
    g4_task *first, *last;   /* tasks in flight */
    uint32_t n_task;
    g4_task *gone;           /* handed out as DONE; freed at the next call */
    bool woke;               /* the last g4_step came back because a descriptor was ready */
    struct g4_constraint *constraints; /* compiled ones */
    g4_pieces *pieces;       /* the vocabulary by bytes; NULL: not needed yet */
    bool told_think;         /* the warning that this model cannot think was given */
};

/* options.c */
void g4_options_merge(g4_options *o, const g4_options *over);
/* Reads a record's options (any but an object or null: G4_EINPUT); *o gets the set ones, stop_json
 * in the arena. */
int g4_options_parse(g4_json options, g4_options *o, g4_arena *a, g4_err *err);
/* Fills what is not set from the model's defaults and g4's, and checks the ranges of all. */
int g4_options_finish(g4_options *o, const struct g4_gen_defaults *d, g4_err *err);

/* request.c */
int g4_ask_read(g4_engine *e, const g4_request *r, struct g4_ask *ask, g4_err *err);
void g4_ask_free(struct g4_ask *ask);

/* constrain.c: the vocabulary by its bytes, made when it is first asked for. */
const g4_pieces *g4_engine_pieces(g4_engine *e);

/* result.c */
void g4_message_text(g4_json message, g4_str *out);              /* its content's text */
void g4_result_token(g4_task *t, const struct g4_tok_event *ev); /* a log-probability entry */
void g4_result_finish(g4_task *t);                               /* calls, messages, log-probabilities */

void g4_task_free(g4_task *t);

#endif
