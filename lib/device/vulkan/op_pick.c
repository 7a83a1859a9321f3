/* device/vulkan/op_pick: PICK (pick_part.comp, pick_adjust.comp, pick_top.comp).
 * Steps that change or mask no logit skip the first two dispatches. */
#include "device/vulkan/vk.h"

int g4_vk_op_pick(struct g4_vk_plan *p, const g4_op *op, uint32_t n, g4_err *err)
{
    struct g4_vk *vk = g4_vk_of(p);
    const g4_plan_desc *desc = g4_vk_desc(p);
    const uint32_t cols = desc->bufs[op->src].cols, chunks = (cols + G4_PICK_CHUNK - 1) / G4_PICK_CHUNK;
    const VkDeviceSize part = (VkDeviceSize)desc->max_rows[G4_ROWS_OUT] * chunks * sizeof(struct g4_vk_part);
    const struct pick_args plain = { cols, chunks, 0 }, changed = { cols, chunks, 1 };
    const struct g4_vk_pipe_key part_raw = { .shader = "pick_part", .n_spec = 2, .spec = { 256, 0 }, .n_bind = 2, .args = sizeof plain };
    const struct g4_vk_pipe_key part_masked = { .shader = "pick_part", .n_spec = 2, .spec = { 256, 1 }, .n_bind = 2, .args = sizeof plain };
    const struct g4_vk_pipe_key adjust = { .shader = "pick_adjust", .n_spec = 1, .spec = { 256 }, .n_bind = 2, .args = sizeof plain };
    const struct g4_vk_pipe_key top = { .shader = "pick_top", .n_spec = 1, .spec = { vk->caps.invocations < 512 ? 128 : 512 }, .n_bind = 4,
                                        .args = sizeof plain };
    struct g4_vk_bind parts, raw;
    if (g4_vk_bind_scratch(p, 0, part, &parts, err) || g4_vk_bind_scratch(p, 1, part, &raw, err)) return 0;
    struct g4_vk_bind logits = g4_vk_bind_buf(p, op->src, false), read_parts = parts, read_raw = raw, write_logits = logits;
    read_parts.write = read_raw.write = false;
    write_logits.write = true;
    const struct g4_vk_grid rows = { .range = G4_RANGE_OUT, .tile = 1 }, by_chunk = { .x = chunks, .range = G4_RANGE_OUT, .tile = 1 };
    struct g4_vk_dispatch d = { .op = op, .args = &changed, .n_args = sizeof changed };

    d.pipe = g4_vk_pipe(vk, &part_raw);
    d.n_bind = 2, d.bind[0] = raw, d.bind[1] = logits;
    d.grid = by_chunk, d.grid.flag = G4_VK_ADJUST;
    g4_vk_dispatch(p, &d);

    d.pipe = g4_vk_pipe(vk, &adjust);
    d.bind[0] = g4_vk_bind_picks(p), d.bind[1] = write_logits;
    d.grid = rows, d.grid.flag = G4_VK_ADJUST;
    g4_vk_dispatch(p, &d);

    d.pipe = g4_vk_pipe(vk, &part_masked);
    d.bind[0] = parts, d.bind[1] = logits;
    d.grid = by_chunk, d.grid.flag = G4_VK_PICK;
    g4_vk_dispatch(p, &d);

    d.pipe = g4_vk_pipe(vk, &top);
    d.n_bind = 4, d.bind[0] = g4_vk_bind_picks(p), d.bind[1] = logits, d.bind[2] = read_parts, d.bind[3] = read_raw;
    d.grid = rows, d.grid.flag = G4_VK_ADJUST;
    g4_vk_dispatch(p, &d);

    d.args = &plain;
    d.bind[3] = read_parts;
    d.grid.flag = G4_VK_PLAIN;
    g4_vk_dispatch(p, &d);
    return 1;
}
