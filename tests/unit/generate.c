/* tests/unit/generate: requests and results through g4.h, on the tiny models.
 * Their weights are random, so what they say means nothing; that the same prompt
 * gives the same bytes, cut at the right places and reported truly, is what is
 * tested here.  A chat model is made of one by giving it a template. */
#include "../tap.h"

#include <poll.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "verb/generate.h"

static const char *const BASE = "tests/data/text/g4-dense";

/* ---- running ---------------------------------------------------------------- */

struct got {
    g4_str text, thought, final, thinking, messages, logprobs, calls;
    g4_err err;
    g4_result r; /* numbers only */
    int n_event;
    bool done;
};

static void got_free(struct got *g)
{
    g4_str_free(&g->text), g4_str_free(&g->thought), g4_str_free(&g->final), g4_str_free(&g->thinking);
    g4_str_free(&g->messages), g4_str_free(&g->logprobs), g4_str_free(&g->calls);
    memset(g, 0, sizeof *g);
}

static void take(struct got *g, const g4_event *ev)
{
    g->n_event++;
    if (ev->kind == G4_EVENT_TEXT) g4_str_add(&g->text, ev->text, ev->text_len);
    if (ev->kind == G4_EVENT_THOUGHT) g4_str_add(&g->thought, ev->text, ev->text_len);
    if (ev->kind != G4_EVENT_DONE) return;
    g->done = true;
    g->r = *ev->result;
    g->err = ev->result->err;
    if (g->err.code) return;
    g4_str_add(&g->final, g->r.text, g->r.text_len);
    g4_str_add(&g->thinking, g->r.thinking, g->r.thinking_len);
    if (g->r.messages) g4_str_adds(&g->messages, g->r.messages);
    if (g->r.logprobs) g4_str_adds(&g->logprobs, g->r.logprobs);
    if (g->r.tool_calls) g4_str_adds(&g->calls, g->r.tool_calls);
}

static void pump(g4_engine *e)
{
    g4_event ev;
    g4_err err = {0};
    while (g4_step(e, NULL, 0, -1, &ev, &err) > 0) take(ev.user, &ev);
    if (err.code) ok(false, "the engine failed: %s", err.msg);
}

static struct got ask_sample(g4_engine *e, const char *json, const g4_request *more, uint32_t sample)
{
    struct got g = {0};
    g4_request r = more ? *more : (g4_request){0};
    r.json = json;
    r.user = &g;
    r.sample = sample;
    if (!g4_submit(e, &r, &g.err)) return g;
    pump(e);
    return g;
}

static struct got ask(g4_engine *e, const char *json)
{
    return ask_sample(e, json, NULL, 0);
}

static g4_engine *open_engine(const char *path, uint32_t context, bool text_only)
{
    g4_err err = {0};
    g4_engine *e = g4_engine_new(&(g4_engine_params){ .model = path, .device = "ref", .context = context, .parallel = 8, .text_only = text_only }, &err);
    if (!e) ok(false, "'%s' opens: %s", path, err.msg);
    return e;
}

/* A folder with the files of BASE and a chat template. */
static char *chat_folder(void)
{
    static const char *const files[] = { "config.json", "model.safetensors", "tokenizer.json", "generation_config.json" };
    static char dir[64], from[512], to[128], cwd[256];
    strcpy(dir, "/tmp/g4-generate-XXXXXX");
    if (!mkdtemp(dir) || !getcwd(cwd, sizeof cwd)) return NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(from, sizeof from, "%s/%s/%s", cwd, BASE, files[i]);
        snprintf(to, sizeof to, "%s/%s", dir, files[i]);
        if (symlink(from, to)) return NULL;
    }
    snprintf(to, sizeof to, "%s/chat_template.jinja", dir);
    FILE *f = fopen(to, "w");
    fputs("{{ '<|turn>' }}", f);
    fclose(f);
    return dir;
}

