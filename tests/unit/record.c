/* record: members kept byte for byte, requests made of records, sources cut into
 * items, the journal after every kind of end. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "g4-tool.h"
#include "record/request.h"
#include "../tap.h"

static char dir[] = "/tmp/g4-record-XXXXXX";

static char *path(const char *name)
{
    static char p[4][256];
    static int i;
    char *s = p[i++ % 4];
    snprintf(s, 256, "%s/%s", dir, name);
    return s;
}

static void put_file(const char *name, const char *text, size_t n)
{
    g4_err err = {0};
    if (g4_file_write_atomic(path(name), text, n, &err)) ok(false, "%s", err.msg);
}

static g4_record record_of(const char *json)
{
    g4_record r = {0};
    g4_str_adds(&r.json, json);
    if (g4_json_check(r.json.p, r.json.n, &r.root, NULL)) ok(false, "bad JSON in the test: %s", json);
    return r;
}

static void clear(g4_record *r)
{
    g4_str_free(&r->json);
    g4_str_free(&r->request);
}

/* ---- compose ------------------------------------------------------------- */

static void composed(const char *in, const char *want_front, const char *what)
{
    g4_record r = record_of(in);
    g4_str out = {0};
    const g4_result res = { .text = "T", .text_len = 1, .messages = "[9]" };
    const struct g4_compose c = {0};
    r.has_chat = true;
    g4_compose_result(&c, &r, 0, &res, &out);
    const char *added = strstr(out.p, "\"text\":\"T\"");
    is_mem(out.p, (size_t)(added - out.p), want_front, strlen(want_front), what);
    ok(g4_json_check(out.p, out.n, NULL, NULL) == 0, "... and it is JSON");
    clear(&r);
    g4_str_free(&out);
}

static void test_compose(void)
{
    composed("{}", "{", "an empty record");
    composed(" { } ", "{", "blanks alone");
    composed("{\"a\" : 1e5,  \"b\":[ 1 , 2 ] }", "{\"a\" : 1e5,  \"b\":[ 1 , 2 ],", "blanks between members stay");
    composed("{\"text\":1,\"a\":1}", "{\"a\":1,", "the first member goes");
    composed("{\"a\":1 , \"seed\":1 , \"b\":2}", "{\"a\":1,\"b\":2,", "one between goes");
    composed("{\"a\":1,\"error\":0}", "{\"a\":1,", "the last one goes");
    composed("{\"text\":1,\"model\":2}", "{", "all go");
    composed("{\"messages\":[],\"data\":1}", "{\"data\":1,", "messages are replaced, data stays");
    composed("{\"data\":1,\"schema\":{}}", "{\"schema\":{},", "... but not where the answer was constrained");
    composed("{\"te\\u0078t\":1,\"a\":2}", "{\"a\":2,", "an escaped name is the same name");
    composed("{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2,", "a repeated name stays repeated");

    g4_record r = record_of("[1,2]");
    g4_str out = {0};
    const g4_err why = { G4_EINPUT, "no object" };
    g4_compose_error(&(struct g4_compose){0}, &r, 0, &why, &out);
    is_str(out.p, "{\"error\":{\"code\":\"input\",\"message\":\"no object\"}}", "the error of what is no object");
    clear(&r);
    g4_str_free(&out);
}

/* ---- requests ------------------------------------------------------------ */

static void asked(const char *in, bool prefill, const char *parts, const char *want, const char *what)
{
    g4_record r = record_of(in);
    g4_request_make(&r, prefill, (g4_sv){ parts, parts ? strlen(parts) : 0 });
    const g4_sv q = g4_record_request(&r);
    if (r.err.code) is_str(g4_error_name(r.err.code), want, what);
    else if (r.pass) is_str("pass", want, what);
    else is_mem(q.p, q.n, want, strlen(want), what);
    clear(&r);
}

