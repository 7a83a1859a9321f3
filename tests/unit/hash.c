/* SHA-256 against the published vectors, fed in pieces; the table hash stays what
 * it is, since cache keys and random streams depend on it. */
#include "base/hash.h"

#include "../tap.h"

static void sha(const char *text, size_t n, size_t repeat, size_t piece, const char *want)
{
    g4_sha256 s;
    uint8_t out[32];
    char hex[65];
    g4_sha256_init(&s);
    for (size_t r = 0; r < repeat; r++)
        for (size_t i = 0; i < n; i += piece) g4_sha256_add(&s, text + i, n - i < piece ? n - i : piece);
    g4_sha256_end(&s, out);
    g4_hex(out, 32, hex);
    is_str(hex, want, "SHA-256");
}

int main(void)
{
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char a[1000];
    memset(a, 'a', sizeof a);
    sha("", 0, 1, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha("abc", 3, 1, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    for (size_t piece = 1; piece < 60; piece += 7)
        sha(two, 56, 1, piece, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    sha(a, 1000, 1000, 1000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    sha(a, 1000, 1000, 63, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");

    static uint8_t random[64 * 1000];
    uint64_t x = 1;
    for (size_t i = 0; i < sizeof random; i++) random[i] = (uint8_t)(x = g4_mix64(x + i));
    bool agrees = true;
    for (size_t n = 1; n <= 1000; n++) agrees &= g4_sha256_agrees(random + (n * 7) % 64, 64 * (n - 1));
    ok(agrees, "SHA-256 by the processor's instructions is that of the plain code, 0 to 999 blocks, at any alignment");

    char hex[64];
    snprintf(hex, sizeof hex, "%016llx %016llx", (unsigned long long)g4_hash64("abc", 3, 0), (unsigned long long)g4_hash64("0123456789", 10, 7));
    is_str(hex, "b1a7dd4a9414a3a6 fc1a1a311a6662da", "the table hash of two texts");
    static const char zeros[32];
    bool same = false;
    for (size_t i = 0; i < 32; i++)
        for (size_t k = 0; k < i; k++) same |= g4_hash64(zeros, i, 1) == g4_hash64(zeros, k, 1);
    ok(!same, "lengths of zeros differ");
    ok(g4_hash64("abc", 3, 0) != g4_hash64("abc", 3, 1), "the seed counts");
    ok(g4_hash_seed() == g4_hash_seed(), "one seed a process");
    ok(g4_mix64(1) == 0x5692161d100b05e5u, "mix64 is splitmix64's finaliser");
    return done_testing();
}
