/* weights/gguf_write: see gguf_write.h. */
#include "weights/gguf_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "weights/container.h"
#include "weights/index.h"

enum { ALIGN = 32, GGUF_U32 = 4, GGUF_I32 = 5, GGUF_F32 = 6, GGUF_BOOL = 7 };

struct entry {
    g4_sv key;
    g4_str value; /* with its type in front */
};

struct tensor {
    char *name;
    g4_dtype type;
    uint32_t n_dim;
    uint64_t ne[4], offset, bytes; /* offset in the data section */
};

struct g4_gguf {
    g4_arena arena;
    struct entry *kv;
    size_t n_kv, cap_kv;
    struct tensor *tensor;
    size_t n_tensor, cap_tensor;
    struct g4_index keys, names;
    uint64_t data_bytes;
    uint64_t start; /* of the data section, once begun */
    g4_new_file file;
};

g4_gguf *g4_gguf_new(void)
{
    g4_gguf *g = g4_alloc(sizeof *g);
    g->file.fd = -1;
    return g;
}

void g4_gguf_free(g4_gguf *g)
{
    if (!g) return;
    g4_new_file_drop(&g->file);
    for (size_t i = 0; i < g->n_kv; i++) g4_str_free(&g->kv[i].value);
    g4_index_free(&g->keys);
    g4_index_free(&g->names);
    g4_arena_free(&g->arena);
    free(g->kv);
    free(g->tensor);
    free(g);
}

/* ---- metadata ------------------------------------------------------------- */

/* The entry of a key, empty, its type written. */
static g4_str *entry(g4_gguf *g, g4_sv key, uint32_t type)
{
    size_t i;
    if (!g4_index_find(&g->keys, key, &i)) {
        i = g->n_kv;
        G4_GROW(g->kv, g->cap_kv, i + 1);
        g->kv[i] = (struct entry){ .key = { g4_arena_strndup(&g->arena, key.p, key.n), key.n } };
        g4_index_add(&g->keys, g->kv[i].key, i);
        g->n_kv++;
    }
    g4_str *s = &g->kv[i].value;
    g4_str_clear(s);
    g4_str_add(s, &type, 4);
    return s;
}

static g4_sv view(const char *z)
{
    return (g4_sv){ z, strlen(z) };
}

static void add_u64(g4_str *s, uint64_t v)
{
    g4_str_add(s, &v, 8);
}

static void add_string(g4_str *s, g4_sv v)
{
    add_u64(s, v.n);
    g4_str_add(s, v.p, v.n);
}

void g4_gguf_u32(g4_gguf *g, const char *key, uint32_t v)
{
    g4_str_add(entry(g, view(key), GGUF_U32), &v, 4);
}

void g4_gguf_i32(g4_gguf *g, const char *key, int32_t v)
{
    g4_str_add(entry(g, view(key), GGUF_I32), &v, 4);
}

void g4_gguf_f32(g4_gguf *g, const char *key, float v)
{
    g4_str_add(entry(g, view(key), GGUF_F32), &v, 4);
}

void g4_gguf_bool(g4_gguf *g, const char *key, bool v)
{
    g4_str_addc(entry(g, view(key), GGUF_BOOL), v ? 1 : 0);
}

void g4_gguf_str(g4_gguf *g, const char *key, g4_sv v)
{
    add_string(entry(g, view(key), G4_GGUF_STRING), v);
}

void g4_gguf_strz(g4_gguf *g, const char *key, const char *v)
{
    g4_gguf_str(g, key, view(v));
}

static g4_str *array(g4_gguf *g, const char *key, uint32_t elem, size_t n)
{
    g4_str *s = entry(g, view(key), G4_GGUF_ARRAY);
    g4_str_add(s, &elem, 4);
    add_u64(s, n);
    return s;
}

void g4_gguf_array(g4_gguf *g, const char *key, uint32_t elem, const void *v, size_t n)
{
    g4_str_add(array(g, key, elem, n), v, n * g4_gguf_type_bytes(elem));
}

void g4_gguf_strings(g4_gguf *g, const char *key, const g4_sv *v, size_t n)
{
    g4_str *s = array(g, key, G4_GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) add_string(s, v[i]);
}

void g4_gguf_string_bytes(g4_gguf *g, const char *key, const void *v, size_t bytes, size_t n)
{
    g4_str_add(array(g, key, G4_GGUF_STRING, n), v, bytes);
}

void g4_gguf_kv(g4_gguf *g, const g4_kv *kv)
{
    g4_str *s = entry(g, kv->key, kv->type);
    if (kv->type == G4_GGUF_ARRAY) {
        g4_str_add(s, &kv->elem, 4);
        add_u64(s, kv->n);
    }
    g4_str_add(s, kv->data, (size_t)(kv->end - kv->data));
}

