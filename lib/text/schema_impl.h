/* text/schema_impl: what the compiler's files share; not for others.
 *
 *   schema.c          from schemas that must hold together to nodes
 *   schema_keyword.c  which keywords there are, and where in the schema one stands
 *   schema_value.c    enum and const: finite sets of values
 *   schema_oneof.c    when branches exclude each other, and what to do when not
 *   schema_scalar.c   numbers and strings */
#ifndef G4_TEXT_SCHEMA_IMPL_H
#define G4_TEXT_SCHEMA_IMPL_H

#include "base/mem.h"
#include "text/schema.h"

/* One of the things a value must satisfy: a whole schema, or parts of one. */
enum g4_part_kind {
    G4_PART_WHOLE, /* all of it */
    G4_PART_BASE,  /* all but $ref, allOf, anyOf, oneOf, which stand as parts of their own */
    G4_PART_ANY,   /* the list of an anyOf */
    G4_PART_ONE,   /* the list of a oneOf */
};

struct g4_part {
    enum g4_part_kind kind;
    g4_json v;
};

struct g4_parts {
    struct g4_part *v;
    size_t n, cap;
};

enum { /* types; a number is an INTEGER, or it is not */
    G4_T_NULL = 1, G4_T_BOOL = 2, G4_T_INTEGER = 4, G4_T_FRACTION = 8, G4_T_STRING = 16, G4_T_ARRAY = 32, G4_T_OBJECT = 64,
    G4_T_ALL = 127, G4_T_NUMBER = G4_T_INTEGER | G4_T_FRACTION,
};

struct g4_lower_memo {
    struct g4_parts parts;
    g4_node rule, node;
    bool busy, used;
    unsigned inside;      /* how many containers were entered when it was begun */
};

struct g4_lower {
    g4_grammar *g;
    struct g4_schema_params p;
    g4_json root;         /* in the grammar's arena */
    g4_err *err;
    struct g4_lower_memo *memo;
    size_t n_memo, cap_memo;
    unsigned inside, depth, count;
};

struct g4_check_arg {
    g4_json root, schema;
};
bool g4_schema_holds(void *arg, g4_json value); /* a g4_value_check */

void g4_parts_add(struct g4_parts *p, enum g4_part_kind kind, g4_json v);
void g4_parts_free(struct g4_parts *p);

/* schema.c */
int g4_lower(struct g4_lower *l, struct g4_parts *parts, g4_node *out); /* parts: flattened here */
int g4_lower_flatten(struct g4_lower *l, struct g4_parts *parts, bool *never);
int g4_lower_member(struct g4_lower *l, const struct g4_parts *parts, const g4_str *name, struct g4_parts *out, bool *required);
unsigned g4_lower_types(const struct g4_parts *parts);
g4_node g4_lower_checked(struct g4_lower *l, g4_node v, const char *keyword, g4_json list);

/* schema_keyword.c: is every keyword of this object known and well-formed? */
int g4_schema_keywords(struct g4_lower *l, g4_json schema);
/* G4_ESCHEMA: "'KEYWORD' at 'PLACE': WHAT". */
int g4_schema_refuse(struct g4_lower *l, g4_json schema, const char *keyword, const char *what);

/* schema_value.c */
bool g4_values_given(const struct g4_parts *parts);             /* is there an enum or const? */
/* All values that satisfy the parts, when there are at most max: true.  Texts live in the grammar's arena. */
bool g4_values_list(struct g4_lower *l, const struct g4_parts *parts, size_t max, g4_json **out, size_t *n);
bool g4_values_fit(struct g4_lower *l, const struct g4_parts *parts, g4_json value);
g4_node g4_values_node(struct g4_lower *l, const g4_json *v, size_t n);
g4_node g4_value_node(struct g4_lower *l, g4_json v);

/* schema_scalar.c */
int g4_lower_number(struct g4_lower *l, const struct g4_parts *parts, bool integer, struct g4_number *out);
int g4_lower_string(struct g4_lower *l, const struct g4_parts *parts, g4_node *out);
int g4_lower_count(struct g4_lower *l, g4_json schema, const char *keyword, uint32_t *out); /* absent: as it was */

/* schema_oneof.c */
int g4_lower_one_of(struct g4_lower *l, const struct g4_parts *rest, g4_json list, g4_node *out);

#endif
