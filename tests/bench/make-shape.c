/* make-shape: writes a GGUF that has the shape of a real model and random weights.
 *
 *   make-shape SHAPE [--type T] [--head T] [--layers N] [--vocab N] [--seed N] OUT.gguf
 *
 * Speed depends on shapes and types, not on what the weights say, so a bench of a model nobody ships in
 * a test needs no download.  Hyper-parameters, tensor names and metadata are those of the published files; every
 * tensor is drawn at a scale that keeps activations and logits near 1.  The vocabulary is a valid
 * filler (specials, bytes, then numbered pieces), so other engines load the file too. */
#include "base/dtype.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the shapes -------------------------------------------------------------- */

struct shape {
    const char *name, *arch;
    uint32_t n_layer, d_model, n_head, n_kv, n_kv_global, d_head, d_head_global, d_ff;
    uint32_t d_ff_shared;  /* of layers that share KV; 0: as the others */
    uint32_t n_expert, k_expert, d_expert;
    uint32_t window, pattern; /* every pattern-th layer is global */
    uint32_t n_shared;     /* last layers that read another layer's KV */
    uint32_t d_ple;
    bool k_is_v;           /* global layers have no V projection */
    float rope_factor;     /* linear scaling of global layers; 0: none */
    uint32_t context;
};

static const struct shape shapes[] = {
    { "e2b", "gemma4", 35, 1536, 8, 1, 1, 256, 512, 6144, 12288, 0, 0, 0, 512, 5, 20, 256, false, 0, 131072 },
    { "e4b", "gemma4", 42, 2560, 8, 2, 2, 256, 512, 10240, 0, 0, 0, 0, 512, 6, 18, 256, false, 0, 131072 },
    { "12b", "gemma4", 48, 3840, 16, 8, 1, 256, 512, 15360, 0, 0, 0, 0, 1024, 6, 0, 0, true, 0, 262144 },
    { "26b-a4b", "gemma4", 30, 2816, 16, 8, 2, 256, 512, 2112, 0, 128, 8, 704, 1024, 6, 0, 0, true, 0, 262144 },
    { "31b", "gemma4", 60, 5376, 32, 16, 4, 256, 512, 21504, 0, 0, 0, 0, 1024, 6, 0, 0, true, 0, 262144 },
    { "270m", "gemma3", 18, 640, 4, 1, 1, 256, 256, 2048, 0, 0, 0, 0, 512, 6, 0, 0, false, 0, 32768 },
    { "1b", "gemma3", 26, 1152, 4, 1, 1, 256, 256, 6912, 0, 0, 0, 0, 512, 6, 0, 0, false, 0, 32768 },
    { "4b", "gemma3", 34, 2560, 8, 4, 4, 256, 256, 10240, 0, 0, 0, 0, 1024, 6, 0, 0, false, 8, 131072 },
};

static bool is_global(const struct shape *s, uint32_t layer) { return layer % s->pattern == s->pattern - 1; }
static bool is_gemma4(const struct shape *s) { return strcmp(s->arch, "gemma4") == 0; }

/* ---- random blocks ------------------------------------------------------------- */

/* How a block of random bytes becomes sane weights: the f16 scale at `d` is std / spread, the f16 minimum at `m`
 * centres the values, and the sub-block scales (n bytes at `sub`) get a middling constant. */
struct kind {
    const char *name;
    uint32_t id, block, bytes;
    int d, m;
    float spread, centre;
    int sub, n_sub, sub_byte;
    const char *narrow;    /* the type used where a row is no multiple of the block */
};

