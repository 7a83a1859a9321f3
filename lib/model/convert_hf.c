/* model/convert_hf: a folder of safetensors as GGUF metadata and tensors. */
#include "model/convert_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { GGUF_I32 = 5, GGUF_BOOL = 7 };

struct meta { /* keys of one architecture */
    struct g4_convert_plan *c;
    const struct g4_hparams *hp;
    char key[96];
};

static const char *key(struct meta *m, const char *name)
{
    snprintf(m->key, sizeof m->key, "%s.%s", m->hp->arch, name);
    return m->key;
}

static void put_u32(struct meta *m, const char *name, uint32_t v)
{
    g4_gguf_u32(m->c->out, key(m, name), v);
}

static void put_f32(struct meta *m, const char *name, float v)
{
    g4_gguf_f32(m->c->out, key(m, name), v);
}

/* ---- metadata --------------------------------------------------------------- */

/* A number a layer: one where all are the same. */
static void put_layers(struct meta *m, const char *name, uint32_t (*get)(const struct g4_layer_hp *))
{
    const uint32_t n = m->hp->n_layer;
    int32_t *v = g4_arena_alloc(&m->c->arena, n * sizeof *v);
    bool same = true;
    for (uint32_t l = 0; l < n; l++) {
        v[l] = (int32_t)get(&m->hp->layer[l]);
        same &= v[l] == v[0];
    }
    if (same) put_u32(m, name, (uint32_t)v[0]);
    else g4_gguf_array(m->c->out, key(m, name), GGUF_I32, v, n);
}

static uint32_t get_ff(const struct g4_layer_hp *p) { return p->d_ff; }
static uint32_t get_kv(const struct g4_layer_hp *p) { return p->n_kv; }

/* Head length of the first local or global layer, 0: none. */
static uint32_t head_length(const struct g4_hparams *hp, bool local)
{
    for (uint32_t l = 0; l < hp->n_layer; l++)
        if (hp->layer[l].local == local) return hp->layer[l].d_head;
    return 0;
}

static void put_pattern(struct meta *m)
{
    uint8_t *local = g4_arena_alloc(&m->c->arena, m->hp->n_layer);
    for (uint32_t l = 0; l < m->hp->n_layer; l++) local[l] = m->hp->layer[l].local;
    g4_gguf_array(m->c->out, key(m, "attention.sliding_window_pattern"), GGUF_BOOL, local, m->hp->n_layer);
}

/* Every period-th layer is global: what readers assume where no key says so. */
static bool has_period(const struct g4_hparams *hp, uint32_t period)
{
    for (uint32_t l = 0; l < hp->n_layer; l++)
        if (hp->layer[l].local != ((l + 1) % period != 0)) return false;
    return true;
}

/* The keys of Gemma 4 and of EmbeddingGemma 2, whose global layers differ. */
static void put_two_kinds(struct meta *m)
{
    const struct g4_hparams *hp = m->hp;
    const uint32_t global = head_length(hp, false), local = head_length(hp, true);
    put_pattern(m);
    put_u32(m, "attention.key_length_swa", local ? local : global);
    put_u32(m, "attention.value_length_swa", local ? local : global);
    put_u32(m, "embedding_length_per_layer_input", hp->d_ple);
    put_u32(m, "rope.dimension_count", global);
    put_u32(m, "rope.dimension_count_swa", local ? local : global);
    if (hp->encoder) return;
    put_u32(m, "attention.shared_kv_layers", hp->n_layer - hp->first_shared);
    if (!hp->n_expert) return;
    put_u32(m, "expert_count", hp->n_expert);
    put_u32(m, "expert_used_count", hp->k_expert);
    put_u32(m, "expert_feed_forward_length", hp->d_expert);
}

/* What no key of the dialect can say is refused. */
static int check_sayable(const struct g4_hparams *hp, g4_err *err)
{
    if (strcmp(hp->arch, "vaultgemma") == 0) return g4_fail(err, G4_EUNSUP, "there is no GGUF architecture for VaultGemma");
    if (strcmp(hp->arch, "gemma2") == 0 && !has_period(hp, 2))
        return g4_fail(err, G4_EUNSUP, "no GGUF of Gemma 2 can say that other than every second layer is global");
    if (hp->rope_factor != 1.0f && hp->v_norm) return g4_fail(err, G4_EUNSUP, "no GGUF of this architecture can scale its rotation");
    return G4_OK;
}

