/* shaders/mat_tile: the tile program of matmul_mat, as index arithmetic that compiles as
 * C and as GLSL.  tests/unit/mat_tile.c runs it on the CPU, since cooperative matrices
 * run on no software device.
 *
 * A workgroup of MAT_SUBGROUPS subgroups makes MAT_BM output values of MAT_BN rows, 32
 * columns at a time.  Weights lie in shared memory as f16 [weight][output][column], rows of
 * x as f16 [row][column], both padded.  A subgroup owns 32 x 32 of the result as fragments
 * of M x N; results go through shared memory as f32 [row][output]. */
#ifndef G4_SHADERS_MAT_TILE_H
#define G4_SHADERS_MAT_TILE_H

#include "shaders/args.h"

#ifdef __STDC_VERSION__
#define MAT_FN static inline
#else
#define MAT_FN
#endif

#define MAT_BM 64
#define MAT_BN 64
#define MAT_BK 32
#define MAT_SUBGROUPS 4
#define MAT_SIDE 32                     /* outputs and rows of a subgroup */
#define MAT_STRIDE (MAT_BK + 8)         /* halves; keeps 16-byte alignment and spreads banks */
#define MAT_OUT_STRIDE (MAT_BM + 4)     /* floats */
#define MAT_W_ITEMS (MAT_BM * 4)        /* pieces of 8 weights a weight matrix: part 4 p.. and 16 + 4 p.. of a block */
#define MAT_X_ITEMS (MAT_BN * 8)        /* pieces of 4 values of x */

/* Piece i of the weights: matrix, output of the tile, part of the block. */
MAT_FN uint mat_w_matrix(uint i) { return i / MAT_W_ITEMS; }
MAT_FN uint mat_w_value(uint i) { return i % MAT_BM; }
MAT_FN uint mat_w_part(uint i) { return i / MAT_BM % 4; }
MAT_FN uint mat_w_at(uint matrix, uint value, uint column) { return (matrix * MAT_BM + value) * MAT_STRIDE + column; }

/* Piece i of x: row of the tile, quad of the block. */
MAT_FN uint mat_x_row(uint i) { return i / 8; }
MAT_FN uint mat_x_quad(uint i) { return i % 8; }
MAT_FN uint mat_x_at(uint row, uint column) { return row * MAT_STRIDE + column; }

/* Where the fragments of a subgroup begin: number i down the outputs, j along the rows. */
MAT_FN uint mat_value(uint subgroup, uint i, uint m) { return subgroup % 2 * MAT_SIDE + i * m; }
MAT_FN uint mat_row(uint subgroup, uint j, uint n) { return subgroup / 2 * MAT_SIDE + j * n; }
MAT_FN uint mat_out_at(uint value, uint row) { return row * MAT_OUT_STRIDE + value; }

#endif
