/* Regular expressions: what they match as they are, the same as DFAs, the formats
 * against the validator's own checks, sets of strings, and what is refused. */
#include "../tap.h"
#include "base/hash.h"
#include "text/dfa.h"
#include "text/validate.h"

enum { MAX_STATES = 20000 };

static uint64_t seed = 7;

static uint32_t draw(uint32_t n)
{
    seed = g4_mix64(seed + 1);
    return (uint32_t)(seed % n);
}

static bool runs(const g4_dfa *d, const char *s, size_t n)
{
    uint32_t q = 0;
    if (!d->n_state) return false;
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        i += g4_utf8_decode(s + i, n - i, &cp);
        q = g4_dfa_step(d, q, cp);
        if (q == G4_DFA_DEAD) return false;
    }
    return d->state[q].label != G4_DFA_NO_LABEL;
}

/* ---- tables ------------------------------------------------------------------- */

static const struct { const char *re, *yes[6], *no[6]; } table[] = {
    { "^[0-9]{5}$", { "12345", "00000" }, { "1234", "123456", "12a45", "12345\n" } },
    { "ab", { "ab", "xaby" }, { "ba", "", "a b" } },
    { "^(cat|dog)s?$", { "cat", "dogs" }, { "catss", "", "bird" } },
    { "^a|b$", { "ax", "xb", "a" }, { "xax", "bx" } },
    { "a{2}|b{0,1}c", { "xaa", "c", "bc" }, { "a", "b" } },
    { "^(?:a+?b*?)+$", { "ab", "aab", "aba" }, { "b", "", "abc" } },
    { "^(?<year>\\d{4})-\\d\\d$", { "2026-11" }, { "2026-1", "26-11" } },
    { "^[^a-c]$", { "d", "\xC3\xA9", "\n" }, { "a", "", "dd" } },
    { "^\\w+\\s\\W$", { "a_1 !", "Z\t-" }, { "a b", "\xC3\xA9 !" } },
    { "^[\\d\\-a\\]]+$", { "1-a]", "9" }, { "b", "[" } },
    { "^\\u00e9\\x41\\u{1F642}\\uD83D\\uDE42$", { "\xC3\xA9" "A\xF0\x9F\x99\x82\xF0\x9F\x99\x82" }, { "eA" } },
    { "^.$", { "x", "\xF0\x9F\x99\x82" }, { "\n", "\r", "\xE2\x80\xA8", "" } },
    { "^$", { "" }, { " " } },
    { "", { "", "anything" }, { NULL } },
    { "[]", { NULL }, { "", "a" } },
    { "^[^]$", { "a", "\n" }, { "" } },
    { "x{,3}", { "x{,3}" }, { "xxx" } },
    { "^a{0}b$", { "b" }, { "ab" } },
    { "^(a|)(b|)$", { "", "a", "b", "ab" }, { "ba" } },
    { "^[+--]$", { "+", ",", "-" }, { "." } },
    { "\\.\\/\\$", { "./$" }, { "a/$" } },
    { "$a|^b", { "b" }, { "a", "ab" } },
};

static void tables(void)
{
    size_t wrong = 0, n = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        g4_err err = {0};
        g4_regex *r = g4_regex_new(table[i].re, strlen(table[i].re), &err);
        g4_dfa *d = r ? g4_dfa_regex(r, false, MAX_STATES, &err) : NULL;
        if (!d) {
            ok(false, "%s: %s", table[i].re, err.msg);
            g4_regex_free(r);
            continue;
        }
        for (int want = 0; want < 2; want++)
            for (size_t k = 0; k < 6 && (want ? table[i].yes : table[i].no)[k]; k++, n++) {
                const char *s = (want ? table[i].yes : table[i].no)[k];
                const bool is = g4_regex_search(r, s, strlen(s)), as_dfa = runs(d, s, strlen(s));
                if (is == want && as_dfa == want) continue;
                wrong++;
                printf("# /%s/ on '%s': %d, as DFA %d\n", table[i].re, s, is, as_dfa);
            }
        g4_dfa_free(d);
        g4_regex_free(r);
    }
    ok(!wrong && n > 60, "%zu texts decided by %zu expressions, %zu wrongly", n, sizeof table / sizeof *table, wrong);
}

