/* text/automaton_enter: going into a node, and on in the frame below when one is
 * complete.  Both add the leaves they come to as threads. */
#include "text/automaton_impl.h"

enum { MAX_DEPTH = 1000 };

static void enter_seq(g4_automaton *a, const struct g4_node_data *d, g4_node v, uint32_t i, uint32_t parent)
{
    const g4_node child = d->child[i];
    if (i + 1 == d->n) g4_auto_enter(a, child, parent); /* nothing is left to do here afterwards */
    else g4_auto_enter(a, child, g4_auto_frame(a, (struct g4_frame){ .node = v, .a = i, .parent = parent }));
}

static void enter_repeat(g4_automaton *a, const struct g4_node_data *d, g4_node v, uint32_t done, uint32_t parent)
{
    const g4_node child = d->child[0];
    if (done >= d->min) g4_auto_leave(a, parent, 0);
    if (done >= d->max) return;
    g4_auto_enter(a, child, g4_auto_frame(a, (struct g4_frame){ .node = v, .b = done, .parent = parent }));
}

void g4_auto_enter(g4_automaton *a, g4_node v, uint32_t parent)
{
    const struct g4_node_data *d = &a->g->node[v];
    /* A rule that leads to itself without consuming anything adds nothing by it. */
    if (d->least == G4_NEVER_LEAST || a->depth >= MAX_DEPTH) return;
    a->depth++;
    switch (d->kind) {
    case G4_N_EMPTY: g4_auto_leave(a, parent, 0); break;
    case G4_N_BYTES:
    case G4_N_TOKEN: g4_auto_add(a, (struct g4_frame){ .node = v, .parent = parent }); break;
    case G4_N_SEQ: enter_seq(a, d, v, 0, parent); break;
    case G4_N_ALT:
        for (uint32_t i = 0; i < d->n; i++) g4_auto_enter(a, d->child[i], parent);
        break;
    case G4_N_REPEAT: enter_repeat(a, d, v, 0, parent); break;
    case G4_N_RULE: g4_auto_enter(a, d->child[0], parent); break;
    case G4_N_TEXT: g4_auto_text_enter(a, v, parent); break;
    case G4_N_STRING: g4_auto_string_enter(a, v, parent); break;
    case G4_N_NUMBER: g4_auto_number_enter(a, v, parent); break;
    case G4_N_ARRAY: g4_auto_array_enter(a, v, parent); break;
    case G4_N_OBJECT: g4_auto_object_enter(a, v, parent); break;
    case G4_N_CHECKED:
        g4_auto_enter(a, d->child[0], g4_auto_frame(a, (struct g4_frame){ .node = v, .parent = parent }));
        break;
    }
    a->depth--;
}

void g4_auto_leave(g4_automaton *a, uint32_t parent, uint32_t label)
{
    const struct g4_frame f = a->frame[parent];
    const struct g4_node_data *d = g4_auto_node(a, &f);
    const uint64_t asks = a->asks;
    if (!parent) {
        g4_auto_add_end(a);
        return;
    }
    if (a->depth >= MAX_DEPTH) return;
    a->depth++;
    switch (d->kind) {
    case G4_N_SEQ: enter_seq(a, d, f.node, f.a + 1, f.parent); break;
    case G4_N_REPEAT: {
        const uint32_t most = d->max == UINT32_MAX ? d->min : d->max; /* counted no further than it matters */
        enter_repeat(a, d, f.node, f.b < most ? f.b + 1 : f.b, f.parent);
        break;
    }
    case G4_N_CHECKED:
        a->asks |= 1ull << (G4_ASK_CHECK + d->check);
        g4_auto_leave(a, f.parent, label);
        break;
    case G4_N_ARRAY: g4_auto_array_item(a, &f, label); break;
    case G4_N_OBJECT:
        if ((f.a & 7) == G4_P_KEY) g4_auto_object_key(a, &f, label);
        else g4_auto_object_value(a, &f);
        break;
    }
    a->asks = asks;
    a->depth--;
}

void g4_auto_byte(g4_automaton *a, const struct g4_frame *f, uint8_t byte)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    switch (d->kind) {
    case G4_N_BYTES:
        if ((uint8_t)d->bytes[f->a] != byte) return;
        if (f->a + 1 == d->n) g4_auto_leave(a, f->parent, 0);
        else g4_auto_add(a, (struct g4_frame){ .node = f->node, .a = f->a + 1, .parent = f->parent });
        return;
    case G4_N_TEXT:
    case G4_N_STRING:
    case G4_N_KEY: g4_auto_string_byte(a, f, byte); return;
    case G4_N_NUMBER: g4_auto_number_byte(a, f, byte); return;
    case G4_N_ARRAY: g4_auto_array_byte(a, f, byte); return;
    case G4_N_OBJECT: g4_auto_object_byte(a, f, byte); return;
    }
}

void g4_auto_token(g4_automaton *a, const struct g4_frame *f, int32_t id)
{
    const struct g4_node_data *d = g4_auto_node(a, f);
    if (d->kind == G4_N_TOKEN && d->token == id) g4_auto_leave(a, f->parent, 0);
    else if (d->kind == G4_N_STRING && d->call && d->token == id) g4_auto_string_token(a, f, id);
}
