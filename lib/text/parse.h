/* text/parse: the streaming parser of what a model writes: answer, thought, tool
 * calls, end.  All decisions are taken on ids, never on decoded text.  Malformed
 * calls are repaired by the catalogue of the prompt-format spec (4.4) or reported;
 * arguments are never invented. */
#ifndef G4_TEXT_PARSE_H
#define G4_TEXT_PARSE_H

#include "base/json.h"
#include "text/chat.h"

typedef struct g4_parse g4_parse;

struct g4_parse_params {
    const g4_tokenizer *tok;
    enum g4_chat_format format; /* G4_CHAT_NONE: everything is answer text */
    bool open_thought;          /* the prompt ended in an open thought */
    g4_json tools;              /* declared tools; {NULL,0}: every name is accepted */
};

g4_parse *g4_parse_new(const struct g4_parse_params *p);
void g4_parse_free(g4_parse *p);

/* Feeds one id.  Whole characters that are now certain are appended to *answer
 * and *thought (trailing blanks are held back: they may turn out not to belong
 * to the text).  True when the id ends the turn. */
bool g4_parse_push(g4_parse *p, int32_t id, g4_str *answer, g4_str *thought);
/* Feeds bytes that came without an id (text-only fallback and tests). */
void g4_parse_push_text(g4_parse *p, const char *s, size_t n, g4_str *answer, g4_str *thought);
/* End of generation: repairs and flushes.  by_length: no end piece was seen. */
void g4_parse_end(g4_parse *p, bool by_length, g4_str *answer, g4_str *thought);

bool g4_parse_stopped(const g4_parse *p);    /* a stop piece came */
bool g4_parse_in_thought(const g4_parse *p); /* where the next id would go */
bool g4_parse_in_call(const g4_parse *p);
uint32_t g4_parse_thought_tokens(const g4_parse *p);

/* Valid after g4_parse_end. */
struct g4_parsed_call {
    const char *name;
    const char *arguments; /* JSON object text */
};
struct g4_parse_error {
    const char *kind;      /* "unknown_tool", "tool_call_parse" */
    const char *name;
    const char *raw;       /* the bytes as generated */
};
size_t g4_parse_calls(const g4_parse *p, const struct g4_parsed_call **out);
size_t g4_parse_errors(const g4_parse *p, const struct g4_parse_error **out);

/* Ids that end a turn in this format and vocabulary; returns their number. */
size_t g4_parse_stop_ids(const g4_tokenizer *t, enum g4_chat_format f, int32_t out[8]);

#endif
