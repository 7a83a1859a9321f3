/* engine/guide: what constrains a sequence while it is generated.  Declared here,
 * implemented by lib/text (schema, regex, tool call, thinking budget), bound by
 * lib/verb.  A member that is NULL does nothing.  Several guides of one sequence
 * are asked in order; masks are and-ed; the first that forces wins. */
#ifndef G4_ENGINE_GUIDE_H
#define G4_ENGINE_GUIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct g4_guide {
    void *self;
    /* Clears the bits of ids that may not come next (mask has n_vocab bits, set
     * on entry).  False: nothing is constrained now and mask is untouched. */
    bool (*mask)(void *self, uint32_t *mask, uint32_t n_vocab);
    /* Ids that must come next, without sampling; their number (0: free). */
    size_t (*forced)(void *self, const int32_t **ids);
    /* The sequence took this id (sampled or forced). */
    void (*accept)(void *self, int32_t id);
    /* The last n accepted ids are taken back (n <= 256). */
    void (*rollback)(void *self, size_t n);
};

#endif
