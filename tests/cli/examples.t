#!/bin/sh
# examples/: the agent's tools on a real repository, its recorded run, and all three examples with a tiny model.
. "$(dirname "$0")/../lib.sh"
call=$build/g4-call
PATH=$build:$PATH
export PATH G4_MODEL="$chat_model" HOME="$tmp"
command -v git >/dev/null || { echo '1..0 # SKIP no git here (make check installs it)'; exit 0; }
agent=$top/examples/agent

# A repository with three commits by two people.
export GIT_AUTHOR_DATE='2026-01-02T03:04:05Z' GIT_COMMITTER_DATE='2026-01-02T03:04:05Z' GIT_COMMITTER_NAME=ann GIT_COMMITTER_EMAIL=ann@x
git init -q -b main repo && cd repo || exit 1
commit() { git add -A && git -c user.name="$1" -c user.email="$1@x" commit -qm "$2"; }
mkdir lib
echo 'int parse(void); /* TODO: numbers */' >lib/parse.c && commit ann 'parser: a beginning'
echo 'int main(void) { return 0; }' >main.c && commit bob 'main: it runs'
echo 'int parse(int); /* FIXME */' >lib/parse.c && commit ann 'parser: takes a number'
first=$(git rev-list --max-parents=0 HEAD)

turn() { # NAME ARGUMENTS...
    jq -nc --args '{messages: [{role: "user", content: "q"}, {role: "assistant", content: "", tool_calls: [range(0; $ARGS.positional | length; 2) as $i |
        {id: "call_\($i / 2)", type: "function", function: {name: $ARGS.positional[$i], arguments: $ARGS.positional[$i + 1]}}]}]}' -- "$@"
}
answers() { jq -r '.messages[2:][] | .content' out; }
turn git_log '{"count":5,"author":"ann"}' git_log '{"count":1,"path":"main.c"}' git_show '{"commit":"HEAD"}' \
    git_show "{\"commit\":\"$first\",\"patch\":true}" git_grep '{"text":"parse(int)"}' git_grep '{"text":"nowhere"}' >turn.jsonl
run "$call" -q --tools "$agent/tools" --policy "$agent/policy" --record ../tape <turn.jsonl
cp out ../want
is 'git_log by author' "$(jq -r '.messages[2].content' out | cut -d' ' -f2-)" '2026-01-02 ann: parser: takes a number
2026-01-02 ann: parser: a beginning'
is 'git_log of a file' "$(jq -r '.messages[3].content' out | cut -d' ' -f2-)" '2026-01-02 bob: main: it runs'
like 'git_show' "$(jq -r '.messages[4].content' out)" 'lib/parse.c | 2 +-'
like 'git_show with a patch' "$(jq -r '.messages[5].content' out)" '^+int parse(void)'
is 'git_grep' "$(jq -r '.messages[6].content' out)" 'lib/parse.c:1:int parse(int); /* FIXME */'
is 'git_grep that finds nothing' "$(jq -r '.messages[7].content' out)" 'no line contains it'
turn git_show '{"commit":"--output=x"}' git_log '{"count":1,"path":"../"}' git_grep '{"text":"my Secret"}' git_log '{"count":500}' >bad.jsonl
run "$call" -q --tools "$agent/tools" --policy "$agent/policy" <bad.jsonl
is 'what is not answered' "$(answers | jq -c '.error | .[:7]' | paste -sd,)" '"invalid","ended w","refused","invalid"'
ok 'no file was written' test ! -e x
cd "$tmp" || exit 1
run "$call" -q --replay tape <repo/turn.jsonl
ok 'the recorded run replays byte for byte, without tools or repository' cmp want out
cd repo || exit 1
run "$agent/ask" --max-tokens 6 -q --seed 4 'Who wrote the parser?'
is 'ask: an answer' "$status $(test -s out && echo text)" '0 text'

run "$agent/ask" --max-tokens 80 -q --seed 4 --tool-choice git_log --record ../made 'Who wrote the parser?'
cp out ../answer
is 'ask: a call that the model made' "$status $(jq -r 'select(.name) | .name' ../made | head -1)" '0 git_log'
run "$agent/ask" --max-tokens 80 -q --seed 4 --tool-choice git_log --replay ../made 'Who wrote the parser?'
ok '... replays byte for byte' cmp ../answer out

# A batch extraction with a schema over a tree.
run "$top/examples/extract/todos" . -q --max-tokens 200 --seed 2
ok "todos: status $status" test "$status" = 0 -o "$status" = 1 -o "$status" = 5
is '... every line is a finding or says why there is none' "$(jq -c 'select((has("line") and has("kind") and has("urgent") and has("path")) or
    (has("path") and has("error")) | not)' out | wc -l)" 0

# MCP: a scripted server in place of the public one, which tests/cli/mcp.t uses.
cat >"$tmp/server" <<'END'
#!/bin/sh
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
while IFS= read -r line; do
    id=${line#*'"id":'}; id=${id%%,*}
    case $line in
    *server/discover*) answer '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}' ;;
    *tools/list*) answer '{"tools":[{"name":"read_file","description":"r","inputSchema":{"type":"object"}},{"name":"write_file","inputSchema":{"type":"object"}}]}' ;;
    *tools/call*) answer '{"content":[{"type":"text","text":"content"}]}' ;;
    esac
done
END
chmod +x "$tmp/server"
export MCP_FILES="$tmp/server"
run "$top/examples/mcp/ask" --max-tokens 6 -q --seed 4 'What is in the notes?'
is 'the MCP example answers' "$status $(test -s out && echo text)" '0 text'
turn read_file '{}' write_file '{}' >turn.jsonl
run "$call" -q --mcp "$MCP_FILES ." --policy "$top/examples/mcp/read-only" <turn.jsonl
is 'its policy lets it look and not write' "$(answers | cut -c1-17 | paste -sd' ')" 'content {"error":"refused'
done_testing
