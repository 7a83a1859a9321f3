/* hub/registry: image-style registries: Ollama's, OCI ones (Docker's models,
 * ModelPack, plain pushes) and the Hub's own /v2/ addresses.  A manifest names
 * layers by digest; media types, titles and names say what they are. */
#define _GNU_SOURCE /* strcasestr */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "hub/impl.h"
#include "weights/names.h"

enum { MANIFEST_MAX = 4 << 20, LAYERS_MAX = 1000, INDEX_MAX = 16 };

#define OLLAMA "application/vnd.ollama.image."
static const char accept_all[] = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
                                 "application/vnd.docker.distribution.manifest.v2+json, "
                                 "application/vnd.docker.distribution.manifest.list.v2+json";

struct login { /* renew_arg: what a token is asked for with */
    char base[512], scope[512];
    char basic[2048]; /* "Basic ...", or empty */
};

/* ---- tokens ----------------------------------------------------------------------------- */

/* The value of key="..." in a challenge. */
static char *challenge_part(const char *challenge, const char *key)
{
    const size_t n = strlen(key);
    for (const char *p = challenge; (p = strcasestr(p, key)); p += n) {
        if (p[n] != '=' || (p > challenge && p[-1] != ' ' && p[-1] != ',')) continue;
        p += n + 1;
        return *p == '"' ? g4_strndup(p + 1, strcspn(p + 1, "\"")) : g4_strndup(p, strcspn(p, ", "));
    }
    return NULL;
}

/* The last two labels of a host: what one owner has, as a rule. */
static void domain_of(const char *url, char out[256])
{
    char *origin = g4_url_origin(url);
    const char *host = origin ? strstr(origin, "://") + 3 : "";
    size_t n = strcspn(host, ":"), dots = 0, i = n;
    while (i && (host[i - 1] != '.' || !dots)) {
        dots += host[i - 1] == '.';
        i--;
    }
    snprintf(out, 256, "%.*s", (int)(n - i), host + i);
    free(origin);
}

static bool may_have_password(const char *base, const char *realm)
{
    char a[256], b[256];
    char *here = g4_url_origin(base), *there = g4_url_origin(realm);
    const bool same = here && there && !strcmp(here, there);
    const bool plain = !strncasecmp(realm, "http://", 7);
    domain_of(base, a);
    domain_of(realm, b);
    const bool loopback = here && !strncmp(here, "http://", 7) && !strncmp(realm, "http://127.", 11);
    free(here);
    free(there);
    return same || loopback || (!plain && !strcmp(a, b));
}

static int ask_token(struct g4_hub *h, const struct login *l, const char *realm, const char *service, const char *scope, g4_err *err)
{
    g4_str url = {0}, value = {0};
    struct g4_answer a = {0};
    g4_json top = {0};
    g4_str_addf(&url, "%s%cscope=", realm, strchr(realm, '?') ? '&' : '?');
    g4_url_escape(&url, scope, ":/,");
    if (service) {
        g4_str_adds(&url, "&service=");
        g4_url_escape(&url, service, ":/");
    }
    if (*l->basic && may_have_password(l->base, realm)) g4_auth_set(h, realm, l->basic);
    int rc = g4_net_call(h, &(struct g4_call){ .url = url.p, .accept = "application/json" }, &a, err);
    if (!rc && a.status != 200) rc = g4_net_refused(h, l->base, a.status, &a.head, &a.body, err);
    if (!rc && g4_json_check(a.body.p ? a.body.p : "", a.body.n, &top, NULL)) rc = g4_hub_fail(h, G4_HUB_NETWORK, err, "'%.200s' gives no token", realm);
    char *token = g4_json_dup(g4_json_get(top, "token"));
    if (!token) token = g4_json_dup(g4_json_get(top, "access_token"));
    if (!rc && (!token || strpbrk(token, "\r\n"))) rc = g4_hub_fail(h, G4_HUB_NETWORK, err, "'%.200s' gives no token", realm);
    if (!rc) {
        g4_str_addf(&value, "Bearer %s", token);
        g4_auth_set(h, l->base, value.p);
    }
    free(token);
    g4_str_free(&url);
    g4_str_free(&value);
    g4_answer_clear(&a);
    return rc;
}

