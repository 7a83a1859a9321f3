/* model/net: the networks as lists of ops.
 *
 * A layer, for x the residual stream (Gemma 4; what the others lack falls away):
 *
 *     a = norm(x)                                   (made by the residual before it)
 *     q, k, v = Wq a, Wk a, Wv a                    K = V layers: V is made of the raw k
 *     q = rope(norm(q)), k = rope(norm(k)), v = rms(v); k and v go to the cache
 *     x = x + norm(Wo attend(q));  a = norm(x)
 *     f = Wdown (gelu(Wgate a) * (Wup a))
 *     experts: f = norm(f) + norm(experts(norm(x))), chosen by router(x)
 *     x = x + norm(f)
 *     per-layer inputs: x = x + norm(Wproj (gelu(Wgate x) * ple[layer]))
 *     x = x * scalar;  a = norm(x) of the next layer, or the final norm
 *
 * Layers that own no KV read the last owner of their kind.  From the last owner's
 * attention on nothing reaches another row any more, so from there only the OUT
 * rows go on (unless NO_SKIP): the prompt rows whose logits nobody wants are done.
 * Encoders see both ways, keep all rows to the end and pool them by sequence. */
#include "model/impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct own { /* behind g4_net.own; the plan points into it */
    g4_op *ops;
    size_t n_op, cap_op;
    g4_buf_desc *bufs;
    size_t n_buf, cap_buf;
    int32_t *hidden;
};

struct builder {
    const g4_model *m;
    struct own *o;
    unsigned flags;
    uint8_t set;             /* rows the stream stands on now */
    int16_t x, a, ple;       /* residual stream, its norm, per-layer inputs */
    int32_t layer;
};

/* ---- helpers --------------------------------------------------------------- */

/* The buffer of this name, set and width; two uses of one name share it. */
static int16_t buf(struct builder *b, const char *name, uint8_t set, uint32_t cols)
{
    struct own *o = b->o;

    for (size_t i = 0; i < o->n_buf; i++)
        if (o->bufs[i].set == set && o->bufs[i].cols == cols && strcmp(o->bufs[i].name, name) == 0) return (int16_t)i;
    if (o->n_buf == o->cap_buf) G4_GROW(o->bufs, o->cap_buf, o->n_buf + 1);
    o->bufs[o->n_buf] = (g4_buf_desc){ cols, set, name };
    return (int16_t)o->n_buf++;
}

/* A new op on the current rows; the pointer holds until the next one. */
static g4_op *op(struct builder *b, enum g4_op_kind kind, const char *tag)
{
    struct own *o = b->o;

    if (o->n_op == o->cap_op) G4_GROW(o->ops, o->cap_op, o->n_op + 1);
    g4_op *p = &o->ops[o->n_op++];
    *p = (g4_op){ .kind = (uint8_t)kind, .set = b->set, .src = -1, .src2 = -1, .src3 = -1, .dst = { -1, -1, -1 }, .dst2 = -1,
                  .alpha = 1.0f, .beta = 1.0f, .eps = b->m->hp.eps, .kv_layer = -1, .layer = b->layer, .tag = tag };
    return p;
}

/* dst = alpha w src, a buffer of its own name */
static int16_t matmul(struct builder *b, const char *tag, const g4_weight *w, int16_t src, float alpha)
{
    const int16_t dst = buf(b, tag, b->set, w->rows);
    g4_op *p = op(b, G4_OP_MATMUL, tag);

    p->n_w = 1;
    p->w[0] = w;
    p->src = src;
    p->dst[0] = dst;
    p->alpha = alpha;
    return dst;
}

static void norm(struct builder *b, const char *tag, int16_t dst, int16_t src, const g4_weight *w)
{
    g4_op *p = op(b, G4_OP_NORM, tag);

    p->n_w = 1;
    p->w[0] = w;
    p->src = src;
    p->dst[0] = dst;
}

/* x = (x + norm(f)) * alpha, and a = norm(x) by next when there is one */
static void resid(struct builder *b, const char *tag, int16_t f, const g4_weight *w, float alpha, const g4_weight *next)
{
    g4_op *p = op(b, G4_OP_RESID, tag);

    p->n_w = 2;
    p->w[0] = w;
    p->w[1] = next;
    p->src = f;
    p->dst[0] = b->x;
    p->dst2 = next ? b->a : -1;
    p->alpha = alpha;
}

/* The rows of a buffer that somebody wants, in a buffer of set OUT. */
static int16_t gather(struct builder *b, int16_t src)
{
    const g4_buf_desc from = b->o->bufs[src];
    const int16_t dst = buf(b, from.name, G4_ROWS_OUT, from.cols);
    g4_op *p = op(b, G4_OP_GATHER, "gather");

    p->set = G4_ROWS_OUT;
    p->src = src;
    p->dst[0] = dst;
    return dst;
}

