/* base/json: see json.h.  One recursive-descent check over the text; after it,
 * walking trusts the text and only skips. */
#define _GNU_SOURCE /* strtod_l */
#include "base/json.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/hash.h"
#include "base/mem.h"

enum { DEPTH_MAX = 512 };

struct check {
    const char *text, *p, *end;
    bool unique;
    g4_err *err;
};

static int bad(struct check *c, const char *what)
{
    return g4_fail(c->err, G4_EINPUT, "not JSON: %s at byte %zu", what, (size_t)(c->p - c->text));
}

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

static const char *skip_blank(const char *p, const char *end)
{
    while (p < end && is_blank(*p)) p++;
    return p;
}

static int hex4(const char *p, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        const char ch = p[i];
        const int d = ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
        if (d < 0) return -1;
        v = v << 4 | (uint32_t)d;
    }
    *out = v;
    return 0;
}

/* p stands behind the backslash. */
static int check_escape(struct check *c)
{
    uint32_t hi, lo;
    if (c->p >= c->end) return bad(c, "the text ends inside a string");
    if (*c->p != 'u') {
        if (!strchr("\"\\/bfnrt", *c->p) || !*c->p) return bad(c, "an unknown escape");
        c->p++;
        return 0;
    }
    if (c->end - c->p < 5 || hex4(c->p + 1, &hi)) return bad(c, "a bad \\u escape");
    if (hi >= 0xDC00 && hi < 0xE000) return bad(c, "a lone low surrogate");
    if (hi >= 0xD800 && hi < 0xDC00) {
        if (c->end - c->p < 11 || c->p[5] != '\\' || c->p[6] != 'u' || hex4(c->p + 7, &lo) || lo < 0xDC00 || lo >= 0xE000)
            return bad(c, "a lone high surrogate");
        c->p += 6;
    }
    c->p += 5;
    return 0;
}

static int check_string(struct check *c)
{
    for (c->p++; c->p < c->end;) {
        const unsigned char ch = (unsigned char)*c->p;
        if (ch == '"') {
            c->p++;
            return 0;
        }
        if (ch == '\\') {
            c->p++;
            if (check_escape(c)) return G4_EINPUT;
        } else if (ch < 0x20) {
            return bad(c, "a control character inside a string");
        } else if (ch < 0x80) {
            c->p++;
        } else {
            const size_t n = g4_utf8_decode(c->p, (size_t)(c->end - c->p), NULL);
            if (!n) return bad(c, "bytes that are not UTF-8");
            c->p += n;
        }
    }
    return bad(c, "the text ends inside a string");
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p;
}

static int check_number(struct check *c)
{
    const char *p = c->p, *q;
    if (*p == '-') p++;
    q = skip_digits(p, c->end);
    if (q == p || (*p == '0' && q - p > 1)) return bad(c, "a bad number");
    p = q;
    if (p < c->end && *p == '.') {
        q = skip_digits(p + 1, c->end);
        if (q == p + 1) return bad(c, "a bad number");
        p = q;
    }
    if (p < c->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < c->end && (*p == '+' || *p == '-')) p++;
        q = skip_digits(p, c->end);
        if (q == p) return bad(c, "a bad number");
        p = q;
    }
    c->p = p;
    return 0;
}

static int check_word(struct check *c, const char *word)
{
    const size_t n = strlen(word);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n)) return bad(c, "an unknown word");
    c->p += n;
    return 0;
}

static int check_value(struct check *c, unsigned depth);

/* Decoded keys of one object, to find a repeated one. */
struct key_set {
    uint64_t *slot;
    size_t cap, n;
};

static bool key_seen(struct key_set *s, uint64_t h)
{
    h |= 1; /* 0 marks a free slot */
    if (2 * (s->n + 1) > s->cap) {
        const size_t cap = s->cap ? 2 * s->cap : 16;
        uint64_t *slot = g4_alloc(cap * sizeof *slot);
        for (size_t i = 0; i < s->cap; i++)
            if (s->slot[i]) {
                size_t j = s->slot[i] >> 1 & (cap - 1);
                while (slot[j]) j = (j + 1) & (cap - 1);
                slot[j] = s->slot[i];
            }
        free(s->slot);
        s->slot = slot;
        s->cap = cap;
    }
    size_t j = h >> 1 & (s->cap - 1);
    for (; s->slot[j]; j = (j + 1) & (s->cap - 1))
        if (s->slot[j] == h) return true;
    s->slot[j] = h;
    s->n++;
    return false;
}

