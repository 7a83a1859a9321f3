/* record/source: see source.h. */
#include "record/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "record/bytes.h"

struct g4_source {
    struct g4_source_params p;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t room;
    struct g4_item *ring; /* [p.ahead] */
    size_t head, n;
    bool ended, stop;
    int wake, stop_fd;    /* eventfds; wake is readable while n > 0 or ended */
    _Atomic uint64_t read_bytes, decoded; /* from descriptors; of them, undone and handed to the cutter */
    uint64_t items, used;                 /* taken by the caller: items, and their bytes */
    uint64_t total_bytes; /* 0: unknown */
};

/* ---- the queue ----------------------------------------------------------- */

void g4_item_clear(struct g4_item *item)
{
    free(item->name);
    free(item->bytes);
    free(item->why);
    *item = (struct g4_item){0};
}

static void signal_fd(int fd)
{
    const uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

/* Hands an item over; false when reading shall stop. */
static bool push(g4_source *s, struct g4_item item)
{
    pthread_mutex_lock(&s->lock);
    while (s->n == s->p.ahead && !s->stop) pthread_cond_wait(&s->room, &s->lock);
    const bool go = !s->stop;
    if (go) {
        if (!s->n) signal_fd(s->wake);
        s->ring[(s->head + s->n++) % s->p.ahead] = item;
    }
    pthread_mutex_unlock(&s->lock);
    if (!go) g4_item_clear(&item);
    return go;
}

int g4_source_next(g4_source *s, struct g4_item *item)
{
    pthread_mutex_lock(&s->lock);
    int rc = s->ended ? -1 : 0;
    if (s->n) {
        *item = s->ring[s->head];
        s->head = (s->head + 1) % s->p.ahead;
        s->n--;
        s->items++;
        s->used += item->n + 1;
        uint64_t drained;
        if (!s->n && !s->ended && read(s->wake, &drained, sizeof drained) < 0) drained = 0;
        pthread_cond_signal(&s->room);
        rc = 1;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int g4_source_fd(const g4_source *s)
{
    return s->wake;
}

static bool push_problem(g4_source *s, const char *name, uint64_t line, int code, const char *why)
{
    return push(s, (struct g4_item){ g4_strdup(name), line, NULL, 0, code, g4_strdup(why) });
}

/* ---- names --------------------------------------------------------------- */

static bool matches(const char *glob, const char *path)
{
    if (fnmatch(glob, path, 0) == 0) return true;
    const char *last = strrchr(path, '/');
    return last && !strchr(glob, '/') && fnmatch(glob, last + 1, 0) == 0;
}

bool g4_source_wanted(const struct g4_source_params *p, const char *path)
{
    bool in = p->n_include == 0;
    for (size_t i = 0; i < p->n_include && !in; i++) in = matches(p->include[i], path);
    for (size_t i = 0; i < p->n_exclude && in; i++) in = !matches(p->exclude[i], path);
    return in;
}

static const char *shown_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "<stdin>" : path;
}

/* ---- lines --------------------------------------------------------------- */

/* Cuts what is read into lines.  A line over the limit is dropped while it
 * passes and reported once. */
struct cutter {
    g4_source *s;
    const char *name;
    uint64_t line;
    g4_str part;
    bool too_long;
};

static bool line_done(struct cutter *c)
{
    if (!c->line++) g4_utf8_drop_mark(&c->part);
    if (c->too_long) {
        c->too_long = false;
        return push_problem(c->s, c->name, c->line, G4_EINPUT, "line is longer than 64 MiB");
    }
    const size_t n = c->part.n;
    return push(c->s, (struct g4_item){ g4_strdup(c->name), c->line, g4_str_take(&c->part), n, 0, NULL });
}

static bool cut(struct cutter *c, const char *p, size_t n)
{
    while (n) {
        const char *nl = memchr(p, '\n', n);
        const size_t take = nl ? (size_t)(nl - p) : n;
        if (c->part.n + take > G4_ITEM_MAX) {
            c->too_long = true;
            g4_str_free(&c->part);
        } else if (!c->too_long) {
            g4_str_add(&c->part, p, take);
        }
        if (!nl) break;
        if (!line_done(c)) return false;
        p = nl + 1;
        n -= take + 1;
    }
    return true;
}

static bool read_lines(g4_source *s, const char *name, g4_bytes *b)
{
    struct cutter c = { .s = s, .name = name };
    char *buf = g4_alloc(64 << 10);
    g4_err err = {0};
    bool go = true;
    long got = 0;
    while (go && (got = g4_bytes_read(b, buf, 64 << 10, &err)) > 0) {
        s->decoded += (uint64_t)got;
        go = cut(&c, buf, (size_t)got);
    }
    if (go && (c.part.n || c.too_long)) go = line_done(&c); /* no newline at the end */
    if (go && got < 0) go = push_problem(s, name, c.line, G4_EIO, err.msg);
    g4_str_free(&c.part);
    free(buf);
    return go;
}

/* ---- whole files --------------------------------------------------------- */

static bool push_whole(g4_source *s, const char *name, g4_str *text)
{
    if (text->n && memchr(text->p, 0, text->n)) {
        g4_str_free(text);
        return push_problem(s, name, 0, 1, "skipped: holds NUL bytes");
    }
    g4_utf8_drop_mark(text);
    const size_t n = text->n;
    return push(s, (struct g4_item){ g4_strdup(name), 0, g4_str_take(text), n, 0, NULL });
}

/* Reads all of what `more` gives; G4_EINPUT when it is too long. */
static int slurp(long (*more)(void *, char *, size_t, g4_err *), void *arg, g4_str *text, g4_err *err)
{
    for (;;) {
        g4_str_reserve(text, 64 << 10);
        const long got = more(arg, text->p + text->n, 64 << 10, err);
        if (got <= 0) return (int)got;
        text->n += (size_t)got;
        if (text->n > G4_ITEM_MAX) return g4_fail(err, G4_EINPUT, "file is longer than 64 MiB");
    }
}

static long from_bytes(void *arg, char *buf, size_t n, g4_err *err)
{
    return g4_bytes_read(arg, buf, n, err);
}

static bool read_whole(g4_source *s, const char *name, g4_bytes *b)
{
    g4_str text = {0};
    g4_err err = {0};
    const int rc = slurp(from_bytes, b, &text, &err);
    if (!rc) return push_whole(s, name, &text);
    g4_str_free(&text);
    return push_problem(s, name, 0, G4_EINPUT, err.msg);
}

/* ---- archives ------------------------------------------------------------ */

static long from_member(void *arg, char *buf, size_t n, g4_err *err)
{
    const la_ssize_t got = archive_read_data(arg, buf, n);
    if (got >= 0) return (long)got;
    const char *why = archive_error_string(arg);
    return g4_fail(err, G4_EINPUT, "cannot read the archive's member: %s", why ? why : "damaged");
}

static bool read_member(g4_source *s, struct archive *a, struct archive_entry *entry)
{
    const char *name = archive_entry_pathname_utf8(entry);
    if (!name) name = archive_entry_pathname(entry);
    if (!name) name = "?";
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) return true;
    if (!g4_source_wanted(&s->p, name)) return true;
    char *kept = g4_strdup(name); /* libarchive's buffer may move while data is read */
    g4_str text = {0};
    g4_err err = {0};
    const int rc = slurp(from_member, a, &text, &err);
    const bool go = rc ? push_problem(s, kept, 0, G4_EINPUT, err.msg) : push_whole(s, kept, &text);
    g4_str_free(&text);
    free(kept);
    return go;
}

static bool read_archive(g4_source *s, const char *name, g4_bytes *b)
{
    g4_err err = {0};
    struct archive_entry *entry;
    struct archive *a = g4_bytes_archive(b, &err);
    if (!a) return push_problem(s, name, 0, G4_EIO, err.msg);
    for (;;) {
        const int rc = archive_read_next_header(a, &entry);
        if (rc == ARCHIVE_EOF) return true;
        if (rc == ARCHIVE_RETRY) continue;
        if (rc < ARCHIVE_WARN) {
            const char *why = archive_error_string(a);
            return push_problem(s, name, 0, G4_EIO, why ? why : "damaged archive");
        }
        if (!read_member(s, a, entry)) return false;
    }
}

/* ---- the thread ---------------------------------------------------------- */

/* A descriptor, or -1 with the problem pushed as `code` (*go says whether to go on). */
static int open_path(g4_source *s, const char *path, int code, bool *go)
{
    struct stat st;
    g4_err err = {0};
    *go = true;
    if (strcmp(path, "-") == 0) return 0;
    /* O_NONBLOCK: opening a FIFO must not wait for its writer (poll does, and can be stopped). */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) return fd;
    if (fd >= 0) {
        g4_fail(&err, G4_EINPUT, "is a directory");
        close(fd);
    } else {
        g4_fail(&err, G4_EINPUT, "cannot open: %s", strerror(errno));
    }
    *go = push_problem(s, path, 0, code, err.msg);
    return -1;
}

