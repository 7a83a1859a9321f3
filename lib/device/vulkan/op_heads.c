/* device/vulkan/op_heads: HEADS (heads.comp) and ROUTER (router.comp, router_pick.comp). */
#include "device/vulkan/vk.h"

#include <stdlib.h>

#include "base/mem.h"

/* Invocations for n values: a power of two of at least 8, at most `most`. */
static uint32_t group_for(uint32_t n, uint32_t most)
{
    uint32_t g = 8;
    while (g < n && g < most) g *= 2;
    return g;
}

int g4_vk_op_heads(struct g4_vk_plan *p, const g4_op *op, uint32_t n, g4_err *err)
{
    struct g4_vk *vk = g4_vk_of(p);
    const bool kv = op->src2 >= 0;
    const uint32_t half = op->d_head / 2;
    if (op->d_head % 4) {
        g4_fail(err, G4_EUNSUP, "heads of %u values do not run on a GPU", op->d_head);
        return 0;
    }
    const struct heads_args args = {
        .range = op->set, .n_head = op->n_head, .n_kv = kv ? op->n_kv : 1, .d_head = op->d_head, .pool = kv ? g4_vk_kv(p)->layers[op->kv_layer].pool : 0,
        .flags = (op->w[0] ? G4_HEADS_WQ : 0) | (op->w[1] ? G4_HEADS_WK : 0) | (op->v_norm ? G4_HEADS_NORM_V : 0) | (op->freq ? G4_HEADS_ROPE : 0),
        .eps = op->eps };
    const struct g4_vk_pipe_key key = { .shader = "heads", .n_spec = 2, .spec = { group_for(half / 2, 128), !kv || g4_vk_kv(p)->type == G4_F16 },
                                        .n_bind = 8, .args = sizeof args };
    struct g4_vk_dispatch d = { .op = op, .pipe = g4_vk_pipe(vk, &key), .n_bind = 8, .args = &args, .n_args = sizeof args,
                                .grid = { .x = op->n_head + (kv ? 2 * op->n_kv : 0), .range = op->set, .tile = 1 } };
    static const float still[2];
    struct g4_vk_span freq;
    if (g4_vk_bind_vector(p, op->w[0], &d.bind[5], err) || g4_vk_bind_vector(p, op->w[1], &d.bind[6], err) ||
        g4_vk_const(vk, op->freq ? op->freq : still, op->freq ? half * sizeof(float) : sizeof still, &freq, err))
        return 0;
    d.bind[7] = g4_vk_bind_const(&freq);
    d.bind[0] = g4_vk_bind_buf(p, op->src, true);
    for (uint32_t i = 1; i < 5; i++) d.bind[i] = d.bind[7]; /* never touched without k and v */
    if (kv) {
        d.bind[1] = g4_vk_bind_buf(p, op->src2, false);
        d.bind[2] = g4_vk_bind_buf(p, op->src3, false);
        d.bind[3] = g4_vk_bind_kv(p, (uint32_t)op->kv_layer, 0, true);
        d.bind[4] = g4_vk_bind_kv(p, (uint32_t)op->kv_layer, 1, true);
    }
    g4_vk_dispatch(p, &d);
    return 1;
}

/* The router's matrix as f32, whatever the file holds: it is small, and decides. */
static int router_weight(struct g4_vk *vk, const g4_weight *w, struct g4_vk_bind *out, g4_err *err)
{
    float *x = g4_alloc((size_t)w->rows * w->cols * sizeof *x);
    struct g4_vk_span s;
    for (uint32_t r = 0; r < w->rows; r++) g4_dtype_get(w->type)->decode(w->data + r * w->row_bytes, x + (size_t)r * w->cols, w->cols);
    const int rc = g4_vk_const(vk, x, (size_t)w->rows * w->cols * sizeof *x, &s, err);
    free(x);
    *out = g4_vk_bind_const(&s);
    return rc;
}

int g4_vk_op_router(struct g4_vk_plan *p, const g4_op *op, uint32_t n, g4_err *err)
{
    struct g4_vk *vk = g4_vk_of(p);
    const g4_plan_desc *desc = g4_vk_desc(p);
    const uint32_t experts = op->n_expert, group = group_for(experts, 1024);
    if (experts > group || group > vk->caps.invocations) {
        g4_fail(err, G4_EUNSUP, "a router of %u experts does not run on '%s'", experts, vk->caps.name);
        return 0;
    }
    const struct router_args args = { .range = op->set, .cols = op->w[0]->cols, .n_expert = experts, .k = op->k_expert, .has_own = op->w[2] != NULL,
                                      .eps = op->eps, .alpha = op->alpha };
    const struct g4_vk_pipe_key score = { .shader = "router", .n_spec = 1, .spec = { 128 }, .n_bind = 4, .args = sizeof args };
    const struct g4_vk_pipe_key pick = { .shader = "router_pick", .n_spec = 1, .spec = { group }, .n_bind = 3, .args = sizeof args };
    struct g4_vk_dispatch d = { .op = op, .pipe = g4_vk_pipe(vk, &score), .n_bind = 4, .args = &args, .n_args = sizeof args,
                                .grid = { .x = (experts + G4_ROUTER_EXPERTS - 1) / G4_ROUTER_EXPERTS, .range = op->set, .tile = 1 },
                                .cost = (double)experts * args.cols };
    struct g4_vk_dispatch e = { .op = op, .pipe = g4_vk_pipe(vk, &pick), .n_bind = 3, .args = &args, .n_args = sizeof args,
                                .grid = { .range = op->set, .tile = 1 } };
    if (g4_vk_bind_scratch(p, 0, (VkDeviceSize)desc->max_rows[op->set] * experts * sizeof(float), &d.bind[0], err) ||
        router_weight(vk, op->w[0], &d.bind[2], err) || g4_vk_bind_vector(p, op->w[1], &d.bind[3], err) ||
        g4_vk_bind_vector(p, op->w[2], &e.bind[2], err))
        return 0;
    d.bind[1] = g4_vk_bind_buf(p, op->src, false);
    e.bind[0] = g4_vk_bind_buf(p, op->dst[0], true);
    e.bind[1] = d.bind[0];
    e.bind[1].write = false;
    g4_vk_dispatch(p, &d);
    g4_vk_dispatch(p, &e);
    return 1;
}
