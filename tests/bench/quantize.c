/* bench/quantize: how fast rows are encoded, and how fast a file is quantised.
 *
 *   quantize [-t THREADS]                 millions of values/s a thread, type by type, at both instruction levels
 *   quantize FILE OUT TYPE [-t THREADS]   seconds to quantise FILE (a GGUF) to OUT
 *
 * tests/bench/quantize.sh sets the second beside llama-quantize. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/quantize.h"
#include "base/quantize_level.h"
#include "model/convert.h"

enum { N = 1 << 16 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Best of some runs, in values a second. */
static double rate(void (*row)(const float *, const float *, size_t, uint8_t *), const float *x, const float *im, uint8_t *y)
{
    double best = 0;
    for (int k = 0; k < 5; k++) {
        const double t = now();
        for (size_t i = 0; i < N; i += 4096) row(x + i, im, 4096, y);
        const double v = N / (now() - t);
        if (v > best) best = v;
    }
    return best / 1e6;
}

static void rates(void)
{
    float *x = g4_alloc(N * sizeof *x), *im = g4_alloc(4096 * sizeof *im);
    uint8_t *y = g4_alloc(4096 * sizeof *x);
    uint32_t s = 1;
    for (int i = 0; i < N; i++) x[i] = ((float)((s = s * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1) * ((float)(i % 31) / 31);
    for (int i = 0; i < 4096; i++) im[i] = 1 + (float)(i % 7);
    printf("%-8s %14s %14s %14s   M values/s, one thread\n", "type", "base", "avx2", "avx2, weighted");
    for (uint32_t t = 0; t < G4_DTYPE_END; t++) {
        if (!g4_quantize_base.row[t]) continue;
        printf("%-8s %14.1f", g4_dtype_get(t)->name, rate(g4_quantize_base.row[t], x, NULL, y));
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx2"))
            printf(" %14.1f %14.1f", rate(g4_quantize_avx2.row[t], x, NULL, y), rate(g4_quantize_avx2.row[t], x, im, y));
#endif
        putchar('\n');
    }
    free(x);
    free(im);
    free(y);
}

int main(int argc, char **argv)
{
    struct g4_convert_params p = { .requantize = true };
    g4_err err = {0};
    int opt;
    while ((opt = getopt(argc, argv, "t:")) != -1)
        if (opt == 't') p.threads = (uint32_t)atoi(optarg);
        else return 2;
    if (argc - optind != 3) {
        rates();
        return 0;
    }
    p.from = argv[optind];
    p.to = argv[optind + 1];
    p.type = argv[optind + 2];
    const double t = now();
    if (g4_convert(&p, NULL, &err)) {
        fprintf(stderr, "quantize: %s\n", err.msg);
        return 3;
    }
    printf("%.3f\n", now() - t);
    return 0;
}
