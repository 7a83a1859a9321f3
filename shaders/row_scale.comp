/* row_scale: for rows that are to become f16, the power of two that brings the largest
 * |x| of a row into [1, 2); a workgroup a row.  Gemma's activations pass 65504.
 *
 * dst f32 [row i of the range][2]: the factor and its inverse.  Test: tests/unit/mat_tile.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/args_matmul.h"
#include "shaders/common/step.glsl"
#include "shaders/common/reduce.glsl"

layout(push_constant) uniform Args { quantize_args a; };
layout(std430, set = 0, binding = 1) readonly restrict buffer X { float x[]; };
layout(std430, set = 0, binding = 2) writeonly restrict buffer Dst { float dst[]; };

void main()
{
    uint row;
    float most = 0.0;

    if (!range_row(a.range, gl_WorkGroupID.y, row)) return;
    for (uint i = gl_LocalInvocationID.x; i < a.cols; i += GROUP) most = max(most, abs(x[row * a.cols + i]));
    most = group_max(most);
    if (gl_LocalInvocationID.x != 0u) return;
    const uint e = clamp(floatBitsToUint(most) >> 23u, 1u, 253u); /* most = 1.m * 2^(e - 127) */
    dst[2u * gl_WorkGroupID.y] = uintBitsToFloat((254u - e) << 23u);
    dst[2u * gl_WorkGroupID.y + 1u] = uintBitsToFloat(e << 23u);
}
