/* text/validate: JSON Schema (draft 2020-12) applied to finished values: the last
 * word on every constrained answer, and the check of tool arguments before a
 * tool runs.  It knows nothing of grammars, masks or automata.
 *
 * Beyond the subset that can be generated it also knows not, if/then/else,
 * patternProperties, propertyNames, contains, dependentRequired and
 * dependentSchemas.  Unknown keywords are annotations.  Formats asserted: date,
 * date-time, email, uuid, ipv4. */
#ifndef G4_TEXT_VALIDATE_H
#define G4_TEXT_VALIDATE_H

#include "base/json.h"

/* Does the value satisfy the schema?  G4_OK; G4_EINPUT: it does not, the message
 * says where and why ("'/items/0' must be a string"); G4_ESCHEMA: the schema is
 * ill-formed or uses what cannot be checked, the message names keyword and place.
 * Both spans come from g4_json_check.  Of a member that is repeated the last counts. */
int g4_validate(g4_json schema, g4_json value, g4_err *err);

/* The same for a subschema of root, which "$ref" is resolved in. */
int g4_validate_at(g4_json root, g4_json schema, g4_json value, g4_err *err);

/* What "$ref": ref (a string value) means in root.  G4_ESCHEMA when it leads nowhere or elsewhere. */
int g4_schema_ref(g4_json root, g4_json ref, g4_json *out, g4_err *err);

/* Appends a spelling that two values share when and only when JSON Schema calls
 * them equal (1 and 1.0, escapes, order of members). */
void g4_json_canon(g4_json v, g4_str *out);

/* Is this decoded string what the format asks for?  Formats that are not asserted: true. */
bool g4_format_check(const char *format, const char *s, size_t n);
bool g4_format_asserted(const char *format);

#endif
