/* The speed of the matrix kernels: GMAC/s and GB/s of weights for each type at 1,
 * 4, 16, 64, 512 rows, beside what this machine reads and multiplies at most.
 *
 *     kernels [-t THREADS] [-c COLS] [-r ROWS] [-u] [TYPE...]
 *
 * -u counts processor time instead of the wall clock: on a busy machine, with -t 1,
 * that still tells what a kernel costs. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../ops/ops.h"
#include "base/thread.h"

static clockid_t bench_clock = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(bench_clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- probes -------------------------------------------------------------------- */

struct probe {
    const uint64_t *p;
    size_t n;       /* words in all */
    uint32_t parts;
};

static uint32_t one_part(void *arg, uint32_t job)
{
    (void)job;
    return ((struct probe *)arg)->parts;
}

static void read_part(void *arg, uint32_t job, uint32_t item, uint32_t thread)
{
    (void)job;
    (void)thread;
    typedef uint64_t v8 __attribute__((vector_size(64)));
    const struct probe *b = arg;
    const size_t n = b->n / b->parts / 32;
    const v8 *p = (const v8 *)(const void *)(b->p + item * n * 32);
    v8 s[4] = { { 0 } };
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 4; k++) s[k] += p[4 * i + k];
    volatile uint64_t sink = s[0][0] + s[1][1] + s[2][2] + s[3][3];
    (void)sink;
}

/* GB/s of reading 1 GiB once, best of three */
static double read_bandwidth(uint32_t threads)
{
    const size_t bytes = (size_t)1 << 30;
    uint64_t *p = g4_try_alloc(bytes);
    if (!p) return 0;
    memset(p, 1, bytes);
    g4_pool *pool = g4_pool_new(threads, NULL);
    struct probe b = { p, bytes / 8, 256 };
    double best = 0;
    for (int i = 0; i < 3; i++) {
        const double t = now();
        g4_pool_run(pool, &(g4_pool_work){ 1, one_part, read_part, &b });
        const double rate = (double)bytes / (now() - t) / 1e9;
        if (rate > best) best = rate;
    }
    g4_pool_free(pool);
    free(p);
    return best;
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512vnni"))) static double vnni_peak(void)
{
    __m512i a[12];
    const __m512i w = _mm512_set1_epi8(1);
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) a[i] = _mm512_setzero_si512();
    const long n = 3000000;
    const double t = now();
    for (long k = 0; k < n; k++)
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++) {
            a[i] = _mm512_dpbusd_epi32(a[i], w, w);
            __asm__ volatile("" : "+v"(a[i]));
        }
    return (double)n * 12 * 64 / (now() - t) / 1e9;
}
#endif

static void probes(uint32_t threads)
{
    printf("# read bandwidth: %.1f GB/s (%u threads), %.1f (1)\n", read_bandwidth(threads), threads, read_bandwidth(1));
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vnni")) printf("# vpdpbusd: %.0f GMAC/s a core\n", vnni_peak());
#endif
}

/* ---- kernels -------------------------------------------------------------------- */

/* Seconds of one run of w over n rows, the median of several. */
static double time_matmul(g4_device *d, const g4_weight *const *w, uint32_t n_w, const float *x, uint32_t n)
{
    const uint32_t cols = w[0]->cols, rows = w[0]->rows;
    g4_err err = { 0 };
    const g4_buf_desc bufs[] = { { cols, G4_ROWS_ALL, "x" }, { rows, G4_ROWS_ALL, "y" } };
    g4_weight any = { .type = G4_F32, .cols = cols, .rows = 1, .n = 1, .row_bytes = cols * 4, .data = (const uint8_t *)x };
    g4_op *ops = g4_alloc((n_w + 1) * sizeof *ops);
    ops[0] = feed_op(&any, 0);
    for (uint32_t i = 0; i < n_w; i++)
        ops[1 + i] = (g4_op){ .kind = G4_OP_MATMUL, .n_w = 1, .w = { w[i] }, .alpha = 1, .src = 0, .src2 = -1, .src3 = -1,
                              .dst = { 1, -1, -1 }, .dst2 = -1 };
    g4_plan *p = g4_plan_new(d, &(g4_plan_desc){ .ops = ops, .n_op = n_w + 1, .bufs = bufs, .n_buf = 2, .max_rows = { n, n, 1 } }, NULL, &err);
    struct plain_step s;
    plain_step_init(&s, n, 0, x, cols);
    double t[15];
    int k = 0;
    const double begin = now();
    for (; k < 15 && (k < 3 || now() - begin < 0.5); k++) {
        const double a = now();
        if (!p || g4_plan_run(d, p, &s.s, &err)) fprintf(stderr, "%s\n", err.msg), exit(1);
        t[k] = now() - a;
    }
    for (int i = 1; i < k; i++) /* insertion sort */
        for (int j = i; j > 0 && t[j] < t[j - 1]; j--) {
            const double v = t[j];
            t[j] = t[j - 1], t[j - 1] = v;
        }
    plain_step_clear(&s);
    d->ops->plan_free(d, p);
    free(ops);
    return t[k / 2];
}

