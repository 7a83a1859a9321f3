/* hub/header: see header.h.  A short walk finds where the header ends; once all
 * of it is there the container's own reader checks it against the file's size. */
#include "hub/header.h"

#include <string.h>
#include <sys/mman.h>

#include "base/str.h"
#include "weights/container.h"

enum { FIRST_LOOK = 1 << 20, DIMS_MAX = 8 };

struct walk {
    const uint8_t *p;
    uint64_t n, at;
    bool bad; /* no GGUF can look like this, however it goes on */
};

/* Steps over n bytes; false when they are not all there. */
static bool skip(struct walk *w, uint64_t n)
{
    if (n > w->n - w->at) return false;
    w->at += n;
    return true;
}

static bool u32(struct walk *w, uint32_t *v)
{
    if (!skip(w, 4)) return false;
    memcpy(v, w->p + w->at - 4, 4);
    return true;
}

static bool u64(struct walk *w, uint64_t *v)
{
    if (!skip(w, 8)) return false;
    memcpy(v, w->p + w->at - 8, 8);
    return true;
}

static bool string(struct walk *w)
{
    uint64_t n;
    return u64(w, &n) && skip(w, n);
}

static bool value(struct walk *w, uint32_t type)
{
    uint32_t elem;
    uint64_t n;
    if (type == G4_GGUF_STRING) return string(w);
    if (type != G4_GGUF_ARRAY) {
        w->bad |= !g4_gguf_type_bytes(type);
        return !w->bad && skip(w, g4_gguf_type_bytes(type));
    }
    if (!u32(w, &elem) || !u64(w, &n)) return false;
    const size_t bytes = elem == G4_GGUF_ARRAY ? 0 : g4_gguf_type_bytes(elem);
    w->bad |= !bytes;
    if (w->bad) return false;
    if (elem != G4_GGUF_STRING) return n <= (w->n - w->at) / bytes && skip(w, n * bytes);
    for (uint64_t i = 0; i < n; i++)
        if (!string(w)) return false;
    return true;
}

static bool tensor(struct walk *w)
{
    uint32_t dims, type;
    if (!string(w) || !u32(w, &dims)) return false;
    w->bad |= dims > DIMS_MAX;
    return !w->bad && skip(w, 8 * (uint64_t)dims) && u32(w, &type) && skip(w, 8);
}

/* True when the whole header is there. */
static bool reaches_end(struct walk *w)
{
    uint32_t magic, version, type;
    uint64_t n_tensor, n_kv;
    if (!u32(w, &magic)) return false;
    w->bad = magic != 0x46554747; /* "GGUF" */
    if (w->bad || !u32(w, &version) || !u64(w, &n_tensor) || !u64(w, &n_kv)) return false;
    w->bad = version < 2 || version > 3;
    for (uint64_t i = 0; i < n_kv; i++)
        if (w->bad || !string(w) || !u32(w, &type) || !value(w, type)) return false;
    for (uint64_t i = 0; i < n_tensor; i++)
        if (!tensor(w)) return false;
    return true;
}

static bool is_gemma(g4_sv arch)
{
    return g4_sv_has_prefix(arch, "gemma");
}

static enum g4_header judge(const uint8_t *p, uint64_t size, const char *path, bool model, g4_err *err)
{
    g4_arena arena = {0};
    struct g4_container c = { .arena = &arena };
    const g4_map map = { .p = p, .n = size, .size = size };
    enum g4_header verdict = g4_gguf_read(&map, path, &c, err) ? G4_HEADER_BAD : G4_HEADER_GOOD;
    for (size_t i = 0; i < c.n_kv && verdict == G4_HEADER_GOOD && model; i++) {
        g4_sv arch;
        if (!g4_sv_eq(c.kv[i].key, "general.architecture") || !g4_kv_str(&c.kv[i], &arch) || is_gemma(arch)) continue;
        g4_fail(err, G4_EUNSUP, "'%s' is a '%.*s' model, and g4 runs Gemma models", path, (int)(arch.n < 40 ? arch.n : 40), arch.p);
        verdict = G4_HEADER_BAD;
    }
    g4_arena_free(&arena);
    return verdict;
}

enum g4_header g4_header_check(int fd, uint64_t prefix, uint64_t size, const char *path, bool model, uint64_t *want, g4_err *err)
{
    if (!prefix || prefix < *want) return G4_HEADER_MORE;
    uint8_t *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return prefix == size ? G4_HEADER_GOOD : G4_HEADER_MORE; /* the digest still decides */
    struct walk w = { .p = p, .n = prefix };
    enum g4_header verdict = G4_HEADER_MORE;
    const bool whole = reaches_end(&w);
    if (whole || w.bad || prefix == size) verdict = judge(p, size, path, model, err);
    *want = prefix < FIRST_LOOK ? FIRST_LOOK : 2 * prefix;
    if (*want > size) *want = size;
    munmap(p, size);
    return verdict;
}
