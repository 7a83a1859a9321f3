/* device/vulkan/plan: a plan's buffers and its list of dispatches, and recording
 * that list for a row bucket.
 *
 * Barriers.  A dispatch that reads what one since the last barrier wrote, or
 * writes what one since then touched, gets a barrier before it; nothing else does.
 * Every command buffer begins with one (what earlier submissions wrote) and ends
 * with one (what the host will read).
 *
 * Submissions.  A command buffer ends where its estimated time passes SLICE, and a
 * dispatch that alone takes longer is cut along y, so that no submission comes
 * near a watchdog's limit.  The estimate is corrected by what runs took. */
#include "device/vulkan/impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TILE_ROWS = 64, WIDE = 65536, MOST_RECORDED = 32 };
static const double SLICE = 0.2; /* seconds */

struct g4_vk *g4_vk_of(const struct g4_vk_plan *p)
{
    return p->vk;
}

const g4_plan_desc *g4_vk_desc(const struct g4_vk_plan *p)
{
    return &p->plan.desc;
}

const g4_kv_desc *g4_vk_kv(const struct g4_vk_plan *p)
{
    return p->kv ? &p->kv->desc : NULL;
}

/* ---- bindings ------------------------------------------------------------------- */

struct g4_vk_bind g4_vk_bind_buf(const struct g4_vk_plan *p, int b, bool write)
{
    const struct g4_vk_span *s = &p->buf[b];
    return (struct g4_vk_bind){ s->buf, s->at, s->size, b, write };
}

uint32_t g4_vk_slice_rows(const struct g4_vk_plan *p, int b)
{
    const uint64_t row = (uint64_t)p->plan.desc.bufs[b].cols * sizeof(float), all = p->buf[b].size / row, fit = p->vk->caps.range / row;
    return (uint32_t)(fit < all ? fit / TILE_ROWS * TILE_ROWS : all);
}

bool g4_vk_bind_slice(const struct g4_vk_plan *p, int b, uint32_t i, bool write, struct g4_vk_bind *out)
{
    const struct g4_vk_span *s = &p->buf[b];
    const VkDeviceSize most = (VkDeviceSize)g4_vk_slice_rows(p, b) * p->plan.desc.bufs[b].cols * sizeof(float), at = i * most;
    if (at >= s->size) return false;
    *out = (struct g4_vk_bind){ s->buf, s->at + at, s->size - at < most ? s->size - at : most, b, write };
    return true;
}

struct g4_vk_bind g4_vk_bind_const(const struct g4_vk_span *s)
{
    return (struct g4_vk_bind){ s->buf, s->at, s->size, G4_VK_CONST, false };
}

static int32_t scratch_res(const struct g4_vk_plan *p, uint32_t slot)
{
    return (int32_t)(p->plan.desc.n_buf + slot);
}

struct g4_vk_bind g4_vk_bind_kv(const struct g4_vk_plan *p, uint32_t layer, uint32_t part, bool write)
{
    const struct g4_vk_span *s = &p->kv->at[layer].part[part];
    return (struct g4_vk_bind){ s->buf, s->at, s->size, scratch_res(p, G4_VK_SCRATCH) + 1 + (int32_t)(2 * layer + part), write };
}

struct g4_vk_bind g4_vk_bind_picks(const struct g4_vk_plan *p)
{
    return (struct g4_vk_bind){ p->picks.buf, p->picks.at, p->picks.size, scratch_res(p, G4_VK_SCRATCH), true };
}

int g4_vk_bind_vector(struct g4_vk_plan *p, const g4_weight *w, struct g4_vk_bind *out, g4_err *err)
{
    static const float nothing[64];
    struct g4_vk_span s;
    const int rc = g4_vk_const(p->vk, w ? (const void *)w->data : nothing, w ? w->cols * sizeof(float) : sizeof nothing, &s, err);
    *out = g4_vk_bind_const(&s);
    return rc;
}

