/* device/vulkan/op_matmul: MATMUL, GATED, GATED_PLE and LOGITS.
 *
 * Rows of GEN, OUT and SEQ go through matmul_vec, rows of PROMPT through
 * matmul_tile.  A dispatch takes up to three weights of one type; a weight in
 * several slices takes one dispatch a slice, and one of very many rows several. */
#include "device/vulkan/matrix.h"

#include <string.h>

#include "shaders/args_matmul.h"
#include "shaders/mat_tile.h"

enum { QUANTIZE_THREADS = 64, SCALE_THREADS = 256 };

bool g4_vk_is_block(g4_dtype type)
{
    return type != G4_F32 && type != G4_F16 && type != G4_BF16;
}

uint32_t g4_vk_lanes(g4_dtype type, uint32_t cols, uint32_t rows)
{
    const uint32_t units = g4_vk_is_block(type) ? cols / 32 : cols / (type == G4_F32 ? 4 : 8);
    uint32_t n = 1;

    while (n < 32 && 4 * n <= units) n *= 2;
    while (n < G4_VK_VEC_THREADS && rows * n < 65536 && 8 * n <= units) n *= 2;
    return n;
}

bool g4_vk_few(uint32_t i, uint32_t max_rows, struct g4_vk_few *out)
{
    static const struct g4_vk_few steps[] = { { 1, 1, 1 }, { 2, 2, 2 }, { 4, 4, 4 }, { 8, 8, 8 }, { 16, 16, 0 } };

    if (i >= sizeof steps / sizeof *steps || (i && steps[i - 1].hi >= max_rows)) return false;
    *out = steps[i];
    if (out->n > 8 && !g4_vk_switch("sixteen", false)) out->n = 8;
    return true;
}

struct part {              /* rows of a weight that one dispatch can take */
    const struct g4_vk_span *span;
    uint32_t unit;         /* 16-byte unit of the span at which they begin */
    uint32_t row, rows;    /* of the weight */
    int dst;
};

struct job {
    struct g4_vk_plan *p;
    const g4_op *op;
    uint32_t mode;
    g4_dtype type;
    uint32_t row_bytes;
    struct part part[3];
    uint32_t n_part;
    struct g4_vk_bind side; /* GATED_PLE's second factor, its columns and where they begin */
    uint32_t side_cols, side_at;
    float alpha;
    const struct g4_vk_bind *out; /* instead of the op's result; NULL: not */
    bool int8;             /* the op's rows may be quantised */
    bool quantized;        /* they are, in xq */
    struct g4_vk_bind xq;
    const g4_op *resid;    /* RESID that follows and is done on the way; NULL: none */
    struct g4_vk_bind after[5]; /* what it binds: stream, normed, two norms, counters */
    bool mat;              /* prompt rows go through cooperative matrices */
    bool scaled;           /* their factors are in scale */
    struct g4_vk_bind scale;
};

static uint32_t cols_of(const struct g4_vk_plan *p, int buf)
{
    return g4_vk_desc(p)->bufs[buf].cols;
}

static void fill_args(const struct job *j, struct matmul_args *a, struct g4_vk_dispatch *d)
{
    const uint32_t cols = cols_of(j->p, j->op->src);

    *a = (struct matmul_args){ .cols = cols, .mode = j->mode, .row_units = j->row_bytes / 16, .side_cols = j->side_cols, .side_at = j->side_at,
                               .alpha = j->alpha, .cap = j->op->softcap };
    *d = (struct g4_vk_dispatch){ .op = j->op, .n_bind = 8, .args = a, .n_args = sizeof *a };
    d->bind[0] = g4_vk_bind_buf(j->p, j->op->src, false);
    for (uint32_t i = 0; i < 3; i++) {
        const struct part *part = &j->part[i < j->n_part ? i : 0];
        d->bind[1 + i] = g4_vk_bind_const(part->span);
        a->w_at[i] = part->unit;
        if (i < j->n_part && (i == 0 || j->mode != G4_GATED)) {
            d->bind[4 + i] = j->out ? *j->out : g4_vk_bind_buf(j->p, part->dst, true);
            a->rows[i] = part->rows;
            a->y_at[i] = part->row;
            a->y_cols[i] = cols_of(j->p, part->dst);
            d->cost += (double)part->rows * cols * (j->mode == G4_GATED ? 2 : 1);
        } else {
            d->bind[4 + i] = d->bind[4];
        }
    }
    d->bind[7] = j->mode == G4_GATED_PLE ? j->side : d->bind[0];
}

