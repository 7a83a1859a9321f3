/* cmd/pull_info: --info: what a model is, what it holds and what it needs. */
#include "pull.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct info {
    const char *name, *path, *digest;
    struct g4_store_beside beside;
    struct g4_card card;
    uint32_t context[3]; /* lengths whose memory is told; 0: none */
};

struct memory { /* bytes at a context length */
    uint64_t weights, host, cache, work;
};

static uint32_t count_global(const struct g4_hparams *hp)
{
    uint32_t n = 0;
    for (uint32_t l = 0; l < hp->n_layer; l++) n += !hp->layer[l].local;
    return n;
}

/* Smallest and largest of a number over the layers. */
static void range(const struct g4_hparams *hp, size_t offset, uint32_t *lo, uint32_t *hi)
{
    *lo = UINT32_MAX;
    *hi = 0;
    for (uint32_t l = 0; l < hp->n_layer; l++) {
        uint32_t v;
        memcpy(&v, (const char *)&hp->layer[l] + offset, sizeof v);
        if (v < *lo) *lo = v;
        if (v > *hi) *hi = v;
    }
}

static void choose_contexts(struct info *i, uint32_t asked)
{
    const uint32_t most = i->card.hp->context;
    if (asked) {
        i->context[0] = asked < most ? asked : most;
        return;
    }
    size_t n = 0;
    if (most > 8192) i->context[n++] = 8192;
    if (most > 32768) i->context[n++] = 32768;
    i->context[n] = most;
}

/* The per-layer table is read a row a token: a GPU leaves it in main memory. */
static struct memory memory_at(const struct info *i, uint32_t context)
{
    struct g4_need need;
    g4_need_of(i->card.model, context, &need);
    return (struct memory){ i->card.bytes - i->card.ple_bytes, i->card.ple_bytes, need.cache, need.work };
}

/* ---- JSON ------------------------------------------------------------------------ */

static void text_member(g4_str *s, const char *key, const char *value)
{
    g4_str_addf(s, ",\"%s\":", key);
    if (value) g4_json_put_str(s, value, strlen(value));
    else g4_str_adds(s, "null");
}

static void number_member(g4_str *s, const char *key, double v)
{
    g4_str_addf(s, ",\"%s\":", key);
    g4_json_put_f64(s, v);
}

/* One number, or the numbers of all layers where they differ. */
static void layers_member(g4_str *s, const char *key, const struct g4_hparams *hp, size_t offset)
{
    uint32_t lo, hi, v;
    range(hp, offset, &lo, &hi);
    if (lo == hi) {
        g4_str_addf(s, ",\"%s\":%" PRIu32, key, lo);
        return;
    }
    for (uint32_t l = 0; l < hp->n_layer; l++) {
        memcpy(&v, (const char *)&hp->layer[l] + offset, sizeof v);
        if (l) g4_str_addf(s, ",%" PRIu32, v);
        else g4_str_addf(s, ",\"%s\":[%" PRIu32, key, v);
    }
    g4_str_addc(s, ']');
}

static void hparams_json(g4_str *s, const struct g4_hparams *hp)
{
    g4_str_addf(s, ",\"hyper_parameters\":{\"layers\":%" PRIu32 ",\"global_layers\":%" PRIu32 ",\"hidden\":%" PRIu32 ",\"vocabulary\":%" PRIu32, hp->n_layer,
                count_global(hp), hp->d_model, hp->n_vocab);
    g4_str_addf(s, ",\"context\":%" PRIu32 ",\"window\":%" PRIu32 ",\"heads\":%" PRIu32, hp->context, hp->window, hp->n_head);
    layers_member(s, "kv_heads", hp, offsetof(struct g4_layer_hp, n_kv));
    layers_member(s, "head_length", hp, offsetof(struct g4_layer_hp, d_head));
    layers_member(s, "feed_forward", hp, offsetof(struct g4_layer_hp, d_ff));
    g4_str_addf(s, ",\"layers_with_kv\":%" PRIu32 ",\"per_layer_input\":%" PRIu32, hp->n_owner, hp->d_ple);
    if (hp->n_expert) g4_str_addf(s, ",\"experts\":%" PRIu32 ",\"experts_used\":%" PRIu32 ",\"expert_feed_forward\":%" PRIu32, hp->n_expert, hp->k_expert, hp->d_expert);
    if (hp->encoder) g4_str_addf(s, ",\"embedding\":%" PRIu32, hp->d_embed);
    number_member(s, "rope_base", (double)hp->rope_base[0]);
    number_member(s, "rope_base_local", (double)hp->rope_base[1]);
    if (hp->rope_factor != 1.0f) number_member(s, "rope_factor", (double)hp->rope_factor);
    if (hp->attn_softcap > 0) number_member(s, "attention_softcap", (double)hp->attn_softcap);
    if (hp->final_softcap > 0) number_member(s, "final_softcap", (double)hp->final_softcap);
    g4_str_addc(s, '}');
}

