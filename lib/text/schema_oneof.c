/* text/schema_oneof: branches that exclude each other are mere alternatives.  Where
 * that cannot be shown, numbers are cut into the intervals that one branch alone
 * holds, and everything else is checked when the value is complete. */
#include <stdlib.h>
#include <string.h>

#include "text/schema_impl.h"
#include "text/validate.h"

enum { MAX_LOOK = 4 };

static bool apart(struct g4_lower *l, const struct g4_parts *a, const struct g4_parts *b, unsigned look);

/* ---- can a value satisfy both? ------------------------------------------------------- */

/* Every listed value of a that a allows is refused by b. */
static bool values_apart(struct g4_lower *l, const struct g4_parts *a, const struct g4_parts *b)
{
    g4_json *v = NULL;
    size_t n = 0;
    bool all = g4_values_list(l, a, 1000, &v, &n);
    for (size_t i = 0; i < n && all; i++) all = !g4_values_fit(l, b, v[i]);
    free(v);
    return all;
}

static bool numbers_apart(struct g4_lower *l, const struct g4_parts *a, const struct g4_parts *b)
{
    struct g4_parts both = {0};
    struct g4_number n;
    for (size_t i = 0; i < a->n; i++) g4_parts_add(&both, a->v[i].kind, a->v[i].v);
    for (size_t i = 0; i < b->n; i++) g4_parts_add(&both, b->v[i].kind, b->v[i].v);
    const bool integer = !(g4_lower_types(&both) & G4_T_FRACTION);
    bool none = false;
    if (!g4_lower_number(l, &both, integer, &n)) {
        none = !g4_number_exists(&n);
        g4_number_free(&n);
    }
    g4_parts_free(&both);
    return none;
}

/* Is there a member that one side requires and that the two cannot agree on? */
static bool objects_apart(struct g4_lower *l, const struct g4_parts *a, const struct g4_parts *b, unsigned look)
{
    for (size_t k = 0; k < a->n; k++) {
        const g4_json required = g4_json_get(a->v[k].v, "required");
        if (a->v[k].kind != G4_PART_BASE || !required.p) continue;
        for (g4_json_it it = g4_json_iter(required); g4_json_next(&it);) {
            g4_str name = {0};
            struct g4_parts x = {0}, y = {0};
            bool in_a, in_b, never_a = false, never_b = false;
            g4_json_str(it.value, &name);
            g4_lower_member(l, a, &name, &x, &in_a);
            g4_lower_member(l, b, &name, &y, &in_b);
            bool is = !g4_lower_flatten(l, &x, &never_a) && !g4_lower_flatten(l, &y, &never_b);
            is = is && (never_a || never_b || (in_b && apart(l, &x, &y, look + 1)));
            g4_parts_free(&x);
            g4_parts_free(&y);
            g4_str_free(&name);
            if (is) return true;
        }
    }
    return false;
}

/* Certainly no value satisfies both (flattened) lists. */
static bool apart(struct g4_lower *l, const struct g4_parts *a, const struct g4_parts *b, unsigned look)
{
    const unsigned common = g4_lower_types(a) & g4_lower_types(b);
    if (!common) return true;
    if (look > MAX_LOOK) return false;
    if (g4_values_given(a) && values_apart(l, a, b)) return true;
    if (g4_values_given(b) && values_apart(l, b, a)) return true;
    if (common & (G4_T_NULL | G4_T_BOOL | G4_T_STRING | G4_T_ARRAY)) return false;
    if (common & G4_T_NUMBER && !numbers_apart(l, a, b)) return false;
    return !(common & G4_T_OBJECT) || objects_apart(l, a, b, look) || objects_apart(l, b, a, look);
}

/* ---- numbers of exactly one branch ------------------------------------------------------ */

struct edge { /* of an interval: the place just before (after 0) or just behind (1) a value */
    const struct g4_decimal *at; /* NULL: beyond everything, on the side of `after` */
    int after;
};

static int edge_cmp(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    if (!x->at || !y->at) {
        const int ox = x->at ? 0 : x->after ? 1 : -1, oy = y->at ? 0 : y->after ? 1 : -1;
        return ox - oy;
    }
    const int c = g4_decimal_cmp(x->at, y->at);
    return c ? c : x->after - y->after;
}

