/* verb/embed: a text to a vector, with an encoder model.  BOS and EOS stand around
 * the text; nothing is cut. */
#include "verb/impl.h"

#include <stdlib.h>

int g4_embed(g4_engine *e, const char *text, size_t len, float **out, size_t *dim, g4_err *err)
{
    g4_model *m = g4_core_model(e->core);
    const struct g4_hparams *hp = g4_model_hp(m);
    const struct g4_vocab *v = g4_tokenizer_vocab(g4_model_tokenizer(m));
    if (!hp || !hp->encoder) return g4_fail(err, G4_EUSAGE, "'%s' is not an embedding model", e->info.model_name);
    int32_t *ids;
    size_t n;
    int rc = g4_tokenize(e, text, len, G4_TOKENIZE_BOS, &ids, &n, err);
    if (rc) return rc;
    ids = g4_realloc(ids, (n + 1) * sizeof *ids);
    if (v->eos >= 0) ids[n++] = v->eos;
    if (n > g4_core_context(e->core)) {
        rc = g4_fail(err, G4_ECONTEXT, "the text has %zu tokens, the context holds %u", n, g4_core_context(e->core));
    } else {
        float *embedding = g4_alloc(hp->d_embed * sizeof *embedding);
        const struct g4_forward want = { .embedding = embedding };
        rc = g4_core_forward(e->core, ids, (uint32_t)n, 0, &want, err);
        if (rc) {
            free(embedding);
        } else {
            *out = embedding;
            *dim = hp->d_embed;
        }
    }
    free(ids);
    return rc;
}
