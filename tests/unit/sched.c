/* tests/unit/sched: the scheduler without a model.  A made-up network stands in
 * for the plan: the next token of a row is a hash of all ids up to it, so what a
 * sequence must become is known, whatever shares the steps with it. */
#include "../tap.h"

#include "base/hash.h"
#include "base/mem.h"
#include "engine/core.h"

enum { VOCAB = 1000, WINDOW = 50, CONTEXT = 2000, MAX_SEQ = 40 };

static void no_copy(void *arg, uint32_t pool, int32_t from, int32_t to)
{
}

struct bench {
    g4_core c;
    g4_device dev;
    uint32_t most_rows, most_running, n_step;
    const char *bad;
};

/* What core.c does on opening, less the model and the device. */
static void bench_open(struct bench *b, uint32_t parallel, uint32_t chunk, uint32_t n0, uint32_t n1)
{
    g4_core *c = &b->c;
    memset(b, 0, sizeof *b);
    c->device = &b->dev;
    c->p.prefix_cache = true;
    c->n_vocab = VOCAB;
    c->want = (struct g4_kv_want){ .block_bytes = { n0 ? 1 : 0, n1 ? 1 : 0 }, .window = WINDOW, .chunk = chunk, .context = CONTEXT };
    c->sizes = (struct g4_kv_sizes){ .context = CONTEXT, .parallel = parallel, .n_block = { n0, n1 } };
    c->cache = g4_cache_new(&(struct g4_cache_params){ .n_block = { n0, n1 }, .n_idle = { 1000, 1000 }, .window = WINDOW,
                                                       .prefix = true, .copy = no_copy });
    c->net_rows[0] = c->net_out[0] = parallel > 16 ? parallel : 16;
    c->net_rows[1] = chunk + parallel > c->net_rows[0] ? chunk + parallel : c->net_rows[0];
    c->net_out[1] = parallel + 32;
    const size_t rows = c->net_rows[1], outs = c->net_out[1];
    c->row_id = g4_alloc(rows * sizeof *c->row_id);
    c->row_vec = g4_alloc(rows * sizeof *c->row_vec);
    c->row_pos = g4_alloc(rows * sizeof *c->row_pos);
    c->row_seq = g4_alloc(rows * sizeof *c->row_seq);
    c->row_group = g4_alloc(rows * sizeof *c->row_group);
    c->step_seq = g4_alloc(parallel * sizeof *c->step_seq);
    c->step_owner = g4_alloc(parallel * sizeof *c->step_owner);
    c->out_row = g4_alloc(outs * sizeof *c->out_row);
    c->out_seq = g4_alloc(outs * sizeof *c->out_seq);
    c->out_pos = g4_alloc(outs * sizeof *c->out_pos);
    c->pick = g4_alloc(outs * sizeof *c->pick);
}

static void keep_turns(struct bench *b, uint32_t n)
{
    b->c.p.turns = n;
    b->c.turn = g4_alloc((2 * n + 1) * sizeof *b->c.turn);
}

static void bench_close(struct bench *b)
{
    g4_core *c = &b->c;
    while (c->running.first) g4_core_drop(c, c->running.first);
    while (c->queue.first) g4_core_drop(c, c->queue.first);
    while (g4_core_forget_turn(c)) {}
    free(c->turn);
    g4_cache_free(c->cache);
    free(c->row_id), free(c->row_vec), free(c->row_pos), free(c->row_seq), free(c->row_group);
    free(c->step_seq), free(c->step_owner), free(c->out_row), free(c->out_seq), free(c->out_pos), free(c->pick);
    free(c->events), free(c->alt_id), free(c->alt_logprob);
}

static int32_t next_id(const int32_t *ids, uint32_t n)
{
    return (int32_t)(g4_hash64(ids, n * sizeof *ids, 5) % VOCAB);
}

