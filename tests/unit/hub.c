/* The small parts of the hub: ranges and their journal, headers, addresses, digests,
 * roles and paths; a GGUF's header judged from its beginnings. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/alias.h"
#include "hub/archive.h"
#include "hub/header.h"
#include "hub/impl.h"
#include "hub/part.h"
#include "weights/place.h"
#include "../tap.h"

static char root[64];

/* ---- ranges: against a bitmap ------------------------------------------------------- */

static void ranges(void)
{
    enum { N = 64 };
    struct g4_ranges r = {0};
    unsigned char bit[N] = {0};
    uint32_t x = 1;
    bool good = true;
    for (int i = 0; i < 2000; i++) {
        x = x * 1664525 + 1013904223;
        const unsigned a = (x >> 8) % N, b = a + (x >> 16) % 9;
        if (i % 40 == 0) {
            r.n = 0;
            memset(bit, 0, sizeof bit);
        }
        g4_ranges_add(&r, a, b < N ? b : N);
        for (unsigned k = a; k < b && k < N; k++) bit[k] = 1;
        unsigned sum = 0, runs = 0, prefix = 0;
        for (unsigned k = 0; k < N; k++) {
            sum += bit[k];
            runs += bit[k] && !(k && bit[k - 1]);
        }
        while (prefix < N && bit[prefix]) prefix++;
        good &= g4_ranges_sum(&r) == sum && r.n == runs && g4_ranges_prefix(&r) == prefix;
        for (size_t k = 0; k < r.n; k++) good &= r.v[k].a < r.v[k].b && (!k || r.v[k - 1].b < r.v[k].a);
    }
    ok(good, "2000 ranges added in any order: sum, runs and beginning are those of a bitmap");
    free(r.v);
}

/* ---- the journal ----------------------------------------------------------------------- */

static void reopen(const char *identity, int64_t size, uint64_t want, const char *what)
{
    struct g4_part p;
    g4_err err = {0};
    if (g4_part_open(&p, root, "key", identity, size, &err)) printf("Bail out! %s\n", err.msg);
    is_int((long long)g4_ranges_sum(&p.done), (long long)want, what);
    g4_part_close(&p);
}

static void replace_in_journal(const char *from, const char *to)
{
    char path[128];
    g4_str s = {0}, out = {0};
    snprintf(path, sizeof path, "%s/key.g4part.json", root);
    g4_file_read(path, 1 << 20, &s, NULL);
    char *at = strstr(s.p, from);
    if (!at) printf("Bail out! no '%s' in the journal\n", from);
    g4_str_add(&out, s.p, (size_t)(at - s.p));
    g4_str_adds(&out, to);
    g4_str_adds(&out, at + strlen(from));
    g4_file_write_atomic(path, out.p, out.n, NULL);
    g4_str_free(&s);
    g4_str_free(&out);
}

static void begin(struct g4_part *p)
{
    g4_err err = {0};
    if (g4_part_open(p, root, "key", "sha256:a", 1000, &err) || g4_part_restart(p, &err) || g4_part_resize(p, 1000, true, &err))
        printf("Bail out! %s\n", err.msg);
    g4_ranges_add(&p->done, 0, 300);
    g4_ranges_add(&p->done, 500, 600);
    g4_ranges_add(&p->synced, 0, 100);
    g4_part_save(p);
    g4_part_close(p);
}

static void journal(void)
{
    struct g4_part p;
    begin(&p);
    reopen("sha256:a", 1000, 400, "the journal gives what was written");
    begin(&p);
    reopen("sha256:b", 1000, 0, "nothing of another file");
    begin(&p);
    reopen("sha256:a", 999, 0, "nothing of a file of another size");
    begin(&p);
    reopen(NULL, 1000, 0, "nothing without an identity");
    begin(&p);
    replace_in_journal("\"boot\":\"", "\"boot\":\"x");
    reopen("sha256:a", 1000, 100, "after a restart of the machine: what was on the disk");
    begin(&p);
    replace_in_journal("[500,600]", "[500,1001]");
    reopen("sha256:a", 1000, 0, "nothing of a journal that names bytes outside");
    begin(&p);
    replace_in_journal("[500,600]", "[600,500]");
    reopen("sha256:a", 1000, 0, "nothing of a journal with a turned range");
    begin(&p);
    replace_in_journal("\"version\":1", "\"version\":2");
    reopen("sha256:a", 1000, 0, "nothing of another version's journal");
}

/* ---- texts ------------------------------------------------------------------------------- */

