/* weights/names: see names.h. */
#define _GNU_SOURCE /* strcasestr */
#include "weights/names.h"

#include <string.h>
#include <strings.h>

/* By general.file_type; the gaps are types that were withdrawn. */
static const char *const file_type[] = {
    "F32", "F16", "Q4_0", "Q4_1", NULL, NULL, NULL, "Q8_0", "Q5_0", "Q5_1", "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M",
    "Q5_K_S", "Q5_K_M", "Q6_K", "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ3_M", "IQ2_S", "IQ2_M",
    "IQ4_XS", "IQ1_M", "BF16", NULL, NULL, NULL, "TQ1_0", "TQ2_0", "MXFP4", "NVFP4",
};

/* Tags of published files that are no file type of their own. */
static const char *const other_tag[] = { "Q2_K_L", "Q2_K_XL", "Q3_K_XL", "Q4_K_L", "Q4_K_XL", "Q5_K_L", "Q5_K_XL", "Q6_K_L", "Q6_K_XL", "Q8_K_XL" };

static const char *base_of(const char *rel)
{
    const char *slash = strrchr(rel, '/');
    return slash ? slash + 1 : rel;
}

bool g4_names_is_gguf(const char *rel)
{
    const size_t n = strlen(rel);
    return n > 5 && !strcasecmp(rel + n - 5, ".gguf");
}

bool g4_names_is_mmproj(const char *rel)
{
    return g4_names_is_gguf(rel) && strcasestr(base_of(rel), "mmproj");
}

bool g4_names_is_drafter(const char *rel)
{
    static const char *const begins[] = { "mtp-", "eagle3-", "dflash-", "dspark-" };
    const char *base = base_of(rel);
    if (!g4_names_is_gguf(rel)) return false;
    if (!strncmp(rel, "MTP/", 4) || strstr(rel, "/MTP/")) return true;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (!strncasecmp(base, begins[i], strlen(begins[i]))) return true;
    return false;
}

static bool number5(const char *p, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < 5; i++) {
        if (p[i] < '0' || p[i] > '9') return false;
        *out = *out * 10 + (unsigned)(p[i] - '0');
    }
    return true;
}

size_t g4_names_split(const char *rel, unsigned *part, unsigned *of)
{
    const size_t n = strlen(rel);
    const char *p = n > 20 && g4_names_is_gguf(rel) ? rel + n - 20 : NULL; /* -00001-of-00002.gguf */
    if (p && *p == '-' && number5(p + 1, part) && !strncmp(p + 6, "-of-", 4) && number5(p + 10, of) && *part && *part <= *of) return n - 20;
    *part = *of = 0;
    return n;
}

bool g4_names_is_model(const char *rel)
{
    unsigned part, of;
    if (!g4_names_is_gguf(rel) || g4_names_is_mmproj(rel) || g4_names_is_drafter(rel) || strcasestr(base_of(rel), "imatrix")) return false;
    g4_names_split(rel, &part, &of);
    return part <= 1;
}

int g4_names_match(const char *rel, const char *tag)
{
    const size_t n = strlen(tag);
    int best = 0;
    for (const char *p = rel; (p = strcasestr(p, tag)); p++) {
        const bool left = p == rel || strchr("-._/", p[-1]), right = !p[n] || strchr("-./", p[n]);
        if (!left || !right) continue;
        const bool ud = p - rel >= 3 && !strncasecmp(p - 3, "UD-", 3);
        if (best < (ud ? 1 : 2)) best = ud ? 1 : 2;
    }
    return best;
}

static size_t shared_folder(const char *a, const char *b)
{
    size_t deep = 0;
    for (size_t i = 0; a[i] && a[i] == b[i]; i++) deep += a[i] == '/';
    return deep;
}

size_t g4_names_nearest(char *const *name, size_t n, const char *model, bool (*is)(const char *rel))
{
    const char *tag = g4_names_quant(model);
    size_t best = n, most = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned part, of;
        g4_names_split(name[i], &part, &of);
        if (!is(name[i]) || part > 1) continue;
        size_t score = 1 + 16 * shared_folder(name[i], model) + (tag && g4_names_match(name[i], tag) ? 8 : 0);
        score += g4_names_match(name[i], "BF16") ? 4 : g4_names_match(name[i], "F16") ? 3 : g4_names_match(name[i], "F32") ? 1 : 2;
        if (score <= most) continue;
        most = score;
        best = i;
    }
    return best;
}

/* The longest tag that matches, since 'Q4_0' may stand beside 'qat' and the like. */
const char *g4_names_quant(const char *rel)
{
    const char *best = NULL;
    for (size_t i = 0; i < sizeof file_type / sizeof *file_type; i++)
        if (file_type[i] && g4_names_match(rel, file_type[i]) && (!best || strlen(file_type[i]) > strlen(best))) best = file_type[i];
    for (size_t i = 0; i < sizeof other_tag / sizeof *other_tag; i++)
        if (g4_names_match(rel, other_tag[i]) && (!best || strlen(other_tag[i]) > strlen(best))) best = other_tag[i];
    return best;
}

const char *g4_names_file_type(uint64_t type)
{
    return type < sizeof file_type / sizeof *file_type ? file_type[type] : NULL;
}
