/* model/vocab_json: tokenizer.json, in one pass.
 *
 * The file is 33 MB for 262,144 pieces and 514,906 merges, so it is read once,
 * front to back, without the check that base/json makes first: what is needed is
 * checked where it is read, what is not needed is skipped by its brackets.
 * Views borrow the file; only texts with escapes, and merges written as pairs,
 * are copied. */
#include <stdlib.h>
#include <string.h>

#include "model/vocab_impl.h"

struct added {
    int64_t id;
    g4_sv content;
    bool special;
};

struct reader {
    const char *name, *begin, *p, *end;
    g4_err *err;
    struct g4_vocab *v;
    struct g4_pieces pieces;
    g4_str merge; /* in the layout of g4_vocab */
    size_t n_merge;
    struct added *added;
    size_t n_added, cap_added;
    g4_str scratch;
};

static int bad(struct reader *r, const char *what)
{
    return g4_fail(r->err, G4_EFORMAT, "'%s': %s at byte %zu", r->name, what, (size_t)(r->p - r->begin));
}

/* ---- tokens of JSON -------------------------------------------------------- */

/* The next byte that is no blank, 0 at the end. */
static char peek(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t')) r->p++;
    return r->p < r->end ? *r->p : 0;
}

static bool take(struct reader *r, char c)
{
    if (peek(r) != c) return false;
    r->p++;
    return true;
}

/* Steps over a string; *s is what stands between the quotes, as written. */
static int raw_string(struct reader *r, g4_sv *s, bool *escaped)
{
    if (!take(r, '"')) return bad(r, "no string");
    const char *from = r->p, *p = from;
    *escaped = false;
    for (; p < r->end && *p != '"'; p++)
        if (*p == '\\') {
            *escaped = true;
            if (++p == r->end) break;
        }
    if (p == r->end) return bad(r, "the file ends inside a string");
    *s = (g4_sv){ from, (size_t)(p - from) };
    r->p = p + 1;
    return G4_OK;
}

/* A string, decoded; valid as long as the file or the arena. */
static int string(struct reader *r, g4_sv *s)
{
    bool escaped;
    if (raw_string(r, s, &escaped)) return G4_EFORMAT;
    if (!escaped) return G4_OK;
    const g4_json span = { s->p - 1, s->n + 2 };
    if (g4_json_check(span.p, span.n, NULL, NULL)) return bad(r, "a bad escape before");
    g4_str_clear(&r->scratch);
    g4_json_str(span, &r->scratch);
    *s = (g4_sv){ g4_arena_strndup(r->v->own, r->scratch.p, r->scratch.n), r->scratch.n };
    return G4_OK;
}

static int integer(struct reader *r, int64_t *out)
{
    const char c = peek(r);
    int64_t n = 0;
    int digits = 0;
    if (c == '-') r->p++;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9' && digits < 18; r->p++, digits++) n = n * 10 + (*r->p - '0');
    if (!digits) return bad(r, "no whole number");
    *out = c == '-' ? -n : n;
    return G4_OK;
}

/* Steps over any value. */
static int skip(struct reader *r)
{
    size_t depth = 0;
    g4_sv s;
    bool escaped;
    do {
        const char c = peek(r);
        if (!c) return bad(r, "the file ends inside a value");
        if (c == '"') {
            if (raw_string(r, &s, &escaped)) return G4_EFORMAT;
            continue;
        }
        if (c == '{' || c == '[') depth++;
        if (c == '}' || c == ']') {
            if (!depth) return bad(r, "a bracket out of place");
            depth--;
        }
        if (c == ',' && !depth) return bad(r, "no value");
        r->p++;
        while (!depth && r->p < r->end && !strchr(",}] \n\r\t", *r->p)) r->p++; /* the rest of a word or number */
    } while (depth);
    return G4_OK;
}

/* true, false or null. */
static bool is_true(struct reader *r)
{
    return peek(r) == 't';
}

/* Begins or goes on with an object or array: 1 there is a further member, 0 it is closed, negative failed. */
static int more(struct reader *r, char open, char close, bool *first)
{
    if (*first && !take(r, open)) return bad(r, open == '{' ? "no object" : "no array");
    if (take(r, close)) return 0;
    if (!*first && !take(r, ',')) return bad(r, "no ',' between values");
    *first = false;
    return 1;
}

/* The same for an object, with the member's name. */
static int member(struct reader *r, bool *first, g4_sv *key)
{
    const int m = more(r, '{', '}', first);
    if (m <= 0) return m;
    if (string(r, key)) return G4_EFORMAT;
    return take(r, ':') ? 1 : bad(r, "no ':' after a member's name");
}

/* ---- the parts -------------------------------------------------------------- */

static int read_vocab(struct reader *r)
{
    bool first = true;
    g4_sv text;
    int m;
    while ((m = member(r, &first, &text)) > 0) {
        int64_t id;
        if (integer(r, &id)) return G4_EFORMAT;
        if (!g4_pieces_room(&r->pieces, id)) return bad(r, "an id out of range");
        if (r->pieces.text[id].n) return bad(r, "an id that stands for two pieces");
        r->pieces.text[id] = text;
        r->pieces.type[id] = G4_PIECE_NORMAL;
    }
    return m;
}

