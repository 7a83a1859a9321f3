/* model/recipe: which tensor of a model gets which type.  The mixtures are those
 * of llama-quantize, so that a file of a name is what one expects of it; a row
 * that is no multiple of a type's block gets the type's stand-in. */
#ifndef G4_MODEL_RECIPE_H
#define G4_MODEL_RECIPE_H

#include "weights/weights.h"

struct g4_recipe {
    const char *name;      /* "q4_k_m" */
    uint32_t file_type;    /* general.file_type */
    g4_dtype base;         /* of most matrices */
    const char *about;
};

const struct g4_recipe *g4_recipe_find(const char *name); /* letters of any case; NULL: none */
const struct g4_recipe *g4_recipe_at(size_t i);           /* all of them in order; NULL behind the last */
const char *g4_recipe_names(void);                        /* "q8_0, q6_k, ..." for messages */

struct g4_recipe_model { /* what the mixtures look at */
    uint32_t n_layer;
    uint32_t n_v;          /* attn_v matrices */
    uint32_t gqa;          /* query heads a KV head, of the first layer */
    bool head;             /* output.weight exists: the embedding is not the head */
    bool importance;
};

/* Is the tensor one that may be quantised at all? */
bool g4_recipe_quantises(const char *name, uint32_t n_dim);
/* The type of a matrix that is; i_v: which of the attn_v matrices it is. */
g4_dtype g4_recipe_type(const struct g4_recipe *r, const struct g4_recipe_model *m, const char *name, uint64_t row, uint32_t i_v);
/* type, or what stands in for it where the block does not divide the row. */
g4_dtype g4_recipe_fallback(g4_dtype type, uint64_t row);

/* N of "blk.N." at the begin of a name; -1. */
int32_t g4_recipe_layer(const char *name);

#endif
