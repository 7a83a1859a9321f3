/* pick_part: of G4_PICK_CHUNK logits of a row, the largest, its lowest id, and the
 * sum of exp(x - largest); a workgroup a chunk.  MASKED: only what the row's mask
 * allows.  CPU twin: log_sum_exp in lib/device/cpu/ref_attend.c.  Test: tests/ops/pick.c. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/step.glsl"
#include "shaders/common/reduce.glsl"

layout(constant_id = 1) const uint MASKED = 0;

layout(push_constant) uniform Args { pick_args a; };
layout(std430, set = 0, binding = 1) writeonly buffer Parts { g4_vk_part parts[]; };
layout(std430, set = 0, binding = 2) readonly buffer Logits { float logits[]; };

shared uint lowest;

void main()
{
    uint row;
    if (!range_row(G4_RANGE_OUT, gl_WorkGroupID.y, row)) return;
    const uint t = gl_LocalInvocationID.x, first = gl_WorkGroupID.x * G4_PICK_CHUNK, end = min(first + G4_PICK_CHUNK, a.cols);
    const uint allow = MASKED != 0 ? step.data[step.head.at_pick + row * 5 + 2] : G4_NO_ROW;
    const float none = uintBitsToFloat(0xff800000u);
    float most = none, sum = 0.0;

    for (uint i = first + t; i < end; i += GROUP)
        if (allow == G4_NO_ROW || (step.data[allow + i / 32] >> (i % 32) & 1) != 0) most = max(most, logits[(row - a.row0) * a.cols + i]);
    most = group_max(most);
    if (t == 0) lowest = G4_NO_ROW;
    barrier();
    for (uint i = first + t; i < end && most != none; i += GROUP) {
        if (allow != G4_NO_ROW && (step.data[allow + i / 32] >> (i % 32) & 1) == 0) continue;
        const float x = logits[(row - a.row0) * a.cols + i];
        sum += exp(x - most);
        if (x == most) atomicMin(lowest, i);
    }
    sum = group_sum(sum);
    if (t == 0) parts[row * a.n_chunk + gl_WorkGroupID.x] = g4_vk_part(most, sum, lowest);
}
