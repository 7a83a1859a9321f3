#!/bin/sh
# g4-call: records with calls, records without, what becomes of calls that are wrong, and of tools that misbehave.
. "$(dirname "$0")/../lib.sh"
call=$build/g4-call
mkdir tools
tool() { # NAME PARAMETERS: a declaration, and the program from standard input
    printf '{"name":"%s","description":"d","parameters":%s}\n' "$1" "$2" >"tools/$1.json"
    { echo '#!/bin/sh'; cat; } >"tools/$1"
    chmod +x "tools/$1"
}
any='{"type":"object","properties":{}}'
tool add '{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"],"additionalProperties":false}' <<'END'
read -r args
echo "$args" | jq '{ sum: (.a + .b), tool: env.G4_TOOL, id: env.G4_CALL_ID }'
END
echo 'cat' | tool mirror "$any"
echo 'sleep 8641' | tool hang "$any"
echo 'trap "" TERM; sleep 8641; sleep 8641' | tool stubborn "$any"
echo 'sleep 8642 & sleep 8642 & echo forked' | tool fork "$any"
echo 'setsid sleep 8643 & echo away' | tool leave "$any"
echo 'yes 0123456789 | head -c 1000000000' | tool flood "$any"
echo 'exit 0' | tool silent "$any"
echo 'echo half; kill -9 $$' | tool killed "$any"
echo 'kill -SEGV $$' | tool crash "$any"
echo 'exec <&-; sleep 0.2; echo deaf' | tool deaf "$any"
printf '%s\n' "printf 'a\\000\\377\\376'" | tool binary "$any"
printf '%s\n' "printf 'caf\\351'" | tool latin "$any"
echo 'i=0; while [ $i -lt 4000 ]; do echo "line $i" >&2; i=$((i + 1)); done; echo "the end" >&2; exit 7' | tool fails "$any"
echo 'printf "two\nlines\n\n"' | tool text "$any"
echo 'echo "[1,  9007199254740993 ,{\"a\" : 1e400}]"' | tool json "$any"

# calls NAME ARGUMENTS...: a record with these calls
record() {
    jq -nc --args '{id: "r", messages: [{role: "user", content: "q"}, {role: "assistant", content: "", tool_calls:
        [range(0; $ARGS.positional | length; 2) as $i | {id: "call_\($i / 2)", type: "function",
            function: {name: $ARGS.positional[$i], arguments: $ARGS.positional[$i + 1]}}]}]}' -- "$@"
}
# answer NAME ARGUMENTS [OPTION...]: the content of the tool message of one call, in `content`
answer() {
    record "$1" "$2" >in
    shift 2
    begin=$(date +%s%N)
    run timeout 30 "$call" -q --tools tools "$@" <in
    took=$((($(date +%s%N) - begin) / 1000000))
    content=$(jq -r '.messages[2].content' out)
}

# ---- records ---------------------------------------------------------------------
printf '%s\n' '{"prompt":"nothing to call",  "x":1.50}' '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}' \
    '{"error":{"code":"input"},"tool_calls":[{"function":{"name":"hang","arguments":"{}"}}]}' '{"schema":3,"options":5}' >pass.jsonl
run "$call" --tools tools <pass.jsonl
is 'records without calls pass' "$status" 0
ok '... byte for byte' cmp pass.jsonl out
run "$call" --tools tools pass.jsonl pass.jsonl
is 'operands are files' "$status $(wc -l <out)" '0 8'
run "$call" -q --tools tools <<'END'
no JSON
[1]
{"prompt":"ok"}
END
is 'bad lines in their place' "$status $(jq -r '.error.code // "-"' out | paste -sd,)" '1 input,input,-'

