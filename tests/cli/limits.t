#!/bin/sh
# Sampling and limits as a user meets them.
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$base_model"
ask() { run "$gen" --json -q "$@" </dev/null; }

ask --max-tokens 6 --temperature 0 'a b'
greedy=$(jq -r .text out)
ask --max-tokens 6 --top-k 1 --temperature 1.5 'a b'
is '--top-k 1 is greedy' "$(jq -r .text out)" "$greedy"
for o in '--top-p 0.000001' '--min-p 1'; do
    ask --max-tokens 6 --temperature 1 --top-k 0 $o 'a b'
    is "$o is greedy" "$(jq -r .text out)" "$greedy"
done
ask --max-tokens 20 --temperature 5 --top-k 0 'a b'
one=$(jq -r .text out)
ask --max-tokens 20 --temperature 5 --top-k 0 --seed 1 'a b'
ok '--seed matters' test "$one" != "$(jq -r .text out)"
is 'the seed is written' "$(jq .seed out)" 1
ask --max-tokens 30 --temperature 0 'a b'
text=$(jq -r .text out)
stop=$(printf '%s' "$text" | cut -c 4-5)
ask --max-tokens 30 --temperature 0 --stop "$stop" 'a b'
is '--stop' "$(jq -r .text out) $(jq -r .finish_reason out)" "${text%%"$stop"*} stop"
ask --max-time 0.001 --max-tokens 30000 'a b'
is '--max-time' "$status $(jq -r .error.code out)" '1 limit'
long=$(seq 1 400 | tr '\n' ' ')
ask -c 64 "$long"
is 'too long for the context' "$status $(jq -r .error.code out)" '1 context'
for where in head middle tail; do
    echo "$long" >doc
    run "$gen" --json -q -c 64 --max-tokens 4 --truncate $where say <doc
    is "--truncate $where" "$status $(jq '.usage.prompt_tokens <= 60' out)" '0 true'
done
ask --max-tokens 4 --logprobs 2 --temperature 0 'a b'
is '--logprobs' "$(jq -c '.logprobs.content | [length, (.[0].top_logprobs | length), (.[0].logprob < 0)]' out)" '[4,2,true]'
ask --max-tokens 1 --echo 'a b'
ok '--echo: the prompt too' test "$(jq '[.logprobs | .. | objects | select(has("logprob"))] | length' out)" -gt 1
ask --max-tokens 4 --kv-type f32 'a b'
is '--kv-type f32' $status 0
ask --max-tokens 4 -t 1 -P 1 -d ref 'a b'
is '-d ref' $status 0
run "$gen" --list-devices
is '--list-devices' "$status $(grep -c '^cpu ' out) $(grep -c '^ref ' out)" '0 1 1'
done_testing
