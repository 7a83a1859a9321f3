/* record/journal: see journal.h.
 *
 * The journal: "g4 journal 1", "seed N", the lines of the key behind "= ", "--",
 * then a line a record:  SEQ END IN OUT STATE CHECK  where END is the offset in
 * OUT behind the record's bytes, IN and OUT are hashes of the input and of those
 * bytes, STATE is o (good) or e (an error record), CHECK a hash of the line. */
#include "record/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

static const char state_of[] = { [G4_JOURNAL_DONE] = 'o', [G4_JOURNAL_CUT] = 'c', [G4_JOURNAL_FAILED] = 'e' };

struct entry {
    uint64_t seq, start, end, in, out;
    enum g4_journal_state outcome;
    bool again;         /* to be made anew by --retry-errors */
    g4_str redo;        /* its new bytes, once made */
    bool redone;
    enum g4_journal_state redo_outcome;
};

struct g4_journal {
    char *path, *log_path, *new_path, *new_log_path;
    char *header;
    int fd, log_fd;
    uint64_t end;            /* bytes of OUT that are journalled */
    struct entry *e;
    size_t n, cap;
    uint32_t *index;         /* seq -> entry + 1 */
    size_t index_cap;
    size_t retries;
    bool any_redone;
    struct timespec synced;
};

static char *beside(const char *out, const char *suffix)
{
    g4_str s = {0};
    g4_str_addf(&s, "%s%s", out, suffix);
    return g4_str_take(&s);
}

/* ---- entries ------------------------------------------------------------- */

static struct entry *find(const g4_journal *j, uint64_t seq)
{
    return seq < j->index_cap && j->index[seq] ? &j->e[j->index[seq] - 1] : NULL;
}

static void add_entry(g4_journal *j, struct entry e)
{
    const size_t before = j->index_cap;
    if (e.seq >= j->index_cap) {
        G4_GROW(j->index, j->index_cap, e.seq + 1);
        memset(j->index + before, 0, (j->index_cap - before) * sizeof *j->index);
    }
    G4_GROW(j->e, j->cap, j->n + 1);
    j->e[j->n++] = e;
    j->index[e.seq] = (uint32_t)j->n;
    j->end = e.end;
}

static void print_entry(const struct entry *e, g4_str *out)
{
    g4_str line = {0};
    g4_str_addf(&line, "%" PRIu64 " %" PRIu64 " %016" PRIx64 " %016" PRIx64 " %c", e->seq, e->end, e->in, e->out,
                state_of[e->outcome]);
    g4_str_addf(out, "%s %016" PRIx64 "\n", line.p, g4_hash64(line.p, line.n, 0));
    g4_str_free(&line);
}

/* One line without its newline; false when it is torn or damaged. */
static bool parse_entry(g4_journal *j, const char *p, size_t n)
{
    char line[160], state;
    struct entry e = {0};
    uint64_t check;
    int used = 0;
    if (n >= sizeof line) return false;
    memcpy(line, p, n);
    line[n] = 0;
    if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNx64 " %" SCNx64 " %c%n %" SCNx64, &e.seq, &e.end, &e.in, &e.out,
               &state, &used, &check) != 6)
        return false;
    if (check != g4_hash64(line, (size_t)used, 0) || e.end < j->end || e.seq > UINT32_MAX || find(j, e.seq)) return false;
    e.outcome = state == 'e' ? G4_JOURNAL_FAILED : state == 'c' ? G4_JOURNAL_CUT : G4_JOURNAL_DONE;
    e.start = j->end;
    add_entry(j, e);
    return true;
}

/* ---- opening ------------------------------------------------------------- */

/* Opens and locks path; afterwards the name still means this very file. */
static int open_locked(const char *path, g4_err *err)
{
    for (;;) {
        struct stat held, named;
        const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) return g4_fail_errno(err, G4_EIO, "cannot open '%s'", path);
        if (flock(fd, LOCK_EX | LOCK_NB)) {
            g4_fail(err, G4_EIO, "'%s' is in use by another run", path);
            close(fd);
            return G4_EIO;
        }
        if (fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev)
            return fd;
        close(fd);
    }
}

/* A retry that died between its two renames is completed, one that died before
 * them is forgotten. */
