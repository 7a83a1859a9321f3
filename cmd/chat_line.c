/* cmd/chat_line: see chat.h.  Readline is used through its callbacks, so that a
 * signal that came through the pipe is seen while it waits for a key. */
#include "chat.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

enum { HISTORY_MAX = 2000 };

static bool terminal, editing;
static char *history_path; /* NULL: none is kept */
static char *taken;        /* the line readline has handed out */
static bool got, at_end;
static FILE *plain;        /* standard input that is no terminal */

/* ---- completion ---------------------------------------------------------- */

static char *next_command(const char *text, int state)
{
    static size_t i;
    if (!state) i = 0;
    for (const char *name; (name = g4_chat_command_name(i));) {
        i++;
        if (strncmp(name, text, strlen(text)) == 0) return strdup(name);
    }
    return NULL;
}

static char **complete(const char *text, int start, int end)
{
    if (start || *text != '/') return NULL; /* readline goes on with file names */
    rl_attempted_completion_over = 1;
    return rl_completion_matches(text, next_command);
}

static int is_quoted(char *text, int at)
{
    int n = 0;
    while (at - n > 0 && text[at - n - 1] == '\\') n++;
    return n & 1;
}

static bool wants_backslash(char c)
{
    return strchr(" \t\n\\\"'", c) && c;
}

static char *quote(char *text, int type, char *quote_char)
{
    g4_str s = {0};
    if (*quote_char) g4_str_addc(&s, *quote_char);
    for (const char *p = text; *p; p++) {
        if (!*quote_char && wants_backslash(*p)) g4_str_addc(&s, '\\');
        g4_str_addc(&s, *p);
    }
    return g4_str_take(&s);
}

static char *unquote(char *text, int quote_char)
{
    g4_str s = {0};
    for (const char *p = text; *p; p++) {
        if (*p == '\\' && p[1] && !quote_char) p++;
        g4_str_addc(&s, *p);
    }
    return g4_str_take(&s);
}

/* ---- words --------------------------------------------------------------- */

static const char *next_word(const char *p, g4_str *out)
{
    char inside = 0;
    for (; *p && (inside || !strchr(" \t\n", *p)); p++) {
        if (inside ? *p == inside : *p == '"' || *p == '\'') inside = inside ? 0 : *p;
        else if (*p == '\\' && p[1] && inside != '\'') g4_str_addc(out, *++p);
        else g4_str_addc(out, *p);
    }
    return p;
}

char **g4_line_words(const char *text)
{
    char **words = NULL;
    size_t n = 0, cap = 0;
    for (;;) {
        text += strspn(text, " \t\n");
        G4_GROW(words, cap, n + 1);
        words[n] = NULL;
        if (!*text) return words;
        g4_str s = {0};
        const bool home = *text == '~';
        text = next_word(text, &s);
        g4_str_add(&s, "", 0);
        words[n++] = home ? tilde_expand(s.p) : g4_strdup(s.p);
        g4_str_free(&s);
    }
}

void g4_line_words_free(char **words)
{
    for (size_t i = 0; words[i]; i++) free(words[i]);
    free(words);
}

/* ---- history ------------------------------------------------------------- */

/* Entries carry their time, which is also what lets one have several lines. */
static void open_history(void)
{
    char *path = g4_xdg_path("XDG_STATE_HOME", ".local/state", "g4/history");
    if (!path) return;
    char *slash = strrchr(path, '/');
    *slash = 0;
    g4_err err = {0};
    int rc = g4_mkdirs(path, 0700, &err);
    *slash = '/';
    const int fd = rc ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    history_comment_char = '#';
    history_write_timestamps = 1;
    if (fd < 0) {
        g4_tool_note("no history is kept: %s", rc ? err.msg : strerror(errno));
        free(path);
        return;
    }
    close(fd);
    read_history(path);
    stifle_history(HISTORY_MAX);
    history_path = path;
}

void g4_line_remember(const char *text)
{
    if (!terminal || *text == ' ' || !*text) return;
    const HIST_ENTRY *last = history_length ? history_get(history_base + history_length - 1) : NULL;
    if (last && strcmp(last->line, text) == 0) return;
    add_history(text);
    if (history_path) append_history(1, history_path);
}

/* ---- the editor ---------------------------------------------------------- */

static void on_line(char *line)
{
    rl_callback_handler_remove();
    editing = false;
    got = true;
    at_end = !line;
    taken = line;
}

static int insert_newline(int count, int key)
{
    return rl_insert_text("\n") < 0;
}

