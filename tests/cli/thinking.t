#!/bin/sh
# The thought is never on stdout in text mode.  (A tiny random model rarely thinks
# in earnest; the budget makes the shape certain.)
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$chat_model"
like '--think turns the switch on' "$("$gen" -q --dry-run --think 'Why?' </dev/null)" '<|think|>'
ok 'off by default' test -z "$("$gen" -q --dry-run 'Why?' </dev/null | grep 'think')"
ok '--no-think' test -z "$("$gen" -q --dry-run --think --no-think 'Why?' </dev/null | grep 'think')"
run "$gen" --think=8 --max-tokens 24 'Why?' </dev/null
is '--think=8 ends well' "$status" 0
cp out plain
run "$gen" --think=8 --max-tokens 24 --json 'Why?' </dev/null
is 'the record says how much was thought' "$(jq '.usage.thinking_tokens <= 12' out)" true
is 'text mode writes the answer only' "$(cat plain)" "$(jq -r .text out)"
jq -r '.thinking // empty' out >thought
run "$gen" --think=8 --max-tokens 24 --show-thinking -q 'Why?' </dev/null
ok '--show-thinking: stdout is the same' cmp plain out
is '--show-thinking: stderr has the thought' "$(cat err)" "$(cat thought)"
"$gen" --think=8 --max-tokens 24 --think-fd 5 'Why?' </dev/null 5>fd >out 2>err
ok '--think-fd: stdout is the same' cmp plain out
is '--think-fd: the thought is there' "$(cat fd)" "$(cat thought)"
is '--think-fd: and not on stderr' "$(cat err)" ''
run "$gen" --think-fd 1 x </dev/null
is '--think-fd 1 is refused' $status 2
echo '{"prompt":"Why?","options":{"think":8,"max_tokens":24}}' | "$gen" -j -q --think-fd 5 5>fd >out 2>err
is 'the record'\''s own options' "$(jq -r .text out)" "$(cat plain)"
is '--think-fd with records' "$(cat fd)" "$(cat thought)"
done_testing
