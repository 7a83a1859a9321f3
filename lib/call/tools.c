/* call/tools: see tools.h. */
#include "call/tools.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum { FILE_MAX = 16 << 20, NAME_LONGEST = 128 };

/* ---- the set ------------------------------------------------------------- */

static void tool_clear(struct g4_tool *tool)
{
    free(tool->name);
    free(tool->declaration);
    free(tool->from);
    free(tool->path);
}

void g4_tools_clear(g4_tools *t)
{
    for (size_t i = 0; i < t->n; i++) tool_clear(&t->v[i]);
    free(t->v);
    *t = (g4_tools){0};
}

void g4_tools_drop(g4_tools *t, const struct g4_mcp *server)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->v[i].server == server) tool_clear(&t->v[i]);
        else t->v[kept++] = t->v[i];
    }
    t->n = kept;
}

const struct g4_tool *g4_tools_find(const g4_tools *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->v[i].name, name) == 0) return &t->v[i];
    return NULL;
}

void g4_tools_json(const g4_tools *t, g4_str *out)
{
    g4_str_addc(out, '[');
    for (size_t i = 0; i < t->n; i++) {
        if (i) g4_str_addc(out, ',');
        g4_str_adds(out, t->v[i].declaration);
    }
    g4_str_addc(out, ']');
}

/* ---- one declaration ----------------------------------------------------- */

/* Names stand in the prompt in front of '{': blanks and braces would break a call. */
static bool good_name(const char *name)
{
    const size_t n = strlen(name);
    if (!n || n > NAME_LONGEST) return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/-") == n;
}

int g4_tools_add(g4_tools *t, g4_json d, const char *from, struct g4_tool **tool, g4_err *err)
{
    const g4_json inner = g4_json_get(d, "function"), f = inner.n ? inner : d;
    const g4_json parameters = g4_json_get(f, "parameters"), text = g4_json_get(f, "description");
    const enum g4_json_type described = g4_json_type(text), shape = g4_json_type(parameters);
    char *name = g4_json_dup(g4_json_get(f, "name"));
    int rc = G4_OK;
    if (!name) rc = g4_fail(err, G4_EUSAGE, "'%s': a declaration without 'name'", from);
    else if (!good_name(name))
        rc = g4_fail(err, G4_EUSAGE, "'%s': '%.100s' cannot be the name of a tool (letters, digits and _ . : / - only)", from, name);
    else if (described > G4_JSON_NULL && described != G4_JSON_STRING)
        rc = g4_fail(err, G4_EUSAGE, "'%s': the description of '%s' must be a string", from, name);
    else if (shape > G4_JSON_NULL && shape != G4_JSON_OBJECT)
        rc = g4_fail(err, G4_EUSAGE, "'%s': the parameters of '%s' must be a JSON Schema object", from, name);
    const struct g4_tool *other = rc ? NULL : g4_tools_find(t, name);
    if (other) rc = g4_fail(err, G4_EUSAGE, "'%s' is declared twice: in '%s' and in '%s'", name, other->from, from);
    if (rc) {
        free(name);
        return rc;
    }
    g4_str s = {0};
    g4_str_adds(&s, "{\"type\":\"function\",\"function\":");
    g4_json_put_compact(&s, f);
    g4_str_addc(&s, '}');
    struct g4_tool made = { .name = name, .from = g4_strdup(from) };
    const g4_json whole = { s.p, s.n };
    made.parameters = g4_json_get(g4_json_get(whole, "function"), "parameters");
    if (g4_json_type(made.parameters) != G4_JSON_OBJECT) made.parameters = (g4_json){0};
    made.declaration = g4_str_take(&s);
    G4_GROW(t->v, t->cap, t->n + 1);
    t->v[t->n++] = made;
    if (tool) *tool = &t->v[t->n - 1];
    return G4_OK;
}

/* ---- files --------------------------------------------------------------- */

static int read_json(const char *path, g4_str *text, g4_json *root, g4_err *err)
{
    g4_err why = {0};
    if (g4_file_read(path, FILE_MAX, text, &why)) return g4_fail(err, G4_EUSAGE, "%s", why.msg);
    if (g4_json_check_unique(text->p ? text->p : "", text->n, root, &why))
        return g4_fail(err, G4_EUSAGE, "'%s': %s", path, why.msg);
    return G4_OK;
}

static int read_file(g4_tools *t, const char *path, g4_err *err)
{
    g4_str text = {0};
    g4_json root, list;
    int rc = read_json(path, &text, &root, err);
    if (rc) goto out;
    list = g4_json_type(root) == G4_JSON_ARRAY ? root : g4_json_get(root, "tools");
    if (g4_json_get(root, "mcpServers").n)
        rc = g4_fail(err, G4_EUSAGE, "'%s' names MCP servers: give it to 'g4-call --mcp'", path);
    else if (g4_json_type(list) != G4_JSON_ARRAY)
        rc = g4_tools_add(t, root, path, NULL, err);
    for (g4_json_it it = g4_json_iter(list); !rc && list.n && g4_json_next(&it);)
        rc = g4_tools_add(t, it.value, path, NULL, err);
out:
    g4_str_free(&text);
    return rc;
}

