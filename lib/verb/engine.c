/* verb/engine: opening an engine, what it says of itself, and text without
 * generation. */
#include "verb/constrain.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "device/device.h"
#include "weights/store.h"

static int read_kv_type(const g4_engine_params *p, g4_dtype *type, g4_err *err)
{
    *type = p->device && !strcmp(p->device, "ref") ? G4_F32 : G4_F16;
    if (!p->kv_type || !*p->kv_type) return 0;
    if (!strcmp(p->kv_type, "f16")) *type = G4_F16;
    else if (!strcmp(p->kv_type, "f32")) *type = G4_F32;
    else return g4_fail(err, G4_EUSAGE, "no such cache type: '%s' (f16, f32)", p->kv_type);
    return 0;
}

static void fill_info(g4_engine *e, double begin)
{
    g4_model *m = g4_core_model(e->core);
    const struct g4_hparams *hp = g4_model_hp(m);
    const enum g4_chat_format chat = g4_model_chat(m);
    g4_engine_info *i = &e->info;
    i->model_name = g4_model_name(m);
    i->model_digest = e->digest ? e->digest : g4_model_digest(m);
    i->device = g4_core_device_info(e->core);
    i->arch = hp ? hp->arch : "";
    i->n_vocab = hp ? hp->n_vocab : g4_tokenizer_vocab(g4_model_tokenizer(m))->n;
    i->n_layer = hp ? hp->n_layer : 0;
    i->d_model = hp ? hp->d_model : 0;
    i->is_encoder = hp && hp->encoder;
    i->context = g4_core_context(e->core);
    i->parallel = g4_core_parallel(e->core);
    i->threads = g4_core_threads(e->core);
    i->has_chat = chat != G4_CHAT_NONE;
    i->can_think = g4_chat_is_gemma4(chat);
    i->file_bytes = g4_model_bytes(m);
    i->memory_bytes = g4_core_memory(e->core);
    i->load_ms = 1e3 * (g4_now() - begin);
}

g4_engine *g4_engine_new(const g4_engine_params *p, g4_err *err)
{
    const double begin = g4_now();
    struct g4_core_params cp = {
        .device = p->device, .threads = p->threads, .context = p->context, .parallel = p->parallel, .chunk = p->chunk,
        .gpu_layers = p->gpu_layers,
        .text_only = p->text_only, .fast_bf16 = p->fast_bf16, .no_kv_skip = p->no_kv_skip, .prefix_cache = true, .turns = p->turns,
    };
    if (!p->model || !*p->model) {
        g4_fail(err, G4_EMODEL, "no model is named");
        return NULL;
    }
    if (read_kv_type(p, &cp.kv_type, err)) return NULL;
    g4_engine *e = g4_alloc(sizeof *e);
    char *path = g4_store_find(p->model, &e->digest, err);
    cp.model_path = path;
    if (path) e->core = g4_core_new(&cp, err);
    free(path);
    if (!e->core) {
        g4_engine_free(e);
        return NULL;
    }
    fill_info(e, begin);
    if (!e->info.has_chat && !e->info.is_encoder)
        g4_log(G4_LOG_VERBOSE, "'%s' has no chat format: prompts are fed as they are", e->info.model_name);
    return e;
}

void g4_engine_free(g4_engine *e)
{
    if (!e) return;
    g4_task_free(e->gone);
    while (e->first) {
        g4_task *t = e->first;
        e->first = t->next;
        g4_task_free(t);
    }
    g4_constrain_forget(e);
    g4_core_free(e->core);
    free(e->digest);
    free(e);
}

const g4_engine_info *g4_engine_get_info(const g4_engine *e)
{
    return &e->info;
}

/* ---- text --------------------------------------------------------------- */

int g4_tokenize(g4_engine *e, const char *text, size_t len, unsigned flags, int32_t **ids, size_t *n, g4_err *err)
{
    const g4_tokenizer *tok = g4_model_tokenizer(g4_core_model(e->core));
    const struct g4_vocab *v = g4_tokenizer_vocab(tok);
    const struct g4_seg seg = { .mode = flags & G4_TOKENIZE_SPECIAL ? G4_SEG_TEMPLATE : G4_SEG_DATA, .p = text, .n = len };
    size_t cap = 0;
    *ids = NULL;
    *n = 0;
    G4_GROW(*ids, cap, 1);
    if ((flags & G4_TOKENIZE_BOS) && v->bos >= 0) (*ids)[(*n)++] = v->bos;
    g4_tokenizer_encode(tok, &seg, 1, ids, n, &cap);
    return 0;
}

int g4_detokenize(g4_engine *e, const int32_t *ids, size_t n, bool special, char **text, size_t *len, g4_err *err)
{
    const g4_tokenizer *tok = g4_model_tokenizer(g4_core_model(e->core));
    const uint32_t n_vocab = g4_tokenizer_vocab(tok)->n;
    g4_str s = {0};
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= n_vocab) {
            g4_str_free(&s);
            return g4_fail(err, G4_EINPUT, "token %d is not in the vocabulary", ids[i]);
        }
        g4_tokenizer_piece(tok, ids[i], special, &s);
    }
    *len = s.n;
    *text = g4_str_take(&s);
    return 0;
}

char *g4_list_devices(bool verbose)
{
    g4_str s = {0};
    g4_device_list(&s, verbose);
    return g4_str_take(&s);
}