/* ---- tensors --------------------------------------------------------------- */

static uint64_t aligned(uint64_t v)
{
    return (v + ALIGN - 1) / ALIGN * ALIGN;
}

int g4_gguf_tensor(g4_gguf *g, const char *name, g4_dtype type, uint32_t n_dim, const uint64_t ne[4], g4_err *err)
{
    const g4_dtype_info *info = g4_dtype_get(type);
    const size_t length = strlen(name), i = g->n_tensor;
    size_t count = 1, bytes;
    if (!length || length > 63) return g4_fail(err, G4_EUNSUP, "tensor '%s': a GGUF holds names of 1 to 63 bytes", name);
    for (uint32_t d = 0; d < n_dim; d++)
        if (!ne[d] || !g4_size_mul(count, ne[d], &count)) return g4_fail(err, G4_EUNSUP, "tensor '%s': its shape does not fit a GGUF", name);
    if (!info || n_dim > 4 || (n_dim ? ne[0] : 1) % info->block || !g4_size_mul(count / info->block, info->bytes, &bytes))
        return g4_fail(err, G4_EUNSUP, "tensor '%s': its shape does not fit the type %s", name, info ? info->name : "?");
    G4_GROW(g->tensor, g->cap_tensor, i + 1);
    struct tensor *t = &g->tensor[i];
    *t = (struct tensor){ .name = g4_arena_strndup(&g->arena, name, length), .type = type, .n_dim = n_dim, .offset = g->data_bytes, .bytes = bytes };
    for (uint32_t d = 0; d < 4; d++) t->ne[d] = d < n_dim ? ne[d] : 1;
    if (!g4_index_add(&g->names, view(t->name), i)) return g4_fail(err, G4_EUNSUP, "tensor '%s' is there twice", name);
    g->data_bytes = aligned(g->data_bytes + bytes);
    g->n_tensor++;
    return G4_OK;
}

/* Everything before the data section, padding included. */
static void header(const g4_gguf *g, g4_str *s)
{
    const uint32_t version = 3;
    g4_str_add(s, "GGUF", 4);
    g4_str_add(s, &version, 4);
    add_u64(s, g->n_tensor);
    add_u64(s, g->n_kv);
    for (size_t i = 0; i < g->n_kv; i++) {
        add_string(s, g->kv[i].key);
        g4_str_add(s, g->kv[i].value.p, g->kv[i].value.n);
    }
    for (size_t i = 0; i < g->n_tensor; i++) {
        const struct tensor *t = &g->tensor[i];
        const uint32_t type = (uint32_t)t->type;
        add_string(s, view(t->name));
        g4_str_add(s, &t->n_dim, 4);
        g4_str_add(s, t->ne, 8 * (size_t)t->n_dim);
        g4_str_add(s, &type, 4);
        add_u64(s, t->offset);
    }
    while (g->n_tensor && s->n % ALIGN) g4_str_addc(s, 0);
}

uint64_t g4_gguf_bytes(const g4_gguf *g)
{
    g4_str s = {0};
    header(g, &s);
    const uint64_t n = s.n + g->data_bytes;
    g4_str_free(&s);
    return n;
}

/* ---- the file ----------------------------------------------------------------- */

static int put(g4_gguf *g, uint64_t at, const void *data, size_t n, g4_err *err)
{
    for (const char *p = data; n;) {
        const ssize_t w = pwrite(g->file.fd, p, n, (off_t)at);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return g4_fail_errno(err, G4_EIO, "cannot write '%s'", g->file.path);
        p += w;
        at += (uint64_t)w;
        n -= (size_t)w;
    }
    return G4_OK;
}

int g4_gguf_begin(g4_gguf *g, const char *path, g4_err *err)
{
    g4_str s = {0};
    int r = g4_new_file_open(&g->file, path, err);
    if (r) return r;
    header(g, &s);
    g->start = s.n;
    const uint64_t size = s.n + g->data_bytes;
    /* Room first: a full disk shows now, not after an hour.  What is not written stays zero: the padding. */
    int rc = posix_fallocate(g->file.fd, 0, (off_t)size);
    if (rc == EOPNOTSUPP || rc == EINVAL) rc = ftruncate(g->file.fd, (off_t)size) ? errno : 0;
    errno = rc;
    if (rc) r = g4_fail_errno(err, G4_EIO, "cannot make room for the %" PRIu64 " bytes of '%s'", size, path);
    else r = put(g, 0, s.p, s.n, err);
    g4_str_free(&s);
    return r;
}

int g4_gguf_put(g4_gguf *g, size_t i, uint64_t at, const void *p, size_t n, g4_err *err)
{
    return put(g, g->start + g->tensor[i].offset + at, p, n, err);
}

int g4_gguf_end(g4_gguf *g, g4_err *err)
{
    return g4_new_file_commit(&g->file, err);
}
