/* common/tile: BM output values of BN rows of x by a workgroup, each invocation MT * NT
 * of them (times NW weights).
 *
 * Weights are decoded, and rows read, 32 columns at a time into shared memory; sums
 * run over the columns in ascending order, whatever stands beside a row.  The file
 * that includes this one (behind common/matmul.glsl) fills x_row_s. */
#ifndef G4_COMMON_TILE
#define G4_COMMON_TILE

layout(constant_id = 4) const uint BM = 64;
layout(constant_id = 5) const uint BN = 64;
layout(constant_id = 6) const uint MT = 4;   /* T = BM / MT * BN / NT */
layout(constant_id = 7) const uint NT = 4;

const uint BK = 32;
const uint WS = BM + 1u, XS = BN + 1u;       /* strides in shared memory */
const uint MX = BM / MT, NX = BN / NT;       /* invocations across and down */
const uint ACC = NW * MT * NT;

shared float ws[NW * BK * WS];               /* [NW][BK][BM] */
shared float xs[BK * XS];                    /* [BK][BN] */
shared uint x_row_s[BN];

/* BM rows of each weight, the k-th from packed row w[k] on; rows past n_w repeat the last. */
void load_weights(const Row w[NW], uint n_w, uint b, uint tid)
{
    for (uint i = tid; i < NW * BM * 4u; i += T) {
        const uint m = i % BM, part = i / BM % 4u, k = i / (BM * 4u);
        vec4 lo, hi;
        Row row = w[k];
        row.at += min(m, n_w - 1u) * a.row_units;
        block_part(row, b, part, a.cols, lo, hi);
        [[unroll]] for (uint c = 0u; c < 4u; c++) {
            ws[(k * BK + 4u * part + c) * WS + m] = lo[c];
            ws[(k * BK + 16u + 4u * part + c) * WS + m] = hi[c];
        }
    }
}

/* BN rows of x: those of x_row_s. */
void load_rows(uint b, uint tid)
{
    for (uint i = tid; i < BN * 8u; i += T) {
        const uint quad = i % 8u, n = i / 8u;
        const vec4 x = x_values(x_row_s[n], 8u * b + quad);
        [[unroll]] for (uint c = 0u; c < 4u; c++) xs[(4u * quad + c) * XS + n] = x[c];
    }
}

/* A block's sums are made apart and then added, so that errors grow with the blocks. */
void multiply(uint mx, uint nx, inout float acc[ACC])
{
    float part[ACC];

    [[unroll]] for (uint i = 0u; i < ACC; i++) part[i] = 0.0;
    for (uint k = 0u; k < BK; k++) {
        float x[NT];
        [[unroll]] for (uint j = 0u; j < NT; j++) x[j] = xs[k * XS + nx + j * NX];
        [[unroll]] for (uint i = 0u; i < NW * MT; i++) {
            const float w = ws[(i / MT * BK + k) * WS + mx + i % MT * MX];
            [[unroll]] for (uint j = 0u; j < NT; j++) part[i * NT + j] = fma(w, x[j], part[i * NT + j]);
        }
    }
    [[unroll]] for (uint i = 0u; i < ACC; i++) acc[i] += part[i];
}

/* acc[NW][MT][NT] = weights times rows of x_row_s. */
void tile_sums(const Row w[NW], uint n_w, uint tid, out float acc[ACC])
{
    [[unroll]] for (uint i = 0u; i < ACC; i++) acc[i] = 0.0;
    for (uint b = 0u; b < (a.cols + BK - 1u) / BK; b++) {
        barrier();
        load_weights(w, n_w, b, tid);
        load_rows(b, tid);
        barrier();
        multiply(tid % MX, tid / MX, acc);
    }
}

#endif
