/* hub/net: libcurl as the hub uses it: redirects by hand, secrets for one origin
 * only, small requests with repetition.  See impl.h. */
#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "hub/impl.h"

enum { CONNECT_MS = 15000, CALL_S = 60, DELAY_MAX = 30, RETRY_AFTER_MAX = 600, PATIENCE = 5, CLEAN_MAX = 500, UNREACHED_MAX = 2 };

const char g4_net_proxy_login[] = "the proxy wants a user name and a password (--proxy http://USER:PASSWORD@HOST)";
static const char agent[] = "g4-pull/" G4_VERSION;

int g4_hub_fail(struct g4_hub *h, enum g4_hub_why why, g4_err *err, const char *fmt, ...)
{
    static const int code[] = { G4_EIO, G4_EUSAGE, G4_EMODEL, G4_EMODEL, G4_EFORMAT, G4_EFORMAT, G4_EIO, G4_EIO, G4_EIO, G4_EIO };
    char msg[sizeof err->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    if (!h->why) h->why = why;
    return g4_fail(err, code[why], "%s", msg);
}

/* ---- addresses ------------------------------------------------------------------------ */

static char *url_part(const char *url, CURLUPart part, unsigned flags)
{
    CURLU *u = curl_url();
    char *got = NULL, *mine = NULL;
    if (u && !curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) && !curl_url_get(u, part, &got, flags)) mine = g4_strdup(got);
    curl_free(got);
    curl_url_cleanup(u);
    return mine;
}

static void lower(char *s)
{
    for (; s && *s; s++) *s = (char)tolower((unsigned char)*s);
}

char *g4_url_origin(const char *url)
{
    char *scheme = url_part(url, CURLUPART_SCHEME, 0), *host = url_part(url, CURLUPART_HOST, 0);
    char *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    g4_str s = {0};
    if (scheme && host && port) g4_str_addf(&s, "%s://%s:%s", scheme, host, port);
    lower(s.p);
    free(scheme);
    free(host);
    free(port);
    return s.p;
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    if (!host) return false;
    if (!strcasecmp(host, "localhost") || !strcmp(host, "[::1]")) return true;
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

int g4_url_allowed(struct g4_hub *h, const char *url, const char *from, g4_err *err)
{
    char *scheme = url_part(url, CURLUPART_SCHEME, 0), *host = url_part(url, CURLUPART_HOST, 0);
    char *before = from ? url_part(from, CURLUPART_SCHEME, 0) : NULL;
    int rc = 0;
    lower(scheme);
    const bool http = scheme && !strcmp(scheme, "http");
    if (!scheme || !host || (!http && strcmp(scheme, "https")))
        rc = g4_hub_fail(h, from ? G4_HUB_NETWORK : G4_HUB_USAGE, err, "'%.200s'%s is not an https address", url, from ? ", where the server sends us," : "");
    else if (http && before && !strcasecmp(before, "https") && !h->p->insecure_http)
        rc = g4_hub_fail(h, G4_HUB_NETWORK, err, "the server sends us from https to plain http, '%.200s': refused", url);
    else if (http && !is_loopback(host) && !h->p->insecure_http)
        rc = g4_hub_fail(h, from ? G4_HUB_NETWORK : G4_HUB_USAGE, err, "'%.200s' is plain http to another machine (--insecure-http allows it)", url);
    free(scheme);
    free(host);
    free(before);
    return rc;
}

char *g4_url_join(const char *base, const char *url)
{
    CURLU *u = curl_url();
    char *got = NULL, *mine = NULL;
    if (u && !curl_url_set(u, CURLUPART_URL, base, CURLU_NON_SUPPORT_SCHEME) && !curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) &&
        !curl_url_get(u, CURLUPART_URL, &got, 0))
        mine = g4_strdup(got);
    curl_free(got);
    curl_url_cleanup(u);
    return mine;
}

