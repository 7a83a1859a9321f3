/* hub/part: see part.h. */
#define _GNU_SOURCE /* fallocate */
#include "hub/part.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { JOURNAL_MAX = 1 << 20 };

/* ---- ranges ----------------------------------------------------------------------- */

void g4_ranges_add(struct g4_ranges *r, uint64_t a, uint64_t b)
{
    size_t i = 0, k;
    if (a >= b) return;
    while (i < r->n && r->v[i].b < a) i++;
    for (k = i; k < r->n && r->v[k].a <= b; k++) { /* those that touch become one */
        if (r->v[k].a < a) a = r->v[k].a;
        if (r->v[k].b > b) b = r->v[k].b;
    }
    if (k == i) {
        G4_GROW(r->v, r->cap, r->n + 1);
        memmove(r->v + i + 1, r->v + i, (r->n - i) * sizeof *r->v);
        r->n++;
    } else {
        memmove(r->v + i + 1, r->v + k, (r->n - k) * sizeof *r->v);
        r->n -= k - i - 1;
    }
    r->v[i] = (struct g4_range){ a, b };
}

void g4_ranges_copy(struct g4_ranges *to, const struct g4_ranges *from)
{
    G4_GROW(to->v, to->cap, from->n);
    if (from->n) memcpy(to->v, from->v, from->n * sizeof *from->v);
    to->n = from->n;
}

uint64_t g4_ranges_sum(const struct g4_ranges *r)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < r->n; i++) sum += r->v[i].b - r->v[i].a;
    return sum;
}

uint64_t g4_ranges_prefix(const struct g4_ranges *r)
{
    return r->n && r->v[0].a == 0 ? r->v[0].b : 0;
}

/* ---- the journal -------------------------------------------------------------------- */

static void boot_id(g4_str *out)
{
    if (!g4_file_read("/proc/sys/kernel/random/boot_id", 100, out, NULL) && out->p) out->p[out->n = strcspn(out->p, "\n")] = 0;
}

static void put_text(g4_str *s, const char *key, const char *v)
{
    if (!v) return;
    g4_str_addf(s, ",\"%s\":", key);
    g4_json_put_str(s, v, strlen(v));
}

static void put_ranges(g4_str *s, const char *key, const struct g4_ranges *r)
{
    g4_str_addf(s, ",\"%s\":[", key);
    for (size_t i = 0; i < r->n; i++)
        g4_str_addf(s, "%s[%llu,%llu]", i ? "," : "", (unsigned long long)r->v[i].a, (unsigned long long)r->v[i].b);
    g4_str_addc(s, ']');
}

/* Without fsync: should the machine stop, an old or a torn journal is found, and
 * a torn one is not JSON. */
void g4_part_save(struct g4_part *p)
{
    static g4_str boot;
    g4_str s = {0}, tmp = {0};
    if (!p->identity) return;
    if (!boot.n) boot_id(&boot);
    g4_str_addf(&s, "{\"version\":1,\"size\":%lld", (long long)p->size);
    put_text(&s, "identity", p->identity);
    put_text(&s, "boot", boot.p);
    put_text(&s, "etag", p->etag);
    put_text(&s, "host", p->host);
    put_ranges(&s, "done", &p->done);
    put_ranges(&s, "synced", &p->synced);
    g4_str_adds(&s, "}\n");
    g4_str_addf(&tmp, "%s.tmp", p->journal);
    const int fd = open(tmp.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
        const bool good = !g4_write_all(fd, s.p, s.n);
        if (!close(fd) && good && !rename(tmp.p, p->journal)) p->saved = g4_ranges_sum(&p->done);
        else unlink(tmp.p);
    }
    g4_str_free(&s);
    g4_str_free(&tmp);
}

static bool read_ranges(g4_json v, int64_t size, struct g4_ranges *out)
{
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);) {
        int64_t a, b;
        if (!g4_json_i64(g4_json_at(it.value, 0), &a) || !g4_json_i64(g4_json_at(it.value, 1), &b) || a < 0 || b < a) return false;
        if (size >= 0 && b > size) return false;
        g4_ranges_add(out, (uint64_t)a, (uint64_t)b);
    }
    return true;
}

