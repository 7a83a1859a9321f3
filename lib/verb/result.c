/* verb/result: what a finished task hands out, as JSON: tool calls in OpenAI shape,
 * the conversation with the new turn, log-probabilities. */
#include "text/toolcalls.h"
#include "verb/constrain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- log-probabilities -------------------------------------------------- */

static void put_token(g4_str *s, const g4_tokenizer *tok, int32_t id, float logprob)
{
    g4_str piece = {0};
    size_t bad;
    g4_tokenizer_piece(tok, id, true, &piece);
    g4_str_adds(s, "{\"token\":");
    g4_json_put_str(s, piece.p ? piece.p : "", piece.n);
    g4_str_addf(s, ",\"id\":%d,\"logprob\":", id);
    if (isfinite(logprob)) g4_json_put_f32(s, logprob);
    else g4_str_adds(s, "null");
    if (piece.n && !g4_utf8_valid(piece.p, piece.n, &bad)) { /* part of a character: its bytes */
        g4_str_adds(s, ",\"bytes\":[");
        for (size_t i = 0; i < piece.n; i++) g4_str_addf(s, "%s%u", i ? "," : "", (unsigned char)piece.p[i]);
        g4_str_addc(s, ']');
    }
    g4_str_free(&piece);
}

void g4_result_token(g4_task *t, const struct g4_tok_event *ev)
{
    const g4_tokenizer *tok = g4_model_tokenizer(g4_core_model(t->engine->core));
    g4_str *s = ev->kind == G4_TOK_PROMPT ? &t->prompt_probs : &t->token_probs;
    if (s->n) g4_str_addc(s, ',');
    put_token(s, tok, ev->id, ev->logprob);
    if (t->ask.opt.logprobs > 0) {
        g4_str_adds(s, ",\"top_logprobs\":[");
        for (uint32_t i = 0; i < ev->n_alt; i++) {
            if (i) g4_str_addc(s, ',');
            put_token(s, tok, ev->alt_id[i], ev->alt_logprob[i]);
            g4_str_addc(s, '}');
        }
        g4_str_addc(s, ']');
    }
    g4_str_addc(s, '}');
}

static char *logprobs_json(const g4_task *t)
{
    g4_str s = {0};
    if (t->ask.opt.logprobs < 0) return NULL;
    g4_str_adds(&s, "{\"content\":[");
    g4_str_add(&s, t->token_probs.p, t->token_probs.n);
    g4_str_addc(&s, ']');
    if (t->ask.opt.echo) {
        g4_str_adds(&s, ",\"prompt\":[");
        g4_str_add(&s, t->prompt_probs.p, t->prompt_probs.n);
        g4_str_addc(&s, ']');
    }
    g4_str_addc(&s, '}');
    return g4_str_take(&s);
}

/* ---- calls -------------------------------------------------------------- */

/* Calls that stand in the conversation already: ids go on from there. */
static size_t earlier_calls(g4_json messages)
{
    size_t n = 0;
    for (g4_json_it it = g4_json_iter(messages); g4_json_next(&it);)
        n += g4_json_count(g4_json_get(it.value, "tool_calls"));
    return n;
}

static char *calls_json(const g4_task *t)
{
    const struct g4_parsed_call *call;
    const size_t n = g4_parse_calls(t->parse, &call);
    g4_str s = {0};
    if (n) g4_calls_json(call, n, earlier_calls(t->ask.messages), &s);
    return n ? g4_str_take(&s) : NULL;
}

static char *errors_json(const g4_task *t)
{
    const struct g4_parse_error *e;
    const size_t n = g4_parse_errors(t->parse, &e);
    g4_str s = {0};
    if (n) g4_errors_json(e, n, &s);
    return n ? g4_str_take(&s) : NULL;
}

/* ---- the conversation --------------------------------------------------- */

/* Text of a message's content, whatever its shape. */
static void add_content(g4_str *out, g4_json content)
{
    if (g4_json_type(content) == G4_JSON_STRING) g4_json_str(content, out);
    if (g4_json_type(content) != G4_JSON_ARRAY) return;
    for (g4_json_it it = g4_json_iter(content); g4_json_next(&it);) g4_json_str(g4_json_get(it.value, "text"), out);
}

void g4_message_text(g4_json message, g4_str *out)
{
    add_content(out, g4_json_get(message, "content"));
}

/* The new turn; with prefill it holds what it went on from too. */
static void put_turn(const g4_task *t, g4_str *s, g4_json before)
{
    g4_str text = {0};
    if (t->ask.prefill) g4_message_text(before, &text);
    g4_str_add(&text, t->answer.p, t->answer.n);
    g4_str_adds(s, "{\"role\":\"assistant\",\"content\":");
    g4_json_put_str(s, text.p ? text.p : "", text.n);
    if (t->thought.n) {
        g4_str_adds(s, ",\"reasoning_content\":");
        g4_json_put_str(s, t->thought.p, t->thought.n);
    }
    if (t->tool_calls) {
        g4_str_adds(s, ",\"tool_calls\":");
        g4_str_adds(s, t->tool_calls);
    }
    g4_str_addc(s, '}');
    g4_str_free(&text);
}

static char *messages_json(const g4_task *t)
{
    const g4_json list = t->ask.messages;
    const size_t n = g4_json_count(list), keep = t->ask.prefill ? n - 1 : n;
    g4_str s = {0};
    size_t i = 0;
    if (!t->ask.had_chat) return NULL;
    g4_json last = {0};
    g4_str_addc(&s, '[');
    for (g4_json_it it = g4_json_iter(list); g4_json_next(&it); i++) {
        last = it.value;
        if (i == keep) break;
        g4_json_put_compact(&s, it.value);
        g4_str_addc(&s, ',');
    }
    put_turn(t, &s, last);
    g4_str_addc(&s, ']');
    return g4_str_take(&s);
}

static char *dropped_json(const g4_task *t)
{
    const struct g4_compact *c = &t->ask.dropped;
    g4_str s = {0};
    if (!c->tool_results && !c->messages) return NULL;
    g4_str_addf(&s, "{\"tool_results\":%u,\"turns\":%u,\"messages\":%u}", c->tool_results, c->turns, c->messages);
    return g4_str_take(&s);
}

void g4_result_finish(g4_task *t)
{
    g4_result *r = &t->result;
    r->tool_calls = t->tool_calls = calls_json(t);
    r->note = t->note = errors_json(t);
    r->messages = t->messages = messages_json(t);
    r->logprobs = t->logprobs = logprobs_json(t);
    r->dropped = t->dropped = dropped_json(t);
    r->text = t->answer.p ? t->answer.p : "";
    r->text_len = t->answer.n;
    r->thinking = t->thought.p ? t->thought.p : "";
    r->thinking_len = t->thought.n;
    r->thinking_tokens = g4_parse_thought_tokens(t->parse);
    r->completion_tokens = t->n_token;
    r->prompt_tokens = g4_seq_prompt_tokens(t->seq);
    r->cached_tokens = g4_seq_cached_tokens(t->seq);
    r->seed = t->ask.opt.seed;
    g4_seq_times(t->seq, &r->prompt_ms, &r->decode_ms);
    if (t->tool_calls && r->finish == G4_FINISH_STOP) r->finish = G4_FINISH_TOOL_CALLS;
    g4_constrain_judge(t);
}