char *g4_url_login(struct g4_hub *h, const char *url)
{
    char *user = url_part(url, CURLUPART_USER, CURLU_URLDECODE), *password = url_part(url, CURLUPART_PASSWORD, CURLU_URLDECODE);
    if (!user) {
        free(password);
        return g4_strdup(url);
    }
    char *basic = g4_auth_basic(user, password ? password : ""), *plain = NULL, *got = NULL;
    CURLU *u = curl_url();
    curl_url_set(u, CURLUPART_URL, url, 0);
    curl_url_set(u, CURLUPART_USER, NULL, 0);
    curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
    if (!curl_url_get(u, CURLUPART_URL, &got, 0)) plain = g4_strdup(got);
    curl_free(got);
    curl_url_cleanup(u);
    if (plain) g4_auth_set(h, plain, basic);
    free(basic);
    free(user);
    free(password);
    return plain ? plain : g4_strdup("");
}

char *g4_url_base(const char *host)
{
    g4_str s = {0};
    char *name = g4_strndup(host, *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":"));
    g4_str_addf(&s, "%s://%s", is_loopback(name) ? "http" : "https", host);
    free(name);
    return g4_str_take(&s);
}

void g4_url_escape(g4_str *out, const char *text, const char *also)
{
    for (const char *p = text; *p; p++)
        if (isalnum((unsigned char)*p) || strchr("-._~", *p) || strchr(also, *p)) g4_str_addc(out, *p);
        else g4_str_addf(out, "%%%02X", (unsigned char)*p);
}

void g4_hub_clean(g4_str *s)
{
    size_t k = 0;
    for (size_t i = 0; i < s->n && k < CLEAN_MAX; i++)
        if ((unsigned char)s->p[i] >= 32 && s->p[i] != 127) s->p[k++] = s->p[i];
    if (s->p) s->p[s->n = k] = 0;
}

/* ---- headers ---------------------------------------------------------------------------- */

void g4_head_take(struct g4_head *h, const char *line, size_t n)
{
    if (n > 5 && !strncmp(line, "HTTP/", 5)) {
        g4_str_clear(&h->text);
        return;
    }
    const char *colon = memchr(line, ':', n);
    if (!colon || h->text.n + n > G4_HUB_HEAD_MAX || memchr(line, 0, n)) return;
    const char *v = colon + 1, *end = line + n;
    while (v < end && (*v == ' ' || *v == '\t')) v++;
    while (end > v && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ')) end--;
    g4_str_add(&h->text, line, (size_t)(colon - line));
    g4_str_addc(&h->text, 0);
    g4_str_add(&h->text, v, (size_t)(end - v));
    g4_str_addc(&h->text, 0);
}

const char *g4_head_get(const struct g4_head *h, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < h->text.n;) {
        const char *key = h->text.p + i, *value = key + strlen(key) + 1;
        if (!strcasecmp(key, name)) found = value;
        i = (size_t)(value + strlen(value) + 1 - h->text.p);
    }
    return found;
}

char *g4_head_etag(const struct g4_head *h, const char *name, bool *strong)
{
    const char *v = g4_head_get(h, name);
    if (!v) return NULL;
    *strong = strncmp(v, "W/", 2) != 0;
    if (!*strong) v += 2;
    size_t n = strlen(v);
    if (n >= 2 && v[0] == '"' && v[n - 1] == '"') {
        v++;
        n -= 2;
    }
    return n && n < 512 && !memchr(v, '"', n) ? g4_strndup(v, n) : NULL;
}

/* ---- Authorization ---------------------------------------------------------------------- */

void g4_auth_set(struct g4_hub *h, const char *url, const char *value)
{
    char *origin = g4_url_origin(url);
    if (!origin) return;
    for (size_t i = 0; i < h->n_auth; i++)
        if (!strcmp(h->auth[i].origin, origin)) {
            free(h->auth[i].value);
            h->auth[i].value = value ? g4_strdup(value) : NULL;
            free(origin);
            return;
        }
    G4_GROW(h->auth, h->cap_auth, h->n_auth + 1);
    h->auth[h->n_auth++] = (struct g4_auth){ origin, value ? g4_strdup(value) : NULL };
}