/* ---- folders ------------------------------------------------------------- */

struct names {
    char **v;
    size_t n, cap;
};

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_folder(const char *path, struct names *names, g4_err *err)
{
    DIR *d = opendir(path);
    if (!d) return g4_fail_errno(err, G4_EUSAGE, "cannot read '%s'", path);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        G4_GROW(names->v, names->cap, names->n + 1);
        names->v[names->n++] = g4_strdup(e->d_name);
    }
    closedir(d);
    if (names->n) qsort(names->v, names->n, sizeof *names->v, by_bytes);
    return G4_OK;
}

static char *join(const char *folder, const char *name)
{
    g4_str s = {0};
    const size_t n = strlen(folder);
    g4_str_addf(&s, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
    return g4_str_take(&s);
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The length of the stem of NAME.json, or 0. */
static size_t stem_of(const char *name)
{
    const size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".json") == 0 ? n - 5 : 0;
}

/* The program of a stem: the name itself, or the only one with an ending. */
static int find_program(const char *folder, const struct names *names, const char *stem, size_t n, char **program, g4_err *err)
{
    *program = NULL;
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->v[i];
        if (strncmp(name, stem, n) || (name[n] && name[n] != '.') || stem_of(name)) continue;
        char *path = join(folder, name);
        if (!is_program(path)) {
            free(path);
            continue;
        }
        if (*program) {
            g4_fail(err, G4_EUSAGE, "'%s' and '%s' both stand beside '%.*s.json': which one is meant?", *program, path, (int)n, stem);
            free(path);
            return G4_EUSAGE;
        }
        *program = path;
        if (!name[n]) return G4_OK;
    }
    return G4_OK;
}

/* NAME.json and, where programs are wanted, NAME. */
static int read_member(g4_tools *t, const char *folder, const struct names *names, const char *name, bool programs, g4_err *err)
{
    const size_t n = stem_of(name);
    char *path = join(folder, name), *program = NULL;
    struct g4_tool *tool;
    g4_str text = {0};
    g4_json root;
    int rc = read_json(path, &text, &root, err);
    if (!rc) rc = g4_tools_add(t, root, path, &tool, err);
    if (!rc && (strlen(tool->name) != n || memcmp(tool->name, name, n)))
        rc = g4_fail(err, G4_EUSAGE, "'%s' declares '%s': the file must have the tool's name", path, tool->name);
    if (!rc && programs) rc = find_program(folder, names, name, n, &program, err);
    if (!rc && programs && !program)
        rc = g4_fail(err, G4_EUSAGE, "'%s' has no program beside it that can be run ('%.*s')", path, (int)n, name);
    if (!rc && programs && !(tool->path = realpath(program, NULL)))
        rc = g4_fail_errno(err, G4_EUSAGE, "cannot use '%s'", program);
    free(path);
    free(program);
    g4_str_free(&text);
    return rc;
}

static void tell_lonely(const char *folder, const struct names *names, const g4_tools *t)
{
    for (size_t i = 0; i < names->n; i++) {
        char *path = join(folder, names->v[i]), *real = is_program(path) ? realpath(path, NULL) : NULL;
        bool known = stem_of(names->v[i]) != 0;
        for (size_t k = 0; real && k < t->n; k++) known |= t->v[k].path && strcmp(t->v[k].path, real) == 0;
        if (real && !known) g4_log(G4_LOG_VERBOSE, "'%s' has no declaration beside it: it cannot be called", path);
        free(path);
        free(real);
    }
}

static int read_folder(g4_tools *t, const char *path, bool programs, g4_err *err)
{
    struct names names = {0};
    const size_t before = t->n;
    int rc = list_folder(path, &names, err);
    for (size_t i = 0; i < names.n && !rc; i++)
        if (stem_of(names.v[i])) rc = read_member(t, path, &names, names.v[i], programs, err);
    if (!rc && t->n == before) rc = g4_fail(err, G4_EUSAGE, "'%s' holds no declarations (NAME.json)", path);
    if (!rc && programs) tell_lonely(path, &names, t);
    for (size_t i = 0; i < names.n; i++) free(names.v[i]);
    free(names.v);
    return rc;
}

int g4_tools_read(g4_tools *t, const char *path, bool programs, g4_err *err)
{
    return g4_is_dir(path) ? read_folder(t, path, programs, err) : read_file(t, path, err);
}
