/* matmul_vec: matrix ops on generated rows (common/matmul.glsl has the formulas):
 * N rows of x at once, L = a.lanes lanes an output value, V output values a group of lanes.
 *
 * A lane takes blocks lane, lane + L, .. of the row in ascending order; then the
 * lanes' sums are added as a tree: distance L / 2, L / 4, .. 1.  N enters into no
 * sum, so a row has the same bits beside any others.
 *
 * CPU twin: matmul_run, gated_run (lib/device/cpu/ref.c).  Test: tests/ops/matmul.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "shaders/common/matmul.glsl"

layout(constant_id = 4) const uint N = 1;
layout(constant_id = 5) const uint V = 2;

const uint R = V * NW;      /* rows of weights a lane reads */
const uint A = R * N;       /* its sums: [V][NW][N] */

shared float red[A * T];

/* sum[j][] += block b of weight row w times rows xr of x */
void add_block(Row w, uint b, uint xr[N], inout float sum[A], uint j)
{
    uvec4 lo, hi;
    block_quants(w, b, lo, hi);
    const vec3 s = block_scales(w, b);
    vec4 q[8];
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        q[i] = bytes_f32(lo[i]);
        q[4u + i] = bytes_f32(hi[i]);
    }
    [[unroll]] for (uint n = 0u; n < N; n++) {
        precise float half_sum[2], all = 0.0;
        [[unroll]] for (uint h = 0u; h < 2u; h++) {
            half_sum[h] = 0.0;
            [[unroll]] for (uint i = 0u; i < 4u; i++) {
                const vec4 x = x_values(xr[n], 8u * b + 4u * h + i);
                [[unroll]] for (uint c = 0u; c < 4u; c++) half_sum[h] = fma(q[4u * h + i][c], x[c], half_sum[h]);
                if (has_min()) all = all + ((x.x + x.y) + (x.z + x.w));
            }
        }
        precise float y = fma(s.x, half_sum[0], sum[j * N + n]);
        y = fma(s.y, half_sum[1], y);
        if (has_min()) y = fma(s.z, all, y);
        sum[j * N + n] = y;
    }
}

/* The same for four values of a float type. */
void add_quad(Row w, uint i, uint xr[N], inout float sum[A], uint j)
{
    const vec4 q = float_values(w, i);
    [[unroll]] for (uint n = 0u; n < N; n++) {
        const vec4 x = x_values(xr[n], i);
        precise float y = sum[j * N + n];
        [[unroll]] for (uint c = 0u; c < 4u; c++) y = fma(q[c], x[c], y);
        sum[j * N + n] = y;
    }
}

/* The lanes' sums of each group, in red[][first lane]. */
void add_lanes(const float sum[A], uint tid, uint lane)
{
    [[unroll]] for (uint i = 0u; i < A; i++) red[i * T + tid] = sum[i];
    for (uint d = a.lanes / 2u; d > 0u; d /= 2u) {
        barrier();
        if (lane < d)
            [[unroll]] for (uint i = 0u; i < A; i++) red[i * T + tid] += red[i * T + tid + d];
    }
    barrier();
}

void main()
{
    const uint tid = gl_LocalInvocationIndex, lane = tid % a.lanes, group = tid / a.lanes;
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
}
