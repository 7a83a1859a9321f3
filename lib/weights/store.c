/* weights/store: see store.h. */
#include "weights/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/mem.h"
#include "weights/place.h"

enum { MANIFEST_MAX = 4 << 20 };

/* ---- what the places share ---------------------------------------------------- */

char *g4_place_digest(const char *hex)
{
    if (strlen(hex) != 64 || strspn(hex, "0123456789abcdef") != 64) return NULL;
    g4_str s = {0};
    g4_str_addf(&s, "sha256:%s", hex);
    return g4_str_take(&s);
}

char *g4_place_join(const char *folder, const char *name)
{
    g4_str s = {0};
    g4_str_addf(&s, "%s/%s", folder, name);
    return g4_str_take(&s);
}

void g4_place_note(g4_str *looked, const char *what, const char *dir)
{
    g4_str_addf(looked, "%s%s '%s'", looked->n ? ", " : "", what, dir ? dir : "(no home folder)");
}

int g4_place_check_blob(const char *path, int64_t size, g4_err *err)
{
    struct stat st;
    if (stat(path, &st)) return g4_fail_errno(err, G4_EMODEL, "the model's file '%s' is missing", path);
    if (!S_ISREG(st.st_mode)) return g4_fail(err, G4_EMODEL, "the model's file '%s' is not a regular file", path);
    if (size >= 0 && st.st_size != size)
        return g4_fail(err, G4_EFORMAT, "'%s' has %lld bytes instead of %lld: an interrupted download", path, (long long)st.st_size,
                       (long long)size);
    return 0;
}

char *g4_place_env(const char *var)
{
    const char *v = getenv(var), *home = getenv("HOME");
    if (!v || !*v) return NULL;
    if (v[0] == '~' && v[1] == '/' && home) return g4_place_join(home, v + 2);
    return g4_strdup(v);
}

/* ---- explicit paths ------------------------------------------------------------- */

static bool has(const char *folder, const char *name)
{
    char *p = g4_place_join(folder, name);
    const bool there = g4_file_exists(p);
    free(p);
    return there;
}

static bool is_explicit(const char *name)
{
    return *name == '/' || !strncmp(name, "./", 2) || !strncmp(name, "../", 3) || !strcmp(name, ".") || !strcmp(name, "..");
}

/* A file, or a folder; a folder named like a model counts only when it holds one,
 * so that a "gemma" in the working folder does not hide the store's. */
static bool is_path(const char *name)
{
    if (!g4_is_dir(name)) return g4_file_exists(name);
    return is_explicit(name) || has(name, "config.json") || has(name, "tokenizer.json") || has(name, "tokenizer.model") ||
           has(name, "model.safetensors") || has(name, "model.safetensors.index.json");
}

/* A path that leads into a cache of blobs: their names are their digests. */
static char *digest_of_path(const char *path)
{
    char *real = realpath(path, NULL), *digest = NULL;
    const char *base = real ? strrchr(real, '/') : NULL;
    if (base && base - real >= 6 && !strncmp(base - 6, "/blobs", 6)) {
        base++;
        digest = g4_place_digest(strncmp(base, "sha256-", 7) ? base : base + 7);
    }
    free(real);
    return digest;
}

/* ---- g4's own store --------------------------------------------------------------- */

char *g4_store_root(void)
{
    char *root = g4_place_env("G4_STORE");
    return root ? root : g4_xdg_path("XDG_DATA_HOME", ".local/share", "g4/models");
}

char *g4_store_escape(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    g4_str s = {0};
    for (const char *p = name; *p; p++)
        if (strchr(plain, *p) || (*p == '.' && p > name))
            g4_str_addc(&s, *p);
        else
            g4_str_addf(&s, "%%%02X", (unsigned char)*p);
    return g4_str_take(&s);
}

/* Components that lead down only. */
static bool is_inside(const char *rel)
{
    if (!*rel || *rel == '/' || strlen(rel) > 1024) return false;
    for (const char *p = rel; *p;) {
        const size_t n = strcspn(p, "/");
        if (!n || (n <= 2 && p[0] == '.' && p[n - 1] == '.')) return false;
        p += n + (p[n] == '/');
    }
    return true;
}

/* A file of a manifest: its blob, or where it lies outside the store. */
static int use_file(const char *root, const char *manifest, g4_json model, char **path, char **digest, g4_err *err)
{
    g4_json size;
    char *d = g4_json_dup(g4_json_get(model, "digest"));
    *digest = d && !strncmp(d, "sha256:", 7) ? g4_place_digest(d + 7) : NULL;
    free(d);
    if (!*digest) return g4_fail(err, G4_EFORMAT, "'%s': no model file with a SHA-256 digest", manifest);
    *path = g4_json_dup(g4_json_get(model, "local"));
    if (*path && **path != '/') return g4_fail(err, G4_EFORMAT, "'%s': the local path is not absolute", manifest);
    if (!*path) {
        g4_str s = {0};
        g4_str_addf(&s, "%s/blobs/sha256-%s", root, *digest + 7);
        *path = g4_str_take(&s);
    }
    int64_t bytes = -1;
    size = g4_json_get(model, "size");
    if (size.p && (!g4_json_i64(size, &bytes) || bytes < 0)) return g4_fail(err, G4_EFORMAT, "'%s': a bad size", manifest);
    return g4_place_check_blob(*path, bytes, err);
}

