/* cmd/feed: the records of an input that are still to be done: those that the
 * journal of --resume knows are passed over. */
#ifndef G4_CMD_FEED_H
#define G4_CMD_FEED_H

#include "g4-tool.h"

struct g4_feed {
    g4_input *in;
    g4_journal *journal; /* or NULL */
    g4_record *held;     /* a new record that waits for the ones made again */
    uint64_t skipped;    /* done by an earlier run */
    bool ended;
};

/* 1: *record is the caller's; 0: none now; -1: the end (ended is set); -2: failed.
 * busy: records are in flight. */
int g4_feed_next(struct g4_feed *f, bool busy, g4_record **record, g4_err *err);

/* At the end: G4_EUSAGE when the journal holds more records than the input had. */
int g4_feed_check(const struct g4_feed *f, const g4_output *out, const char *resume, g4_err *err);

/* Frees all but the journal, and remembers the status that input and journal mean. */
void g4_feed_free(struct g4_feed *f);

#endif
