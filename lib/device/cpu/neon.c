/* device/cpu/neon: the kernels of the level neon. */
#include "device/cpu/levels.h"

#include "device/cpu/simd_neon.h"

#include "device/cpu/vmath.h"
#include "device/cpu/unpack.h"
#include "device/cpu/matmul.h"
#include "device/cpu/attend.h"
#include "device/cpu/rows.h"
#include "device/cpu/moe.h"
#include "device/cpu/kernels.h"
