/* base/file: see file.h. */
#define _GNU_SOURCE /* O_TMPFILE */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { HUGE_FROM = 16 << 20 }; /* bytes */

int g4_map_open(g4_map *m, const char *path, g4_err *err)
{
    struct stat st;
    *m = (g4_map){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return g4_fail_errno(err, G4_EIO, "cannot open '%s'", path);
    int r = G4_OK;
    if (fstat(fd, &st)) r = g4_fail_errno(err, G4_EIO, "cannot stat '%s'", path);
    else if (S_ISDIR(st.st_mode)) r = g4_fail(err, G4_EIO, "'%s' is a folder, not a file", path);
    else if (!S_ISREG(st.st_mode)) r = g4_fail(err, G4_EIO, "'%s' is not a regular file", path);
    else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) r = g4_fail_errno(err, G4_EIO, "cannot map '%s'", path);
        else m->p = p;
        /* Read for the first time through this mapping, the file comes to lie in huge pages where the
         * file system has them: fewer faults, and a tenth more bandwidth.  No harm where it has not. */
        if (m->p && st.st_size >= HUGE_FROM) madvise(p, (size_t)st.st_size, MADV_HUGEPAGE);
    }
    close(fd);
    if (r) return r;
    m->n = (size_t)st.st_size;
    m->dev = st.st_dev;
    m->ino = st.st_ino;
    m->size = (uint64_t)st.st_size;
    m->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return G4_OK;
}

void g4_map_close(g4_map *m)
{
    if (m->p) munmap((void *)(uintptr_t)m->p, m->n);
    *m = (g4_map){0};
}

int g4_file_read(const char *path, size_t max, g4_str *out, g4_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return g4_fail_errno(err, G4_EIO, "cannot open '%s'", path);
    int r = G4_OK;
    for (;;) {
        g4_str_reserve(out, 65536);
        const ssize_t n = read(fd, out->p + out->n, 65536);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) r = g4_fail_errno(err, G4_EIO, "cannot read '%s'", path);
        if (n <= 0) break;
        out->n += (size_t)n;
        if (out->n > max) {
            r = g4_fail(err, G4_ELIMIT, "'%s' is larger than %zu bytes", path, max);
            break;
        }
    }
    out->p[out->n] = 0;
    close(fd);
    return r;
}

int g4_write_all(int fd, const void *data, size_t n)
{
    for (const char *p = data; n;) {
        const ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !slash ? g4_strdup(".") : g4_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

void g4_sync_folder(const char *path)
{
    char *dir = folder_of(path);
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
}

/* A file without a name, which a process that is killed does not leave behind;
 * *named: the file system has none such and `tmp` was created at once. */
static int open_unnamed(const char *tmp, bool *named)
{
    char *dir = folder_of(tmp);
    int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    free(dir);
    *named = fd < 0;
    if (fd < 0) fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return fd;
}

static int give_name(int fd, const char *tmp)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    unlink(tmp); /* of a process that had our number */
    return linkat(AT_FDCWD, self, AT_FDCWD, tmp, AT_SYMLINK_FOLLOW);
}

int g4_new_file_open(g4_new_file *f, const char *path, g4_err *err)
{
    static unsigned count; /* threads of one process do not meet either */
    g4_str tmp = {0};
    g4_str_addf(&tmp, "%s.%ld-%u.tmp", path, (long)getpid(), __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED));
    *f = (g4_new_file){ .tmp = g4_str_take(&tmp), .path = g4_strdup(path) };
    f->fd = open_unnamed(f->tmp, &f->named);
    if (f->fd >= 0) return G4_OK;
    const int r = g4_fail_errno(err, G4_EIO, "cannot create '%s'", path);
    f->named = false;
    g4_new_file_drop(f);
    return r;
}

int g4_new_file_commit(g4_new_file *f, g4_err *err)
{
    int r = G4_OK;
    if (fsync(f->fd)) r = g4_fail_errno(err, G4_EIO, "cannot write '%s'", f->path);
    if (!r && !f->named) {
        if (give_name(f->fd, f->tmp)) r = g4_fail_errno(err, G4_EIO, "cannot name '%s'", f->path);
        else f->named = true;
    }
    if (close(f->fd) && !r) r = g4_fail_errno(err, G4_EIO, "cannot write '%s'", f->path);
    f->fd = -1;
    if (!r && rename(f->tmp, f->path)) r = g4_fail_errno(err, G4_EIO, "cannot replace '%s'", f->path);
    if (!r) {
        f->named = false;
        g4_sync_folder(f->path);
    }
    g4_new_file_drop(f);
    return r;
}

void g4_new_file_drop(g4_new_file *f)
{
    if (!f->path) return;
    if (f->fd >= 0) close(f->fd);
    if (f->named) unlink(f->tmp);
    free(f->tmp);
    free(f->path);
    *f = (g4_new_file){ .fd = -1 };
}

int g4_file_write_atomic(const char *path, const void *p, size_t n, g4_err *err)
{
    g4_new_file f;
    int r = g4_new_file_open(&f, path, err);
    if (r) return r;
    if (!g4_write_all(f.fd, p, n)) return g4_new_file_commit(&f, err);
    r = g4_fail_errno(err, G4_EIO, "cannot write '%s'", f.path);
    g4_new_file_drop(&f);
    return r;
}

int g4_mkdirs(const char *path, unsigned mode, g4_err *err)
{
    char *p = g4_strdup(path);
    int r = G4_OK;
    for (char *q = p + 1; !r; q++) {
        if (*q != '/' && *q) continue;
        const char keep = *q;
        *q = 0;
        if (mkdir(p, mode) && !(errno == EEXIST && g4_is_dir(p))) r = g4_fail_errno(err, G4_EIO, "cannot create folder '%s'", p);
        *q = keep;
        if (!keep) break;
    }
    free(p);
    return r;
}

bool g4_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool g4_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *g4_xdg_path(const char *var, const char *fallback, const char *sub)
{
    g4_str s = {0};
    const char *v = var ? getenv(var) : NULL, *home = getenv("HOME");
    if (v && v[0] == '/') g4_str_adds(&s, v); /* the XDG rule: relative values are ignored */
    else if (home && home[0]) g4_str_addf(&s, "%s/%s", home, fallback);
    else return NULL;
    if (sub) g4_str_addf(&s, "/%s", sub);
    return g4_str_take(&s);
}
