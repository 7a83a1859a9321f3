/* text/budget: the hard thinking budget as a guide (engine/guide.h declares what
 * a guide is; verb/generate.c binds these functions).  After n tokens inside the
 * thought, at the next character boundary, the close piece is forced. */
#ifndef G4_TEXT_BUDGET_H
#define G4_TEXT_BUDGET_H

#include "text/chat.h"

typedef struct g4_budget g4_budget;

/* n_max >= 0 tokens; open: the prompt left the thought open.  NULL when the
 * format has no thought channel. */
g4_budget *g4_budget_new(const g4_tokenizer *t, enum g4_chat_format f, uint32_t n_max, bool open);
void g4_budget_free(g4_budget *b);
/* Ids that must come next, without sampling; their number (0: free). */
size_t g4_budget_forced(void *b, const int32_t **ids);
void g4_budget_accept(void *b, int32_t id);
void g4_budget_rollback(void *b, size_t n); /* forgets the last n accepted ids; at most 256 from the furthest point */
bool g4_budget_hit(const g4_budget *b);     /* the close was forced */

#endif
