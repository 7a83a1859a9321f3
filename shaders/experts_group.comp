/* experts_group: groups the (row, slot) pairs of prompt rows by expert, for
 * experts_tile (shaders/args_experts.h).  One workgroup.  The order of the entries of
 * an expert is free: each is computed by itself. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/args_experts.h"
#include "shaders/common/step.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint T = 256;
layout(push_constant) uniform Args { group_args a; };
layout(std430, set = 0, binding = 1) readonly restrict buffer Routes { float routes[]; };
layout(std430, set = 0, binding = 2) writeonly restrict buffer Groups { uint groups[]; };

shared uint count[G4_EXPERT_MAX];  /* entries of an expert, then where its next one goes */

uint expert_of(uint entry)
{
    return min(uint(routes[(step.head.first[a.range] + entry / a.k) * 2u * a.k + entry % a.k]), a.n_expert - 1u);
}

void main()
{
    const uint tid = gl_LocalInvocationIndex, n = step.head.n[a.range] * a.k;

    for (uint e = tid; e < a.n_expert; e += T) count[e] = 0u;
    barrier();
    for (uint i = tid; i < n; i += T) atomicAdd(count[expert_of(i)], 1u);
    barrier();
    if (tid == 0u) {
        uint tiles = 0u, at = 0u;
        for (uint e = 0u; e < a.n_expert; e++) {
            const uint have = count[e];
            for (uint done = 0u; done < have; done += G4_EXPERT_TILE) {
                groups[4u + 3u * tiles] = e;
                groups[5u + 3u * tiles] = at + done;
                groups[6u + 3u * tiles] = min(have - done, G4_EXPERT_TILE);
                tiles++;
            }
            count[e] = at;
            at += have;
        }
        groups[0] = tiles;
    }
    barrier();
    for (uint i = tid; i < n; i += T) groups[4u + 3u * a.max_tiles + atomicAdd(count[expert_of(i)], 1u)] = i;
}
