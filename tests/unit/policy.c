/* call/policy and call/run: rules, their order and conditions; and fuzzed calls
 * against a policy, judged a second time by this program: no tool runs that should
 * not, and every one runs that should.  200 calls, 1,000 with G4_TEST_FULL. */
#define _GNU_SOURCE /* memmem */
#include "call/run.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tap.h"
#include "base/file.h"

static char dir[] = "/tmp/g4-policy-XXXXXX";

static const char *at(const char *name)
{
    static char path[4][200];
    static unsigned k;
    char *p = path[k++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static void put(const char *name, const char *text)
{
    if (g4_file_write_atomic(at(name), text, strlen(text), NULL)) printf("# cannot write %s\n", name);
}

static g4_policy *policy(const char *text, g4_err *err)
{
    put("policy", text);
    return g4_policy_read(at("policy"), err);
}

static void judge(g4_policy *p, const char *tool, const char *arguments, const char *want)
{
    g4_json v;
    g4_str why = {0};
    g4_json_check(arguments, strlen(arguments), &v, NULL);
    const enum g4_verdict got = g4_policy_judge(p, tool, v, &why);
    ok(strcmp(g4_verdict_name(got), want) == 0, "%s %s: %s (%s)", tool, arguments, want, why.p);
    g4_str_free(&why);
}

static void rules(void)
{
    g4_err err = {0};
    g4_policy *p = policy("# first come, first served\n\n  allow git_*\r\nask\twrite_file  .path | startswith(\"/tmp/\")\n"
                          "deny write_file\nallow many .paths[] | startswith(\"/a/\")\ndeny few .paths[] == \"/etc\"\nallow few\n"
                          "allow odd .a.b\nallow [ab]?", &err);
    ok(p != NULL, "a policy: %s", err.msg);
    if (!p) return;
    judge(p, "git_log", "{}", "allow");
    judge(p, "git", "{}", "deny");
    judge(p, "write_file", "{\"path\":\"/tmp/x\"}", "ask");
    judge(p, "write_file", "{\"path\":\"/etc/x\"}", "deny");
    judge(p, "write_file", "{}", "deny");
    judge(p, "write_file", "{\"path\":5}", "deny");
    judge(p, "many", "{\"paths\":[\"/a/1\",\"/a/2\"]}", "allow");
    judge(p, "many", "{\"paths\":[\"/a/1\",\"/b/2\"]}", "deny");
    judge(p, "many", "{\"paths\":[]}", "deny");
    judge(p, "few", "{\"paths\":[\"/usr\",\"/etc\"]}", "deny");
    judge(p, "few", "{\"paths\":[\"/usr\"]}", "allow");
    judge(p, "few", "{}", "deny");
    judge(p, "odd", "{\"a\":{\"b\":0}}", "allow");
    judge(p, "odd", "{\"a\":{\"b\":null}}", "deny");
    judge(p, "odd", "{\"a\":3}", "deny");
    judge(p, "a1", "{}", "allow");
    judge(p, "c1", "{}", "deny");
    judge(p, "GIT_log", "{}", "deny");
    judge(p, "write_file", "{\"path\":\"/tmp/\\u0000\"}", "deny");
    judge(p, "write_file", "{\"path\":\"/tmp/\\\\u0000\"}", "ask");
    judge(p, "git_log", "{\"path\":\"\\u0000\"}", "allow");
    g4_policy_free(p);

    static const char *const bad[][2] = {
        { "permit *", ":1: a rule begins with" }, { "allow", "of which tool" }, { "\n\ndeny x .a |", ":3:" }, { "allow x .b[", ":1:" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (g4_err){0};
        p = policy(bad[i][0], &err);
        ok(!p && err.code == G4_EUSAGE && strstr(err.msg, bad[i][1]), "'%s': %s", bad[i][0], err.msg);
        g4_policy_free(p);
    }
    err = (g4_err){0};
    ok(!g4_policy_read("/no/such/policy", &err) && err.code == G4_EUSAGE, "no file: %s", err.msg);
}

/* ---- fuzzed calls -------------------------------------------------------- */

static uint64_t state = 20261125;

static uint32_t draw(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

static const char fuzz_policy[] =
    "deny  *      [.. | strings] | any(test(\"secret\"))\n"
    "allow read   (.path | startswith(\"/data/\")) and (.path | contains(\"..\") | not)\n"
    "deny  read\n"
    "allow calc   .x < 10\n"
    "ask   write\n";

static const char *const tool_names[] = { "read", "calc", "write", "other" };

static void make_tools(void)
{
    if (mkdir(at("tools"), 0755)) return;
    for (size_t i = 0; i < 4; i++) {
        char name[64], text[400];
        const char *parameters = i == 0 ? "{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"}},\"required\":[\"path\"]}"
                               : i == 1 ? "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\"}},\"required\":[\"x\"]}"
                                        : "{\"type\":\"object\"}";
        snprintf(name, sizeof name, "tools/%s.json", tool_names[i]);
        snprintf(text, sizeof text, "{\"name\":\"%s\",\"parameters\":%s}", tool_names[i], parameters);
        put(name, text);
        snprintf(name, sizeof name, "tools/%s", tool_names[i]);
        snprintf(text, sizeof text, "#!/bin/sh\nread -r a\nprintf '%%s %%s\\n' \"$G4_TOOL\" \"$a\" >>%s\n", at("log"));
        put(name, text);
        chmod(at(name), 0755);
    }
}

static void fuzz_name(g4_str *s)
{
    static const char *const odd[] = { "*", "?", "", "read\n", " read", "read ", "READ", "re\xc3\xa4", "../read", "read.json", "[r]ead",
                                       "/bin/sh", "tools/read", "read;true", "calc\\", "writ", "reads", "r\x65" "ad" };
    if (draw(4)) g4_str_adds(s, tool_names[draw(4)]);
    else g4_str_adds(s, odd[draw(sizeof odd / sizeof *odd)]);
}

static void fuzz_path(g4_str *s)
{
    static const char *const parts[] = { "/data/", "/data/", "/data/", "..", "\\u002e\\u002e", "\\u002e.", "/etc/", "secret", "sec\\u0072et",
                                         "a", "b/c", "\\n", "\\u0000", "\xc3\xbc", "/", "\\/data\\/", "%2e%2e", "Secret", "\\\\..", "x y" };
    for (uint32_t n = 1 + draw(4); n; n--) g4_str_adds(s, parts[draw(sizeof parts / sizeof *parts)]);
}

static void fuzz_value(g4_str *s, int depth)
{
    static const char *const plain[] = { "null", "true", "0", "9", "9.99", "10", "-1", "1e1", "1e400", "-1e400", "9007199254740993", "9.9999999999999999",
                                         "0.1e2", "[]", "{}", "\"\"", "\"secret\"", "[\"no\",\"secrets\"]" };
    const uint32_t kind = draw(depth > 3 ? 2 : 5);
    if (kind < 2) {
        g4_str_adds(s, plain[draw(sizeof plain / sizeof *plain)]);
    } else if (kind == 2) {
        g4_str_addc(s, '"');
        fuzz_path(s);
        g4_str_addc(s, '"');
    } else if (kind == 3) {
        g4_str_addc(s, '[');
        fuzz_value(s, depth + 1);
        g4_str_addc(s, ']');
    } else {
        g4_str_adds(s, "{\"path\":");
        fuzz_value(s, depth + 1);
        g4_str_addc(s, '}');
    }
}

static void fuzz_arguments(g4_str *s)
{
    static const char *const keys[] = { "path", "path", "path", "x", "x", "\\u0070ath", "y", "secret" };
    if (!draw(30)) {
        fuzz_value(s, 0);
        return;
    }
    g4_str_addc(s, '{');
    const bool likely = draw(2);
    if (likely) {
        g4_str_adds(s, "\"path\":\"/data/");
        fuzz_path(s);
        g4_str_addf(s, "\",\"x\":%d", (int)draw(14));
    }
    for (uint32_t n = draw(likely ? 2 : 4), i = 0; i < n; i++) {
        if (s->p[s->n - 1] != '{') g4_str_addc(s, ',');
        g4_str_addf(s, "\"%s\":", keys[draw(sizeof keys / sizeof *keys)]);
        fuzz_value(s, 0);
    }
    g4_str_addc(s, '}');
    if (!draw(12) && s->n) s->p[draw((uint32_t)s->n)] = (char)(1 + draw(255)); /* a broken byte */
}

static bool holds(const g4_str *s, const char *what)
{
    return s->n && memmem(s->p, s->n, what, strlen(what));
}

static bool any_secret(g4_json v)
{
    g4_str s = {0};
    bool hit = false;
    g4_json_str(v, &s);
    if (g4_json_type(v) == G4_JSON_STRING) hit = holds(&s, "secret");
    g4_str_free(&s);
    if (g4_json_type(v) == G4_JSON_ARRAY || g4_json_type(v) == G4_JSON_OBJECT)
        for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);) hit |= any_secret(it.value);
    return hit;
}

