/* text/budget: the hard thinking budget as a guide (budget.h). */
#include "text/budget.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BACK = 256 };             /* how far a rollback may reach (engine/guide.h) */

static const char label[] = "thought\n";

struct now {
    bool in;                     /* inside a thought */
    uint8_t label_at;            /* bytes of the label seen; past its end: counting */
    uint8_t held_n;              /* bytes of a character that is not complete */
    char held[4];
    uint32_t label_tokens, used;
    bool hit;
};

struct g4_budget {
    const g4_tokenizer *tok;
    int32_t open, close;
    uint32_t n_max;
    struct now now;
    struct now past[BACK];       /* [i % BACK] is the state before id number i was accepted */
    size_t n;                    /* ids accepted and not taken back */
};

g4_budget *g4_budget_new(const g4_tokenizer *t, enum g4_chat_format f, uint32_t n_max, bool open)
{
    if (f == G4_CHAT_NONE) return NULL;
    const bool gemma4 = g4_chat_is_gemma4(f);
    const char *from = gemma4 ? "<|channel>" : "<unused94>", *to = gemma4 ? "<channel|>" : "<unused95>";
    const int32_t o = g4_tokenizer_find(t, from, strlen(from)), c = g4_tokenizer_find(t, to, strlen(to));
    if (o < 0 || c < 0) return NULL;
    g4_budget *b = g4_alloc(sizeof *b);
    b->tok = t;
    b->open = o;
    b->close = c;
    b->n_max = n_max;
    b->now.in = open;
    b->now.label_at = open ? sizeof label : 0; /* the prompt holds the label already */
    return b;
}

void g4_budget_free(g4_budget *b)
{
    free(b);
}

size_t g4_budget_forced(void *self, const int32_t **ids)
{
    g4_budget *b = self;
    if (!b->now.in || b->now.used < b->n_max || b->now.held_n) return 0;
    *ids = &b->close;
    return 1;
}

/* Keeps the bytes of a character that the ids so far left incomplete. */
static void follow_utf8(struct now *s, const char *p, size_t n)
{
    char buf[8];
    size_t have = 0;
    if (s->held_n + n <= sizeof buf) {
        memcpy(buf, s->held, s->held_n);
        memcpy(buf + s->held_n, p, n);
        have = s->held_n + n;
    } else {
        memcpy(buf, p + n - 4, have = 4); /* only the last bytes can be incomplete */
    }
    s->held_n = 0;
    for (size_t from = have > 3 ? have - 3 : 0; from < have; from++)
        if (g4_utf8_need(buf + from, have - from)) {
            s->held_n = (uint8_t)(have - from);
            memcpy(s->held, buf + from, s->held_n);
            return;
        }
}

/* A token inside the thought: part of the label, or one that counts. */
static void count(g4_budget *b, const char *p, size_t n)
{
    struct now *s = &b->now;
    if (s->label_at < sizeof label - 1) {
        const size_t left = sizeof label - 1 - s->label_at;
        if (memcmp(label + s->label_at, p, n < left ? n : left) == 0) {
            s->label_at = (uint8_t)(s->label_at + (n < left ? n : left));
            s->label_tokens++;
            if (n <= left) return;
        } else {
            s->used += s->label_tokens; /* it was no label after all */
        }
        s->label_at = sizeof label;
    }
    s->used++;
}

void g4_budget_accept(void *self, int32_t id)
{
    g4_budget *b = self;
    struct now *s = &b->now;
    b->past[b->n++ % BACK] = *s;
    if (id == b->close) {
        s->hit |= s->in && s->used >= b->n_max;
        s->in = false;
        s->held_n = 0;
    } else if (id == b->open) {
        s->in = true;
        s->label_at = 0;
        s->label_tokens = 0;
        s->held_n = 0;
    } else if (s->in) {
        g4_str t = {0};
        g4_tokenizer_piece(b->tok, id, false, &t);
        if (t.n) follow_utf8(s, t.p, t.n);
        count(b, t.p ? t.p : "", t.n);
        g4_str_free(&t);
    }
}

void g4_budget_rollback(void *self, size_t n)
{
    g4_budget *b = self;
    if (n > BACK) n = BACK;
    if (n > b->n) n = b->n;
    if (!n) return;
    b->n -= n;
    b->now = b->past[b->n % BACK];
}

bool g4_budget_hit(const g4_budget *b)
{
    return b->now.hit;
}
