/* shaders/args: what the host and the shaders say to each other.  Compiles as C
 * and as GLSL: scalars only, so that both lay a struct out alike.
 *
 * Binding 0 of every shader is the step (struct g4_vk_head, then data words at
 * the offsets it names); a shader's other bindings stand at its top.  What never
 * changes between steps comes as push constants, at most 128 bytes. */
#ifndef G4_SHADERS_ARGS_H
#define G4_SHADERS_ARGS_H

#ifdef __STDC_VERSION__
#include <stdint.h>
typedef uint32_t uint;
#endif

/* Ranges of rows an op may run over.  Set ALL is GEN followed by PROMPT: the
 * rows that were generated stand first in a step, prompt rows behind them, and a
 * matrix op runs one kernel family over each.  OUT and SEQ always take the family
 * of generated rows. */
#define G4_RANGE_ALL 0
#define G4_RANGE_OUT 1
#define G4_RANGE_SEQ 2
#define G4_RANGE_GEN 3
#define G4_RANGE_PROMPT 4
#define G4_RANGE_N 5

#define G4_NO_ROW 0xffffffffu

struct g4_vk_head { /* the step's first words; offsets in words from data[0] */
    uint n[8];         /* rows of each range */
    uint first[8];     /* the row of its set at which a range begins */
    uint at_pos;       /* [ALL] position */
    uint at_seq;       /* [ALL] sequence */
    uint at_group;     /* [ALL][2] keys [from, to) seen as a member of an attention group; empty: 0, 0 */
    uint at_out;       /* [OUT] row of ALL */
    uint at_seqs;      /* [SEQ] struct g4_vk_seq */
    uint at_embed;     /* [ALL][d_model] f32: embedded rows, scaled */
    uint at_ple;       /* [ALL][cols] f32: rows of the per-layer table, scaled */
    uint at_pick;      /* [OUT] struct g4_vk_ask */
    uint has_group;    /* some row has an attention group */
    uint spare[7];
};

struct g4_vk_seq {
    uint n_key;        /* keys stored once this step's rows are */
    uint at_table[2];  /* pool -> block of keys [32 b, 32 b + 32); G4_NO_ROW: not held */
    uint first, n;     /* its rows of ALL */
};

struct g4_vk_ask {     /* what is wanted of one row of logits */
    uint k;
    uint want_id;      /* G4_NO_ROW: none */
    uint at_allow;     /* bit mask; G4_NO_ROW: all are allowed */
    uint at_adj, n_adj; /* struct g4_vk_adj */
};

struct g4_vk_adj {
    uint id;           /* G4_NO_ROW: skip */
    float rep, add;
};

/* ---- push constants, a struct a shader ------------------------------------ */

struct rows_args {     /* rows.comp: NORM, L2NORM, ADD, COPY, GATHER, EMBED */
    uint range, cols;
    uint has_w;
    float eps;
};
/* specialisation constant 1 of rows.comp */
#define G4_ROWS_NORM 0
#define G4_ROWS_L2NORM 1
#define G4_ROWS_ADD 2
#define G4_ROWS_COPY 3
#define G4_ROWS_GATHER 4
#define G4_ROWS_EMBED 5

struct resid_args {    /* resid.comp */
    uint range, cols;
    float eps, alpha;
};

struct ple_args {      /* ple.comp */
    uint range, cols, dim;
    uint has_table;
    float eps, beta;
};

struct heads_args {    /* heads.comp */
    uint range, n_head, n_kv, d_head;
    uint pool;         /* of the cache layer */
    uint flags;        /* G4_HEADS_* */
    float eps;
};
#define G4_HEADS_WQ 1      /* q is normed */
#define G4_HEADS_WK 2      /* k is normed */
#define G4_HEADS_NORM_V 4
#define G4_HEADS_ROPE 8

struct router_args {   /* router.comp, router_pick.comp */
    uint range, cols, n_expert, k;
    uint has_own;
    float eps, alpha;
};
#define G4_ROUTER_EXPERTS 8 /* a workgroup of router.comp */

struct pick_args {     /* pick_*.comp */
    uint cols, n_chunk;
    uint adjusted;     /* the step changes or masks logits */
    uint row0;         /* row of OUT at which the binding of the logits begins */
};
#define G4_PICK_CHUNK 2048
#define G4_PICK_MOST 256

struct g4_vk_part {    /* of one chunk of logits */
    float most, sum;   /* sum of exp(x - most) */
    uint id;           /* the lowest that has `most` */
};

struct g4_vk_picked {  /* of one row of OUT */
    uint n_top;
    float lse, lse_raw, want;
    uint id[G4_PICK_MOST];
    float logit[G4_PICK_MOST];
};

#endif
