/* JSON: what is accepted, what is refused and where, walking, numbers, writing,
 * and random documents read back through the walk. */
#include "base/json.h"

#include <time.h>

#include "base/mem.h"
#include "../tap.h"

static g4_json check(const char *z)
{
    g4_json v = {0};
    g4_err err = {0};
    ok(!g4_json_check(z, strlen(z), &v, &err), "%.60s is JSON (%s)", z, err.msg);
    return v;
}

static void refuse(const char *text, size_t n, const char *part)
{
    g4_json v = {0};
    g4_err err = {0};
    char *exact = malloc(n ? n : 1); /* its end is where a sanitizer sees it */
    memcpy(exact, text, n);
    is_int(g4_json_check(exact, n, &v, &err), G4_EINPUT, part);
    ok(strstr(err.msg, part) && !v.p, "says: %s", err.msg);
    free(exact);
}

#define REFUSE(lit, part) refuse(lit, sizeof(lit) - 1, part)

static void test_refusals(void)
{
    REFUSE("", "empty");
    REFUSE("  ", "byte 2");
    REFUSE("{", "byte 1");
    REFUSE("[1,]", "byte 3");
    REFUSE("[1 2]", "no ',' between values at byte 3");
    REFUSE("{\"a\" 1}", "no ':'");
    REFUSE("{a:1}", "without a name");
    REFUSE("{\"a\":1,}", "without a name at byte 7");
    REFUSE("[1}", "no ','");
    REFUSE("1 2", "something follows");
    REFUSE("\"abc", "inside a string");
    REFUSE("\"a\\", "inside a string");
    REFUSE("\"\\x\"", "unknown escape");
    REFUSE("\"\\u12\"", "\\u escape");
    REFUSE("\"\\u12G4\"", "\\u escape");
    REFUSE("\"\\ud800\"", "lone high surrogate");
    REFUSE("\"\\ud800\\u0041\"", "lone high surrogate");
    REFUSE("\"\\udc00\"", "lone low surrogate");
    REFUSE("\"\x01\"", "control character");
    REFUSE("\"\n\"", "control character");
    REFUSE("\"\xff\"", "not UTF-8");
    REFUSE("\"\xc0\x80\"", "not UTF-8");
    REFUSE("\"\xed\xa0\x80\"", "not UTF-8");
    REFUSE("\"\xe2\x82", "not UTF-8");
    REFUSE("\xef\xbb\xbf{}", "unexpected character at byte 0");
    REFUSE("01", "bad number");
    REFUSE("-", "bad number");
    REFUSE("1.", "bad number");
    REFUSE(".5", "unexpected character");
    REFUSE("1e", "bad number");
    REFUSE("1e+", "bad number");
    REFUSE("+1", "unexpected character");
    REFUSE("NaN", "unexpected character");
    REFUSE("tru", "unknown word");
    REFUSE("nul", "unknown word");
    REFUSE("falsehood", "something follows");
    REFUSE("\0", "unexpected character");
    REFUSE("'a'", "unexpected character");
    REFUSE("[1]//", "something follows");
}

static void test_depth(void)
{
    char text[1100];
    memset(text, '[', 513);
    memset(text + 513, ']', 513);
    refuse(text, 1026, "nested too deep at byte 512");
    memset(text, '[', 512);
    memset(text + 512, ']', 512);
    text[1024] = 0;
    check(text);
}

