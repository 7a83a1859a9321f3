/* base/jq: see jq.h.  Written against libjq 1.6, which newer ones still serve.
 * Numbers inside a program are doubles: only the user's programs go through here,
 * never the records themselves. */
#include "base/jq.h"

#include <stdlib.h>
#include <string.h>

/* jq.h needs FILE and jv. */
#include <stdio.h>
#include <jv.h>
#include <jq.h>

#include "base/log.h"
#include "base/mem.h"

enum { MESSAGE_MAX = 300 }; /* libjq quotes whole inputs in its messages */

struct g4_jq {
    jq_state *jq;
    g4_str compile_msg; /* first message of the compiler */
};

/* Appends the text's first line, cut to what a message may hold. */
static void add_line(g4_str *out, const char *p, size_t n)
{
    const char *nl = memchr(p, '\n', n);
    size_t len = nl ? (size_t)(nl - p) : n;
    if (nl && len && p[len - 1] == ':') len--; /* what it announces is on the next line */
    const bool cut = len > MESSAGE_MAX;
    if (cut) {
        len = MESSAGE_MAX;
        while (len && ((unsigned char)p[len] & 0xC0) == 0x80) len--; /* not inside a character */
    }
    g4_str_add(out, p, len);
    if (cut) g4_str_adds(out, "...");
}

/* Consumes msg. */
static void add_message(g4_str *out, jv msg)
{
    if (jv_get_kind(msg) != JV_KIND_STRING) msg = jv_dump_string(msg, 0);
    add_line(out, jv_string_value(msg), (size_t)jv_string_length_bytes(jv_copy(msg)));
    jv_free(msg);
}

static void on_compile_error(void *arg, jv msg)
{
    g4_jq *q = arg;
    if (q->compile_msg.n) {
        jv_free(msg);
        return;
    }
    add_message(&q->compile_msg, msg);
    static const char prefix[] = "jq: error: ";
    const size_t skip = sizeof prefix - 1;
    if (q->compile_msg.n > skip && !memcmp(q->compile_msg.p, prefix, skip)) {
        memmove(q->compile_msg.p, q->compile_msg.p + skip, q->compile_msg.n - skip + 1);
        q->compile_msg.n -= skip;
    }
}

static void on_debug(void *arg, jv value)
{
    g4_str s = {0};
    add_message(&s, jv_dump_string(value, 0));
    g4_log(G4_LOG_WARN, "jq: debug: %s", s.p);
    g4_str_free(&s);
}

static jv no_input(jq_state *jq, void *arg)
{
    return jv_invalid_with_msg(jv_string("a record is the only input"));
}

/* $name bindings, and $ARGS.named as the jq command has it. */
static jv bindings(g4_json vars, g4_err *err)
{
    jv named = vars.p ? jv_parse_sized(vars.p, (int)vars.n) : jv_object();
    if (jv_get_kind(named) != JV_KIND_OBJECT) {
        jv_free(named);
        g4_fail(err, G4_EUSAGE, "jq: the variables are no JSON object");
        return jv_invalid();
    }
    const jv args = jv_object_set(jv_object_set(jv_object(), jv_string("positional"), jv_array()), jv_string("named"), jv_copy(named));
    return jv_object_set(named, jv_string("ARGS"), args);
}

g4_jq *g4_jq_new(const char *program, g4_json vars, g4_err *err)
{
    if (vars.n > INT32_MAX) {
        g4_fail(err, G4_ELIMIT, "jq: variables of more than 2 GiB");
        return NULL;
    }
    const jv named = bindings(vars, err);
    if (!jv_is_valid(named)) return NULL;
    g4_jq *q = g4_alloc(sizeof *q);
    q->jq = jq_init();
    if (!q->jq) {
        jv_free(named);
        free(q);
        g4_fail(err, G4_ENOMEM, "jq: no memory for the interpreter");
        return NULL;
    }
    jq_set_error_cb(q->jq, on_compile_error, q);
    jq_set_debug_cb(q->jq, on_debug, q);
    jq_set_input_cb(q->jq, no_input, q);
    jq_set_attr(q->jq, jv_string("JQ_LIBRARY_PATH"), jv_array()); /* no modules: a program is one text */
    if (!jq_compile_args(q->jq, program, named)) {
        g4_fail(err, G4_EUSAGE, "jq program '%.80s': %s", program, q->compile_msg.n ? q->compile_msg.p : "does not compile");
        g4_jq_free(q);
        return NULL;
    }
    return q;
}

void g4_jq_free(g4_jq *q)
{
    if (!q) return;
    jq_teardown(&q->jq);
    g4_str_free(&q->compile_msg);
    free(q);
}

/* Consumes value. */
static int emit_value(jv value, int (*emit)(void *arg, const char *json, size_t n, const g4_sv *raw), void *arg)
{
    const bool is_string = jv_get_kind(value) == JV_KIND_STRING;
    g4_sv raw = {0};
    if (is_string) raw = (g4_sv){ jv_string_value(value), (size_t)jv_string_length_bytes(jv_copy(value)) };
    const jv text = jv_dump_string(jv_copy(value), 0);
    const int stop = emit(arg, jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text)), is_string ? &raw : NULL);
    jv_free(text);
    jv_free(value);
    return stop;
}

/* Consumes result, the invalid value that ended a run: why it ended. */
static int end_of_run(g4_jq *q, jv result, g4_err *err)
{
    int rc = G4_OK;
    g4_str msg = {0};
    if (jq_halted(q->jq)) {
        jv_free(result);
        const jv code = jq_get_exit_code(q->jq), text = jq_get_error_message(q->jq);
        if (jv_is_valid(code) && jv_number_value(code) != 0) {
            add_message(&msg, jv_is_valid(text) ? jv_copy(text) : jv_string("halted"));
            rc = g4_fail(err, G4_EINPUT, "jq: %s", msg.p);
        }
        jv_free(code);
        jv_free(text);
    } else if (jv_invalid_has_msg(jv_copy(result))) {
        add_message(&msg, jv_invalid_get_msg(result));
        rc = g4_fail(err, G4_EINPUT, "jq: %s", msg.p);
    } else {
        jv_free(result);
    }
    g4_str_free(&msg);
    return rc;
}

int g4_jq_run(g4_jq *q, g4_json in, int (*emit)(void *arg, const char *json, size_t n, const g4_sv *raw), void *arg, g4_err *err)
{
    if (in.n > INT32_MAX) return g4_fail(err, G4_ELIMIT, "jq: an input of more than 2 GiB");
    jv value = jv_parse_sized(in.p, (int)in.n);
    if (!jv_is_valid(value)) {
        g4_str msg = {0};
        add_message(&msg, jv_invalid_get_msg(value));
        char *quote = strstr(msg.p, " (while parsing '"); /* the beginning of the input: whoever gave it has it */
        if (quote) *quote = 0;
        g4_fail(err, G4_EINPUT, "jq cannot read the input: %s", msg.p);
        g4_str_free(&msg);
        return G4_EINPUT;
    }
    jq_start(q->jq, value, 0);
    for (;;) {
        value = jq_next(q->jq);
        if (!jv_is_valid(value)) return end_of_run(q, value, err);
        if (emit_value(value, emit, arg)) return G4_OK;
    }
}