static const struct kind kinds[] = {
    { "F32", G4_F32, 1, 4, -1, -1, 0, 0, 0, 0, 0, NULL },
    { "F16", G4_F16, 1, 2, -1, -1, 0, 0, 0, 0, 0, NULL },
    { "BF16", G4_BF16, 1, 2, -1, -1, 0, 0, 0, 0, 0, NULL },
    { "Q4_0", G4_Q4_0, 32, 18, 0, -1, 4.61f, 0, 0, 0, 0, "F32" },
    { "Q4_1", G4_Q4_1, 32, 20, 0, 2, 4.61f, -7.5f, 0, 0, 0, "F32" },
    { "Q5_0", G4_Q5_0, 32, 22, 0, -1, 9.23f, 0, 0, 0, 0, "F32" },
    { "Q5_1", G4_Q5_1, 32, 24, 0, 2, 9.23f, -15.5f, 0, 0, 0, "F32" },
    { "Q8_0", G4_Q8_0, 32, 34, 0, -1, 73.9f, 0, 0, 0, 0, "F32" },
    { "IQ4_NL", G4_IQ4_NL, 32, 18, 0, -1, 69.0f, 0, 0, 0, 0, "F32" },
    { "Q2_K", G4_Q2_K, 256, 84, 80, 82, 8.9f, 1.5f, 0, 16, 0x88, "Q4_0" },
    { "Q3_K", G4_Q3_K, 256, 110, 108, -1, 42.0f, 0, 0, 0, 0, "Q4_0" },
    /* 6-bit scales and minima, all 32: 0xa0 carries the low six bits of one and the high two bits of another */
    { "Q4_K", G4_Q4_K, 256, 144, 0, 2, 147.5f, 7.5f, 4, 8, 0xa0, "Q5_0" },
    { "Q5_K", G4_Q5_K, 256, 176, 0, 2, 295.4f, 15.5f, 4, 8, 0xa0, "Q5_1" },
    { "Q6_K", G4_Q6_K, 256, 210, 208, -1, 295.6f, 0, 192, 16, 16, "Q8_0" },
    { "IQ4_XS", G4_IQ4_XS, 256, 136, 0, -1, 1276.0f, 0, 0, 0, 0, "IQ4_NL" },
};

static const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    fprintf(stderr, "make-shape: no type '%s'; there are:", name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) fprintf(stderr, " %s", kinds[i].name);
    fputs(" Q4_K_M\n", stderr);
    exit(2);
}

static uint64_t rng;

static uint64_t draw(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    return rng ^= rng << 17;
}

/* Uniform with mean 0 and this standard deviation. */
static float draw_f32(float std) { return ((float)(draw() >> 40) * 0x1p-24f - 0.5f) * 3.4641016f * std; }

static void put_f16(uint8_t *p, float f)
{
    const uint16_t h = g4_f32_to_f16(f);
    memcpy(p, &h, 2);
}

static void fill(const struct kind *k, uint8_t *buf, size_t n_block, float mean, float std)
{
    if (k->block == 1) {
        for (size_t i = 0; i < n_block; i++) {
            const float f = mean + draw_f32(std);
            const uint16_t h = k->id == G4_F16 ? g4_f32_to_f16(f) : g4_f32_to_bf16(f);
            if (k->id == G4_F32) memcpy(buf + 4 * i, &f, 4);
            else memcpy(buf + 2 * i, &h, 2);
        }
        return;
    }
    const size_t bytes = n_block * k->bytes;
    for (size_t i = 0; i < bytes; i += 8) {
        const uint64_t r = draw();
        memcpy(buf + i, &r, bytes - i < 8 ? bytes - i : 8);
    }
    for (size_t i = 0; i < n_block; i++) {
        uint8_t *b = buf + i * k->bytes;
        const float d = std / k->spread;
        if (k->n_sub) memset(b + k->sub, k->sub_byte, (size_t)k->n_sub);
        if (k->id == G4_Q4_K || k->id == G4_Q5_K) memset(b + 12, 0, 4); /* low bits of the last scales */
        put_f16(b + k->d, d);
        if (k->m >= 0) put_f16(b + k->m, d * k->centre);
    }
}

/* ---- GGUF ------------------------------------------------------------------------ */

struct tensor {
    char name[64];
    const struct kind *kind;
    uint64_t ne[3];
    float mean, std;
    uint64_t offset, bytes;
};

struct out {
    const struct shape *shape;
    const struct kind *body, *head, *more; /* more: the better type of a mix, for V and half of the down projections */
    uint32_t n_vocab;
    FILE *f;
    uint64_t n_kv;
    struct tensor *tensors;
    size_t n_tensor, room;
    uint64_t end;          /* of the tensor data so far */
};

static void u32(struct out *o, uint32_t v) { fwrite(&v, 4, 1, o->f); }
static void u64(struct out *o, uint64_t v) { fwrite(&v, 8, 1, o->f); }
static void f32(struct out *o, float v) { fwrite(&v, 4, 1, o->f); }

