/* text/validate: see validate.h.  Straight from the specification, keyword by keyword. */
#include "text/validate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/decimal.h"
#include "text/regex.h"
#include "text/validate_impl.h"

enum { MAX_DEPTH = 1000 };

/* ---- messages ------------------------------------------------------------ */

static void put_path(const struct g4_check_path *at, g4_str *out)
{
    if (!at) return;
    put_path(at->up, out);
    g4_str_addc(out, '/');
    if (at->key.p) g4_json_str(at->key, out);
    else g4_str_addf(out, "%zu", at->index);
}

int g4_check_no(struct g4_check *c, const struct g4_check_path *at, const char *fmt, ...)
{
    char what[256];
    g4_str path = {0};
    va_list ap;
    if (c->quiet) return G4_EINPUT;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    put_path(at, &path);
    if (path.n) g4_fail(c->err, G4_EINPUT, "'%.200s' %s", path.p, what);
    else g4_fail(c->err, G4_EINPUT, "the value %s", what);
    g4_str_free(&path);
    return G4_EINPUT;
}

int g4_check_broken(struct g4_check *c, const char *keyword, const char *what)
{
    return g4_fail(c->err, G4_ESCHEMA, "'%s': %s", keyword, what);
}

/* ---- types ----------------------------------------------------------------- */

static bool is_integer(g4_json v)
{
    struct g4_decimal d;
    g4_decimal_parse(v, &d);
    const bool is = g4_decimal_is_integer(&d);
    g4_decimal_free(&d);
    return is;
}

/* 1 yes, 0 no, -1: there is no such type. */
static int has_type(g4_json value, g4_json type)
{
    static const char *const names[] = { [G4_JSON_NULL] = "null", [G4_JSON_BOOL] = "boolean", [G4_JSON_NUMBER] = "number",
                                         [G4_JSON_STRING] = "string", [G4_JSON_ARRAY] = "array", [G4_JSON_OBJECT] = "object" };
    const enum g4_json_type t = g4_json_type(value);
    if (g4_json_is(type, "integer")) return t == G4_JSON_NUMBER && is_integer(value);
    for (int i = G4_JSON_NULL; i <= G4_JSON_OBJECT; i++)
        if (g4_json_is(type, names[i])) return t == (enum g4_json_type)i;
    return -1;
}

static int check_type(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    const g4_json type = g4_json_get(schema, "type");
    int is = 0;
    if (!type.p) return G4_OK;
    if (g4_json_type(type) == G4_JSON_ARRAY) {
        for (g4_json_it it = g4_json_iter(type); is == 0 && g4_json_next(&it);) is = has_type(value, it.value);
    } else {
        is = has_type(value, type);
    }
    if (is < 0) return g4_check_broken(c, "type", "must be one or a list of null, boolean, integer, number, string, array, object");
    return is ? G4_OK : g4_check_no(c, at, "must be of type %.*s", (int)(type.n < 100 ? type.n : 100), type.p);
}

static int check_enum(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    const g4_json one = g4_json_get(schema, "const"), list = g4_json_get(schema, "enum");
    if (one.p && !g4_json_same(one, value)) return g4_check_no(c, at, "must be %.*s", (int)(one.n < 100 ? one.n : 100), one.p);
    if (!list.p) return G4_OK;
    if (g4_json_type(list) != G4_JSON_ARRAY) return g4_check_broken(c, "enum", "must be a list");
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);)
        if (g4_json_same(it.value, value)) return G4_OK;
    return g4_check_no(c, at, "must be one of %.*s", (int)(list.n < 150 ? list.n : 150), list.p);
}

/* ---- combinations -------------------------------------------------------------- */

static int check(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at);

/* 1 fits, 0 does not, negative: the schema is broken. */
static int fits(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    c->quiet++;
    const int rc = check(c, schema, value, at);
    c->quiet--;
    return rc == G4_EINPUT ? 0 : rc ? rc : 1;
}

static int check_all_of(struct g4_check *c, g4_json list, g4_json value, const struct g4_check_path *at)
{
    if (!list.p) return G4_OK;
    if (g4_json_type(list) != G4_JSON_ARRAY) return g4_check_broken(c, "allOf", "must be a list");
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);) {
        const int rc = check(c, it.value, value, at);
        if (rc) return rc;
    }
    return G4_OK;
}

