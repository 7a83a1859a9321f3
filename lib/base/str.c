/* base/str: see str.h. */
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void g4_str_reserve(g4_str *s, size_t more)
{
    size_t need;
    if (!g4_size_add(s->n, more, &need) || !g4_size_add(need, 1, &need)) need = (size_t)-1;
    s->p = g4_grow(s->p, &s->cap, need, 1);
    s->p[s->n] = 0; /* a text also while nothing was added */
}

void g4_str_add(g4_str *s, const void *p, size_t n)
{
    g4_str_reserve(s, n);
    if (n) memcpy(s->p + s->n, p, n);
    s->n += n;
    s->p[s->n] = 0;
}

void g4_str_adds(g4_str *s, const char *z)
{
    g4_str_add(s, z, strlen(z));
}

void g4_str_addc(g4_str *s, char c)
{
    g4_str_add(s, &c, 1);
}

void g4_str_addf(g4_str *s, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    g4_str_reserve(s, (size_t)n);
    vsnprintf(s->p + s->n, (size_t)n + 1, fmt, again);
    va_end(again);
    s->n += (size_t)n;
}

void g4_str_clear(g4_str *s)
{
    s->n = 0;
    if (s->p) s->p[0] = 0;
}

void g4_str_free(g4_str *s)
{
    free(s->p);
    *s = (g4_str){0};
}

char *g4_str_take(g4_str *s)
{
    g4_str_reserve(s, 0);
    char *p = s->p;
    p[s->n] = 0;
    *s = (g4_str){0};
    return p;
}

bool g4_sv_eq(g4_sv a, const char *z)
{
    const size_t n = strlen(z);
    return a.n == n && (!n || memcmp(a.p, z, n) == 0);
}

bool g4_sv_same(g4_sv a, g4_sv b)
{
    return a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0);
}

bool g4_sv_has_prefix(g4_sv a, const char *z)
{
    const size_t n = strlen(z);
    return a.n >= n && memcmp(a.p, z, n) == 0;
}

/* Well-formed sequences by lead byte: length, and the range of the second byte
 * (RFC 3629 section 4). */
static size_t lead(unsigned char c, unsigned char *lo, unsigned char *hi)
{
    *lo = 0x80;
    *hi = 0xBF;
    if (c < 0x80) return 1;
    if (c < 0xC2) return 0;
    if (c < 0xE0) return 2;
    if (c < 0xF0) {
        if (c == 0xE0) *lo = 0xA0;
        if (c == 0xED) *hi = 0x9F;
        return 3;
    }
    if (c < 0xF5) {
        if (c == 0xF0) *lo = 0x90;
        if (c == 0xF4) *hi = 0x8F;
        return 4;
    }
    return 0;
}

/* Bytes of the sequence at p that are right so far; *len is what it needs in all. */
static size_t good_prefix(const char *p, size_t n, size_t *len)
{
    const unsigned char *u = (const unsigned char *)p;
    unsigned char lo, hi;
    *len = n ? lead(u[0], &lo, &hi) : 0;
    if (!*len) return 0;
    size_t i = 1;
    for (; i < *len && i < n; i++) {
        if (u[i] < lo || u[i] > hi) break;
        lo = 0x80;
        hi = 0xBF;
    }
    return i;
}

size_t g4_utf8_decode(const char *p, size_t n, uint32_t *cp)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t len;
    const size_t got = good_prefix(p, n, &len);
    if (!len || got < len) return 0;
    uint32_t c = len == 1 ? u[0] : u[0] & (0xFFu >> (len + 1));
    for (size_t i = 1; i < len; i++) c = c << 6 | (u[i] & 0x3F);
    if (cp) *cp = c;
    return len;
}

size_t g4_utf8_need(const char *p, size_t n)
{
    size_t len;
    const size_t got = good_prefix(p, n, &len);
    return len && got == n && got < len ? len - got : 0;
}

size_t g4_utf8_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

void g4_utf8_drop_mark(g4_str *s)
{
    if (s->n < 3 || memcmp(s->p, "\xEF\xBB\xBF", 3)) return;
    s->n -= 3;
    memmove(s->p, s->p + 3, s->n + 1);
}

bool g4_utf8_valid(const char *p, size_t n, size_t *bad_at)
{
    for (size_t i = 0; i < n;) {
        if ((unsigned char)p[i] < 0x80) {
            i++;
            continue;
        }
        const size_t len = g4_utf8_decode(p + i, n - i, NULL);
        if (!len) {
            if (bad_at) *bad_at = i;
            return false;
        }
        i += len;
    }
    return true;
}
