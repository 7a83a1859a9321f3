/* call/policy: see policy.h. */
#include "call/policy.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/jq.h"
#include "base/mem.h"

enum { FILE_MAX = 1 << 20 };

struct rule {
    enum g4_verdict verdict;
    char *glob;
    g4_jq *condition; /* or NULL */
    size_t line;
};

struct g4_policy {
    char *path;
    struct rule *rule;
    size_t n, cap;
};

static const char *const verdicts[] = { "allow", "deny", "ask" };

const char *g4_verdict_name(enum g4_verdict v)
{
    return verdicts[v];
}

void g4_policy_free(g4_policy *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n; i++) {
        free(p->rule[i].glob);
        g4_jq_free(p->rule[i].condition);
    }
    free(p->rule);
    free(p->path);
    free(p);
}

/* ---- reading ------------------------------------------------------------- */

static char *word(char **at)
{
    char *begin = *at + strspn(*at, " \t"), *end = begin + strcspn(begin, " \t");
    *at = *end ? end + 1 : end;
    *end = 0;
    return begin;
}

static int read_rule(g4_policy *p, char *line, size_t number, g4_err *err)
{
    struct rule r = { .line = number };
    char *at = line;
    const char *action = word(&at), *glob = word(&at);
    g4_err why = {0};
    size_t v = 0;
    while (v < 3 && strcmp(action, verdicts[v])) v++;
    if (v == 3) return g4_fail(err, G4_EUSAGE, "%s:%zu: a rule begins with allow, deny or ask, not '%.40s'", p->path, number, action);
    if (!*glob) return g4_fail(err, G4_EUSAGE, "%s:%zu: '%s' of which tool? ('*' is all)", p->path, number, action);
    at += strspn(at, " \t");
    if (*at && !(r.condition = g4_jq_new(at, (g4_json){0}, &why)))
        return g4_fail(err, G4_EUSAGE, "%s:%zu: %s", p->path, number, why.msg);
    r.verdict = (enum g4_verdict)v;
    r.glob = g4_strdup(glob);
    G4_GROW(p->rule, p->cap, p->n + 1);
    p->rule[p->n++] = r;
    return G4_OK;
}

static int read_rules(g4_policy *p, g4_str *text, g4_err *err)
{
    size_t number = 0;
    int rc = G4_OK;
    if (text->n && memchr(text->p, 0, text->n)) return g4_fail(err, G4_EUSAGE, "'%s' holds NUL bytes", p->path);
    for (char *line = text->p; line && *line && !rc;) {
        char *end = line + strcspn(line, "\n");
        const bool last = !*end;
        *end = 0;
        number++;
        if (end > line && end[-1] == '\r') end[-1] = 0;
        line += strspn(line, " \t");
        if (*line && *line != '#') rc = read_rule(p, line, number, err);
        line = last ? end : end + 1;
    }
    return rc;
}

g4_policy *g4_policy_read(const char *path, g4_err *err)
{
    g4_str text = {0};
    g4_err why = {0};
    g4_policy *p = g4_alloc(sizeof *p);
    p->path = g4_strdup(path);
    int rc = g4_file_read(path, FILE_MAX, &text, &why);
    if (rc) rc = g4_fail(err, G4_EUSAGE, "%s", why.msg);
    else rc = read_rules(p, &text, err);
    g4_str_free(&text);
    if (!rc) return p;
    g4_policy_free(p);
    return NULL;
}

/* ---- judging ------------------------------------------------------------- */

struct values {
    size_t good, bad;
};

static int count(void *arg, const char *json, size_t n, const g4_sv *raw)
{
    struct values *v = arg;
    const bool no = (n == 4 && memcmp(json, "null", 4) == 0) || (n == 5 && memcmp(json, "false", 5) == 0);
    if (no) v->bad++;
    else v->good++;
    return 0;
}

/* Is there a U+0000 in a string or a name?  libjq's string functions end at one, so
 * a condition would not see what stands behind it. */
static bool holds_nul(g4_json v)
{
    for (size_t i = 0; i + 1 < v.n; i++) {
        if (v.p[i] != '\\') continue;
        if (v.n - i >= 6 && memcmp(v.p + i, "\\u0000", 6) == 0) return true;
        i++;
    }
    return false;
}

enum g4_verdict g4_policy_judge(g4_policy *p, const char *tool, g4_json arguments, g4_str *why)
{
    for (size_t i = 0; i < p->n; i++) {
        struct rule *r = &p->rule[i];
        struct values v = {0};
        g4_err err = {0};
        if (fnmatch(r->glob, tool, 0)) continue;
        if (r->condition && holds_nul(arguments)) {
            if (why) g4_str_addf(why, "the condition of %s:%zu cannot be trusted with U+0000 in the arguments", p->path, r->line);
            return G4_VERDICT_DENY;
        }
        if (r->condition && g4_jq_run(r->condition, arguments, count, &v, &err)) {
            if (why) g4_str_addf(why, "the condition of %s:%zu fails: %s", p->path, r->line, err.msg);
            return G4_VERDICT_DENY;
        }
        if (r->condition && (!v.good || (r->verdict == G4_VERDICT_ALLOW && v.bad))) continue;
        if (why) g4_str_addf(why, "%s:%zu", p->path, r->line);
        return r->verdict;
    }
    if (why) g4_str_addf(why, "no rule of '%s' allows it", p->path);
    return G4_VERDICT_DENY;
}
