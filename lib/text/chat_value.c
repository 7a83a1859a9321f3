/* text/chat_value: values and tool declarations in the models' own notation
 * (prompt-format spec 3.4 and 3.5). */
#include "text/chat_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---------------------------------------------------------------- */

/* Shortest digits that read back as v > 0; *exp: v = 0.d1d2... * 10^exp. */
static size_t shortest(double v, char digits[24], int *exp)
{
    char buf[40];
    for (int prec = 0; prec < 17; prec++) {
        snprintf(buf, sizeof buf, "%.*e", prec, v);
        if (strtod(buf, NULL) == v) break;
    }
    const char *e = strchr(buf, 'e');
    size_t n = 0;
    for (const char *p = buf; p < e; p++)
        if (*p >= '0' && *p <= '9') digits[n++] = *p; /* the separator is the locale's */
    *exp = atoi(e + 1) + 1;
    while (n > 1 && digits[n - 1] == '0') n--;
    return n;
}

/* Python's repr of a float: exponent form below 1e-4 and from 1e16. */
static void put_float(g4_str *s, double v)
{
    char d[24];
    int exp;
    if (v < 0 || (v == 0 && 1 / v < 0)) {
        g4_str_addc(s, '-');
        v = -v;
    }
    if (v == 0) {
        g4_str_adds(s, "0.0");
        return;
    }
    const int n = (int)shortest(v, d, &exp);
    if (exp < -3 || exp > 16) {
        g4_str_addc(s, d[0]);
        if (n > 1) {
            g4_str_addc(s, '.');
            g4_str_add(s, d + 1, (size_t)n - 1);
        }
        g4_str_addf(s, "e%c%02d", exp - 1 < 0 ? '-' : '+', abs(exp - 1));
    } else if (exp <= 0) {
        g4_str_adds(s, "0.");
        for (int i = exp; i < 0; i++) g4_str_addc(s, '0');
        g4_str_add(s, d, (size_t)n);
    } else {
        for (int i = 0; i < exp || i < n; i++) {
            if (i == exp) g4_str_addc(s, '.');
            g4_str_addc(s, i < n ? d[i] : '0');
        }
        if (n <= exp) g4_str_adds(s, ".0");
    }
}

/* An integer keeps its digits, however many; what overflows a double too. */
static void number(g4_str *s, g4_sv t)
{
    const bool integer = !memchr(t.p, '.', t.n) && !memchr(t.p, 'e', t.n) && !memchr(t.p, 'E', t.n);
    double v;
    if (integer && g4_sv_eq(t, "-0")) g4_str_addc(s, '0');
    else if (integer || !g4_json_f64(t, &v) || v - v != 0) g4_str_add(s, t.p, t.n);
    else put_float(s, v);
}

/* ---- values ----------------------------------------------------------------- */

static void quoted(struct g4_render *r, g4_sv s)
{
    g4_put(r, r->w->quote);
    g4_put_data(r, s);
    g4_put(r, r->w->quote);
}

static void members(struct g4_render *r, const g4_node *v, bool quote_keys)
{
    const g4_node **m = g4_node_sorted(r->arena, v);
    for (size_t i = 0; i < v->n; i++) {
        if (i) g4_put(r, ",");
        if (quote_keys) quoted(r, m[i]->key);
        else g4_put_data(r, m[i]->key);
        g4_put(r, ":");
        g4_put_value(r, m[i], quote_keys);
    }
}

void g4_put_pairs(struct g4_render *r, const g4_node *object)
{
    if (object->type == G4_JSON_OBJECT) members(r, object, false);
}

void g4_put_value(struct g4_render *r, const g4_node *v, bool quote_keys)
{
    switch (v->type) {
    case G4_JSON_BOOL: g4_put(r, v->yes ? "true" : "false"); break;
    case G4_JSON_STRING: quoted(r, v->text); break;
    case G4_JSON_OBJECT:
        g4_put(r, "{");
        members(r, v, quote_keys);
        g4_put(r, "}");
        break;
    case G4_JSON_ARRAY:
        g4_put(r, "[");
        for (size_t i = 0; i < v->n; i++) {
            if (i) g4_put(r, ",");
            g4_put_value(r, v->kid + i, quote_keys);
        }
        g4_put(r, "]");
        break;
    case G4_JSON_NUMBER: {
        g4_str s = {0};
        number(&s, v->text);
        g4_put_data(r, (g4_sv){s.p, s.n});
        g4_str_free(&s);
        break;
    }
    default: g4_put(r, "null");
    }
}

