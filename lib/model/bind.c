/* model/bind: tensors to their roles, by the names of GGUF or of Hugging Face
 * checkpoints, with every shape checked against the hyper-parameters.
 *
 * Names a model does not need (towers of other media, lm_head, K and V of layers
 * that share KV) are never looked at.  Only vectors are read here. */
#include "base/log.h"
#include "model/impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum role {
    ATTN_NORM, Q, K, V, O, Q_NORM, K_NORM, POST_ATTN_NORM, FFN_NORM, GATE, UP, DOWN, POST_FFN_NORM,
    PLE_GATE, PLE_PROJ_L, PLE_POST_NORM, SCALAR,
    ROUTER, ROUTER_SCALE, EXPERT_SCALE, EXP_GATE_UP, EXP_GATE, EXP_UP, EXP_DOWN, EXP_NORM, DENSE_POST_NORM, EXP_POST_NORM,
};

static const struct {
    const char *gguf, *hf;
} layer_names[] = {
    [ATTN_NORM] = { "attn_norm.weight", "input_layernorm.weight" },
    [Q] = { "attn_q.weight", "self_attn.q_proj.weight" },
    [K] = { "attn_k.weight", "self_attn.k_proj.weight" },
    [V] = { "attn_v.weight", "self_attn.v_proj.weight" },
    [O] = { "attn_output.weight", "self_attn.o_proj.weight" },
    [Q_NORM] = { "attn_q_norm.weight", "self_attn.q_norm.weight" },
    [K_NORM] = { "attn_k_norm.weight", "self_attn.k_norm.weight" },
    [POST_ATTN_NORM] = { "post_attention_norm.weight", "post_attention_layernorm.weight" },
    [FFN_NORM] = { "ffn_norm.weight", "pre_feedforward_layernorm.weight" },
    [GATE] = { "ffn_gate.weight", "mlp.gate_proj.weight" },
    [UP] = { "ffn_up.weight", "mlp.up_proj.weight" },
    [DOWN] = { "ffn_down.weight", "mlp.down_proj.weight" },
    [POST_FFN_NORM] = { "post_ffw_norm.weight", "post_feedforward_layernorm.weight" },
    [PLE_GATE] = { "inp_gate.weight", "per_layer_input_gate.weight" },
    [PLE_PROJ_L] = { "proj.weight", "per_layer_projection.weight" },
    [PLE_POST_NORM] = { "post_norm.weight", "post_per_layer_input_norm.weight" },
    [SCALAR] = { "layer_output_scale.weight", "layer_scalar" },
    [ROUTER] = { "ffn_gate_inp.weight", "router.proj.weight" },
    [ROUTER_SCALE] = { "ffn_gate_inp.scale", "router.scale" },
    [EXPERT_SCALE] = { "ffn_down_exps.scale", "router.per_expert_scale" },
    [EXP_GATE_UP] = { "ffn_gate_up_exps.weight", "experts.gate_up_proj" },
    [EXP_GATE] = { "ffn_gate_exps.weight", "experts.gate_proj" },
    [EXP_UP] = { "ffn_up_exps.weight", "experts.up_proj" },
    [EXP_DOWN] = { "ffn_down_exps.weight", "experts.down_proj" },
    [EXP_NORM] = { "pre_ffw_norm_2.weight", "pre_feedforward_layernorm_2.weight" },
    [DENSE_POST_NORM] = { "post_ffw_norm_1.weight", "post_feedforward_layernorm_1.weight" },
    [EXP_POST_NORM] = { "post_ffw_norm_2.weight", "post_feedforward_layernorm_2.weight" },
};

const char *g4_bind_gguf_name(const char *hf)
{
    for (size_t i = 0; i < sizeof layer_names / sizeof *layer_names; i++)
        if (strcmp(layer_names[i].hf, hf) == 0) return layer_names[i].gguf;
    return NULL;
}

struct binder {
    g4_model *m;
    bool gguf, one_plus;
    const char *prefix;     /* of Hugging Face names */
    char name[160];         /* the name last looked up */
};

