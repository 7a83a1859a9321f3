/* base/quantize_k: the types with blocks of 256 in groups of 16 or 32 (private to
 * base/quantize; the layouts stand at their decoders in dtype.c).
 *
 * Each group is fitted on its own; the scales (and minima) of the block are then
 * rounded to few bits around one or two 16-bit factors, and the values recoded
 * with what a reader will compute from those. */
#ifndef G4_BASE_QUANTIZE_K_H
#define G4_BASE_QUANTIZE_K_H

#include "base/quantize_32.h"

static inline int nearest(float v)
{
    return (int)((v + 12582912.0f) - 12582912.0f);
}

static inline int within(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* v[n] >= 0 in 0..N times the factor that is returned: a scan of widths, then single codes are moved while
 * that gains.  n <= 16. */
static float fit_positive(const float *v, const float *w, int n, int N, uint8_t *code)
{
    float max = 0, inv, scale, least_err = 0, vl = 0, l2 = 0;
    for (int i = 0; i < n; i++) max = v[i] > max ? v[i] : max;
    memset(code, 0, (size_t)n);
    if (max < EPS) return 0;
    inv = (float)N / max;
    for (int t = -5; t <= 4; t++) { /* -5: the width itself, first */
        if (!t) continue;
        const float one = t < -4 ? inv : (0.1f * (float)t + (float)N) / max;
        float err = 0;
        scale = 1 / one;
        for (int i = 0; i < n; i++) {
            const float d = v[i] - scale * (float)within(nearest(one * v[i]), 0, N);
            err += w[i] * d * d;
        }
        if (t < -4 || err < least_err) {
            least_err = err;
            inv = one;
        }
    }
    for (int i = 0; i < n; i++) {
        const int l = within(nearest(inv * v[i]), 0, N);
        code[i] = (uint8_t)l;
        vl += w[i] * v[i] * (float)l;
        l2 += w[i] * (float)l * (float)l;
    }
    for (int pass = 0, changed = 1; pass < 5 && changed; pass++) {
        changed = 0;
        for (int i = 0; i < n; i++) {
            float a = vl - w[i] * v[i] * (float)code[i], b = l2 - w[i] * (float)code[i] * (float)code[i];
            if (!(a > 0 && b > 0)) continue;
            const float at = v[i] * b / a;
            const int l = at < (float)N ? within(nearest(at), 0, N) : N;
            if (l == code[i]) continue;
            a += w[i] * v[i] * (float)l;
            b += w[i] * (float)l * (float)l;
            if (a * a * l2 > vl * vl * b) {
                code[i] = (uint8_t)l;
                vl = a;
                l2 = b;
                changed = 1;
            }
        }
    }
    return l2 > 0 ? vl / l2 : 0;
}

/* Plain rounding to 0..N of non-negative scales, the largest becoming N. */
static float round_positive(const float *v, int n, int N, uint8_t *code)
{
    float max = 0;
    for (int i = 0; i < n; i++) max = v[i] > max ? v[i] : max;
    const float inv = max > 0 ? (float)N / max : 0;
    for (int i = 0; i < n; i++) code[i] = isfinite(inv) ? (uint8_t)within(nearest(inv * v[i]), 0, N) : 0;
    return max / (float)N;
}

static inline float half_of(float v)
{
    return g4_f16_to_f32(g4_f32_to_f16(v));
}

/* The block's two factors and its groups' codes: scales and minima of Q2_K, Q4_K, Q5_K. */
struct two_factors {
    float d, dmin;
    uint8_t scale[16], min[16];
};

static void round_factors(const float *scale, const float *min, const float *sw, int n, int N, struct two_factors *f)
{
    if (sw) {
        f->d = fit_positive(scale, sw, n, N, f->scale);
        f->dmin = fit_positive(min, sw, n, N, f->min);
    } else {
        f->d = round_positive(scale, n, N, f->scale);
        f->dmin = round_positive(min, n, N, f->min);
    }
}

/* Codes of eight groups read with the rounded factors; where a scale became 0, those of the fit. */
static inline void recode_asymmetric(const vf *x, int n, float N, const struct asymmetric *f, const struct two_factors *two, int first,
                                     vf *code)
{
    const float d = half_of(two->d), dmin = half_of(two->dmin);
    vf scale, min;
    for (int l = 0; l < LANES; l++) {
        scale[l] = d * (float)two->scale[first + l];
        min[l] = dmin * (float)two->min[first + l];
    }
    const vi none = equal(scale, all(0));
    for (int j = 0; j < n; j++) {
        const vf new = whole((x[j] + min) / scale, 0, N), old = whole(f->inv * (x[j] - f->from), 0, N);
        code[j] = pick(none, old, new);
    }
}

/* ---- Q4_K, Q5_K -------------------------------------------------------------------- */

/* Weights of eight groups of 32 and their sums. */
static inline void weigh_45(const vf *x, const float *im, float mean, vf *w, vf *sum)
{
    vf square = all(0);
    *sum = all(0);
    if (im) {
        weigh(x, im, 32, 32, LANES, mean, w);
    } else {
        for (int j = 0; j < 32; j++) square += x[j] * x[j];
        const vf average = root(square / all(32));
        for (int j = 0; j < 32; j++) w[j] = average + magnitude(x[j]);
    }
    for (int j = 0; j < 32; j++) *sum += w[j];
}

/* Six bits each in twelve bytes. */
static void put_six_bits(const struct two_factors *f, uint8_t *y)
{
    for (int k = 0; k < 4; k++) {
        y[k] = (uint8_t)(f->scale[k] | f->scale[k + 4] >> 4 << 6);
        y[k + 4] = (uint8_t)(f->min[k] | f->min[k + 4] >> 4 << 6);
        y[k + 8] = (uint8_t)((f->scale[k + 4] & 15) | (f->min[k + 4] & 15) << 4);
    }
}

static inline void block_45(const float *x, const float *im, bool five, uint8_t *y)
{
    const float N = five ? 31 : 15;
    vf v[32], w[32], sum;
    float scale[8], min[8], sw[8];
    uint8_t c[256];
    struct two_factors two;
    load_lanes(v, x, 32, 32, LANES);
    weigh_45(v, im, im ? 2 * mean_square(x, 256) : 0, w, &sum);
    const struct asymmetric f = im ? fit_asymmetric(v, w, 32, N, -0.9f, 0.05f, 36, 0)
                                : five ? fit_asymmetric(v, w, 32, N, -0.5f, 0.1f, 15, 0) : fit_asymmetric(v, w, 32, N, -1.0f, 0.1f, 20, 0);
    for (int l = 0; l < LANES; l++) {
        scale[l] = f.scale[l];
        min[l] = -f.min[l];
        sw[l] = sum[l];
    }
    round_factors(scale, min, im ? sw : NULL, 8, 63, &two);
    vf code[32];
    recode_asymmetric(v, 32, N, &f, &two, 0, code);
    store_codes(code, 32, c);
    put_half(y, two.d);
    put_half(y + 2, two.dmin);
    put_six_bits(&two, y + 4);
    uint8_t *qh = y + 16, *qs = five ? y + 48 : y + 16;
    if (five)
        for (int j = 0; j < 32; j++) {
            unsigned bits = 0;
            for (int g = 0; g < 8; g++) bits |= (unsigned)(c[32 * g + j] >> 4 & 1) << g;
            qh[j] = (uint8_t)bits;
        }
    for (int g = 0; g < 8; g += 2)
        for (int j = 0; j < 32; j++) qs[16 * g + j] = (uint8_t)((c[32 * g + j] & 15) | (c[32 * g + 32 + j] & 15) << 4);
}

static void row_q4_k(const float *x, const float *im, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n; i += 256, y += 144) block_45(x + i, im ? im + i : NULL, false, y);
}

