/* device/vulkan/op_attend: ATTEND.
 *
 * Generated rows (and OUT) take attend_row: up to 64 of them split over parts of
 * their keys, with attend_merge behind it; more rows fill the GPU by themselves and
 * walk their parts in one workgroup, to the same bits.  Prompt rows take attend_tile. */
#include "device/vulkan/vk.h"
#include "shaders/args_attend.h"

enum { THREADS = 128, TILE = 64, MERGE_THREADS = 64, SPLIT_ROWS = 64 };

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Shared memory of common/attend.glsl with c columns. */
static uint32_t shared_bytes(uint32_t d, uint32_t c)
{
    return c * 4 * ((d + 7) / 8 * 8 + TILE * (1 + THREADS / TILE) + 8 + 2) + 1024;
}

/* The most heads, up to `most`, that divide the query heads of a KV head and fit shared memory. */
static uint32_t heads_together(const struct g4_vk *vk, const g4_op *op, uint32_t most)
{
    const uint32_t group = op->n_head / op->n_kv;

    for (uint32_t n = min_u32(group, most); n > 1; n--)
        if (group % n == 0 && shared_bytes(op->d_head, n) <= vk->caps.shared) return n;
    return 1;
}

/* Parts that a row's keys can fall into. */
static uint32_t most_parts(const struct g4_vk_plan *p, const g4_op *op)
{
    const g4_kv_desc *kv = g4_vk_kv(p);
    uint64_t keys = (uint64_t)kv->n_block[kv->layers[op->kv_layer].pool] * G4_KV_BLOCK;
    const uint64_t seen = 2 * (uint64_t)op->window + g4_vk_desc(p)->max_rows[G4_ROWS_ALL]; /* groups stay in a step */

    if (op->window && seen < keys) keys = seen;
    const uint64_t n = (keys + G4_PART - 1) / G4_PART + 1;
    return n <= 2 ? 1 : n < G4_PARTS ? (uint32_t)n : G4_PARTS;
}

struct job {
    struct g4_vk_plan *p;
    const g4_op *op;
    struct attend_args a;
    struct g4_vk_bind q, k, v, y;
    struct g4_vk_bind counters; /* of parts that are done, when `merge` */
    bool merge;                 /* the last workgroup of a row merges its parts */
    uint32_t kv_f16;
};

static void emit_row(const struct job *j, bool split, const struct g4_vk_bind *to, uint32_t lo, uint32_t hi)
{
    const g4_op *op = j->op;
    const uint32_t heads = heads_together(g4_vk_of(j->p), op, 8), n_bind = split && j->merge ? 6 : 4;
    const struct g4_vk_pipe_key key = { .shader = n_bind == 6 ? "attend_row_merge" : "attend_row", .n_spec = 5, .n_bind = n_bind, .args = sizeof j->a,
                                        .spec = { THREADS, op->d_head, j->kv_f16, heads, split } };
    const struct g4_vk_dispatch d = { .op = op, .pipe = g4_vk_pipe(g4_vk_of(j->p), &key), .bind = { j->q, j->k, j->v, *to, j->y, j->counters }, .n_bind = n_bind,
                                      .args = &j->a, .n_args = sizeof j->a,
                                      .grid = { .x = op->n_head / heads, .z = split ? j->a.parts : 1, .range = (uint8_t)j->a.range,
                                                .tile = 1, .lo = lo, .hi = hi } };
    g4_vk_dispatch(j->p, &d);
}

static void emit_merge(const struct job *j, const struct g4_vk_bind *from)
{
    const struct g4_vk_pipe_key key = { .shader = "attend_merge", .n_spec = 2, .n_bind = 2, .args = sizeof j->a,
                                        .spec = { MERGE_THREADS, j->op->d_head } };
    struct g4_vk_dispatch d = { .op = j->op, .pipe = g4_vk_pipe(g4_vk_of(j->p), &key), .bind = { *from, j->y }, .n_bind = 2,
                                .args = &j->a, .n_args = sizeof j->a,
                                .grid = { .x = j->op->n_head, .range = (uint8_t)j->a.range, .tile = 1, .hi = SPLIT_ROWS } };
    d.bind[0].write = false;
    g4_vk_dispatch(j->p, &d);
}

