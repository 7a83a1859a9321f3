/* common/view: the keys a row sees (CPU twin: view_of in lib/device/cpu/ref_attend.c). */
#ifndef G4_COMMON_VIEW
#define G4_COMMON_VIEW

#include "shaders/args_attend.h"
#include "shaders/common/step.glsl"

struct View {
    uint lo, hi;               /* nothing outside is seen */
    uint win_lo, win_hi;       /* seen by position */
    uint group_lo, group_hi;   /* seen as a member of an attention group; may be empty */
};

View view_of(uint all, uint window, bool causal)
{
    const uint pos = step.data[step.head.at_pos + all], n_key = seq_word(step.data[step.head.at_seq + all], 0u);
    View v;
    if (causal) {
        v.win_lo = window != 0u && pos + 1u > window ? pos + 1u - window : 0u;
        v.win_hi = pos + 1u;
    } else {
        v.win_lo = window != 0u && pos > window ? pos - window : 0u;
        v.win_hi = window != 0u ? min(pos + window + 1u, n_key) : n_key;
    }
    v.lo = v.win_lo;
    v.hi = v.win_hi;
    v.group_lo = v.group_hi = 0u;
    if (window != 0u && step.head.has_group != 0u) {
        v.group_lo = step.data[step.head.at_group + 2u * all];
        v.group_hi = step.data[step.head.at_group + 2u * all + 1u];
        if (v.group_hi > v.group_lo) {
            v.lo = min(v.lo, v.group_lo);
            v.hi = max(v.hi, v.group_hi);
        }
    }
    return v;
}

bool sees(View v, uint j)
{
    return (j >= v.win_lo && j < v.win_hi) || (j >= v.group_lo && j < v.group_hi);
}

const float NONE = -3.0e38;   /* the score of a key that is not seen; below all others */

/* What earlier sums, and a new part's, shrink by when (top, ...) and (part, ...) are merged. */
vec2 merge_weights(float top, float part)
{
    const float now = max(top, part);
    return vec2(top == now ? 1.0 : exp(top - now), part == now ? 1.0 : exp(part - now));
}

/* Keys of a part of this row's view, and how many parts there are from the first that it sees. */
uint part_keys(View v)
{
    uint keys = G4_PART;
    while (v.hi - v.lo > keys * (G4_PARTS - 1u)) keys *= 2u;
    return keys;
}

uint part_count(View v, uint keys)
{
    return v.hi > v.lo ? (v.hi - 1u) / keys - v.lo / keys + 1u : 0u;
}

/* One value of the merge of a row's parts; state: (top, sum, acc) so far. */
vec3 merge_part(vec3 state, float top, float sum, float acc)
{
    const vec2 w = merge_weights(state.x, top);
    precise float part_sum = sum * w.y, part_acc = acc * w.y;
    return vec3(max(state.x, top), fma(state.y, w.x, part_sum), fma(state.z, w.x, part_acc));
}

float merged(vec3 state)
{
    return state.z * (state.y > 0.0 ? 1.0 / state.y : 0.0);
}

#endif
