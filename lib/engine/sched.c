/* engine/sched: which rows run in the next step.
 *
 * Sequences are held in the order they were submitted, the running ones apart
 * from the queued ones.  A running sequence has `pending` tokens: ids whose keys
 * are not stored yet.  Its prompt, a replay after it was set back, one sampled token and a few
 * forced ones are all the same thing; when the last pending row is in a step,
 * that row's logits give the next token.
 *
 * A step: admit what fits; decode rows first, then prompt chunks, oldest first;
 * take cache blocks, oldest first, and when they run out set the youngest
 * sequence back into the queue (its ids stay: it is replayed to the same state).
 * What is admitted when changes no result, only when it comes. */
#include "engine/core.h"

#include <assert.h>
#include <string.h>

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t pending(const g4_seq *s)
{
    return s->n_ids - s->tl.n_key;
}

void g4_list_insert(struct g4_seq_list *l, g4_seq *s)
{
    g4_seq *after = l->last;
    while (after && after->serial > s->serial) after = after->prev;
    s->prev = after;
    s->next = after ? after->next : l->first;
    *(after ? &after->next : &l->first) = s;
    *(s->next ? &s->next->prev : &l->last) = s;
    l->n++;
}

void g4_list_remove(struct g4_seq_list *l, g4_seq *s)
{
    *(s->prev ? &s->prev->next : &l->first) = s->next;
    *(s->next ? &s->next->prev : &l->last) = s->prev;
    s->prev = s->next = NULL;
    l->n--;
}

/* ---- admission ---------------------------------------------------------- */

/* Full blocks two sequences have in common, by their chains: equal at b means
 * equal before b. */
static uint32_t common_blocks(const g4_seq *a, const g4_seq *b)
{
    uint32_t lo = 0, hi = min_u32(a->tl.n_chain, b->tl.n_chain);
    while (lo < hi) {
        const uint32_t mid = (lo + hi + 1) / 2;
        if (a->tl.chain[mid - 1] == b->tl.chain[mid - 1]) lo = mid;
        else hi = mid - 1;
    }
    return lo;
}

static bool same_prompt(const g4_seq *a, const g4_seq *b)
{
    return a->prompt_hash == b->prompt_hash && a->n_prompt == b->n_prompt && !a->vec && !b->vec &&
           !memcmp(a->ids, b->ids, a->n_prompt * sizeof *a->ids);
}

/* Tokens at the front that need not be computed again: one at least is. */
static uint32_t most_shared(const g4_seq *s)
{
    return s->echo && s->echo_next < s->n_prompt ? (s->echo_next ? s->echo_next - 1 : 0) : s->n_ids - 1;
}

/* Is a running sequence about to compute a longer prefix of s than is cached? */
static bool better_wait(const g4_core *c, const g4_seq *s, uint32_t n_match)
{
    const uint32_t most = most_shared(s);
    if (!c->p.prefix_cache || !most) return false;
    for (const g4_seq *r = c->running.first; r; r = r->next) {
        if (!r->prompting) continue;
        if (s->n_ids == s->n_prompt && most == s->n_prompt - 1 && same_prompt(r, s)) return true;
        const uint32_t common = min_u32(common_blocks(r, s), most / G4_KV_BLOCK);
        if (common > n_match && r->tl.n_key < common * G4_KV_BLOCK) return true;
    }
    return false;
}

/* Room for one more beside what the running sequences were promised? */
static bool fits(const g4_core *c, const uint32_t want[2], const uint32_t held[2])
{
    if (!c->running.n) return true;
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t need = want[i] > held[i] ? want[i] - held[i] : 0;
        if (!want[i]) continue;
        for (const g4_seq *r = c->running.first; r; r = r->next) {
            const uint32_t has = g4_timeline_held(&r->tl, i);
            if (r->want[i] > has) need += r->want[i] - has;
        }
        if (need > g4_cache_available(c->cache, i)) return false;
    }
    return true;
}

/* A running sequence with the same prompt, computed: all but the last token is shared. */
static bool fork_running(g4_core *c, g4_seq *s)
{
    if (!c->p.prefix_cache || s->n_ids != s->n_prompt || most_shared(s) != s->n_prompt - 1 || s->n_prompt < 2)
        return false;
    for (const g4_seq *r = c->running.first; r; r = r->next)
        if (r->tl.n_key >= s->n_prompt - 1 && same_prompt(r, s))
            return g4_cache_fork(c->cache, &s->tl, &r->tl, s->n_prompt - 1);
    return false;
}

static void start(g4_core *c, g4_seq *s, uint32_t n_match, const uint32_t want[2])
{
    g4_list_remove(&c->queue, s);
    if (!fork_running(c, s)) g4_cache_attach(c->cache, &s->tl, s->ids, n_match);
    s->want[0] = want[0];
    s->want[1] = want[1];
    s->state = G4_SEQ_RUNNING;
    s->prompting = true;
    if (!s->started) {
        s->started = true;
        s->n_cached = s->tl.n_key;
        s->t_start = g4_now();
    }
    g4_list_insert(&c->running, s);
}

