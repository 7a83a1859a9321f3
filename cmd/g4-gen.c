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

static bool wants_tokens(const struct g4_gen *g)
{
    return g->tokenize || g->detokenize || g->count || g->dry_run;
}

static int open_engine(struct g4_gen_run *r, g4_err *err)
{
    const struct g4_gen *g = r->g;
    if (!g->model)
        return g4_fail(err, G4_EMODEL, "no model is chosen: give one with -m (a file, a folder or a name), or set G4_MODEL");
    const g4_engine_params p = {
        .model = g->model,
        .device = g->device,
        .threads = g->threads,
        .context = g->context,
        .parallel = r->text ? 1 : g->parallel,
        .kv_type = g->kv_type,
        .fast_bf16 = g->fast_bf16,
        .text_only = wants_tokens(g),
    };
    r->e = g4_engine_new(&p, err);
    if (!r->e) return err->code;
    r->info = g4_engine_get_info(r->e);
    if (r->info->is_encoder && !wants_tokens(g))
        return g4_fail(err, G4_EUNSUP, "'%s' is an encoder: it embeds text and cannot generate", g->model);
    g4_tool_detail("%s (%s), %s on %s, loaded in %.0f ms, %.0f MB beside the file", r->info->model_name, r->info->arch,
                   r->info->model_digest, r->info->device, r->info->load_ms, (double)r->info->memory_bytes / 1e6);
    return G4_OK;
}

static double rate(double tokens, double ms)
{
    return ms > 0 ? tokens / ms * 1000 : 0;
}

/* With one record at a time the phases are told apart; side by side only the
 * whole has a speed. */
static void report(const struct g4_gen_run *r)
{
    const double ms = (g4_tool_now() - r->started) * 1000;
    const double fresh = (double)(r->prompt_tokens - r->cached_tokens), made = (double)r->completion_tokens;
    const bool single = r->records == 1 && r->g->samples == 1;
    const double prompt_ms = single ? r->prompt_ms : ms, decode_ms = single ? r->decode_ms : ms;
    g4_tool_detail("load %.0f ms; prompt %.0f tokens, %.1f t/s (%llu from the cache); decode %.0f tokens, %.1f t/s; %llu records in %.2f s",
                   r->info->load_ms, fresh, rate(fresh, prompt_ms), (unsigned long long)r->cached_tokens, made, rate(made, decode_ms),
                   (unsigned long long)r->records, ms / 1000);
    if (!r->g->stats) return;
    fprintf(stderr, "{\"records\":%llu,\"prompt_tokens\":%llu,\"cached_tokens\":%llu,\"thinking_tokens\":%llu,"
            "\"completion_tokens\":%llu,\"load_ms\":%.1f,\"run_ms\":%.1f,\"prompt_tps\":%.1f,\"decode_tps\":%.1f}\n",
            (unsigned long long)r->records, (unsigned long long)r->prompt_tokens, (unsigned long long)r->cached_tokens,
            (unsigned long long)r->thinking_tokens, (unsigned long long)r->completion_tokens, r->info->load_ms, ms,
            rate(fresh, prompt_ms), rate(made, decode_ms));
}

static int run(struct g4_gen_run *r, g4_err *err)
{
    int rc = open_engine(r, err);
    if (rc) return rc;
    r->started = g4_tool_now();
    if (wants_tokens(r->g)) return g4_gen_tokens(r, err);
    rc = r->chat ? g4_gen_chat(r, err) : r->text ? g4_gen_text(r, err) : g4_gen_records(r, err);
    report(r);
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
