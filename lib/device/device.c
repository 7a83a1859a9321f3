/* device/device: see device.h.  The choice of a device, and the checks that every
 * device may then rely on. */
#include "device/device.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "device/cpu/cpu.h"
#include "device/split.h"
#include "device/vulkan/vk.h"

static g4_device *open_gpu(const struct g4_device_params *p, g4_err *err)
{
    g4_device *gpu = g4_vulkan_open(p, err);
    return gpu && p->may_split ? g4_split_open(gpu, p) : gpu;
}

/* A GPU where there is one that works; else the CPU, and -v says why. */
static g4_device *open_auto(const struct g4_device_params *p, g4_err *err)
{
    struct g4_device_params own = *p;
    g4_err why = { 0 };
    own.which = "vulkan";
    g4_device *gpu = g4_vulkan_likely() ? open_gpu(&own, &why) : NULL;
    if (gpu) return gpu;
    if (why.code) g4_log(G4_LOG_VERBOSE, "on the CPU: %s", why.msg);
    own.which = "cpu";
    return g4_cpu_open(&own, err);
}

g4_device *g4_device_open(const struct g4_device_params *p, g4_err *err)
{
    const char *which = p->which;
    if (!which || !*which || !strcmp(which, "auto")) return open_auto(p, err);
    if (!strcmp(which, "cpu") || !strcmp(which, "ref")) return g4_cpu_open(p, err);
    if (!strcmp(which, "vulkan") || !strncmp(which, "vulkan:", 7)) return open_gpu(p, err);
    g4_fail(err, G4_EUSAGE, "no such device: '%s' (auto, cpu, ref, vulkan[:N|:NAME|:UUID])", which);
    return NULL;
}

void g4_device_list(g4_str *out, bool verbose)
{
    g4_cpu_list(out, verbose);
    g4_vulkan_list(out, verbose);
}

void g4_device_close(g4_device *d)
{
    if (d) d->ops->close(d);
}

size_t g4_kv_block_bytes(const g4_kv_desc *desc, uint32_t pool)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < desc->n_layer; i++) {
        const g4_kv_layer *l = &desc->layers[i];
        if (l->pool == pool) sum += (size_t)2 * l->n_kv * G4_KV_BLOCK * l->d_head * (desc->type == G4_F16 ? 2 : 4);
    }
    return sum;
}

/* ---- plans --------------------------------------------------------------- */

struct check {
    const g4_plan_desc *d;
    const g4_kv_desc *kv;
    const g4_op *op;
    uint32_t i;
    g4_err *err;
};

static int bad(const struct check *c, const char *what)
{
    return g4_fail(c->err, G4_EUSAGE, "plan op %u ('%s'): %s", c->i, c->op->tag ? c->op->tag : "", what);
}

/* Buffer b exists, holds rows of `set` and has cols columns (0: at least one). */
static int buf(const struct check *c, int b, unsigned set, uint32_t cols, const char *name)
{
    if (b < 0 || (uint32_t)b >= c->d->n_buf) return bad(c, name);
    const g4_buf_desc *d = &c->d->bufs[b];
    if (d->set != set || !d->cols || (cols && d->cols != cols)) return bad(c, name);
    return 0;
}

static uint32_t cols_of(const struct check *c, int b)
{
    return b >= 0 && (uint32_t)b < c->d->n_buf ? c->d->bufs[b].cols : 0;
}

/* Weight i has this shape (0: any). */
static int weight(const struct check *c, unsigned i, uint32_t rows, uint32_t cols, const char *name)
{
    const g4_weight *w = c->op->w[i];
    if (!w || !w->data || !w->rows || !w->cols || !w->n) return bad(c, name);
    if ((rows && w->rows != rows) || (cols && w->cols != cols)) return bad(c, name);
    const g4_dtype_info *t = g4_dtype_get(w->type);
    if (!t || !t->decode || w->cols % t->block) return bad(c, name);
    if (w->row_bytes < (size_t)w->cols / t->block * t->bytes) return bad(c, name);
    return 0;
}

static int vector(const struct check *c, unsigned i, uint32_t cols, bool optional, const char *name)
{
    if (!c->op->w[i] && optional) return 0;
    if (weight(c, i, 1, cols, name)) return G4_EUSAGE;
    return c->op->w[i]->type == G4_F32 ? 0 : bad(c, name);
}

