/* cmd/tool: see tool.h. */
#include "tool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *name;
    bool quiet, verbose, color, color_out, terminal;
    unsigned seen;          /* bit per status */
    bool bar;               /* the progress line is on the screen */
    double started, drawn;
    void (*at_end)(void);
} tool;

static volatile sig_atomic_t writing, pending_signal;

double g4_tool_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- signals ------------------------------------------------------------- */

static void end_by(int sig)
{
    static const char clear[] = "\r\033[K";
    if (tool.at_end) tool.at_end();
    if (tool.bar && write(2, clear, sizeof clear - 1) < 0) {}
    signal(sig, SIG_DFL);
    raise(sig);
}

/* Ends the process at once, unless a record is being written: then behind it.
 * A second signal does not wait. */
static void on_signal(int sig)
{
    if (writing && !pending_signal) {
        pending_signal = sig;
        return;
    }
    sigset_t open;
    sigemptyset(&open);
    sigaddset(&open, sig);
    sigprocmask(SIG_UNBLOCK, &open, NULL);
    end_by(sig);
}

void g4_tool_enter(void *unused)
{
    if (tool.bar) g4_tool_progress_hide();
    writing = 1;
}

void g4_tool_leave(void *unused)
{
    writing = 0;
    if (pending_signal) end_by(pending_signal);
}

static void catch_signal(int sig)
{
    struct sigaction old, now = { .sa_handler = on_signal };
    sigaction(sig, NULL, &old);
    if (old.sa_handler == SIG_IGN) return; /* nohup, background jobs */
    sigaction(sig, &now, NULL);
}

void g4_tool_at_end(void (*fn)(void))
{
    tool.at_end = fn;
    catch_signal(SIGPIPE); /* a reader of stdout that goes away is such a signal too */
}

void g4_tool_broken_pipe(void)
{
    end_by(SIGPIPE);
}

/* ---- messages ------------------------------------------------------------ */

/* A message is one line, and whatever a file, a tool or a model put into it is no command to the terminal. */
static void print(const char *color, const char *msg)
{
    size_t n = strlen(msg);
    g4_str line = {0};
    while (n && msg[n - 1] == '\n') n--;
    if (tool.color && color) g4_str_addf(&line, "\033[%sm%s:\033[0m ", color, tool.name);
    else g4_str_addf(&line, "%s: ", tool.name);
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)msg[i], next = (unsigned char)msg[i + 1];
        const bool c1 = c == 0xC2 && next >= 0x80 && next < 0xA0;
        if (c == '\n') g4_str_addc(&line, ' ');
        else if (c1 || (c < ' ' && c != '\t') || c == 0x7F) g4_str_addc(&line, '?');
        else g4_str_addc(&line, msg[i]);
        i += c1;
    }
    g4_tool_progress_hide();
    fprintf(stderr, "%s\n", line.p);
    g4_str_free(&line);
}

static void sink(void *arg, enum g4_log_level level, const char *msg)
{
    if (level == G4_LOG_ERROR) print("31", msg);
    else if (level == G4_LOG_WARN && !tool.quiet) print("33", msg);
    else if (level == G4_LOG_INFO && !tool.quiet) print(NULL, msg);
    else if (level > G4_LOG_INFO && tool.verbose) print(NULL, msg);
}

static void format_and(const char *color, const char *fmt, va_list ap)
{
    char msg[1024];
    vsnprintf(msg, sizeof msg, fmt, ap);
    print(color, msg);
}

void g4_tool_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    format_and("31", fmt, ap);
    va_end(ap);
}

void g4_tool_note(const char *fmt, ...)
{
    va_list ap;
    if (tool.quiet) return;
    va_start(ap, fmt);
    format_and("33", fmt, ap);
    va_end(ap);
}

void g4_tool_detail(const char *fmt, ...)
{
    va_list ap;
    if (!tool.verbose) return;
    va_start(ap, fmt);
    format_and(NULL, fmt, ap);
    va_end(ap);
}

bool g4_tool_color(void)
{
    return tool.color;
}

bool g4_tool_color_out(void)
{
    return tool.color_out;
}

/* ---- start --------------------------------------------------------------- */

/* A descriptor that is closed would be taken by the first file opened.  The
 * replacement fails as the closed one would: reading 0 ends at once, writing
 * to 1 and 2 is an error. */
static void keep_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd) _exit(G4_STATUS_IO);
}

void g4_tool_start(const char *name)
{
    keep_descriptors();
    signal(SIGPIPE, SIG_DFL);
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGHUP);
    tool.name = name;
    tool.terminal = isatty(2);
    tool.started = g4_tool_now();
    g4_tool_configure(&(struct g4_tool_params){0});
}

