/* text/automaton_impl: frames, threads, states; not for others.
 *
 *   automaton.c         interning, states and steps between them
 *   automaton_enter.c   going into nodes and out of them
 *   automaton_string.c  strings, keys and free text, byte by byte
 *   automaton_value.c   numbers, arrays, objects
 *   automaton_least.c   how far it is to the end
 *   mask.c              which tokens a state allows */
#ifndef G4_TEXT_AUTOMATON_IMPL_H
#define G4_TEXT_AUTOMATON_IMPL_H

#include "text/automaton.h"
#include "text/grammar_impl.h"

/* What a frame's numbers mean depends on its node:
 *   BYTES   a: bytes seen                     SEQ     a: child at hand      REPEAT  b: times done
 *   TEXT    a: DFA state, c: within a character
 *   STRING  a: DFA state, b: characters, c: where in the spelling
 *   KEY     as STRING; the parent is the OBJECT
 *   NUMBER  free ones a: part, b and c: counts; others a: the text so far (interned)
 *   ARRAY   a: part and set of choices, b: items, c: blanks
 *   OBJECT  a: part and member, b: next member or set of those seen, c: members and blanks */
struct g4_frame {
    uint32_t node, a, b, c, parent;
    uint32_t least; /* leaf: bytes to the end of everything; else: bytes once the child is complete */
};

struct g4_thread {
    uint32_t frame;     /* 0: the end */
    uint32_t pad;
    uint64_t asks;      /* bits of the questions that are open */
};

enum { G4_ASK_ITEM = 0, G4_ASK_KEY = 1, G4_ASK_CHECK = 2 }; /* bit numbers; checks from G4_ASK_CHECK on */

struct g4_resolved {
    struct g4_resolved *next;
    uint64_t failed;
    g4_state to;
};

struct g4_mask_memo;
struct g4_plain_memo;

struct g4_state_data {
    uint32_t thread, n;     /* in the pool */
    uint32_t least;
    bool done;
    uint64_t asks;
    g4_state *row;          /* [256], UINT32_MAX: not known yet; NULL: none known */
    struct g4_resolved *resolved;
    struct g4_mask_memo *mask;
};

struct g4_table { /* open addressing: number + 1 */
    uint32_t *slot, n_slot;
};

struct g4_text { /* an interned text */
    const char *p;
    uint32_t n;
};

struct g4_automaton {
    g4_grammar *g;
    g4_arena arena;         /* texts, rows, resolved, masks */
    struct g4_frame *frame;
    size_t n_frame, cap_frame;
    struct g4_table frames, states, texts;
    struct g4_thread *pool;
    size_t n_pool, cap_pool;
    struct g4_state_data *state;
    size_t n_state, cap_state;
    struct g4_text *text;   /* number prefixes; sets as bytes of bits */
    size_t n_text, cap_text;
    g4_state start;
    unsigned age;
    uint32_t jump;          /* the most that beginning one value can add to what is left to do */
    struct g4_plain_memo *plain; /* mask.c: plain pieces by DFA state */
    size_t n_row, mask_bytes;

    /* The step at hand. */
    struct g4_thread *out;
    size_t n_out, cap_out;
    uint64_t asks;
    unsigned depth;
};

enum g4_phase { G4_P_OPEN, G4_P_FIRST, G4_P_NEXT, G4_P_IN, G4_P_AFTER, G4_P_COLON, G4_P_VALUE, G4_P_KEY };
enum { G4_PHASE_BITS = 3, G4_MAX_BLANKS = 127, G4_MAX_LINES = 2 };

/* automaton.c */
uint32_t g4_auto_frame(g4_automaton *a, struct g4_frame f);        /* its number */
uint32_t g4_auto_text(g4_automaton *a, const char *p, size_t n);
void g4_auto_add(g4_automaton *a, struct g4_frame f);              /* a thread with this leaf */
void g4_auto_add_end(g4_automaton *a);

/* automaton_enter.c */
void g4_auto_enter(g4_automaton *a, g4_node v, uint32_t parent);
/* The child of frame `parent` is complete; label: which member a key named, which choice an array took. */
void g4_auto_leave(g4_automaton *a, uint32_t parent, uint32_t label);

/* Steps of a leaf by a byte or a piece; add to a->out. */
void g4_auto_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte);
void g4_auto_token(g4_automaton *a, const struct g4_frame *f, int32_t id);

/* automaton_string.c */
enum { G4_LEX_OPEN, G4_LEX_BODY, G4_LEX_ESC, G4_LEX_U4, G4_LEX_U3, G4_LEX_U2, G4_LEX_U1, G4_LEX_2_1, G4_LEX_3_2, G4_LEX_3_1,
       G4_LEX_4_3, G4_LEX_4_2, G4_LEX_4_1, G4_LEX_SLASH, G4_LEX_U, G4_LEX_L4, G4_LEX_L3, G4_LEX_L2, G4_LEX_L1 };
static inline uint32_t g4_lex(uint32_t kind, uint32_t value) { return kind << 24 | value; }
void g4_auto_string_enter(g4_automaton *a, g4_node v, uint32_t parent);
void g4_auto_text_enter(g4_automaton *a, g4_node v, uint32_t parent);
void g4_auto_string_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte);
void g4_auto_string_token(g4_automaton *a, const struct g4_frame *f, int32_t id);
/* Must the piece that quotes a call's strings come? */
bool g4_auto_quote_only(const g4_automaton *a, const struct g4_frame *f);
/* Code points that the character which is begun may become (at the start of one: all). */
void g4_auto_string_reach(const struct g4_frame *f, uint32_t *lo, uint32_t *hi);
int g4_auto_string_only(const g4_automaton *a, const struct g4_frame *f);
/* Can a key of DFA state q still become one that is allowed? */
bool g4_auto_key_alive(const g4_automaton *a, const struct g4_frame *key, uint32_t q);

/* automaton_value.c */
void g4_auto_number_enter(g4_automaton *a, g4_node v, uint32_t parent);
void g4_auto_number_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte);
void g4_auto_array_enter(g4_automaton *a, g4_node v, uint32_t parent);
void g4_auto_array_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte);
void g4_auto_array_item(g4_automaton *a, const struct g4_frame *f, uint32_t label); /* an item is complete */
void g4_auto_object_enter(g4_automaton *a, g4_node v, uint32_t parent);
void g4_auto_object_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte);
void g4_auto_object_key(g4_automaton *a, const struct g4_frame *f, uint32_t label); /* a key is complete */
void g4_auto_object_value(g4_automaton *a, const struct g4_frame *f);
bool g4_auto_member_allowed(const g4_automaton *a, const struct g4_frame *object, uint32_t label);
/* The object's frame once member `label` is in it (part and blanks left as they are). */
struct g4_frame g4_auto_with_member(const g4_automaton *a, struct g4_frame object, uint32_t label, bool *known);
bool g4_auto_in_set(const g4_automaton *a, uint32_t set, uint32_t i);

/* automaton_least.c */
uint32_t g4_auto_least(const g4_automaton *a, const struct g4_frame *f);

static inline const struct g4_node_data *g4_auto_node(const g4_automaton *a, const struct g4_frame *f)
{
    return &a->g->node[f->node];
}

/* scan.c: the answers. */
bool g4_scan_item_is_new(struct g4_scan *s);
bool g4_scan_key_is_new(struct g4_scan *s);
bool g4_scan_check(struct g4_scan *s, g4_value_check fn, void *arg);

#endif
