/* hub/lane: one connection of a fetch: a ranged request, what its response must
 * say before a byte of it is kept, and what becomes of each way to fail. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/hash.h"
#include "hub/fetch_impl.h"

enum { REFUSAL_MAX = 64 << 10, PROGRESS_THAT_COUNTS = 256 << 10, RESOLVE_MAX = 2, RESTART_MAX = 2, PATIENCE = 5,
       RENEW_MAX = 8 }; /* logins without a byte between: all connections may use up what a short one allows */

/* Why this lane cannot go on; the first reason counts. */
static void stop(struct lane *l, enum verdict v, enum g4_hub_why why, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void stop(struct lane *l, enum verdict v, enum g4_hub_why why, const char *fmt, ...)
{
    char msg[sizeof l->err.msg];
    va_list ap;
    if (l->verdict) return;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    l->verdict = v;
    l->why = why;
    g4_fail(&l->err, G4_EIO, "%s", msg);
}

/* ---- what a response must say ------------------------------------------------------- */

/* "bytes A-B/TOTAL", where A-B or TOTAL may be an asterisk: -1. */
static bool content_range(const char *v, int64_t *a, int64_t *b, int64_t *total)
{
    char *end;
    *a = *b = *total = -1;
    if (!v || strncasecmp(v, "bytes ", 6)) return false;
    v += 6;
    if (*v == '*') {
        v++;
    } else {
        if (*v < '0' || *v > '9') return false;
        *a = strtoll(v, &end, 10);
        if (*end != '-' || end[1] < '0' || end[1] > '9') return false;
        *b = strtoll(end + 1, &end, 10);
        v = end;
    }
    if (*v++ != '/') return false;
    if (*v == '*') return v[1] == 0;
    if (*v < '0' || *v > '9') return false;
    *total = strtoll(v, &end, 10);
    return *end == 0;
}

/* The server's validator: another one on the same host means another file. */
static bool same_file(struct lane *l)
{
    struct job *j = l->job;
    bool strong = false;
    char *etag = g4_head_etag(&l->head, "ETag", &strong), *host = g4_url_origin(l->url);
    bool same = true;
    if (etag && strong && host) {
        if (j->part.etag && j->part.host && !strcmp(j->part.host, host)) {
            same = !strcmp(j->part.etag, etag);
        } else {
            free(j->part.etag);
            free(j->part.host);
            j->part.etag = etag;
            j->part.host = host;
            etag = host = NULL;
        }
    }
    free(etag);
    free(host);
    return same;
}

static void ask_restart(struct lane *l, bool as_stream, const char *why)
{
    struct job *j = l->job;
    if (!j->restart && ++j->restarts > RESTART_MAX) {
        stop(l, LANE_FATAL, G4_HUB_INTEGRITY, "'%s': %s, again and again", j->f->path, why);
        return;
    }
    if (!j->restart) g4_log(G4_LOG_INFO, "'%s': %s; beginning anew", j->f->path, why);
    j->restart = true;
    j->as_stream |= as_stream;
    stop(l, LANE_RESTART, G4_HUB_NETWORK, "%s", why);
}

static bool right_size(struct lane *l, int64_t total)
{
    const struct job *j = l->job;
    if (total < 0 || j->part.size < 0 || total == j->part.size) return true;
    stop(l, LANE_FATAL, G4_HUB_INTEGRITY, "'%s' has %" PRId64 " bytes on '%.100s', %" PRId64 " were announced", j->f->path, total, l->url,
         j->part.size);
    return false;
}

static void judge_range(struct lane *l)
{
    struct job *j = l->job;
    int64_t a, b, total;
    if (!content_range(g4_head_get(&l->head, "Content-Range"), &a, &b, &total) || a != (int64_t)l->at || b < a || b >= (int64_t)l->b) {
        j->one_piece = true;
        ask_restart(l, true, "the server sends another range than was asked for, so the file is fetched in one piece");
        return;
    }
    if (!same_file(l)) {
        ask_restart(l, false, "the file changed on the server");
        return;
    }
    if (!right_size(l, total)) return;
    if (j->state != JOB_PROBE) return;
    if (total < 0 && j->part.size < 0) {
        j->one_piece = true;
        ask_restart(l, true, "the server does not tell the size");
        return;
    }
    j->state = JOB_RANGED;
    g4_err err = {0};
    const uint64_t end = l->b;
    if (g4_job_size(l->x, j, total >= 0 ? total : j->part.size, &err)) stop(l, LANE_FATAL, l->x->h->why, "%s", err.msg);
    l->b = (uint64_t)b + 1;
    if (end > (uint64_t)j->part.size) return;
    g4_job_gap(j, l->b, end, 0, 0); /* it sent less than was asked for */
}

static void judge_whole(struct lane *l)
{
    struct job *j = l->job;
    const char *length = g4_head_get(&l->head, "Content-Length");
    const int64_t total = length ? strtoll(length, NULL, 10) : -1;
    if (l->if_range) {
        ask_restart(l, false, "the file changed on the server");
        return;
    }
    if (j->state != JOB_STREAM && (l->at || j->n_lane > 1 || j->part.done.n)) {
        ask_restart(l, true, "the server sends the whole file instead of a range");
        return;
    }
    if (!right_size(l, total) || (!same_file(l) && j->state != JOB_STREAM)) return;
    j->state = JOB_STREAM;
    j->n_gap = 0;
    g4_err err = {0};
    if (total >= 0 && j->part.size < 0 && g4_job_size(l->x, j, total, &err)) stop(l, LANE_FATAL, l->x->h->why, "%s", err.msg);
    j->n_gap = 0;
    l->b = j->part.size >= 0 ? (uint64_t)j->part.size : UINT64_MAX;
}

/* n bytes behind base64 text, as hex digits. */
static bool base64_hex(const char *p, size_t n, char *hex)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0, n_bit = 0;
    for (const char *at; *p && n && (at = strchr(digit, *p)); p++) {
        bits = bits << 6 | (uint32_t)(at - digit);
        n_bit += 6;
        if (n_bit < 8) continue;
        snprintf(hex, 3, "%02x", bits >> (n_bit -= 8) & 255);
        hex += 2;
        n--;
    }
    return !n;
}

