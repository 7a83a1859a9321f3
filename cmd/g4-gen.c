/* g4-gen: text and JSONL through a Gemma model.  See g4-gen(1). */
#include "gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int list_devices(const struct g4_gen *g, g4_err *err)
{
    char *text = g4_list_devices(g->verbose);
    const bool bad = fputs(text, stdout) < 0 || fflush(stdout);
    free(text);
    return bad ? g4_fail_errno(err, G4_EIO, "cannot write to standard output") : G4_OK;
}

static int run(struct g4_gen_run *r, g4_err *err)
{
    int rc = g4_gen_open(r, err);
    if (rc) return rc;
    r->started = g4_tool_now();
    if (g4_gen_wants_tokens(r->g)) return g4_gen_tokens(r, err);
    rc = r->chat ? g4_gen_chat(r, err) : r->text ? g4_gen_text(r, err) : g4_gen_records(r, err);
    g4_gen_report(r);
    return rc;
}

int main(int argc, char **argv)
{
    struct g4_gen g;
    struct g4_opts opts = {0};
    struct g4_gen_run r = {0};
    g4_err err = {0};
    g4_tool_start("g4-gen");
    g4_gen_defaults(&g);
    int rc = g4_opts_parse(&opts, &g4_gen_command, &g, argc, argv, &err);
    g4_tool_configure(&(struct g4_tool_params){ g.quiet, g.verbose, g.color });
    if (!rc && g.list_devices) {
        rc = list_devices(&g, &err);
    } else if (!rc) {
        rc = g4_gen_setup(&r, &g, &opts, &err);
        if (!rc) rc = run(&r, &err);
    }
    if (rc) g4_tool_fail_err(&err);
    g4_engine_free(r.e);
    g4_str_free(&r.vars);
    g4_str_free(&r.key);
    g4_arena_free(&r.keep);
    g4_gen_clear(&g);
    g4_opts_free(&opts);
    return g4_tool_status();
}
