/* call/tty: asks the person at the terminal whether a call may run.  The question
 * goes to /dev/tty, in ASCII only, so that no text of a model or a file can move
 * the cursor or hide a part of it; the answer is one line from there.  One
 * question at a time; nothing blocks. */
#ifndef G4_CALL_TTY_H
#define G4_CALL_TTY_H

#include "base/json.h"

typedef struct g4_tty g4_tty;

enum g4_answer { G4_ANSWER_NONE, G4_ANSWER_YES, G4_ANSWER_NO, G4_ANSWER_GONE /* the terminal went away */ };

/* path: NULL for /dev/tty.  NULL when there is no terminal. */
g4_tty *g4_tty_open(const char *path);
void g4_tty_free(g4_tty *a);

/* Puts the question.  "always" and "never" are remembered for the tool. */
void g4_tty_put(g4_tty *a, const char *tool, g4_json arguments);
int g4_tty_fd(const g4_tty *a); /* to wait for, once a question is put */
enum g4_answer g4_tty_step(g4_tty *a);

#endif