static void tap(struct builder *b, uint32_t i)
{
    static const char name[] = "hidden";

    if (!(b->flags & G4_NET_TAPS)) return;
    struct own *o = b->o;
    if (o->n_buf == o->cap_buf) G4_GROW(o->bufs, o->cap_buf, o->n_buf + 1);
    o->bufs[o->n_buf] = (g4_buf_desc){ b->m->hp.d_model, b->set, name };
    o->hidden[i] = (int32_t)o->n_buf++;
    g4_op *p = op(b, G4_OP_COPY, "tap");
    p->src = b->x;
    p->dst[0] = (int16_t)o->hidden[i];
}

/* ---- a layer --------------------------------------------------------------- */

/* True when layer l is the last whose K and V other rows will read. */
static bool last_owner(const struct builder *b, uint32_t l)
{
    const struct g4_hparams *hp = &b->m->hp;

    return !hp->encoder && !(b->flags & G4_NET_NO_SKIP) && l + 1 == hp->first_shared;
}

static int16_t qkv(struct builder *b, uint32_t l)
{
    const struct g4_hparams *hp = &b->m->hp;
    const struct g4_layer_hp *p = &hp->layer[l];
    const struct g4_layer_w *w = &b->m->w[l];
    const int16_t q = buf(b, "q", b->set, hp->n_head * p->d_head);
    const int16_t k = p->owns_kv ? buf(b, "k", b->set, p->n_kv * p->d_head) : -1;
    const int16_t v = !p->owns_kv ? -1 : p->k_is_v ? k : buf(b, "v", b->set, p->n_kv * p->d_head);

    g4_op *m = op(b, G4_OP_MATMUL, "attn_qkv");
    m->src = b->a;
    m->n_w = !p->owns_kv ? 1 : p->k_is_v ? 2 : 3;
    m->w[0] = w->q;
    m->w[1] = w->k;
    m->w[2] = w->v;
    m->dst[0] = q;
    m->dst[1] = k;
    m->dst[2] = p->k_is_v ? -1 : v;

    g4_op *h = op(b, G4_OP_HEADS, "heads");
    h->src = q;
    h->src2 = k;
    h->src3 = v;
    h->n_w = 2;
    h->w[0] = w->q_norm;
    h->w[1] = w->k_norm;
    h->v_norm = hp->v_norm;
    h->n_head = hp->n_head;
    h->n_kv = p->n_kv;
    h->d_head = p->d_head;
    h->kv_layer = p->kv_layer;
    h->freq = b->m->freq[p->local];
    return q;
}

static int16_t attend(struct builder *b, uint32_t l, int16_t q)
{
    const struct g4_hparams *hp = &b->m->hp;
    const struct g4_layer_hp *p = &hp->layer[l];
    const int16_t dst = buf(b, "attended", b->set, hp->n_head * p->d_head);
    g4_op *a = op(b, G4_OP_ATTEND, "attend");

    a->src = q;
    a->dst[0] = dst;
    a->n_head = hp->n_head;
    a->n_kv = p->n_kv;
    a->d_head = p->d_head;
    a->kv_layer = p->kv_layer;
    a->causal = !hp->encoder;
    a->window = p->local ? hp->window : 0;
    a->softcap = hp->attn_softcap;
    a->alpha = hp->attn_scale;
    return dst;
}

/* f = Wdown (gelu(Wgate a) * (Wup a)) */
static int16_t mlp(struct builder *b, const struct g4_layer_w *w)
{
    const int16_t h = buf(b, "ffn", b->set, w->gate->rows);
    g4_op *g = op(b, G4_OP_GATED, "ffn_gated");

    g->src = b->a;
    g->dst[0] = h;
    g->n_w = 2;
    g->w[0] = w->gate;
    g->w[1] = w->up;
    return matmul(b, "ffn_down", w->down, h, 1.0f);
}

