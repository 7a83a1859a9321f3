/* cmd/pull_store: what g4-pull does without the network. */
#include "pull.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool g4_pull_is_local(const struct g4_pull *p)
{
    return p->list || p->where || p->rm || p->gc || p->verify || p->aliases || p->info;
}

static void size_text(uint64_t bytes, char out[16])
{
    static const char *const unit[] = { "B", "kB", "MB", "GB", "TB" };
    double v = (double)bytes;
    size_t i = 0;
    for (; v >= 999.5 && i < 4; i++) v /= 1000;
    snprintf(out, 16, v < 9.995 && i ? "%.1f %s" : "%.0f %s", v, unit[i]);
}

/* ---- --list --------------------------------------------------------------------- */

struct row {
    char *name, *place, *path, *digest, *source;
    char type[16], can[64];
    uint64_t bytes, context;
};

struct table {
    struct row *row;
    size_t n, cap;
    bool names_only;
};

static const char *kv_text(const g4_weights *w, const char *key, g4_str *out)
{
    g4_sv v;
    const g4_kv *kv = g4_weights_kv(w, key);
    g4_str_clear(out);
    if (!kv || !g4_kv_str(kv, &v)) return "";
    g4_str_add(out, v.p, v.n);
    return out->p ? out->p : "";
}

static void add_can(struct row *r, const char *word)
{
    const size_t n = strlen(r->can);
    snprintf(r->can + n, sizeof r->can - n, "%s%s", n ? "," : "", word);
}

/* What a GGUF's header says; a folder's config.json is left to --info. */
static void look_inside(struct row *r, const struct g4_store_model *m)
{
    g4_weights *w = g4_weights_open(r->path, 0, NULL);
    if (!w) {
        add_can(r, "unreadable");
        return;
    }
    g4_str s = {0}, key = {0};
    uint64_t type;
    const g4_kv *kv = g4_weights_kv(w, "general.file_type");
    if (kv && g4_kv_u64(kv, 0, &type) && g4_names_file_type(type)) snprintf(r->type, sizeof r->type, "%s", g4_names_file_type(type));
    const char *arch = kv_text(w, "general.architecture", &s);
    g4_str_addf(&key, "%s.context_length", arch);
    kv = g4_weights_kv(w, key.p);
    if (kv) g4_kv_u64(kv, 0, &r->context);
    if (strstr(arch, "embedding")) add_can(r, "embed");
    const char *chat = kv_text(w, "tokenizer.chat_template", &s);
    if (*chat) add_can(r, "chat");
    if (strstr(chat, "tool")) add_can(r, "tools");
    if (strstr(chat, "think")) add_can(r, "think");
    struct g4_store_beside beside;
    g4_store_beside(m->name, m->path, &beside);
    if (beside.mmproj || g4_weights_find(w, "v.patch_embd.weight")) add_can(r, "media");
    if (beside.drafter) add_can(r, "drafter");
    free(beside.mmproj);
    free(beside.drafter);
    g4_str_free(&s);
    g4_str_free(&key);
    g4_weights_free(w);
}

static int add_row(void *arg, const struct g4_store_model *m)
{
    struct table *t = arg;
    if (t->names_only) {
        printf("%s\n", m->name);
        return 0;
    }
    G4_GROW(t->row, t->cap, t->n + 1);
    struct row *r = &t->row[t->n++];
    *r = (struct row){ .name = g4_strdup(m->name), .place = g4_strdup(m->place), .path = g4_strdup(m->path), .bytes = m->bytes };
    r->digest = m->digest ? g4_strdup(m->digest) : NULL;
    r->source = m->source ? g4_strdup(m->source) : NULL;
    look_inside(r, m);
    return 0;
}

static void member(g4_str *s, const char *key, const char *value)
{
    g4_str_addf(s, ",\"%s\":", key);
    if (value && *value) g4_json_put_str(s, value, strlen(value));
    else g4_str_adds(s, "null");
}

