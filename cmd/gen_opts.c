/* cmd/gen_opts: g4-gen's option table. */
#include "gen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int set_think(void *self, const struct g4_opt *o, const char *value, g4_err *err)
{
    struct g4_gen *g = self;
    double n = -1;
    if (value && strcmp(value, "no") == 0) n = 0;
    else if (value && g4_opt_number("think", value, 0, 1e6, true, &n, err)) return G4_EUSAGE;
    g->request.think = (int32_t)n;
    return G4_OK;
}

static int set_seed(void *self, const struct g4_opt *o, const char *value, g4_err *err)
{
    struct g4_gen *g = self;
    char *end;
    g->seed_random = strcmp(value, "random") == 0;
    if (g->seed_random) return G4_OK;
    errno = 0;
    g->request.seed = strtoull(value, &end, 10);
    if (*end || errno || *value < '0' || *value > '9')
        return g4_fail(err, G4_EUSAGE, "'--seed' wants a whole number or 'random', not '%s'", value);
    return G4_OK;
}

static int refuse_mcp(void *self, const struct g4_opt *o, const char *value, g4_err *err)
{
    return g4_fail(err, G4_EUSAGE, "g4-gen runs nothing: write a server's declarations with 'g4-call --mcp ... --describe >tools.json' "
                                   "and give '--tools tools.json'");
}

static int set_truncate(void *self, const struct g4_opt *o, const char *value, g4_err *err)
{
    static const char *const words[] = { "no", "head", "middle", "tail" };
    struct g4_gen *g = self;
    for (int32_t i = 0; i < 4; i++)
        if (strcmp(value, words[i]) == 0) {
            g->request.truncate = i;
            return G4_OK;
        }
    return g4_fail(err, G4_EUSAGE, "'--truncate' is one of head, middle, tail, not '%s'", value);
}

#define AT(field) offsetof(struct g4_gen, field)
#include "opt_rows.h"

#define REQUEST(name, kind, arg, field, bit, lo, hi, help) \
    { 0, name, kind, arg, AT(request.field), help, G4_OPTF_RESULT, bit, lo, hi, NULL, NULL }

