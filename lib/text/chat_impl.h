/* text/chat_impl: what the chat*.c files share.  chat.c walks the messages,
 * chat_value.c spells values and tool declarations, chat_schema.c bends schemas
 * into the grammar the models were trained on, chat_translate.c asks for translations, chat_tree.c holds JSON as a tree. */
#ifndef G4_TEXT_CHAT_IMPL_H
#define G4_TEXT_CHAT_IMPL_H

#include "text/chat.h"

/* A JSON value as a tree in an arena.  Strings are decoded (borrowed from the
 * document where they hold no escape), numbers keep their spelling, a key that
 * was given twice has its last value at its first place. */
typedef struct g4_node {
    enum g4_json_type type;  /* G4_JSON_NONE: absent */
    bool yes;                /* BOOL */
    g4_sv text;              /* STRING: its bytes; NUMBER: its spelling */
    g4_sv key;               /* the member's name when the parent is an object */
    g4_json span;            /* the value as it stood in the document */
    const void *scope;       /* chat_schema.c: the references it came through */
    struct g4_node *kid;     /* ARRAY, OBJECT */
    size_t n;
} g4_node;

g4_node *g4_node_read(g4_arena *a, g4_json v);
const g4_node *g4_node_get(const g4_node *v, const char *key);  /* never NULL; type NONE when absent */
bool g4_node_is(const g4_node *v, const char *z);               /* a string equal to z */
bool g4_node_true(const g4_node *v);                            /* Python's truth of a value */
/* Members in the order templates print them: by lower-cased key, ties as they came. */
const g4_node **g4_node_sorted(g4_arena *a, const g4_node *v);

/* The control pieces of a family, in the roles they share. */
struct g4_marks {
    const char *decl[2], *call[2], *resp[2], *quote;
};

struct g4_run {              /* text of one mode; becomes a segment */
    enum g4_seg_mode mode;
    size_t begin;
    bool shut;               /* nothing may join it (media placeholder) */
};

struct g4_render {
    const struct g4_chat_in *in;
    g4_arena *arena;
    const struct g4_marks *w;
    bool repair;             /* 3.5, 3.6, 3.10 of the prompt-format spec; off when exact */
    g4_str text;
    struct g4_run *run;
    size_t n_run, cap_run;
    struct g4_chat_media *media;
    size_t n_media, cap_media;
    bool open_thought, prefill;
    g4_err *err;
};

void g4_put(struct g4_render *r, const char *z);          /* the template's own text */
void g4_put_data(struct g4_render *r, g4_sv s);           /* names, values, message texts */
void g4_put_value(struct g4_render *r, const g4_node *v, bool quote_keys);
void g4_put_pairs(struct g4_render *r, const g4_node *object);
void g4_put_declaration(struct g4_render *r, const g4_node *function);

void g4_put_media(struct g4_render *r, const char *mark, g4_json part);

/* chat_translate.c: a user message of TranslateGemma.  G4_EINPUT, naming the message. */
int g4_put_translation(struct g4_render *r, const g4_node *content, size_t number);

/* The schema of a tool's parameters inside the trained grammar.  NULL with *err
 * filled when a reference leads nowhere or the result grows past all bounds. */
g4_node *g4_schema_normal(g4_arena *a, const g4_node *schema, g4_err *err);

g4_sv g4_py_strip(g4_sv s);                                /* Python's str.strip() */

#endif
