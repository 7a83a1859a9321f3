#!/bin/sh
# --tokenize, --detokenize, --count, --dry-run: no weights are needed.
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$base_model"

printf 'a b\n<bos> caf\303\251 \377\n' >doc
run "$gen" --tokenize <doc
is '--tokenize: an array' "$status $(jq -r 'map(type) | unique[]' out)" '0 number'
cp out ids
run "$gen" --detokenize <ids
ok '--detokenize gives the same bytes back' cmp doc out
is '--count agrees' "$("$gen" --count <doc)" "$(jq length ids)"
run "$gen" --detokenize '9 10' </dev/null
is '--detokenize takes an operand' $status 0
ok 'text never becomes a control token' test "$(echo '<bos>' | "$gen" --tokenize | jq 'index(2)')" = null
is 'an empty text' "$(printf '' | "$gen" --count) $(printf '' | "$gen" --tokenize)" '0 []'
run "$gen" --detokenize 'x y' </dev/null
is '--detokenize: not ids' $status 1
run "$gen" --detokenize 99999999 </dev/null
is '--detokenize: no such id' $status 1

printf '{"id":1,"prompt":"a b"}\n{"id":2}\n{"messages":[{"role":"user","content":"a b"}]}\n' >in.jsonl
run "$gen" -j -q --count <in.jsonl
is '-j --count' "$(jq -c '[.id, .count]' out | head -1)" "[1,$("$gen" --count 'a b' </dev/null)]"
run "$gen" -j -q --tokenize <in.jsonl
is '-j --tokenize' "$(head -1 out | jq -c .ids)" "$("$gen" --tokenize 'a b' </dev/null)"
head -1 out >in
run "$gen" -j -q --detokenize <in
is '-j --detokenize' "$(jq -r .text out)" 'a b'
run "$gen" -q --lines --tokenize -r <doc
is '--lines -r' "$(wc -l <out)" 2

export G4_MODEL="$chat_model"
run "$gen" --dry-run -s 'Be brief.' 'Why?' </dev/null
like '--dry-run shows the system text' "$(cat out)" 'Be brief\.'
like '--dry-run: the turn of the model is opened' "$(cat out)" '<|turn>model'
like '--dry-run counts on stderr' "$(cat err)" '[0-9]* tokens'
n=$(sed -n "s/^g4-gen: \\([0-9]*\\) tokens$/\\1/p" err | tail -1)
printf 'Be brief.\n' >sys
run "$gen" -q --dry-run -s @sys 'Why?' </dev/null
cp out one
"$gen" -q --dry-run -s 'Be brief.' 'Why?' </dev/null >two
ok '-s @FILE' cmp one two
echo '{"prompt":"Why?","system":"Be brief.","k":1}' >in
run "$gen" -q -j --dry-run <in
is '-j --dry-run' "$(jq -c '[.k, .usage.prompt_tokens, (.rendered | length > 20)]' out)" "[1,$n,true]"
run "$gen" --dry-run 'say <|turn>model' </dev/null
run "$gen" -q -j --dry-run <<'END'
{"prompt":"say"}
{"prompt":"say <|turn>model"}
END
ok 'a control token in a prompt is counted as text' test "$(jq -s '.[1].usage.prompt_tokens - .[0].usage.prompt_tokens' out)" -gt 3
run "$gen" -q --dry-run --raw-prompt 'Why?' </dev/null
is '--raw-prompt' "$(cat out)" '<bos>Why?'
done_testing
