/* text/pieces: making, saving and loading (pieces.h).
 *
 * All arrays lie in one block, which is the file: a header, then the arrays in the
 * order of enum part, each at a multiple of 8 bytes. */
#define _GNU_SOURCE /* qsort_r */
#include "text/pieces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "text/tokenizer_impl.h"

enum part {
    ALL_BYTE, ALL_DEPTH, ALL_SKIP, ALL_ID,
    JSON_PLAIN, JSON_BYTE, JSON_DEPTH, JSON_SKIP, JSON_ID,
    RAW_PLAIN, RAW_BYTE, RAW_DEPTH, RAW_SKIP, RAW_ID,
    CHARS, TWIN, N_PART,
};

struct header {
    char magic[8];
    uint64_t key;            /* of the vocabulary */
    uint64_t hash;           /* of all behind the header */
    uint32_t n_vocab, n_all, n_rest[G4_SLICES], n_twin, most_chars;
    uint64_t bytes;          /* of the whole file */
};

static const char magic[8] = "g4piec1";

struct owner {
    void *block;             /* made here */
    g4_map map;              /* or mapped */
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* ---- the block -------------------------------------------------------------------- */

static uint64_t part_bytes(const struct header *h, enum part p)
{
    const uint64_t words = ((uint64_t)h->n_vocab + 31) / 32;
    switch (p) {
    case ALL_BYTE: case ALL_DEPTH: return h->n_all;
    case ALL_SKIP: case ALL_ID: return 4ull * h->n_all;
    case JSON_PLAIN: case RAW_PLAIN: return 4 * words;
    case JSON_BYTE: case JSON_DEPTH: return h->n_rest[G4_SLICE_JSON];
    case JSON_SKIP: case JSON_ID: return 4ull * h->n_rest[G4_SLICE_JSON];
    case RAW_BYTE: case RAW_DEPTH: return h->n_rest[G4_SLICE_RAW];
    case RAW_SKIP: case RAW_ID: return 4ull * h->n_rest[G4_SLICE_RAW];
    case CHARS: return h->n_vocab;
    case TWIN: return 4ull * h->n_twin;
    default: return 0;
    }
}

static uint64_t layout(const struct header *h, uint64_t at[N_PART])
{
    uint64_t n = sizeof *h;
    for (int p = 0; p < N_PART; p++) {
        n = (n + 7) & ~7ull;
        at[p] = n;
        n += part_bytes(h, (enum part)p);
    }
    return n;
}

static struct g4_trie trie_at(const uint8_t *block, const uint64_t at[N_PART], enum part first, uint32_t n)
{
    return (struct g4_trie){ .n = n, .byte = block + at[first], .depth = block + at[first + 1],
                             .skip = (const uint32_t *)(block + at[first + 2]), .id = (const int32_t *)(block + at[first + 3]) };
}

static void point_into(g4_pieces *p, const uint8_t *block)
{
    const struct header *h = (const struct header *)block;
    uint64_t at[N_PART];
    layout(h, at);
    p->n_vocab = h->n_vocab;
    p->most_chars = h->most_chars;
    p->all = trie_at(block, at, ALL_BYTE, h->n_all);
    for (int s = 0; s < G4_SLICES; s++) {
        const enum part first = s == G4_SLICE_JSON ? JSON_PLAIN : RAW_PLAIN;
        p->slice[s].plain = (const uint32_t *)(block + at[first]);
        p->slice[s].rest = trie_at(block, at, first + 1, h->n_rest[s]);
    }
    p->chars = block + at[CHARS];
    p->twin = (const int32_t *)(block + at[TWIN]);
}

/* ---- making it ------------------------------------------------------------------------- */

struct word {
    uint32_t at, n; /* bytes in the text */
    int32_t id;
};

struct maker {
    const g4_tokenizer *t;
    g4_str text;            /* the bytes of all pieces */
    struct word *word;
    size_t n, cap;
    int32_t *twin;
    size_t n_twin, cap_twin;
    uint8_t *chars;
};

struct growing {
    uint8_t *byte, *depth;
    uint32_t *skip;
    int32_t *id;
    size_t n, cap[4];
};

enum { MAX_PIECE = 250 };

static void collect(struct maker *m)
{
    const struct g4_vocab *v = g4_tokenizer_vocab(m->t);
    m->chars = g4_alloc(v->n + 1);
    memset(m->chars, 255, v->n);
    for (uint32_t id = 0; id < v->n; id++) {
        const size_t at = m->text.n;
        uint32_t chars = 0;
        if (v->type[id] != G4_PIECE_BYTE && !g4_piece_is_plain(m->t, (int32_t)id)) continue;
        g4_tokenizer_piece(m->t, (int32_t)id, false, &m->text);
        const size_t n = m->text.n - at;
        if (!n || n > MAX_PIECE || !g4_utf8_valid(m->text.p + at, n, NULL)) chars = 255;
        for (size_t i = 0; i < n && chars < 255; i++) chars += ((uint8_t)m->text.p[at + i] & 0xC0) != 0x80;
        m->chars[id] = (uint8_t)chars;
        if (!n || n > MAX_PIECE) continue;
        G4_GROW(m->word, m->cap, m->n + 1);
        m->word[m->n++] = (struct word){ (uint32_t)at, (uint32_t)n, (int32_t)id };
    }
}

static int by_bytes(const void *a, const void *b, void *arg)
{
    const struct word *x = a, *y = b;
    const char *text = arg;
    const int c = memcmp(text + x->at, text + y->at, x->n < y->n ? x->n : y->n);
    if (c) return c;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static void add_node(struct growing *g, uint8_t byte, uint32_t depth)
{
    G4_GROW(g->byte, g->cap[0], g->n + 1);
    G4_GROW(g->depth, g->cap[1], g->n + 1);
    G4_GROW(g->skip, g->cap[2], g->n + 1);
    G4_GROW(g->id, g->cap[3], g->n + 1);
    g->byte[g->n] = byte;
    g->depth[g->n] = (uint8_t)depth;
    g->id[g->n++] = -1;
}

/* Pieces with the same bytes: remembered as a list. */
static int32_t make_twins(struct maker *m, const struct word *w, size_t n)
{
    const int32_t code = -2 - (int32_t)m->n_twin;
    G4_GROW(m->twin, m->cap_twin, m->n_twin + n + 1);
    for (size_t i = 0; i < n; i++) m->twin[m->n_twin++] = w[i].id;
    m->twin[m->n_twin++] = -1;
    return code;
}

static bool same_bytes(const struct maker *m, const struct word *a, const struct word *b)
{
    return a->n == b->n && !memcmp(m->text.p + a->at, m->text.p + b->at, a->n);
}

/* Trie of the sorted words whose bit in `without` (NULL: none) is clear. */
static void build(struct maker *m, struct growing *g, const uint32_t *without)
{
    size_t open[MAX_PIECE + 1]; /* nodes whose subtree is not closed yet, by depth - 1 */
    uint32_t n_open = 0;
    const char *last = "";
    uint32_t last_n = 0;
    for (size_t i = 0, next; i < m->n; i = next) {
        const struct word *w = &m->word[i];
        for (next = i + 1; next < m->n && same_bytes(m, w, &m->word[next]);) next++;
        const char *p = m->text.p + w->at;
        uint32_t same = 0;
        size_t n = 0;
        struct word own[300];
        for (size_t k = i; k < next && n < 300; k++) {
            const uint32_t id = (uint32_t)m->word[k].id;
            if (!without || !(without[id / 32] >> (id & 31) & 1)) own[n++] = m->word[k];
        }
        if (!n) continue;
        while (same < last_n && same < w->n && last[same] == p[same]) same++;
        while (n_open > same) g->skip[open[--n_open]] = (uint32_t)g->n;
        for (uint32_t d = same; d < w->n; d++) {
            open[n_open++] = g->n;
            add_node(g, (uint8_t)p[d], d + 1);
        }
        g->id[g->n - 1] = n == 1 ? own[0].id : make_twins(m, own, n);
        last = p;
        last_n = w->n;
    }
    while (n_open) g->skip[open[--n_open]] = (uint32_t)g->n;
}

static bool is_json_plain(const char *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if ((uint8_t)p[i] < 0x20 || p[i] == '"' || p[i] == '\\') return false;
    return true;
}

static void find_plain(const struct maker *m, uint32_t *plain, bool json)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct word *w = &m->word[i];
        if (m->chars[w->id] != 255 && (!json || is_json_plain(m->text.p + w->at, w->n))) plain[w->id / 32] |= 1u << (w->id & 31);
    }
}