static uint32_t tiles(const struct matmul_args *a, uint32_t height)
{
    uint32_t n = 0;

    for (int i = 0; i < 3; i++) n += (a->rows[i] + height - 1) / height;
    return n;
}

/* Once an op: its rows as bytes. */
static void emit_quantize(struct job *j, uint32_t range)
{
    const struct quantize_args a = { range, cols_of(j->p, j->op->src) };
    const struct g4_vk_pipe_key key = { .shader = "quantize", .n_spec = 1, .n_bind = 2, .args = sizeof a, .spec = { QUANTIZE_THREADS } };
    const struct g4_vk_dispatch d = { .op = j->op, .pipe = g4_vk_pipe(g4_vk_of(j->p), &key), .n_bind = 2, .args = &a, .n_args = sizeof a,
                                      .bind = { g4_vk_bind_buf(j->p, j->op->src, false), j->xq },
                                      .grid = { .x = (a.cols / 32 + QUANTIZE_THREADS - 1) / QUANTIZE_THREADS, .range = (uint8_t)range, .tile = 1 } };

    if (!j->quantized) g4_vk_dispatch(j->p, &d);
    j->quantized = true;
}

static void add_resid(const struct job *j, struct matmul_args *a, struct g4_vk_dispatch *d)
{
    a->eps = j->resid->eps;
    a->resid_alpha = j->resid->alpha;
    a->resid_flags = (j->resid->w[0] ? G4_RESID_W : 0) | (j->resid->dst2 >= 0 ? G4_RESID_NEXT : 0) | (j->resid->w[1] ? G4_RESID_NEXT_W : 0);
    for (uint32_t i = 0; i < 5; i++) d->bind[5 + i] = j->after[i];
    d->n_bind = 10;
}

/* Rows of logits may be more than a binding takes. */
static void dispatch_rows(const struct job *j, struct matmul_args *a, struct g4_vk_dispatch *d)
{
    const uint32_t rows = g4_vk_slice_rows(j->p, j->op->dst[0]);

    if (j->mode != G4_LOGITS) {
        g4_vk_dispatch(j->p, d);
        return;
    }
    for (uint32_t i = 0; g4_vk_bind_slice(j->p, j->op->dst[0], i, true, &d->bind[4]); i++) {
        d->bind[5] = d->bind[6] = d->bind[4];
        a->y_row0 = d->grid.from = i * rows;
        d->grid.to = d->grid.from + rows;
        g4_vk_dispatch(j->p, d);
    }
}

/* One dispatch a row bucket. */
static void emit_vec(struct job *j, uint32_t range, uint32_t max_rows)
{
    static const char *const names[2][2][2] = {
        { { "matmul_vec", "matmul_vec_sg" }, { "matmul_vec_resid", "matmul_vec_resid_sg" } },
        { { "matmul_vec_i8", "matmul_vec_i8_sg" }, { "matmul_vec_i8_resid", "matmul_vec_i8_resid_sg" } } };
    const struct g4_vk_caps *caps = &g4_vk_of(j->p)->caps;
    const bool int8 = j->int8 && g4_vk_is_block(j->type);
    const bool sg = caps->subgroup_ops && caps->subgroup_size && G4_VK_VEC_THREADS % caps->subgroup == 0;
    const uint32_t nw = j->mode == G4_GATED ? 2 : 1;
    struct matmul_args a;
    struct g4_vk_dispatch d;
    struct g4_vk_few few;

    fill_args(j, &a, &d);
    a.range = range;
    a.lanes = g4_vk_lanes(j->type, a.cols, j->op->w[0]->rows);
    if (int8) {
        emit_quantize(j, range);
        d.bind[0] = j->xq;
        d.bind[0].write = false;
    }
    if (j->resid) add_resid(j, &a, &d);
    for (uint32_t i = 0; g4_vk_few(i, max_rows, &few); i++) {
        const uint32_t values = nw == 2 || few.n > 8 ? 1 : 2;
        const struct g4_vk_pipe_key key = { .shader = names[int8][j->resid != NULL][sg], .n_spec = 6, .n_bind = d.n_bind, .subgroup = sg ? caps->subgroup : 0, .args = sizeof a,
                                            .spec = { G4_VK_VEC_THREADS, j->type, nw, a.cols % 4 == 0, few.n, values } };
        d.pipe = g4_vk_pipe(g4_vk_of(j->p), &key);
        d.grid = (struct g4_vk_grid){ .x = tiles(&a, G4_VK_VEC_THREADS / a.lanes * values), .range = (uint8_t)range, .tile = few.n,
                                      .lo = few.lo, .hi = few.hi };
        dispatch_rows(j, &a, &d);
    }
}

