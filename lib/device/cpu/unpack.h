/* device/cpu/unpack: block formats unpacked as they lie in the file, W matrix rows
 * at a time, for the levels that include it after their simd header.
 *
 * A panel is W rows.  Its unit is a block of 32 k: eight words c[0..7], where lane
 * r of c[i] holds the four byte codes of row r, k = 4 i .. 4 i + 3, so that four
 * activations broadcast to all lanes meet W rows in one dot instruction and a
 * row's sum stays in its lane.  Value = s[g] * (code - off) (+ m[g] for the types
 * with minima); g = 0, or one of two groups of 16 k.
 *
 * Each walk_TYPE goes through the blocks of a panel in a fixed order and hands
 * each to take(), which either multiplies it with T tokens at once (registers
 * only) or stores it (T = 0) for many tiles of tokens.  Both ways do the same
 * arithmetic in the same order: sums of integers, exact, then the same chain of
 * f32 operations.  So a row's bits do not depend on how many rows there are. */
#ifndef G4_DEVICE_CPU_UNPACK_H
#define G4_DEVICE_CPU_UNPACK_H

#include "base/dtype.h"

struct kind {
    uint8_t groups;     /* scales a block */
    uint8_t mins;       /* minima: aux holds d * sum of the activations, f32 */
    uint8_t bits;       /* codes are below 2^bits; 8: full bytes, signed where CODES_SIGNED */
    uint8_t zigzag;     /* block order 0 2 1 3 within four (the nibbles of Q6_K) */
    int16_t off;        /* without minima: aux holds -off * sum of the activations, integer */
    uint8_t bytes8;     /* bytes of eight blocks of a row, divided by eight, rounded up */
};

struct blk {
    vu c[8];
    vf s[2], m[2];
};

/* Activations of one tile of tokens: see quantise.h. */
struct toks {
    const int8_t *q;    /* [block][tw][32] */
    const float *d;     /* [block][tw] */
    const int32_t *aux; /* [block][groups][tw]; f32 for types with minima */
    uint32_t tw;
};

struct ctx {
    struct toks x;
    uint8_t *panel;     /* T = 0: where blocks are stored */
    const uint8_t *next; /* two panels ahead: fetched into L2 meanwhile, in order, as no hardware would guess */
    vf acc[TILE_MAX > DIRECT_MAX ? TILE_MAX : DIRECT_MAX];
};

/* Position i of a walk is this block of the row. */
INLINE uint32_t block_at(const struct kind k, uint32_t i)
{
    return k.zigzag ? (i & ~3u) | (i & 1) << 1 | (i >> 1 & 1) : i;
}

INLINE size_t blk_bytes(const struct kind k)
{
    return (8 + k.groups * (1 + k.mins)) * sizeof(vf);
}

INLINE vf bcast_f32(const int32_t *p)
{
    float f;
    memcpy(&f, p, 4);
    return v_set1(f);
}

/* acc[t] += block . token t, for T tokens of block b. */
INLINE void dot_blk(vf *acc, const struct toks *x, uint32_t b, const struct blk *w, const struct kind k, const int T)
{
    const int8_t *q = x->q + (size_t)b * x->tw * 32;
    const float *d = x->d + (size_t)b * x->tw;
    const int32_t *aux = x->aux + (size_t)b * k.groups * x->tw;
#pragma GCC unroll 16
    for (int t = 0; t < T; t++) {
        vf v;
        if (k.groups == 1) {
            v = v_tofloat(dot_codes(k.mins ? 0 : aux[t], w->c, q + t * 32, 8, k.bits)) * w->s[0];
        } else {
            const vi lo = dot_codes(k.mins ? 0 : aux[t], w->c, q + t * 32, 4, k.bits);
            const vi hi = dot_codes(k.mins ? 0 : aux[x->tw + t], w->c + 4, q + t * 32 + 16, 4, k.bits);
            v = v_fma(v_tofloat(hi), w->s[1], v_tofloat(lo) * w->s[0]);
        }
        acc[t] = v_fma(v, v_set1(d[t]), acc[t]);
        if (k.mins) acc[t] = v_fma(w->m[0], bcast_f32(&aux[t]), acc[t]);
        if (k.mins && k.groups == 2) acc[t] = v_fma(w->m[1], bcast_f32(&aux[x->tw + t]), acc[t]);
    }
}