static void str(struct out *o, const char *s)
{
    u64(o, strlen(s));
    fwrite(s, 1, strlen(s), o->f);
}

enum { T_U32 = 4, T_I32 = 5, T_F32 = 6, T_BOOL = 7, T_STR = 8, T_ARR = 9 };

/* A key; names that start with a dot get the architecture before it. */
static void key(struct out *o, const char *name, uint32_t type)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", name[0] == '.' ? o->shape->arch : "", name);
    str(o, full);
    u32(o, type);
    o->n_kv++;
}

static void kv_u32(struct out *o, const char *name, uint32_t v) { key(o, name, T_U32); u32(o, v); }
static void kv_f32(struct out *o, const char *name, float v) { key(o, name, T_F32); f32(o, v); }
static void kv_str(struct out *o, const char *name, const char *v) { key(o, name, T_STR); str(o, v); }
static void kv_bool(struct out *o, const char *name, bool v) { key(o, name, T_BOOL); fputc(v, o->f); }
static void kv_arr(struct out *o, const char *name, uint32_t type, uint64_t n) { key(o, name, T_ARR); u32(o, type); u64(o, n); }

static uint32_t layer_ff(const struct shape *s, uint32_t l)
{
    return s->d_ff_shared && l >= s->n_layer - s->n_shared ? s->d_ff_shared : s->d_ff;
}

static void write_hparams(struct out *o)
{
    const struct shape *s = o->shape;
    kv_str(o, "general.architecture", s->arch);
    kv_str(o, "general.name", s->name);
    kv_u32(o, "general.quantization_version", 2);
    kv_u32(o, ".block_count", s->n_layer);
    kv_u32(o, ".context_length", s->context);
    kv_u32(o, ".embedding_length", s->d_model);
    kv_u32(o, ".attention.head_count", s->n_head);
    kv_f32(o, ".attention.layer_norm_rms_epsilon", 1e-6f);
    kv_u32(o, ".attention.sliding_window", s->window);
    kv_u32(o, ".attention.key_length", s->d_head_global);
    kv_u32(o, ".attention.value_length", s->d_head_global);
    kv_f32(o, ".rope.freq_base", 1e6f);
    if (s->d_ff_shared) {
        kv_arr(o, ".feed_forward_length", T_I32, s->n_layer);
        for (uint32_t l = 0; l < s->n_layer; l++) u32(o, layer_ff(s, l));
    } else {
        kv_u32(o, ".feed_forward_length", s->d_ff);
    }
    if (s->n_kv != s->n_kv_global) {
        kv_arr(o, ".attention.head_count_kv", T_I32, s->n_layer);
        for (uint32_t l = 0; l < s->n_layer; l++) u32(o, is_global(s, l) ? s->n_kv_global : s->n_kv);
    } else {
        kv_u32(o, ".attention.head_count_kv", s->n_kv);
    }
    if (s->rope_factor > 0) {
        kv_str(o, ".rope.scaling.type", "linear");
        kv_f32(o, ".rope.scaling.factor", s->rope_factor);
    }
    if (!is_gemma4(s)) return;
    kv_arr(o, ".attention.sliding_window_pattern", T_BOOL, s->n_layer);
    for (uint32_t l = 0; l < s->n_layer; l++) fputc(!is_global(s, l), o->f);
    kv_u32(o, ".attention.key_length_swa", s->d_head);
    kv_u32(o, ".attention.value_length_swa", s->d_head);
    kv_u32(o, ".attention.shared_kv_layers", s->n_shared);
    kv_u32(o, ".embedding_length_per_layer_input", s->d_ple);
    kv_f32(o, ".final_logit_softcapping", 30);
    kv_f32(o, ".rope.freq_base_swa", 1e4f);
    kv_u32(o, ".rope.dimension_count", s->d_head_global);
    kv_u32(o, ".rope.dimension_count_swa", s->d_head);
    if (s->n_expert) {
        kv_u32(o, ".expert_count", s->n_expert);
        kv_u32(o, ".expert_used_count", s->k_expert);
        kv_u32(o, ".expert_feed_forward_length", s->d_expert);
    }
}

/* Specials, the newline, 256 bytes, letters, then filler: enough to encode any text. */
static const char *const specials[] = { "<pad>", "<eos>", "<bos>", "<unk>", "<mask>" };
enum { FIRST_BYTE = 6, FIRST_LETTER = FIRST_BYTE + 256, FIRST_FILLER = FIRST_LETTER + 26 };

