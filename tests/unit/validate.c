/* The validator beyond the fixtures: keywords that no grammar enforces, messages,
 * broken schemas, equality, references. */
#include "../tap.h"
#include "text/decimal.h"
#include "text/validate.h"

static g4_json json(const char *s)
{
    return (g4_json){ s, strlen(s) };
}

static const struct { const char *schema, *value; int want; const char *says; } table[] = {
    { "{\"not\":{\"type\":\"string\"}}", "1", G4_OK, NULL }, { "{\"not\":{\"type\":\"string\"}}", "\"a\"", G4_EINPUT, "'not'" },
    { "{\"if\":{\"minimum\":10},\"then\":{\"multipleOf\":5},\"else\":{\"const\":1}}", "15", G4_OK, NULL },
    { "{\"if\":{\"minimum\":10},\"then\":{\"multipleOf\":5},\"else\":{\"const\":1}}", "12", G4_EINPUT, "multiple of 5" },
    { "{\"if\":{\"minimum\":10},\"then\":{\"multipleOf\":5},\"else\":{\"const\":1}}", "2", G4_EINPUT, "must be 1" },
    { "{\"patternProperties\":{\"^n_\":{\"type\":\"number\"}},\"additionalProperties\":false}", "{\"n_a\":1}", G4_OK, NULL },
    { "{\"patternProperties\":{\"^n_\":{\"type\":\"number\"}},\"additionalProperties\":false}", "{\"n_a\":\"1\"}", G4_EINPUT, "'/n_a' must be of type" },
    { "{\"patternProperties\":{\"^n_\":{\"type\":\"number\"}},\"additionalProperties\":false}", "{\"m\":1}", G4_EINPUT, "'/m' is not an allowed property" },
    { "{\"propertyNames\":{\"maxLength\":2}}", "{\"ab\":1}", G4_OK, NULL }, { "{\"propertyNames\":{\"maxLength\":2}}", "{\"abc\":1}", G4_EINPUT, "longer than 2" },
    { "{\"contains\":{\"const\":1},\"minContains\":2,\"maxContains\":3}", "[1,2,1]", G4_OK, NULL },
    { "{\"contains\":{\"const\":1},\"minContains\":2}", "[1,2]", G4_EINPUT, "'contains'" }, { "{\"contains\":{\"const\":1},\"minContains\":0}", "[]", G4_OK, NULL },
    { "{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}", G4_EINPUT, "lacks the property 'b'" }, { "{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"b\":1}", G4_OK, NULL },
    { "{\"dependentSchemas\":{\"a\":{\"maxProperties\":1}}}", "{\"a\":1,\"b\":2}", G4_EINPUT, "more than 1" },
    { "{\"items\":{\"properties\":{\"x\":{\"minimum\":0}}}}", "[{\"x\":1},{\"x\":-1}]", G4_EINPUT, "'/1/x' is below 0 (minimum)" },
    { "{\"required\":[\"a\"]}", "{}", G4_EINPUT, "the value lacks the property 'a'" }, { "{\"type\":[\"string\",\"null\"]}", "1", G4_EINPUT, "[\"string\",\"null\"]" },
    { "{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1.0}]", G4_EINPUT, "same item twice" }, { "{\"enum\":[[1.0]]}", "[1]", G4_OK, NULL },
    { "{\"multipleOf\":0.1}", "0.3", G4_OK, NULL }, { "{\"multipleOf\":1e-8}", "123456789012345678901234567890", G4_OK, NULL },
    { "{\"maximum\":9007199254740992}", "9007199254740993", G4_EINPUT, "above" }, { "{\"minimum\":1e400}", "1e399", G4_EINPUT, "below" },
    { "{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":1,\"a\":\"x\"}", G4_OK, NULL }, { "{\"minProperties\":2}", "{\"a\":1,\"a\":2}", G4_EINPUT, "fewer than 2" },
    { "{\"x-unknown\":1,\"type\":\"null\"}", "null", G4_OK, NULL }, { "{\"$ref\":\"#/$defs/%25a~1b\",\"$defs\":{\"%a/b\":{\"const\":1}}}", "1", G4_OK, NULL },
    { "{\"$ref\":\"#node\",\"$defs\":{\"n\":{\"$anchor\":\"node\",\"const\":1}}}", "2", G4_EINPUT, "must be 1" }, { "{\"$ref\":\"#/prefixItems/0\",\"prefixItems\":[false]}", "1", G4_EINPUT, "not allowed" },
    { "{\"$ref\":\"#\"}", "1", G4_ESCHEMA, "without end" }, { "{\"$ref\":\"#/no\"}", "1", G4_ESCHEMA, "leads nowhere" }, { "{\"$ref\":\"other.json\"}", "1", G4_ESCHEMA, "same schema" },
    { "{\"type\":\"strin\"}", "1", G4_ESCHEMA, "'type'" }, { "{\"minLength\":\"a\"}", "\"a\"", G4_ESCHEMA, "'minLength'" }, { "{\"pattern\":\"(?<=a)\"}", "\"a\"", G4_ESCHEMA, "look-behind" },
    { "{\"unevaluatedProperties\":false}", "{}", G4_ESCHEMA, "'unevaluatedProperties'" }, { "{\"items\":[{}]}", "[]", G4_ESCHEMA, "older draft" },
    { "{\"anyOf\":[{\"type\":\"x\"}]}", "1", G4_ESCHEMA, "'type'" }, { "3", "1", G4_ESCHEMA, "must be an object" },
};