/* The span is known when all ops are: g4_vk_plan_new fills it in. */
int g4_vk_bind_scratch(struct g4_vk_plan *p, uint32_t slot, VkDeviceSize size, struct g4_vk_bind *out, g4_err *err)
{
    if (size > p->vk->caps.range) return g4_fail(err, G4_ENOMEM, "scratch of %llu bytes cannot be bound on '%s'", (unsigned long long)size, p->vk->caps.name);
    if (size > p->scratch_size[slot]) p->scratch_size[slot] = size;
    *out = (struct g4_vk_bind){ VK_NULL_HANDLE, 0, size, scratch_res(p, slot), true };
    return 0;
}

int g4_vk_bind_counters(struct g4_vk_plan *p, uint32_t n, struct g4_vk_bind *out, g4_err *err)
{
    struct g4_vk_span s;
    void *zero = g4_alloc(n * sizeof(uint32_t));
    int rc = g4_vk_take(p->vk, &p->arena, n * sizeof(uint32_t), &s, err);
    if (!rc) rc = g4_vk_upload(p->vk, &s, 0, zero, n * sizeof(uint32_t), err);
    free(zero);
    *out = (struct g4_vk_bind){ s.buf, s.at, n * sizeof(uint32_t), scratch_res(p, G4_VK_SCRATCH - 1), true };
    return rc;
}

/* ---- making ----------------------------------------------------------------------- */

void g4_vk_dispatch(struct g4_vk_plan *p, const struct g4_vk_dispatch *d)
{
    if (p->n_list == p->cap_list) G4_GROW(p->list, p->cap_list, p->n_list + 1);
    struct g4_vk_dispatch *own = &p->list[p->n_list++];
    *own = *d;
    own->args = g4_dup(d->args, d->n_args ? d->n_args : 1);
}

static g4_vk_op_fn *op_fn(const g4_op *op)
{
    switch (op->kind) {
    case G4_OP_EMBED: case G4_OP_NORM: case G4_OP_ADD: case G4_OP_GATHER: case G4_OP_COPY: case G4_OP_L2NORM: return g4_vk_op_rows;
    case G4_OP_RESID: return g4_vk_op_resid;
    case G4_OP_PLE: return g4_vk_op_ple;
    case G4_OP_HEADS: return g4_vk_op_heads;
    case G4_OP_ROUTER: return g4_vk_op_router;
    case G4_OP_POOL: return g4_vk_op_pool;
    case G4_OP_PICK: return g4_vk_op_pick;
    case G4_OP_MATMUL: case G4_OP_GATED: case G4_OP_GATED_PLE: case G4_OP_LOGITS: return g4_vk_op_matmul;
    case G4_OP_ATTEND: return g4_vk_op_attend;
    case G4_OP_EXPERTS: return g4_vk_op_experts;
    default: return NULL;
    }
}

/* What the host does for some ops in every step. */
static int note_op(struct g4_vk_plan *p, const g4_op *op, g4_err *err)
{
    const uint32_t rows = p->plan.desc.max_rows[G4_ROWS_OUT];
    if (op->kind == G4_OP_EMBED) p->embed = op;
    if (op->kind == G4_OP_PLE && op->w[1]) p->ple = op;
    if (op->kind != G4_OP_PICK) return 0;
    p->pick_src = op->src;
    p->pick_cols = p->plan.desc.bufs[op->src].cols;
    p->pick_row = g4_alloc((rows + 1) * sizeof *p->pick_row);
    return g4_vk_take(p->vk, &p->read_arena, (rows + 1) * sizeof(struct g4_vk_picked), &p->picks, err);
}

/* Is all that touches buffer b bound in slices? */
static bool in_slices(const g4_plan_desc *d, int b)
{
    for (uint32_t i = 0; i < d->n_op; i++) {
        const g4_op *op = &d->ops[i];
        const bool sliced = op->set == G4_ROWS_OUT && (op->kind == G4_OP_LOGITS ? op->src != b : op->kind == G4_OP_PICK);
        const bool named = op->src == b || op->src2 == b || op->src3 == b || op->dst[0] == b || op->dst[1] == b || op->dst[2] == b || op->dst2 == b;
        if (named && !sliced) return false;
    }
    return true;
}