/* Once an op: the factors that bring its rows into f16. */
static void emit_scale(struct job *j, uint32_t range)
{
    const struct quantize_args a = { range, cols_of(j->p, j->op->src) };
    const struct g4_vk_pipe_key key = { .shader = "row_scale", .n_spec = 1, .n_bind = 2, .args = sizeof a, .spec = { SCALE_THREADS } };
    const struct g4_vk_dispatch d = { .op = j->op, .pipe = g4_vk_pipe(g4_vk_of(j->p), &key), .n_bind = 2, .args = &a, .n_args = sizeof a,
                                      .bind = { g4_vk_bind_buf(j->p, j->op->src, false), j->scale },
                                      .grid = { .x = 1, .range = (uint8_t)range, .tile = 1 } };

    if (!j->scaled) g4_vk_dispatch(j->p, &d);
    j->scaled = true;
}

static void emit_mat(struct job *j, uint32_t range)
{
    const struct g4_vk_caps *caps = &g4_vk_of(j->p)->caps;
    struct matmul_args a;
    struct g4_vk_dispatch d;

    fill_args(j, &a, &d);
    a.range = range;
    emit_scale(j, range);
    const struct g4_vk_pipe_key key = { .shader = "matmul_mat", .n_spec = 7, .n_bind = 9, .args = sizeof a, .subgroup = caps->subgroup,
                                        .spec = { MAT_SUBGROUPS * caps->subgroup, j->type, j->mode == G4_GATED ? 2 : 1, a.cols % 4 == 0,
                                                  caps->mat_m, caps->mat_n, caps->mat_k } };
    d.n_bind = 9;
    d.bind[8] = j->scale;
    d.bind[8].write = false;
    d.pipe = g4_vk_pipe(g4_vk_of(j->p), &key);
    d.grid = (struct g4_vk_grid){ .x = tiles(&a, MAT_BM), .range = (uint8_t)range, .tile = MAT_BN };
    g4_vk_dispatch(j->p, &d);
}

static void emit_tile(const struct job *j, uint32_t range)
{
    const uint32_t nw = j->mode == G4_GATED ? 2 : 1;
    struct matmul_args a;
    struct g4_vk_dispatch d;

    fill_args(j, &a, &d);
    a.range = range;
    const struct g4_vk_pipe_key key = { .shader = "matmul_tile", .n_spec = 8, .n_bind = 8, .args = sizeof a,
                                        .spec = { G4_VK_TILE_THREADS, j->type, nw, a.cols % 4 == 0, G4_VK_TILE, G4_VK_TILE, 4,
                                                  G4_VK_TILE * G4_VK_TILE / 4 / G4_VK_TILE_THREADS } };
    d.pipe = g4_vk_pipe(g4_vk_of(j->p), &key);
    d.grid = (struct g4_vk_grid){ .x = tiles(&a, G4_VK_TILE), .range = (uint8_t)range, .tile = G4_VK_TILE };
    g4_vk_dispatch(j->p, &d);
}

