/* base/proc: every way a program can end has its outcome, leaves no zombie and no
 * descriptor, and nothing of its group alive. */
#include "base/proc.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../tap.h"

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int open_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}

static void wait_for(g4_proc *p)
{
    while (!g4_proc_step(p)) {
        struct pollfd fds[G4_PROC_FDS];
        const unsigned n = g4_proc_poll(p, fds);
        poll(fds, n, g4_proc_wait_ms(p));
    }
}

struct want {
    const char *name, *script;
    g4_sv input;
    size_t out_max;
    double time_max;
    enum g4_proc_end end;
    int value;
    const char *out; /* NULL: not looked at */
    double most;     /* seconds it may take */
};

static g4_proc *start(const struct want *w)
{
    const char *argv[] = { "sh", "-c", w->script, NULL };
    g4_err err = {0};
    g4_proc *p = g4_proc_start(&(struct g4_proc_params){ .argv = argv, .input = w->input, .out_max = w->out_max,
                                                         .time_max = w->time_max }, &err);
    if (!p) printf("# %s\n", err.msg);
    return p;
}

static void run(const struct want *w)
{
    const int before = open_descriptors();
    const double begin = seconds();
    int value = -1;
    g4_proc *p = start(w);
    if (!ok(p != NULL, "%s: starts", w->name)) return;
    wait_for(p);
    const double took = seconds() - begin;
    const enum g4_proc_end end = g4_proc_state(p, &value);
    ok(end == w->end && (w->value < 0 || value == w->value), "%s: end %d, value %d", w->name, end, value);
    g4_str *out = g4_proc_out(p);
    if (w->out) is_str(out->p ? out->p : "", w->out, w->name);
    ok(!w->out_max || out->n <= w->out_max + 65536, "%s: kept %zu bytes", w->name, out->n);
    ok(took < w->most, "%s: took %.2f s of %.1f", w->name, took, w->most);
    g4_proc_free(p);
    is_int(open_descriptors(), before, "no descriptor leaked");
    is_int(waitpid(-1, &value, WNOHANG), -1, "no child is left, dead or alive");
}

static void endings(void)
{
    static char big[1 << 20];
    memset(big, 'x', sizeof big);
    const struct want all[] = {
        { "echo", "cat", { "hello", 5 }, 0, 10, G4_PROC_EXITED, 0, "hello", 5 },
        { "1 MiB through", "cat | wc -c | tr -d '\\n'", { big, sizeof big }, 0, 10, G4_PROC_EXITED, 0, "1048576", 5 },
        { "1 MiB nobody reads", "echo done", { big, sizeof big }, 0, 10, G4_PROC_EXITED, 0, "done\n", 5 },
        { "closes its input", "exec <&-; sleep 0.1; echo fine", { big, sizeof big }, 0, 10, G4_PROC_EXITED, 0, "fine\n", 5 },
        { "closes its output", "exec >&- 2>&-; sleep 0.1; exit 4", { "", 0 }, 0, 10, G4_PROC_EXITED, 4, "", 5 },
        { "status", "exit 3", { "", 0 }, 0, 10, G4_PROC_EXITED, 3, "", 5 },
        { "a signal", "kill -11 $$", { "", 0 }, 0, 10, G4_PROC_SIGNAL, 11, "", 5 },
        { "hangs", "sleep 100", { "", 0 }, 0, 0.2, G4_PROC_TIME, -1, "", 3 },
        { "hangs and ignores SIGTERM", "trap '' TERM; while :; do sleep 1; done", { "", 0 }, 0, 0.2, G4_PROC_TIME, 9, "", 4 },
        { "stops itself", "kill -STOP $$", { "", 0 }, 0, 0.2, G4_PROC_TIME, -1, "", 3 },
        { "floods", "yes", { "", 0 }, 100000, 20, G4_PROC_OUTPUT, -1, NULL, 5 },
        { "floods stderr", "i=0; while [ $i -lt 20000 ]; do echo 0123456789 >&2; i=$((i+1)); done", { "", 0 }, 100000, 20, G4_PROC_EXITED, 0, "", 10 },
        { "leaves one behind", "sleep 100 & echo $?", { "", 0 }, 0, 10, G4_PROC_EXITED, 0, "0\n", 3 },
        { "leaves one behind in a session of its own", "setsid sleep 100 & sleep 0.2; echo here", { "", 0 }, 0, 10, G4_PROC_EXITED, 0, "here\n", 3 },
        { "forks again and again", "for i in 1 2 3 4 5; do (sleep 100 & sleep 100 &) & done; echo x", { "", 0 }, 0, 10, G4_PROC_EXITED, 0, "x\n", 3 },
        { "no room past the limit", "printf 12345", { "", 0 }, 4, 10, G4_PROC_OUTPUT, -1, NULL, 3 },
        { "exactly the limit", "printf 1234", { "", 0 }, 4, 10, G4_PROC_EXITED, 0, "1234", 3 },
        { "descriptors", "ls /proc/self/fd | tr '\\n' ' '", { "", 0 }, 0, 10, G4_PROC_EXITED, 0, "0 1 2 3 ", 3 },
        { "a group of its own", "[ $(ps -o pgid= -p $$) = $$ ] && echo leader", { "", 0 }, 0, 10, G4_PROC_EXITED, 0, "leader\n", 3 },
        { "binary", "printf 'a\\000\\377b' | od -An -tx1 | tr -d ' \\n'", { "", 0 }, 0, 10, G4_PROC_EXITED, 0, "6100ff62", 3 },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) run(&all[i]);
}