/* The rules of a step: capacity, whole sequences, ascending rows, held blocks. */
static const char *check_step(struct bench *b)
{
    const g4_core *c = &b->c;
    const g4_step_buf *s = &c->step;
    const g4_timeline *all[MAX_SEQ + 8];
    size_t n = 0;
    if (s->n_row > c->net_rows[1] || s->n_out > c->net_out[1] || s->n_seq > c->sizes.parallel) return "a step over its capacity";
    if (!s->n_out && c->running.n && s->n_row < c->want.chunk) return "a short step without an output row";
    for (uint32_t r = 0; r < s->n_row; r++) {
        const g4_seq *q = c->step_owner[s->seq[r]];
        if (r && (s->seq[r] < s->seq[r - 1] || (s->seq[r] == s->seq[r - 1] && s->pos[r] != s->pos[r - 1] + 1))) return "rows out of order";
        if ((!r || s->seq[r] != s->seq[r - 1]) && s->pos[r] != q->tl.n_key) return "a sequence does not go on where it stood";
        if (s->id[r] != q->ids[s->pos[r]]) return "a row with another id";
        for (int p = 0; p < 2; p++)
            if (g4_cache_blocks(c->cache, (uint32_t)p) && s->seqs[s->seq[r]].table[p][s->pos[r] / 32] < 0) return "a row without a block";
    }
    for (const g4_seq *q = c->running.first; q; q = q->next) all[n++] = &q->tl;
    for (const g4_seq *q = c->queue.first; q; q = q->next) all[n++] = &q->tl;
    for (uint32_t i = 0; i < c->n_turn; i++) all[n++] = &c->turn[i];
    return g4_cache_check(c->cache, all, n);
}

static void run(struct bench *b)
{
    g4_core *c = &b->c;
    while (g4_core_busy(c) && !b->bad && b->n_step < 100000) {
        if (c->event_next == c->n_event) c->event_next = c->n_event = 0;
        if (g4_sched_build(c, NULL)) b->bad = "no step could be built";
        if (!b->bad) b->bad = check_step(b);
        if (b->bad) return;
        for (uint32_t i = 0; i < c->step.n_out; i++) {
            c->pick[i].n_top = 1;
            c->pick[i].top_id[0] = next_id(c->out_seq[i]->ids, c->out_pos[i] + 1);
            c->pick[i].top_logit[0] = 1;
        }
        if (c->step.n_row > b->most_rows) b->most_rows = c->step.n_row;
        if (c->running.n > b->most_running) b->most_running = c->running.n;
        b->n_step++;
        g4_core_account(c, 0);
        c->event_next = c->n_event;
    }
}

static g4_seq *submit(struct bench *b, const int32_t *ids, uint32_t n, uint32_t max_tokens)
{
    const struct g4_span span = { .ids = ids, .n = n };
    const struct g4_seq_params p = { .spans = &span, .n_span = 1, .max_tokens = max_tokens, .n_logprob = -1,
                                     .sampling = { .repeat_penalty = 1, .top_p = 1 } };
    return g4_core_submit(&b->c, &p, NULL);
}

static void make_ids(int32_t *ids, uint32_t n, uint32_t seed, uint32_t shared)
{
    for (uint32_t i = 0; i < n; i++) ids[i] = (int32_t)(g4_mix64(i + (i < shared ? 0 : seed * 100003ull)) % VOCAB);
}

/* Every sequence has become what it must. */
static int wrong(g4_seq **s, int n, uint32_t max_tokens)
{
    int bad = 0;
    for (int i = 0; i < n; i++) {
        bool good = s[i]->n_ids == s[i]->n_prompt + max_tokens;
        for (uint32_t k = s[i]->n_prompt; good && k < s[i]->n_ids; k++) good = s[i]->ids[k] == next_id(s[i]->ids, k);
        bad += !good;
    }
    return bad;
}

