/* base/thread: see thread.h.
 *
 * The state of the current job is one 64-bit word, the ticket: its upper half
 * counts jobs since the pool was made, its lower half says how many items are
 * still to be claimed.  A thread claims by a compare-and-swap that takes some
 * off the lower half; since the upper half changes with each job, a late thread can
 * never claim from a job it has not looked at.  While a claimed item is not done
 * its job cannot end, so what describes the job (work, job, n) is stable for
 * whoever holds an item.  The thread that finishes the last item of a job starts
 * the next one: nobody waits for a thread that holds nothing. */
#define _GNU_SOURCE /* sched_getaffinity and its sets */
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { SPIN_NS = 30000 };

struct worker {
    struct g4_pool *pool;
    pthread_t tid;
    uint32_t index;
};

struct g4_pool {
    uint32_t n;                    /* threads in all */
    struct worker *workers;        /* [n]; 0 is the caller and has no thread */
    const g4_pool_work *work;      /* stable while an item is claimed */
    uint32_t job, n_item;
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) _Atomic uint32_t done; /* items of this job that are finished */
    _Alignas(64) _Atomic uint32_t event; /* futex word: changes whenever somebody may want to look */
    _Atomic uint32_t sleepers;
    _Atomic bool over;             /* the run is finished */
    _Atomic bool quit;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void wake_all(g4_pool *p)
{
    atomic_fetch_add(&p->event, 1);
    if (atomic_load(&p->sleepers)) syscall(SYS_futex, &p->event, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Starts the next job that has items, or ends the run.  Called by the one thread
 * that finished the job before. */
static void advance(g4_pool *p, uint32_t job)
{
    const g4_pool_work *w = p->work;
    for (; job < w->n_job; job++) {
        const uint32_t n = w->items(w->arg, job);
        if (!n) continue;
        p->job = job;
        p->n_item = n;
        atomic_store_explicit(&p->done, 0, memory_order_relaxed);
        const uint64_t old = atomic_load_explicit(&p->ticket, memory_order_relaxed);
        atomic_store(&p->ticket, ((old >> 32) + 1) << 32 | n);
        if (n > 1) wake_all(p); /* the single item is ours: nobody need look */
        return;
    }
    atomic_store(&p->over, true);
    wake_all(p);
}

/* Claims and runs items until none is left to claim.  Many neighbours are taken
 * at once while many are left: a thread that streams through a matrix should not
 * have to begin anew at every item. */
static void help(g4_pool *p, uint32_t thread)
{
    uint64_t t = atomic_load(&p->ticket);
    while ((uint32_t)t) {
        const uint32_t left = (uint32_t)t, share = left / (2 * p->n), take = share ? share : 1;
        if (!atomic_compare_exchange_weak(&p->ticket, &t, t - take)) continue;
        const uint32_t job = p->job, n = p->n_item;
        for (uint32_t i = 0; i < take; i++) p->work->run(p->work->arg, job, n - left + i, thread);
        if (atomic_fetch_add(&p->done, take) + take == n) advance(p, job + 1);
        t = atomic_load(&p->ticket);
    }
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Is there a reason to stop waiting? */
static bool wanted(g4_pool *p, bool caller)
{
    if ((uint32_t)atomic_load(&p->ticket)) return true;
    return caller ? atomic_load(&p->over) : atomic_load(&p->quit);
}

static void wait_for_work(g4_pool *p, bool caller)
{
    const uint64_t stop = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 64; i++) {
            if (wanted(p, caller)) return;
            relax();
        }
    } while (now_ns() < stop);
    while (!wanted(p, caller)) {
        const uint32_t seen = atomic_load(&p->event);
        atomic_fetch_add(&p->sleepers, 1);
        if (!wanted(p, caller)) futex_wait(&p->event, seen);
        atomic_fetch_sub(&p->sleepers, 1);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    while (!atomic_load(&w->pool->quit)) {
        help(w->pool, w->index);
        wait_for_work(w->pool, false);
    }
    return NULL;
}

g4_pool *g4_pool_new(uint32_t n, g4_err *err)
{
    if (n < 1) n = 1;
    g4_pool *p = g4_try_alloc(sizeof *p);
    if (!p) {
        g4_fail(err, G4_ENOMEM, "no memory for the threads");
        return NULL;
    }
    p->workers = g4_alloc(n * sizeof *p->workers);
    p->n = 1;
    for (uint32_t i = 1; i < n; i++) {
        p->workers[i] = (struct worker){ .pool = p, .index = i };
        const int rc = pthread_create(&p->workers[i].tid, NULL, worker_main, &p->workers[i]);
        if (rc) {
            errno = rc;
            g4_fail_errno(err, G4_ENOMEM, "cannot start thread %u of %u", i + 1, n);
            g4_pool_free(p);
            return NULL;
        }
        p->n = i + 1;
    }
    return p;
}

void g4_pool_free(g4_pool *p)
{
    if (!p) return;
    atomic_store(&p->quit, true);
    wake_all(p);
    for (uint32_t i = 1; i < p->n; i++) pthread_join(p->workers[i].tid, NULL);
    free(p->workers);
    free(p);
}

uint32_t g4_pool_size(const g4_pool *p)
{
    return p->n;
}

void g4_pool_run(g4_pool *p, const g4_pool_work *w)
{
    p->work = w;
    atomic_store(&p->over, false);
    advance(p, 0);
    while (!atomic_load(&p->over)) {
        help(p, 0);
        if (!atomic_load(&p->over)) wait_for_work(p, true);
    }
}

/* ---- what the machine and its cgroup allow ------------------------------- */

/* First line of a small file; false when it cannot be read. */
static bool read_line(const char *path, char *buf, size_t n)
{
    FILE *f = fopen(path, "re");
    if (!f) return false;
    const bool got = fgets(buf, (int)n, f) != NULL;
    fclose(f);
    return got;
}

/* Path of this process in the hierarchy of a controller ("" is version 2). */
static bool cgroup_path(const char *controller, char *out, size_t n)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f) return false;
    char line[1024];
    bool found = false;
    while (!found && fgets(line, sizeof line, f)) {
        char *list = strchr(line, ':');
        char *path = list ? strchr(list + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        for (char *save = NULL, *c = strtok_r(list + 1, ",", &save); c; c = strtok_r(NULL, ",", &save))
            if (*controller && !strcmp(c, controller)) found = true;
        if (!*controller && !list[1]) found = true;
        if (found) snprintf(out, n, "%s", path);
    }
    fclose(f);
    return found;
}

/* Calls see(file's first line) for `name` in the process's group and all above
 * it: a limit of any of them binds. */
static void each_group(const char *controller, const char *name, void (*see)(const char *dir, const char *line, void *arg), void *arg)
{
    char path[512], dir[600], file[700], line[128];
    if (!cgroup_path(controller, path, sizeof path)) return;
    for (;;) {
        snprintf(dir, sizeof dir, "/sys/fs/cgroup%s%s%s", *controller ? "/" : "", controller, strcmp(path, "/") ? path : "");
        snprintf(file, sizeof file, "%s/%s", dir, name);
        if (read_line(file, line, sizeof line)) see(dir, line, arg);
        char *slash = strrchr(path, '/');
        if (!slash || !path[1]) return;
        slash[slash == path] = 0;
    }
}

static void see_quota(const char *dir, const char *line, void *arg)
{
    double *cores = arg;
    char file[700], period_line[64];
    double quota, period = 0;
    if (sscanf(line, "%lf %lf", &quota, &period) < 1 || quota <= 0) return; /* "max", -1: none */
    if (period <= 0) {
        snprintf(file, sizeof file, "%s/cpu.cfs_period_us", dir);
        if (!read_line(file, period_line, sizeof period_line)) return;
        period = atof(period_line);
    }
    if (period > 0 && quota / period < *cores) *cores = quota / period;
}

uint32_t g4_cpu_count(void)
{
    double cores = (double)sysconf(_SC_NPROCESSORS_ONLN);
    for (int n = 1024; n <= 65536; n *= 8) { /* the mask must be as large as the kernel's */
        cpu_set_t *set = CPU_ALLOC(n);
        if (!set) break;
        const size_t size = CPU_ALLOC_SIZE(n);
        const bool got = sched_getaffinity(0, size, set) == 0;
        if (got) cores = CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (got) break;
    }
    each_group("", "cpu.max", see_quota, &cores);
    each_group("cpu", "cpu.cfs_quota_us", see_quota, &cores);
    return cores < 1 ? 1 : (uint32_t)cores;
}

static void see_memory(const char *dir, const char *line, void *arg)
{
    (void)dir;
    uint64_t *most = arg;
    char *end;
    const unsigned long long v = strtoull(line, &end, 10);
    if (end != line && v && v < *most) *most = v;
}

uint64_t g4_memory_total(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
    uint64_t most = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
    each_group("", "memory.max", see_memory, &most);
    each_group("memory", "memory.limit_in_bytes", see_memory, &most);
    return most;
}
