/* model/vocab_protobuf: tokenizer.model, the SentencePiece form: a ModelProto
 * message of which only the pieces (field 1) and four ids of the trainer's
 * options (field 2) are read.  Score form. */
#include <stdlib.h>
#include <string.h>

#include "model/vocab_impl.h"

struct reader {
    const char *name;
    const uint8_t *begin, *p, *end;
    g4_err *err;
};

struct field {
    uint32_t number, wire; /* 0 varint, 1 eight bytes, 2 counted bytes, 5 four bytes */
    uint64_t value;        /* wires 0, 1, 5 */
    g4_sv bytes;           /* wire 2 */
};

static int bad(struct reader *r, const char *what)
{
    return g4_fail(r->err, G4_EFORMAT, "'%s': %s at byte %zu", r->name, what, (size_t)(r->p - r->begin));
}

static int varint(struct reader *r, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
        const uint8_t b = *r->p++;
        *out |= (uint64_t)(b & 0x7F) << shift;
        if (b < 0x80) return G4_OK;
    }
    return bad(r, "a number without end");
}

/* 1: a field was read, 0: the message is over, negative: failed. */
static int next(struct reader *r, struct field *f)
{
    uint64_t tag, n;
    if (r->p == r->end) return 0;
    if (varint(r, &tag)) return G4_EFORMAT;
    *f = (struct field){ .number = (uint32_t)(tag >> 3), .wire = tag & 7 };
    if (f->wire == 0) return varint(r, &f->value) ? G4_EFORMAT : 1;
    if (f->wire == 2) {
        if (varint(r, &n)) return G4_EFORMAT;
    } else if (f->wire == 1 || f->wire == 5) {
        n = f->wire == 1 ? 8 : 4;
    } else {
        return bad(r, "an unknown wire type");
    }
    if (n > (size_t)(r->end - r->p)) return bad(r, "a field that ends outside its message");
    if (f->wire == 2)
        f->bytes = (g4_sv){ (const char *)r->p, (size_t)n };
    else
        memcpy(&f->value, r->p, (size_t)n); /* little endian, as every machine g4 runs on */
    r->p += n;
    return 1;
}

static struct reader inside(const struct reader *r, g4_sv message)
{
    const uint8_t *p = (const uint8_t *)message.p;
    return (struct reader){ r->name, r->begin, p, p + message.n, r->err };
}

static int read_piece(struct reader *outer, g4_sv message, struct g4_pieces *pieces, float *score)
{
    struct reader r = inside(outer, message);
    struct field f;
    g4_sv text = { "", 0 };
    uint64_t type = G4_PIECE_NORMAL;
    uint32_t bits = 0;
    int m;
    while ((m = next(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == 2) text = f.bytes;
        if (f.number == 2 && f.wire == 5) bits = (uint32_t)f.value;
        if (f.number == 3 && f.wire == 0) type = f.value;
    }
    if (m) return m;
    if (type < G4_PIECE_NORMAL || type > G4_PIECE_BYTE) return bad(&r, "an unknown piece type before");
    const uint32_t id = pieces->n;
    if (!g4_pieces_room(pieces, id)) return bad(&r, "too many pieces");
    pieces->text[id] = text;
    pieces->type[id] = (uint8_t)type;
    memcpy(score, &bits, sizeof bits);
    return G4_OK;
}

static int read_options(struct reader *outer, g4_sv message, struct g4_vocab *v)
{
    struct reader r = inside(outer, message);
    struct field f;
    int m;
    while ((m = next(&r, &f)) > 0) {
        if (f.wire || f.value >= G4_VOCAB_MAX) continue;
        const int32_t id = (int32_t)f.value;
        switch (f.number) {
        case 40: v->unk = id; break;
        case 41: v->bos = id; break;
        case 42: v->eos = id; break;
        case 43: v->pad = id; break;
        }
    }
    return m;
}

int g4_vocab_from_protobuf(const char *name, g4_sv bytes, struct g4_vocab *v, g4_err *err)
{
    const uint8_t *begin = (const uint8_t *)bytes.p;
    struct reader r = { name, begin, begin, begin + bytes.n, err };
    struct g4_pieces pieces = {0};
    float *score = NULL;
    size_t cap = 0;
    struct field f;
    int m;
    while ((m = next(&r, &f)) > 0) {
        int e = 0;
        if (f.number == 1 && f.wire == 2) {
            G4_GROW(score, cap, (size_t)pieces.n + 1);
            e = read_piece(&r, f.bytes, &pieces, &score[pieces.n]);
        } else if (f.number == 2 && f.wire == 2) {
            e = read_options(&r, f.bytes, v);
        }
        if (e) {
            m = e;
            break;
        }
    }
    if (!m && !pieces.n) m = g4_fail(err, G4_EFORMAT, "'%s': no pieces", name);
    if (!m) {
        g4_pieces_end(&pieces, v);
        float *own = g4_arena_alloc(v->own, v->n * sizeof *own);
        memcpy(own, score, v->n * sizeof *own);
        v->score = own;
    }
    free(pieces.text);
    free(pieces.type);
    free(score);
    return m;
}
