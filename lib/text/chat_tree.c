/* text/chat_tree: JSON as a tree, and the order of keys. */
#include "text/chat_impl.h"

#include <stdlib.h>
#include <string.h>

static g4_sv decoded(g4_arena *a, g4_json v)
{
    if (!memchr(v.p, '\\', v.n)) return (g4_sv){v.p + 1, v.n - 2};
    g4_str s = {0};
    g4_json_str(v, &s);
    const g4_sv out = {g4_arena_strndup(a, s.p ? s.p : "", s.n), s.n};
    g4_str_free(&s);
    return out;
}

static int by_bytes(g4_sv a, g4_sv b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int by_key(const void *x, const void *y)
{
    const g4_node *a = *(const g4_node *const *)x, *b = *(const g4_node *const *)y;
    const int c = by_bytes(a->key, b->key);
    return c ? c : (a > b) - (a < b);
}

/* Leaves one member a key: the last value at the first place. */
static void drop_repeated(g4_node *v)
{
    const g4_node **p = g4_realloc(NULL, v->n * sizeof *p);
    for (size_t i = 0; i < v->n; i++) p[i] = v->kid + i;
    qsort(p, v->n, sizeof *p, by_key);
    bool any = false;
    for (size_t i = 0, j; i < v->n; i = j) {
        for (j = i + 1; j < v->n && g4_sv_same(p[i]->key, p[j]->key);) j++;
        if (j == i + 1) continue;
        any = true;
        v->kid[p[i] - v->kid] = *p[j - 1];
        for (size_t k = i + 1; k < j; k++) v->kid[p[k] - v->kid].type = G4_JSON_NONE;
    }
    free(p);
    if (!any) return;
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++)
        if (v->kid[i].type != G4_JSON_NONE) v->kid[n++] = v->kid[i];
    v->n = n;
}

static void fill(g4_arena *a, g4_node *out, g4_json v)
{
    out->type = g4_json_type(v);
    out->span = v;
    switch (out->type) {
    case G4_JSON_BOOL: g4_json_bool(v, &out->yes); break;
    case G4_JSON_NUMBER: out->text = v; break;
    case G4_JSON_STRING: out->text = decoded(a, v); break;
    case G4_JSON_ARRAY:
    case G4_JSON_OBJECT:
        out->n = g4_json_count(v);
        if (out->n) out->kid = g4_arena_alloc(a, out->n * sizeof *out->kid);
        size_t i = 0;
        for (g4_json_it it = g4_json_iter(v); i < out->n && g4_json_next(&it); i++) {
            if (out->type == G4_JSON_OBJECT) out->kid[i].key = decoded(a, it.key);
            fill(a, out->kid + i, it.value);
        }
        if (out->type == G4_JSON_OBJECT && out->n > 1) drop_repeated(out);
        break;
    default: break;
    }
}

/* Recursion is as deep as the document, which the check bounds (json.h). */
g4_node *g4_node_read(g4_arena *a, g4_json v)
{
    g4_node *out = g4_arena_alloc(a, sizeof *out);
    if (v.p) fill(a, out, v);
    return out;
}

const g4_node *g4_node_get(const g4_node *v, const char *key)
{
    static const g4_node none;
    if (v->type != G4_JSON_OBJECT) return &none;
    for (size_t i = 0; i < v->n; i++)
        if (g4_sv_eq(v->kid[i].key, key)) return v->kid + i;
    return &none;
}

bool g4_node_is(const g4_node *v, const char *z)
{
    return v->type == G4_JSON_STRING && g4_sv_eq(v->text, z);
}

bool g4_node_true(const g4_node *v)
{
    switch (v->type) {
    case G4_JSON_BOOL: return v->yes;
    case G4_JSON_STRING: return v->text.n > 0;
    case G4_JSON_ARRAY:
    case G4_JSON_OBJECT: return v->n > 0;
    case G4_JSON_NUMBER:
        for (size_t i = 0; i < v->text.n && v->text.p[i] != 'e' && v->text.p[i] != 'E'; i++)
            if (v->text.p[i] >= '1' && v->text.p[i] <= '9') return true;
        return false;
    default: return false;
    }
}

/* Simple lower case of the alphabets that have one and are in use: Latin, Greek,
 * Cyrillic, Armenian, full-width.  Own ranges, since towlower depends on the
 * locale and a prompt must not. */
static uint32_t lower(uint32_t c)
{
    static const struct { uint32_t lo, hi, add; } shift[] = {
        {'A', 'Z', 32}, {0xC0, 0xD6, 32}, {0xD8, 0xDE, 32}, {0x386, 0x386, 38}, {0x388, 0x38A, 37},
        {0x38C, 0x38C, 64}, {0x38E, 0x38F, 63}, {0x391, 0x3A1, 32}, {0x3A3, 0x3AB, 32}, {0x400, 0x40F, 80},
        {0x410, 0x42F, 32}, {0x531, 0x556, 48}, {0xFF21, 0xFF3A, 32},
    };
    static const struct { uint32_t lo, hi, odd; } pair[] = { /* upper at even (odd) places, lower next to it */
        {0x100, 0x12F, 0}, {0x132, 0x137, 0}, {0x139, 0x148, 1}, {0x14A, 0x177, 0}, {0x179, 0x17E, 1},
        {0x370, 0x373, 0}, {0x3D8, 0x3EF, 0}, {0x460, 0x481, 0}, {0x48A, 0x4BF, 0}, {0x4C1, 0x4CE, 1},
        {0x4D0, 0x52F, 0}, {0x1E00, 0x1E95, 0}, {0x1EA0, 0x1EFF, 0},
    };
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c == 0x178) return 0xFF;
    for (size_t i = 0; i < sizeof shift / sizeof *shift; i++)
        if (c >= shift[i].lo && c <= shift[i].hi) return c + shift[i].add;
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
        if (c >= pair[i].lo && c <= pair[i].hi) return (c & 1) == pair[i].odd ? c + 1 : c;
    return c;
}

struct entry {
    const g4_node *node;
    g4_sv low;
};

static int by_low(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    const int c = by_bytes(a->low, b->low);
    return c ? c : (a->node > b->node) - (a->node < b->node);
}

const g4_node **g4_node_sorted(g4_arena *a, const g4_node *v)
{
    const g4_node **out = g4_arena_alloc(a, v->n * sizeof *out);
    struct entry *e = g4_realloc(NULL, v->n * sizeof *e);
    g4_str s = {0};
    for (size_t i = 0; i < v->n; i++) {
        const g4_sv k = v->kid[i].key;
        g4_str_clear(&s);
        for (size_t at = 0, len; at < k.n; at += len) {
            uint32_t cp;
            char buf[4];
            len = g4_utf8_decode(k.p + at, k.n - at, &cp);
            if (len) g4_str_add(&s, buf, g4_utf8_encode(lower(cp), buf));
            else g4_str_add(&s, k.p + at, len = 1);
        }
        e[i] = (struct entry){v->kid + i, {g4_arena_strndup(a, s.p ? s.p : "", s.n), s.n}};
    }
    qsort(e, v->n, sizeof *e, by_low);
    for (size_t i = 0; i < v->n; i++) out[i] = e[i].node;
    free(e);
    g4_str_free(&s);
    return out;
}
