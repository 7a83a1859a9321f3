/* base/dtype: see dtype.h.  Block layouts stand above their decoders; fields are
 * read a byte at a time, since blocks of odd size lie at any address. */
#include "base/dtype.h"

#include <string.h>
#include <strings.h>

#include "base/dtype_iq.h"

/* ---- scalars --------------------------------------------------------------- */

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

float g4_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31;
    uint32_t man = h & 0x3FF;
    if (exp == 31) return float_of(sign | 0x7F800000 | man << 13);
    if (exp) return float_of(sign | (exp + 112) << 23 | man << 13);
    if (!man) return float_of(sign);
    const unsigned up = (unsigned)__builtin_clz(man) - 21; /* to bit 10, the hidden one */
    return float_of(sign | (113 - up) << 23 | (man << up & 0x3FF) << 13);
}

uint16_t g4_f32_to_f16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000) return (uint16_t)(sign | 0x7E00 | (bits >> 13 & 0x1FF));
    if (bits >= 0x477FF000) return sign | 0x7C00; /* 65520 and above round to infinity */
    if (bits >= 0x38800000)                       /* normal: 2^-14 and above */
        return (uint16_t)(sign + ((bits - 0x38000000 + 0xFFF + (bits >> 13 & 1)) >> 13));
    if (bits <= 0x33000000) return sign; /* 2^-25, half of the smallest, ties to zero */
    const unsigned down = 126 - (bits >> 23); /* 14 to 24 */
    const uint32_t man = (bits & 0x7FFFFF) | 0x800000, q = man >> down, rest = man & ((1u << down) - 1);
    const uint32_t half = 1u << (down - 1);
    return (uint16_t)(sign + q + (rest > half || (rest == half && (q & 1))));
}

uint16_t g4_f32_to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static float half_at(const uint8_t *p)
{
    return g4_f16_to_f32(u16(p));
}

static void f32_decode(const void *x, float *y, size_t n)
{
    if (n) memcpy(y, x, 4 * n);
}

static void f16_decode(const void *x, float *y, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++) y[i] = half_at(p + 2 * i);
}

static void bf16_decode(const void *x, float *y, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++) y[i] = g4_bf16_to_f32(u16(p + 2 * i));
}

static void f64_decode(const void *x, float *y, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i++) {
        double d;
        memcpy(&d, p + 8 * i, 8);
        y[i] = (float)d;
    }
}

/* ---- blocks of 32 ------------------------------------------------------------
 * Low nibbles are values 0..15, high nibbles 16..31. */

static int nibble(const uint8_t *qs, int j)
{
    return j < 16 ? qs[j] & 15 : qs[j - 16] >> 4;
}

static int fifth(const uint8_t *qh, int j)
{
    return (qh[j / 8] >> j % 8 & 1) << 4;
}

/* f16 d, u8 qs[16] */
static void q4_0_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 32; n -= 32, b += 18, y += 32) {
        const float d = half_at(b);
        for (int j = 0; j < 32; j++) y[j] = d * (float)(nibble(b + 2, j) - 8);
    }
}

/* f16 d, f16 m, u8 qs[16] */
static void q4_1_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 32; n -= 32, b += 20, y += 32) {
        const float d = half_at(b), m = half_at(b + 2);
        for (int j = 0; j < 32; j++) y[j] = d * (float)nibble(b + 4, j) + m;
    }
}

/* f16 d, u8 qh[4], u8 qs[16] */
static void q5_0_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 32; n -= 32, b += 22, y += 32) {
        const float d = half_at(b);
        for (int j = 0; j < 32; j++) y[j] = d * (float)((nibble(b + 6, j) | fifth(b + 2, j)) - 16);
    }
}

/* f16 d, f16 m, u8 qh[4], u8 qs[16] */
static void q5_1_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 32; n -= 32, b += 24, y += 32) {
        const float d = half_at(b), m = half_at(b + 2);
        for (int j = 0; j < 32; j++) y[j] = d * (float)(nibble(b + 8, j) | fifth(b + 4, j)) + m;
    }
}

