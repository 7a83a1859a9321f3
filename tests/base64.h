/* tests/base64: bytes that are not UTF-8, in JSON (RFC 4648, with padding). */
#ifndef G4_TESTS_BASE64_H
#define G4_TESTS_BASE64_H

#include <string.h>

#include "base/str.h"

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static inline void base64_put(g4_str *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        const size_t k = n - i < 3 ? n - i : 3;
        unsigned v = 0;
        for (size_t j = 0; j < 3; j++) v = v << 8 | (j < k ? (unsigned char)p[i + j] : 0);
        for (size_t j = 0; j < 4; j++) g4_str_addc(out, j > k ? '=' : base64_digits[v >> (18 - 6 * j) & 63]);
    }
}

/* False when s is no base64. */
static inline bool base64_get(const char *s, g4_str *out)
{
    size_t n = strlen(s);
    unsigned v = 0, bits = 0;
    if (n % 4) return false;
    for (int pad = 0; pad < 2 && n && s[n - 1] == '='; pad++) n--;
    for (size_t i = 0; i < n; i++) {
        const char *d = strchr(base64_digits, s[i]);
        if (!d) return false;
        v = v << 6 | (unsigned)(d - base64_digits);
        bits += 6;
        if (bits >= 8) g4_str_addc(out, (char)(v >> (bits -= 8)));
    }
    return true;
}

#endif
