/* weights/store_write: see store_write.h. */
#include "weights/store_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "weights/place.h"

enum { MANIFEST_MAX = 4 << 20, PARTIAL_AGE = 24 * 3600 };

/* ---- locks ------------------------------------------------------------------------ */

/* A file system without flock gets record locks; one without either gets none,
 * and its writers meet at the rename, where the later one wins. */
static int lock_fd(int fd, bool exclusive, bool wait)
{
    for (;;) {
        if (!flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB))) return 0;
        if (errno == EINTR) continue;
        if (errno != ENOLCK && errno != EOPNOTSUPP && errno != ENOSYS) return -1;
        struct flock l = { .l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
        return fcntl(fd, wait ? F_SETLKW : F_SETLK, &l) && (errno == EAGAIN || errno == EACCES) ? -1 : 0;
    }
}

int g4_store_lock(const char *root, const char *name, bool exclusive, bool wait, void (*said)(const char *), g4_err *err)
{
    g4_str s = {0};
    g4_str_addf(&s, "%s/.locks", root);
    int rc = g4_mkdirs(s.p, 0755, err), fd = -1;
    if (!rc) {
        g4_str_addf(&s, "/%s.lock", name);
        fd = open(s.p, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0) rc = g4_fail_errno(err, G4_EIO, "cannot open the lock '%s'", s.p);
    }
    if (fd >= 0 && lock_fd(fd, exclusive, false)) {
        if (wait && said) said(name);
        if (!wait || lock_fd(fd, exclusive, true)) {
            if (wait) g4_fail_errno(err, G4_EIO, "cannot lock '%s'", s.p);
            close(fd);
            fd = -1;
        }
    }
    g4_str_free(&s);
    return fd;
}

/* ---- manifests ---------------------------------------------------------------------- */

static void put_member(g4_str *s, const char *key, const char *value)
{
    if (!value) return;
    g4_str_addf(s, "\"%s\":", key);
    g4_json_put_str(s, value, strlen(value));
    g4_str_addc(s, ',');
}

static bool is_multi(const struct g4_store_entry *e)
{
    size_t models = 0;
    bool folder = false;
    for (size_t i = 0; i < e->n; i++) {
        const bool is = !strcmp(e->file[i].role, "model");
        models += is;
        folder |= is && strstr(e->file[i].path, ".safetensors");
    }
    return models != 1 || folder;
}

/* views/NAME/PATH -> ../../blobs/sha256-HEX, one more ../ for each folder of PATH. */
static int link_view(const char *root, const char *view, const struct g4_store_file *f, g4_err *err)
{
    g4_str at = {0}, to = {0};
    g4_str_addf(&at, "%s/%s/%s", root, view, f->path);
    char *slash = strrchr(at.p, '/');
    *slash = 0;
    int rc = g4_mkdirs(at.p, 0755, err);
    *slash = '/';
    g4_str_adds(&to, "../..");
    for (const char *p = f->path; *p; p++)
        if (*p == '/') g4_str_adds(&to, "/..");
    if (f->local) {
        g4_str_clear(&to);
        g4_str_adds(&to, f->local);
    } else {
        g4_str_addf(&to, "/blobs/sha256-%s", f->digest + 7);
    }
    unlink(at.p);
    if (!rc && symlink(to.p, at.p)) rc = g4_fail_errno(err, G4_EIO, "cannot link '%s'", at.p);
    g4_str_free(&at);
    g4_str_free(&to);
    return rc;
}

/* The first part of a split GGUF, or the whole folder. */
static void view_entry(const struct g4_store_entry *e, const char *view, g4_str *out)
{
    g4_str_adds(out, view);
    for (size_t i = 0; i < e->n; i++)
        if (!strcmp(e->file[i].role, "model") && strstr(e->file[i].path, ".gguf")) {
            g4_str_addf(out, "/%s", e->file[i].path);
            return;
        }
}

static void compose(const struct g4_store_entry *e, const char *path, g4_str *s)
{
    g4_str_addc(s, '{');
    put_member(s, "name", e->name);
    put_member(s, "source", e->source);
    put_member(s, "commit", e->commit);
    put_member(s, "identity", e->identity);
    put_member(s, "path", *path ? path : NULL);
    g4_str_addf(s, "\"time\":%lld,\"files\":[", (long long)time(NULL));
    for (size_t i = 0; i < e->n; i++) {
        const struct g4_store_file *f = &e->file[i];
        g4_str_adds(s, i ? ",\n{" : "\n{");
        put_member(s, "role", f->role);
        put_member(s, "path", f->path);
        put_member(s, "identity", f->identity);
        put_member(s, "local", f->local);
        put_member(s, "digest", f->digest);
        g4_str_addf(s, "\"size\":%llu}", (unsigned long long)f->size);
    }
    g4_str_adds(s, "\n]}\n");
}

