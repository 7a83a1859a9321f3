/* device/vulkan/pack: how weights lie in device memory.
 *
 * A row is packed by itself and takes a multiple of 16 bytes.  A row of 32-value
 * blocks is split into planes, so that lanes read quants in aligned words and
 * neighbouring lanes neighbouring words (nb = cols / 32):
 *
 *   low    16 bytes a block: byte j is the low nibble of values j and 16 + j
 *          (Q8_0: 32 bytes, the values)
 *   high   Q5: 4 bytes a block, byte c: bit i is the fifth bit of value 4 i + c,
 *          bit 4 + i that of value 16 + 4 i + c
 *          Q6_K: two words a block, byte c of word h: bits 2 i, 2 i + 1 are the
 *          high bits of value 16 h + 4 i + c
 *   scale  Q4_0 Q5_0 Q8_0 IQ4_NL: f16 d; Q4_1 Q5_1: f16 d, m; MXFP4: the exponent
 *          Q4_K Q5_K: 16 bytes a super-block: d, dmin, 12 bytes as in the file
 *          Q6_K: 16 scales a super-block, then behind them a plane of f16 d
 *          IQ4_XS: 8 bytes a super-block: d, scales_h, scales_l
 *
 * F32, F16 and BF16 rows are as in the file.  Nothing is lost: these are the
 * file's bits in another order.  Types without a kernel are encoded anew:
 * TQ1_0, TQ2_0, Q1_0, Q2_0 as Q4_0 and Q3_K as Q6_K (exact), the rest as Q8_0;
 * F64 as F32.  shaders/dtype.glsl reads all of it. */
#ifndef G4_DEVICE_VULKAN_PACK_H
#define G4_DEVICE_VULKAN_PACK_H

#include "device/device.h"

/* The type a weight of type t has on the device; t itself when it has a kernel. */
g4_dtype g4_vk_pack_type(g4_dtype t);

/* Bytes of a packed row of cols values of type t (a type of the file). */
size_t g4_vk_pack_row_bytes(g4_dtype t, uint32_t cols);

/* Packs n rows of w at src (w->row_bytes apart) to dst, row_bytes apart, which is
 * what g4_vk_pack_row_bytes says. */
void g4_vk_pack_rows(const g4_weight *w, const uint8_t *src, uint32_t n, uint8_t *dst, uint32_t row_bytes);

#endif