static int check_key(struct check *c, struct key_set *keys)
{
    const char *begin = c->p;
    if (c->p >= c->end || *c->p != '"') return bad(c, "a member without a name");
    if (check_string(c)) return G4_EINPUT;
    if (c->unique) {
        g4_str name = {0};
        g4_json_str((g4_json){begin, (size_t)(c->p - begin)}, &name);
        /* Two different names with one 63-bit hash are refused too: nobody writes them by accident. */
        const bool twice = key_seen(keys, g4_hash64(name.p, name.n, g4_hash_seed()));
        g4_str_free(&name);
        if (twice) {
            c->p = begin;
            return bad(c, "a repeated member name");
        }
    }
    c->p = skip_blank(c->p, c->end);
    if (c->p >= c->end || *c->p != ':') return bad(c, "no ':' after a member's name");
    c->p = skip_blank(c->p + 1, c->end);
    return 0;
}

static int check_members(struct check *c, unsigned depth, bool object, struct key_set *keys)
{
    const char close = object ? '}' : ']';
    c->p = skip_blank(c->p + 1, c->end);
    if (c->p < c->end && *c->p == close) {
        c->p++;
        return 0;
    }
    for (;;) {
        if (object && check_key(c, keys)) return G4_EINPUT;
        if (check_value(c, depth + 1)) return G4_EINPUT;
        c->p = skip_blank(c->p, c->end);
        if (c->p >= c->end) return bad(c, object ? "the text ends inside an object" : "the text ends inside an array");
        if (*c->p == close) {
            c->p++;
            return 0;
        }
        if (*c->p != ',') return bad(c, "no ',' between values");
        c->p = skip_blank(c->p + 1, c->end);
    }
}

static int check_value(struct check *c, unsigned depth)
{
    if (c->p >= c->end) return bad(c, "the text ends where a value should be");
    if (depth >= DEPTH_MAX && (*c->p == '{' || *c->p == '[')) return bad(c, "nested too deep");
    switch (*c->p) {
    case '{': {
        struct key_set keys = {0};
        const int r = check_members(c, depth, true, &keys);
        free(keys.slot);
        return r;
    }
    case '[': return check_members(c, depth, false, NULL);
    case '"': return check_string(c);
    case 't': return check_word(c, "true");
    case 'f': return check_word(c, "false");
    case 'n': return check_word(c, "null");
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        return check_number(c);
    default: return bad(c, "an unexpected character");
    }
}

static int check(const char *text, size_t n, bool unique, g4_json *out, g4_err *err)
{
    struct check c = { text, text, text + n, unique, err };
    if (!n) return g4_fail(err, G4_EINPUT, "not JSON: the text is empty");
    c.p = skip_blank(c.p, c.end);
    const char *begin = c.p;
    if (check_value(&c, 0)) return G4_EINPUT;
    const g4_json v = { begin, (size_t)(c.p - begin) };
    c.p = skip_blank(c.p, c.end);
    if (c.p != c.end) return bad(&c, "something follows the value");
    if (out) *out = v;
    return 0;
}

int g4_json_check(const char *text, size_t n, g4_json *out, g4_err *err)
{
    return check(text, n, false, out, err);
}

int g4_json_check_unique(const char *text, size_t n, g4_json *out, g4_err *err)
{
    return check(text, n, true, out, err);
}

/* ---- walking ------------------------------------------------------------ */

enum g4_json_type g4_json_type(g4_json v)
{
    if (!v.p || !v.n) return G4_JSON_NONE;
    switch (*v.p) {
    case '{': return G4_JSON_OBJECT;
    case '[': return G4_JSON_ARRAY;
    case '"': return G4_JSON_STRING;
    case 't': case 'f': return G4_JSON_BOOL;
    case 'n': return G4_JSON_NULL;
    default: return G4_JSON_NUMBER;
    }
}

/* End of the string that begins at p. */
static const char *string_end(const char *p)
{
    for (p++; *p != '"'; p++)
        if (*p == '\\') p++;
    return p + 1;
}

