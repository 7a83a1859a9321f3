/* tests/tap: TAP for C tests.  Every check prints a line; a failed one says what
 * was expected; near_f32 prints the largest error and where it stands. */
#ifndef G4_TESTS_TAP_H
#define G4_TESTS_TAP_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_n, tap_failed;

static inline bool ok(bool pass, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline bool ok(bool pass, const char *fmt, ...)
{
    va_list ap;
    printf("%sok %d - ", pass ? "" : "not ", ++tap_n);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
    tap_failed += !pass;
    return pass;
}

static inline bool is_int(long long got, long long want, const char *what)
{
    if (ok(got == want, "%s", what)) return true;
    printf("# got %lld, expected %lld\n", got, want);
    return false;
}

static inline bool is_mem(const void *got, size_t got_n, const void *want, size_t want_n, const char *what)
{
    if (ok(got_n == want_n && (!want_n || memcmp(got, want, want_n) == 0), "%s", what)) return true;
    printf("# got      %.*s\n# expected %.*s\n", (int)(got_n < 2000 ? got_n : 2000), (const char *)got,
           (int)(want_n < 2000 ? want_n : 2000), (const char *)want);
    return false;
}

static inline bool is_str(const char *got, const char *want, const char *what)
{
    return is_mem(got ? got : "(null)", strlen(got ? got : "(null)"), want, strlen(want), what);
}

/* Largest |got - want| over n values, at most tol (NaN fails). */
static inline bool near_f32(const float *got, const float *want, size_t n, double tol, const char *what)
{
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= worst)) { worst = d; at = i; }
        if (d != d) break;
    }
    const bool pass = worst <= tol;
    ok(pass, "%s: largest error %.3g at %zu (tolerance %.3g)", what, worst, at, tol);
    if (!pass && n) printf("# got %.9g, expected %.9g\n", got[at], want[at]);
    return pass;
}

static inline void skip(const char *what, const char *why)
{
    printf("ok %d # SKIP %s: %s\n", ++tap_n, what, why);
}

static inline int done_testing(void)
{
    printf("1..%d\n", tap_n);
    return tap_failed ? 1 : 0;
}

#endif
