/* text/automaton_string: what stands between quotes, and free text: bytes to
 * characters (UTF-8, escapes), characters through the DFA.  A spelling that is begun
 * can always be ended: a first byte or digit is taken only when a character that
 * begins with it is possible. */
#include "text/automaton_impl.h"

enum { MAX_CP = 0x10FFFF };

static const g4_dfa *dfa_of(const struct g4_node_data *d)
{
    return d->kind == G4_N_KEY ? d->object->names : d->dfa;
}

static uint32_t kind_of(uint32_t lex)
{
    return lex >> 24;
}

static uint32_t value_of(uint32_t lex)
{
    return lex & 0xFFFFFF;
}

/* ---- characters ------------------------------------------------------------------- */

bool g4_auto_key_alive(const g4_automaton *a, const struct g4_frame *key, uint32_t q)
{
    const struct g4_frame *object = &a->frame[key->parent];
    const struct g4_object *o = g4_auto_node(a, key)->object;
    const struct g4_dfa_state *s = &o->names->state[q];
    if (o->names->sink != G4_DFA_DEAD && g4_auto_member_allowed(a, object, o->n)) return true;
    for (uint32_t i = s->from; i < s->to; i++)
        if (g4_auto_member_allowed(a, object, o->names->order[i])) return true;
    return false;
}

/* May the DFA be in state q when one character more is there? */
static bool alive(const g4_automaton *a, const struct g4_frame *f, const struct g4_node_data *d, uint32_t q)
{
    if (d->kind == G4_N_KEY) return g4_auto_key_alive(a, f, q);
    if (d->kind == G4_N_TEXT || d->max == UINT32_MAX) return true;
    return f->b < d->max && d->dfa->state[q].least_chars <= d->max - f->b - 1;
}

static bool possible(const g4_automaton *a, const struct g4_frame *f, uint32_t lo, uint32_t hi)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    const g4_dfa *dfa = dfa_of(d);
    if (lo > hi) return false;
    if (!dfa) return f->b < d->max || d->max == UINT32_MAX;
    const struct g4_dfa_state *s = &dfa->state[f->a];
    const bool word_only = d->call && s->other == dfa->sink; /* an undeclared bare key: see step */
    if (s->other != G4_DFA_DEAD && !(word_only && lo > 0x7F) && alive(a, f, d, s->other)) return true;
    for (uint32_t i = s->edge; i < s->edge + s->n_edge; i++)
        if (dfa->edge[i].lo <= hi && dfa->edge[i].hi >= lo && alive(a, f, d, dfa->edge[i].to)) return true;
    return false;
}

static bool is_word(uint32_t cp)
{
    return (cp >= '0' && cp <= '9') || (cp < 0x80 && (cp | 0x20) >= 'a' && (cp | 0x20) <= 'z') || cp == '_' || cp == '-' || cp == '.';
}

/* What begins one: a parser must not take it for the rest of a number. */
static bool is_first(uint32_t cp)
{
    return is_word(cp) && cp != '-' && cp != '.' && !(cp >= '0' && cp <= '9');
}

/* f with one character more, within the string's body. */
static bool step(const g4_automaton *a, struct g4_frame *f, uint32_t cp)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    const g4_dfa *dfa = dfa_of(d);
    if (!dfa) {
        if (d->max != UINT32_MAX && f->b >= d->max) return false;
    } else {
        const uint32_t q = g4_dfa_step(dfa, f->a, cp);
        if (q == G4_DFA_DEAD || !alive(a, f, d, q)) return false;
        if (q == dfa->sink && d->call && !(f->a ? is_word(cp) : is_first(cp))) return false; /* an undeclared bare key */
        f->a = q;
    }
    f->c = g4_lex(G4_LEX_BODY, 0);
    if (d->kind == G4_N_KEY) {
        if (dfa->sink == f->a) f->b = 0; /* how long it is matters no more */
        else f->b++;
    } else if (d->kind == G4_N_STRING && f->b < (d->max == UINT32_MAX ? d->min : d->max)) {
        f->b++;
    }
    return true;
}

static void character(g4_automaton *a, struct g4_frame f, uint32_t cp)
{
    if (!step(a, &f, cp)) return;
    const struct g4_node_data *d = g4_auto_node(a, &f);
    if (d->kind != G4_N_TEXT) {
        g4_auto_add(a, f);
        return;
    }
    const struct g4_dfa_state *s = &d->dfa->state[f.a];
    if (s->label != G4_DFA_NO_LABEL) g4_auto_leave(a, f.parent, s->label);
    if (s->n_edge || s->other != G4_DFA_DEAD) g4_auto_add(a, f);
}

