/* weights/place: the foreign caches store.c looks into, and what they share
 * (private to weights).
 *
 * A place answers 1 (found: *path, and *digest when it knows it, the caller's to
 * free), 0 (not here; `looked` tells where it looked) or a negative code: the
 * model is here but cannot be used, err says why. */
#ifndef G4_WEIGHTS_PLACE_H
#define G4_WEIGHTS_PLACE_H

#include "base/file.h"

int g4_place_hf(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err);
int g4_place_ollama(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err);

/* "sha256:HEX" when hex is a SHA-256 in 64 lower-case digits, else NULL.  Caller frees. */
char *g4_place_digest(const char *hex);
char *g4_place_join(const char *folder, const char *name);
/* Adds one place to the list a message shows. */
void g4_place_note(g4_str *looked, const char *what, const char *dir);
/* The file exists and has `size` bytes (size < 0: any). */
int g4_place_check_blob(const char *path, int64_t size, g4_err *err);
/* $VAR with a leading "~/" expanded; NULL when it is unset or empty.  Caller frees. */
char *g4_place_env(const char *var);

#endif
