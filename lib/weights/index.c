/* weights/index: open addressing, at most half full. */
#include "weights/index.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

/* The slot of the name, or the free one where it belongs. */
static struct g4_index_slot *slot_of(const struct g4_index *x, g4_sv name)
{
    size_t i = g4_hash64(name.p, name.n, g4_hash_seed()) & (x->cap - 1);
    while (x->slot[i].name.p && !g4_sv_same(x->slot[i].name, name)) i = (i + 1) & (x->cap - 1);
    return &x->slot[i];
}

static void grow(struct g4_index *x)
{
    struct g4_index old = *x;
    x->cap = old.cap ? 2 * old.cap : 64;
    x->slot = g4_alloc(x->cap * sizeof *x->slot);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slot[i].name.p) *slot_of(x, old.slot[i].name) = old.slot[i];
    free(old.slot);
}

bool g4_index_add(struct g4_index *x, g4_sv name, size_t number)
{
    if (2 * (x->n + 1) > x->cap) grow(x);
    struct g4_index_slot *s = slot_of(x, name);
    if (s->name.p) return false;
    s->name = name;
    s->number = number;
    x->n++;
    return true;
}

bool g4_index_find(const struct g4_index *x, g4_sv name, size_t *number)
{
    if (!x->cap) return false;
    const struct g4_index_slot *s = slot_of(x, name);
    if (!s->name.p) return false;
    *number = s->number;
    return true;
}

void g4_index_free(struct g4_index *x)
{
    free(x->slot);
    *x = (struct g4_index){0};
}