static void settle_retry(g4_journal *j)
{
    const bool out = g4_file_exists(j->new_path), log = g4_file_exists(j->new_log_path);
    if (log && !out) {
        rename(j->new_log_path, j->log_path);
        return;
    }
    if (out) unlink(j->new_path);
    if (log) unlink(j->new_log_path);
}

/* Does a key hold a line that begins with the same word as this one? */
static bool has_setting(const char *key, const char *line)
{
    g4_str word = {0};
    g4_str_addf(&word, "\n%.*s ", (int)(2 + strcspn(line + 2, " \n")), line);
    const bool has = strstr(key, word.p);
    g4_str_free(&word);
    return has;
}

/* The first line of the two keys that differs: "'was' then, 'is' now", or the one that only one of them has. */
static int compare_keys(const g4_journal *j, const char *old, const char *now, g4_err *err)
{
    const char *was = old, *is = now;
    while (*was && *was == *is) was++, is++;
    if (!*was && !*is) return G4_OK;
    while (was[-1] != '\n') was--, is--;
    const int n_was = (int)strcspn(was, "\n") - 2, n_is = (int)strcspn(is, "\n") - 2; /* behind "= " */
    if (n_is > 0 && !has_setting(old, is))
        return g4_fail(err, G4_EUSAGE, "'%s' was made with other settings: without '%.*s'", j->path, n_is, is + 2);
    if (n_was > 0 && !has_setting(now, was))
        return g4_fail(err, G4_EUSAGE, "'%s' was made with other settings: with '%.*s'", j->path, n_was, was + 2);
    return g4_fail(err, G4_EUSAGE, "'%s' was made with other settings: '%.*s' then, '%.*s' now", j->path, n_was, was + 2, n_is, is + 2);
}

static char *make_header(const char *key, uint64_t seed)
{
    g4_str s = {0};
    g4_str_addf(&s, "g4 journal 1\nseed %" PRIu64 "\n", seed);
    for (const char *p = key; *p;) {
        const size_t n = strcspn(p, "\n");
        g4_str_addf(&s, "= %.*s\n", (int)n, p);
        p += n + (p[n] == '\n');
    }
    g4_str_adds(&s, "--\n");
    return g4_str_take(&s);
}

static int read_log(g4_journal *j, const char *key, uint64_t *seed, g4_err *err)
{
    g4_str log = {0};
    int at = 0, rc = g4_file_read(j->log_path, (size_t)1 << 40, &log, err);
    if (rc) goto out;
    const char *head = log.p ? log.p : "", *rest = strstr(head, "\n--\n");
    if (sscanf(head, "g4 journal 1\nseed %" SCNu64 "%n", seed, &at) != 1 || !rest) {
        rc = g4_fail(err, G4_EUSAGE, "'%s' is not a journal of g4", j->log_path);
        goto out;
    }
    j->header = make_header(key, *seed);
    char *had = g4_strndup(head, (size_t)(rest + 4 - head));
    rc = compare_keys(j, had, j->header, err);
    free(had);
    if (rc) goto out;
    const char *p = rest + 4, *stop = log.p + log.n;
    for (const char *nl; (nl = memchr(p, '\n', (size_t)(stop - p))); p = nl + 1)
        if (!parse_entry(j, p, (size_t)(nl - p))) break;
    if (truncate(j->log_path, p - log.p)) rc = g4_fail_errno(err, G4_EIO, "cannot cut '%s'", j->log_path);
out:
    g4_str_free(&log);
    return rc;
}

/* Cuts the journal back to the entries whose bytes OUT has (invariant 4), then
 * OUT to the journal (3), and sees that the bytes are those written. */
