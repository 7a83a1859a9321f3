/* weights/index: names to numbers, for tensors and metadata keys.  Finds
 * repeated names too.  Names are borrowed. */
#ifndef G4_WEIGHTS_INDEX_H
#define G4_WEIGHTS_INDEX_H

#include "base/str.h"

struct g4_index {           /* {0} is empty */
    struct g4_index_slot {
        g4_sv name;
        size_t number;
    } *slot;
    size_t cap, n;
};

/* False when the name is there already. */
bool g4_index_add(struct g4_index *x, g4_sv name, size_t number);
bool g4_index_find(const struct g4_index *x, g4_sv name, size_t *number);
void g4_index_free(struct g4_index *x);

#endif
