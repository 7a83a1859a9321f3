/* weights/place_hf: the Hugging Face cache, read in place.
 *
 *   models--ORG--REPO/refs/REV             the commit a revision stands for
 *   models--ORG--REPO/snapshots/COMMIT/F   a link to ../../blobs/ETAG, or a file
 *   models--ORG--REPO/blobs/ETAG           named by SHA-256 when it is a large file
 *
 * A link is followed only when it stays inside the repository's folder. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weights/names.h"
#include "weights/place.h"

void g4_place_ref_free(struct g4_place_ref *r)
{
    free(r->org);
    free(r->repo);
    free(r->file);
    free(r->quant);
    free(r->rev);
}

/* The Hub's rule for one half of a repository's name. */
static bool is_id(const char *s)
{
    static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t n = strlen(s);
    return n && n <= 96 && strspn(s, ok) == n && *s != '-' && *s != '.' && s[n - 1] != '-' && s[n - 1] != '.' && !strstr(s, "--") &&
           !strstr(s, "..");
}

/* A path below a folder: no empty, "." or ".." component. */
static bool is_below(const char *s)
{
    for (;;) {
        const size_t n = strcspn(s, "/");
        if (!n || (n <= 2 && s[0] == '.' && s[n - 1] == '.')) return false;
        if (!s[n]) return true;
        s += n + 1;
    }
}

/* A web address' ".../blob/REV/FILE" (or resolve, raw, tree): the revision is one
 * component, or three of refs/pr/N. */
static void split_web(struct g4_place_ref *r)
{
    static const char *const word[] = { "blob/", "resolve/", "raw/", "tree/" };
    for (size_t i = 0; i < sizeof word / sizeof *word && r->file; i++) {
        const size_t n = strlen(word[i]);
        if (strncmp(r->file, word[i], n)) continue;
        const char *rev = r->file + n, *end = strchr(rev, '/');
        if (!strncmp(rev, "refs/pr/", 8)) end = strchr(rev + 8, '/');
        char *file = end && end[1] ? g4_strdup(end + 1) : NULL;
        free(r->rev);
        r->rev = end ? g4_strndup(rev, (size_t)(end - rev)) : g4_strdup(rev);
        if (file) file[strcspn(file, "?#")] = 0;
        free(r->file);
        r->file = file;
        return;
    }
}

/* hf://ORG/REPO@REV/FILE: the revision stands before the file. */
static void split_scheme(struct g4_place_ref *r)
{
    char *slash = strchr(r->rev, '/');
    if (!strncmp(r->rev, "refs/pr/", 8)) slash = strchr(r->rev + 8, '/');
    if (r->file || !slash) return;
    r->file = g4_strdup(slash + 1);
    *slash = 0;
}

bool g4_place_ref_parse(const char *text, struct g4_place_ref *r)
{
    static const char *const prefix[] = { "//", "https://huggingface.co/", "huggingface.co/", "hf.co/" };
    const bool scheme = !strncmp(text, "//", 2);
    for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++)
        if (!strncmp(text, prefix[i], strlen(prefix[i]))) text += strlen(prefix[i]);
    const char *slash = strchr(text, '/'), *at = strrchr(text, '@');
    if (!slash) return false;
    const char *end = at ? at : text + strlen(text), *p = slash + 1;
    const size_t n = strcspn(p, "/:@");
    r->org = g4_strndup(text, (size_t)(slash - text));
    r->repo = g4_strndup(p, n);
    p += n;
    if (*p == '/' && p < end) r->file = g4_strndup(p + 1, (size_t)(end - p - 1));
    if (*p == ':') r->quant = g4_strndup(p + 1, (size_t)(end - p - 1));
    r->rev = g4_strdup(at ? at + 1 : "main");
    if (scheme) split_scheme(r);
    else split_web(r);
    if (r->file && !*r->file) {
        free(r->file);
        r->file = NULL;
    }
    return is_id(r->org) && is_id(r->repo) && is_below(r->rev) && (!r->file || is_below(r->file)) &&
           (!r->quant || (*r->quant && !strchr(r->quant, '/')));
}

static char *cache_root(void)
{
    char *root = g4_place_env("HF_HUB_CACHE");
    if (!root) root = g4_place_env("HUGGINGFACE_HUB_CACHE");
    if (root) return root;
    char *home = g4_place_env("HF_HOME");
    if (!home) home = g4_xdg_path("XDG_CACHE_HOME", ".cache", "huggingface");
    if (!home) return NULL;
    root = g4_place_join(home, "hub");
    free(home);
    return root;
}

