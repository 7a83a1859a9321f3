/* shaders/args_matmul: push constants of the matrix shaders; C and GLSL, as args.h. */
#ifndef G4_SHADERS_ARGS_MATMUL_H
#define G4_SHADERS_ARGS_MATMUL_H

#include "shaders/args.h"

/* What a matrix op does with a sum. */
#define G4_MATMUL 0
#define G4_LOGITS 1
#define G4_GATED 2
#define G4_GATED_PLE 3

struct matmul_args {
    uint range;
    uint mode;         /* G4_MATMUL .. */
    uint lanes;        /* matmul_vec: that share an output value; a power of two, divides the workgroup */
    uint cols;         /* of x and of the weights */
    uint row_units;    /* 16-byte units of a packed row */
    uint rows[3];      /* output rows of each weight in this dispatch; 0 from the first that is not there */
    uint w_at[3];      /* 16-byte unit of its binding at which its first row lies */
    uint y_cols[3];    /* columns of each dst */
    uint y_at[3];      /* column of the first output row */
    uint side_cols, side_at;
    float alpha, cap;
    /* experts: the weights are those of experts [expert0, expert0 + n_expert) */
    uint k_expert, expert0, n_expert;
    uint matrix_rows;  /* packed rows from one expert's matrix to the next one's */
    uint max_tiles;    /* room for tiles in the groups */
    /* RESID builds: what follows the product (resid.comp) */
    float eps, resid_alpha;
    uint resid_flags;  /* G4_RESID_* */
    uint y_row0;       /* row of the results at which their binding begins */
};
#define G4_RESID_W 1       /* the branch has a norm with weights */
#define G4_RESID_NEXT 2    /* the next norm is made */
#define G4_RESID_NEXT_W 4  /* and has weights */

struct quantize_args { /* quantize.comp */
    uint range, cols;
};

#endif
