/* model/convert: see convert.h.  A plan names what is to be written; then a pool
 * works through it, a job a tensor, an item some rows of it. */
#include "model/convert.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/quantize.h"
#include "base/thread.h"
#include "model/convert_impl.h"
#include "weights/imatrix.h"

enum { CHUNK = 32768 }; /* values an item, a row at least */

struct g4_convert_item *g4_convert_add(struct g4_convert_plan *c, const char *name, const g4_tensor *t)
{
    G4_GROW(c->item, c->cap, c->n + 1);
    struct g4_convert_item *it = &c->item[c->n++];
    *it = (struct g4_convert_item){ .name = name, .from = t, .times = 1, .ne = { 1, 1, 1, 1 } };
    if (!t) return it;
    it->type = t->type;
    it->n_dim = t->n_dim;
    memcpy(it->ne, t->ne, sizeof it->ne);
    return it;
}

/* ---- a GGUF as the source ---------------------------------------------------- */

/* Query heads a KV head in the first layer; 1 where the file does not say. */
static uint32_t read_gqa(const g4_weights *w)
{
    g4_sv arch;
    char key[96];
    uint64_t head, kv;
    if (!g4_kv_str(g4_weights_kv(w, "general.architecture"), &arch) || arch.n > 40) return 1;
    snprintf(key, sizeof key, "%.*s.attention.head_count", (int)arch.n, arch.p);
    if (!g4_kv_u64(g4_weights_kv(w, key), 0, &head)) return 1;
    snprintf(key, sizeof key, "%.*s.attention.head_count_kv", (int)arch.n, arch.p);
    if (!g4_kv_u64(g4_weights_kv(w, key), 0, &kv) || !kv || head > UINT32_MAX) return 1;
    return (uint32_t)(head / kv);
}

static int plan_gguf(struct g4_convert_plan *c, g4_err *err)
{
    g4_sv arch;
    if (c->recipe && g4_dtype_get((uint32_t)c->recipe->base)->is_block && g4_kv_str(g4_weights_kv(c->w, "general.architecture"), &arch) && g4_sv_eq(arch, "clip"))
        return g4_fail(err, G4_EUNSUP, "'%s' is a projector of images or sound, which stays as it is", c->p->from);
    for (size_t i = 0; i < g4_weights_kv_count(c->w); i++) {
        const g4_kv *kv = g4_weights_kv_at(c->w, i);
        if (!g4_sv_has_prefix(kv->key, "split.") && !g4_sv_eq(kv->key, "general.alignment")) g4_gguf_kv(c->out, kv);
    }
    int32_t last = -1;
    for (size_t i = 0; i < g4_weights_count(c->w); i++) {
        const g4_tensor *t = g4_weights_at(c->w, i);
        struct g4_convert_item *it = g4_convert_add(c, t->name, t);
        const int32_t layer = g4_recipe_layer(t->name);
        it->fixed = !c->recipe || !g4_recipe_quantises(t->name, t->n_dim);
        if (layer > last) last = layer;
    }
    c->model.n_layer = (uint32_t)(last + 1);
    c->model.gqa = read_gqa(c->w);
    return G4_OK;
}

static int check_source(const struct g4_convert_plan *c, g4_err *err)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct g4_convert_item *it = &c->item[i];
        if (it->fixed || !it->from || it->from->type == it->type) continue;
        const g4_dtype_info *info = g4_dtype_get((uint32_t)it->from->type);
        if (!info->decode) return g4_fail(err, G4_EUNSUP, "tensor '%s' is of the type %s, which cannot be converted", it->name, info->name);
        if (info->is_block && !c->p->requantize)
            return g4_fail(err, G4_EUSAGE, "'%s' is quantised already ('%s' is %s): quantising it again loses more than starting from the "
                           "original would (--requantize does it all the same)", c->p->from, it->name, info->name);
    }
    return G4_OK;
}

/* ---- types ---------------------------------------------------------------------- */

static int named_type(const char *name, const char *what, g4_dtype *out, g4_err *err)
{
    if (g4_dtype_by_name(name, out) && g4_quantize_can(*out)) return G4_OK;
    return g4_fail(err, G4_EUSAGE, "%s: there is no type '%s' to quantise to", what, name);
}

