/* base/proc: see proc.h.  The sandbox's command line is in sandbox.c.
 *
 * How a child ends: its leader exits (or is ended for a limit: SIGTERM to the
 * group, SIGKILL after GRACE); the exit is seen before it is reaped, so that the
 * group's number is still its own when what is left of the group is killed;
 * then the pipes are drained.  This process is made a subreaper, so orphans of
 * tools come to it and not to an init that may not exist. */
#define _GNU_SOURCE /* vfork, execvpe, close_range, pipe2 */
#include "base/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { GROUPS_MAX = 1024, DRAIN_MAX = 1 << 20, NO_PIDFD_MS = 20 };
static const double GRACE = 0.5; /* seconds between SIGTERM and SIGKILL */

struct g4_proc {
    pid_t pid;              /* its group's number too */
    int pidfd;              /* readable when it has exited; -1: the kernel has none */
    int in, out, err;       /* our ends of its descriptors; -1: closed */
    bool open_input, exited, hard;
    g4_str input, out_text, err_text;
    size_t sent, out_max, out_total;
    double started, time_max, asked; /* asked: when SIGTERM went out, or 0 */
    enum g4_proc_end why, end;       /* why: the limit it is being ended for */
    int wait_status;
    g4_proc *next, **link;
};

static g4_proc *running; /* started and not freed */
static volatile pid_t group_of[GROUPS_MAX];
static pid_t *born_before; /* children this process had already; -1 ends the list */

extern char **environ;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- children of this process -------------------------------------------- */

/* Every child's number, zombies included; -1 ends the list.  Empty where the
 * kernel does not list children. */
static pid_t *list_children(void)
{
    pid_t *list = NULL;
    size_t n = 0, cap = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300];
        int pid;
        snprintf(path, sizeof path, "/proc/self/task/%s/children", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
        while (f && fscanf(f, "%d", &pid) == 1) {
            G4_GROW(list, cap, n + 1);
            list[n++] = pid;
        }
        if (f) fclose(f);
    }
    if (d) closedir(d);
    G4_GROW(list, cap, n + 1);
    list[n] = -1;
    return list;
}

static void prepare(void)
{
    if (born_before) return;
    born_before = list_children();
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
}

static g4_proc *by_pid(pid_t pid)
{
    for (g4_proc *p = running; p; p = p->next)
        if (p->pid == pid && !p->exited) return p;
    return NULL;
}

/* Takes the status of every child that has exited. */
static void reap(void)
{
    siginfo_t info;
    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid) return;
        g4_proc *p = by_pid(info.si_pid);
        int status = 0;
        if (p) kill(-p->pid, SIGKILL);
        if (waitpid(info.si_pid, &status, WNOHANG) <= 0) return;
        if (!p) continue;
        p->exited = true;
        p->wait_status = status;
        for (size_t i = 0; i < GROUPS_MAX; i++)
            if (group_of[i] == p->pid) group_of[i] = 0;
    }
}

/* No child of ours is left: what tools left behind in other groups ends too. */
static void end_strays(void)
{
    for (int round = 0; round < 200; round++) {
        pid_t *list = list_children();
        size_t n = 0;
        for (const pid_t *c = list; *c >= 0; c++) {
            const pid_t *old = born_before;
            while (*old >= 0 && *old != *c) old++;
            if (*old >= 0) continue;
            kill(*c, SIGKILL);
            n++;
        }
        free(list);
        reap();
        if (!n) return;
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
}

void g4_proc_kill_all(void)
{
    for (size_t i = 0; i < GROUPS_MAX; i++)
        if (group_of[i] > 0) kill(-group_of[i], SIGKILL);
}

/* ---- starting ------------------------------------------------------------ */

struct spawn {
    const char *const *argv;
    char **env;
    const char *dir;
    int in, out, err;      /* the child's ends */
    sigset_t mask;
    volatile int failed;   /* errno of the step that failed in the child */
};

/* In the child, in the parent's memory: system calls only. */
static void become(struct spawn *s)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L);
    for (int sig = 1; sig < NSIG; sig++) {
        struct sigaction act;
        if (sigaction(sig, NULL, &act)) continue;
        if (act.sa_handler != SIG_DFL && (act.sa_handler != SIG_IGN || sig == SIGPIPE)) signal(sig, SIG_DFL);
    }
    if (dup2(s->in, 0) < 0 || dup2(s->out, 1) < 0 || dup2(s->err, 2) < 0 || (s->dir && chdir(s->dir))) {
        s->failed = errno;
        _exit(127);
    }
    if (close_range(3, ~0u, 0))
        for (int fd = 3; fd < 4096; fd++) close(fd);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
    execvpe(s->argv[0], (char *const *)s->argv, s->env);
    s->failed = errno;
    _exit(127);
}