/* ---- UTF-8 -------------------------------------------------------------------------- */

/* Bytes that a sequence which has begun still lacks. */
static const uint8_t bytes_left[] = { [G4_LEX_2_1] = 1, [G4_LEX_3_2] = 2, [G4_LEX_3_1] = 1, [G4_LEX_4_3] = 3, [G4_LEX_4_2] = 2, [G4_LEX_4_1] = 1 };

/* Code points that `value`, with n bytes to come, may still become, held to what a sequence of its length may hold. */
static void reach(uint32_t kind, uint32_t value, uint32_t *lo, uint32_t *hi)
{
    const uint32_t least = kind == G4_LEX_2_1 ? 0x80 : kind <= G4_LEX_3_1 ? 0x800 : 0x10000;
    *lo = value << 6 * bytes_left[kind];
    *hi = *lo + (1u << 6 * bytes_left[kind]) - 1;
    if (*lo < least) *lo = least;
    if (*hi > MAX_CP) *hi = MAX_CP;
    if (*lo >= 0xD800 && *lo <= 0xDFFF) *lo = 0xE000;
    if (*hi >= 0xD800 && *hi <= 0xDFFF) *hi = 0xD7FF;
}

static void partial(g4_automaton *a, struct g4_frame f, uint32_t kind, uint32_t value)
{
    uint32_t lo, hi;
    reach(kind, value, &lo, &hi);
    f.c = g4_lex(kind, value);
    if (possible(a, &f, lo, hi)) g4_auto_add(a, f);
}

/* A byte of a character itself. */
static void utf8(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    if (byte < 0x80) character(a, *f, byte);
    else if (byte >= 0xC2 && byte < 0xE0) partial(a, *f, G4_LEX_2_1, byte & 31);
    else if (byte >= 0xE0 && byte < 0xF0) partial(a, *f, G4_LEX_3_2, byte & 15);
    else if (byte >= 0xF0 && byte < 0xF5) partial(a, *f, G4_LEX_4_3, byte & 7);
}

static void utf8_more(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    const uint32_t kind = kind_of(f->c), value = value_of(f->c) << 6 | (byte & 63);
    if ((byte & 0xC0) != 0x80) return;
    if (kind != G4_LEX_2_1 && kind != G4_LEX_3_1 && kind != G4_LEX_4_1) {
        partial(a, *f, kind + 1, value);
        return;
    }
    uint32_t lo, hi;
    reach(kind, value_of(f->c), &lo, &hi);
    if (value >= lo && value <= hi) character(a, *f, value);
}

/* ---- escapes ---------------------------------------------------------------------------- */

static const char escape_from[] = "\"\\/bfnrt", escape_to[] = "\"\\/\b\f\n\r\t";

