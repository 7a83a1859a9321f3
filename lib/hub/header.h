/* hub/header: a GGUF's header judged while the rest is still on its way. */
#ifndef G4_HUB_HEADER_H
#define G4_HUB_HEADER_H

#include "base/err.h"

enum g4_header {
    G4_HEADER_MORE, /* the bytes that are there do not reach its end; *want says how many are worth another look */
    G4_HEADER_GOOD,
    G4_HEADER_BAD,  /* err says why */
};

/* Looks at the first `prefix` bytes of a file that will have `size`.  path is for messages.  model: its
 * architecture must be one that g4 runs. */
enum g4_header g4_header_check(int fd, uint64_t prefix, uint64_t size, const char *path, bool model, uint64_t *want, g4_err *err);

#endif
