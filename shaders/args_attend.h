/* shaders/args_attend: push constants of attend.comp and attend_merge.comp; C and GLSL, as args.h. */
#ifndef G4_SHADERS_ARGS_ATTEND_H
#define G4_SHADERS_ARGS_ATTEND_H

#include "shaders/args.h"

/* Keys of a row are cut into parts at multiples of G4_PART keys, or of 2, 4, 8 ..
 * times as many when it sees more than G4_PARTS parts: a matter of the row alone. */
#define G4_PART 256
#define G4_PARTS 32

struct attend_args {
    uint range;
    uint n_head, n_kv;
    uint pool;
    uint window, causal;   /* as in struct g4_op */
    float alpha, cap;
    uint parts;            /* room for parts in scratch: at most G4_PARTS + 1 */
};

#endif
