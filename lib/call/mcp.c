/* call/mcp: see mcp.h.
 *
 * Two eras of the protocol.  Since 2026-07-28 every request carries version,
 * client and capabilities in _meta, and there is no handshake; before it a session
 * began with `initialize`.  A server is asked `server/discover` first:
 *
 *     DISCOVER --result--> LIST (modern)
 *        |--any other error, silence, or the server's death--> INITIALIZE --> LIST (legacy)
 *     LIST --last page--> READY --tools/list_changed--> LIST behind the scenes
 *     READY --death--> DEAD --a call--> INITIALIZE or LIST, in the era that is known
 *
 * A message is a line of JSON.  Lines that are none are told and passed over:
 * many servers greet on stdout. */
#include "call/mcp.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "call/mcp_result.h"

enum { LINE_MAX = 64 << 20, PAGES_MAX = 1000, SHOWN_MAX = 200, DEATHS_MAX = 3 };
static const double PROBE_SECONDS = 3, RELIST_SECONDS = 10, GOODBYE_SECONDS = 1;
static const char modern[] = "2026-07-28";
/* The first is what is asked for. */
static const char *const legacy[] = { "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07" };
enum { UNSUPPORTED_VERSION = -32022, MISSING_CAPABILITY = -32021, HEADER_MISMATCH = -32020 };

enum phase { DISCOVER, INITIALIZE, LIST, READY, DEAD };

struct call {
    uint64_t id;
    bool done, failed;
    g4_str held;              /* the request, while the server is started again */
    g4_str content;
};

