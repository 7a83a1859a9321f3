/* text/schema: the compiler (schema.h).
 *
 * What a value must satisfy is a list of parts that hold together: schemas met
 * through allOf, $ref and branches.  flatten() opens them until only bases and
 * anyOf/oneOf lists are left; lists are distributed branch by branch; what then
 * remains is merged type by type.  The same list of parts gives the same node, and a
 * list that is met again while it is worked on is a rule: recursion. */
#include "text/schema.h"

#include <stdlib.h>
#include <string.h>

#include "text/schema_impl.h"
#include "text/validate.h"

enum { MAX_DEPTH = 300, MAX_COUNT = 5000, MAX_VALUES = 10000, MAX_BYTES = 1 << 20, MAX_ANY = 1000, MAX_ONE = 200 };

/* ---- lists of parts --------------------------------------------------------------- */

void g4_parts_add(struct g4_parts *p, enum g4_part_kind kind, g4_json v)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].kind == kind && p->v[i].v.p == v.p) return;
    G4_GROW(p->v, p->cap, p->n + 1);
    p->v[p->n++] = (struct g4_part){ kind, v };
}

void g4_parts_free(struct g4_parts *p)
{
    free(p->v);
    *p = (struct g4_parts){0};
}

static bool same_parts(const struct g4_parts *a, const struct g4_parts *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        bool found = false;
        for (size_t k = 0; k < b->n && !found; k++) found = a->v[i].kind == b->v[k].kind && a->v[i].v.p == b->v[k].v.p;
        if (!found) return false;
    }
    return true;
}

static void copy_parts(struct g4_parts *to, const struct g4_parts *from)
{
    for (size_t i = 0; i < from->n; i++) g4_parts_add(to, from->v[i].kind, from->v[i].v);
}

/* ---- opening ----------------------------------------------------------------------- */

struct opened { /* schemas that are opened, and which one led to each first */
    struct g4_parts todo;
    size_t *from, cap;
};

static void open_later(struct opened *o, g4_json s, size_t from)
{
    const size_t n = o->todo.n;
    g4_parts_add(&o->todo, G4_PART_WHOLE, s);
    if (o->todo.n == n) return;
    G4_GROW(o->from, o->cap, n + 1);
    o->from[n] = from;
}

/* Would opening s for the i-th schema come back to one that led there? */
static bool comes_back(const struct opened *o, size_t i, g4_json s)
{
    for (;; i = o->from[i]) {
        if (o->todo.v[i].v.p == s.p) return true;
        if (o->from[i] == i) return false;
    }
}

static int open_schema(struct g4_lower *l, struct opened *o, size_t i, struct g4_parts *out)
{
    const g4_json s = o->todo.v[i].v;
    const g4_json ref = g4_json_get(s, "$ref"), all = g4_json_get(s, "allOf"), any = g4_json_get(s, "anyOf"), one = g4_json_get(s, "oneOf");
    int rc = g4_schema_keywords(l, s);
    if (rc) return rc;
    g4_parts_add(out, G4_PART_BASE, s);
    if (ref.p) {
        g4_json target;
        g4_err why = {0};
        if (g4_schema_ref(l->root, ref, &target, &why)) return g4_schema_refuse(l, s, "$ref", why.msg);
        if (comes_back(o, i, target)) return g4_schema_refuse(l, s, "$ref", "refers to itself without end");
        open_later(o, target, i);
    }
    if (all.p)
        for (g4_json_it it = g4_json_iter(all); g4_json_next(&it);) open_later(o, it.value, i);
    if (any.p) g4_parts_add(out, G4_PART_ANY, any);
    if (one.p) g4_parts_add(out, G4_PART_ONE, one);
    return G4_OK;
}

