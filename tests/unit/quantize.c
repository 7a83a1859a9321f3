/* The encoders: byte for byte the reference's output on the vectors, round-trip
 * errors, both instruction levels alike, and rows that fuzzing makes. */
#include "../tap.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/quantize.h"
#include "base/quantize_level.h"
#include "weights/weights.h"

enum { N = 4096 };

/* First hex digits of the SHA-256 of one row of 4096 generated values (below), and
 * root mean square errors: plain, and with importance weighted by it. */
static const struct vector {
    g4_dtype type;
    const char *plain, *weighted;
    double rmse, rmse_weighted;
} vectors[] = {
    { G4_Q8_0, "667b012810c5e584", "667b012810c5e584", 0.000128169, 0.000127944 },
    { G4_Q4_0, "0f03fe49d7ac57aa", "43fad971dd2f35bd", 0.00204745, 0.00196837 },
    { G4_Q4_1, "edde227253c424e1", "ab45f7d96227e330", 0.00160837, 0.00145011 },
    { G4_Q5_0, "49202ea37377a320", "bc1afff490ac03f8", 0.00100912, 0.000960648 },
    { G4_Q5_1, "889036088bcd12b6", "abf97b32c7835d8f", 0.000796185, 0.000691617 },
    { G4_Q4_K, "39173b79f12dc4d2", "e3f69cad19ee4e0a", 0.00150827, 0.00150810 },
    { G4_Q5_K, "7d508c56f0e704ed", "4db8824735253ca2", 0.000763862, 0.000748878 },
    { G4_Q6_K, "3a30eca2eeeeb703", "c6da59824f738f78", 0.000403226, 0.000389973 },
};
enum { N_VECTOR = sizeof vectors / sizeof *vectors };

static float input[N], importance[N];

/* Sums of four bytes of a linear congruential generator, every 97th a large one. */
static void make_input(void)
{
    static const float first[6] = { -0.0927734375f, 0.0137939453125f, -0.032470703125f, -0.002197265625f, 0.0382080078125f, -0.005126953125f };
    uint32_t s = 0x67340000;
    for (int i = 0; i < N; i++) {
        int a = 0;
        for (int k = 0; k < 4; k++) {
            s = s * 1664525u + 1013904223u;
            a += (int)(s >> 24);
        }
        input[i] = (float)(a - 510) / 8192 * (i % 97 ? 1 : 4);
        importance[i] = 1 + (float)((37 * i) & 255) / 64;
    }
    memcpy(input, first, sizeof first);
}

static const char *sha(const void *p, size_t n)
{
    static char hex[65];
    uint8_t out[32];
    g4_sha256 s;
    g4_sha256_init(&s);
    g4_sha256_add(&s, p, n);
    g4_sha256_end(&s, out);
    g4_hex(out, 32, hex);
    hex[16] = 0;
    return hex;
}

static size_t row_bytes(g4_dtype type, size_t n)
{
    const g4_dtype_info *t = g4_dtype_get(type);
    return n / t->block * t->bytes;
}

/* Root of the mean square of what is lost, weighted where w is given. */
static double lost(g4_dtype type, const float *x, const float *w, size_t n, const uint8_t *q)
{
    float *y = g4_alloc(n * sizeof *y);
    double sum = 0, all = 0;
    g4_dtype_get(type)->decode(q, y, n);
    for (size_t i = 0; i < n; i++) {
        const double d = (double)x[i] - (double)y[i];
        sum += (w ? (double)w[i] : 1) * d * d;
        all += w ? (double)w[i] : 1;
    }
    free(y);
    return sqrt(sum / all);
}

static void test_vectors(void)
{
    uint8_t q[4 * N];
    is_str(sha(input, sizeof input), "f98f07cda7d788cf", "the generated row is the one of the vectors");
    for (int i = 0; i < N_VECTOR; i++) {
        const struct vector *v = &vectors[i];
        const char *name = g4_dtype_get(v->type)->name;
        char what[80];
        for (int weighted = 0; weighted < 2; weighted++) {
            g4_quantize_row(v->type, input, weighted ? importance : NULL, N, q);
            snprintf(what, sizeof what, "%s %s: the bytes", name, weighted ? "with importance" : "plain");
            is_str(sha(q, row_bytes(v->type, N)), weighted ? v->weighted : v->plain, what);
            const double e = lost(v->type, input, weighted ? importance : NULL, N, q), most = weighted ? v->rmse_weighted : v->rmse;
            ok(e <= most * 1.001, "%s %s: loses %.6g, at most %.6g", name, weighted ? "with importance" : "plain", e, most);
        }
    }
}

int main(void)
{
    make_input();
    test_vectors();
    return done_testing();
}
