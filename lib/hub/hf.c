/* hub/hf: the Hugging Face Hub: a revision pinned to its commit, the listing of
 * the repository at it, the files that are wanted.  Files come over plain HTTP with
 * ranges (Xet-backed ones too), each under the digest of the listing. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/thread.h"
#include "hub/impl.h"
#include "weights/names.h"
#include "weights/place.h"

enum { PAGES_MAX = 200, FILES_MAX = 100000, CONTEXT_BYTES = 128 << 20 };

struct entry {
    char *path;
    int64_t size;
    struct g4_digest digest;
};

struct listing {
    struct entry *v;
    size_t n, cap;
};

struct repo {
    struct g4_hub *h;
    struct g4_place_ref ref;
    char *endpoint, *id; /* id: "ORG/REPO" */
    char *commit;        /* or the revision as it was given, where the endpoint tells none */
};

static void repo_clear(struct repo *r)
{
    g4_place_ref_free(&r->ref);
    free(r->endpoint);
    free(r->id);
    free(r->commit);
}

static void listing_clear(struct listing *l)
{
    for (size_t i = 0; i < l->n; i++) free(l->v[i].path);
    free(l->v);
}

static char *endpoint_of(void)
{
    const char *v = getenv("HF_ENDPOINT");
    char *e = g4_strdup(v && *v ? v : "https://huggingface.co");
    for (size_t n = strlen(e); n && e[n - 1] == '/'; n--) e[n - 1] = 0;
    return e;
}

/* ---- asking ------------------------------------------------------------------------- */

