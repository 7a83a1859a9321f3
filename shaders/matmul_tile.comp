/* matmul_tile: matrix ops on prompt rows (common/matmul.glsl has the formulas): a
 * workgroup BM output values of BN rows, each invocation MT * NT of them.
 *
 * Weights are decoded, and rows read, 32 columns at a time into shared memory; sums
 * run over the columns in ascending order, whatever stands beside a row.
 *
 * CPU twin: matmul_run, gated_run (lib/device/cpu/ref.c).  Test: tests/ops/matmul.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "shaders/common/matmul.glsl"

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

void load_weights(Tile t, uint b, uint tid)
{
    for (uint i = tid; i < NW * BM * 4u; i += T) {
        const uint m = i % BM, part = i / BM % 4u, k = i / (BM * 4u);
        vec4 lo, hi;
        block_part(weight_row(t, k, t.first + m), b, part, a.cols, lo, hi);
        [[unroll]] for (uint c = 0u; c < 4u; c++) {
            ws[(k * BK + 4u * part + c) * WS + m] = lo[c];
            ws[(k * BK + 16u + 4u * part + c) * WS + m] = hi[c];
        }
    }
}

void load_rows(uint first, uint n_row, uint b, uint tid)
{
    for (uint i = tid; i < BN * 8u; i += T) {
        const uint quad = i % 8u, n = i / 8u;
        const vec4 x = x_values(step.head.first[a.range] + min(first + n, n_row - 1u), 8u * b + quad);
        [[unroll]] for (uint c = 0u; c < 4u; c++) xs[(4u * quad + c) * XS + n] = x[c];
    }
}

void multiply(uint mx, uint nx, inout float acc[ACC])
{
    for (uint k = 0u; k < BK; k++) {
        float x[NT];
        [[unroll]] for (uint j = 0u; j < NT; j++) x[j] = xs[k * XS + nx + j * NX];
        [[unroll]] for (uint i = 0u; i < NW * MT; i++) {
            const float w = ws[(i / MT * BK + k) * WS + mx + i % MT * MX];
            [[unroll]] for (uint j = 0u; j < NT; j++) acc[i * NT + j] = fma(w, x[j], acc[i * NT + j]);
        }
    }
}

void main()
{
    const uint tid = gl_LocalInvocationIndex, mx = tid % MX, nx = tid / MX;
    const uint first = gl_WorkGroupID.y * BN, n_row = step.head.n[a.range];
    const Tile t = tile_of(gl_WorkGroupID.x, BM);
    float acc[ACC];

    if (first >= n_row) return;
    [[unroll]] for (uint i = 0u; i < ACC; i++) acc[i] = 0.0;
    for (uint b = 0u; b < (a.cols + BK - 1u) / BK; b++) {
        load_weights(t, b, tid);
        load_rows(first, n_row, b, tid);
        barrier();
        multiply(mx, nx, acc);
        barrier();
    }
    [[unroll]] for (uint j = 0u; j < NT; j++)
        [[unroll]] for (uint i = 0u; i < MT; i++) {
            const uint o = t.first + mx + i * MX, n = first + nx + j * NX;
            if (o < a.rows[t.w] && n < n_row)
                finish(t.w, step.head.first[a.range] + n, o, acc[i * NT + j], acc[((NW - 1u) * MT + i) * NT + j]);
        }
}
