/* weights/place_folders: caches that are plain files, read in place.
 *
 * llama.cpp before it shared the Hub's cache:
 *   manifest=ORG=REPO=TAG.json    {"ggufFile": {"rfilename", "size", "lfs": {"sha256", "size"}}}
 *   ORG_REPO_FILE.gguf            with '/' as '_'; FILE.gguf.downloadInProgress while it is fetched
 * LM Studio:
 *   ORG/REPO/FILE.gguf            no digests */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "weights/names.h"
#include "weights/place.h"

enum { MANIFEST_MAX = 4 << 20 };

/* ---- llama.cpp ------------------------------------------------------------------ */

static char *llamacpp_root(void)
{
    char *root = g4_place_env("LLAMA_CACHE");
    return root ? root : g4_xdg_path("XDG_CACHE_HOME", ".cache", "llama.cpp");
}

struct legacy { /* what a manifest's file says */
    char *org, *repo, *tag, *path, *digest;
};

static void legacy_free(struct legacy *l)
{
    free(l->org);
    free(l->repo);
    free(l->tag);
    free(l->path);
    free(l->digest);
    *l = (struct legacy){0};
}

/* "manifest=ORG=REPO=TAG.json"; '=' is in none of the parts. */
static bool legacy_name(const char *entry, struct legacy *l)
{
    const size_t n = strlen(entry);
    if (strncmp(entry, "manifest=", 9) || n < 15 || strcmp(entry + n - 5, ".json")) return false;
    const char *a = entry + 9, *b = strchr(a, '='), *c = b ? strchr(b + 1, '=') : NULL;
    if (!c || strchr(entry, '/')) return false;
    l->org = g4_strndup(a, (size_t)(b - a));
    l->repo = g4_strndup(b + 1, (size_t)(c - b - 1));
    l->tag = g4_strndup(c + 1, (size_t)(entry + n - 5 - c - 1));
    return true;
}

static int legacy_read(const char *root, const char *entry, struct legacy *l, g4_err *err)
{
    if (!legacy_name(entry, l)) return 0;
    char *file = g4_place_join(root, entry), *rel = NULL;
    g4_str text = {0}, s = {0};
    g4_json top = {0};
    int64_t size = -1;
    int rc = g4_file_read(file, MANIFEST_MAX, &text, NULL) || g4_json_check(text.p, text.n, &top, NULL) ? 0 : 1;
    const g4_json gguf = g4_json_get(top, "ggufFile"), lfs = g4_json_get(gguf, "lfs");
    rel = g4_json_dup(g4_json_get(gguf, "rfilename"));
    if (!rel || !*rel) rc = 0;
    if (rc) {
        for (char *p = rel; *p; p++)
            if (*p == '/') *p = '_';
        g4_str_addf(&s, "%s/%s_%s_%s", root, l->org, l->repo, rel);
        l->path = g4_strdup(s.p);
        char *hex = g4_json_dup(g4_json_get(lfs, "sha256"));
        l->digest = hex ? g4_place_digest(hex) : NULL;
        free(hex);
        if (!g4_json_i64(g4_json_get(lfs, "size"), &size)) g4_json_i64(g4_json_get(gguf, "size"), &size);
        const int bad = g4_place_check_blob(l->path, size, err);
        if (bad) rc = bad;
    }
    g4_str_free(&s);
    g4_str_free(&text);
    free(rel);
    free(file);
    return rc;
}

