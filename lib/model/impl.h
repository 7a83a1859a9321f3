/* model/impl: what the files of lib/model share; not for others.
 *
 * A g4_model owns the mapped file, the tokenizer, the hyper-parameters and the
 * bound tensors.  Matrices borrow the mapping and are not touched; vectors (norm
 * weights, scales) are f32: in place when the file has them so, else converted
 * into the arena. */
#ifndef G4_MODEL_IMPL_H
#define G4_MODEL_IMPL_H

#include "base/mem.h"
#include "model/model.h"

struct g4_layer_w {          /* NULL: the layer has none */
    g4_weight *attn_norm, *q, *k, *v, *o, *q_norm, *k_norm, *post_attn_norm;
    g4_weight *ffn_norm, *gate, *up, *down, *post_ffn_norm;
    g4_weight *ple_gate, *ple_proj, *ple_post_norm;
    g4_weight *router, *router_scale, *expert_scale, *exp_gate, *exp_up, *exp_down; /* exp_up NULL: gate holds both */
    g4_weight *exp_norm, *dense_post_norm, *exp_post_norm;
    float scalar;            /* multiplies the residual stream behind the layer; 1: none */
};

struct g4_model {
    g4_weights *file;
    g4_tokenizer *tok;
    enum g4_chat_format chat;
    struct g4_gen_defaults gen;
    char *name;
    uint64_t n_param;

    g4_arena arena;          /* layers, weights, converted vectors, angles */
    struct g4_hparams hp;
    bool has_hp;
    g4_kv_layer *kv;         /* [hp.n_owner] */
    const float *freq[2];    /* angles a position, [d_head/2]: global, local */

    struct g4_layer_w *w;    /* [hp.n_layer] */
    g4_weight *embed, *head, *final_norm;
    g4_weight *ple_table, *ple_proj, *ple_norm;
    g4_weight *project;      /* EmbeddingGemma 2: behind the mean */
    g4_weight *dense[2];     /* EmbeddingGemma 1 */

    g4_weight **all;         /* every bound weight, for the device */
    size_t n_all, cap_all;
    g4_device *prepared;     /* the device that has seen them */
};

/* hparams.c: arch is one of the names in g4_hparams.  Range checks, owners of KV, donors. */
int g4_hparams_finish(struct g4_hparams *hp, uint32_t n_shared, g4_err *err);
/* Allocates hp->layer in the arena; G4_EFORMAT for a number of layers out of range. */
int g4_hparams_layers(struct g4_hparams *hp, g4_arena *a, uint64_t n_layer, g4_err *err);
/* Pattern: every period-th layer is global, the others local; 0: all global. */
void g4_hparams_pattern(struct g4_hparams *hp, uint32_t period);
/* What an architecture fixes and no file says: norms, V-norm, scale. */
void g4_hparams_arch(struct g4_hparams *hp, const char *arch);
bool g4_arch_one_plus(const char *arch);  /* safetensors hold norm weights minus one */

int g4_hparams_gguf(g4_weights *w, struct g4_hparams *hp, g4_arena *a, g4_err *err);
int g4_hparams_hf(g4_weights *w, struct g4_hparams *hp, g4_arena *a, g4_err *err);

/* bind.c: fills m->w and the rest, n_vocab, d_embed, k_is_v. */
int g4_bind(g4_model *m, g4_err *err);
/* The GGUF name behind "blk.N." of a layer's tensor of a checkpoint ("mlp.up_proj.weight"); NULL: none. */
const char *g4_bind_gguf_name(const char *hf);
/* What stands before "layers." in a checkpoint's names. */
const char *g4_bind_prefix(g4_weights *w);

/* defaults.c: sampling, ids that are never generated, ids that end. */
int g4_defaults_load(g4_model *m, g4_err *err);
/* The model's own chat template as text, appended to out; nothing when there is none. */
int g4_template_load(g4_weights *w, g4_str *out, g4_err *err);

/* card.c: `license: NAME` of the front matter of a folder's README.md; {NULL, 0}: none. */
g4_sv g4_card_license(g4_weights *w);

#endif