char *g4_store_blob(const char *root, const char *hex)
{
    g4_str s = {0};
    g4_str_addf(&s, "%s/blobs/sha256-%s", root, hex);
    return g4_str_take(&s);
}

static const struct g4_store_file *the_model(const struct g4_store_entry *e)
{
    for (size_t i = 0; i < e->n; i++)
        if (!strcmp(e->file[i].role, "model")) return &e->file[i];
    return &e->file[0];
}

int g4_store_put(const char *root, const struct g4_store_entry *e, char **path, g4_err *err)
{
    char *escaped = g4_store_escape(e->name);
    g4_str view = {0}, rel = {0}, text = {0}, file = {0};
    int rc = 0;
    g4_str_addf(&view, "views/%s", escaped);
    const bool multi = is_multi(e);
    if (multi) {
        for (size_t i = 0; i < e->n && !rc; i++) rc = link_view(root, view.p, &e->file[i], err);
        view_entry(e, view.p, &rel);
    }
    compose(e, rel.p ? rel.p : "", &text);
    g4_str_addf(&file, "%s/manifests", root);
    if (!rc) rc = g4_mkdirs(file.p, 0755, err);
    g4_str_addf(&file, "/%s.json", escaped);
    if (!rc) rc = g4_file_write_atomic(file.p, text.p, text.n, err);
    const struct g4_store_file *model = the_model(e);
    if (rc) *path = NULL;
    else if (multi) *path = g4_place_join(root, rel.p);
    else *path = model->local ? g4_strdup(model->local) : g4_store_blob(root, model->digest + 7);
    g4_str_free(&view);
    g4_str_free(&rel);
    g4_str_free(&text);
    g4_str_free(&file);
    free(escaped);
    return rc;
}

/* Calls each(arg, path, entry) for the files of root/sub. */
static int each_entry(const char *root, const char *sub, int (*each)(void *, const char *, const char *, g4_err *), void *arg, g4_err *err)
{
    char *dir = g4_place_join(root, sub);
    DIR *d = opendir(dir);
    int rc = 0;
    for (struct dirent *e; d && !rc && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char *p = g4_place_join(dir, e->d_name);
        rc = each(arg, p, e->d_name, err);
        free(p);
    }
    if (d) closedir(d);
    free(dir);
    return rc;
}

static const char *kept_text(g4_arena *keep, g4_json v)
{
    char *s = g4_json_dup(v);
    const char *kept = s ? g4_arena_strndup(keep, s, strlen(s)) : NULL;
    free(s);
    return kept;
}

static bool is_there(const char *root, const struct g4_store_file *f)
{
    char *path = f->local ? g4_strdup(f->local) : g4_store_blob(root, f->digest + 7);
    const bool there = g4_file_exists(path) && g4_place_bytes(path) == f->size;
    free(path);
    return there;
}

static bool load_file(const char *root, g4_arena *keep, g4_json v, struct g4_store_file *f)
{
    int64_t size;
    *f = (struct g4_store_file){
        .path = kept_text(keep, g4_json_get(v, "path")), .role = kept_text(keep, g4_json_get(v, "role")),
        .digest = kept_text(keep, g4_json_get(v, "digest")), .identity = kept_text(keep, g4_json_get(v, "identity")),
        .local = kept_text(keep, g4_json_get(v, "local")),
    };
    if (!f->path || !f->role || !f->digest || strlen(f->digest) != 71 || !g4_json_i64(g4_json_get(v, "size"), &size) || size < 0) return false;
    f->size = (uint64_t)size;
    return is_there(root, f);
}

bool g4_store_load(const char *root, const char *name, g4_arena *keep, struct g4_store_entry *e)
{
    char *escaped = g4_store_escape(name);
    g4_str file = {0}, text = {0};
    g4_json top = {0};
    g4_str_addf(&file, "%s/manifests/%s.json", root, escaped);
    bool good = g4_file_exists(file.p) && !g4_file_read(file.p, MANIFEST_MAX, &text, NULL) && !g4_json_check(text.p, text.n, &top, NULL);
    const g4_json files = g4_json_get(top, "files");
    const size_t n = g4_json_count(files);
    struct g4_store_file *f = g4_arena_alloc(keep, (n + 1) * sizeof *f);
    *e = (struct g4_store_entry){
        .name = kept_text(keep, g4_json_get(top, "name")), .source = kept_text(keep, g4_json_get(top, "source")),
        .commit = kept_text(keep, g4_json_get(top, "commit")), .identity = kept_text(keep, g4_json_get(top, "identity")), .file = f,
    };
    good = good && n && e->name;
    for (g4_json_it it = g4_json_iter(files); good && g4_json_next(&it);) good = load_file(root, keep, it.value, &f[e->n++]);
    free(escaped);
    g4_str_free(&file);
    g4_str_free(&text);
    return good;
}

