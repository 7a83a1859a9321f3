/* text/mask: all tokens that a state allows. */
#ifndef G4_TEXT_MASK_H
#define G4_TEXT_MASK_H

#include "text/automaton.h"
#include "text/pieces.h"
#include "text/scan.h"

/* Sets the bits of the pieces after which the automaton is alive, and no more than `most` bytes from its end
 * (UINT32_MAX: however far).  scan holds the text that led to the state. */
void g4_mask_fill(g4_automaton *a, const g4_pieces *p, g4_state s, struct g4_scan *scan, uint32_t most, uint32_t *bits);

/* One token of a mask of n_vocab bits; ids outside of it (-1: no such piece) do nothing. */
void g4_mask_set(uint32_t *bits, int32_t id, uint32_t n_vocab, bool on);

#endif
