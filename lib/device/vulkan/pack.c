/* device/vulkan/pack: see pack.h.  Sources lie at any address and are read a byte
 * at a time; what is written is written once, in ascending order within a plane.
 * Start-up on a GPU takes as long as this does: loops are such that they become vectors. */
#include "device/vulkan/pack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "device/vulkan/vk.h"

enum { BLOCK = 32, SUPER = 256, GROUPS = SUPER / BLOCK };

static uint32_t align16(uint32_t n)
{
    return (n + 15) & ~15u;
}

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

g4_dtype g4_vk_pack_type(g4_dtype t)
{
    switch (t) {
    case G4_F32: case G4_F16: case G4_BF16:
    case G4_Q4_0: case G4_Q4_1: case G4_Q5_0: case G4_Q5_1: case G4_Q8_0:
    case G4_Q4_K: case G4_Q5_K: case G4_Q6_K: case G4_IQ4_NL: case G4_IQ4_XS: case G4_MXFP4: return t;
    case G4_TQ1_0: case G4_TQ2_0: case G4_Q1_0: case G4_Q2_0: return G4_Q4_0;
    case G4_Q3_K: return G4_Q6_K;
    case G4_F64: return G4_F32;
    default: return G4_Q8_0;
    }
}

/* Bytes a block of 32 of each plane; the sum may be a fraction for super-blocks. */
struct planes {
    uint32_t low, high, scale; /* scale: bytes a block, or a super-block when `super` */
    bool super;
};

static struct planes planes_of(g4_dtype t)
{
    switch (t) {
    case G4_Q4_1: return (struct planes){ 16, 0, 4, false };
    case G4_Q5_0: return (struct planes){ 16, 4, 2, false };
    case G4_Q5_1: return (struct planes){ 16, 4, 4, false };
    case G4_Q8_0: return (struct planes){ 32, 0, 2, false };
    case G4_Q4_K: return (struct planes){ 16, 0, 16, true };
    case G4_Q5_K: return (struct planes){ 16, 4, 16, true };
    case G4_Q6_K: return (struct planes){ 16, 8, 18, true };
    case G4_IQ4_XS: return (struct planes){ 16, 0, 8, true };
    case G4_MXFP4: return (struct planes){ 16, 0, 1, false };
    default: return (struct planes){ 16, 0, 2, false }; /* Q4_0, IQ4_NL */
    }
}

static size_t scale_at(const struct planes *p, uint32_t nb)
{
    return (size_t)nb * (p->low + p->high);
}

size_t g4_vk_pack_row_bytes(g4_dtype t, uint32_t cols)
{
    const g4_dtype own = g4_vk_pack_type(t);
    const uint32_t nb = cols / BLOCK;

    if (own == G4_F32) return align16(4 * cols);
    if (own == G4_F16 || own == G4_BF16) return align16(2 * cols);
    const struct planes p = planes_of(own);
    return align16((uint32_t)scale_at(&p, nb) + (p.super ? nb / GROUPS : nb) * p.scale);
}

/* ---- writing ---------------------------------------------------------------- */

/* 32 codes of 4 + high_bits bits into block b of the low and high planes; the high bits of four codes at once. */
static void put_codes(uint8_t *row, uint32_t nb, uint32_t b, const uint8_t *q, int high_bits)
{
    uint8_t *low = row + 16 * (size_t)b, *high = row + 16 * (size_t)nb + 4 * (size_t)high_bits * b;
    uint32_t w[8], to[2] = { 0, 0 };

    for (int j = 0; j < 16; j++) low[j] = (uint8_t)((q[j] & 15) | q[16 + j] << 4);
    if (!high_bits) return;
    memcpy(w, q, sizeof w);
    for (int i = 0; i < 4; i++) {
        if (high_bits == 1) {
            to[0] |= (w[i] >> 4 & 0x01010101u) << i | (w[4 + i] >> 4 & 0x01010101u) << (4 + i);
        } else {
            to[0] |= (w[i] >> 4 & 0x03030303u) << 2 * i;
            to[1] |= (w[4 + i] >> 4 & 0x03030303u) << 2 * i;
        }
    }
    memcpy(high, to, 4 * (size_t)high_bits);
}

/* The eight bits of a byte as bit 4 of eight bytes. */
static uint64_t spread(uint8_t bits)
{
    const uint64_t each = bits * 0x0101010101010101u & 0x8040201008040201u; /* bit i in byte i */

    return (each + 0x7f7f7f7f7f7f7f7fu) >> 3 & 0x1010101010101010u;
}

static void nibbles(const uint8_t *qs, uint8_t *q)
{
    for (int j = 0; j < 16; j++) {
        q[j] = qs[j] & 15;
        q[16 + j] = qs[j] >> 4;
    }
}

