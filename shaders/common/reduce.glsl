/* common/reduce: sums over a workgroup, in an order that its size alone decides.
 * The workgroup is one-dimensional, a power of two of at most 1024 invocations:
 * specialisation constant 0.  (gl_WorkGroupSize is not used: Mesa 22.3 reads it
 * unspecialised.) */
#ifndef G4_COMMON_REDUCE
#define G4_COMMON_REDUCE

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 256;

shared float reduce_part[GROUP];

/* The sum of x over the workgroup, in every invocation. */
float group_sum(float x)
{
    const uint t = gl_LocalInvocationID.x;

    reduce_part[t] = x;
    barrier();
    for (uint n = GROUP / 2; n > 0; n /= 2) {
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
    for (uint n = GROUP / 2; n > 0; n /= 2) {
        if (t < n) reduce_part[t] = max(reduce_part[t], reduce_part[t + n]);
        barrier();
    }
    const float most = reduce_part[0];
    barrier();
    return most;
}

#endif