static void refusals(void)
{
    static const struct { const char *re, *why; } bad[] = {
        { "(?=a)", "look-ahead" }, { "(?!a)", "look-ahead" }, { "(?<=a)b", "look-behind" }, { "(a)\\1", "back reference" },
        { "\\bword", "word boundary" }, { "\\p{L}", "Unicode property" }, { "(?i)a", "kind of group" }, { "a)", "without its group" },
        { "(a", "without its ')'" }, { "[a", "without its ']'" }, { "[b-a]", "out of order" }, { "a{3,2}", "out of order" },
        { "*a", "nothing before it" }, { "a**", "nothing before it" }, { "\\", "at the end" }, { "\\q", "not known" },
        { "^*", "behind an anchor" }, { "\\uD800", "not known" }, { "a{20000}", "more than 10000" },
        { "((a{100}){100}){100}", "too large" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        g4_err err = {0};
        g4_regex *r = g4_regex_new(bad[i].re, strlen(bad[i].re), &err);
        if (!ok(!r && err.code == G4_ESCHEMA && strstr(err.msg, bad[i].why), "/%s/ is refused: %s", bad[i].re, bad[i].why)) printf("# %s\n", err.msg);
        g4_regex_free(r);
    }
    g4_err err = {0};
    const char *big = "^(a|b)*a(a|b){18}$"; /* 2^18 states */
    g4_regex *r = g4_regex_new(big, strlen(big), &err);
    g4_dfa *d = g4_dfa_regex(r, false, MAX_STATES, &err);
    ok(!d && err.code == G4_ESCHEMA, "an expression of too many states is refused: %s", err.msg);
    g4_dfa_free(d);
    g4_regex_free(r);
}

/* ---- random expressions --------------------------------------------------------------- */

static void put_expression(g4_str *s, unsigned depth)
{
    static const char *const atoms[] = { "a", "b", "c", ".", "[ab]", "[^a]", "\\d", "1", "\xC3\xA9" };
    static const char *const after[] = { "", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}" };
    const uint32_t parts = 1 + draw(3);
    for (uint32_t i = 0; i < parts; i++) {
        if (i && draw(4) == 0) g4_str_addc(s, '|');
        if (depth && draw(3) == 0) {
            g4_str_addc(s, '(');
            put_expression(s, depth - 1);
            g4_str_addc(s, ')');
        } else {
            g4_str_adds(s, atoms[draw(9)]);
        }
        g4_str_adds(s, after[draw(9)]);
    }
}

static void put_text(g4_str *s)
{
    static const char *const letters[] = { "a", "b", "c", "1", "\xC3\xA9", "\n" };
    for (uint32_t n = draw(7); n--;) g4_str_adds(s, letters[draw(6)]);
}

static void random_expressions(void)
{
    const int n = getenv("G4_TEST_FULL") ? 20000 : 1500;
    size_t wrong = 0, texts = 0, matched = 0;
    for (int i = 0; i < n; i++) {
        g4_str re = {0}, re2 = {0};
        if (draw(3) == 0) g4_str_addc(&re, '^');
        put_expression(&re, 2);
        if (draw(3) == 0) g4_str_addc(&re, '$');
        put_expression(&re2, 1);
        g4_regex *r = g4_regex_new(re.p, re.n, NULL), *r2 = g4_regex_new(re2.p, re2.n, NULL);
        g4_dfa *d = g4_dfa_regex(r, false, MAX_STATES, NULL), *whole = g4_dfa_regex(r, true, MAX_STATES, NULL);
        g4_dfa *d2 = g4_dfa_regex(r2, false, MAX_STATES, NULL), *both = g4_dfa_both(d, d2, MAX_STATES, NULL);
        for (int k = 0; k < 20; k++, texts++) {
            g4_str t = {0};
            put_text(&t);
            const char *p = t.p ? t.p : "";
            const bool a = g4_regex_search(r, p, t.n), b = g4_regex_search(r2, p, t.n), c = g4_regex_matches(r, p, t.n);
            matched += a;
            if (a != runs(d, p, t.n) || c != runs(whole, p, t.n) || (a && b) != runs(both, p, t.n)) {
                wrong++;
                printf("# /%s/ and /%s/ on '%s'\n", re.p, re2.p, p);
            }
            g4_str_free(&t);
        }
        g4_dfa_free(d);
        g4_dfa_free(whole);
        g4_dfa_free(d2);
        g4_dfa_free(both);
        g4_regex_free(r);
        g4_regex_free(r2);
        g4_str_free(&re);
        g4_str_free(&re2);
    }
    ok(!wrong && matched > texts / 10 && matched < texts, "%d random expressions on %zu texts (%zu match): DFA, whole match and intersection, %zu wrong", n,
       texts, matched, wrong);
}

/* ---- formats and sets --------------------------------------------------------------------- */

static void formats(void)
{
    static const struct { const char *format, *text; } some[] = {
        { "date", "2026-11-22" }, { "date", "2024-02-29" }, { "date", "1900-02-28" }, { "date-time", "2026-11-22T10:00:00Z" },
        { "date-time", "1999-12-31t23:59:59.999+05:30" }, { "date-time", "1998-12-31T23:59:60Z" },
        { "date-time", "1998-12-31T15:59:60.5-08:00" }, { "date-time", "1999-01-01T00:59:60+01:00" },
        { "email", "first.last+tag@sub.example.com" }, { "email", "\"a b\"@x.org" }, { "email", "a@[127.0.0.1]" },
        { "uuid", "123e4567-e89b-12d3-a456-426614174000" }, { "ipv4", "255.255.255.255" }, { "ipv4", "0.10.200.7" },
    };
    size_t wrong = 0, valid = 0, n = 0;
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        g4_dfa *d = g4_dfa_format(some[i].format);
        const size_t len = strlen(some[i].text);
        wrong += !d || !runs(d, some[i].text, len) || !g4_format_check(some[i].format, some[i].text, len);
        for (int k = 0; d && k < (getenv("G4_TEST_FULL") ? 200000 : 5000); k++, n++) { /* edits of a good one */
            static const char letters[] = "0123456789-:.TZtz+@a\"[] ";
            char text[80];
            memcpy(text, some[i].text, len + 1);
            for (uint32_t e = 1 + draw(2); e--;) text[draw((uint32_t)len)] = letters[draw(sizeof letters - 1)];
            const bool is = runs(d, text, len), should = g4_format_check(some[i].format, text, len);
            valid += should;
            if (is == should || (should && strstr(text, ":60"))) continue; /* the DFA knows fewer leap seconds */
            wrong++;
            printf("# %s '%s': %d, the validator says %d\n", some[i].format, text, is, should);
        }
        g4_dfa_free(d);
    }
    ok(!wrong && valid > 1000, "formats against the validator on %zu texts (%zu valid): %zu differ", n, valid, wrong);
}

