/* tests/vectors/vec: what the vector tests share: reading a fixture's reference
 * files, and running a model's plan directly, with full say over rows, chunks,
 * sequences and output rows. */
#ifndef G4_TESTS_VEC_H
#define G4_TESTS_VEC_H

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/thread.h"
#include "model/model.h"
#include "../tap.h"
#include "../vulkan.h"

/* ---- reference files ------------------------------------------------------- */

struct st { /* a safetensors file of F32 tensors */
    g4_map map;
    g4_json head;
    const uint8_t *data;
    g4_arena copies;  /* arrays handed out, aligned */
};

static inline bool st_open(struct st *s, const char *path)
{
    uint64_t n;
    g4_err err = { 0 };

    memset(s, 0, sizeof *s);
    if (g4_map_open(&s->map, path, &err) || s->map.n < 8) return false;
    memcpy(&n, s->map.p, 8);
    if (n > s->map.n - 8 || g4_json_check((const char *)s->map.p + 8, n, &s->head, &err)) return false;
    s->data = s->map.p + 8 + n;
    return true;
}

/* NULL: no such tensor. */
static inline const float *st_f32(struct st *s, const char *name, size_t *n)
{
    const g4_json off = g4_json_get(g4_json_get(s->head, name), "data_offsets");
    int64_t a, b;

    if (!g4_json_i64(g4_json_at(off, 0), &a) || !g4_json_i64(g4_json_at(off, 1), &b)) return NULL;
    *n = (size_t)(b - a) / sizeof(float);
    return memcpy(g4_arena_alloc(&s->copies, (size_t)(b - a)), s->data + a, (size_t)(b - a));
}

static inline void st_close(struct st *s)
{
    g4_arena_free(&s->copies);
    g4_map_close(&s->map);
}

static inline int32_t *json_ids(g4_json v, size_t *n)
{
    int32_t *ids = g4_alloc((g4_json_count(v) + 1) * sizeof *ids);
    int64_t i;

    *n = 0;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);)
        if (g4_json_i64(it.value, &i)) ids[(*n)++] = (int32_t)i;
    return ids;
}

static inline double json_num(g4_json v, double otherwise)
{
    double d;
    return g4_json_f64(v, &d) ? d : otherwise;
}

/* ---- a model on a device ---------------------------------------------------- */

enum { VEC_ROWS = 160, VEC_SEQ = 72, VEC_BLOCKS = 8, VEC_LONG = 32 }; /* 256 keys a sequence, the first holds 1024 */

struct vec {
    g4_model *model;
    g4_device *dev;
    struct g4_kv_store *kv;
    struct g4_net net;
    const struct g4_hparams *hp;
    int32_t table[VEC_SEQ][VEC_LONG]; /* blocks of a sequence, the same in both pools */
    uint32_t have[VEC_SEQ];             /* keys a sequence holds */
    bool prompt;                        /* rows are given as prompt rows */
    g4_err err;
};

struct vec_params {
    const char *device, *level; /* level: G4_CPU; NULL: the best */
    uint32_t threads;
    g4_dtype kv;
    unsigned flags;
};

static inline void vec_close(struct vec *v)
{
    if (v->dev && v->net.plan) g4_model_net_free(v->dev, &v->net);
    if (v->kv) v->dev->ops->kv_free(v->dev, v->kv);
    g4_device_close(v->dev);
    g4_model_free(v->model);
    memset(v, 0, sizeof *v);
}

/* False with v->err when something cannot be opened. */
static inline bool vec_open(struct vec *v, const char *path, struct vec_params p)
{
    memset(v, 0, sizeof *v);
    if (p.level)
        setenv("G4_CPU", p.level, 1);
    else
        unsetenv("G4_CPU");
    v->dev = g4_device_open(&(struct g4_device_params){ .which = p.device, .threads = p.threads }, &v->err);
    v->model = v->dev ? g4_model_open(path, false, &v->err) : NULL;
    if (!v->model) return false;
    v->hp = g4_model_hp(v->model);
    enum { ALL = VEC_SEQ * VEC_BLOCKS + VEC_LONG - VEC_BLOCKS };
    g4_kv_desc desc = { .n_block = { ALL, ALL }, .type = p.kv };
    desc.layers = g4_model_kv_layers(v->model, &desc.n_layer);
    v->kv = v->dev->ops->kv_new(v->dev, &desc, &v->err);
    if (!v->kv || g4_model_net(v->model, v->dev, v->kv, VEC_ROWS, VEC_ROWS, VEC_SEQ, p.flags, &v->net, &v->err)) return false;
    for (int s = 0; s < VEC_SEQ; s++)
        for (int b = 0; b < VEC_LONG; b++) /* spread, as a used cache is */
            v->table[s][b] = b < VEC_BLOCKS ? b * VEC_SEQ + s : s ? -1 : VEC_SEQ * VEC_BLOCKS + b - VEC_BLOCKS;
    return true;
}

struct vec_part { /* rows of one sequence in a step */
    uint32_t seq;
    const int32_t *ids;
    uint32_t n;
};

/* Runs one step over the parts; out_last: only the last row of the last part is an
 * output row, else all are.  False with v->err. */
