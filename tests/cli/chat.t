#!/bin/sh
# The chat at the terminal, in a real pseudo-terminal: typing, history, completion, Ctrl-C, paste, resize.
. "$(dirname "$0")/../lib.sh"
command -v tmux >/dev/null || { echo '1..0 # SKIP no tmux here'; exit 0; }
export XDG_STATE_HOME="$tmp/.state" G4_MODEL="$chat_model" TERM=screen
mux() { tmux -L "g4-$$" -f /dev/null "$@" 2>/dev/null; }
trap 'mux kill-server; cd /; rm -rf "$tmp"' EXIT
keys() { mux send-keys -t t "$@"; }
screen() { mux capture-pane -p -J -S - -t t; }
shows() { screen | grep -q -- "$1"; }
shown() { wait_for shows "$1"; }
prompts() { [ "$(screen | grep -c '^> ')" -ge "$1" ]; }
# start OPTION...: a session with the greeting on the screen
start() {
    mux kill-session -t t
    mux new-session -d -s t -x 90 -y 50 "cd '$tmp' && exec '$gen' --seed 1 --max-tokens 24 $* 2>&1"
    shown 'Ctrl-D ends'
}

start
is 'a terminal and no prompt: a conversation' $? 0
keys 'Who is there, and why' Enter
wait_for prompts 2
is 'typing: an answer comes, and the prompt again' $? 0
keys /stats Enter
ok '/stats' shown 'session  1 answers'
like '... says what was reused' "$(screen)" '^prompt .* tokens: 0 reused'
keys /ste Tab
keys BSpace BSpace BSpace
keys st Tab
ok 'Tab completes a command' shown '^> /stats'
keys Enter
keys /undo Enter
ok '/undo' shown 'are forgotten'
keys /undo Enter
ok '... only what there is' shown 'nothing was asked'
keys /nonsense Enter
ok 'an unknown command is told' shown "no such command: '/nonsense'"
keys /help Enter
ok '/help' shown '/retry  *answer the last question again'

jq -nc '[{type:"function",function:{name:"clock",description:"The time.",parameters:{type:"object",properties:{}}}}]' >decl.json
keys '/tools decl.json' Enter
ok '/tools shows what the model may call' shown '^clock'

echo 'the text of it' >'a file.txt'
keys '/file a\ f' Tab
ok 'Tab completes a file name with a blank' shown 'a\\ file.txt'
keys Enter
ok '... and the file is attached' shown 'a file.txt goes with the next message'
keys 'What does it say' Enter
wait_for shows '^> What does it say'
keys /save\ talk.jsonl Enter
ok '/save' shown 'messages are in talk.jsonl'
is 'a saved conversation is a record' "$(jq -r '[.messages[0].content[0].text, .messages[0].content[1].text, .messages[1].role] | join("|")' talk.jsonl)" \
    "==> a file.txt <==
the text of it
|What does it say|assistant"
is '... with the seed and the options' "$(jq -c '[.seed, .options]' talk.jsonl)" '[1,{"max_tokens":24,"seed":1}]'
run "$gen" -j <talk.jsonl
is 'the record passes through a pipe: it is answered' "$status $(cmp talk.jsonl out && echo same)" '0 same'
jq -c '.messages += [{"role":"user","content":"And then?"}]' talk.jsonl | "$gen" -j >more.jsonl
keys '/load more.jsonl' Enter
ok '/load takes what a pipe wrote' shown '4 messages from more.jsonl'
keys /save Enter
wait_for shows '4 messages are in more.jsonl'
is '/save without a name goes where it came from' "$(jq -c '.messages | length' more.jsonl)" 4
echo precious >precious.txt
keys '/save precious.txt' Enter
ok 'what is no conversation is not replaced' shown "it is not replaced"
is '... indeed' "$(cat precious.txt)" precious
keys C-d
ended() { ! mux has-session -t t; }
wait_for ended
is 'Ctrl-D ends' $? 0

start
keys Up
ok 'history: the last line of the session before' shown '^> /save precious.txt'
keys C-c
ok 'Ctrl-C at the prompt gives up the line' shown '\^C'
keys C-r
keys 'there, and'
ok 'Ctrl-R searches it' shown 'Who is there, and why'
keys C-c
is 'the history is private' "$(stat -c %a .state/g4/history)" 600
mux resize-window -t t -x 40 -y 50
keys 'a line that is much longer than forty columns of a terminal' C-a
keys 'X'
ok 'resize: the line is drawn anew' shown '^> Xa line'
keys C-e Enter
wait_for prompts 2
mux resize-window -t t -x 90 -y 50
mux set-buffer 'first line
second line'
mux paste-buffer -p -t t
ok 'paste: several lines are one entry' shown 'second line'
keys Enter
sleep 0.3
keys '/save paste.jsonl' Enter
wait_for test -s paste.jsonl
is '... and one message' "$(jq -r '.messages[-2].content' paste.jsonl)" 'first line
second line'
keys 'one \' Enter
keys 'two' Enter
sleep 0.3
keys '/save paste.jsonl' Enter
wait_for sh -c 'jq -e ".messages | length == 6" paste.jsonl >/dev/null'
is 'a backslash goes on in the next line' "$(jq -r '.messages[-2].content' paste.jsonl)" 'one 
two'
keys Up Up
ok 'history holds several lines' shown 'two'
keys C-c
keys C-d

