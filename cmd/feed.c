/* cmd/feed: see feed.h. */
#include "feed.h"

#include "tool.h"

int g4_feed_next(struct g4_feed *f, bool busy, g4_record **record, g4_err *err)
{
    for (;;) {
        const int rc = f->held ? 1 : g4_input_next(f->in, record);
        f->ended = rc < 0;
        if (rc <= 0) return rc;
        if (f->held) *record = f->held;
        f->held = NULL;
        if (!f->journal) return 1;
        const int done = g4_journal_done(f->journal, (*record)->seq, (*record)->hash, err);
        if (!done) break;
        g4_record_free(*record);
        if (done < 0) return -2;
        f->skipped++;
    }
    if (g4_journal_retries(f->journal) && (*record)->seq >= g4_journal_count(f->journal) && busy) {
        f->held = *record;
        return 0;
    }
    return 1;
}

int g4_feed_check(const struct g4_feed *f, const g4_output *out, const char *resume, g4_err *err)
{
    if (f->journal && g4_journal_count(f->journal) > g4_output_written(out) + f->skipped)
        return g4_fail(err, G4_EUSAGE, "'%s' holds more records than the input", resume);
    return G4_OK;
}

void g4_feed_free(struct g4_feed *f)
{
    if (f->in && g4_input_failed(f->in)) g4_tool_fail(G4_STATUS_IO);
    if (f->journal && g4_journal_failed(f->journal)) g4_tool_fail(G4_STATUS_FAILED); /* of earlier runs too */
    if (f->journal && g4_journal_cut(f->journal)) g4_tool_fail(G4_STATUS_CUT);
    g4_record_free(f->held);
    g4_input_free(f->in);
}
