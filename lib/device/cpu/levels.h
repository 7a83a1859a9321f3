/* device/cpu/levels: the kernel tables of the vector levels. */
#ifndef G4_DEVICE_CPU_LEVELS_H
#define G4_DEVICE_CPU_LEVELS_H

#include "device/cpu/cpu.h"

const struct g4_cpu_kernel *g4_cpu_avx512_kernel(const g4_op *op);
const struct g4_cpu_kernel *g4_cpu_avx2_kernel(const g4_op *op);
const struct g4_cpu_kernel *g4_cpu_neon_kernel(const g4_op *op);

#endif
