/* weights/imatrix: see imatrix.h. */
#include "weights/imatrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "weights/index.h"
#include "weights/weights.h"

enum { MAX_ENTRIES = 1000000, MAX_NAME = 4096 };

struct g4_imatrix {
    g4_arena arena;
    struct g4_index names;
    struct {
        const float *v;
        size_t n;
    } *entry;
    size_t n, cap;
    uint32_t chunks;
    g4_sv dataset;
};

/* False: the name is there already. */
static bool add(g4_imatrix *m, g4_sv name, const float *v, size_t n)
{
    const g4_sv own = { g4_arena_strndup(&m->arena, name.p, name.n), name.n };
    if (!g4_index_add(&m->names, own, m->n)) return false;
    G4_GROW(m->entry, m->cap, m->n + 1);
    m->entry[m->n].v = v;
    m->entry[m->n++].n = n;
    return true;
}

/* Refuses what is no importance; brings large ones into the range that fits can square. */
static int check_values(const char *path, g4_sv name, float *v, size_t n, g4_err *err)
{
    float most = 0;
    int exp;
    for (size_t i = 0; i < n; i++) {
        if (!(v[i] >= 0) || !isfinite(v[i]))
            return g4_fail(err, G4_EFORMAT, "'%s': column %zu of '%.*s' is no importance", path, i, (int)(name.n < 80 ? name.n : 80), name.p);
        most = v[i] > most ? v[i] : most;
    }
    frexpf(most, &exp);
    for (size_t i = 0; i < n && exp > 30; i++) v[i] = ldexpf(v[i], 30 - exp);
    return G4_OK;
}

/* ---- GGUF ------------------------------------------------------------------ */

/* NAME.in_sum2 [columns, matrices] over NAME.counts [1, matrices]; a matrix that was never reached counts even. */
static int add_sums(g4_imatrix *m, g4_weights *w, const g4_tensor *sum, g4_err *err)
{
    const char *path = g4_weights_path(w);
    const size_t length = strlen(sum->name) - strlen(".in_sum2");
    char counts[96];
    if (length >= sizeof counts - 8) return g4_fail(err, G4_EFORMAT, "'%s': tensor '%s' has too long a name", path, sum->name);
    memcpy(counts, sum->name, length);
    strcpy(counts + length, ".counts");
    const g4_tensor *count = g4_weights_find(w, counts);
    const size_t cols = (size_t)sum->ne[0], n = sum->bytes / 4, n_mat = n / cols;
    if (!count || sum->type != G4_F32 || count->type != G4_F32 || count->bytes / 4 != n_mat)
        return g4_fail(err, G4_EFORMAT, "'%s': '%s' and its counts do not fit each other", path, sum->name);
    float *v = g4_arena_alloc(&m->arena, n * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        float s, c;
        memcpy(&s, (const uint8_t *)sum->data + 4 * i, 4);
        memcpy(&c, (const uint8_t *)count->data + 4 * (i / cols), 4);
        v[i] = c > 0 ? s / c : 1.0f;
    }
    const g4_sv name = { sum->name, length };
    const int e = check_values(path, name, v, n, err);
    if (e) return e;
    return add(m, name, v, n) ? G4_OK : g4_fail(err, G4_EFORMAT, "'%s': '%s' is there twice", path, sum->name);
}

static int read_gguf(g4_imatrix *m, const char *path, g4_err *err)
{
    g4_weights *w = g4_weights_open(path, 0, err);
    g4_sv s;
    uint64_t chunks;
    int e = G4_OK;
    if (!w) return err && err->code ? err->code : G4_EFORMAT;
    if (!g4_kv_str(g4_weights_kv(w, "general.type"), &s) || !g4_sv_eq(s, "imatrix"))
        e = g4_fail(err, G4_EFORMAT, "'%s' is a GGUF, but no importance matrix", path);
    for (size_t i = 0; i < g4_weights_count(w) && !e; i++) {
        const g4_tensor *t = g4_weights_at(w, i);
        const size_t n = strlen(t->name);
        if (n > 8 && strcmp(t->name + n - 8, ".in_sum2") == 0) e = add_sums(m, w, t, err);
    }
    if (g4_kv_u64(g4_weights_kv(w, "imatrix.chunk_count"), 0, &chunks) && chunks <= UINT32_MAX) m->chunks = (uint32_t)chunks;
    const g4_kv *sets = g4_weights_kv(w, "imatrix.datasets");
    const uint8_t *at = NULL;
    if (sets && sets->n && g4_kv_next_str(sets, &at, &s)) m->dataset = (g4_sv){ g4_arena_strndup(&m->arena, s.p, s.n), s.n };
    g4_weights_free(w);
    return e;
}

