/* engine/kv: reference-counted blocks, block tables, the prefix cache.
 *
 * Invariants (g4_cache_check holds them against every timeline):
 *
 *  1. A block's ref is the number of table entries, over all timelines, that name it.
 *  2. A block is in exactly one place: never used (number >= n_fresh), on the free
 *     list (ref 0, no key), on the idle list (ref 0, keyed), or held (ref > 0).
 *  3. In a timeline entry b of pool p is held exactly when first[p] <= b < n_block;
 *     first[0] = 0; pools without blocks hold none.
 *  4. 32 n_block >= n_key: what is stored lies in held or aged-out blocks.
 *  5. Local blocks that position n_key needs (keys > n_key - window) are held, and
 *     unless the timeline began inside a shared prefix those for n_key - 256 too.
 *  6. A keyed block is full and never written again: keys are stored only in blocks
 *     with ref 1 and no key.  g4_cache_reserve copies or unkeys before a write.
 *  7. Within a pool a key names one block at most.  A keyed block's contents are a
 *     function of its key's chain of ids alone (and of the model), so whoever finds
 *     it may read it.
 *  8. chain[b] is known for b < n_chain and depends on ids [0, 32 (b + 1)) alone.
 *
 * Idle blocks are evicted oldest first.  A sequence gives its blocks back last one
 * first, so that the end of a prefix goes before its beginning. */
#include "engine/kv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { BLOCK = G4_KV_BLOCK };

struct block {
    uint64_t key, parent;
    uint32_t ref;
    bool keyed;
    int32_t prev, next; /* free list (next only) or idle list; -1: end */
    int32_t hash_next;
};

struct pool {
    struct block *block; /* [n] */
    int32_t *ids;        /* [n, 32] of keyed blocks */
    int32_t *bucket;     /* [n_bucket] block + 1; 0: empty */
    uint32_t n_bucket;   /* a power of two */
    uint32_t n, n_fresh; /* blocks >= n_fresh were never used */
    uint32_t n_held, n_idle, max_idle;
    int32_t free_head, old, young;
};

struct g4_cache {
    struct pool pool[2];
    struct g4_cache_params p;
};

static uint32_t blocks_of(uint32_t n_key)
{
    return (n_key + BLOCK - 1) / BLOCK;
}

static void pool_init(struct pool *p, uint32_t n, uint32_t max_idle, bool prefix)
{
    *p = (struct pool){ .n = n, .max_idle = max_idle, .free_head = -1, .old = -1, .young = -1 };
    if (!n) return;
    p->block = g4_alloc((size_t)n * sizeof *p->block);
    if (!prefix) return;
    for (p->n_bucket = 16; p->n_bucket < n; p->n_bucket *= 2) {}
    p->bucket = g4_alloc((size_t)p->n_bucket * sizeof *p->bucket);
    p->ids = g4_alloc((size_t)n * BLOCK * sizeof *p->ids);
}

g4_cache *g4_cache_new(const struct g4_cache_params *p)
{
    g4_cache *c = g4_alloc(sizeof *c);
    c->p = *p;
    for (int i = 0; i < 2; i++)
        pool_init(&c->pool[i], p->n_block[i], p->n_idle[i], p->prefix);
    return c;
}

void g4_cache_free(g4_cache *c)
{
    if (!c) return;
    for (int i = 0; i < 2; i++) {
        free(c->pool[i].block);
        free(c->pool[i].ids);
        free(c->pool[i].bucket);
    }
    free(c);
}

uint32_t g4_cache_available(const g4_cache *c, uint32_t pool)
{
    return c->pool[pool].n - c->pool[pool].n_held;
}

uint32_t g4_cache_blocks(const g4_cache *c, uint32_t pool)
{
    return c->pool[pool].n;
}

/* ---- blocks ------------------------------------------------------------- */

static int32_t find(const struct pool *p, uint64_t key, uint64_t parent, const int32_t *ids)
{
    if (!p->n_bucket) return -1;
    for (int32_t b = p->bucket[key & (p->n_bucket - 1)] - 1; b >= 0; b = p->block[b].hash_next) {
        const struct block *k = &p->block[b];
        if (k->key == key && k->parent == parent && !memcmp(p->ids + (size_t)b * BLOCK, ids, BLOCK * sizeof *ids))
            return b;
    }
    return -1;
}

