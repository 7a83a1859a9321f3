/* model/vocab: which file holds the vocabulary, and the GGUF one. */
#define _GNU_SOURCE /* memmem */
#include "model/vocab.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/vocab_impl.h"

enum { GGUF_I32 = 5, GGUF_F32 = 6, GGUF_STRING = 8, GGUF_ARRAY = 9 };

/* ---- growing by id ------------------------------------------------------- */

bool g4_pieces_room(struct g4_pieces *p, int64_t id)
{
    if (id < 0 || id >= G4_VOCAB_MAX) return false;
    if ((uint64_t)id < p->n) return true;
    const uint32_t n = (uint32_t)id + 1;
    G4_GROW(p->text, p->cap_text, n);
    G4_GROW(p->type, p->cap_type, n);
    for (uint32_t i = p->n; i < n; i++) {
        p->text[i] = (g4_sv){ "", 0 };
        p->type[i] = G4_PIECE_UNUSED;
    }
    p->n = n;
    return true;
}

void g4_pieces_end(struct g4_pieces *p, struct g4_vocab *v)
{
    g4_sv *text = g4_arena_alloc(v->own, p->n * sizeof *text);
    v->type = g4_arena_alloc(v->own, p->n);
    if (p->n) {
        memcpy(text, p->text, p->n * sizeof *text);
        memcpy(v->type, p->type, p->n);
    }
    v->piece = text;
    v->n = p->n;
    free(p->text);
    free(p->type);
    *p = (struct g4_pieces){0};
}

/* ---- GGUF ---------------------------------------------------------------- */

static bool kv_is(g4_weights *w, const char *key, const char *value)
{
    g4_sv s;
    return g4_kv_str(g4_weights_kv(w, key), &s) && g4_sv_eq(s, value);
}

/* An array of n elements (n 0: of any number from 1 to most); NULL with err filled when it is none. */
static const g4_kv *array_of(g4_weights *w, const char *key, bool strings, uint64_t n, uint64_t most, g4_err *err)
{
    const g4_kv *kv = g4_weights_kv(w, key);
    if (!kv || kv->type != GGUF_ARRAY || (kv->elem == GGUF_STRING) != strings) {
        g4_fail(err, G4_EFORMAT, "'%s': %s is no array of %s", g4_weights_path(w), key, strings ? "strings" : "numbers");
        return NULL;
    }
    if (!kv->n || kv->n > most || (n && kv->n != n)) {
        g4_fail(err, G4_EFORMAT, "'%s': %s has %" PRIu64 " elements, expected %s%" PRIu64, g4_weights_path(w), key, kv->n,
                n ? "" : "at most ", n ? n : most);
        return NULL;
    }
    return kv;
}

static const g4_sv *strings_of(const g4_kv *kv, g4_arena *own)
{
    g4_sv *s = g4_arena_alloc(own, kv->n * sizeof *s);
    const uint8_t *at = NULL;
    for (uint64_t i = 0; i < kv->n; i++) g4_kv_next_str(kv, &at, &s[i]);
    return s;
}

static size_t strings_bytes(const g4_kv *kv)
{
    const uint8_t *at = NULL;
    g4_sv s;
    for (uint64_t i = 0; i < kv->n; i++) g4_kv_next_str(kv, &at, &s);
    return (size_t)(at - kv->data);
}

static int gguf_types(g4_weights *w, struct g4_vocab *v, g4_err *err)
{
    static const char key[] = "tokenizer.ggml.token_type";
    v->type = g4_arena_alloc(v->own, v->n);
    if (!g4_weights_kv(w, key)) {
        memset(v->type, G4_PIECE_NORMAL, v->n);
        return G4_OK;
    }
    const g4_kv *kv = array_of(w, key, false, v->n, v->n, err);
    if (!kv) return G4_EFORMAT;
    for (uint32_t i = 0; i < v->n; i++) {
        int64_t type = -1;
        int32_t t;
        if (kv->elem == GGUF_I32) { /* what every producer writes */
            memcpy(&t, kv->data + 4 * (size_t)i, 4);
            type = t;
        } else {
            g4_kv_i64(kv, i, &type);
        }
        if (type < G4_PIECE_UNDEFINED || type > G4_PIECE_BYTE)
            return g4_fail(err, G4_EFORMAT, "'%s': %s of piece %u is %" PRId64 ", expected 0 to 6", g4_weights_path(w), key, i, type);
        v->type[i] = (uint8_t)type;
    }
    return G4_OK;
}

static int gguf_scores(g4_weights *w, struct g4_vocab *v, g4_err *err)
{
    const g4_kv *kv = array_of(w, "tokenizer.ggml.scores", false, v->n, v->n, err);
    if (!kv) return G4_EFORMAT;
    if (kv->elem == GGUF_F32 && (uintptr_t)kv->data % _Alignof(float) == 0) {
        v->score = (const float *)kv->data;
        return G4_OK;
    }
    float *score = g4_arena_alloc(v->own, v->n * sizeof *score);
    if (kv->elem == GGUF_F32) memcpy(score, kv->data, v->n * sizeof *score);
    for (uint32_t i = 0; i < v->n && kv->elem != GGUF_F32; i++) {
        double s;
        if (!g4_kv_f64(kv, i, &s))
            return g4_fail(err, G4_EFORMAT, "'%s': tokenizer.ggml.scores holds no numbers", g4_weights_path(w));
        score[i] = (float)s;
    }
    v->score = score;
    return G4_OK;
}

