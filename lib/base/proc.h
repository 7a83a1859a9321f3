/* base/proc: children: a program with input, limits on time and output, and an
 * end that is always known.
 *
 * A child leads a process group of its own, has no descriptor of ours but its
 * three, default signals, and dies with us.  Nothing here blocks: the owner puts
 * g4_proc_poll's descriptors on its list, and calls g4_proc_step when one is
 * ready or g4_proc_wait_ms has passed.  When the program ends, what is left of
 * its group is killed; processes that moved to a group of their own are killed
 * once no child is left.  All are reaped.  One thread calls all of this. */
#ifndef G4_BASE_PROC_H
#define G4_BASE_PROC_H

#include "base/err.h"
#include "base/str.h"

typedef struct g4_proc g4_proc;
struct pollfd;

/* --sandbox: bubblewrap with no network, a read-only file system, a /tmp and a
 * /run of its own. */
struct g4_sandbox {
    const char *const *write; /* folders that stay writable, absolute */
    size_t n_write;
};

struct g4_proc_params {          /* nothing is kept but out_max and what is said to be */
    const char *const *argv;     /* NULL-terminated; a name without '/' is looked up in PATH */
    const char *const *env;      /* NAME=VALUE beside our own environment, NULL-terminated; or NULL */
    const char *dir;             /* working directory; NULL: ours */
    g4_sv input;                 /* what it reads */
    bool open_input;             /* its input stays open for g4_proc_write */
    size_t out_max;              /* bytes it may write; more ends it. 0: no limit */
    double time_max;             /* seconds it may take; 0: no limit */
    const struct g4_sandbox *sandbox; /* or NULL */
};

enum g4_proc_end {
    G4_PROC_RUNS,
    G4_PROC_EXITED,  /* value: its status */
    G4_PROC_SIGNAL,  /* value: the signal */
    G4_PROC_TIME,    /* ended for its time limit */
    G4_PROC_OUTPUT,  /* ended for its output limit */
};

enum { G4_PROC_FDS = 4, G4_PROC_ERR_KEPT = 8192 };

/* NULL when it cannot be started: err says why (G4_EIO). */
g4_proc *g4_proc_start(const struct g4_proc_params *p, g4_err *err);
/* Kills what still runs, waits for it, frees. */
void g4_proc_free(g4_proc *p);

unsigned g4_proc_poll(const g4_proc *p, struct pollfd *fds); /* [G4_PROC_FDS]; how many were filled */
int g4_proc_wait_ms(const g4_proc *p);        /* until it wants g4_proc_step; -1: only for its descriptors */
enum g4_proc_end g4_proc_step(g4_proc *p);    /* reads, writes, kills, reaps: what can be done now */
enum g4_proc_end g4_proc_state(const g4_proc *p, int *value);

/* What it wrote: all of stdout (the owner may take bytes from the front), the
 * last G4_PROC_ERR_KEPT bytes of stderr. */
g4_str *g4_proc_out(g4_proc *p);
g4_str *g4_proc_err(g4_proc *p);

/* open_input: more to read, or the end of it. */
void g4_proc_write(g4_proc *p, const void *bytes, size_t n);
void g4_proc_close_input(g4_proc *p);
/* Ends it: SIGTERM to the group, SIGKILL half a second later. */
void g4_proc_end(g4_proc *p);

/* For a signal handler: SIGKILL to every group. */
void g4_proc_kill_all(void);

/* The sandbox's command line in front of argv, NULL-terminated; the array and
 * its own strings lie in one malloc'ed block, argv's strings are borrowed. */
const char **g4_sandbox_argv(const struct g4_sandbox *s, const char *dir, const char *const *argv);
/* Can it be used here?  G4_EUSAGE with what is missing. */
int g4_sandbox_check(const struct g4_sandbox *s, g4_err *err);

/* "ended with status 3", "was ended by signal 9 (Killed)", ... */
void g4_proc_describe(enum g4_proc_end end, int value, double time_max, size_t out_max, g4_str *out);

#endif