/* Google's storage tells an object's CRC-32C, and its MD5 unless it was put together of parts:
 * x-goog-hash: crc32c=BASE64,md5=BASE64, in one line or in two. */
static void take_stored(struct lane *l)
{
    struct job *j = l->job;
    char hex[33];
    if (j->digest.kind != G4_DIGEST_STORED || *j->digest.hex) return;
    for (size_t i = 0; i < l->head.text.n;) {
        const char *key = l->head.text.p + i, *v = key + strlen(key) + 1, *md5 = strstr(v, "md5="), *crc = strstr(v, "crc32c=");
        i = (size_t)(v + strlen(v) + 1 - l->head.text.p);
        if (strcasecmp(key, "x-goog-hash")) continue;
        if (md5 && base64_hex(md5 + 4, 16, hex)) strcpy(j->digest.hex, hex);
        else if (crc && !*j->digest.hex && base64_hex(crc + 7, 4, hex)) strcpy(j->digest.hex, hex);
    }
}

/* The headers are in: may the body be kept? */
static void judge(struct lane *l)
{
    long status = 0;
    if (l->judged) return;
    l->judged = true;
    curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &status);
    l->refused = status != 206 && status != 200;
    if (l->refused) return;
    const char *coding = g4_head_get(&l->head, "Content-Encoding");
    if (coding && strcasecmp(coding, "identity")) {
        stop(l, LANE_FATAL, G4_HUB_NETWORK, "'%.150s' sends the file encoded as '%.20s', which was not asked for", l->url, coding);
        return;
    }
    take_stored(l);
    if (status == 206) judge_range(l);
    else judge_whole(l);
}

/* ---- libcurl's callbacks ---------------------------------------------------------------- */

static size_t on_head(char *p, size_t size, size_t n, void *arg)
{
    struct lane *l = arg;
    if (size * n > 5 && !strncmp(p, "HTTP/", 5)) l->judged = false;
    g4_head_take(&l->head, p, size * n);
    return size * n;
}

