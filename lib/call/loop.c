/* call/loop: see loop.h. */
#include "call/loop.h"

#include <string.h>

#include "base/hash.h"

static bool repeats(struct g4_loop *l, const g4_turn *turn, uint32_t most)
{
    for (size_t i = 0; i < turn->n; i++) {
        const struct g4_open_call *c = &turn->call[i];
        const uint64_t name = g4_hash64(c->name, strlen(c->name), 1);
        const uint64_t hash = g4_hash64(c->arguments.p, c->arguments.n, name);
        l->in_row = l->in_row && hash == l->last_call ? l->in_row + 1 : 1;
        l->last_call = hash;
        if (most && l->in_row >= most) return true;
    }
    return false;
}

enum g4_loop_next g4_loop_take(struct g4_loop *l, const struct g4_loop_limits *limits, const g4_result *res, const g4_turn *turn)
{
    l->steps++;
    l->tokens += res->completion_tokens;
    l->prompt_tokens += res->prompt_tokens;
    if (!turn->n) return G4_LOOP_ANSWER;
    if (repeats(l, turn, limits->repeats)) return G4_LOOP_REPEATS;
    if ((limits->steps && l->steps >= limits->steps) || (limits->tokens && l->tokens >= limits->tokens)) return G4_LOOP_SPENT;
    return G4_LOOP_CALL;
}

uint32_t g4_loop_room(const struct g4_loop *l, const struct g4_loop_limits *limits)
{
    return limits->tokens ? (uint32_t)(limits->tokens - l->tokens) : 0;
}
