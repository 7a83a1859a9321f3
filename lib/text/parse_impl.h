/* text/parse_impl: what parse.c and parse_args.c share.
 *
 * The text of a call is kept with its special pieces as single bytes that valid
 * UTF-8 never holds, so that a delimiter the model wrote as a piece cannot be
 * taken for text that spells it. */
#ifndef G4_TEXT_PARSE_IMPL_H
#define G4_TEXT_PARSE_IMPL_H

#include "base/json.h"

enum g4_mark {
    G4_MARK_QUOTE = 0xFF,
    G4_MARK_CALL_OPEN = 0xFE,
    G4_MARK_CALL_CLOSE = 0xFD,
    G4_MARK_CHANNEL_OPEN = 0xFC,
    G4_MARK_CHANNEL_CLOSE = 0xFB,
    G4_MARK_RESP_OPEN = 0xFA,
    G4_MARK_RESP_CLOSE = 0xF9,
    G4_MARK_TURN_OPEN = 0xF8,
    G4_MARK_TURN_CLOSE = 0xF7,
    G4_MARK_EOS = 0xF6,
    G4_MARK_LEAST = 0xF6,
};

/* Spellings of the marks; [0xFF - mark], NULL where a format has none. */
typedef const char *g4_spelling[0xFF - G4_MARK_LEAST + 1];

/* Appends marked text with the marks spelled out. */
void g4_marked_text(const g4_spelling spell, const char *p, size_t n, g4_str *out);

/* From the arguments as the model wrote them, "{...}" or "(...)" with whatever is
 * wrong with them, to a JSON object appended to *out.  schema: the function's
 * parameters or {NULL,0}.  False when they cannot be understood without inventing
 * anything; *out is then unspecified. */
bool g4_args_json(const g4_spelling spell, g4_sv text, g4_json schema, g4_str *out);

#endif
