/* fault: a shim for LD_PRELOAD that makes one call into the system fail.
 *
 *   FAULT=CALL:N          the Nth call of read, write, close, mmap, open or fsync fails (read counts pread too, write
 *                         pwrite and writev) with EIO; mmap with ENOMEM; open with EMFILE
 *   FAULT=short-read      every read gives a single byte, FAULT=short-write: every write takes one
 *   FAULT_MARK=FILE       is made when the fault happened: without it N was past the last call
 *
 * Only calls that the program makes itself are seen: the C library's own, behind stdio, go another way, so fread,
 * fwrite and fflush count as read and write here as well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char call[16];   /* which call fails; empty: none */
static long nth;        /* how many more go well, then one fails */
static bool short_read, short_write;

__attribute__((constructor)) static void setup(void)
{
    const char *f = getenv("FAULT"), *colon = f ? strchr(f, ':') : NULL;
    short_read = f && strcmp(f, "short-read") == 0;
    short_write = f && strcmp(f, "short-write") == 0;
    if (!colon || colon - f >= (long)sizeof call) return;
    memcpy(call, f, (size_t)(colon - f));
    nth = atol(colon + 1);
}

/* Is this call the one?  Errors of the shim's own calls must not show. */
static bool fails(const char *name, int error)
{
    if (strcmp(call, name) != 0 || __atomic_sub_fetch(&nth, 1, __ATOMIC_RELAXED) != 0) return false;
    const char *mark = getenv("FAULT_MARK");
    if (mark) {
        const long fd = syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY, 0600);
        if (fd >= 0) syscall(SYS_close, fd);
    }
    errno = error;
    return true;
}

/* Files, pipes, terminals and sockets can fail; an eventfd, by which threads wake each other, cannot. */
static bool is_data(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) != 0;
}

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t read(int fd, void *buf, size_t n)
{
    NEXT(read);
    if (!is_data(fd)) return next(fd, buf, n);
    if (fails("read", EIO)) return -1;
    return next(fd, buf, short_read && n ? 1 : n);
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    NEXT(pread);
    if (!is_data(fd)) return next(fd, buf, n, at);
    if (fails("read", EIO)) return -1;
    return next(fd, buf, short_read && n ? 1 : n, at);
}

ssize_t write(int fd, const void *buf, size_t n)
{
    NEXT(write);
    if (!is_data(fd)) return next(fd, buf, n);
    if (fails("write", EIO)) return -1;
    return next(fd, buf, short_write && n ? 1 : n);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    NEXT(pwrite);
    if (!is_data(fd)) return next(fd, buf, n, at);
    if (fails("write", EIO)) return -1;
    return next(fd, buf, short_write && n ? 1 : n, at);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    NEXT(writev);
    if (fails("write", EIO)) return -1;
    return next(fd, iov, n);
}

size_t fread(void *buf, size_t size, size_t n, FILE *f)
{
    NEXT(fread);
    if (fails("read", EIO)) return 0;
    return next(buf, size, n, f);
}

size_t fwrite(const void *buf, size_t size, size_t n, FILE *f)
{
    NEXT(fwrite);
    if (fails("write", EIO)) return 0;
    return next(buf, size, n, f);
}

int fflush(FILE *f)
{
    NEXT(fflush);
    if (fails("write", EIO)) return EOF;
    return next(f);
}

/* A failed close has closed all the same, as on Linux. */
int close(int fd)
{
    NEXT(close);
    const int rc = next(fd);
    return fails("close", EIO) ? -1 : rc;
}

int fsync(int fd)
{
    NEXT(fsync);
    return fails("fsync", EIO) ? -1 : next(fd);
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    return fails("fsync", EIO) ? -1 : next(fd);
}

void *mmap(void *addr, size_t n, int prot, int flags, int fd, off_t at)
{
    NEXT(mmap);
    return fails("mmap", ENOMEM) ? MAP_FAILED : next(addr, n, prot, flags, fd, at);
}

int open(const char *path, int flags, ...)
{
    NEXT(open);
    va_list ap;
    va_start(ap, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return fails("open", EMFILE) ? -1 : next(path, flags, mode);
}
