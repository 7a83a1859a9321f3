/* text/tokenizer: text to ids and back, in rank form (merge list) and score form
 * (piece scores).
 *
 * What recognises special pieces is chosen a segment at a time: text that comes
 * from a user, a file or a tool is DATA and can never become a control token. */
#ifndef G4_TEXT_TOKENIZER_H
#define G4_TEXT_TOKENIZER_H

#include "base/err.h"
#include "text/vocab.h"

typedef struct g4_tokenizer g4_tokenizer;

/* Takes over v's arrays in v->own.  Must cost milliseconds for 262,144 pieces:
 * tables are built flat, merges are found by hashing their text. */
g4_tokenizer *g4_tokenizer_new(const struct g4_vocab *v, g4_err *err);
void g4_tokenizer_free(g4_tokenizer *t);
const struct g4_vocab *g4_tokenizer_vocab(const g4_tokenizer *t);

enum g4_seg_mode {
    G4_SEG_DATA,     /* no special piece is recognised; whitespace runs and HTML tags of Gemma 3 are content */
    G4_SEG_TEMPLATE, /* all of them */
    G4_SEG_USER,     /* USER_DEFINED ones only (parse_special=false of other engines; for exact emulation) */
};

struct g4_seg {
    enum g4_seg_mode mode;
    const char *p;
    size_t n;
};

/* Appends the ids of the segments to *ids; neighbouring raw text is joined
 * before merging.  Bytes that are not UTF-8 become byte pieces one at a time.
 * No BOS is added.  *ids grows by realloc. */
void g4_tokenizer_encode(const g4_tokenizer *t, const struct g4_seg *seg, size_t n_seg,
                         int32_t **ids, size_t *n_ids, size_t *cap_ids);

/* Id of a piece by its exact stored text, -1 when there is none. */
int32_t g4_tokenizer_find(const g4_tokenizer *t, const char *piece, size_t n);

/* Appends the bytes of one id: U+2581 becomes a space, BYTE pieces one byte,
 * CONTROL and UNKNOWN nothing unless show_special. */
void g4_tokenizer_piece(const g4_tokenizer *t, int32_t id, bool show_special, g4_str *out);

/* Streaming decode: bytes go in, whole characters come out.  At most 3 bytes are
 * held back.  Invalid bytes come out as U+FFFD each (raw: as they are). */
struct g4_utf8_stream {
    char held[4];
    uint8_t n;
    bool raw;
};
void g4_utf8_stream_push(struct g4_utf8_stream *s, const char *p, size_t n, g4_str *out);
void g4_utf8_stream_flush(struct g4_utf8_stream *s, g4_str *out);

#endif
