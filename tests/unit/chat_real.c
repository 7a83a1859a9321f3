/* The ids of prompts under the real vocabulary: every vector of prompt_ids.jsonl,
 * whose requests stand in render.jsonl under the same names.  Skipped when the
 * vocabulary is not there. */
#define _GNU_SOURCE
#include "text/chat.h"

#include "../lines.h"
#include "../realvocab.h"
#include "../tap.h"

struct run {
    g4_tokenizer *t[2]; /* Gemma 3, Gemma 4 */
    g4_str text;        /* render.jsonl */
    size_t n, wrong, guarded;
};

static bool flag(g4_json v, const char *key)
{
    bool yes = false;
    return g4_json_bool(g4_json_get(v, key), &yes) && yes;
}

/* The line of render.jsonl with this name. */
static g4_json request(const struct run *r, const char *name)
{
    for (const char *p = r->text.p, *stop = p + r->text.n, *end; p < stop; p = end + 1) {
        g4_json line;
        end = memchr(p, '\n', (size_t)(stop - p));
        if (!end) end = stop;
        if (!g4_json_check(p, (size_t)(end - p), &line, NULL) && g4_json_is(g4_json_get(line, "name"), name)) return line;
    }
    return (g4_json){0};
}

static bool same(g4_json want, const int32_t *ids, size_t n)
{
    size_t i = 0;
    int64_t id;
    for (g4_json_it it = g4_json_iter(want); g4_json_next(&it); i++)
        if (!g4_json_i64(it.value, &id) || i >= n || id != ids[i]) return false;
    return i == n;
}

static void vector(void *arg, g4_json line)
{
    struct run *r = arg;
    char *name = g4_json_dup(g4_json_get(line, "name"));
    const g4_json v = request(r, name), naive = g4_json_get(line, "ids_if_data_were_parsed"), template = g4_json_get(v, "template");
    const bool gemma3 = g4_json_is(template, "gemma3");
    g4_arena arena = {0};
    g4_err err = {0};
    struct g4_chat_out out = {0};
    const struct g4_chat_in in = {
        .format = gemma3 ? G4_CHAT_GEMMA3 : g4_json_is(template, "gemma4-large") ? G4_CHAT_GEMMA4_LARGE : G4_CHAT_GEMMA4_SMALL,
        .messages = g4_json_get(v, "messages"), .tools = g4_json_get(v, "tools"), .think = flag(v, "enable_thinking"),
        .add_generation_prompt = flag(v, "add_generation_prompt"), .preserve_thinking = flag(v, "preserve_thinking"),
    };
    int32_t *ids = NULL;
    size_t n = 0, cap = 0;
    if (!g4_chat_render(&in, &arena, &out, &err)) g4_tokenizer_encode(r->t[!gemma3], out.segs, out.n_seg, &ids, &n, &cap);
    r->n++;
    if (!same(g4_json_get(line, "ids"), ids, n)) {
        r->wrong++;
        printf("# %s: %s\n#", name, err.msg);
        for (size_t i = 0; i < n && i < 100; i++) printf(" %d", ids[i]);
        printf("\n");
    }
    if (naive.p && n) r->guarded += !same(naive, ids, n);
    free(ids);
    free(name);
    g4_arena_free(&arena);
}

int main(void)
{
    struct run r = {0};
    g4_weights *w[2];
    g4_err err = {0};
    for (int i = 0; i < 2; i++) r.t[i] = real_tokenizer(i, &w[i], &err);
    if (!r.t[0] && !err.code) {
        skip("ids of prompts", "no gemma3-tokenizer.json in the cache (tests/fetch-tokenizer puts it there)");
    } else if (ok(r.t[0] && r.t[1] && !g4_file_read("tests/data/chat/render.jsonl", 1 << 24, &r.text, &err), "vocabulary and requests load %s", err.msg)) {
        is_int((long long)each_line("tests/data/chat/prompt_ids.jsonl", vector, &r), 151, "vectors");
        is_int((long long)r.wrong, 0, "prompts with other ids");
        ok(r.guarded > 0, "%zu of them hold text that would have become control pieces", r.guarded);
    }
    for (int i = 0; i < 2; i++) {
        g4_tokenizer_free(r.t[i]);
        g4_weights_free(w[i]);
    }
    g4_str_free(&r.text);
    return done_testing();
}