/* ---- finding -------------------------------------------------------------- */

static const g4_tensor *find_global(struct binder *b, const char *gguf, const char *hf)
{
    if (b->gguf)
        snprintf(b->name, sizeof b->name, "%s", gguf);
    else
        snprintf(b->name, sizeof b->name, "%s%s", b->prefix, hf);
    return g4_weights_find(b->m->file, b->name);
}

static const g4_tensor *find_layer(struct binder *b, uint32_t l, enum role role)
{
    if (b->gguf)
        snprintf(b->name, sizeof b->name, "blk.%u.%s", l, layer_names[role].gguf);
    else if (strcmp(b->m->hp.arch, "gemma-embedding2") == 0 && role >= PLE_GATE && role <= PLE_POST_NORM)
        snprintf(b->name, sizeof b->name, "%slayers.%u.ple_block.%s", b->prefix, l, layer_names[role].hf);
    else
        snprintf(b->name, sizeof b->name, "%slayers.%u.%s", b->prefix, l, layer_names[role].hf);
    const g4_tensor *t = g4_weights_find(b->m->file, b->name);
    if (t || b->gguf || role < PLE_GATE || role > PLE_POST_NORM) return t;
    snprintf(b->name, sizeof b->name, "%slayers.%u.%s", b->prefix, l, layer_names[role].hf);
    return g4_weights_find(b->m->file, b->name);
}

/* ---- checking and binding -------------------------------------------------- */

static int missing(struct binder *b, g4_err *err)
{
    return g4_fail(err, G4_EFORMAT, "missing tensor '%s'", b->name);
}

/* Wanted dimensions, contiguous one first; 0: any.  Trailing ones of the file count as absent. */
static int check_shape(const g4_tensor *t, const uint64_t want[3], g4_err *err)
{
    bool same = t->ne[3] == 1;

    for (int i = 0; i < 3; i++) same = same && (!want[i] || t->ne[i] == want[i]);
    if (same) return G4_OK;
    return g4_fail(err, G4_EFORMAT, "tensor '%s' has the shape [%" PRIu64 ", %" PRIu64 ", %" PRIu64 "], expected [%" PRIu64 ", %" PRIu64 ", %" PRIu64 "]",
                   t->name, t->ne[0], t->ne[1], t->ne[2], want[0], want[1], want[2]);
}

static g4_weight *keep(g4_model *m, const g4_weight *w)
{
    g4_weight *own = g4_arena_alloc(&m->arena, sizeof *own);

    *own = *w;
    if (m->n_all == m->cap_all) G4_GROW(m->all, m->cap_all, m->n_all + 1);
    return m->all[m->n_all++] = own;
}

static int bind_matrix(struct binder *b, const g4_tensor *t, uint64_t cols, uint64_t rows, uint64_t n, g4_weight **out, g4_err *err)
{
    int e;

    if (!t) return missing(b, err);
    const g4_dtype_info *info = g4_dtype_get(t->type);
    if ((e = check_shape(t, (const uint64_t[]){ cols, rows, n }, err))) return e;
    if (!info || !info->decode)
        return g4_fail(err, G4_EUNSUP, "tensor '%s' has the type %s, which is not supported", t->name, info ? info->name : "?");
    if (t->ne[0] % info->block || t->ne[0] > UINT32_MAX || t->ne[1] > INT32_MAX || t->ne[2] > UINT32_MAX)
        return g4_fail(err, G4_EFORMAT, "tensor '%s' has rows of %" PRIu64 " values, not whole blocks of %s", t->name, t->ne[0], info->name);
    const g4_weight w = { .type = t->type, .cols = (uint32_t)t->ne[0], .rows = (uint32_t)t->ne[1], .n = (uint32_t)t->ne[2],
                          .row_bytes = (size_t)t->ne[0] / info->block * info->bytes, .data = t->data, .name = t->name };
    size_t need;
    if (!g4_size_mul(w.row_bytes, w.rows, &need) || !g4_size_mul(need, w.n, &need) || need > t->bytes)
        return g4_fail(err, G4_EFORMAT, "tensor '%s' is shorter than its shape says", t->name);
    *out = keep(b->m, &w);
    return G4_OK;
}

