/* weights/weights: see weights.h.  Opens what a path holds, joins shards into one
 * directory of tensors, and answers questions about it. */
#include "weights/weights.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "weights/container.h"
#include "weights/index.h"

enum { SHARDS_MAX = 9999 };

struct side {              /* a side file of a folder, mapped once */
    struct side *next;
    char *name;
    g4_map map;            /* n = 0 and p = NULL: absent */
    g4_json json;          /* {NULL,0}: not checked yet */
    struct g4_container st;
    bool st_read;
};

struct g4_weights {
    char *path;
    bool gguf, folder;
    g4_arena arena;
    g4_map *map;
    size_t n_map;
    g4_tensor *tensor;
    size_t n_tensor;
    struct g4_index by_name, by_key;
    g4_kv *kv;             /* of the first shard */
    size_t n_kv;
    struct side *sides;
    char digest[80];
};

static int add_file(g4_weights *w, const char *path, struct g4_container *out, g4_err *err)
{
    g4_map m;
    if (g4_map_open(&m, path, err)) return G4_EIO;
    w->map = g4_realloc(w->map, (w->n_map + 1) * sizeof *w->map);
    w->map[w->n_map++] = m;
    *out = (struct g4_container){ .arena = &w->arena };
    const int r = w->gguf ? g4_gguf_read(&m, path, out, err) : g4_safetensors_read(&m, path, out, err);
    struct stat st; /* a file that shrinks under its mapping would end the process later on */
    if (!r && (stat(path, &st) || (uint64_t)st.st_size < m.size))
        return g4_fail(err, G4_EIO, "'%s' was cut short while it was being read", path);
    return r;
}

static int add_tensors(g4_weights *w, const struct g4_container *f, const char *path, g4_err *err)
{
    w->tensor = g4_realloc(w->tensor, (w->n_tensor + f->n_tensor + 1) * sizeof *w->tensor);
    for (size_t i = 0; i < f->n_tensor; i++) {
        const g4_tensor *t = &f->tensor[i];
        if (!g4_index_add(&w->by_name, (g4_sv){t->name, strlen(t->name)}, w->n_tensor))
            return g4_fail(err, G4_EFORMAT, "'%s': tensor '%s' stands in another shard too", path, t->name);
        w->tensor[w->n_tensor++] = *t;
    }
    return 0;
}

/* ---- GGUF, split or whole -------------------------------------------------- */

static bool kv_number(const struct g4_container *f, const char *key, uint64_t *out)
{
    for (size_t i = 0; i < f->n_kv; i++)
        if (g4_sv_eq(f->kv[i].key, key)) return g4_kv_u64(&f->kv[i], 0, out);
    return false;
}

/* PREFIX-00001-of-0000N.gguf: length of PREFIX, or 0. */
static size_t shard_prefix(const char *path)
{
    const size_t n = strlen(path), tail = strlen("-00001-of-00002.gguf");
    unsigned a, b;
    int end = 0;
    if (n <= tail || sscanf(path + n - tail, "-%5u-of-%5u.gguf%n", &a, &b, &end) != 2 || (size_t)end != tail) return 0;
    return n - tail;
}

static int open_shards(g4_weights *w, const char *path, uint64_t count, g4_err *err)
{
    const size_t prefix = shard_prefix(path);
    uint64_t no, n, total = 0;
    int r = 0;
    if (count > SHARDS_MAX) return g4_fail(err, G4_EFORMAT, "'%s': split.count is %" PRIu64 ", at most %d are supported", path, count, SHARDS_MAX);
    if (!prefix) return g4_fail(err, G4_EFORMAT, "'%s': one of %" PRIu64 " shards, but its name does not end in -00001-of-%05" PRIu64 ".gguf", path, count, count);
    for (uint64_t i = 0; i < count && !r; i++) {
        g4_str name = {0};
        struct g4_container f;
        g4_str_addf(&name, "%.*s-%05" PRIu64 "-of-%05" PRIu64 ".gguf", (int)prefix, path, i + 1, count);
        r = add_file(w, name.p, &f, err);
        if (!r && (!kv_number(&f, "split.no", &no) || no != i || !kv_number(&f, "split.count", &n) || n != count))
            r = g4_fail(err, G4_EFORMAT, "'%s': split.no or split.count does not fit its name", name.p);
        if (!r && i == 0) {
            w->kv = f.kv;
            w->n_kv = f.n_kv;
            kv_number(&f, "split.tensors.count", &total);
        }
        if (!r) r = add_tensors(w, &f, name.p, err);
        g4_str_free(&name);
    }
    if (!r && total && total != w->n_tensor)
        r = g4_fail(err, G4_EFORMAT, "'%s': the shards hold %zu tensors, split.tensors.count says %" PRIu64, path, w->n_tensor, total);
    return r;
}

static void forget_files(g4_weights *w)
{
    for (size_t i = 0; i < w->n_map; i++) g4_map_close(&w->map[i]);
    w->n_map = 0;
}

