/* device/cpu/levels: which instruction levels this processor can run.  Kept apart
 * from the kernels, so that nothing here is compiled for more than the base
 * instruction set. */
#include "device/cpu/levels.h"

#if defined(__x86_64__)

/* The builtin looks at what the system saves of the registers as well. */
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

/* Ice Lake, Zen 4 and newer; bf16 is looked at where it is used. */
static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
}

const struct g4_cpu_level g4_cpu_avx512 = { "avx512", has_avx512, g4_cpu_avx512_kernel };
const struct g4_cpu_level g4_cpu_avx2 = { "avx2", has_avx2, g4_cpu_avx2_kernel };

#elif defined(__aarch64__)
#include <sys/auxv.h>
#include <asm/hwcap.h>

static bool has_neon(void)
{
    const unsigned long cap = getauxval(AT_HWCAP);
    return (cap & HWCAP_ASIMDDP) && (cap & HWCAP_FPHP) && (cap & HWCAP_ASIMDHP);
}

const struct g4_cpu_level g4_cpu_neon = { "neon", has_neon, g4_cpu_neon_kernel };

#endif
