/* model/card: see card.h. */
#include "model/card.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/impl.h"

/* `license: NAME` of a model card's front matter. */
g4_sv g4_card_license(g4_weights *w)
{
    const g4_sv card = g4_weights_file(w, "README.md");
    const char *p = card.p, *end = p + card.n;
    if (card.n < 4 || memcmp(p, "---\n", 4) != 0) return (g4_sv){ NULL, 0 };
    for (p += 4; p < end && (end - p < 3 || memcmp(p, "---", 3) != 0);) {
        const char *line = p, *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop) stop = end;
        p = stop < end ? stop + 1 : end;
        if (stop - line < 9 || memcmp(line, "license: ", 9) != 0) continue;
        while (stop > line + 9 && (unsigned char)stop[-1] <= ' ') stop--;
        return (g4_sv){ line + 9, (size_t)(stop - line - 9) };
    }
    return (g4_sv){ NULL, 0 };
}

static char *kv_dup(g4_weights *w, const char *key)
{
    g4_sv s;
    const g4_kv *kv = g4_weights_kv(w, key);
    return kv && g4_kv_str(kv, &s) && s.n ? g4_strndup(s.p, s.n) : NULL;
}

static void count_tensors(struct g4_card *c, g4_weights *w)
{
    for (size_t i = 0; i < g4_weights_count(w); i++) {
        const g4_tensor *t = g4_weights_at(w, i);
        c->n_param += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
        c->bytes += t->bytes;
        c->n_type[t->type]++;
        c->type_bytes[t->type] += t->bytes;
        if (strcmp(t->name, "per_layer_token_embd.weight") == 0 || strstr(t->name, "embed_tokens_per_layer."))
            c->ple_bytes += t->bytes;
    }
}

static void read_texts(struct g4_card *c, g4_weights *w)
{
    g4_str text = {0};
    if (g4_weights_is_gguf(w)) {
        c->arch = kv_dup(w, "general.architecture");
        c->license = kv_dup(w, "general.license");
        c->quantised_with = kv_dup(w, "quantize.imatrix.file");
    } else {
        const g4_sv license = g4_card_license(w);
        c->arch = g4_json_dup(g4_json_get(g4_weights_json(w, "config.json", NULL), "model_type"));
        if (license.n) c->license = g4_strndup(license.p, license.n);
    }
    if (!g4_template_load(w, &text, NULL) && text.n) c->template = g4_strdup(text.p);
    g4_str_free(&text);
}

int g4_card_open(struct g4_card *c, const char *path, g4_err *err)
{
    static const char *const chats[] = {
        [G4_CHAT_NONE] = "none", [G4_CHAT_GEMMA4_SMALL] = "gemma4", [G4_CHAT_GEMMA4_LARGE] = "gemma4", [G4_CHAT_GEMMA3] = "gemma3",
        [G4_CHAT_FUNCTIONGEMMA] = "functiongemma", [G4_CHAT_TRANSLATEGEMMA] = "translategemma",
    };
    g4_err why = {0};
    g4_weights *w = g4_weights_open(path, 0, err);
    *c = (struct g4_card){ .chat = "none" };
    if (!w) return err && err->code ? err->code : G4_EFORMAT;
    count_tensors(c, w);
    read_texts(c, w);
    g4_weights_free(w);
    c->model = g4_model_open(path, false, &why);
    if (!c->model) {
        snprintf(c->why, sizeof c->why, "%s", why.msg);
        return G4_OK;
    }
    c->hp = g4_model_hp(c->model);
    c->gen = g4_model_defaults(c->model);
    c->chat = chats[g4_model_chat(c->model)];
    return G4_OK;
}

void g4_card_close(struct g4_card *c)
{
    g4_model_free(c->model);
    free(c->arch);
    free(c->license);
    free(c->template);
    free(c->quantised_with);
    *c = (struct g4_card){0};
}
