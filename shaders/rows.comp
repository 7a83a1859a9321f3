/* rows: the ops that take one row and give one row, a workgroup a row.
 *
 *   NORM    dst[r] = src[r] / sqrt(mean(src[r]^2) + eps) * w
 *   L2NORM  dst[r] = src[r] / |src[r]|
 *   ADD     dst[r] = src[r] + other[r]
 *   COPY    dst[r] = src[r]
 *   GATHER  dst[OUT i] = src[ALL out_row[i]]
 *   EMBED   dst[r] = the step's embedded row r (gathered and scaled by the host)
 *
 * Buffers f32 [rows, cols].  CPU twin: lib/device/cpu/ref.c.  Test: tests/ops/rows.c. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/step.glsl"
#include "shaders/common/reduce.glsl"

layout(constant_id = 1) const uint KIND = 0;

layout(push_constant) uniform Args { rows_args a; };
layout(std430, set = 0, binding = 1) buffer Dst { float dst[]; };
layout(std430, set = 0, binding = 2) readonly buffer Src { float src[]; };
layout(std430, set = 0, binding = 3) readonly buffer Other { float other[]; }; /* NORM: w; ADD: the other */

void main()
{
    uint row;
    if (!range_row(a.range, gl_WorkGroupID.y, row)) return;
    const uint from = KIND == G4_ROWS_GATHER ? step.data[step.head.at_out + row] : row;
    const uint to = row * a.cols, at = from * a.cols, t = gl_LocalInvocationID.x, n = GROUP;
    float k = 1.0;

    if (KIND == G4_ROWS_NORM || KIND == G4_ROWS_L2NORM) {
        float sum = 0.0;
        for (uint i = t; i < a.cols; i += n) sum = fma(src[at + i], src[at + i], sum);
        sum = group_sum(sum);
        if (KIND == G4_ROWS_NORM) k = 1.0 / sqrt(sum / float(a.cols) + a.eps);
        else k = sum > 0.0 ? 1.0 / sqrt(sum) : 0.0;
    }
    for (uint i = t; i < a.cols; i += n) {
        if (KIND == G4_ROWS_EMBED) dst[to + i] = step_float(step.head.at_embed + at + i);
        else if (KIND == G4_ROWS_ADD) dst[to + i] = src[at + i] + other[at + i];
        else if (KIND == G4_ROWS_NORM && a.has_w != 0) dst[to + i] = src[at + i] * k * other[i];
        else dst[to + i] = src[at + i] * k;
    }
}
