/* ple: per-layer inputs, a workgroup a slice of `dim` columns of a row.
 *
 *   y[r] = rms(x[r] slice) * w                     (without a table)
 *   y[r] = (rms(x[r] slice) * w + table row) * beta
 *
 * The table's row is the step's, gathered and scaled by the host: the table is
 * larger than the rest of the model and stays in host memory.  CPU twin: ple_run
 * in lib/device/cpu/ref.c.  Test: tests/ops/rows.c. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/step.glsl"
#include "shaders/common/reduce.glsl"

layout(push_constant) uniform Args { ple_args a; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { float y[]; };
layout(std430, set = 0, binding = 2) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 3) readonly buffer W { float w[]; };

void main()
{
    uint row;
    if (!range_row(a.range, gl_WorkGroupID.y, row)) return;
    const uint at = row * a.cols + gl_WorkGroupID.x * a.dim, t = gl_LocalInvocationID.x;
    const uint table = step.head.at_ple + all_row(a.range, row) * a.cols + gl_WorkGroupID.x * a.dim;
    float sum = 0.0;

    for (uint i = t; i < a.dim; i += GROUP) sum = fma(x[at + i], x[at + i], sum);
    const float k = 1.0 / sqrt(group_sum(sum) / float(a.dim) + a.eps);
    for (uint i = t; i < a.dim; i += GROUP) {
        const float v = x[at + i] * k * w[i];
        y[at + i] = a.has_table != 0 ? (v + step_float(table + i)) * a.beta : v;
    }
}