static void write_vocab(struct out *o)
{
    const bool rank = is_gemma4(o->shape);
    char piece[32];
    kv_str(o, "tokenizer.ggml.model", rank ? "gemma4" : "llama");
    if (!rank) kv_str(o, "tokenizer.ggml.pre", "default");
    kv_arr(o, "tokenizer.ggml.tokens", T_STR, o->n_vocab);
    for (uint32_t i = 0; i < o->n_vocab; i++) {
        if (i < 5) snprintf(piece, sizeof piece, "%s", specials[i]);
        else if (i < FIRST_BYTE) snprintf(piece, sizeof piece, "\n");
        else if (i < FIRST_LETTER) snprintf(piece, sizeof piece, "<0x%02X>", i - FIRST_BYTE);
        else if (i < FIRST_FILLER) snprintf(piece, sizeof piece, "%c", 'a' + (int)(i - FIRST_LETTER));
        else snprintf(piece, sizeof piece, "\xe2\x96\x81p%u", i);
        str(o, piece);
    }
    kv_arr(o, "tokenizer.ggml.scores", T_F32, o->n_vocab);
    for (uint32_t i = 0; i < o->n_vocab; i++) f32(o, i < FIRST_LETTER ? -1000.0f : -(float)i);
    kv_arr(o, "tokenizer.ggml.token_type", T_I32, o->n_vocab); /* 1 normal, 3 control, 6 byte */
    for (uint32_t i = 0; i < o->n_vocab; i++) u32(o, i < 5 ? 3 : i >= FIRST_BYTE && i < FIRST_LETTER ? 6 : 1);
    if (rank) {
        kv_arr(o, "tokenizer.ggml.merges", T_STR, 1);
        str(o, "\xe2\x96\x81 p");
    }
    kv_u32(o, "tokenizer.ggml.bos_token_id", 2);
    kv_u32(o, "tokenizer.ggml.eos_token_id", 1);
    kv_u32(o, "tokenizer.ggml.unknown_token_id", 3);
    kv_u32(o, "tokenizer.ggml.padding_token_id", 0);
    kv_bool(o, "tokenizer.ggml.add_bos_token", true);
    kv_bool(o, "tokenizer.ggml.add_space_prefix", false);
}

/* ---- tensors ------------------------------------------------------------------------ */

static void tensor(struct out *o, const char *name, const struct kind *k, uint64_t cols, uint64_t rows, uint64_t depth,
                   float mean, float std)
{
    while (cols % k->block) k = kind_find(k->narrow);
    if (o->n_tensor == o->room) {
        o->room = o->room ? 2 * o->room : 256;
        o->tensors = realloc(o->tensors, o->room * sizeof *o->tensors);
        if (!o->tensors) exit(4);
    }
    struct tensor *t = &o->tensors[o->n_tensor++];
    *t = (struct tensor){ .kind = k, .ne = { cols, rows, depth }, .mean = mean, .std = std, .offset = o->end };
    snprintf(t->name, sizeof t->name, "%s", name);
    t->bytes = cols / k->block * k->bytes * (rows ? rows : 1) * (depth ? depth : 1);
    o->end += (t->bytes + 31) / 32 * 32;
}

/* A projection: std 1 / sqrt(cols) keeps the scale of its input. */
static void matrix(struct out *o, int layer, const char *part, const struct kind *k, uint64_t cols, uint64_t rows, uint64_t depth)
{
    char name[64];
    if (layer >= 0) snprintf(name, sizeof name, "blk.%d.%s", layer, part);
    else snprintf(name, sizeof name, "%s", part);
    tensor(o, name, k, cols, rows, depth, 0, 1 / sqrtf((float)cols));
}

static void vector(struct out *o, int layer, const char *part, uint64_t n, float mean, float std)
{
    char name[64];
    if (layer >= 0) snprintf(name, sizeof name, "blk.%d.%s", layer, part);
    else snprintf(name, sizeof name, "%s", part);
    tensor(o, name, kind_find("F32"), n, 0, 0, mean, std);
}

