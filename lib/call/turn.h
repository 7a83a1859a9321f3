/* call/turn: the calls of a conversation that nobody has answered, and the
 * conversation with their answers. */
#ifndef G4_CALL_TURN_H
#define G4_CALL_TURN_H

#include "base/json.h"

struct g4_open_call {
    char *id;        /* or NULL */
    char *name;      /* never NULL; "" when there was none */
    g4_str arguments; /* compact JSON object; what could not be read as one stays as it came */
    char *wrong;     /* why it cannot be run, or NULL */
    g4_str content;  /* filled by the caller: its tool message */
};

typedef struct g4_turn {
    struct g4_open_call *call;
    size_t n;
    uint32_t before; /* calls of the conversation in front of these */
    g4_str messages; /* the conversation up to here, without its closing bracket */
} g4_turn;

/* Reads a record: `messages` that end in an assistant turn with calls and answers
 * to some of them; without `messages`, its own `tool_calls` behind `system` and
 * `prompt`.  true when a call is open, else t stays {0}, as which it starts. */
bool g4_turn_read(g4_turn *t, g4_json record);

/* Appends the array of messages with a tool message for each call, in call order. */
void g4_turn_write(const g4_turn *t, g4_str *out);

/* The tool message of one call. */
void g4_turn_message(const struct g4_open_call *c, g4_str *out);

void g4_turn_clear(g4_turn *t);

#endif
