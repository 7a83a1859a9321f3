/* attend_tile: attention of prompt rows, dst[r] = softmax(soft_cap(alpha q . K)) V; a
 * workgroup HEADS query heads of a KV head and ROWS rows, which share the keys they
 * read (common/attend.glsl).  Rows of different sequences may meet in a workgroup.
 *
 * CPU twin: attend_run (lib/device/cpu/ref_attend.c).  Test: tests/ops/attend.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(constant_id = 3) const uint HEADS = 4;
layout(constant_id = 4) const uint ROWS = 4;
const uint C = HEADS * ROWS;
#include "shaders/common/attend.glsl"

uint seq_of(uint i)
{
    return step.data[step.head.at_seq + all_s[i]];
}

void main()
{
    const uint tid = gl_LocalInvocationIndex, head0 = gl_WorkGroupID.x * HEADS, kv_head = head0 / (a.n_head / a.n_kv);
    const uint row0 = gl_WorkGroupID.y * ROWS, n = min(ROWS, step.head.n[a.range] - min(row0, step.head.n[a.range]));
    State s;

    if (n == 0u) return;
    for (uint i = tid; i < ROWS; i += T) {
        range_row(a.range, row0 + min(i, n - 1u), row_s[i]);
        all_s[i] = all_row(a.range, row_s[i]);
        view_s[i] = view_of(all_s[i], a.window, a.causal != 0u);
    }
    barrier();
    load_queries(head0, tid);
    barrier();
    clear(s);
    for (uint first = 0u, end; first < n; first = end) {
        uint lo = view_s[first].lo, hi = view_s[first].hi;
        for (end = first + 1u; end < n && seq_of(end) == seq_of(first); end++) {
            lo = min(lo, view_s[end].lo);
            hi = max(hi, view_s[end].hi);
        }
        walk(first, end, lo, hi, kv_head, tid, s);
    }
    [[unroll]] for (uint c = 0u; c < C; c++) {
        if (c / HEADS >= n) continue;
        const float scale = s.sum[c] > 0.0 ? 1.0 / s.sum[c] : 0.0;
        const uint at = (row_s[c / HEADS] * a.n_head + head0 + c % HEADS) * D;
        [[unroll]] for (uint k = 0u; k < PAIRS_EACH; k++) {
            const uint i = tid + k * T;
            if (i >= PAIRS) continue;
            dst[at + 2u * i] = s.acc[c * PAIRS_EACH + k].x * scale;
            dst[at + 2u * i + 1u] = s.acc[c * PAIRS_EACH + k].y * scale;
        }
    }
}