static struct edge low(const struct g4_number *n)
{
    return n->has_lo ? (struct edge){ &n->lo, n->lo_open } : (struct edge){ NULL, 0 };
}

static struct edge high(const struct g4_number *n)
{
    return n->has_hi ? (struct edge){ &n->hi, !n->hi_open } : (struct edge){ NULL, 1 };
}

/* The intervals that lie in one of the numbers only, as nodes. */
static g4_node one_alone(struct g4_lower *l, const struct g4_number *v, size_t n)
{
    struct edge *e = g4_alloc(2 * n * sizeof *e);
    g4_node *alt = g4_arena_alloc(g4_grammar_arena(l->g), (2 * n + 1) * sizeof *alt);
    size_t n_alt = 0;
    for (size_t i = 0; i < n; i++) {
        e[2 * i] = low(&v[i]);
        e[2 * i + 1] = high(&v[i]);
    }
    qsort(e, 2 * n, sizeof *e, edge_cmp);
    for (size_t i = 0; i + 1 < 2 * n; i++) {
        size_t holders = 0;
        for (size_t k = 0; k < n; k++) {
            const struct edge lo = low(&v[k]), hi = high(&v[k]);
            holders += edge_cmp(&lo, &e[i]) <= 0 && edge_cmp(&e[i + 1], &hi) <= 0;
        }
        if (holders != 1 || !edge_cmp(&e[i], &e[i + 1])) continue;
        struct g4_number one = { .integer = v[0].integer, .has_lo = e[i].at != NULL, .has_hi = e[i + 1].at != NULL,
                                 .lo_open = e[i].after, .hi_open = !e[i + 1].after };
        if (e[i].at) one.lo = *e[i].at;
        if (e[i + 1].at) one.hi = *e[i + 1].at;
        if (g4_number_prepare(&one)) alt[n_alt++] = g4_node_number(l->g, &one); /* borrowed bounds: not freed */
    }
    free(e);
    return g4_node_alt(l->g, alt, n_alt);
}

/* True when all branches are plain intervals of one kind of number. */
static bool as_numbers(struct g4_lower *l, const struct g4_parts *branch, size_t n, g4_node *out)
{
    struct g4_number *v = g4_alloc(n * sizeof *v);
    size_t read = 0;
    bool all = true;
    for (; read < n && all; read++) {
        const unsigned types = g4_lower_types(&branch[read]);
        for (size_t k = 0; k < branch[read].n; k++) all = all && branch[read].v[k].kind == G4_PART_BASE;
        all = all && !(types & ~(unsigned)G4_T_NUMBER) && types && !g4_values_given(&branch[read]);
        if (!all || g4_lower_number(l, &branch[read], !(types & G4_T_FRACTION), &v[read])) {
            all = false;
            break;
        }
        const bool plain = v[read].integer ? v[read].unit == 1 && !v[read].places : !v[read].unit;
        all = plain && v[read].integer == v[0].integer;
    }
    if (all) *out = one_alone(l, v, n);
    for (size_t i = 0; i < read; i++) g4_number_free(&v[i]);
    free(v);
    return all;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int as_alternatives(struct g4_lower *l, struct g4_parts *branch, size_t n, bool exclusive, g4_json list, g4_node *out)
{
    g4_node *alt = g4_arena_alloc(g4_grammar_arena(l->g), (n + 1) * sizeof *alt);
    for (size_t i = 0; i < n; i++)
        if (g4_lower(l, &branch[i], &alt[i])) return G4_ESCHEMA;
    *out = g4_node_alt(l->g, alt, n);
    if (!exclusive) *out = g4_lower_checked(l, *out, "oneOf", list);
    return G4_OK;
}

/* The parts of every branch that allow this type; those of which nothing is left do not count. */
static int of_type(struct g4_lower *l, const struct g4_parts *branch, size_t n, g4_json type, struct g4_parts *out, size_t *n_out)
{
    *n_out = 0;
    for (size_t i = 0; i < n; i++) {
        struct g4_parts *p = &out[*n_out];
        bool never;
        *p = (struct g4_parts){0};
        for (size_t k = 0; k < branch[i].n; k++) g4_parts_add(p, branch[i].v[k].kind, branch[i].v[k].v);
        g4_parts_add(p, G4_PART_WHOLE, type);
        const int rc = g4_lower_flatten(l, p, &never);
        if (rc) return rc;
        if (never || !g4_lower_types(p)) g4_parts_free(p);
        else ++*n_out;
    }
    return G4_OK;
}

/* Does nothing in these parts tell one value of this type from another? */
static bool takes_all(const struct g4_parts *p, const char *const *keywords)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->v[i].kind != G4_PART_BASE) return false;
        for (const char *const *k = keywords; *k; k++)
            if (g4_json_get(p->v[i].v, *k).p) return false;
    }
    return !g4_values_given(p);
}

