/* base/json: JSON as spans of the text it came in, and a writer.
 *
 * A document is checked once (g4_json_check); after that a value is a span of
 * the text and walking it cannot fail.  Numbers stay text, so big integers and
 * spellings survive; unknown members can be copied byte for byte.  Strict
 * RFC 8259, UTF-8 only, lone surrogate escapes are errors, depth at most 512. */
#ifndef G4_BASE_JSON_H
#define G4_BASE_JSON_H

#include "base/err.h"
#include "base/str.h"

enum g4_json_type {
    G4_JSON_NONE, /* absent: {NULL, 0} */
    G4_JSON_NULL,
    G4_JSON_BOOL,
    G4_JSON_NUMBER,
    G4_JSON_STRING,
    G4_JSON_ARRAY,
    G4_JSON_OBJECT,
};

typedef g4_sv g4_json; /* the exact span of one value, no blanks around it */

/* One value and nothing but blanks around it.  *out (may be NULL) is its span.
 * G4_EINPUT with what and the byte offset otherwise. */
int g4_json_check(const char *text, size_t n, g4_json *out, g4_err *err);

/* As g4_json_check, and no object may hold a key twice (safetensors). */
int g4_json_check_unique(const char *text, size_t n, g4_json *out, g4_err *err);

enum g4_json_type g4_json_type(g4_json v);

/* Member of an object by its decoded name, the last one when repeated;
 * {NULL, 0} when absent or v is no object. */
g4_json g4_json_get(g4_json v, const char *key);
g4_json g4_json_path(g4_json v, const char *key1, const char *key2); /* get of get */

/* Walks an array or object:  for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);)
 * it.value is the element, it.key the member's name as its string span (with
 * quotes; {NULL,0} in arrays); it.begin/it.end bracket the whole member. */
typedef struct g4_json_it {
    const char *p, *stop;
    g4_json key, value;
    const char *begin, *end;
} g4_json_it;

g4_json_it g4_json_iter(g4_json v);
bool g4_json_next(g4_json_it *it);
size_t g4_json_count(g4_json v);
g4_json g4_json_at(g4_json v, size_t i);

bool g4_json_is(g4_json v, const char *z);         /* a string equal to z */
void g4_json_str(g4_json v, g4_str *out);          /* appends the decoded string */
char *g4_json_dup(g4_json v);                      /* decoded, NUL-terminated, caller frees; NULL: no string */
bool g4_json_bool(g4_json v, bool *out);
bool g4_json_f64(g4_json v, double *out);          /* any number a double can hold: not 1e999 */
bool g4_json_i64(g4_json v, int64_t *out);         /* integral and in range; 1.0 and 1e3 count */

/* Writer: appends to s. */
void g4_json_put_str(g4_str *s, const char *p, size_t n); /* quoted; ill-formed UTF-8 becomes U+FFFD a byte */
void g4_json_put_f32(g4_str *s, float v);                 /* shortest spelling that reads back; null when not finite */
void g4_json_put_f64(g4_str *s, double v);

/* v without the blanks between its tokens, order and spellings kept. */
void g4_json_put_compact(g4_str *s, g4_json v);

#endif