static bool is_commit(const char *s)
{
    return strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

/* GET of an API path.  A token that is refused is left out once: what is public
 * can be had without. */
static int api(struct repo *r, const char *path, struct g4_answer *a, g4_err *err)
{
    g4_str url = {0};
    g4_str_addf(&url, "%s%s", strncmp(path, "http", 4) ? r->endpoint : "", path);
    const struct g4_call c = { .url = url.p, .accept = "application/json" };
    int rc = g4_net_call(r->h, &c, a, err);
    const char *said = rc ? NULL : g4_head_get(&a->head, "X-Error-Message");
    if (!rc && a->status == 401 && said && strstr(said, "Invalid credentials") && g4_auth_for(r->h, url.p)) {
        g4_log(G4_LOG_WARN, "the hub does not know the token; going on without it");
        g4_auth_set(r->h, url.p, NULL);
        rc = g4_net_call(r->h, &c, a, err);
    }
    g4_str_free(&url);
    return rc;
}

/* An endpoint that knows no such address at all, as a mirror may: no Hub said so. */
static bool is_unknown_page(const struct g4_answer *a)
{
    return (a->status == 404 || a->status == 405 || a->status == 501) && !g4_head_get(&a->head, "X-Error-Code");
}

static int parse(struct repo *r, const struct g4_answer *a, g4_json *top, g4_err *err)
{
    g4_err why = {0};
    if (!g4_json_check(a->body.p ? a->body.p : "", a->body.n, top, &why)) return 0;
    return g4_hub_fail(r->h, G4_HUB_NETWORK, err, "'%.200s' answers with something that is not JSON (%s): is a proxy in between?", a->url, why.msg);
}

static bool take_commit(struct repo *r, g4_json v)
{
    char *s = g4_json_dup(v);
    if (s && is_commit(s)) {
        free(r->commit);
        r->commit = s;
        return true;
    }
    free(s);
    return false;
}

/* The branch or tag of that name. */
static int ask_refs(struct repo *r, g4_err *err)
{
    static const char *const kind[] = { "branches", "tags", "converts", "pullRequests" };
    struct g4_answer a = {0};
    g4_str path = {0};
    g4_json top = {0};
    g4_str_addf(&path, "/api/models/%s/refs", r->id);
    int rc = api(r, path.p, &a, err);
    if (!rc && a.status == 200) {
        rc = parse(r, &a, &top, err);
        for (size_t k = 0; !rc && k < 4; k++)
            for (g4_json_it it = g4_json_iter(g4_json_get(top, kind[k])); g4_json_next(&it);)
                if (g4_json_is(g4_json_get(it.value, "name"), r->ref.rev) || g4_json_is(g4_json_get(it.value, "ref"), r->ref.rev))
                    take_commit(r, g4_json_get(it.value, "targetCommit"));
    } else if (!rc && !is_unknown_page(&a)) {
        rc = g4_net_refused(r->h, r->id, a.status, &a.head, &a.body, err);
    }
    g4_answer_clear(&a);
    g4_str_free(&path);
    return rc;
}

static int ask_revision(struct repo *r, g4_err *err)
{
    struct g4_answer a = {0};
    g4_str path = {0};
    g4_json top = {0};
    g4_str_addf(&path, "/api/models/%s/revision/", r->id);
    g4_url_escape(&path, r->ref.rev, "");
    int rc = api(r, path.p, &a, err);
    if (!rc && a.status == 200) {
        rc = parse(r, &a, &top, err);
        if (!rc) take_commit(r, g4_json_get(top, "sha"));
    } else if (!rc && !is_unknown_page(&a)) {
        rc = g4_net_refused(r->h, r->id, a.status, &a.head, &a.body, err);
    }
    g4_answer_clear(&a);
    g4_str_free(&path);
    return rc;
}

/* So that a push in between cannot mix files, every address names the commit. */
static int pin(struct repo *r, g4_err *err)
{
    if (is_commit(r->ref.rev)) {
        r->commit = g4_strdup(r->ref.rev);
        return 0;
    }
    int rc = ask_refs(r, err);
    if (!rc && !r->commit) rc = ask_revision(r, err);
    if (!rc && !r->commit) r->commit = g4_strdup(r->ref.rev);
    return rc;
}

/* ---- the listing ---------------------------------------------------------------------- */

static void git_digest(g4_json oid, struct g4_digest *d)
{
    char *hex = g4_json_dup(oid);
    if (hex && is_commit(hex)) {
        d->kind = G4_DIGEST_GIT;
        strcpy(d->hex, hex);
    }
    free(hex);
}

static void add_entry(struct listing *l, g4_json e)
{
    const g4_json lfs = g4_json_get(e, "lfs");
    struct entry x = { .path = g4_json_dup(g4_json_get(e, "path")), .size = -1 };
    char *oid = g4_json_dup(g4_json_get(lfs, "oid"));
    if (oid) g4_digest_parse(oid, strlen(oid), &x.digest);
    if (!x.digest.kind) git_digest(g4_json_get(e, "oid"), &x.digest);
    if (!g4_json_i64(g4_json_get(lfs, "size"), &x.size)) g4_json_i64(g4_json_get(e, "size"), &x.size);
    free(oid);
    if (!x.path || !g4_path_is_safe(x.path) || l->n >= FILES_MAX || g4_json_is(g4_json_get(e, "type"), "directory")) {
        free(x.path);
        return;
    }
    G4_GROW(l->v, l->cap, l->n + 1);
    l->v[l->n++] = x;
}

/* Link: <URL>; rel="next", of the same origin only.  NULL: the last page. */
static char *next_page(const struct g4_answer *a)
{
    const char *v = g4_head_get(&a->head, "Link"), *open = v ? strchr(v, '<') : NULL, *close = open ? strchr(open, '>') : NULL;
    if (!close || !strstr(close, "rel=\"next\"")) return NULL;
    char *url = g4_strndup(open + 1, (size_t)(close - open - 1)), *here = g4_url_origin(a->url), *there = g4_url_origin(url);
    if (!here || !there || strcmp(here, there)) {
        free(url);
        url = NULL;
    }
    free(here);
    free(there);
    return url;
}

/* *there false: the endpoint has no listings. */
static int list(struct repo *r, struct listing *l, bool *there, g4_err *err)
{
    g4_str path = {0};
    int rc = 0;
    g4_str_addf(&path, "/api/models/%s/tree/", r->id);
    g4_url_escape(&path, r->commit, "");
    g4_str_adds(&path, "?recursive=true");
    char *at = g4_str_take(&path);
    *there = true;
    for (unsigned page = 0; at && !rc && page < PAGES_MAX; page++) {
        struct g4_answer a = {0};
        g4_json top = {0};
        rc = api(r, at, &a, err);
        free(at);
        at = NULL;
        if (!rc && a.status != 200) {
            if (is_unknown_page(&a) && !page) *there = false;
            else rc = g4_net_refused(r->h, r->id, a.status, &a.head, &a.body, err);
        } else if (!rc) {
            rc = parse(r, &a, &top, err);
            for (g4_json_it it = g4_json_iter(top); !rc && g4_json_next(&it);) add_entry(l, it.value);
            if (!rc) at = next_page(&a);
        }
        g4_answer_clear(&a);
    }
    free(at);
    return rc;
}

/* ---- choosing --------------------------------------------------------------------------- */

/* Bytes of a model with all its parts; 0 when a part is missing. */
static uint64_t bytes_of(const struct listing *l, const char *path)
{
    unsigned part, of, k, m, seen = 0;
    uint64_t sum = 0;
    const size_t n = g4_names_split(path, &part, &of);
    for (size_t i = 0; i < l->n; i++) {
        const bool same = of ? g4_names_split(l->v[i].path, &k, &m) == n && m == of && !strncmp(l->v[i].path, path, n) : !strcmp(l->v[i].path, path);
        if (!same) continue;
        seen++;
        if (l->v[i].size > 0) sum += (uint64_t)l->v[i].size;
    }
    return seen == (of ? of : 1) ? sum : 0;
}

/* What a model of that size takes with 8K of context: the file and about a
 * sixteenth of it for keys, values and activations. */
static uint64_t memory_for(uint64_t bytes)
{
    return bytes + bytes / 16 + CONTEXT_BYTES;
}

/* The largest of the usual types that fits 70 % of the memory, else the smallest. */
static const char *by_memory(const struct listing *l, g4_str *note)
{
    static const char *const usual[] = { "Q4_0", "Q4_K_M", "Q6_K", "Q8_0" };
    const uint64_t memory = g4_memory_total() / 10 * 7;
    const char *best = NULL, *type = NULL;
    uint64_t best_bytes = 0;
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < 4; k++) {
            if (!g4_names_is_model(l->v[i].path) || g4_names_match(l->v[i].path, usual[k]) != 2) continue;
            const uint64_t bytes = bytes_of(l, l->v[i].path);
            const bool fits = memory_for(bytes) <= memory, best_fits = best && memory_for(best_bytes) <= memory;
            if (!bytes || (best && (fits ? best_fits && bytes <= best_bytes : best_fits || bytes >= best_bytes))) continue;
            best = l->v[i].path;
            best_bytes = bytes;
            type = usual[k];
        }
    if (!best) return NULL;
    const bool fits = memory_for(best_bytes) <= memory;
    g4_str_addf(note, "%s '%s' (%.2f GB): %s 70 %% of this machine's memory (%.1f GB) with 8K of context", type, best, (double)best_bytes / 1e9,
                fits ? "the largest usual type that fits" : "the smallest usual type, but it needs more than", (double)memory / 0.7 / 1e9);
    return best;
}

