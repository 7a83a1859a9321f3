/* hub/fetch: which bytes to ask for next, and what to do when they are here; see
 * fetch.h and fetch_impl.h.  One thread moves the data; each file has two more
 * that hash and sync it (follow.h). */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "hub/fetch_impl.h"
#include "hub/copy.h"
#include "hub/header.h"
#include "weights/names.h"
#include "weights/store_write.h"

enum { JOURNAL_MIN = 256 << 10, JOURNAL_MAX = 4 << 20, TELL_BYTES = 1 << 20, RESERVE = 64 << 20, POLL_MS = 100, DEFAULT_JOBS = 8, SPACE_SECONDS = 2 };

double g4_fetch_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void g4_fetch_fail(struct fetch *x, enum g4_hub_why why, const g4_err *err)
{
    if (x->failed) return;
    x->failed = true;
    x->why = why;
    x->err = *err;
}

static void fail_with(struct fetch *x, enum g4_hub_why why, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void fail_with(struct fetch *x, enum g4_hub_why why, const char *fmt, ...)
{
    g4_err err = {0};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err.msg, sizeof err.msg, fmt, ap);
    va_end(ap);
    g4_fetch_fail(x, why, &err);
}

/* ---- gaps ---------------------------------------------------------------------------- */

void g4_job_gap(struct job *j, uint64_t a, uint64_t b, unsigned tries, double ready)
{
    size_t i = 0;
    if (a >= b) return;
    while (i < j->n_gap && j->gap[i].a < a) i++;
    G4_GROW(j->gap, j->cap_gap, j->n_gap + 1);
    memmove(j->gap + i + 1, j->gap + i, (j->n_gap - i) * sizeof *j->gap);
    j->gap[i] = (struct gap){ a, b, tries, ready };
    j->n_gap++;
}

/* What is missing, after a former run or from the beginning. */
static void fill_gaps(struct job *j)
{
    uint64_t at = 0;
    j->n_gap = 0;
    if (j->part.size < 0) {
        g4_job_gap(j, 0, j->state == JOB_STREAM ? UINT64_MAX : SEGMENT_MIN, j->restart_tries, 0);
        return;
    }
    for (size_t i = 0; i < j->part.done.n; i++) {
        g4_job_gap(j, at, j->part.done.v[i].a, 0, 0);
        at = j->part.done.v[i].b;
    }
    g4_job_gap(j, at, (uint64_t)j->part.size, j->restart_tries, 0);
}

static uint64_t bytes_waiting(const struct job *j)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < j->n_gap; i++) sum += j->gap[i].b - j->gap[i].a;
    return sum;
}

/* Segments shrink towards the end: the digest needs the bytes in order, and can
 * only begin with the last window of segments when that window is nearly there.
 * One lane alone has nobody to share with: it asks once, and waits for no answer. */
static uint64_t segment_of(const struct job *j, uint32_t lanes)
{
    if (j->part.size < 0) return SEGMENT_MIN;
    if (lanes == 1) return (uint64_t)j->part.size;
    uint64_t s = (uint64_t)j->part.size / 64, fair = bytes_waiting(j) / (2 * lanes);
    s = s < SEGMENT_MIN ? SEGMENT_MIN : s > SEGMENT_MAX ? SEGMENT_MAX : s;
    if (fair < SEGMENT_LAST) fair = SEGMENT_LAST;
    if (fair < s) s = fair;
    return (s + (1 << 20) - 1) & ~(uint64_t)((1 << 20) - 1);
}

/* The first gap whose time has come, cut to a segment; false: none. */
static bool take_gap(struct job *j, uint32_t lanes, double now, struct gap *out)
{
    for (size_t i = 0; i < j->n_gap; i++) {
        struct gap *g = &j->gap[i];
        if (g->ready > now) continue;
        *out = *g;
        const uint64_t segment = segment_of(j, lanes);
        if (j->state != JOB_STREAM && out->b - out->a > segment) {
            out->b = out->a + segment;
            g->a = out->b;
        } else {
            memmove(g, g + 1, (j->n_gap - i - 1) * sizeof *g);
            j->n_gap--;
        }
        return true;
    }
    return false;
}