int g4_lower_flatten(struct g4_lower *l, struct g4_parts *parts, bool *never)
{
    struct g4_parts out = {0};
    struct opened o = {0};
    int rc = G4_OK;
    *never = false;
    for (size_t i = 0; i < parts->n; i++)
        if (parts->v[i].kind == G4_PART_WHOLE) open_later(&o, parts->v[i].v, o.todo.n);
        else g4_parts_add(&out, parts->v[i].kind, parts->v[i].v);
    for (size_t i = 0; i < o.todo.n && !rc; i++) { /* grows while it is read; each schema once, so that cycles end */
        const g4_json s = o.todo.v[i].v;
        bool yes = true;
        if (g4_json_bool(s, &yes)) *never |= !yes;
        else if (g4_json_type(s) != G4_JSON_OBJECT) rc = g4_schema_refuse(l, s, "schema", "must be an object, true or false");
        else rc = open_schema(l, &o, i, &out);
    }
    g4_parts_free(&o.todo);
    free(o.from);
    g4_parts_free(parts);
    *parts = out;
    return rc;
}

/* ---- types -------------------------------------------------------------------------- */

static unsigned type_bit(g4_json t)
{
    static const struct { const char *name; unsigned bits; } names[] = {
        { "null", G4_T_NULL }, { "boolean", G4_T_BOOL }, { "integer", G4_T_INTEGER }, { "number", G4_T_NUMBER },
        { "string", G4_T_STRING }, { "array", G4_T_ARRAY }, { "object", G4_T_OBJECT },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (g4_json_is(t, names[i].name)) return names[i].bits;
    return 0;
}

unsigned g4_lower_types(const struct g4_parts *parts)
{
    unsigned all = G4_T_ALL;
    for (size_t i = 0; i < parts->n; i++) {
        const g4_json t = g4_json_get(parts->v[i].v, "type");
        unsigned own = 0;
        if (parts->v[i].kind != G4_PART_BASE || !t.p) continue;
        if (g4_json_type(t) == G4_JSON_STRING) own = type_bit(t);
        else
            for (g4_json_it it = g4_json_iter(t); g4_json_next(&it);) own |= type_bit(it.value);
        all &= own;
    }
    return all;
}

/* ---- checks afterwards ---------------------------------------------------------------- */

bool g4_schema_holds(void *arg, g4_json value)
{
    const struct g4_check_arg *c = arg;
    return g4_validate_at(c->root, c->schema, value, NULL) == G4_OK;
}

g4_node g4_lower_checked(struct g4_lower *l, g4_node v, const char *keyword, g4_json list)
{
    struct g4_check_arg *arg = g4_arena_alloc(g4_grammar_arena(l->g), sizeof *arg);
    g4_str s = {0};
    g4_str_addf(&s, "{\"%s\":%.*s}", keyword, (int)list.n, list.p);
    arg->root = l->root;
    arg->schema = (g4_json){ g4_arena_strndup(g4_grammar_arena(l->g), s.p, s.n), s.n };
    g4_str_free(&s);
    return g4_node_checked(l->g, v, g4_schema_holds, arg);
}

/* ---- arrays ---------------------------------------------------------------------------- */

static int lower_inside(struct g4_lower *l, struct g4_parts *parts, g4_node *out)
{
    l->inside++;
    const int rc = g4_lower(l, parts, out);
    l->inside--;
    g4_parts_free(parts);
    return rc;
}

/* What item i must satisfy; i beyond all prefixItems: every further one. */
static void item_parts(const struct g4_parts *parts, size_t i, struct g4_parts *out)
{
    for (size_t k = 0; k < parts->n; k++) {
        const g4_json s = parts->v[k].v, prefix = g4_json_get(s, "prefixItems"), rest = g4_json_get(s, "items");
        if (parts->v[k].kind != G4_PART_BASE) continue;
        if (prefix.p && i < g4_json_count(prefix)) g4_parts_add(out, G4_PART_WHOLE, g4_json_at(prefix, i));
        else if (rest.p) g4_parts_add(out, G4_PART_WHOLE, rest);
    }
}

static int array_bounds(struct g4_lower *l, const struct g4_parts *parts, struct g4_array_spec *spec)
{
    for (size_t k = 0; k < parts->n; k++) {
        const g4_json s = parts->v[k].v;
        uint32_t min = 0, max = UINT32_MAX;
        bool unique = false;
        if (parts->v[k].kind != G4_PART_BASE) continue;
        if (g4_lower_count(l, s, "minItems", &min) || g4_lower_count(l, s, "maxItems", &max)) return G4_ESCHEMA;
        if (min > spec->min) spec->min = min;
        if (max < spec->max) spec->max = max;
        g4_json_bool(g4_json_get(s, "uniqueItems"), &unique);
        spec->unique |= unique;
        const size_t n = g4_json_count(g4_json_get(s, "prefixItems"));
        if (n > spec->n_prefix) spec->n_prefix = n;
    }
    return G4_OK;
}

/* null, true and false can be taken once each: they are choices, and the rest is a node of its own. */
static int split_choices(struct g4_lower *l, const struct g4_parts *item, struct g4_array_spec *spec)
{
    static const g4_json words[] = { { "null", 4 }, { "true", 4 }, { "false", 5 } };
    g4_node *choice = g4_arena_alloc(g4_grammar_arena(l->g), 3 * sizeof *choice);
    struct g4_parts rest = {0};
    for (int i = 0; i < 3; i++)
        if (g4_values_fit(l, item, words[i])) choice[spec->n_choice++] = g4_value_node(l, words[i]);
    if (!spec->n_choice) return G4_OK;
    spec->choice = choice;
    copy_parts(&rest, item);
    g4_parts_add(&rest, G4_PART_WHOLE, G4_SV("{\"type\":[\"number\",\"string\",\"array\",\"object\"]}"));
    return lower_inside(l, &rest, &spec->rest);
}

/* Unique items out of a small set: each is taken once, and the array cannot run into a wall. */
static int array_of_choices(struct g4_lower *l, const struct g4_parts *parts, struct g4_array_spec *spec)
{
    struct g4_parts item = {0};
    bool never;
    g4_json *v = NULL;
    size_t n = 0;
    item_parts(parts, spec->n_prefix, &item);
    int rc = g4_lower_flatten(l, &item, &never);
    if (!rc && !never && spec->unique && !spec->n_prefix && g4_values_list(l, &item, 256, &v, &n) && n) {
        g4_node *choice = g4_arena_alloc(g4_grammar_arena(l->g), n * sizeof *choice);
        for (size_t i = 0; i < n; i++) choice[i] = g4_value_node(l, v[i]);
        spec->choice = choice;
        spec->n_choice = n;
    } else if (!rc && !never && spec->unique && !spec->n_prefix) {
        rc = split_choices(l, &item, spec);
    }
    free(v);
    g4_parts_free(&item);
    return rc;
}

static int lower_array(struct g4_lower *l, const struct g4_parts *parts, g4_node *out)
{
    struct g4_array_spec spec = { .max = UINT32_MAX };
    if (array_bounds(l, parts, &spec) || array_of_choices(l, parts, &spec)) return G4_ESCHEMA;
    if (spec.n_prefix > spec.max) spec.n_prefix = spec.max;
    g4_node *prefix = g4_arena_alloc(g4_grammar_arena(l->g), (spec.n_prefix + 1) * sizeof *prefix);
    for (size_t i = 0; i <= spec.n_prefix && !spec.choice; i++) {
        struct g4_parts item = {0};
        item_parts(parts, i, &item);
        if (lower_inside(l, &item, &prefix[i])) return G4_ESCHEMA;
    }
    spec.prefix = prefix;
    if (!spec.choice) spec.rest = prefix[spec.n_prefix];
    *out = g4_node_array(l->g, &l->p.dialect, &spec);
    return G4_OK;
}

/* ---- objects ---------------------------------------------------------------------------- */

static bool names_it(g4_json list, const g4_str *name)
{
    if (g4_json_type(list) != G4_JSON_ARRAY) return false;
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);) {
        g4_str s = {0};
        g4_json_str(it.value, &s);
        const bool same = s.n == name->n && (!s.n || !memcmp(s.p, name->p, s.n));
        g4_str_free(&s);
        if (same) return true;
    }
    return false;
}

