/* g4: Gemma models in a C program.
 *
 *     g4_err err = {0};
 *     g4_engine *e = g4_engine_new(&(g4_engine_params){ .model = "gemma3:270m" }, &err);
 *     g4_task *t = g4_submit(e, &(g4_request){ .json = "{\"prompt\":\"Hello\"}" }, &err);
 *     g4_event ev;
 *     while (g4_step(e, NULL, 0, -1, &ev, &err) > 0)
 *         if (ev.kind == G4_EVENT_TEXT) fwrite(ev.text, 1, ev.text_len, stdout);
 *         else if (ev.kind == G4_EVENT_DONE) break;
 *     g4_engine_free(e);
 *
 * An engine is a loaded model on a device; requests run in it side by side.
 * Nothing blocks until a request is done: g4_step runs one batch and hands out
 * events.  One engine, one thread at a time; several engines may live in a
 * process.  Text is UTF-8.  `const` results are borrowed until the next call on
 * the same engine.  All-zero parameters are sensible defaults. */
#ifndef G4_H
#define G4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define G4_API __attribute__((visibility("default")))

#define G4_VERSION "0.1.0"

enum {
    G4_OK = 0,
    G4_EINPUT = -1,  /* this input only; go on with the next */
    G4_EFORMAT = -2, /* a model file is corrupt */
    G4_EIO = -3,     /* reading or writing failed */
    G4_EUNSUP = -4,  /* well-formed, but not supported */
    G4_ELIMIT = -5,  /* over a size or time limit */
    G4_ENOMEM = -6,
    G4_EDEVICE = -7, /* the device is lost; the engine is dead */
    G4_EMODEL = -8,  /* no such model */
    G4_EUSAGE = -9,  /* the caller's parameters are wrong */
    G4_ECONTEXT = -10, /* does not fit the context */
    G4_EMEDIA = -11,
    G4_ESCHEMA = -12,
    G4_EPOLICY = -13, /* a tool call that is not allowed */
    G4_ETOOL = -14,   /* a tool failed */
};

typedef struct g4_err {
    int code;      /* one of the above, 0 when nothing failed */
    char msg[500]; /* one line, no newline */
} g4_err;

enum g4_log_level { G4_LOG_ERROR, G4_LOG_WARN, G4_LOG_INFO, G4_LOG_VERBOSE, G4_LOG_DEBUG };

/* Where the library's messages go (no newline in msg); NULL drops them. */
typedef void (*g4_log_fn)(void *arg, enum g4_log_level level, const char *msg);
G4_API void g4_log_set(g4_log_fn fn, void *arg, enum g4_log_level most);

/* ---- engine ------------------------------------------------------------ */

typedef struct g4_engine g4_engine;

typedef struct g4_engine_params {
    const char *model;   /* path to a .gguf or a folder, or a name in a store */
    const char *device;  /* "auto" (NULL), "cpu", "ref", "vulkan[:N|:NAME|:UUID]" */
    uint32_t threads;    /* 0: the cores this process may use */
    uint32_t context;    /* tokens a request may hold; 0: the model's own limit */
    uint32_t parallel;   /* requests in flight; 0: chosen from memory and cores */
    const char *kv_type; /* "f16" (NULL), "f32" */
    bool text_only;      /* no weights: tokenise and render only */
    bool fast_bf16;      /* bf16 activations for BF16 weights */
    bool no_kv_skip;     /* run prompt rows through the KV-sharing layers too */
    uint32_t chunk;      /* most prompt rows a step; 0: chosen */
    uint32_t gpu_layers; /* 0: as many layers on the GPU as fit its memory; N + 1: the last N */
    uint32_t turns;      /* prompts whose end stays in the cache for a next turn, whatever was generated since; 0: none */
} g4_engine_params;

/* NULL on failure with *err filled (err may be NULL).  p is not kept. */
G4_API g4_engine *g4_engine_new(const g4_engine_params *p, g4_err *err);
G4_API void g4_engine_free(g4_engine *e); /* NULL is fine */