/* Number of attn_v matrices of layers before this one: their order, whatever the file's. */
static uint32_t count_v(const struct g4_convert_plan *c, int32_t before)
{
    uint32_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const int32_t layer = g4_recipe_layer(c->item[i].name);
        n += layer >= 0 && layer < before && strstr(c->item[i].name, ".attn_v.weight") != NULL;
    }
    return n;
}

static int choose_types(struct g4_convert_plan *c, g4_err *err)
{
    g4_dtype embd, ple;
    int e;

    if (c->p->embd && (e = named_type(c->p->embd, "--embd", &embd, err))) return e;
    if (c->p->ple && (e = named_type(c->p->ple, "--ple", &ple, err))) return e;
    for (size_t i = 0; i < c->n; i++) c->model.head |= strcmp(c->item[i].name, "output.weight") == 0;
    c->model.n_v = count_v(c, INT32_MAX);
    c->model.importance = c->p->imatrix != NULL;
    for (size_t i = 0; i < c->n && c->recipe; i++) {
        struct g4_convert_item *it = &c->item[i];
        if (it->fixed) continue;
        const uint32_t i_v = strstr(it->name, ".attn_v.weight") ? count_v(c, g4_recipe_layer(it->name)) : 0;
        it->type = g4_recipe_type(c->recipe, &c->model, it->name, it->ne[0], i_v);
        if (c->p->embd && strcmp(it->name, "token_embd.weight") == 0) it->type = g4_recipe_fallback(embd, it->ne[0]);
        if (c->p->ple && strcmp(it->name, "per_layer_token_embd.weight") == 0) it->type = g4_recipe_fallback(ple, it->ne[0]);
    }
    return G4_OK;
}

static int attach_importance(struct g4_convert_plan *c, const g4_imatrix *m, g4_err *err)
{
    size_t n_found = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct g4_convert_item *it = &c->item[i];
        size_t n = 0;
        const float *v = g4_imatrix_find(m, it->name, &n);
        if (!v || !g4_dtype_get((uint32_t)it->type)->is_block) continue;
        if (n != it->ne[0] * it->ne[2])
            return g4_fail(err, G4_EFORMAT, "'%s' has %zu columns for '%s', which has %" PRIu64 ": it is of another model", c->p->imatrix, n,
                           it->name, it->ne[0] * it->ne[2]);
        it->importance = v;
        n_found++;
    }
    if (!n_found) return g4_fail(err, G4_EFORMAT, "'%s' knows none of the tensors that are quantised: it is of another model", c->p->imatrix);
    g4_gguf_strz(c->out, "quantize.imatrix.file", c->p->imatrix);
    if (g4_imatrix_dataset(m).p) g4_gguf_str(c->out, "quantize.imatrix.dataset", g4_imatrix_dataset(m));
    g4_gguf_i32(c->out, "quantize.imatrix.entries_count", (int32_t)g4_imatrix_count(m));
    if (g4_imatrix_chunks(m)) g4_gguf_i32(c->out, "quantize.imatrix.chunks_count", (int32_t)g4_imatrix_chunks(m));
    return G4_OK;
}

static void put_types(struct g4_convert_plan *c)
{
    g4_dtype most = G4_F32;
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->item[i].name, "token_embd.weight") == 0) most = c->item[i].type;
    if (c->recipe) g4_gguf_u32(c->out, "general.file_type", c->recipe->file_type);
    else if (!g4_weights_is_gguf(c->w)) g4_gguf_u32(c->out, "general.file_type", most == G4_BF16 ? 32 : most == G4_F16 ? 1 : 0);
    g4_gguf_u32(c->out, "general.quantization_version", 2);
}

/* ---- the work ---------------------------------------------------------------------- */

struct work {
    struct g4_convert_plan *c;
    struct { float *x; uint8_t *y; } *buffer; /* a thread */
    atomic_bool failed;
    atomic_uint_fast64_t n_block, n_grid;
    pthread_mutex_t lock; /* err, done */
    g4_err *err;
    uint64_t done, total;
};

static uint64_t rows_of(const struct g4_convert_item *it)
{
    return it->ne[1] * it->ne[2] * it->ne[3];
}

static uint64_t rows_an_item(const struct g4_convert_item *it)
{
    return it->ne[0] >= CHUNK ? 1 : CHUNK / it->ne[0];
}