answer add '{"a":2,"b":40}'
is 'a call is answered' "$status $content" '0 {"sum":42,"tool":"add","id":"call_0"}'
is 'the tool message' "$(jq -c '.messages[2] | [.role, .tool_call_id, .name]' out)" '["tool","call_0","add"]'
is 'the rest stays' "$(jq -c '[.id, (.messages | length)]' out)" '["r",3]'
cp out answered
run "$call" -q --tools tools <answered
is 'answered calls are not run again' "$(jq '.messages | length' out)" 3
record add '{"a":1,"b":1}' mirror '{"x":[1,"ü"]}' add '{"a":3,"b":4}' | jq -c '.messages += [{role:"tool", tool_call_id:"call_1", content:"before"}]' >in
run "$call" -q --tools tools <in
is 'only open calls are run, in their order' "$(jq -c '[.messages[2:][] | .tool_call_id]' out)" '["call_1","call_0","call_2"]'
echo '{"prompt":"p","system":"s","text":"t","tool_calls":[{"id":"k","function":{"name":"add","arguments":{"a":1,"b":2}}}]}' >in
run "$call" -q --tools tools <in
is 'calls without messages' "$(jq -c '[.messages[] | .role]' out) $(jq -c '.text' out)" '["system","user","assistant","tool"] "t"'
is 'arguments as an object' "$(jq -r '.messages[3].content' out | jq .sum)" 3
i=0
while [ $i -lt 60 ]; do record add "{\"a\":$i,\"b\":0}" mirror "{\"i\":$i}"; i=$((i + 1)); done >many.jsonl
run "$call" -q --tools tools --call-jobs 1 <many.jsonl
cp out want
run "$call" -q --tools tools --call-jobs 8 <many.jsonl
ok 'eight calls at once: the same bytes' cmp want out
is '... in order' "$(jq -r '.messages[2].content' out | jq .sum | paste -sd,)" "$(seq 0 59 | paste -sd,)"
record add '{"a":1,"b":1}' >in
run "$call" -q --tools tools -o '.messages[-1].content' <in
is '--output shapes' "$(jq -r . out | jq .sum)" 2
run "$call" -q --tools tools -r <in
is '--raw writes the answers' "$(jq .sum out)" 2

# ---- calls that are wrong ----------------------------------------------------------
wrong() { # NAME TOOL ARGUMENTS PATTERN
    answer "$2" "$3"
    like "$1" "$status $content" "^0 {\"error\":\".*$4"
}
wrong 'an unknown tool' nope '{}' "there is no tool 'nope'; there is add, "
wrong 'not JSON' add '{"a":1' 'not valid JSON'
wrong 'no object' add '[1,2]' 'must be a JSON object'
wrong 'a missing property' add '{"a":1}' "'b'"
wrong 'a wrong type' add '{"a":1,"b":"2"}' "'/b'"
wrong 'a property too many' add '{"a":1,"b":2,"c":3}' "c"
wrong 'a name twice' mirror '{"a":1,"a":2}' 'not valid JSON'
answer mirror ''
is 'no arguments are an empty object' "$content" '{}'
answer mirror '{"a":[1.50,9007199254740993,"\u00fc\n"]}'
is 'arguments arrive as they are' "$content" '{"a":[1.50,9007199254740993,"\u00fc\n"]}'
answer add '{"a":1}' --fail-on-tool-error
is '--fail-on-tool-error' "$status $(jq -r '.error.code' out) $(jq '.messages | length' out)" '1 tool 2'

# ---- tools that misbehave -----------------------------------------------------------
answer hang '{}' --tool-timeout 0.3
is 'hangs' "$content" '{"error":"was ended after the time limit of 0.3 s"}'
ok "... for $took ms" test "$took" -lt 5000
answer stubborn '{}' --tool-timeout 0.3
is 'hangs and ignores SIGTERM' "$content" '{"error":"was ended after the time limit of 0.3 s"}'
ok "... for $took ms" test "$took" -lt 6000
answer fork '{}'
is 'leaves children behind' "$content" forked
ok "... in $took ms" test "$took" -lt 5000
answer leave '{}'
is 'leaves one in another session' "$content" away
answer flood '{}'
is 'prints 1 GB' "$content" '{"error":"was ended for writing more than 1048576 bytes"}'
ok "... in $took ms" test "$took" -lt 8000
answer flood '{}' --tool-output 5000
is '... over a limit of the user' "$content" '{"error":"was ended for writing more than 5000 bytes"}'
answer silent '{}'
is 'prints nothing' "$status $content" '0 '
answer killed '{}'
is 'dies by a signal' "$content" '{"error":"was ended by signal 9 (Killed)","output":"half\n"}'
answer crash '{}'
like 'crashes' "$content" 'was ended by signal 11'
head -c 300000 /dev/zero | tr '\0' x >big
record deaf "{\"x\":\"$(head -c 100000 big)\"}" >in
run timeout 20 "$call" -q --tools tools <in
is 'closes its input' "$(jq -r '.messages[2].content' out)" deaf
answer binary '{}'
is 'writes binary' "$content" '{"error":"it wrote 4 bytes that are not text (byte 1 is no UTF-8)"}'
answer latin '{}'
is 'writes Latin-1' "$content" '{"error":"it wrote 4 bytes that are not text (byte 3 is no UTF-8)"}'
answer fails '{}'
like 'fails: the end of what it said' "$content" '^{"error":"ended with status 7: .*line 3999\\nthe end"}$'
ok '... and no more' test "${#content}" -lt 2600
answer text '{}'
is 'text loses one newline at the end' "$(jq -c '.messages[2].content' out)" '"two\nlines\n"'
answer json '{}'
is 'JSON keeps its numbers' "$content" '[1,9007199254740993,{"a":1e400}]'
is 'none of their processes is left' "$(pgrep -f 'sleep 864[123]$' | wc -l)" 0

