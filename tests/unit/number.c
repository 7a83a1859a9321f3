/* Numbers digit by digit, against the validator: every text over the characters of
 * numbers up to a length, for random bounds and multiples. */
#include "../tap.h"
#include "base/hash.h"
#include "base/json.h"
#include "text/number.h"
#include "text/validate.h"

enum { LONGEST = 5 };

static uint64_t seed = 3;

static uint32_t draw(uint32_t n)
{
    seed = g4_mix64(seed + 1);
    return (uint32_t)(seed % n);
}

struct bounds {
    struct g4_number n;
    g4_str schema;
    bool exponents;
    size_t done, wrong, stuck, texts;
};

static void add_bound(struct bounds *b, bool lo)
{
    static const char *const values[] = { "0", "1", "-1", "5", "-5", "12", "-12", "99", "100", "-100", "0.5", "-0.5", "1.25", "-2.75", "0.001", "3e1", "1234" };
    const char *v = values[draw(17)];
    const bool open = draw(3) == 0;
    struct g4_number one = { .has_lo = lo, .has_hi = !lo, .lo_open = lo && open, .hi_open = !lo && open };
    g4_decimal_parse((g4_sv){ v, strlen(v) }, lo ? &one.lo : &one.hi);
    g4_number_narrow(&b->n, &one);
    g4_number_free(&one);
    g4_str_addf(&b->schema, ",\"%s\":%s", lo ? open ? "exclusiveMinimum" : "minimum" : open ? "exclusiveMaximum" : "maximum", v);
}

static void add_unit(struct bounds *b)
{
    static const struct { const char *text; uint64_t unit; uint32_t places; } units[] = { { "5", 5, 0 }, { "3", 3, 0 }, { "0.5", 5, 1 }, { "0.25", 25, 2 }, { "7", 7, 0 } };
    const uint32_t k = draw(5);
    struct g4_number one = { .unit = units[k].unit, .places = units[k].places };
    g4_number_narrow(&b->n, &one);
    g4_str_addf(&b->schema, ",\"multipleOf\":%s", units[k].text);
}

static bool valid(const struct bounds *b, const char *text, size_t n)
{
    g4_json v;
    return !g4_json_check(text, n, &v, NULL) && v.n == n && !g4_validate((g4_json){ b->schema.p, b->schema.n }, v, NULL);
}

/* A text that is right but that the grammar does not offer: an exponent with integers and multiples, or behind a
 * mantissa that could not stand alone; -0; zeros behind an integer's point without end. */
static bool is_spared(const struct bounds *b, const char *text, size_t n)
{
    const char *e = memchr(text, 'e', n);
    if (e && labs(strtol(e + 1, NULL, 10)) > 300) return true; /* beyond a double */
    if (e && (b->n.grid || !g4_number_try(&b->n, text, (size_t)(e - text)))) return true;
    return text[0] == '-' && strspn(text + 1, "0.e") == n - 1;
}

/* All texts that begin with text[0, n): true when one of them is complete. */
static bool all_texts(struct bounds *b, char *text, size_t n)
{
    const int is = g4_number_try(&b->n, text, n);
    const bool good = n && valid(b, text, n);
    bool any = is & G4_NUMBER_DONE;
    b->texts++;
    b->done += good;
    if (n && (bool)(is & G4_NUMBER_DONE) != good && !(good && is_spared(b, text, n))) {
        b->wrong++;
        printf("# %s: '%.*s' is %s, offered as %d\n", b->schema.p, (int)n, text, good ? "valid" : "invalid", is);
    }
    if (n == LONGEST) return any || is & G4_NUMBER_OPEN;
    for (const char *c = "0123456789-.e"; *c; c++) {
        text[n] = *c;
        const int next = g4_number_try(&b->n, text, n + 1);
        if (next && !(is & G4_NUMBER_OPEN)) {
            b->wrong++;
            printf("# %s: '%.*s' goes on, but was said to be at its end\n", b->schema.p, (int)n + 1, text);
        }
        if (next) any |= all_texts(b, text, n + 1);
        else if (valid(b, text, n + 1) && !is_spared(b, text, n + 1)) {
            b->wrong++;
            printf("# %s: '%.*s' is valid and not offered\n", b->schema.p, (int)n + 1, text);
        }
    }
    if (is & G4_NUMBER_OPEN && !any) { /* offered, and then nothing completes it */
        b->stuck++;
        printf("# %s: nothing completes '%.*s'\n", b->schema.p, (int)n, text);
    }
    return any;
}