/* vfork: copying the page tables of a loaded model would take longer than many
 * tools run.  Signals stay blocked until the group is on the list of those that
 * a signal handler kills. */
static __attribute__((noinline)) pid_t spawn(struct spawn *s)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &s->mask);
    const pid_t pid = vfork();
    if (pid == 0) become(s);
    if (pid > 0 && !s->failed) {
        size_t i = 0;
        setpgid(pid, pid);
        while (i < GROUPS_MAX && group_of[i]) i++;
        if (i < GROUPS_MAX) group_of[i] = pid;
    }
    const int saved = errno;
    pthread_sigmask(SIG_SETMASK, &s->mask, NULL);
    errno = saved;
    return pid;
}

/* Our environment with the additions, which win. */
static char **make_env(const char *const *add)
{
    size_t n = 0, m = 0, kept = 0;
    while (environ && environ[n]) n++;
    while (add && add[m]) m++;
    char **env = g4_alloc((n + m + 1) * sizeof *env);
    for (size_t i = 0; i < n; i++) {
        bool again = false;
        const size_t name = strcspn(environ[i], "=") + 1;
        for (size_t k = 0; k < m; k++) again |= strncmp(environ[i], add[k], name) == 0;
        if (!again) env[kept++] = environ[i];
    }
    for (size_t k = 0; k < m; k++) env[kept++] = (char *)add[k];
    return env;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* pipes[3][2]: the child's end of each is [i][i != 0]. */
static int open_pipes(int pipes[3][2], g4_err *err)
{
    for (int i = 0; i < 3; i++) {
        if (pipe2(pipes[i], O_CLOEXEC)) {
            g4_fail_errno(err, G4_EIO, "cannot make a pipe");
            for (int k = 0; k < i; k++) close(pipes[k][0]), close(pipes[k][1]);
            return G4_EIO;
        }
        const int ours = pipes[i][i == 0];
        fcntl(ours, F_SETFL, O_NONBLOCK);
    }
    return G4_OK;
}

/* write() without SIGPIPE: the program may have closed its input. */
static ssize_t write_quietly(int fd, const void *bytes, size_t n)
{
    sigset_t pipe_signal, old;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
    const ssize_t wrote = write(fd, bytes, n);
    const int saved = errno;
    if (wrote < 0 && saved == EPIPE) sigtimedwait(&pipe_signal, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = saved;
    return wrote;
}

static void feed(g4_proc *p)
{
    while (p->in >= 0 && p->sent < p->input.n) {
        const ssize_t n = write_quietly(p->in, p->input.p + p->sent, p->input.n - p->sent);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            close_fd(&p->in);
            return;
        }
        p->sent += (size_t)n;
    }
    g4_str_clear(&p->input);
    p->sent = 0;
    if (!p->open_input) close_fd(&p->in);
}

/* The input is written before the program runs: should we be killed, it reads all of it, not a part
 * (of as much as a pipe holds). */
static bool start_in(g4_proc *p, const struct g4_proc_params *q, const char *const *argv, g4_err *err)
{
    int pipes[3][2];
    if (open_pipes(pipes, err)) return false;
    struct spawn s = { .argv = argv, .env = make_env(q->env), .dir = q->sandbox ? NULL : q->dir,
                       .in = pipes[0][0], .out = pipes[1][1], .err = pipes[2][1] };
    p->in = pipes[0][1];
    feed(p);
    p->pid = spawn(&s);
    const int failed = p->pid < 0 ? errno : s.failed;
    free(s.env);
    close(pipes[0][0]);
    close(pipes[1][1]);
    close(pipes[2][1]);
    if (failed) {
        if (p->pid > 0) waitpid(p->pid, NULL, 0);
        close_fd(&p->in);
        close(pipes[1][0]);
        close(pipes[2][0]);
        errno = failed;
        g4_fail_errno(err, G4_EIO, "cannot start '%s'", argv[0]);
        return false;
    }
    p->out = pipes[1][0];
    p->err = pipes[2][0];
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    return true;
}

g4_proc *g4_proc_start(const struct g4_proc_params *q, g4_err *err)
{
    prepare();
    const char **boxed = q->sandbox ? g4_sandbox_argv(q->sandbox, q->dir, q->argv) : NULL;
    g4_proc *p = g4_alloc(sizeof *p);
    p->open_input = q->open_input;
    p->out_max = q->out_max;
    p->time_max = q->time_max;
    p->started = now();
    g4_str_add(&p->input, q->input.p, q->input.n);
    const bool good = start_in(p, q, boxed ? boxed : q->argv, err);
    free(boxed);
    if (!good) {
        g4_str_free(&p->input);
        free(p);
        return NULL;
    }
    p->next = running;
    p->link = &running;
    if (running) running->link = &p->next;
    running = p;
    return p;
}

/* ---- its descriptors ----------------------------------------------------- */

static void keep_end(g4_str *s, size_t most)
{
    if (s->n <= most) return;
    memmove(s->p, s->p + (s->n - most), most);
    s->n = most;
    s->p[most] = 0;
}

/* Reads what is there, `most` bytes at the most (0: all). */
static void drink(g4_proc *p, int *fd, g4_str *into, size_t most)
{
    char buf[65536];
    size_t got = 0;
    while (*fd >= 0 && (!most || got < most)) {
        const ssize_t n = read(*fd, buf, sizeof buf);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            close_fd(fd);
            return;
        }
        got += (size_t)n;
        g4_str_add(into, buf, (size_t)n);
        if (into == &p->err_text) keep_end(into, G4_PROC_ERR_KEPT);
        else p->out_total += (size_t)n;
        if (into == &p->out_text && p->out_max && p->out_total > p->out_max) return;
    }
}

