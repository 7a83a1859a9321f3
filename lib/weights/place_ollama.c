/* weights/place_ollama: the Ollama store, read in place.
 *
 *   manifests/HOST/NAMESPACE/MODEL/TAG   JSON: layers with mediaType, digest, size
 *   blobs/sha256-HEX                     their content
 *
 * Names compare without case; the folders keep the case of the first pull. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "weights/place.h"

enum { MANIFEST_MAX = 4 << 20, N_PART = 4 };

#define MEDIA "application/vnd.ollama.image."

/* [HOST/][NAMESPACE/]MODEL[:TAG] into host, namespace, model, tag. */
static bool parse(const char *text, char *part[N_PART])
{
    const char *slash = strrchr(text, '/'), *model = slash ? slash + 1 : text, *colon = strchr(model, ':');
    const char *first = slash ? strchr(text, '/') : NULL;
    part[2] = colon ? g4_strndup(model, (size_t)(colon - model)) : g4_strdup(model);
    part[3] = g4_strdup(colon ? colon + 1 : "latest");
    if (slash && first == slash) {
        part[0] = g4_strdup("registry.ollama.ai");
        part[1] = g4_strndup(text, (size_t)(slash - text));
    } else if (slash) {
        part[0] = g4_strndup(text, (size_t)(first - text));
        part[1] = g4_strndup(first + 1, (size_t)(slash - first - 1));
    } else {
        part[0] = g4_strdup("registry.ollama.ai");
        part[1] = g4_strdup("library");
    }
    static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:";
    for (int i = 0; i < N_PART; i++) {
        const size_t n = strlen(part[i]);
        if (!n || n > (i ? 80u : 350u) || strspn(part[i], word) != n || strchr("-.:", *part[i])) return false;
        if ((i && strchr(part[i], ':')) || (i == 1 && strchr(part[i], '.'))) return false;
    }
    return true;
}

/* dir/name, or the entry that differs in case only; NULL when there is none. */
static char *entry(const char *dir, const char *name)
{
    char *p = g4_place_join(dir, name);
    if (g4_file_exists(p) || g4_is_dir(p)) return p;
    free(p);
    p = NULL;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && !p && (e = readdir(d));)
        if (!strcasecmp(e->d_name, name)) p = g4_place_join(dir, e->d_name);
    if (d) closedir(d);
    return p;
}

static char *manifest_of(const char *root, char *const part[N_PART])
{
    char *p = g4_place_join(root, "manifests");
    for (int i = 0; i < N_PART && p; i++) {
        char *next = entry(p, part[i]);
        free(p);
        p = next;
    }
    return p;
}

/* The first layer of that kind; .p NULL when there is none. */
static g4_json layer_of(g4_json layers, const char *media)
{
    for (g4_json_it it = g4_json_iter(layers); g4_json_next(&it);)
        if (g4_json_is(g4_json_get(it.value, "mediaType"), media)) return it.value;
    return (g4_json){0};
}

/* A layer's blob, whole. */
static int use_layer(const char *root, const char *manifest, g4_json layer, char **path, char **digest, g4_err *err)
{
    char *d = g4_json_dup(g4_json_get(layer, "digest"));
    *digest = d && !strncmp(d, "sha256:", 7) ? g4_place_digest(d + 7) : NULL;
    free(d);
    if (!*digest) return g4_fail(err, G4_EFORMAT, "'%s' names no model layer with a SHA-256 digest", manifest);
    int64_t size;
    if (!g4_json_i64(g4_json_get(layer, "size"), &size) || size < 0) return g4_fail(err, G4_EFORMAT, "'%s': a layer without its size", manifest);
    g4_str s = {0};
    g4_str_addf(&s, "%s/blobs/sha256-%s", root, *digest + 7);
    const size_t n = s.n;
    g4_str_adds(&s, "-partial");
    const bool partial = g4_file_exists(s.p);
    s.p[s.n = n] = 0;
    *path = g4_str_take(&s);
    if (partial) return g4_fail(err, G4_EMODEL, "'%s' is still being downloaded", *path);
    return g4_place_check_blob(*path, size, err);
}

static int use_layers(const char *root, const char *manifest, g4_json layers, char **path, char **digest, g4_err *err)
{
    const g4_json model = layer_of(layers, MEDIA "model");
    if (!model.p && layer_of(layers, MEDIA "tensor").p) return g4_fail(err, G4_EUNSUP, "'%s' is an MLX build, not a GGUF model", manifest);
    return use_layer(root, manifest, model, path, digest, err);
}

