/* text/tokenizer: the piece table, piece types, and the way back from ids to
 * text.  Encoding is in tokenizer_split.c and tokenizer_merge.c. */
#define _GNU_SOURCE /* memmem */
#include "text/tokenizer.h"

#include <stdlib.h>

#include "base/mem.h"
#include "text/tokenizer_impl.h"

/* ---- the index --------------------------------------------------------- */

void g4_text_index_init(struct g4_text_index *x, size_t n, size_t limit)
{
    uint64_t slots = 16;
    while (slots < 2 * (uint64_t)n) slots *= 2;
    x->id_bits = 1;
    while (limit >> x->id_bits) x->id_bits++;
    x->mask = slots - 1;
    x->slot = g4_alloc(slots * sizeof *x->slot);
}

int32_t g4_piece_find(const g4_tokenizer *t, const char *p, size_t n, uint64_t hash)
{
    const struct g4_text_index *x = &t->piece_ix;
    const uint32_t tag = g4_text_index_tag(x, hash);
    for (uint64_t i = g4_text_index_at(x, hash); x->slot[i]; i = (i + 1) & x->mask) {
        if ((x->slot[i] ^ tag) >> x->id_bits) continue;
        const uint32_t id = (x->slot[i] ^ tag) - 1;
        const g4_sv s = t->v.piece[id];
        if (s.n == n && memcmp(s.p, p, n) == 0) return (int32_t)id;
    }
    return -1;
}

static int build_piece_index(g4_tokenizer *t, g4_err *err)
{
    struct g4_text_index *x = &t->piece_ix;
    g4_text_index_init(x, t->v.n, t->v.n);
    for (uint32_t id = 0; id < t->v.n; id++) {
        const g4_sv s = t->v.piece[id];
        if (!s.n) continue; /* a hole: has an id, but no text ever becomes it */
        const uint64_t hash = g4_piece_hash(s.p, s.n);
        const uint32_t tag = g4_text_index_tag(x, hash);
        uint64_t i = g4_text_index_at(x, hash);
        for (; x->slot[i]; i = (i + 1) & x->mask) {
            if ((x->slot[i] ^ tag) >> x->id_bits) continue;
            const uint32_t other = (x->slot[i] ^ tag) - 1;
            if (g4_sv_same(t->v.piece[other], s))
                return g4_fail(err, G4_EFORMAT, "vocabulary: pieces %u and %u are the same text '%.*s'", other, id,
                               (int)(s.n < 100 ? s.n : 100), s.p);
        }
        x->slot[i] = tag | (id + 1);
    }
    return G4_OK;
}

/* ---- types ------------------------------------------------------------- */

/* HTML tags of ids 168 to 237 in the Gemma 3 table. */
static bool is_html_tag(g4_sv s)
{
    static const char *const names[] = {
        "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6",
        "blockquote", "strong", "em", "b", "i", "u", "s", "sub", "sup", "code", "a", "html", "body", "img", "span",
        "bbox", "ul", "li", "div", "iframe", "footer",
    };
    if (s.n < 3 || s.p[0] != '<' || s.p[s.n - 1] != '>') return false;
    const size_t from = s.p[1] == '/' ? 2 : 1;
    const g4_sv name = { s.p + from, s.n - 1 - from };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (g4_sv_eq(name, names[i])) return true;
    return false;
}

bool g4_piece_is_content(g4_sv s)
{
    if (s.n && g4_utf8_decode(s.p, s.n, NULL) == s.n) return true;
    size_t blank = 0;
    while (blank < s.n && strchr(" \t\n\r", s.p[blank])) blank++;
    return (s.n && blank == s.n) || is_html_tag(s);
}

bool g4_piece_is_plain(const g4_tokenizer *t, int32_t id)
{
    const uint8_t type = t->v.type[id];
    return type == G4_PIECE_NORMAL || type == G4_PIECE_UNDEFINED ||
           (type == G4_PIECE_USER && g4_piece_is_content(t->v.piece[id]));
}

/* Strings that are control pieces in every Gemma vocabulary that holds them.
 * `hidden` ones never show, whatever a file says; the others may be USER_DEFINED. */
static const struct {
    const char *text;
    bool hidden;
} control_pieces[] = {
    { "<pad>", true }, { "<eos>", true }, { "<bos>", true },
    { "<|turn>", true }, { "<turn|>", true }, { "<start_of_turn>", true }, { "<end_of_turn>", true },
    { "<|think|>", true }, { "<|tool>", true }, { "<tool|>", true },
    { "<|tool_call>", false }, { "<tool_call|>", false }, { "<|tool_response>", false }, { "<tool_response|>", false },
    { "<|\"|>", false }, { "<|channel>", false }, { "<channel|>", false },
    { "<|image>", true }, { "<image|>", true }, { "<|image|>", true }, { "<|audio>", true }, { "<audio|>", true },
    { "<|audio|>", true }, { "<|video|>", true }, { "<start_of_image>", false }, { "<end_of_image>", false },
    { "<image_soft_token>", true },
    { "<start_function_declaration>", false }, { "<end_function_declaration>", false },
    { "<start_function_call>", false }, { "<end_function_call>", false },
    { "<start_function_response>", false }, { "<end_function_response>", false }, { "<escape>", false },
};

