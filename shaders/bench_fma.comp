/* bench_fma: chains of f32 multiply-adds in registers, 16 * a.n an invocation: what tiles
 * without matrix hardware can hope for.  Used by tests/bench/gpu.c alone. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/args_bench.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint T = 256;
layout(push_constant) uniform Args { bench_args a; };
layout(std430, set = 0, binding = 2) writeonly restrict buffer Sums { float sums[]; };

void main()
{
    const uint id = gl_WorkGroupID.x * T + gl_LocalInvocationIndex;
    const vec4 k = vec4(0.999, 0.998, 0.997, 0.996) + float(id) * 1e-9;
    vec4 x = k, y = k + 1.0, z = k + 2.0, w = k + 3.0;

    for (uint i = 0u; i < a.n; i++) {
        x = fma(x, k, y);
        y = fma(y, k, z);
        z = fma(z, k, w);
        w = fma(w, k, x);
    }
    const vec4 sum = x + y + z + w;
    sums[id] = sum.x + sum.y + sum.z + sum.w;
}