static int take_buffers(struct g4_vk_plan *p, g4_err *err)
{
    const g4_plan_desc *d = &p->plan.desc;
    p->buf = g4_alloc((d->n_buf + 1) * sizeof *p->buf);
    p->host = g4_alloc((d->n_buf + 1) * sizeof *p->host);
    for (uint32_t i = 0; i < d->n_buf; i++) {
        const g4_buf_desc *b = &d->bufs[i];
        uint64_t rows = d->max_rows[b->set] ? d->max_rows[b->set] : 1;
        if (b->cols < WIDE) rows = (rows + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS; /* tiles read whole */
        const VkDeviceSize size = rows * b->cols * sizeof(float);
        if (size > p->vk->caps.range && !(in_slices(d, (int)i) && p->vk->caps.range / sizeof(float) / b->cols >= TILE_ROWS))
            return g4_fail(err, G4_ENOMEM, "'%s' of %llu rows cannot be bound on '%s'; fewer rows a step help", b->name ? b->name : "",
                           (unsigned long long)rows, p->vk->caps.name);
        const int rc = g4_vk_take(p->vk, &p->arena, size, &p->buf[i], err);
        if (rc) return rc;
    }
    return 0;
}

static int prepare_ops(struct g4_vk_plan *p, g4_err *err)
{
    const g4_plan_desc *d = &p->plan.desc;
    for (uint32_t i = 0; i < d->n_op;) {
        g4_vk_op_fn *fn = op_fn(&d->ops[i]);
        if (!fn) return g4_fail(err, G4_EUNSUP, "op '%s' does not run on Vulkan", d->ops[i].tag ? d->ops[i].tag : "");
        if (note_op(p, &d->ops[i], err)) return G4_ENOMEM;
        const int taken = fn(p, &d->ops[i], d->n_op - i, err);
        if (taken <= 0) return err && err->code ? err->code : G4_EDEVICE;
        i += (uint32_t)taken;
    }
    return 0;
}

static int take_scratch(struct g4_vk_plan *p, g4_err *err)
{
    for (uint32_t s = 0; s < G4_VK_SCRATCH; s++) {
        const int rc = p->scratch_size[s] ? g4_vk_take(p->vk, &p->scratch_arena, p->scratch_size[s], &p->scratch[s], err) : 0;
        if (rc) return rc;
    }
    for (size_t i = 0; i < p->n_list; i++)
        for (uint32_t b = 0; b < p->list[i].n_bind; b++) {
            struct g4_vk_bind *x = &p->list[i].bind[b];
            if (x->buf) continue;
            const struct g4_vk_span *s = &p->scratch[x->res - scratch_res(p, 0)];
            x->buf = s->buf;
            x->at = s->at;
        }
    return 0;
}

static int make_sets(struct g4_vk_plan *p, g4_err *err)
{
    struct g4_vk *vk = p->vk;
    uint32_t buffers = 1;
    for (size_t i = 0; i < p->n_list; i++) buffers += p->list[i].n_bind + 1;
    const VkDescriptorPoolSize size = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, buffers };
    const VkDescriptorPoolCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = (uint32_t)p->n_list + 1,
                                              .poolSizeCount = 1, .pPoolSizes = &size };
    VkResult res = vk->fn->CreateDescriptorPool(vk->device, &info, NULL, &p->sets);
    p->set = g4_alloc((p->n_list + 1) * sizeof *p->set);
    for (size_t i = 0; i < p->n_list && !res; i++) {
        const struct g4_vk_dispatch *d = &p->list[i];
        VkDescriptorBufferInfo span[G4_VK_BINDS];
        const VkDescriptorSetLayout layout = g4_vk_set_layout(vk, d->n_bind);
        const VkDescriptorSetAllocateInfo one = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO, .descriptorPool = p->sets,
                                                  .descriptorSetCount = 1, .pSetLayouts = &layout };
        res = vk->fn->AllocateDescriptorSets(vk->device, &one, &p->set[i]);
        if (res || !d->n_bind) continue;
        for (uint32_t b = 0; b < d->n_bind; b++) span[b] = (VkDescriptorBufferInfo){ d->bind[b].buf, d->bind[b].at, d->bind[b].size };
        const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .dstSet = p->set[i], .dstBinding = 1,
                                             .descriptorCount = d->n_bind, .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, .pBufferInfo = span };
        /* bindings 1.. have one descriptor each: the write runs on over them */
        vk->fn->UpdateDescriptorSets(vk->device, 1, &write, 0, NULL);
    }
    return res ? g4_vk_fail(vk, res, "binding buffers", err) : 0;
}

