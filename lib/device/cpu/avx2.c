/* device/cpu/avx2: the kernels of the level avx2. */
#include "device/cpu/levels.h"

#include "device/cpu/simd_avx2.h"

#include "device/cpu/vmath.h"
#include "device/cpu/unpack.h"
#include "device/cpu/matmul.h"
#include "device/cpu/attend.h"
#include "device/cpu/rows.h"
#include "device/cpu/moe.h"
#include "device/cpu/kernels.h"