/* Takes half of what the slowest lane still has to bring. */
static bool split(struct fetch *x, struct job *j, struct gap *out)
{
    struct lane *most = NULL;
    for (size_t i = 0; i < N_LANE; i++) {
        struct lane *l = &x->lane[i];
        if (l->job == j && l->judged && !l->refused && l->b != UINT64_MAX && l->b - l->at > SPLIT_MIN && (!most || l->b - l->at > most->b - most->at))
            most = l;
    }
    if (!most || j->n_gap) return false;
    const uint64_t half = most->at + (most->b - most->at) / 2;
    *out = (struct gap){ .a = half, .b = most->b };
    most->b = half;
    return true;
}

/* ---- space ------------------------------------------------------------------------------ */

static int no_space(struct fetch *x, uint64_t need, uint64_t have, g4_err *err)
{
    return g4_hub_fail(x->h, G4_HUB_SPACE, err, "no space: %.1f MB more are needed in '%s', %.1f MB are free (g4-pull --gc and --rm make room)",
                       (double)need / 1e6, x->h->root, (double)have / 1e6);
}

/* Free bytes of the store's file system; UINT64_MAX when it does not say. */
static uint64_t free_bytes(const struct g4_hub *h)
{
    struct statvfs v;
    return statvfs(h->root, &v) ? UINT64_MAX : (uint64_t)v.f_bavail * v.f_frsize;
}

/* What all jobs still have to take from the disk; archives are unpacked besides. */
static uint64_t bytes_needed(const struct fetch *x)
{
    uint64_t need = 0;
    for (size_t i = 0; i < x->n; i++) {
        const struct job *j = &x->job[i];
        if (j->state == JOB_DONE || j->part.size < 0) continue;
        if (!j->part.preallocated) need += (uint64_t)j->part.size - g4_ranges_sum(&j->part.done);
        if (j->f->archive) need += (uint64_t)j->part.size;
    }
    return need;
}

static int check_space(struct fetch *x, g4_err *err)
{
    const uint64_t need = bytes_needed(x), have = free_bytes(x->h);
    if (x->h->p->no_space_check || !need || have == UINT64_MAX || need + RESERVE <= have) return 0;
    return no_space(x, need + RESERVE, have, err);
}

int g4_job_size(struct fetch *x, struct job *j, int64_t size, g4_err *err)
{
    const bool was_known = j->part.size >= 0;
    if (x->h->p->max_size && (uint64_t)size > x->h->p->max_size)
        return g4_hub_fail(x->h, G4_HUB_USAGE, err, "'%s' has %" PRId64 " bytes, more than --max-size allows", j->f->path, size);
    if (was_known) return 0;
    j->part.size = size;
    if (check_space(x, err)) return G4_EIO;
    if (g4_part_resize(&j->part, size, !x->h->p->no_space_check && j->state != JOB_STREAM, err)) {
        x->h->why = errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? G4_HUB_SPACE : G4_HUB_IO;
        return G4_EIO;
    }
    if (j->state == JOB_RANGED && size > SEGMENT_MIN) g4_job_gap(j, SEGMENT_MIN, (uint64_t)size, 0, 0);
    return 0;
}

/* ---- one job ------------------------------------------------------------------------------ */

static void wake(void *arg)
{
    curl_multi_wakeup(arg);
}

static int follow(struct fetch *x, struct job *j, g4_err *err)
{
    g4_follow_free(j->follow);
    j->follow = g4_follow_new(j->part.fd, j->digest.kind, j->part.size, wake, x->h->multi, err);
    return j->follow ? 0 : g4_hub_fail(x->h, G4_HUB_IO, err, "out of memory");
}

