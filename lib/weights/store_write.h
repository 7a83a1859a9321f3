/* weights/store_write: what changes g4's own store (store.h has its layout).
 *
 * Blobs are immutable once they have their name, so readers need no locks.  Who
 * writes holds .locks/store.lock shared from before its first blob until its
 * manifest stands; who deletes blobs holds it alone. */
#ifndef G4_WEIGHTS_STORE_WRITE_H
#define G4_WEIGHTS_STORE_WRITE_H

#include "base/mem.h"
#include "weights/store.h"

struct g4_store_file {
    const char *path;     /* name below the model's folder */
    const char *role;     /* "model", "mmproj", "drafter", "config", ... */
    const char *digest;   /* "sha256:HEX"; the blob is there */
    const char *identity; /* what the source calls these bytes, or NULL */
    const char *local;    /* absolute path of a file that is used in place, or NULL */
    uint64_t size;
};

struct g4_store_entry {
    const char *name, *source, *commit; /* commit may be NULL */
    const char *identity;               /* what all of it came from, or NULL */
    const struct g4_store_file *file;
    size_t n;
};

/* Opens (and creates) a lock file below root and locks it; waits when `wait`, else
 * returns -1 with err untouched when another process has it.  `said` is called
 * once before waiting (may be NULL).  Closing the descriptor unlocks. */
int g4_store_lock(const char *root, const char *name, bool exclusive, bool wait, void (*said)(const char *name), g4_err *err);

/* Writes the manifest, and the folder of links where a model is more than one file.
 * *path: what -m opens, absolute, the caller's to free. */
int g4_store_put(const char *root, const struct g4_store_entry *e, char **path, g4_err *err);

/* "ROOT/blobs/sha256-HEX".  Caller frees. */
char *g4_store_blob(const char *root, const char *hex);

/* Reads a manifest; true when it is there and all its files are.  Borrows from the arena. */
bool g4_store_load(const char *root, const char *name, g4_arena *keep, struct g4_store_entry *e);

/* The digest ("sha256:HEX") and size that some manifest has for a file of that identity; false: none. */
bool g4_store_known(const char *root, const char *identity, char digest[72], uint64_t *size);

/* Removes a name, and the blobs that no other name needs.  G4_EMODEL when there is none. */
int g4_store_remove(const char *name, uint64_t *freed, g4_err *err);

/* Removes blobs that no manifest names and partial files older than a day. */
int g4_store_gc(uint64_t *freed, size_t *n, g4_err *err);

/* SHA-256 of a file as 64 hex digits. */
int g4_store_sha256(const char *path, char hex[65], g4_err *err);

#endif
