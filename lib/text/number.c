/* text/number: see number.h.  Two kinds: numbers on a grid (integers, multiples),
 * counted in 128-bit steps, and all the others, compared as decimals. */
#include "text/number.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_INT = 400, MAX_FRAC = 40, SPARE_ZEROS = 6, MAX_EXP = 330, GRID_DIGITS = 34 };

typedef __int128 wide;

/* A number's beginning, taken apart. */
struct parts {
    bool neg, point, exp, exp_neg, exp_sign;
    const char *digit;      /* of the integer part */
    size_t n_int;
    const char *frac;
    size_t n_frac, n_exp;
    int32_t e;
};

static size_t digits(const char *p, const char *end)
{
    const char *from = p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    return (size_t)(p - from);
}

static bool split(const char *p, size_t len, struct parts *x)
{
    const char *end = p + len;
    *x = (struct parts){0};
    if (p < end && *p == '-') x->neg = true, p++;
    x->digit = p;
    x->n_int = digits(p, end);
    if ((x->n_int > 1 && *p == '0') || x->n_int > MAX_INT) return false;
    p += x->n_int;
    if (p < end && *p == '.') {
        if (!x->n_int) return false;
        x->point = true;
        x->frac = ++p;
        x->n_frac = digits(p, end);
        p += x->n_frac;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        if (!x->n_int || (x->point && !x->n_frac)) return false;
        x->exp = true;
        p++;
        if (p < end && (*p == '+' || *p == '-')) {
            x->exp_sign = true;
            x->exp_neg = *p++ == '-';
        }
        x->n_exp = digits(p, end);
        if (x->n_exp > 3) return false;
        for (size_t i = 0; i < x->n_exp; i++) x->e = x->e * 10 + (p[i] - '0');
        p += x->n_exp;
    }
    return p == end;
}

/* ---- the grid ------------------------------------------------------------------ */

static wide power(uint32_t n)
{
    wide v = 1;
    while (n--) v *= 10;
    return v;
}

static const uint32_t MAX_POWER = 36;

/* d * 10^places, rounded up or down; false when it has too many digits. */
static bool scale(const struct g4_decimal *d, uint32_t places, bool up, wide *out)
{
    const int64_t e = d->exp + (int64_t)places, kept = (int64_t)d->n + (e < 0 ? e : 0);
    wide v = 0;
    bool rest = false;
    if (d->n && (int64_t)d->n + e > GRID_DIGITS) return false;
    for (size_t i = 0; i < d->n; i++) {
        if ((int64_t)i < kept) v = v * 10 + (d->digit[i] - '0');
        else rest = true; /* no zeros at the end: it is not whole */
    }
    for (int64_t i = 0; d->n && i < e; i++) v *= 10;
    if (rest && d->neg != up) v++; /* away from zero */
    *out = d->neg ? -v : v;
    return true;
}

static bool lcm(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t x = a, y = b;
    while (y) {
        const uint64_t t = x % y;
        x = y;
        y = t;
    }
    return !__builtin_mul_overflow(a / x, b, out);
}

/* Brings a unit to more places. */
static bool refine(uint64_t *unit, uint32_t *places, uint32_t to)
{
    for (; *places < to; ++*places)
        if (__builtin_mul_overflow(*unit, 10, unit)) return false;
    return true;
}

static bool join_unit(struct g4_number *n, uint64_t unit, uint32_t places)
{
    if (!n->unit) {
        n->unit = unit;
        n->places = places;
        return true;
    }
    const uint32_t to = n->places > places ? n->places : places;
    return refine(&n->unit, &n->places, to) && refine(&unit, &places, to) && lcm(n->unit, unit, &n->unit);
}

bool g4_number_prepare(struct g4_number *n)
{
    wide v;
    if (n->integer && !join_unit(n, 1, 0)) return false;
    n->grid = n->unit != 0;
    if (!n->grid) return true;
    if (n->places > 17) return false;
    n->lo_grid = -power(MAX_POWER);
    n->hi_grid = power(MAX_POWER);
    if (n->has_lo) {
        if (!scale(&n->lo, n->places, true, &v)) return false;
        n->lo_grid = v;
        if (n->lo_open && scale(&n->lo, n->places, false, &v) && v == n->lo_grid) n->lo_grid++;
    }
    if (n->has_hi) {
        if (!scale(&n->hi, n->places, false, &v)) return false;
        n->hi_grid = v;
        if (n->hi_open && scale(&n->hi, n->places, true, &v) && v == n->hi_grid) n->hi_grid--;
    }
    return true;
}