static void forget(struct g4_vk_plan *p, struct g4_vk_recorded *r)
{
    if (r->n && !p->vk->lost) p->vk->fn->FreeCommandBuffers(p->vk->device, p->pool, r->n, r->cb);
    free(r->cb);
    free(r);
}

static void forget_all(struct g4_vk_plan *p)
{
    while (p->recorded) {
        struct g4_vk_recorded *r = p->recorded;
        p->recorded = r->next;
        forget(p, r);
    }
    p->n_recorded = 0;
}

void g4_vk_plan_rebind(struct g4_vk_plan *p)
{
    forget_all(p);
    const VkDescriptorBufferInfo step = { p->step.buf, p->step.at, p->step.size };
    for (size_t i = 0; i < p->n_list; i++) {
        const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .dstSet = p->set[i], .descriptorCount = 1,
                                             .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, .pBufferInfo = &step };
        p->vk->fn->UpdateDescriptorSets(p->vk->device, 1, &write, 0, NULL);
    }
}

void g4_vk_plan_free(g4_device *d, g4_plan *plan)
{
    if (!plan) return;
    struct g4_vk_plan *p = (struct g4_vk_plan *)(void *)plan;
    struct g4_vk *vk = p->vk;
    g4_vk_wait(vk, NULL);
    forget_all(p);
    if (!vk->lost) {
        vk->fn->DestroyCommandPool(vk->device, p->pool, NULL);
        vk->fn->DestroyDescriptorPool(vk->device, p->sets, NULL);
    }
    g4_vk_arena_free(vk, &p->arena);
    g4_vk_arena_free(vk, &p->scratch_arena);
    g4_vk_arena_free(vk, &p->step_arena);
    g4_vk_arena_free(vk, &p->read_arena);
    for (size_t i = 0; i < p->n_list; i++) free((void *)(uintptr_t)p->list[i].args);
    for (uint32_t i = 0; p->host && i < plan->desc.n_buf; i++) free(p->host[i]);
    for (uint32_t i = 0; p->pick_row && i < plan->desc.max_rows[G4_ROWS_OUT]; i++) free(p->pick_row[i]);
    free(p->pick_row);
    free(p->words);
    free(p->host);
    free(p->buf);
    free(p->list);
    free(p->set);
    free((void *)(uintptr_t)plan->desc.bufs);
    free(p);
}

static int make_plan(struct g4_vk_plan *p, g4_err *err)
{
    struct g4_vk *vk = p->vk;
    const VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, .queueFamilyIndex = vk->caps.queue };
    const VkResult res = vk->fn->CreateCommandPool(vk->device, &pool, NULL, &p->pool);
    if (res) return g4_vk_fail(vk, res, "making a plan", err);
    int rc = take_buffers(p, err);
    if (!rc) rc = prepare_ops(p, err);
    if (!rc) rc = take_scratch(p, err);
    return rc ? rc : make_sets(p, err);
}

