/* text/schema_scalar: numbers and strings merged from all parts. */
#include <stdlib.h>
#include <string.h>

#include "text/schema_impl.h"
#include "text/validate.h"

enum { MAX_STATES = 20000 };

int g4_lower_count(struct g4_lower *l, g4_json schema, const char *keyword, uint32_t *out)
{
    int64_t n;
    const g4_json v = g4_json_get(schema, keyword);
    if (!v.p) return G4_OK;
    if (!g4_json_i64(v, &n) || n < 0) return g4_schema_refuse(l, schema, keyword, "must be a whole number, 0 or more");
    const bool most = keyword[1] == 'a'; /* max..., and a limit that nothing reaches is none */
    if (n > 10000000 && !most) return g4_schema_refuse(l, schema, keyword, "more than 10000000");
    *out = n > 10000000 ? UINT32_MAX : (uint32_t)n;
    return G4_OK;
}

/* ---- numbers ------------------------------------------------------------------------- */

static void read_bound(g4_json v, bool lo, bool open, struct g4_number *n)
{
    struct g4_number one = {0};
    if (!v.p) return;
    if (lo) one.has_lo = true, one.lo_open = open;
    else one.has_hi = true, one.hi_open = open;
    g4_decimal_parse(v, lo ? &one.lo : &one.hi);
    g4_number_narrow(n, &one);
    g4_number_free(&one);
}

static bool read_unit(g4_json v, struct g4_number *n)
{
    struct g4_decimal d;
    struct g4_number one = { .unit = 1 };
    if (!v.p) return true;
    g4_decimal_parse(v, &d);
    bool good = d.n && !d.neg && d.n + (size_t)(d.exp > 0 ? d.exp : 0) <= 18 && d.exp >= -17 && d.exp <= 18;
    if (good) {
        one.unit = 0;
        for (size_t i = 0; i < d.n; i++) one.unit = one.unit * 10 + (uint64_t)(d.digit[i] - '0');
        for (int64_t e = 0; e < d.exp; e++) one.unit *= 10;
        one.places = d.exp < 0 ? (uint32_t)-d.exp : 0;
        good = g4_number_narrow(n, &one);
    }
    g4_decimal_free(&d);
    return good;
}

int g4_lower_number(struct g4_lower *l, const struct g4_parts *parts, bool integer, struct g4_number *out)
{
    *out = (struct g4_number){ .integer = integer };
    g4_json last = {0};
    for (size_t i = 0; i < parts->n; i++) {
        const g4_json s = parts->v[i].v;
        if (parts->v[i].kind != G4_PART_BASE) continue;
        read_bound(g4_json_get(s, "minimum"), true, false, out);
        read_bound(g4_json_get(s, "exclusiveMinimum"), true, true, out);
        read_bound(g4_json_get(s, "maximum"), false, false, out);
        read_bound(g4_json_get(s, "exclusiveMaximum"), false, true, out);
        if (!read_unit(g4_json_get(s, "multipleOf"), out)) {
            g4_number_free(out);
            return g4_schema_refuse(l, s, "multipleOf", "must be above 0, with at most 18 digits");
        }
        last = s;
    }
    if (g4_number_prepare(out)) return G4_OK;
    g4_number_free(out);
    return g4_schema_refuse(l, last, "minimum", "bounds of integers and multiples have at most 34 digits");
}

/* ---- strings --------------------------------------------------------------------------- */

/* *all becomes what both accept; takes one. */
static int join(struct g4_lower *l, g4_json schema, const char *keyword, g4_dfa **all, g4_dfa *one)
{
    g4_err why = {0};
    if (!*all) {
        *all = one;
        return G4_OK;
    }
    g4_dfa *both = g4_dfa_both(*all, one, MAX_STATES, &why);
    g4_dfa_free(*all);
    g4_dfa_free(one);
    *all = both;
    return both ? G4_OK : g4_schema_refuse(l, schema, keyword, why.msg);
}

static int add_pattern(struct g4_lower *l, g4_json schema, g4_dfa **all)
{
    const g4_json p = g4_json_get(schema, "pattern");
    g4_str s = {0};
    g4_err why = {0};
    if (!p.p) return G4_OK;
    g4_json_str(p, &s);
    g4_regex *r = g4_regex_new(s.p ? s.p : "", s.n, &why);
    g4_dfa *d = r ? g4_dfa_regex(r, false, MAX_STATES, &why) : NULL;
    g4_regex_free(r);
    g4_str_free(&s);
    return d ? join(l, schema, "pattern", all, d) : g4_schema_refuse(l, schema, "pattern", why.msg);
}

static int add_format(struct g4_lower *l, g4_json schema, g4_dfa **all)
{
    char *name = g4_json_dup(g4_json_get(schema, "format"));
    g4_dfa *d = name ? g4_dfa_format(name) : NULL;
    free(name);
    return d ? join(l, schema, "format", all, d) : G4_OK;
}

int g4_lower_string(struct g4_lower *l, const struct g4_parts *parts, g4_node *out)
{
    uint32_t min = 0, max = UINT32_MAX;
    g4_dfa *all = NULL;
    for (size_t i = 0; i < parts->n; i++) {
        const g4_json s = parts->v[i].v;
        uint32_t lo = 0, hi = UINT32_MAX;
        if (parts->v[i].kind != G4_PART_BASE) continue;
        if (g4_lower_count(l, s, "minLength", &lo) || g4_lower_count(l, s, "maxLength", &hi) || add_pattern(l, s, &all) || add_format(l, s, &all)) {
            g4_dfa_free(all);
            return G4_ESCHEMA;
        }
        if (lo > min) min = lo;
        if (hi < max) max = hi;
    }
    *out = g4_node_string(l->g, &l->p.dialect, all, min, max);
    return G4_OK;
}
