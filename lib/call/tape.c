/* call/tape: see tape.h. */
#include "call/tape.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

enum { TAPE_MAX = 1 << 30 };

struct entry {
    struct g4_taped c;  /* texts are owned */
    char *content;      /* NULL: begun only */
    size_t content_n;
    enum g4_outcome outcome;
    bool used;
    uint64_t hash;      /* of name and arguments */
    size_t next;        /* entry + 1 of the same bucket, in file order */
};

struct g4_tape {
    char *path, *tools;
    int fd;
    bool sync;
    struct entry *e;
    size_t n, cap;
    size_t *first, *last; /* [n_bucket] entry + 1 */
    size_t n_bucket;
};

static const char *const outcomes[] = { "done", "invalid", "refused", "failed" };

const char *g4_outcome_name(enum g4_outcome o)
{
    return outcomes[o];
}

/* ---- lines --------------------------------------------------------------- */

static void put_call(g4_str *s, const struct g4_taped *c)
{
    g4_json checked;
    g4_str_addf(s, "{\"record\":%" PRIu64 ",\"call\":%u,\"name\":", c->record, c->call);
    g4_json_put_str(s, c->name, strlen(c->name));
    g4_str_adds(s, ",\"arguments\":");
    if (!g4_json_check(c->arguments.p, c->arguments.n, &checked, NULL) && g4_json_type(checked) == G4_JSON_OBJECT)
        g4_str_add(s, checked.p, checked.n);
    else
        g4_json_put_str(s, c->arguments.p, c->arguments.n);
}

static int write_line(g4_tape *t, g4_str *s, g4_err *err)
{
    g4_str_addc(s, '\n');
    int rc = G4_OK;
    if (g4_write_all(t->fd, s->p, s->n) || (t->sync && fdatasync(t->fd)))
        rc = g4_fail_errno(err, G4_EIO, "cannot write '%s'", t->path);
    g4_str_free(s);
    return rc;
}

int g4_tape_tools(g4_tape *t, g4_json declarations, g4_err *err)
{
    g4_str s = {0};
    g4_str_adds(&s, "{\"tools\":");
    g4_str_add(&s, declarations.p, declarations.n);
    g4_str_addc(&s, '}');
    return write_line(t, &s, err);
}

int g4_tape_begin(g4_tape *t, const struct g4_taped *c, g4_err *err)
{
    g4_str s = {0};
    put_call(&s, c);
    g4_str_adds(&s, ",\"begun\":true}");
    return write_line(t, &s, err);
}

int g4_tape_put(g4_tape *t, const struct g4_taped *c, g4_sv content, enum g4_outcome outcome, g4_err *err)
{
    g4_str s = {0};
    put_call(&s, c);
    g4_str_adds(&s, ",\"content\":");
    g4_json_put_str(&s, content.p, content.n);
    g4_str_addf(&s, ",\"outcome\":\"%s\"}", outcomes[outcome]);
    return write_line(t, &s, err);
}

/* ---- reading ------------------------------------------------------------- */

static uint64_t hash_call(const struct g4_taped *c)
{
    return g4_hash64(c->arguments.p, c->arguments.n, g4_hash64(c->name, strlen(c->name), 0));
}

static bool same_call(const struct g4_taped *a, const struct g4_taped *b)
{
    return strcmp(a->name, b->name) == 0 && g4_sv_same(a->arguments, b->arguments);
}

static bool same_place(const struct g4_taped *a, const struct g4_taped *b)
{
    return a->record == b->record && a->call == b->call;
}

static int read_call(g4_tape *t, g4_json line, size_t number, g4_err *err)
{
    struct entry e = {0};
    int64_t record = -1, call = -1;
    const g4_json arguments = g4_json_get(line, "arguments"), content = g4_json_get(line, "content");
    size_t o = 0;
    bool begun = false;
    g4_str text = {0};
    while (o < 4 && !g4_json_is(g4_json_get(line, "outcome"), outcomes[o])) o++;
    g4_json_bool(g4_json_get(line, "begun"), &begun);
    if (!g4_json_i64(g4_json_get(line, "record"), &record) || record < 0 || !g4_json_i64(g4_json_get(line, "call"), &call) ||
        call < 0 || call > UINT32_MAX || g4_json_type(g4_json_get(line, "name")) != G4_JSON_STRING || !arguments.n ||
        (!begun && (g4_json_type(content) != G4_JSON_STRING || o == 4)))
        return g4_fail(err, G4_EUSAGE, "%s:%zu: not a recorded call", t->path, number);
    if (g4_json_type(arguments) == G4_JSON_STRING) g4_json_str(arguments, &text);
    else g4_json_put_compact(&text, arguments);
    e.c = (struct g4_taped){ (uint64_t)record, (uint32_t)call, g4_json_dup(g4_json_get(line, "name")), { NULL, text.n } };
    e.c.arguments.p = g4_str_take(&text);
    if (!begun) {
        g4_json_str(content, &text);
        e.content_n = text.n;
        e.content = g4_str_take(&text);
        e.outcome = (enum g4_outcome)o;
    }
    e.hash = hash_call(&e.c);
    G4_GROW(t->e, t->cap, t->n + 1);
    t->e[t->n++] = e;
    return G4_OK;
}

