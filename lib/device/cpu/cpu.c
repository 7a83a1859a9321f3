/* device/cpu/cpu: see cpu.h.  Opens the device, owns KV memory and plan buffers,
 * and walks a plan: every phase of every op is one job of the pool.
 *
 * Memory is reserved for the largest step and costs pages only where a step
 * really wrote: all of it is mapped without being touched. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "device/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"

struct cpu_device {
    g4_device dev;
    g4_pool *pool;
    const struct g4_cpu_level *level;
    bool fast_bf16;
};

struct job {                   /* one phase of one op */
    const g4_op *op;
    const struct g4_cpu_phase *phase;
};

struct g4_cpu_plan {
    g4_plan plan;
    struct g4_kv_store *kv;
    struct job *jobs;
    uint32_t n_job;
    float **buf;               /* [n_buf] mapped */
    size_t *buf_bytes;
    uint32_t *buf_cols;
    void **scratch;            /* [threads] */
    size_t scratch_bytes;
    void *shared;
    size_t shared_bytes;
    uint32_t n_thread;
};

/* ---- levels -------------------------------------------------------------- */

static const struct g4_cpu_level *const levels[] = { /* the best first */
#if defined(__x86_64__)
    &g4_cpu_avx512, &g4_cpu_avx2,
#elif defined(__aarch64__)
    &g4_cpu_neon,
#endif
    &g4_cpu_ref,
};
enum { N_LEVEL = sizeof levels / sizeof *levels };

static const struct g4_cpu_level *choose_level(const char *forced, g4_err *err)
{
    for (size_t i = 0; i < N_LEVEL; i++) {
        if (forced && *forced && strcmp(forced, levels[i]->name)) continue;
        if (levels[i]->usable()) return levels[i];
        if (!forced || !*forced) continue;
        g4_fail(err, G4_EUSAGE, "this processor cannot run the level '%s' that G4_CPU asks for", forced);
        return NULL;
    }
    g4_fail(err, G4_EUSAGE, "unknown level '%s' in G4_CPU (ref%s)", forced ? forced : "",
#if defined(__x86_64__)
            ", avx2, avx512"
#elif defined(__aarch64__)
            ", neon"
#else
            ""
#endif
    );
    return NULL;
}

/* ---- memory -------------------------------------------------------------- */