static void test_requests(void)
{
    const char *answered = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}";
    asked("{\"prompt\":\"a\"}", false, NULL, "{\"prompt\":\"a\"}", "a record is its own request");
    asked("{\"prompt\":\"a\",\"error\":{}}", false, NULL, "pass", "an error passes");
    asked("{\"prompt\":\"a\",\"error\":null}", false, NULL, "{\"prompt\":\"a\",\"error\":null}", "a null error does not");
    asked(answered, false, NULL, "pass", "an answered conversation passes");
    asked(answered, true, NULL, answered, "... but not with --prefill");
    asked("{\"options\":{\"prefill\":false},\"messages\":[{\"role\":\"assistant\"}]}", true, NULL, "pass", "... unless the record says no");
    asked("{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}", false, NULL,
          "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}", "a turn with calls is no answer");
    asked("{\"custom_id\":1,\"body\":{\"messages\":[],\"stop\":\"x\",\"max_completion_tokens\":7,\"reasoning_effort\":\"low\",\"logprobs\":true}}",
          false, NULL, "{\"messages\":[],\"options\":{\"max_tokens\":7,\"stop\":[\"x\"],\"think\":true,\"logprobs\":0}}", "a batch line");
    asked("{\"custom_id\":1,\"body\":{\"messages\":[],\"n\":2}}", false, NULL, "input", "a batch line's n");
    asked("{\"prompt\":\"a\",\"k\":1}", false, "{\"p\":1}",
          "{\"k\":1,\"messages\":[{\"role\":\"user\",\"content\":[{\"p\":1},{\"type\":\"text\",\"text\":\"a\"}]}]}", "parts before a prompt");
    asked("{\"messages\":[{\"role\":\"user\",\"content\":[2]},{\"role\":\"tool\"}]}", false, "1",
          "{\"messages\":[{\"role\":\"user\",\"content\":[1,2]},{\"role\":\"tool\"}]}", "parts in the last user turn");
}

/* ---- sources ------------------------------------------------------------- */

static void test_source(void)
{
    enum { N = 3000 };
    g4_str text = {0};
    g4_err err = {0};
    for (int i = 0; i < N; i++) g4_str_addf(&text, "line %d%s\n", i, i % 100 ? "" : " \xc3\xa9");
    put_file("lines", text.p, text.n - 1); /* no newline at the end */
    g4_str_free(&text);
    const char *paths[] = { path("lines") };
    const struct g4_source_params p = { .kind = G4_SOURCE_LINES, .paths = paths, .n_path = 1, .ahead = 3 };
    g4_source *s = g4_source_new(&p, &err);
    int n = 0, wrong = 0, rc;
    for (struct g4_item item; (rc = g4_source_next(s, &item)) >= 0;) {
        if (!rc) continue;
        char want[32];
        snprintf(want, sizeof want, "line %d", n);
        wrong += item.line != (uint64_t)++n || strncmp(item.bytes, want, strlen(want)) || item.bytes[item.n];
        g4_item_clear(&item);
    }
    is_int(n, N, "every line, through a queue of three");
    is_int(wrong, 0, "... with its number and its bytes");
    g4_source_free(s);

    s = g4_source_new(&p, &err); /* ended while the reader waits for room */
    usleep(10000);
    g4_source_free(s);
    int fds[2];
    if (pipe(fds)) return;
    mkfifo(path("fifo"), 0600);
    paths[0] = path("fifo");
    s = g4_source_new(&p, &err); /* ended while it waits for a writer */
    usleep(10000);
    struct g4_item item;
    is_int(g4_source_next(s, &item), 0, "a FIFO without a writer gives nothing yet");
    g4_source_free(s);
    ok(true, "a reader that waits can be ended");
    close(fds[0]);
    close(fds[1]);

    const char *in[] = { "*.c", "lib/*" }, *out[] = { "*_x*" };
    const struct g4_source_params g = { .include = in, .n_include = 2, .exclude = out, .n_exclude = 1 };
    is_int(g4_source_wanted(&g, "a/b.c"), 1, "a glob on the last part");
    is_int(g4_source_wanted(&g, "lib/q/z"), 1, "a glob on the path");
    is_int(g4_source_wanted(&g, "a/b_x.c"), 0, "exclude wins");
    is_int(g4_source_wanted(&g, "b.h"), 0, "neither");
}

/* ---- journal ------------------------------------------------------------- */

static uint64_t seed;

static g4_journal *reopen(bool retry, int want, const char *what)
{
    g4_err err = {0};
    g4_journal *j = g4_journal_open(path("out"), "k \"1\"\n", retry, &seed, &err);
    is_int(err.code, want, what);
    return j;
}

static void write_one(g4_journal *j, uint64_t seq, bool failed, const char *bytes)
{
    g4_err err = {0};
    if (g4_journal_write(j, seq, 100 + seq, failed ? G4_JOURNAL_FAILED : G4_JOURNAL_DONE, (g4_sv){ bytes, strlen(bytes) }, &err)) ok(false, "%s", err.msg);
}

