/* device/vulkan/step: what a step says, packed for the shaders (struct g4_vk_head
 * and the arrays it points at), the rows of the embedding and of the per-layer
 * table, which stay in host memory and are gathered here, and the picks.
 *
 * The mapped memory of a GPU may be write-combined: reading a word of it takes a
 * microsecond.  So a step is packed in the host's memory and copied in one go. */
#include "device/vulkan/impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { HEAD = sizeof(struct g4_vk_head) / 4, SEQ_WORDS = sizeof(struct g4_vk_seq) / 4, ASK_WORDS = sizeof(struct g4_vk_ask) / 4,
       ADJ_WORDS = sizeof(struct g4_vk_adj) / 4 };

/* ---- how long it is ------------------------------------------------------------- */

static uint64_t up4(uint64_t n)
{
    return (n + 3) / 4 * 4;
}

static uint32_t table_words(const g4_step_seq *q)
{
    return (q->n_key + G4_KV_BLOCK - 1) / G4_KV_BLOCK;
}

static uint64_t words_needed(const struct g4_vk_plan *p, const g4_step_buf *s)
{
    uint64_t n = HEAD + 5 * up4(s->n_row) + up4(s->n_out) + up4((uint64_t)SEQ_WORDS * s->n_seq) + 64;
    for (uint32_t q = 0; q < s->n_seq; q++)
        if (p->kv) n += 2 * up4(table_words(&s->seqs[q]));
    if (p->embed) n += up4((uint64_t)s->n_row * p->embed->w[0]->cols);
    if (p->ple) n += up4((uint64_t)s->n_row * p->ple->w[1]->cols);
    if (p->pick_src < 0 || !s->pick) return n;
    n += up4((uint64_t)ASK_WORDS * s->n_out);
    for (uint32_t i = 0; i < s->n_out; i++)
        n += up4((uint64_t)ADJ_WORDS * s->pick[i].n_adj) + (s->pick[i].allow ? up4((p->pick_cols + 31) / 32) : 0);
    return n;
}

static int make_room(struct g4_vk_plan *p, uint64_t words, g4_err *err)
{
    if (p->n_word < words) {
        free(p->words);
        p->n_word = words + words / 2;
        p->words = g4_alloc(p->n_word * sizeof *p->words);
    }
    if (p->step.size >= 4 * words) return 0;
    g4_vk_arena_free(p->vk, &p->step_arena);
    p->step = (struct g4_vk_span){ 0 };
    VkDeviceSize size = 4 * (words + words / 2) + 65536;
    if (size > p->vk->caps.range) size = 4 * words;
    if (size > p->vk->caps.range) return g4_fail(err, G4_ELIMIT, "a step of %llu bytes cannot be bound on '%s'", (unsigned long long)size, p->vk->caps.name);
    const int rc = g4_vk_take(p->vk, &p->step_arena, size, &p->step, err);
    if (rc) return rc;
    g4_vk_plan_rebind(p);
    return 0;
}

/* ---- packing ---------------------------------------------------------------------- */

struct packer {
    const struct g4_vk_plan *p;
    const g4_step_buf *s;
    struct g4_vk_head *head;
    uint32_t *data, at;
};

static uint32_t *room(struct packer *k, uint64_t n, uint32_t *at)
{
    uint32_t *to = k->data + k->at;
    *at = k->at;
    k->at += (uint32_t)up4(n);
    return to;
}

/* Sequences stand in the order of their rows, generated ones before prompts. */
static void pack_ranges(struct packer *k, uint32_t rows[G4_RANGE_N])
{
    const g4_step_buf *s = k->s;
    uint32_t gen = 0;
    while (gen < s->n_row && !s->seqs[s->seq[gen]].prompt) gen++;
    const uint32_t n[G4_RANGE_N] = { s->n_row, s->n_out, s->n_seq, gen, s->n_row - gen };
    memcpy(rows, n, sizeof n);
    memcpy(k->head->n, n, sizeof n);
    k->head->first[G4_RANGE_PROMPT] = gen;
}

