/* cmd/pull: what the files of g4-pull share. */
#ifndef G4_CMD_PULL_H
#define G4_CMD_PULL_H

#include "g4-hub.h"
#include "g4-tool.h"
#include "opt.h"
#include "tool.h"

struct g4_pull { /* the options */
    bool list, where, rm, gc, verify, aliases, info;
    bool offline, dry_run, force, copy, netrc, insecure_http, no_space_check;
    bool json, print_path, quiet, verbose;
    const char *with, *pin, *name, *proxy, *token_file, *cafile, *max_size, *limit_rate, *color;
    const char *convert, *to, *quantize, *imatrix, *embd, *ple;
    bool requantize;
    uint32_t jobs, retries, threads, context;
    double retry_delay, stall;
    uint32_t bits;
};

extern const struct g4_opt_command g4_pull_command;
void g4_pull_defaults(struct g4_pull *p);

/* Everything that needs no network: --list, --where, --rm, --gc, --verify, --aliases, --info. */
bool g4_pull_is_local(const struct g4_pull *p);
int g4_pull_local(const struct g4_pull *p, const struct g4_opts *opts, g4_err *err);

/* What a list for --with (NULL: none) asks for. */
int g4_pull_with(const char *text, bool *media, bool *drafter, g4_err *err);

/* Fetches one reference, with its events; a failure is reported here, and remembered in the status. */
void g4_pull_fetch(const struct g4_pull *p, const char *ref);

/* --info of one model. */
int g4_pull_info(const struct g4_pull *p, const char *name, g4_err *err);

/* --convert, alone or with --quantize. */
int g4_pull_convert(const struct g4_pull *p, const struct g4_opts *opts, g4_err *err);

/* One line of JSON on stdout, whole or not at all. */
void g4_pull_line(g4_str *s);

#endif
