/* device/vulkan/vk: what the files of the Vulkan device share.
 *
 * A plan is a list of dispatches.  Each op family (op_*.c) has a function that
 * turns one op into dispatches, once, when the plan is made: it asks for
 * pipelines, for weights in the layout its shader reads, and for scratch, and
 * calls g4_vk_dispatch.  plan.c records the list as a command buffer for a row
 * bucket the first time a step of that size comes and submits it again for every
 * later one; what differs between steps lies in the step buffer (shaders/args.h).
 *
 * Rows.  A dispatch runs over one range (ALL, OUT, SEQ, GEN, PROMPT).  Its grid's
 * y is ceil(rows of the bucket / tile): a bucket is at least the step's rows, so a
 * shader leaves when range_row() says so.  [lo, hi] limits a dispatch to buckets
 * of that many rows: kernels for 1, 2 to 8, 9 to 64 rows are dispatches of
 * one op with disjoint limits.  Buckets are 1, 2, 4, 8, 16, 32, 64, then
 * multiples of 64; a range without rows is not dispatched.
 *
 * Order.  A dispatch says what each binding is (weight, plan buffer, cache layer,
 * scratch) and whether it writes it; barriers follow from that.
 *
 * Memory.  Everything is sub-allocated from blocks of one VkBuffer each, aligned
 * to 256 bytes.  No binding is larger than caps.range: a weight comes as slices of
 * whole rows (of whole matrices for experts), one dispatch or more each, and so do
 * the rows of logits. */
#ifndef G4_DEVICE_VULKAN_VK_H
#define G4_DEVICE_VULKAN_VK_H

#include "base/str.h"
#include "device/device.h"
#include "device/vulkan/fn.h"
#include "shaders/args.h"

/* ---- the machine ---------------------------------------------------------- */

struct g4_vk_caps {            /* detected, then minus G4_VK_DISABLE */
    char name[256], driver[512]; /* "llvmpipe (LLVM 15.0.6, 256 bits)", "llvmpipe Mesa 22.3.6" */
    VkPhysicalDeviceType type;
    uint8_t uuid[16], driver_uuid[16], cache_uuid[16];
    uint32_t api;              /* version of the device or of the instance, the older one */
    uint32_t driver_version, vendor, device;
    VkDriverId driver_id;
    uint64_t heap;             /* bytes of the largest device-local heap; G4_VK_MEMORY=BYTES lowers it */
    uint32_t heap_index;
    uint64_t range;            /* largest binding; G4_VK_RANGE=BYTES lowers it (tests) */
    uint64_t alloc;            /* largest block */
    uint32_t shared;           /* bytes of shared memory a workgroup */
    uint32_t invocations;      /* largest workgroup */
    uint32_t queue;            /* family */
    float tick_ns;             /* of timestamps; 0: none */
    uint32_t subgroup, subgroup_min, subgroup_max;
    bool subgroup_ops;         /* "subgroup": arithmetic and shuffle in compute shaders, when asked for */
    bool subgroup_size;        /* "sgsize": required size and full subgroups */
    bool f16;                  /* "f16": arithmetic */
    bool int8, int16;          /* "int8", "int16": arithmetic */
    bool storage8, storage16;  /* "storage8", "storage16": buffers of such elements */
    bool dot, dot_accel;       /* "int8dot": integer dot product; dot_accel: 4x8 signed, accelerated */
    bool coopmat;              /* "coopmat": KHR, f16 x f16 + f32 at subgroup scope; kinds below */
    bool memory_model;         /* Vulkan memory model with device scope */
    bool budget;               /* memory budgets are told */
    bool portability;          /* VK_KHR_portability_subset, which must be enabled then */
    uint32_t mat_m, mat_n, mat_k; /* of the cooperative matrices; 0: none */
    char mat[256];             /* all kinds, for the feature line */
};

struct g4_vk;

/* Names of features, "fuse_resid" and the like: false when G4_VK_DISABLE lists the name; true when `stays` or
 * G4_VK_ENABLE lists it.  What stays by itself rests on nothing but what every device does alike: loads, stores,
 * arithmetic, barriers of a workgroup.  What rests on more, a feature of the device ("subgroup", "int8dot",
 * "coopmat"), the order between workgroups ("fuse_resid", "fuse_merge"), its registers ("sixteen"), stays off until
 * a run on hardware stands in tests/bench/RESULTS.md. */
bool g4_vk_switch(const char *name, bool stays);

/* ---- memory (memory.c) ---------------------------------------------------- */

enum g4_vk_place {
    G4_VK_DEVICE,              /* device memory */
    G4_VK_WRITE,               /* the host writes, the device reads: mapped, device-local where possible */
    G4_VK_READ,                /* the device writes, the host reads: mapped, cached where possible */
};