/* The shortest way to the end is as long as was said, or shorter. */
static bool least_holds(const struct bounds *b)
{
    const uint32_t least = g4_number_least(&b->n, "", 0);
    char text[64];
    size_t n = 0;
    for (uint32_t left = least; left && n < sizeof text; left = g4_number_least(&b->n, text, n)) {
        uint32_t best = UINT32_MAX;
        char take = 0;
        for (const char *c = "0123456789-."; *c; c++) {
            text[n] = *c;
            const uint32_t l = g4_number_try(&b->n, text, n + 1) ? g4_number_least(&b->n, text, n + 1) : UINT32_MAX;
            if (l < best) best = l, take = *c;
        }
        if (!take || best >= left) {
            printf("# %s: after '%.*s' %u are to come, then %u\n", b->schema.p, (int)n, text, left, best);
            return false;
        }
        text[n++] = take;
    }
    return valid(b, text, n);
}

static void random_bounds(void)
{
    const int n = getenv("G4_TEST_FULL") ? 3000 : 50;
    size_t wrong = 0, stuck = 0, done = 0, texts = 0, far = 0, none = 0;
    for (int i = 0; i < n; i++) {
        struct bounds b = { .n = { .integer = draw(2) } };
        char text[LONGEST + 2];
        g4_str_addf(&b.schema, "{\"type\":\"%s\"", b.n.integer ? "integer" : "number");
        if (draw(4)) add_bound(&b, true);
        if (draw(4)) add_bound(&b, false);
        if (draw(4) == 0) add_unit(&b);
        g4_str_addc(&b.schema, '}');
        if (!g4_number_prepare(&b.n)) continue;
        if (g4_number_exists(&b.n)) {
            all_texts(&b, text, 0);
            far += !least_holds(&b);
        } else {
            none++;
        }
        wrong += b.wrong;
        stuck += b.stuck;
        done += b.done;
        texts += b.texts;
        g4_number_free(&b.n);
        g4_str_free(&b.schema);
    }
    ok(!wrong && done > 1000, "%d random bounds, %zu beginnings (%zu complete): %zu wrong", n, texts, done, wrong);
    ok(!stuck, "no beginning is offered that nothing completes: %zu", stuck);
    ok(!far && none, "the shortest way is as long as it is said to be (%zu are not; %zu have no number at all)", far, none);
}

static void large(void)
{
    static const struct { const char *lo, *hi, *text; bool integer; int want; } t[] = {
        { "0", NULL, "12345678901234567890123456789012345678901234567890", true, G4_NUMBER_DONE | G4_NUMBER_OPEN },
        { NULL, "99999999999999999999", "99999999999999999999", true, G4_NUMBER_DONE | G4_NUMBER_OPEN },
        { NULL, "99999999999999999999", "999999999999999999991", true, 0 },
        { "0", "1", "1e-300", false, G4_NUMBER_DONE }, { "0", "1", "1e9", false, 0 }, { NULL, NULL, "1e300", false, G4_NUMBER_DONE },
        { "1e40", NULL, "1", false, G4_NUMBER_OPEN }, { "0.1", "0.2", "0.15000", false, G4_NUMBER_DONE | G4_NUMBER_OPEN },
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct g4_number n = { .integer = t[i].integer, .has_lo = t[i].lo != NULL, .has_hi = t[i].hi != NULL };
        if (t[i].lo) g4_decimal_parse((g4_sv){ t[i].lo, strlen(t[i].lo) }, &n.lo);
        if (t[i].hi) g4_decimal_parse((g4_sv){ t[i].hi, strlen(t[i].hi) }, &n.hi);
        g4_number_prepare(&n);
        const int is = g4_number_try(&n, t[i].text, strlen(t[i].text));
        if (!ok((is & G4_NUMBER_DONE) == (t[i].want & G4_NUMBER_DONE) && !is == !t[i].want, "%s within %s and %s", t[i].text, t[i].lo ? t[i].lo : "-", t[i].hi ? t[i].hi : "-"))
            printf("# got %d\n", is);
        g4_number_free(&n);
    }
}

int main(void)
{
    random_bounds();
    large();
    return done_testing();
}
