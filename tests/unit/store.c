/* From a name to a path: explicit paths, g4's store, the Hugging Face cache and
 * the Ollama store, on fabricated caches; what leads out of them is refused. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "weights/names.h"
#include "weights/store.h"
#include "../tap.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static char root[256]; /* everything lies below; the working folder during the test */

static void put(const char *path, const char *text)
{
    g4_err err = {0};
    char *dir = g4_strdup(path), *slash = strrchr(dir, '/');
    if (slash) {
        *slash = 0;
        if (g4_mkdirs(dir, 0755, &err)) printf("Bail out! %s\n", err.msg);
    }
    if (g4_file_write_atomic(path, text, strlen(text), &err)) printf("Bail out! %s\n", err.msg);
    free(dir);
}

static void link_to(const char *target, const char *path)
{
    char *dir = g4_strdup(path);
    *strrchr(dir, '/') = 0;
    g4_mkdirs(dir, 0755, NULL);
    if (symlink(target, path)) printf("Bail out! cannot link %s\n", path);
    free(dir);
}

/* path is relative to the test's folder; NULL: not found, and the message says part. */
static void finds(const char *name, const char *path, const char *digest, const char *part)
{
    g4_err err = {0};
    char *sum = NULL, *got = g4_store_find(name, &sum, &err);
    char want[600];
    if (path) {
        snprintf(want, sizeof want, "%s%s%s", *path == '/' || !strncmp(path, "./", 2) ? "" : root, *path == '/' || !strncmp(path, "./", 2) ? "" : "/", path);
        is_str(got ? got : err.msg, want, name);
        is_str(sum, digest ? digest : "(null)", "its digest");
    } else {
        ok(!got && err.code && strstr(err.msg, part), "'%s' is refused: %s", name, err.msg);
    }
    free(sum);
    free(got);
}

static void test_paths(void)
{
    put("here/model.gguf", "x");
    put("gemma/notes.txt", "no model in here");
    put("full/config.json", "{}");
    finds("./here/model.gguf", "./here/model.gguf", NULL, NULL);
    finds("./here", "./here", NULL, NULL);
    finds("./nothing.gguf", NULL, NULL, "no model file or folder './nothing.gguf'");
    finds("/nothing/at/all", NULL, NULL, "no model file or folder");
    finds("", NULL, NULL, "empty");
    g4_err err = {0};
    char *p = g4_store_find("full", NULL, &err);
    is_str(p, "full", "a folder that holds a model is a path");
    free(p);
    put("store/gemma.gguf", "x");
    finds("gemma", "store/gemma.gguf", NULL, NULL);
}

static void test_own(void)
{
    put("store/plain.gguf", "x");
    put("store/folder/config.json", "{}");
    put("store/blobs/sha256-" HEX_A, "12345");
    put("store/manifests/gemma4%3Ae2b.json", "{\"name\":\"gemma4:e2b\",\"files\":[{\"role\":\"license\",\"digest\":\"sha256:" HEX_B
        "\"},{\"role\":\"model\",\"digest\":\"sha256:" HEX_A "\",\"size\":5}]}");
    put("store/manifests/cut.json", "{\"files\":[{\"role\":\"model\",\"digest\":\"sha256:" HEX_A "\",\"size\":6}]}");
    put("store/manifests/gone.json", "{\"files\":[{\"role\":\"model\",\"digest\":\"sha256:" HEX_B "\",\"size\":6}]}");
    put("store/manifests/shards.json", "{\"path\":\"views/shards\",\"files\":[]}");
    put("store/views/shards/config.json", "{}");
    put("store/manifests/out.json", "{\"path\":\"../here\",\"files\":[]}");
    put("store/manifests/nul.json", "{\"path\":\"views\\u0000/x\",\"files\":[]}");
    put("store/manifests/bad.json", "{\"files\":[");
    put("store/manifests/evil.json", "{\"files\":[{\"role\":\"model\",\"digest\":\"sha256:../../here/model.gguf\"}]}");
    put("store/manifests/..%2Fhere.json", "{}");
    finds("plain", "store/plain.gguf", NULL, NULL);
    finds("folder", "store/folder", NULL, NULL);
    finds("gemma4:e2b", "store/blobs/sha256-" HEX_A, "sha256:" HEX_A, NULL);
    finds("shards", "store/views/shards", NULL, NULL);
    finds("cut", NULL, NULL, "5 bytes instead of 6");
    finds("gone", NULL, NULL, "is missing");
    finds("out", NULL, NULL, "leads out of the store");
    finds("nul", NULL, NULL, "leads out of the store");
    finds("bad", NULL, NULL, "bad.json': not JSON");
    finds("evil", NULL, NULL, "no model file with a SHA-256");
    finds("x/../../here/model", NULL, NULL, "no model 'x/../../here/model'");
    finds("absent", NULL, NULL, "not in g4's store '");
    char *e = g4_store_escape(".a/b:c d\n");
    is_str(e, "%2Ea%2Fb%3Ac%20d%0A", "an escaped name is one file name");
    free(e);
}