static const struct g4_opt options[] = {
    TITLE("Model and device"),
    { 'm', "model", G4_OPTK_TEXT, "MODEL", AT(model), "a GGUF file, a folder, or a name in a store", 0, 0, 0, 0, "G4_MODEL", NULL },
    { 'd', "device", G4_OPTK_TEXT, "DEVICE", AT(device), "auto, cpu, ref, vulkan[:N|:NAME|:UUID]", 0, 0, 0, 0, "G4_DEVICE", NULL },
    TEXT(0, "gpu-layers", "N|auto", gpu_layers, 0, "layers on the GPU, the others on the CPU (default: what fits)"),
    UINT('t', "threads", threads, 1, 1024, 0, "threads (default: the cores there are)"),
    UINT('c', "context", context, 1, 1 << 24, RESULT, "tokens a record may hold (default: the model's limit)"),
    UINT('P', "parallel", parallel, 1, 4096, 0, "records in flight (default: from memory and cores)"),
    TEXT(0, "kv-type", "f16|f32", kv_type, RESULT | G4_OPTF_WORDS, "type of keys and values in the cache"),
    FLAG(0, "fast-bf16", fast_bf16, RESULT | NO, "bf16 activations where the weights are bf16"),
    FLAG(0, "list-devices", list_devices, ONCE, "write this machine's devices and end"),

    TITLE("Input"),
    FLAG(0, "chat", chat, ONCE, "talk at the terminal (as without any prompt there)"),
    FLAG('j', "jsonl", jsonl, RESULT | ONCE, "every line is a record"),
    FLAG(0, "lines", lines, RESULT | ONCE, "every line is a prompt"),
    FLAG(0, "each", each, RESULT | ONCE, "every file operand is a record"),
    TEXT(0, "files-from", "FILE", files_from, ONCE, "as --each, for the paths listed in FILE"),
    FLAG('0', "null", names_nul, ONCE, "paths in --files-from end with NUL"),
    FLAG(0, "tar", tar, RESULT | ONCE, "every member of an archive is a record"),
    LIST(0, "include", G4_OPTK_LIST, "GLOB", include, 0, "take only files and members that match"),
    LIST(0, "exclude", G4_OPTK_LIST, "GLOB", exclude, 0, "leave out files and members that match"),
    LIST('f', "file", G4_OPTK_LIST, "FILE", attach, RESULT | ONCE, "attach a file"),
    TEXT('s', "system", "TEXT|@FILE", system, RESULT, "system text"),
    TEXT(0, "prompt-file", "FILE", prompt_file, ONCE, "the instruction; all operands are files then"),
    FLAG(0, "raw-prompt", raw_prompt, RESULT | NO, "feed prompts as they are, without the chat format"),
    { 0, "no-stdin", G4_OPTK_FLAG, NULL, AT(no_stdin), "leave standard input alone", 0, 0, 0, 0, NULL, NULL },
    TEXT('i', "input", "JQ", map, RESULT | ONCE, "jq program that maps JSON to records"),

    TITLE("Output"),
    TEXT('o', "output", "JQ", shape, RESULT | ONCE, "jq program that shapes what is written, or openai_batch"),
    LIST(0, "arg", G4_OPTK_PAIR, "NAME VALUE", arg, RESULT | ONCE, "$NAME is a string in jq programs"),
    LIST(0, "argjson", G4_OPTK_PAIR, "NAME JSON", argjson, RESULT | ONCE, "$NAME is a JSON value"),
    LIST(0, "slurpfile", G4_OPTK_PAIR, "NAME FILE", slurpfile, RESULT | ONCE, "$NAME is the array of a file's values"),
    FLAG('r', "raw", raw, RESULT | ONCE, "bare text, one answer after another"),
    FLAG(0, "null-out", null_out, RESULT | ONCE, "end with NUL instead of newline"),
    FLAG(0, "json", json, RESULT | NO, "a record for one document too"),
    FLAG(0, "unordered", unordered, NO, "write records as they are done"),
    UINT('n', "samples", samples, 1, 10000, RESULT | ONCE, "answers for each record"),
    FLAG(0, "confidence", confidence, NO, "colour tokens by their probability"),
    REQUEST("logprobs", G4_OPTK_INT, "N", logprobs, G4_OPT_LOGPROBS, 0, 100, "log-probabilities, with N alternatives"),
    REQUEST("echo", G4_OPTK_FLAG, NULL, echo, G4_OPT_ECHO, 0, 0, "log-probabilities of the prompt too"),
    TEXT(0, "resume", "OUT", resume, ONCE, "write to OUT, go on where a killed run stood"),
    FLAG(0, "retry-errors", retry_errors, ONCE, "with --resume: make failed records again"),

    TITLE("Sampling and limits (defaults come from the model's file)"),
    REQUEST("temperature", G4_OPTK_FLOAT, "X", temperature, G4_OPT_TEMPERATURE, 0, 100, "0: always the most likely token"),
    REQUEST("top-k", G4_OPTK_INT, "N", top_k, G4_OPT_TOP_K, 0, 1e6, "the N most likely tokens (0: off)"),
    REQUEST("top-p", G4_OPTK_FLOAT, "X", top_p, G4_OPT_TOP_P, 0, 1, "the most likely tokens that reach X together"),
    REQUEST("min-p", G4_OPTK_FLOAT, "X", min_p, G4_OPT_MIN_P, 0, 1, "tokens of at least X times the best one's probability"),
    REQUEST("repeat-penalty", G4_OPTK_FLOAT, "X", repeat_penalty, G4_OPT_REPEAT_PENALTY, 0.01, 100, "1: off"),
    REQUEST("frequency-penalty", G4_OPTK_FLOAT, "X", frequency_penalty, G4_OPT_FREQUENCY_PENALTY, -100, 100, "0: off"),
    REQUEST("presence-penalty", G4_OPTK_FLOAT, "X", presence_penalty, G4_OPT_PRESENCE_PENALTY, -100, 100, "0: off"),
    { 0, "seed", G4_OPTK_CALL, "N|random", 0, "key of all randomness (default 0)", RESULT, G4_OPT_SEED, 0, 0, NULL, set_seed },
    { 0, "tool-choice", G4_OPTK_TEXT, "auto|none|required|NAME", AT(request.tool_choice), "whether the model calls a tool, or which", RESULT,
      G4_OPT_TOOL_CHOICE, 0, 0, NULL, NULL },
    REQUEST("compact", G4_OPTK_FLAG, NULL, compact, G4_OPT_COMPACT, 0, 0, "shorten a conversation that does not fit"),
    { 0, "stop", G4_OPTK_LIST, "TEXT", AT(stop), "end the answer before TEXT", RESULT, G4_OPT_STOP, 0, 0, NULL, NULL },
    REQUEST("max-tokens", G4_OPTK_INT, "N", max_tokens, G4_OPT_MAX_TOKENS, 1, 1 << 24, "most tokens, thoughts included (default 8192)"),
    REQUEST("max-time", G4_OPTK_DOUBLE, "SECONDS", max_time, G4_OPT_MAX_TIME, 0.001, 1e9, "most time for a record"),
    { 0, "truncate", G4_OPTK_CALL, "head|middle|tail", 0, "where to cut a prompt that is too long", RESULT | NO, G4_OPT_TRUNCATE, 0, 0,
      NULL, set_truncate },
    REQUEST("prefill", G4_OPTK_FLAG, NULL, prefill, G4_OPT_PREFILL, 0, 0, "go on with a final turn of the model's own"),

    TITLE("What the answer must be"),
    TEXT(0, "schema", "FILE|JSON", schema, RESULT, "a value that satisfies this JSON Schema"),
    FLAG(0, "any-order", any_order, RESULT | NO, "with --schema: members in any order"),
    FLAG(0, "schema-lax", schema_lax, RESULT | NO, "keywords that cannot be enforced are checked afterwards"),
    TEXT(0, "regex", "RE", regex, RESULT, "a text that matches as a whole"),
    TEXT(0, "choices", "A,B,...|FILE", choices, RESULT, "one of these (FILE: one a line)"),

    TITLE("Tools"),
    LIST(0, "tools", G4_OPTK_LIST, "PATH", tools, RESULT, "declarations: a folder of NAME.json, or a JSON file"),

    TITLE("Thinking"),
    { 0, "think", G4_OPTK_CALL, "N", 0, "think first (N: at most N tokens)", RESULT | NO | G4_OPTF_OPTIONAL, G4_OPT_THINK, 0, 0, NULL,
      set_think },
    { 0, "think-fd", G4_OPTK_INT, "FD", AT(think_fd), "write the thought to descriptor FD", ONCE, 0, 2, 1023, NULL, NULL },
    FLAG(0, "show-thinking", show_thinking, NO, "write the thought to stderr"),

    TITLE("Looking inside"),
    FLAG(0, "tokenize", tokenize, ONCE, "write token ids instead of generating"),
    FLAG(0, "detokenize", detokenize, ONCE, "read token ids, write text"),
    FLAG(0, "count", count, ONCE, "write the number of tokens"),
    FLAG(0, "dry-run", dry_run, ONCE, "write the exact prompt, and count its tokens"),
    FLAG(0, "stats", stats, NO, "write the run's counts and speeds to stderr at the end"),

    TITLE("General"),
    FLAG('q', "quiet", quiet, NO, "errors only"),
    FLAG('v', "verbose", verbose, NO, "say what goes on, with times"),
    TEXT(0, "color", "auto|always|never", color, G4_OPTF_WORDS, "colours on stderr"),
    { 'h', "help", G4_OPTK_FLAG, NULL, AT(quiet), "show this", ONCE, 0, 0, 0, NULL, NULL }, /* answered before parsing */
    { 0, "version", G4_OPTK_FLAG, NULL, AT(quiet), "show the version", ONCE, 0, 0, 0, NULL, NULL },

    { 0, "mcp", G4_OPTK_CALL, "COMMAND", 0, "refused, with what to do instead", G4_OPTF_HIDDEN, 0, 0, 0, NULL, refuse_mcp },
    { 0 },
};