static int put_model(struct g4_convert_plan *c, const struct g4_hparams *hp, g4_err *err)
{
    struct meta m = { .c = c, .hp = hp };
    const bool two = strcmp(hp->arch, "gemma2") == 0;
    const uint32_t head = head_length(hp, false) ? head_length(hp, false) : head_length(hp, true);
    const int e = check_sayable(hp, err);

    if (e) return e;
    put_u32(&m, "block_count", hp->n_layer);
    put_u32(&m, "context_length", hp->context);
    put_u32(&m, "embedding_length", hp->d_model);
    put_layers(&m, "feed_forward_length", get_ff);
    put_u32(&m, "attention.head_count", hp->n_head);
    put_layers(&m, "attention.head_count_kv", get_kv);
    put_u32(&m, "attention.key_length", head);
    put_u32(&m, "attention.value_length", head);
    put_f32(&m, "attention.layer_norm_rms_epsilon", hp->eps);
    put_u32(&m, "attention.sliding_window", hp->encoder ? 2 * hp->window : hp->window); /* encoders: twice the radius */
    if (hp->attn_softcap > 0) put_f32(&m, "attn_logit_softcapping", hp->attn_softcap);
    if (hp->final_softcap > 0) put_f32(&m, "final_logit_softcapping", hp->final_softcap);
    if (!two) {
        put_f32(&m, "rope.freq_base", hp->rope_base[0]);
        put_f32(&m, "rope.freq_base_swa", hp->rope_base[1]);
    }
    if (hp->rope_factor != 1.0f) {
        g4_gguf_strz(c->out, key(&m, "rope.scaling.type"), "linear");
        put_f32(&m, "rope.scaling.factor", hp->rope_factor);
    }
    if (hp->v_norm) put_two_kinds(&m);
    else if (!two && !has_period(hp, 6)) put_pattern(&m);
    if (hp->encoder) put_u32(&m, "pooling_type", 1);
    return G4_OK;
}

/* Two digits and a unit: 270M, 1.1B, 8x67K. */
static void put_size_label(struct g4_convert_plan *c, const struct g4_hparams *hp, uint64_t n_param, uint64_t n_expert_param)
{
    static const char unit[] = "KMBT";
    char label[40];
    const uint32_t n = hp->n_expert ? hp->n_expert : 1;
    double v = (double)(n_param - n_expert_param + n_expert_param / n) / 1e3;
    int u = 0;
    for (; v >= 1000 && u < 3; u++) v /= 1000;
    const int digits = v < 9.95 ? 1 : 0;
    if (n > 1) snprintf(label, sizeof label, "%ux%.*f%c", n, digits, v, unit[u]);
    else snprintf(label, sizeof label, "%.*f%c", digits, v, unit[u]);
    g4_gguf_strz(c->out, "general.size_label", label);
}

/* The last part of the path, or the repository in a Hugging Face cache, as words. */
static void put_name(struct g4_convert_plan *c)
{
    const char *path = g4_weights_path(c->w), *from = strrchr(path, '/'), *hub = strstr(path, "/models--");
    g4_str s = {0};
    from = from ? from + 1 : path;
    size_t n = strlen(from);
    if (hub && strstr(hub, "/snapshots/")) {
        const char *end = strstr(hub, "/snapshots/"), *org = strstr(hub + 9, "--");
        if (org && org < end) {
            from = org + 2;
            n = (size_t)(end - from);
        }
    }
    for (size_t i = 0; i < n; i++) {
        char ch = from[i] == '-' || from[i] == '_' ? ' ' : from[i];
        if ((!s.n || s.p[s.n - 1] == ' ') && ch >= 'a' && ch <= 'z') ch = (char)(ch - 32);
        g4_str_addc(&s, ch);
    }
    if (s.n && strcmp(s.p, ".") != 0) g4_gguf_strz(c->out, "general.name", s.p);
    g4_str_free(&s);
}

