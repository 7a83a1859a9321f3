/* verb/constrain: what an answer must be, from the request to the finished value. */
#ifndef G4_VERB_CONSTRAIN_H
#define G4_VERB_CONSTRAIN_H

#include "verb/impl.h"

/* What a spec compiles to, kept with the engine; g4_constraint_put gives it back (NULL is fine). */
struct g4_constraint *g4_constraint_get(g4_engine *e, const struct g4_constrain_spec *s, g4_err *err);
void g4_constraint_put(struct g4_constraint *c);
g4_automaton *g4_constraint_automaton(const struct g4_constraint *c);
uint32_t g4_most_tokens(const g4_task *t); /* that a task may generate */

/* toolchoice.c: makes t->call_guide when tools are declared and the format has calls. */
int g4_toolchoice_begin(g4_task *t, g4_err *err);
void g4_toolchoice_end(g4_task *t);

/* Makes t->guide when the request asks for it. */
int g4_constrain_begin(g4_task *t, g4_err *err);
void g4_constrain_end(g4_task *t);
/* Checks the finished answer: result.data, or result.err. */
void g4_constrain_judge(g4_task *t);

void g4_constrain_forget(g4_engine *e); /* all that the engine keeps for it */

#endif
