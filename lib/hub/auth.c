/* hub/auth: where the user's secrets lie.  They are read when a source needs them,
 * kept in memory, sent to one origin (net.c) and never put into a message. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/proc.h"
#include "hub/impl.h"

enum { SECRET_MAX = 1 << 20, HELPER_SECONDS = 60 }; /* a keychain may ask the user first */

char *g4_auth_read(const char *path)
{
    g4_str s = {0};
    if (!path || !g4_file_exists(path) || g4_file_read(path, SECRET_MAX, &s, NULL)) {
        g4_str_free(&s);
        return NULL;
    }
    return g4_str_take(&s);
}

/* One line without the blanks around it; NULL when nothing is left, or when it
 * could not stand in a header. */
static char *token_of(char *text)
{
    if (!text) return NULL;
    char *p = text + strspn(text, " \t\r\n");
    p[strcspn(p, "\r\n")] = 0;
    for (size_t n = strlen(p); n && (p[n - 1] == ' ' || p[n - 1] == '\t'); n--) p[n - 1] = 0;
    char *token = *p ? g4_strdup(p) : NULL;
    free(text);
    return token;
}

static char *expand(const char *v)
{
    const char *home = getenv("HOME");
    g4_str s = {0};
    if (v[0] == '~' && v[1] == '/' && home) g4_str_addf(&s, "%s%s", home, v + 1);
    else g4_str_adds(&s, v);
    return g4_str_take(&s);
}

static char *hub_token_file(void)
{
    const char *v = getenv("HF_TOKEN_PATH"), *home = getenv("HF_HOME");
    if (v && *v) return expand(v);
    if (!home || !*home) return g4_xdg_path("XDG_CACHE_HOME", ".cache", "huggingface/token");
    char *dir = expand(home);
    g4_str s = {0};
    g4_str_addf(&s, "%s/token", dir);
    free(dir);
    return g4_str_take(&s);
}

char *g4_auth_hub_token(struct g4_hub *h, g4_err *err)
{
    static const char *const var[] = { "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN" };
    if (h->p->token_file) {
        char *token = token_of(g4_auth_read(h->p->token_file));
        if (!token) g4_hub_fail(h, G4_HUB_USAGE, err, "--token-file: no token in '%s'", h->p->token_file);
        return token;
    }
    for (size_t i = 0; i < 2; i++) {
        const char *v = getenv(var[i]);
        if (v && *v) return token_of(g4_strdup(v));
    }
    if (g4_hub_env_true("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return NULL;
    char *file = hub_token_file(), *token = token_of(g4_auth_read(file));
    free(file);
    return token;
}

char *g4_auth_basic(const char *user, const char *password)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    g4_str in = {0}, out = {0};
    g4_str_addf(&in, "%s:%s", user, password);
    g4_str_adds(&out, "Basic ");
    for (size_t i = 0; i < in.n; i += 3) {
        const size_t n = in.n - i < 3 ? in.n - i : 3;
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++) v = v << 8 | (k < n ? (uint8_t)in.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++) g4_str_addc(&out, k <= n ? digit[v >> (18 - 6 * k) & 63] : '=');
    }
    g4_str_free(&in);
    return g4_str_take(&out);
}

/* ---- registries ----------------------------------------------------------------------- */

static void wait_for(g4_proc *p)
{
    while (!g4_proc_step(p)) {
        struct pollfd fds[G4_PROC_FDS];
        const unsigned n = g4_proc_poll(p, fds);
        poll(fds, n, g4_proc_wait_ms(p));
    }
}

/* A program that keeps passwords, docker-credential-NAME: `get` reads the host and writes {"Username", "Secret"}.
 * One that knows none ends with a status. */
static char *ask_helper(const char *name, const char *host)
{
    g4_str program = {0};
    g4_err why = {0};
    g4_json top = {0};
    char *value = NULL, *user = NULL, *secret = NULL;
    int status = -1;
    if (!*name || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != strlen(name)) return NULL;
    g4_str_addf(&program, "docker-credential-%s", name);
    const char *const argv[] = { program.p, "get", NULL };
    g4_proc *p = g4_proc_start(&(struct g4_proc_params){ .argv = argv, .input = { host, strlen(host) }, .out_max = SECRET_MAX, .time_max = HELPER_SECONDS }, &why);
    if (p) wait_for(p);
    else g4_log(G4_LOG_WARN, "the login to '%s' is kept by '%s', which cannot be run: %s", host, program.p, why.msg);
    if (p && g4_proc_state(p, &status) == G4_PROC_EXITED && !status && !g4_json_check(g4_proc_out(p)->p, g4_proc_out(p)->n, &top, NULL)) {
        user = g4_json_dup(g4_json_get(top, "Username"));
        secret = g4_json_dup(g4_json_get(top, "Secret"));
        if (user && secret && *user && strcmp(user, "<token>")) value = g4_auth_basic(user, secret);
        else if (user && !strcmp(user, "<token>")) g4_log(G4_LOG_WARN, "'%s' has no password for '%s', only a token of Docker's own kind", program.p, host);
    } else if (p) {
        g4_log(G4_LOG_VERBOSE, "'%s' has no login for '%s'", program.p, host);
    }
    free(user);
    free(secret);
    g4_proc_free(p);
    g4_str_free(&program);
    return value;
}

