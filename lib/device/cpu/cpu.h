/* device/cpu/cpu: the CPU device: a walker over the plan and a table of kernels
 * an instruction level, chosen at run time (G4_CPU=ref|avx2|avx512|neon forces).
 * The ref level is plain C in f32 throughout and is the reference (`-d ref`).
 *
 * A kernel works on a range of items of one op; items are independent and are
 * claimed by threads in any order.  An op is one to four phases (say: quantise
 * the input rows, then multiply); a phase starts when the one before is over. */
#ifndef G4_DEVICE_CPU_CPU_H
#define G4_DEVICE_CPU_CPU_H

#include "base/thread.h"
#include "device/device.h"

struct g4_kv_store {
    g4_kv_desc desc;
    g4_kv_layer *layers;       /* owned copy behind desc.layers */
    size_t block_bytes[2];
    size_t *layer_off;         /* [n_layer] byte offset of a layer inside a block of its pool */
    uint8_t *base[2];          /* pool memory, mapped without being touched */
    size_t map_bytes[2];
};

struct g4_cpu_plan;

struct g4_cpu_run {            /* one run of a plan, what kernels see */
    const struct g4_cpu_plan *plan;
    const g4_step_buf *step;
    struct g4_kv_store *kv;
    float *const *buf;         /* [n_buf] f32 [rows, cols] */
    const uint32_t *buf_cols;
    uint32_t n_rows[3];        /* rows of each set in this step */
    uint32_t n_thread;
    void *const *thread_scratch; /* [n_thread] scratch of at least scratch_bytes, 64-byte aligned */
    void *shared;              /* scratch all phases of one op share, sized by `shared_bytes` */
    bool fast_bf16;
};

struct g4_cpu_phase {
    uint32_t (*items)(const struct g4_cpu_run *run, const g4_op *op);
    void (*run)(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread);
};

enum { G4_CPU_PHASES = 4 };

struct g4_cpu_kernel {
    struct g4_cpu_phase phase[G4_CPU_PHASES]; /* run without: empty */
    /* bytes of scratch for rows rows; NULL: none */
    size_t (*thread_bytes)(const g4_op *op, const g4_plan_desc *desc);
    size_t (*shared_bytes)(const g4_op *op, const g4_plan_desc *desc);
};

struct g4_cpu_level {
    const char *name;          /* "ref", "avx2", "avx512", "neon" */
    bool (*usable)(void);      /* CPU and system can run it */
    /* The kernel for an op; never NULL (levels fall back to ref's where they have no own). */
    const struct g4_cpu_kernel *(*kernel)(const g4_op *op);
    /* How K and V lie inside a block of one layer is the level's affair too:
     * HEADS and ATTEND of one level belong together. */
};

extern const struct g4_cpu_level g4_cpu_ref;
#if defined(__x86_64__)
extern const struct g4_cpu_level g4_cpu_avx2, g4_cpu_avx512;
#elif defined(__aarch64__)
extern const struct g4_cpu_level g4_cpu_neon;
#endif

/* Sequence and position of row r of a set. */
static inline uint32_t g4_cpu_all_row(const struct g4_cpu_run *run, uint32_t set, uint32_t r)
{
    return set == G4_ROWS_OUT ? run->step->out_row[r] : r;
}

/* Bytes at which K (part 0) or V (part 1) of block b of a layer begins.  K and V
 * parts are each n_kv * 32 * d_head elements. */
static inline uint8_t *g4_cpu_kv_at(const struct g4_kv_store *kv, uint32_t layer, int32_t b, uint32_t part)
{
    const g4_kv_layer *l = &kv->layers[layer];
    const size_t part_bytes = (size_t)l->n_kv * G4_KV_BLOCK * l->d_head * (kv->desc.type == G4_F16 ? 2 : 4);
    return kv->base[l->pool] + (size_t)b * kv->block_bytes[l->pool] + kv->layer_off[layer] + part * part_bytes;
}

g4_device *g4_cpu_open(const struct g4_device_params *p, g4_err *err); /* which: "cpu" or "ref" */
void g4_cpu_list(g4_str *out, bool verbose);

#endif
