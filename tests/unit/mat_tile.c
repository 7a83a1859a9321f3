/* The tile program of shaders/spirv/matmul_mat.comp, run on the CPU: the same index
 * arithmetic (shaders/mat_tile.h), f16 operands, f32 sums, rows scaled by powers of two;
 * and the proof that the committed SPIR-V was built from the sources beside it. */
#include "../tap.h"

#include <stdio.h>

#include "base/dtype.h"
#include "base/mem.h"
#include "shaders/mat_tile.h"

enum { THREADS = MAT_SUBGROUPS * 32, FRAG_MAX = 32 };

struct problem {
    uint32_t cols, rows, n;     /* columns, output values, rows of x */
    uint32_t m, fn, k;          /* of a fragment */
    float *w, *x;               /* [2][rows][cols], [n][cols] */
};

static uint64_t state = 88172645463325252u;

static float rnd_unit(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (float)(int32_t)(state >> 32) * 0x1p-31f;
}

static float half(float x)
{
    return g4_f16_to_f32(g4_f32_to_f16(x));
}

/* row_scale.comp */
static float row_scale(const float *x, uint32_t cols)
{
    float most = 0;
    int e;
    for (uint32_t i = 0; i < cols; i++) most = fmaxf(most, fabsf(x[i]));
    frexpf(most, &e);
    return most > 0 ? ldexpf(1, 1 - e) : 0x1p126f;
}

struct group {                  /* a workgroup */
    float ws[2 * MAT_BM * MAT_STRIDE], xs[MAT_BN * MAT_STRIDE], outs[MAT_BN * MAT_OUT_STRIDE];
    float acc[MAT_SUBGROUPS][2][MAT_SIDE / 8][MAT_SIDE / 8][FRAG_MAX * FRAG_MAX];
    int w_set[2 * MAT_BM * MAT_STRIDE], x_set[MAT_BN * MAT_STRIDE];
};

static float at(const float *p, uint32_t row, uint32_t rows, uint32_t col, uint32_t cols)
{
    return col < cols ? p[(size_t)(row < rows ? row : rows - 1) * cols + col] : 0;
}

static void load(struct group *g, const struct problem *p, uint32_t nw, uint32_t first_w, uint32_t first_x, uint32_t b, const float *scale)
{
    for (uint32_t tid = 0; tid < THREADS; tid++) {
        for (uint32_t i = tid; i < nw * MAT_W_ITEMS; i += THREADS)
            for (uint32_t c = 0; c < 8; c++) {
                const uint32_t col = 4 * mat_w_part(i) + (c < 4 ? c : 12 + c), to = mat_w_at(mat_w_matrix(i), mat_w_value(i), col);
                const float *w = p->w + (size_t)mat_w_matrix(i) * p->rows * p->cols;
                g->ws[to] = half(at(w, first_w + mat_w_value(i), p->rows, b * MAT_BK + col, p->cols));
                g->w_set[to]++;
            }
        for (uint32_t i = tid; i < MAT_X_ITEMS; i += THREADS)
            for (uint32_t c = 0; c < 4; c++) {
                const uint32_t n = first_x + mat_x_row(i), col = 4 * mat_x_quad(i) + c, to = mat_x_at(mat_x_row(i), col);
                g->xs[to] = half(at(p->x, n, p->n, b * MAT_BK + col, p->cols) * scale[n < p->n ? n : p->n - 1]);
                g->x_set[to]++;
            }
    }
}

static void multiply(struct group *g, const struct problem *p, uint32_t nw)
{
    for (uint32_t s = 0; s < MAT_SUBGROUPS; s++)
        for (uint32_t k = 0; k < MAT_BK; k += p->k)
            for (uint32_t j = 0; j < MAT_SIDE / p->fn; j++)
                for (uint32_t i = 0; i < nw * (MAT_SIDE / p->m); i++) {
                    const uint32_t matrix = i / (MAT_SIDE / p->m), down = i % (MAT_SIDE / p->m);
                    const float *w = g->ws + mat_w_at(matrix, mat_value(s, down, p->m), k), *x = g->xs + mat_x_at(mat_row(s, j, p->fn), k);
                    for (uint32_t r = 0; r < p->m * p->fn; r++)
                        for (uint32_t c = 0; c < p->k; c++)
                            g->acc[s][matrix][down][j][r] += w[r / p->fn * MAT_STRIDE + c] * x[r % p->fn * MAT_STRIDE + c];
                }
}

static void store(struct group *g, const struct problem *p, uint32_t matrix)
{
    for (uint32_t s = 0; s < MAT_SUBGROUPS; s++)
        for (uint32_t i = 0; i < MAT_SIDE / p->m; i++)
            for (uint32_t j = 0; j < MAT_SIDE / p->fn; j++)
                for (uint32_t r = 0; r < p->m * p->fn; r++)
                    g->outs[mat_out_at(mat_value(s, i, p->m), mat_row(s, j, p->fn)) + r % p->fn * MAT_OUT_STRIDE + r / p->fn] =
                        g->acc[s][matrix][i][j][r];
}

