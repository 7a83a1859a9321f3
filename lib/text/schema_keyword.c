/* text/schema_keyword: every keyword is enforced, an annotation, or refused by name
 * and place. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text/schema_impl.h"
#include "text/validate.h"

/* ---- places -------------------------------------------------------------------------- */

static void put_step(g4_str *out, g4_json key, size_t index)
{
    g4_str s = {0};
    g4_str_addc(out, '/');
    if (!key.p) g4_str_addf(out, "%zu", index);
    g4_json_str(key.p ? key : G4_SV("\"\""), &s);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '~') g4_str_adds(out, "~0");
        else if (s.p[i] == '/') g4_str_adds(out, "~1");
        else g4_str_addc(out, s.p[i]);
    }
    g4_str_free(&s);
}

/* JSON pointer of the part of root that begins at p. */
static void put_place(g4_json root, const char *p, g4_str *out)
{
    while (root.p != p && (g4_json_type(root) == G4_JSON_OBJECT || g4_json_type(root) == G4_JSON_ARRAY)) {
        size_t i = 0;
        g4_json_it it = g4_json_iter(root);
        while (g4_json_next(&it) && !(p >= it.value.p && p < it.value.p + it.value.n)) i++;
        if (!it.value.p || p < it.value.p || p >= it.value.p + it.value.n) return;
        put_step(out, it.key, i);
        root = it.value;
    }
}

int g4_schema_refuse(struct g4_lower *l, g4_json schema, const char *keyword, const char *what)
{
    g4_str place = {0};
    put_place(l->root, schema.p, &place);
    const int rc = g4_fail(l->err, G4_ESCHEMA, "'%s' at '#%.150s' in the schema: %s", keyword, place.n ? place.p : "", what);
    g4_str_free(&place);
    return rc;
}

/* ---- the keywords ---------------------------------------------------------------------- */

enum form { ANY, SCHEMA, SCHEMAS, MAP, NAMES, LIST, TEXT, COUNT, NUMBER, POSITIVE, FLAG, TYPE, REF, ITEMS };

static const struct keyword {
    const char *name;
    enum form form;
} enforced[] = {
    { "type", TYPE }, { "enum", LIST }, { "const", ANY }, { "properties", MAP }, { "required", NAMES },
    { "additionalProperties", SCHEMA }, { "items", ITEMS }, { "prefixItems", SCHEMAS }, { "minItems", COUNT },
    { "maxItems", COUNT }, { "minLength", COUNT }, { "maxLength", COUNT }, { "pattern", TEXT }, { "minimum", NUMBER },
    { "maximum", NUMBER }, { "exclusiveMinimum", NUMBER }, { "exclusiveMaximum", NUMBER }, { "multipleOf", POSITIVE },
    { "uniqueItems", FLAG }, { "minProperties", COUNT }, { "maxProperties", COUNT }, { "anyOf", SCHEMAS },
    { "oneOf", SCHEMAS }, { "allOf", SCHEMAS }, { "$ref", REF }, { "format", TEXT }, { "$defs", MAP }, { "definitions", MAP },
};

/* They say nothing about which values are valid. */
static const char *const annotations[] = {
    "title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$schema",
    "$id", "$anchor", "contentEncoding", "contentMediaType", "contentSchema", "nullable", "discriminator", "externalDocs", "xml",
    "enumNames", "enumDescriptions", "markdownDescription", "additionalItems",
};

/* Keywords that the validator can check when the value is there. */
static const char *const checked[] = {
    "not", "if", "then", "else", "patternProperties", "propertyNames", "contains", "minContains", "maxContains",
    "dependentRequired", "dependentSchemas",
};

static bool is_one_of(g4_json key, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (g4_json_is(key, list[i])) return true;
    return false;
}

static const char *type_trouble(g4_json v)
{
    static const char *const names[] = { "null", "boolean", "integer", "number", "string", "array", "object" };
    if (g4_json_type(v) == G4_JSON_STRING && is_one_of(v, names, 7)) return NULL;
    if (g4_json_type(v) != G4_JSON_ARRAY) return "must be a type or a list of types";
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);)
        if (!is_one_of(it.value, names, 7)) return "must be a type or a list of types";
    return NULL;
}

