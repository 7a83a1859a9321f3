/* device/cpu/moe: ROUTER and EXPERTS for the levels that include it after
 * matmul.h and attend.h.
 *
 * EXPERTS in four phases.  Rows are grouped by expert, ascending, into tiles that
 * never mix experts, so that an expert's weights are read once a step.  1: tiles
 * are quantised.  2: hidden = gelu(gate x) * (up x).  3: hidden is quantised.
 * 4: an item a piece of the result's columns; experts are added in ascending order. */
#ifndef G4_DEVICE_CPU_MOE_H
#define G4_DEVICE_CPU_MOE_H

/* ---- ROUTER --------------------------------------------------------------------- */

static size_t router_bytes(const g4_op *op, const g4_plan_desc *desc)
{
    return (2 * (size_t)op->w[0]->cols + op->n_expert + 3 * W) * sizeof(float);
}

static float dot_floats(const float *a, const float *b, uint32_t n)
{
    vf s = v_set1(0);
    for (uint32_t i = 0; i < n; i += W) s = v_fma(load_upto(a, i, n), load_upto(b, i, n), s);
    return v_sum(s);
}

/* The k largest of p (ties: lower expert) ascending in y[0, k), their factors behind. */
static void choose_experts(const g4_op *op, const float *p, float *y)
{
    const uint32_t n = op->n_expert, k = op->k_expert;
    uint32_t have = 0;
    float sum = 0;
    for (uint32_t e = 0; e < n && have < k; e++) {
        uint32_t before = 0; /* experts that win against e */
        for (uint32_t o = 0; o < n; o++) before += p[o] > p[e] || (p[o] == p[e] && o < e);
        if (before < k) y[have++] = (float)e;
    }
    for (uint32_t i = have; i < k; i++) y[i] = (float)i; /* nothing compares: every logit is NaN */
    for (uint32_t i = 0; i < k; i++) sum += p[(uint32_t)y[i]];
    for (uint32_t i = 0; i < k; i++) {
        const uint32_t e = (uint32_t)y[i];
        y[k + i] = p[e] / sum * (op->w[2] ? ((const float *)(const void *)op->w[2]->data)[e] : 1.0f);
    }
}

static void router_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t thread)
{
    const uint32_t d = op->w[0]->cols, n = op->n_expert;
    const float *x = g4_ref_at(run, op->src, r);
    float *z = run->thread_scratch[thread], *tmp = z + d + W, *p = tmp + d + W, most = -INFINITY, sum = 0;
    scale_row(z, x, op->w[1] ? (const float *)(const void *)op->w[1]->data : NULL, d, rms_of(x, d, op->eps));
    scale_row(z, z, NULL, d, op->alpha);
    for (uint32_t e = 0; e < n; e++) {
        p[e] = dot_floats(g4_ref_row(op->w[0], 0, e, tmp), z, d);
        if (p[e] > most) most = p[e];
    }
    for (uint32_t e = 0; e < n; e++) sum += p[e] = exp1(p[e] - most);
    for (uint32_t e = 0; e < n; e++) p[e] /= sum;
    choose_experts(op, p, g4_ref_at(run, op->dst[0], r));
}

static const struct g4_cpu_kernel router_kernel = { .phase = { { row_items, router_run } }, .thread_bytes = router_bytes };

/* ---- EXPERTS -------------------------------------------------------------------- */

struct used { /* an expert that some row chose */
    uint32_t e, tile, n; /* its first tile; its rows */
};

struct routes { /* at the start of the shared scratch */
    uint32_t n_used, n_tile, tw;
    struct used *used;  /* [n_expert] */
    uint32_t *entry;    /* [n_tile][TILE]: row * k + slot */
    float *hidden;      /* [n_tile][TILE][d_expert] */
    struct acts in, mid;
};

static size_t most_tiles(const g4_op *op, uint32_t rows)
{
    const size_t n = (size_t)rows * op->k_expert, cut = n / TILE + op->n_expert;
    return n < cut ? n : cut;
}

/* Lays everything out for at most n_tile tiles; returns the bytes. */
static size_t routes_place(struct routes *t, uint8_t *base, const g4_op *op, size_t n_tile, uint32_t tw)
{
    size_t at = up64(sizeof *t);
    t->used = (struct used *)(void *)(base + at);
    at += up64(op->n_expert * sizeof *t->used);
    t->entry = (uint32_t *)(void *)(base + at);
    at += up64(n_tile * TILE * sizeof *t->entry);
    t->hidden = (float *)(void *)(base + at);
    at += up64(n_tile * TILE * op->d_expert * sizeof(float));
    at += acts_place(&t->in, base + at, op->w[0]->cols, (uint32_t)n_tile, tw);
    at += acts_place(&t->mid, base + at, op->w[2]->cols, (uint32_t)n_tile, tw);
    return at;
}

