/* text/grammar: building the nodes, and what can be said of them before any text
 * is there: which can be completed, and with how few bytes. */
#include "text/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "text/grammar_impl.h"

static g4_node add(g4_grammar *g, const struct g4_node_data *d)
{
    G4_GROW(g->node, g->cap_node, g->n_node + 1);
    g->node[g->n_node] = *d;
    return (g4_node)g->n_node++;
}

g4_grammar *g4_grammar_new(void)
{
    g4_grammar *g = g4_alloc(sizeof *g);
    g->quote = -1;
    add(g, &(struct g4_node_data){ .kind = G4_N_NEVER });
    add(g, &(struct g4_node_data){ .kind = G4_N_EMPTY });
    return g;
}

void g4_grammar_free(g4_grammar *g)
{
    if (!g) return;
    for (size_t i = 0; i < g->n_node; i++)
        if (g->node[i].number) g4_number_free(g->node[i].number);
    for (size_t i = 0; i < g->n_dfa; i++) g4_dfa_free(g->dfa[i]);
    free(g->dfa);
    free(g->node);
    free(g->token);
    g4_arena_free(&g->arena);
    free(g);
}

g4_arena *g4_grammar_arena(g4_grammar *g)
{
    return &g->arena;
}

static void *keep(g4_grammar *g, const void *p, size_t bytes)
{
    void *q = g4_arena_alloc(&g->arena, bytes ? bytes : 1);
    if (bytes) memcpy(q, p, bytes);
    return q;
}

static void own_dfa(g4_grammar *g, g4_dfa *d)
{
    if (!d) return;
    G4_GROW(g->dfa, g->cap_dfa, g->n_dfa + 1);
    g->dfa[g->n_dfa++] = d;
}

static void note_token(g4_grammar *g, int32_t id)
{
    for (size_t i = 0; i < g->n_token; i++)
        if (g->token[i] == id) return;
    G4_GROW(g->token, g->cap_token, g->n_token + 1);
    g->token[g->n_token++] = id;
}

/* ---- any grammar ------------------------------------------------------------- */

g4_node g4_node_bytes(g4_grammar *g, const char *p, size_t n)
{
    if (!n) return G4_NODE_EMPTY;
    return add(g, &(struct g4_node_data){ .kind = G4_N_BYTES, .bytes = keep(g, p, n), .n = (uint32_t)n });
}

g4_node g4_node_token(g4_grammar *g, int32_t id)
{
    note_token(g, id);
    return add(g, &(struct g4_node_data){ .kind = G4_N_TOKEN, .token = id });
}

g4_node g4_node_seq(g4_grammar *g, const g4_node *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] == G4_NODE_NEVER) return G4_NODE_NEVER;
    if (!n) return G4_NODE_EMPTY;
    if (n == 1) return v[0];
    return add(g, &(struct g4_node_data){ .kind = G4_N_SEQ, .child = keep(g, v, n * sizeof *v), .n = (uint32_t)n });
}

g4_node g4_node_alt(g4_grammar *g, const g4_node *v, size_t n)
{
    g4_node *some = g4_arena_alloc(&g->arena, (n + 1) * sizeof *some);
    uint32_t m = 0;
    for (size_t i = 0; i < n; i++) {
        bool twice = v[i] == G4_NODE_NEVER;
        for (uint32_t k = 0; k < m && !twice; k++) twice = some[k] == v[i];
        if (!twice) some[m++] = v[i];
    }
    if (m < 2) return m ? some[0] : G4_NODE_NEVER;
    return add(g, &(struct g4_node_data){ .kind = G4_N_ALT, .child = some, .n = m });
}

g4_node g4_node_repeat(g4_grammar *g, g4_node v, uint32_t min, uint32_t max)
{
    if (v == G4_NODE_NEVER) return min ? G4_NODE_NEVER : G4_NODE_EMPTY;
    if (!max || v == G4_NODE_EMPTY) return G4_NODE_EMPTY;
    return add(g, &(struct g4_node_data){ .kind = G4_N_REPEAT, .child = keep(g, &v, sizeof v), .n = 1, .min = min, .max = max });
}

g4_node g4_node_text(g4_grammar *g, g4_dfa *d)
{
    own_dfa(g, d);
    if (!d->n_state) return G4_NODE_NEVER;
    return add(g, &(struct g4_node_data){ .kind = G4_N_TEXT, .dfa = d });
}

g4_node g4_node_rule(g4_grammar *g)
{
    const g4_node never = G4_NODE_NEVER;
    return add(g, &(struct g4_node_data){ .kind = G4_N_RULE, .child = keep(g, &never, sizeof never), .n = 1 });
}

void g4_node_define(g4_grammar *g, g4_node rule, g4_node v)
{
    memcpy((void *)g->node[rule].child, &v, sizeof v); /* its own copy in the arena */
}

/* ---- values -------------------------------------------------------------------- */