/* Python's str() of a value, its repr() when it stands inside another. */
static void py_text(g4_str *s, const g4_node *v, bool inside)
{
    switch (v->type) {
    case G4_JSON_BOOL: g4_str_adds(s, v->yes ? "True" : "False"); break;
    case G4_JSON_NUMBER: number(s, v->text); break;
    case G4_JSON_STRING: {
        const char q = inside && memchr(v->text.p, '\'', v->text.n) && !memchr(v->text.p, '"', v->text.n) ? '"' : '\'';
        if (inside) g4_str_addc(s, q);
        g4_str_add(s, v->text.p, v->text.n);
        if (inside) g4_str_addc(s, q);
        break;
    }
    case G4_JSON_ARRAY:
    case G4_JSON_OBJECT:
        g4_str_addc(s, v->type == G4_JSON_ARRAY ? '[' : '{');
        for (size_t i = 0; i < v->n; i++) {
            if (i) g4_str_adds(s, ", ");
            if (v->type == G4_JSON_OBJECT) {
                const g4_node key = {.type = G4_JSON_STRING, .text = v->kid[i].key};
                py_text(s, &key, true);
                g4_str_adds(s, ": ");
            }
            py_text(s, v->kid + i, true);
        }
        g4_str_addc(s, v->type == G4_JSON_ARRAY ? ']' : '}');
        break;
    default: g4_str_adds(s, "None");
    }
}

/* What a template's {{ v }} prints, upper-cased when it is a type name. */
static void put_text(struct g4_render *r, const g4_node *v, bool upper)
{
    g4_str s = {0};
    py_text(&s, v, false);
    for (size_t i = 0; upper && i < s.n; i++)
        if (s.p[i] >= 'a' && s.p[i] <= 'z') s.p[i] -= 32;
    g4_put_data(r, (g4_sv){s.p, s.n});
    g4_str_free(&s);
}

static void quoted_text(struct g4_render *r, const g4_node *v, bool upper)
{
    g4_put(r, r->w->quote);
    if (v->type != G4_JSON_NONE && v->type != G4_JSON_NULL) put_text(r, v, upper);
    g4_put(r, r->w->quote);
}

/* ---- declarations ------------------------------------------------------------- */

static bool is_type(const g4_node *schema, const char *upper)
{
    const g4_node *t = g4_node_get(schema, "type");
    if (t->type != G4_JSON_STRING || t->text.n != strlen(upper)) return false;
    for (size_t i = 0; i < t->text.n; i++) {
        const char c = t->text.p[i];
        if ((c >= 'a' && c <= 'z' ? c - 32 : c) != upper[i]) return false;
    }
    return true;
}

static void required(struct g4_render *r, const g4_node *names)
{
    g4_put(r, "required:[");
    for (size_t i = 0; names->type == G4_JSON_ARRAY && i < names->n; i++) {
        if (i) g4_put(r, ",");
        quoted_text(r, names->kid + i, false);
    }
    g4_put(r, "]");
}

static void properties(struct g4_render *r, const g4_node *table, bool bare);

static void item_type(struct g4_render *r, const g4_node *type)
{
    g4_put(r, "type:");
    if (type->type != G4_JSON_ARRAY) {
        quoted_text(r, type, true);
        return;
    }
    g4_put(r, "[");
    for (size_t i = 0; i < type->n; i++) {
        if (i) g4_put(r, ",");
        quoted_text(r, type->kid + i, true);
    }
    g4_put(r, "]");
}

static void items(struct g4_render *r, const g4_node *schema)
{
    const g4_node **m = g4_node_sorted(r->arena, schema);
    bool any = false;
    for (size_t i = 0; i < schema->n; i++) {
        if (m[i]->type == G4_JSON_NULL) continue;
        if (any) g4_put(r, ",");
        any = true;
        if (g4_sv_eq(m[i]->key, "properties")) {
            g4_put(r, "properties:{");
            if (m[i]->type == G4_JSON_OBJECT) properties(r, m[i], false);
            g4_put(r, "}");
        } else if (g4_sv_eq(m[i]->key, "required")) {
            required(r, m[i]);
        } else if (g4_sv_eq(m[i]->key, "type")) {
            item_type(r, m[i]);
        } else {
            g4_put_data(r, m[i]->key);
            g4_put(r, ":");
            g4_put_value(r, m[i], true);
        }
    }
}