static char **names_of(const struct listing *l)
{
    char **v = g4_alloc((l->n + 1) * sizeof *v);
    for (size_t i = 0; i < l->n; i++) v[i] = l->v[i].path;
    return v;
}

static int no_such_file(struct repo *r, const struct listing *l, g4_err *err)
{
    g4_str s = {0};
    const char *wanted = r->ref.file ? r->ref.file : r->ref.quant;
    for (size_t i = 0; i < l->n && s.n < 300; i++)
        if (g4_names_is_gguf(l->v[i].path)) g4_str_addf(&s, "%s %s", s.n ? "," : "", l->v[i].path);
    const int rc = wanted ? g4_hub_fail(r->h, G4_HUB_NOT_FOUND, err, "'%s' has no '%s'; there are:%s", r->id, wanted, s.n ? s.p : " no GGUF files")
                          : g4_hub_fail(r->h, G4_HUB_NOT_FOUND, err, "'%s' holds no model that g4 reads (GGUF or safetensors)", r->id);
    g4_str_free(&s);
    return rc;
}

/* *found NULL: there is no GGUF to choose. */
static int choose(struct repo *r, const struct listing *l, const char **found, g4_str *note, g4_err *err)
{
    g4_err why = {0};
    *found = NULL;
    if (!r->ref.file && !r->ref.quant) *found = by_memory(l, note);
    if (*found) return 0;
    char **name = names_of(l);
    const int rc = g4_place_choose(&r->ref, name, l->n, found, &why);
    free(name);
    if (rc < 0) return g4_hub_fail(r->h, G4_HUB_NOT_FOUND, err, "%s", why.msg);
    if (!rc) *found = NULL;
    return !rc && (r->ref.file || r->ref.quant) ? no_such_file(r, l, err) : 0;
}

static const struct entry *sidecar(const struct listing *l, const char *model, bool (*is)(const char *))
{
    char **name = names_of(l);
    const size_t i = g4_names_nearest(name, l->n, model, is);
    free(name);
    return i < l->n ? &l->v[i] : NULL;
}

/* ---- the plan ----------------------------------------------------------------------------- */

