/* record/input: see input.h. */
#include "record/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/jq.h"
#include "base/log.h"
#include "base/mem.h"
#include "record/request.h"

/* Where a scan through JSON text stands, to tell when a value is complete. */
struct scan {
    long depth;
    bool in_string, escaped;
};

struct g4_input {
    struct g4_input_params p;
    g4_source *source;
    g4_jq *map;
    g4_str parts;          /* attached files as content parts */
    uint64_t seq;
    bool ended, failed, any;
    g4_record *first, **last; /* records made and not taken */
    g4_str text;           /* DOCUMENT: the inputs joined; JSON: a value so far */
    size_t n_file;         /* DOCUMENT: files joined */
    struct scan scan;
    uint64_t text_line;    /* JSON: the line the value began on */
};

void g4_record_free(g4_record *r)
{
    if (!r) return;
    free(r->where);
    g4_str_free(&r->json);
    g4_str_free(&r->text);
    g4_str_free(&r->request);
    free(r);
}

g4_sv g4_record_request(const g4_record *r)
{
    return r->request.n ? (g4_sv){ r->request.p, r->request.n } : r->root;
}

/* ---- making records ------------------------------------------------------ */

static g4_record *record_new(const char *name, uint64_t line)
{
    g4_record *r = g4_alloc(sizeof *r);
    g4_str where = {0};
    g4_str_adds(&where, name);
    if (line) g4_str_addf(&where, ":%llu", (unsigned long long)line);
    r->where = g4_str_take(&where);
    r->line = line;
    return r;
}

g4_record *g4_record_next(const g4_record *r, g4_str *json, bool prefill)
{
    g4_record *next = g4_alloc(sizeof *next);
    next->where = g4_strdup(r->where);
    next->seq = r->seq;
    next->line = r->line;
    next->hash = r->hash;
    next->json = *json;
    *json = (g4_str){0};
    if (!g4_json_check(next->json.p, next->json.n, &next->root, &next->err)) g4_request_make(next, prefill, (g4_sv){0});
    return next;
}

static void enqueue(g4_input *in, g4_record *r)
{
    r->seq = in->seq++;
    const g4_sv q = g4_record_request(r);
    r->hash = g4_hash64(r->json.p, r->json.n, g4_hash64(q.p, q.n, (uint64_t)r->err.code));
    *in->last = r;
    in->last = &r->next;
}

/* The record's JSON is complete and checked: make its request. */
static void finish(g4_input *in, g4_record *r)
{
    if (!r->err.code && g4_json_type(r->root) != G4_JSON_OBJECT)
        g4_fail(&r->err, G4_EINPUT, "a record must be a JSON object");
    if (!r->err.code && !in->p.plain) g4_request_make(r, in->p.prefill, (g4_sv){ in->parts.p, in->parts.n });
    enqueue(in, r);
}

static void put_member(g4_str *s, const char *name, const char *text, size_t n)
{
    g4_str_addf(s, "%c\"%s\":", s->n ? ',' : '{', name);
    g4_json_put_str(s, text, n);
}

static void refuse(g4_input *in, const char *name, uint64_t line, int code, const char *why)
{
    g4_record *r = record_new(name, line);
    if (!line) put_member(&r->json, "path", name, strlen(name));
    g4_str_adds(&r->json, line ? "{}" : "}");
    r->root = (g4_json){ r->json.p, r->json.n };
    g4_fail(&r->err, code, "%s", why);
    enqueue(in, r);
}

/* ---- the user's jq program ----------------------------------------------- */

struct mapping {
    g4_input *in;
    const char *name;
    uint64_t line;
};

static int mapped(void *arg, const char *json, size_t n, const g4_sv *raw)
{
    const struct mapping *m = arg;
    g4_record *r = record_new(m->name, m->line);
    if (raw) {
        put_member(&r->json, "prompt", raw->p, raw->n);
        g4_str_addc(&r->json, '}');
    } else {
        g4_str_add(&r->json, json, n);
    }
    r->root = (g4_json){ r->json.p, r->json.n };
    finish(m->in, r);
    return 0;
}

/* The record made, NULL when it was mapped or refused. */
static g4_record *take_json(g4_input *in, const char *name, uint64_t line, g4_str *text)
{
    g4_record *r = record_new(name, line);
    r->json = *text;
    *text = (g4_str){0};
    if (g4_json_check(r->json.p, r->json.n, &r->root, &r->err)) {
        char why[sizeof r->err.msg];
        snprintf(why, sizeof why, "%s", r->err.msg);
        g4_record_free(r);
        refuse(in, name, line, G4_EINPUT, why);
        return NULL;
    }
    if (in->map) {
        struct mapping m = { in, name, line };
        g4_err err = {0};
        if (g4_jq_run(in->map, r->root, mapped, &m, &err)) refuse(in, name, line, G4_EINPUT, err.msg);
        g4_record_free(r);
        return NULL;
    }
    finish(in, r);
    return r;
}