/* The grid's bounds for numbers of this sign, as magnitudes. */
static bool sided(const struct g4_number *n, bool neg, wide *lo, wide *hi)
{
    *lo = neg ? -n->hi_grid : n->lo_grid;
    *hi = neg ? -n->lo_grid : n->hi_grid;
    if (*lo < 0) *lo = 0;
    return neg ? n->lo_grid < 0 : *hi >= 0;
}

/* Is a multiple of unit in [a, b], within [lo, hi]? */
static bool among(wide a, wide b, wide lo, wide hi, uint64_t unit)
{
    if (a < lo) a = lo;
    if (b > hi) b = hi;
    return a <= b && (a + unit - 1) / unit * unit <= b;
}

struct prefix {
    wide v;             /* the digits so far as a whole number */
    uint64_t mod;       /* modulo the unit */
    bool huge;          /* v has more digits than fit */
    uint32_t n_frac;    /* of the digits, at most places */
    uint32_t spare;     /* zeros behind those */
};

static bool read_prefix(const struct g4_number *n, const struct parts *x, struct prefix *out)
{
    *out = (struct prefix){0};
    for (size_t i = 0; i < x->n_int + x->n_frac; i++) {
        const int d = (i < x->n_int ? x->digit[i] : x->frac[i - x->n_int]) - '0';
        if (i >= x->n_int + n->places) {
            if (d || ++out->spare > SPARE_ZEROS) return false;
            continue;
        }
        out->n_frac += i >= x->n_int;
        out->mod = (uint64_t)(((unsigned __int128)out->mod * 10 + (unsigned)d) % n->unit);
        if (out->v >= power(GRID_DIGITS - 1)) out->huge = true;
        else out->v = out->v * 10 + d;
    }
    return true;
}

/* Could k more digits before the point do it?  A negative answer for this and all larger k: -1. */
static int more_digits(const struct g4_number *n, const struct prefix *p, uint32_t k, wide lo, wide hi)
{
    const uint32_t up = k + n->places;
    if (up > MAX_POWER) return -1;
    const wide ten = power(up);
    if (p->v && p->v > power(MAX_POWER) / ten) return -1;
    const wide a = p->v * ten;
    if (a > hi) return -1;
    return among(a, a + ten - 1, lo, hi, n->unit);
}

/* Beyond what fits: only when there is no bound, and then more digits always help. */
static int huge_try(const struct g4_number *n, const struct parts *x, const struct prefix *p)
{
    const bool unbounded = x->neg ? !n->has_lo : !n->has_hi;
    uint64_t mod = p->mod;
    if (!unbounded || x->point) return 0;
    for (uint32_t i = 0; i < n->places; i++) mod = (uint64_t)((unsigned __int128)mod * 10 % n->unit);
    return (mod == 0 ? G4_NUMBER_DONE : 0) | (x->n_int < MAX_INT ? G4_NUMBER_OPEN : 0);
}

static int grid_try(const struct g4_number *n, const struct parts *x)
{
    wide lo, hi;
    struct prefix p;
    if (x->exp || !sided(n, x->neg, &lo, &hi) || !read_prefix(n, x, &p)) return 0;
    if (!x->n_int) return among(0, hi, lo, hi, n->unit) ? G4_NUMBER_OPEN : 0;
    if (p.huge) return huge_try(n, x, &p);
    const wide ten = power(n->places - p.n_frac), a = p.v * ten;
    const bool good = among(a, a, lo, hi, n->unit);
    int is = good && (!x->point || x->n_frac) ? G4_NUMBER_DONE : 0;
    if (x->point) {
        const bool full = p.n_frac == n->places;
        if (full ? good && p.spare < SPARE_ZEROS : among(a, a + ten - 1, lo, hi, n->unit)) is |= G4_NUMBER_OPEN;
        return is;
    }
    if (among(a, a + ten - 1, lo, hi, n->unit)) return is | G4_NUMBER_OPEN; /* a point */
    const bool unbounded = x->neg ? !n->has_lo : !n->has_hi;
    if (x->digit[0] == '0') return is;
    if (unbounded) return is | G4_NUMBER_OPEN;
    for (uint32_t k = 1;; k++) {
        const int more = more_digits(n, &p, k, lo, hi);
        if (more) return more > 0 ? is | G4_NUMBER_OPEN : is;
    }
}

