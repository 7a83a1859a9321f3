/* cmd/call_conv: one record on its way: generation, calls, generation ... or just
 * its calls.
 *
 * Every step makes the very record that the pipe `g4-gen -j | g4-call | g4-gen -j`
 * would pass on, and reads it as those commands would: the loop cannot come to
 * another conversation. */
#include "call.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct place { /* what a call's answer comes back to */
    struct g4_conv *conv;
    size_t i;
};

struct g4_conv {
    g4_slot *slot;       /* its place in the output */
    g4_record *record;   /* as it is now; the slot's, or after a step our own */
    bool own, anew;      /* anew: made again by --retry-errors */
    bool begun;          /* a step was made: the instruction has been said */
    struct g4_loop loop;
    g4_turn turn;        /* the calls that are running */
    struct place *places;
    size_t left;         /* answers to come */
    g4_err failed;       /* the first failure that makes an error record */
    struct g4_conv *next;
};

static void conv_free(struct g4_caller *c, struct g4_conv *v)
{
    if (v->own) g4_record_free(v->record);
    g4_turn_clear(&v->turn);
    free(v->places);
    free(v);
    c->alive--;
}

static int event(struct g4_caller *c, const struct g4_conv *v, const char *what, g4_sv members, g4_err *err)
{
    return g4_call_event(c, v->record, v->loop.steps, what, members, err);
}

/* ---- the end ------------------------------------------------------------- */

/* The record's line, or the event that holds it. */
static int write_line(struct g4_caller *c, struct g4_conv *v, g4_sv line, g4_sv text, bool failed, g4_err *err)
{
    g4_str s = {0};
    if (c->event_fd >= 0) {
        g4_str_addf(&s, "\"steps\":%u,\"usage\":{\"prompt_tokens\":%" PRIu64 ",\"completion_tokens\":%" PRIu64 "}", v->loop.steps,
                    v->loop.prompt_tokens, v->loop.tokens);
        g4_str_adds(&s, ",\"result\":");
        g4_str_add(&s, line.p, line.n);
    }
    int rc = c->event_fd >= 0 ? g4_call_event(c, v->record, 0, "done", (g4_sv){ s.p, s.n }, err) : G4_OK;
    g4_str_free(&s);
    if (rc) return rc;
    g4_slot *slot = v->slot;
    conv_free(c, v);
    return g4_output_line(c->out, slot, line, text, failed, err);
}

static int finish(struct g4_caller *c, struct g4_conv *v, g4_str *line, g4_sv text, g4_err *err)
{
    const int rc = write_line(c, v, (g4_sv){ line->p, line->n }, text, false, err);
    g4_str_free(line);
    return rc;
}

static int fail(struct g4_caller *c, struct g4_conv *v, const g4_err *why, g4_err *err)
{
    g4_str line = {0};
    g4_tool_note("%s: %s", v->record->where, why->msg);
    g4_tool_fail(G4_STATUS_FAILED);
    g4_compose_error(&c->compose, v->record, 0, why, &line);
    const int rc = write_line(c, v, (g4_sv){ line.p, line.n }, (g4_sv){ "", 0 }, true, err);
    g4_str_free(&line);
    return rc;
}

/* ---- steps --------------------------------------------------------------- */

static void want_generation(struct g4_caller *c, struct g4_conv *v)
{
    v->next = NULL;
    *c->ready_last = v;
    c->ready_last = &v->next;
}

static void become(struct g4_conv *v, g4_str *line)
{
    g4_record *next = g4_record_next(v->record, line, false);
    if (v->own) g4_record_free(v->record);
    v->record = next;
    v->own = true;
}

static int start_calls(struct g4_caller *c, struct g4_conv *v, g4_err *err)
{
    v->places = g4_alloc(v->turn.n * sizeof *v->places);
    v->left = v->turn.n;
    for (size_t i = 0; i < v->turn.n; i++) {
        const struct g4_open_call *call = &v->turn.call[i];
        v->places[i] = (struct place){ v, i };
        const struct g4_taped taped = { v->record->seq, v->turn.before + (uint32_t)i, call->name, { call->arguments.p, call->arguments.n } };
        g4_run_add(c->run, &(struct g4_call){ taped, call->id, call->wrong, v->anew, &v->places[i] });
    }
    return G4_OK;
}

