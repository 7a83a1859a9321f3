#!/bin/sh
# g4-call --loop gives what the pipe of g4-gen, g4-call and g4-gen gives; events, budget, side by side;
# --record and --replay; --resume repeats only what was running.
. "$(dirname "$0")/../lib.sh"
call=$build/g4-call
export G4_MODEL="$chat_model"
mkdir tools
cat >tools/add.json <<'END'
{"type":"function","function":{"name":"add","description":"Adds two numbers.","parameters":{"type":"object",
 "properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]}}}
END
printf '#!/bin/sh\nread -r args\necho "$args" | jq -c "{sum: (.a + .b)}"\n' >tools/add
echo '{"name":"slow","description":"Takes its time."}' >tools/slow.json
printf '#!/bin/sh\nsleep 1\necho done\n' >tools/slow
chmod +x tools/add tools/slow
ask() { # ID CALL ARGUMENTS...: a record whose last turn has these calls
    id=$1
    shift
    jq -nc --arg id "$id" --args '{id: $id, messages: [{role: "user", content: "q \($id)"}, {role: "assistant", content: "well", reasoning_content: "hm",
        tool_calls: [range(0; $ARGS.positional | length; 2) as $i | {id: "call_\($i / 2)", type: "function",
            function: {name: $ARGS.positional[$i], arguments: $ARGS.positional[$i + 1]}}]}]}' -- "$@"
}
{
    ask one add '{"a":1,"b":2}'
    echo '{"id":"two","prompt":"no calls yet","x":1.0}'
    ask three add '{"a":5,"b":6}' add '{"a":"no"}' nope '{}' add '{"a":7,"b":8}'
    echo '{"id":"four","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hello"}]}'
    echo 'no JSON'
    echo '{"id":"six","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}'
    ask seven add '{"a":1,"b":1}'
    echo '{"id":"eight","prompt":"own tools","tools":[{"type":"function","function":{"name":"add"}}],"options":{"max_tokens":5,"seed":9}}'
} >asks.jsonl

# ---- the pipe and the loop --------------------------------------------------------------
opts='-q --max-tokens 14 --temperature 1.3 --seed 11'
for device in ref cpu; do
    # The pipe as it stands: a stage for records without calls yet, the calls, the answers.
    "$call" -q --tools tools <asks.jsonl | "$gen" -j -d $device $opts --tools tools --system 'You add.' >pipe 2>err
    run "$call" --loop -d $device $opts --tools tools --system 'You add.' <asks.jsonl
    is "$device: the loop ends well" "$status $(wc -l <out)" '1 8'
    ok "$device: the loop gives what the pipe gives" cmp pipe out
    cp out want.$device
done
ok 'answers are there' test "$(jq -s 'map(select(.text)) | length' want.cpu)" = 6
is 'calls were answered on the way' "$(jq -c 'select(.id == "three") | [.messages[] | .role]' want.cpu)" \
    '["system","user","assistant","tool","tool","tool","tool","assistant"]'
for p in 1 2 7; do
    run "$call" --loop -d cpu $opts --tools tools --system 'You add.' -P $p --call-jobs $p <asks.jsonl
    ok "-P $p --call-jobs $p: the same bytes" cmp want.cpu out
done
head -2 asks.jsonl | sed -n 2p >plain.jsonl
"$gen" -j $opts --tools tools 'Please:' <plain.jsonl >pipe 2>err
run "$call" --loop $opts --tools tools 'Please:' plain.jsonl
ok 'an instruction and a file' cmp pipe out
run "$call" --loop $opts --tools tools --no-stdin 'Just this.'
is 'an instruction alone is one record' "$status $(jq -c '[.messages[0].content, (.text | type)]' out)" '0 ["Just this.","string"]'
run "$call" --loop $opts --tools tools --no-stdin -r 'Just this.'
is '--raw: the answer' "$(cat out)" "$("$call" --loop $opts --tools tools --no-stdin 'Just this.' | jq -r .text)"
run "$call" --loop -q -m "$base_model" --tools tools --no-stdin x
is 'a model without a chat format' "$status $(grep -c 'no chat format' err)" '3 1'