static void test_unique(void)
{
    static const char *const good[] = { "{}", "{\"a\":1,\"b\":{\"a\":2},\"c\":[{\"a\":1},{\"a\":1}]}" };
    static const char *const bad[] = { "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "[0,{\"x\":{\"k\":1,\"z\":2,\"k\":3}}]" };
    g4_err err = {0};
    for (int i = 0; i < 2; i++) is_int(g4_json_check_unique(good[i], strlen(good[i]), NULL, &err), 0, good[i]);
    for (int i = 0; i < 3; i++) {
        err = (g4_err){0};
        is_int(g4_json_check_unique(bad[i], strlen(bad[i]), NULL, &err), G4_EINPUT, bad[i]);
        ok(strstr(err.msg, "repeated"), "says: %s", err.msg);
    }
    g4_str s = {0};
    g4_str_addc(&s, '{');
    for (int i = 0; i < 20000; i++) g4_str_addf(&s, "\"key%d\":%d,", i, i);
    g4_str_adds(&s, "\"key7\":0}");
    err = (g4_err){0};
    is_int(g4_json_check_unique(s.p, s.n, NULL, &err), G4_EINPUT, "one repeated among 20001 keys");
    is_int(g4_json_check(s.p, s.n, NULL, NULL), 0, "is accepted where repetition is allowed");
    g4_str_free(&s);
}

static void test_walk(void)
{
    const g4_json v = check(" {\"a\" : [1 , \"x]\\\"}\", {\"b\":null}] ,\"\\u0061b\":true, \"a\":-0.5e3,\"\":\"\" }\n");
    is_int(g4_json_type(v), G4_JSON_OBJECT, "type");
    is_int((long long)g4_json_count(v), 4, "members");
    is_int(g4_json_type(g4_json_get(v, "a")), G4_JSON_NUMBER, "the last of a repeated member counts");
    is_int(g4_json_type(g4_json_get(v, "ab")), G4_JSON_BOOL, "an escaped name is found decoded");
    ok(g4_json_is(g4_json_get(v, ""), ""), "an empty name and an empty string");
    is_int(g4_json_type(g4_json_get(v, "zz")), G4_JSON_NONE, "absent");
    g4_json_it it = g4_json_iter(v);
    ok(g4_json_next(&it), "first member");
    is_mem(it.key.p, it.key.n, "\"a\"", 3, "its name");
    is_mem(it.value.p, it.value.n, "[1 , \"x]\\\"}\", {\"b\":null}]", 25, "its value");
    ok(it.begin == it.key.p && it.end == it.value.p + it.value.n, "its bracket");
    is_int((long long)g4_json_count(it.value), 3, "elements");
    char *s = g4_json_dup(g4_json_at(it.value, 1));
    is_str(s, "x]\"}", "a string with brackets and quotes");
    free(s);
    is_int(g4_json_type(g4_json_path(g4_json_at(it.value, 2), "b", "c")), G4_JSON_NONE, "a path through null");
    is_int(g4_json_type(g4_json_get(g4_json_at(it.value, 2), "b")), G4_JSON_NULL, "null");
    ok(!g4_json_at(it.value, 3).p, "behind the last element");
    ok(!g4_json_get((g4_json){0}, "a").p && !g4_json_count((g4_json){0}), "nothing of nothing");
    const g4_json empty = check("[ ]");
    is_int((long long)g4_json_count(empty), 0, "an empty array");
    s = g4_json_dup(check("\"\\u00e9\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\\\\\\"\\u0000z\""));
    is_str(s, "\xc3\xa9\xf0\x9f\x98\x80/\b\f\n\r\t\\\"", "escapes (up to the NUL)");
    free(s);
}

static void int_is(const char *z, bool good, long long want)
{
    int64_t i = 77;
    const bool got = g4_json_i64((g4_json){ z, strlen(z) }, &i);
    ok(got == good && (!good || i == want), "integer %s: %s %lld", z, got ? "gives" : "is none", (long long)i);
}

static void test_numbers(void)
{
    int_is("0", true, 0);
    int_is("-0", true, 0);
    int_is("-0.000e5", true, 0);
    int_is("9223372036854775807", true, INT64_MAX);
    int_is("-9223372036854775808", true, INT64_MIN);
    int_is("9223372036854775808", false, 0);
    int_is("-9223372036854775809", false, 0);
    int_is("18446744073709551616", false, 0);
    int_is("1.0", true, 1);
    int_is("1e3", true, 1000);
    int_is("1E+3", true, 1000);
    int_is("1200e-2", true, 12);
    int_is("1.25e2", true, 125);
    int_is("9007199254740993.0", true, 9007199254740993);
    int_is("1.5", false, 0);
    int_is("0.99999999999999999999", false, 0);
    int_is("1e-1", false, 0);
    int_is("1e19", false, 0);
    int_is("0e999999999999999999999", true, 0);
    int_is("1e999999999999999999999", false, 0);
    int_is("1e-999999999999999999999", false, 0);
    int_is("\"1\"", false, 0);
    double d;
    ok(g4_json_f64(check("1.7976931348623157e308"), &d) && d == 1.7976931348623157e308, "the largest double");
    ok(!g4_json_f64(check("1e999"), &d), "1e999 is no double");
    ok(g4_json_f64(check("0.00000000000000000000000000000000000000000000000000000000000000000001"), &d) && d == 1e-68, "a long spelling");
    ok(!g4_json_f64(check("\"1\""), &d), "a string is no number");
}

static void test_write(void)
{
    g4_str s = {0};
    g4_json_put_str(&s, "a\"\\\n\t\x01\x7f\xc3\xa9\xff\xe2\x82/", 13);
    is_str(s.p, "\"a\\\"\\\\\\n\\t\\u0001\\u007f\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd/\"", "a string written");
    static const float f[] = { 0, -0.0f, 0.1f, 1, 16777216, 3.4028235e38f, 1e-45f, 0.3333333433f, -123.456f };
    static const char *const want[] = { "0", "-0", "0.1", "1", "16777216", "3.4028235e+38", "1.4013e-45", "0.33333334", "-123.456" };
    for (size_t i = 0; i < sizeof f / sizeof *f; i++) {
        g4_str_clear(&s);
        g4_json_put_f32(&s, f[i]);
        is_str(s.p, want[i], "a float");
        check(s.p);
        ok(strtof(s.p, NULL) == f[i], "%s reads back", s.p);
    }
    g4_str_clear(&s);
    g4_json_put_f64(&s, 0.1);
    g4_str_addc(&s, ' ');
    g4_json_put_f64(&s, 1 / 3.0);
    g4_str_addc(&s, ' ');
    g4_json_put_f64(&s, INFINITY);
    is_str(s.p, "0.1 0.3333333333333333 null", "doubles");
    g4_str_clear(&s);
    g4_json_put_compact(&s, check("{ \"a b\" : [ 1.50 , 12345678901234567890 , \" \\\" x \" ] , \"c\" : { } }"));
    is_str(s.p, "{\"a b\":[1.50,12345678901234567890,\" \\\" x \"],\"c\":{}}", "compact, spellings kept");
    g4_str_free(&s);
}

static uint32_t rnd(uint32_t n)
{
    static uint64_t s = 42;
    s = s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s >> 33) % n;
}

static void random_string(g4_str *out)
{
    static const char *const part[] = { "a", "\\\\", "\\\"", "[", "]", "{", "}", "\\u005b", "\xe2\x82\xac", ",", ":", " ", "\\n", "xyzxyzxyz" };
    g4_str_addc(out, '"');
    for (uint32_t n = rnd(30); n; n--) g4_str_adds(out, part[rnd(14)]);
    g4_str_addc(out, '"');
}

static void random_value(g4_str *out, int depth)
{
    const uint32_t kind = rnd(depth > 4 ? 2 : 5);
    if (kind == 0) g4_str_addf(out, "%d", (int)rnd(100000) - 50000);
    else if (kind == 1) random_string(out);
    else {
        const bool object = kind == 2;
        g4_str_addc(out, object ? '{' : '[');
        for (uint32_t i = 0, n = rnd(5); i < n; i++) {
            g4_str_adds(out, i ? rnd(2) ? " , " : "," : "");
            if (object) {
                random_string(out);
                g4_str_addc(out, ':');
            }
            random_value(out, depth + 1);
        }
        g4_str_addc(out, object ? '}' : ']');
    }
}

/* The walk's own account of a value: spans joined again. */
static void rebuild(g4_json v, g4_str *out)
{
    const enum g4_json_type t = g4_json_type(v);
    if (t != G4_JSON_ARRAY && t != G4_JSON_OBJECT) {
        g4_str_add(out, v.p, v.n);
        return;
    }
    g4_str_addc(out, t == G4_JSON_OBJECT ? '{' : '[');
    bool more = false;
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it); more = true) {
        if (more) g4_str_addc(out, ',');
        g4_str_add(out, it.key.p, it.key.n);
        if (it.key.p) g4_str_addc(out, ':');
        rebuild(it.value, out);
    }
    g4_str_addc(out, t == G4_JSON_OBJECT ? '}' : ']');
}