static void event(struct fetch *x, enum g4_hub_event_kind kind, const struct job *j)
{
    if (!x->h->p->event) return;
    x->h->p->event(x->h->p->arg, &(struct g4_hub_event){
        .kind = kind, .file = j->f->path, .role = j->f->archive ? "archive" : g4_role_name(j->f->role),
        .bytes = g4_ranges_sum(&j->part.done), .total = j->part.size > 0 ? (uint64_t)j->part.size : 0,
        .sha256 = j->digest.kind == G4_DIGEST_SHA256 ? j->digest.hex : NULL });
}

static void blob_path(const struct g4_hub *h, const char *hex, g4_str *out)
{
    g4_str_clear(out);
    g4_str_addf(out, "%s/blobs/sha256-%s", h->root, hex);
}

static bool has_size(const char *path, int64_t size, uint64_t *found)
{
    struct stat st;
    if (stat(path, &st) || !S_ISREG(st.st_mode) || (size >= 0 && st.st_size != size)) return false;
    *found = (uint64_t)st.st_size;
    return true;
}

/* Where a complete file goes: archives wait in tmp/ until they are unpacked. */
static void final_path(const struct fetch *x, const struct job *j, const char *hex, g4_str *out)
{
    if (!j->f->archive) {
        blob_path(x->h, hex, out);
        return;
    }
    g4_str_clear(out);
    g4_str_addf(out, "%s/tmp/%s.whole", x->h->root, j->key);
}

/* Is it here already? */
static bool is_here(struct fetch *x, struct job *j)
{
    g4_str path = {0};
    char hex[65] = "";
    uint64_t size = 0;
    bool here = false;
    char known[72];
    if (j->digest.kind == G4_DIGEST_SHA256) strcpy(hex, j->digest.hex);
    else if (!j->f->archive && g4_store_known(x->h->root, j->f->identity, known, &size)) strcpy(hex, known + 7);
    if (*hex || (j->f->archive && j->f->identity)) {
        final_path(x, j, hex, &path);
        here = has_size(path.p, j->f->size, &size);
    }
    if (here) {
        j->out->path = g4_strdup(path.p);
        j->out->size = size;
        strcpy(j->out->sha256, hex);
        j->state = JOB_DONE;
    }
    g4_str_free(&path);
    return here;
}

static int open_job(struct fetch *x, struct job *j, g4_err *err)
{
    g4_str dir = {0};
    g4_str_addf(&dir, "%s/tmp", x->h->root);
    int rc = g4_part_open(&j->part, dir.p, j->key, j->f->identity, j->f->size, err);
    g4_str_free(&dir);
    if (rc) return g4_hub_fail(x->h, G4_HUB_IO, err, "cannot open a partial file");
    const uint64_t had = g4_ranges_sum(&j->part.done);
    if (had) g4_log(G4_LOG_VERBOSE, "'%s': going on after %.1f MB", j->f->path, (double)had / 1e6);
    j->state = JOB_PROBE;
    fill_gaps(j);
    return 0;
}

/* After all jobs' needs are known: takes the space and starts the hashing. */
static int begin_job(struct fetch *x, struct job *j, g4_err *err)
{
    if (j->part.size >= 0 && g4_part_resize(&j->part, j->part.size, !x->h->p->no_space_check, err))
        return g4_hub_fail(x->h, errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? G4_HUB_SPACE : G4_HUB_IO, err, "no room");
    event(x, G4_HUB_START, j);
    return follow(x, j, err);
}

static void restart_job(struct fetch *x, struct job *j)
{
    g4_err err = {0};
    g4_follow_free(j->follow);
    j->follow = NULL;
    j->restart = false;
    j->state = j->as_stream ? JOB_STREAM : JOB_PROBE;
    if (j->f->size < 0) j->part.size = -1;
    if (g4_part_restart(&j->part, &err)) {
        g4_fetch_fail(x, G4_HUB_IO, &err);
        return;
    }
    fill_gaps(j);
    j->want = 0;
    j->header_good = false;
    if (follow(x, j, &err)) g4_fetch_fail(x, G4_HUB_IO, &err);
}