static void layer_tensors(struct out *o, uint32_t layer)
{
    const struct shape *s = o->shape;
    const bool global = is_global(s, layer), owns = layer < s->n_layer - s->n_shared;
    const uint32_t hd = global ? s->d_head_global : s->d_head, kv = global ? s->n_kv_global : s->n_kv;
    const uint32_t d = s->d_model, ff = layer_ff(s, layer);
    const struct kind *f = kind_find("F32"), *w = o->body, *better = o->more && layer % 2 == 0 ? o->more : o->body;
    const int l = (int)layer;

    vector(o, l, "attn_norm.weight", d, 1, 0.1f);
    matrix(o, l, "attn_q.weight", w, d, s->n_head * hd, 0);
    vector(o, l, "attn_q_norm.weight", hd, is_gemma4(s) ? 0.25f : 1, 0.05f);
    if (owns) {
        matrix(o, l, "attn_k.weight", w, d, kv * hd, 0);
        vector(o, l, "attn_k_norm.weight", hd, is_gemma4(s) ? 0.25f : 1, 0.05f);
        if (!(global && s->k_is_v)) matrix(o, l, "attn_v.weight", better, d, kv * hd, 0);
    }
    matrix(o, l, "attn_output.weight", w, s->n_head * hd, d, 0);
    vector(o, l, "post_attention_norm.weight", d, 0.5f, 0.05f);
    vector(o, l, "ffn_norm.weight", d, 1, 0.1f);
    matrix(o, l, "ffn_gate.weight", w, d, ff, 0);
    matrix(o, l, "ffn_up.weight", w, d, ff, 0);
    matrix(o, l, "ffn_down.weight", better, ff, d, 0);
    vector(o, l, "post_ffw_norm.weight", d, 0.5f, 0.05f);
    if (is_gemma4(s)) vector(o, l, "layer_output_scale.weight", 1, 0.9f, 0.01f);
    if (s->d_ple) {
        matrix(o, l, "inp_gate.weight", w, d, s->d_ple, 0);
        matrix(o, l, "proj.weight", w, s->d_ple, d, 0);
        vector(o, l, "post_norm.weight", d, 0.5f, 0.05f);
    }
    if (s->n_expert) {
        matrix(o, l, "ffn_gate_inp.weight", f, d, s->n_expert, 0);
        vector(o, l, "ffn_gate_inp.scale", d, 1, 0.1f);
        matrix(o, l, "ffn_gate_up_exps.weight", w, d, 2 * s->d_expert, s->n_expert);
        matrix(o, l, "ffn_down_exps.weight", better, s->d_expert, d, s->n_expert);
        vector(o, l, "ffn_down_exps.scale", s->n_expert, 1, 0.1f);
        vector(o, l, "pre_ffw_norm_2.weight", d, 1, 0.1f);
        vector(o, l, "post_ffw_norm_1.weight", d, 1, 0.1f);
        vector(o, l, "post_ffw_norm_2.weight", d, 1, 0.1f);
    }
}

static void all_tensors(struct out *o)
{
    const struct shape *s = o->shape;
    matrix(o, -1, "token_embd.weight", o->head, s->d_model, o->n_vocab, 0);
    if (is_gemma4(s)) vector(o, -1, "rope_freqs.weight", s->d_head_global / 2, 1, 0);
    if (s->d_ple) {
        const uint64_t wide = (uint64_t)s->n_layer * s->d_ple;
        tensor(o, "per_layer_token_embd.weight", o->body, wide, o->n_vocab, 0, 0, 1 / sqrtf((float)s->d_ple));
        matrix(o, -1, "per_layer_model_proj.weight", kind_find("BF16"), s->d_model, wide, 0);
        vector(o, -1, "per_layer_proj_norm.weight", s->d_ple, 1, 0.1f);
    }
    for (uint32_t l = 0; l < s->n_layer; l++) layer_tensors(o, l);
    vector(o, -1, "output_norm.weight", s->d_model, 1, 0.1f);
}

static void write_data(struct out *o, const struct tensor *t)
{
    static uint8_t buf[1 << 20];
    const struct kind *k = t->kind;
    const bool rope = strcmp(t->name, "rope_freqs.weight") == 0;
    uint64_t left = t->bytes / k->bytes;
    while (left) {
        const size_t n = left < sizeof buf / k->bytes ? left : sizeof buf / k->bytes;
        fill(k, buf, n, t->mean, t->std);
        for (size_t i = n / 4; rope && i < n; i++) memcpy(buf + 4 * i, &(float){ 1e30f }, 4); /* a quarter rotates */
        fwrite(buf, k->bytes, n, o->f);
        left -= n;
    }
    for (uint64_t i = t->bytes; i % 32; i++) fputc(0, o->f);
}

