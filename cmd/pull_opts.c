/* cmd/pull_opts: g4-pull's option table. */
#include "pull.h"

#define AT(field) offsetof(struct g4_pull, field)
#include "opt_rows.h"

#define NUMBER(name, kind, arg, field, lo, hi, help) { 0, name, kind, arg, AT(field), help, 0, 0, lo, hi, NULL, NULL }

static const struct g4_opt options[] = {
    TITLE("What to fetch"),
    TEXT(0, "with", "media,drafter", with, 0, "the projector for images and sound, the drafter, or both"),
    TEXT(0, "pin", "sha256:HEX", pin, ONCE, "the model must have this SHA-256"),
    TEXT(0, "name", "NAME", name, ONCE, "keep it in the store under NAME too"),
    FLAG(0, "dry-run", dry_run, ONCE, "say what would be fetched, from where and how large"),
    FLAG(0, "offline", offline, NO, "use what is here; never the network"),
    FLAG(0, "force", force, ONCE, "fetch again what is here already"),
    FLAG(0, "copy", copy, NO, "copy local files into the store instead of using them in place"),
    TEXT(0, "max-size", "BYTES", max_size, 0, "refuse to fetch more (2G, 500M)"),
    FLAG(0, "no-space-check", no_space_check, ONCE, "do not look at the free space first"),

    TITLE("The store"),
    FLAG(0, "list", list, ONCE, "list the models of every store on this machine"),
    FLAG(0, "where", where, ONCE, "print the path of each operand's model"),
    FLAG(0, "info", info, ONCE, "say what each operand's model is, holds and needs"),
    UINT('c', "context", context, 1, 1 << 30, 0, "tokens of context for the memory that --info tells"),
    FLAG(0, "rm", rm, ONCE, "remove each operand's model from g4's store"),
    FLAG(0, "gc", gc, ONCE, "remove what no model of g4's store needs"),
    FLAG(0, "verify", verify, ONCE, "compare models with their SHA-256 (operands, or all)"),
    FLAG(0, "aliases", aliases, ONCE, "list the short names and what they stand for"),

    TITLE("Converting"),
    TEXT(0, "convert", "DIR", convert, ONCE, "make a GGUF of a safetensors folder (or of a GGUF, or an installed model)"),
    TEXT(0, "to", "FILE", to, ONCE, "where it goes"),
    TEXT(0, "quantize", "TYPE", quantize, ONCE, "its type: bf16, q8_0, q6_k, q5_k_m, q4_k_m, q4_0, ... (help: all)"),
    TEXT(0, "imatrix", "FILE", imatrix, ONCE, "importance of the columns, as llama-imatrix writes it"),
    TEXT(0, "embd", "TYPE", embd, ONCE, "the token embedding's type, over the mixture's"),
    TEXT(0, "ple", "TYPE", ple, ONCE, "the per-layer embedding's"),
    FLAG(0, "requantize", requantize, ONCE, "quantise what is quantised already"),
    UINT('t', "threads", threads, 1, 1024, 0, "threads (default: all cores)"),

    TITLE("Network"),
    NUMBER("jobs", G4_OPTK_UINT, "N", jobs, 1, 16, "connections a file (default 8)"),
    TEXT(0, "limit-rate", "BYTES", limit_rate, 0, "bytes a second at most (10M)"),
    NUMBER("retry", G4_OPTK_UINT, "N", retries, 0, 100, "further attempts after a failure (default 5)"),
    NUMBER("retry-delay", G4_OPTK_DOUBLE, "SECONDS", retry_delay, 0, 600, "before the first of them; it doubles, with jitter (default 1)"),
    NUMBER("speed-time", G4_OPTK_DOUBLE, "SECONDS", stall, 1, 3600, "end connections that stand still so long (default 30)"),
    TEXT(0, "proxy", "URL", proxy, 0, "use this proxy (else http_proxy, https_proxy, no_proxy)"),
    TEXT(0, "cacert", "FILE", cafile, 0, "certificates to trust (else CURL_CA_BUNDLE, SSL_CERT_FILE)"),
    TEXT(0, "token-file", "FILE", token_file, 0, "the Hub's token (else HF_TOKEN, the Hub's own file)"),
    FLAG(0, "netrc", netrc, NO, "user names and passwords from ~/.netrc or $NETRC"),
    FLAG(0, "insecure-http", insecure_http, NO, "allow http to other machines"),

    TITLE("Output"),
    FLAG('j', "json", json, NO, "write events as JSONL"),
    FLAG(0, "print-path", print_path, ONCE, "write the model's path and nothing else"),

    TITLE("General"),
    FLAG('q', "quiet", quiet, NO, "errors only"),
    FLAG('v', "verbose", verbose, NO, "say what goes on"),
    TEXT(0, "color", "auto|always|never", color, G4_OPTF_WORDS, "colours on stderr"),
    { 'h', "help", G4_OPTK_FLAG, NULL, AT(quiet), "show this", ONCE, 0, 0, 0, NULL, NULL }, /* answered before parsing */
    { 0, "version", G4_OPTK_FLAG, NULL, AT(quiet), "show the version", ONCE, 0, 0, 0, NULL, NULL },
    { 0 },
};

const struct g4_opt_command g4_pull_command = {
    .name = "g4-pull",
    .summary = "fetches models, and keeps them",
    .synopsis = "[options] REFERENCE...\n"
                "--list | --aliases | --gc\n"
                "--where | --info | --rm NAME...\n"
                "--verify [NAME...]\n"
                "--convert DIR --to FILE [--quantize TYPE]\n",
    .examples = "  g4-pull gemma4:e2b\n"
                "  g4-pull --dry-run ggml-org/gemma-4-E4B-it-GGUF:Q8_0\n"
                "  g4-gen -m \"$(g4-pull --print-path gemma3:270m)\" 'Name three uses of a paper clip.'\n"
                "  g4-pull --list\n"
                "  g4-pull --convert gemma-3-270m/ --to gemma-3-270m.gguf --quantize q8_0\n",
    .opts = options,
    .bits = offsetof(struct g4_pull, bits),
};

void g4_pull_defaults(struct g4_pull *p)
{
    *p = (struct g4_pull){ .jobs = 8, .retries = 5, .retry_delay = 1, .stall = 30 };
}
