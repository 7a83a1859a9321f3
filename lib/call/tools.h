/* call/tools: what a model may call: declarations, and what stands behind them.
 *
 * A folder holds NAME.json (an OpenAI function declaration) and beside it the
 * program NAME, or one NAME.EXT; a file holds declarations only: an array, an
 * object with `tools`, or a single one.  Names are unique. */
#ifndef G4_CALL_TOOLS_H
#define G4_CALL_TOOLS_H

#include "base/json.h"

struct g4_mcp;

struct g4_tool {
    char *name;
    char *declaration;     /* {"type":"function","function":{...}}, compact */
    g4_json parameters;    /* its span in declaration; {NULL, 0}: none */
    char *from;            /* the file or server it comes from, for messages */
    char *path;            /* the program, absolute; or NULL */
    struct g4_mcp *server; /* what answers its calls instead; borrowed, or NULL */
};

typedef struct g4_tools { /* {0} is an empty set */
    struct g4_tool *v;
    size_t n, cap;
} g4_tools;

/* Reads a folder or a file.  programs: every declaration of a folder needs its
 * program.  G4_EUSAGE, naming the file, for what cannot be used. */
int g4_tools_read(g4_tools *t, const char *path, bool programs, g4_err *err);

/* Adds one declaration, {"type":"function","function":F} or F itself; *tool (may
 * be NULL) is good until the set changes. */
int g4_tools_add(g4_tools *t, g4_json declaration, const char *from, struct g4_tool **tool, g4_err *err);

const struct g4_tool *g4_tools_find(const g4_tools *t, const char *name);
void g4_tools_drop(g4_tools *t, const struct g4_mcp *server); /* those of a server */
void g4_tools_json(const g4_tools *t, g4_str *out);           /* [declaration, ...] */
void g4_tools_clear(g4_tools *t);

#endif
