/* device/split: a GPU and the processor as one device, for a model that does not
 * fit the GPU's memory: the last layers and the head run there, the layers before
 * them on the CPU.  Which layers is decided when the first plan is made, by what
 * they weigh and by the room there is (or by the caller).
 *
 * A plan is cut in two by op->layer.  Rows that the second half reads and the
 * first one wrote are copied in between, in every step.  A layer that reads the
 * cache of another runs where that one runs. */
#ifndef G4_DEVICE_SPLIT_H
#define G4_DEVICE_SPLIT_H

#include "device/device.h"

/* Takes `gpu` over, and opens a CPU device when one is needed.  layers < 0: as many as fit. */
g4_device *g4_split_open(g4_device *gpu, const struct g4_device_params *p);

#endif
