/* cmd/opt: parsing of options; see opt.h.  Help and completions: opt_help.c. */
#include "opt.h"
#include "opt_help.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void g4_opt_list_add(struct g4_opt_list *l, const char *v)
{
    G4_GROW(l->v, l->cap, l->n + 1);
    l->v[l->n++] = v;
}

int g4_opt_number(const char *name, const char *value, double lo, double hi, bool whole, double *out, g4_err *err)
{
    char *end;
    errno = 0;
    const double v = strtod(value, &end);
    if (!*value || *end || errno || !isfinite(v) || strpbrk(value, "xX \t") || (whole && v != floor(v)))
        return g4_fail(err, G4_EUSAGE, "'--%s' wants a %snumber, not '%s'", name, whole ? "whole " : "", value);
    if (v < lo || v > hi)
        return g4_fail(err, G4_EUSAGE, "'--%s' must be between %.15g and %.15g, not '%s'", name, lo, hi, value);
    *out = v;
    return G4_OK;
}

/* ---- one option ---------------------------------------------------------- */

static bool takes_value(const struct g4_opt *o)
{
    return o->arg != NULL;
}

static void remember(struct g4_opts *p, const struct g4_opt *o, const char *value)
{
    char **raw = &p->raw[o - p->cmd->opts];
    g4_str s = {0};
    if ((o->kind == G4_OPTK_LIST || o->kind == G4_OPTK_PAIR) && *raw) g4_str_addf(&s, "%s\x1f", *raw);
    g4_str_adds(&s, value ? value : "");
    free(*raw);
    *raw = g4_str_take(&s);
}

static bool is_word(const char *words, const char *value)
{
    const size_t n = strlen(value);
    for (const char *p = words; *p;) {
        const size_t len = strcspn(p, "|");
        if (len == n && memcmp(p, value, n) == 0) return true;
        p += len + (p[len] == '|');
    }
    return false;
}

/* value: NULL when left out, "no" for --no-NAME. */
static int apply(struct g4_opts *p, const struct g4_opt *o, const char *value, bool off, g4_err *err)
{
    void *at = (char *)p->self + o->off;
    double v = 0;
    switch (o->kind) {
    case G4_OPTK_TITLE:
    case G4_OPTK_SAME: break;
    case G4_OPTK_FLAG: *(bool *)at = !off; break;
    case G4_OPTK_TEXT:
        if ((o->flags & G4_OPTF_WORDS) && !is_word(o->arg, value))
            return g4_fail(err, G4_EUSAGE, "'--%s' is one of %s, not '%s'", o->name, o->arg, value);
        *(const char **)at = value;
        break;
    case G4_OPTK_LIST:
    case G4_OPTK_PAIR: g4_opt_list_add(at, value); break;
    case G4_OPTK_CALL:
        if (o->set(p->self, o, off ? "no" : value, err)) return G4_EUSAGE;
        break;
    case G4_OPTK_UINT:
    case G4_OPTK_INT:
    case G4_OPTK_FLOAT:
    case G4_OPTK_DOUBLE:
        if (g4_opt_number(o->name, value, o->lo, o->hi, o->kind == G4_OPTK_UINT || o->kind == G4_OPTK_INT, &v, err))
            return G4_EUSAGE;
        if (o->kind == G4_OPTK_UINT) *(uint32_t *)at = (uint32_t)v;
        if (o->kind == G4_OPTK_INT) *(int32_t *)at = (int32_t)v;
        if (o->kind == G4_OPTK_FLOAT) *(float *)at = (float)v;
        if (o->kind == G4_OPTK_DOUBLE) *(double *)at = v;
        break;
    }
    if (o->bit) *(uint32_t *)((char *)p->self + p->cmd->bits) |= o->bit;
    remember(p, o, off ? "no" : value);
    return G4_OK;
}

static const struct g4_opt *by_name(const struct g4_opt_command *c, const char *name, size_t n)
{
    for (const struct g4_opt *o = c->opts; o->name; o++)
        if (o->kind != G4_OPTK_TITLE && strlen(o->name) == n && memcmp(o->name, name, n) == 0) return o;
    return NULL;
}

static const struct g4_opt *by_letter(const struct g4_opt_command *c, char letter)
{
    for (const struct g4_opt *o = c->opts; o->name; o++)
        if (o->letter && o->letter == letter) return o;
    return NULL;
}

/* ---- the command line ---------------------------------------------------- */

struct words {
    char **v;
    int n, i;
};

/* Edit distance, for the suggestion; names are short. */
static unsigned distance(const char *a, size_t na, const char *b)
{
    unsigned row[64];
    const size_t nb = strlen(b);
    if (na > 40 || nb >= 64) return 99;
    for (size_t j = 0; j <= nb; j++) row[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            const unsigned up = row[j], change = diagonal + (a[i - 1] != b[j - 1]);
            unsigned best = up < row[j - 1] ? up + 1 : row[j - 1] + 1;
            if (change < best) best = change;
            row[j] = best;
            diagonal = up;
        }
    }
    return row[nb];
}