static int check_any_of(struct g4_check *c, g4_json list, g4_json value, const struct g4_check_path *at)
{
    if (!list.p) return G4_OK;
    if (g4_json_type(list) != G4_JSON_ARRAY) return g4_check_broken(c, "anyOf", "must be a list");
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);) {
        const int rc = fits(c, it.value, value, at);
        if (rc) return rc > 0 ? G4_OK : rc;
    }
    return g4_check_no(c, at, "fits no branch of 'anyOf'");
}

static int check_one_of(struct g4_check *c, g4_json list, g4_json value, const struct g4_check_path *at)
{
    unsigned n = 0;
    if (!list.p) return G4_OK;
    if (g4_json_type(list) != G4_JSON_ARRAY) return g4_check_broken(c, "oneOf", "must be a list");
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);) {
        const int rc = fits(c, it.value, value, at);
        if (rc < 0) return rc;
        n += (unsigned)rc;
    }
    return n == 1 ? G4_OK : g4_check_no(c, at, "fits %u branches of 'oneOf', not one", n);
}

static int check_not(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    const g4_json no = g4_json_get(schema, "not");
    if (!no.p) return G4_OK;
    const int rc = fits(c, no, value, at);
    return rc < 0 ? rc : rc ? g4_check_no(c, at, "fits the schema of 'not'") : G4_OK;
}

static int check_if(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    const g4_json test = g4_json_get(schema, "if");
    if (!test.p) return G4_OK;
    const int rc = fits(c, test, value, at);
    if (rc < 0) return rc;
    const g4_json branch = g4_json_get(schema, rc ? "then" : "else");
    return branch.p ? check(c, branch, value, at) : G4_OK;
}

/* ---- arrays ------------------------------------------------------------------------ */

static int check_items(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    const g4_json first = g4_json_get(schema, "prefixItems"), rest = g4_json_get(schema, "items");
    struct g4_check_path here = { .up = at };
    if (first.p && g4_json_type(first) != G4_JSON_ARRAY) return g4_check_broken(c, "prefixItems", "must be a list");
    if (g4_json_type(rest) == G4_JSON_ARRAY) return g4_check_broken(c, "items", "a list is of an older draft, see prefixItems");
    if (!first.p && !rest.p) return G4_OK;
    g4_json_it pre = first.p ? g4_json_iter(first) : (g4_json_it){0};
    bool in_pre = first.p != NULL;
    for (g4_json_it it = g4_json_iter(value); g4_json_next(&it); here.index++) {
        in_pre = in_pre && g4_json_next(&pre);
        const g4_json s = in_pre ? pre.value : rest;
        const int rc = s.p ? check(c, s, it.value, &here) : G4_OK;
        if (rc) return rc;
    }
    return G4_OK;
}

