/* bench/mask [FILE]: the cost of constraining, on the
 * real-world schemas of tests/data/schema with the real vocabulary: compiling each,
 * and the mask of every step while their valid documents are written token by token,
 * each time on an automaton that has seen nothing yet.
 *
 * Prints lines `NAME VALUE` on stdout; times in microseconds of one core. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lines.h"
#include "../realvocab.h"
#include "text/matcher.h"
#include "text/schema.h"

struct run {
    const g4_tokenizer *t;
    const g4_pieces *p;
    uint32_t *bits;
    double *step, *compile;
    size_t n_step, cap_step, n_compile, cap_compile, n_refused;
    const char *slowest;
    double worst;
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* a busy machine does not count */
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double share(double *v, size_t n, double q)
{
    if (!n) return 0;
    qsort(v, n, sizeof *v, by_value);
    return v[(size_t)(q * (double)(n - 1))];
}

static g4_automaton *compile(struct run *r, g4_json schema)
{
    const struct g4_schema_params p = { .root = schema, .schema = schema };
    const double begin = now_us();
    g4_grammar *g = g4_grammar_new();
    g4_node node;
    g4_err err = {0};
    if (g4_schema_node(g, &p, &node, &err)) {
        fprintf(stderr, "mask: %s\n", err.msg);
        exit(1);
    }
    g4_grammar_start(g, node);
    g4_automaton *a = g4_automaton_new(g, &err);
    G4_GROW(r->compile, r->cap_compile, r->n_compile + 1);
    r->compile[r->n_compile++] = now_us() - begin;
    return a;
}

/* One document, on its own tokens: the mask before each of them. */
static void document(struct run *r, g4_automaton *a, g4_json doc, char *name)
{
    int32_t *ids = NULL;
    size_t n = 0, cap = 0;
    const struct g4_seg seg = { G4_SEG_DATA, doc.p, doc.n };
    g4_matcher *m = g4_matcher_new(a, r->p, r->t, false);
    g4_tokenizer_encode(r->t, &seg, 1, &ids, &n, &cap);
    for (size_t i = 0; i < n; i++) {
        const double begin = now_us();
        g4_matcher_mask(m, r->bits, r->p->n_vocab);
        const double took = now_us() - begin;
        G4_GROW(r->step, r->cap_step, r->n_step + 1);
        r->step[r->n_step++] = took;
        if (took > r->worst) {
            r->worst = took;
            fprintf(stderr, "%8.0f us  %s, token %zu of %.*s\n", took, name, i, (int)(doc.n < 100 ? doc.n : 100), doc.p);
        }
        if (!(r->bits[ids[i] / 32] >> (ids[i] & 31) & 1) || !g4_matcher_accept(m, ids[i])) {
            r->n_refused++;
            break;
        }
    }
    g4_matcher_free(m);
    free(ids);
}

static void schema(void *arg, g4_json line)
{
    struct run *r = arg;
    char *name = g4_json_dup(g4_json_get(line, "name"));
    for (g4_json_it it = g4_json_iter(g4_json_get(line, "valid")); g4_json_next(&it);) {
        g4_str s = {0};
        g4_automaton *a = compile(r, g4_json_get(line, "schema"));
        g4_json_put_compact(&s, it.value);
        document(r, a, (g4_json){ s.p, s.n }, name);
        g4_automaton_free(a);
        g4_str_free(&s);
    }
    free(name);
}

static void pieces_line(const g4_tokenizer *t, const char *what, bool cache)
{
    g4_pieces *p = g4_pieces_new(t, cache);
    printf("pieces_%s_ms %.1f\n", what, p->ms);
    g4_pieces_free(p);
}

int main(int argc, char **argv)
{
    const char *file = argc > 1 ? argv[1] : "tests/data/schema/real.jsonl";
    g4_weights *w;
    g4_err err = {0};
    struct run r = {0};
    g4_tokenizer *t = real_tokenizer(true, &w, &err);
    if (!t) {
        fprintf(stderr, "mask: no vocabulary here (tests/fetch-tokenizer): %s\n", err.msg);
        return 1;
    }
    pieces_line(t, "made", false);
    pieces_line(t, "saved", true);
    pieces_line(t, "loaded", true);
    g4_pieces *p = g4_pieces_new(t, true);
    r.t = t;
    r.p = p;
    r.bits = g4_alloc(((size_t)p->n_vocab + 31) / 32 * sizeof *r.bits);
    each_line(file, schema, &r);
    printf("compile_median_us %.0f\ncompile_most_us %.0f\n", share(r.compile, r.n_compile, 0.5), share(r.compile, r.n_compile, 1));
    printf("mask_median_us %.1f\nmask_p99_us %.0f\nmask_most_us %.0f\nmask_steps %zu\nmask_refused %zu\n", share(r.step, r.n_step, 0.5),
           share(r.step, r.n_step, 0.99), share(r.step, r.n_step, 1), r.n_step, r.n_refused);
    g4_pieces_free(p);
    g4_tokenizer_free(t);
    g4_weights_free(w);
    return r.n_refused != 0;
}
