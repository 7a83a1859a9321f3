/* device/vulkan/matrix: what the matrix ops (op_matmul.c, op_experts.c) share. */
#ifndef G4_DEVICE_VULKAN_MATRIX_H
#define G4_DEVICE_VULKAN_MATRIX_H

#include "device/vulkan/vk.h"

enum {
    G4_VK_VEC_THREADS = 128,   /* of matmul_vec and experts_vec */
    G4_VK_TILE = 64,           /* output values and rows of a workgroup of the tiled shaders */
    G4_VK_TILE_THREADS = 256,
    G4_VK_GRID_X = 32768,      /* workgroups along x in a dispatch; every device allows 65535 */
};

/* Lanes that share an output value of `rows` of a weight: a power of two up to the
 * workgroup.  Enough lanes to read side by side, each with work for two rounds; more
 * of them when the rows alone would not fill a large GPU.  Never a matter of the step. */
uint32_t g4_vk_lanes(g4_dtype type, uint32_t cols, uint32_t rows);

/* The rows of x that a pipeline of matmul_vec takes at once, by row bucket. */
struct g4_vk_few {
    uint32_t n, lo, hi;        /* hi 0: all above */
};
/* Number i of them; false behind the last that buckets for max_rows need. */
bool g4_vk_few(uint32_t i, uint32_t max_rows, struct g4_vk_few *out);

bool g4_vk_is_block(g4_dtype type);

#endif