static bool keep(struct lane *l, const char *p, size_t n)
{
    struct job *j = l->job;
    const uint64_t begin = l->at;
    while (n) {
        const ssize_t w = pwrite(j->part.fd, p, n, (off_t)l->at);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) {
            const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
            stop(l, LANE_FATAL, full ? G4_HUB_SPACE : G4_HUB_IO, "cannot write '%s': %s%s", j->part.data, strerror(errno),
                 full ? " (what has arrived is kept: make room and pull again)" : "");
            break;
        }
        p += w;
        n -= (size_t)w;
        l->at += (uint64_t)w;
    }
    g4_ranges_add(&j->part.done, begin, l->at);
    g4_job_kept(j, l->at - begin);
    return !n;
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
    struct lane *l = arg;
    n *= size;
    judge(l);
    if (l->verdict) return 0;
    if (l->refused) {
        if (l->body.n + n > REFUSAL_MAX) return 0;
        g4_str_add(&l->body, p, n);
        return n;
    }
    /* The lane may have been cut short, or the server sends too much. */
    const size_t room = l->b - l->at < n ? (size_t)(l->b - l->at) : n;
    if (!keep(l, p, room)) return 0;
    return room == n ? n : 0;
}

/* ---- a request ------------------------------------------------------------------------------ */

static void add_header(struct lane *l, const char *name, const char *value)
{
    g4_str s = {0};
    g4_str_addf(&s, "%s: %s", name, value);
    l->list = curl_slist_append(l->list, s.p);
    g4_str_free(&s);
}

static void set_if_range(struct lane *l)
{
    const struct g4_part *p = &l->job->part;
    char *host = p->etag ? g4_url_origin(l->url) : NULL;
    l->if_range = host && p->host && !strcmp(host, p->host) && l->job->state != JOB_STREAM;
    if (l->if_range) {
        g4_str s = {0};
        g4_str_addf(&s, "\"%s\"", p->etag);
        add_header(l, "If-Range", s.p);
        g4_str_free(&s);
    }
    free(host);
}

static void set_range(struct lane *l)
{
    char range[48];
    if (l->job->state == JOB_STREAM) return;
    snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, l->at, l->b - 1);
    curl_easy_setopt(l->easy, CURLOPT_RANGE, range);
    set_if_range(l);
}

/* How many connections share the rate: a small file has fewer segments than that. */
static uint64_t expected_lanes(const struct job *j, uint32_t jobs)
{
    const uint64_t most = j->state == JOB_STREAM || j->part.size < 0 ? 1 : (uint64_t)j->part.size / SEGMENT_LAST + 1;
    return !jobs || most < jobs ? most : jobs;
}

