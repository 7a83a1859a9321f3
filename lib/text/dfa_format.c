/* text/dfa_format: the asserted formats as expressions. */
#include <string.h>

#include "text/dfa.h"

#define YEAR "([1-9]\\d{3}|0[1-9]\\d\\d|00[1-9]\\d|000[1-9])"
#define LEAP_YEAR "(\\d\\d(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
#define DATE                                                                                       \
    "(" YEAR "-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|"          \
    "02-(0[1-9]|1\\d|2[0-8]))|" LEAP_YEAR "-02-29)"
#define HOUR_MINUTE "([01]\\d|2[0-3]):[0-5]\\d"
#define OFFSET "(\\.\\d+)?([Zz]|[+-]" HOUR_MINUTE ")"
#define OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define IPV4 OCTET "(\\." OCTET "){3}"
#define ATOM "[-A-Za-z0-9!#$%&'*+/=?^_`{|}~]+"
#define QUOTED "\"([ !#-\\[\\]-~]|\\\\[ -~])*\""
#define LABEL "[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
#define HEX "[0-9A-Fa-f]"

static const struct {
    const char *name, *text;
} formats[] = {
    { "date", DATE },
    { "date-time", DATE "[Tt]" HOUR_MINUTE ":[0-5]\\d" OFFSET },
    { "email", "(" ATOM "(\\." ATOM ")*|" QUOTED ")@(" LABEL "(\\." LABEL ")*|\\[" IPV4 "\\])" },
    { "uuid", HEX "{8}-(" HEX "{4}-){3}" HEX "{12}" },
    { "ipv4", IPV4 },
};

/* 23:59:60 UTC of the last day of June or December, in every zone of whole hours. */
static void put_leap_seconds(g4_str *s)
{
    g4_str_adds(s, "|" YEAR "-((06-30|12-31)[Tt](23:59:60(\\.\\d+)?([Zz]|[+-]00:00)");
    for (int h = 1; h <= 12; h++) g4_str_addf(s, "|%02d:59:60(\\.\\d+)?-%02d:00", 23 - h, h);
    g4_str_adds(s, ")|(07-01|01-01)[Tt](");
    for (int h = 1; h <= 14; h++) g4_str_addf(s, "%s%02d:59:60(\\.\\d+)?\\+%02d:00", h > 1 ? "|" : "", h - 1, h);
    g4_str_adds(s, "))");
}

g4_dfa *g4_dfa_format(const char *format)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        g4_str text = {0};
        if (strcmp(format, formats[i].name)) continue;
        g4_str_adds(&text, formats[i].text);
        if (!strcmp(format, "date-time")) put_leap_seconds(&text);
        g4_regex *r = g4_regex_new(text.p, text.n, NULL);
        g4_dfa *d = r ? g4_dfa_regex(r, true, 10000, NULL) : NULL;
        g4_regex_free(r);
        g4_str_free(&text);
        return d;
    }
    return NULL;
}
