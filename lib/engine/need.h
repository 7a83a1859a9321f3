/* engine/need: the memory a model needs beyond its weights, without opening it on
 * a device. */
#ifndef G4_ENGINE_NEED_H
#define G4_ENGINE_NEED_H

#include "model/hparams.h"

struct g4_model;

struct g4_need {
    uint64_t cache; /* keys and values of one timeline of `context` tokens, f16 */
    uint64_t work;  /* activations and logits, with the prompt rows a step of the default */
};

void g4_need_of(const struct g4_model *m, uint32_t context, struct g4_need *out);

/* Activations of so many rows and logits of so many output rows. */
uint64_t g4_need_work(const struct g4_hparams *hp, uint64_t rows, uint64_t outs);

#endif
