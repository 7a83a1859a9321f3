/* device/vulkan/op_rows: the ops that take a row and give a row (rows.comp,
 * resid.comp, ple.comp), and POOL. */
#include "device/vulkan/vk.h"

enum { GROUP = 256 };

static uint32_t cols_of(const struct g4_vk_plan *p, int buf)
{
    return g4_vk_desc(p)->bufs[buf].cols;
}

/* EMBED, NORM, L2NORM, ADD, COPY, GATHER */
int g4_vk_op_rows(struct g4_vk_plan *p, const g4_op *op, uint32_t n, g4_err *err)
{
    static const uint8_t kinds[G4_OP_END] = { [G4_OP_NORM] = G4_ROWS_NORM, [G4_OP_L2NORM] = G4_ROWS_L2NORM, [G4_OP_ADD] = G4_ROWS_ADD,
                                              [G4_OP_COPY] = G4_ROWS_COPY, [G4_OP_GATHER] = G4_ROWS_GATHER, [G4_OP_EMBED] = G4_ROWS_EMBED };
    const uint32_t kind = kinds[op->kind];
    const struct rows_args args = { .range = op->set, .cols = cols_of(p, op->dst[0]), .has_w = op->kind == G4_OP_NORM && op->w[0], .eps = op->eps };
    const struct g4_vk_pipe_key key = { .shader = "rows", .n_spec = 2, .spec = { GROUP, kind }, .n_bind = 3, .args = sizeof args };
    struct g4_vk_dispatch d = { .op = op, .pipe = g4_vk_pipe(g4_vk_of(p), &key), .n_bind = 3, .args = &args, .n_args = sizeof args,
                                .grid = { .range = op->set, .tile = 1 } };
    d.bind[0] = g4_vk_bind_buf(p, op->dst[0], true);
    d.bind[1] = op->src >= 0 ? g4_vk_bind_buf(p, op->src, false) : d.bind[0];
    if (op->kind == G4_OP_ADD) d.bind[2] = g4_vk_bind_buf(p, op->src2, false);
    else if (g4_vk_bind_vector(p, op->kind == G4_OP_NORM ? op->w[0] : NULL, &d.bind[2], err)) return 0;
    g4_vk_dispatch(p, &d);
    return 1;
}

int g4_vk_resid(struct g4_vk_plan *p, const g4_op *op, uint32_t range, g4_err *err)
{
    const uint32_t next = op->dst2 < 0 ? 0 : op->w[1] ? 2 : 1;
    const struct resid_args args = { .range = range, .cols = cols_of(p, op->dst[0]), .eps = op->eps, .alpha = op->alpha };
    const struct g4_vk_pipe_key key = { .shader = "resid", .n_spec = 3, .spec = { GROUP, op->w[0] != NULL, next }, .n_bind = 5, .args = sizeof args };
    struct g4_vk_dispatch d = { .op = op, .pipe = g4_vk_pipe(g4_vk_of(p), &key), .n_bind = 5, .args = &args, .n_args = sizeof args,
                                .grid = { .range = (uint8_t)range, .tile = 1 } };
    d.bind[0] = g4_vk_bind_buf(p, op->dst[0], true);
    d.bind[1] = g4_vk_bind_buf(p, op->src, false);
    d.bind[3] = next ? g4_vk_bind_buf(p, op->dst2, true) : d.bind[0];
    if (g4_vk_bind_vector(p, op->w[0], &d.bind[2], err) || g4_vk_bind_vector(p, op->w[1], &d.bind[4], err)) return G4_ENOMEM;
    g4_vk_dispatch(p, &d);
    return 0;
}

int g4_vk_op_resid(struct g4_vk_plan *p, const g4_op *op, uint32_t n, g4_err *err)
{
    return g4_vk_resid(p, op, op->set, err) ? 0 : 1;
}

int g4_vk_op_ple(struct g4_vk_plan *p, const g4_op *op, uint32_t n, g4_err *err)
{
    const uint32_t cols = cols_of(p, op->dst[0]);
    const struct ple_args args = { .range = op->set, .cols = cols, .dim = op->dim, .has_table = op->w[1] != NULL, .eps = op->eps, .beta = op->beta };
    const struct g4_vk_pipe_key key = { .shader = "ple", .n_spec = 1, .spec = { 64 }, .n_bind = 3, .args = sizeof args };
    struct g4_vk_dispatch d = { .op = op, .pipe = g4_vk_pipe(g4_vk_of(p), &key), .n_bind = 3, .args = &args, .n_args = sizeof args,
                                .grid = { .x = cols / op->dim, .range = op->set, .tile = 1 } };
    d.bind[0] = g4_vk_bind_buf(p, op->dst[0], true);
    d.bind[1] = g4_vk_bind_buf(p, op->src, false);
    if (g4_vk_bind_vector(p, op->w[0], &d.bind[2], err)) return 0;
    g4_vk_dispatch(p, &d);
    return 1;
}

int g4_vk_op_pool(struct g4_vk_plan *p, const g4_op *op, uint32_t n, g4_err *err)
{
    const uint32_t cols = cols_of(p, op->dst[0]);
    const struct rows_args args = { .range = G4_RANGE_SEQ, .cols = cols };
    const struct g4_vk_pipe_key key = { .shader = "pool", .n_spec = 1, .spec = { GROUP }, .n_bind = 2, .args = sizeof args };
    struct g4_vk_dispatch d = { .op = op, .pipe = g4_vk_pipe(g4_vk_of(p), &key), .n_bind = 2, .args = &args, .n_args = sizeof args,
                                .grid = { .x = (cols + GROUP - 1) / GROUP, .range = G4_RANGE_SEQ, .tile = 1 } };
    d.bind[0] = g4_vk_bind_buf(p, op->dst[0], true);
    d.bind[1] = g4_vk_bind_buf(p, op->src, false);
    g4_vk_dispatch(p, &d);
    return 1;
}
