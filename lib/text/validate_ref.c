/* text/validate_ref: "$ref" to a place in the same document: "#", "#/a/b", "#anchor". */
#include <stdlib.h>
#include <string.h>

#include "text/validate_impl.h"

g4_json g4_json_member(g4_json object, const char *key, size_t n)
{
    g4_json found = {0};
    g4_str name = {0};
    if (g4_json_type(object) != G4_JSON_OBJECT) return found;
    for (g4_json_it it = g4_json_iter(object); g4_json_next(&it);) {
        if (!memchr(it.key.p, '\\', it.key.n)) {
            if (it.key.n == n + 2 && memcmp(it.key.p + 1, key, n) == 0) found = it.value;
            continue;
        }
        g4_str_clear(&name);
        g4_json_str(it.key, &name);
        if (name.n == n && memcmp(name.p, key, n) == 0) found = it.value;
    }
    g4_str_free(&name);
    return found;
}

static int hex_of(char c)
{
    const char low = (char)(c | 0x20);
    return c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* Undoes %XX in place. */
static void unquote(g4_str *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const int hi = s->p[i] == '%' && i + 2 < s->n ? hex_of(s->p[i + 1]) : -1;
        const int lo = hi >= 0 ? hex_of(s->p[i + 2]) : -1;
        if (lo >= 0) i += 2;
        s->p[n++] = lo >= 0 ? (char)(hi << 4 | lo) : s->p[i];
    }
    s->n = n;
    if (s->p) s->p[n] = 0;
}

static g4_json step(g4_json at, const char *p, size_t n)
{
    g4_str name = {0};
    g4_json out = {0};
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '~' && i + 1 < n && (p[i + 1] == '0' || p[i + 1] == '1')) g4_str_addc(&name, p[++i] == '0' ? '~' : '/');
        else g4_str_addc(&name, p[i]);
    }
    if (g4_json_type(at) == G4_JSON_ARRAY) {
        char *end = NULL;
        const unsigned long i = name.n && name.p[0] >= '0' && name.p[0] <= '9' ? strtoul(name.p, &end, 10) : 0;
        if (end && !*end) out = g4_json_at(at, i);
    } else {
        out = g4_json_member(at, name.p ? name.p : "", name.n);
    }
    g4_str_free(&name);
    return out;
}

static g4_json find_anchor(g4_json at, const char *name)
{
    g4_json found = {0};
    const enum g4_json_type type = g4_json_type(at);
    if (type != G4_JSON_OBJECT && type != G4_JSON_ARRAY) return found;
    if (g4_json_is(g4_json_get(at, "$anchor"), name)) return at;
    for (g4_json_it it = g4_json_iter(at); !found.p && g4_json_next(&it);) {
        if (type == G4_JSON_OBJECT && (g4_json_is(it.key, "enum") || g4_json_is(it.key, "const"))) continue;
        found = find_anchor(it.value, name);
    }
    return found;
}

int g4_schema_ref(g4_json root, g4_json ref, g4_json *out, g4_err *err)
{
    g4_str s = {0};
    g4_json at = root;
    int rc = G4_OK;
    if (g4_json_type(ref) != G4_JSON_STRING) return g4_fail(err, G4_ESCHEMA, "'$ref' must be a string");
    g4_json_str(ref, &s);
    unquote(&s);
    if (!s.n || s.p[0] != '#') {
        rc = g4_fail(err, G4_ESCHEMA, "'$ref' to '%.200s': only places in the same schema (#...) can be referred to", s.p ? s.p : "");
    } else if (s.n > 1 && s.p[1] != '/') {
        at = find_anchor(root, s.p + 1);
    } else {
        for (size_t i = 1; i < s.n && at.p;) {
            size_t end = i + 1;
            while (end < s.n && s.p[end] != '/') end++;
            at = step(at, s.p + i + 1, end - i - 1);
            i = end;
        }
    }
    if (!rc && !at.p) rc = g4_fail(err, G4_ESCHEMA, "'$ref' to '%.200s' leads nowhere", s.p);
    g4_str_free(&s);
    *out = at;
    return rc;
}
