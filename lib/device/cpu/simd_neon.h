/* device/cpu/simd_neon: the vector words of the templates, 4 lanes. */
#ifndef G4_DEVICE_CPU_SIMD_H
#define G4_DEVICE_CPU_SIMD_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#define LEVEL(name) g4_cpu_neon_##name

enum { W = 4, DIRECT_MAX = 4, TILE_MAX = 4 };

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf v_set1(float x) { return (vf)vdupq_n_f32(x); }
INLINE vi v_seti(int32_t x) { return (vi)vdupq_n_s32(x); }
INLINE vf v_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void v_store(float *p, vf x) { memcpy(p, &x, sizeof x); }
INLINE vf v_load_n(const float *p, uint32_t n)
{
    vf v = v_set1(0);
    memcpy(&v, p, n * 4);
    return v;
}
INLINE void v_store_n(float *p, vf x, uint32_t n) { memcpy(p, &x, n * 4); }
INLINE vf v_fma(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
INLINE vf v_max(vf a, vf b) { return (vf)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
INLINE vf v_min(vf a, vf b) { return (vf)vminq_f32((float32x4_t)a, (float32x4_t)b); }
INLINE vf v_rint(vf a) { return (vf)vrndnq_f32((float32x4_t)a); }
INLINE vi v_toint(vf a) { return (vi)vcvtnq_s32_f32((float32x4_t)a); }
INLINE vf v_tofloat(vi a) { return (vf)vcvtq_f32_s32((int32x4_t)a); }
INLINE int32_t v_sumi(vi a) { return vaddvq_s32((int32x4_t)a); }
INLINE void v_store_i8(int8_t *p, vi a)
{
    const int16x4_t h = vqmovn_s32((int32x4_t)a);
    const int8x8_t b = vqmovn_s16(vcombine_s16(h, h));
    memcpy(p, &b, 4);
}
INLINE vf v_scalef(vf a, vf n) /* a 2^n, n integral in [-252, 254]: in two steps, so that subnormals come out right */
{
    const vi k = v_toint(n), h = k >> 1, l = k - h;
    return a * (vf)((h + 127) << 23) * (vf)((l + 127) << 23);
}
INLINE vf v_f16(const uint16_t *p)
{
    float16x4_t h;
    memcpy(&h, p, sizeof h);
    return (vf)vcvt_f32_f16(h);
}
INLINE void v_store_f16(uint16_t *p, vf x)
{
    const float16x4_t h = vcvt_f16_f32((float32x4_t)x);
    memcpy(p, &h, sizeof h);
}
INLINE vf v_bf16(const uint16_t *p)
{
    uint16x4_t h;
    memcpy(&h, p, sizeof h);
    return (vf)vshll_n_u16(h, 16);
}
INLINE vf v_allow(vf x, vf y, uint32_t bits)
{
    const vu sel = { 1, 2, 4, 8 };
    const vu set = (vu)vtstq_u32((uint32x4_t)sel, vdupq_n_u32(bits));
    return (vf)((set & (vu)x) | (~set & (vu)y));
}

/* ---- bytes, lanes of 128 bits, and one matrix row a 32-bit lane ------------ */

/* Full bytes stay signed: sdot takes them so. */
enum { CODES_SIGNED = 1 };

INLINE uint32x4_t bytes16(const uint8_t *p) { return vreinterpretq_u32_u8(vld1q_u8(p)); }

INLINE void load_rows(const uint8_t *p, size_t s, vu o[4])
{
    const uint32x4_t z0 = bytes16(p), z1 = bytes16(p + s), z2 = bytes16(p + 2 * s), z3 = bytes16(p + 3 * s);
    const uint64x2_t a = vreinterpretq_u64_u32(vzip1q_u32(z0, z1)), b = vreinterpretq_u64_u32(vzip2q_u32(z0, z1));
    const uint64x2_t c = vreinterpretq_u64_u32(vzip1q_u32(z2, z3)), d = vreinterpretq_u64_u32(vzip2q_u32(z2, z3));
    o[0] = (vu)vzip1q_u64(a, c);
    o[1] = (vu)vzip2q_u64(a, c);
    o[2] = (vu)vzip1q_u64(b, d);
    o[3] = (vu)vzip2q_u64(b, d);
}

/* The low half of each lane as f16. */
INLINE vf half_lo(vu x) { return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32((uint32x4_t)x))); }

/* One u16 of each row, as f16. */
INLINE vf load_halfs(const uint8_t *p, size_t s)
{
    uint16_t h[4];
    for (int i = 0; i < 4; i++) memcpy(&h[i], p + i * s, 2);
    return v_f16(h);
}

/* table[code] a byte; codes 0 .. 15 */
INLINE vu lookup(const uint8_t table[16], vu codes) { return (vu)vqtbl1q_u8(vld1q_u8(table), (uint8x16_t)codes); }

/* c | bits [4 i, 4 i + 4) of h spread to bit 4 of the four bytes of the lane. */
INLINE vu spread_bit4(vu c, vu h, int i)
{
    static const uint8_t byte[16] = { 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12 };
    const uint8x16_t x = vqtbl1q_u8((uint8x16_t)h, vaddq_u8(vld1q_u8(byte), vdupq_n_u8((uint8_t)(i / 2))));
    const uint8x16_t bit = vreinterpretq_u8_u32(vdupq_n_u32(i & 1 ? 0x80402010u : 0x08040201u));
    return c | (vu)vandq_u8(vtstq_u8(x, bit), vdupq_n_u8(16));
}

/* Sum over n groups of four k: codes x activations, plus init. */
INLINE vi dot_codes(int32_t init, const vu *c, const int8_t *a, int n, int bits)
{
    (void)bits;
    int32x4_t s = vdupq_n_s32(init);
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        int32_t a4;
        memcpy(&a4, a + 4 * i, 4);
        s = vdotq_s32(s, (int8x16_t)c[i], vreinterpretq_s8_s32(vdupq_n_s32(a4)));
    }
    return (vi)s;
}

#endif
