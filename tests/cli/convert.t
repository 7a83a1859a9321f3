#!/bin/sh
# g4-pull --convert and --quantize: what is written, what is refused, and what a
# run that is cut short leaves behind.
. tests/lib.sh
pull=${gen%g4-gen}g4-pull
[ -x "$pull" ] || { echo "1..0 # SKIP g4-pull is not built"; exit 0; }
folder=$data/text/gemma3-270m

# A folder becomes a file that generates the same tokens.
run "$pull" --convert "$folder" --to own.gguf
is "a folder converts in silence: status" "$status" 0
is "nothing on stdout" "$(cat out err)" ""
"$gen" -m "$folder" -d ref --no-stdin --temperature 0 --max-tokens 24 'the system' >want
"$gen" -m own.gguf -d ref --no-stdin --temperature 0 --max-tokens 24 'the system' >got
ok "the file generates what the folder does" cmp -s want got

run "$pull" --convert "$folder" --to one.gguf --quantize q8_0 -t 1
run "$pull" --convert "$folder" --to two.gguf --quantize q8_0 -t 2
ok "the bytes do not depend on the number of threads" cmp -s one.gguf two.gguf
run "$pull" --convert own.gguf --to three.gguf --quantize Q8_0
ok "quantising the converted file gives the same" cmp -s one.gguf three.gguf

run "$pull" --convert "$folder" --to e.gguf --quantize q4_0 --json
like "--json: the done event" "$(tail -1 out)" '^{"event":"done","path":"e.gguf","bytes":[0-9]*,"types":{.*"Q4_0":[0-9]*.*},"on_grid":0\.[0-9]*}$'
run "$pull" --convert "$folder" --to p.gguf --quantize q8_0 --print-path
is "--print-path" "$(cat out)" "p.gguf"
run "$pull" --quantize help
like "--quantize help lists the types" "$(cat out)" '^q4_k_m '

# Refusals, and what they leave.
refused() { # NAME STATUS PATTERN ARGUMENT...
    name=$1 want=$2 pattern=$3
    shift 3
    run "$pull" "$@"
    is "$name: status" "$status" "$want"
    like "$name: the message" "$(cat err)" "$pattern"
}
refused "no --to" 2 "wants --to" --convert "$folder"
refused "standard output" 2 "wants a file" --convert "$folder" --to -
refused "no --convert" 2 "wants --convert" --quantize q8_0 --to x.gguf
refused "a file that is there" 2 "is there already" --convert "$folder" --to own.gguf
refused "an unknown type" 2 "no type 'q9'" --convert "$folder" --to x.gguf --quantize q9
refused "an unknown type of the embedding" 2 "no type 'q9'" --convert "$folder" --to x.gguf --quantize q8_0 --embd q9
refused "a folder that is none" 3 "nowhere" --convert nowhere --to x.gguf
refused "a quantised source" 2 "quantised already" --convert one.gguf --to x.gguf --quantize q4_0
refused "an architecture without a GGUF" 3 "VaultGemma" --convert "$data/text/vaultgemma" --to x.gguf
refused "a target that cannot be made" 4 "cannot create" --convert "$folder" --to nowhere/x.gguf
refused "an importance matrix that is none" 3 "no importance matrix" --convert "$folder" --to x.gguf --quantize q4_0 --imatrix "$folder/config.json"
run "$pull" --convert one.gguf --to r.gguf --quantize q4_0 --requantize
is "--requantize" "$status" 0
run "$pull" --convert "$folder" --to own.gguf --force
is "--force" "$status" 0

cp -r "$folder" eyes
chmod -R u+w eyes
python3 - eyes/model.safetensors <<'END'
import json, struct, sys
with open(sys.argv[1], "rb") as f:
    head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    data = f.read()
head["vision_tower.patch.weight"] = {"dtype": "F32", "shape": [2, 2], "data_offsets": [len(data), len(data) + 16]}
text = json.dumps(head).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(text)) + text + data + bytes(16))
END
run "$pull" --convert eyes --to eyes.gguf
like "a checkpoint with eyes: what is left out is said" "$(cat err)" '1 tensors for images and sound are left out'
"$gen" -m eyes.gguf -d ref --no-stdin --temperature 0 --max-tokens 24 'the system' >got
ok "its text model is the same" cmp -s want got

for q in '"quantization_config":{"quant_method":"compressed-tensors","format":"pack-quantized"}' '"quantization_config":{"quant_algo":"NVFP4"}' \
    '"quantization":{"group_size":64,"bits":4}'; do
    rm -rf packed
    cp -r "$folder" packed
    chmod -R u+w packed
    sed "s/{/{$q,/;q" "$folder/config.json" >packed/config.json
    sed 1d "$folder/config.json" >>packed/config.json
    case $q in *compressed*) word=compressed-tensors ;; *NVFP4*) word=quantization_config ;; *) word=MLX ;; esac
    refused "a packed checkpoint" 3 "quantised already ($word)" --convert packed --to x.gguf
    is "in one line" "$(wc -l <err)" 1
done

# A value no type can hold is named, and no file appears.
mkdir bad
cp "$folder"/* bad/
chmod -R u+w bad
size=$(wc -c <bad/model.safetensors)
printf '\300\177' | dd of=bad/model.safetensors bs=1 seek=$((size - 2)) conv=notrunc 2>/dev/null # the last bf16: NaN
refused "a NaN" 3 "holds -*nan in row" --convert bad --to nan.gguf --quantize q8_0
ok "and no file, whole or part" sh -c '! ls | grep -q nan'

# A folder that lacks what its config.json promises.
cp "$folder/model.safetensors" bad/
sed -i 's/"num_hidden_layers": *[0-9]*/"num_hidden_layers": 7/; s/"layer_types"/"types"/' bad/config.json
refused "a layer that is not there" 3 "layers.6" --convert bad --to short.gguf
ok "and no file" sh -c '! ls | grep -q short'

# A full disk: said before the work, and nothing is left.
(ulimit -f 8; "$pull" --convert "$folder" --to full.gguf >out 2>err)
is "no room: status" "$?" 4
like "no room: the message" "$(cat err)" "cannot make room"
ok "no room: nothing is left" sh -c '! ls | grep -q full'

# Memory stays small beside a file of half a gigabyte.
weights=$user_cache/g4-test/gemma3-270m.gguf
if [ -f "$weights" ] && [ -x "$build/tests/bench/spawn" ]; then
    mb=$("$build/tests/bench/spawn" -m "$pull" -q --convert "$weights" --to big.gguf --quantize bf16 --requantize | awk '$1 == "anon_mb" { print int($2) }')
    is "half a gigabyte is written" "$(($(wc -c <big.gguf) / 1000000))" 542
    ok "in ${mb:-?} MB of memory of its own (bound 64)" test "${mb:-99}" -lt 64
    rm -f big.gguf
else
    skip "memory" "no Gemma 3 270M (tests/fetch-weights), or no tests/bench/spawn"
fi
done_testing