static void refused(void)
{
    const char *argv[] = { "/no/such/program", NULL }, *sh[] = { "sh", "-c", "pwd; echo $A $HOME", NULL };
    const char *env[] = { "A=b c", "HOME=/h", NULL };
    const int before = open_descriptors();
    g4_err err = {0};
    ok(!g4_proc_start(&(struct g4_proc_params){ .argv = argv }, &err) && strstr(err.msg, "/no/such/program"), "no program: %s", err.msg);
    err.code = 0;
    ok(!g4_proc_start(&(struct g4_proc_params){ .argv = sh, .dir = "/no/where" }, &err), "no folder: %s", err.msg);
    is_int(open_descriptors(), before, "no descriptor leaked");
    g4_proc *p = g4_proc_start(&(struct g4_proc_params){ .argv = sh, .dir = "/usr", .env = env, .time_max = 10 }, NULL);
    wait_for(p);
    is_str(g4_proc_out(p)->p, "/usr\nb c /h\n", "folder and environment");
    g4_proc_free(p);
}

/* A dialogue: the input stays open. */
static void dialogue(void)
{
    const char *argv[] = { "sh", "-c", "while read -r l; do echo got $l; done", NULL };
    int value;
    g4_proc *p = g4_proc_start(&(struct g4_proc_params){ .argv = argv, .open_input = true, .time_max = 10 }, NULL);
    for (int i = 0; i < 3; i++) {
        g4_proc_write(p, "line\n", 5);
        while (!g4_proc_step(p) && g4_proc_out(p)->n < (size_t)(i + 1) * 9) {
            struct pollfd fds[G4_PROC_FDS];
            poll(fds, g4_proc_poll(p, fds), g4_proc_wait_ms(p));
        }
    }
    is_str(g4_proc_out(p)->p, "got line\ngot line\ngot line\n", "a dialogue");
    g4_proc_close_input(p);
    wait_for(p);
    ok(g4_proc_state(p, &value) == G4_PROC_EXITED && !value, "... ends when the input does");
    g4_proc_free(p);
}

