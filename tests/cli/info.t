#!/bin/sh
# g4-pull --info: what is said of models of each container, as text and as a record.
. tests/lib.sh
pull=${gen%g4-gen}g4-pull
[ -x "$pull" ] || { echo "1..0 # SKIP g4-pull is not built"; exit 0; }
command -v jq >/dev/null || { echo "1..0 # SKIP jq is not installed"; exit 0; }

cp -r "$data/text/g4-edge" edge && chmod -R u+w edge
printf -- '---\nlicense: apache-2.0\ntags:\n- x\n---\n# A card\n' >edge/README.md
printf '<|turn>{{ messages }}' >edge/chat_template.jinja
run "$pull" --info edge
is "a folder: status" "$status" 0
like "its licence" "$(cat out)" 'license *apache-2.0$'
like "its layers" "$(cat out)" 'layers *10: 2 see everything, 8 a window of 10$'
like "layers that share" "$(cat out)" '5 layers read the keys and values of others'
like "memory at its context" "$(cat out)" 'at 4096 *CPU .* MB, GPU .* MB'
like "its chat format" "$(cat out)" 'chat *gemma4'

run "$pull" --convert edge --to edge.gguf --quantize q8_0
run "$pull" --info --json edge edge.gguf
is "a record each" "$(wc -l <out)" 2
is "the folder's template, whole" "$(sed -n 1p out | jq -r .chat_template)" '<|turn>{{ messages }}'
is "the file has the same licence, template and hyper-parameters" \
    "$(sed -n 1p out | jq -c '[.license,.chat_template,.chat_format,.hyper_parameters,.sampling]')" \
    "$(sed -n 2p out | jq -c '[.license,.chat_template,.chat_format,.hyper_parameters,.sampling]')"
is "tensor types sum up to the bytes" "$(sed -n 2p out | jq '[.tensors[].bytes] | add')" "$(sed -n 2p out | jq .bytes)"
is "feed-forward lengths layer by layer" "$(sed -n 2p out | jq -c .hyper_parameters.feed_forward)" '[32,32,32,32,32,64,64,64,64,64]'
is "a GPU leaves the per-layer table in main memory" "$(sed -n 2p out | jq '.memory[0] | .cpu - .gpu == .gpu_host and .gpu_host > 0')" true
run "$pull" --info --json -c 100 edge
is "-c: the cache of that length is smaller" "$(jq '.memory[0].context' out)" 100

run "$pull" --info nowhere
is "no such model: status" "$status" 3
run "$pull" --info
is "no name: status" "$status" 2
run "$pull" --info --json "$data/quants/quants.gguf"
is "no model g4 runs: said, not failed" "$status $(jq 'has("unsupported")' out)" "0 true"
done_testing