static int look(const char *root, char *const part[N_PART], char **path, char **digest, g4_err *err)
{
    char *manifest = manifest_of(root, part);
    if (!manifest) return 0;
    g4_str text = {0};
    g4_json top = {0};
    g4_err why = {0};
    int rc = g4_file_read(manifest, MANIFEST_MAX, &text, err);
    if (!rc && g4_json_check(text.p, text.n, &top, &why)) rc = g4_fail(err, G4_EFORMAT, "'%s': %s", manifest, why.msg);
    if (!rc) rc = use_layers(root, manifest, g4_json_get(top, "layers"), path, digest, err);
    g4_str_free(&text);
    free(manifest);
    return rc ? rc : 1;
}

/* The store's folders: the user's choice, else a user's own and the system service's. */
static void roots_of(char *root[2])
{
    root[0] = g4_place_env("OLLAMA_MODELS");
    root[1] = root[0] ? NULL : g4_strdup("/usr/share/ollama/.ollama/models");
    if (!root[0]) root[0] = g4_xdg_path(NULL, ".ollama/models", NULL);
}

static void forget(char *part[N_PART], char *root[2])
{
    for (int i = 0; i < N_PART; i++) free(part[i]);
    free(root[0]);
    free(root[1]);
}

int g4_place_ollama(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err)
{
    char *part[N_PART] = {0}, *root[2] = {0};
    int rc = 0;
    if (parse(ref, part)) {
        roots_of(root);
        g4_place_note(looked, "Ollama's store", root[0]);
        for (int i = 0; i < 2 && !rc; i++)
            if (root[i]) rc = look(root[i], part, path, digest, err);
    }
    forget(part, root);
    return rc;
}

static void take_layer(const char *root, const char *manifest, g4_json layers, const char *media, char **path)
{
    const g4_json layer = layer_of(layers, media);
    char *digest = NULL;
    if (layer.p && use_layer(root, manifest, layer, path, &digest, NULL)) {
        free(*path);
        *path = NULL;
    }
    free(digest);
}

void g4_place_ollama_beside(const char *ref, struct g4_store_beside *out)
{
    char *part[N_PART] = {0}, *root[2] = {0}, *manifest = NULL;
    g4_str text = {0};
    g4_json top = {0};
    if (parse(ref, part)) roots_of(root);
    for (int i = 0; i < 2 && root[i] && !manifest; i++)
        if ((manifest = manifest_of(root[i], part)) && !g4_file_read(manifest, MANIFEST_MAX, &text, NULL) && !g4_json_check(text.p, text.n, &top, NULL)) {
            take_layer(root[i], manifest, g4_json_get(top, "layers"), MEDIA "projector", &out->mmproj);
            take_layer(root[i], manifest, g4_json_get(top, "layers"), MEDIA "draft", &out->drafter);
        }
    g4_str_free(&text);
    free(manifest);
    forget(part, root);
}

/* ---- what is there ------------------------------------------------------------------ */

/* rel: HOST/NAMESPACE/MODEL/TAG; the defaults are left out of the name, as Ollama does. */
static int list_one(const char *root, const char *rel, g4_store_each each, void *arg)
{
    char *copy = g4_strdup(rel), *part[N_PART] = {0}, *save = NULL, *path = NULL, *digest = NULL;
    int k = 0, rc = 0;
    for (char *w = strtok_r(copy, "/", &save); w && k < N_PART; w = strtok_r(NULL, "/", &save)) part[k++] = w;
    if (k == N_PART && look(root, part, &path, &digest, NULL) > 0) {
        g4_str name = {0};
        const bool standard = !strcmp(part[0], "registry.ollama.ai");
        g4_str_adds(&name, "ollama:");
        if (!standard) g4_str_addf(&name, "%s/", part[0]);
        if (!standard || strcmp(part[1], "library")) g4_str_addf(&name, "%s/", part[1]);
        g4_str_addf(&name, "%s:%s", part[2], part[3]);
        rc = each(arg, &(struct g4_store_model){
                           .name = name.p, .place = "ollama", .path = path, .digest = digest, .bytes = g4_place_bytes(path) });
        g4_str_free(&name);
    }
    free(path);
    free(digest);
    free(copy);
    return rc;
}

static int list_root(char *root, g4_store_each each, void *arg)
{
    if (!root) return 0;
    char *manifests = g4_place_join(root, "manifests");
    size_t n;
    char **rel = g4_place_files(manifests, &n);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) rc = list_one(root, rel[i], each, arg);
    g4_place_free_names(rel, n);
    free(manifests);
    free(root);
    return rc;
}

int g4_place_ollama_list(g4_store_each each, void *arg)
{
    char *root = g4_place_env("OLLAMA_MODELS");
    if (root) return list_root(root, each, arg);
    const int rc = list_root(g4_xdg_path(NULL, ".ollama/models", NULL), each, arg);
    return rc ? rc : list_root(g4_strdup("/usr/share/ollama/.ollama/models"), each, arg);
}