static bool has_key(const struct pool *p, uint64_t key)
{
    for (int32_t b = p->bucket[key & (p->n_bucket - 1)] - 1; b >= 0; b = p->block[b].hash_next)
        if (p->block[b].key == key) return true;
    return false;
}

static void set_key(struct pool *p, int32_t b, uint64_t key, uint64_t parent, const int32_t *ids)
{
    struct block *k = &p->block[b];
    if (!p->n_bucket || k->keyed || has_key(p, key)) return;
    int32_t *head = &p->bucket[key & (p->n_bucket - 1)];
    k->key = key;
    k->parent = parent;
    k->keyed = true;
    k->hash_next = *head - 1;
    *head = b + 1;
    memcpy(p->ids + (size_t)b * BLOCK, ids, BLOCK * sizeof *ids);
}

static void unkey(struct pool *p, int32_t b)
{
    struct block *k = &p->block[b];
    int32_t *head = &p->bucket[k->key & (p->n_bucket - 1)];
    if (*head - 1 == b) {
        *head = k->hash_next + 1;
    } else {
        int32_t i = *head - 1;
        while (p->block[i].hash_next != b) i = p->block[i].hash_next;
        p->block[i].hash_next = k->hash_next;
    }
    k->keyed = false;
}

static void idle_remove(struct pool *p, int32_t b)
{
    struct block *k = &p->block[b];
    if (k->prev >= 0) p->block[k->prev].next = k->next;
    else p->old = k->next;
    if (k->next >= 0) p->block[k->next].prev = k->prev;
    else p->young = k->prev;
    p->n_idle--;
}

static void idle_add(struct pool *p, int32_t b)
{
    struct block *k = &p->block[b];
    k->prev = p->young;
    k->next = -1;
    if (p->young >= 0) p->block[p->young].next = b;
    else p->old = b;
    p->young = b;
    p->n_idle++;
}

static void ref_block(struct pool *p, int32_t b)
{
    struct block *k = &p->block[b];
    if (k->ref++) return;
    idle_remove(p, b);
    p->n_held++;
}

static void unref_block(struct pool *p, int32_t b)
{
    struct block *k = &p->block[b];
    assert(k->ref > 0);
    if (--k->ref) return;
    p->n_held--;
    if (k->keyed) {
        idle_add(p, b);
    } else {
        k->next = p->free_head;
        p->free_head = b;
    }
}

/* A block with ref 1 and no key, or -1.  Memory that was used before comes first,
 * so that a process's resident size follows what its records need. */
static int32_t take_block(struct pool *p)
{
    int32_t b;
    if (p->free_head >= 0) {
        b = p->free_head;
        p->free_head = p->block[b].next;
    } else if (p->n_fresh < p->n && p->n_idle <= p->max_idle) {
        b = (int32_t)p->n_fresh++;
    } else if (p->old >= 0) {
        b = p->old;
        idle_remove(p, b);
        unkey(p, b);
    } else {
        return -1;
    }
    p->block[b].ref = 1;
    p->n_held++;
    return b;
}

/* ---- timelines ---------------------------------------------------------- */

void g4_timeline_init(g4_timeline *t, uint32_t n_token)
{
    *t = (g4_timeline){ .cap = blocks_of(n_token) };
    const size_t n = t->cap ? t->cap : 1;
    for (int i = 0; i < 2; i++) {
        t->table[i] = g4_alloc(n * sizeof *t->table[i]);
        memset(t->table[i], 0xff, n * sizeof *t->table[i]);
    }
    t->chain = g4_alloc(n * sizeof *t->chain);
}

void g4_timeline_free(g4_timeline *t)
{
    assert(t->n_block == 0);
    free(t->table[0]);
    free(t->table[1]);
    free(t->chain);
    *t = (g4_timeline){0};
}

uint32_t g4_timeline_held(const g4_timeline *t, uint32_t pool)
{
    return t->n_block - t->first[pool];
}

static uint64_t parent_of(const g4_timeline *t, uint32_t b)
{
    return b ? t->chain[b - 1] : 0;
}

void g4_timeline_chain(g4_timeline *t, const int32_t *ids, uint32_t n)
{
    const uint32_t full = n / BLOCK < t->cap ? n / BLOCK : t->cap;
    for (uint32_t b = t->n_chain; b < full; b++) {
        for (uint32_t i = 0; i < BLOCK; i++)
            if (ids[b * BLOCK + i] < 0) return;
        t->chain[b] = g4_hash64(ids + b * BLOCK, BLOCK * sizeof *ids, parent_of(t, b));
        t->n_chain = b + 1;
    }
}

