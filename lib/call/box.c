/* call/box: see box.h. */
#include "call/box.h"

#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "call/mcp.h"

enum { FILE_MAX = 1 << 20, DESCRIPTION_MAX = 1 << 20 };

struct server {
    g4_mcp *mcp;
    struct g4_mcp_params p; /* its arrays and texts lie in the box's arena */
    unsigned version;       /* of the declarations in the set */
    bool told_death;
};

struct g4_box {
    const struct g4_box_params *p;
    g4_tools tools;
    struct server *server;
    size_t n, cap;
    unsigned version;
    g4_arena keep;
};

/* ---- what to start ------------------------------------------------------- */

static struct server *add_server(g4_box *b, const char *name)
{
    G4_GROW(b->server, b->cap, b->n + 1);
    struct server *s = &b->server[b->n++];
    *s = (struct server){0};
    s->p = (struct g4_mcp_params){ .name = g4_arena_strndup(&b->keep, name, strlen(name)), .sandbox = b->p->sandbox, .start_max = b->p->start_max };
    return s;
}

static const char *kept(g4_box *b, g4_json string)
{
    g4_str s = {0};
    g4_json_str(string, &s);
    const char *text = g4_arena_strndup(&b->keep, s.p ? s.p : "", s.n);
    g4_str_free(&s);
    return text;
}

/* A command line goes through the shell: quotes and ~ mean what they mean there. */
static void add_command(g4_box *b, const char *command)
{
    const char **argv = g4_arena_alloc(&b->keep, 4 * sizeof *argv);
    argv[0] = "/bin/sh";
    argv[1] = "-c";
    argv[2] = command;
    add_server(b, command)->p.argv = argv;
}

static int read_env(g4_box *b, struct server *s, g4_json env)
{
    const char **list = g4_arena_alloc(&b->keep, (g4_json_count(env) + 1) * sizeof *list);
    size_t n = 0;
    for (g4_json_it it = g4_json_iter(env); g4_json_type(env) == G4_JSON_OBJECT && g4_json_next(&it);) {
        g4_str pair = {0};
        g4_json_str(it.key, &pair);
        g4_str_addc(&pair, '=');
        if (g4_json_type(it.value) == G4_JSON_STRING) g4_json_str(it.value, &pair);
        else g4_str_add(&pair, it.value.p, it.value.n);
        list[n++] = g4_arena_strndup(&b->keep, pair.p, pair.n);
        g4_str_free(&pair);
    }
    s->p.env = list;
    return G4_OK;
}

/* One member of `mcpServers`. */
static int read_server(g4_box *b, const char *path, g4_json key, g4_json v, g4_err *err)
{
    const g4_json command = g4_json_get(v, "command"), args = g4_json_get(v, "args"), dir = g4_json_get(v, "cwd");
    bool off = false;
    g4_json_bool(g4_json_get(v, "disabled"), &off);
    if (off) return G4_OK;
    if (g4_json_type(command) != G4_JSON_STRING)
        return g4_fail(err, G4_EUSAGE, "'%s': the server %.*s has no 'command' (only servers on stdin and stdout are known)", path,
                       (int)key.n, key.p);
    if (args.n && g4_json_type(args) != G4_JSON_ARRAY)
        return g4_fail(err, G4_EUSAGE, "'%s': 'args' of the server %.*s must be an array", path, (int)key.n, key.p);
    struct server *s = add_server(b, kept(b, key));
    const char **argv = g4_arena_alloc(&b->keep, ((args.n ? g4_json_count(args) : 0) + 2) * sizeof *argv);
    size_t n = 0;
    argv[n++] = kept(b, command);
    for (g4_json_it it = g4_json_iter(args); args.n && g4_json_next(&it);) argv[n++] = kept(b, it.value);
    s->p.argv = argv;
    if (g4_json_type(dir) == G4_JSON_STRING) s->p.dir = kept(b, dir);
    return read_env(b, s, g4_json_get(v, "env"));
}

static int read_servers(g4_box *b, const char *path, g4_err *err)
{
    g4_str text = {0};
    g4_json root;
    g4_err why = {0};
    int rc = g4_file_read(path, FILE_MAX, &text, &why);
    if (!rc) rc = g4_json_check_unique(text.p ? text.p : "", text.n, &root, &why);
    if (rc) rc = g4_fail(err, G4_EUSAGE, "'%s': %s", path, why.msg);
    const g4_json servers = rc ? (g4_json){0} : g4_json_get(root, "mcpServers");
    if (!rc && g4_json_type(servers) != G4_JSON_OBJECT) rc = g4_fail(err, G4_EUSAGE, "'%s' has no object 'mcpServers'", path);
    for (g4_json_it it = g4_json_iter(servers); !rc && g4_json_next(&it);) rc = read_server(b, path, it.key, it.value, err);
    g4_str_free(&text);
    return rc;
}

