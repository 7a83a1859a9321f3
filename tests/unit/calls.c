/* call/turn, call/tape, call/loop, call/tools and call/tty: the parts of g4-call that
 * need no program to run, and the question at a (pseudo) terminal. */
#define _GNU_SOURCE /* posix_openpt */
#include "call/loop.h"
#include "call/tape.h"
#include "call/tools.h"
#include "call/tty.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "../tap.h"
#include "base/file.h"

/* ---- turns --------------------------------------------------------------- */

static const char user[] = "{\"role\":\"user\",\"content\":\"q\"}";

/* The open calls of a record as "ID NAME ARGUMENTS[!]; ...". */
static void turn(const char *record, const char *want, uint32_t before)
{
    g4_turn t = {0};
    g4_json root;
    g4_str s = {0};
    g4_json_check(record, strlen(record), &root, NULL);
    g4_turn_read(&t, root);
    g4_str_adds(&s, "");
    for (size_t i = 0; i < t.n; i++)
        g4_str_addf(&s, "%s%s %s %s%s", i ? "; " : "", t.call[i].id ? t.call[i].id : "-", t.call[i].name, t.call[i].arguments.p,
                    t.call[i].wrong ? "!" : "");
    is_str(s.p ? s.p : "", want, record);
    ok(!t.n || t.before == before, "... %u calls before", t.before);
    g4_str_free(&s);
    g4_turn_clear(&t);
}

static void turns(void)
{
    static const char call_a[] = "{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{ \\\"x\\\" : 1.0 }\"}}";
    static const char call_b[] = "{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":{}}}";
    char r[2000];
    turn("{}", "", 0);
    turn("{\"messages\":[]}", "", 0);
    turn("{\"messages\":5,\"tool_calls\":[{}]}", "", 0);
    snprintf(r, sizeof r, "{\"messages\":[%s,{\"role\":\"assistant\",\"tool_calls\":[%s,%s]}]}", user, call_a, call_b);
    turn(r, "a f {\"x\":1.0}; b g {}", 0);
    snprintf(r, sizeof r, "{\"messages\":[%s,{\"role\":\"assistant\",\"tool_calls\":[%s,%s]},{\"role\":\"tool\",\"tool_call_id\":\"a\"}]}", user, call_a, call_b);
    turn(r, "b g {}", 1);
    snprintf(r, sizeof r, "{\"messages\":[%s,{\"role\":\"assistant\",\"tool_calls\":[%s,%s]},{\"role\":\"tool\",\"content\":\"1\"}]}", user, call_a, call_b);
    turn(r, "b g {}", 1);
    snprintf(r, sizeof r, "{\"messages\":[%s,{\"role\":\"assistant\",\"tool_calls\":[%s]},%s]}", user, call_a, user);
    turn(r, "", 0);
    snprintf(r, sizeof r, "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[%s]},{\"role\":\"tool\",\"tool_call_id\":\"a\"},"
             "{\"role\":\"assistant\",\"tool_calls\":[%s]}]}", call_a, call_b);
    turn(r, "b g {}", 1);
    snprintf(r, sizeof r, "{\"error\":{},\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[%s]}]}", call_a);
    turn(r, "", 0);
    turn("{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"[1]\"}},{\"function\":{\"name\":\"f\",\"arguments\":\"{\"}},5,"
         "{\"function\":{\"name\":\"f\\u0000g\",\"arguments\":\"  \"}},{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1,\\\"\\\\u0061\\\":2}\"}}]}",
         "- f [1]!; - f {!; -  {}!; -  {}!; - f {\"a\":1,\"\\u0061\":2}!", 0);
}

/* ---- the loop ------------------------------------------------------------ */