static int hex_of(uint8_t c)
{
    const uint8_t low = c | 0x20;
    return c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* Can the digits of \u so far, `left` to come, become a character? */
static bool escape_possible(const g4_automaton *a, const struct g4_frame *f, uint32_t value, uint32_t left)
{
    uint32_t lo = value << 4 * left, hi = lo + (1u << 4 * left) - 1;
    const uint32_t high_lo = lo > 0xD800 ? lo : 0xD800, high_hi = hi < 0xDBFF ? hi : 0xDBFF;
    if (high_lo <= high_hi && possible(a, f, 0x10000 + ((high_lo - 0xD800) << 10), 0x10000 + ((high_hi - 0xD800) << 10) + 0x3FF)) return true;
    if (hi < 0xD800 || lo > 0xDFFF) return possible(a, f, lo, hi);
    return (lo < 0xD800 && possible(a, f, lo, 0xD7FF)) || (hi > 0xDFFF && possible(a, f, 0xE000, hi));
}

static void hex_digit(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    const int digit = hex_of(byte);
    const uint32_t left = G4_LEX_U1 - kind_of(f->c), value = value_of(f->c) << 4 | (uint32_t)digit;
    struct g4_frame g = *f;
    if (digit < 0) return;
    if (!left && !(value >= 0xD800 && value <= 0xDFFF)) {
        character(a, g, value);
        return;
    }
    if (!escape_possible(a, f, value, left)) return;
    g.c = left ? g4_lex(kind_of(f->c) + 1, value) : g4_lex(G4_LEX_SLASH, value - 0xD800);
    g4_auto_add(a, g);
}

/* Digits of the second half: value is the first half's ten bits, then those read (two of the second digit). */
static void low_digit(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    const int digit = hex_of(byte);
    const uint32_t kind = kind_of(f->c);
    uint32_t value = value_of(f->c);
    struct g4_frame g = *f;
    if (digit < 0 || (kind == G4_LEX_L4 && digit != 13) || (kind == G4_LEX_L3 && digit < 12)) return;
    if (kind == G4_LEX_L3) value = value << 2 | (uint32_t)(digit - 12);
    if (kind == G4_LEX_L2 || kind == G4_LEX_L1) value = value << 4 | (uint32_t)digit;
    if (kind == G4_LEX_L1) {
        character(a, g, 0x10000 + value);
        return;
    }
    const uint32_t left = kind == G4_LEX_L4 ? 10 : kind == G4_LEX_L3 ? 8 : 4, lo = 0x10000 + (value << left);
    if (!possible(a, f, lo, lo + (1u << left) - 1)) return;
    g.c = g4_lex(kind + 1, value);
    g4_auto_add(a, g);
}

static void escape(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    struct g4_frame g = *f;
    if (byte == 'u') {
        g.c = g4_lex(G4_LEX_U4, 0);
        g4_auto_add(a, g);
        return;
    }
    for (size_t i = 0; i < sizeof escape_from - 1; i++)
        if ((uint8_t)escape_from[i] == byte) character(a, g, (uint8_t)escape_to[i]);
}

/* ---- the ends --------------------------------------------------------------------------- */

void g4_auto_string_enter(g4_automaton *a, g4_node v, uint32_t parent)
{
    g4_auto_add(a, (struct g4_frame){ .node = v, .c = g4_lex(G4_LEX_OPEN, 0), .parent = parent });
}

void g4_auto_text_enter(g4_automaton *a, g4_node v, uint32_t parent)
{
    const struct g4_dfa_state *s = &a->g->node[v].dfa->state[0];
    if (s->label != G4_DFA_NO_LABEL) g4_auto_leave(a, parent, s->label);
    if (s->n_edge || s->other != G4_DFA_DEAD)
        g4_auto_add(a, (struct g4_frame){ .node = v, .c = g4_lex(G4_LEX_BODY, 0), .parent = parent });
}

/* May the string or key end here?  label: of its DFA. */
static bool closable(const g4_automaton *a, const struct g4_frame *f, uint32_t *label)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    const g4_dfa *dfa = dfa_of(d);
    *label = dfa ? dfa->state[f->a].label : 0;
    if (kind_of(f->c) != G4_LEX_BODY || *label == G4_DFA_NO_LABEL) return false;
    return d->kind == G4_N_KEY ? g4_auto_member_allowed(a, &a->frame[f->parent], *label) : f->b >= d->min;
}

static void close(g4_automaton *a, const struct g4_frame *f)
{
    uint32_t label;
    if (closable(a, f, &label)) g4_auto_leave(a, f->parent, label);
}

/* Within a call a bare key ends at the colon. */
static void bare_key(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    if (byte == ':' && f->a) close(a, f);
    if (kind_of(f->c) == G4_LEX_BODY) utf8(a, f, byte);
    else utf8_more(a, f, byte);
}

static void body(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    struct g4_frame g = *f;
    if (byte == '"') close(a, f);
    else if (byte >= 0x20 && byte != '\\') utf8(a, f, byte);
    else if (byte == '\\' && possible(a, f, 0, MAX_CP)) {
        g.c = g4_lex(G4_LEX_ESC, 0);
        g4_auto_add(a, g);
    }
}

void g4_auto_string_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    const uint32_t kind = kind_of(f->c);
    struct g4_frame g = *f;
    if (d->call && d->kind == G4_N_KEY) {
        bare_key(a, f, byte);
        return;
    }
    switch (kind) {
    case G4_LEX_OPEN:
        g.c = g4_lex(G4_LEX_BODY, 0);
        if (byte == '"' && !d->call) g4_auto_add(a, g);
        return;
    case G4_LEX_BODY:
        if (d->kind == G4_N_TEXT || d->call) utf8(a, f, byte);
        else body(a, f, byte);
        return;
    case G4_LEX_ESC: escape(a, f, byte); return;
    case G4_LEX_U4: case G4_LEX_U3: case G4_LEX_U2: case G4_LEX_U1: hex_digit(a, f, byte); return;
    case G4_LEX_SLASH:
    case G4_LEX_U:
        if (byte != (kind == G4_LEX_SLASH ? '\\' : 'u')) return;
        g.c = g4_lex(kind + 1, value_of(f->c));
        g4_auto_add(a, g);
        return;
    case G4_LEX_L4: case G4_LEX_L3: case G4_LEX_L2: case G4_LEX_L1: low_digit(a, f, byte); return;
    default: utf8_more(a, f, byte);
    }
}

