/* text/automaton_value: numbers, arrays and objects, byte by byte. */
#include <string.h>

#include "text/automaton_impl.h"

/* ---- numbers ------------------------------------------------------------------------ */

/* Numbers without bounds: the part of the number (a), how many characters of it (b), the exponent (c). */
enum { START, MINUS, ZERO, INT, POINT, FRAC, E, E_SIGN, EXP };
enum { MAX_INT = 400, MAX_FRAC = 40, MAX_ZEROS = 6 };

static void free_number(g4_automaton *a, const struct g4_frame *f, uint32_t part, uint32_t count, uint32_t exp)
{
    struct g4_frame g = *f;
    g.a = part;
    g.b = count;
    g.c = exp;
    g4_auto_add(a, g);
    if (part == ZERO || part == INT || part == FRAC || part == EXP) g4_auto_leave(a, f->parent, 0);
}

static void free_number_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte, bool integer)
{
    const bool digit = byte >= '0' && byte <= '9';
    const uint32_t most = integer ? MAX_ZEROS : MAX_FRAC;
    switch (f->a) {
    case START:
        if (byte == '-') free_number(a, f, MINUS, 0, 0);
        /* fall through */
    case MINUS:
        if (digit) free_number(a, f, byte == '0' ? ZERO : INT, 1, 0);
        return;
    case INT:
        if (digit && f->b < MAX_INT) free_number(a, f, INT, f->b + 1, 0);
        /* fall through */
    case ZERO:
        if (byte == '.') free_number(a, f, POINT, 0, 0);
        if ((byte | 0x20) == 'e' && !integer) free_number(a, f, E, 0, 0);
        return;
    case FRAC:
        if ((byte | 0x20) == 'e' && !integer) free_number(a, f, E, 0, 0);
        /* fall through */
    case POINT:
        if (digit && f->b < most && (!integer || byte == '0')) free_number(a, f, FRAC, f->b + 1, 0);
        return;
    case E:
        if (byte == '+' || byte == '-') free_number(a, f, E_SIGN, 0, 0);
        /* fall through */
    case E_SIGN:
        if (digit) free_number(a, f, EXP, 1, byte - '0');
        return;
    case EXP: /* up to 299: a double holds the number */
        if (digit && f->b < 3 && f->c <= 29) free_number(a, f, EXP, f->b + 1, f->c * 10 + (byte - '0'));
        return;
    }
}

void g4_auto_number_enter(g4_automaton *a, g4_node v, uint32_t parent)
{
    g4_auto_add(a, (struct g4_frame){ .node = v, .parent = parent });
}

void g4_auto_number_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    const struct g4_number *n = g4_auto_node(a, f)->number;
    char text[512];
    if (g4_number_is_free(n)) {
        free_number_byte(a, f, byte, n->integer);
        return;
    }
    const struct g4_text so_far = a->text[f->a];
    if (!strchr("0123456789-+.eE", byte) || !byte || so_far.n + 1 > sizeof text) return;
    memcpy(text, so_far.p, so_far.n);
    text[so_far.n] = (char)byte;
    const int is = g4_number_try(n, text, so_far.n + 1);
    struct g4_frame g = *f;
    if (is & G4_NUMBER_OPEN) {
        g.a = g4_auto_text(a, text, so_far.n + 1);
        g4_auto_add(a, g);
    }
    if (is & G4_NUMBER_DONE) g4_auto_leave(a, f->parent, 0);
}

/* ---- blanks --------------------------------------------------------------------------- */

/* One more blank in a gap: false when the byte is none or the gap is full.  blanks: lines << 8 | others. */
static bool blank(uint8_t byte, uint32_t *blanks)
{
    const uint32_t lines = *blanks >> 8, others = *blanks & 0xFF;
    if (byte == '\n' && lines < G4_MAX_LINES) *blanks = (lines + 1) << 8 | others;
    else if ((byte == ' ' || byte == '\t' || byte == '\r') && others < G4_MAX_BLANKS) ++*blanks;
    else return false;
    return true;
}

/* ---- sets -------------------------------------------------------------------------------- */

bool g4_auto_in_set(const g4_automaton *a, uint32_t set, uint32_t i)
{
    const struct g4_text t = a->text[set];
    return i / 8 < t.n && ((uint8_t)t.p[i / 8] >> (i & 7) & 1);
}

static uint32_t with(g4_automaton *a, uint32_t set, uint32_t i)
{
    g4_str s = {0};
    g4_str_add(&s, a->text[set].p, a->text[set].n);
    while (s.n <= i / 8) g4_str_addc(&s, 0);
    s.p[i / 8] = (char)((uint8_t)s.p[i / 8] | 1u << (i & 7));
    const uint32_t out = g4_auto_text(a, s.p, s.n);
    g4_str_free(&s);
    return out;
}

/* ---- arrays --------------------------------------------------------------------------------- */

static uint32_t phase(const struct g4_frame *f)
{
    return f->a & ((1u << G4_PHASE_BITS) - 1);
}

