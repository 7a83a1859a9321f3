/* device/cpu/simd_avx2: the vector words of the templates, 8 lanes. */
#ifndef G4_DEVICE_CPU_SIMD_H
#define G4_DEVICE_CPU_SIMD_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define LEVEL(name) g4_cpu_avx2_##name

enum { W = 8, DIRECT_MAX = 4, TILE_MAX = 4 };

typedef float vf __attribute__((vector_size(32)));
typedef int32_t vi __attribute__((vector_size(32)));
typedef uint32_t vu __attribute__((vector_size(32)));

#define INLINE static inline __attribute__((always_inline))

INLINE __m256i first_lanes(uint32_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE vf v_set1(float x) { return (vf)_mm256_set1_ps(x); }
INLINE vi v_seti(int32_t x) { return (vi)_mm256_set1_epi32(x); }
INLINE vf v_load(const float *p) { return (vf)_mm256_loadu_ps(p); }
INLINE void v_store(float *p, vf x) { _mm256_storeu_ps(p, (__m256)x); }
INLINE vf v_load_n(const float *p, uint32_t n) { return (vf)_mm256_maskload_ps(p, first_lanes(n)); }
INLINE void v_store_n(float *p, vf x, uint32_t n) { _mm256_maskstore_ps(p, first_lanes(n), (__m256)x); }
INLINE vf v_fma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE vf v_max(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); } /* NaN in b stays */
INLINE vf v_min(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vf v_rint(vf a) { return (vf)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vi v_toint(vf a) { return (vi)_mm256_cvtps_epi32((__m256)a); }
INLINE vf v_tofloat(vi a) { return (vf)_mm256_cvtepi32_ps((__m256i)a); }
INLINE int32_t v_sumi(vi a)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128((__m256i)a), _mm256_extracti128_si256((__m256i)a, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}
INLINE void v_store_i8(int8_t *p, vi a)
{
    const __m128i h = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)a), _mm256_extracti128_si256((__m256i)a, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(h, h));
}
INLINE vf v_scalef(vf a, vf n) /* a 2^n, n integral in [-252, 254]: in two steps, so that subnormals come out right */
{
    const vi k = v_toint(n), h = k >> 1, l = k - h;
    return a * (vf)((h + 127) << 23) * (vf)((l + 127) << 23);
}
INLINE vf v_f16(const uint16_t *p)
{
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
INLINE void v_store_f16(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT));
}
INLINE vf v_bf16(const uint16_t *p)
{
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)), 16);
}
INLINE vf v_allow(vf x, vf y, uint32_t bits)
{
    const __m256i sel = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i m = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), sel), sel);
    return (vf)_mm256_blendv_ps((__m256)y, (__m256)x, (__m256)m);
}

/* ---- bytes, lanes of 128 bits, and one matrix row a 32-bit lane ------------ */

/* Full bytes stay signed: a product of an unsigned byte would overflow 16 bits. */
enum { CODES_SIGNED = 1 };

INLINE void load_rows(const uint8_t *p, size_t s, vu o[4])
{
    const uint8_t *const hi = p + 4 * s;
    const size_t off[4] = { 0, s, 2 * s, 3 * s };
    __m256i z[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        z[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(p + off[i]))),
                                       _mm_loadu_si128((const __m128i *)(const void *)(hi + off[i])), 1);
    const __m256i a = _mm256_unpacklo_epi32(z[0], z[1]), b = _mm256_unpackhi_epi32(z[0], z[1]);
    const __m256i c = _mm256_unpacklo_epi32(z[2], z[3]), d = _mm256_unpackhi_epi32(z[2], z[3]);
    o[0] = (vu)_mm256_unpacklo_epi64(a, c);
    o[1] = (vu)_mm256_unpackhi_epi64(a, c);
    o[2] = (vu)_mm256_unpacklo_epi64(b, d);
    o[3] = (vu)_mm256_unpackhi_epi64(b, d);
}

/* The low half of each lane as f16. */
INLINE vf half_lo(vu x)
{
    const __m256i p = _mm256_and_si256((__m256i)x, _mm256_set1_epi32(0xffff));
    const __m256i q = _mm256_permute4x64_epi64(_mm256_packus_epi32(p, p), 0x08);
    return (vf)_mm256_cvtph_ps(_mm256_castsi256_si128(q));
}

/* One u16 of each row, as f16. */
INLINE vf load_halfs(const uint8_t *p, size_t s)
{
    uint16_t h[8];
    for (int i = 0; i < 8; i++) memcpy(&h[i], p + i * s, 2);
    return (vf)_mm256_cvtph_ps(_mm_setr_epi16((short)h[0], (short)h[1], (short)h[2], (short)h[3], (short)h[4], (short)h[5],
                                              (short)h[6], (short)h[7]));
}

/* table[code] a byte; codes 0 .. 15 */
INLINE vu lookup(const uint8_t table[16], vu codes)
{
    const __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
    return (vu)_mm256_shuffle_epi8(t, (__m256i)codes);
}

/* c | bits [4 i, 4 i + 4) of h spread to bit 4 of the four bytes of the lane. */
INLINE vu spread_bit4(vu c, vu h, int i)
{
    const __m256i byte = _mm256_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    const __m256i x = _mm256_shuffle_epi8((__m256i)h, _mm256_add_epi8(byte, _mm256_set1_epi8((char)(i / 2))));
    const __m256i bit = _mm256_set1_epi32(i & 1 ? (int)0x80402010 : 0x08040201);
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(x, bit), bit);
    return c | (vu)_mm256_and_si256(set, _mm256_set1_epi8(16));
}

INLINE __m256i four(const int8_t *a)
{
    int32_t a4;
    memcpy(&a4, a, 4);
    return _mm256_set1_epi32(a4);
}

/* Sum over n groups of four k: codes x activations, plus init.  bits: codes < 2^bits,
 * 8: signed.  As many products are added in 16 bits as cannot overflow there. */
INLINE vi dot_codes(int32_t init, const vu *c, const int8_t *a, int n, int bits)
{
    const int run = bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1;
    const __m256i one = _mm256_set1_epi16(1);
    __m256i sum = _mm256_set1_epi32(init);
#pragma GCC unroll 8
    for (int i = 0; i < n; i += run) {
        __m256i s = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (int j = 0; j < run; j++) {
            if (i + j >= n) break;
            const __m256i w = (__m256i)c[i + j], x = four(a + 4 * (i + j));
            const __m256i p = bits == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)) : _mm256_maddubs_epi16(w, x);
            s = j ? _mm256_add_epi16(s, p) : p;
        }
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(s, one));
    }
    return (vi)sum;
}

#endif
