/* text/parse: the states of prompt-format spec 4.3.
 *
 *   ROLE      behind a turn mark at the very start: "model\n" is swallowed
 *   CONTENT   the answer; while nothing of it is out (`fresh`), text that may yet
 *             turn out to be a call without its mark is held back
 *   LABEL     behind a channel mark: "thought\n" is swallowed
 *   THOUGHT
 *   CALL      text of a call, special pieces as marks (parse_impl.h)
 *   END       a stop piece came; nothing counts any more
 *
 * Trailing blanks are held back in `blanks` until text follows; a call, a thought
 * or the end drops them.  Arguments are read when a call is complete. */
#define _GNU_SOURCE /* memrchr */
#include "text/parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/parse_impl.h"

enum state { ROLE, CONTENT, LABEL, THOUGHT, CALL, END };

static const char label[] = "thought\n";

/* Pieces with a meaning, by mark. */
struct pieces {
    g4_spelling spell;
    int32_t id[0xFF - G4_MARK_LEAST + 1];
};

struct scan {               /* where in a call the next piece falls */
    bool named;             /* its opening brace was seen */
    bool quoted;            /* between string delimiters */
    char json;              /* inside a JSON or Python string: its quote, else 0 */
    bool escaped;
    char before;            /* last character that is no blank */
    int depth;              /* braces and brackets open */
    int nested;             /* call marks inside, not closed */
};

struct g4_parse {
    const g4_tokenizer *tok;
    bool chat, calls;       /* the format has marks at all; it has calls */
    struct pieces pieces;
    g4_json tools;
    g4_str tools_text;
    enum state state;
    struct g4_utf8_stream utf8;
    g4_str *answer, *thought; /* of the push in progress */
    g4_str blanks;          /* held back */
    bool skip_blanks;       /* behind a call or a thought */
    bool fresh;             /* no answer text is out */
    bool began;             /* anything came */
    bool thought_out, thought_gap; /* thought text is out; the next bit begins a second thought */
    g4_str held;            /* CONTENT while fresh, LABEL, ROLE */
    uint32_t held_tokens, thought_tokens;
    g4_str call;            /* marked text */
    bool bare;              /* of a call without its opening mark */
    struct scan scan;
    size_t maybe_end;       /* length of call at a close mark inside an open string; 0: none */
    g4_str text;            /* text-only input that may be the start of a mark */
    struct g4_parsed_call *done;
    size_t n_done, cap_done;
    struct g4_parse_error *errors;
    size_t n_errors, cap_errors;
};

/* ---- pieces ------------------------------------------------------------------ */

static void spellings(enum g4_chat_format f, g4_spelling s)
{
    static const struct { enum g4_mark mark; const char *gemma4, *gemma3, *function; } row[] = {
        {G4_MARK_QUOTE, "<|\"|>", NULL, "<escape>"},
        {G4_MARK_CALL_OPEN, "<|tool_call>", NULL, "<start_function_call>"},
        {G4_MARK_CALL_CLOSE, "<tool_call|>", NULL, "<end_function_call>"},
        {G4_MARK_CHANNEL_OPEN, "<|channel>", "<unused94>", "<unused94>"},
        {G4_MARK_CHANNEL_CLOSE, "<channel|>", "<unused95>", "<unused95>"},
        {G4_MARK_RESP_OPEN, "<|tool_response>", NULL, "<start_function_response>"},
        {G4_MARK_RESP_CLOSE, "<tool_response|>", NULL, "<end_function_response>"},
        {G4_MARK_TURN_OPEN, "<|turn>", "<start_of_turn>", "<start_of_turn>"},
        {G4_MARK_TURN_CLOSE, "<turn|>", "<end_of_turn>", "<end_of_turn>"},
        {G4_MARK_EOS, "<eos>", "<eos>", "<eos>"},
    };
    memset(s, 0, sizeof(g4_spelling));
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const bool gemma4 = g4_chat_is_gemma4(f);
        if (f == G4_CHAT_NONE && row[i].mark != G4_MARK_EOS) continue;
        s[0xFF - row[i].mark] = gemma4 ? row[i].gemma4 : f == G4_CHAT_FUNCTIONGEMMA ? row[i].function : row[i].gemma3;
    }
}

static void find_pieces(const g4_tokenizer *t, enum g4_chat_format f, struct pieces *p)
{
    spellings(f, p->spell);
    for (int i = 0; i <= 0xFF - G4_MARK_LEAST; i++)
        p->id[i] = p->spell[i] ? g4_tokenizer_find(t, p->spell[i], strlen(p->spell[i])) : -1;
}

