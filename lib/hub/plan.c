/* hub/plan: see plan.h. */
#include "hub/plan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "hub/hub.h"

const char *g4_hub_why_name(enum g4_hub_why why)
{
    static const char *const name[] = { "ok", "usage", "not_found", "gated", "integrity", "format", "network", "space", "offline", "io" };
    return name[why];
}

const char *g4_role_name(enum g4_role role)
{
    static const char *const name[] = { "other", "model", "mmproj", "drafter", "config", "tokenizer", "template", "params", "license" };
    return name[role];
}

bool g4_digest_parse(const char *text, size_t n, struct g4_digest *out)
{
    if (n == 71 && !strncasecmp(text, "sha256:", 7)) {
        text += 7;
        n -= 7;
    }
    if (n != 64) return false;
    for (size_t i = 0; i < n; i++) {
        if (!isxdigit((unsigned char)text[i])) return false;
        out->hex[i] = (char)tolower((unsigned char)text[i]);
    }
    out->hex[n] = 0;
    out->kind = G4_DIGEST_SHA256;
    return true;
}

struct g4_plan_file *g4_plan_add(struct g4_plan *p, const char *path, enum g4_role role)
{
    G4_GROW(p->file, p->cap, p->n + 1);
    struct g4_plan_file *f = &p->file[p->n++];
    *f = (struct g4_plan_file){ .path = g4_strdup(path), .role = role, .size = -1 };
    return f;
}

void g4_plan_free(struct g4_plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct g4_plan_file *f = &p->file[i];
        free(f->path);
        free(f->url);
        free(f->local);
        free(f->identity);
        free(f->repo);
        free(f->commit);
        free(f->inner);
    }
    free(p->file);
    free(p->name);
    free(p->source);
    free(p->commit);
    free(p->note);
    free(p->pin);
    free(p->alias);
    *p = (struct g4_plan){0};
}

uint64_t g4_plan_bytes(const struct g4_plan *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->file[i].size > 0) sum += (uint64_t)p->file[i].size;
    return sum;
}