static bool read_path(g4_source *s, const char *path)
{
    bool go;
    if (s->p.kind == G4_SOURCE_FILES && strcmp(path, "-") && !g4_source_wanted(&s->p, path)) return true;
    const int fd = open_path(s, path, s->p.kind == G4_SOURCE_FILES ? G4_EINPUT : G4_EIO, &go);
    if (fd < 0) return go;
    g4_bytes *b = g4_bytes_new(fd, s->stop_fd, &s->read_bytes);
    const char *name = shown_name(path);
    switch (s->p.kind) {
    case G4_SOURCE_LINES: go = read_lines(s, name, b); break;
    case G4_SOURCE_FILES: go = read_whole(s, name, b); break;
    case G4_SOURCE_TAR: go = read_archive(s, name, b); break;
    }
    g4_bytes_free(b);
    return go;
}

/* The paths a list names, each used as soon as it is read. */
static bool read_names(g4_source *s, const char *list)
{
    bool go;
    char buf[4096];
    g4_str name = {0};
    g4_err err = {0};
    long got = 0;
    const int fd = open_path(s, list, G4_EIO, &go);
    if (fd < 0) return go;
    g4_bytes *b = g4_bytes_new(fd, s->stop_fd, NULL);
    while (go && (got = g4_bytes_read(b, buf, sizeof buf, &err)) > 0) {
        for (long i = 0; i < got && go; i++) {
            if (buf[i] != (s->p.names_nul ? 0 : '\n')) {
                g4_str_addc(&name, buf[i]);
            } else if (name.n) {
                go = read_path(s, name.p);
                g4_str_clear(&name);
            }
        }
    }
    if (go && name.n) go = read_path(s, name.p);
    if (go && got < 0) go = push_problem(s, shown_name(list), 0, G4_EIO, err.msg);
    g4_str_free(&name);
    g4_bytes_free(b);
    return go;
}