static int mark_of(const struct pieces *p, int32_t id)
{
    for (int i = 0; i <= 0xFF - G4_MARK_LEAST; i++)
        if (p->id[i] == id && id >= 0) return 0xFF - i;
    return 0;
}

size_t g4_parse_stop_ids(const g4_tokenizer *t, enum g4_chat_format f, int32_t out[8])
{
    static const enum g4_mark stop[] = {G4_MARK_EOS, G4_MARK_TURN_CLOSE, G4_MARK_RESP_OPEN, G4_MARK_TURN_OPEN};
    struct pieces p;
    size_t n = 0;
    find_pieces(t, f, &p);
    for (size_t i = 0; i < sizeof stop / sizeof *stop; i++)
        if (p.id[0xFF - stop[i]] >= 0) out[n++] = p.id[0xFF - stop[i]];
    const int32_t eos = g4_tokenizer_vocab(t)->eos;
    bool have = eos < 0;
    for (size_t i = 0; i < n; i++) have |= out[i] == eos;
    if (!have) out[n++] = eos;
    return n;
}

/* ---- answer and thought --------------------------------------------------------- */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

/* Appends to out what is certain, keeps trailing blanks.  True when anything went out. */
static bool put_held_back(g4_parse *p, g4_str *out, const char *s, size_t n)
{
    size_t solid = n;
    while (solid && blank(s[solid - 1])) solid--;
    if (solid) {
        g4_str_add(out, p->blanks.p ? p->blanks.p : "", p->blanks.n);
        g4_str_clear(&p->blanks);
        g4_str_add(out, s, solid);
    }
    g4_str_add(&p->blanks, s + solid, n - solid);
    return solid > 0;
}

static void put_answer(g4_parse *p, const char *s, size_t n)
{
    if (p->skip_blanks) {
        for (; n && blank(*s); n--) s++;
        if (n) p->skip_blanks = false;
    }
    if (put_held_back(p, p->answer, s, n)) p->fresh = false;
}

static void put_thought(g4_parse *p, const char *s, size_t n)
{
    if (p->thought_gap && n) {
        g4_str_addc(&p->blanks, '\n');
        p->thought_gap = false;
    }
    if (put_held_back(p, p->thought, s, n)) p->thought_out = true;
}

/* ---- calls ------------------------------------------------------------------------ */

static void add_error(g4_parse *p, const char *kind, g4_sv name, const char *raw, size_t n)
{
    g4_str s = {0};
    g4_marked_text(p->pieces.spell, raw, n, &s);
    G4_GROW(p->errors, p->cap_errors, p->n_errors + 1);
    p->errors[p->n_errors++] = (struct g4_parse_error){kind, name.n ? g4_strndup(name.p, name.n) : NULL, g4_str_take(&s)};
}

static g4_json find_tool(const g4_parse *p, g4_sv name)
{
    char z[512];
    if (!name.n || name.n >= sizeof z) return (g4_json){0};
    memcpy(z, name.p, name.n);
    z[name.n] = 0;
    for (g4_json_it it = g4_json_iter(p->tools); g4_json_next(&it);) {
        const g4_json f = g4_json_get(it.value, "function");
        if (g4_json_is(g4_json_get(f, "name"), z)) return f;
    }
    return (g4_json){0};
}

static g4_sv trim(g4_sv s)
{
    for (; s.n && blank(*s.p); s.n--) s.p++;
    while (s.n && blank(s.p[s.n - 1])) s.n--;
    return s;
}

/* The name in front of the arguments: "call:f", ":f", and, when tools are
 * declared, "f" and "call:ns:f".  False when it names nothing. */
static bool call_name(const g4_parse *p, g4_sv text, g4_sv *name, g4_json *tool)
{
    text = trim(text);
    const bool marked = g4_sv_has_prefix(text, "call:") || g4_sv_has_prefix(text, ":");
    if (marked) {
        const size_t skip = text.p[0] == ':' ? 1 : 5;
        text = trim((g4_sv){text.p + skip, text.n - skip});
    }
    *name = text;
    *tool = (g4_json){0};
    if (!p->tools.p) return marked && text.n;
    *tool = find_tool(p, text);
    if (tool->p) return true;
    const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
    if (colon) {
        const g4_sv last = {colon + 1, text.n - (size_t)(colon + 1 - text.p)};
        *tool = find_tool(p, last);
        if (tool->p) *name = last;
    }
    return tool->p || (marked && text.n);
}