typedef struct g4_engine_info {
    const char *model_name;   /* general.name, or the file's name */
    const char *model_digest; /* "sha256:..." or "fp:..." */
    const char *arch;         /* "gemma4", "gemma3", ... */
    const char *device;       /* "cpu avx512", "ref", ... */
    uint32_t n_vocab, n_layer, d_model;
    uint32_t context;         /* tokens a request may hold */
    uint32_t parallel;
    uint32_t threads;
    bool has_chat;            /* instruction-tuned: has a chat format */
    bool can_think;
    bool is_encoder;
    uint64_t file_bytes;      /* mapped */
    uint64_t memory_bytes;    /* beyond the mapped file: cache and activations, most */
    double load_ms;
} g4_engine_info;

G4_API const g4_engine_info *g4_engine_get_info(const g4_engine *e);

/* ---- text -------------------------------------------------------------- */

enum { G4_TOKENIZE_SPECIAL = 1, /* recognise special pieces in the text (never for untrusted text) */
       G4_TOKENIZE_BOS = 2 };

/* *ids is the caller's to free(). */
G4_API int g4_tokenize(g4_engine *e, const char *text, size_t len, unsigned flags, int32_t **ids, size_t *n, g4_err *err);
/* *text is the caller's to free() and NUL-terminated; special pieces are spelled out when asked. */
G4_API int g4_detokenize(g4_engine *e, const int32_t *ids, size_t n, bool special, char **text, size_t *len, g4_err *err);
/* The exact prompt text of a request and its number of tokens.  *prompt is the caller's to free(). */
struct g4_request;
G4_API int g4_render(g4_engine *e, const struct g4_request *r, char **prompt, size_t *len, size_t *n_tokens, g4_err *err);

/* ---- generation -------------------------------------------------------- */

typedef struct g4_options {  /* a field counts when its bit is set; else the model's or g4's default */
    uint32_t set;
    float temperature;       /* 0: greedy */
    int32_t top_k;           /* 0: off */
    float top_p, min_p;
    float repeat_penalty, frequency_penalty, presence_penalty;
    uint64_t seed;
    int32_t max_tokens;      /* thinking included */
    int32_t think;           /* 0 off, -1 on, N > 0: hard budget of N tokens */
    int32_t logprobs;        /* alternatives per token; 0: the chosen token only */
    bool echo;               /* log-probabilities of the prompt too */
    bool prefill;            /* continue a final assistant message */
    double max_time;         /* seconds */
    int32_t truncate;        /* 0: never, else G4_TRUNCATE_* */
    const char *stop_json;   /* JSON array of strings */
    const char *tool_choice; /* "auto", "none", "required", or the name of a declared function */
    bool compact;            /* shorten a conversation that does not fit: tool results first, then turns */
} g4_options;

enum {
    G4_OPT_TEMPERATURE = 1 << 0, G4_OPT_TOP_K = 1 << 1, G4_OPT_TOP_P = 1 << 2, G4_OPT_MIN_P = 1 << 3,
    G4_OPT_REPEAT_PENALTY = 1 << 4, G4_OPT_FREQUENCY_PENALTY = 1 << 5, G4_OPT_PRESENCE_PENALTY = 1 << 6,
    G4_OPT_SEED = 1 << 7, G4_OPT_MAX_TOKENS = 1 << 8, G4_OPT_THINK = 1 << 9, G4_OPT_LOGPROBS = 1 << 10,
    G4_OPT_ECHO = 1 << 11, G4_OPT_PREFILL = 1 << 12, G4_OPT_MAX_TIME = 1 << 13, G4_OPT_TRUNCATE = 1 << 14,
    G4_OPT_STOP = 1 << 15, G4_OPT_TOOL_CHOICE = 1 << 16, G4_OPT_COMPACT = 1 << 17,
};
enum { G4_TRUNCATE_HEAD = 1, G4_TRUNCATE_MIDDLE, G4_TRUNCATE_TAIL };

