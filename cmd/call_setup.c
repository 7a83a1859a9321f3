/* cmd/call_setup: from g4-call's options to tools, policy, recordings and sandbox. */
#include "call.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double START_SECONDS = 60; /* until a server's tools must be known; npx may have to fetch it */

/* ---- checks -------------------------------------------------------------- */

static int check_options(const struct g4_call_opts *o, g4_err *err)
{
    const bool tools = o->gen.tools.n || o->mcp.n || o->replay;
    if (o->yes && o->deny_all) return g4_fail(err, G4_EUSAGE, "--yes and --deny-all exclude each other");
    if (o->sandbox_write.n && !o->sandbox) return g4_fail(err, G4_EUSAGE, "--sandbox-write needs --sandbox");
    if (o->record && o->replay) return g4_fail(err, G4_EUSAGE, "--record and --replay exclude each other: nothing runs in a replay");
    if (o->dry_run && o->loop) return g4_fail(err, G4_EUSAGE, "--dry-run shows the calls of a record; --loop would need their answers");
    if (o->dry_run && o->replay) return g4_fail(err, G4_EUSAGE, "--dry-run and --replay exclude each other: nothing runs in a replay");
    if (o->dry_run && o->gen.resume) return g4_fail(err, G4_EUSAGE, "--dry-run makes no records for --resume");
    if (o->gen.shape && strcmp(o->gen.shape, "openai_batch") == 0)
        return g4_fail(err, G4_EUSAGE, "a batch line has no place for tool results: -o openai_batch goes with g4-gen only");
    if (o->events && !o->loop) return g4_fail(err, G4_EUSAGE, "--events goes with --loop");
    if (o->events && strcmp(o->events, "-") == 0 && (o->gen.raw || o->gen.shape || o->gen.null_out))
        return g4_fail(err, G4_EUSAGE, "--events without a file writes events instead of records: --raw, --output and --null-out need a file");
    if (!tools && !o->describe) return g4_fail(err, G4_EUSAGE, "no tools: give --tools, --mcp or --replay (g4-call --help shows examples)");
    return G4_OK;
}

/* ---- the parts ----------------------------------------------------------- */

static int make_wall(struct g4_caller *c, g4_err *err)
{
    const struct g4_opt_list *dirs = &c->o->sandbox_write;
    if (!c->o->sandbox) return G4_OK;
    const char **real = g4_arena_alloc(&c->keep, (dirs->n + 1) * sizeof *real);
    for (size_t i = 0; i < dirs->n; i++) {
        char *path = realpath(dirs->v[i], NULL);
        if (!path || !g4_is_dir(path)) {
            free(path);
            return g4_fail(err, G4_EUSAGE, "--sandbox-write: '%s' is not a folder", dirs->v[i]);
        }
        real[i] = g4_arena_strndup(&c->keep, path, strlen(path));
        free(path);
    }
    c->box_wall = (struct g4_sandbox){ real, dirs->n };
    return g4_sandbox_check(&c->box_wall, err);
}

static int open_box(struct g4_caller *c, const struct g4_opt_list *describe, g4_err *err)
{
    c->box_params = (struct g4_box_params){
        .tools = c->o->gen.tools.v, .n_tools = c->o->gen.tools.n,
        .mcp = c->o->mcp.v, .n_mcp = c->o->mcp.n,
        .sandbox = c->o->sandbox ? &c->box_wall : NULL,
        .start_max = START_SECONDS,
    };
    if (describe) {
        c->box_params.describe = describe->v;
        c->box_params.n_describe = describe->n;
    }
    c->box = g4_box_open(&c->box_params, err);
    return c->box ? G4_OK : err->code;
}

void g4_call_declare(struct g4_caller *c)
{
    const g4_json recorded = c->replay ? g4_tape_declarations(c->replay) : (g4_json){0};
    if (c->declared.n && (!c->box || c->declared_version == g4_box_version(c->box))) return;
    g4_str_clear(&c->declared);
    if (c->box) {
        c->declared_version = g4_box_version(c->box);
        g4_tools_json(g4_box_tools(c->box), &c->declared);
    } else {
        g4_str_add(&c->declared, recorded.p, recorded.n);
    }
    c->gen.tools = c->compose.tools = c->declared.n ? c->declared.p : NULL;
}

static int open_tapes(struct g4_caller *c, g4_err *err)
{
    const struct g4_call_opts *o = c->o;
    if (o->replay && !(c->replay = g4_tape_open(&(struct g4_tape_params){ .path = o->replay, .read = true }, err))) return err->code;
    if (!o->record) return G4_OK;
    c->record = g4_tape_open(&(struct g4_tape_params){ .path = o->record, .write = true, .append = o->gen.resume != NULL }, err);
    return c->record ? G4_OK : err->code;
}

static int open_events(struct g4_caller *c, g4_err *err)
{
    const char *path = c->o->events;
    c->event_fd = -1;
    if (!path) return G4_OK;
    const bool instead = strcmp(path, "-") == 0;
    /* The records are in the events then; nobody needs them twice. */
    if (instead && !c->o->gen.resume) c->gen.output.fd = c->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    c->event_fd = instead ? 1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return c->event_fd < 0 ? g4_fail_errno(err, G4_EIO, "cannot open '%s'", path) : G4_OK;
}

