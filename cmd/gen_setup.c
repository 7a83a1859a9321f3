/* cmd/gen_setup: from g4-gen's options to what the run needs. */
#include "gen.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INSTRUCTION_MAX = 16 << 20 };

/* ---- the program's variables --------------------------------------------- */

static void put_name(g4_str *s, const char *name)
{
    if (s->n > 1) g4_str_addc(s, ',');
    g4_json_put_str(s, name, strlen(name));
    g4_str_addc(s, ':');
}

/* The values of a file, one behind the other with blanks between. */
static int put_slurped(g4_str *s, const char *path, g4_err *err)
{
    g4_str text = {0};
    g4_json v;
    if (g4_file_read(path, G4_ITEM_MAX, &text, err)) return G4_EIO;
    /* A file of one value, or of one value a line. */
    int rc = G4_OK;
    g4_str_addc(s, '[');
    if (!g4_json_check(text.p ? text.p : "", text.n, &v, NULL)) {
        g4_str_add(s, v.p, v.n);
    } else {
        bool any = false;
        for (const char *p = text.p ? text.p : ""; *p && !rc;) {
            const size_t n = strcspn(p, "\n");
            if (strspn(p, " \t\r") < n) {
                g4_err why = {0};
                if (any) g4_str_addc(s, ',');
                if (g4_json_check(p, n, &v, &why)) rc = g4_fail(err, G4_EUSAGE, "'%s': %s", path, why.msg);
                else g4_str_add(s, v.p, v.n);
                any = true;
            }
            p += n + (p[n] == '\n');
        }
    }
    g4_str_addc(s, ']');
    g4_str_free(&text);
    return rc;
}

static int make_vars(const struct g4_gen *g, g4_str *s, g4_err *err)
{
    g4_str_addc(s, '{');
    for (size_t i = 0; i + 1 < g->arg.n; i += 2) {
        put_name(s, g->arg.v[i]);
        g4_json_put_str(s, g->arg.v[i + 1], strlen(g->arg.v[i + 1]));
    }
    for (size_t i = 0; i + 1 < g->argjson.n; i += 2) {
        g4_json v;
        g4_err why = {0};
        if (g4_json_check(g->argjson.v[i + 1], strlen(g->argjson.v[i + 1]), &v, &why))
            return g4_fail(err, G4_EUSAGE, "'--argjson %s': %s", g->argjson.v[i], why.msg);
        put_name(s, g->argjson.v[i]);
        g4_str_add(s, v.p, v.n);
    }
    for (size_t i = 0; i + 1 < g->slurpfile.n; i += 2) {
        put_name(s, g->slurpfile.v[i]);
        if (put_slurped(s, g->slurpfile.v[i + 1], err)) return G4_EUSAGE;
    }
    g4_str_addc(s, '}');
    return G4_OK;
}

/* ---- texts --------------------------------------------------------------- */

/* A file as text without its last newline; lives in r->keep. */
static const char *text_of_file(struct g4_gen_run *r, const char *path, g4_err *err)
{
    g4_str text = {0};
    if (g4_file_read(path, INSTRUCTION_MAX, &text, err)) return NULL;
    g4_utf8_drop_mark(&text);
    if (text.n && text.p[text.n - 1] == '\n') text.n--;
    const char *kept = NULL;
    if (text.n && memchr(text.p, 0, text.n)) g4_fail(err, G4_EIO, "'%s' holds NUL bytes", path);
    else kept = g4_arena_strndup(&r->keep, text.p ? text.p : "", text.n);
    g4_str_free(&text);
    return kept;
}

static int take_texts(struct g4_gen_run *r, const struct g4_opts *opts, g4_err *err)
{
    const struct g4_gen *g = r->g;
    const struct g4_opt_list *o = &opts->operands;
    size_t first = 0;
    if (g->prompt_file) {
        if (!(r->instruction = text_of_file(r, g->prompt_file, err))) return G4_EIO;
    } else if (o->n && strcmp(o->v[0], "-")) { /* `g4-gen -` reads standard input, as everybody means it */
        r->instruction = o->v[0];
        first = 1;
    }
    if (r->instruction && !g4_utf8_valid(r->instruction, strlen(r->instruction), NULL))
        return g4_fail(err, G4_EUSAGE, "the instruction is not UTF-8");
    if (g->system && !g4_utf8_valid(g->system, strlen(g->system), NULL)) return g4_fail(err, G4_EUSAGE, "the system text is not UTF-8");
    if (r->instruction && !*r->instruction) r->instruction = NULL;
    r->input.source.paths = o->v + first;
    r->input.source.n_path = o->n - first;
    r->system = g->system;
    if (g->system && g->system[0] == '@' && !(r->system = text_of_file(r, g->system + 1, err))) return G4_EIO;
    return G4_OK;
}

