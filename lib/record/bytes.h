/* record/bytes: a descriptor as a stream of plain bytes.  gzip, bzip2, xz, zstd
 * and lz4 are recognised by their magic and undone on the way; what is plain is
 * handed on as it comes, without waiting for a full buffer. */
#ifndef G4_RECORD_BYTES_H
#define G4_RECORD_BYTES_H

#include "base/err.h"

typedef struct g4_bytes g4_bytes;
struct archive;

/* fd is taken over unless it is 0.  stop_fd: a descriptor that turns readable
 * when reading shall end early.  read_bytes (may be NULL) counts what was taken
 * from the descriptor. */
g4_bytes *g4_bytes_new(int fd, int stop_fd, _Atomic uint64_t *read_bytes);
void g4_bytes_free(g4_bytes *b);

/* Bytes read, 0 at the end (or stop), G4_EIO on failure. */
long g4_bytes_read(g4_bytes *b, char *buf, size_t n, g4_err *err);

/* The stream as an archive of any format, positioned before its first member;
 * freed with b.  NULL on failure. */
struct archive *g4_bytes_archive(g4_bytes *b, g4_err *err);

#endif
