/* cmd/chat_command: see chat.h. */
#define _GNU_SOURCE /* memrchr */
#include "chat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_MAX = 256 << 20 };

static enum g4_chat_next fail_with(const char *msg)
{
    g4_tool_error("%s", msg);
    return G4_CHAT_READ;
}

/* ---- what is said -------------------------------------------------------- */

static enum g4_chat_next do_file(struct g4_chat *c, const char *rest)
{
    char **words = g4_line_words(rest);
    if (!words[0]) fail_with("/file wants the names of files");
    for (size_t i = 0; words[i]; i++) {
        g4_err err = {0};
        g4_str part = {0};
        if (g4_request_part(words[i], &part, &err)) {
            g4_tool_error("%s", err.msg);
        } else {
            if (c->parts.n) g4_str_addc(&c->parts, ',');
            g4_str_add(&c->parts, part.p, part.n);
            fprintf(stderr, "%s goes with the next message\n", words[i]);
        }
        g4_str_free(&part);
    }
    g4_line_words_free(words);
    return G4_CHAT_READ;
}

static enum g4_chat_next do_system(struct g4_chat *c, const char *rest)
{
    g4_err err = {0};
    g4_str text = {0};
    if (!*rest) {
        fprintf(stderr, "%s\n", c->talk.system ? c->talk.system : "(no system text)");
        return G4_CHAT_READ;
    }
    if (*rest == '@' && g4_file_read(rest + 1, G4_ITEM_MAX, &text, &err)) return fail_with(err.msg);
    if (*rest != '@') g4_str_adds(&text, strcmp(rest, "none") ? rest : "");
    free(c->talk.system);
    c->talk.system = text.n ? g4_strndup(text.p, strlen(text.p)) : NULL;
    g4_str_free(&text);
    return G4_CHAT_READ;
}

static enum g4_chat_next do_think(struct g4_chat *c, const char *rest)
{
    g4_err err = {0};
    double n = -1;
    const bool on = c->options.set & G4_OPT_THINK && c->options.think;
    if (!*rest) n = on ? 0 : -1;
    else if (!strcmp(rest, "off")) n = 0;
    else if (strcmp(rest, "on") && g4_opt_number("think", rest, 0, 1e6, true, &n, &err))
        return fail_with("/think takes on, off or a number of tokens");
    if (n && !c->r->info->can_think) {
        g4_tool_error("'%s' has no thinking mode", c->r->info->model_name);
        return G4_CHAT_READ;
    }
    c->options.think = (int32_t)n;
    c->options.set |= G4_OPT_THINK;
    if (n > 0) fprintf(stderr, "thinking is on, %d tokens at most\n", c->options.think);
    else fprintf(stderr, "thinking is %s\n", n ? "on" : "off");
    return G4_CHAT_READ;
}

/* ---- the conversation ---------------------------------------------------- */

static enum g4_chat_next do_retry(struct g4_chat *c, const char *rest)
{
    if (!g4_talk_reopen(&c->talk)) return fail_with("nothing was asked yet");
    c->sample++;
    return G4_CHAT_ANSWER;
}

static enum g4_chat_next do_undo(struct g4_chat *c, const char *rest)
{
    if (!g4_talk_undo(&c->talk)) return fail_with("nothing was asked yet");
    fprintf(stderr, "the last question and its answer are forgotten\n");
    return G4_CHAT_READ;
}

static enum g4_chat_next do_new(struct g4_chat *c, const char *rest)
{
    while (g4_talk_undo(&c->talk)) {}
    g4_str_clear(&c->parts);
    fprintf(stderr, "a new conversation\n");
    return G4_CHAT_READ;
}

static enum g4_chat_next do_quit(struct g4_chat *c, const char *rest)
{
    c->ended = true;
    return G4_CHAT_READ;
}

/* ---- records ------------------------------------------------------------- */

static void put_number(g4_str *s, const char *name, double v, bool whole)
{
    if (s->p[s->n - 1] != '{') g4_str_addc(s, ',');
    g4_str_addf(s, "\"%s\":", name);
    if (whole) g4_str_addf(s, "%.0f", v);
    else g4_json_put_f32(s, (float)v);
}

