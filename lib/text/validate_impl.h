/* text/validate_impl: what the validator's files share; not for others.
 *
 *   validate.c         values of any type, combinations, arrays, objects
 *   validate_scalar.c  numbers and strings
 *   validate_format.c  the formats that are asserted
 *   validate_ref.c     "$ref"
 *   validate_canon.c   equality */
#ifndef G4_TEXT_VALIDATE_IMPL_H
#define G4_TEXT_VALIDATE_IMPL_H

#include "text/validate.h"

struct g4_check_path { /* where in the value we are */
    const struct g4_check_path *up;
    g4_json key;       /* a member's name, or {NULL, 0} */
    size_t index;      /* an element's place */
};

struct g4_check {
    g4_json root;
    g4_err *err;
    unsigned depth;    /* schemas entered; a schema that only refers to itself is stopped */
    unsigned quiet;    /* > 0: a value that does not fit is no error yet */
};

/* The value does not fit: G4_EINPUT, with "'/path' " before the message when it counts. */
int g4_check_no(struct g4_check *c, const struct g4_check_path *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The schema is not one: G4_ESCHEMA. */
int g4_check_broken(struct g4_check *c, const char *keyword, const char *what);

int g4_check_number(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at);
int g4_check_string(struct g4_check *c, g4_json schema, g4_json value, const struct g4_check_path *at);

/* Reads a keyword that is a whole number, 0 or more.  1: it is there, 0: absent, negative: ill-formed. */
int g4_check_count(struct g4_check *c, g4_json schema, const char *keyword, uint64_t *out);

/* Member by its decoded name of n bytes, NULs included; the last one. */
g4_json g4_json_member(g4_json object, const char *key, size_t n);
bool g4_json_same(g4_json a, g4_json b);

#endif
