/* device/cpu/vmath: functions of vectors for the templates, on any simd header.
 * Lanes do not meet but in v_sum and v_most, which fold halves in a fixed order.
 * Polynomials were fitted for this file (Chebyshev nodes, f64). */
#ifndef G4_DEVICE_CPU_VMATH_H
#define G4_DEVICE_CPU_VMATH_H

#include <math.h>

INLINE float v_sum(vf x)
{
    float s[W];
    memcpy(s, &x, sizeof s);
#pragma GCC unroll 4
    for (int half = W / 2; half; half /= 2)
        for (int i = 0; i < half; i++) s[i] += s[i + half];
    return s[0];
}

INLINE float v_most(vf x)
{
    float s[W];
    memcpy(s, &x, sizeof s);
    for (int half = W / 2; half; half /= 2)
        for (int i = 0; i < half; i++) s[i] = s[i] > s[i + half] ? s[i] : s[i + half];
    return s[0];
}

INLINE vf v_abs(vf x) { return (vf)((vi)x & v_seti(0x7fffffff)); }
INLINE vf v_pick(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); } /* mask ? a : b */

/* e^x within 1 ulp; 0 below -104, inf above 88.73; exact at 0.  x = n ln 2 + r. */
INLINE vf v_exp(vf x)
{
    x = v_min(v_set1(89.0f), v_max(v_set1(-105.0f), x));
    const vf n = v_rint(x * v_set1(0x1.715476p+0f));
    vf r = v_fma(n, v_set1(-0x1.62e430p-1f), x);
    r = v_fma(n, v_set1(0x1.05c610p-29f), r);
    vf p = v_set1(0x1.a157b2p-13f);
    p = v_fma(p, r, v_set1(0x1.6d4926p-10f));
    p = v_fma(p, r, v_set1(0x1.1110c4p-7f));
    p = v_fma(p, r, v_set1(0x1.5554e4p-5f));
    p = v_fma(p, r, v_set1(0x1.555556p-3f));
    p = v_fma(p, r, v_set1(0.5f));
    p = v_fma(p * r, r, r) + v_set1(1.0f);
    return v_scalef(p, n);
}

/* tanh within 2 ulp: an odd polynomial near 0, else by e^(-2|x|) */
INLINE vf v_tanh(vf x)
{
    const vf a = v_abs(x), z = x * x;
    vf p = v_set1(-0.0060622f);
    p = v_fma(p, z, v_set1(0.02097413f));
    p = v_fma(p, z, v_set1(-0.05384626f));
    p = v_fma(p, z, v_set1(0.13332741f));
    p = v_fma(p, z, v_set1(-0.33333329f));
    const vf near0 = v_fma(p * z, x, x);
    const vf e = v_exp(a * v_set1(-2.0f));
    const vf far = (v_set1(1.0f) - e) / (v_set1(1.0f) + e);
    const vf sign = (vf)((vi)x & v_seti((int32_t)0x80000000u));
    return v_pick(a < v_set1(0.625f), near0, (vf)((vi)far | (vi)sign));
}

/* 0.5 x (1 + tanh(u)) = x / (1 + e^(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3) */
INLINE vf v_gelu(vf x)
{
    const vf u = x * v_fma(x * x, v_set1(0.044715f * 1.5957691216057308f), v_set1(1.5957691216057308f));
    return x / (v_set1(1.0f) + v_exp(-u));
}

INLINE vf v_softcap(vf x, float cap)
{
    return v_set1(cap) * v_tanh(x / v_set1(cap));
}

/* sin and cos for |x| up to about 10^6, absolute error below 2^-23 */
INLINE void v_sincos(vf x, vf *sin, vf *cos)
{
    const vf k = v_rint(x * v_set1(0.63661977236758134f));
    vf r = v_fma(k, v_set1(-0x1.921fb6p+0f), x);
    r = v_fma(k, v_set1(0x1.777a5cp-25f), r);
    const vf z = r * r;
    vf s = v_fma(v_set1(-0.00019578f), z, v_set1(0.0083327f));
    s = v_fma(s, z, v_set1(-0.16666664f));
    s = v_fma(s * z, r, r);
    vf c = v_fma(v_set1(2.45373919e-05f), z, v_set1(-1.38882519e-03f));
    c = v_fma(c, z, v_set1(4.16666644e-02f));
    c = v_fma(c * z, z, v_fma(z, v_set1(-0.5f), v_set1(1.0f)));
    const vi q = v_toint(k), odd = -(q & 1);
    const vi flip_s = (q & 2) << 30, flip_c = ((q + 1) & 2) << 30;
    *sin = (vf)((vi)v_pick(odd, c, s) ^ flip_s);
    *cos = (vf)((vi)v_pick(odd, s, c) ^ flip_c);
}

#endif
