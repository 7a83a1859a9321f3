/* weights/store_beside: projectors and drafters: the files that stand beside a model. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "weights/names.h"
#include "weights/place.h"
#include "weights/store_write.h"

void g4_place_nearest(const char *folder, const char *rel, struct g4_store_beside *out)
{
    size_t n;
    char **name = g4_place_files(folder, &n);
    const size_t m = g4_names_nearest(name, n, rel, g4_names_is_mmproj), d = g4_names_nearest(name, n, rel, g4_names_is_drafter);
    if (m < n) out->mmproj = g4_place_join(folder, name[m]);
    if (d < n) out->drafter = g4_place_join(folder, name[d]);
    g4_place_free_names(name, n);
}

/* Pulled by g4 under that name: *known true, whether or not anything stands beside it. */
static void own(const char *name, struct g4_store_beside *out, bool *known)
{
    char *root = g4_store_root();
    g4_arena keep = {0};
    struct g4_store_entry e = {0};
    *known = root && g4_store_load(root, name, &keep, &e);
    for (size_t i = 0; *known && i < e.n; i++) {
        const struct g4_store_file *f = &e.file[i];
        char **to = !strcmp(f->role, "mmproj") ? &out->mmproj : !strcmp(f->role, "drafter") ? &out->drafter : NULL;
        if (to && !*to) *to = f->local ? g4_strdup(f->local) : g4_store_blob(root, f->digest + 7);
    }
    g4_arena_free(&keep);
    free(root);
}

void g4_store_beside(const char *name, const char *path, struct g4_store_beside *out)
{
    bool known;
    *out = (struct g4_store_beside){0};
    if (!strcmp(name, path)) return;
    own(strncmp(name, "hf:", 3) ? name : name + 3, out, &known);
    if (known) return;
    g4_place_hf_beside(path, out);
    if (!out->mmproj && !out->drafter) g4_place_lmstudio_beside(path, out);
    if (strstr(path, "/ramalama/store/")) g4_place_ramalama_beside(strncmp(name, "ramalama:", 9) ? name : name + 9, out);
    else if (!out->mmproj && !out->drafter) g4_place_ollama_beside(strncmp(name, "ollama:", 7) ? name : name + 7, out);
}