# Calls that the model makes: by construction, since a random model makes none by itself.
{
    echo '{"id":"a","prompt":"one"}'
    echo '{"id":"b","messages":[{"role":"system","content":"s"},{"role":"user","content":"two"}]}'
    echo '{"id":"c","prompt":"three"}'
} >made.jsonl
opts='-q --max-tokens 60 --temperature 1 --seed 3'
for device in ref cpu; do
    "$gen" -j -d $device $opts --tools tools --tool-choice add <made.jsonl | "$call" -q --tools tools | "$gen" -j -d $device $opts >pipe 2>err
    run "$call" --loop -d $device $opts --tools tools --tool-choice add <made.jsonl
    ok "$device: calls of the model: the loop gives what the pipe gives" cmp pipe out
    is '... each made one' "$(jq -c '[.messages[] | select(.role == "tool") | .name] | .[0]' out | paste -sd,)" '"add","add","add"'
    # As long as the records themselves ask for calls: three steps, the last one's calls stay open.
    jq -c '.options = {tool_choice: "required"}' made.jsonl >again.jsonl
    "$gen" -j -d $device $opts --tools tools <again.jsonl | "$call" -q --tools tools | "$gen" -j -d $device $opts | "$call" -q --tools tools |
        "$gen" -j -d $device $opts >pipe 2>err
    run "$call" --loop -d $device $opts --tools tools --max-steps 3 --max-repeats 0 <again.jsonl
    is "$device: three steps: the same conversations" "$(jq -c .messages out)" "$(jq -c .messages pipe)"
    is '... cut by --max-steps' "$status $(jq -r .finish_reason out | sort -u)" '0 budget'
done
run "$call" --loop $opts --tools tools --max-repeats 1 <again.jsonl
is 'equal calls in a row' "$status $(jq -r .error.code out | sort -u)" '1 limit'
run "$call" --loop $opts --tools tools --max-steps 2 --record made.tape <again.jsonl
cp out want
run "$call" --loop $opts --max-steps 2 --replay made.tape <again.jsonl
ok 'a recorded run of the model replays byte for byte' cmp want out

opts='-q --max-tokens 14 --temperature 1.3 --seed 11'
# ---- events and the budget ------------------------------------------------------------------
run "$call" --loop -d cpu $opts --tools tools --system 'You add.' --events=events <asks.jsonl
ok '--events=FILE leaves the records alone' cmp want.cpu out
ok '... every event is JSON' sh -c 'jq -e . events >/dev/null'
is '... of these kinds' "$(jq -r .event events | sort -u | paste -sd,)" done,result,start,text
is '... one end a record' "$(jq -c 'select(.event == "done") | .record' events | sort -n | paste -sd,)" 0,1,2,3,4,5,6,7
is '... the pieces make the texts' "$(jq -s -c 'map(select(.event == "text")) | group_by(.record) | map(map(.text) | add | gsub("\\s+$"; ""))' events)" \
    "$(jq -s -c 'map(select(.finish_reason) | .text | gsub("\\s+$"; ""))' want.cpu)"
is '... results name their call' "$(jq -c 'select(.event == "result" and .record == 2) | [.message.tool_call_id, .outcome]' events | paste -sd' ')" \
    '["call_0","done"] ["call_1","invalid"] ["call_2","invalid"] ["call_3","done"]'
run "$call" --loop -d cpu $opts --tools tools --system 'You add.' --events <asks.jsonl
jq -c 'select(.event == "done") | [.record, .result]' out | jq -s -c 'sort_by(.[0]) | .[][1]' >inside
jq -c . want.cpu >plainly
ok '--events: the records are in them' cmp plainly inside
run "$call" --loop $opts --tools tools --budget 4 <plain.jsonl
is '--budget ends the record' "$status $(jq -c '[.finish_reason, .usage.completion_tokens]' out)" '0 ["budget",4]'

# While one record's tool runs, others generate.
{ ask slow slow '{}'; cat plain.jsonl; } >both.jsonl
run "$call" --loop -d cpu $opts --tools tools --events <both.jsonl
is 'others generate while a tool runs' "$(jq -c 'select(.event == "result" or .event == "done") | [.event, .record]' out | paste -sd' ')" \
    '["done",1] ["result",0] ["done",0]'

