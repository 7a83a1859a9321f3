/* base/quantize_32: the types with blocks of 32 (private to base/quantize; the
 * layouts stand at their decoders in dtype.c).  Eight blocks at a time, one a
 * lane. */
#ifndef G4_BASE_QUANTIZE_32_H
#define G4_BASE_QUANTIZE_32_H

#include "base/quantize_lanes.h"

static inline void put_half(uint8_t *y, float v)
{
    const uint16_t h = g4_f32_to_f16(v);
    y[0] = (uint8_t)h;
    y[1] = (uint8_t)(h >> 8);
}

/* 32 codes of four bits: value j of the first half low, of the second high. */
static inline void put_nibbles(uint8_t *y, const uint8_t *c)
{
    for (int j = 0; j < 16; j++) y[j] = (uint8_t)((c[j] & 15) | (c[j + 16] & 15) << 4);
}

static inline void put_fifths(uint8_t *y, const uint8_t *c)
{
    for (int b = 0; b < 4; b++) {
        unsigned bits = 0;
        for (int j = 0; j < 8; j++) bits |= (unsigned)(c[8 * b + j] >> 4 & 1) << j;
        y[b] = (uint8_t)bits;
    }
}

/* What eight blocks become, whatever the type. */
struct blocks {
    vf d, m; /* m: of Q4_1 and Q5_1 */
    vf code[32];
};

/* w = im * sqrt(mean square of the row + x^2), the weights of the fits with importance. */
static inline void weigh(const vf *x, const float *im, int n, size_t stride, int n_lane, float mean, vf *w)
{
    load_lanes(w, im, stride, n, n_lane);
    for (int j = 0; j < n; j++) w[j] *= root(all(mean) + x[j] * x[j]);
}

static float mean_square(const float *x, size_t n)
{
    float s = 0;
    for (size_t i = 0; i < n; i++) s += x[i] * x[i];
    return s / (float)n;
}

static inline void fit_q8_0(const vf *x, const vf *w, struct blocks *b)
{
    vf top = all(0);
    for (int j = 0; j < 32; j++) top = most(magnitude(x[j]), top);
    b->d = top / all(127);
    const vf inv = reciprocal(b->d), sign = (vf)(vi){ INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN };
    for (int j = 0; j < 32; j++) { /* halves go away from zero: 0.5 less an ulp is what the sum rounds right with */
        const vf v = x[j] * inv;
        b->code[j] = truncated(v + (vf)(((vi)v & (vi)sign) | (vi)all(0x1.fffffep-2f)));
    }
}

/* Q4_0 (N = 8) and Q5_0 (N = 16); codes are stored plus N. */
static inline void fit_q45_0(const vf *x, const vf *w, float N, struct blocks *b)
{
    if (w) {
        const struct symmetric f = fit_symmetric(x, w, 32, N);
        b->d = f.scale;
        for (int j = 0; j < 32; j++) b->code[j] = symmetric_code(&f, x[j], N);
        return;
    }
    b->d = extreme(x, 32) / all(-N);
    const vf inv = reciprocal(b->d);
    for (int j = 0; j < 32; j++) b->code[j] = least(truncated(x[j] * inv + all(N + 0.5f)), all(2 * N - 1));
}

/* Q4_1 (N = 15) and Q5_1 (N = 31). */
static inline void fit_q45_1(const vf *x, const vf *w, float N, struct blocks *b)
{
    if (w) {
        const struct asymmetric f = fit_asymmetric(x, w, 32, N, -0.9f, 0.05f, 36, 0);
        b->d = f.scale;
        b->m = f.min;
        for (int j = 0; j < 32; j++) b->code[j] = whole(f.inv * (x[j] - f.from), 0, N);
        return;
    }
    vf min = x[0], max = x[0];
    for (int j = 1; j < 32; j++) {
        min = least(x[j], min);
        max = most(x[j], max);
    }
    b->d = (max - min) / all(N);
    b->m = min;
    const vf inv = reciprocal(b->d);
    for (int j = 0; j < 32; j++) b->code[j] = least(truncated((x[j] - min) * inv + all(0.5f)), all(N));
}

static inline void fit_blocks(g4_dtype type, const vf *x, const vf *w, struct blocks *b)
{
    switch (type) {
    case G4_Q8_0: fit_q8_0(x, w, b); break;
    case G4_Q4_0: fit_q45_0(x, w, 8, b); break;
    case G4_Q5_0: fit_q45_0(x, w, 16, b); break;
    case G4_Q4_1: fit_q45_1(x, w, 15, b); break;
    default: fit_q45_1(x, w, 31, b); break; /* Q5_1 */
    }
}