static void pack_group(struct packer *k, uint32_t r, uint32_t to[2])
{
    const g4_step_buf *s = k->s;
    uint32_t a = r, b = r;
    to[0] = to[1] = 0;
    if (!s->group || !s->group[r]) return;
    while (a > 0 && s->seq[a - 1] == s->seq[r] && s->group[a - 1] == s->group[r]) a--;
    while (b + 1 < s->n_row && s->seq[b + 1] == s->seq[r] && s->group[b + 1] == s->group[r]) b++;
    to[0] = s->pos[a];
    to[1] = s->pos[b] + 1;
    k->head->has_group = 1;
}

static void pack_rows(struct packer *k)
{
    const g4_step_buf *s = k->s;
    uint32_t *pos = room(k, s->n_row, &k->head->at_pos);
    memcpy(pos, s->pos, s->n_row * sizeof *pos);
    uint32_t *seq = room(k, s->n_row, &k->head->at_seq);
    memcpy(seq, s->seq, s->n_row * sizeof *seq);
    uint32_t *out = room(k, s->n_out, &k->head->at_out);
    memcpy(out, s->out_row, s->n_out * sizeof *out);
    uint32_t *group = room(k, 2ull * s->n_row, &k->head->at_group);
    for (uint32_t r = 0; r < s->n_row; r++) {
        if (r && s->group && s->group[r] && s->group[r] == s->group[r - 1] && s->seq[r] == s->seq[r - 1]) memcpy(group + 2 * r, group + 2 * r - 2, 8);
        else pack_group(k, r, group + 2 * r);
    }
}

static void pack_seqs(struct packer *k)
{
    const g4_step_buf *s = k->s;
    struct g4_vk_seq *seq = (struct g4_vk_seq *)(void *)room(k, (uint64_t)SEQ_WORDS * s->n_seq, &k->head->at_seqs);
    for (uint32_t q = 0; q < s->n_seq; q++) {
        struct g4_vk_seq own = { .n_key = s->seqs[q].n_key, .at_table = { G4_NO_ROW, G4_NO_ROW } };
        for (int pool = 0; pool < 2; pool++) {
            const int32_t *t = s->seqs[q].table[pool];
            const size_t n = table_words(&s->seqs[q]) * sizeof *t;
            if (!k->p->kv) continue;
            uint32_t *to = room(k, table_words(&s->seqs[q]), &own.at_table[pool]);
            if (t) memcpy(to, t, n);
            else memset(to, 0xff, n); /* none is held */
        }
        seq[q] = own;
    }
    for (uint32_t r = s->n_row; r-- > 0;) { /* rows of a sequence stand together */
        seq[s->seq[r]].first = r;
        seq[s->seq[r]].n++;
    }
}

/* Row `id` of a table in host memory, times k. */
static void gather(const g4_weight *w, uint32_t id, float k, float *to)
{
    g4_dtype_get(w->type)->decode(w->data + (size_t)id * w->row_bytes, to, w->cols);
    for (uint32_t i = 0; i < w->cols; i++) to[i] *= k;
}

static void pack_tables(struct packer *k)
{
    const g4_step_buf *s = k->s;
    const g4_op *e = k->p->embed, *p = k->p->ple;
    if (e) {
        const uint32_t cols = e->w[0]->cols;
        float *x = (float *)(void *)room(k, (uint64_t)s->n_row * cols, &k->head->at_embed);
        for (uint32_t r = 0; r < s->n_row; r++) {
            if (s->id[r] < 0) memcpy(x + (size_t)r * cols, s->vec[r], cols * sizeof *x);
            else gather(e->w[0], (uint32_t)s->id[r], e->alpha, x + (size_t)r * cols);
        }
    }
    if (p) {
        const uint32_t cols = p->w[1]->cols;
        float *x = (float *)(void *)room(k, (uint64_t)s->n_row * cols, &k->head->at_ple);
        for (uint32_t r = 0; r < s->n_row; r++) gather(p->w[1], s->id[r] < 0 ? 0 : (uint32_t)s->id[r], p->alpha, x + (size_t)r * cols);
    }
}

