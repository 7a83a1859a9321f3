/* Chat rendering: every vector in both modes, where the trusted and the untrusted
 * text goes, media, errors, the detection of formats, random requests. */
#include "text/chat.h"

#include "../lines.h"
#include "../minivocab.h"
#include "../tap.h"

static enum g4_chat_format format_of(g4_json name)
{
    static const char *const z[] = {"", "gemma4-small", "gemma4-large", "gemma3", "functiongemma"};
    for (int i = 1; i < 5; i++)
        if (g4_json_is(name, z[i])) return (enum g4_chat_format)i;
    return G4_CHAT_NONE;
}

static bool flag(g4_json v, const char *key)
{
    bool yes = false;
    g4_json_bool(g4_json_get(v, key), &yes);
    return yes;
}

static struct g4_chat_in request(g4_json v, bool exact)
{
    return (struct g4_chat_in){
        .format = format_of(g4_json_get(v, "template")), .messages = g4_json_get(v, "messages"), .tools = g4_json_get(v, "tools"),
        .think = flag(v, "enable_thinking"), .add_generation_prompt = flag(v, "add_generation_prompt"),
        .preserve_thinking = flag(v, "preserve_thinking"), .exact = exact,
    };
}

/* ---- vectors ----------------------------------------------------------------- */

static size_t n_wrong;

static void compare(g4_json line, bool exact, g4_json want)
{
    g4_arena arena = {0};
    g4_err err = {0};
    struct g4_chat_out out;
    const struct g4_chat_in in = request(line, exact);
    const int rc = g4_chat_render(&in, &arena, &out, &err);
    g4_str got = {0}, expected = {0};
    if (!rc) g4_chat_text(&out, &got);
    const bool fails = g4_json_type(want) == G4_JSON_NULL;
    if (!fails) g4_json_str(want, &expected);
    const bool same = fails ? rc == G4_EINPUT && err.msg[0] : !rc && got.n == expected.n && !memcmp(got.p, expected.p, got.n);
    if (!same) {
        char *name = g4_json_dup(g4_json_get(line, "name"));
        printf("# %s, %s\n# got      %s\n# expected %s\n", name, exact ? "exact" : "g4", rc ? err.msg : got.p, fails ? "an error" : expected.p);
        free(name);
        n_wrong++;
    }
    g4_str_free(&got);
    g4_str_free(&expected);
    g4_arena_free(&arena);
}

static void vector(void *arg, g4_json line)
{
    const g4_json own = g4_json_get(line, "expected_g4"), exact = g4_json_get(line, "expected");
    compare(line, false, own.p ? own : exact);
    compare(line, true, exact);
}

/* ---- one request at a time ------------------------------------------------------ */

struct shot {
    g4_arena arena;
    struct g4_chat_out out;
    g4_err err;
    g4_str text;
    int rc;
};

static struct shot *shoot(enum g4_chat_format f, const char *messages, const char *tools, struct g4_chat_in in)
{
    struct shot *s = g4_alloc(sizeof *s);
    in.format = f;
    if (g4_json_check(messages, strlen(messages), &in.messages, NULL)) ok(false, "test input is JSON: %s", messages);
    if (tools && g4_json_check(tools, strlen(tools), &in.tools, NULL)) ok(false, "test input is JSON: %s", tools);
    s->rc = g4_chat_render(&in, &s->arena, &s->out, &s->err);
    if (!s->rc) g4_chat_text(&s->out, &s->text);
    return s;
}

static void drop(struct shot *s)
{
    g4_arena_free(&s->arena);
    g4_str_free(&s->text);
    free(s);
}

static const struct g4_chat_in ask = {.add_generation_prompt = true}, think = {.add_generation_prompt = true, .think = true};

static void gives(enum g4_chat_format f, const char *messages, const char *tools, struct g4_chat_in in, const char *want, const char *what)
{
    struct shot *s = shoot(f, messages, tools, in);
    is_str(s->rc ? s->err.msg : s->text.p, want, what);
    drop(s);
}

#define TOOL(params) "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":" params "}}]"
#define DECL(params) "<bos><|turn>system\n<|tool>declaration:f{description:<|\"|><|\"|>,parameters:{" params "}}<tool|><turn|>\n"

