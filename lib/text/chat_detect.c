/* text/chat_detect: which chat format a model speaks.  Its own template text
 * decides whether it speaks one at all, its pieces name the family; a format is
 * rendered natively, the template is never run. */
#define _GNU_SOURCE /* memmem */
#include "text/chat.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool piece(const g4_tokenizer *t, const char *z)
{
    return g4_tokenizer_find(t, z, strlen(z)) >= 0;
}

static bool holds(const char *text, size_t len, const char *z)
{
    return text && memmem(text, len, z, strlen(z));
}

/* Is `word` one of the words of a name like "gemma-4-E2B-it"? */
static bool has_word(const char *name, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = name; p && *p;) {
        size_t len = 0;
        while (isalnum((unsigned char)p[len])) len++;
        if (len == n && strncasecmp(p, word, n) == 0) return true;
        p += len ? len : 1;
    }
    return false;
}

/* Large templates close an empty thought in the generation prompt; nothing else
 * differs between the sizes (spec 3.1). */
static enum g4_chat_format gemma4_size(const char *text, size_t len, const char *name, uint64_t n_param)
{
    if (text) {
        const bool closed = holds(text, len, "<|channel>thought\\n<channel|>") || holds(text, len, "<|channel>thought\n<channel|>");
        return closed ? G4_CHAT_GEMMA4_LARGE : G4_CHAT_GEMMA4_SMALL;
    }
    if (has_word(name, "e2b") || has_word(name, "e4b")) return G4_CHAT_GEMMA4_SMALL;
    if (has_word(name, "12b") || has_word(name, "26b") || has_word(name, "31b")) return G4_CHAT_GEMMA4_LARGE;
    return n_param >= 12000000000u ? G4_CHAT_GEMMA4_LARGE : G4_CHAT_GEMMA4_SMALL;
}

enum g4_chat_format g4_chat_detect(const g4_tokenizer *t, const char *template_text, size_t template_len,
                                   const char *name, uint64_t n_param)
{
    if (!template_len) template_text = NULL;
    /* Base models have the same pieces: without a template only the name tells. */
    if (!template_text && !has_word(name, "it") && !has_word(name, "instruct")) return G4_CHAT_NONE;
    const bool any = !template_text;
    if (piece(t, "<|turn>") && (any || holds(template_text, template_len, "<|turn>")))
        return gemma4_size(template_text, template_len, name, n_param);
    if (!piece(t, "<start_of_turn>") || !(any || holds(template_text, template_len, "<start_of_turn>"))) return G4_CHAT_NONE;
    if (any ? has_word(name, "translategemma") : holds(template_text, template_len, "source_lang_code")) return G4_CHAT_TRANSLATEGEMMA;
    return piece(t, "<start_function_call>") ? G4_CHAT_FUNCTIONGEMMA : G4_CHAT_GEMMA3;
}