static void sampling_json(g4_str *s, const struct g4_gen_defaults *d)
{
    const char *between = "";
    g4_str_adds(s, ",\"sampling\":{");
    if (!isnan(d->temperature)) {
        g4_str_adds(s, "\"temperature\":");
        g4_json_put_f32(s, d->temperature);
        between = ",";
    }
    if (d->top_k >= 0) {
        g4_str_addf(s, "%s\"top_k\":%" PRId32, between, d->top_k);
        between = ",";
    }
    if (!isnan(d->top_p)) {
        g4_str_addf(s, "%s\"top_p\":", between);
        g4_json_put_f32(s, d->top_p);
    }
    g4_str_addc(s, '}');
}

static void memory_json(g4_str *s, const struct info *i)
{
    g4_str_adds(s, ",\"memory\":[");
    for (int k = 0; k < 3 && i->context[k]; k++) {
        const struct memory m = memory_at(i, i->context[k]);
        g4_str_addf(s, "%s{\"context\":%" PRIu32 ",\"cache\":%" PRIu64 ",\"work\":%" PRIu64 ",\"cpu\":%" PRIu64 ",\"gpu\":%" PRIu64 ",\"gpu_host\":%" PRIu64 "}", k ? "," : "",
                    i->context[k], m.cache, m.work, m.weights + m.host + m.cache + m.work, m.weights + m.cache + m.work, m.host);
    }
    g4_str_addc(s, ']');
}

static void types_json(g4_str *s, const struct g4_card *c)
{
    const char *between = "";
    g4_str_adds(s, ",\"tensors\":{");
    for (uint32_t t = 0; t < G4_DTYPE_END; t++) {
        if (!c->n_type[t]) continue;
        g4_str_addf(s, "%s\"%s\":{\"count\":%" PRIu32 ",\"bytes\":%" PRIu64 "}", between, g4_dtype_get(t)->name, c->n_type[t], c->type_bytes[t]);
        between = ",";
    }
    g4_str_addc(s, '}');
}

static void print_json(const struct info *i)
{
    const struct g4_card *c = &i->card;
    g4_str s = {0};
    g4_str_adds(&s, "{\"name\":");
    g4_json_put_str(&s, i->name, strlen(i->name));
    text_member(&s, "path", i->path);
    text_member(&s, "digest", i->digest);
    text_member(&s, "architecture", c->arch);
    g4_str_addf(&s, ",\"parameters\":%" PRIu64 ",\"bytes\":%" PRIu64, c->n_param, c->bytes);
    text_member(&s, "license", c->license);
    types_json(&s, c);
    if (c->quantised_with) text_member(&s, "importance_matrix", c->quantised_with);
    if (c->hp) {
        hparams_json(&s, c->hp);
        sampling_json(&s, c->gen);
        memory_json(&s, i);
    } else {
        text_member(&s, "unsupported", c->why);
    }
    text_member(&s, "mmproj", i->beside.mmproj);
    text_member(&s, "drafter", i->beside.drafter);
    text_member(&s, "chat_format", c->chat);
    text_member(&s, "chat_template", c->template);
    g4_str_addc(&s, '}');
    g4_pull_line(&s);
    g4_str_free(&s);
}

/* ---- text -------------------------------------------------------------------------- */

static void size_text(uint64_t bytes, char out[24])
{
    if (bytes >= 1000000000) snprintf(out, 24, "%.2f GB", (double)bytes / 1e9);
    else snprintf(out, 24, "%.1f MB", (double)bytes / 1e6);
}

static const char *param_text(uint64_t n, char out[24])
{
    if (n >= 1000000000) snprintf(out, 24, "%.1f billion", (double)n / 1e9);
    else snprintf(out, 24, "%.1f million", (double)n / 1e6);
    return out;
}

