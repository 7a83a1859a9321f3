/* cmd/tool: the manners all commands share: messages and progress on stderr,
 * exit statuses, signals. */
#ifndef G4_CMD_TOOL_H
#define G4_CMD_TOOL_H

#include "g4-tool.h"

enum { /* exit statuses */
    G4_STATUS_FAILED = 1,    /* finished, some records failed */
    G4_STATUS_USAGE = 2,
    G4_STATUS_MODEL = 3,     /* missing, corrupt or unsupported */
    G4_STATUS_IO = 4,        /* input, output or device failed */
    G4_STATUS_CUT = 5,       /* an answer was cut */
    G4_STATUS_CONDITION = 6, /* what the user asked for does not hold */
};

struct g4_tool_params {
    bool quiet, verbose;
    const char *color; /* "auto" (NULL), "always", "never" */
};

/* First thing in main: descriptors 0-2 exist, signals end the process between
 * writes, the library's messages go to stderr behind the command's name. */
void g4_tool_start(const char *name);
void g4_tool_configure(const struct g4_tool_params *p);

void g4_tool_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void g4_tool_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));   /* not with -q */
void g4_tool_detail(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* with -v */
bool g4_tool_color(void);     /* may stderr be coloured? */
bool g4_tool_color_out(void); /* may stdout? */

/* Remembers a status; g4_tool_status gives the one that counts (4, 3, 1, 5, 6;
 * 2 before all). */
void g4_tool_fail(int status);
int g4_tool_status(void);
/* Prints the message and remembers what the error's code means for a command. */
void g4_tool_fail_err(const g4_err *err);

/* Around a write that must not be torn: a signal in between takes effect at leave. */
void g4_tool_enter(void *unused);
void g4_tool_leave(void *unused);
/* fn is called, in a signal handler, before a signal ends the process. */
void g4_tool_at_end(void (*fn)(void));
/* The reader of stdout has gone: ends by SIGPIPE, as a write would. */
void g4_tool_broken_pipe(void);

/* A line on stderr, drawn at most ten times a second and only on a terminal.
 * done: records written; share: 0..1, negative when unknown. */
void g4_tool_progress(uint64_t done, uint64_t tokens, double share);
/* The same for bytes, with their rate and the time left; total 0: unknown. */
void g4_tool_progress_bytes(uint64_t done, uint64_t total);
void g4_tool_progress_hide(void);
bool g4_tool_terminal(void); /* is stderr one? */

double g4_tool_now(void); /* seconds, monotonic */

#endif