static void restore(void)
{
    if (editing) rl_deprep_terminal();
}

static void resume(void)
{
    if (!editing) return;
    rl_prep_terminal(1);
    rl_forced_update_display();
}

void g4_line_open(void)
{
    terminal = isatty(0);
    if (!terminal) {
        plain = stdin;
        return;
    }
    rl_readline_name = "g4";
    rl_instream = stdin;
    rl_outstream = isatty(2) || !isatty(1) ? stderr : stdout;
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_change_environment = 0;
    rl_attempted_completion_function = complete;
    rl_completer_quote_characters = "\"'";
    rl_completer_word_break_characters = " \t\n\"'";
    rl_filename_quote_characters = " \t\n\\\"'";
    rl_char_is_quoted_p = is_quoted;
    rl_filename_quoting_function = quote;
    rl_filename_dequoting_function = unquote;
    rl_add_defun("insert-newline", insert_newline, -1);
    rl_bind_keyseq("\\e\\C-m", insert_newline);
    using_history();
    open_history();
    g4_term_restore = restore;
    g4_term_resume = resume;
}

void g4_line_close(void)
{
    if (editing) rl_callback_handler_remove();
    editing = false;
    g4_term_restore = g4_term_resume = NULL;
    if (history_path) history_truncate_file(history_path, HISTORY_MAX);
    free(history_path);
    history_path = NULL;
    clear_history();
}

/* Ctrl-C at the prompt gives up the line, as in a shell. */
static void give_up_line(void)
{
    rl_callback_sigcleanup();
    rl_free_line_state();
    rl_callback_handler_remove();
    fputs("^C\n", rl_outstream);
}

static void take_signals(bool *interrupted)
{
    for (int sig; (sig = g4_term_signal());) {
        if (sig == SIGWINCH && !*interrupted) rl_resize_terminal();
        if (sig != SIGINT || *interrupted) continue;
        *interrupted = true;
        give_up_line();
        editing = false;
    }
}

/* One line of the editor into `taken`. */
static enum g4_line_end edit(const char *prompt, bool *interrupted)
{
    got = at_end = false;
    taken = NULL;
    rl_callback_handler_install(prompt, on_line);
    rl_reset_screen_size();
    editing = true;
    while (!got) {
        struct pollfd p[2] = { { 0, POLLIN, 0 }, { g4_term_fd(), POLLIN, 0 } };
        if (poll(p, 2, -1) < 0 && errno != EINTR) {
            rl_callback_handler_remove();
            return G4_LINE_FAILED;
        }
        if (p[1].revents) take_signals(interrupted);
        if (*interrupted) break;
        if (p[0].revents) rl_callback_read_char();
    }
    editing = false;
    return at_end ? G4_LINE_END : G4_LINE_TEXT;
}

static enum g4_line_end read_plain(g4_str *out)
{
    char *line = NULL;
    size_t cap = 0;
    const ssize_t n = getline(&line, &cap, plain);
    const bool failed = n < 0 && ferror(plain);
    if (n > 0) g4_str_add(out, line, (size_t)(line[n - 1] == '\n' ? n - 1 : n));
    free(line);
    return n < 0 ? failed ? G4_LINE_FAILED : G4_LINE_END : G4_LINE_TEXT;
}

static enum g4_line_end read_edited(const char *prompt, g4_str *out, bool *interrupted)
{
    const enum g4_line_end end = edit(prompt, interrupted);
    if (taken) g4_str_adds(out, taken);
    free(taken);
    taken = NULL;
    if (end == G4_LINE_END) fputc('\n', rl_outstream);
    return end;
}

/* A backslash at the end of a line asks for another one. */
static bool goes_on(g4_str *s)
{
    if (!s->n || s->p[s->n - 1] != '\\') return false;
    s->p[s->n - 1] = '\n';
    return true;
}

enum g4_line_end g4_line_read(const char *prompt, char **text)
{
    g4_str s = {0};
    enum g4_line_end end;
    for (;;) {
        const bool more = s.n > 0;
        bool interrupted = false;
        end = terminal ? read_edited(more ? "... " : prompt, &s, &interrupted) : read_plain(&s);
        if (interrupted) {
            end = G4_LINE_GIVEN_UP;
            break;
        }
        if (end != G4_LINE_TEXT && more) end = G4_LINE_TEXT; /* what stood before it counts */
        else if (end == G4_LINE_TEXT && goes_on(&s)) continue;
        break;
    }
    *text = g4_str_take(&s);
    return end;
}