INLINE void store_blk(uint8_t *p, const struct blk *b, const struct kind k)
{
    vf *o = (vf *)(void *)p;
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) o[i] = (vf)b->c[i];
    o[8] = b->s[0];
    if (k.groups == 2) o[9] = b->s[1];
    if (k.mins) o[8 + k.groups] = b->m[0];
    if (k.mins && k.groups == 2) o[11] = b->m[1];
}

INLINE void take(struct ctx *x, uint32_t i, const struct blk *b, const struct kind k, const int T)
{
    const uint8_t *next = x->next + (size_t)i * W * k.bytes8;
#pragma GCC unroll 9
    for (int j = 0; j < (W * k.bytes8 + 63) / 64; j++) __builtin_prefetch(next + 64 * j, 0, 2);
    if (T)
        dot_blk(x->acc, &x->x, block_at(k, i), b, k, T);
    else
        store_blk(x->panel + i * blk_bytes(k), b, k);
}

/* ---- helpers -------------------------------------------------------------- */

#define NIBBLES 0x0f0f0f0fu
#define FULL_OFF (CODES_SIGNED ? 0 : 128) /* offset of types whose codes are full bytes */

INLINE vu splat(uint32_t x) { return (vu)v_seti((int32_t)x); }

/* 16 bytes of nibbles a row: low ones are k 0 .. 15, high ones k 16 .. 31. */
INLINE void nibbles16(const uint8_t *p, size_t s, vu c[8])
{
    vu raw[4];
    load_rows(p, s, raw);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        c[i] = raw[i] & splat(NIBBLES);
        c[4 + i] = raw[i] >> 4 & splat(NIBBLES);
    }
}

INLINE vf byte_f32(vu x, int i) /* unsigned byte i of each lane */
{
    return v_tofloat((vi)(x >> (8 * i) & splat(255)));
}

/* ---- the 32-element formats ------------------------------------------------ */

static const struct kind K_Q4_0 = { 1, 0, 4, 0, 8, 18 };
INLINE void walk_Q4_0(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i++, p += 18) {
        struct blk b;
        nibbles16(p + 2, s, b.c);
        b.s[0] = load_halfs(p, s);
        take(x, i, &b, K_Q4_0, T);
    }
}

static const struct kind K_Q4_1 = { 1, 1, 4, 0, 0, 20 };
INLINE void walk_Q4_1(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i++, p += 20) {
        struct blk b;
        nibbles16(p + 4, s, b.c);
        b.s[0] = load_halfs(p, s);
        b.m[0] = load_halfs(p + 2, s);
        take(x, i, &b, K_Q4_1, T);
    }
}

static const struct kind K_Q5_0 = { 1, 0, 5, 0, 16, 22 };
INLINE void walk_Q5_0(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i++, p += 22) {
        struct blk b;
        vu h[4];
        load_rows(p, s, h); /* d, the 32 fifth bits, and what follows */
        const vu fifth = h[0] >> 16 | h[1] << 16;
        b.s[0] = half_lo(h[0]);
        nibbles16(p + 6, s, b.c);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) b.c[j] = spread_bit4(b.c[j], fifth, j);
        take(x, i, &b, K_Q5_0, T);
    }
}

static const struct kind K_Q5_1 = { 1, 1, 5, 0, 0, 24 };
INLINE void walk_Q5_1(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i++, p += 24) {
        struct blk b;
        vu h[4];
        load_rows(p, s, h);
        b.s[0] = half_lo(h[0]);
        b.m[0] = half_lo(h[0] >> 16);
        nibbles16(p + 8, s, b.c);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) b.c[j] = spread_bit4(b.c[j], h[1], j);
        take(x, i, &b, K_Q5_1, T);
    }
}

static const struct kind K_Q8_0 = { 1, 0, 8, 0, FULL_OFF, 34 };
INLINE void walk_Q8_0(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i++, p += 34) {
        struct blk b;
        load_rows(p + 2, s, b.c);
        load_rows(p + 18, s, b.c + 4);
        if (!CODES_SIGNED)
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++) b.c[j] ^= splat(0x80808080u);
        b.s[0] = load_halfs(p, s);
        take(x, i, &b, K_Q8_0, T);
    }
}

