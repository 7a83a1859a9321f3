/* pick_top: from the chunks of a row to its log-sum-exp and its k largest logits,
 * the lower id first among equals; a workgroup a row.
 *
 * One byte after the other of (ordered logit, inverted id) is fixed by counting, the
 * highest first, until what lies at or above the prefix is k entries exactly;
 * chunks whose largest lies below are passed over.  Then those entries are sorted.
 * CPU twin: pick_top and log_sum_exp in lib/device/cpu/ref_attend.c.  Test: tests/ops/pick.c. */
#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/step.glsl"
#include "shaders/common/reduce.glsl"

layout(push_constant) uniform Args { pick_args a; };
layout(std430, set = 0, binding = 1) buffer Picked { g4_vk_picked picked[]; };
layout(std430, set = 0, binding = 2) readonly buffer Logits { float logits[]; };
layout(std430, set = 0, binding = 3) readonly buffer Parts { g4_vk_part parts[]; };
layout(std430, set = 0, binding = 4) readonly buffer Raw { g4_vk_part raw[]; }; /* before adjustments; Parts without any */

shared uint count[256];
shared uint first_id;
shared uvec2 prefix; /* logit's ordered bits, inverted id */
shared uint left, n_list, done;
shared uvec2 list[G4_PICK_MOST];

#define NONE uintBitsToFloat(0xff800000u)

/* Bits that order as the floats do. */
uint ordered(float x)
{
    const uint u = floatBitsToUint(x);
    return (u & 0x80000000u) != 0 ? ~u : u | 0x80000000u;
}

/* log of the sum over chunks; max in `most`. */
float log_sum_exp(uint row, bool before, out float most)
{
    const uint t = gl_LocalInvocationID.x;
    float m = NONE, sum = 0.0;

    for (uint c = t; c < a.n_chunk; c += GROUP) m = max(m, before ? raw[row * a.n_chunk + c].most : parts[row * a.n_chunk + c].most);
    most = group_max(m);
    for (uint c = t; c < a.n_chunk && most != NONE; c += GROUP) {
        g4_vk_part p;
        if (before) p = raw[row * a.n_chunk + c];
        else p = parts[row * a.n_chunk + c];
        if (p.most != NONE) sum += p.sum * exp(p.most - most);
    }
    sum = group_sum(sum);
    return most == NONE ? NONE : most + log(sum);
}

/* Key of logit i of a row, (0, 0): not a candidate. */
uvec2 key_of(uint row, uint allow, uint i)
{
    const float x = logits[(row - a.row0) * a.cols + i];
    if (x == NONE || isnan(x)) return uvec2(0);
    if (allow != G4_NO_ROW && (step.data[allow + i / 32] >> (i % 32) & 1) == 0) return uvec2(0);
    return uvec2(ordered(x), ~i);
}

bool above(uvec2 x, uvec2 y)
{
    return x.x > y.x || (x.x == y.x && x.y > y.y);
}

/* Bytes 0 (highest) to `last` of a key. */
uvec2 mask_of(int last)
{
    return last < 0 ? uvec2(0) : last < 4 ? uvec2(0xffffffffu << (24 - 8 * last), 0) : uvec2(0xffffffffu, 0xffffffffu << (56 - 8 * last));
}

uint byte_of(uvec2 key, int i)
{
    return (i < 4 ? key.x >> (24 - 8 * i) : key.y >> (56 - 8 * i)) & 255;
}

/* Fixes byte i of the prefix. */
void narrow(uint row, uint allow, int i)
{
    const uint t = gl_LocalInvocationID.x;
    const uvec2 known = mask_of(i - 1);

    for (uint b = t; b < 256; b += GROUP) count[b] = 0;
    barrier();
    for (uint c = 0; c < a.n_chunk; c++) {
        if (parts[row * a.n_chunk + c].most == NONE || ordered(parts[row * a.n_chunk + c].most) < prefix.x) continue;
        const uint end = min((c + 1) * G4_PICK_CHUNK, a.cols);
        for (uint j = c * G4_PICK_CHUNK + t; j < end; j += GROUP) {
            const uvec2 key = key_of(row, allow, j);
            if (key.x != 0 && (key & known) == prefix) atomicAdd(count[byte_of(key, i)], 1);
        }
    }
    barrier();
    if (t == 0) {
        uint b = 255, more = 0;
        while (b > 0 && more + count[b] < left) more += count[b--];
        const uint at = i < 4 ? 24 - 8 * uint(i) : 56 - 8 * uint(i);
        if (i < 4) prefix.x |= b << at;
        else prefix.y |= b << at;
        done = uint(more + count[b] <= left); /* all of them, or fewer than k in all */
        left -= more;
    }
    barrier();
}

