/* tests/ops/ops: what the op tests and the kernel bench share: random weights of
 * any type, devices at every level this machine can run, and plans of one op. */
#ifndef G4_TESTS_OPS_H
#define G4_TESTS_OPS_H

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "device/device.h"
#include "../vulkan.h"

static uint64_t rnd_state = 0x9e3779b97f4a7c15u;

static inline uint32_t rnd(void) /* xorshift64* */
{
    rnd_state ^= rnd_state >> 12;
    rnd_state ^= rnd_state << 25;
    rnd_state ^= rnd_state >> 27;
    return (uint32_t)(rnd_state * 0x2545f4914f6cdd1du >> 32);
}

static inline float rnd_unit(void) /* [-1, 1) */
{
    return (float)(int32_t)rnd() * 0x1p-31f;
}

/* n values; a few are ten times larger, as in real activations */
static inline float *rnd_floats(size_t n, float scale)
{
    float *x = g4_alloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = rnd_unit() * scale * (rnd() % 61 ? 1.0f : 10.0f);
    return x;
}

/* Where the f16 fields of a block stand; -1 ends. */
static inline const int *half_fields(g4_dtype type)
{
    static const int at0[] = { 0, -1 }, at02[] = { 0, 2, -1 }, q2k[] = { 80, 82, -1 }, q3k[] = { 108, -1 }, q6k[] = { 208, -1 },
                     tq1[] = { 52, -1 }, tq2[] = { 64, -1 }, none[] = { -1 };
    switch (type) {
    case G4_Q4_1: case G4_Q5_1: case G4_Q4_K: case G4_Q5_K: return at02;
    case G4_Q2_K: return q2k;
    case G4_Q3_K: return q3k;
    case G4_Q6_K: return q6k;
    case G4_TQ1_0: return tq1;
    case G4_TQ2_0: return tq2;
    case G4_MXFP4: case G4_NVFP4: case G4_IQ1_M: return none;
    default: return at0;
    }
}

/* A random matrix [n][rows][cols]; row_bytes may be larger than the row needs. */
static inline g4_weight *rnd_weight(g4_dtype type, uint32_t n, uint32_t rows, uint32_t cols)
{
    const g4_dtype_info *t = g4_dtype_get(type);
    g4_weight *w = g4_alloc(sizeof *w);
    *w = (g4_weight){ .type = type, .cols = cols, .rows = rows, .n = n, .name = t->name };
    w->row_bytes = (size_t)cols / t->block * t->bytes;
    const size_t size = (size_t)n * rows * w->row_bytes;
    uint8_t *p = g4_alloc(size + 1);
    w->data = p;
    if (!t->is_block) {
        for (size_t i = 0; i < (size_t)n * rows * cols; i++) {
            const float f = rnd_unit() * 0.1f;
            const uint16_t h = type == G4_F16 ? g4_f32_to_f16(f) : g4_f32_to_bf16(f);
            if (type == G4_F32) memcpy(p + 4 * i, &f, 4);
            else memcpy(p + 2 * i, &h, 2);
        }
        return w;
    }
    for (size_t i = 0; i < size; i += 4) {
        const uint32_t v = rnd();
        memcpy(p + i, &v, size - i < 4 ? size - i : 4);
    }
    for (size_t b = 0; b < size; b += t->bytes) {
        for (const int *f = half_fields(type); *f >= 0; f++) {
            const uint16_t h = g4_f32_to_f16(rnd_unit() * 0.02f);
            memcpy(p + b + *f, &h, 2);
        }
        if (type == G4_MXFP4) p[b] = (uint8_t)(0x70 | (p[b] & 15));
        if (type == G4_IQ1_M) p[b + 55] = (uint8_t)((p[b + 55] & 0x0f) | 0x20);
        for (int i = 0; type == G4_NVFP4 && i < 4; i++) p[b + i] &= 0x3f;
    }
    return w;
}

static inline void free_weight(g4_weight *w)
{
    free((void *)(uintptr_t)w->data);
    free(w);
}

/* The levels of this machine, G4_CPU's names; NULL ends.  A level that cannot run is left out;
 * all are with G4_TEST_ONLY_GPU. */
static inline const char *const *levels_here(void)
{
    static const char *const all[] = { "ref", "avx2", "avx512", "neon" };
    static const char *here[5];
    size_t n = 0;
    for (size_t i = 0; i < 4 && !getenv("G4_TEST_ONLY_GPU"); i++) {
        setenv("G4_CPU", all[i], 1);
        g4_device *d = g4_device_open(&(struct g4_device_params){ .which = "cpu", .threads = 1 }, NULL);
        if (d) here[n++] = all[i];
        g4_device_close(d);
    }
    here[n] = NULL;
    return here;
}

static bool fast_bf16; /* what open_level asks for */

static inline g4_device *open_level(const char *level, uint32_t threads)
{
    g4_err err = { 0 };
    const bool gpu = strncmp(level, "vulkan", 6) == 0;
    if (!gpu) setenv("G4_CPU", level, 1);
    g4_device *d = g4_device_open(&(struct g4_device_params){ .which = gpu ? level : "cpu", .threads = threads, .fast_bf16 = fast_bf16 }, &err);
    if (!d) {
        fprintf(stderr, "cannot open '%s': %s\n", level, err.msg);
        exit(1);
    }
    return d;
}

/* Puts rows into a plan's buffer. */
static inline void put_rows(g4_device *d, g4_plan *p, uint32_t buf, uint32_t n, const float *x)
{
    g4_err err = { 0 };
    if (!d->ops->buf_write(d, p, buf, n, x, &err)) return;
    fprintf(stderr, "%s\n", err.msg);
    exit(1);
}

/* A step of n rows of one sequence at positions from pos0, every row an output. */
struct plain_step {
    g4_step_buf s;
    g4_step_seq seq;
    int32_t *id;
    uint32_t *pos, *of, *out;
    const float **vec;
};

static inline void plain_step_init(struct plain_step *p, uint32_t n, uint32_t pos0, const float *rows, uint32_t cols)
{
    *p = (struct plain_step){ .id = g4_alloc(n * 4), .pos = g4_alloc(n * 4), .of = g4_alloc(n * 4), .out = g4_alloc(n * 4),
                              .vec = g4_alloc(n * sizeof(float *)) };
    for (uint32_t r = 0; r < n; r++) {
        p->id[r] = -1;
        p->pos[r] = pos0 + r;
        p->out[r] = r;
        p->vec[r] = rows + (size_t)r * cols;
    }
    p->seq.n_key = pos0 + n;
    p->s = (g4_step_buf){ .n_row = n, .id = p->id, .vec = p->vec, .pos = p->pos, .seq = p->of, .n_out = n, .out_row = p->out,
                          .n_seq = 1, .seqs = &p->seq };
}

static inline void plain_step_clear(struct plain_step *p)
{
    free(p->id);
    free(p->pos);
    free(p->of);
    free(p->out);
    free(p->vec);
}

/* An embedding that is never read by id: rows of `vec` go into buffer `to`. */
static inline g4_op feed_op(const g4_weight *any, int to)
{
    return (g4_op){ .kind = G4_OP_EMBED, .set = G4_ROWS_ALL, .src = -1, .src2 = -1, .src3 = -1, .dst = { (int16_t)to, -1, -1 },
                    .dst2 = -1, .w = { any }, .alpha = 1, .tag = "feed" };
}

#endif
