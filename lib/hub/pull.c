/* hub/pull: from a reference to a model with a name in the store; see hub.h.
 *
 * Order: resolve, tell the plan, lock the store against gc, fetch, unpack, compare
 * with the pin, write the manifests, tell what is done.  Nothing has a name in the
 * store before all of it is right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "hub/alias.h"
#include "hub/install.h"
#include "weights/store_write.h"

enum { NAMES_MAX = 32 };

bool g4_hub_env_true(const char *var)
{
    static const char *const yes[] = { "1", "on", "yes", "true" };
    const char *v = getenv(var);
    for (size_t i = 0; v && i < sizeof yes / sizeof *yes; i++)
        if (!strcasecmp(v, yes[i])) return true;
    return false;
}

static void tell(const struct g4_hub *h, const struct g4_hub_event *e)
{
    if (h->p->event) h->p->event(h->p->arg, e);
}

/* ---- what is here, without the network ------------------------------------------------- */

static int find_offline(struct g4_hub *h, const char *ref, g4_err *err)
{
    char *digest = NULL, *path = g4_store_find(ref, &digest, NULL);
    size_t n = 0;
    struct g4_alias *a = path ? NULL : g4_aliases(&n, NULL);
    for (size_t i = 0; i < n && !path; i++)
        if (!strcmp(a[i].name, ref)) path = g4_store_find(a[i].ref, &digest, NULL);
    g4_aliases_free(a, n);
    char *real = path ? realpath(path, NULL) : NULL;
    if (real) {
        const char *hex = digest && !strncmp(digest, "sha256:", 7) ? digest + 7 : NULL;
        struct stat st;
        const uint64_t bytes = !stat(real, &st) && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
        tell(h, &(struct g4_hub_event){ .kind = G4_HUB_DONE, .name = ref, .file = strrchr(real, '/') + 1, .role = "model", .path = path[0] == '/' ? path : real,
                                        .sha256 = hex, .bytes = bytes, .total = bytes });
    } else {
        g4_hub_fail(h, G4_HUB_OFFLINE, err, "offline: '%s' is not on this machine", ref);
    }
    free(real);
    free(path);
    free(digest);
    return real ? 0 : G4_EIO;
}

/* ---- the pin -------------------------------------------------------------------------------- */

/* The pin becomes the digest that the one model file must have.  A joined model is
 * compared when it is whole. */
static int apply_pin(struct g4_hub *h, struct g4_plan *plan, struct g4_digest *pin, g4_err *err)
{
    const char *text = h->p->pin ? h->p->pin : plan->pin;
    struct g4_plan_file *model = NULL;
    if (!text) return 0;
    if (!g4_digest_parse(text, strlen(text), pin)) return g4_hub_fail(h, G4_HUB_USAGE, err, "'%s' is not sha256: and 64 hex digits", text);
    for (size_t i = 0; i < plan->n; i++) {
        struct g4_plan_file *f = &plan->file[i];
        if (f->role != G4_ROLE_MODEL || f->archive) continue;
        if (model) return g4_hub_fail(h, G4_HUB_USAGE, err, "'%s' has several files: a pin cannot be compared", plan->name);
        model = f;
    }
    if (!model) return 0;
    if (model->digest.kind == G4_DIGEST_SHA256 && strcmp(model->digest.hex, pin->hex))
        return g4_hub_fail(h, G4_HUB_INTEGRITY, err, "'%s' has SHA-256 %s, and the pin wants %s; nothing is fetched", model->path, model->digest.hex, pin->hex);
    model->digest = *pin;
    return 0;
}

static int compare_pin(struct g4_hub *h, const struct g4_install *x, const struct g4_digest *pin, g4_err *err)
{
    if (!pin->kind) return 0;
    for (size_t i = 0; i < x->n; i++) {
        if (x->v[i].role != G4_ROLE_MODEL || !strcmp(x->v[i].sha256, pin->hex)) continue;
        if (x->v[i].fresh) unlink(x->v[i].path);
        return g4_hub_fail(h, G4_HUB_INTEGRITY, err, "'%s' has SHA-256 %s, and the pin wants %s; nothing is installed", x->v[i].name, x->v[i].sha256, pin->hex);
    }
    return 0;
}

/* A source that names one file has nothing beside it; archives and folders of
 * safetensors bring what they hold. */