static size_t experts_shared(const g4_op *op, const g4_plan_desc *desc)
{
    struct routes t;
    return routes_place(&t, NULL, op, most_tiles(op, desc->max_rows[op->set]), TILE);
}

static size_t experts_thread(const g4_op *op, const g4_plan_desc *desc)
{
    return 2 * panel_bytes(op->w[0]) + panel_bytes(op->w[2]);
}

static uint32_t chosen(const struct g4_cpu_run *run, const g4_op *op, uint32_t r, uint32_t slot)
{
    return (uint32_t)g4_ref_at(run, op->src2, r)[slot];
}

/* Groups the rows by expert: counts, then places. */
static void group_rows(const struct g4_cpu_run *run, const g4_op *op, struct routes *t)
{
    const uint32_t n = run->n_rows[op->set], k = op->k_expert;
    uint32_t most = 0, tiles = 0;
    routes_place(t, run->shared, op, most_tiles(op, n), TILE);
    t->n_used = 0;
    struct used *u = t->used;
    for (uint32_t e = 0; e < op->n_expert; e++) u[e] = (struct used){ .e = e };
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < k; i++) u[chosen(run, op, r, i)].n++;
    for (uint32_t e = 0; e < op->n_expert; e++) {
        u[e].tile = tiles;
        tiles += (u[e].n + TILE - 1) / TILE;
        if (u[e].n > most) most = u[e].n;
        u[e].n = 0;
    }
    for (uint32_t r = 0; r < n; r++)
        for (uint32_t i = 0; i < k; i++) {
            struct used *x = &u[chosen(run, op, r, i)];
            t->entry[x->tile * TILE + x->n++] = r * k + i;
        }
    for (uint32_t e = 0; e < op->n_expert; e++)
        if (u[e].n) u[t->n_used++] = u[e];
    t->n_tile = tiles;
    t->tw = tile_width(most ? most : 1);
    routes_place(t, run->shared, op, most_tiles(op, n), t->tw);
    acts_kinds(&t->in, op->w, 2);
    acts_kinds(&t->mid, &op->w[2], 1);
}

static uint32_t experts_items(const struct g4_cpu_run *run, const g4_op *op)
{
    struct routes *t = run->shared;
    if (!run->n_rows[op->set]) {
        t->n_used = t->n_tile = 0;
        return 0;
    }
    group_rows(run, op, t);
    return any_block_type(op->w, 2) ? t->n_tile : 0;
}

/* Rows of the tile: those of its expert that fall into it. */
static uint32_t tile_rows(const struct routes *t, uint32_t tile)
{
    uint32_t i = 0;
    while (i + 1 < t->n_used && t->used[i + 1].tile <= tile) i++;
    const uint32_t left = t->used[i].n - (tile - t->used[i].tile) * TILE;
    return left < TILE ? left : TILE;
}

static void experts_quantise(const struct g4_cpu_run *run, const g4_op *op, uint32_t tile, uint32_t thread)
{
    const struct routes *t = run->shared;
    const uint32_t n = tile_rows(t, tile);
    for (uint32_t i = 0; i < t->tw; i++)
        quantise_row(&t->in, tile, i, i < n ? g4_ref_at(run, op->src, t->entry[tile * TILE + i] / op->k_expert) : NULL);
}

/* Panels an item when n experts are read for each of them. */
static uint32_t panels_of(const g4_weight *w, uint32_t n_expert, uint32_t n_tile)
{
    const size_t cost = n_expert * W * w->row_bytes + (size_t)n_tile * TILE * w->cols * W / 64;
    const size_t per = 65536 / (cost ? cost : 1);
    return per < 1 ? 1 : per > 64 ? 64 : (uint32_t)per;
}

static uint32_t hidden_chunks(const g4_op *op, uint32_t *per)
{
    *per = panels_of(op->w[0], 2, 1) * W;
    return (op->d_expert + *per - 1) / *per;
}

static uint32_t hidden_items(const struct g4_cpu_run *run, const g4_op *op)
{
    uint32_t per;
    return ((const struct routes *)run->shared)->n_used * hidden_chunks(op, &per);
}

/* out[t] for the rows of a tile; v: which weight's aux. */
static void experts_tile(const struct g4_cpu_run *run, const g4_op *op, const struct panel *p, uint32_t tile, uint32_t n, int v,
                         bool down, vf *out)
{
    const struct routes *t = run->shared;
    if (p->f) {
        panel_int8(p, down ? &t->mid : &t->in, v, tile, n, out);
        return;
    }
    const float *x[TILE];
    for (uint32_t i = 0; i < n; i++) {
        const size_t at = (size_t)tile * TILE + i;
        x[i] = down ? t->hidden + at * op->d_expert : g4_ref_at(run, op->src, t->entry[at] / op->k_expert);
    }
    panel_float(run, p, x, n, out);
}