static void test_random(void)
{
    g4_str text = {0}, a = {0}, b = {0};
    int bad = 0, accepted = 0;
    for (int i = 0; i < 3000; i++) {
        g4_str_clear(&text);
        g4_str_clear(&a);
        g4_str_clear(&b);
        random_value(&text, 0);
        g4_json v;
        char *exact = g4_dup(text.p, text.n);
        if (g4_json_check(exact, text.n, &v, NULL)) {
            bad++;
        } else {
            rebuild(v, &a);
            g4_json_put_compact(&b, v);
            bad += a.n != b.n || memcmp(a.p, b.p, a.n);
        }
        for (int k = 0; k < 5; k++) { /* broken anywhere: refused or accepted, and then walked */
            exact[rnd((uint32_t)text.n)] = (char)rnd(256);
            if (g4_json_check(exact, text.n, &v, NULL)) continue;
            accepted++;
            g4_str_clear(&a);
            rebuild(v, &a);
        }
        free(exact);
    }
    is_int(bad, 0, "3000 random documents: walked wrongly");
    ok(accepted > 100, "%d of 15000 broken ones are JSON still and were walked", accepted);
    g4_str_free(&text);
    g4_str_free(&a);
    g4_str_free(&b);
}

/* A large vocabulary is checked and walked in time that grows with its size only. */
static void test_speed(void)
{
    g4_str s = {0};
    g4_str_adds(&s, "{\"model\":{\"vocab\":{");
    for (int i = 0; i < 262144; i++) g4_str_addf(&s, "%s\n      \"piece%d\": %d", i ? "," : "", i, i);
    g4_str_adds(&s, "},\"merges\":[");
    for (int i = 0; i < 262144; i++) g4_str_addf(&s, "%s\n      [\n        \"left%d\",\n        \"right\"\n      ]", i ? "," : "", i);
    g4_str_adds(&s, "]}}");
    g4_json v;
    const clock_t t0 = clock();
    ok(!g4_json_check(s.p, s.n, &v, NULL), "a vocabulary of %zu bytes", s.n);
    const clock_t t1 = clock();
    is_int((long long)g4_json_count(g4_json_path(v, "model", "vocab")), 262144, "its pieces");
    is_int((long long)g4_json_count(g4_json_path(v, "model", "merges")), 262144, "its merges");
    const double check_ms = 1e3 * (double)(t1 - t0) / CLOCKS_PER_SEC, walk_ms = 1e3 * (double)(clock() - t1) / CLOCKS_PER_SEC;
    ok(check_ms < 2000 && walk_ms < 2000, "check %.1f ms, two walks %.1f ms (a bound for the slowest build)", check_ms, walk_ms);
    g4_str_free(&s);
}

int main(void)
{
    test_refusals();
    test_depth();
    test_unique();
    test_walk();
    test_numbers();
    test_write();
    test_random();
    test_speed();
    return done_testing();
}
