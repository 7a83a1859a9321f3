/* call/box: the tools of a run: folders, files, and MCP servers that were started
 * for it.  A server's tools join the set once it has listed them, and follow its
 * changes. */
#ifndef G4_CALL_BOX_H
#define G4_CALL_BOX_H

#include "base/proc.h"
#include "call/tools.h"

typedef struct g4_box g4_box;

struct g4_box_params {            /* borrowed: must outlive the box */
    const char *const *tools;     /* paths */
    size_t n_tools;
    const char *const *mcp;       /* a command line, or a file with `mcpServers` */
    size_t n_mcp;
    const char *const *describe;  /* programs and folders of programs that are asked --describe */
    size_t n_describe;
    const struct g4_sandbox *sandbox;
    double start_max;             /* seconds a server or a program may take until its tools are known */
};

/* Starts the servers and waits until all have listed their tools.  G4_EUSAGE when
 * something cannot be used. */
g4_box *g4_box_open(const struct g4_box_params *p, g4_err *err);
void g4_box_free(g4_box *b); /* ends the servers */

const g4_tools *g4_box_tools(const g4_box *b);
bool g4_box_listing(const g4_box *b);     /* a server's tools are changing */
unsigned g4_box_version(const g4_box *b); /* grows when the tools change */

size_t g4_box_fds(const g4_box *b);                       /* most descriptors there can be */
unsigned g4_box_poll(const g4_box *b, struct pollfd *fds);
int g4_box_wait_ms(const g4_box *b);
void g4_box_step(g4_box *b);

#endif