static int plan_servers(g4_box *b, g4_err *err)
{
    for (size_t i = 0; i < b->p->n_mcp; i++) {
        const char *what = b->p->mcp[i], *dot = strrchr(what, '.');
        struct stat st;
        const bool file = stat(what, &st) == 0 && S_ISREG(st.st_mode) && dot && strcmp(dot, ".json") == 0;
        if (!file) add_command(b, what);
        else if (read_servers(b, what, err)) return G4_EUSAGE;
    }
    return G4_OK;
}

/* ---- following them ------------------------------------------------------ */

/* Puts a server's declarations in the place of its old ones.  strict: a name that
 * is taken is an error; later it is only told. */
static int take_declarations(g4_box *b, struct server *s, bool strict, g4_err *err)
{
    unsigned version;
    const g4_json list = g4_mcp_declarations(s->mcp, &version);
    if (version == s->version) return G4_OK;
    s->version = version;
    b->version++;
    g4_tools_drop(&b->tools, s->mcp);
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it);) {
        g4_err why = {0};
        struct g4_tool *tool;
        char *name = g4_json_dup(g4_json_path(it.value, "function", "name"));
        const bool taken = name && g4_tools_find(&b->tools, name);
        free(name);
        if (!g4_tools_add(&b->tools, it.value, s->p.name, &tool, &why)) tool->server = s->mcp;
        else if (taken && strict) return g4_fail(err, why.code, "%s", why.msg);
        else g4_log(G4_LOG_WARN, "left out: %s", why.msg);
    }
    return G4_OK;
}

static void follow(g4_box *b, struct server *s)
{
    const char *why;
    g4_mcp_step(s->mcp);
    const bool dead = g4_mcp_state(s->mcp, &why) == G4_MCP_DEAD;
    if (dead && !s->told_death) g4_log(G4_LOG_WARN, "the MCP server '%s' %s", s->p.name, why);
    s->told_death = dead;
    if (dead) return;
    take_declarations(b, s, false, NULL);
}

size_t g4_box_fds(const g4_box *b)
{
    return b->n * G4_PROC_FDS;
}

unsigned g4_box_poll(const g4_box *b, struct pollfd *fds)
{
    unsigned n = 0;
    for (size_t i = 0; i < b->n; i++)
        if (b->server[i].mcp) n += g4_mcp_poll(b->server[i].mcp, fds + n);
    return n;
}

int g4_box_wait_ms(const g4_box *b)
{
    int ms = -1;
    for (size_t i = 0; i < b->n; i++) {
        const int own = b->server[i].mcp ? g4_mcp_wait_ms(b->server[i].mcp) : -1;
        if (own >= 0 && (ms < 0 || own < ms)) ms = own;
    }
    return ms;
}

void g4_box_step(g4_box *b)
{
    for (size_t i = 0; i < b->n; i++) follow(b, &b->server[i]);
}

const g4_tools *g4_box_tools(const g4_box *b)
{
    return &b->tools;
}

bool g4_box_listing(const g4_box *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (g4_mcp_listing(b->server[i].mcp)) return true;
    return false;
}

unsigned g4_box_version(const g4_box *b)
{
    return b->version;
}

/* ---- starting ------------------------------------------------------------ */

static int wait_ready(g4_box *b, g4_err *err)
{
    struct pollfd *fds = g4_alloc((g4_box_fds(b) + 1) * sizeof *fds);
    int rc = G4_OK;
    for (bool waiting = true; waiting && !rc;) {
        const char *why;
        waiting = false;
        for (size_t i = 0; i < b->n && !rc; i++) {
            struct server *s = &b->server[i];
            g4_mcp_step(s->mcp);
            const enum g4_mcp_state state = g4_mcp_state(s->mcp, &why);
            waiting |= state == G4_MCP_STARTING;
            if (state == G4_MCP_DEAD) rc = g4_fail(err, G4_EUSAGE, "the MCP server '%s' %s", s->p.name, why);
            else if (state == G4_MCP_READY) rc = take_declarations(b, s, true, err);
        }
        if (waiting && !rc) poll(fds, g4_box_poll(b, fds), g4_box_wait_ms(b));
    }
    free(fds);
    return rc;
}

static int start_servers(g4_box *b, g4_err *err)
{
    for (size_t i = 0; i < b->n; i++) {
        g4_err why = {0};
        if (!(b->server[i].mcp = g4_mcp_start(&b->server[i].p, &why)))
            return g4_fail(err, G4_EUSAGE, "the MCP server '%s': %s", b->server[i].p.name, why.msg);
    }
    return b->n ? wait_ready(b, err) : G4_OK;
}

/* ---- programs that describe themselves ----------------------------------- */