/* What the policy means, said again without jq.  1 runs, 0 does not, -1: a double
 * cannot tell (the number lies within rounding of the border). */
static int should_run(const char *name, const g4_str *arguments)
{
    g4_json v;
    double x;
    if (g4_json_check_unique(arguments->p ? arguments->p : "", arguments->n, &v, NULL) || g4_json_type(v) != G4_JSON_OBJECT) return 0;
    if (any_secret(v) || memmem(arguments->p, arguments->n, "\\u0000", 6)) return 0;
    if (strcmp(name, "read") == 0) {
        g4_str path = {0};
        const g4_json p = g4_json_get(v, "path");
        if (g4_json_type(p) != G4_JSON_STRING) return 0;
        g4_json_str(p, &path);
        const int yes = path.n >= 6 && memcmp(path.p, "/data/", 6) == 0 && !holds(&path, "..");
        g4_str_free(&path);
        return yes;
    }
    if (strcmp(name, "calc")) return 0;
    const g4_json n = g4_json_get(v, "x");
    if (g4_json_type(n) != G4_JSON_NUMBER) return 0;
    if (!g4_json_f64(n, &x)) return -1;
    return x < 10 ? 1 : x == 10 && memchr(n.p, '.', n.n) ? -1 : 0;
}

static int wait_done(g4_run *r, struct g4_done *d)
{
    while (!g4_run_next(r, d)) {
        struct pollfd fds[16];
        if (g4_run_step(r, NULL)) return -1;
        if (g4_run_next(r, d)) return 0;
        poll(fds, g4_run_poll(r, fds), g4_run_wait_ms(r));
    }
    return 0;
}