#define B(v) (uint8_t)((v) + FULL_OFF)
static const uint8_t table_iq4[16] = { B(-127), B(-104), B(-83), B(-65), B(-49), B(-35), B(-22), B(-10),
                                       B(1),    B(13),   B(25),  B(38),  B(53),  B(69),  B(89),  B(113) };
#undef B
static const uint8_t table_fp4[16] = { 12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0 }; /* + 12 */

INLINE void nibbles16_by(const uint8_t table[16], const uint8_t *p, size_t s, vu c[8])
{
    nibbles16(p, s, c);
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) c[j] = lookup(table, c[j]);
}

static const struct kind K_IQ4_NL = { 1, 0, 8, 0, FULL_OFF, 18 };
INLINE void walk_IQ4_NL(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i++, p += 18) {
        struct blk b;
        nibbles16_by(table_iq4, p + 2, s, b.c);
        b.s[0] = load_halfs(p, s);
        take(x, i, &b, K_IQ4_NL, T);
    }
}

static const struct kind K_MXFP4 = { 1, 0, 5, 0, 12, 17 };
INLINE void walk_MXFP4(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i++, p += 17) {
        struct blk b;
        nibbles16_by(table_fp4, p + 1, s, b.c);
        uint32_t e[W];
        for (int r = 0; r < W; r++) { /* half of 2^(e - 127), subnormal below 2 */
            const uint32_t v = p[r * s];
            e[r] = v < 2 ? 0x00200000u << v : (v - 1) << 23;
        }
        memcpy(&b.s[0], e, sizeof e);
        take(x, i, &b, K_MXFP4, T);
    }
}

/* ---- the 256-element formats ----------------------------------------------- */

/* 32 bytes a row */
INLINE void load32(const uint8_t *p, size_t s, vu o[8])
{
    load_rows(p, s, o);
    load_rows(p + 16, s, o + 4);
}

/* Group g (0 .. 7) of the 6-bit scales and minima of Q4_K and Q5_K: h[1..3] are
 * their 12 bytes. */
INLINE void scale_k4(const vu h[4], int g, vf d, vf dmin, struct blk *b)
{
    const int at = 8 * (g & 3);
    vu sc, mn;
    if (g < 4) {
        sc = h[1] >> at & splat(63);
        mn = h[2] >> at & splat(63);
    } else {
        sc = (h[3] >> at & splat(15)) | (h[1] >> (at + 6) & splat(3)) << 4;
        mn = (h[3] >> (at + 4) & splat(15)) | (h[2] >> (at + 6) & splat(3)) << 4;
    }
    b->s[0] = v_tofloat((vi)sc) * d;
    b->m[0] = v_tofloat((vi)mn) * dmin;
}

static const struct kind K_Q4_K = { 1, 1, 4, 0, 0, 18 };
INLINE void walk_Q4_K(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i += 8, p += 144) {
        vu h[4];
        load_rows(p, s, h);
        const vf d = half_lo(h[0]), dmin = -half_lo(h[0] >> 16);
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) {
            struct blk b;
            vu raw[8];
            load32(p + 16 + 32 * c, s, raw);
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++) b.c[j] = raw[j] & splat(NIBBLES);
            scale_k4(h, 2 * c, d, dmin, &b);
            take(x, i + 2 * c, &b, K_Q4_K, T);
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++) b.c[j] = raw[j] >> 4 & splat(NIBBLES);
            scale_k4(h, 2 * c + 1, d, dmin, &b);
            take(x, i + 2 * c + 1, &b, K_Q4_K, T);
        }
    }
}

/* Bit n of every byte of x at position 4. */
INLINE vu bit_to_4(vu x, int n)
{
    return (n < 4 ? x << (4 - n) : x >> (n - 4)) & splat(0x10101010u);
}

