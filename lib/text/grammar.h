/* text/grammar: what an answer may look like, as a graph of nodes; lib/text/automaton.h
 * walks it byte by byte, lib/text/matcher.h turns that into token masks.
 *
 * Terminals are bytes, characters of a DFA, and whole pieces by id (special pieces
 * have no bytes here).  A node that can never be completed is G4_NODE_NEVER; the
 * builders pass it on, so that a property or branch that cannot be is not there.
 *
 *     g4_grammar *g = g4_grammar_new();
 *     g4_node name = g4_node_bytes(g, "call:f", 6);
 *     g4_node args;                                     -- see text/schema.h
 *     g4_schema_node(g, &(struct g4_schema_params){ .root = s, .schema = s, .dialect = d }, &args, err);
 *     g4_node seq[] = { g4_node_token(g, open), name, args, g4_node_token(g, close) };
 *     g4_grammar_start(g, g4_node_repeat(g, g4_node_seq(g, seq, 4), 1, 8));
 *
 * A grammar is built, then given to g4_automaton_new, which owns it from then on. */
#ifndef G4_TEXT_GRAMMAR_H
#define G4_TEXT_GRAMMAR_H

#include "base/json.h"
#include "text/dfa.h"
#include "text/number.h"

typedef struct g4_grammar g4_grammar;
typedef uint32_t g4_node;

enum { G4_NODE_NEVER = 0, G4_NODE_EMPTY = 1 }; /* nothing fits; the empty text fits */

g4_grammar *g4_grammar_new(void);
void g4_grammar_free(g4_grammar *g);

/* How values are spelled.  JSON: RFC 8259, blanks allowed between tokens (a gap holds at most two newlines and 127
 * others), escapes allowed.  Call: Gemma's tool-call arguments (prompt-format 3.4): bare keys, no blanks, strings
 * raw between two pieces with the id `quote`. */
struct g4_dialect {
    bool call;
    int32_t quote; /* call only */
};

/* ---- any grammar ---- */
g4_node g4_node_bytes(g4_grammar *g, const char *p, size_t n); /* copied */
g4_node g4_node_token(g4_grammar *g, int32_t id);              /* one piece, matched by its id only */
g4_node g4_node_seq(g4_grammar *g, const g4_node *v, size_t n);
g4_node g4_node_alt(g4_grammar *g, const g4_node *v, size_t n);
/* min to max times; max UINT32_MAX: no limit. */
g4_node g4_node_repeat(g4_grammar *g, g4_node v, uint32_t min, uint32_t max);
/* Characters that the DFA accepts as a whole (UTF-8, no quotes, no escapes).  The grammar owns the DFA. */
g4_node g4_node_text(g4_grammar *g, g4_dfa *d);
/* A name for a node that is defined later: recursion. */
g4_node g4_node_rule(g4_grammar *g);
void g4_node_define(g4_grammar *g, g4_node rule, g4_node v);

/* ---- values ---- */
/* A string whose decoded characters the DFA accepts (the grammar owns it; NULL: any) and number min to max. */
g4_node g4_node_string(g4_grammar *g, const struct g4_dialect *d, g4_dfa *dfa, uint32_t min, uint32_t max);
/* A number within n's bounds; n is copied. */
g4_node g4_node_number(g4_grammar *g, const struct g4_number *n);

struct g4_array_spec {
    const g4_node *prefix;   /* the first items */
    size_t n_prefix;
    g4_node rest;            /* further ones, G4_NODE_NEVER: none */
    uint32_t min, max;
    bool unique;
    const g4_node *choice;   /* unique, without prefix: items are out of these distinct values, or rest, whose values are others */
    size_t n_choice;
};
g4_node g4_node_array(g4_grammar *g, const struct g4_dialect *d, const struct g4_array_spec *s);

struct g4_member_spec {
    g4_sv name;              /* decoded; copied */
    g4_node value;           /* G4_NODE_NEVER: may not occur */
    bool required;
};
struct g4_object_spec {
    const struct g4_member_spec *member;
    size_t n_member;
    g4_node other;           /* value of every other name, G4_NODE_NEVER: there is none */
    uint32_t min, max;       /* members */
    bool any_order;          /* else in the order given, others in between */
};
g4_node g4_node_object(g4_grammar *g, const struct g4_dialect *d, const struct g4_object_spec *s);

/* v, and when its value is complete fn is asked about its JSON text too. */
typedef bool (*g4_value_check)(void *arg, g4_json value);
g4_node g4_node_checked(g4_grammar *g, g4_node v, g4_value_check fn, void *arg);

/* ---- the whole ---- */
void g4_grammar_start(g4_grammar *g, g4_node v);
/* Resolves rules and lengths.  False: nothing at all fits. */
bool g4_grammar_finish(g4_grammar *g);
/* Memory that lives as long as the grammar. */
struct g4_arena *g4_grammar_arena(g4_grammar *g);

#endif
