/* model/convert: a folder of safetensors, or a GGUF, becomes a GGUF in the
 * dialect of llama.cpp, its matrices in a chosen mixture of types.
 *
 * Memory is a few hundred KiB a thread and the header, whatever the size: rows
 * are read from the mapped source, encoded and put at their place by any thread.
 * The bytes do not depend on the number of threads. */
#ifndef G4_MODEL_CONVERT_H
#define G4_MODEL_CONVERT_H

#include "base/dtype.h"
#include "base/err.h"

struct g4_convert_params { /* all but from and to may be zero */
    const char *from;      /* a folder, or a .gguf (any shard of a set) */
    const char *to;        /* the file; it appears when it is whole */
    const char *type;      /* a recipe by its name (recipe.h); NULL: the types of the source */
    const char *embd, *ple; /* types of token_embd and of per_layer_token_embd, over the recipe's */
    const char *imatrix;   /* importance of columns, either form */
    bool requantize;       /* a source that is quantised already is refused without it */
    uint32_t threads;      /* 0: the cores this process may use */
    /* bytes written of those of the whole file; called by any thread, one at a time */
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};

struct g4_convert_report {
    uint64_t bytes;                  /* of the file */
    uint64_t values;
    uint32_t n_type[G4_DTYPE_END];   /* tensors of each type */
    uint64_t n_block, n_grid;        /* Q4_0 blocks that were searched; those on a 4-bit grid (see base/quantize.h) */
};

/* G4_EUSAGE: an unknown recipe or type; G4_EUNSUP: what no GGUF of the dialect can say; G4_EFORMAT: the source,
 * also a value the type cannot hold; G4_EIO.  report may be NULL. */
int g4_convert(const struct g4_convert_params *p, struct g4_convert_report *report, g4_err *err);

#endif
