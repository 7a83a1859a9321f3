/* verb/options: the options of a record.  One table says name, kind and range. */
#include "verb/impl.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum kind { F32, I32, BOOL, F64, SEED, THINK, LOGPROBS, TRUNCATE, STOP, TOOL_CHOICE, IGNORED };

static const struct option {
    const char *name;
    enum kind kind;
    uint32_t bit;
    size_t at;
    double min, max;
    const char *want;
} options[] = {
    { "temperature", F32, G4_OPT_TEMPERATURE, offsetof(g4_options, temperature), 0, 1e6, "a number, 0 or more" },
    { "top_k", I32, G4_OPT_TOP_K, offsetof(g4_options, top_k), 0, INT32_MAX, "an integer, 0 or more" },
    { "top_p", F32, G4_OPT_TOP_P, offsetof(g4_options, top_p), 0, 1, "a number from 0 to 1" },
    { "min_p", F32, G4_OPT_MIN_P, offsetof(g4_options, min_p), 0, 1, "a number from 0 to 1" },
    { "repeat_penalty", F32, G4_OPT_REPEAT_PENALTY, offsetof(g4_options, repeat_penalty), 1e-3, 1e3, "a number above 0" },
    { "frequency_penalty", F32, G4_OPT_FREQUENCY_PENALTY, offsetof(g4_options, frequency_penalty), -1e3, 1e3, "a number" },
    { "presence_penalty", F32, G4_OPT_PRESENCE_PENALTY, offsetof(g4_options, presence_penalty), -1e3, 1e3, "a number" },
    { "seed", SEED, G4_OPT_SEED, offsetof(g4_options, seed), 0, 0, "an integer, 0 or more, or \"random\"" },
    { "max_tokens", I32, G4_OPT_MAX_TOKENS, offsetof(g4_options, max_tokens), 0, INT32_MAX, "an integer, 0 or more" },
    { "think", THINK, G4_OPT_THINK, offsetof(g4_options, think), -1, INT32_MAX, "true, false or a number of tokens" },
    { "logprobs", LOGPROBS, G4_OPT_LOGPROBS, offsetof(g4_options, logprobs), 0, 256, "an integer from 0 to 256" },
    { "echo", BOOL, G4_OPT_ECHO, offsetof(g4_options, echo), 0, 0, "true or false" },
    { "prefill", BOOL, G4_OPT_PREFILL, offsetof(g4_options, prefill), 0, 0, "true or false" },
    { "max_time", F64, G4_OPT_MAX_TIME, offsetof(g4_options, max_time), 0, 1e9, "a number of seconds" },
    { "truncate", TRUNCATE, G4_OPT_TRUNCATE, offsetof(g4_options, truncate), 0, 3, "\"head\", \"middle\", \"tail\" or \"never\"" },
    { "tool_choice", TOOL_CHOICE, G4_OPT_TOOL_CHOICE, 0, 0, 0, "\"auto\", \"none\", \"required\" or a function" },
    { "compact", BOOL, G4_OPT_COMPACT, offsetof(g4_options, compact), 0, 0, "true or false" },
    { "stop", STOP, G4_OPT_STOP, 0, 0, 0, "a string or a list of strings" },
    { "samples", IGNORED, 0, 0, 1, INT32_MAX, "an integer, 1 or more" }, /* lib/record's: a line becomes several */
};
enum { N_OPTION = sizeof options / sizeof *options };

void g4_options_merge(g4_options *o, const g4_options *over)
{
    static const size_t size[] = { [F32] = 4, [I32] = 4, [BOOL] = sizeof(bool), [F64] = 8, [SEED] = 8, [THINK] = 4,
                                   [LOGPROBS] = 4, [TRUNCATE] = 4 };
    for (size_t i = 0; i < N_OPTION; i++) {
        const struct option *p = &options[i];
        if (!(over->set & p->bit)) continue;
        if (p->kind == STOP) o->stop_json = over->stop_json;
        else if (p->kind == TOOL_CHOICE) o->tool_choice = over->tool_choice;
        else memcpy((char *)o + p->at, (const char *)over + p->at, size[p->kind]);
        o->set |= p->bit;
    }
}

static bool read_seed(g4_json v, uint64_t *seed)
{
    int64_t i;
    if (g4_json_is(v, "random")) return getrandom(seed, sizeof *seed, 0) == sizeof *seed;
    if (g4_json_type(v) != G4_JSON_NUMBER) return false;
    if (g4_json_i64(v, &i)) {
        *seed = (uint64_t)i;
        return i >= 0;
    }
    uint64_t u = 0; /* the upper half of the range */
    for (size_t k = 0; k < v.n; k++) {
        const unsigned d = (unsigned char)v.p[k] - '0';
        if (d > 9 || u > (UINT64_MAX - d) / 10) return false;
        u = u * 10 + d;
    }
    *seed = u;
    return v.n > 0;
}

static bool read_stop(g4_json v, const char **out, g4_arena *a)
{
    g4_str s = {0};
    size_t n = 0;
    bool good = true;
    if (g4_json_type(v) == G4_JSON_STRING) {
        g4_str_addc(&s, '[');
        g4_str_add(&s, v.p, v.n);
        g4_str_addc(&s, ']');
        good = v.n > 2;
    } else if (g4_json_type(v) == G4_JSON_ARRAY) {
        for (g4_json_it it = g4_json_iter(v); g4_json_next(&it); n++)
            good = good && g4_json_type(it.value) == G4_JSON_STRING && it.value.n > 2;
        g4_str_add(&s, v.p, v.n);
        good = good && n <= G4_MAX_STOP;
    } else {
        good = false;
    }
    if (good) *out = g4_arena_strndup(a, s.p, s.n);
    g4_str_free(&s);
    return good;
}

