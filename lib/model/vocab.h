/* model/vocab: fills text's plain vocabulary arrays from a GGUF, a
 * tokenizer.json or a tokenizer.model. */
#ifndef G4_MODEL_VOCAB_H
#define G4_MODEL_VOCAB_H

#include "text/vocab.h"
#include "weights/weights.h"

/* G4_EFORMAT / G4_EUNSUP with what is wrong.  v->own holds what is not borrowed from w. */
int g4_vocab_load(g4_weights *w, struct g4_vocab *v, g4_err *err);

#endif
