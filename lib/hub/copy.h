/* hub/copy: bytes that are on this machine already. */
#ifndef G4_HUB_COPY_H
#define G4_HUB_COPY_H

#include "hub/impl.h"

/* All of `from` into `to`: shared blocks where the file system can, else a copy in the kernel, else by hand.
 * path is for messages. */
int g4_copy_data(struct g4_hub *h, int from, int to, const char *path, g4_err *err);

/* Another tool's cache may hold a blob of that SHA-256: it becomes one of ours at `path`, as a second name of
 * the same file where that can be, else as a copy, after its bytes were compared.  False: there is none. */
bool g4_copy_adopt(struct g4_hub *h, const char *hex, int64_t size, const char *path);

#endif
