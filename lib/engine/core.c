/* engine/core: opening and closing, submitting and dropping sequences, running a
 * step, the events, and the bare forward pass.
 *
 * Two nets of the same model: one for few rows (decode, short prompts), one for
 * prompt chunks, made when the first long prompt comes.  All that a step needs is
 * allocated here or in g4_core_submit; a decode step allocates nothing. */
#include "engine/core.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "engine/need.h"
#include "engine/sample.h"

enum { DEFAULT_CHUNK = 512, SMALL_ROWS = 16, ECHO_OUTS = 32, MAX_PARALLEL = 1024, TURN_CUTS = 2 };

double g4_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- opening ------------------------------------------------------------ */

static void copy_block(void *arg, uint32_t pool, int32_t from, int32_t to)
{
    g4_core *c = arg;
    c->device->ops->kv_copy(c->device, c->kv, pool, from, to);
}

static uint32_t choose_context(const struct g4_hparams *hp, uint32_t asked)
{
    if (!asked || asked > hp->context) {
        if (asked) g4_log(G4_LOG_WARN, "context %u is over the model's: using %u", asked, hp->context);
        return hp->context ? hp->context : 2048;
    }
    return asked;
}

/* What the cache may take: a quarter of the host's memory; on a device with its own, half of what the model leaves
 * there, and where the model does not fit a quarter. */
static uint64_t cache_budget(const g4_core *c)
{
    const uint64_t host = g4_memory_total() / 4;
    if (!c->device->ops->room) return host;
    const uint64_t room = c->device->ops->room(c->device).bytes, model = g4_model_bytes(c->model);
    const uint64_t own = room > model ? (room - model) / 2 : 0;
    return own > room / 4 ? own : room / 4;
}

/* False when K or V of a layer is more than the device can bind. */
static bool can_bind(const g4_core *c, const g4_kv_desc *desc)
{
    if (!c->device->ops->room) return true;
    const uint64_t most = c->device->ops->room(c->device).binding;
    for (uint32_t i = 0; i < desc->n_layer; i++) {
        const g4_kv_layer *l = &desc->layers[i];
        if ((uint64_t)c->sizes.n_block[l->pool] * l->n_kv * G4_KV_BLOCK * l->d_head * (desc->type == G4_F16 ? 2 : 4) > most) return false;
    }
    return true;
}

static int open_cache(g4_core *c, g4_err *err)
{
    const struct g4_hparams *hp = g4_model_hp(c->model);
    uint32_t n_layer = 0;
    g4_kv_desc desc = { .layers = g4_model_kv_layers(c->model, &n_layer), .type = c->p.kv_type };
    desc.n_layer = n_layer;
    c->want = (struct g4_kv_want){
        .window = c->encoder ? UINT32_MAX / 2 : hp->window,
        .context = choose_context(hp, c->p.context),
        .parallel = c->encoder ? 1 : c->p.parallel < MAX_PARALLEL ? c->p.parallel : MAX_PARALLEL,
        .budget = cache_budget(c),
        .turns = c->encoder ? 0 : c->p.turns,
    };
    c->want.chunk = c->p.chunk ? c->p.chunk : DEFAULT_CHUNK;
    if (c->want.chunk > c->want.context) c->want.chunk = c->want.context;
    for (uint32_t i = 0; i < n_layer; i++) {
        const uint32_t pool = desc.layers[i].pool;
        if (!c->want.block_bytes[pool]) c->want.block_bytes[pool] = g4_kv_block_bytes(&desc, pool);
    }
    g4_kv_plan(&c->want, !c->p.context, &c->sizes);
    for (; !can_bind(c, &desc) && c->want.budget > 1 << 20; c->want.budget -= c->want.budget / 8) g4_kv_plan(&c->want, !c->p.context, &c->sizes);
    if (c->sizes.context < c->want.context)
        g4_log(G4_LOG_WARN, "context shortened to %u tokens: the cache of %u does not fit this machine",
               c->sizes.context, c->want.context);
    memcpy(desc.n_block, c->sizes.n_block, sizeof desc.n_block);
    if (n_layer && !(c->kv = c->device->ops->kv_new(c->device, &desc, err)))
        return g4_fail(err, G4_ENOMEM, "no memory for the cache");
    const struct g4_cache_params cp = {
        .n_block = { c->sizes.n_block[0], c->sizes.n_block[1] },
        .n_idle = { c->sizes.seq_block[0], c->sizes.seq_block[1] },
        .window = hp->window, .prefix = c->p.prefix_cache && !c->encoder, .keep_local = c->encoder,
        .copy = copy_block, .arg = c,
    };
    c->cache = g4_cache_new(&cp);
    return 0;
}

