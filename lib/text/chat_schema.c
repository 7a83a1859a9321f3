/* text/chat_schema: JSON Schema as people write it, bent into the forms the
 * models saw in training (prompt-format spec 3.5): references put in, null
 * alternatives as `nullable`, constants as one-element enums, missing types
 * filled in.  What cannot be expressed is left as it is. */
#include "text/chat_impl.h"

#include <string.h>

/* Bounds on what references may blow up to; the second keeps recursion shallow. */
enum { MAX_NODES = 200000, MAX_DEPTH = 1000, MAX_REFS = 64 };

/* References being put in, innermost first.  A member that came through one
 * carries it as its scope, so that only a reference inside its own target counts
 * as a circle. */
struct expanding {
    const g4_node *target;
    const struct expanding *outer;
    int depth;
};

struct work {
    g4_arena *arena;
    const g4_node *root;
    size_t nodes;
    int depth;
    g4_err *err;
    bool failed;
};

static g4_node normal(struct work *w, const g4_node *v, const struct expanding *outer);

static const struct expanding *scope_of(const g4_node *v, const struct expanding *outer)
{
    return v->scope ? v->scope : outer;
}

/* ---- changing a copied object ------------------------------------------- */

static g4_node text_node(const char *z)
{
    return (g4_node){.type = G4_JSON_STRING, .text = {z, strlen(z)}};
}

static bool has(const g4_node *s, const char *key)
{
    return g4_node_get(s, key)->type != G4_JSON_NONE;
}

/* Adds or replaces; s->kid belongs to s alone and has room. */
static void set(g4_node *s, const char *key, g4_node value)
{
    value.key = (g4_sv){key, strlen(key)};
    for (size_t i = 0; i < s->n; i++)
        if (g4_sv_eq(s->kid[i].key, key)) {
            s->kid[i] = value;
            return;
        }
    s->kid[s->n++] = value;
}

static void del(g4_node *s, const char *key)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (!g4_sv_eq(s->kid[i].key, key)) s->kid[n++] = s->kid[i];
    s->n = n;
}

/* base's members, in the scope given unless that is NULL, under over's; with room
 * for the members the rules below add. */
static g4_node merged(struct work *w, const g4_node *base, const void *scope, const g4_node *over)
{
    enum { ROOM = 6 };
    g4_node out = *over;
    out.n = 0;
    out.kid = g4_arena_alloc(w->arena, (base->n + over->n + ROOM) * sizeof *out.kid);
    for (size_t i = 0; i < base->n; i++) {
        bool hidden = false;
        for (size_t j = 0; j < over->n && !hidden; j++) hidden = g4_sv_same(base->kid[i].key, over->kid[j].key);
        if (hidden) continue;
        out.kid[out.n] = base->kid[i];
        if (scope) out.kid[out.n].scope = scope;
        out.n++;
    }
    for (size_t j = 0; j < over->n; j++) out.kid[out.n++] = over->kid[j];
    w->nodes += base->n + over->n + 1;
    return out;
}

/* ---- the rules ------------------------------------------------------------ */

/* The target of "#/a/b" (RFC 6901 escapes); NULL when it leads nowhere. */
static const g4_node *resolve(const struct work *w, g4_sv ref)
{
    const g4_node *at = w->root;
    size_t i = 1;
    while (at && i < ref.n) {
        char name[256];
        size_t n = 0;
        for (i++; i < ref.n && ref.p[i] != '/'; i++) {
            char c = ref.p[i];
            if (c == '~' && i + 1 < ref.n && (ref.p[i + 1] == '0' || ref.p[i + 1] == '1')) c = ref.p[++i] == '0' ? '~' : '/';
            if (n + 1 >= sizeof name) return NULL;
            name[n++] = c;
        }
        name[n] = 0;
        at = g4_node_get(at, name);
        if (at->type == G4_JSON_NONE) at = NULL;
    }
    return at;
}

/* Puts local references in.  A reference to what is being put in already (a
 * tree's node, say) keeps type and description only. */