/* ---- the end of a job -------------------------------------------------------------------------- */

static bool is_gguf(const struct job *j)
{
    return !j->f->archive && (g4_names_is_gguf(j->f->path) || j->f->role == G4_ROLE_MODEL) && !strstr(j->f->path, ".safetensors");
}

static enum g4_header look_at_header(struct job *j, uint64_t prefix, g4_err *err)
{
    return g4_header_check(j->part.fd, prefix, (uint64_t)j->part.size, j->f->path, j->f->role == G4_ROLE_MODEL, &j->want, err);
}

/* Once more from the beginning: a proxy may have damaged it. */
static void fetch_again(struct fetch *x, struct job *j, const char *why)
{
    g4_log(G4_LOG_WARN, "'%s' arrived corrupt: %s; fetching it once more", j->f->path, why);
    j->mismatches++;
    free(j->direct);
    j->direct = NULL;
    j->as_stream = j->one_piece;
    restart_job(x, j);
}

/* Other bytes than were announced. */
static void mismatch(struct fetch *x, struct job *j, const char *got)
{
    static const char *const kind[] = { "", "SHA-256", "git SHA-1", "MD5" };
    g4_str why = {0};
    g4_str_addf(&why, "its %s is %s instead of %s", strlen(j->digest.hex) == 8 ? "CRC-32C" : kind[j->digest.kind], got, j->digest.hex);
    if (!j->mismatches) {
        fetch_again(x, j, why.p);
    } else {
        g4_part_remove(&j->part);
        fail_with(x, G4_HUB_INTEGRITY, "'%s' is corrupt: %s, twice; nothing is installed", j->f->path, why.p);
    }
    g4_str_free(&why);
}

/* A header that cannot be: of a file with a digest the transfer is suspected first. */
static void bad_header(struct fetch *x, struct job *j, const g4_err *why)
{
    if (why->code != G4_EUNSUP && j->digest.kind && !j->mismatches) {
        j->restart = true;
        for (size_t i = 0; i < N_LANE; i++)
            if (x->lane[i].job == j) g4_lane_drop(&x->lane[i]);
        fetch_again(x, j, why->msg);
        return;
    }
    g4_part_remove(&j->part);
    j->part.size = 0;
    g4_fetch_fail(x, G4_HUB_FORMAT, why);
}

static void commit(struct fetch *x, struct job *j, const char *hex)
{
    g4_str path = {0};
    g4_err err = {0};
    final_path(x, j, hex, &path);
    j->out->size = (uint64_t)j->part.size;
    j->out->fresh = true;
    strcpy(j->out->sha256, hex);
    if (g4_part_commit(&j->part, path.p, &err)) g4_fetch_fail(x, errno == ENOSPC || errno == EDQUOT ? G4_HUB_SPACE : G4_HUB_IO, &err);
    else j->out->path = g4_str_take(&path);
    j->state = JOB_DONE;
    g4_str_free(&path);
}

static void conclude(struct fetch *x, struct job *j)
{
    char sha256[65], other[65];
    g4_err err = {0};
    if (!g4_follow_ready(j->follow, sha256, other, &err)) return;
    g4_follow_free(j->follow);
    j->follow = NULL;
    if (err.code) {
        g4_fetch_fail(x, G4_HUB_IO, &err);
        return;
    }
    const char *got = j->digest.kind == G4_DIGEST_SHA256 ? sha256 : other;
    if (j->digest.kind == G4_DIGEST_STORED && strlen(j->digest.hex) == 8) got += 32;
    else if (j->digest.kind == G4_DIGEST_STORED) other[32] = 0;
    if (j->digest.kind && *j->digest.hex && strcmp(got, j->digest.hex)) {
        mismatch(x, j, got);
        return;
    }
    if (is_gguf(j) && !x->h->p->force && look_at_header(j, (uint64_t)j->part.size, &err) == G4_HEADER_BAD) {
        g4_part_remove(&j->part);
        g4_fetch_fail(x, G4_HUB_FORMAT, &err);
        return;
    }
    commit(x, j, sha256);
}

