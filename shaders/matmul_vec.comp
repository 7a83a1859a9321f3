/* matmul_vec: matrix ops on generated rows (common/matmul.glsl has the formulas):
 * N rows of x at once, L = a.lanes lanes an output value, V output values a group of lanes.
 *
 * A lane takes blocks lane, lane + L, .. of the row in ascending order; then the
 * lanes' sums are added as a tree: distance L / 2, L / 4, .. 1.  N enters into no
 * sum, so a row has the same bits beside any others.
 *
 * Built with INT8, block types meet rows that quantize.comp has made into bytes: x is
 * then that scratch.
 *
 * Built with RESID, the op that follows is done on the way (common/resid.glsl).
 *
 * CPU twin: matmul_run, gated_run (lib/device/cpu/ref.c).  Test: tests/ops/matmul.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "shaders/common/matmul.glsl"

layout(constant_id = 4) const uint N = 1;
layout(constant_id = 5) const uint V = 2;

#include "shaders/common/vec.glsl"
#ifdef RESID
#include "shaders/common/resid.glsl"
#endif

void main()
{
#ifdef SUBGROUP
    const uint tid = gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; /* subgroups are full */
#else
    const uint tid = gl_LocalInvocationIndex;
#endif
    const uint lane = tid % a.lanes, group = tid / a.lanes;
    const uint first = gl_WorkGroupID.y * N, n_row = step.head.n[a.range], row0 = step.head.first[a.range];
    const Tile t = tile_of(gl_WorkGroupID.x, T / a.lanes * V);
    const uint o = t.first + group * V;
    uint xr[N];
    float sum[A];

    if (first >= n_row) return;
    [[unroll]] for (uint n = 0u; n < N; n++) xr[n] = row0 + min(first + n, n_row - 1u);
    [[unroll]] for (uint i = 0u; i < A; i++) sum[i] = 0.0;
    if (is_block()) {
        for (uint b = lane; b < a.cols / 32u; b += a.lanes)
            [[unroll]] for (uint j = 0u; j < R; j++) add_block(weight_row(t, j % NW, o + j / NW), b, xr, sum, j);
    } else {
        const uint quads = DTYPE == F32 ? 1u : 2u; /* in 16 bytes of weights */
        for (uint i = lane * quads; i < (a.cols + 3u) / 4u; i += a.lanes * quads)
            [[unroll]] for (uint k = 0u; k < quads; k++)
                [[unroll]] for (uint j = 0u; j < R; j++) add_quad(weight_row(t, j % NW, o + j / NW), i + k, xr, sum, j);
    }
    add_lanes(sum, tid, lane);
    for (uint i = lane; i < V * N; i += a.lanes) {
        const uint v = i / N, n = i % N, at = (v * NW * N + n) * T + group * a.lanes;
        if (o + v < a.rows[t.w] && first + n < n_row) finish(t.w, xr[n], o + v, red[at], red[at + (NW - 1u) * N * T]);
    }
#ifdef RESID
    resid_rows(row0 + first, min(N, n_row - first), tid);
#endif
}
