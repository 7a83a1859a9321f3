/* text/grammar_impl: the nodes as lib/text/automaton*.c reads them; not for others. */
#ifndef G4_TEXT_GRAMMAR_IMPL_H
#define G4_TEXT_GRAMMAR_IMPL_H

#include "base/mem.h"
#include "text/grammar.h"

enum g4_node_kind {
    G4_N_NEVER, G4_N_EMPTY, G4_N_BYTES, G4_N_TOKEN, G4_N_SEQ, G4_N_ALT, G4_N_REPEAT, G4_N_RULE, G4_N_TEXT,
    G4_N_STRING, G4_N_NUMBER, G4_N_ARRAY, G4_N_OBJECT, G4_N_KEY, G4_N_CHECKED,
};

enum { G4_MAX_CHECKS = 60, G4_NEVER_LEAST = UINT32_MAX };

struct g4_member {
    g4_node value;
    bool required;
    uint32_t chars;    /* of the name */
    uint32_t cost;     /* bytes of ,"name":  as spelled */
};

struct g4_object {
    struct g4_member *member;
    uint32_t n;
    g4_node other;
    uint32_t min, max;
    bool any_order;
    g4_dfa *names;             /* label i: member i; label n: another name */
    g4_node key;               /* the KEY node */
    uint32_t *next_required;   /* [n + 1]: first required member at or behind i, n: none */
    uint32_t *required_behind; /* [n + 1]: how many required members stand at or behind i */
    uint32_t *alive_behind;    /* [n + 1]: how many that can be there at all; filled by finish */
    uint32_t *cost_behind;     /* [n + 1]: bytes of the required ones at or behind i; filled by finish */
};

struct g4_array {
    const g4_node *prefix;
    uint32_t n_prefix;
    g4_node rest;
    uint32_t min, max;
    bool unique;
    const g4_node *choice;
    uint32_t n_choice;
};

struct g4_node_data {
    uint8_t kind;
    bool call;                 /* values: the call dialect */
    int32_t token;             /* TOKEN; the quote of a call */
    uint32_t least;
    const g4_node *child;      /* SEQ, ALT: n of them; REPEAT, RULE, CHECKED: one */
    uint32_t n;
    const char *bytes;         /* BYTES: n of them */
    uint32_t min, max;         /* REPEAT, STRING */
    g4_dfa *dfa;               /* TEXT, STRING; NULL: any characters */
    struct g4_number *number;  /* NUMBER */
    struct g4_array *array;
    struct g4_object *object;  /* OBJECT, KEY */
    uint32_t check;            /* CHECKED: which check */
};

struct g4_grammar {
    g4_arena arena;
    struct g4_node_data *node;
    size_t n_node, cap_node;
    struct { g4_value_check fn; void *arg; } check[G4_MAX_CHECKS];
    uint32_t n_check;
    bool too_many;             /* checks were left out: start became NEVER */
    g4_node start;
    int32_t quote;             /* piece around the strings of calls; -1: there are none */
    int32_t *token;            /* every piece id that occurs */
    size_t n_token, cap_token;
    g4_dfa **dfa;
    size_t n_dfa, cap_dfa;
};

/* Bytes of a string as JSON spells it, without quotes. */
uint32_t g4_spelled(g4_sv s);

/* Cost of what an object still needs, its closing brace included: members at or behind `next`
 * (in order), so many members there already. */
uint32_t g4_object_least_one(const g4_grammar *g, const struct g4_object *o); /* cheapest optional member, comma included */

static inline uint32_t g4_cost(uint32_t a, uint32_t b) /* sum that stays NEVER */
{
    return a == G4_NEVER_LEAST || b == G4_NEVER_LEAST || a + b < a ? G4_NEVER_LEAST : a + b;
}

static inline uint32_t g4_times(uint32_t n, uint32_t a)
{
    return !n ? 0 : a == G4_NEVER_LEAST || (uint64_t)n * a >= G4_NEVER_LEAST ? G4_NEVER_LEAST : n * a;
}

#endif
