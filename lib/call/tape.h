/* call/tape: calls and their results on file: what --record writes and --replay
 * answers from, and the journal that --resume keeps of calls.
 *
 * JSON lines.  {"tools":[...]} holds the declarations; then a line a call:
 * {"record":R,"call":K,"name":N,"arguments":A,"content":C,"outcome":O}, where R is
 * the record's number, K the call's number in its conversation, C the content of
 * the tool message.  A line with "begun":true instead of content and outcome says
 * that the call is about to run. */
#ifndef G4_CALL_TAPE_H
#define G4_CALL_TAPE_H

#include "base/json.h"

enum g4_outcome {
    G4_CALL_DONE,
    G4_CALL_INVALID, /* no such tool, or arguments that it does not take */
    G4_CALL_REFUSED, /* by the policy, the user, or for lack of somebody to ask */
    G4_CALL_FAILED,  /* it ran and failed, or could not be run */
};

struct g4_taped {
    uint64_t record;
    uint32_t call;
    const char *name;
    g4_sv arguments; /* compact JSON, or the text that was none */
};

typedef struct g4_tape g4_tape;

struct g4_tape_params {
    const char *path;
    bool read;   /* its calls can be found */
    bool write;  /* lines can be added: anew, or */
    bool append; /* behind what is there, if anything is; a torn last line is cut off when it is read too */
    bool sync;   /* every line reaches the disk before g4_tape_begin or _put returns */
};

/* G4_EUSAGE when it is not such a file, G4_EIO when it cannot be opened. */
g4_tape *g4_tape_open(const struct g4_tape_params *p, g4_err *err);
void g4_tape_free(g4_tape *t);

int g4_tape_tools(g4_tape *t, g4_json declarations, g4_err *err); /* writes them */
g4_json g4_tape_declarations(const g4_tape *t);                   /* of a tape that was read; or {NULL, 0} */
int g4_tape_begin(g4_tape *t, const struct g4_taped *c, g4_err *err);
int g4_tape_put(g4_tape *t, const struct g4_taped *c, g4_sv content, enum g4_outcome outcome, g4_err *err);

/* The result of a call: of this very one (exact), or else of an equal call that
 * has not been asked for yet, or the last equal one.  false: none. */
bool g4_tape_find(g4_tape *t, const struct g4_taped *c, bool exact, g4_str *content, enum g4_outcome *outcome);

/* Names every call that was begun and has no result: emit(arg, ...) for each. */
void g4_tape_unfinished(const g4_tape *t, void (*emit)(void *arg, const struct g4_taped *c), void *arg);

const char *g4_outcome_name(enum g4_outcome o);

#endif