struct g4_mcp {
    char *name;
    g4_proc *proc;
    struct g4_mcp_params p;   /* borrowed: a restart needs them */
    enum phase phase;
    bool modern, changes, relist, closing;
    char *protocol, *why;     /* why: of DEAD */
    uint64_t last_id, waiting, discover, listen; /* waiting: the request of the phase; 0: none */
    double started, probed, asked; /* asked: when a list was begun */
    unsigned deaths;          /* since it answered a call */
    g4_str pages;             /* declarations of the pages so far, joined by commas */
    g4_str cursor;
    unsigned n_page, version;
    g4_str declarations;      /* the array of the last complete list */
    struct call *calls;
    size_t n, cap;
    g4_str last_words;        /* the last line on stderr */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the end ------------------------------------------------------------- */

static void fail_calls(g4_mcp *m)
{
    for (size_t i = 0; i < m->n; i++) {
        struct call *c = &m->calls[i];
        if (c->done) continue;
        c->done = c->failed = true;
        g4_str_addf(&c->content, "the MCP server '%s' %s", m->name, m->why);
    }
}

static void die(g4_mcp *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void die(g4_mcp *m, const char *fmt, ...)
{
    g4_err e = {0};
    va_list ap;
    if (m->phase == DEAD) return;
    va_start(ap, fmt);
    vsnprintf(e.msg, sizeof e.msg, fmt, ap);
    va_end(ap);
    m->why = g4_strdup(e.msg);
    m->phase = DEAD;
    m->deaths++;
    fail_calls(m);
    g4_proc_end(m->proc);
}

/* ---- sending ------------------------------------------------------------- */

static void send_text(g4_mcp *m, g4_str *s)
{
    g4_str_addc(s, '\n');
    g4_proc_write(m->proc, s->p, s->n);
    g4_str_free(s);
}

static void put_client(g4_str *s)
{
    g4_str_adds(s, "{\"name\":\"g4-call\",\"version\":\"" G4_VERSION "\"}");
}

/* Opens a request: `"params":{` and what a modern one must carry stand in s. */
static uint64_t begin(g4_mcp *m, g4_str *s, const char *method)
{
    g4_str_addf(s, "{\"jsonrpc\":\"2.0\",\"id\":%" PRIu64 ",\"method\":\"%s\",\"params\":{", ++m->last_id, method);
    if (m->modern || m->phase == DISCOVER) {
        g4_str_addf(s, "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"%s\",\"io.modelcontextprotocol/clientInfo\":", modern);
        put_client(s);
        g4_str_adds(s, ",\"io.modelcontextprotocol/clientCapabilities\":{}}");
    }
    return m->last_id;
}

static void put_member(g4_str *s, const char *name)
{
    if (s->p[s->n - 1] != '{') g4_str_addc(s, ',');
    g4_str_addf(s, "\"%s\":", name);
}

static void notify(g4_mcp *m, const char *method)
{
    g4_str s = {0};
    g4_str_addf(&s, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\"}", method);
    send_text(m, &s);
}

static void send_discover(g4_mcp *m)
{
    g4_str s = {0};
    m->phase = DISCOVER;
    m->discover = m->waiting = begin(m, &s, "server/discover");
    g4_str_adds(&s, "}}");
    send_text(m, &s);
    m->probed = now();
}

static void send_initialize(g4_mcp *m)
{
    g4_str s = {0};
    m->phase = INITIALIZE;
    m->waiting = begin(m, &s, "initialize");
    put_member(&s, "protocolVersion");
    g4_str_addf(&s, "\"%s\",\"capabilities\":{},\"clientInfo\":", legacy[0]);
    put_client(&s);
    g4_str_adds(&s, "}}");
    send_text(m, &s);
}

static void send_list(g4_mcp *m, g4_json cursor)
{
    g4_str s = {0};
    m->waiting = begin(m, &s, "tools/list");
    if (cursor.n) {
        put_member(&s, "cursor");
        g4_str_add(&s, cursor.p, cursor.n);
    }
    g4_str_adds(&s, "}}");
    send_text(m, &s);
}

static void list_anew(g4_mcp *m)
{
    if (m->phase != READY) m->phase = LIST;
    m->relist = false;
    m->n_page = 0;
    m->asked = now();
    g4_str_clear(&m->pages);
    g4_str_clear(&m->cursor);
    send_list(m, (g4_json){0});
}

/* Modern servers tell of changes only who listens. */
static void send_listen(g4_mcp *m)
{
    g4_str s = {0};
    m->listen = begin(m, &s, "subscriptions/listen");
    put_member(&s, "notifications");
    g4_str_adds(&s, "{\"toolsListChanged\":true}}}");
    send_text(m, &s);
}

/* ---- the handshakes ------------------------------------------------------ */

static void become_ready(g4_mcp *m)
{
    m->phase = READY;
    m->waiting = 0;
    m->version++;
    for (size_t i = 0; i < m->n; i++)
        if (m->calls[i].held.n) send_text(m, &m->calls[i].held);
}

static void settle_protocol(g4_mcp *m, const char *version, bool is_modern, g4_json capabilities)
{
    bool changes = false;
    const g4_json tools = g4_json_get(capabilities, "tools");
    m->modern = is_modern;
    free(m->protocol);
    m->protocol = g4_strdup(version);
    g4_json_bool(g4_json_get(tools, "listChanged"), &changes);
    m->changes = changes;
    g4_log(G4_LOG_VERBOSE, "MCP server '%s': protocol %s", m->name, version);
    if (!is_modern) notify(m, "notifications/initialized");
    if (is_modern && changes) send_listen(m);
    if (tools.n) {
        list_anew(m);
        return;
    }
    g4_log(G4_LOG_WARN, "MCP server '%s' has no tools", m->name);
    g4_str_clear(&m->declarations);
    g4_str_adds(&m->declarations, "[]");
    become_ready(m);
}

static bool in_list(g4_json list, const char *version)
{
    for (g4_json_it it = g4_json_iter(list); g4_json_type(list) == G4_JSON_ARRAY && g4_json_next(&it);)
        if (g4_json_is(it.value, version)) return true;
    return false;
}

static bool knows_legacy(g4_json list)
{
    for (size_t i = 0; i < sizeof legacy / sizeof *legacy; i++)
        if (in_list(list, legacy[i])) return true;
    return false;
}

/* The answer to the probe, which may come after it was given up. */
static void on_discover(g4_mcp *m, g4_json result, g4_json error)
{
    int64_t code = 0;
    if (m->phase > INITIALIZE) return;
    m->discover = 0;
    g4_json versions = g4_json_get(result, "supportedVersions");
    if (!versions.n) versions = g4_json_path(error, "data", "supported");
    if (result.n && (!versions.n || in_list(versions, modern))) {
        settle_protocol(m, modern, true, g4_json_get(result, "capabilities"));
        return;
    }
    g4_json_i64(g4_json_get(error, "code"), &code);
    const bool is_modern = result.n || (code <= HEADER_MISMATCH && code >= UNSUPPORTED_VERSION);
    if (is_modern && !knows_legacy(versions))
        die(m, "speaks none of the protocol revisions known here (%s to %s): %.*s", legacy[4], modern,
            (int)(versions.n ? versions.n : error.n), versions.n ? versions.p : error.n ? error.p : "");
    else if (m->phase == DISCOVER)
        send_initialize(m);
}

static void put_message_of(g4_str *s, g4_json error)
{
    g4_json_str(g4_json_get(error, "message"), s);
    if (!s->n) g4_str_adds(s, "an error without a message");
}

static void on_initialize(g4_mcp *m, g4_json result, g4_json error)
{
    const g4_json version = g4_json_get(result, "protocolVersion");
    if (!result.n) {
        g4_str s = {0};
        put_message_of(&s, error);
        if (!m->discover) die(m, "refuses to initialise: %.300s", s.p);
        g4_str_free(&s);
        return;
    }
    for (size_t i = 0; i < sizeof legacy / sizeof *legacy; i++) {
        if (!g4_json_is(version, legacy[i])) continue;
        settle_protocol(m, legacy[i], false, g4_json_get(result, "capabilities"));
        return;
    }
    die(m, "speaks protocol %.*s, which is not known here (%s to %s)", (int)(version.n < 40 ? version.n : 40),
        version.n ? version.p : "", legacy[4], modern);
}

/* ---- the list of tools --------------------------------------------------- */

static void list_complete(g4_mcp *m)
{
    g4_str_clear(&m->declarations);
    g4_str_addc(&m->declarations, '[');
    g4_str_add(&m->declarations, m->pages.p, m->pages.n);
    g4_str_addc(&m->declarations, ']');
    become_ready(m);
    if (m->relist) list_anew(m);
}

static void on_list(g4_mcp *m, g4_json result, g4_json error)
{
    const g4_json cursor = g4_json_get(result, "nextCursor"), tools = g4_json_get(result, "tools");
    g4_str s = {0};
    if (!result.n || g4_json_type(tools) != G4_JSON_ARRAY) {
        put_message_of(&s, error);
        die(m, "does not list its tools: %.300s", s.p);
        g4_str_free(&s);
        return;
    }
    for (g4_json_it it = g4_json_iter(tools); g4_json_next(&it);) {
        if (m->pages.n) g4_str_addc(&m->pages, ',');
        g4_mcp_declaration(it.value, &m->pages);
    }
    if (g4_json_type(cursor) != G4_JSON_STRING || cursor.n <= 2) {
        list_complete(m);
        return;
    }
    const bool same = m->cursor.n == cursor.n && memcmp(m->cursor.p, cursor.p, cursor.n) == 0;
    if (same || ++m->n_page > PAGES_MAX) {
        die(m, "lists its tools without end");
        return;
    }
    g4_str_clear(&m->cursor);
    g4_str_add(&m->cursor, cursor.p, cursor.n);
    send_list(m, cursor);
}

/* ---- starting ------------------------------------------------------------ */

static g4_proc *start_proc(const struct g4_mcp_params *p, g4_err *err)
{
    return g4_proc_start(&(struct g4_proc_params){ .argv = p->argv, .env = p->env, .dir = p->dir, .open_input = true,
                                                   .sandbox = p->sandbox }, err);
}

static bool replace_proc(g4_mcp *m)
{
    g4_proc *again = m->closing ? NULL : start_proc(&m->p, NULL);
    if (!again) return false;
    g4_proc_free(m->proc);
    m->proc = again;
    m->discover = m->listen = 0;
    return true;
}

/* Some old servers die of a request before `initialize`: they get another chance. */
static bool start_again(g4_mcp *m)
{
    if (m->phase != DISCOVER || !replace_proc(m)) return false;
    send_initialize(m);
    return true;
}

/* A server that died after it had listed its tools.  What it was asked then stays failed:
 * it may have been done. */
static void revive(g4_mcp *m)
{
    if (!m->version || m->deaths >= DEATHS_MAX || !replace_proc(m)) return;
    g4_log(G4_LOG_WARN, "the MCP server '%s' is started again", m->name);
    free(m->why);
    m->why = NULL;
    g4_str_clear(&m->last_words);
    m->started = now();
    if (!m->modern) {
        send_initialize(m);
        return;
    }
    if (m->changes) send_listen(m);
    list_anew(m);
}

/* ---- calls --------------------------------------------------------------- */

static struct call *find_call(const g4_mcp *m, uint64_t id)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->calls[i].id == id) return &m->calls[i];
    return NULL;
}