static void row_q5_k(const float *x, const float *im, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n; i += 256, y += 176) block_45(x + i, im ? im + i : NULL, true, y);
}

/* ---- Q6_K -------------------------------------------------------------------------- */

/* Scales around the one of largest magnitude, which becomes -bound; the block's factor, 0: a block of zeros. */
static float round_signed(const float *scale, int n, int bound, int *code)
{
    float most_abs = 0, at = 0;
    for (int g = 0; g < n; g++)
        if (fabsf(scale[g]) > most_abs) {
            most_abs = fabsf(scale[g]);
            at = scale[g];
        }
    for (int g = 0; g < n; g++) code[g] = 0;
    if (most_abs < EPS) return 0;
    const float inv = (float)-bound / at;
    for (int g = 0; g < n; g++) code[g] = within(nearest(inv * scale[g]), -bound, bound - 1);
    return 1 / inv;
}

/* Codes of eight groups with their rounded scales; where a scale became 0, those of the fit. */
static inline void recode_symmetric(const vf *x, int n, float N, const struct symmetric *f, const float *scale, vf *code)
{
    vf d;
    for (int l = 0; l < LANES; l++) d[l] = scale[l];
    const vi none = equal(d, all(0));
    for (int j = 0; j < n; j++)
        code[j] = pick(none, symmetric_code(f, x[j], N), whole(x[j] / d, -N, N - 1) + all(N));
}

static void block_q6_k(const float *x, const float *im, uint8_t *y)
{
    vf v[2][16], w[16], code[16];
    struct symmetric f[2];
    float scale[16];
    int rounded[16];
    uint8_t c[256];
    for (int h = 0; h < 2; h++) {
        load_lanes(v[h], x + 128 * h, 16, 16, LANES);
        if (im) load_lanes(w, im + 128 * h, 16, 16, LANES);
        else
            for (int j = 0; j < 16; j++) w[j] = v[h][j] * v[h][j];
        f[h] = fit_symmetric(v[h], w, 16, 32);
        for (int l = 0; l < LANES; l++) scale[8 * h + l] = f[h].scale[l];
    }
    const float d = round_signed(scale, 16, 128, rounded);
    memset(y, 0, 210);
    if (d == 0) return;
    for (int h = 0; h < 2; h++) {
        for (int l = 0; l < LANES; l++) scale[8 * h + l] = half_of(d) * (float)rounded[8 * h + l];
        recode_symmetric(v[h], 16, 32, &f[h], scale + 8 * h, code);
        store_codes(code, 16, c + 128 * h);
    }
    for (int i = 0; i < 256; i++) {
        const int j = i % 128 / 32;
        y[i / 128 * 64 + (j & 1) * 32 + i % 32] |= (uint8_t)((c[i] & 15) << (j < 2 ? 0 : 4));
        y[128 + i / 128 * 32 + i % 32] |= (uint8_t)(c[i] >> 4 << 2 * j);
    }
    for (int g = 0; g < 16; g++) y[192 + g] = (uint8_t)(int8_t)rounded[g];
    put_half(y + 208, d);
}

static void row_q6_k(const float *x, const float *im, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n; i += 256, y += 210) block_q6_k(x + i, im ? im + i : NULL, y);
}

#endif
