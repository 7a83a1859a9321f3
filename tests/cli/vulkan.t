#!/bin/sh
# The Vulkan device from the command line: choosing it, its memory, its faults, its cache on disk.  Runs on Mesa's CPU
# device, which is taken by name only.
. tests/lib.sh

dev=vulkan:llvmpipe
ask() { # ask DEVICE [OPTION...]: ten tokens of a tiny model
    device=$1
    shift
    run "$gen" -m "$data/text/g4-dense" -d "$device" --raw-prompt --max-tokens 10 --no-stdin "$@" "a text to go on with"
}
run "$gen" --list-devices
if ! grep -q '^vulkan:[0-9]  llvmpipe' out; then
    echo "1..0 # SKIP no Vulkan CPU device here (mesa-vulkan-drivers)"
    exit 0
fi
like "the device is listed with its features" "$(cat out)" 'llvmpipe.*subgroup 8.*int8 dot.*matrices none; kernels: tiled'
run "$gen" --list-devices -v
uuid=$(sed -n 's/^ *uuid \([0-9a-f]*\),.*/\1/p' out | head -1)

ask ref
want=$(cat out)
ask $dev
is "by name: the reference's text" "$(cat out)" "$want"
ask "vulkan:$uuid"
is "by UUID: the same" "$(cat out)" "$want"
G4_DEVICE=$dev run "$gen" -m "$data/text/g4-dense" --raw-prompt --max-tokens 10 --no-stdin -v "a text to go on with"
is "by G4_DEVICE: the same" "$(cat out)" "$want"
like "and -v names it" "$(cat err)" 'on vulkan llvmpipe'
ask vulkan:0
is "a CPU device is not taken by number" "$status" 2
ask vulkan:nosuch
is "an unknown name: status 2" "$status" 2
like "and a message that helps" "$(cat err)" "no Vulkan device named 'nosuch' here (--list-devices shows them)"
if ! ls /dev/dri/renderD* /dev/nvidia0 >/dev/null 2>&1; then
    ask vulkan
    is "no GPU: status 4" "$status" 4
    like "and what to do" "$(cat err)" "by name (-d vulkan:llvmpipe)"
    ask auto
    is "auto takes the CPU then" "$status" 0
fi
export VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent
ask $dev
is "no driver: status 4" "$status" 4
is "and one line" "$(wc -l <err)" 1
run "$gen" --list-devices -v
like "--list-devices -v says why" "$(cat out)" '^vulkan  none: '
ask auto
is "everything else runs" "$status" 0
unset VK_ICD_FILENAMES VK_DRIVER_FILES

# ---- paths and memory ----
for off in all f16,storage16,int16; do
    G4_VK_DISABLE=$off ask $dev
    is "without $off: the same text" "$(cat out)" "$want"
done
G4_VK_ENABLE=subgroup ask $dev
is "with subgroup: the same text" "$(cat out)" "$want"
for n in 0 1 3 100; do
    ask $dev --gpu-layers $n
    is "--gpu-layers $n: the same text" "$(cat out)" "$want"
done
ask $dev --gpu-layers many
is "--gpu-layers many: status 2" "$status" 2
records() { # records [OPTION...]: three records
    seq 1 3 | sed 's/.*/{"prompt":"number &"}/' >in.jsonl
    run "$gen" -j -m "$data/text/g4-dense" -d $dev --max-tokens 6 --raw-prompt "$@" <in.jsonl
}
records
cp out whole
G4_VK_MEMORY=42000000 records -P 32 -v
is "a GPU too small for the model: the same records" "$(cat out)" "$(cat whole)"
like "in part on the CPU, and it says so" "$(cat err)" 'the last [1-5] of 6 layers run on the GPU (more do not fit its memory), the others on the CPU'
G4_VK_MEMORY=1000000 records -v
is "one without room at all: the same records" "$(cat out)" "$(cat whole)"

# ---- types without a kernel ----
"$build/g4-pull" --convert "$data/text/g4-edge-q/g4-edge-q-Q8_0.gguf" --requantize --to q3.gguf --quantize q3_k_m >/dev/null 2>err
for d in ref $dev; do
    run "$gen" -m q3.gguf -d $d --raw-prompt --max-tokens 10 --no-stdin -v "a text to go on with"
    cp out "q3-$d"
done
is "a Q3_K file: the reference's text" "$(cat "q3-$dev")" "$(cat q3-ref)"
like "-v says what was encoded anew" "$(cat err)" "re-encoded from Q3_K to Q6_K for the GPU"
run "$gen" -m q3.gguf -d $dev --raw-prompt --max-tokens 10 --no-stdin "a text to go on with"
is "without -v nothing is said" "$(grep -c re-encoded err)" 0

# ---- faults ----
export ASAN_OPTIONS=detect_leaks=0 # what a hung device holds cannot be given back
G4_VK_TIMEOUT=0.00001 ask $dev
is "a device that does not answer: status 4" "$status" 4
like "one clear message" "$(cat err)" "the device 'llvmpipe.*' hangs: no answer for 1e-05 s"
G4_VK_TIMEOUT=0.00001 records
is "records: status 4" "$status" 4
is "what was written is whole" "$(jq -c 'has("id") or true' <out | sort -u | grep -vc true)" 0

# ---- real weights ----
weights=$user_cache/g4-test/gemma3-270m.gguf
if [ -n "${G4_TEST_FULL:-}" ] && [ -f "$weights" ]; then
    for d in ref $dev; do
        "$gen" -m "$weights" -d $d --max-tokens 16 --temperature 0 --no-stdin 'The capital of France is' >"real-$d" 2>err
    done
    is "Gemma 3 270M, a prompt and 16 tokens: the reference's text" "$(cat "real-$dev")" "$(cat real-ref)"
    ok "and that is some text" test -s "real-$dev"
else
    skip "Gemma 3 270M" "with G4_TEST_FULL=1, and weights fetched"
fi

# ---- the cache on disk ----
cache=$(echo "$XDG_CACHE_HOME"/g4/vulkan-*)
ok "pipelines are kept on disk" test -s "$cache"
echo broken >"$cache"
ask $dev
is "a broken cache is a miss" "$(cat out)" "$want"
ok "and is written anew" test "$(wc -c <"$cache")" -gt 10
XDG_CACHE_HOME=/proc ask $dev
is "nowhere to put it: still runs" "$status" 0
rm -f "$cache"
for i in 1 2; do
    "$gen" -m "$data/text/g4-dense" -d $dev --raw-prompt --max-tokens 10 --no-stdin "a text to go on with" >out$i 2>err$i &
    eval pid$i=\$!
done
wait $pid1 && wait $pid2
is "two processes at once" "$(cat out1 out2)" "$(printf '%s\n' "$want" "$want")"
"$gen" -m "$data/text/g4-dense" -d $dev --raw-prompt --max-tokens 5000 --no-stdin "a text to go on with" >out1 2>err1 &
pid1=$!
sleep 0.5
kill -9 $pid1
wait $pid1 2>/dev/null
is "a killed process leaves nothing" "$(ls "$XDG_CACHE_HOME/g4" | grep -vc '^vulkan-[0-9a-f]*$')" 0
ask $dev
is "and the next one runs" "$(cat out)" "$want"

done_testing