static g4_json property(g4_json schema, const g4_str *name)
{
    const g4_json all = g4_json_get(schema, "properties");
    g4_json found = {0};
    for (g4_json_it it = all.p ? g4_json_iter(all) : (g4_json_it){0}; all.p && g4_json_next(&it);) {
        g4_str s = {0};
        g4_json_str(it.key, &s);
        if (s.n == name->n && (!s.n || !memcmp(s.p, name->p, s.n))) found = it.value;
        g4_str_free(&s);
    }
    return found;
}

/* What the member of this name (NULL: a name that no schema mentions) must satisfy. */
int g4_lower_member(struct g4_lower *l, const struct g4_parts *parts, const g4_str *name, struct g4_parts *out, bool *required)
{
    *required = false;
    for (size_t k = 0; k < parts->n; k++) {
        const g4_json s = parts->v[k].v, rest = g4_json_get(s, "additionalProperties");
        if (parts->v[k].kind != G4_PART_BASE) continue;
        const g4_json own = name ? property(s, name) : (g4_json){0};
        if (own.p) g4_parts_add(out, G4_PART_WHOLE, own);
        else if (rest.p) g4_parts_add(out, G4_PART_WHOLE, rest);
        if (name && names_it(g4_json_get(s, "required"), name)) *required = true;
    }
    return G4_OK;
}

