/* pick_adjust: changes single logits of a row in place: l = (l > 0 ? l / rep : l * rep) + add,
 * and before that keeps the wanted one.  An id is one invocation's alone, which
 * takes its entries in order, so that entries for one id add up as listed.
 * CPU twin: adjust in lib/device/cpu/ref_attend.c.  Test: tests/ops/pick.c. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/step.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 256;

layout(push_constant) uniform Args { pick_args a; };
layout(std430, set = 0, binding = 1) buffer Picked { g4_vk_picked picked[]; };
layout(std430, set = 0, binding = 2) buffer Logits { float logits[]; };

void main()
{
    uint row;
    if (!range_row(G4_RANGE_OUT, gl_WorkGroupID.y, row)) return;
    const uint ask = step.head.at_pick + row * 5, t = gl_LocalInvocationID.x;
    const uint want = step.data[ask + 1], adj = step.data[ask + 3], n = step.data[ask + 4];

    if (t == 0) picked[row].want = want != G4_NO_ROW ? logits[(row - a.row0) * a.cols + want] : 0.0;
    memoryBarrierBuffer(); /* it is read before any is changed */
    barrier();
    for (uint i = 0; i < n; i++) {
        const uint id = step.data[adj + 3 * i];
        if (id == G4_NO_ROW || id % GROUP != t) continue;
        const float l = logits[(row - a.row0) * a.cols + id], rep = step_float(adj + 3 * i + 1);
        logits[(row - a.row0) * a.cols + id] = (l > 0.0 ? l / rep : l * rep) + step_float(adj + 3 * i + 2);
    }
}