static size_t bytes_of(g4_dtype type, uint64_t n)
{
    const g4_dtype_info *info = g4_dtype_get((uint32_t)type);
    return (size_t)(n / info->block * info->bytes);
}

static void fail(struct work *w, const g4_err *why)
{
    pthread_mutex_lock(&w->lock);
    if (!atomic_exchange(&w->failed, true)) g4_fail(w->err, why->code, "%s", why->msg);
    pthread_mutex_unlock(&w->lock);
}

/* Rows of the source as f32, transformed and found to fit the type. */
static int read_rows(const struct g4_convert_item *it, uint64_t row, uint64_t n, float *x, g4_err *err)
{
    const uint64_t cols = it->ne[0];
    if (it->from) g4_dtype_get((uint32_t)it->from->type)->decode((const uint8_t *)it->from->data + bytes_of(it->from->type, row * cols), x, n * cols);
    else memcpy(x, it->values + row * cols, n * cols * sizeof *x);
    for (uint64_t i = 0; i < n * cols && (it->plus != 0 || it->times != 1); i++) x[i] = (x[i] + it->plus) * it->times;
    const size_t bad = g4_quantize_check(it->type, x, n * cols);
    if (bad == n * cols) return G4_OK;
    return g4_fail(err, G4_EFORMAT, "tensor '%s' holds %g in row %" PRIu64 ", column %" PRIu64 ", which the type %s cannot hold", it->name,
                   (double)x[bad], row + bad / cols, bad % cols, g4_dtype_get((uint32_t)it->type)->name);
}

static void encode_rows(struct work *w, const struct g4_convert_item *it, uint64_t row, uint64_t n, const float *x, uint8_t *y)
{
    const uint64_t cols = it->ne[0];
    const bool search = it->type == G4_Q4_0;
    size_t grid = 0;
    for (uint64_t r = 0; r < n; r++, x += cols, y += bytes_of(it->type, cols)) {
        const float *im = it->importance ? it->importance + (row + r) / it->ne[1] % it->ne[2] * cols : NULL;
        if (search) grid += g4_quantize_q4_0_search(x, im, cols, y);
        else g4_quantize_row(it->type, x, im, cols, y);
    }
    if (!search) return;
    atomic_fetch_add(&w->n_block, n * cols / 32);
    atomic_fetch_add(&w->n_grid, grid);
}

static int do_rows(struct work *w, size_t i, uint64_t row, uint64_t n, uint32_t thread, g4_err *err)
{
    const struct g4_convert_item *it = &w->c->item[i];
    const uint64_t at = bytes_of(it->type, row * it->ne[0]);
    const size_t bytes = bytes_of(it->type, n * it->ne[0]);
    const bool same = it->from && it->from->type == it->type && it->plus == 0 && it->times == 1;
    int e;

    if (same && (g4_dtype_get((uint32_t)it->type)->is_block || !g4_quantize_can(it->type)))
        return g4_gguf_put(w->c->out, i, at, (const uint8_t *)it->from->data + at, bytes, err);
    if ((e = read_rows(it, row, n, w->buffer[thread].x, err))) return e;
    if (same) return g4_gguf_put(w->c->out, i, at, (const uint8_t *)it->from->data + at, bytes, err);
    encode_rows(w, it, row, n, w->buffer[thread].x, w->buffer[thread].y);
    return g4_gguf_put(w->c->out, i, at, w->buffer[thread].y, bytes, err);
}

static uint32_t count_items(void *arg, uint32_t job)
{
    const struct work *w = arg;
    const struct g4_convert_item *it = &w->c->item[job];
    const uint64_t step = rows_an_item(it);
    return atomic_load(&w->failed) ? 0 : (uint32_t)((rows_of(it) + step - 1) / step);
}

static void run_item(void *arg, uint32_t job, uint32_t item, uint32_t thread)
{
    struct work *w = arg;
    const struct g4_convert_item *it = &w->c->item[job];
    const uint64_t step = rows_an_item(it), row = item * step, left = rows_of(it) - row, n = left < step ? left : step;
    g4_err why = {0};
    if (atomic_load(&w->failed)) return;
    if (do_rows(w, job, row, n, thread, &why)) {
        fail(w, &why);
        return;
    }
    if (it->from) /* read once: keep its pages from piling up */
        g4_weights_forget((const uint8_t *)it->from->data + bytes_of(it->from->type, row * it->ne[0]), bytes_of(it->from->type, n * it->ne[0]));
    if (!w->c->p->progress) return;
    pthread_mutex_lock(&w->lock);
    w->done += bytes_of(it->type, n * it->ne[0]);
    w->c->p->progress(w->c->p->arg, w->done, w->total);
    pthread_mutex_unlock(&w->lock);
}