static inline bool vec_step(struct vec *v, const struct vec_part *part, uint32_t n_part, bool out_last)
{
    int32_t id[VEC_ROWS];
    uint32_t pos[VEC_ROWS], seq[VEC_ROWS], out[VEC_ROWS], n = 0;
    g4_step_seq seqs[VEC_SEQ];

    for (uint32_t i = 0; i < n_part; i++) {
        const uint32_t s = part[i].seq;
        for (uint32_t j = 0; j < part[i].n; j++, n++) {
            id[n] = part[i].ids[j];
            pos[n] = v->have[s]++;
            seq[n] = i;
            out[n] = n;
        }
        seqs[i] = (g4_step_seq){ .table = { v->table[s], v->table[s] }, .n_key = v->have[s], .prompt = v->prompt };
    }
    g4_step_buf step = { .n_row = n, .id = id, .pos = pos, .seq = seq, .n_out = n, .out_row = out, .n_seq = n_part, .seqs = seqs };
    if (out_last) {
        out[0] = n - 1;
        step.n_out = 1;
    }
    return g4_plan_run(v->dev, v->net.plan, &step, &v->err) == G4_OK;
}

static inline const float *vec_read(struct vec *v, int32_t buf, uint32_t rows)
{
    return buf < 0 ? NULL : v->dev->ops->buf_read(v->dev, v->net.plan, (uint32_t)buf, rows);
}

struct vec_out { /* what a forward pass leaves; allocated, NULL where the model has none */
    float *logits, *hidden, *final, *ple; /* [T,V], [L+1,T,d], [T,d], [T,L*P] */
};

static inline void vec_out_free(struct vec_out *o)
{
    free(o->logits);
    free(o->hidden);
    free(o->final);
    free(o->ple);
    memset(o, 0, sizeof *o);
}

static inline void vec_take(struct vec *v, int32_t buf, uint32_t rows, size_t cols, float *to)
{
    const float *from = vec_read(v, buf, rows);
    if (from) memcpy(to, from, rows * cols * sizeof *to);
}

/* A whole timeline through sequence `seq` in chunks (0: one piece). */
static inline bool vec_forward(struct vec *v, uint32_t seq, const int32_t *ids, uint32_t n, uint32_t chunk, struct vec_out *o)
{
    const struct g4_hparams *hp = v->hp;
    const size_t d = hp->d_model, lp = (size_t)hp->n_layer * hp->d_ple;

    *o = (struct vec_out){ .final = g4_alloc(n * d * sizeof(float)) };
    if (v->net.logits >= 0) o->logits = g4_alloc((size_t)n * hp->n_vocab * sizeof(float));
    if (v->net.hidden) o->hidden = g4_alloc((hp->n_layer + 1) * n * d * sizeof(float));
    if (v->net.ple >= 0) o->ple = g4_alloc(n * lp * sizeof(float));
    v->have[seq] = 0;
    for (uint32_t at = 0; at < n;) {
        const uint32_t rows = chunk && chunk < n - at ? chunk : n - at;
        if (!vec_step(v, &(struct vec_part){ seq, ids + at, rows }, 1, false)) return false;
        vec_take(v, v->net.final, rows, d, o->final + at * d);
        if (o->logits) vec_take(v, v->net.logits, rows, hp->n_vocab, o->logits + (size_t)at * hp->n_vocab);
        if (o->ple) vec_take(v, v->net.ple, rows, lp, o->ple + at * lp);
        for (uint32_t l = 0; o->hidden && l <= hp->n_layer; l++)
            vec_take(v, v->net.hidden[l], rows, d, o->hidden + ((size_t)l * n + at) * d);
        at += rows;
    }
    return true;
}

/* ---- comparing ---------------------------------------------------------------- */

static inline float vec_absmax(const float *x, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return most;
}

static inline int32_t vec_argmax(const float *x, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return (int32_t)best;
}

static inline double vec_lse(const float *x, uint32_t n)
{
    const double top = x[vec_argmax(x, n)];
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += exp(x[i] - top);
    return top + log(sum);
}

/* Mean over rows of the divergence of the distribution `got` from `want`. */
static inline double vec_kld(const float *want, const float *got, size_t rows, uint32_t n)
{
    double sum = 0;
    for (size_t r = 0; r < rows; r++, want += n, got += n) {
        const double a = vec_lse(want, n), b = vec_lse(got, n);
        for (uint32_t i = 0; i < n; i++) sum += exp(want[i] - a) * ((want[i] - a) - (got[i] - b));
    }
    return sum / (double)rows;
}

static inline bool same_bits(const float *a, const float *b, size_t n, const char *what)
{
    size_t at = 0;
    while (at < n && memcmp(a + at, b + at, sizeof *a) == 0) at++;
    const bool pass = ok(at == n, "%s: the same bits", what);
    if (!pass) printf("# value %zu of %zu: %.9g and %.9g\n", at, n, a[at], b[at]);
    return pass;
}

/* G4_TEST_ONLY_GPU: the CPU's part of a test is left out (validation layers, features switched off). */
static inline bool vec_only_gpu(void)
{
    return getenv("G4_TEST_ONLY_GPU") != NULL;
}

/* The folder of unpacked fixtures: build/data/text. */
static inline const char *vec_data(void)
{
    static char path[128];
    const char *build = getenv("G4_BUILD");
    snprintf(path, sizeof path, "%s/data/text", build ? build : "build");
    return path;
}

#endif