static void put(uint8_t *block, uint64_t at, const void *p, uint64_t n)
{
    if (n) memcpy(block + at, p, n);
}

static void put_trie(uint8_t *block, const uint64_t at[N_PART], enum part first, const struct growing *g)
{
    put(block, at[first], g->byte, g->n);
    put(block, at[first + 1], g->depth, g->n);
    put(block, at[first + 2], g->skip, 4 * g->n);
    put(block, at[first + 3], g->id, 4 * g->n);
}

static void free_growing(struct growing *g)
{
    free(g->byte);
    free(g->depth);
    free(g->skip);
    free(g->id);
}

static uint8_t *make(const g4_tokenizer *t, uint64_t key)
{
    struct maker m = { .t = t };
    struct growing all = {0}, rest[G4_SLICES] = {{0}};
    const uint32_t n_vocab = g4_tokenizer_vocab(t)->n;
    const size_t words = (n_vocab + 31) / 32;
    uint32_t *plain[G4_SLICES];
    collect(&m);
    if (m.n) qsort_r(m.word, m.n, sizeof *m.word, by_bytes, m.text.p);
    build(&m, &all, NULL);
    for (int s = 0; s < G4_SLICES; s++) {
        plain[s] = g4_alloc((words + 1) * sizeof **plain);
        find_plain(&m, plain[s], s == G4_SLICE_JSON);
        build(&m, &rest[s], plain[s]);
    }
    struct header h = { .key = key, .n_vocab = n_vocab, .n_all = (uint32_t)all.n, .n_twin = (uint32_t)m.n_twin,
                        .n_rest = { (uint32_t)rest[0].n, (uint32_t)rest[1].n } };
    uint64_t at[N_PART];
    memcpy(h.magic, magic, sizeof magic);
    for (uint32_t i = 0; i < n_vocab; i++)
        if (m.chars[i] < 255 && m.chars[i] > h.most_chars) h.most_chars = m.chars[i];
    h.bytes = layout(&h, at);
    uint8_t *block = g4_alloc(h.bytes);
    put_trie(block, at, ALL_BYTE, &all);
    put(block, at[JSON_PLAIN], plain[0], 4 * words);
    put_trie(block, at, JSON_BYTE, &rest[0]);
    put(block, at[RAW_PLAIN], plain[1], 4 * words);
    put_trie(block, at, RAW_BYTE, &rest[1]);
    put(block, at[CHARS], m.chars, n_vocab);
    put(block, at[TWIN], m.twin, 4 * m.n_twin);
    h.hash = g4_hash64(block + sizeof h, h.bytes - sizeof h, key);
    memcpy(block, &h, sizeof h);
    free_growing(&all);
    for (int s = 0; s < G4_SLICES; s++) {
        free(plain[s]);
        free_growing(&rest[s]);
    }
    free(m.word);
    free(m.twin);
    free(m.chars);
    g4_str_free(&m.text);
    return block;
}