/* Answers a challenge: password at once, or a token. */
static int login(struct g4_hub *h, void *arg, const char *challenge, g4_err *err)
{
    const struct login *l = arg;
    if (challenge && !strncasecmp(challenge, "Basic", 5) && *l->basic) {
        g4_auth_set(h, l->base, l->basic);
        return 0;
    }
    char *realm = challenge && !strncasecmp(challenge, "Bearer", 6) ? challenge_part(challenge, "realm") : NULL;
    if (!realm) return g4_hub_fail(h, G4_HUB_GATED, err, "'%s' wants a login (docker login, podman login)", l->base);
    char *service = challenge_part(challenge, "service"), *scope = challenge_part(challenge, "scope");
    int rc = g4_url_allowed(h, realm, l->base, err);
    if (!rc) rc = ask_token(h, l, realm, service, scope ? scope : l->scope, err);
    free(realm);
    free(service);
    free(scope);
    return rc;
}

static void set_login(struct g4_hub *h, const char *base, const char *name)
{
    struct login *l = g4_alloc(sizeof *l);
    const char *host = strstr(base, "://") + 3;
    char *basic = g4_auth_registry(host);
    snprintf(l->base, sizeof l->base, "%s", base);
    snprintf(l->scope, sizeof l->scope, "repository:%s:pull", name);
    if (basic && strlen(basic) < sizeof l->basic) strcpy(l->basic, basic);
    free(basic);
    free(h->renew_arg);
    h->renew = login;
    h->renew_arg = l;
}

/* ---- manifests ---------------------------------------------------------------------------- */

static void sha256_of(const g4_str *body, char hex[65])
{
    uint8_t sum[32];
    g4_sha256 s;
    g4_sha256_init(&s);
    g4_sha256_add(&s, body->p, body->n);
    g4_sha256_end(&s, sum);
    g4_hex(sum, 32, hex);
}

/* The bytes are those that were asked for, and those that the registry announces. */
static int check_manifest(struct g4_hub *h, const struct g4_answer *a, const char *ref, g4_err *err)
{
    char hex[65];
    const char *told = g4_head_get(&a->head, "Docker-Content-Digest");
    sha256_of(&a->body, hex);
    const char *const want[] = { !strncmp(ref, "sha256:", 7) ? ref : NULL, told && !strncmp(told, "sha256:", 7) ? told : NULL };
    for (size_t i = 0; i < 2; i++)
        if (want[i] && strcmp(want[i] + 7, hex))
            return g4_hub_fail(h, G4_HUB_INTEGRITY, err, "the manifest of '%.200s' is corrupt: its SHA-256 is %s instead of %s", a->url, hex, want[i] + 7);
    return 0;
}

static int get_manifest(struct g4_hub *h, const char *base, const char *name, const char *ref, const char *agent, struct g4_answer *a, g4_json *top,
                        g4_err *err)
{
    g4_str url = {0};
    g4_err why = {0};
    g4_str_addf(&url, "%s/v2/%s/manifests/", base, name);
    g4_url_escape(&url, ref, ":");
    /* The Hub adds file names for this agent, when asked for plain JSON. */
    const struct g4_call c = { .url = url.p, .accept = accept_all, .agent = agent, .max = MANIFEST_MAX };
    int rc = g4_net_call(h, &c, a, err);
    if (!rc && a->status == 401) {
        rc = login(h, h->renew_arg, g4_head_get(&a->head, "WWW-Authenticate"), err);
        if (!rc) rc = g4_net_call(h, &c, a, err);
    }
    if (!rc && a->status != 200) rc = g4_net_refused(h, name, a->status, &a->head, &a->body, err);
    if (!rc) rc = check_manifest(h, a, ref, err);
    if (!rc && g4_json_check(a->body.p ? a->body.p : "", a->body.n, top, &why))
        rc = g4_hub_fail(h, G4_HUB_FORMAT, err, "the manifest of '%s' is not JSON: %s", name, why.msg);
    g4_str_free(&url);
    return rc;
}

static bool mentions(g4_json v, const char *key, const char *word)
{
    char *s = g4_json_dup(g4_json_get(v, key));
    const bool yes = s && strstr(s, word);
    free(s);
    return yes;
}

static bool is_model_manifest(g4_json m)
{
    const g4_json config = g4_json_get(m, "config");
    if (mentions(config, "mediaType", "docker.ai.model") || mentions(config, "mediaType", "cncf.model") || mentions(m, "artifactType", "cncf.model"))
        return true;
    for (g4_json_it it = g4_json_iter(g4_json_get(m, "layers")); g4_json_next(&it);)
        if (mentions(it.value, "mediaType", "gguf") || mentions(it.value, "mediaType", "cncf.model") || mentions(it.value, "mediaType", OLLAMA))
            return true;
    return false;
}

