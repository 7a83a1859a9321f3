/* device/split: see split.h. */
#include "device/split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum { CPU, GPU, UNDECIDED = -1 };

static const uint32_t LIKELY[3] = { 640, 96, 32 }; /* rows of the largest plan there will be */

struct split_device {
    g4_device dev;
    g4_device *part[2];        /* CPU may be NULL: not needed */
    struct g4_device_params p;
    int32_t layers;            /* asked for; < 0: as many as fit */
    int32_t cut;               /* layers below run on the CPU; UNDECIDED until the first plan */
};

struct g4_kv_store {
    g4_kv_desc desc;           /* first: every store begins with it */
    g4_kv_layer *layers;
    struct g4_kv_store *part[2]; /* made with the first plan */
    int8_t *where;             /* [n_layer] */
    uint32_t *number;          /* [n_layer] in its part's store */
};

struct half {
    g4_plan *plan;
    g4_op *ops;
    uint32_t n_op;
};

struct split_plan {
    g4_plan plan;              /* first */
    struct half half[2];
    int8_t *writer;            /* [n_buf] the half that wrote it last; UNDECIDED: none */
    uint32_t *cross;           /* buffers that go from the first half to the second */
    uint32_t n_cross;
};

/* ---- where an op runs ------------------------------------------------------------- */

/* Ops outside the layers stand before the first or behind the last; a cut behind
 * all n layers leaves those on the GPU, n + 1 nothing. */
static int side_of(const g4_plan_desc *d, uint32_t i, int32_t cut)
{
    if (d->ops[i].layer >= 0) return d->ops[i].layer < cut ? CPU : GPU;
    if (!cut) return GPU;
    int32_t seen = 0;
    for (uint32_t o = 0; o < i; o++)
        if (d->ops[o].layer >= seen) seen = d->ops[o].layer + 1;
    return seen && cut <= seen ? GPU : CPU;
}

/* Every layer that reads a cache layer must run where it is written. */
static bool valid_cut(const g4_plan_desc *d, const g4_kv_desc *kv, int32_t cut, int8_t *where)
{
    memset(where, UNDECIDED, kv ? kv->n_layer : 0);
    for (uint32_t i = 0; i < d->n_op; i++) {
        const g4_op *op = &d->ops[i];
        if (op->kind != G4_OP_ATTEND && (op->kind != G4_OP_HEADS || op->src2 < 0)) continue;
        const int side = side_of(d, i, cut);
        if (where[op->kv_layer] != UNDECIDED && where[op->kv_layer] != side) return false;
        where[op->kv_layer] = (int8_t)side;
    }
    return true;
}

/* Bytes that the GPU's half takes: weights (each once), its cache layers, the rows of a large and a small plan. */
static uint64_t need(struct split_device *s, const g4_plan_desc *d, const g4_kv_desc *kv, int32_t cut, const int8_t *where)
{
    const g4_device *gpu = s->part[GPU];
    uint64_t sum = 0, rows = 0;
    for (uint32_t i = 0; i < d->n_op; i++) {
        if (side_of(d, i, cut) != GPU) continue;
        for (uint32_t w = 0; w < 3; w++) {
            bool seen = !d->ops[i].w[w] || d->ops[i].kind == G4_OP_EMBED || (d->ops[i].kind == G4_OP_PLE && w == 1);
            for (uint32_t o = 0; o < i && !seen; o++)
                for (uint32_t x = 0; x < 3; x++) seen = seen || (d->ops[o].w[x] == d->ops[i].w[w] && d->ops[o].kind != G4_OP_EMBED && side_of(d, o, cut) == GPU);
            if (!seen) sum += gpu->ops->weight_bytes(s->part[GPU], d->ops[i].w[w]);
        }
    }
    for (uint32_t l = 0; kv && l < kv->n_layer; l++)
        if (where[l] == GPU) sum += (uint64_t)2 * kv->n_block[kv->layers[l].pool] * kv->layers[l].n_kv * G4_KV_BLOCK * kv->layers[l].d_head * (kv->type == G4_F16 ? 2 : 4);
    for (uint32_t b = 0; b < d->n_buf; b++) {
        const uint8_t set = d->bufs[b].set;
        rows += (uint64_t)(d->max_rows[set] > LIKELY[set] ? d->max_rows[set] : LIKELY[set]) * d->bufs[b].cols * sizeof(float);
    }
    return sum + sum / 32 + rows + rows / 8;
}

