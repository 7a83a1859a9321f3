/* record/bytes: see bytes.h.  Runs in the reader's thread: everything here may
 * block, and every wait also watches stop_fd. */
#include "record/bytes.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { BLOCK = 64 << 10 };

struct g4_bytes {
    int fd, stop_fd;
    _Atomic uint64_t *count;
    bool started, stopped, regular;
    struct archive *a;
    int saved_errno;     /* of the read that failed below libarchive */
    char block[BLOCK];   /* bytes looked at for the magic, then libarchive's input */
    size_t have, at;
};

g4_bytes *g4_bytes_new(int fd, int stop_fd, _Atomic uint64_t *read_bytes)
{
    g4_bytes *b = g4_alloc(sizeof *b);
    struct stat st;
    b->fd = fd;
    b->stop_fd = stop_fd;
    b->count = read_bytes;
    b->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    return b;
}

void g4_bytes_free(g4_bytes *b)
{
    if (!b) return;
    if (b->a) archive_read_free(b->a);
    if (b->fd > 0) close(b->fd);
    free(b);
}

/* read(2) that first waits for bytes or the order to stop.  The descriptor is
 * never made non-blocking: that would change it for everyone who shares it. */
static ssize_t wait_and_read(g4_bytes *b, char *buf, size_t n)
{
    while (!b->stopped) {
        struct pollfd p[2] = { { b->fd, POLLIN, 0 }, { b->stop_fd, POLLIN, 0 } };
        if (!b->regular && poll(p, 2, -1) < 0 && errno != EINTR) return -1;
        if (p[1].revents) b->stopped = true;
        if (b->stopped || (!b->regular && !p[0].revents)) continue;
        const ssize_t got = read(b->fd, buf, n);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got > 0 && b->count) *b->count += (uint64_t)got;
        return got;
    }
    return 0;
}

/* ---- recognising --------------------------------------------------------- */

static const struct magic {
    size_t n;
    const char *bytes; /* '?': any */
    int (*support)(struct archive *);
} magics[] = {
    { 3, "\x1f\x8b\x08", archive_read_support_filter_gzip },
    { 10, "BZh?1AY&SY", archive_read_support_filter_bzip2 },
    { 6, "\xfd" "7zXZ\0", archive_read_support_filter_xz },
    { 4, "\x28\xb5\x2f\xfd", archive_read_support_filter_zstd },
    { 4, "\x04\x22\x4d\x18", archive_read_support_filter_lz4 },
};

/* Do the first n bytes agree with m as far as both go? */
static bool agrees(const struct magic *m, const char *p, size_t n)
{
    for (size_t i = 0; i < n && i < m->n; i++)
        if (m->bytes[i] != '?' && m->bytes[i] != p[i]) return false;
    return true;
}

/* Reads until the magic is certain: the first byte of most inputs settles it.
 * *found is NULL for plain input. */
static int recognise(g4_bytes *b, const struct magic **found, g4_err *err)
{
    *found = NULL;
    for (;;) {
        bool open = b->have == 0;
        for (size_t i = 0; b->have && i < sizeof magics / sizeof *magics; i++) {
            if (!agrees(&magics[i], b->block, b->have)) continue;
            open = true;
            if (b->have >= magics[i].n) {
                *found = &magics[i];
                return G4_OK;
            }
        }
        if (!open) return G4_OK;
        const ssize_t got = wait_and_read(b, b->block + b->have, BLOCK - b->have);
        if (got < 0) return g4_fail_errno(err, G4_EIO, "cannot read");
        if (!got) return G4_OK;
        b->have += (size_t)got;
    }
}

/* ---- through libarchive -------------------------------------------------- */

static la_ssize_t feed(struct archive *a, void *arg, const void **out)
{
    g4_bytes *b = arg;
    *out = b->block;
    if (b->have) { /* what recognise() took */
        const size_t n = b->have;
        b->have = 0;
        return (la_ssize_t)n;
    }
    const ssize_t got = wait_and_read(b, b->block, BLOCK);
    if (got < 0) {
        b->saved_errno = errno;
        archive_set_error(a, errno, "%s", strerror(errno));
        return -1;
    }
    return got;
}

