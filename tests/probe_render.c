/* probe render -m MODEL --template gemma4-small|gemma4-large|gemma3|functiongemma [--exact]:
 * {messages, tools, enable_thinking, add_generation_prompt, preserve_thinking} to {prompt, ids} or
 * {error}.  ids are those of the segments: what a caller supplied never becomes a control piece. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"
#include "text/chat.h"

struct render {
    const g4_tokenizer *t;
    enum g4_chat_format format;
    bool exact;
};

static int render(void *arg, g4_json in, g4_str *out, g4_err *err)
{
    const struct render *r = arg;
    g4_arena arena = {0};
    struct g4_chat_out prompt;
    const struct g4_chat_in q = {
        .format = r->format, .exact = r->exact, .messages = g4_json_get(in, "messages"), .tools = g4_json_get(in, "tools"),
        .think = probe_true(in, "enable_thinking"), .add_generation_prompt = probe_true(in, "add_generation_prompt"),
        .preserve_thinking = probe_true(in, "preserve_thinking"),
    };
    const int rc = g4_chat_render(&q, &arena, &prompt, err);
    if (!rc) {
        int32_t *ids = NULL;
        size_t n = 0, cap = 0;
        g4_str text = {0};
        g4_chat_text(&prompt, &text);
        g4_tokenizer_encode(r->t, prompt.segs, prompt.n_seg, &ids, &n, &cap);
        g4_str_adds(out, "{\"prompt\":");
        g4_json_put_str(out, text.p ? text.p : "", text.n);
        g4_str_adds(out, ",\"ids\":");
        probe_put_ids(out, ids, n);
        g4_str_addc(out, '}');
        g4_str_free(&text);
        free(ids);
    }
    g4_arena_free(&arena);
    return rc;
}

int probe_render(int argc, char **argv)
{
    static const struct { const char *name; enum g4_chat_format format; } template[] = {
        {"gemma4-small", G4_CHAT_GEMMA4_SMALL}, {"gemma4-large", G4_CHAT_GEMMA4_LARGE},
        {"gemma3", G4_CHAT_GEMMA3}, {"functiongemma", G4_CHAT_FUNCTIONGEMMA},
    };
    const char *name = probe_option(argc, argv, "--template", "");
    struct render r = {.format = G4_CHAT_NONE, .exact = probe_flag(argc, argv, "--exact")};
    for (size_t i = 0; i < sizeof template / sizeof *template; i++)
        if (!strcmp(name, template[i].name)) r.format = template[i].format;
    if (r.format == G4_CHAT_NONE) {
        fprintf(stderr, "probe: --template is none of gemma4-small, gemma4-large, gemma3, functiongemma\n");
        return 2;
    }
    g4_weights *w;
    g4_tokenizer *t = probe_tokenizer(argc, argv, &w);
    r.t = t;
    const int status = probe_lines(render, &r);
    g4_tokenizer_free(t);
    g4_weights_free(w);
    return status;
}