static void schemas(void)
{
    const struct g4_chat_in none = {0};
    gives(G4_CHAT_GEMMA4_SMALL, "[]", TOOL("{\"properties\":{\"n\":{\"type\":\"integer\",\"enum\":[1,2]},\"m\":{\"enum\":[0.5],\"description\":\"D\"}}}"), none,
          DECL("properties:{m:{description:<|\"|>D (one of 0.5)<|\"|>,type:<|\"|>NUMBER<|\"|>},n:{description:<|\"|>one of 1, 2<|\"|>,type:<|\"|>INTEGER<|\"|>}},type:<|\"|>OBJECT<|\"|>"),
          "an enum of numbers goes into the description");
    gives(G4_CHAT_GEMMA4_SMALL, "[]", TOOL("{\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#/$defs/N\"}},\"$defs\":{\"N\":{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#/$defs/N\"}}}}}"), none,
          DECL("properties:{n:{properties:{next:{properties:{},type:<|\"|>OBJECT<|\"|>}},type:<|\"|>OBJECT<|\"|>}},type:<|\"|>OBJECT<|\"|>"), "a schema that holds itself ends");
    gives(G4_CHAT_GEMMA4_SMALL, "[]", TOOL("{\"type\":\"object\",\"properties\":{\"n\":{\"anyOf\":[{\"$ref\":\"#/$defs/N\"},{\"type\":\"null\"}]}},\"$defs\":{\"N\":{\"$ref\":\"#/$defs/a~1b~0\"},\"a/b~\":{\"type\":[\"null\",\"number\"]}}}"), none,
          DECL("properties:{n:{nullable:true,type:<|\"|>NUMBER<|\"|>}},type:<|\"|>OBJECT<|\"|>"), "references to references, escaped");
    gives(G4_CHAT_GEMMA4_SMALL, "[]", TOOL("{\"properties\":{\"n\":{\"$ref\":\"#/d\",\"items\":{\"$ref\":\"#/d\"}}},\"d\":{\"type\":\"array\",\"description\":\"D\",\"nullable\":true}}"), none,
          DECL("properties:{n:{description:<|\"|>D<|\"|>,items:{description:<|\"|>D<|\"|>,nullable:true,type:<|\"|>ARRAY<|\"|>},nullable:true,type:<|\"|>ARRAY<|\"|>}},type:<|\"|>OBJECT<|\"|>"),
          "the same reference beside, not inside, its target");
    gives(G4_CHAT_GEMMA4_SMALL, "[]", TOOL("{\"properties\":{\"n\":{\"$ref\":\"#/x\"}}}"), none, "reference '#/x' in a tool's schema leads nowhere", "a dangling reference");
    gives(G4_CHAT_GEMMA4_SMALL, "[]", "[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]", none, "tool 1: 'a b' cannot be a function name", "a name with a blank");
    gives(G4_CHAT_GEMMA4_SMALL, "[]", "[{\"type\":\"web_search\"}]", none, "tool 1: no function name", "a tool without a function");
    gives(G4_CHAT_GEMMA4_SMALL, "[]", "{}", none, "tools is not a list", "tools of another type");
    g4_str bomb = {0}; /* 2^40 nodes once put in */
    g4_str_adds(&bomb, "[{\"function\":{\"name\":\"f\",\"parameters\":{\"$ref\":\"#/d/0\",\"d\":{");
    for (int i = 0; i < 40; i++)
        g4_str_addf(&bomb, "\"%d\":{\"properties\":{\"a\":{\"$ref\":\"#/d/%d\"},\"b\":{\"$ref\":\"#/d/%d\"}}},", i, i + 1, i + 1);
    g4_str_adds(&bomb, "\"40\":{}}}}}]");
    gives(G4_CHAT_GEMMA4_SMALL, "[]", bomb.p, none, "a tool's schema is too large once its references are put in", "references that double at every level");
    g4_str_free(&bomb);
}

#define CALLS "\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]"

#define ORDER(s, sc, t, tc) "<bos><start_of_turn>user\nYou are a professional " s " (" sc ") to " t " (" tc ") translator. Your goal is to accurately " \
    "convey the meaning and nuances of the original " s " text while adhering to " t " grammar, vocabulary, and cultural sensitivities.\n"
