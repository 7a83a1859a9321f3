/* text/automaton: a grammar made deterministic as far as it is walked.
 *
 * A state is a set of threads; a thread is a stack of frames, kept as a list that
 * threads share.  States, frames and the steps between states are made when they
 * are first needed and kept, so that a grammar that was walked once is a table.
 * What a state cannot know (is this item already in the array?) is a question it
 * asks: such a state is resolved with the text at hand.
 *
 * One thread at a time.  Everything is forgotten (and `age` counted up) by
 * g4_automaton_trim when it has grown too large; state numbers are void then. */
#ifndef G4_TEXT_AUTOMATON_H
#define G4_TEXT_AUTOMATON_H

#include "text/grammar.h"

typedef struct g4_automaton g4_automaton;
typedef uint32_t g4_state;

enum { G4_STATE_DEAD = 0 };

/* Finishes g and owns it; NULL and G4_ESCHEMA when nothing fits, or it asks for too much. */
g4_automaton *g4_automaton_new(g4_grammar *g, g4_err *err);
void g4_automaton_free(g4_automaton *a);

g4_state g4_automaton_start(const g4_automaton *a);
g4_state g4_automaton_step(g4_automaton *a, g4_state s, uint8_t byte); /* the state may ask */
g4_state g4_automaton_step_token(g4_automaton *a, g4_state s, int32_t id);
/* Piece ids that the grammar knows. */
size_t g4_automaton_tokens(const g4_automaton *a, const int32_t **ids);

/* What stands for a piece of the grammar in the text that a state may ask about: strings' quotes and all others. */
enum { G4_TEXT_QUOTE = 0xFF, G4_TEXT_PIECE = 0xFE };
uint8_t g4_automaton_mark(const g4_automaton *a, int32_t id);

/* Does the state ask about the text?  Then g4_automaton_resolve says what becomes of it. */
bool g4_automaton_asks(const g4_automaton *a, g4_state s);
/* text: everything from the beginning up to here. */
struct g4_scan;
g4_state g4_automaton_resolve(g4_automaton *a, g4_state s, struct g4_scan *text);

bool g4_automaton_done(const g4_automaton *a, g4_state s);     /* the text may end here */
bool g4_automaton_over(const g4_automaton *a, g4_state s);     /* and cannot go on */
uint32_t g4_automaton_least(const g4_automaton *a, g4_state s); /* bytes to the nearest end */
/* The byte that must come, as one would write it (no needless escapes or blanks); -1: there is a choice. */
int g4_automaton_only(const g4_automaton *a, g4_state s);
/* The piece that must come; -1: there is a choice, or it is bytes. */
int32_t g4_automaton_only_token(const g4_automaton *a, g4_state s);

unsigned g4_automaton_age(const g4_automaton *a);
void g4_automaton_trim(g4_automaton *a);

#endif
