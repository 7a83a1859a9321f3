/* hub/follow: see follow.h.  Two threads a file: one reads and hashes, one waits
 * for the disk. */
#include "hub/follow.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"

enum { PIECE = 1 << 20, SYNC_SECONDS = 2 };

struct g4_follow {
    int fd;
    enum g4_digest_kind also;
    int64_t size;
    void (*done)(void *);
    void *arg;
    pthread_t hasher, syncer;
    pthread_mutex_t lock;
    pthread_cond_t more, tick;
    uint64_t prefix, end;      /* end: UINT64_MAX until known */
    bool stop, ready, failed;
    g4_err err;
    char sha256[65], other[65];
    struct g4_ranges written, synced;
    bool news;                 /* synced changed since it was asked for */
};

/* Waits for bytes behind `at`; how many there are, 0 at the end. */
static uint64_t wait_for_bytes(struct g4_follow *f, uint64_t at)
{
    pthread_mutex_lock(&f->lock);
    while (!f->stop && f->prefix <= at && at < f->end) pthread_cond_wait(&f->more, &f->lock);
    const uint64_t n = f->stop || at >= f->end ? 0 : f->prefix - at;
    pthread_mutex_unlock(&f->lock);
    return n;
}

static int read_at(struct g4_follow *f, uint8_t *buf, size_t n, uint64_t at)
{
    while (n) {
        const ssize_t got = pread(f->fd, buf, n, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return g4_fail_errno(&f->err, G4_EIO, "cannot read back what was fetched");
        if (!got) return g4_fail(&f->err, G4_EIO, "what was fetched has become shorter");
        buf += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

/* CRC-32C (Castagnoli's polynomial), four bytes at a time: table[k][x] is what x becomes k bytes later. */
static uint32_t (*crc_table(void))[256]
{
    uint32_t (*t)[256] = malloc(4 * sizeof *t);
    for (uint32_t i = 0; t && i < 256; i++) {
        uint32_t v = i;
        for (int k = 0; k < 8; k++) v = v >> 1 ^ (v & 1 ? 0x82f63b78u : 0);
        t[0][i] = v;
    }
    for (int k = 1; t && k < 4; k++)
        for (uint32_t i = 0; i < 256; i++) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 255];
    return t;
}

static uint32_t crc_add(uint32_t t[4][256], uint32_t crc, const uint8_t *p, size_t n)
{
    crc = ~crc;
    for (; n >= 4; p += 4, n -= 4) {
        crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        crc = t[3][crc & 255] ^ t[2][crc >> 8 & 255] ^ t[1][crc >> 16 & 255] ^ t[0][crc >> 24];
    }
    while (n--) crc = crc >> 8 ^ t[0][(crc ^ *p++) & 255];
    return ~crc;
}

static EVP_MD_CTX *begin_other(const struct g4_follow *f)
{
    if (f->also != G4_DIGEST_GIT && f->also != G4_DIGEST_STORED) return NULL;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_DigestInit_ex(c, f->also == G4_DIGEST_GIT ? EVP_sha1() : EVP_md5(), NULL);
    if (f->also == G4_DIGEST_GIT) {
        char head[40];
        EVP_DigestUpdate(c, head, (size_t)snprintf(head, sizeof head, "blob %lld", (long long)f->size) + 1);
    }
    return c;
}

static void *hash(void *arg)
{
    struct g4_follow *f = arg;
    uint8_t *buf = malloc(PIECE), sum[EVP_MAX_MD_SIZE];
    unsigned n_sum = 0;
    uint64_t at = 0, n;
    g4_sha256 sha;
    EVP_MD_CTX *other = begin_other(f);
    uint32_t (*table)[256] = f->also == G4_DIGEST_STORED ? crc_table() : NULL, crc = 0;
    int rc = buf && (table || f->also != G4_DIGEST_STORED) ? 0 : g4_fail(&f->err, G4_EIO, "out of memory");
    g4_sha256_init(&sha);
    while (!rc && (n = wait_for_bytes(f, at))) {
        if (n > PIECE) n = PIECE;
        rc = read_at(f, buf, n, at);
        if (rc) break;
        g4_sha256_add(&sha, buf, n);
        if (other) EVP_DigestUpdate(other, buf, n);
        if (table) crc = crc_add(table, crc, buf, n);
        at += n;
    }
    char sha256[65], hex[65] = "";
    g4_sha256_end(&sha, sum);
    g4_hex(sum, 32, sha256);
    if (other) {
        EVP_DigestFinal_ex(other, sum, &n_sum);
        g4_hex(sum, n_sum < 32 ? n_sum : 32, hex);
        EVP_MD_CTX_free(other);
    }
    if (table) snprintf(hex + 32, sizeof hex - 32, "%08x", (unsigned)crc);
    free(table);
    pthread_mutex_lock(&f->lock);
    memcpy(f->sha256, sha256, sizeof f->sha256);
    memcpy(f->other, hex, sizeof f->other);
    f->failed = rc;
    f->ready = !f->stop;
    const bool tell = f->ready;
    pthread_mutex_unlock(&f->lock);
    free(buf);
    if (tell) f->done(f->arg);
    return NULL;
}

/* Every two seconds what was written by then goes to the disk. */
static void *sync_now_and_then(void *arg)
{
    struct g4_follow *f = arg;
    struct g4_ranges now = {0};
    pthread_mutex_lock(&f->lock);
    while (!f->stop) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_sec += SYNC_SECONDS;
        if (pthread_cond_timedwait(&f->tick, &f->lock, &t) != ETIMEDOUT) continue;
        g4_ranges_copy(&now, &f->written);
        pthread_mutex_unlock(&f->lock);
        const bool good = !fdatasync(f->fd);
        pthread_mutex_lock(&f->lock);
        if (good) g4_ranges_copy(&f->synced, &now);
        f->news |= good;
    }
    pthread_mutex_unlock(&f->lock);
    free(now.v);
    return NULL;
}

struct g4_follow *g4_follow_new(int fd, enum g4_digest_kind also, int64_t size, void (*done)(void *), void *arg, g4_err *err)
{
    struct g4_follow *f = calloc(1, sizeof *f);
    if (!f) {
        g4_fail(err, G4_EIO, "out of memory");
        return NULL;
    }
    *f = (struct g4_follow){ .fd = fd, .also = also, .size = size, .done = done, .arg = arg, .end = UINT64_MAX };
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->more, NULL);
    pthread_cond_init(&f->tick, NULL);
    if (pthread_create(&f->hasher, NULL, hash, f)) {
        g4_fail(err, G4_EIO, "cannot start a thread");
        free(f);
        return NULL;
    }
    if (pthread_create(&f->syncer, NULL, sync_now_and_then, f)) {
        f->syncer = f->hasher; /* it works without; a resume after a power cut begins anew */
    }
    return f;
}