/* Where a skip over an array or object stands. */
struct skip {
    size_t depth;
    bool string, escaped; /* inside a string; behind a backslash */
};

/* Behind the bracket that closes the container; NULL when it is not in [p, end). */
static const char *skip_bytes(struct skip *s, const char *p, const char *end)
{
    size_t depth = s->depth;
    if (s->escaped && p < end) p++;
    s->escaped = false;
    while (p < end) {
        if (s->string || *p == '"') {
            p += !s->string;
            s->string = true;
            while (p < end && *p != '"') p += 1 + (*p == '\\');
            s->escaped = p > end;
            if (p >= end) break;
            s->string = false;
        } else if ((*p | 0x20) == '{') { /* '[' is '{' without that bit, ']' is '}' */
            depth++;
        } else if ((*p | 0x20) == '}' && !--depth) {
            return p + 1;
        }
        p++;
    }
    s->depth = depth;
    return NULL;
}

#if defined(__SSE2__)
enum { SKIP_BLOCK = 64 };

/* Bits of the bytes equal to ch, when `or` is set in them first. */
static inline uint64_t bits_of(const __m128i v[4], char or, char ch)
{
    uint64_t bits = 0;
#pragma GCC unroll 4
    for (int i = 3; i >= 0; i--) {
        const __m128i same = _mm_cmpeq_epi8(_mm_or_si128(v[i], _mm_set1_epi8(or)), _mm_set1_epi8(ch));
        bits = bits << 16 | (uint32_t)_mm_movemask_epi8(same);
    }
    return bits;
}

/* Bits of the characters behind a backslash that is none of those itself. */
static uint64_t escaped_bits(struct skip *s, uint64_t backslash)
{
    uint64_t escaped = s->escaped;
    backslash &= ~escaped;
    s->escaped = false;
    while (backslash) {
        const int i = __builtin_ctzll(backslash);
        s->escaped = i == 63;
        escaped |= (uint64_t)2 << i;
        backslash &= ~((uint64_t)3 << i);
    }
    return escaped;
}

/* skip_bytes over 64 bytes at once: quotes become a mask of what lies inside
 * strings, and brackets outside are counted.  Files of 30 MB are walked several
 * times when a vocabulary is read from them. */
static const char *skip_block(struct skip *s, const char *p)
{
    __m128i v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    const uint64_t backslash = bits_of(v, 0, '\\');
    uint64_t inside = bits_of(v, 0, '"');
    if (backslash | s->escaped) inside &= ~escaped_bits(s, backslash);
#pragma GCC unroll 6
    for (int i = 1; i < 64; i *= 2) inside ^= inside << i;
    if (s->string) inside = ~inside;
    s->string = inside >> 63;
    const uint64_t open = bits_of(v, 0x20, '{') & ~inside, close = bits_of(v, 0x20, '}') & ~inside;
    for (uint64_t both = open | close; both; both &= both - 1) {
        const int i = __builtin_ctzll(both);
        if (open >> i & 1) s->depth++;
        else if (!--s->depth) return p + i + 1;
    }
    return NULL;
}
#endif

static const char *container_end(const char *p, const char *stop)
{
    struct skip s = {0};
    const char *end = NULL;
#if defined(__SSE2__)
    for (; stop - p >= SKIP_BLOCK; p += SKIP_BLOCK)
        if ((end = skip_block(&s, p))) return end;
#endif
    end = skip_bytes(&s, p, stop);
    return end ? end : stop;
}

static const char *value_end(const char *p, const char *stop)
{
    if (*p == '"') return string_end(p);
    if (*p == '{' || *p == '[') return container_end(p, stop);
    while (p < stop && *p != ',' && *p != '}' && *p != ']' && !is_blank(*p)) p++;
    return p;
}

g4_json_it g4_json_iter(g4_json v)
{
    g4_json_it it = {0};
    const enum g4_json_type t = g4_json_type(v);
    if (t != G4_JSON_ARRAY && t != G4_JSON_OBJECT) return it;
    it.p = v.p;
    it.stop = v.p + v.n;
    return it;
}

