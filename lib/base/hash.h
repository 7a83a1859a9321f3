/* base/hash: SHA-256 (FIPS 180-4), and a fast 64-bit hash for tables and keys. */
#ifndef G4_BASE_HASH_H
#define G4_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct g4_sha256 {
    uint32_t h[8];
    uint64_t n;
    uint8_t buf[64];
} g4_sha256;

void g4_sha256_init(g4_sha256 *s);
void g4_sha256_add(g4_sha256 *s, const void *p, size_t n);
void g4_sha256_end(g4_sha256 *s, uint8_t out[32]);
/* For the test: the processor's instructions, where it has them, and the plain code give the same state
 * for the whole blocks of p. */
bool g4_sha256_agrees(const uint8_t *p, size_t n);
void g4_hex(const uint8_t *p, size_t n, char *out); /* 2n digits and a NUL */

/* Stable across machines and versions of g4 (it keys caches and random
 * streams); not for use against an adversary. */
uint64_t g4_hash64(const void *p, size_t n, uint64_t seed);
/* A random number, the same throughout a process: the seed for tables whose keys
 * come from a file, so that nobody can choose keys that collide. */
uint64_t g4_hash_seed(void);
uint64_t g4_mix64(uint64_t x); /* bijective finaliser (splitmix64's) */

#endif