static uint32_t grid_least(const struct g4_number *n, const struct parts *x)
{
    wide lo, hi;
    struct prefix p;
    uint32_t least = UINT32_MAX;
    if (!sided(n, x->neg, &lo, &hi) || !read_prefix(n, x, &p)) return UINT32_MAX;
    if (p.huge) return 20;
    if (x->point) return n->places > p.n_frac ? n->places - p.n_frac : 1;
    const wide ten = power(n->places), a = p.v * ten;
    if (x->n_int && among(a, a + ten - 1, lo, hi, n->unit)) least = 1 + (n->places ? n->places : 1);
    if (x->n_int && x->digit[0] == '0') return least;
    for (uint32_t k = 1; k < least; k++) {
        const int more = more_digits(n, &p, k, lo, hi);
        if (more < 0) break;
        if (more) return k;
    }
    return least;
}

/* ---- decimals ---------------------------------------------------------------------- */

/* What the digits of x would be as a decimal, its last one worth 10^exp; plus: one more of those. */
struct literal {
    struct g4_decimal d;
    char buf[MAX_INT + MAX_FRAC + 2];
};

static void make(struct literal *l, const struct parts *x, int64_t exp, bool plus)
{
    size_t n = 0, from = 0;
    l->buf[n++] = '0';
    for (size_t i = 0; i < x->n_int; i++) l->buf[n++] = x->digit[i];
    for (size_t i = 0; i < x->n_frac; i++) l->buf[n++] = x->frac[i];
    for (size_t i = n; plus && i-- > 0;) {
        if (l->buf[i] != '9') {
            l->buf[i]++;
            break;
        }
        l->buf[i] = '0';
    }
    while (n && l->buf[n - 1] == '0') n--, exp++;
    while (from < n && l->buf[from] == '0') from++;
    l->d = (struct g4_decimal){ .n = n - from, .digit = l->buf + from, .exp = n > from ? exp : 0 };
}

/* The bounds for numbers of this sign, as magnitudes: lo NULL means 0, hi NULL no limit. */
struct side {
    const struct g4_decimal *lo, *hi;
    bool lo_open, hi_open;
    struct g4_decimal keep[2];
};

static bool take_side(const struct g4_number *n, bool neg, struct side *s)
{
    *s = (struct side){0};
    s->keep[0] = n->lo;
    s->keep[1] = n->hi;
    s->keep[0].neg = s->keep[1].neg = false;
    const bool hi_below = n->has_hi && (n->hi.neg || (!n->hi.n && n->hi_open)), lo_above = n->has_lo && !n->lo.neg && n->lo.n;
    if (neg) {
        if (n->has_lo && !n->lo.neg) return false;
        if (n->has_hi && n->hi.neg) s->lo = &s->keep[1], s->lo_open = n->hi_open;
        else if (hi_below) s->lo = &s->keep[1], s->lo_open = true; /* below 0: 0 itself is out */
        if (n->has_lo) s->hi = &s->keep[0], s->hi_open = n->lo_open;
        return true;
    }
    if (hi_below) return false;
    if (lo_above || (n->has_lo && !n->lo.n)) s->lo = &s->keep[0], s->lo_open = n->lo_open;
    if (n->has_hi) s->hi = &s->keep[1], s->hi_open = n->hi_open;
    return true;
}

static bool below_hi(const struct side *s, const struct g4_decimal *v)
{
    const int c = s->hi ? g4_decimal_cmp(v, s->hi) : -1;
    return c < 0 || (c == 0 && !s->hi_open);
}

