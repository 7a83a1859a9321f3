#!/bin/sh
# g4-nano, the model that ships with g4: found without being named, and it does what it is trained for.
. tests/lib.sh
nano=$top/examples/nano/g4-nano.gguf

run "$gen" 'Who are you?' </dev/null
is 'without a model g4-nano answers' "$status $(grep -c 'g4-nano answers' err)" '0 1'
like 'and says what it is' "$(cat out)" 'g4-nano'
run "$gen" -q 'Who are you?' </dev/null
is '-q: no note' "$(wc -c <err)" 0
mkdir -p root/bin root/share/g4 && cp "$gen" root/bin && ln -s "$nano" root/share/g4/g4-nano.gguf
run root/bin/g4-gen --json 'Who are you?' </dev/null
is 'installed: found beside the program' "$status $(jq -r .model.name out)" '0 g4-nano'
is 'the file is at most 8 MB' "$(($(stat -c %s "$nano") <= 8000000))" 1

# The generators of the training data write prompts byte for byte as the chat format does.
gzip -dc "$top/examples/nano/eval/prompts.jsonl.gz" >prompts.jsonl
run "$gen" -q -j --dry-run <prompts.jsonl
is "the training prompts are the engine's prompts: $(wc -l <prompts.jsonl)" "$(jq -c 'select(.rendered != .want) | .id' out)" ''
is 'none is missing' "$(wc -l <out)" "$(wc -l <prompts.jsonl)"

run "$gen" -q --json --think review <"$top/examples/buggy.c"
is 'a review: thought, line and kind' "$(jq -r '[(.thinking | length > 0), (.text | test("i <= count")), (.text | test("Off by one"))] | join(" ")' out)" 'true true true'
run sh -c 'sed "s/<=/</" "$2" | "$1" -q --json --think review' - "$gen" "$top/examples/buggy.c"
like 'the same without the defect' "$(jq -r .text out)" 'No defect'
run "$gen" -q --each --schema "$top/examples/notes/date.json" 'Extract date as JSON.' "$top"/examples/notes/*.txt
is 'three notes, three records' "$(jq -c .data.date out | tr '\n' ' ')" '"2026-03-14" "2026-05-20" "2026-04-02" '

# What is stronger with a model that means it: a thought cut by its budget, a tool loop, a batch taken up again.
run "$gen" -q --json --think=4 review <"$top/examples/buggy.c"
is 'a thought of at most 4 tokens, and the answer all the same' \
    "$(jq -r '[.usage.thinking_tokens, (.text | test("Off by one|No defect"))] | join(" ")' out)" '4 true'
mkdir tools
cat >tools/get_weather.json <<'END'
{"name":"get_weather","description":"Get the weather","parameters":{"type":"object",
 "properties":{"city":{"type":"string","description":"Name of the city"}},"required":["city"]}}
END
printf '#!/bin/sh\nread -r args\necho "$args" | jq -c "{city, temperature: (.city | length)}"\n' >tools/get_weather
chmod +x tools/get_weather
printf '{"prompt":"Get the weather in %s."}\n' Berlin Oslo Rome >asks.jsonl
run "$build/g4-call" -q --tools tools --loop <asks.jsonl
is 'a tool loop: the city reaches the tool' "$(jq -c '.messages[] | select(.role == "tool") | .content | fromjson | .city' out | tr '\n' ' ')" '"Berlin" "Oslo" "Rome" '
is 'and its answer the user' "$(jq -r '.text | test("temperature [0-9]")' out | tr '\n' ' ')" 'true true true '
for i in 1 2 3 4 5 6 7 8; do printf '{"id":%d,"prompt":"Who are you? (%d)"}\n' $i $i; done >who.jsonl
run "$gen" -q -j -o . --resume whole.jsonl <who.jsonl
head -c $(($(wc -c <whole.jsonl) * 2 / 3)) whole.jsonl >cut.jsonl && cp whole.jsonl.g4 cut.jsonl.g4
run "$gen" -q -j -o . --resume cut.jsonl <who.jsonl
ok 'a batch that was torn is taken up and ends the same' cmp whole.jsonl cut.jsonl
done_testing
