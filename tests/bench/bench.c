/* bench: one measurement of the core a run, loading excluded; tests/bench/run interleaves them with a peer's.
 *
 *   bench MODE [-m MODEL] [-t THREADS] [-d DEVICE] [-p TOKENS] [-n TOKENS] [-P RECORDS] [-b NEIGHBOURS]
 *
 * MODE: bandwidth   GB/s that THREADS threads read from memory, and from the mapped MODEL
 *       file        MB of weights and millions of multiply-adds a generated token touches
 *       load        ms from the path to an engine ready to step
 *       pp          tokens/s over a prompt of -p tokens
 *       tg          tokens/s over -n generated tokens, one sequence, empty context
 *       batch       -P sequences of -p tokens in, -n out: tokens/s of all, and while all of them generate
 *
 * Prints `NAME VALUE` lines.  Works on the core: no tokenising and no sampling beyond the largest logit.
 * -b starts busy processes beside it: other stages of a pipe. */
#include "base/dtype.h"
#include "base/file.h"
#include "engine/engine.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct args {
    const char *mode, *model, *device;
    uint32_t threads, n_prompt, n_gen, n_seq, n_busy;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void die(const char *what, const g4_err *err)
{
    fprintf(stderr, "bench: %s: %s\n", what, err->msg);
    exit(3);
}

/* ---- bandwidth ------------------------------------------------------------------- */

enum { SLICE = 256 << 20, PASSES = 6 }; /* bytes a thread reads a pass: far beyond any cache */

typedef uint64_t vec __attribute__((vector_size(64)));

#if defined(__x86_64__)
__attribute__((target_clones("default", "avx2", "avx512f")))
#endif
static uint64_t read_slice(const vec *p, size_t n)
{
    vec a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
    for (size_t i = 0; i + 4 <= n; i += 4) {
        a += p[i];
        b += p[i + 1];
        c += p[i + 2];
        d += p[i + 3];
    }
    a += b + c + d;
    uint64_t sum = 0;
    for (int i = 0; i < 8; i++) sum += a[i];
    return sum;
}

struct reader {
    pthread_t thread;
    pthread_barrier_t *gate;
    const vec *slice;
    size_t n; /* vecs */
    uint64_t sum;
};

static void *reader_main(void *arg)
{
    struct reader *r = arg;
    for (int i = 0; i < PASSES; i++) {
        pthread_barrier_wait(r->gate);
        r->sum += read_slice(r->slice, r->n);
        pthread_barrier_wait(r->gate);
    }
    return NULL;
}

/* GB/s that n threads read of bytes, each its own part: the best of several passes, which is what the
 * machine can do, not what its neighbours left of it. */
static double read_rate(const uint8_t *p, size_t bytes, uint32_t n)
{
    struct reader *readers = calloc(n, sizeof *readers);
    const size_t part = bytes / n / sizeof(vec);
    pthread_barrier_t gate;
    pthread_barrier_init(&gate, NULL, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        readers[i] = (struct reader){ .gate = &gate, .slice = (const vec *)(const void *)p + i * part, .n = part };
        pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]);
    }
    double best = 0;
    for (int i = 0; i < PASSES; i++) {
        const double start = now_ms();
        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate);
        const double rate = (double)(n * part * sizeof(vec)) / (now_ms() - start) * 1e-6;
        if (rate > best) best = rate;
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        pthread_join(readers[i].thread, NULL);
        sum += readers[i].sum;
    }
    pthread_barrier_destroy(&gate);
    free(readers);
    return sum ? best : 0; /* the sum is used: no compiler may leave the reading out */
}