/* Reads the collected call and goes back to content. */
static void finish_call(g4_parse *p)
{
    const g4_sv c = {p->call.p ? p->call.p : "", p->call.n};
    g4_sv name = {0};
    g4_json tool;
    size_t at = 0;
    while (at < c.n && c.p[at] != '{' && c.p[at] != '(') at++;
    g4_str args = {0};
    if (at == c.n || !call_name(p, (g4_sv){c.p, at}, &name, &tool)) {
        add_error(p, "tool_call_parse", (g4_sv){0}, c.p, c.n);
    } else if (p->tools.p && !tool.p) {
        add_error(p, "unknown_tool", name, c.p, c.n);
    } else if (!g4_args_json(p->pieces.spell, (g4_sv){c.p + at, c.n - at}, g4_json_get(tool, "parameters"), &args)) {
        add_error(p, "tool_call_parse", name, c.p, c.n);
    } else {
        G4_GROW(p->done, p->cap_done, p->n_done + 1);
        p->done[p->n_done++] = (struct g4_parsed_call){g4_strndup(name.p, name.n), g4_str_take(&args)};
    }
    g4_str_free(&args);
    g4_str_clear(&p->call);
    p->maybe_end = 0;
    p->state = CONTENT;
    p->skip_blanks = true;
}

static void start_call(g4_parse *p, bool bare)
{
    g4_str_clear(&p->blanks);
    g4_str_clear(&p->call);
    p->scan = (struct scan){0};
    p->maybe_end = 0;
    p->bare = bare;
    p->state = CALL;
}

/* A close mark inside an open string: was it the end?  Yes, now that something
 * follows which no string holds; what stands behind it is answer text. */
static void content(g4_parse *p, const char *s, size_t n);

static void settle_call(g4_parse *p)
{
    if (!p->maybe_end) return;
    g4_str rest = {0};
    for (size_t i = p->maybe_end; i < p->call.n; i++)
        if ((unsigned char)p->call.p[i] < G4_MARK_LEAST) g4_str_addc(&rest, p->call.p[i]);
    p->call.n = p->maybe_end;
    finish_call(p);
    content(p, rest.p ? rest.p : "", rest.n);
    g4_str_free(&rest);
}

/* True when a call without marks is complete. */
static bool scan_char(struct scan *s, char c)
{
    if (s->quoted) return false;
    if (s->json) {
        if (s->escaped) s->escaped = false;
        else if (c == '\\') s->escaped = true;
        else if (c == s->json) s->json = 0;
        return false;
    }
    if (blank(c)) return false;
    if (!s->named) {
        s->named = c == '{' || c == '(';
        s->depth = s->named;
    } else if ((c == '"' || c == '\'') && s->before && strchr(":,[{=(", s->before)) {
        s->json = c;
    } else if (c == '{' || c == '[') {
        s->depth++;
    } else if (c == '}' || c == ']') {
        s->depth--;
    }
    s->before = c;
    return s->named && s->depth <= 0;
}

static void call_text(g4_parse *p, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g4_str_addc(&p->call, s[i]);
        if (!scan_char(&p->scan, s[i]) || !p->bare) continue;
        finish_call(p);
        content(p, s + i + 1, n - i - 1);
        return;
    }
}

static void call_quote(g4_parse *p)
{
    struct scan *s = &p->scan;
    g4_str_addc(&p->call, (char)G4_MARK_QUOTE);
    if (s->quoted) {
        s->quoted = false;
        s->nested = 0;
        s->before = '"';
        p->maybe_end = 0; /* the string went on behind it */
    } else if (!s->before || strchr(":,[{=(", s->before)) {
        s->quoted = true;
    }
    s->json = 0;
}

/* ---- text by state ---------------------------------------------------------------------- */

/* Is s a beginning of "call:NAME{" of a declared tool (1), all of it (2), or
 * neither (0)? */
