/* base/quantize_base: the encoders for any processor. */
#define LEVEL g4_quantize_base
#include "base/quantize_table.h"