static void row_json(const struct row *r)
{
    g4_str s = {0};
    g4_str_adds(&s, "{\"name\":");
    g4_json_put_str(&s, r->name, strlen(r->name));
    g4_str_addf(&s, ",\"size\":%" PRIu64, r->bytes);
    member(&s, "quantization", r->type);
    if (r->context) g4_str_addf(&s, ",\"context\":%" PRIu64, r->context);
    else g4_str_adds(&s, ",\"context\":null");
    g4_str_adds(&s, ",\"capabilities\":[");
    for (const char *p = r->can; *p;) {
        const size_t n = strcspn(p, ",");
        if (p > r->can) g4_str_addc(&s, ',');
        g4_json_put_str(&s, p, n);
        p += n + (p[n] == ',');
    }
    g4_str_addc(&s, ']');
    member(&s, "place", r->place);
    member(&s, "path", r->path);
    member(&s, "digest", r->digest);
    member(&s, "source", r->source);
    g4_str_addc(&s, '}');
    g4_pull_line(&s);
    g4_str_free(&s);
}

static void print_table(const struct table *t)
{
    int name = 4, place = 5;
    for (size_t i = 0; i < t->n; i++) {
        if ((int)strlen(t->row[i].name) > name) name = (int)strlen(t->row[i].name);
        if ((int)strlen(t->row[i].place) > place) place = (int)strlen(t->row[i].place);
    }
    if (t->n) printf("%-*s  %8s  %-8s %8s  %-*s  %s\n", name, "NAME", "SIZE", "TYPE", "CONTEXT", place, "PLACE", "CAN");
    for (size_t i = 0; i < t->n; i++) {
        const struct row *r = &t->row[i];
        char size[16], context[24] = "-";
        size_text(r->bytes, size);
        if (r->context) snprintf(context, sizeof context, "%" PRIu64, r->context);
        printf("%-*s  %8s  %-8s %8s  %-*s  %s\n", name, r->name, size, *r->type ? r->type : "-", context, place, r->place,
               *r->can ? r->can : "-");
    }
}

static int list(const struct g4_pull *p)
{
    struct table t = { .names_only = p->quiet && !p->json }; /* for completions: nothing is opened */
    g4_store_list(add_row, &t);
    for (size_t i = 0; i < t.n && p->json; i++) row_json(&t.row[i]);
    if (!p->json && !t.names_only) print_table(&t);
    for (size_t i = 0; i < t.n; i++) {
        free(t.row[i].name);
        free(t.row[i].place);
        free(t.row[i].path);
        free(t.row[i].digest);
        free(t.row[i].source);
    }
    free(t.row);
    return 0;
}

/* ---- --where, --rm, --gc, --aliases ------------------------------------------------ */

/* With --with: the paths of what stands beside it too. */
static int where(const struct g4_pull *p, const char *name, g4_err *err)
{
    struct g4_store_beside beside;
    bool media, drafter;
    int rc = g4_pull_with(p->with, &media, &drafter, err);
    char *path = rc ? NULL : g4_store_find(name, NULL, err);
    if (!path) return err->code;
    g4_store_beside(name, path, &beside);
    if (media && !beside.mmproj) rc = g4_fail(err, G4_EMODEL, "'%s' has no projector here (g4-pull --with media fetches one)", name);
    else if (drafter && !beside.drafter) rc = g4_fail(err, G4_EMODEL, "'%s' has no drafter here (g4-pull --with drafter fetches one)", name);
    if (!rc) printf("%s\n", path);
    if (!rc && media) printf("%s\n", beside.mmproj);
    if (!rc && drafter) printf("%s\n", beside.drafter);
    free(beside.mmproj);
    free(beside.drafter);
    free(path);
    return rc;
}

static int rm(const char *name, g4_err *err)
{
    uint64_t freed;
    char size[16];
    const int rc = g4_store_remove(name, &freed, err);
    if (rc) return rc;
    size_text(freed, size);
    g4_tool_note("'%s' is removed, %s freed", name, size);
    return 0;
}

static int gc(g4_err *err)
{
    uint64_t freed;
    size_t n;
    char size[16];
    const int rc = g4_store_gc(&freed, &n, err);
    if (rc) return rc;
    size_text(freed, size);
    g4_tool_note("%zu files removed, %s freed", n, size);
    return 0;
}

