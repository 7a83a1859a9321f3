/* text/decimal: JSON numbers of any size, compared and divided exactly. */
#ifndef G4_TEXT_DECIMAL_H
#define G4_TEXT_DECIMAL_H

#include "base/str.h"

/* (-1)^neg * D * 10^exp, where D is the integer written by the n digits: no zeros
 * at either end, n = 0 for zero.  exp is clipped to +-10^15. */
struct g4_decimal {
    bool neg;
    size_t n;
    char *digit; /* '0'..'9', malloc'ed; NULL when n is 0 */
    int64_t exp;
};

void g4_decimal_parse(g4_sv number, struct g4_decimal *out); /* a number as JSON spells it */
void g4_decimal_free(struct g4_decimal *d);
int g4_decimal_cmp(const struct g4_decimal *a, const struct g4_decimal *b); /* <0, 0, >0 */
bool g4_decimal_is_integer(const struct g4_decimal *d);
/* Is a a whole multiple of m?  m > 0 with at most 18 digits (others: false). */
bool g4_decimal_is_multiple(const struct g4_decimal *a, const struct g4_decimal *m);
void g4_decimal_put(const struct g4_decimal *d, g4_str *out); /* sign, digits, "e", exponent; "0" */

#endif
