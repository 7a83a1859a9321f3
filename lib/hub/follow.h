/* hub/follow: digests of a file while it arrives.  A thread follows the bytes that
 * are there without a hole, reading them back from the page cache, and puts them
 * on the disk now and then; the transfers wait for neither. */
#ifndef G4_HUB_FOLLOW_H
#define G4_HUB_FOLLOW_H

#include "hub/part.h"
#include "hub/plan.h"

struct g4_follow;

/* SHA-256 always; besides it `also` (GIT needs the size; STORED: MD5, and CRC32C behind it, 32 and 8 digits).  fd stays the caller's.  done(arg) is called
 * on the thread when the digests are ready. */
struct g4_follow *g4_follow_new(int fd, enum g4_digest_kind also, int64_t size, void (*done)(void *), void *arg, g4_err *err);
/* The file is there up to `prefix`, ranges `r` are written. */
void g4_follow_reach(struct g4_follow *f, uint64_t prefix, const struct g4_ranges *r);
/* No more bytes than `size` will come. */
void g4_follow_end(struct g4_follow *f, uint64_t size);
/* True when the digests are ready (or reading failed: err).  sha256: 65 bytes; other: 65, empty without `also`. */
bool g4_follow_ready(struct g4_follow *f, char *sha256, char *other, g4_err *err);
/* What is on the disk for sure, since the last call that said true. */
bool g4_follow_synced(struct g4_follow *f, struct g4_ranges *out);
void g4_follow_free(struct g4_follow *f); /* stops the thread; NULL is fine */

#endif
