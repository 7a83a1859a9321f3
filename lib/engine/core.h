/* engine/core: what core.c (opening, submitting, events, the bare forward pass),
 * sched.c (which rows run) and pump.c (from picks to tokens) share.  Inside
 * lib/engine only. */
#ifndef G4_ENGINE_CORE_H
#define G4_ENGINE_CORE_H

#include "engine/engine.h"
#include "engine/kv.h"

enum { G4_ADMIT_SLACK = 64 };   /* tokens beyond the prompt a sequence must have room for to start */

struct g4_seq_list {            /* ordered by serial: the oldest first */
    g4_seq *first, *last;
    uint32_t n;
};

enum g4_seq_state { G4_SEQ_QUEUED, G4_SEQ_RUNNING, G4_SEQ_ENDED };

/* Sparse logit changes of one sequence: the suppressed ids, then one entry a
 * penalised id, found through an open hash table. */
struct g4_adjust {
    g4_logit_adj *adj;          /* [cap] */
    uint32_t *count;            /* [cap] times generated */
    uint32_t *slot;             /* [n_slot] entry + 1; NULL: no penalties */
    uint32_t n, cap, n_slot;
};

struct g4_seq {
    g4_seq *prev, *next;
    enum g4_seq_state state;
    uint64_t serial;            /* order of submission */
    void *user;

    int32_t *ids;               /* [max_ids] prompt, then what was generated */
    uint32_t n_ids, n_prompt, max_ids;
    float *rows;                /* media vectors, NULL without */
    const float **vec;          /* [n_prompt] or NULL */
    uint32_t *group;            /* [n_prompt] or NULL */
    uint64_t prompt_hash, key;
    g4_timeline tl;
    uint32_t want[2];           /* blocks the admission counted on */

    struct g4_sampling sampling;
    uint32_t max_tokens;
    int32_t *stop;
    size_t n_stop;
    struct g4_guide guides[4];
    size_t n_guide;
    uint32_t *mask;             /* [ceil(n_vocab / 32)] when a guide masks */
    struct g4_adjust adjust;
    int32_t n_logprob;
    bool echo, prompting, started;
    uint32_t echo_next;         /* prompt tokens whose PROMPT event went out */

    double max_time, t_start;   /* seconds */
    double prompt_ms, decode_ms;
    uint32_t n_cached;
    uint32_t step_rows;         /* rows in the step that is being made */
};

struct g4_core_event {          /* alternatives stand at alt in the core's arrays, which may move */
    struct g4_tok_event ev;
    size_t alt;
};

struct g4_core {
    struct g4_core_params p;    /* model_path and device are not kept */
    g4_model *model;
    g4_device *device;
    struct g4_kv_store *kv;
    g4_cache *cache;
    struct g4_kv_want want;
    struct g4_kv_sizes sizes;
    uint32_t n_vocab, d_model;
    bool encoder, dead;
    g4_err death;

    struct g4_net net[2];       /* [0] few rows, [1] prompt chunks; plan NULL: not made yet */
    uint32_t net_rows[2], net_out[2];
    struct g4_net forward;      /* of g4_core_forward, kept for the next call */
    unsigned forward_flags;

    struct g4_seq_list queue, running;
    g4_timeline *turn;          /* [n_turn] ends of prompts, the oldest first */
    uint32_t n_turn;
    uint64_t serial;
    uint64_t n_rows, n_set_back; /* rows run, sequences set back: for -v and tests */

    /* the step; arrays hold net_rows[1] rows, net_out[1] outputs, parallel sequences */
    g4_step_buf step;
    int32_t *row_id;
    const float **row_vec;
    uint32_t *row_pos, *row_seq, *row_group, *out_row;
    g4_step_seq *step_seq;
    g4_seq **step_owner;        /* sequence of entry i of step_seq */
    g4_pick *pick;
    g4_seq **out_seq;
    uint32_t *out_pos;
    int32_t *scratch;           /* [n_vocab], for samplers that want the row; NULL until then */

    struct g4_core_event *events; /* [event_cap], read from event_next */
    size_t n_event, event_next, event_cap;
    int32_t *alt_id;            /* alternatives of the events; kept until all are read */
    float *alt_logprob;
    size_t n_alt, alt_cap_id, alt_cap_logprob;
};

/* core.c: the step has run: stores progress and times, takes the picks, ends what
 * is over its time. */
void g4_core_account(g4_core *c, double ms);

/* A prompt has been computed: its end stays in the cache while there is room, so
 * that a next turn begins there even when what was generated behind it (a
 * thought) has pushed its local blocks out. */
void g4_core_keep_turn(g4_core *c, const g4_seq *s);
bool g4_core_forget_turn(g4_core *c); /* the oldest one; false: there is none */

/* sched.c */
void g4_list_insert(struct g4_seq_list *l, g4_seq *s);
void g4_list_remove(struct g4_seq_list *l, g4_seq *s);
int g4_sched_build(g4_core *c, g4_err *err); /* fills c->step; n_row 0: nothing to do */

/* pump.c */
void g4_adjust_init(struct g4_adjust *a, const struct g4_seq_params *p, const int32_t *ids, uint32_t n_ids, uint32_t most_new, uint32_t n_vocab);
void g4_adjust_free(struct g4_adjust *a);
void g4_pump_ask(g4_core *c, g4_seq *s, uint32_t pos, g4_pick *pick); /* what this output row is for */
void g4_pump_take(g4_core *c, g4_seq *s, uint32_t pos, const g4_pick *pick);
bool g4_pump_start(g4_core *c, g4_seq *s);   /* forced tokens at the very beginning; false: it ended */
void g4_pump_end(g4_core *c, g4_seq *s, enum g4_tok_end end); /* the END event; the sequence leaves the lists */

#endif