struct names {
    g4_str *v;
    size_t n, cap;
};

static void add_name(struct names *x, g4_json name)
{
    g4_str s = {0};
    g4_json_str(name, &s);
    for (size_t i = 0; i < x->n; i++)
        if (x->v[i].n == s.n && (!s.n || !memcmp(x->v[i].p, s.p, s.n))) {
            g4_str_free(&s);
            return;
        }
    G4_GROW(x->v, x->cap, x->n + 1);
    x->v[x->n++] = s;
}

static void free_names(struct names *x)
{
    for (size_t i = 0; i < x->n; i++) g4_str_free(&x->v[i]);
    free(x->v);
}

/* All names that are mentioned: properties in their order, then what is only required. */
static void collect_names(const struct g4_parts *parts, struct names *x)
{
    for (int required = 0; required < 2; required++)
        for (size_t k = 0; k < parts->n; k++) {
            const g4_json list = g4_json_get(parts->v[k].v, required ? "required" : "properties");
            if (parts->v[k].kind != G4_PART_BASE || !list.p) continue;
            for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);) add_name(x, required ? it.value : it.key);
        }
}

static int object_bounds(struct g4_lower *l, const struct g4_parts *parts, struct g4_object_spec *spec)
{
    for (size_t k = 0; k < parts->n; k++) {
        uint32_t min = 0, max = UINT32_MAX;
        if (parts->v[k].kind != G4_PART_BASE) continue;
        if (g4_lower_count(l, parts->v[k].v, "minProperties", &min) || g4_lower_count(l, parts->v[k].v, "maxProperties", &max)) return G4_ESCHEMA;
        if (min > 60000 || (max > 60000 && max != UINT32_MAX)) return g4_schema_refuse(l, parts->v[k].v, "minProperties", "more than 60000");
        if (min > spec->min) spec->min = min;
        if (max < spec->max) spec->max = max;
    }
    return G4_OK;
}

