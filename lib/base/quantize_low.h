/* base/quantize_low: Q2_K, Q3_K and the two types with uneven levels (private to
 * base/quantize; the layouts stand at their decoders in dtype.c). */
#ifndef G4_BASE_QUANTIZE_LOW_H
#define G4_BASE_QUANTIZE_LOW_H

#include "base/quantize_k.h"

/* Two bits of value i of a block of 256. */
static inline void put_two_bits(uint8_t *qs, int i, unsigned v)
{
    qs[i / 128 * 32 + i % 32] |= (uint8_t)(v << 2 * (i % 128 / 32));
}

/* ---- Q2_K --------------------------------------------------------------------- */

static void block_q2_k(const float *x, const float *im, uint8_t *y)
{
    const float mean = im ? mean_square(x, 256) : 0;
    vf v[2][16], w[16], code[16];
    struct asymmetric f[2];
    struct two_factors two;
    float scale[16], min[16], sw[16];
    uint8_t c[256];
    for (int h = 0; h < 2; h++) {
        vf sum = all(0);
        load_lanes(v[h], x + 128 * h, 16, 16, LANES);
        if (im) weigh(v[h], im + 128 * h, 16, 16, LANES, mean, w);
        else
            for (int j = 0; j < 16; j++) w[j] = magnitude(v[h][j]);
        for (int j = 0; j < 16; j++) sum += w[j];
        f[h] = im ? fit_asymmetric(v[h], w, 16, 3, -0.9f, 0.05f, 36, 0) : fit_asymmetric(v[h], w, 16, 3, -0.5f, 0.1f, 15, 1);
        for (int l = 0; l < LANES; l++) {
            scale[8 * h + l] = f[h].scale[l];
            min[8 * h + l] = -f[h].min[l];
            sw[8 * h + l] = sum[l];
        }
    }
    round_factors(scale, min, im ? sw : NULL, 16, 15, &two);
    memset(y, 0, 84);
    for (int h = 0; h < 2; h++) {
        recode_asymmetric(v[h], 16, 3, &f[h], &two, 8 * h, code);
        store_codes(code, 16, c + 128 * h);
    }
    for (int g = 0; g < 16; g++) y[g] = (uint8_t)(two.scale[g] | two.min[g] << 4);
    for (int i = 0; i < 256; i++) put_two_bits(y + 16, i, c[i]);
    put_half(y + 80, two.d);
    put_half(y + 82, two.dmin);
}

static void row_q2_k(const float *x, const float *im, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n; i += 256, y += 84) block_q2_k(x + i, im ? im + i : NULL, y);
}

/* ---- Q3_K --------------------------------------------------------------------- */

/* Codes around the extreme's grid, then single ones are moved while that gains; weights x^2. */
static inline vf fit_q3(const vf *x, vf *code)
{
    const vf m = extreme(x, 16);
    const vi zero = less(magnitude(m), all(EPS));
    const vf inv = all(-4) / m;
    vf l[16], xl = all(0), l2 = all(0);
    for (int j = 0; j < 16; j++) {
        const vf w = x[j] * x[j];
        l[j] = whole(inv * x[j], -4, 3);
        xl += w * x[j] * l[j];
        l2 += w * l[j] * l[j];
    }
    for (int pass = 0; pass < 5; pass++)
        for (int j = 0; j < 16; j++) {
            const vf w = x[j] * x[j], a = xl - w * x[j] * l[j], b = l2 - w * l[j] * l[j];
            const vf new = whole(x[j] * b / a, -4, 3), a2 = a + w * x[j] * new, b2 = b + w * new *new;
            const vi better = less(all(0), a) & ~equal(new, l[j]) & less(all(0), b2) & less(xl * xl * b2, a2 * a2 * l2);
            l[j] = pick(better, new, l[j]);
            xl = pick(better, a2, xl);
            l2 = pick(better, b2, l2);
        }
    for (int j = 0; j < 16; j++) code[j] = pick(zero, all(0), l[j] + all(4));
    return pick(~zero & less(all(0), l2), xl / l2, all(0));
}