/* f16 d, i8 qs[32] */
static void q8_0_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 32; n -= 32, b += 34, y += 32) {
        const float d = half_at(b);
        for (int j = 0; j < 32; j++) y[j] = d * (float)(int8_t)b[2 + j];
    }
}

/* The non-linear levels of IQ4_NL and IQ4_XS. */
static const float iq4_level[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

/* f16 d, u8 qs[16] */
static void iq4_nl_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 32; n -= 32, b += 18, y += 32) {
        const float d = half_at(b);
        for (int j = 0; j < 32; j++) y[j] = d * iq4_level[nibble(b + 2, j)];
    }
}

/* FP4 (E2M1) with all values doubled; the block scales below are halved. */
static const float fp4_level[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

/* E8M0, halved: 2^(e - 128); 0 and 1 are subnormal floats. */
static float e8m0_half(uint8_t e)
{
    return float_of(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

/* u8 e, u8 qs[16] */
static void mxfp4_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 32; n -= 32, b += 17, y += 32) {
        const float d = e8m0_half(b[0]);
        for (int j = 0; j < 32; j++) y[j] = d * fp4_level[nibble(b + 1, j)];
    }
}

/* UE4M3 (unsigned, bias 7), halved; 0x7F counts as zero. */
static float ue4m3_half(uint8_t s)
{
    const int exp = s >> 3 & 15, man = s & 7;
    if ((s & 127) == 127) return 0;
    return exp ? float_of((uint32_t)(exp + 119) << 23 | (uint32_t)man << 20) : (float)man * 0x1p-10f;
}

/* 64 values in four parts of 16: u8 d[4], u8 qs[32] (8 bytes a part, low nibbles first) */
static void nvfp4_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 64; n -= 64, b += 36)
        for (int s = 0; s < 4; s++, y += 16) {
            const float d = ue4m3_half(b[s]);
            for (int j = 0; j < 8; j++) {
                const uint8_t q = b[4 + 8 * s + j];
                y[j] = d * fp4_level[q & 15];
                y[8 + j] = d * fp4_level[q >> 4];
            }
        }
}

/* 128 values: f16 d, a bit each */
static void q1_0_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 128; n -= 128, b += 18, y += 128) {
        const float d = half_at(b);
        for (int j = 0; j < 128; j++) y[j] = b[2 + j / 8] >> j % 8 & 1 ? d : -d;
    }
}

/* 64 values: f16 d, two bits each */
static void q2_0_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 64; n -= 64, b += 18, y += 64) {
        const float d = half_at(b);
        for (int j = 0; j < 64; j++) y[j] = d * (float)((b[2 + j / 4] >> 2 * (j % 4) & 3) - 1);
    }
}

/* ---- blocks of 256 -----------------------------------------------------------
 * Two-bit fields: value i lies in byte 32 (i / 128) + i % 32, at bits
 * 2 (i % 128 / 32). */

static int two_bits(const uint8_t *qs, int i)
{
    return qs[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3;
}

/* u8 scales[16] (low nibble scale, high nibble min), u8 qs[64], f16 d, f16 dmin */
static void q2_k_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 256; n -= 256, b += 84, y += 256) {
        const float d = half_at(b + 80), dmin = half_at(b + 82);
        for (int g = 0; g < 16; g++) {
            const float s = d * (float)(b[g] & 15), m = dmin * (float)(b[g] >> 4);
            for (int i = 16 * g; i < 16 * g + 16; i++) y[i] = s * (float)two_bits(b + 16, i) - m;
        }
    }
}

/* u8 hmask[32], u8 qs[64], u8 scales[12] (16 of 6 bits), f16 d */
static void q3_k_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 256; n -= 256, b += 110, y += 256) {
        const uint8_t *sc = b + 96;
        const float d = half_at(b + 108);
        for (int k = 0; k < 16; k++) {
            const int lo = k < 8 ? sc[k] & 15 : sc[k - 8] >> 4, hi = sc[8 + k % 4] >> 2 * (k / 4) & 3;
            const float s = d * (float)((lo | hi << 4) - 32);
            for (int i = 16 * k; i < 16 * k + 16; i++) {
                const int high = b[i % 32] >> i / 32 & 1;
                y[i] = s * (float)(two_bits(b + 32, i) - (high ? 0 : 4));
            }
        }
    }
}

