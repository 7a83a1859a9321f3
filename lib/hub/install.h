/* hub/install: what was fetched becomes a model in the store. */
#ifndef G4_HUB_INSTALL_H
#define G4_HUB_INSTALL_H

#include "hub/fetch.h"

struct g4_installed { /* a file of the model, in blobs/ or where it lay */
    char *name, *path, *identity;
    enum g4_role role;
    char sha256[65];
    uint64_t size;
    bool fresh, local;
};

struct g4_install {
    struct g4_installed *v;
    size_t n, cap;
};

/* Unpacks, joins, copies and checks; `got` is what g4_fetch gave. */
int g4_install_files(struct g4_hub *h, const struct g4_plan *plan, const struct g4_fetched *got, struct g4_install *out, g4_err *err);
void g4_install_clear(struct g4_install *x);

#endif
