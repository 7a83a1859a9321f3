/* device/vulkan/op_pick: PICK (pick_part.comp, pick_adjust.comp, pick_top.comp).
 * Steps that change or mask no logit skip the first two dispatches; more rows than a
 * binding takes are gone through in slices. */
#include "device/vulkan/vk.h"

struct job {
    struct g4_vk_plan *p;
    const g4_op *op;
    uint32_t cols, chunks;
    struct g4_vk_bind parts, raw, logits; /* logits: the rows [from, to) of OUT */
    uint32_t from, to;
};

static struct g4_vk_bind access(struct g4_vk_bind b, bool write)
{
    b.write = write;
    return b;
}

/* One dispatch over the job's rows, in steps with `flag`. */
static void emit(const struct job *j, const struct g4_vk_pipe_key *key, bool by_chunk, uint32_t flag, const struct g4_vk_bind bind[4])
{
    const struct pick_args a = { j->cols, j->chunks, flag == G4_VK_ADJUST, j->from };
    struct g4_vk_pipe_key own = *key;
    struct g4_vk_dispatch d = { .op = j->op, .n_bind = key->n_bind, .args = &a, .n_args = sizeof a };
    own.args = sizeof a;
    d.pipe = g4_vk_pipe(g4_vk_of(j->p), &own);
    for (uint32_t i = 0; i < key->n_bind; i++) d.bind[i] = bind[i];
    d.grid = (struct g4_vk_grid){ .x = by_chunk ? j->chunks : 1, .range = G4_RANGE_OUT, .tile = 1, .from = j->from, .to = j->to, .flag = flag };
    g4_vk_dispatch(j->p, &d);
}

static void emit_rows(const struct job *j)
{
    const uint32_t threads = g4_vk_of(j->p)->caps.invocations < 512 ? 256 : 512;
    const struct g4_vk_pipe_key part_raw = { .shader = "pick_part", .n_spec = 2, .spec = { 256, 0 }, .n_bind = 2 };
    const struct g4_vk_pipe_key part_masked = { .shader = "pick_part", .n_spec = 2, .spec = { 256, 1 }, .n_bind = 2 };
    const struct g4_vk_pipe_key adjust = { .shader = "pick_adjust", .n_spec = 1, .spec = { 256 }, .n_bind = 2 };
    const struct g4_vk_pipe_key top = { .shader = "pick_top", .n_spec = 1, .spec = { threads }, .n_bind = 4 };
    const struct g4_vk_bind picks = g4_vk_bind_picks(j->p), logits = access(j->logits, false), parts = access(j->parts, false);

    emit(j, &part_raw, true, G4_VK_ADJUST, (struct g4_vk_bind[4]){ j->raw, logits });
    emit(j, &adjust, false, G4_VK_ADJUST, (struct g4_vk_bind[4]){ picks, j->logits });
    emit(j, &part_masked, true, G4_VK_PICK, (struct g4_vk_bind[4]){ j->parts, logits });
    emit(j, &top, false, G4_VK_ADJUST, (struct g4_vk_bind[4]){ picks, logits, parts, access(j->raw, false) });
    emit(j, &top, false, G4_VK_PLAIN, (struct g4_vk_bind[4]){ picks, logits, parts, parts });
}

int g4_vk_op_pick(struct g4_vk_plan *p, const g4_op *op, uint32_t n, g4_err *err)
{
    const g4_plan_desc *desc = g4_vk_desc(p);
    struct job j = { .p = p, .op = op, .cols = desc->bufs[op->src].cols };
    j.chunks = (j.cols + G4_PICK_CHUNK - 1) / G4_PICK_CHUNK;
    const VkDeviceSize part = (VkDeviceSize)desc->max_rows[G4_ROWS_OUT] * j.chunks * sizeof(struct g4_vk_part);
    const uint32_t rows = g4_vk_slice_rows(p, op->src);

    if (g4_vk_bind_scratch(p, 0, part, &j.parts, err) || g4_vk_bind_scratch(p, 1, part, &j.raw, err)) return 0;
    for (uint32_t i = 0; g4_vk_bind_slice(p, op->src, i, true, &j.logits); i++) {
        j.from = i * rows;
        j.to = j.from + rows;
        emit_rows(&j);
    }
    return 1;
}
