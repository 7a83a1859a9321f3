/* text/dfa: deterministic automata over code points: patterns, formats, sets of
 * strings. */
#ifndef G4_TEXT_DFA_H
#define G4_TEXT_DFA_H

#include "text/regex.h"

enum { G4_DFA_DEAD = UINT32_MAX, G4_DFA_NO_LABEL = UINT32_MAX };

struct g4_dfa_edge { uint32_t lo, hi, to; };

struct g4_dfa_state {
    uint32_t edge, n_edge;   /* ascending ranges */
    uint32_t other;          /* where all other code points lead, or G4_DFA_DEAD */
    uint32_t label;          /* accepting with this label, or G4_DFA_NO_LABEL */
    uint32_t least_chars;    /* to the nearest accepting state */
    uint32_t least_bytes;    /* the same in bytes as JSON spells them */
    uint32_t most_least;     /* largest least_chars of the states that can be reached */
    uint32_t from, to;       /* sets of strings: the places in `order` of the strings still possible */
    bool free_json, free_raw; /* no run of plain characters (JSON: without quote, backslash, controls) ever dies */
};

typedef struct g4_dfa {      /* state 0 is the start; every state can reach an accepting one */
    struct g4_dfa_state *state;
    uint32_t n_state;
    struct g4_dfa_edge *edge;
    uint32_t n_edge;
    uint32_t *ascii;         /* [n_state][128] targets, or NULL */
    uint32_t *order;         /* sets of strings: labels in the order of the strings */
    uint32_t n_order;
    uint32_t sink;           /* sets of strings with others: where those are, else G4_DFA_DEAD */
} g4_dfa;

/* The texts in which the expression matches (whole: that it matches as a whole), with label 0.  n_state is 0
 * when there is none.  NULL and G4_ESCHEMA when there would be more than max states. */
g4_dfa *g4_dfa_regex(const g4_regex *r, bool whole, uint32_t max, g4_err *err);

/* These distinct strings, string i with label i.  others: every other text is accepted too, with label n. */
g4_dfa *g4_dfa_strings(const g4_sv *s, size_t n, bool others);

/* What both accept, with a's label. */
g4_dfa *g4_dfa_both(const g4_dfa *a, const g4_dfa *b, uint32_t max, g4_err *err);

void g4_dfa_free(g4_dfa *d);

/* Next state, or G4_DFA_DEAD. */
uint32_t g4_dfa_step(const g4_dfa *d, uint32_t state, uint32_t cp);

/* The texts of an asserted format (text/validate.h); NULL: none.  Leap seconds stand only where there can be one:
 * at the end of June and December, with an offset of whole hours. */
g4_dfa *g4_dfa_format(const char *format);

#endif