/* ---- progress ------------------------------------------------------------------------------------ */

static void tell(struct fetch *x, double now)
{
    uint64_t bytes = 0, total = 0;
    bool known = true;
    if (!x->h->p->event || now - x->told < 0.1) return;
    x->told = now;
    for (size_t i = 0; i < x->n; i++) {
        const struct job *j = &x->job[i];
        const bool done = j->state == JOB_DONE;
        bytes += done ? j->out->size : g4_ranges_sum(&j->part.done);
        if (!done && j->part.size < 0) known = false;
        else total += done ? j->out->size : (uint64_t)j->part.size;
    }
    x->h->p->event(x->h->p->arg, &(struct g4_hub_event){ .kind = G4_HUB_PROGRESS, .bytes = bytes, .total = known ? total : 0 });
}

/* About every hundredth part of a file, so that a kill costs no more than that. */
static uint64_t journal_step(const struct job *j)
{
    const uint64_t step = j->part.size > 0 ? (uint64_t)j->part.size / 128 : JOURNAL_MAX;
    return step < JOURNAL_MIN ? JOURNAL_MIN : step > JOURNAL_MAX ? JOURNAL_MAX : step;
}

static void journal(struct job *j, double now)
{
    const bool synced = j->follow && g4_follow_synced(j->follow, &j->part.synced);
    if (!synced && !(j->fresh && now - j->saved_at > 1)) return;
    g4_part_save(&j->part);
    j->fresh = 0;
    j->saved_at = now;
}

/* libcurl may bring megabytes before it returns to the loop. */
void g4_job_kept(struct job *j, uint64_t n)
{
    j->fresh += n;
    j->untold += n;
    if (j->fresh >= journal_step(j)) {
        g4_part_save(&j->part);
        j->fresh = 0;
    }
    if (j->untold < TELL_BYTES || !j->follow) return;
    j->untold = 0;
    g4_follow_reach(j->follow, g4_ranges_prefix(&j->part.done), &j->part.done);
}

/* Looks at what arrived since the last time. */
static void tick(struct fetch *x, struct job *j, double now)
{
    g4_err err = {0};
    if (j->state == JOB_DONE) return;
    if (j->restart) {
        for (size_t i = 0; i < N_LANE; i++)
            if (x->lane[i].job == j) g4_lane_drop(&x->lane[i]);
        restart_job(x, j);
        return;
    }
    if (j->state == JOB_HASH) {
        conclude(x, j);
        return;
    }
    const uint64_t prefix = g4_ranges_prefix(&j->part.done);
    journal(j, now);
    g4_follow_reach(j->follow, prefix, &j->part.done);
    if (is_gguf(j) && !j->header_good && !x->h->p->force && j->part.size > 0 && prefix < (uint64_t)j->part.size) {
        const enum g4_header verdict = look_at_header(j, prefix, &err);
        j->header_good = verdict == G4_HEADER_GOOD;
        if (verdict == G4_HEADER_BAD) {
            bad_header(x, j, &err);
            return;
        }
    }
    if (j->n_lane || j->n_gap || j->part.size < 0) return;
    j->state = JOB_HASH;
    event(x, G4_HUB_VERIFY, j);
    g4_follow_end(j->follow, (uint64_t)j->part.size);
}

/* ---- the loop --------------------------------------------------------------------------------------- */

static struct lane *idle_lane(struct fetch *x)
{
    for (size_t i = 0; i < N_LANE; i++)
        if (!x->lane[i].job) return &x->lane[i];
    return NULL;
}

static uint32_t jobs_of(const struct fetch *x)
{
    return x->h->p->jobs ? x->h->p->jobs : DEFAULT_JOBS;
}

static unsigned lanes_for(const struct fetch *x, const struct job *j)
{
    if (j->state == JOB_PROBE || j->state == JOB_STREAM) return 1;
    return j->state == JOB_RANGED ? jobs_of(x) : 0;
}

