/* model/vocab_impl: one loader a format; all fill a g4_vocab whose own arena exists. */
#ifndef G4_MODEL_VOCAB_IMPL_H
#define G4_MODEL_VOCAB_IMPL_H

#include "base/mem.h"
#include "model/vocab.h"

enum { G4_VOCAB_MAX = 1 << 22 }; /* pieces; Gemma has 2^18 */

/* name is the file's, for messages; the views borrow text. */
int g4_vocab_from_json(const char *name, g4_sv text, struct g4_vocab *v, g4_err *err);
int g4_vocab_from_protobuf(const char *name, g4_sv bytes, struct g4_vocab *v, g4_err *err);

/* A vocabulary that grows by id; g4_pieces_end moves it into the arena. */
struct g4_pieces {
    g4_sv *text;
    uint8_t *type;
    uint32_t n;
    size_t cap_text, cap_type;
};
/* Makes room for id; ids between are holes without text.  False: id is out of any range. */
bool g4_pieces_room(struct g4_pieces *p, int64_t id);
void g4_pieces_end(struct g4_pieces *p, struct g4_vocab *v);

#endif