/* All answers are there: the next record. */
static int calls_answered(struct g4_caller *c, struct g4_conv *v, g4_err *err)
{
    g4_str messages = {0}, line = {0}, text = {0};
    if (v->failed.code) return fail(c, v, &v->failed, err);
    g4_str_adds(&messages, "{\"messages\":");
    g4_turn_write(&v->turn, &messages);
    g4_str_addc(&messages, '}');
    g4_compose_put(v->record, (g4_json){ messages.p, messages.n }, &line);
    for (size_t i = 0; i < v->turn.n && c->o->gen.raw; i++) {
        if (i) g4_str_addc(&text, '\n');
        g4_str_add(&text, v->turn.call[i].content.p, v->turn.call[i].content.n);
    }
    g4_str_free(&messages);
    g4_turn_clear(&v->turn);
    free(v->places);
    v->places = NULL;
    int rc = G4_OK;
    if (c->o->loop) {
        become(v, &line);
        want_generation(c, v);
    } else {
        rc = finish(c, v, &line, (g4_sv){ text.p ? text.p : "", text.n }, err);
    }
    g4_str_free(&text);
    return rc;
}

int g4_conv_done(struct g4_caller *c, struct g4_done *d, g4_err *err)
{
    struct place *place = d->user;
    struct g4_conv *v = place->conv;
    struct g4_open_call *call = &v->turn.call[place->i];
    g4_str s = {0};
    call->content = d->content;
    if (d->outcome) {
        const char *name = g4_outcome_name(d->outcome);
        const size_t n = strlen(name), said = strncmp(d->why, name, n) || strncmp(d->why + n, ": ", 2) ? 0 : n + 2;
        g4_tool_detail("%s: call %s of '%s' %s: %s", v->record->where, call->id ? call->id : "", call->name, name, d->why + said);
    }
    if (d->outcome && (c->o->fail_on_tool_error || d->unknown) && !v->failed.code)
        g4_fail(&v->failed, d->outcome == G4_CALL_REFUSED ? G4_EPOLICY : G4_ETOOL, "call of '%.100s': %s", call->name, d->why);
    free(d->why);
    int rc = G4_OK;
    if (c->event_fd >= 0) {
        g4_str_addf(&s, "\"outcome\":\"%s\",\"message\":", g4_outcome_name(d->outcome));
        g4_turn_message(call, &s);
        rc = event(c, v, "result", (g4_sv){ s.p, s.n }, err);
        g4_str_free(&s);
    }
    if (rc || --v->left) return rc;
    return calls_answered(c, v, err);
}

/* ---- generation ---------------------------------------------------------- */

/* --tool-choice that asks for a call asks the first step: every later one would have
 * to call again, and no record would come to its answer. */
static g4_options step_options(const struct g4_caller *c, const struct g4_conv *v)
{
    g4_options o = c->gen.request;
    if (v->loop.steps && (o.set & G4_OPT_TOOL_CHOICE) && strcmp(o.tool_choice, "none")) o.set &= ~(uint32_t)G4_OPT_TOOL_CHOICE;
    return o;
}

static int submit(struct g4_caller *c, struct g4_conv *v, g4_err *err)
{
    g4_err why = {0};
    g4_call_declare(c);
    const g4_options options = step_options(c, v);
    g4_request q = g4_gen_request(&c->gen, v->record, 0);
    q.options = &options;
    if (v->begun) q.operand = NULL;
    q.budget = g4_loop_room(&v->loop, &c->o->limits);
    q.user = v;
    if (g4_call_event(c, v->record, v->loop.steps + 1, "start", (g4_sv){0}, err)) return err->code;
    if (g4_submit(c->gen.e, &q, &why)) {
        c->in_flight++;
        return G4_OK;
    }
    if (why.code == G4_EDEVICE) return g4_fail(err, why.code, "%s", why.msg);
    return fail(c, v, &why, err);
}