/* Oldest local block that a row at position `at` needs. */
static uint32_t local_from(const g4_cache *c, uint32_t at)
{
    if (c->p.keep_local || at < c->p.window) return 0;
    return (at - c->p.window + 1) / BLOCK;
}

/* The block that the next key goes to must be nobody else's. */
static bool own_last(g4_cache *c, g4_timeline *t, uint32_t pool)
{
    struct pool *p = &c->pool[pool];
    const uint32_t i = t->n_key / BLOCK;
    const int32_t b = t->table[pool][i];
    if (p->block[b].ref > 1) {
        const int32_t copy = take_block(p);
        if (copy < 0) return false;
        c->p.copy(c->p.arg, pool, b, copy);
        unref_block(p, b);
        t->table[pool][i] = copy;
    } else if (p->block[b].keyed) {
        unkey(p, b);
    }
    return true;
}

bool g4_cache_reserve(g4_cache *c, g4_timeline *t, uint32_t n_total)
{
    const uint32_t want = blocks_of(n_total);
    assert(want <= t->cap);
    if (n_total > t->n_key && t->n_key % BLOCK)
        for (uint32_t i = 0; i < 2; i++)
            if (c->pool[i].n && !own_last(c, t, i)) return false;
    while (t->n_block < want) {
        int32_t got[2] = { -1, -1 };
        for (uint32_t i = 0; i < 2; i++) {
            if (!c->pool[i].n) continue;
            got[i] = take_block(&c->pool[i]);
            if (got[i] >= 0) continue;
            if (i && got[0] >= 0) unref_block(&c->pool[0], got[0]);
            return false;
        }
        t->table[0][t->n_block] = got[0];
        t->table[1][t->n_block++] = got[1];
    }
    return true;
}

static void drop_entry(g4_cache *c, g4_timeline *t, uint32_t pool, uint32_t b)
{
    if (t->table[pool][b] >= 0) unref_block(&c->pool[pool], t->table[pool][b]);
    t->table[pool][b] = -1;
}

void g4_cache_advance(g4_cache *c, g4_timeline *t, uint32_t n, const int32_t *ids)
{
    const uint32_t from = t->n_key / BLOCK;
    t->n_key += n;
    assert(t->n_key <= t->n_block * BLOCK);
    const uint32_t full = t->n_key / BLOCK;
    if (c->p.prefix && full > from) {
        g4_timeline_chain(t, ids, t->n_key);
        for (uint32_t b = from; b < full && b < t->n_chain; b++)
            for (uint32_t i = 0; i < 2; i++)
                if (c->pool[i].n)
                    set_key(&c->pool[i], t->table[i][b], t->chain[b], parent_of(t, b), ids + b * BLOCK);
    }
    if (!c->pool[1].n || t->n_key < G4_KV_SLACK) return;
    const uint32_t keep = local_from(c, t->n_key - G4_KV_SLACK);
    while (t->first[1] < keep) drop_entry(c, t, 1, t->first[1]++);
}

void g4_cache_release(g4_cache *c, g4_timeline *t)
{
    while (t->n_block) {
        t->n_block--;
        for (uint32_t i = 0; i < 2; i++) drop_entry(c, t, i, t->n_block);
    }
    t->first[1] = 0;
    t->n_key = 0;
}

bool g4_cache_cut(g4_cache *c, g4_timeline *t, uint32_t n_key)
{
    assert(n_key <= t->n_key);
    if (c->pool[1].n && t->first[1] > local_from(c, n_key)) return false;
    while (t->n_block > blocks_of(n_key)) {
        t->n_block--;
        for (uint32_t i = 0; i < 2; i++) drop_entry(c, t, i, t->n_block);
    }
    t->n_key = n_key;
    if (t->n_chain > n_key / BLOCK) t->n_chain = n_key / BLOCK;
    return true;
}

bool g4_cache_fork(g4_cache *c, g4_timeline *dst, const g4_timeline *src, uint32_t n_key)
{
    const uint32_t n = blocks_of(n_key);
    assert(!dst->n_block && n_key <= src->n_key && n <= dst->cap);
    const uint32_t from = c->pool[1].n ? local_from(c, n_key) : 0;
    if (c->pool[1].n && src->first[1] > from) return false;
    for (uint32_t i = 0; i < 2; i++) {
        if (!c->pool[i].n) continue;
        for (uint32_t b = i ? from : 0; b < n; b++) {
            dst->table[i][b] = src->table[i][b];
            ref_block(&c->pool[i], dst->table[i][b]);
        }
    }
    dst->n_block = n;
    dst->first[1] = from < n ? from : n;
    dst->n_key = n_key;
    return true;
}