/* What is at or above the prefix goes to the list, unordered. */
void collect(uint row, uint allow)
{
    const uint t = gl_LocalInvocationID.x;

    for (uint c = 0; c < a.n_chunk; c++) {
        if (parts[row * a.n_chunk + c].most == NONE || ordered(parts[row * a.n_chunk + c].most) < prefix.x) continue;
        const uint end = min((c + 1) * G4_PICK_CHUNK, a.cols);
        for (uint j = c * G4_PICK_CHUNK + t; j < end; j += GROUP) {
            const uvec2 key = key_of(row, allow, j);
            if (key.x != 0 && !above(prefix, key)) list[min(atomicAdd(n_list, 1), G4_PICK_MOST - 1)] = key;
        }
    }
    barrier();
}

/* Bitonic, the largest first; the list is filled up with zeros. */
void sort()
{
    const uint t = gl_LocalInvocationID.x;

    for (uint i = t; i < G4_PICK_MOST; i += GROUP)
        if (i >= n_list) list[i] = uvec2(0);
    barrier();
    for (uint size = 2; size <= G4_PICK_MOST; size *= 2)
        for (uint step_size = size / 2; step_size > 0; step_size /= 2) {
            for (uint i = t; i < G4_PICK_MOST / 2; i += GROUP) {
                const uint lo = i / step_size * step_size * 2 + i % step_size, hi = lo + step_size;
                const bool falling = (lo & size) == 0;
                const uvec2 x = list[lo], y = list[hi];
                if (falling ? above(y, x) : above(x, y)) {
                    list[lo] = y;
                    list[hi] = x;
                }
            }
            barrier();
        }
}

void main()
{
    uint row;
    if (!range_row(G4_RANGE_OUT, gl_WorkGroupID.y, row)) return;
    const uint t = gl_LocalInvocationID.x, ask = step.head.at_pick + row * 5;
    const uint k = min(step.data[ask], G4_PICK_MOST), want = step.data[ask + 1], allow = step.data[ask + 2];
    float most, most_raw;
    const float lse = log_sum_exp(row, false, most), lse_raw = a.adjusted != 0 ? log_sum_exp(row, true, most_raw) : lse;

    if (t == 0) {
        picked[row].lse = lse;
        picked[row].lse_raw = lse_raw;
        if (a.adjusted == 0) picked[row].want = want != G4_NO_ROW ? logits[(row - a.row0) * a.cols + want] : 0.0;
        picked[row].n_top = k == 1 && most != NONE ? 1 : 0;
        first_id = G4_NO_ROW;
        prefix = uvec2(0);
        left = k;
        n_list = done = 0;
    }
    barrier();
    if (k == 0 || most == NONE) return;
    if (k == 1) { /* the chunks know it */
        for (uint c = t; c < a.n_chunk; c += GROUP)
            if (parts[row * a.n_chunk + c].most == most) atomicMin(first_id, parts[row * a.n_chunk + c].id);
        barrier();
        if (t == 0) {
            picked[row].id[0] = first_id;
            picked[row].logit[0] = most;
        }
        return;
    }
    for (int i = 0; i < 8; i++) {
        if (done == 0) narrow(row, allow, i);
    }
    collect(row, allow);
    const uint n = min(n_list, k);
    sort();
    for (uint i = t; i < n; i += GROUP) {
        picked[row].id[i] = ~list[i].y;
        picked[row].logit[i] = logits[(row - a.row0) * a.cols + ~list[i].y];
    }
    if (t == 0) picked[row].n_top = n;
}
