/* text/chat_translate: what TranslateGemma is asked (prompt-format spec 5.3): a text or
 * an image, and two languages out of a fixed table. */
#include "text/chat_impl.h"

#include <string.h>
#include <strings.h>

/* Regional codes (pt-BR) take the name of their language. */
static const struct {
    const char *code, *name;
} languages[] = {
    { "ar", "Arabic" },     { "bg", "Bulgarian" }, { "bn", "Bengali" },    { "ca", "Catalan" },    { "cs", "Czech" },
    { "da", "Danish" },     { "de", "German" },    { "el", "Greek" },      { "en", "English" },    { "es", "Spanish" },
    { "et", "Estonian" },   { "fa", "Persian" },   { "fi", "Finnish" },    { "fil", "Filipino" },  { "fr", "French" },
    { "gu", "Gujarati" },   { "he", "Hebrew" },    { "hi", "Hindi" },      { "hr", "Croatian" },   { "hu", "Hungarian" },
    { "id", "Indonesian" }, { "is", "Icelandic" }, { "it", "Italian" },    { "ja", "Japanese" },   { "kn", "Kannada" },
    { "ko", "Korean" },     { "lt", "Lithuanian" }, { "lv", "Latvian" },   { "ml", "Malayalam" },  { "mr", "Marathi" },
    { "nl", "Dutch" },      { "no", "Norwegian" }, { "pa", "Punjabi" },    { "pl", "Polish" },     { "pt", "Portuguese" },
    { "ro", "Romanian" },   { "ru", "Russian" },   { "sk", "Slovak" },     { "sl", "Slovenian" },  { "sr", "Serbian" },
    { "sv", "Swedish" },    { "sw", "Swahili" },   { "ta", "Tamil" },      { "te", "Telugu" },     { "th", "Thai" },
    { "tr", "Turkish" },    { "uk", "Ukrainian" }, { "ur", "Urdu" },       { "vi", "Vietnamese" }, { "zh", "Chinese" },
    { "zu", "Zulu" },
};

struct language {
    const char *name;
    char code[32];           /* as it is printed: '-' for '_' */
};

static bool find_language(g4_sv code, struct language *out)
{
    size_t base = 0;
    if (!code.n || code.n >= sizeof out->code) return false;
    for (size_t i = 0; i < code.n; i++) out->code[i] = code.p[i] == '_' ? '-' : code.p[i];
    out->code[code.n] = 0;
    while (base < code.n && out->code[base] != '-') base++;
    if (base == code.n - 1) return false; /* nothing behind the hyphen */
    for (size_t i = 0; i < sizeof languages / sizeof *languages; i++) {
        if (strlen(languages[i].code) != base || strncasecmp(languages[i].code, code.p, base)) continue;
        out->name = languages[i].name;
        return true;
    }
    return false;
}

static int language_of(struct g4_render *r, const g4_node *part, const char *key, size_t number, struct language *out)
{
    const g4_node *v = g4_node_get(part, key);
    if (v->type != G4_JSON_STRING) return g4_fail(r->err, G4_EINPUT, "message %zu: the part has no '%s'", number, key);
    if (find_language(v->text, out)) return 0;
    return g4_fail(r->err, G4_EINPUT, "message %zu: no such language: '%.*s'", number, (int)(v->text.n < 40 ? v->text.n : 40), v->text.p);
}

static void put2(struct g4_render *r, const struct language *l)
{
    g4_put_data(r, (g4_sv){ l->name, strlen(l->name) });
    g4_put(r, " (");
    g4_put_data(r, (g4_sv){ l->code, strlen(l->code) });
    g4_put(r, ")");
}

static void put_order(struct g4_render *r, const struct language *from, const struct language *to)
{
    g4_put(r, "You are a professional ");
    put2(r, from);
    g4_put(r, " to ");
    put2(r, to);
    g4_put(r, " translator. Your goal is to accurately convey the meaning and nuances of the original ");
    g4_put(r, from->name);
    g4_put(r, " text while adhering to ");
    g4_put(r, to->name);
    g4_put(r, " grammar, vocabulary, and cultural sensitivities.\n");
}

static void put_text(struct g4_render *r, const struct language *from, const struct language *to, g4_sv text)
{
    put_order(r, from, to);
    g4_put(r, "Produce only the ");
    g4_put(r, to->name);
    g4_put(r, " translation, without any additional explanations or commentary. Please translate the following ");
    g4_put(r, from->name);
    g4_put(r, " text into ");
    g4_put(r, to->name);
    g4_put(r, ":\n\n\n");
    g4_put_data(r, g4_py_strip(text));
}

static void put_image(struct g4_render *r, const struct language *from, const struct language *to, g4_json part)
{
    put_order(r, from, to);
    g4_put(r, "Please translate the ");
    g4_put(r, from->name);
    g4_put(r, " text in the provided image into ");
    g4_put(r, to->name);
    g4_put(r, ". Produce only the ");
    g4_put(r, to->name);
    g4_put(r, " translation, without any additional explanations, alternatives or commentary. Focus only on the text, do not output"
              " where the text is located, surrounding objects or any other explanation about the picture. Ignore symbols,"
              " pictogram, and arrows!\n\n\n");
    g4_put_media(r, "<start_of_image>", part);
}

/* g4's own form: a text whose first line is "SOURCE TARGET". */
static int put_plain(struct g4_render *r, g4_sv s, size_t number)
{
    struct language from, to;
    const char *end = memchr(s.p, '\n', s.n);
    const size_t n = end ? (size_t)(end - s.p) : s.n;
    const char *gap = memchr(s.p, ' ', n);
    const size_t left = gap ? (size_t)(gap - s.p) : 0;
    if (!end || !gap || !find_language((g4_sv){ s.p, left }, &from) || !find_language((g4_sv){ gap + 1, n - left - 1 }, &to))
        return g4_fail(r->err, G4_EINPUT, "message %zu: this model translates: 'SOURCE TARGET' ('en de') must be the instruction, or the text one"
                       " part with 'source_lang_code' and 'target_lang_code'", number);
    put_text(r, &from, &to, (g4_sv){ end + 1, s.n - n - 1 });
    return 0;
}

int g4_put_translation(struct g4_render *r, const g4_node *content, size_t number)
{
    struct language from, to;
    const g4_node *part = content->kid;
    if (content->type == G4_JSON_STRING && r->repair) return put_plain(r, g4_py_strip(content->text), number);
    if (content->type != G4_JSON_ARRAY || content->n != 1)
        return g4_fail(r->err, G4_EINPUT, "message %zu: this model wants exactly one part", number);
    const bool text = g4_node_is(g4_node_get(part, "type"), "text");
    if (text && r->repair && g4_node_get(part, "source_lang_code")->type == G4_JSON_NONE)
        return put_plain(r, g4_py_strip(g4_node_get(part, "text")->text), number);
    if (language_of(r, part, "source_lang_code", number, &from) || language_of(r, part, "target_lang_code", number, &to)) return G4_EINPUT;
    if (text) put_text(r, &from, &to, g4_node_get(part, "text")->text);
    else if (g4_node_is(g4_node_get(part, "type"), "image")) put_image(r, &from, &to, part->span);
    else return g4_fail(r->err, G4_EINPUT, "message %zu: this model reads a text or an image", number);
    return 0;
}