static int put_general(struct g4_convert_plan *c, const struct g4_hparams *hp, g4_err *err)
{
    g4_err e = {0};
    const g4_json gen = g4_weights_json(c->w, "generation_config.json", &e);
    double d;
    int64_t i;

    if (e.code) return g4_fail(err, e.code, "%s", e.msg);
    g4_gguf_strz(c->out, "general.architecture", hp->arch);
    g4_gguf_strz(c->out, "general.type", "model");
    if (g4_json_i64(g4_json_get(gen, "top_k"), &i) && i >= 0 && i <= INT32_MAX) g4_gguf_i32(c->out, "general.sampling.top_k", (int32_t)i);
    if (g4_json_f64(g4_json_get(gen, "top_p"), &d)) g4_gguf_f32(c->out, "general.sampling.top_p", (float)d);
    if (g4_json_f64(g4_json_get(gen, "temperature"), &d)) g4_gguf_f32(c->out, "general.sampling.temp", (float)d);
    put_name(c);
    const g4_sv license = g4_card_license(c->w);
    if (license.n) g4_gguf_str(c->out, "general.license", license);
    return G4_OK;
}

/* ---- tensors ------------------------------------------------------------------- */

static const struct {
    const char *hf, *gguf;
} globals[] = {
    { "embed_tokens.weight", "token_embd.weight" },
    { "embed_tokens_per_layer.weight", "per_layer_token_embd.weight" },
    { "norm.weight", "output_norm.weight" },
    { "per_layer_model_projection.weight", "per_layer_model_proj.weight" },
    { "ple.per_layer_model_projection.weight", "per_layer_model_proj.weight" },
    { "per_layer_projection_norm.weight", "per_layer_proj_norm.weight" },
    { "ple.per_layer_projection_norm.weight", "per_layer_proj_norm.weight" },
    { "embedding_projection.weight", "output.weight" },
};

/* Towers and projectors of other media. */
static bool of_media(const char *name)
{
    static const char *const parts[] = { "vision_tower.", "audio_tower.", "embed_vision.", "embed_audio.", "vision_embedder.", "vision_model.",
                                         "multi_modal_projector." };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i])) return true;
    return false;
}

/* Those, a head that repeats the embedding, buffers. */
static bool left_out(const char *name)
{
    return of_media(name) || strcmp(name, "lm_head.weight") == 0 || strstr(name, "rotary_emb.");
}

/* The GGUF name of a checkpoint's tensor (behind the prefix) in out; false: it has none. */
static bool gguf_name(const char *hf, char out[64])
{
    char *end;
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (strcmp(hf, globals[i].hf) == 0) return snprintf(out, 64, "%s", globals[i].gguf) < 64;
    if (strncmp(hf, "layers.", 7) != 0) return false;
    const unsigned long layer = strtoul(hf + 7, &end, 10);
    if (end == hf + 7 || *end != '.' || layer > 9999) return false;
    const char *rest = end + 1;
    if (strncmp(rest, "ple_block.", 10) == 0) rest += 10;
    const char *name = g4_bind_gguf_name(rest);
    return name && snprintf(out, 64, "blk.%lu.%s", layer, name) < 64;
}

static bool ends(const char *s, const char *with)
{
    const size_t n = strlen(s), m = strlen(with);
    return n >= m && strcmp(s + n - m, with) == 0;
}

/* f32: vectors, norms, the router, and what is no weight; everything else by the recipe. */
static bool stays_f32(const struct g4_convert_item *it)
{
    return it->n_dim < 2 || ends(it->name, "_norm.weight") || !ends(it->name, ".weight") || ends(it->name, "ffn_gate_inp.weight");
}

static int add_tensor(struct g4_convert_plan *c, const struct g4_hparams *hp, const g4_tensor *t, const char *prefix, g4_err *err)
{
    const size_t n = strlen(prefix);
    const g4_dtype_info *info = g4_dtype_get((uint32_t)t->type);
    char name[64];
    if (left_out(t->name)) return G4_OK;
    if (strncmp(t->name, prefix, n) != 0 || !gguf_name(t->name + n, name))
        return g4_fail(err, G4_EUNSUP, "tensor '%s' has no place in a GGUF of the architecture '%s'", t->name, hp->arch);
    if (!info->decode) return g4_fail(err, G4_EUNSUP, "tensor '%s' is of a packed or integer type: only float checkpoints can be converted", t->name);
    struct g4_convert_item *it = g4_convert_add(c, g4_arena_strndup(&c->arena, name, strlen(name)), t);
    if (g4_arch_one_plus(hp->arch) && ends(t->name, "norm.weight")) it->plus = 1;
    if (stays_f32(it)) {
        it->type = G4_F32;
        it->fixed = true;
    } else if (strcmp(name, "per_layer_model_proj.weight") == 0 && c->recipe && g4_dtype_get((uint32_t)c->recipe->base)->is_block) {
        it->type = G4_BF16;
        it->fixed = true;
    }
    return G4_OK;
}

