/* model/model: opens what a path holds and hands out its parts. */
#include "model/impl.h"
#include "model/vocab.h"

#include <stdlib.h>
#include <string.h>

/* general.name, else the last part of the path without .gguf. */
static char *read_name(g4_weights *w)
{
    const g4_kv *kv = g4_weights_is_gguf(w) ? g4_weights_kv(w, "general.name") : NULL;
    g4_sv s;

    if (kv && g4_kv_str(kv, &s) && s.n && s.n < 256) return g4_strndup(s.p, s.n);
    const char *path = g4_weights_path(w), *end = path + strlen(path);
    while (end > path && end[-1] == '/') end--;
    const char *from = end;
    while (from > path && from[-1] != '/') from--;
    if (end - from > 5 && memcmp(end - 5, ".gguf", 5) == 0) end -= 5;
    return g4_strndup(from, (size_t)(end - from));
}

static uint64_t count_params(g4_weights *w)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < g4_weights_count(w); i++) {
        const g4_tensor *t = g4_weights_at(w, i);
        sum += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    }
    return sum;
}

static int open_text(g4_model *m, g4_err *err)
{
    struct g4_vocab v = { 0 };
    g4_str text = { 0 };
    int e = g4_vocab_load(m->file, &v, err);

    if (e) return e;
    m->tok = g4_tokenizer_new(&v, err);
    if (!m->tok) return err && err->code ? err->code : G4_EFORMAT;
    e = g4_template_load(m->file, &text, err);
    if (!e) m->chat = g4_chat_detect(m->tok, text.p, text.n, m->name, m->n_param);
    g4_str_free(&text);
    return e;
}

static int open_parts(g4_model *m, const char *path, bool text_only, g4_err *err)
{
    int e;

    m->file = g4_weights_open(path, text_only ? G4_WEIGHTS_TEXT_ONLY : 0, err);
    if (!m->file) return G4_EFORMAT;
    m->name = read_name(m->file);
    m->n_param = count_params(m->file);
    if (!text_only) {
        e = g4_weights_is_gguf(m->file) ? g4_hparams_gguf(m->file, &m->hp, &m->arena, err) : g4_hparams_hf(m->file, &m->hp, &m->arena, err);
        if (e || (e = g4_bind(m, err))) return e;
        m->has_hp = true;
    }
    if ((e = open_text(m, err))) return e;
    return g4_defaults_load(m, err);
}

g4_model *g4_model_open(const char *path, bool text_only, g4_err *err)
{
    g4_model *m = g4_alloc(sizeof *m);

    if (open_parts(m, path, text_only, err) == G4_OK) return m;
    g4_model_free(m);
    return NULL;
}

void g4_model_free(g4_model *m)
{
    if (!m) return;
    g4_tokenizer_free(m->tok);
    g4_weights_free(m->file);
    g4_arena_free(&m->arena);
    free(m->all);
    free(m->gen.suppress);
    free(m->gen.stop);
    free(m->name);
    free(m);
}

const struct g4_hparams *g4_model_hp(const g4_model *m)
{
    return m->has_hp ? &m->hp : NULL;
}

const g4_tokenizer *g4_model_tokenizer(const g4_model *m)
{
    return m->tok;
}

enum g4_chat_format g4_model_chat(const g4_model *m)
{
    return m->chat;
}

const struct g4_gen_defaults *g4_model_defaults(const g4_model *m)
{
    return &m->gen;
}

const char *g4_model_name(const g4_model *m)
{
    return m->name;
}

const char *g4_model_digest(const g4_model *m)
{
    return g4_weights_digest(m->file);
}

uint64_t g4_model_bytes(const g4_model *m)
{
    return g4_weights_bytes(m->file);
}

const g4_kv_layer *g4_model_kv_layers(const g4_model *m, uint32_t *n)
{
    *n = m->has_hp ? m->hp.n_owner : 0;
    return m->kv;
}