static void bench_type(g4_device *d, g4_dtype type, uint32_t rows, uint32_t cols)
{
    enum { BYTES = 192 << 20 }; /* beyond any cache: several matrices in turn */
    static const uint32_t counts[] = { 1, 4, 16, 64, 512 };
    g4_weight *first = rnd_weight(type, 1, rows, cols);
    const size_t size = rows * first->row_bytes;
    const uint32_t n_w = (uint32_t)(BYTES / size) + 1;
    const g4_weight **w = g4_alloc(n_w * sizeof *w);
    w[0] = first;
    for (uint32_t i = 1; i < n_w; i++) {
        g4_weight *c = g4_dup(first, sizeof *first);
        c->data = g4_dup(first->data, size);
        w[i] = c;
    }
    float *x = rnd_floats((size_t)512 * cols, 1);
    printf("%-8s", g4_dtype_get(type)->name);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        const uint32_t use = counts[c] < 16 ? n_w : counts[c] < 512 ? 1 + n_w / 8 : 1;
        const double t = time_matmul(d, w, use, x, counts[c]) / use;
        if (counts[c] == 1) printf(" %6.2f GB/s", (double)size / t / 1e9);
        printf(" %7.1f", (double)counts[c] * rows * cols / t / 1e9);
        fflush(stdout);
    }
    printf("\n");
    free(x);
    for (uint32_t i = 0; i < n_w; i++) free_weight((g4_weight *)(uintptr_t)w[i]);
    free(w);
}

int main(int argc, char **argv)
{
    static const g4_dtype all[] = { G4_Q8_0, G4_Q5_0, G4_Q4_K, G4_Q6_K, G4_Q4_0, G4_Q4_1, G4_Q5_1, G4_Q5_K, G4_Q3_K, G4_Q2_K,
                                    G4_IQ4_NL, G4_IQ4_XS, G4_MXFP4, G4_F32, G4_F16, G4_BF16, G4_IQ3_S };
    uint32_t threads = g4_cpu_count(), rows = 4096, cols = 1536;
    int opt;
    while ((opt = getopt(argc, argv, "t:r:c:u")) != -1) {
        if (opt == 't') threads = (uint32_t)atoi(optarg);
        else if (opt == 'r') rows = (uint32_t)atoi(optarg);
        else if (opt == 'u') bench_clock = CLOCK_PROCESS_CPUTIME_ID;
        else if (opt == 'c') cols = (uint32_t)atoi(optarg);
        else return 2;
    }
    g4_err err = { 0 };
    g4_device *d = g4_device_open(&(struct g4_device_params){ .which = "cpu", .threads = threads }, &err);
    if (!d) {
        fprintf(stderr, "kernels: %s\n", err.msg);
        return 1;
    }
    probes(threads);
    printf("# %s, %u threads, matrices of %u x %u; GMAC/s at 1, 4, 16, 64, 512 rows\n", d->info, threads, rows, cols);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        bool wanted = optind == argc;
        for (int a = optind; a < argc; a++) wanted = wanted || !strcmp(argv[a], g4_dtype_get(all[i])->name);
        if (wanted && cols % g4_dtype_get(all[i])->block == 0) bench_type(d, all[i], rows, cols);
    }
    g4_device_close(d);
    return 0;
}