uint64_t g4_mcp_call(g4_mcp *m, const char *tool, g4_json arguments)
{
    g4_str s = {0};
    if (m->phase == DEAD) revive(m);
    G4_GROW(m->calls, m->cap, m->n + 1);
    const uint64_t id = begin(m, &s, "tools/call");
    m->calls[m->n++] = (struct call){ .id = id };
    put_member(&s, "name");
    g4_json_put_str(&s, tool, strlen(tool));
    g4_str_adds(&s, ",\"arguments\":");
    g4_str_add(&s, arguments.p, arguments.n);
    g4_str_adds(&s, "}}");
    if (m->phase == READY) send_text(m, &s);
    else if (m->phase == DEAD) fail_calls(m);
    else m->calls[m->n - 1].held = s, s = (g4_str){0};
    g4_str_free(&s);
    return id;
}

static void drop_call(g4_mcp *m, struct call *c)
{
    g4_str_free(&c->content);
    g4_str_free(&c->held);
    *c = m->calls[--m->n];
}

bool g4_mcp_result(g4_mcp *m, uint64_t id, g4_str *content, bool *failed)
{
    struct call *c = find_call(m, id);
    if (!c || !c->done) return false;
    g4_str_add(content, c->content.p, c->content.n);
    *failed = c->failed;
    drop_call(m, c);
    return true;
}

