/* device/vulkan/kv: the cache's memory: K and V of each layer apart, as
 * [block][n_kv][32 keys][d_head].  Copies of blocks wait for the next run. */
#include "device/vulkan/impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static VkDeviceSize block_bytes(const g4_kv_desc *d, uint32_t layer)
{
    const g4_kv_layer *l = &d->layers[layer];
    return (VkDeviceSize)l->n_kv * G4_KV_BLOCK * l->d_head * (d->type == G4_F16 ? 2 : 4);
}

void g4_vk_kv_free(g4_device *d, struct g4_kv_store *kv)
{
    struct g4_vk *vk = (struct g4_vk *)(void *)d;
    if (!kv) return;
    g4_vk_wait(vk, NULL);
    g4_vk_arena_free(vk, &kv->arena);
    free(kv->layers);
    free(kv->at);
    free(kv->move);
    free(kv);
}

static int take_layer(struct g4_vk *vk, struct g4_kv_store *kv, uint32_t layer, g4_err *err)
{
    const uint32_t n = kv->desc.n_block[kv->layers[layer].pool];
    const VkDeviceSize size = n * block_bytes(&kv->desc, layer);
    if (kv->layers[layer].d_head % 2) return g4_fail(err, G4_EUNSUP, "heads of odd size do not run on a GPU");
    if (size > vk->caps.range)
        return g4_fail(err, G4_ENOMEM, "a cache of %u blocks cannot be bound on '%s'; a smaller --context or -P helps", n, vk->caps.name);
    for (int part = 0; part < 2; part++) {
        const int rc = g4_vk_take(vk, &kv->arena, size ? size : 4, &kv->at[layer].part[part], err);
        if (rc) return rc;
    }
    return 0;
}

struct g4_kv_store *g4_vk_kv_new(g4_device *d, const g4_kv_desc *desc, g4_err *err)
{
    struct g4_vk *vk = (struct g4_vk *)(void *)d;
    if (desc->type != G4_F16 && desc->type != G4_F32) {
        g4_fail(err, G4_EUNSUP, "the cache holds f16 or f32 keys and values");
        return NULL;
    }
    struct g4_kv_store *kv = g4_alloc(sizeof *kv);
    kv->desc = *desc;
    kv->layers = g4_dup(desc->layers, desc->n_layer * sizeof *desc->layers);
    kv->desc.layers = kv->layers;
    kv->at = g4_alloc((desc->n_layer + 1) * sizeof *kv->at);
    kv->arena = (struct g4_vk_arena){ .place = G4_VK_DEVICE, .step = 64 << 20 };
    uint64_t all = 0;
    for (uint32_t i = 0; i < desc->n_layer; i++) all += 2 * (desc->n_block[desc->layers[i].pool] * block_bytes(&kv->desc, i) + 512);
    if (all < kv->arena.step) kv->arena.step = all;
    for (uint32_t i = 0; i < desc->n_layer; i++)
        if (take_layer(vk, kv, i, err)) {
            g4_vk_kv_free(d, kv);
            return NULL;
        }
    return kv;
}

void g4_vk_kv_copy(g4_device *d, struct g4_kv_store *kv, uint32_t pool, int32_t from, int32_t to)
{
    if (kv->n_move == kv->cap_move) G4_GROW(kv->move, kv->cap_move, kv->n_move + 1);
    kv->move[kv->n_move++] = (struct g4_vk_kv_move){ pool, from, to };
}

/* The waiting copies, in order: one may read what another wrote. */
int g4_vk_kv_flush(struct g4_vk *vk, struct g4_kv_store *kv, g4_err *err)
{
    if (!kv || !kv->n_move) return 0;
    const VkCommandBuffer cb = g4_vk_once(vk, err);
    if (!cb) return G4_EDEVICE;
    const VkMemoryBarrier order = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                    .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT };
    for (size_t i = 0; i < kv->n_move; i++) {
        const struct g4_vk_kv_move *m = &kv->move[i];
        if (i)
            vk->fn->CmdPipelineBarrier(cb, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &order, 0, NULL, 0, NULL);
        for (uint32_t l = 0; l < kv->desc.n_layer; l++) {
            if (kv->layers[l].pool != m->pool) continue;
            const VkDeviceSize n = block_bytes(&kv->desc, l);
            for (int part = 0; part < 2; part++) {
                const struct g4_vk_span *s = &kv->at[l].part[part];
                const VkBufferCopy region = { s->at + (uint32_t)m->from * n, s->at + (uint32_t)m->to * n, n };
                vk->fn->CmdCopyBuffer(cb, s->buf, s->buf, 1, &region);
            }
        }
    }
    kv->n_move = 0;
    return g4_vk_once_end(vk, err);
}