static int aliases(const struct g4_pull *p, g4_err *err)
{
    size_t n;
    int width = 0;
    struct g4_alias *a = g4_aliases(&n, err);
    if (!a) return err->code;
    for (size_t i = 0; i < n; i++)
        if ((int)strlen(a[i].name) > width) width = (int)strlen(a[i].name);
    for (size_t i = 0; i < n; i++) {
        if (!p->json) {
            printf("%-*s  %s%s%s\n", width, a[i].name, a[i].ref, a[i].pin ? "  " : "", a[i].pin ? a[i].pin : "");
            continue;
        }
        g4_str s = {0};
        g4_str_adds(&s, "{\"name\":");
        g4_json_put_str(&s, a[i].name, strlen(a[i].name));
        member(&s, "reference", a[i].ref);
        member(&s, "pin", a[i].pin);
        g4_str_addc(&s, '}');
        g4_pull_line(&s);
        g4_str_free(&s);
    }
    g4_aliases_free(a, n);
    return 0;
}

/* ---- --verify ------------------------------------------------------------------------- */

struct check {
    const struct g4_pull *p;
    char **seen; /* paths done already: several names may share a file */
    size_t n, cap;
};

static void verdict(const struct check *c, const char *name, const char *path, const char *want, const char *got, const char *word)
{
    if (!c->p->json) {
        printf("%s: %s\n", name, word);
        return;
    }
    g4_str s = {0};
    g4_str_adds(&s, "{\"event\":\"verify\"");
    member(&s, "name", name);
    member(&s, "path", path);
    member(&s, "sha256", got);
    member(&s, "expected", want);
    member(&s, "result", word);
    g4_str_addc(&s, '}');
    g4_pull_line(&s);
    g4_str_free(&s);
}

static void verify_file(struct check *c, const char *name, const char *path, const char *digest)
{
    char hex[65];
    g4_err err = {0};
    if (!digest || strncmp(digest, "sha256:", 7)) {
        verdict(c, name, path, NULL, NULL, "no digest is known");
        return;
    }
    if (g4_store_sha256(path, hex, &err)) {
        g4_tool_fail_err(&err);
        return;
    }
    const bool same = !strcmp(hex, digest + 7);
    verdict(c, name, path, digest + 7, hex, same ? "ok" : "corrupt");
    if (same) return;
    g4_tool_error("'%s' is corrupt: SHA-256 %s instead of %s (remove it and pull it again)", path, hex, digest + 7);
    g4_tool_fail(G4_STATUS_MODEL);
}

static int verify_own(void *arg, const struct g4_store_model *m)
{
    struct check *c = arg;
    if (strcmp(m->place, "g4")) return 0;
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->seen[i], m->path)) return 0;
    G4_GROW(c->seen, c->cap, c->n + 1);
    c->seen[c->n++] = g4_strdup(m->path);
    verify_file(c, m->name, m->path, m->digest);
    return 0;
}

static void verify(const struct g4_pull *p, const struct g4_opts *opts)
{
    struct check c = { .p = p };
    if (!opts->operands.n) g4_store_list(verify_own, &c);
    for (size_t i = 0; i < opts->operands.n; i++) {
        g4_err err = {0};
        char *digest, *path = g4_store_find(opts->operands.v[i], &digest, &err);
        if (path) verify_file(&c, opts->operands.v[i], path, digest);
        else g4_tool_fail_err(&err);
        free(path);
        free(digest);
    }
    for (size_t i = 0; i < c.n; i++) free(c.seen[i]);
    free(c.seen);
}

/* ---- which of them --------------------------------------------------------------------- */

int g4_pull_local(const struct g4_pull *p, const struct g4_opts *opts, g4_err *err)
{
    const struct g4_opt_list *names = &opts->operands;
    if (p->list + p->where + p->rm + p->gc + p->verify + p->aliases + p->info > 1)
        return g4_fail(err, G4_EUSAGE, "--list, --where, --rm, --gc, --verify, --aliases and --info exclude each other");
    if ((p->list || p->gc || p->aliases) && names->n) return g4_fail(err, G4_EUSAGE, "'%s': no name is wanted here", names->v[0]);
    if ((p->where || p->rm || p->info) && !names->n) return g4_fail(err, G4_EUSAGE, "no model is named");
    if (p->list) return list(p);
    if (p->aliases) return aliases(p, err);
    if (p->verify) verify(p, opts);
    if (p->verify) return 0;
    if (p->gc) return gc(err);
    for (size_t i = 0; i < names->n; i++) {
        g4_err why = {0};
        const char *name = names->v[i];
        if (p->rm ? rm(name, &why) : p->info ? g4_pull_info(p, name, &why) : where(p, name, &why)) g4_tool_fail_err(&why);
    }
    return 0;
}
