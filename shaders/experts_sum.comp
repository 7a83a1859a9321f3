/* experts_sum: dst[r] = sum over the slots, ascending, of factor * apart[row i of the range * k + slot].
 *
 * apart f32 [rows * k][cols], routes f32 [rows][2 k].  CPU twin: out_run (lib/device/cpu/ref_moe.c).
 * Test: tests/ops/moe.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/args_experts.h"
#include "shaders/common/step.glsl"

layout(local_size_x_id = 0) in;
layout(push_constant) uniform Args { sum_args a; };
layout(std430, set = 0, binding = 1) readonly restrict buffer Apart { float apart[]; };
layout(std430, set = 0, binding = 2) readonly restrict buffer Routes { float routes[]; };
layout(std430, set = 0, binding = 3) writeonly restrict buffer Dst { float dst[]; };

void main()
{
    const uint o = gl_GlobalInvocationID.x;
    uint row;

    if (!range_row(a.range, gl_WorkGroupID.y, row) || o >= a.cols) return;
    float y = 0.0;
    for (uint slot = 0u; slot < a.k; slot++)
        y = fma(routes[(row * 2u + 1u) * a.k + slot], apart[(gl_WorkGroupID.y * a.k + slot) * a.cols + o], y);
    dst[row * a.cols + o] = y;
}
