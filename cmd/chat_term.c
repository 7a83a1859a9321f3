/* cmd/chat_term: see chat.h.  Handlers only write the signal's number into a
 * pipe, so that line editor and engine see signals where they wait for input. */
#define _GNU_SOURCE /* pipe2 */
#include "chat.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static int pipe_fd[2] = { -1, -1 };
static struct termios normal;
static bool terminal, quieted;

void (*g4_term_restore)(void);
void (*g4_term_resume)(void);

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH };

static void on_signal(int sig)
{
    const int had = errno;
    const char byte = (char)sig;
    if (write(pipe_fd[1], &byte, 1) < 0) {} /* full: enough of them wait */
    errno = had;
}

int g4_term_start(g4_err *err)
{
    if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK)) return g4_fail_errno(err, G4_EIO, "cannot make a pipe");
    signal(SIGPIPE, SIG_IGN); /* a write fails instead, and the terminal can be given back first */
    terminal = tcgetattr(0, &normal) == 0;
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
        if (!terminal && (caught[i] == SIGTSTP || caught[i] == SIGWINCH)) continue;
        struct sigaction old, now = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
        sigaction(caught[i], NULL, &old);
        if (old.sa_handler != SIG_IGN) sigaction(caught[i], &now, NULL);
    }
    return G4_OK;
}

void g4_term_end(void)
{
    g4_term_quiet(false);
    signal(SIGPIPE, SIG_DFL);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) signal(caught[i], SIG_DFL);
    if (pipe_fd[0] >= 0) {
        close(pipe_fd[0]);
        close(pipe_fd[1]);
    }
    pipe_fd[0] = pipe_fd[1] = -1;
}

int g4_term_fd(void)
{
    return pipe_fd[0];
}

void g4_term_quiet(bool on)
{
    if (!terminal || quieted == on) return;
    struct termios t = normal;
    if (on) t.c_lflag &= (tcflag_t)~(ECHO | ICANON);
    tcsetattr(0, TCSADRAIN, &t);
    quieted = on;
}

static void give_back(void)
{
    if (g4_term_restore) g4_term_restore();
    if (quieted) tcsetattr(0, TCSADRAIN, &normal);
}

/* Ctrl-Z: the shell gets the terminal as it was. */
static void stop_here(void)
{
    give_back();
    kill(getpid(), SIGSTOP);
    if (quieted) {
        quieted = false;
        g4_term_quiet(true);
    }
    if (g4_term_resume) g4_term_resume();
}

int g4_term_signal(void)
{
    char byte;
    while (read(pipe_fd[0], &byte, 1) == 1) {
        switch (byte) {
        case SIGTSTP: stop_here(); continue;
        case SIGTERM:
        case SIGHUP:
            give_back();
            signal(byte, SIG_DFL);
            raise(byte);
            continue;
        default: return byte;
        }
    }
    return 0;
}

static bool is_control(unsigned char c)
{
    return (c < ' ' && c != '\n' && c != '\t') || c == 0x7f;
}

void g4_term_put(int fd, const char *p, size_t n)
{
    size_t done = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_control((unsigned char)p[i])) continue;
        const char shown[2] = { '^', (char)(p[i] ^ 0x40) };
        g4_write_all(fd, p + done, i - done);
        g4_write_all(fd, shown, 2);
        done = i + 1;
    }
    g4_write_all(fd, p + done, n - done);
}