/* A word, or OpenAI's {"type":"function","function":{"name":N}}. */
static bool read_tool_choice(g4_json v, const char **out, g4_arena *a)
{
    const g4_json name = g4_json_type(v) == G4_JSON_OBJECT ? g4_json_path(v, "function", "name") : v;
    char *s = g4_json_dup(name);
    const bool good = s && *s;
    if (good) *out = g4_arena_strndup(a, s, strlen(s));
    free(s);
    return good;
}

static bool read_truncate(g4_json v, int32_t *out)
{
    static const char *const names[] = { "never", "head", "middle", "tail" };
    for (int32_t i = 0; i < 4; i++)
        if (g4_json_is(v, names[i])) {
            *out = i;
            return true;
        }
    return false;
}

static bool read_int(g4_json v, const struct option *p, int32_t *out)
{
    int64_t i;
    if (!g4_json_i64(v, &i) || (double)i < p->min || (double)i > p->max) return false;
    *out = (int32_t)i;
    return true;
}

static bool read_value(g4_json v, const struct option *p, g4_options *o, g4_arena *a)
{
    void *at = (char *)o + p->at;
    bool b = false;
    double d;
    int32_t dropped;
    o->set |= p->bit;
    switch (p->kind) {
    case BOOL: return g4_json_bool(v, at);
    case I32: return read_int(v, p, at);
    case SEED: return read_seed(v, at);
    case TRUNCATE: return read_truncate(v, at);
    case STOP: return read_stop(v, &o->stop_json, a);
    case TOOL_CHOICE: return read_tool_choice(v, &o->tool_choice, a);
    case IGNORED: return read_int(v, p, &dropped);
    case F32:
    case F64:
        if (!g4_json_f64(v, &d) || !(d >= p->min && d <= p->max)) return false;
        if (p->kind == F32) *(float *)at = (float)d;
        else *(double *)at = d;
        return true;
    case THINK:
        if (!g4_json_bool(v, &b)) return read_int(v, p, at);
        *(int32_t *)at = b ? -1 : 0;
        return true;
    case LOGPROBS:
        if (!g4_json_bool(v, &b)) return read_int(v, p, at);
        *(int32_t *)at = 0;
        if (!b) o->set &= ~p->bit;
        return true;
    }
    return false;
}

int g4_options_parse(g4_json v, g4_options *o, g4_arena *a, g4_err *err)
{
    if (g4_json_type(v) <= G4_JSON_NULL) return 0;
    if (g4_json_type(v) != G4_JSON_OBJECT) return g4_fail(err, G4_EINPUT, "'options' must be an object");
    for (g4_json_it it = g4_json_iter(v); g4_json_next(&it);) {
        size_t i = 0;
        if (g4_json_type(it.value) == G4_JSON_NULL) continue;
        while (i < N_OPTION && !g4_json_is(it.key, options[i].name)) i++;
        if (i == N_OPTION)
            return g4_fail(err, G4_EINPUT, "no such option: 'options.%.*s'", (int)(it.key.n - 2 > 60 ? 60 : it.key.n - 2), it.key.p + 1);
        if (!read_value(it.value, &options[i], o, a))
            return g4_fail(err, G4_EINPUT, "'options.%s' must be %s", options[i].name, options[i].want);
    }
    return 0;
}

int g4_options_read(g4_json v, g4_options *o, g4_err *err)
{
    g4_arena a = {0};
    g4_options got = {0};
    const int rc = g4_options_parse(v, &got, &a, err);
    if (!rc) {
        if (got.stop_json) got.stop_json = g4_strdup(got.stop_json);
        if (got.tool_choice) got.tool_choice = g4_strdup(got.tool_choice);
        g4_options_merge(o, &got);
    }
    g4_arena_free(&a);
    return rc;
}

/* Values that came as numbers, not as text, are checked against the same table. */
static int check_ranges(const g4_options *o, g4_err *err)
{
    for (size_t i = 0; i < N_OPTION; i++) {
        const struct option *p = &options[i];
        const char *at = (const char *)o + p->at;
        double v;
        if (p->kind == F32) v = *(const float *)at;
        else if (p->kind == F64) v = *(const double *)at;
        else if (p->kind == I32 || p->kind == THINK || p->kind == TRUNCATE) v = *(const int32_t *)at;
        else if (p->kind == LOGPROBS && (o->set & p->bit)) v = *(const int32_t *)at;
        else continue;
        if (!(v >= p->min && v <= p->max)) return g4_fail(err, G4_EINPUT, "'%s' must be %s", p->name, p->want);
    }
    return 0;
}

int g4_options_finish(g4_options *o, const struct g4_gen_defaults *d, g4_err *err)
{
    const g4_options base = {
        .set = ~0u,
        .temperature = isnan(d->temperature) ? 1.0f : d->temperature,
        .top_k = d->top_k < 0 ? 64 : d->top_k,
        .top_p = isnan(d->top_p) ? 0.95f : d->top_p,
        .repeat_penalty = 1,
        .logprobs = -1,
        .max_tokens = (o->set & G4_OPT_THINK) && o->think ? 16384 : 8192,
    };
    const g4_options given = *o;
    *o = base;
    g4_options_merge(o, &given);
    o->set = given.set;
    if (!o->stop_json) o->stop_json = "[]";
    if (o->echo && o->logprobs < 0) o->logprobs = 0;
    return check_ranges(o, err);
}
