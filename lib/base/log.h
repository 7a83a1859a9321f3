/* base/log: where messages and progress go.  The library never writes to stdout
 * or stderr itself; a command installs a sink.  One sink a process, set before
 * threads start; without one messages are dropped. */
#ifndef G4_BASE_LOG_H
#define G4_BASE_LOG_H

#include "g4.h"

void g4_log(enum g4_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool g4_log_wants(enum g4_log_level level);

#endif