/* ---- items --------------------------------------------------------------- */

static bool is_blank(const char *p, size_t n)
{
    while (n && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) p++, n--;
    return n == 0;
}

/* Bytes of a document: the newline at its end belongs to the file, not to the question. */
static size_t without_newline(const g4_input *in, const char *p, size_t n)
{
    if (in->p.keep_text) return n;
    if (n && p[n - 1] == '\n') n--;
    if (n && p[n - 1] == '\r') n--;
    return n;
}

static void note_utf8(const char *name, const char *p, size_t n)
{
    size_t at;
    if (!g4_utf8_valid(p, n, &at)) g4_log(G4_LOG_WARN, "%s: not UTF-8 (byte %zu): read with U+FFFD", name, at);
}

static void take_line(g4_input *in, struct g4_item *item)
{
    size_t n = item->n;
    if (n && item->bytes[n - 1] == '\r') n--;
    if (memchr(item->bytes, 0, n)) {
        refuse(in, item->name, item->line, G4_EINPUT, "line holds a NUL byte");
        return;
    }
    note_utf8(item->name, item->bytes, n);
    g4_str text = {0};
    put_member(&text, "prompt", item->bytes, n);
    g4_str_addc(&text, '}');
    g4_record *r = take_json(in, item->name, item->line, &text);
    if (r && in->p.keep_text) g4_str_add(&r->text, item->bytes, n);
}

/* The record carries the path, the request the document; a jq program sees both. */
static void take_file(g4_input *in, struct g4_item *item)
{
    g4_str text = {0}, json = {0};
    note_utf8(item->name, item->bytes, item->n);
    put_member(&json, "path", item->name, strlen(item->name));
    g4_str_add(&text, json.p, json.n);
    g4_str_addc(&json, '}');
    put_member(&text, "prompt", item->bytes, without_newline(in, item->bytes, item->n));
    g4_str_addc(&text, '}');
    if (in->map) {
        take_json(in, item->name, 0, &text);
        g4_str_free(&json);
        return;
    }
    g4_record *r = record_new(item->name, 0);
    r->json = text; /* the request is made from the whole, then the path alone stays */
    r->root = (g4_json){ text.p, text.n };
    g4_request_make(r, in->p.prefill, (g4_sv){ in->parts.p, in->parts.n });
    if (!r->request.n) r->request = r->json;
    else g4_str_free(&r->json);
    r->json = json;
    r->root = (g4_json){ json.p, json.n };
    if (in->p.keep_text) g4_str_add(&r->text, item->bytes, item->n);
    enqueue(in, r);
}

static void scan_text(struct scan *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char c = p[i];
        if (s->escaped) s->escaped = false;
        else if (s->in_string) {
            if (c == '\\') s->escaped = true;
            else if (c == '"') s->in_string = false;
        } else if (c == '"') s->in_string = true;
        else if (c == '{' || c == '[') s->depth++;
        else if (c == '}' || c == ']') s->depth--;
    }
}

static void json_done(g4_input *in, const char *name)
{
    take_json(in, name, in->text_line, &in->text);
    in->scan = (struct scan){0};
}

static void take_json_line(g4_input *in, struct g4_item *item)
{
    if (!in->text.n && is_blank(item->bytes, item->n)) return;
    if (!in->text.n) in->text_line = item->line;
    scan_text(&in->scan, item->bytes, item->n);
    g4_str_add(&in->text, item->bytes, item->n);
    g4_str_addc(&in->text, '\n');
    const bool open = in->scan.depth > 0 || in->scan.in_string;
    if (!open || in->text.n > G4_ITEM_MAX) json_done(in, item->name);
}

static void take_document(g4_input *in, struct g4_item *item)
{
    note_utf8(item->name, item->bytes, item->n);
    if (in->n_file++ || in->p.source.n_path > 1) {
        if (in->text.n && in->text.p[in->text.n - 1] != '\n') g4_str_addc(&in->text, '\n');
        g4_str_addf(&in->text, "==> %s <==\n", item->name);
    }
    g4_str_add(&in->text, item->bytes, item->n);
}

/* A path that cannot be read: in a run of records that is one failed record or
 * a failed run; a document that lacks a part is not worth an answer. */