void g4_proc_write(g4_proc *p, const void *bytes, size_t n)
{
    g4_str_add(&p->input, bytes, n);
    feed(p);
}

void g4_proc_close_input(g4_proc *p)
{
    p->open_input = false;
    feed(p);
}

unsigned g4_proc_poll(const g4_proc *p, struct pollfd *fds)
{
    unsigned n = 0;
    if (p->end) return 0;
    if (p->in >= 0 && p->sent < p->input.n) fds[n++] = (struct pollfd){ p->in, POLLOUT, 0 };
    if (p->out >= 0) fds[n++] = (struct pollfd){ p->out, POLLIN, 0 };
    if (p->err >= 0) fds[n++] = (struct pollfd){ p->err, POLLIN, 0 };
    if (p->pidfd >= 0) fds[n++] = (struct pollfd){ p->pidfd, POLLIN, 0 };
    return n;
}

/* ---- ending -------------------------------------------------------------- */

void g4_proc_end(g4_proc *p)
{
    if (p->exited || p->asked > 0) return;
    p->asked = now();
    kill(-p->pid, SIGTERM);
    kill(-p->pid, SIGCONT); /* one that is stopped hears it too */
}

static void check_limits(g4_proc *p)
{
    const double t = now();
    if (!p->why && p->out_max && p->out_total > p->out_max) {
        p->why = G4_PROC_OUTPUT;
        close_fd(&p->out);
        g4_proc_end(p);
    }
    if (!p->why && p->time_max > 0 && t - p->started >= p->time_max) {
        p->why = G4_PROC_TIME;
        g4_proc_end(p);
    }
    if (p->asked > 0 && !p->hard && t - p->asked >= GRACE) {
        p->hard = true;
        kill(-p->pid, SIGKILL);
    }
}