static int unknown(const struct g4_opt_command *c, const char *name, size_t n, g4_err *err)
{
    const struct g4_opt *near = NULL;
    unsigned best = n / 3 + 1;
    for (const struct g4_opt *o = c->opts; o->name; o++) {
        if (o->kind == G4_OPTK_TITLE || (o->flags & G4_OPTF_HIDDEN)) continue;
        unsigned d = distance(name, n, o->name);
        if (d > 1 && n >= 3 && strncmp(o->name, name, n) == 0) d = 1; /* a shortened name */
        if (d < best || (d == best && !near)) {
            near = o;
            best = d;
        }
    }
    if (near)
        return g4_fail(err, G4_EUSAGE, "unknown option '--%.*s' (did you mean '--%s'?)", (int)n, name, near->name);
    return g4_fail(err, G4_EUSAGE, "unknown option '--%.*s'", (int)n, name);
}

static int second_value(struct g4_opts *p, const struct g4_opt *o, struct words *w, const char *name, g4_err *err)
{
    if (w->i >= w->n) return g4_fail(err, G4_EUSAGE, "'--%s' wants a name and a value", o->name);
    return apply(p, o, name, false, err) ? G4_EUSAGE : apply(p, o, w->v[w->i++], false, err);
}

static int long_option(struct g4_opts *p, struct words *w, const char *word, g4_err *err)
{
    const char *eq = strchr(word, '=');
    const size_t n = eq ? (size_t)(eq - word) : strlen(word);
    const struct g4_opt *o = by_name(p->cmd, word, n);
    bool off = false;
    if (!o && strncmp(word, "no-", 3) == 0) {
        o = by_name(p->cmd, word + 3, n - 3);
        off = o && (o->flags & G4_OPTF_NO);
        if (!off) o = NULL;
    }
    if (!o) return unknown(p->cmd, word, n, err);
    if (off || !takes_value(o)) {
        if (eq) return g4_fail(err, G4_EUSAGE, "'--%.*s' takes no value", (int)n, word);
        return apply(p, o, NULL, off, err);
    }
    if (eq) return o->kind == G4_OPTK_PAIR ? second_value(p, o, w, eq + 1, err) : apply(p, o, eq + 1, false, err);
    if (o->flags & G4_OPTF_OPTIONAL) return apply(p, o, NULL, false, err);
    if (w->i >= w->n) return g4_fail(err, G4_EUSAGE, "'--%s' wants a value (%s)", o->name, o->arg);
    const char *value = w->v[w->i++];
    return o->kind == G4_OPTK_PAIR ? second_value(p, o, w, value, err) : apply(p, o, value, false, err);
}

static int short_options(struct g4_opts *p, struct words *w, const char *word, g4_err *err)
{
    for (; *word; word++) {
        const struct g4_opt *o = by_letter(p->cmd, *word);
        if (!o) return g4_fail(err, G4_EUSAGE, "unknown option '-%c'", *word);
        if (!takes_value(o)) {
            if (apply(p, o, NULL, false, err)) return G4_EUSAGE;
            continue;
        }
        const char *value = word[1] ? word + 1 : w->i < w->n ? w->v[w->i++] : NULL;
        if (!value) return g4_fail(err, G4_EUSAGE, "'-%c' wants a value (%s)", *word, o->arg);
        return apply(p, o, value, false, err);
    }
    return G4_OK;
}

static int command_line(struct g4_opts *p, struct words *w, g4_err *err)
{
    bool only_operands = false;
    while (w->i < w->n) {
        char *word = w->v[w->i++];
        int rc = G4_OK;
        if (only_operands || word[0] != '-' || !word[1]) g4_opt_list_add(&p->operands, word);
        else if (strcmp(word, "--") == 0) only_operands = true;
        else if (word[1] == '-') rc = long_option(p, w, word + 2, err);
        else rc = short_options(p, w, word + 1, err);
        if (rc) return rc;
    }
    return G4_OK;
}

/* ---- the config file ----------------------------------------------------- */

static int config_value(struct g4_opts *p, const struct g4_opt *o, g4_json v, g4_err *err)
{
    bool on;
    if (g4_json_bool(v, &on)) {
        if (takes_value(o) && !(o->flags & G4_OPTF_OPTIONAL))
            return g4_fail(err, G4_EUSAGE, "'%s' wants a value", o->name);
        return on || (o->flags & G4_OPTF_NO) || o->kind == G4_OPTK_FLAG ? apply(p, o, NULL, !on, err) : G4_OK;
    }
    const enum g4_json_type t = g4_json_type(v);
    if (!takes_value(o) || (t != G4_JSON_STRING && t != G4_JSON_NUMBER))
        return g4_fail(err, G4_EUSAGE, "'%s' has a value of the wrong type", o->name);
    g4_str s = {0};
    if (t == G4_JSON_STRING) g4_json_str(v, &s);
    else g4_str_add(&s, v.p, v.n);
    const char *kept = g4_arena_strndup(&p->keep, s.p ? s.p : "", s.n);
    g4_str_free(&s);
    return apply(p, o, kept, false, err);
}

