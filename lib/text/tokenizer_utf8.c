/* text/tokenizer: bytes of generated ids to whole characters. */
#include <string.h>

#include "text/tokenizer.h"

/* Writes what is certain of the held bytes; at the end (`last`) all of it. */
static void drain(struct g4_utf8_stream *s, bool last, g4_str *out)
{
    while (s->n) {
        size_t take = g4_utf8_decode(s->held, s->n, NULL);
        if (take) {
            g4_str_add(out, s->held, take);
        } else if (!last && g4_utf8_need(s->held, s->n)) {
            return;
        } else {
            take = 1;
            if (s->raw)
                g4_str_addc(out, s->held[0]);
            else
                g4_str_adds(out, "\xEF\xBF\xBD"); /* U+FFFD */
        }
        memmove(s->held, s->held + take, s->n - take);
        s->n -= (uint8_t)take;
    }
}

void g4_utf8_stream_push(struct g4_utf8_stream *s, const char *p, size_t n, g4_str *out)
{
    size_t i = 0;
    while (i < n) {
        if (!s->n) { /* the common case: a run of whole characters */
            size_t good = n - i;
            g4_utf8_valid(p + i, n - i, &good);
            g4_str_add(out, p + i, good);
            i += good;
            if (i == n) return;
        }
        s->held[s->n++] = p[i++];
        drain(s, false, out);
    }
}

void g4_utf8_stream_flush(struct g4_utf8_stream *s, g4_str *out)
{
    drain(s, true, out);
}