static int check_contains(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    const g4_json s = g4_json_get(schema, "contains");
    uint64_t min = 1, max = UINT64_MAX, n = 0;
    if (!s.p) return G4_OK;
    int rc = g4_check_count(c, schema, "minContains", &min);
    if (rc >= 0) rc = g4_check_count(c, schema, "maxContains", &max);
    if (rc < 0) return rc;
    for (g4_json_it it = g4_json_iter(value); g4_json_next(&it);) {
        rc = fits(c, s, it.value, at);
        if (rc < 0) return rc;
        n += (uint64_t)rc;
    }
    return n >= min && n <= max ? G4_OK : g4_check_no(c, at, "has %llu items that 'contains' asks for", (unsigned long long)n);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_unique(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    const g4_json u = g4_json_get(schema, "uniqueItems");
    bool unique = false, twice = false;
    if (u.p && !g4_json_bool(u, &unique)) return g4_check_broken(c, "uniqueItems", "must be true or false");
    if (!unique) return G4_OK;
    char **text = NULL;
    size_t n = 0, cap = 0;
    for (g4_json_it it = g4_json_iter(value); g4_json_next(&it); n++) {
        g4_str s = {0};
        G4_GROW(text, cap, n + 1);
        g4_json_canon(it.value, &s); /* no NUL in it: control characters are escaped */
        text[n] = g4_str_take(&s);
    }
    if (n) qsort(text, n, sizeof *text, by_text);
    for (size_t i = 1; i < n; i++) twice |= !strcmp(text[i - 1], text[i]);
    for (size_t i = 0; i < n; i++) free(text[i]);
    free(text);
    return twice ? g4_check_no(c, at, "has the same item twice") : G4_OK;
}

static int check_size(struct g4_check *c, g4_json schema, const char *least, const char *most, uint64_t n,
                      const struct g4_check_path *at)
{
    uint64_t min = 0, max = UINT64_MAX;
    int rc = g4_check_count(c, schema, least, &min);
    if (rc >= 0) rc = g4_check_count(c, schema, most, &max);
    if (rc < 0) return rc;
    if (n < min) return g4_check_no(c, at, "has %llu, fewer than %llu (%s)", (unsigned long long)n, (unsigned long long)min, least);
    if (n > max) return g4_check_no(c, at, "has %llu, more than %llu (%s)", (unsigned long long)n, (unsigned long long)max, most);
    return G4_OK;
}

static int check_array(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    int rc = check_size(c, schema, "minItems", "maxItems", g4_json_count(value), at);
    if (!rc) rc = check_items(c, schema, value, at);
    if (!rc) rc = check_contains(c, schema, value, at);
    if (!rc) rc = check_unique(c, schema, value, at);
    return rc;
}

/* ---- objects -------------------------------------------------------------------------- */

/* Is it the last member of this name? */
static bool counts(g4_json object, const g4_json_it *it, const g4_str *name)
{
    return g4_json_member(object, name->p ? name->p : "", name->n).p == it->value.p;
}

static int check_matching(struct g4_check *c, g4_json patterns, const g4_str *name, g4_json value,
                          const struct g4_check_path *at, bool *any)
{
    if (!patterns.p) return G4_OK;
    if (g4_json_type(patterns) != G4_JSON_OBJECT) return g4_check_broken(c, "patternProperties", "must be an object");
    for (g4_json_it it = g4_json_iter(patterns); g4_json_next(&it);) {
        g4_str text = {0};
        g4_err why = {0};
        g4_json_str(it.key, &text);
        g4_regex *r = g4_regex_new(text.p ? text.p : "", text.n, &why);
        int rc = r ? G4_OK : g4_check_broken(c, "patternProperties", why.msg);
        const bool hit = r && g4_regex_search(r, name->p ? name->p : "", name->n);
        if (hit) rc = check(c, it.value, value, at);
        *any |= hit;
        g4_regex_free(r);
        g4_str_free(&text);
        if (rc) return rc;
    }
    return G4_OK;
}

static int check_member(struct g4_check *c, g4_json schema, const g4_json_it *it, const g4_str *name,
                        const struct g4_check_path *at)
{
    const g4_json properties = g4_json_get(schema, "properties"), rest = g4_json_get(schema, "additionalProperties");
    const g4_json names = g4_json_get(schema, "propertyNames");
    if (properties.p && g4_json_type(properties) != G4_JSON_OBJECT) return g4_check_broken(c, "properties", "must be an object");
    const g4_json own = g4_json_member(properties, name->p ? name->p : "", name->n);
    bool known = own.p != NULL;
    int rc = own.p ? check(c, own, it->value, at) : G4_OK;
    if (!rc) rc = check_matching(c, g4_json_get(schema, "patternProperties"), name, it->value, at, &known);
    if (!rc && !known && rest.p) {
        bool allowed = true;
        if (g4_json_bool(rest, &allowed) && !allowed) return g4_check_no(c, at, "is not an allowed property");
        rc = check(c, rest, it->value, at);
    }
    if (!rc && names.p) rc = check(c, names, it->key, at);
    return rc;
}

static int check_required(struct g4_check *c, const char *keyword, g4_json list, g4_json value, const struct g4_check_path *at)
{
    if (!list.p) return G4_OK;
    if (g4_json_type(list) != G4_JSON_ARRAY) return g4_check_broken(c, keyword, "must be a list of names");
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);) {
        g4_str name = {0};
        if (g4_json_type(it.value) != G4_JSON_STRING) return g4_check_broken(c, keyword, "must be a list of names");
        g4_json_str(it.value, &name);
        const bool has = g4_json_member(value, name.p ? name.p : "", name.n).p != NULL;
        const int rc = has ? G4_OK : g4_check_no(c, at, "lacks the property '%.80s'", name.p ? name.p : "");
        g4_str_free(&name);
        if (rc) return rc;
    }
    return G4_OK;
}

