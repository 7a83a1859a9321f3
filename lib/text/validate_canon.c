/* text/validate_canon: one spelling for all JSON values that are equal. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/decimal.h"
#include "text/validate_impl.h"

struct member {
    g4_str name;  /* decoded */
    g4_json value;
    size_t order;
};

static int by_name(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    const size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
    const int c = n ? memcmp(x->name.p, y->name.p, n) : 0;
    if (c) return c;
    if (x->name.n != y->name.n) return x->name.n < y->name.n ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void put_object(g4_json v, g4_str *out)
{
    struct member *m = NULL;
    size_t n = 0, cap = 0;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it); n++) {
        G4_GROW(m, cap, n + 1);
        m[n] = (struct member){ .value = it.value, .order = n };
        g4_json_str(it.key, &m[n].name);
    }
    if (n) qsort(m, n, sizeof *m, by_name);
    g4_str_addc(out, '{');
    for (size_t i = 0; i < n; i++) {
        const bool again = i + 1 < n && m[i].name.n == m[i + 1].name.n &&
                           (!m[i].name.n || !memcmp(m[i].name.p, m[i + 1].name.p, m[i].name.n));
        if (again) continue; /* the last one counts */
        if (out->p[out->n - 1] != '{') g4_str_addc(out, ',');
        g4_json_put_str(out, m[i].name.p ? m[i].name.p : "", m[i].name.n);
        g4_str_addc(out, ':');
        g4_json_canon(m[i].value, out);
    }
    g4_str_addc(out, '}');
    for (size_t i = 0; i < n; i++) g4_str_free(&m[i].name);
    free(m);
}

void g4_json_canon(g4_json v, g4_str *out)
{
    g4_str s = {0};
    struct g4_decimal d;
    bool first = true;
    switch (g4_json_type(v)) {
    case G4_JSON_NUMBER:
        g4_decimal_parse(v, &d);
        g4_decimal_put(&d, out);
        g4_decimal_free(&d);
        return;
    case G4_JSON_STRING:
        g4_json_str(v, &s);
        g4_json_put_str(out, s.p ? s.p : "", s.n);
        g4_str_free(&s);
        return;
    case G4_JSON_ARRAY:
        g4_str_addc(out, '[');
        for (g4_json_it it = g4_json_iter(v); g4_json_next(&it); first = false) {
            if (!first) g4_str_addc(out, ',');
            g4_json_canon(it.value, out);
        }
        g4_str_addc(out, ']');
        return;
    case G4_JSON_OBJECT: put_object(v, out); return;
    default: g4_str_add(out, v.p, v.n);
    }
}

/* Digits only, and no sign before a zero: spelled in one way. */
static bool is_plain_integer(g4_json v)
{
    for (size_t i = v.p[0] == '-'; i < v.n; i++)
        if (v.p[i] < '0' || v.p[i] > '9') return false;
    return v.p[v.p[0] == '-'] != '0' || v.n == 1;
}

bool g4_json_same(g4_json a, g4_json b)
{
    if (g4_json_type(a) != g4_json_type(b)) return false;
    if (g4_sv_same(a, b)) return true;
    if (g4_json_type(a) == G4_JSON_NUMBER && is_plain_integer(a) && is_plain_integer(b)) return false;
    if (g4_json_type(a) == G4_JSON_STRING && !memchr(a.p, '\\', a.n) && !memchr(b.p, '\\', b.n)) return false;
    g4_str x = {0}, y = {0};
    g4_json_canon(a, &x);
    g4_json_canon(b, &y);
    const bool same = x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
    g4_str_free(&x);
    g4_str_free(&y);
    return same;
}
