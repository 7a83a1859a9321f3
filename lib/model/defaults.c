/* model/defaults: what the files say about generation: sampling values, ids
 * that are never generated, ids that end, and the chat template's text. */
#include "model/impl.h"
#include "text/parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IDS = 1 << 20 }; /* more in a list is no list of ids */

/* Adds id once, when the vocabulary has it. */
static void add_id(int32_t **ids, size_t *n, int64_t id, uint32_t n_vocab)
{
    if (id < 0 || id >= n_vocab || *n >= MAX_IDS) return;
    for (size_t i = 0; i < *n; i++)
        if ((*ids)[i] == id) return;
    *ids = g4_realloc(*ids, (*n + 1) * sizeof **ids);
    (*ids)[(*n)++] = (int32_t)id;
}

static uint32_t vocab_size(const g4_model *m)
{
    const uint32_t pieces = g4_tokenizer_vocab(m->tok)->n;

    return m->has_hp && m->hp.n_vocab > pieces ? m->hp.n_vocab : pieces;
}

static void add_suppressed(g4_model *m, int64_t id)
{
    add_id(&m->gen.suppress, &m->gen.n_suppress, id, vocab_size(m));
}

static void add_stop(g4_model *m, int64_t id)
{
    add_id(&m->gen.stop, &m->gen.n_stop, id, vocab_size(m));
}

/* ---- GGUF ------------------------------------------------------------------ */

static void from_gguf(g4_model *m)
{
    static const char *const ends[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id" };
    g4_weights *w = m->file;
    const g4_kv *kv;
    double d;
    int64_t i;

    if ((kv = g4_weights_kv(w, "general.sampling.temp")) && g4_kv_f64(kv, 0, &d)) m->gen.temperature = (float)d;
    if ((kv = g4_weights_kv(w, "general.sampling.top_p")) && g4_kv_f64(kv, 0, &d)) m->gen.top_p = (float)d;
    if ((kv = g4_weights_kv(w, "general.sampling.top_k")) && g4_kv_i64(kv, 0, &i) && i >= 0 && i <= INT32_MAX)
        m->gen.top_k = (int32_t)i;
    for (size_t e = 0; e < sizeof ends / sizeof *ends; e++)
        if ((kv = g4_weights_kv(w, ends[e])) && g4_kv_i64(kv, 0, &i)) add_stop(m, i);
    if ((kv = g4_weights_kv(w, "tokenizer.ggml.suppress_tokens")))
        for (uint64_t at = 0; at < kv->n && at < MAX_IDS && g4_kv_i64(kv, at, &i); at++) add_suppressed(m, i);
}

/* ---- a folder -------------------------------------------------------------- */

/* A number or an array of numbers. */
static void each_id(g4_json v, g4_model *m, void (*add)(g4_model *, int64_t))
{
    int64_t i;

    if (g4_json_i64(v, &i)) add(m, i);
    for (g4_json_it it = g4_json_iter(v); g4_json_type(v) == G4_JSON_ARRAY && g4_json_next(&it);)
        if (g4_json_i64(it.value, &i)) add(m, i);
}

static int from_folder(g4_model *m, g4_err *err)
{
    g4_err e = { 0 };
    const g4_json gen = g4_weights_json(m->file, "generation_config.json", &e), config = g4_weights_json(m->file, "config.json", &e);
    double d;
    int64_t i;
    bool sample;

    if (e.code) return g4_fail(err, e.code, "%s", e.msg);
    if (g4_json_f64(g4_json_get(gen, "temperature"), &d)) m->gen.temperature = (float)d;
    if (g4_json_f64(g4_json_get(gen, "top_p"), &d)) m->gen.top_p = (float)d;
    if (g4_json_i64(g4_json_get(gen, "top_k"), &i) && i >= 0 && i <= INT32_MAX) m->gen.top_k = (int32_t)i;
    if (g4_json_bool(g4_json_get(gen, "do_sample"), &sample) && !sample) m->gen.temperature = 0;
    each_id(g4_json_get(config, "eos_token_id"), m, add_stop);
    each_id(g4_json_get(gen, "eos_token_id"), m, add_stop);
    each_id(g4_json_get(gen, "suppress_tokens"), m, add_suppressed);
    return G4_OK;
}

/* ---- both ------------------------------------------------------------------- */

/* Pieces that stand for media are never text, and rows of the table behind the last piece are no pieces. */
static void suppress_media(g4_model *m)
{
    static const char *const pieces[] = { "<|image>", "<|audio>", "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>",
                                          "<start_of_image>", "<end_of_image>", "<image_soft_token>" };
    const uint32_t n = g4_tokenizer_vocab(m->tok)->n;

    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        const int32_t id = g4_tokenizer_find(m->tok, pieces[i], strlen(pieces[i]));
        if (id >= 0 && g4_tokenizer_vocab(m->tok)->type[id] != G4_PIECE_NORMAL) add_suppressed(m, id);
    }
    for (uint32_t id = n; m->has_hp && id < m->hp.n_vocab && id - n < 4096; id++) add_suppressed(m, id);
}

int g4_defaults_load(g4_model *m, g4_err *err)
{
    int32_t ends[8];
    int e = G4_OK;

    m->gen.temperature = m->gen.top_p = NAN;
    m->gen.top_k = -1;
    if (g4_weights_is_gguf(m->file))
        from_gguf(m);
    else
        e = from_folder(m, err);
    if (e) return e;
    if (m->chat == G4_CHAT_TRANSLATEGEMMA && isnan(m->gen.temperature)) m->gen.temperature = 0; /* as its authors use it */
    const size_t n = g4_parse_stop_ids(m->tok, m->chat, ends);
    for (size_t i = 0; i < n; i++) add_stop(m, ends[i]);
    add_stop(m, g4_tokenizer_vocab(m->tok)->eos);
    suppress_media(m);
    return G4_OK;
}

/* ---- the template ------------------------------------------------------------ */

/* A string, or an array of {name, template} of which "default" or else the first counts. */
static void add_template(g4_json v, g4_str *out)
{
    g4_json pick = g4_json_type(v) == G4_JSON_STRING ? v : (g4_json){ 0 };

    for (g4_json_it it = g4_json_iter(v); g4_json_type(v) == G4_JSON_ARRAY && g4_json_next(&it);)
        if (!pick.p || g4_json_is(g4_json_get(it.value, "name"), "default")) pick = g4_json_get(it.value, "template");
    if (g4_json_type(pick) == G4_JSON_STRING) g4_json_str(pick, out);
}

int g4_template_load(g4_weights *w, g4_str *out, g4_err *err)
{
    g4_err e = { 0 };
    g4_sv text;

    if (g4_weights_is_gguf(w)) {
        const g4_kv *kv = g4_weights_kv(w, "tokenizer.chat_template");
        if (kv && g4_kv_str(kv, &text)) g4_str_add(out, text.p, text.n);
        return G4_OK;
    }
    text = g4_weights_file(w, "chat_template.jinja");
    if (text.p) {
        g4_str_add(out, text.p, text.n);
        return G4_OK;
    }
    add_template(g4_json_get(g4_weights_json(w, "tokenizer_config.json", &e), "chat_template"), out);
    if (!out->n) add_template(g4_json_get(g4_weights_json(w, "chat_template.json", &e), "chat_template"), out);
    return e.code ? g4_fail(err, e.code, "%s", e.msg) : G4_OK;
}
