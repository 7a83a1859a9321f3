/* probe logits -m MODEL [--device D] [--chunk N] [--kv-type f16] --ids 2,10,11 | --ids-file F --out FILE:
 * one forward pass, to a safetensors file of F32 arrays: `logits` [T,V], `hidden` [layers+1,T,d] (behind
 * the embedding, behind each layer), `final` [T,d] (behind the last norm), per-layer inputs `ple`
 * [T,layers*P] where the model has them; encoders `embedding` [d], `unnormalised` [d] and `pooled` instead
 * of logits.  K and V are f32 unless told otherwise.  An ids file holds numbers with anything between
 * them.  --threads N, --no-skip: all rows run through the layers that share KV. */
#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct array {
    const char *name;
    float *p;
    uint64_t shape[3]; /* 0: no such dimension */
};

static int fail(int status, const char *what)
{
    fprintf(stderr, "probe: %s\n", what);
    return status;
}

/* Numbers of a text, whatever stands between them; those over 31 bits become -1, which is refused later. */
static int32_t *read_ids(const char *s, size_t len, uint32_t *n)
{
    int32_t *ids = NULL;
    size_t cap = 0, have = 0;

    for (size_t i = 0; i < len;) {
        if (s[i] < '0' || s[i] > '9') {
            i++;
            continue;
        }
        int64_t v = 0;
        for (; i < len && s[i] >= '0' && s[i] <= '9'; i++) v = v <= INT32_MAX ? v * 10 + (s[i] - '0') : v;
        G4_GROW(ids, cap, have + 1);
        ids[have++] = v <= INT32_MAX ? (int32_t)v : -1;
    }
    *n = (uint32_t)have;
    return ids;
}

static size_t values(const struct array *a)
{
    size_t n = a->p ? 1 : 0;

    for (int i = 0; i < 3 && a->shape[i]; i++) n *= a->shape[i];
    return n;
}

static int write_arrays(const char *path, const struct array *a, size_t n)
{
    g4_str head = { 0 };
    uint64_t at = 0, len;

    g4_str_addc(&head, '{');
    for (size_t i = 0; i < n; i++) {
        const uint64_t bytes = values(&a[i]) * sizeof(float);
        if (!bytes) continue;
        g4_str_addf(&head, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", head.n > 1 ? "," : "", a[i].name);
        for (int d = 0; d < 3 && a[i].shape[d]; d++) g4_str_addf(&head, "%s%llu", d ? "," : "", (unsigned long long)a[i].shape[d]);
        g4_str_addf(&head, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at, (unsigned long long)(at + bytes));
        at += bytes;
    }
    g4_str_addc(&head, '}');
    while (head.n % 8) g4_str_addc(&head, ' ');
    len = head.n;
    FILE *f = fopen(path, "wb");
    bool fine = f && fwrite(&len, sizeof len, 1, f) == 1 && fwrite(head.p, 1, head.n, f) == head.n;
    for (size_t i = 0; fine && i < n; i++) fine = fwrite(a[i].p, sizeof(float), values(&a[i]), f) == values(&a[i]);
    if (f && fclose(f)) fine = false;
    g4_str_free(&head);
    return fine ? 0 : fail(4, "cannot write the result");
}

static float *room(uint64_t a, uint64_t b, uint64_t c)
{
    size_t n;

    if (!g4_size_mul(a, b, &n) || !g4_size_mul(n, c, &n) || !g4_size_mul(n, sizeof(float), &n)) return NULL;
    return n ? g4_try_alloc(n) : NULL;
}

static int forward(g4_core *core, const int32_t *ids, uint32_t n, uint32_t chunk, const char *out)
{
    const struct g4_hparams *hp = g4_model_hp(g4_core_model(core));
    const uint64_t v = hp->encoder ? 0 : hp->n_vocab, d = hp->d_model, e = hp->encoder ? hp->d_embed : 0;
    struct array a[] = {
        { "logits", room(n, v, 1), { n, v } },
        { "hidden", room(hp->n_layer + 1, n, d), { hp->n_layer + 1, n, d } },
        { "final", room(n, d, 1), { n, d } },
        { "ple", room(n, hp->n_layer, hp->d_ple), { n, (uint64_t)hp->n_layer * hp->d_ple } },
        { "pooled", e ? room(d, 1, 1) : NULL, { d } },
        { "unnormalised", room(e, 1, 1), { e } },
        { "embedding", room(e, 1, 1), { e } },
    };
    const struct g4_forward to = { .logits = a[0].p, .hidden = a[1].p, .final = a[2].p, .ple = a[3].p,
                                   .pooled = a[4].p, .unnormalised = a[5].p, .embedding = a[6].p };
    g4_err err = { 0 };
    int status = 0;

    if (!a[1].p || !a[2].p || (v && !a[0].p)) status = fail(4, "not enough memory for the result");
    else if (g4_core_forward(core, ids, n, chunk, &to, &err)) status = fail(err.code == G4_EINPUT || err.code == G4_ECONTEXT ? 1 : 4, err.msg);
    else status = write_arrays(out, a, sizeof a / sizeof *a);
    for (size_t i = 0; i < sizeof a / sizeof *a; i++) free(a[i].p);
    return status;
}

int probe_logits(int argc, char **argv)
{
    const char *model = probe_option(argc, argv, "-m", NULL), *list = probe_option(argc, argv, "--ids", NULL),
               *file = probe_option(argc, argv, "--ids-file", NULL), *out = probe_option(argc, argv, "--out", NULL),
               *kv = probe_option(argc, argv, "--kv-type", "f32");
    const uint32_t chunk = (uint32_t)strtoul(probe_option(argc, argv, "--chunk", "0"), NULL, 10);
    g4_str text = { 0 };
    g4_err err = { 0 };
    uint32_t n;

    if (!model || !out || !list == !file) return fail(2, "needs -m MODEL, --out FILE and --ids or --ids-file");
    if (strcmp(kv, "f32") && strcmp(kv, "f16")) return fail(2, "--kv-type is f32 or f16");
    if (file && g4_file_read(file, 64 << 20, &text, &err)) return fail(4, err.msg);
    int32_t *ids = read_ids(file ? text.p ? text.p : "" : list, file ? text.n : strlen(list), &n);
    g4_str_free(&text);
    struct g4_core_params p = { .model_path = model, .device = probe_option(argc, argv, "--device", "cpu"),
                                .threads = (uint32_t)strtoul(probe_option(argc, argv, "--threads", "0"), NULL, 10),
                                .kv_type = strcmp(kv, "f16") ? G4_F32 : G4_F16, .context = n > 1 ? n : 2, .parallel = 1,
                                .chunk = chunk, .no_kv_skip = probe_flag(argc, argv, "--no-skip") };
    g4_core *core = g4_core_new(&p, &err);
    int status;
    if (!core) status = fail(err.code == G4_EUSAGE ? 2 : 3, err.msg);
    else status = forward(core, ids, n, chunk, out);
    g4_core_free(core);
    free(ids);
    return status;
}
