/* The encoders: byte for byte the reference's output on the vectors, round-trip
 * errors, both instruction levels alike, and rows that fuzzing makes. */
#include "../tap.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
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
    double round_trip; /* on the matrix of tests/data/quants, plain */
} vectors[] = {
    { G4_Q8_0, "667b012810c5e584", "667b012810c5e584", 0.000128169, 0.000127944, 0.00163139 },
    { G4_Q4_0, "0f03fe49d7ac57aa", "43fad971dd2f35bd", 0.00204745, 0.00196837, 0.0268762 },
    { G4_Q4_1, "edde227253c424e1", "ab45f7d96227e330", 0.00160837, 0.00145011, 0.0229886 },
    { G4_Q5_0, "49202ea37377a320", "bc1afff490ac03f8", 0.00100912, 0.000960648, 0.0131296 },
    { G4_Q5_1, "889036088bcd12b6", "abf97b32c7835d8f", 0.000796185, 0.000691617, 0.0112072 },
    { G4_Q2_K, "3f2aa88a15c27cf1", "d7ed77e2915b4656", 0.00630562, 0.00548972, 0.0904379 },
    { G4_Q3_K, "49f13a6b4cfea935", "858309673f602a0b", 0.00333660, 0.00323432, 0.0445466 },
    { G4_Q4_K, "39173b79f12dc4d2", "e3f69cad19ee4e0a", 0.00150827, 0.00150810, 0.0215105 },
    { G4_Q5_K, "7d508c56f0e704ed", "4db8824735253ca2", 0.000763862, 0.000748878, 0.0106632 },
    { G4_Q6_K, "3a30eca2eeeeb703", "c6da59824f738f78", 0.000403226, 0.000389973, 0.00533575 },
    { G4_IQ4_NL, "948a333625b6ea1b", "829426b2caddf26e", 0.00169540, 0.00165063, 0.0222944 },
    { G4_IQ4_XS, "08149206cd171d92", "ac8e456a081029cb", 0.00172279, 0.00168116, 0.0226494 },
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

/* Another matrix, with outliers, a tame and a wild row and a block of zeros: plain errors as the reference's. */
static void test_round_trip(void)
{
    enum { ROWS = 8, COLS = 512 };
    g4_err err = {0};
    g4_str file = {0};
    g4_json head;
    uint64_t n;
    int64_t at = 0;
    static float x[ROWS * COLS];
    uint8_t q[4 * ROWS * COLS];
    if (!ok(!g4_file_read("tests/data/quants/quants.safetensors", 1 << 20, &file, &err), "the matrix is there %s", err.msg)) return;
    memcpy(&n, file.p, 8);
    g4_json_check(file.p + 8, n, &head, &err);
    g4_json_i64(g4_json_at(g4_json_path(head, "roundtrip.input", "data_offsets"), 0), &at);
    memcpy(x, file.p + 8 + n + at, sizeof x);
    for (int i = 0; i < N_VECTOR; i++) {
        const g4_dtype type = vectors[i].type;
        for (int r = 0; r < ROWS; r++) g4_quantize_row(type, x + r * COLS, NULL, COLS, q + (size_t)r * row_bytes(type, COLS));
        const double e = lost(type, x, NULL, ROWS * COLS, q);
        ok(e <= vectors[i].round_trip * 1.001, "%s: loses %.6g, at most %.6g", g4_dtype_get(type)->name, e, vectors[i].round_trip);
    }
    g4_quantize_row(G4_BF16, x, NULL, COLS, q);
    ok(lost(G4_BF16, x, NULL, COLS, q) < 1e-3, "BF16 rounds");
    g4_quantize_row(G4_F16, x, NULL, COLS, q);
    ok(lost(G4_F16, x, NULL, COLS, q) < 1e-4, "F16 rounds");
    g4_str_free(&file);
}

/* ---- fuzzed rows ------------------------------------------------------------- */

static uint64_t seed = 7;

static uint32_t draw(void)
{
    seed = g4_mix64(seed + 0x9E3779B97F4A7C15u);
    return (uint32_t)(seed >> 32);
}

static float unit(void)
{
    return (float)draw() / 4294967296.0f * 2 - 1;
}

/* Of any magnitude the types hold, subnormal numbers included. */
static float wild(void)
{
    const uint32_t bits = draw() & 0x807FFFFF, exp = draw() % 142; /* up to 2^15 */
    const uint32_t v = bits | exp << 23;
    float f;
    memcpy(&f, &v, 4);
    return f;
}

/* Rows that fits stumble over. */
static void make_row(int kind, float *x, size_t n)
{
    const float a = unit() * 3, tiny = 0x1p-149f * (float)(draw() % 1000);
    for (size_t i = 0; i < n; i++) switch (kind) {
        case 0: x[i] = 0; break;
        case 1: x[i] = a; break;                                    /* all equal */
        case 2: x[i] = i % 2 ? a : -a; break;                       /* ties of magnitude */
        case 3: x[i] = i == n / 3 ? 65504 : 0; break;
        case 4: x[i] = tiny * unit(); break;                        /* subnormal throughout */
        case 5: x[i] = wild(); break;
        case 6: x[i] = i / 32 % 3 ? unit() * 0x1p-100f : unit(); break; /* groups that vanish beside others */
        case 7: x[i] = draw() % 8 ? 0 : unit(); break;
        case 8: x[i] = (unit() + 1) * 0x1p-24f; break;              /* about the least 16-bit scale */
        case 9: x[i] = -fabsf(unit()); break;
        case 10: x[i] = 65504 * (draw() % 2 ? 1.0f : -1.0f); break;
        default: x[i] = unit() * unit() * unit(); break;
        }
}
enum { N_KIND = 12 };

static float top(const float *x, size_t n)
{
    float m = 0;
    for (size_t i = 0; i < n; i++) m = fabsf(x[i]) > m ? fabsf(x[i]) : m;
    return m;
}

/* Same bytes of both levels; values that are finite and no further off than the steps of the type allow. */
static bool row_holds(g4_dtype type, const float *x, const float *im, size_t n)
{
    static uint8_t q[4 * 1024], other[4 * 1024];
    static float y[1024];
    const size_t bytes = row_bytes(type, n), block = g4_dtype_get(type)->block;
    g4_quantize_row(type, x, im, n, q);
    g4_quantize_base.row[type](x, im, n, other);
    bool fine = !memcmp(q, other, bytes);
    g4_dtype_get(type)->decode(q, y, n);
    for (size_t b = 0; b < n; b += block) {
        const float m = top(x + b, block);
        for (size_t i = b; i < b + block; i++) fine &= isfinite(y[i]) && fabsf(y[i]) <= 2.1f * m + 0x1p-10f && (im || fabsf(x[i] - y[i]) <= 1.1f * m + 1e-4f);
    }
    return fine;
}

static void test_fuzz(void)
{
    const char *full = getenv("G4_TEST_FULL");
    const int count = full && *full == '1' ? 20000 : 400;
    float x[1024], im[1024];
    for (int i = 0; i < N_VECTOR; i++) {
        const g4_dtype type = vectors[i].type;
        int bad = -1;
        for (int k = 0; k < count; k++) {
            const size_t n = 256 * (1 + draw() % 4) - (g4_dtype_get(type)->block == 32 ? 32 * (draw() % 8) : 0);
            make_row(k % N_KIND, x, n);
            for (size_t j = 0; j < n; j++) im[j] = k % 5 ? (unit() + 1) * 100 : draw() % 2 ? 0 : 5e8f * (unit() + 1);
            if (g4_quantize_check(type, x, n) != n || !row_holds(type, x, NULL, n) || !row_holds(type, x, im, n)) bad = k;
        }
        ok(bad < 0, "%s: %d odd rows: both levels the same bytes, values finite and near", g4_dtype_get(type)->name, count);
        if (bad >= 0) printf("# row %d, of kind %d\n", bad, bad % N_KIND);
    }
}

static void test_refused(void)
{
    float x[256] = { 0 };
    const float odd[] = { NAN, -NAN, INFINITY, -INFINITY };
    bool all = true;
    for (size_t t = 0; t < G4_DTYPE_END; t++) {
        if (!g4_dtype_get((uint32_t)t) || !g4_quantize_can((g4_dtype)t)) continue;
        for (int k = 0; k < 4; k++) {
            x[100] = odd[k];
            all &= g4_quantize_check((g4_dtype)t, x, 256) == 100;
        }
    }
    ok(all, "NaN and infinities are refused by every type, with their place");
    x[100] = 65505;
    ok(g4_quantize_check(G4_Q8_0, x, 256) == 100 && g4_quantize_check(G4_F16, x, 256) == 100 && g4_quantize_check(G4_BF16, x, 256) == 256,
       "what a 16-bit scale cannot reach is refused, but for F32 and BF16");
    x[100] = 3.4028234e38f;
    ok(g4_quantize_check(G4_BF16, x, 256) == 100 && g4_quantize_check(G4_F32, x, 256) == 256, "BF16 refuses what rounds to infinity");
    ok(!g4_quantize_can(G4_IQ2_XXS) && !g4_quantize_can(G4_I32) && g4_quantize_can(G4_Q6_K), "types without an encoder are told");
}

/* ---- Q4_0 by search ------------------------------------------------------------ */

/* bf16 values on a grid: codes -7..7 (or -8..7) times a scale that `shared` blocks have in common. */
static void make_grid(float *x, size_t n, int low, size_t shared)
{
    float d = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % (32 * shared) == 0) d = 0.001f + 0.02f * fabsf(unit());
        int code = low + (int)(draw() % (uint32_t)(8 - low));
        if (i % 32 == 5 && low == -8) code = -8;
        x[i] = g4_bf16_to_f32(g4_f32_to_bf16(d * (float)code));
    }
}

