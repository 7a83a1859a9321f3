/* base/quantize_level: the encoders of one instruction level (private to
 * base/quantize).  A file that includes quantize_table.h has them all. */
#ifndef G4_BASE_QUANTIZE_LEVEL_H
#define G4_BASE_QUANTIZE_LEVEL_H

#include "base/quantize.h"

struct g4_quantize_level {
    void (*row[G4_DTYPE_END])(const float *x, const float *im, size_t n, uint8_t *y);
    size_t (*q4_0_search)(const float *x, const float *im, size_t n, uint8_t *y);
};

extern const struct g4_quantize_level g4_quantize_base;
extern const struct g4_quantize_level g4_quantize_avx2; /* x86-64 */

#endif