static int32_t gguf_id(g4_weights *w, const char *key, uint32_t n)
{
    uint64_t id;
    return g4_kv_u64(g4_weights_kv(w, key), 0, &id) && id < n ? (int32_t)id : -1;
}

/* Rank form or score form by what the file says of itself: producers differ in
 * where they write "gemma4". */
static int gguf_form(g4_weights *w, struct g4_vocab *v, g4_err *err)
{
    const bool merges = g4_weights_kv(w, "tokenizer.ggml.merges") != NULL;
    const bool gemma4 = kv_is(w, "tokenizer.ggml.model", "gemma4") || kv_is(w, "tokenizer.ggml.pre", "gemma4") ||
                        kv_is(w, "general.architecture", "gemma4");
    if (merges && gemma4) {
        const g4_kv *kv = array_of(w, "tokenizer.ggml.merges", true, 0, 16 * (uint64_t)v->n + 4096, err);
        if (!kv) return G4_EFORMAT;
        v->merge = kv->data;
        v->n_merge = (uint32_t)kv->n;
        v->merge_bytes = strings_bytes(kv);
        return G4_OK;
    }
    if (kv_is(w, "tokenizer.ggml.model", "llama") && g4_weights_kv(w, "tokenizer.ggml.scores")) return gguf_scores(w, v, err);
    g4_sv model = G4_SV("none");
    g4_kv_str(g4_weights_kv(w, "tokenizer.ggml.model"), &model);
    return g4_fail(err, G4_EUNSUP, "'%s': tokenizer '%.*s' with%s merges and with%s scores is no Gemma tokenizer", g4_weights_path(w),
                   (int)(model.n < 60 ? model.n : 60), model.p, merges ? "" : "out",
                   g4_weights_kv(w, "tokenizer.ggml.scores") ? "" : "out");
}

static int from_gguf(g4_weights *w, struct g4_vocab *v, g4_err *err)
{
    const g4_kv *tokens = array_of(w, "tokenizer.ggml.tokens", true, 0, G4_VOCAB_MAX, err);
    if (!tokens) return G4_EFORMAT;
    v->n = (uint32_t)tokens->n;
    v->piece = strings_of(tokens, v->own);
    if (gguf_types(w, v, err) || gguf_form(w, v, err)) return err ? err->code : G4_EFORMAT;
    v->bos = gguf_id(w, "tokenizer.ggml.bos_token_id", v->n);
    v->eos = gguf_id(w, "tokenizer.ggml.eos_token_id", v->n);
    v->unk = gguf_id(w, "tokenizer.ggml.unknown_token_id", v->n);
    v->pad = gguf_id(w, "tokenizer.ggml.padding_token_id", v->n);
    return G4_OK;
}

/* ---- all formats ---------------------------------------------------------- */

/* USER_DEFINED pieces are compared with the text as it is, so a U+2581 that some
 * producers leave in them means a space. */
static void plain_spaces(struct g4_vocab *v)
{
    g4_sv *piece = (g4_sv *)v->piece; /* made by the loader, in v->own */
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->type[i] != G4_PIECE_USER || !memmem(piece[i].p, piece[i].n, "\xE2\x96\x81", 3)) continue;
        char *s = g4_arena_strndup(v->own, piece[i].p, piece[i].n), *to = s;
        for (size_t k = 0; k < piece[i].n;) {
            if (piece[i].n - k >= 3 && memcmp(piece[i].p + k, "\xE2\x96\x81", 3) == 0) {
                *to++ = ' ';
                k += 3;
            } else {
                *to++ = piece[i].p[k++];
            }
        }
        piece[i] = (g4_sv){ s, (size_t)(to - s) };
    }
}

int g4_vocab_load(g4_weights *w, struct g4_vocab *v, g4_err *err)
{
    g4_err why = {0};
    *v = (struct g4_vocab){ .bos = -1, .eos = -1, .unk = -1, .pad = -1, .own = g4_alloc(sizeof(g4_arena)) };
    g4_sv file;
    int r;
    if (g4_weights_is_gguf(w))
        r = from_gguf(w, v, &why);
    else if ((file = g4_weights_file(w, "tokenizer.json")).p)
        r = g4_vocab_from_json("tokenizer.json", file, v, &why);
    else if ((file = g4_weights_file(w, "tokenizer.model")).p)
        r = g4_vocab_from_protobuf("tokenizer.model", file, v, &why);
    else
        r = g4_fail(&why, G4_EMODEL, "'%s': no tokenizer.json and no tokenizer.model", g4_weights_path(w));
    if (!r) {
        plain_spaces(v);
        return G4_OK;
    }
    g4_arena_free(v->own);
    free(v->own);
    *v = (struct g4_vocab){0};
    return g4_fail(err, r, "%s", why.msg);
}
