/* base/quantize_avx2: the encoders for processors with AVX2 and F16C. */
#define LEVEL g4_quantize_avx2
#include "base/quantize_table.h"
