/* hub/direct: plain addresses, files of this machine, standard input. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/archive.h"
#include "hub/impl.h"

/* The last component of a path, decoded; NULL when nothing usable is left. */
static char *name_of(const char *path, size_t n)
{
    g4_str s = {0};
    size_t begin = n;
    while (begin && path[begin - 1] != '/') begin--;
    for (size_t i = begin; i < n; i++) {
        unsigned v;
        if (path[i] == '%' && i + 2 < n && sscanf(path + i + 1, "%2x", &v) == 1) {
            g4_str_addc(&s, (char)v);
            i += 2;
        } else {
            g4_str_addc(&s, path[i]);
        }
    }
    if (s.n && !memchr(s.p, 0, s.n) && !memchr(s.p, '/', s.n) && g4_path_is_safe(s.p)) return g4_str_take(&s);
    g4_str_free(&s);
    return NULL;
}

/* filename="..." of Content-Disposition. */
static char *disposition(const struct g4_head *head)
{
    const char *v = g4_head_get(head, "Content-Disposition"), *p = v ? strstr(v, "filename=") : NULL;
    if (!p) return NULL;
    p += 9;
    return *p == '"' ? name_of(p + 1, strcspn(p + 1, "\"")) : name_of(p, strcspn(p, "; "));
}

/* What a HEAD says of the file; servers that refuse it are asked by the fetch itself. */
static int look(struct g4_hub *h, struct g4_plan_file *f, char **name, g4_err *err)
{
    struct g4_answer a = {0};
    int rc = g4_net_call(h, &(struct g4_call){ .url = f->url, .head = true }, &a, err);
    if (!rc && (a.status == 404 || a.status == 410 || a.status == 401)) rc = g4_net_refused(h, f->url, a.status, &a.head, NULL, err);
    if (!rc && a.status >= 200 && a.status < 300) {
        bool strong = false;
        char *etag = g4_head_etag(&a.head, "ETag", &strong);
        const char *size = g4_head_get(&a.head, "Content-Length");
        if (size && *size >= '0' && *size <= '9' && !g4_head_get(&a.head, "Content-Encoding")) f->size = strtoll(size, NULL, 10);
        if (etag && strong && !f->identity) {
            g4_str id = {0};
            g4_str_addf(&id, "etag:%s:%s", f->url, etag);
            f->identity = g4_str_take(&id);
        }
        if (!*name) *name = disposition(&a.head);
        free(etag);
    }
    g4_answer_clear(&a);
    return rc;
}

int g4_resolve_url(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    char *url = g4_url_login(h, ref), *hash = strchr(url, '#');
    struct g4_digest d = {0};
    int rc = 0;
    if (hash) {
        *hash++ = 0;
        if (strncmp(hash, "sha256=", 7) || !g4_digest_parse(hash + 7, strlen(hash + 7), &d))
            rc = g4_hub_fail(h, G4_HUB_USAGE, err, "'#%.100s' is not #sha256= and 64 hex digits", hash);
    }
    char *name = name_of(url, strcspn(url, "?"));
    struct g4_plan_file *f = g4_plan_add(plan, "model.gguf", G4_ROLE_MODEL);
    f->url = url;
    f->digest = d;
    if (d.kind) {
        g4_str id = {0};
        g4_str_addf(&id, "sha256:%s", d.hex);
        f->identity = g4_str_take(&id);
    }
    if (!rc) rc = g4_url_allowed(h, url, NULL, err);
    if (!rc && !strncasecmp(url, "http://", 7) && h->p->insecure_http && !d.kind && !h->p->pin)
        g4_log(G4_LOG_WARN, "over plain http nobody vouches for what arrives: #sha256= in the address, or --pin, would");
    if (!rc) rc = look(h, f, &name, err);
    if (name) {
        free(f->path);
        f->path = name;
        const enum g4_role role = g4_role_of(name);
        f->role = role == G4_ROLE_MMPROJ || role == G4_ROLE_DRAFTER ? role : G4_ROLE_MODEL;
        f->archive = g4_archive_name(name);
        f->wheel = strlen(name) > 4 && !strcasecmp(name + strlen(name) - 4, ".whl");
    }
    plan->name = g4_strdup(url);
    plan->source = g4_strdup(url);
    return rc;
}

int g4_resolve_path(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    struct stat st;
    char *real = realpath(ref, NULL);
    int rc = 0;
    if (!real || stat(real, &st)) rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "no file '%s'", ref);
    else if (S_ISDIR(st.st_mode)) rc = g4_hub_fail(h, G4_HUB_USAGE, err, "'%s' is a folder: -m takes it as it is", ref);
    else if (!S_ISREG(st.st_mode)) rc = g4_hub_fail(h, G4_HUB_USAGE, err, "'%s' is no regular file", ref);
    if (rc) {
        free(real);
        return rc;
    }
    const char *base = strrchr(real, '/') + 1;
    struct g4_plan_file *f = g4_plan_add(plan, base, G4_ROLE_MODEL);
    f->local = real;
    f->size = st.st_size;
    f->archive = g4_archive_name(base);
    f->wheel = strlen(base) > 4 && !strcasecmp(base + strlen(base) - 4, ".whl");
    const size_t n = strlen(base);
    plan->name = g4_strndup(base, n > 5 && !strcasecmp(base + n - 5, ".gguf") ? n - 5 : n);
    g4_str s = {0};
    g4_str_addf(&s, "file:%s", real);
    plan->source = g4_str_take(&s);
    return 0;
}

int g4_resolve_stdin(struct g4_hub *h, struct g4_plan *plan, g4_err *err)
{
    if (isatty(0)) return g4_hub_fail(h, G4_HUB_USAGE, err, "'-' is standard input, which is a terminal");
    if (!h->p->name) return g4_hub_fail(h, G4_HUB_USAGE, err, "'-' wants --name: standard input has none");
    struct g4_plan_file *f = g4_plan_add(plan, "model.gguf", G4_ROLE_MODEL);
    f->local = g4_strdup("-");
    plan->name = g4_strdup(h->p->name);
    plan->source = g4_strdup("-");
    return 0;
}