struct known {
    const char *root, *identity;
    char *digest;
    uint64_t *size;
    bool found;
};

static int find_known(void *arg, const char *path, const char *name, g4_err *err)
{
    struct known *k = arg;
    g4_str text = {0};
    g4_json top = {0};
    g4_arena keep = {0};
    if (!g4_file_read(path, MANIFEST_MAX, &text, NULL) && !g4_json_check(text.p, text.n, &top, NULL))
        for (g4_json_it it = g4_json_iter(g4_json_get(top, "files")); !k->found && g4_json_next(&it);) {
            struct g4_store_file f;
            if (!g4_json_is(g4_json_get(it.value, "identity"), k->identity) || !load_file(k->root, &keep, it.value, &f) || f.local) continue;
            strcpy(k->digest, f.digest);
            *k->size = f.size;
            k->found = true;
        }
    g4_arena_free(&keep);
    g4_str_free(&text);
    return k->found;
}

bool g4_store_known(const char *root, const char *identity, char digest[72], uint64_t *size)
{
    struct known k = { root, identity, digest, size, false };
    if (identity) each_entry(root, "manifests", find_known, &k, NULL);
    return k.found;
}

/* ---- removing ------------------------------------------------------------------------- */

struct names { /* digests, "HEX" */
    char **v;
    size_t n, cap;
};

static bool has_name(const struct names *x, const char *hex)
{
    for (size_t i = 0; i < x->n; i++)
        if (!strcmp(x->v[i], hex)) return true;
    return false;
}

static void free_names(struct names *x)
{
    for (size_t i = 0; i < x->n; i++) free(x->v[i]);
    free(x->v);
}

/* Adds the digests that a manifest names.  One that cannot be read keeps every
 * blob: nothing is deleted on a guess. */
static int digests_of(const char *manifest, struct names *out, g4_err *err)
{
    g4_str text = {0};
    g4_json top = {0};
    g4_err why = {0};
    int rc = g4_file_read(manifest, MANIFEST_MAX, &text, err);
    if (!rc && g4_json_check(text.p, text.n, &top, &why))
        rc = g4_fail(err, G4_EFORMAT, "'%s': %s (nothing is removed while a manifest cannot be read)", manifest, why.msg);
    for (g4_json_it it = g4_json_iter(g4_json_get(top, "files")); !rc && g4_json_next(&it);) {
        char *d = g4_json_dup(g4_json_get(it.value, "digest"));
        if (d && !strncmp(d, "sha256:", 7) && !has_name(out, d + 7)) {
            G4_GROW(out->v, out->cap, out->n + 1);
            out->v[out->n++] = g4_strdup(d + 7);
        }
        free(d);
    }
    g4_str_free(&text);
    return rc;
}

struct sweep {
    struct names keep, only; /* only: candidates, all when empty */
    uint64_t freed;
    size_t n;
    const char *root;
};

static int mark(void *arg, const char *path, const char *name, g4_err *err)
{
    const size_t n = strlen(name);
    struct sweep *s = arg;
    return n > 5 && !strcmp(name + n - 5, ".json") ? digests_of(path, &s->keep, err) : 0;
}

static void discard(struct sweep *s, const char *path)
{
    struct stat st;
    if (lstat(path, &st) || unlink(path)) return;
    s->freed += st.st_nlink > 1 ? 0 : (uint64_t)st.st_blocks * 512;
    s->n++;
}

static int sweep_blob(void *arg, const char *path, const char *name, g4_err *err)
{
    struct sweep *s = arg;
    if (strncmp(name, "sha256-", 7) || strlen(name) != 71 || has_name(&s->keep, name + 7)) return 0;
    if (!s->only.n || has_name(&s->only, name + 7)) discard(s, path);
    return 0;
}