static struct g4_frame at_phase(struct g4_frame f, enum g4_phase p)
{
    f.a = (f.a >> G4_PHASE_BITS) << G4_PHASE_BITS | (uint32_t)p;
    return f;
}

static uint32_t high(const struct g4_frame *f)
{
    return f->a >> G4_PHASE_BITS;
}

/* The leaves of a place where an item may begin: the array itself (blanks, the bracket) and the item. */
static void array_leaves(g4_automaton *a, struct g4_frame f)
{
    const struct g4_node_data *d = g4_auto_node(a, &f);
    const struct g4_array *x = d->array;
    if (!d->call || phase(&f) == G4_P_FIRST) g4_auto_add(a, f);
    if (f.b >= x->max) return;
    struct g4_frame in = at_phase(f, G4_P_IN);
    in.c = x->n_choice; /* none of the choices */
    g4_auto_enter(a, f.b < x->n_prefix ? x->prefix[f.b] : x->rest, g4_auto_frame(a, in));
    for (uint32_t i = 0; i < x->n_choice; i++) {
        if (g4_auto_in_set(a, high(&f), i)) continue;
        in.c = i;
        g4_auto_enter(a, x->choice[i], g4_auto_frame(a, in));
    }
}

void g4_auto_array_enter(g4_automaton *a, g4_node v, uint32_t parent)
{
    g4_auto_add(a, (struct g4_frame){ .node = v, .a = G4_P_OPEN, .parent = parent });
}

void g4_auto_array_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    const struct g4_array *x = d->array;
    struct g4_frame g = *f;
    const uint32_t p = phase(f);
    if (p == G4_P_OPEN) {
        if (byte == '[') array_leaves(a, at_phase(g, G4_P_FIRST));
        return;
    }
    if (byte == ']' && p != G4_P_NEXT && f->b >= x->min) {
        g4_auto_leave(a, f->parent, 0);
        return;
    }
    if (byte == ',' && p == G4_P_AFTER && f->b < x->max) {
        g.c = 0;
        array_leaves(a, at_phase(g, G4_P_NEXT));
        return;
    }
    if (d->call || !blank(byte, &g.c)) return;
    if (p == G4_P_AFTER) g4_auto_add(a, g);
    else array_leaves(a, g);
}

void g4_auto_array_item(g4_automaton *a, const struct g4_frame *f, uint32_t label)
{
    const struct g4_array *x = g4_auto_node(a, f)->array;
    struct g4_frame g = at_phase(*f, G4_P_AFTER);
    const uint32_t most = x->max != UINT32_MAX ? x->max : x->min > x->n_prefix ? x->min : x->n_prefix;
    if (g.b < most) g.b++; /* counted no further than it matters */
    if (f->c < x->n_choice) g.a = with(a, high(f), f->c) << G4_PHASE_BITS | G4_P_AFTER;
    else if (x->unique) a->asks |= 1ull << G4_ASK_ITEM;
    g.c = 0;
    g4_auto_add(a, g);
}

/* ---- objects ----------------------------------------------------------------------------------- */

/* c: members << 16 | blanks. */
static uint32_t members(const struct g4_frame *f)
{
    return f->c >> 16;
}

/* How many required members are missing, and how many could still come. */
static void missing(const g4_automaton *a, const struct g4_frame *f, uint32_t *required, uint32_t *alive)
{
    const struct g4_object *o = g4_auto_node(a, f)->object;
    *required = *alive = 0;
    if (!o->any_order) {
        *required = o->required_behind[f->b];
        *alive = o->alive_behind[f->b];
        return;
    }
    for (uint32_t i = 0; i < o->n; i++) {
        if (g4_auto_in_set(a, f->b, i)) continue;
        *required += o->member[i].required;
        *alive += a->g->node[o->member[i].value].least != G4_NEVER_LEAST;
    }
}

struct g4_frame g4_auto_with_member(const g4_automaton *a, struct g4_frame f, uint32_t label, bool *known)
{
    const struct g4_object *o = g4_auto_node(a, &f)->object;
    const uint32_t most = o->max != UINT32_MAX ? o->max : o->min, n = members(&f);
    *known = true;
    if (n < most) f.c = (n + 1) << 16 | (f.c & 0xFFFF);
    if (label < o->n && !o->any_order) f.b = label + 1;
    else *known = label == o->n; /* the set would have to be made */
    return f;
}

