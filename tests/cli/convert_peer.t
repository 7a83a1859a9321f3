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

# EmbeddingGemma 300M, a real folder: llama.cpp's vectors of what is made of it, beside those that the reference
# implementation computed (tests/data/real), and beside those of llama-quantize's file.
folder=$user_cache/g4-test/embeddinggemma-300m
[ -z "${G4_TEST_FULL:-}" ] || (cd "$top" && XDG_CACHE_HOME=$user_cache tests/fetch-weights embeddinggemma-300m) 2>&1 | sed 's/^/# /'
if [ ! -f "$folder/model.safetensors" ] || [ ! -x "$peer/llama-embedding" ]; then
    skip "EmbeddingGemma" "no tests/fetch-weights embeddinggemma-300m, or no llama-embedding"
    done_testing
    exit
fi
cat >vectors.py <<'END'
import json, math, os, subprocess, sys
def vectors(file):
    texts = [i["prefix"] + i["text"] for i in items]
    out = subprocess.run([sys.argv[1] + "/llama-embedding", "-m", file, "-t", "2", "-p", "<#sep#>".join(texts), "--embd-separator", "<#sep#>",
                          "--embd-output-format", "array"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    return json.loads(out)
def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
items = json.load(open(sys.argv[2]))["items"]
for file in sys.argv[3:]:
    c = [cosine(v, i["embedding"]) for v, i in zip(vectors(file), items)]
    print("%.6f %.6f" % (min(c), sum(c) / len(c)))
END
reference=$data/real/embeddinggemma-300m.json
rm -f *.gguf
"$pull" -q --convert "$folder" --to e-f32.gguf
is "EmbeddingGemma 300M converts" "$?" 0
for type in bf16 q8_0 q4_0; do
    "$pull" -q --convert "$folder" --to e-$type.gguf --quantize $type
    is "and to $type" "$?" 0
done
"$peer/llama-quantize" e-f32.gguf e-theirs.gguf Q4_0 "${THREADS:-2}" >log 2>&1 || cat log
python3 vectors.py "$peer" "$reference" e-f32.gguf e-bf16.gguf e-q8_0.gguf e-q4_0.gguf e-theirs.gguf >cosines 2>err
is "llama.cpp loads them all" "$(wc -l <cosines)" 5
cosine() { # LINE NAME BOUND: the least cosine with the reference
    got=$(sed -n "$1s/ .*//p" cosines)
    awk -v g="$got" -v b="$3" 'BEGIN { exit !(g >= b) }'
    _result $? "$2: least cosine with the reference ${got:-none} (at least $3)"
}
cosine 1 f32 0.99999
cosine 2 bf16 0.9999
cosine 3 q8_0 0.999
own=$(sed -n '4s/.* //p' cosines)
other=$(sed -n '5s/.* //p' cosines)
awk -v o="$own" -v t="$other" 'BEGIN { exit !(o >= t - 0.002) }'
_result $? "q4_0: mean cosine ${own:-none}, of llama-quantize's file ${other:-none}"
done_testing
