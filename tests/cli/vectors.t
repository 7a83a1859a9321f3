#!/bin/sh
# The reference's chat prompts and token ids, through the command line.
. "$(dirname "$0")/../lib.sh"

# The lines go in as they are (jq would respell their numbers).  Media wait; a
# conversation that ends in an answer passes through.
prompts() { # THINKING OPTION
    grep '"template":"gemma4-small"' "$data/chat/render.jsonl" | grep '"add_generation_prompt":true' |
        grep "\"enable_thinking\":$1" | grep -v -e '"error"' -e '"preserve_thinking"' -e '"type":"[a-z_]*\(image\|audio\|video\)' >some
    : >vectors
    while IFS= read -r line; do
        [ "$(printf '%s' "$line" | jq '.messages[-1] | .role == "assistant" and (.tool_calls | not)')" = true ] || printf '%s\n' "$line" >>vectors
    done <some
    jq -c '.expected_g4 // .expected' vectors >want
    run "$gen" -m "$chat_model" -c 100000 -j -q --dry-run $2 <vectors
    jq -c '.rendered // .error' out >got
    ok "there are $(wc -l <want) prompts, thinking $1" test "$(wc -l <want)" -gt "$3"
    is '... and they are those of the reference' "$(diff want got | head -4)" ''
}
prompts false '' 40
prompts true --think 10

# The real vocabulary, where it is at hand.
real=$user_cache/g4-test/gemma3-270m.gguf
if [ -e "$real" ]; then
    jq -c 'select(.tokenizer == "gemma3" and (.special | not) and .text)' "$data/tokenizer/encode.jsonl" | head -200 >vectors
    jq -c '{prompt: .text}' vectors >in.jsonl
    jq -c .ids vectors >want
    run "$gen" -m "$real" -j -q --tokenize -r <in.jsonl
    is "$(wc -l <want) texts as ids" "$(diff want out | head -4)" ''
else
    skip 'texts as ids' 'the real vocabulary is not here'
fi
done_testing