typedef struct g4_request {
    const char *json;        /* a g4-jsonl(5) input record: messages or prompt, system, tools, options, ... */
    size_t json_len;         /* 0: strlen */
    const g4_options *options; /* defaults under the record's own options; may be NULL */
    const char *system;      /* default system text; may be NULL */
    const char *operand;     /* instruction put before the last user text; may be NULL */
    const char *tools;       /* JSON array of function declarations, for records without `tools`; may be NULL */
    uint32_t budget;         /* tokens it may generate whatever its options say (then G4_FINISH_BUDGET); 0: no limit */
    const char *schema;      /* JSON Schema that the answer must satisfy, for records without one; may be NULL */
    const char *regex;       /* expression that the whole answer must match; may be NULL */
    const char *choices;     /* JSON array of strings, one of which the answer must be; may be NULL */
    bool any_order;          /* schema: members in any order, not only the schema's */
    bool schema_lax;         /* schema: keywords that cannot be enforced are checked afterwards */
    bool raw;                /* the prompt is fed as it is, after <bos>: no chat format */
    uint32_t sample;         /* sample number; part of the random key */
    void *user;              /* comes back in every event */
} g4_request;

typedef struct g4_task g4_task;

enum g4_event_kind {
    G4_EVENT_TEXT = 1, /* piece of the answer */
    G4_EVENT_THOUGHT,  /* piece of the thought */
    G4_EVENT_DONE,     /* last event of the task; `result` is valid */
};

enum g4_finish { G4_FINISH_STOP, G4_FINISH_LENGTH, G4_FINISH_TOOL_CALLS, G4_FINISH_BUDGET, G4_FINISH_CONTEXT };

typedef struct g4_result {       /* borrowed until the next call on the engine */
    g4_err err;                  /* code != 0: failed, nothing else is set */
    const char *text;            /* the answer, never a thought */
    size_t text_len;
    const char *thinking;
    size_t thinking_len;         /* 0: none */
    const char *tool_calls;      /* JSON array in OpenAI shape, or NULL */
    const char *data;            /* the answer as JSON, when it was constrained and is complete; or NULL */
    const char *messages;        /* JSON array, the conversation with the new turn; NULL: not asked */
    const char *logprobs;        /* JSON, or NULL */
    const char *note;            /* JSON array of parse errors of tool calls, or NULL */
    const char *dropped;         /* JSON: what `compact` left out of the conversation, or NULL */
    enum g4_finish finish;
    bool user_limit;             /* the limit that cut it was set by the caller */
    uint32_t prompt_tokens, thinking_tokens, completion_tokens;
    uint32_t cached_tokens;      /* prompt tokens that were in the cache (-v only: depends on neighbours) */
    uint64_t seed;
    double prompt_ms, decode_ms; /* wall time spent in this task's prompt and generation phases */
} g4_result;

typedef struct g4_event {
    enum g4_event_kind kind;
    g4_task *task;
    void *user;
    const char *text;            /* TEXT, THOUGHT: a whole number of characters */
    size_t text_len;
    float logprob;               /* TEXT with logprobs asked: of the token the piece is of, natural; else NAN */
    const g4_result *result;     /* DONE; the task is gone after the next call */
} g4_event;

/* Queues a request.  NULL when it is refused (err: EINPUT, ECONTEXT, EMEDIA, ESCHEMA); the engine
 * stays usable.  Everything in r is copied. */
G4_API g4_task *g4_submit(g4_engine *e, const g4_request *r, g4_err *err);

struct pollfd;
/* Gives the next event: 1, ev filled; 0: no event (no task is in flight, or one of fds is ready, or
 * timeout_ms has passed: -1 none); negative: the engine failed.  Runs a batch
 * when no event is waiting.  fds may be NULL; their revents are filled. */
G4_API int g4_step(g4_engine *e, struct pollfd *fds, unsigned long n_fds, int timeout_ms, g4_event *ev, g4_err *err);

/* Ends a task without a DONE event. */
G4_API void g4_cancel(g4_engine *e, g4_task *t);

/* Tasks submitted and not done; how many more the engine would start at once. */
G4_API uint32_t g4_in_flight(const g4_engine *e);

/* ---- embeddings -------------------------------------------------------- */

/* Embeds one text with an encoder model (the caller adds any task prefix).
 * out: [*dim] f32, unit length, the caller's to free(). */
G4_API int g4_embed(g4_engine *e, const char *text, size_t len, float **out, size_t *dim, g4_err *err);

/* Devices this machine has, one line each; the caller frees. */
G4_API char *g4_list_devices(bool verbose);

#ifdef __cplusplus
}
#endif
#endif