/* Every element of a block was written once, the padding never. */
static bool covered(const struct group *g, uint32_t nw)
{
    bool good = true;
    for (uint32_t i = 0; i < nw * MAT_BM * MAT_STRIDE; i++) good = good && g->w_set[i] == (i % MAT_STRIDE < MAT_BK);
    for (uint32_t i = 0; i < MAT_BN * MAT_STRIDE; i++) good = good && g->x_set[i] == (i % MAT_STRIDE < MAT_BK);
    return good;
}

static double dot(const struct problem *p, uint32_t matrix, uint32_t o, uint32_t n, double *size)
{
    double sum = 0;
    *size = 1e-30;
    for (uint32_t i = 0; i < p->cols; i++) {
        const double t = (double)p->w[((size_t)matrix * p->rows + o) * p->cols + i] * p->x[(size_t)n * p->cols + i];
        sum += t;
        *size += t * t;
    }
    *size = sqrt(*size);
    return sum;
}

static void test(uint32_t cols, uint32_t rows, uint32_t n, uint32_t nw, uint32_t m, uint32_t fn, uint32_t k, float scale_x)
{
    struct problem p = { cols, rows, n, m, fn, k, g4_alloc((size_t)2 * rows * cols * 4), g4_alloc((size_t)n * cols * 4) };
    struct group *g = g4_alloc(sizeof *g);
    float *scale = g4_alloc(n * sizeof *scale);
    double most = 0, size;
    bool good = true;
    for (size_t i = 0; i < (size_t)2 * rows * cols; i++) p.w[i] = rnd_unit() * 0.1f;
    for (size_t i = 0; i < (size_t)n * cols; i++) p.x[i] = rnd_unit() * scale_x * (i % 97 ? 1 : 30);
    for (uint32_t i = 0; i < n; i++) scale[i] = row_scale(p.x + (size_t)i * cols, cols);
    for (uint32_t w0 = 0; w0 < rows; w0 += MAT_BM)
        for (uint32_t x0 = 0; x0 < n; x0 += MAT_BN) {
            memset(g->acc, 0, sizeof g->acc);
            for (uint32_t b = 0; b < (cols + MAT_BK - 1) / MAT_BK; b++) {
                memset(g->w_set, 0, sizeof g->w_set), memset(g->x_set, 0, sizeof g->x_set);
                load(g, &p, nw, w0, x0, b, scale);
                multiply(g, &p, nw);
                good = good && covered(g, nw);
            }
            for (uint32_t matrix = 0; matrix < nw; matrix++) {
                for (uint32_t i = 0; i < MAT_BN * MAT_OUT_STRIDE; i++) g->outs[i] = NAN;
                store(g, &p, matrix);
                for (uint32_t i = 0; i < MAT_BM * MAT_BN; i++) {
                    const uint32_t o = i % MAT_BM, r = i / MAT_BM;
                    if (w0 + o >= rows || x0 + r >= n) continue;
                    const double want = dot(&p, matrix, w0 + o, x0 + r, &size), e = fabs(g->outs[mat_out_at(o, r)] / scale[x0 + r] - want) / size;
                    if (!(e <= most)) most = e;
                }
            }
        }
    ok(good, "%u columns, %u weights: every element of shared memory is written once a block", cols, nw);
    ok(most < 2e-3, "%u columns, %u values, %u rows, %u weights, fragments %u x %u x %u, |x| to %g: largest error %.2g", cols, rows, n, nw, m, fn,
       k, scale_x * 30, most);
    free(p.w), free(p.x), free(scale), free(g);
}

static bool output_of(const char *command, char *out, size_t size)
{
    FILE *f = popen(command, "r");
    const bool got = f && fgets(out, (int)size, f);
    if (f) pclose(f);
    out[got ? strcspn(out, " \n") : 0] = 0;
    return got;
}

/* shaders/spirv/SUMS names what each committed file was made of. */
static void test_sums(void)
{
    char sources[80], spirv[80], name[64], command[256], now[128];
    FILE *f = fopen("shaders/spirv/SUMS", "r");
    int n = 0;
    while (f && fscanf(f, "%79s %79s %63s", sources, spirv, name) == 3) {
        snprintf(command, sizeof command, "shaders/spirv/make --sources %s", name);
        ok(output_of(command, now, sizeof now) && !strcmp(now, sources), "%s: its sources are those it was built from (else: shaders/spirv/make)", name);
        snprintf(command, sizeof command, "sha256sum <shaders/spirv/%s.spv", name);
        ok(output_of(command, now, sizeof now) && !strcmp(now, spirv), "%s: the SPIR-V is the one that was built", name);
        n++;
    }
    if (f) fclose(f);
    ok(n > 0, "SUMS lists %d files", n);
}

int main(void)
{
    test(96, 64, 64, 1, 16, 16, 16, 1);
    test(80, 70, 65, 2, 16, 16, 16, 1);
    test(64, 37, 3, 1, 16, 8, 16, 20000);
    test(256, 130, 100, 1, 8, 8, 16, 1e-6f);
    test(32, 5, 130, 2, 16, 16, 32, 3);
    test_sums();
    return done_testing();
}