const struct g4_opt_command g4_gen_command = {
    .name = "g4-gen",
    .summary = "text and records through a Gemma model",
    .synopsis = "[options] [INSTRUCTION [FILE...]]\n"
                "[--chat] [options]\n"
                "-j | --lines | --tar [options] [INSTRUCTION [FILE...]]\n"
                "--each [options] INSTRUCTION FILE...\n",
    .examples = "  g4-gen 'Name three uses of a paper clip.'\n"
                "  cat code.c | g4-gen --think 'review'\n"
                "  g4-gen --each 'summarise in one line' src/*.c >notes.jsonl\n"
                "  g4-gen -j <asks.jsonl | jq -r .text\n"
                "  git archive HEAD | g4-gen --tar --include '*.c' 'list the TODOs'\n"
                "  g4-gen -j --resume answers.jsonl <asks.jsonl\n",
    .opts = options,
    .bits = offsetof(struct g4_gen, bits),
};

void g4_gen_defaults(struct g4_gen *g)
{
    *g = (struct g4_gen){ .samples = 1, .think_fd = -1 };
}

void g4_gen_clear(struct g4_gen *g)
{
    struct g4_opt_list *const lists[] = { &g->include, &g->exclude, &g->attach, &g->arg, &g->argjson, &g->slurpfile, &g->stop,
                                           &g->tools };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) free(lists[i]->v);
}