/* The file's credHelpers for this host, else its credsStore for all. */
static char *by_helper(g4_json top, const char *host)
{
    char *name = g4_json_dup(g4_json_path(top, "credHelpers", host));
    if (!name) name = g4_json_dup(g4_json_get(top, "credsStore"));
    char *value = name ? ask_helper(name, host) : NULL;
    free(name);
    return value;
}

/* {"auths": {HOST: {"auth": BASE64}}}; the base64 text is what a Basic header wants. */
static char *in_file(const char *path, const char *host)
{
    char *text = g4_auth_read(path), *value = NULL;
    g4_json top = {0};
    g4_str key = {0};
    if (text && !g4_json_check(text, strlen(text), &top, NULL)) {
        g4_json entry = g4_json_path(top, "auths", host);
        if (!entry.p) {
            g4_str_addf(&key, "https://%s", host);
            entry = g4_json_path(top, "auths", key.p);
        }
        char *auth = g4_json_dup(g4_json_get(entry, "auth"));
        if (auth && *auth && !strpbrk(auth, " \r\n")) {
            g4_str s = {0};
            g4_str_addf(&s, "Basic %s", auth);
            value = g4_str_take(&s);
        }
        free(auth);
        if (!value) value = by_helper(top, host);
    }
    g4_str_free(&key);
    free(text);
    return value;
}

static char *joined(const char *dir, const char *name)
{
    g4_str s = {0};
    if (!dir || !*dir) return NULL;
    g4_str_addf(&s, "%s/%s", dir, name);
    return g4_str_take(&s);
}

char *g4_auth_registry(const char *host)
{
    const char *docker = getenv("DOCKER_CONFIG"), *file = getenv("REGISTRY_AUTH_FILE");
    char *path[] = {
        file && *file ? g4_strdup(file) : NULL,
        joined(getenv("XDG_RUNTIME_DIR"), "containers/auth.json"),
        g4_xdg_path("XDG_CONFIG_HOME", ".config", "containers/auth.json"),
        docker && *docker ? joined(docker, "config.json") : g4_xdg_path(NULL, ".docker/config.json", NULL),
    };
    char *value = NULL;
    const bool hub = !strcmp(host, "registry-1.docker.io");
    for (size_t i = 0; i < sizeof path / sizeof *path; i++) {
        if (!value && path[i]) value = in_file(path[i], hub ? "https://index.docker.io/v1/" : host);
        free(path[i]);
    }
    return value;
}

/* ---- Kaggle ---------------------------------------------------------------------------- */

static char *bearer(const char *token)
{
    g4_str s = {0};
    g4_str_addf(&s, "Bearer %s", token);
    return g4_str_take(&s);
}

static char *kaggle_json(const char *dir)
{
    char *path = joined(dir, "kaggle.json"), *text = g4_auth_read(path), *value = NULL;
    g4_json top = {0};
    if (text && !g4_json_check(text, strlen(text), &top, NULL)) {
        char *user = g4_json_dup(g4_json_get(top, "username")), *key = g4_json_dup(g4_json_get(top, "key"));
        if (user && key) value = g4_auth_basic(user, key);
        free(user);
        free(key);
    }
    free(text);
    free(path);
    return value;
}

char *g4_auth_kaggle(void)
{
    const char *token = getenv("KAGGLE_API_TOKEN"), *user = getenv("KAGGLE_USERNAME"), *key = getenv("KAGGLE_KEY"), *config = getenv("KAGGLE_CONFIG_DIR");
    if (token && *token && !strpbrk(token, "\r\n")) return bearer(token);
    char *dir = config && *config ? g4_strdup(config) : g4_xdg_path(NULL, ".kaggle", NULL);
    char *file = joined(dir, "access_token"), *stored = token_of(g4_auth_read(file)), *value = NULL;
    if (stored) value = bearer(stored);
    else if (user && *user && key && *key) value = g4_auth_basic(user, key);
    else if (dir) value = kaggle_json(dir);
    free(stored);
    free(file);
    free(dir);
    return value;
}
