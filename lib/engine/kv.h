/* engine/kv: which cache blocks belong to which sequence.  Knows block numbers
 * only; the keys and values themselves are the device's.
 *
 * Two pools: 0 for global layers, 1 for local (sliding) ones; a pool with no
 * blocks is one the model does not use.  A timeline is a sequence's view: a table
 * a pool, entry b naming the block that holds keys [32 b, 32 b + 32).
 *
 * Memory.  With B0 and B1 the bytes of a block (g4_kv_block_bytes: layers of the
 * pool x 2 x 32 x n_kv x d_head x 2 for f16), a sequence of n tokens holds at most
 *
 *     ceil(n / 32) * B0 + min(ceil(n / 32), ceil((window + 256 + chunk) / 32) + 2) * B1
 *
 * bytes, chunk being the most prompt rows a step.  g4_kv_plan sizes the pools. */
#ifndef G4_ENGINE_KV_H
#define G4_ENGINE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/device.h"

enum { G4_KV_SLACK = 256 }; /* tokens a timeline can be cut back by */

typedef struct g4_cache g4_cache;

struct g4_cache_params {
    uint32_t n_block[2];
    uint32_t n_idle[2];  /* unreferenced prefix blocks kept before untouched memory is preferred */
    uint32_t window;     /* of the local layers: position p sees keys j with p - j < window */
    bool prefix;         /* keep full blocks for later sequences */
    bool keep_local;     /* never age local blocks (encoders see both ways) */
    void (*copy)(void *arg, uint32_t pool, int32_t from, int32_t to);
    void *arg;
};

typedef struct g4_timeline {
    int32_t *table[2];   /* [cap] block of keys [32 b, 32 b + 32); -1: not held */
    uint64_t *chain;     /* [cap] key of block b: hash of all ids up to its end */
    uint32_t cap;        /* blocks */
    uint32_t n_block;    /* entries [first[p], n_block) are held */
    uint32_t first[2];   /* [0] is 0 */
    uint32_t n_key;      /* keys stored */
    uint32_t n_chain;    /* chain entries that are known */
} g4_timeline;

g4_cache *g4_cache_new(const struct g4_cache_params *p);
void g4_cache_free(g4_cache *c);
uint32_t g4_cache_available(const g4_cache *c, uint32_t pool); /* blocks no sequence holds */
uint32_t g4_cache_blocks(const g4_cache *c, uint32_t pool);

void g4_timeline_init(g4_timeline *t, uint32_t n_token); /* room for n_token keys */
void g4_timeline_free(g4_timeline *t);                   /* must hold no blocks */
uint32_t g4_timeline_held(const g4_timeline *t, uint32_t pool);

/* Extends the chain over the full blocks of ids[n]; stops at the first id < 0. */
void g4_timeline_chain(g4_timeline *t, const int32_t *ids, uint32_t n);

/* Makes keys [n_key, n_total) writable: takes blocks, and copies a last block
 * that others see too.  False: out of blocks (what was taken stays held). */
bool g4_cache_reserve(g4_cache *c, g4_timeline *t, uint32_t n_total);
/* n keys were stored.  Offers full blocks to the prefix cache and frees local
 * blocks older than window + 256.  ids: the whole timeline. */
void g4_cache_advance(g4_cache *c, g4_timeline *t, uint32_t n, const int32_t *ids);
/* Gives all blocks back; chain entries stay. */
void g4_cache_release(g4_cache *c, g4_timeline *t);
/* Back to n_key keys; ids behind them may change.  False: local blocks the window needs are gone. */
bool g4_cache_cut(g4_cache *c, g4_timeline *t, uint32_t n_key);
/* dst (empty, with room) becomes the first n_key keys of src, sharing its blocks. */
bool g4_cache_fork(g4_cache *c, g4_timeline *dst, const g4_timeline *src, uint32_t n_key);

/* Longest cached prefix of at most `most` blocks for t's chain, in blocks: all
 * global blocks, and the local ones that the window of the next position needs.
 * held (may be NULL): how many of those of each pool others hold, and so cost nothing. */
uint32_t g4_cache_match(const g4_cache *c, const g4_timeline *t, const int32_t *ids, uint32_t most, uint32_t held[2]);
/* Takes the blocks of a match (t holds none). */
void g4_cache_attach(g4_cache *c, g4_timeline *t, const int32_t *ids, uint32_t n_block);

/* Checks the invariants over all timelines; NULL or the one that is broken. */
const char *g4_cache_check(const g4_cache *c, const g4_timeline *const *t, size_t n);

/* ---- sizes --------------------------------------------------------------- */

struct g4_kv_want {
    size_t block_bytes[2];   /* 0: the model has no such layers */
    uint32_t window, chunk, context;
    uint32_t parallel;       /* 0: choose, at most 32 */
    uint32_t turns;          /* ends of prompts that are kept: room for their local blocks */
    uint64_t budget;         /* bytes the cache may take */
};
struct g4_kv_sizes {
    uint32_t context, parallel;
    uint32_t n_block[2];
    uint32_t seq_block[2];   /* most blocks of one sequence */
};
/* Context, sequences and pool sizes that fit the budget; one sequence of the
 * full context always fits (`context` shrinks only when shrink is set). */
void g4_kv_plan(const struct g4_kv_want *w, bool shrink, struct g4_kv_sizes *out);
/* Bytes of the pools. */
uint64_t g4_kv_memory(const struct g4_kv_want *w, const struct g4_kv_sizes *s);
/* Blocks a sequence of n tokens holds at most in a pool. */
uint32_t g4_kv_need(const struct g4_kv_want *w, uint32_t pool, uint32_t n);

#endif