static void admit(g4_core *c)
{
    for (g4_seq *s = c->queue.first, *next; s && c->running.n < c->sizes.parallel; s = next) {
        next = s->next;
        if (!s->started && !g4_pump_start(c, s)) continue;
        uint32_t held[2], want[2];
        const uint32_t room = min_u32(s->n_ids + G4_ADMIT_SLACK, s->max_ids);
        for (uint32_t i = 0; i < 2; i++) want[i] = g4_kv_need(&c->want, i, room);
        const uint32_t n_match = g4_cache_match(c->cache, &s->tl, s->ids, most_shared(s) / G4_KV_BLOCK, held);
        if (better_wait(c, s, n_match)) continue;
        while (!fits(c, want, held) && g4_core_forget_turn(c)) {}
        if (!fits(c, want, held)) break;
        start(c, s, n_match, want);
    }
}

/* Back into the queue: blocks are given up, ids kept. */
static void set_back(g4_core *c, g4_seq *s)
{
    g4_list_remove(&c->running, s);
    g4_cache_release(c->cache, &s->tl);
    s->state = G4_SEQ_QUEUED;
    s->step_rows = 0;
    c->n_set_back++;
    g4_list_insert(&c->queue, s);
}

/* ---- rows --------------------------------------------------------------- */

/* Rows of one attention group stay in one step where they fit. */
static uint32_t cut_at_group(const g4_seq *s, uint32_t from, uint32_t n)
{
    uint32_t end = from + n;
    if (!s->group || end >= s->n_prompt) return n;
    while (end > from && s->group[end] && s->group[end] == s->group[end - 1]) end--;
    return end > from ? end - from : n;
}

/* True when the sequence's next rows are its prompt's.  What it had generated before it was set back runs as
 * generated rows again: a device may have other kernels for those. */
static bool at_prompt(const g4_seq *s)
{
    return s->prompting && s->tl.n_key < s->n_prompt;
}

/* How many rows each running sequence gets. */
static void share_rows(g4_core *c)
{
    uint32_t rows = c->net_rows[1], chunk = c->want.chunk;
    uint32_t outs = c->net_out[1] - c->running.n; /* beyond the last row of each */
    for (g4_seq *s = c->running.first; s; s = s->next) {
        s->step_rows = s->prompting ? 0 : min_u32(pending(s), rows);
        rows -= s->step_rows;
    }
    chunk = min_u32(chunk, rows);
    for (g4_seq *s = c->running.first; s; s = s->next) {
        if (!s->prompting) continue;
        uint32_t n = min_u32(at_prompt(s) ? s->n_prompt - s->tl.n_key : pending(s), chunk);
        if (s->echo && s->tl.n_key + 1 < s->n_prompt) {
            n = min_u32(n, outs + 1);
            outs -= n - 1;
        }
        s->step_rows = cut_at_group(s, s->tl.n_key, n);
        chunk -= s->step_rows;
    }
}

static int take_blocks(g4_core *c, g4_err *err)
{
    for (g4_seq *s = c->running.first, *next; s; s = next) {
        while (s->step_rows && !g4_cache_reserve(c->cache, &s->tl, s->tl.n_key + s->step_rows)) {
            if (g4_core_forget_turn(c)) continue;
            g4_seq *victim = c->running.last;
            if (victim == s && c->running.n == 1)
                return g4_fail(err, G4_ELIMIT, "the cache holds no sequence of %u tokens", s->n_ids);
            set_back(c, victim);
        }
        next = s->state == G4_SEQ_RUNNING ? s->next : NULL; /* the youngest was the last */
    }
    return 0;
}

static void add_out(g4_core *c, g4_seq *s, uint32_t row, uint32_t pos)
{
    const uint32_t i = c->step.n_out++;
    c->out_row[i] = row;
    c->out_seq[i] = s;
    c->out_pos[i] = pos;
    g4_pump_ask(c, s, pos, &c->pick[i]);
}

static void add_rows(g4_core *c, g4_seq *s)
{
    const uint32_t entry = c->step.n_seq++, from = s->tl.n_key, end = from + s->step_rows;
    c->step_owner[entry] = s;
    c->step_seq[entry] = (g4_step_seq){ .table = { s->tl.table[0], s->tl.table[1] }, .n_key = end, .prompt = at_prompt(s) };
    for (uint32_t pos = from; pos < end; pos++) {
        const uint32_t r = c->step.n_row++;
        const bool media = s->vec && pos < s->n_prompt;
        c->row_id[r] = s->ids[pos];
        c->row_pos[r] = pos;
        c->row_seq[r] = entry;
        c->row_vec[r] = media ? s->vec[pos] : NULL;
        c->row_group[r] = media ? s->group[pos] : 0;
        const bool told = s->echo && pos + 1 >= s->echo_next && pos + 1 < s->n_prompt;
        if (told || pos + 1 == s->n_ids) add_out(c, s, r, pos);
    }
    if (s->vec) {
        c->step.vec = c->row_vec;
        c->step.group = c->row_group;
    }
}

int g4_sched_build(g4_core *c, g4_err *err)
{
    c->step = (g4_step_buf){ .id = c->row_id, .pos = c->row_pos, .seq = c->row_seq, .out_row = c->out_row,
                             .seqs = c->step_seq, .pick = c->pick };
    admit(c);
    share_rows(c);
    const int rc = take_blocks(c, err);
    if (rc) return rc;
    for (int prompts = 0; prompts < 2; prompts++) /* behind the generated rows */
        for (g4_seq *s = c->running.first; s; s = s->next)
            if (s->step_rows && at_prompt(s) == prompts) add_rows(c, s);
    c->n_rows += c->step.n_row;
    return 0;
}
