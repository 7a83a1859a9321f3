/* Every tensor type decodes to the reference's values, bit for bit: the SHA-256
 * vectors of the generated blocks, real quantised tensors, and the scalar codecs
 * over all of their values. */
#include "../tap.h"

#include "base/dtype.h"
#include "base/dtype_iq.h"
#include "base/file.h"
#include "base/hash.h"
#include "weights/weights.h"

/* Blocks from a linear congruential generator (seed 0x67340000 + type): first hex
 * digits of the SHA-256 of 8 blocks and of their values, and the first values as
 * printed by %.8g. */
static const struct vector {
    uint32_t id;
    const char *blocks, *values;
    const char *first;
    int16_t half[4]; /* offsets of f16 fields kept finite; -1: none */
} vectors[] = {
    { G4_Q4_0, "9c0a2b4f5c64", "c18804a8c33ca652", "0.00010979176, 0.00065875053, -0.00032937527", { 0, -1, -1, -1 } },
    { G4_Q4_1, "37c163eac78f", "7289455fa20b7d09", "0.03112793, 0.091629028, 0.11582947", { 0, 2, -1, -1 } },
    { G4_Q5_0, "d4293aecf974", "de5f5a1c38a348d4", "0.098373413, -0, -0.1264801", { 0, -1, -1, -1 } },
    { G4_Q5_1, "2e18b1baaae7", "5ea6fc2b406c7169", "-9.8932056, -20.686174, -8.9937916", { 0, 2, -1, -1 } },
    { G4_Q8_0, "add9ff3624c6", "65c92b497fc0b33d", "-0.076382637, -0.065794945, 0.032519341", { 0, -1, -1, -1 } },
    { G4_Q2_K, "10bb8b858d86", "014a329c3e95cfc3", "-1.3538446, -1.3467894, -1.3432617", { 80, 82, -1, -1 } },
    { G4_Q3_K, "ecb2d87df75b", "4c877b7adfecdae3", "0.014301538, -0.0047671795, 0", { 108, -1, -1, -1 } },
    { G4_Q4_K, "04c70d4b4563", "8e444883d04dbe70", "63.168091, 20.647705, -0.61248779", { 0, 2, -1, -1 } },
    { G4_Q5_K, "1a55caa5a2d1", "f9bfea9f49545414", "0.10820407, 0.060529411, 0.060529411", { 0, 2, -1, -1 } },
    { G4_Q6_K, "2e182d99fb9c", "282b66cee81ed74b", "-1.3275146, 0.59509277, -0.68664551", { 208, -1, -1, -1 } },
    { G4_IQ2_XXS, "11dad5139192", "4b389941fdbb2d87", "0.0038444996, -0.0038444996, -0.0038444996", { 0, -1, -1, -1 } },
    { G4_IQ2_XS, "55c4ed88ee9a", "3262a49a1ccdb9bb", "-0.014060974, 0.043940544, 0.075577736", { 0, -1, -1, -1 } },
    { G4_IQ3_XXS, "9f46ac7956d3", "efdbcf8ccb590573", "-67.416504, 112.36084, -22.472168", { 0, -1, -1, -1 } },
    { G4_IQ1_S, "b91074c86c8e", "718d156515a656ba", "0.0035700202, 0.0035700202, 0.0035700202", { 0, -1, -1, -1 } },
    { G4_IQ4_NL, "277f78cd277b", "05f74216a5abf72a", "-2.1544189, -0.040649414, 1.9918213", { 0, -1, -1, -1 } },
    { G4_IQ3_S, "5782a2bd9777", "5b5d697186aeea70", "-0.00015807152, -0.00026345253, -0.00047421455", { 0, -1, -1, -1 } },
    { G4_IQ2_S, "18e948739ede", "ba94162e82bf91f1", "-0.0087928772, -0.047261715, -0.027477741", { 0, -1, -1, -1 } },
    { G4_IQ4_XS, "bf5ea5a9fd62", "8057b6f0f3a46f75", "43.80957, -25.200195, 26.750977", { 0, -1, -1, -1 } },
    { G4_IQ1_M, "a074b890632e", "8e9fc66fdadaa39e", "0.0030657649, 0.00034064054, 0.00034064054", { 54, -1, -1, -1 } },
    { G4_TQ1_0, "6c9ff7886403", "4425d1c8be20975f", "2.4199486e-05, 2.4199486e-05, 2.4199486e-05", { 52, -1, -1, -1 } },
    { G4_TQ2_0, "2a916a28dfc0", "3f614ddebd07fe0f", "0, 0, 0.32373047", { 64, -1, -1, -1 } },
    { G4_MXFP4, "30d8aeb66a3b", "a91657ba9fc85920", "0.0009765625, -0.005859375, -0.001953125", { -1, -1, -1, -1 } },
    { G4_NVFP4, "8b01400064c1", "67fad5ad00a8c98f", "0, 1.75, 0.4375", { -1, -1, -1, -1 } },
    { G4_Q1_0, "253f0585c01a", "b1fcfe5d856ac03e", "-0.00051403046, 0.00051403046, -0.00051403046", { 0, -1, -1, -1 } },
    { G4_Q2_0, "0e4ef2916733", "fb2cd2d5b1a8c922", "-0, -0.056335449, -0.028167725", { 0, -1, -1, -1 } },
};

