/* model/hparams: what both file formats' readers share: facts of an
 * architecture that no file states, range checks, and which layer owns the KV
 * that a layer reads. */
#include "model/impl.h"

#include <math.h>
#include <string.h>

/* Larger than any model there is; keeps every product of two within 64 bits. */
enum { MAX_LAYER = 1024, MAX_DIM = 1 << 20, MAX_HEAD = 1024, MAX_HEAD_DIM = 4096, MAX_EXPERT = 4096 };

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool g4_arch_one_plus(const char *arch)
{
    return is(arch, "gemma3") || is(arch, "gemma2") || is(arch, "vaultgemma") || is(arch, "gemma-embedding");
}

void g4_hparams_arch(struct g4_hparams *hp, const char *arch)
{
    const bool four = is(arch, "gemma4"), embed2 = is(arch, "gemma-embedding2");

    hp->arch = arch;
    hp->encoder = embed2 || is(arch, "gemma-embedding");
    hp->v_norm = four || embed2;
    hp->qk_norm = !is(arch, "gemma2") && !is(arch, "vaultgemma");
    hp->post_norms = !is(arch, "vaultgemma");
    hp->ple_table = four;
    hp->attn_scale = 1.0f;
    hp->rope_factor = 1.0f;
    hp->rope_partial = 1.0f;
}

int g4_hparams_layers(struct g4_hparams *hp, g4_arena *a, uint64_t n_layer, g4_err *err)
{
    if (n_layer < 1 || n_layer > MAX_LAYER)
        return g4_fail(err, G4_EFORMAT, "number of layers out of range: %llu", (unsigned long long)n_layer);
    hp->n_layer = (uint32_t)n_layer;
    hp->layer = g4_arena_alloc(a, n_layer * sizeof *hp->layer);
    return G4_OK;
}

void g4_hparams_pattern(struct g4_hparams *hp, uint32_t period)
{
    for (uint32_t l = 0; l < hp->n_layer; l++) hp->layer[l].local = period && (l + 1) % period != 0;
}

static int in_range(const char *what, uint64_t v, uint64_t lo, uint64_t hi, g4_err *err)
{
    if (v >= lo && v <= hi) return G4_OK;
    return g4_fail(err, G4_EFORMAT, "%s out of range: %llu", what, (unsigned long long)v);
}

static int check_model(const struct g4_hparams *hp, g4_err *err)
{
    int r;

    if ((r = in_range("embedding length", hp->d_model, 1, MAX_DIM, err)) ||
        (r = in_range("number of heads", hp->n_head, 1, MAX_HEAD, err)) ||
        (r = in_range("per-layer input length", hp->d_ple, 0, MAX_DIM, err)) ||
        (r = in_range("context length", hp->context, 1, 1u << 30, err)) ||
        (r = in_range("number of experts", hp->n_expert, 0, MAX_EXPERT, err)))
        return r;
    if (hp->n_expert && ((r = in_range("experts in use", hp->k_expert, 1, hp->n_expert, err)) ||
                         (r = in_range("expert length", hp->d_expert, 1, MAX_DIM, err))))
        return r;
    if (!(hp->eps > 0) || !(hp->eps < 1)) return g4_fail(err, G4_EFORMAT, "norm epsilon out of range: %g", (double)hp->eps);
    if (!(hp->attn_scale > 0) || !isfinite(hp->attn_scale)) return g4_fail(err, G4_EFORMAT, "attention scale out of range");
    if (!(hp->attn_softcap >= 0) || !(hp->final_softcap >= 0)) return g4_fail(err, G4_EFORMAT, "soft-cap out of range");
    for (int i = 0; i < 2; i++)
        if (!(hp->rope_base[i] >= 1) || !isfinite(hp->rope_base[i]))
            return g4_fail(err, G4_EFORMAT, "rope base out of range: %g", (double)hp->rope_base[i]);
    if (!(hp->rope_factor > 0) || !isfinite(hp->rope_factor) || !(hp->rope_partial > 0) || !(hp->rope_partial <= 1))
        return g4_fail(err, G4_EFORMAT, "rope scaling out of range");
    return G4_OK;
}

/* Rotation tables are one a kind, so all layers of a kind have one head size. */
static int check_layer(const struct g4_hparams *hp, uint32_t l, const uint32_t head[2], g4_err *err)
{
    const struct g4_layer_hp *p = &hp->layer[l];
    int r;

    if ((r = in_range("head length", p->d_head, 2, MAX_HEAD_DIM, err)) || (r = in_range("number of KV heads", p->n_kv, 1, hp->n_head, err)) ||
        (r = in_range("feed-forward length", p->d_ff, 1, MAX_DIM, err)))
        return r;
    if (p->d_head % 2) return g4_fail(err, G4_EFORMAT, "odd head length in layer %u: %u", l, p->d_head);
    if (hp->n_head % p->n_kv)
        return g4_fail(err, G4_EFORMAT, "%u heads cannot share %u KV heads in layer %u", hp->n_head, p->n_kv, l);
    if (p->d_head != head[p->local]) return g4_fail(err, G4_EUNSUP, "layers of one kind with different head lengths (layer %u)", l);
    if (p->local && !hp->window) return g4_fail(err, G4_EFORMAT, "sliding attention in layer %u without a window", l);
    return G4_OK;
}

int g4_hparams_finish(struct g4_hparams *hp, uint32_t n_shared, g4_err *err)
{
    uint32_t head[2] = { 0 };
    int32_t last[2] = { -1, -1 };
    int r = check_model(hp, err);

    if (r) return r;
    if (n_shared >= hp->n_layer) return g4_fail(err, G4_EFORMAT, "number of layers without KV out of range: %u", n_shared);
    hp->first_shared = hp->n_layer - n_shared;
    hp->n_owner = 0;
    for (uint32_t l = 0; l < hp->n_layer; l++) {
        struct g4_layer_hp *p = &hp->layer[l];
        if (!head[p->local]) head[p->local] = p->d_head;
        if ((r = check_layer(hp, l, head, err))) return r;
        p->moe = hp->n_expert > 0;
        p->owns_kv = l < hp->first_shared;
        if (p->owns_kv) last[p->local] = (int32_t)hp->n_owner++;
        p->kv_layer = last[p->local];
        if (p->kv_layer < 0)
            return g4_fail(err, G4_EFORMAT, "no layer before layer %u has %s KV to share", l, p->local ? "local" : "global");
    }
    /* A donor's shape is what the reader sees. */
    for (uint32_t l = hp->first_shared; l < hp->n_layer; l++)
        for (uint32_t o = 0; o < hp->first_shared; o++)
            if (hp->layer[o].kv_layer == hp->layer[l].kv_layer && hp->layer[o].n_kv != hp->layer[l].n_kv)
                return g4_fail(err, G4_EFORMAT, "layer %u and its KV donor %u differ in KV heads", l, o);
    return G4_OK;
}
