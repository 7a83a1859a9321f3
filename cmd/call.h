/* cmd/call: what the parts of g4-call share.
 *   call_opts.c   the option table
 *   call_setup.c  tools, policy, recordings, sandbox
 *   call_run.c    the pump: records, generation and calls side by side
 *   call_conv.c   one record: from step to step
 *   call_event.c  --events */
#ifndef G4_CMD_CALL_H
#define G4_CMD_CALL_H

#include "feed.h"
#include "gen.h"

struct g4_call_opts {
    struct g4_gen gen; /* first: the rows taken from g4-gen's table point into it */
    struct g4_opt_list mcp, sandbox_write;
    const char *policy, *record, *replay, *events; /* events: a file, or "-" */
    bool describe, yes, deny_all, dry_run, sandbox, fail_on_tool_error;
    uint32_t call_jobs, tool_output;
    double tool_timeout;
    bool loop, steps_given;
    struct g4_loop_limits limits;
};

const struct g4_opt_command *g4_call_command(void);
void g4_call_defaults(struct g4_call_opts *o);
void g4_call_clear(struct g4_call_opts *o);

struct g4_conv;

struct g4_caller { /* a run */
    const struct g4_call_opts *o;
    struct g4_gen_run gen;     /* what g4-gen knows of options, input, output and model */
    struct g4_sandbox box_wall; /* --sandbox */
    struct g4_box_params box_params;
    g4_box *box;
    g4_policy *policy;
    g4_tape *record, *replay, *journal;
    g4_run *run;
    struct g4_feed feed;
    g4_output *out;
    struct g4_compose compose; /* of result records */
    g4_str declared;           /* the tools as a JSON array, and the version of the box it is of */
    unsigned declared_version;
    int event_fd;              /* -1: none */
    int null_fd;               /* takes the records when events are written instead */
    struct g4_conv *ready, **ready_last; /* records that want to generate */
    uint32_t alive, in_flight, most_alive;
    g4_arena keep;
};

/* Checks the options and opens everything but the engine. */
int g4_call_setup(struct g4_caller *c, const struct g4_call_opts *o, struct g4_opts *opts, g4_err *err);
void g4_call_close(struct g4_caller *c, bool done); /* done: the journal of calls is no longer needed */
int g4_call_open_journal(struct g4_caller *c, g4_err *err);
void g4_call_declare(struct g4_caller *c); /* c->declared as the box has it now */

int g4_call_describe(struct g4_caller *c, const struct g4_call_opts *o, const struct g4_opts *opts, g4_err *err);
int g4_call_records(struct g4_caller *c, g4_err *err); /* the run itself */

/* ---- one record (call_conv.c) */

/* Takes a record over and brings it as far as it goes at once. */
int g4_conv_take(struct g4_caller *c, g4_record *r, g4_err *err);
/* Submits what is ready, as much as the engine takes at once. */
int g4_conv_submit(struct g4_caller *c, g4_err *err);
int g4_conv_event(struct g4_caller *c, const g4_event *ev, g4_err *err);
int g4_conv_done(struct g4_caller *c, struct g4_done *d, g4_err *err); /* a call's answer; d's texts are taken */

/* ---- events (call_event.c): what, with members behind it (`"text":"..."`, without the comma) */
int g4_call_event(struct g4_caller *c, const g4_record *r, uint32_t step, const char *what, g4_sv members, g4_err *err);

#endif
