/* g4-call: runs the tool calls of records.  See g4-call(1). */
#include "call.h"

int main(int argc, char **argv)
{
    struct g4_call_opts o;
    struct g4_opts opts = {0};
    struct g4_caller c = { .event_fd = -1 };
    g4_err err = {0};
    g4_tool_start("g4-call");
    g4_tool_at_end(g4_proc_kill_all);
    g4_call_defaults(&o);
    int rc = g4_opts_parse(&opts, g4_call_command(), &o, argc, argv, &err);
    g4_tool_configure(&(struct g4_tool_params){ o.gen.quiet, o.gen.verbose, o.gen.color });
    if (!rc && o.describe) {
        rc = g4_call_describe(&c, &o, &opts, &err);
    } else if (!rc) {
        rc = g4_call_setup(&c, &o, &opts, &err);
        if (!rc) rc = g4_call_records(&c, &err);
    }
    if (rc) g4_tool_fail_err(&err);
    g4_call_close(&c, !rc);
    g4_engine_free(c.gen.e);
    g4_str_free(&c.gen.vars);
    g4_str_free(&c.gen.key);
    g4_arena_free(&c.gen.keep);
    g4_call_clear(&o);
    g4_opts_free(&opts);
    return g4_tool_status();
}