static const char *sha(const void *p, size_t n, size_t digits)
{
    static char hex[65];
    uint8_t out[32];
    g4_sha256 s;
    g4_sha256_init(&s);
    g4_sha256_add(&s, p, n);
    g4_sha256_end(&s, out);
    g4_hex(out, 32, hex);
    hex[digits] = 0;
    return hex;
}

static void make_blocks(const struct vector *v, const g4_dtype_info *t, uint8_t *x)
{
    uint32_t s = 0x67340000u + v->id;
    for (size_t i = 0; i < 8 * t->bytes; i++) {
        s = s * 1664525u + 1013904223u;
        x[i] = (uint8_t)(s >> 24);
    }
    for (int b = 0; b < 8; b++, x += t->bytes) {
        for (int f = 0; f < 4 && v->half[f] >= 0; f++) x[v->half[f] + 1] &= 0xBF;
        if (v->id == G4_MXFP4) x[0] = 0x70 | (x[0] & 15);
        if (v->id == G4_NVFP4)
            for (int i = 0; i < 4; i++) x[i] &= 0x7F;
    }
}

static void test_vectors(void)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct vector *v = &vectors[i];
        const g4_dtype_info *t = g4_dtype_get(v->id);
        char what[80], first[80];
        uint8_t odd[8 * 292 + 1], *x = odd + 1; /* no alignment is promised */
        float y[8 * 256];
        make_blocks(v, t, x);
        snprintf(what, sizeof what, "%s: the generated blocks", t->name);
        is_str(sha(x, 8 * t->bytes, 12), v->blocks, what);
        t->decode(x, y, 8 * t->block);
        snprintf(what, sizeof what, "%s: SHA-256 of their values", t->name);
        is_str(sha(y, 8 * t->block * 4, 16), v->values, what);
        snprintf(what, sizeof what, "%s: first values", t->name);
        snprintf(first, sizeof first, "%.8g, %.8g, %.8g", (double)y[0], (double)y[1], (double)y[2]);
        is_str(first, v->first, what);
    }
}

static void test_files(void)
{
    g4_err err = {0};
    g4_weights *q = g4_weights_open("tests/data/quants/quants.gguf", 0, &err);
    if (!ok(q != NULL, "quants.gguf opens (%s)", err.msg)) return;
    g4_map m = {0};
    size_t tested = 0;
    if (!ok(!g4_map_open(&m, "tests/data/quants/quants.safetensors", &err), "quants.safetensors opens")) return;
    uint64_t header;
    g4_json top;
    memcpy(&header, m.p, 8);
    ok(!g4_json_check((const char *)m.p + 8, header, &top, &err), "its header is JSON");
    for (size_t i = 0; i < g4_weights_count(q); i++) {
        const g4_tensor *t = g4_weights_at(q, i);
        const g4_dtype_info *d = g4_dtype_get(t->type);
        char name[64];
        int64_t from = 0;
        snprintf(name, sizeof name, "%s.values", d->name);
        if (!ok(g4_json_i64(g4_json_at(g4_json_path(top, name, "data_offsets"), 0), &from), "%s has values", d->name)) continue;
        const size_t n = t->ne[0] * t->ne[1];
        float *y = calloc(n, 4), *want = calloc(n, 4);
        memcpy(want, m.p + 8 + header + from, 4 * n);
        d->decode(t->data, y, n);
        near_f32(y, want, n, 0, name);
        ok(!memcmp(y, want, 4 * n), "%s: %zu values, the same bits", d->name, n);
        free(y);
        free(want);
        tested++;
    }
    is_int((long long)tested, 25, "types in the file");
    g4_map_close(&m);
    g4_weights_free(q);
}

static void test_table(void)
{
    static const uint32_t none[] = { 4, 5, 9, 15, 31, 32, 33, 36, 37, 38, 43, 1000, UINT32_MAX };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) ok(!g4_dtype_get(none[i]), "type %u does not exist", none[i]);
    g4_dtype t;
    ok(g4_dtype_by_name("q4_k", &t) && t == G4_Q4_K, "a type is found by name");
    ok(!g4_dtype_by_name("Q4_2", &t), "a removed type is not");
}

static uint8_t expanded[16384];

static void book(const char *name, const uint16_t *code, size_t n, unsigned n_elem, unsigned bits, const char *level, const char *want)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < n_elem; k++) expanded[at++] = (uint8_t)level[code[i] >> bits * k & ((1u << bits) - 1)];
    is_str(sha(expanded, at, 64), want, name);
}