static void verdicts(void)
{
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        g4_err err = {0};
        const int rc = g4_validate(json(table[i].schema), json(table[i].value), &err);
        if (rc == table[i].want && (!table[i].says || strstr(err.msg, table[i].says)) && (rc || !err.code)) continue;
        wrong++;
        printf("# %s: %s: %d %s\n", table[i].schema, table[i].value, rc, err.msg);
    }
    ok(!wrong, "%zu verdicts with their reasons: %zu wrong", sizeof table / sizeof *table, wrong);
}

static void equality(void)
{
    static const struct { const char *a, *b; bool same; } t[] = {
        { "1", "1.0", true }, { "100", "1e2", true }, { "0.1", "1e-1", true }, { "-0", "0.0", true }, { "1", "-1", false }, { "10", "1", false },
        { "\"a\"", "\"\\u0061\"", true }, { "\"\\/\"", "\"/\"", true }, { "\"1\"", "1", false }, { "true", "1", false }, { "null", "false", false },
        { "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true }, { "{\"a\":1}", "{\"a\":1,\"b\":null}", false }, { "[1,2]", "[2,1]", false }, { "[[]]", "[{}]", false },
        { "{\"a\":0,\"a\":1}", "{\"a\":1}", true }, { "{\"ab\":1,\"a\":2}", "{\"a\":2,\"a\\u0062\":1}", true }, { "12345678901234567890", "12345678901234567891", false },
    };
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        g4_str a = {0}, b = {0};
        g4_json_canon(json(t[i].a), &a);
        g4_json_canon(json(t[i].b), &b);
        const bool same = a.n == b.n && !memcmp(a.p, b.p, a.n);
        if (same != t[i].same) printf("# %s and %s: %s and %s\n", t[i].a, t[i].b, a.p, b.p);
        wrong += same != t[i].same;
        g4_str_free(&a);
        g4_str_free(&b);
    }
    ok(!wrong, "equal values have one spelling, others do not: %zu of %zu wrong", wrong, sizeof t / sizeof *t);
}

static void decimals(void)
{
    static const char *const ascending[] = { "-1e9", "-12.5", "-12", "-0.001", "0", "1e-30", "0.1", "0.11", "1", "1.5", "9.99", "10", "1e1000" };
    size_t wrong = 0;
    for (int i = 0; i < 13; i++)
        for (int k = 0; k < 13; k++) {
            struct g4_decimal a, b;
            g4_decimal_parse((g4_sv){ ascending[i], strlen(ascending[i]) }, &a);
            g4_decimal_parse((g4_sv){ ascending[k], strlen(ascending[k]) }, &b);
            const int c = g4_decimal_cmp(&a, &b);
            wrong += (c > 0) - (c < 0) != (i > k) - (i < k);
            g4_decimal_free(&a);
            g4_decimal_free(&b);
        }
    ok(!wrong, "decimals in order: %zu comparisons wrong", wrong);
}

/* As deep as JSON may be. */
static void deep(void)
{
    g4_str v = {0};
    for (int i = 0; i < 500; i++) g4_str_addc(&v, '[');
    for (int i = 0; i < 500; i++) g4_str_addc(&v, ']');
    g4_err err = {0};
    ok(!g4_validate(json("{\"items\":{\"$ref\":\"#\"}}"), json(v.p), &err), "a value 500 levels deep %s", err.msg);
    g4_str_free(&v);
}

int main(void)
{
    verdicts();
    equality();
    decimals();
    deep();
    return done_testing();
}