static void open_step(g4_core *c)
{
    const uint32_t p = c->sizes.parallel;
    c->net_rows[0] = c->net_out[0] = p > SMALL_ROWS ? p : SMALL_ROWS;
    c->net_rows[1] = c->want.chunk + p;
    if (c->net_rows[1] < c->net_rows[0]) c->net_rows[1] = c->net_rows[0];
    c->net_out[1] = p + ECHO_OUTS;
    const size_t rows = c->net_rows[1], outs = c->net_out[1];
    c->row_id = g4_alloc(rows * sizeof *c->row_id);
    c->row_vec = g4_alloc(rows * sizeof *c->row_vec);
    c->row_pos = g4_alloc(rows * sizeof *c->row_pos);
    c->row_seq = g4_alloc(rows * sizeof *c->row_seq);
    c->row_group = g4_alloc(rows * sizeof *c->row_group);
    c->step_seq = g4_alloc(p * sizeof *c->step_seq);
    c->step_owner = g4_alloc(p * sizeof *c->step_owner);
    c->out_row = g4_alloc(outs * sizeof *c->out_row);
    c->out_seq = g4_alloc(outs * sizeof *c->out_seq);
    c->out_pos = g4_alloc(outs * sizeof *c->out_pos);
    c->pick = g4_alloc(outs * sizeof *c->pick);
    G4_GROW(c->events, c->event_cap, 4 * outs);
}

g4_core *g4_core_new(const struct g4_core_params *p, g4_err *err)
{
    g4_core *c = g4_alloc(sizeof *c);
    c->p = *p;
    c->p.model_path = c->p.device = NULL;
    c->model = g4_model_open(p->model_path, p->text_only, err);
    if (!c->model) goto fail;
    if (p->text_only) return c;
    const struct g4_hparams *hp = g4_model_hp(c->model);
    c->encoder = hp->encoder;
    c->n_vocab = hp->n_vocab;
    c->d_model = hp->d_model;
    const struct g4_device_params dp = { .which = p->device, .threads = p->threads, .fast_bf16 = p->fast_bf16, .may_split = true,
                                         .gpu_layers = p->gpu_layers };
    c->device = g4_device_open(&dp, err);
    if (!c->device || open_cache(c, err)) goto fail;
    open_step(c);
    c->turn = g4_alloc((size_t)(TURN_CUTS * p->turns + 1) * sizeof *c->turn);
    return c;
fail:
    g4_core_free(c);
    return NULL;
}

static void free_net(g4_core *c, struct g4_net *net)
{
    if (net->plan) g4_model_net_free(c->device, net);
    net->plan = NULL;
}

void g4_core_free(g4_core *c)
{
    if (!c) return;
    while (c->running.first) g4_core_drop(c, c->running.first);
    while (c->queue.first) g4_core_drop(c, c->queue.first);
    while (g4_core_forget_turn(c)) {}
    free(c->turn);
    free_net(c, &c->net[0]);
    free_net(c, &c->net[1]);
    free_net(c, &c->forward);
    g4_cache_free(c->cache);
    if (c->kv) c->device->ops->kv_free(c->device, c->kv);
    if (c->model) g4_model_free(c->model);
    if (c->device) g4_device_close(c->device);
    free(c->row_id);
    free(c->row_vec);
    free(c->row_pos);
    free(c->row_seq);
    free(c->row_group);
    free(c->step_seq);
    free(c->step_owner);
    free(c->out_row);
    free(c->out_seq);
    free(c->out_pos);
    free(c->pick);
    free(c->scratch);
    free(c->events);
    free(c->alt_id);
    free(c->alt_logprob);
    free(c);
}

