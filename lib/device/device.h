/* device/device: plans, ops, buffers, and the choice of a device.  Knows nothing
 * of models or file formats.
 *
 * A model emits its network once as a plan: an array of op descriptors over
 * activation buffers of fixed width.  Everything that changes from step to step
 * (ids, positions, block tables, which rows matter) lies in the step.  A device
 * prepares a plan once (may fuse, record) and runs it many times.
 *
 * Row sets.  ALL: every row of the step.  OUT: the rows whose logits (or hidden
 * state) somebody wants, a subset in ascending order; layers that own no KV run
 * on OUT only (G4_OP_GATHER changes the set).  SEQ: one row a sequence (pooling).
 * Every op works row by row: what it computes for a row depends on that row (and
 * for attention on its own sequence's cache) alone, bit for bit; nothing is split
 * by the number of rows or threads.
 *
 * Buffers are f32, [rows of their set, cols], row-major, owned by the plan.
 * dst may alias src only where an op says so. */
#ifndef G4_DEVICE_DEVICE_H
#define G4_DEVICE_DEVICE_H

#include "base/dtype.h"
#include "base/err.h"
#include "base/str.h"

/* A weight matrix [n][rows][cols] as it lies in the file; vectors have rows = 1
 * and are F32 (the model converts what is not).  data is borrowed. */
typedef struct g4_weight {
    g4_dtype type;
    uint32_t cols;        /* input features, contiguous */
    uint32_t rows;        /* output features */
    uint32_t n;           /* stacked matrices (experts); 1 otherwise */
    size_t row_bytes;
    const uint8_t *data;
    void *dev;            /* the device's own handle or copy; NULL until prepared */
    const char *name;     /* for messages */
} g4_weight;

enum g4_row_set { G4_ROWS_ALL, G4_ROWS_OUT, G4_ROWS_SEQ };

enum g4_op_kind {
    G4_OP_EMBED = 1,  /* dst[r] = w[0][id[r]] * alpha; rows with id < 0 take step->vec[r] unscaled */
    G4_OP_MATMUL,     /* dst[i][r] = alpha * w[i] src[r], i < n_w <= 3 (q, k, v of one input) */
    G4_OP_GATED,      /* dst[r] = gelu(w[0] src[r]) * (w[1] src[r]); gelu is the tanh form everywhere */
    G4_OP_GATED_PLE,  /* dst[r] = gelu(w[0] src[r]) * src2[r][off : off + cols of dst] */
    G4_OP_PLE,        /* per-layer inputs, in slices of `dim`: dst[r] = rms(src[r] slice) * w[0];
                       * with w[1] (table): dst[r] = (that + w[1][id[r]] * alpha) * beta.  id < 0 takes row 0 */
    G4_OP_HEADS,      /* per head, in place: buffers q = src, k = src2, v = src3 (k, v -1: not owned; v = k's
                       * buffer: V is made of the raw K projection).
                       * q = rope(rms(q) * w[0]); k = rope(rms(k) * w[1]); v = rms(v) when v_norm.
                       * w NULL: no norm.  Then k and v are stored in layer kv_layer of the cache.  */
    G4_OP_ATTEND,     /* dst[r] = softmax(softcap(q . K * alpha)) V over visible keys; q = src */
    G4_OP_NORM,       /* dst[r] = rms(src[r]) * w[0] (w NULL: plain); dst may be src */
    G4_OP_RESID,      /* x = dst: x[r] = (x[r] + (w[0] ? rms(src[r]) * w[0] : src[r])) * alpha;
                       * then with dst2 >= 0: dst2[r] = rms(x[r]) * w[1] */
    G4_OP_ADD,        /* dst[r] = src[r] + src2[r]; dst may be either */
    G4_OP_ROUTER,     /* z = rms(src[r]) * w[1] * alpha; p = softmax(w[0] z); the k largest (ties: lower
                       * expert), renormalised, times w[2][expert].  dst[r] = k expert numbers as f32, then k factors,
                       * experts ascending */
    G4_OP_EXPERTS,    /* dst[r] = sum over chosen e, ascending, of factor * w[2]_e (gelu(w[0]_e src[r]) * (w[1]_e src[r]));
                       * src2 = router's dst.  w[1] NULL: w[0] holds gate rows then up rows */
    G4_OP_GATHER,     /* dst[OUT i] = src[ALL out_row[i]] */
    G4_OP_COPY,       /* dst = src (same set) */
    G4_OP_LOGITS,     /* dst[r] = cap * tanh(w[0] src[r] / cap); cap = 0: none */
    G4_OP_POOL,       /* dst[SEQ s] = mean of src over the rows of sequence s */
    G4_OP_L2NORM,     /* dst[r] = src[r] / |src[r]|; dst may be src */
    G4_OP_PICK,       /* reads logits src, fills step->pick (below); always last when present */
    G4_OP_END
};

