/* base/quantize_lanes: eight groups of a row side by side, one a lane (private to
 * base/quantize).
 *
 * A fit adds up some sums over its group from left to right, in f32, and its
 * result must not depend on the processor.  So the groups lie across the lanes of
 * a vector and each lane adds its own group in order: x[j] holds value j of eight
 * groups.  Groups that are not there are zeros.  This file and those that include
 * it are compiled once for the base instruction set and once for AVX2, with the
 * same results. */
#ifndef G4_BASE_QUANTIZE_LANES_H
#define G4_BASE_QUANTIZE_LANES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/dtype.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum { LANES = 8, GROUP = 32 /* values of the longest group */ };

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));

/* Below this a group counts as zero. */
#define EPS 1e-15f

static inline vf all(float v)
{
    return (vf){ v, v, v, v, v, v, v, v };
}

/* Comparisons, least and most, conversions: in halves of 128 bits where the processor has no more, as the
 * compiler takes wider ones apart value by value.  Any comparison with NaN is false. */
#if !defined(__AVX2__)
typedef float hf __attribute__((vector_size(16)));
typedef int32_t hi __attribute__((vector_size(16)));
union halves {
    vf v;
    vi i;
    hf h[2];
    hi m[2];
};
#endif

static inline vi less(vf a, vf b)
{
#if defined(__AVX2__)
    return a < b;
#else
    const union halves x = { a }, y = { b };
    return (union halves){ .m = { x.h[0] < y.h[0], x.h[1] < y.h[1] } }.i;
#endif
}

static inline vi equal(vf a, vf b)
{
#if defined(__AVX2__)
    return a == b;
#else
    const union halves x = { a }, y = { b };
    return (union halves){ .m = { x.h[0] == y.h[0], x.h[1] == y.h[1] } }.i;
#endif
}

static inline vi to_int(vf v)
{
#if defined(__AVX2__)
    return __builtin_convertvector(v, vi);
#else
    const union halves x = { v };
    return (union halves){ .m = { __builtin_convertvector(x.h[0], hi), __builtin_convertvector(x.h[1], hi) } }.i;
#endif
}

static inline vf to_float(vi v)
{
#if defined(__AVX2__)
    return __builtin_convertvector(v, vf);
#else
    const union halves x = { .i = v };
    return (union halves){ .h = { __builtin_convertvector(x.m[0], hf), __builtin_convertvector(x.m[1], hf) } }.v;
#endif
}

static inline vf pick(vi mask, vf a, vf b)
{
    return (vf)(((vi)a & mask) | ((vi)b & ~mask));
}

/* As `a < b ? a : b`: b where one is NaN. */
static inline vf least(vf a, vf b)
{
#if defined(__AVX2__)
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return pick(less(a, b), a, b);
#endif
}

static inline vf most(vf a, vf b)
{
#if defined(__AVX2__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return pick(less(b, a), a, b);
#endif
}

static inline vf magnitude(vf v)
{
    return (vf)((vi)v & 0x7FFFFFFF);
}

/* 1 / v, 0 where v is 0 or too small to have a reciprocal. */
static inline vf reciprocal(vf v)
{
    return pick(less(all(0x1p-126f), magnitude(v)), all(1) / v, all(0));
}

static inline vf root(vf v)
{
#if defined(__AVX2__)
    return (vf)_mm256_sqrt_ps((__m256)v);
#else
    for (int l = 0; l < LANES; l++) v[l] = sqrtf(v[l]);
    return v;
#endif
}

/* To the nearest whole number, halves to even, within lo..hi (both whole, far below 2^22); hi for NaN. */
static inline vf whole(vf v, float lo, float hi)
{
    const vf magic = all(12582912.0f); /* 1.5 * 2^23: there the unit is one */
    return most(least((v + magic) - magic, all(hi)), all(lo));
}

/* Towards zero; |v| < 2^31. */
static inline vf truncated(vf v)
{
    return to_float(to_int(v));
}

/* As a 16-bit scale has it. */
static inline vf half(vf v)
{
#if defined(__F16C__)
    return (vf)_mm256_cvtph_ps(_mm256_cvtps_ph((__m256)v, 0));
#else
    for (int l = 0; l < LANES; l++) v[l] = g4_f16_to_f32(g4_f32_to_f16(v[l]));
    return v;
#endif
}

/* x[j] lane l = p[l * stride + j] for the first n_lane lanes, zero in the others. */
static inline void load_lanes(vf *x, const float *p, size_t stride, int n, int n_lane)
{
    if (n_lane == LANES) {
        for (int j = 0; j < n; j++)
            x[j] = (vf){ p[j], p[stride + j], p[2 * stride + j], p[3 * stride + j], p[4 * stride + j], p[5 * stride + j],
                         p[6 * stride + j], p[7 * stride + j] };
        return;
    }
    for (int j = 0; j < n; j++) {
        x[j] = all(0);
        for (int l = 0; l < n_lane; l++) x[j][l] = p[l * stride + j];
    }
}

/* The codes, a byte each, group by group: c[l * n + j]. */
static inline void store_codes(const vf *code, int n, uint8_t *c)
{
    for (int j = 0; j < n; j++) {
        const vi q = to_int(code[j]);
        for (int l = 0; l < LANES; l++) c[l * n + j] = (uint8_t)q[l];
    }
}