/* own: the object under the command's own name, where an unknown name is an
 * error; at the top level it may be another command's option. */
static int config_object(struct g4_opts *p, g4_json object, bool own, g4_err *err)
{
    for (g4_json_it it = g4_json_iter(object); g4_json_next(&it);) {
        g4_str name = {0};
        g4_json_str(it.key, &name);
        const struct g4_opt *o = by_name(p->cmd, name.p ? name.p : "", name.n);
        int rc = G4_OK;
        if (o && (o->flags & (G4_OPTF_ONCE | G4_OPTF_HIDDEN)))
            rc = own ? g4_fail(err, G4_EUSAGE, "'%s' cannot be a default", o->name) : G4_OK;
        else if (o && g4_json_type(it.value) == G4_JSON_ARRAY && o->kind == G4_OPTK_LIST)
            for (g4_json_it e = g4_json_iter(it.value); !rc && g4_json_next(&e);) rc = config_value(p, o, e.value, err);
        else if (o) rc = config_value(p, o, it.value, err);
        else if (own) rc = unknown(p->cmd, name.p ? name.p : "", name.n, err);
        g4_str_free(&name);
        if (rc) return rc;
    }
    return G4_OK;
}

static int config_file(struct g4_opts *p, g4_err *err)
{
    g4_err why = {0};
    g4_str text = {0};
    g4_json root;
    int rc = G4_OK;
    char *path = g4_xdg_path("XDG_CONFIG_HOME", ".config", "g4/config.json");
    if (!path || !g4_file_exists(path)) goto out;
    rc = g4_file_read(path, 1 << 20, &text, &why);
    if (!rc) rc = g4_json_check(text.p ? text.p : "", text.n, &root, &why);
    if (!rc && g4_json_type(root) != G4_JSON_OBJECT) rc = g4_fail(&why, G4_EUSAGE, "it does not hold an object");
    if (!rc) rc = config_object(p, root, false, &why);
    if (!rc) rc = config_object(p, g4_json_get(root, p->cmd->name), true, &why);
    if (rc) rc = g4_fail(err, G4_EUSAGE, "'%s': %s", path, why.msg);
out:
    g4_str_free(&text);
    free(path);
    return rc;
}

/* ---- all of it ----------------------------------------------------------- */

/* What prints and exits is answered before the config file is looked at, so
 * that a broken one does not keep anybody from --help. */
static void answer_and_exit(const struct g4_opt_command *cmd, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) g4_opt_help(cmd);
        else if (strcmp(argv[i], "--version") == 0) printf("%s %s\n", cmd->name, G4_VERSION);
        else if (strcmp(argv[i], "--completion-helper") == 0) g4_opt_completions(cmd);
        else continue;
        exit(fflush(stdout) || ferror(stdout) ? 4 : 0);
    }
}

int g4_opts_parse(struct g4_opts *p, const struct g4_opt_command *cmd, void *self, int argc, char **argv, g4_err *err)
{
    size_t n = 0;
    while (cmd->opts[n].name) n++;
    answer_and_exit(cmd, argc, argv);
    p->cmd = cmd;
    p->self = self;
    p->raw = g4_alloc((n + 1) * sizeof *p->raw);
    struct words w = { argv, argc, 1 };
    int rc = config_file(p, err);
    for (const struct g4_opt *o = cmd->opts; o->name && !rc; o++) {
        const char *value = o->env ? getenv(o->env) : NULL;
        if (value && *value) rc = apply(p, o, value, false, err);
    }
    if (rc) return rc;
    return command_line(p, &w, err);
}

void g4_opts_key(const struct g4_opts *p, g4_str *out)
{
    for (const struct g4_opt *o = p->cmd->opts; o->name; o++) {
        const char *raw = p->raw[o - p->cmd->opts];
        if (!raw || !(o->flags & G4_OPTF_RESULT)) continue;
        g4_str_addf(out, "%s ", o->name);
        g4_json_put_str(out, raw, strlen(raw));
        g4_str_addc(out, '\n');
    }
}

void g4_opts_free(struct g4_opts *p)
{
    for (size_t i = 0; p->raw && p->cmd->opts[i].name; i++) free(p->raw[i]);
    free(p->raw);
    free(p->operands.v);
    g4_arena_free(&p->keep);
    *p = (struct g4_opts){0};
}
