/* tests/probe: the window through which g4 is compared with a reference: one
 * subcommand a file (probe_NAME.c), JSONL in, JSONL out. */
#ifndef G4_TESTS_PROBE_H
#define G4_TESTS_PROBE_H

#include "base/json.h"
#include "text/tokenizer.h"
#include "weights/weights.h"

/* A subcommand gets what stands behind its name and returns the exit status. */
int probe_encode(int argc, char **argv);
int probe_decode(int argc, char **argv);
int probe_logits(int argc, char **argv);
int probe_render(int argc, char **argv);
int probe_parse(int argc, char **argv);
int probe_schema(int argc, char **argv);

/* Calls one() for every line of stdin and prints what it appends to out, a line
 * each.  A line that is not JSON, and one() failing, prints {"error":{...}}.
 * Returns 0. */
int probe_lines(int (*one)(void *arg, g4_json in, g4_str *out, g4_err *err), void *arg);

/* Value of an option ("-m"), fallback when it is absent. */
const char *probe_option(int argc, char **argv, const char *name, const char *fallback);
bool probe_flag(int argc, char **argv, const char *name);

/* A member that is true; absent and anything else is false. */
bool probe_true(g4_json in, const char *key);

/* The tokenizer of -m; ends the program with status 2 or 3 and a message when
 * there is none.  *w owns what it borrows. */
g4_tokenizer *probe_tokenizer(int argc, char **argv, g4_weights **w);

void probe_put_ids(g4_str *out, const int32_t *ids, size_t n); /* [1,2,3] */

#endif