/* ---- prefixes ----------------------------------------------------------- */

/* Block b of t's chain in a pool: -1 when the cache has none. */
static int32_t find_at(const g4_cache *c, uint32_t pool, const g4_timeline *t, const int32_t *ids, uint32_t b)
{
    return find(&c->pool[pool], t->chain[b], parent_of(t, b), ids + b * BLOCK);
}

uint32_t g4_cache_match(const g4_cache *c, const g4_timeline *t, const int32_t *ids, uint32_t most, uint32_t held[2])
{
    uint32_t best = 0, run = 0; /* local blocks [run, b] are all there */
    if (held) held[0] = held[1] = 0;
    if (!c->p.prefix || (!c->pool[0].n && !c->pool[1].n)) return 0;
    if (most > t->n_chain) most = t->n_chain;
    for (uint32_t b = 0; b < most; b++) {
        if (c->pool[0].n && find_at(c, 0, t, ids, b) < 0) break;
        if (c->pool[1].n && find_at(c, 1, t, ids, b) < 0) run = b + 1;
        else if (!c->pool[1].n || run <= local_from(c, (b + 1) * BLOCK)) best = b + 1;
    }
    for (uint32_t i = 0; held && i < 2; i++) {
        if (!c->pool[i].n) continue;
        for (uint32_t b = i ? local_from(c, best * BLOCK) : 0; b < best; b++)
            held[i] += c->pool[i].block[find_at(c, i, t, ids, b)].ref > 0;
    }
    return best;
}

void g4_cache_attach(g4_cache *c, g4_timeline *t, const int32_t *ids, uint32_t n_block)
{
    assert(!t->n_block && n_block <= t->n_chain);
    const uint32_t from = c->pool[1].n ? local_from(c, n_block * BLOCK) : 0;
    for (uint32_t i = 0; i < 2; i++) {
        if (!c->pool[i].n) continue;
        for (uint32_t b = i ? from : 0; b < n_block; b++) {
            t->table[i][b] = find_at(c, i, t, ids, b);
            assert(t->table[i][b] >= 0);
            ref_block(&c->pool[i], t->table[i][b]);
        }
    }
    t->n_block = n_block;
    t->first[1] = from < n_block ? from : n_block;
    t->n_key = n_block * BLOCK;
}

/* ---- the check ---------------------------------------------------------- */

static const char *check_timeline(const g4_cache *c, const g4_timeline *t, uint32_t *refs[2])
{
    if (t->first[0]) return "3: a global block was aged out";
    if ((size_t)t->n_block * BLOCK < t->n_key) return "4: keys outside the blocks";
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t b = 0; b < t->cap; b++) {
            const bool held = c->pool[i].n && b >= t->first[i] && b < t->n_block;
            const int32_t k = t->table[i][b];
            if (held != (k >= 0)) return "3: a table entry is held outside its range";
            if (!held) continue;
            if ((uint32_t)k >= c->pool[i].n_fresh) return "2: a block in use was never taken";
            refs[i][k]++;
        }
    if (c->pool[1].n && t->first[1] > local_from(c, t->n_key)) return "5: local blocks of the window are gone";
    for (uint32_t b = 0; b < t->n_chain && b < t->n_key / BLOCK; b++)
        if (c->pool[0].n && c->pool[0].block[t->table[0][b]].keyed && c->pool[0].block[t->table[0][b]].key != t->chain[b])
            return "8: a block stands under another chain";
    return NULL;
}

