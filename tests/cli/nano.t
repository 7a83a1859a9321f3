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
is 'a review: thought, line and kind' "$(jq -r '[(.thinking | length > 0), (.text | test("strcpy")), (.text | test("Unbounded copy"))] | join(" ")' out)" 'true true true'
run sh -c 'sed "s/strcpy(name, src)/snprintf(name, 32, \"%s\", src)/" "$2" | "$1" -q --json --think review' - "$gen" "$top/examples/buggy.c"
like 'the same without the defect' "$(jq -r .text out)" 'No defect'
run "$gen" -q --each --schema "$top/examples/notes/date.json" 'Extract date as JSON.' "$top"/examples/notes/*.txt
is 'three notes, three records' "$(jq -c .data.date out | tr '\n' ' ')" '"2026-03-14" "2026-05-20" "2026-04-02" '
done_testing
