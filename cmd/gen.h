/* cmd/gen: what the parts of g4-gen share: its options, and the ways to run.
 *   gen_opts.c    the option table
 *   gen_setup.c   from options to the parameters of input, output and requests
 *   gen_engine.c  opening the engine, the report of a run
 *   gen_text.c    one document, the answer streams
 *   gen_records.c records in flight
 *   gen_tokens.c  --tokenize, --detokenize, --count, --dry-run
 *   chat*.c       a conversation at the terminal (chat.h) */
#ifndef G4_CMD_GEN_H
#define G4_CMD_GEN_H

#include "opt.h"
#include "tool.h"

struct g4_gen { /* the options */
    uint32_t bits; /* G4_OPT_* given; becomes request.set */
    const char *model, *device, *kv_type, *gpu_layers;
    uint32_t threads, context, parallel;
    bool fast_bf16, list_devices;

    bool jsonl, lines, each, tar, names_nul, no_stdin;
    const char *files_from, *system, *prompt_file, *map;
    struct g4_opt_list tools, include, exclude, attach, arg, argjson, slurpfile;
    bool raw_prompt, chat;

    const char *shape;
    bool raw, null_out, json, unordered, retry_errors;
    uint32_t samples;
    const char *resume;

    g4_options request;
    struct g4_opt_list stop;
    bool seed_random;

    const char *schema, *regex, *choices;
    bool any_order, schema_lax;

    int32_t think_fd; /* -1: none */
    bool show_thinking, confidence;

    bool tokenize, detokenize, count, dry_run, stats;
    bool quiet, verbose;
    const char *color;
};

extern const struct g4_opt_command g4_gen_command;
void g4_gen_defaults(struct g4_gen *g);
void g4_gen_clear(struct g4_gen *g);

struct g4_gen_run { /* everything an actual run needs; texts live in `keep` */
    const struct g4_gen *g;
    g4_engine *e;
    const g4_engine_info *info;
    bool text;                 /* one document, bare text out */
    bool chat;                 /* a conversation at the terminal */
    bool stdin_used;
    const char *instruction;   /* or NULL */
    const char *system;
    const char *tools;         /* declarations of --tools as a JSON array, or NULL */
    const char *schema, *choices; /* JSON, or NULL */
    g4_options request;
    g4_str vars;               /* --arg and kin as an object */
    g4_str key;                /* what the results depend on */
    struct g4_input_params input;
    struct g4_output_params output;
    g4_arena keep;
    /* counted while running */
    uint64_t records, prompt_tokens, cached_tokens, thinking_tokens, completion_tokens;
    uint64_t pieces; /* that came from records in flight too: about the tokens so far */
    double started, prompt_ms, decode_ms;
};

/* Checks the options against each other and fills r (but e).  G4_EUSAGE, or
 * G4_EIO when a file that is named cannot be read. */
int g4_gen_setup(struct g4_gen_run *r, const struct g4_gen *g, const struct g4_opts *opts, g4_err *err);
/* The request of a record's sample. */
g4_request g4_gen_request(const struct g4_gen_run *r, const g4_record *record, uint32_t sample);
/* Counts a result and remembers the status it means. */
void g4_gen_count(struct g4_gen_run *r, const g4_result *res);

/* Opens r->e and fills r->info.  G4_EMODEL when no model is chosen. */
int g4_gen_open(struct g4_gen_run *r, g4_err *err);
/* -v, --stats: counts and speeds. */
void g4_gen_report(const struct g4_gen_run *r);
bool g4_gen_wants_tokens(const struct g4_gen *g); /* tokens or prompts are written instead of answers */

/* Each runs to the end and remembers statuses; a negative return is fatal. */
int g4_gen_text(struct g4_gen_run *r, g4_err *err);
int g4_gen_records(struct g4_gen_run *r, g4_err *err);
int g4_gen_tokens(struct g4_gen_run *r, g4_err *err);
int g4_gen_chat(struct g4_gen_run *r, g4_err *err);

/* With --confidence and colours: the escape sequence for text of a token with
 * this log-probability, which "\\033[0m" ends; "" otherwise. */
const char *g4_gen_confidence(const struct g4_gen *g, float logprob);

/* Waits for and takes the next record of a run without a pump: 1, or -1 at the end. */
int g4_gen_wait_record(g4_input *in, g4_record **record);

#endif
