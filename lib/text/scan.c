/* text/scan: see scan.h. */
#include "text/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/automaton_impl.h"
#include "text/validate.h"

static const char QUOTE = (char)G4_TEXT_QUOTE;

/* ---- reading on ----------------------------------------------------------------------- */

static void read_byte(struct g4_scan_at *a, const char *text, char quote)
{
    const char c = text[a->pos];
    if (a->string) {
        if (a->escaped) a->escaped = false;
        else if (c == '\\' && quote == '"') a->escaped = true;
        else if (c == quote) a->string = false;
    } else if (c == quote) {
        a->string = true;
        a->scalar = false;
        a->last = a->pos;
    } else if (c == '{' || c == '[') {
        G4_GROW(a->level, a->cap_level, a->n_level + 1);
        a->level[a->n_level++].start = (uint32_t)a->pos;
        a->scalar = false;
    } else if (c == '}' || c == ']') {
        if (a->n_level) a->last = a->level[--a->n_level].start;
        a->scalar = false;
    } else if (c == ',' || c == ':' || c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == (char)G4_TEXT_PIECE) {
        a->scalar = false;
    } else if (!a->scalar) {
        a->scalar = true;
        a->last = a->pos;
    }
    a->pos++;
}

static char quote_of(const struct g4_scan *s)
{
    return s->call ? QUOTE : '"';
}

/* Reads everything; the value asked about is then [ahead.last, end). */
static size_t read_all(struct g4_scan *s)
{
    while (s->at.pos < s->kept) read_byte(&s->at, s->text.p, quote_of(s));
    struct g4_scan_level *level = s->ahead.level;
    size_t cap = s->ahead.cap_level;
    G4_GROW(level, cap, s->at.n_level + 1);
    if (s->at.n_level) memcpy(level, s->at.level, s->at.n_level * sizeof *level);
    s->ahead = s->at;
    s->ahead.level = level;
    s->ahead.cap_level = cap;
    while (s->ahead.pos < s->text.n) read_byte(&s->ahead, s->text.p, quote_of(s));
    /* The colon that ends a bare key is not part of it. */
    return s->call && s->text.n && s->text.p[s->text.n - 1] == ':' && !s->ahead.string ? s->text.n - 1 : s->text.n;
}

void g4_scan_try(struct g4_scan *s, const char *p, size_t n)
{
    s->text.n = s->kept;
    g4_str_add(&s->text, p, n);
}

void g4_scan_cut(struct g4_scan *s, size_t kept)
{
    s->text.n = s->kept = kept;
    s->at.pos = s->at.last = s->at.n_level = 0;
    s->at.string = s->at.escaped = s->at.scalar = false;
    s->upto = 0;
}

static void forget_seen(struct g4_scan *s)
{
    for (size_t i = 0; i < s->n_seen; i++) g4_str_free(&s->seen[i]);
    s->n_seen = 0;
}

void g4_scan_free(struct g4_scan *s)
{
    forget_seen(s);
    free(s->seen);
    free(s->at.level);
    free(s->ahead.level);
    g4_str_free(&s->text);
}

/* ---- values of a call, as JSON -------------------------------------------------------------- */

static const char *find(const char *p, const char *end, char c)
{
    const char *q = memchr(p, c, (size_t)(end - p));
    return q ? q : end;
}

/* Copies the value [p, end), its strings quoted as JSON has them and its keys too. */
static void call_to_json(const char *p, const char *end, g4_str *out)
{
    uint64_t object = 0; /* a bit a level: is it an object? */
    bool key = false;
    while (p < end) {
        if (*p == QUOTE) {
            const char *q = find(p + 1, end, QUOTE);
            g4_json_put_str(out, p + 1, (size_t)(q - p - 1));
            p = q < end ? q + 1 : end;
            continue;
        }
        if (key && *p != '}') {
            const char *q = find(p, end, ':');
            g4_json_put_str(out, p, (size_t)(q - p));
            p = q;
            key = false;
            continue;
        }
        if (*p == '{' || *p == '[') object = object << 1 | (*p == '{');
        if (*p == '}' || *p == ']') object >>= 1;
        key = (*p == '{' || *p == ',') && (object & 1);
        g4_str_addc(out, *p++);
    }
}

static void canon(const struct g4_scan *s, const char *p, const char *end, bool key, g4_str *out)
{
    g4_str json = {0};
    g4_json v = { p, (size_t)(end - p) };
    if (s->call) {
        if (key) g4_json_put_str(&json, p, v.n);
        else call_to_json(p, end, &json);
        v = (g4_json){ json.p, json.n };
    }
    g4_json_canon(v, out);
    g4_str_free(&json);
}

/* ---- what stood before ------------------------------------------------------------------------ */

/* End of the value or bare key at p. */
static const char *skip_value(const struct g4_scan *s, const char *p, const char *end)
{
    struct g4_scan_at a = {0};
    const char quote = quote_of(s);
    const bool scalar = *p != quote && *p != '{' && *p != '[';
    do {
        if (scalar && strchr(",:]} \t\r\n", p[a.pos])) break;
        read_byte(&a, p, quote);
    } while (p + a.pos < end && (scalar || a.string || a.n_level));
    free(a.level);
    return p + a.pos;
}

static const char *skip_gap(const char *p, const char *end)
{
    while (p < end && *p && strchr(" \t\r\n,:", *p)) p++;
    return p;
}

/* Fills seen with the items, or the keys, that the open container holds before its last one. */
static void look_back(struct g4_scan *s, bool keys)
{
    const size_t container = s->ahead.level[s->ahead.n_level - 1].start;
    if (s->upto == s->ahead.last && s->container == container && s->keys == keys) return;
    forget_seen(s);
    s->container = container;
    s->upto = s->ahead.last <= s->kept ? s->ahead.last : (size_t)-1; /* what is tried may change */
    s->keys = keys;
    const char *p = s->text.p + container + 1, *end = s->text.p + s->ahead.last;
    for (p = skip_gap(p, end); p < end; p = skip_gap(p, end)) {
        const char *q = skip_value(s, p, end);
        G4_GROW(s->seen, s->cap_seen, s->n_seen + 1);
        s->seen[s->n_seen] = (g4_str){0};
        canon(s, p, q, keys, &s->seen[s->n_seen++]);
        p = skip_gap(q, end);
        if (keys && p < end) p = skip_value(s, p, end);
    }
}

static bool is_new(struct g4_scan *s, bool keys)
{
    const size_t end = read_all(s);
    g4_str own = {0};
    bool new = true;
    if (!s->ahead.n_level) return true;
    look_back(s, keys);
    canon(s, s->text.p + s->ahead.last, s->text.p + end, keys, &own);
    for (size_t i = 0; i < s->n_seen && new; i++) new = own.n != s->seen[i].n || memcmp(own.p, s->seen[i].p, own.n);
    g4_str_free(&own);
    return new;
}

bool g4_scan_item_is_new(struct g4_scan *s)
{
    return is_new(s, false);
}

bool g4_scan_key_is_new(struct g4_scan *s)
{
    return is_new(s, true);
}

bool g4_scan_check(struct g4_scan *s, g4_value_check fn, void *arg)
{
    const size_t end = read_all(s);
    const char *p = s->text.p + s->ahead.last;
    g4_str json = {0};
    g4_json v = { p, end - s->ahead.last };
    if (s->call) {
        call_to_json(p, s->text.p + end, &json);
        v = (g4_json){ json.p, json.n };
    }
    const bool good = !g4_json_check(v.p, v.n, &v, NULL) && fn(arg, v);
    g4_str_free(&json);
    return good;
}
