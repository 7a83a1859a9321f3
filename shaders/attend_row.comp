/* attend_row: attention of generated rows, dst[r] = softmax(soft_cap(alpha q . K)) V;
 * a workgroup a row and C query heads of a KV head (common/attend.glsl).
 *
 * A row's keys are cut into parts at fixed positions (common/view.glsl), which are
 * merged in ascending order.  SPLIT 1: grid z counts parts, and a part's state goes
 * to scratch, f32 [row][head][part][2 + D], for attend_merge or, built with MERGE, for
 * the last workgroup of the row to come there.  SPLIT 0: the workgroup
 * takes one part after another; the bits are the same.
 *
 * CPU twin: attend_run (lib/device/cpu/ref_attend.c).  Test: tests/ops/attend.c */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

layout(constant_id = 3) const uint C = 4;
layout(constant_id = 4) const uint SPLIT = 1;
const uint HEADS = C, ROWS = 1u;
#include "shaders/common/attend.glsl"

/* (top, sum, acc) of s joins that of `all`. */
void merge(inout State all, State s, uint tid)
{
    if (tid < C) {
        const vec2 w = merge_weights(all.top, s.top);
        keep_s[tid] = w.x;
        now_s[tid] = w.y;
        all.top = max(all.top, s.top);
    }
    barrier();
    [[unroll]] for (uint c = 0u; c < C; c++) {
        precise float part = s.sum[c] * now_s[c];
        all.sum[c] = fma(all.sum[c], keep_s[c], part);
        [[unroll]] for (uint n = c * PAIRS_EACH; n < (c + 1u) * PAIRS_EACH; n++) {
            precise vec2 acc = s.acc[n] * now_s[c];
            all.acc[n] = fma(all.acc[n], vec2(keep_s[c]), acc);
        }
    }
    barrier();
}

void store(uint at, uint c, State s, float scale, uint tid)
{
    [[unroll]] for (uint n = 0u; n < PAIRS_EACH; n++) {
        const uint i = tid + n * T;
        if (i >= PAIRS) continue;
        dst[at + 2u * i] = s.acc[c * PAIRS_EACH + n].x * scale;
        dst[at + 2u * i + 1u] = s.acc[c * PAIRS_EACH + n].y * scale;
    }
}

void store_part(uint head0, State s, uint tid)
{
    if (tid < C) now_s[tid] = s.top;
    barrier();
    [[unroll]] for (uint c = 0u; c < C; c++) {
        const uint at = ((gl_WorkGroupID.y * a.n_head + head0 + c) * a.parts + gl_WorkGroupID.z) * (2u + D);
        if (tid == 0u) {
            dst[at] = now_s[c];
            dst[at + 1u] = s.sum[c];
        }
        store(at + 2u, c, s, 1.0, tid);
    }
}

#ifdef MERGE
layout(std430, set = 0, binding = 5) writeonly restrict buffer Result { float result[]; };
layout(std430, set = 0, binding = 6) coherent restrict buffer Arrived { uint arrived[]; }; /* parts of a row and its heads that are done; zero again at the end */

shared uint before_s;

/* The workgroup that is the last of the n of its row and heads merges their parts. */
void merge_parts(uint row, uint head0, uint n, uint tid)
{
    const uint at = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;

    memoryBarrierBuffer();
    barrier();
    if (tid == 0u) before_s = atomicAdd(arrived[at], 1u);
    barrier();
    if (before_s + 1u != n) return;
    if (tid == 0u) arrived[at] = 0u;
    memoryBarrierBuffer();
    for (uint i = tid; i < C * D; i += T) {
        const uint c = i / D, d = i % D, from = (gl_WorkGroupID.y * a.n_head + head0 + c) * a.parts * (2u + D);
        vec3 state = vec3(NONE, 0.0, 0.0);
        for (uint k = from; k < from + n * (2u + D); k += 2u + D) state = merge_part(state, dst[k], dst[k + 1u], dst[k + 2u + d]);
        result[(row * a.n_head + head0 + c) * D + d] = merged(state);
    }
}
#endif

void main()
{
    const uint tid = gl_LocalInvocationIndex, head0 = gl_WorkGroupID.x * C, kv_head = head0 / (a.n_head / a.n_kv);
    uint row;
    State s, all;

    if (!range_row(a.range, gl_WorkGroupID.y, row)) return;
    const View v = view_of(all_row(a.range, row), a.window, a.causal != 0u);
    const uint keys = part_keys(v), n = part_count(v, keys), part0 = v.lo / keys;
    if (SPLIT != 0u && gl_WorkGroupID.z >= n) return;
    if (tid == 0u) {
        row_s[0] = row;
        all_s[0] = all_row(a.range, row);
        view_s[0] = v;
    }
    barrier();
    load_queries(head0, tid);
    barrier();
    if (SPLIT != 0u) {
        const uint part = part0 + gl_WorkGroupID.z;
        clear(s);
        walk(0u, 1u, max(v.lo, part * keys), min(v.hi, (part + 1u) * keys), kv_head, tid, s);
        store_part(head0, s, tid);
#ifdef MERGE
        merge_parts(row, head0, n, tid);
#endif
        return;
    }
    clear(all);
    for (uint part = part0; part < part0 + n; part++) {
        clear(s);
        walk(0u, 1u, max(v.lo, part * keys), min(v.hi, (part + 1u) * keys), kv_head, tid, s);
        merge(all, s, tid);
    }
    [[unroll]] for (uint c = 0u; c < C; c++)
        store((row * a.n_head + head0 + c) * D, c, all, all.sum[c] > 0.0 ? 1.0 / all.sum[c] : 0.0, tid);
}
