/* device/cpu/avx512: the kernels of the level avx512. */
#include "device/cpu/levels.h"

const struct g4_cpu_kernel *g4_cpu_avx512_kernel(const g4_op *op)
{
    return g4_cpu_ref.kernel(op);
}
