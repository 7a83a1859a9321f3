/* hello: g4 in a C program.
 *
 *     cc hello.c -o hello $(pkg-config --cflags --libs g4)
 *     ./hello gemma3:270m "The capital of France is" */
#include <g4.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    g4_err err = {0};
    g4_event ev;
    if (argc < 3) return fprintf(stderr, "usage: hello MODEL PROMPT\n"), 2;
    g4_engine *e = g4_engine_new(&(g4_engine_params){ .model = argv[1] }, &err);
    const g4_options o = { .set = G4_OPT_TEMPERATURE | G4_OPT_MAX_TOKENS, .temperature = 0, .max_tokens = 24 };
    /* The operand is the prompt as it stands; a record in JSON works as well. */
    g4_task *t = e ? g4_submit(e, &(g4_request){ .operand = argv[2], .options = &o }, &err) : NULL;
    while (t && g4_step(e, NULL, 0, -1, &ev, &err) > 0) {
        if (ev.kind == G4_EVENT_TEXT) {
            fwrite(ev.text, 1, ev.text_len, stdout);
            fflush(stdout);
        } else if (ev.kind == G4_EVENT_DONE) {
            printf("\n%u tokens in, %u out\n", ev.result->prompt_tokens, ev.result->completion_tokens);
        }
    }
    if (err.code) fprintf(stderr, "hello: %s\n", err.msg);
    g4_engine_free(e);
    return err.code ? EXIT_FAILURE : EXIT_SUCCESS;
}
