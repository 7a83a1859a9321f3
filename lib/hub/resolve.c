/* hub/resolve: which source a reference speaks of. */
#define _GNU_SOURCE /* strcasestr */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "hub/alias.h"
#include "hub/impl.h"
#include "weights/names.h"

static bool ends_in(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcasecmp(s + n - k, end);
}

bool g4_path_is_safe(const char *path)
{
    unsigned depth = 0;
    if (!*path || *path == '/' || strlen(path) > 1024) return false;
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < 32 || *p == 127 || *p == '\\') return false;
    for (const char *p = path; *p; depth++) {
        const size_t n = strcspn(p, "/");
        if (!n || n > 255 || depth >= 16 || (n <= 2 && p[0] == '.' && p[n - 1] == '.')) return false;
        p += n;
        if (*p == '/' && !*++p) return false;
    }
    return true;
}

enum g4_role g4_role_of(const char *path)
{
    static const struct {
        const char *name;
        enum g4_role role;
    } exact[] = {
        { "tokenizer.json", G4_ROLE_TOKENIZER },        { "tokenizer.model", G4_ROLE_TOKENIZER },
        { "tokenizer_config.json", G4_ROLE_TOKENIZER }, { "special_tokens_map.json", G4_ROLE_TOKENIZER },
        { "added_tokens.json", G4_ROLE_TOKENIZER },     { "chat_template.jinja", G4_ROLE_TEMPLATE },
        { "chat_template.json", G4_ROLE_TEMPLATE },     { "params.json", G4_ROLE_PARAMS },
    };
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (g4_names_is_mmproj(path)) return G4_ROLE_MMPROJ;
    if (g4_names_is_drafter(path)) return G4_ROLE_DRAFTER;
    if (g4_names_is_gguf(path)) return strcasestr(base, "imatrix") ? G4_ROLE_OTHER : G4_ROLE_MODEL;
    if (ends_in(base, ".safetensors")) return G4_ROLE_MODEL;
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (!strcmp(base, exact[i].name)) return exact[i].role;
    if (!strncasecmp(base, "LICENSE", 7)) return G4_ROLE_LICENSE;
    if (ends_in(base, ".json")) return G4_ROLE_CONFIG;
    return G4_ROLE_OTHER;
}

struct scheme {
    const char *prefix;
    int (*resolve)(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err);
    bool whole; /* the prefix belongs to what is resolved */
};

static int oci(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    return g4_resolve_oci(h, ref, false, plan, err);
}

static int docker(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    return g4_resolve_oci(h, ref, true, plan, err);
}

static int file_url(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    return g4_resolve_path(h, strncmp(ref, "///", 3) ? ref : ref + 2, plan, err);
}

/* A web address below the Hub's endpoint that is none of its files'. */
static int hub_page(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    return !strncmp(ref, "https://huggingface.co/", 23) && strstr(ref, "/resolve/") && !strstr(ref, ".gguf") && !strstr(ref, ".safetensors")
               ? g4_resolve_url(h, ref, plan, err)
               : g4_resolve_hf(h, ref, plan, err);
}

static const struct scheme scheme[] = {
    { "hf:", g4_resolve_hf, false },
    { "ollama:", g4_resolve_ollama, false },
    { "oci:", oci, false },
    { "docker:", docker, false },
    { "kaggle:", g4_resolve_kaggle, false },
    { "pypi:", g4_resolve_pypi, false },
    { "file:", file_url, false },
    { "https://huggingface.co/", hub_page, true },
    { "huggingface.co/", g4_resolve_hf, true },
    { "hf.co/", g4_resolve_hf, true },
    { "registry.ollama.ai/", g4_resolve_ollama, true },
    { "https://", g4_resolve_url, true },
    { "http://", g4_resolve_url, true },
};

/* What a short name stands for; its pin when the user gave none. */
static int alias(struct g4_hub *h, const char *ref, char **target, char **pin, g4_err *err)
{
    size_t n;
    g4_err why = {0};
    struct g4_alias *a = g4_aliases(&n, &why);
    if (!a) return g4_hub_fail(h, G4_HUB_USAGE, err, "%s", why.msg);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(a[i].name, ref)) {
            *target = g4_strdup(a[i].ref);
            if (a[i].pin) *pin = g4_strdup(a[i].pin);
        }
    g4_aliases_free(a, n);
    return 0;
}

/* A bare name that nothing has: how it is spelt, which sizes there are, or who could be asked. */
static int no_such_name(struct g4_hub *h, const char *ref, g4_err *err)
{
    size_t n;
    struct g4_alias *a = g4_aliases(&n, NULL);
    const size_t family = strcspn(ref, ":");
    const char *same = NULL;
    g4_str known = {0};
    for (size_t i = 0; i < n; i++) {
        if (!strcasecmp(a[i].name, ref)) same = a[i].name;
        if (!strncasecmp(a[i].name, ref, family) && strchr(":", a[i].name[family])) g4_str_addf(&known, "%s%s", known.n ? ", " : "", a[i].name);
    }
    int rc;
    if (same) rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' is no short name, '%s' is", ref, same);
    else if (known.n) rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' is no short name; there are: %s", ref, known.p);
    else if (ends_in(ref, ".gguf") || ends_in(ref, ".safetensors")) rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "no file '%s'", ref);
    else
        rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' is no short name (g4-pull --aliases lists them); ollama:%s asks Ollama's registry, ORG/REPO the Hub",
                         ref, ref);
    g4_str_free(&known);
    g4_aliases_free(a, n);
    return rc;
}

static int dispatch(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    if (!*ref) return g4_hub_fail(h, G4_HUB_USAGE, err, "the reference is empty");
    if (!strcmp(ref, "-")) return g4_resolve_stdin(h, plan, err);
    for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++)
        if (!strncmp(ref, scheme[i].prefix, strlen(scheme[i].prefix)))
            return scheme[i].resolve(h, ref + (scheme[i].whole ? 0 : strlen(scheme[i].prefix)), plan, err);
    /* A text that names a path is never taken to the network. */
    if (g4_file_exists(ref) || g4_is_dir(ref) || *ref == '/' || !strncmp(ref, "./", 2) || !strncmp(ref, "../", 3))
        return g4_resolve_path(h, ref, plan, err);
    if (strchr(ref, '/')) return g4_resolve_hf(h, ref, plan, err);
    return no_such_name(h, ref, err);
}

int g4_hub_resolve(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    char *target = NULL, *pin = NULL;
    int rc = g4_file_exists(ref) ? 0 : alias(h, ref, &target, &pin, err);
    if (!rc) rc = dispatch(h, target ? target : ref, plan, err);
    plan->pin = pin;
    if (target) plan->alias = g4_strdup(ref);
    free(target);
    return rc;
}
