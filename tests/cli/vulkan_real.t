#!/bin/sh
# Gemma 3 270M on Vulkan (lavapipe, or G4_TEST_VULKAN), one prompt, 16 tokens: those that `ref` gives, which G4_TEST_FULL=1
# computes too.
. tests/lib.sh

weights=$user_cache/g4-test/gemma3-270m.gguf
device=${G4_TEST_VULKAN:-vulkan:llvmpipe}
want=' the capital of the country of France. It is the largest city in France and'
[ -f "$weights" ] || { echo "1..0 # SKIP no weights in $weights"; exit 0; }

ask() { # ask DEVICE
    run "$gen" -m "$weights" -d "$1" --no-stdin --temperature 0 --max-tokens 16 'The capital of France is'
}
ask "$device"
is status "$status" 0
is "16 tokens on $device" "$(cat out)" "$want"
if [ "${G4_TEST_FULL:-}" ]; then
    ask ref
    is 'the same on ref' "$(cat out)" "$want"
fi
done_testing
