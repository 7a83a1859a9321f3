/* model/convert_vocab: the tokenizer of a folder as GGUF arrays.
 *
 * Score form (Gemma 2, 3, EmbeddingGemma) comes from tokenizer.model with the
 * added tokens of tokenizer_config.json over it; rank form (Gemma 4, and any
 * folder without a tokenizer.model) from tokenizer.json. */
#include "model/convert_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/vocab_impl.h"

enum { GGUF_I32 = 5, GGUF_F32 = 6 };

struct tokens {
    g4_arena *arena;
    size_t n;
    g4_sv *text;
    float *score;
    int32_t *type;
};

static void tokens_new(struct tokens *t, g4_arena *a, size_t n)
{
    *t = (struct tokens){ .arena = a, .n = n };
    t->text = g4_arena_alloc(a, n * sizeof *t->text);
    t->score = g4_arena_alloc(a, n * sizeof *t->score);
    t->type = g4_arena_alloc(a, n * sizeof *t->type);
    for (size_t i = 0; i < n; i++) {
        char name[24];
        const int length = snprintf(name, sizeof name, "[PAD%zu]", i);
        t->text[i] = (g4_sv){ g4_arena_strndup(a, name, (size_t)length), (size_t)length };
        t->score[i] = -10000.0f;
        t->type[i] = G4_PIECE_UNUSED;
    }
}

static bool sv_ends(g4_sv s, const char *with)
{
    const size_t n = strlen(with);
    return s.n >= n && memcmp(s.p + s.n - n, with, n) == 0;
}

/* <0x0A> */
static bool is_byte(g4_sv s)
{
    if (s.n != 6 || memcmp(s.p, "<0x", 3) != 0 || s.p[5] != '>') return false;
    return strchr("0123456789ABCDEFabcdef", s.p[3]) && strchr("0123456789ABCDEFabcdef", s.p[4]);
}

/* Told by their look where the file does not call them special. */
static bool looks_special(g4_sv s)
{
    return g4_sv_eq(s, "<pad>") || g4_sv_eq(s, "<mask>") || (g4_sv_has_prefix(s, "<|") && sv_ends(s, "|>")) ||
           (g4_sv_has_prefix(s, "<unused") && sv_ends(s, ">"));
}

/* U+2581 as the space it stands for. */
static g4_sv plain_spaces(g4_arena *a, g4_sv s)
{
    char *to = g4_arena_strndup(a, s.p, s.n), *begin = to;
    for (size_t i = 0; i < s.n;) {
        if (s.n - i >= 3 && memcmp(s.p + i, "\xE2\x96\x81", 3) == 0) {
            *to++ = ' ';
            i += 3;
        } else {
            *to++ = s.p[i++];
        }
    }
    return (g4_sv){ begin, (size_t)(to - begin) };
}

/* ---- score form ------------------------------------------------------------- */

static void add_token(struct tokens *t, int64_t id, g4_json content, bool special)
{
    g4_str s = {0};
    if (id < 0 || (uint64_t)id >= t->n || g4_json_type(content) != G4_JSON_STRING) return;
    g4_json_str(content, &s);
    g4_sv text = { g4_arena_strndup(t->arena, s.p ? s.p : "", s.n), s.n };
    g4_str_free(&s);
    special |= looks_special(text);
    t->type[id] = special ? G4_PIECE_CONTROL : G4_PIECE_USER;
    t->text[id] = special ? text : plain_spaces(t->arena, text);
    t->score[id] = -1000.0f;
}

/* added_tokens_decoder {"5": {"content", "special"}}, else added_tokens [{"id", "content", "special"}]. */
static int add_added(struct g4_convert_plan *c, struct tokens *t, g4_err *err)
{
    g4_err e = {0};
    bool special;
    const g4_json decoder = g4_json_get(g4_weights_json(c->w, "tokenizer_config.json", &e), "added_tokens_decoder");
    for (g4_json_it it = g4_json_iter(decoder); g4_json_type(decoder) == G4_JSON_OBJECT && g4_json_next(&it);) {
        char *id = g4_json_dup(it.key);
        if (id) add_token(t, strtol(id, NULL, 10), g4_json_get(it.value, "content"), g4_json_bool(g4_json_get(it.value, "special"), &special) && special);
        free(id);
    }
    if (decoder.p || e.code) return e.code ? g4_fail(err, e.code, "%s", e.msg) : G4_OK;
    const g4_json list = g4_json_get(g4_weights_json(c->w, "tokenizer.json", &e), "added_tokens");
    for (g4_json_it it = g4_json_iter(list); g4_json_type(list) == G4_JSON_ARRAY && g4_json_next(&it);) {
        int64_t id;
        if (g4_json_i64(g4_json_get(it.value, "id"), &id))
            add_token(t, id, g4_json_get(it.value, "content"), g4_json_bool(g4_json_get(it.value, "special"), &special) && special);
    }
    return e.code ? g4_fail(err, e.code, "%s", e.msg) : G4_OK;
}

