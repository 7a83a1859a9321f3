/* device/vulkan/op_rows: the ops that take one row and give one row (rows.comp). */
#include "device/vulkan/vk.h"

enum { GROUP = 256 };

/* EMBED, NORM, L2NORM, ADD, COPY, GATHER */
int g4_vk_op_rows(struct g4_vk_plan *p, const g4_op *op, uint32_t n, g4_err *err)
{
    static const uint8_t kinds[G4_OP_END] = { [G4_OP_NORM] = G4_ROWS_NORM, [G4_OP_L2NORM] = G4_ROWS_L2NORM, [G4_OP_ADD] = G4_ROWS_ADD,
                                              [G4_OP_COPY] = G4_ROWS_COPY, [G4_OP_GATHER] = G4_ROWS_GATHER, [G4_OP_EMBED] = G4_ROWS_EMBED };
    struct g4_vk *vk = g4_vk_of(p);
    const uint32_t cols = g4_vk_desc(p)->bufs[op->dst[0]].cols, kind = kinds[op->kind];
    const struct rows_args args = { .range = op->set, .cols = cols, .has_w = op->kind == G4_OP_NORM && op->w[0], .eps = op->eps };
    const struct g4_vk_pipe_key key = { .shader = "rows", .n_spec = 2, .spec = { GROUP, kind }, .n_bind = 3, .args = sizeof args };
    struct g4_vk_dispatch d = { .op = op, .pipe = g4_vk_pipe(vk, &key), .n_bind = 3, .args = &args, .n_args = sizeof args,
                                .grid = { .x = 1, .range = op->set, .tile = 1 } };
    d.bind[0] = g4_vk_bind_buf(p, op->dst[0], true);
    d.bind[1] = op->src >= 0 ? g4_vk_bind_buf(p, op->src, false) : d.bind[0];
    if (op->kind == G4_OP_ADD) d.bind[2] = g4_vk_bind_buf(p, op->src2, false);
    else if (g4_vk_bind_vector(p, op->kind == G4_OP_NORM ? op->w[0] : NULL, &d.bind[2], err)) return 0;
    g4_vk_dispatch(p, &d);
    return 1;
}
