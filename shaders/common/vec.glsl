/* common/vec: sums of a lane over blocks of weight rows, and the sum over lanes.
 *
 * The file that includes this one (behind common/matmul.glsl) declares N, rows of x
 * at once, and V, output values a group of lanes. */
#ifndef G4_COMMON_VEC
#define G4_COMMON_VEC

#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#ifdef INT8
#extension GL_EXT_spirv_intrinsics : require
/* OpSDot of four signed bytes a word; format 0 is 4x8 bits */
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int dot4(uint a, uint b, spirv_literal int format);
layout(std430, set = 0, binding = 1) readonly restrict buffer Xq { uvec4 xq[]; }; /* quantize.comp's */
#endif

const uint R = V * NW;      /* rows of weights a lane reads */
const uint A = R * N;       /* its sums: [V][NW][N] */

shared float red[A * T];

#ifdef INT8
/* sum[j][] += block b of weight row w times rows xr of the quantised x.  Sums of bytes are exact. */
void add_block(Row w, uint b, uint xr[N], inout float sum[A], uint j)
{
    uvec4 lo, hi;
    block_quants(w, b, lo, hi);
    const vec3 s = block_scales(w, b);
    [[unroll]] for (uint n = 0u; n < N; n++) {
        const uint at = 3u * ((xr[n] - step.head.first[a.range]) * (a.cols / 32u) + b);
        const uvec4 x0 = xq[at], x1 = xq[at + 1u], head = xq[at + 2u];
        int lo_sum = 0, hi_sum = 0;
        [[unroll]] for (uint i = 0u; i < 4u; i++) {
            lo_sum += dot4(lo[i], x0[i], 0);
            hi_sum += dot4(hi[i], x1[i], 0);
        }
        const float d = uintBitsToFloat(head.x);
        precise float y = sum[j * N + n];
        if (DTYPE == Q6_K) {
            precise float k0 = s.x * d, k1 = s.y * d;
            y = fma(k0, float(lo_sum), y);
            y = fma(k1, float(hi_sum), y);
        } else {
            precise float k = s.x * d;
            y = fma(k, float(lo_sum + hi_sum), y);
        }
        if (has_min()) {
            precise float m = s.z * d;
            y = fma(m, float(int(head.y)), y);
        }
        sum[j * N + n] = y;
    }
}
#else
/* sum[j][] += block b of weight row w times rows xr of x */
void add_block(Row w, uint b, uint xr[N], inout float sum[A], uint j)
{
    uvec4 lo, hi;
    block_quants(w, b, lo, hi);
    const vec3 s = block_scales(w, b);
    vec4 q[8];
    [[unroll]] for (uint i = 0u; i < 4u; i++) {
        q[i] = bytes_f32(lo[i]);
        q[4u + i] = bytes_f32(hi[i]);
    }
    [[unroll]] for (uint n = 0u; n < N; n++) {
        precise float half_sum[2], all = 0.0;
        [[unroll]] for (uint h = 0u; h < 2u; h++) {
            half_sum[h] = 0.0;
            [[unroll]] for (uint i = 0u; i < 4u; i++) {
                const vec4 x = x_values(xr[n], 8u * b + 4u * h + i);
                [[unroll]] for (uint c = 0u; c < 4u; c++) half_sum[h] = fma(q[4u * h + i][c], x[c], half_sum[h]);
                if (has_min()) all = all + ((x.x + x.y) + (x.z + x.w));
            }
        }
        precise float y = fma(s.x, half_sum[0], sum[j * N + n]);
        y = fma(s.y, half_sum[1], y);
        if (has_min()) y = fma(s.z, all, y);
        sum[j * N + n] = y;
    }
}
#endif

/* The same for four values of a float type. */
void add_quad(Row w, uint i, uint xr[N], inout float sum[A], uint j)
{
    const vec4 q = float_values(w, i);
    [[unroll]] for (uint n = 0u; n < N; n++) {
        const vec4 x = x_values(xr[n], i);
        precise float y = sum[j * N + n];
        [[unroll]] for (uint c = 0u; c < 4u; c++) y = fma(q[c], x[c], y);
        sum[j * N + n] = y;
    }
}

/* The lanes' sums of each group, in red[][first lane].  SUBGROUP: distances within a subgroup
 * by shuffles; the same pairs are added, so the bits are the same. */
void add_lanes(float sum[A], uint tid, uint lane)
{
#ifdef SUBGROUP
    const uint near = min(a.lanes, gl_SubgroupSize);
#else
    const uint near = 1u;
#endif
    [[unroll]] for (uint i = 0u; i < A; i++) red[i * T + tid] = sum[i];
    for (uint d = a.lanes / 2u; d >= near; d /= 2u) {
        barrier();
        if (lane < d)
            [[unroll]] for (uint i = 0u; i < A; i++) red[i * T + tid] += red[i * T + tid + d];
    }
#ifdef SUBGROUP
    if (a.lanes > near) {
        barrier();
        [[unroll]] for (uint i = 0u; i < A; i++) sum[i] = red[i * T + tid];
    }
    for (uint d = near / 2u; d > 0u; d /= 2u)
        [[unroll]] for (uint i = 0u; i < A; i++) sum[i] += subgroupShuffleXor(sum[i], d);
    if (lane == 0u)
        [[unroll]] for (uint i = 0u; i < A; i++) red[i * T + tid] = sum[i];
#endif
    barrier();
}

#endif
