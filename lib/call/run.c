/* call/run: see run.h. */
#include "call/run.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "call/mcp.h"
#include "call/tty.h"
#include "text/validate.h"

enum { ERR_SHOWN = 2000, NAMES_SHOWN = 40 };

enum state { NEW, WANTS_ANSWER, ASKED, READY, RUNNING, DONE };

struct job {
    struct g4_taped c;      /* texts are owned */
    char *id, *wrong;
    bool anew, unknown, taped; /* taped: it stands in the recording already, or must not */
    void *user;
    enum state state;
    g4_proc *proc;          /* RUNNING: one of the two */
    g4_mcp *mcp;
    uint64_t mcp_call;
    double started, seconds;
    g4_str content, why;
    enum g4_outcome outcome;
    struct job *next;
};

struct g4_run {
    struct g4_run_params p;
    struct job *first, **last; /* in the order they came */
    size_t running;
    g4_tty *tty;
    bool no_tty;
    struct job *asked;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- answers ------------------------------------------------------------- */

static void finish(g4_run *r, struct job *j, enum g4_outcome outcome)
{
    if (j->state == RUNNING) r->running--;
    j->seconds = j->started > 0 ? now() - j->started : 0;
    j->outcome = outcome;
    j->state = DONE;
    if (r->asked == j) r->asked = NULL;
}

/* The answer is {"error": why}, with what the tool wrote, if it did. */
static void fail(g4_run *r, struct job *j, enum g4_outcome outcome, const g4_str *output)
{
    g4_str_clear(&j->content);
    g4_str_adds(&j->content, "{\"error\":");
    g4_json_put_str(&j->content, j->why.p ? j->why.p : "", j->why.n);
    if (output && output->n) {
        g4_str_adds(&j->content, ",\"output\":");
        g4_json_put_str(&j->content, output->p, output->n);
    }
    g4_str_addc(&j->content, '}');
    finish(r, j, outcome);
}

/* ---- checking ------------------------------------------------------------ */

static const g4_tools *tools_of(const g4_run *r)
{
    return g4_box_tools(r->p.box);
}

static void name_tools(const g4_run *r, g4_str *why)
{
    const g4_tools *t = tools_of(r);
    for (size_t i = 0; i < t->n && i < NAMES_SHOWN; i++) g4_str_addf(why, "%s%s", i ? ", " : "; there is ", t->v[i].name);
    if (t->n > NAMES_SHOWN) g4_str_addf(why, " and %zu more", t->n - NAMES_SHOWN);
}

static enum g4_outcome check(g4_run *r, const struct g4_taped *c, const char *wrong, enum g4_verdict *v, g4_str *why)
{
    g4_err err = {0};
    g4_json arguments;
    *v = G4_VERDICT_DENY;
    if (wrong) {
        g4_str_adds(why, wrong);
        return G4_CALL_INVALID;
    }
    const struct g4_tool *tool = g4_tools_find(tools_of(r), c->name);
    if (!tool) {
        g4_str_addf(why, "there is no tool '%s'", c->name);
        name_tools(r, why);
        return G4_CALL_INVALID;
    }
    if (g4_json_check_unique(c->arguments.p, c->arguments.n, &arguments, &err) || g4_json_type(arguments) != G4_JSON_OBJECT) {
        g4_str_addf(why, "the arguments must be a JSON object%s%s", err.code ? ": " : "", err.msg);
        return G4_CALL_INVALID;
    }
    const int rc = tool->parameters.n ? g4_validate(tool->parameters, arguments, &err) : G4_OK;
    if (rc) {
        g4_str_addf(why, rc == G4_ESCHEMA ? "the declared parameters cannot be checked: %s" : "invalid arguments: %s", err.msg);
        return G4_CALL_INVALID;
    }
    *v = G4_VERDICT_ALLOW;
    if (r->p.deny_all) {
        *v = G4_VERDICT_DENY;
        g4_str_adds(why, "--deny-all");
    } else if (r->p.policy) {
        *v = g4_policy_judge(r->p.policy, c->name, arguments, why);
        if (*v == G4_VERDICT_ASK && r->p.yes) *v = G4_VERDICT_ALLOW;
    }
    return *v == G4_VERDICT_DENY ? G4_CALL_REFUSED : G4_CALL_DONE;
}

enum g4_outcome g4_run_check(g4_run *r, const struct g4_call *c, enum g4_verdict *v, g4_str *why)
{
    return check(r, &c->taped, c->wrong, v, why);
}

static void refuse(g4_run *r, struct job *j, const char *reason)
{
    g4_str rule = j->why;
    j->why = (g4_str){0};
    g4_str_addf(&j->why, "refused: %s", reason);
    if (rule.n) g4_str_addf(&j->why, "%s%s", *reason ? " " : "", rule.p);
    g4_str_free(&rule);
    fail(r, j, G4_CALL_REFUSED, NULL);
}

/* NEW: answered from a recording, found wrong, refused, or on its way. */
static void begin(g4_run *r, struct job *j)
{
    enum g4_verdict v;
    if (r->p.replay) {
        if (g4_tape_find(r->p.replay, &j->c, false, &j->content, &j->outcome)) {
            finish(r, j, j->outcome);
            if (j->outcome) g4_str_adds(&j->why, "as recorded");
            return;
        }
        j->unknown = true;
        g4_str_addf(&j->why, "the recording holds no call of '%s' with these arguments", j->c.name);
        fail(r, j, G4_CALL_FAILED, NULL);
        return;
    }
    if (r->p.journal && !j->anew && g4_tape_find(r->p.journal, &j->c, true, &j->content, &j->outcome)) {
        j->taped = true;
        if (j->outcome) g4_str_adds(&j->why, "as journalled");
        finish(r, j, j->outcome);
        return;
    }
    const enum g4_outcome o = check(r, &j->c, j->wrong, &v, &j->why);
    if (o == G4_CALL_INVALID) fail(r, j, o, NULL);
    else if (o == G4_CALL_REFUSED) refuse(r, j, "");
    else j->state = v == G4_VERDICT_ASK ? WANTS_ANSWER : READY;
}

/* ---- asking -------------------------------------------------------------- */

static void ask(g4_run *r, struct job *j)
{
    g4_json arguments;
    if (!r->tty && !r->no_tty) r->no_tty = !(r->tty = g4_tty_open(r->p.tty));
    if (!r->tty) {
        refuse(r, j, "there is no terminal to ask at,");
        return;
    }
    if (r->p.before_asking) r->p.before_asking();
    g4_json_check(j->c.arguments.p, j->c.arguments.n, &arguments, NULL);
    g4_tty_put(r->tty, j->c.name, arguments);
    j->state = ASKED;
    r->asked = j;
}

static void hear(g4_run *r, struct job *j)
{
    switch (g4_tty_step(r->tty)) {
    case G4_ANSWER_NONE: return;
    case G4_ANSWER_YES:
        j->state = READY;
        r->asked = NULL;
        g4_str_clear(&j->why);
        return;
    case G4_ANSWER_NO: refuse(r, j, "by the user,"); return;
    case G4_ANSWER_GONE:
        g4_tty_free(r->tty);
        r->tty = NULL;
        r->no_tty = true;
        refuse(r, j, "the terminal to ask at has gone,");
    }
}

/* ---- running ------------------------------------------------------------- */

static int start(g4_run *r, struct job *j, g4_err *err)
{
    const struct g4_tool *tool = g4_tools_find(tools_of(r), j->c.name);
    const int rc = r->p.journal ? g4_tape_begin(r->p.journal, &j->c, err) : G4_OK;
    g4_err why = {0};
    if (rc) return rc;
    j->started = now();
    g4_str_clear(&j->why);
    if (!tool || (!tool->path && !tool->server)) {
        g4_str_addf(&j->why, "nothing here runs '%s': it is only declared%s%s", j->c.name, tool ? " in " : "", tool ? tool->from : "");
        fail(r, j, G4_CALL_FAILED, NULL);
    } else if (tool->server) {
        j->mcp = tool->server;
        j->mcp_call = g4_mcp_call(j->mcp, j->c.name, (g4_json){ j->c.arguments.p, j->c.arguments.n });
        j->state = RUNNING;
        r->running++;
    } else {
        g4_str in = {0}, name = {0}, id = {0};
        g4_str_add(&in, j->c.arguments.p, j->c.arguments.n);
        g4_str_addc(&in, '\n'); /* so that `read` of a shell script takes it whole */
        g4_str_addf(&name, "G4_TOOL=%s", j->c.name);
        g4_str_addf(&id, "G4_CALL_ID=%s", j->id ? j->id : "");
        const char *argv[] = { tool->path, NULL }, *env[] = { name.p, id.p, NULL };
        j->proc = g4_proc_start(&(struct g4_proc_params){ .argv = argv, .env = env, .input = { in.p, in.n }, .out_max = r->p.out_max,
                                                          .time_max = r->p.time_max, .sandbox = r->p.sandbox }, &why);
        g4_str_free(&in);
        g4_str_free(&name);
        g4_str_free(&id);
        if (j->proc) {
            j->state = RUNNING;
            r->running++;
        } else {
            g4_str_adds(&j->why, why.msg);
            fail(r, j, G4_CALL_FAILED, NULL);
        }
    }
    return G4_OK;
}

/* Text as it is without its last newline; JSON without blanks between. */
static void take_text(g4_run *r, struct job *j, const g4_str *out)
{
    size_t bad = 0, n = out->n;
    g4_json v;
    const char *nul = n ? memchr(out->p, 0, n) : NULL;
    const bool utf8 = g4_utf8_valid(out->p ? out->p : "", n, &bad);
    if (nul || !utf8) {
        if (nul && (utf8 || (size_t)(nul - out->p) < bad)) bad = (size_t)(nul - out->p);
        g4_str_addf(&j->why, "it wrote %zu bytes that are not text (byte %zu is no UTF-8)", n, bad);
        fail(r, j, G4_CALL_FAILED, NULL);
        return;
    }
    if (!g4_json_check(out->p ? out->p : "", n, &v, NULL)) {
        g4_json_put_compact(&j->content, v);
    } else {
        if (n && out->p[n - 1] == '\n') n--;
        if (n && out->p[n - 1] == '\r') n--;
        g4_str_add(&j->content, out->p, n);
    }
    finish(r, j, G4_CALL_DONE);
}

static void program_ended(g4_run *r, struct job *j, enum g4_proc_end end)
{
    int value;
    g4_proc_state(j->proc, &value);
    g4_str *out = g4_proc_out(j->proc), *errors = g4_proc_err(j->proc);
    size_t n = errors->n;
    while (n && (errors->p[n - 1] == '\n' || errors->p[n - 1] == '\r')) n--;
    if (end == G4_PROC_EXITED && !value) {
        take_text(r, j, out);
        return;
    }
    g4_proc_describe(end, value, r->p.time_max, r->p.out_max, &j->why);
    if (n) g4_str_adds(&j->why, ": ");
    const size_t from = n > ERR_SHOWN ? n - ERR_SHOWN : 0;
    g4_str_add(&j->why, errors->p + from, n - from);
    if (end == G4_PROC_OUTPUT) g4_str_clear(out);
    fail(r, j, G4_CALL_FAILED, out);
}

static void log_lines(const char *name, const g4_str *s)
{
    for (const char *p = s->p, *stop = s->p + s->n; s->n && p < stop;) {
        const char *nl = memchr(p, '\n', (size_t)(stop - p)), *end = nl ? nl : stop;
        g4_log(G4_LOG_VERBOSE, "%s: %.*s", name, (int)(end - p), p);
        p = end + 1;
    }
}

static void step_program(g4_run *r, struct job *j)
{
    const enum g4_proc_end end = g4_proc_step(j->proc);
    if (!end) return;
    program_ended(r, j, end);
    if (g4_log_wants(G4_LOG_VERBOSE)) log_lines(j->c.name, g4_proc_err(j->proc));
    g4_proc_free(j->proc);
    j->proc = NULL;
}

static void step_server(g4_run *r, struct job *j)
{
    bool failed;
    g4_str text = {0};
    if (g4_mcp_result(j->mcp, j->mcp_call, &text, &failed)) {
        if (text.n > r->p.out_max) {
            g4_str_addf(&j->why, "the answer has more than %zu bytes", r->p.out_max);
            fail(r, j, G4_CALL_FAILED, NULL);
        } else if (failed) {
            g4_str_add(&j->why, text.p, text.n);
            fail(r, j, G4_CALL_FAILED, NULL);
        } else {
            take_text(r, j, &text);
        }
        g4_str_free(&text);
    } else if (r->p.time_max > 0 && now() - j->started >= r->p.time_max) {
        g4_mcp_cancel(j->mcp, j->mcp_call, "time limit");
        g4_proc_describe(G4_PROC_TIME, 0, r->p.time_max, 0, &j->why);
        fail(r, j, G4_CALL_FAILED, NULL);
    }
}

/* ---- the queue ----------------------------------------------------------- */

g4_run *g4_run_new(const struct g4_run_params *p)
{
    g4_run *r = g4_alloc(sizeof *r);
    r->p = *p;
    if (!r->p.jobs) r->p.jobs = 1;
    r->last = &r->first;
    return r;
}

void g4_run_add(g4_run *r, const struct g4_call *c)
{
    struct job *j = g4_alloc(sizeof *j);
    j->c = c->taped;
    j->c.name = g4_strdup(c->taped.name);
    j->c.arguments.p = g4_strndup(c->taped.arguments.p, c->taped.arguments.n);
    if (c->id) j->id = g4_strdup(c->id);
    if (c->wrong) j->wrong = g4_strdup(c->wrong);
    j->anew = c->anew;
    j->user = c->user;
    *r->last = j;
    r->last = &j->next;
}

static void job_free(struct job *j)
{
    if (j->mcp && j->state == RUNNING) g4_mcp_cancel(j->mcp, j->mcp_call, "no longer wanted");
    g4_proc_free(j->proc);
    free((char *)j->c.name);
    free((char *)j->c.arguments.p);
    free(j->id);
    free(j->wrong);
    g4_str_free(&j->content);
    g4_str_free(&j->why);
    free(j);
}

static void unlink_job(g4_run *r, struct job **link)
{
    struct job *j = *link;
    *link = j->next;
    if (r->last == &j->next) r->last = link;
}

void g4_run_free(g4_run *r)
{
    if (!r) return;
    while (r->first) {
        struct job *next = r->first->next;
        job_free(r->first);
        r->first = next;
    }
    g4_tty_free(r->tty);
    free(r);
}

/* With one call at once a record's calls keep their order.  A tool that is not there
 * may be in the list that a server is about to give. */
static bool must_wait(const g4_run *r, const struct job *j)
{
    if (r->p.box && !r->p.replay && g4_box_listing(r->p.box) && !g4_tools_find(tools_of(r), j->c.name)) return true;
    if (r->p.jobs > 1) return false;
    for (const struct job *e = r->first; e != j; e = e->next)
        if (e->c.record == j->c.record && e->state != DONE) return true;
    return false;
}

static int write_down(g4_run *r, struct job *j, g4_err *err)
{
    const g4_sv content = { j->content.p ? j->content.p : "", j->content.n };
    if (j->taped || j->unknown || r->p.replay) return G4_OK;
    j->taped = true;
    if (r->p.record && g4_tape_put(r->p.record, &j->c, content, j->outcome, err)) return G4_EIO;
    return r->p.journal ? g4_tape_put(r->p.journal, &j->c, content, j->outcome, err) : G4_OK;
}

static int advance(g4_run *r, struct job *j, g4_err *err)
{
    int rc = G4_OK;
    if (j->state == NEW && !must_wait(r, j)) begin(r, j);
    if (j->state == WANTS_ANSWER && !r->asked) ask(r, j);
    if (j->state == ASKED) hear(r, j);
    if (j->state == READY && r->running < r->p.jobs) rc = start(r, j, err);
    if (!rc && j->state == RUNNING && j->proc) step_program(r, j);
    else if (!rc && j->state == RUNNING) step_server(r, j);
    if (!rc && j->state == DONE) rc = write_down(r, j, err);
    return rc;
}

int g4_run_step(g4_run *r, g4_err *err)
{
    if (r->p.box) g4_box_step(r->p.box);
    for (struct job *j = r->first; j; j = j->next) {
        const int rc = advance(r, j, err);
        if (rc) return rc;
    }
    return G4_OK;
}

bool g4_run_next(g4_run *r, struct g4_done *d)
{
    struct job **link = &r->first;
    while (*link && (*link)->state != DONE) link = &(*link)->next;
    struct job *j = *link;
    if (!j) return false;
    unlink_job(r, link);
    *d = (struct g4_done){ j->user, j->content, j->outcome, j->outcome ? g4_str_take(&j->why) : NULL, j->unknown, j->seconds };
    j->content = (g4_str){0};
    job_free(j);
    return true;
}

/* ---- waiting ------------------------------------------------------------- */

size_t g4_run_fds(const g4_run *r)
{
    return (r->p.box ? g4_box_fds(r->p.box) : 0) + r->running * G4_PROC_FDS + 1;
}

unsigned g4_run_poll(const g4_run *r, struct pollfd *fds)
{
    unsigned n = r->p.box ? g4_box_poll(r->p.box, fds) : 0;
    for (const struct job *j = r->first; j; j = j->next)
        if (j->proc) n += g4_proc_poll(j->proc, fds + n);
    if (r->asked) fds[n++] = (struct pollfd){ g4_tty_fd(r->tty), POLLIN, 0 };
    return n;
}

static void sooner(int *ms, int other)
{
    if (other >= 0 && (*ms < 0 || other < *ms)) *ms = other;
}

int g4_run_wait_ms(const g4_run *r)
{
    int ms = r->p.box ? g4_box_wait_ms(r->p.box) : -1;
    for (const struct job *j = r->first; j; j = j->next) {
        if (j->proc) sooner(&ms, g4_proc_wait_ms(j->proc));
        if (j->state == RUNNING && j->mcp && r->p.time_max > 0) {
            const double left = 1e3 * (j->started + r->p.time_max - now()) + 1;
            sooner(&ms, left < 0 ? 0 : left > 1e9 ? 1000000000 : (int)left);
        }
        if (j->state == DONE || (j->state == NEW && !must_wait(r, j))) ms = 0;
        if (j->state == READY && r->running < r->p.jobs) ms = 0;
        if (j->state == WANTS_ANSWER && !r->asked) ms = 0;
    }
    return ms;
}
