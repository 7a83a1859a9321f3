#!/bin/sh
# --schema, --regex, --choices and their record fields: values, refusals, limits, thoughts; and random answers of a
# tiny model to the real-world schemas, judged by Python's jsonschema.
. tests/lib.sh
run_chat() { run "$gen" -m "$chat_model" -q --temperature 1 "$@"; }

# ---- text --------------------------------------------------------------------------------
run_chat --choices yes,no,maybe 'Well?' </dev/null
ok "one of the choices: $(cat out)" grep -qxE 'yes|no|maybe' out
printf 'alpha\nbeta gamma\n' >choices
run_chat --choices choices 'Well?' </dev/null
ok "one of the lines of a file: $(cat out)" grep -qxF -f choices out
run_chat --regex '[a-c]{3,5}-\d' 'Well?' </dev/null
ok "a text of an expression: $(cat out)" grep -qxE '[a-c]{3,5}-[0-9]' out
cat >order.json <<'END'
{"type": "object", "properties": {"customer": {"type": "string", "maxLength": 12}, "items": {"type": "array", "items":
 {"enum": ["pen", "ink"]}, "uniqueItems": true}, "paid": {"type": "boolean"}}, "required": ["customer", "items"], "additionalProperties": false}
END
run_chat --schema order.json --max-tokens 90 'An order.' </dev/null
is 'a schema from a file: its JSON' "$(jq -c 'keys - ["customer", "items", "paid"], (.items - ["pen", "ink"])' out)" '[]
[]'
run_chat --schema "$(cat order.json)" --max-tokens 90 'An order.' </dev/null
is 'the schema itself, the same answer' "$(jq -c type out)" '"object"'

# ---- refusals ----------------------------------------------------------------------------
refused() { # refused STATUS PATTERN OPTION...
    want=$1 pattern=$2
    shift 2
    run_chat "$@" x </dev/null
    is "$want: $*" "$status" "$want"
    like '... it says why' "$(cat err)" "$pattern"
}
refused 2 "'not' at '#/properties/a' in the schema" --schema '{"properties":{"a":{"not":{}}}}'
refused 2 "'minLenght' at '#' in the schema: not known" --schema '{"minLenght":3}'
refused 2 'no value at all satisfies the schema' --schema '{"enum":[]}'
refused 2 'not JSON' --schema '{"type":'
refused 4 'cannot open' --schema nowhere.json
refused 2 'back reference' --regex '(a)\1'
refused 2 'only one of' --regex a --choices a,b
refused 2 'list of 1 to' --choices ,
run_chat --schema '{"type":"integer","not":{"const":-1}}' --schema-lax --max-tokens 12 --json x </dev/null
is '--schema-lax: checked when the answer is there' "$(jq -r '(.data | type), (.data == -1)' out)" 'number
false'
run "$gen" -m "$chat_model" --schema '{"enum":["a","b"],"contains":{"type":"null"}}' --schema-lax --json x </dev/null
like '... with a warning' "$(cat err)" "'contains' at '#' in the schema is only checked"
run_chat --schema '{"type":"array","maxItems":1,"items":{"const":1},"contains":{"const":2}}' --schema-lax --json x </dev/null
is '... and an answer that does not fit is an error, not wrong data' "$status $(jq -r .error.code out)" '1 schema'

# ---- records -----------------------------------------------------------------------------
cat >in <<'END'
{"id":1,"prompt":"a"}
{"id":2,"prompt":"a","schema":{"type":"integer","minimum":100,"maximum":200}}
{"id":3,"prompt":"a","choices":["left","right"]}
{"id":4,"prompt":"a","regex":"x+y"}
{"id":5,"prompt":"a","schema":{"if":true}}
{"id":6,"prompt":"a","schema":{"type":"null"},"regex":"a"}
{"id":7,"prompt":"a","data":"old","schema":{"const":"new"}}
END
run_chat -j --schema '{"type":"boolean"}' --max-tokens 40 <in
is 'some records fail' "$status" 1
is "a record's own constraint wins" "$(jq -c 'if .error then .error.code elif .id == 1 then (.data | type)
    elif .id == 2 then (.data >= 100 and .data <= 200) elif .id == 3 then (.data == "left" or .data == "right") elif .id == 4 then .data[-1:] else .data end' out |
    paste -sd' ')" '"boolean" true true "y" "schema" "input" "new"'
