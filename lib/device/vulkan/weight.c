/* device/vulkan/weight: weights and constants in device memory.  A weight goes
 * there when the first plan that multiplies with it is made, through the staging
 * memory, packed for its shader on the way; it stays until the device is closed. */
#include "device/vulkan/impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum { LARGE = 4 << 20, PIECE = 128 << 10 }; /* bytes that several threads pack; bytes an item */

struct g4_vk_kept {
    void *copy;
    size_t n;
    struct g4_vk_span span;
};

/* ---- slices ------------------------------------------------------------------ */

/* Rows a slice: as many as a binding and a block hold, whole matrices of a stack. */
static uint64_t slice_rows(const struct g4_vk *vk, const g4_weight *w, uint32_t row_bytes)
{
    const uint64_t most = vk->caps.range < vk->caps.alloc - 4096 ? vk->caps.range : vk->caps.alloc - 4096;
    uint64_t rows = most / row_bytes;
    if (w->n > 1) rows = rows / w->rows * w->rows;
    else if (rows > 256) rows = rows / 256 * 256;
    return rows;
}

struct packing {               /* rows that several threads pack */
    const struct g4_vk_weight *d;
    const uint8_t *src;
    uint8_t *dst;
    uint32_t n, each;          /* rows, and rows an item */
};

static uint32_t pack_items(void *arg, uint32_t job)
{
    const struct packing *k = arg;
    return (k->n + k->each - 1) / k->each;
}

static void pack_item(void *arg, uint32_t job, uint32_t item, uint32_t thread)
{
    const struct packing *k = arg;
    const uint32_t at = item * k->each, n = k->n - at < k->each ? k->n - at : k->each;
    k->d->pack.rows(k->d->w, k->src + (size_t)at * k->d->w->row_bytes, n, k->dst + (size_t)at * k->d->pack.row_bytes, k->d->pack.row_bytes);
}

/* Small weights by this thread alone: a tiny model starts no others. */
static void pack(struct g4_vk *vk, struct packing *k)
{
    const size_t bytes = (size_t)k->n * k->d->pack.row_bytes;
    const uint32_t cores = g4_cpu_count();
    k->each = (uint32_t)(PIECE / k->d->pack.row_bytes) + 1;
    if (bytes >= LARGE && cores > 1 && !vk->in->packers) vk->in->packers = g4_pool_new(cores < 16 ? cores : 16, NULL);
    if (bytes < LARGE || !vk->in->packers) k->each = k->n;
    if (k->each < k->n) g4_pool_run(vk->in->packers, &(g4_pool_work){ .n_job = 1, .items = pack_items, .run = pack_item, .arg = k });
    else pack_item(k, 0, 0, 0);
}

static int fill(struct g4_vk *vk, const struct g4_vk_weight *d, const struct g4_vk_slice *s, g4_err *err)
{
    const uint32_t bytes = d->pack.row_bytes;
    uint8_t *host;
    VkDeviceSize size;
    for (uint32_t at = 0; at < s->n_row;) {
        int rc = g4_vk_stage(vk, &host, &size, err);
        if (rc) return rc;
        const uint32_t fit = (uint32_t)(size / bytes < s->n_row - at ? size / bytes : s->n_row - at);
        if (!fit) return g4_fail(err, G4_EUNSUP, "a row of tensor '%s' is too long", d->w->name ? d->w->name : "");
        pack(vk, &(struct packing){ .d = d, .src = d->w->data + (size_t)(s->row + at) * d->w->row_bytes, .dst = host, .n = fit });
        rc = g4_vk_stage_copy(vk, &s->span, (VkDeviceSize)at * bytes, (VkDeviceSize)fit * bytes, err);
        if (rc) return rc;
        at += fit;
    }
    return 0;
}

static int upload(struct g4_vk *vk, struct g4_vk_weight *d, g4_err *err)
{
    const g4_weight *w = d->w;
    const uint64_t total = (uint64_t)w->n * w->rows, each = slice_rows(vk, w, d->pack.row_bytes);
    if (!each || total > UINT32_MAX)
        return g4_fail(err, G4_EUNSUP, "tensor '%s' cannot be bound on '%s'", w->name ? w->name : "", vk->caps.name);
    d->n_slice = (uint32_t)((total + each - 1) / each);
    d->slices = g4_alloc(d->n_slice * sizeof *d->slices);
    for (uint32_t i = 0; i < d->n_slice; i++) {
        struct g4_vk_slice *s = &d->slices[i];
        s->row = (uint32_t)(i * each);
        s->n_row = (uint32_t)(total - s->row < each ? total - s->row : each);
        int rc = g4_vk_take(vk, &vk->in->weights, (VkDeviceSize)s->n_row * d->pack.row_bytes, &s->span, err);
        if (!rc) rc = fill(vk, d, s, err);
        if (rc) return rc;
    }
    return 0;
}

const struct g4_vk_weight *g4_vk_weight(struct g4_vk *vk, const g4_weight *w, g4_err *err)
{
    struct g4_vk_inner *in = vk->in;
    for (size_t i = 0; i < in->n_weight; i++)
        if (in->weight[i]->w == w) return in->weight[i];
    struct g4_vk_weight *d = g4_alloc(sizeof *d);
    d->w = w;
    if (!g4_vk_pack_for(vk, w, &d->pack)) {
        g4_fail(err, G4_EUNSUP, "tensor '%s' has a type that cannot be computed with", w->name ? w->name : "");
        free(d);
        return NULL;
    }
    if (d->pack.type != w->type)
        g4_log(G4_LOG_VERBOSE, "tensor '%s' is re-encoded from %s to %s for the GPU", w->name ? w->name : "", g4_dtype_get(w->type)->name,
               g4_dtype_get(d->pack.type)->name);
    if (upload(vk, d, err)) {
        free(d->slices);
        free(d);
        return NULL;
    }
    if (in->n_weight == in->cap_weight) G4_GROW(in->weight, in->cap_weight, in->n_weight + 1);
    return in->weight[in->n_weight++] = d;
}

/* ---- constants ----------------------------------------------------------------- */

int g4_vk_const(struct g4_vk *vk, const void *p, size_t n, struct g4_vk_span *out, g4_err *err)
{
    struct g4_vk_inner *in = vk->in;
    for (size_t i = 0; i < in->n_kept; i++)
        if (in->kept[i].n == n && !memcmp(in->kept[i].copy, p, n)) {
            *out = in->kept[i].span;
            return 0;
        }
    struct g4_vk_kept k = { .n = n };
    int rc = g4_vk_take(vk, &in->consts, n, &k.span, err);
    if (!rc) rc = g4_vk_upload(vk, &k.span, 0, p, n, err);
    if (rc) return rc;
    k.copy = g4_dup(p, n);
    if (in->n_kept == in->cap_kept) G4_GROW(in->kept, in->cap_kept, in->n_kept + 1);
    in->kept[in->n_kept++] = k;
    *out = k.span;
    return 0;
}

void g4_vk_weights_free(struct g4_vk *vk)
{
    struct g4_vk_inner *in = vk->in;
    for (size_t i = 0; i < in->n_weight; i++) {
        free(in->weight[i]->slices);
        free(in->weight[i]);
    }
    for (size_t i = 0; i < in->n_kept; i++) free(in->kept[i].copy);
    g4_pool_free(in->packers);
    free(in->weight);
    free(in->kept);
    g4_vk_arena_free(vk, &in->weights);
    g4_vk_arena_free(vk, &in->consts);
}