static void pack_picks(struct packer *k, uint32_t *flags)
{
    const g4_step_buf *s = k->s;
    if (k->p->pick_src < 0 || !s->pick) return;
    struct g4_vk_ask *ask = (struct g4_vk_ask *)(void *)room(k, (uint64_t)ASK_WORDS * s->n_out, &k->head->at_pick);
    bool adjusted = false;
    for (uint32_t i = 0; i < s->n_out; i++) {
        const g4_pick *p = &s->pick[i];
        struct g4_vk_ask a = { .k = p->k, .want_id = p->want_id >= 0 && (uint32_t)p->want_id < k->p->pick_cols ? (uint32_t)p->want_id : G4_NO_ROW,
                               .at_allow = G4_NO_ROW, .n_adj = p->n_adj };
        if (p->allow) memcpy(room(k, (k->p->pick_cols + 31) / 32, &a.at_allow), p->allow, (k->p->pick_cols + 31) / 32 * 4);
        struct g4_vk_adj *adj = (struct g4_vk_adj *)(void *)room(k, (uint64_t)ADJ_WORDS * p->n_adj, &a.at_adj);
        for (uint32_t j = 0; j < p->n_adj; j++) {
            const bool real = p->adj[j].id >= 0 && (uint32_t)p->adj[j].id < k->p->pick_cols;
            adj[j] = (struct g4_vk_adj){ real ? (uint32_t)p->adj[j].id : G4_NO_ROW, p->adj[j].rep, p->adj[j].add };
        }
        adjusted = adjusted || p->n_adj || p->allow;
        ask[i] = a;
    }
    *flags |= G4_VK_PICK | (adjusted ? G4_VK_ADJUST : G4_VK_PLAIN);
}

int g4_vk_step_pack(struct g4_vk_plan *p, const g4_step_buf *s, uint32_t rows[G4_RANGE_N], uint32_t *flags, g4_err *err)
{
    const uint64_t words = words_needed(p, s);
    if (words > UINT32_MAX) return g4_fail(err, G4_ELIMIT, "the step is too large");
    const int rc = make_room(p, words, err);
    if (rc) return rc;
    struct g4_vk_head head = { 0 };
    struct packer k = { .p = p, .s = s, .head = &head, .data = p->words + HEAD };
    pack_ranges(&k, rows);
    pack_rows(&k);
    pack_seqs(&k);
    pack_picks(&k, flags);
    pack_tables(&k);
    memcpy(p->words, &head, sizeof head);
    memcpy(p->step.host, p->words, (HEAD + (size_t)k.at) * sizeof *p->words);
    return 0;
}

/* The whole row, with what the mask forbids at -INFINITY, into host memory. */
static int take_row(struct g4_vk_plan *p, uint32_t i, g4_pick *pick, g4_err *err)
{
    const size_t bytes = p->pick_cols * sizeof(float);
    if (!p->pick_row[i]) p->pick_row[i] = g4_alloc(bytes);
    const int rc = g4_vk_download(p->vk, p->pick_row[i], &p->buf[p->pick_src], i * bytes, bytes, err);
    if (rc) return rc;
    for (uint32_t j = 0; pick->allow && j < p->pick_cols; j++)
        if (!(pick->allow[j / 32] >> j % 32 & 1)) p->pick_row[i][j] = -INFINITY;
    pick->row = p->pick_row[i];
    return 0;
}

int g4_vk_picks_take(struct g4_vk_plan *p, const g4_step_buf *s, g4_err *err)
{
    const struct g4_vk_picked *from = (const struct g4_vk_picked *)(const void *)p->picks.host;
    for (uint32_t i = 0; p->pick_src >= 0 && s->pick && i < s->n_out; i++) {
        g4_pick *to = &s->pick[i];
        if (isnan(from[i].lse))
            return g4_fail(err, G4_EDEVICE, "the device '%s' computed logits that are no numbers", p->vk->caps.name);
        to->n_top = from[i].n_top < to->k ? from[i].n_top : to->k;
        to->lse = from[i].lse;
        to->lse_raw = from[i].lse_raw;
        to->want_logit = from[i].want;
        memcpy(to->top_id, from[i].id, to->n_top * sizeof *to->top_id);
        memcpy(to->top_logit, from[i].logit, to->n_top * sizeof *to->top_logit);
        to->row = NULL;
        const int rc = to->want_row ? take_row(p, i, to, err) : 0;
        if (rc) return rc;
    }
    return 0;
}
