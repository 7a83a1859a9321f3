/* base/sandbox: the part of proc.h that makes bubblewrap's command line.
 *
 * Order matters to bubblewrap: the whole file system read-only first, private
 * folders over it, then what must be seen inside those again. */
#include "base/proc.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static const char *const private_folders[] = { "/tmp", "/run", "/var/tmp" };

struct line { /* strings live in `text` until they are packed */
    const char **v;
    size_t n, cap;
};

static void add(struct line *l, const char *word)
{
    G4_GROW(l->v, l->cap, l->n + 1);
    l->v[l->n++] = word;
}

static void add3(struct line *l, const char *what, const char *from, const char *to)
{
    add(l, what);
    add(l, from);
    add(l, to);
}

/* Lies path below one of the folders that are private inside? */
static bool hidden(const char *path)
{
    for (size_t i = 0; i < sizeof private_folders / sizeof *private_folders; i++) {
        const size_t n = strlen(private_folders[i]);
        if (strncmp(path, private_folders[i], n) == 0 && path[n] == '/' && path[n + 1]) return true;
    }
    return false;
}

static bool is_private(const char *path)
{
    for (size_t i = 0; i < sizeof private_folders / sizeof *private_folders; i++)
        if (strcmp(path, private_folders[i]) == 0) return true;
    return false;
}

static void add_private(struct line *l)
{
    char real[PATH_MAX];
    for (size_t i = 0; i < sizeof private_folders / sizeof *private_folders; i++)
        if (realpath(private_folders[i], real) && strcmp(real, private_folders[i]) == 0) {
            add(l, "--tmpfs");
            add(l, private_folders[i]);
        }
}

/* One block: the pointers, then every string that is not argv's. */
static const char **pack(const struct line *l, size_t own)
{
    size_t bytes = (l->n + 1) * sizeof *l->v;
    for (size_t i = 0; i < own; i++) bytes += strlen(l->v[i]) + 1;
    const char **block = g4_alloc(bytes);
    char *at = (char *)(block + l->n + 1);
    for (size_t i = 0; i < l->n; i++) {
        if (i >= own) {
            block[i] = l->v[i];
            continue;
        }
        const size_t n = strlen(l->v[i]) + 1;
        memcpy(at, l->v[i], n);
        block[i] = at;
        at += n;
    }
    return block;
}

const char **g4_sandbox_argv(const struct g4_sandbox *s, const char *dir, const char *const *argv)
{
    struct line l = {0};
    char here[PATH_MAX], folder[PATH_MAX] = "";
    if (!dir && getcwd(here, sizeof here)) dir = here;
    const char *slash = strrchr(argv[0], '/');
    if (argv[0][0] == '/' && slash && (size_t)(slash - argv[0]) < sizeof folder) memcpy(folder, argv[0], (size_t)(slash - argv[0]));
    add(&l, "bwrap");
    add(&l, "--unshare-all");
    add(&l, "--die-with-parent");
    add(&l, "--new-session");
    add3(&l, "--ro-bind", "/", "/");
    add(&l, "--dev");
    add(&l, "/dev");
    add(&l, "--proc");
    add(&l, "/proc");
    add_private(&l);
    if (dir && hidden(dir)) add3(&l, "--ro-bind", dir, dir);
    if (hidden(folder)) add3(&l, "--ro-bind", folder, folder);
    else if (is_private(folder)) add3(&l, "--ro-bind", argv[0], argv[0]);
    for (size_t i = 0; i < s->n_write; i++) add3(&l, "--bind", s->write[i], s->write[i]);
    add(&l, "--chdir");
    add(&l, dir ? dir : "/");
    add(&l, "--");
    const size_t own = l.n;
    for (size_t i = 0; argv[i]; i++) add(&l, argv[i]);
    const char **packed = pack(&l, own);
    free(l.v);
    return packed;
}

int g4_sandbox_check(const struct g4_sandbox *s, g4_err *err)
{
    static const char *const command[] = { "true", NULL };
    g4_err why = {0};
    int value;
    g4_proc *p = g4_proc_start(&(struct g4_proc_params){ .argv = command, .time_max = 10, .sandbox = s }, &why);
    if (!p)
        return g4_fail(err, G4_EUSAGE, "--sandbox needs bubblewrap ('bwrap', Debian's package bubblewrap): %s", why.msg);
    while (!g4_proc_step(p)) {
        struct pollfd fds[G4_PROC_FDS];
        const unsigned n = g4_proc_poll(p, fds);
        poll(fds, n, g4_proc_wait_ms(p));
    }
    int rc = G4_OK;
    const enum g4_proc_end end = g4_proc_state(p, &value);
    if (end != G4_PROC_EXITED || value) {
        g4_str *text = g4_proc_err(p);
        text->n = text->p ? strcspn(text->p, "\n") : 0;
        rc = g4_fail(err, G4_EUSAGE, "--sandbox cannot be used here: %.*s", (int)text->n, text->n ? text->p : "");
    }
    g4_proc_free(p);
    return rc;
}
