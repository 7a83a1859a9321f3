/* text/answer: see answer.h. */
#include "text/answer.h"

#include <stdlib.h>
#include <string.h>

#include "text/mask.h"
#include "text/parse.h"

enum { BACK = 256, MAX_STOP = 16, MAX_BARRED = 32 };

enum mode { WAIT, THOUGHT, VALUE, CALL, END };

struct g4_answer {
    g4_matcher *m;
    int32_t open, close, call;   /* pieces; -1: there are none */
    int32_t stop[MAX_STOP];
    size_t n_stop;
    int32_t barred[MAX_BARRED];  /* within a thought: what would end the turn or begin something else */
    size_t n_barred;
    uint32_t max_tokens;
    uint32_t *bits;
    enum mode mode;
    uint8_t past[BACK];          /* [i % BACK]: the mode before id number i */
    bool fed[BACK];              /* and whether the matcher got it */
    size_t n;
};

static int32_t find(const g4_tokenizer *t, const char *piece)
{
    return g4_tokenizer_find(t, piece, strlen(piece));
}

static void begin_value(g4_answer *a)
{
    a->mode = VALUE;
    /* One token is left for the end of the turn. */
    g4_matcher_limit(a->m, a->max_tokens > a->n ? a->max_tokens - (uint32_t)a->n - 1 : 0);
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
    a->m = p->matcher;
    a->open = p->think && can_think ? find(p->tok, gemma4 ? "<|channel>" : "<unused94>") : -1;
    a->close = can_think ? find(p->tok, gemma4 ? "<channel|>" : "<unused95>") : -1;
    a->call = !p->tools ? -1 : gemma4 ? find(p->tok, "<|tool_call>") : find(p->tok, "<start_function_call>");
    a->max_tokens = p->max_tokens;
    const int32_t response[] = { find(p->tok, "<|tool_response>"), find(p->tok, "<start_function_response>") };
    for (size_t i = 0; i < p->n_stop && a->n_stop < MAX_STOP; i++) /* waiting for a tool is no way to end a value */
        if (p->stop[i] != response[0] && p->stop[i] != response[1]) a->stop[a->n_stop++] = p->stop[i];
    bar_all(a, p);
    a->bits = g4_alloc(((size_t)p->n_vocab + 31) / 32 * sizeof *a->bits);
    if (p->open_thought && a->close >= 0) a->mode = THOUGHT;
    else if (a->open >= 0 || a->call >= 0) a->mode = WAIT;
    else begin_value(a);
    return a;
}

void g4_answer_free(g4_answer *a)
{
    if (!a) return;
    g4_matcher_free(a->m);
    free(a->bits);
    free(a);
}

bool g4_answer_mask(void *self, uint32_t *mask, uint32_t n_vocab)
{
    g4_answer *a = self;
    const size_t words = ((size_t)n_vocab + 31) / 32;
    uint32_t any = 0;
    if (a->mode == CALL || a->mode == END) return false;
    if (a->mode == THOUGHT) { /* an answer must follow it */
        for (size_t i = 0; i < a->n_barred; i++) g4_mask_set(mask, a->barred[i], n_vocab, false);
        return true;
    }
    g4_matcher_mask(a->m, a->bits, n_vocab);
    if (a->mode == WAIT) {
        g4_mask_set(a->bits, a->open, n_vocab, true);
        g4_mask_set(a->bits, a->call, n_vocab, true);
    }
    for (size_t i = 0; i < words; i++) any |= a->bits[i];
    /* Nothing at all is possible: the turn ends here, and what there is will be found wanting. */
    if (!any || g4_matcher_done(a->m))
        for (size_t i = 0; i < a->n_stop; i++) g4_mask_set(a->bits, a->stop[i], n_vocab, true);
    for (size_t i = 0; i < words; i++) mask[i] &= a->bits[i];
    return true;
}

size_t g4_answer_forced(void *self, const int32_t **ids)
{
    g4_answer *a = self;
    if (a->mode != VALUE) return 0;
    const bool last = g4_matcher_spent(a->m) && g4_matcher_done(a->m); /* a number that could go on */
    if (a->n_stop && (last || g4_matcher_over(a->m) || g4_matcher_dead(a->m))) {
        *ids = a->stop;
        return 1;
    }
    return g4_matcher_forced(a->m, ids);
}

static bool is_stop(const g4_answer *a, int32_t id)
{
    for (size_t i = 0; i < a->n_stop; i++)
        if (a->stop[i] == id) return true;
    return false;
}

void g4_answer_accept(void *self, int32_t id)
{
    g4_answer *a = self;
    const size_t at = a->n % BACK;
    a->past[at] = (uint8_t)a->mode;
    a->fed[at] = false;
    a->n++;
    if (a->mode == THOUGHT) {
        if (id == a->close) begin_value(a);
        return;
    }
    if (a->mode == CALL || a->mode == END) return;
    if (a->mode == WAIT && id == a->open) {
        a->mode = THOUGHT;
    } else if (a->mode == WAIT && id == a->call) {
        a->mode = CALL;
    } else if (is_stop(a, id)) {
        a->mode = END;
    } else {
        if (a->mode == WAIT) {
            a->n--;
            begin_value(a); /* this token is its first */
            a->n++;
        }
        a->fed[at] = true;
        g4_matcher_accept(a->m, id);
    }
}

void g4_answer_rollback(void *self, size_t n)
{
    g4_answer *a = self;
    size_t fed = 0;
    if (n > BACK) n = BACK;
    if (n > a->n) n = a->n;
    if (!n) return;
    for (size_t i = 0; i < n; i++) fed += a->fed[(a->n - 1 - i) % BACK];
    a->n -= n;
    a->mode = (enum mode)a->past[a->n % BACK];
    g4_matcher_rollback(a->m, fed);
}

g4_sv g4_answer_text(g4_answer *a)
{
    return g4_matcher_text(a->m);
}

bool g4_answer_called(g4_answer *a)
{
    return a->mode == CALL;
}