#define HF "hf/models--org--"
#define SNAP "/snapshots/" COMMIT "/"

static void gguf_repo(const char *repo, const char *const *files, size_t n)
{
    char path[600];
    snprintf(path, sizeof path, "hf/models--org--%s/refs/main", repo);
    put(path, COMMIT "\n");
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "hf/models--org--%s/snapshots/%s/%s", repo, COMMIT, files[i]);
        put(path, "x");
    }
}

/* Which sidecar goes with a model. */
static void test_nearest(void)
{
    static char *const unsloth[] = { "m-Q4_0.gguf", "mmproj-F32.gguf", "mmproj-F16.gguf", "mmproj-BF16.gguf", "mtp-m.gguf", "MTP/m-Q8_0-MTP.gguf" };
    static char *const google[] = { "gemma-4-E2B-it-mmproj.gguf", "gemma-4-E2B_q4_0-it.gguf" };
    static char *const ggml[] = { "m-Q4_0.gguf", "m-Q8_0.gguf", "mmproj-m-BF16.gguf", "mmproj-m-Q8_0.gguf", "mtp-m-Q4_0.gguf", "mtp-m-Q8_0.gguf" };
    static char *const deep[] = { "a/m-Q4_0.gguf", "a/mmproj.gguf", "b/m-Q4_0.gguf", "b/mmproj.gguf", "mmproj-BF16.gguf" };
    ok(g4_names_nearest(unsloth, 6, unsloth[0], g4_names_is_mmproj) == 3, "BF16 before F16 before F32");
    ok(g4_names_nearest(unsloth, 6, unsloth[0], g4_names_is_drafter) == 4, "the drafter beside the model before one in a folder");
    ok(g4_names_nearest(google, 2, google[1], g4_names_is_mmproj) == 0, "the word stands anywhere in the name");
    ok(g4_names_nearest(google, 2, google[1], g4_names_is_drafter) == 2, "there may be none");
    ok(g4_names_nearest(ggml, 6, ggml[1], g4_names_is_mmproj) == 3, "the model's own type before any other");
    ok(g4_names_nearest(ggml, 6, ggml[0], g4_names_is_drafter) == 4 && g4_names_nearest(ggml, 6, ggml[1], g4_names_is_drafter) == 5, "so for drafters");
    ok(g4_names_nearest(deep, 5, deep[2], g4_names_is_mmproj) == 3, "the same folder before all else");
}

static void test_hf(void)
{
    static const char *const many[] = { "m-Q4_K_S.gguf", "m-Q4_K_M.gguf", "m-UD-Q4_K_XL.gguf", "m-Q8_0.gguf", "mmproj-Q4_K_M.gguf",
                                        "MTP/m-Q4_K_M.gguf", "BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf" };
    static const char *const google[] = { "gemma-4-E2B_q4_0-it.gguf" };
    static const char *const both[] = { "a-Q6_K.gguf", "b-Q6_K.gguf" };
    gguf_repo("many", many, 8);
    gguf_repo("google", google, 1);
    gguf_repo("both", both, 2);
    finds("org/many", HF "many" SNAP "m-Q4_K_M.gguf", NULL, NULL);
    finds("org/many:q8_0", HF "many" SNAP "m-Q8_0.gguf", NULL, NULL);
    finds("org/many:Q4_K_XL", HF "many" SNAP "m-UD-Q4_K_XL.gguf", NULL, NULL);
    finds("hf:org/many:BF16", HF "many" SNAP "BF16/m-BF16-00001-of-00002.gguf", NULL, NULL);
    finds("hf:org/many/m-Q4_K_S.gguf@main", HF "many" SNAP "m-Q4_K_S.gguf", NULL, NULL);
    finds("hf://org/many:Q8_0@" COMMIT, HF "many" SNAP "m-Q8_0.gguf", NULL, NULL);
    finds("org/many:Q4_K", NULL, NULL, "no model 'org/many:Q4_K'");
    finds("org/many@v2", NULL, NULL, "no model");
    finds("org/google:Q4_0", HF "google" SNAP "gemma-4-E2B_q4_0-it.gguf", NULL, NULL);
    finds("org/google", HF "google" SNAP "gemma-4-E2B_q4_0-it.gguf", NULL, NULL);
    finds("org/both", NULL, NULL, "several files of 'org/both' fit");
    finds("org/both:Q6_K", NULL, NULL, " a-Q6_K.gguf b-Q6_K.gguf");
    finds("hf:org/both/../../x.gguf", NULL, NULL, "no model");
    finds("org/..", NULL, NULL, "no model");
    finds("hf:org/many@../../x", NULL, NULL, "no model");

    put(HF "st/refs/main", COMMIT);
    put(HF "st/blobs/" HEX_A, "weights");
    put(HF "st/blobs/0123", "{}");
    link_to("../../blobs/" HEX_A, HF "st" SNAP "model.safetensors");
    link_to("../../blobs/0123", HF "st" SNAP "config.json");
    link_to("../../../blobs/0123", HF "st" SNAP "2_Dense/config.json");
    finds("org/st", HF "st/snapshots/" COMMIT, "sha256:" HEX_A, NULL);
    char p[700];
    snprintf(p, sizeof p, "%s/" HF "st" SNAP "model.safetensors", root);
    finds(p, p, "sha256:" HEX_A, NULL);
    link_to("../../../../here/model.gguf", HF "leak" SNAP "m-Q8_0.gguf");
    put(HF "leak/refs/main", COMMIT);
    finds("org/leak", NULL, NULL, "leads out of its repository");
    link_to("/etc/hostname", HF "leak2" SNAP "tokenizer.json");
    put(HF "leak2/refs/main", COMMIT);
    finds("org/leak2", NULL, NULL, "leads out of its repository");
    link_to("../../blobs/gone", HF "gone" SNAP "m-Q8_0.gguf");
    put(HF "gone/refs/main", COMMIT);
    finds("org/gone", NULL, NULL, "its data is missing");
    put(HF "noref/refs/main", "not a commit");
    finds("org/noref", NULL, NULL, "no model");
}