/* What a former run left, when it is a beginning of the same file. */
static bool read_journal(struct g4_part *p)
{
    g4_str text = {0}, boot = {0};
    g4_json top = {0};
    struct stat st;
    int64_t version, size;
    bool good = !g4_file_read(p->journal, JOURNAL_MAX, &text, NULL) && !g4_json_check(text.p, text.n, &top, NULL);
    good = good && g4_json_i64(g4_json_get(top, "version"), &version) && version == 1 && g4_json_is(g4_json_get(top, "identity"), p->identity) &&
           g4_json_i64(g4_json_get(top, "size"), &size) && (p->size < 0 || size == p->size) && !fstat(p->fd, &st);
    if (good) {
        boot_id(&boot);
        const bool cached = boot.n && g4_json_is(g4_json_get(top, "boot"), boot.p);
        good = read_ranges(g4_json_get(top, "synced"), st.st_size, &p->synced) &&
               read_ranges(g4_json_get(top, cached ? "done" : "synced"), st.st_size, &p->done);
    }
    if (good) {
        p->size = size;
        p->etag = g4_json_dup(g4_json_get(top, "etag"));
        p->host = g4_json_dup(g4_json_get(top, "host"));
        p->saved = g4_ranges_sum(&p->done);
        p->preallocated = size >= 0 && (int64_t)st.st_blocks * 512 >= size;
    } else {
        p->done.n = p->synced.n = 0;
    }
    g4_str_free(&boot);
    g4_str_free(&text);
    return good;
}

/* ---- the file --------------------------------------------------------------------------- */

/* What a former run left; whatever else has that name is taken away: the lock says that it is ours. */
static int open_old(const char *path)
{
    struct stat st;
    if (lstat(path, &st)) return -1;
    if (S_ISREG(st.st_mode)) return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    unlink(path);
    return -1;
}

int g4_part_open(struct g4_part *p, const char *dir, const char *key, const char *identity, int64_t size, g4_err *err)
{
    g4_str s = {0};
    *p = (struct g4_part){ .fd = -1, .size = size, .identity = identity ? g4_strdup(identity) : NULL };
    g4_str_addf(&s, "%s/%s.g4part", dir, key);
    p->data = g4_strdup(s.p);
    g4_str_adds(&s, ".json");
    p->journal = g4_str_take(&s);
    p->fd = open_old(p->data);
    if (p->fd >= 0 && p->identity && read_journal(p)) return 0;
    if (p->fd >= 0) return g4_part_restart(p, err);
    p->fd = open(p->data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return p->fd < 0 ? g4_fail_errno(err, G4_EIO, "cannot create '%s'", p->data) : 0;
}

/* In memory a reservation would be paid for at once, page by page. */
static bool is_in_memory(int fd)
{
    struct statfs f;
    return !fstatfs(fd, &f) && f.f_type == TMPFS_MAGIC;
}

int g4_part_resize(struct g4_part *p, int64_t size, bool reserve, g4_err *err)
{
    int bad = 0;
    p->size = size;
    if (reserve && size > 0 && !p->preallocated && !is_in_memory(p->fd)) {
        while ((bad = fallocate(p->fd, 0, 0, size)) && errno == EINTR) {}
        p->preallocated = !bad;
        /* Where there is no such thing the file is as large, and the space is taken as it comes. */
        if (bad && (errno == EOPNOTSUPP || errno == ENOSYS)) bad = 0;
    }
    if (!bad && !p->preallocated) bad = ftruncate(p->fd, size);
    if (!bad || !reserve) return 0; /* without a reservation the writes find out */
    const int keep = errno;
    g4_fail_errno(err, G4_EIO, "cannot make room for %lld bytes in '%s'", (long long)size, p->data);
    errno = keep;
    return G4_EIO;
}

int g4_part_restart(struct g4_part *p, g4_err *err)
{
    p->done.n = p->synced.n = 0;
    p->saved = 0;
    free(p->etag);
    free(p->host);
    p->etag = p->host = NULL;
    unlink(p->journal);
    p->preallocated = false;
    return ftruncate(p->fd, 0) ? g4_fail_errno(err, G4_EIO, "cannot empty '%s'", p->data) : 0;
}

int g4_part_commit(struct g4_part *p, const char *path, g4_err *err)
{
    const mode_t mask = umask(0);
    umask(mask);
    if (fchmod(p->fd, 0644 & ~mask) || fsync(p->fd)) return g4_fail_errno(err, G4_EIO, "cannot write '%s'", p->data);
    if (rename(p->data, path)) return g4_fail_errno(err, G4_EIO, "cannot rename '%s' to '%s'", p->data, path);
    g4_sync_folder(path);
    unlink(p->journal);
    g4_part_close(p);
    return 0;
}

void g4_part_close(struct g4_part *p)
{
    if (p->fd >= 0) close(p->fd);
    free(p->data);
    free(p->journal);
    free(p->identity);
    free(p->etag);
    free(p->host);
    free(p->done.v);
    free(p->synced.v);
    *p = (struct g4_part){ .fd = -1 };
}

void g4_part_remove(struct g4_part *p)
{
    if (p->data) unlink(p->data);
    if (p->journal) unlink(p->journal);
    g4_part_close(p);
}
