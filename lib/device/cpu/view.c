/* device/cpu/view: see view.h. */
#include "device/cpu/view.h"

/* Rows of one attention group see each other on local layers, later ones too. */
static void add_group(const g4_step_buf *s, uint32_t all, struct g4_view *v)
{
    uint32_t a = all, b = all;
    while (a > 0 && s->seq[a - 1] == s->seq[all] && s->group[a - 1] == s->group[all]) a--;
    while (b + 1 < s->n_row && s->seq[b + 1] == s->seq[all] && s->group[b + 1] == s->group[all]) b++;
    v->group_lo = s->pos[a];
    v->group_hi = s->pos[b] + 1;
    if (v->group_lo < v->lo) v->lo = v->group_lo;
    if (v->group_hi > v->hi) v->hi = v->group_hi;
}

struct g4_view g4_view_of(const g4_step_buf *s, const g4_op *op, uint32_t all)
{
    const uint32_t pos = s->pos[all], n_key = s->seqs[s->seq[all]].n_key;
    struct g4_view v = { 0 };
    if (op->causal) {
        v.win_lo = op->window && pos + 1 > op->window ? pos + 1 - op->window : 0;
        v.win_hi = pos + 1;
    } else {
        v.win_lo = op->window && pos > op->window ? pos - op->window : 0;
        v.win_hi = op->window && pos + op->window + 1 < n_key ? pos + op->window + 1 : n_key;
    }
    v.lo = v.win_lo;
    v.hi = v.win_hi;
    if (op->window && s->group && s->group[all]) add_group(s, all, &v);
    return v;
}