g4_model *g4_core_model(g4_core *c)
{
    return c->model;
}

const char *g4_core_device_info(const g4_core *c)
{
    return c->device ? c->device->info : "none";
}

uint32_t g4_core_context(const g4_core *c)
{
    return c->sizes.context;
}

uint32_t g4_core_parallel(const g4_core *c)
{
    return c->sizes.parallel;
}

uint32_t g4_core_threads(const g4_core *c)
{
    return c->device ? c->device->threads : 0;
}

/* Cache at most, and the activations of both nets: the widest rows and the logits. */
uint64_t g4_core_memory(const g4_core *c)
{
    if (!c->device) return 0;
    const uint64_t rows = (uint64_t)c->net_rows[0] + c->net_rows[1], outs = (uint64_t)c->net_out[0] + c->net_out[1];
    return g4_kv_memory(&c->want, &c->sizes) + g4_need_work(g4_model_hp(c->model), rows, outs);
}

/* ---- ends of turns ------------------------------------------------------ */

bool g4_core_forget_turn(g4_core *c)
{
    if (!c->n_turn) return false;
    g4_cache_release(c->cache, &c->turn[0]);
    g4_timeline_free(&c->turn[0]);
    memmove(c->turn, c->turn + 1, --c->n_turn * sizeof *c->turn);
    return true;
}

/* Two cuts at block ends: the last one may hold tokens that the next prompt
 * replaces (the closed thought of large models). */
void g4_core_keep_turn(g4_core *c, const g4_seq *s)
{
    if (!c->p.turns || !c->p.prefix_cache || s->vec) return;
    const uint32_t end = (s->n_prompt - 1) / G4_KV_BLOCK * G4_KV_BLOCK;
    for (uint32_t cut = end > G4_KV_BLOCK ? end - G4_KV_BLOCK : G4_KV_BLOCK; cut <= end; cut += G4_KV_BLOCK) {
        g4_timeline t;
        if (c->n_turn == TURN_CUTS * c->p.turns) g4_core_forget_turn(c);
        g4_timeline_init(&t, cut);
        if (g4_cache_fork(c->cache, &t, &s->tl, cut)) c->turn[c->n_turn++] = t;
        else g4_timeline_free(&t);
    }
}

/* ---- submitting --------------------------------------------------------- */

static void *dup_array(const void *p, size_t n, size_t size)
{
    return n ? g4_dup(p, n * size) : NULL;
}

/* Ids of all spans; vectors get id -1 and a copy of their rows. */
static void copy_spans(g4_core *c, g4_seq *s, const struct g4_seq_params *p)
{
    uint32_t n_vec = 0, at = 0;
    for (size_t i = 0; i < p->n_span; i++)
        if (!p->spans[i].ids) n_vec += p->spans[i].n;
    if (n_vec) {
        s->rows = g4_alloc((size_t)n_vec * c->d_model * sizeof *s->rows);
        s->vec = g4_alloc(s->n_prompt * sizeof *s->vec);
        s->group = g4_alloc(s->n_prompt * sizeof *s->group);
    }
    float *row = s->rows;
    for (size_t i = 0; i < p->n_span; i++) {
        const struct g4_span *span = &p->spans[i];
        for (uint32_t k = 0; k < span->n; k++, at++) {
            s->ids[at] = span->ids ? span->ids[k] : -1;
            if (span->ids) continue;
            memcpy(row, span->rows + (size_t)k * c->d_model, c->d_model * sizeof *row);
            s->vec[at] = row;
            s->group[at] = span->group;
            row += c->d_model;
        }
    }
}