static void *reserve(size_t n)
{
    if (!n) n = 1;
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void release(void *p, size_t n)
{
    if (p) munmap(p, n ? n : 1);
}

static void kv_free(g4_device *d, struct g4_kv_store *kv)
{
    (void)d;
    if (!kv) return;
    for (int pool = 0; pool < 2; pool++) release(kv->base[pool], kv->map_bytes[pool]);
    free(kv->layers);
    free(kv->layer_off);
    free(kv);
}

static struct g4_kv_store *kv_new(g4_device *d, const g4_kv_desc *desc, g4_err *err)
{
    struct g4_kv_store *kv = g4_alloc(sizeof *kv);
    kv->desc = *desc;
    kv->layers = g4_dup(desc->layers, desc->n_layer * sizeof *desc->layers);
    kv->desc.layers = kv->layers;
    kv->layer_off = g4_alloc((desc->n_layer + 1) * sizeof *kv->layer_off);
    if (desc->type != G4_F16 && desc->type != G4_F32) {
        g4_fail(err, G4_EUNSUP, "the cache holds f16 or f32 keys and values");
        kv_free(d, kv);
        return NULL;
    }
    for (uint32_t i = 0; i < desc->n_layer; i++) { /* every layer's part is a multiple of 64 bytes */
        const g4_kv_layer *l = &kv->layers[i];
        kv->layer_off[i] = kv->block_bytes[l->pool];
        kv->block_bytes[l->pool] += (size_t)2 * l->n_kv * G4_KV_BLOCK * l->d_head * (desc->type == G4_F16 ? 2 : 4);
    }
    for (int pool = 0; pool < 2; pool++) { /* a vector behind the last key may be read, never used */
        if (!g4_size_mul(kv->block_bytes[pool], desc->n_block[pool], &kv->map_bytes[pool]) ||
            !g4_size_add(kv->map_bytes[pool], 64, &kv->map_bytes[pool]) ||
            !(kv->base[pool] = reserve(kv->map_bytes[pool]))) {
            g4_fail(err, G4_ENOMEM, "no address space for a cache of %u blocks", desc->n_block[pool]);
            kv_free(d, kv);
            return NULL;
        }
    }
    return kv;
}

static void kv_copy(g4_device *d, struct g4_kv_store *kv, uint32_t pool, int32_t from, int32_t to)
{
    (void)d;
    const size_t n = kv->block_bytes[pool];
    memcpy(kv->base[pool] + (size_t)to * n, kv->base[pool] + (size_t)from * n, n);
}

/* ---- plans --------------------------------------------------------------- */

static void plan_free(g4_device *d, g4_plan *plan)
{
    (void)d;
    if (!plan) return;
    struct g4_cpu_plan *p = (struct g4_cpu_plan *)(void *)plan;
    for (uint32_t i = 0; p->buf && i < plan->desc.n_buf; i++) release(p->buf[i], p->buf_bytes[i]);
    for (uint32_t i = 0; p->scratch && i < p->n_thread; i++) release(p->scratch[i], p->scratch_bytes);
    release(p->shared, p->shared_bytes);
    free(p->scratch);
    free(p->buf);
    free(p->buf_bytes);
    free(p->buf_cols);
    free(p->jobs);
    free((void *)(uintptr_t)plan->desc.bufs);
    free(p);
}

static bool make_buffers(struct g4_cpu_plan *p)
{
    const g4_plan_desc *desc = &p->plan.desc;
    p->buf = g4_alloc((desc->n_buf + 1) * sizeof *p->buf);
    p->buf_bytes = g4_alloc((desc->n_buf + 1) * sizeof *p->buf_bytes);
    p->buf_cols = g4_alloc((desc->n_buf + 1) * sizeof *p->buf_cols);
    for (uint32_t i = 0; i < desc->n_buf; i++) {
        const g4_buf_desc *b = &desc->bufs[i];
        p->buf_cols[i] = b->cols;
        /* a vector beyond the last row may be read by kernels, never used */
        p->buf_bytes[i] = (size_t)desc->max_rows[b->set] * b->cols * sizeof(float) + 64;
        if (!(p->buf[i] = reserve(p->buf_bytes[i]))) return false;
    }
    return true;
}

/* Lists the phases of all ops and makes the scratch that the greediest wants. */
static bool make_jobs(struct g4_cpu_plan *p, const struct g4_cpu_level *level)
{
    const g4_plan_desc *desc = &p->plan.desc;
    p->jobs = g4_alloc((G4_CPU_PHASES * (size_t)desc->n_op + 1) * sizeof *p->jobs);
    p->scratch_bytes = p->shared_bytes = 64;
    for (uint32_t i = 0; i < desc->n_op; i++) {
        const struct g4_cpu_kernel *k = level->kernel(&desc->ops[i]);
        for (int ph = 0; ph < G4_CPU_PHASES; ph++)
            if (k->phase[ph].run) p->jobs[p->n_job++] = (struct job){ &desc->ops[i], &k->phase[ph] };
        const size_t own = k->thread_bytes ? k->thread_bytes(&desc->ops[i], desc) : 0;
        const size_t all = k->shared_bytes ? k->shared_bytes(&desc->ops[i], desc) : 0;
        if (own > p->scratch_bytes) p->scratch_bytes = own;
        if (all > p->shared_bytes) p->shared_bytes = all;
    }
    p->scratch = g4_alloc(p->n_thread * sizeof *p->scratch);
    for (uint32_t t = 0; t < p->n_thread; t++)
        if (!(p->scratch[t] = reserve(p->scratch_bytes))) return false;
    return (p->shared = reserve(p->shared_bytes)) != NULL;
}

static g4_plan *plan_new(g4_device *d, const g4_plan_desc *desc, struct g4_kv_store *kv, g4_err *err)
{
    struct cpu_device *c = (struct cpu_device *)(void *)d;
    struct g4_cpu_plan *p = g4_alloc(sizeof *p);
    p->plan.desc = *desc;
    p->plan.desc.bufs = g4_dup(desc->bufs, desc->n_buf * sizeof *desc->bufs);
    p->kv = kv;
    p->n_thread = g4_pool_size(c->pool);
    if (!make_buffers(p) || !make_jobs(p, c->level)) {
        g4_fail(err, G4_ENOMEM, "no memory for activations of %u rows", desc->max_rows[G4_ROWS_ALL]);
        plan_free(d, &p->plan);
        return NULL;
    }
    return &p->plan;
}

struct walk {
    struct g4_cpu_run run;
    const struct job *jobs;
};

static uint32_t walk_items(void *arg, uint32_t job)
{
    const struct walk *w = arg;
    return w->jobs[job].phase->items(&w->run, w->jobs[job].op);
}

static void walk_run(void *arg, uint32_t job, uint32_t item, uint32_t thread)
{
    const struct walk *w = arg;
    w->jobs[job].phase->run(&w->run, w->jobs[job].op, item, thread);
}

static int plan_run(g4_device *d, g4_plan *plan, const g4_step_buf *step, g4_err *err)
{
    (void)err;
    struct cpu_device *c = (struct cpu_device *)(void *)d;
    struct g4_cpu_plan *p = (struct g4_cpu_plan *)(void *)plan;
    struct walk w = {
        .run = {
            .plan = p, .step = step, .kv = p->kv, .buf = p->buf, .buf_cols = p->buf_cols,
            .n_rows = { step->n_row, step->n_out, step->n_seq }, .n_thread = p->n_thread,
            .thread_scratch = p->scratch, .shared = p->shared, .fast_bf16 = c->fast_bf16,
        },
        .jobs = p->jobs,
    };
    const g4_pool_work work = { p->n_job, walk_items, walk_run, &w };
    g4_pool_run(c->pool, &work);
    return 0;
}

static const float *buf_read(g4_device *d, g4_plan *plan, uint32_t buf, uint32_t n)
{
    (void)d;
    (void)n;
    return ((struct g4_cpu_plan *)(void *)plan)->buf[buf];
}

static int buf_write(g4_device *d, g4_plan *plan, uint32_t buf, uint32_t n, const float *rows, g4_err *err)
{
    const struct g4_cpu_plan *p = (const struct g4_cpu_plan *)(void *)plan;
    memcpy(p->buf[buf], rows, (size_t)n * p->buf_cols[buf] * sizeof *rows);
    return 0;
}

static int prepare_weight(g4_device *d, g4_weight *w, g4_err *err)
{
    (void)d;
    const g4_dtype_info *t = g4_dtype_get(w->type);
    if (!t || !t->decode) return g4_fail(err, G4_EUNSUP, "tensor '%s' has a type that cannot be computed with", w->name ? w->name : "");
    return 0; /* used as it lies in the mapping */
}

static int wait_done(g4_device *d, g4_err *err)
{
    (void)d;
    (void)err;
    return 0;
}

/* ---- the device ---------------------------------------------------------- */

static void cpu_close(g4_device *d)
{
    struct cpu_device *c = (struct cpu_device *)(void *)d;
    g4_pool_free(c->pool);
    free(c);
}

static const struct g4_device_ops cpu_ops = {
    .name = "cpu", .close = cpu_close, .weight = prepare_weight, .kv_new = kv_new, .kv_free = kv_free, .kv_copy = kv_copy,
    .plan_new = plan_new, .plan_free = plan_free, .plan_run = plan_run, .wait = wait_done, .buf_read = buf_read,
    .buf_write = buf_write,
};

g4_device *g4_cpu_open(const struct g4_device_params *p, g4_err *err)
{
    const bool ref = p->which && !strcmp(p->which, "ref");
    const struct g4_cpu_level *level = choose_level(ref ? "ref" : getenv("G4_CPU"), err);
    if (!level) return NULL;
    struct cpu_device *c = g4_alloc(sizeof *c);
    c->level = level;
    c->fast_bf16 = p->fast_bf16;
    c->pool = g4_pool_new(p->threads ? p->threads : g4_cpu_count(), err);
    if (!c->pool) {
        free(c);
        return NULL;
    }
    c->dev.ops = &cpu_ops;
    c->dev.threads = g4_pool_size(c->pool);
    snprintf(c->dev.info, sizeof c->dev.info, "%s%s", ref ? "" : "cpu ", level->name);
    return &c->dev;
}

/* The processor's name as the kernel tells it; "" when it does not. */
static void processor_name(char *out, size_t n)
{
    *out = 0;
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f) return;
    char line[256];
    while (!*out && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(out, n, "%s", colon + 1 + (colon[1] == ' '));
    }
    fclose(f);
}

/* What a level may use besides what it needs. */
static void extras(const struct g4_cpu_level *level, g4_str *out)
{
#if defined(__x86_64__)
    if (!strcmp(level->name, "avx512"))
        g4_str_adds(out, __builtin_cpu_supports("avx512bf16") ? " (vnni, bf16)" : " (vnni)");
#else
    (void)level;
    (void)out;
#endif
}

void g4_cpu_list(g4_str *out, bool verbose)
{
    char name[128];
    processor_name(name, sizeof name);
    const uint32_t n = g4_cpu_count();
    for (size_t i = 0; i + 1 < N_LEVEL; i++) {
        if (!levels[i]->usable()) continue;
        g4_str_addf(out, "cpu  %s%s%s", name, *name ? "  " : "", levels[i]->name);
        extras(levels[i], out);
        g4_str_addf(out, ", %u core%s\n", n, n == 1 ? "" : "s");
        if (!verbose) break; /* the one that is chosen */
    }
    g4_str_addf(out, "ref  plain C in f32, the reference, %u core%s\n", n, n == 1 ? "" : "s");
}
