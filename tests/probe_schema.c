/* probe schema -m MODEL: {schema, texts: [..]} to {accepted: [..], valid: [..]}, or
 * {error} when the schema is refused.
 *
 * accepted: does the token mask let the text through, under the tokenizer's own
 * tokenization, byte by byte in the smallest pieces there are, and in pieces drawn at
 * random, each id being looked up in the mask?  true when all say so, false when all
 * refuse it; when they disagree it is {error} too.  valid: the validator of finished
 * values. */
#include <stdlib.h>
#include <string.h>

#include "probe.h"
#include "base/hash.h"
#include "base/mem.h"
#include "text/matcher.h"
#include "text/schema.h"
#include "text/validate.h"

struct job {
    const g4_tokenizer *t;
    g4_pieces *p;
    uint32_t *bits;
    bool any_order;
};

struct ids {
    int32_t *v;
    size_t n, cap;
};

static void add(struct ids *x, int32_t id)
{
    G4_GROW(x->v, x->cap, x->n + 1);
    x->v[x->n++] = id;
}

/* Pieces that the text at p begins with, shortest first; the number of them, at most max. */
static size_t pieces_at(const g4_pieces *p, const char *s, size_t n, int32_t *id, size_t *len, size_t max)
{
    const struct g4_trie *t = &p->all;
    size_t found = 0, depth = 0;
    for (uint32_t i = 0, end = t->n; i < end && depth < n && found < max;) {
        if (t->byte[i] != (uint8_t)s[depth]) {
            i = t->skip[i];
            continue;
        }
        depth++;
        if (t->id[i] != -1) {
            id[found] = t->id[i] >= 0 ? t->id[i] : p->twin[-2 - t->id[i]];
            len[found++] = depth;
        }
        end = t->skip[i];
        i++;
    }
    return found;
}

/* seed 0: the shortest pieces; else some at random.  False: the vocabulary cannot spell the text. */
static bool cut(const g4_pieces *p, g4_sv text, uint64_t seed, struct ids *out)
{
    for (size_t at = 0; at < text.n;) {
        int32_t id[64];
        size_t len[64], n = pieces_at(p, text.p + at, text.n - at, id, len, 64);
        if (!n) return false;
        const size_t k = seed ? g4_mix64(seed + at) % n : 0;
        add(out, id[k]);
        at += len[k];
    }
    return true;
}

static bool accepts(struct job *j, g4_automaton *a, const struct ids *x)
{
    g4_matcher *m = g4_matcher_new(a, j->p, j->t, false);
    bool good = true;
    for (size_t i = 0; i < x->n && good; i++) {
        g4_matcher_mask(m, j->bits, j->p->n_vocab);
        good = j->bits[x->v[i] / 32] >> (x->v[i] & 31) & 1;
        const bool taken = g4_matcher_accept(m, x->v[i]);
        if (taken != good) { /* mask and automaton must agree */
            g4_matcher_free(m);
            return false;
        }
    }
    good = good && g4_matcher_done(m);
    g4_matcher_free(m);
    return good;
}

/* 1 accepted, 0 refused, -1 the ways to cut the text disagree. */
static int verdict(struct job *j, g4_automaton *a, g4_sv text)
{
    int all = -2;
    for (uint64_t way = 0; way < 5; way++) {
        struct ids x = {0};
        bool can = true;
        if (way < 4) can = cut(j->p, text, way, &x);
        else g4_tokenizer_encode(j->t, &(struct g4_seg){ G4_SEG_DATA, text.p, text.n }, 1, &x.v, &x.n, &x.cap);
        const int one = can ? accepts(j, a, &x) : -2;
        free(x.v);
        if (one == -2) continue;
        if (all != -2 && all != one) return -1;
        all = one;
    }
    return all == 1;
}

/* A text is a string; any other value stands for itself. */
static void put_text(g4_json v, g4_str *out)
{
    if (g4_json_type(v) == G4_JSON_STRING) g4_json_str(v, out);
    else g4_json_put_compact(out, v);
}

static int put_verdicts(struct job *j, g4_automaton *a, g4_json texts, g4_str *out, g4_err *err)
{
    bool first = true;
    g4_str_adds(out, "{\"accepted\":[");
    for (g4_json_it it = g4_json_iter(texts); g4_json_next(&it); first = false) {
        g4_str s = {0};
        put_text(it.value, &s);
        const int is = a ? verdict(j, a, (g4_sv){ s.p ? s.p : "", s.n }) : 0;
        g4_str_free(&s);
        if (is < 0) return g4_fail(err, G4_EINPUT, "tokenizations of %.*s disagree", (int)(it.value.n < 200 ? it.value.n : 200), it.value.p);
        g4_str_addf(out, "%s%s", first ? "" : ",", is ? "true" : "false");
    }
    return G4_OK;
}

static void put_valid(g4_json schema, g4_json texts, g4_str *out)
{
    bool first = true;
    g4_str_adds(out, "],\"valid\":[");
    for (g4_json_it it = g4_json_iter(texts); g4_json_next(&it); first = false) {
        g4_str s = {0};
        g4_json v;
        put_text(it.value, &s);
        const bool is = !g4_json_check(s.p ? s.p : "", s.n, &v, NULL) && !g4_validate(schema, v, NULL);
        g4_str_free(&s);
        g4_str_addf(out, "%s%s", first ? "" : ",", is ? "true" : "false");
    }
    g4_str_adds(out, "]}");
}

static int one(void *arg, g4_json in, g4_str *out, g4_err *err)
{
    struct job *j = arg;
    const g4_json schema = g4_json_get(in, "schema"), texts = g4_json_get(in, "texts");
    const struct g4_schema_params p = { .root = schema, .schema = schema, .any_order = j->any_order };
    g4_node node;
    if (!schema.p || g4_json_type(texts) != G4_JSON_ARRAY) return g4_fail(err, G4_EINPUT, "'schema' and 'texts' are wanted");
    g4_grammar *g = g4_grammar_new();
    g4_err why = {0};
    int rc = g4_schema_node(g, &p, &node, &why);
    if (rc) {
        g4_grammar_free(g);
        g4_str_adds(out, "{\"error\":{\"code\":\"schema\",\"message\":");
        g4_json_put_str(out, why.msg, strlen(why.msg));
        g4_str_adds(out, "}}");
        return G4_OK;
    }
    g4_grammar_start(g, node);
    g4_automaton *a = g4_automaton_new(g, NULL); /* NULL: nothing satisfies it, so no text is accepted */
    rc = put_verdicts(j, a, texts, out, err);
    g4_automaton_free(a);
    if (!rc) put_valid(schema, texts, out);
    return rc;
}

int probe_schema(int argc, char **argv)
{
    g4_weights *w;
    g4_tokenizer *t = probe_tokenizer(argc, argv, &w);
    struct job j = { .t = t, .p = g4_pieces_new(t, true), .any_order = probe_flag(argc, argv, "--any-order") };
    j.bits = g4_alloc(((size_t)j.p->n_vocab + 31) / 32 * sizeof *j.bits);
    const int status = probe_lines(one, &j);
    free(j.bits);
    g4_pieces_free(j.p);
    g4_tokenizer_free(t);
    g4_weights_free(w);
    return status;
}
