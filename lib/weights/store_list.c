/* weights/store_list: everything that the places hold; folder walks they share. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/mem.h"
#include "weights/place.h"
#include "weights/names.h"

enum { DEPTH_MAX = 3, FILES_MAX = 20000, MANIFEST_MAX = 4 << 20 };

struct list {
    char **v;
    size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void push(struct list *l, char *name)
{
    G4_GROW(l->v, l->cap, l->n + 1);
    l->v[l->n++] = name;
}

void g4_place_free_names(char **v, size_t n)
{
    for (size_t i = 0; i < n; i++) free(v[i]);
    free(v);
}

char **g4_place_entries(const char *dir, size_t *n)
{
    struct list l = {0};
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)) && l.n < FILES_MAX;)
        if (e->d_name[0] != '.') push(&l, g4_strdup(e->d_name));
    if (d) closedir(d);
    if (l.n) qsort(l.v, l.n, sizeof *l.v, by_name);
    *n = l.n;
    return l.v;
}

/* Paths behind `skip` bytes of theirs. */
static void walk(const char *dir, size_t skip, int depth, struct list *l)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)) && l->n < FILES_MAX;) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        char *p = g4_place_join(dir, e->d_name);
        if (!g4_is_dir(p)) push(l, g4_strdup(p + skip));
        else if (depth < DEPTH_MAX) walk(p, skip, depth + 1, l);
        free(p);
    }
    if (d) closedir(d);
}

char **g4_place_files(const char *dir, size_t *n)
{
    struct list l = {0};
    walk(dir, strlen(dir) + 1, 0, &l);
    if (l.n) qsort(l.v, l.n, sizeof *l.v, by_name);
    *n = l.n;
    return l.v;
}

uint64_t g4_place_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

/* ---- g4's own ------------------------------------------------------------------------ */

static int list_manifest(const char *root, const char *file, g4_store_each each, void *arg)
{
    g4_str text = {0};
    g4_json top = {0};
    int rc = 0;
    if (!g4_file_read(file, MANIFEST_MAX, &text, NULL) && !g4_json_check(text.p, text.n, &top, NULL)) {
        char *name = g4_json_dup(g4_json_get(top, "name")), *source = g4_json_dup(g4_json_get(top, "source")), *digest = NULL;
        struct g4_store_model m = { .name = name, .place = "g4", .source = source };
        for (g4_json_it it = g4_json_iter(g4_json_get(top, "files")); g4_json_next(&it);) {
            const g4_json role = g4_json_get(it.value, "role");
            int64_t size;
            if (g4_json_is(role, "model") && g4_json_i64(g4_json_get(it.value, "size"), &size) && size > 0) m.bytes += (uint64_t)size;
        }
        char *path = name ? g4_store_find(name, &digest, NULL) : NULL;
        m.path = path;
        m.digest = digest;
        if (path) rc = each(arg, &m);
        free(path);
        free(digest);
        free(name);
        free(source);
    }
    g4_str_free(&text);
    return rc;
}

/* NAME.gguf files and NAME/ folders that somebody put there. */
static int list_by_hand(const char *root, g4_store_each each, void *arg)
{
    static const char *const ours[] = { "blobs", "manifests", "tmp", "views" };
    size_t n;
    char **name = g4_place_entries(root, &n);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        bool skip = false;
        for (size_t k = 0; k < 4; k++) skip |= !strcmp(name[i], ours[k]);
        const bool gguf = g4_names_is_gguf(name[i]);
        if (gguf) name[i][strlen(name[i]) - 5] = 0;
        char *path = skip ? NULL : g4_store_find(name[i], NULL, NULL);
        if (path && !strncmp(path, root, strlen(root)))
            rc = each(arg, &(struct g4_store_model){ .name = name[i], .place = "g4", .path = path, .bytes = gguf ? g4_place_bytes(path) : 0 });
        free(path);
    }
    g4_place_free_names(name, n);
    return rc;
}

static int list_own(g4_store_each each, void *arg)
{
    char *root = g4_store_root(), *dir = root ? g4_place_join(root, "manifests") : NULL;
    size_t n = 0;
    char **name = dir ? g4_place_entries(dir, &n) : NULL;
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        char *file = g4_place_join(dir, name[i]);
        const size_t len = strlen(name[i]);
        if (len > 5 && !strcmp(name[i] + len - 5, ".json")) rc = list_manifest(root, file, each, arg);
        free(file);
    }
    g4_place_free_names(name, n);
    if (!rc && root) rc = list_by_hand(root, each, arg);
    free(dir);
    free(root);
    return rc;
}

int g4_store_list(g4_store_each each, void *arg)
{
    static int (*const place[])(g4_store_each, void *) = {
        list_own,               g4_place_hf_list,       g4_place_ollama_list,   g4_place_docker_list,
        g4_place_llamacpp_list, g4_place_lmstudio_list, g4_place_ramalama_list, g4_place_kaggle_list,
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof place / sizeof *place && !rc; i++) rc = place[i](each, arg);
    return rc;
}
