/* device/vulkan/impl: what the core files (vulkan.c, loader.c, caps.c, memory.c,
 * weight.c, pipe.c, plan.c, step.c, run.c, kv.c) share; op_*.c do without. */
#ifndef G4_DEVICE_VULKAN_IMPL_H
#define G4_DEVICE_VULKAN_IMPL_H

#include "base/thread.h"
#include "device/vulkan/vk.h"

/* ---- loader.c ------------------------------------------------------------- */

struct g4_vk_instance {
    struct g4_vk_fn fn;        /* global and instance entry points */
    VkInstance instance;
    VkPhysicalDevice devices[16];
    uint32_t n_device;
};
/* The instance of the process; NULL with the reason when there is no Vulkan. */
const struct g4_vk_instance *g4_vk_instance_get(g4_err *err);
/* Fills the device entry points of fn. */
int g4_vk_load_device(struct g4_vk_fn *fn, VkDevice device, g4_err *err);

/* ---- caps.c --------------------------------------------------------------- */

/* What the device has; false with why when g4 cannot use it. */
bool g4_vk_caps_read(const struct g4_vk_fn *fn, VkPhysicalDevice phys, struct g4_vk_caps *out, const char **why);
/* Order of preference, the best first: 0 discrete ... 3 CPU. */
int g4_vk_rank(const struct g4_vk_caps *c);
/* "subgroup 8, f16, int8 dot (not accelerated), no cooperative matrices: tiled kernels" */
void g4_vk_caps_text(const struct g4_vk_caps *c, g4_str *out);
VkDevice g4_vk_device_new(const struct g4_vk_fn *fn, VkPhysicalDevice phys, const struct g4_vk_caps *c, VkResult *res);

/* ---- vulkan.c ------------------------------------------------------------- */

/* The message for a failed call; a lost device stays lost.  Gives back the code. */
int g4_vk_fail(struct g4_vk *vk, VkResult res, const char *what, g4_err *err);

struct g4_vk_inner {           /* see the files that own each part */
    struct g4_vk_fn fn;
    /* memory.c */
    VkPhysicalDeviceMemoryProperties mem;
    uint64_t used;             /* bytes taken of the device-local heap */
    uint32_t heap;             /* that heap */
    /* weight.c */
    struct g4_vk_arena weights, consts;
    g4_pool *packers;          /* packs large weights; NULL until there is one */
    struct g4_vk_weight **weight;
    size_t n_weight, cap_weight;
    struct g4_vk_kept *kept;
    size_t n_kept, cap_kept;
    /* pipe.c */
    struct g4_vk_pipe **pipe;
    size_t n_pipe, cap_pipe;
    VkDescriptorSetLayout set_layout[G4_VK_BINDS + 2];
    VkPipelineLayout pipe_layout[G4_VK_BINDS + 2];
    VkPipelineCache cache;
    size_t cache_size;         /* bytes that were read; larger afterwards: written back */
    char *cache_path;
    /* run.c */
    VkCommandPool pool;
    VkCommandBuffer copy;      /* one-time work */
    VkSemaphore time;          /* timeline of all submissions */
    uint64_t submitted;
    struct g4_vk_arena staging;
    struct g4_vk_span stage;   /* for uploads and reads */
    double rate;               /* multiplications a second this device was seen to do */
};

/* ---- pipe.c --------------------------------------------------------------- */

void g4_vk_cache_open(struct g4_vk *vk);
void g4_vk_cache_close(struct g4_vk *vk);  /* writes it when it grew */
void g4_vk_pipe_want(struct g4_vk_pipe *p); /* the next g4_vk_pipes_make makes it */
int g4_vk_pipes_make(struct g4_vk *vk, g4_err *err);
void g4_vk_pipes_free(struct g4_vk *vk);
VkDescriptorSetLayout g4_vk_set_layout(struct g4_vk *vk, uint32_t n_bind);

/* ---- weight.c ------------------------------------------------------------- */

void g4_vk_weights_free(struct g4_vk *vk);

/* ---- run.c ---------------------------------------------------------------- */

