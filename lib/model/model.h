/* model/model: hyper-parameters from the file, tensors bound to their roles, and
 * the networks written as readable lists of ops.  Nothing is recognised by a
 * model's name or size. */
#ifndef G4_MODEL_MODEL_H
#define G4_MODEL_MODEL_H

#include "device/device.h"
#include "model/hparams.h"
#include "text/chat.h"
#include "weights/weights.h"

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
