/* cmd/pull_fetch: one reference fetched, and what is said about it: JSONL events
 * on stdout, a bar on a terminal, or the path alone. */
#include "pull.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct say {
    const struct g4_pull *p;
    const char *ref;
    bool no_bar;
    double last; /* when the last progress event was written */
    char *model; /* path of the model that is done */
};

/* "500M", "2G", "1.5G", "1000000": decimal units, as disks and links have them. */
static int bytes_of(const char *option, const char *text, uint64_t *out, g4_err *err)
{
    char *end;
    *out = 0;
    if (!text) return 0;
    double v = strtod(text, &end);
    static const char unit[] = "kMGT";
    const char *u = *end ? strchr(unit, *end == 'K' ? 'k' : *end) : NULL;
    if (u && end > text) {
        v *= pow(1000, (double)(u - unit + 1));
        end++;
    }
    if (!isdigit((unsigned char)*text) || *end || !(v >= 1 && v < 1e18))
        return g4_fail(err, G4_EUSAGE, "'--%s' wants a number of bytes such as 500M or 2G, not '%s'", option, text);
    *out = (uint64_t)v;
    return 0;
}

int g4_pull_with(const char *text, bool *media, bool *drafter, g4_err *err)
{
    *media = *drafter = false;
    for (const char *p = text ? text : ""; *p;) {
        const size_t n = strcspn(p, ",");
        if (n == 5 && !strncmp(p, "media", n)) *media = true;
        else if (n == 7 && !strncmp(p, "drafter", n)) *drafter = true;
        else return g4_fail(err, G4_EUSAGE, "'--with' knows media and drafter, not '%.*s'", (int)n, p);
        p += n + (p[n] == ',');
    }
    return 0;
}

static void put(g4_str *s, const char *key, const char *value)
{
    if (!value) return;
    g4_str_addf(s, ",\"%s\":", key);
    g4_json_put_str(s, value, strlen(value));
}

static void put_files(g4_str *s, const struct g4_plan *plan)
{
    put(s, "source", plan->source);
    put(s, "commit", plan->commit);
    put(s, "note", plan->note);
    g4_str_adds(s, ",\"files\":[");
    for (size_t i = 0; i < plan->n; i++) {
        const struct g4_plan_file *f = &plan->file[i];
        g4_str_adds(s, i ? ",{\"path\":" : "{\"path\":");
        g4_json_put_str(s, f->path, strlen(f->path));
        put(s, "role", f->archive ? "archive" : g4_role_name(f->role));
        if (f->size >= 0) g4_str_addf(s, ",\"size\":%" PRId64, f->size);
        if (f->digest.kind == G4_DIGEST_SHA256) put(s, "sha256", f->digest.hex);
        put(s, "url", f->url ? f->url : f->local);
        g4_str_addc(s, '}');
    }
    g4_str_addf(s, "],\"total\":%" PRIu64, g4_plan_bytes(plan));
}

static void write_event(const struct say *s, const struct g4_hub_event *e)
{
    static const char *const word[] = { "resolve", "start", "progress", "verify", "done" };
    g4_str line = {0};
    g4_str_addf(&line, "{\"event\":\"%s\"", word[e->kind]);
    put(&line, "name", e->name ? e->name : s->ref);
    put(&line, "role", e->role);
    if (e->kind == G4_HUB_DONE) put(&line, "path", e->path);
    put(&line, "file", e->file);
    if (e->kind == G4_HUB_RESOLVED) put_files(&line, e->plan);
    else g4_str_addf(&line, ",\"bytes\":%" PRIu64, e->bytes);
    if (e->total && e->kind != G4_HUB_RESOLVED) g4_str_addf(&line, ",\"total\":%" PRIu64, e->total);
    put(&line, "sha256", e->sha256);
    if (e->kind == G4_HUB_DONE) g4_str_adds(&line, e->fetched ? ",\"fetched\":true" : ",\"fetched\":false");
    g4_str_addc(&line, '}');
    g4_pull_line(&line);
    g4_str_free(&line);
}

static void size_text(uint64_t bytes, char out[24])
{
    if (bytes >= 1000000000) snprintf(out, 24, "%.2f GB", (double)bytes / 1e9);
    else if (bytes >= 1000000) snprintf(out, 24, "%.0f MB", (double)bytes / 1e6);
    else snprintf(out, 24, "%" PRIu64 " bytes", bytes);
}