/* f = norm(f) + norm(experts(norm(x))); the router reads the raw stream */
static int16_t moe(struct builder *b, const struct g4_layer_w *w, int16_t f)
{
    const struct g4_hparams *hp = &b->m->hp;
    const int16_t route = buf(b, "route", b->set, 2 * hp->k_expert), y = buf(b, "exp_in", b->set, hp->d_model),
                  e = buf(b, "experts", b->set, hp->d_model);

    norm(b, "ffn_post_1", f, f, w->dense_post_norm);
    g4_op *r = op(b, G4_OP_ROUTER, "router");
    r->src = b->x;
    r->dst[0] = route;
    r->n_w = 3;
    r->w[0] = w->router;
    r->w[1] = w->router_scale;
    r->w[2] = w->expert_scale;
    r->alpha = 1.0f / sqrtf((float)hp->d_model);
    r->n_expert = hp->n_expert;
    r->k_expert = hp->k_expert;
    norm(b, "exp_norm", y, b->x, w->exp_norm);
    g4_op *x = op(b, G4_OP_EXPERTS, "experts");
    x->src = y;
    x->src2 = route;
    x->dst[0] = e;
    x->n_w = 3;
    x->w[0] = w->exp_gate;
    x->w[1] = w->exp_up;
    x->w[2] = w->exp_down;
    x->n_expert = hp->n_expert;
    x->k_expert = hp->k_expert;
    x->d_expert = hp->d_expert;
    norm(b, "ffn_post_2", e, e, w->exp_post_norm);
    g4_op *s = op(b, G4_OP_ADD, "moe_add");
    s->src = f;
    s->src2 = e;
    s->dst[0] = f;
    return f;
}

/* Wproj (gelu(Wgate x) * ple[l]) */
static int16_t ple_branch(struct builder *b, uint32_t l)
{
    const struct g4_layer_w *w = &b->m->w[l];
    const uint32_t p = b->m->hp.d_ple;
    const int16_t g = buf(b, "ple_gated", b->set, p);
    g4_op *o = op(b, G4_OP_GATED_PLE, "ple_gated");

    o->src = b->x;
    o->src2 = b->ple;
    o->off = l * p;
    o->dim = p;
    o->dst[0] = g;
    o->n_w = 1;
    o->w[0] = w->ple_gate;
    return matmul(b, "ple_proj", w->ple_proj, g, 1.0f);
}

static void layer(struct builder *b, uint32_t l)
{
    const struct g4_hparams *hp = &b->m->hp;
    const struct g4_layer_w *w = &b->m->w[l];
    const g4_weight *next = l + 1 < hp->n_layer ? b->m->w[l + 1].attn_norm : b->m->final_norm;

    b->layer = (int32_t)l;
    int16_t q = qkv(b, l);
    if (last_owner(b, l)) {
        q = gather(b, q);
        b->x = gather(b, b->x);
        if (b->ple >= 0) b->ple = gather(b, b->ple);
        b->set = G4_ROWS_OUT;
        b->a = buf(b, "a", b->set, hp->d_model);
    }
    int16_t f = matmul(b, "attn_out", w->o, attend(b, l, q), 1.0f);
    resid(b, "attn_resid", f, w->post_attn_norm, 1.0f, w->ffn_norm);
    f = mlp(b, w);
    if (hp->layer[l].moe) f = moe(b, w, f);
    if (hp->d_ple) {
        resid(b, "ffn_resid", f, w->post_ffn_norm, 1.0f, NULL);
        resid(b, "ple_resid", ple_branch(b, l), w->ple_post_norm, w->scalar, next);
    } else {
        resid(b, "ffn_resid", f, w->post_ffn_norm, w->scalar, next);
    }
    tap(b, l + 1);
}

/* ---- the ends -------------------------------------------------------------- */

/* x = embed(id) sqrt(d), and the per-layer inputs, which are made of that x:
 * ple = (rms(Wp x / sqrt(d)) w + table(id) sqrt(P)) / sqrt(2), without a table the first term alone */
static void inputs(struct builder *b)
{
    const g4_model *m = b->m;
    const struct g4_hparams *hp = &m->hp;

    b->layer = -1;
    b->set = G4_ROWS_ALL;
    b->x = buf(b, "x", b->set, hp->d_model);
    b->a = buf(b, "a", b->set, hp->d_model);
    b->ple = -1;
    g4_op *e = op(b, G4_OP_EMBED, "embed");
    e->n_w = 1;
    e->w[0] = m->embed;
    e->dst[0] = b->x;
    e->alpha = sqrtf((float)hp->d_model);
    tap(b, 0);
    if (!hp->d_ple) return;
    const int16_t raw = matmul(b, "ple_raw", m->ple_proj, b->x, 1.0f / sqrtf((float)hp->d_model));
    b->ple = buf(b, "ple", b->set, hp->n_layer * hp->d_ple);
    g4_op *p = op(b, G4_OP_PLE, "ple");
    p->src = raw;
    p->dst[0] = b->ple;
    p->n_w = m->ple_table ? 2 : 1;
    p->w[0] = m->ple_norm;
    p->w[1] = m->ple_table;
    p->dim = hp->d_ple;
    p->alpha = sqrtf((float)hp->d_ple);
    p->beta = m->ple_table ? sqrtf(0.5f) : 1.0f;
}

