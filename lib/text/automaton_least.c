/* text/automaton_least: how many bytes it takes to get from a frame to the end of
 * everything, by the shortest way.  An estimate from above that a step along the
 * shortest way makes smaller; it steers a value to its end when tokens run out. */
#include "text/automaton_impl.h"

static uint32_t least(const g4_automaton *a, g4_node v)
{
    return a->g->node[v].least;
}

/* ---- strings ------------------------------------------------------------------------- */

/* Bytes and digits until the character that is begun is complete. */
static uint32_t spelling(uint32_t lex)
{
    static const uint8_t rest[] = {
        [G4_LEX_OPEN] = 1, [G4_LEX_ESC] = 5, [G4_LEX_U4] = 4, [G4_LEX_U3] = 3, [G4_LEX_U2] = 2, [G4_LEX_U1] = 1,
        [G4_LEX_2_1] = 1, [G4_LEX_3_2] = 2, [G4_LEX_3_1] = 1, [G4_LEX_4_3] = 3, [G4_LEX_4_2] = 2, [G4_LEX_4_1] = 1,
        [G4_LEX_SLASH] = 6, [G4_LEX_U] = 5, [G4_LEX_L4] = 4, [G4_LEX_L3] = 3, [G4_LEX_L2] = 2, [G4_LEX_L1] = 1,
    };
    return rest[lex >> 24];
}

/* The least, over the DFA states that the character at hand can lead to, of what they still need. */
static uint32_t begun_least(const g4_dfa *dfa, const struct g4_frame *f)
{
    const struct g4_dfa_state *s = &dfa->state[f->a];
    uint32_t lo, hi, best = s->other != G4_DFA_DEAD ? dfa->state[s->other].least_bytes : G4_NEVER_LEAST;
    g4_auto_string_reach(f, &lo, &hi);
    for (uint32_t i = s->edge; i < s->edge + s->n_edge; i++) {
        const struct g4_dfa_edge *e = &dfa->edge[i];
        if (e->lo <= hi && e->hi >= lo && dfa->state[e->to].least_bytes < best) best = dfa->state[e->to].least_bytes;
    }
    return best;
}

static bool is_begun(const struct g4_frame *f)
{
    return f->c >> 24 > G4_LEX_BODY;
}

static uint32_t string_least(const struct g4_node_data *d, const struct g4_frame *f)
{
    const uint32_t by_length = f->b < d->min ? d->min - f->b : 0;
    uint32_t by_dfa = 0;
    if (d->dfa) by_dfa = is_begun(f) ? begun_least(d->dfa, f) : d->dfa->state[f->a].least_bytes;
    return 1 + (by_dfa > by_length ? by_dfa : by_length) + spelling(f->c);
}

/* ---- arrays and objects ----------------------------------------------------------------- */

/* What an array needs once it holds n items, its bracket included; comma: before the next item. */
static uint32_t array_rest(const g4_automaton *a, const struct g4_array *x, uint32_t n, bool comma)
{
    uint32_t sum = 1, cheap = least(a, x->rest);
    if (n >= x->min) return sum;
    for (uint32_t i = 0; i < x->n_choice; i++)
        if (least(a, x->choice[i]) < cheap) cheap = least(a, x->choice[i]);
    const uint32_t alike = x->n_choice || n >= x->n_prefix ? n : x->n_prefix; /* from here on the items are alike */
    for (uint32_t i = n; i < x->min && i < alike; i++) sum = g4_cost(sum, g4_cost(1, least(a, x->prefix[i])));
    if (x->min > alike) sum = g4_cost(sum, g4_times(x->min - alike, g4_cost(1, x->n_choice ? cheap : least(a, x->rest))));
    return sum == G4_NEVER_LEAST ? sum : sum - !comma;
}

static uint32_t array_least(const g4_automaton *a, const struct g4_frame *f)
{
    const struct g4_array *x = g4_auto_node(a, f)->array;
    switch (f->a & 7) {
    case G4_P_OPEN: return 1 + array_rest(a, x, 0, false);
    case G4_P_FIRST: return array_rest(a, x, f->b, false);
    case G4_P_NEXT: {
        const uint32_t n = f->b + 1;
        const g4_node item = x->n_choice && x->rest == G4_NODE_NEVER ? x->choice[0] : f->b < x->n_prefix ? x->prefix[f->b] : x->rest;
        return g4_cost(least(a, item), array_rest(a, x, n, true));
    }
    case G4_P_IN: return array_rest(a, x, f->b + 1, true);
    default: return array_rest(a, x, f->b, true);
    }
}

/* What an object still needs, its brace included, each member with a comma before it. */
static uint32_t object_rest(const g4_automaton *a, const struct g4_frame *f)
{
    const struct g4_object *o = g4_auto_node(a, f)->object;
    uint32_t sum = 1, required = 0;
    if (!o->any_order) {
        sum = g4_cost(sum, o->cost_behind[f->b]);
        required = o->required_behind[f->b];
    }
    for (uint32_t i = 0; o->any_order && i < o->n; i++) {
        if (!o->member[i].required || g4_auto_in_set(a, f->b, i)) continue;
        sum = g4_cost(sum, g4_cost(o->member[i].cost, least(a, o->member[i].value)));
        required++;
    }
    const uint32_t n = (f->c >> 16) + required;
    if (n < o->min) sum = g4_cost(sum, g4_times(o->min - n, g4_object_least_one(a->g, o)));
    return sum;
}

