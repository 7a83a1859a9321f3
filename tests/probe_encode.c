/* probe encode -m MODEL: {text | bytes_b64, special, data} to {ids}.  special: all special pieces
 * are recognised; data: none is; neither: the user-defined ones. */
#include <stdlib.h>

#include "base64.h"
#include "probe.h"

static int text_of(g4_json in, g4_str *text, g4_err *err)
{
    const g4_json s = g4_json_get(in, "text"), b = g4_json_get(in, "bytes_b64");
    if (g4_json_type(s) == G4_JSON_STRING) {
        g4_json_str(s, text);
        return 0;
    }
    if (g4_json_type(b) != G4_JSON_STRING) return g4_fail(err, G4_EINPUT, "neither text nor bytes_b64 is a string");
    char *base64 = g4_json_dup(b);
    const bool good = base64_get(base64, text);
    free(base64);
    return good ? 0 : g4_fail(err, G4_EINPUT, "bytes_b64 is no base64");
}

static int encode(void *arg, g4_json in, g4_str *out, g4_err *err)
{
    const g4_tokenizer *t = arg;
    g4_str text = {0};
    int32_t *ids = NULL;
    size_t n = 0, cap = 0;
    const int r = text_of(in, &text, err);
    if (!r) {
        const enum g4_seg_mode mode = probe_true(in, "data")    ? G4_SEG_DATA :
                                      probe_true(in, "special") ? G4_SEG_TEMPLATE :
                                                                  G4_SEG_USER;
        g4_tokenizer_encode(t, &(struct g4_seg){ mode, text.p, text.n }, 1, &ids, &n, &cap);
        g4_str_adds(out, "{\"ids\":");
        probe_put_ids(out, ids, n);
        g4_str_addc(out, '}');
    }
    free(ids);
    g4_str_free(&text);
    return r;
}

int probe_encode(int argc, char **argv)
{
    g4_weights *w;
    g4_tokenizer *t = probe_tokenizer(argc, argv, &w);
    const int status = probe_lines(encode, t);
    g4_tokenizer_free(t);
    g4_weights_free(w);
    return status;
}