static int check_beside(struct g4_hub *h, const struct g4_plan *plan, g4_err *err)
{
    bool mmproj = !h->p->media, drafter = !h->p->drafter;
    for (size_t i = 0; i < plan->n; i++) {
        const struct g4_plan_file *f = &plan->file[i];
        if (f->archive || strstr(f->path, ".safetensors")) return 0;
        mmproj |= f->role == G4_ROLE_MMPROJ;
        drafter |= f->role == G4_ROLE_DRAFTER;
    }
    if (mmproj && drafter) return 0;
    return g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' is one file: --with has nothing to look for beside it", plan->name);
}

/* ---- names ------------------------------------------------------------------------------------- */

struct names {
    const char *v[NAMES_MAX];
    size_t n;
};

static void add_name(struct names *x, const char *name)
{
    for (size_t i = 0; i < x->n; i++)
        if (!strcmp(x->v[i], name)) return;
    if (x->n < NAMES_MAX) x->v[x->n++] = name;
}

/* The canonical name, the short name, the user's, and short names for the same reference. */
static void collect_names(const struct g4_hub *h, const struct g4_plan *plan, const char *ref, const struct g4_alias *a, size_t n, struct names *out)
{
    if (plan->alias) add_name(out, plan->alias);
    if (h->p->name) add_name(out, h->p->name);
    add_name(out, plan->name);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(a[i].ref, ref) && (!a[i].pin || !h->p->pin || !strcmp(a[i].pin, h->p->pin))) add_name(out, a[i].name);
}

/* What all archives of a plan are, in one text; the caller frees. */
static char *archives_identity(const struct g4_plan *plan)
{
    uint8_t sum[32];
    char hex[65];
    bool any = false;
    g4_sha256 s;
    g4_str out = {0};
    g4_sha256_init(&s);
    for (size_t i = 0; i < plan->n; i++) {
        const struct g4_plan_file *f = &plan->file[i];
        if (!f->archive || !f->identity) continue;
        any = true;
        g4_sha256_add(&s, f->identity, strlen(f->identity) + 1);
        if (f->inner) g4_sha256_add(&s, f->inner, strlen(f->inner));
    }
    g4_sha256_end(&s, sum);
    g4_hex(sum, 32, hex);
    if (any) g4_str_addf(&out, "archives:%s", hex);
    return any ? g4_str_take(&out) : NULL;
}

static int write_manifests(struct g4_hub *h, struct g4_store_entry *e, const struct names *names, char **path, g4_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < names->n && !rc; i++) {
        char *p = NULL;
        e->name = names->v[i];
        if (g4_store_put(h->root, e, &p, err)) rc = g4_hub_fail(h, G4_HUB_IO, err, "cannot write a manifest");
        if (i) free(p);
        else *path = p;
    }
    return rc;
}

static void tell_done(const struct g4_hub *h, const struct g4_store_entry *e, const struct names *names, const char *model, const bool *fresh)
{
    bool first = true;
    for (size_t i = 0; i < e->n; i++) {
        const struct g4_store_file *f = &e->file[i];
        const bool is_model = !strcmp(f->role, "model");
        g4_str s = {0};
        if (is_model && first) g4_str_adds(&s, model);
        else if (f->local) g4_str_adds(&s, f->local);
        else g4_str_addf(&s, "%s/blobs/sha256-%s", h->root, f->digest + 7);
        if (is_model) first = false;
        tell(h, &(struct g4_hub_event){ .kind = G4_HUB_DONE, .name = names->v[0], .file = f->path, .role = f->role, .path = s.p,
                                        .sha256 = f->digest + 7, .bytes = f->size, .total = f->size, .fetched = fresh && fresh[i] });
        g4_str_free(&s);
    }
}

/* A plan of archives that was installed before, and is whole. */
static int reuse(struct g4_hub *h, const struct g4_plan *plan, const char *identity, const struct names *names, bool *done, g4_err *err)
{
    g4_arena keep = {0};
    struct g4_store_entry e;
    char *path = NULL;
    int rc = 0;
    *done = identity && !h->p->force && g4_store_load(h->root, plan->name, &keep, &e) && e.identity && !strcmp(e.identity, identity);
    struct g4_digest pin;
    const char *text = h->p->pin ? h->p->pin : plan->pin;
    for (size_t i = 0; *done && text && i < e.n; i++)
        if (!strcmp(e.file[i].role, "model") && g4_digest_parse(text, strlen(text), &pin) && strcmp(e.file[i].digest + 7, pin.hex)) *done = false;
    if (*done) {
        rc = write_manifests(h, &e, names, &path, err);
        if (!rc) tell_done(h, &e, names, path, NULL);
    }
    free(path);
    g4_arena_free(&keep);
    return rc;
}

