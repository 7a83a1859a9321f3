/* text/parse_args: the arguments of a call, from the models' notation to JSON.
 *
 * Well-formed input follows the grammar of prompt-format spec 4.1; the deviations
 * of 4.4 are repaired where the meaning is certain, anything else fails.  Every
 * byte is read a bounded number of times: a search that came up empty is
 * remembered, look-ahead is limited, and nesting is. */
#define _GNU_SOURCE /* qsort_r */
#include "text/parse_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_DEPTH = 100, LOOK_AHEAD = 256 };

struct args {
    const char *p;              /* marked text */
    size_t at, n;
    const char *const *spell;
    g4_str *out;
    char open[MAX_DEPTH];       /* closers of the containers around `at` */
    int depth;
    size_t quotes;              /* string delimiters not consumed yet */
    bool no_single, no_double;  /* no closing ' or " lies ahead */
};

struct member {                 /* of an object under construction, offsets into out */
    size_t begin, key_end, end; /* "key" from begin, value up to end */
    size_t order;
};

/* Known property names of the object being read. */
struct known {
    g4_json properties;
    bool any;
};

static bool value(struct args *a, g4_json schema, const struct known *k);

/* ---- small things ------------------------------------------------------------ */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool closer(char c)
{
    return c == '}' || c == ']' || c == ')';
}

/* The closer that ends the container around `at`. */
static char around(const struct args *a)
{
    return a->open[a->depth - 1];
}

static bool is_quote(const struct args *a, size_t i)
{
    return i < a->n && (unsigned char)a->p[i] == G4_MARK_QUOTE;
}

static void skip_blanks(struct args *a)
{
    while (a->at < a->n && blank(a->p[a->at])) a->at++;
}

static void take_quote(struct args *a)
{
    a->at++;
    if (a->quotes) a->quotes--;
}

static size_t find_quote(const struct args *a, size_t from)
{
    const char *q = from < a->n ? memchr(a->p + from, G4_MARK_QUOTE, a->n - from) : NULL;
    return q ? (size_t)(q - a->p) : a->n;
}

void g4_marked_text(const g4_spelling spell, const char *p, size_t n, g4_str *out)
{
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)p[i];
        if (c < G4_MARK_LEAST) continue;
        g4_str_add(out, p + from, i - from);
        if (spell[0xFF - c]) g4_str_adds(out, spell[0xFF - c]);
        from = i + 1;
    }
    g4_str_add(out, p + from, n - from);
}

static void put_string(struct args *a, size_t from, size_t to)
{
    g4_str s = {0};
    g4_marked_text(a->spell, a->p + from, to - from, &s);
    g4_json_put_str(a->out, s.p, s.n);
    g4_str_free(&s);
}

/* End of a text that runs to the end of the input: the closers of the containers
 * around it stand behind it and are not part of it. */
static size_t before_final_closers(const struct args *a, size_t from)
{
    size_t end = a->n;
    for (int d = 0; d < a->depth; d++) {
        size_t e = end;
        while (e > from && blank(a->p[e - 1])) e--;
        if (e == from || a->p[e - 1] != a->open[d]) break;
        end = e - 1;
    }
    return end;
}

/* ---- keys ahead ---------------------------------------------------------------- */

static bool ident(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' ||
           c == '$' || ((unsigned char)c >= 0x80 && (unsigned char)c < G4_MARK_LEAST);
}

static bool knows(const struct known *k, const char *p, size_t n)
{
    char key[LOOK_AHEAD + 1];
    if (n > LOOK_AHEAD) return false;
    memcpy(key, p, n);
    key[n] = 0;
    return g4_json_get(k->properties, key).p != NULL;
}

/* Does a key stand at i, an identifier or a quoted one with its colon?  spaced:
 * blanks inside it are fine; listed: it must be a known property.  A number
 * before a colon is no key. */
static bool key_at(const struct args *a, size_t i, const struct known *k, bool spaced, bool listed)
{
    const size_t stop = a->n - i > LOOK_AHEAD ? i + LOOK_AHEAD : a->n;
    while (i < stop && blank(a->p[i])) i++;
    size_t from = i, to;
    if (i < stop && (is_quote(a, i) || a->p[i] == '"' || a->p[i] == '\'')) {
        const char *q = memchr(a->p + i + 1, a->p[i], stop - i - 1);
        if (!q) return false;
        from = i + 1;
        to = (size_t)(q - a->p);
        i = to + 1;
    } else {
        if (i < stop && a->p[i] >= '0' && a->p[i] <= '9') return false;
        while (i < stop && (ident(a->p[i]) || (spaced && a->p[i] == ' '))) i++;
        to = i;
    }
    while (i < stop && blank(a->p[i])) i++;
    while (to > from && a->p[to - 1] == ' ') to--;
    if (from == to || i == stop) return false;
    const bool is_known = k->any && knows(k, a->p + from, to - from);
    if (a->p[i] != ':' && !(a->p[i] == '=' && (is_known || !listed))) return false;
    return is_known || !listed;
}

