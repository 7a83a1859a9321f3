/* text/validate_scalar: the keywords of numbers and strings. */
#include <stdlib.h>
#include <string.h>

#include "text/decimal.h"
#include "text/regex.h"
#include "text/validate_impl.h"

int g4_check_count(struct g4_check *c, g4_json schema, const char *keyword, uint64_t *out)
{
    const g4_json v = g4_json_get(schema, keyword);
    int64_t n;
    if (!v.p) return 0;
    if (!g4_json_i64(v, &n) || n < 0) return g4_check_broken(c, keyword, "must be a whole number, 0 or more");
    *out = (uint64_t)n;
    return 1;
}

/* One bound: keep says which orders of value and bound are good. */
static int bound(struct g4_check *c, g4_json schema, const char *keyword, const struct g4_decimal *v, int want, bool equal,
                 const struct g4_check_path *at)
{
    const g4_json b = g4_json_get(schema, keyword);
    if (!b.p) return G4_OK;
    if (g4_json_type(b) != G4_JSON_NUMBER) return g4_check_broken(c, keyword, "must be a number");
    struct g4_decimal d;
    g4_decimal_parse(b, &d);
    const int cmp = g4_decimal_cmp(v, &d);
    g4_decimal_free(&d);
    if ((cmp == 0 && equal) || cmp * want > 0) return G4_OK;
    return g4_check_no(c, at, "is %s %.*s (%s)", want > 0 ? "below" : "above", (int)(b.n < 60 ? b.n : 60), b.p, keyword);
}

static int multiple(struct g4_check *c, g4_json schema, const struct g4_decimal *v, const struct g4_check_path *at)
{
    const g4_json m = g4_json_get(schema, "multipleOf");
    struct g4_decimal d;
    if (!m.p) return G4_OK;
    if (g4_json_type(m) != G4_JSON_NUMBER) return g4_check_broken(c, "multipleOf", "must be a number above 0");
    g4_decimal_parse(m, &d);
    const bool bad = d.neg || !d.n || d.n > 18, good = !bad && g4_decimal_is_multiple(v, &d);
    g4_decimal_free(&d);
    if (bad) return g4_check_broken(c, "multipleOf", "must be a number above 0 of at most 18 digits");
    return good ? G4_OK : g4_check_no(c, at, "is not a multiple of %.*s", (int)(m.n < 60 ? m.n : 60), m.p);
}

int g4_check_number(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    struct g4_decimal v;
    g4_decimal_parse(value, &v);
    int rc = bound(c, schema, "minimum", &v, 1, true, at);
    if (!rc) rc = bound(c, schema, "exclusiveMinimum", &v, 1, false, at);
    if (!rc) rc = bound(c, schema, "maximum", &v, -1, true, at);
    if (!rc) rc = bound(c, schema, "exclusiveMaximum", &v, -1, false, at);
    if (!rc) rc = multiple(c, schema, &v, at);
    g4_decimal_free(&v);
    return rc;
}

static uint64_t code_points(const g4_str *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n; i++) n += ((uint8_t)s->p[i] & 0xC0) != 0x80;
    return n;
}

static int pattern(struct g4_check *c, g4_json schema, const g4_str *s, const struct g4_check_path *at)
{
    const g4_json p = g4_json_get(schema, "pattern");
    g4_str text = {0};
    g4_err why = {0};
    if (!p.p) return G4_OK;
    if (g4_json_type(p) != G4_JSON_STRING) return g4_check_broken(c, "pattern", "must be a string");
    g4_json_str(p, &text);
    g4_regex *r = g4_regex_new(text.p ? text.p : "", text.n, &why);
    int rc = G4_OK;
    if (!r) rc = g4_check_broken(c, "pattern", why.msg);
    else if (!g4_regex_search(r, s->p ? s->p : "", s->n)) rc = g4_check_no(c, at, "does not match the pattern %.100s", text.p ? text.p : "");
    g4_regex_free(r);
    g4_str_free(&text);
    return rc;
}

static int format(struct g4_check *c, g4_json schema, const g4_str *s, const struct g4_check_path *at)
{
    const g4_json f = g4_json_get(schema, "format");
    if (!f.p) return G4_OK;
    char *name = g4_json_dup(f);
    int rc = G4_OK;
    if (!name) rc = g4_check_broken(c, "format", "must be a string");
    else if (!g4_format_check(name, s->p ? s->p : "", s->n)) rc = g4_check_no(c, at, "is not a valid %.40s", name);
    free(name);
    return rc;
}

int g4_check_string(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    g4_str s = {0};
    uint64_t min = 0, max = UINT64_MAX;
    g4_json_str(value, &s);
    int rc = g4_check_count(c, schema, "minLength", &min);
    if (rc >= 0) rc = g4_check_count(c, schema, "maxLength", &max);
    if (rc > 0) rc = 0;
    const uint64_t n = code_points(&s);
    if (!rc && n < min) rc = g4_check_no(c, at, "is shorter than %llu characters", (unsigned long long)min);
    if (!rc && n > max) rc = g4_check_no(c, at, "is longer than %llu characters", (unsigned long long)max);
    if (!rc) rc = pattern(c, schema, &s, at);
    if (!rc) rc = format(c, schema, &s, at);
    g4_str_free(&s);
    return rc;
}