/* The cheapest member that may come next, its comma written, and all that is needed after it. */
static uint32_t next_member(const g4_automaton *a, const struct g4_frame *f)
{
    const struct g4_object *o = g4_auto_node(a, f)->object;
    uint32_t best = G4_NEVER_LEAST;
    for (uint32_t i = 0; i <= o->n; i++) {
        bool known;
        if (!g4_auto_member_allowed(a, f, i)) continue;
        const struct g4_frame g = g4_auto_with_member(a, *f, i, &known);
        const uint32_t cost = i < o->n ? o->member[i].cost + least(a, o->member[i].value) : 4 + least(a, o->other);
        uint32_t sum = g4_cost(cost - 1, object_rest(a, &g));
        if (!known && o->member[i].required && sum != G4_NEVER_LEAST) sum -= cost; /* it was counted as missing */
        if (sum < best) best = sum;
    }
    return best;
}

static uint32_t object_least(const g4_automaton *a, const struct g4_frame *f)
{
    const struct g4_object *o = g4_auto_node(a, f)->object;
    const uint32_t label = f->a >> G4_PHASE_BITS;
    uint32_t rest;
    switch (f->a & 7) {
    case G4_P_COLON:
    case G4_P_VALUE:
        rest = g4_cost(object_rest(a, f), least(a, label < o->n ? o->member[label].value : o->other));
        return g4_cost(rest, (f->a & 7) == G4_P_COLON);
    case G4_P_NEXT: return next_member(a, f);
    case G4_P_KEY: return 0; /* the key counts for both, see key_least */
    case G4_P_OPEN:
    case G4_P_FIRST:
        rest = object_rest(a, f);
        if (rest > 1 && rest != G4_NEVER_LEAST) rest--; /* no comma before the first */
        return g4_cost(rest, (f->a & 7) == G4_P_OPEN);
    default: return object_rest(a, f);
    }
}

/* This key and everything behind it up to the end of its object, with `name` bytes of it to come. */
static uint32_t member_least(const g4_automaton *a, const struct g4_frame *f, uint32_t label, uint32_t name)
{
    const struct g4_object *o = g4_auto_node(a, f)->object;
    const struct g4_frame *object = &a->frame[f->parent];
    bool known;
    if (!g4_auto_member_allowed(a, object, label)) return G4_NEVER_LEAST;
    const struct g4_frame g = g4_auto_with_member(a, *object, label, &known);
    const uint32_t value = least(a, label < o->n ? o->member[label].value : o->other);
    uint32_t sum = g4_cost(object_rest(a, &g), value);
    if (!known && o->member[label].required && sum != G4_NEVER_LEAST) sum -= o->member[label].cost + value; /* it was counted as missing */
    return g4_cost(sum, name + 2 + spelling(f->c));
}

/* The least of the keys that state q of the names can become. */
static uint32_t names_least(const g4_automaton *a, const struct g4_frame *f, uint32_t q)
{
    const struct g4_object *o = g4_auto_node(a, f)->object;
    const struct g4_dfa_state *s = &o->names->state[q];
    uint32_t best = G4_NEVER_LEAST;
    for (uint32_t k = s->from; k < s->to; k++) {
        const uint32_t label = o->names->order[k], sum = member_least(a, f, label, o->member[label].chars - f->b);
        if (sum < best) best = sum;
    }
    if (o->names->sink != G4_DFA_DEAD) {
        const uint32_t sum = member_least(a, f, o->n, s->label != o->n);
        if (sum < best) best = sum;
    }
    return best;
}

static uint32_t key_least(const g4_automaton *a, const struct g4_frame *f)
{
    const g4_dfa *names = g4_auto_node(a, f)->object->names;
    const struct g4_dfa_state *s = &names->state[f->a];
    if (!is_begun(f)) return names_least(a, f, f->a);
    uint32_t lo, hi, best = s->other != G4_DFA_DEAD ? names_least(a, f, s->other) : G4_NEVER_LEAST;
    g4_auto_string_reach(f, &lo, &hi);
    for (uint32_t i = s->edge; i < s->edge + s->n_edge; i++) {
        const struct g4_dfa_edge *e = &names->edge[i];
        if (e->lo > hi || e->hi < lo) continue;
        const uint32_t sum = names_least(a, f, e->to);
        if (sum < best) best = sum;
    }
    return best;
}

/* ---- all ------------------------------------------------------------------------------------ */

static uint32_t number_least(const g4_automaton *a, const struct g4_frame *f)
{
    static const uint8_t rest[] = { 1, 1, 0, 0, 1, 0, 1, 1, 0 };
    const struct g4_number *n = g4_auto_node(a, f)->number;
    if (g4_number_is_free(n)) return rest[f->a];
    return g4_number_least(n, a->text[f->a].p, a->text[f->a].n);
}

static uint32_t own_least(const g4_automaton *a, const struct g4_frame *f)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    uint32_t sum = 0;
    switch (d->kind) {
    case G4_N_BYTES: return d->n - f->a;
    case G4_N_TOKEN: return 1;
    case G4_N_SEQ: /* a frame below its child: what follows that */
        for (uint32_t i = f->a + 1; i < d->n; i++) sum = g4_cost(sum, least(a, d->child[i]));
        return sum;
    case G4_N_REPEAT: return f->b + 1 < d->min ? g4_times(d->min - f->b - 1, least(a, d->child[0])) : 0;
    case G4_N_TEXT: return (is_begun(f) ? begun_least(d->dfa, f) : d->dfa->state[f->a].least_bytes) + spelling(f->c);
    case G4_N_STRING: return string_least(d, f);
    case G4_N_KEY: return key_least(a, f);
    case G4_N_NUMBER: return number_least(a, f);
    case G4_N_ARRAY: return array_least(a, f);
    case G4_N_OBJECT: return object_least(a, f);
    default: return 0;
    }
}

uint32_t g4_auto_least(const g4_automaton *a, const struct g4_frame *f)
{
    return g4_cost(own_least(a, f), a->frame[f->parent].least);
}