/* Does the comma at i end the value before it?  text: the value is bare text, in
 * which commas are common. */
static bool comma_splits(const struct args *a, size_t i, const struct known *k, bool text)
{
    size_t j = i + 1;
    while (j < a->n && blank(a->p[j])) j++;
    if (j == a->n || closer(a->p[j])) return !text;
    return key_at(a, i + 1, k, !text, text && k->any);
}

/* Does a value that is complete end before j? */
static bool ends_value(const struct args *a, size_t j, const struct known *k)
{
    if (j == a->n || is_quote(a, j)) return true;
    const char c = a->p[j];
    if (c == '}' || c == ']' || c == around(a)) return true;
    return c == ',' && (around(a) == ']' || comma_splits(a, j, k, false));
}

/* ---- strings --------------------------------------------------------------------- */

static void put_utf8(g4_str *s, uint32_t cp)
{
    char buf[4];
    g4_str_add(s, buf, g4_utf8_encode(cp >= 0xD800 && cp < 0xE000 ? 0xFFFD : cp, buf));
}

static bool hex4(const char *p, size_t n, uint32_t *out)
{
    if (n < 4) return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        const char c = p[i];
        const int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return false;
        *out = *out * 16 + (uint32_t)d;
    }
    return true;
}

/* One escape at p[0] == '\\'; its length.  An unknown one stands for itself. */
static size_t unescape(const char *p, size_t n, g4_str *s)
{
    static const char from[] = "\"\\/'bfnrt", to[] = "\"\\/'\b\f\n\r\t";
    uint32_t hi, lo;
    const char *known = n > 1 && p[1] ? strchr(from, p[1]) : NULL;
    if (known) {
        g4_str_addc(s, to[known - from]);
        return 2;
    }
    if (n < 2 || p[1] != 'u' || !hex4(p + 2, n - 2, &hi)) {
        g4_str_addc(s, '\\');
        return 1;
    }
    if (hi >= 0xD800 && hi < 0xDC00 && n >= 12 && p[6] == '\\' && p[7] == 'u' && hex4(p + 8, n - 8, &lo) && lo >= 0xDC00 && lo < 0xE000) {
        put_utf8(s, 0x10000 + ((hi - 0xD800) << 10) + (lo - 0xDC00));
        return 12;
    }
    put_utf8(s, hi);
    return 6;
}

/* Closing quote of the JSON or Python string that opens at `at`: the first one
 * that is not escaped and has the end of a value behind it; n when there is none. */
static size_t closing(struct args *a, const struct known *k, bool is_key)
{
    const char q = a->p[a->at];
    bool *none = q == '"' ? &a->no_double : &a->no_single;
    const size_t stop = is_key && a->n - a->at > LOOK_AHEAD ? a->at + LOOK_AHEAD : a->n;
    if (*none && !is_key) return a->n;
    for (size_t i = a->at + 1; i < stop; i++) {
        if (a->p[i] == '\\') {
            i++;
            continue;
        }
        if (a->p[i] != q) continue;
        size_t j = i + 1;
        while (j < a->n && blank(a->p[j])) j++;
        if (is_key) {
            if (j < a->n && (a->p[j] == ':' || a->p[j] == '=')) return i;
            continue;
        }
        if (ends_value(a, j, k)) return i;
    }
    if (!is_key) *none = true;
    return a->n;
}

static bool quoted_text(struct args *a, const struct known *k, bool is_key)
{
    const size_t end = closing(a, k, is_key);
    if (end == a->n) return false;
    g4_str raw = {0}, s = {0};
    g4_marked_text(a->spell, a->p + a->at + 1, end - a->at - 1, &raw);
    for (size_t i = 0; i < raw.n;) {
        if (raw.p[i] == '\\') i += unescape(raw.p + i, raw.n - i, &s);
        else g4_str_addc(&s, raw.p[i++]);
    }
    g4_json_put_str(a->out, s.p, s.n);
    g4_str_free(&raw);
    g4_str_free(&s);
    a->at = end + 1;
    return true;
}

