/* record/source: the places input comes from, as a queue of items: the lines of
 * files, whole files, or the members of archives.
 *
 * A thread of its own reads, decompresses and cuts into lines, and stops while
 * `ahead` items wait, so that a slow pipe, a network file or a large archive
 * never holds up the pump; its descriptor turns readable when an item waits.
 * All calls come from one thread. */
#ifndef G4_RECORD_SOURCE_H
#define G4_RECORD_SOURCE_H

#include "base/err.h"

enum g4_source_kind {
    G4_SOURCE_LINES, /* every line of every path */
    G4_SOURCE_FILES, /* every path is one item */
    G4_SOURCE_TAR,   /* every regular member of every archive is one item */
};

enum { G4_ITEM_MAX = 64 << 20 }; /* bytes of a line, file or member */

struct g4_source_params { /* borrowed: must outlive the source */
    enum g4_source_kind kind;
    const char *const *paths; /* "-" is standard input */
    size_t n_path;
    const char *names_from;   /* a file that lists further paths, or NULL */
    bool names_nul;           /* ... each ended by NUL instead of newline */
    const char *const *include, *const *exclude; /* globs on paths of FILES and TAR */
    size_t n_include, n_exclude;
    uint32_t ahead;
};

struct g4_item {
    char *name;      /* path, member name, or "<stdin>" */
    uint64_t line;   /* 1-based; 0: a whole file */
    char *bytes;     /* NUL-terminated; NULL when code is set */
    size_t n;
    int code;        /* G4_EINPUT: this item only; G4_EIO: the rest of this path is lost; 1: skipped, a note */
    char *why;       /* for code: the message */
};

typedef struct g4_source g4_source;

g4_source *g4_source_new(const struct g4_source_params *p, g4_err *err);
void g4_source_free(g4_source *s); /* ends the thread */

/* 1: *item is filled and the caller's to clear; 0: none yet; -1: the end. */
int g4_source_next(g4_source *s, struct g4_item *item);
void g4_item_clear(struct g4_item *item);
int g4_source_fd(const g4_source *s);

/* How far reading has come, 0..1; negative when nobody can know. */
double g4_source_progress(const g4_source *s);

/* Does path pass the globs?  A pattern without '/' is matched to the last part
 * of the path too; `*` does not stop at '/'. */
bool g4_source_wanted(const struct g4_source_params *p, const char *path);

#endif
