/* quantize: rows of x as blocks of 32 signed bytes, for the matrix shaders' INT8 builds; an
 * invocation a block.  d = max |x| / 127, q = round to even of x / d.
 *
 * dst [row i of the range][block] 12 words: q[32], d (f32), sum of q, 2 unused.  Test: tests/ops/matmul.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/args_matmul.h"
#include "shaders/common/step.glsl"

layout(local_size_x_id = 0) in;
layout(push_constant) uniform Args { quantize_args a; };
layout(std430, set = 0, binding = 1) readonly restrict buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 2) writeonly restrict buffer Dst { uvec4 dst[]; };

void main()
{
    const uint b = gl_GlobalInvocationID.x, nb = a.cols / 32u;
    uint row;
    uvec4 words[2];
    int sum = 0;
    float most = 0.0;

    if (!range_row(a.range, gl_WorkGroupID.y, row) || b >= nb) return;
    const uint at = (row * nb + b) * 8u, to = (gl_WorkGroupID.y * nb + b) * 3u;
    for (uint i = 0u; i < 8u; i++) {
        const vec4 v = abs(x[at + i]);
        most = max(most, max(max(v.x, v.y), max(v.z, v.w)));
    }
    const float k = most > 1e-30 ? 127.0 / most : 0.0;
    for (uint i = 0u; i < 8u; i++) {
        const ivec4 q = ivec4(roundEven(x[at + i] * k));
        words[i / 4u][i % 4u] = uint(q.x & 255) | uint(q.y & 255) << 8 | uint(q.z & 255) << 16 | uint(q.w & 255) << 24;
        sum += q.x + q.y + q.z + q.w;
    }
    dst[to] = words[0];
    dst[to + 1u] = words[1];
    dst[to + 2u] = uvec4(floatBitsToUint(k > 0.0 ? most / 127.0 : 0.0), uint(sum), 0u, 0u);
}