static int reconcile(g4_journal *j, g4_err *err)
{
    g4_map m;
    bool cut = false;
    if (g4_map_open(&m, j->path, err)) return G4_EIO;
    int rc = G4_OK;
    while (j->n && j->e[j->n - 1].end > m.n) {
        j->index[j->e[--j->n].seq] = 0;
        cut = true;
    }
    for (size_t i = 0; i < j->n && !rc; i++)
        if (g4_hash64(m.p + j->e[i].start, j->e[i].end - j->e[i].start, 0) != j->e[i].out) rc = G4_EUSAGE;
    j->end = j->n ? j->e[j->n - 1].end : 0;
    if (rc) g4_fail(err, rc, "'%s' was changed since the run that wrote it", j->path);
    const size_t had = m.n;
    g4_map_close(&m);
    if (!rc && had > j->end && ftruncate(j->fd, (off_t)j->end))
        rc = g4_fail_errno(err, G4_EIO, "cannot cut '%s'", j->path);
    if (rc || !cut) return rc;
    g4_str log = {0};
    g4_str_adds(&log, j->header);
    for (size_t i = 0; i < j->n; i++) print_entry(&j->e[i], &log);
    rc = g4_file_write_atomic(j->log_path, log.p, log.n, err);
    g4_str_free(&log);
    return rc;
}

static int start_new(g4_journal *j, const char *key, uint64_t seed, g4_err *err)
{
    struct stat st;
    if (fstat(j->fd, &st) == 0 && st.st_size)
        return g4_fail(err, G4_EUSAGE, "'%s' has content, but there is no '%s' to go on from", j->path, j->log_path);
    j->header = make_header(key, seed);
    return g4_file_write_atomic(j->log_path, j->header, strlen(j->header), err);
}

static void mark_retries(g4_journal *j)
{
    for (size_t i = 0; i < j->n; i++)
        if (j->e[i].outcome == G4_JOURNAL_FAILED) {
            j->e[i].again = true;
            j->retries++;
        }
}