static const char *check_pool(const struct pool *p, const uint32_t *refs)
{
    uint32_t n_free = 0, n_idle = 0, n_held = 0, n_keyed = 0, n_hashed = 0;
    for (uint32_t b = 0; b < p->n_fresh; b++) {
        if (p->block[b].ref != refs[b]) return "1: a reference count is wrong";
        n_held += p->block[b].ref > 0;
        n_keyed += p->block[b].keyed;
        if (p->block[b].keyed && p->block[b].key != g4_hash64(p->ids + (size_t)b * BLOCK, BLOCK * sizeof *p->ids, p->block[b].parent))
            return "7: a key is not that of the block's ids";
    }
    for (int32_t b = p->free_head; b >= 0; b = p->block[b].next, n_free++)
        if (p->block[b].ref || p->block[b].keyed) return "2: a free block is in use";
    for (int32_t b = p->old; b >= 0; b = p->block[b].next, n_idle++)
        if (p->block[b].ref || !p->block[b].keyed) return "2: an idle block is in use or has no key";
    if (n_idle != p->n_idle || n_held != p->n_held || n_free + n_idle + n_held != p->n_fresh)
        return "2: a block is lost";
    for (uint32_t i = 0; i < p->n_bucket; i++)
        for (int32_t b = p->bucket[i] - 1; b >= 0; b = p->block[b].hash_next, n_hashed++)
            for (int32_t k = p->block[b].hash_next; k >= 0; k = p->block[k].hash_next)
                if (p->block[k].key == p->block[b].key) return "7: a key names two blocks";
    return n_hashed == n_keyed ? NULL : "7: the key table and the blocks differ";
}

const char *g4_cache_check(const g4_cache *c, const g4_timeline *const *t, size_t n)
{
    uint32_t *refs[2];
    const char *bad = NULL;
    for (int i = 0; i < 2; i++) refs[i] = g4_alloc(((size_t)c->pool[i].n + 1) * sizeof *refs[i]);
    for (size_t i = 0; i < n && !bad; i++) bad = check_timeline(c, t[i], refs);
    for (int i = 0; i < 2 && !bad; i++) bad = check_pool(&c->pool[i], refs[i]);
    free(refs[0]);
    free(refs[1]);
    return bad;
}

/* ---- sizes -------------------------------------------------------------- */

uint32_t g4_kv_need(const struct g4_kv_want *w, uint32_t pool, uint32_t n)
{
    const uint32_t all = blocks_of(n);
    if (!w->block_bytes[pool]) return 0;
    if (pool == 0) return all;
    const uint64_t most = ((uint64_t)w->window + G4_KV_SLACK + w->chunk + BLOCK - 1) / BLOCK + 2;
    return all < most ? all : (uint32_t)most;
}

static uint64_t seq_bytes(const struct g4_kv_want *w, uint32_t n)
{
    return g4_kv_need(w, 0, n) * (uint64_t)w->block_bytes[0] + g4_kv_need(w, 1, n) * (uint64_t)w->block_bytes[1];
}

void g4_kv_plan(const struct g4_kv_want *w, bool shrink, struct g4_kv_sizes *out)
{
    uint32_t context = w->context;
    while (shrink && context > 2048 && seq_bytes(w, context) > w->budget) context = context / 2 + BLOCK / 2;
    /* As many sequences as fit at a moderate length; longer ones share what there is. */
    const uint64_t each = seq_bytes(w, context < 2048 ? context : 2048);
    uint32_t parallel = w->parallel;
    if (!parallel) {
        const uint64_t fit = each ? w->budget / each : 32;
        parallel = fit < 1 ? 1 : fit > 32 ? 32 : (uint32_t)fit;
    }
    *out = (struct g4_kv_sizes){ .context = context, .parallel = parallel };
    uint64_t left = w->budget;
    for (int i = 1; i >= 0; i--) { /* local first: they bound how many short records fit */
        out->seq_block[i] = g4_kv_need(w, (uint32_t)i, context);
        if (!w->block_bytes[i]) continue;
        const uint64_t share = i ? left / 2 : left, fit = share / w->block_bytes[i];
        uint64_t n = (uint64_t)parallel * out->seq_block[i];
        if (i) n += (uint64_t)w->turns * (blocks_of(w->window < context ? w->window : context) + 3);
        if (n > fit) n = fit;
        if (n < out->seq_block[i] + 2u) n = out->seq_block[i] + 2u; /* one whole sequence, and a copied last block */
        if (n > INT32_MAX) n = INT32_MAX;
        out->n_block[i] = (uint32_t)n;
        const uint64_t bytes = n * w->block_bytes[i];
        left = bytes < left ? left - bytes : 0;
    }
}

uint64_t g4_kv_memory(const struct g4_kv_want *w, const struct g4_kv_sizes *s)
{
    return s->n_block[0] * (uint64_t)w->block_bytes[0] + s->n_block[1] * (uint64_t)w->block_bytes[1];
}
