/* text/answer: a constrained answer as a guide (engine/guide.h declares what a guide
 * is; verb/constrain.c binds these functions).  A thought is free, the grammar begins
 * where it ends, and the turn ends only where the value is complete. */
#ifndef G4_TEXT_ANSWER_H
#define G4_TEXT_ANSWER_H

#include "text/chat.h"
#include "text/matcher.h"

typedef struct g4_answer g4_answer;

struct g4_answer_params {
    g4_matcher *matcher;         /* owned from here on */
    const g4_tokenizer *tok;
    enum g4_chat_format format;
    bool think;                  /* a thought may come first */
    bool open_thought;           /* the prompt ends inside one */
    bool tools;                  /* a tool call may come instead: free from there on */
    const int32_t *stop;         /* ids that end the turn */
    size_t n_stop;
    uint32_t max_tokens;
    uint32_t n_vocab;            /* of the masks */
};

g4_answer *g4_answer_new(const struct g4_answer_params *p);
void g4_answer_free(g4_answer *a);

bool g4_answer_mask(void *a, uint32_t *mask, uint32_t n_vocab);
size_t g4_answer_forced(void *a, const int32_t **ids);
void g4_answer_accept(void *a, int32_t id);
void g4_answer_rollback(void *a, size_t n);

g4_sv g4_answer_text(g4_answer *a);   /* its exact bytes */
bool g4_answer_called(g4_answer *a);   /* it went for a tool call instead */

#endif
