/* verb/compact: see compact.h. */
#include "verb/compact.h"

#include <stdlib.h>
#include <string.h>

static const char stub[] = "[left out: too long ago]";

struct list {
    g4_json *m;              /* [n] messages */
    bool *stubbed, *gone;    /* [n] */
    size_t n, last_user;     /* n: there is none */
};

static bool has_role(g4_json m, const char *role)
{
    return g4_json_is(g4_json_get(m, "role"), role);
}

static bool is_system(g4_json m)
{
    return has_role(m, "system") || has_role(m, "developer");
}

/* Tokens of a message, about: its JSON holds a few more than the prompt has. */
static size_t weigh(const g4_tokenizer *t, g4_json m)
{
    const struct g4_seg seg = { .mode = G4_SEG_DATA, .p = m.p, .n = m.n };
    int32_t *ids = NULL;
    size_t n = 0, cap = 0;
    g4_tokenizer_encode(t, &seg, 1, &ids, &n, &cap);
    free(ids);
    return n;
}

static struct list read_list(g4_arena *a, g4_json messages)
{
    struct list l = { .n = g4_json_count(messages) };
    size_t i = 0;
    l.m = g4_arena_alloc(a, l.n * sizeof *l.m);
    l.stubbed = g4_arena_alloc(a, l.n * sizeof *l.stubbed);
    l.gone = g4_arena_alloc(a, l.n * sizeof *l.gone);
    l.last_user = l.n;
    for (g4_json_it it = g4_json_iter(messages); g4_json_next(&it); i++) {
        l.m[i] = it.value;
        if (has_role(it.value, "user")) l.last_user = i;
    }
    return l;
}

/* The results of tools, but those at the very end. */
static size_t drop_results(const g4_tokenizer *t, struct list *l, size_t excess, struct g4_compact *c)
{
    size_t end = l->n, saved = 0;
    while (end && has_role(l->m[end - 1], "tool")) end--;
    for (size_t i = 0; i < end && saved < excess; i++) {
        const g4_json content = g4_json_get(l->m[i], "content");
        if (!has_role(l->m[i], "tool") || g4_json_is(content, stub)) continue;
        const size_t size = weigh(t, content), less = 8;
        if (size <= less) continue;
        l->stubbed[i] = true;
        saved += size - less;
        c->tool_results++;
    }
    return saved;
}

/* Whole turns, but the last. */
static size_t drop_turns(const g4_tokenizer *t, struct list *l, size_t excess, struct g4_compact *c)
{
    size_t saved = 0;
    for (size_t i = 0; l->last_user < l->n && i < l->last_user && saved < excess;) {
        size_t next = i + 1;
        bool any = false;
        while (next < l->last_user && !has_role(l->m[next], "user")) next++;
        for (; i < next; i++) {
            if (is_system(l->m[i])) continue;
            l->gone[i] = any = true;
            saved += weigh(t, l->m[i]);
            c->messages++;
        }
        c->turns += any;
    }
    return saved;
}

static void put_stubbed(g4_str *out, g4_json m)
{
    g4_str_addc(out, '{');
    for (g4_json_it it = g4_json_iter(m); g4_json_next(&it);) {
        if (out->p[out->n - 1] != '{') g4_str_addc(out, ',');
        if (g4_json_is(it.key, "content")) g4_str_addf(out, "\"content\":\"%s\"", stub);
        else g4_str_add(out, it.begin, (size_t)(it.end - it.begin));
    }
    g4_str_addc(out, '}');
}

bool g4_compact(const g4_tokenizer *t, g4_arena *a, size_t excess, g4_json *messages, struct g4_compact *c)
{
    struct list l = read_list(a, *messages);
    size_t saved = drop_results(t, &l, excess, c);
    if (saved < excess) saved += drop_turns(t, &l, excess - saved, c);
    if (!saved) return false;
    g4_str s = {0};
    g4_str_addc(&s, '[');
    for (size_t i = 0; i < l.n; i++) {
        if (l.gone[i]) continue;
        if (s.n > 1) g4_str_addc(&s, ',');
        if (l.stubbed[i]) put_stubbed(&s, l.m[i]);
        else g4_str_add(&s, l.m[i].p, l.m[i].n);
    }
    g4_str_addc(&s, ']');
    *messages = (g4_json){ g4_arena_strndup(a, s.p, s.n), s.n };
    g4_str_free(&s);
    return true;
}