/* Scale and min of group k (0..7), 6 bits each, out of the 12 bytes that Q4_K and
 * Q5_K share. */
static void scale_min(const uint8_t *s, int k, int *scale, int *min)
{
    if (k < 4) {
        *scale = s[k] & 63;
        *min = s[k + 4] & 63;
    } else {
        *scale = (s[k + 4] & 15) | s[k - 4] >> 6 << 4;
        *min = s[k + 4] >> 4 | s[k] >> 6 << 4;
    }
}

/* f16 d, f16 dmin, u8 scales[12], [u8 qh[32],] u8 qs[128]: group g of 32 values is
 * the low (even g) or high nibbles of 32 bytes, bit g of qh its fifth bit. */
static void q45_k(const uint8_t *b, const uint8_t *qh, const uint8_t *qs, float *y)
{
    const float d = half_at(b), dmin = half_at(b + 2);
    for (int g = 0; g < 8; g++, y += 32) {
        int scale, min;
        scale_min(b + 4, g, &scale, &min);
        const float s = d * (float)scale, m = dmin * (float)min;
        for (int j = 0; j < 32; j++) {
            const int q = (qs[g / 2 * 32 + j] >> 4 * (g % 2) & 15) | (qh ? (qh[j] >> g & 1) << 4 : 0);
            y[j] = s * (float)q - m;
        }
    }
}

static void q4_k_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 256; n -= 256, b += 144, y += 256) q45_k(b, NULL, b + 16, y);
}

static void q5_k_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 256; n -= 256, b += 176, y += 256) q45_k(b, b + 16, b + 48, y);
}

/* u8 ql[128], u8 qh[64], i8 scales[16], f16 d */
static void q6_k_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 256; n -= 256, b += 210, y += 256) {
        const float d = half_at(b + 208);
        for (int g = 0; g < 16; g++) {
            const float s = d * (float)(int8_t)b[192 + g];
            for (int i = 16 * g; i < 16 * g + 16; i++) {
                const int j = i % 128 / 32;
                const int lo = b[i / 128 * 64 + (j & 1) * 32 + i % 32] >> (j < 2 ? 0 : 4) & 15;
                y[i] = s * (float)((lo | two_bits(b + 128, i) << 4) - 32);
            }
        }
    }
}

/* f16 d, u16 scales_h, u8 scales_l[4], u8 qs[128]: 8 groups of 32, 6-bit scales */
static void iq4_xs_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 256; n -= 256, b += 136) {
        const float d = half_at(b);
        const unsigned high = u16(b + 2);
        for (int g = 0; g < 8; g++, y += 32) {
            const int ls = (b[4 + g / 2] >> 4 * (g % 2) & 15) | (int)(high >> 2 * g & 3) << 4;
            const float dl = d * (float)(ls - 32);
            for (int j = 0; j < 32; j++) y[j] = dl * iq4_level[nibble(b + 8 + 16 * g, j)];
        }
    }
}

/* u8 qs[64], f16 d */
static void tq2_0_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 256; n -= 256, b += 66, y += 256) {
        const float d = half_at(b + 64);
        for (int i = 0; i < 256; i++) y[i] = d * (float)(two_bits(b, i) - 1);
    }
}

/* Digit k of n bytes packed in base 3, a byte a fraction of 256; returns the end. */
static float *trits(const uint8_t *q, int n, int n_digit, float d, float *y)
{
    static const uint8_t pow3[5] = { 1, 3, 9, 27, 81 };
    for (int k = 0; k < n_digit; k++)
        for (int m = 0; m < n; m++) *y++ = d * (float)(((uint8_t)(q[m] * pow3[k]) * 3 >> 8) - 1);
    return y;
}

