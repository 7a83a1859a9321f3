/* tests/minivocab: a vocabulary of single bytes, a few words and every special
 * piece of a family by its own name, for tests of chat and parser. */
#ifndef G4_TESTS_MINIVOCAB_H
#define G4_TESTS_MINIVOCAB_H

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "text/tokenizer.h"

struct mini_piece {
    const char *text;
    uint8_t type;
};

static const struct mini_piece mini_gemma4[] = {
    {"<pad>", 3}, {"<eos>", 3}, {"<bos>", 3}, {"<unk>", 2}, {"<|tool>", 3}, {"<tool|>", 3}, {"<|tool_call>", 4}, {"<tool_call|>", 4},
    {"<|tool_response>", 4}, {"<tool_response|>", 4}, {"<|\"|>", 4}, {"<|think|>", 3}, {"<|channel>", 4}, {"<channel|>", 4},
    {"<|turn>", 3}, {"<turn|>", 3}, {"<|image|>", 3}, {"<|audio|>", 3}, {"<|video|>", 3}, {NULL, 0},
};
static const struct mini_piece mini_gemma3[] = {
    {"<pad>", 3}, {"<eos>", 3}, {"<bos>", 3}, {"<unk>", 2}, {"<start_of_turn>", 3}, {"<end_of_turn>", 3}, {"<start_of_image>", 4},
    {"<unused94>", 4}, {"<unused95>", 4}, {NULL, 0},
};
static const struct mini_piece mini_function[] = {
    {"<pad>", 3}, {"<eos>", 3}, {"<bos>", 3}, {"<unk>", 2}, {"<start_of_turn>", 3}, {"<end_of_turn>", 3},
    {"<start_function_declaration>", 4}, {"<end_function_declaration>", 4}, {"<start_function_call>", 4}, {"<end_function_call>", 4},
    {"<start_function_response>", 4}, {"<end_function_response>", 4}, {"<escape>", 4}, {NULL, 0},
};
/* "al" to "call:" are there so that a token may hold a colon or a brace and more. */
static const char *const mini_word[] = {
    "a", "b", "c", "l", ":", "{", "}", "t", "h", "o", "u", "g", "\n", ",", "al", "all", "call", "call:", "th", "thou", "thoug", "thought", "},", "\xE2\x96\x81",
};
static const char *const mini_merge[] = {"a l", "al l", "c all", "call :", "t h", "o u", "th ou", "thou g", "thoug ht", "} ,"};

/* The tokenizer of a family; special pieces first, then the 256 bytes, then words. */
static inline g4_tokenizer *mini_tokenizer(const struct mini_piece *special)
{
    enum { WORDS = sizeof mini_word / sizeof *mini_word, MERGES = sizeof mini_merge / sizeof *mini_merge };
    g4_arena *a = g4_alloc(sizeof *a);
    uint32_t n_special = 0;
    while (special[n_special].text) n_special++;
    struct g4_vocab v = {.n = n_special + 256 + WORDS, .bos = 2, .eos = 1, .unk = 3, .pad = 0, .own = a, .n_merge = MERGES};
    g4_sv *piece = g4_arena_alloc(a, v.n * sizeof *piece);
    g4_str merge = {0};
    v.type = g4_arena_alloc(a, v.n);
    for (uint32_t i = 0; i < v.n; i++) {
        char byte[8];
        snprintf(byte, sizeof byte, "<0x%02X>", (i - n_special) & 255);
        const char *s = i < n_special ? special[i].text : i < n_special + 256 ? byte : mini_word[i - n_special - 256];
        piece[i] = (g4_sv){g4_arena_strndup(a, s, strlen(s)), strlen(s)};
        v.type[i] = i < n_special ? special[i].type : i < n_special + 256 ? 6 : 1;
    }
    for (size_t i = 0; i < MERGES; i++) {
        const uint64_t len = strlen(mini_merge[i]);
        g4_str_add(&merge, &len, 8);
        g4_str_add(&merge, mini_merge[i], len);
    }
    v.piece = piece;
    v.merge_bytes = merge.n;
    v.merge = (const uint8_t *)g4_arena_strndup(a, merge.p, merge.n);
    g4_str_free(&merge);
    return g4_tokenizer_new(&v, NULL);
}

#endif