/* Where ",key:" stands at the end of [from, to), when it does: to otherwise. */
static size_t key_at_end(const struct args *a, size_t from, size_t to)
{
    size_t i = to;
    while (i > from && blank(a->p[i - 1])) i--;
    if (i == from || a->p[i - 1] != ':') return to;
    const size_t name_end = --i;
    while (i > from && name_end - i < LOOK_AHEAD && ident(a->p[i - 1])) i--;
    if (i == name_end || (a->p[i] >= '0' && a->p[i] <= '9')) return to;
    while (i > from && blank(a->p[i - 1])) i--;
    return i > from && a->p[i - 1] == ',' ? i - 1 : to;
}

/* A string between the model's own delimiters, taken as it is.  A missing second
 * delimiter is put before ",key:" when the next one would open that key's
 * value, else before the final closers. */
static bool string(struct args *a, const struct known *k)
{
    const bool odd = a->quotes % 2;
    take_quote(a);
    const size_t from = a->at;
    size_t end = find_quote(a, from);
    if (end < a->n) {
        const size_t cut = odd ? key_at_end(a, from, end) : end;
        put_string(a, from, cut);
        a->at = cut;
        if (cut == end) take_quote(a);
        return true;
    }
    end = before_final_closers(a, from);
    for (size_t i = from; k->any && i < end; i++)
        if (a->p[i] == ',' && key_at(a, i + 1, k, false, true)) end = i;
    put_string(a, from, end);
    a->at = end;
    return true;
}

/* ---- bare values -------------------------------------------------------------------- */

/* A number as people and models spell it, made JSON: ".5", "5.", "-.5". */
static bool number(const char *p, size_t n, g4_str *out)
{
    size_t i = n && *p == '-', from = i;
    while (i < n && p[i] >= '0' && p[i] <= '9') i++;
    const size_t whole = i - from;
    size_t frac = 0, frac_at = i;
    if (i < n && p[i] == '.') {
        frac_at = ++i;
        while (i < n && p[i] >= '0' && p[i] <= '9') i++;
        frac = i - frac_at;
    }
    if (!whole && !frac) return false;
    if (whole > 1 && p[from] == '0') return false;
    const size_t exp_at = i;
    if (i < n && (p[i] == 'e' || p[i] == 'E')) {
        i++;
        if (i < n && (p[i] == '+' || p[i] == '-')) i++;
        const size_t digits = i;
        while (i < n && p[i] >= '0' && p[i] <= '9') i++;
        if (i == digits) return false;
    }
    if (i != n) return false;
    g4_str_add(out, p, from);
    if (whole) g4_str_add(out, p + from, whole);
    else g4_str_addc(out, '0');
    if (frac) {
        g4_str_addc(out, '.');
        g4_str_add(out, p + frac_at, frac);
    }
    g4_str_add(out, p + exp_at, n - exp_at);
    return true;
}

/* Is [from, to) a number, true, false or null as JSON spells it, and does a key
 * stand behind it?  Then that is what was meant, however long or strange the key. */
static bool plain_pair(const struct args *a, size_t from, size_t to)
{
    size_t i = to + 1;
    bool digits = true;
    if (to == a->n || a->p[to] != ',') return false;
    if (is_quote(a, i)) return !g4_json_check(a->p + from, to - from, NULL, NULL);
    const size_t begin = i;
    for (; i < a->n && ident(a->p[i]); i++) digits &= a->p[i] >= '0' && a->p[i] <= '9';
    if (i == begin || digits || i == a->n || a->p[i] != ':') return false;
    return !g4_json_check(a->p + from, to - from, NULL, NULL);
}

/* A number, true, false or null with the end of the value behind it. */
static bool literal(struct args *a, const struct known *k)
{
    size_t end = a->at;
    while (end < a->n && (ident(a->p[end]) || a->p[end] == '+')) end++;
    size_t j = end;
    while (j < a->n && blank(a->p[j])) j++;
    if (end == a->at || is_quote(a, j) || !(ends_value(a, j, k) || plain_pair(a, a->at, end))) return false;
    const g4_sv t = {a->p + a->at, end - a->at};
    if (g4_sv_eq(t, "true") || g4_sv_eq(t, "false") || g4_sv_eq(t, "null")) g4_str_add(a->out, t.p, t.n);
    else if (!number(t.p, t.n, a->out)) return false;
    a->at = end;
    return true;
}