static int check_submit(const g4_core *c, const struct g4_seq_params *p, uint32_t *n_prompt, g4_err *err)
{
    uint64_t n = 0;
    if (!c->device) return g4_fail(err, G4_EUSAGE, "the engine was opened for text only");
    if (c->encoder) return g4_fail(err, G4_EUNSUP, "an encoder model does not generate");
    for (size_t i = 0; i < p->n_span; i++) {
        n += p->spans[i].n;
        for (uint32_t k = 0; p->spans[i].ids && k < p->spans[i].n; k++)
            if (p->spans[i].ids[k] < 0 || (uint32_t)p->spans[i].ids[k] >= c->n_vocab)
                return g4_fail(err, G4_EINPUT, "token %d is not in the vocabulary", p->spans[i].ids[k]);
    }
    if (!n) return g4_fail(err, G4_EINPUT, "the prompt is empty");
    if (n + 1 > c->sizes.context)
        return g4_fail(err, G4_ECONTEXT, "the prompt has %llu tokens, the context holds %u",
                       (unsigned long long)n, c->sizes.context);
    *n_prompt = (uint32_t)n;
    return 0;
}

g4_seq *g4_core_submit(g4_core *c, const struct g4_seq_params *p, g4_err *err)
{
    uint32_t n_prompt = 0;
    if (check_submit(c, p, &n_prompt, err)) return NULL;
    g4_seq *s = g4_alloc(sizeof *s);
    s->serial = ++c->serial;
    s->user = p->user;
    s->n_prompt = s->n_ids = n_prompt;
    s->max_tokens = p->max_tokens;
    s->max_ids = p->max_tokens < c->sizes.context - n_prompt ? n_prompt + p->max_tokens : c->sizes.context;
    s->ids = g4_alloc(s->max_ids * sizeof *s->ids);
    copy_spans(c, s, p);
    s->sampling = p->sampling;
    s->prompt_hash = g4_hash64(s->ids, n_prompt * sizeof *s->ids, 0);
    s->key = g4_sample_key(p->sampling.seed, p->sampling.sample, s->ids, n_prompt);
    s->stop = dup_array(p->stop, p->n_stop, sizeof *p->stop);
    s->n_stop = p->n_stop;
    memcpy(s->guides, p->guides, sizeof s->guides);
    s->n_guide = p->n_guide;
    for (size_t i = 0; i < s->n_guide && !s->mask; i++)
        if (s->guides[i].mask) s->mask = g4_alloc((size_t)(c->n_vocab + 31) / 32 * sizeof *s->mask);
    g4_adjust_init(&s->adjust, p, s->ids, n_prompt, s->max_ids - n_prompt, c->n_vocab);
    s->n_logprob = p->n_logprob;
    s->echo = p->echo;
    s->max_time = p->max_time;
    if (g4_sample_wants_row(&s->sampling) && !c->scratch) c->scratch = g4_alloc(c->n_vocab * sizeof *c->scratch);
    g4_timeline_init(&s->tl, s->max_ids);
    g4_timeline_chain(&s->tl, s->ids, n_prompt);
    g4_list_insert(&c->queue, s);
    return s;
}

void g4_seq_finish(g4_core *c, g4_seq *s)
{
    if (s->state == G4_SEQ_ENDED) return;
    g4_list_remove(s->state == G4_SEQ_QUEUED ? &c->queue : &c->running, s);
    g4_cache_release(c->cache, &s->tl);
    s->state = G4_SEQ_ENDED;
}

void g4_core_drop(g4_core *c, g4_seq *s)
{
    g4_seq_finish(c, s);
    for (size_t i = c->event_next; i < c->n_event; i++)
        if (c->events[i].ev.seq == s) c->events[i].ev.seq = NULL;
    g4_timeline_free(&s->tl);
    g4_adjust_free(&s->adjust);
    free(s->ids);
    free(s->rows);
    free(s->vec);
    free(s->group);
    free(s->stop);
    free(s->mask);
    free(s);
}