/* The fields of one property in the template's fixed order. */
static void property(struct g4_render *r, const g4_node *v)
{
    const char *sep = "";
    const g4_node *d = g4_node_get(v, "description"), *e = g4_node_get(v, "enum"), *it = g4_node_get(v, "items");
    if (g4_node_true(d)) {
        g4_put(r, "description:");
        quoted_text(r, d, false);
        sep = ",";
    }
    if (is_type(v, "STRING") && g4_node_true(e)) {
        g4_put(r, sep);
        g4_put(r, "enum:");
        g4_put_value(r, e, true);
        sep = ",";
    }
    if (is_type(v, "ARRAY") && it->type == G4_JSON_OBJECT && it->n) {
        g4_put(r, sep);
        g4_put(r, "items:{");
        items(r, it);
        g4_put(r, "}");
        sep = ",";
    }
    if (g4_node_true(g4_node_get(v, "nullable"))) {
        g4_put(r, sep);
        g4_put(r, "nullable:true");
        sep = ",";
    }
    if (is_type(v, "OBJECT")) {
        const g4_node *p = g4_node_get(v, "properties"), *req = g4_node_get(v, "required");
        g4_put(r, sep);
        g4_put(r, "properties:{");
        properties(r, p->type == G4_JSON_OBJECT ? p : v, p->type != G4_JSON_OBJECT);
        g4_put(r, "}");
        if (g4_node_true(req)) {
            g4_put(r, ",");
            required(r, req);
        }
        sep = ",";
    }
    g4_put(r, sep);
    g4_put(r, "type:");
    quoted_text(r, g4_node_get(v, "type"), true);
}

/* bare: the table is an object schema without properties, whose other keywords
 * the template takes for property names. */
static void properties(struct g4_render *r, const g4_node *table, bool bare)
{
    static const char *const keyword[] = {"description", "type", "properties", "required", "nullable"};
    const g4_node **m = g4_node_sorted(r->arena, table);
    bool any = false;
    for (size_t i = 0; i < table->n; i++) {
        bool hidden = false;
        for (size_t k = 0; bare && k < 5; k++) hidden |= g4_sv_eq(m[i]->key, keyword[k]);
        if (hidden) continue;
        if (any) g4_put(r, ",");
        any = true;
        g4_put_data(r, m[i]->key);
        g4_put(r, ":{");
        property(r, m[i]);
        g4_put(r, "}");
    }
}

static void parameters(struct g4_render *r, const g4_node *p)
{
    const g4_node *table = g4_node_get(p, "properties"), *req = g4_node_get(p, "required"), *type = g4_node_get(p, "type");
    g4_put(r, ",parameters:{");
    if (table->type == G4_JSON_OBJECT && table->n) {
        g4_put(r, "properties:{");
        properties(r, table, false);
        g4_put(r, "},");
    }
    if (g4_node_true(req)) {
        required(r, req);
        g4_put(r, ",");
    }
    if (g4_node_true(type)) { /* the template forgets the brace when there is no type */
        g4_put(r, "type:");
        quoted_text(r, type, true);
        g4_put(r, "}");
    }
}

/* An extension to OpenAI's shape; the template closes it for objects only. */
static void declared_response(struct g4_render *r, const g4_node *v)
{
    const g4_node *d = g4_node_get(v, "description");
    g4_put(r, ",response:{");
    if (g4_node_true(d)) {
        g4_put(r, "description:");
        quoted_text(r, d, false);
        g4_put(r, ",");
    }
    if (!is_type(v, "OBJECT") && !r->repair) return;
    g4_put(r, "type:");
    if (g4_node_true(g4_node_get(v, "type"))) quoted_text(r, g4_node_get(v, "type"), true);
    else quoted(r, G4_SV("OBJECT"));
    g4_put(r, "}");
}

void g4_put_declaration(struct g4_render *r, const g4_node *function)
{
    const g4_node *p = g4_node_get(function, "parameters"), *response = g4_node_get(function, "response");
    const g4_node *d = g4_node_get(function, "description");
    g4_put(r, r->w->decl[0]);
    g4_put(r, "declaration:");
    put_text(r, g4_node_get(function, "name"), false);
    g4_put(r, "{description:");
    g4_put(r, r->w->quote);
    if (g4_node_true(d)) put_text(r, d, false);
    g4_put(r, r->w->quote);
    if (p->type == G4_JSON_OBJECT && p->n) parameters(r, p);
    if (response->type != G4_JSON_NONE) declared_response(r, response);
    g4_put(r, "}");
    g4_put(r, r->w->decl[1]);
}
