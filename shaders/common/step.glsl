/* common/step: binding 0, the step, and the rows an op runs over. */
#ifndef G4_COMMON_STEP
#define G4_COMMON_STEP

#include "shaders/args.h"

layout(std430, set = 0, binding = 0) readonly buffer Step {
    g4_vk_head head;
    uint data[];
} step;

float step_float(uint at)
{
    return uintBitsToFloat(step.data[at]);
}

/* Row i of a range as a row of its set; false behind the last. */
bool range_row(uint range, uint i, out uint row)
{
    row = step.head.first[range] + i;
    return i < step.head.n[range];
}

/* A row of the range's set as a row of ALL. */
uint all_row(uint range, uint row)
{
    return range == G4_RANGE_OUT ? step.data[step.head.at_out + row] : row;
}

/* Word of struct g4_vk_seq s: 0 n_key, 1 and 2 tables, 3 first, 4 n. */
uint seq_word(uint s, uint word)
{
    return step.data[step.head.at_seqs + 5 * s + word];
}

/* Block that holds key j of sequence s in a pool, G4_NO_ROW: not held. */
uint kv_block(uint s, uint pool, uint j)
{
    return step.data[seq_word(s, 1 + pool) + j / 32];
}

#endif
