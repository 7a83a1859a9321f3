/* cmd/gen_text: one document; the answer streams to stdout as it comes, the
 * thought to stderr or a descriptor, never to stdout. */
#include "gen.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

struct stream {
    struct g4_gen_run *r;
    char last;           /* last byte of the answer, 0: none yet */
    bool thought_shown;  /* a thought is on stderr and not closed by a newline */
    bool show;           /* thoughts go to stderr */
};

int g4_gen_wait_record(g4_input *in, g4_record **record)
{
    for (;;) {
        const int rc = g4_input_next(in, record);
        if (rc) return rc;
        struct pollfd p = { g4_input_fd(in), POLLIN, 0 };
        poll(&p, 1, -1);
    }
}

static int put(int fd, const char *p, size_t n, const char *where, g4_err *err)
{
    return n && g4_write_all(fd, p, n) ? g4_fail_errno(err, G4_EIO, "cannot write to %s", where) : G4_OK;
}

/* Closes what the thought left open on stderr. */
static void end_thought(struct stream *s)
{
    if (!s->thought_shown) return;
    s->thought_shown = false;
    put(2, g4_tool_color() ? "\033[0m\n" : "\n", g4_tool_color() ? 5 : 1, "", NULL);
}

static int thought(struct stream *s, const g4_event *ev, g4_err *err)
{
    const int fd = s->r->g->think_fd;
    if (s->show) {
        if (!s->thought_shown && g4_tool_color()) put(2, "\033[2m", 4, "", NULL);
        s->thought_shown = true;
        put(2, ev->text, ev->text_len, "", NULL);
    }
    return fd >= 0 ? put(fd, ev->text, ev->text_len, "the descriptor of --think-fd", err) : G4_OK;
}

const char *g4_gen_confidence(const struct g4_gen *g, float logprob)
{
    if (!g->confidence || !g4_tool_color_out() || isnan(logprob)) return "";
    const float p = expf(logprob);
    return p < 0.2f ? "\033[31m" : p < 0.5f ? "\033[33m" : p < 0.8f ? "\033[32m" : "";
}

static int answer(struct stream *s, const g4_event *ev, g4_err *err)
{
    if (!ev->text_len) return G4_OK;
    end_thought(s);
    s->last = ev->text[ev->text_len - 1];
    const char *color = g4_gen_confidence(s->r->g, ev->logprob);
    if (!*color) return put(1, ev->text, ev->text_len, "standard output", err);
    g4_str text = {0};
    g4_str_addf(&text, "%s%.*s\033[0m", color, (int)ev->text_len, ev->text);
    const int rc = put(1, text.p, text.n, "standard output", err);
    g4_str_free(&text);
    return rc;
}

static void tell_cut(const g4_result *res)
{
    if (res->finish == G4_FINISH_CONTEXT) g4_tool_note("the answer was cut: the context is full");
    else if (res->finish == G4_FINISH_LENGTH && !res->user_limit)
        g4_tool_note("the answer was cut after %u tokens (--max-tokens)", res->completion_tokens);
}

/* The end of the answer, then what there is to say about it: on a terminal both stand on one screen. */
static int done(struct stream *s, const g4_result *res, g4_err *err)
{
    int rc = G4_OK;
    end_thought(s);
    if (res->err.code == G4_EDEVICE) return g4_fail(err, G4_EDEVICE, "%s", res->err.msg);
    if (!res->err.code || s->last) {
        if (s->r->g->null_out) rc = put(1, "", 1, "standard output", err);
        else if (s->last != '\n') rc = put(1, "\n", 1, "standard output", err);
    }
    if (res->err.code) {
        g4_tool_fail(G4_STATUS_FAILED);
        g4_tool_error("%s%s", s->last && res->err.code != G4_ESCHEMA ? "the answer was cut: " : "", res->err.msg);
    } else {
        g4_gen_count(s->r, res);
        if (res->note) g4_tool_note("calls that could not be read: %s", res->note);
        tell_cut(res);
    }
    return rc;
}

/* Runs the one request; stdout is watched all the while, so that a reader that
 * goes away ends the run at once. */
static int pump(struct stream *s, g4_err *err)
{
    for (;;) {
        g4_event ev;
        struct pollfd out = { 1, 0, 0 };
        const int rc = g4_step(s->r->e, &out, 1, -1, &ev, err);
        if (rc < 0) return rc;
        if (out.revents) g4_tool_broken_pipe();
        if (!rc) continue;
        int bad = G4_OK;
        switch (ev.kind) {
        case G4_EVENT_TEXT: bad = answer(s, &ev, err); break;
        case G4_EVENT_THOUGHT: bad = thought(s, &ev, err); break;
        case G4_EVENT_DONE: return done(s, ev.result, err);
        }
        if (bad) return bad;
    }
}

static int run_record(struct g4_gen_run *r, const g4_record *record, g4_err *err)
{
    const bool terminal = isatty(2) && !r->g->quiet;
    struct stream s = { .r = r, .show = r->g->show_thinking || (terminal && r->g->think_fd < 0) };
    g4_err why = record->err;
    const g4_request q = g4_gen_request(r, record, 0);
    if (!why.code && g4_submit(r->e, &q, &why)) return pump(&s, err);
    if (why.code == G4_EDEVICE) return g4_fail(err, G4_EDEVICE, "%s", why.msg);
    g4_tool_error("%s", why.msg);
    g4_tool_fail(G4_STATUS_FAILED);
    return G4_OK;
}

int g4_gen_text(struct g4_gen_run *r, g4_err *err)
{
    g4_record *record = NULL;
    g4_input *in = g4_input_new(&r->input, err);
    if (!in) return err->code;
    int rc = G4_OK;
    if (g4_gen_wait_record(in, &record) > 0) {
        r->started = g4_tool_now();
        rc = run_record(r, record, err);
        g4_record_free(record);
        r->records = 1;
    }
    if (g4_input_failed(in)) g4_tool_fail(G4_STATUS_IO);
    g4_input_free(in);
    return rc;
}
