/* hub/alias: short names.  The table is at the top of alias.c; a user's own
 * lines in $XDG_CONFIG_HOME/g4/aliases come before it:
 *   NAME REFERENCE [sha256:HEX]        # comment */
#ifndef G4_HUB_ALIAS_H
#define G4_HUB_ALIAS_H

#include "base/err.h"

struct g4_alias {
    const char *name, *ref, *pin; /* pin may be NULL */
    bool own;                     /* from the user's file */
};

/* The user's lines, then the built-in ones that they do not replace; n in *n.
 * G4_EUSAGE when the user's file has a bad line.  g4_aliases_free frees all. */
struct g4_alias *g4_aliases(size_t *n, g4_err *err);
void g4_aliases_free(struct g4_alias *a, size_t n);

#endif