bool g4_json_next(g4_json_it *it)
{
    if (!it->p) return false;
    const char *p = skip_blank(it->p + 1, it->stop); /* behind '{', '[' or ',' */
    if (p >= it->stop || *p == '}' || *p == ']') {
        it->p = NULL;
        return false;
    }
    it->begin = p;
    it->key = (g4_json){0};
    const char *end = value_end(p, it->stop), *after = skip_blank(end, it->stop);
    if (*after == ':') {
        it->key = (g4_json){p, (size_t)(end - p)};
        p = skip_blank(after + 1, it->stop);
        end = value_end(p, it->stop);
        after = skip_blank(end, it->stop);
    }
    it->value = (g4_json){p, (size_t)(end - p)};
    it->end = end;
    it->p = *after == ',' ? after : NULL; /* after is at most the closing bracket */
    return true;
}

/* Does the string span (quotes and escapes as written) spell key? */
static bool span_is(g4_json v, const char *key, size_t n)
{
    if (v.n == n + 2 && !memcmp(v.p + 1, key, n) && !memchr(v.p + 1, '\\', n)) return true;
    if (!memchr(v.p, '\\', v.n)) return false;
    g4_str s = {0};
    g4_json_str(v, &s);
    const bool same = s.n == n && (!n || !memcmp(s.p, key, n));
    g4_str_free(&s);
    return same;
}

g4_json g4_json_get(g4_json v, const char *key)
{
    g4_json found = {0};
    const size_t n = strlen(key);
    if (g4_json_type(v) != G4_JSON_OBJECT) return found;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);)
        if (span_is(it.key, key, n)) found = it.value;
    return found;
}

g4_json g4_json_path(g4_json v, const char *key1, const char *key2)
{
    return g4_json_get(g4_json_get(v, key1), key2);
}

size_t g4_json_count(g4_json v)
{
    size_t n = 0;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);) n++;
    return n;
}

g4_json g4_json_at(g4_json v, size_t i)
{
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);)
        if (!i--) return it.value;
    return (g4_json){0};
}

bool g4_json_is(g4_json v, const char *z)
{
    return g4_json_type(v) == G4_JSON_STRING && span_is(v, z, strlen(z));
}

static const char *put_escape(const char *p, g4_str *out)
{
    char utf8[4];
    uint32_t cp, lo;
    switch (*p) {
    case 'b': g4_str_addc(out, '\b'); return p + 1;
    case 'f': g4_str_addc(out, '\f'); return p + 1;
    case 'n': g4_str_addc(out, '\n'); return p + 1;
    case 'r': g4_str_addc(out, '\r'); return p + 1;
    case 't': g4_str_addc(out, '\t'); return p + 1;
    case 'u': break;
    default: g4_str_addc(out, *p); return p + 1;
    }
    hex4(p + 1, &cp);
    p += 5;
    if (cp >= 0xD800 && cp < 0xDC00) {
        hex4(p + 2, &lo);
        cp = 0x10000 + ((cp - 0xD800) << 10) + (lo - 0xDC00);
        p += 6;
    }
    g4_str_add(out, utf8, g4_utf8_encode(cp, utf8));
    return p;
}

void g4_json_str(g4_json v, g4_str *out)
{
    g4_str_reserve(out, v.n);
    if (g4_json_type(v) != G4_JSON_STRING) return;
    const char *p = v.p + 1, *end = v.p + v.n - 1;
    while (p < end) {
        const char *q = memchr(p, '\\', (size_t)(end - p));
        if (!q) q = end;
        g4_str_add(out, p, (size_t)(q - p));
        p = q < end ? put_escape(q + 1, out) : end;
    }
}

char *g4_json_dup(g4_json v)
{
    g4_str s = {0};
    if (g4_json_type(v) != G4_JSON_STRING) return NULL;
    g4_json_str(v, &s);
    return g4_str_take(&s);
}

bool g4_json_bool(g4_json v, bool *out)
{
    if (g4_json_type(v) != G4_JSON_BOOL) return false;
    *out = *v.p == 't';
    return true;
}

static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* Numbers have a '.' whatever the program's locale says. */
static locale_t the_c_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_c_locale);
    return c_locale;
}

