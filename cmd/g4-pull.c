/* g4-pull: fetches models, and keeps them.  See g4-pull(1). */
#include "pull.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

void g4_pull_line(g4_str *s)
{
    g4_str_addc(s, '\n');
    g4_tool_enter(NULL);
    fwrite(s->p, 1, s->n, stdout);
    fflush(stdout);
    g4_tool_leave(NULL);
    g4_str_clear(s);
}

static int run(const struct g4_pull *p, const struct g4_opts *opts, g4_err *err)
{
    if (p->convert || p->to || p->quantize || p->imatrix) return g4_pull_convert(p, opts, err);
    if (g4_pull_is_local(p)) return g4_pull_local(p, opts, err);
    if (!opts->operands.n) return g4_fail(err, G4_EUSAGE, "no model is named (g4-pull --aliases lists short names)");
    for (size_t i = 0; i < opts->operands.n; i++) g4_pull_fetch(p, opts->operands.v[i]);
    return G4_OK;
}

int main(int argc, char **argv)
{
    struct g4_pull p;
    struct g4_opts opts = {0};
    g4_err err = {0};
    g4_tool_start("g4-pull");
    signal(SIGXFSZ, SIG_IGN); /* a size limit is a full disk: write says EFBIG */
    g4_pull_defaults(&p);
    int rc = g4_opts_parse(&opts, &g4_pull_command, &p, argc, argv, &err);
    g4_tool_configure(&(struct g4_tool_params){ p.quiet, p.verbose, p.color });
    if (!rc) rc = run(&p, &opts, &err);
    if (!rc && (fflush(stdout) || ferror(stdout))) rc = g4_fail_errno(&err, G4_EIO, "cannot write to standard output");
    if (rc) g4_tool_fail_err(&err);
    g4_opts_free(&opts);
    return g4_tool_status();
}
