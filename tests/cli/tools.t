#!/bin/sh
# --tools of g4-gen: declarations from folders and files, what they make of a record, what is refused.
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$chat_model"
mkdir box
echo '{"type":"function","function":{"name":"zeta","description":"Z.","parameters":{"type":"object","properties":{"a":{"type":"integer"}}}}}' >box/zeta.json
echo '{"name": "alpha", "description": "A."}' >box/alpha.json
echo 'not a declaration' >box/README

"$gen" --dry-run -q --tools box hi >out 2>err
like 'declarations stand in the prompt, by name' "$(cat out)" \
    'declaration:alpha{description:<|"|>A.<|"|>}<tool|><|tool>declaration:zeta{.*properties:{a:{type:<|"|>INTEGER'
echo '{"prompt":"a b","k":1}' >in
run "$gen" -j --tools box --max-tokens 3 <in
is 'a record gets tools and messages' "$status $(jq -c '[keys_unsorted[0:2], (.tools | map(.function.name)), (.messages | map(.role)), (keys_unsorted | index("tools") < index("messages"))]' out)" \
    '0 [["prompt","k"],["alpha","zeta"],["user","assistant"],true]'
echo '{"prompt":"a b","tools":[{"type":"function","function":{"name":"own"}}]}' >in
run "$gen" -j --tools box --max-tokens 3 <in
is 'its own tools win' "$(jq -c '[.tools[].function.name]' out)" '["own"]'
echo '{"prompt":"a b","tools":null}' >in
run "$gen" -j --tools box --max-tokens 3 <in
is 'null is none' "$(jq -c '[.tools | length]' out) $(grep -o '"tools"' out | wc -l)" '[2] 1'
run "$gen" --tools box --max-tokens 3 hi
is 'one document gives a record' "$(jq -c 'has("messages")' out)" true
jq -s '[.[]]' box/*.json >list.json && jq -s '{tools: .}' box/*.json >object.json
"$gen" --dry-run -q --tools box hi >out
for f in list.json object.json; do
    "$gen" --dry-run -q --tools $f hi >out.$f 2>err
    ok "$f says the same" cmp out out.$f
done
"$gen" --dry-run -q --tools box/alpha.json --tools box/zeta.json hi >two
ok 'more than one --tools' cmp two out.list.json

refuse() { # NAME PATTERN, with the declaration in bad.json
    run "$gen" --dry-run --tools "${3:-bad.json}" hi
    is "$1" "$status $(grep -c -- "$2" err)" '2 1'
}
refuse 'no file' 'no/where' no/where
mkdir empty && refuse 'a folder without declarations' 'holds no declarations' empty
echo '{"name":"a b"}' >bad.json && refuse 'a name with a blank' "'a b' cannot be the name"
echo '{"name":"a{"}' >bad.json && refuse 'a name with a brace' 'cannot be the name'
echo '{"description":"x"}' >bad.json && refuse 'no name' "without 'name'"
echo '[{"name":"a"},{"name":"a"}]' >bad.json && refuse 'a name twice' 'declared twice'
echo '{"name":"a","parameters":[]}' >bad.json && refuse 'parameters of another type' 'must be a JSON Schema object'
echo '{"name":"a",' >bad.json && refuse 'no JSON' 'bad.json'
echo '{"mcpServers":{}}' >bad.json && refuse 'a file of MCP servers' 'g4-call --mcp'
mkdir other && echo '{"name":"b"}' >other/a.json && refuse 'another name than the file' "declares 'b'" other
run "$gen" --mcp 'server x' hi
is '--mcp: g4-gen runs nothing' "$status $(grep -c 'g4-call --mcp' err)" '2 1'
done_testing