void g4_mcp_cancel(g4_mcp *m, uint64_t id, const char *reason)
{
    struct call *c = find_call(m, id);
    if (!c) return;
    if (m->phase == READY && !c->done) {
        g4_str s = {0};
        g4_str_addf(&s, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%" PRIu64 ",\"reason\":", id);
        g4_json_put_str(&s, reason, strlen(reason));
        g4_str_adds(&s, "}}");
        send_text(m, &s);
    }
    drop_call(m, c);
}

/* ---- receiving ----------------------------------------------------------- */

/* A request of the server: nothing was declared that it could ask for. */
static void answer(g4_mcp *m, g4_json id, g4_json method)
{
    g4_str s = {0};
    g4_str_adds(&s, "{\"jsonrpc\":\"2.0\",\"id\":");
    g4_str_add(&s, id.p, id.n);
    g4_str_adds(&s, g4_json_is(method, "ping") ? ",\"result\":{}}" : ",\"error\":{\"code\":-32601,\"message\":\"method not found\"}}");
    send_text(m, &s);
}

static void on_log(const g4_mcp *m, g4_json params)
{
    static const char *const grave[] = { "error", "critical", "alert", "emergency" };
    const g4_json level = g4_json_get(params, "level"), data = g4_json_get(params, "data");
    enum g4_log_level to = G4_LOG_VERBOSE;
    g4_str s = {0};
    for (size_t i = 0; i < 4; i++)
        if (g4_json_is(level, grave[i])) to = G4_LOG_WARN;
    if (g4_json_type(data) == G4_JSON_STRING) g4_json_str(data, &s);
    else g4_str_add(&s, data.p, data.n);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20) s.p[i] = ' ';
    g4_log(to, "MCP server '%s': %.*s", m->name, (int)(s.n > 1000 ? 1000 : s.n), s.p ? s.p : "");
    g4_str_free(&s);
}

