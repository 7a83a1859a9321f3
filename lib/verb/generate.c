/* verb/generate: submit, step, cancel.
 *
 * Each batch's token events go through the task's parser into its answer and
 * thought; g4_step hands out what is new, a piece a task at a time, before it
 * runs the next batch.  What may be the beginning of a stop string is held back. */
#define _GNU_SOURCE /* memmem */
#include "verb/constrain.h"

#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* ---- tasks -------------------------------------------------------------- */

void g4_task_free(g4_task *t)
{
    if (!t) return;
    if (t->seq) g4_core_drop(t->engine->core, t->seq);
    g4_parse_free(t->parse);
    g4_budget_free(t->budget);
    g4_constrain_end(t);
    g4_toolchoice_end(t);
    g4_ask_free(&t->ask);
    g4_str_free(&t->answer);
    g4_str_free(&t->thought);
    g4_str_free(&t->token_probs);
    g4_str_free(&t->prompt_probs);
    free(t->mark);
    free(t->tool_calls);
    free(t->messages);
    free(t->logprobs);
    free(t->note);
    free(t->data);
    free(t->dropped);
    free(t);
}

static void unlink_task(g4_engine *e, g4_task *t)
{
    *(t->prev ? &t->prev->next : &e->first) = t->next;
    *(t->next ? &t->next->prev : &e->last) = t->prev;
    e->n_task--;
}

static void forget_gone(g4_engine *e)
{
    g4_task_free(e->gone);
    e->gone = NULL;
}

static g4_seq *submit_seq(g4_engine *e, g4_task *t, uint32_t sample, g4_err *err)
{
    const struct g4_ask *ask = &t->ask;
    const g4_options *o = &ask->opt;
    const struct g4_gen_defaults *d = g4_model_defaults(g4_core_model(e->core));
    const struct g4_span span = { .ids = ask->ids, .n = (uint32_t)ask->n_ids };
    struct g4_seq_params p = {
        .spans = &span, .n_span = 1,
        .sampling = { .temperature = o->temperature, .top_k = o->top_k, .top_p = o->top_p, .min_p = o->min_p,
                      .repeat_penalty = o->repeat_penalty, .frequency_penalty = o->frequency_penalty,
                      .presence_penalty = o->presence_penalty, .seed = o->seed, .sample = sample },
        .max_tokens = ask->budget && ask->budget < (uint32_t)o->max_tokens ? ask->budget : (uint32_t)o->max_tokens,
        .stop = d->stop, .n_stop = d->n_stop, .suppress = d->suppress, .n_suppress = d->n_suppress,
        .n_logprob = o->logprobs, .echo = o->echo, .max_time = o->max_time, .user = t,
    };
    if (t->budget)
        p.guides[p.n_guide++] = (struct g4_guide){ .self = t->budget, .forced = g4_budget_forced,
                                                   .accept = g4_budget_accept, .rollback = g4_budget_rollback };
    if (t->guide)
        p.guides[p.n_guide++] = (struct g4_guide){ .self = t->guide, .mask = g4_answer_mask, .forced = g4_answer_forced,
                                                   .accept = g4_answer_accept, .rollback = g4_answer_rollback };
    if (t->call_guide)
        p.guides[p.n_guide++] = (struct g4_guide){ .self = t->call_guide, .mask = g4_toolguide_mask, .forced = g4_toolguide_forced,
                                                   .accept = g4_toolguide_accept, .rollback = g4_toolguide_rollback };
    return g4_core_submit(e->core, &p, err);
}