g4_plan *g4_vk_plan_new(g4_device *d, const g4_plan_desc *desc, struct g4_kv_store *kv, g4_err *err)
{
    struct g4_vk_plan *p = g4_alloc(sizeof *p);
    p->vk = (struct g4_vk *)(void *)d;
    p->kv = kv;
    p->plan.desc = *desc;
    p->plan.desc.bufs = g4_dup(desc->bufs, desc->n_buf * sizeof *desc->bufs);
    p->arena = p->scratch_arena = (struct g4_vk_arena){ .place = G4_VK_DEVICE, .step = 4 << 20 };
    p->step_arena = (struct g4_vk_arena){ .place = G4_VK_WRITE };
    p->read_arena = (struct g4_vk_arena){ .place = G4_VK_READ };
    p->pick_src = -1;
    if (!make_plan(p, err)) return &p->plan;
    g4_vk_plan_free(d, &p->plan);
    return NULL;
}

/* ---- recording ------------------------------------------------------------------------ */

struct recorder {
    struct g4_vk_plan *p;
    struct g4_vk_recorded *r;
    VkCommandBuffer cb;
    uint8_t *touched;          /* [resources] since the last barrier: 1 read, 2 written */
    size_t n_res;
    VkPipeline bound;
    double cost, most;         /* of this command buffer; what it may be */
    VkResult res;
};

static void barrier(struct recorder *c, VkPipelineStageFlags from, VkPipelineStageFlags to, VkAccessFlags wrote, VkAccessFlags next)
{
    const VkMemoryBarrier all = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = wrote, .dstAccessMask = next };
    c->p->vk->fn->CmdPipelineBarrier(c->cb, from, to, 0, 1, &all, 0, NULL, 0, NULL);
    memset(c->touched, 0, c->n_res);
}

