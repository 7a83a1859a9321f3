/* weights/safetensors: u64 header length, a JSON header, then the bytes.
 * Format: huggingface/safetensors README. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "weights/container.h"

enum { CAP_HEADER = 100000000, CAP_NAME = 512 };

struct st_type {
    const char *name;
    uint8_t bits;
    g4_dtype type; /* as close as the engine has one; see container.h */
};

static const struct st_type types[] = {
    { "F32", 32, G4_F32 }, { "F16", 16, G4_F16 }, { "BF16", 16, G4_BF16 }, { "F64", 64, G4_F64 },
    { "I8", 8, G4_I8 }, { "U8", 8, G4_I8 }, { "BOOL", 8, G4_I8 }, { "I16", 16, G4_I16 }, { "U16", 16, G4_I16 },
    { "I32", 32, G4_I32 }, { "U32", 32, G4_I32 }, { "I64", 64, G4_I64 }, { "U64", 64, G4_I64 }, { "C64", 64, G4_I64 },
    { "F8_E5M2", 8, G4_I8 }, { "F8_E4M3", 8, G4_I8 }, { "F8_E8M0", 8, G4_I8 }, { "F8_E4M3FNUZ", 8, G4_I8 }, { "F8_E5M2FNUZ", 8, G4_I8 },
    { "F4", 4, G4_I8 }, { "F6_E2M3", 6, G4_I8 }, { "F6_E3M2", 6, G4_I8 },
};

struct reader {
    const char *path;
    const uint8_t *begin;
    size_t at;             /* byte of the entry being read */
    const uint8_t *buffer; /* behind the header */
    size_t n_buffer;
    struct g4_container *out;
    g4_err *err;
};

static int bad(const struct reader *r, const char *name, const char *what)
{
    return g4_fail(r->err, G4_EFORMAT, "'%s': tensor '%s': %s, at byte %zu", r->path, name, what, r->at);
}

/* A non-negative integer below 2^53, written without fraction or exponent. */
static bool plain_int(g4_json v, uint64_t *out)
{
    int64_t i;
    if (g4_json_type(v) != G4_JSON_NUMBER || memchr(v.p, '.', v.n) || memchr(v.p, 'e', v.n) || memchr(v.p, 'E', v.n)) return false;
    if (!g4_json_i64(v, &i) || i < 0 || i >= (int64_t)1 << 53) return false;
    *out = (uint64_t)i;
    return true;
}

/* shape [a, b, c] becomes ne = {c, b, a}; dimensions beyond four are refused. */
static int read_shape(const struct reader *r, g4_json shape, g4_tensor *t, size_t *count)
{
    uint64_t dim[4];
    *count = 1;
    t->n_dim = 0;
    if (g4_json_type(shape) != G4_JSON_ARRAY) return bad(r, t->name, "no shape");
    for (g4_json_it it = g4_json_iter(shape); g4_json_next(&it);) {
        if (t->n_dim == 4) return bad(r, t->name, "more than 4 dimensions");
        if (!plain_int(it.value, &dim[t->n_dim])) return bad(r, t->name, "a bad dimension");
        if (!g4_size_mul(*count, (size_t)dim[t->n_dim], count)) return bad(r, t->name, "too many elements");
        t->n_dim++;
    }
    for (uint32_t d = 0; d < 4; d++) t->ne[d] = d < t->n_dim ? dim[t->n_dim - 1 - d] : 1;
    return 0;
}

