#!/bin/sh
# --tool-choice: what is called is declared, and its arguments are what the declaration says.
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$chat_model"
jq -nc '[{type:"function",function:{name:"weather",parameters:{type:"object",properties:{city:{enum:["Oslo","Rome"]},days:{type:"integer",minimum:1,maximum:9}},required:["city"]}}},
    {type:"function",function:{name:"now",parameters:{type:"object",properties:{}}}}]' >tools.json
for i in 1 2 3 4 5 6 7 8; do jq -nc --argjson i $i '{prompt:"Ask \($i)",options:{seed:$i,max_tokens:200}}'; done >asks
run "$gen" -j --tools tools.json --tool-choice required <asks
is 'required: every answer is calls' "$status $(jq -r .finish_reason out | sort | uniq -c | tr -s ' ')" '0  8 tool_calls'
is '... of declared functions with arguments that fit' "$(jq -c '[.tool_calls[].function | .name as $n | .arguments | fromjson
    | if $n == "weather" then (.city | IN("Oslo","Rome")) and ((.days // 1) | . >= 1 and . <= 9) elif $n == "now" then . == {} else false end] | all' out | sort -u)" true
is '... and no text' "$(jq -r .text out | sort -u)" ''
run "$gen" -j --tools tools.json --tool-choice now <asks
is 'a function by name: one call of it' "$status $(jq -c '[.tool_calls[].function | [.name, .arguments]]' out | sort -u)" '0 [["now","{}"]]'
run "$gen" -j --tools tools.json --tool-choice none <asks
is 'none: no calls' "$status $(jq -c 'has("tool_calls")' out | sort -u)" '0 false'
jq -c '.options.tool_choice = {type:"function",function:{name:"weather"}}' asks >named
run "$gen" -j --tools tools.json <named
is "the record's own choice, in OpenAI's shape" "$(jq -r '.tool_calls[0].function.name' out | sort -u)" weather
jq -c --slurpfile t tools.json '{custom_id:"a",body:{messages:[{role:"user",content:.prompt}],tools:$t[0],tool_choice:"required",max_tokens:200}}' asks >batch
run "$gen" -j -o openai_batch <batch
is 'a batch line has it too' "$(jq -r '.response.body.choices[0].finish_reason' out | sort -u)" tool_calls
run "$gen" -j --tools tools.json --tool-choice required --think=6 <asks
is 'a thought may come first' "$status $(jq -r .finish_reason out | sort -u)" '0 tool_calls'
run "$gen" -j --tools tools.json --tool-choice elsewhere <asks
is 'no such function: an error' "$status $(jq -r .error.message out | sort -u)" "1 no tool 'elsewhere' is declared that could be called"
run "$gen" -j --tool-choice required <asks
is 'no tools: an error' "$status $(jq -r .error.code out | sort -u)" '1 input'
G4_MODEL="$base_model" run "$gen" -j --tools tools.json --tool-choice required <asks
is 'no format for calls: an error' "$status $(jq -r .error.code out | sort -u)" '1 input'
jq -nc '[{type:"function",function:{name:"odd",parameters:{type:"object",properties:{a:{type:"string",not:{const:"x"}}},required:["a"]}}}]' >odd.json
head -1 asks >one
run "$gen" -j --tools odd.json --tool-choice required <one
is 'a keyword that cannot be enforced: a warning, and a call' "$status $(jq -r .finish_reason out) $(grep -c "tool 'odd'.*not" err)" '0 tool_calls 1'
run "$gen" -j --tools tools.json --tool-choice required --schema '{"type":"integer"}' <one
is 'with a schema too the call comes' "$(jq -r .finish_reason out)" tool_calls
for d in cpu ref; do "$gen" -j -d $d --tools tools.json --tool-choice required <one | jq -c '.tool_calls[0].function.name' >"calls.$d"; done
ok 'cpu and ref call something' test -s calls.cpu -a -s calls.ref

# Long conversations.
jq -nc '{messages:([{role:"system",content:"Be brief."}]
    + [range(6) | {role:"user",content:"Question \(.)? \("word " * 20)"}, {role:"assistant",content:null,tool_calls:[{id:"c\(.)",type:"function",function:{name:"now",arguments:"{}"}}]},
        {role:"tool",tool_call_id:"c\(.)",content:("result " * 30)}, {role:"assistant",content:"Answer \(.)."}]
    + [{role:"user",content:"Last?"}])}' >long
run "$gen" -j -c 600 --max-tokens 8 <long
is 'a conversation that does not fit is an error' "$status $(jq -r .error.code out)" '1 context'
run "$gen" -j -c 2400 --max-tokens 8 --compact <long
is '--compact leaves alone what fits' "$status $(jq -c '[has("dropped"), (.messages | length)]' out)" '0 [false,27]'
full=$(jq .usage.prompt_tokens out)
run "$gen" -j -c $((full - 200)) --max-tokens 8 --compact <long
is '... drops tool results first' "$status $(jq -c '[.dropped.turns, (.dropped.tool_results | . > 0 and . < 6), (.messages | length), .messages[3].content]' out)" \
    '0 [0,true,27,"[left out: too long ago]"]'
run "$gen" -j -c 400 --max-tokens 8 --compact <long
is '... then turns, never the system message and the last turn' \
    "$status $(jq -c '[.dropped.turns > 0, (.messages | length) + .dropped.messages, .messages[0].content, .messages[-2].content]' out)" '0 [true,27,"Be brief.","Last?"]'
is '... and the prompt fits' "$(jq '.usage.prompt_tokens + 8 <= 400' out)" true
jq -c '{messages, options:{compact:true}}' long | "$gen" -j -c 400 --max-tokens 8 >own
is "the record's own word" "$(jq -c .dropped own)" "$(jq -c .dropped out)"
run "$gen" -j -c 24 --max-tokens 8 --compact <long
is 'what is left may still be too long' "$status $(jq -r .error.code out)" '1 context'
done_testing