static size_t log_bytes(void)
{
    g4_str s = {0};
    g4_file_read(at("log"), 1 << 24, &s, NULL);
    const size_t n = s.n;
    g4_str_free(&s);
    return n;
}

static void fuzz(void)
{
    char folder[200];
    snprintf(folder, sizeof folder, "%s/tools", dir);
    const char *paths[] = { folder };
    const struct g4_box_params bp = { .tools = paths, .n_tools = 1 };
    const int n_call = getenv("G4_TEST_FULL") ? 1000 : 200;
    g4_err err = {0};
    int ran = 0, wrongly = 0, missed = 0, open = 0;
    make_tools();
    put("log", "");
    g4_box *box = g4_box_open(&bp, &err);
    g4_policy *p = policy(fuzz_policy, &err);
    if (!ok(box && p, "tools and policy: %s", err.msg)) return;
    g4_run *r = g4_run_new(&(struct g4_run_params){ .box = box, .policy = p, .tty = "/no/terminal", .jobs = 1, .time_max = 20, .out_max = 1000 });
    for (int i = 0; i < n_call; i++) {
        g4_str name = {0}, arguments = {0};
        struct g4_done d;
        fuzz_name(&name);
        fuzz_arguments(&arguments);
        const size_t before = log_bytes();
        g4_run_add(r, &(struct g4_call){ .taped = { (uint64_t)i, 0, name.p ? name.p : "", { arguments.p ? arguments.p : "", arguments.n } } });
        if (wait_done(r, &d)) break;
        const bool did = log_bytes() != before;
        const int should = should_run(name.p ? name.p : "", &arguments);
        ran += did;
        open += should < 0;
        if (should >= 0 && did != (should == 1)) {
            wrongly += did;
            missed += !did;
            printf("# %s %s: %s (%s)\n", name.p, arguments.p, did ? "ran" : "did not run", d.why ? d.why : "");
        }
        if (did != (d.outcome == G4_CALL_DONE)) ok(false, "the outcome says whether it ran: %s", name.p);
        g4_str_free(&d.content);
        free(d.why);
        g4_str_free(&name);
        g4_str_free(&arguments);
    }
    is_int(wrongly, 0, "no call runs that should not");
    is_int(missed, 0, "every call runs that should");
    ok(ran > n_call / 40 && open < n_call / 20, "%d fuzzed calls, %d ran, %d lie on a border", n_call, ran, open);
    g4_run_free(r);
    g4_policy_free(p);
    g4_box_free(box);
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    rules();
    fuzz();
    char command[250];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command)) return 1;
    return done_testing();
}