static int read_entry(const struct reader *r, g4_json key, g4_json v, g4_tensor *t)
{
    const struct st_type *type = NULL;
    const g4_json dtype = g4_json_get(v, "dtype"), span = g4_json_get(v, "data_offsets");
    size_t count, bits;
    uint64_t begin, end;
    g4_str name = {0};
    g4_json_str(key, &name);
    t->name = g4_arena_strndup(r->out->arena, name.p ? name.p : "", name.n);
    const bool bad_name = !name.n || name.n > CAP_NAME || strlen(t->name) != name.n;
    g4_str_free(&name);
    if (bad_name) return bad(r, t->name, "a bad name");
    for (const char *p = t->name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) return bad(r, t->name, "a control character in the name");
    if (g4_json_type(v) != G4_JSON_OBJECT) return bad(r, t->name, "its entry is no object");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (g4_json_is(dtype, types[i].name)) type = &types[i];
    if (!type) return bad(r, t->name, "an unknown dtype");
    if (read_shape(r, g4_json_get(v, "shape"), t, &count)) return G4_EFORMAT;
    if (!g4_size_mul(count, type->bits, &bits) || bits % 8) return bad(r, t->name, "a size that is no number of bytes");
    if (g4_json_count(span) != 2 || !plain_int(g4_json_at(span, 0), &begin) || !plain_int(g4_json_at(span, 1), &end))
        return bad(r, t->name, "bad data_offsets");
    if (begin > end || end > r->n_buffer) return bad(r, t->name, "data_offsets outside the file (truncated?)");
    if (end - begin != bits / 8) return bad(r, t->name, "data_offsets that do not fit the shape");
    t->type = type->type;
    if (type->bits < 8) { /* packed: plain bytes, so that elements times their size is what lies there */
        t->n_dim = 1;
        t->ne[0] = bits / 8;
        t->ne[1] = t->ne[2] = t->ne[3] = 1;
    }
    t->data = r->buffer + begin;
    t->bytes = (size_t)(end - begin);
    return 0;
}

static int by_data(const void *a, const void *b)
{
    const g4_tensor *x = *(const g4_tensor *const *)a, *y = *(const g4_tensor *const *)b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* Sorted by where they begin, the spans must tile the buffer without holes. */
static int check_tiling(const struct reader *r)
{
    const size_t n = r->out->n_tensor;
    const g4_tensor **order = g4_realloc(NULL, (n + 1) * sizeof *order);
    const uint8_t *expect = r->buffer;
    int result = 0;
    for (size_t i = 0; i < n; i++) order[i] = &r->out->tensor[i];
    qsort(order, n, sizeof *order, by_data);
    for (size_t i = 0; i < n && !result; i++) {
        if (order[i]->data != expect)
            result = g4_fail(r->err, G4_EFORMAT, "'%s': tensor '%s': its bytes overlap another's or leave a hole at byte %zu", r->path,
                             order[i]->name, (size_t)((const uint8_t *)order[i]->data - r->begin));
        expect = (const uint8_t *)order[i]->data + order[i]->bytes;
    }
    if (!result && expect != r->buffer + r->n_buffer)
        result = g4_fail(r->err, G4_EFORMAT, "'%s': %zu bytes at the end belong to no tensor", r->path, (size_t)(r->buffer + r->n_buffer - expect));
    free(order);
    return result;
}

/* A flat map of strings. */
static int check_metadata(const struct reader *r, g4_json v)
{
    bool flat = g4_json_type(v) == G4_JSON_OBJECT;
    for (g4_json_it it = g4_json_iter(v); flat && g4_json_next(&it);) flat = g4_json_type(it.value) == G4_JSON_STRING;
    return flat ? 0 : bad(r, "__metadata__", "not a map of strings");
}

int g4_safetensors_read(const g4_map *m, const char *path, struct g4_container *out, g4_err *err)
{
    uint64_t n;
    g4_json header;
    g4_err why = {0};
    if (m->n < 8) return g4_fail(err, G4_EFORMAT, "'%s': shorter than a safetensors header", path);
    memcpy(&n, m->p, 8);
    if (n > CAP_HEADER || n > m->n - 8) return g4_fail(err, G4_EFORMAT, "'%s': header length %" PRIu64 " at byte 0 does not fit the file", path, n);
    const char *text = (const char *)m->p + 8;
    if (!n || *text != '{') return g4_fail(err, G4_EFORMAT, "'%s': the header at byte 8 is no JSON object", path);
    if (g4_json_check_unique(text, (size_t)n, &header, &why)) return g4_fail(err, G4_EFORMAT, "'%s': header: %s", path, why.msg);
    struct reader r = { path, m->p, 8, m->p + 8 + n, m->n - 8 - (size_t)n, out, err };
    out->tensor = g4_arena_alloc(out->arena, (g4_json_count(header) + 1) * sizeof *out->tensor);
    out->n_tensor = 0;
    for (g4_json_it it = g4_json_iter(header); g4_json_next(&it);) {
        r.at = (size_t)((const uint8_t *)it.begin - m->p);
        if (g4_json_is(it.key, "__metadata__")) {
            if (check_metadata(&r, it.value)) return G4_EFORMAT;
            continue;
        }
        if (read_entry(&r, it.key, it.value, &out->tensor[out->n_tensor])) return G4_EFORMAT;
        out->n_tensor++;
    }
    return check_tiling(&r);
}