bool g4_core_busy(const g4_core *c)
{
    return c->queue.n || c->running.n;
}

uint32_t g4_seq_prompt_tokens(const g4_seq *s)
{
    return s->n_prompt;
}

uint32_t g4_seq_cached_tokens(const g4_seq *s)
{
    return s->n_cached;
}

void g4_seq_times(const g4_seq *s, double *prompt_ms, double *decode_ms)
{
    *prompt_ms = s->prompt_ms;
    *decode_ms = s->decode_ms;
}

bool g4_core_event(g4_core *c, struct g4_tok_event *ev)
{
    while (c->event_next < c->n_event) {
        const struct g4_core_event *e = &c->events[c->event_next++];
        if (!e->ev.seq) continue;
        *ev = e->ev;
        ev->alt_id = ev->n_alt ? c->alt_id + e->alt : NULL;
        ev->alt_logprob = ev->n_alt ? c->alt_logprob + e->alt : NULL;
        return true;
    }
    return false;
}

/* ---- the step ----------------------------------------------------------- */

static int need_net(g4_core *c, uint32_t which, g4_err *err)
{
    if (c->net[which].plan) return 0;
    return g4_model_net(c->model, c->device, c->kv, c->net_rows[which], c->net_out[which], c->sizes.parallel,
                        c->p.no_kv_skip ? G4_NET_NO_SKIP : 0, &c->net[which], err);
}

/* The few-row net must take all output rows of the step too. */
static uint32_t which_net(const g4_core *c)
{
    return c->step.n_row > c->net_rows[0];
}

void g4_core_account(g4_core *c, double ms)
{
    const double now = g4_now();
    for (uint32_t i = 0; i < c->step.n_seq; i++) {
        g4_seq *s = c->step_owner[i];
        g4_cache_advance(c->cache, &s->tl, s->step_rows, s->ids);
        *(s->prompting ? &s->prompt_ms : &s->decode_ms) += ms;
    }
    for (uint32_t i = 0; i < c->step.n_out; i++)
        if (c->out_seq[i]->state == G4_SEQ_RUNNING) g4_pump_take(c, c->out_seq[i], c->out_pos[i], &c->pick[i]);
    for (g4_seq *s = c->running.first, *next; s; s = next) {
        next = s->next;
        if (s->max_time > 0 && now - s->t_start > s->max_time) g4_pump_end(c, s, G4_END_TIME);
    }
}

int g4_core_step(g4_core *c, g4_err *err)
{
    if (c->dead) return g4_fail(err, c->death.code, "%s", c->death.msg);
    if (c->event_next == c->n_event) c->event_next = c->n_event = c->n_alt = 0;
    if (!g4_core_busy(c)) return 0;
    c->death = (g4_err){0};
    const double begin = g4_now();
    int rc = g4_sched_build(c, &c->death);
    if (!rc && !c->step.n_row) return 0;
    const uint32_t which = which_net(c);
    if (!rc) rc = need_net(c, which, &c->death);
    if (!rc) rc = g4_plan_run(c->device, c->net[which].plan, &c->step, &c->death);
    if (rc) {
        c->dead = true;
        return g4_fail(err, rc, "%s", c->death.msg);
    }
    g4_core_account(c, 1e3 * (g4_now() - begin));
    return 0;
}

/* ---- one forward pass --------------------------------------------------- */

static int forward_net(g4_core *c, uint32_t rows, unsigned flags, g4_err *err)
{
    if (c->p.no_kv_skip) flags |= G4_NET_NO_SKIP;
    if (c->forward.plan && c->forward_flags == flags && c->forward.max_rows >= rows && c->forward.max_rows / 4 <= rows)
        return 0;
    free_net(c, &c->forward);
    c->forward_flags = flags;
    return g4_model_net(c->model, c->device, c->kv, rows, rows, 1, flags, &c->forward, err);
}