static int describe(g4_box *b, const char *path, g4_err *err)
{
    char *real = realpath(path, NULL);
    if (!real) return g4_fail_errno(err, G4_EUSAGE, "cannot find '%s'", path);
    const char *argv[] = { real, "--describe", NULL };
    g4_err why = {0};
    int value, rc = G4_OK;
    g4_proc *p = g4_proc_start(&(struct g4_proc_params){ .argv = argv, .out_max = DESCRIPTION_MAX, .time_max = b->p->start_max,
                                                         .sandbox = b->p->sandbox }, &why);
    while (p && !g4_proc_step(p)) {
        struct pollfd fds[G4_PROC_FDS];
        const unsigned n = g4_proc_poll(p, fds);
        poll(fds, n, g4_proc_wait_ms(p));
    }
    const enum g4_proc_end end = p ? g4_proc_state(p, &value) : G4_PROC_RUNS;
    struct g4_tool *tool;
    g4_json root;
    if (!p) {
        rc = g4_fail(err, G4_EUSAGE, "%s", why.msg);
    } else if (end != G4_PROC_EXITED || value) {
        g4_str s = {0};
        g4_proc_describe(end, value, b->p->start_max, DESCRIPTION_MAX, &s);
        rc = g4_fail(err, G4_EUSAGE, "'%s --describe' %s", path, s.p);
        g4_str_free(&s);
    } else if (g4_json_check_unique(g4_proc_out(p)->p ? g4_proc_out(p)->p : "", g4_proc_out(p)->n, &root, &why)) {
        rc = g4_fail(err, G4_EUSAGE, "'%s --describe' does not write a declaration: %s", path, why.msg);
    } else if (!(rc = g4_tools_add(&b->tools, root, path, &tool, err))) {
        tool->path = g4_strdup(real);
    }
    g4_proc_free(p);
    free(real);
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every program of a folder; one with a declaration beside it is not asked. */
static int describe_folder(g4_box *b, const char *path, g4_err *err)
{
    DIR *d = opendir(path);
    if (!d) return g4_fail_errno(err, G4_EUSAGE, "cannot read '%s'", path);
    char **names = NULL;
    size_t n = 0, cap = 0, found = b->tools.n;
    int rc = G4_OK;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        G4_GROW(names, cap, n + 1);
        names[n++] = g4_strdup(e->d_name);
    }
    closedir(d);
    qsort(names, n, sizeof *names, by_bytes);
    for (size_t i = 0; i < n && !rc; i++) {
        g4_str file = {0}, json = {0};
        struct stat st;
        const char *dot = strrchr(names[i], '.');
        g4_str_addf(&file, "%s/%s", path, names[i]);
        g4_str_addf(&json, "%s/%.*s.json", path, (int)(dot ? (size_t)(dot - names[i]) : strlen(names[i])), names[i]);
        const bool program = stat(file.p, &st) == 0 && S_ISREG(st.st_mode) && access(file.p, X_OK) == 0;
        if (dot && strcmp(dot, ".json") == 0) rc = g4_tools_read(&b->tools, file.p, false, err);
        else if (program && !g4_file_exists(json.p)) rc = describe(b, file.p, err);
        g4_str_free(&file);
        g4_str_free(&json);
    }
    for (size_t i = 0; i < n; i++) free(names[i]);
    free(names);
    if (!rc && b->tools.n == found) rc = g4_fail(err, G4_EUSAGE, "'%s' holds no tools", path);
    return rc;
}

static int describe_one(g4_box *b, const char *path, g4_err *err)
{
    if (g4_is_dir(path)) return describe_folder(b, path, err);
    return access(path, X_OK) == 0 ? describe(b, path, err) : g4_tools_read(&b->tools, path, false, err);
}

g4_box *g4_box_open(const struct g4_box_params *p, g4_err *err)
{
    g4_box *b = g4_alloc(sizeof *b);
    b->p = p;
    int rc = G4_OK;
    for (size_t i = 0; i < p->n_tools && !rc; i++) rc = g4_tools_read(&b->tools, p->tools[i], true, err);
    for (size_t i = 0; i < p->n_describe && !rc; i++) rc = describe_one(b, p->describe[i], err);
    if (!rc) rc = plan_servers(b, err);
    if (!rc) rc = start_servers(b, err);
    if (!rc) return b;
    g4_box_free(b);
    return NULL;
}

void g4_box_free(g4_box *b)
{
    if (!b) return;
    for (size_t i = 0; i < b->n; i++)
        if (b->server[i].mcp) g4_mcp_close(b->server[i].mcp);
    for (size_t i = 0; i < b->n; i++) g4_mcp_free(b->server[i].mcp);
    free(b->server);
    g4_tools_clear(&b->tools);
    g4_arena_free(&b->keep);
    free(b);
}
