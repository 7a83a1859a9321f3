/* engine/need: see need.h. */
#include "engine/need.h"

#include "engine/kv.h"
#include "model/model.h"

enum { CHUNK = 512, ROWS = 16, OUTS = 33 }; /* as core.c opens a model for one sequence */

uint64_t g4_need_work(const struct g4_hparams *hp, uint64_t rows, uint64_t outs)
{
    uint64_t width = 0;
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        const struct g4_layer_hp *l = &hp->layer[i];
        const uint64_t w = 2ull * l->d_ff + (hp->n_head * 2ull + 2 * l->n_kv) * l->d_head;
        if (w > width) width = w;
    }
    width += 6ull * hp->d_model + 2ull * hp->n_layer * hp->d_ple;
    return 4 * (rows * width + outs * hp->n_vocab);
}

void g4_need_of(const struct g4_model *m, uint32_t context, struct g4_need *out)
{
    const struct g4_hparams *hp = g4_model_hp(m);
    g4_kv_desc desc = { .type = G4_F16 };
    desc.layers = g4_model_kv_layers(m, &desc.n_layer);
    struct g4_kv_want want = { .window = hp->encoder ? UINT32_MAX / 2 : hp->window, .context = context, .parallel = 1, .budget = UINT64_MAX / 2,
                               .chunk = CHUNK < context ? CHUNK : context };
    struct g4_kv_sizes sizes;
    for (uint32_t i = 0; i < desc.n_layer; i++) want.block_bytes[desc.layers[i].pool] = g4_kv_block_bytes(&desc, desc.layers[i].pool);
    g4_kv_plan(&want, false, &sizes);
    out->cache = g4_kv_memory(&want, &sizes);
    out->work = g4_need_work(hp, 2 * ROWS + want.chunk, ROWS + OUTS);
}
