/* cmd/chat: a conversation at the terminal.  The answer goes to standard output
 * as it comes; all else, the prompt included, to standard error, so that the
 * answers of a session can be kept by redirecting it. */
#include "chat.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct turn {              /* an answer while it comes */
    struct g4_chat *c;
    g4_str text, thought;
    bool dimmed;           /* a thought is on the screen and not ended */
    bool show, terminal;
    int status;            /* negative: the session cannot go on */
    bool over;             /* the last event came */
};

/* ---- writing ------------------------------------------------------------- */

static void say(int fd, const char *z)
{
    g4_write_all(fd, z, strlen(z));
}

static void end_thought(struct turn *t)
{
    if (!t->dimmed) return;
    t->dimmed = false;
    if (g4_tool_color()) say(2, "\033[0m");
    say(2, "\n\n");
}

static void on_thought(struct turn *t, const g4_event *ev)
{
    const int fd = t->c->r->g->think_fd;
    g4_str_add(&t->thought, ev->text, ev->text_len);
    if (fd >= 0) g4_write_all(fd, ev->text, ev->text_len);
    if (!t->show) return;
    if (!t->dimmed && g4_tool_color()) say(2, "\033[2m");
    t->dimmed = true;
    g4_term_put(2, ev->text, ev->text_len);
}

/* Whoever read standard output has gone: the end, with the terminal as it was. */
static void reader_gone(void)
{
    g4_term_quiet(false);
    g4_tool_broken_pipe();
}

static void on_text(struct turn *t, const g4_event *ev, g4_err *err)
{
    end_thought(t);
    g4_str_add(&t->text, ev->text, ev->text_len);
    if (!t->terminal) {
        if (!g4_write_all(1, ev->text, ev->text_len)) return;
        if (errno == EPIPE) reader_gone();
        t->status = g4_fail_errno(err, G4_EIO, "cannot write to standard output");
        return;
    }
    const char *color = g4_gen_confidence(t->c->r->g, ev->logprob);
    say(1, color);
    g4_term_put(1, ev->text, ev->text_len);
    if (*color) say(1, "\033[0m");
}

static void end_line(struct turn *t)
{
    end_thought(t);
    if (t->text.n && t->text.p[t->text.n - 1] != '\n') say(1, "\n");
}

/* ---- a turn -------------------------------------------------------------- */

static void keep_numbers(struct g4_chat *c, const g4_result *res)
{
    c->turns++;
    c->last_prompt = res->prompt_tokens;
    c->last_cached = res->cached_tokens;
    c->last_thinking = res->thinking_tokens;
    c->last_completion = res->completion_tokens;
    c->last_prompt_ms = res->prompt_ms;
    c->last_decode_ms = res->decode_ms;
    c->r->records++;
    c->r->prompt_tokens += res->prompt_tokens;
    c->r->cached_tokens += res->cached_tokens;
    c->r->thinking_tokens += res->thinking_tokens;
    c->r->completion_tokens += res->completion_tokens;
    c->r->prompt_ms += res->prompt_ms;
    c->r->decode_ms += res->decode_ms;
}

/* The new turn; or all of the conversation, when parts were left out of it. */
static void take_turn(struct g4_chat *c, const g4_result *res)
{
    const g4_json all = { res->messages, strlen(res->messages) };
    if (!res->dropped) {
        g4_talk_add(&c->talk, g4_json_at(all, g4_json_count(all) - 1));
        return;
    }
    g4_talk_replace(&c->talk, all);
    g4_tool_note("the oldest parts of the conversation were left out: %s", res->dropped);
}