const char *g4_auth_for(const struct g4_hub *h, const char *url)
{
    char *origin = h->n_auth ? g4_url_origin(url) : NULL;
    const char *value = NULL;
    for (size_t i = 0; origin && i < h->n_auth; i++)
        if (!strcmp(h->auth[i].origin, origin)) value = h->auth[i].value;
    free(origin);
    return value;
}

/* ---- handles ------------------------------------------------------------------------------ */

/* netrc entries are matched by host name alone, so they are for https only. */
static void set_netrc(const struct g4_hub *h, CURL *easy, const char *url)
{
    const bool use = h->netrc && !strncasecmp(url, "https://", 8) && !g4_auth_for(h, url);
    curl_easy_setopt(easy, CURLOPT_NETRC, use ? (long)CURL_NETRC_OPTIONAL : (long)CURL_NETRC_IGNORED);
    if (use) curl_easy_setopt(easy, CURLOPT_NETRC_FILE, h->netrc);
}

void g4_net_prepare(struct g4_hub *h, CURL *easy, const char *url)
{
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1024L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)ceil(h->p->stall));
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, agent);
    curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    if (h->cafile) curl_easy_setopt(easy, CURLOPT_CAINFO, h->cafile);
    if (h->p->proxy) curl_easy_setopt(easy, CURLOPT_PROXY, h->p->proxy);
    set_netrc(h, easy, url);
}

static char *first_file(const char *const *var, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *v = getenv(var[i]);
        if (v && *v && g4_file_exists(v)) return g4_strdup(v);
    }
    return NULL;
}

static int open_netrc(struct g4_hub *h, g4_err *err)
{
    const char *v = getenv("NETRC");
    struct stat st;
    h->netrc = v && *v ? g4_strdup(v) : g4_xdg_path(NULL, ".netrc", NULL);
    if (!h->netrc || stat(h->netrc, &st)) return g4_hub_fail(h, G4_HUB_USAGE, err, "--netrc: no file '%s'", h->netrc ? h->netrc : "~/.netrc");
    if (st.st_mode & 077)
        return g4_hub_fail(h, G4_HUB_USAGE, err, "'%s' can be read by others: refused (chmod 600 mends it)", h->netrc);
    return 0;
}

int g4_net_open(struct g4_hub *h, g4_err *err)
{
    static const char *const ca[] = { "CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE" };
    static bool begun;
    if (!begun && curl_global_init(CURL_GLOBAL_DEFAULT)) return g4_hub_fail(h, G4_HUB_NETWORK, err, "libcurl does not start");
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    if (!begun) g4_log(G4_LOG_DEBUG, "libcurl %s, %s", v->version, v->ssl_version ? v->ssl_version : "without TLS");
    if (!(v->features & CURL_VERSION_SSL)) return g4_hub_fail(h, G4_HUB_NETWORK, err, "this machine's libcurl has no TLS, and so no https");
    begun = true;
    h->multi = curl_multi_init();
    h->api = curl_easy_init();
    h->random = g4_hash_seed();
    if (!h->multi || !h->api) return g4_hub_fail(h, G4_HUB_NETWORK, err, "libcurl does not start");
    curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 16L);
    h->cafile = h->p->cafile ? g4_strdup(h->p->cafile) : first_file(ca, 3);
    if (h->p->cafile && !g4_file_exists(h->p->cafile)) return g4_hub_fail(h, G4_HUB_USAGE, err, "--cacert: no file '%s'", h->p->cafile);
    return h->p->netrc ? open_netrc(h, err) : 0;
}

