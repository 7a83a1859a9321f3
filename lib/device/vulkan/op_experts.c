/* device/vulkan/op_experts: EXPERTS.
 *
 * Generated rows (and OUT): experts_vec, a row and slot a workgroup, then the sum over
 * slots with the second matrix.  Prompt rows: experts_group makes tiles of rows that chose
 * the same expert, experts_tile multiplies them, experts_sum adds up a row's experts.
 * Scratch: 0 hidden [rows * k][d_expert], 1 the groups, 2 [rows * k][d_model]. */
#include "device/vulkan/matrix.h"
#include "shaders/args_experts.h"

enum { GROUP_THREADS = 256, SUM_THREADS = 256, TILE_ROWS = 64 };

struct job {
    struct g4_vk_plan *p;
    const g4_op *op;
    const struct g4_vk_weight *gate, *up, *down; /* up NULL: behind gate's rows of each expert */
    uint32_t range, max_rows, max_tiles;
    struct g4_vk_bind x, y, routes, hidden, groups, apart;
};

static struct g4_vk_bind reading(struct g4_vk_bind b)
{
    b.write = false;
    return b;
}

static struct g4_vk_bind writing(struct g4_vk_bind b)
{
    b.write = true;
    return b;
}

struct stage {                 /* one of the two products, for one slice of the weights */
    const struct g4_vk_weight *w, *w2; /* w2: the up weight of the first stage */
    uint32_t slice;
    bool out;
    struct matmul_args a;
    struct g4_vk_dispatch d;
};

/* Slice s->slice of the stage's weights: bindings and arguments. */
static void fill(const struct job *j, struct stage *s)
{
    const g4_op *op = j->op;
    const struct g4_vk_slice *slice = &s->w->slices[s->slice];
    const uint32_t matrix = s->w->w->rows;
    const struct g4_vk_slice *second = s->w2 ? &s->w2->slices[s->slice] : slice;

    s->a = (struct matmul_args){ .range = j->range, .cols = s->w->w->cols, .row_units = s->w->pack.row_bytes / 16,
                                 .rows = { s->out ? matrix : op->d_expert }, .k_expert = op->k_expert, .expert0 = slice->row / matrix,
                                 .n_expert = slice->n_row / matrix, .matrix_rows = matrix, .max_tiles = j->max_tiles };
    s->a.lanes = g4_vk_lanes(s->w->pack.type, s->a.cols, s->a.rows[0] * op->k_expert);
    if (!s->out && !s->w2) s->a.w_at[1] = op->d_expert * s->a.row_units;
    s->d = (struct g4_vk_dispatch){ .op = op, .n_bind = 8, .args = &s->a, .n_args = sizeof s->a,
                                    .cost = (double)s->a.rows[0] * s->a.cols * op->k_expert * (s->out ? 1 : 2) / s->w->n_slice };
    s->d.bind[0] = s->out ? reading(j->hidden) : j->x;
    s->d.bind[1] = g4_vk_bind_const(&slice->span);
    s->d.bind[2] = g4_vk_bind_const(&second->span);
    s->d.bind[3] = s->d.bind[1];
    s->d.bind[4] = s->out ? j->y : writing(j->hidden);
    s->d.bind[5] = s->d.bind[6] = s->d.bind[4];
    s->d.bind[7] = j->routes;
}

static void emit_vec(const struct job *j, struct stage *s)
{
    const uint32_t nw = s->out ? 1 : 2, values = s->out ? 2 : 1;

    fill(j, s);
    const struct g4_vk_pipe_key key = { .shader = "experts_vec", .n_spec = 6, .n_bind = 8, .args = sizeof s->a,
                                        .spec = { G4_VK_VEC_THREADS, s->w->pack.type, nw, s->a.cols % 4 == 0, s->out, values } };
    const uint32_t height = G4_VK_VEC_THREADS / s->a.lanes * values;
    s->d.pipe = g4_vk_pipe(g4_vk_of(j->p), &key);
    s->d.grid = (struct g4_vk_grid){ .x = (s->a.rows[0] + height - 1) / height, .z = s->out ? 1 : j->op->k_expert, .range = (uint8_t)j->range,
                                     .tile = 1 };
    g4_vk_dispatch(j->p, &s->d);
}

static void emit_tile(const struct job *j, struct stage *s)
{
    fill(j, s);
    const struct g4_vk_pipe_key key = { .shader = "experts_tile", .n_spec = 9, .n_bind = 8, .args = sizeof s->a,
                                        .spec = { G4_VK_TILE_THREADS, s->w->pack.type, s->out ? 1 : 2, s->a.cols % 4 == 0, TILE_ROWS,
                                                  G4_EXPERT_TILE, 4, TILE_ROWS * G4_EXPERT_TILE / 4 / G4_VK_TILE_THREADS, s->out } };
    s->d.bind[5] = s->d.bind[6] = reading(j->groups);
    if (s->out) s->d.bind[4] = writing(j->apart);
    s->d.pipe = g4_vk_pipe(g4_vk_of(j->p), &key);
    s->d.grid = (struct g4_vk_grid){ .x = (s->a.rows[0] + TILE_ROWS - 1) / TILE_ROWS, .z = j->max_tiles, .range = (uint8_t)j->range };
    g4_vk_dispatch(j->p, &s->d);
}