# A signal that ends us ends the tool.
record hang '{}' >in
"$call" -q --tools tools <in >out 2>err &
pid=$!
wait_for pgrep -f 'sleep 8641$' >/dev/null
kill -TERM $pid
wait $pid
is 'SIGTERM ends by the signal' $? 143
ok '... and ends the tool' wait_for sh -c '! pgrep -f "sleep 8641$"'
"$call" -q --tools tools <in >out 2>err &
pid=$!
wait_for pgrep -f 'sleep 8641$' >/dev/null
kill -KILL $pid
wait $pid 2>/dev/null
ok 'the tool does not outlive a killed g4-call' wait_for sh -c '! pgrep -f "hang$"'
kill $(pgrep -f '^sleep 8641$') # what the tool itself had started is nobody's child now

# So does a reader that goes away.
{ record silent '{}'; record hang '{}'; } >in
{ "$call" -q --tools tools <in; echo $? >status; } | head -c 1 >out
is 'the reader of stdout is gone: SIGPIPE' "$(cat status)" 141
ok '... and the tool ends' wait_for sh -c '! pgrep -f "sleep 8641$"'

# No descriptor of ours, or of who called us, reaches a tool.
echo 'ls -l /proc/self/fd | grep -c " [0-9][0-9]* -> "' | tool fds "$any"
record fds '{}' >in
"$call" -q --tools tools --call-jobs 4 <in >out 5<in 6>other 7<in
is 'descriptors' "$(jq -r '.messages[2].content' out)" 4

# ---- usage ----------------------------------------------------------------------------
usage() { # NAME PATTERN OPTION...
    name=$1 pattern=$2
    shift 2
    run "$call" "$@" <in
    is "$name" "$status $(grep -c -- "$pattern" err) $(wc -c <out)" '2 1 0'
}
usage 'no tools' 'give --tools'
usage 'a folder that is not there' 'nowhere' --tools nowhere
chmod -x tools/text
usage 'a declaration without its program' "has no program beside it" --tools tools
chmod +x tools/text
cp tools/text tools/text.sh
run "$call" -q --tools tools <in
is 'the name itself wins over one with an ending' $status 0
mv tools/text.sh tools/text.py && cp tools/text tools/text.rb && mv tools/text saved
usage 'two programs for one name' 'which one is meant' --tools tools
rm tools/text.py tools/text.rb && mv saved tools/text
usage '--yes with --deny-all' 'exclude each other' --tools tools --yes --deny-all
usage '--events without --loop' 'goes with --loop' --tools tools --events
usage 'a wrong number' 'call-jobs' --tools tools --call-jobs 0
jq -s . tools/add.json >only.json
answer add '{"a":1,"b":2}'
run "$call" -q --tools only.json <in
like 'a declaration only' "$(jq -r '.messages[2].content' out)" "nothing here runs 'add': it is only declared"
run sh -c '"$1" -q --tools tools <in >/dev/full' - "$call"
is 'a full disk is not success' $status 4

# What a tool writes to stderr is told line by line, and is no command to the terminal.
cat >tools/loud <<'END'
#!/bin/sh
printf 'one\n\033[31mtwo\302\233x\n' >&2
END
chmod +x tools/loud
sed 's/"add"/"loud"/' tools/add.json >tools/loud.json
answer loud '{"a":1,"b":2}'
run "$call" -v --tools tools <in
is 'stderr of a tool with -v' "$(grep loud err)" 'g4-call: loud: one
g4-call: loud: ?[31mtwo?x'
run "$call" -v --tools tools --deny-all <in
is 'a refusal with -v' "$(grep -c "of 'loud' refused: --deny-all" err)" 1
rm tools/loud*

# ---- --describe -------------------------------------------------------------------------
run "$call" --describe tools
is '--describe of a folder' "$status $(jq -c 'map(.function.name) | [length, .[0]]' out)" '0 [17,"add"]'
cat >talker <<'END'
#!/bin/sh
[ "$1" = --describe ] && echo '{"name":"talker","description":"says it itself","parameters":{"type":"object"}}'
END
chmod +x talker
run "$call" --describe ./talker tools/add.json
is '--describe of a program that answers it' "$(jq -c 'map(.function.name)' out)" '["talker","add"]'
cp out declared.json
run "$gen" --dry-run -q -m "$chat_model" --tools declared.json hi
like '... for g4-gen --tools' "$(cat out)" 'declaration:talker{description:<|"|>says it itself'
usage '--describe of one that does not' 'does not write a declaration' --describe tools/silent
done_testing
