/* call/tty: see tty.h. */
#include "call/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"

enum { SHOWN_MAX = 4000 }; /* characters of the arguments */

struct settled { /* "always" or "never", by tool */
    char *tool;
    enum g4_answer answer;
};

struct g4_tty {
    int fd;
    g4_str line;
    char *tool;              /* of the question that is open */
    enum g4_answer at_once;  /* the answer was settled before */
    struct settled *settled;
    size_t n, cap;
};

g4_tty *g4_tty_open(const char *path)
{
    const int fd = open(path ? path : "/dev/tty", O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return NULL;
    g4_tty *a = g4_alloc(sizeof *a);
    a->fd = fd;
    return a;
}

void g4_tty_free(g4_tty *a)
{
    if (!a) return;
    for (size_t i = 0; i < a->n; i++) free(a->settled[i].tool);
    close(a->fd);
    free(a->settled);
    free(a->tool);
    g4_str_free(&a->line);
    free(a);
}

/* Every character that is not printable ASCII as \uXXXX, in pairs beyond U+FFFF. */
static void put_ascii(g4_str *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        const size_t len = g4_utf8_decode(p + i, n - i, &cp);
        if (len == 1 && cp >= 0x20 && cp < 0x7f) g4_str_addc(s, (char)cp);
        else if (!len) g4_str_addf(s, "\\x%02x", (unsigned char)p[i]);
        else if (cp < 0x10000) g4_str_addf(s, "\\u%04x", cp);
        else g4_str_addf(s, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10), 0xdc00 + ((cp - 0x10000) & 0x3ff));
        i += len ? len : 1;
    }
}

/* The terminal is in blocking hands usually; a full one is waited for. */
static void say(g4_tty *a, const g4_str *s)
{
    for (size_t at = 0; at < s->n;) {
        const ssize_t n = write(a->fd, s->p + at, s->n - at);
        if (n > 0) at += (size_t)n;
        else if (n < 0 && (errno == EINTR || errno == EAGAIN)) usleep(1000);
        else return;
    }
}

static void question(g4_tty *a)
{
    g4_str s = {0};
    g4_str_adds(&s, "run it? [y]es, [n]o, [a]lways this tool, ne[v]er this tool: ");
    say(a, &s);
    g4_str_free(&s);
}

void g4_tty_put(g4_tty *a, const char *tool, g4_json arguments)
{
    g4_str s = {0}, shown = {0};
    free(a->tool);
    a->tool = g4_strdup(tool);
    a->at_once = G4_ANSWER_NONE;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->settled[i].tool, tool) == 0) a->at_once = a->settled[i].answer;
    if (a->at_once) return;
    put_ascii(&shown, arguments.p, arguments.n);
    g4_str_addf(&s, "\r\n%s ", tool);
    g4_str_add(&s, shown.p, shown.n > SHOWN_MAX ? SHOWN_MAX : shown.n);
    if (shown.n > SHOWN_MAX) g4_str_addf(&s, " ... (%zu characters in all)", shown.n);
    g4_str_adds(&s, "\r\n");
    say(a, &s);
    g4_str_free(&s);
    g4_str_free(&shown);
    g4_str_clear(&a->line);
    question(a);
}

int g4_tty_fd(const g4_tty *a)
{
    return a->fd;
}

static enum g4_answer settle(g4_tty *a, enum g4_answer answer)
{
    G4_GROW(a->settled, a->cap, a->n + 1);
    a->settled[a->n++] = (struct settled){ g4_strdup(a->tool), answer };
    return answer;
}

static enum g4_answer read_answer(g4_tty *a)
{
    static const char *const words[][2] = { { "y", "yes" }, { "n", "no" }, { "a", "always" }, { "v", "never" } };
    char *p = a->line.p + strspn(a->line.p, " \t");
    p[strcspn(p, " \t\r\n")] = 0;
    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(p, words[i][0]) && strcasecmp(p, words[i][1])) continue;
        const enum g4_answer answer = i % 2 ? G4_ANSWER_NO : G4_ANSWER_YES;
        return i < 2 ? answer : settle(a, answer);
    }
    question(a);
    return G4_ANSWER_NONE;
}

enum g4_answer g4_tty_step(g4_tty *a)
{
    char buf[256];
    if (a->at_once) return a->at_once;
    const ssize_t n = read(a->fd, buf, sizeof buf);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return G4_ANSWER_NONE;
    if (n <= 0) return G4_ANSWER_GONE;
    g4_str_add(&a->line, buf, (size_t)n);
    if (!memchr(a->line.p, '\n', a->line.n)) return G4_ANSWER_NONE;
    const enum g4_answer answer = read_answer(a);
    g4_str_clear(&a->line);
    return answer;
}
