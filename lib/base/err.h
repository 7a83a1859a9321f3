/* base/err: the error value every fallible call fills.
 *
 * A call that can fail returns 0 or a negative G4_E* code (or NULL), and takes
 * `g4_err *err` last.  err may be NULL; otherwise it starts as {0} and keeps
 * the first failure.  Messages: lower case, the problem first, the subject in
 * single quotes, no full stop, complete enough to be printed as they are. */
#ifndef G4_BASE_ERR_H
#define G4_BASE_ERR_H

#include "g4.h"

/* Formats a message into err (unless one is set already) and returns code, so
 * that failing is one line: return g4_fail(err, G4_EIO, "..."); */
int g4_fail(g4_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As g4_fail, with ": " and strerror(errno) behind the message. */
int g4_fail_errno(g4_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