void g4_follow_reach(struct g4_follow *f, uint64_t prefix, const struct g4_ranges *r)
{
    pthread_mutex_lock(&f->lock);
    if (prefix > f->prefix) {
        f->prefix = prefix;
        pthread_cond_signal(&f->more);
    }
    g4_ranges_copy(&f->written, r);
    pthread_mutex_unlock(&f->lock);
}

void g4_follow_end(struct g4_follow *f, uint64_t size)
{
    pthread_mutex_lock(&f->lock);
    f->end = f->prefix = size;
    pthread_cond_signal(&f->more);
    pthread_mutex_unlock(&f->lock);
}

bool g4_follow_ready(struct g4_follow *f, char *sha256, char *other, g4_err *err)
{
    pthread_mutex_lock(&f->lock);
    const bool ready = f->ready;
    if (ready) {
        memcpy(sha256, f->sha256, sizeof f->sha256);
        memcpy(other, f->other, sizeof f->other);
        if (f->failed) g4_fail(err, G4_EIO, "%s", f->err.msg);
    }
    pthread_mutex_unlock(&f->lock);
    return ready;
}

bool g4_follow_synced(struct g4_follow *f, struct g4_ranges *out)
{
    pthread_mutex_lock(&f->lock);
    const bool news = f->news;
    if (news) g4_ranges_copy(out, &f->synced);
    f->news = false;
    pthread_mutex_unlock(&f->lock);
    return news;
}

void g4_follow_free(struct g4_follow *f)
{
    if (!f) return;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_broadcast(&f->more);
    pthread_cond_broadcast(&f->tick);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->hasher, NULL);
    if (!pthread_equal(f->syncer, f->hasher)) pthread_join(f->syncer, NULL);
    pthread_cond_destroy(&f->more);
    pthread_cond_destroy(&f->tick);
    pthread_mutex_destroy(&f->lock);
    free(f->written.v);
    free(f->synced.v);
    free(f);
}