static void *reader(void *arg)
{
    g4_source *s = arg;
    /* Names in archives are UTF-8 whatever the user's locale is. */
    const locale_t utf8 = s->p.kind == G4_SOURCE_TAR ? newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0) : (locale_t)0;
    if (utf8) uselocale(utf8);
    bool go = true;
    for (size_t i = 0; i < s->p.n_path && go; i++) go = read_path(s, s->p.paths[i]);
    if (go && s->p.names_from) read_names(s, s->p.names_from);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    signal_fd(s->wake);
    pthread_mutex_unlock(&s->lock);
    if (utf8) {
        uselocale(LC_GLOBAL_LOCALE);
        freelocale(utf8);
    }
    return NULL;
}

/* Sum of the sizes when all inputs are regular files, else 0. */
static uint64_t total_bytes(const struct g4_source_params *p)
{
    uint64_t sum = 0;
    struct stat st;
    for (size_t i = 0; i < p->n_path; i++) {
        const int rc = strcmp(p->paths[i], "-") ? stat(p->paths[i], &st) : fstat(0, &st);
        if (rc || !S_ISREG(st.st_mode)) return 0;
        sum += (uint64_t)st.st_size;
    }
    return sum;
}

double g4_source_progress(const g4_source *s)
{
    if (s->p.kind == G4_SOURCE_FILES && !s->p.names_from)
        return s->p.n_path ? (double)s->items / (double)s->p.n_path : -1;
    if (!s->total_bytes || s->p.names_from) return -1;
    const double read = (double)s->read_bytes / (double)s->total_bytes;
    /* What was read ahead is not done yet. */
    return s->p.kind == G4_SOURCE_LINES && s->decoded ? read * (double)s->used / (double)s->decoded : read;
}

g4_source *g4_source_new(const struct g4_source_params *p, g4_err *err)
{
    g4_source *s = g4_alloc(sizeof *s);
    s->p = *p;
    if (!s->p.ahead) s->p.ahead = 1;
    s->ring = g4_alloc(s->p.ahead * sizeof *s->ring);
    s->total_bytes = total_bytes(p);
    s->wake = eventfd(0, EFD_CLOEXEC);
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->room, NULL);
    /* Signals are the main thread's business. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int rc = s->wake < 0 || s->stop_fd < 0 ? errno : pthread_create(&s->thread, NULL, reader, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!rc) return s;
    g4_fail(err, G4_EIO, "cannot start reading: %s", strerror(rc));
    free(s->ring);
    free(s);
    return NULL;
}

void g4_source_free(g4_source *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->room);
    pthread_mutex_unlock(&s->lock);
    signal_fd(s->stop_fd);
    pthread_join(s->thread, NULL);
    for (; s->n; s->n--, s->head = (s->head + 1) % s->p.ahead) g4_item_clear(&s->ring[s->head]);
    close(s->wake);
    close(s->stop_fd);
    free(s->ring);
    free(s);
}