static int32_t count_layers(const g4_plan_desc *d)
{
    int32_t n = 0;
    for (uint32_t i = 0; i < d->n_op; i++)
        if (d->ops[i].layer >= n) n = d->ops[i].layer + 1;
    return n;
}

/* The smallest cut that fits; or the one that was asked for, and if that is none the next that fits. */
static void decide(struct split_device *s, const g4_plan_desc *d, const g4_kv_desc *kv)
{
    const int32_t n = count_layers(d), least = s->layers < 0 || s->layers >= n ? 0 : s->layers ? n - s->layers : n + 1;
    int8_t *where = g4_alloc((kv ? kv->n_layer : 0) + 1);
    const struct g4_device_room room = s->part[GPU]->ops->room(s->part[GPU]);
    s->cut = UNDECIDED;
    for (int32_t cut = least; cut >= 0 && s->layers > 0 && s->cut == UNDECIDED; cut--) /* what was asked for, or what more it needs */
        if (valid_cut(d, kv, cut, where) && need(s, d, kv, cut, where) <= room.bytes) s->cut = cut;
    for (int32_t cut = least; cut <= n && s->cut == UNDECIDED; cut++)
        if (valid_cut(d, kv, cut, where) && need(s, d, kv, cut, where) <= room.bytes) s->cut = cut;
    if (s->cut == UNDECIDED) s->cut = n + 1;
    const int32_t there = s->cut > n ? 0 : n - s->cut;
    if (s->layers >= 0 && s->cut != least)
        g4_log(G4_LOG_WARN, "%d layers run on the GPU, not %d: %s", there, s->layers,
               there > s->layers ? "they share a cache" : "more do not fit its memory");
    else if (s->cut > n && s->layers < 0)
        g4_log(G4_LOG_WARN, "the model does not fit the GPU's memory and runs on the CPU");
    else if (s->cut)
        g4_log(s->layers < 0 ? G4_LOG_WARN : G4_LOG_VERBOSE, "the last %d of %d layers run on the GPU (%s), the others on the CPU", there, n,
               s->layers < 0 ? "more do not fit its memory" : "--gpu-layers");
    free(where);
}

/* ---- the cache ---------------------------------------------------------------------- */

static struct g4_kv_store *kv_new(g4_device *d, const g4_kv_desc *desc, g4_err *err)
{
    struct g4_kv_store *kv = g4_alloc(sizeof *kv);
    kv->desc = *desc;
    kv->layers = g4_dup(desc->layers, desc->n_layer * sizeof *desc->layers);
    kv->desc.layers = kv->layers;
    kv->where = g4_alloc(desc->n_layer + 1);
    kv->number = g4_alloc((desc->n_layer + 1) * sizeof *kv->number);
    return kv;
}

static void kv_free(g4_device *d, struct g4_kv_store *kv)
{
    struct split_device *s = (struct split_device *)(void *)d;
    if (!kv) return;
    for (int i = 0; i < 2; i++)
        if (kv->part[i]) s->part[i]->ops->kv_free(s->part[i], kv->part[i]);
    free(kv->layers);
    free(kv->where);
    free(kv->number);
    free(kv);
}

static void kv_copy(g4_device *d, struct g4_kv_store *kv, uint32_t pool, int32_t from, int32_t to)
{
    struct split_device *s = (struct split_device *)(void *)d;
    for (int i = 0; i < 2; i++)
        if (kv->part[i]) s->part[i]->ops->kv_copy(s->part[i], kv->part[i], pool, from, to);
}

/* Gives each cache layer to its half. */
static int kv_divide(struct split_device *s, const g4_plan_desc *d, struct g4_kv_store *kv, g4_err *err)
{
    if (!kv || kv->part[CPU] || kv->part[GPU]) return 0;
    valid_cut(d, &kv->desc, s->cut, kv->where);
    for (int side = 0; side < 2; side++) {
        g4_kv_desc own = kv->desc;
        g4_kv_layer *layers = g4_alloc((own.n_layer + 1) * sizeof *layers);
        own.layers = layers;
        own.n_layer = 0;
        for (uint32_t l = 0; l < kv->desc.n_layer; l++) {
            if (kv->where[l] != side) continue;
            kv->number[l] = own.n_layer;
            layers[own.n_layer++] = kv->layers[l];
        }
        if (own.n_layer) kv->part[side] = s->part[side]->ops->kv_new(s->part[side], &own, err);
        free(layers);
        if (own.n_layer && !kv->part[side]) return G4_ENOMEM;
    }
    return 0;
}

