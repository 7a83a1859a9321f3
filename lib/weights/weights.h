/* weights/weights: one view over a GGUF file (split ones too) or a folder of
 * safetensors.  Files are mapped read-only and borrowed: every pointer handed
 * out lives as long as the g4_weights.  No knowledge of models here. */
#ifndef G4_WEIGHTS_WEIGHTS_H
#define G4_WEIGHTS_WEIGHTS_H

#include "base/dtype.h"
#include "base/err.h"
#include "base/json.h"

typedef struct g4_weights g4_weights;

typedef struct g4_tensor {
    const char *name;  /* as in the file */
    g4_dtype type;
    uint32_t n_dim;
    uint64_t ne[4];    /* GGUF order: ne[0] is the contiguous dimension; 1 beyond n_dim.
                        * Safetensors shapes are reversed into the same order. */
    const void *data;  /* may be unaligned (safetensors) */
    size_t bytes;
} g4_tensor;

/* A GGUF metadata value. */
typedef struct g4_kv {
    g4_sv key;
    uint32_t type;      /* GGUF value type id; 9: array */
    uint32_t elem;      /* element type of an array */
    uint64_t n;         /* elements; 1 for a scalar */
    const uint8_t *data;/* first value; for strings the u64 length */
    const uint8_t *end; /* behind the last value */
} g4_kv;

enum { G4_WEIGHTS_TEXT_ONLY = 1 /* a folder may lack config.json and tensors (tokenizer work) */ };

/* path: a .gguf file (any shard of a split set), a folder with
 * model.safetensors or an index or exactly one .gguf, or with
 * G4_WEIGHTS_TEXT_ONLY a folder that holds a tokenizer.
 * G4_EFORMAT corrupt (field and offset in the message), G4_EUNSUP, G4_EIO. */
g4_weights *g4_weights_open(const char *path, unsigned flags, g4_err *err);
void g4_weights_free(g4_weights *w);

bool g4_weights_is_gguf(const g4_weights *w);
const char *g4_weights_path(const g4_weights *w);
uint64_t g4_weights_bytes(const g4_weights *w); /* sum of the mapped files */

size_t g4_weights_count(const g4_weights *w);
const g4_tensor *g4_weights_at(const g4_weights *w, size_t i);
const g4_tensor *g4_weights_find(const g4_weights *w, const char *name); /* NULL: absent */

/* GGUF metadata (NULL when absent or not a GGUF). */
const g4_kv *g4_weights_kv(const g4_weights *w, const char *key);
size_t g4_weights_kv_count(const g4_weights *w);
const g4_kv *g4_weights_kv_at(const g4_weights *w, size_t i);
/* Element i of a scalar (i = 0) or array, whatever integer or float width the
 * file chose; false when the kind does not fit or i is out of range.  Element
 * access to string arrays is linear: use the iterator. */
bool g4_kv_u64(const g4_kv *kv, uint64_t i, uint64_t *out);
bool g4_kv_i64(const g4_kv *kv, uint64_t i, int64_t *out);
bool g4_kv_f64(const g4_kv *kv, uint64_t i, double *out);
bool g4_kv_bool(const g4_kv *kv, uint64_t i, bool *out);
bool g4_kv_str(const g4_kv *kv, g4_sv *out);              /* a scalar string */
/* *at starts NULL; gives the strings of an array in order; the caller stops after kv->n. */
bool g4_kv_next_str(const g4_kv *kv, const uint8_t **at, g4_sv *out);

/* A side file of a folder ("config.json", "tokenizer.json", "tokenizer.model",
 * "2_Dense/model.safetensors", ...), mapped on first use; p = NULL when absent.
 * For a GGUF: a file beside it is NOT looked up. */
g4_sv g4_weights_file(g4_weights *w, const char *name);
/* The same, checked as JSON once; {NULL,0} absent; an ill-formed one fills err. */
g4_json g4_weights_json(g4_weights *w, const char *name, g4_err *err);
/* The tensors of another safetensors file of the folder ("2_Dense/model.safetensors"); NULL: absent. */
const g4_tensor *g4_weights_side_tensor(g4_weights *w, const char *file, const char *name, g4_err *err);

/* n mapped bytes at p were read and are not needed soon: lets go of their pages (they come back when read). */
void g4_weights_forget(const void *p, size_t n);

/* "fp:HEX16": a hash of size, tensor table, first and last 64 KiB (a SHA-256 that a store knows comes
 * from g4_store_find). */
const char *g4_weights_digest(g4_weights *w);

#endif
