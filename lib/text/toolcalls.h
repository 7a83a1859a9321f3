/* text/toolcalls: parsed calls and parse errors in the shapes that records and
 * the OpenAI API use. */
#ifndef G4_TEXT_TOOLCALLS_H
#define G4_TEXT_TOOLCALLS_H

#include "text/parse.h"

/* Appends [{"id":"call_FIRST","type":"function","function":{"name":N,"arguments":"JSON TEXT"}}, ...]. */
void g4_calls_json(const struct g4_parsed_call *calls, size_t n, size_t first, g4_str *out);

/* Appends [{"kind":K,"name":N,"raw":R}, ...]; "name" is left out where none was read. */
void g4_errors_json(const struct g4_parse_error *errors, size_t n, g4_str *out);

#endif
