/* heads: what stands between the projections and the attention, a workgroup a head of a row:
 *
 *   q = rope(rms(q) * wq), in place
 *   k = rope(rms(k) * wk), to the cache
 *   v = rms(v) or v, to the cache        (v may be the buffer of k: both are only read)
 *
 * rope turns the pairs (i, i + d/2) by position * freq[i].  One kernel because each
 * part is a few hundred values: three would be launches, not work.  Cache: see
 * struct g4_vk_kv_layer; what f16 cannot hold is cut to its largest value.
 * Heads 0 .. n_head - 1 of the grid's x are q, then n_kv of k, then n_kv of v.
 * CPU twin: heads_run in lib/device/cpu/ref_attend.c.  Test: tests/ops/attend.c. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/step.glsl"
#include "shaders/common/reduce.glsl"
#include "shaders/common/trig.glsl"

layout(constant_id = 1) const uint F16_CACHE = 1;

layout(push_constant) uniform Args { heads_args a; };
layout(std430, set = 0, binding = 1) buffer Q { float q[]; };
layout(std430, set = 0, binding = 2) readonly buffer K { float k[]; };
layout(std430, set = 0, binding = 3) readonly buffer V { float v[]; };
layout(std430, set = 0, binding = 4) writeonly buffer KCache { uint k_cache[]; };
layout(std430, set = 0, binding = 5) writeonly buffer VCache { uint v_cache[]; };
layout(std430, set = 0, binding = 6) readonly buffer WQ { float wq[]; };
layout(std430, set = 0, binding = 7) readonly buffer WK { float wk[]; };
layout(std430, set = 0, binding = 8) readonly buffer Freq { float freq[]; };

const uint IS_Q = 0, IS_K = 1, IS_V = 2;

float value(uint part, uint at)
{
    return part == IS_Q ? q[at] : part == IS_K ? k[at] : v[at];
}

float weight(uint part, uint i)
{
    return part == IS_Q ? ((a.flags & G4_HEADS_WQ) != 0 ? wq[i] : 1.0) : part == IS_K && (a.flags & G4_HEADS_WK) != 0 ? wk[i] : 1.0;
}

void put(uint part, uint at, float x0, float x1) /* elements at, at + 1 of the cache; at is even */
{
    if (F16_CACHE != 0) {
        const uint word = packHalf2x16(clamp(vec2(x0, x1), -65504.0, 65504.0));
        if (part == IS_K) k_cache[at / 2] = word;
        else v_cache[at / 2] = word;
    } else if (part == IS_K) {
        k_cache[at] = floatBitsToUint(x0);
        k_cache[at + 1] = floatBitsToUint(x1);
    } else {
        v_cache[at] = floatBitsToUint(x0);
        v_cache[at + 1] = floatBitsToUint(x1);
    }
}

void main()
{
    uint row;
    if (!range_row(a.range, gl_WorkGroupID.y, row)) return;
    const uint head = gl_WorkGroupID.x, t = gl_LocalInvocationID.x, d = a.d_head, half_d = d / 2;
    const uint part = head < a.n_head ? IS_Q : head < a.n_head + a.n_kv ? IS_K : IS_V;
    const uint h = part == IS_Q ? head : (head - a.n_head) % a.n_kv;
    const uint from = (row * (part == IS_Q ? a.n_head : a.n_kv) + h) * d;
    const uint all = all_row(a.range, row), pos = step.data[step.head.at_pos + all];
    uint cache = G4_NO_ROW;
    float scale = 1.0, sum = 0.0;

    if (part != IS_Q) {
        const uint block = kv_block(step.data[step.head.at_seq + all], a.pool, pos);
        if (block == G4_NO_ROW) return;
        cache = ((block * a.n_kv + h) * 32 + pos % 32) * d;
    }
    if (part == IS_Q ? (a.flags & G4_HEADS_WQ) != 0 : part == IS_K ? (a.flags & G4_HEADS_WK) != 0 : (a.flags & G4_HEADS_NORM_V) != 0) {
        for (uint i = t; i < d; i += GROUP) {
            const float x = value(part, from + i);
            sum = fma(x, x, sum);
        }
        scale = 1.0 / sqrt(group_sum(sum) / float(d) + a.eps);
    }
    for (uint i = 2 * t; i < half_d; i += 2 * GROUP) { /* pairs i and i + 1 */
        vec2 x, y; /* elements i, i + 1 and their partners half a head on */
        for (uint j = 0; j < 2; j++) {
            x[j] = value(part, from + i + j) * scale * weight(part, i + j);
            y[j] = value(part, from + half_d + i + j) * scale * weight(part, half_d + i + j);
            if (part == IS_V || (a.flags & G4_HEADS_ROPE) == 0) continue;
            precise const float angle = float(pos) * freq[i + j];
            const vec2 cs = cos_sin(angle);
            const float turned = x[j] * cs.x - y[j] * cs.y;
            y[j] = y[j] * cs.x + x[j] * cs.y;
            x[j] = turned;
        }
        if (part == IS_Q) {
            q[from + i] = x[0];
            q[from + i + 1] = x[1];
            q[from + half_d + i] = y[0];
            q[from + half_d + i + 1] = y[1];
        } else {
            put(part, cache + i, x[0], x[1]);
            put(part, cache + half_d + i, y[0], y[1]);
        }
    }
}