static bool has_file(const struct g4_store_entry *e, const struct g4_plan_file *f)
{
    for (size_t i = 0; i < e->n; i++)
        if (!strcmp(e->file[i].path, f->path) && f->digest.kind == G4_DIGEST_SHA256 && !strcmp(e->file[i].digest + 7, f->digest.hex)) return true;
        else if (f->identity && e->file[i].identity && !strcmp(e->file[i].identity, f->identity)) return true;
    return false;
}

/* In a store that only others may write to, such as an administrator's, a model that
 * is installed already is found, not written once more. */
static bool told_in_place(struct g4_hub *h, const struct g4_plan *plan, const char *identity, const struct names *names)
{
    g4_arena keep = {0};
    struct g4_store_entry e;
    char *path = NULL;
    bool here = !h->p->force && !access(h->root, F_OK) && access(h->root, W_OK) && g4_store_load(h->root, plan->name, &keep, &e);
    if (here && identity) here = e.identity && !strcmp(e.identity, identity);
    for (size_t i = 0; i < plan->n && here && !identity; i++) here = has_file(&e, &plan->file[i]);
    if (here) path = g4_store_find(plan->name, NULL, NULL);
    if (path) tell_done(h, &e, names, path, NULL);
    free(path);
    g4_arena_free(&keep);
    return here;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

/* A projector or a drafter that was pulled with this very model before stays
 * beside it, also when it was not asked for this time. */
static size_t keep_beside(const struct g4_hub *h, const struct g4_plan *plan, g4_arena *keep, struct g4_store_file *f, size_t n)
{
    static const char *const role[] = { "mmproj", "drafter" };
    struct g4_store_entry old;
    bool same = false, here[2] = { false, false };
    if (!g4_store_load(h->root, plan->name, keep, &old)) return n;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < old.n; k++) same |= !strcmp(f[i].role, "model") && !strcmp(old.file[k].role, "model") && !strcmp(f[i].digest, old.file[k].digest);
        for (size_t r = 0; r < 2; r++) here[r] |= !strcmp(f[i].role, role[r]);
    }
    for (size_t k = 0; k < old.n && same; k++)
        for (size_t r = 0; r < 2; r++)
            if (!here[r] && !strcmp(old.file[k].role, role[r])) {
                here[r] = true;
                f[n++] = old.file[k];
            }
    return n;
}

static int publish(struct g4_hub *h, const struct g4_plan *plan, const struct g4_install *x, const char *identity, const struct names *names, g4_err *err)
{
    struct g4_store_file *f = g4_alloc((x->n + 2) * sizeof *f);
    bool *fresh = g4_alloc(x->n + 2);
    g4_arena keep = {0};
    char (*digest)[72] = g4_alloc((x->n + 1) * sizeof *digest);
    char *path = NULL;
    for (size_t i = 0; i < x->n; i++) {
        const struct g4_installed *v = &x->v[i];
        snprintf(digest[i], sizeof digest[i], "sha256:%s", v->sha256);
        f[i] = (struct g4_store_file){ .path = v->name, .role = g4_role_name(v->role), .digest = digest[i], .identity = v->identity,
                                       .local = v->local ? v->path : NULL, .size = v->size };
        fresh[i] = v->fresh;
    }
    struct g4_store_entry e = { .source = plan->source, .commit = plan->commit, .identity = identity, .file = f,
                                .n = keep_beside(h, plan, &keep, f, x->n) };
    const int rc = write_manifests(h, &e, names, &path, err);
    if (!rc) tell_done(h, &e, names, path, fresh);
    g4_arena_free(&keep);
    free(path);
    free(f);
    free(fresh);
    free(digest);
    return rc;
}

