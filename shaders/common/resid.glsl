/* common/resid: RESID behind a product, for the rows of a workgroup of matmul_vec, by the
 * workgroup that is the last to store its part of them:
 *
 *   x[r] = (x[r] + (w ? y0[r] / sqrt(mean(y0[r]^2) + eps) * w : y0[r])) * alpha
 *   y[r] = x[r] / sqrt(mean(x[r]^2) + eps) * next
 *
 * No workgroup waits for another.  `arrived` counts those that are done, a word for the
 * rows of one grid y; it is zero again when the dispatch ends. */
#ifndef G4_COMMON_RESID
#define G4_COMMON_RESID

/* the next norm may go where the product lay */
layout(std430, set = 0, binding = 6) buffer Stream { float stream[]; };
layout(std430, set = 0, binding = 7) writeonly buffer Normed { float normed[]; };
layout(std430, set = 0, binding = 8) readonly restrict buffer BranchW { float branch_w[]; };
layout(std430, set = 0, binding = 9) readonly restrict buffer NextW { float next_w[]; };
layout(std430, set = 0, binding = 10) coherent restrict buffer Arrived { uint arrived[]; };

shared uint before_s;

float sum_all(float x, uint tid)
{
    barrier();
    red[tid] = x;
    barrier();
    for (uint n = T / 2u; n > 0u; n /= 2u) {
        if (tid < n) red[tid] += red[tid + n];
        barrier();
    }
    return red[0];
}

float norm_factor(float sum, uint tid)
{
    return 1.0 / sqrt(sum_all(sum, tid) / float(a.y_cols[0]) + a.eps);
}

void resid_row(uint row, uint tid)
{
    const uint n = a.y_cols[0], at = row * n;
    const bool has_w = (a.resid_flags & G4_RESID_W) != 0u;
    float k = 1.0, sum = 0.0;

    if (has_w) {
        for (uint i = tid; i < n; i += T) sum = fma(y0[at + i], y0[at + i], sum);
        k = norm_factor(sum, tid);
        sum = 0.0;
    }
    for (uint i = tid; i < n; i += T) {
        const float v = (stream[at + i] + (has_w ? y0[at + i] * k * branch_w[i] : y0[at + i])) * a.resid_alpha;
        stream[at + i] = v;
        sum = fma(v, v, sum);
    }
    if ((a.resid_flags & G4_RESID_NEXT) == 0u) return;
    k = norm_factor(sum, tid);
    for (uint i = tid; i < n; i += T)
        normed[at + i] = (a.resid_flags & G4_RESID_NEXT_W) != 0u ? stream[at + i] * k * next_w[i] : stream[at + i] * k;
}

/* Rows [row, row + n) are stored as far as this workgroup is concerned. */
void resid_rows(uint row, uint n, uint tid)
{
    memoryBarrierBuffer();
    barrier();
    if (tid == 0u) before_s = atomicAdd(arrived[gl_WorkGroupID.y], 1u);
    barrier();
    if (before_s + 1u != gl_NumWorkGroups.x) return;
    if (tid == 0u) arrived[gl_WorkGroupID.y] = 0u;
    memoryBarrierBuffer();
    for (uint i = 0u; i < n; i++) resid_row(row + i, tid);
}

#endif
