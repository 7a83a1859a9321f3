/* tests/unit/kv: the block cache against a plain model of it.  Every block's keys
 * are simulated: key j of a timeline must read as the hash of its ids 0..j,
 * whichever way the block came to it (own, shared, forked, copied, evicted and
 * written again). */
#include "../tap.h"

#include "base/hash.h"
#include "base/mem.h"
#include "engine/kv.h"

enum { BLOCK = 32, N_TIMELINE = 12, MAX_KEYS = 1400, WINDOW = 70, N_OP = 6000 };

static uint64_t rng = 1;

static uint32_t rnd(uint32_t n)
{
    rng = g4_mix64(rng + 0x9e3779b97f4a7c15u);
    return (uint32_t)(rng % n);
}

struct sim {
    g4_cache *cache;
    uint64_t (*mem[2])[BLOCK];
    uint32_t n_block[2];
    g4_timeline tl[N_TIMELINE];
    int32_t ids[N_TIMELINE][MAX_KEYS];
    uint32_t n_copies, n_attached, n_cut_refused, n_full;
};

static void sim_copy(void *arg, uint32_t pool, int32_t from, int32_t to)
{
    struct sim *s = arg;
    memcpy(s->mem[pool][to], s->mem[pool][from], sizeof s->mem[pool][to]);
    s->n_copies++;
}

static void sim_open(struct sim *s, uint32_t n0, uint32_t n1)
{
    memset(s, 0, sizeof *s);
    s->n_block[0] = n0;
    s->n_block[1] = n1;
    for (int i = 0; i < 2; i++) s->mem[i] = g4_alloc((s->n_block[i] + 1) * sizeof *s->mem[i]);
    s->cache = g4_cache_new(&(struct g4_cache_params){ .n_block = { n0, n1 }, .n_idle = { 8, 8 }, .window = WINDOW,
                                                       .prefix = true, .copy = sim_copy, .arg = s });
    for (int i = 0; i < N_TIMELINE; i++) g4_timeline_init(&s->tl[i], MAX_KEYS);
}

static void sim_close(struct sim *s)
{
    for (int i = 0; i < N_TIMELINE; i++) {
        g4_cache_release(s->cache, &s->tl[i]);
        g4_timeline_free(&s->tl[i]);
    }
    g4_cache_free(s->cache);
    free(s->mem[0]);
    free(s->mem[1]);
}

/* What key j of these ids must hold. */
static uint64_t value(const int32_t *ids, uint32_t j)
{
    return g4_hash64(ids, (j + 1) * sizeof *ids, 7);
}

static void store(struct sim *s, int i, uint32_t n)
{
    g4_timeline *t = &s->tl[i];
    for (uint32_t j = t->n_key; j < t->n_key + n; j++)
        for (int p = 0; p < 2; p++)
            if (s->n_block[p]) s->mem[p][t->table[p][j / BLOCK]][j % BLOCK] = value(s->ids[i], j);
    g4_cache_advance(s->cache, t, n, s->ids[i]);
}

/* All keys that the next position sees. */
static bool reads_right(const struct sim *s, int i)
{
    const g4_timeline *t = &s->tl[i];
    for (uint32_t j = 0; j < t->n_key; j++)
        for (int p = 0; p < 2; p++) {
            if (!s->n_block[p] || (p && t->n_key - j >= WINDOW)) continue;
            const int32_t b = t->table[p][j / BLOCK];
            if (b < 0 || s->mem[p][b][j % BLOCK] != value(s->ids[i], j)) return false;
        }
    return true;
}

/* Ids with much in common: a few families, diverging at a few places. */
static void new_ids(struct sim *s, int i)
{
    const uint32_t family = rnd(3), turn = rnd(6) * 64, seed = rnd(4);
    for (uint32_t j = 0; j < MAX_KEYS; j++)
        s->ids[i][j] = (int32_t)(g4_mix64(family * 1000003u + j + (j >= turn ? seed * 7919u : 0)) % 1000);
}

static void op_begin(struct sim *s, int i)
{
    g4_timeline *t = &s->tl[i];
    g4_cache_release(s->cache, t);
    t->n_chain = 0;
    new_ids(s, i);
    const uint32_t n = rnd(700);
    g4_timeline_chain(t, s->ids[i], n);
    uint32_t held[2];
    const uint32_t m = g4_cache_match(s->cache, t, s->ids[i], n / BLOCK, held);
    g4_cache_attach(s->cache, t, s->ids[i], m);
    s->n_attached += m > 0;
}

