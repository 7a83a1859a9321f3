/* device/cpu/ref: what the files of the reference level share.  Other levels may
 * use the kernels and the arithmetic; both give the same bits for a row whatever
 * stands beside it. */
#ifndef G4_DEVICE_CPU_REF_H
#define G4_DEVICE_CPU_REF_H

#include "device/cpu/cpu.h"

float g4_ref_dot(const float *a, const float *b, uint32_t n);
float g4_ref_rms(const float *x, uint32_t n, float eps);      /* 1 / sqrt(mean(x^2) + eps) */
void g4_ref_scale(float *y, const float *x, const float *w, uint32_t n, float k); /* x k w; w may be NULL */
float g4_ref_gelu(float x);
/* Row i of matrix e as f32: in place, or decoded into tmp [cols]. */
const float *g4_ref_row(const g4_weight *w, uint32_t e, uint32_t i, float *tmp);
size_t g4_ref_row_bytes(const g4_op *op, const g4_plan_desc *desc); /* thread scratch: two decoded rows */

static inline float *g4_ref_at(const struct g4_cpu_run *run, int buf, uint32_t r)
{
    return run->buf[buf] + (size_t)r * run->buf_cols[buf];
}

extern const struct g4_cpu_kernel g4_ref_heads, g4_ref_attend, g4_ref_pick;  /* ref_attend.c */
extern const struct g4_cpu_kernel g4_ref_router, g4_ref_experts;             /* ref_moe.c */

#endif