#define LAYER(media, hex, size) "{\"mediaType\":\"application/vnd.ollama.image." media "\",\"digest\":\"sha256:" hex "\",\"size\":" size "}"

static void test_ollama(void)
{
    put("ollama/blobs/sha256-" HEX_B, "GGUF");
    put("ollama/manifests/registry.ollama.ai/library/Gemma3/270m",
        "{\"layers\":[" LAYER("license", HEX_A, "1") "," LAYER("model", HEX_B, "4") "]}");
    put("ollama/manifests/registry.ollama.ai/library/Gemma3/latest", "{\"layers\":[" LAYER("model", HEX_B, "4") "]}");
    put("ollama/manifests/registry.ollama.ai/me/own/v1", "{\"layers\":[" LAYER("model", HEX_B, "4") "]}");
    put("ollama/manifests/hf.co/org/elsewhere/Q8_0", "{\"layers\":[" LAYER("model", HEX_B, "4") "]}");
    put("ollama/manifests/registry.ollama.ai/library/mlx/latest", "{\"layers\":[" LAYER("tensor", HEX_B, "4") "]}");
    put("ollama/manifests/registry.ollama.ai/library/short/latest", "{\"layers\":[" LAYER("model", HEX_B, "9") "]}");
    put("ollama/manifests/registry.ollama.ai/library/part/latest", "{\"layers\":[" LAYER("model", HEX_A, "4") "]}");
    put("ollama/blobs/sha256-" HEX_A, "half");
    put("ollama/blobs/sha256-" HEX_A "-partial", "");
    put("ollama/manifests/registry.ollama.ai/library/none/latest", "{\"layers\":[]}");
    put("ollama/manifests/registry.ollama.ai/library/torn/latest", "{\"layers\":");
    const char *blob = "ollama/blobs/sha256-" HEX_B;
    finds("gemma3:270m", blob, "sha256:" HEX_B, NULL);
    finds("GEMMA3:270M", blob, "sha256:" HEX_B, NULL);
    finds("gemma3", blob, "sha256:" HEX_B, NULL);
    finds("ollama:gemma3", blob, "sha256:" HEX_B, NULL);
    finds("me/own:v1", blob, "sha256:" HEX_B, NULL);
    finds("hf.co/org/elsewhere:Q8_0", blob, "sha256:" HEX_B, NULL);
    finds("registry.ollama.ai/library/gemma3:270m", blob, "sha256:" HEX_B, NULL);
    finds("gemma3:1b", NULL, NULL, "Ollama's store '");
    finds("mlx", NULL, NULL, "is an MLX build");
    finds("short", NULL, NULL, "4 bytes instead of 9");
    finds("part", NULL, NULL, "still being downloaded");
    finds("none", NULL, NULL, "no model layer");
    finds("torn", NULL, NULL, "not JSON");
    finds("ollama:../../../blobs:x", NULL, NULL, "no model");
}

int main(void)
{
    char dir[] = "/tmp/g4-store-XXXXXX", *real = mkdtemp(dir) ? realpath(dir, NULL) : NULL;
    if (!real || chdir(real)) return 1;
    snprintf(root, sizeof root, "%s", real);
    free(real);
    char p[400];
    setenv("HOME", root, 1);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HF_HOME");
    unsetenv("HUGGINGFACE_HUB_CACHE");
    setenv("G4_STORE", (snprintf(p, sizeof p, "%s/store", root), p), 1);
    setenv("HF_HUB_CACHE", "~/hf", 1);
    setenv("OLLAMA_MODELS", (snprintf(p, sizeof p, "%s/ollama", root), p), 1);
    test_paths();
    test_own();
    test_nearest();
    test_hf();
    test_ollama();
    if (chdir("/")) return 1;
    snprintf(p, sizeof p, "rm -rf '%s'", root);
    if (system(p)) return 1;
    return done_testing();
}
