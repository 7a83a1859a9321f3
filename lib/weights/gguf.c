/* weights/gguf: the GGUF container, read from a bounded cursor.
 *
 * Order of the checks: header counts against the bytes that are left, then the
 * whole metadata (strings are skipped by their lengths, nothing is copied), the
 * alignment, the tensor directory, and last that every tensor lies inside the
 * data section, aligned, without overlapping another.
 * Format: GGUF specification, versions 2 and 3. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "weights/container.h"
#include "weights/index.h"

enum {
    CAP_KV = 1000000,
    CAP_TENSOR = 1000000,
    CAP_KEY = 65535,
    CAP_NAME = 63,
    CAP_STRING = 64 << 20,
    CAP_ARRAY = 1 << 30,
    MIN_KV = 8 + 1 + 4 + 1,          /* key length, one byte of key, type, one byte of value */
    MIN_TENSOR = 8 + 1 + 4 + 4 + 8,  /* name, no dims, type, offset */
};

struct cursor {
    const uint8_t *begin, *p, *end;
    const char *path;
    g4_err *err;
};

static size_t at(const struct cursor *c)
{
    return (size_t)(c->p - c->begin);
}

static size_t left(const struct cursor *c)
{
    return (size_t)(c->end - c->p);
}

/* The field that is wrong begins `back` bytes before the cursor. */
static int bad_at(const struct cursor *c, size_t back, const char *what)
{
    return g4_fail(c->err, G4_EFORMAT, "'%s': %s at byte %zu", c->path, what, at(c) - back);
}

static int bad(const struct cursor *c, const char *what)
{
    return bad_at(c, 0, what);
}

static int take_u32(struct cursor *c, uint32_t *v, const char *what)
{
    if (left(c) < 4) return bad(c, what);
    memcpy(v, c->p, 4);
    c->p += 4;
    return 0;
}

static int take_u64(struct cursor *c, uint64_t *v, const char *what)
{
    if (left(c) < 8) return bad(c, what);
    memcpy(v, c->p, 8);
    c->p += 8;
    return 0;
}

static int take_string(struct cursor *c, g4_sv *s, size_t cap, const char *what)
{
    uint64_t n = 0;
    if (take_u64(c, &n, what)) return G4_EFORMAT;
    if (n > left(c)) {
        c->p -= 8;
        return bad(c, what);
    }
    if (n > cap) {
        c->p -= 8;
        return g4_fail(c->err, G4_EFORMAT, "'%s': %s of %" PRIu64 " bytes at byte %zu, at most %zu are allowed", c->path, what, n, at(c), cap);
    }
    *s = (g4_sv){(const char *)c->p, (size_t)n};
    c->p += n;
    return 0;
}

size_t g4_gguf_type_bytes(uint32_t type)
{
    static const uint8_t bytes[13] = { 1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8 };
    return type < 13 ? bytes[type] : 0;
}

static bool has_control(g4_sv s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f) return true;
    return false;
}

/* Skips n values of one type, checking strings' lengths. */
static int skip_values(struct cursor *c, uint32_t type, uint64_t n)
{
    const size_t size = g4_gguf_type_bytes(type);
    if (n > left(c) / size) return bad(c, "a value that runs past the end of the file");
    if (type != G4_GGUF_STRING) {
        c->p += n * size;
        return 0;
    }
    for (uint64_t i = 0; i < n; i++) {
        g4_sv s;
        if (take_string(c, &s, CAP_STRING, "a bad string length")) return G4_EFORMAT;
    }
    return 0;
}

