/* device/cpu/avx2: the kernels of the level avx2. */
#include "device/cpu/levels.h"

const struct g4_cpu_kernel *g4_cpu_avx2_kernel(const g4_op *op)
{
    return g4_cpu_ref.kernel(op);
}