static void emit_stages(const struct job *j, void (*emit)(const struct job *, struct stage *))
{
    for (int out = 0; out < 2; out++) {
        struct stage s = { .w = out ? j->down : j->gate, .w2 = out ? NULL : j->up, .out = out };
        for (s.slice = 0; s.slice < s.w->n_slice; s.slice++) emit(j, &s);
    }
}

static void emit_group(const struct job *j)
{
    const struct group_args a = { j->range, j->op->n_expert, j->op->k_expert, j->max_tiles };
    const struct g4_vk_pipe_key key = { .shader = "experts_group", .n_spec = 1, .n_bind = 2, .args = sizeof a, .spec = { GROUP_THREADS } };
    const struct g4_vk_dispatch d = { .op = j->op, .pipe = g4_vk_pipe(g4_vk_of(j->p), &key), .bind = { j->routes, writing(j->groups) },
                                      .n_bind = 2, .args = &a, .n_args = sizeof a, .grid = { .x = 1, .range = (uint8_t)j->range } };
    g4_vk_dispatch(j->p, &d);
}

static void emit_sum(const struct job *j)
{
    const struct sum_args a = { j->range, j->down->w->rows, j->op->k_expert };
    const struct g4_vk_pipe_key key = { .shader = "experts_sum", .n_spec = 1, .n_bind = 3, .args = sizeof a, .spec = { SUM_THREADS } };
    const struct g4_vk_dispatch d = { .op = j->op, .pipe = g4_vk_pipe(g4_vk_of(j->p), &key), .bind = { reading(j->apart), j->routes, j->y },
                                      .n_bind = 3, .args = &a, .n_args = sizeof a,
                                      .grid = { .x = (a.cols + SUM_THREADS - 1) / SUM_THREADS, .range = (uint8_t)j->range, .tile = 1 } };
    g4_vk_dispatch(j->p, &d);
}

static int emit_prompt(struct job *j, g4_err *err)
{
    const VkDeviceSize entries = (VkDeviceSize)j->max_rows * j->op->k_expert;

    j->range = G4_RANGE_PROMPT;
    j->max_tiles = (uint32_t)(entries / G4_EXPERT_TILE) + (entries < j->op->n_expert ? (uint32_t)entries : j->op->n_expert);
    if (g4_vk_bind_scratch(j->p, 1, (4 + 3 * (VkDeviceSize)j->max_tiles + entries) * sizeof(uint32_t), &j->groups, err) ||
        g4_vk_bind_scratch(j->p, 2, entries * j->down->w->rows * sizeof(float), &j->apart, err))
        return G4_ENOMEM;
    emit_group(j);
    emit_stages(j, emit_tile);
    emit_sum(j);
    return 0;
}

static int prepare(struct job *j, g4_err *err)
{
    const g4_op *op = j->op;
    struct g4_vk *vk = g4_vk_of(j->p);

    if (op->n_expert > G4_EXPERT_MAX)
        return g4_fail(err, G4_EUNSUP, "the Vulkan device takes at most %d experts, '%s' has %u", G4_EXPERT_MAX, op->w[0]->name, op->n_expert);
    j->gate = g4_vk_weight(vk, op->w[0], err);
    j->up = op->w[1] ? g4_vk_weight(vk, op->w[1], err) : NULL;
    j->down = g4_vk_weight(vk, op->w[2], err);
    if (!j->gate || (op->w[1] && !j->up) || !j->down) return G4_ENOMEM;
    if (j->up && (j->up->pack.type != j->gate->pack.type || j->up->n_slice != j->gate->n_slice))
        return g4_fail(err, G4_EUNSUP, "the Vulkan device needs '%s' and '%s' of one type", op->w[0]->name, op->w[1]->name);
    return g4_vk_bind_scratch(j->p, 0, (VkDeviceSize)j->max_rows * op->k_expert * op->d_expert * sizeof(float), &j->hidden, err);
}

int g4_vk_op_experts(struct g4_vk_plan *p, const g4_op *ops, uint32_t n, g4_err *err)
{
    const g4_op *op = ops;
    struct job j = { .p = p, .op = op, .range = op->set == G4_ROWS_ALL ? G4_RANGE_GEN : op->set, .max_rows = g4_vk_desc(p)->max_rows[op->set] };

    if (prepare(&j, err)) return 0;
    j.x = g4_vk_bind_buf(p, op->src, false);
    j.routes = g4_vk_bind_buf(p, op->src2, false);
    j.y = g4_vk_bind_buf(p, op->dst[0], true);
    emit_stages(&j, emit_vec);
    if (op->set == G4_ROWS_ALL && emit_prompt(&j, err)) return 0;
    return 1;
}