/* Scales to six bits in 0..63 by the weighted scan; the factor. */
static float round_weighted(const float *scale, const float *sw, int *code)
{
    vf v[16], w[16];
    for (int g = 0; g < 16; g++) {
        v[g] = all(scale[g]);
        w[g] = all(sw[g]);
    }
    const struct symmetric f = fit_symmetric(v, w, 16, 32);
    for (int g = 0; g < 16; g++) code[g] = (int)symmetric_code(&f, v[g], 32)[0];
    return f.scale[0];
}

static void put_q3_k(const uint8_t *c, const int *rounded, float d, uint8_t *y)
{
    memset(y, 0, 110);
    for (int i = 0; i < 256; i++) {
        if (c[i] > 3) y[i % 32] |= (uint8_t)(1u << i / 32);
        put_two_bits(y + 32, i, c[i] & 3);
    }
    for (int k = 0; k < 16; k++) {
        y[96 + k % 8] |= (uint8_t)((rounded[k] & 15) << (k < 8 ? 0 : 4));
        y[96 + 8 + k % 4] |= (uint8_t)(rounded[k] >> 4 << 2 * (k / 4));
    }
    put_half(y + 108, d);
}

static void block_q3_k(const float *x, const float *im, uint8_t *y)
{
    const float mean = im ? 2 * mean_square(x, 256) : 0;
    vf v[2][16], w[16], code[2][16];
    float scale[16], sw[16];
    int rounded[16];
    uint8_t c[256];
    for (int h = 0; h < 2; h++) {
        vf s, sum = all(0);
        load_lanes(v[h], x + 128 * h, 16, 16, LANES);
        if (im) {
            weigh(v[h], im + 128 * h, 16, 16, LANES, mean, w);
            const struct symmetric f = fit_symmetric(v[h], w, 16, 4);
            for (int j = 0; j < 16; j++) {
                code[h][j] = symmetric_code(&f, v[h][j], 4);
                sum += w[j];
            }
            s = f.scale;
        } else {
            s = fit_q3(v[h], code[h]);
        }
        for (int l = 0; l < LANES; l++) {
            scale[8 * h + l] = s[l];
            sw[8 * h + l] = sum[l];
        }
    }
    float d;
    if (im) {
        d = round_weighted(scale, sw, rounded);
    } else {
        d = round_signed(scale, 16, 32, rounded);
        for (int g = 0; g < 16; g++) rounded[g] = d == 0 ? 0 : rounded[g] + 32;
    }
    for (int h = 0; h < 2; h++) {
        vf step;
        for (int l = 0; l < LANES; l++) step[l] = half_of(d) * (float)(rounded[8 * h + l] - 32);
        const vi none = equal(step, all(0));
        for (int j = 0; j < 16; j++) code[h][j] = pick(none, code[h][j], whole(v[h][j] / step, -4, 3) + all(4));
        store_codes(code[h], 16, c + 128 * h);
    }
    put_q3_k(c, rounded, d, y);
}

static void row_q3_k(const float *x, const float *im, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n; i += 256, y += 110) block_q3_k(x + i, im ? im + i : NULL, y);
}

/* ---- IQ4_NL, IQ4_XS ------------------------------------------------------------- */