static int lower_object(struct g4_lower *l, const struct g4_parts *parts, g4_node *out)
{
    struct g4_object_spec spec = { .max = UINT32_MAX, .any_order = l->p.any_order || l->p.dialect.call };
    struct names names = {0};
    struct g4_parts rest = {0};
    bool required;
    if (object_bounds(l, parts, &spec)) return G4_ESCHEMA;
    collect_names(parts, &names);
    struct g4_member_spec *m = g4_arena_alloc(g4_grammar_arena(l->g), (names.n + 1) * sizeof *m);
    int rc = G4_OK;
    for (size_t i = 0; i < names.n && !rc; i++) {
        struct g4_parts own = {0};
        g4_lower_member(l, parts, &names.v[i], &own, &m[i].required);
        m[i].name = (g4_sv){ names.v[i].p ? names.v[i].p : "", names.v[i].n };
        rc = lower_inside(l, &own, &m[i].value);
    }
    g4_lower_member(l, parts, NULL, &rest, &required);
    /* A call gives the arguments that are declared, unless the declaration speaks of others. */
    if (l->p.dialect.call && names.n && !rest.n) g4_parts_add(&rest, G4_PART_WHOLE, G4_SV("false"));
    if (!rc) rc = lower_inside(l, &rest, &spec.other);
    spec.member = m;
    spec.n_member = names.n;
    if (!rc) *out = g4_node_object(l->g, &l->p.dialect, &spec);
    free_names(&names);
    g4_parts_free(&rest);
    return rc;
}

/* ---- one list of parts --------------------------------------------------------------------- */

static int lower_types(struct g4_lower *l, const struct g4_parts *parts, g4_node *out)
{
    const unsigned types = g4_lower_types(parts);
    g4_node alt[8];
    size_t n = 0;
    int rc = G4_OK;
    if (types & G4_T_OBJECT) rc = lower_object(l, parts, &alt[n++]);
    if (!rc && types & G4_T_ARRAY) rc = lower_array(l, parts, &alt[n++]);
    if (!rc && types & G4_T_STRING) rc = g4_lower_string(l, parts, &alt[n++]);
    if (!rc && types & G4_T_NUMBER) {
        struct g4_number number;
        rc = g4_lower_number(l, parts, !(types & G4_T_FRACTION), &number);
        if (!rc) alt[n++] = g4_node_number(l->g, &number);
        if (!rc) g4_number_free(&number);
    }
    if (rc) return rc;
    if (types & G4_T_BOOL) {
        alt[n++] = g4_node_bytes(l->g, "true", 4);
        alt[n++] = g4_node_bytes(l->g, "false", 5);
    }
    if (types & G4_T_NULL) alt[n++] = g4_node_bytes(l->g, "null", 4);
    *out = g4_node_alt(l->g, alt, n);
    return G4_OK;
}

/* The branches of an anyOf, each together with all the rest. */
static int lower_any_of(struct g4_lower *l, const struct g4_parts *rest, g4_json list, g4_node *out)
{
    const size_t n = g4_json_count(list);
    g4_node *alt = g4_arena_alloc(g4_grammar_arena(l->g), (n + 1) * sizeof *alt);
    size_t i = 0;
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it); i++) {
        struct g4_parts branch = {0};
        copy_parts(&branch, rest);
        g4_parts_add(&branch, G4_PART_WHOLE, it.value);
        const int rc = g4_lower(l, &branch, &alt[i]);
        g4_parts_free(&branch);
        if (rc) return rc;
    }
    *out = g4_node_alt(l->g, alt, n);
    return G4_OK;
}

static int lower_values(struct g4_lower *l, const struct g4_parts *parts, g4_node *out)
{
    g4_json *v = NULL;
    size_t n = 0;
    const bool all = g4_values_list(l, parts, MAX_VALUES, &v, &n);
    if (all) *out = g4_values_node(l, v, n);
    free(v);
    return all ? G4_OK : g4_schema_refuse(l, parts->v[0].v, "enum", "more than 10000 values");
}

static int check_branches(struct g4_lower *l, const struct g4_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) {
        const struct g4_part p = parts->v[i];
        if (p.kind == G4_PART_ANY && g4_json_count(p.v) > MAX_ANY) return g4_schema_refuse(l, p.v, "anyOf", "more than 1000 branches");
        if (p.kind == G4_PART_ONE && g4_json_count(p.v) > MAX_ONE) return g4_schema_refuse(l, p.v, "oneOf", "more than 200 branches");
    }
    return G4_OK;
}

