/* text/chat: messages, tools and the thinking switch to the exact prompt, as a
 * list of segments (text/tokenizer.h).  The control pieces come from the
 * template's own text only; names, values and message texts are DATA. */
#ifndef G4_TEXT_CHAT_H
#define G4_TEXT_CHAT_H

#include "base/json.h"
#include "base/mem.h"
#include "text/tokenizer.h"

enum g4_chat_format {
    G4_CHAT_NONE,          /* base model: raw prompt */
    G4_CHAT_GEMMA4_SMALL,
    G4_CHAT_GEMMA4_LARGE,
    G4_CHAT_GEMMA3,
    G4_CHAT_FUNCTIONGEMMA,
    G4_CHAT_TRANSLATEGEMMA,
};

static inline bool g4_chat_is_gemma4(enum g4_chat_format f)
{
    return f == G4_CHAT_GEMMA4_SMALL || f == G4_CHAT_GEMMA4_LARGE;
}

struct g4_chat_in {
    enum g4_chat_format format;
    g4_json messages;      /* array, OpenAI shape */
    g4_json tools;         /* array or {NULL,0} */
    bool think;
    bool add_generation_prompt;
    bool preserve_thinking;
    bool exact;            /* emulate the published template byte for byte, its mistakes included */
    bool tool_text;        /* a tool's JSON-object result stays a string */
};

struct g4_chat_media {     /* a media part, where its placeholder stands */
    size_t seg;            /* index into segs: that segment is the placeholder */
    g4_json part;
};

struct g4_chat_out {       /* everything lives in the arena given */
    struct g4_seg *segs;
    size_t n_seg;
    struct g4_chat_media *media;
    size_t n_media;
    bool open_thought;     /* the prompt ends inside an open thought */
    bool prefill;          /* it ends inside the final assistant message */
};

/* G4_EINPUT with the reason (which message) when it cannot be rendered. */
int g4_chat_render(const struct g4_chat_in *in, g4_arena *arena, struct g4_chat_out *out, g4_err *err);

/* Format by the model's own template text (may be NULL) and its pieces; name and
 * n_param decide between small and large when there is no template. */
enum g4_chat_format g4_chat_detect(const g4_tokenizer *t, const char *template_text, size_t template_len,
                                   const char *name, uint64_t n_param);

/* Text of the segments joined (what --dry-run shows). */
void g4_chat_text(const struct g4_chat_out *out, g4_str *text);

#endif
