/* weights/names: what the file names of a repository say: which are models,
 * which stand beside one, and of which quantisation they are. */
#ifndef G4_WEIGHTS_NAMES_H
#define G4_WEIGHTS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A GGUF that is a model: no projector, drafter or importance matrix, and of a
 * split set the first part only.  Paths are relative to the repository. */
bool g4_names_is_model(const char *rel);
bool g4_names_is_gguf(const char *rel);
bool g4_names_is_mmproj(const char *rel);
bool g4_names_is_drafter(const char *rel);

/* Parts of a split set: "X-00001-of-00003.gguf" gives 1 and 3 (0 and 0: no part),
 * and the length of "X". */
size_t g4_names_split(const char *rel, unsigned *part, unsigned *of);

/* The tag stands in the path as a word, in any case: 'Q4_K' is not in 'Q4_K_M'.
 * 2: plain; 1: behind 'UD-', which gives way to a plain one; 0: not at all. */
int g4_names_match(const char *rel, const char *tag);

/* Of n paths of a repository the one that is() says yes to and that stands nearest to the model: deepest common
 * folder, then the model's own tag, then BF16, F16, whatever; n when there is none. */
size_t g4_names_nearest(char *const *name, size_t n, const char *model, bool (*is)(const char *rel));

/* The known quantisation tag that the path carries ("Q4_K_M"), NULL when none. */
const char *g4_names_quant(const char *rel);

/* general.file_type of a GGUF by name ("Q8_0"), NULL when unknown. */
const char *g4_names_file_type(uint64_t type);

#endif