static bool is_commit(const char *s)
{
    return strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

/* The snapshot's folder, NULL when the revision is not here. */
static char *snapshot_of(const char *repo_dir, const char *rev)
{
    g4_str s = {0}, text = {0};
    if (!is_commit(rev)) {
        g4_str_addf(&s, "%s/refs/%s", repo_dir, rev);
        if (!g4_file_read(s.p, 256, &text, NULL)) {
            text.p[strcspn(text.p, "\r\n")] = 0;
            if (is_commit(text.p)) rev = text.p;
        }
        g4_str_clear(&s);
    }
    g4_str_addf(&s, "%s/snapshots/%s", repo_dir, rev);
    const bool there = is_commit(rev) && g4_is_dir(s.p);
    g4_str_free(&text);
    if (there) return g4_str_take(&s);
    g4_str_free(&s);
    return NULL;
}

static bool holds(char *const *name, size_t n, const char *wanted)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(name[i], wanted)) return true;
    return false;
}

/* How many models match best; *found is the first of them. */
static size_t pick(char *const *name, size_t n, const char *tag, const char **found)
{
    int best = 0;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const int m = g4_names_is_model(name[i]) ? tag ? g4_names_match(name[i], tag) : 1 : 0;
        if (!m || m < best) continue;
        if (m > best) count = 0;
        best = m;
        if (!count++) *found = name[i];
    }
    return count;
}

static int several(const struct g4_place_ref *r, char *const *name, size_t n, g4_err *err)
{
    g4_str s = {0};
    for (size_t i = 0; i < n && s.n < 200; i++)
        if (g4_names_is_model(name[i]) && (!r->quant || g4_names_match(name[i], r->quant))) g4_str_addf(&s, " %s", name[i]);
    const int rc = g4_fail(err, G4_EMODEL, "several files of '%s/%s' fit, name one as %s/%s/FILE:%s", r->org, r->repo, r->org, r->repo, s.p);
    g4_str_free(&s);
    return rc;
}

int g4_place_choose(const struct g4_place_ref *r, char *const *name, size_t n, const char **found, g4_err *err)
{
    static const char *const usual[] = { "Q4_K_M", "Q4_K_XL", "Q4_0", "Q8_0" };
    if (r->file) {
        *found = r->file;
        return holds(name, n, r->file);
    }
    if (!r->quant)
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
            if (pick(name, n, usual[i], found) == 1) return 1;
    const size_t fit = pick(name, n, r->quant, found);
    return fit > 1 ? several(r, name, n, err) : (int)fit;
}

static bool within(const char *real, const char *dir)
{
    const size_t n = strlen(dir);
    return !strncmp(real, dir, n) && real[n] == '/';
}

/* The file's data is there and inside the repository; its digest by its blob's name. */
static int check_file(const char *repo_dir, const char *path, char **digest, g4_err *err)
{
    char *root = realpath(repo_dir, NULL), *real = realpath(path, NULL);
    int rc = 0;
    if (!root || !real)
        rc = g4_fail(err, G4_EMODEL, "'%s' is in the cache, but its data is missing", path);
    else if (!within(real, root))
        rc = g4_fail(err, G4_EFORMAT, "'%s' leads out of its repository, to '%.200s'", path, real);
    else if (digest)
        *digest = g4_place_digest(strrchr(real, '/') + 1);
    free(root);
    free(real);
    return rc;
}

static bool is_folder_model(char *const *name, size_t n)
{
    return holds(name, n, "model.safetensors") || holds(name, n, "model.safetensors.index.json") || holds(name, n, "tokenizer.json");
}

static int use_folder(const char *repo_dir, const char *snap, char *const *name, size_t n, char **path, char **digest, g4_err *err)
{
    const bool whole = holds(name, n, "model.safetensors");
    if (!is_folder_model(name, n)) return 0;
    for (size_t i = 0; i < n; i++) {
        char *p = g4_place_join(snap, name[i]);
        const bool is_weights = whole && !strcmp(name[i], "model.safetensors");
        const int rc = check_file(repo_dir, p, is_weights ? digest : NULL, err);
        free(p);
        if (rc) return rc;
    }
    *path = g4_strdup(snap);
    return 1;
}

static int use_snapshot(const char *repo_dir, const char *snap, const struct g4_place_ref *r, char **path, char **digest, g4_err *err)
{
    const char *found = NULL;
    size_t n;
    char **name = g4_place_files(snap, &n);
    int rc = g4_place_choose(r, name, n, &found, err);
    if (rc > 0) {
        *path = g4_place_join(snap, found);
        const int bad = check_file(repo_dir, *path, digest, err);
        if (bad) rc = bad;
        /* One part's digest is not the model's. */
        if (strstr(found, "-00001-of-") && *digest) {
            free(*digest);
            *digest = NULL;
        }
    } else if (!rc && !r->file && !r->quant) {
        rc = use_folder(repo_dir, snap, name, n, path, digest, err);
    }
    g4_place_free_names(name, n);
    return rc;
}

