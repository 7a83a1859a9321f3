/* router: the experts' scores, a workgroup EXPERTS experts of a row.
 *
 *   score[r][e] = w[e] . (rms(x[r]) * scale * alpha)
 *
 * w is f32 [n_expert, cols].  The row's norm is made anew by each workgroup: that
 * is less than another launch.  router_pick.comp chooses.  CPU twin: router_run in
 * lib/device/cpu/ref_moe.c.  Test: tests/ops/moe.c. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/step.glsl"
#include "shaders/common/reduce.glsl"

const uint EXPERTS = G4_ROUTER_EXPERTS;

layout(push_constant) uniform Args { router_args a; };
layout(std430, set = 0, binding = 1) writeonly buffer Score { float score[]; };
layout(std430, set = 0, binding = 2) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 3) readonly buffer W { float w[]; };
layout(std430, set = 0, binding = 4) readonly buffer Scale { float scale[]; };

void main()
{
    uint row;
    if (!range_row(a.range, gl_WorkGroupID.y, row)) return;
    const uint at = row * a.cols, t = gl_LocalInvocationID.x, first = gl_WorkGroupID.x * EXPERTS;
    float sum = 0.0, dots[EXPERTS];

    for (uint i = t; i < a.cols; i += GROUP) sum = fma(x[at + i], x[at + i], sum);
    const float k = 1.0 / sqrt(group_sum(sum) / float(a.cols) + a.eps);
    for (uint e = 0; e < EXPERTS; e++) dots[e] = 0.0;
    for (uint i = t; i < a.cols; i += GROUP) {
        const float z = x[at + i] * k * scale[i] * a.alpha;
        for (uint e = 0; e < EXPERTS; e++)
            if (first + e < a.n_expert) dots[e] = fma(w[(first + e) * a.cols + i], z, dots[e]);
    }
    for (uint e = 0; e < EXPERTS; e++) {
        const float dot_e = group_sum(dots[e]);
        if (t == 0 && first + e < a.n_expert) score[row * a.n_expert + first + e] = dot_e;
    }
}
