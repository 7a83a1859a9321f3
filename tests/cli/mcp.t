#!/bin/sh
# g4-call --mcp with public servers that npm fetches (tests/fetch-mcp), a file of servers, and servers that fail.
. "$(dirname "$0")/../lib.sh"
call=$build/g4-call
turn() { # NAME ARGUMENTS...
    jq -nc --args '{messages: [{role: "user", content: "q"}, {role: "assistant", content: "", tool_calls: [range(0; $ARGS.positional | length; 2) as $i |
        {id: "call_\($i / 2)", type: "function", function: {name: $ARGS.positional[$i], arguments: $ARGS.positional[$i + 1]}}]}]}' -- "$@"
}
answer() { jq -r ".messages[$(($1 + 2))].content" out; }
turn echo '{}' >in

run "$call" --mcp 'echo broken >&2; exit 3' <in
is 'a server that dies' "$status $(grep -c 'ended with status 3: broken' err)" '2 1'
run "$call" --mcp /no/such/server <in
is 'a server that is not there' "$status $(grep -c 'MCP server' err)" '2 1'
echo '{"mcpServers":{"far":{"url":"https://x"}}}' >far.json
run "$call" --mcp far.json <in
is 'a server that is no program' "$status $(grep -c "has no 'command'" err)" '2 1'
echo '{"mcpServers":{"off":{"command":"/no/such","disabled":true}}}' >off.json
run "$call" --mcp off.json --describe
is 'a server that is switched off' "$status $(cat out)" '0 []'

# Two scripted servers that offer the same name.
cat >server <<'END'
#!/bin/sh
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
while IFS= read -r line; do
    id=${line#*'"id":'}; id=${id%%,*}
    case $line in
    *server/discover*) answer '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}' ;;
    *tools/list*) answer '{"tools":[{"name":"echo","inputSchema":{"type":"object"}},{"name":"bad name"}]}' ;;
    *tools/call*) answer "{\"content\":[{\"type\":\"text\",\"text\":\"$WHO in $PWD\"}]}" ;;
    esac
done
END
chmod +x server
run "$call" --mcp ./server --mcp "env X=1 ./server" <in
is 'one name from two servers' "$status $(grep -c "'echo' is declared twice" err)" '2 1'
jq -n --arg d "$tmp" '{mcpServers: {one: {command: "\($d)/server", args: [], env: {WHO: "me"}, cwd: "/usr"}}}' >one.json
run "$call" --mcp one.json <in
is 'a file of servers: command, environment, folder' "$(answer 0)" 'me in /usr'
is 'a tool with an impossible name is left out' "$(grep -c "'bad name' cannot be the name" err)" 1
run "$call" --mcp one.json --sandbox <in
if grep -q 'cannot be used here' err; then skip 'a server in the sandbox' 'no user namespaces'
else is 'a server in the sandbox' "$(answer 0)" 'me in /usr'; fi

# A call that adds a tool, and a call of that tool behind it.
cat >grows <<'END'
#!/bin/sh
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
list='{"name":"more","inputSchema":{"type":"object"}}'
while IFS= read -r line; do
    id=${line#*'"id":'}; id=${id%%,*}
    case $line in
    *server/discover*) answer '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}}}' ;;
    *tools/list*) sleep 0.2; answer "{\"tools\":[$list]}" ;;
    *'"name":"more"'*)
        list="$list,{\"name\":\"late\",\"inputSchema\":{\"type\":\"object\"}}"
        printf '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n'
        answer '{"content":[{"type":"text","text":"there is more"}]}' ;;
    *tools/call*) answer '{"content":[{"type":"text","text":"late"}]}' ;;
    esac
done
END
chmod +x grows
turn more '{}' late '{}' never '{}' >more.jsonl
run timeout 20 "$call" -q --mcp ./grows <more.jsonl
is 'list_changed: a tool that came in between' "$(answer 0), $(answer 1), $(answer 2)" \
    "there is more, late, {\"error\":\"there is no tool 'never'; there is more, late\"}"

# ---- public servers ------------------------------------------------------------------
servers=$user_cache/g4-test/mcp/node_modules/@modelcontextprotocol
if ! XDG_CACHE_HOME=$user_cache "$top/tests/fetch-mcp" 2>why; then
    skip 'public MCP servers' "$(cat why)"
    done_testing
    exit
fi
mkdir files && echo 'some text' >files/a.txt
files="node $servers/server-filesystem/dist/index.js $tmp/files"
everything="node $servers/server-everything/dist/index.js stdio"
run "$call" -q --mcp "$files" --mcp "$everything" --describe
is 'server-filesystem and server-everything list their tools' \
    "$status $(jq -c 'map(.function.name) | [index("read_text_file", "write_file", "get-sum", "echo") != null]' out)" '0 [true,true,true,true]'
turn read_text_file "{\"path\":\"$tmp/files/a.txt\"}" read_text_file '{"path":"/etc/passwd"}' write_file "{\"path\":\"$tmp/files/b.txt\",\"content\":\"new\"}" \
    read_text_file '{}' echo '{"message":"grüß"}' get-sum '{"a":1,"b":2}' get-structured-content '{"location":"Chicago"}' get-tiny-image '{}' \
    trigger-long-running-operation '{"duration":30,"steps":3}' echo '{"message":"still there"}' >in
run timeout 60 "$call" -q --mcp "$files" --mcp "$everything" --tool-timeout 2 <in
is 'reads a file' "$(answer 0 | jq -r .content)" 'some text'
like 'refuses one outside' "$(answer 1)" '{"error":"Access denied'
is 'writes a file' "$(cat files/b.txt)" new
like 'arguments are checked here' "$(answer 3)" '{"error":"invalid arguments'
is 'text' "$(answer 4)" 'Echo: grüß'
like 'a number' "$(answer 5)" 3
is 'structured content' "$(answer 6 | jq -c 'keys')" '["conditions","humidity","temperature"]'
like 'an image is named' "$(answer 7)" '\[image image/png\]'
is 'a call over its time is cancelled' "$(answer 8)" '{"error":"was ended after the time limit of 2 s"}'
is '... and the server goes on' "$(answer 9)" 'Echo: still there'
printf '%s\n' 'allow read_*' 'deny *' >policy
run timeout 60 "$call" -q --mcp "$files" --policy policy <in
is 'under a policy' "$(for i in 0 2; do answer $i | cut -c1-17; done | paste -sd' ')" '{"content":"some  {"error":"refused'
is 'no server is left' "$(pgrep -f "$servers" | wc -l)" 0
done_testing