static int open_gguf(g4_weights *w, const char *path, g4_err *err)
{
    struct g4_container f;
    uint64_t count;
    w->gguf = true;
    int r = add_file(w, path, &f, err);
    if (r) return r;
    if (kv_number(&f, "split.count", &count) && count > 1) {
        forget_files(w);
        r = open_shards(w, path, count, err);
    } else {
        w->kv = f.kv;
        w->n_kv = f.n_kv;
        r = add_tensors(w, &f, path, err);
    }
    for (size_t i = 0; i < w->n_kv && !r; i++) g4_index_add(&w->by_key, w->kv[i].key, i);
    return r;
}

/* ---- folders ---------------------------------------------------------------- */

static char *join(const char *folder, const char *name)
{
    g4_str s = {0};
    g4_str_addf(&s, "%s/%s", folder, name);
    return g4_str_take(&s);
}

static int add_safetensors(g4_weights *w, const char *name, g4_err *err)
{
    struct g4_container f;
    char *path = join(w->path, name);
    int r = add_file(w, path, &f, err);
    if (!r) r = add_tensors(w, &f, path, err);
    free(path);
    return r;
}

/* Opens every file the index names, once, and checks what it promises. */
static int open_index(g4_weights *w, g4_json index, g4_err *err)
{
    const g4_json map = g4_json_get(index, "weight_map");
    struct g4_index files = {0};
    int r = 0;
    size_t at;
    if (g4_json_type(map) != G4_JSON_OBJECT) return g4_fail(err, G4_EFORMAT, "'%s/model.safetensors.index.json': no weight_map", w->path);
    for (g4_json_it it = g4_json_iter(map); !r && g4_json_next(&it);) {
        char *file = g4_json_dup(it.value);
        if (!file || !*file || strchr(file, '/') || strstr(file, "..") || strlen(file) != it.value.n - 2)
            r = g4_fail(err, G4_EFORMAT, "'%s/model.safetensors.index.json': a shard's name is no bare file name", w->path);
        else if (!g4_index_find(&files, (g4_sv){file, strlen(file)}, &at)) {
            g4_index_add(&files, (g4_sv){g4_arena_strndup(&w->arena, file, strlen(file)), strlen(file)}, files.n);
            r = add_safetensors(w, file, err);
        }
        free(file);
    }
    for (g4_json_it it = g4_json_iter(map); !r && g4_json_next(&it);) {
        char *name = g4_json_dup(it.key);
        if (!g4_weights_find(w, name)) r = g4_fail(err, G4_EFORMAT, "'%s': tensor '%s' of the index stands in no shard", w->path, name);
        free(name);
    }
    g4_index_free(&files);
    return r;
}

/* The only .gguf of a folder (the first shard of a set); mmproj files do not count. */
static char *single_gguf(const char *folder)
{
    char *found = NULL;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        const size_t n = strlen(e->d_name), prefix = shard_prefix(e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 5, ".gguf") || !strncmp(e->d_name, "mmproj", 6)) continue;
        if (prefix && strncmp(e->d_name + prefix, "-00001-", 7)) continue;
        if (found) {
            free(found);
            found = NULL;
            break;
        }
        found = join(folder, e->d_name);
    }
    if (d) closedir(d);
    return found;
}

static bool has_file(const g4_weights *w, const char *name)
{
    char *p = join(w->path, name);
    const bool there = g4_file_exists(p);
    free(p);
    return there;
}

static int open_folder(g4_weights *w, unsigned flags, g4_err *err)
{
    w->folder = true;
    if (flags & G4_WEIGHTS_TEXT_ONLY && (has_file(w, "tokenizer.json") || has_file(w, "tokenizer.model"))) return 0;
    if (has_file(w, "model.safetensors.index.json")) {
        const g4_json index = g4_weights_json(w, "model.safetensors.index.json", err);
        if (!index.p) return G4_EFORMAT;
        return open_index(w, index, err);
    }
    if (has_file(w, "model.safetensors")) return add_safetensors(w, "model.safetensors", err);
    char *gguf = single_gguf(w->path);
    if (gguf) {
        const int r = open_gguf(w, gguf, err);
        free(gguf);
        return r;
    }
    return g4_fail(err, G4_EMODEL, "'%s': the folder holds no model.safetensors, no index and not exactly one .gguf", w->path);
}

g4_weights *g4_weights_open(const char *path, unsigned flags, g4_err *err)
{
    g4_weights *w = g4_alloc(sizeof *w);
    w->path = g4_strdup(path);
    for (size_t n = strlen(w->path); n > 1 && w->path[n - 1] == '/';) w->path[--n] = 0;
    const int r = g4_is_dir(path) ? open_folder(w, flags, err) : open_gguf(w, path, err);
    if (!r) return w;
    g4_weights_free(w);
    return NULL;
}

