/* hub/impl: what the files of the hub share: the pull in hand, and the network
 * below it (net.c). */
#ifndef G4_HUB_IMPL_H
#define G4_HUB_IMPL_H

#include <curl/curl.h>

#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "hub/hub.h"
#include "hub/plan.h"

enum { G4_HUB_HOPS = 10, G4_HUB_BODY_MAX = 16 << 20, G4_HUB_HEAD_MAX = 64 << 10 };

struct g4_auth { /* what is sent in Authorization, and to whom alone */
    char *origin, *value;
};

struct g4_hub {
    const struct g4_hub_params *p;
    enum g4_hub_why why;       /* of the first failure */
    char *root;                /* of the store */
    CURLM *multi;
    CURL *api;                 /* for small requests: keeps its connection */
    bool reached;              /* some server has answered */
    char *cafile, *netrc;
    struct g4_auth *auth;
    size_t n_auth, cap_auth;
    /* Renews the Authorization after a 401, by what its challenge says; NULL: cannot. */
    int (*renew)(struct g4_hub *h, void *arg, const char *challenge, g4_err *err);
    void *renew_arg;           /* freed with the pull */
    g4_str warned;             /* topics of X-HF-Warning that were said */
    uint64_t random;
};

/* Fails with the code that fits `why`, which is remembered. */
int g4_hub_fail(struct g4_hub *h, enum g4_hub_why why, g4_err *err, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* ---- addresses ---------------------------------------------------------------------- */

/* "scheme://host:port" in lower case with the port spelt out; NULL when url has none.  Caller frees. */
char *g4_url_origin(const char *url);
/* May this be asked for?  https always; http on loopback or when the user said so; `from` (NULL: typed by
 * the user) is the address that redirects there. */
int g4_url_allowed(struct g4_hub *h, const char *url, const char *from, g4_err *err);
/* Percent-encodes all but letters, digits, "-._~" and the characters in `also`. */
void g4_url_escape(g4_str *out, const char *text, const char *also);
/* Where url leads, seen from base.  NULL: nowhere.  Caller frees. */
char *g4_url_join(const char *base, const char *url);
/* url without a user name and a password, which become the Authorization of its origin.  Caller frees. */
char *g4_url_login(struct g4_hub *h, const char *url);
/* Plain http for a machine's own ports, https for everybody else: "https://HOST".  Caller frees. */
char *g4_url_base(const char *host);
/* Control characters and bytes above 500 of a foreign text are dropped. */
void g4_hub_clean(g4_str *s);

/* ---- Authorization ------------------------------------------------------------------- */

void g4_auth_set(struct g4_hub *h, const char *url, const char *value);
const char *g4_auth_for(const struct g4_hub *h, const char *url); /* NULL: none */
/* "Basic " and base64 of user:password.  Caller frees. */
char *g4_auth_basic(const char *user, const char *password);
/* The Hub's token from option, environment or file, NULL when there is none.  Caller frees. */
char *g4_auth_hub_token(struct g4_hub *h, g4_err *err);
/* The value for a registry's host from the container tools' files, NULL when there is none.  Caller frees. */
char *g4_auth_registry(const char *host);
/* Kaggle's, as above. */
char *g4_auth_kaggle(void);
/* Reads at most 1 MiB of a secrets file; NULL when it is absent.  Caller frees. */
char *g4_auth_read(const char *path);

/* ---- small requests --------------------------------------------------------------------- */

struct g4_head { /* headers of one response: name NUL value NUL ... */
    g4_str text;
};

const char *g4_head_get(const struct g4_head *h, const char *name); /* NULL: absent; the last one counts */
/* Takes one line of libcurl's header callback; a status line empties it. */
void g4_head_take(struct g4_head *h, const char *line, size_t n);
/* The value of ETag without quotes; *strong: not W/.  NULL when absent.  Caller frees. */
char *g4_head_etag(const struct g4_head *h, const char *name, bool *strong);

struct g4_call {
    const char *url, *accept, *agent; /* agent NULL: g4-pull's */
    bool head;   /* HEAD instead of GET */
    bool stay;   /* absolute redirects are not followed: they are the answer */
    bool quiet;  /* a missing page or a network failure is an answer too: status 0 */
    size_t max;  /* most bytes of the body (0: G4_HUB_BODY_MAX) */
};

struct g4_answer { /* cleared by g4_answer_clear; {0} before */
    long status;
    struct g4_head head;
    g4_str body;
    char *url; /* after redirects */
};

/* Retries what may pass.  G4_OK with any status below 500 except 408 and 429, which count as failures
 * when they last; otherwise the code of a network failure. */
int g4_net_call(struct g4_hub *h, const struct g4_call *c, struct g4_answer *a, g4_err *err);
void g4_answer_clear(struct g4_answer *a);

/* What all handles have in common; url must be allowed. */
void g4_net_prepare(struct g4_hub *h, CURL *easy, const char *url);
/* Seconds before attempt `tries` (1: the first repetition): what the server said, else 2^n with full jitter. */
double g4_net_delay(struct g4_hub *h, unsigned tries, CURL *easy, const struct g4_head *head);
bool g4_net_may_pass(CURLcode code, long status); /* is another attempt worth it? */
void g4_net_sleep(double seconds);
/* Where a 3xx leads, checked; NULL with err.  Caller frees. */
char *g4_net_redirect(struct g4_hub *h, CURL *easy, const char *from, g4_err *err);
/* Says a Hub's warning once. */
void g4_net_warn(struct g4_hub *h, const struct g4_head *head);
/* A status as a failure: 401, 403, 404 and so on, with what the server says about it. */
int g4_net_refused(struct g4_hub *h, const char *what, long status, const struct g4_head *head, const g4_str *body, g4_err *err);

extern const char g4_net_proxy_login[]; /* what a 407 means */

int g4_net_open(struct g4_hub *h, g4_err *err);
void g4_net_close(struct g4_hub *h);

/* ---- the sources: reference to plan --------------------------------------------------------- */

int g4_hub_resolve(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err); /* resolve.c */
int g4_resolve_hf(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err);
int g4_resolve_ollama(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err);
int g4_resolve_oci(struct g4_hub *h, const char *ref, bool docker, struct g4_plan *plan, g4_err *err);
int g4_resolve_kaggle(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err);
int g4_resolve_pypi(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err);
int g4_resolve_url(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err);
int g4_resolve_path(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err);
int g4_resolve_stdin(struct g4_hub *h, struct g4_plan *plan, g4_err *err);
/* Manifest of an image-style registry into files (registry.c).  base: "https://HOST", name: "NS/MODEL". */
int g4_registry_plan(struct g4_hub *h, const char *base, const char *name, const char *ref, const char *agent, struct g4_plan *plan,
                     g4_err *err);

/* The role that a path has by its name. */
enum g4_role g4_role_of(const char *path);
/* A relative path of harmless components; what archives, annotations and listings name. */
bool g4_path_is_safe(const char *path);

#endif
