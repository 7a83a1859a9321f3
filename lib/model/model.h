/* model/model: hyper-parameters from the file, tensors bound to their roles, and
 * the networks written as readable lists of ops.  Nothing is recognised by a
 * model's name or size. */
#ifndef G4_MODEL_MODEL_H
#define G4_MODEL_MODEL_H

#include "device/device.h"
#include "text/chat.h"
#include "weights/weights.h"

struct g4_layer_hp {
    bool local;              /* sliding attention */
    uint32_t n_kv, d_head, d_ff;
    int32_t kv_layer;        /* layer in the cache whose KV it reads */
    bool owns_kv;
    bool k_is_v;             /* V is made of the raw K projection */
    bool moe;
};

struct g4_hparams {
    const char *arch;        /* "gemma4", "gemma3", "gemma2", "vaultgemma", "gemma-embedding", "gemma-embedding2" */
    uint32_t n_layer, d_model, n_head, n_vocab;
    uint32_t window;         /* local layers: causal p - j < window; encoders |p - j| <= window */
    uint32_t context;        /* trained */
    uint32_t d_ple;          /* 0: none */
    bool ple_table;          /* per-layer table present (Gemma 4); else projection only */
    uint32_t n_expert, k_expert, d_expert;
    float eps, attn_scale, attn_softcap, final_softcap;
    float rope_base[2], rope_factor; /* [0] global, [1] local; angles of global layers divided by rope_factor */
    float rope_partial;      /* global layers: share of the pairs that rotate (the exponent spans all of them); 1: all */
    bool v_norm, qk_norm, post_norms, encoder;
    uint32_t first_shared;   /* first layer that owns no KV and after which none does; n_layer: none */
    uint32_t d_embed;        /* encoders: components of the result */
    uint32_t n_owner;        /* layers that own KV */
    struct g4_layer_hp *layer; /* [n_layer] */
};

/* What generation_config / general.sampling.* say; NAN or -1: nothing. */
struct g4_gen_defaults {
    float temperature, top_p;
    int32_t top_k;
    int32_t *suppress;       /* ids never generated */
    size_t n_suppress;
    int32_t *stop;           /* end ids: file's and format's */
    size_t n_stop;
};

typedef struct g4_model g4_model;

/* Opens what the path holds.  text_only: tokenizer and chat format, no tensors. */
g4_model *g4_model_open(const char *path, bool text_only, g4_err *err);
void g4_model_free(g4_model *m);

const struct g4_hparams *g4_model_hp(const g4_model *m);          /* NULL when text_only */
const g4_tokenizer *g4_model_tokenizer(const g4_model *m);
enum g4_chat_format g4_model_chat(const g4_model *m);
const struct g4_gen_defaults *g4_model_defaults(const g4_model *m);
const char *g4_model_name(const g4_model *m);
const char *g4_model_digest(const g4_model *m);
uint64_t g4_model_bytes(const g4_model *m);
uint64_t g4_model_params(const g4_model *m);

/* Layers that own KV, for g4_kv_desc; *n of them; owned by the model. */
const g4_kv_layer *g4_model_kv_layers(const g4_model *m, uint32_t *n);

enum { G4_NET_TAPS = 1,      /* keep the residual stream after the embedding and after each layer, and after the last norm */
       G4_NET_NO_SKIP = 2 }; /* all rows go through the KV-sharing layers */

struct g4_net {              /* a plan and the buffers a caller reads */
    g4_plan *plan;
    int32_t logits;          /* buffer [OUT, n_vocab]; -1: none (encoder) */
    int32_t final;           /* buffer [OUT or ALL, d_model] after the last norm */
    int32_t pooled, unnormalised, embedding; /* encoders, SEQ rows: mean of the final rows [d_model], behind the
                              * head and unit length [d_embed]; -1: none */
    int32_t *hidden;         /* [n_layer + 1] with TAPS, else NULL.  Layers behind the last that owns KV run on OUT
                              * rows: to read all rows of every layer, make every row an output row. */
    int32_t ple;             /* per-layer inputs buffer; -1: none */
    uint32_t max_rows, max_out, max_seq;
    void *own;               /* ops and descriptions; freed by g4_model_net_free */
};

/* Emits the network for at most max_rows rows, max_out output rows and max_seq
 * sequences a step.  Prepares the weights on d at the first call. */
int g4_model_net(g4_model *m, g4_device *d, struct g4_kv_store *kv, uint32_t max_rows, uint32_t max_out,
                 uint32_t max_seq, unsigned flags, struct g4_net *out, g4_err *err);
void g4_model_net_free(g4_device *d, struct g4_net *net);

#endif