static void on_notification(g4_mcp *m, g4_json method, g4_json params)
{
    if (g4_json_is(method, "notifications/message")) on_log(m, params);
    if (!g4_json_is(method, "notifications/tools/list_changed") || m->phase < LIST) return;
    m->relist = true;
    if (m->phase == READY && !m->waiting) list_anew(m);
}

static void on_message(g4_mcp *m, g4_json v)
{
    const g4_json id = g4_json_get(v, "id"), method = g4_json_get(v, "method"), error = g4_json_get(v, "error");
    const g4_json result = g4_json_get(v, "result");
    int64_t n = 0;
    if (method.n) {
        if (id.n) answer(m, id, method);
        else on_notification(m, method, g4_json_get(v, "params"));
        return;
    }
    if (!g4_json_i64(id, &n) || n <= 0) return;
    struct call *c = find_call(m, (uint64_t)n);
    if (c && !c->done) {
        c->done = true;
        m->deaths = 0;
        c->failed = g4_mcp_content(result, error, &c->content);
    } else if (m->discover && (uint64_t)n == m->discover) {
        on_discover(m, result, error);
    } else if ((uint64_t)n == m->listen) {
        m->listen = 0; /* the server ended the subscription, or knows none */
    } else if (m->waiting && (uint64_t)n == m->waiting) {
        if (m->phase == INITIALIZE) on_initialize(m, result, error);
        else on_list(m, result, error);
    }
}

static void on_line(g4_mcp *m, const char *p, size_t n)
{
    g4_json v;
    while (n && (p[n - 1] == '\r' || p[n - 1] == ' ')) n--;
    if (!n) return;
    if (g4_json_check(p, n, &v, NULL)) {
        g4_log(G4_LOG_VERBOSE, "MCP server '%s' wrote a line that is not JSON: %.*s", m->name, (int)(n > SHOWN_MAX ? SHOWN_MAX : n), p);
        return;
    }
    if (g4_json_type(v) != G4_JSON_ARRAY) { /* 2025-03-26 knows batches */
        on_message(m, v);
        return;
    }
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it) && m->phase != DEAD;) on_message(m, it.value);
}

/* Hands out the whole lines at the front of s. */
static void take_lines(g4_mcp *m, g4_str *s, void (*take)(g4_mcp *m, const char *p, size_t n))
{
    size_t at = 0;
    for (const char *end; at < s->n && (end = memchr(s->p + at, '\n', s->n - at)); at = (size_t)(end + 1 - s->p))
        take(m, s->p + at, (size_t)(end - s->p) - at);
    if (!at) return;
    memmove(s->p, s->p + at, s->n - at);
    s->n -= at;
    s->p[s->n] = 0;
}

static void on_stderr(g4_mcp *m, const char *p, size_t n)
{
    g4_str_clear(&m->last_words);
    g4_str_add(&m->last_words, p, n > SHOWN_MAX ? SHOWN_MAX : n);
    for (size_t i = 0; i < m->last_words.n; i++)
        if ((unsigned char)m->last_words.p[i] < 0x20) m->last_words.p[i] = ' ';
    if (n) g4_log(G4_LOG_VERBOSE, "%s: %s", m->name, m->last_words.p);
}

/* ---- running ------------------------------------------------------------- */

