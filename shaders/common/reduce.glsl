/* common/reduce: sums over a workgroup, in an order that its size alone decides.
 * The workgroup is one-dimensional, a power of two, at most 1024. */
#ifndef G4_COMMON_REDUCE
#define G4_COMMON_REDUCE

shared float reduce_part[1024];

/* The sum of x over the workgroup, in every invocation. */
float group_sum(float x)
{
    const uint t = gl_LocalInvocationID.x;

    reduce_part[t] = x;
    barrier();
    for (uint n = gl_WorkGroupSize.x / 2; n > 0; n /= 2) {
        if (t < n) reduce_part[t] += reduce_part[t + n];
        barrier();
    }
    const float sum = reduce_part[0];
    barrier();
    return sum;
}

/* The largest x of the workgroup, in every invocation. */
float group_max(float x)
{
    const uint t = gl_LocalInvocationID.x;

    reduce_part[t] = x;
    barrier();
    for (uint n = gl_WorkGroupSize.x / 2; n > 0; n /= 2) {
        if (t < n) reduce_part[t] = max(reduce_part[t], reduce_part[t + n]);
        barrier();
    }
    const float most = reduce_part[0];
    barrier();
    return most;
}

#endif