# ---- --record and --replay -------------------------------------------------------------------
run "$call" --loop -d cpu $opts --tools tools --system 'You add.' --record tape <asks.jsonl
ok '--record changes nothing' cmp want.cpu out
is '... and keeps every call' "$(jq -c 'select(.name) | [.record, .call, .name, .outcome]' tape | sort | paste -sd' ')" \
    '[0,0,"add","done"] [2,0,"add","done"] [2,1,"add","invalid"] [2,2,"nope","invalid"] [2,3,"add","done"] [6,0,"add","done"]'
run "$call" --loop -d cpu $opts --system 'You add.' --replay tape <asks.jsonl
ok '--replay, without any tools: the same bytes' cmp want.cpu out
run "$call" -q --tools tools --record tape2 <asks.jsonl
cp out want
run "$call" -q --replay tape2 <asks.jsonl
ok 'the same without --loop' cmp want out
ask new add '{"a":100,"b":2}' >new.jsonl
run "$call" -q --replay tape2 <new.jsonl
is 'an unknown call is an error' "$status $(jq -r .error.code out)" '1 tool'
printf '{"record":0,"call":0,"name":"add","arguments":{"a":1,"b":2},"content":"%s","outcome":"done"}\n' first second >tape3
ask one add '{"a":1,"b":2}' add '{"b":2,"a":1}' add '{"a":1,"b":2}' >twice.jsonl
run "$call" -q --replay tape3 <twice.jsonl
is 'other arguments are another call' "$status" 1
ask one add '{"a":1,"b":2}' add '{"a":1,"b":2}' >twice.jsonl
printf '{"record":%d,"call":5,"name":"add","arguments":{"a":1,"b":2},"content":"%s","outcome":"done"}\n' 8 first 9 second >tape3
run "$call" -q --replay tape3 <twice.jsonl
is 'equal calls are answered in their order' "$(jq -c '[.messages[2:][] | .content]' out)" '["first","second"]'
echo 'no tape' >tape4
run "$call" -q --replay tape4 <twice.jsonl
is 'a file that is no recording' "$status $(grep -c 'tape4:1' err)" '2 1'

# ---- --resume: after kill -9 only calls that were running are repeated, and they are named ----------
echo '{"name":"count","parameters":{"type":"object","properties":{"n":{"type":"integer"}}}}' >tools/count.json
cat >tools/count <<END
#!/bin/sh
read -r args
echo "\$args" >>$tmp/log
sleep 0.0\$((\$(echo "\$args" | tr -cd 0-9) % 5))
echo "\$args" >>$tmp/log2
echo "\$args"
END
chmod +x tools/count
i=0
while [ $i -lt 24 ]; do
    ask $i count "{\"n\":$((i * 3))}" count "{\"n\":$((i * 3 + 1))}" count "{\"n\":$((i * 3 + 2))}"
    i=$((i + 1))
done >counts.jsonl
: >log
run "$call" -q --tools tools --loop ${opts#-q} --call-jobs 2 <counts.jsonl
cp out want
rm -f log
kills=2
[ -z "${G4_TEST_FULL:-}" ] || kills=20
killed=0
since=0
wrong=
: >named
seed=$$
while [ $killed -lt $kills ]; do
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    "$call" --tools tools --loop ${opts#-q} --call-jobs 2 --resume part <counts.jsonl 2>>named &
    pid=$!
    sleep 0.$((seed % 6 + 2))
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    if [ $? = 137 ]; then
        killed=$((killed + 1))
        since=$((since + 1))
    else # it came to its end: once more from the beginning
        cmp -s want part || wrong="$wrong $killed"
        rm -f part part.g4 log
        : >named
        since=0
    fi
done
run "$call" --tools tools --loop ${opts#-q} --call-jobs 2 --resume part <counts.jsonl
cat err >>named
ok "after $killed kills" test $killed -gt 0
is '... the run ends well' "$status$wrong $(ls part* | paste -sd,)" '0 part,part.g4'
ok '... with the bytes of an unbroken run' cmp want part
is '... every call was made' "$(sort -u log | wc -l)" 72
twice=$(sort log | uniq -d | wc -l)
ok "... $twice of them more than once: no more than were running" test "$twice" -le $((since * 2))
named=$(grep -c 'may run a second time' named)
ok "... and each of those was named ($named were)" test "$named" -ge "$twice"
done_testing
