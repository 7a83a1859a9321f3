/* base/mem: see mem.h. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void out_of_memory(size_t n)
{
    char line[80];
    const int len = snprintf(line, sizeof line, "g4: out of memory (%zu bytes)\n", n);
    if (write(2, line, (size_t)len) < 0) { /* nothing left to do about it */ }
    _exit(4);
}

void *g4_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p) out_of_memory(n);
    return p;
}

void *g4_realloc(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    if (!p) out_of_memory(n);
    return p;
}

void *g4_dup(const void *p, size_t n)
{
    void *q = g4_realloc(NULL, n);
    if (n) memcpy(q, p, n);
    return q;
}

char *g4_strndup(const char *s, size_t n)
{
    char *q = g4_realloc(NULL, n + 1);
    if (n) memcpy(q, s, n);
    q[n] = 0;
    return q;
}

char *g4_strdup(const char *s)
{
    return g4_strndup(s, strlen(s));
}

void *g4_try_alloc(size_t n)
{
    void *p = NULL;
    if (posix_memalign(&p, 64, n ? n : 1)) return NULL;
    memset(p, 0, n);
    return p;
}

void *g4_grow(void *arr, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) return arr;
    size_t c = *cap < 8 ? 8 : *cap + *cap / 2, bytes;
    if (c < need) c = need;
    if (!g4_size_mul(c, size, &bytes)) out_of_memory(SIZE_MAX);
    *cap = c;
    return g4_realloc(arr, bytes);
}

bool g4_size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool g4_size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

struct g4_arena_block {
    struct g4_arena_block *next;
    size_t used, size;
    _Alignas(16) char data[];
};

enum { ARENA_BLOCK = 64 * 1024 };

void *g4_arena_alloc(g4_arena *a, size_t n)
{
    size_t want;
    if (!g4_size_add(n, 15, &want)) out_of_memory(n);
    want &= ~(size_t)15;
    struct g4_arena_block *b = a->head;
    if (!b || b->size - b->used < want) {
        const size_t size = want > ARENA_BLOCK ? want : ARENA_BLOCK;
        b = g4_realloc(NULL, sizeof *b + size);
        b->next = a->head;
        b->used = 0;
        b->size = size;
        a->head = b;
    }
    void *p = b->data + b->used;
    b->used += want;
    memset(p, 0, n);
    return p;
}

char *g4_arena_strndup(g4_arena *a, const char *s, size_t n)
{
    char *q = g4_arena_alloc(a, n + 1);
    if (n) memcpy(q, s, n);
    return q;
}

static void free_blocks(struct g4_arena_block *b)
{
    while (b) {
        struct g4_arena_block *next = b->next;
        free(b);
        b = next;
    }
}

void g4_arena_reset(g4_arena *a)
{
    if (!a->head) return;
    free_blocks(a->head->next);
    a->head->next = NULL;
    a->head->used = 0;
}

void g4_arena_free(g4_arena *a)
{
    free_blocks(a->head);
    a->head = NULL;
}
