/* weights/store: from a model's name to a path on this disk, read only.  Looked
 * at in this order:
 *
 *   an explicit path     a file, or a folder that holds a model
 *   g4's own store       $G4_STORE, else $XDG_DATA_HOME/g4/models (below)
 *   Hugging Face cache   ORG/REPO[:QUANT][@REV], ORG/REPO/FILE.gguf, also behind hf:
 *   Ollama store         [HOST/][NAMESPACE/]MODEL[:TAG], also behind ollama:
 *
 * g4's store holds NAME.gguf files and NAME/ folders put there by hand, and what
 * g4-pull writes: blobs/sha256-HEX, and manifests/ESCAPED-NAME.json:
 *   {"name": NAME, "files": [{"role": "model", "digest": "sha256:HEX", "size": N}, ...],
 *    "path": "FOLDER"}
 * "path", relative to the store and optional, is the folder that shows several
 * model files (shards, safetensors and their side files) under their own names. */
#ifndef G4_WEIGHTS_STORE_H
#define G4_WEIGHTS_STORE_H

#include "base/err.h"

/* Path for -m (caller frees); *digest (may be NULL) is "sha256:..." when the place knows it (caller
 * frees) or NULL.  G4_EMODEL with the places looked at when there is none. */
char *g4_store_find(const char *name, char **digest, g4_err *err);

/* Where g4's own store is; NULL when neither $G4_STORE, $XDG_DATA_HOME nor $HOME is set.  Caller frees. */
char *g4_store_root(void);

/* A name as one file name: bytes other than letters, digits, '_', '-' and inner '.' become %XX. */
char *g4_store_escape(const char *name);

#endif