#define TEXT(s, t) "Produce only the " t " translation, without any additional explanations or commentary. Please translate the following " s " text into " t ":\n\n\n"
#define ASK "<end_of_turn>\n<start_of_turn>model\n"
#define PART(type, from, to, more) "[{\"role\":\"user\",\"content\":[{\"type\":\"" type "\",\"source_lang_code\":\"" from "\",\"target_lang_code\":\"" to "\"," more "}]}"

static void translations(void)
{
    const enum g4_chat_format f = G4_CHAT_TRANSLATEGEMMA;
    gives(f, PART("text", "en", "pt_BR", "\"text\":\" Good day.\\n\"") "]", NULL, ask,
          ORDER("English", "en", "Portuguese", "pt-BR") TEXT("English", "Portuguese") "Good day." ASK, "TranslateGemma: a text, a code with a region");
    gives(f, PART("image", "ja", "zh-Hans", "\"url\":\"x\"") "]", NULL, ask,
          ORDER("Japanese", "ja", "Chinese", "zh-Hans") "Please translate the Japanese text in the provided image into Chinese. Produce only the Chinese translation, without"
          " any additional explanations, alternatives or commentary. Focus only on the text, do not output where the text is located, surrounding objects or any other"
          " explanation about the picture. Ignore symbols, pictogram, and arrows!\n\n\n<start_of_image>" ASK, "... an image");
    gives(f, PART("text", "de", "en", "\"text\":\"Ja.\"") ",{\"role\":\"assistant\",\"content\":\" Yes. \"}," "{\"role\":\"user\",\"content\":\"fr en\\n\\nNon.\"}]", NULL, ask,
          ORDER("German", "de", "English", "en") TEXT("German", "English") "Ja.<end_of_turn>\n<start_of_turn>model\nYes.<end_of_turn>\n"
          "<start_of_turn>user\nYou are a professional French (fr) to English (en) translator. Your goal is to accurately convey the meaning and nuances of the original"
          " French text while adhering to English grammar, vocabulary, and cultural sensitivities.\n" TEXT("French", "English") "Non." ASK,
          "... a second turn, and languages as the instruction");
    gives(f, PART("text", "en", "xx", "\"text\":\"a\"") "]", NULL, ask, "message 1: no such language: 'xx'", "... an unknown code");
    gives(f, PART("text", "en", "de-", "\"text\":\"a\"") "]", NULL, ask, "message 1: no such language: 'de-'", "... half a code");
    gives(f, "[{\"role\":\"system\",\"content\":\"s\"}]", NULL, ask, "message 1: this model takes no system text", "... system text");
    gives(f, "[{\"role\":\"user\",\"content\":\"Hello\"}]", NULL, ask, "message 1: this model translates: 'SOURCE TARGET' ('en de') must be the instruction,"
          " or the text one part with 'source_lang_code' and 'target_lang_code'", "... no languages");
}