static int run(struct g4_convert_plan *c, struct g4_convert_report *report, g4_err *err)
{
    struct work w = { .c = c, .err = err, .total = report->bytes };
    uint64_t most = CHUNK;
    g4_pool *pool = g4_pool_new(c->p->threads ? c->p->threads : g4_cpu_count(), err);
    if (!pool) return G4_ENOMEM;
    pthread_mutex_init(&w.lock, NULL);
    for (size_t i = 0; i < c->n; i++) most = c->item[i].ne[0] > most ? c->item[i].ne[0] : most;
    w.buffer = g4_alloc(g4_pool_size(pool) * sizeof *w.buffer);
    for (uint32_t t = 0; t < g4_pool_size(pool); t++) {
        w.buffer[t].x = g4_alloc(most * sizeof(float));
        w.buffer[t].y = g4_alloc(most * sizeof(float)); /* no type is larger */
    }
    g4_pool_run(pool, &(g4_pool_work){ .n_job = (uint32_t)c->n, .items = count_items, .run = run_item, .arg = &w });
    for (uint32_t t = 0; t < g4_pool_size(pool); t++) {
        free(w.buffer[t].x);
        free(w.buffer[t].y);
    }
    free(w.buffer);
    g4_pool_free(pool);
    pthread_mutex_destroy(&w.lock);
    report->n_block = atomic_load(&w.n_block);
    report->n_grid = atomic_load(&w.n_grid);
    return atomic_load(&w.failed) ? (err ? err->code : G4_EFORMAT) : G4_OK;
}

static int write_out(struct g4_convert_plan *c, struct g4_convert_report *report, g4_err *err)
{
    int e;
    put_types(c);
    for (size_t i = 0; i < c->n; i++) {
        const struct g4_convert_item *it = &c->item[i];
        if ((e = g4_gguf_tensor(c->out, it->name, it->type, it->n_dim, it->ne, err))) return e;
        report->n_type[it->type]++;
        report->values += it->ne[0] * rows_of(it);
    }
    report->bytes = g4_gguf_bytes(c->out);
    if ((e = g4_gguf_begin(c->out, c->p->to, err)) || (e = run(c, report, err))) return e;
    return g4_gguf_end(c->out, err);
}

static int convert(struct g4_convert_plan *c, struct g4_convert_report *report, g4_err *err)
{
    g4_imatrix *m = NULL;
    int e;

    c->w = g4_weights_open(c->p->from, 0, err);
    if (!c->w) return err && err->code ? err->code : G4_EFORMAT;
    if ((e = g4_weights_is_gguf(c->w) ? plan_gguf(c, err) : g4_convert_folder(c, err))) return e;
    if ((e = choose_types(c, err)) || (e = check_source(c, err))) return e;
    if (c->p->imatrix && !(m = g4_imatrix_open(c->p->imatrix, err))) return err && err->code ? err->code : G4_EFORMAT;
    if (m) e = attach_importance(c, m, err);
    if (!e) e = write_out(c, report, err);
    g4_imatrix_free(m);
    return e;
}

int g4_convert(const struct g4_convert_params *p, struct g4_convert_report *report, g4_err *err)
{
    struct g4_convert_plan c = { .p = p };
    struct g4_convert_report own;
    g4_err why = {0};

    if (!report) report = &own;
    *report = (struct g4_convert_report){0};
    if (p->type && !(c.recipe = g4_recipe_find(p->type)))
        return g4_fail(err, G4_EUSAGE, "there is no type '%s' to quantise to: it is one of %s", p->type, g4_recipe_names());
    if (p->imatrix && !p->type) return g4_fail(err, G4_EUSAGE, "an importance matrix is of use only when quantising");
    c.out = g4_gguf_new();
    const int e = convert(&c, report, &why);
    g4_gguf_free(c.out);
    g4_weights_free(c.w);
    g4_arena_free(&c.arena);
    free(c.item);
    return e ? g4_fail(err, why.code, "%s", why.msg) : G4_OK;
}