static double relative(const float *x, const uint8_t *q, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++) s += (double)x[i] * (double)x[i];
    return lost(G4_Q4_0, x, NULL, n, q) / sqrt(s / (double)n);
}

static void test_search(void)
{
    static float x[N];
    static uint8_t plain[4 * N], best[4 * N];
    static const struct { const char *what; int low; size_t shared; } grids[] = {
        { "codes -7..7, a scale a block", -7, 1 }, { "one scale for 16 blocks", -7, 16 }, { "code -8 in each block", -8, 1 },
    };
    for (int g = 0; g < 3; g++) {
        make_grid(x, N, grids[g].low, grids[g].shared);
        g4_quantize_row(G4_Q4_0, x, NULL, N, plain);
        const size_t on = g4_quantize_q4_0_search(x, NULL, N, best);
        const double e = relative(x, best, N);
        ok(e <= 0.0016 && on >= N / 32 * 97 / 100, "%s: %.4g of the whole is lost (plain %.4g), %zu of %d blocks on the grid", grids[g].what, e,
           relative(x, plain, N), on, N / 32);
    }
    int worse = 0;
    for (int k = 0; k < 200; k++) {
        make_row(k % N_KIND, x, 512);
        g4_quantize_row(G4_Q4_0, x, NULL, 512, plain);
        g4_quantize_q4_0_search(x, NULL, 512, best);
        worse += lost(G4_Q4_0, x, NULL, 512, best) > lost(G4_Q4_0, x, NULL, 512, plain) * 1.000001;
    }
    is_int(worse, 0, "no row loses more than by the plain fit");
    const size_t on = g4_quantize_q4_0_search(input, importance, N, best);
    ok(lost(G4_Q4_0, input, importance, N, best) <= 0.00196837 && on < N / 64, "with importance: loses %.6g, at most 0.00196837; %zu blocks on a grid",
       lost(G4_Q4_0, input, importance, N, best), on);
}

int main(void)
{
    make_input();
    test_vectors();
    test_round_trip();
    test_fuzz();
    test_refused();
    test_search();
    return done_testing();
}
