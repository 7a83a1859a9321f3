/* base/jq: a user's jq program, run by libjq inside the process.  The only file
 * that includes jv.h and jq.h is jq.c. */
#ifndef G4_BASE_JQ_H
#define G4_BASE_JQ_H

#include "base/err.h"
#include "base/json.h"

typedef struct g4_jq g4_jq;

/* vars is a JSON object of $name bindings (--arg and kin), or {NULL,0}.
 * G4_EUSAGE with libjq's message when the program does not compile. */
g4_jq *g4_jq_new(const char *program, g4_json vars, g4_err *err);
void g4_jq_free(g4_jq *q);

/* Runs the program on one JSON text.  Calls emit for every result with its
 * compact JSON text (and raw = the bytes of the string when the result is one);
 * emit returns non-zero to stop.  G4_EINPUT when the program raises an error. */
int g4_jq_run(g4_jq *q, g4_json in, int (*emit)(void *arg, const char *json, size_t n, const g4_sv *raw), void *arg, g4_err *err);

#endif
