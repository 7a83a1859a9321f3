/* model/hparams: the numbers that make a model, and what its files say about
 * generation. */
#ifndef G4_MODEL_HPARAMS_H
#define G4_MODEL_HPARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
