/* text/schema: a JSON Schema (draft 2020-12, the subset of g4-gen(1)) as grammar
 * nodes.  It fails closed: a keyword that the grammar cannot enforce is refused by its
 * name and its place, as a JSON pointer. */
#ifndef G4_TEXT_SCHEMA_H
#define G4_TEXT_SCHEMA_H

#include "text/grammar.h"

struct g4_schema_params {
    g4_json root;              /* what "$ref" refers to; copied */
    g4_json schema;            /* root or a part of it: what the value must satisfy */
    struct g4_dialect dialect;
    bool any_order;            /* members in any order, not only the schema's */
    bool object;               /* the value must be an object besides */
    bool lax;                  /* keywords that cannot be enforced: a warning; the caller validates afterwards */
};

/* G4_OK and *out (G4_NODE_NEVER: no value satisfies it), or G4_ESCHEMA. */
int g4_schema_node(g4_grammar *g, const struct g4_schema_params *p, g4_node *out, g4_err *err);

/* Declared functions (OpenAI shape: {"function":{"name":N,"parameters":S}}): what a call's arguments may be. */
int g4_schema_arguments(g4_grammar *g, const struct g4_dialect *d, g4_json function, g4_node *out, g4_err *err);

#endif