void g4_net_close(struct g4_hub *h)
{
    if (h->api) curl_easy_cleanup(h->api);
    if (h->multi) curl_multi_cleanup(h->multi);
    for (size_t i = 0; i < h->n_auth; i++) {
        free(h->auth[i].origin);
        free(h->auth[i].value);
    }
    free(h->auth);
    free(h->renew_arg);
    free(h->cafile);
    free(h->netrc);
    g4_str_free(&h->warned);
}

/* ---- repetition ------------------------------------------------------------------------------ */

bool g4_net_may_pass(CURLcode code, long status)
{
    switch (code) {
    case CURLE_OK: return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_WRITE_ERROR: return false;
    default: return true;
    }
}

/* RateLimit: "resolvers";r=0;t=55 */
static double rate_limit(const struct g4_head *head)
{
    const char *v = head ? g4_head_get(head, "RateLimit") : NULL, *t = v ? strstr(v, ";t=") : NULL;
    return t ? atof(t + 3) : 0;
}

double g4_net_delay(struct g4_hub *h, unsigned tries, CURL *easy, const struct g4_head *head)
{
    curl_off_t told = 0;
    if (easy) curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &told);
    double t = told > 0 ? (double)told : rate_limit(head);
    if (t > 0) return t < RETRY_AFTER_MAX ? t : RETRY_AFTER_MAX;
    t = h->p->retry_delay * ldexp(1, (int)(tries < 20 ? tries : 20) - 1);
    if (t > DELAY_MAX) t = DELAY_MAX;
    h->random = g4_mix64(h->random + 0x9e3779b97f4a7c15u);
    return t * (double)(h->random >> 11) * 0x1p-53;
}

void g4_net_sleep(double seconds)
{
    struct timespec t = { .tv_sec = (time_t)seconds };
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    while (nanosleep(&t, &t)) {}
}

char *g4_net_redirect(struct g4_hub *h, CURL *easy, const char *from, g4_err *err)
{
    char *to = NULL;
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &to);
    if (!to) {
        g4_hub_fail(h, G4_HUB_NETWORK, err, "'%.200s' redirects to nowhere", from);
        return NULL;
    }
    return g4_url_allowed(h, to, from, err) ? NULL : g4_strdup(to);
}

void g4_net_warn(struct g4_hub *h, const struct g4_head *head)
{
    const char *v = g4_head_get(head, "X-HF-Warning");
    if (!v) return;
    g4_str s = {0}, topic = {0};
    g4_str_adds(&s, v);
    g4_hub_clean(&s);
    g4_str_addf(&topic, "\n%.*s\n", (int)strcspn(s.p, ";"), s.p);
    if (!h->warned.p || !strstr(h->warned.p, topic.p)) {
        g4_log(G4_LOG_WARN, "the hub says: %s", s.p);
        g4_str_adds(&h->warned, topic.p);
    }
    g4_str_free(&s);
    g4_str_free(&topic);
}

/* ---- small requests ---------------------------------------------------------------------------- */

struct reading {
    struct g4_answer *a;
    size_t max;
    bool over;
};

static size_t on_head(char *p, size_t size, size_t n, void *arg)
{
    struct reading *r = arg;
    g4_head_take(&r->a->head, p, size * n);
    return size * n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct reading *r = arg;
    n *= size;
    if (r->a->body.n + n > r->max) {
        r->over = true;
        return 0;
    }
    g4_str_add(&r->a->body, p, n);
    return n;
}