/* ---- the file ------------------------------------------------------------------------------- */

static uint64_t vocabulary_key(const g4_tokenizer *t)
{
    const struct g4_vocab *v = g4_tokenizer_vocab(t);
    uint64_t key = g4_hash64(v->type, v->n, v->n);
    for (uint32_t i = 0; i < v->n; i++) key = g4_hash64(v->piece[i].p, v->piece[i].n, key);
    return key;
}

/* Can a trie be walked without leaving its arrays and the vocabulary? */
static bool sound(const g4_pieces *p, const struct g4_trie *t, uint32_t n_twin)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        const int64_t id = t->id[i];
        if (!t->depth[i] || t->depth[i] > MAX_PIECE || t->depth[i] > last + 1 || t->skip[i] <= i || t->skip[i] > t->n) return false;
        if (id >= (int64_t)p->n_vocab || id < -1 - (int64_t)n_twin) return false;
        last = t->depth[i];
    }
    return true;
}

static bool all_sound(const g4_pieces *p, const struct header *h)
{
    for (uint32_t i = 0; i < h->n_twin; i++)
        if (p->twin[i] < -1 || p->twin[i] >= (int64_t)p->n_vocab) return false;
    return (!h->n_twin || p->twin[h->n_twin - 1] == -1) && sound(p, &p->all, h->n_twin) && sound(p, &p->slice[0].rest, h->n_twin) &&
           sound(p, &p->slice[1].rest, h->n_twin);
}