static int read_value(struct cursor *c, g4_kv *kv)
{
    if (take_u32(c, &kv->type, "a missing value type")) return G4_EFORMAT;
    kv->elem = kv->type;
    kv->n = 1;
    if (kv->type == G4_GGUF_ARRAY) {
        if (take_u32(c, &kv->elem, "a missing array type") || take_u64(c, &kv->n, "a missing array length")) return G4_EFORMAT;
        if (kv->elem == G4_GGUF_ARRAY) return bad_at(c, 12, "an array of arrays, which is not supported,");
        if (kv->n > CAP_ARRAY) return bad_at(c, 8, "an array length over 2^30");
    }
    if (!g4_gguf_type_bytes(kv->elem))
        return g4_fail(c->err, G4_EFORMAT, "'%s': unknown value type %" PRIu32 " at byte %zu", c->path, kv->elem,
                       at(c) - (kv->type == G4_GGUF_ARRAY ? 12 : 4));
    kv->data = c->p;
    if (skip_values(c, kv->elem, kv->n)) return G4_EFORMAT;
    kv->end = c->p;
    return 0;
}

static int read_kvs(struct cursor *c, struct g4_container *out)
{
    struct g4_index seen = {0};
    int r = 0;
    for (size_t i = 0; i < out->n_kv && !r; i++) {
        g4_kv *kv = &out->kv[i];
        const struct cursor before = *c;
        if ((r = take_string(c, &kv->key, CAP_KEY, "a bad key length"))) break;
        if (!kv->key.n) r = bad(&before, "an empty key");
        else if (has_control(kv->key)) r = bad(&before, "a control character in a key");
        else if (!g4_index_add(&seen, kv->key, i))
            r = g4_fail(c->err, G4_EFORMAT, "'%s': key '%.*s' is repeated at byte %zu", c->path, (int)kv->key.n, kv->key.p, at(&before));
        else r = read_value(c, kv);
        if (!r && kv->elem == 7 && kv->type == 7 && *kv->data > 1)
            g4_log(G4_LOG_WARN, "'%s': boolean '%.*s' is %u, taken as true", c->path, (int)kv->key.n, kv->key.p, *kv->data);
    }
    g4_index_free(&seen);
    return r;
}

static const g4_kv *find_kv(const struct g4_container *f, const char *key)
{
    for (size_t i = 0; i < f->n_kv; i++)
        if (g4_sv_eq(f->kv[i].key, key)) return &f->kv[i];
    return NULL;
}

static int read_alignment(const struct cursor *c, const struct g4_container *f, uint32_t *align)
{
    const g4_kv *kv = find_kv(f, "general.alignment");
    *align = 32;
    if (!kv) return 0;
    const size_t pos = (size_t)(kv->data - c->begin);
    if (kv->type != 4) return g4_fail(c->err, G4_EFORMAT, "'%s': general.alignment is not a u32, at byte %zu", c->path, pos);
    memcpy(align, kv->data, 4);
    if (!*align || *align & (*align - 1) || *align > 65536)
        return g4_fail(c->err, G4_EFORMAT, "'%s': general.alignment is %" PRIu32 ", not a power of two up to 65536, at byte %zu", c->path,
                       *align, pos);
    return 0;
}

static int bad_tensor(const struct cursor *c, const g4_tensor *t, size_t back, const char *what)
{
    return g4_fail(c->err, G4_EFORMAT, "'%s': tensor '%s': %s at byte %zu", c->path, t->name, what, at(c) - back);
}

/* Dimensions and type to a checked number of bytes. */
static int size_tensor(struct cursor *c, g4_tensor *t, uint32_t type)
{
    size_t count = 1, bytes;
    const g4_dtype_info *info = g4_dtype_get(type);
    const size_t dims = 4 + 8 * (size_t)t->n_dim; /* they stand before the type */
    if (!info)
        return g4_fail(c->err, type >= G4_DTYPE_END ? G4_EUNSUP : G4_EFORMAT, "'%s': tensor '%s' has the unknown type %" PRIu32 " at byte %zu",
                       c->path, t->name, type, at(c) - 4);
    for (uint32_t d = 0; d < 4; d++)
        if (!g4_size_mul(count, t->ne[d], &count)) return bad_tensor(c, t, dims, "too many elements");
    if (t->ne[0] % info->block) return bad_tensor(c, t, dims, "the row length is no multiple of the type's block");
    if (!g4_size_mul(count / info->block, info->bytes, &bytes) || bytes > SIZE_MAX - 65536)
        return bad_tensor(c, t, dims, "too many bytes");
    t->type = (g4_dtype)type;
    t->bytes = bytes;
    return 0;
}