static const struct kind K_Q5_K = { 1, 1, 5, 0, 0, 22 };
INLINE void walk_Q5_K(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i += 8, p += 176) {
        vu h[4], fifth[8];
        load_rows(p, s, h);
        const vf d = half_lo(h[0]), dmin = -half_lo(h[0] >> 16);
        load32(p + 16, s, fifth);
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) {
            struct blk b;
            vu raw[8];
            load32(p + 48 + 32 * c, s, raw);
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++) b.c[j] = (raw[j] & splat(NIBBLES)) | bit_to_4(fifth[j], 2 * c);
            scale_k4(h, 2 * c, d, dmin, &b);
            take(x, i + 2 * c, &b, K_Q5_K, T);
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++) b.c[j] = (raw[j] >> 4 & splat(NIBBLES)) | bit_to_4(fifth[j], 2 * c + 1);
            scale_k4(h, 2 * c + 1, d, dmin, &b);
            take(x, i + 2 * c + 1, &b, K_Q5_K, T);
        }
    }
}

/* Signed byte g of sc (four a word) times d. */
INLINE vf scale_i8(const vu sc[4], int g, vf d)
{
    return v_tofloat((vi)(sc[g / 4] << (24 - 8 * (g & 3))) >> 24) * d;
}

/* Field j (two bits) of every byte at bits 4 and 5. */
INLINE vu two_bits_to_4(vu x, int j)
{
    return (j < 2 ? x << (4 - 2 * j) : x >> (2 * j - 4)) & splat(0x30303030u);
}

/* The first word of a half gives blocks 0 and 2, the second 1 and 3. */
static const struct kind K_Q6_K = { 2, 0, 6, 1, 32, 27 };
INLINE void walk_Q6_K(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i += 8, p += 210) {
        vu sc[4];
        load_rows(p + 192, s, sc);
        const vf d = load_halfs(p + 208, s);
#pragma GCC unroll 2
        for (int n = 0; n < 2; n++) {
            vu high[8];
            load32(p + 128 + 32 * n, s, high);
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                struct blk b;
                vu raw[8];
                load32(p + 64 * n + 32 * half, s, raw);
#pragma GCC unroll 2
                for (int up = 0; up < 2; up++) {
                    const int j = half + 2 * up, g = 8 * n + 2 * j;
#pragma GCC unroll 8
                    for (int q = 0; q < 8; q++) b.c[q] = (raw[q] >> (4 * up) & splat(NIBBLES)) | two_bits_to_4(high[q], j);
                    b.s[0] = scale_i8(sc, g, d);
                    b.s[1] = scale_i8(sc, g + 1, d);
                    take(x, i + 4 * n + 2 * half + up, &b, K_Q6_K, T);
                }
            }
        }
    }
}

/* The 16 6-bit scales of Q3_K as bytes, four a word: h holds the 12 bytes. */
INLINE void scales_q3(const vu h[3], vu sc[4])
{
    const vu lo = splat(NIBBLES), hi = splat(0x30303030u);
    sc[0] = (h[0] & lo) | (h[2] << 4 & hi);
    sc[1] = (h[1] & lo) | (h[2] << 2 & hi);
    sc[2] = (h[0] >> 4 & lo) | (h[2] & hi);
    sc[3] = (h[1] >> 4 & lo) | (h[2] >> 2 & hi);
}

static const struct kind K_Q3_K = { 2, 0, 3, 0, 4, 14 };
INLINE void walk_Q3_K(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i += 8, p += 110) {
        vu h[4], sc[4], third[8];
        load_rows(p + 94, s, h); /* two bytes of qs, twelve of scales, d */
        const vu h0 = h[0] >> 16 | h[1] << 16, h1 = h[1] >> 16 | h[2] << 16, h2 = h[2] >> 16 | h[3] << 16;
        const vu own[3] = { h0, h1, h2 };
        const vf d = half_lo(h[3] >> 16);
        scales_q3(own, sc);
        load32(p, s, third);
#pragma GCC unroll 2
        for (int n = 0; n < 2; n++) {
            vu raw[8];
            load32(p + 32 + 32 * n, s, raw);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                struct blk b;
                const int bit = 4 * n + j, g = 8 * n + 2 * j;
#pragma GCC unroll 8
                for (int q = 0; q < 8; q++)
                    b.c[q] = (raw[q] >> (2 * j) & splat(0x03030303u)) | ((bit < 2 ? third[q] << (2 - bit) : third[q] >> (bit - 2)) & splat(0x04040404u));
                b.s[0] = v_tofloat((vi)(sc[g / 4] >> (8 * (g & 3)) & splat(63)) - v_seti(32)) * d;
                b.s[1] = v_tofloat((vi)(sc[g / 4] >> (8 * (g & 3) + 8) & splat(63)) - v_seti(32)) * d;
                take(x, i + 4 * n + j, &b, K_Q3_K, T);
            }
        }
    }
}

