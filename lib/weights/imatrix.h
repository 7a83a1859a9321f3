/* weights/imatrix: an importance matrix: for each linear layer the mean squared
 * activation of each input column, gathered over some text.  Reads the GGUF form
 * (general.type imatrix) and the older .dat. */
#ifndef G4_WEIGHTS_IMATRIX_H
#define G4_WEIGHTS_IMATRIX_H

#include "base/err.h"
#include "base/str.h"

typedef struct g4_imatrix g4_imatrix;

/* G4_EIO, G4_EFORMAT: what is wrong with it. */
g4_imatrix *g4_imatrix_open(const char *path, g4_err *err);
void g4_imatrix_free(g4_imatrix *m); /* NULL is fine */

/* Columns [*n] of a tensor, matrix after matrix, 0 to 2^30 (larger ones are divided by a power of two
 * together: only their proportions matter); NULL: it has none. */
const float *g4_imatrix_find(const g4_imatrix *m, const char *name, size_t *n);

size_t g4_imatrix_count(const g4_imatrix *m);
uint32_t g4_imatrix_chunks(const g4_imatrix *m);
g4_sv g4_imatrix_dataset(const g4_imatrix *m); /* {NULL, 0}: not said */

#endif