/* Gives idle lanes work, earlier files first; seconds until the next gap is ready. */
static double assign(struct fetch *x, double now)
{
    double soonest = SPACE_SECONDS;
    struct lane *l;
    for (size_t i = 0; i < x->n; i++) {
        struct job *j = &x->job[i];
        struct gap g;
        if (j->restart) continue;
        while (j->n_lane < lanes_for(x, j) && j->pause <= now && (l = idle_lane(x)) &&
               (take_gap(j, jobs_of(x), now, &g) || (j->state == JOB_RANGED && split(x, j, &g)))) {
            g4_lane_start(x, l, j, &g);
        }
        for (size_t k = 0; k < j->n_gap; k++) {
            const double ready = fmax(j->gap[k].ready, j->pause) - now;
            if (ready > 0 && ready < soonest) soonest = ready;
        }
    }
    return soonest;
}

/* Others write to the disk too. */
static void watch_space(struct fetch *x, double now)
{
    g4_err err = {0};
    if (now - x->space_at < SPACE_SECONDS) return;
    x->space_at = now;
    if (check_space(x, &err)) g4_fetch_fail(x, G4_HUB_SPACE, &err);
}

static bool all_done(const struct fetch *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->job[i].state != JOB_DONE) return false;
    return true;
}

static void loop(struct fetch *x)
{
    while (!x->failed && !all_done(x)) {
        int running, left;
        bool freed = false; /* a lane that is free again is given work before anything is waited for */
        CURLMsg *m;
        watch_space(x, g4_fetch_now());
        if (x->failed) break;
        const double soonest = assign(x, g4_fetch_now());
        curl_multi_perform(x->h->multi, &running);
        while ((m = curl_multi_info_read(x->h->multi, &left))) {
            struct lane *l;
            const CURLcode code = m->data.result;
            if (m->msg != CURLMSG_DONE) continue;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &l);
            g4_lane_finish(l, code);
            freed = true;
        }
        const double now = g4_fetch_now();
        for (size_t i = 0; i < x->n && !x->failed; i++) tick(x, &x->job[i], now);
        tell(x, now);
        const int wait = soonest < 0.001 * POLL_MS ? (int)(1000 * soonest) + 1 : POLL_MS;
        if (!freed && !x->failed && !all_done(x)) curl_multi_poll(x->h->multi, NULL, 0, wait, NULL);
    }
}

/* ---- before and after -------------------------------------------------------------------------------- */

static char *key_of(const struct g4_plan_file *f)
{
    g4_str s = {0};
    const char *id = f->identity ? f->identity : f->url;
    if (f->digest.kind == G4_DIGEST_SHA256) g4_str_addf(&s, "sha256-%s", f->digest.hex);
    else g4_str_addf(&s, "id-%016" PRIx64 "%016" PRIx64, g4_hash64(id, strlen(id), 1), g4_hash64(id, strlen(id), 2));
    return g4_str_take(&s);
}

static void say_waiting(const char *name)
{
    g4_log(G4_LOG_INFO, "another g4-pull is fetching this; waiting for it");
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(struct job *const *)a)->key, (*(struct job *const *)b)->key);
}

/* Does another tool have it? */
static void adopt(struct fetch *x, struct job *j)
{
    g4_str path = {0};
    if (j->digest.kind != G4_DIGEST_SHA256 || j->f->archive || j->f->role != G4_ROLE_MODEL) return;
    blob_path(x->h, j->digest.hex, &path);
    if (g4_copy_adopt(x->h, j->digest.hex, j->f->size, path.p)) is_here(x, j);
    g4_str_free(&path);
}

/* A blob that the plan names twice is fetched once. */
static const struct g4_plan_file *earlier(const struct g4_plan *plan, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (plan->file[i].digest.kind == G4_DIGEST_SHA256 && plan->file[k].digest.kind == G4_DIGEST_SHA256 && !plan->file[k].local &&
            !strcmp(plan->file[i].digest.hex, plan->file[k].digest.hex))
            return &plan->file[k];
    return NULL;
}