int g4_place_hf(const char *text, char **path, char **digest, g4_str *looked, g4_err *err)
{
    struct g4_place_ref r = {0};
    int rc = 0;
    if (g4_place_ref_parse(text, &r)) {
        char *root = cache_root(), *snap = NULL;
        g4_str dir = {0};
        g4_place_note(looked, "the Hugging Face cache", root);
        if (root) {
            g4_str_addf(&dir, "%s/models--%s--%s", root, r.org, r.repo);
            snap = snapshot_of(dir.p, r.rev);
        }
        if (snap) rc = use_snapshot(dir.p, snap, &r, path, digest, err);
        free(snap);
        g4_str_free(&dir);
        free(root);
    }
    g4_place_ref_free(&r);
    return rc;
}

/* .../models--ORG--REPO/snapshots/COMMIT/FILE */
void g4_place_hf_beside(const char *path, struct g4_store_beside *out)
{
    const char *at = strstr(path, "/snapshots/"), *rel = at ? strchr(at + 11, '/') : NULL;
    if (!rel || rel - at != 11 + 40) return;
    char *repo_dir = g4_strndup(path, (size_t)(at - path)), *snap = g4_strndup(path, (size_t)(rel - path));
    g4_place_nearest(snap, rel + 1, out);
    char **found[] = { &out->mmproj, &out->drafter };
    for (size_t i = 0; i < 2; i++)
        if (*found[i] && check_file(repo_dir, *found[i], NULL, NULL)) {
            free(*found[i]);
            *found[i] = NULL;
        }
    free(repo_dir);
    free(snap);
}

/* ---- what is there ------------------------------------------------------------------ */

struct listing {
    g4_store_each each;
    void *arg;
    const char *repo, *rev, *repo_dir, *snap;
    char **name;
    size_t n;
};

static int list_one(const struct listing *l, const char *rel)
{
    g4_str name = {0}, path = {0};
    char *digest = NULL;
    int rc = 0;
    g4_str_addf(&path, "%s%s%s", l->snap, rel ? "/" : "", rel ? rel : "");
    g4_str_addf(&name, "%s%s%s", l->repo, rel ? "/" : "", rel ? rel : "");
    if (strcmp(l->rev, "main")) g4_str_addf(&name, "@%s", l->rev);
    uint64_t bytes = rel ? g4_place_bytes(path.p) : 0;
    for (size_t i = 0; i < l->n && !rel; i++) {
        char *p = g4_place_join(l->snap, l->name[i]);
        if (strstr(l->name[i], ".safetensors")) bytes += g4_place_bytes(p);
        free(p);
    }
    /* A dangling link, or one that leads out, is not a model that could be opened. */
    if (!rel || !check_file(l->repo_dir, path.p, &digest, NULL))
        rc = l->each(l->arg, &(struct g4_store_model){ .name = name.p, .place = "huggingface", .path = path.p, .digest = digest, .bytes = bytes });
    free(digest);
    g4_str_free(&name);
    g4_str_free(&path);
    return rc;
}

static int list_ref(struct listing *l, const char *rev)
{
    char *snap = snapshot_of(l->repo_dir, rev);
    int rc = 0;
    if (!snap) return 0;
    l->rev = rev;
    l->snap = snap;
    l->name = g4_place_files(snap, &l->n);
    bool any = false;
    for (size_t i = 0; i < l->n && !rc; i++)
        if (g4_names_is_model(l->name[i])) {
            any = true;
            rc = list_one(l, l->name[i]);
        }
    if (!rc && !any && is_folder_model(l->name, l->n)) rc = list_one(l, NULL);
    g4_place_free_names(l->name, l->n);
    free(snap);
    return rc;
}

int g4_place_hf_list(g4_store_each each, void *arg)
{
    char *root = cache_root();
    size_t n = 0, n_ref;
    char **dir = root ? g4_place_entries(root, &n) : NULL;
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        if (strncmp(dir[i], "models--", 8) || !strstr(dir[i] + 8, "--")) continue;
        char *repo = g4_strdup(dir[i] + 8), *cut = strstr(repo, "--");
        *cut = '/';
        memmove(cut + 1, cut + 2, strlen(cut + 2) + 1);
        struct listing l = { .each = each, .arg = arg, .repo = repo };
        char *repo_dir = g4_place_join(root, dir[i]), *refs = g4_place_join(repo_dir, "refs");
        char **ref = g4_place_files(refs, &n_ref);
        l.repo_dir = repo_dir;
        for (size_t k = 0; k < n_ref && !rc; k++) rc = list_ref(&l, ref[k]);
        g4_place_free_names(ref, n_ref);
        free(refs);
        free(repo_dir);
        free(repo);
    }
    g4_place_free_names(dir, n);
    free(root);
    return rc;
}
