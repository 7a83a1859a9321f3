/* weights/kv: values of GGUF metadata, whatever width the producer chose. */
#include <string.h>

#include "weights/container.h"

/* Address of element i of a fixed-size type, NULL when out of range. */
static const uint8_t *element(const g4_kv *kv, uint64_t i)
{
    if (!kv || i >= kv->n || kv->elem == G4_GGUF_STRING) return NULL;
    return kv->data + i * g4_gguf_type_bytes(kv->elem);
}

bool g4_kv_i64(const g4_kv *kv, uint64_t i, int64_t *out)
{
    const uint8_t *p = element(kv, i);
    union { uint8_t u8; int8_t i8; uint16_t u16; int16_t i16; uint32_t u32; int32_t i32; uint64_t u64; int64_t i64; } v = {0};
    if (!p) return false;
    memcpy(&v, p, g4_gguf_type_bytes(kv->elem));
    switch (kv->elem) {
    case 0: *out = v.u8; return true;
    case 1: *out = v.i8; return true;
    case 2: *out = v.u16; return true;
    case 3: *out = v.i16; return true;
    case 4: *out = v.u32; return true;
    case 5: *out = v.i32; return true;
    case 10: *out = v.i64; return v.u64 <= INT64_MAX;
    case 11: *out = v.i64; return true;
    default: return false;
    }
}

bool g4_kv_u64(const g4_kv *kv, uint64_t i, uint64_t *out)
{
    int64_t v;
    const uint8_t *p = element(kv, i);
    if (p && kv->elem == 10) {
        memcpy(out, p, 8);
        return true;
    }
    if (!g4_kv_i64(kv, i, &v) || v < 0) return false;
    *out = (uint64_t)v;
    return true;
}

bool g4_kv_f64(const g4_kv *kv, uint64_t i, double *out)
{
    const uint8_t *p = element(kv, i);
    float f;
    int64_t n;
    if (!p) return false;
    if (kv->elem == 6) {
        memcpy(&f, p, 4);
        *out = f;
        return true;
    }
    if (kv->elem == 12) {
        memcpy(out, p, 8);
        return true;
    }
    if (!g4_kv_i64(kv, i, &n)) return false;
    *out = (double)n;
    return true;
}

bool g4_kv_bool(const g4_kv *kv, uint64_t i, bool *out)
{
    const uint8_t *p = element(kv, i);
    if (!p || kv->elem != 7) return false;
    *out = *p != 0;
    return true;
}

bool g4_kv_next_str(const g4_kv *kv, const uint8_t **pos, g4_sv *out)
{
    uint64_t n;
    if (!kv || kv->elem != G4_GGUF_STRING) return false;
    const uint8_t *p = *pos ? *pos : kv->data;
    if (p >= kv->end) return false;
    memcpy(&n, p, 8);
    *out = (g4_sv){(const char *)p + 8, (size_t)n};
    *pos = p + 8 + n;
    return true;
}

bool g4_kv_str(const g4_kv *kv, g4_sv *out)
{
    const uint8_t *pos = NULL;
    return kv && kv->type == G4_GGUF_STRING && g4_kv_next_str(kv, &pos, out);
}
