/* attend_merge: the parts of attend_row.comp, merged in ascending order; a workgroup a
 * row and head.  The arithmetic is that of attend_row with SPLIT 0.
 *
 * scratch f32 [row][head][part][2 + D]: top, sum, acc.  Test: tests/ops/attend.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/view.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint T = 64;
layout(constant_id = 1) const uint D = 256;

layout(push_constant) uniform Args { attend_args a; };
layout(std430, set = 0, binding = 1) readonly restrict buffer Part { float part[]; };
layout(std430, set = 0, binding = 2) writeonly restrict buffer Dst { float dst[]; };

void main()
{
    uint row;
    if (!range_row(a.range, gl_WorkGroupID.y, row)) return;
    const View v = view_of(all_row(a.range, row), a.window, a.causal != 0u);
    const uint n = part_count(v, part_keys(v));
    const uint at = (gl_WorkGroupID.y * a.n_head + gl_WorkGroupID.x) * a.parts * (2u + D);

    for (uint d = gl_LocalInvocationIndex; d < D; d += T) {
        vec3 state = vec3(NONE, 0.0, 0.0);
        for (uint i = at; i < at + n * (2u + D); i += 2u + D) state = merge_part(state, part[i], part[i + 1u], part[i + 2u + d]);
        dst[(row * a.n_head + gl_WorkGroupID.x) * D + d] = merged(state);
    }
}
