#!/bin/sh
# The caches of other tools, made by hand with what goes wrong in them: g4-pull --list and --where read them in place,
# and nobody is asked over the network.
top_dir=$PWD
. "$top_dir/tests/pull-lib.sh"
gguf m.gguf 100000 1
hex=$(sha m.gguf)
size=$(stat -c %s m.gguf)
where() { "$pull" --where "$1" 2>err; }
listed() { "$pull" --list --json 2>err | jq -r 'select(.place == "'"$1"'") | .name'; }

# ---- Hugging Face ------------------------------------------------------------------------
commit=0123456789abcdef0123456789abcdef01234567
repo=$XDG_CACHE_HOME/huggingface/hub/models--org--repo
mkdir -p "$repo/blobs" "$repo/refs" "$repo/snapshots/$commit/BF16" "$repo/.no_exist/$commit"
cp m.gguf "$repo/blobs/$hex"
printf %s $commit >"$repo/refs/main"
ln -s "../../blobs/$hex" "$repo/snapshots/$commit/m-Q8_0.gguf"
ln -s "../../../blobs/$hex" "$repo/snapshots/$commit/BF16/m-BF16.gguf"
ln -s "../../blobs/gone" "$repo/snapshots/$commit/m-Q4_0.gguf"
ln -s "../../../../../../m.gguf" "$repo/snapshots/$commit/m-Q5_0.gguf"
: >"$repo/.no_exist/$commit/config.json"
printf '{"format_version":1,"files":{}}' >"$repo/blobs/$hex.12345678.incomplete"
is 'the hub'\''s cache: a file by its type' "$(where org/repo:Q8_0)" "$repo/snapshots/$commit/m-Q8_0.gguf"
is 'by its path' "$(where org/repo/BF16/m-BF16.gguf)" "$repo/snapshots/$commit/BF16/m-BF16.gguf"
is 'by its web address' "$(where hf:https://huggingface.co/org/repo/blob/main/m-Q8_0.gguf)" "$repo/snapshots/$commit/m-Q8_0.gguf"
is 'a dangling link is no model' "$(where org/repo:Q4_0)$(grep -c 'data is missing' err)" 1
is 'a link that leads out is no model' "$(where org/repo:Q5_0)$(grep -c 'leads out' err)" 1
is 'neither is listed' "$(listed huggingface | paste -sd' ')" 'org/repo/BF16/m-BF16.gguf org/repo/m-Q8_0.gguf'
is 'its digest is its blob'\''s name' "$("$pull" --list --json | jq -r 'select(.name == "org/repo/m-Q8_0.gguf") | .digest')" "sha256:$hex"
is '--verify' "$("$pull" --verify org/repo:Q8_0)" 'org/repo:Q8_0: ok'
run "$pull" --offline --print-path org/repo:Q8_0
is '--offline finds it' "$status $(cat out)" "0 $repo/snapshots/$commit/m-Q8_0.gguf"

ln -s "../../../blobs/$hex" "$repo/snapshots/$commit/BF16/mmproj-BF16.gguf"
ln -s "../../../../../../m.gguf" "$repo/snapshots/$commit/mtp-m.gguf"
is 'the projector beside a model' "$("$pull" --where --with media org/repo:Q8_0 | tail -1)" "$repo/snapshots/$commit/BF16/mmproj-BF16.gguf"
is 'a drafter that leads out is none' "$("$pull" --where --with drafter org/repo:Q8_0 2>err)$(grep -c 'no drafter here' err)" 1

# ---- Ollama --------------------------------------------------------------------------------
o=$HOME/.ollama/models
mkdir -p "$o/blobs" "$o/manifests/registry.ollama.ai/library/Gemma4" "$o/manifests/hf.co/org/repo"
cp m.gguf "$o/blobs/sha256-$hex"
layer='{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:'$hex'","size":'$size'}'
printf '{"schemaVersion":2,"layers":[%s]}' "$layer" >"$o/manifests/registry.ollama.ai/library/Gemma4/E2B"
cp "$o/manifests/registry.ollama.ai/library/Gemma4/E2B" "$o/manifests/hf.co/org/repo/Q8_0"
sed 's/"size":[0-9]*/"size":7/' "$o/manifests/hf.co/org/repo/Q8_0" >"$o/manifests/registry.ollama.ai/library/Gemma4/torn"
is 'Ollama'\''s store, in any case' "$(where ollama:gemma4:e2b)" "$o/blobs/sha256-$hex"
is 'listed' "$(listed ollama | paste -sd' ')" 'ollama:hf.co/org/repo:Q8_0 ollama:Gemma4:E2B'
is 'by the listed name' "$(where ollama:hf.co/org/repo:Q8_0)" "$o/blobs/sha256-$hex"
cp m.gguf p.gguf && echo >>p.gguf
cp p.gguf "$o/blobs/sha256-$(sha p.gguf)"
projector='{"mediaType":"application/vnd.ollama.image.projector","digest":"sha256:'$(sha p.gguf)'","size":'$(stat -c %s p.gguf)'}'
printf '{"layers":[%s,%s]}' "$projector" "$layer" >"$o/manifests/registry.ollama.ai/library/Gemma4/eyes"
is 'a projector is a layer of its own' "$("$pull" --where --with media ollama:gemma4:eyes | paste -sd' ')" "$o/blobs/sha256-$hex $o/blobs/sha256-$(sha p.gguf)"
rm "$o/manifests/registry.ollama.ai/library/Gemma4/eyes"
is 'a blob of another size' "$(where ollama:gemma4:torn)$(grep -c 'instead of 7' err)" 1
: >"$o/blobs/sha256-$hex-partial"
is 'a blob that is still fetched' "$(where ollama:gemma4:e2b)$(grep -c 'still being downloaded' err)" 1