/* u8 qs[48] (five digits a byte, 32 bytes then 16), u8 qh[4] (four digits), f16 d */
static void tq1_0_decode(const void *x, float *y, size_t n)
{
    const uint8_t *b = x;
    for (; n >= 256; n -= 256, b += 54) {
        const float d = half_at(b + 52);
        y = trits(b, 32, 5, d, y);
        y = trits(b + 32, 16, 5, d, y);
        y = trits(b + 48, 4, 4, d, y);
    }
}

/* ---- the table ---------------------------------------------------------------- */

static const g4_dtype_info table[G4_DTYPE_END] = {
    [G4_F32] = { "F32", 1, 4, false, f32_decode },
    [G4_F16] = { "F16", 1, 2, false, f16_decode },
    [G4_BF16] = { "BF16", 1, 2, false, bf16_decode },
    [G4_F64] = { "F64", 1, 8, false, f64_decode },
    [G4_I8] = { "I8", 1, 1, false, NULL },
    [G4_I16] = { "I16", 1, 2, false, NULL },
    [G4_I32] = { "I32", 1, 4, false, NULL },
    [G4_I64] = { "I64", 1, 8, false, NULL },
    [G4_Q4_0] = { "Q4_0", 32, 18, true, q4_0_decode },
    [G4_Q4_1] = { "Q4_1", 32, 20, true, q4_1_decode },
    [G4_Q5_0] = { "Q5_0", 32, 22, true, q5_0_decode },
    [G4_Q5_1] = { "Q5_1", 32, 24, true, q5_1_decode },
    [G4_Q8_0] = { "Q8_0", 32, 34, true, q8_0_decode },
    [G4_Q2_K] = { "Q2_K", 256, 84, true, q2_k_decode },
    [G4_Q3_K] = { "Q3_K", 256, 110, true, q3_k_decode },
    [G4_Q4_K] = { "Q4_K", 256, 144, true, q4_k_decode },
    [G4_Q5_K] = { "Q5_K", 256, 176, true, q5_k_decode },
    [G4_Q6_K] = { "Q6_K", 256, 210, true, q6_k_decode },
    [G4_IQ2_XXS] = { "IQ2_XXS", 256, 66, true, g4_iq2xxs_decode },
    [G4_IQ2_XS] = { "IQ2_XS", 256, 74, true, g4_iq2xs_decode },
    [G4_IQ2_S] = { "IQ2_S", 256, 82, true, g4_iq2s_decode },
    [G4_IQ3_XXS] = { "IQ3_XXS", 256, 98, true, g4_iq3xxs_decode },
    [G4_IQ3_S] = { "IQ3_S", 256, 110, true, g4_iq3s_decode },
    [G4_IQ1_S] = { "IQ1_S", 256, 50, true, g4_iq1s_decode },
    [G4_IQ1_M] = { "IQ1_M", 256, 56, true, g4_iq1m_decode },
    [G4_IQ4_NL] = { "IQ4_NL", 32, 18, true, iq4_nl_decode },
    [G4_IQ4_XS] = { "IQ4_XS", 256, 136, true, iq4_xs_decode },
    [G4_TQ1_0] = { "TQ1_0", 256, 54, true, tq1_0_decode },
    [G4_TQ2_0] = { "TQ2_0", 256, 66, true, tq2_0_decode },
    [G4_MXFP4] = { "MXFP4", 32, 17, true, mxfp4_decode },
    [G4_NVFP4] = { "NVFP4", 64, 36, true, nvfp4_decode },
    [G4_Q1_0] = { "Q1_0", 128, 18, true, q1_0_decode },
    [G4_Q2_0] = { "Q2_0", 64, 18, true, q2_0_decode },
};

const g4_dtype_info *g4_dtype_get(uint32_t id)
{
    return id < G4_DTYPE_END && table[id].name ? &table[id] : NULL;
}

bool g4_dtype_by_name(const char *name, g4_dtype *out)
{
    for (uint32_t i = 0; i < G4_DTYPE_END; i++)
        if (table[i].name && !strcasecmp(table[i].name, name)) {
            *out = (g4_dtype)i;
            return true;
        }
    return false;
}