/* Of memory of its own, and of the model as it is mapped: its pages are those of the page cache, mostly small. */
static void bench_bandwidth(const struct args *a)
{
    uint8_t *own = mmap(NULL, a->threads * (size_t)SLICE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (own == MAP_FAILED) exit(4);
    memset(own, 1, a->threads * (size_t)SLICE);
    printf("bandwidth %.2f\n", read_rate(own, a->threads * (size_t)SLICE, a->threads));
    munmap(own, a->threads * (size_t)SLICE);
    g4_err err = { 0 };
    g4_map map;
    if (!a->model) return;
    if (g4_map_open(&map, a->model, &err)) die(a->model, &err);
    printf("bandwidth_map %.2f\n", read_rate(map.p, map.n, a->threads));
    g4_map_close(&map);
}

/* ---- what a token touches ------------------------------------------------------------ */

/* Of the experts only the chosen ones, of the per-layer table one row (counted as nothing); the embedding
 * table counts once: it is also the head. */
static void bench_file(const struct args *a)
{
    g4_err err = { 0 };
    g4_weights *w = g4_weights_open(a->model, 0, &err);
    if (!w) die(a->model, &err);
    double bytes = 0, macs = 0;
    uint64_t n_expert = 0, k_expert = 0;
    const g4_kv *all = g4_weights_kv(w, "gemma4.expert_count"), *used = g4_weights_kv(w, "gemma4.expert_used_count");
    if (all && used) {
        g4_kv_u64(all, 0, &n_expert);
        g4_kv_u64(used, 0, &k_expert);
    }
    for (size_t i = 0; i < g4_weights_count(w); i++) {
        const g4_tensor *t = g4_weights_at(w, i);
        if (strstr(t->name, "per_layer_token_embd")) continue;
        const double share = t->n_dim == 3 && n_expert ? (double)k_expert / (double)n_expert : 1;
        bytes += (double)t->bytes * share;
        if (t->n_dim > 1) macs += (double)(t->ne[0] * t->ne[1] * t->ne[2]) * share;
    }
    printf("mb_token %.2f\nmmac_token %.2f\n", bytes * 1e-6, macs * 1e-6);
    g4_weights_free(w);
}

/* ---- the core ------------------------------------------------------------------------- */

static g4_core *core_open(const struct args *a, uint32_t n_prompt, uint32_t n_gen, uint32_t n_seq)
{
    g4_err err = { 0 };
    const struct g4_core_params p = { .model_path = a->model, .device = a->device, .threads = a->threads,
                                      .context = n_prompt + n_gen + 64, .parallel = n_seq, .kv_type = G4_F16 };
    g4_core *c = g4_core_new(&p, &err);
    if (!c) die(a->model, &err);
    return c;
}

static void submit(g4_core *c, uint32_t n_prompt, uint32_t n_gen, uint32_t which, bool *begun)
{
    const uint32_t n_vocab = g4_model_hp(g4_core_model(c))->n_vocab;
    int32_t *ids = calloc(n_prompt, sizeof *ids);
    ids[0] = 2;
    for (uint32_t i = 1; i < n_prompt; i++) /* ordinary pieces, others for each sequence */
        ids[i] = (int32_t)(300 + (i * 2654435761u + which * 40503u) % (n_vocab - 300));
    const struct g4_span span = { .ids = ids, .n = n_prompt };
    const struct g4_seq_params p = { .spans = &span, .n_span = 1, .max_tokens = n_gen, .n_logprob = -1,
                                     .sampling = { .top_p = 1, .repeat_penalty = 1 }, .user = begun };
    g4_err err = { 0 };
    if (!g4_core_submit(c, &p, &err)) die("submit", &err);
    free(ids);
}

struct run {
    double total_ms;
    double all_ms;             /* while every sequence was generating */
    uint32_t n_token, n_all;   /* generated, and of those while every one was */
};

/* n_seq sequences from the first prompt row to the last token. */
static struct run run(g4_core *c, uint32_t n_prompt, uint32_t n_gen, uint32_t n_seq)
{
    struct run r = { 0 };
    bool *begun = calloc(n_seq, sizeof *begun);
    uint32_t n_begun = 0, n_ended = 0;
    const double start = now_ms();
    for (uint32_t i = 0; i < n_seq; i++) submit(c, n_prompt, n_gen, i, &begun[i]);
    while (n_ended < n_seq) {
        g4_err err = { 0 };
        struct g4_tok_event ev;
        const bool all = n_begun == n_seq && n_ended == 0;
        const double step_start = now_ms();
        uint32_t n = 0;
        if (g4_core_step(c, &err) < 0) die("step", &err);
        while (g4_core_event(c, &ev)) {
            bool *first = ev.user;
            if (ev.kind == G4_TOK_TOKEN) {
                n++;
                n_begun += !*first;
                *first = true;
            } else if (ev.kind == G4_TOK_END) {
                n_ended++;
                g4_core_drop(c, ev.seq);
            }
        }
        r.n_token += n;
        if (all) {
            r.all_ms += now_ms() - step_start;
            r.n_all += n;
        }
    }
    r.total_ms = now_ms() - start;
    free(begun);
    return r;
}

static void bench_core(const struct args *a)
{
    const bool load = strcmp(a->mode, "load") == 0, pp = strcmp(a->mode, "pp") == 0, tg = strcmp(a->mode, "tg") == 0;
    const uint32_t n_prompt = tg ? 1 : a->n_prompt, n_gen = pp ? 1 : a->n_gen, n_seq = pp || tg ? 1 : a->n_seq;
    const double start = now_ms();
    g4_core *c = core_open(a, n_prompt, n_gen, n_seq);
    if (load) {
        printf("load_ms %.2f\nmemory_mb %.1f\n", now_ms() - start, (double)g4_core_memory(c) * 1e-6);
    } else {
        run(c, n_prompt < 16 ? n_prompt : 16, 2, 1); /* pages and threads are awake from here on */
        const struct run r = run(c, n_prompt, n_gen, n_seq);
        if (pp) printf("pp%u %.2f\n", n_prompt, n_prompt / r.total_ms * 1e3);
        else if (tg) printf("tg%u %.2f\n", n_gen, r.n_token / r.total_ms * 1e3);
        else printf("batch%u %.2f\nbatch%u_tg %.2f\n", n_seq, n_seq * (n_prompt + n_gen) / r.total_ms * 1e3, n_seq,
                    r.n_all / r.all_ms * 1e3);
    }
    fprintf(stderr, "bench: %s, %u threads\n", g4_core_device_info(c), g4_core_threads(c));
    g4_core_free(c);
}

/* ---- command line ------------------------------------------------------------------------ */

static int usage(void)
{
    fputs("usage: bench bandwidth|file|load|pp|tg|batch [-m MODEL] [-t THREADS] [-d DEVICE]\n"
          "             [-p TOKENS] [-n TOKENS] [-P RECORDS] [-b NEIGHBOURS]\n", stderr);
    return 2;
}

static void spin(void)
{
    for (volatile uint64_t i = 0;; i++) continue;
}

static bool parse(struct args *a, int argc, char **argv)
{
    if (argc < 2) return false;
    a->mode = argv[1];
    optind = 2;
    for (int c; (c = getopt(argc, argv, "m:t:d:p:n:P:b:")) != -1;) {
        const uint32_t n = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;
        switch (c) {
        case 'm': a->model = optarg; break;
        case 'd': a->device = optarg; break;
        case 't': a->threads = n; break;
        case 'p': a->n_prompt = n; break;
        case 'n': a->n_gen = n; break;
        case 'P': a->n_seq = n; break;
        case 'b': a->n_busy = n; break;
        default: return false;
        }
    }
    return optind == argc && a->threads && a->n_prompt && a->n_gen && a->n_seq;
}

int main(int argc, char **argv)
{
    struct args a = { .threads = 2, .n_prompt = 512, .n_gen = 64, .n_seq = 32 };
    static const char *const modes[] = { "load", "pp", "tg", "batch" };
    if (!parse(&a, argc, argv)) return usage();
    if (strcmp(a.mode, "bandwidth") == 0) {
        bench_bandwidth(&a);
        return 0;
    }
    if (!a.model) return usage();
    if (strcmp(a.mode, "file") == 0) {
        bench_file(&a);
        return 0;
    }
    bool known = false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) known |= strcmp(a.mode, modes[i]) == 0;
    if (!known) return usage();

    pid_t busy[64];
    const uint32_t n_busy = a.n_busy < 64 ? a.n_busy : 64;
    for (uint32_t i = 0; i < n_busy; i++)
        if ((busy[i] = fork()) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            spin();
        }
    bench_core(&a);
    for (uint32_t i = 0; i < n_busy; i++) {
        kill(busy[i], SIGKILL);
        waitpid(busy[i], NULL, 0);
    }
    return 0;
}