# A model that never ends its answer by itself.
cp -r "$chat_model" endless
jq '.suppress_tokens = [1,9,15,16]' "$chat_model/generation_config.json" >endless/generation_config.json
start -m endless --max-tokens 3800 -d ref -t 1
lines() { [ "$(screen | grep -c .)" -gt "$1" ]; }
keys 'Talk without end' Enter
wait_for lines 4
keys C-c
ok 'Ctrl-C stops the answer' shown 'g4-gen: stopped'
keys '/save stopped.jsonl' Enter
ok 'and the session goes on' shown 'messages are in stopped.jsonl'
is 'what was written stays' "$(jq -c '[.messages[].role]' stopped.jsonl)" '["user","assistant"]'
had=$(screen | grep -c .)
keys /retry Enter
wait_for lines $((had + 3))
keys C-c
keys '/save again.jsonl' Enter
wait_for test -s again.jsonl
is '/retry answers again, otherwise' "$(jq -c '[.messages[].role]' again.jsonl) $(cmp -s stopped.jsonl again.jsonl; echo $?)" '["user","assistant"] 1'
keys C-d
wait_for ended

# Calls: the results come from whoever sits there.
start --tools decl.json --tool-choice required
keys 'What time is it' Enter
ok 'a call is shown' shown '^clock {}'
ok '... and its result asked for' shown '^result> '
keys 'noon' Enter
results() { [ "$(screen | grep -c '^result> ')" -ge "$1" ]; }
ok '... after which the model goes on' wait_for results 2
keys C-c
ok 'Ctrl-C refuses it' wait_for prompts 2
keys '/save calls.jsonl' Enter
wait_for test -s calls.jsonl
is 'the record has calls and results' "$(jq -c '[.messages[0:3][].role, .messages[2].content, .messages[2].name, .messages[-1].content]' calls.jsonl)" \
    '["user","assistant","tool","noon","clock","{\"error\":\"the call was refused\"}"]'
keys C-d
wait_for ended

# Other signals: the terminal is left as it was.
mux kill-session -t t
mux new-session -d -s t -x 90 -y 50 "cd '$tmp' && PS1='\$ ' sh"
keys "stty -a | tail -1 >stty.before; '$gen' --seed 1; stty -a | tail -1 >stty.after" Enter
shown 'Ctrl-D ends'
keys 'half a line'
shown '^> half a line'
keys C-z
shown Stopped
keys fg Enter
ok 'Ctrl-Z and fg: the line is there again' shown '^> half a line'
kill -TERM "$(ps -o pid=,args= -A | awk -v g="$gen" '$2 == g && $3 == "--seed" { print $1 }')"
wait_for test -s stty.after
is 'SIGTERM: the terminal is as it was' "$(cat stty.after)" "$(cat stty.before)"

rm -f stty.*
keys "clear; stty -a | tail -1 >stty.before; '$gen' -m endless --chat --max-tokens 3800 -d ref | head -c 40; stty -a | tail -1 >stty.after" Enter
shown 'Ctrl-D ends'
keys 'Talk' Enter
wait_for test -s stty.after
is 'a reader that goes away: the terminal is as it was' "$(cat stty.after)" "$(cat stty.before)"

# What a turn computes: what follows the last full block that it has in common with those before.
system='Answer briefly and to the point, and never say anything about the weather, whatever is asked of you today.'
start -s "'$system'" --think=12 --confidence
keys 'What is the capital' Enter
wait_for prompts 2
had=$("$gen" -q --think -s "$system" --count -j <<END
{"messages":[{"role":"user","content":"What is the capital"}]}
END
)
keys 'And what is the river' Enter
wait_for prompts 3
keys /stats Enter
shown 'session  2 answers'
is 'a thought is dropped: the next turn begins at its question' "$(screen | sed -n 's/^prompt .* tokens: \([0-9]*\) reused.*/\1/p')" \
    $(($(echo "$had" | jq .count) / 32 * 32))
keys C-d
wait_for ended
mux kill-session -t t
mux new-session -d -s t -x 90 -y 50 "cd '$tmp' && exec '$gen' --chat --seed 1 --max-tokens 12 --confidence 'Colour this' 2>&1"
wait_for prompts 1
coloured() { mux capture-pane -p -e -t t | grep -q "$(printf '\033')\[3[123]m"; }
ok '--confidence colours the answer, an operand is the first message' wait_for coloured
keys C-d

printf 'one\n/system Be brief.\ntwo\n' | "$gen" --chat --seed 3 --max-tokens 8 >out 2>err
is 'without a terminal each line is a message' "$? $(grep -c . out | awk '{ print ($1 >= 2) }') $(cat err | grep -vc tokens)" '0 1 0'
run "$gen" --chat -j
is '--chat is a way of its own' "$status" 2
done_testing