/* Many at once, one of them freed while it runs. */
static void many(void)
{
    enum { N = 20 };
    const int before = open_descriptors();
    const double begin = seconds();
    g4_proc *p[N];
    int good = 0, value;
    for (int i = 0; i < N; i++) {
        char script[80];
        snprintf(script, sizeof script, i == 7 ? "sleep 100" : "sleep 0.3; echo %d", i);
        p[i] = start(&(struct want){ .script = script, .time_max = 20 });
    }
    g4_proc_free(p[7]);
    for (int i = 0; i < N; i++) {
        char want[16];
        if (i == 7) continue;
        snprintf(want, sizeof want, "%d\n", i);
        wait_for(p[i]);
        good += g4_proc_state(p[i], &value) == G4_PROC_EXITED && !strcmp(g4_proc_out(p[i])->p, want);
        g4_proc_free(p[i]);
    }
    is_int(good, N - 1, "twenty side by side");
    ok(seconds() - begin < 10, "... in %.2f s", seconds() - begin);
    is_int(open_descriptors(), before, "no descriptor leaked");
    is_int(waitpid(-1, &value, WNOHANG), -1, "no child is left");
}


static void sandbox(void)
{
    const char *const write[] = { "/tmp/g4-sandbox-test" };
    const struct g4_sandbox box = { write, 1 };
    g4_err err = {0};
    int value;
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "/nowhere", 1);
    ok(g4_sandbox_check(&box, &err) == G4_EUSAGE && strstr(err.msg, "needs bubblewrap"), "without bubblewrap: %s", err.msg);
    setenv("PATH", path, 1);
    free(path);
    err = (g4_err){0};
    if (system("mkdir -p /tmp/g4-sandbox-test && touch /tmp/g4-sandbox-secret")) return;
    if (g4_sandbox_check(&box, &err)) {
        skip("a sandbox", err.msg);
        return;
    }
    const char *argv[] = { "sh", "-c", "touch /etc/g4-no 2>/dev/null && echo wrote /etc; touch /tmp/mine && echo tmp;"
                           "[ -e /tmp/g4-sandbox-secret ] && echo saw /tmp; echo yes >/tmp/g4-sandbox-test/it && echo write;"
                           "ls /sys/class/net 2>/dev/null | grep -v lo >/dev/null; grep -c : /proc/net/dev; pwd", NULL };
    g4_proc *p = g4_proc_start(&(struct g4_proc_params){ .argv = argv, .time_max = 10, .sandbox = &box, .dir = "/usr" }, &err);
    wait_for(p);
    is_str(g4_proc_out(p)->p ? g4_proc_out(p)->p : "", "tmp\nwrite\n1\n/usr\n", "read-only, a private /tmp, one writable folder, no network but lo");
    g4_proc_free(p);
    ok(access("/tmp/mine", F_OK) != 0, "what it wrote to /tmp is gone");
    const char *hang[] = { "sh", "-c", "setsid sleep 98765 & sleep 98765", NULL };
    p = g4_proc_start(&(struct g4_proc_params){ .argv = hang, .time_max = 0.3, .sandbox = &box }, &err);
    wait_for(p);
    ok(g4_proc_state(p, &value) == G4_PROC_TIME, "a time limit inside");
    g4_proc_free(p);
    ok(system("pgrep -f 'sleep 9876[5]' >/dev/null") != 0, "... ends all that ran there");
    if (system("rm -rf /tmp/g4-sandbox-test /tmp/g4-sandbox-secret")) {}
}

int main(void)
{
    /* A child that this process had before is nobody's to kill. */
    const pid_t older = fork();
    if (!older) {
        pause();
        _exit(0);
    }
    /* The checks for leftovers would see it: they run in a process without it. */
    const pid_t inner = fork();
    if (!inner) {
        endings();
        refused();
        dialogue();
        many();
        sandbox();
        done_testing();
        fflush(stdout);
        _exit(tap_failed != 0);
    }
    int status;
    waitpid(inner, &status, 0);
    g4_proc *p = start(&(struct want){ .script = "true", .time_max = 5 });
    wait_for(p);
    g4_proc_free(p);
    const bool alive = kill(older, 0) == 0 && waitpid(older, &status, WNOHANG) == 0;
    if (!alive) printf("not ok - a child of before was killed\n");
    kill(older, SIGKILL);
    waitpid(older, NULL, 0);
    return !alive || !WIFEXITED(status);
}
