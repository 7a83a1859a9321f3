/* base/quantize_table: the encoders as one level's table, named by LEVEL. */
#ifndef G4_BASE_QUANTIZE_TABLE_H
#define G4_BASE_QUANTIZE_TABLE_H

#include "base/quantize_32.h"
#include "base/quantize_k.h"
#include "base/quantize_level.h"
#include "base/quantize_low.h"

const struct g4_quantize_level LEVEL = {
    .row = {
        [G4_Q4_0] = row_q4_0, [G4_Q4_1] = row_q4_1, [G4_Q5_0] = row_q5_0, [G4_Q5_1] = row_q5_1, [G4_Q8_0] = row_q8_0,
        [G4_Q2_K] = row_q2_k, [G4_Q3_K] = row_q3_k, [G4_Q4_K] = row_q4_k, [G4_Q5_K] = row_q5_k, [G4_Q6_K] = row_q6_k,
        [G4_IQ4_NL] = row_iq4_nl, [G4_IQ4_XS] = row_iq4_xs,
    },
    .q4_0_search = row_q4_0_search,
};

#endif
