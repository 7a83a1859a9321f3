/* cmd/gen_tokens: what needs the vocabulary only: --tokenize, --detokenize,
 * --count and --dry-run, for one document or for records. */
#include "gen.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the parts of a record ----------------------------------------------- */

/* Instruction, blank line, text: what --tokenize and --count look at.  Control
 * tokens are never recognised in it. */
static void whole_text(const struct g4_gen_run *r, const g4_record *record, g4_str *out)
{
    if (r->instruction) g4_str_adds(out, r->instruction);
    if (record->text.n) {
        if (out->n) g4_str_adds(out, "\n\n");
        g4_str_add(out, record->text.p, record->text.n);
        return;
    }
    g4_str prompt = {0};
    if (r->input.mode != G4_INPUT_DOCUMENT) g4_json_str(g4_json_get(record->root, "prompt"), &prompt);
    if (prompt.n && out->n) g4_str_adds(out, "\n\n");
    g4_str_add(out, prompt.p, prompt.n);
    g4_str_free(&prompt);
}

/* A conversation is counted as it would be fed, any other text as it stands. */
static int ids_of(const struct g4_gen_run *r, const g4_record *record, int32_t **ids, size_t *n, g4_err *err)
{
    if (g4_json_type(g4_json_get(record->root, "messages")) == G4_JSON_ARRAY) {
        const g4_request q = g4_gen_request(r, record, 0);
        return g4_request_ids(r->e, &q, ids, n, err);
    }
    g4_str text = {0};
    whole_text(r, record, &text);
    const int rc = g4_tokenize(r->e, text.p ? text.p : "", text.n, 0, ids, n, err);
    g4_str_free(&text);
    return rc;
}

static void put_ids(g4_str *out, const int32_t *ids, size_t n)
{
    g4_str_addc(out, '[');
    for (size_t i = 0; i < n; i++) g4_str_addf(out, "%s%d", i ? "," : "", ids[i]);
    g4_str_addc(out, ']');
}

/* Numbers, whatever brackets, commas and blanks stand between them. */
static int parse_ids(const char *p, size_t n, int32_t **ids, size_t *n_ids, g4_err *err)
{
    size_t cap = 0;
    *ids = NULL;
    *n_ids = 0;
    for (const char *stop = p + n; p < stop;) {
        if (memchr(" \t\r\n,[]", *p, 8)) {
            p++;
            continue;
        }
        int64_t v = 0;
        const char *first = p;
        for (; p < stop && *p >= '0' && *p <= '9' && v < INT32_MAX; p++) v = v * 10 + (*p - '0');
        if (p == first || v > INT32_MAX || (p < stop && !memchr(" \t\r\n,[]", *p, 8)))
            return g4_fail(err, G4_EINPUT, "not a list of token ids (byte %zu)", (size_t)(n - (size_t)(stop - p)));
        G4_GROW(*ids, cap, *n_ids + 1);
        (*ids)[(*n_ids)++] = (int32_t)v;
    }
    return G4_OK;
}

static int detokenize(const struct g4_gen_run *r, const g4_record *record, g4_str *text, g4_err *err)
{
    g4_sv in = { record->text.p, record->text.n };
    const g4_json ids_field = g4_json_get(record->root, "ids");
    if (g4_json_type(ids_field) == G4_JSON_ARRAY) in = ids_field;
    else if (r->instruction && !in.n) in = (g4_sv){ r->instruction, strlen(r->instruction) };
    else if (r->input.mode == G4_INPUT_JSONL) return g4_fail(err, G4_EINPUT, "the record has no 'ids'");
    int32_t *ids;
    size_t n, len;
    char *out;
    int rc = parse_ids(in.p, in.n, &ids, &n, err);
    if (!rc) rc = g4_detokenize(r->e, ids, n, true, &out, &len, err);
    free(ids);
    if (rc) return rc;
    g4_str_add(text, out, len);
    free(out);
    return G4_OK;
}

/* ---- one record ---------------------------------------------------------- */