static int score_form(struct g4_convert_plan *c, const struct g4_vocab *v, uint64_t n, g4_err *err)
{
    struct tokens t;
    tokens_new(&t, &c->arena, n);
    for (uint32_t i = 0; i < v->n && i < n; i++) {
        t.text[i] = v->piece[i];
        t.score[i] = v->score[i];
        t.type[i] = v->type[i] == G4_PIECE_USER ? G4_PIECE_NORMAL : v->type[i]; /* the added tokens say which are */
    }
    const int e = add_added(c, &t, err);
    if (e) return e;
    g4_gguf_strz(c->out, "tokenizer.ggml.model", "llama");
    g4_gguf_strz(c->out, "tokenizer.ggml.pre", "default");
    g4_gguf_strings(c->out, "tokenizer.ggml.tokens", t.text, t.n);
    g4_gguf_array(c->out, "tokenizer.ggml.scores", GGUF_F32, t.score, t.n);
    g4_gguf_array(c->out, "tokenizer.ggml.token_type", GGUF_I32, t.type, t.n);
    return G4_OK;
}

/* ---- rank form -------------------------------------------------------------- */

/* Control pieces by trade that readers must spell out, since the parser of answers looks for them. */
static bool is_visible(g4_sv s)
{
    static const char *const names[] = { "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>",
                                         "<|\"|>" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (g4_sv_eq(s, names[i])) return true;
    return false;
}

static void rank_form(struct g4_convert_plan *c, const struct g4_vocab *v, uint64_t n)
{
    struct tokens t;
    tokens_new(&t, &c->arena, n);
    for (uint32_t i = 0; i < v->n && i < n; i++) {
        const g4_sv s = v->piece[i];
        if (!s.n) continue; /* a hole */
        const bool special = v->type[i] == G4_PIECE_CONTROL || v->type[i] == G4_PIECE_UNKNOWN;
        t.text[i] = s;
        t.score[i] = -1000.0f;
        t.type[i] = is_visible(s) ? G4_PIECE_USER : special ? G4_PIECE_CONTROL : is_byte(s) ? G4_PIECE_BYTE : v->type[i];
    }
    g4_gguf_strz(c->out, "tokenizer.ggml.model", "gemma4");
    g4_gguf_strings(c->out, "tokenizer.ggml.tokens", t.text, t.n);
    g4_gguf_array(c->out, "tokenizer.ggml.scores", GGUF_F32, t.score, t.n);
    g4_gguf_array(c->out, "tokenizer.ggml.token_type", GGUF_I32, t.type, t.n);
    g4_gguf_string_bytes(c->out, "tokenizer.ggml.merges", v->merge, v->merge_bytes, v->n_merge);
}

/* ---- ids, flags, template ------------------------------------------------------ */

static int32_t find_piece(const struct g4_vocab *v, const char *text)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (g4_sv_eq(v->piece[i], text)) return (int32_t)i;
    return -1;
}

/* tokenizer_config.json names the piece, else config.json gives the number. */
static void put_id(struct g4_convert_plan *c, const struct g4_vocab *v, const char *name, const char *key)
{
    char field[32];
    int64_t id = -1;
    snprintf(field, sizeof field, "%s_token", name);
    g4_json named = g4_json_get(g4_weights_json(c->w, "tokenizer_config.json", NULL), field);
    if (g4_json_type(named) == G4_JSON_OBJECT) named = g4_json_get(named, "content");
    char *text = g4_json_dup(named);
    if (text) id = find_piece(v, text);
    free(text);
    if (id < 0) {
        snprintf(field, sizeof field, "%s_token_id", name);
        g4_json number = g4_json_get(g4_weights_json(c->w, "config.json", NULL), field);
        if (g4_json_type(number) == G4_JSON_ARRAY) number = g4_json_at(number, 0);
        if (!g4_json_i64(number, &id)) id = -1;
    }
    if (id >= 0 && id < v->n) g4_gguf_u32(c->out, key, (uint32_t)id);
}