static int lower_parts(struct g4_lower *l, const struct g4_parts *parts, g4_node *out)
{
    if (check_branches(l, parts)) return G4_ESCHEMA;
    if (g4_values_given(parts)) return lower_values(l, parts, out);
    for (size_t i = 0; i < parts->n; i++) {
        struct g4_parts rest = {0};
        const struct g4_part group = parts->v[i];
        if (group.kind == G4_PART_BASE) continue;
        for (size_t k = 0; k < parts->n; k++)
            if (k != i) g4_parts_add(&rest, parts->v[k].kind, parts->v[k].v);
        const int rc = group.kind == G4_PART_ANY ? lower_any_of(l, &rest, group.v, out) : g4_lower_one_of(l, &rest, group.v, out);
        g4_parts_free(&rest);
        return rc;
    }
    return lower_types(l, parts, out);
}

static int limits(struct g4_lower *l)
{
    if (l->depth >= MAX_DEPTH) return g4_fail(l->err, G4_ESCHEMA, "the schema is nested too deep");
    if (++l->count > MAX_COUNT) return g4_fail(l->err, G4_ESCHEMA, "the schema has too many combinations of anyOf, oneOf and allOf");
    return G4_OK;
}

int g4_lower(struct g4_lower *l, struct g4_parts *parts, g4_node *out)
{
    bool never;
    *out = G4_NODE_NEVER;
    if (limits(l) || g4_lower_flatten(l, parts, &never)) return G4_ESCHEMA;
    if (never) return G4_OK;
    for (size_t i = 0; i < l->n_memo; i++) {
        struct g4_lower_memo *m = &l->memo[i];
        if (!same_parts(&m->parts, parts)) continue;
        if (!m->busy) {
            *out = m->node;
        } else if (l->inside > m->inside) { /* else it contains itself, which adds nothing */
            if (!m->used) m->rule = g4_node_rule(l->g);
            m->used = true;
            *out = m->rule;
        }
        return G4_OK;
    }
    const size_t at = l->n_memo++;
    G4_GROW(l->memo, l->cap_memo, l->n_memo);
    l->memo[at] = (struct g4_lower_memo){ .busy = true, .inside = l->inside };
    copy_parts(&l->memo[at].parts, parts);
    l->depth++;
    const int rc = lower_parts(l, parts, out);
    l->depth--;
    struct g4_lower_memo *m = &l->memo[at];
    m->busy = false;
    if (m->used) g4_node_define(l->g, m->rule, *out);
    m->node = *out;
    return rc;
}

int g4_schema_node(g4_grammar *g, const struct g4_schema_params *p, g4_node *out, g4_err *err)
{
    struct g4_lower l = { .g = g, .p = *p, .err = err };
    struct g4_parts parts = {0};
    if (p->root.n > MAX_BYTES) return g4_fail(err, G4_ESCHEMA, "a schema of more than 1 MiB");
    const char *copy = g4_arena_strndup(g4_grammar_arena(g), p->root.p, p->root.n);
    l.root = (g4_json){ copy, p->root.n };
    g4_parts_add(&parts, G4_PART_WHOLE, (g4_json){ copy + (p->schema.p - p->root.p), p->schema.n });
    if (p->object) g4_parts_add(&parts, G4_PART_WHOLE, G4_SV("{\"type\":\"object\"}"));
    const int rc = g4_lower(&l, &parts, out);
    for (size_t i = 0; i < l.n_memo; i++) g4_parts_free(&l.memo[i].parts);
    free(l.memo);
    g4_parts_free(&parts);
    return rc;
}

int g4_schema_arguments(g4_grammar *g, const struct g4_dialect *d, g4_json function, g4_node *out, g4_err *err)
{
    const g4_json own = g4_json_get(function, "function"), given = g4_json_get(own.p ? own : function, "parameters");
    const bool any = g4_json_type(given) == G4_JSON_OBJECT && g4_json_count(given);
    const g4_json none = G4_SV("{\"additionalProperties\":false}"); /* no parameters are declared: none are given */
    struct g4_schema_params p = { .root = any ? given : none, .dialect = *d, .object = true };
    p.schema = p.root;
    return g4_schema_node(g, &p, out, err);
}
