#!/bin/sh
# One failing call at a time (tests/fault/fault.c), each in its turn: g4-gen ends with a status that says so and a
# message, never by a signal; and where it ends with 0, what it wrote is complete.
# In make check a sample of the calls, in make check-full every one.
n=0
ok() { # ok STATUS NAME
    n=$((n + 1))
    [ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bin=${G4_BUILD:-build}
shim=$PWD/$bin/tests/fault/fault.so
model=tests/data/text/g4-edge-q/g4-edge-q-Q8_0.gguf
[ -x "$bin/g4-gen" ] || { echo '1..0 # SKIP g4-gen is not built'; exit; }
export XDG_CONFIG_HOME="$tmp/config" XDG_CACHE_HOME="$tmp/cache" XDG_DATA_HOME="$tmp/data"
# The shim comes before a sanitizer's runtime, and leaks of a run that broke off are no news.
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0
dense=12
[ -n "${G4_TEST_FULL:-}" ] && dense=100000
printf '{"id":%d,"prompt":"a b c"}\n' 1 2 3 >"$tmp/in.jsonl"
echo 'the text of a document' >"$tmp/doc"

# The ways to run it: each writes $tmp/out.  $pre is what stands before the command.
pre=
text() { $pre "$bin/g4-gen" -m "$model" -t 1 --max-tokens 4 'say' <"$tmp/doc" >"$tmp/out" 2>"$tmp/err"; }
jsonl() { $pre "$bin/g4-gen" -m "$model" -t 1 --max-tokens 4 -j <"$tmp/in.jsonl" >"$tmp/out" 2>"$tmp/err"; }
resume() {
    rm -f "$tmp/res" "$tmp/res.g4"
    $pre "$bin/g4-gen" -m "$model" -t 1 --max-tokens 4 -j --resume "$tmp/res" <"$tmp/in.jsonl" >/dev/null 2>"$tmp/err"
    status=$?
    cp "$tmp/res" "$tmp/out" 2>/dev/null || : >"$tmp/out"
    return $status
}
count() { $pre "$bin/g4-gen" -m "$model" --count <"$tmp/doc" >"$tmp/out" 2>"$tmp/err"; }
tar_() { tar -C "$tmp" -cz doc in.jsonl | $pre "$bin/g4-gen" -m "$model" -t 1 --max-tokens 4 --tar say >"$tmp/out" 2>"$tmp/err"; }

# faults WAY CALL: the 1st, 2nd, ... call of that name fails, until there are no more
faults() {
    way=$1
    call=$2
    "$way"
    clean=$?
    cp "$tmp/out" "$tmp/clean"
    i=0
    tried=0
    wrong=
    step=1
    while :; do
        i=$((i + step))
        [ $i -gt $dense ] && step=$((step + step / 3 + 1)) # after the first ones, ever wider
        rm -f "$tmp/mark"
        pre="timeout 20 env FAULT=$call:$i FAULT_MARK=$tmp/mark LD_PRELOAD=$shim"
        "$way"
        status=$?
        pre=
        [ -e "$tmp/mark" ] || break
        tried=$((tried + 1))
        case $status in
        "$clean") cmp -s "$tmp/out" "$tmp/clean" || wrong="$wrong; $call $i: status $status, but the output differs" ;;
        [0-5]) [ -s "$tmp/err" ] || wrong="$wrong; $call $i: status $status without a message" ;;
        *) wrong="$wrong; $call $i: status $status: $(head -c 200 "$tmp/err" | tr '\n' ' ')" ;;
        esac
    done
    [ $clean = 0 ] && [ -z "$wrong" ]
    ok $? "$way: $tried failures of $call"
    [ -z "$wrong" ] || echo "$wrong" | tr ';' '\n' | sed 's/^/# /' | head -20
    [ $clean = 0 ] || sed 's/^/# /' "$tmp/err"
    total=$((total + tried))
}
total=0
for way in text jsonl resume count tar_; do
    for call in read write close mmap open; do faults $way $call; done
done
faults resume fsync
[ $total -gt 50 ]
ok $? "$total calls failed in all"

for way in text jsonl resume tar_; do
    "$way"
    cp "$tmp/out" "$tmp/clean"
    for short in short-read short-write; do
        pre="timeout 60 env FAULT=$short LD_PRELOAD=$shim"
        "$way"
        status=$?
        pre=
        [ $status = 0 ] && cmp -s "$tmp/out" "$tmp/clean"
        ok $? "$way: a byte a call ($short), same output"
    done
done
echo "1..$n"
