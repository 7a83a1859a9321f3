/* record/compose: the JSON of an output record: the input's own members byte for
 * byte and in their order, behind them the members g4 adds.
 *
 * What an earlier generation may have left (text, thinking, tool_calls,
 * finish_reason, usage, model, seed, logprobs, dropped, error) is one set: all
 * of it goes when a new one comes.  messages, tools and sample go only when they are
 * written anew, data when the answer was constrained. */
#ifndef G4_RECORD_COMPOSE_H
#define G4_RECORD_COMPOSE_H

#include "record/input.h"

struct g4_compose {
    const char *model_name, *model_digest; /* NULL: no `model` member */
    bool sample;                           /* several samples: write their number */
    bool constrained;                      /* every answer is: a schema, an expression or choices came from options */
    const char *tools;                     /* declarations that the record had none of: written, with messages; or NULL */
};

/* All append one compact line without a newline. */
void g4_compose_result(const struct g4_compose *c, const g4_record *r, uint32_t sample, const g4_result *res, g4_str *out);
void g4_compose_error(const struct g4_compose *c, const g4_record *r, uint32_t sample, const g4_err *why, g4_str *out);
/* The record with the members of an object, which replace those of the same name. */
void g4_compose_put(const g4_record *r, g4_json object, g4_str *out);
/* Other members (`"ids":[1,2]`) behind the input's. */
void g4_compose_members(const g4_record *r, g4_sv members, g4_str *out);

/* OpenAI Batch: the element of `choices` for one sample, and the whole line. */
void g4_compose_choice(uint32_t sample, const g4_result *res, g4_str *out);
struct g4_usage {
    uint64_t prompt, thinking, completion;
};
void g4_compose_batch(const struct g4_compose *c, const g4_record *r, g4_sv choices, const struct g4_usage *usage, g4_str *out);
void g4_compose_batch_error(const g4_record *r, const g4_err *why, g4_str *out);

/* Was the answer cut, by the context or by a limit that the user did not set? */
bool g4_result_cut(const g4_result *res);

/* "input", "context", ...: the code of a record's error. */
const char *g4_error_name(int code);
const char *g4_finish_name(enum g4_finish f);

#endif
