/* cmd/shipped: the small model that comes with g4, for who has chosen none. */
#ifndef G4_CMD_SHIPPED_H
#define G4_CMD_SHIPPED_H

#include <stddef.h>

/* Its path, written to path[0..size): ../share/g4/g4-nano.gguf beside the
 * program, or ../examples/nano/g4-nano.gguf in a build tree.  Says on stderr
 * which model answers.  NULL: there is none. */
const char *g4_tool_shipped_model(char *path, size_t size);

#endif