static void add_file(struct repo *r, struct g4_plan *plan, const struct entry *e, enum g4_role role)
{
    struct g4_plan_file *f = g4_plan_add(plan, e->path, role);
    g4_str url = {0}, id = {0};
    g4_str_addf(&url, "%s/%s/resolve/", r->endpoint, r->id);
    g4_url_escape(&url, r->commit, "");
    g4_str_addc(&url, '/');
    g4_url_escape(&url, e->path, "/");
    f->url = g4_str_take(&url);
    f->size = e->size;
    f->digest = e->digest;
    if (is_commit(r->commit)) f->commit = g4_strdup(r->commit);
    if (e->digest.kind) g4_str_addf(&id, "%s:%s", e->digest.kind == G4_DIGEST_GIT ? "git" : "sha256", e->digest.hex);
    f->identity = id.n ? g4_str_take(&id) : NULL;
    g4_str_free(&id);
}

static void add_model(struct repo *r, struct g4_plan *plan, const struct listing *l, const char *path)
{
    unsigned part, of, k, m;
    const size_t n = g4_names_split(path, &part, &of);
    for (size_t i = 0; i < l->n; i++) {
        const char *p = l->v[i].path;
        const bool same = of ? g4_names_split(p, &k, &m) == n && m == of && !strncmp(p, path, n) : !strcmp(p, path);
        if (same) add_file(r, plan, &l->v[i], G4_ROLE_MODEL);
    }
}

static int add_sidecars(struct repo *r, struct g4_plan *plan, const struct listing *l, const char *model, g4_err *err)
{
    const struct entry *e;
    if (r->h->p->media) {
        if (!(e = sidecar(l, model, g4_names_is_mmproj))) return g4_hub_fail(r->h, G4_HUB_NOT_FOUND, err, "'%s' has no projector (mmproj) for images and sound", r->id);
        add_file(r, plan, e, G4_ROLE_MMPROJ);
    }
    if (r->h->p->drafter) {
        if (!(e = sidecar(l, model, g4_names_is_drafter))) return g4_hub_fail(r->h, G4_HUB_NOT_FOUND, err, "'%s' has no drafter (mtp-)", r->id);
        add_file(r, plan, e, G4_ROLE_DRAFTER);
    }
    return 0;
}

/* A folder of safetensors: its weights and what a reader of them wants. */
static int add_folder(struct repo *r, struct g4_plan *plan, const struct listing *l, g4_err *err)
{
    bool any = false;
    for (size_t i = 0; i < l->n; i++) {
        const enum g4_role role = g4_role_of(l->v[i].path);
        const char *slash = strchr(l->v[i].path, '/');
        /* 1_Pooling/, 2_Dense/: parts of a sentence encoder; other folders hold other formats. */
        if (role == G4_ROLE_OTHER || (slash && (l->v[i].path[0] < '0' || l->v[i].path[0] > '9'))) continue;
        if (g4_names_is_gguf(l->v[i].path)) continue;
        any |= role == G4_ROLE_MODEL;
        add_file(r, plan, &l->v[i], role);
    }
    return any ? 0 : no_such_file(r, l, err);
}

static int from_listing(struct repo *r, const struct listing *l, struct g4_plan *plan, g4_err *err)
{
    const char *model;
    g4_str note = {0};
    int rc = choose(r, l, &model, &note, err);
    if (!rc && model && !bytes_of(l, model)) rc = g4_hub_fail(r->h, G4_HUB_NOT_FOUND, err, "'%s': parts of '%s' are missing", r->id, model);
    if (!rc && model) {
        add_model(r, plan, l, model);
        rc = add_sidecars(r, plan, l, model, err);
    } else if (!rc && r->h->p->drafter) {
        rc = g4_hub_fail(r->h, G4_HUB_NOT_FOUND, err, "'%s' is a folder of safetensors: its drafter is a repository of its own", r->id);
    } else if (!rc) { /* with its towers for images and sound */
        rc = add_folder(r, plan, l, err);
    }
    if (!rc && note.n) plan->note = g4_str_take(&note);
    g4_str_free(&note);
    return rc;
}

