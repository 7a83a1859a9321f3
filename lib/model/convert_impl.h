/* model/convert_impl: what the parts of the converter share (private to model/convert). */
#ifndef G4_MODEL_CONVERT_IMPL_H
#define G4_MODEL_CONVERT_IMPL_H

#include "base/mem.h"
#include "model/convert.h"
#include "model/impl.h"
#include "model/recipe.h"
#include "weights/gguf_write.h"

struct g4_convert_item {    /* a tensor to write */
    const char *name;
    g4_dtype type;
    uint32_t n_dim;
    uint64_t ne[4];         /* fewer rows than the source: the rest is cut off */
    const g4_tensor *from;  /* NULL: values holds it */
    const float *values;
    float plus, times;      /* y = (x + plus) * times */
    bool fixed;             /* the type is not the recipe's */
    const float *importance;/* [ne[0]] for each of ne[2] matrices, or NULL */
};

struct g4_convert_plan {
    const struct g4_convert_params *p;
    const struct g4_recipe *recipe; /* NULL: none */
    g4_weights *w;
    g4_gguf *out;
    g4_arena arena;
    struct g4_convert_item *item;
    size_t n, cap;
    struct g4_recipe_model model;
};

/* Appends an item with the shape and type of t (NULL: none). */
struct g4_convert_item *g4_convert_add(struct g4_convert_plan *c, const char *name, const g4_tensor *t);

/* convert_hf.c: metadata and items of a folder.  convert_vocab.c: tokenizer.* of it; rows of the embedding in *n_token. */
int g4_convert_folder(struct g4_convert_plan *c, g4_err *err);
int g4_convert_vocab(struct g4_convert_plan *c, const struct g4_hparams *hp, uint64_t rows, uint64_t *n_token, g4_err *err);

#endif