/* One entry of the directory; *offset is relative to the data section. */
static int read_tensor(struct cursor *c, struct g4_container *out, g4_tensor *t, uint64_t *offset)
{
    g4_sv name;
    uint32_t type = 0;
    const struct cursor before = *c;
    if (take_string(c, &name, CAP_NAME, "a bad tensor name length")) return G4_EFORMAT;
    if (!name.n) return bad(&before, "an empty tensor name");
    if (has_control(name)) return bad(&before, "a control character in a tensor name");
    t->name = g4_arena_strndup(out->arena, name.p, name.n);
    if (take_u32(c, &t->n_dim, "a missing dimension count")) return G4_EFORMAT;
    if (t->n_dim > 4) return bad_tensor(c, t, 4, "more than 4 dimensions");
    for (uint32_t d = 0; d < 4; d++) {
        t->ne[d] = 1;
        if (d < t->n_dim && take_u64(c, &t->ne[d], "a missing dimension")) return G4_EFORMAT;
        if (!t->ne[d] || t->ne[d] > (uint64_t)1 << 48) return bad_tensor(c, t, 8, "a dimension of 0 or over 2^48");
    }
    if (take_u32(c, &type, "a missing tensor type")) return G4_EFORMAT;
    if (size_tensor(c, t, type)) return c->err ? c->err->code : G4_EFORMAT;
    return take_u64(c, offset, "a missing tensor offset");
}

static int by_data(const void *a, const void *b)
{
    const g4_tensor *x = *(const g4_tensor *const *)a, *y = *(const g4_tensor *const *)b;
    return x->data < y->data ? -1 : x->data > y->data;
}

/* Tensors may stand in any order and leave gaps, but must not share bytes.  What
 * the format's own writer would not do is noted. */
static int check_disjoint(const struct cursor *c, struct g4_container *out, uint32_t align)
{
    g4_tensor **order = g4_realloc(NULL, (out->n_tensor + 1) * sizeof *order);
    bool in_order = true;
    size_t last = 0;
    int r = 0;
    for (size_t i = 0; i < out->n_tensor; i++) order[i] = &out->tensor[i];
    qsort(order, out->n_tensor, sizeof *order, by_data);
    for (size_t i = 0; i < out->n_tensor && !r; i++) {
        const size_t begin = (size_t)((const uint8_t *)order[i]->data - c->begin);
        if (i && begin < last) r = g4_fail(c->err, G4_EFORMAT, "'%s': tensors '%s' and '%s' overlap at byte %zu", c->path, order[i - 1]->name, order[i]->name, begin);
        in_order &= order[i] == &out->tensor[i] && (!i || begin == (last + align - 1) / align * align);
        last = begin + order[i]->bytes;
    }
    if (!r && !in_order) g4_log(G4_LOG_VERBOSE, "'%s': tensors out of order or with gaps between them", c->path);
    if (!r && last && (size_t)(c->end - c->begin) > (last + align - 1) / align * align)
        g4_log(G4_LOG_VERBOSE, "'%s': bytes behind the last tensor", c->path);
    free(order);
    return r;
}

