/* verb/compact: a conversation made shorter, oldest things first. */
#ifndef G4_VERB_COMPACT_H
#define G4_VERB_COMPACT_H

#include "base/mem.h"
#include "text/tokenizer.h"
#include "base/json.h"

struct g4_compact {          /* what was left out, all calls together */
    uint32_t tool_results;   /* their text; the messages stay, since a call wants a result */
    uint32_t turns;          /* a user message and all up to the next one */
    uint32_t messages;       /* that those turns had */
};

/* Leaves about `excess` tokens out of *messages (an array), which becomes a new one
 * in a: the results of tools first, then whole turns.  System messages, the last
 * turn, and results that are not answered yet stay.  False: nothing could be left out. */
bool g4_compact(const g4_tokenizer *t, g4_arena *a, size_t excess, g4_json *messages, struct g4_compact *c);

#endif