/* An index of manifests: its only one, or the only one that is a model's.  *a and *top become that one's. */
static int choose_manifest(struct g4_hub *h, const char *base, const char *name, struct g4_answer *a, g4_json *top, g4_err *err)
{
    const g4_json list = g4_json_get(*top, "manifests");
    const size_t n = g4_json_count(list);
    struct g4_answer found = {0};
    g4_json found_top = {0};
    unsigned models = 0;
    int rc = 0;
    for (size_t i = 0; i < n && i < INDEX_MAX && !rc; i++) {
        struct g4_answer one = {0};
        g4_json one_top = {0};
        char *digest = g4_json_dup(g4_json_get(g4_json_at(list, i), "digest"));
        struct g4_digest d;
        if (!digest || !g4_digest_parse(digest, strlen(digest), &d)) rc = g4_hub_fail(h, G4_HUB_FORMAT, err, "the index of '%s' has a bad digest", name);
        if (!rc) rc = get_manifest(h, base, name, digest, NULL, &one, &one_top, err);
        if (!rc && (n == 1 || is_model_manifest(one_top)) && !models++) {
            found = one;
            found_top = one_top;
        } else {
            g4_answer_clear(&one);
        }
        free(digest);
    }
    if (!rc && models != 1)
        rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' is an index of %zu manifests, of which %u are models; name one by @sha256:", name, n, models);
    if (!rc) {
        g4_answer_clear(a);
        *a = found;
        *top = found_top;
    } else {
        g4_answer_clear(&found);
    }
    return rc;
}

/* ---- layers ----------------------------------------------------------------------------------- */

static bool ends_in(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcmp(s + n - k, end);
}

/* What a layer is by its media type; OTHER: not known by it. */
static enum g4_role role_of_media(const char *m, bool *ignore)
{
    static const struct {
        const char *word;
        enum g4_role role;
        bool ignore;
    } table[] = {
        { OLLAMA "model", G4_ROLE_MODEL, false },          { OLLAMA "projector", G4_ROLE_MMPROJ, false },
        { OLLAMA "draft", G4_ROLE_DRAFTER, false },        { OLLAMA "params", G4_ROLE_PARAMS, false },
        { OLLAMA "license", G4_ROLE_LICENSE, false },      { OLLAMA, G4_ROLE_OTHER, true },
        { "docker.ai.gguf.v3.mmproj", G4_ROLE_MMPROJ, false }, { "docker.ai.mmproj", G4_ROLE_MMPROJ, false },
        { "docker.ai.gguf.v3.lora", G4_ROLE_OTHER, true }, { "docker.ai.gguf", G4_ROLE_MODEL, false },
        { "docker.ai.license", G4_ROLE_LICENSE, false },   { "docker.ai.chat.template", G4_ROLE_TEMPLATE, false },
        { "docker.ai.vllm", G4_ROLE_OTHER, true },         { "cncf.model.doc", G4_ROLE_OTHER, true },
        { "cncf.model.code", G4_ROLE_OTHER, true },        { "cncf.model.dataset", G4_ROLE_OTHER, true },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strstr(m, table[i].word)) {
            *ignore = table[i].ignore;
            return table[i].role;
        }
    return G4_ROLE_OTHER;
}

static bool is_tar(const char *media)
{
    return ends_in(media, ".tar") || ends_in(media, ".tar+gzip") || ends_in(media, ".tar+zstd") || ends_in(media, ".tar.gzip");
}

static char *title_of(g4_json layer)
{
    static const char *const key[] = { "org.cncf.model.filepath", "org.opencontainers.image.title" };
    for (size_t i = 0; i < 2; i++) {
        char *t = g4_json_dup(g4_json_path(layer, "annotations", key[i]));
        if (t && g4_path_is_safe(t)) return t;
        free(t);
    }
    return NULL;
}

struct source {
    struct g4_hub *h;
    const char *base, *name;
    g4_json top;
};