void g4_tool_configure(const struct g4_tool_params *p)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    const bool dumb = term && strcmp(term, "dumb") == 0;
    tool.quiet = p->quiet;
    tool.verbose = p->verbose;
    tool.color = tool.terminal && !dumb && !(no_color && *no_color);
    tool.color_out = isatty(1) && !dumb && !(no_color && *no_color);
    if (p->color && strcmp(p->color, "always") == 0) tool.color = tool.color_out = true;
    if (p->color && strcmp(p->color, "never") == 0) tool.color = tool.color_out = false;
    g4_log_set(sink, NULL, p->verbose ? G4_LOG_VERBOSE : p->quiet ? G4_LOG_ERROR : G4_LOG_INFO);
}

/* ---- status -------------------------------------------------------------- */

void g4_tool_fail(int status)
{
    tool.seen |= 1u << status;
}

int g4_tool_status(void)
{
    static const int order[] = { G4_STATUS_USAGE, G4_STATUS_IO, G4_STATUS_MODEL, G4_STATUS_FAILED, G4_STATUS_CUT, G4_STATUS_CONDITION };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (tool.seen & 1u << order[i]) return order[i];
    return 0;
}

static int status_of(int code)
{
    switch (code) {
    case G4_EUSAGE: return G4_STATUS_USAGE;
    case G4_EMODEL:
    case G4_EFORMAT:
    case G4_EUNSUP: return G4_STATUS_MODEL;
    case G4_EIO:
    case G4_ENOMEM:
    case G4_EDEVICE: return G4_STATUS_IO;
    default: return G4_STATUS_FAILED;
    }
}

void g4_tool_fail_err(const g4_err *err)
{
    g4_tool_error("%s", err->msg);
    g4_tool_fail(status_of(err->code));
}

/* ---- progress ------------------------------------------------------------ */

static int columns(void)
{
    struct winsize w;
    return ioctl(2, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

static void print_left(char *out, size_t n, double seconds)
{
    const unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600) snprintf(out, n, "%u:%02u:%02u left", s / 3600, s / 60 % 60, s % 60);
    else snprintf(out, n, "%u:%02u left", s / 60, s % 60);
}

/* A bar for a share that is known, and the text behind it. */
static void draw(double share, const char *text)
{
    char head[32] = "";
    if (share >= 0) snprintf(head, sizeof head, "%3.0f %% ", 100 * share);
    int width = columns() - (int)strlen(text) - (int)strlen(head) - 4;
    fprintf(stderr, "\r%s", head);
    if (share >= 0 && width >= 8) {
        if (width > 30) width = 30;
        const int full = (int)(share * width);
        fputc('[', stderr);
        for (int i = 0; i < width; i++) fputc(i < full ? '#' : '.', stderr);
        fputc(']', stderr);
    }
    const int room = columns() - (int)strlen(head) - 1; /* a full line would wrap, and stay */
    fprintf(stderr, "%.*s\033[K", room > 0 ? room : 0, text);
    fflush(stderr);
    tool.bar = true;
}

/* Is it time to draw?  left: the time that is left, when it can be told. */
static bool wants_drawing(double *share, char *left, size_t n)
{
    const double now = g4_tool_now(), spent = now - tool.started;
    if (!tool.terminal || tool.quiet || now - tool.drawn < 0.1) return false;
    tool.drawn = now;
    if (*share > 1) *share = 1;
    if (*share > 0.005 && spent > 1) print_left(left, n, spent / *share * (1 - *share));
    return true;
}

void g4_tool_progress(uint64_t done, uint64_t tokens, double share)
{
    char text[160], left[40] = "";
    if (!wants_drawing(&share, left, sizeof left)) return;
    const double spent = tool.drawn - tool.started;
    snprintf(text, sizeof text, " %llu records  %.1f/s  %.0f tokens/s  %s", (unsigned long long)done,
             spent > 0 ? (double)done / spent : 0, spent > 0 ? (double)tokens / spent : 0, left);
    draw(share, text);
}

void g4_tool_progress_bytes(uint64_t done, uint64_t total)
{
    static uint64_t first; /* what a former run left is not this one's speed */
    static bool begun;
    char text[160], left[40] = "";
    if (!begun) {
        first = done;
        begun = true;
        tool.started = g4_tool_now();
    }
    double share = total ? (double)done / (double)total : -1, fresh = total > first ? (double)(done - first) / (double)(total - first) : -1;
    if (!wants_drawing(&fresh, left, sizeof left)) return;
    const double spent = tool.drawn - tool.started;
    snprintf(text, sizeof text, " %.0f of %.0f MB  %.1f MB/s  %s", (double)done / 1e6, (double)total / 1e6,
             spent > 0 ? (double)(done - first) / spent / 1e6 : 0, left);
    draw(share > 1 ? 1 : share, text);
}

bool g4_tool_terminal(void)
{
    return tool.terminal;
}

void g4_tool_progress_hide(void)
{
    if (!tool.bar) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    tool.bar = false;
}
