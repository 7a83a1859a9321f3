/* base/log: see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static g4_log_fn sink;
static void *sink_arg;
static enum g4_log_level sink_most;

void g4_log_set(g4_log_fn fn, void *arg, enum g4_log_level most)
{
    sink = fn;
    sink_arg = arg;
    sink_most = most;
}

bool g4_log_wants(enum g4_log_level level)
{
    return sink && level <= sink_most;
}

void g4_log(enum g4_log_level level, const char *fmt, ...)
{
    if (!g4_log_wants(level)) return;
    char msg[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    sink(sink_arg, level, msg);
}
