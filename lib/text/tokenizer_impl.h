/* text/tokenizer_impl: what the tokenizer's own files share.
 *
 *   tokenizer.c        the piece table, types and their repair, ids to text
 *   tokenizer_table.c  the merge list as a hash table
 *   tokenizer_merge.c  one span of raw text to ids: merging in rank and score form
 *   tokenizer_split.c  segments to spans: special pieces, ill-formed bytes
 *   tokenizer_utf8.c   the streaming decoder */
#ifndef G4_TEXT_TOKENIZER_IMPL_H
#define G4_TEXT_TOKENIZER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "text/tokenizer.h"

#define G4_SPACE_PIECE "\xE2\x96\x81" /* U+2581, what a space is in NORMAL pieces */

enum { G4_MAX_PIECES = 1 << 22, G4_MAX_MERGES = 1 << 24, G4_MAX_MERGE_BYTES = 1 << 30 };

/* Open addressing over numbers below a limit whose keys live elsewhere: a slot
 * holds number + 1 in its low bits and bits of the key's hash above, 0 is empty. */
struct g4_text_index {
    uint32_t *slot;
    uint64_t mask;     /* slots - 1 */
    uint32_t id_bits;
};

/* Trie over the special pieces: first child, next sibling.  `need` is the least
 * trust of the text in which the piece may be recognised. */
enum { G4_NEED_NONE, G4_NEED_USER, G4_NEED_TEMPLATE };
struct g4_trie_node {
    uint32_t child, next; /* 0: none */
    int32_t id;           /* -1: no piece ends here */
    uint8_t byte, need;
};

struct g4_tokenizer {
    struct g4_vocab v;
    struct g4_text_index piece_ix;
    int32_t byte_id[256]; /* -1: no such piece */

    /* Built when a text is encoded, under the lock; never changed once published. */
    pthread_mutex_t lock;
    atomic_bool trie_ready;
    struct g4_trie_node *trie; /* [0] is unused */
    size_t n_trie, cap_trie;
    uint32_t root[256];
    struct g4_merges *_Atomic some, *_Atomic all;
};

/* What merging needs besides the pieces, for every text or for some texts. */
struct g4_merges {
    struct g4_text_index ix; /* rank form: places in the merge list; score form: empty */
    /* Bytes that may stand before a U+2581 inside a piece: elsewhere a span can
     * be cut before a space without changing its ids. */
    bool joins_space[256];
    uint64_t pairs[1024];    /* of `some`: the pairs of bytes that a text may have */
};

/* tokenizer_table.c */
const struct g4_merges *g4_merges_for(const g4_tokenizer *t, const char *p, size_t n);
void g4_merges_free(struct g4_merges *m);
/* Rank of the merge of two neighbours, ll and rl bytes long; UINT32_MAX: none. */
uint32_t g4_merges_find(const g4_tokenizer *t, const struct g4_merges *m, const char *left, size_t ll, size_t rl, uint64_t hash);

/* A span's ids go here. */
struct g4_ids {
    int32_t **p;
    size_t *n, *cap;
};
void g4_ids_add(struct g4_ids *out, int32_t id);
void g4_ids_add_byte(const g4_tokenizer *t, struct g4_ids *out, uint8_t byte);

/* Room for n numbers, each below limit. */
void g4_text_index_init(struct g4_text_index *x, size_t n, size_t limit);

static inline uint64_t g4_load64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t g4_load32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t g4_fold(uint64_t a, uint64_t b)
{
    const __uint128_t m = (__uint128_t)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Hash of a piece's text: pieces are short, so the whole text is one or two
 * (overlapping) loads; it stays within this process. */
static inline uint64_t g4_piece_hash(const char *p, size_t n)
{
    uint64_t h = 0x9E3779B97F4A7C15ull ^ n;
    while (n > 16) {
        h = g4_fold(h ^ g4_load64(p), 0xD6E8FEB86659FD93ull);
        p += 8;
        n -= 8;
    }
    uint64_t a, b;
    if (n >= 8) {
        a = g4_load64(p);
        b = g4_load64(p + n - 8);
    } else if (n >= 4) {
        a = g4_load32(p);
        b = g4_load32(p + n - 4);
    } else {
        a = n ? (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint8_t)p[n - 1] : 0;
        b = 0;
    }
    return g4_fold(a ^ h, b ^ 0xA0761D6478BD642Full) + h;
}

/* Hash of the merge of two texts, from theirs. */
static inline uint64_t g4_pair_hash(uint64_t left, uint64_t right)
{
    return g4_fold(left ^ 0xE7037ED1A0B428DBull, right ^ 0x8EBC6AF09C88C6E3ull);
}

/* The tag part of a slot for this hash, number bits 0. */
static inline uint32_t g4_text_index_tag(const struct g4_text_index *x, uint64_t h)
{
    return (uint32_t)h >> x->id_bits << x->id_bits;
}

/* First slot to look at; walk with (i + 1) & x->mask. */
static inline uint64_t g4_text_index_at(const struct g4_text_index *x, uint64_t h)
{
    return h >> 32 & x->mask;
}

/* Id of the piece with this text, -1. */
int32_t g4_piece_find(const g4_tokenizer *t, const char *p, size_t n, uint64_t hash);

/* Whether a piece may come out of text that nobody vouches for. */
bool g4_piece_is_plain(const g4_tokenizer *t, int32_t id);

/* Whether a USER_DEFINED piece is mere content: one character, a run of white
 * space, or an HTML tag of the Gemma 3 table. */
bool g4_piece_is_content(g4_sv piece);

static inline bool g4_is_space_piece(const char *p, size_t n)
{
    return n >= 3 && memcmp(p, G4_SPACE_PIECE, 3) == 0;
}

/* tokenizer_merge.c: ids of well-formed raw text. */
struct g4_merger;
struct g4_merger *g4_merger_new(const g4_tokenizer *t, const struct g4_merges *merges, struct g4_ids out);
void g4_merger_free(struct g4_merger *m);
void g4_merger_span(struct g4_merger *m, const char *p, size_t n);

#endif
