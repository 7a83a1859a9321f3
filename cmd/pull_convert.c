/* cmd/pull_convert: --convert and --quantize. */
#include "pull.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct say {
    const struct g4_pull *p;
    double last; /* when the last progress event was written */
};

static void text_member(g4_str *s, const char *key, const char *value)
{
    g4_str_addf(s, ",\"%s\":", key);
    g4_json_put_str(s, value, strlen(value));
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
    struct say *s = arg;
    const double now = g4_tool_now();
    g4_tool_progress_bytes(done, total);
    if (!s->p->json || now - s->last < 0.5) return;
    s->last = now;
    g4_str line = {0};
    g4_str_adds(&line, "{\"event\":\"progress\"");
    text_member(&line, "path", s->p->to);
    g4_str_addf(&line, ",\"bytes\":%" PRIu64 ",\"total\":%" PRIu64 "}", done, total);
    g4_pull_line(&line);
    g4_str_free(&line);
}

/* Tensors of each type, as members or as words. */
static void put_types(const struct g4_convert_report *r, bool json, g4_str *s)
{
    const char *between = "";
    for (uint32_t t = 0; t < G4_DTYPE_END; t++) {
        if (!r->n_type[t]) continue;
        g4_str_addf(s, json ? "%s\"%s\":%" PRIu32 : "%s%s %" PRIu32, between, g4_dtype_get(t)->name, r->n_type[t]);
        between = json ? "," : ", ";
    }
}

static void show_done(const struct g4_pull *p, const struct g4_convert_report *r)
{
    g4_str s = {0};
    const double grid = r->n_block ? (double)r->n_grid / (double)r->n_block : 0;
    if (p->json) {
        g4_str_adds(&s, "{\"event\":\"done\"");
        text_member(&s, "path", p->to);
        g4_str_addf(&s, ",\"bytes\":%" PRIu64 ",\"types\":{", r->bytes);
        put_types(r, true, &s);
        g4_str_addc(&s, '}');
        if (r->n_block) g4_str_addf(&s, ",\"on_grid\":%.4f", grid);
        g4_str_addc(&s, '}');
        g4_pull_line(&s);
    } else if (p->print_path) {
        printf("%s\n", p->to);
    } else if (g4_tool_terminal() || p->verbose) {
        put_types(r, false, &s);
        g4_tool_note("'%s': %.1f MB, tensors: %s", p->to, (double)r->bytes / 1e6, s.p ? s.p : "none");
    }
    if (r->n_block && !p->json && (grid > 0.9 || p->verbose))
        g4_tool_note("%.1f %% of the Q4_0 blocks lie on a 4-bit grid%s", 100 * grid, grid > 0.9 ? ": the checkpoint was trained for it, little is lost" : "");
    g4_str_free(&s);
}

static int check(const struct g4_pull *p, const struct g4_opts *opts, g4_err *err)
{
    if (!p->convert) return g4_fail(err, G4_EUSAGE, "%s wants --convert DIR", p->to ? "--to" : p->quantize ? "--quantize" : "--imatrix");
    if (!p->to) return g4_fail(err, G4_EUSAGE, "--convert wants --to FILE");
    if (strcmp(p->to, "-") == 0) return g4_fail(err, G4_EUSAGE, "--to wants a file: a GGUF is not written front to back");
    if (opts->operands.n) return g4_fail(err, G4_EUSAGE, "'%s': --convert takes one model at a time", opts->operands.v[0]);
    if (g4_pull_is_local(p)) return g4_fail(err, G4_EUSAGE, "--convert goes with no other task");
    if (g4_is_dir(p->to)) return g4_fail(err, G4_EUSAGE, "'%s' is a folder: --to wants the name of the file", p->to);
    if (g4_file_exists(p->to) && !p->force) return g4_fail(err, G4_EUSAGE, "'%s' is there already (--force replaces it)", p->to);
    return G4_OK;
}

static void list_types(void)
{
    const struct g4_recipe *r;
    for (size_t i = 0; (r = g4_recipe_at(i)); i++) printf("%-8s  %s\n", r->name, r->about);
}

int g4_pull_convert(const struct g4_pull *p, const struct g4_opts *opts, g4_err *err)
{
    struct say s = { .p = p, .last = g4_tool_now() };
    struct g4_convert_report report;
    if (p->quantize && strcmp(p->quantize, "help") == 0) {
        list_types();
        return G4_OK;
    }
    int rc = check(p, opts, err);
    if (rc) return rc;
    char *from = g4_store_find(p->convert, NULL, err);
    if (!from) return err->code;
    rc = g4_convert(&(struct g4_convert_params){ .from = from, .to = p->to, .type = p->quantize, .embd = p->embd, .ple = p->ple,
                                                 .imatrix = p->imatrix, .requantize = p->requantize, .threads = p->threads,
                                                 .progress = on_progress, .arg = &s },
                    &report, err);
    g4_tool_progress_hide();
    if (!rc) show_done(p, &report);
    free(from);
    return rc;
}