/* members: what the record gets; bare: what text mode and -r write. */
static int look(const struct g4_gen_run *r, const g4_record *record, g4_str *members, g4_str *bare, size_t *n_tokens, g4_err *err)
{
    const struct g4_gen *g = r->g;
    if (g->detokenize) {
        const int rc = detokenize(r, record, bare, err);
        g4_str_adds(members, "\"text\":");
        g4_json_put_str(members, bare->p ? bare->p : "", bare->n);
        return rc;
    }
    if (g->dry_run) {
        char *prompt;
        size_t len;
        const g4_request q = g4_gen_request(r, record, 0);
        const int rc = g4_render(r->e, &q, &prompt, &len, n_tokens, err);
        if (rc) return rc;
        g4_str_add(bare, prompt, len);
        free(prompt);
        g4_str_adds(members, "\"rendered\":");
        g4_json_put_str(members, bare->p ? bare->p : "", bare->n);
        g4_str_addf(members, ",\"usage\":{\"prompt_tokens\":%zu}", *n_tokens);
        return G4_OK;
    }
    int32_t *ids = NULL;
    const int rc = ids_of(r, record, &ids, n_tokens, err);
    if (rc) return rc;
    if (g->count) g4_str_addf(bare, "%zu", *n_tokens);
    else put_ids(bare, ids, *n_tokens);
    g4_str_addf(members, "\"%s\":%s", g->count ? "count" : "ids", bare->p);
    free(ids);
    return G4_OK;
}

/* Text mode.  What must come out byte for byte (a text, a prompt) gets a newline
 * on a terminal only. */
static int write_bare(const struct g4_gen_run *r, g4_str *bare, size_t n_tokens, g4_err *err)
{
    const bool exact = r->g->detokenize || r->g->dry_run;
    if (r->g->null_out) g4_str_addc(bare, 0);
    else if (!exact || (isatty(1) && (!bare->n || bare->p[bare->n - 1] != '\n'))) g4_str_addc(bare, '\n');
    if (g4_write_all(1, bare->p, bare->n)) return g4_fail_errno(err, G4_EIO, "cannot write to standard output");
    if (r->g->dry_run) g4_tool_note("%zu tokens", n_tokens);
    return G4_OK;
}

static int run_record(struct g4_gen_run *r, g4_output *out, g4_record *record, g4_err *err)
{
    g4_str members = {0}, bare = {0};
    g4_err why = record->err;
    size_t n_tokens = 0;
    int rc;
    if (!why.code && !record->pass) look(r, record, &members, &bare, &n_tokens, &why);
    if (why.code) {
        if (r->text) g4_tool_error("%s", why.msg);
        else g4_tool_note("%s: %s", record->where, why.msg);
        g4_tool_fail(G4_STATUS_FAILED);
    }
    if (r->text) {
        rc = why.code ? G4_OK : write_bare(r, &bare, n_tokens, err);
        g4_record_free(record);
    } else {
        g4_slot *slot = g4_output_begin(out, record);
        if (why.code) rc = g4_output_refuse(out, slot, &why, err);
        else if (record->pass) rc = g4_output_pass(out, slot, err);
        else rc = g4_output_members(out, slot, (g4_sv){ members.p, members.n }, (g4_sv){ bare.p, bare.n }, err);
    }
    g4_str_free(&members);
    g4_str_free(&bare);
    return rc;
}

int g4_gen_tokens(struct g4_gen_run *r, g4_err *err)
{
    g4_record *record;
    int rc = G4_OK;
    r->output.samples = 1;
    r->output.compose.sample = false;
    r->input.source.ahead = 64;
    g4_output *out = g4_output_new(&r->output, err);
    g4_input *in = out ? g4_input_new(&r->input, err) : NULL;
    if (!in) rc = err->code;
    while (!rc && g4_gen_wait_record(in, &record) > 0) rc = run_record(r, out, record, err);
    if (in && g4_input_failed(in)) g4_tool_fail(G4_STATUS_IO);
    g4_input_free(in);
    g4_output_free(out);
    return rc;
}
