#!/bin/sh
# Quantising beside llama-quantize: the same bf16 file, the same threads, in pairs; the ratio is of the medians.
#   LLAMA_BENCH=path (llama-bench or its folder)   PAIRS=3 THREADS=2   TYPES="q8_0 q6_k q4_k_m q4_0"
set -u
cd "$(dirname "$0")/../.."
bin=${G4_BUILD:-build}
weights=${XDG_CACHE_HOME:-$HOME/.cache}/g4-test/gemma3-270m.gguf
tmp=$(mktemp -d) || exit 4
trap 'rm -rf "$tmp"' EXIT
"$bin/tests/bench/quantize"
[ -f "$weights" ] || { echo "bench: no Gemma 3 270M, so no file to quantise (tests/fetch-weights)" >&2; exit 0; }
peer=${LLAMA_BENCH:-}
[ -z "$peer" ] || [ -d "$peer" ] || peer=$(dirname "$peer")
[ -z "$peer" ] || [ -x "$peer/llama-quantize" ] || { echo "bench: no llama-quantize in '$peer'" >&2; exit 2; }
threads=${THREADS:-2}
"$bin/tests/bench/quantize" "$weights" "$tmp/bf16.gguf" bf16 -t "$threads" >/dev/null || exit 1
now() { date +%s.%N; }
for type in ${TYPES:-q8_0 q6_k q4_k_m q4_0}; do
    : >"$tmp/own"
    : >"$tmp/peer"
    i=0
    while [ $i -lt "${PAIRS:-3}" ]; do
        i=$((i + 1))
        "$bin/tests/bench/quantize" "$tmp/bf16.gguf" "$tmp/out.gguf" "$type" -t "$threads" >>"$tmp/own" || exit 1
        [ -n "$peer" ] || continue
        rm -f "$tmp/out.gguf" # both write a new file
        from=$(now)
        LD_LIBRARY_PATH=$peer "$peer/llama-quantize" "$tmp/bf16.gguf" "$tmp/out.gguf" "$(echo "$type" | tr a-z A-Z)" "$threads" >/dev/null 2>&1 || exit 1
        awk "BEGIN { print $(now) - $from }" >>"$tmp/peer"
        rm -f "$tmp/out.gguf"
    done
    sort -g "$tmp/own" >"$tmp/own.s"
    sort -g "$tmp/peer" >"$tmp/peer.s"
    awk -v type="$type" 'FILENAME ~ /own/ { a[++n] = $1 } FILENAME ~ /peer/ { b[++m] = $1 }
        END { o = a[int((n + 1) / 2)]; p = b[int((m + 1) / 2)]
              printf "quantize %-8s %6.2f s", type, o
              if (m) printf "   llama-quantize %6.2f s   ratio %.2f (%.2f to %.2f, %d pairs)", p, p / o, b[1] / a[n], b[m] / a[1], m
              printf "\n" }' "$tmp/own.s" "$tmp/peer.s"
done