static const struct {
    g4_json type;
    const char *keywords[8];
} kinds[] = {
    { { "{\"type\":\"null\"}", 15 }, { NULL } },
    { { "{\"type\":\"boolean\"}", 18 }, { NULL } },
    { { "{\"type\":\"number\"}", 17 }, { "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf" } },
    { { "{\"type\":\"string\"}", 17 }, { "minLength", "maxLength", "pattern", "format" } },
    { { "{\"type\":\"array\"}", 16 }, { "items", "prefixItems", "minItems", "maxItems", "uniqueItems" } },
    { { "{\"type\":\"object\"}", 17 }, { "properties", "required", "additionalProperties", "minProperties", "maxProperties" } },
};

/* One type after another: what excludes itself for objects may be told apart for strings, and a type that two
 * branches take as a whole is out. */
static int by_type(struct g4_lower *l, const struct g4_parts *branch, size_t n, g4_json list, g4_node *out)
{
    enum { N = sizeof kinds / sizeof *kinds };
    g4_node alt[N];
    struct g4_parts *own = g4_alloc((n + 1) * sizeof *own);
    int rc = G4_OK;
    for (size_t t = 0; t < N && !rc; t++) {
        size_t n_own, all = 0;
        bool exclusive = true;
        alt[t] = G4_NODE_NEVER;
        rc = of_type(l, branch, n, kinds[t].type, own, &n_own);
        for (size_t i = 0; i < n_own && !rc; i++) {
            const bool typed = t != 2 || g4_lower_types(&own[i]) & G4_T_FRACTION;
            all += typed && takes_all(&own[i], kinds[t].keywords);
            for (size_t k = 0; k < i && exclusive; k++) exclusive = apart(l, &own[i], &own[k], 0);
        }
        if (!rc && all < 2 && (exclusive || !as_numbers(l, own, n_own, &alt[t]))) rc = as_alternatives(l, own, n_own, exclusive, list, &alt[t]);
        for (size_t i = 0; i < n_own; i++) g4_parts_free(&own[i]);
    }
    free(own);
    *out = rc ? G4_NODE_NEVER : g4_node_alt(l->g, alt, N);
    return rc;
}

int g4_lower_one_of(struct g4_lower *l, const struct g4_parts *rest, g4_json list, g4_node *out)
{
    struct g4_parts *branch = g4_alloc((g4_json_count(list) + 1) * sizeof *branch);
    size_t n = 0;
    int rc = G4_OK;
    for (g4_json_it it = g4_json_iter(list); !rc && g4_json_next(&it); n++) {
        bool never;
        for (size_t k = 0; k < rest->n; k++) g4_parts_add(&branch[n], rest->v[k].kind, rest->v[k].v);
        g4_parts_add(&branch[n], G4_PART_WHOLE, it.value);
        rc = g4_lower_flatten(l, &branch[n], &never);
        if (!rc && never) g4_parts_free(&branch[n--]); /* holds for no value: it does not count */
    }
    bool exclusive = true;
    for (size_t i = 0; i < n && !rc; i++)
        for (size_t k = 0; k < i && exclusive; k++) exclusive = apart(l, &branch[i], &branch[k], 0);
    if (!rc && exclusive) rc = as_alternatives(l, branch, n, true, list, out);
    else if (!rc) rc = by_type(l, branch, n, list, out);
    for (size_t i = 0; i < n; i++) g4_parts_free(&branch[i]);
    free(branch);
    return rc;
}