/* The options that were given, as a record has them. */
static void put_options(const g4_options *o, g4_str *s)
{
    const struct {
        uint32_t bit;
        const char *name;
        double v;
        bool whole;
    } list[] = {
        { G4_OPT_TEMPERATURE, "temperature", o->temperature, false },
        { G4_OPT_TOP_K, "top_k", o->top_k, true },
        { G4_OPT_TOP_P, "top_p", o->top_p, false },
        { G4_OPT_MIN_P, "min_p", o->min_p, false },
        { G4_OPT_REPEAT_PENALTY, "repeat_penalty", o->repeat_penalty, false },
        { G4_OPT_FREQUENCY_PENALTY, "frequency_penalty", o->frequency_penalty, false },
        { G4_OPT_PRESENCE_PENALTY, "presence_penalty", o->presence_penalty, false },
        { G4_OPT_MAX_TOKENS, "max_tokens", o->max_tokens, true },
        { G4_OPT_SEED, "seed", (double)o->seed, true },
    };
    g4_str_adds(s, "\"options\":{");
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (o->set & list[i].bit) put_number(s, list[i].name, list[i].v, list[i].whole);
    if (o->set & G4_OPT_THINK && o->think > 0) put_number(s, "think", o->think, true);
    else if (o->set & G4_OPT_THINK) g4_str_addf(s, "%s\"think\":%s", s->p[s->n - 1] == '{' ? "" : ",", o->think ? "true" : "false");
    if (o->set & G4_OPT_COMPACT) g4_str_addf(s, "%s\"compact\":%s", s->p[s->n - 1] == '{' ? "" : ",", o->compact ? "true" : "false");
    if (o->set & G4_OPT_TOOL_CHOICE) {
        g4_str_addf(s, "%s\"tool_choice\":", s->p[s->n - 1] == '{' ? "" : ",");
        g4_json_put_str(s, o->tool_choice, strlen(o->tool_choice));
    }
    if (o->set & G4_OPT_STOP) g4_str_addf(s, "%s\"stop\":%s", s->p[s->n - 1] == '{' ? "" : ",", o->stop_json);
    g4_str_addc(s, '}');
}

static void put_record(const struct g4_chat *c, g4_str *s)
{
    const g4_engine_info *info = c->r->info;
    const g4_json text = g4_talk_last(&c->talk, "content");
    g4_str_addc(s, '{');
    g4_talk_members(&c->talk, s);
    g4_str_addc(s, ',');
    put_options(&c->options, s);
    if (g4_json_is(g4_talk_last(&c->talk, "role"), "assistant") && g4_json_type(text) == G4_JSON_STRING) {
        g4_str_adds(s, ",\"text\":");
        g4_str_add(s, text.p, text.n);
    }
    g4_str_adds(s, ",\"model\":{\"name\":");
    g4_json_put_str(s, info->model_name, strlen(info->model_name));
    g4_str_adds(s, ",\"digest\":");
    g4_json_put_str(s, info->model_digest, strlen(info->model_digest));
    g4_str_addf(s, "},\"seed\":%" PRIu64 "}\n", c->options.seed);
}

/* The last record of a file of JSONL. */
static int last_record(const char *path, g4_str *text, g4_json *out, g4_err *err)
{
    if (g4_file_read(path, RECORD_MAX, text, err)) return err->code;
    size_t end = text->n;
    while (end && strchr(" \t\r\n", text->p[end - 1])) end--;
    if (!end) return g4_fail(err, G4_EINPUT, "'%s' is empty", path);
    const char *nl = memrchr(text->p, '\n', end);
    const char *p = nl ? nl + 1 : text->p;
    g4_err why = {0};
    if (g4_json_check(p, (size_t)(text->p + end - p), out, &why)) return g4_fail(err, G4_EINPUT, "'%s': %s", path, why.msg);
    return G4_OK;
}

/* A file that holds something else than a conversation is not written over. */
static bool may_replace(const struct g4_chat *c, const char *path)
{
    g4_str text = {0};
    g4_json record = {0};
    g4_err err = {0};
    if (!g4_file_exists(path) || (c->file && strcmp(c->file, path) == 0)) return true;
    const bool ours = !last_record(path, &text, &record, &err) && g4_json_get(record, "messages").n;
    g4_str_free(&text);
    return ours;
}

