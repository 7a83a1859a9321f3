/* base/file: whole files: mapped, read, and written so that nothing half done
 * is ever seen under the final name. */
#ifndef G4_BASE_FILE_H
#define G4_BASE_FILE_H

#include "base/err.h"
#include "base/str.h"

typedef struct g4_map { /* a file mapped read-only, private */
    const uint8_t *p;
    size_t n;
    uint64_t dev, ino, size;
    int64_t mtime_ns;
} g4_map;

int g4_map_open(g4_map *m, const char *path, g4_err *err); /* G4_EIO; empty files map to n = 0 */
void g4_map_close(g4_map *m);

/* Reads up to max bytes whole; G4_ELIMIT when there is more. */
int g4_file_read(const char *path, size_t max, g4_str *out, g4_err *err);

/* Temporary name beside path, write, fsync, rename. */
int g4_file_write_atomic(const char *path, const void *p, size_t n, g4_err *err);

/* The same in steps, for what is not in memory: a file beside path, without a name where the file system
 * has such files; written through fd; commit syncs it and gives it its name, drop forgets it. */
typedef struct g4_new_file {
    int fd;
    bool named; /* tmp exists */
    char *tmp, *path;
} g4_new_file;

int g4_new_file_open(g4_new_file *f, const char *path, g4_err *err);
int g4_new_file_commit(g4_new_file *f, g4_err *err); /* f is closed in any case */
void g4_new_file_drop(g4_new_file *f);               /* {0} and what is closed already are fine */

/* After a rename: the entry of a name is on disk once its folder is.  Where that
 * cannot be had, the file is complete all the same. */
void g4_sync_folder(const char *path);

int g4_write_all(int fd, const void *p, size_t n); /* 0 or -1 with errno; restarts on EINTR */
int g4_mkdirs(const char *path, unsigned mode, g4_err *err);
bool g4_file_exists(const char *path);
bool g4_is_dir(const char *path);

/* $VAR (var may be NULL) when absolute, else $HOME/fallback; then "/" and sub (may be NULL) behind it.
 * NULL when neither is set.  Caller frees. */
char *g4_xdg_path(const char *var, const char *fallback, const char *sub);

#endif
