/* call/policy: which calls may run: ordered rules, the first that matches decides.
 *
 *     # ACTION GLOB [CONDITION]
 *     allow  git_*
 *     deny   write_file  .path | startswith("/etc/")
 *     ask    *
 *
 * GLOB is matched to the tool's name; CONDITION is a jq program over the
 * arguments.  No rule: denied.  A condition that fails, or that would have
 * to look at U+0000 (which libjq cannot): denied, whatever its rule says.  An `allow` wants every value of its condition to hold, `deny` and `ask`
 * want one. */
#ifndef G4_CALL_POLICY_H
#define G4_CALL_POLICY_H

#include "base/json.h"

enum g4_verdict { G4_VERDICT_ALLOW, G4_VERDICT_DENY, G4_VERDICT_ASK };

typedef struct g4_policy g4_policy;

g4_policy *g4_policy_read(const char *path, g4_err *err); /* G4_EUSAGE with file and line */
void g4_policy_free(g4_policy *p);

/* arguments: a checked JSON object in which no name stands twice.  why (may be
 * NULL) gets what decided: "policy:3", "no rule of 'policy' allows it". */
enum g4_verdict g4_policy_judge(g4_policy *p, const char *tool, g4_json arguments, g4_str *why);

const char *g4_verdict_name(enum g4_verdict v);

#endif
