/* text/number: which numbers a schema allows, decided digit by digit: what may
 * still become one, what is one already. */
#ifndef G4_TEXT_NUMBER_H
#define G4_TEXT_NUMBER_H

#include "text/decimal.h"

struct g4_number {
    bool integer;             /* 1.0 is one too */
    bool has_lo, has_hi;      /* bounds */
    bool lo_open, hi_open;    /* the bound itself is out */
    struct g4_decimal lo, hi;
    uint64_t unit;            /* multiples of unit / 10^places only; 0: of nothing */
    uint32_t places;
    /* Filled by g4_number_prepare: what is on a grid, with its bounds in steps of 10^-places. */
    bool grid;
    __int128 lo_grid, hi_grid;
};

enum { G4_NUMBER_DONE = 1, G4_NUMBER_OPEN = 2 };

/* To be called when all is set.  False: bounds or unit are too large to be kept exactly (34 digits). */
bool g4_number_prepare(struct g4_number *n);

/* What is the beginning p of a number worth: DONE: it is one and allowed; OPEN: more characters can lead to one.  0: neither.
 * Where the bounds rule a plain mantissa out, an exponent is no way round them: 9e-1 is not offered for a
 * number below 1, 0.9 is. */
int g4_number_try(const struct g4_number *n, const char *p, size_t len);

/* Fewest characters that finish it; UINT32_MAX: none do. */
uint32_t g4_number_least(const struct g4_number *n, const char *p, size_t len);

/* Is there such a number at all?  How many, at most max? */
bool g4_number_exists(const struct g4_number *n);
uint64_t g4_number_count(const struct g4_number *n, uint64_t max);

/* No bounds, no multiples. */
bool g4_number_is_free(const struct g4_number *n);

void g4_number_copy(struct g4_number *to, const struct g4_number *from);
void g4_number_free(struct g4_number *n);
/* Makes n (not prepared) allow only what m allows too.  False: the common unit is too large. */
bool g4_number_narrow(struct g4_number *n, const struct g4_number *m);

#endif