/* A vector as f32; plus: what is added to every value (one-plus norms). */
static int bind_vector(struct binder *b, const g4_tensor *t, uint64_t n, float plus, g4_weight **out, g4_err *err)
{
    int e;

    if (!t) return missing(b, err);
    const g4_dtype_info *info = g4_dtype_get(t->type);
    if ((e = check_shape(t, (const uint64_t[]){ n, 1, 1 }, err))) return e;
    if (!info || !info->decode || n % info->block || n / info->block * info->bytes > t->bytes)
        return g4_fail(err, G4_EUNSUP, "tensor '%s' has the type %s, which is not supported here", t->name, info ? info->name : "?");
    g4_weight w = { .type = G4_F32, .cols = (uint32_t)n, .rows = 1, .n = 1, .row_bytes = n * sizeof(float), .data = t->data, .name = t->name };
    if (t->type != G4_F32 || plus != 0 || (uintptr_t)t->data % sizeof(float)) {
        float *v = g4_arena_alloc(&b->m->arena, n * sizeof *v);
        info->decode(t->data, v, n);
        for (uint64_t i = 0; i < n; i++) v[i] += plus;
        w.data = (const uint8_t *)v;
    }
    *out = keep(b->m, &w);
    return G4_OK;
}

static int layer_matrix(struct binder *b, uint32_t l, enum role role, uint64_t cols, uint64_t rows, uint64_t n, g4_weight **out, g4_err *err)
{
    return bind_matrix(b, find_layer(b, l, role), cols, rows, n, out, err);
}

static int layer_norm(struct binder *b, uint32_t l, enum role role, uint64_t n, g4_weight **out, g4_err *err)
{
    return bind_vector(b, find_layer(b, l, role), n, b->one_plus ? 1.0f : 0.0f, out, err);
}

static int layer_vector(struct binder *b, uint32_t l, enum role role, uint64_t n, g4_weight **out, g4_err *err)
{
    return bind_vector(b, find_layer(b, l, role), n, 0, out, err);
}

/* ---- a layer --------------------------------------------------------------- */

static int bind_attention(struct binder *b, uint32_t l, g4_err *err)
{
    const struct g4_hparams *hp = &b->m->hp;
    struct g4_layer_hp *p = &hp->layer[l];
    struct g4_layer_w *w = &b->m->w[l];
    const uint64_t d = hp->d_model, dq = (uint64_t)hp->n_head * p->d_head, dkv = (uint64_t)p->n_kv * p->d_head;
    int e;

    if ((e = layer_norm(b, l, ATTN_NORM, d, &w->attn_norm, err)) || (e = layer_matrix(b, l, Q, d, dq, 1, &w->q, err)) ||
        (e = layer_matrix(b, l, O, dq, d, 1, &w->o, err)))
        return e;
    if (hp->qk_norm && (e = layer_norm(b, l, Q_NORM, p->d_head, &w->q_norm, err))) return e;
    if (hp->post_norms && (e = layer_norm(b, l, POST_ATTN_NORM, d, &w->post_attn_norm, err))) return e;
    if (!p->owns_kv) return G4_OK;
    if ((e = layer_matrix(b, l, K, d, dkv, 1, &w->k, err))) return e;
    if (hp->qk_norm && (e = layer_norm(b, l, K_NORM, p->d_head, &w->k_norm, err))) return e;
    /* Global layers of Gemma 4 may make V of K's projection: then there is no V tensor. */
    if (hp->v_norm && !hp->encoder && !p->local && (p->k_is_v || !find_layer(b, l, V))) {
        p->k_is_v = true;
        return G4_OK;
    }
    return layer_matrix(b, l, V, d, dkv, 1, &w->v, err);
}