static void emit(struct job *j)
{
    const uint32_t *max_rows = g4_vk_desc(j->p)->max_rows;

    if (!j->n_part) return;
    if (j->op->set == G4_ROWS_ALL) {
        emit_vec(j, G4_RANGE_GEN, max_rows[G4_ROWS_ALL]);
        if (j->mat) emit_mat(j, G4_RANGE_PROMPT);
        else emit_tile(j, G4_RANGE_PROMPT);
    } else {
        emit_vec(j, j->op->set, max_rows[j->op->set]);
    }
    j->n_part = 0;
}

/* Rows a dispatch may take, so that its grid stays below G4_VK_GRID_X. */
static uint32_t most_rows(const struct job *j, uint32_t cols, uint32_t rows)
{
    return G4_VK_GRID_X * (G4_VK_VEC_THREADS / g4_vk_lanes(j->type, cols, rows));
}

/* Weight w, with `w2` behind it for GATED, in parts; whole ones are gathered in j until emit. */
static void add_weight(struct job *j, const struct g4_vk_weight *w, const struct g4_vk_weight *w2, int dst)
{
    const uint32_t most = most_rows(j, w->w->cols, w->w->rows);

    for (uint32_t s = 0; s < w->n_slice; s++)
        for (uint32_t at = 0; at < w->slices[s].n_row; at += most) {
            const uint32_t left = w->slices[s].n_row - at, rows = left < most ? left : most;
            const bool whole = rows == w->w->rows;
            if (!whole || w2) emit(j);
            j->part[j->n_part++] = (struct part){ &w->slices[s].span, at * (j->row_bytes / 16), w->slices[s].row + at, rows, dst };
            if (w2) j->part[j->n_part++] = (struct part){ &w2->slices[s].span, at * (j->row_bytes / 16), w2->slices[s].row + at, rows, dst };
            if (!whole || w2) emit(j);
        }
}

static bool alike(const struct g4_vk_weight *a, const struct g4_vk_weight *b)
{
    return a->pack.type == b->pack.type && a->pack.row_bytes == b->pack.row_bytes && a->n_slice == b->n_slice;
}

static void set_type(struct job *j, const struct g4_vk_weight *w)
{
    if (j->type != w->pack.type || j->row_bytes != w->pack.row_bytes) emit(j);
    j->type = w->pack.type;
    j->row_bytes = w->pack.row_bytes;
}

/* gelu(w0 x) * (w1 x) by way of w1 x in scratch: for two weights of different types, and as the
 * oracle of the fused form. */
static int gated_apart(struct job *j, const struct g4_vk_weight *w0, const struct g4_vk_weight *w1, g4_err *err)
{
    const uint32_t rows = w0->w->rows, max = g4_vk_desc(j->p)->max_rows[j->op->set];
    struct g4_vk_bind scratch;

    if (g4_vk_bind_scratch(j->p, 0, (VkDeviceSize)max * rows * sizeof(float), &scratch, err)) return 0;
    j->out = &scratch;
    j->mode = G4_MATMUL;
    j->alpha = 1;
    set_type(j, w1);
    add_weight(j, w1, NULL, j->op->dst[0]);
    emit(j);
    j->out = NULL;
    j->mode = G4_GATED_PLE;
    j->side = scratch;
    j->side.write = false;
    j->side_cols = rows;
    set_type(j, w0);
    add_weight(j, w0, NULL, j->op->dst[0]);
    emit(j);
    return 1;
}

/* Fragments that tile a subgroup's share, and subgroups that make up a workgroup. */
static bool mat_fits(const struct g4_vk_caps *c)
{
    return c->coopmat && c->memory_model && c->subgroup_size && c->mat_m && c->mat_n && c->mat_k && MAT_SIDE % c->mat_m == 0 &&
           MAT_SIDE % c->mat_n == 0 && MAT_BK % c->mat_k == 0 && c->subgroup <= 64;
}

