/* text/pieces: the vocabulary by its bytes, for finding the tokens that a grammar
 * allows: a trie of all pieces that can be content, and for the inside of strings
 * the bulk of them as bit sets, so that only the rest has to be walked there.
 *
 * Made once for a vocabulary (a fraction of a second for 262,144 pieces) and kept as
 * a file under XDG_CACHE_HOME/g4, which is mapped.  A file that is not what it
 * should be is made anew; one that cannot be written is done without. */
#ifndef G4_TEXT_PIECES_H
#define G4_TEXT_PIECES_H

#include "text/tokenizer.h"

/* A trie in the order of a walk: parents before children, a node's subtree is [i, skip[i]).  Node 0 is the first
 * child of the root, which has no node. */
struct g4_trie {
    uint32_t n;
    const uint8_t *byte, *depth; /* depth 1: begins a piece */
    const uint32_t *skip;
    const int32_t *id;           /* piece that ends here; -1 none; below -1: -2 - place in `twin` */
};

enum { G4_SLICE_JSON, G4_SLICE_RAW, G4_SLICES };

struct g4_slice {
    const uint32_t *plain;       /* bits: pieces of whole characters only; JSON: no quote, backslash, control */
    struct g4_trie rest;         /* all other pieces */
};

typedef struct g4_pieces {
    uint32_t n_vocab;
    struct g4_trie all;
    struct g4_slice slice[G4_SLICES];
    const uint8_t *chars;        /* [n_vocab] characters of a piece that is well-formed UTF-8, else 255 */
    uint32_t most_chars;         /* of all of them, at most 254 */
    const int32_t *twin;         /* lists of pieces with the same bytes, each ended by -1 */
    bool from_cache;
    double ms;                   /* what making or loading took */
    void *owner;                 /* what the arrays lie in */
} g4_pieces;

/* cache: look for the file and write it. */
g4_pieces *g4_pieces_new(const g4_tokenizer *t, bool cache);
void g4_pieces_free(g4_pieces *p);

#endif