typedef struct g4_op {
    uint8_t kind;
    uint8_t set;            /* enum g4_row_set of the rows it works on (GATHER, POOL: of dst) */
    uint8_t n_w;
    int16_t src, src2, src3;
    int16_t dst[3], dst2;   /* buffer numbers; -1: none */
    const g4_weight *w[3];
    float alpha, beta, eps;
    uint32_t off, dim;
    /* HEADS, ATTEND */
    uint32_t n_head, n_kv, d_head;
    int32_t kv_layer;       /* layer number in the cache description; ATTEND: the donor's */
    bool v_norm, causal;
    uint32_t window;        /* causal: keys p - j < window; else |p - j| <= window; 0: all */
    float softcap;
    const float *freq;      /* [d_head/2] f32: angle of pair i = position * freq[i]; NULL: no rope */
    /* ROUTER, EXPERTS */
    uint32_t n_expert, k_expert, d_expert;
    int32_t layer;          /* for profiles and messages; -1: outside the layers */
    const char *tag;        /* "attn_q", ...: for profiles */
} g4_op;

typedef struct g4_buf_desc {
    uint32_t cols;
    uint8_t set;
    const char *name;
} g4_buf_desc;

typedef struct g4_plan_desc {
    const g4_op *ops;          /* kept by the plan: must outlive it */
    uint32_t n_op;
    const g4_buf_desc *bufs;
    uint32_t n_buf;
    uint32_t max_rows[3];      /* capacity of each set */
    uint32_t n_expert_max;
} g4_plan_desc;

/* ---- KV cache storage ---------------------------------------------------
 * Two pools of blocks of 32 keys: pool 0 for global layers, pool 1 for local
 * ones.  A block of a pool holds those 32 keys of every layer of the pool.
 * How it lies in memory is the device's affair. */
enum { G4_KV_BLOCK = 32 };

typedef struct g4_kv_layer {
    uint8_t pool;              /* 0 global, 1 local */
    uint32_t n_kv, d_head;
} g4_kv_layer;

typedef struct g4_kv_desc {
    const g4_kv_layer *layers; /* [n_layer]: the layers that own KV, in order */
    uint32_t n_layer;
    uint32_t n_block[2];       /* capacity of each pool */
    g4_dtype type;             /* G4_F16 or G4_F32 */
} g4_kv_desc;

/* ---- the step ----------------------------------------------------------- */

typedef struct g4_step_seq {
    const int32_t *table[2];   /* pool -> block of keys [32 b, 32 b + 32), -1: not held */
    uint32_t n_key;            /* keys stored once this step's rows are (causal: highest position + 1) */
    bool prompt;               /* its rows are prompt rows, which stand behind all generated ones: a device may run
                                * other kernels over them, whose results agree within a tolerance only */
} g4_step_seq;

typedef struct g4_logit_adj {  /* sparse change of one logit, applied before anything is picked */
    int32_t id;
    float rep;                 /* l > 0 ? l / rep : l * rep; 1: nothing */
    float add;                 /* may be -INFINITY */
} g4_logit_adj;

typedef struct g4_pick {       /* one OUT row */
    /* in */
    const uint32_t *allow;     /* bit i set: id i is allowed; NULL: all */
    const g4_logit_adj *adj;
    uint32_t n_adj;
    uint32_t k;                /* how many of the largest are wanted, <= G4_PICK_MAX */
    int32_t want_id;           /* also the logit of this id, before adj; -1: none */
    bool want_row;             /* also the whole row (host memory, after adj and mask) */
    /* out */
    int32_t top_id[256];       /* largest first, ties: the lower id first */
    float top_logit[256];
    uint32_t n_top;
    float lse;                 /* log of the sum of exp over what is allowed, after adj */
    float lse_raw;             /* the same over all ids before adj */
    float want_logit;
    const float *row;          /* [n_vocab], valid until the next run */
} g4_pick;
enum { G4_PICK_MAX = 256 };

