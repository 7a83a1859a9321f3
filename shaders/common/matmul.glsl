/* common/matmul: bindings and addressing that the matrix shaders share.
 *
 * Up to three weights of one type and width that multiply the same rows:
 *     MATMUL     dst[i][r] = alpha * w[i] x[r]
 *     LOGITS     dst[i][r] = soft_cap(w[i] x[r])
 *     GATED      dst[0][r] = gelu(w[0] x[r]) * (w[1] x[r])
 *     GATED_PLE  dst[0][r] = gelu(w[0] x[r]) * side[r][side_at ..]
 * The grid's x counts tiles of output rows, those of one weight after those of
 * another; y counts groups of rows of x. */
#ifndef G4_COMMON_MATMUL
#define G4_COMMON_MATMUL

#include "shaders/args_matmul.h"
#include "shaders/common/math.glsl"
#include "shaders/common/step.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint T = 128;
layout(constant_id = 1) const uint DTYPE = 2;
layout(constant_id = 2) const uint NW = 1;        /* weights an output value takes: 2 for GATED */
layout(constant_id = 3) const uint X_QUADS = 1;   /* rows of x begin at multiples of 16 bytes */

layout(push_constant) uniform Args { matmul_args a; };
layout(std430, set = 0, binding = 1) readonly restrict buffer X4 { vec4 x4[]; };
layout(std430, set = 0, binding = 1) readonly restrict buffer X1 { float x1[]; };
layout(std430, set = 0, binding = 2) readonly restrict buffer W04 { uvec4 w04[]; };
layout(std430, set = 0, binding = 2) readonly restrict buffer W01 { uint w01[]; };
layout(std430, set = 0, binding = 3) readonly restrict buffer W14 { uvec4 w14[]; };
layout(std430, set = 0, binding = 3) readonly restrict buffer W11 { uint w11[]; };
layout(std430, set = 0, binding = 4) readonly restrict buffer W24 { uvec4 w24[]; };
layout(std430, set = 0, binding = 4) readonly restrict buffer W21 { uint w21[]; };
#ifdef RESID
layout(std430, set = 0, binding = 5) coherent buffer Y0 { float y0[]; };
#else
layout(std430, set = 0, binding = 5) writeonly buffer Y0 { float y0[]; };
layout(std430, set = 0, binding = 6) writeonly restrict buffer Y1 { float y1[]; };
layout(std430, set = 0, binding = 7) writeonly restrict buffer Y2 { float y2[]; };
layout(std430, set = 0, binding = 8) readonly restrict buffer Side { float side[]; };
#endif

uvec4 load4(uint w, uint i)
{
    return w == 0u ? w04[i] : w == 1u ? w14[i] : w24[i];
}

uint load1(uint w, uint i)
{
    return w == 0u ? w01[i] : w == 1u ? w11[i] : w21[i];
}

#include "shaders/common/dtype.glsl"

/* Values 4 i .. 4 i + 3 of row r of x; zeros behind the end. */
vec4 x_values(uint r, uint i)
{
    if (X_QUADS != 0u) return 4u * i < a.cols ? x4[r * (a.cols / 4u) + i] : vec4(0.0);
    vec4 v = vec4(0.0);
    for (uint c = 0u; c < 4u; c++)
        if (4u * i + c < a.cols) v[c] = x1[r * a.cols + 4u * i + c];
    return v;
}

/* A tile of the grid: which weight, and its first output row. */
struct Tile {
    uint w, first;
};

Tile tile_of(uint index, uint height)
{
    uint w = 0u;
    while (w < 2u && index >= (a.rows[w] + height - 1u) / height) {
        index -= (a.rows[w] + height - 1u) / height;
        w++;
    }
    return Tile(w, index * height);
}

/* Packed row o (clamped to the last) of the k-th weight that output row o takes. */
Row weight_row(Tile t, uint k, uint o)
{
    const uint w = NW == 2u ? k : t.w;
    return Row(w, a.w_at[w] + min(o, a.rows[t.w] - 1u) * a.row_units, a.cols / 32u);
}

/* Stores output row o of weight w for row r: sum is w x, other GATED's second product. */
void finish(uint w, uint r, uint o, float sum, float other)
{
    const uint at = (r - a.y_row0) * a.y_cols[w] + a.y_at[w] + o;
    float v = a.alpha * sum;

#ifdef RESID
    y0[at] = v;
#else
    if (a.mode == G4_LOGITS) v = soft_cap(sum, a.cap);
    if (NW == 2u) v = gelu(sum) * other;
    if (a.mode == G4_GATED_PLE) v = gelu(sum) * side[r * a.side_cols + a.side_at + o];
    if (w == 0u) y0[at] = v;
    else if (w == 1u) y1[at] = v;
    else y2[at] = v;
#endif
}

#endif
