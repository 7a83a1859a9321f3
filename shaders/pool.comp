/* pool: y[s] = mean of x over the rows of sequence s, added in their order; an invocation a column.
 * CPU twin: pool_run in lib/device/cpu/ref.c.  Test: tests/ops/rows.c. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/step.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 256;

layout(push_constant) uniform Args { rows_args a; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { float y[]; };
layout(std430, set = 0, binding = 2) readonly buffer X { float x[]; };

void main()
{
    uint s;
    const uint i = gl_WorkGroupID.x * GROUP + gl_LocalInvocationID.x;
    if (!range_row(G4_RANGE_SEQ, gl_WorkGroupID.y, s) || i >= a.cols) return;
    const uint first = seq_word(s, 3), n = seq_word(s, 4);
    float sum = 0.0;

    for (uint r = first; r < first + n; r++) sum += x[r * a.cols + i];
    y[s * a.cols + i] = n != 0 ? sum / float(n) : 0.0;
}