/* The global layers of Gemma 4 rotate the first share of their pairs; the others are divided by what makes
 * their angle nothing. */
static void add_rope_freqs(struct g4_convert_plan *c, const struct g4_hparams *hp)
{
    const uint32_t d = head_length(hp, false), half = d / 2, n_rot = (uint32_t)(hp->rope_partial * (float)d / 2.0f);
    float *v = g4_arena_alloc(&c->arena, (half + 1) * sizeof *v);
    if (strcmp(hp->arch, "gemma4") != 0 || !half) return;
    for (uint32_t i = 0; i < half; i++) v[i] = i < n_rot ? 1.0f : 1e30f;
    struct g4_convert_item *it = g4_convert_add(c, "rope_freqs.weight", NULL);
    it->values = v;
    it->n_dim = 1;
    it->ne[0] = half;
    it->type = G4_F32;
    it->fixed = true;
}

/* The two dense layers behind the mean of EmbeddingGemma. */
static int add_dense(struct g4_convert_plan *c, g4_err *err)
{
    static const char *const file[2] = { "2_Dense/model.safetensors", "3_Dense/model.safetensors" };
    static const char *const name[2] = { "dense_2.weight", "dense_3.weight" };
    char key[64];
    for (int i = 0; i < 2; i++) {
        g4_err e = {0};
        const g4_tensor *t = g4_weights_side_tensor(c->w, file[i], "linear.weight", &e);
        if (e.code) return g4_fail(err, e.code, "%s", e.msg);
        if (!t) continue;
        if (g4_weights_side_tensor(c->w, file[i], "linear.bias", NULL))
            return g4_fail(err, G4_EUNSUP, "the dense layer of '%s' has a bias, which no GGUF can hold", file[i]);
        snprintf(key, sizeof key, "gemma-embedding.%.7s_feat_in", name[i]);
        g4_gguf_u32(c->out, key, (uint32_t)t->ne[0]);
        snprintf(key, sizeof key, "gemma-embedding.%.7s_feat_out", name[i]);
        g4_gguf_u32(c->out, key, (uint32_t)t->ne[1]);
        g4_convert_add(c, name[i], t);
    }
    return G4_OK;
}