static bool put_bare(struct args *a, size_t from, size_t end)
{
    size_t to = end;
    while (to > from && blank(a->p[to - 1])) to--;
    if (to == from) return false; /* nothing was said */
    put_string(a, from, to);
    a->at = end;
    return true;
}

/* Text without delimiters.  It ends at a lone delimiter, at a comma that a key
 * follows, or at the closer of its container; wanted: the schema says string,
 * and then it may run to the end of the call. */
static bool bare(struct args *a, const struct known *k, bool wanted)
{
    const size_t from = a->at;
    const char close = around(a);
    const bool whole = wanted && a->depth == 1 && close != ']';
    const size_t last = whole ? before_final_closers(a, from) : a->n;
    int nest = 0;
    for (size_t i = from; i < last; i++) {
        const char c = a->p[i];
        if (is_quote(a, i)) {
            put_string(a, from, i);
            a->at = i;
            take_quote(a);
            return true;
        }
        if (c == ',' && !nest && (close == ']' || comma_splits(a, i, k, true))) return put_bare(a, from, i);
        if (whole) continue;
        if (c == '{' || c == '[' || (c == '(' && close == ')')) nest++;
        else if ((c == '}' || c == ']' || c == close) && nest-- == 0) return put_bare(a, from, i);
    }
    return wanted && put_bare(a, from, last);
}

/* ---- containers ------------------------------------------------------------------------ */

static bool wants_string(g4_json schema)
{
    const g4_json type = g4_json_get(schema, "type");
    if (g4_json_is(type, "string") || g4_json_is(type, "STRING")) return true;
    if (g4_json_type(type) != G4_JSON_ARRAY) return false;
    bool any = false;
    for (g4_json_it it = g4_json_iter(type); g4_json_next(&it);) {
        if (!g4_json_is(it.value, "string") && !g4_json_is(it.value, "null")) return false;
        any |= g4_json_is(it.value, "string");
    }
    return any;
}

/* Writes the key with quotes and stops behind its colon. */
static bool key(struct args *a, const struct known *k)
{
    const char c = a->p[a->at];
    if (is_quote(a, a->at)) {
        take_quote(a);
        const size_t end = find_quote(a, a->at);
        if (end == a->n) return false;
        put_string(a, a->at, end);
        a->at = end;
        take_quote(a);
    } else if ((c != '"' && c != '\'') || !quoted_text(a, k, true)) {
        const size_t from = a->at;
        bool name = true;
        size_t i = from;
        for (; i < a->n && a->p[i] != ':' && !(a->p[i] == '=' && name && i > from); i++) {
            if (closer(a->p[i]) || (unsigned char)a->p[i] >= G4_MARK_LEAST || a->p[i] == '{' || a->p[i] == '[' || a->p[i] == ',') return false;
            name = name && (ident(a->p[i]) || a->p[i] == ' ');
        }
        size_t end = i;
        while (end > from && blank(a->p[end - 1])) end--;
        if (i == a->n || end == from) return false;
        put_string(a, from, end);
        a->at = i;
    }
    skip_blanks(a);
    if (a->at == a->n || (a->p[a->at] != ':' && a->p[a->at] != '=')) return false;
    a->at++;
    skip_blanks(a);
    return true;
}