static bool load(g4_pieces *p, struct owner *o, const char *path, uint64_t key, uint32_t n_vocab)
{
    uint64_t at[N_PART];
    if (!g4_file_exists(path) || g4_map_open(&o->map, path, NULL)) return false;
    const struct header *h = (const struct header *)o->map.p;
    if (o->map.n >= sizeof *h && !memcmp(h->magic, magic, sizeof magic) && h->key == key && h->bytes == o->map.n &&
        layout(h, at) == h->bytes && g4_hash64(o->map.p + sizeof *h, h->bytes - sizeof *h, key) == h->hash) {
        point_into(p, o->map.p);
        p->from_cache = p->n_vocab == n_vocab && all_sound(p, h);
        if (p->from_cache) return true;
    }
    g4_log(G4_LOG_VERBOSE, "'%s' is not what it should be: made anew", path);
    g4_map_close(&o->map);
    o->map = (g4_map){0};
    return false;
}

static void save(const char *path, const uint8_t *block)
{
    g4_err err = {0};
    char *dir = g4_strdup(path);
    *strrchr(dir, '/') = 0;
    if (g4_mkdirs(dir, 0755, &err) || g4_file_write_atomic(path, block, ((const struct header *)block)->bytes, &err))
        g4_log(G4_LOG_VERBOSE, "the pieces by their bytes are not kept: %s", err.msg);
    free(dir);
}

g4_pieces *g4_pieces_new(const g4_tokenizer *t, bool cache)
{
    const double begin = now_ms();
    g4_pieces *p = g4_alloc(sizeof *p);
    struct owner *o = g4_alloc(sizeof *o);
    const uint64_t key = vocabulary_key(t);
    char name[64];
    snprintf(name, sizeof name, "g4/pieces-%016llx", (unsigned long long)key);
    char *path = cache ? g4_xdg_path("XDG_CACHE_HOME", ".cache", name) : NULL;
    p->owner = o;
    if (!path || !load(p, o, path, key, g4_tokenizer_vocab(t)->n)) {
        o->block = make(t, key);
        point_into(p, o->block);
        if (path) save(path, o->block);
    }
    free(path);
    p->ms = now_ms() - begin;
    return p;
}

void g4_pieces_free(g4_pieces *p)
{
    if (!p) return;
    struct owner *o = p->owner;
    free(o->block);
    if (o->map.p) g4_map_close(&o->map);
    free(o);
    free(p);
}
