#!/bin/sh
# -i and -o: jq programs around the model; OpenAI Batch lines.
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$base_model"
few() { run "$gen" -q --max-tokens 2 "$@"; }

printf '{"t":"a","n":1}\n{"t":"b","n":2}\n{"n":3}\n' >in.jsonl
few -j -i 'select(.t) | {id: .n, prompt: .t}' <in.jsonl
is '-i: objects, and none dropped' "$status $(jq -c '[.id, .prompt, has("text")]' out | paste -sd' ')" '0 [1,"a",true] [2,"b",true]'
few -j -i '.t // empty, "second"' <in.jsonl
is '-i: strings are prompts, several are several' "$(jq -r .prompt out | paste -sd,)" a,second,b,second,second
printf '[{"q":"x"},\n {"q":"y"}]\n{"q":"z"}\n' >in
few -i '(arrays[] // .) | .q' <in
is '-i without -j: any JSON, over several lines' "$status $(jq -r .prompt out | paste -sd,)" '0 x,y,z'
printf '{"a":1}\nnonsense\n{"a":2}\n' >in
few -i '"p\(.a)"' <in
is '-i: bad JSON fails alone' "$status $(jq -r '.prompt // .error.code' out | paste -sd,)" '1 p1,input,p2'
few -j -i 'error("no")' <in.jsonl
is '-i: an error of the program is the record'\''s' "$status $(jq -r .error.code out | sort | uniq -c | tr -s ' ')" '1  3 input'
few -j -i '.n' <in.jsonl
is '-i: a number is no record' "$status" 1
few -j -i '{prompt: $w, j: $j, f: $f}' --arg w 'a b' --argjson j '[1,{"x":2}]' --slurpfile f in.jsonl <in.jsonl
is '--arg, --argjson, --slurpfile' "$(head -1 out | jq -c '[.prompt, .j, (.f | length)]')" '["a b",[1,{"x":2}],3]'
few -j --argjson j '{' -i . <in.jsonl
is '--argjson: not JSON' "$status" 2
few -j --arg only
is '--arg: one word' "$status" 2

few -j -i '.t // empty' -o '{p: .prompt, ok: (.text | type)}' <in.jsonl
is '-o shapes' "$(paste -sd, out)" '{"p":"a","ok":"string"},{"p":"b","ok":"string"}'
few -j -i '.t // empty' -o '.prompt, 7' -r <in.jsonl
is '-o with -r: several results, strings bare' "$(paste -sd, out)" a,7,b,7
few -j -i '.t // empty' -o 'select(.prompt == "b") | .prompt' <in.jsonl
is '-o: none writes nothing' "$(cat out)" '"b"'
few -j -i '.t // empty' -o '.prompt | error' <in.jsonl
is '-o: an error makes an error record' "$status $(jq -r .error.code out | paste -sd,)" '1 input,input'
few -o .usage.completion_tokens 'a b' </dev/null
is '-o on a single document' "$(cat out)" 2
few -j -o '$__nope' <in.jsonl
is '-o: does not compile' "$status" 2
few --each -i '{path, prompt: (.prompt | ascii_upcase)}' -o .prompt "" in.jsonl </dev/null
is '-i sees the document of a file' "$(grep -c '\\"T\\":\\"A\\"' out)" 1

cat >batch.jsonl <<'END'
{"custom_id":"r-1","method":"POST","url":"/v1/chat/completions","body":{"model":"x","messages":[{"role":"user","content":"a b"}],"max_tokens":3,"temperature":0,"stop":"zzzz"}}
{"custom_id":"r-2","method":"POST","url":"/v1/chat/completions","body":{"model":"x","messages":"wrong"}}
{"custom_id":"r-3","body":{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema","json_schema":{}}}}
END
run "$gen" -q -j -o openai_batch <batch.jsonl
is 'a batch' "$status $(jq -r .custom_id out | paste -sd,)" '1 r-1,r-2,r-3'
is 'the response' "$(head -1 out | jq -c '[.error, .response.status_code, (.response.body | .object, .choices[0].message.role, .choices[0].finish_reason, .usage.completion_tokens, .created)]')" \
    '[null,200,"chat.completion","assistant","length",3,0]'
is 'errors' "$(tail -2 out | jq -c '[.response, .error.code]' | paste -sd' ')" '[null,"input"] [null,"schema"]'
run "$gen" -q -j <batch.jsonl
is 'a batch line without -o keeps its body' "$(head -1 out | jq -c '[.custom_id, .body.max_tokens, .usage.completion_tokens, has("messages")]')" \
    '["r-1",3,3,false]'
few -j -o openai_batch -n 2 <batch.jsonl
is 'samples are choices' "$(head -1 out | jq -c '[.response.body.choices[].index]')" '[0,1]'
few -j -o openai_batch <in.jsonl
is 'other records that fail' "$(jq -r .custom_id out | paste -sd,)" 0,1,2
done_testing
