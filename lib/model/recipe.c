/* model/recipe: see recipe.h. */
#include "model/recipe.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct g4_recipe recipes[] = {
    { "f32", 0, G4_F32, "as trained, 32 bits" },
    { "f16", 1, G4_F16, "16 bits" },
    { "bf16", 32, G4_BF16, "16 bits, what Gemma is published in" },
    { "q8_0", 7, G4_Q8_0, "8.5 bits, no loss to notice" },
    { "q6_k", 18, G4_Q6_K, "6.6 bits" },
    { "q5_k_m", 17, G4_Q5_K, "5.7 bits" },
    { "q5_k_s", 16, G4_Q5_K, "5.5 bits" },
    { "q5_0", 8, G4_Q5_0, "5.5 bits, blocks of 32" },
    { "q5_1", 9, G4_Q5_1, "6 bits, blocks of 32" },
    { "q4_k_m", 15, G4_Q4_K, "4.8 bits, the usual choice" },
    { "q4_k_s", 14, G4_Q4_K, "4.6 bits" },
    { "q4_0", 2, G4_Q4_0, "4.5 bits, for QAT checkpoints" },
    { "q4_1", 3, G4_Q4_1, "5 bits, blocks of 32" },
    { "iq4_xs", 30, G4_IQ4_XS, "4.3 bits, uneven levels" },
    { "iq4_nl", 25, G4_IQ4_NL, "4.5 bits, uneven levels, blocks of 32" },
    { "q3_k_l", 13, G4_Q3_K, "4.3 bits" },
    { "q3_k_m", 12, G4_Q3_K, "3.9 bits" },
    { "q3_k_s", 11, G4_Q3_K, "3.4 bits" },
    { "q2_k", 10, G4_Q2_K, "3 bits, much is lost" },
};
enum { N_RECIPE = sizeof recipes / sizeof *recipes };

const struct g4_recipe *g4_recipe_find(const char *name)
{
    for (size_t i = 0; i < N_RECIPE; i++)
        if (strcasecmp(recipes[i].name, name) == 0) return &recipes[i];
    return NULL;
}

const struct g4_recipe *g4_recipe_at(size_t i)
{
    return i < N_RECIPE ? &recipes[i] : NULL;
}

const char *g4_recipe_names(void)
{
    static char names[10 * N_RECIPE];
    if (names[0]) return names;
    size_t n = 0;
    for (size_t i = 0; i < N_RECIPE; i++) {
        if (i) n = strlen(strcat(names, ", "));
        memcpy(names + n, recipes[i].name, strlen(recipes[i].name) + 1);
        n = strlen(names);
    }
    return names;
}

static bool has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

bool g4_recipe_quantises(const char *name, uint32_t n_dim)
{
    static const char *const kept[] = { "_norm.weight", "ffn_gate_inp.weight", "altup", "laurel", "per_layer_model_proj", ".position_embd",
                                        ".rel_pos", ".patch_embd", "position_embd.weight", "token_types.weight" };
    const size_t n = strlen(name);
    if (n_dim < 2 || n < 6 || strcmp(name + n - 6, "weight") != 0) return false;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (has(name, kept[i])) return false;
    return true;
}

int32_t g4_recipe_layer(const char *name)
{
    char *end;
    if (strncmp(name, "blk.", 4) != 0) return -1;
    const long v = strtol(name + 4, &end, 10);
    return end > name + 4 && *end == '.' && v >= 0 && v < 1 << 20 ? (int32_t)v : -1;
}

g4_dtype g4_recipe_fallback(g4_dtype type, uint64_t row)
{
    if (row % g4_dtype_get((uint32_t)type)->block == 0) return type;
    switch (type) {
    case G4_Q4_K: type = G4_Q5_0; break;
    case G4_Q5_K: type = G4_Q5_1; break;
    case G4_Q6_K: type = G4_Q8_0; break;
    case G4_Q2_K:
    case G4_Q3_K: type = G4_Q4_0; break;
    case G4_IQ4_XS: type = G4_IQ4_NL; break;
    default: break;
    }
    return row % g4_dtype_get((uint32_t)type)->block == 0 ? type : G4_F16;
}

/* The first and last eighth, and every third between them. */
static bool more_bits(uint32_t i, uint32_t n)
{
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

static bool is(const struct g4_recipe *r, const char *name)
{
    return strcmp(r->name, name) == 0;
}

/* V of attention: small, and what it loses is lost for all heads that share it. */
static g4_dtype type_of_v(const struct g4_recipe *r, const struct g4_recipe_model *m, uint32_t i)
{
    if ((is(r, "q4_k_m") || is(r, "q5_k_m")) && more_bits(i, m->n_v)) return G4_Q6_K;
    if (is(r, "q4_k_s") && i < 4) return G4_Q5_K;
    if (is(r, "q3_k_m")) return i < 2 ? G4_Q5_K : G4_Q4_K;
    if (is(r, "q3_k_l")) return G4_Q5_K;
    if (is(r, "q2_k")) return m->gqa >= 4 ? G4_Q4_K : G4_Q3_K;
    if ((is(r, "iq4_nl") || is(r, "iq4_xs")) && m->gqa >= 4) return G4_Q5_K;
    return r->base;
}

static g4_dtype type_of_down(const struct g4_recipe *r, const struct g4_recipe_model *m, uint32_t layer)
{
    const bool early = layer < m->n_layer / 8;
    if ((is(r, "q4_k_m") || is(r, "q5_k_m")) && more_bits(layer, m->n_layer)) return G4_Q6_K;
    if (is(r, "q4_k_s") && early) return G4_Q5_K;
    if (is(r, "q4_0") && m->importance && early) return G4_Q4_1;
    if (is(r, "q5_0") && m->importance && early) return G4_Q5_1;
    if (is(r, "q3_k_m")) return layer < m->n_layer / 16 ? G4_Q5_K : G4_Q4_K;
    if (is(r, "q3_k_l")) return G4_Q5_K;
    if (is(r, "q2_k")) return G4_Q3_K;
    if ((is(r, "iq4_nl") || is(r, "iq4_xs")) && !m->importance && early) return G4_Q5_K;
    return r->base;
}

static g4_dtype type_of_output(const struct g4_recipe *r)
{
    return is(r, "q3_k_m") ? G4_Q4_K : is(r, "q3_k_l") ? G4_Q5_K : is(r, "q2_k") ? G4_Q3_K : r->base;
}

g4_dtype g4_recipe_type(const struct g4_recipe *r, const struct g4_recipe_model *m, const char *name, uint64_t row, uint32_t i_v)
{
    const bool table = strcmp(name, "token_embd.weight") == 0 || strcmp(name, "per_layer_token_embd.weight") == 0;
    const int32_t layer = g4_recipe_layer(name);
    g4_dtype type = r->base;

    if (!g4_dtype_get((uint32_t)r->base)->is_block) return r->base;
    if (strcmp(name, "output.weight") == 0 || (table && !m->head))
        type = r->base == G4_Q8_0 || row % 256 ? G4_Q8_0 : G4_Q6_K;
    else if (has(name, "attn_v.weight"))
        type = type_of_v(r, m, i_v);
    else if (has(name, "ffn_down") && layer >= 0)
        type = type_of_down(r, m, (uint32_t)layer);
    else if (has(name, "attn_output.weight"))
        type = type_of_output(r);
    return g4_recipe_fallback(type, row);
}
