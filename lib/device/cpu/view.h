/* device/cpu/view: which keys a row sees, for every level's ATTEND. */
#ifndef G4_DEVICE_CPU_VIEW_H
#define G4_DEVICE_CPU_VIEW_H

#include "device/cpu/ref.h"

struct g4_view {
    uint32_t lo, hi;             /* all it sees lies in [lo, hi) */
    uint32_t win_lo, win_hi;     /* by position */
    uint32_t group_lo, group_hi; /* by attention group; empty without */
};

struct g4_view g4_view_of(const g4_step_buf *s, const g4_op *op, uint32_t all); /* all: the row in the step */

#endif
