/* text/toolcalls: see toolcalls.h. */
#include "text/toolcalls.h"

#include <string.h>

static void put_string(g4_str *out, const char *z)
{
    g4_json_put_str(out, z, strlen(z));
}

void g4_calls_json(const struct g4_parsed_call *calls, size_t n, size_t first, g4_str *out)
{
    g4_str_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        g4_str_addf(out, "%s{\"id\":\"call_%zu\",\"type\":\"function\",\"function\":{\"name\":", i ? "," : "", first + i);
        put_string(out, calls[i].name);
        g4_str_adds(out, ",\"arguments\":");
        put_string(out, calls[i].arguments);
        g4_str_adds(out, "}}");
    }
    g4_str_addc(out, ']');
}

void g4_errors_json(const struct g4_parse_error *errors, size_t n, g4_str *out)
{
    g4_str_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        g4_str_adds(out, i ? ",{\"kind\":" : "{\"kind\":");
        put_string(out, errors[i].kind);
        if (errors[i].name) {
            g4_str_adds(out, ",\"name\":");
            put_string(out, errors[i].name);
        }
        g4_str_adds(out, ",\"raw\":");
        put_string(out, errors[i].raw ? errors[i].raw : "");
        g4_str_addc(out, '}');
    }
    g4_str_addc(out, ']');
}