static void op_grow(struct sim *s, int i)
{
    g4_timeline *t = &s->tl[i];
    const uint32_t n = rnd(3) ? 1 + rnd(3) : 1 + rnd(200);
    if (t->n_key + n > MAX_KEYS) return;
    if (g4_cache_reserve(s->cache, t, t->n_key + n)) {
        store(s, i, n);
    } else {
        s->n_full++;
        g4_cache_release(s->cache, &s->tl[rnd(N_TIMELINE)]);
    }
}

static void op_cut(struct sim *s, int i)
{
    g4_timeline *t = &s->tl[i];
    const uint32_t to = t->n_key - (rnd(G4_KV_SLACK + 1) < t->n_key ? rnd(G4_KV_SLACK + 1) % (t->n_key + 1) : 0);
    if (!g4_cache_cut(s->cache, t, to)) {
        s->n_cut_refused++;
        return;
    }
    for (uint32_t j = to; j < MAX_KEYS; j++) s->ids[i][j] = (int32_t)rnd(1000);
}

static void op_fork(struct sim *s, int i, int from)
{
    g4_timeline *t = &s->tl[i];
    const g4_timeline *src = &s->tl[from];
    if (i == from || !src->n_key) return;
    g4_cache_release(s->cache, t);
    t->n_chain = 0;
    const uint32_t n = src->n_key - rnd(src->n_key < 40 ? src->n_key : 40);
    if (!g4_cache_fork(s->cache, t, src, n)) return;
    memcpy(s->ids[i], s->ids[from], n * sizeof(int32_t));
    for (uint32_t j = n; j < MAX_KEYS; j++) s->ids[i][j] = rnd(2) ? s->ids[from][j] : (int32_t)rnd(1000);
    g4_timeline_chain(t, s->ids[i], n);
}

static const char *check(const struct sim *s)
{
    const g4_timeline *all[N_TIMELINE];
    for (int i = 0; i < N_TIMELINE; i++) all[i] = &s->tl[i];
    return g4_cache_check(s->cache, all, N_TIMELINE);
}

static void random_walk(uint32_t n0, uint32_t n1, const char *what)
{
    struct sim s;
    const char *bad = NULL;
    int wrong = 0, at = 0;
    sim_open(&s, n0, n1);
    for (; at < N_OP && !bad && !wrong; at++) {
        const int i = (int)rnd(N_TIMELINE);
        const uint32_t what = rnd(20);
        if (what == 0) op_begin(&s, i);
        else if (what == 1) op_cut(&s, i);
        else if (what == 2) op_fork(&s, i, (int)rnd(N_TIMELINE));
        else if (what == 3) g4_cache_release(s.cache, &s.tl[i]);
        else op_grow(&s, i);
        if (at % 8 == 0 || at > N_OP - 100) bad = check(&s);
        wrong += !reads_right(&s, i);
        if (at % 64 == 0)
            for (int k = 0; k < N_TIMELINE; k++) wrong += !reads_right(&s, k);
    }
    ok(!bad, "%s: the invariants hold over %d operations%s%s", what, at, bad ? ": " : "", bad ? bad : "");
    ok(!wrong, "%s: every visible key reads as written", what);
    ok(s.n_attached > 20 && s.n_copies > 20 && s.n_full > 3, "%s: %u prefixes shared, %u blocks copied, %u times full, %u cuts refused",
       what, s.n_attached, s.n_copies, s.n_full, s.n_cut_refused);
    for (int i = 0; i < N_TIMELINE; i++) g4_cache_release(s.cache, &s.tl[i]);
    ok(g4_cache_available(s.cache, 0) == n0 && g4_cache_available(s.cache, 1) == n1, "%s: all blocks come back", what);
    sim_close(&s);
}

static void grow_to(struct sim *s, int i, uint32_t n)
{
    while (s->tl[i].n_key < n) {
        const uint32_t step = n - s->tl[i].n_key < 64 ? n - s->tl[i].n_key : 64;
        g4_cache_reserve(s->cache, &s->tl[i], s->tl[i].n_key + step);
        store(s, i, step);
    }
}

