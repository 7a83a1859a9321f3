/* model/hparams_gguf: hyper-parameters from GGUF metadata.  Keys are ARCH.name;
 * a key may hold one value for all layers or one a layer. */
#include "base/log.h"
#include "model/impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct reader {
    g4_weights *w;
    const char *arch;
    char key[160];
};

static const g4_kv *find(struct reader *r, const char *name)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->arch, name);
    return g4_weights_kv(r->w, r->key);
}

/* A value that must be there (need) or keeps *out. */
static int get_u32(struct reader *r, const char *name, bool need, uint32_t *out, g4_err *err)
{
    const g4_kv *kv = find(r, name);
    uint64_t v;

    if (!kv) return need ? g4_fail(err, G4_EFORMAT, "missing key '%s'", r->key) : G4_OK;
    if (!g4_kv_u64(kv, 0, &v) || v > UINT32_MAX) return g4_fail(err, G4_EFORMAT, "key '%s' is no 32-bit number", r->key);
    *out = (uint32_t)v;
    return G4_OK;
}

static int get_f32(struct reader *r, const char *name, bool need, float *out, g4_err *err)
{
    const g4_kv *kv = find(r, name);
    double v;

    if (!kv) return need ? g4_fail(err, G4_EFORMAT, "missing key '%s'", r->key) : G4_OK;
    if (!g4_kv_f64(kv, 0, &v)) return g4_fail(err, G4_EFORMAT, "key '%s' is no number", r->key);
    *out = (float)v;
    return G4_OK;
}

/* Element l of a key that is one value for all layers or an array a layer. */
static int get_layer(struct reader *r, const char *name, uint32_t l, uint32_t *out, g4_err *err)
{
    const g4_kv *kv = find(r, name);
    uint64_t v;

    if (!kv) return g4_fail(err, G4_EFORMAT, "missing key '%s'", r->key);
    if (!g4_kv_u64(kv, kv->type == 9 ? l : 0, &v) || v > UINT32_MAX)
        return g4_fail(err, G4_EFORMAT, "key '%s' has no number for layer %u", r->key, l);
    *out = (uint32_t)v;
    return G4_OK;
}

/* local[l] from an array of bools, a period, or the architecture's own period. */
static int get_pattern(struct reader *r, struct g4_hparams *hp, uint32_t period, g4_err *err)
{
    const g4_kv *kv = find(r, "attention.sliding_window_pattern");
    uint64_t v;

    if (!kv || kv->type != 9) {
        if (kv && !g4_kv_u64(kv, 0, &v)) return g4_fail(err, G4_EFORMAT, "key '%s' is no number", r->key);
        g4_hparams_pattern(hp, kv ? (uint32_t)v : period);
        return G4_OK;
    }
    for (uint32_t l = 0; l < hp->n_layer; l++) {
        bool b;
        if (!g4_kv_bool(kv, l, &b)) {
            if (!g4_kv_u64(kv, l, &v)) return g4_fail(err, G4_EFORMAT, "key '%s' has no value for layer %u", r->key, l);
            b = v != 0;
        }
        hp->layer[l].local = b;
    }
    return G4_OK;
}

static int get_scaling(struct reader *r, struct g4_hparams *hp, g4_err *err)
{
    const g4_kv *kv = find(r, "rope.scaling.type");
    g4_sv type = G4_SV("none");

    if (kv && !g4_kv_str(kv, &type)) return g4_fail(err, G4_EFORMAT, "key '%s' is no string", r->key);
    if (g4_sv_eq(type, "none")) return G4_OK;
    if (!g4_sv_eq(type, "linear")) return g4_fail(err, G4_EUNSUP, "rope scaling '%.*s' is not supported", (int)type.n, type.p);
    return get_f32(r, "rope.scaling.factor", true, &hp->rope_factor, err);
}

/* Head lengths: key_length is the global layers' (all layers' without a local one). */
static int get_heads(struct reader *r, struct g4_hparams *hp, g4_err *err)
{
    uint32_t global = hp->n_head ? hp->d_model / hp->n_head : 0, local, value, rot;
    int e;

    if ((e = get_u32(r, "attention.key_length", false, &global, err))) return e;
    local = global;
    if ((e = get_u32(r, "attention.key_length_swa", false, &local, err))) return e;
    for (int i = 0; i < 2; i++) {
        const uint32_t want = i ? local : global;
        value = rot = want;
        if ((e = get_u32(r, i ? "attention.value_length_swa" : "attention.value_length", false, &value, err))) return e;
        if (value != want) return g4_fail(err, G4_EUNSUP, "heads of different key and value length (%u, %u)", want, value);
        if ((e = get_u32(r, i ? "rope.dimension_count_swa" : "rope.dimension_count", false, &rot, err))) return e;
        if (rot != want) return g4_fail(err, G4_EUNSUP, "rotation of %u out of %u components", rot, want);
    }
    for (uint32_t l = 0; l < hp->n_layer; l++) hp->layer[l].d_head = hp->layer[l].local ? local : global;
    return G4_OK;
}

/* Derived as no key carries it: 1/sqrt(head length), but 1/sqrt(d/H) in the 62-layer Gemma 3 and the
 * 46-layer Gemma 2; Gemma 4's is 1. */
static int get_scale(struct reader *r, struct g4_hparams *hp, g4_err *err)
{
    const bool by_width = (strcmp(hp->arch, "gemma3") == 0 && hp->n_layer == 62) ||
                          (strcmp(hp->arch, "gemma2") == 0 && hp->n_layer == 46);

    if (!hp->v_norm)
        hp->attn_scale = by_width ? 1.0f / sqrtf((float)hp->d_model / (float)hp->n_head) : 1.0f / sqrtf((float)hp->layer[0].d_head);
    return get_f32(r, "attention.scale", false, &hp->attn_scale, err);
}