g4_task *g4_submit(g4_engine *e, const g4_request *r, g4_err *err)
{
    forget_gone(e);
    g4_task *t = g4_alloc(sizeof *t);
    t->engine = e;
    t->user = r->user;
    if (g4_ask_read(e, r, &t->ask, err)) goto fail;
    const g4_tokenizer *tok = g4_model_tokenizer(g4_core_model(e->core));
    const enum g4_chat_format format = t->ask.raw ? G4_CHAT_NONE : g4_model_chat(g4_core_model(e->core));
    const struct g4_parse_params pp = { .tok = tok, .format = format, .open_thought = t->ask.open_thought, .tools = t->ask.tools };
    t->parse = g4_parse_new(&pp);
    if (t->ask.opt.think > 0) t->budget = g4_budget_new(tok, format, (uint32_t)t->ask.opt.think, t->ask.open_thought);
    if (g4_constrain_begin(t, err) || g4_toolchoice_begin(t, err)) goto fail;
    if (!(t->seq = submit_seq(e, t, r->sample, err))) goto fail;
    t->prev = e->last;
    *(e->last ? &e->last->next : &e->first) = t;
    e->last = t;
    e->n_task++;
    return t;
fail:
    g4_task_free(t);
    return NULL;
}

void g4_cancel(g4_engine *e, g4_task *t)
{
    if (t == e->gone) {
        forget_gone(e);
        return;
    }
    forget_gone(e);
    unlink_task(e, t);
    g4_task_free(t);
}

uint32_t g4_in_flight(const g4_engine *e)
{
    return e->n_task;
}

/* ---- stop strings ------------------------------------------------------- */

/* First stop string in the answer that ends behind byte `from`; NONE when there is none. */
static const char *find_stop(const g4_task *t, size_t from)
{
    const char *best = NULL;
    for (size_t i = 0; i < t->ask.n_stop; i++) {
        const char *stop = t->ask.stops[i];
        const size_t n = strlen(stop), begin = from >= n ? from - n + 1 : 0;
        if (t->answer.n < n) continue;
        const char *hit = memmem(t->answer.p + begin, t->answer.n - begin, stop, n);
        if (hit && (!best || hit < best)) best = hit;
    }
    return best;
}

/* Bytes at the end of the answer that may be the beginning of a stop string. */
static size_t held_back(const g4_task *t)
{
    size_t most = 0;
    for (size_t i = 0; i < t->ask.n_stop; i++) {
        size_t n = strlen(t->ask.stops[i]) - 1;
        if (n > t->answer.n) n = t->answer.n;
        while (n > most && memcmp(t->answer.p + t->answer.n - n, t->ask.stops[i], n)) n--;
        if (n > most) most = n;
    }
    return most;
}

/* ---- token events ------------------------------------------------------- */

static void finish(g4_task *t, enum g4_finish why, bool by_length)
{
    const size_t had = t->answer.n;
    t->done = true;
    t->result.finish = why;
    t->result.user_limit = (t->ask.opt.set & G4_OPT_MAX_TOKENS) != 0;
    g4_parse_end(t->parse, by_length, &t->answer, &t->thought);
    const char *hit = t->ask.n_stop ? find_stop(t, had) : NULL;
    if (hit) {
        t->answer.n = (size_t)(hit - t->answer.p);
        t->answer.p[t->answer.n] = 0;
        t->result.finish = G4_FINISH_STOP;
    }
    t->safe = t->answer.n;
    g4_result_finish(t);
}

/* A stop string came: the answer ends before it. */
static void stop_at(g4_task *t, const char *hit)
{
    const size_t n = (size_t)(hit - t->answer.p);
    g4_str rest = {0};
    g4_seq_finish(t->engine->core, t->seq);
    g4_parse_end(t->parse, true, &rest, &rest); /* nothing behind it counts */
    g4_str_free(&rest);
    t->answer.n = n;
    t->answer.p[n] = 0;
    t->done = true;
    t->result.finish = G4_FINISH_STOP;
    t->safe = n;
    g4_result_finish(t);
}

static void on_token(g4_task *t, const struct g4_tok_event *ev)
{
    const size_t had = t->answer.n;
    const bool end = g4_parse_push(t->parse, ev->id, &t->answer, &t->thought);
    t->n_token++;
    if (!end && t->ask.opt.logprobs >= 0) g4_result_token(t, ev);
    if (t->answer.n > had && t->ask.opt.logprobs >= 0) {
        G4_GROW(t->mark, t->cap_mark, t->n_mark + 1);
        t->mark[t->n_mark++] = (struct g4_mark){ t->answer.n, ev->logprob };
    }
    const char *hit = t->ask.n_stop && t->answer.n > had ? find_stop(t, had) : NULL;
    if (hit) stop_at(t, hit);
    else t->safe = t->answer.n - (t->ask.n_stop ? held_back(t) : 0);
}

