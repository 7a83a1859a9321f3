/* base/dtype_iq: decoders of the code-book types.  A block is 256 values in 8
 * groups of 32; a group is four vectors of 8.  d is the block's f16 scale, db or
 * dl a group's, multiplied in the order the format fixes. */
#include "base/dtype_iq.h"

#include "base/dtype.h"

enum { BLOCK = 256 };

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | (uint32_t)u16(p + 2) << 16;
}

/* Seven stored sign bits; the eighth makes their number even. */
static uint8_t even_signs(uint32_t t)
{
    return (uint8_t)(t | (uint32_t)__builtin_parity(t) << 7);
}

static void vector2(float *y, float db, uint16_t code, uint8_t signs)
{
    static const float level[4] = { 8, 25, 43, 0 };
    for (int j = 0; j < 8; j++) y[j] = db * level[code >> 2 * j & 3] * (signs >> j & 1 ? -1.0f : 1.0f);
}

static void vector3(float *y, float db, const float *level, uint16_t code, unsigned signs)
{
    for (int j = 0; j < 4; j++) y[j] = db * level[code >> 3 * j & 7] * (signs >> j & 1 ? -1.0f : 1.0f);
}

/* f16 d, u16 qs[32]: a group is 32 bits of indices, then four 7-bit signs and a
 * 4-bit scale. */
void g4_iq2xxs_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= BLOCK; n -= BLOCK, b += 66) {
        const float d = g4_f16_to_f32(u16(b));
        for (int g = 0; g < 8; g++) {
            const uint32_t a = u32(b + 2 + 8 * g), w = u32(b + 6 + 8 * g);
            const float db = d * (0.5f + (float)(w >> 28)) * 0.25f;
            for (int l = 0; l < 4; l++, y += 8)
                vector2(y, db, g4_iq2xxs_code[a >> 8 * l & 255], even_signs(w >> 7 * l & 127));
        }
    }
}

/* f16 d, u16 qs[32] (9-bit index, 7 signs), u8 scales[8] (a nibble for two vectors). */
void g4_iq2xs_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= BLOCK; n -= BLOCK, b += 74) {
        const float d = g4_f16_to_f32(u16(b));
        for (int v = 0; v < 32; v++, y += 8) {
            const int nib = b[66 + v / 4] >> 4 * (v % 4 / 2) & 15;
            const float db = d * (0.5f + (float)nib) * 0.25f;
            const uint16_t q = u16(b + 2 + 2 * v);
            vector2(y, db, g4_iq2xs_code[q & 511], even_signs(q >> 9));
        }
    }
}

/* f16 d, u8 qs[32] low index bits, u8 signs[32], u8 qh[8], u8 scales[8]. */
void g4_iq2s_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= BLOCK; n -= BLOCK, b += 82) {
        const float d = g4_f16_to_f32(u16(b));
        for (int v = 0; v < 32; v++, y += 8) {
            const int nib = b[74 + v / 4] >> 4 * (v % 4 / 2) & 15;
            const float db = d * (0.5f + (float)nib) * 0.25f;
            const unsigned index = b[2 + v] | (b[66 + v / 4] >> 2 * (v % 4) & 3u) << 8;
            vector2(y, db, g4_iq2s_code[index], b[34 + v]);
        }
    }
}

/* f16 d, u8 qs[64] indices of four values, then a u32 a group: signs and scale. */
void g4_iq3xxs_decode(const void *x, float *y, size_t n)
{
    static const float level[8] = { 4, 12, 20, 28, 36, 44, 52, 62 };
    const uint8_t *b = x;
    for (; n >= BLOCK; n -= BLOCK, b += 98) {
        const float d = g4_f16_to_f32(u16(b));
        for (int g = 0; g < 8; g++) {
            const uint32_t w = u32(b + 66 + 4 * g);
            const float db = d * (0.5f + (float)(w >> 28)) * 0.5f;
            for (int l = 0; l < 4; l++, y += 8) {
                const uint8_t *q = b + 2 + 8 * g + 2 * l, signs = even_signs(w >> 7 * l & 127);
                vector3(y, db, level, g4_iq3xxs_code[q[0]], signs);
                vector3(y + 4, db, level, g4_iq3xxs_code[q[1]], signs >> 4);
            }
        }
    }
}

/* f16 d, u8 qs[64], u8 qh[8] ninth bits, u8 signs[32], u8 scales[4] (a nibble a group). */
void g4_iq3s_decode(const void *x, float *y, size_t n)
{
    static const float level[8] = { 1, 3, 5, 7, 9, 11, 13, 15 };
    const uint8_t *b = x;
    for (; n >= BLOCK; n -= BLOCK, b += 110) {
        const float d = g4_f16_to_f32(u16(b));
        for (int v = 0; v < 32; v++, y += 8) {
            const int g = v / 4, l = v % 4, nib = b[106 + g / 2] >> 4 * (g % 2) & 15;
            const float db = d * (float)(1 + 2 * nib);
            const unsigned lo = b[2 + 2 * v] | (b[66 + g] >> 2 * l & 1u) << 8;
            const unsigned hi = b[3 + 2 * v] | (b[66 + g] >> (2 * l + 1) & 1u) << 8;
            vector3(y, db, level, g4_iq3s_code[lo], b[74 + v]);
            vector3(y + 4, db, level, g4_iq3s_code[hi], b[74 + v] >> 4);
        }
    }
}

static void vector1(float *y, float dl, uint16_t code, float delta)
{
    static const float level[4] = { -1, 0, 1, 0 };
    for (int j = 0; j < 8; j++) y[j] = dl * (level[code >> 2 * j & 3] + delta);
}

/* f16 d, u8 qs[32] low index bits, u16 qh[8]: four 3-bit index parts, a 3-bit
 * scale, the sign of delta. */
void g4_iq1s_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= BLOCK; n -= BLOCK, b += 50) {
        const float d = g4_f16_to_f32(u16(b));
        for (int g = 0; g < 8; g++) {
            const uint16_t w = u16(b + 34 + 2 * g);
            const float dl = d * (float)(2 * (w >> 12 & 7) + 1), delta = w & 0x8000 ? -0.125f : 0.125f;
            for (int l = 0; l < 4; l++, y += 8)
                vector1(y, dl, g4_iq1_code[b[2 + 4 * g + l] | (w >> 3 * l & 7u) << 8], delta);
        }
    }
}

/* u8 qs[32], u8 qh[16] (a nibble a vector: 3 index bits, the sign of delta), then
 * four u16: four 3-bit scales each, and in their top nibbles the f16 block scale. */
void g4_iq1m_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= BLOCK; n -= BLOCK, b += 56) {
        const uint16_t s[4] = { u16(b + 48), u16(b + 50), u16(b + 52), u16(b + 54) };
        const float d = g4_f16_to_f32((uint16_t)(s[0] >> 12 | (s[1] >> 8 & 0x00F0) | (s[2] >> 4 & 0x0F00) | (s[3] & 0xF000)));
        for (int v = 0; v < 32; v++, y += 8) {
            const int g = v / 4, l = v % 4, t = b[32 + v / 2] >> 4 * (v % 2);
            const float dl = d * (float)(2 * (s[g / 2] >> (6 * (g % 2) + 3 * (l / 2)) & 7) + 1);
            vector1(y, dl, g4_iq1_code[b[v] | (t & 7u) << 8], t & 8 ? -0.125f : 0.125f);
        }
    }
}
