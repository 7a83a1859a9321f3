/* tests/realvocab: the real vocabulary (tests/fetch-tokenizer) as Gemma 3 has it and
 * as Gemma 4 does, for tests that need true ids. */
#ifndef G4_TESTS_REALVOCAB_H
#define G4_TESTS_REALVOCAB_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/vocab.h"
#include "text/tokenizer.h"

/* The Gemma 3 table with the reserved rows that Gemma 4 renames; its white space
 * runs and tags are ordinary pieces there. */
static inline void real_gemma4(struct g4_vocab *v)
{
    static const struct { uint32_t id; const char *text; bool user; } rows[] = {
        { 46, "<|tool>", false }, { 47, "<tool|>", false }, { 48, "<|tool_call>", true }, { 49, "<tool_call|>", true },
        { 50, "<|tool_response>", true }, { 51, "<tool_response|>", true }, { 52, "<|\"|>", true }, { 98, "<|think|>", false },
        { 100, "<|channel>", true }, { 101, "<channel|>", true }, { 105, "<|turn>", false }, { 106, "<turn|>", false },
        { 255999, "<|image>", false }, { 256000, "<|audio>", false }, { 258880, "<|image|>", false }, { 258881, "<|audio|>", false },
        { 258882, "<image|>", false }, { 258883, "<audio|>", false }, { 258884, "<|video|>", false },
    };
    g4_sv *piece = g4_arena_alloc(v->own, v->n * sizeof *piece);
    memcpy(piece, v->piece, v->n * sizeof *piece);
    v->piece = piece;
    if (v->n > 262144) v->n = 262144;
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->type[i] == G4_PIECE_USER && piece[i].p[0] == ' ') {
            g4_str s = {0};
            for (size_t k = 0; k < piece[i].n; k++) g4_str_adds(&s, "\xE2\x96\x81");
            piece[i] = (g4_sv){ g4_arena_strndup(v->own, s.p, s.n), s.n };
            g4_str_free(&s);
        }
        v->type[i] = i == 3 ? G4_PIECE_UNKNOWN : i < 5 ? G4_PIECE_CONTROL : G4_PIECE_NORMAL;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        piece[rows[i].id] = (g4_sv){ rows[i].text, strlen(rows[i].text) };
        v->type[rows[i].id] = rows[i].user ? G4_PIECE_USER : G4_PIECE_CONTROL;
    }
}

/* The tokenizer of the cached tokenizer.json; NULL when it is not there or does
 * not load.  *w holds what the tokenizer borrows. */
static inline g4_tokenizer *real_tokenizer(bool gemma4, g4_weights **w, g4_err *err)
{
    char *json = g4_xdg_path("XDG_CACHE_HOME", ".cache", "g4-test/gemma3-tokenizer.json");
    char dir[] = "/tmp/g4-vocab-XXXXXX";
    g4_tokenizer *t = NULL;
    struct g4_vocab v;
    *w = NULL;
    if (json && g4_file_exists(json) && mkdtemp(dir)) { /* a folder that holds nothing else */
        g4_str link = {0};
        g4_str_addf(&link, "%s/tokenizer.json", dir);
        if (!symlink(json, link.p)) *w = g4_weights_open(dir, G4_WEIGHTS_TEXT_ONLY, err);
        if (*w && !g4_vocab_load(*w, &v, err)) {
            if (gemma4) real_gemma4(&v);
            t = g4_tokenizer_new(&v, err);
        }
        unlink(link.p);
        rmdir(dir);
        g4_str_free(&link);
    }
    free(json);
    return t;
}

#endif