static int emit_rows(struct job *j, uint32_t range, g4_err *err)
{
    const uint32_t max = g4_vk_desc(j->p)->max_rows[j->op->set];
    struct g4_vk_bind scratch;

    j->a.range = range;
    j->a.parts = most_parts(j->p, j->op);
    if (j->a.parts == 1) {
        emit_row(j, false, &j->y, 0, 0);
        return 0;
    }
    const VkDeviceSize size = (VkDeviceSize)min_u32(max, SPLIT_ROWS) * j->op->n_head * j->a.parts * (2 + j->op->d_head) * sizeof(float);
    if (g4_vk_bind_scratch(j->p, 0, size, &scratch, err)) return G4_ENOMEM;
    scratch.write = true;
    j->merge = g4_vk_switch("fuse_merge", false); /* has not run on hardware yet */
    if (j->merge && g4_vk_bind_counters(j->p, min_u32(max, SPLIT_ROWS) * j->op->n_head, &j->counters, err)) return G4_ENOMEM;
    emit_row(j, true, &scratch, 0, SPLIT_ROWS);
    if (!j->merge) emit_merge(j, &scratch);
    if (max > SPLIT_ROWS) emit_row(j, false, &j->y, SPLIT_ROWS + 1, 0);
    return 0;
}

static void emit_tile(struct job *j)
{
    const g4_op *op = j->op;
    struct g4_vk *vk = g4_vk_of(j->p);
    const uint32_t heads = heads_together(vk, op, 8);
    uint32_t rows = op->d_head <= 256 ? 16 / heads : 8 / heads;

    if (rows < 1) rows = 1;
    while (rows > 1 && shared_bytes(op->d_head, heads * rows) > vk->caps.shared) rows /= 2;
    const struct g4_vk_pipe_key key = { .shader = "attend_tile", .n_spec = 5, .n_bind = 4, .args = sizeof j->a,
                                        .spec = { THREADS, op->d_head, j->kv_f16, heads, rows } };
    j->a.range = G4_RANGE_PROMPT;
    const struct g4_vk_dispatch d = { .op = op, .pipe = g4_vk_pipe(vk, &key), .bind = { j->q, j->k, j->v, j->y }, .n_bind = 4,
                                      .args = &j->a, .n_args = sizeof j->a, .cost = 2.0 * 1024 * op->n_head * op->d_head,
                                      .grid = { .x = op->n_head / heads, .range = G4_RANGE_PROMPT, .tile = rows } };
    g4_vk_dispatch(j->p, &d);
}

int g4_vk_op_attend(struct g4_vk_plan *p, const g4_op *ops, uint32_t n, g4_err *err)
{
    const g4_op *op = ops;
    const g4_kv_desc *kv = g4_vk_kv(p);
    struct job j = { .p = p, .op = op, .kv_f16 = kv->type == G4_F16 };

    j.a = (struct attend_args){ .n_head = op->n_head, .n_kv = op->n_kv, .pool = kv->layers[op->kv_layer].pool, .window = op->window,
                                .causal = op->causal, .alpha = op->alpha, .cap = op->softcap };
    j.q = g4_vk_bind_buf(p, op->src, false);
    j.k = g4_vk_bind_kv(p, (uint32_t)op->kv_layer, 0, false);
    j.v = g4_vk_bind_kv(p, (uint32_t)op->kv_layer, 1, false);
    j.y = g4_vk_bind_buf(p, op->dst[0], true);
    if (emit_rows(&j, op->set == G4_ROWS_ALL ? G4_RANGE_GEN : op->set, err)) return 0;
    if (op->set == G4_ROWS_ALL) emit_tile(&j);
    return 1;
}
