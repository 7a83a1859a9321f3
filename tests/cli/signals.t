#!/bin/sh
# SIGPIPE at once, SIGINT with whole records only.
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$base_model"
yes '{"prompt":"a b c","options":{"max_tokens":40}}' | head -2000 >in.jsonl
whole() { tail -c 1 "$1" | od -An -tx1 | grep -q 0a && jq -es 'all(has("text"))' "$1" >/dev/null; }

{ "$gen" -j -P 4 <in.jsonl 2>err; echo $? >code; } | head -1 >out
is '| head -1 ends it by SIGPIPE' "$(cat code) $(wc -l <out)" '141 1'

# The reader goes while a long record is generated and nothing is written.
{ "$gen" -j <<'END' 2>err; echo $? >code; } | head -c 0
{"prompt":"a b c","options":{"max_tokens":30000}}
END
is 'also while nothing is written' "$(cat code)" 141

# A shell starts background jobs with SIGINT ignored: perl gives it back.  For use in the background only: it execs.
int() { exec perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' "$@"; }
some() { [ "$(wc -l <out)" -ge "$1" ]; }
for sig in 2 15; do
    : >out
    int "$gen" -j -P 4 <in.jsonl >out 2>err &
    pid=$!
    wait_for some 3
    kill -$sig $pid
    wait $pid
    is "signal $sig ends it by the signal" $? $((128 + sig))
    ok "signal $sig: whole records only" whole out
done
# 4096 tokens take two thirds of a second: on a busy machine they may be there before the signal is.
for try in 1 2 3 4 5; do
    : >out
    int "$gen" -d ref -t 1 --max-tokens 30000 'a b' </dev/null >out 2>err &
    pid=$!
    wait_for test -s out
    kill -INT $pid 2>/dev/null
    wait $pid
    code=$?
    [ $code = 130 ] && break
done
is 'SIGINT in text mode' $code 130

mkfifo never
int "$gen" -j <never >out 2>err &
pid=$!
exec 4>never
sleep 0.2
kill -INT $pid
wait $pid
is 'SIGINT while it waits for input' $? 130
exec 4>&-
done_testing