int g4_conv_submit(struct g4_caller *c, g4_err *err)
{
    while (c->ready && c->in_flight < c->gen.info->parallel) {
        struct g4_conv *v = c->ready;
        c->ready = v->next;
        if (!c->ready) c->ready_last = &c->ready;
        const int rc = submit(c, v, err);
        if (rc) return rc;
    }
    return G4_OK;
}

/* A result as the end of a record. */
static int answer(struct g4_caller *c, struct g4_conv *v, const g4_result *res, g4_str *line, g4_err *err)
{
    g4_gen_count(&c->gen, res);
    return finish(c, v, line, (g4_sv){ res->text, res->text_len }, err);
}

static int spent(struct g4_caller *c, struct g4_conv *v, const g4_result *res, g4_str *line, g4_err *err)
{
    g4_result cut = *res;
    cut.finish = G4_FINISH_BUDGET;
    cut.user_limit = c->o->limits.tokens || c->o->steps_given;
    g4_str_clear(line);
    g4_compose_result(&c->compose, v->record, 0, &cut, line);
    g4_tool_note("%s: not answered within %u steps and %" PRIu64 " tokens", v->record->where, v->loop.steps, v->loop.tokens);
    return answer(c, v, &cut, line, err);
}

static int result(struct g4_caller *c, struct g4_conv *v, const g4_result *res, g4_err *err)
{
    g4_str line = {0}, calls = {0};
    g4_json root;
    if (res->note) g4_tool_note("%s: calls that could not be read: %s", v->record->where, res->note);
    g4_compose_result(&c->compose, v->record, 0, res, &line);
    g4_json_check(line.p, line.n, &root, NULL);
    g4_turn_read(&v->turn, root);
    const enum g4_loop_next next = g4_loop_take(&v->loop, &c->o->limits, res, &v->turn);
    v->begun = true;
    int rc = G4_OK;
    if (v->turn.n && c->event_fd >= 0) {
        g4_str_addf(&calls, "\"tool_calls\":%s", res->tool_calls ? res->tool_calls : "[]");
        rc = event(c, v, "calls", (g4_sv){ calls.p, calls.n }, err);
        g4_str_free(&calls);
    }
    if (rc || next == G4_LOOP_ANSWER) return rc ? rc : answer(c, v, res, &line, err);
    if (next == G4_LOOP_SPENT) return spent(c, v, res, &line, err);
    g4_gen_count(&c->gen, res);
    become(v, &line);
    if (next == G4_LOOP_CALL) return start_calls(c, v, err);
    g4_err why = {0};
    const struct g4_open_call *last = &v->turn.call[v->turn.n - 1];
    g4_fail(&why, G4_ELIMIT, "the same call of '%.100s' came %u times in a row", last->name, c->o->limits.repeats);
    return fail(c, v, &why, err);
}

int g4_conv_event(struct g4_caller *c, const g4_event *ev, g4_err *err)
{
    struct g4_conv *v = ev->user;
    int rc = G4_OK;
    if (ev->kind != G4_EVENT_DONE) {
        g4_str s = {0};
        if (c->event_fd < 0) return G4_OK;
        g4_str_adds(&s, "\"text\":");
        g4_json_put_str(&s, ev->text, ev->text_len);
        rc = g4_call_event(c, v->record, v->loop.steps + 1, ev->kind == G4_EVENT_TEXT ? "text" : "thought", (g4_sv){ s.p, s.n }, err);
        g4_str_free(&s);
        return rc;
    }
    c->in_flight--;
    if (ev->result->err.code == G4_EDEVICE) return g4_fail(err, G4_EDEVICE, "%s", ev->result->err.msg);
    if (ev->result->err.code) {
        const g4_err why = ev->result->err;
        return fail(c, v, &why, err);
    }
    return result(c, v, ev->result, err);
}

/* ---- taking -------------------------------------------------------------- */

