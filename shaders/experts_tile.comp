/* experts_tile: experts of prompt rows, grouped by experts_group; grid z counts tiles of
 * (row, slot) entries of one expert e.
 *
 * OUT 0: hidden[entry] = gelu(gate_e x[r]) * (up_e x[r]).  OUT 1: apart[entry] =
 * down_e hidden[entry], which experts_sum adds up.  Tiles of experts outside
 * [expert0, expert0 + n_expert) are another dispatch's.
 *
 * CPU twin: in_run, out_run (lib/device/cpu/ref_moe.c).  Test: tests/ops/moe.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "shaders/args_experts.h"
#include "shaders/common/matmul.glsl"
#include "shaders/common/tile.glsl"

layout(constant_id = 8) const uint OUT = 0;
layout(std430, set = 0, binding = 6) readonly restrict buffer Groups { uint groups[]; };

shared uint entry_s[BN];

void main()
{
    const uint tid = gl_LocalInvocationIndex, first = gl_WorkGroupID.x * BM, z = gl_WorkGroupID.z;

    if (z >= groups[0]) return;
    const uint e = groups[4u + 3u * z], n = groups[6u + 3u * z], list = 4u + 3u * a.max_tiles + groups[5u + 3u * z];
    if (e < a.expert0 || e >= a.expert0 + a.n_expert) return;
    Row w[NW];
    float acc[ACC];
    for (uint i = tid; i < BN; i += T) {
        entry_s[i] = groups[list + min(i, n - 1u)];
        x_row_s[i] = OUT == 0u ? step.head.first[a.range] + entry_s[i] / a.k_expert : entry_s[i];
    }
    for (uint k = 0u; k < NW; k++)
        w[k] = Row(k, a.w_at[k] + ((e - a.expert0) * a.matrix_rows + first) * a.row_units, a.cols / 32u);
    tile_sums(w, a.rows[0] - first, tid, acc);
    [[unroll]] for (uint j = 0u; j < NT; j++)
        [[unroll]] for (uint i = 0u; i < MT; i++) {
            const uint o = first + tid % MX + i * MX, m = tid / MX + j * NX;
            if (o >= a.rows[0] || m >= n) continue;
            const float s = acc[i * NT + j];
            y0[entry_s[m] * a.rows[0] + o] = OUT == 0u ? gelu(s) * acc[((NW - 1u) * MT + i) * NT + j] : s;
        }
}
