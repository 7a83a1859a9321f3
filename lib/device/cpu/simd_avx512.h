/* device/cpu/simd_avx512: the vector words of the templates, 16 lanes. */
#ifndef G4_DEVICE_CPU_SIMD_H
#define G4_DEVICE_CPU_SIMD_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define LEVEL(name) g4_cpu_avx512_##name

enum { W = 16, DIRECT_MAX = 8, TILE_MAX = 16 };

typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));
typedef uint32_t vu __attribute__((vector_size(64)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf v_set1(float x) { return (vf)_mm512_set1_ps(x); }
INLINE vi v_seti(int32_t x) { return (vi)_mm512_set1_epi32(x); }
INLINE vf v_load(const float *p) { return (vf)_mm512_loadu_ps(p); }
INLINE void v_store(float *p, vf x) { _mm512_storeu_ps(p, (__m512)x); }
INLINE vf v_load_n(const float *p, uint32_t n) { return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
INLINE void v_store_n(float *p, vf x, uint32_t n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x); }
INLINE vf v_fma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INLINE vf v_max(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); } /* NaN in b stays */
INLINE vf v_min(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vf v_rint(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vi v_toint(vf a) { return (vi)_mm512_cvtps_epi32((__m512)a); }
INLINE vf v_tofloat(vi a) { return (vf)_mm512_cvtepi32_ps((__m512i)a); }
INLINE int32_t v_sumi(vi a) { return _mm512_reduce_add_epi32((__m512i)a); }
INLINE void v_store_i8(int8_t *p, vi a) { _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtsepi32_epi8((__m512i)a)); }
INLINE vf v_scalef(vf a, vf n) { return (vf)_mm512_scalef_ps((__m512)a, (__m512)n); } /* a 2^n, n integral */
INLINE vf v_f16(const uint16_t *p)
{
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
INLINE void v_store_f16(uint16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
INLINE vf v_bf16(const uint16_t *p)
{
    const __m512i w = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return (vf)_mm512_slli_epi32(w, 16);
}

/* Bits of allow: lanes whose bit is clear become y. */
INLINE vf v_allow(vf x, vf y, uint32_t bits) { return (vf)_mm512_mask_mov_ps((__m512)y, (__mmask16)bits, (__m512)x); }

/* ---- bytes, lanes of 128 bits, and one matrix row a 32-bit lane ------------ */

/* Four bytes of codes a lane: no type has codes below 0 (see code_bias). */
enum { CODES_SIGNED = 0 };

/* p + n, of which the compiler knows nothing: left to itself it keeps an address
 * for each of the sixteen rows, more than there are registers. */
INLINE const uint8_t *row_at(const uint8_t *p, size_t n)
{
    p += n;
    __asm__("" : "+r"(p));
    return p;
}

INLINE __m128i load16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

INLINE void load_rows(const uint8_t *p, size_t s, vu o[4])
{
    const uint8_t *const r1 = row_at(p, 4 * s), *const r2 = row_at(p, 8 * s), *const r3 = row_at(r1, 8 * s);
    __m512i z[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        z[i] = _mm512_castsi128_si512(load16(p + i * s));
        z[i] = _mm512_inserti32x4(z[i], load16(r1 + i * s), 1);
        z[i] = _mm512_inserti32x4(z[i], load16(r2 + i * s), 2);
        z[i] = _mm512_inserti32x4(z[i], load16(r3 + i * s), 3);
    }
    const __m512i a = _mm512_unpacklo_epi32(z[0], z[1]), b = _mm512_unpackhi_epi32(z[0], z[1]);
    const __m512i c = _mm512_unpacklo_epi32(z[2], z[3]), d = _mm512_unpackhi_epi32(z[2], z[3]);
    o[0] = (vu)_mm512_unpacklo_epi64(a, c);
    o[1] = (vu)_mm512_unpackhi_epi64(a, c);
    o[2] = (vu)_mm512_unpacklo_epi64(b, d);
    o[3] = (vu)_mm512_unpackhi_epi64(b, d);
}

/* The low half of each lane as f16. */
INLINE vf half_lo(vu x) { return (vf)_mm512_cvtph_ps(_mm512_cvtepi32_epi16((__m512i)x)); }

INLINE int16_t half_at(const uint8_t *p)
{
    int16_t h;
    memcpy(&h, p, 2);
    return h;
}

/* One u16 of each of eight rows. */
INLINE __m128i halfs8(const uint8_t *p, size_t s)
{
    const uint8_t *const q = row_at(p, 4 * s);
    __m128i x = _mm_cvtsi32_si128((uint16_t)half_at(p));
    x = _mm_insert_epi16(x, half_at(p + s), 1);
    x = _mm_insert_epi16(x, half_at(p + 2 * s), 2);
    x = _mm_insert_epi16(x, half_at(p + 3 * s), 3);
    x = _mm_insert_epi16(x, half_at(q), 4);
    x = _mm_insert_epi16(x, half_at(q + s), 5);
    x = _mm_insert_epi16(x, half_at(q + 2 * s), 6);
    return _mm_insert_epi16(x, half_at(q + 3 * s), 7);
}

/* One u16 of each row, as f16. */
INLINE vf load_halfs(const uint8_t *p, size_t s)
{
    return (vf)_mm512_cvtph_ps(_mm256_set_m128i(halfs8(row_at(p, 8 * s), s), halfs8(p, s)));
}

/* table[code] a byte; codes 0 .. 15 */
INLINE vu lookup(const uint8_t table[16], vu codes)
{
    const __m512i t = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)table));
    return (vu)_mm512_shuffle_epi8(t, (__m512i)codes);
}

/* c | bits [4 i, 4 i + 4) of h spread to bit 4 of the four bytes of the lane. */
INLINE vu spread_bit4(vu c, vu h, int i)
{
    uint64_t ctl = 0;
    for (int b = 0; b < 4; b++) {
        ctl |= (uint64_t)((4 * i + b - 4) & 63) << (8 * b);
        ctl |= (uint64_t)((32 + 4 * i + b - 4) & 63) << (8 * b + 32);
    }
    const __m512i x = _mm512_multishift_epi64_epi8(_mm512_set1_epi64((long long)ctl), (__m512i)h);
    return (vu)_mm512_ternarylogic_epi32((__m512i)c, x, _mm512_set1_epi8(16), 0xf8); /* c | (x & 16) */
}

/* Sum over n groups of four k: codes x activations, plus init.  bits: codes < 2^bits. */
INLINE vi dot_codes(int32_t init, const vu *c, const int8_t *a, int n, int bits)
{
    (void)bits;
    __m512i s = _mm512_set1_epi32(init);
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        int32_t a4;
        memcpy(&a4, a + 4 * i, 4);
        s = _mm512_dpbusd_epi32(s, (__m512i)c[i], _mm512_set1_epi32(a4));
    }
    return (vi)s;
}

#endif