static void show_plan(const struct say *s, const struct g4_plan *plan)
{
    char size[24];
    if (plan->note) g4_tool_note("%s", plan->note);
    if (!s->p->dry_run) return;
    for (size_t i = 0; i < plan->n && !s->p->json; i++) {
        const struct g4_plan_file *f = &plan->file[i];
        if (f->size >= 0) size_text((uint64_t)f->size, size);
        else strcpy(size, "unknown");
        printf("%s\t%s\t%s\t%s\n", f->archive ? "archive" : g4_role_name(f->role), size, f->path, f->url ? f->url : f->local);
    }
}

static void on_event(void *arg, const struct g4_hub_event *e)
{
    struct say *s = arg;
    const double now = g4_tool_now();
    char size[24];
    if (e->kind == G4_HUB_RESOLVED) show_plan(s, e->plan);
    if (e->kind == G4_HUB_PROGRESS) {
        if (!s->no_bar) g4_tool_progress_bytes(e->bytes, e->total);
        if (now - s->last < 0.5) return;
        s->last = now;
    }
    if (e->kind == G4_HUB_DONE && !strcmp(e->role, "model") && !s->model) s->model = g4_strdup(e->path);
    if (s->p->json) write_event(s, e);
    if (e->kind != G4_HUB_DONE) return;
    size_text(e->bytes, size);
    if (s->p->print_path || s->p->json || !g4_tool_terminal()) return;
    /* A model by the name that -m takes. */
    const bool model = !strcmp(e->role, "model");
    g4_tool_note("%s '%s' (%s, %s), sha256:%s", e->fetched ? "fetched" : "already here:", model ? e->name : e->file, model ? e->file : e->role, size,
                 e->sha256);
}

static int status_of(enum g4_hub_why why)
{
    switch (why) {
    case G4_HUB_OK: return 0;
    case G4_HUB_USAGE: return G4_STATUS_USAGE;
    case G4_HUB_NOT_FOUND:
    case G4_HUB_GATED:
    case G4_HUB_INTEGRITY:
    case G4_HUB_FORMAT: return G4_STATUS_MODEL;
    default: return G4_STATUS_IO;
    }
}

static void fail(const struct say *s, enum g4_hub_why why, const g4_err *err)
{
    g4_tool_progress_hide();
    if (s->p->json) {
        g4_str line = {0};
        g4_str_adds(&line, "{\"event\":\"error\"");
        put(&line, "name", s->ref);
        g4_str_addf(&line, ",\"error\":{\"code\":\"%s\"", g4_hub_why_name(why));
        put(&line, "message", err->msg);
        g4_str_adds(&line, "}}");
        g4_pull_line(&line);
        g4_str_free(&line);
    }
    g4_tool_error("%s", err->msg);
    g4_tool_fail(status_of(why));
}

/* A reference as it may be shown: an address without its password.  Caller frees. */
static char *shown(const char *ref)
{
    const char *host = strstr(ref, "://"), *at = host ? strchr(host + 3, '@') : NULL;
    g4_str s = {0};
    if (!at || at > host + 3 + strcspn(host + 3, "/?#")) return g4_strdup(ref);
    g4_str_add(&s, ref, (size_t)(host + 3 - ref));
    g4_str_adds(&s, at + 1);
    return g4_str_take(&s);
}

void g4_pull_fetch(const struct g4_pull *p, const char *ref)
{
    char *name = shown(ref);
    struct say s = { .p = p, .ref = name, .no_bar = g4_hub_env_true("HF_HUB_DISABLE_PROGRESS_BARS") };
    g4_err err = {0};
    enum g4_hub_why why = G4_HUB_OK;
    struct g4_hub_params h = {
        .proxy = p->proxy, .cafile = p->cafile, .token_file = p->token_file, .pin = p->pin, .name = p->name, .jobs = p->jobs,
        .retries = p->retries + 1, .retry_delay = p->retry_delay, .stall = p->stall, .netrc = p->netrc,
        .insecure_http = p->insecure_http, .offline = p->offline || g4_hub_env_true("HF_HUB_OFFLINE") || g4_hub_env_true("TRANSFORMERS_OFFLINE"), .force = p->force, .copy = p->copy,
        .no_space_check = p->no_space_check, .dry_run = p->dry_run, .event = on_event, .arg = &s,
    };
    int rc = bytes_of("max-size", p->max_size, &h.max_size, &err);
    if (!rc) rc = bytes_of("limit-rate", p->limit_rate, &h.rate, &err);
    if (!rc) rc = g4_pull_with(p->with, &h.media, &h.drafter, &err);
    if (rc) why = G4_HUB_USAGE;
    else rc = g4_hub_pull(&h, ref, &why, &err);
    g4_tool_progress_hide();
    if (rc) fail(&s, why, &err);
    else if (p->print_path && s.model) printf("%s\n", s.model);
    free(s.model);
    free(name);
}
