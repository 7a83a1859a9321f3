/* call/mcp against scripted servers: both eras of the protocol and the ways between
 * them, pages, changes, calls and their results, cancelling, bad JSON, early death. */
#include "call/mcp.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../tap.h"
#include "base/file.h"

static char dir[] = "/tmp/g4-mcp-XXXXXX";
static char script[100], seen[100];

/* What all scripts begin with: say TEXT, the id of the request in $id, every line
 * that came in the file `seen`. */
static const char prologue[] =
    "#!/bin/sh\n"
    "say() { printf '%s\\n' \"{\\\"jsonrpc\\\":\\\"2.0\\\",$1}\"; }\n"
    "answer() { say \"\\\"id\\\":$id,\\\"result\\\":$1\"; }\n"
    "refuse() { say \"\\\"id\\\":$id,\\\"error\\\":$1\"; }\n"
    "tool() { printf '{\"name\":\"%s\",\"description\":\"d\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"q\":{\"type\":\"string\"}}}}' \"$1\"; }\n"
    "next() { IFS= read -r line || exit 0; printf '%s\\n' \"$line\" >>SEEN; id=${line#*'\"id\":'}; id=${id%%,*}; }\n"
    "hello() { next; refuse '{\"code\":-32601,\"message\":\"method not found\"}'; next;\n"
    "    answer \"{\\\"protocolVersion\\\":\\\"$1\\\",\\\"capabilities\\\":{\\\"tools\\\":{\\\"listChanged\\\":true}},\\\"serverInfo\\\":{\\\"name\\\":\\\"s\\\"}}\"; next; next; }\n"
    "modern() { next; answer '{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{\"listChanged\":true}}}'; next; listen=$id; next; }\n";

