/* probe decode -m MODEL: {ids, show_special} to {text, bytes_b64, steps, flush}: the whole as text
 * (U+FFFD for a byte that belongs to no character) and as bytes; what may be written after each id,
 * and what is left at the end. */
#include "base64.h"
#include "probe.h"

static void put_member(g4_str *out, const char *before, const g4_str *s)
{
    g4_str_adds(out, before);
    g4_json_put_str(out, s->n ? s->p : "", s->n);
}

static int decode(void *arg, g4_json in, g4_str *out, g4_err *err)
{
    const g4_tokenizer *t = arg;
    const g4_json ids = g4_json_get(in, "ids");
    const bool special = probe_true(in, "show_special");
    struct g4_utf8_stream stream = {0};
    g4_str bytes = {0}, text = {0}, step = {0}, steps = {0};
    int r = g4_json_type(ids) == G4_JSON_ARRAY ? 0 : g4_fail(err, G4_EINPUT, "ids is no array");
    for (g4_json_it it = g4_json_iter(ids); !r && g4_json_next(&it);) {
        int64_t id;
        if (!g4_json_i64(it.value, &id) || id < 0 || id >= g4_tokenizer_vocab(t)->n) {
            r = g4_fail(err, G4_EINPUT, "no piece has the id '%.*s'", (int)(it.value.n < 40 ? it.value.n : 40), it.value.p);
            break;
        }
        const size_t from = bytes.n;
        g4_tokenizer_piece(t, (int32_t)id, special, &bytes);
        g4_str_clear(&step);
        g4_utf8_stream_push(&stream, bytes.p + from, bytes.n - from, &step);
        put_member(&steps, steps.n ? "," : "", &step);
        g4_str_add(&text, step.p, step.n);
    }
    if (!r) {
        g4_str_clear(&step);
        g4_utf8_stream_flush(&stream, &step);
        g4_str_add(&text, step.p, step.n);
        put_member(out, "{\"text\":", &text);
        g4_str_adds(out, ",\"bytes_b64\":\"");
        base64_put(out, bytes.p, bytes.n);
        g4_str_addf(out, "\",\"steps\":[%s]", steps.n ? steps.p : "");
        put_member(out, ",\"flush\":", &step);
        g4_str_addc(out, '}');
    }
    g4_str_free(&bytes);
    g4_str_free(&text);
    g4_str_free(&step);
    g4_str_free(&steps);
    return r;
}

int probe_decode(int argc, char **argv)
{
    g4_weights *w;
    g4_tokenizer *t = probe_tokenizer(argc, argv, &w);
    const int status = probe_lines(decode, t);
    g4_tokenizer_free(t);
    g4_weights_free(w);
    return status;
}