static void decoder_end(struct builder *b, struct g4_net *net)
{
    const g4_model *m = b->m;

    b->layer = -1;
    if (b->set == G4_ROWS_ALL) {
        b->a = gather(b, b->a);
        b->set = G4_ROWS_OUT;
    }
    net->final = b->a;
    const int16_t logits = buf(b, "logits", b->set, m->hp.n_vocab);
    g4_op *l = op(b, G4_OP_LOGITS, "logits");
    l->n_w = 1;
    l->w[0] = m->head;
    l->src = b->a;
    l->dst[0] = logits;
    l->softcap = m->hp.final_softcap;
    net->logits = logits;
    op(b, G4_OP_PICK, "pick")->src = logits;
}

/* The mean of the rows of each sequence, the projections of the head, unit length.  A projection and the
 * mean commute, so EmbeddingGemma 2's projection of every row is done once, on the mean. */
static void encoder_end(struct builder *b, struct g4_net *net)
{
    const g4_model *m = b->m;
    const int16_t mean = buf(b, "mean", G4_ROWS_SEQ, m->hp.d_model);

    b->layer = -1;
    net->final = b->a;
    b->set = G4_ROWS_SEQ;
    g4_op *p = op(b, G4_OP_POOL, "pool");
    p->src = b->a;
    p->dst[0] = mean;
    int16_t y = mean;
    net->pooled = mean;
    if (m->project) y = matmul(b, "project", m->project, y, 1.0f);
    if (m->dense[0]) {
        y = matmul(b, "dense_2", m->dense[0], y, 1.0f);
        y = matmul(b, "dense_3", m->dense[1], y, 1.0f);
    }
    net->unnormalised = y;
    net->embedding = buf(b, "embedding", b->set, m->hp.d_embed);
    g4_op *n = op(b, G4_OP_L2NORM, "l2norm");
    n->src = y;
    n->dst[0] = (int16_t)net->embedding;
}

/* ---- the plan -------------------------------------------------------------- */

static int prepare(g4_model *m, g4_device *d, g4_err *err)
{
    if (m->prepared == d) return G4_OK;
    for (size_t i = 0; i < m->n_all; i++) {
        const int e = d->ops->weight ? d->ops->weight(d, m->all[i], err) : G4_OK;
        if (e) return e;
    }
    m->prepared = d;
    return G4_OK;
}

static void own_free(struct own *o)
{
    if (!o) return;
    free(o->ops);
    free(o->bufs);
    free(o->hidden);
    free(o);
}

int g4_model_net(g4_model *m, g4_device *d, struct g4_kv_store *kv, uint32_t max_rows, uint32_t max_out,
                 uint32_t max_seq, unsigned flags, struct g4_net *out, g4_err *err)
{
    int e = prepare(m, d, err);

    if (e) return e;
    struct builder b = { .m = m, .o = g4_alloc(sizeof *b.o), .flags = flags };
    if (flags & G4_NET_TAPS) b.o->hidden = g4_alloc((m->hp.n_layer + 1) * sizeof *b.o->hidden);
    *out = (struct g4_net){ .logits = -1, .final = -1, .pooled = -1, .unnormalised = -1, .embedding = -1, .ple = -1,
                            .max_rows = max_rows, .max_out = max_out, .max_seq = max_seq, .own = b.o };
    inputs(&b);
    out->ple = b.ple;
    norm(&b, "attn_norm", b.a, b.x, m->w[0].attn_norm);
    for (uint32_t l = 0; l < m->hp.n_layer; l++) layer(&b, l);
    if (m->hp.encoder)
        encoder_end(&b, out);
    else
        decoder_end(&b, out);
    out->hidden = b.o->hidden;
    const g4_plan_desc desc = { .ops = b.o->ops, .n_op = (uint32_t)b.o->n_op, .bufs = b.o->bufs, .n_buf = (uint32_t)b.o->n_buf,
                                .max_rows = { max_rows, max_out, max_seq }, .n_expert_max = m->hp.n_expert };
    out->plan = g4_plan_new(d, &desc, kv, err);
    if (out->plan) return G4_OK;
    own_free(b.o);
    *out = (struct g4_net){ 0 };
    return err && err->code ? err->code : G4_ENOMEM;
}

void g4_model_net_free(g4_device *d, struct g4_net *net)
{
    if (net->plan) d->ops->plan_free(d, net->plan);
    own_free(net->own);
    *net = (struct g4_net){ 0 };
}
