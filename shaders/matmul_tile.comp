/* matmul_tile: matrix ops on prompt rows (common/matmul.glsl has the formulas), in
 * tiles (common/tile.glsl).
 *
 * CPU twin: matmul_run, gated_run (lib/device/cpu/ref.c).  Test: tests/ops/matmul.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "shaders/common/matmul.glsl"
#include "shaders/common/tile.glsl"

void main()
{
    const uint tid = gl_LocalInvocationIndex, first = gl_WorkGroupID.y * BN, n_row = step.head.n[a.range];
    const Tile t = tile_of(gl_WorkGroupID.x, BM);
    Row w[NW];
    float acc[ACC];

    if (first >= n_row) return;
    for (uint i = tid; i < BN; i += T) x_row_s[i] = step.head.first[a.range] + min(first + i, n_row - 1u);
    for (uint k = 0u; k < NW; k++) w[k] = weight_row(t, k, t.first);
    tile_sums(w, a.rows[t.w] - t.first, tid, acc);
    [[unroll]] for (uint j = 0u; j < NT; j++)
        [[unroll]] for (uint i = 0u; i < MT; i++) {
            const uint o = t.first + tid % MX + i * MX, n = tid / MX + j * NX;
            if (o < a.rows[t.w] && first + n < n_row)
                finish(t.w, x_row_s[n], o, acc[i * NT + j], acc[((NW - 1u) * MT + i) * NT + j]);
        }
}