static void write_file(struct out *o)
{
    fwrite("GGUF", 1, 4, o->f);
    u32(o, 3);
    u64(o, o->n_tensor);
    u64(o, 0); /* keys: filled in below */
    write_hparams(o);
    write_vocab(o);
    for (size_t i = 0; i < o->n_tensor; i++) {
        const struct tensor *t = &o->tensors[i];
        const uint32_t n_dim = t->ne[2] ? 3 : t->ne[1] ? 2 : 1;
        str(o, t->name);
        u32(o, n_dim);
        for (uint32_t j = 0; j < n_dim; j++) u64(o, t->ne[j]);
        u32(o, t->kind->id);
        u64(o, t->offset);
    }
    while (ftell(o->f) % 32) fputc(0, o->f);
    for (size_t i = 0; i < o->n_tensor; i++) write_data(o, &o->tensors[i]);
    fseek(o->f, 16, SEEK_SET);
    u64(o, o->n_kv);
}

/* ---- command line ---------------------------------------------------------------------- */

/* Keeps the first n layers' recipe: whole periods, so that a Gemma 4 still ends on a global layer, and KV
 * sharing in the same proportion with one whole period of owners at least. */
static struct shape cut(struct shape s, uint32_t n)
{
    if (n == 0 || n >= s.n_layer) return s;
    if (is_gemma4(&s)) n = n < s.pattern ? s.pattern : n / s.pattern * s.pattern;
    if (s.n_shared) {
        uint32_t own = (s.n_layer - s.n_shared) * n / s.n_layer / s.pattern * s.pattern;
        if (own < s.pattern) own = s.pattern;
        s.n_shared = n - own;
    }
    s.n_layer = n;
    return s;
}

static int usage(void)
{
    fputs("usage: make-shape SHAPE [--type T] [--head T] [--layers N] [--vocab N] [--seed N] OUT.gguf\nshapes:", stderr);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) fprintf(stderr, " %s", shapes[i].name);
    fputc('\n', stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const char *type = "Q4_0", *head = NULL, *path = NULL;
    struct out o = { .n_vocab = 262144 };
    struct shape shape = { 0 };
    uint32_t layers = 0;

    for (size_t i = 0; argc > 1 && i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(shapes[i].name, argv[1]) == 0) shape = shapes[i];
    if (!shape.name) return usage();
    for (int i = 2; i < argc; i++) {
        const bool more = i + 1 < argc;
        if (more && strcmp(argv[i], "--type") == 0) type = argv[++i];
        else if (more && strcmp(argv[i], "--head") == 0) head = argv[++i];
        else if (more && strcmp(argv[i], "--layers") == 0) layers = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (more && strcmp(argv[i], "--vocab") == 0) o.n_vocab = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (more && strcmp(argv[i], "--seed") == 0) rng = strtoull(argv[++i], NULL, 10);
        else if (argv[i][0] != '-' && !path) path = argv[i];
        else return usage();
    }
    if (!path || o.n_vocab < FIRST_FILLER) return usage();
    rng = (rng + 1) * 0x9e3779b97f4a7c15;
    if (strcmp(type, "Q4_K_M") == 0) {
        type = "Q4_K";
        o.more = kind_find("Q6_K");
    }
    o.body = kind_find(type);
    o.head = kind_find(head ? head : o.body->block == 1 || strcmp(type, "Q8_0") == 0 ? type : "Q6_K");
    shape = cut(shape, layers);
    o.shape = &shape;
    o.f = fopen(path, "wb");
    if (!o.f) {
        fprintf(stderr, "make-shape: cannot write '%s': %s\n", path, strerror(errno));
        return 4;
    }
    all_tensors(&o);
    write_file(&o);
    free(o.tensors);
    const bool failed = ferror(o.f);
    if (fclose(o.f) != 0 || failed) {
        fprintf(stderr, "make-shape: writing '%s' failed: %s\n", path, strerror(errno));
        return 4;
    }
    return 0;
}