/* ---- plans ---------------------------------------------------------------------------- */

/* Buffers an op reads into r[], their number back; RESID, and HEADS in place, read what they change. */
static int reads(const g4_op *op, int16_t r[5])
{
    int n = 0;
    if (op->src >= 0) r[n++] = op->src;
    if (op->src2 >= 0) r[n++] = op->src2;
    if (op->src3 >= 0) r[n++] = op->src3;
    if (op->kind == G4_OP_RESID) r[n++] = op->dst[0];
    return n;
}

static void note_writes(struct split_plan *p, const g4_op *op, int side)
{
    for (int i = 0; i < 3; i++)
        if (op->dst[i] >= 0) p->writer[op->dst[i]] = (int8_t)side;
    if (op->dst2 >= 0) p->writer[op->dst2] = (int8_t)side;
    if (op->kind == G4_OP_HEADS) p->writer[op->src] = (int8_t)side;
}

/* Copies each op to its half, its cache layer renumbered, and finds what crosses. */
static void cut_ops(struct split_device *s, struct split_plan *p, const struct g4_kv_store *kv)
{
    const g4_plan_desc *d = &p->plan.desc;
    p->writer = g4_alloc(d->n_buf + 1);
    p->cross = g4_alloc((d->n_buf + 1) * sizeof *p->cross);
    memset(p->writer, UNDECIDED, d->n_buf);
    for (int i = 0; i < 2; i++) p->half[i].ops = g4_alloc((d->n_op + 1) * sizeof *p->half[i].ops);
    for (uint32_t i = 0; i < d->n_op; i++) {
        const int side = side_of(d, i, s->cut);
        int16_t r[5];
        g4_op *op = &p->half[side].ops[p->half[side].n_op++];
        *op = d->ops[i];
        if (op->kv_layer >= 0 && kv && (op->kind == G4_OP_ATTEND || op->kind == G4_OP_HEADS)) op->kv_layer = (int32_t)kv->number[op->kv_layer];
        for (int k = 0, n = reads(op, r); k < n && side == GPU; k++) {
            if (p->writer[r[k]] != CPU) continue;
            p->cross[p->n_cross++] = (uint32_t)r[k];
            p->writer[r[k]] = GPU; /* from here on it is there */
        }
        note_writes(p, op, side);
    }
}

static void plan_free(g4_device *d, g4_plan *plan)
{
    struct split_device *s = (struct split_device *)(void *)d;
    struct split_plan *p = (struct split_plan *)(void *)plan;
    if (!p) return;
    for (int i = 0; i < 2; i++) {
        if (p->half[i].plan) s->part[i]->ops->plan_free(s->part[i], p->half[i].plan);
        free(p->half[i].ops);
    }
    free(p->writer);
    free(p->cross);
    free((void *)(uintptr_t)plan->desc.bufs);
    free(p);
}

static int make_halves(struct split_device *s, struct split_plan *p, struct g4_kv_store *kv, g4_err *err)
{
    if (s->cut == UNDECIDED) decide(s, &p->plan.desc, kv ? &kv->desc : NULL);
    if (s->cut && !s->part[CPU]) {
        struct g4_device_params own = s->p;
        own.which = "cpu";
        s->part[CPU] = g4_device_open(&own, err);
        if (!s->part[CPU]) return G4_ENOMEM;
        s->dev.threads = s->part[CPU]->threads;
        snprintf(s->dev.info, sizeof s->dev.info, "%.40s + %.20s", s->part[GPU]->info, s->part[CPU]->info);
    }
    const int rc = kv_divide(s, &p->plan.desc, kv, err);
    if (rc) return rc;
    cut_ops(s, p, kv);
    for (int i = 0; i < 2; i++) {
        struct half *h = &p->half[i];
        g4_plan_desc own = p->plan.desc;
        own.ops = h->ops;
        own.n_op = h->n_op;
        if (!h->n_op) continue;
        h->plan = s->part[i]->ops->plan_new(s->part[i], &own, kv ? kv->part[i] : NULL, err);
        if (!h->plan) return err && err->code ? err->code : G4_ENOMEM;
    }
    return 0;
}