/* Declarations only: nothing is run. */
static int take_tools(struct g4_gen_run *r, g4_err *err)
{
    const struct g4_opt_list *paths = &r->g->tools;
    g4_tools tools = {0};
    g4_str list = {0};
    int rc = G4_OK;
    for (size_t i = 0; i < paths->n && !rc; i++) rc = g4_tools_read(&tools, paths->v[i], false, err);
    if (!rc && paths->n) {
        g4_tools_json(&tools, &list);
        r->tools = g4_arena_strndup(&r->keep, list.p, list.n);
        r->output.compose.tools = r->tools;
        g4_str_addf(&r->key, "declarations \"%016llx\"\n", (unsigned long long)g4_hash64(list.p, list.n, 0));
    }
    g4_tools_clear(&tools);
    g4_str_free(&list);
    return rc;
}

/* ---- what the answer must be ----------------------------------------------- */

static int take_schema(struct g4_gen_run *r, g4_err *err)
{
    const char *given = r->g->schema, *p = given ? given + strspn(given, " \t\r\n") : NULL;
    if (!given) return G4_OK;
    if (*p == '{' || !strcmp(p, "true") || !strcmp(p, "false")) r->schema = p;
    else r->schema = text_of_file(r, given, err);
    return r->schema ? G4_OK : G4_EIO;
}

/* a,b,c or the lines of a file. */
static int take_choices(struct g4_gen_run *r, g4_err *err)
{
    const char *p = r->g->choices;
    struct stat st;
    g4_str list = {0};
    if (!p) return G4_OK;
    const bool file = stat(p, &st) == 0 && S_ISREG(st.st_mode);
    if (file && !(p = text_of_file(r, p, err))) return G4_EIO;
    g4_str_addc(&list, '[');
    while (*p) {
        const size_t n = strcspn(p, file ? "\n" : ","), len = file && n && p[n - 1] == '\r' ? n - 1 : n;
        if (len) {
            if (list.n > 1) g4_str_addc(&list, ',');
            g4_json_put_str(&list, p, len);
        }
        p += n + (p[n] != 0);
    }
    g4_str_addc(&list, ']');
    r->choices = g4_arena_strndup(&r->keep, list.p, list.n);
    g4_str_free(&list);
    return G4_OK;
}

static int take_constraint(struct g4_gen_run *r, g4_err *err)
{
    const struct g4_gen *g = r->g;
    g4_err why = {0};
    if (!!g->schema + !!g->regex + !!g->choices > 1) return g4_fail(err, G4_EUSAGE, "only one of --schema, --regex and --choices can be given");
    if (take_schema(r, err) || take_choices(r, err)) return err->code;
    const g4_request q = { .schema = r->schema, .regex = g->regex, .choices = r->choices, .any_order = g->any_order, .schema_lax = g->schema_lax };
    r->output.compose.constrained = q.schema || q.regex || q.choices;
    if (g4_constraint_check(&q, &why)) return g4_fail(err, G4_EUSAGE, "%s", why.msg);
    if (r->schema) g4_str_addf(&r->key, "schema text \"%016llx\"\n", (unsigned long long)g4_hash64(r->schema, strlen(r->schema), 0));
    if (r->choices) g4_str_addf(&r->key, "choices text \"%016llx\"\n", (unsigned long long)g4_hash64(r->choices, strlen(r->choices), 0));
    return G4_OK;
}

/* ---- input --------------------------------------------------------------- */

static int check_modes(const struct g4_gen *g, g4_err *err)
{
    const int ways = g->jsonl + g->lines + g->tar + (g->each || g->files_from);
    const int insights = g->tokenize + g->detokenize + g->count + g->dry_run;
    if (ways > 1) return g4_fail(err, G4_EUSAGE, "only one of --jsonl, --lines, --each, --files-from and --tar can be given");
    if (insights > 1) return g4_fail(err, G4_EUSAGE, "only one of --tokenize, --detokenize, --count and --dry-run can be given");
    if (g->raw && g->json) return g4_fail(err, G4_EUSAGE, "--raw and --json exclude each other");
    if (g->retry_errors && !g->resume) return g4_fail(err, G4_EUSAGE, "--retry-errors needs --resume");
    if (g->resume && insights) return g4_fail(err, G4_EUSAGE, "--resume only goes with generating");
    for (size_t i = 0; i < g->stop.n; i++)
        if (!*g->stop.v[i]) return g4_fail(err, G4_EUSAGE, "'--stop' wants a text: an empty one stands everywhere");
    if (g->think_fd >= 0 && fcntl(g->think_fd, F_GETFD) < 0)
        return g4_fail(err, G4_EUSAGE, "--think-fd: descriptor %d is not open", g->think_fd);
    return G4_OK;
}

