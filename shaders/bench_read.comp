/* bench_read: reads a buffer in 16-byte pieces, once, and writes a word an invocation: the
 * bandwidth that a matrix-vector product can hope for.  a.n pieces; 0: an empty dispatch.
 * Used by tests/bench/gpu.c alone. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/args_bench.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint T = 256;
layout(push_constant) uniform Args { bench_args a; };
layout(std430, set = 0, binding = 1) readonly restrict buffer Data { uvec4 data[]; };
layout(std430, set = 0, binding = 2) writeonly restrict buffer Sums { uint sums[]; };

void main()
{
    const uint id = gl_WorkGroupID.x * T + gl_LocalInvocationIndex, step = gl_NumWorkGroups.x * T;
    uvec4 s0 = uvec4(0u), s1 = uvec4(0u), s2 = uvec4(0u), s3 = uvec4(0u);

    for (uint i = id; i < a.n; i += 4u * step) {
        s0 += data[i];
        if (i + step < a.n) s1 += data[i + step];
        if (i + 2u * step < a.n) s2 += data[i + 2u * step];
        if (i + 3u * step < a.n) s3 += data[i + 3u * step];
    }
    s0 += s1 + s2 + s3;
    sums[id] = s0.x + s0.y + s0.z + s0.w;
}