static int bare_call(const g4_parse *p, const char *s, size_t n)
{
    static const char head[] = "call:";
    if (!p->calls || !p->tools.p) return 0;
    if (n < sizeof head - 1) return memcmp(s, head, n) == 0;
    if (memcmp(s, head, sizeof head - 1)) return 0;
    s += sizeof head - 1;
    n -= sizeof head - 1;
    for (g4_json_it it = g4_json_iter(p->tools); g4_json_next(&it);) {
        g4_str name = {0};
        const g4_json v = g4_json_path(it.value, "function", "name");
        if (g4_json_type(v) == G4_JSON_STRING) g4_json_str(v, &name);
        g4_str_addc(&name, '{');
        const int hit = n <= name.n && memcmp(s, name.p, n) == 0 ? 1 + (n == name.n) : 0;
        g4_str_free(&name);
        if (hit) return hit;
    }
    return 0;
}

/* Text before any answer is out: held back while it may be a lone label or a call. */
static void fresh_content(g4_parse *p, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!p->held.n && blank(s[i])) {
            put_answer(p, s + i, 1);
            continue;
        }
        g4_str_addc(&p->held, s[i]);
        const int call = bare_call(p, p->held.p, p->held.n);
        if (call == 2) {
            start_call(p, true);
            g4_str held = p->held;
            p->held = (g4_str){0};
            call_text(p, held.p, held.n);
            g4_str_free(&held);
            call_text(p, s + i + 1, n - i - 1);
            return;
        }
        const bool lone = p->held.n < sizeof label && memcmp(p->held.p, label, p->held.n) == 0;
        if (call || lone) continue;
        put_answer(p, p->held.p, p->held.n);
        g4_str_clear(&p->held);
        put_answer(p, s + i + 1, n - i - 1);
        return;
    }
}

static void content(g4_parse *p, const char *s, size_t n)
{
    if (!p->chat) g4_str_add(p->answer, s, n);
    else if (p->fresh) fresh_content(p, s, n);
    else put_answer(p, s, n);
}

static void label_text(g4_parse *p, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g4_str_addc(&p->held, s[i]);
        if (memcmp(p->held.p, label, p->held.n)) {
            p->state = THOUGHT;
            p->thought_tokens += p->held_tokens;
            put_thought(p, p->held.p, p->held.n);
        } else if (p->held.n < sizeof label - 1) {
            continue;
        }
        p->state = THOUGHT;
        p->held_tokens = 0;
        g4_str_clear(&p->held);
        put_thought(p, s + i + 1, n - i - 1);
        return;
    }
}

static void role_text(g4_parse *p, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] != '\n' && p->held.n < 5) {
            g4_str_addc(&p->held, s[i]);
            continue;
        }
        const bool model = s[i] == '\n' && p->held.n == 5 && memcmp(p->held.p, "model", 5) == 0;
        g4_str_clear(&p->held);
        p->state = model ? CONTENT : END;
        if (model) content(p, s + i + 1, n - i - 1);
        return;
    }
}

/* Whole characters, in the state's own way. */
static void chars(g4_parse *p, const char *s, size_t n)
{
    if (!n) return;
    p->began = true;
    switch (p->state) {
    case ROLE: role_text(p, s, n); break;
    case CONTENT: content(p, s, n); break;
    case LABEL: label_text(p, s, n); break;
    case THOUGHT: put_thought(p, s, n); break;
    case CALL: call_text(p, s, n); break;
    case END: break;
    }
}

static void bytes(g4_parse *p, const char *s, size_t n)
{
    g4_str whole = {0};
    g4_utf8_stream_push(&p->utf8, s, n, &whole);
    chars(p, whole.p ? whole.p : "", whole.n);
    g4_str_free(&whole);
}

static void flush_bytes(g4_parse *p)
{
    g4_str rest = {0};
    g4_utf8_stream_flush(&p->utf8, &rest);
    chars(p, rest.p ? rest.p : "", rest.n);
    g4_str_free(&rest);
}

/* ---- marks by state ---------------------------------------------------------------------- */

static void open_thought(g4_parse *p)
{
    g4_str_clear(&p->blanks);
    p->state = LABEL;
    p->held_tokens = 0;
    p->thought_gap = p->thought_out;
}

/* Leaves CONTENT, LABEL or THOUGHT: what was held back goes out or is dropped. */
static void leave(g4_parse *p, bool closed)
{
    if (p->state == CONTENT && p->held.n) {
        put_answer(p, p->held.p, p->held.n);
    } else if (p->state == LABEL && closed && p->held.n && p->held.n < sizeof label - 2) {
        p->thought_tokens += p->held_tokens; /* cut short of "thought": the thought itself */
        put_thought(p, p->held.p, p->held.n);
    }
    g4_str_clear(&p->held);
    g4_str_clear(&p->blanks);
}