/* Types of 32-value blocks: head bytes of scales, then [4 of fifth bits], then quants. */
static void pack_blocks(g4_dtype t, const uint8_t *src, uint32_t nb, uint8_t *row)
{
    const struct planes p = planes_of(t);
    const uint32_t bytes = g4_dtype_get(t)->bytes;
    uint8_t *scale = row + scale_at(&p, nb), q[BLOCK];

    for (uint32_t b = 0; b < nb; b++, src += bytes) {
        memcpy(scale + (size_t)b * p.scale, src, p.scale);
        if (t == G4_Q8_0) {
            memcpy(row + 32 * (size_t)b, src + 2, 32);
            continue;
        }
        nibbles(src + p.scale + p.high, q);
        for (int j = 0; p.high && j < BLOCK / 8; j++) {
            uint64_t v;
            memcpy(&v, q + 8 * j, sizeof v);
            v |= spread(src[p.scale + j]);
            memcpy(q + 8 * j, &v, sizeof v);
        }
        put_codes(row, nb, b, q, p.high / 4);
    }
}

/* Q4_K and Q5_K: group g of 32 is the low or high nibbles of 32 bytes, bit g of qh its fifth bit. */
static void pack_q45k(g4_dtype t, const uint8_t *src, uint32_t nb, uint8_t *row)
{
    const struct planes p = planes_of(t);
    uint8_t *scale = row + scale_at(&p, nb), q[BLOCK];

    for (uint32_t s = 0; s < nb / GROUPS; s++, src += g4_dtype_get(t)->bytes) {
        const uint8_t *qh = t == G4_Q5_K ? src + 16 : NULL, *qs = src + (qh ? 48 : 16);
        memcpy(scale + 16 * (size_t)s, src, 16);
        for (uint32_t g = 0; g < GROUPS; g++) {
            const int shift = 4 * (g % 2);
            for (uint32_t j = 0; j < BLOCK; j++) q[j] = (uint8_t)(qs[g / 2 * 32 + j] >> shift & 15);
            for (uint32_t j = 0; qh && j < BLOCK; j++) q[j] |= (uint8_t)((qh[j] >> g & 1) << 4);
            put_codes(row, nb, s * GROUPS + g, q, qh ? 1 : 0);
        }
    }
}

static void put_q6k_scales(uint8_t *row, uint32_t nb, uint32_t s, const int8_t scales[16], const uint8_t *d)
{
    uint8_t *at = row + 24 * (size_t)nb;

    memcpy(at + 16 * (size_t)s, scales, 16);
    memcpy(at + 16 * (size_t)(nb / GROUPS) + 2 * (size_t)s, d, 2);
}

static void pack_q6k(const uint8_t *src, uint32_t nb, uint8_t *row)
{
    uint8_t q[BLOCK];

    for (uint32_t s = 0; s < nb / GROUPS; s++, src += 210) {
        put_q6k_scales(row, nb, s, (const int8_t *)src + 192, src + 208);
        for (uint32_t g = 0; g < GROUPS; g++) {
            const uint32_t half = g / 4, j = g % 4;
            const uint8_t *low = src + half * 64 + (j & 1) * 32, *high = src + 128 + half * 32;
            const int shift = j < 2 ? 0 : 4, more = 2 * (int)j;
            for (uint32_t i = 0; i < BLOCK; i++) q[i] = (uint8_t)((low[i] >> shift & 15) | (high[i] >> more & 3) << 4);
            put_codes(row, nb, s * GROUPS + g, q, 2);
        }
    }
}

static void pack_iq4xs(const uint8_t *src, uint32_t nb, uint8_t *row)
{
    uint8_t q[BLOCK];

    for (uint32_t s = 0; s < nb / GROUPS; s++, src += 136) {
        memcpy(row + 16 * (size_t)nb + 8 * (size_t)s, src, 8);
        for (uint32_t g = 0; g < GROUPS; g++) {
            nibbles(src + 8 + 16 * g, q);
            put_codes(row, nb, s * GROUPS + g, q, 0);
        }
    }
}

/* ---- encoding anew ------------------------------------------------------------ */

/* As Q6_K: scale s - 32 of 16 values becomes an i8 scale, q - 4 becomes q + 28 - 32. */
static void pack_q3k(const uint8_t *src, uint32_t nb, uint8_t *row)
{
    uint8_t q[BLOCK];
    int8_t scales[16];

    for (uint32_t s = 0; s < nb / GROUPS; s++, src += 110) {
        const uint8_t *sc = src + 96;
        for (int k = 0; k < 16; k++) {
            const int lo = k < 8 ? sc[k] & 15 : sc[k - 8] >> 4, hi = sc[8 + k % 4] >> 2 * (k / 4) & 3;
            scales[k] = (int8_t)((lo | hi << 4) - 32);
        }
        put_q6k_scales(row, nb, s, scales, src + 108);
        for (uint32_t g = 0; g < GROUPS; g++) {
            const uint8_t *low = src + 32 + g / 4 * 32;
            const int shift = 2 * (int)(g % 4);
            for (uint32_t i = 0; i < BLOCK; i++) q[i] = (uint8_t)((low[i] >> shift & 3) + 28 + 4 * (src[i] >> g & 1));
            put_codes(row, nb, s * GROUPS + g, q, 2);
        }
    }
}

