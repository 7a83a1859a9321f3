/* verb/generate: one request in, events and one result out, over the core's
 * pump.  This is the implementation of g4_submit, g4_step and g4_cancel of g4.h;
 * what lib/record needs besides is declared here. */
#ifndef G4_VERB_GENERATE_H
#define G4_VERB_GENERATE_H

#include "g4.h"
#include "base/json.h"

/* Reads the options object of a record over what o holds; unknown names and
 * values out of range are G4_EINPUT.  A seed of "random" is drawn here.
 * o->stop_json and o->tool_choice, when the object has them, are the caller's to free(). */
int g4_options_read(g4_json options, g4_options *o, g4_err *err);

/* All the ids of a request's prompt (BOS included), as g4_submit would feed
 * them.  *ids is the caller's. */
int g4_request_ids(g4_engine *e, const g4_request *r, int32_t **ids, size_t *n, g4_err *err);

/* Can what the request's own fields (schema, regex, choices) ask of the answer be had?  G4_ESCHEMA names what
 * is refused and where it stands. */
int g4_constraint_check(const g4_request *r, g4_err *err);

#endif
