/* base/mem: allocation.
 *
 * Small allocations go through g4_alloc and kin, which never return NULL: when
 * the system refuses, the process ends with status 4 and one line, since there
 * is nothing sensible left to do.  What is sized by a model or by a user's
 * option (KV cache, activations) goes through g4_try_alloc and reports.
 * Sizes that come from a file are multiplied and added by g4_size_mul/add. */
#ifndef G4_BASE_MEM_H
#define G4_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

void *g4_alloc(size_t n);                     /* zeroed */
void *g4_realloc(void *p, size_t n);
void *g4_dup(const void *p, size_t n);
char *g4_strdup(const char *s);
char *g4_strndup(const char *s, size_t n);
void *g4_try_alloc(size_t n);                 /* zeroed, 64-byte aligned, NULL when refused; free() */

/* Grows *arr (elements of `size` bytes) so that it holds at least `need`. */
#define G4_GROW(arr, cap, need) ((arr) = g4_grow((arr), &(cap), (need), sizeof *(arr)))
void *g4_grow(void *arr, size_t *cap, size_t need, size_t size);

/* false when the result does not fit a size_t. */
bool g4_size_mul(size_t a, size_t b, size_t *out);
bool g4_size_add(size_t a, size_t b, size_t *out);

/* An arena frees everything at once; allocations are 16-byte aligned and live
 * until g4_arena_reset or g4_arena_free.  {0} is an empty arena. */
typedef struct g4_arena {
    struct g4_arena_block *head;
} g4_arena;

void *g4_arena_alloc(g4_arena *a, size_t n);  /* zeroed */
char *g4_arena_strndup(g4_arena *a, const char *s, size_t n);
void g4_arena_reset(g4_arena *a);             /* keeps the newest block for reuse */
void g4_arena_free(g4_arena *a);

#endif