static void put_in(struct work *w, g4_node *s, const struct expanding *in)
{
    for (const g4_node *ref; ref = g4_node_get(s, "$ref"), ref->type == G4_JSON_STRING;) {
        if (!g4_sv_has_prefix(ref->text, "#/")) return;
        const g4_node *t = resolve(w, ref->text);
        if (!t) {
            g4_fail(w->err, G4_EINPUT, "reference '%.*s' in a tool's schema leads nowhere",
                    (int)(ref->text.n < 200 ? ref->text.n : 200), ref->text.p);
            w->failed = true;
            return;
        }
        del(s, "$ref");
        bool again = in && in->depth == MAX_REFS;
        for (const struct expanding *e = in; e && !again; e = e->outer) again = e->target == t;
        if (again) {
            const g4_node *type = g4_node_get(t, "type"), *text = g4_node_get(t, "description");
            if (type->type != G4_JSON_NONE && !has(s, "type")) set(s, "type", *type);
            if (text->type != G4_JSON_NONE && !has(s, "description")) set(s, "description", *text);
            return;
        }
        struct expanding *frame = g4_arena_alloc(w->arena, sizeof *frame);
        *frame = (struct expanding){t, in, in ? in->depth + 1 : 1};
        in = frame;
        if (t->type == G4_JSON_OBJECT) *s = merged(w, t, frame, s);
    }
}

static bool is_null_schema(const g4_node *v)
{
    return v->type == G4_JSON_OBJECT && v->n == 1 && g4_node_is(g4_node_get(v, "type"), "null");
}

/* type: [T, "null"]: T, nullable. */
static void null_type(g4_node *s)
{
    const g4_node *type = g4_node_get(s, "type");
    if (type->type != G4_JSON_ARRAY || type->n < 2) return;
    const g4_node *only = NULL;
    size_t rest = 0;
    for (size_t i = 0; i < type->n; i++)
        if (!g4_node_is(type->kid + i, "null")) {
            only = type->kid + i;
            rest++;
        }
    if (rest != 1) return;
    set(s, "type", *only);
    set(s, "nullable", (g4_node){.type = G4_JSON_BOOL, .yes = true});
}

static bool all_numbers(const g4_node *list, bool *integers)
{
    *integers = true;
    for (size_t i = 0; i < list->n; i++) {
        const g4_sv t = list->kid[i].text;
        if (list->kid[i].type != G4_JSON_NUMBER) return false;
        if (memchr(t.p, '.', t.n) || memchr(t.p, 'e', t.n) || memchr(t.p, 'E', t.n)) *integers = false;
    }
    return list->type == G4_JSON_ARRAY && list->n > 0;
}

/* An enum of numbers has no form of its own: it goes into the description. */
static void number_enum(struct work *w, g4_node *s)
{
    const g4_node *list = g4_node_get(s, "enum");
    const g4_node *type = g4_node_get(s, "type");
    bool integers;
    if (!all_numbers(list, &integers)) return;
    if (type->type == G4_JSON_NONE) set(s, "type", text_node(integers ? "integer" : "number"));
    else if (!g4_node_is(type, "integer") && !g4_node_is(type, "number")) return;
    const g4_node *text = g4_node_get(s, "description");
    const bool described = text->type == G4_JSON_STRING && text->text.n;
    g4_str d = {0};
    if (described) {
        g4_str_add(&d, text->text.p, text->text.n);
        g4_str_adds(&d, " (");
    }
    g4_str_adds(&d, "one of ");
    for (size_t i = 0; i < list->n; i++) {
        if (i) g4_str_adds(&d, ", ");
        g4_str_add(&d, list->kid[i].text.p, list->kid[i].text.n);
    }
    if (described) g4_str_addc(&d, ')');
    const g4_node out = {.type = G4_JSON_STRING, .text = {g4_arena_strndup(w->arena, d.p, d.n), d.n}};
    g4_str_free(&d);
    del(s, "enum");
    set(s, "description", out);
}

static void constant(struct work *w, g4_node *s)
{
    const g4_node *c = g4_node_get(s, "const");
    if (c->type != G4_JSON_STRING) return;
    g4_node *one = g4_arena_alloc(w->arena, sizeof *one);
    *one = *c;
    one->key = (g4_sv){NULL, 0};
    del(s, "const");
    if (!has(s, "type")) set(s, "type", text_node("string"));
    set(s, "enum", (g4_node){.type = G4_JSON_ARRAY, .kid = one, .n = 1});
}

