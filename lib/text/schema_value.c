/* text/schema_value: enum and const, and other types of few values: the values are
 * listed, those that the rest of the schema rejects are left out, and what remains
 * is spelled. */
#include <stdlib.h>
#include <string.h>

#include "text/schema_impl.h"
#include "text/validate.h"
#include "text/validate_impl.h"

bool g4_values_given(const struct g4_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++)
        if (parts->v[i].kind == G4_PART_BASE && (g4_json_get(parts->v[i].v, "enum").p || g4_json_get(parts->v[i].v, "const").p)) return true;
    return false;
}

/* A base stands for its whole schema here: the lists that were taken out of it hold too. */
bool g4_values_fit(struct g4_lower *l, const struct g4_parts *parts, g4_json value)
{
    for (size_t i = 0; i < parts->n; i++) {
        const g4_json s = parts->v[i].v;
        if (parts->v[i].kind == G4_PART_BASE && g4_validate_at(l->root, s, value, NULL)) return false;
        bool any = parts->v[i].kind == G4_PART_BASE;
        for (g4_json_it it = any ? (g4_json_it){0} : g4_json_iter(s); !any && g4_json_next(&it);) any = !g4_validate_at(l->root, it.value, value, NULL);
        if (!any) return false;
    }
    return true;
}

struct values {
    g4_json *v;
    size_t n, cap, max;
    bool over, all_fit; /* more than max; nothing but the list itself says which are valid */
};

/* Is there a list, and nothing besides? */
static bool is_mere_list(const struct g4_parts *parts)
{
    static const char *const besides[] = {
        "type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "format",
        "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "properties", "required", "additionalProperties", "minProperties",
        "maxProperties", "not", "if", "patternProperties", "propertyNames", "contains", "dependentRequired", "dependentSchemas",
    };
    if (parts->n != 1 || parts->v[0].kind != G4_PART_BASE || g4_json_count(parts->v[0].v) > 20) return false;
    if (g4_json_get(parts->v[0].v, "enum").p && g4_json_get(parts->v[0].v, "const").p) return false;
    for (size_t i = 0; i < sizeof besides / sizeof *besides; i++)
        if (g4_json_get(parts->v[0].v, besides[i]).p) return false;
    return true;
}

static void add(struct g4_lower *l, struct values *x, const struct g4_parts *parts, g4_json v)
{
    if (x->over || (!x->all_fit && !g4_values_fit(l, parts, v))) return;
    for (size_t i = 0; i < x->n; i++)
        if (g4_json_same(x->v[i], v)) return;
    if (x->n == x->max) {
        x->over = true;
        return;
    }
    G4_GROW(x->v, x->cap, x->n + 1);
    x->v[x->n++] = v;
}

static void add_given(struct g4_lower *l, struct values *x, const struct g4_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) {
        const g4_json one = g4_json_get(parts->v[i].v, "const"), list = g4_json_get(parts->v[i].v, "enum");
        if (parts->v[i].kind != G4_PART_BASE || (!one.p && !list.p)) continue;
        if (one.p) add(l, x, parts, one);
        else if (g4_json_count(list) > x->max) x->over = true; /* before all of them are compared with all */
        else
            for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);) add(l, x, parts, it.value);
        return; /* the others only take away */
    }
}

/* The integers of a schema with both bounds. */
static bool add_integers(struct g4_lower *l, struct values *x, const struct g4_parts *parts, bool integer)
{
    struct g4_number n;
    bool few = false;
    if (g4_lower_number(l, parts, integer, &n)) return false;
    if (n.grid && n.has_lo && n.has_hi && !n.places && g4_number_count(&n, x->max + 1) <= x->max && n.lo_grid > -(1ll << 60) && n.hi_grid < 1ll << 60) {
        few = true;
        for (long long v = (long long)n.lo_grid; v <= (long long)n.hi_grid; v++) {
            g4_str s = {0};
            g4_str_addf(&s, "%lld", v);
            if (v % (long long)n.unit == 0) add(l, x, parts, (g4_json){ g4_arena_strndup(g4_grammar_arena(l->g), s.p, s.n), s.n });
            g4_str_free(&s);
        }
    } else if (!g4_number_exists(&n)) {
        few = true;
    }
    g4_number_free(&n);
    return few;
}