static int check_matmul(const struct check *c)
{
    const g4_op *op = c->op;
    if (op->n_w < 1 || op->n_w > 3) return bad(c, "1 to 3 weights");
    if (buf(c, op->src, op->set, 0, "source")) return G4_EUSAGE;
    for (unsigned i = 0; i < op->n_w; i++) {
        if (weight(c, i, 0, cols_of(c, op->src), "weight")) return G4_EUSAGE;
        if (buf(c, op->dst[i], op->set, op->w[i]->rows, "result") || op->dst[i] == op->src) return bad(c, "result");
    }
    return 0;
}

static int check_gated(const struct check *c)
{
    const g4_op *op = c->op;
    if (buf(c, op->src, op->set, 0, "source") || buf(c, op->dst[0], op->set, 0, "result")) return G4_EUSAGE;
    const uint32_t in = cols_of(c, op->src), out = cols_of(c, op->dst[0]);
    if (weight(c, 0, out, in, "gate weight")) return G4_EUSAGE;
    if (op->kind == G4_OP_GATED) return weight(c, 1, out, in, "up weight");
    if (buf(c, op->src2, op->set, 0, "second source")) return G4_EUSAGE;
    return (uint64_t)op->off + out <= cols_of(c, op->src2) ? 0 : bad(c, "slice");
}

static int check_heads(const struct check *c)
{
    const g4_op *op = c->op;
    if (!op->n_head || !op->d_head || op->d_head > 4096 || (op->d_head & 1)) return bad(c, "head shape");
    if (buf(c, op->src, op->set, op->n_head * op->d_head, "q")) return G4_EUSAGE;
    if (vector(c, 0, op->d_head, true, "q norm") || vector(c, 1, op->d_head, true, "k norm")) return G4_EUSAGE;
    if (op->src2 < 0) return op->src3 < 0 ? 0 : bad(c, "v without k");
    if (!c->kv || op->kv_layer < 0 || (uint32_t)op->kv_layer >= c->kv->n_layer) return bad(c, "cache layer");
    const g4_kv_layer *l = &c->kv->layers[op->kv_layer];
    if (l->n_kv != op->n_kv || l->d_head != op->d_head) return bad(c, "shape of the cache layer");
    if (buf(c, op->src2, op->set, op->n_kv * op->d_head, "k")) return G4_EUSAGE;
    return buf(c, op->src3, op->set, op->n_kv * op->d_head, "v");
}

static int check_attend(const struct check *c)
{
    const g4_op *op = c->op;
    if (!op->n_kv || op->n_head % op->n_kv) return bad(c, "heads");
    if (!c->kv || op->kv_layer < 0 || (uint32_t)op->kv_layer >= c->kv->n_layer) return bad(c, "cache layer");
    const g4_kv_layer *l = &c->kv->layers[op->kv_layer];
    if (l->n_kv != op->n_kv || l->d_head != op->d_head) return bad(c, "shape of the cache layer");
    if (buf(c, op->src, op->set, op->n_head * op->d_head, "q")) return G4_EUSAGE;
    return buf(c, op->dst[0], op->set, op->n_head * op->d_head, "result");
}

static int check_ple(const struct check *c)
{
    const g4_op *op = c->op;
    if (buf(c, op->src, op->set, 0, "source")) return G4_EUSAGE;
    const uint32_t cols = cols_of(c, op->src);
    if (!op->dim || cols % op->dim) return bad(c, "slices");
    if (buf(c, op->dst[0], op->set, cols, "result") || vector(c, 0, op->dim, false, "norm")) return G4_EUSAGE;
    return op->w[1] ? weight(c, 1, 0, cols, "table") : 0;
}

static int check_resid(const struct check *c)
{
    const g4_op *op = c->op;
    if (buf(c, op->src, op->set, 0, "source")) return G4_EUSAGE;
    const uint32_t cols = cols_of(c, op->src);
    if (buf(c, op->dst[0], op->set, cols, "residual") || vector(c, 0, cols, true, "norm")) return G4_EUSAGE;
    if (op->dst2 < 0) return 0;
    if (buf(c, op->dst2, op->set, cols, "normed result")) return G4_EUSAGE;
    return vector(c, 1, cols, true, "next norm");
}

static int check_router(const struct check *c)
{
    const g4_op *op = c->op;
    if (!op->n_expert || !op->k_expert || op->k_expert > op->n_expert) return bad(c, "experts");
    if (buf(c, op->src, op->set, 0, "source")) return G4_EUSAGE;
    const uint32_t cols = cols_of(c, op->src);
    if (weight(c, 0, op->n_expert, cols, "router weight") || vector(c, 1, cols, true, "router scale")) return G4_EUSAGE;
    if (vector(c, 2, op->n_expert, true, "expert scale")) return G4_EUSAGE;
    return buf(c, op->dst[0], op->set, 2 * op->k_expert, "result");
}

