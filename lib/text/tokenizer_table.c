/* text/tokenizer: the merge list as a hash table.
 *
 * Ranks are found by hashing the two texts of a pair; the merge list of a file is
 * never turned into ids.  A full table of half a million merges costs ten to
 * twenty milliseconds, so the first short text gets a table of its own: of the
 * merges whose first two and last two bytes stand side by side in that text, the
 * only ones that can apply to it.  The next text that has other pairs of bytes,
 * or a long one, has the full table made. */
#include <stdlib.h>

#include "base/mem.h"
#include "text/tokenizer_impl.h"

enum { SHORT_TEXT = 4096, BATCH = 16 };

/* ---- pairs of bytes ------------------------------------------------------ */

static bool has_pair(const uint64_t *set, char a, char b)
{
    const unsigned k = (unsigned)(uint8_t)a << 8 | (uint8_t)b;
    return set[k >> 6] >> (k & 63) & 1;
}

static void add_pair(uint64_t *set, char a, char b)
{
    const unsigned k = (unsigned)(uint8_t)a << 8 | (uint8_t)b;
    set[k >> 6] |= (uint64_t)1 << (k & 63);
}

/* Pairs of bytes of a text once its spaces are U+2581. */
static void pairs_of(uint64_t *set, const char *p, size_t n)
{
    char before = 0;
    for (size_t i = 0; i < n; i++) {
        add_pair(set, before, p[i] == ' ' ? G4_SPACE_PIECE[0] : p[i]);
        before = p[i] == ' ' ? G4_SPACE_PIECE[2] : p[i];
    }
    add_pair(set, G4_SPACE_PIECE[0], G4_SPACE_PIECE[1]);
    add_pair(set, G4_SPACE_PIECE[1], G4_SPACE_PIECE[2]);
}

static bool covers(const uint64_t *have, const uint64_t *want)
{
    uint64_t lack = 0;
    for (int i = 0; i < 1024; i++) lack |= want[i] & ~have[i];
    return !lack;
}

/* ---- the list ------------------------------------------------------------ */

/* Merge at byte `at` of the file's list.  Later in the list is later in rank, so
 * the place serves as the rank. */
static g4_sv merge_at(const g4_tokenizer *t, uint32_t at)
{
    uint64_t n;
    memcpy(&n, t->v.merge + at, 8);
    return (g4_sv){ (const char *)t->v.merge + at + 8, (size_t)n };
}

/* Bytes of the left half of "left right": up to the first space at byte >= 1; 0: it has no two halves. */
static size_t left_len(g4_sv m)
{
    for (size_t i = 1; i + 1 < m.n; i++)
        if (m.p[i] == ' ') return i;
    return 0;
}

/* Whether a text with these pairs of bytes can have the two halves side by side. */
static bool can_apply(const uint64_t *pairs, g4_sv m)
{
    if (m.n < 3) return false;
    const char *end = m.p + m.n;
    return has_pair(pairs, m.p[0], m.p[1] == ' ' ? m.p[2] : m.p[1]) &&
           has_pair(pairs, end[-2] == ' ' ? end[-3] : end[-2], end[-1]);
}

/* ---- building ------------------------------------------------------------ */

static void note_joint(struct g4_merges *m, const char *left, size_t n)
{
    if (n && !(n >= 3 && g4_is_space_piece(left + n - 3, 3))) m->joins_space[(uint8_t)left[n - 1]] = true;
}

static void insert(const g4_tokenizer *t, struct g4_merges *to, uint32_t at, uint64_t hash)
{
    struct g4_text_index *x = &to->ix;
    const uint32_t tag = g4_text_index_tag(x, hash);
    uint64_t i = g4_text_index_at(x, hash);
    for (; x->slot[i]; i = (i + 1) & x->mask)
        if (!((x->slot[i] ^ tag) >> x->id_bits) && g4_sv_same(merge_at(t, (x->slot[i] ^ tag) - 1), merge_at(t, at)))
            return; /* the first of equal merges counts */
    x->slot[i] = tag | (at + 1);
}

struct batch { /* merges whose slots are on their way from memory */
    uint32_t at[BATCH];
    uint64_t hash[BATCH];
    unsigned n;
};

static void insert_batch(const g4_tokenizer *t, struct g4_merges *to, struct batch *b)
{
    for (unsigned i = 0; i < b->n; i++) insert(t, to, b->at[i], b->hash[i]);
    b->n = 0;
}

