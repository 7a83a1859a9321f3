/* text/matcher: see matcher.h. */
#include "text/matcher.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/automaton_impl.h"
#include "text/mask.h"
#include "text/scan.h"

enum { BACK = 256, MAX_FORCED = 256, MARGIN = 24 };

struct past {
    g4_state state;
    size_t kept;      /* bytes of text */
};

struct g4_matcher {
    g4_automaton *a;
    const g4_pieces *p;
    const g4_tokenizer *t;
    unsigned age;     /* of the automaton when state was found */
    g4_state state;
    struct g4_scan scan;
    struct past past[BACK]; /* [i % BACK]: before token number i */
    size_t n;         /* tokens accepted and not taken back */
    struct { size_t at; int32_t id; } *piece; /* pieces of the grammar within the text: where their marks stand */
    size_t n_piece, cap_piece;
    uint32_t left;    /* tokens that may come */
    uint32_t look;    /* how few of them there must be before the end is worked out (again) */
    int32_t *queue;   /* forced ones, from `at` on */
    size_t n_queue, at, cap_queue;
};

g4_matcher *g4_matcher_new(g4_automaton *a, const g4_pieces *p, const g4_tokenizer *t, bool call)
{
    g4_matcher *m = g4_alloc(sizeof *m);
    m->a = a;
    m->p = p;
    m->t = t;
    m->age = g4_automaton_age(a);
    m->state = g4_automaton_start(a);
    m->scan.call = call;
    m->left = UINT32_MAX;
    return m;
}

void g4_matcher_free(g4_matcher *m)
{
    if (!m) return;
    g4_scan_free(&m->scan);
    free(m->queue);
    free(m->piece);
    free(m);
}

void g4_matcher_limit(g4_matcher *m, uint32_t tokens)
{
    m->left = tokens;
    m->look = UINT32_MAX;
}

/* ---- going on ------------------------------------------------------------------------- */

/* One byte behind `text`, which is tried already up to it. */
static g4_state step(g4_matcher *m, g4_state s, uint8_t byte)
{
    const char c = (char)byte;
    s = g4_automaton_step(m->a, s, byte);
    g4_str_add(&m->scan.text, &c, 1);
    return g4_automaton_asks(m->a, s) ? g4_automaton_resolve(m->a, s, &m->scan) : s;
}

static g4_state step_token(g4_matcher *m, g4_state s, int32_t id)
{
    s = g4_automaton_step_token(m->a, s, id);
    g4_str_addc(&m->scan.text, (char)g4_automaton_mark(m->a, id));
    return g4_automaton_asks(m->a, s) ? g4_automaton_resolve(m->a, s, &m->scan) : s;
}