static int read_tensors(struct cursor *c, struct g4_container *out, uint32_t align)
{
    uint64_t *offset = g4_realloc(NULL, (out->n_tensor + 1) * sizeof *offset);
    size_t *where = g4_realloc(NULL, (out->n_tensor + 1) * sizeof *where); /* the offset fields, for messages */
    struct g4_index seen = {0};
    int r = 0;
    for (size_t i = 0; i < out->n_tensor && !r; i++) {
        g4_tensor *t = &out->tensor[i];
        const size_t from = at(c);
        if ((r = read_tensor(c, out, t, &offset[i]))) break;
        where[i] = at(c) - 8;
        if (!g4_index_add(&seen, (g4_sv){t->name, strlen(t->name)}, i)) r = bad_tensor(c, t, at(c) - from, "the name is repeated");
    }
    const size_t start = (at(c) + align - 1) / align * align, size = (size_t)(c->end - c->begin);
    for (size_t i = 0; i < out->n_tensor && !r; i++) {
        g4_tensor *t = &out->tensor[i];
        c->p = c->begin + where[i];
        if (offset[i] % align) r = bad_tensor(c, t, 0, "the data offset is not aligned");
        else if (start > size || offset[i] > size - start || t->bytes > size - start - offset[i])
            r = g4_fail(c->err, G4_EFORMAT, "'%s': tensor '%s' ends outside the file of %zu bytes (truncated?): offset %" PRIu64 " and %zu bytes, at byte %zu",
                        c->path, t->name, size, offset[i], t->bytes, where[i]);
        else t->data = c->begin + start + offset[i];
    }
    if (!r) r = check_disjoint(c, out, align);
    g4_index_free(&seen);
    free(offset);
    free(where);
    return r;
}

static int check_version(struct cursor *c)
{
    uint32_t version;
    c->p += 4;
    if (take_u32(c, &version, "a missing version")) return G4_EFORMAT;
    if (version == 2 || version == 3) return 0;
    if (version && !(version & 0xFFFF))
        return g4_fail(c->err, G4_EUNSUP, "'%s': a big-endian GGUF file, which is not supported", c->path);
    if (version == 1) return g4_fail(c->err, G4_EUNSUP, "'%s': GGUF version 1 is not supported: convert the model anew", c->path);
    return g4_fail(c->err, G4_EUNSUP, "'%s': unknown GGUF version %" PRIu32 ", 2 and 3 are supported", c->path, version);
}

int g4_gguf_read(const g4_map *m, const char *path, struct g4_container *out, g4_err *err)
{
    g4_err local = {0};
    struct cursor c = { m->p, m->p, m->p + m->n, path, err ? err : &local };
    uint64_t n_tensor, n_kv;
    uint32_t align;
    if (m->n < 4 || memcmp(m->p, "GGUF", 4)) return g4_fail(err, G4_EFORMAT, "'%s': not a GGUF file (wrong magic at byte 0)", path);
    if (m->n < 24) return g4_fail(err, G4_EFORMAT, "'%s': a GGUF header cut short at byte %zu", path, m->n);
    if (check_version(&c)) return c.err->code;
    if (take_u64(&c, &n_tensor, "a missing tensor count") || take_u64(&c, &n_kv, "a missing metadata count")) return G4_EFORMAT;
    if (n_kv > CAP_KV || n_kv > left(&c) / MIN_KV)
        return g4_fail(err, G4_EFORMAT, "'%s': %" PRIu64 " metadata entries do not fit the file, at byte 16", path, n_kv);
    if (n_tensor > CAP_TENSOR || n_tensor > left(&c) / MIN_TENSOR)
        return g4_fail(err, G4_EFORMAT, "'%s': %" PRIu64 " tensors do not fit the file, at byte 8", path, n_tensor);
    out->n_kv = (size_t)n_kv;
    out->n_tensor = (size_t)n_tensor;
    out->kv = g4_arena_alloc(out->arena, out->n_kv * sizeof *out->kv);
    out->tensor = g4_arena_alloc(out->arena, out->n_tensor * sizeof *out->tensor);
    if (read_kvs(&c, out) || read_alignment(&c, out, &align) || read_tensors(&c, out, align)) return c.err->code;
    return G4_OK;
}
