#!/bin/sh
# Every exit status of the manual, and which one counts when several apply.
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$base_model"
echo '{"prompt":"a b"}' >good.jsonl
printf 'bad\n{"prompt":"a b"}\n' >mixed.jsonl

run "$gen" --max-tokens 3 'a b' </dev/null
is '0: all good' $status 0
run "$gen" -j --max-tokens 3 <mixed.jsonl
is '1: a record failed' $status 1
is '1: the run went on' "$(jq -c 'has("text")' out | paste -sd,)" false,true
run "$gen" -j --max-tokens 3 <good.jsonl
is '0: none failed' $status 0

for bad in --nonsense '-Z' '--max-tokens x' '--max-tokens 0' '--temperature -1' '--top-p 2' '--seed x' '--kv-type q4' \
    '-j --lines' '--raw --json' '--tokenize --count' '--retry-errors' '--think-fd 77' '--truncate side' '--think=many' \
    '--each' '--no-stdin -j' '--stop= x' '--model' '--temperature=' '--json=1' '--no-max-tokens'; do
    run "$gen" $bad </dev/null
    is "2: $bad" $status 2
    is "2: $bad: nothing on stdout" "$(cat out)" ''
done
run "$gen" --context 99999999 x </dev/null
is '2: the bounds of a number, in full' "$(cat err)" "g4-gen: '--context' must be between 1 and 16777216, not '99999999'"
for what in -s --; do
    run "$gen" $what "$(printf 'a\377b')" </dev/null
    is "2: bytes that are not UTF-8 behind $what" "$status $(grep -c 'is not UTF-8' err)" '2 1'
done
run "$gen" -i '.[' x </dev/null
is '2: a jq program that does not compile' $status 2
run "$gen" --mcp x y </dev/null
is '2: --mcp is for g4-call' "$status $(grep -c g4-call err)" '2 1'
run "$gen" --tools ./nowhere y </dev/null
is '--tools: no such file' "$status $(grep -c nowhere err)" '2 1'
run "$gen" --tempratur 1 x </dev/null
like '2: a near name is suggested' "$(cat err)" "did you mean '--temperature'"

run "$gen" -m ./nowhere.gguf x </dev/null
is '3: no such model' $status 3
head -c 1000 "$base_model" >torn.gguf
run "$gen" -m ./torn.gguf x </dev/null
is '3: a corrupt model' $status 3
cp "$gen" alone # away from the model that ships with g4
G4_MODEL= run ./alone x </dev/null
is '3: no model is chosen' "$status $(wc -l <err)" '3 1'
like '3: and how to choose one' "$(cat err)" 'G4_MODEL'

run "$gen" -d nonsense x </dev/null
ok '-d nonsense fails' test $status != 0
run sh -c '"$1" --max-tokens 3 a </dev/null >/dev/full' - "$gen"
is '4: a full disk, text' $status 4
run sh -c '"$1" -j --max-tokens 3 <good.jsonl >/dev/full' - "$gen"
is '4: a full disk, records' $status 4
run sh -c '"$1" --count a </dev/null >/dev/full' - "$gen"
is '4: a full disk, --count' $status 4
run sh -c '"$1" --max-tokens 3 a </dev/null >&-' - "$gen"
is '4: stdout is closed' $status 4
run "$gen" -j --max-tokens 3 '' good.jsonl missing.jsonl
is '4: an input that is missing' "$status $(wc -l <out)" '4 1'
like '4: is named' "$(cat err)" missing.jsonl
run "$gen" -j --max-tokens 3 '' mixed.jsonl missing.jsonl
is '4 comes before 1' $status 4
run sh -c '"$1" --max-tokens 3 a <&-' - "$gen"
is 'a closed stdin is no document' $status 0

run "$gen" -c 12 'a b' </dev/null
is '5: the context cut the answer' "$status $(grep -c 'was cut' err)" '5 1'
run sh -c '"$1" -c 12 --color never "a b" </dev/null 2>&1' - "$gen"
is '5: what is said of it stands on a line of its own' "$(tail -1 out)" 'g4-gen: the answer was cut: the context is full'
run "$gen" -c 12 "$(seq 99 | tr '\n' ' ')" </dev/null
like '1: too long a prompt, and what would help' "$(cat err)" "the context holds 12: 'truncate' would cut it"
run "$gen" -c 12 --json 'a b' </dev/null
is '5: and the record says so' "$status $(jq -r .finish_reason out)" '5 context'
run "$gen" -c 64 --max-tokens 3 'a b' </dev/null
is '0: a limit the user set is no cut' $status 0
run "$gen" -j -c 12 <mixed.jsonl
is '1 comes before 5' $status 1
done_testing
