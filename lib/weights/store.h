/* weights/store: from a model's name to a path on this disk, read only.  Looked
 * at in this order:
 *
 *   an explicit path     a file, or a folder that holds a model
 *   g4's own store       $G4_STORE, else $XDG_DATA_HOME/g4/models (below)
 *   Hugging Face cache   ORG/REPO[:QUANT][@REV], ORG/REPO/FILE.gguf, also behind hf:
 *   Ollama store         [HOST/][NAMESPACE/]MODEL[:TAG], also behind ollama:
 *   Docker's models      [ai/]MODEL[:TAG], also behind docker:
 *   llama.cpp's cache    ORG/REPO[:QUANT] of its versions before it used the Hub's
 *   LM Studio            ORG/REPO[/FILE.gguf][:QUANT]
 *   RamaLama             [TRANSPORT:][ORG/]NAME[:TAG], behind ramalama:
 *   Kaggle's cache       OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION][/FILE], behind kaggle:
 *
 * g4's store holds NAME.gguf files and NAME/ folders put there by hand, and what
 * g4-pull writes: blobs/sha256-HEX, and manifests/ESCAPED-NAME.json:
 *   {"name": NAME, "files": [{"role": "model", "digest": "sha256:HEX", "size": N}, ...],
 *    "path": "FOLDER"}
 * A file with "local" stays where it is, outside the store.
 * "path", relative to the store and optional, is the folder that shows several
 * model files (shards, safetensors and their side files) under their own names. */
#ifndef G4_WEIGHTS_STORE_H
#define G4_WEIGHTS_STORE_H

#include "base/err.h"
#include "base/str.h"

/* Path for -m (caller frees); *digest (may be NULL) is "sha256:..." when the place knows it (caller
 * frees) or NULL.  G4_EMODEL with the places looked at when there is none. */
char *g4_store_find(const char *name, char **digest, g4_err *err);

struct g4_store_beside { /* paths, the caller's to free; NULL: there is none */
    char *mmproj;        /* the projector for images and sound */
    char *drafter;       /* the small model that speeds it up */
};

/* What stands beside a model that g4_store_find found at path under this name: pulled with it, a layer of the
 * same Ollama model, or the nearest such file of the same repository.  A model given by its path has none. */
void g4_store_beside(const char *name, const char *path, struct g4_store_beside *out);

struct g4_store_model {
    const char *name;   /* what -m takes */
    const char *place;  /* "g4", "huggingface", "ollama", "docker", "llama.cpp", "lmstudio", "ramalama", "kaggle" */
    const char *path, *digest; /* digest: "sha256:HEX" or NULL */
    const char *source; /* where g4 pulled it from, or NULL */
    uint64_t bytes;     /* of the model's files */
};

/* Calls each for every model that some place holds; stops when it returns non-zero, and returns that. */
typedef int (*g4_store_each)(void *arg, const struct g4_store_model *m);
int g4_store_list(g4_store_each each, void *arg);

/* Where g4's own store is; NULL when neither $G4_STORE, $XDG_DATA_HOME nor $HOME is set.  Caller frees. */
char *g4_store_root(void);

/* A name as one file name: bytes other than letters, digits, '_', '-' and inner '.' become %XX. */
char *g4_store_escape(const char *name);

#endif