/* Neither path has run on hardware yet: G4_VK_ENABLE=int8dot,coopmat turns them on. */
static int prepare_fast(struct job *j, g4_err *err)
{
    const struct g4_vk_caps *caps = &g4_vk_of(j->p)->caps;
    const VkDeviceSize rows = g4_vk_desc(j->p)->max_rows[j->op->set];
    const uint32_t cols = cols_of(j->p, j->op->src);

    j->int8 = caps->dot && cols % 32 == 0 && g4_vk_switch("int8dot", false);
    j->mat = mat_fits(caps) && j->op->set == G4_ROWS_ALL && g4_vk_switch("coopmat", false);
    if (j->int8 && g4_vk_bind_scratch(j->p, 1, rows * (cols / 32) * 48, &j->xq, err)) return G4_ENOMEM;
    return j->mat ? g4_vk_bind_scratch(j->p, 2, rows * 2 * sizeof(float), &j->scale, err) : 0;
}

/* A product whose result a RESID takes next: one dispatch for generated rows, whose last
 * workgroup does the RESID.  Has not run on hardware yet: G4_VK_ENABLE=fuse_resid. */
static bool resid_fits(const struct job *j, const g4_op *next, uint32_t n, const struct g4_vk_weight *w)
{
    return n > 1 && next->kind == G4_OP_RESID && next->set == j->op->set && next->src == j->op->dst[0] && next->dst[0] != j->op->src &&
           j->op->kind == G4_OP_MATMUL && j->op->n_w == 1 && w->n_slice == 1 && w->w->rows <= most_rows(j, w->w->cols, w->w->rows) &&
           g4_vk_switch("fuse_resid", false);
}

static int prepare_resid(struct job *j, const g4_op *next, g4_err *err)
{
    const uint32_t max = g4_vk_desc(j->p)->max_rows[next->set];

    j->resid = next;
    j->after[0] = g4_vk_bind_buf(j->p, next->dst[0], true);
    j->after[1] = next->dst2 >= 0 ? g4_vk_bind_buf(j->p, next->dst2, true) : j->after[0];
    if (g4_vk_bind_vector(j->p, next->w[0], &j->after[2], err) || g4_vk_bind_vector(j->p, next->w[1], &j->after[3], err)) return G4_ENOMEM;
    return g4_vk_bind_counters(j->p, max ? max : 1, &j->after[4], err);
}

int g4_vk_op_matmul(struct g4_vk_plan *p, const g4_op *ops, uint32_t n, g4_err *err)
{
    const g4_op *op = ops;
    const struct g4_vk_weight *w[3] = { NULL };
    struct job j = { .p = p, .op = op, .mode = op->kind == G4_OP_LOGITS ? G4_LOGITS : G4_MATMUL, .alpha = op->alpha };
    const uint32_t n_w = op->kind == G4_OP_MATMUL ? op->n_w : op->kind == G4_OP_GATED ? 2 : 1;

    if (prepare_fast(&j, err)) return 0;
    for (uint32_t i = 0; i < n_w; i++)
        if (!(w[i] = g4_vk_weight(g4_vk_of(p), op->w[i], err))) return 0;
    if (op->kind == G4_OP_GATED_PLE) {
        j.mode = G4_GATED_PLE;
        j.side = g4_vk_bind_buf(p, op->src2, false);
        j.side_cols = cols_of(p, op->src2);
        j.side_at = op->off;
    }
    if (op->kind == G4_OP_GATED) {
        if (!alike(w[0], w[1]) || !g4_vk_switch("fuse_gated", true)) return gated_apart(&j, w[0], w[1], err);
        j.mode = G4_GATED;
        set_type(&j, w[0]);
        add_weight(&j, w[0], w[1], op->dst[0]);
        return 1;
    }
    set_type(&j, w[0]);
    if (resid_fits(&j, op + 1, n, w[0]) && prepare_resid(&j, op + 1, err)) return 0;
    for (uint32_t i = 0; i < n_w; i++) {
        set_type(&j, w[i]);
        add_weight(&j, w[i], NULL, op->dst[i]);
        if (!g4_vk_switch("fuse_qkv", true)) emit(&j);
    }
    emit(&j);
    if (!j.resid) return 1;
    return op->set == G4_ROWS_ALL && g4_vk_resid(p, op + 1, G4_RANGE_PROMPT, err) ? 0 : 2;
}