/* The name that was typed, or that of the last time. */
static char *file_name(struct g4_chat *c, const char *rest)
{
    char **words = g4_line_words(rest);
    char *name = words[0] && !words[1] ? g4_strdup(words[0]) : !words[0] && c->file ? g4_strdup(c->file) : NULL;
    g4_line_words_free(words);
    if (!name) g4_tool_error("which file?");
    return name;
}

static void keep_name(struct g4_chat *c, char *name)
{
    free(c->file);
    c->file = name;
}

static enum g4_chat_next do_save(struct g4_chat *c, const char *rest)
{
    g4_err err = {0};
    g4_str s = {0};
    char *name = file_name(c, rest);
    if (!name) return G4_CHAT_READ;
    if (!may_replace(c, name)) {
        g4_tool_error("'%s' is there and holds no conversation: it is not replaced", name);
        free(name);
        return G4_CHAT_READ;
    }
    put_record(c, &s);
    const int rc = g4_file_write_atomic(name, s.p, s.n, &err);
    g4_str_free(&s);
    if (rc) {
        g4_tool_error("%s", err.msg);
        free(name);
        return G4_CHAT_READ;
    }
    fprintf(stderr, "%zu messages are in %s\n", c->talk.n, name);
    keep_name(c, name);
    return G4_CHAT_READ;
}

/* A text that the record's options brought, into memory that lives as long as the run. */
static const char *keep_text(struct g4_chat *c, const char *text, const char *had)
{
    if (!text || text == had) return had;
    const char *kept = g4_arena_strndup(&c->r->keep, text, strlen(text));
    free((char *)text);
    return kept;
}

static enum g4_chat_next do_load(struct g4_chat *c, const char *rest)
{
    g4_err err = {0};
    g4_str text = {0};
    g4_json record;
    g4_options options = c->options;
    char *name = file_name(c, rest);
    if (!name) return G4_CHAT_READ;
    int rc = last_record(name, &text, &record, &err);
    if (!rc) rc = g4_options_read(g4_json_get(record, "options"), &options, &err);
    if (!rc) rc = g4_talk_read(&c->talk, record, &err);
    if (rc) {
        g4_tool_error("%s", err.msg);
        free(name);
    } else {
        options.stop_json = keep_text(c, options.stop_json, c->options.stop_json);
        options.tool_choice = keep_text(c, options.tool_choice, c->options.tool_choice);
        c->options = options;
        fprintf(stderr, "%zu messages from %s%s\n", c->talk.n, name,
                g4_json_is(g4_talk_last(&c->talk, "role"), "assistant") ? "" : " (/retry answers the last one)");
        keep_name(c, name);
    }
    g4_str_free(&text);
    return G4_CHAT_READ;
}

static void list_tools(const struct g4_chat *c)
{
    const char *list = c->talk.tools ? c->talk.tools : "[]";
    for (g4_json_it it = g4_json_iter((g4_json){ list, strlen(list) }); g4_json_next(&it);) {
        char *name = g4_json_dup(g4_json_path(it.value, "function", "name"));
        fprintf(stderr, "%s\n", name ? name : "?");
        free(name);
    }
    if (!c->talk.tools) fprintf(stderr, "(no tools)\n");
}

static enum g4_chat_next do_tools(struct g4_chat *c, const char *rest)
{
    g4_err err = {0};
    g4_tools tools = {0};
    g4_str list = {0};
    char **words = g4_line_words(rest);
    const bool none = words[0] && !strcmp(words[0], "none");
    int rc = G4_OK;
    for (size_t i = 0; words[i] && !none && !rc; i++) rc = g4_tools_read(&tools, words[i], false, &err);
    if (rc) g4_tool_error("%s", err.msg);
    if (!rc && words[0]) {
        free(c->talk.tools);
        if (tools.n) g4_tools_json(&tools, &list);
        c->talk.tools = tools.n ? g4_str_take(&list) : NULL;
    }
    if (!rc) list_tools(c);
    g4_tools_clear(&tools);
    g4_line_words_free(words);
    return G4_CHAT_READ;
}