/* One exchange, redirects left alone. */
static CURLcode perform(struct g4_hub *h, const struct g4_call *c, struct reading *r, char *why)
{
    struct curl_slist *list = NULL;
    CURL *easy = h->api;
    const char *auth = g4_auth_for(h, r->a->url);
    g4_str s = {0};
    curl_easy_reset(easy);
    g4_net_prepare(h, easy, r->a->url);
    g4_str_addf(&s, "Accept: %s", c->accept ? c->accept : "*/*");
    list = curl_slist_append(list, s.p);
    list = curl_slist_append(list, "Accept-Encoding: identity");
    if (auth) {
        g4_str_clear(&s);
        g4_str_addf(&s, "Authorization: %s", auth);
        list = curl_slist_append(list, s.p);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)CALL_S);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, 0L); /* a server may have to think */
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    if (c->agent) curl_easy_setopt(easy, CURLOPT_USERAGENT, c->agent);
    if (c->head) curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    g4_str_clear(&r->a->body);
    g4_str_clear(&r->a->head.text);
    const CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &r->a->status);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(list);
    g4_str_free(&s);
    return code;
}

static bool is_absolute(const char *location)
{
    return location && strstr(location, "://") && strcspn(location, ":/?#") == (size_t)(strchr(location, ':') - location);
}

/* Follows redirects; *done: the answer is there. */
static CURLcode walk(struct g4_hub *h, const struct g4_call *c, struct reading *r, char *why, g4_err *err)
{
    for (unsigned hop = 0; hop <= G4_HUB_HOPS; hop++) {
        const CURLcode code = perform(h, c, r, why);
        if (code) return code;
        g4_net_warn(h, &r->a->head);
        const long s = r->a->status;
        if (s < 300 || s >= 400 || s == 304) return CURLE_OK;
        if (c->stay && is_absolute(g4_head_get(&r->a->head, "Location"))) return CURLE_OK;
        char *next = g4_net_redirect(h, h->api, r->a->url, err);
        if (!next) return CURLE_OK;
        free(r->a->url);
        r->a->url = next;
    }
    g4_hub_fail(h, G4_HUB_NETWORK, err, "'%.200s' redirects in circles", c->url);
    return CURLE_OK;
}

static int network_failed(struct g4_hub *h, const struct g4_answer *a, CURLcode code, const char *why, g4_err *err)
{
    long connect = 0;
    curl_easy_getinfo(h->api, CURLINFO_HTTP_CONNECTCODE, &connect);
    if (connect == 407 || a->status == 407) return g4_hub_fail(h, G4_HUB_NETWORK, err, "%s", g4_net_proxy_login);
    if (code) return g4_hub_fail(h, G4_HUB_NETWORK, err, "cannot reach '%.200s': %s", a->url, *why ? why : curl_easy_strerror(code));
    return g4_hub_fail(h, G4_HUB_NETWORK, err, "'%.200s' answers with status %ld%s", a->url, a->status,
                       a->status == 429 ? ": too many requests, try again later" : "");
}

/* How often a small request is made.  While nobody at all has answered, a machine
 * without a network is likelier than one of many hiccups: its user waits. */
static uint32_t attempts(const struct g4_hub *h, CURLcode code)
{
    const bool nobody = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_CONNECT;
    return nobody && !h->reached && h->p->retries > UNREACHED_MAX ? UNREACHED_MAX : h->p->retries;
}

int g4_net_call(struct g4_hub *h, const struct g4_call *c, struct g4_answer *a, g4_err *err)
{
    struct reading r = { .a = a, .max = c->max ? c->max : G4_HUB_BODY_MAX };
    char why[CURL_ERROR_SIZE];
    if (h->p->offline) return g4_hub_fail(h, G4_HUB_OFFLINE, err, "offline: '%.200s' is not asked", c->url);
    int rc = g4_url_allowed(h, c->url, NULL, err);
    for (unsigned tries = 1; !rc; tries++) {
        g4_err walked = {0};
        free(a->url);
        a->url = g4_strdup(c->url);
        a->status = 0;
        *why = 0;
        const CURLcode code = walk(h, c, &r, why, &walked);
        h->reached |= a->status > 0;
        if (walked.code) rc = g4_fail(err, walked.code, "%s", walked.msg);
        else if (r.over) rc = g4_hub_fail(h, G4_HUB_NETWORK, err, "the answer of '%.200s' is larger than %zu bytes", a->url, r.max);
        else if (!g4_net_may_pass(code, a->status)) {
            if (!code) return 0;
            rc = network_failed(h, a, code, why, err);
        } else if (tries >= attempts(h, code) || c->quiet) {
            if (c->quiet) {
                a->status = 0;
                return 0;
            }
            rc = network_failed(h, a, code, why, err);
        } else {
            const double delay = g4_net_delay(h, tries, h->api, &a->head);
            g4_log(delay < PATIENCE ? G4_LOG_VERBOSE : G4_LOG_INFO, "'%.200s': %s, again in %.1f s", a->url, code ? curl_easy_strerror(code) : "the server is busy", delay);
            g4_net_sleep(delay);
        }
    }
    return rc;
}

