/* probe SUBCOMMAND -m MODEL [OPTION...]: see probe.h. */
#include "probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/vocab.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "encode", probe_encode },
    { "decode", probe_decode },
    { "logits", probe_logits },
    { "render", probe_render },
    { "parse", probe_parse },
    { "schema", probe_schema },
};

const char *probe_option(int argc, char **argv, const char *name, const char *fallback)
{
    for (int i = 0; i + 1 < argc; i++)
        if (!strcmp(argv[i], name)) return argv[i + 1];
    return fallback;
}

bool probe_flag(int argc, char **argv, const char *name)
{
    for (int i = 0; i < argc; i++)
        if (!strcmp(argv[i], name)) return true;
    return false;
}

bool probe_true(g4_json in, const char *key)
{
    bool v;
    return g4_json_bool(g4_json_get(in, key), &v) && v;
}

void probe_put_ids(g4_str *out, const int32_t *ids, size_t n)
{
    g4_str_addc(out, '[');
    for (size_t i = 0; i < n; i++) g4_str_addf(out, "%s%d", i ? "," : "", ids[i]);
    g4_str_addc(out, ']');
}

g4_tokenizer *probe_tokenizer(int argc, char **argv, g4_weights **w)
{
    const char *model = probe_option(argc, argv, "-m", NULL);
    g4_err err = {0};
    struct g4_vocab v;
    g4_tokenizer *t = NULL;
    if (!model) {
        fprintf(stderr, "probe: -m MODEL is missing\n");
        exit(2);
    }
    *w = g4_weights_open(model, G4_WEIGHTS_TEXT_ONLY, &err);
    if (*w && !g4_vocab_load(*w, &v, &err)) t = g4_tokenizer_new(&v, &err);
    if (t) return t;
    fprintf(stderr, "probe: %s\n", err.msg);
    exit(3);
}

int probe_lines(int (*one)(void *arg, g4_json in, g4_str *out, g4_err *err), void *arg)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    g4_str out = {0};
    while ((n = getline(&line, &cap, stdin)) > 0) {
        g4_err err = {0};
        g4_json in;
        if (line[n - 1] == '\n') n--;
        g4_str_clear(&out);
        if (g4_json_check(line, (size_t)n, &in, &err) || one(arg, in, &out, &err)) {
            g4_str_clear(&out);
            g4_str_adds(&out, "{\"error\":{\"code\":\"input\",\"message\":");
            g4_json_put_str(&out, err.msg, strlen(err.msg));
            g4_str_adds(&out, "}}");
        }
        fwrite(out.p, 1, out.n, stdout);
        putchar('\n');
        fflush(stdout);
    }
    g4_str_free(&out);
    free(line);
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(argv[1], commands[i].name)) return commands[i].run(argc - 2, argv + 2);
    fprintf(stderr, "usage: probe");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) fprintf(stderr, "%s%s", i ? "|" : " ", commands[i].name);
    fprintf(stderr, " -m MODEL [OPTION...]\n");
    return 2;
}
