/* weights/place: the foreign caches store.c looks into, and what they share
 * (private to weights).
 *
 * A place answers 1 (found: *path, and *digest when it knows it, the caller's to
 * free), 0 (not here; `looked` tells where it looked) or a negative code: the
 * model is here but cannot be used, err says why. */
#ifndef G4_WEIGHTS_PLACE_H
#define G4_WEIGHTS_PLACE_H

#include "base/file.h"
#include "weights/store.h"

int g4_place_hf(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err);
int g4_place_ollama(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err);
int g4_place_docker(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err);
int g4_place_llamacpp(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err);
int g4_place_lmstudio(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err);
int g4_place_ramalama(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err);
int g4_place_kaggle(const char *ref, char **path, char **digest, g4_str *looked, g4_err *err);

/* What each of them holds. */
int g4_place_hf_list(g4_store_each each, void *arg);
int g4_place_ollama_list(g4_store_each each, void *arg);
int g4_place_docker_list(g4_store_each each, void *arg);
int g4_place_llamacpp_list(g4_store_each each, void *arg);
int g4_place_lmstudio_list(g4_store_each each, void *arg);
int g4_place_ramalama_list(g4_store_each each, void *arg);
int g4_place_kaggle_list(g4_store_each each, void *arg);

/* What stands beside a model of theirs: by its path, which may be another place's, or by its name. */
void g4_place_hf_beside(const char *path, struct g4_store_beside *out);
void g4_place_lmstudio_beside(const char *path, struct g4_store_beside *out);
void g4_place_ollama_beside(const char *ref, struct g4_store_beside *out);
void g4_place_ramalama_beside(const char *ref, struct g4_store_beside *out);
/* The nearest of the files below a repository's folder; rel: the model's path in it. */
void g4_place_nearest(const char *folder, const char *rel, struct g4_store_beside *out);

/* The entries of a folder that do not begin with '.', sorted; n in *n.  g4_place_free_names frees them. */
char **g4_place_entries(const char *dir, size_t *n);
void g4_place_free_names(char **v, size_t n);
/* All files below dir as relative paths, sorted, symlinks followed, at most three folders deep. */
char **g4_place_files(const char *dir, size_t *n);
/* The size of a file, 0 when it cannot be had. */
uint64_t g4_place_bytes(const char *path);

/* ORG/REPO[/FILE][:QUANT][@REV] and the web addresses of the Hub. */
struct g4_place_ref {
    char *org, *repo, *file, *quant, *rev;
};
bool g4_place_ref_parse(const char *text, struct g4_place_ref *r); /* the caller frees r either way */
void g4_place_ref_free(struct g4_place_ref *r);
/* The file of the list to run: the one named, the tag's, or the usual choice.  1, 0 or an error. */
int g4_place_choose(const struct g4_place_ref *r, char *const *name, size_t n, const char **found, g4_err *err);

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