/* A panel that may not reach past row `end` of its matrix (gate rows before up rows). */
static void panel_upto(struct panel *p, const g4_weight *w, uint32_t e, uint32_t row, uint32_t end, uint32_t n, uint8_t *scratch)
{
    panel_open(p, w, e, row, n, scratch);
    if (p->n > end - row) p->n = end - row;
}

static void hidden_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const struct routes *t = run->shared;
    uint32_t per;
    const uint32_t chunks = hidden_chunks(op, &per), d = op->d_expert;
    const struct used *u = &t->used[item / chunks];
    const uint32_t from = item % chunks * per, end = from + per < d ? from + per : d;
    uint8_t *scratch = run->thread_scratch[thread];
    for (uint32_t row = from; row < end; row += W) {
        struct panel gate, up;
        panel_upto(&gate, op->w[0], u->e, row, d, u->n, scratch);
        if (op->w[1])
            panel_open(&up, op->w[1], u->e, row, u->n, scratch + panel_bytes(op->w[0]));
        else
            panel_open(&up, op->w[0], u->e, d + row, u->n, scratch + panel_bytes(op->w[0]));
        for (uint32_t i = 0; i * TILE < u->n; i++) {
            const uint32_t m = u->n - i * TILE < TILE ? u->n - i * TILE : TILE;
            vf g[TILE], x[TILE];
            experts_tile(run, op, &gate, u->tile + i, m, 0, false, g);
            experts_tile(run, op, &up, u->tile + i, m, op->w[1] ? 1 : 0, false, x);
            for (uint32_t k = 0; k < m; k++)
                store_lanes(t->hidden + ((size_t)(u->tile + i) * TILE + k) * d + row, v_gelu(g[k]) * x[k], gate.n);
        }
    }
}

static uint32_t middle_items(const struct g4_cpu_run *run, const g4_op *op)
{
    return any_block_type(&op->w[2], 1) ? ((const struct routes *)run->shared)->n_tile : 0;
}

static void middle_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t tile, uint32_t thread)
{
    const struct routes *t = run->shared;
    const uint32_t n = tile_rows(t, tile);
    for (uint32_t i = 0; i < t->tw; i++)
        quantise_row(&t->mid, tile, i, i < n ? t->hidden + ((size_t)tile * TILE + i) * op->d_expert : NULL);
}

static uint32_t down_panels(const struct g4_cpu_run *run, const g4_op *op)
{
    const struct routes *t = run->shared;
    return panels_of(op->w[2], t->n_used, t->n_tile);
}

static uint32_t down_items(const struct g4_cpu_run *run, const g4_op *op)
{
    const uint32_t per = down_panels(run, op) * W;
    return run->n_rows[op->set] ? (op->w[2]->rows + per - 1) / per : 0;
}

static void down_run(const struct g4_cpu_run *run, const g4_op *op, uint32_t item, uint32_t thread)
{
    const struct routes *t = run->shared;
    const g4_weight *w = op->w[2];
    const uint32_t per = down_panels(run, op) * W, from = item * per, end = from + per < w->rows ? from + per : w->rows;
    for (uint32_t r = 0; r < run->n_rows[op->set]; r++)
        memset(g4_ref_at(run, op->dst[0], r) + from, 0, (end - from) * sizeof(float));
    for (uint32_t e = 0; e < t->n_used; e++) {
        const struct used *u = &t->used[e];
        for (uint32_t row = from; row < end; row += W) {
            struct panel p;
            panel_open(&p, w, u->e, row, u->n, run->thread_scratch[thread]);
            for (uint32_t i = 0; i * TILE < u->n; i++) {
                const uint32_t m = u->n - i * TILE < TILE ? u->n - i * TILE : TILE;
                vf out[TILE];
                experts_tile(run, op, &p, u->tile + i, m, 0, true, out);
                for (uint32_t k = 0; k < m; k++) {
                    const uint32_t at = t->entry[(u->tile + i) * TILE + k], r = at / op->k_expert;
                    const float factor = g4_ref_at(run, op->src2, r)[op->k_expert + at % op->k_expert];
                    float *y = g4_ref_at(run, op->dst[0], r) + row;
                    store_lanes(y, v_fma(v_set1(factor), out[k], v_load_n(y, p.n)), p.n);
                }
            }
        }
    }
}

static const struct g4_cpu_kernel experts_kernel = {
    .phase = { { experts_items, experts_quantise }, { hidden_items, hidden_run }, { middle_items, middle_run }, { down_items, down_run } },
    .thread_bytes = experts_thread, .shared_bytes = experts_shared,
};

#endif
