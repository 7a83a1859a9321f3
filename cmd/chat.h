/* cmd/chat: what the parts of the chat at the terminal share.
 *   chat.c          a session: lines in, turns through the engine, answers out
 *   chat_command.c  what a line that begins with '/' does
 *   chat_talk.c     the conversation, as a list of messages and as a record
 *   chat_line.c     the line editor: readline is seen here only
 *   chat_term.c     signals and the modes of the terminal */
#ifndef G4_CMD_CHAT_H
#define G4_CMD_CHAT_H

#include "gen.h"

/* ---- chat_talk.c --------------------------------------------------------- */

struct g4_talk {      /* a conversation; all texts are malloc'ed, {0} is an empty one */
    char *system;     /* NULL: none */
    char *tools;      /* JSON array of declarations, NULL: none */
    char **message;   /* [n] JSON objects; the system message is not among them */
    size_t n, cap;
};

void g4_talk_free(struct g4_talk *t);    /* back to {0} */
void g4_talk_add(struct g4_talk *t, g4_sv message);
/* parts: content parts that stand before the text, joined by commas, or empty. */
void g4_talk_user(struct g4_talk *t, const char *text, g4_sv parts);
void g4_talk_result(struct g4_talk *t, g4_json call, const char *text); /* of a tool call */
void g4_talk_assistant(struct g4_talk *t, g4_sv text, g4_sv thought);   /* an answer that was stopped */

void g4_talk_replace(struct g4_talk *t, g4_json messages);             /* system message and all */

/* Drops what stands behind the last user message (and, undo, that message too).
 * False when there is no user message; nothing is changed then. */
bool g4_talk_reopen(struct g4_talk *t);
bool g4_talk_undo(struct g4_talk *t);

/* "messages":[...],"tools":[...]: the members that requests and records share. */
void g4_talk_members(const struct g4_talk *t, g4_str *out);
/* The conversation of a g4-jsonl(5) record: its messages, or its prompt and text.
 * On G4_EINPUT *t is as it was. */
int g4_talk_read(struct g4_talk *t, g4_json record, g4_err *err);
g4_json g4_talk_last(const struct g4_talk *t, const char *member); /* of the last message */

/* ---- chat_line.c --------------------------------------------------------- */

/* Opens the line editor when standard input is a terminal; without one lines
 * are read as they come, with neither prompt nor history. */
void g4_line_open(void);
void g4_line_close(void); /* keeps the history */

enum g4_line_end { G4_LINE_TEXT, G4_LINE_END, G4_LINE_GIVEN_UP, G4_LINE_FAILED };
/* One entry: several lines when they were pasted, continued by a backslash, or
 * typed with Alt-Enter.  *text is the caller's.  GIVEN_UP: an interrupt came. */
enum g4_line_end g4_line_read(const char *prompt, char **text);
void g4_line_remember(const char *text);

/* Words of a command's rest: blanks part them, quotes and backslashes protect,
 * '~' is the home folder.  The list and its words are the caller's, NULL ends it. */
char **g4_line_words(const char *text);
void g4_line_words_free(char **words);

/* ---- chat_command.c ------------------------------------------------------ */

struct g4_chat {
    struct g4_gen_run *r;
    struct g4_talk talk;
    g4_options options;
    g4_str parts;         /* attached files that wait for the next message */
    char *file;           /* of the last /save or /load; NULL: none */
    uint32_t sample;      /* grows with every /retry */
    bool ended;
    uint32_t turns;       /* answered */
    uint32_t last_prompt, last_cached, last_thinking, last_completion;
    double last_prompt_ms, last_decode_ms;
};

enum g4_chat_next { G4_CHAT_READ, G4_CHAT_ANSWER };
/* text begins with '/'.  ANSWER: the conversation waits for an answer now. */
enum g4_chat_next g4_chat_command(struct g4_chat *c, const char *text);
const char *g4_chat_command_name(size_t i); /* with its '/'; NULL behind the last */

/* ---- chat_term.c --------------------------------------------------------- */

/* Signals become bytes of a pipe from here on; terminal: standard input is one. */
int g4_term_start(g4_err *err);
void g4_term_end(void);
int g4_term_fd(void);   /* readable: a signal has come */
int g4_term_signal(void); /* its number, 0: none is left.  SIGTERM and SIGHUP do not come back */
void g4_term_quiet(bool on); /* nothing typed is echoed while an answer streams; what is typed stays */
extern void (*g4_term_restore)(void); /* called before the process stops or ends; or NULL */
extern void (*g4_term_resume)(void);  /* after it was continued; or NULL */

/* Writes text so that it cannot command the terminal: control characters show as ^X. */
void g4_term_put(int fd, const char *p, size_t n);

#endif
