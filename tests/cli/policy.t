#!/bin/sh
# g4-call: what may run: policy, --yes, --deny-all, --dry-run, asking at a terminal and without one, --sandbox.
. "$(dirname "$0")/../lib.sh"
call=$build/g4-call
mkdir tools
for name in read write remove; do
    echo "{\"name\":\"$name\",\"parameters\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"}},\"required\":[\"path\"]}}" >tools/$name.json
    printf '#!/bin/sh\necho %s >>%s/log\necho did %s\n' $name "$tmp" $name >tools/$name
    chmod +x tools/$name
done
turn() { # NAME ARGUMENTS...
    jq -nc --args '{messages: [{role: "user", content: "q"}, {role: "assistant", content: "", tool_calls: [range(0; $ARGS.positional | length; 2) as $i |
        {id: "call_\($i / 2)", type: "function", function: {name: $ARGS.positional[$i], arguments: $ARGS.positional[$i + 1]}}]}]}' -- "$@"
}
answers() { jq -r '.messages[2:][] | .content' "${1:-out}" | cut -c1-"${2:-17}" | paste -sd' '; }
log() { paste -sd, log 2>/dev/null; rm -f log; }
cat >rules <<'END'
# reading below /srv
allow read .path | startswith("/srv/")
ask   write
END
turn read '{"path":"/srv/a"}' read '{"path":"/etc/a"}' write '{"path":"/srv/b"}' remove '{"path":"/"}' write '{}' >in

run "$call" -q --tools tools <in
is 'without a policy all run' "$(answers) $(log)" 'did read did read did write did remove {"error":"invalid read,read,write,remove'
run setsid "$call" -q --tools tools --policy rules <in
is 'a policy; nobody to ask' "$status $(answers) $(log)" '0 did read {"error":"refused {"error":"refused {"error":"refused {"error":"invalid read'
like '... says which rule' "$(jq -r '.messages[3].content' out)" "no rule of 'rules' allows it"
like '... and why not' "$(jq -r '.messages[4].content' out)" 'no terminal to ask at, rules:3'
run "$call" -q --tools tools --policy rules --yes <in
is '--yes' "$(answers) $(log)" 'did read {"error":"refused did write {"error":"refused {"error":"invalid read,write'
run "$call" -q --tools tools --deny-all <in
is '--deny-all' "$(answers) $(log)" '{"error":"refused {"error":"refused {"error":"refused {"error":"refused {"error":"invalid '
run "$call" -q --tools tools --policy rules --yes --fail-on-tool-error <in
is '--fail-on-tool-error: the code' "$status $(jq -r .error.code out)" '1 policy'
rm -f log
run "$call" -q --tools tools --policy rules --dry-run <in
is '--dry-run' "$status $(jq -c '[.id, .decision]' out | paste -sd' ') $(log)" \
    '0 ["call_0","run"] ["call_1","refused"] ["call_2","ask"] ["call_3","refused"] ["call_4","invalid"] '
is '... with program and rule' "$(head -1 out | jq -c '[.tool, .arguments, .why, (.program | endswith("tools/read")), .sandbox]')" \
    '["read",{"path":"/srv/a"},"rules:2",true,false]'
echo 'allow read .path |' >bad
run "$call" -q --tools tools --policy bad <in
is 'a policy that cannot be read' "$status $(grep -c 'bad:1' err)" '2 1'

# ---- at a terminal -------------------------------------------------------------------
if command -v tmux >/dev/null && tmux -L g4-policy-$$ new-session -d -x 100 -y 30 "cat >/dev/null" 2>/dev/null; then
    tmux -L g4-policy-$$ kill-server
    tm() { tmux -L g4-policy-$$ "$@"; }
    turn write '{"path":"a"}' write '{"path":"b\u001b[31m"}' write '{"path":"c"}' >asks
    tm new-session -d -x 100 -y 30 "$call -q --tools tools --policy rules <asks >asked 2>asked.err; echo over >over"
    screen() { tm capture-pane -p | tr '\n' ' '; }
    shows() { screen | grep -qF -- "$1"; }
    ok 'a call is shown' wait_for shows 'write {"path":"a"}'
    tm send-keys y Enter
    ok 'the next, with nothing that moves the cursor' wait_for shows 'write {"path":"b\u001b[31m"}'
    tm send-keys n Enter
    ok 'the third' wait_for shows 'write {"path":"c"}'
    tm send-keys always Enter
    wait_for test -e over
    is 'as it was answered' "$(answers asked) $(log)" 'did write {"error":"refused did write write,write'
    tm kill-server 2>/dev/null
else
    skip 'asking at a terminal' 'no tmux'
fi

# ---- the sandbox -----------------------------------------------------------------------
run env PATH=/usr/bin/nowhere "$call" --tools tools --sandbox <in
is 'no bubblewrap: an error, never without' "$status $(grep -c 'needs bubblewrap' err) $(wc -c <out) $(log)" '2 1 0 '
run "$call" --tools tools --sandbox-write . <in
is '--sandbox-write without --sandbox' $status 2
run "$call" --tools tools --sandbox --sandbox-write nowhere <in
is 'a folder that is not there' "$status $(grep -c "'nowhere' is not a folder" err)" '2 1'
turn read '{"path":"x"}' >in
run "$call" -q --tools tools --sandbox <in
if grep -q 'cannot be used here\|needs bubblewrap' err; then
    skip 'a tool in the sandbox' "$(cat err)"
    done_testing
    exit
fi
like 'the file system is read-only' "$(answers out 300)" 'did read'
is '... so nothing was written' "$(log)" ''
mkdir box
cat >tools/read <<END
#!/bin/sh
echo x >$tmp/box/made && echo wrote
echo x >/tmp/mine && ls /tmp | grep -c mine
wc -l </proc/net/route
echo x >$tmp/no 2>/dev/null || echo kept out
echo "\$PWD"
END
run "$call" -q --tools tools --sandbox --sandbox-write box <in
is 'one folder is writable, /tmp is its own, there is no network' "$(jq -r '.messages[2].content' out | paste -sd' ')" "wrote 1 1 kept out $tmp"
ok '... and the file is there' test -s box/made -a ! -e /tmp/mine
printf '#!/bin/sh\nsetsid sleep 8647 &\nsleep 8647\n' >tools/read
run "$call" -q --tools tools --sandbox --tool-timeout 0.5 <in
like 'a time limit inside' "$(answers out 60)" 'time limit of 0.5 s'
is '... ends all that ran there' "$(pgrep -f 'sleep 8647$' | wc -l)" 0
done_testing
