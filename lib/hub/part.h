/* hub/part: a file that is being fetched, and the journal of what it holds.
 *
 *   tmp/KEY.g4part        the data, as large as the file will be
 *   tmp/KEY.g4part.json   {"version":1, "identity":..., "size":N, "boot":ID, "etag":..., "host":...,
 *                          "done":[[a,b],...], "synced":[[a,b],...]}
 *
 * `done` names bytes that were written, `synced` those that fdatasync has put on
 * the disk.  After a process was killed the page cache still has all of `done`;
 * the boot id tells whether that is so, else only `synced` counts.  That way no
 * transfer ever waits for the disk, and no journal claims what may be lost. */
#ifndef G4_HUB_PART_H
#define G4_HUB_PART_H

#include "base/err.h"
#include "base/str.h"

struct g4_range { /* a <= x < b */
    uint64_t a, b;
};

struct g4_ranges { /* sorted, apart from one another; {0} is empty */
    struct g4_range *v;
    size_t n, cap;
};

void g4_ranges_add(struct g4_ranges *r, uint64_t a, uint64_t b);
void g4_ranges_copy(struct g4_ranges *to, const struct g4_ranges *from);
uint64_t g4_ranges_sum(const struct g4_ranges *r);
uint64_t g4_ranges_prefix(const struct g4_ranges *r); /* bytes from 0 on without a hole */

struct g4_part {
    int fd;                 /* -1: closed */
    char *data, *journal;   /* paths */
    char *identity;         /* what must match for a resume; NULL: never resumes */
    int64_t size;           /* -1: unknown */
    char *etag, *host;      /* strong validator, and whose it is */
    struct g4_ranges done, synced;
    uint64_t saved;         /* sum of `done` in the journal on disk */
    bool preallocated;
};

/* Opens or creates the partial file below dir; the caller holds the key's lock.
 * What a former run left is taken over when identity and size are the same.
 * G4_EIO. */
int g4_part_open(struct g4_part *p, const char *dir, const char *key, const char *identity, int64_t size, g4_err *err);
/* Sets the size, and takes the space on disk when `reserve`; G4_EIO with errno kept (ENOSPC, EDQUOT, EFBIG). */
int g4_part_resize(struct g4_part *p, int64_t size, bool reserve, g4_err *err);
/* Forgets everything that was fetched. */
int g4_part_restart(struct g4_part *p, g4_err *err);
/* Writes the journal.  A failure (a full disk) leaves the former one, which claims less. */
void g4_part_save(struct g4_part *p);
/* fsync, mode, rename to path; the journal goes. */
int g4_part_commit(struct g4_part *p, const char *path, g4_err *err);
void g4_part_close(struct g4_part *p);  /* keeps the files */
void g4_part_remove(struct g4_part *p); /* deletes them */

#endif
