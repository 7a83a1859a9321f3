/* model/hparams_hf: hyper-parameters from a Hugging Face config.json, in all the
 * dialects that published and re-saved files use: values in text_config or at
 * the top, one or two rope blocks or the old separate fields, global heads as
 * fields or in per_layer_config.  A field that is missing has its class default. */
#include "base/log.h"
#include "model/impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct config {
    g4_json top, text; /* text: text_config, or the top itself */
};

/* A field of the text part; JSON null counts as absent. */
static g4_json field(const struct config *c, const char *name)
{
    const g4_json v = g4_json_get(c->text, name);

    return g4_json_type(v) == G4_JSON_NULL ? (g4_json){ 0 } : v;
}

static int get_u32(const struct config *c, const char *name, bool need, uint32_t *out, g4_err *err)
{
    const g4_json v = field(c, name);
    int64_t i;

    if (!v.p) return need ? g4_fail(err, G4_EFORMAT, "config.json has no '%s'", name) : G4_OK;
    if (!g4_json_i64(v, &i) || i < 0 || i > UINT32_MAX)
        return g4_fail(err, G4_EFORMAT, "'%s' in config.json is no number that fits", name);
    *out = (uint32_t)i;
    return G4_OK;
}

static int num(g4_json v, const char *name, float *out, g4_err *err)
{
    double d;

    if (!v.p || g4_json_type(v) == G4_JSON_NULL) return G4_OK;
    if (!g4_json_f64(v, &d)) return g4_fail(err, G4_EFORMAT, "'%s' in config.json is no number", name);
    *out = (float)d;
    return G4_OK;
}

static int get_f32(const struct config *c, const char *name, float *out, g4_err *err)
{
    return num(field(c, name), name, out, err);
}

/* null means off here, absent means the default that is in *out */
static int get_cap(const struct config *c, const char *name, float *out, g4_err *err)
{
    const g4_json v = g4_json_get(c->text, name);

    if (g4_json_type(v) == G4_JSON_NULL) *out = 0;
    return num(v, name, out, err);
}

static bool get_bool(const struct config *c, const char *name)
{
    bool b = false;

    return g4_json_bool(field(c, name), &b) && b;
}

/* ---- architecture --------------------------------------------------------- */

static int read_arch(struct config *c, struct g4_hparams *hp, g4_err *err)
{
    static const struct {
        const char *type, *arch;
    } known[] = {
        { "gemma4", "gemma4" },         { "gemma4_text", "gemma4" },
        { "gemma4_unified", "gemma4" }, { "gemma4_unified_text", "gemma4" },
        { "gemma3", "gemma3" },         { "gemma3_text", "gemma3" },
        { "gemma2", "gemma2" },         { "vaultgemma", "vaultgemma" },
        { "embedding_gemma2", "gemma-embedding2" }, { "embedding_gemma2_text", "gemma-embedding2" },
    };
    const g4_json type = g4_json_get(c->top, "model_type");
    const char *arch = NULL;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (g4_json_is(type, known[i].type)) arch = known[i].arch;
    if (g4_json_is(type, "gemma4_assistant"))
        return g4_fail(err, G4_EUNSUP, "model type 'gemma4_assistant' is a drafter, not a model of its own");
    if (!type.p) return g4_fail(err, G4_EFORMAT, "config.json has no 'model_type'");
    if (!arch) return g4_fail(err, G4_EUNSUP, "model type %.*s is not supported", (int)(type.n < 80 ? type.n : 80), type.p);
    if (strcmp(arch, "gemma3") == 0 && get_bool(c, "use_bidirectional_attention")) arch = "gemma-embedding";
    g4_hparams_arch(hp, arch);
    return G4_OK;
}

/* ---- layers --------------------------------------------------------------- */

static int read_layer_types(const struct config *c, struct g4_hparams *hp, g4_err *err)
{
    const bool four = strcmp(hp->arch, "gemma4") == 0, vault = strcmp(hp->arch, "vaultgemma") == 0;
    uint32_t l = 0, period = strcmp(hp->arch, "gemma2") == 0 ? 2 : vault ? 0 : 6;
    const g4_json types = field(c, "layer_types");
    int e = get_u32(c, "sliding_window_pattern", false, &period, err);

    if (e) return e;
    g4_hparams_pattern(hp, period);
    for (g4_json_it it = g4_json_iter(types); types.p && g4_json_next(&it); l++) {
        if (l >= hp->n_layer) break;
        hp->layer[l].local = g4_json_is(it.value, "sliding_attention");
        if (!hp->layer[l].local && !g4_json_is(it.value, "full_attention"))
            return g4_fail(err, G4_EUNSUP, "layer type %.*s is not supported", (int)(it.value.n < 80 ? it.value.n : 80), it.value.p);
    }
    if (types.p && (l != hp->n_layer || g4_json_count(types) != hp->n_layer))
        return g4_fail(err, G4_EFORMAT, "'layer_types' in config.json does not have %u entries", hp->n_layer);
    if (four) hp->layer[hp->n_layer - 1].local = false;
    return G4_OK;
}