/* --dry-run: a line for every call that is open. */
static int show_calls(struct g4_caller *c, const struct g4_conv *v, g4_err *err)
{
    g4_str s = {0};
    for (size_t i = 0; i < v->turn.n; i++) {
        const struct g4_open_call *call = &v->turn.call[i];
        const struct g4_taped taped = { v->record->seq, v->turn.before + (uint32_t)i, call->name, { call->arguments.p, call->arguments.n } };
        enum g4_verdict verdict;
        g4_str why = {0};
        const enum g4_outcome o = g4_run_check(c->run, &(struct g4_call){ .taped = taped, .wrong = call->wrong }, &verdict, &why);
        const struct g4_tool *tool = g4_tools_find(g4_box_tools(c->box), call->name);
        g4_str_addf(&s, "{\"record\":%" PRIu64 ",\"id\":", v->record->seq);
        if (call->id) g4_json_put_str(&s, call->id, strlen(call->id));
        else g4_str_adds(&s, "null");
        g4_str_adds(&s, ",\"tool\":");
        g4_json_put_str(&s, call->name, strlen(call->name));
        g4_str_adds(&s, ",\"arguments\":");
        if (call->wrong) g4_json_put_str(&s, call->arguments.p, call->arguments.n);
        else g4_str_add(&s, call->arguments.p, call->arguments.n);
        g4_str_addf(&s, ",\"decision\":\"%s\"", o == G4_CALL_DONE ? verdict == G4_VERDICT_ASK ? "ask" : "run" : g4_outcome_name(o));
        if (why.n) {
            g4_str_adds(&s, ",\"why\":");
            g4_json_put_str(&s, why.p, why.n);
        }
        if (tool && (tool->path || tool->server)) {
            g4_str_addf(&s, ",\"%s\":", tool->path ? "program" : "server");
            g4_json_put_str(&s, tool->path ? tool->path : tool->from, strlen(tool->path ? tool->path : tool->from));
        }
        g4_str_addf(&s, ",\"sandbox\":%s}\n", c->o->sandbox ? "true" : "false");
        g4_str_free(&why);
    }
    const int bad = s.n ? g4_write_all(1, s.p, s.n) : 0;
    g4_str_free(&s);
    return bad ? g4_fail_errno(err, G4_EIO, "cannot write to standard output") : G4_OK;
}

static int pass(struct g4_caller *c, struct g4_conv *v, g4_err *err)
{
    g4_str text = {0};
    const g4_json own = g4_json_get(v->record->root, "text");
    const g4_sv line = { v->record->json.p, v->record->json.n };
    if (c->o->gen.raw && g4_json_type(own) == G4_JSON_STRING) g4_json_str(own, &text);
    const int rc = write_line(c, v, line, (g4_sv){ text.p ? text.p : "", text.n }, false, err);
    g4_str_free(&text);
    return rc;
}

int g4_conv_take(struct g4_caller *c, g4_record *r, g4_err *err)
{
    struct g4_conv *v = g4_alloc(sizeof *v);
    v->record = r;
    v->anew = c->o->gen.retry_errors && c->feed.journal && r->seq < g4_journal_count(c->feed.journal);
    c->alive++;
    if (!r->err.code) g4_turn_read(&v->turn, r->root);
    if (c->o->dry_run) {
        v->own = true;
        const int rc = show_calls(c, v, err);
        if (r->err.code) g4_tool_fail(G4_STATUS_FAILED);
        conv_free(c, v);
        return rc;
    }
    v->slot = g4_output_begin(c->out, r);
    if (!r->err.code && r->batch)
        g4_fail(&r->err, G4_EINPUT, "a line of an OpenAI batch has no place for tool results: map it with --input");
    if (r->err.code) {
        const g4_err why = r->err;
        return fail(c, v, &why, err);
    }
    if (v->turn.n) {
        v->begun = c->o->loop;
        return start_calls(c, v, err);
    }
    if (r->pass || !c->o->loop) return pass(c, v, err);
    want_generation(c, v);
    return G4_OK;
}