static bool inside(const struct side *s, const struct g4_decimal *v)
{
    const int c = s->lo ? g4_decimal_cmp(v, s->lo) : 1;
    return (c > 0 || (c == 0 && !s->lo_open)) && below_hi(s, v);
}

/* Does [digits, digits + 1) * 10^exp meet the range? */
static bool meets(const struct side *s, const struct parts *x, int64_t exp, bool *past)
{
    struct literal a, b;
    make(&a, x, exp, false);
    make(&b, x, exp, true);
    *past = !below_hi(s, &a.d);
    return !*past && (!s->lo || g4_decimal_cmp(s->lo, &b.d) < 0);
}

static bool exponent_good(const struct side *s, const struct parts *x, int32_t e)
{
    struct literal v;
    make(&v, x, (int64_t)e - (int64_t)x->n_frac, false);
    return e <= MAX_EXP && e >= -MAX_EXP && v.d.exp + (int64_t)v.d.n <= 308 && inside(s, &v.d);
}

static bool exponent_among(const struct side *s, const struct parts *x, int32_t from, int32_t to)
{
    const bool plus = !x->exp_sign || !x->exp_neg, minus = x->exp_sign ? x->exp_neg : !x->n_exp;
    if (to > MAX_EXP) to = MAX_EXP;
    for (int32_t e = from; e <= to; e++)
        if ((plus && exponent_good(s, x, e)) || (minus && exponent_good(s, x, -e))) return true;
    return false;
}

static int exponent_try(const struct side *s, const struct parts *x)
{
    int is = 0;
    int32_t width = 1;
    if (!x->n_exp) return exponent_among(s, x, 0, MAX_EXP) ? G4_NUMBER_OPEN : 0;
    if (exponent_good(s, x, x->exp_neg ? -x->e : x->e)) is = G4_NUMBER_DONE;
    for (size_t n = x->n_exp; n < 3; n++) {
        width *= 10;
        if (exponent_among(s, x, x->e * width, x->e * width + width - 1)) return is | G4_NUMBER_OPEN;
    }
    return is;
}

static int real_try(const struct g4_number *n, const struct parts *x)
{
    struct side s;
    struct literal v;
    bool past;
    if (!take_side(n, x->neg, &s)) return 0;
    if (!x->n_int) return G4_NUMBER_OPEN;
    if (x->exp) return exponent_try(&s, x);
    if (x->n_frac > MAX_FRAC) return 0;
    make(&v, x, -(int64_t)x->n_frac, false);
    int is = (!x->point || x->n_frac) && inside(&s, &v.d) ? G4_NUMBER_DONE : 0;
    if (x->n_frac < MAX_FRAC && meets(&s, x, -(int64_t)x->n_frac, &past)) return is | G4_NUMBER_OPEN;
    if (x->point || x->digit[0] == '0') return is;
    for (int64_t k = 1; x->n_int + (size_t)k <= MAX_INT; k++) {
        if (meets(&s, x, k, &past)) return is | G4_NUMBER_OPEN;
        if (past) break;
    }
    return is;
}

static uint32_t places_of(const struct g4_decimal *d)
{
    return d->exp < 0 ? (uint32_t)(-d->exp < MAX_FRAC ? -d->exp : MAX_FRAC) : 0;
}

static uint32_t real_least(const struct g4_number *n, const struct parts *x)
{
    struct side s;
    bool past;
    if (!take_side(n, x->neg, &s)) return UINT32_MAX;
    if (x->exp) return x->n_exp ? 1 : x->exp_sign ? 2 : 3;
    uint32_t places = 1;
    if (n->has_lo && places_of(&n->lo) >= places) places = places_of(&n->lo) + 1;
    if (n->has_hi && places_of(&n->hi) >= places) places = places_of(&n->hi) + 1;
    if (x->point) return x->n_frac < places ? places - (uint32_t)x->n_frac : 1;
    uint32_t least = UINT32_MAX;
    if (x->n_int && meets(&s, x, 0, &past)) least = 1 + places;
    if (x->n_int && x->digit[0] == '0') return least;
    for (int64_t k = 1; k < least && k < MAX_INT; k++) {
        if (meets(&s, x, k, &past)) return (uint32_t)k;
        if (past) break;
    }
    return least;
}