void g4_auto_string_token(g4_automaton *a, const struct g4_frame *f, int32_t id)
{
    struct g4_frame g = *f;
    if (kind_of(f->c) == G4_LEX_OPEN) {
        g.c = g4_lex(G4_LEX_BODY, 0);
        g4_auto_add(a, g);
    } else {
        close(a, f);
    }
}

void g4_auto_string_reach(const struct g4_frame *f, uint32_t *lo, uint32_t *hi)
{
    const uint32_t kind = kind_of(f->c), value = value_of(f->c);
    *lo = 0;
    *hi = MAX_CP;
    if (kind >= G4_LEX_2_1 && kind <= G4_LEX_4_1) {
        reach(kind, value, lo, hi);
    } else if (kind > G4_LEX_U4 && kind <= G4_LEX_U1) {
        const uint32_t left = 1 + G4_LEX_U1 - kind;
        *lo = value << 4 * left;
        *hi = *lo + (1u << 4 * left) - 1;
        if (*lo <= 0xDBFF && *hi >= 0xD800) *hi = MAX_CP; /* the first half of a pair */
    } else if (kind == G4_LEX_SLASH || kind == G4_LEX_U || kind == G4_LEX_L4) {
        *lo = 0x10000 + (value << 10);
        *hi = *lo + 0x3FF;
    } else if (kind > G4_LEX_L4) {
        const uint32_t bits = kind == G4_LEX_L3 ? 10 : kind == G4_LEX_L2 ? 8 : 4;
        *lo = 0x10000 + (value << bits);
        *hi = *lo + (1u << bits) - 1;
    }
}

/* ---- what must come ------------------------------------------------------------------------ */

/* The character that is the only way on; UINT32_MAX: there are several or none. */
static uint32_t only_character(const g4_automaton *a, const struct g4_frame *f, bool *none)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    const g4_dfa *dfa = dfa_of(d);
    *none = false;
    if (!dfa) {
        *none = d->max != UINT32_MAX && f->b >= d->max;
        return UINT32_MAX;
    }
    const struct g4_dfa_state *s = &dfa->state[f->a];
    uint32_t only = UINT32_MAX;
    if (s->other != G4_DFA_DEAD && alive(a, f, d, s->other)) return UINT32_MAX;
    for (uint32_t i = s->edge; i < s->edge + s->n_edge; i++) {
        const struct g4_dfa_edge *e = &dfa->edge[i];
        if (!alive(a, f, d, e->to)) continue;
        if (e->lo != e->hi || only != UINT32_MAX) return UINT32_MAX;
        only = e->lo;
    }
    *none = only == UINT32_MAX;
    return only;
}

bool g4_auto_quote_only(const g4_automaton *a, const struct g4_frame *f)
{
    uint32_t label;
    bool none;
    if (kind_of(f->c) == G4_LEX_OPEN) return true;
    if (kind_of(f->c) != G4_LEX_BODY) return false;
    only_character(a, f, &none);
    return none && closable(a, f, &label);
}

int g4_auto_string_only(const g4_automaton *a, const struct g4_frame *f)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    const uint32_t kind = kind_of(f->c);
    uint32_t label;
    bool none;
    char utf[4];
    if (kind == G4_LEX_OPEN) return d->call ? -1 : '"';
    const bool begun = kind >= G4_LEX_2_1 && kind <= G4_LEX_4_1;
    if (kind != G4_LEX_BODY && kind != G4_LEX_ESC && !begun) return -1;
    const uint32_t cp = only_character(a, f, &none);
    const bool can_close = d->kind != G4_N_TEXT && closable(a, f, &label);
    if (none && can_close) return d->kind == G4_N_KEY && d->call ? ':' : d->call ? -1 : '"';
    if (cp == UINT32_MAX || (can_close && !none)) return -1;
    if (begun) return (uint8_t)utf[g4_utf8_encode(cp, utf) - (size_t)bytes_left[kind]];
    const bool raw = d->call || d->kind == G4_N_TEXT;
    for (size_t i = 0; !raw && i < sizeof escape_to - 1; i++)
        if ((uint8_t)escape_to[i] == cp && cp != '/') return kind == G4_LEX_ESC ? escape_from[i] : '\\';
    if (kind == G4_LEX_ESC || (!raw && cp < 0x20)) return -1;
    g4_utf8_encode(cp, utf);
    return (uint8_t)utf[0];
}