is 'the place is named' "$(sed -n 5p out | jq -r .error.message | grep -c "'if' at '#'")" 1
is 'data stands behind the text' "$(sed -n 2p out | jq -c 'keys_unsorted | index("data") > index("text")')" true
mv out one
run_chat -j --schema '{"type":"boolean"}' --max-tokens 40 -P 1 <in
ok 'the same, one at a time' cmp one out

echo '{"custom_id":"a","body":{"messages":[{"role":"user","content":"a"}],"max_tokens":30,"response_format":{"type":"json_schema","json_schema":{"schema":{"enum":["u","v"]}}}}}' >in
run_chat -j -o openai_batch <in
is 'response_format of a batch line' "$(jq -r '.response.body.choices[0].message.content | fromjson | test("^[uv]$")' out)" true
echo '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"{\"n\": 4"}],"schema":{"type":"object","properties":{"n":{"type":"integer","minimum":40,"maximum":49}},"required":["n"],"additionalProperties":false}}' >in
run_chat -j --prefill --max-tokens 40 <in
is 'a value that was begun is gone on with' "$(jq -c '.data.n >= 40 and .data.n <= 49' out)" true
sed 's|{."n.": 4|[|' in >other
run_chat -j --prefill <other
is '... unless it cannot be' "$(jq -r .error.code out)" input

# ---- limits and thoughts ---------------------------------------------------------------------
run_chat --json --schema order.json --max-tokens 12 x </dev/null
is 'too few tokens: length, and no data' "$(jq -c '[.finish_reason, has("data")]' out)" '["length",false]'
run_chat -j -n 30 --schema order.json --max-tokens 60 <<'END'
{"prompt":"a"}
END
is 'enough to close the value: it is closed' "$(jq -c '[.finish_reason, has("data")]' out | sort | uniq -c | sed 's/^ *//')" '30 ["stop",true]'
cat >in <<'END'
{"prompt":"a"}
{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"4"}]}
END
run_chat -j -n 10 --think=20 --schema order.json --max-tokens 300 <in
is 'with --think the answer is constrained' "$(jq -c '[.finish_reason, (.data | type)]' out | sort -u)" '["stop","object"]'
is '... the thought is free, and the answer is not part of it' "$(jq -c 'select(.messages) | (.thinking | length > 0) and .usage.thinking_tokens <= 30, (.text | fromjson | type)' out | sort -u | paste -sd' ')" '"object" true'
run_chat -j --logprobs 1 --schema '{"const":{"key":[1,2]}}' --max-tokens 60 <<'END'
{"prompt":"a"}
END
is 'forced tokens have log-probabilities too' "$(jq -c '[(.logprobs.content | length) > 3, .data.key]' out)" '[true,[1,2]]'
run_chat -j --any-order -n 20 --max-tokens 80 --schema '{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"}},"required":["a","b"],"additionalProperties":false}' <<'END'
{"prompt":"a"}
END
is '--any-order: both orders come' "$(jq -c '.data | keys_unsorted' out | sort -u | paste -sd' ')" '["a","b"] ["b","a"]'
echo broken >"$XDG_CACHE_HOME/g4/$(ls "$XDG_CACHE_HOME/g4" | head -1)"
run_chat --choices yes 'Well?' </dev/null
is 'a broken file of the vocabulary is ignored' "$status $(cat out)" '0 yes'

# ---- the real-world schemas ---------------------------------------------------------------------
n=12
[ -z "${G4_TEST_FULL:-}" ] || n=1000
jq -c '{id: .name, prompt: "x", schema}' "$data/schema/real.jsonl" >in
cat >judge.py <<'END'
import json, sys
from jsonschema import Draft202012Validator, FormatChecker
judges, good, bad = {}, 0, []
for line in open(sys.argv[1], encoding='utf-8'):
    r = json.loads(line)
    if r['id'] not in judges:
        judges[r['id']] = Draft202012Validator(r['schema'], format_checker=FormatChecker())
    if 'data' in r and judges[r['id']].is_valid(r['data']) and json.loads(r['text']) == r['data']:
        good += 1
    else:
        bad.append(r['id'] + ': ' + r.get('text', r.get('error', {}).get('message', ''))[:200])
print(len(judges), good, len(bad))
print(*bad[:5], sep='\n', file=sys.stderr)
END
if python3 -c 'import jsonschema' 2>/dev/null; then
    run_chat -j -n $n -P 16 --max-tokens 160 <in
    mv out answers
    run python3 judge.py answers
    is "$((35 * n)) random answers to 35 schemas: all valid for Python's jsonschema" "$(cat out)" "35 $((35 * n)) 0"
else
    skip 'random answers' 'no python3-jsonschema'
fi
done_testing