static int fetch_and_install(struct g4_hub *h, const struct g4_plan *plan, const char *identity, const struct g4_digest *pin, const struct names *names,
                             g4_err *err)
{
    struct g4_fetched *got = g4_alloc((plan->n + 1) * sizeof *got);
    struct g4_install x = {0};
    int rc = g4_fetch(h, plan, got, err);
    if (!rc && g4_install_files(h, plan, got, &x, err)) rc = g4_hub_fail(h, G4_HUB_IO, err, "cannot install");
    if (!rc) rc = compare_pin(h, &x, pin, err);
    if (!rc) rc = publish(h, plan, &x, identity, names, err);
    for (size_t i = 0; i < plan->n; i++)
        if (got[i].path && plan->file[i].archive && (!rc || h->why == G4_HUB_INTEGRITY || h->why == G4_HUB_FORMAT)) unlink(got[i].path);
    g4_install_clear(&x);
    g4_fetched_clear(got, plan->n);
    return rc;
}

static void say_waiting(const char *name)
{
    g4_log(G4_LOG_INFO, "the store is being tidied up; waiting");
}

static int make_folders(struct g4_hub *h, g4_err *err)
{
    static const char *const sub[] = { "tmp", "blobs" };
    int rc = 0;
    for (size_t i = 0; i < 2 && !rc; i++) {
        g4_str s = {0};
        g4_str_addf(&s, "%s/%s", h->root, sub[i]);
        if (g4_mkdirs(s.p, 0755, err)) rc = g4_hub_fail(h, G4_HUB_IO, err, "no store");
        g4_str_free(&s);
    }
    /* Paths that are told are absolute, whatever G4_STORE says. */
    char *real = rc ? NULL : realpath(h->root, NULL);
    if (real) {
        free(h->root);
        h->root = real;
    }
    return rc;
}

static int carry_out(struct g4_hub *h, struct g4_plan *plan, const char *ref, g4_err *err)
{
    struct g4_digest pin = {0};
    struct names names = {0};
    size_t n_alias = 0;
    bool done = false;
    int lock = -1, rc = check_beside(h, plan, err);
    if (!rc) rc = apply_pin(h, plan, &pin, err);
    if (!rc && h->p->max_size && g4_plan_bytes(plan) > h->p->max_size)
        rc = g4_hub_fail(h, G4_HUB_USAGE, err, "'%s' has %.1f MB, more than --max-size allows", plan->name, (double)g4_plan_bytes(plan) / 1e6);
    if (!rc) tell(h, &(struct g4_hub_event){ .kind = G4_HUB_RESOLVED, .plan = plan, .name = plan->name });
    if (rc || h->p->dry_run) return rc;
    struct g4_alias *a = g4_aliases(&n_alias, NULL);
    char *identity = archives_identity(plan);
    collect_names(h, plan, ref, a, n_alias, &names);
    done = told_in_place(h, plan, identity, &names);
    if (!done) rc = make_folders(h, err);
    if (!rc && !done && (lock = g4_store_lock(h->root, "store", false, true, say_waiting, err)) < 0) rc = g4_hub_fail(h, G4_HUB_IO, err, "no lock");
    if (!rc && !done) rc = reuse(h, plan, identity, &names, &done, err);
    if (!rc && !done) rc = fetch_and_install(h, plan, identity, &pin, &names, err);
    if (lock >= 0) close(lock);
    free(identity);
    g4_aliases_free(a, n_alias);
    return rc;
}

int g4_hub_pull(const struct g4_hub_params *p, const char *ref, enum g4_hub_why *why, g4_err *err)
{
    struct g4_hub h = { .p = p, .root = g4_store_root() };
    struct g4_plan plan = {0};
    int rc = 0;
    struct g4_digest pin;
    if (p->pin && !g4_digest_parse(p->pin, strlen(p->pin), &pin)) rc = g4_hub_fail(&h, G4_HUB_USAGE, err, "'%s' is not sha256: and 64 hex digits", p->pin);
    else if (!h.root) rc = g4_hub_fail(&h, G4_HUB_IO, err, "no place for the store: neither G4_STORE, XDG_DATA_HOME nor HOME is set");
    else if (p->offline) rc = find_offline(&h, ref, err);
    else {
        rc = g4_net_open(&h, err);
        if (!rc) rc = g4_hub_resolve(&h, ref, &plan, err);
        if (!rc) rc = carry_out(&h, &plan, ref, err);
        g4_net_close(&h);
    }
    *why = rc && !h.why ? G4_HUB_IO : rc ? h.why : G4_HUB_OK;
    g4_plan_free(&plan);
    free(h.root);
    return rc;
}