static void many(const char *what, uint32_t parallel, uint32_t chunk, uint32_t n0, uint32_t n1, bool set_back)
{
    struct bench b;
    int32_t ids[600];
    g4_seq *s[MAX_SEQ];
    bench_open(&b, parallel, chunk, n0, n1);
    keep_turns(&b, 2);
    for (int i = 0; i < MAX_SEQ; i++) {
        const uint32_t n = 1 + (uint32_t)(g4_mix64((uint64_t)i) % 400);
        make_ids(ids, n, (uint32_t)i + 1, i % 3 ? 100 : 0);
        s[i] = submit(&b, ids, n, 150);
    }
    run(&b);
    ok(!b.bad, "%s: every step keeps the rules%s%s", what, b.bad ? ": " : "", b.bad ? b.bad : "");
    is_int(wrong(s, MAX_SEQ, 150), 0, "every sequence becomes what it is alone");
    ok(set_back == (b.c.n_set_back > 0), "%s: %u steps, at most %u rows and %u sequences, %llu set back", what, b.n_step, b.most_rows,
       b.most_running, (unsigned long long)b.c.n_set_back);
    for (int i = 0; i < MAX_SEQ; i++) g4_core_drop(&b.c, s[i]);
    bench_close(&b);
}

/* K samples of one prompt: it is computed once. */
static void samples(void)
{
    struct bench b;
    int32_t ids[300];
    g4_seq *s[8];
    bench_open(&b, 8, 64, 500, 500);
    make_ids(ids, 300, 1, 0);
    for (int i = 0; i < 8; i++) s[i] = submit(&b, ids, 300, 10);
    run(&b);
    ok(!b.bad, "samples: every step keeps the rules%s%s", b.bad ? ": " : "", b.bad ? b.bad : "");
    is_int(wrong(s, 8, 10), 0, "samples: all are right");
    is_int((long long)b.c.n_rows, 300 + 7 + 8 * 9, "samples: 8 of one prompt run its 300 rows once, and one each");
    is_int(g4_seq_cached_tokens(s[7]), 299, "samples: the last one found all but one token");
    for (int i = 0; i < 8; i++) g4_core_drop(&b.c, s[i]);
    bench_close(&b);
}

/* A common beginning is computed once, in flight and later. */
static void prefix(void)
{
    struct bench b;
    int32_t ids[300];
    g4_seq *s[6];
    bench_open(&b, 6, 64, 500, 500);
    for (int i = 0; i < 6; i++) {
        make_ids(ids, 300, (uint32_t)i + 1, 200);
        s[i] = submit(&b, ids, 300, 1);
    }
    run(&b);
    is_int(wrong(s, 6, 1), 0, "prefix: all are right");
    is_int((long long)b.c.n_rows, 300 + 5 * (300 - 192), "prefix: 6 full blocks of 200 common ids run once");
    const uint64_t before = b.c.n_rows;
    for (int i = 0; i < 6; i++) g4_core_drop(&b.c, s[i]);
    make_ids(ids, 300, 99, 200);
    s[0] = submit(&b, ids, 300, 1);
    run(&b);
    is_int((long long)(b.c.n_rows - before), 300 - 192, "prefix: and are found by a later sequence");
    g4_core_drop(&b.c, s[0]);
    bench_close(&b);
}

/* A long thought, dropped: the next prompt begins where the one before ended.  Local
 * blocks are as many as g4_kv_plan gives one sequence and so many turns. */
static void turns(uint32_t n_turn, uint32_t n1, uint32_t cached)
{
    struct bench b;
    int32_t ids[300];
    bench_open(&b, 1, 64, 500, n1);
    keep_turns(&b, n_turn);
    make_ids(ids, 100, 1, 0);
    g4_seq *s = submit(&b, ids, 100, 1000);
    run(&b);
    is_int(wrong(&s, 1, 1000), 0, "turns: the first one is right");
    g4_core_drop(&b.c, s);
    make_ids(ids + 100, 60, 7, 0);
    s = submit(&b, ids, 160, 1000);
    run(&b);
    is_int(wrong(&s, 1, 1000), 0, "turns: and the second");
    ok(g4_seq_cached_tokens(s) == cached, "turns: %u of its 160 tokens are reused when %u are kept", g4_seq_cached_tokens(s), n_turn);
    ok(!b.bad, "turns: every step keeps the rules%s%s", b.bad ? ": " : "", b.bad ? b.bad : "");
    g4_core_drop(&b.c, s);
    /* A prompt that needs all the room gets it. */
    make_ids(ids, 300, 9, 0);
    s = submit(&b, ids, 300, 1600);
    run(&b);
    is_int(wrong(&s, 1, 1600), 0, "turns: what is kept stands in nobody's way");
    g4_core_drop(&b.c, s);
    bench_close(&b);
}