static const char *all_are(g4_json list, enum g4_json_type type, const char *otherwise)
{
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);)
        if (g4_json_type(it.value) != type) return otherwise;
    return NULL;
}

/* What is wrong with the value of a keyword; NULL: nothing. */
static const char *trouble(enum form form, g4_json v)
{
    const enum g4_json_type t = g4_json_type(v);
    int64_t n;
    switch (form) {
    case SCHEMA: return t == G4_JSON_OBJECT || t == G4_JSON_BOOL ? NULL : "must be a schema";
    case ITEMS:
        if (t == G4_JSON_ARRAY) return "a list is of an older draft: use prefixItems";
        return t == G4_JSON_OBJECT || t == G4_JSON_BOOL ? NULL : "must be a schema";
    case SCHEMAS: return t == G4_JSON_ARRAY && g4_json_count(v) ? NULL : "must be a list of schemas";
    case MAP: return t == G4_JSON_OBJECT ? NULL : "must be an object";
    case NAMES: return t == G4_JSON_ARRAY ? all_are(v, G4_JSON_STRING, "must be a list of names") : "must be a list of names";
    case LIST: return t == G4_JSON_ARRAY ? NULL : "must be a list";
    case TEXT:
    case REF: return t == G4_JSON_STRING ? NULL : "must be a string";
    case COUNT: return g4_json_i64(v, &n) && n >= 0 ? NULL : "must be a whole number, 0 or more";
    case NUMBER: return t == G4_JSON_NUMBER ? NULL : "must be a number";
    case POSITIVE: return t == G4_JSON_NUMBER && v.p[0] != '-' ? NULL : "must be a number above 0";
    case FLAG: return t == G4_JSON_BOOL ? NULL : "must be true or false";
    case TYPE: return type_trouble(v);
    case ANY: break;
    }
    return NULL;
}

static int unenforced(struct g4_lower *l, g4_json schema, const char *name, g4_json key)
{
    const bool can_check = is_one_of(key, checked, sizeof checked / sizeof *checked);
    g4_str place = {0};
    if (!can_check) return g4_schema_refuse(l, schema, name, "not known, so it cannot be enforced");
    if (!l->p.lax) return g4_schema_refuse(l, schema, name, "it cannot be enforced while the answer is generated (--schema-lax checks it afterwards)");
    put_place(l->root, schema.p, &place);
    g4_log(G4_LOG_WARN, "'%s' at '#%s' in the schema is only checked when the answer is complete", name, place.n ? place.p : "");
    g4_str_free(&place);
    return G4_OK;
}

static void tell_format(struct g4_lower *l, g4_json schema)
{
    char *name = g4_json_dup(g4_json_get(schema, "format"));
    if (name && !g4_format_asserted(name)) g4_log(G4_LOG_VERBOSE, "format '%s' is not checked", name);
    free(name);
}

int g4_schema_keywords(struct g4_lower *l, g4_json schema)
{
    for (g4_json_it it = g4_json_iter(schema); g4_json_next(&it);) {
        g4_str s = {0};
        const struct keyword *k = NULL;
        int rc = G4_OK;
        g4_json_str(it.key, &s);
        const char *name = s.p ? s.p : "";
        for (size_t i = 0; i < sizeof enforced / sizeof *enforced && !k; i++)
            if (g4_json_is(it.key, enforced[i].name)) k = &enforced[i];
        const char *what = k ? trouble(k->form, it.value) : NULL;
        if (what) rc = g4_schema_refuse(l, schema, name, what);
        else if (!k && !is_one_of(it.key, annotations, sizeof annotations / sizeof *annotations) && !(s.n > 2 && !memcmp(s.p, "x-", 2)))
            rc = unenforced(l, schema, name, it.key);
        g4_str_free(&s);
        if (rc) return rc;
    }
    tell_format(l, schema);
    return G4_OK;
}
