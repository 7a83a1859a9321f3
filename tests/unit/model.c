/* tests/unit/model: opening models: what they are taken for, what they say about
 * generation, and how broken or foreign ones are refused. */
#define _GNU_SOURCE /* memmem */
#include "../tap.h"

#include "base/file.h"
#include "base/mem.h"
#include "model/model.h"

static bool has(const int32_t *ids, size_t n, int32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

static void check_shapes(void)
{
    g4_err err = { 0 };
    g4_model *m = g4_model_open("tests/data/text/g4-edge", false, &err);

    if (!ok(m != NULL, "g4-edge opens %s", err.msg)) return;
    const struct g4_hparams *hp = g4_model_hp(m);
    uint32_t n = 0;
    g4_model_kv_layers(m, &n);
    is_str(hp->arch, "gemma4", "architecture");
    is_int(hp->n_layer, 10, "layers");
    is_int(hp->first_shared, 5, "the first layer without KV");
    is_int(n, 5, "layers that own KV");
    is_int(hp->layer[8].kv_layer, 3, "a local layer reads the last local owner");
    is_int(hp->layer[9].kv_layer, 4, "a global layer reads the last global owner");
    is_int(hp->layer[9].d_ff, 2 * hp->layer[0].d_ff, "layers without KV are twice as wide");
    is_int(hp->layer[4].d_head, 32, "head length of global layers");
    is_int(hp->layer[3].d_head, 16, "head length of local layers");
    is_str(g4_model_name(m), "g4-edge", "name of a folder");
    g4_model_free(m);
}

static void check_defaults(void)
{
    g4_err err = { 0 };
    g4_model *m = g4_model_open("tests/data/text/g4-unified", false, &err);

    if (!ok(m != NULL, "g4-unified opens %s", err.msg)) return;
    const struct g4_gen_defaults *d = g4_model_defaults(m);
    ok(d->temperature == 1.0f && d->top_k == 64 && d->top_p == 0.95f, "sampling of generation_config.json");
    ok(has(d->stop, d->n_stop, 1) && has(d->stop, d->n_stop, 16) && has(d->stop, d->n_stop, 9), "end ids");
    ok(has(d->suppress, d->n_suppress, 17) && has(d->suppress, d->n_suppress, 20), "suppressed ids of the file");
    ok(has(d->suppress, d->n_suppress, 23) && !has(d->suppress, d->n_suppress, 300), "and those of media pieces");
    g4_model_free(m);
    m = g4_model_open("tests/data/text/gemma3-270m", false, &err);
    if (!ok(m != NULL, "gemma3-270m opens %s", err.msg)) return;
    d = g4_model_defaults(m);
    is_int(g4_model_hp(m)->n_vocab, 408, "rows of the table");
    ok(has(d->suppress, d->n_suppress, 400) && has(d->suppress, d->n_suppress, 407), "rows behind the last piece are never generated");
    g4_model_free(m);
    m = g4_model_open("tests/data/text/vaultgemma", true, &err);
    ok(m && !g4_model_hp(m) && g4_model_tokenizer(m), "text only: a tokenizer and no hyper-parameters");
    g4_model_free(m);
}

/* ---- refused ----------------------------------------------------------------- */

static char dir[300];

static void put(const char *name, const char *from, const char *find, const char *with)
{
    char path[400];
    g4_str in = { 0 }, out = { 0 };

    snprintf(path, sizeof path, "%s/%s", from, name);
    if (g4_file_read(path, 1 << 24, &in, NULL)) return;
    const char *at = find ? memmem(in.p, in.n, find, strlen(find)) : NULL;
    g4_str_add(&out, in.p, at ? (size_t)(at - in.p) : in.n);
    if (at) {
        g4_str_adds(&out, with);
        g4_str_add(&out, at + strlen(find), in.n - (size_t)(at - in.p) - strlen(find));
    }
    snprintf(path, sizeof path, "%s/%s", dir, name);
    g4_file_write_atomic(path, out.p, out.n, NULL);
    g4_str_free(&in);
    g4_str_free(&out);
}

/* g4-edge with one text replaced in config.json or, of the same length, among the tensor names. */
static void refused(const char *file, const char *find, const char *with, int code, const char *says)
{
    static const char from[] = "tests/data/text/g4-edge";
    g4_err err = { 0 };

    put("config.json", from, strcmp(file, "config.json") ? NULL : find, with);
    put("model.safetensors", from, strcmp(file, "config.json") ? find : NULL, with);
    put("tokenizer.json", from, NULL, NULL);
    put("generation_config.json", from, NULL, NULL);
    g4_model *m = g4_model_open(dir, false, &err);
    ok(!m && err.code == code && strstr(err.msg, says), "refused: %s", err.msg);
    g4_model_free(m);
}

int main(void)
{
    const char *build = getenv("G4_BUILD");

    check_shapes();
    check_defaults();
    snprintf(dir, sizeof dir, "%s/data/unit-model", build ? build : "build");
    if (!ok(!g4_mkdirs(dir, 0755, NULL), "a folder for changed files")) return done_testing();
    refused("config.json", "\"gemma4\"", "\"gemma9\"", G4_EUNSUP, "gemma9");
    refused("config.json", "\"gemma4\"", "\"gemma4_assistant\"", G4_EUNSUP, "drafter");
    refused("config.json", "\"num_hidden_layers\": 10", "\"num_hidden_layers\": 0", G4_EFORMAT, "layers");
    refused("config.json", "\"num_hidden_layers\": 10", "\"num_hidden_layers\": 4000000000", G4_EFORMAT, "layers");
    refused("config.json", "\"num_hidden_layers\": 10", "\"num_hidden_layers\": 11", G4_EFORMAT, "layer_types");
    refused("config.json", "\"hidden_size\": 32", "\"hidden_size\": 33", G4_EFORMAT, "expected [33, ");
    refused("config.json", "\"hidden_size\": 32", "\"hidden_size\": \"x\"", G4_EFORMAT, "hidden_size");
    refused("config.json", "\"num_kv_shared_layers\": 5", "\"num_kv_shared_layers\": 10", G4_EFORMAT, "KV");
    refused("config.json", "\"num_kv_shared_layers\": 5", "\"num_kv_shared_layers\": 9", G4_EFORMAT, "share");
    refused("config.json", "\"num_attention_heads\": 4", "\"num_attention_heads\": 5", G4_EFORMAT, "q_proj");
    refused("config.json", "\"head_dim\": 16", "\"head_dim\": 15", G4_EFORMAT, "head length");
    refused("config.json", "\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 0", G4_EFORMAT, "epsilon");
    refused("config.json", "\"proportional\"", "\"yarn\"", G4_EUNSUP, "yarn");
    refused("config.json", "\"sliding_attention\",", "\"chunked_attention\",", G4_EUNSUP, "chunked_attention");
    refused("model.safetensors", "layers.7.mlp.gate_proj", "layers.7.mlp.gate_prox", G4_EFORMAT, "layers.7.mlp.gate_proj");
    refused("model.safetensors", "language_model.norm", "language_model.nory", G4_EFORMAT, "norm.weight");
    return done_testing();
}
