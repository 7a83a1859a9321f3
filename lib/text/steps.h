/* text/steps: what the guides over a matcher share (answer.c, toolguide.c): where each
 * id found them, so that ids can be taken back; the ids that end the turn; and the
 * matcher's mask with those. */
#ifndef G4_TEXT_STEPS_H
#define G4_TEXT_STEPS_H

#include "text/matcher.h"

enum { G4_STEPS_BACK = 256, G4_STEPS_STOP = 16 };

struct g4_steps {
    g4_matcher *m;               /* owned; may be NULL where nothing is matched */
    int32_t stop[G4_STEPS_STOP]; /* the first is the one that is forced */
    size_t n_stop;
    uint32_t max_tokens;
    uint32_t *bits;              /* a mask to work on */
    struct {
        uint8_t state;           /* of the guide */
        bool fed;                /* the matcher got the id */
    } past[G4_STEPS_BACK];       /* [i % BACK]: before id number i */
    size_t n;                    /* ids so far */
};

void g4_steps_init(struct g4_steps *s, g4_matcher *m, uint32_t max_tokens, uint32_t n_vocab); /* s is {0} */
void g4_steps_clear(struct g4_steps *s);

/* Tokens that may come when n of them have; one is for the end of the turn. */
uint32_t g4_steps_left(const struct g4_steps *s, size_t n);

bool g4_steps_is_stop(const struct g4_steps *s, int32_t id);
void g4_steps_set_stops(const struct g4_steps *s, uint32_t *bits, uint32_t n_vocab, bool on);

/* mask &= bits; the turn may end where what is matched is complete, and where nothing
 * at all is possible: what there is will be found wanting. */
void g4_steps_mask(struct g4_steps *s, uint32_t *mask, uint32_t n_vocab);

void g4_steps_note(struct g4_steps *s, uint8_t state); /* an id came while the guide was in this state */
void g4_steps_feed(struct g4_steps *s, int32_t id);    /* and the matcher gets it */

/* Takes n ids back, at most G4_STEPS_BACK; false when there were none, else *state is what the guide was in. */
bool g4_steps_back(struct g4_steps *s, size_t n, uint8_t *state);

#endif