static enum g4_loop_next take(struct g4_loop *l, const struct g4_loop_limits *limits, uint32_t tokens, const char *name)
{
    g4_turn t = {0};
    char record[200];
    g4_json root;
    snprintf(record, sizeof record, "{\"tool_calls\":[%s%s%s]}", name ? "{\"function\":{\"name\":\"" : "", name ? name : "", name ? "\"}}" : "");
    g4_json_check(record, strlen(record), &root, NULL);
    g4_turn_read(&t, root);
    const g4_result res = { .completion_tokens = tokens, .prompt_tokens = 100 };
    const enum g4_loop_next next = g4_loop_take(l, limits, &res, &t);
    g4_turn_clear(&t);
    return next;
}

static void loops(void)
{
    struct g4_loop l = {0};
    struct g4_loop_limits limits = { .steps = 4 };
    is_int(take(&l, &limits, 5, "f"), G4_LOOP_CALL, "a step with a call");
    is_int(take(&l, &limits, 5, NULL), G4_LOOP_ANSWER, "a step without");
    is_int((long long)l.tokens, 10, "tokens of both");
    is_int(g4_loop_room(&l, &limits), 0, "no budget, no limit");
    take(&l, &limits, 5, "f");
    is_int(take(&l, &limits, 5, "f"), G4_LOOP_SPENT, "the last step");
    l = (struct g4_loop){0};
    limits = (struct g4_loop_limits){ .tokens = 20 };
    is_int(take(&l, &limits, 15, "f"), G4_LOOP_CALL, "within the budget");
    is_int(g4_loop_room(&l, &limits), 5, "what is left of it");
    is_int(take(&l, &limits, 5, "f"), G4_LOOP_SPENT, "the budget");
    l = (struct g4_loop){0};
    limits = (struct g4_loop_limits){ .repeats = 3 };
    take(&l, &limits, 1, "f");
    is_int(take(&l, &limits, 1, "f"), G4_LOOP_CALL, "twice the same");
    is_int(take(&l, &limits, 1, "g"), G4_LOOP_CALL, "another");
    take(&l, &limits, 1, "f");
    take(&l, &limits, 1, "f");
    is_int(take(&l, &limits, 1, "f"), G4_LOOP_REPEATS, "three times in a row");
}

/* ---- recordings ---------------------------------------------------------- */

static char path[] = "/tmp/g4-calls-XXXXXX";

static void tapes(void)
{
    g4_err err = {0};
    g4_str got = {0};
    enum g4_outcome o;
    g4_tape *t = g4_tape_open(&(struct g4_tape_params){ .path = path, .write = true }, &err);
    const struct g4_taped a = { 3, 1, "f", G4_SV("{\"x\":9007199254740993}") }, b = { 3, 2, "f", G4_SV("{\"x\":9007199254740993}") };
    const struct g4_taped odd = { 4, 0, "g", G4_SV("no JSON \x01") }, c = { 9, 0, "f", G4_SV("{\"x\":9007199254740993}") };
    g4_tape_tools(t, G4_SV("[1]"), &err);
    g4_tape_begin(t, &a, &err);
    g4_tape_put(t, &a, G4_SV("one\n\"\xc3\xbc"), G4_CALL_DONE, &err);
    g4_tape_begin(t, &odd, &err);
    g4_tape_put(t, &b, G4_SV("two"), G4_CALL_FAILED, &err);
    ok(!err.code, "a recording: %s", err.msg);
    g4_tape_free(t);
    g4_str raw = {0};
    g4_file_read(path, 1 << 20, &raw, NULL);
    g4_str_adds(&raw, "{\"record\":7,\"cal"); /* torn */
    g4_file_write_atomic(path, raw.p, raw.n, NULL);
    g4_str_free(&raw);

    t = g4_tape_open(&(struct g4_tape_params){ .path = path, .read = true, .write = true, .append = true }, &err);
    if (!ok(t != NULL, "read again: %s", err.msg)) return;
    is_mem(g4_tape_declarations(t).p, g4_tape_declarations(t).n, "[1]", 3, "its declarations");
    ok(g4_tape_find(t, &b, true, &got, &o) && o == G4_CALL_FAILED, "the very call");
    is_str(got.p, "two", "... its content");
    g4_str_clear(&got);
    ok(!g4_tape_find(t, &c, true, &got, &o), "not an equal one when exact");
    ok(g4_tape_find(t, &c, false, &got, &o) && o == G4_CALL_DONE, "else one that was not used");
    is_str(got.p, "one\n\"\xc3\xbc", "... its content");
    g4_str_clear(&got);
    ok(g4_tape_find(t, &c, false, &got, &o), "all used: the last");
    is_str(got.p, "two", "... its content");
    g4_str_clear(&got);
    ok(!g4_tape_find(t, &odd, false, &got, &o), "one that has no result");
    g4_tape_put(t, &odd, G4_SV("late"), G4_CALL_INVALID, &err);
    g4_tape_free(t);
    t = g4_tape_open(&(struct g4_tape_params){ .path = path, .read = true }, &err);
    ok(t && g4_tape_find(t, &odd, true, &got, &o) && o == G4_CALL_INVALID, "a torn line was cut, the next stands: %s", err.msg);
    g4_str_free(&got);
    g4_tape_free(t);
}