/* per_layer_config: {"3": {"head_dim": 32, "num_key_value_heads": 1}, ...} */
static int read_layer_config(const struct config *c, struct g4_hparams *hp, g4_err *err)
{
    const g4_json map = field(c, "per_layer_config");

    for (uint32_t l = 0; map.p && l < hp->n_layer; l++) {
        char key[16];
        snprintf(key, sizeof key, "%u", l);
        const struct config one = { .text = g4_json_get(map, key) };
        if (!one.text.p) continue;
        int e = get_u32(&one, "head_dim", false, &hp->layer[l].d_head, err);
        if (!e) e = get_u32(&one, "num_key_value_heads", false, &hp->layer[l].n_kv, err);
        if (e) return e;
    }
    return G4_OK;
}

static int read_heads(const struct config *c, struct g4_hparams *hp, uint32_t n_shared, g4_err *err)
{
    const bool three = !hp->v_norm, k_is_v = !hp->encoder && get_bool(c, "attention_k_eq_v");
    uint32_t d_head = 256, d_global, n_kv = three ? 4 : 0, n_kv_global, d_ff = 0;
    int e;

    if ((e = get_u32(c, "head_dim", false, &d_head, err)) || (e = get_u32(c, "num_key_value_heads", n_kv == 0, &n_kv, err)) ||
        (e = get_u32(c, "intermediate_size", true, &d_ff, err)))
        return e;
    d_global = d_head;
    n_kv_global = n_kv;
    if (!three && (e = get_u32(c, "global_head_dim", false, &d_global, err))) return e;
    /* In a decoder the number of global KV heads counts only where K and V are one projection. */
    if (!three && (k_is_v || hp->encoder) && (e = get_u32(c, "num_global_key_value_heads", false, &n_kv_global, err))) return e;
    const bool wide = get_bool(c, "use_double_wide_mlp") && n_shared && d_ff <= UINT32_MAX / 2;
    for (uint32_t l = 0; l < hp->n_layer; l++) {
        struct g4_layer_hp *p = &hp->layer[l];
        p->d_head = p->local ? d_head : d_global;
        p->n_kv = p->local ? n_kv : n_kv_global;
        p->k_is_v = k_is_v && !p->local;
        p->d_ff = wide && l + n_shared >= hp->n_layer ? 2 * d_ff : d_ff;
    }
    return read_layer_config(c, hp, err);
}

/* ---- rope ----------------------------------------------------------------- */

/* One block {rope_type, rope_theta, factor, partial_rotary_factor} of a kind of layers. */
static int read_rope_block(g4_json b, struct g4_hparams *hp, int kind, g4_err *err)
{
    g4_json type = g4_json_get(b, "rope_type");
    float factor = 1.0f, partial = 1.0f;
    int e;

    if (!type.p) type = g4_json_get(b, "type");
    if ((e = num(g4_json_get(b, "rope_theta"), "rope_theta", &hp->rope_base[kind], err)) ||
        (e = num(g4_json_get(b, "factor"), "factor", &factor, err)))
        return e;
    if (g4_json_is(type, "proportional"))
        e = num(g4_json_get(b, "partial_rotary_factor"), "partial_rotary_factor", &partial, err);
    else if (!type.p || g4_json_type(type) == G4_JSON_NULL || g4_json_is(type, "default"))
        factor = 1.0f;
    else if (!g4_json_is(type, "linear"))
        return g4_fail(err, G4_EUNSUP, "rope type %.*s is not supported", (int)(type.n < 80 ? type.n : 80), type.p);
    if (e) return e;
    if (kind == 1 && (factor != 1.0f || partial != 1.0f))
        return g4_fail(err, G4_EUNSUP, "rope scaling of sliding layers is not supported");
    if (kind == 0) {
        hp->rope_factor = factor;
        hp->rope_partial = partial;
    }
    return G4_OK;
}

static int read_rope(const struct config *c, struct g4_hparams *hp, g4_err *err)
{
    const g4_json params = field(c, "rope_parameters"), full = g4_json_get(params, "full_attention"),
                  local = g4_json_get(params, "sliding_attention"), scaling = field(c, "rope_scaling");
    const bool one_base = strcmp(hp->arch, "gemma2") == 0 || strcmp(hp->arch, "vaultgemma") == 0;
    int e = G4_OK;

    hp->rope_base[0] = one_base ? 1e4f : 1e6f;
    hp->rope_base[1] = 1e4f;
    if (!params.p && strcmp(hp->arch, "gemma4") == 0) hp->rope_partial = 0.25f;
    if (full.p || local.p) {
        if (full.p) e = read_rope_block(full, hp, 0, err);
        return e || !local.p ? e : read_rope_block(local, hp, 1, err);
    }
    if ((e = get_f32(c, "rope_theta", &hp->rope_base[0], err)) ||
        (e = get_f32(c, "rope_local_base_freq", &hp->rope_base[1], err)))
        return e;
    if (params.p) e = read_rope_block(params, hp, 0, err);
    if (!e && scaling.p) e = read_rope_block(scaling, hp, 0, err);
    if (one_base) hp->rope_base[1] = hp->rope_base[0];
    return e;
}

