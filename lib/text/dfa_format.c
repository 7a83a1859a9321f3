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
    const char *name, *usual, *rare;
} formats[] = {
    { "date", DATE, NULL },
    { "date-time", DATE "[Tt]" HOUR_MINUTE ":[0-5]\\d" OFFSET, DATE "[Tt]" HOUR_MINUTE ":60" OFFSET },
    { "email", "(" ATOM "(\\." ATOM ")*|" QUOTED ")@(" LABEL "(\\." LABEL ")*|\\[" IPV4 "\\])", NULL },
    { "uuid", HEX "{8}-(" HEX "{4}-){3}" HEX "{12}", NULL },
    { "ipv4", IPV4, NULL },
};

g4_dfa *g4_dfa_format(const char *format, bool rare)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const char *text = rare ? formats[i].rare : formats[i].usual;
        if (strcmp(format, formats[i].name) || !text) continue;
        g4_regex *r = g4_regex_new(text, strlen(text), NULL);
        g4_dfa *d = r ? g4_dfa_regex(r, true, 10000, NULL) : NULL;
        g4_regex_free(r);
        return d;
    }
    return NULL;
}
