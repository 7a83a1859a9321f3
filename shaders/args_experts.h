/* shaders/args_experts: how the rows of a step are grouped by expert, in scratch that
 * experts_group.comp writes; C and GLSL, as args.h.
 *
 * Word 0: the number of tiles.  From word 4: each tile's expert, first entry and number
 * of entries.  Behind G4_EXPERT_TILES(..) of them the entries, row of the range * k + slot,
 * those of an expert together. */
#ifndef G4_SHADERS_ARGS_EXPERTS_H
#define G4_SHADERS_ARGS_EXPERTS_H

#include "shaders/args_matmul.h"

#define G4_EXPERT_MAX 512      /* experts of a layer */
#define G4_EXPERT_TILE 32      /* entries of a tile */

struct group_args {
    uint range;
    uint n_expert, k;
    uint max_tiles;
};

struct sum_args {              /* experts_sum.comp */
    uint range;
    uint cols, k;
};

#endif