static void test_books(void)
{
    static const char two[] = { 8, 25, 43, 0 }, three[] = { 4, 12, 20, 28, 36, 44, 52, 62 }, odd[] = { 1, 3, 5, 7, 9, 11, 13, 15 },
                      one[] = { -1, 0, 1, 0 };
    book("code book of IQ2_XXS", g4_iq2xxs_code, 256, 8, 2, two, "05826b5d3e472a3a78f196be62ac78acf81df0f909626e12ab9fa2a5d490dd54");
    book("code book of IQ2_XS", g4_iq2xs_code, 512, 8, 2, two, "06e47aaca60b4dc1d9b5a3f34540437058a6b142b4d7a59d5ded769b4d1bf1de");
    book("code book of IQ2_S", g4_iq2s_code, 1024, 8, 2, two, "e1aa1473412b0552c2174c30ef22ab4073f6a181b85a17056e8249bd2932fd88");
    book("code book of IQ3_XXS", g4_iq3xxs_code, 256, 4, 3, three, "46e35f5a997efdee6c99ce57854c8a0d4f0ff8ca57e5e8a60c0793ea580acf5d");
    book("code book of IQ3_S", g4_iq3s_code, 512, 4, 3, odd, "bd1af4945a1717c65610b0284e4628b9a1ba3b306fae3a06f6e5f597356e349f");
    book("code book of IQ1", g4_iq1_code, 2048, 8, 2, one, "07540ffc1aeaf6ad4d97e96b0fcc765aae39671d4ae4a27bbd0e796fde167c6a");
}

/* What binary16 h means, by its definition. */
static float half_value(uint16_t h)
{
    const int exp = h >> 10 & 31, man = h & 0x3FF;
    const double v = exp ? ldexp(1024 + man, exp - 25) : ldexp(man, -24);
    return (float)(h & 0x8000 ? -v : v);
}

static void test_f16(void)
{
    size_t bad_read = 0, bad_back = 0, bad_mid = 0;
    for (uint32_t h = 0; h < 65536; h++) {
        const float f = g4_f16_to_f32((uint16_t)h);
        if ((h & 0x7C00) == 0x7C00) {
            const bool right = h & 0x3FF ? isnan(f) : isinf(f) && !signbit(f) == !(h >> 15);
            bad_read += !right;
            bad_back += h & 0x3FF ? !isnan(g4_f16_to_f32(g4_f32_to_f16(f))) : g4_f32_to_f16(f) != h;
            continue;
        }
        const float want = half_value((uint16_t)h);
        bad_read += memcmp(&f, &want, 4) != 0;
        bad_back += g4_f32_to_f16(f) != h;
        /* Halfway to the next one up: to even; a hair to either side: to that side. */
        const uint16_t next = (uint16_t)(h + 1), even = h & 1 ? next : (uint16_t)h;
        const bool last = (next & 0x7C00) == 0x7C00;
        const float mid = last ? (h & 0x8000 ? -65520.0f : 65520.0f) : (float)(((double)f + half_value(next)) / 2);
        const float away = h & 0x8000 ? -INFINITY : INFINITY;
        bad_mid += g4_f32_to_f16(mid) != even || g4_f32_to_f16(nextafterf(mid, 0)) != h || g4_f32_to_f16(nextafterf(mid, away)) != next;
    }
    is_int((long long)bad_read, 0, "binary16 to binary32, all 65536 values: wrong ones");
    is_int((long long)bad_back, 0, "and back: wrong ones");
    is_int((long long)bad_mid, 0, "rounding at and beside every midpoint: wrong ones");
    is_int(g4_f32_to_f16(1e30f), 0x7C00, "overflow is infinity");
    is_int(g4_f32_to_f16(-1e-30f), 0x8000, "underflow is a signed zero");
}

static void test_bf16(void)
{
    size_t bad = 0;
    for (uint32_t h = 0; h < 65536; h++) {
        const float f = g4_bf16_to_f32((uint16_t)h);
        const bool nan = isnan(f);
        bad += nan ? !isnan(g4_bf16_to_f32(g4_f32_to_bf16(f))) : g4_f32_to_bf16(f) != h;
    }
    is_int((long long)bad, 0, "bfloat16 round trip: wrong values");
    is_int(g4_f32_to_bf16(1.00390625f), 0x3F80, "a tie goes to the even value below");
    is_int(g4_f32_to_bf16(1.01171875f), 0x3F82, "a tie goes to the even value above");
    is_int(g4_f32_to_bf16(1.005f), 0x3F81, "above the tie: up");
    is_int(g4_f32_to_bf16(3.4e38f), 0x7F80, "overflow is infinity");
}

int main(void)
{
    test_vectors();
    test_books();
    test_table();
    test_f16();
    test_bf16();
    test_files();
    return done_testing();
}
