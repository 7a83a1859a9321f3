#!/bin/sh
# Records: byte for byte, in order, errors in their place.
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$base_model"
line() { sed -n "$1p" out; }

printf '%s\n' '{"id":12345678901234567890, "x": 1.50e+03,"prompt":"a","y":{ "z" :[1, 2]}}' \
    '{"text":"old","prompt":"b","seed":"mine","thinking":"old","n":0.10}' >in.jsonl
run "$gen" -j --max-tokens 3 <in.jsonl
is 'status' $status 0
like 'what is unknown passes through byte for byte' "$(line 1)" '^{"id":12345678901234567890, "x": 1.50e+03,"prompt":"a","y":{ "z" :\[1, 2\]},"text":'
like 'output fields replace those of the same name' "$(line 2)" '^{"prompt":"b","n":0.10,"text":'
is 'the fields of an answer' "$(line 2 | jq -c 'keys_unsorted')" '["prompt","n","text","finish_reason","usage","model","seed"]'
is 'model' "$(line 1 | jq -c '.model | [(.name | type), (.digest | test("^(fp|sha256):"))]')" '["string",true]'

for i in $(seq 1 40); do
    case $((i % 8)) in
    3) echo "not json $i" ;;
    5) echo "{\"i\":$i,\"prompt\":3}" ;;
    *) echo "{\"i\":$i,\"prompt\":\"a b $i\",\"options\":{\"max_tokens\":$((i % 5 * 7 + 1))}}" ;;
    esac
done >many.jsonl
run "$gen" -j -q -P 5 <many.jsonl
cp out want
is 'one line in, one line out' "$status $(wc -l <out)" '1 40'
is 'in input order' "$(jq -c 'select(.i) | .i' out | paste -sd,)" "$(seq 1 40 | grep -v -x -e 3 -e 11 -e 19 -e 27 -e 35 | paste -sd,)"
is 'a bad line has its number' "$(line 3 | jq -r '[.error.code, .error.line] | @csv')" '"input",3'
is 'a wrong type too' "$(line 5 | jq -r '.error.code')" input
run "$gen" -j -q -P 1 <many.jsonl
ok 'one at a time: the same bytes' cmp want out
run "$gen" -j -q -P 16 <many.jsonl
ok 'sixteen at a time: the same bytes' cmp want out
run "$gen" -j -q -P 8 --unordered <many.jsonl
sort want >want.sorted
sort out >out.sorted
ok '--unordered: the same lines' cmp want.sorted out.sorted
ok '--unordered: another order' test "$(head -c 2000 want)" != "$(head -c 2000 out)"

printf '{"prompt":"a b"}\r\n\n  \n{"prompt":"c"}' >crlf.jsonl
run "$gen" -j --max-tokens 2 <crlf.jsonl
is 'CRLF, blank lines and no last newline' "$status $(wc -l <out)" '0 2'
printf '{"prompt":"a\377"}\n{"prompt":"b\\ud800"}\n{"prompt":"c\0"}\n[1]\n"str"\n{"id":1}\n{"prompt":"ok"}\n' >odd.jsonl
run "$gen" -j -q --max-tokens 2 <odd.jsonl
is 'UTF-8, lone surrogates, NUL, no object, no prompt' "$status $(jq -r '.error.code // "-"' out | paste -sd,)" \
    '1 input,input,input,input,input,input,-'
is 'what could be read stays' "$(line 6 | jq -c '[.id]')" '[1]'
{ printf '{"prompt":"'; head -c 68000000 /dev/zero | tr '\0' x; printf '"}\n{"prompt":"ok"}\n'; } >long.jsonl
run "$gen" -j -q --max-tokens 2 <long.jsonl
is 'a line over 64 MiB' "$status $(jq -r '.error.message // "-"' out | paste -sd,)" '1 line 1: line is longer than 64 MiB,-'
rm long.jsonl

run "$gen" -j -r --max-tokens 3 <in.jsonl
is '-r writes bare text' "$status $(wc -l <out | tr -d ' ')" "0 $(($("$gen" -j --max-tokens 3 <in.jsonl | jq -r .text | wc -l)))"
run "$gen" -j -r --null-out --max-tokens 3 <in.jsonl
is '--null-out' "$(tr -cd '\0' <out | wc -c)" 2

run "$gen" -j -q -n 3 --temperature 2 --seed 5 --max-tokens 6 <in.jsonl
is '-n 3: three lines each' "$(jq -c .sample out | paste -sd,)" 0,1,2,0,1,2
ok '... that differ' test "$(jq -r '.text' out | sort -u | wc -l)" -gt 3
cp out three
run "$gen" -j -q -n 3 -P 1 --temperature 2 --seed 5 --max-tokens 6 <in.jsonl
ok '... whatever runs beside them' cmp three out
run "$gen" -j -q --temperature 2 --seed 5 --max-tokens 6 <in.jsonl
is 'sample 0 is the single answer' "$(jq -c .text out)" "$(jq -c 'select(.sample == 0) | .text' three)"
run "$gen" -j -q --seed random --max-tokens 2 <in.jsonl
ok '--seed random writes the seed' test "$(jq .seed out | sort -u)" != 0

printf '%s\n' '{"prompt":"x", "error":{"code":"tool"},"k":1}' '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]  }' >pass.jsonl
run "$gen" -j <pass.jsonl
is 'records with an error or an answer pass untouched' $status 0
ok '... byte for byte' cmp pass.jsonl out
run "$gen" -j --null-out <pass.jsonl
is '... ended as wanted' "$(tr -cd '\0' <out | wc -c)" 2
run "$gen" -j -q --prefill --max-tokens 3 <pass.jsonl
is '--prefill goes on with the turn' "$(sed -n 2p out | jq -c 'has("text")')" true
echo '{"prompt":"a","schema":{"not":{}}}' >in
run "$gen" -j -q <in
is 'a keyword that cannot be enforced is refused, not ignored' "$(jq -r .error.code out)" schema
echo '{"messages":[{"role":"user","content":[{"type":"image","path":"x.png"}]}]}' >in
run "$gen" -j -q <in
is 'media are refused' "$(jq -r .error.code out)" media

# A record starts when its newline arrives: no end of input is needed.
mkfifo asks answers
"$gen" -j --max-tokens 2 <asks >answers 2>err &
pid=$!
exec 4>asks 5<answers
echo '{"prompt":"a b","q":1}' >&4
read -r got <&5
is 'an answer before the input ends' "$(echo "$got" | jq .q)" 1
echo '{"prompt":"a b","q":2}' >&4
read -r got <&5
is 'and another' "$(echo "$got" | jq .q)" 2
exec 4>&-
wait $pid
is 'then the end' $? 0
printf '\357\273\277{"id":1,"prompt":"a"}\r\n{"id":2,"prompt":"b"}\r\n' >in.jsonl
run "$gen" -j --max-tokens 2 <in.jsonl
is 'a byte order mark and CRLF' "$status $(jq -c .id out | paste -sd,) $(head -c 5 out)" '0 1,2 {"id"'
printf 'yes\r\nno\r\n' >labels
run "$gen" --choices labels a </dev/null
is 'choices of a file with CRLF' "$status $(grep -cx 'yes\|no' out)" '0 1'
done_testing