/* The value of largest magnitude, the first of equals. */
static inline vf extreme(const vf *x, int n)
{
    vf best = all(0), at = all(0);
    for (int j = 0; j < n; j++) {
        const vf a = magnitude(x[j]);
        const vi more = less(best, a);
        at = pick(more, x[j], at);
        best = pick(more, a, best);
    }
    return at;
}

/* ---- symmetric: x ~ scale * code, code -N..N-1 ------------------------------------ */

struct symmetric {
    vf scale; /* 0: the group is zero */
    vf inv;   /* code = whole(inv * x, -N, N - 1) */
};

/* The code as it is stored, plus N; 0 throughout a group of zeros. */
static inline vf symmetric_code(const struct symmetric *f, vf x, float N)
{
    return pick(equal(f->inv, all(0)), all(0), whole(f->inv * x, -N, N - 1) + all(N));
}

/* Of 19 grids around the one that gives the extreme the code -N: the one with the
 * largest weighted gain, its scale refitted by least squares. */
static inline struct symmetric fit_symmetric(const vf *x, const vf *w, int n, float N)
{
    static const float shift[19] = { 0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    const vf m = extreme(x, n);
    const vi zero = less(magnitude(m), all(EPS));
    struct symmetric f = { all(0), all(0) };
    vf best = all(0), wx[GROUP];
    for (int j = 0; j < n; j++) wx[j] = w[j] * x[j];
    for (int t = 0; t < 19; t++) {
        const vf inv = all(-(N + 0.1f * shift[t])) / m;
        vf xl = all(0), l2 = all(0);
        for (int j = 0; j < n; j++) {
            const vf l = whole(inv * x[j], -N, N - 1);
            xl += wx[j] * l;
            l2 += w[j] * l * l;
        }
        const vi some = less(all(0), l2);
        const vi wins = t ? some & less(best * l2, xl * xl) : ~(vi){0};
        const vf scale = pick(some, xl / l2, all(0));
        f.scale = pick(wins, scale, f.scale);
        f.inv = pick(wins, inv, f.inv);
        best = pick(wins, scale * xl, best);
    }
    f.scale = pick(zero, all(0), f.scale);
    f.inv = pick(zero, all(0), f.inv);
    return f;
}

/* ---- asymmetric: x ~ scale * code + min, code 0..N, min <= 0 ------------------------ */

struct asymmetric {
    vf scale, min;
    vf inv, from; /* code = whole(inv * (x - from), 0, N) */
};

/* The error of codes made with (inv, from) and read with (scale, min). */
static inline vf asymmetric_error(const vf *x, const vf *w, const vf *code, int n, vf scale, vf min, int absolute)
{
    vf err = all(0);
    for (int j = 0; j < n; j++) {
        const vf d = scale * code[j] + min - x[j];
        err += w[j] * (absolute ? magnitude(d) : d * d);
    }
    return err;
}

/* Tries widths (first + step t + N) / range and refits scale and minimum by least squares; an adopted
 * minimum changes the codes of later trials.  absolute: errors count plain, not squared. */
static inline struct asymmetric fit_asymmetric(const vf *x, const vf *w, int n, float N, float first, float step, int steps,
                                               int absolute)
{
    vf min = x[0], max = x[0], sw = w[0], sx = w[0] * x[0], code[GROUP];
    for (int j = 1; j < n; j++) {
        min = least(x[j], min);
        max = most(x[j], max);
        sw += w[j];
        sx += w[j] * x[j];
    }
    min = least(min, all(0));
    const vi flat = less(max - min, all(1e-30f)); /* zeros, and what no 16-bit scale can tell from them */
    const vf lowest = min;
    struct asymmetric f = { .min = min, .inv = all(N) / (max - min), .from = min };
    f.scale = all(1) / f.inv;
    for (int j = 0; j < n; j++) code[j] = whole(f.inv * (x[j] - min), 0, N);
    vf best = asymmetric_error(x, w, code, n, f.scale, f.min, absolute);
    for (int t = 0; t <= steps; t++) {
        const vf inv = all(first + step * (float)t + N) / (max - f.min);
        vf l1 = all(0), l2 = all(0), xl = all(0);
        for (int j = 0; j < n; j++) {
            const vf l = whole(inv * (x[j] - f.min), 0, N), wl = w[j] * l;
            code[j] = l;
            l1 += wl;
            l2 += wl * l;
            xl += wl * x[j];
        }
        const vf d = sw * l2 - l1 * l1;
        vf scale = (sw * xl - sx * l1) / d, b = (l2 * sx - l1 * xl) / d;
        const vi above = less(all(0), b);
        scale = pick(above, xl / l2, scale);
        b = pick(above, all(0), b);
        const vf err = asymmetric_error(x, w, code, n, scale, b, absolute);
        const vi better = less(all(0), d) & less(err, best);
        f.inv = pick(better, inv, f.inv);
        f.from = pick(better, f.min, f.from);
        f.scale = pick(better, scale, f.scale);
        f.min = pick(better, b, f.min);
        best = pick(better, err, best);
    }
    f.scale = pick(flat, all(0), f.scale);
    f.min = pick(flat, lowest, f.min);
    f.inv = pick(flat, all(0), f.inv);
    return f;
}

#endif
