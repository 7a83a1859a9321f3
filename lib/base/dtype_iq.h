/* base/dtype_iq: what dtype.c needs of the code-book types (private to base).
 *
 * A code book is an array of u16: element k of an entry is the b bits from bit
 * b k upwards, an index into a short list of levels (b = 2, 8 elements, or b = 3,
 * 4 elements). */
#ifndef G4_BASE_DTYPE_IQ_H
#define G4_BASE_DTYPE_IQ_H

#include <stddef.h>
#include <stdint.h>

extern const uint16_t g4_iq2xxs_code[256], g4_iq2xs_code[512], g4_iq2s_code[1024]; /* levels 8 25 43 */
extern const uint16_t g4_iq3xxs_code[256]; /* levels 4 12 20 28 36 44 52 62 */
extern const uint16_t g4_iq3s_code[512];   /* levels 1 3 5 7 9 11 13 15 */
extern const uint16_t g4_iq1_code[2048];   /* levels -1 0 1 */

/* y[n] = the values of n / 256 blocks at x; see g4_dtype_info.decode. */
void g4_iq2xxs_decode(const void *x, float *y, size_t n);
void g4_iq2xs_decode(const void *x, float *y, size_t n);
void g4_iq2s_decode(const void *x, float *y, size_t n);
void g4_iq3xxs_decode(const void *x, float *y, size_t n);
void g4_iq3s_decode(const void *x, float *y, size_t n);
void g4_iq1s_decode(const void *x, float *y, size_t n);
void g4_iq1m_decode(const void *x, float *y, size_t n);

#endif
