/* record/journal: a batch that was killed goes on where it stood.
 *
 * OUT holds the records, OUT.g4 one header line and one line a finished input
 * record.  Invariants:
 *   1. A record's bytes are appended to OUT first, its journal line second.
 *   2. A journal line names the end of its bytes in OUT and carries a check
 *      sum, so a torn last line is recognised and dropped.
 *   3. What OUT holds behind the last journalled end was written by a run that
 *      died between the two; it is cut off and made again, to the same bytes.
 *   4. OUT and the journal reach the disk in that order, once a second and at
 *      the end.  After a power failure OUT may be shorter than journalled: the
 *      journal is then cut back to what is there.
 *   5. OUT is locked while a run uses it.
 * --retry-errors makes failed records again and puts them in their old places:
 * a new pair of files is written beside the old one and renamed, journal last. */
#ifndef G4_RECORD_JOURNAL_H
#define G4_RECORD_JOURNAL_H

#include "base/err.h"
#include "base/str.h"

typedef struct g4_journal g4_journal;

/* key: what the results depend on (options, model, device), one line each; a run
 * with another key is refused (G4_EUSAGE, naming the first line that differs).
 * G4_EIO when OUT cannot be used or is locked.
 * *seed is kept in the header; a run that goes on gets the first run's. */
g4_journal *g4_journal_open(const char *out, const char *key, bool retry_errors, uint64_t *seed, g4_err *err);
void g4_journal_close(g4_journal *j, g4_err *err); /* syncs */

/* Is record seq done?  1: yes; 0: no; G4_EUSAGE: the input is another one now. */
int g4_journal_done(g4_journal *j, uint64_t seq, uint64_t hash, g4_err *err);

enum g4_journal_state { G4_JOURNAL_DONE, G4_JOURNAL_CUT, G4_JOURNAL_FAILED }; /* of a record: the worst of its samples */

/* Failed records that are still to be made again; new ones wait for them. */
size_t g4_journal_retries(const g4_journal *j);

/* Appends a record's bytes (whole lines, or none), then its journal line. */
int g4_journal_write(g4_journal *j, uint64_t seq, uint64_t hash, enum g4_journal_state outcome, g4_sv bytes, g4_err *err);

uint64_t g4_journal_count(const g4_journal *j);  /* records done */
uint64_t g4_journal_failed(const g4_journal *j); /* those of them that are error records */
uint64_t g4_journal_cut(const g4_journal *j);    /* those with an answer that was cut by no limit of the user's */

#endif