static void mark_in_content(g4_parse *p, int mark)
{
    if (mark == G4_MARK_CHANNEL_CLOSE && p->held.n >= sizeof label - 2 && memcmp(p->held.p, label, p->held.n) == 0) {
        g4_str_clear(&p->held); /* a thought that lost its opening mark */
        g4_str_clear(&p->blanks);
        p->skip_blanks = true;
    } else if (mark == G4_MARK_CHANNEL_OPEN || mark == G4_MARK_CALL_OPEN) {
        leave(p, false);
        if (mark == G4_MARK_CHANNEL_OPEN) open_thought(p);
        else start_call(p, false);
    } else if (mark == G4_MARK_QUOTE) {
        content(p, p->pieces.spell[0], strlen(p->pieces.spell[0]));
    } /* stray closers mean nothing */
}

static void mark_in_thought(g4_parse *p, int mark)
{
    if (mark == G4_MARK_CHANNEL_CLOSE || mark == G4_MARK_CALL_OPEN) {
        leave(p, true);
        p->state = CONTENT;
        p->skip_blanks = true;
        if (mark == G4_MARK_CALL_OPEN) start_call(p, false);
    } else if (mark == G4_MARK_CHANNEL_OPEN) {
        if (p->state == THOUGHT) p->state = LABEL; /* its label comes again */
    } else if (mark == G4_MARK_QUOTE) {
        chars(p, p->pieces.spell[0], strlen(p->pieces.spell[0]));
    }
}

static void mark_in_call(g4_parse *p, int mark)
{
    struct scan *s = &p->scan;
    if (mark == G4_MARK_QUOTE) {
        call_quote(p);
    } else if (p->maybe_end && (mark == G4_MARK_CALL_OPEN || mark == G4_MARK_CHANNEL_OPEN)) {
        settle_call(p);
        mark_in_content(p, mark);
    } else if (mark == G4_MARK_CALL_OPEN) {
        if (s->quoted || s->depth > 0) {
            g4_str_addc(&p->call, (char)mark); /* data: a nested call is never made */
            s->nested++;
        } else {
            finish_call(p);
            start_call(p, false);
        }
    } else if (mark == G4_MARK_CALL_CLOSE) {
        if (s->nested > 0) {
            s->nested--;
            g4_str_addc(&p->call, (char)mark);
        } else if (s->quoted) {
            if (!p->maybe_end) p->maybe_end = p->call.n;
            g4_str_addc(&p->call, (char)mark);
        } else {
            finish_call(p);
        }
    } else if (s->quoted) {
        g4_str_addc(&p->call, (char)mark);
    } else if (mark == G4_MARK_CHANNEL_OPEN) {
        finish_call(p);
        open_thought(p);
    }
}

/* The turn is over.  cut: by length, so that a call without its end is incomplete
 * and counts as nothing. */
static void end_turn(g4_parse *p, bool cut)
{
    flush_bytes(p);
    if (p->state == CALL) {
        bool whole = !cut;
        for (size_t i = p->maybe_end; cut && i && blank(p->call.p[i - 1]); i--) p->maybe_end = i - 1;
        if (cut && p->maybe_end) whole = p->call.p[p->maybe_end - 1] == '}';
        if (p->maybe_end && whole) settle_call(p);
        else if (whole) finish_call(p);
    }
    leave(p, false);
    p->state = END;
}

static bool mark(g4_parse *p, int m)
{
    flush_bytes(p);
    if (m == G4_MARK_TURN_OPEN && !p->began && p->state == CONTENT) {
        p->state = ROLE;
        p->began = true;
        return false;
    }
    p->began = true;
    if (m == G4_MARK_TURN_CLOSE || m == G4_MARK_RESP_OPEN || m == G4_MARK_EOS || m == G4_MARK_TURN_OPEN) {
        end_turn(p, false);
        return true;
    }
    switch (p->state) {
    case CONTENT: mark_in_content(p, m); break;
    case LABEL:
    case THOUGHT: mark_in_thought(p, m); break;
    case CALL: mark_in_call(p, m); break;
    default: break;
    }
    return p->state == END;
}

/* ---- the calls of parse.h ------------------------------------------------------------------- */