g4_node g4_node_string(g4_grammar *g, const struct g4_dialect *d, g4_dfa *dfa, uint32_t min, uint32_t max)
{
    own_dfa(g, dfa);
    if (min > max || (dfa && (!dfa->n_state || dfa->state[0].least_chars > max))) return G4_NODE_NEVER;
    if (d->call) note_token(g, g->quote = d->quote);
    return add(g, &(struct g4_node_data){ .kind = G4_N_STRING, .call = d->call, .token = d->quote, .dfa = dfa, .min = min, .max = max });
}

g4_node g4_node_number(g4_grammar *g, const struct g4_number *n)
{
    struct g4_number *own = g4_arena_alloc(&g->arena, sizeof *own);
    if (!g4_number_exists(n)) return G4_NODE_NEVER;
    g4_number_copy(own, n);
    return add(g, &(struct g4_node_data){ .kind = G4_N_NUMBER, .number = own });
}

g4_node g4_node_array(g4_grammar *g, const struct g4_dialect *d, const struct g4_array_spec *s)
{
    struct g4_array *a = g4_arena_alloc(&g->arena, sizeof *a);
    *a = (struct g4_array){ .rest = s->rest, .min = s->min, .max = s->max, .unique = s->unique };
    a->prefix = keep(g, s->prefix, s->n_prefix * sizeof *s->prefix);
    for (uint32_t i = 0; i < s->n_prefix; i++, a->n_prefix++)
        if (a->prefix[i] == G4_NODE_NEVER) break;
    if (a->n_prefix < s->n_prefix) a->rest = G4_NODE_NEVER;
    if (s->choice) {
        a->choice = keep(g, s->choice, s->n_choice * sizeof *s->choice);
        a->n_choice = (uint32_t)s->n_choice;
        if (a->rest == G4_NODE_NEVER && a->max > a->n_choice) a->max = a->n_choice;
    } else if (a->rest == G4_NODE_NEVER && a->max > a->n_prefix) {
        a->max = a->n_prefix;
    }
    if (a->min > a->max) return G4_NODE_NEVER;
    return add(g, &(struct g4_node_data){ .kind = G4_N_ARRAY, .call = d->call, .token = d->quote, .array = a });
}

uint32_t g4_spelled(g4_sv s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        const uint8_t c = (uint8_t)s.p[i];
        n += c == '"' || c == '\\' || (c >= 8 && c <= 13 && c != 11) ? 2 : c < 0x20 ? 6 : 1;
    }
    return n;
}

static void fill_members(g4_grammar *g, struct g4_object *o, const struct g4_object_spec *s)
{
    g4_sv *name = g4_arena_alloc(&g->arena, (s->n_member + 1) * sizeof *name);
    for (uint32_t i = 0; i < o->n; i++) {
        const struct g4_member_spec *m = &s->member[i];
        uint32_t chars = 0;
        name[i] = (g4_sv){ keep(g, m->name.p, m->name.n), m->name.n };
        for (size_t k = 0; k < m->name.n; k++) chars += ((uint8_t)m->name.p[k] & 0xC0) != 0x80;
        o->member[i] = (struct g4_member){ m->value, m->required, chars, g4_spelled(name[i]) + 4 };
    }
    for (uint32_t i = o->n; i-- > 0;) {
        o->next_required[i] = o->member[i].required ? i : o->next_required[i + 1];
        o->required_behind[i] = o->required_behind[i + 1] + o->member[i].required;
    }
    o->names = g4_dfa_strings(name, o->n, o->other != G4_NODE_NEVER);
    own_dfa(g, o->names);
}

g4_node g4_node_object(g4_grammar *g, const struct g4_dialect *d, const struct g4_object_spec *s)
{
    struct g4_object *o = g4_arena_alloc(&g->arena, sizeof *o);
    const size_t ints = (s->n_member + 1) * sizeof(uint32_t);
    *o = (struct g4_object){ .n = (uint32_t)s->n_member, .other = s->other, .min = s->min, .max = s->max, .any_order = s->any_order };
    o->member = g4_arena_alloc(&g->arena, (s->n_member + 1) * sizeof *o->member);
    o->next_required = g4_arena_alloc(&g->arena, ints);
    o->required_behind = g4_arena_alloc(&g->arena, ints);
    o->alive_behind = g4_arena_alloc(&g->arena, ints);
    o->cost_behind = g4_arena_alloc(&g->arena, ints);
    o->next_required[o->n] = o->n;
    for (uint32_t i = 0; i < o->n; i++)
        if (s->member[i].required && s->member[i].value == G4_NODE_NEVER) return G4_NODE_NEVER;
    fill_members(g, o, s);
    if (o->min > o->max || o->required_behind[0] > o->max) return G4_NODE_NEVER;
    o->key = add(g, &(struct g4_node_data){ .kind = G4_N_KEY, .call = d->call, .token = d->quote, .object = o });
    return add(g, &(struct g4_node_data){ .kind = G4_N_OBJECT, .call = d->call, .token = d->quote, .object = o });
}

g4_node g4_node_checked(g4_grammar *g, g4_node v, g4_value_check fn, void *arg)
{
    if (v == G4_NODE_NEVER) return v;
    if (g->n_check == G4_MAX_CHECKS) {
        g->too_many = true;
        return G4_NODE_NEVER;
    }
    g->check[g->n_check].fn = fn;
    g->check[g->n_check].arg = arg;
    return add(g, &(struct g4_node_data){ .kind = G4_N_CHECKED, .child = keep(g, &v, sizeof v), .n = 1, .check = g->n_check++ });
}

