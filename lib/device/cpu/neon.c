/* device/cpu/neon: the kernels of the level neon. */
#include "device/cpu/levels.h"

const struct g4_cpu_kernel *g4_cpu_neon_kernel(const g4_op *op)
{
    return g4_cpu_ref.kernel(op);
}
