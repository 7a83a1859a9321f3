/* cmd/call_run: the pump.  Reading, generating, calling and writing go on side by
 * side: while one record's tool runs, others generate. */
#include "call.h"

#include <poll.h>
#include <stdlib.h>

enum { PENDING_MAX = 256 << 20, PLAIN_ALIVE = 64 };

static int fill(struct g4_caller *c, g4_err *err)
{
    while (c->alive < c->most_alive && !c->feed.ended && g4_output_pending(c->out) <= PENDING_MAX) {
        g4_record *record;
        const int got = g4_feed_next(&c->feed, c->alive, &record, err);
        if (got == -2) return err->code;
        if (got <= 0) break;
        const int rc = g4_conv_take(c, record, err);
        if (rc) return rc;
    }
    return c->gen.e ? g4_conv_submit(c, err) : G4_OK;
}

static int advance_calls(struct g4_caller *c, g4_err *err)
{
    struct g4_done done;
    int rc = g4_run_step(c->run, err);
    while (!rc && g4_run_next(c->run, &done)) rc = g4_conv_done(c, &done, err);
    return rc;
}

/* Waits until something can be done, or lets the engine run a batch. */
static int turn(struct g4_caller *c, g4_err *err)
{
    const bool hungry = !c->feed.ended && !c->feed.held && c->alive < c->most_alive;
    struct pollfd *fds = g4_alloc((g4_run_fds(c->run) + 2) * sizeof *fds);
    unsigned n = 0;
    g4_event ev;
    fds[n++] = (struct pollfd){ c->feed.journal ? -1 : 1, 0, 0 };
    if (hungry) fds[n++] = (struct pollfd){ g4_input_fd(c->feed.in), POLLIN, 0 };
    n += g4_run_poll(c->run, fds + n);
    const int ms = g4_run_wait_ms(c->run);
    int rc = 0;
    if (c->in_flight) rc = g4_step(c->gen.e, fds, n, ms, &ev, err);
    else poll(fds, n, ms);
    if (rc >= 0 && fds[0].revents) g4_tool_broken_pipe(); /* POLLERR, POLLHUP: nothing else was asked for */
    free(fds);
    if (rc < 0) return rc;
    if (rc > 0 && g4_conv_event(c, &ev, err)) return err->code;
    c->gen.pieces += rc > 0;
    g4_tool_progress(g4_output_written(c->out) + c->feed.skipped, c->gen.pieces, g4_input_progress(c->feed.in));
    return G4_OK;
}

static int loop(struct g4_caller *c, g4_err *err)
{
    for (;;) {
        int rc = advance_calls(c, err); /* first: answers make records that want to generate */
        if (!rc) rc = fill(c, err);
        if (rc) return rc;
        if (c->feed.ended && !c->alive && !c->feed.held) break;
        if (turn(c, err)) return err->code;
    }
    return g4_feed_check(&c->feed, c->out, c->o->gen.resume, err);
}

static int open_model(struct g4_caller *c, g4_err *err)
{
    if (!c->o->loop) return G4_OK;
    if (g4_gen_open(&c->gen, err)) return err->code;
    if (!c->gen.info->has_chat)
        return g4_fail(err, G4_EUNSUP, "'%s' has no chat format: it cannot call tools", c->gen.info->model_name);
    c->compose.model_name = c->gen.info->model_name;
    c->compose.model_digest = c->gen.info->model_digest;
    g4_str_addf(&c->gen.key, "model \"%s %s\"\ndevice \"%s\"\n", c->gen.info->model_name, c->gen.info->model_digest,
                c->gen.info->device);
    return G4_OK;
}

int g4_call_records(struct g4_caller *c, g4_err *err)
{
    struct g4_gen_run *gen = &c->gen;
    int rc = open_model(c, err);
    if (!rc) rc = g4_call_open_journal(c, err);
    if (rc) return rc;
    c->most_alive = gen->info ? 2 * gen->info->parallel : PLAIN_ALIVE + c->o->call_jobs;
    gen->input.source.ahead = c->most_alive;
    const struct g4_run_params rp = {
        .box = c->box, .policy = c->policy, .yes = c->o->yes, .deny_all = c->o->deny_all, .before_asking = g4_tool_progress_hide,
        .sandbox = c->o->sandbox ? &c->box_wall : NULL, .jobs = c->o->call_jobs, .time_max = c->o->tool_timeout,
        .out_max = c->o->tool_output, .record = c->record, .replay = c->replay, .journal = c->journal,
    };
    c->run = g4_run_new(&rp);
    if (!(c->out = g4_output_new(&gen->output, err)) || !(c->feed.in = g4_input_new(&gen->input, err))) rc = err->code;
    gen->started = g4_tool_now();
    if (!rc) rc = loop(c, err);
    g4_tool_progress_hide();
    if (c->out) gen->records = g4_output_written(c->out);
    if (c->out && g4_output_failed(c->out)) g4_tool_fail(G4_STATUS_FAILED);
    if (!rc && gen->info) g4_gen_report(gen);
    g4_feed_free(&c->feed);
    g4_output_free(c->out);
    g4_journal_close(c->feed.journal, err);
    return rc ? rc : err->code;
}
