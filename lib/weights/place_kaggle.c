/* weights/place_kaggle: kagglehub's cache, read in place.
 *
 *   models/OWNER/MODEL/FRAMEWORK/VARIATION/VERSION/FILE
 *   .../VARIATION/VERSION.complete                  all of a version is there
 *   .../VARIATION/.complete/VERSION/FILE.complete   this file of it is
 *
 * A version without its mark is part of a download.  No digests. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weights/names.h"
#include "weights/place.h"

static char *cache_root(void)
{
    char *root = g4_place_env("KAGGLEHUB_CACHE"), *models;
    if (!root) root = g4_xdg_path(NULL, ".cache/kagglehub", NULL);
    if (!root) return NULL;
    models = g4_place_join(root, "models");
    free(root);
    return models;
}

/* Bytes of the first n components of s; 0: there are fewer, or one leads elsewhere. */
static size_t components(const char *s, unsigned n)
{
    const char *p = s;
    for (unsigned i = 0; i < n; i++) {
        const size_t len = strcspn(p, "/");
        if (!len || *p == '.') return 0;
        p += len;
        if (i + 1 < n && *p++ != '/') return 0;
    }
    return (size_t)(p - s);
}

static bool is_version(const char *s)
{
    return *s && strlen(s) < 9 && strspn(s, "0123456789") == strlen(s);
}

static bool is_marked(const char *dir, const char *version, const char *file)
{
    g4_str s = {0};
    g4_str_addf(&s, "%s/%s.complete", dir, version);
    bool yes = g4_file_exists(s.p);
    if (!yes && file) {
        g4_str_clear(&s);
        g4_str_addf(&s, "%s/.complete/%s/%s.complete", dir, version, file);
        yes = g4_file_exists(s.p);
    }
    g4_str_free(&s);
    return yes;
}

/* The newest version of a variation that has its mark, as text; NULL: none.  Caller frees. */
static char *newest(const char *dir, const char *file)
{
    size_t n;
    char **name = g4_place_entries(dir, &n), *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (is_version(name[i]) && is_marked(dir, name[i], file) && (!best || atol(name[i]) > atol(best))) {
            free(best);
            best = g4_strdup(name[i]);
        }
    g4_place_free_names(name, n);
    return best;
}

/* The only GGUF of a version, or its folder when that is a checkpoint. */
static int use_version(const char *folder, char **path, g4_err *err)
{
    size_t n, models = 0, only = 0;
    bool config = false;
    char **name = g4_place_files(folder, &n);
    for (size_t i = 0; i < n; i++) {
        config |= !strcmp(name[i], "config.json");
        if (g4_names_is_model(name[i]) && !models++) only = i;
    }
    int rc = models == 1 || (!models && config);
    if (models > 1) rc = g4_fail(err, G4_EMODEL, "'%s' holds %zu models: name one behind the version", folder, models);
    else if (models) *path = g4_place_join(folder, name[only]);
    else if (config) *path = g4_strdup(folder);
    g4_place_free_names(name, n);
    return rc;
}

/* The variation's folder, and what stands behind it: [VERSION][/FILE]. */
static int look(const char *dir, const char *rest, char **path, g4_err *err)
{
    const size_t n = strcspn(rest, "/");
    char *version = g4_strndup(rest, n), *folder;
    const char *file = rest[n] ? rest + n + 1 : NULL;
    int rc = 0;
    if (!is_version(version)) { /* a file of the newest version */
        free(version);
        file = *rest ? rest : NULL;
        version = newest(dir, file);
    }
    if (!version || !is_marked(dir, version, file)) {
        free(version);
        return 0;
    }
    g4_str s = {0};
    g4_str_addf(&s, "%s/%s", dir, version);
    folder = g4_str_take(&s);
    if (!file) {
        rc = use_version(folder, path, err);
    } else {
        *path = g4_place_join(folder, file);
        rc = g4_place_check_blob(*path, -1, err);
        if (!rc) rc = 1;
    }
    free(folder);
    free(version);
    return rc;
}

int g4_place_kaggle(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err)
{
    char *root = cache_root();
    const size_t n = components(ref, 4);
    int rc = 0;
    *digest = NULL;
    if (root && n && !strstr(ref + n, "..")) {
        g4_str dir = {0};
        g4_str_addf(&dir, "%s/%.*s", root, (int)n, ref);
        if (g4_is_dir(root)) g4_place_note(looked, "Kaggle's cache", root);
        if (g4_is_dir(dir.p)) rc = look(dir.p, ref[n] ? ref + n + 1 : "", path, err);
        g4_str_free(&dir);
    }
    free(root);
    return rc;
}

/* ---- what is there ------------------------------------------------------------------ */

struct walk {
    g4_store_each each;
    void *arg;
    const char *root;
};

static int list_version(const struct walk *w, const char *dir, const char *version)
{
    g4_str name = {0};
    char *folder = g4_place_join(dir, version);
    size_t n;
    char **file = g4_place_files(folder, &n);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        if (!g4_names_is_model(file[i]) || !is_marked(dir, version, file[i])) continue;
        char *path = g4_place_join(folder, file[i]);
        g4_str_clear(&name);
        g4_str_addf(&name, "kaggle:%s/%s/%s", dir + strlen(w->root) + 1, version, file[i]);
        rc = w->each(w->arg, &(struct g4_store_model){ .name = name.p, .place = "kaggle", .path = path, .bytes = g4_place_bytes(path) });
        free(path);
    }
    char *config = g4_place_join(folder, "config.json"), *path = NULL;
    if (!rc && g4_file_exists(config) && is_marked(dir, version, NULL) && use_version(folder, &path, NULL) > 0 && !strcmp(path, folder)) {
        uint64_t bytes = 0;
        for (size_t i = 0; i < n; i++) {
            char *p = strstr(file[i], ".safetensors") ? g4_place_join(folder, file[i]) : NULL;
            if (p) bytes += g4_place_bytes(p);
            free(p);
        }
        g4_str_clear(&name);
        g4_str_addf(&name, "kaggle:%s/%s", dir + strlen(w->root) + 1, version);
        rc = w->each(w->arg, &(struct g4_store_model){ .name = name.p, .place = "kaggle", .path = folder, .bytes = bytes });
    }
    free(path);
    free(config);
    g4_place_free_names(file, n);
    free(folder);
    g4_str_free(&name);
    return rc;
}

/* OWNER, MODEL, FRAMEWORK, VARIATION, then the versions. */
static int list_below(const struct walk *w, const char *dir, int depth)
{
    size_t n;
    char **name = g4_place_entries(dir, &n);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        char *p = g4_place_join(dir, name[i]);
        if (g4_is_dir(p)) rc = depth < 4 ? list_below(w, p, depth + 1) : is_version(name[i]) ? list_version(w, dir, name[i]) : 0;
        free(p);
    }
    g4_place_free_names(name, n);
    return rc;
}

int g4_place_kaggle_list(g4_store_each each, void *arg)
{
    char *root = cache_root();
    const int rc = root ? list_below(&(struct walk){ each, arg, root }, root, 0) : 0;
    free(root);
    return rc;
}
