/* cmd/gen_records: many records in flight.  Reading, generating and writing go
 * on side by side: the pump wakes when input has come or stdout has broken. */
#include "feed.h"
#include "gen.h"

#include <poll.h>
#include <stdlib.h>

enum { PENDING_MAX = 256 << 20 }; /* bytes of finished records that may wait for an earlier one */

struct job { /* one sample of one record, in flight */
    g4_slot *slot;
    uint32_t sample;
    struct job *next; /* free ones */
};

struct runner {
    struct g4_gen_run *r;
    struct g4_feed feed;
    g4_output *out;
    g4_slot *slot;       /* the record whose samples are being submitted */
    uint32_t sample;
    uint32_t in_flight;
    struct job *jobs, *idle; /* [parallel], and those of them not in use */
};

static void tell(const g4_record *record, const g4_err *why)
{
    g4_tool_note("%s: %s", record->where, why->msg);
}

/* Gives the place back to the output; the slot may be gone afterwards. */
static int fail_sample(struct runner *u, g4_slot *slot, uint32_t sample, const g4_err *why, g4_err *err)
{
    tell(g4_slot_record(slot), why);
    g4_tool_fail(G4_STATUS_FAILED);
    return g4_output_error(u->out, slot, sample, why, err);
}

static void retire(struct runner *u, struct job *job)
{
    job->next = u->idle;
    u->idle = job;
}

/* Submits the current record's next sample. */
static int submit(struct runner *u, g4_err *err)
{
    g4_slot *slot = u->slot;
    const uint32_t sample = u->sample++;
    if (u->sample == u->r->g->samples) u->slot = NULL;
    g4_request q = g4_gen_request(u->r, g4_slot_record(slot), sample);
    struct job *job = u->idle;
    u->idle = job->next;
    *job = (struct job){ slot, sample, NULL };
    q.user = job;
    g4_err why = {0};
    if (g4_submit(u->r->e, &q, &why)) {
        u->in_flight++;
        return G4_OK;
    }
    retire(u, job);
    if (why.code == G4_EDEVICE) return g4_fail(err, why.code, "%s", why.msg);
    return fail_sample(u, slot, sample, &why, err);
}

/* A record has come: its place is reserved; what needs no model is done at once. */
static int take(struct runner *u, g4_record *record, g4_err *err)
{
    g4_slot *slot = g4_output_begin(u->out, record);
    if (record->err.code) {
        const g4_err why = record->err;
        tell(record, &why);
        g4_tool_fail(G4_STATUS_FAILED);
        return g4_output_refuse(u->out, slot, &why, err);
    }
    if (record->pass) return g4_output_pass(u->out, slot, err);
    u->slot = slot;
    u->sample = 0;
    return G4_OK;
}

/* Keeps the engine supplied. */
static int fill(struct runner *u, g4_err *err)
{
    while (u->in_flight < u->r->info->parallel) {
        int rc = G4_OK;
        g4_record *record;
        if (u->slot) {
            rc = submit(u, err);
        } else {
            if (u->feed.ended || g4_output_pending(u->out) > PENDING_MAX) return G4_OK;
            const int got = g4_feed_next(&u->feed, u->in_flight, &record, err);
            if (got == -2) return err->code;
            if (got == 0) return G4_OK;
            if (got > 0) rc = take(u, record, err);
        }
        if (rc) return rc;
    }
    return G4_OK;
}

static int finish(struct runner *u, const g4_event *ev, g4_err *err)
{
    struct job *job = ev->user;
    g4_slot *slot = job->slot;
    const uint32_t sample = job->sample;
    const g4_result *res = ev->result;
    retire(u, job);
    u->in_flight--;
    if (res->err.code == G4_EDEVICE) return g4_fail(err, G4_EDEVICE, "%s", res->err.msg);
    if (res->err.code) return fail_sample(u, slot, sample, &res->err, err);
    if (res->note) g4_tool_note("%s: calls that could not be read: %s", g4_slot_record(slot)->where, res->note);
    g4_gen_count(u->r, res);
    return g4_output_result(u->out, slot, sample, res, err);
}

/* One turn of the pump. */
static int step(struct runner *u, g4_err *err)
{
    g4_event ev;
    const bool hungry = !u->feed.ended && !u->feed.held && !u->slot && u->in_flight < u->r->info->parallel;
    struct pollfd fds[2] = { { u->feed.journal ? -1 : 1, 0, 0 }, { g4_input_fd(u->feed.in), POLLIN, 0 } };
    int rc = 0;
    if (u->in_flight) rc = g4_step(u->r->e, fds, hungry ? 2 : 1, -1, &ev, err);
    else poll(fds, hungry ? 2 : 1, -1);
    if (rc < 0) return rc;
    if (fds[0].revents) g4_tool_broken_pipe(); /* POLLERR, POLLHUP: nothing else was asked for */
    if (rc > 0 && ev.kind == G4_EVENT_DONE && finish(u, &ev, err)) return err->code;
    u->r->pieces += rc > 0;
    g4_tool_progress(g4_output_written(u->out) + u->feed.skipped, u->r->pieces, g4_input_progress(u->feed.in));
    return G4_OK;
}

static int loop(struct runner *u, g4_err *err)
{
    for (;;) {
        const int rc = fill(u, err);
        if (rc) return rc;
        if (u->feed.ended && !u->in_flight && !u->slot) break;
        if (step(u, err)) return err->code;
    }
    return g4_feed_check(&u->feed, u->out, u->r->g->resume, err);
}

static int open_journal(struct runner *u, g4_err *err)
{
    struct g4_gen_run *r = u->r;
    if (!r->g->resume) return G4_OK;
    g4_str_addf(&r->key, "model \"%s %s\"\ndevice \"%s\"\n", r->info->model_name, r->info->model_digest, r->info->device);
    u->feed.journal = g4_journal_open(r->g->resume, r->key.p, r->g->retry_errors, &r->request.seed, err);
    r->output.journal = u->feed.journal;
    return u->feed.journal ? G4_OK : err->code;
}

int g4_gen_records(struct g4_gen_run *r, g4_err *err)
{
    struct runner u = { .r = r };
    r->output.compose.model_name = r->info->model_name;
    r->output.compose.model_digest = r->info->model_digest;
    r->input.source.ahead = 2 * r->info->parallel;
    int rc = open_journal(&u, err);
    if (!rc && !(u.out = g4_output_new(&r->output, err))) rc = err->code;
    if (!rc && !(u.feed.in = g4_input_new(&r->input, err))) rc = err->code;
    u.jobs = g4_alloc(r->info->parallel * sizeof *u.jobs);
    for (uint32_t i = 0; i < r->info->parallel; i++) retire(&u, &u.jobs[i]);
    r->started = g4_tool_now();
    if (!rc) rc = loop(&u, err);
    g4_tool_progress_hide();
    if (u.out) r->records = g4_output_written(u.out);
    if (u.out && g4_output_failed(u.out)) g4_tool_fail(G4_STATUS_FAILED);
    free(u.jobs);
    g4_feed_free(&u.feed);
    g4_output_free(u.out);
    g4_journal_close(u.feed.journal, err);
    return rc ? rc : err->code;
}
