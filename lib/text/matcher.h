/* text/matcher: one sequence's place in a grammar: which tokens may come next, which
 * must, and how the value is brought to its end when tokens run out.
 *
 * Matchers of one grammar share its automaton (one thread at a time) and the pieces
 * of the vocabulary; both must outlive them. */
#ifndef G4_TEXT_MATCHER_H
#define G4_TEXT_MATCHER_H

#include "text/automaton.h"
#include "text/pieces.h"

typedef struct g4_matcher g4_matcher;

/* call: the values are spelled as tool calls spell them (struct g4_dialect). */
g4_matcher *g4_matcher_new(g4_automaton *a, const g4_pieces *p, const g4_tokenizer *t, bool call);
void g4_matcher_free(g4_matcher *m);

/* Tokens that may still be accepted, the one that ends the turn not counted; UINT32_MAX (as at first): no
 * limit.  Counts down by itself.  Near the end only what leads to the end of the value is allowed. */
void g4_matcher_limit(g4_matcher *m, uint32_t tokens);

/* Sets the bits of the tokens that may come next, all others are cleared.  bits: [(n_vocab + 31) / 32]. */
void g4_matcher_mask(g4_matcher *m, uint32_t *bits, uint32_t n_vocab);
/* Tokens that must come next: their number, 0: there is a choice.  Borrowed until the next call. */
size_t g4_matcher_forced(g4_matcher *m, const int32_t **ids);

/* The sequence goes on with this token, these bytes.  False: the grammar does not allow it; nothing but
 * rollback helps then. */
bool g4_matcher_accept(g4_matcher *m, int32_t id);
bool g4_matcher_bytes(g4_matcher *m, const char *p, size_t n);
void g4_matcher_rollback(g4_matcher *m, size_t n); /* the last n tokens, at most 256 */

/* What was accepted so far, g4_matcher_bytes included; quotes of calls as G4_TEXT_QUOTE. */
g4_sv g4_matcher_text(g4_matcher *m);

bool g4_matcher_done(g4_matcher *m);  /* the value is complete: the turn may end */
bool g4_matcher_spent(g4_matcher *m); /* no token is left by its limit */
bool g4_matcher_over(g4_matcher *m);  /* and nothing can follow */
bool g4_matcher_dead(g4_matcher *m);  /* something was accepted that is not allowed */

#endif
