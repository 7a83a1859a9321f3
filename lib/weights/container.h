/* weights/container: what a container reader hands to weights.c.  Readers parse
 * one mapped file, trust nothing in it, and borrow from the mapping. */
#ifndef G4_WEIGHTS_CONTAINER_H
#define G4_WEIGHTS_CONTAINER_H

#include "base/file.h"
#include "base/mem.h"
#include "weights/weights.h"

struct g4_container {
    g4_arena *arena;      /* tensors, keys and names are allocated here; the caller's */
    g4_tensor *tensor;
    size_t n_tensor;
    g4_kv *kv;            /* GGUF only */
    size_t n_kv;
};

/* GGUF version 2 and 3, little-endian.  Every count, length and offset is checked
 * against the file before it is used; messages name the field and its offset. */
int g4_gguf_read(const g4_map *m, const char *path, struct g4_container *out, g4_err *err);

/* safetensors: header checked as JSON without repeated keys, spans tile the
 * buffer.  Tensors of types the engine cannot use keep their place with their
 * nearest integer type. */
int g4_safetensors_read(const g4_map *m, const char *path, struct g4_container *out, g4_err *err);

/* Minimum bytes of one value of a GGUF type (8 for strings); 0: no such type. */
size_t g4_gguf_type_bytes(uint32_t type);

enum { G4_GGUF_STRING = 8, G4_GGUF_ARRAY = 9 };

#endif
