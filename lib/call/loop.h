/* call/loop: when a conversation that generates and calls in turn goes on, and
 * when it ends. */
#ifndef G4_CALL_LOOP_H
#define G4_CALL_LOOP_H

#include "call/turn.h"

struct g4_loop_limits { /* 0: none */
    uint32_t steps;     /* generations */
    uint32_t tokens;    /* generated in all steps, thoughts included */
    uint32_t repeats;   /* equal calls in a row */
};

struct g4_loop { /* {0} at the beginning */
    uint32_t steps;
    uint64_t tokens;    /* generated so far */
    uint64_t prompt_tokens;
    uint64_t last_call; /* hash of the latest call, and how often it came in a row */
    uint32_t in_row;
};

enum g4_loop_next {
    G4_LOOP_ANSWER,  /* the step made no calls: the end */
    G4_LOOP_CALL,    /* run its calls, then generate again */
    G4_LOOP_SPENT,   /* a limit on tokens or steps: the end (G4_FINISH_BUDGET) */
    G4_LOOP_REPEATS, /* the same call too often in a row: an error */
};

/* Takes the result of a step and the calls that it left open. */
enum g4_loop_next g4_loop_take(struct g4_loop *l, const struct g4_loop_limits *limits, const g4_result *res, const g4_turn *turn);

/* Tokens that the next step may generate; 0: no limit. */
uint32_t g4_loop_room(const struct g4_loop *l, const struct g4_loop_limits *limits);

#endif