static void ageing(void)
{
    struct sim s;
    sim_open(&s, 100, 100);
    new_ids(&s, 0);
    grow_to(&s, 0, 1000);
    g4_timeline *t = &s.tl[0];
    is_int(g4_timeline_held(t, 0), 32, "1000 keys: 32 global blocks");
    /* keys > 1000 - 256 - 70 = 674 are needed after the deepest cut: block 21 is the first */
    is_int(t->first[1], 21, "local blocks older than window + 256 are freed");
    ok(g4_cache_cut(s.cache, t, 744), "the timeline can be cut back by 256");
    ok(reads_right(&s, 0), "and reads right there");
    grow_to(&s, 0, 1000);
    ok(!g4_cache_cut(s.cache, t, 700), "a deeper cut is refused");
    is_int(t->n_key, 1000, "and changes nothing");
    sim_close(&s);
}

static void prefixes(void)
{
    struct sim s;
    uint32_t held[2];
    sim_open(&s, 100, 100);
    new_ids(&s, 0);
    memcpy(s.ids[1], s.ids[0], sizeof s.ids[0]);
    grow_to(&s, 0, 300);
    g4_timeline_chain(&s.tl[1], s.ids[1], 300);
    is_int(g4_cache_match(s.cache, &s.tl[1], s.ids[1], 99, held), 9, "300 computed ids: a prefix of 9 full blocks");
    is_int(held[0], 9, "whose global blocks cost nothing");
    is_int(g4_cache_match(s.cache, &s.tl[1], s.ids[1], 4, held), 4, "no more than asked for");
    g4_cache_release(s.cache, &s.tl[0]);
    is_int(g4_cache_match(s.cache, &s.tl[1], s.ids[1], 99, held), 9, "it outlives its sequence");
    is_int(held[0], 0, "as idle blocks");
    s.ids[1][40]++;
    s.tl[1].n_chain = 0;
    g4_timeline_chain(&s.tl[1], s.ids[1], 300);
    is_int(g4_cache_match(s.cache, &s.tl[1], s.ids[1], 99, held), 1, "one other id ends the prefix");
    /* A hash that agrees with other ids must not be believed. */
    memcpy(s.ids[2], s.ids[0], sizeof s.ids[0]);
    g4_timeline_chain(&s.tl[2], s.ids[2], 300);
    s.ids[2][3]++;
    is_int(g4_cache_match(s.cache, &s.tl[2], s.ids[2], 99, held), 0, "equal hashes of other ids are no match");
    sim_close(&s);
}

static void sizes(void)
{
    const struct g4_kv_want small = { .block_bytes = { 98304, 491520 }, .window = 512, .chunk = 512, .context = 32768, .budget = 1ull << 30 };
    struct g4_kv_sizes z;
    g4_kv_plan(&small, true, &z);
    is_int(z.context, 32768, "sizes: the whole context is kept");
    ok(z.parallel >= 20 && z.parallel <= 32, "sizes: %u sequences in a GiB", z.parallel);
    ok(z.n_block[0] >= 1024 + 1 && z.n_block[1] >= z.seq_block[1] + 1, "sizes: one sequence of the full context fits");
    ok(g4_kv_memory(&small, &z) <= small.budget, "sizes: %.0f MB within the budget", (double)g4_kv_memory(&small, &z) / 1e6);
    is_int(g4_kv_need(&small, 1, 100000), (512 + 256 + 512) / 32 + 2, "sizes: local blocks of a long sequence are bounded");
    struct g4_kv_want big = small;
    big.context = 131072;
    big.budget = 1 << 26;
    g4_kv_plan(&big, false, &z);
    ok(z.context == 131072 && z.n_block[0] > 4096 && z.parallel == 2, "sizes: a context that was asked for stays");
    g4_kv_plan(&big, true, &z);
    ok(z.context < 131072 && z.context >= 2048, "sizes: one that was not shrinks to %u", z.context);
    const struct g4_kv_want none = { .context = 1000, .chunk = 64, .budget = 1000 };
    g4_kv_plan(&none, true, &z);
    ok(z.parallel == 32 && !z.n_block[0] && !z.n_block[1], "sizes: a model without a cache");
}

int main(void)
{
    random_walk(150, 60, "both pools");
    random_walk(120, 0, "global only");
    random_walk(0, 60, "local only");
    ageing();
    prefixes();
    sizes();
    return done_testing();
}