static int by_key(const void *x, const void *y, void *base)
{
    const struct member *a = x, *b = y;
    const size_t na = a->key_end - a->begin, nb = b->key_end - b->begin;
    const int c = memcmp((char *)base + a->begin, (char *)base + b->begin, na < nb ? na : nb);
    if (c) return c;
    if (na != nb) return na < nb ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static int by_order(const void *x, const void *y, void *base)
{
    (void)base;
    const struct member *a = x, *b = y;
    return a->order < b->order ? -1 : 1;
}

/* Of a key that came twice the last value stays, at the first place. */
static void drop_repeated(struct args *a, struct member *m, size_t n, size_t begin)
{
    qsort_r(m, n, sizeof *m, by_key, a->out->p);
    size_t kept = 0;
    for (size_t i = 0, j; i < n; i = j) {
        const size_t len = m[i].key_end - m[i].begin;
        for (j = i + 1; j < n && m[j].key_end - m[j].begin == len && !memcmp(a->out->p + m[j].begin, a->out->p + m[i].begin, len);) j++;
        struct member one = m[j - 1];
        one.order = m[i].order;
        m[kept++] = one;
    }
    if (kept == n) return;
    qsort_r(m, kept, sizeof *m, by_order, NULL);
    g4_str s = {0};
    for (size_t i = 0; i < kept; i++) {
        g4_str_addc(&s, i ? ',' : '{');
        g4_str_add(&s, a->out->p + m[i].begin, m[i].end - m[i].begin);
    }
    a->out->n = begin;
    g4_str_add(a->out, s.p, s.n);
    g4_str_free(&s);
}

/* What may stand behind a value: a delimiter too many, a comma, the closer, or
 * nothing.  *more: another element follows. */
static bool after_value(struct args *a, char close, bool *more)
{
    skip_blanks(a);
    if (is_quote(a, a->at)) take_quote(a);
    skip_blanks(a);
    *more = a->at < a->n && a->p[a->at] == ',';
    while (a->at < a->n && (a->p[a->at] == ',' || blank(a->p[a->at]))) a->at++;
    if (a->at == a->n) {
        *more = false;
        return true;
    }
    const char c = a->p[a->at];
    if (closer(c)) {
        *more = false;
        if (c == close || (close == ')' && c == '}')) a->at++;
        else if (close != ']' || c != '}') return false; /* a list may end with its object */
        return true;
    }
    return *more;
}

static bool object(struct args *a, g4_json schema)
{
    const g4_json table = g4_json_get(schema, "properties");
    const struct known k = {table, g4_json_type(table) == G4_JSON_OBJECT && g4_json_count(table) > 0};
    const size_t begin = a->out->n;
    const char close = a->p[a->at] == '(' ? ')' : '}';
    struct member *m = NULL;
    size_t n = 0, cap = 0;
    bool more = false, good = a->depth < MAX_DEPTH;
    if (!good) return false;
    a->open[a->depth++] = close;
    a->at++;
    skip_blanks(a);
    g4_str_addc(a->out, '{');
    if (a->at < a->n && !closer(a->p[a->at])) more = true;
    else good = after_value(a, close, &more);
    while (good && more) {
        G4_GROW(m, cap, n + 1);
        if (n) g4_str_addc(a->out, ',');
        m[n] = (struct member){.begin = a->out->n, .order = n};
        good = key(a, &k);
        if (!good) break;
        m[n].key_end = a->out->n;
        char *name = g4_json_dup((g4_json){a->out->p + m[n].begin, m[n].key_end - m[n].begin});
        g4_str_addc(a->out, ':');
        good = value(a, g4_json_get(k.properties, name), &k) && after_value(a, close, &more);
        free(name);
        m[n++].end = a->out->n;
    }
    if (good && n > 1) drop_repeated(a, m, n, begin);
    g4_str_addc(a->out, '}');
    free(m);
    a->depth--;
    return good;
}

static bool list(struct args *a, g4_json schema)
{
    static const struct known none;
    const g4_json items = g4_json_get(schema, "items");
    bool more = false, good = a->depth < MAX_DEPTH;
    if (!good) return false;
    a->open[a->depth++] = ']';
    a->at++;
    skip_blanks(a);
    g4_str_addc(a->out, '[');
    if (a->at < a->n && !closer(a->p[a->at])) more = true;
    else good = after_value(a, ']', &more);
    for (size_t n = 0; good && more; n++) {
        if (n) g4_str_addc(a->out, ',');
        good = value(a, items, &none) && after_value(a, ']', &more);
    }
    g4_str_addc(a->out, ']');
    a->depth--;
    return good;
}

static bool value(struct args *a, g4_json schema, const struct known *k)
{
    if (a->at == a->n) return false;
    const char c = a->p[a->at];
    const bool wanted = wants_string(schema);
    if (is_quote(a, a->at)) return string(a, k);
    if ((c == '"' || c == '\'') && quoted_text(a, k, false)) return true;
    if (!wanted && c == '{') return object(a, schema);
    if (!wanted && c == '[') return list(a, schema);
    return literal(a, k) || bare(a, k, wanted);
}

bool g4_args_json(const g4_spelling spell, g4_sv text, g4_json schema, g4_str *out)
{
    struct args a = {.p = text.p, .n = text.n, .spell = spell, .out = out};
    for (size_t i = 0; i < a.n; i++) a.quotes += (unsigned char)a.p[i] == G4_MARK_QUOTE;
    if (!a.n) return false;
    size_t second = 1;
    while (second < a.n && blank(a.p[second])) second++;
    if (a.p[0] == '(' && second < a.n && a.p[second] == '{') a.at = second; /* f({...}) */
    if (!object(&a, schema)) return false;
    while (a.at < a.n && (blank(a.p[a.at]) || closer(a.p[a.at]) || is_quote(&a, a.at) || a.p[a.at] == ';')) a.at++;
    return a.at == a.n;
}
