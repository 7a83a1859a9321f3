#!/bin/sh
# The Vulkan device on what Mesa's CPU device is not (tests/fault/vulkan.c stands in front of it): a card with memory of its
# own, small workgroups and memory full of NaNs; and a device that fails: lost, out of memory, hung.  In make check a sample of
# the calls fails, with G4_TEST_FULL=1 each in its turn.
. tests/lib.sh

loader=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n 's/.*libvulkan\.so\.1 .*=> //p' | head -1)
"$gen" --list-devices | grep -q '^vulkan:.*llvmpipe' || { echo '1..0 # SKIP no Vulkan CPU device here (mesa-vulkan-drivers)'; exit; }
mkdir shim && ln -s "$build/tests/fault/vulkan.so" shim/libvulkan.so.1
export SHIM_VULKAN="$loader" LD_LIBRARY_PATH="$PWD/shim${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export ASAN_OPTIONS=detect_leaks=0 # what a lost device holds cannot be given back

# ---- a card ----
export SHIM_CARD=1
ask() { # ask MODEL DEVICE [OPTION...]: ten tokens
    model=$1 device=$2
    shift 2
    run "$gen" -m "$data/text/$model" -d "$device" --raw-prompt --max-tokens 10 --no-stdin "$@" "a text to go on with"
}
run "$gen" --list-devices
like "a card is listed as one" "$(cat out)" '^vulkan:0  Paper Card 9000 .*discrete, 1.0 GiB'
for model in g4-dense g4-moe g4-edge; do
    ask $model ref
    want=$(cat out)
    ask $model vulkan
    is "$model on it: the reference's text" "$(cat out)" "$want"
done
ask g4-edge vulkan:0 -v
is "by number" "$(cat out)" "$want"
SHIM_HEAP=60000000 ask g4-edge vulkan -v
is "with memory for a part of the model: the same text" "$(cat out)" "$want"
if [ "${G4_TEST_FULL:-}" ]; then
    cd "$top"
    for t in ops/rows ops/pick ops/attend ops/vk_moe ops/vk_limits vectors/vk_paths vectors/text; do
        env -u G4_TEST_FULL G4_TEST_ONLY_GPU=1 G4_TEST_VULKAN=vulkan "$build/tests/$t.t" >"$tmp/log" 2>&1
        is "$t on it" $? 0
        grep '^not ok' "$tmp/log" | head -3 | sed 's/^/# /'
    done
    cd "$tmp"
fi

# ---- a device that fails ----
seq 1 3 | sed 's/.*/{"id":&,"prompt":"number &"}/' >in.jsonl
records() {
    run timeout 60 "$gen" -j -m "$data/text/g4-edge-q/g4-edge-q-Q4_0.gguf" -d vulkan --max-tokens 4 --raw-prompt -P 2 <in.jsonl
}
records
cp out whole
is "three records" "$(wc -l <whole)" 3

# The Nth CALL gives RES: status 4, one line that says why, and what was written is whole; or nobody minded.
fault() { # fault CALL N RES
    rm -f mark
    SHIM_FAIL=$1:$2:$3 SHIM_MARK=mark records
    [ -f mark ] || return 1
    bad=
    case $status in
    0) cmp -s out whole || bad="status 0 and other records" ;;
    4) [ "$(grep -c '^g4-gen: ' err)" -ge 1 ] || bad="no message: $(head -1 err)" ;;
    *) bad="status $status: $(head -1 err)" ;;
    esac
    jq -c 'select(.error | not)' <out 2>jq-err | grep -vxFf whole >other && bad="$bad, a record that is another: $(head -1 other)"
    [ -s jq-err ] && bad="$bad, a line that is not JSON"
    [ "$bad" ] && echo "# $1:$2:$3: $bad"
    [ -z "$bad" ]
}
faults() { # faults CALL RES STEP FULL: from the first call on, every STEPth, in the full run every FULLth
    at=1 worst=0 n_fault=0 step=$3
    [ "${G4_TEST_FULL:-}" ] && step=$4
    while :; do
        fault "$1" $at "$2" || { [ -f mark ] || break; worst=1; }
        n_fault=$((n_fault + 1))
        at=$((at + step))
    done
    is "$n_fault times $1 gives $2: status 4 or the same records, all of them whole" "$worst" 0
    ok "and it happened" test $n_fault -gt 0
}
faults QueueSubmit -4 40 1
faults GetSemaphoreCounterValue -4 3000 300
faults AllocateMemory -2 4 1
faults CreateBuffer -1 8 1
faults CreateComputePipelines -2 9 1
faults CreateDescriptorPool -2 1 1
faults BeginCommandBuffer -1 45 1
faults MapMemory -5 2 1
faults CreateDevice -3 1 1

SHIM_FAIL=QueueSubmit:60:-4 records
like "a lost device" "$(cat err)" "the device 'Paper Card 9000' was lost while"
SHIM_FAIL=AllocateMemory:2:-2 records
like "no memory" "$(cat err)" "the device 'Paper Card 9000' has no memory left"
G4_VK_TIMEOUT=1 SHIM_FAIL=QueueSubmit:60:1000 records
is "a submission that never ends: status 4" "$status" 4
like "and why" "$(cat err)" "the device 'Paper Card 9000' hangs: no answer for 1 s"
SHIM_FAIL=CreateDevice:1:-3 ask g4-dense auto
is "a GPU that cannot be opened: auto takes the CPU" "$status" 0
done_testing