static void read_rows(g4_core *c, int32_t buf, uint32_t n, float *out, size_t cols)
{
    if (!out || buf < 0) return;
    memcpy(out, c->device->ops->buf_read(c->device, c->forward.plan, (uint32_t)buf, n), n * cols * sizeof *out);
}

static void read_chunk(g4_core *c, uint32_t from, uint32_t n, uint32_t total, const struct g4_forward *out)
{
    const struct g4_hparams *hp = g4_model_hp(c->model);
    const size_t d = hp->d_model, v = hp->n_vocab, ple = (size_t)hp->n_layer * hp->d_ple;
    const struct g4_net *net = &c->forward;
    if (out->logits) read_rows(c, net->logits, n, out->logits + from * v, v);
    if (out->final) read_rows(c, net->final, n, out->final + from * d, d);
    if (out->ple) read_rows(c, net->ple, n, out->ple + from * ple, ple);
    for (uint32_t l = 0; out->hidden && net->hidden && l <= hp->n_layer; l++)
        read_rows(c, net->hidden[l], n, out->hidden + ((size_t)l * total + from) * d, d);
    const bool projected = !strcmp(hp->arch, "gemma-embedding2"); /* its projection commutes with the mean */
    read_rows(c, net->pooled, 1, out->pooled, projected ? hp->d_embed : d);
    read_rows(c, net->unnormalised, 1, out->unnormalised, hp->d_embed);
    read_rows(c, net->embedding, 1, out->embedding, hp->d_embed);
}

static int forward_chunk(g4_core *c, g4_timeline *tl, const int32_t *ids, uint32_t n, uint32_t *rows, g4_err *err)
{
    uint32_t *pos = rows, *seq = rows + n, *out_row = rows + 2 * n;
    if (!g4_cache_reserve(c->cache, tl, tl->n_key + n))
        return g4_fail(err, G4_ELIMIT, "the cache is full");
    for (uint32_t i = 0; i < n; i++) {
        pos[i] = tl->n_key + i;
        seq[i] = 0;
        out_row[i] = i;
    }
    const g4_step_seq s = { .table = { tl->table[0], tl->table[1] }, .n_key = tl->n_key + n, .prompt = true };
    const g4_step_buf step = { .n_row = n, .id = ids + tl->n_key, .pos = pos, .seq = seq, .n_out = n,
                               .out_row = out_row, .n_seq = 1, .seqs = &s };
    return g4_plan_run(c->device, c->forward.plan, &step, err);
}

int g4_core_forward(g4_core *c, const int32_t *ids, uint32_t n, uint32_t chunk, const struct g4_forward *out, g4_err *err)
{
    if (!c->device) return g4_fail(err, G4_EUSAGE, "the engine was opened for text only");
    if (!n) return g4_fail(err, G4_EINPUT, "the input is empty");
    if (n > c->sizes.context)
        return g4_fail(err, G4_ECONTEXT, "the input has %u tokens, the context holds %u", n, c->sizes.context);
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= c->n_vocab)
            return g4_fail(err, G4_EINPUT, "token %d is not in the vocabulary", ids[i]);
    if (!chunk || chunk > n || c->encoder) chunk = n;
    int rc = forward_net(c, chunk, out->hidden || out->ple ? G4_NET_TAPS : 0, err);
    if (rc) return rc;
    g4_timeline tl;
    g4_timeline_init(&tl, n);
    uint32_t *rows = g4_alloc(3 * (size_t)chunk * sizeof *rows);
    for (uint32_t from = 0; from < n && !rc; from += chunk) {
        const uint32_t m = n - from < chunk ? n - from : chunk;
        rc = forward_chunk(c, &tl, ids, m, rows, err);
        if (rc) break;
        read_chunk(c, from, m, n, out);
        g4_cache_advance(c->cache, &tl, m, ids);
    }
    g4_cache_release(c->cache, &tl);
    g4_timeline_free(&tl);
    free(rows);
    return rc;
}