static void begin(struct recorder *c)
{
    struct g4_vk *vk = c->p->vk;
    const VkCommandBufferAllocateInfo one = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = c->p->pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY, .commandBufferCount = 1 };
    const VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
    c->cost = 0;
    c->bound = VK_NULL_HANDLE;
    c->res = vk->fn->AllocateCommandBuffers(vk->device, &one, &c->cb);
    if (c->res) return;
    c->r->cb = g4_realloc(c->r->cb, (c->r->n + 1) * sizeof *c->r->cb);
    c->r->cb[c->r->n++] = c->cb;
    c->res = vk->fn->BeginCommandBuffer(c->cb, &info);
    if (c->res) return;
    barrier(c, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_MEMORY_WRITE_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

static void end(struct recorder *c)
{
    if (c->res) return;
    barrier(c, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
            VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT);
    c->res = c->p->vk->fn->EndCommandBuffer(c->cb);
}

/* A barrier where this dispatch meets what was touched since the last one. */
static void order(struct recorder *c, const struct g4_vk_dispatch *d)
{
    bool clash = false;
    for (uint32_t i = 0; i < d->n_bind; i++)
        if (d->bind[i].res >= 0) clash = clash || (d->bind[i].write ? c->touched[d->bind[i].res] : c->touched[d->bind[i].res] & 2);
    if (clash)
        barrier(c, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

static void touch(struct recorder *c, const struct g4_vk_dispatch *d)
{
    for (uint32_t i = 0; i < d->n_bind; i++)
        if (d->bind[i].res >= 0) c->touched[d->bind[i].res] |= d->bind[i].write ? 2 : 1;
}

static void bind(struct recorder *c, size_t at)
{
    const struct g4_vk_dispatch *d = &c->p->list[at];
    const struct g4_vk_fn *fn = c->p->vk->fn;
    const VkPipeline pipe = g4_vk_pipe_handle(d->pipe);
    const VkPipelineLayout layout = g4_vk_pipe_layout(d->pipe);
    if (pipe != c->bound) fn->CmdBindPipeline(c->cb, VK_PIPELINE_BIND_POINT_COMPUTE, pipe);
    c->bound = pipe;
    fn->CmdBindDescriptorSets(c->cb, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &c->p->set[at], 0, NULL);
    if (d->n_args) fn->CmdPushConstants(c->cb, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, d->n_args, d->args);
}

/* Is dispatch `at` one of a bucket's? */
static bool taken(const struct g4_vk_dispatch *d, const uint32_t bucket[G4_RANGE_N], uint32_t flags)
{
    const uint32_t rows = bucket[d->grid.range];
    return rows > d->grid.from && rows >= d->grid.lo && (!d->grid.hi || rows <= d->grid.hi) && (!d->grid.flag || (flags & d->grid.flag));
}

/* One dispatch, in as many pieces along y, each in its own command buffer, as its cost asks for. */
static void record(struct recorder *c, size_t at)
{
    const struct g4_vk_dispatch *d = &c->p->list[at];
    const uint32_t all = c->r->rows[d->grid.range], rows = (d->grid.to && d->grid.to < all ? d->grid.to : all) - d->grid.from;
    const uint32_t x = d->grid.x ? d->grid.x : 1, z = d->grid.z ? d->grid.z : 1, y = d->grid.tile ? (rows + d->grid.tile - 1) / d->grid.tile : 1;
    const uint32_t y0 = d->grid.tile ? d->grid.from / d->grid.tile : 0;
    const double cost = d->cost * rows;
    uint32_t pieces = cost > c->most ? (uint32_t)(cost / c->most) + 1 : 1;
    if (pieces > y) pieces = y;
    for (uint32_t i = 0; i < pieces && !c->res; i++) {
        const uint32_t from = (uint32_t)((uint64_t)y * i / pieces), to = (uint32_t)((uint64_t)y * (i + 1) / pieces);
        if (c->cost > 0 && c->cost + cost / pieces > c->most) {
            end(c);
            begin(c);
            if (c->res) return;
        }
        if (!i) order(c, d); /* pieces do not wait for each other, but what follows waits for the last one too */
        touch(c, d);
        bind(c, at);
        if (y0 + from) c->p->vk->fn->CmdDispatchBase(c->cb, 0, y0 + from, 0, x, to - from, z);
        else c->p->vk->fn->CmdDispatch(c->cb, x, to, z);
        c->cost += cost / pieces;
        c->r->cost += cost / pieces;
    }
}

static struct g4_vk_recorded *record_all(struct g4_vk_plan *p, const uint32_t rows[G4_RANGE_N], uint32_t flags, g4_err *err)
{
    for (size_t i = 0; i < p->n_list; i++) /* the pipelines of this bucket alone: start-up is short */
        if (taken(&p->list[i], rows, flags)) g4_vk_pipe_want(p->list[i].pipe);
    if (g4_vk_pipes_make(p->vk, err)) return NULL;
    struct g4_vk_recorded *r = g4_alloc(sizeof *r);
    memcpy(r->rows, rows, sizeof r->rows);
    r->flags = flags;
    struct recorder c = { .p = p, .r = r, .most = p->vk->in->rate * SLICE };
    c.n_res = p->plan.desc.n_buf + G4_VK_SCRATCH + 1 + (p->kv ? 2 * p->kv->desc.n_layer : 0);
    c.touched = g4_alloc(c.n_res);
    begin(&c);
    for (size_t i = 0; i < p->n_list && !c.res; i++)
        if (taken(&p->list[i], rows, flags)) record(&c, i);
    end(&c);
    free(c.touched);
    if (!c.res) return r;
    g4_vk_fail(p->vk, c.res, "recording", err);
    forget(p, r);
    return NULL;
}

/* Buckets: powers of two up to 64, then multiples of 64. */
static uint32_t bucket(uint32_t n)
{
    uint32_t b = 1;
    if (n > TILE_ROWS) return (n + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    while (b < n) b *= 2;
    return n ? b : 0;
}

static void evict(struct g4_vk_plan *p)
{
    struct g4_vk_recorded **old = &p->recorded;
    for (struct g4_vk_recorded **r = &p->recorded; *r; r = &(*r)->next)
        if ((*r)->last < (*old)->last) old = r;
    struct g4_vk_recorded *gone = *old;
    *old = gone->next;
    forget(p, gone);
    p->n_recorded--;
}

static struct g4_vk_recorded *recorded_for(struct g4_vk_plan *p, const uint32_t n[G4_RANGE_N], uint32_t flags, g4_err *err)
{
    uint32_t rows[G4_RANGE_N];
    for (int i = 0; i < G4_RANGE_N; i++) rows[i] = bucket(n[i]);
    for (struct g4_vk_recorded *r = p->recorded; r; r = r->next)
        if (!memcmp(r->rows, rows, sizeof rows) && r->flags == flags) return r;
    if (p->n_recorded == MOST_RECORDED) evict(p);
    struct g4_vk_recorded *r = record_all(p, rows, flags, err);
    if (!r) return NULL;
    r->next = p->recorded;
    p->recorded = r;
    p->n_recorded++;
    return r;
}

/* Corrects the estimate by what a run took: down at once, up slowly.  A bucket whose submissions ran much longer
 * than they may is recorded anew. */
static void learn(struct g4_vk_plan *p, struct g4_vk_recorded *r, double seconds)
{
    struct g4_vk_inner *in = p->vk->in;
    if (r->cost < in->rate * 0.01 || seconds <= 0) return; /* too little to tell */
    const double seen = r->cost / seconds;
    in->rate = seen < in->rate ? seen : in->rate + (seen - in->rate) / 8;
    if (seconds / r->n < 3 * SLICE) return;
    struct g4_vk_recorded **at = &p->recorded;
    while (*at != r) at = &(*at)->next;
    *at = r->next;
    p->n_recorded--;
    forget(p, r);
}

int g4_vk_plan_run(g4_device *d, g4_plan *plan, const g4_step_buf *step, g4_err *err)
{
    struct g4_vk_plan *p = (struct g4_vk_plan *)(void *)plan;
    uint32_t rows[G4_RANGE_N], flags = 0;
    int rc = g4_vk_wait(p->vk, err);
    if (!rc) rc = g4_vk_kv_flush(p->vk, p->kv, err);
    if (!rc) rc = g4_vk_step_pack(p, step, rows, &flags, err);
    if (rc) return rc;
    struct g4_vk_recorded *r = recorded_for(p, rows, flags, err);
    if (!r) return err && err->code ? err->code : G4_EDEVICE;
    const double begin = g4_vk_seconds();
    for (uint32_t i = 0; i < r->n && !rc; i++) rc = g4_vk_submit(p->vk, &r->cb[i], 1, err);
    r->last = p->vk->in->submitted;
    if (!rc) rc = g4_vk_wait(p->vk, err);
    if (!rc) learn(p, r, g4_vk_seconds() - begin);
    return rc ? rc : g4_vk_picks_take(p, step, err);
}

const float *g4_vk_buf_read(g4_device *d, g4_plan *plan, uint32_t buf, uint32_t n)
{
    struct g4_vk_plan *p = (struct g4_vk_plan *)(void *)plan;
    const g4_buf_desc *b = &plan->desc.bufs[buf];
    const size_t all = (size_t)(plan->desc.max_rows[b->set] ? plan->desc.max_rows[b->set] : 1) * b->cols * sizeof(float);
    if (!p->host[buf]) p->host[buf] = g4_alloc(all);
    if (n && !p->vk->lost) g4_vk_download(p->vk, p->host[buf], &p->buf[buf], 0, (VkDeviceSize)n * b->cols * sizeof(float), NULL);
    return p->host[buf];
}

int g4_vk_buf_write(g4_device *d, g4_plan *plan, uint32_t buf, uint32_t n, const float *rows, g4_err *err)
{
    struct g4_vk_plan *p = (struct g4_vk_plan *)(void *)plan;
    return g4_vk_upload(p->vk, &p->buf[buf], 0, rows, (VkDeviceSize)n * plan->desc.bufs[buf].cols * sizeof(float), err);
}