/* ---- input --------------------------------------------------------------- */

/* Operands without --loop are files: g4-gen's setup finds an empty instruction in
 * front of them.  With --loop and nothing to read, the instruction is the question. */
static int set_up_input(struct g4_caller *c, struct g4_gen *gen, struct g4_opts *opts, g4_err *err)
{
    struct g4_opt_list *operands = &opts->operands;
    const bool alone = c->o->loop && operands->n == 1 && (gen->no_stdin || isatty(0));
    if (!c->o->loop) {
        g4_opt_list_add(operands, "");
        memmove(operands->v + 1, operands->v, (operands->n - 1) * sizeof *operands->v);
        operands->v[0] = "";
    }
    gen->jsonl = !gen->map && !alone;
    gen->json = alone && !gen->raw;
    gen->no_stdin |= alone;
    const int rc = g4_gen_setup(&c->gen, gen, opts, err);
    c->gen.text = false;
    c->gen.input.plain = !c->o->loop;
    return rc;
}

int g4_call_setup(struct g4_caller *c, const struct g4_call_opts *o, struct g4_opts *opts, g4_err *err)
{
    c->o = o;
    c->event_fd = -1;
    c->ready_last = &c->ready;
    int rc = check_options(o, err);
    if (!rc) rc = set_up_input(c, (struct g4_gen *)&o->gen, opts, err);
    if (!rc) rc = make_wall(c, err);
    if (!rc && o->policy && !(c->policy = g4_policy_read(o->policy, err))) rc = err->code;
    if (!rc) rc = open_tapes(c, err);
    if (!rc && !o->replay) rc = open_box(c, NULL, err);
    if (!rc) rc = open_events(c, err);
    if (rc) return rc;
    g4_call_declare(c);
    if (c->declared.n)
        g4_str_addf(&c->gen.key, "tools \"%016" PRIx64 "\"\n", g4_hash64(c->declared.p, c->declared.n, 0));
    if (c->record) rc = g4_tape_tools(c->record, (g4_json){ c->declared.p, c->declared.n }, err);
    return rc;
}

/* ---- --resume ------------------------------------------------------------ */

static void tell_unfinished(void *arg, const struct g4_taped *call)
{
    g4_tool_note("record %" PRIu64 ": call %u of '%s' was running when the last run died: it may run a second time", call->record + 1,
                 call->call, call->name);
}

/* OUT.g4.calls keeps what the calls of unfinished records answered. */
int g4_call_open_journal(struct g4_caller *c, g4_err *err)
{
    const char *out = c->o->gen.resume;
    g4_str log = {0}, calls = {0};
    if (!out) return G4_OK;
    g4_str_addf(&log, "%s.g4", out);
    g4_str_addf(&calls, "%s.g4.calls", out);
    const bool fresh = !g4_file_exists(log.p);
    c->feed.journal = g4_journal_open(out, c->gen.key.p, c->o->gen.retry_errors, &c->gen.request.seed, err);
    c->gen.output.journal = c->feed.journal;
    if (c->feed.journal && fresh) unlink(calls.p);
    if (c->feed.journal)
        c->journal = g4_tape_open(&(struct g4_tape_params){ .path = calls.p, .read = true, .write = true, .append = true, .sync = true }, err);
    if (c->journal) g4_tape_unfinished(c->journal, tell_unfinished, NULL);
    g4_str_free(&log);
    g4_str_free(&calls);
    return c->journal ? G4_OK : err->code;
}

void g4_call_close(struct g4_caller *c, bool done)
{
    g4_run_free(c->run);
    g4_box_free(c->box);
    g4_tape_free(c->record);
    g4_tape_free(c->replay);
    if (c->journal && done) {
        g4_str calls = {0};
        g4_str_addf(&calls, "%s.g4.calls", c->o->gen.resume);
        unlink(calls.p);
        g4_str_free(&calls);
    }
    g4_tape_free(c->journal);
    g4_policy_free(c->policy);
    if (c->event_fd > 1) close(c->event_fd);
    if (c->null_fd > 0) close(c->null_fd);
    g4_str_free(&c->declared);
    g4_arena_free(&c->keep);
}

/* ---- --describe ---------------------------------------------------------- */

int g4_call_describe(struct g4_caller *c, const struct g4_call_opts *o, const struct g4_opts *opts, g4_err *err)
{
    g4_str s = {0};
    c->o = o;
    c->event_fd = -1;
    if (!opts->operands.n && !o->gen.tools.n && !o->mcp.n)
        return g4_fail(err, G4_EUSAGE, "--describe of what? Give programs or folders, --tools or --mcp");
    int rc = check_options(o, err);
    if (!rc) rc = make_wall(c, err);
    if (!rc) rc = open_box(c, &opts->operands, err);
    if (rc) return rc;
    const g4_tools *tools = g4_box_tools(c->box);
    for (size_t i = 0; i < tools->n; i++) g4_str_addf(&s, "%s%s", i ? ",\n " : "[", tools->v[i].declaration);
    g4_str_adds(&s, tools->n ? "]\n" : "[]\n");
    if (g4_write_all(1, s.p, s.n)) rc = g4_fail_errno(err, G4_EIO, "cannot write to standard output");
    g4_str_free(&s);
    return rc;
}