/* |p - j| <= radius: the key of encoders is twice the radius; EmbeddingGemma 2 files are seen with both. */
static void encoder_window(struct g4_hparams *hp)
{
    if (strcmp(hp->arch, "gemma-embedding2") == 0 && hp->window == 512) return;
    if (strcmp(hp->arch, "gemma-embedding2") == 0 && hp->window != 1024)
        g4_log(G4_LOG_WARN, "sliding window %u of this encoder is read as a radius of %u", hp->window, hp->window / 2);
    hp->window /= 2;
}

static int get_moe(struct reader *r, struct g4_hparams *hp, g4_err *err)
{
    int e = get_u32(r, "expert_count", false, &hp->n_expert, err);

    if (e || !hp->n_expert) return e;
    if ((e = get_u32(r, "expert_used_count", true, &hp->k_expert, err))) return e;
    return get_u32(r, "expert_feed_forward_length", true, &hp->d_expert, err);
}

static int get_encoder(struct reader *r, struct g4_hparams *hp, g4_err *err)
{
    uint32_t pooling = 1;
    int e = get_u32(r, "pooling_type", false, &pooling, err);

    if (e) return e;
    if (pooling != 1) return g4_fail(err, G4_EUNSUP, "pooling type %u is not supported (1, mean, is)", pooling);
    encoder_window(hp);
    return G4_OK;
}

static int read_arch(g4_weights *w, struct g4_hparams *hp, g4_err *err)
{
    static const char *const known[] = { "gemma4", "gemma3", "gemma2", "gemma-embedding", "gemma-embedding2" };
    const g4_kv *kv = g4_weights_kv(w, "general.architecture");
    g4_sv arch;

    if (!kv || !g4_kv_str(kv, &arch)) return g4_fail(err, G4_EFORMAT, "missing key 'general.architecture'");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (g4_sv_eq(arch, known[i])) {
            g4_hparams_arch(hp, known[i]);
            return G4_OK;
        }
    if (g4_sv_eq(arch, "gemma4-assistant") || g4_sv_eq(arch, "gemma4_assistant") || g4_sv_eq(arch, "gemma4_mtp"))
        return g4_fail(err, G4_EUNSUP, "architecture '%.*s' is a drafter, not a model of its own", (int)arch.n, arch.p);
    return g4_fail(err, G4_EUNSUP, "architecture '%.*s' is not supported", (int)(arch.n < 80 ? arch.n : 80), arch.p);
}

static int read_layers(struct reader *r, struct g4_hparams *hp, g4_err *err)
{
    const uint32_t period = strcmp(hp->arch, "gemma2") == 0 ? 2 : 6;
    int e = get_pattern(r, hp, period, err);

    if (e || (e = get_heads(r, hp, err))) return e;
    for (uint32_t l = 0; l < hp->n_layer; l++)
        if ((e = get_layer(r, "attention.head_count_kv", l, &hp->layer[l].n_kv, err)) ||
            (e = get_layer(r, "feed_forward_length", l, &hp->layer[l].d_ff, err)))
            return e;
    return G4_OK;
}

int g4_hparams_gguf(g4_weights *w, struct g4_hparams *hp, g4_arena *a, g4_err *err)
{
    struct reader r = { .w = w };
    uint32_t n_layer = 0, n_shared = 0;
    int e = read_arch(w, hp, err);

    if (e) return e;
    const bool two = strcmp(hp->arch, "gemma2") == 0, four = strcmp(hp->arch, "gemma4") == 0;
    r.arch = hp->arch;
    hp->eps = 1e-6f;
    hp->window = two ? 4096 : 0;
    hp->attn_softcap = two ? 50.0f : 0.0f;
    hp->final_softcap = two || four ? 30.0f : 0.0f;
    hp->rope_base[0] = two ? 1e4f : 1e6f;
    hp->rope_base[1] = 1e4f;
    hp->rope_partial = four ? 0.25f : 1.0f; /* the file's own rope_freqs tensor wins */
    if ((e = get_u32(&r, "block_count", true, &n_layer, err)) || (e = g4_hparams_layers(hp, a, n_layer, err)) ||
        (e = get_u32(&r, "embedding_length", true, &hp->d_model, err)) ||
        (e = get_u32(&r, "attention.head_count", true, &hp->n_head, err)) ||
        (e = get_u32(&r, "context_length", true, &hp->context, err)) ||
        (e = get_u32(&r, "attention.sliding_window", false, &hp->window, err)) ||
        (e = get_u32(&r, "attention.shared_kv_layers", false, &n_shared, err)) ||
        (e = get_u32(&r, "embedding_length_per_layer_input", false, &hp->d_ple, err)) ||
        (e = get_f32(&r, "attention.layer_norm_rms_epsilon", false, &hp->eps, err)) ||
        (e = get_f32(&r, "rope.freq_base", false, &hp->rope_base[0], err)) ||
        (e = get_f32(&r, "rope.freq_base_swa", false, &hp->rope_base[1], err)) ||
        (e = get_f32(&r, "attn_logit_softcapping", false, &hp->attn_softcap, err)) ||
        (e = get_f32(&r, "final_logit_softcapping", false, &hp->final_softcap, err)) ||
        (e = read_layers(&r, hp, err)) || (e = get_scaling(&r, hp, err)) || (e = get_moe(&r, hp, err)) ||
        (e = get_scale(&r, hp, err)) || (hp->encoder && (e = get_encoder(&r, hp, err))))
        return e;
    if (two) hp->rope_base[1] = hp->rope_base[0]; /* one base for both kinds */
    return g4_hparams_finish(hp, n_shared, err);
}