static const struct kind K_Q2_K = { 2, 1, 2, 0, 0, 11 };
INLINE void walk_Q2_K(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i += 8, p += 84) {
        vu sc[4];
        load_rows(p, s, sc);
        const vf d = load_halfs(p + 80, s), dmin = -load_halfs(p + 82, s);
#pragma GCC unroll 2
        for (int n = 0; n < 2; n++) {
            vu raw[8];
            load32(p + 16 + 32 * n, s, raw);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                struct blk b;
#pragma GCC unroll 8
                for (int q = 0; q < 8; q++) b.c[q] = raw[q] >> (2 * j) & splat(0x03030303u);
#pragma GCC unroll 2
                for (int e = 0; e < 2; e++) {
                    const int g = 8 * n + 2 * j + e;
                    b.s[e] = byte_f32(sc[g / 4] & splat(NIBBLES), g & 3) * d;
                    b.m[e] = byte_f32(sc[g / 4] >> 4 & splat(NIBBLES), g & 3) * dmin;
                }
                take(x, i + 4 * n + j, &b, K_Q2_K, T);
            }
        }
    }
}

static const struct kind K_IQ4_XS = { 1, 0, 8, 0, FULL_OFF, 17 };
INLINE void walk_IQ4_XS(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb, const int T)
{
    for (uint32_t i = 0; i < nb; i += 8, p += 136) {
        vu h[4];
        load_rows(p, s, h); /* d and scales_h, scales_l, and what follows */
        const vf d = half_lo(h[0]);
#pragma GCC unroll 8
        for (int g = 0; g < 8; g++) {
            struct blk b;
            const vu sc = (h[1] >> (4 * g) & splat(15)) | (h[0] >> (16 + 2 * g) & splat(3)) << 4;
            nibbles16_by(table_iq4, p + 8 + 16 * g, s, b.c);
            b.s[0] = v_tofloat((vi)sc - v_seti(32)) * d;
            take(x, i + g, &b, K_IQ4_XS, T);
        }
    }
}

/* ---- a table of them -------------------------------------------------------- */

/* Multiplies a panel of nb blocks, rows s bytes apart, with the first 1, 2, 4 or 8
 * tokens of a tile: acc[t] is lane r = row r. */
typedef void direct_fn(struct ctx *x, const uint8_t *p, size_t s, uint32_t nb);

struct format {
    const struct kind *kind;
    direct_fn *pack;        /* into x->panel */
    direct_fn *direct[4];   /* 1, 2, 4, 8 tokens */
};

#define FORMAT_FN(type, name, T) \
    static __attribute__((noinline)) void name##_##type(struct ctx *out, const uint8_t *p, size_t s, uint32_t nb) \
    { \
        struct ctx x = { .x = out->x, .panel = out->panel, .next = p + 2 * W * s }; \
        walk_##type(&x, p, s, nb, T); \
        _Pragma("GCC unroll 8") for (int t = 0; t < T; t++) out->acc[t] = x.acc[t]; \
    }
#define FORMAT(type) \
    FORMAT_FN(type, pack, 0) \
    FORMAT_FN(type, direct1, 1) \
    FORMAT_FN(type, direct2, 2) \
    FORMAT_FN(type, direct4, 4) \
    FORMAT_FN(type, direct8, (DIRECT_MAX < 8 ? 4 : 8)) \
    static const struct format format_##type = { &K_##type, pack_##type, { direct1_##type, direct2_##type, direct4_##type, direct8_##type } };

FORMAT(Q4_0) FORMAT(Q4_1) FORMAT(Q5_0) FORMAT(Q5_1) FORMAT(Q8_0) FORMAT(IQ4_NL) FORMAT(MXFP4)
FORMAT(Q4_K) FORMAT(Q5_K) FORMAT(Q6_K) FORMAT(Q3_K) FORMAT(Q2_K) FORMAT(IQ4_XS)