static void on_end(g4_mcp *m, enum g4_proc_end end)
{
    int value;
    g4_str s = {0};
    if (m->phase == DEAD || start_again(m)) return;
    g4_proc_state(m->proc, &value);
    g4_proc_describe(end, value, 0, 0, &s);
    if (m->last_words.n) die(m, "%s: %s", s.p, m->last_words.p);
    else die(m, "%s", s.p);
    g4_str_free(&s);
}

void g4_mcp_step(g4_mcp *m)
{
    const enum g4_proc_end end = g4_proc_step(m->proc);
    take_lines(m, g4_proc_err(m->proc), on_stderr);
    take_lines(m, g4_proc_out(m->proc), on_line);
    if (end) {
        on_end(m, end);
        return;
    }
    if (g4_proc_out(m->proc)->n > LINE_MAX) die(m, "wrote a line longer than 64 MiB");
    if (m->phase == DISCOVER && now() - m->probed > PROBE_SECONDS) send_initialize(m);
    if (g4_mcp_listing(m) && now() - m->asked > RELIST_SECONDS) {
        m->waiting = 0; /* the old list holds */
        m->relist = false;
    }
    if (m->phase < READY && m->p.start_max > 0 && now() - m->started > m->p.start_max)
        die(m, "did not list its tools within %g s", m->p.start_max);
}

unsigned g4_mcp_poll(const g4_mcp *m, struct pollfd *fds)
{
    return g4_proc_poll(m->proc, fds);
}

int g4_mcp_wait_ms(const g4_mcp *m)
{
    int ms = g4_proc_wait_ms(m->proc);
    double until = -1;
    if (m->phase < READY && m->p.start_max > 0) until = m->started + m->p.start_max;
    if (m->phase == DISCOVER) until = m->probed + PROBE_SECONDS;
    if (g4_mcp_listing(m)) until = m->asked + RELIST_SECONDS;
    if (until < 0) return ms;
    const double left = 1e3 * (until - now()) + 1;
    if (ms < 0 || left < ms) ms = left < 0 ? 0 : (int)left;
    return ms;
}

enum g4_mcp_state g4_mcp_state(const g4_mcp *m, const char **why)
{
    if (why) *why = m->why;
    return m->phase == DEAD ? G4_MCP_DEAD : m->version ? G4_MCP_READY : G4_MCP_STARTING;
}

bool g4_mcp_listing(const g4_mcp *m)
{
    return m->phase == READY && (m->waiting || m->relist);
}

const char *g4_mcp_protocol(const g4_mcp *m)
{
    return m->protocol ? m->protocol : "";
}

g4_json g4_mcp_declarations(const g4_mcp *m, unsigned *version)
{
    *version = m->version;
    return (g4_json){ m->declarations.p, m->declarations.n };
}

g4_mcp *g4_mcp_start(const struct g4_mcp_params *p, g4_err *err)
{
    g4_proc *proc = start_proc(p, err);
    if (!proc) return NULL;
    g4_mcp *m = g4_alloc(sizeof *m);
    m->name = g4_strdup(p->name);
    m->proc = proc;
    m->p = *p;
    m->started = now();
    send_discover(m);
    return m;
}

void g4_mcp_close(g4_mcp *m)
{
    m->closing = true;
    g4_proc_close_input(m->proc);
}

void g4_mcp_free(g4_mcp *m)
{
    if (!m) return;
    g4_mcp_close(m);
    const double begun = now();
    while (!g4_proc_step(m->proc)) {
        struct pollfd fds[G4_PROC_FDS];
        if (now() - begun > GOODBYE_SECONDS) g4_proc_end(m->proc);
        poll(fds, g4_proc_poll(m->proc, fds), 50);
        g4_str_clear(g4_proc_out(m->proc));
    }
    g4_proc_free(m->proc);
    while (m->n) drop_call(m, m->calls);
    free(m->calls);
    free(m->name);
    free(m->why);
    free(m->protocol);
    g4_str_free(&m->pages);
    g4_str_free(&m->cursor);
    g4_str_free(&m->declarations);
    g4_str_free(&m->last_words);
    free(m);
}
