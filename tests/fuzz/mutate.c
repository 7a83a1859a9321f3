/* Mutated files and records, each opened through the library in a child process:
 * nothing may crash or hang, and what is refused is refused with a message.
 *
 *     mutate.t [COUNT [SEED [FILE...]]]
 *
 * A file's kind goes by its name: .gguf, .safetensors, config.json and
 * tokenizer.json are opened as a model (folders are copied first) and, when they
 * are accepted, two tokens are generated; a line of a .jsonl is a record for the
 * tiny model of tests/data.  What fails is kept under build/fuzz. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/model.h"
#include "g4.h"
#include "../tap.h"

enum { ACCEPTED = 0, REFUSED = 10, SILENT = 11, HANG_S = 60 };

#define TINY "tests/data/text/gemma3-270m"

static uint64_t state;
static char dir[64] = "/tmp/g4-fuzz-XXXXXX";

static uint64_t rnd(uint64_t n)
{
    state += 0x9e3779b97f4a7c15u;
    return n ? g4_mix64(state) % n : 0;
}

/* ---- mutations ------------------------------------------------------------------ */

/* Headers stand in front: positions crowd there. */
static size_t place(size_t n)
{
    const double u = (double)rnd(1u << 30) / (1u << 30);
    return (size_t)((double)n * (rnd(4) ? u * u * u * u : u));
}

static void splice(g4_str *s, size_t at, size_t cut, const char *p, size_t n)
{
    g4_str out = {0};
    if (cut > s->n - at) cut = s->n - at;
    g4_str_add(&out, s->p, at);
    g4_str_add(&out, p, n);
    g4_str_add(&out, s->p + at + cut, s->n - at - cut);
    g4_str_free(s);
    *s = out;
}

/* A member of a JSON text gets another value; most texts stay JSON. */
static void new_value(g4_str *s)
{
    static const char *const value[] = { "0", "-1", "1", "2", "7", "1e9", "4294967296", "9223372036854775807", "1.5", "1e999", "null", "true",
                                         "\"\"", "\"x\"", "[]", "{}", "[0]", "{\"a\":1}", "99999999999999999999999" };
    size_t at = place(s->n), end;
    do
        while (at < s->n && s->p[at++] != ':') {}
    while (at < s->n && strchr("{/", s->p[at + (s->p[at] == ' ')]));
    for (end = at; end < s->n && s->p[end] == ' ';) end++;
    const char close = end < s->n && s->p[end] == '"' ? '"' : end < s->n && s->p[end] == '[' ? ']' : 0;
    if (close)
        for (end++; end < s->n && s->p[end] != close;) end++;
    end = close ? end + 1 : end + strcspn(s->p + end, ",]}\n");
    if (end > s->n) end = s->n;
    const char *v = value[rnd(sizeof value / sizeof *value)];
    splice(s, at, end - at, v, strlen(v));
}

static void new_bytes(g4_str *s)
{
    static const uint64_t odd[] = { 0, 1, 2, 8, 9, 64, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, (uint64_t)1 << 32,
                                    (uint64_t)1 << 40, (uint64_t)1 << 62, (uint64_t)1 << 63, UINT64_MAX - 7, UINT64_MAX };
    const size_t at = place(s->n), width = (size_t)1 << rnd(4);
    const uint64_t v = odd[rnd(sizeof odd / sizeof *odd)];
    for (size_t i = 0; i < width && at + i < s->n; i++) s->p[at + i] = (char)(v >> 8 * i);
}

static void mutate(g4_str *s, bool text)
{
    const uint64_t kinds = text && rnd(2) ? 16 : text ? 9 : 7; /* half of the texts: mostly values */
    for (uint64_t k = 1 + rnd(3); k; k--) {
        const size_t at = place(s->n), n = s->n;
        if (!n) return;
        switch (kinds == 16 ? 8 : rnd(kinds)) {
        case 0: s->p[at] ^= (char)(1 << rnd(8)); break;
        case 1: s->p[at] = (char)rnd(256); break;
        case 2: new_bytes(s); break;
        case 3: splice(s, at, 1 + rnd(rnd(2) ? 8 : 300), NULL, 0); break;
        case 4: {
            const size_t from = rnd(n);
            char *piece = g4_dup(s->p + from, n - from);
            splice(s, at, rnd(2) ? rnd(50) : 0, piece, rnd(n - from < 50 ? n - from : 50));
            free(piece);
            break;
        }
        case 5: s->p[s->n = rnd(3) ? at : rnd(n)] = 0; break;
        case 6: new_bytes(s); break;
        default: new_value(s); break;
        }
    }
}

/* ---- what a child does with one input ---------------------------------------------- */

