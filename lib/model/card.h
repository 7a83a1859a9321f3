/* model/card: what a file says of itself, for people: licence, template, tensor
 * types, and the hyper-parameters where it is a model g4 knows. */
#ifndef G4_MODEL_CARD_H
#define G4_MODEL_CARD_H

#include "base/dtype.h"
#include "base/err.h"
#include "model/hparams.h"

struct g4_card {
    char *arch, *license, *template, *quantised_with; /* NULL: not said; quantised_with: an importance matrix */
    const char *chat;               /* format the template was recognised as, "none" */
    uint64_t n_param, bytes;        /* of all tensors */
    uint64_t ple_bytes;             /* of that the per-layer table, which is read a row a token */
    uint32_t n_type[G4_DTYPE_END];
    uint64_t type_bytes[G4_DTYPE_END];
    const struct g4_hparams *hp;    /* NULL: g4 cannot run it, and why */
    const struct g4_gen_defaults *gen;
    char why[500];
    struct g4_model *model;
};

/* G4_EFORMAT and others when the file itself cannot be read. */
int g4_card_open(struct g4_card *c, const char *path, g4_err *err);
void g4_card_close(struct g4_card *c);

#endif