/* ---- the rest ------------------------------------------------------------- */

static int read_moe(const struct config *c, struct g4_hparams *hp, g4_err *err)
{
    int e;

    if (!get_bool(c, "enable_moe_block")) return G4_OK;
    if ((e = get_u32(c, "num_experts", true, &hp->n_expert, err)) || (e = get_u32(c, "top_k_experts", true, &hp->k_expert, err)))
        return e;
    if (!hp->n_expert) return g4_fail(err, G4_EFORMAT, "'num_experts' in config.json is 0");
    return get_u32(c, "moe_intermediate_size", true, &hp->d_expert, err);
}

/* EmbeddingGemma 1: the file says 2 r, or as transformers rewrites it r + 1 with |p - j| < r + 1, which
 * is odd for every even r.  EmbeddingGemma 2: the radius itself. */
static void encoder_window(struct g4_hparams *hp)
{
    if (strcmp(hp->arch, "gemma-embedding") == 0) hp->window = hp->window % 2 ? hp->window - 1 : hp->window / 2;
}

static int read_scale(const struct config *c, struct g4_hparams *hp, g4_err *err)
{
    float scalar = 256.0f;
    int e;

    if (hp->v_norm) return G4_OK; /* 1 */
    if ((e = get_f32(c, "query_pre_attn_scalar", &scalar, err))) return e;
    if (!(scalar > 0)) return g4_fail(err, G4_EFORMAT, "'query_pre_attn_scalar' in config.json is not positive");
    hp->attn_scale = 1.0f / sqrtf(scalar);
    return G4_OK;
}

int g4_hparams_hf(g4_weights *w, struct g4_hparams *hp, g4_arena *a, g4_err *err)
{
    struct config c = { .top = g4_weights_json(w, "config.json", err) };
    uint32_t n_layer = 0, n_shared = 0;
    int e;

    if (!c.top.p) return g4_fail(err, G4_EFORMAT, "no config.json in '%s'", g4_weights_path(w));
    c.text = g4_json_get(c.top, "text_config");
    if (g4_json_type(c.text) != G4_JSON_OBJECT) c.text = c.top;
    if ((e = read_arch(&c, hp, err))) return e;
    const bool capped = strcmp(hp->arch, "gemma2") == 0 || strcmp(hp->arch, "vaultgemma") == 0, three = !hp->v_norm && !capped;
    hp->eps = 1e-6f;
    hp->n_head = three ? 8 : 0;
    hp->context = three ? 131072 : 0;
    hp->window = hp->v_norm ? 0 : 4096;
    hp->attn_softcap = capped ? 50.0f : 0.0f;
    hp->final_softcap = capped || strcmp(hp->arch, "gemma4") == 0 ? 30.0f : 0.0f;
    if ((e = get_u32(&c, "num_hidden_layers", true, &n_layer, err)) || (e = g4_hparams_layers(hp, a, n_layer, err)) ||
        (e = get_u32(&c, "hidden_size", true, &hp->d_model, err)) ||
        (e = get_u32(&c, "num_attention_heads", !three, &hp->n_head, err)) ||
        (e = get_u32(&c, "max_position_embeddings", !three, &hp->context, err)) ||
        (e = get_u32(&c, "sliding_window", false, &hp->window, err)) ||
        (e = get_u32(&c, "num_kv_shared_layers", false, &n_shared, err)) ||
        (e = get_u32(&c, "hidden_size_per_layer_input", false, &hp->d_ple, err)) ||
        (e = get_f32(&c, "rms_norm_eps", &hp->eps, err)) ||
        (e = get_cap(&c, "attn_logit_softcapping", &hp->attn_softcap, err)) ||
        (e = get_cap(&c, "final_logit_softcapping", &hp->final_softcap, err)) || (e = read_layer_types(&c, hp, err)) ||
        (e = read_heads(&c, hp, n_shared, err)) || (e = read_rope(&c, hp, err)) || (e = read_moe(&c, hp, err)) ||
        (e = read_scale(&c, hp, err)))
        return e;
    if (hp->encoder) encoder_window(hp);
    if (hp->v_norm && !hp->encoder) hp->attn_softcap = 0; /* Gemma 4 has none, whatever a shared field says */
    return g4_hparams_finish(hp, n_shared, err);
}