static void texts(void)
{
    static const struct g4_hub_params params = { 0 };
    struct g4_hub h = { .p = &params };
    struct g4_head head = {0};
    bool strong;
    static const char *const lines[] = { "HTTP/1.1 302 Found\r\n", "ETag: W/\"old\"\r\n", "HTTP/1.1 200 OK\r\n", "etag:  \"abc\" \r\n", "X-A: 1\r\n", "x-a: 2\r\n", "nonsense\r\n" };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) g4_head_take(&head, lines[i], strlen(lines[i]));
    char *etag = g4_head_etag(&head, "ETag", &strong);
    ok(etag && !strcmp(etag, "abc") && strong, "the ETag of the last response");
    is_str(g4_head_get(&head, "X-A"), "2", "the last of several headers, in any case");
    ok(!g4_head_get(&head, "nonsense"), "a line without a colon is no header");
    free(etag);
    g4_str_free(&head.text);

    static const struct {
        const char *url, *origin;
    } origin[] = {
        { "https://Example.COM/a?b", "https://example.com:443" }, { "http://127.0.0.1:8080/x", "http://127.0.0.1:8080" },
        { "https://u:p@h:1/", "https://h:1" },                    { "http://[::1]/", "http://[::1]:80" },
    };
    for (size_t i = 0; i < sizeof origin / sizeof *origin; i++) {
        char *o = g4_url_origin(origin[i].url);
        is_str(o, origin[i].origin, origin[i].url);
        free(o);
    }
    static const struct {
        const char *url, *from;
        bool fine;
    } allowed[] = {
        { "https://a/b", NULL, true },         { "http://a/b", NULL, false },          { "http://127.0.0.1/b", NULL, true },
        { "http://localhost:9/b", NULL, true }, { "http://127.0.0.1.evil.example/", NULL, true },
        { "file:///etc/passwd", "https://a/", false }, { "ftp://a/b", NULL, false },   { "http://127.0.0.1/b", "https://a/", false },
        { "https://a/b", "http://127.0.0.1/", true }, { "nonsense", NULL, false },
    };
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        g4_err err = {0};
        if (strstr(allowed[i].url, "evil")) { /* a name that only begins like loopback */
            ok(g4_url_allowed(&h, allowed[i].url, NULL, &err) != 0, "a name that begins with 127. is no loopback");
            continue;
        }
        ok(!g4_url_allowed(&h, allowed[i].url, allowed[i].from, &err) == allowed[i].fine, "%s%s%s is %s", allowed[i].url,
           allowed[i].from ? " from " : "", allowed[i].from ? allowed[i].from : "", allowed[i].fine ? "asked" : "refused");
    }
    char *url = g4_url_login(&h, "https://user:pa%3Ass@h/x?y");
    is_str(url, "https://h/x?y", "a login is taken out of an address");
    is_str(g4_auth_for(&h, "https://h/other"), "Basic dXNlcjpwYTpzcw==", "and sent to its origin");
    ok(!g4_auth_for(&h, "http://h/x") && !g4_auth_for(&h, "https://h:444/x") && !g4_auth_for(&h, "https://i/x"), "and to no other");
    free(url);
    g4_net_close(&h);

    struct g4_digest d = {0};
    const char *hex = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    ok(g4_digest_parse(hex, 64, &d) && d.hex[0] == 'a', "a digest in upper case");
    ok(!g4_digest_parse(hex, 63, &d) && !g4_digest_parse("sha256:xyz", 10, &d), "half a digest is none");
}

