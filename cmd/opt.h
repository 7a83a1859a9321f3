/* cmd/opt: a command's options as one table.  The table feeds parsing, --help,
 * the completions (--completion-helper), the config file and the manual check.
 *
 * Long options take their value behind `=` or as the next word, short ones
 * joined or as the next word; short flags may be clustered; `--` ends options.
 * Operands may stand between options. */
#ifndef G4_CMD_OPT_H
#define G4_CMD_OPT_H

#include "g4-tool.h"

enum g4_opt_kind {
    G4_OPTK_TITLE,  /* help: a heading of --help */
    G4_OPTK_FLAG,   /* bool */
    G4_OPTK_TEXT,   /* const char *, borrowed from argv or the config */
    G4_OPTK_LIST,   /* struct g4_opt_list: every use appends */
    G4_OPTK_PAIR,   /* struct g4_opt_list: NAME VALUE, both appended */
    G4_OPTK_UINT,   /* uint32_t within lo..hi */
    G4_OPTK_INT,    /* int32_t within lo..hi */
    G4_OPTK_FLOAT,  /* float within lo..hi */
    G4_OPTK_DOUBLE, /* double within lo..hi */
    G4_OPTK_CALL,   /* set() decides */
    G4_OPTK_SAME,   /* stands for another command's row of that name, which is put there before the table is used */
};

enum {
    G4_OPTF_NO = 1,       /* --no-NAME turns it off (flags; CALL gets value "no") */
    G4_OPTF_OPTIONAL = 2, /* the value may be left out: --NAME or --NAME=VALUE; set() gets NULL */
    G4_OPTF_RESULT = 4,   /* what is written depends on it: part of the key of a resumed run */
    G4_OPTF_ONCE = 8,     /* makes no sense as a default: not taken from the config file */
    G4_OPTF_HIDDEN = 16,
    G4_OPTF_WORDS = 32,   /* TEXT: one of the words of arg */
};

struct g4_opt_list {
    const char **v;
    size_t n, cap;
};

struct g4_opt {
    char letter;      /* 0: none */
    const char *name; /* without the dashes; NULL ends the table */
    enum g4_opt_kind kind;
    const char *arg;  /* what the value is called, NULL: none; "a|b|c" lists the words */
    size_t off;       /* offset of the target in the command's struct */
    const char *help;
    unsigned flags;
    uint32_t bit;     /* set in the uint32_t at g4_opt_command.bits when the option is given */
    double lo, hi;
    const char *env;  /* environment variable that gives a default, or NULL */
    int (*set)(void *self, const struct g4_opt *o, const char *value, g4_err *err); /* CALL */
};

struct g4_opt_command {
    const char *name;
    const char *summary;  /* one line */
    const char *synopsis; /* lines without the name */
    const char *examples; /* shown first by --help */
    const struct g4_opt *opts;
    size_t bits;          /* offset of the uint32_t that collects `bit`s */
};

struct g4_opts { /* filled by g4_opts_parse; {0} before */
    const struct g4_opt_command *cmd;
    void *self;
    char **raw;           /* the last value given, option by option (RESULT ones) */
    struct g4_opt_list operands;
    g4_arena keep;
};

/* Reads the config file, the environment, then argv.  G4_EUSAGE with the message otherwise.
 * --help, --version and --completion-helper print and exit with status 0. */
int g4_opts_parse(struct g4_opts *p, const struct g4_opt_command *cmd, void *self, int argc, char **argv, g4_err *err);
void g4_opts_free(struct g4_opts *p);

/* What the results depend on, one `name "value"` line each (for the journal). */
void g4_opts_key(const struct g4_opts *p, g4_str *out);

void g4_opt_list_add(struct g4_opt_list *l, const char *v);

/* "1.5", "12": whole words only.  G4_EUSAGE names the option. */
int g4_opt_number(const char *name, const char *value, double lo, double hi, bool whole, double *out, g4_err *err);

#endif