/* Decoding goes on beside a long prompt, every step. */
static void interleave(void)
{
    struct bench b;
    int32_t ids[1500];
    bench_open(&b, 4, 50, 500, 500);
    make_ids(ids, 10, 1, 0);
    g4_seq *fast = submit(&b, ids, 10, 40);
    g4_err err = {0};
    int stalled = 0;
    g4_seq *slow = NULL;
    for (int step = 0; step < 30; step++) {
        if (step == 1) {
            make_ids(ids, 1500, 2, 0);
            slow = submit(&b, ids, 1500, 5);
        }
        const uint32_t had = fast->n_ids;
        g4_sched_build(&b.c, &err);
        for (uint32_t i = 0; i < b.c.step.n_out; i++) {
            b.c.pick[i].n_top = 1;
            b.c.pick[i].top_id[0] = next_id(b.c.out_seq[i]->ids, b.c.out_pos[i] + 1);
            b.c.pick[i].top_logit[0] = 1;
        }
        g4_core_account(&b.c, 0);
        stalled += fast->n_ids == had;
    }
    is_int(stalled, 0, "a prompt of 1500 tokens holds up no step of its neighbour");
    is_int(slow->tl.n_key, 29 * 50, "and moves a chunk a step itself");
    g4_core_drop(&b.c, fast);
    g4_core_drop(&b.c, slow);
    bench_close(&b);
}

static void refusals(void)
{
    struct bench b;
    int32_t ids[CONTEXT];
    g4_err err = {0};
    bench_open(&b, 4, 50, 500, 500);
    make_ids(ids, CONTEXT, 1, 0);
    const struct g4_span span = { .ids = ids, .n = CONTEXT };
    struct g4_seq_params p = { .spans = &span, .n_span = 1, .max_tokens = 10, .n_logprob = -1, .sampling = { .repeat_penalty = 1 } };
    ok(!g4_core_submit(&b.c, &p, &err) && err.code == G4_ECONTEXT, "a prompt as long as the context: '%s'", err.msg);
    ok(strstr(err.msg, "2000"), "the message holds the numbers");
    g4_seq *s = submit(&b, ids, CONTEXT - 1, 10);
    run(&b);
    ok(s && s->n_ids == CONTEXT, "one token less gives one token");
    ids[3] = VOCAB;
    err = (g4_err){0};
    ok(!g4_core_submit(&b.c, &(struct g4_seq_params){ .spans = &(struct g4_span){ .ids = ids, .n = 10 }, .n_span = 1 }, &err) &&
       err.code == G4_EINPUT, "an id outside the vocabulary: '%s'", err.msg);
    g4_core_drop(&b.c, s);
    bench_close(&b);
}

int main(void)
{
    many("room for all", 40, 512, 1000, 1000, false);
    many("three at a time", 3, 64, 1000, 1000, false);
    many("few global blocks", 16, 64, 70, 400, true);
    many("few local blocks", 16, 64, 400, 40, true);
    many("no global layers", 8, 100, 0, 200, false);
    many("chunks of one", 8, 1, 400, 400, false);
    samples();
    prefix();
    turns(0, 16, 0);
    turns(1, 16 + 5, 96);
    turns(2, 16 + 10, 96);
    interleave();
    refusals();
    return done_testing();
}