static void repairs(void)
{
    gives(G4_CHAT_GEMMA4_LARGE, "[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\"," CALLS "},{\"role\":\"user\",\"content\":\"r\"}]", NULL, ask,
          "<bos><|turn>user\nq<turn|>\n<|turn>model\n<|tool_call>call:f{a:1}<tool_call|><|tool_response>response:f{value:null}<tool_response|><turn|>\n"
          "<|turn>user\nr<turn|>\n<|turn>model\n<|channel>thought\n<channel|>", "a call in the middle that nobody answered");
    struct g4_chat_in plain = ask;
    plain.tool_text = true;
    gives(G4_CHAT_GEMMA4_SMALL, "[{\"role\":\"assistant\"," CALLS "},{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"{\\\"b\\\":2}\"}]", NULL, plain,
          "<bos><|turn>model\n<|tool_call>call:f{a:1}<tool_call|><|tool_response>response:f{value:<|\"|>{\"b\":2}<|\"|>}<tool_response|>", "tool_text keeps a result as text");
    gives(G4_CHAT_GEMMA3, "[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"The \"}]", NULL, ask,
          "<bos><start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\nThe", "Gemma 3 goes on with a final answer");
    gives(G4_CHAT_FUNCTIONGEMMA, "[{\"role\":\"assistant\"," CALLS "},{\"role\":\"tool\",\"content\":{\"name\":\"g\",\"response\":{\"x\":1}}}]", NULL, ask,
          "<bos><start_of_turn>model\n<start_function_call>call:f{a:1}<end_function_call><start_function_response>response:g{x:1}<end_function_response>",
          "FunctionGemma's own shape of a result");
    translations();
    struct shot *s = shoot(G4_CHAT_GEMMA4_SMALL, "[{\"role\":\"assistant\"," CALLS "},{\"role\":\"tool\",\"content\":\"r\"}]", NULL, think);
    ok(s->out.open_thought && !s->out.prefill, "a result with thinking on leaves a thought open");
    drop(s);
    s = shoot(G4_CHAT_GEMMA4_SMALL, "[{\"role\":\"assistant\",\"content\":\"x\"}]", NULL, ask);
    ok(s->out.prefill && !s->out.open_thought, "a final answer is a prefill");
    drop(s);
}

static void errors(void)
{
    static const struct { const char *messages, *want; } row[] = {
        {"{}", "messages is not a list"},
        {"[1]", "message 1: not an object"},
        {"[{\"role\":\"user\",\"content\":\"\"},{}]", "message 2: no role"},
        {"[{\"role\":\"root\"}]", "message 1: unknown role 'root'"},
        {"[{\"role\":\"user\",\"content\":5}]", "message 1: content is neither text nor a list of parts"},
        {"[{\"role\":\"user\",\"content\":[\"x\"]}]", "message 1: a content part has no type"},
        {"[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "message 1: a text part has no text"},
        {"[{\"role\":\"user\",\"content\":[{\"type\":\"hologram\"}]}]", "message 1: a content part is neither text, image, audio nor video"},
        {"[{\"role\":\"system\",\"content\":[{\"type\":\"image\"}]}]", "message 1: a system message takes text only"},
        {"[{\"role\":\"assistant\",\"tool_calls\":{\"a\":1}}]", "message 1: tool_calls is not a list"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{}]}]", "message 1: a tool call has no function name"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}]", "message 1: the arguments of a tool call are not JSON"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"[1]\"}}]}]", "message 1: the arguments of a tool call are not an object"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) gives(G4_CHAT_GEMMA4_SMALL, row[i].messages, NULL, ask, row[i].want, row[i].want);
    gives(G4_CHAT_GEMMA3, "[{\"role\":\"user\",\"content\":\"a\"}]", TOOL("{}"), ask, "this model's chat format has no tools", "Gemma 3 has no tools");
    gives(G4_CHAT_GEMMA3, "[{\"role\":\"user\",\"content\":[{\"type\":\"audio\"}]}]", NULL, ask, "message 1: this model reads text and images only", "Gemma 3 has no ears");
    gives(G4_CHAT_GEMMA3, "[]", NULL, ask, "messages is empty", "no messages");
    gives(G4_CHAT_NONE, "[]", NULL, ask, "a base model has no chat format", "a base model");
}

static void media(void)
{
    struct shot *s = shoot(G4_CHAT_GEMMA4_SMALL, "[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"path\":\"a\"},{\"type\":\"image\",\"path\":\"b\"},"
        "{\"type\":\"text\",\"text\":\"<|image|>\"},{\"type\":\"input_audio\",\"data\":\"c\"}]}]", NULL, ask);
    is_int((long long)s->out.n_media, 3, "three media parts");
    static const char *const mark[] = {"<|image|>", "<|image|>", "<|audio|>"}, *const key[] = {"path", "path", "data"}, *const want[] = {"a", "b", "c"};
    for (size_t i = 0; i < s->out.n_media && i < 3; i++) {
        const struct g4_seg *seg = s->out.segs + s->out.media[i].seg;
        is_mem(seg->p, seg->n, mark[i], strlen(mark[i]), "the segment is the placeholder alone");
        ok(seg->mode == G4_SEG_TEMPLATE && g4_json_is(g4_json_get(s->out.media[i].part, key[i]), want[i]), "its part comes with it");
    }
    drop(s);
}

/* ---- detection ---------------------------------------------------------------------- */

