/* text/validate_format: date, date-time (RFC 3339, leap seconds included), email
 * (RFC 5321 mailboxes of ASCII), uuid (RFC 4122), ipv4 (dotted quad). */
#include <string.h>

#include "text/validate.h"

static bool digits(const char *s, size_t n, int *out)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return false;
        v = v * 10 + (s[i] - '0');
    }
    *out = v;
    return true;
}

static bool date(const char *s, size_t n)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int y, m, d;
    if (n != 10 || s[4] != '-' || s[7] != '-') return false;
    if (!digits(s, 4, &y) || !digits(s + 5, 2, &m) || !digits(s + 8, 2, &d)) return false;
    if (y < 1 || m < 1 || m > 12 || d < 1) return false;
    const bool leap = (y % 4 == 0 && y % 100) || y % 400 == 0;
    return d <= days[m - 1] + (m == 2 && leap);
}

/* The offset in minutes at s; false when it is none. */
static bool offset(const char *s, size_t n, int *minutes)
{
    int h, m;
    if (n == 1 && (*s == 'Z' || *s == 'z')) {
        *minutes = 0;
        return true;
    }
    if (n != 6 || (*s != '+' && *s != '-') || s[3] != ':') return false;
    if (!digits(s + 1, 2, &h) || !digits(s + 4, 2, &m) || h > 23 || m > 59) return false;
    *minutes = (*s == '-' ? -1 : 1) * (60 * h + m);
    return true;
}

static bool date_time(const char *s, size_t n)
{
    int h, m, sec, off;
    size_t at = 19;
    if (n < 20 || !date(s, 10) || (s[10] != 'T' && s[10] != 't') || s[13] != ':' || s[16] != ':') return false;
    if (!digits(s + 11, 2, &h) || !digits(s + 14, 2, &m) || !digits(s + 17, 2, &sec)) return false;
    if (h > 23 || m > 59 || sec > 60) return false;
    if (s[at] == '.') {
        const size_t from = ++at;
        while (at < n && s[at] >= '0' && s[at] <= '9') at++;
        if (at == from) return false;
    }
    if (at >= n || !offset(s + at, n - at, &off)) return false;
    return sec < 60 || ((60 * h + m - off) % 1440 + 1440) % 1440 == 1439; /* a leap second ends a day of UTC */
}

static bool ipv4(const char *s, size_t n)
{
    const char *end = s + n;
    for (int part = 0; part < 4; part++) {
        int v = 0;
        const char *from = s;
        while (s < end && s - from < 3 && *s >= '0' && *s <= '9') v = v * 10 + (*s++ - '0');
        if (s == from || v > 255 || (s - from > 1 && *from == '0')) return false;
        if (part < 3 && (s >= end || *s++ != '.')) return false;
    }
    return s == end;
}

static bool uuid(const char *s, size_t n)
{
    if (n != 36) return false;
    for (size_t i = 0; i < n; i++) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const char low = (char)(s[i] | 0x20);
        if (dash ? s[i] != '-' : !((s[i] >= '0' && s[i] <= '9') || (low >= 'a' && low <= 'f'))) return false;
    }
    return true;
}

static bool alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* atext *("." atext); sets *at behind it. */
static bool dot_atom(const char *s, size_t n, size_t *at)
{
    size_t i = 0, from;
    do {
        from = i;
        while (i < n && (alnum(s[i]) || (s[i] && strchr("!#$%&'*+-/=?^_`{|}~", s[i])))) i++;
        if (i == from) return false;
    } while (i < n && s[i] == '.' && ++i);
    *at = i;
    return true;
}

static bool quoted(const char *s, size_t n, size_t *at)
{
    size_t i = 1;
    for (; i < n && s[i] != '"'; i++) {
        if (s[i] == '\\') i++;
        if (i >= n || s[i] < 32 || s[i] > 126) return false;
    }
    *at = i + 1;
    return i < n;
}

static bool domain(const char *s, size_t n)
{
    if (n > 2 && s[0] == '[' && s[n - 1] == ']') return ipv4(s + 1, n - 2);
    size_t i = 0, from;
    do {
        from = i;
        while (i < n && (alnum(s[i]) || s[i] == '-')) i++;
        if (i == from || s[from] == '-' || s[i - 1] == '-') return false;
    } while (i < n && s[i] == '.' && ++i);
    return i == n;
}

static bool email(const char *s, size_t n)
{
    size_t at;
    if (!n || !(s[0] == '"' ? quoted(s, n, &at) : dot_atom(s, n, &at))) return false;
    return at < n && s[at] == '@' && domain(s + at + 1, n - at - 1);
}

static const struct {
    const char *name;
    bool (*check)(const char *s, size_t n);
} formats[] = { { "date", date }, { "date-time", date_time }, { "email", email }, { "uuid", uuid }, { "ipv4", ipv4 } };

bool g4_format_check(const char *format, const char *s, size_t n)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (!strcmp(format, formats[i].name)) return formats[i].check(s, n);
    return true;
}

bool g4_format_asserted(const char *format)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (!strcmp(format, formats[i].name)) return true;
    return false;
}