/* ---- .dat -------------------------------------------------------------------- */

struct cursor {
    const uint8_t *p, *end;
};

static bool take(struct cursor *c, void *to, size_t n)
{
    if ((size_t)(c->end - c->p) < n) return false;
    memcpy(to, c->p, n);
    c->p += n;
    return true;
}

static bool take_text(struct cursor *c, g4_sv *s)
{
    int32_t n;
    if (!take(c, &n, 4) || n < 0 || n > MAX_NAME || n > c->end - c->p) return false;
    *s = (g4_sv){ (const char *)c->p, (size_t)n };
    c->p += n;
    return true;
}

static int read_dat(g4_imatrix *m, const g4_map *map, const char *path, g4_err *err)
{
    struct cursor c = { map->p, map->p + map->n };
    int32_t n, calls, n_value;
    g4_sv name;
    int e;
    if (!take(&c, &n, 4) || n < 1 || n > MAX_ENTRIES) return g4_fail(err, G4_EFORMAT, "'%s' is no importance matrix", path);
    for (int32_t i = 0; i < n; i++) {
        if (!take_text(&c, &name) || !name.n || !take(&c, &calls, 4) || !take(&c, &n_value, 4) || n_value < 1 || n_value > (c.end - c.p) / 4)
            return g4_fail(err, G4_EFORMAT, "'%s': entry %d is cut short or no entry, at byte %zu", path, i, (size_t)(c.p - map->p));
        float *v = g4_arena_alloc(&m->arena, (size_t)n_value * sizeof *v);
        take(&c, v, (size_t)n_value * sizeof *v);
        for (int32_t k = 0; calls > 0 && k < n_value; k++) v[k] /= (float)calls;
        if ((e = check_values(path, name, v, (size_t)n_value, err))) return e;
        if (!add(m, name, v, (size_t)n_value)) return g4_fail(err, G4_EFORMAT, "'%s': entry %d is there twice", path, i);
    }
    if (take(&c, &n, 4) && n > 0) m->chunks = (uint32_t)n;
    if (take_text(&c, &name) && name.n) m->dataset = (g4_sv){ g4_arena_strndup(&m->arena, name.p, name.n), name.n };
    return G4_OK;
}

g4_imatrix *g4_imatrix_open(const char *path, g4_err *err)
{
    g4_imatrix *m = g4_alloc(sizeof *m);
    g4_map map;
    int e = g4_map_open(&map, path, err);
    if (!e) {
        e = map.n >= 4 && memcmp(map.p, "GGUF", 4) == 0 ? read_gguf(m, path, err) : read_dat(m, &map, path, err);
        g4_map_close(&map);
    }
    if (!e) return m;
    g4_imatrix_free(m);
    return NULL;
}

void g4_imatrix_free(g4_imatrix *m)
{
    if (!m) return;
    g4_index_free(&m->names);
    g4_arena_free(&m->arena);
    free(m->entry);
    free(m);
}

const float *g4_imatrix_find(const g4_imatrix *m, const char *name, size_t *n)
{
    size_t i;
    if (!g4_index_find(&m->names, (g4_sv){ name, strlen(name) }, &i)) return NULL;
    *n = m->entry[i].n;
    return m->entry[i].v;
}

size_t g4_imatrix_count(const g4_imatrix *m)
{
    return m->n;
}

uint32_t g4_imatrix_chunks(const g4_imatrix *m)
{
    return m->chunks;
}

g4_sv g4_imatrix_dataset(const g4_imatrix *m)
{
    return m->dataset;
}
