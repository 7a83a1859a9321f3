/* base/dtype: tensor element types, their block layouts, and the plain decoders
 * that are the reference for every kernel (formats: GGUF type ids; each value is
 * one f32 multiplication, then one f32 addition, never fused). */
#ifndef G4_BASE_DTYPE_H
#define G4_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum g4_dtype { /* values are the GGUF type ids */
    G4_F32 = 0, G4_F16 = 1, G4_Q4_0 = 2, G4_Q4_1 = 3, G4_Q5_0 = 6, G4_Q5_1 = 7, G4_Q8_0 = 8,
    G4_Q2_K = 10, G4_Q3_K = 11, G4_Q4_K = 12, G4_Q5_K = 13, G4_Q6_K = 14,
    G4_IQ2_XXS = 16, G4_IQ2_XS = 17, G4_IQ3_XXS = 18, G4_IQ1_S = 19, G4_IQ4_NL = 20, G4_IQ3_S = 21,
    G4_IQ2_S = 22, G4_IQ4_XS = 23, G4_I8 = 24, G4_I16 = 25, G4_I32 = 26, G4_I64 = 27, G4_F64 = 28,
    G4_IQ1_M = 29, G4_BF16 = 30, G4_TQ1_0 = 34, G4_TQ2_0 = 35, G4_MXFP4 = 39, G4_NVFP4 = 40,
    G4_Q1_0 = 41, G4_Q2_0 = 42,
    G4_DTYPE_END = 43
} g4_dtype;

typedef struct g4_dtype_info {
    const char *name;    /* "Q4_0"; NULL: no such type */
    uint32_t block;      /* elements a block */
    uint32_t bytes;      /* bytes a block */
    bool is_block;       /* quantised in blocks: matmul may use int8 activations */
    /* y[n] = decode(blocks at x); n a multiple of block; x needs no alignment.
     * NULL: parsed but not decodable to f32 (integers). */
    void (*decode)(const void *x, float *y, size_t n);
} g4_dtype_info;

const g4_dtype_info *g4_dtype_get(uint32_t id); /* NULL when there is no such type */
bool g4_dtype_by_name(const char *name, g4_dtype *out);

float g4_f16_to_f32(uint16_t h);   /* exact, subnormals included */
uint16_t g4_f32_to_f16(float f);   /* round to nearest even, overflow to infinity */
static inline float g4_bf16_to_f32(uint16_t h)
{
    union { uint32_t u; float f; } v = { (uint32_t)h << 16 };
    return v.f;
}
uint16_t g4_f32_to_bf16(float f);  /* round to nearest even, NaN stays NaN */

#endif
