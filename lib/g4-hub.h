/* g4-hub: what g4-pull needs besides g4-tool.h: fetching, and the store's
 * writing side.  Not installed, not exported, linked into g4-pull alone. */
#ifndef G4_HUB_H
#define G4_HUB_H

#include "hub/alias.h"
#include "hub/hub.h"
#include "hub/plan.h"
#include "weights/names.h"
#include "weights/store.h"
#include "weights/store_write.h"
#include "weights/weights.h"

#endif
