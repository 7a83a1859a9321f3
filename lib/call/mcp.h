/* call/mcp: a client of the Model Context Protocol over a child's stdin and
 * stdout: initialise, list tools (paged), call, cancel.  A server's stderr and its
 * log messages go to g4_log.  Nothing blocks: descriptors, wait, step, as in
 * base/proc. */
#ifndef G4_CALL_MCP_H
#define G4_CALL_MCP_H

#include "base/json.h"
#include "base/proc.h"

typedef struct g4_mcp g4_mcp;

struct g4_mcp_params {       /* borrowed: must outlive the server */
    const char *name;        /* for messages */
    const char *const *argv;
    const char *const *env, *dir;
    const struct g4_sandbox *sandbox;
    double start_max;        /* seconds until its tools must be known */
};

g4_mcp *g4_mcp_start(const struct g4_mcp_params *p, g4_err *err);
/* Closes its input, gives it a moment to end, then ends it. */
void g4_mcp_free(g4_mcp *m);
/* Closes the inputs of several servers first, so that they end side by side. */
void g4_mcp_close(g4_mcp *m);

unsigned g4_mcp_poll(const g4_mcp *m, struct pollfd *fds); /* [G4_PROC_FDS] */
int g4_mcp_wait_ms(const g4_mcp *m);
void g4_mcp_step(g4_mcp *m);

enum g4_mcp_state { G4_MCP_STARTING, G4_MCP_READY, G4_MCP_DEAD };
enum g4_mcp_state g4_mcp_state(const g4_mcp *m, const char **why);

/* The declarations, an array in OpenAI's shape; its number grows when they change. */
g4_json g4_mcp_declarations(const g4_mcp *m, unsigned *version);
bool g4_mcp_listing(const g4_mcp *m);         /* it said that they changed, and is being asked */
const char *g4_mcp_protocol(const g4_mcp *m); /* the revision agreed on; "" before */

/* Sends a call; the number is for the other two. */
uint64_t g4_mcp_call(g4_mcp *m, const char *tool, g4_json arguments);
/* true once the result is there: content is appended to, failed says that it is an
 * error's message.  A server that dies fails the calls it was asked; the next one starts it
 * again, unless it died three times without an answer between. */
bool g4_mcp_result(g4_mcp *m, uint64_t call, g4_str *content, bool *failed);
void g4_mcp_cancel(g4_mcp *m, uint64_t call, const char *reason);

#endif