static int open_log(g4_journal *j, g4_err *err)
{
    j->log_fd = open(j->log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (j->log_fd < 0) return g4_fail_errno(err, G4_EIO, "cannot open '%s'", j->log_path);
    if (lseek(j->fd, (off_t)j->end, SEEK_SET) < 0) return g4_fail_errno(err, G4_EIO, "cannot use '%s'", j->path);
    return G4_OK;
}

static void release(g4_journal *j)
{
    if (j->fd >= 0) close(j->fd);
    if (j->log_fd >= 0) close(j->log_fd);
    for (size_t i = 0; i < j->n; i++) g4_str_free(&j->e[i].redo);
    free(j->e);
    free(j->index);
    free(j->header);
    free(j->path);
    free(j->log_path);
    free(j->new_path);
    free(j->new_log_path);
    free(j);
}

g4_journal *g4_journal_open(const char *out, const char *key, bool retry_errors, uint64_t *seed, g4_err *err)
{
    g4_journal *j = g4_alloc(sizeof *j);
    j->log_fd = -1;
    j->path = g4_strdup(out);
    j->log_path = beside(out, ".g4");
    j->new_path = beside(out, ".g4-out");
    j->new_log_path = beside(out, ".g4-log");
    j->fd = open_locked(out, err);
    int rc = j->fd < 0 ? G4_EIO : G4_OK;
    if (!rc) {
        settle_retry(j);
        if (g4_file_exists(j->log_path)) rc = read_log(j, key, seed, err) || reconcile(j, err) ? G4_EIO : G4_OK;
        else rc = start_new(j, key, *seed, err);
    }
    if (!rc) rc = open_log(j, err);
    if (rc) {
        release(j);
        return NULL;
    }
    if (retry_errors) mark_retries(j);
    clock_gettime(CLOCK_MONOTONIC, &j->synced);
    return j;
}

/* ---- running ------------------------------------------------------------- */

int g4_journal_done(g4_journal *j, uint64_t seq, uint64_t hash, g4_err *err)
{
    const struct entry *e = find(j, seq);
    if (!e) return 0;
    if (e->in != hash)
        return g4_fail(err, G4_EUSAGE, "input record %" PRIu64 " is not the one that '%s' was made from", seq + 1, j->path);
    return !e->again;
}

size_t g4_journal_retries(const g4_journal *j)
{
    return j->retries;
}

uint64_t g4_journal_count(const g4_journal *j)
{
    return j->n;
}

uint64_t g4_journal_failed(const g4_journal *j)
{
    uint64_t n = 0;
    for (size_t i = 0; i < j->n; i++) n += j->e[i].outcome == G4_JOURNAL_FAILED;
    return n;
}

uint64_t g4_journal_cut(const g4_journal *j)
{
    uint64_t n = 0;
    for (size_t i = 0; i < j->n; i++) n += j->e[i].outcome == G4_JOURNAL_CUT;
    return n;
}

static int sync_files(g4_journal *j, g4_err *err)
{
    clock_gettime(CLOCK_MONOTONIC, &j->synced);
    /* EINVAL: a special file that cannot be synced. */
    if ((fdatasync(j->fd) && errno != EINVAL) || (fdatasync(j->log_fd) && errno != EINVAL))
        return g4_fail_errno(err, G4_EIO, "cannot write '%s'", j->path);
    return G4_OK;
}

static int append(g4_journal *j, struct entry e, g4_sv bytes, g4_err *err)
{
    struct timespec now;
    g4_str line = {0};
    e.start = j->end;
    e.end = j->end + bytes.n;
    e.out = g4_hash64(bytes.p, bytes.n, 0);
    print_entry(&e, &line);
    int rc = G4_OK;
    if (g4_write_all(j->fd, bytes.p, bytes.n)) rc = g4_fail_errno(err, G4_EIO, "cannot write '%s'", j->path);
    else if (g4_write_all(j->log_fd, line.p, line.n)) rc = g4_fail_errno(err, G4_EIO, "cannot write '%s'", j->log_path);
    g4_str_free(&line);
    if (rc) return rc;
    add_entry(j, e);
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > j->synced.tv_sec ? sync_files(j, err) : G4_OK;
}

/* Writes both files anew with what was made again, and puts them in place. */
static int merge(g4_journal *j, g4_err *err)
{
    g4_map old;
    g4_str log = {0};
    uint64_t end = 0;
    if (g4_map_open(&old, j->path, err)) return G4_EIO;
    unlink(j->new_path);
    const int fd = open_locked(j->new_path, err);
    int rc = fd < 0 ? G4_EIO : G4_OK;
    g4_str_adds(&log, j->header);
    for (size_t i = 0; i < j->n && !rc; i++) {
        struct entry *e = &j->e[i];
        const g4_sv bytes = e->redone ? (g4_sv){ e->redo.p, e->redo.n }
                                      : (g4_sv){ (const char *)old.p + e->start, e->end - e->start };
        if (g4_write_all(fd, bytes.p, bytes.n)) rc = g4_fail_errno(err, G4_EIO, "cannot write '%s'", j->new_path);
        e->start = end;
        e->end = end += bytes.n;
        e->out = g4_hash64(bytes.p, bytes.n, 0);
        if (e->redone) e->outcome = e->redo_outcome;
        e->redone = false;
        print_entry(e, &log);
    }
    g4_map_close(&old);
    if (!rc && fdatasync(fd)) rc = g4_fail_errno(err, G4_EIO, "cannot write '%s'", j->new_path);
    if (!rc) rc = g4_file_write_atomic(j->new_log_path, log.p, log.n, err);
    g4_str_free(&log);
    if (!rc && rename(j->new_path, j->path)) rc = g4_fail_errno(err, G4_EIO, "cannot replace '%s'", j->path);
    if (!rc) g4_sync_folder(j->path); /* settle_retry() knows the one name without the other in this order only */
    if (!rc && rename(j->new_log_path, j->log_path)) rc = g4_fail_errno(err, G4_EIO, "cannot replace '%s'", j->log_path);
    if (rc) {
        if (fd >= 0) close(fd);
        return rc;
    }
    g4_sync_folder(j->log_path);
    close(j->fd);
    close(j->log_fd);
    j->fd = fd;
    j->end = end;
    j->any_redone = false;
    return open_log(j, err);
}

int g4_journal_write(g4_journal *j, uint64_t seq, uint64_t hash, enum g4_journal_state outcome, g4_sv bytes, g4_err *err)
{
    struct entry *e = find(j, seq);
    if (!e) return append(j, (struct entry){ .seq = seq, .in = hash, .outcome = outcome }, bytes, err);
    g4_str_clear(&e->redo);
    g4_str_add(&e->redo, bytes.p, bytes.n);
    e->redone = true;
    e->redo_outcome = outcome;
    e->again = false;
    j->any_redone = true;
    return --j->retries ? G4_OK : merge(j, err);
}

void g4_journal_close(g4_journal *j, g4_err *err)
{
    if (!j) return;
    if (!j->any_redone || !merge(j, err)) sync_files(j, err);
    release(j);
}
