/* text/decimal: see decimal.h. */
#include "text/decimal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const int64_t EXP_MAX = 1000000000000000;

static int64_t read_exponent(const char *p, const char *end)
{
    const bool neg = p < end && *p == '-';
    int64_t e = 0;
    if (p < end && (*p == '-' || *p == '+')) p++;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        if (e < EXP_MAX) e = e * 10 + (*p - '0');
    return neg ? -e : e;
}

void g4_decimal_parse(g4_sv s, struct g4_decimal *out)
{
    const char *p = s.p, *end = s.p + s.n;
    int64_t exp = 0;
    size_t n = 0;
    *out = (struct g4_decimal){ .neg = s.n && *p == '-' };
    char *digit = g4_alloc(s.n + 1);
    bool point = false;
    for (p += out->neg; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        exp -= point;
        if (n || *p != '0') digit[n++] = *p;
    }
    if (p < end) exp += read_exponent(p + 1, end);
    while (n && digit[n - 1] == '0') n--, exp++;
    if (exp > EXP_MAX) exp = EXP_MAX;
    if (exp < -EXP_MAX) exp = -EXP_MAX;
    if (!n) {
        free(digit);
        *out = (struct g4_decimal){0}; /* -0 is 0 */
        return;
    }
    out->n = n;
    out->digit = digit;
    out->exp = exp;
}

void g4_decimal_free(struct g4_decimal *d)
{
    free(d->digit);
    *d = (struct g4_decimal){0};
}

static int sign(const struct g4_decimal *d)
{
    return !d->n ? 0 : d->neg ? -1 : 1;
}

int g4_decimal_cmp(const struct g4_decimal *a, const struct g4_decimal *b)
{
    const int sa = sign(a), sb = sign(b);
    if (sa != sb || !sa) return sa - sb;
    const int64_t ta = a->exp + (int64_t)a->n, tb = b->exp + (int64_t)b->n; /* places before the point */
    if (ta != tb) return (ta < tb ? -1 : 1) * sa;
    const size_t n = a->n < b->n ? a->n : b->n;
    const int c = memcmp(a->digit, b->digit, n);
    if (c) return (c < 0 ? -1 : 1) * sa;
    return a->n == b->n ? 0 : (a->n < b->n ? -1 : 1) * sa;
}

bool g4_decimal_is_integer(const struct g4_decimal *d)
{
    return !d->n || d->exp >= 0;
}

static uint64_t mul_mod(uint64_t a, uint64_t b, uint64_t m)
{
    return (uint64_t)((unsigned __int128)a * b % m);
}

/* D_a * 10^e / D_m: with e < 0 it cannot be whole, for D_a does not end in a zero. */
bool g4_decimal_is_multiple(const struct g4_decimal *a, const struct g4_decimal *m)
{
    uint64_t d = 0, r = 0;
    if (!m->n || m->neg || m->n > 18) return false;
    if (!a->n) return true;
    for (size_t i = 0; i < m->n; i++) d = d * 10 + (uint64_t)(m->digit[i] - '0');
    int64_t e = a->exp - m->exp;
    if (e < 0) return false;
    for (size_t i = 0; i < a->n; i++) r = (mul_mod(r, 10, d) + (uint64_t)(a->digit[i] - '0')) % d;
    for (uint64_t base = 10 % d; e; e >>= 1) {
        if (e & 1) r = mul_mod(r, base, d);
        base = mul_mod(base, base, d);
    }
    return r == 0;
}

void g4_decimal_put(const struct g4_decimal *d, g4_str *out)
{
    if (!d->n) {
        g4_str_addc(out, '0');
        return;
    }
    if (d->neg) g4_str_addc(out, '-');
    g4_str_add(out, d->digit, d->n);
    g4_str_addf(out, "e%lld", (long long)d->exp);
}