static g4_plan *plan_new(g4_device *d, const g4_plan_desc *desc, struct g4_kv_store *kv, g4_err *err)
{
    struct split_plan *p = g4_alloc(sizeof *p);
    p->plan.desc = *desc;
    p->plan.desc.bufs = g4_dup(desc->bufs, desc->n_buf * sizeof *desc->bufs);
    if (!make_halves((struct split_device *)(void *)d, p, kv, err)) return &p->plan;
    plan_free(d, &p->plan);
    return NULL;
}

static int plan_run(g4_device *d, g4_plan *plan, const g4_step_buf *step, g4_err *err)
{
    struct split_device *s = (struct split_device *)(void *)d;
    struct split_plan *p = (struct split_plan *)(void *)plan;
    const uint32_t rows[3] = { step->n_row, step->n_out, step->n_seq };
    for (int i = 0; i < 2; i++) {
        g4_device *part = s->part[i];
        for (uint32_t c = 0; i == GPU && c < p->n_cross; c++) {
            const uint32_t b = p->cross[c], n = rows[plan->desc.bufs[b].set];
            const float *x = s->part[CPU]->ops->buf_read(s->part[CPU], p->half[CPU].plan, b, n);
            const int rc = n ? part->ops->buf_write(part, p->half[GPU].plan, b, n, x, err) : 0;
            if (rc) return rc;
        }
        int rc = p->half[i].plan ? part->ops->plan_run(part, p->half[i].plan, step, err) : 0;
        if (!rc && p->half[i].plan) rc = part->ops->wait(part, err);
        if (rc) return rc;
    }
    return 0;
}

static const float *buf_read(g4_device *d, g4_plan *plan, uint32_t buf, uint32_t n)
{
    struct split_device *s = (struct split_device *)(void *)d;
    struct split_plan *p = (struct split_plan *)(void *)plan;
    const int side = p->writer[buf] == CPU && p->half[CPU].plan ? CPU : p->half[GPU].plan ? GPU : CPU;
    return s->part[side]->ops->buf_read(s->part[side], p->half[side].plan, buf, n);
}

static int buf_write(g4_device *d, g4_plan *plan, uint32_t buf, uint32_t n, const float *rows, g4_err *err)
{
    struct split_device *s = (struct split_device *)(void *)d;
    struct split_plan *p = (struct split_plan *)(void *)plan;
    for (int i = 0; i < 2; i++) {
        const int rc = p->half[i].plan ? s->part[i]->ops->buf_write(s->part[i], p->half[i].plan, buf, n, rows, err) : 0;
        if (rc) return rc;
    }
    return 0;
}

/* ---- the device -------------------------------------------------------------------------- */

static int weight(g4_device *d, g4_weight *w, g4_err *err)
{
    struct split_device *s = (struct split_device *)(void *)d;
    return s->part[GPU]->ops->weight(s->part[GPU], w, err);
}

static int wait_done(g4_device *d, g4_err *err)
{
    return 0; /* plan_run waited */
}

static struct g4_device_room room(g4_device *d)
{
    struct split_device *s = (struct split_device *)(void *)d;
    return s->part[GPU]->ops->room(s->part[GPU]);
}

static uint64_t weight_bytes(g4_device *d, const g4_weight *w)
{
    struct split_device *s = (struct split_device *)(void *)d;
    return s->part[GPU]->ops->weight_bytes(s->part[GPU], w);
}

static void split_close(g4_device *d)
{
    struct split_device *s = (struct split_device *)(void *)d;
    g4_device_close(s->part[GPU]);
    g4_device_close(s->part[CPU]);
    free(s);
}

static const struct g4_device_ops split_ops = {
    .name = "split", .close = split_close, .weight = weight, .kv_new = kv_new, .kv_free = kv_free, .kv_copy = kv_copy, .plan_new = plan_new,
    .plan_free = plan_free, .plan_run = plan_run, .wait = wait_done, .buf_read = buf_read, .buf_write = buf_write, .room = room,
    .weight_bytes = weight_bytes,
};

g4_device *g4_split_open(g4_device *gpu, const struct g4_device_params *p)
{
    struct split_device *s = g4_alloc(sizeof *s);
    s->dev.ops = &split_ops;
    s->dev.threads = gpu->threads;
    snprintf(s->dev.info, sizeof s->dev.info, "%s", gpu->info);
    s->part[GPU] = gpu;
    s->p = *p;
    s->p.which = NULL;
    s->layers = (int32_t)p->gpu_layers - 1;
    s->cut = UNDECIDED;
    return &s->dev;
}