bool g4_values_list(struct g4_lower *l, const struct g4_parts *parts, size_t max, g4_json **out, size_t *n)
{
    struct values x = { .max = max };
    const unsigned types = g4_lower_types(parts);
    bool few = true;
    if (g4_values_given(parts)) {
        x.all_fit = is_mere_list(parts);
        add_given(l, &x, parts);
    } else {
        for (size_t i = 0; i < parts->n; i++) few = few && parts->v[i].kind == G4_PART_BASE;
        few = few && !(types & (G4_T_STRING | G4_T_ARRAY | G4_T_OBJECT | G4_T_FRACTION));
        if (few && types & G4_T_INTEGER) few = add_integers(l, &x, parts, true);
        if (few && types & G4_T_BOOL) {
            add(l, &x, parts, G4_SV("true"));
            add(l, &x, parts, G4_SV("false"));
        }
        if (few && types & G4_T_NULL) add(l, &x, parts, G4_SV("null"));
    }
    *out = x.v;
    *n = x.n;
    return few && !x.over;
}

/* ---- spelling ----------------------------------------------------------------------------- */

static g4_node number_node(struct g4_lower *l, g4_json v)
{
    struct g4_number n = { .has_lo = true, .has_hi = true };
    g4_decimal_parse(v, &n.lo);
    g4_decimal_parse(v, &n.hi);
    g4_number_prepare(&n);
    const g4_node node = g4_node_number(l->g, &n);
    g4_number_free(&n);
    return node;
}

static g4_node array_node(struct g4_lower *l, g4_json v)
{
    const size_t n = g4_json_count(v);
    g4_node *item = g4_arena_alloc(g4_grammar_arena(l->g), (n + 1) * sizeof *item);
    size_t i = 0;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);) item[i++] = g4_value_node(l, it.value);
    const struct g4_array_spec spec = { .prefix = item, .n_prefix = n, .min = (uint32_t)n, .max = (uint32_t)n };
    return g4_node_array(l->g, &l->p.dialect, &spec);
}

static g4_node object_node(struct g4_lower *l, g4_json v)
{
    const size_t n = g4_json_count(v);
    struct g4_member_spec *m = g4_arena_alloc(g4_grammar_arena(l->g), (n + 1) * sizeof *m);
    size_t k = 0;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);) {
        g4_str s = {0};
        g4_json_str(it.key, &s);
        const bool last = g4_json_member(v, s.p ? s.p : "", s.n).p == it.value.p;
        if (last) m[k++] = (struct g4_member_spec){ { g4_arena_strndup(g4_grammar_arena(l->g), s.p ? s.p : "", s.n), s.n }, g4_value_node(l, it.value), true };
        g4_str_free(&s);
    }
    const struct g4_object_spec spec = { .member = m, .n_member = k, .max = UINT32_MAX, .any_order = l->p.any_order || l->p.dialect.call };
    return g4_node_object(l->g, &l->p.dialect, &spec);
}

g4_node g4_value_node(struct g4_lower *l, g4_json v)
{
    switch (g4_json_type(v)) {
    case G4_JSON_STRING: return g4_values_node(l, &v, 1);
    case G4_JSON_NUMBER: return number_node(l, v);
    case G4_JSON_ARRAY: return array_node(l, v);
    case G4_JSON_OBJECT: return object_node(l, v);
    default: return g4_node_bytes(l->g, v.p, v.n);
    }
}

/* One of these distinct values; all strings share one DFA. */
g4_node g4_values_node(struct g4_lower *l, const g4_json *v, size_t n)
{
    g4_arena *a = g4_grammar_arena(l->g);
    g4_node *alt = g4_arena_alloc(a, (n + 1) * sizeof *alt);
    g4_sv *text = g4_arena_alloc(a, (n + 1) * sizeof *text);
    size_t n_alt = 0, n_text = 0;
    for (size_t i = 0; i < n; i++) {
        g4_str s = {0};
        if (g4_json_type(v[i]) != G4_JSON_STRING) {
            alt[n_alt++] = g4_value_node(l, v[i]);
            continue;
        }
        g4_json_str(v[i], &s);
        text[n_text++] = (g4_sv){ g4_arena_strndup(a, s.p ? s.p : "", s.n), s.n };
        g4_str_free(&s);
    }
    if (n_text) alt[n_alt++] = g4_node_string(l->g, &l->p.dialect, g4_dfa_strings(text, n_text, false), 0, UINT32_MAX);
    return g4_node_alt(l->g, alt, n_alt);
}