struct g4_vk_span {            /* part of a block */
    VkBuffer buf;
    VkDeviceSize at, size;
    uint8_t *host;             /* mapped address of `at`; NULL: not mapped */
};

struct g4_vk_arena {           /* {0} with place and step set is an empty one */
    enum g4_vk_place place;
    VkDeviceSize step;         /* least size of a block */
    struct g4_vk_block *blocks;
};

/* 256-byte aligned, with at least 256 bytes of slack behind it that may be read.
 * G4_ENOMEM when the device's budget does not hold it. */
int g4_vk_take(struct g4_vk *vk, struct g4_vk_arena *a, VkDeviceSize size, struct g4_vk_span *out, g4_err *err);
void g4_vk_arena_free(struct g4_vk *vk, struct g4_vk_arena *a);
uint64_t g4_vk_room(struct g4_vk *vk);  /* bytes of device memory that may still be taken */

/* ---- weights (weight.c), layouts (pack.c) --------------------------------- */

/* How a weight's rows lie on the device.  pack.c decides by type; a shader for
 * `type` reads rows of `row_bytes`, a multiple of 16. */
struct g4_vk_pack {
    g4_dtype type;             /* as the kernels see it; differs from the file's when re-encoded */
    uint32_t row_bytes;
    /* Rows [0, n) of src (row_bytes of the file apart) into dst. */
    void (*rows)(const g4_weight *w, const uint8_t *src, uint32_t n, uint8_t *dst, uint32_t row_bytes);
};
/* False when the type cannot be computed with. */
bool g4_vk_pack_for(const struct g4_vk *vk, const g4_weight *w, struct g4_vk_pack *out);

struct g4_vk_slice {
    struct g4_vk_span span;
    uint32_t row, n_row;       /* rows [row, row + n_row) of the n * rows stacked ones */
};

struct g4_vk_weight {
    const g4_weight *w;
    struct g4_vk_pack pack;
    struct g4_vk_slice *slices;
    uint32_t n_slice;
};

/* The weight on the device, uploaded at the first call.  Slices hold whole
 * matrices when w->n > 1. */
const struct g4_vk_weight *g4_vk_weight(struct g4_vk *vk, const g4_weight *w, g4_err *err);
/* Bytes that a host array takes there once; equal bytes are kept once. */
int g4_vk_const(struct g4_vk *vk, const void *p, size_t n, struct g4_vk_span *out, g4_err *err);

/* ---- pipelines (pipe.c) --------------------------------------------------- */

enum { G4_VK_SPECS = 16, G4_VK_BINDS = 12 };

/* What makes a pipeline.  Specialisation constant i takes spec[i]; by custom
 * constant 0 is local_size_x. */
struct g4_vk_pipe_key {
    const char *shader;        /* name of the source (shaders/NAME.comp) or of a variant (shaders/variants) */
    uint32_t n_spec;
    uint32_t spec[G4_VK_SPECS];
    uint32_t n_bind;           /* bindings besides the step */
    uint32_t args;             /* bytes of push constants */
    uint32_t subgroup;         /* required subgroup size, with full subgroups; 0: any */
};
struct g4_vk_pipe;             /* made when the first bucket that uses it is recorded */

/* Never NULL; a shader that does not exist is a bug of ours. */
struct g4_vk_pipe *g4_vk_pipe(struct g4_vk *vk, const struct g4_vk_pipe_key *key);
VkPipeline g4_vk_pipe_handle(const struct g4_vk_pipe *p);
VkPipelineLayout g4_vk_pipe_layout(const struct g4_vk_pipe *p);

/* ---- plans (plan.c) ------------------------------------------------------- */

/* What a binding is, for barriers: plan buffer b is b; the rest are numbered by
 * these.  G4_VK_CONST: nothing that runs in a plan ever writes it. */
enum { G4_VK_CONST = -1 };

/* What a step has besides rows. */
enum { G4_VK_PICK = 1, G4_VK_ADJUST = 2, G4_VK_PLAIN = 4 }; /* picks; some that change or mask logits; picks, none such */

struct g4_vk_bind {
    VkBuffer buf;
    VkDeviceSize at, size;
    int32_t res;               /* resource number; G4_VK_CONST */
    bool write;
};

struct g4_vk_grid {
    uint32_t x, z;             /* 0: 1 */
    uint8_t range;             /* G4_RANGE_*: y = ceil(rows / tile) */
    uint32_t tile;             /* 0: y is 1 */
    uint32_t lo, hi;           /* rows of the bucket this dispatch is for; hi 0: no upper end */
    uint32_t from, to;         /* rows of the range that it takes, `from` a multiple of the tile; to 0: all from there */
    uint32_t flag;             /* only in steps that have this (G4_VK_PICK and so on); 0: in all */
};