/* NULL: no int8 kernel; rows are decoded to f32 instead. */
static const struct format *format_of(g4_dtype type)
{
    switch (type) {
    case G4_Q4_0: return &format_Q4_0;
    case G4_Q4_1: return &format_Q4_1;
    case G4_Q5_0: return &format_Q5_0;
    case G4_Q5_1: return &format_Q5_1;
    case G4_Q8_0: return &format_Q8_0;
    case G4_IQ4_NL: return &format_IQ4_NL;
    case G4_MXFP4: return &format_MXFP4;
    case G4_Q4_K: return &format_Q4_K;
    case G4_Q5_K: return &format_Q5_K;
    case G4_Q6_K: return &format_Q6_K;
    case G4_Q3_K: return &format_Q3_K;
    case G4_Q2_K: return &format_Q2_K;
    case G4_IQ4_XS: return &format_IQ4_XS;
    default: return NULL;
    }
}

/* ---- tiles of tokens against a stored panel ---------------------------------- */

INLINE void tile_dot(struct ctx *out, uint32_t nb, const struct kind k, const int T)
{
    const uint8_t *p = out->panel;
    const struct toks x = out->x;
    vf acc[TILE_MAX];
#pragma GCC unroll 16
    for (int t = 0; t < T; t++) acc[t] = v_set1(0);
    for (uint32_t i = 0; i < nb; i++, p += blk_bytes(k)) {
        const vf *o = (const vf *)(const void *)p;
        struct blk b;
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) b.c[j] = (vu)o[j];
        b.s[0] = o[8];
        if (k.groups == 2) b.s[1] = o[9];
        if (k.mins) b.m[0] = o[8 + k.groups];
        if (k.mins && k.groups == 2) b.m[1] = o[11];
        dot_blk(acc, &x, block_at(k, i), &b, k, T);
    }
#pragma GCC unroll 16
    for (int t = 0; t < T; t++) out->acc[t] = acc[t];
}

typedef void tile_fn(struct ctx *x, uint32_t nb);

/* Kinds that are alike but for off share their tile kernels. */
#define TILE_FN(name, T, ...) \
    static __attribute__((noinline)) void name##_##T(struct ctx *x, uint32_t nb) \
    { \
        const struct kind k = __VA_ARGS__; \
        tile_dot(x, nb, k, T); \
    }
#if defined(__AVX512F__)
#define TILES(name, ...) \
    TILE_FN(name, 4, __VA_ARGS__) TILE_FN(name, 8, __VA_ARGS__) TILE_FN(name, 12, __VA_ARGS__) TILE_FN(name, 16, __VA_ARGS__) \
    static tile_fn *const name[4] = { name##_4, name##_8, name##_12, name##_16 };
enum { TILE_STEP = 4 };
#else
#define TILES(name, ...) \
    TILE_FN(name, 2, __VA_ARGS__) TILE_FN(name, 4, __VA_ARGS__) \
    static tile_fn *const name[2] = { name##_2, name##_4 };
enum { TILE_STEP = 2 };
#endif

TILES(tile_g1_off4, { 1, 0, 4, 0, 0, 0 })
TILES(tile_g1_off5, { 1, 0, 5, 0, 0, 0 })
TILES(tile_g1_off8, { 1, 0, 8, 0, 0, 0 })
TILES(tile_g1_min4, { 1, 1, 4, 0, 0, 0 })
TILES(tile_g1_min5, { 1, 1, 5, 0, 0, 0 })
TILES(tile_g2_off3, { 2, 0, 3, 0, 0, 0 })
TILES(tile_g2_off6z, { 2, 0, 6, 1, 0, 0 })
TILES(tile_g2_min2, { 2, 1, 2, 0, 0, 0 })

static tile_fn *const *tiles_of(const struct kind k)
{
    if (k.groups == 2) return k.mins ? tile_g2_min2 : k.zigzag ? tile_g2_off6z : tile_g2_off3;
    if (k.mins) return k.bits == 4 ? tile_g1_min4 : tile_g1_min5;
    return k.bits == 4 ? tile_g1_off4 : k.bits == 5 ? tile_g1_off5 : tile_g1_off8;
}

#endif