static void holds(const char *want, const char *what)
{
    g4_str got = {0};
    g4_file_read(path("out"), 1 << 20, &got, NULL);
    is_str(got.p ? got.p : "", want, what);
    g4_str_free(&got);
}

static void test_journal(void)
{
    g4_err err = {0};
    seed = 5;
    g4_journal *j = reopen(false, 0, "a new journal");
    write_one(j, 0, false, "a\n");
    write_one(j, 1, true, "bad\n");
    write_one(j, 2, false, "");
    write_one(j, 3, false, "d\n");
    g4_journal_close(j, &err);
    seed = 6;

    /* The next run died after its bytes and before, or within, its journal line. */
    int fd = open(path("out"), O_WRONLY | O_APPEND);
    ok(write(fd, "e\nhal", 5) == 5, "bytes behind the journal");
    close(fd);
    fd = open(path("out.g4"), O_WRONLY | O_APPEND);
    ok(write(fd, "4 99 00", 7) == 7, "a torn journal line");
    close(fd);
    j = reopen(false, 0, "goes on");
    is_int((long long)seed, 5, "the seed is the first run's");
    holds("a\nbad\nd\n", "what was not journalled is cut");
    is_int(g4_journal_done(j, 3, 103, &err), 1, "done");
    is_int(g4_journal_done(j, 4, 104, &err), 0, "not done");
    is_int(g4_journal_done(j, 2, 7, &err), G4_EUSAGE, "another input");
    err = (g4_err){0};
    write_one(j, 4, false, "e\n");
    g4_journal_close(j, &err);

    /* A power failure took the end of OUT: the journal follows it. */
    ok(truncate(path("out"), 7) == 0, "OUT is shorter than journalled");
    j = reopen(false, 0, "goes on");
    is_int((long long)g4_journal_count(j), 3, "the journal is cut back to what is there");
    holds("a\nbad\n", "... and OUT to the journal");
    write_one(j, 3, false, "d\n");
    g4_journal_close(j, &err);

    j = reopen(true, 0, "--retry-errors");
    is_int((long long)g4_journal_retries(j), 1, "one to make again");
    is_int(g4_journal_done(j, 1, 101, &err), 0, "the failed one is not done");
    write_one(j, 1, false, "good\n");
    holds("a\ngood\nd\n", "it stands in its place");
    write_one(j, 4, false, "e\n");
    g4_err locked = {0};
    ok(!g4_journal_open(path("out"), "k \"1\"\n", false, &seed, &locked) && locked.code == G4_EIO, "a second run is kept out");
    g4_journal_close(j, &err);
    holds("a\ngood\nd\ne\n", "and the run goes on behind it");
    j = reopen(false, 0, "once more");
    is_int((long long)g4_journal_failed(j), 0, "no failed ones are left");
    g4_journal_close(j, &err);

    /* A retry that died between its two renames, and one that died before them. */
    g4_str log = {0};
    g4_file_read(path("out.g4"), 1 << 20, &log, NULL);
    put_file("out.g4-log", log.p, log.n);
    put_file("out.g4", "g4 journal 1\nseed 5\n= k \"1\"\n--\n", 32);
    j = reopen(false, 0, "between the renames");
    is_int((long long)g4_journal_count(j), 5, "it is completed");
    g4_journal_close(j, &err);
    put_file("out.g4-log", "half", 4);
    put_file("out.g4-out", "half", 4);
    j = reopen(false, 0, "before the renames");
    is_int((long long)g4_journal_count(j), 5, "it is forgotten");
    g4_journal_close(j, &err);
    g4_str_free(&log);

    put_file("out", "A\ngood\nd\ne\n", 11);
    j = reopen(false, G4_EUSAGE, "a changed OUT is refused");
    is_int(j == NULL, 1, "... with no journal");
    g4_err other = {0};
    ok(!g4_journal_open(path("out"), "k \"2\"\n", false, &seed, &other) && other.code == G4_EUSAGE, "another key is refused");
    ok(strstr(other.msg, "'k \"1\"' then, 'k \"2\"' now") != NULL, "... and named");
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    test_compose();
    test_requests();
    test_source();
    test_journal();
    static const char *const made[] = { "lines", "fifo", "out", "out.g4", "out.g4-log", "out.g4-out" };
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) unlink(path(made[i]));
    rmdir(dir);
    return done_testing();
}
