/* The thinking budget: what is counted, when the close is forced, how it goes
 * back.  A reference that reads the whole history each time decides. */
#include "text/budget.h"

#include "../minivocab.h"
#include "../tap.h"

static g4_tokenizer *t;
static int32_t open_id, close_id;

static int32_t id_of(const char *z)
{
    return g4_tokenizer_find(t, z, strlen(z));
}

static void accept(g4_budget *b, const char *text)
{
    int32_t *ids = NULL;
    size_t n = 0, cap = 0;
    g4_tokenizer_encode(t, &(struct g4_seg){G4_SEG_TEMPLATE, text, strlen(text)}, 1, &ids, &n, &cap);
    for (size_t i = 0; i < n; i++) g4_budget_accept(b, ids[i]);
    free(ids);
}

/* 0: free, 1: the close piece and nothing else, -1: something else. */
static int forced(g4_budget *b)
{
    const int32_t *ids;
    const size_t n = g4_budget_forced(b, &ids);
    return !n ? 0 : n == 1 && ids[0] == close_id ? 1 : -1;
}

static void counting(void)
{
    g4_budget *b = g4_budget_new(t, G4_CHAT_GEMMA4_SMALL, 3, false);
    is_int(forced(b), 0, "free before a thought");
    accept(b, "abcabcabc");
    is_int(forced(b), 0, "the answer is never counted");
    accept(b, "<|channel>thought\n");
    is_int(forced(b), 0, "nor is the label");
    accept(b, "ab");
    is_int(forced(b), 0, "two of three");
    accept(b, "c");
    is_int(forced(b), 1, "three of three");
    ok(!g4_budget_hit(b), "not hit before the close is there");
    accept(b, "<channel|>");
    ok(forced(b) == 0 && g4_budget_hit(b), "hit, and free again");
    accept(b, "a<|channel>");
    is_int(forced(b), 1, "a thought opened again is closed at once");
    g4_budget_free(b);
}

static void borders(void)
{
    g4_budget *b = g4_budget_new(t, G4_CHAT_GEMMA4_SMALL, 1, false);
    accept(b, "<|channel>thought\n");
    g4_budget_accept(b, id_of("<0xE4>"));
    is_int(forced(b), 0, "not inside a character");
    g4_budget_accept(b, id_of("<0xB8>"));
    is_int(forced(b), 0, "nor after two bytes of three");
    g4_budget_accept(b, id_of("<0x96>"));
    is_int(forced(b), 1, "behind its last byte");
    g4_budget_rollback(b, 1);
    is_int(forced(b), 0, "taken back into the character");
    accept(b, "a");
    is_int(forced(b), 1, "a character that is never completed holds nothing up");
    g4_budget_free(b);

    b = g4_budget_new(t, G4_CHAT_GEMMA4_SMALL, 0, false);
    is_int(forced(b), 0, "no budget, no thought");
    accept(b, "<|channel>");
    is_int(forced(b), 1, "no budget: closed where it opens");
    g4_budget_rollback(b, 1);
    is_int(forced(b), 0, "the opening taken back");
    g4_budget_free(b);

    b = g4_budget_new(t, G4_CHAT_GEMMA4_SMALL, 0, true);
    is_int(forced(b), 1, "no budget: an open thought is closed at once");
    g4_budget_free(b);

    b = g4_budget_new(t, G4_CHAT_GEMMA4_SMALL, 2, true);
    accept(b, "th");
    is_int(forced(b), 0, "an open thought has its label behind it");
    accept(b, "a");
    is_int(forced(b), 1, "so everything counts");
    accept(b, "<channel|>");
    g4_budget_free(b);

    b = g4_budget_new(t, G4_CHAT_GEMMA4_SMALL, 4, false);
    accept(b, "<|channel>");
    accept(b, "thou");
    accept(b, "b");
    is_int(forced(b), 0, "a label that is none counts after all: two");
    accept(b, "ab");
    is_int(forced(b), 1, "four");
    g4_budget_free(b);

    ok(!g4_budget_new(t, G4_CHAT_NONE, 3, false), "a base model has no thoughts");
    ok(!g4_budget_new(t, G4_CHAT_GEMMA3, 3, false), "nor has a vocabulary without the pieces");
}

/* Random ids, accepted and taken back, against a budget that is fed the
 * remaining history from its beginning. */
static void rollbacks(int rounds)
{
    static int32_t history[4096];
    uint32_t seed = 7;
    int differ = 0, hits = 0;
    for (int r = 0; r < rounds; r++) {
        size_t n = 0, most = 0; /* a timeline goes back 256 from its furthest point, not further */
        g4_budget *b = g4_budget_new(t, G4_CHAT_GEMMA4_LARGE, (uint32_t)r % 9, r & 1);
        for (int step = 0; step < 60; step++) {
            seed = seed * 1664525u + 1013904223u;
            const uint32_t x = seed >> 8, k = x % 23;
            if (k == 0) {
                size_t back = (x >> 8) % 257;
                if (back > n) back = n;
                if (most - (n - back) > 256) back = n + 256 - most;
                g4_budget_rollback(b, back);
                n -= back;
            }
            for (uint32_t i = 0; k && i < (step % 20 == 0 ? 200u : 1u) && n < 4096; i++) {
                history[n] = k == 1 ? open_id : k == 2 ? close_id : k == 3 ? id_of("thought") : k == 4 ? id_of("\n") : k == 5 ? id_of("<0xE4>") :
                             k == 6 ? id_of("<0xB8>") : id_of("a");
                g4_budget_accept(b, history[n++]);
            }
            if (n > most) most = n;
            g4_budget *again = g4_budget_new(t, G4_CHAT_GEMMA4_LARGE, (uint32_t)r % 9, r & 1);
            for (size_t i = 0; i < n; i++) g4_budget_accept(again, history[i]);
            differ += forced(b) != forced(again) || g4_budget_hit(b) != g4_budget_hit(again);
            hits += forced(b) == 1;
            g4_budget_free(again);
        }
        g4_budget_free(b);
    }
    ok(!differ && hits, "random ids and rollbacks: %d states differ from a fresh reading, %d force a close", differ, hits);
}

int main(void)
{
    t = mini_tokenizer(mini_gemma4);
    open_id = id_of("<|channel>");
    close_id = id_of("<channel|>");
    counting();
    borders();
    rollbacks(60);
    g4_tokenizer_free(t);
    return done_testing();
}