static void sets(void)
{
    const g4_sv names[] = { G4_SV("a"), G4_SV("ab"), G4_SV("b\xC3\xA9"), G4_SV(""), G4_SV("abc") };
    size_t wrong = 0;
    for (int others = 0; others < 2; others++) {
        g4_dfa *d = g4_dfa_strings(names, 5, others);
        for (int k = 0; k < 3000; k++) {
            g4_str t = {0};
            put_text(&t);
            uint32_t want = others ? 5 : G4_DFA_NO_LABEL, q = 0;
            for (uint32_t i = 0; i < 5; i++)
                if (names[i].n == t.n && (!t.n || !memcmp(names[i].p, t.p, t.n))) want = i;
            for (size_t i = 0; i < t.n && q != G4_DFA_DEAD;) {
                uint32_t cp;
                i += g4_utf8_decode(t.p + i, t.n - i, &cp);
                q = g4_dfa_step(d, q, cp);
            }
            wrong += (q == G4_DFA_DEAD ? G4_DFA_NO_LABEL : d->state[q].label) != want;
            g4_str_free(&t);
        }
        g4_dfa_free(d);
    }
    ok(!wrong, "sets of strings, alone and with all others: %zu wrong labels", wrong);
}

int main(void)
{
    tables();
    refusals();
    random_expressions();
    formats();
    sets();
    return done_testing();
}