/* All locks in the order of their names, so that two pulls never wait for each
 * other; after a wait the file may be here. */
static int lock_jobs(struct fetch *x, g4_err *err)
{
    struct job **order = g4_alloc((x->n + 1) * sizeof *order);
    int rc = 0;
    for (size_t i = 0; i < x->n; i++) order[i] = &x->job[i];
    qsort(order, x->n, sizeof *order, by_key);
    for (size_t i = 0; i < x->n && !rc; i++) {
        struct job *j = order[i];
        if (!x->h->p->force && is_here(x, j)) continue;
        j->lock = g4_store_lock(x->h->root, j->key, true, true, say_waiting, err);
        if (j->lock < 0) rc = g4_hub_fail(x->h, G4_HUB_IO, err, "cannot lock");
        else if (!x->h->p->force && !is_here(x, j)) adopt(x, j);
    }
    free(order);
    return rc;
}

static int prepare(struct fetch *x, const struct g4_plan *plan, struct g4_fetched *out, g4_err *err)
{
    for (size_t i = 0; i < plan->n; i++) {
        if (plan->file[i].local || earlier(plan, i)) continue;
        struct job *j = &x->job[x->n++];
        *j = (struct job){ .f = &plan->file[i], .out = &out[i], .lock = -1, .digest = plan->file[i].digest, .part = { .fd = -1, .size = -1 } };
        j->key = key_of(j->f);
        j->out->identity = j->f->identity ? g4_strdup(j->f->identity) : NULL;
    }
    int rc = lock_jobs(x, err);
    for (size_t i = 0; i < x->n && !rc; i++)
        if (x->job[i].state != JOB_DONE) rc = open_job(x, &x->job[i], err);
    if (!rc) rc = check_space(x, err);
    for (size_t i = 0; i < x->n && !rc; i++)
        if (x->job[i].state != JOB_DONE) rc = begin_job(x, &x->job[i], err);
    return rc;
}

static void close_all(struct fetch *x)
{
    for (size_t i = 0; i < N_LANE; i++) {
        struct lane *l = &x->lane[i];
        if (l->job) g4_lane_drop(l);
        if (l->easy) curl_easy_cleanup(l->easy);
        g4_str_free(&l->head.text);
        g4_str_free(&l->body);
    }
    for (size_t i = 0; i < x->n; i++) {
        struct job *j = &x->job[i];
        g4_follow_free(j->follow);
        if (j->part.fd >= 0 && j->part.done.n) g4_part_save(&j->part);
        g4_part_close(&j->part);
        if (j->lock >= 0) close(j->lock);
        free(j->key);
        free(j->direct);
        free(j->gap);
    }
    free(x->job);
}

int g4_fetch(struct g4_hub *h, const struct g4_plan *plan, struct g4_fetched *out, g4_err *err)
{
    struct fetch *x = g4_alloc(sizeof *x);
    x->h = h;
    x->job = g4_alloc((plan->n + 1) * sizeof *x->job);
    int rc = prepare(x, plan, out, err);
    if (!rc) loop(x);
    if (!rc && x->failed) rc = g4_hub_fail(h, x->why, err, "%s", x->err.msg);
    if (x->failed) h->why = x->why;
    for (size_t i = 0; i < plan->n && !rc; i++) {
        const struct g4_plan_file *same = out[i].path ? NULL : earlier(plan, i);
        if (!same) continue;
        const struct g4_fetched *o = &out[same - plan->file];
        out[i] = (struct g4_fetched){ .path = g4_strdup(o->path), .size = o->size, .identity = o->identity ? g4_strdup(o->identity) : NULL };
        strcpy(out[i].sha256, o->sha256);
    }
    close_all(x);
    free(x);
    return rc;
}

void g4_fetched_clear(struct g4_fetched *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(f[i].path);
        free(f[i].identity);
    }
    free(f);
}