# ---- Docker ---------------------------------------------------------------------------------
d=$HOME/.docker/models
mkdir -p "$d/blobs/sha256" "$d/manifests/sha256"
cp m.gguf "$d/blobs/sha256/$hex"
echo '{"version":"1.0.0"}' >"$d/layout.json"
echo x >"$d/blobs/sha256/$(printf %064d 1)"
printf '{"models":[{"id":"sha256:a","tags":["ai/gemma4:latest","ai/gemma4:E2B"],"files":["sha256:%064d","sha256:%s"]},{"id":"sha256:b","tags":["ai/torn:1"],"files":["sha256:%064d"]}]}' \
    1 "$hex" 1 >"$d/models.json"
is 'Docker'\''s models' "$(where docker:gemma4)" "$d/blobs/sha256/$hex"
is 'by tag' "$(where docker:ai/gemma4:E2B)" "$d/blobs/sha256/$hex"
is 'listed' "$(listed docker)" docker:ai/gemma4:latest
is 'one without a GGUF' "$(where docker:torn:1)$(grep -c 'no GGUF' err)" 1

# ---- llama.cpp --------------------------------------------------------------------------------
l=$XDG_CACHE_HOME/llama.cpp
mkdir -p "$l"
cp m.gguf "$l/o_r_sub_x.gguf"
printf '{"ggufFile":{"rfilename":"sub/x.gguf","size":%s,"lfs":{"sha256":"%s","size":%s}}}' $size $hex $size >"$l/manifest=o=r=Q4_K_M.json"
printf '{"ggufFile":{"rfilename":"y.gguf","size":9}}' >"$l/manifest=o=r=latest.json"
head -c 5 m.gguf >"$l/o_r_y.gguf"
is 'llama.cpp'\''s older cache' "$(where o/r:Q4_K_M)" "$l/o_r_sub_x.gguf"
is 'listed' "$("$pull" --list --json | jq -c 'select(.place == "llama.cpp") | [.name, .digest]')" "[\"o/r:Q4_K_M\",\"sha256:$hex\"]"
is 'a torn file' "$(where o/r)$(grep -c 'instead of 9' err)" 1

# ---- LM Studio ------------------------------------------------------------------------------------
s=$HOME/.lmstudio/models/pub/Model-GGUF
mkdir -p "$s"
cp m.gguf "$s/Model-Q6_K.gguf"
cp m.gguf "$s/mmproj-Model-F16.gguf"
is 'LM Studio' "$(where pub/Model-GGUF)" "$s/Model-Q6_K.gguf"
is 'listed' "$(listed lmstudio)" pub/Model-GGUF/Model-Q6_K.gguf
is 'its projector' "$("$pull" --where --with media pub/Model-GGUF | tail -1)" "$s/mmproj-Model-F16.gguf"

# ---- RamaLama --------------------------------------------------------------------------------------
r=$XDG_DATA_HOME/ramalama/store
for at in huggingface/org/Repo-GGUF:Q8_0 ollama/library/tiny:1b huggingface/a/b/c.gguf:latest; do
    mkdir -p "$r/${at%:*}/refs" "$r/${at%:*}/blobs" "$r/${at%:*}/snapshots/sha256-x"
    cp m.gguf "$r/${at%:*}/blobs/sha256-$hex"
    cp p.gguf "$r/${at%:*}/blobs/sha256-$(sha p.gguf)"
    printf '{"files":[{"hash":"sha256-%s","name":"p.gguf","type":"mmproj"},{"hash":"sha256:%s","name":"m.gguf","type":"gguf"}],"hash":"sha256-x","path":"x","version":"v1.0"}' \
        "$(sha p.gguf)" "$hex" >"$r/${at%:*}/refs/${at#*:}.json"