/* ---- both ------------------------------------------------------------------------------ */

bool g4_number_exists(const struct g4_number *n)
{
    if (n->grid) {
        wide lo, hi;
        return (sided(n, false, &lo, &hi) && among(0, hi, lo, hi, n->unit)) ||
               (sided(n, true, &lo, &hi) && among(0, hi, lo, hi, n->unit));
    }
    if (!n->has_lo || !n->has_hi) return true;
    const int c = g4_decimal_cmp(&n->lo, &n->hi);
    return c < 0 || (c == 0 && !n->lo_open && !n->hi_open);
}

static wide div_floor(wide a, wide b)
{
    return a / b - (a % b && a < 0);
}

uint64_t g4_number_count(const struct g4_number *n, uint64_t max)
{
    if (!g4_number_exists(n)) return 0;
    if (!n->has_lo || !n->has_hi) return max;
    if (!n->grid) return g4_decimal_cmp(&n->lo, &n->hi) ? max : 1;
    const wide c = div_floor(n->hi_grid, n->unit) + div_floor(-n->lo_grid, n->unit) + 1;
    return c > (wide)max ? max : (uint64_t)c;
}

bool g4_number_is_free(const struct g4_number *n)
{
    return !n->has_lo && !n->has_hi && (!n->unit || (n->integer && n->unit == 1 && !n->places));
}

int g4_number_try(const struct g4_number *n, const char *p, size_t len)
{
    struct parts x;
    if (!len) return g4_number_exists(n) ? G4_NUMBER_OPEN : 0;
    if (!split(p, len, &x)) return 0;
    return n->grid ? grid_try(n, &x) : real_try(n, &x);
}

uint32_t g4_number_least(const struct g4_number *n, const char *p, size_t len)
{
    struct parts x;
    const int is = g4_number_try(n, p, len);
    if (is & G4_NUMBER_DONE) return 0;
    if (!is) return UINT32_MAX;
    if (!len) {
        uint32_t a = g4_number_try(n, "-", 1) ? g4_number_least(n, "-", 1) : UINT32_MAX, best = a == UINT32_MAX ? a : a + 1;
        for (char c = '0'; c <= '9'; c++) {
            a = g4_number_least(n, &c, 1);
            if (a != UINT32_MAX && a + 1 < best) best = a + 1;
        }
        return best;
    }
    split(p, len, &x);
    return n->grid ? grid_least(n, &x) : real_least(n, &x);
}

/* ---- building ---------------------------------------------------------------------------- */

static struct g4_decimal copy(const struct g4_decimal *d)
{
    struct g4_decimal c = *d;
    if (d->n) c.digit = g4_dup(d->digit, d->n);
    return c;
}

void g4_number_copy(struct g4_number *to, const struct g4_number *from)
{
    *to = *from;
    to->lo = copy(&from->lo);
    to->hi = copy(&from->hi);
}

void g4_number_free(struct g4_number *n)
{
    g4_decimal_free(&n->lo);
    g4_decimal_free(&n->hi);
}

bool g4_number_narrow(struct g4_number *n, const struct g4_number *m)
{
    const int lo = n->has_lo && m->has_lo ? g4_decimal_cmp(&m->lo, &n->lo) : m->has_lo;
    const int hi = n->has_hi && m->has_hi ? g4_decimal_cmp(&m->hi, &n->hi) : -(int)m->has_hi;
    n->integer |= m->integer;
    if (lo > 0) {
        g4_decimal_free(&n->lo);
        n->lo = copy(&m->lo);
        n->lo_open = m->lo_open;
    } else if (lo == 0 && m->has_lo) {
        n->lo_open |= m->lo_open;
    }
    if (hi < 0) {
        g4_decimal_free(&n->hi);
        n->hi = copy(&m->hi);
        n->hi_open = m->hi_open;
    } else if (hi == 0 && m->has_hi) {
        n->hi_open |= m->hi_open;
    }
    n->has_lo |= m->has_lo;
    n->has_hi |= m->has_hi;
    return !m->unit || join_unit(n, m->unit, m->places);
}