static void detection(void)
{
    static const char large[] = "{{ '<|turn>' }}{{- '<|channel>thought\\n<channel|>' -}}", small[] = "{{ '<|turn>' }}", three[] = "{{ '<start_of_turn>' }}";
    g4_tokenizer *t4 = mini_tokenizer(mini_gemma4), *t3 = mini_tokenizer(mini_gemma3), *tf = mini_tokenizer(mini_function);
    const struct { const g4_tokenizer *t; const char *text, *name; uint64_t n; enum g4_chat_format want; const char *what; } row[] = {
        {t4, large, NULL, 0, G4_CHAT_GEMMA4_LARGE, "a large template"}, {t4, small, "x-31b", 0, G4_CHAT_GEMMA4_SMALL, "a small template"},
        {t4, NULL, "gemma-4-E2B", 0, G4_CHAT_NONE, "a base model"}, {t4, NULL, NULL, 99, G4_CHAT_NONE, "no name, no template"},
        {t4, NULL, "gemma-4-E4B-it", 0, G4_CHAT_GEMMA4_SMALL, "E4B by name"}, {t4, NULL, "Gemma 4 31B It", 0, G4_CHAT_GEMMA4_LARGE, "31B by name"},
        {t4, NULL, "mine-it", 30000000000u, G4_CHAT_GEMMA4_LARGE, "large by its parameters"}, {t4, NULL, "git-E2B", 0, G4_CHAT_NONE, "no word 'it'"},
        {t4, "{{ '<|im_start|>' }}", "x-it", 0, G4_CHAT_NONE, "somebody else's format"}, {t3, three, NULL, 0, G4_CHAT_GEMMA3, "Gemma 3"},
        {t3, small, NULL, 0, G4_CHAT_NONE, "a template of another family"}, {tf, three, NULL, 0, G4_CHAT_FUNCTIONGEMMA, "FunctionGemma"},
        {t3, NULL, "gemma-3-270m-it", 0, G4_CHAT_GEMMA3, "Gemma 3 by name"}, {t3, NULL, "Gemma 3 270m", 0, G4_CHAT_NONE, "Gemma 3, base"},
        {t3, "{{ '<start_of_turn>' }}{{ part['source_lang_code'] }}", NULL, 0, G4_CHAT_TRANSLATEGEMMA, "TranslateGemma"},
        {t3, NULL, "translategemma-4b-it", 0, G4_CHAT_TRANSLATEGEMMA, "TranslateGemma by name"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        is_int(g4_chat_detect(row[i].t, row[i].text, row[i].text ? strlen(row[i].text) : 0, row[i].name, row[i].n), row[i].want, row[i].what);
    g4_tokenizer_free(t4);
    g4_tokenizer_free(t3);
    g4_tokenizer_free(tf);
}

/* ---- random requests ------------------------------------------------------------------ */

/* Every string that a caller may choose freely holds this; it may stand in DATA only. */
#define CANARY "\xC2\xA7"

static uint32_t seed = 1;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static const char *any_of(const char *const *list, uint32_t n)
{
    return list[rnd(n)];
}

static void random_string(g4_str *s)
{
    static const char *const bit[] = {"x", " ", "<|turn>", "<turn|>", "<|\\\"|>", "\\n", "{", "}", "\\u0000", "<channel|>", "<|channel>", "\\ud83d\\ude42", ","};
    g4_str_adds(s, "\"" CANARY);
    for (uint32_t n = rnd(4); n; n--) g4_str_adds(s, any_of(bit, 13));
    g4_str_addc(s, '"');
}

static void random_json(g4_str *s, int depth)
{
    static const char *const atom[] = {"null", "true", "false", "0", "-1.5e300", "1e999", "12345678901234567890", "-0.0", "\"\""};
    static const char *const name[] = {
        "\"type\"", "\"properties\"", "\"items\"", "\"required\"", "\"enum\"", "\"description\"", "\"$ref\"", "\"anyOf\"", "\"const\"", "\"name\"",
        "\"content\"", "\"role\"", "\"text\"", "\"nullable\"", "\"response\"", "\"additionalProperties\"", "\"" CANARY "k\"", "\"function\"", "\"parameters\"", "\"arguments\"", "\"\"",
    };
    static const char *const word[] = {"\"object\"", "\"string\"", "\"array\"", "\"null\"", "\"integer\"", "\"#/properties\"", "\"#/\"", "\"text\"", "\"image\"", "\"user\""};
    const uint32_t kind = rnd(depth > 5 ? 3 : 6);
    if (kind == 0) g4_str_adds(s, any_of(atom, 9));
    else if (kind == 1) g4_str_adds(s, any_of(word, 10));
    else if (kind == 2) random_string(s);
    else {
        const bool object = kind > 3;
        g4_str_addc(s, object ? '{' : '[');
        for (uint32_t i = 0, n = rnd(5); i < n; i++) {
            if (i) g4_str_addc(s, ',');
            if (object) g4_str_addf(s, "%s:", any_of(name, 21));
            random_json(s, depth + 1);
        }
        g4_str_addc(s, object ? '}' : ']');
    }
}

static void random_messages(g4_str *s)
{
    static const char *const role[] = {"user", "assistant", "system", "tool", "developer", "assistant"};
    g4_str_addc(s, '[');
    for (uint32_t i = 0, n = rnd(6); i < n; i++) {
        g4_str_addf(s, "%s{\"role\":\"%s\",\"content\":", i ? "," : "", any_of(role, 6));
        if (rnd(3)) random_string(s);
        else random_json(s, 3);
        if (!rnd(3)) {
            g4_str_adds(s, ",\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f" CANARY "\",\"arguments\":");
            if (rnd(2)) g4_str_adds(s, "{}");
            else random_json(s, 2);
            g4_str_adds(s, "}}]");
        }
        if (!rnd(4)) {
            g4_str_adds(s, ",\"tool_responses\":");
            random_json(s, 2);
        }
        if (!rnd(4)) {
            g4_str_adds(s, ",\"reasoning\":");
            random_string(s);
        }
        g4_str_addc(s, '}');
    }
    g4_str_addc(s, ']');
}

static void random_requests(int n)
{
    int rendered = 0, leaks = 0, silent = 0;
    for (int i = 0; i < n; i++) {
        g4_str m = {0}, t = {0};
        random_messages(&m);
        if (!rnd(8)) {
            g4_str_clear(&m);
            random_json(&m, 0);
        }
        g4_str_adds(&t, "[{\"function\":{\"name\":\"f" CANARY "\",\"parameters\":");
        random_json(&t, 0);
        g4_str_adds(&t, "}}]");
        if (!rnd(8)) {
            g4_str_clear(&t);
            random_json(&t, 0);
        }
        g4_arena arena = {0};
        g4_err err = {0};
        struct g4_chat_out out;
        struct g4_chat_in in = {.format = (enum g4_chat_format)(1 + rnd(4)), .think = rnd(2), .add_generation_prompt = rnd(2), .exact = rnd(2), .preserve_thinking = rnd(2), .tool_text = rnd(2)};
        if (g4_json_check(m.p, m.n, &in.messages, NULL) || (rnd(2) && g4_json_check(t.p, t.n, &in.tools, NULL))) ok(false, "made JSON: %s", m.p);
        if (!g4_chat_render(&in, &arena, &out, &err)) {
            rendered++;
            for (size_t k = 0; k < out.n_seg; k++) {
                g4_str z = {0};
                g4_str_add(&z, out.segs[k].p, out.segs[k].n);
                leaks += out.segs[k].mode != G4_SEG_DATA && strstr(z.p, CANARY);
                g4_str_free(&z);
            }
        } else {
            silent += !err.msg[0];
        }
        g4_arena_free(&arena);
        g4_str_free(&m);
        g4_str_free(&t);
    }
    ok(rendered > n / 5, "random requests: %d of %d rendered", rendered, n);
    is_int(leaks, 0, "a caller's text never stands in a template segment");
    is_int(silent, 0, "every refusal says why");
}

int main(void)
{
    const size_t n = each_line("tests/data/chat/render.jsonl", vector, NULL);
    is_int((long long)n, 160, "vectors");
    is_int((long long)n_wrong, 0, "wrong among them, in both modes");
    schemas();
    repairs();
    errors();
    media();
    detection();
    random_requests(getenv("G4_TEST_FULL") ? 200000 : 10000);
    return done_testing();
}