static void add_merge(struct reader *r, g4_sv left, g4_sv right)
{
    const uint64_t n = left.n + right.n + (right.n != 0);
    g4_str_reserve(&r->merge, 8 + n);
    char *p = r->merge.p + r->merge.n;
    memcpy(p, &n, 8);
    memcpy(p + 8, left.p, left.n);
    if (right.n) {
        p[8 + left.n] = ' ';
        memcpy(p + 9 + left.n, right.p, right.n);
    }
    r->merge.n += 8 + n;
    r->n_merge++;
}

static int read_merges(struct reader *r)
{
    bool first = true;
    int m;
    while ((m = more(r, '[', ']', &first)) > 0) {
        g4_sv left, right = { "", 0 };
        if (peek(r) == '"') {
            if (string(r, &left)) return G4_EFORMAT; /* both halves and the space */
        } else {
            if (!take(r, '[') || string(r, &left) || !take(r, ',') || string(r, &right) || !take(r, ']'))
                return bad(r, "a merge that is no pair of strings");
            if (!left.n || !right.n) return bad(r, "an empty half of a merge");
            /* No text has a space left when it is merged: such a merge never applies. */
            if (memchr(left.p, ' ', left.n) || memchr(right.p, ' ', right.n)) continue;
        }
        if (r->n_merge >= 4u * G4_VOCAB_MAX) return bad(r, "too many merges");
        add_merge(r, left, right);
    }
    return m;
}

static int read_model(struct reader *r)
{
    bool first = true;
    g4_sv key, type;
    int m;
    while ((m = member(r, &first, &key)) > 0) {
        int e = 0;
        if (g4_sv_eq(key, "vocab")) {
            e = read_vocab(r);
        } else if (g4_sv_eq(key, "merges")) {
            e = read_merges(r);
        } else if (g4_sv_eq(key, "type")) {
            e = string(r, &type);
            if (!e && !g4_sv_eq(type, "BPE"))
                return g4_fail(r->err, G4_EUNSUP, "'%s': model type '%.*s', expected 'BPE'", r->name,
                               (int)(type.n < 60 ? type.n : 60), type.p);
        } else if (g4_sv_eq(key, "byte_fallback") && !is_true(r)) {
            return g4_fail(r->err, G4_EUNSUP, "'%s': a vocabulary without byte fallback is no Gemma tokenizer", r->name);
        } else if (g4_sv_eq(key, "ignore_merges") && is_true(r)) {
            return g4_fail(r->err, G4_EUNSUP, "'%s': ignore_merges is not supported", r->name);
        } else {
            e = skip(r);
        }
        if (e) return e;
    }
    return m;
}

static int read_added(struct reader *r)
{
    bool first = true;
    int m;
    while ((m = more(r, '[', ']', &first)) > 0) {
        struct added a = { .id = -1 };
        bool inner = true;
        g4_sv key;
        int e;
        while ((e = member(r, &inner, &key)) > 0) {
            if (g4_sv_eq(key, "id")) {
                if (integer(r, &a.id)) return G4_EFORMAT;
            } else if (g4_sv_eq(key, "content")) {
                if (string(r, &a.content)) return G4_EFORMAT;
            } else {
                if (g4_sv_eq(key, "special")) a.special = is_true(r);
                if (skip(r)) return G4_EFORMAT;
            }
        }
        if (e) return e;
        if (a.id < 0 || a.id >= G4_VOCAB_MAX || !a.content.n) return bad(r, "an added token without a fitting id or content");
        if (r->n_added == r->cap_added) G4_GROW(r->added, r->cap_added, r->n_added + 1);
        r->added[r->n_added++] = a;
    }
    return m;
}

static int read_file(struct reader *r)
{
    bool first = true;
    g4_sv key;
    int m;
    while ((m = member(r, &first, &key)) > 0) {
        const int e = g4_sv_eq(key, "model") ? read_model(r) : g4_sv_eq(key, "added_tokens") ? read_added(r) : skip(r);
        if (e) return e;
    }
    if (!m && peek(r)) return bad(r, "something follows the object");
    return m;
}

/* Added tokens stand over the pieces of the model, whatever came first. */
static int apply_added(struct reader *r)
{
    for (size_t i = 0; i < r->n_added; i++) {
        const struct added *a = &r->added[i];
        if (!g4_pieces_room(&r->pieces, a->id)) return bad(r, "an id out of range");
        r->pieces.text[a->id] = a->content;
        r->pieces.type[a->id] = g4_sv_eq(a->content, "<unk>") ? G4_PIECE_UNKNOWN : a->special ? G4_PIECE_CONTROL : G4_PIECE_USER;
    }
    return G4_OK;
}

int g4_vocab_from_json(const char *name, g4_sv text, struct g4_vocab *v, g4_err *err)
{
    struct reader r = { .name = name, .begin = text.p, .p = text.p, .end = text.p + text.n, .err = err, .v = v };
    int e = read_file(&r);
    if (!e) e = apply_added(&r);
    if (!e && !r.pieces.n) e = g4_fail(err, G4_EFORMAT, "'%s': no model.vocab", name);
    if (!e) {
        g4_pieces_end(&r.pieces, v);
        v->n_merge = (uint32_t)r.n_merge;
        v->merge_bytes = r.merge.n;
        v->merge = (const uint8_t *)g4_arena_strndup(v->own, r.merge.p, r.merge.n);
    }
    free(r.pieces.text);
    free(r.pieces.type);
    g4_str_free(&r.merge);
    free(r.added);
    g4_str_free(&r.scratch);
    return e;
}