static void missing_type(g4_node *s)
{
    static const char *const rule[][2] = {{"properties", "object"}, {"items", "array"}, {"enum", "string"}};
    if (has(s, "type")) return;
    for (int i = 0; i < 3; i++)
        if (has(s, rule[i][0])) {
            set(s, "type", text_node(rule[i][1]));
            return;
        }
}

static void children(struct work *w, g4_node *s, const struct expanding *outer)
{
    for (size_t i = 0; i < s->n && !w->failed; i++) {
        g4_node *m = s->kid + i;
        const g4_sv key = m->key;
        if (m->type != G4_JSON_OBJECT) continue;
        if (g4_sv_eq(key, "items")) {
            *m = normal(w, m, scope_of(m, outer));
        } else if (g4_sv_eq(key, "properties")) {
            const g4_node none = {.type = G4_JSON_OBJECT};
            const struct expanding *scope = scope_of(m, outer);
            *m = merged(w, &none, NULL, m);
            for (size_t j = 0; j < m->n; j++) {
                const g4_sv name = m->kid[j].key;
                m->kid[j] = normal(w, m->kid + j, scope);
                m->kid[j].key = name;
            }
        }
        m->key = key;
    }
}

static void own_rules(struct work *w, g4_node *s, const struct expanding *outer);

/* anyOf or oneOf of T and null: T, nullable. */
static void null_alternative(struct work *w, g4_node *s, const char *key, const struct expanding *outer)
{
    const g4_node *alt = g4_node_get(s, key), none = {.type = G4_JSON_OBJECT};
    if (alt->type != G4_JSON_ARRAY || alt->n != 2) return;
    const bool first = is_null_schema(alt->kid), second = is_null_schema(alt->kid + 1);
    if (first == second) return;
    const g4_node *t = alt->kid + (first ? 1 : 0);
    const struct expanding *scope = scope_of(alt, outer);
    del(s, key);
    if (t->type == G4_JSON_OBJECT) {
        g4_node copy = merged(w, &none, NULL, t);
        own_rules(w, &copy, scope);
        *s = merged(w, &copy, NULL, s);
    }
    set(s, "nullable", (g4_node){.type = G4_JSON_BOOL, .yes = true});
}

/* The rules for one schema, not for those inside it. */
static void own_rules(struct work *w, g4_node *s, const struct expanding *outer)
{
    put_in(w, s, outer);
    if (!w->failed && (w->nodes > MAX_NODES || w->depth == MAX_DEPTH)) {
        g4_fail(w->err, G4_EINPUT, "a tool's schema is too large once its references are put in");
        w->failed = true;
    }
    if (w->failed) return;
    w->depth++;
    null_alternative(w, s, "anyOf", outer);
    null_alternative(w, s, "oneOf", outer);
    w->depth--;
    null_type(s);
    constant(w, s);
    number_enum(w, s);
    missing_type(s);
    const g4_node *more = g4_node_get(s, "additionalProperties");
    if (g4_node_is(g4_node_get(s, "type"), "object") && !has(s, "properties") && more->type == G4_JSON_BOOL && !more->yes)
        del(s, "additionalProperties");
}

static g4_node normal(struct work *w, const g4_node *v, const struct expanding *outer)
{
    if (v->type != G4_JSON_OBJECT || w->failed) return *v;
    const g4_node none = {.type = G4_JSON_OBJECT};
    g4_node s = merged(w, &none, NULL, v);
    own_rules(w, &s, outer);
    w->depth++;
    children(w, &s, outer);
    w->depth--;
    return s;
}

g4_node *g4_schema_normal(g4_arena *a, const g4_node *schema, g4_err *err)
{
    struct work w = {.arena = a, .root = schema, .err = err};
    g4_node *out = g4_arena_alloc(a, sizeof *out);
    *out = normal(&w, schema, NULL);
    if (w.failed) return NULL;
    if (out->type == G4_JSON_OBJECT && !has(out, "type")) set(out, "type", text_node("object"));
    return out;
}