/* A mirror without listings: what the address of the file itself says. */
static int from_head(struct repo *r, struct g4_plan *plan, g4_err *err)
{
    struct entry e = { .path = r->ref.file, .size = -1 };
    struct g4_answer a = {0};
    add_file(r, plan, &e, g4_role_of(r->ref.file) ? g4_role_of(r->ref.file) : G4_ROLE_MODEL);
    struct g4_plan_file *f = &plan->file[0];
    int rc = g4_net_call(r->h, &(struct g4_call){ .url = f->url, .head = true, .stay = true }, &a, err);
    if (!rc && a.status >= 400) rc = g4_net_refused(r->h, r->ref.file, a.status, &a.head, NULL, err);
    if (!rc) {
        bool strong = false;
        char *etag = g4_head_etag(&a.head, "X-Linked-Etag", &strong);
        if (!etag) etag = g4_head_etag(&a.head, "ETag", &strong);
        const char *size = g4_head_get(&a.head, "X-Linked-Size"), *commit = g4_head_get(&a.head, "X-Repo-Commit");
        if (!size && a.status < 300) size = g4_head_get(&a.head, "Content-Length");
        if (size) f->size = strtoll(size, NULL, 10);
        if (etag && !g4_digest_parse(etag, strlen(etag), &f->digest) && is_commit(etag) && f->size >= 0) {
            f->digest.kind = G4_DIGEST_GIT;
            strcpy(f->digest.hex, etag);
        }
        g4_str id = {0};
        if (f->digest.kind) g4_str_addf(&id, "%s:%s", f->digest.kind == G4_DIGEST_GIT ? "git" : "sha256", f->digest.hex);
        else if (etag && strong) g4_str_addf(&id, "etag:%s:%s", f->url, etag);
        free(f->identity);
        f->identity = id.n ? g4_str_take(&id) : NULL;
        if (commit && is_commit(commit)) {
            free(r->commit);
            r->commit = g4_strdup(commit);
        }
        free(etag);
        g4_str_free(&id);
    }
    g4_answer_clear(&a);
    return rc;
}

static void name_plan(const struct repo *r, struct g4_plan *plan)
{
    g4_str s = {0};
    g4_str_adds(&s, r->id);
    if (r->ref.file) g4_str_addf(&s, "/%s", r->ref.file);
    if (r->ref.quant) g4_str_addf(&s, ":%s", r->ref.quant);
    if (strcmp(r->ref.rev, "main")) g4_str_addf(&s, "@%s", r->ref.rev);
    plan->name = g4_strdup(s.p);
    g4_str_clear(&s);
    g4_str_addf(&s, "hf:%s", r->id);
    plan->source = g4_str_take(&s);
    if (is_commit(r->commit)) plan->commit = g4_strdup(r->commit);
}

static int authorize(struct repo *r, g4_err *err)
{
    char *token = g4_auth_hub_token(r->h, err);
    if (!token) return r->h->p->token_file ? G4_EUSAGE : 0;
    g4_str s = {0};
    g4_str_addf(&s, "Bearer %s", token);
    const bool plain = !strncasecmp(r->endpoint, "http://", 7) && r->h->p->insecure_http;
    if (plain) g4_log(G4_LOG_WARN, "the token is not sent over plain http");
    else g4_auth_set(r->h, r->endpoint, s.p);
    g4_str_free(&s);
    free(token);
    return 0;
}

int g4_resolve_hf(struct g4_hub *h, const char *text, struct g4_plan *plan, g4_err *err)
{
    struct repo r = { .h = h, .endpoint = endpoint_of() };
    struct listing l = {0};
    bool there = false;
    int rc = 0;
    if (!g4_place_ref_parse(text, &r.ref)) rc = g4_hub_fail(h, G4_HUB_USAGE, err, "'%s' is not ORG/REPO[:QUANT][@REV] or ORG/REPO/FILE[@REV]", text);
    if (!rc) {
        g4_str id = {0};
        g4_str_addf(&id, "%s/%s", r.ref.org, r.ref.repo);
        r.id = g4_str_take(&id);
        rc = authorize(&r, err);
    }
    if (!rc) rc = pin(&r, err);
    if (!rc) rc = list(&r, &l, &there, err);
    if (!rc && there) {
        rc = from_listing(&r, &l, plan, err);
    } else if (!rc && r.ref.file) {
        rc = from_head(&r, plan, err);
    } else if (!rc) {
        g4_log(G4_LOG_VERBOSE, "'%s' has no listings; asking as a registry", r.endpoint);
        rc = g4_registry_plan(h, r.endpoint, r.id, r.ref.quant ? r.ref.quant : "latest", "llama-cpp", plan, err);
    }
    if (!rc) name_plan(&r, plan);
    listing_clear(&l);
    repo_clear(&r);
    return rc;
}
