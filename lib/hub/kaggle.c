/* hub/kaggle: OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION][/PATH] of Kaggle Models.
 * An archive, or one file of it, behind a redirect to storage that tells MD5 and CRC32C;
 * there is no SHA-256 to compare with, so the first pull's own is kept. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/archive.h"
#include "hub/impl.h"

static char *endpoint_of(void)
{
    const char *v = getenv("KAGGLE_API_ENDPOINT");
    char *e = g4_strdup(v && *v ? v : "https://www.kaggle.com");
    for (size_t n = strlen(e); n && e[n - 1] == '/'; n--) e[n - 1] = 0;
    return e;
}

static bool is_number(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)s[i])) return false;
    return n > 0 && n < 10;
}

/* The newest version of a variation. */
static int latest(struct g4_hub *h, const char *base, const char *handle, g4_str *version, g4_err *err)
{
    g4_str url = {0};
    struct g4_answer a = {0};
    g4_json top = {0};
    int64_t n;
    g4_str_addf(&url, "%s/api/v1/models/%s/get", base, handle);
    int rc = g4_net_call(h, &(struct g4_call){ .url = url.p, .accept = "application/json" }, &a, err);
    if (!rc && a.status != 200) rc = g4_net_refused(h, handle, a.status, &a.head, &a.body, err);
    if (!rc && (g4_json_check(a.body.p ? a.body.p : "", a.body.n, &top, NULL) || !g4_json_i64(g4_json_get(top, "versionNumber"), &n)))
        rc = g4_hub_fail(h, G4_HUB_NETWORK, err, "Kaggle does not tell the version of '%s'; name it: %s/VERSION", handle, handle);
    if (!rc) g4_str_addf(version, "%lld", (long long)n);
    g4_str_free(&url);
    g4_answer_clear(&a);
    return rc;
}

static void add_file(struct g4_plan *plan, const char *base, const char *handle, const char *version, const char *inner)
{
    g4_str url = {0};
    const char *name = inner ? inner : "model.tar.gz";
    struct g4_plan_file *f = g4_plan_add(plan, strrchr(name, '/') ? strrchr(name, '/') + 1 : name, G4_ROLE_MODEL);
    g4_str_addf(&url, "%s/api/v1/models/%s/%s/download", base, handle, version);
    if (inner) {
        g4_str_addc(&url, '/');
        g4_url_escape(&url, inner, "/");
    }
    f->url = g4_str_take(&url);
    g4_str_addf(&url, "kaggle:%s/%s%s%s", handle, version, inner ? "/" : "", inner ? inner : "");
    f->identity = g4_str_take(&url); /* a version's files do not change */
    f->archive = !inner || g4_archive_name(inner);
    f->digest.kind = G4_DIGEST_STORED;
}

int g4_resolve_kaggle(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    const char *p = ref;
    for (int i = 0; i < 4 && p; i++) {
        const size_t n = strcspn(p, "/");
        if (!n) p = NULL;
        else if (i < 3) p = p[n] ? p + n + 1 : NULL;
        else p += n;
    }
    if (!p || !g4_path_is_safe(ref))
        return g4_hub_fail(h, G4_HUB_USAGE, err, "'%s' is not OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION][/PATH]", ref);
    char *base = endpoint_of(), *handle = g4_strndup(ref, (size_t)(p - ref)), *auth = g4_auth_kaggle();
    g4_str version = {0};
    int rc = g4_url_allowed(h, base, NULL, err);
    if (*p == '/') p++;
    if (auth) g4_auth_set(h, base, auth);
    const size_t n = strcspn(p, "/");
    if (is_number(p, n)) {
        g4_str_add(&version, p, n);
        p += n + (p[n] == '/');
    } else if (!rc) {
        rc = latest(h, base, handle, &version, err);
    }
    if (!rc) {
        add_file(plan, base, handle, version.p, *p ? p : NULL);
        g4_str s = {0};
        g4_str_addf(&s, "kaggle:%s", ref);
        plan->name = g4_strdup(s.p);
        plan->source = g4_str_take(&s);
    }
    free(auth);
    free(handle);
    free(base);
    g4_str_free(&version);
    return rc;
}
