/* base/thread: every item once, jobs in order, what one job wrote seen by the next. */
#include <stdatomic.h>
#include <unistd.h>

#include "../tap.h"
#include "base/thread.h"

enum { JOBS = 40, ITEMS = 97 };

struct state {
    _Atomic uint32_t hits[JOBS][ITEMS];
    uint32_t plain[JOBS][ITEMS]; /* written without atomics, read by the next job */
    _Atomic uint32_t wrong, asked[JOBS];
    bool slow;
};

static uint32_t items_of(uint32_t job)
{
    return job % 5 == 3 ? 0 : job % 7 == 2 ? 1 : ITEMS;
}

static uint32_t items(void *arg, uint32_t job)
{
    struct state *s = arg;
    s->asked[job]++;
    return items_of(job);
}

static void run(void *arg, uint32_t job, uint32_t item, uint32_t thread)
{
    struct state *s = arg;
    s->hits[job][item]++;
    s->plain[job][item] = job + item;
    if (job && item < items_of(job - 1) && s->plain[job - 1][item] != job - 1 + item) s->wrong++;
    if (s->slow && item == 0) usleep(300); /* long enough for the others to go to sleep */
}

static bool complete(const struct state *s)
{
    for (uint32_t j = 0; j < JOBS; j++) {
        if (s->asked[j] != 1) return false;
        for (uint32_t i = 0; i < ITEMS; i++)
            if (s->hits[j][i] != (i < items_of(j))) return false;
    }
    return !s->wrong;
}

int main(void)
{
    for (uint32_t n = 1; n <= 5; n++) {
        g4_pool *p = g4_pool_new(n, NULL);
        bool all = g4_pool_size(p) == n;
        for (int i = 0; i < 200; i++) {
            struct state *s = calloc(1, sizeof *s);
            s->slow = i % 20 == 0;
            g4_pool_run(p, &(g4_pool_work){ JOBS, items, run, s });
            all = all && complete(s);
            if (i % 50 == 0) usleep(1000);
            free(s);
        }
        ok(all, "%u threads: each of 200 runs does every item of %d jobs once and in order", n, JOBS);
        g4_pool_free(p);
    }
    g4_pool *p = g4_pool_new(0, NULL);
    is_int(g4_pool_size(p), 1, "no threads asked for: the caller's own");
    g4_pool_run(p, &(g4_pool_work){ 0, items, run, NULL });
    g4_pool_free(p);
    ok(g4_cpu_count() >= 1 && g4_cpu_count() <= (uint32_t)sysconf(_SC_NPROCESSORS_ONLN), "%u cores to use", g4_cpu_count());
    ok(g4_memory_total() > 1 << 20 && g4_memory_total() <= (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGE_SIZE),
       "%.1f GB of memory to use", (double)g4_memory_total() / 1e9);
    return done_testing();
}
