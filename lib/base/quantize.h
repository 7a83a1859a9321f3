/* base/quantize: rows of f32 to the types of tensors in a file (dtype.h decodes
 * them).  The fits follow the ones that public files were made with, so that a
 * file quantised here is what is expected of its type: where no importance is
 * given, and where one is, the bytes are those of a strict f32 evaluation of the
 * usual algorithms (each operation rounded, sums from left to right).  What a row
 * becomes does not depend on threads or on the processor. */
#ifndef G4_BASE_QUANTIZE_H
#define G4_BASE_QUANTIZE_H

#include "base/dtype.h"

/* Is there an encoder?  F32, F16, BF16, Q4_0 to Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS. */
bool g4_quantize_can(g4_dtype type);

/* Index of the first value a row of this type cannot hold, n when it holds all:
 * what is not finite, and what its 16-bit scales cannot reach (beyond 65504;
 * F32 and BF16 hold every finite value). */
size_t g4_quantize_check(g4_dtype type, const float *x, size_t n);

/* y = x[n] in blocks.  A row that g4_quantize_check refuses must not come here.
 * n: a multiple of the block; some fits look at the mean square of the whole row, so x is
 * one row.  im: importance of each column [n], 0 to 2^30, or NULL.  y: no alignment. */
void g4_quantize_row(g4_dtype type, const float *x, const float *im, size_t n, void *y);

/* Q4_0 with the least (weighted) error of many scales a block: what weights that were trained to survive
 * Q4_0 need, since they lie on a grid that the plain fit misses unless a block holds its code -8.
 * Returns the number of blocks that lie on such a grid within bf16 rounding. */
size_t g4_quantize_q4_0_search(const float *x, const float *im, size_t n, void *y);

#endif