/* The single file with the role "model". */
static int model_blob(const char *root, const char *manifest, g4_json files, char **path, char **digest, g4_err *err)
{
    g4_json model = {0};
    for (g4_json_it it = g4_json_iter(files); g4_json_next(&it);)
        if (g4_json_is(g4_json_get(it.value, "role"), "model")) {
            if (model.p) return g4_fail(err, G4_EFORMAT, "'%s': several model files and no path", manifest);
            model = it.value;
        }
    return use_file(root, manifest, model, path, digest, err);
}

static int read_manifest(const char *root, const char *manifest, char **path, char **digest, g4_err *err)
{
    g4_str text = {0};
    g4_json top = {0};
    g4_err why = {0};
    int rc = g4_file_read(manifest, MANIFEST_MAX, &text, err);
    if (!rc && g4_json_check(text.p, text.n, &top, &why)) rc = g4_fail(err, G4_EFORMAT, "'%s': %s", manifest, why.msg);
    char *rel = g4_json_dup(g4_json_get(top, "path"));
    if (!rc && rel) {
        if (!is_inside(rel) || strlen(rel) != g4_json_get(top, "path").n - 2)
            rc = g4_fail(err, G4_EFORMAT, "'%s': the path leads out of the store", manifest);
        else {
            *path = g4_place_join(root, rel);
            if (!g4_file_exists(*path) && !g4_is_dir(*path)) rc = g4_fail(err, G4_EMODEL, "'%s': '%s' is missing", manifest, *path);
        }
    } else if (!rc) {
        rc = model_blob(root, manifest, g4_json_get(top, "files"), path, digest, err);
    }
    free(rel);
    g4_str_free(&text);
    return rc ? rc : 1;
}

static int place_own(const char *name, char **path, char **digest, g4_str *looked, g4_err *err)
{
    char *root = g4_store_root();
    g4_place_note(looked, "g4's store", root);
    if (!root) return 0;
    char *escaped = g4_store_escape(name);
    g4_str s = {0};
    int rc = 0;
    g4_str_addf(&s, "%s/manifests/%s.json", root, escaped);
    if (g4_file_exists(s.p)) {
        rc = read_manifest(root, s.p, path, digest, err);
    } else if (is_inside(name)) {
        for (int i = 0; i < 2 && !rc; i++) {
            g4_str_clear(&s);
            g4_str_addf(&s, "%s/%s%s", root, name, i ? "" : ".gguf");
            rc = g4_file_exists(s.p) || (i && g4_is_dir(s.p) && is_path(s.p));
        }
        if (rc) *path = g4_strdup(s.p);
    }
    g4_str_free(&s);
    free(escaped);
    free(root);
    return rc;
}

/* ---- all places ---------------------------------------------------------------------- */

static int find(const char *name, char **path, char **digest, g4_str *looked, g4_err *err)
{
    if (is_path(name)) {
        *path = g4_strdup(name);
        *digest = digest_of_path(name);
        return 1;
    }
    if (is_explicit(name)) return g4_fail(err, G4_EMODEL, "no model file or folder '%s'", name);
    static const struct {
        const char *prefix;
        int (*look)(const char *, char **, char **, g4_str *, g4_err *);
    } place[] = {
        { "hf:", g4_place_hf },           { "ollama:", g4_place_ollama },     { "docker:", g4_place_docker },
        { "hf:", g4_place_llamacpp },     { "hf:", g4_place_lmstudio },       { "ramalama:", g4_place_ramalama },
        { "kaggle:", g4_place_kaggle },
    };
    /* g4-pull keeps the Hub's models under their names there. */
    int rc = place_own(strncmp(name, "hf:", 3) ? name : name + 3, path, digest, looked, err);
    const char *prefix = NULL;
    for (size_t i = 0; i < sizeof place / sizeof *place; i++)
        if (!strncmp(name, place[i].prefix, strlen(place[i].prefix))) prefix = place[i].prefix;
    for (size_t i = 0; i < sizeof place / sizeof *place && !rc; i++)
        if (!prefix || !strcmp(prefix, place[i].prefix)) rc = place[i].look(name + (prefix ? strlen(prefix) : 0), path, digest, looked, err);
    return rc;
}

char *g4_store_find(const char *name, char **digest, g4_err *err)
{
    char *path = NULL, *sum = NULL;
    g4_str looked = {0};
    if (digest) *digest = NULL;
    int rc = *name ? find(name, &path, &sum, &looked, err) : g4_fail(err, G4_EMODEL, "the model's name is empty");
    if (!rc)
        rc = g4_fail(err, G4_EMODEL, "no model '%.120s': not a file%s%s", name, looked.n ? ", not in " : "", looked.n ? looked.p : "");
    g4_str_free(&looked);
    if (rc < 0) {
        free(path);
        path = NULL;
    }
    if (rc > 0 && digest) {
        *digest = sum;
        sum = NULL;
    }
    free(sum);
    return path;
}
