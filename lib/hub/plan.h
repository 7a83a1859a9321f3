/* hub/plan: what a pull will fetch, and what becomes of it. */
#ifndef G4_HUB_PLAN_H
#define G4_HUB_PLAN_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum g4_role {
    G4_ROLE_OTHER,
    G4_ROLE_MODEL,
    G4_ROLE_MMPROJ,
    G4_ROLE_DRAFTER,
    G4_ROLE_CONFIG,
    G4_ROLE_TOKENIZER,
    G4_ROLE_TEMPLATE,
    G4_ROLE_PARAMS,
    G4_ROLE_LICENSE,
};

const char *g4_role_name(enum g4_role role);

enum g4_digest_kind {
    G4_DIGEST_NONE,
    G4_DIGEST_SHA256,
    G4_DIGEST_GIT,    /* SHA-1 of "blob SIZE\0" and the content */
    G4_DIGEST_STORED, /* MD5 or CRC32C, whichever the storage tells with its response: integrity only */
};

struct g4_digest {
    enum g4_digest_kind kind;
    char hex[65];
};

/* "sha256:HEX", or HEX of 64 digits; false otherwise.  Upper case is lowered. */
bool g4_digest_parse(const char *text, size_t n, struct g4_digest *out);

struct g4_plan_file {
    char *path;       /* name below the model's folder: relative, no '..' */
    enum g4_role role;
    int64_t size;     /* -1: unknown */
    struct g4_digest digest;
    char *url;        /* where it is asked for; NULL with `local` */
    char *local;      /* a file of this machine */
    char *identity;   /* what its source calls these bytes; NULL: no name, so nothing can be resumed */
    char *repo, *commit; /* what a Hub's redirect must announce, or NULL */
    bool archive;     /* a wheel, zip or tar that holds the files */
    bool wheel;       /* its RECORD is checked */
    char *inner;      /* the member wanted, or NULL: the models and their side files */
};

struct g4_plan {
    char *name;       /* canonical: what the manifest is called */
    char *source;     /* for people and the manifest: "hf:ORG/REPO" */
    char *commit;     /* or NULL */
    char *note;       /* why these files, or NULL */
    char *alias;      /* the short name that was typed, or NULL */
    char *pin;        /* "sha256:HEX" that the short name's table gives, or NULL */
    struct g4_plan_file *file;
    size_t n, cap;
    bool join;        /* the members of the archives, joined in order, are one file */
};

struct g4_plan_file *g4_plan_add(struct g4_plan *p, const char *path, enum g4_role role);
void g4_plan_free(struct g4_plan *p);
uint64_t g4_plan_bytes(const struct g4_plan *p); /* of the known sizes */

#endif
