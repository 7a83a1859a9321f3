/* hub/copy: see copy.h. */
#define _GNU_SOURCE /* copy_file_range */
#include "hub/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "weights/store_write.h"

enum { PIECE = 64 << 20 };

static int write_failed(struct g4_hub *h, const char *path, g4_err *err)
{
    const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return g4_hub_fail(h, full ? G4_HUB_SPACE : G4_HUB_IO, err, "cannot write '%s': %s", path, strerror(errno));
}

int g4_copy_data(struct g4_hub *h, int from, int to, const char *path, g4_err *err)
{
    static char buf[64 << 10];
    ssize_t n;
    if (!ioctl(to, FICLONE, from)) return 0;
    while ((n = copy_file_range(from, NULL, to, NULL, PIECE, 0)) > 0) {}
    if (!n) return 0;
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP && errno != EBADF) return write_failed(h, path, err);
    while ((n = read(from, buf, sizeof buf)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0 && g4_write_all(to, buf, (size_t)n)) return write_failed(h, path, err);
    return n < 0 ? g4_hub_fail(h, G4_HUB_IO, err, "cannot read the source of '%s': %s", path, strerror(errno)) : 0;
}

/* ---- from another tool's cache ------------------------------------------------------- */

struct wanted {
    char digest[72];
    int64_t size;
    char *path; /* where it is */
};

static int look(void *arg, const struct g4_store_model *m)
{
    struct wanted *w = arg;
    if (!strcmp(m->place, "g4") || !m->digest || strcmp(m->digest, w->digest) || (w->size >= 0 && m->bytes != (uint64_t)w->size)) return 0;
    w->path = realpath(m->path, NULL);
    return w->path != NULL;
}

/* Its own name in the store: a clone, a hard link, or a copy. */
static bool bring(struct g4_hub *h, const char *source, const char *path)
{
    g4_str temp = {0};
    g4_err err = {0};
    const enum g4_hub_why before = h->why;
    if (!link(source, path)) return true;
    g4_str_addf(&temp, "%s/tmp/%ld-adopt.unpack", h->root, (long)getpid());
    unlink(temp.p);
    const int from = open(source, O_RDONLY | O_CLOEXEC), to = open(temp.p, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool good = from >= 0 && to >= 0 && !g4_copy_data(h, from, to, temp.p, &err) && !fsync(to) && !rename(temp.p, path);
    if (from >= 0) close(from);
    if (to >= 0) close(to);
    if (!good) unlink(temp.p);
    h->why = before; /* the network remains */
    g4_str_free(&temp);
    return good;
}

bool g4_copy_adopt(struct g4_hub *h, const char *hex, int64_t size, const char *path)
{
    struct wanted w = { .size = size };
    char got[65];
    bool good = false;
    snprintf(w.digest, sizeof w.digest, "sha256:%s", hex);
    if (g4_store_list(look, &w) > 0) {
        /* Others may have written there: their name alone proves nothing. */
        good = !g4_store_sha256(w.path, got, NULL) && !strcmp(got, hex) && bring(h, w.path, path);
        if (good) g4_log(G4_LOG_INFO, "'%s' has it already; nothing is fetched", w.path);
    }
    free(w.path);
    return good;
}