/* ---- the whole -------------------------------------------------------------------- */

void g4_grammar_start(g4_grammar *g, g4_node v)
{
    g->start = v;
}

static uint32_t least_of(const g4_grammar *g, g4_node v)
{
    return g->node[v].least;
}

static uint32_t array_least(const g4_grammar *g, const struct g4_array *a)
{
    uint32_t sum = 2, cheap = least_of(g, a->rest);
    for (uint32_t i = 0; i < a->n_choice; i++)
        if (least_of(g, a->choice[i]) < cheap) cheap = least_of(g, a->choice[i]);
    for (uint32_t i = 0; i < a->min; i++) {
        const uint32_t item = a->n_choice ? cheap : least_of(g, i < a->n_prefix ? a->prefix[i] : a->rest);
        sum = g4_cost(sum, g4_cost(item, i > 0));
        if (i > a->n_prefix + 1) { /* all the same from here */
            return g4_cost(sum, g4_times(a->min - i - 1, g4_cost(item, 1)));
        }
    }
    return sum;
}

uint32_t g4_object_least_one(const g4_grammar *g, const struct g4_object *o)
{
    uint32_t cheap = g4_cost(4, least_of(g, o->other));
    for (uint32_t i = 0; i < o->n; i++) {
        const uint32_t c = g4_cost(o->member[i].cost, least_of(g, o->member[i].value));
        if (!o->member[i].required && c < cheap) cheap = c;
    }
    return cheap;
}

static uint32_t object_least(const g4_grammar *g, struct g4_object *o)
{
    for (uint32_t i = o->n; i-- > 0;) {
        const struct g4_member *m = &o->member[i];
        const uint32_t cost = g4_cost(m->cost, least_of(g, m->value));
        o->cost_behind[i] = m->required ? g4_cost(cost, o->cost_behind[i + 1]) : o->cost_behind[i + 1];
        o->alive_behind[i] = o->alive_behind[i + 1] + (least_of(g, m->value) != G4_NEVER_LEAST);
    }
    uint32_t sum = g4_cost(2, o->cost_behind[0]);
    const uint32_t required = o->required_behind[0];
    if (o->min > required) sum = g4_cost(sum, g4_times(o->min - required, g4_object_least_one(g, o)));
    return sum;
}

static uint32_t node_least(const g4_grammar *g, const struct g4_node_data *d)
{
    uint32_t sum = 0;
    switch (d->kind) {
    case G4_N_NEVER: return G4_NEVER_LEAST;
    case G4_N_EMPTY: return 0;
    case G4_N_BYTES: return d->n;
    case G4_N_TOKEN: return 1;
    case G4_N_SEQ:
        for (uint32_t i = 0; i < d->n; i++) sum = g4_cost(sum, least_of(g, d->child[i]));
        return sum;
    case G4_N_ALT:
        sum = G4_NEVER_LEAST;
        for (uint32_t i = 0; i < d->n; i++)
            if (least_of(g, d->child[i]) < sum) sum = least_of(g, d->child[i]);
        return sum;
    case G4_N_REPEAT: return g4_times(d->min, least_of(g, d->child[0]));
    case G4_N_RULE:
    case G4_N_CHECKED: return least_of(g, d->child[0]);
    case G4_N_TEXT: return d->dfa->state[0].least_bytes;
    case G4_N_STRING:
        sum = d->dfa ? d->dfa->state[0].least_bytes : 0;
        return 2 + (sum > d->min ? sum : d->min);
    case G4_N_NUMBER: return g4_number_least(d->number, "", 0);
    case G4_N_ARRAY: return array_least(g, d->array);
    case G4_N_OBJECT: return object_least(g, d->object);
    default: return 0;
    }
}

/* An array ends before an item that can never be. */
static void stop_at_never(const g4_grammar *g, struct g4_array *a)
{
    for (uint32_t i = 0; i <= a->n_prefix && i < a->max && !a->n_choice; i++)
        if (least_of(g, i < a->n_prefix ? a->prefix[i] : a->rest) == G4_NEVER_LEAST) a->max = i;
}

bool g4_grammar_finish(g4_grammar *g)
{
    if (g->too_many) g->start = G4_NODE_NEVER;
    for (size_t i = 0; i < g->n_node; i++) g->node[i].least = G4_NEVER_LEAST;
    for (bool again = true; again;) { /* values only sink, and children mostly stand before their parents */
        again = false;
        for (size_t i = 0; i < g->n_node; i++) {
            if (g->node[i].kind == G4_N_NUMBER && g->node[i].least != G4_NEVER_LEAST) continue;
            const uint32_t least = node_least(g, &g->node[i]);
            again |= least < g->node[i].least;
            g->node[i].least = least;
        }
    }
    for (size_t i = 0; i < g->n_node; i++)
        if (g->node[i].kind == G4_N_ARRAY) stop_at_never(g, g->node[i].array);
    return g->node[g->start].least != G4_NEVER_LEAST;
}