static void problem(g4_input *in, struct g4_item *item)
{
    const bool document = in->p.mode == G4_INPUT_DOCUMENT;
    if (item->code == 1) {
        g4_log(G4_LOG_WARN, "%s: %s", item->name, item->why);
    } else if (item->code == G4_EIO || document) {
        g4_log(G4_LOG_ERROR, "%s: %s", item->name, item->why);
        in->failed = true;
    } else {
        refuse(in, item->name, item->line, item->code, item->why);
    }
}

static void take_item(g4_input *in, struct g4_item *item)
{
    if (item->code) {
        problem(in, item);
        return;
    }
    switch (in->p.mode) {
    case G4_INPUT_DOCUMENT: take_document(in, item); break;
    case G4_INPUT_JSONL:
        if (!is_blank(item->bytes, item->n)) {
            g4_str text = { item->bytes, item->n, item->n + 1 };
            item->bytes = NULL;
            take_json(in, item->name, item->line, &text);
        }
        break;
    case G4_INPUT_JSON: take_json_line(in, item); break;
    case G4_INPUT_LINES: take_line(in, item); break;
    case G4_INPUT_FILES:
    case G4_INPUT_TAR: take_file(in, item); break;
    }
}

/* The one record of DOCUMENT, once all of it is there. */
static void document_done(g4_input *in)
{
    if (in->failed) return;
    in->text.n = without_newline(in, in->text.p, in->text.n);
    if (in->p.source.n_path && (!in->n_file || (in->p.needs_text && !in->text.n))) {
        refuse(in, "input", 0, G4_EINPUT, "no text to read");
        return;
    }
    g4_record *r = record_new("input", 0);
    put_member(&r->json, "prompt", in->text.p ? in->text.p : "", in->text.n);
    g4_str_addc(&r->json, '}');
    r->root = (g4_json){ r->json.p, r->json.n };
    g4_request_make(r, in->p.prefill, (g4_sv){ in->parts.p, in->parts.n });
    if (!r->request.n) r->request = r->json;
    else g4_str_free(&r->json);
    r->json = (g4_str){0};
    g4_str_adds(&r->json, "{}");
    r->root = (g4_json){ r->json.p, r->json.n };
    if (in->p.keep_text) g4_str_add(&r->text, in->text.p, in->text.n);
    enqueue(in, r);
}

int g4_input_next(g4_input *in, g4_record **r)
{
    struct g4_item item = {0};
    while (!in->first && !in->ended) {
        const int rc = g4_source_next(in->source, &item);
        if (!rc) return 0;
        if (rc > 0) {
            take_item(in, &item);
            g4_item_clear(&item);
            continue;
        }
        in->ended = true;
        if (in->p.mode == G4_INPUT_DOCUMENT) document_done(in);
        if (in->p.mode == G4_INPUT_JSON && in->text.n) json_done(in, "input");
    }
    if (!in->first) return -1;
    *r = in->first;
    in->first = (*r)->next;
    if (!in->first) in->last = &in->first;
    (*r)->next = NULL;
    return 1;
}

/* ---- open and close ------------------------------------------------------ */

static enum g4_source_kind source_kind(enum g4_input_mode mode)
{
    switch (mode) {
    case G4_INPUT_TAR: return G4_SOURCE_TAR;
    case G4_INPUT_FILES:
    case G4_INPUT_DOCUMENT: return G4_SOURCE_FILES;
    default: return G4_SOURCE_LINES;
    }
}

g4_input *g4_input_new(const struct g4_input_params *p, g4_err *err)
{
    g4_input *in = g4_alloc(sizeof *in);
    in->p = *p;
    in->last = &in->first;
    in->p.source.kind = source_kind(p->mode);
    for (size_t i = 0; i < p->n_attach; i++) {
        if (i) g4_str_addc(&in->parts, ',');
        if (g4_request_part(p->attach[i], &in->parts, err)) goto fail;
    }
    if (p->map && !(in->map = g4_jq_new(p->map, p->vars, err))) goto fail;
    if (!(in->source = g4_source_new(&in->p.source, err))) goto fail;
    return in;
fail:
    g4_input_free(in);
    return NULL;
}

void g4_input_free(g4_input *in)
{
    if (!in) return;
    g4_source_free(in->source);
    g4_jq_free(in->map);
    while (in->first) {
        g4_record *next = in->first->next;
        g4_record_free(in->first);
        in->first = next;
    }
    g4_str_free(&in->parts);
    g4_str_free(&in->text);
    free(in);
}

int g4_input_fd(const g4_input *in)
{
    return g4_source_fd(in->source);
}

double g4_input_progress(const g4_input *in)
{
    return g4_source_progress(in->source);
}

bool g4_input_failed(const g4_input *in)
{
    return in->failed;
}