void g4_answer_clear(struct g4_answer *a)
{
    g4_str_free(&a->head.text);
    g4_str_free(&a->body);
    free(a->url);
    *a = (struct g4_answer){0};
}

/* ---- statuses as messages ------------------------------------------------------------------------- */

/* X-Error-Message, else the body's "error" (a text, or a registry's list). */
static void server_says(const struct g4_head *head, const g4_str *body, g4_str *out)
{
    const char *v = g4_head_get(head, "X-Error-Message");
    g4_json top = {0}, e;
    if (v) {
        g4_str_adds(out, v);
    } else if (body && body->n && !g4_json_check(body->p, body->n, &top, NULL)) {
        e = g4_json_get(top, "error");
        if (g4_json_type(e) != G4_JSON_STRING) e = g4_json_get(g4_json_at(g4_json_get(top, "errors"), 0), "message");
        if (g4_json_type(e) == G4_JSON_STRING) g4_json_str(e, out);
    }
    g4_hub_clean(out);
    if (out->n > 200) out->p[out->n = 200] = 0;
}

int g4_net_refused(struct g4_hub *h, const char *what, long status, const struct g4_head *head, const g4_str *body, g4_err *err)
{
    g4_str said = {0};
    const char *code = g4_head_get(head, "X-Error-Code");
    const char *id = g4_head_get(head, "X-Request-Id");
    server_says(head, body, &said);
    if (id) g4_log(G4_LOG_VERBOSE, "'%s': the server calls this request %.80s", what, id);
    const char *sep = said.n ? ": " : "", *text = said.n ? said.p : "";
    int rc;
    if (code && !strcmp(code, "GatedRepo"))
        rc = g4_hub_fail(h, G4_HUB_GATED, err, "'%s' is gated: accept its licence on its page, then give a token in HF_TOKEN%s%s", what, sep, text);
    else if (code && !strcmp(code, "RevisionNotFound"))
        rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' has no such revision%s%s", what, sep, text);
    else if (code && !strcmp(code, "EntryNotFound"))
        rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s': there is no such file%s%s", what, sep, text);
    else if (status == 401 && said.n && strstr(said.p, "Invalid credentials"))
        rc = g4_hub_fail(h, G4_HUB_GATED, err, "'%s': the token is not valid (HF_TOKEN, --token-file)", what);
    else if (status == 401 || (code && !strcmp(code, "RepoNotFound")))
        rc = g4_hub_fail(h, code ? G4_HUB_NOT_FOUND : G4_HUB_GATED, err, "'%s' is not found, or needs a login%s%s", what, sep, text);
    else if (status == 403)
        rc = g4_hub_fail(h, G4_HUB_GATED, err, "'%s' may not be fetched%s%s", what, sep, text);
    else if (status == 407)
        rc = g4_hub_fail(h, G4_HUB_NETWORK, err, "%s", g4_net_proxy_login);
    else if (status == 404 || status == 410)
        rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' is not found%s%s", what, sep, text);
    else
        rc = g4_hub_fail(h, G4_HUB_NETWORK, err, "'%s': the server answers with status %ld%s%s", what, status, sep, text);
    g4_str_free(&said);
    return rc;
}
