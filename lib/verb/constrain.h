/* verb/constrain: what an answer must be, from the request to the finished value. */
#ifndef G4_VERB_CONSTRAIN_H
#define G4_VERB_CONSTRAIN_H

#include "verb/impl.h"

/* Makes t->guide when the request asks for it. */
int g4_constrain_begin(g4_task *t, g4_err *err);
void g4_constrain_end(g4_task *t);
/* Checks the finished answer: result.data, or result.err. */
void g4_constrain_judge(g4_task *t);

void g4_constrain_forget(g4_engine *e); /* all that the engine keeps for it */

#endif