static void on_done(struct turn *t, const g4_result *res, g4_err *err)
{
    t->over = true;
    end_line(t);
    if (res->err.code == G4_EDEVICE) {
        t->status = g4_fail(err, G4_EDEVICE, "%s", res->err.msg);
    } else if (res->err.code) {
        g4_tool_error("%s", res->err.msg);
        if (t->text.n) g4_talk_assistant(&t->c->talk, (g4_sv){ t->text.p, t->text.n }, (g4_sv){ t->thought.p, t->thought.n });
        else g4_talk_undo(&t->c->talk);
    } else {
        take_turn(t->c, res);
        keep_numbers(t->c, res);
        if (res->note) g4_tool_note("calls that could not be read: %s", res->note);
        if (res->finish == G4_FINISH_CONTEXT) g4_tool_note("the answer was cut: the context is full");
        if (res->finish == G4_FINISH_LENGTH) g4_tool_note("the answer was cut after %u tokens (--max-tokens)", res->completion_tokens);
    }
}

/* What was written so far stays the answer. */
static void stopped(struct turn *t)
{
    t->over = true;
    end_line(t);
    if (t->text.n) g4_talk_assistant(&t->c->talk, (g4_sv){ t->text.p, t->text.n }, (g4_sv){ t->thought.p, t->thought.n });
    else g4_talk_undo(&t->c->talk);
    g4_tool_note(t->text.n ? "stopped" : "stopped: nothing was answered, the question is taken back");
}

static g4_task *submit(struct g4_chat *c, g4_err *err)
{
    g4_str s = {0};
    g4_str_addc(&s, '{');
    g4_talk_members(&c->talk, &s);
    g4_str_addc(&s, '}');
    const g4_request q = { .json = s.p, .json_len = s.n, .options = &c->options, .raw = c->r->g->raw_prompt, .sample = c->sample };
    g4_task *task = g4_submit(c->r->e, &q, err);
    g4_str_free(&s);
    return task;
}

static void pump(struct turn *t, g4_task *task, g4_err *err)
{
    while (!t->over && !t->status) {
        g4_event ev;
        struct pollfd fds[2] = { { 1, 0, 0 }, { g4_term_fd(), POLLIN, 0 } };
        const int rc = g4_step(t->c->r->e, fds, 2, -1, &ev, err);
        if (rc < 0) t->status = rc;
        if (fds[0].revents) reader_gone();
        for (int sig; fds[1].revents && (sig = g4_term_signal());)
            if (sig == SIGINT && !t->over) {
                g4_cancel(t->c->r->e, task);
                stopped(t);
            }
        if (rc <= 0 || t->over) continue;
        switch (ev.kind) {
        case G4_EVENT_TEXT: on_text(t, &ev, err); break;
        case G4_EVENT_THOUGHT: on_thought(t, &ev); break;
        case G4_EVENT_DONE: on_done(t, ev.result, err); break;
        }
    }
}

static int answer(struct g4_chat *c, g4_err *err)
{
    struct turn t = { .c = c, .terminal = isatty(1) };
    const struct g4_gen *g = c->r->g;
    g4_err why = {0};
    t.show = g->show_thinking || (isatty(2) && !g->quiet && g->think_fd < 0);
    g4_task *task = submit(c, &why);
    if (!task) {
        if (why.code == G4_EDEVICE) return g4_fail(err, why.code, "%s", why.msg);
        g4_tool_error("%s", why.msg);
        g4_talk_undo(&c->talk);
        return G4_OK;
    }
    g4_term_quiet(true);
    pump(&t, task, err);
    g4_term_quiet(false);
    g4_str_free(&t.text);
    g4_str_free(&t.thought);
    return t.status;
}

/* ---- tool calls ---------------------------------------------------------- */

/* Nothing is run here: whoever sits at the terminal says what the calls gave.
 * False: there are none, or no answer to them is wanted. */