static int check_experts(const struct check *c)
{
    const g4_op *op = c->op;
    if (!op->n_expert || !op->k_expert || op->k_expert > op->n_expert || !op->d_expert) return bad(c, "experts");
    if (buf(c, op->src, op->set, 0, "source") || buf(c, op->src2, op->set, 2 * op->k_expert, "routes")) return G4_EUSAGE;
    const uint32_t cols = cols_of(c, op->src);
    if (weight(c, 0, op->w[1] ? op->d_expert : 2 * op->d_expert, cols, "gate weight")) return G4_EUSAGE;
    if (op->w[1] && weight(c, 1, op->d_expert, cols, "up weight")) return G4_EUSAGE;
    if (buf(c, op->dst[0], op->set, 0, "result")) return G4_EUSAGE;
    if (weight(c, 2, cols_of(c, op->dst[0]), op->d_expert, "down weight")) return G4_EUSAGE;
    for (unsigned i = 0; i < 3; i++)
        if (op->w[i] && op->w[i]->n != op->n_expert) return bad(c, "number of experts");
    return 0;
}

/* dst[0] and src alike, and src2 where the op has one. */
static int check_rowwise(const struct check *c)
{
    const g4_op *op = c->op;
    if (buf(c, op->src, op->set, 0, "source")) return G4_EUSAGE;
    const uint32_t cols = cols_of(c, op->src);
    if (op->kind == G4_OP_ADD && buf(c, op->src2, op->set, cols, "second source")) return G4_EUSAGE;
    if (op->kind == G4_OP_NORM && vector(c, 0, cols, true, "norm")) return G4_EUSAGE;
    return buf(c, op->dst[0], op->set, cols, "result");
}

static int check_op(const struct check *c)
{
    const g4_op *op = c->op;
    if (op->set > G4_ROWS_SEQ) return bad(c, "row set");
    switch (op->kind) {
    case G4_OP_EMBED:
        if (op->set != G4_ROWS_ALL) return bad(c, "row set");
        return buf(c, op->dst[0], op->set, 0, "result") ? G4_EUSAGE : weight(c, 0, 0, cols_of(c, op->dst[0]), "table");
    case G4_OP_MATMUL: return check_matmul(c);
    case G4_OP_GATED:
    case G4_OP_GATED_PLE: return check_gated(c);
    case G4_OP_PLE: return check_ple(c);
    case G4_OP_HEADS: return op->set == G4_ROWS_SEQ ? bad(c, "row set") : check_heads(c);
    case G4_OP_ATTEND: return op->set == G4_ROWS_SEQ ? bad(c, "row set") : check_attend(c);
    case G4_OP_RESID: return check_resid(c);
    case G4_OP_ROUTER: return check_router(c);
    case G4_OP_EXPERTS: return check_experts(c);
    case G4_OP_NORM:
    case G4_OP_ADD:
    case G4_OP_COPY:
    case G4_OP_L2NORM: return check_rowwise(c);
    case G4_OP_GATHER:
    case G4_OP_POOL:
        if (op->set != (op->kind == G4_OP_POOL ? G4_ROWS_SEQ : G4_ROWS_OUT)) return bad(c, "row set");
        if (buf(c, op->src, G4_ROWS_ALL, 0, "source")) return G4_EUSAGE;
        return buf(c, op->dst[0], op->set, cols_of(c, op->src), "result");
    case G4_OP_LOGITS:
        if (buf(c, op->src, op->set, 0, "source") || weight(c, 0, 0, cols_of(c, op->src), "head")) return G4_EUSAGE;
        return buf(c, op->dst[0], op->set, op->w[0]->rows, "result");
    case G4_OP_PICK: return op->set == G4_ROWS_OUT ? buf(c, op->src, op->set, 0, "source") : bad(c, "row set");
    default: return bad(c, "unknown kind");
    }
}

