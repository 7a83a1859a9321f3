/* base/thread: a small pool that runs a list of jobs over claimed items.
 *
 * A job is n items; any thread claims the next ones by an atomic counter, a share
 * of what is left, and a job is over when all its items are, not when all threads
 * arrive: a thread that the system took off its core without work in hand holds
 * nobody up.  Waiting spins for at most some tens of microseconds, then sleeps on
 * a futex. */
#ifndef G4_BASE_THREAD_H
#define G4_BASE_THREAD_H

#include <stdint.h>
#include "base/err.h"

typedef struct g4_pool g4_pool;

/* n threads in all, the caller's included; at least 1. */
g4_pool *g4_pool_new(uint32_t n, g4_err *err);
void g4_pool_free(g4_pool *p);
uint32_t g4_pool_size(const g4_pool *p);

/* Runs jobs 0..n_job-1 one after another.  Before a job starts, items(arg, job)
 * says how many items it has (called once, by one thread); run(arg, job, item,
 * thread) does one.  Everything a job wrote is visible to the next. */
typedef struct g4_pool_work {
    uint32_t n_job;
    uint32_t (*items)(void *arg, uint32_t job);
    void (*run)(void *arg, uint32_t job, uint32_t item, uint32_t thread);
    void *arg;
} g4_pool_work;

void g4_pool_run(g4_pool *p, const g4_pool_work *w);

/* Cores this process may use: affinity mask and cgroup quota, at least 1. */
uint32_t g4_cpu_count(void);
/* Memory this process may use in bytes: the machine's or the cgroup's limit. */
uint64_t g4_memory_total(void);

#endif