bool g4_json_f64(g4_json v, double *out)
{
    if (g4_json_type(v) != G4_JSON_NUMBER) return false;
    char small[64], *text = v.n < sizeof small ? small : g4_realloc(NULL, v.n + 1);
    memcpy(text, v.p, v.n);
    text[v.n] = 0;
    *out = strtod_l(text, NULL, the_c_locale());
    if (text != small) free(text);
    return isfinite(*out);
}

/* The exponent behind 'e', held to +-1e9: enough for any text that fits memory. */
static long exponent(const char *p, const char *end)
{
    const bool minus = *p == '-';
    long e = 0;
    for (p += minus || *p == '+'; p < end; p++)
        if (e < 100000000) e = 10 * e + (*p - '0');
    return minus ? -e : e;
}

/* Exact: the digits times a power of ten, in 64 bits or not at all. */
bool g4_json_i64(g4_json v, int64_t *out)
{
    if (g4_json_type(v) != G4_JSON_NUMBER) return false;
    const char *p = v.p, *end = v.p + v.n;
    const bool minus = *p == '-';
    long scale = 0, zeros = 0; /* zeros: trailing ones, held back until a digit follows */
    uint64_t n = 0;
    bool fraction = false;
    for (p += minus; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        scale -= fraction;
        zeros++;
        if (*p == '0') continue;
        for (; zeros; zeros--)
            if (__builtin_mul_overflow(n, 10, &n)) return false;
        if (__builtin_add_overflow(n, (uint64_t)(*p - '0'), &n)) return false;
    }
    if (p < end) scale += exponent(p + 1, end);
    scale += zeros;
    if (n && scale < 0) return false;
    for (; n && scale; scale--)
        if (__builtin_mul_overflow(n, 10, &n)) return false;
    if (n > (uint64_t)INT64_MAX + minus) return false;
    *out = minus ? (int64_t)-n : (int64_t)n;
    return true;
}

/* ---- writing ------------------------------------------------------------ */

void g4_json_put_str(g4_str *s, const char *p, size_t n)
{
    size_t from = 0;
    g4_str_addc(s, '"');
    for (size_t i = 0; i < n;) {
        const unsigned char ch = (unsigned char)p[i];
        const size_t len = ch < 0x80 ? 1 : g4_utf8_decode(p + i, n - i, NULL);
        if (len && ch >= 0x20 && ch != '"' && ch != '\\' && ch != 0x7f) {
            i += len;
            continue;
        }
        g4_str_add(s, p + from, i - from);
        if (!len) g4_str_adds(s, "\xEF\xBF\xBD");
        else if (ch == '"' || ch == '\\') g4_str_addf(s, "\\%c", ch);
        else if (ch == '\n') g4_str_adds(s, "\\n");
        else if (ch == '\r') g4_str_adds(s, "\\r");
        else if (ch == '\t') g4_str_adds(s, "\\t");
        else g4_str_addf(s, "\\u%04x", ch);
        from = ++i;
    }
    g4_str_add(s, p + from, n - from);
    g4_str_addc(s, '"');
}

static void put_number(g4_str *s, double v, int digits_from, int digits_to, bool single)
{
    char text[40];
    if (!isfinite(v)) {
        g4_str_adds(s, "null"); /* JSON has no spelling for it */
        return;
    }
    const locale_t c = the_c_locale(), was = uselocale(c);
    for (int d = digits_from; d <= digits_to; d++) {
        snprintf(text, sizeof text, "%.*g", d, v);
        if (single ? strtof_l(text, NULL, c) == (float)v : strtod_l(text, NULL, c) == v) break;
    }
    uselocale(was);
    g4_str_adds(s, text);
}

void g4_json_put_f32(g4_str *s, float v)
{
    put_number(s, (double)v, 6, 9, true);
}

void g4_json_put_f64(g4_str *s, double v)
{
    put_number(s, v, 15, 17, false);
}

void g4_json_put_compact(g4_str *s, g4_json v)
{
    const char *p = v.p, *end = v.p + v.n;
    g4_str_reserve(s, v.n);
    while (p < end) {
        const char *from = p;
        if (*p == '"') p = string_end(p);
        else
            while (p < end && *p != '"' && !is_blank(*p)) p++;
        g4_str_add(s, from, (size_t)(p - from));
        p = skip_blank(p, end);
    }
}
