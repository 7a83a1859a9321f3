/* weights/store: from a model's name to a path on this disk, read only: an
 * explicit path, g4's own store, the Hugging Face cache, the Ollama store. */
#ifndef G4_WEIGHTS_STORE_H
#define G4_WEIGHTS_STORE_H

#include "base/err.h"

/* Path for -m (caller frees); *digest (may be NULL) is "sha256:..." when the place knows it (caller
 * frees) or NULL.  G4_EMODEL with the places looked at when there is none. */
char *g4_store_find(const char *name, char **digest, g4_err *err);

#endif