static void add(const g4_tokenizer *t, struct g4_merges *to, struct batch *b, uint32_t at)
{
    const g4_sv m = merge_at(t, at);
    const size_t ll = left_len(m);
    if (!ll) return;
    const char *right = m.p + ll + 1;
    const size_t rl = m.n - ll - 1;
    if (g4_is_space_piece(right, rl)) note_joint(to, m.p, ll);
    const uint64_t hash = g4_pair_hash(g4_piece_hash(m.p, ll), g4_piece_hash(right, rl));
    __builtin_prefetch(&to->ix.slot[g4_text_index_at(&to->ix, hash)], 1);
    b->at[b->n] = at;
    b->hash[b->n++] = hash;
    if (b->n == BATCH) insert_batch(t, to, b);
}

static struct g4_merges *rank_all(const g4_tokenizer *t)
{
    struct g4_merges *m = g4_alloc(sizeof *m);
    struct batch b = { .n = 0 };
    g4_text_index_init(&m->ix, t->v.n_merge, t->v.merge_bytes);
    for (uint32_t r = 0, at = 0; r < t->v.n_merge; r++) {
        add(t, m, &b, at);
        at += 8 + (uint32_t)merge_at(t, at).n;
    }
    insert_batch(t, m, &b);
    return m;
}

static struct g4_merges *rank_some(const g4_tokenizer *t, const uint64_t *pairs)
{
    struct g4_merges *m = g4_alloc(sizeof *m);
    struct batch b = { .n = 0 };
    uint32_t *found = NULL;
    size_t n = 0, cap = 0;
    memcpy(m->pairs, pairs, sizeof m->pairs);
    for (uint32_t r = 0, at = 0; r < t->v.n_merge; r++) {
        const g4_sv s = merge_at(t, at);
        if (can_apply(pairs, s)) {
            if (n == cap) G4_GROW(found, cap, n + 1);
            found[n++] = at;
        }
        at += 8 + (uint32_t)s.n;
    }
    g4_text_index_init(&m->ix, n, t->v.merge_bytes);
    for (size_t i = 0; i < n; i++) add(t, m, &b, found[i]);
    insert_batch(t, m, &b);
    free(found);
    return m;
}

static struct g4_merges *score_all(const g4_tokenizer *t)
{
    struct g4_merges *m = g4_alloc(sizeof *m);
    for (uint32_t id = 0; id < t->v.n; id++) {
        const g4_sv s = t->v.piece[id];
        for (size_t i = 1; i + 3 <= s.n; i++)
            if (s.p[i] == G4_SPACE_PIECE[0] && g4_is_space_piece(s.p + i, s.n - i)) note_joint(m, s.p, i);
    }
    return m;
}

/* Short texts are not cut at all. */
static struct g4_merges *score_some(void)
{
    struct g4_merges *m = g4_alloc(sizeof *m);
    memset(m->joins_space, true, sizeof m->joins_space);
    memset(m->pairs, 0xFF, sizeof m->pairs);
    return m;
}

/* ---- choosing -------------------------------------------------------------- */

/* With the lock held. */
static const struct g4_merges *make(g4_tokenizer *t, const uint64_t *pairs)
{
    struct g4_merges *m = atomic_load(&t->all);
    if (m) return m;
    if (pairs && !atomic_load(&t->some)) {
        m = t->v.score ? score_some() : rank_some(t, pairs);
        atomic_store(&t->some, m);
        return m;
    }
    m = t->v.score ? score_all(t) : rank_all(t);
    atomic_store(&t->all, m);
    return m;
}

const struct g4_merges *g4_merges_for(const g4_tokenizer *shared, const char *p, size_t n)
{
    g4_tokenizer *t = (g4_tokenizer *)shared;
    uint64_t pairs[1024] = {0};
    const struct g4_merges *m = atomic_load(&t->all);
    if (m) return m;
    if (n <= SHORT_TEXT) {
        pairs_of(pairs, p, n);
        m = atomic_load(&t->some);
        if (m && covers(m->pairs, pairs)) return m;
    }
    pthread_mutex_lock(&t->lock);
    m = make(t, n <= SHORT_TEXT ? pairs : NULL);
    pthread_mutex_unlock(&t->lock);
    return m;
}

void g4_merges_free(struct g4_merges *m)
{
    if (m) free(m->ix.slot);
    free(m);
}

uint32_t g4_merges_find(const g4_tokenizer *t, const struct g4_merges *m, const char *left, size_t ll, size_t rl, uint64_t hash)
{
    const struct g4_text_index *x = &m->ix;
    const uint32_t tag = g4_text_index_tag(x, hash);
    for (uint64_t i = g4_text_index_at(x, hash); x->slot[i]; i = (i + 1) & x->mask) {
        if ((x->slot[i] ^ tag) >> x->id_bits) continue;
        const uint32_t at = (x->slot[i] ^ tag) - 1;
        const g4_sv s = merge_at(t, at);
        if (s.n == ll + 1 + rl && s.p[ll] == ' ' && memcmp(s.p, left, ll) == 0 && memcmp(s.p + ll + 1, left + ll, rl) == 0)
            return at;
    }
    return UINT32_MAX;
}