done
is 'RamaLama' "$(where ramalama:org/Repo-GGUF:Q8_0)" "$r/huggingface/org/Repo-GGUF/blobs/sha256-$hex"
is 'by transport' "$(where ramalama:hf://org/Repo-GGUF:Q8_0)" "$r/huggingface/org/Repo-GGUF/blobs/sha256-$hex"
is 'without an organisation' "$(where ramalama:tiny:1b)" "$r/ollama/library/tiny/blobs/sha256-$hex"
is 'under another transport' "$(where ramalama:oci://tiny:1b)" ''
is 'listed' "$(listed ramalama | paste -sd' ')" \
    'ramalama:huggingface://a/b/c.gguf:latest ramalama:huggingface://org/Repo-GGUF:Q8_0 ramalama:ollama://library/tiny:1b'
for name in $(listed ramalama); do ok "by the listed name $name" test -f "$(where "$name")"; done
is 'its projector' "$("$pull" --where --with media ramalama:tiny:1b | tail -1)" "$r/ollama/library/tiny/blobs/sha256-$(sha p.gguf)"
mv "$r/ollama/library/tiny/blobs/sha256-$hex" "$r/ollama/library/tiny/blobs/sha256-$hex.partial"
is 'a blob that is still fetched' "$(where ramalama:tiny:1b)$(grep -c 'is missing' err)" 1
echo '{' >"$r/ollama/library/tiny/refs/1b.json"
is 'a torn reference' "$(where ramalama:tiny:1b)$(grep -c 'not JSON' err)" 1
is 'a reference that climbs' "$(where ramalama:../../x:../y)" ''

# ---- Kaggle ----------------------------------------------------------------------------------------
k=$HOME/.cache/kagglehub/models/google/gemma/gguf/e2b
mkdir -p "$k/2" "$k/3" "$k/10" "$k/11" "$k/.complete/11"
for v in 2 3 10; do cp m.gguf "$k/$v/gemma.gguf"; done
: >"$k/2.complete" && : >"$k/10.complete"
cp m.gguf "$k/11/one.gguf" && cp m.gguf "$k/11/two.gguf" && : >"$k/.complete/11/one.gguf.complete"
is 'Kaggle: the newest version that is whole' "$(where kaggle:google/gemma/gguf/e2b)" "$k/10/gemma.gguf"
is 'a version' "$(where kaggle:google/gemma/gguf/e2b/2)" "$k/2/gemma.gguf"
is 'a version that is not whole' "$(where kaggle:google/gemma/gguf/e2b/3)" ''
is 'a file that is' "$(where kaggle:google/gemma/gguf/e2b/11/one.gguf)" "$k/11/one.gguf"
is 'a file that is not' "$(where kaggle:google/gemma/gguf/e2b/11/two.gguf)" ''
is 'a path that climbs' "$(where kaggle:google/gemma/gguf/e2b/2/../3/gemma.gguf)" ''
mkdir -p "$k/../../transformers/e2b/1" && echo '{}' >"$k/../../transformers/e2b/1/config.json" && head -c 900 m.gguf >"$k/../../transformers/e2b/1/model.safetensors"
: >"$k/../../transformers/e2b/1.complete"
is 'a checkpoint is its folder' "$(where kaggle:google/gemma/transformers/e2b)" "${k%/gguf/e2b}/transformers/e2b/1"
is 'listed' "$(listed kaggle | paste -sd' ')" \
    'kaggle:google/gemma/gguf/e2b/10/gemma.gguf kaggle:google/gemma/gguf/e2b/11/one.gguf kaggle:google/gemma/gguf/e2b/2/gemma.gguf kaggle:google/gemma/transformers/e2b/1'
for name in $(listed kaggle); do ok "by the listed name $name" test -e "$(where "$name")"; done
mv "$HOME/.cache/kagglehub" "$tmp/hubcache"
is 'KAGGLEHUB_CACHE' "$(KAGGLEHUB_CACHE=$tmp/hubcache "$pull" --where kaggle:google/gemma/gguf/e2b/2)" "$tmp/hubcache/models/google/gemma/gguf/e2b/2/gemma.gguf"

# ---- all of them -------------------------------------------------------------------------------------
"$pull" --list >out
is 'a table' "$(head -1 out | tr -s ' ')" 'NAME SIZE TYPE CONTEXT PLACE CAN'
is 'with a line for each' "$(wc -l <out)" 8
run "$pull" --rm ollama:gemma4:e2b
is 'other tools'\'' caches are never touched' "$status $(test -e "$o/blobs/sha256-$hex" && echo there)" '3 there'
done_testing