/* Partial files go after a day, unless their pull is alive: it holds their lock. */
static int sweep_partial(void *arg, const char *path, const char *name, g4_err *err)
{
    struct sweep *s = arg;
    struct stat st;
    if (stat(path, &st) || !S_ISREG(st.st_mode) || time(NULL) - st.st_mtime < PARTIAL_AGE) return 0;
    char *key = g4_strndup(name, strcspn(name, "."));
    const int fd = g4_store_lock(s->root, key, true, false, NULL, NULL);
    if (fd >= 0) {
        discard(s, path);
        close(fd);
    }
    free(key);
    return 0;
}

static void clear_sweep(struct sweep *s)
{
    free_names(&s->keep);
    free_names(&s->only);
}

static void remove_view(const char *dir, int depth)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        char *p = g4_place_join(dir, e->d_name);
        struct stat st;
        if (!lstat(p, &st) && S_ISDIR(st.st_mode) && depth < 16) remove_view(p, depth + 1);
        else if (!lstat(p, &st) && S_ISLNK(st.st_mode)) unlink(p);
        free(p);
    }
    if (d) closedir(d);
    rmdir(dir);
}

static void say_waiting(const char *name)
{
    g4_log(G4_LOG_INFO, "a pull is running; waiting for its end");
}

/* Why a name is not for g4-pull to remove. */
static int not_ours(const char *name, const char *root, g4_err *err)
{
    char *path = g4_store_find(name, NULL, NULL);
    const int rc = path ? g4_fail(err, G4_EMODEL, "'%s' is no model that g4-pull installed: it lies at '%s'", name, path)
                        : g4_fail(err, G4_EMODEL, "no model '%s' in g4's store '%s' (g4-pull --list shows them)", name, root ? root : "(no home folder)");
    free(path);
    return rc;
}

int g4_store_remove(const char *name, uint64_t *freed, g4_err *err)
{
    char *root = g4_store_root(), *escaped = g4_store_escape(strncmp(name, "hf:", 3) ? name : name + 3); /* as g4_store_find */
    struct sweep s = { .root = root };
    g4_str file = {0};
    int rc = 0, fd = -1;
    *freed = 0;
    g4_str_addf(&file, "%s/manifests/%s.json", root ? root : "", escaped);
    if (!root || !g4_file_exists(file.p)) rc = not_ours(name, root, err);
    if (!rc) {
        g4_err why = {0};
        digests_of(file.p, &s.only, &why); /* a broken one is removed too */
        fd = g4_store_lock(root, "store", true, true, say_waiting, err);
        if (fd < 0) rc = G4_EIO;
    }
    if (!rc && unlink(file.p)) rc = g4_fail_errno(err, G4_EIO, "cannot remove '%s'", file.p);
    if (!rc) {
        g4_str_clear(&file);
        g4_str_addf(&file, "%s/views/%s", root, escaped);
        remove_view(file.p, 0);
        rc = each_entry(root, "manifests", mark, &s, err);
    }
    if (!rc && s.only.n) rc = each_entry(root, "blobs", sweep_blob, &s, err);
    if (fd >= 0) close(fd);
    *freed = s.freed;
    clear_sweep(&s);
    g4_str_free(&file);
    free(escaped);
    free(root);
    return rc;
}

int g4_store_gc(uint64_t *freed, size_t *n, g4_err *err)
{
    char *root = g4_store_root();
    struct sweep s = { .root = root };
    *freed = *n = 0;
    if (!root || !g4_is_dir(root)) {
        free(root);
        return 0;
    }
    const int fd = g4_store_lock(root, "store", true, true, say_waiting, err);
    int rc = fd < 0 ? G4_EIO : each_entry(root, "manifests", mark, &s, err);
    if (!rc) rc = each_entry(root, "blobs", sweep_blob, &s, err);
    if (!rc) rc = each_entry(root, "tmp", sweep_partial, &s, err);
    if (fd >= 0) close(fd);
    *freed = s.freed;
    *n = s.n;
    clear_sweep(&s);
    free(root);
    return rc;
}

int g4_store_sha256(const char *path, char hex[65], g4_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return g4_fail_errno(err, G4_EIO, "cannot open '%s'", path);
    enum { PIECE = 1 << 20 };
    uint8_t *buf = g4_alloc(PIECE), sum[32];
    g4_sha256 s;
    ssize_t got;
    g4_sha256_init(&s);
    while ((got = read(fd, buf, PIECE)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0) g4_sha256_add(&s, buf, (size_t)got);
    const int rc = got < 0 ? g4_fail_errno(err, G4_EIO, "cannot read '%s'", path) : 0;
    g4_sha256_end(&s, sum);
    g4_hex(sum, 32, hex);
    free(buf);
    close(fd);
    return rc;
}
