/* g4-tool: what the commands need besides g4.h: records, input sources, order,
 * the journal, jq.  Not installed, not exported. */
#ifndef G4_TOOL_H
#define G4_TOOL_H

#include "g4.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/jq.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/thread.h"
#include "call/box.h"
#include "call/loop.h"
#include "call/policy.h"
#include "call/run.h"
#include "call/tape.h"
#include "call/tools.h"
#include "call/turn.h"
#include "engine/need.h"
#include "model/card.h"
#include "model/convert.h"
#include "model/recipe.h"
#include "record/compose.h"
#include "record/input.h"
#include "record/journal.h"
#include "record/output.h"
#include "record/request.h"
#include "verb/generate.h"

#endif