static enum g4_input_mode mode_of(const struct g4_gen *g)
{
    if (g->jsonl) return G4_INPUT_JSONL;
    if (g->lines) return G4_INPUT_LINES;
    if (g->tar) return G4_INPUT_TAR;
    if (g->each || g->files_from) return G4_INPUT_FILES;
    return g->map ? G4_INPUT_JSON : G4_INPUT_DOCUMENT;
}

/* A common slip: `g4-gen -j asks.jsonl` reads the name as the instruction. */
static void note_slip(const struct g4_gen_run *r)
{
    struct stat st;
    if (r->input.mode == G4_INPUT_DOCUMENT || !r->instruction || r->g->prompt_file || r->input.source.n_path) return;
    if (stat(r->instruction, &st) == 0 && S_ISREG(st.st_mode))
        g4_tool_note("'%s' is taken as the instruction; to read that file: <%s", r->instruction, r->instruction);
}

static int choose_input(struct g4_gen_run *r, g4_err *err)
{
    static const char *const standard_input[] = { "-" };
    const struct g4_gen *g = r->g;
    struct g4_source_params *s = &r->input.source;
    r->input.mode = mode_of(g);
    const bool document = r->input.mode == G4_INPUT_DOCUMENT, files = r->input.mode == G4_INPUT_FILES;
    note_slip(r);
    if (files && !s->n_path && !g->files_from) return g4_fail(err, G4_EUSAGE, "--each wants files behind the instruction");
    if (!files && !s->n_path && !g->no_stdin && (!document || !isatty(0))) {
        s->paths = standard_input;
        s->n_path = 1;
        r->stdin_used = true;
    }
    if (document && !s->n_path && !r->instruction && !g->attach.n)
        return g4_fail(err, G4_EUSAGE, "no instruction and no input (g4-gen --help shows examples)");
    if (!document && !files && !s->n_path) return g4_fail(err, G4_EUSAGE, "--no-stdin leaves nothing to read");
    s->names_from = g->files_from;
    s->names_nul = g->names_nul;
    s->include = g->include.v;
    s->n_include = g->include.n;
    s->exclude = g->exclude.v;
    s->n_exclude = g->exclude.n;
    r->input.map = g->map;
    r->input.vars = (g4_json){ r->vars.p, r->vars.n };
    r->input.attach = g->attach.v;
    r->input.n_attach = g->attach.n;
    r->input.needs_text = !r->instruction && !g->attach.n && !g->tokenize && !g->detokenize && !g->count;
    r->input.prefill = g->request.prefill;
    r->input.keep_text = g->tokenize || g->detokenize || g->count;
    return G4_OK;
}

/* Asked for, or a terminal on standard input and nothing to do with it. */
static int choose_chat(struct g4_gen_run *r, g4_err *err)
{
    const struct g4_gen *g = r->g;
    const bool other = mode_of(g) != G4_INPUT_DOCUMENT || g->tokenize || g->detokenize || g->count || g->dry_run || g->json ||
                       g->shape || g->samples > 1 || g->resume || g->no_stdin || (g->bits & (G4_OPT_LOGPROBS | G4_OPT_ECHO));
    const bool idle = !r->instruction && !r->input.source.n_path && !g->attach.n && isatty(0);
    if (g->chat && other) return g4_fail(err, G4_EUSAGE, "--chat goes with no other way to read or write");
    r->chat = g->chat || (idle && !other);
    r->text = r->chat;
    return G4_OK;
}

/* ---- output -------------------------------------------------------------- */