static void names(void)
{
    static const char *const bad[] = { "", "/a", "a//b", "a/../b", "..", "./a", "a/", "a\\b", "a\nb", "a/.", "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) ok(!g4_path_is_safe(bad[i]), "path %zu is refused", i);
    ok(g4_path_is_safe("a/b..c/.d"), "dots inside of names are fine");
    static const struct {
        const char *path;
        enum g4_role role;
    } role[] = {
        { "BF16/m-00001-of-00002.gguf", G4_ROLE_MODEL }, { "gemma-4-E2B-it-mmproj.gguf", G4_ROLE_MMPROJ }, { "mtp-gemma.gguf", G4_ROLE_DRAFTER },
        { "MTP/x.gguf", G4_ROLE_DRAFTER }, { "model.imatrix.gguf", G4_ROLE_OTHER }, { "2_Dense/model.safetensors", G4_ROLE_MODEL },
        { "tokenizer.model", G4_ROLE_TOKENIZER }, { "x/config.json", G4_ROLE_CONFIG }, { "LICENSE.txt", G4_ROLE_LICENSE }, { "readme.md", G4_ROLE_OTHER },
    };
    for (size_t i = 0; i < sizeof role / sizeof *role; i++) is_int(g4_role_of(role[i].path), role[i].role, role[i].path);
    static const struct {
        const char *text, *repo, *file, *quant, *rev;
    } ref[] = {
        { "o/r", "r", NULL, NULL, "main" }, { "o/r:Q4_0@v1", "r", NULL, "Q4_0", "v1" }, { "o/r/a/b.gguf@refs/pr/3", "r", "a/b.gguf", NULL, "refs/pr/3" },
        { "//o/r@v1/a.gguf", "r", "a.gguf", NULL, "v1" }, { "https://huggingface.co/o/r/tree/v1", "r", NULL, NULL, "v1" },
        { "https://huggingface.co/o/r/resolve/refs/pr/3/x/a.gguf?download=true", "r", "x/a.gguf", NULL, "refs/pr/3" },
    };
    for (size_t i = 0; i < sizeof ref / sizeof *ref; i++) {
        struct g4_place_ref r = {0};
        const bool good = g4_place_ref_parse(ref[i].text, &r);
        ok(good && !strcmp(r.repo, ref[i].repo) && !strcmp(r.rev, ref[i].rev) && !strcmp(r.file ? r.file : "-", ref[i].file ? ref[i].file : "-") &&
           !strcmp(r.quant ? r.quant : "-", ref[i].quant ? ref[i].quant : "-"), "%s", ref[i].text);
        g4_place_ref_free(&r);
    }
    static const char *const no_ref[] = { "o", "o/", "-o/r", "o/r--s", "o/../r", "o/r:", "o/r/../x", "o/r@../x" };
    for (size_t i = 0; i < sizeof no_ref / sizeof *no_ref; i++) {
        struct g4_place_ref r = {0};
        ok(!g4_place_ref_parse(no_ref[i], &r), "'%s' is no repository", no_ref[i]);
        g4_place_ref_free(&r);
    }
    size_t n;
    struct g4_alias *a = g4_aliases(&n, NULL);
    bool sound = n > 10;
    for (size_t i = 0; i < n; i++) {
        struct g4_digest d;
        struct g4_place_ref r = {0};
        sound &= !a[i].pin || g4_digest_parse(a[i].pin, strlen(a[i].pin), &d);
        sound &= !strncmp(a[i].ref, "pypi:", 5) || (!strncmp(a[i].ref, "hf:", 3) && g4_place_ref_parse(a[i].ref + 3, &r));
        g4_place_ref_free(&r);
    }
    ok(sound, "%zu short names stand for references", n);
    g4_aliases_free(a, n);
}

/* ---- a header that arrives bit by bit --------------------------------------------------------- */

static void header(const char *file)
{
    g4_str s = {0};
    g4_err err = {0};
    char path[128];
    if (g4_file_read(file, 64 << 20, &s, &err)) {
        skip("a header that arrives bit by bit", err.msg);
        return;
    }
    snprintf(path, sizeof path, "%s/h.gguf", root);
    if (g4_file_write_atomic(path, s.p, s.n, &err)) printf("Bail out! %s\n", err.msg);
    int fd = open(path, O_RDWR), seen = 0;
    size_t good_at = 0;
    bool sound = true;
    for (size_t n = 1; n < s.n; n = n < 4096 ? n + 97 : n + n / 8) {
        uint64_t want = 0;
        const enum g4_header v = g4_header_check(fd, n, s.n, "h", true, &want, NULL);
        sound &= v != G4_HEADER_BAD && !(seen && v == G4_HEADER_MORE) && want > n / 2;
        if (v == G4_HEADER_GOOD && !seen++) good_at = n;
    }
    ok(sound && seen, "every beginning asks for more until the header is there (%zu of %zu bytes)", good_at, s.n);
    uint64_t want = 0;
    is_int(g4_header_check(fd, s.n - 100, s.n - 100, "h", true, &want, &err), G4_HEADER_BAD, "a file that is announced 100 bytes too short");
    int bad = 0;
    for (size_t i = 0; i < 24; i++) {
        const char was = s.p[i], x = (char)0xff;
        if (pwrite(fd, &x, 1, (off_t)i) != 1) break;
        uint64_t w = 0;
        bad += g4_header_check(fd, s.n, s.n, "h", true, &w, NULL) == G4_HEADER_BAD;
        if (pwrite(fd, &was, 1, (off_t)i) != 1) break;
    }
    ok(bad == 24, "a wrong byte in magic, version or counts: %d of 24 are bad", bad);
    close(fd);
    unlink(path);
    g4_str_free(&s);
}

int main(void)
{
    char cmd[160];
    snprintf(root, sizeof root, "/tmp/g4-hub-test-%ld", (long)getpid());
    mkdir(root, 0755);
    setenv("XDG_CONFIG_HOME", root, 1);
    ranges();
    journal();
    texts();
    names();
    char file[200];
    snprintf(file, sizeof file, "%s/hub-test.gguf", root);
    snprintf(cmd, sizeof cmd, "gzip -dc tests/data/text/gemma3-270m/gemma3-270m-f32.gguf.gz >%.60s/hub-test.gguf", root);
    if (system(cmd)) printf("Bail out! no tiny model\n");
    header(file);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", root);
    return system(cmd) ? 1 : done_testing();
}