/* The first n of the eight, in the layout of the type. */
static inline void put_blocks(g4_dtype type, const struct blocks *b, int n, uint8_t *y)
{
    const bool min = type == G4_Q4_1 || type == G4_Q5_1, five = type == G4_Q5_0 || type == G4_Q5_1;
    uint8_t c[32 * LANES];
    store_codes(b->code, 32, c);
    for (int l = 0; l < n; l++) {
        put_half(y, b->d[l]);
        y += 2;
        if (min) {
            put_half(y, b->m[l]);
            y += 2;
        }
        if (type == G4_Q8_0) {
            memcpy(y, c + 32 * l, 32);
            y += 32;
            continue;
        }
        if (five) {
            put_fifths(y, c + 32 * l);
            y += 4;
        }
        put_nibbles(y, c + 32 * l);
        y += 16;
    }
}

static inline void row_32(g4_dtype type, const float *x, const float *im, size_t n, uint8_t *y)
{
    const bool weighted = im && type != G4_Q8_0;
    const float mean = weighted ? mean_square(x, n) : 0;
    const size_t bytes = g4_dtype_get(type)->bytes;
    for (size_t i = 0; i < n / 32; i += LANES) {
        const int n_lane = n / 32 - i < LANES ? (int)(n / 32 - i) : LANES;
        vf v[32], w[32];
        struct blocks b = {0};
        load_lanes(v, x + 32 * i, 32, 32, n_lane);
        if (weighted) weigh(v, im + 32 * i, 32, 32, n_lane, mean, w);
        fit_blocks(type, v, weighted ? w : NULL, &b);
        put_blocks(type, &b, n_lane, y + i * bytes);
    }
}

static void row_q8_0(const float *x, const float *im, size_t n, uint8_t *y) { row_32(G4_Q8_0, x, im, n, y); }
static void row_q4_0(const float *x, const float *im, size_t n, uint8_t *y) { row_32(G4_Q4_0, x, im, n, y); }
static void row_q4_1(const float *x, const float *im, size_t n, uint8_t *y) { row_32(G4_Q4_1, x, im, n, y); }
static void row_q5_0(const float *x, const float *im, size_t n, uint8_t *y) { row_32(G4_Q5_0, x, im, n, y); }
static void row_q5_1(const float *x, const float *im, size_t n, uint8_t *y) { row_32(G4_Q5_1, x, im, n, y); }

/* ---- Q4_0 by search ------------------------------------------------------------- */

/* Keeps scale d (rounded to 16 bits) where it brings less error than what is there. */
static inline void try_scale(const vf *x, const vf *w, vf d, vf *best, vf *err)
{
    const vf rounded = half(d), inv = reciprocal(rounded);
    vf e = all(0);
    for (int j = 0; j < 32; j++) {
        const vf r = x[j] - rounded * whole(x[j] * inv, -8, 7);
        e += w[j] * (r * r);
    }
    const vi wins = less(e, *err);
    *best = pick(wins, rounded, *best);
    *err = pick(wins, e, *err);
}

/* One least-squares refit of d. */
static inline vf refit(const vf *x, const vf *w, vf d)
{
    const vf inv = reciprocal(d);
    vf xl = all(0), l2 = all(0);
    for (int j = 0; j < 32; j++) {
        const vf l = whole(x[j] * inv, -8, 7), wl = w[j] * l;
        xl += wl * x[j];
        l2 += wl * l;
    }
    return pick(less(all(0), l2), xl / l2, d);
}

/* The grids on which the extreme has the code -8, +-7 .. +-1, the scan of the
 * weighted fit, and the plain scale. */
static inline vf search_scale(const vf *x, const vf *w)
{
    const vf m = extreme(x, 32);
    vf best = half(m / all(-8)), err = all(INFINITY);
    try_scale(x, w, m / all(-8), &best, &err);
    for (int k = -8; k < 8; k++)
        if (k) try_scale(x, w, refit(x, w, m / all((float)k)), &best, &err);
    try_scale(x, w, fit_symmetric(x, w, 32, 8).scale, &best, &err);
    return best;
}

static size_t row_q4_0_search(const float *x, const float *im, size_t n, uint8_t *y)
{
    const float mean = im ? mean_square(x, n) : 0;
    size_t on_grid = 0;
    for (size_t i = 0; i < n / 32; i += LANES) {
        const int n_lane = n / 32 - i < LANES ? (int)(n / 32 - i) : LANES;
        vf v[32], w[32], worst = all(0);
        struct blocks b = {0};
        load_lanes(v, x + 32 * i, 32, 32, n_lane);
        if (im) weigh(v, im + 32 * i, 32, 32, n_lane, mean, w);
        else
            for (int j = 0; j < 32; j++) w[j] = all(1);
        b.d = search_scale(v, w);
        const vf inv = reciprocal(b.d);
        for (int j = 0; j < 32; j++) {
            const vf l = whole(v[j] * inv, -8, 7);
            worst = most(magnitude(v[j] - b.d * l), worst);
            b.code[j] = l + all(8);
        }
        const vi off = less(magnitude(b.d) * all(0x1p-5f), worst);
        for (int l = 0; l < n_lane; l++) on_grid += off[l] == 0;
        put_blocks(G4_Q4_0, &b, n_lane, y + i * 18);
    }
    return on_grid;
}

#endif