static int choose_output(struct g4_gen_run *r, g4_err *err)
{
    const struct g4_gen *g = r->g;
    struct g4_output_params *o = &r->output;
    const bool logprobs = g->bits & (G4_OPT_LOGPROBS | G4_OPT_ECHO);
    r->text = r->input.mode == G4_INPUT_DOCUMENT && !g->json && !g->shape && !logprobs && g->samples == 1 && !g->resume &&
              (!g->tools.n || g->dry_run || g->count); /* calls are no text */
    o->fd = 1;
    o->raw = g->raw;
    o->nul = g->null_out;
    o->unordered = g->unordered;
    o->batch = g->shape && strcmp(g->shape, "openai_batch") == 0;
    o->shape = o->batch ? NULL : g->shape;
    o->vars = r->input.vars;
    o->samples = g->samples;
    o->compose.sample = g->samples > 1;
    o->think_fd = g->think_fd >= 0 ? g->think_fd : g->show_thinking ? 2 : -1;
    o->enter = g4_tool_enter;
    o->leave = g4_tool_leave;
    if (o->batch && o->raw) return g4_fail(err, G4_EUSAGE, "--raw and -o openai_batch exclude each other");
    return G4_OK;
}

/* ---- the request --------------------------------------------------------- */

static void make_request(struct g4_gen_run *r)
{
    const struct g4_gen *g = r->g;
    r->request = g->request;
    r->request.set = g->bits;
    if (g->confidence && r->text) {
        r->request.set |= G4_OPT_LOGPROBS; /* events bring them then; the chosen token's alone */
        r->request.logprobs = 0;
    }
    if (g->bits & G4_OPT_ECHO) r->request.set |= G4_OPT_LOGPROBS; /* with no alternatives unless they are asked for */
    if (g->stop.n) {
        g4_str stop = {0};
        for (size_t i = 0; i < g->stop.n; i++) {
            g4_str_addc(&stop, i ? ',' : '[');
            g4_json_put_str(&stop, g->stop.v[i], strlen(g->stop.v[i]));
        }
        g4_str_addc(&stop, ']');
        r->request.stop_json = g4_arena_strndup(&r->keep, stop.p, stop.n);
        g4_str_free(&stop);
    }
    if (g->seed_random || (r->chat && !(g->bits & G4_OPT_SEED))) {
        uint64_t drawn = 0;
        if (getrandom(&drawn, sizeof drawn, 0) < 0) drawn = (uint64_t)(g4_tool_now() * 1e9);
        r->request.seed = drawn >> 11; /* 53 bits: any JSON reader keeps them */
        r->request.set |= G4_OPT_SEED;
    }
}

g4_request g4_gen_request(const struct g4_gen_run *r, const g4_record *record, uint32_t sample)
{
    const g4_sv text = g4_record_request(record);
    return (g4_request){
        .json = text.p,
        .json_len = text.n,
        .options = &r->request,
        .system = r->system,
        .operand = r->instruction,
        .tools = r->tools,
        .schema = r->schema,
        .regex = r->g->regex,
        .choices = r->choices,
        .any_order = r->g->any_order,
        .schema_lax = r->g->schema_lax,
        .raw = r->g->raw_prompt,
        .sample = sample,
    };
}

/* ---- all of it ----------------------------------------------------------- */

int g4_gen_setup(struct g4_gen_run *r, const struct g4_gen *g, const struct g4_opts *opts, g4_err *err)
{
    *r = (struct g4_gen_run){ .g = g };
    if (check_modes(g, err) || make_vars(g, &r->vars, err) || take_texts(r, opts, err) || choose_chat(r, err) ||
        (!r->chat && (choose_input(r, err) || choose_output(r, err))) || take_tools(r, err) || take_constraint(r, err))
        return err->code;
    make_request(r);
    g4_opts_key(opts, &r->key);
    g4_str_adds(&r->key, "instruction ");
    g4_json_put_str(&r->key, r->instruction ? r->instruction : "", r->instruction ? strlen(r->instruction) : 0);
    g4_str_adds(&r->key, "\nsystem text ");
    g4_json_put_str(&r->key, r->system ? r->system : "", r->system ? strlen(r->system) : 0);
    g4_str_addc(&r->key, '\n');
    return G4_OK;
}

void g4_gen_count(struct g4_gen_run *r, const g4_result *res)
{
    if (g4_result_cut(res)) g4_tool_fail(G4_STATUS_CUT);
    r->prompt_tokens += res->prompt_tokens;
    r->cached_tokens += res->cached_tokens;
    r->thinking_tokens += res->thinking_tokens;
    r->completion_tokens += res->completion_tokens;
    r->prompt_ms += res->prompt_ms;
    r->decode_ms += res->decode_ms;
}