static int verdict(const g4_err *err)
{
    if (!err->code || !err->msg[0] || strchr(err->msg, '\n')) return SILENT;
    printf("%s\n", err->msg);
    return REFUSED;
}

static int run_record(g4_engine *e, const char *json, size_t n, bool raw)
{
    g4_err err = {0};
    g4_event ev;
    g4_options limit = { .set = G4_OPT_MAX_TOKENS, .max_tokens = 2 };
    if (!g4_submit(e, &(g4_request){ .json = json, .json_len = n, .options = &limit, .raw = raw }, &err)) return verdict(&err);
    while (g4_step(e, NULL, 0, -1, &ev, &err) > 0)
        if (ev.kind == G4_EVENT_DONE) return ev.result->err.code ? verdict(&ev.result->err) : ACCEPTED;
    return verdict(&err);
}

static g4_engine *open_engine(const char *path, g4_err *err)
{
    return g4_engine_new(&(g4_engine_params){ .model = path, .device = rnd(2) ? "ref" : "cpu", .threads = 1, .context = 256, .parallel = 1 }, err);
}

/* Every value and every tensor's last row is touched. */
static void touch(const char *path)
{
    g4_weights *w = g4_weights_open(path, 0, NULL);
    volatile float sum = 0;
    for (size_t i = 0; w && i < g4_weights_kv_count(w); i++) {
        const uint8_t *at = NULL;
        double d;
        g4_sv s;
        while (g4_kv_next_str(g4_weights_kv_at(w, i), &at, &s)) sum += (float)g4_hash64(s.p, s.n, 0);
        if (g4_kv_f64(g4_weights_kv_at(w, i), g4_weights_kv_at(w, i)->n - 1, &d)) sum += (float)d;
    }
    for (size_t i = 0; w && i < g4_weights_count(w); i++) {
        const g4_tensor *t = g4_weights_at(w, i);
        const g4_dtype_info *d = g4_dtype_get(t->type);
        float y[256];
        if (d->decode && t->bytes >= d->bytes) d->decode((const uint8_t *)t->data + t->bytes - d->bytes, y, d->block);
        if (d->decode && t->bytes >= d->bytes) sum += y[d->block - 1];
    }
    g4_weights_free(w);
}

static int open_model(const char *path)
{
    g4_err err = {0};
    touch(path);
    g4_engine *e = open_engine(path, &err);
    if (!e) return verdict(&err);
    int rc = ACCEPTED;
    if (g4_engine_get_info(e)->is_encoder) {
        float *v = NULL;
        size_t n;
        if (g4_embed(e, "some text", 9, &v, &n, &err)) rc = verdict(&err);
        free(v);
    } else {
        rc = run_record(e, "{\"prompt\":\"some text\"}", 22, true);
    }
    g4_engine_free(e);
    return rc;
}

static int open_record(const char *json, size_t n)
{
    g4_err err = {0};
    g4_engine *e = open_engine(TINY, &err);
    if (!e) {
        printf("%s\n", err.msg);
        return SILENT; /* the model is whole: that is no refusal */
    }
    const int rc = run_record(e, json, n, false);
    g4_engine_free(e);
    return rc;
}

/* ---- running children ----------------------------------------------------------------- */

static void copy_folder(const char *from, const char *to)
{
    char cmd[1200];
    snprintf(cmd, sizeof cmd, "cp -r '%s' '%s' && chmod -R u+w '%s'", from, to, to);
    if (system(cmd)) printf("Bail out! cannot copy %s\n", from);
}

static const char *out_path(void)
{
    static char path[100];
    snprintf(path, sizeof path, "%s/out", dir);
    return path;
}

