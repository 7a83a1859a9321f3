/* record/output: see output.h. */
#include "record/output.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/jq.h"
#include "base/log.h"
#include "base/mem.h"

struct g4_slot {
    g4_record *r;
    g4_str *parts;         /* [samples] lines; batch: elements of `choices` */
    g4_str *thoughts;      /* [samples] */
    uint32_t left;         /* samples to come */
    bool failed, cut;
    struct g4_usage usage; /* batch */
    g4_err why;            /* batch: the first failure */
    struct g4_slot *next, *prev;
};

struct g4_output {
    struct g4_output_params p;
    g4_jq *shape;
    g4_slot *first, *last;
    uint64_t failed, written;
    size_t pending;
};

/* ---- slots --------------------------------------------------------------- */

g4_slot *g4_output_begin(g4_output *o, g4_record *r)
{
    g4_slot *s = g4_alloc(sizeof *s);
    s->r = r;
    s->left = o->p.samples;
    s->parts = g4_alloc(o->p.samples * sizeof *s->parts);
    s->thoughts = g4_alloc(o->p.samples * sizeof *s->thoughts);
    s->prev = o->last;
    if (o->last) o->last->next = s;
    else o->first = s;
    o->last = s;
    return s;
}

const g4_record *g4_slot_record(const g4_slot *s)
{
    return s->r;
}

static void slot_free(g4_output *o, g4_slot *s)
{
    if (s->prev) s->prev->next = s->next;
    else o->first = s->next;
    if (s->next) s->next->prev = s->prev;
    else o->last = s->prev;
    for (uint32_t i = 0; i < o->p.samples; i++) {
        g4_str_free(&s->parts[i]);
        g4_str_free(&s->thoughts[i]);
    }
    free(s->parts);
    free(s->thoughts);
    g4_record_free(s->r);
    free(s);
}

/* ---- writing ------------------------------------------------------------- */

static char ending(const g4_output *o)
{
    return o->p.nul ? 0 : '\n';
}

static int write_thoughts(g4_output *o, g4_slot *s, g4_err *err)
{
    for (uint32_t i = 0; i < o->p.samples && o->p.think_fd >= 0; i++) {
        if (!s->thoughts[i].n) continue;
        g4_str_addc(&s->thoughts[i], ending(o));
        if (g4_write_all(o->p.think_fd, s->thoughts[i].p, s->thoughts[i].n))
            return g4_fail_errno(err, G4_EIO, "cannot write the thought");
    }
    return G4_OK;
}

/* One line for all samples. */
static void batch_line(g4_output *o, g4_slot *s, g4_str *out)
{
    g4_str choices = {0};
    if (s->failed) {
        g4_compose_batch_error(s->r, &s->why, out);
    } else {
        for (uint32_t i = 0; i < o->p.samples; i++) {
            if (i) g4_str_addc(&choices, ',');
            g4_str_add(&choices, s->parts[i].p, s->parts[i].n);
        }
        g4_compose_batch(&o->p.compose, s->r, (g4_sv){ choices.p, choices.n }, &s->usage, out);
    }
    g4_str_addc(out, ending(o));
    g4_str_free(&choices);
}

static int write_slot(g4_output *o, g4_slot *s, g4_err *err)
{
    g4_str all = {0};
    if (o->p.batch && !s->r->pass) batch_line(o, s, &all);
    else for (uint32_t i = 0; i < o->p.samples; i++) g4_str_add(&all, s->parts[i].p, s->parts[i].n);
    o->failed += s->failed;
    o->written++;
    int rc = write_thoughts(o, s, err);
    if (o->p.enter) o->p.enter(o->p.arg);
    if (!rc && o->p.journal)
        rc = g4_journal_write(o->p.journal, s->r->seq, s->r->hash,
                              s->failed ? G4_JOURNAL_FAILED : s->cut ? G4_JOURNAL_CUT : G4_JOURNAL_DONE, (g4_sv){ all.p, all.n }, err);
    else if (!rc && all.n && g4_write_all(o->p.fd, all.p, all.n))
        rc = g4_fail_errno(err, G4_EIO, "cannot write to standard output");
    if (o->p.leave) o->p.leave(o->p.arg);
    g4_str_free(&all);
    return rc;
}

static size_t slot_bytes(const g4_output *o, const g4_slot *s)
{
    size_t n = 0;
    for (uint32_t i = 0; i < o->p.samples; i++) n += s->parts[i].n + s->thoughts[i].n;
    return n;
}

/* Writes what has become due: this slot, or all complete ones at the front. */
static int flush(g4_output *o, g4_slot *s, g4_err *err)
{
    int rc = G4_OK;
    if (s->left) return rc;
    o->pending += slot_bytes(o, s);
    if (!o->p.unordered) s = o->first;
    while (s && !s->left && !rc) {
        g4_slot *next = s->next;
        o->pending -= slot_bytes(o, s);
        rc = write_slot(o, s, err);
        slot_free(o, s);
        s = o->p.unordered ? NULL : next;
    }
    return rc;
}

/* ---- shaping ------------------------------------------------------------- */

struct shaping {
    g4_output *o;
    g4_str *out;
};

static int shaped(void *arg, const char *json, size_t n, const g4_sv *raw)
{
    const struct shaping *s = arg;
    if (s->o->p.raw && raw) g4_str_add(s->out, raw->p, raw->n);
    else g4_str_add(s->out, json, n);
    g4_str_addc(s->out, ending(s->o));
    return 0;
}