static int bind_experts(struct binder *b, uint32_t l, g4_err *err)
{
    const struct g4_hparams *hp = &b->m->hp;
    struct g4_layer_w *w = &b->m->w[l];
    const uint64_t d = hp->d_model, n = hp->n_expert, de = hp->d_expert;
    int e;

    if ((e = layer_matrix(b, l, ROUTER, d, n, 1, &w->router, err)) ||
        (e = layer_vector(b, l, ROUTER_SCALE, d, &w->router_scale, err)) ||
        (e = layer_vector(b, l, EXPERT_SCALE, n, &w->expert_scale, err)) ||
        (e = layer_norm(b, l, EXP_NORM, d, &w->exp_norm, err)) ||
        (e = layer_norm(b, l, DENSE_POST_NORM, d, &w->dense_post_norm, err)) ||
        (e = layer_norm(b, l, EXP_POST_NORM, d, &w->exp_post_norm, err)) ||
        (e = layer_matrix(b, l, EXP_DOWN, de, d, n, &w->exp_down, err)))
        return e;
    if (!find_layer(b, l, EXP_GATE)) return layer_matrix(b, l, EXP_GATE_UP, d, 2 * de, n, &w->exp_gate, err);
    if ((e = layer_matrix(b, l, EXP_GATE, d, de, n, &w->exp_gate, err))) return e;
    return layer_matrix(b, l, EXP_UP, d, de, n, &w->exp_up, err);
}

static int bind_scalar(struct binder *b, uint32_t l, g4_err *err)
{
    const g4_tensor *t = find_layer(b, l, SCALAR);
    g4_weight *v;
    int e;

    b->m->w[l].scalar = 1.0f;
    if (!b->m->hp.v_norm || !t) return G4_OK;
    if ((e = bind_vector(b, t, 1, 0, &v, err))) return e;
    b->m->w[l].scalar = *(const float *)v->data;
    return G4_OK;
}

static int bind_layer(struct binder *b, uint32_t l, g4_err *err)
{
    const struct g4_hparams *hp = &b->m->hp;
    struct g4_layer_w *w = &b->m->w[l];
    const uint64_t d = hp->d_model, f = hp->layer[l].d_ff, p = hp->d_ple;
    int e;

    if ((e = bind_attention(b, l, err)) || (e = layer_norm(b, l, FFN_NORM, d, &w->ffn_norm, err)) ||
        (e = layer_matrix(b, l, GATE, d, f, 1, &w->gate, err)) || (e = layer_matrix(b, l, UP, d, f, 1, &w->up, err)) ||
        (e = layer_matrix(b, l, DOWN, f, d, 1, &w->down, err)))
        return e;
    if (hp->post_norms && (e = layer_norm(b, l, POST_FFN_NORM, d, &w->post_ffn_norm, err))) return e;
    if (hp->layer[l].moe && (e = bind_experts(b, l, err))) return e;
    if (p && ((e = layer_matrix(b, l, PLE_GATE, d, p, 1, &w->ple_gate, err)) ||
              (e = layer_matrix(b, l, PLE_PROJ_L, p, d, 1, &w->ple_proj, err)) ||
              (e = layer_norm(b, l, PLE_POST_NORM, d, &w->ple_post_norm, err))))
        return e;
    return bind_scalar(b, l, err);
}

/* ---- outside the layers ----------------------------------------------------- */