static void on_end(g4_task *t, enum g4_tok_end end)
{
    switch (end) {
    case G4_END_STOP: finish(t, G4_FINISH_STOP, false); break;
    case G4_END_LENGTH: finish(t, t->ask.budget && t->n_token >= t->ask.budget ? G4_FINISH_BUDGET : G4_FINISH_LENGTH, true); break;
    case G4_END_CONTEXT: finish(t, G4_FINISH_CONTEXT, true); break;
    case G4_END_TIME:
        t->done = true;
        t->safe = t->sent_answer = t->answer.n;
        t->sent_thought = t->thought.n;
        g4_fail(&t->result.err, G4_ELIMIT, "over the time limit of %g s", t->ask.opt.max_time);
        break;
    }
}

static void take_events(g4_engine *e)
{
    struct g4_tok_event ev;
    while (g4_core_event(e->core, &ev)) {
        g4_task *t = ev.user;
        if (t->done) continue;
        if (ev.kind == G4_TOK_PROMPT) g4_result_token(t, &ev);
        else if (ev.kind == G4_TOK_TOKEN) on_token(t, &ev);
        else on_end(t, ev.end);
    }
}

/* ---- the pump ----------------------------------------------------------- */

static bool give(g4_event *ev, enum g4_event_kind kind, g4_task *t, const g4_str *s, size_t *sent, size_t upto)
{
    if (*sent >= upto) return false;
    *ev = (g4_event){ .kind = kind, .task = t, .user = t->user, .text = s->p + *sent, .text_len = upto - *sent, .logprob = NAN };
    *sent = upto;
    return true;
}

/* With log-probabilities a piece is of one token. */
static bool give_answer(g4_event *ev, g4_task *t)
{
    size_t upto = t->safe;
    while (t->next_mark < t->n_mark && t->mark[t->next_mark].end <= t->sent_answer) t->next_mark++;
    const struct g4_mark *m = t->next_mark < t->n_mark ? &t->mark[t->next_mark] : NULL;
    if (m && m->end < upto) upto = m->end;
    if (!give(ev, G4_EVENT_TEXT, t, &t->answer, &t->sent_answer, upto)) return false;
    if (m) ev->logprob = m->logprob;
    return true;
}

static bool next_event(g4_engine *e, g4_event *ev)
{
    for (g4_task *t = e->first; t; t = t->next) {
        if (give(ev, G4_EVENT_THOUGHT, t, &t->thought, &t->sent_thought, t->thought.n)) return true;
        if (give_answer(ev, t)) return true;
        if (!t->done) continue;
        *ev = (g4_event){ .kind = G4_EVENT_DONE, .task = t, .user = t->user, .result = &t->result };
        unlink_task(e, t);
        e->gone = t;
        return true;
    }
    return false;
}

static bool ready(struct pollfd *fds, unsigned long n, int timeout_ms)
{
    return n && poll(fds, n, timeout_ms) > 0;
}

int g4_step(g4_engine *e, struct pollfd *fds, unsigned long n_fds, int timeout_ms, g4_event *ev, g4_err *err)
{
    const double until = g4_now() + 1e-3 * timeout_ms;
    forget_gone(e);
    if (!fds) n_fds = 0;
    for (unsigned long i = 0; i < n_fds; i++) fds[i].revents = 0;
    for (;;) {
        if (next_event(e, ev)) return 1;
        if (!e->n_task) {
            ready(fds, n_fds, timeout_ms);
            return 0;
        }
        /* Readiness is told before a batch runs, but not twice in a row: work goes on. */
        if (!e->woke && ready(fds, n_fds, 0)) {
            e->woke = true;
            return 0;
        }
        e->woke = false;
        const int rc = g4_core_step(e->core, err);
        if (rc) return rc;
        take_events(e);
        if (next_event(e, ev)) return 1;
        if (timeout_ms >= 0 && g4_now() >= until) return 0;
    }
}