static void send_request(struct lane *l)
{
    struct g4_hub *h = l->x->h;
    const char *auth = g4_auth_for(h, l->url);
    curl_slist_free_all(l->list);
    l->list = NULL;
    l->judged = l->refused = false;
    l->from = l->at;
    g4_str_clear(&l->head.text);
    g4_str_clear(&l->body);
    *l->curl_says = 0;
    curl_easy_reset(l->easy);
    g4_net_prepare(h, l->easy, l->url);
    curl_easy_setopt(l->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(l->easy, CURLOPT_BUFFERSIZE, h->p->rate ? 16L << 10 : 512L << 10); /* a limit counts whole buffers */
    curl_easy_setopt(l->easy, CURLOPT_ERRORBUFFER, l->curl_says);
    curl_easy_setopt(l->easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(l->easy, CURLOPT_HEADERDATA, l);
    curl_easy_setopt(l->easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(l->easy, CURLOPT_WRITEDATA, l);
    curl_easy_setopt(l->easy, CURLOPT_PRIVATE, l);
    if (h->p->rate) {
        const uint64_t share = h->p->rate / expected_lanes(l->job, h->p->jobs);
        curl_easy_setopt(l->easy, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)(share ? share : 1));
    }
    set_range(l);
    add_header(l, "Accept", "*/*");
    add_header(l, "Accept-Encoding", "identity");
    if (auth) add_header(l, "Authorization", auth);
    l->auth = auth ? g4_hash64(auth, strlen(auth), 0) | 1 : 0;
    curl_easy_setopt(l->easy, CURLOPT_HTTPHEADER, l->list);
    curl_multi_add_handle(h->multi, l->easy);
}

void g4_lane_start(struct fetch *x, struct lane *l, struct job *j, const struct gap *g)
{
    CURL *easy = l->easy ? l->easy : curl_easy_init();
    *l = (struct lane){ .x = x, .job = j, .easy = easy, .at = g->a, .b = g->b, .tries = g->tries, .head = l->head, .body = l->body };
    l->url = g4_strdup(j->direct ? j->direct : j->f->url);
    j->n_lane++;
    send_request(l);
}

/* The lane is idle again; the part of its range that is missing is a gap again. */
static void leave(struct lane *l, unsigned tries, double ready)
{
    struct job *j = l->job;
    curl_slist_free_all(l->list);
    l->list = NULL;
    free(l->url);
    l->url = NULL;
    l->job = NULL;
    j->n_lane--;
    if (l->at < l->b && !j->restart) g4_job_gap(j, l->at, l->b, tries, ready);
}

void g4_lane_drop(struct lane *l)
{
    curl_multi_remove_handle(l->x->h->multi, l->easy);
    leave(l, l->tries, 0);
}

/* ---- how it ended ------------------------------------------------------------------------------ */

/* A Hub's first answer says what lies behind its redirect. */
static void check_announced(struct lane *l)
{
    const struct g4_plan_file *f = l->job->f;
    const char *commit = g4_head_get(&l->head, "X-Repo-Commit"), *size = g4_head_get(&l->head, "X-Linked-Size");
    bool strong;
    char *etag = g4_head_etag(&l->head, "X-Linked-Etag", &strong);
    if (f->commit && commit && strcasecmp(commit, f->commit))
        stop(l, LANE_FATAL, G4_HUB_INTEGRITY, "'%s': the hub answers for commit %.40s instead of %.40s", f->path, commit, f->commit);
    if (size) right_size(l, strtoll(size, NULL, 10));
    if (etag && strlen(etag) == 64 && f->digest.kind == G4_DIGEST_SHA256 && strcasecmp(etag, f->digest.hex))
        stop(l, LANE_FATAL, G4_HUB_INTEGRITY, "'%s': the hub announces SHA-256 %s instead of %s", f->path, etag, f->digest.hex);
    free(etag);
}

/* True when the lane goes on at another address. */
static bool hop(struct lane *l)
{
    g4_err err = {0};
    check_announced(l);
    g4_net_warn(l->x->h, &l->head);
    if (l->verdict) return false;
    if (++l->hops > G4_HUB_HOPS) {
        stop(l, LANE_FATAL, G4_HUB_NETWORK, "'%.200s' redirects in circles", l->job->f->url);
        return false;
    }
    char *next = g4_net_redirect(l->x->h, l->easy, l->url, &err);
    if (!next) {
        stop(l, LANE_FATAL, l->x->h->why, "%s", err.msg);
        return false;
    }
    free(l->url);
    l->url = next;
    send_request(l);
    return true;
}

/* 416: a size that is not the expected one, or nothing to send. */
static void unsatisfiable(struct lane *l)
{
    struct job *j = l->job;
    int64_t a, b, total;
    g4_err err = {0};
    const bool told = content_range(g4_head_get(&l->head, "Content-Range"), &a, &b, &total) && total >= 0;
    if (told && !right_size(l, total)) return;
    if (told && !total && j->state == JOB_PROBE) { /* an empty file */
        j->state = JOB_RANGED;
        if (g4_job_size(l->x, j, 0, &err)) stop(l, LANE_FATAL, l->x->h->why, "%s", err.msg);
        l->b = l->at;
        j->n_gap = 0;
        return;
    }
    ask_restart(l, false, "the server knows no such range");
}

/* A signed address that is over: the next attempt begins at the source again.
 * Several connections find out at once; the first one counts. */
static bool expired(struct lane *l, long status)
{
    struct job *j = l->job;
    if (status != 400 && status != 401 && status != 403 && status != 404 && status != 410) return false;
    if (l->hops) return status == 403 && j->resolved++ < 1;
    if (!strcmp(l->url, j->f->url)) return false;
    if (j->direct && !strcmp(j->direct, l->url)) {
        free(j->direct);
        j->direct = NULL;
        return j->resolved++ < RESOLVE_MAX;
    }
    return true;
}

static void refused(struct lane *l, long status)
{
    struct job *j = l->job;
    struct g4_hub *h = l->x->h;
    g4_err err = {0};
    if (status == 416) {
        unsatisfiable(l);
        return;
    }
    if (expired(l, status)) {
        l->tries--;
        stop(l, LANE_RETRY, G4_HUB_NETWORK, "the address has expired");
        return;
    }
    /* Another connection may have renewed it meanwhile. */
    const char *auth = g4_auth_for(h, l->url);
    if (status == 401 && auth && l->auth && (g4_hash64(auth, strlen(auth), 0) | 1) != l->auth) {
        l->tries--;
        stop(l, LANE_RETRY, G4_HUB_GATED, "the login has expired");
        return;
    }
    if (status == 401 && h->renew && j->renewed++ < RENEW_MAX) {
        if (!h->renew(h, h->renew_arg, g4_head_get(&l->head, "WWW-Authenticate"), &err)) {
            l->tries--;
            stop(l, LANE_RETRY, G4_HUB_GATED, "the login has expired");
            return;
        }
        stop(l, LANE_FATAL, h->why, "%s", err.msg);
        return;
    }
    const bool again = g4_net_may_pass(CURLE_OK, status);
    const enum g4_hub_why before = h->why;
    h->why = G4_HUB_OK;
    g4_net_refused(h, j->f->path, status, &l->head, &l->body, &err);
    stop(l, again ? LANE_RETRY : LANE_FATAL, h->why, "%s", err.msg);
    if (again) h->why = before;
}

static void connection_failed(struct lane *l, CURLcode code)
{
    long connect = 0;
    const char *says = *l->curl_says ? l->curl_says : curl_easy_strerror(code);
    curl_easy_getinfo(l->easy, CURLINFO_HTTP_CONNECTCODE, &connect);
    if (connect == 407) stop(l, LANE_FATAL, G4_HUB_NETWORK, "%s", g4_net_proxy_login);
    stop(l, g4_net_may_pass(code, 0) ? LANE_RETRY : LANE_FATAL, G4_HUB_NETWORK, "'%.150s': %s", l->url, says);
}

/* Judges a transfer that brought all it could. */
static void conclude(struct lane *l, CURLcode code, long status)
{
    struct job *j = l->job;
    if (l->verdict) return;
    if (l->refused && !(code && code != CURLE_WRITE_ERROR && status < 400)) {
        refused(l, status);
        return;
    }
    if (!l->refused && l->b == UINT64_MAX && !code) { /* a stream without a length ends where it ends */
        g4_err err = {0};
        if (g4_job_size(l->x, j, (int64_t)l->at, &err)) stop(l, LANE_FATAL, l->x->h->why, "%s", err.msg);
        l->b = l->at;
        j->n_gap = 0;
    }
    if (!l->refused && l->at >= l->b && l->judged) return;
    if (code) connection_failed(l, code);
    else stop(l, LANE_RETRY, G4_HUB_NETWORK, "'%.150s' ended before the file did", l->url);
}

/* Another attempt later, or the end of the pull. */
static void again(struct lane *l, long status)
{
    struct job *j = l->job;
    struct g4_hub *h = l->x->h;
    const bool moved = l->at - l->from >= PROGRESS_THAT_COUNTS;
    const unsigned tries = moved ? 1 : l->tries + 1;
    if (moved) j->resolved = j->renewed = 0;
    if (tries >= h->p->retries) {
        g4_fetch_fail(l->x, l->why, &l->err);
        leave(l, tries, 0);
        return;
    }
    double delay = tries ? g4_net_delay(h, tries, l->easy, &l->head) : 0;
    if (delay > 0) g4_log(delay < PATIENCE ? G4_LOG_VERBOSE : G4_LOG_INFO, "%s; again in %.1f s", l->err.msg, delay);
    const double ready = g4_fetch_now() + delay;
    if (status == 429 || status == 503) j->pause = ready;
    if (j->state == JOB_STREAM) { /* nothing can be continued */
        j->restart = j->as_stream = true;
        j->restart_tries = tries;
        j->pause = ready;
    }
    leave(l, tries, ready);
}

void g4_lane_finish(struct lane *l, CURLcode code)
{
    struct job *j = l->job;
    long status = 0;
    curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(l->x->h->multi, l->easy);
    if (!code) judge(l);
    if (!l->verdict && l->refused && status >= 300 && status < 400 && status != 304 && hop(l)) return;
    conclude(l, code, status);
    if (l->verdict == LANE_FINE) {
        if (l->hops && strcmp(l->url, j->f->url)) {
            free(j->direct);
            j->direct = g4_strdup(l->url);
        }
        if (l->at > l->from) j->resolved = j->renewed = 0;
        leave(l, 0, 0);
    } else if (l->verdict == LANE_RETRY) {
        again(l, status);
    } else if (l->verdict == LANE_RESTART) {
        leave(l, 0, 0);
    } else {
        g4_fetch_fail(l->x, l->why, &l->err);
        leave(l, 0, 0);
    }
}