/* The status of a child that does one input; -1: killed by a signal or for hanging. */
static int child(const char *path, const g4_str *s, bool record, bool leaks)
{
    fflush(stdout);
    const pid_t pid = fork();
    if (!pid) {
        const int fd = open(out_path(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(fd, 1);
        dup2(fd, 2);
        alarm(HANG_S);
        const int rc = record ? open_record(s->p, s->n) : open_model(path);
        fflush(stdout);
        if (leaks) exit(rc); /* a sanitizer looks for leaks here */
        _exit(rc);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct seed {
    const char *path;
    const char *base;  /* its file name */
    char target[300];  /* where a mutated copy is put */
    char model[300];   /* what is opened */
    bool record, text;
    g4_str bytes;
};

static bool ends(const char *s, const char *with)
{
    return strlen(s) >= strlen(with) && !strcmp(s + strlen(s) - strlen(with), with);
}

static bool prepare(struct seed *s, const char *path)
{
    g4_err err = {0};
    *s = (struct seed){ .path = path };
    s->base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    s->record = ends(path, ".jsonl");
    s->text = s->record || ends(path, ".json") || ends(path, ".safetensors");
    if (g4_file_read(path, 64 << 20, &s->bytes, &err)) return ok(false, "%s", err.msg);
    if (s->record || ends(path, ".gguf")) {
        snprintf(s->target, sizeof s->target, "%s/seed.gguf", dir);
        snprintf(s->model, sizeof s->model, "%s", s->target);
    } else {
        char *folder = g4_strndup(path, (size_t)(s->base > path ? s->base - path - 1 : 0));
        snprintf(s->model, sizeof s->model, "%s/folder", dir);
        snprintf(s->target, sizeof s->target, "%s/folder/%s", dir, s->base);
        copy_folder(*folder ? folder : ".", s->model);
        free(folder);
    }
    return true;
}

/* One line of a file of records; others whole. */
static void take(const struct seed *s, uint64_t i, g4_str *out)
{
    const char *p = s->bytes.p, *end = p + s->bytes.n;
    g4_str_clear(out);
    if (s->record) {
        uint64_t lines = 0;
        for (const char *q = p; q < end; q++) lines += *q == '\n';
        for (uint64_t skip = lines ? i % lines : 0; skip; skip--) p = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        if (nl) end = nl;
    }
    g4_str_add(out, p, (size_t)(end - p));
}

static void keep(const struct seed *s, const g4_str *bytes, uint64_t i, int rc)
{
    char name[300];
    g4_str why = {0};
    const char *build = getenv("G4_BUILD");
    snprintf(name, sizeof name, "%s/fuzz", build ? build : "build");
    g4_mkdirs(name, 0755, NULL);
    snprintf(name, sizeof name, "%s/fuzz/%llu-%s", build ? build : "build", (unsigned long long)i, s->base);
    g4_file_write_atomic(name, bytes->p, bytes->n, NULL);
    printf("# status %d, input kept as %s\n", rc, name);
    if (!g4_file_read(out_path(), 1 << 20, &why, NULL))
        for (char *p = why.p, *nl; p && *p; p = nl ? nl + 1 : NULL) {
            nl = strchr(p, '\n');
            printf("#   %.*s\n", (int)(nl ? nl - p : (long)strlen(p)), p);
        }
    g4_str_free(&why);
}

static void fuzz(const char *path, uint64_t count)
{
    struct seed s;
    if (!prepare(&s, path)) return;
    unsigned accepted = 0, refused = 0, failed = 0;
    g4_str bytes = {0};
    for (uint64_t i = 0; i < count; i++) {
        g4_err err = {0};
        take(&s, i, &bytes);
        if (i >= 8 || !s.record) mutate(&bytes, s.text); /* records: the first ones as they are */
        if (!s.record && g4_file_write_atomic(s.target, bytes.p, bytes.n, &err)) printf("Bail out! %s\n", err.msg);
        const int rc = child(s.model, &bytes, s.record, i % 8 == 0);
        accepted += rc == ACCEPTED;
        refused += rc == REFUSED;
        if (rc == ACCEPTED || rc == REFUSED) continue;
        if (failed++ < 5) keep(&s, &bytes, i, rc);
    }
    ok(!failed, "%s: %llu mutations, %u accepted, %u refused with a message, %u failed", path, (unsigned long long)count, accepted, refused,
       failed);
    char cmd[400];
    snprintf(cmd, sizeof cmd, "rm -rf '%s/folder'", dir);
    if (system(cmd)) exit(1);
    g4_str_free(&bytes);
    g4_str_free(&s.bytes);
}

int main(int argc, char **argv)
{
    static char gguf[3][200];
    static char *const usual[] = { "tests/data/quants/quants.gguf", gguf[0], gguf[1], gguf[2], TINY "/model.safetensors", TINY "/config.json",
                                   TINY "/tokenizer.json", "tests/data/text/g4-moe/model.safetensors", "tests/data/text/g4-edge/config.json",
                                   "tests/data/text/embeddinggemma1/model.safetensors", "tests/fuzz/records.jsonl", "tests/fuzz/records.jsonl" };
    static const char *const made[] = { "gemma3-270m", "g4-edge", "g4-moe" };
    const char *build = getenv("G4_BUILD");
    for (int i = 0; i < 3; i++)
        snprintf(gguf[i], sizeof *gguf, "%s/data/text/%s/%s-f32.gguf", build ? build : "build", made[i], made[i]);
    char *const *files = argc > 3 ? argv + 3 : usual;
    const uint64_t n_file = argc > 3 ? (uint64_t)argc - 3 : sizeof usual / sizeof *usual;
    const uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : getenv("G4_TEST_FULL") ? 2004 : 360;
    state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (!mkdtemp(dir)) return 1;
    for (uint64_t i = 0; i < n_file; i++) fuzz(files[i], count / n_file);
    char cmd[100];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd) ? 1 : done_testing();
}