static bool ask_results(struct g4_chat *c)
{
    enum g4_line_end end = G4_LINE_TEXT;
    char *last = c->talk.n ? g4_strdup(c->talk.message[c->talk.n - 1]) : NULL;
    const g4_json calls = last ? g4_json_get((g4_json){ last, strlen(last) }, "tool_calls") : (g4_json){0};
    bool any = false;
    for (g4_json_it it = g4_json_iter(calls); last && g4_json_next(&it);) {
        char *name = g4_json_dup(g4_json_path(it.value, "function", "name"));
        char *arguments = g4_json_dup(g4_json_path(it.value, "function", "arguments")), *text = NULL;
        g4_str shown = {0};
        g4_str_addf(&shown, "%s %s\n", name ? name : "?", arguments ? arguments : "{}");
        g4_term_put(2, shown.p, shown.n);
        g4_str_free(&shown);
        if (end == G4_LINE_TEXT) end = g4_line_read("result> ", &text);
        g4_talk_result(&c->talk, it.value, end == G4_LINE_TEXT && *text ? text : "{\"error\":\"the call was refused\"}");
        any = true;
        free(text);
        free(arguments);
        free(name);
    }
    free(last);
    c->ended |= end == G4_LINE_END || end == G4_LINE_FAILED;
    return any && end == G4_LINE_TEXT;
}

/* ---- the session --------------------------------------------------------- */

static int turn(struct g4_chat *c, g4_err *err)
{
    int rc;
    do rc = answer(c, err);
    while (!rc && ask_results(c));
    return rc;
}

static void greet(const struct g4_chat *c)
{
    if (!isatty(0) || c->r->g->quiet) return;
    fprintf(stderr, "%s on %s.  /help lists commands, Ctrl-D ends.\n", c->r->info->model_name, c->r->info->device);
    if (!c->r->info->has_chat) g4_tool_note("this model has no chat format: it goes on with the text");
}

static int line(struct g4_chat *c, const char *text, g4_err *err)
{
    const bool blank = !text[strspn(text, " \t\n")];
    if (blank) return G4_OK;
    g4_line_remember(text);
    if (*text == '/') return g4_chat_command(c, text) == G4_CHAT_ANSWER ? turn(c, err) : G4_OK;
    g4_talk_user(&c->talk, text, (g4_sv){ c->parts.p, c->parts.n });
    g4_str_clear(&c->parts);
    return turn(c, err);
}

static int attach_all(struct g4_chat *c, const char *const *paths, size_t n, g4_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (c->parts.n) g4_str_addc(&c->parts, ',');
        if (g4_request_part(paths[i], &c->parts, err)) return G4_EIO;
    }
    return G4_OK;
}

/* What the command line brings: system text, files, perhaps a first question. */
static int begin(struct g4_chat *c, g4_err *err)
{
    struct g4_gen_run *r = c->r;
    if (r->system) c->talk.system = g4_strdup(r->system);
    if (r->tools) c->talk.tools = g4_strdup(r->tools);
    if (attach_all(c, r->g->attach.v, r->g->attach.n, err) ||
        attach_all(c, r->input.source.paths, r->input.source.n_path, err))
        return err->code;
    return r->instruction ? line(c, r->instruction, err) : G4_OK;
}

static int session(struct g4_chat *c, g4_err *err)
{
    int rc = begin(c, err);
    while (!rc && !c->ended) {
        char *text = NULL;
        const enum g4_line_end end = g4_line_read("> ", &text);
        if (end == G4_LINE_FAILED) rc = g4_fail_errno(err, G4_EIO, "cannot read standard input");
        else if (end == G4_LINE_END) c->ended = true;
        else if (end == G4_LINE_TEXT) rc = line(c, text, err);
        free(text);
    }
    return rc;
}

int g4_gen_chat(struct g4_gen_run *r, g4_err *err)
{
    struct g4_chat c = { .r = r, .options = r->request };
    int rc = g4_term_start(err);
    if (rc) return rc;
    g4_line_open();
    greet(&c);
    rc = session(&c, err);
    g4_line_close();
    g4_term_end();
    g4_talk_free(&c.talk);
    g4_str_free(&c.parts);
    free(c.file);
    return rc;
}
