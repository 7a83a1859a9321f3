/* text/vocab: a vocabulary as plain arrays, whatever file it came from
 * (model/vocab.c fills it).  Views borrow the mapped file. */
#ifndef G4_TEXT_VOCAB_H
#define G4_TEXT_VOCAB_H

#include "base/str.h"

enum g4_piece_type { /* the GGUF numbers */
    G4_PIECE_UNDEFINED = 0, G4_PIECE_NORMAL = 1, G4_PIECE_UNKNOWN = 2, G4_PIECE_CONTROL = 3,
    G4_PIECE_USER = 4, G4_PIECE_UNUSED = 5, G4_PIECE_BYTE = 6,
};

struct g4_vocab {
    uint32_t n;             /* pieces */
    const g4_sv *piece;     /* [n] text as stored: U+2581 for space in NORMAL pieces */
    uint8_t *type;          /* [n] enum g4_piece_type, repaired by the tokenizer where the spec says so */
    const float *score;     /* [n] score form (Gemma 3 GGUF, tokenizer.model); NULL: rank form */
    uint32_t n_merge;       /* rank form */
    const uint8_t *merge;   /* n_merge strings "left right" in order of rank, split at the first space at byte >= 1, as
                             * a GGUF array has them: u64 length (little endian, unaligned), then the bytes */
    size_t merge_bytes;     /* of all of them, lengths included */
    int32_t bos, eos, unk, pad; /* -1: none */
    /* Where the arrays live when they do not borrow the file: a g4_alloc'ed arena, freed with the
     * tokenizer; NULL: everything is borrowed. */
    struct g4_arena *own;
};

#endif
