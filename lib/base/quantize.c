/* base/quantize: see quantize.h.  The block types are written once, in
 * quantize_32.h and quantize_k.h, and built for each instruction level. */
#include "base/quantize.h"

#include <math.h>
#include <string.h>

#include "base/quantize_level.h"

static const struct g4_quantize_level *level(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c")) return &g4_quantize_avx2;
#endif
    return &g4_quantize_base;
}

static void put_u16(uint8_t *y, uint16_t v)
{
    y[0] = (uint8_t)v;
    y[1] = (uint8_t)(v >> 8);
}

static void row_f16(const float *x, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n; i++) put_u16(y + 2 * i, g4_f32_to_f16(x[i]));
}

static void row_bf16(const float *x, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n; i++) put_u16(y + 2 * i, g4_f32_to_bf16(x[i]));
}

bool g4_quantize_can(g4_dtype type)
{
    return type == G4_F32 || type == G4_F16 || type == G4_BF16 || ((unsigned)type < G4_DTYPE_END && g4_quantize_base.row[type]);
}

size_t g4_quantize_check(g4_dtype type, const float *x, size_t n)
{
    /* What rounds to a finite value: of f32 all, of bf16 up to half a unit over its largest. */
    const float most = type == G4_F32 ? 0x1.fffffep127f : type == G4_BF16 ? 0x1.fefffep127f : 65504.0f;
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) <= most)) return i;
    return n;
}

void g4_quantize_row(g4_dtype type, const float *x, const float *im, size_t n, void *y)
{
    if (type == G4_F32) memcpy(y, x, n * sizeof *x);
    else if (type == G4_F16) row_f16(x, n, y);
    else if (type == G4_BF16) row_bf16(x, n, y);
    else level()->row[type](x, im, n, y);
}

size_t g4_quantize_q4_0_search(const float *x, const float *im, size_t n, void *y)
{
    return level()->q4_0_search(x, im, n, y);
}