int g4_vk_run_open(struct g4_vk *vk, g4_err *err);
void g4_vk_run_close(struct g4_vk *vk);
int g4_vk_submit(struct g4_vk *vk, const VkCommandBuffer *cb, uint32_t n, g4_err *err);
double g4_vk_seconds(void);     /* of the monotonic clock */
/* Waits for all that was submitted; progress is measured between submissions. */
int g4_vk_wait(struct g4_vk *vk, g4_err *err);
/* Copies through the staging memory, at once. */
int g4_vk_upload(struct g4_vk *vk, const struct g4_vk_span *to, VkDeviceSize at, const void *from, VkDeviceSize n, g4_err *err);
int g4_vk_download(struct g4_vk *vk, void *to, const struct g4_vk_span *from, VkDeviceSize at, VkDeviceSize n, g4_err *err);
/* The staging memory, idle and mapped, of at least 16 MiB; then a copy of its first n bytes. */
int g4_vk_stage(struct g4_vk *vk, uint8_t **host, VkDeviceSize *size, g4_err *err);
int g4_vk_stage_copy(struct g4_vk *vk, const struct g4_vk_span *to, VkDeviceSize at, VkDeviceSize n, g4_err *err);
/* One-time commands: begin gives the command buffer, end runs it to its end. */
VkCommandBuffer g4_vk_once(struct g4_vk *vk, g4_err *err);
int g4_vk_once_end(struct g4_vk *vk, g4_err *err);

/* ---- kv.c ----------------------------------------------------------------- */

struct g4_kv_store {
    g4_kv_desc desc;           /* first: every store begins with it */
    g4_kv_layer *layers;
    struct g4_vk_arena arena;
    struct g4_vk_kv_layer *at; /* [n_layer] */
    struct g4_vk_kv_move *move; /* copies that wait for the next run */
    size_t n_move, cap_move;
};
struct g4_vk_kv_move {
    uint32_t pool;
    int32_t from, to;
};
struct g4_kv_store *g4_vk_kv_new(g4_device *d, const g4_kv_desc *desc, g4_err *err);
void g4_vk_kv_free(g4_device *d, struct g4_kv_store *kv);
void g4_vk_kv_copy(g4_device *d, struct g4_kv_store *kv, uint32_t pool, int32_t from, int32_t to);
int g4_vk_kv_flush(struct g4_vk *vk, struct g4_kv_store *kv, g4_err *err);

/* ---- plan.c, step.c ------------------------------------------------------- */

enum { G4_VK_SCRATCH = 4 };

struct g4_vk_recorded {        /* the command buffers of one bucket */
    uint32_t rows[G4_RANGE_N];
    uint32_t flags;            /* G4_VK_PICK, G4_VK_ADJUST */
    VkCommandBuffer *cb;
    uint32_t n;
    double cost;               /* multiplications, roughly, of all */
    uint64_t last;             /* submission that used it last */
    struct g4_vk_recorded *next;
};

struct g4_vk_plan {
    g4_plan plan;              /* first */
    struct g4_vk *vk;
    struct g4_kv_store *kv;
    struct g4_vk_arena arena, scratch_arena, step_arena, read_arena;
    struct g4_vk_span *buf;    /* [n_buf] */
    float **host;              /* [n_buf] copies for buf_read */
    struct g4_vk_span scratch[G4_VK_SCRATCH];
    VkDeviceSize scratch_size[G4_VK_SCRATCH];
    struct g4_vk_dispatch *list; /* args copied */
    VkDescriptorSet *set;      /* [n_list] */
    size_t n_list, cap_list;
    VkDescriptorPool sets;
    VkCommandPool pool;
    struct g4_vk_recorded *recorded;
    uint32_t n_recorded;
    /* step.c */
    struct g4_vk_span step;    /* mapped */
    uint32_t *words;           /* the step as it is packed; then copied to the device at once */
    uint64_t n_word;
    const g4_op *embed, *ple;  /* ops whose rows the host gathers; NULL: none */
    struct g4_vk_span picks;   /* mapped results of PICK */
    int pick_src;              /* buffer of the logits; -1: no PICK */
    uint32_t pick_cols;
    float **pick_row;          /* [OUT] host copies of wanted rows */
};

int g4_vk_step_pack(struct g4_vk_plan *p, const g4_step_buf *s, uint32_t rows[G4_RANGE_N], uint32_t *flags, g4_err *err);
int g4_vk_picks_take(struct g4_vk_plan *p, const g4_step_buf *s, g4_err *err);
g4_plan *g4_vk_plan_new(g4_device *d, const g4_plan_desc *desc, struct g4_kv_store *kv, g4_err *err);
void g4_vk_plan_free(g4_device *d, g4_plan *p);
int g4_vk_plan_run(g4_device *d, g4_plan *p, const g4_step_buf *step, g4_err *err);
const float *g4_vk_buf_read(g4_device *d, g4_plan *p, uint32_t buf, uint32_t n);
int g4_vk_buf_write(g4_device *d, g4_plan *p, uint32_t buf, uint32_t n, const float *rows, g4_err *err);
/* Binding 0 of all sets anew, and nothing recorded any more: the step moved. */
void g4_vk_plan_rebind(struct g4_vk_plan *p);

#endif