static void line(const char *key, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void line(const char *key, const char *fmt, ...)
{
    va_list ap;
    printf("  %-14s ", key);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

/* "1", "1 to 2" */
static const char *range_text(const struct g4_hparams *hp, size_t offset, char out[32])
{
    uint32_t lo, hi;
    range(hp, offset, &lo, &hi);
    if (lo == hi) snprintf(out, 32, "%" PRIu32, lo);
    else snprintf(out, 32, "%" PRIu32 " to %" PRIu32, lo, hi);
    return out;
}

static void print_hparams(const struct g4_hparams *hp)
{
    char a[32], b[32];
    const uint32_t global = count_global(hp);
    if (global == hp->n_layer) line("layers", "%" PRIu32, hp->n_layer);
    else line("layers", "%" PRIu32 ": %" PRIu32 " see everything, %" PRIu32 " a window of %" PRIu32, hp->n_layer, global, hp->n_layer - global, hp->window);
    if (hp->n_owner < hp->n_layer) line("shared cache", "%" PRIu32 " layers read the keys and values of others", hp->n_layer - hp->n_owner);
    line("hidden", "%" PRIu32 ", feed-forward %s%s", hp->d_model, range_text(hp, offsetof(struct g4_layer_hp, d_ff), a), hp->d_ple ? ", with per-layer inputs" : "");
    if (hp->n_expert) line("experts", "%" PRIu32 ", %" PRIu32 " in use, feed-forward %" PRIu32, hp->n_expert, hp->k_expert, hp->d_expert);
    line("heads", "%" PRIu32 ", of keys and values %s, length %s", hp->n_head, range_text(hp, offsetof(struct g4_layer_hp, n_kv), a),
         range_text(hp, offsetof(struct g4_layer_hp, d_head), b));
    line("vocabulary", "%" PRIu32, hp->n_vocab);
    line("context", "%" PRIu32, hp->context);
    if (hp->encoder) line("vectors", "%" PRIu32 " components", hp->d_embed);
}

static void print_memory(const struct info *i)
{
    for (int k = 0; k < 3 && i->context[k]; k++) {
        const struct memory m = memory_at(i, i->context[k]);
        char key[24], cpu[24], gpu[24], cache[24], host[24];
        snprintf(key, sizeof key, "at %" PRIu32, i->context[k]);
        size_text(m.weights + m.host + m.cache + m.work, cpu);
        size_text(m.weights + m.cache + m.work, gpu);
        size_text(m.cache, cache);
        size_text(m.host, host);
        line(key, "CPU %s, GPU %s%s%s%s; the cache is %s of that", cpu, gpu, m.host ? " and " : "", m.host ? host : "", m.host ? " of main memory" : "", cache);
    }
}

static void print_types(const struct g4_card *c)
{
    g4_str s = {0};
    char size[24];
    for (uint32_t t = 0; t < G4_DTYPE_END; t++) {
        if (!c->n_type[t]) continue;
        size_text(c->type_bytes[t], size);
        g4_str_addf(&s, "%s%" PRIu32 " %s (%s)", s.n ? ", " : "", c->n_type[t], g4_dtype_get(t)->name, size);
    }
    line("tensors", "%s", s.p ? s.p : "none");
    g4_str_free(&s);
}

static void print_text(const struct info *i)
{
    const struct g4_card *c = &i->card;
    char size[24], params[24];
    size_text(c->bytes, size);
    printf("%s\n", i->name);
    line("path", "%s", i->path);
    if (i->digest) line("digest", "%s", i->digest);
    line("architecture", "%s, %s parameters, %s", c->arch ? c->arch : "?", param_text(c->n_param, params), size);
    line("license", "%s", c->license ? c->license : "not said");
    if (c->hp) print_hparams(c->hp);
    else line("unsupported", "%s", c->why);
    print_types(c);
    if (c->quantised_with) line("importance", "%s", c->quantised_with);
    if (i->beside.mmproj) line("projector", "%s", i->beside.mmproj);
    if (i->beside.drafter) line("drafter", "%s", i->beside.drafter);
    if (c->hp) print_memory(i);
    if (c->template) line("chat", "%s; the template (%zu bytes) stands in --json", c->chat, strlen(c->template));
    else line("chat", "%s, no template", c->chat);
}

int g4_pull_info(const struct g4_pull *p, const char *name, g4_err *err)
{
    struct info i = { .name = name };
    char *digest = NULL, *path = g4_store_find(name, &digest, err);
    if (!path) return err->code;
    int rc = g4_card_open(&i.card, path, err);
    if (!rc) {
        i.path = path;
        i.digest = digest;
        g4_store_beside(name, path, &i.beside);
        if (i.card.hp) choose_contexts(&i, p->context);
        if (p->json) print_json(&i);
        else print_text(&i);
    }
    g4_card_close(&i.card);
    free(i.beside.mmproj);
    free(i.beside.drafter);
    free(path);
    free(digest);
    return rc;
}