/* Only for regular files (7-Zip's directory stands at the end). */
static la_int64_t seek(struct archive *a, void *arg, la_int64_t offset, int whence)
{
    g4_bytes *b = arg;
    const off_t at = lseek(b->fd, offset, whence);
    b->have = 0;
    return at < 0 ? ARCHIVE_FATAL : at;
}

static int archive_failed(g4_bytes *b, const char *what, g4_err *err)
{
    const char *why = archive_error_string(b->a);
    return g4_fail(err, G4_EIO, "%s: %s", what, why ? why : "damaged");
}

static int open_archive(g4_bytes *b, g4_err *err)
{
    archive_read_set_callback_data(b->a, b);
    archive_read_set_read_callback(b->a, feed);
    if (b->regular && lseek(b->fd, 0, SEEK_CUR) >= 0) archive_read_set_seek_callback(b->a, seek);
    return archive_read_open1(b->a) == ARCHIVE_OK ? G4_OK : archive_failed(b, "cannot read", err);
}

/* All that hold files.  Not mtree, which takes any text for a list of names. */
static int (*const formats[])(struct archive *) = {
    archive_read_support_format_tar, archive_read_support_format_gnutar, archive_read_support_format_cpio,
    archive_read_support_format_zip, archive_read_support_format_7zip, archive_read_support_format_ar,
    archive_read_support_format_cab, archive_read_support_format_iso9660, archive_read_support_format_lha,
    archive_read_support_format_rar, archive_read_support_format_rar5, archive_read_support_format_xar,
    archive_read_support_format_warc, archive_read_support_format_empty,
};

struct archive *g4_bytes_archive(g4_bytes *b, g4_err *err)
{
    b->started = true;
    b->a = archive_read_new();
    if (!b->a) {
        g4_fail(err, G4_ENOMEM, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) magics[i].support(b->a);
    archive_read_support_filter_compress(b->a);
    archive_read_support_filter_lzma(b->a);
    archive_read_support_filter_lzip(b->a);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) formats[i](b->a);
    return open_archive(b, err) ? NULL : b->a;
}

static int start_compressed(g4_bytes *b, const struct magic *m, g4_err *err)
{
    struct archive_entry *entry;
    b->a = archive_read_new();
    /* A library built without the codec would start an outside program instead. */
    if (!b->a || m->support(b->a) != ARCHIVE_OK)
        return g4_fail(err, G4_EIO, "compressed input of this kind is not supported by the libarchive installed");
    archive_read_support_format_raw(b->a);
    archive_read_support_format_empty(b->a);
    if (open_archive(b, err)) return G4_EIO;
    const int rc = archive_read_next_header(b->a, &entry);
    if (rc == ARCHIVE_EOF) return 1; /* compressed nothing */
    return rc >= ARCHIVE_WARN ? G4_OK : archive_failed(b, "cannot decompress", err);
}

long g4_bytes_read(g4_bytes *b, char *buf, size_t n, g4_err *err)
{
    if (!b->started) {
        const struct magic *m;
        b->started = true;
        if (recognise(b, &m, err)) return G4_EIO;
        const int rc = m ? start_compressed(b, m, err) : G4_OK;
        if (rc) return rc < 0 ? rc : 0;
    }
    if (b->a) {
        const la_ssize_t got = archive_read_data(b->a, buf, n);
        return got >= 0 ? (long)got : archive_failed(b, "cannot decompress", err);
    }
    if (b->at < b->have) {
        const size_t take = b->have - b->at < n ? b->have - b->at : n;
        memcpy(buf, b->block + b->at, take);
        b->at += take;
        return (long)take;
    }
    const ssize_t got = wait_and_read(b, buf, n);
    return got < 0 ? g4_fail_errno(err, G4_EIO, "cannot read") : (long)got;
}