g4_parse *g4_parse_new(const struct g4_parse_params *q)
{
    g4_parse *p = g4_alloc(sizeof *p);
    p->tok = q->tok;
    p->chat = q->format != G4_CHAT_NONE;
    find_pieces(q->tok, q->format, &p->pieces);
    p->calls = p->pieces.spell[0xFF - G4_MARK_CALL_OPEN] != NULL;
    if (g4_json_type(q->tools) == G4_JSON_ARRAY) {
        g4_str_add(&p->tools_text, q->tools.p, q->tools.n);
        p->tools = (g4_json){p->tools_text.p, p->tools_text.n};
    }
    p->state = q->open_thought ? THOUGHT : CONTENT;
    p->fresh = true;
    return p;
}

void g4_parse_free(g4_parse *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n_done; i++) {
        free((char *)p->done[i].name);
        free((char *)p->done[i].arguments);
    }
    for (size_t i = 0; i < p->n_errors; i++) {
        free((char *)p->errors[i].name);
        free((char *)p->errors[i].raw);
    }
    free(p->done);
    free(p->errors);
    g4_str_free(&p->tools_text);
    g4_str_free(&p->blanks);
    g4_str_free(&p->held);
    g4_str_free(&p->call);
    g4_str_free(&p->text);
    free(p);
}

bool g4_parse_push(g4_parse *p, int32_t id, g4_str *answer, g4_str *thought)
{
    p->answer = answer;
    p->thought = thought;
    if (p->state == END) return true;
    const int m = mark_of(&p->pieces, id);
    if (m) return mark(p, m);
    if (id >= 0 && id == g4_tokenizer_vocab(p->tok)->eos) return mark(p, G4_MARK_EOS);
    if (p->state == THOUGHT) p->thought_tokens++;
    if (p->state == LABEL) p->held_tokens++;
    g4_str s = {0};
    g4_tokenizer_piece(p->tok, id, p->state == CALL, &s);
    bytes(p, s.p ? s.p : "", s.n);
    g4_str_free(&s);
    return p->state == END;
}

/* Longest mark at s, 0 when there is none; *more: what is there may become one. */
static int mark_at(const g4_parse *p, const char *s, size_t n, size_t *len, bool *more)
{
    for (int i = 0; i <= 0xFF - G4_MARK_LEAST; i++) {
        const char *z = p->pieces.spell[i];
        const size_t have = z ? strlen(z) : 0;
        if (!z || memcmp(s, z, n < have ? n : have)) continue;
        if (n >= have) {
            *len = have;
            return 0xFF - i;
        }
        *more = true;
    }
    return 0;
}

void g4_parse_push_text(g4_parse *p, const char *s, size_t n, g4_str *answer, g4_str *thought)
{
    p->answer = answer;
    p->thought = thought;
    g4_str_add(&p->text, s, n);
    size_t at = 0;
    while (at < p->text.n && p->state != END) {
        const char *next = memchr(p->text.p + at, '<', p->text.n - at);
        const size_t plain = next ? (size_t)(next - p->text.p) - at : p->text.n - at;
        if (plain) {
            bytes(p, p->text.p + at, plain);
            at += plain;
            continue;
        }
        size_t len = 1;
        bool more = false;
        const int m = mark_at(p, p->text.p + at, p->text.n - at, &len, &more);
        if (!m && more) break;
        if (m) mark(p, m);
        else bytes(p, p->text.p + at, 1);
        at += len;
    }
    memmove(p->text.p, p->text.p + at, p->text.n - at);
    p->text.n -= at;
}

void g4_parse_end(g4_parse *p, bool by_length, g4_str *answer, g4_str *thought)
{
    p->answer = answer;
    p->thought = thought;
    if (p->state == END) return;
    if (p->text.n) bytes(p, p->text.p, p->text.n);
    g4_str_clear(&p->text);
    end_turn(p, by_length);
}

bool g4_parse_stopped(const g4_parse *p)
{
    return p->state == END;
}

bool g4_parse_in_thought(const g4_parse *p)
{
    return p->state == LABEL || p->state == THOUGHT;
}

bool g4_parse_in_call(const g4_parse *p)
{
    return p->state == CALL;
}

uint32_t g4_parse_thought_tokens(const g4_parse *p)
{
    return p->thought_tokens;
}

size_t g4_parse_calls(const g4_parse *p, const struct g4_parsed_call **out)
{
    *out = p->done;
    return p->n_done;
}

size_t g4_parse_errors(const g4_parse *p, const struct g4_parse_error **out)
{
    *out = p->errors;
    return p->n_errors;
}
