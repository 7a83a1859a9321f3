/* resid: the residual stream takes a branch, and the next norm is made of it, a workgroup a row.
 *
 *   x[r] = (x[r] + (w ? f[r] / sqrt(mean(f[r]^2) + eps) * w : f[r])) * alpha
 *   y[r] = x[r] / sqrt(mean(x[r]^2) + eps) * next          (HAS_NEXT)
 *
 * Fused because both norms want the whole row: apart they are two more passes
 * over it.  Buffers f32 [rows, cols].  CPU twin: resid_run in
 * lib/device/cpu/ref.c.  Test: tests/ops/rows.c. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/step.glsl"
#include "shaders/common/reduce.glsl"

layout(constant_id = 1) const uint HAS_W = 0;
layout(constant_id = 2) const uint HAS_NEXT = 0;    /* 1: y is made; 2: and has weights */

layout(push_constant) uniform Args { resid_args a; };
layout(std430, set = 0, binding = 1) buffer X { float x[]; };
layout(std430, set = 0, binding = 2) readonly buffer F { float f[]; };
layout(std430, set = 0, binding = 3) readonly buffer W { float w[]; };
layout(std430, set = 0, binding = 4) writeonly buffer Y { float y[]; };
layout(std430, set = 0, binding = 5) readonly buffer Next { float next[]; };

void main()
{
    uint row;
    if (!range_row(a.range, gl_WorkGroupID.y, row)) return;
    const uint at = row * a.cols, t = gl_LocalInvocationID.x;
    float k = 1.0, sum = 0.0;

    if (HAS_W != 0) {
        for (uint i = t; i < a.cols; i += GROUP) sum = fma(f[at + i], f[at + i], sum);
        k = 1.0 / sqrt(group_sum(sum) / float(a.cols) + a.eps);
        sum = 0.0;
    }
    for (uint i = t; i < a.cols; i += GROUP) {
        const float v = (x[at + i] + (HAS_W != 0 ? f[at + i] * k * w[i] : f[at + i])) * a.alpha;
        x[at + i] = v;
        sum = fma(v, v, sum);
    }
    if (HAS_NEXT == 0) return;
    k = 1.0 / sqrt(group_sum(sum) / float(a.cols) + a.eps);
    for (uint i = t; i < a.cols; i += GROUP) y[at + i] = HAS_NEXT == 2 ? x[at + i] * k * next[i] : x[at + i] * k;
}
