#!/bin/sh
# --resume: after kill -9 at any point the result is byte for byte that of an
# unbroken run.  G4_KILLS kills (3 in make check).
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$base_model"
kills=${G4_KILLS:-3}
[ -z "${G4_TEST_FULL:-}" ] || kills=${G4_KILLS:-50}
for i in $(seq 1 120); do
    case $((i % 20)) in
    7) echo "bad $i" ;;
    9) echo "{\"prompt\":$i}" ;;
    *) echo "{\"id\":$i,\"prompt\":\"a b c $i\",\"options\":{\"max_tokens\":$((i % 7 * 3 + 1))}}" ;;
    esac
done >in.jsonl
run "$gen" -q -j -P 4 -n 2 <in.jsonl
cp out want
is 'an unbroken run' $status 1
begin=$(date +%s%N)
run "$gen" -q -j -P 4 -n 2 --resume whole <in.jsonl
took=$((($(date +%s%N) - begin) / 1000000))
is '--resume in one go' "$status $(wc -c <out)" '1 0'
ok '... the same bytes' cmp want whole

# Each round is killed after a random part of the time a whole run takes; when
# one gets to its end the next begins anew.
killed=0
rounds=0
wrong=
seed=$$
while [ $killed -lt "$kills" ] && [ $rounds -lt $((kills * 6)) ]; do
    rounds=$((rounds + 1))
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    "$gen" -q -j -P 4 -n 2 --resume part <in.jsonl 2>err &
    pid=$!
    sleep "$(awk "BEGIN { print $took / 1000 * ($seed % 1000) / 1600 }")"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    case $? in
    137) killed=$((killed + 1)) ;;
    1)
        cmp -s want part || wrong="$wrong $rounds"
        rm -f part part.g4
        ;;
    *) wrong="$wrong $rounds(status)" ;;
    esac
done
run "$gen" -q -j -P 4 -n 2 --resume part <in.jsonl
is "after $killed kills in $rounds runs" "$status$wrong" 1
ok '... the same bytes' cmp want part

cp part torn
cp part.g4 torn.g4
printf '{"id":7,"te' >>torn
printf '99 88 0' >>torn.g4
run "$gen" -q -j -P 4 -n 2 --resume torn <in.jsonl
ok 'torn last lines are cut' cmp want torn

# What an earlier run made of its records counts for the status.
printf '{"prompt":"a b c"}\n{"prompt":"d"}\n' >two.jsonl
run "$gen" -q -j -c 24 --resume cut <two.jsonl
is 'answers that the context cut' $status 5
run "$gen" -q -j -c 24 --resume cut <two.jsonl
is '... are remembered' $status 5

run "$gen" -q -j -n 3 --resume part <in.jsonl
is 'another option is refused' "$status $(cat err)" "2 g4-gen: 'part' was made with other settings: 'samples \"2\"' then, 'samples \"3\"' now"
run "$gen" -q -j -n 2 --top-k 5 --resume part <in.jsonl
is 'one more option' "$status $(cat err)" "2 g4-gen: 'part' was made with other settings: without 'top-k \"5\"'"
run "$gen" -q -j --resume part <in.jsonl
is 'one less' "$status $(cat err)" "2 g4-gen: 'part' was made with other settings: with 'samples \"2\"'"
run "$gen" -q -j -n 2 -m "$(model g4-dense)" --resume part <in.jsonl
is 'another model is refused' $status 2
sed 's/a b c 14/a b d 14/' in.jsonl >other.jsonl
run "$gen" -q -j -n 2 --resume part <other.jsonl
is 'another input is refused' "$status $(grep -c 'record 14 ' err)" '2 1'
head -50 in.jsonl >short.jsonl
run "$gen" -q -j -n 2 --resume part <short.jsonl
is 'a shorter input is refused' $status 2
ok '... and nothing was touched' cmp want part
head -60 in.jsonl >half.jsonl
run "$gen" -q -j -n 2 --resume grow <half.jsonl
run "$gen" -q -j -P 2 -n 2 --resume grow <in.jsonl
ok 'a longer input goes on' cmp want grow
sed 's/"text":"/"text":"x/' part >edited && cp part.g4 edited.g4
run "$gen" -q -j -n 2 --resume edited <in.jsonl
is 'a changed output is refused' $status 2
echo content >foreign
run "$gen" -q -j --resume foreign <in.jsonl
is 'a file that is no output of ours is refused' "$status $(cat foreign)" '2 content'
run "$gen" -q -j --resume ./nodir/out <in.jsonl
is 'an output that cannot be made' $status 4

run "$gen" -q -j -n 2 -P 4 --resume part --retry-errors <in.jsonl
is '--retry-errors makes failed records again' $status 1
ok '... in their places' cmp want part
is '... and leaves two files' "$(ls part* | paste -sd,)" part,part.g4
run "$gen" -q -j -n 2 -P 4 --resume part <in.jsonl
ok '... that a run goes on from' cmp want part

exec 9<part
flock -x 9
run "$gen" -q -j -n 2 --resume part <in.jsonl
is 'a locked output' "$status $(grep -c 'in use' err)" '4 1'
exec 9<&-
run "$gen" -q -j --unordered -P 8 --resume loose <in.jsonl
run "$gen" -q -j -P 8 --resume loose --unordered <in.jsonl
is '--unordered with --resume' "$(wc -l <loose)" 120
done_testing