struct g4_vk_dispatch {
    const g4_op *op;           /* for messages and profiles */
    struct g4_vk_pipe *pipe;
    struct g4_vk_bind bind[G4_VK_BINDS]; /* bindings 1.. */
    uint32_t n_bind;
    const void *args;          /* copied */
    uint32_t n_args;           /* bytes */
    struct g4_vk_grid grid;
    double cost;               /* multiplications a row, roughly: prompt work is split by it; 0: next to nothing */
};

struct g4_vk_plan;
void g4_vk_dispatch(struct g4_vk_plan *p, const struct g4_vk_dispatch *d);

struct g4_vk *g4_vk_of(const struct g4_vk_plan *p);
const g4_plan_desc *g4_vk_desc(const struct g4_vk_plan *p);
const g4_kv_desc *g4_vk_kv(const struct g4_vk_plan *p); /* NULL: the plan has no cache */
/* Bindings: plan buffer b; a constant span; K (0) or V (1) of a cache layer. */
struct g4_vk_bind g4_vk_bind_buf(const struct g4_vk_plan *p, int b, bool write);
/* Rows of a buffer that a binding takes: a multiple of 64 unless it takes all; slice i of it, false behind the last. */
uint32_t g4_vk_slice_rows(const struct g4_vk_plan *p, int b);
bool g4_vk_bind_slice(const struct g4_vk_plan *p, int b, uint32_t i, bool write, struct g4_vk_bind *out);
struct g4_vk_bind g4_vk_bind_picks(const struct g4_vk_plan *p); /* results of PICK */
struct g4_vk_bind g4_vk_bind_const(const struct g4_vk_span *s);
struct g4_vk_bind g4_vk_bind_kv(const struct g4_vk_plan *p, uint32_t layer, uint32_t part, bool write);
/* A vector weight (F32) or, for NULL, any valid span. */
int g4_vk_bind_vector(struct g4_vk_plan *p, const g4_weight *w, struct g4_vk_bind *out, g4_err *err);
/* Scratch that holds nothing between ops; shared by all ops of the plan, `slot`
 * (0 to 3) telling apart what one op needs at once. */
int g4_vk_bind_scratch(struct g4_vk_plan *p, uint32_t slot, VkDeviceSize size, struct g4_vk_bind *out, g4_err *err);
/* n words that are zero when the plan is made; a dispatch that counts in them leaves them zero. */
int g4_vk_bind_counters(struct g4_vk_plan *p, uint32_t n, struct g4_vk_bind *out, g4_err *err);

/* Turns ops[0] (and, fused, some that follow) into dispatches; gives back how
 * many ops it took, 0 with err.  ops[0..n) are the rest of the plan. */
typedef int g4_vk_op_fn(struct g4_vk_plan *p, const g4_op *ops, uint32_t n, g4_err *err);
extern g4_vk_op_fn g4_vk_op_rows, g4_vk_op_resid, g4_vk_op_ple, g4_vk_op_heads, g4_vk_op_router, g4_vk_op_pool, g4_vk_op_pick;
/* RESID for the rows of one range. */
int g4_vk_resid(struct g4_vk_plan *p, const g4_op *op, uint32_t range, g4_err *err);
extern g4_vk_op_fn g4_vk_op_matmul;  /* MATMUL, GATED, GATED_PLE, LOGITS */
extern g4_vk_op_fn g4_vk_op_experts, g4_vk_op_attend;

/* K and V of a cache layer: [block][n_kv][32 keys][d_head], f16 or f32 as the
 * cache's type says (two f16 a word, the lower dimension in the low half). */
struct g4_vk_kv_layer {
    struct g4_vk_span part[2];
};

/* ---- the device ----------------------------------------------------------- */

struct g4_vk {
    g4_device dev;
    const struct g4_vk_fn *fn;
    struct g4_vk_caps caps;
    VkPhysicalDevice phys;
    VkDevice device;
    VkQueue queue;
    bool lost;
    struct g4_vk_inner *in;    /* what vulkan.c, memory.c, pipe.c keep */
};

g4_device *g4_vulkan_open(const struct g4_device_params *p, g4_err *err);
/* The devices as text, one a line; why there are none when verbose. */
void g4_vulkan_list(g4_str *out, bool verbose);
/* Whether the machine seems to have a GPU, without asking Vulkan: that takes tens of milliseconds. */
bool g4_vulkan_likely(void);

#endif
