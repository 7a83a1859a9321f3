/* weights/place_hf: the Hugging Face cache, read in place.
 *
 *   models--ORG--REPO/refs/REV             the commit a revision stands for
 *   models--ORG--REPO/snapshots/COMMIT/F   a link to ../../blobs/ETAG, or a file
 *   models--ORG--REPO/blobs/ETAG           named by SHA-256 when it is a large file
 *
 * A link is followed only when it stays inside the repository's folder. */
#define _GNU_SOURCE /* strcasestr */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "weights/place.h"

enum { DEPTH_MAX = 3, FILES_MAX = 20000 };

struct ref { /* ORG/REPO[/FILE][:QUANT][@REV] */
    char *org, *repo, *file, *quant, *rev;
};

struct files { /* paths relative to the snapshot */
    char **name;
    size_t n, cap;
};

static void ref_free(struct ref *r)
{
    free(r->org);
    free(r->repo);
    free(r->file);
    free(r->quant);
    free(r->rev);
}

static void files_free(struct files *f)
{
    for (size_t i = 0; i < f->n; i++) free(f->name[i]);
    free(f->name);
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

static bool parse(const char *text, struct ref *r)
{
    static const char *const prefix[] = { "//", "https://huggingface.co/", "huggingface.co/", "hf.co/" };
    for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++)
        if (!strncmp(text, prefix[i], strlen(prefix[i]))) text += strlen(prefix[i]);
    const char *slash = strchr(text, '/'), *at = strrchr(text, '@');
    if (!slash) return false;
    const char *end = at ? at : text + strlen(text), *p = slash + 1;
    const size_t n = strcspn(p, "/:@");
    r->org = g4_strndup(text, (size_t)(slash - text));
    r->repo = g4_strndup(p, n);
    p += n;
    if (*p == '/') r->file = g4_strndup(p + 1, (size_t)(end - p - 1));
    if (*p == ':') r->quant = g4_strndup(p + 1, (size_t)(end - p - 1));
    r->rev = g4_strdup(at ? at + 1 : "main");
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

/* All files below dir, as paths behind `skip` bytes of theirs. */
static void list(const char *dir, size_t skip, int depth, struct files *out)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)) && out->n < FILES_MAX;) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        char *p = g4_place_join(dir, e->d_name);
        if (g4_is_dir(p)) {
            if (depth < DEPTH_MAX) list(p, skip, depth + 1, out);
        } else {
            G4_GROW(out->name, out->cap, out->n + 1);
            out->name[out->n++] = g4_strdup(p + skip);
        }
        free(p);
    }
    if (d) closedir(d);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool holds(const struct files *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->name[i], name)) return true;
    return false;
}

/* Model files: no projector, drafter or importance matrix, and of a split set the
 * first part only. */
static bool is_model(const char *rel)
{
    static const char *const begins[] = { "mtp-", "eagle3-", "dflash-", "dspark-" };
    const char *base = strrchr(rel, '/') ? strrchr(rel, '/') + 1 : rel;
    const size_t n = strlen(base);
    if (n < 5 || strcasecmp(base + n - 5, ".gguf")) return false;
    if (strcasestr(base, "mmproj") || strcasestr(base, "imatrix") || !strncmp(rel, "MTP/", 4) || strstr(rel, "/MTP/")) return false;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (!strncasecmp(base, begins[i], strlen(begins[i]))) return false;
    const char *of = n > 20 ? base + n - 20 : NULL; /* -00001-of-00002.gguf */
    return !of || strncmp(of + 6, "-of-", 4) || !strncmp(of, "-00001", 6);
}

/* The tag stands in the path as a word: 'Q4_K' is not in 'Q4_K_M'.  2: plain;
 * 1: behind 'UD-', which gives way to a plain one; 0: not at all. */
static int matches(const char *rel, const char *tag)
{
    const size_t n = strlen(tag);
    int best = 0;
    for (const char *p = rel; (p = strcasestr(p, tag)); p++) {
        const bool left = p == rel || strchr("-._/", p[-1]), right = !p[n] || strchr("-./", p[n]);
        if (!left || !right) continue;
        const bool ud = p - rel >= 3 && !strncasecmp(p - 3, "UD-", 3);
        if (best < (ud ? 1 : 2)) best = ud ? 1 : 2;
    }
    return best;
}

/* How many models match best; *found is the first of them. */
static size_t pick(const struct files *f, const char *tag, const char **found)
{
    int best = 0;
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const int m = is_model(f->name[i]) ? tag ? matches(f->name[i], tag) : 1 : 0;
        if (!m || m < best) continue;
        if (m > best) n = 0;
        best = m;
        if (!n++) *found = f->name[i];
    }
    return n;
}

static int several(const struct ref *r, const struct files *f, g4_err *err)
{
    g4_str s = {0};
    for (size_t i = 0; i < f->n && s.n < 200; i++)
        if (is_model(f->name[i]) && (!r->quant || matches(f->name[i], r->quant))) g4_str_addf(&s, " %s", f->name[i]);
    const int rc = g4_fail(err, G4_EMODEL, "several files of '%s/%s' fit, name one as %s/%s/FILE:%s", r->org, r->repo, r->org, r->repo, s.p);
    g4_str_free(&s);
    return rc;
}

/* The file to run: the one named, the tag's, or the usual choice.  1, 0 or an error. */
static int choose(const struct ref *r, const struct files *f, const char **found, g4_err *err)
{
    static const char *const usual[] = { "Q4_K_M", "Q4_K_XL", "Q4_0", "Q8_0" };
    if (r->file) {
        *found = r->file;
        return holds(f, r->file);
    }
    if (!r->quant)
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
            if (pick(f, usual[i], found) == 1) return 1;
    const size_t n = pick(f, r->quant, found);
    return n > 1 ? several(r, f, err) : (int)n;
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

static int use_folder(const char *repo_dir, const char *snap, const struct files *f, char **path, char **digest, g4_err *err)
{
    const bool whole = holds(f, "model.safetensors");
    if (!whole && !holds(f, "model.safetensors.index.json") && !holds(f, "tokenizer.json")) return 0;
    for (size_t i = 0; i < f->n; i++) {
        char *p = g4_place_join(snap, f->name[i]);
        const bool is_weights = whole && !strcmp(f->name[i], "model.safetensors");
        const int rc = check_file(repo_dir, p, is_weights ? digest : NULL, err);
        free(p);
        if (rc) return rc;
    }
    *path = g4_strdup(snap);
    return 1;
}

static int use_snapshot(const char *repo_dir, const char *snap, const struct ref *r, char **path, char **digest, g4_err *err)
{
    struct files f = {0};
    const char *found = NULL;
    list(snap, strlen(snap) + 1, 0, &f);
    if (f.n) qsort(f.name, f.n, sizeof *f.name, by_name);
    int rc = choose(r, &f, &found, err);
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
        rc = use_folder(repo_dir, snap, &f, path, digest, err);
    }
    files_free(&f);
    return rc;
}

int g4_place_hf(const char *text, char **path, char **digest, g4_str *looked, g4_err *err)
{
    struct ref r = {0};
    int rc = 0;
    if (parse(text, &r)) {
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
    ref_free(&r);
    return rc;
}