static void put_ids(struct g4_convert_plan *c, const struct g4_vocab *v)
{
    static const char *const ids[][2] = {
        { "bos", "tokenizer.ggml.bos_token_id" },     { "eos", "tokenizer.ggml.eos_token_id" }, { "unk", "tokenizer.ggml.unknown_token_id" },
        { "pad", "tokenizer.ggml.padding_token_id" }, { "mask", "tokenizer.ggml.mask_token_id" },
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) put_id(c, v, ids[i][0], ids[i][1]);
}

static int put_rest(struct g4_convert_plan *c, const struct g4_hparams *hp, const struct g4_vocab *v, g4_err *err)
{
    g4_err e = {0};
    g4_str text = {0};
    bool end = hp->encoder;
    const g4_json config = g4_weights_json(c->w, "tokenizer_config.json", &e);
    const g4_json list = g4_json_get(g4_weights_json(c->w, "generation_config.json", &e), "suppress_tokens");
    if (e.code) return g4_fail(err, e.code, "%s", e.msg);
    put_ids(c, v);
    g4_json_bool(g4_json_get(config, "add_eos_token"), &end);
    g4_gguf_bool(c->out, "tokenizer.ggml.add_bos_token", true); /* every Gemma begins with it, whatever a file forgot */
    g4_gguf_bool(c->out, "tokenizer.ggml.add_eos_token", end);
    if (hp->encoder) g4_gguf_bool(c->out, "tokenizer.ggml.add_sep_token", false);
    g4_gguf_bool(c->out, "tokenizer.ggml.add_space_prefix", false);
    const size_t n = g4_json_type(list) == G4_JSON_ARRAY ? g4_json_count(list) : 0;
    int32_t *ids = g4_arena_alloc(&c->arena, (n + 1) * sizeof *ids);
    size_t k = 0;
    for (g4_json_it it = g4_json_iter(list); n && g4_json_next(&it);) {
        int64_t id;
        if (g4_json_i64(it.value, &id) && id >= 0 && id < v->n) ids[k++] = (int32_t)id;
    }
    if (k) g4_gguf_array(c->out, "tokenizer.ggml.suppress_tokens", GGUF_I32, ids, k);
    const int r = g4_template_load(c->w, &text, err);
    if (!r && text.n) g4_gguf_str(c->out, "tokenizer.chat_template", (g4_sv){ text.p, text.n });
    g4_str_free(&text);
    return r;
}

int g4_convert_vocab(struct g4_convert_plan *c, const struct g4_hparams *hp, uint64_t rows, uint64_t *n_token, g4_err *err)
{
    struct g4_vocab v = { .bos = -1, .eos = -1, .unk = -1, .pad = -1, .own = &c->arena };
    const g4_sv model = g4_weights_file(c->w, "tokenizer.model"), json = g4_weights_file(c->w, "tokenizer.json");
    const bool scores = model.p && !hp->v_norm; /* Gemma 4's is rank form even where a tokenizer.model lies beside it */
    const g4_json top = g4_weights_json(c->w, "config.json", NULL);
    g4_json size = g4_json_path(top, "text_config", "vocab_size");
    int64_t n = 0;
    int e;

    if (!scores && !json.p) return g4_fail(err, G4_EMODEL, "'%s': no tokenizer.json%s", c->p->from, hp->v_norm ? "" : " and no tokenizer.model");
    e = scores ? g4_vocab_from_protobuf("tokenizer.model", model, &v, err) : g4_vocab_from_json("tokenizer.json", json, &v, err);
    if (e) return e;
    if (!size.p) size = g4_json_get(top, "vocab_size");
    if (!g4_json_i64(size, &n) || n < v.n) n = v.n;
    if ((uint64_t)n > rows) n = v.n; /* what the file says is no more than a wish */
    if ((uint64_t)n > rows)
        return g4_fail(err, G4_EFORMAT, "'%s': the tokenizer has %u pieces, the embedding only %llu rows", c->p->from, v.n, (unsigned long long)rows);
    *n_token = (uint64_t)n;
    if (scores) e = score_form(c, &v, *n_token, err);
    else rank_form(c, &v, *n_token);
    return e ? e : put_rest(c, hp, &v, err);
}
