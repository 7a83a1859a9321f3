/* weights/place_docker: the models of Docker's model runner, read in place.
 *
 *   models.json            {"models": [{"id", "tags": ["ai/gemma4:latest"], "files": ["sha256:HEX"]}]}
 *   blobs/sha256/HEX       their content; HEX.incomplete while it is fetched */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "weights/place.h"

enum { INDEX_MAX = 16 << 20, MAGIC = 4 };

static char *root_of(void)
{
    char *root = g4_place_env("MODELS_PATH");
    return root ? root : g4_xdg_path(NULL, ".docker/models", NULL);
}

static bool is_gguf(const char *path)
{
    g4_str head = {0};
    FILE *f = fopen(path, "rb");
    g4_str_reserve(&head, MAGIC);
    const bool yes = f && fread(head.p, 1, MAGIC, f) == MAGIC && !memcmp(head.p, "GGUF", MAGIC);
    if (f) fclose(f);
    g4_str_free(&head);
    return yes;
}

/* The first GGUF among a model's files. */
static bool use_model(const char *root, g4_json model, char **path, char **digest)
{
    for (g4_json_it it = g4_json_iter(g4_json_get(model, "files")); g4_json_next(&it);) {
        char *d = g4_json_dup(it.value);
        *digest = d && !strncmp(d, "sha256:", 7) ? g4_place_digest(d + 7) : NULL;
        free(d);
        if (!*digest) continue;
        g4_str s = {0};
        g4_str_addf(&s, "%s/blobs/sha256/%s", root, *digest + 7);
        *path = g4_str_take(&s);
        if (g4_file_exists(*path) && is_gguf(*path)) return true;
        free(*path);
        free(*digest);
        *path = *digest = NULL;
    }
    return false;
}

/* MODEL[:TAG] without a namespace is one of ai/. */
static char *full_name(const char *ref)
{
    g4_str s = {0};
    const char *slash = strrchr(ref, '/');
    g4_str_addf(&s, "%s%s%s", slash ? "" : "ai/", ref, strchr(slash ? slash : ref, ':') ? "" : ":latest");
    return g4_str_take(&s);
}

static bool has_tag(g4_json model, const char *tag)
{
    for (g4_json_it it = g4_json_iter(g4_json_get(model, "tags")); g4_json_next(&it);) {
        char *t = g4_json_dup(it.value), *full = t ? full_name(t) : NULL;
        const bool same = full && !strcmp(full, tag);
        free(t);
        free(full);
        if (same) return true;
    }
    return false;
}

static bool read_index(const char *root, g4_str *text, g4_json *models)
{
    char *file = g4_place_join(root, "models.json");
    g4_json top = {0};
    const bool good = g4_file_exists(file) && !g4_file_read(file, INDEX_MAX, text, NULL) && !g4_json_check(text->p, text->n, &top, NULL);
    *models = g4_json_get(top, "models");
    free(file);
    return good;
}

int g4_place_docker(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err)
{
    char *root = root_of(), *tag = full_name(ref);
    g4_str text = {0};
    g4_json models;
    int rc = 0;
    g4_place_note(looked, "Docker's models", root);
    if (root && read_index(root, &text, &models))
        for (g4_json_it it = g4_json_iter(models); !rc && g4_json_next(&it);)
            if (has_tag(it.value, tag)) {
                rc = use_model(root, it.value, path, digest);
                if (!rc) rc = g4_fail(err, G4_EMODEL, "'%s' is in Docker's models, but no GGUF of it is whole", tag);
            }
    g4_str_free(&text);
    free(tag);
    free(root);
    return rc;
}

int g4_place_docker_list(g4_store_each each, void *arg)
{
    char *root = root_of();
    g4_str text = {0};
    g4_json models;
    int rc = 0;
    if (root && read_index(root, &text, &models))
        for (g4_json_it it = g4_json_iter(models); !rc && g4_json_next(&it);) {
            char *path = NULL, *digest = NULL, *tag = g4_json_dup(g4_json_at(g4_json_get(it.value, "tags"), 0));
            g4_str name = {0};
            g4_str_addf(&name, "docker:%s", tag ? tag : "");
            if (tag && use_model(root, it.value, &path, &digest))
                rc = each(arg, &(struct g4_store_model){
                                   .name = name.p, .place = "docker", .path = path, .digest = digest, .bytes = g4_place_bytes(path) });
            g4_str_free(&name);
            free(tag);
            free(path);
            free(digest);
        }
    g4_str_free(&text);
    free(root);
    return rc;
}