/* ---- looking ------------------------------------------------------------- */

static double rate(double tokens, double ms)
{
    return ms > 0 ? tokens / ms * 1000 : 0;
}

static enum g4_chat_next do_stats(struct g4_chat *c, const char *rest)
{
    const struct g4_gen_run *r = c->r;
    const uint32_t fresh = c->last_prompt - c->last_cached;
    fprintf(stderr, "model    %s on %s, seed %" PRIu64 "\n", r->info->model_name, r->info->device, c->options.seed);
    fprintf(stderr, "context  %u of %u tokens\n", c->last_prompt + c->last_completion, r->info->context);
    fprintf(stderr, "prompt   %u tokens: %u reused, %u computed in %.2f s (%.1f t/s)\n", c->last_prompt, c->last_cached, fresh,
            c->last_prompt_ms / 1000, rate(fresh, c->last_prompt_ms));
    fprintf(stderr, "answer   %u tokens (%u of them thought) in %.2f s (%.1f t/s)\n", c->last_completion, c->last_thinking,
            c->last_decode_ms / 1000, rate(c->last_completion, c->last_decode_ms));
    fprintf(stderr, "session  %u answers, %" PRIu64 " prompt tokens, %" PRIu64 " of them reused\n", c->turns, r->prompt_tokens,
            r->cached_tokens);
    return G4_CHAT_READ;
}

static enum g4_chat_next do_help(struct g4_chat *c, const char *rest);

static const struct command {
    const char *name, *arg, *help;
    enum g4_chat_next (*run)(struct g4_chat *c, const char *rest);
} commands[] = {
    { "/file", "PATH...", "attach files to the next message", do_file },
    { "/system", "[TEXT|@FILE|none]", "show or set the system text", do_system },
    { "/think", "[on|off|N]", "think before answering, N tokens at most", do_think },
    { "/tools", "[PATH...|none]", "show or set the tools the model may call", do_tools },
    { "/save", "[FILE]", "write the conversation as a record", do_save },
    { "/load", "[FILE]", "go on with the last record of a file", do_load },
    { "/retry", "", "answer the last question again", do_retry },
    { "/undo", "", "forget the last question and its answer", do_undo },
    { "/new", "", "forget everything but the system text", do_new },
    { "/stats", "", "tokens, speed, and how much was reused", do_stats },
    { "/help", "", "show this", do_help },
    { "/quit", "", "end, as Ctrl-D does", do_quit },
};
enum { N_COMMAND = sizeof commands / sizeof *commands };

const char *g4_chat_command_name(size_t i)
{
    return i < N_COMMAND ? commands[i].name : NULL;
}

static enum g4_chat_next do_help(struct g4_chat *c, const char *rest)
{
    for (size_t i = 0; i < N_COMMAND; i++)
        fprintf(stderr, "%-8s %-18s %s\n", commands[i].name, commands[i].arg, commands[i].help);
    fprintf(stderr, "Ctrl-C stops an answer.  A backslash at the end of a line, or Alt-Enter, goes on in the next line.\n"
                    "A line that begins with a blank is no command, and is not kept in the history.\n");
    return G4_CHAT_READ;
}

enum g4_chat_next g4_chat_command(struct g4_chat *c, const char *text)
{
    const size_t n = strcspn(text, " \t\n");
    const char *rest = text + n + strspn(text + n, " \t\n");
    char *trimmed = g4_strdup(rest);
    for (size_t k = strlen(trimmed); k && strchr(" \t\n", trimmed[k - 1]); k--) trimmed[k - 1] = 0;
    enum g4_chat_next next = G4_CHAT_READ;
    size_t i = 0;
    while (i < N_COMMAND && !(strlen(commands[i].name) == n && strncmp(commands[i].name, text, n) == 0)) i++;
    if (i < N_COMMAND) next = commands[i].run(c, trimmed);
    else g4_tool_error("no such command: '%.*s' (/help lists them; a blank before it makes it a message)", (int)(n < 40 ? n : 40), text);
    free(trimmed);
    return next;
}