static int bind_ple(struct binder *b, g4_err *err)
{
    g4_model *m = b->m;
    const uint64_t lp = (uint64_t)m->hp.n_layer * m->hp.d_ple;
    const bool two = strcmp(m->hp.arch, "gemma-embedding2") == 0;
    const g4_tensor *proj = find_global(b, "per_layer_model_proj.weight", two ? "ple.per_layer_model_projection.weight" : "per_layer_model_projection.weight");
    int e;

    if (!proj) proj = find_global(b, "per_layer_model_proj.weight", "per_layer_model_projection.weight");
    if ((e = bind_matrix(b, proj, m->hp.d_model, lp, 1, &m->ple_proj, err))) return e;
    const g4_tensor *norm = find_global(b, "per_layer_proj_norm.weight", two ? "ple.per_layer_projection_norm.weight" : "per_layer_projection_norm.weight");
    if (!norm) norm = find_global(b, "per_layer_proj_norm.weight", "per_layer_projection_norm.weight");
    if ((e = bind_vector(b, norm, m->hp.d_ple, b->one_plus ? 1.0f : 0.0f, &m->ple_norm, err)) || !m->hp.ple_table) return e;
    const g4_tensor *table = find_global(b, "per_layer_token_embd.weight", "embed_tokens_per_layer.weight");
    if ((e = bind_matrix(b, table, lp, 0, 1, &m->ple_table, err))) return e;
    if (m->ple_table->rows < m->hp.n_vocab)
        return g4_fail(err, G4_EUNSUP, "tensor '%s' has %u rows for %u token ids", table->name, m->ple_table->rows, m->hp.n_vocab);
    return G4_OK;
}

/* A dense layer of EmbeddingGemma 1: in the GGUF, or a side file of the folder. */
static int bind_dense(struct binder *b, int i, uint64_t cols, uint64_t rows, bool *found, g4_err *err)
{
    static const char *const gguf[2] = { "dense_2.weight", "dense_3.weight" };
    static const char *const file[2] = { "2_Dense/model.safetensors", "3_Dense/model.safetensors" };
    const g4_tensor *t;

    snprintf(b->name, sizeof b->name, "%s", b->gguf ? gguf[i] : file[i]);
    if (b->gguf) {
        t = g4_weights_find(b->m->file, gguf[i]);
    } else {
        g4_err e = { 0 };
        t = g4_weights_side_tensor(b->m->file, file[i], "linear.weight", &e);
        if (e.code) return g4_fail(err, e.code, "%s", e.msg);
        if (g4_weights_side_tensor(b->m->file, file[i], "linear.bias", NULL))
            return g4_fail(err, G4_EUNSUP, "the dense layer of '%s' has a bias, which is not supported", file[i]);
    }
    *found = t != NULL;
    return t ? bind_matrix(b, t, cols, rows, 1, &b->m->dense[i], err) : G4_OK;
}

static int bind_encoder(struct binder *b, g4_err *err)
{
    g4_model *m = b->m;
    bool first, second;
    int e;

    m->hp.d_embed = m->hp.d_model;
    if (strcmp(m->hp.arch, "gemma-embedding2") == 0) {
        e = bind_matrix(b, find_global(b, "output.weight", "embedding_projection.weight"), m->hp.d_model, 0, 1, &m->project, err);
        if (!e) m->hp.d_embed = m->project->rows;
        return e;
    }
    if ((e = bind_dense(b, 0, m->hp.d_model, 0, &first, err))) return e;
    if ((e = bind_dense(b, 1, first ? m->dense[0]->rows : 0, 0, &second, err))) return e;
    if (first != second) return g4_fail(err, G4_EFORMAT, "one of the two dense layers is missing");
    if (second)
        m->hp.d_embed = m->dense[1]->rows;
    else
        g4_log(G4_LOG_WARN, "this file lacks the dense head: its vectors cannot be compared with those of complete files");
    return G4_OK;
}

const char *g4_bind_prefix(g4_weights *w)
{
    static const char *const prefixes[] = { "model.language_model.", "model.", "language_model.model.", "language_model.", "" };
    char name[80];

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        snprintf(name, sizeof name, "%sembed_tokens.weight", prefixes[i]);
        if (g4_weights_find(w, name)) return prefixes[i];
    }
    return "";
}

