/* matmul_mat: matrix ops on prompt rows (common/matmul.glsl has the formulas) on
 * cooperative matrices, f16 * f16 + f32; the tile program is shaders/mat_tile.h.
 * Rows are scaled by a power of two each (row_scale.comp) so that they fit f16.
 *
 * Debian 12's glslang lacks the extension: shaders/spirv/make builds matmul_mat.spv.
 * CPU twin: tests/unit/mat_tile.c.  Has run on no hardware: G4_VK_ENABLE=coopmat. */
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "shaders/mat_tile.h"
#include "shaders/common/matmul.glsl"

layout(constant_id = 4) const uint M = 16;   /* of a fragment: outputs, rows, columns */
layout(constant_id = 5) const uint N = 16;
layout(constant_id = 6) const uint K = 16;
layout(std430, set = 0, binding = 9) readonly restrict buffer Scale { vec2 scale[]; };

const uint FM = MAT_SIDE / M, FN = MAT_SIDE / N;
const uint EACH = MAT_BM * MAT_BN / T;        /* results an invocation finishes */

shared float16_t ws[NW * MAT_BM * MAT_STRIDE];
shared float16_t xs[MAT_BN * MAT_STRIDE];
shared float outs[MAT_BN * MAT_OUT_STRIDE];

float16_t to_half(float x)
{
    return float16_t(clamp(x, -65504.0, 65504.0));
}

void load_weights(Tile t, uint b, uint tid)
{
    for (uint i = tid; i < NW * MAT_W_ITEMS; i += T) {
        const uint at = mat_w_at(mat_w_matrix(i), mat_w_value(i), 4u * mat_w_part(i));
        vec4 lo, hi;
        block_part(weight_row(t, mat_w_matrix(i), t.first + mat_w_value(i)), b, mat_w_part(i), a.cols, lo, hi);
        [[unroll]] for (uint c = 0u; c < 4u; c++) {
            ws[at + c] = to_half(lo[c]);
            ws[at + 16u + c] = to_half(hi[c]);
        }
    }
}

void load_rows(uint first, uint n_row, uint b, uint tid)
{
    for (uint i = tid; i < MAT_X_ITEMS; i += T) {
        const uint n = min(first + mat_x_row(i), n_row - 1u), at = mat_x_at(mat_x_row(i), 4u * mat_x_quad(i));
        const vec4 x = x_values(step.head.first[a.range] + n, 8u * b + mat_x_quad(i)) * scale[n].x;
        [[unroll]] for (uint c = 0u; c < 4u; c++) xs[at + c] = float16_t(x[c]);
    }
}

void main()
{
    const uint tid = gl_LocalInvocationIndex, first = gl_WorkGroupID.y * MAT_BN, n_row = step.head.n[a.range];
    const Tile t = tile_of(gl_WorkGroupID.x, MAT_BM);
    coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> acc[NW * FM * FN];
    float gate[EACH];

    if (first >= n_row) return;
    [[unroll]] for (uint i = 0u; i < NW * FM * FN; i++) acc[i] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0.0);
    for (uint b = 0u; b < (a.cols + MAT_BK - 1u) / MAT_BK; b++) {
        barrier();
        load_weights(t, b, tid);
        load_rows(first, n_row, b, tid);
        barrier();
        [[unroll]] for (uint k = 0u; k < MAT_BK; k += K)
            [[unroll]] for (uint j = 0u; j < FN; j++) {
                coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> x;
                coopMatLoad(x, xs, mat_x_at(mat_row(gl_SubgroupID, j, N), k), MAT_STRIDE, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0u; i < NW * FM; i++) {
                    coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> w;
                    coopMatLoad(w, ws, mat_w_at(i / FM, mat_value(gl_SubgroupID, i % FM, M), k), MAT_STRIDE,
                                gl_CooperativeMatrixLayoutRowMajor);
                    acc[i * FN + j] = coopMatMulAdd(w, x, acc[i * FN + j]);
                }
            }
    }
    [[unroll]] for (uint k = 0u; k < NW; k++) {
        barrier();
        [[unroll]] for (uint i = 0u; i < FM; i++)
            [[unroll]] for (uint j = 0u; j < FN; j++)
                coopMatStore(acc[(k * FM + i) * FN + j], outs, mat_out_at(mat_value(gl_SubgroupID, i, M), mat_row(gl_SubgroupID, j, N)),
                             MAT_OUT_STRIDE, gl_CooperativeMatrixLayoutColumnMajor);
        barrier();
        [[unroll]] for (uint e = 0u; e < EACH; e++) {
            const uint o = (tid + e * T) % MAT_BM, n = (tid + e * T) / MAT_BM;
            const float y = outs[mat_out_at(o, n)] * scale[min(first + n, n_row - 1u)].y;
            if (k + 1u < NW) gate[e] = y;
            else if (t.first + o < a.rows[t.w] && first + n < n_row)
                finish(t.w, step.head.first[a.range] + first + n, t.first + o, NW == 2u ? gate[e] : y, y);
        }
    }
}