static g4_mcp *start(const char *body, double start_max)
{
    g4_str s = {0};
    g4_err err = {0};
    for (const char *p = prologue; *p; p++) {
        if (strncmp(p, "SEEN", 4)) {
            g4_str_addc(&s, *p);
            continue;
        }
        g4_str_adds(&s, seen);
        p += 3;
    }
    g4_str_adds(&s, body);
    unlink(seen);
    if (g4_file_write_atomic(script, s.p, s.n, &err)) printf("# %s\n", err.msg);
    g4_str_free(&s);
    static const char *argv[] = { "sh", script, NULL };
    g4_mcp *m = g4_mcp_start(&(struct g4_mcp_params){ .name = "test", .argv = argv, .start_max = start_max }, &err);
    if (!m) printf("# %s\n", err.msg);
    return m;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void pump(g4_mcp *m)
{
    struct pollfd fds[G4_PROC_FDS];
    const int ms = g4_mcp_wait_ms(m);
    poll(fds, g4_mcp_poll(m, fds), ms < 0 || ms > 100 ? 100 : ms);
    g4_mcp_step(m);
}

static enum g4_mcp_state settle(g4_mcp *m, const char **why)
{
    const double until = seconds() + 15;
    g4_mcp_step(m);
    while (g4_mcp_state(m, why) == G4_MCP_STARTING && seconds() < until) pump(m);
    return g4_mcp_state(m, why);
}

static void names(g4_mcp *m, const char *want, const char *what)
{
    unsigned version;
    g4_str s = {0};
    const g4_json list = g4_mcp_declarations(m, &version);
    g4_str_adds(&s, "");
    for (g4_json_it it = g4_json_iter(list); list.n && g4_json_next(&it);) {
        if (s.n) g4_str_addc(&s, ' ');
        g4_json_str(g4_json_path(it.value, "function", "name"), &s);
    }
    is_str(s.p ? s.p : "", want, what);
    g4_str_free(&s);
}

static void saw(const char *text, bool yes, const char *what)
{
    g4_str s = {0};
    g4_file_read(seen, 1 << 24, &s, NULL);
    if (!ok((s.p && strstr(s.p, text)) == yes, "%s", what)) printf("# %s\n", s.p ? s.p : "nothing");
    g4_str_free(&s);
}

static void result(g4_mcp *m, const char *want, bool fails)
{
    bool failed = false;
    g4_str s = {0};
    const double until = seconds() + 10;
    const uint64_t id = g4_mcp_call(m, "x", G4_SV("{\"q\":\"a\"}"));
    while (!g4_mcp_result(m, id, &s, &failed) && seconds() < until) pump(m);
    is_str(s.p ? s.p : "", want, fails ? "a failed result" : "a result");
    ok(failed == fails, "... %s", fails ? "is an error" : "is none");
    g4_str_free(&s);
}

static const char *why;

/* ---- handshakes ---------------------------------------------------------- */

static void legacy_pages(void)
{
    g4_mcp *m = start("hello 2025-06-18\n"
                      "answer \"{\\\"tools\\\":[$(tool a),$(tool b)],\\\"nextCursor\\\":\\\"p \\\\\\\"2\\\"}\"; next\n"
                      "answer \"{\\\"tools\\\":[],\\\"nextCursor\\\":\\\"p3\\\"}\"; next\n"
                      "answer \"{\\\"tools\\\":[$(tool c)]}\"; next; say '\"method\":\"notifications/tools/list_changed\"'; next\n"
                      "answer \"{\\\"tools\\\":[$(tool c),$(tool d)]}\"; next\n", 10);
    unsigned before, after;
    is_int(settle(m, &why), G4_MCP_READY, "an older server");
    is_str(g4_mcp_protocol(m), "2025-06-18", "its protocol");
    names(m, "a b c", "three pages");
    saw("\"cursor\":\"p \\\"2\"", true, "the cursor goes back as it came");
    saw("\"protocolVersion\":\"2025-11-25\"", true, "the newest of its era is asked for");
    saw("notifications/initialized", true, "initialized is told");
    g4_mcp_declarations(m, &before);
    g4_mcp_call(m, "x", G4_SV("{}"));
    for (int i = 0; i < 100 && (g4_mcp_declarations(m, &after), after == before); i++) pump(m);
    names(m, "c d", "list_changed");
    g4_mcp_free(m);
}

static void modern(void)
{
    g4_mcp *m = start("modern; answer \"{\\\"resultType\\\":\\\"complete\\\",\\\"tools\\\":[$(tool a)],\\\"ttlMs\\\":5}\"; next\n"
                      "answer '{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}'; next\n"
                      "answer '{\"resultType\":\"input_required\",\"inputRequests\":{}}'\n"
                      "say \"\\\"method\\\":\\\"notifications/tools/list_changed\\\",\\\"params\\\":{\\\"_meta\\\":{\\\"io.modelcontextprotocol/subscriptionId\\\":$listen}}\"\n"
                      "next; answer \"{\\\"tools\\\":[$(tool z)]}\"; next\n", 10);
    unsigned before, after;
    is_int(settle(m, &why), G4_MCP_READY, "a server of today");
    is_str(g4_mcp_protocol(m), "2026-07-28", "its protocol");
    names(m, "a", "its tools");
    saw("\"method\":\"initialize\"", false, "no handshake");
    saw("\"method\":\"tools/list\",\"params\":{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"", true, "requests carry the version");
    saw("subscriptions/listen", true, "changes are asked for");
    result(m, "hi", false);
    g4_mcp_declarations(m, &before);
    result(m, "the server wants input that nobody here can give", true);
    for (int i = 0; i < 100 && (g4_mcp_declarations(m, &after), after == before); i++) pump(m);
    names(m, "z", "list_changed");
    g4_mcp_free(m);
}

static void between_eras(void)
{
    static const struct {
        const char *name, *body, *protocol, *why;
        double start_max;
    } all[] = {
        { "one that dies of the probe", "next; case $line in *discover*) exit 3;; esac\n"
          "answer '{\"protocolVersion\":\"2024-11-05\",\"capabilities\":{\"tools\":{}}}'; next; next; answer '{\"tools\":[]}'; next", "2024-11-05", NULL, 10 },
        { "one that is silent at the probe", "next; next; answer '{\"protocolVersion\":\"2025-03-26\",\"capabilities\":{\"tools\":{}}}'; next; next; answer '{\"tools\":[]}'; next",
          "2025-03-26", NULL, 10 },
        { "one that offers an older revision", "next; refuse '{\"code\":-32022,\"message\":\"no\",\"data\":{\"supported\":[\"2025-11-25\"]}}'; next\n"
          "answer '{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}}}'; next; next; answer '{\"tools\":[]}'; next", "2025-11-25", NULL, 10 },
        { "one of tomorrow", "next; refuse '{\"code\":-32022,\"message\":\"no\",\"data\":{\"supported\":[\"2031-01-01\"]}}'; next", NULL, "[\"2031-01-01\"]", 10 },
        { "an unknown revision", "hello 1999-01-01", NULL, "1999-01-01", 10 },
        { "one that refuses", "next; refuse '{}'; next; refuse '{\"code\":1,\"message\":\"no entry\"}'; next", NULL, "no entry", 10 },
        { "one that dies at once", "echo 'no licence' >&2; exit 4", NULL, "ended with status 4: no licence", 10 },
        { "one that says nothing", "sleep 30", NULL, "did not list its tools within 0.5 s", 0.5 },
        { "pages without end", "hello 2025-11-25; while :; do answer '{\"tools\":[],\"nextCursor\":\"again\"}'; next; done", NULL, "without end", 10 },
        { "a list that fails", "hello 2025-11-25; refuse '{\"code\":-32000,\"message\":\"out of order\"}'; next", NULL, "out of order", 10 },
        { "a list that is none", "hello 2025-11-25; answer '{\"tools\":5}'; next", NULL, "does not list its tools", 10 },
        { "a greeting on stdout", "echo 'Server ready!'; echo '{\"half\":'; hello 2025-11-25; printf '[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"},{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"tools\":[]}}]\\r\\n' $id; next",
          "2025-11-25", NULL, 10 },
        { "no tools", "next; answer '{\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{}}'; next", "2026-07-28", NULL, 10 },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        g4_mcp *m = start(all[i].body, all[i].start_max);
        const enum g4_mcp_state state = settle(m, &why);
        if (all[i].protocol) {
            ok(state == G4_MCP_READY && strcmp(g4_mcp_protocol(m), all[i].protocol) == 0, "%s: %s %s", all[i].name, g4_mcp_protocol(m), why ? why : "");
        } else {
            ok(state == G4_MCP_DEAD && why && strstr(why, all[i].why), "%s: %s", all[i].name, why ? why : "alive");
        }
        g4_mcp_free(m);
    }
}

/* ---- calls --------------------------------------------------------------- */

static void calls(void)
{
    g4_mcp *m = start("hello 2025-11-25; answer \"{\\\"tools\\\":[$(tool x)]}\"; next\n"
                      "answer '{\"content\":[{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"image\",\"data\":\"AAAA\",\"mimeType\":\"image/png\"},{\"type\":\"resource\",\"resource\":{\"uri\":\"f:///a\",\"text\":\"in it\"}},{\"type\":\"resource_link\",\"uri\":\"f:///b\"}]}'; next\n"
                      "answer '{\"structuredContent\":{\"n\": 9007199254740993},\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}'; next\n"
                      "answer '{\"isError\":true,\"structuredContent\":{},\"content\":[{\"type\":\"text\",\"text\":\"bad luck\"}]}'; next\n"
                      "refuse '{\"code\":-32602,\"message\":\"what?\"}'; next\n"
                      "answer '{}'; next\n"
                      "say '\"id\":\"s1\",\"method\":\"ping\"'; say '\"id\":7,\"method\":\"roots/list\"'; next; next\n"
                      "id=13; answer '{\"content\":[{\"type\":\"text\",\"text\":\"late\"}]}'; next; exit 5\n", 10);
    is_int(settle(m, &why), G4_MCP_READY, "a server for calls");
    result(m, "one\n[image image/png]\nin it\n[resource_link f:///b]", false);
    result(m, "{\"n\":9007199254740993}", false);
    result(m, "bad luck", true);
    result(m, "what?", true);
    result(m, "", false);
    saw("\"method\":\"tools/call\",\"params\":{\"name\":\"x\",\"arguments\":{\"q\":\"a\"}}", true, "what is sent");
    const uint64_t id = g4_mcp_call(m, "x", G4_SV("{}"));
    for (int i = 0; i < 5; i++) pump(m);
    g4_mcp_cancel(m, id, "time limit");
    for (int i = 0; i < 20; i++) pump(m);
    saw("\"id\":\"s1\",\"result\":{}", true, "a ping is answered");
    saw("\"id\":7,\"error\":{\"code\":-32601", true, "other requests are refused");
    saw("\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":", true, "cancelling is told");
    bool failed;
    g4_str s = {0};
    ok(!g4_mcp_result(m, id, &s, &failed), "a cancelled call has no result");
    result(m, "the MCP server 'test' refuses to initialise: method not found", true); /* it had died, and is another one now */
    g4_mcp_free(m);
}

/* A server that dies of every call whose record says so: started again by the next one,
 * until it has died three times without an answer. */
static void deaths(const char *name, const char *hello)
{
    g4_str body = {0};
    g4_str_addf(&body, "while next; do case $line in\n"
                       "*server/discover*) %s;;\n"
                       "*initialize\\\"*) answer '{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}}}';;\n"
                       "*tools/list*) answer \"{\\\"tools\\\":[$(tool x)]}\";;\n"
                       "*tools/call*) [ ! -e SICK ] || { echo ill >&2; exit 5; }; answer '{\"content\":[{\"type\":\"text\",\"text\":\"well\"}]}';;\n"
                       "esac; done\n", hello);
    char sick[120];
    snprintf(sick, sizeof sick, "%s/sick", dir);
    for (char *at; (at = strstr(body.p, "SICK"));) { /* the file that makes it ill */
        g4_str s = {0};
        g4_str_addf(&s, "%.*s%s%s", (int)(at - body.p), body.p, sick, at + 4);
        g4_str_free(&body);
        body = s;
    }
    g4_mcp *m = start(body.p, 10);
    printf("# %s\n", name);
    is_int(settle(m, &why), G4_MCP_READY, "a server that will be ill");
    result(m, "well", false);
    for (int round = 0; round < 2; round++) {
        close(creat(sick, 0600));
        result(m, "the MCP server 'test' ended with status 5: ill", true);
        result(m, "the MCP server 'test' ended with status 5: ill", true);
        unlink(sick);
        result(m, "well", false);
    }
    close(creat(sick, 0600));
    for (int i = 0; i < 3; i++) result(m, "the MCP server 'test' ended with status 5: ill", true);
    unlink(sick);
    result(m, "the MCP server 'test' ended with status 5: ill", true);
    g4_mcp_free(m);
    g4_str_free(&body);
}

static void large(void)
{
    g4_mcp *m = start("hello 2025-11-25; answer \"{\\\"tools\\\":[$(tool x)]}\"; next\n"
                      "big=$(head -c 3000000 /dev/zero | tr '\\0' z); answer \"{\\\"content\\\":[{\\\"type\\\":\\\"text\\\",\\\"text\\\":\\\"$big\\\"}]}\"; next", 10);
    bool failed = true;
    g4_str s = {0};
    is_int(settle(m, &why), G4_MCP_READY, "a server with a lot to say");
    const uint64_t id = g4_mcp_call(m, "x", G4_SV("{}"));
    for (int i = 0; i < 1000 && !g4_mcp_result(m, id, &s, &failed); i++) pump(m);
    ok(s.n == 3000000 && !failed, "a result of 3 MB: %zu bytes", s.n);
    g4_str_free(&s);
    g4_mcp_free(m);
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    snprintf(script, sizeof script, "%s/server", dir);
    snprintf(seen, sizeof seen, "%s/seen", dir);
    legacy_pages();
    modern();
    between_eras();
    calls();
    deaths("of today", "answer '{\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{\"listChanged\":true}}}'");
    deaths("of yesterday", "refuse '{\"code\":-32601,\"message\":\"method not found\"}'");
    large();
    int status;
    is_int(waitpid(-1, &status, WNOHANG), -1, "no child is left");
    unlink(script);
    unlink(seen);
    rmdir(dir);
    return done_testing();
}
