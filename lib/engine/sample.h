/* engine/sample: logits to a token.  Filters in the order temperature, top-k,
 * top-p, min-p, each over what the one before left, renormalised.  The random
 * number of a position is a function of (seed, sample, hash of the prompt ids,
 * position) alone. */
#ifndef G4_ENGINE_SAMPLE_H
#define G4_ENGINE_SAMPLE_H

#include "engine/engine.h"

uint64_t g4_sample_key(uint64_t seed, uint32_t sample, const int32_t *ids, size_t n);
double g4_sample_uniform(uint64_t key, uint64_t position); /* [0, 1) */

/* Sets k and want_row: what a pick must ask for so that g4_sample can choose
 * and n_logprob alternatives can be told. */
void g4_sample_wants(const struct g4_sampling *s, int32_t n_logprob, g4_pick *p);
bool g4_sample_wants_row(const struct g4_sampling *s);

/* Chooses from p's results: the top list, or the whole row where the list does
 * not hold all candidates.  scratch: [n_vocab] ids, used with a row only.
 * -1 when nothing is allowed or the logits are not numbers. */
int32_t g4_sample(const struct g4_sampling *s, const g4_pick *p, uint32_t n_vocab, double u, int32_t *scratch);

#endif
