/* engine/engine: a loaded model on a device; sequences; the pump on tokens.
 * (The public g4_engine of g4.h is this struct plus verb's tasks.)
 *
 * A sequence is one token timeline with its KV blocks.  Each step packs rows of
 * many sequences into one batch: decode rows first, then prompt chunks. */
#ifndef G4_ENGINE_ENGINE_H
#define G4_ENGINE_ENGINE_H

#include "engine/guide.h"
#include "model/model.h"

typedef struct g4_core g4_core;      /* model + device + cache + scheduler */
typedef struct g4_seq g4_seq;

struct g4_core_params {
    const char *model_path;          /* a path (names are resolved by the caller) */
    const char *device;
    uint32_t threads, context, parallel, chunk;
    uint32_t gpu_layers;             /* 0: as many as fit; N + 1: the last N */
    g4_dtype kv_type;                /* G4_F16 default by zero? no: G4_F32 is 0; set explicitly */
    bool text_only, fast_bf16, no_kv_skip, taps;
    bool prefix_cache;               /* share computed prefixes between sequences */
    uint32_t turns;                  /* ends of prompts whose local blocks are kept, the newest ones */
};

g4_core *g4_core_new(const struct g4_core_params *p, g4_err *err);
void g4_core_free(g4_core *c);
g4_model *g4_core_model(g4_core *c);
const char *g4_core_device_info(const g4_core *c);
uint32_t g4_core_context(const g4_core *c);
uint32_t g4_core_parallel(const g4_core *c);
uint32_t g4_core_threads(const g4_core *c);
uint64_t g4_core_memory(const g4_core *c); /* cache and activations, bytes at most */

struct g4_span {                     /* part of a prompt: ids, or rows of vectors (media) */
    const int32_t *ids;              /* [n], or NULL */
    const float *rows;               /* [n, d_model] f32, or NULL */
    uint32_t n;
    uint32_t group;                  /* attention group of vectors; 0: none */
};

struct g4_sampling {
    float temperature;               /* 0: greedy */
    int32_t top_k;                   /* 0: off */
    float top_p, min_p;              /* 1, 0: off */
    float repeat_penalty, frequency_penalty, presence_penalty; /* 1, 0, 0: off; over generated ids and, repeat, the prompt's */
    uint64_t seed;
    uint32_t sample;
};

struct g4_seq_params {               /* everything is copied */
    const struct g4_span *spans;
    size_t n_span;
    struct g4_sampling sampling;
    uint32_t max_tokens;
    const int32_t *stop;  size_t n_stop;
    const int32_t *suppress; size_t n_suppress;
    struct g4_guide guides[4]; size_t n_guide; /* selves stay the caller's, must outlive the sequence */
    int32_t n_logprob;               /* -1: none; 0: the chosen one; K: and K alternatives */
    bool echo;                       /* log-probabilities of the prompt */
    double max_time;                 /* seconds; 0: none */
    void *user;
};

/* Queues a sequence.  G4_ECONTEXT when prompt + 1 exceeds the context (the message says both numbers). */
g4_seq *g4_core_submit(g4_core *c, const struct g4_seq_params *p, g4_err *err);
void g4_core_drop(g4_core *c, g4_seq *s); /* cancel, or release after its end event */

enum g4_tok_kind { G4_TOK_PROMPT, G4_TOK_TOKEN, G4_TOK_END };
enum g4_tok_end { G4_END_STOP, G4_END_LENGTH, G4_END_CONTEXT, G4_END_TIME };

struct g4_tok_event {
    enum g4_tok_kind kind;           /* PROMPT: one prompt token's log-probability (echo) */
    g4_seq *seq;
    void *user;
    int32_t id;
    float logprob;                   /* natural; of the raw distribution (before temperature and adjustments) */
    uint32_t n_alt;
    const int32_t *alt_id;           /* borrowed until the next step */
    const float *alt_logprob;
    enum g4_tok_end end;             /* END */
};

/* Runs one batch if any sequence has work.  Events are read with
 * g4_core_event until it returns false.  0, or G4_EDEVICE: the core is dead. */
int g4_core_step(g4_core *c, g4_err *err);
bool g4_core_event(g4_core *c, struct g4_tok_event *ev);
bool g4_core_busy(const g4_core *c);         /* a sequence is queued or running */
/* The caller ends a sequence early (a stop string): no more events come. */
void g4_seq_finish(g4_core *c, g4_seq *s);

uint32_t g4_seq_prompt_tokens(const g4_seq *s);
uint32_t g4_seq_cached_tokens(const g4_seq *s);
void g4_seq_times(const g4_seq *s, double *prompt_ms, double *decode_ms);
double g4_now(void);                         /* seconds, monotonic */

/* One forward pass outside the scheduler, for tests and the probe: all rows of
 * ids in chunks of `chunk` rows (0: one piece); every logits row, hidden state
 * and final row is copied out.  Encoders: the embedding too. */
struct g4_forward {
    float *logits;     /* [T, V] or NULL */
    float *hidden;     /* [layers + 1, T, d] or NULL */
    float *final;      /* [T, d] or NULL */
    float *ple;        /* [T, layers * d_ple] or NULL */
    float *pooled;     /* encoders: before the dense head, [d_model] (gemma-embedding2: [d_embed]) or NULL */
    float *unnormalised, *embedding; /* encoders, [d_embed] or NULL */
};
int g4_core_forward(g4_core *c, const int32_t *ids, uint32_t n, uint32_t chunk, const struct g4_forward *out, g4_err *err);

#endif
