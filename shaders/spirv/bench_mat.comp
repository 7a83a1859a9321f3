/* bench_mat: chains of products of cooperative matrices in registers, f16 * f16 + f32, 4 * a.n a
 * subgroup: what matrix hardware can do at most.  Used by tests/bench/gpu.c alone.
 *
 * Debian 12's glslang lacks the extension: shaders/spirv/make builds bench_mat.spv. */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "shaders/args_bench.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint M = 16;   /* of a fragment: rows, columns, products */
layout(constant_id = 2) const uint N = 16;
layout(constant_id = 3) const uint K = 16;
layout(push_constant) uniform Args { bench_args a; };
layout(std430, set = 0, binding = 2) writeonly restrict buffer Sums { float sums[]; };

void main()
{
    const float16_t seed = float16_t(float(gl_WorkGroupID.x % 64u) * 0.001);
    coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> x = coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA>(seed);
    coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> y = coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB>(seed + float16_t(0.01));
    coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sum[4];

    [[unroll]] for (uint k = 0u; k < 4u; k++) sum[k] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(float(k));
    for (uint i = 0u; i < a.n; i++)
        [[unroll]] for (uint k = 0u; k < 4u; k++) sum[k] = coopMatMulAdd(x, y, sum[k]);
    [[unroll]] for (uint k = 0u; k < 4u; k++)
        coopMatStore(sum[k], sums, ((gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * 4u + k) * M * N, N, gl_CooperativeMatrixLayoutRowMajor);
}
