/* common/trig: cosine and sine of any angle up to some 10^5, within 1e-7: the
 * built-in ones may be 2^-11 off, and far worse outside [-pi, pi]. */
#ifndef G4_COMMON_TRIG
#define G4_COMMON_TRIG

/* (cos x, sin x).  x = n pi/2 + r, |r| <= pi/4: pi/2 goes off in three parts whose
 * products with n are exact or nearly so; then polynomials of r (minimax). */
vec2 cos_sin(float x)
{
    const float n = roundEven(x * 0.636619772367581343);
    precise float r = fma(n, -1.5703125, x);
    r = fma(n, -4.837512969970703125e-4, r);
    r = fma(n, -7.54978995489188216e-8, r);
    const float z = r * r;
    const float s = fma(r * z, fma(z, fma(z, -1.9515295891e-4, 8.3321608736e-3), -1.6666654611e-1), r);
    const float c = fma(z * z, fma(z, fma(z, 2.443315711809948e-5, -1.388731625493765e-3), 4.166664568298827e-2), fma(z, -0.5, 1.0));
    const int q = int(n) & 3;
    const vec2 v = (q & 1) == 0 ? vec2(c, s) : vec2(s, c);
    return vec2((q == 1 || q == 2) ? -v.x : v.x, q >= 2 ? -v.y : v.y);
}

#endif
