/* weights/gguf_write: a GGUF file (version 3) in the form every reader accepts:
 * tensors in the order they were named, each padded, no gaps.
 *
 * First metadata and tensors are named, then g4_gguf_begin makes the file with
 * its whole size, then the tensors' bytes are put at their places, by any thread
 * and in any order, and g4_gguf_end gives it its name.  Until then it has another:
 * nothing half done is ever seen under the final one. */
#ifndef G4_WEIGHTS_GGUF_WRITE_H
#define G4_WEIGHTS_GGUF_WRITE_H

#include "weights/weights.h"

typedef struct g4_gguf g4_gguf;

g4_gguf *g4_gguf_new(void);
void g4_gguf_free(g4_gguf *g); /* removes the file when g4_gguf_end was not reached; NULL is fine */

/* Metadata, in this order.  A key that is there already is replaced in place. */
void g4_gguf_u32(g4_gguf *g, const char *key, uint32_t v);
void g4_gguf_i32(g4_gguf *g, const char *key, int32_t v);
void g4_gguf_f32(g4_gguf *g, const char *key, float v);
void g4_gguf_bool(g4_gguf *g, const char *key, bool v);
void g4_gguf_str(g4_gguf *g, const char *key, g4_sv v);
void g4_gguf_strz(g4_gguf *g, const char *key, const char *v);
/* An array of n numbers of a GGUF type, bytes as they lie in the file; g4_gguf_strings: of strings. */
void g4_gguf_array(g4_gguf *g, const char *key, uint32_t elem, const void *v, size_t n);
void g4_gguf_strings(g4_gguf *g, const char *key, const g4_sv *v, size_t n);
/* An array of n strings that lie one after another as a GGUF has them (u64 length, bytes). */
void g4_gguf_string_bytes(g4_gguf *g, const char *key, const void *v, size_t bytes, size_t n);
void g4_gguf_kv(g4_gguf *g, const g4_kv *kv); /* as it stands in another file */

/* The next tensor; ne in GGUF order, whole blocks.  G4_EUNSUP: a name over 63 bytes or one that is there. */
int g4_gguf_tensor(g4_gguf *g, const char *name, g4_dtype type, uint32_t n_dim, const uint64_t ne[4], g4_err *err);

uint64_t g4_gguf_bytes(const g4_gguf *g); /* of the file as named so far */

/* Creates the file beside path with its whole size on disk (G4_EIO with what is missing when it does not
 * fit) and writes all but the tensors' bytes. */
int g4_gguf_begin(g4_gguf *g, const char *path, g4_err *err);
/* n bytes of tensor i from byte `at` of it.  Any thread. */
int g4_gguf_put(g4_gguf *g, size_t i, uint64_t at, const void *p, size_t n, g4_err *err);
/* To disk, then under its name. */
int g4_gguf_end(g4_gguf *g, g4_err *err);

#endif