/* Where the one scale of a type of few levels stands in its block. */
static uint32_t level_scale(g4_dtype t)
{
    return t == G4_TQ1_0 ? 52 : t == G4_TQ2_0 ? 64 : 0;
}

/* Types whose values are -1, 0, 1 or 2 times the block's scale, as Q4_0. */
static void pack_levels(g4_dtype t, const uint8_t *src, uint32_t nb, uint8_t *row, const float *x)
{
    const g4_dtype_info *info = g4_dtype_get(t);
    uint8_t q[BLOCK];

    for (uint32_t b = 0; b < nb; b++, x += BLOCK) {
        const uint8_t *d = src + (size_t)b * BLOCK / info->block * info->bytes + level_scale(t);
        const float scale = g4_f16_to_f32(u16(d));
        memcpy(row + 16 * (size_t)nb + 2 * (size_t)b, d, 2);
        for (int j = 0; j < BLOCK; j++) q[j] = (uint8_t)(8 + (scale != 0 && isfinite(scale) ? (int)lrintf(x[j] / scale) : 0));
        put_codes(row, nb, b, q, 0);
    }
}

static void pack_q8(uint32_t nb, uint8_t *row, const float *x)
{
    for (uint32_t b = 0; b < nb; b++, x += BLOCK) {
        float most = 0;
        for (int j = 0; j < BLOCK; j++) most = fmaxf(most, fabsf(x[j]));
        const uint16_t d = g4_f32_to_f16(fminf(most / 127, 65504));
        const float scale = g4_f16_to_f32(d), inv = scale > 0 ? 1 / scale : 0;
        const uint8_t at[2] = { (uint8_t)d, (uint8_t)(d >> 8) };
        memcpy(row + 32 * (size_t)nb + 2 * (size_t)b, at, 2);
        for (int j = 0; j < BLOCK; j++) {
            const float q = rintf(x[j] * inv);
            row[32 * (size_t)b + j] = (uint8_t)(int8_t)(q > 127 ? 127 : q >= -127 ? q : -127);
        }
    }
}

/* ---- rows --------------------------------------------------------------------- */

static void pack_row(g4_dtype t, const uint8_t *src, uint32_t cols, uint8_t *row, float *tmp)
{
    const uint32_t nb = cols / BLOCK;

    switch (t) {
    case G4_F32: memcpy(row, src, 4 * (size_t)cols); return;
    case G4_F16: case G4_BF16: memcpy(row, src, 2 * (size_t)cols); return;
    case G4_Q4_0: case G4_Q4_1: case G4_Q5_0: case G4_Q5_1: case G4_Q8_0: case G4_IQ4_NL: case G4_MXFP4:
        pack_blocks(t, src, nb, row);
        return;
    case G4_Q4_K: case G4_Q5_K: pack_q45k(t, src, nb, row); return;
    case G4_Q6_K: pack_q6k(src, nb, row); return;
    case G4_Q3_K: pack_q3k(src, nb, row); return;
    case G4_IQ4_XS: pack_iq4xs(src, nb, row); return;
    case G4_F64: g4_dtype_get(t)->decode(src, (float *)(void *)row, cols); return;
    default:
        g4_dtype_get(t)->decode(src, tmp, cols);
        if (g4_vk_pack_type(t) == G4_Q4_0) pack_levels(t, src, nb, row, tmp);
        else pack_q8(nb, row, tmp);
    }
}

void g4_vk_pack_rows(const g4_weight *w, const uint8_t *src, uint32_t n, uint8_t *dst, uint32_t row_bytes)
{
    float *tmp = g4_vk_pack_type(w->type) != w->type ? g4_alloc(w->cols * sizeof *tmp) : NULL;

    memset(dst, 0, (size_t)n * row_bytes);
    for (uint32_t i = 0; i < n; i++) pack_row(w->type, src + i * w->row_bytes, w->cols, dst + (size_t)i * row_bytes, tmp);
    free(tmp);
}

bool g4_vk_pack_for(const struct g4_vk *vk, const g4_weight *w, struct g4_vk_pack *out)
{
    const g4_dtype_info *t = g4_dtype_get(w->type);

    if (!t || !t->decode) return false;
    *out = (struct g4_vk_pack){ g4_vk_pack_type(w->type), (uint32_t)g4_vk_pack_row_bytes(w->type, w->cols), g4_vk_pack_rows };
    return true;
}
