/* base/str: growable bytes, string views, UTF-8.
 *
 * g4_str holds counted bytes and keeps a NUL behind them, so s.p is also a C
 * string once anything was appended (NULL before).  {0} is an empty string. */
#ifndef G4_BASE_STR_H
#define G4_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct g4_str {
    char *p;
    size_t n;
    size_t cap;
} g4_str;

typedef struct g4_sv { /* borrowed bytes */
    const char *p;
    size_t n;
} g4_sv;

#define G4_SV(lit) ((g4_sv){(lit), sizeof(lit) - 1})

void g4_str_add(g4_str *s, const void *p, size_t n);
void g4_str_adds(g4_str *s, const char *z);
void g4_str_addc(g4_str *s, char c);
void g4_str_addf(g4_str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void g4_str_reserve(g4_str *s, size_t more);
void g4_str_clear(g4_str *s); /* keeps the memory */
void g4_str_free(g4_str *s);  /* back to {0} */
char *g4_str_take(g4_str *s); /* the bytes, the caller's to free(); never NULL; s is {0} */

bool g4_sv_eq(g4_sv a, const char *z);
bool g4_sv_same(g4_sv a, g4_sv b);
bool g4_sv_has_prefix(g4_sv a, const char *z);

/* Length of the well-formed UTF-8 sequence (RFC 3629: no overlong forms, no
 * surrogates, at most U+10FFFF) at p, and its code point; 0 when there is none
 * in the n bytes.  g4_utf8_need tells how many bytes a sequence that begins
 * with these n bytes lacks: 0 when complete or already ill-formed. */
size_t g4_utf8_decode(const char *p, size_t n, uint32_t *cp);
size_t g4_utf8_need(const char *p, size_t n);
size_t g4_utf8_encode(uint32_t cp, char out[4]);
bool g4_utf8_valid(const char *p, size_t n, size_t *bad_at);
void g4_utf8_drop_mark(g4_str *s); /* the byte order mark that some editors write before a text */

#endif
