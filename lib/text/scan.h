/* text/scan: the questions that an automaton cannot answer from its state, asked of
 * the text itself: is this item new in its array, this key new in its object, what
 * does a check say of this value?  The text is always the beginning of a
 * well-formed value, up to the end of the value (or key) asked about. */
#ifndef G4_TEXT_SCAN_H
#define G4_TEXT_SCAN_H

#include "base/json.h"

struct g4_scan_level { uint32_t start; };

struct g4_scan_at { /* how far the text was read */
    size_t pos;
    size_t last;                 /* where the last value or key begins */
    struct g4_scan_level *level; /* the open containers */
    size_t n_level, cap_level;
    bool string, escaped, scalar;
};

struct g4_scan {
    bool call;                   /* values of a tool call: bare keys, G4_TEXT_QUOTE for the quotes */
    g4_str text;                 /* the first `kept` bytes were accepted, what follows is tried */
    size_t kept;
    struct g4_scan_at at, ahead; /* read up to `kept` at most; and beyond it */
    /* Memory of the last question: the items before the last one of a container, as canonical texts. */
    size_t container, upto;
    bool keys;
    g4_str *seen;
    size_t n_seen, cap_seen;
};

void g4_scan_try(struct g4_scan *s, const char *p, size_t n);   /* tried, behind what was accepted */
void g4_scan_cut(struct g4_scan *s, size_t kept);               /* takes accepted bytes back */
void g4_scan_free(struct g4_scan *s);

#endif
