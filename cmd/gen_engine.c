/* cmd/gen_engine: opens the engine of a run, reports what it did. */
#include "gen.h"
#include "shipped.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool g4_gen_wants_tokens(const struct g4_gen *g)
{
    return g->tokenize || g->detokenize || g->count || g->dry_run;
}

/* --gpu-layers: auto is 0, a number is one more than itself. */
static int read_layers(const char *text, uint32_t *out, g4_err *err)
{
    char *end = NULL;
    *out = 0;
    if (!text || !strcmp(text, "auto")) return G4_OK;
    const unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n > 100000) return g4_fail(err, G4_EUSAGE, "--gpu-layers takes a number or auto, not '%s'", text);
    *out = (uint32_t)n + 1;
    return G4_OK;
}

int g4_gen_open(struct g4_gen_run *r, g4_err *err)
{
    const struct g4_gen *g = r->g;
    uint32_t gpu_layers;
    char shipped[PATH_MAX];
    const char *model = g->model ? g->model : g4_tool_shipped_model(shipped, sizeof shipped);
    if (!model)
        return g4_fail(err, G4_EMODEL, "no model is chosen: give one with -m (a file, a folder or a name), or set G4_MODEL");
    if (read_layers(g->gpu_layers, &gpu_layers, err)) return err->code;
    const g4_engine_params p = {
        .model = model,
        .device = g->device,
        .threads = g->threads,
        .gpu_layers = gpu_layers,
        .context = g->context,
        .parallel = r->text ? 1 : g->parallel,
        .kv_type = g->kv_type,
        .fast_bf16 = g->fast_bf16,
        .turns = r->chat ? 2 : 0,
        .text_only = g4_gen_wants_tokens(g),
    };
    r->e = g4_engine_new(&p, err);
    if (!r->e) return err->code;
    r->info = g4_engine_get_info(r->e);
    if (r->info->is_encoder && !g4_gen_wants_tokens(g))
        return g4_fail(err, G4_EUNSUP, "'%s' is an encoder: it embeds text and cannot generate", model);
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
void g4_gen_report(const struct g4_gen_run *r)
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
