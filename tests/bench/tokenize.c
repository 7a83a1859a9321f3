/* tokenize MODEL [TEXT-FILE [ROUNDS]]: what the tokenizer costs.  Prints the milliseconds of each
 * part of start-up (least of ROUNDS, default 5, in a warm page cache) and the speed of encoding. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "model/vocab.h"
#include "text/tokenizer.h"

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double lesser(double a, double b)
{
    return a < b ? a : b;
}

static size_t encode(const g4_tokenizer *t, const char *p, size_t n)
{
    int32_t *ids = NULL;
    size_t n_ids = 0, cap = 0;
    g4_tokenizer_encode(t, &(struct g4_seg){ G4_SEG_DATA, p, n }, 1, &ids, &n_ids, &cap);
    free(ids);
    return n_ids;
}

int main(int argc, char **argv)
{
    const int rounds = argc > 3 ? atoi(argv[3]) : 5;
    double open = 1e9, load = 1e9, build = 1e9, first = 1e9, all = 1e9;
    g4_err err = {0};
    g4_str text = {0};
    if (argc < 2 || rounds < 1) return fprintf(stderr, "usage: tokenize MODEL [TEXT-FILE [ROUNDS]]\n"), 2;
    if (argc > 2 && g4_file_read(argv[2], 1u << 30, &text, &err)) return fprintf(stderr, "%s\n", err.msg), 4;
    for (int i = 0; i < rounds; i++) {
        struct g4_vocab v;
        const double t0 = now_ms();
        g4_weights *w = g4_weights_open(argv[1], G4_WEIGHTS_TEXT_ONLY, &err);
        const double t1 = now_ms();
        if (!w || g4_vocab_load(w, &v, &err)) return fprintf(stderr, "%s\n", err.msg), 3;
        const double t2 = now_ms();
        g4_tokenizer *t = g4_tokenizer_new(&v, &err);
        const double t3 = now_ms();
        if (!t) return fprintf(stderr, "%s\n", err.msg), 3;
        encode(t, "Hello world", 11);
        const double t4 = now_ms();
        open = lesser(open, t1 - t0);
        load = lesser(load, t2 - t1);
        build = lesser(build, t3 - t2);
        first = lesser(first, t4 - t3);
        all = lesser(all, t4 - t0);
        if (i + 1 == rounds && text.n) {
            double best = 1e9;
            size_t n = 0;
            for (int k = 0; k < rounds; k++) {
                const double from = now_ms();
                n = encode(t, text.p, text.n);
                best = lesser(best, now_ms() - from);
            }
            printf("encode  %.2f MB/s  %.2f M tokens/s  (%zu bytes, %zu tokens)\n", (double)text.n / 1e3 / best, (double)n / 1e3 / best, text.n, n);
        }
        g4_tokenizer_free(t);
        g4_weights_free(w);
    }
    printf("open    %.2f ms\nload    %.2f ms\nbuild   %.2f ms\nfirst   %.2f ms\nall     %.2f ms\n", open, load, build, first, all);
    g4_str_free(&text);
    return 0;
}
