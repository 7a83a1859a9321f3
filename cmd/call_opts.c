/* cmd/call_opts: g4-call's option table: its own rows, and of g4-gen's table those
 * that mean the same here. */
#include "call.h"

#include <stdlib.h>
#include <string.h>

static int set_events(void *self, const struct g4_opt *o, const char *value, g4_err *err)
{
    ((struct g4_call_opts *)self)->events = value ? value : "-";
    return G4_OK;
}

static int set_steps(void *self, const struct g4_opt *o, const char *value, g4_err *err)
{
    struct g4_call_opts *c = self;
    double n;
    if (g4_opt_number("max-steps", value, 1, 1e6, true, &n, err)) return G4_EUSAGE;
    c->limits.steps = (uint32_t)n;
    c->steps_given = true;
    return G4_OK;
}

#define AT(field) offsetof(struct g4_call_opts, field)
#include "opt_rows.h"

#define SAME(word) { .name = word, .kind = G4_OPTK_SAME } /* g4-gen's row */

static struct g4_opt table[] = {
    TITLE("Tools"),
    LIST(0, "tools", G4_OPTK_LIST, "PATH", gen.tools, RESULT, "a folder of programs with NAME.json beside each; repeatable"),
    LIST(0, "mcp", G4_OPTK_LIST, "COMMAND|FILE", mcp, RESULT, "an MCP server, or a file with mcpServers; repeatable"),
    FLAG(0, "describe", describe, ONCE, "write the declarations of tools, servers and operands, and end"),
    UINT(0, "call-jobs", call_jobs, 1, 128, 0, "calls at once (default 1)"),
    { 0, "tool-timeout", G4_OPTK_DOUBLE, "SECONDS", AT(tool_timeout), "most time for a call (default 60)", RESULT, 0, 0.01, 1e7, NULL, NULL },
    UINT(0, "tool-output", tool_output, 1, 1 << 26, RESULT, "most bytes a call may answer (default 1048576)"),
    FLAG(0, "fail-on-tool-error", fail_on_tool_error, RESULT | NO, "a call that fails makes an error record"),

    TITLE("What may run"),
    TEXT(0, "policy", "FILE", policy, RESULT, "rules: allow, deny, ask (g4-tools(5))"),
    FLAG(0, "yes", yes, ONCE, "what the policy would ask is allowed"),
    FLAG(0, "deny-all", deny_all, RESULT | NO, "refuse every call"),
    FLAG(0, "dry-run", dry_run, ONCE, "write what would run, run nothing"),
    FLAG(0, "sandbox", sandbox, RESULT | NO, "run tools in bubblewrap: no network, nothing writable but /tmp"),
    LIST(0, "sandbox-write", G4_OPTK_LIST, "DIR", sandbox_write, RESULT, "keep DIR writable in the sandbox; repeatable"),
    TEXT(0, "record", "FILE", record, ONCE, "keep every call and its result in FILE"),
    TEXT(0, "replay", "FILE", replay, RESULT | ONCE, "answer from FILE, run nothing"),

    TITLE("Until the answer"),
    FLAG(0, "loop", loop, RESULT | NO, "generate, call, generate ... until the answer is there"),
    { 0, "max-steps", G4_OPTK_CALL, "N", 0, "most generations for a record (default 16)", RESULT, 0, 0, 0, NULL, set_steps },
    UINT(0, "budget", limits.tokens, 1, 1u << 31, RESULT, "most tokens a record may generate over all steps"),
    UINT(0, "max-repeats", limits.repeats, 0, 1e6, RESULT, "an error when a call comes N times in a row (default 4, 0: off)"),
    { 0, "events", G4_OPTK_CALL, "FILE", 0, "write events as they happen, to FILE or instead of records", ONCE | G4_OPTF_OPTIONAL, 0, 0, 0,
      NULL, set_events },
    SAME("tool-choice"), SAME("compact"), SAME("system"),

    TITLE("Model and device (--loop)"),
    SAME("model"), SAME("device"), SAME("gpu-layers"), SAME("threads"), SAME("context"), SAME("parallel"), SAME("kv-type"), SAME("fast-bf16"),

    TITLE("Input and output"),
    SAME("jsonl"), SAME("no-stdin"), SAME("input"), SAME("output"), SAME("arg"), SAME("argjson"), SAME("slurpfile"),
    SAME("raw"), SAME("null-out"), SAME("unordered"), SAME("resume"), SAME("retry-errors"),

    TITLE("Sampling and limits of a step (defaults come from the model's file)"),
    SAME("temperature"), SAME("top-k"), SAME("top-p"), SAME("min-p"), SAME("repeat-penalty"), SAME("frequency-penalty"),
    SAME("presence-penalty"), SAME("seed"), SAME("stop"), SAME("max-tokens"), SAME("max-time"), SAME("think"),

    TITLE("General"),
    SAME("stats"), SAME("quiet"), SAME("verbose"), SAME("color"), SAME("help"), SAME("version"),
    { 0 },
};

static const struct g4_opt_command command = {
    .name = "g4-call",
    .summary = "run the tool calls of records",
    .synopsis = "--tools PATH | --mcp COMMAND [options] [FILE...]\n"
                "--loop --tools PATH | --mcp COMMAND [options] [INSTRUCTION [FILE...]]\n"
                "--describe [options] [PROGRAM...]\n",
    .examples = "  g4-gen -j --tools tools/ <asks.jsonl | g4-call --tools tools/ | g4-gen -j\n"
                "  g4-call --tools tools/ --loop <asks.jsonl\n"
                "  g4-call --tools tools/ --policy rules --sandbox --record calls.jsonl <turn.jsonl\n"
                "  g4-call --mcp 'npx -y @modelcontextprotocol/server-filesystem .' --describe >files.json\n",
    .opts = table,
    .bits = offsetof(struct g4_call_opts, gen.bits),
};

/* Puts g4-gen's rows in; a name that it does not have is dropped. */
const struct g4_opt_command *g4_call_command(void)
{
    size_t kept = 0;
    for (size_t i = 0; table[i].name; i++) {
        const struct g4_opt *o = g4_gen_command.opts;
        if (table[i].kind == G4_OPTK_SAME) {
            while (o->name && strcmp(o->name, table[i].name)) o++;
            if (!o->name) continue;
            table[kept++] = *o;
        } else {
            table[kept++] = table[i];
        }
    }
    table[kept] = (struct g4_opt){0};
    return &command;
}

void g4_call_defaults(struct g4_call_opts *o)
{
    *o = (struct g4_call_opts){ .call_jobs = 1, .tool_output = 1 << 20, .tool_timeout = 60, .limits = { .steps = 16, .repeats = 4 } };
    g4_gen_defaults(&o->gen);
}

void g4_call_clear(struct g4_call_opts *o)
{
    free(o->mcp.v);
    free(o->sandbox_write.v);
    g4_gen_clear(&o->gen);
}
