/* hub/hub: pulls a model from where it is kept into g4's store.
 *
 * A reference (ref.h) is resolved into a plan (plan.h): files with sizes, digests
 * and addresses.  The engine (fetch.h) brings them, install.c puts them into the
 * store.  One pull at a time in a process; events come on the caller's thread. */
#ifndef G4_HUB_HUB_H
#define G4_HUB_HUB_H

#include "base/err.h"
#include "base/str.h"

/* Why a pull failed: `error.code` of an event, and the command's status. */
enum g4_hub_why {
    G4_HUB_OK,
    G4_HUB_USAGE,     /* "usage": no reference, or one that cannot be meant */
    G4_HUB_NOT_FOUND, /* "not_found" */
    G4_HUB_GATED,     /* "gated": a licence, a token or a password is missing */
    G4_HUB_INTEGRITY, /* "integrity": other bytes than were announced */
    G4_HUB_FORMAT,    /* "format": not a model, or not one that g4 reads */
    G4_HUB_NETWORK,   /* "network" */
    G4_HUB_SPACE,     /* "space" */
    G4_HUB_OFFLINE,   /* "offline": not here, and the network may not be asked */
    G4_HUB_IO,        /* "io": the store cannot be read or written */
};

const char *g4_hub_why_name(enum g4_hub_why why);

enum g4_hub_event_kind {
    G4_HUB_RESOLVED, /* plan known; nothing fetched yet */
    G4_HUB_START,    /* a transfer begins; bytes: what a former run left */
    G4_HUB_PROGRESS, /* at most ten a second; bytes and total of the whole pull */
    G4_HUB_VERIFY,   /* all bytes are there, the digest is being compared */
    G4_HUB_DONE,     /* a file is in the store */
};

struct g4_plan;

struct g4_hub_event {
    enum g4_hub_event_kind kind;
    const struct g4_plan *plan; /* RESOLVED */
    const char *name;           /* what -m takes */
    const char *file, *role;    /* START, VERIFY, DONE */
    const char *path;           /* DONE: absolute */
    const char *sha256;         /* DONE, VERIFY when known: 64 hex digits */
    uint64_t bytes, total;      /* total 0: unknown */
    bool fetched;               /* DONE: false when it was here already */
};

struct g4_hub_params { /* all zero: sensible defaults */
    const char *proxy, *cafile, *token_file;
    const char *pin;            /* "sha256:HEX" the model must have */
    const char *name;           /* a further name in the store */
    uint32_t jobs;              /* connections a file (8) */
    uint32_t retries;           /* attempts of a segment (6) */
    double retry_delay;         /* seconds before the second attempt (1); doubles, with jitter */
    double stall;               /* seconds below 1 KiB/s that end a connection (30) */
    uint64_t max_size;          /* most bytes of a pull, 0: no limit */
    uint64_t rate;              /* bytes a second of the whole pull, 0: no limit */
    bool media, drafter;        /* sidecars wanted */
    bool netrc, insecure_http, offline, force, copy, no_space_check, dry_run;
    void (*event)(void *arg, const struct g4_hub_event *e);
    void *arg;
};

/* Pulls what ref names.  G4_OK, or a negative code with *why and the message. */
int g4_hub_pull(const struct g4_hub_params *p, const char *ref, enum g4_hub_why *why, g4_err *err);

/* A variable of the environment that says yes, as the Hub's programs read it: 1, on, yes, true. */
bool g4_hub_env_true(const char *var);

#endif
