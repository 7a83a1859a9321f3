/* experts_vec: experts of generated rows, one row a workgroup.
 *
 * OUT 0: hidden[row i of the range][slot] = gelu(gate_e x[r]) * (up_e x[r]), z the slot
 * and e the expert in it.  OUT 1: dst[r] = sum over the slots, ascending, of
 * factor * down_e hidden[i][slot].  Experts outside [expert0, expert0 + n_expert), which
 * are in another slice of the weights, are left out; all but the first slice add.
 * routes (binding 8) f32 [rows][2 k]: k experts, then k factors.
 *
 * CPU twin: in_run, out_run (lib/device/cpu/ref_moe.c).  Test: tests/ops/moe.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "shaders/common/matmul.glsl"

layout(constant_id = 4) const uint OUT = 0;
layout(constant_id = 5) const uint V = 2;
const uint N = 1u;
#include "shaders/common/vec.glsl"

layout(std430, set = 0, binding = 5) readonly buffer Before { float before[]; }; /* y0, as it was */

/* sum[j] = lane's share of expert e's rows from o on times row xr of x. */
void lane_sums(uint e, uint o, uint xr, uint lane, out float sum[A])
{
    uint rows[N];
    Row w[R];

    rows[0] = xr;
    [[unroll]] for (uint j = 0u; j < R; j++) {
        sum[j] = 0.0;
        w[j] = Row(j % NW, a.w_at[j % NW] + ((e - a.expert0) * a.matrix_rows + min(o + j / NW, a.rows[0] - 1u)) * a.row_units, a.cols / 32u);
    }
    if (is_block()) {
        for (uint b = lane; b < a.cols / 32u; b += a.lanes)
            [[unroll]] for (uint j = 0u; j < R; j++) add_block(w[j], b, rows, sum, j);
        return;
    }
    const uint quads = DTYPE == F32 ? 1u : 2u;
    for (uint i = lane * quads; i < (a.cols + 3u) / 4u; i += a.lanes * quads)
        [[unroll]] for (uint k = 0u; k < quads; k++)
            [[unroll]] for (uint j = 0u; j < R; j++) add_quad(w[j], i + k, rows, sum, j);
}

bool here(uint e)
{
    return e >= a.expert0 && e < a.expert0 + a.n_expert;
}

void main()
{
    const uint tid = gl_LocalInvocationIndex, lane = tid % a.lanes, group = tid / a.lanes, i = gl_WorkGroupID.y;
    const uint o = (gl_WorkGroupID.x * (T / a.lanes) + group) * V;
    uint row;
    float sum[A], one[A];

    if (!range_row(a.range, i, row)) return;
    if (OUT == 0u) {
        const uint e = uint(side[row * 2u * a.k_expert + gl_WorkGroupID.z]);
        if (!here(e)) return;
        lane_sums(e, o, row, lane, sum);
    } else {
        [[unroll]] for (uint j = 0u; j < A; j++) sum[j] = 0.0;
        for (uint slot = 0u; slot < a.k_expert; slot++) {
            const uint e = uint(side[row * 2u * a.k_expert + slot]);
            if (!here(e)) continue;
            lane_sums(e, o, i * a.k_expert + slot, lane, one);
            [[unroll]] for (uint j = 0u; j < A; j++) sum[j] = fma(side[(row * 2u + 1u) * a.k_expert + slot], one[j], sum[j]);
        }
    }
    add_lanes(sum, tid, lane);
    for (uint v = lane; v < V; v += a.lanes) {
        const uint at = v * NW * T + group * a.lanes;
        if (o + v >= a.rows[0]) continue;
        if (OUT == 0u) y0[(i * a.k_expert + gl_WorkGroupID.z) * a.rows[0] + o + v] = gelu(red[at]) * red[at + (NW - 1u) * T];
        else y0[row * a.rows[0] + o + v] = red[at] + (a.expert0 == 0u ? 0.0 : before[row * a.rows[0] + o + v]);
    }
}
