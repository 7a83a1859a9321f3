/* text/tokenizer: raw text to ids by merging, in O(n log n).
 *
 * A span is cut into words where no merge can reach across; a word's characters
 * are a doubly linked list in a flat array, and a binary heap holds the pairs
 * that may merge: lowest rank (rank form) or highest score (score form) first,
 * the leftmost of equals.  An entry is stale when its pair no longer has the
 * length it had.
 *
 * Only pieces of plain type come out, so no text,
 * merge list or score can make a control piece. */
#include <stdlib.h>

#include "base/mem.h"
#include "text/tokenizer_impl.h"

/* A longer word is cut: offsets in a word are 32 bits. */
enum { MAX_WORD = 1 << 30 };

/* ---- one word ---------------------------------------------------------- */

struct sym { /* a character or what it has grown to */
    uint32_t at, len;    /* bytes of the word; len 0: fused into its left neighbour */
    uint32_t prev, next; /* NO_SYM: none */
    uint64_t hash;       /* of its text */
};
enum { NO_SYM = UINT32_MAX };

struct pair {
    uint64_t key;   /* priority, smaller first, then index of the left symbol */
    uint32_t bytes; /* of both */
};

struct g4_merger {
    const g4_tokenizer *t;
    const struct g4_merges *merges;
    struct g4_ids out;
    g4_str text;         /* the span with U+2581 for spaces */
    const char *word;
    struct sym *sym;
    size_t n_sym, cap_sym;
    struct pair *heap;
    size_t n_heap, cap_heap;
};

struct g4_merger *g4_merger_new(const g4_tokenizer *t, const struct g4_merges *merges, struct g4_ids out)
{
    struct g4_merger *m = g4_alloc(sizeof *m);
    m->t = t;
    m->merges = merges;
    m->out = out;
    return m;
}

void g4_merger_free(struct g4_merger *m)
{
    g4_str_free(&m->text);
    free(m->sym);
    free(m->heap);
    free(m);
}

