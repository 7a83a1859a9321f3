/* text/answer: see answer.h. */
#include "text/answer.h"

#include <stdlib.h>
#include <string.h>

#include "text/mask.h"
#include "text/parse.h"
#include "text/steps.h"

enum { MAX_BARRED = 32 };

enum mode { WAIT, THOUGHT, VALUE, CALL, END };

struct g4_answer {
    struct g4_steps s;
    int32_t open, close, call;   /* pieces; -1: there are none */
    int32_t barred[MAX_BARRED];  /* within a thought: what would end the turn or begin something else */
    size_t n_barred;
    enum mode mode;
};

static int32_t find(const g4_tokenizer *t, const char *piece)
{
    return g4_tokenizer_find(t, piece, strlen(piece));
}

/* n: ids that came before it. */
static void begin_value(g4_answer *a, size_t n)
{
    a->mode = VALUE;
    g4_matcher_limit(a->s.m, g4_steps_left(&a->s, n));
}

static void bar(g4_answer *a, int32_t id)
{
    if (id >= 0 && id != a->close && a->n_barred < MAX_BARRED) a->barred[a->n_barred++] = id;
}

static void bar_all(g4_answer *a, const struct g4_answer_params *p)
{
    static const char *const pieces[] = { "<|turn>", "<turn|>", "<|channel>", "<|tool_call>", "<tool_call|>", "<|tool_response>",
                                          "<tool_response|>", "<start_of_turn>", "<end_of_turn>", "<unused94>", "<eos>" };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) bar(a, find(p->tok, pieces[i]));
    for (size_t i = 0; i < p->n_stop; i++) bar(a, p->stop[i]);
}

g4_answer *g4_answer_new(const struct g4_answer_params *p)
{
    g4_answer *a = g4_alloc(sizeof *a);
    const bool gemma4 = g4_chat_is_gemma4(p->format);
    const bool can_think = gemma4 || p->format == G4_CHAT_GEMMA3;
    g4_steps_init(&a->s, p->matcher, p->max_tokens, p->n_vocab);
    a->open = p->think && can_think ? find(p->tok, gemma4 ? "<|channel>" : "<unused94>") : -1;
    a->close = can_think ? find(p->tok, gemma4 ? "<channel|>" : "<unused95>") : -1;
    a->call = !p->tools ? -1 : gemma4 ? find(p->tok, "<|tool_call>") : find(p->tok, "<start_function_call>");
    const int32_t response[] = { find(p->tok, "<|tool_response>"), find(p->tok, "<start_function_response>") };
    for (size_t i = 0; i < p->n_stop && a->s.n_stop < G4_STEPS_STOP; i++) /* waiting for a tool is no way to end a value */
        if (p->stop[i] != response[0] && p->stop[i] != response[1]) a->s.stop[a->s.n_stop++] = p->stop[i];
    bar_all(a, p);
    if (p->open_thought && a->close >= 0) a->mode = THOUGHT;
    else if (a->open >= 0 || a->call >= 0) a->mode = WAIT;
    else begin_value(a, 0);
    return a;
}

void g4_answer_free(g4_answer *a)
{
    if (!a) return;
    g4_steps_clear(&a->s);
    free(a);
}

bool g4_answer_mask(void *self, uint32_t *mask, uint32_t n_vocab)
{
    g4_answer *a = self;
    if (a->mode == CALL || a->mode == END) return false;
    if (a->mode == THOUGHT) { /* an answer must follow it */
        for (size_t i = 0; i < a->n_barred; i++) g4_mask_set(mask, a->barred[i], n_vocab, false);
        return true;
    }
    g4_matcher_mask(a->s.m, a->s.bits, n_vocab);
    if (a->mode == WAIT) {
        g4_mask_set(a->s.bits, a->open, n_vocab, true);
        g4_mask_set(a->s.bits, a->call, n_vocab, true);
    }
    g4_steps_mask(&a->s, mask, n_vocab);
    return true;
}

size_t g4_answer_forced(void *self, const int32_t **ids)
{
    g4_answer *a = self;
    if (a->mode != VALUE) return 0;
    const bool last = g4_matcher_spent(a->s.m) && g4_matcher_done(a->s.m); /* a number that could go on */
    if (a->s.n_stop && (last || g4_matcher_over(a->s.m) || g4_matcher_dead(a->s.m))) {
        *ids = a->s.stop;
        return 1;
    }
    return g4_matcher_forced(a->s.m, ids);
}

void g4_answer_accept(void *self, int32_t id)
{
    g4_answer *a = self;
    g4_steps_note(&a->s, (uint8_t)a->mode);
    if (a->mode == THOUGHT) {
        if (id == a->close) begin_value(a, a->s.n);
        return;
    }
    if (a->mode == CALL || a->mode == END) return;
    if (a->mode == WAIT && id == a->open) {
        a->mode = THOUGHT;
    } else if (a->mode == WAIT && id == a->call) {
        a->mode = CALL;
    } else if (g4_steps_is_stop(&a->s, id)) {
        a->mode = END;
    } else {
        if (a->mode == WAIT) begin_value(a, a->s.n - 1); /* this token is its first */
        g4_steps_feed(&a->s, id);
    }
}

void g4_answer_rollback(void *self, size_t n)
{
    g4_answer *a = self;
    uint8_t mode;
    if (g4_steps_back(&a->s, n, &mode)) a->mode = (enum mode)mode;
}

g4_sv g4_answer_text(g4_answer *a)
{
    return g4_matcher_text(a->s.m);
}

bool g4_answer_called(g4_answer *a)
{
    return a->mode == CALL;
}
