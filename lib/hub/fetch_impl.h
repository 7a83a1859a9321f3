/* hub/fetch_impl: what fetch.c (which bytes next) and lane.c (one connection)
 * share.
 *
 * A job is a file.  Its bytes are in part.done, or in a lane that is bringing
 * them, or in a gap that waits for a lane; the three never overlap, and together
 * they are the file.  A restart waits until the job has no lane left. */
#ifndef G4_HUB_FETCH_IMPL_H
#define G4_HUB_FETCH_IMPL_H

#include "hub/fetch.h"
#include "hub/follow.h"
#include "hub/part.h"

enum { N_LANE = 16, SEGMENT_LAST = 4 << 20, SEGMENT_MIN = 16 << 20, SEGMENT_MAX = 256 << 20, SPLIT_MIN = 32 << 20 };

enum job_state {
    JOB_PROBE,  /* nothing is known of the server yet: one lane */
    JOB_RANGED, /* it gives ranges */
    JOB_STREAM, /* it gives the whole file only: one lane, from 0 */
    JOB_HASH,   /* all bytes are here */
    JOB_DONE,
};

struct gap {
    uint64_t a, b;  /* b UINT64_MAX: to the end, wherever that is */
    unsigned tries; /* failures since something last arrived */
    double ready;   /* not before this time */
};

struct job {
    const struct g4_plan_file *f;
    struct g4_fetched *out;
    char *key;
    int lock;
    enum job_state state;
    struct g4_part part;
    struct g4_follow *follow;
    struct g4_digest digest; /* expected; STORED: comes with a response, 32 digits of MD5 or 8 of CRC-32C */
    struct gap *gap;
    size_t n_gap, cap_gap;
    unsigned n_lane;
    char *direct;            /* where the redirects led, asked without them until it refuses */
    unsigned resolved, renewed; /* since something last arrived */
    unsigned restarts, restart_tries, mismatches;
    bool restart, as_stream, one_piece; /* wanted by a lane; one_piece: ranges cannot be trusted */
    double pause;            /* no request before this time */
    uint64_t want;           /* bytes worth another look at the header */
    bool header_good;
    double saved_at;
    uint64_t fresh, untold;  /* bytes since the journal was written, and since the hashing was told */
};

enum verdict {
    LANE_FINE,
    LANE_RETRY,   /* err says why */
    LANE_RESTART, /* the job begins anew */
    LANE_FATAL,
};

struct lane {
    struct fetch *x;
    struct job *job;      /* NULL: idle */
    CURL *easy;
    struct curl_slist *list;
    uint64_t from, at, b; /* asked from, next byte, end */
    unsigned tries, hops;
    bool if_range, judged, refused;
    uint64_t auth;        /* hash of the Authorization that was sent, 0: none */
    enum verdict verdict;
    enum g4_hub_why why;  /* with LANE_FATAL */
    g4_err err;
    char *url;
    struct g4_head head;
    g4_str body;          /* of a refusal */
    char curl_says[CURL_ERROR_SIZE];
};

struct fetch {
    struct g4_hub *h;
    struct job *job;
    size_t n;
    struct lane lane[N_LANE];
    double told;          /* when progress was last told */
    double space_at;      /* when the free space was last looked at */
    enum g4_hub_why why;
    g4_err err;
    bool failed;
};

double g4_fetch_now(void);

/* lane.c: begins a request for [a, b) of the job. */
void g4_lane_start(struct fetch *x, struct lane *l, struct job *j, const struct gap *g);
/* The transfer is over: goes on with a redirect, or gives its bytes and the rest of its gap back. */
void g4_lane_finish(struct lane *l, CURLcode code);
void g4_lane_drop(struct lane *l); /* ends it at once; what arrived counts */

/* fetch.c, for lane.c. */
void g4_job_gap(struct job *j, uint64_t a, uint64_t b, unsigned tries, double ready);
void g4_job_kept(struct job *j, uint64_t n); /* n more bytes were written: journal and hashing follow */
int g4_job_size(struct fetch *x, struct job *j, int64_t size, g4_err *err); /* the size is known now */
void g4_fetch_fail(struct fetch *x, enum g4_hub_why why, const g4_err *err);

#endif