static void heap_add(struct g4_merger *m, struct pair e)
{
    if (m->n_heap == m->cap_heap) G4_GROW(m->heap, m->cap_heap, m->n_heap + 1);
    size_t i = m->n_heap++;
    while (i && m->heap[(i - 1) / 2].key > e.key) {
        m->heap[i] = m->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->heap[i] = e;
}

static struct pair heap_take(struct g4_merger *m)
{
    const struct pair top = m->heap[0], e = m->heap[--m->n_heap];
    size_t i = 0;
    for (size_t c; (c = 2 * i + 1) < m->n_heap; i = c) {
        if (c + 1 < m->n_heap && m->heap[c + 1].key < m->heap[c].key) c++;
        if (m->heap[c].key >= e.key) break;
        m->heap[i] = m->heap[c];
    }
    m->heap[i] = e;
    return top;
}

/* Order of scores as unsigned numbers, highest first. */
static uint32_t score_order(float score)
{
    uint32_t u;
    memcpy(&u, &score, 4);
    if (score != score) return UINT32_MAX - 1;
    return u >> 31 ? u : ~(u | 0x80000000u);
}

/* Puts the pair of symbol l and its right neighbour on the heap when it may merge. */
static void offer(struct g4_merger *m, uint32_t l)
{
    if (l == NO_SYM || m->sym[l].next == NO_SYM) return;
    const g4_tokenizer *t = m->t;
    const struct sym *a = &m->sym[l], *b = &m->sym[a->next];
    const char *p = m->word + a->at;
    uint32_t order = UINT32_MAX;
    if (t->v.score) {
        const size_t n = (size_t)a->len + b->len;
        const int32_t id = g4_piece_find(t, p, n, g4_piece_hash(p, n));
        if (id >= 0 && g4_piece_is_plain(t, id)) order = score_order(t->v.score[id]);
    } else {
        order = g4_merges_find(t, m->merges, p, a->len, b->len, g4_pair_hash(a->hash, b->hash));
    }
    if (order != UINT32_MAX) heap_add(m, (struct pair){ (uint64_t)order << 32 | l, a->len + b->len });
}

static void merge_all(struct g4_merger *m)
{
    m->n_heap = 0;
    for (uint32_t i = 0; i + 1 < m->n_sym; i++) offer(m, i);
    while (m->n_heap) {
        const struct pair e = heap_take(m);
        const uint32_t l = (uint32_t)e.key;
        struct sym *a = &m->sym[l];
        if (!a->len || a->next == NO_SYM || a->len + m->sym[a->next].len != e.bytes) continue;
        struct sym *b = &m->sym[a->next];
        a->len = e.bytes;
        a->hash = g4_piece_hash(m->word + a->at, a->len);
        a->next = b->next;
        b->len = 0;
        if (a->next != NO_SYM) m->sym[a->next].prev = l;
        offer(m, a->prev);
        offer(m, l);
    }
}

static void emit_char(struct g4_merger *m, const char *p, size_t n)
{
    const int32_t id = g4_tokenizer_find(m->t, p, n);
    if (id >= 0 && g4_piece_is_plain(m->t, id)) {
        g4_ids_add(&m->out, id);
        return;
    }
    for (size_t i = 0; i < n; i++) g4_ids_add_byte(m->t, &m->out, (uint8_t)p[i]);
}

static void emit_sym(struct g4_merger *m, const struct sym *s)
{
    const char *p = m->word + s->at;
    const int32_t id = g4_piece_find(m->t, p, s->len, s->hash);
    if (id >= 0 && g4_piece_is_plain(m->t, id)) {
        g4_ids_add(&m->out, id);
        return;
    }
    /* A character without a piece; or a merge whose result is no piece or no plain one. */
    for (size_t i = 0, n; i < s->len; i += n) {
        n = g4_utf8_decode(p + i, s->len - i, NULL);
        emit_char(m, p + i, n);
    }
}

static void merge_word(struct g4_merger *m, const char *p, size_t n)
{
    m->word = p;
    m->n_sym = 0;
    for (size_t i = 0, len; i < n; i += len) {
        len = g4_utf8_decode(p + i, n - i, NULL);
        if (m->n_sym == m->cap_sym) G4_GROW(m->sym, m->cap_sym, m->n_sym + 1);
        const uint32_t k = (uint32_t)m->n_sym++;
        m->sym[k] = (struct sym){ (uint32_t)i, (uint32_t)len, k ? k - 1 : NO_SYM, k + 1, g4_piece_hash(p + i, len) };
    }
    m->sym[m->n_sym - 1].next = NO_SYM;
    merge_all(m);
    for (uint32_t i = 0; i != NO_SYM; i = m->sym[i].next) emit_sym(m, &m->sym[i]);
}

/* ---- a span ------------------------------------------------------------ */

/* Rank form: a run of newlines that is a piece is that piece. */
static void word(struct g4_merger *m, const char *p, size_t n)
{
    if (!m->t->v.score && *p == '\n') {
        const int32_t id = g4_tokenizer_find(m->t, p, n);
        if (id >= 0 && g4_piece_is_plain(m->t, id)) {
            g4_ids_add(&m->out, id);
            return;
        }
    }
    merge_word(m, p, n);
}

/* Whether a span may be cut between p[i - 1] and p[i] without changing its ids. */
static bool may_cut(const struct g4_merger *m, const char *p, size_t i, size_t n)
{
    if (!m->t->v.score && (p[i] == '\n') != (p[i - 1] == '\n')) return true;
    return p[i] == G4_SPACE_PIECE[0] && !m->merges->joins_space[(uint8_t)p[i - 1]] && g4_is_space_piece(p + i, n - i) &&
           !(i >= 3 && g4_is_space_piece(p + i - 3, 3));
}

/* p: well-formed UTF-8. */
void g4_merger_span(struct g4_merger *m, const char *p, size_t n)
{
    g4_str_clear(&m->text);
    for (const char *end = p + n; p < end;) {
        const char *blank = memchr(p, ' ', (size_t)(end - p));
        g4_str_add(&m->text, p, (size_t)((blank ? blank : end) - p));
        if (!blank) break;
        g4_str_add(&m->text, G4_SPACE_PIECE, 3);
        p = blank + 1;
    }
    const char *s = m->text.p;
    size_t from = 0;
    for (size_t i = 1; i < m->text.n; i++) {
        const bool too_long = i - from >= MAX_WORD && ((uint8_t)s[i] & 0xC0) != 0x80;
        if (!too_long && !may_cut(m, s, i, m->text.n)) continue;
        word(m, s + from, i - from);
        from = i;
    }
    if (m->text.n) word(m, s + from, m->text.n - from);
}
