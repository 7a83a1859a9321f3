/* text/regex: regular expressions as JSON Schema's `pattern` means them (ECMA-262
 * with the u flag, over code points).  Parsed to a program of a nondeterministic
 * automaton; lib/text/dfa.c makes it deterministic, the validator runs it as it is.
 *
 * What a regular language cannot hold or this parser does not know is refused:
 * look-around, back references, \b, \p, inline flags. */
#ifndef G4_TEXT_REGEX_H
#define G4_TEXT_REGEX_H

#include "base/err.h"
#include "base/str.h"

struct g4_range { uint32_t lo, hi; }; /* code points, both included */

enum g4_regex_op {
    G4_RE_SET,   /* one code point of set x, then the next instruction */
    G4_RE_SPLIT, /* go on at x and at y */
    G4_RE_JUMP,  /* go on at x */
    G4_RE_BEGIN, /* only where the text begins */
    G4_RE_END,   /* only where it ends */
    G4_RE_MATCH,
};

struct g4_regex_inst {
    uint8_t op;
    uint32_t x, y;
};

typedef struct g4_regex {
    struct g4_regex_inst *inst; /* inst[0] is where it begins */
    uint32_t n_inst;
    struct g4_range *range;     /* the ranges of all sets, ascending within a set */
    uint32_t *set;              /* set s has the ranges [set[s], set[s + 1]) */
    uint32_t n_set;
} g4_regex;

/* G4_ESCHEMA, naming what is not understood and where in the expression. */
g4_regex *g4_regex_new(const char *p, size_t n, g4_err *err);
void g4_regex_free(g4_regex *r);

/* Does the expression match anywhere in the (well-formed) text; the whole of it? */
bool g4_regex_search(const g4_regex *r, const char *s, size_t n);
bool g4_regex_matches(const g4_regex *r, const char *s, size_t n);

#endif