static int bind_global(struct binder *b, g4_err *err)
{
    g4_model *m = b->m;
    const g4_tensor *t;
    int e;

    if ((e = bind_matrix(b, find_global(b, "token_embd.weight", "embed_tokens.weight"), m->hp.d_model, 0, 1, &m->embed, err))) return e;
    m->hp.n_vocab = m->embed->rows;
    if (!m->hp.n_vocab) return g4_fail(err, G4_EFORMAT, "tensor '%s' has no rows", b->name);
    if ((e = bind_vector(b, find_global(b, "output_norm.weight", "norm.weight"), m->hp.d_model, b->one_plus ? 1.0f : 0.0f, &m->final_norm, err)))
        return e;
    if (m->hp.d_ple && (e = bind_ple(b, err))) return e;
    if (m->hp.encoder) return bind_encoder(b, err);
    m->head = m->embed; /* lm_head of a checkpoint repeats the embedding; a GGUF may have a head of its own */
    if (b->gguf && (t = g4_weights_find(m->file, "output.weight")))
        return bind_matrix(b, t, m->hp.d_model, m->hp.n_vocab, 1, &m->head, err);
    return G4_OK;
}

/* ---- angles ---------------------------------------------------------------- */

/* Head length of the first layer of a kind; 0: there is none. */
static uint32_t head_of(const struct g4_hparams *hp, bool local)
{
    for (uint32_t l = 0; l < hp->n_layer; l++)
        if (hp->layer[l].local == local) return hp->layer[l].d_head;
    return 0;
}

/* Angle of pair i a position: base^(-2i / d) / divisor(i).  Global layers: the file's rope_freqs divides
 * pair by pair, or the first share of pairs rotates and the others stand still; then the linear factor. */
static int make_angles(struct binder *b, bool local, g4_err *err)
{
    g4_model *m = b->m;
    const uint32_t d = head_of(&m->hp, local), half = d / 2;
    const uint32_t n_rot = local ? half : (uint32_t)(m->hp.rope_partial * (float)d / 2.0f);
    const g4_tensor *t = !local && b->gguf ? g4_weights_find(m->file, "rope_freqs.weight") : NULL;
    const double base = m->hp.rope_base[local], factor = local ? 1.0 : m->hp.rope_factor;
    g4_weight *div = NULL;
    int e;

    if (!d) return G4_OK;
    if (t && (e = bind_vector(b, t, half, 0, &div, err))) return e;
    float *f = g4_arena_alloc(&m->arena, half * sizeof *f);
    for (uint32_t i = 0; i < half; i++) {
        const double by = div ? ((const float *)div->data)[i] : i < n_rot ? 1.0 : INFINITY;
        if (!(by > 0)) return g4_fail(err, G4_EFORMAT, "tensor 'rope_freqs.weight' holds a value that is not positive");
        f[i] = by >= 1e29 ? 0.0f : (float)(pow(base, -2.0 * i / d) / factor / by);
    }
    m->freq[local] = f;
    return G4_OK;
}

int g4_bind(g4_model *m, g4_err *err)
{
    struct binder b = { .m = m, .gguf = g4_weights_is_gguf(m->file) };
    int e;

    b.one_plus = !b.gguf && g4_arch_one_plus(m->hp.arch);
    b.prefix = b.gguf ? "" : g4_bind_prefix(m->file);
    m->w = g4_arena_alloc(&m->arena, m->hp.n_layer * sizeof *m->w);
    if ((e = bind_global(&b, err))) return e;
    for (uint32_t l = 0; l < m->hp.n_layer; l++)
        if ((e = bind_layer(&b, l, err))) return e;
    if ((e = make_angles(&b, false, err)) || (e = make_angles(&b, true, err))) return e;
    m->kv = g4_arena_alloc(&m->arena, m->hp.n_owner * sizeof *m->kv);
    for (uint32_t l = 0; l < m->hp.first_shared; l++) {
        const struct g4_layer_hp *p = &m->hp.layer[l];
        m->kv[p->kv_layer] = (g4_kv_layer){ .pool = p->local, .n_kv = p->n_kv, .d_head = p->d_head };
    }
    return G4_OK;
}