static void repair_control(g4_tokenizer *t)
{
    for (size_t i = 0; i < sizeof control_pieces / sizeof *control_pieces; i++) {
        const char *text = control_pieces[i].text;
        const int32_t id = g4_tokenizer_find(t, text, strlen(text));
        if (id < 0) continue;
        uint8_t *type = &t->v.type[id];
        if (*type == G4_PIECE_NORMAL || *type == G4_PIECE_UNDEFINED || (*type == G4_PIECE_USER && control_pieces[i].hidden))
            *type = G4_PIECE_CONTROL;
    }
    for (uint32_t id = 0; id < t->v.n; id++) {
        const g4_sv s = t->v.piece[id];
        if (t->v.type[id] == G4_PIECE_CONTROL && memmem(s.p, s.n, "unused", 6)) t->v.type[id] = G4_PIECE_UNUSED;
    }
}

static void find_bytes(g4_tokenizer *t)
{
    static const char hex[] = "0123456789ABCDEF";
    for (unsigned b = 0; b < 256; b++) {
        const char text[] = { '<', '0', 'x', hex[b >> 4], hex[b & 15], '>' };
        const int32_t id = g4_tokenizer_find(t, text, sizeof text);
        t->byte_id[b] = id;
        if (id >= 0) t->v.type[id] = G4_PIECE_BYTE;
    }
}

static int32_t known_id(const g4_tokenizer *t, int32_t id, const char *text)
{
    return id >= 0 && (uint32_t)id < t->v.n ? id : g4_tokenizer_find(t, text, strlen(text));
}

/* ---- the handle -------------------------------------------------------- */

g4_tokenizer *g4_tokenizer_new(const struct g4_vocab *v, g4_err *err)
{
    g4_tokenizer *t = g4_alloc(sizeof *t);
    t->v = *v;
    pthread_mutex_init(&t->lock, NULL);
    if (!v->n || v->n > G4_MAX_PIECES || v->n_merge > G4_MAX_MERGES || v->merge_bytes > G4_MAX_MERGE_BYTES) {
        g4_fail(err, G4_EFORMAT, "vocabulary: %u pieces and %u merges of %zu bytes, expected 1 to %u, at most %u and at most %u",
                v->n, v->n_merge, v->merge_bytes, (unsigned)G4_MAX_PIECES, (unsigned)G4_MAX_MERGES, (unsigned)G4_MAX_MERGE_BYTES);
        g4_tokenizer_free(t);
        return NULL;
    }
    if (build_piece_index(t, err)) {
        g4_tokenizer_free(t);
        return NULL;
    }
    repair_control(t);
    find_bytes(t);
    t->v.bos = known_id(t, v->bos, "<bos>");
    t->v.eos = known_id(t, v->eos, "<eos>");
    t->v.unk = known_id(t, v->unk, "<unk>");
    t->v.pad = known_id(t, v->pad, "<pad>");
    return t;
}

void g4_tokenizer_free(g4_tokenizer *t)
{
    if (!t) return;
    free(t->piece_ix.slot);
    g4_merges_free(t->some);
    g4_merges_free(t->all);
    free(t->trie);
    pthread_mutex_destroy(&t->lock);
    if (t->v.own) g4_arena_free(t->v.own);
    free(t->v.own);
    free(t);
}

const struct g4_vocab *g4_tokenizer_vocab(const g4_tokenizer *t)
{
    return &t->v;
}

int32_t g4_tokenizer_find(const g4_tokenizer *t, const char *piece, size_t n)
{
    return n ? g4_piece_find(t, piece, n, g4_piece_hash(piece, n)) : -1;
}

/* ---- ids to text ------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of "<0xHH>", -1 for any other text. */
static int byte_of(g4_sv s)
{
    if (s.n != 6 || memcmp(s.p, "<0x", 3) || s.p[5] != '>') return -1;
    const int hi = hex_digit(s.p[3]), lo = hex_digit(s.p[4]);
    return hi < 0 || lo < 0 ? -1 : hi << 4 | lo;
}

static void add_spaced(g4_sv s, g4_str *out)
{
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        const char *mark = memmem(p, (size_t)(end - p), G4_SPACE_PIECE, 3);
        g4_str_add(out, p, (size_t)((mark ? mark : end) - p));
        if (!mark) return;
        g4_str_addc(out, ' ');
        p = mark + 3;
    }
}

void g4_tokenizer_piece(const g4_tokenizer *t, int32_t id, bool show_special, g4_str *out)
{
    if (id < 0 || (uint32_t)id >= t->v.n) return;
    const g4_sv s = t->v.piece[id];
    switch (t->v.type[id]) {
    case G4_PIECE_CONTROL:
    case G4_PIECE_UNKNOWN:
        if (show_special) g4_str_add(out, s.p, s.n);
        return;
    case G4_PIECE_BYTE: {
        const int b = byte_of(s);
        if (b >= 0) g4_str_addc(out, (char)b);
        return;
    }
    case G4_PIECE_USER:
    case G4_PIECE_UNUSED:
        g4_str_add(out, s.p, s.n);
        return;
    default:
        add_spaced(s, out);
    }
}