/* ---- the question -------------------------------------------------------- */

static g4_str screen;

static void see(int master, const char *text, const char *what)
{
    struct pollfd p = { master, POLLIN, 0 };
    char buf[4096];
    g4_str_clear(&screen);
    g4_str_adds(&screen, "");
    while (poll(&p, 1, 200) > 0) {
        const ssize_t n = read(master, buf, sizeof buf);
        if (n <= 0) break;
        g4_str_add(&screen, buf, (size_t)n);
        if (strstr(screen.p, "tool: ")) break;
    }
    if (!ok(strstr(screen.p, text) != NULL, "%s", what)) printf("# %s\n", screen.p);
}

static enum g4_answer reply(g4_tty *t, int master, const char *text)
{
    struct pollfd p = { g4_tty_fd(t), POLLIN, 0 };
    if (write(master, text, strlen(text)) < 0) return G4_ANSWER_GONE;
    poll(&p, 1, 2000);
    return g4_tty_step(t);
}

static void questions(void)
{
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master)) {
        skip("a question", "no pseudo terminals");
        return;
    }
    g4_tty *t = g4_tty_open(ptsname(master));
    if (!ok(t != NULL, "a terminal")) return;
    g4_tty_put(t, "write_file", G4_SV("{\"path\":\"/a\",\"text\":\"\xe2\x80\xae\xf0\x9f\x99\x82\x7f\"}"));
    see(master, "write_file {\"path\":\"/a\",\"text\":\"\\u202e\\ud83d\\ude42\\u007f\"}", "the call in ASCII");
    is_int(g4_tty_step(t), G4_ANSWER_NONE, "no answer yet");
    is_int(reply(t, master, "what\n"), G4_ANSWER_NONE, "no answer that counts");
    see(master, "run it?", "the question again");
    is_int(reply(t, master, "y\n"), G4_ANSWER_YES, "yes");
    g4_tty_put(t, "write_file", G4_SV("{}"));
    is_int(reply(t, master, " No \n"), G4_ANSWER_NO, "no");
    g4_tty_put(t, "write_file", G4_SV("{}"));
    is_int(reply(t, master, "a\n"), G4_ANSWER_YES, "always");
    g4_tty_put(t, "write_file", G4_SV("{}"));
    is_int(g4_tty_step(t), G4_ANSWER_YES, "... is not asked again");
    g4_tty_put(t, "other", G4_SV("{}"));
    is_int(reply(t, master, "never\n"), G4_ANSWER_NO, "never");
    g4_tty_put(t, "other", G4_SV("{}"));
    is_int(g4_tty_step(t), G4_ANSWER_NO, "... is not asked again");
    g4_tty_put(t, "third", G4_SV("{}"));
    is_int(reply(t, master, "\x04"), G4_ANSWER_GONE, "the end of the terminal");
    g4_tty_free(t);
    close(master);
    ok(!g4_tty_open("/no/such/terminal"), "no terminal");
    g4_str_free(&screen);
}

int main(void)
{
    const int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    turns();
    loops();
    tapes();
    questions();
    unlink(path);
    return done_testing();
}