static const float uneven[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

/* The nearest level, and which it is. */
static inline vf nearest_level(vf v, vf *index)
{
    vf level = all(uneven[0]), n = all(0);
#pragma GCC unroll 15
    for (int k = 0; k < 15; k++) {
        const vi above = ~less(v, all((uneven[k] + uneven[k + 1]) / 2));
        level += (vf)((vi)all(uneven[k + 1] - uneven[k]) & above);
        n += (vf)((vi)all(1) & above);
    }
    *index = n;
    return level;
}

/* The scale of each group of 32 that the weighted gain is largest for, of fifteen widths around the one
 * that gives the extreme the outermost level. */
static inline vf fit_uneven(const vf *x, const vf *w)
{
    const vf m = extreme(x, 32);
    const vi zero = less(magnitude(m), all(EPS));
    vf scale = all(0), best = all(0), index;
    for (int t = -8; t <= 7; t++) { /* -8: the width itself, first */
        const vf inv = t < -7 ? all(1) / (-m / all(uneven[0])) : all((float)t + uneven[0]) / m;
        vf xq = all(0), q2 = all(0);
        for (int j = 0; j < 32; j++) {
            const vf q = nearest_level(inv * x[j], &index), wq = w[j] * q;
            xq += wq * x[j];
            q2 += wq * q;
        }
        const vi wins = t < -7 ? ~(vi){0} : less(all(0), q2) & less(best * q2, xq * xq);
        const vf d = xq / q2;
        scale = pick(wins, d, scale);
        best = pick(wins, d * xq, best);
    }
    return pick(zero, all(0), scale);
}

static inline void uneven_codes(const vf *x, vf inv, uint8_t *c)
{
    vf code[32];
    for (int j = 0; j < 32; j++) nearest_level(inv * x[j], &code[j]);
    store_codes(code, 32, c);
}

static void row_iq4_nl(const float *x, const float *im, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n / 32; i += LANES, y += 18 * LANES) {
        const int n_lane = n / 32 - i < LANES ? (int)(n / 32 - i) : LANES;
        vf v[32], w[32], square = all(0);
        uint8_t c[32 * LANES];
        load_lanes(v, x + 32 * i, 32, 32, n_lane);
        for (int j = 0; j < 32; j++) square += v[j] * v[j];
        if (im) load_lanes(w, im + 32 * i, 32, 32, n_lane);
        for (int j = 0; j < 32; j++) w[j] = im ? w[j] * root(square * all(2.0f / 32) + v[j] * v[j]) : v[j] * v[j];
        const vf d = fit_uneven(v, w);
        uneven_codes(v, reciprocal(d), c);
        for (int l = 0; l < n_lane; l++) {
            put_half(y + 18 * l, d[l]);
            put_nibbles(y + 18 * l + 2, c + 32 * l);
        }
    }
}

static void block_iq4_xs(const float *x, const float *im, uint8_t *y)
{
    vf v[32], w[32], inv;
    float scale[8], most_abs = 0, at = 0;
    uint8_t c[256];
    load_lanes(v, x, 32, 32, LANES);
    if (im) weigh(v, im, 32, 32, LANES, 2 * mean_square(x, 256), w);
    else
        for (int j = 0; j < 32; j++) w[j] = v[j] * v[j];
    const vf fit = fit_uneven(v, w);
    for (int l = 0; l < LANES; l++) {
        scale[l] = fit[l];
        if (fabsf(scale[l]) > most_abs) {
            most_abs = fabsf(scale[l]);
            at = scale[l];
        }
    }
    const float d = -at / 32, id = fabsf(d) > 0x1p-126f ? 1 / d : 0;
    unsigned high = 0;
    memset(y, 0, 8);
    for (int l = 0; l < LANES; l++) {
        const int s = within(nearest(id * scale[l]), -32, 31), stored = s + 32;
        inv[l] = d * (float)s;
        y[4 + l / 2] |= (uint8_t)((stored & 15) << 4 * (l % 2));
        high |= (unsigned)(stored >> 4) << 2 * l;
    }
    uneven_codes(v, reciprocal(inv), c);
    put_half(y, d);
    y[2] = (uint8_t)high;
    y[3] = (uint8_t)(high >> 8);
    for (int l = 0; l < LANES; l++) put_nibbles(y + 8 + 16 * l, c + 32 * l);
}

static void row_iq4_xs(const float *x, const float *im, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n; i += 256, y += 136) block_iq4_xs(x + i, im ? im + i : NULL, y);
}

#endif