/* Appends the record `line` to out as the user wants it; text is what -r writes. */
static void emit(g4_output *o, g4_slot *s, uint32_t sample, g4_sv line, g4_sv text, g4_str *out)
{
    if (o->shape) {
        struct shaping sh = { o, out };
        g4_err why = {0};
        const size_t before = out->n;
        if (!g4_jq_run(o->shape, line, shaped, &sh, &why)) return;
        g4_log(G4_LOG_WARN, "%s: --output: %s", s->r->where, why.msg);
        s->failed = true;
        out->n = before;
        if (!o->p.raw) g4_compose_error(&o->p.compose, s->r, sample, &why, out);
    } else if (o->p.raw) {
        g4_str_add(out, text.p, text.n);
    } else {
        g4_str_add(out, line.p, line.n);
    }
    g4_str_addc(out, ending(o));
}

/* ---- outcomes ------------------------------------------------------------ */

int g4_output_result(g4_output *o, g4_slot *s, uint32_t sample, const g4_result *res, g4_err *err)
{
    g4_str *out = &s->parts[sample], line = {0};
    s->cut |= g4_result_cut(res);
    if (o->p.batch) {
        g4_compose_choice(sample, res, out);
        s->usage.prompt = res->prompt_tokens;
        s->usage.thinking += res->thinking_tokens;
        s->usage.completion += res->completion_tokens;
    } else {
        if (!o->p.raw || o->shape) g4_compose_result(&o->p.compose, s->r, sample, res, &line);
        emit(o, s, sample, (g4_sv){ line.p, line.n }, (g4_sv){ res->text, res->text_len }, out);
    }
    if (o->p.think_fd >= 0) g4_str_add(&s->thoughts[sample], res->thinking, res->thinking_len);
    g4_str_free(&line);
    s->left--;
    return flush(o, s, err);
}

int g4_output_error(g4_output *o, g4_slot *s, uint32_t sample, const g4_err *why, g4_err *err)
{
    g4_str *out = &s->parts[sample], line = {0};
    if (o->p.batch) {
        if (!s->failed) s->why = *why;
    } else {
        g4_compose_error(&o->p.compose, s->r, sample, why, &line);
        emit(o, s, sample, (g4_sv){ line.p, line.n }, (g4_sv){ "", 0 }, out);
    }
    g4_str_free(&line);
    s->failed = true;
    s->left--;
    return flush(o, s, err);
}

/* What -r writes of a record that g4 did not make. */
static void bare_text(const g4_record *r, g4_str *out)
{
    const g4_json messages = g4_json_get(r->root, "messages");
    const size_t n = g4_json_count(messages);
    g4_json text = g4_json_get(r->root, "text");
    if (!text.n && n) text = g4_json_get(g4_json_at(messages, n - 1), "content");
    if (g4_json_type(text) == G4_JSON_STRING) g4_json_str(text, out);
}

int g4_output_pass(g4_output *o, g4_slot *s, g4_err *err)
{
    g4_str text = {0};
    if (o->p.raw) bare_text(s->r, &text);
    emit(o, s, 0, (g4_sv){ s->r->json.p, s->r->json.n }, (g4_sv){ text.p, text.n }, &s->parts[0]);
    g4_str_free(&text);
    s->left = 0;
    return flush(o, s, err);
}

int g4_output_refuse(g4_output *o, g4_slot *s, const g4_err *why, g4_err *err)
{
    g4_str line = {0};
    struct g4_compose plain = o->p.compose;
    plain.sample = false;
    if (o->p.batch) {
        s->why = *why;
    } else {
        g4_compose_error(&plain, s->r, 0, why, &line);
        emit(o, s, 0, (g4_sv){ line.p, line.n }, (g4_sv){ "", 0 }, &s->parts[0]);
    }
    g4_str_free(&line);
    s->failed = true;
    s->left = 0;
    return flush(o, s, err);
}

int g4_output_members(g4_output *o, g4_slot *s, g4_sv members, g4_sv text, g4_err *err)
{
    g4_str line = {0};
    g4_compose_members(s->r, members, &line);
    emit(o, s, 0, (g4_sv){ line.p, line.n }, text, &s->parts[0]);
    g4_str_free(&line);
    s->left = 0;
    return flush(o, s, err);
}

int g4_output_line(g4_output *o, g4_slot *s, g4_sv line, g4_sv text, bool failed, g4_err *err)
{
    emit(o, s, 0, line, text, &s->parts[0]);
    s->failed |= failed;
    s->left = 0;
    return flush(o, s, err);
}

/* ---- open and close ------------------------------------------------------ */

g4_output *g4_output_new(const struct g4_output_params *p, g4_err *err)
{
    g4_output *o = g4_alloc(sizeof *o);
    o->p = *p;
    if (!p->shape || (o->shape = g4_jq_new(p->shape, p->vars, err))) return o;
    free(o);
    return NULL;
}

void g4_output_free(g4_output *o)
{
    if (!o) return;
    while (o->first) slot_free(o, o->first);
    g4_jq_free(o->shape);
    free(o);
}

uint64_t g4_output_failed(const g4_output *o)
{
    return o->failed;
}

uint64_t g4_output_written(const g4_output *o)
{
    return o->written;
}

size_t g4_output_pending(const g4_output *o)
{
    return o->pending;
}
