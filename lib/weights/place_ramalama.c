/* weights/place_ramalama: RamaLama's store, read in place.
 *
 *   TRANSPORT/PATH/refs/TAG.json      {"files": [{"hash": "sha256:HEX", "name", "type": "gguf"}]}
 *   TRANSPORT/PATH/blobs/sha256-HEX   their content; HEX.partial while it is fetched
 *
 * TRANSPORT is huggingface, ollama, modelscope and the like; PATH is ORG/NAME, with
 * a file behind it where one was named. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "weights/place.h"

enum { REF_MAX = 1 << 20, DEPTH_MAX = 6 };

/* A user's own, then the system's. */
static char *root_at(int i)
{
    return i ? g4_strdup("/var/lib/ramalama/store") : g4_xdg_path("XDG_DATA_HOME", ".local/share", "ramalama/store");
}

static bool is_below(const char *s)
{
    if (!*s || *s == '/') return false;
    for (const char *p = s; *p;) {
        const size_t n = strcspn(p, "/");
        if (!n || p[0] == '.') return false;
        p += n + (p[n] == '/');
    }
    return true;
}

/* The blob of a file of that type; 1, 0 (no such file) or an error. */
static int use_file(const char *dir, g4_json files, const char *type, char **path, char **digest, g4_err *err)
{
    for (g4_json_it it = g4_json_iter(files); g4_json_next(&it);) {
        if (!g4_json_is(g4_json_get(it.value, "type"), type)) continue;
        char *hash = g4_json_dup(g4_json_get(it.value, "hash"));
        *digest = hash && strlen(hash) > 7 && !strncmp(hash, "sha256", 6) ? g4_place_digest(hash + 7) : NULL;
        free(hash);
        if (!*digest) return g4_fail(err, G4_EFORMAT, "'%s' names a file without a SHA-256 digest", dir);
        g4_str s = {0};
        g4_str_addf(&s, "%s/blobs/sha256-%s", dir, *digest + 7);
        *path = g4_str_take(&s);
        const int bad = g4_place_check_blob(*path, -1, err);
        return bad ? bad : 1;
    }
    return 0;
}

/* dir/refs/TAG.json */
static int use_ref(const char *dir, const char *tag, const char *type, char **path, char **digest, g4_err *err)
{
    g4_str file = {0}, text = {0};
    g4_json top = {0};
    int rc = 0;
    g4_str_addf(&file, "%s/refs/%s.json", dir, tag);
    if (g4_file_exists(file.p)) {
        if (g4_file_read(file.p, REF_MAX, &text, NULL) || g4_json_check(text.p, text.n, &top, NULL)) rc = g4_fail(err, G4_EFORMAT, "'%s' is not JSON", file.p);
        else rc = use_file(dir, g4_json_get(top, "files"), type, path, digest, err);
    }
    g4_str_free(&file);
    g4_str_free(&text);
    return rc;
}

/* [TRANSPORT://]PATH[:TAG], in one store; Ollama's models without an organisation are those of "library". */
static int look(const char *root, const char *ref, const char *type, char **path, char **digest, g4_err *err)
{
    const char *scheme = strstr(ref, "://"), *p = scheme ? scheme + 3 : ref, *slash = strrchr(p, '/'), *colon = strrchr(p, ':');
    if (colon && slash && colon < slash) colon = NULL;
    char *where = g4_strndup(p, colon ? (size_t)(colon - p) : strlen(p)), *only = scheme ? g4_strndup(ref, (size_t)(scheme - ref)) : NULL;
    size_t n;
    char **transport = g4_place_entries(root, &n);
    const char *tag = colon ? colon + 1 : "latest";
    int rc = 0;
    for (size_t i = 0; i < n && !rc && is_below(where) && is_below(tag) && !strchr(tag, '/'); i++) {
        g4_str dir = {0};
        if (only && strcmp(transport[i], only) && !(!strcmp(only, "hf") && !strcmp(transport[i], "huggingface"))) continue;
        g4_str_addf(&dir, "%s/%s/%s%s", root, transport[i], slash ? "" : "library/", where);
        rc = use_ref(dir.p, tag, type, path, digest, err);
        g4_str_free(&dir);
    }
    g4_place_free_names(transport, n);
    free(where);
    free(only);
    return rc;
}

int g4_place_ramalama(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err)
{
    int rc = 0;
    for (int i = 0; i < 2 && !rc; i++) {
        char *root = root_at(i);
        if (!i && root && g4_is_dir(root)) g4_place_note(looked, "RamaLama's store", root);
        if (root) rc = look(root, ref, "gguf", path, digest, err);
        free(root);
    }
    return rc;
}

void g4_place_ramalama_beside(const char *ref, struct g4_store_beside *out)
{
    for (int i = 0; i < 2 && !out->mmproj; i++) {
        char *root = root_at(i), *digest = NULL;
        if (root && look(root, ref, "mmproj", &out->mmproj, &digest, NULL) < 0) {
            free(out->mmproj);
            out->mmproj = NULL;
        }
        free(digest);
        free(root);
    }
}

/* ---- what is there ------------------------------------------------------------------ */

struct walk {
    g4_store_each each;
    void *arg;
    const char *root;
};

/* The tags of one model; rel: TRANSPORT/PATH. */
static int list_tags(const struct walk *w, const char *dir, const char *rel)
{
    size_t n;
    char *refs = g4_place_join(dir, "refs"), **tag = g4_place_entries(refs, &n);
    const size_t transport = strcspn(rel, "/");
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        char *dot = strrchr(tag[i], '.'), *path = NULL, *digest = NULL;
        if (!dot || strcmp(dot, ".json")) continue;
        *dot = 0;
        if (use_ref(dir, tag[i], "gguf", &path, &digest, NULL) > 0) {
            g4_str name = {0};
            g4_str_addf(&name, "ramalama:%.*s://%s:%s", (int)transport, rel, rel + transport + 1, tag[i]);
            rc = w->each(w->arg, &(struct g4_store_model){ .name = name.p, .place = "ramalama", .path = path, .digest = digest, .bytes = g4_place_bytes(path) });
            g4_str_free(&name);
        }
        free(path);
        free(digest);
    }
    g4_place_free_names(tag, n);
    free(refs);
    return rc;
}

static int list_below(const struct walk *w, const char *dir, int depth)
{
    size_t n;
    char **name = g4_place_entries(dir, &n);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        char *p = g4_place_join(dir, name[i]);
        const bool other = !strcmp(name[i], "blobs") || !strcmp(name[i], "snapshots");
        if (!strcmp(name[i], "refs") && depth > 1) rc = list_tags(w, dir, dir + strlen(w->root) + 1);
        else if (!other && depth < DEPTH_MAX && g4_is_dir(p)) rc = list_below(w, p, depth + 1);
        free(p);
    }
    g4_place_free_names(name, n);
    return rc;
}

int g4_place_ramalama_list(g4_store_each each, void *arg)
{
    int rc = 0;
    for (int i = 0; i < 2 && !rc; i++) {
        char *root = root_at(i);
        if (root) rc = list_below(&(struct walk){ each, arg, root }, root, 0);
        free(root);
    }
    return rc;
}