int g4_place_llamacpp(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err)
{
    struct g4_place_ref r = {0};
    char *root = llamacpp_root();
    size_t n = 0;
    int rc = 0;
    if (g4_place_ref_parse(ref, &r) && !r.file && root) {
        char **name = g4_place_entries(root, &n);
        g4_place_note(looked, "llama.cpp's cache", root);
        for (size_t i = 0; i < n && !rc; i++) {
            struct legacy l = {0};
            g4_err why = {0};
            if (legacy_name(name[i], &l) && !strcasecmp(l.org, r.org) && !strcasecmp(l.repo, r.repo) &&
                !strcasecmp(l.tag, r.quant ? r.quant : "latest")) {
                legacy_free(&l);
                rc = legacy_read(root, name[i], &l, &why);
                if (rc < 0) g4_fail(err, rc, "%s", why.msg);
            }
            if (rc > 0) {
                *path = g4_strdup(l.path);
                *digest = l.digest ? g4_strdup(l.digest) : NULL;
            }
            legacy_free(&l);
        }
        g4_place_free_names(name, n);
    }
    g4_place_ref_free(&r);
    free(root);
    return rc;
}

int g4_place_llamacpp_list(g4_store_each each, void *arg)
{
    char *root = llamacpp_root();
    size_t n = 0;
    char **name = root ? g4_place_entries(root, &n) : NULL;
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        struct legacy l = {0};
        if (legacy_read(root, name[i], &l, NULL) > 0) {
            g4_str s = {0};
            g4_str_addf(&s, "%s/%s%s%s", l.org, l.repo, strcmp(l.tag, "latest") ? ":" : "", strcmp(l.tag, "latest") ? l.tag : "");
            rc = each(arg, &(struct g4_store_model){
                               .name = s.p, .place = "llama.cpp", .path = l.path, .digest = l.digest, .bytes = g4_place_bytes(l.path) });
            g4_str_free(&s);
        }
        legacy_free(&l);
    }
    g4_place_free_names(name, n);
    free(root);
    return rc;
}

/* ---- LM Studio -------------------------------------------------------------------- */

/* Its newer folder, else its older one; NULL when neither is there. */
static char *lmstudio_root(void)
{
    static const char *const sub[] = { ".lmstudio/models", ".cache/lm-studio/models" };
    for (size_t i = 0; i < 2; i++) {
        char *root = g4_xdg_path(NULL, sub[i], NULL);
        if (root && g4_is_dir(root)) return root;
        free(root);
    }
    return NULL;
}

int g4_place_lmstudio(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err)
{
    struct g4_place_ref r = {0};
    char *root = lmstudio_root();
    int rc = 0;
    if (root && g4_place_ref_parse(ref, &r)) {
        g4_str dir = {0};
        const char *found = NULL;
        size_t n;
        g4_place_note(looked, "LM Studio's models", root);
        g4_str_addf(&dir, "%s/%s/%s", root, r.org, r.repo);
        char **name = g4_place_files(dir.p, &n);
        rc = g4_place_choose(&r, name, n, &found, err);
        if (rc > 0) *path = g4_place_join(dir.p, found);
        g4_place_free_names(name, n);
        g4_str_free(&dir);
    }
    g4_place_ref_free(&r);
    free(root);
    return rc;
}

/* ROOT/ORG/REPO/FILE */
void g4_place_lmstudio_beside(const char *path, struct g4_store_beside *out)
{
    char *root = lmstudio_root();
    const size_t n = root ? strlen(root) : 0;
    const char *org = n && !strncmp(path, root, n) && path[n] == '/' ? path + n + 1 : NULL, *repo = org ? strchr(org, '/') : NULL;
    const char *rel = repo ? strchr(repo + 1, '/') : NULL;
    if (rel) {
        char *folder = g4_strndup(path, (size_t)(rel - path));
        g4_place_nearest(folder, rel + 1, out);
        free(folder);
    }
    free(root);
}

int g4_place_lmstudio_list(g4_store_each each, void *arg)
{
    char *root = lmstudio_root();
    size_t n = 0;
    char **name = root ? g4_place_files(root, &n) : NULL;
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        if (!g4_names_is_model(name[i])) continue;
        char *path = g4_place_join(root, name[i]);
        rc = each(arg, &(struct g4_store_model){ .name = name[i], .place = "lmstudio", .path = path, .bytes = g4_place_bytes(path) });
        free(path);
    }
    g4_place_free_names(name, n);
    free(root);
    return rc;
}