void g4_weights_free(g4_weights *w)
{
    if (!w) return;
    forget_files(w);
    for (struct side *s = w->sides, *next; s; s = next) {
        next = s->next;
        g4_map_close(&s->map);
        free(s->name);
        free(s);
    }
    g4_index_free(&w->by_name);
    g4_index_free(&w->by_key);
    g4_arena_free(&w->arena);
    free(w->map);
    free(w->tensor);
    free(w->path);
    free(w);
}

/* ---- questions ---------------------------------------------------------------- */

bool g4_weights_is_gguf(const g4_weights *w)
{
    return w->gguf;
}

const char *g4_weights_path(const g4_weights *w)
{
    return w->path;
}

uint64_t g4_weights_bytes(const g4_weights *w)
{
    uint64_t n = 0;
    for (size_t i = 0; i < w->n_map; i++) n += w->map[i].n;
    return n;
}

size_t g4_weights_count(const g4_weights *w)
{
    return w->n_tensor;
}

const g4_tensor *g4_weights_at(const g4_weights *w, size_t i)
{
    return i < w->n_tensor ? &w->tensor[i] : NULL;
}

const g4_tensor *g4_weights_find(const g4_weights *w, const char *name)
{
    size_t i;
    return g4_index_find(&w->by_name, (g4_sv){name, strlen(name)}, &i) ? &w->tensor[i] : NULL;
}

const g4_kv *g4_weights_kv(const g4_weights *w, const char *key)
{
    size_t i;
    return g4_index_find(&w->by_key, (g4_sv){key, strlen(key)}, &i) ? &w->kv[i] : NULL;
}

size_t g4_weights_kv_count(const g4_weights *w)
{
    return w->n_kv;
}

const g4_kv *g4_weights_kv_at(const g4_weights *w, size_t i)
{
    return i < w->n_kv ? &w->kv[i] : NULL;
}

static struct side *side_of(g4_weights *w, const char *name)
{
    for (struct side *s = w->sides; s; s = s->next)
        if (!strcmp(s->name, name)) return s;
    struct side *s = g4_alloc(sizeof *s);
    char *path = join(w->path, name);
    s->name = g4_strdup(name);
    s->next = w->sides;
    w->sides = s;
    if (w->folder && g4_file_exists(path)) g4_map_open(&s->map, path, NULL);
    free(path);
    return s;
}

g4_sv g4_weights_file(g4_weights *w, const char *name)
{
    const struct side *s = side_of(w, name);
    return (g4_sv){(const char *)s->map.p, s->map.n};
}

g4_json g4_weights_json(g4_weights *w, const char *name, g4_err *err)
{
    struct side *s = side_of(w, name);
    g4_err why = {0};
    if (!s->json.p && s->map.p && g4_json_check((const char *)s->map.p, s->map.n, &s->json, &why)) {
        s->json = (g4_json){0};
        g4_fail(err, G4_EFORMAT, "'%s/%s': %s", w->path, name, why.msg);
    }
    return s->json;
}

const g4_tensor *g4_weights_side_tensor(g4_weights *w, const char *file, const char *name, g4_err *err)
{
    struct side *s = side_of(w, file);
    if (!s->map.p) return NULL;
    if (!s->st_read) {
        s->st.arena = &w->arena;
        if (g4_safetensors_read(&s->map, file, &s->st, err)) {
            s->st.n_tensor = 0;
            return NULL;
        }
        s->st_read = true;
    }
    for (size_t i = 0; i < s->st.n_tensor; i++)
        if (!strcmp(s->st.tensor[i].name, name)) return &s->st.tensor[i];
    return NULL;
}

void g4_weights_forget(const void *p, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGE_SIZE), from = ((uintptr_t)p + page - 1) / page * page, to = ((uintptr_t)p + n) / page * page;
    if (to > from) madvise((void *)from, to - from, MADV_DONTNEED);
}

/* "fp:" and a hash of the sizes, the tensor table, the first and last 64 KiB. */
const char *g4_weights_digest(g4_weights *w)
{
    if (w->digest[0]) return w->digest;
    uint64_t h = g4_hash64("g4", 2, w->n_map);
    for (size_t i = 0; i < w->n_map; i++) {
        const g4_map *m = &w->map[i];
        const size_t edge = m->n < 65536 ? m->n : 65536;
        h = g4_hash64(m->p, edge, h ^ m->n);
        h = g4_hash64(m->p + m->n - edge, edge, h);
    }
    for (size_t i = 0; i < w->n_tensor; i++) {
        const g4_tensor *t = &w->tensor[i];
        const uint64_t row[6] = { (uint64_t)t->type, t->ne[0], t->ne[1], t->ne[2], t->ne[3], t->bytes };
        h = g4_hash64(t->name, strlen(t->name), h);
        h = g4_hash64(row, sizeof row, h);
    }
    snprintf(w->digest, sizeof w->digest, "fp:%016" PRIx64, h);
    return w->digest;
}
