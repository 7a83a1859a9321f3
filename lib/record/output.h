/* record/output: records out: shaped, in input order, whole ones only.
 *
 * A slot holds a record's place in the order until all its samples are there;
 * then its lines are written with one checked write. */
#ifndef G4_RECORD_OUTPUT_H
#define G4_RECORD_OUTPUT_H

#include "record/compose.h"
#include "record/journal.h"

struct g4_output_params { /* pointers are borrowed */
    int fd;
    g4_journal *journal;   /* records go there instead of to fd; or NULL */
    bool raw;              /* the bare text */
    bool nul;              /* end with NUL instead of newline */
    bool unordered;
    bool batch;            /* OpenAI Batch lines */
    uint32_t samples;      /* at least 1 */
    const char *shape;     /* jq program, or NULL */
    g4_json vars;
    int think_fd;          /* thoughts of written records go there too; -1: nowhere */
    struct g4_compose compose;
    /* Called around every write: no signal may end the process in between. */
    void (*enter)(void *arg), (*leave)(void *arg);
    void *arg;
};

typedef struct g4_output g4_output;
typedef struct g4_slot g4_slot;

g4_output *g4_output_new(const struct g4_output_params *p, g4_err *err);
void g4_output_free(g4_output *o);

/* Takes the record over and reserves its place. */
g4_slot *g4_output_begin(g4_output *o, g4_record *r);
const g4_record *g4_slot_record(const g4_slot *s);

/* The outcome of one sample; the last one of a slot may free it.  Return 0, or
 * G4_EIO when writing failed (or G4_EUSAGE from a journal). */
int g4_output_result(g4_output *o, g4_slot *s, uint32_t sample, const g4_result *res, g4_err *err);
int g4_output_error(g4_output *o, g4_slot *s, uint32_t sample, const g4_err *why, g4_err *err);

/* The outcome of the whole slot: the record untouched; one error record; or the
 * record with other members (text: what -r writes). */
int g4_output_pass(g4_output *o, g4_slot *s, g4_err *err);
int g4_output_refuse(g4_output *o, g4_slot *s, const g4_err *why, g4_err *err);
int g4_output_members(g4_output *o, g4_slot *s, g4_sv members, g4_sv text, g4_err *err);

/* A line that was composed elsewhere; failed: it is an error record. */
int g4_output_line(g4_output *o, g4_slot *s, g4_sv line, g4_sv text, bool failed, g4_err *err);

uint64_t g4_output_failed(const g4_output *o);  /* records with an error, so far */
uint64_t g4_output_written(const g4_output *o); /* records written */
size_t g4_output_pending(const g4_output *o);   /* bytes that wait for their turn */

#endif