g4_plan *g4_plan_new(g4_device *d, const g4_plan_desc *desc, struct g4_kv_store *kv, g4_err *err)
{
    const g4_kv_desc *kvd = (const g4_kv_desc *)(const void *)kv; /* a store begins with its description */
    uint32_t n_vocab = 0;
    for (uint32_t i = 0; i < desc->n_op; i++) {
        const struct check c = { desc, kvd, &desc->ops[i], i, err };
        if (check_op(&c)) return NULL;
        if (desc->ops[i].kind == G4_OP_EMBED) n_vocab = desc->ops[i].w[0]->rows;
        if (desc->ops[i].kind == G4_OP_PLE && desc->ops[i].w[1] && (!n_vocab || desc->ops[i].w[1]->rows < n_vocab))
            n_vocab = desc->ops[i].w[1]->rows;
    }
    g4_plan *p = d->ops->plan_new(d, desc, kv, err);
    if (!p) return NULL;
    p->kv = kvd;
    p->n_vocab = n_vocab;
    return p;
}

/* The rows of ALL: ids in range, positions ascending within their sequence, and
 * a block in each pool for every key that is stored. */
static int check_rows(const g4_plan *p, const g4_step_buf *s, g4_err *err)
{
    for (uint32_t r = 0; r < s->n_row; r++) {
        if (s->id[r] < 0 ? !s->vec || !s->vec[r] : p->n_vocab && (uint32_t)s->id[r] >= p->n_vocab)
            return g4_fail(err, G4_EUSAGE, "row %u of the step: id %d is not in the vocabulary", r, s->id[r]);
        if (s->seq[r] >= s->n_seq) return g4_fail(err, G4_EUSAGE, "row %u of the step: no sequence %u", r, s->seq[r]);
        const g4_step_seq *q = &s->seqs[s->seq[r]];
        if (r && s->seq[r] == s->seq[r - 1] && s->pos[r] <= s->pos[r - 1])
            return g4_fail(err, G4_EUSAGE, "row %u of the step: positions do not ascend", r);
        if (r && !q->prompt && s->seqs[s->seq[r - 1]].prompt)
            return g4_fail(err, G4_EUSAGE, "row %u of the step: a generated row behind a prompt's", r);
        if (s->pos[r] >= q->n_key) return g4_fail(err, G4_EUSAGE, "row %u of the step: position %u is past its keys", r, s->pos[r]);
        for (uint32_t pool = 0; p->kv && pool < 2; pool++)
            if (p->kv->n_block[pool] && q->table[pool] && q->table[pool][s->pos[r] / G4_KV_BLOCK] < 0)
                return g4_fail(err, G4_EUSAGE, "row %u of the step: no block for position %u", r, s->pos[r]);
    }
    return 0;
}

static int check_tables(const g4_plan *p, const g4_step_buf *s, g4_err *err)
{
    if (!p->kv) return 0;
    for (uint32_t q = 0; q < s->n_seq; q++)
        for (uint32_t pool = 0; pool < 2; pool++) {
            const int32_t *t = s->seqs[q].table[pool];
            for (uint32_t b = 0; t && b < (s->seqs[q].n_key + G4_KV_BLOCK - 1) / G4_KV_BLOCK; b++)
                if (t[b] >= 0 && (uint32_t)t[b] >= p->kv->n_block[pool])
                    return g4_fail(err, G4_EUSAGE, "sequence %u of the step: block %d does not exist", q, t[b]);
        }
    return 0;
}

int g4_plan_run(g4_device *d, g4_plan *p, const g4_step_buf *s, g4_err *err)
{
    const uint32_t *most = p->desc.max_rows;
    if (s->n_row > most[G4_ROWS_ALL] || s->n_out > most[G4_ROWS_OUT] || (s->n_seq > most[G4_ROWS_SEQ] && most[G4_ROWS_SEQ]))
        return g4_fail(err, G4_EUSAGE, "the step has %u rows, %u outputs, %u sequences; the plan holds %u, %u, %u", s->n_row,
                       s->n_out, s->n_seq, most[0], most[1], most[2]);
    for (uint32_t i = 0; i < s->n_out; i++)
        if (s->out_row[i] >= s->n_row || (i && s->out_row[i] <= s->out_row[i - 1]))
            return g4_fail(err, G4_EUSAGE, "output %u of the step is not a row, or not in order", i);
    for (uint32_t i = 0; s->pick && i < s->n_out; i++)
        if (s->pick[i].k > G4_PICK_MAX) return g4_fail(err, G4_EUSAGE, "output %u of the step: k is over %d", i, G4_PICK_MAX);
    if (check_rows(p, s, err) || check_tables(p, s, err)) return G4_EUSAGE;
    const int rc = d->ops->plan_run(d, p, s, err);
    return rc ? rc : d->ops->wait(d, err);
}