static int check_dependent(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    static const char *const keywords[] = { "dependentRequired", "dependentSchemas" };
    for (int k = 0; k < 2; k++) {
        const g4_json map = g4_json_get(schema, keywords[k]);
        if (!map.p) continue;
        if (g4_json_type(map) != G4_JSON_OBJECT) return g4_check_broken(c, keywords[k], "must be an object");
        for (g4_json_it it = g4_json_iter(map); g4_json_next(&it);) {
            g4_str name = {0};
            g4_json_str(it.key, &name);
            const bool has = g4_json_member(value, name.p ? name.p : "", name.n).p != NULL;
            g4_str_free(&name);
            const int rc = !has ? G4_OK : k ? check(c, it.value, value, at) : check_required(c, keywords[0], it.value, value, at);
            if (rc) return rc;
        }
    }
    return G4_OK;
}

static int check_object(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    uint64_t n = 0;
    int rc = check_required(c, "required", g4_json_get(schema, "required"), value, at);
    for (g4_json_it it = g4_json_iter(value); !rc && g4_json_next(&it);) {
        const struct g4_check_path here = { .up = at, .key = it.key };
        g4_str name = {0};
        g4_json_str(it.key, &name);
        if (counts(value, &it, &name)) {
            n++;
            rc = check_member(c, schema, &it, &name, &here);
        }
        g4_str_free(&name);
    }
    if (!rc) rc = check_size(c, schema, "minProperties", "maxProperties", n, at);
    if (!rc) rc = check_dependent(c, schema, value, at);
    return rc;
}

/* ---- any schema ------------------------------------------------------------------------- */

/* What this validator cannot check must not be taken for checked. */
static int check_known(struct g4_check *c, g4_json schema)
{
    static const char *const beyond[] = { "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef",
                                          "dependencies", "additionalItems" };
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
        if (g4_json_get(schema, beyond[i]).p) return g4_check_broken(c, beyond[i], "cannot be checked");
    return G4_OK;
}

static int check_ref(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    const g4_json ref = g4_json_get(schema, "$ref");
    g4_json target;
    if (!ref.p) return G4_OK;
    const int rc = g4_schema_ref(c->root, ref, &target, c->err);
    return rc ? rc : check(c, target, value, at);
}

static int check_by_type(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    switch (g4_json_type(value)) {
    case G4_JSON_NUMBER: return g4_check_number(c, schema, value, at);
    case G4_JSON_STRING: return g4_check_string(c, schema, value, at);
    case G4_JSON_ARRAY: return check_array(c, schema, value, at);
    case G4_JSON_OBJECT: return check_object(c, schema, value, at);
    default: return G4_OK;
    }
}

static int check_keywords(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    int rc = check_known(c, schema);
    if (!rc) rc = check_ref(c, schema, value, at);
    if (!rc) rc = check_type(c, schema, value, at);
    if (!rc) rc = check_enum(c, schema, value, at);
    if (!rc) rc = check_by_type(c, schema, value, at);
    if (!rc) rc = check_all_of(c, g4_json_get(schema, "allOf"), value, at);
    if (!rc) rc = check_any_of(c, g4_json_get(schema, "anyOf"), value, at);
    if (!rc) rc = check_one_of(c, g4_json_get(schema, "oneOf"), value, at);
    if (!rc) rc = check_not(c, schema, value, at);
    if (!rc) rc = check_if(c, schema, value, at);
    return rc;
}

static int check(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at)
{
    bool all = true;
    if (g4_json_bool(schema, &all)) return all ? G4_OK : g4_check_no(c, at, "is not allowed");
    if (g4_json_type(schema) != G4_JSON_OBJECT) return g4_fail(c->err, G4_ESCHEMA, "a schema must be an object, true or false");
    if (c->depth >= MAX_DEPTH) return g4_fail(c->err, G4_ESCHEMA, "a schema that refers to itself without end");
    c->depth++;
    const int rc = check_keywords(c, schema, value, at);
    c->depth--;
    return rc;
}

int g4_validate_at(g4_json root, g4_json schema, g4_json value, g4_err *err)
{
    struct g4_check c = { .root = root, .err = err };
    return check(&c, schema, value, NULL);
}

int g4_validate(g4_json schema, g4_json value, g4_err *err)
{
    return g4_validate_at(schema, schema, value, err);
}