static void make_index(g4_tape *t)
{
    t->n_bucket = 16;
    while (t->n_bucket < t->n) t->n_bucket *= 2;
    t->first = g4_alloc(t->n_bucket * sizeof *t->first);
    t->last = g4_alloc(t->n_bucket * sizeof *t->last);
    for (size_t i = 0; i < t->n; i++) {
        const size_t b = t->e[i].hash & (t->n_bucket - 1);
        if (t->last[b]) t->e[t->last[b] - 1].next = i + 1;
        else t->first[b] = i + 1;
        t->last[b] = i + 1;
    }
}

/* *end: the bytes that are whole lines. */
static int read_tape(g4_tape *t, size_t *end, g4_err *err)
{
    g4_str text = {0};
    g4_err why = {0};
    int rc = g4_file_read(t->path, TAPE_MAX, &text, &why);
    if (rc) rc = g4_fail(err, rc == G4_ELIMIT ? G4_EUSAGE : G4_EIO, "%s", why.msg);
    size_t number = 0;
    *end = 0;
    for (size_t at = 0; !rc && at < text.n; at = *end) {
        const char *line = text.p + at, *stop = memchr(line, '\n', text.n - at);
        g4_json v;
        if (!stop) break;
        number++;
        *end = (size_t)(stop + 1 - text.p);
        if (g4_json_check(line, (size_t)(stop - line), &v, &why)) {
            rc = g4_fail(err, G4_EUSAGE, "%s:%zu: %s", t->path, number, why.msg);
        } else if (g4_json_get(v, "tools").n) {
            free(t->tools);
            t->tools = g4_strndup(g4_json_get(v, "tools").p, g4_json_get(v, "tools").n);
        } else {
            rc = read_call(t, v, number, err);
        }
    }
    g4_str_free(&text);
    make_index(t);
    return rc;
}

g4_json g4_tape_declarations(const g4_tape *t)
{
    return t->tools ? (g4_json){ t->tools, strlen(t->tools) } : (g4_json){0};
}

/* ---- finding ------------------------------------------------------------- */

bool g4_tape_find(g4_tape *t, const struct g4_taped *c, bool exact, g4_str *content, enum g4_outcome *outcome)
{
    struct entry *best = NULL;
    int grade = 0; /* 3: this very call; 2: an equal one not used yet, the first; 1: the last equal one */
    for (size_t i = t->n_bucket ? t->first[hash_call(c) & (t->n_bucket - 1)] : 0; i; i = t->e[i - 1].next) {
        struct entry *e = &t->e[i - 1];
        if (!e->content || !same_call(&e->c, c)) continue;
        const int g = same_place(&e->c, c) ? 3 : exact ? 0 : e->used ? 1 : 2;
        if (g && (g > grade || (g == grade && g != 2))) {
            best = e;
            grade = g;
        }
    }
    if (!best) return false;
    best->used = true;
    g4_str_add(content, best->content, best->content_n);
    *outcome = best->outcome;
    return true;
}

void g4_tape_unfinished(const g4_tape *t, void (*emit)(void *arg, const struct g4_taped *c), void *arg)
{
    for (size_t i = 0; i < t->n; i++) {
        bool done = t->e[i].content != NULL;
        for (size_t k = t->e[i].next; k && !done; k = t->e[k - 1].next)
            done = same_place(&t->e[k - 1].c, &t->e[i].c); /* a result, or begun again */
        if (!done) emit(arg, &t->e[i].c);
    }
}

/* ---- open and close ------------------------------------------------------ */

g4_tape *g4_tape_open(const struct g4_tape_params *p, g4_err *err)
{
    g4_tape *t = g4_alloc(sizeof *t);
    size_t end = 0;
    t->path = g4_strdup(p->path);
    t->fd = -1;
    t->sync = p->sync;
    if (p->read && (!p->append || g4_file_exists(p->path)) && read_tape(t, &end, err)) goto fail;
    if (p->write) {
        t->fd = open(p->path, O_WRONLY | O_CREAT | O_CLOEXEC | (p->append ? O_APPEND : O_TRUNC), 0666);
        if (t->fd < 0) {
            g4_fail_errno(err, G4_EIO, "cannot open '%s'", p->path);
            goto fail;
        }
        if (p->read && p->append && ftruncate(t->fd, (off_t)end)) {
            g4_fail_errno(err, G4_EIO, "cannot write '%s'", p->path);
            goto fail;
        }
    }
    return t;
fail:
    g4_tape_free(t);
    return NULL;
}

void g4_tape_free(g4_tape *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->n; i++) {
        free((char *)t->e[i].c.name);
        free((char *)t->e[i].c.arguments.p);
        free(t->e[i].content);
    }
    if (t->fd >= 0) close(t->fd);
    free(t->e);
    free(t->first);
    free(t->last);
    free(t->tools);
    free(t->path);
    free(t);
}
