/* common/math: functions whose built-in forms overflow or vary.  `precise`: what a compiler
 * contracts may differ between two builds of a shader, and a row's bits must not. */

/* tanh without the overflow of (e^2x - 1) / (e^2x + 1) */
float safe_tanh(float x)
{
    precise float t = exp(-2.0 * abs(x)), y = sign(x) * ((1.0 - t) / (1.0 + t));
    return y;
}

/* 0.5 x (1 + tanh(u)) = x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3) */
float gelu(float x)
{
    precise float u = 0.79788456080286535588 * (x + 0.044715 * x * x * x), y = x / (1.0 + exp(min(-2.0 * u, 80.0)));
    return y;
}

/* cap tanh(x / cap); cap 0: x */
float soft_cap(float x, float cap)
{
    precise float y = cap * safe_tanh(x / cap);
    return cap > 0.0 ? y : x;
}
