/* spawn: times a command from exec, as the shell that started it would.
 *
 *   spawn [-n RUNS] [-m] COMMAND ARGUMENT...
 *
 * Prints medians: `first_ms` to the first byte on stdout, `total_ms` to the end; with -m also `anon_mb`, the
 * most memory it held that is not a mapped file (watching disturbs the times a little). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* MB of anonymous and shared memory of a process; 0 when it is gone. */
static double anon_mb(pid_t pid)
{
    char path[64], line[256];
    double kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, "RssAnon:", 8) == 0 || strncmp(line, "RssShmem:", 9) == 0)
            kb += strtod(strchr(line, ':') + 1, NULL);
    fclose(f);
    return kb / 1e3;
}

struct sample {
    double first_ms, total_ms, mb;
};

static struct sample once(char **argv, bool memory)
{
    struct sample s = { 0 };
    int out[2], status;
    pid_t pid;
    posix_spawn_file_actions_t fa;
    if (pipe2(out, O_CLOEXEC) < 0) exit(4);
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&fa, out[1], 1);
    const double start = now_ms();
    if (posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ) != 0) {
        fprintf(stderr, "spawn: cannot run '%s'\n", argv[0]);
        exit(4);
    }
    close(out[1]);
    posix_spawn_file_actions_destroy(&fa);
    struct pollfd p = { .fd = out[0], .events = POLLIN };
    for (char buf[4096];;) {
        if (memory) {
            const double mb = anon_mb(pid);
            if (mb > s.mb) s.mb = mb;
            if (poll(&p, 1, 2) == 0) continue;
        }
        if (read(out[0], buf, sizeof buf) <= 0) break;
        if (s.first_ms == 0) s.first_ms = now_ms() - start;
    }
    close(out[0]);
    waitpid(pid, &status, 0);
    s.total_ms = now_ms() - start;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "spawn: '%s' failed (status 0x%x)\n", argv[0], (unsigned)status);
        exit(1);
    }
    return s;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

int main(int argc, char **argv)
{
    double first[101], total[101], mb = 0;
    bool memory = false;
    int runs = 1;
    for (int c; (c = getopt(argc, argv, "+n:m")) != -1;) {
        if (c == 'n') runs = atoi(optarg);
        else if (c == 'm') memory = true;
        else return 2;
    }
    if (optind == argc || runs < 1 || runs > 101) {
        fputs("usage: spawn [-n RUNS] [-m] COMMAND ARGUMENT...\n", stderr);
        return 2;
    }
    for (int i = 0; i < runs; i++) {
        const struct sample s = once(argv + optind, memory);
        first[i] = s.first_ms;
        total[i] = s.total_ms;
        if (s.mb > mb) mb = s.mb;
    }
    printf("first_ms %.2f\ntotal_ms %.2f\n", median(first, runs), median(total, runs));
    if (memory) printf("anon_mb %.1f\n", mb);
    return 0;
}
