/* call/run: runs calls: validated, judged, at most so many at once, with limits; or
 * answers them from a recording.  Nothing blocks.
 *
 * A call goes: check (is there such a tool, do the arguments satisfy its declared
 * parameters) -> policy -> a person, when the policy says ask -> the program or
 * the MCP server -> its answer.  With one call at once, a record's calls run one
 * after another in their order. */
#ifndef G4_CALL_RUN_H
#define G4_CALL_RUN_H

#include "base/proc.h"
#include "call/box.h"
#include "call/policy.h"
#include "call/tape.h"

struct g4_run_params {          /* borrowed */
    g4_box *box;                /* NULL with replay */
    g4_policy *policy;          /* NULL: all tools may run */
    bool yes, deny_all;         /* what `ask` means; refuse everything */
    const char *tty;            /* where to ask; NULL: /dev/tty */
    void (*before_asking)(void); /* or NULL */
    const struct g4_sandbox *sandbox;
    uint32_t jobs;              /* calls at once */
    double time_max;            /* seconds a call may take */
    size_t out_max;             /* bytes it may answer */
    g4_tape *record;            /* gets every call, or NULL */
    g4_tape *replay;            /* answers every call, or NULL: nothing runs */
    g4_tape *journal;           /* of --resume, or NULL */
};

struct g4_call {
    struct g4_taped taped;      /* record, number in the conversation, name, arguments */
    const char *id;             /* or NULL */
    const char *wrong;          /* why it cannot be run, found before; or NULL */
    bool anew;                  /* an answer in the journal does not count */
    void *user;
};

struct g4_done {
    void *user;
    g4_str content;             /* of the tool message; the caller's */
    enum g4_outcome outcome;
    char *why;                  /* of an outcome that is not DONE; the caller's */
    bool unknown;               /* the recording does not have this call */
    double seconds;
};

typedef struct g4_run g4_run;

g4_run *g4_run_new(const struct g4_run_params *p);
void g4_run_free(g4_run *r); /* ends what runs */

void g4_run_add(g4_run *r, const struct g4_call *c); /* everything in c is copied */

size_t g4_run_fds(const g4_run *r); /* most descriptors there can be now */
unsigned g4_run_poll(const g4_run *r, struct pollfd *fds);
int g4_run_wait_ms(const g4_run *r);
int g4_run_step(g4_run *r, g4_err *err); /* G4_EIO when recording or journal cannot be written */
bool g4_run_next(g4_run *r, struct g4_done *d);

/* What would become of a call: DONE when it would run, with the verdict and the
 * rule in why. */
enum g4_outcome g4_run_check(g4_run *r, const struct g4_call *c, enum g4_verdict *v, g4_str *why);

#endif
