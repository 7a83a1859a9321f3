/* router_pick: softmax over a row's scores, the k largest (ties: the lower
 * expert), renormalised and times the expert's own factor; an invocation an expert.
 * Scores that are no numbers choose all: they may not write beyond k.
 *
 *   route[r] = k expert numbers ascending, then their k factors
 *
 * CPU twin: choose and router_run in lib/device/cpu/ref_moe.c.  Test: tests/ops/moe.c. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/step.glsl"
#include "shaders/common/reduce.glsl"

layout(push_constant) uniform Args { router_args a; };
layout(std430, set = 0, binding = 1) writeonly buffer Route { float route[]; };
layout(std430, set = 0, binding = 2) readonly buffer Score { float score[]; };
layout(std430, set = 0, binding = 3) readonly buffer Own { float own[]; };

shared float p[GROUP];
shared uint chosen[GROUP];

void main()
{
    uint row;
    if (!range_row(a.range, gl_WorkGroupID.y, row)) return;
    const uint e = gl_LocalInvocationID.x, n = a.n_expert;
    const float s = e < n ? score[row * n + e] : -3.4e38;
    const float most = group_max(s);
    const float mine = e < n ? exp(s - most) : 0.0;
    const float sum = group_sum(mine);
    uint before = 0; /* experts that win against e */

    p[e] = mine / sum;
    barrier();
    for (uint o = 0; o < n; o++) before += uint(p[o] > p[e] || (p[o] == p[e] && o < e));
    chosen[e] = uint(e < n && before < a.k);
    barrier();
    if (chosen[e] == 0) return;
    uint slot = 0;
    float all = 0.0; /* added up in ascending order by each */
    for (uint o = 0; o < n; o++) {
        if (chosen[o] == 0) continue;
        slot += uint(o < e);
        all += p[o];
    }
    if (slot >= a.k) return;
    route[row * 2 * a.k + slot] = float(e);
    route[row * 2 * a.k + a.k + slot] = p[e] / all * (a.has_own != 0 ? own[e] : 1.0);
}