/* Tables first, then the layers by number, then what stands behind them; else as in the files. */
static int by_place(const void *a, const void *b)
{
    const struct g4_convert_item *x = a, *y = b;
    const int32_t lx = g4_recipe_layer(x->name), ly = g4_recipe_layer(y->name);
    const int px = lx >= 0 ? 1 : strncmp(x->name, "output", 6) == 0 || strncmp(x->name, "per_layer_", 10) == 0 ? 2 : 0;
    const int py = ly >= 0 ? 1 : strncmp(y->name, "output", 6) == 0 || strncmp(y->name, "per_layer_", 10) == 0 ? 2 : 0;
    if (px != py) return px - py;
    if (lx != ly) return lx < ly ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* A reader derives the attention scale, as no key carries it: what differs goes into the norm of the queries. */
static int fold_scale(struct g4_convert_plan *c, const struct g4_hparams *hp, g4_err *err)
{
    const bool by_width = (strcmp(hp->arch, "gemma3") == 0 && hp->n_layer == 62) || (strcmp(hp->arch, "gemma2") == 0 && hp->n_layer == 46);
    const float read = by_width ? 1.0f / sqrtf((float)hp->d_model / (float)hp->n_head) : 1.0f / sqrtf((float)hp->layer[0].d_head);
    if (hp->v_norm || hp->attn_scale == read) return G4_OK;
    if (!hp->qk_norm) return g4_fail(err, G4_EUNSUP, "no GGUF of Gemma 2 can carry this query_pre_attn_scalar");
    g4_log(G4_LOG_INFO, "the attention scale %g goes into the weights of the query norms: readers of a GGUF take %g", (double)hp->attn_scale,
           (double)read);
    for (size_t i = 0; i < c->n; i++)
        if (ends(c->item[i].name, ".attn_q_norm.weight")) c->item[i].times = hp->attn_scale / read;
    return G4_OK;
}

/* Without a recipe the matrices keep the type of the embedding. */
static void default_types(struct g4_convert_plan *c, g4_dtype type)
{
    for (size_t i = 0; i < c->n; i++)
        if (!c->item[i].fixed && !c->recipe) c->item[i].type = type;
}

static int add_tensors(struct g4_convert_plan *c, const struct g4_hparams *hp, const char *prefix, g4_err *err)
{
    int e = G4_OK;
    size_t media = 0;
    add_rope_freqs(c, hp);
    for (size_t i = 0; i < g4_weights_count(c->w) && !e; i++) {
        media += of_media(g4_weights_at(c->w, i)->name);
        e = add_tensor(c, hp, g4_weights_at(c->w, i), prefix, err);
    }
    if (media && !e) g4_log(G4_LOG_INFO, "%zu tensors for images and sound are left out: a projector (mmproj) is a file of its own", media);
    if (e || (strcmp(hp->arch, "gemma-embedding") == 0 && (e = add_dense(c, err)))) return e;
    qsort(c->item, c->n, sizeof *c->item, by_place);
    return fold_scale(c, hp, err);
}

static void count_values(const struct g4_convert_plan *c, uint64_t *all, uint64_t *experts)
{
    *all = *experts = 0;
    for (size_t i = 0; i < c->n; i++) {
        const uint64_t *ne = c->item[i].ne, v = ne[0] * ne[1] * ne[2] * ne[3];
        *all += v;
        if (strstr(c->item[i].name, "_exps.")) *experts += v;
    }
}

/* Everything is there and of the right shape, or what is not is said before a long run. */
static int check_whole(const char *path, g4_err *err)
{
    g4_err why = {0};
    g4_model *m = g4_model_open(path, false, &why);
    if (!m) return g4_fail(err, why.code ? why.code : G4_EFORMAT, "'%s': %s", path, why.msg);
    g4_model_free(m);
    return G4_OK;
}

/* Packed checkpoints say so in config.json: compressed-tensors and the like by quantization_config, MLX by
 * quantization. */
static int check_float(const struct g4_convert_plan *c, g4_err *err)
{
    const g4_json config = g4_weights_json(c->w, "config.json", NULL), q = g4_json_get(config, "quantization_config");
    char *method = g4_json_dup(g4_json_get(q, "quant_method"));
    int e = G4_OK;
    if (g4_json_type(q) == G4_JSON_OBJECT || g4_json_type(g4_json_get(config, "quantization")) == G4_JSON_OBJECT)
        e = g4_fail(err, G4_EUNSUP, "'%s' is quantised already (%.40s): only float checkpoints are converted, start from the original", c->p->from,
                    method ? method : q.p ? "quantization_config" : "MLX");
    free(method);
    return e;
}

int g4_convert_folder(struct g4_convert_plan *c, g4_err *err)
{
    struct g4_hparams hp = {0};
    uint64_t n_token = 0, all, experts;
    char name[96];
    int e;

    if ((e = check_float(c, err))) return e;
    if ((e = check_whole(c->p->from, err)) || (e = g4_hparams_hf(c->w, &hp, &c->arena, err))) return e;
    const char *prefix = g4_bind_prefix(c->w);
    snprintf(name, sizeof name, "%sembed_tokens.weight", prefix);
    const g4_tensor *table = g4_weights_find(c->w, name);
    if (!table) return g4_fail(err, G4_EFORMAT, "'%s' has no tensor 'embed_tokens.weight'", c->p->from);
    if ((e = put_general(c, &hp, err)) || (e = put_model(c, &hp, err)) || (e = add_tensors(c, &hp, prefix, err)) ||
        (e = g4_convert_vocab(c, &hp, table->ne[1], &n_token, err)))
        return e;
    for (size_t i = 0; i < c->n; i++)
        if (c->item[i].from == table) c->item[i].ne[1] = n_token;
    count_values(c, &all, &experts);
    put_size_label(c, &hp, all, experts);
    default_types(c, table->type);
    c->model = (struct g4_recipe_model){ .n_layer = hp.n_layer, .gqa = hp.n_head / hp.layer[0].n_kv };
    return G4_OK;
}
