/* hub/fetch: brings files into the store's tmp/ folder: several connections a
 * file, resumed where a former run stood, every byte under a digest. */
#ifndef G4_HUB_FETCH_H
#define G4_HUB_FETCH_H

#include "hub/impl.h"

struct g4_fetched { /* what became of a file of the plan */
    char *path;        /* in blobs/, or in tmp/ when it is an archive; the file's own for local ones */
    char sha256[65];
    uint64_t size;
    char *identity;    /* what its source calls these bytes, or NULL */
    bool fresh;        /* false: it was here */
};

/* Fetches the files of the plan that are not here yet; out has plan->n elements, all zero, which stay so
 * for local files. */
int g4_fetch(struct g4_hub *h, const struct g4_plan *plan, struct g4_fetched *out, g4_err *err);
void g4_fetched_clear(struct g4_fetched *f, size_t n);

#endif