bool g4_auto_member_allowed(const g4_automaton *a, const struct g4_frame *f, uint32_t label)
{
    const struct g4_object *o = g4_auto_node(a, f)->object;
    const uint32_t n = members(f);
    const g4_node value = label < o->n ? o->member[label].value : o->other;
    uint32_t required, alive;
    if (a->g->node[value].least == G4_NEVER_LEAST) return false;
    if (label < o->n && (o->any_order ? g4_auto_in_set(a, f->b, label) : label < f->b || label > o->next_required[f->b])) return false;
    if (o->max == UINT32_MAX && !o->min) return true;
    missing(a, f, &required, &alive);
    if (label < o->n && !o->any_order) alive = o->alive_behind[label + 1];
    else if (label < o->n) alive--;
    if (label < o->n && o->member[label].required) required--;
    if (o->max != UINT32_MAX && (uint64_t)n + 1 + required > o->max) return false;
    return a->g->node[o->other].least != G4_NEVER_LEAST || n + 1 + alive >= o->min;
}

static bool may_close(const g4_automaton *a, const struct g4_frame *f)
{
    const struct g4_object *o = g4_auto_node(a, f)->object;
    uint32_t required, alive;
    missing(a, f, &required, &alive);
    return !required && members(f) >= o->min;
}

static bool may_go_on(const g4_automaton *a, const struct g4_frame *f)
{
    const struct g4_object *o = g4_auto_node(a, f)->object;
    for (uint32_t i = 0; i <= o->n; i++)
        if (g4_auto_member_allowed(a, f, i)) return true;
    return false;
}

/* Begins a key; JSON has read its quote. */
static void enter_key(g4_automaton *a, struct g4_frame f)
{
    const struct g4_node_data *d = g4_auto_node(a, &f);
    f = at_phase(f, G4_P_KEY);
    f.c &= 0xFFFF0000;
    if (may_go_on(a, &f))
        g4_auto_add(a, (struct g4_frame){ .node = d->object->key, .c = g4_lex(G4_LEX_BODY, 0), .parent = g4_auto_frame(a, f) });
}

static g4_node value_of_member(const struct g4_object *o, const struct g4_frame *f)
{
    return high(f) < o->n ? o->member[high(f)].value : o->other;
}

/* The leaves of a place where a value may begin. */
static void value_leaves(g4_automaton *a, struct g4_frame f)
{
    const struct g4_node_data *d = g4_auto_node(a, &f);
    if (!d->call) g4_auto_add(a, f);
    const g4_node value = value_of_member(d->object, &f);
    struct g4_frame in = f;
    in.a = G4_P_IN; /* which member it is matters no more */
    in.c &= 0xFFFF0000;
    g4_auto_enter(a, value, g4_auto_frame(a, in));
}

/* The leaves of a place where a key may begin. */
static void key_leaves(g4_automaton *a, struct g4_frame f)
{
    const bool call = g4_auto_node(a, &f)->call;
    if (!call || phase(&f) == G4_P_FIRST) g4_auto_add(a, f);
    if (call) enter_key(a, f);
}

void g4_auto_object_enter(g4_automaton *a, g4_node v, uint32_t parent)
{
    g4_auto_add(a, (struct g4_frame){ .node = v, .a = G4_P_OPEN, .parent = parent });
}

static void object_blank(g4_automaton *a, struct g4_frame f, uint8_t byte)
{
    uint32_t blanks = f.c & 0xFFFF;
    if (!blank(byte, &blanks)) return;
    f.c = (f.c & 0xFFFF0000) | blanks;
    if (phase(&f) == G4_P_VALUE) value_leaves(a, f);
    else g4_auto_add(a, f);
}

void g4_auto_object_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    const bool call = g4_auto_node(a, f)->call;
    const uint32_t p = phase(f);
    struct g4_frame g = *f;
    g.c &= 0xFFFF0000;
    if (p == G4_P_OPEN) {
        if (byte == '{') key_leaves(a, at_phase(g, G4_P_FIRST));
    } else if (p == G4_P_COLON && byte == ':') {
        value_leaves(a, at_phase(g, G4_P_VALUE));
    } else if ((p == G4_P_FIRST || p == G4_P_NEXT) && byte == '"' && !call) {
        enter_key(a, g);
    } else if ((p == G4_P_FIRST || p == G4_P_AFTER) && byte == '}') {
        if (may_close(a, f)) g4_auto_leave(a, f->parent, 0);
    } else if (p == G4_P_AFTER && byte == ',') {
        if (may_go_on(a, f)) key_leaves(a, at_phase(g, G4_P_NEXT));
    } else if (!call) {
        object_blank(a, *f, byte);
    }
}

void g4_auto_object_key(g4_automaton *a, const struct g4_frame *f, uint32_t label)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    bool known;
    struct g4_frame g = g4_auto_with_member(a, *f, label, &known);
    if (!known) g.b = with(a, f->b, label);
    g.a = label << G4_PHASE_BITS | (d->call ? G4_P_VALUE : G4_P_COLON);
    if (label == d->object->n) a->asks |= 1ull << G4_ASK_KEY;
    if (d->call) value_leaves(a, g); /* the colon ended the key */
    else g4_auto_add(a, g);
}

void g4_auto_object_value(g4_automaton *a, const struct g4_frame *f)
{
    struct g4_frame g = *f;
    g.a = G4_P_AFTER;
    g4_auto_add(a, g);
}
