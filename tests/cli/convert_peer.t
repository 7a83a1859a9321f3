#!/bin/sh
# What is converted and quantised here, in llama.cpp's hands (LLAMA_BENCH=path: llama-bench or its folder): it
# loads, it generates what it should, and it scores like the file that llama-quantize makes.
. tests/lib.sh
pull=${gen%g4-gen}g4-pull
weights=$user_cache/g4-test/gemma3-270m.gguf
[ -n "${LLAMA_BENCH:-}" ] || { echo "1..0 # SKIP LLAMA_BENCH names no llama.cpp to compare with"; exit 0; }
peer=$LLAMA_BENCH
[ -d "$peer" ] || peer=$(dirname "$peer")
for p in llama-completion llama-quantize llama-perplexity; do
    [ -x "$peer/$p" ] || { echo "1..0 # SKIP no $p in '$peer'"; exit 0; }
done
export LD_LIBRARY_PATH="$peer"

# Tiny models of each architecture, from folders.  Where both programs print letters they are the same ones (end
# tokens and bytes that are no UTF-8 are shown differently); the files' bytes are compared by tests/vectors/convert.
for m in gemma2 gemma3 gemma3-270m gemma3-scale g4-dense g4-edge g4-moe g4-unified; do
    "$pull" -q --convert "$data/text/$m" --to tiny.gguf --quantize f32 --force
    "$peer/llama-completion" -m tiny.gguf -n 12 -no-cnv --temp 0 --no-display-prompt -t 1 -fa off -p 'the system' >theirs 2>log </dev/null
    is "$m: llama.cpp loads it" "$?" 0
    "$gen" -m "$data/text/$m" -d ref --no-stdin --temperature 0 --max-tokens 12 'the system' >ours
    theirs=$(tr -cd 'a-z' <theirs | cut -c1-12)
    is "$m: what it prints is what the folder gives here" "$theirs" "$(tr -cd 'a-z' <ours | head -c ${#theirs})"
done

[ -f "$weights" ] || { skip "real weights" "no Gemma 3 270M (tests/fetch-weights)"; done_testing; exit; }
"$pull" -q --convert "$weights" --to bf16.gguf --quantize bf16 --requantize
is "Gemma 3 270M, widened to bf16" "$?" 0
sed 's/^\.[A-Z][a-z].*//; s/\\[a-zA-Z&-]*//g' "$top/man/g4-gen.1" | grep . | head -150 >text
# ask FILE OPTION...: what llama-perplexity says over two chunks of 256 tokens
ask() {
    file=$1
    shift
    "$peer/llama-perplexity" -m "$file" -f text -c 256 --chunks 2 -t "${THREADS:-2}" --kl-divergence-base base.kld "$@" >log 2>&1 </dev/null
}
divergence() { # FILE: from bf16
    ask "$1" --kl-divergence
    sed -n 's/^Mean *KLD: *\([0-9.]*\) .*/\1/p' log
}
ask bf16.gguf
like "it scores" "$(cat log)" 'Final estimate: PPL = [0-9.]* '
for type in q8_0 q4_k_m q4_0; do
    rm -f ours.gguf theirs.gguf
    "$pull" -q --convert bf16.gguf --to ours.gguf --quantize $type
    is "$type: quantised" "$?" 0
    "$peer/llama-quantize" bf16.gguf theirs.gguf "$(echo $type | tr a-z A-Z)" "${THREADS:-2}" >log 2>&1 || cat log
    own=$(divergence ours.gguf)
    other=$(divergence theirs.gguf)
    awk -v o="$own" -v t="$other" 'BEGIN { exit !(o != "" && t != "" && o <= t * 1.01) }'
    _result $? "$type: divergence from bf16 ${own:-none}, of llama-quantize's file ${other:-none}"
done
done_testing