static int add_layer(const struct source *s, g4_json layer, struct g4_plan *plan, g4_err *err)
{
    static const char *const plain[] = { "", "model.gguf", "mmproj.gguf", "drafter.gguf", "", "", "chat_template.jinja", "params.json", "LICENSE" };
    char *media = g4_json_dup(g4_json_get(layer, "mediaType")), *digest = g4_json_dup(g4_json_get(layer, "digest")), *title = title_of(layer);
    struct g4_digest d = {0};
    int64_t size = -1;
    bool ignore = false;
    int rc = 0;
    enum g4_role role = media ? role_of_media(media, &ignore) : G4_ROLE_OTHER;
    const bool tar = media && is_tar(media);
    if (role == G4_ROLE_OTHER && !ignore && title) role = g4_role_of(title);
    if (role == G4_ROLE_MMPROJ && !s->h->p->media) ignore = true;
    if (role == G4_ROLE_DRAFTER && !s->h->p->drafter) ignore = true;
    if (media && !strcmp(media, OLLAMA "tensor")) rc = g4_hub_fail(s->h, G4_HUB_FORMAT, err, "'%s' is an MLX build, not a GGUF model", s->name);
    else if (!digest || !g4_digest_parse(digest, strlen(digest), &d) || !g4_json_i64(g4_json_get(layer, "size"), &size) || size < 0)
        rc = g4_hub_fail(s->h, G4_HUB_FORMAT, err, "the manifest of '%s' has a layer without SHA-256 or size", s->name);
    if (!rc && !ignore && (role != G4_ROLE_OTHER || tar || !media || !title)) {
        g4_str url = {0}, id = {0};
        char unnamed[32];
        snprintf(unnamed, sizeof unnamed, "layer-%zu", plan->n);
        struct g4_plan_file *f = g4_plan_add(plan, title ? title : role ? plain[role] : unnamed, role);
        g4_str_addf(&url, "%s/v2/%s/blobs/sha256:%s", s->base, s->name, d.hex);
        g4_str_addf(&id, "sha256:%s", d.hex);
        f->url = g4_str_take(&url);
        f->identity = g4_str_take(&id);
        f->digest = d;
        f->size = size;
        f->archive = tar;
    }
    free(media);
    free(digest);
    free(title);
    return rc;
}

/* A push that names nothing: its largest layer is taken for the model, and its
 * header says whether that was right. */
static int settle(const struct source *s, struct g4_plan *plan, g4_err *err)
{
    size_t models = 0, best = 0;
    for (size_t i = 0; i < plan->n; i++) {
        models += plan->file[i].role == G4_ROLE_MODEL || plan->file[i].archive;
        if (plan->file[i].size > plan->file[best].size) best = i;
    }
    if (!plan->n) return g4_hub_fail(s->h, G4_HUB_FORMAT, err, "'%s' holds no model", s->name);
    if (!models) plan->file[best].role = G4_ROLE_MODEL;
    size_t k = 0;
    for (size_t i = 0; i < plan->n; i++) {
        struct g4_plan_file *f = &plan->file[i];
        if (f->role != G4_ROLE_OTHER || f->archive) {
            plan->file[k++] = *f;
            continue;
        }
        free(f->path);
        free(f->url);
        free(f->identity);
    }
    plan->n = k;
    return 0;
}

/* The Hub tells the names of the files behind the layers. */
static void take_names(g4_json top, struct g4_plan *plan)
{
    static const char *const key[] = { "ggufFile", "mmprojFile" };
    for (size_t i = 0; i < 2; i++) {
        char *name = g4_json_dup(g4_json_path(top, key[i], "rfilename"));
        for (size_t k = 0; name && g4_path_is_safe(name) && k < plan->n; k++)
            if (plan->file[k].role == (i ? G4_ROLE_MMPROJ : G4_ROLE_MODEL)) {
                free(plan->file[k].path);
                plan->file[k].path = g4_strdup(name);
                break;
            }
        free(name);
    }
}

int g4_registry_plan(struct g4_hub *h, const char *base, const char *name, const char *ref, const char *agent, struct g4_plan *plan, g4_err *err)
{
    struct g4_answer a = {0};
    struct source s = { .h = h, .base = base, .name = name };
    set_login(h, base, name);
    int rc = get_manifest(h, base, name, ref, agent, &a, &s.top, err);
    if (!rc && g4_json_get(s.top, "manifests").p) rc = choose_manifest(h, base, name, &a, &s.top, err);
    const g4_json layers = g4_json_get(s.top, "layers");
    if (!rc && g4_json_count(layers) > LAYERS_MAX) rc = g4_hub_fail(h, G4_HUB_FORMAT, err, "the manifest of '%s' has more than %d layers", name, LAYERS_MAX);
    for (g4_json_it it = g4_json_iter(layers); !rc && g4_json_next(&it);) rc = add_layer(&s, it.value, plan, err);
    if (!rc) rc = settle(&s, plan, err);
    if (!rc) take_names(s.top, plan);
    bool mmproj = !h->p->media, drafter = !h->p->drafter;
    for (size_t i = 0; i < plan->n; i++) {
        mmproj |= plan->file[i].role == G4_ROLE_MMPROJ;
        drafter |= plan->file[i].role == G4_ROLE_DRAFTER;
    }
    if (!rc && (!mmproj || !drafter)) rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' has no %s", name, mmproj ? "drafter" : "projector for images and sound");
    g4_answer_clear(&a);
    return rc;
}