int g4_proc_wait_ms(const g4_proc *p)
{
    double until = -1;
    if (p->end) return -1;
    if (p->time_max > 0 && !p->why) until = p->started + p->time_max;
    if (p->asked > 0 && !p->hard) until = p->asked + GRACE;
    double ms = until < 0 ? -1 : 1e3 * (until - now()) + 1;
    if (until >= 0 && ms < 0) ms = 0;
    if (p->pidfd < 0 && (ms < 0 || ms > NO_PIDFD_MS)) ms = NO_PIDFD_MS;
    return ms > 1e9 ? 1000000000 : (int)ms;
}

static void finish(g4_proc *p)
{
    if (p->why != G4_PROC_OUTPUT) drink(p, &p->out, &p->out_text, DRAIN_MAX);
    drink(p, &p->err, &p->err_text, DRAIN_MAX);
    if (!p->why && p->out_max && p->out_total > p->out_max) p->why = G4_PROC_OUTPUT;
    close_fd(&p->in);
    close_fd(&p->out);
    close_fd(&p->err);
    close_fd(&p->pidfd);
    p->end = p->why ? p->why : WIFSIGNALED(p->wait_status) ? G4_PROC_SIGNAL : G4_PROC_EXITED;
}

enum g4_proc_end g4_proc_step(g4_proc *p)
{
    if (p->end) return p->end;
    feed(p);
    drink(p, &p->out, &p->out_text, DRAIN_MAX);
    drink(p, &p->err, &p->err_text, DRAIN_MAX);
    reap();
    if (p->exited) finish(p);
    else check_limits(p);
    return p->end;
}

enum g4_proc_end g4_proc_state(const g4_proc *p, int *value)
{
    *value = WIFSIGNALED(p->wait_status) ? WTERMSIG(p->wait_status) : WEXITSTATUS(p->wait_status);
    return p->end;
}

g4_str *g4_proc_out(g4_proc *p)
{
    return &p->out_text;
}

g4_str *g4_proc_err(g4_proc *p)
{
    return &p->err_text;
}

void g4_proc_free(g4_proc *p)
{
    if (!p) return;
    if (!p->exited) {
        kill(-p->pid, SIGKILL);
        while (!p->exited) {
            siginfo_t info;
            if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT) && errno != EINTR) break;
            reap();
        }
    }
    if (!p->end) finish(p);
    *p->link = p->next;
    if (p->next) p->next->link = p->link;
    g4_str_free(&p->input);
    g4_str_free(&p->out_text);
    g4_str_free(&p->err_text);
    free(p);
    if (!running) end_strays();
}

void g4_proc_describe(enum g4_proc_end end, int value, double time_max, size_t out_max, g4_str *out)
{
    switch (end) {
    case G4_PROC_RUNS: g4_str_adds(out, "still runs"); break;
    case G4_PROC_EXITED: g4_str_addf(out, "ended with status %d", value); break;
    case G4_PROC_SIGNAL: g4_str_addf(out, "was ended by signal %d (%s)", value, strsignal(value)); break;
    case G4_PROC_TIME: g4_str_addf(out, "was ended after the time limit of %g s", time_max); break;
    case G4_PROC_OUTPUT: g4_str_addf(out, "was ended for writing more than %zu bytes", out_max); break;
    }
}