typedef struct g4_step_buf {
    uint32_t n_row;            /* set ALL; rows of a sequence stand together, positions ascending */
    const int32_t *id;         /* [n_row]; -1: vec */
    const float *const *vec;   /* [n_row] or NULL; rows of d_model */
    const uint32_t *pos;       /* [n_row] */
    const uint32_t *seq;       /* [n_row] index into seqs */
    const uint32_t *group;     /* [n_row] attention group (media: rows of one group see each other on local layers); 0: none; NULL: none */
    uint32_t n_out;            /* set OUT */
    const uint32_t *out_row;   /* [n_out] ascending rows of ALL */
    uint32_t n_seq;            /* set SEQ */
    const g4_step_seq *seqs;
    g4_pick *pick;             /* [n_out]; NULL: the plan has no PICK or nothing is wanted */
} g4_step_buf;

/* ---- devices ------------------------------------------------------------ */

typedef struct g4_device g4_device;
typedef struct g4_plan g4_plan;
struct g4_kv_store; /* a device's KV memory */

struct g4_device_params {
    const char *which;         /* "auto" or NULL, "cpu", "ref", "vulkan[:N|:NAME|:UUID]" */
    uint32_t threads;
    bool fast_bf16;
    bool may_split;            /* a model that does not fit a GPU's memory may run on the CPU in part (device/split) */
    uint32_t gpu_layers;       /* 0: as many layers on the GPU as fit; N + 1: the last N */
};

struct g4_device_room {        /* a device's own memory */
    uint64_t bytes;            /* that may still be taken */
    uint64_t binding;          /* most of it that K or V of one layer may be */
};

struct g4_device_ops {
    const char *name;
    void (*close)(g4_device *d);
    /* Makes a weight usable (upload, or nothing).  Called once a weight. */
    int (*weight)(g4_device *d, g4_weight *w, g4_err *err);
    /* kv_new: the description is copied.  Every store begins with a g4_kv_desc. */
    struct g4_kv_store *(*kv_new)(g4_device *d, const g4_kv_desc *desc, g4_err *err);
    void (*kv_free)(g4_device *d, struct g4_kv_store *kv);
    void (*kv_copy)(g4_device *d, struct g4_kv_store *kv, uint32_t pool, int32_t from, int32_t to); /* a whole block */
    g4_plan *(*plan_new)(g4_device *d, const g4_plan_desc *desc, struct g4_kv_store *kv, g4_err *err);
    void (*plan_free)(g4_device *d, g4_plan *p);
    /* Checked by g4_plan_run, then runs to the end (CPU) or submits. */
    int (*plan_run)(g4_device *d, g4_plan *p, const g4_step_buf *step, g4_err *err);
    int (*wait)(g4_device *d, g4_err *err);
    /* After wait: rows [0, n) of a buffer in host memory, valid until the next run. */
    const float *(*buf_read)(g4_device *d, g4_plan *p, uint32_t buf, uint32_t n);
    /* Puts rows [0, n) into a buffer, between runs. */
    int (*buf_write)(g4_device *d, g4_plan *p, uint32_t buf, uint32_t n, const float *rows, g4_err *err);
    /* Of devices with memory of their own; NULL: computes in the host's. */
    struct g4_device_room (*room)(g4_device *d);
    uint64_t (*weight_bytes)(g4_device *d, const g4_weight *w); /* what a weight takes there */
};

struct g4_device {             /* first member of every device's own struct */
    const struct g4_device_ops *ops;
    char info[64];             /* "cpu avx512", "ref": the level that is used */
    uint32_t threads;
};

struct g4_plan {               /* first member of every device's own plan; filled by g4_plan_new */
    g4_plan_desc desc;         /* bufs copied behind it; ops are the caller's */
    const g4_kv_desc *kv;      /* NULL: no op has to do with the cache */
    uint32_t n_vocab;          /* rows of the EMBED weight; 0: none */
};

g4_device *g4_device_open(const struct g4_device_params *p, g4_err *err);
void g4_device_close(g4_device *d);

/* Checked entry points: every shape, buffer number and set is validated once
 * here (asserts for our own bugs), so devices may assume valid input. */
g4_plan *g4_plan_new(g4_device *d, const g4_plan_desc *desc, struct g4_kv_store *kv, g4_err *err);
int g4_plan_run(g4_device *d, g4_plan *p, const g4_step_buf *step, g4_err *err); /* runs and waits */

/* Bytes of one block of a pool. */
size_t g4_kv_block_bytes(const g4_kv_desc *desc, uint32_t pool);

/* Devices of this machine as text, one a line: "cpu  AMD ...  avx512 (vnni, bf16), 2 cores".  Appends. */
void g4_device_list(g4_str *out, bool verbose);

#endif