/* ---- names -------------------------------------------------------------------------------------- */

static bool is_host(const char *s, size_t n)
{
    return memchr(s, '.', n) || memchr(s, ':', n) || (n == 9 && !strncmp(s, "localhost", 9));
}

static bool is_name(const char *s, bool lower_only)
{
    if (!*s || strlen(s) > 255 || strstr(s, "..") || strstr(s, "//") || *s == '/' || s[strlen(s) - 1] == '/') return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._-/", *s)) return false;
        else if (lower_only && isupper((unsigned char)*s)) return false;
    return true;
}

static bool is_tag(const char *s)
{
    const size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '_' && (!i || (s[i] != '.' && s[i] != '-'))) return false;
    return n && n <= 128;
}

struct image { /* [HOST/]NAME[:TAG][@sha256:HEX] */
    char *host, *name, *tag, *digest;
};

static void image_clear(struct image *m)
{
    free(m->host);
    free(m->name);
    free(m->tag);
    free(m->digest);
}

static bool image_parse(const char *text, bool lower_only, struct image *m)
{
    const char *at = strchr(text, '@'), *end = at ? at : text + strlen(text), *slash = memchr(text, '/', (size_t)(end - text));
    struct g4_digest d;
    if (slash && is_host(text, (size_t)(slash - text))) {
        m->host = g4_strndup(text, (size_t)(slash - text));
        text = slash + 1;
    }
    const char *last = end;
    while (last > text && last[-1] != '/' && last[-1] != ':') last--;
    const bool tagged = last > text && last[-1] == ':';
    m->name = g4_strndup(text, (size_t)((tagged ? last - 1 : end) - text));
    m->tag = tagged ? g4_strndup(last, (size_t)(end - last)) : g4_strdup("latest");
    if (at) m->digest = g4_strdup(at + 1);
    return is_name(m->name, lower_only) && is_tag(m->tag) && (!m->digest || g4_digest_parse(m->digest, strlen(m->digest), &d));
}

int g4_resolve_ollama(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    struct image m = {0};
    g4_str name = {0};
    int rc = 0;
    if (!strncmp(ref, "hf.co/", 6)) return g4_resolve_hf(h, ref, plan, err);
    if (!image_parse(ref, false, &m)) rc = g4_hub_fail(h, G4_HUB_USAGE, err, "'%s' is not [HOST/][NAMESPACE/]MODEL[:TAG]", ref);
    if (!rc) {
        char *base = g4_url_base(m.host ? m.host : "registry.ollama.ai");
        g4_str_addf(&name, "%s%s", strchr(m.name, '/') ? "" : "library/", m.name);
        rc = g4_registry_plan(h, base, name.p, m.digest ? m.digest : m.tag, NULL, plan, err);
        free(base);
        g4_str_clear(&name);
        g4_str_addf(&name, "ollama:%s%s%s:%s", m.host ? m.host : "", m.host ? "/" : "", m.name, m.tag);
        plan->name = g4_strdup(name.p);
        plan->source = g4_strdup(name.p);
    }
    g4_str_free(&name);
    image_clear(&m);
    return rc;
}

int g4_resolve_oci(struct g4_hub *h, const char *ref, bool docker, struct g4_plan *plan, g4_err *err)
{
    struct image m = {0};
    g4_str name = {0};
    int rc = 0;
    if (!image_parse(ref, true, &m)) rc = g4_hub_fail(h, G4_HUB_USAGE, err, "'%s' is not [HOST/]NAME[:TAG][@sha256:HEX] in lower case", ref);
    if (!rc && !m.host && !docker) rc = g4_hub_fail(h, G4_HUB_USAGE, err, "'oci:%s' names no registry: oci:HOST/NAME[:TAG]", ref);
    if (!rc) {
        const bool hub = !m.host || !strcmp(m.host, "docker.io") || !strcmp(m.host, "index.docker.io");
        char *base = g4_url_base(hub ? "registry-1.docker.io" : m.host);
        g4_str_addf(&name, "%s%s", hub && !strchr(m.name, '/') ? "ai/" : "", m.name);
        rc = g4_registry_plan(h, base, name.p, m.digest ? m.digest : m.tag, NULL, plan, err);
        free(base);
        g4_str_clear(&name);
        g4_str_addf(&name, "%s:%s", docker ? "docker" : "oci", ref);
        plan->name = g4_strdup(name.p);
        plan->source = g4_strdup(name.p);
    }
    g4_str_free(&name);
    image_clear(&m);
    return rc;
}