static void remove_folder(const char *dir)
{
    static const char *const files[] = { "config.json", "model.safetensors", "tokenizer.json", "generation_config.json", "chat_template.jinja" };
    char path[128];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

/* ---- refusals ------------------------------------------------------------------ */

static void refused(g4_engine *e)
{
    static const struct {
        const char *json;
        int code;
        const char *holds;
    } all[] = {
        { "not json", G4_EINPUT, "JSON" },
        { "[1]", G4_EINPUT, "object" },
        { "{}", G4_EINPUT, "'prompt'" },
        { "{\"prompt\":5}", G4_EINPUT, "'prompt'" },
        { "{\"messages\":{}}", G4_EINPUT, "'messages'" },
        { "{\"messages\":[]}", G4_EINPUT, "'messages'" },
        { "{\"messages\":[7]}", G4_EINPUT, "'messages[0]'" },
        { "{\"messages\":[{\"role\":\"king\",\"content\":\"x\"}]}", G4_EINPUT, "'messages[0].role'" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":3}]}", G4_EINPUT, "'messages[0].content'" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"path\":\"a\"}]}]}", G4_EMEDIA, "'image'" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}", G4_EINPUT, "prefill" },
        { "{\"prompt\":\"a\",\"system\":[]}", G4_EINPUT, "'system'" },
        { "{\"prompt\":\"a\",\"tools\":\"x\"}", G4_EINPUT, "'tools'" },
        { "{\"prompt\":\"a\",\"schema\":{\"not\":{}}}", G4_ESCHEMA, "'not'" },
        { "{\"prompt\":\"a\",\"choices\":[]}", G4_ESCHEMA, "'choices'" },
        { "{\"prompt\":\"a\",\"options\":3}", G4_EINPUT, "'options'" },
        { "{\"prompt\":\"a\",\"options\":{\"tempratur\":1}}", G4_EINPUT, "tempratur" },
        { "{\"prompt\":\"a\",\"options\":{\"temperature\":-1}}", G4_EINPUT, "'options.temperature'" },
        { "{\"prompt\":\"a\",\"options\":{\"temperature\":\"1\"}}", G4_EINPUT, "'options.temperature'" },
        { "{\"prompt\":\"a\",\"options\":{\"top_k\":1.5}}", G4_EINPUT, "'options.top_k'" },
        { "{\"prompt\":\"a\",\"options\":{\"top_p\":1.01}}", G4_EINPUT, "'options.top_p'" },
        { "{\"prompt\":\"a\",\"options\":{\"max_tokens\":3000000000}}", G4_EINPUT, "'options.max_tokens'" },
        { "{\"prompt\":\"a\",\"options\":{\"seed\":-1}}", G4_EINPUT, "'options.seed'" },
        { "{\"prompt\":\"a\",\"options\":{\"stop\":[\"\"]}}", G4_EINPUT, "'options.stop'" },
        { "{\"prompt\":\"a\",\"options\":{\"stop\":7}}", G4_EINPUT, "'options.stop'" },
        { "{\"prompt\":\"a\",\"options\":{\"truncate\":\"left\"}}", G4_EINPUT, "'options.truncate'" },
        { "{\"prompt\":\"a\",\"options\":{\"logprobs\":300}}", G4_EINPUT, "'options.logprobs'" },
        { "{\"prompt\":\"a\",\"options\":{\"think\":-2}}", G4_EINPUT, "'options.think'" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct got g = ask(e, all[i].json);
        ok(g.err.code == all[i].code && strstr(g.err.msg, all[i].holds) && !g.n_event, "%s: %s", all[i].json, g.err.msg);
        got_free(&g);
    }
    struct got g = ask(e, "{\"prompt\":\"ab\",\"options\":{\"max_tokens\":2,\"top_k\":null,\"samples\":3,\"seed\":18446744073709551615}}");
    ok(!g.err.code && g.done && g.r.seed == UINT64_MAX, "after all that the engine works, and null is no value");
    got_free(&g);
    const g4_options bad = { .set = G4_OPT_TEMPERATURE, .temperature = NAN };
    g = ask_sample(e, "{\"prompt\":\"ab\"}", &(g4_request){ .options = &bad }, 0);
    ok(g.err.code == G4_EINPUT && strstr(g.err.msg, "temperature"), "options given as numbers are checked too: %s", g.err.msg);
    got_free(&g);
}

/* ---- text ------------------------------------------------------------------------ */

static void determinism(g4_engine *e)
{
    static const char *const json = "{\"prompt\":\"the user and\",\"options\":{\"max_tokens\":30,\"temperature\":1.2}}";
    struct got a = ask(e, json), b = ask(e, json), c = ask_sample(e, json, NULL, 1);
    ok(a.final.n && !strcmp(a.final.p, b.final.p), "the same request twice: the same %zu bytes", a.final.n);
    ok(strcmp(a.final.p, c.final.p), "another sample: another text");
    is_mem(a.text.p, a.text.n, a.final.p, a.final.n, "the pieces joined are the answer");
    ok(a.r.finish == G4_FINISH_LENGTH && a.r.user_limit && a.r.completion_tokens == 30, "30 tokens, cut by the caller's limit");
    ok(b.r.cached_tokens <= b.r.prompt_tokens, "cached tokens are prompt tokens");
    got_free(&a), got_free(&b), got_free(&c);
    a = ask(e, "{\"prompt\":\"x\",\"options\":{\"max_tokens\":1,\"seed\":\"random\"}}");
    b = ask(e, "{\"prompt\":\"x\",\"options\":{\"max_tokens\":1,\"seed\":\"random\"}}");
    ok(a.r.seed != b.r.seed, "random seeds are drawn and told");
    got_free(&a), got_free(&b);
    a = ask(e, "{\"prompt\":\"x\",\"options\":{\"max_tokens\":0}}");
    ok(a.done && !a.err.code && !a.final.n && a.r.completion_tokens == 0, "max_tokens 0: no token");
    got_free(&a);
}

static void stops(g4_engine *e)
{
    struct got all = ask(e, "{\"prompt\":\"the user and\",\"options\":{\"max_tokens\":40,\"temperature\":0}}");
    int wrong = 0, n = 0;
    for (size_t at = 0; at + 6 < all.final.n; at++)
        for (size_t len = 1; len <= 6; len++) {
            g4_str json = {0};
            const char *stop = all.final.p + at;
            if (!g4_utf8_valid(stop, len, &(size_t){0}) || (at * 7 + len) % 5) continue;
            g4_str_adds(&json, "{\"prompt\":\"the user and\",\"options\":{\"max_tokens\":40,\"temperature\":0,\"stop\":[\"never\",");
            g4_json_put_str(&json, stop, len);
            g4_str_adds(&json, "]}}");
            struct got g = ask(e, json.p);
            char *z = g4_strndup(stop, len);
            const size_t want = (size_t)(strstr(all.final.p, z) - all.final.p);
            n++;
            wrong += g.final.n != want || memcmp(g.final.p ? g.final.p : "", all.final.p, want) || g.text.n != want || g.r.finish != G4_FINISH_STOP;
            free(z);
            g4_str_free(&json);
            got_free(&g);
        }
    ok(n > 20 && !wrong, "%d stop strings out of %zu bytes: the answer ends before each, nothing more was handed out", n, all.final.n);
    struct got g = ask(e, "{\"prompt\":\"the user and\",\"options\":{\"max_tokens\":40,\"temperature\":0,\"stop\":\"zzzzzz\"}}");
    ok(g.final.n == all.final.n && g.text.n == all.final.n && g.r.finish == G4_FINISH_LENGTH, "one that never comes holds nothing back in the end");
    got_free(&g), got_free(&all);
}

static void logprobs(g4_engine *e)
{
    struct got g = ask(e, "{\"prompt\":\"the user\",\"options\":{\"max_tokens\":10,\"temperature\":0,\"logprobs\":3,\"echo\":true}}");
    g4_json j, prompt, content;
    double lp, top;
    int wrong = 0;
    ok(!g4_json_check(g.logprobs.p, g.logprobs.n, &j, NULL), "logprobs are JSON");
    prompt = g4_json_get(j, "prompt"), content = g4_json_get(j, "content");
    is_int((long long)g4_json_count(prompt), g.r.prompt_tokens, "an entry a prompt token");
    is_int((long long)g4_json_count(content), 10, "an entry a token");
    ok(g4_json_type(g4_json_get(g4_json_at(prompt, 0), "logprob")) == G4_JSON_NULL, "the first token has no probability");
    for (g4_json_it it = g4_json_iter(content); g4_json_next(&it);) {
        const g4_json alts = g4_json_get(it.value, "top_logprobs");
        wrong += g4_json_count(alts) != 3 || !g4_json_f64(g4_json_get(it.value, "logprob"), &lp) ||
                 !g4_json_f64(g4_json_get(g4_json_at(alts, 0), "logprob"), &top) || lp != top || lp > 0;
    }
    is_int(wrong, 0, "greedy: each is the first of its three alternatives");
    got_free(&g);
    g = ask(e, "{\"prompt\":\"the user\",\"options\":{\"max_tokens\":3,\"logprobs\":false}}");
    ok(!g.logprobs.n, "logprobs false: none");
    got_free(&g);
}

static char *render(g4_engine *e, const char *json, const g4_request *more, size_t *n_tokens)
{
    g4_request r = more ? *more : (g4_request){0};
    char *prompt = NULL;
    size_t len;
    g4_err err = {0};
    r.json = json;
    if (g4_render(e, &r, &prompt, &len, n_tokens, &err)) return g4_strdup(err.msg);
    return prompt;
}

static void is_prompt(g4_engine *e, const char *json, const g4_request *more, const char *want, const char *what)
{
    size_t n;
    char *got = render(e, json, more, &n);
    is_str(got, want, what);
    free(got);
}

static void base_prompts(g4_engine *e)
{
    is_prompt(e, "{\"prompt\":\"doc\"}", NULL, "<bos>doc", "a base model gets the text");
    is_prompt(e, "{\"prompt\":\"doc\"}", &(g4_request){ .operand = "do it" }, "<bos>do it\n\ndoc", "instruction, blank line, document");
    is_prompt(e, "{}", &(g4_request){ .operand = "do it" }, "<bos>do it", "the instruction alone");
    is_prompt(e, "{\"prompt\":\"doc\",\"system\":\"be\"}", &(g4_request){ .system = "no" }, "<bos>be\n\ndoc", "the record's system text wins");
    is_prompt(e, "{\"prompt\":\"doc\"}", &(g4_request){ .system = "be" }, "<bos>be\n\ndoc", "else the caller's");
    size_t len_nul, n_nul;
    char *nul = NULL;
    const g4_request with_nul = { .json = "{\"prompt\":\"d\",\"system\":\"a\\u0000b\"}" };
    ok(!g4_render(e, &with_nul, &nul, &len_nul, &n_nul, NULL) && len_nul == 11 && !memcmp(nul, "<bos>a\0b\n\nd", 11), "a NUL in a text cuts nothing");
    free(nul);
    is_prompt(e, "{\"prompt\":\"a <bos> <|turn> b\"}", NULL, "<bos>a <bos> <|turn> b", "control pieces in a text stay text");
    size_t n, m;
    free(render(e, "{\"prompt\":\"<bos>\"}", NULL, &n));
    free(render(e, "{\"prompt\":\"\"}", NULL, &m));
    ok(m == 1 && n > 2, "and are no control tokens: %zu tokens", n);
}

static void shortening(void)
{
    g4_engine *e = open_engine(BASE, 64, false);
    g4_str doc = {0};
    g4_err err = {0};
    for (int i = 0; i < 200; i++) g4_str_addf(&doc, "%d ", i);
    g4_str json = {0};
    g4_str_addf(&json, "{\"prompt\":\"%s\"}", doc.p);
    struct got g = ask(e, json.p);
    ok(g.err.code == G4_ECONTEXT && strstr(g.err.msg, "64"), "too long: %s", g.err.msg);
    got_free(&g);
    static const char *const how[] = { "head", "middle", "tail" };
    for (int i = 0; i < 3; i++) {
        g4_str_clear(&json);
        g4_str_addf(&json, "{\"prompt\":\"%s\",\"options\":{\"truncate\":\"%s\",\"max_tokens\":5}}", doc.p, how[i]);
        const g4_request r = { .operand = "keep me" };
        size_t n;
        char *p = render(e, json.p, &r, &n);
        const bool begins = !strncmp(p, "<bos>keep me\n\n", 14), head = strstr(p, "0 1 2 ") == p + 14, tail = strstr(p, "198 199 ");
        ok(n > 50 && n <= 59 && begins && head == (i != 0) && tail == (i != 2), "--truncate %s: %zu tokens, '%.20s...'", how[i], n, p + 14);
        free(p);
        g = ask_sample(e, json.p, &r, 0);
        ok(!g.err.code && g.r.completion_tokens == 5 && g.r.prompt_tokens == n, "and it runs");
        got_free(&g);
    }
    g = ask(e, "{\"prompt\":\"a b c\",\"options\":{\"temperature\":0}}");
    ok(g.r.finish == G4_FINISH_CONTEXT && !g.r.user_limit && g.r.prompt_tokens + g.r.completion_tokens == 64, "no limit: the context ends it");
    got_free(&g);
    g4_str_free(&doc), g4_str_free(&json);
    ok(!err.code, "no other error");
    g4_engine_free(e);
}

/* ---- chat -------------------------------------------------------------------------- */

static void chat(g4_engine *e)
{
    ok(g4_engine_get_info(e)->has_chat && g4_engine_get_info(e)->can_think, "a template makes it a chat model");
    is_prompt(e, "{\"prompt\":\"hi\"}", NULL, "<bos><|turn>user\nhi<turn|>\n<|turn>model\n", "a prompt is a user turn");
    is_prompt(e, "{\"prompt\":\"hi\"}", &(g4_request){ .raw = true }, "<bos>hi", "raw: as it is");
    is_prompt(e, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"}]}",
              &(g4_request){ .operand = "do" },
              "<bos><|turn>user\na<turn|>\n<|turn>model\nb<turn|>\n<|turn>user\ndo\n\nc<turn|>\n<|turn>model\n", "the operand stands before the last user text");
    is_prompt(e, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"c\"}]}]}", &(g4_request){ .operand = "do", .system = "sys" },
              "<bos><|turn>system\nsys<turn|>\n<|turn>user\ndo\n\nc<turn|>\n<|turn>model\n", "in parts as well, behind the system turn");
    is_prompt(e, "{\"prompt\":\"hi\",\"options\":{\"think\":true}}", NULL,
              "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nhi<turn|>\n<|turn>model\n", "think");
    struct got g = ask(e, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"the user\"}],"
                          "\"options\":{\"prefill\":true,\"max_tokens\":4,\"temperature\":0}}");
    g4_json m;
    ok(!g.err.code && !g4_json_check(g.messages.p, g.messages.n, &m, NULL) && g4_json_count(m) == 2, "prefill goes on with the last turn: %s", g.err.msg);
    char *joined = g4_json_dup(g4_json_get(g4_json_at(m, 1), "content"));
    ok(joined && !strncmp(joined, "the user", 8) && g.final.n && !strcmp(joined + 8, g.final.p), "which the conversation holds whole");
    free(joined);
    got_free(&g);
    g = ask(e, "{\"prompt\":\"a\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}}],\"options\":{\"max_tokens\":4}}");
    ok(!g.err.code && !g4_json_check(g.messages.p, g.messages.n, &m, NULL) && g4_json_count(m) == 2 &&
       g4_json_is(g4_json_get(g4_json_at(m, 1), "role"), "assistant"), "tools in: the conversation out: %s", g.err.msg);
    got_free(&g);
    g = ask(e, "{\"prompt\":\"a\",\"options\":{\"max_tokens\":2}}");
    ok(!g.messages.n, "a bare prompt: none");
    got_free(&g);
}

/* After a tool's answer the prompt leaves the thought open: the budget closes it. */
static void budget(g4_engine *e)
{
    static const char *const json =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call_0\",\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_0\",\"content\":\"5\"}],"
        "\"options\":{\"think\":%s,\"max_tokens\":40,\"temperature\":0%s}}";
    char text[600];
    uint32_t thought[3];
    for (int i = 0; i < 3; i++) {
        static const char *const think[] = { "true", "6", "6" };
        snprintf(text, sizeof text, json, think[i], i == 2 ? ",\"logprobs\":0" : "");
        struct got g = ask(e, text);
        thought[i] = g.r.thinking_tokens;
        ok(!g.err.code && g.r.completion_tokens == 40, "think %s: %u of 40 tokens are thought: %s", think[i], thought[i], g.err.msg);
        is_mem(g.thought.p, g.thought.n, g.thinking.p, g.thinking.n, "the pieces joined are the thought");
        got_free(&g);
    }
    ok(thought[0] > 12 && thought[1] >= 6 && thought[1] <= 10 && thought[2] == thought[1], "a budget of 6 closes the thought, with log-probabilities too");
}

/* ---- the pump ------------------------------------------------------------------------ */

static void pumping(g4_engine *e)
{
    struct got g[3] = {0};
    g4_event ev;
    g4_err err = {0};
    int p[2];
    if (pipe(p)) return;
    struct pollfd fd = { .fd = p[0], .events = POLLIN };
    is_int(g4_step(e, &fd, 1, 0, &ev, &err), 0, "nothing in flight: 0");
    g4_task *t[3];
    for (int i = 0; i < 3; i++) t[i] = g4_submit(e, &(g4_request){ .json = "{\"prompt\":\"ab\",\"options\":{\"max_tokens\":200}}", .user = &g[i], .sample = (uint32_t)i }, &err);
    is_int(g4_in_flight(e), 3, "three in flight");
    g4_cancel(e, t[1]);
    is_int(g4_in_flight(e), 2, "one cancelled");
    if (write(p[1], "x", 1) != 1) return;
    int woken = 0, events = 0, rc;
    while (g4_in_flight(e)) {
        rc = g4_step(e, &fd, 1, -1, &ev, &err);
        if (rc < 0) break;
        if (rc == 0) woken += fd.revents == POLLIN;
        else take(ev.user, &ev), events++;
    }
    ok(!err.code && g[0].done && g[2].done && !g[1].n_event, "the others end, %d events", events);
    ok(woken > 2, "a ready descriptor is told %d times, and holds nothing up", woken);
    ok(g[0].final.n && strcmp(g[0].final.p, g[2].final.p), "each has its own text");
    close(p[0]), close(p[1]);
    for (int i = 0; i < 3; i++) got_free(&g[i]);
    g[0] = ask(e, "{\"prompt\":\"ab\",\"options\":{\"max_tokens\":2000,\"max_time\":0.00001}}");
    ok(g[0].err.code == G4_ELIMIT && g[0].done, "over its time: %s", g[0].err.msg);
    got_free(&g[0]);
}

static void text_only(void)
{
    g4_engine *e = open_engine(BASE, 0, true);
    g4_err err = {0};
    int32_t *ids;
    size_t n, len;
    char *text;
    ok(!g4_tokenize(e, "the user and the model", 22, G4_TOKENIZE_BOS, &ids, &n, &err) && n == 9 && ids[0] == 2 && ids[1] == 283, "a text only engine tokenises");
    ok(!g4_detokenize(e, ids, n, true, &text, &len, &err) && !strcmp(text, "<bos>the user and the model"), "and back");
    free(text);
    ids[0] = 400;
    ok(g4_detokenize(e, ids, n, true, &text, &len, &err) == G4_EINPUT, "an id that is none: %s", err.msg);
    free(ids);
    is_prompt(e, "{\"prompt\":\"doc\"}", NULL, "<bos>doc", "it renders");
    err = (g4_err){0};
    ok(!g4_submit(e, &(g4_request){ .json = "{\"prompt\":\"x\"}" }, &err) && err.code == G4_EUSAGE, "and does not generate: %s", err.msg);
    g4_engine_free(e);
}

static void embedding(g4_engine *generative)
{
    static const char *const models[] = { "tests/data/text/embeddinggemma1", "tests/data/text/embeddinggemma2" };
    g4_err err = {0};
    float *v, *w;
    size_t n = 0;
    ok(g4_embed(generative, "a", 1, &v, &n, &err) == G4_EUSAGE, "a generative model does not embed: %s", err.msg);
    for (int i = 0; i < 2; i++) {
        g4_engine *e = open_engine(models[i], 0, false);
        double length = 0, same = 0;
        err = (g4_err){0};
        if (!e) continue;
        const int rc = g4_embed(e, "the user", 8, &v, &n, &err);
        if (!ok(!rc, "%s embeds: %s", models[i], err.msg)) continue;
        free(v);
        g4_embed(e, "the user and the model of things", 32, &w, &n, &err);
        g4_embed(e, "the user", 8, &v, &n, &err);
        for (size_t k = 0; k < n; k++) length += (double)v[k] * v[k], same += (double)v[k] * w[k];
        ok(fabs(length - 1) < 1e-5 && same < 0.9999 && n > 16, "%zu components, length %.7f, another text's cosine %.4f", n, sqrt(length), same);
        free(v), free(w);
        struct got g = ask(e, "{\"prompt\":\"x\"}");
        ok(g.err.code == G4_EUNSUP, "it does not generate: %s", g.err.msg);
        got_free(&g);
        g4_engine_free(e);
    }
}

static void opening(void)
{
    g4_err err = {0};
    ok(!g4_engine_new(&(g4_engine_params){0}, &err) && err.code == G4_EMODEL, "no model named: %s", err.msg);
    err = (g4_err){0};
    ok(!g4_engine_new(&(g4_engine_params){ .model = "no/such" }, &err) && err.code, "none there: %s", err.msg);
    err = (g4_err){0};
    ok(!g4_engine_new(&(g4_engine_params){ .model = BASE, .device = "abacus" }, &err) && err.code == G4_EUSAGE, "no such device: %s", err.msg);
    err = (g4_err){0};
    ok(!g4_engine_new(&(g4_engine_params){ .model = BASE, .kv_type = "q4" }, &err) && err.code == G4_EUSAGE, "no such cache type: %s", err.msg);
    char *list = g4_list_devices(false);
    ok(strstr(list, "cpu") != NULL, "the devices of this machine");
    free(list);
}

int main(void)
{
    g4_engine *e = open_engine(BASE, 0, false);
    if (!e) return done_testing();
    refused(e);
    determinism(e);
    stops(e);
    logprobs(e);
    base_prompts(e);
    pumping(e);
    embedding(e);
    g4_engine_free(e);
    shortening();
    text_only();
    opening();
    const char *dir = chat_folder();
    e = dir ? open_engine(dir, 0, false) : NULL;
    if (e) {
        chat(e);
        budget(e);
        g4_engine_free(e);
    } else {
        ok(false, "a chat model can be made");
    }
    if (dir) remove_folder(dir);
    return done_testing();
}
