/* text/tokenizer: segments to ids.
 *
 * The segments are looked at as one text in which every byte has a trust: DATA,
 * USER, TEMPLATE.  A special piece is taken (leftmost, then longest) only when
 * all bytes it would cover are trusted enough for it; what is mere content
 * (white space runs and HTML tags of Gemma 3) is taken everywhere, also across
 * the border of two segments, as if the text had come in one piece.  Between
 * the special pieces lie raw spans; a byte outside a well-formed UTF-8 sequence
 * ends a span and becomes its byte piece. */
#include <stdlib.h>

#include "base/mem.h"
#include "text/tokenizer_impl.h"

/* ---- ids --------------------------------------------------------------- */

void g4_ids_add(struct g4_ids *out, int32_t id)
{
    if (*out->n == *out->cap) G4_GROW(*out->p, *out->cap, *out->n + 1);
    (*out->p)[(*out->n)++] = id;
}

void g4_ids_add_byte(const g4_tokenizer *t, struct g4_ids *out, uint8_t byte)
{
    const int32_t id = t->byte_id[byte] >= 0 ? t->byte_id[byte] : t->v.unk;
    if (id >= 0) g4_ids_add(out, id);
}

/* ---- the trie ---------------------------------------------------------- */

static uint32_t trie_child(const g4_tokenizer *t, uint32_t node, uint8_t byte)
{
    uint32_t c = node ? t->trie[node].child : t->root[byte];
    while (c && t->trie[c].byte != byte) c = t->trie[c].next;
    return c;
}

static uint32_t trie_add(g4_tokenizer *t, uint32_t node, uint8_t byte)
{
    G4_GROW(t->trie, t->cap_trie, t->n_trie + 1);
    const uint32_t c = (uint32_t)t->n_trie++;
    t->trie[c] = (struct g4_trie_node){ .id = -1, .byte = byte };
    if (node) {
        t->trie[c].next = t->trie[node].child;
        t->trie[node].child = c;
    } else {
        t->root[byte] = c;
    }
    return c;
}

static void trie_insert(g4_tokenizer *t, uint32_t id)
{
    const g4_sv s = t->v.piece[id];
    uint32_t node = 0;
    for (size_t i = 0; i < s.n; i++) {
        const uint32_t c = trie_child(t, node, (uint8_t)s.p[i]);
        node = c ? c : trie_add(t, node, (uint8_t)s.p[i]);
    }
    if (!node) return;
    t->trie[node].id = (int32_t)id;
    t->trie[node].need = t->v.type[id] != G4_PIECE_USER ? G4_NEED_TEMPLATE :
                         g4_piece_is_content(s)         ? G4_NEED_NONE :
                                                          G4_NEED_USER;
}

static void build_trie(g4_tokenizer *t)
{
    G4_GROW(t->trie, t->cap_trie, 1024);
    t->trie[0] = (struct g4_trie_node){ .id = -1 };
    t->n_trie = 1;
    for (uint32_t id = 0; id < t->v.n; id++) {
        const uint8_t type = t->v.type[id];
        if (type == G4_PIECE_USER || type == G4_PIECE_CONTROL || type == G4_PIECE_UNKNOWN || type == G4_PIECE_UNUSED)
            trie_insert(t, id);
    }
}

/* Built by the first text.  Threads may race here. */
static void prepare_trie(const g4_tokenizer *shared)
{
    g4_tokenizer *t = (g4_tokenizer *)shared;
    if (atomic_load_explicit(&t->trie_ready, memory_order_acquire)) return;
    pthread_mutex_lock(&t->lock);
    if (!atomic_load_explicit(&t->trie_ready, memory_order_relaxed)) {
        build_trie(t);
        atomic_store_explicit(&t->trie_ready, true, memory_order_release);
    }
    pthread_mutex_unlock(&t->lock);
}

/* ---- segments ---------------------------------------------------------- */

struct part { /* a stretch of the joined text */
    size_t end;
    uint8_t trust;
};

struct text {
    const char *p;
    size_t n;
    struct part *part;
    size_t n_part, at; /* at: the part that holds the byte looked at */
};

static uint8_t trust_of(enum g4_seg_mode mode)
{
    return mode == G4_SEG_TEMPLATE ? G4_NEED_TEMPLATE : mode == G4_SEG_USER ? G4_NEED_USER : G4_NEED_NONE;
}

/* The segments as one text; *joined owns it when there are several. */
static struct text join(const struct g4_seg *seg, size_t n_seg, g4_str *joined)
{
    struct text x = { .part = g4_alloc((n_seg + 1) * sizeof *x.part) };
    for (size_t i = 0; i < n_seg; i++) {
        if (!seg[i].n) continue;
        x.n += seg[i].n;
        x.p = seg[i].p;
        x.part[x.n_part++] = (struct part){ x.n, trust_of(seg[i].mode) };
    }
    if (x.n_part < 2) return x;
    g4_str_reserve(joined, x.n);
    for (size_t i = 0; i < n_seg; i++) g4_str_add(joined, seg[i].p, seg[i].n);
    x.p = joined->p;
    return x;
}

/* Bytes of the special piece taken at byte i, 0: none. */
static size_t match(const g4_tokenizer *t, struct text *x, size_t i, int32_t *id)
{
    while (i >= x->part[x->at].end) x->at++;
    size_t part = x->at, best = 0;
    uint8_t trust = x->part[part].trust;
    uint32_t node = 0;
    for (size_t k = i; k < x->n; k++) {
        if (k >= x->part[part].end && x->part[++part].trust < trust) trust = x->part[part].trust;
        node = trie_child(t, node, (uint8_t)x->p[k]);
        if (!node) break;
        if (t->trie[node].id >= 0 && t->trie[node].need <= trust) {
            best = k + 1 - i;
            *id = t->trie[node].id;
        }
    }
    return best;
}

void g4_tokenizer_encode(const g4_tokenizer *t, const struct g4_seg *seg, size_t n_seg, int32_t **ids, size_t *n_ids,
                         size_t *cap_ids)
{
    g4_str joined = {0};
    struct text x = join(seg, n_seg, &joined);
    struct g4_ids out = { ids, n_ids, cap_ids };
    prepare_trie(t);
    struct g4_merger *m = g4_merger_new(t, g4_merges_for(t, x.p, x.n), out);
    size_t raw = 0; /* where the open raw span began */
    for (size_t i = 0; i < x.n;) {
        const uint8_t c = (uint8_t)x.p[i];
        int32_t id = -1;
        size_t n = t->root[c] ? match(t, &x, i, &id) : 0;
        const bool special = n > 0;
        if (!special) n = c < 0x80 ? 1 : g4_utf8_decode(x.p + i, x.n - i, NULL);
        if (n && !special) {
            i += n;
            continue;
        }
        g4_merger_span(m, x.p + raw, i - raw);
        if (special)
            g4_ids_add(&out, id);
        else
            g4_ids_add_byte(t, &out, c);
        raw = i += special ? n : 1;
    }
    g4_merger_span(m, x.p + raw, x.n - raw);
    g4_merger_free(m);
    free(x.part);
    g4_str_free(&joined);
}
