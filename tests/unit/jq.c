/* The user's jq programs: results, several and none, variables, and errors that
 * stay one short line. */
#include "base/jq.h"

#include "base/str.h"
#include "../tap.h"

static int collect(void *arg, const char *json, size_t n, const g4_sv *raw)
{
    g4_str *out = arg;
    g4_str_add(out, json, n);
    if (raw) g4_str_addf(out, "=%.*s", (int)raw->n, raw->p);
    g4_str_addc(out, ';');
    return 0;
}

static int first_only(void *arg, const char *json, size_t n, const g4_sv *raw)
{
    g4_str_add(arg, json, n);
    return 1;
}

static g4_json text(const char *z)
{
    return (g4_json){ z, strlen(z) };
}

static void gives(const char *program, const char *vars, const char *in, const char *want)
{
    g4_err err = {0};
    g4_str out = {0};
    g4_jq *q = g4_jq_new(program, vars ? text(vars) : (g4_json){0}, &err);
    if (ok(q != NULL, "%s compiles (%s)", program, err.msg)) {
        is_int(g4_jq_run(q, text(in), collect, &out, &err), 0, err.code ? err.msg : "and runs");
        is_str(out.n ? out.p : "", want, program);
    }
    g4_jq_free(q);
    g4_str_free(&out);
}

static void fails(const char *program, const char *in, int code, const char *part)
{
    g4_err err = {0};
    g4_str out = {0};
    g4_jq *q = g4_jq_new(program, (g4_json){0}, &err);
    const int rc = q ? g4_jq_run(q, text(in), collect, &out, &err) : err.code;
    is_int(rc, code, program);
    ok(strstr(err.msg, part) && !strchr(err.msg, '\n') && strlen(err.msg) < 480, "says: %s", err.msg);
    g4_jq_free(q);
    g4_str_free(&out);
}

static void test_again(void)
{
    g4_err err = {0};
    g4_str out = {0};
    g4_jq *q = g4_jq_new(".[]", (g4_json){0}, &err);
    g4_jq_run(q, text("[1,2,3]"), first_only, &out, &err);
    is_str(out.p, "1", "emit stops a run");
    g4_jq_run(q, text("[4]"), collect, &out, &err);
    is_str(out.p, "14;", "and the program runs again");
    is_int(g4_jq_run(q, text("7"), collect, &out, &err), G4_EINPUT, "an error in one run");
    g4_str_clear(&out);
    err = (g4_err){0};
    is_int(g4_jq_run(q, text("[5,6]"), collect, &out, &err), 0, "does not spoil the next");
    is_str(out.p, "5;6;", "which gives its own results");
    g4_jq_free(q);
    g4_str_free(&out);
}

static void test_long_message(void)
{
    g4_str in = {0};
    g4_str_adds(&in, "{\"a\":\"");
    for (int i = 0; i < 5000; i++) g4_str_adds(&in, "\xC3\xA9\\n");
    g4_str_adds(&in, "\"}");
    fails(".a | error", in.p, G4_EINPUT, "jq: \xC3\xA9");
    g4_str_clear(&in);
    for (int i = 0; i < 300; i++) g4_str_addc(&in, '[');
    for (int i = 0; i < 300; i++) g4_str_addc(&in, ']');
    fails(".", in.p, G4_EINPUT, "jq cannot read the input: Exceeds depth limit for parsing at line 1, column");
    g4_str_free(&in);
}

int main(void)
{
    gives(".", NULL, "{\"b\":1,\"a\":[1, 2.50, \"x\"]}", "{\"b\":1,\"a\":[1,2.5,\"x\"]};");
    gives(".[]", NULL, "[1,\"a\\n\",null]", "1;\"a\\n\"=a\n;null;");
    gives("empty", NULL, "1", "");
    gives("select(.n > 1) | .t", NULL, "{\"n\":2,\"t\":\"yes\"}", "\"yes\"=yes;");
    gives("$who + \" \" + (.n|tostring)", "{\"who\":\"me\"}", "{\"n\":1}", "\"me 1\"=me 1;");
    gives("$ARGS.named.k", "{\"k\":[1]}", "0", "[1];");
    gives("halt, 1", NULL, "0", "");
    fails("{", "0", G4_EUSAGE, "syntax error");
    fails("$nobody", "0", G4_EUSAGE, "nobody");
    fails("import \"m\" as m; .", "0", G4_EUSAGE, "jq program");
    fails(".a", "[1]", G4_EINPUT, "Cannot index array");
    fails("error({a: 1})", "0", G4_EINPUT, "{\"a\":1}");
    fails("input", "0", G4_EINPUT, "only input");
    fails("\"over\" | halt_error", "0", G4_EINPUT, "over");
    fails(".", "{\"a\":", G4_EINPUT, "jq cannot read the input");
    g4_err err = {0};
    ok(!g4_jq_new(".", text("[1]"), &err) && err.code == G4_EUSAGE, "variables that are no object are refused");
    test_again();
    test_long_message();
    return done_testing();
}