static bool is_token(const g4_automaton *a, int32_t id)
{
    const int32_t *ids;
    const size_t n = g4_automaton_tokens(a, &ids);
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

/* After the automaton has forgotten its states: the text says where we are. */
static void find_again(g4_matcher *m)
{
    const g4_str text = m->scan.text;
    const size_t kept = m->scan.kept;
    if (m->age == g4_automaton_age(m->a)) return;
    m->age = g4_automaton_age(m->a);
    m->scan.text = (g4_str){0};
    g4_scan_cut(&m->scan, 0);
    g4_state s = g4_automaton_start(m->a);
    size_t piece = 0;
    for (size_t i = 0; i < kept; i++) {
        for (size_t k = 0; k < BACK && k < m->n; k++)
            if (m->past[(m->n - 1 - k) % BACK].kept == i) m->past[(m->n - 1 - k) % BACK].state = s;
        const bool is_piece = piece < m->n_piece && m->piece[piece].at == i;
        s = is_piece ? step_token(m, s, m->piece[piece++].id) : step(m, s, (uint8_t)text.p[i]);
    }
    m->scan.kept = m->scan.text.n;
    m->state = s;
    free(text.p);
}

static bool took(g4_matcher *m, g4_state s)
{
    m->state = s;
    m->scan.kept = m->scan.text.n;
    return s != G4_STATE_DEAD;
}

bool g4_matcher_bytes(g4_matcher *m, const char *p, size_t n)
{
    find_again(m);
    g4_state s = m->state;
    m->at = m->n_queue = 0;
    g4_scan_try(&m->scan, "", 0);
    for (size_t i = 0; i < n && s != G4_STATE_DEAD; i++) s = step(m, s, (uint8_t)p[i]);
    return took(m, s);
}

bool g4_matcher_accept(g4_matcher *m, int32_t id)
{
    g4_str piece = {0};
    find_again(m);
    m->past[m->n++ % BACK] = (struct past){ m->state, m->scan.kept };
    if (m->left != UINT32_MAX && m->left) m->left--;
    if (m->at < m->n_queue && m->queue[m->at] == id) m->at++;
    else m->at = m->n_queue = 0;
    g4_scan_try(&m->scan, "", 0);
    if (is_token(m->a, id)) {
        G4_GROW(m->piece, m->cap_piece, m->n_piece + 1);
        m->piece[m->n_piece].at = m->scan.kept;
        m->piece[m->n_piece++].id = id;
        return took(m, step_token(m, m->state, id));
    }
    g4_tokenizer_piece(m->t, id, false, &piece);
    g4_state s = piece.n ? m->state : G4_STATE_DEAD;
    for (size_t i = 0; i < piece.n && s != G4_STATE_DEAD; i++) s = step(m, s, (uint8_t)piece.p[i]);
    g4_str_free(&piece);
    return took(m, s);
}

void g4_matcher_rollback(g4_matcher *m, size_t n)
{
    find_again(m);
    if (n > m->n) n = m->n;
    if (n > BACK) n = BACK;
    if (!n) return;
    m->n -= n;
    m->state = m->past[m->n % BACK].state;
    g4_scan_cut(&m->scan, m->past[m->n % BACK].kept);
    while (m->n_piece && m->piece[m->n_piece - 1].at >= m->scan.kept) m->n_piece--;
    if (m->left != UINT32_MAX) m->left += (uint32_t)n;
    m->look = UINT32_MAX;
    m->at = m->n_queue = 0;
}

g4_sv g4_matcher_text(g4_matcher *m)
{
    return (g4_sv){ m->scan.text.p ? m->scan.text.p : "", m->scan.kept };
}

bool g4_matcher_done(g4_matcher *m)
{
    find_again(m);
    return g4_automaton_done(m->a, m->state);
}

bool g4_matcher_spent(g4_matcher *m)
{
    return m->left == 0;
}

bool g4_matcher_over(g4_matcher *m)
{
    find_again(m);
    return g4_automaton_over(m->a, m->state);
}

bool g4_matcher_dead(g4_matcher *m)
{
    find_again(m);
    return m->state == G4_STATE_DEAD;
}

/* ---- forced tokens ----------------------------------------------------------------------- */

static uint32_t child(const struct g4_trie *t, uint32_t node, uint8_t byte)
{
    const uint32_t end = node == UINT32_MAX ? t->n : t->skip[node];
    for (uint32_t i = node == UINT32_MAX ? 0 : node + 1; i < end; i = t->skip[i])
        if (t->byte[i] == byte) return i;
    return UINT32_MAX;
}

/* Is there a piece that begins with these bytes and goes on as the state allows? */
static bool may_grow(g4_matcher *m, const char *p, size_t n, g4_state s)
{
    const struct g4_trie *t = &m->p->all;
    uint32_t node = UINT32_MAX;
    for (size_t i = 0; i < n; i++)
        if ((node = child(t, node, (uint8_t)p[i])) == UINT32_MAX) return false;
    for (uint32_t i = node + 1; i < t->skip[node]; i = t->skip[i])
        if (g4_automaton_step(m->a, s, t->byte[i]) != G4_STATE_DEAD) return true;
    return false;
}

/* Puts the tokens of a text into the queue as the tokenizer has them, up to where one could be longer than the
 * text is, or is not the text (a literal U+2581 comes back as a blank). */
static void queue_text(g4_matcher *m, const g4_str *text, g4_state behind, bool all)
{
    const struct g4_seg seg = { G4_SEG_DATA, text->p, text->n };
    g4_str piece = {0};
    size_t from = 0, keep = 0, n = m->n_queue;
    g4_tokenizer_encode(m->t, &seg, 1, &m->queue, &n, &m->cap_queue);
    for (keep = m->n_queue; keep < n; keep++) {
        if (!all && may_grow(m, text->p + from, text->n - from, behind)) break;
        g4_str_clear(&piece);
        g4_tokenizer_piece(m->t, m->queue[keep], false, &piece);
        if (!piece.n || piece.n > text->n - from || memcmp(piece.p, text->p + from, piece.n)) break;
        from += piece.n;
    }
    g4_str_free(&piece);
    m->n_queue = keep;
}

static void find_forced(g4_matcher *m)
{
    g4_str text = {0};
    g4_state s = m->state;
    m->at = m->n_queue = 0;
    const int32_t id = g4_automaton_only_token(m->a, s);
    if (id >= 0) {
        G4_GROW(m->queue, m->cap_queue, 1);
        m->queue[m->n_queue++] = id;
        return;
    }
    g4_scan_try(&m->scan, "", 0);
    while (text.n < MAX_FORCED) {
        const int byte = g4_automaton_only(m->a, s);
        const g4_state to = byte < 0 ? G4_STATE_DEAD : step(m, s, (uint8_t)byte);
        if (to == G4_STATE_DEAD) break;
        g4_str_addc(&text, (char)byte);
        s = to;
    }
    if (text.n) queue_text(m, &text, s, false);
    g4_str_free(&text);
}

/* ---- coming to an end ---------------------------------------------------------------------- */

/* What leads most quickly to the end, a byte (below 256) or a piece (256 + id); false: nothing does. */
static bool nearest(g4_matcher *m, g4_state *s, int32_t *best)
{
    const int32_t *ids;
    const size_t n = m->scan.text.n, n_id = g4_automaton_tokens(m->a, &ids);
    const uint32_t now = g4_automaton_least(m->a, *s);
    uint32_t least = G4_NEVER_LEAST;
    g4_state to = G4_STATE_DEAD;
    for (size_t i = 0x20; i < 256 + n_id && least >= now; i++) { /* controls are never needed */
        m->scan.text.n = n;
        const g4_state t = i < 256 ? step(m, *s, (uint8_t)i) : step_token(m, *s, ids[i - 256]);
        if (t == G4_STATE_DEAD || g4_automaton_least(m->a, t) >= least) continue;
        least = g4_automaton_least(m->a, t);
        *best = i < 256 ? (int32_t)i : 256 + ids[i - 256];
        to = t;
    }
    m->scan.text.n = n;
    if (least == G4_NEVER_LEAST) return false;
    g4_str_addc(&m->scan.text, *best < 256 ? (char)*best : (char)g4_automaton_mark(m->a, *best - 256));
    *s = to;
    return true;
}

/* Fills the queue with the shortest end of the value; false when there is none within the tokens left. */
static bool find_end(g4_matcher *m)
{
    g4_str text = {0};
    g4_state s = m->state;
    size_t steps = 4 * (size_t)g4_automaton_least(m->a, s) + 64;
    int32_t next;
    m->at = m->n_queue = 0;
    g4_scan_try(&m->scan, "", 0);
    while (!g4_automaton_done(m->a, s) && steps-- && nearest(m, &s, &next)) {
        if (next < 256) {
            g4_str_addc(&text, (char)next);
            continue;
        }
        if (text.n) queue_text(m, &text, s, true);
        g4_str_clear(&text);
        G4_GROW(m->queue, m->cap_queue, m->n_queue + 1);
        m->queue[m->n_queue++] = next - 256;
    }
    if (text.n) queue_text(m, &text, s, true);
    g4_str_free(&text);
    return g4_automaton_done(m->a, s) && m->n_queue <= m->left;
}

/* Bytes the end may be away from after the next token; UINT32_MAX: there is room enough. */
static uint32_t reach(g4_matcher *m)
{
    const uint32_t least = g4_automaton_least(m->a, m->state);
    const uint64_t jump = 4ull * m->a->jump + 2 * MARGIN;
    if (m->left == UINT32_MAX || least == G4_NEVER_LEAST || m->left >= least + jump) return UINT32_MAX;
    const uint32_t room = m->left > MARGIN ? m->left - MARGIN : 0;
    return least > room ? least : room;
}

/* A byte takes a token at most: the end needs working out only when fewer are left than it has bytes. */
static bool must_look(const g4_matcher *m)
{
    const uint32_t least = g4_automaton_least(m->a, m->state);
    return m->left != UINT32_MAX && m->left <= m->look && least != G4_NEVER_LEAST && m->left < least + 4 &&
           !g4_automaton_done(m->a, m->state);
}

size_t g4_matcher_forced(g4_matcher *m, const int32_t **ids)
{
    find_again(m);
    if (m->state == G4_STATE_DEAD) return 0;
    if (m->at >= m->n_queue && must_look(m)) {
        const bool possible = find_end(m);
        const uint32_t spare = possible ? m->left - (uint32_t)m->n_queue : 0;
        if (possible) m->look = m->left - spare / 2; /* what is allowed meanwhile makes the way hardly longer */
        if (!possible || spare > 3) m->at = m->n_queue = 0;
    }
    if (m->at >= m->n_queue) find_forced(m);
    *ids = m->queue + m->at;
    return m->n_queue - m->at;
}

static bool is_empty(const uint32_t *bits, size_t words)
{
    uint32_t any = 0;
    for (size_t i = 0; i < words; i++) any |= bits[i];
    return !any;
}

/* Into bits of the vocabulary's own size. */
static void fill(g4_matcher *m, uint32_t *bits)
{
    const uint32_t most = reach(m);
    g4_mask_fill(m->a, m->p, m->state, &m->scan, most, bits);
    /* The way to the end may seem longer for a moment (an escape that is begun): better that than none. */
    if (most != UINT32_MAX && is_empty(bits, ((size_t)m->p->n_vocab + 31) / 32)) g4_mask_fill(m->a, m->p, m->state, &m->scan, UINT32_MAX, bits);
}

void g4_matcher_mask(g4_matcher *m, uint32_t *bits, uint32_t n_vocab)
{
    g4_automaton_trim(m->a);
    find_again(m);
    g4_scan_try(&m->scan, "", 0);
    if (n_vocab < m->p->n_vocab) {
        uint32_t *wide = g4_alloc(((size_t)m->p->n_vocab + 31) / 32 * sizeof *wide);
        fill(m, wide);
        memcpy(bits, wide, ((size_t)n_vocab + 31) / 32 * sizeof *bits);
        free(wide);
    } else {
        memset(bits, 0, ((size_t)n_vocab + 31) / 32 * sizeof *bits);
        fill(m, bits);
    }
}
