#!/bin/sh
# g4-pull against the scripted hub: every way in which it misbehaves has its outcome; and what a user asks for.
top_dir=$PWD
. "$top_dir/tests/pull-lib.sh"
serve_model
gguf "$served/model/mtp-m.gguf" 60000 4 gemma4_mtp
gguf "$served/small/s.gguf" 500000 5
gguf "$served/other/llama.gguf" 200000 6 llama
gguf "$served/large/llama.gguf" 40000000 6 llama
head -c 40000000 "$served/large/llama.gguf" | tr 'G' 'J' >"$served/large/junk-Q8_0.gguf"
mkdir -p "$served/split/BF16" "$served/folder/1_Pooling" "$served/folder/onnx"
gguf "$served/split/BF16/x-BF16-00001-of-00002.gguf" 200000 7
gguf "$served/split/BF16/x-BF16-00002-of-00002.gguf" 200000 8
echo '{"model_type":"gemma3_text"}' >"$served/folder/config.json"
echo '{}' >"$served/folder/1_Pooling/config.json"
echo '{}' >"$served/folder/onnx/config.json"
head -c 70000 "$big" >"$served/folder/model.safetensors"
start_hub
small=$served/small/s.gguf

# ---- it works ------------------------------------------------------------------------
gets 'a file of several segments' ok/model:Q8_0 "$big"
ok 'in parallel' test "$(asked 'select(.port == "storage") | .range' | wc -l)" -ge 3
is 'no byte twice' "$(fetched_bytes)" "$(stat -c %s "$big")"
is 'the commit stands in the address' "$(asked 'select(.path | contains("/resolve/")) | .path | split("/")[4]' | sort -u)" \
    '"0123456789abcdef0123456789abcdef01234567"'
is 'g4-gen -m finds it by name' "$("$pull" --where ok/model:Q8_0)" "$G4_STORE/blobs/sha256-$(sha "$big")"
is 'and by hf:' "$("$pull" --where hf:ok/model:Q8_0)" "$G4_STORE/blobs/sha256-$(sha "$big")"
forget
gets 'once more' ok/model:Q8_0 "$big"
is 'nothing is fetched again' "$(asked 'select(.port == "storage")')$(jq -r 'select(.event == "done") | .fetched' out)" false
gets 'again with --force' ok/model:Q8_0 "$big" --force
is '--force fetches' "$(jq -r 'select(.event == "done") | .fetched' out)" true
is 'a warning of the hub is said once' "$(grep -c 'this is a test' err)" 1
run "$pull" ok/model:Q8_0
is 'without --json: silence' "$status$(cat out err | grep -v 'this is a test')" 0
run "$pull" -q --print-path ok/model:Q8_0
is '--print-path: the path alone' "$(cat out)" "$G4_STORE/blobs/sha256-$(sha "$big")"
empty_store
p --with media,drafter ok/model:Q4_0
is 'with projector and drafter' "$status $(jq -r 'select(.event == "done") | .role' out | sort | paste -sd,)" '0 drafter,mmproj,model'
is 'capabilities in --list' "$("$pull" --list --json | jq -c '[.name, .capabilities, .size, .place]')" '["ok/model:Q4_0",["media","drafter"],300032,"g4"]'
run "$pull" --where --with media,drafter ok/model:Q4_0
is '--where --with: their paths too' "$(paste -sd' ' out)" \
    "$G4_STORE/blobs/sha256-$(sha "$served/model/m-Q4_0.gguf") $G4_STORE/blobs/sha256-$(sha "$served/model/mmproj-m-F16.gguf") $G4_STORE/blobs/sha256-$(sha "$served/model/mtp-m.gguf")"
is '--info says them' "$("$pull" --info -j ok/model:Q4_0 2>/dev/null | jq -c '[.mmproj, .drafter | test("/blobs/sha256-[0-9a-f]{64}$")]')" '[true,true]'
p ok/model:Q4_0
is 'a plain pull leaves them beside it' "$(jq -r 'select(.event == "done") | .role' out | sort | paste -sd,)" drafter,mmproj,model
"$pull" --gc 2>/dev/null
run "$pull" --where --with media hf:ok/model:Q4_0
is 'where --gc lets them be' "$status $(wc -l <out)" '0 2'
gets 'a model that has none' ok/small "$small"
run "$pull" --where --with media ok/small
is '--where --with media then' "$status $(cat out; grep -c 'no projector here' err)" '3 1'
empty_store
p ok/model
is 'by memory: the largest usual type that fits' "$(jq -r 'select(.event == "resolve") | .files[0].path' out)" m-Q8_0.gguf
like 'said aloud' "$(cat err)" 'the largest usual type that fits 70 %'
empty_store
p ok/split:BF16
is 'all parts of a split model' "$status $(jq -r 'select(.event == "done") | .file' out | wc -l)" '0 2'
like 'the path is that of the first part' "$(done_path)" 'x-BF16-00001-of-00002.gguf$'
ok 'under its own name' cmp -s "$(done_path)" "$served/split/BF16/x-BF16-00001-of-00002.gguf"
is 'and --where says the same' "$("$pull" --where ok/split:BF16)" "$(done_path)"
empty_store
p ok/folder
is 'a folder of safetensors' "$status $(jq -r 'select(.event == "done") | .file' out | sort | paste -sd' ')" '0 1_Pooling/config.json config.json model.safetensors'
ok 'shows its files' cmp -s "$("$pull" --where ok/folder)/1_Pooling/config.json" "$served/folder/1_Pooling/config.json"
empty_store
for ref in "hf:ok/small" "ok/small/s.gguf@main" "hf://ok/small@main/s.gguf" "https://huggingface.co/ok/small/blob/main/s.gguf" \
    "https://huggingface.co/ok/small/resolve/main/s.gguf?download=true" "hf.co/ok/small"; do
    gets "as $ref" "$ref" "$small"
done
empty_store
run "$pull" --dry-run ok/model:Q4_0
is '--dry-run: role, size, name, address' "$(cut -f1-3 out)" "$(printf 'model\t300032 bytes\tm-Q4_0.gguf')"
is '--dry-run fetches nothing' "$(find "$G4_STORE" -type f 2>/dev/null)" ''

empty_store
t0=$(date +%s%N)
gets '--limit-rate' ok/model:Q8_0 "$big" --limit-rate 20M
took=$((($(date +%s%N) - t0) / 1000000))
ok "takes its time: $took ms for 40 MB at 20 MB/s" test $took -gt 1300
empty_store
(cd "$tmp" && G4_STORE=relative "$pull" --print-path hf:ok/small 2>/dev/null) >path
is 'a relative store: the path is absolute' "$(cat path)" "$tmp/relative/blobs/sha256-$(sha "$small")"

# ---- one misbehaviour each ----------------------------------------------------------------
gets 'ranges ignored: the whole file in one piece' norange/model:Q8_0 "$big"; empty_store
gets 'a false Content-Range: in one piece' badrange/model:Q8_0 "$big"; empty_store
gets 'truncated bodies: the rest is asked for' trunc/model:Q8_0 "$big"; empty_store
gets 'a stream cut twice' norangetrunc/small "$small"; empty_store
gets 'a connection that stands still' stall/model:Q8_0 "$big"
like 'is ended' "$(p -v --force stall/model:Q4_0; cat err)" .; empty_store
gets 'a signed address that expires' expire/model:Q8_0 "$big"; empty_store
gets 'storage that is busy at first' busy/small "$small"; empty_store
gets 'the hub is busy at first (RateLimit)' limited/small "$small"; empty_store
gets 'one ETag change: begun anew' etag1/model:Q8_0 "$big"; empty_store
fails 'the ETag changes between segments, always' etag/model:Q8_0 3 integrity 'changed on the server, again and again'
gets 'a wrong byte once: fetched again' corrupt1/small "$small"
like 'both digests are told' "$(cat err)" "its SHA-256 is [0-9a-f]* instead of $(sha "$small")"; empty_store
fails 'a wrong byte always' corrupt/small 3 integrity "is [0-9a-f]\{64\} instead of $(sha "$small"), twice"
fails 'an encoded body' gzip/small 4 network "encoded as 'gzip'"
fails 'a redirect loop' loop/small 4 network 'in circles'
fails 'a redirect to a file' tofile/small 4 network 'not an https address'
fails 'a redirect to plain http' tohttp/small 4 network 'plain http'
fails 'another size than announced' othersize/small 3 integrity 'were announced'
fails 'another commit' othercommit/small 3 integrity 'commit ffff'
fails 'another digest behind the redirect' otheretag/small 3 integrity 'announces SHA-256 aaaa'
fails 'a server that stays broken' down/small 4 network 'status 500' --retry 1
fails 'an address that is refused again and again' always403/small 3 gated 'may not be fetched' --retry 1
fails 'gated' gated/small 3 gated 'accept its licence'
fails 'not there' missing/small 3 not_found 'not found, or needs a login'
fails 'no such revision' norev/small@nowhere 3 not_found 'no such revision'
fails 'no such file' ok/small/nothing.gguf 3 not_found 's.gguf'
fails 'no such quantisation' ok/model:Q5_K_M 3 not_found 'm-Q8_0.gguf'
fails 'taken down' disabled/small 3 gated 'disabled'
fails 'something that is no JSON' html/small 4 network 'not JSON'
fails 'nobody listens' ok/small 4 network 'cannot reach' --retry 1 --proxy http://127.0.0.1:1
fails 'another architecture' ok/other 3 format "is a 'llama' model"
fails 'another architecture, in a large file' slow/large/llama.gguf 3 format "is a 'llama' model"
is 'is known by its header, long before its end' "$(grep -c '"verify"' out)$(ls "$G4_STORE/tmp" | grep -c "$(sha "$served/large/llama.gguf")")" 00
fails 'no GGUF at all, in a large file' slow/large/junk-Q8_0.gguf 3 format 'not a GGUF file'
fails 'no sidecar' ok/small 3 not_found 'no projector' --with media
fails 'a pin that does not fit' ok/small 3 integrity 'the pin wants' --pin "sha256:$(sha "$big")"
gets 'a pin that fits' ok/small "$small" --pin "sha256:$(sha "$small")"; empty_store
fails 'larger than allowed' ok/model:Q8_0 2 usage 'max-size' --max-size 1M
gets 'a page that leads elsewhere is not followed' foreignpage/small "$small"; empty_store
gets 'a mirror without listings: the file by its headers' mirror/small/s.gguf "$small"; empty_store

# ---- secrets ----------------------------------------------------------------------------------
forget
HF_TOKEN=hf_secret gets 'a token opens' private/small "$small"
ok 'the token went to the hub' test "$(asked 'select(.port == "hub") | .auth' | sort -u)" = '"Bearer hf_secret"'
is 'and never to the storage' "$(asked 'select(.port == "storage") | .auth' | sort -u)" null
HF_TOKEN=hf_secret p -v --force private/small
is 'nor into any output, or the store' "$(cat out err | grep -c hf_secret)$(grep -r hf_secret "$G4_STORE" 2>/dev/null)" 0
empty_store
HF_TOKEN=hf_wrong gets 'a bad token is left out for what is public' badtoken/small "$small"; empty_store
fails 'without a token' private/small 3 gated 'needs a login'
mkdir -p "$HOME/.cache/huggingface"
echo hf_secret >"$tmp/token"
gets 'a token from a file' private/small "$small" --token-file "$tmp/token"; empty_store
HF_TOKEN_PATH=$tmp/token gets 'a token from the hub'\''s own file' private/small "$small"; empty_store

# ---- plain addresses -----------------------------------------------------------------------------
plain=http://127.0.0.1:$hub/plain
gets 'a plain address' "$plain/ok/small/s.gguf" "$small"
forget
gets 'again: its ETag is known' "$plain/ok/small/s.gguf" "$small"
is 'asked for its headers only' "$(asked .method)" '"HEAD"'; empty_store
gets 'a digest in the address' "$plain/ok/small/s.gguf#sha256=$(sha "$small")" "$small"; empty_store
fails 'another digest in the address' "$plain/ok/small/s.gguf#sha256=$(sha "$big")" 3 integrity twice
gets 'HEAD is refused' "$plain/badhead/small/s.gguf" "$small"; empty_store
gets 'neither length nor ranges' "$plain/nolength/small/s.gguf" "$small"; empty_store
gets 'weak validators' "$plain/weak/model/m-Q8_0.gguf" "$big"; empty_store
fails 'http to another machine' http://models.example/x.gguf 2 usage 'insecure-http'
fails 'not there' "$plain/ok/small/none.gguf" 3 not_found 'not found'

# ---- files, stdin, names ---------------------------------------------------------------------------
cp "$small" local.gguf
p ./local.gguf
is 'a file is used where it lies' "$status $(done_path)" "0 $tmp/local.gguf"
is 'by its name' "$("$pull" --where local)" "$tmp/local.gguf"
empty_store
p --copy --name mine "file:$tmp/local.gguf"
is '--copy and --name' "$("$pull" --where mine)" "$G4_STORE/blobs/sha256-$(sha "$small")"
empty_store
run "$pull" --name piped - <"$small"
is 'from standard input' "$status $("$pull" --where piped)" "0 $G4_STORE/blobs/sha256-$(sha "$small")"
empty_store
fails 'an unknown short name' nosuch:7b 3 not_found 'ollama:nosuch:7b'
fails 'a folder' "$served/folder" 2 usage 'a folder'
mkdir -p "$XDG_CONFIG_HOME/g4"
printf '# mine\ntiny:1 hf:ok/small sha256:%s\ngemma4:e2b hf:ok/small\n' "$(sha "$small")" >"$XDG_CONFIG_HOME/g4/aliases"
gets 'a short name of the user' tiny:1 "$small"
is 'installed under it too' "$("$pull" --where tiny:1)" "$("$pull" --where ok/small)"
is '--aliases shows it first' "$("$pull" --aliases | head -1 | cut -c1-6)" tiny:1
is 'and his meaning of a known one' "$("$pull" --aliases | grep -c '^gemma4:e2b .*hf:ok/small')" 1
echo 'one' >"$XDG_CONFIG_HOME/g4/aliases"
run "$pull" --aliases
is 'a bad line' "$status $(grep -c 'line 1' err)" '2 1'
rm -r "$XDG_CONFIG_HOME/g4"

# ---- offline ------------------------------------------------------------------------------------------
forget
run "$pull" --offline --print-path ok/small
is '--offline: what is here' "$status $(cat out)" "0 $("$pull" --where ok/small)"
p --offline ok/small
is '--offline: the same as an event' "$(jq -c 'select(.event == "done") | [.bytes, .fetched]' out)" "[$(stat -c %s "$small"),false]"
p --offline ok/model
is '--offline: what is not' "$status $(code)" '4 offline'
HF_HUB_OFFLINE=1 p ok/model
is 'HF_HUB_OFFLINE' "$status $(code)" '4 offline'
is 'nobody was asked' "$(asked .path)" ''
if unshare -n true 2>/dev/null; then
    run unshare -n "$pull" --offline --print-path ok/small
    is 'the same without any network' "$status $(cat out)" "0 $("$pull" --where ok/small)"
    run unshare -n "$pull" --json --offline ok/model
    is 'and what is not here' "$status $(code)" '4 offline'
else
    skip 'a machine without network' 'unshare is not allowed'
fi

# ---- what another tool has ---------------------------------------------------------------------------------
mkdir -p "$HOME/.ollama/models/blobs" "$HOME/.ollama/models/manifests/registry.ollama.ai/library/m"
cp "$big" "$HOME/.ollama/models/blobs/sha256-$(sha "$big")"
printf '{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:%s","size":%s}]}' "$(sha "$big")" "$(stat -c %s "$big")" \
    >"$HOME/.ollama/models/manifests/registry.ollama.ai/library/m/1"
forget
gets 'a model that Ollama has' ok/model:Q8_0 "$big"
is 'is not fetched' "$(asked 'select(.port == "storage")')" ''
"$pull" --rm ok/model:Q8_0 2>/dev/null
printf x | dd of="$HOME/.ollama/models/blobs/sha256-$(sha "$big")" bs=1 seek=1000000 conv=notrunc 2>/dev/null
gets 'unless its bytes are others' ok/model:Q8_0 "$big"
ok 'then it is' test -n "$(asked 'select(.port == "storage") | .path')"
rm -r "$HOME/.ollama"
"$pull" --rm ok/model:Q8_0 2>/dev/null

# ---- the store ------------------------------------------------------------------------------------------
run "$pull" --verify
is '--verify' "$status $(sort -u out)" "0 $(printf 'ok/small: ok')"
blob=$("$pull" --where ok/small)
printf x | dd of="$blob" bs=1 seek=1000 conv=notrunc 2>/dev/null
run "$pull" --verify ok/small
is '--verify finds a changed byte' "$status $(cat out)" '3 ok/small: corrupt'
like 'and tells both digests' "$(cat err)" "instead of $(sha "$small")"
run "$pull" --rm tiny:1
is '--rm of one name keeps the blob' "$status $(test -e "$blob" && echo there)" '0 there'
run "$pull" --rm ok/small
is '--rm of the last name does not' "$status $(ls "$G4_STORE/blobs")" '0 '
run "$pull" --rm ok/small
is '--rm of nothing' "$status" 3
gets 'pulled again' ok/small "$small"
cp "$small" "$G4_STORE/byhand.gguf"
run "$pull" --rm byhand
is '--rm of a file put there by hand' "$status $(grep -c "lies at '$G4_STORE/byhand.gguf'" err)" '3 1'
rm "$G4_STORE/byhand.gguf"
run "$pull" --where nothing ok/small nowhere
is 'several names: one that is missing does not end it' "$status $(cat out) $(wc -l <err)" "3 $("$pull" --where ok/small) 2"
run "$pull" --verify nothing ok/small
is 'nor does it end --verify' "$status $(cat out)" '3 ok/small: ok'
run "$pull" --rm hf:ok/small
is '--rm by hf:' "$status $("$pull" --list -q)" '0 '
gets 'and once more' ok/small "$small"
echo junk >"$G4_STORE/blobs/sha256-$(sha "$big")"
touch -d '2 days ago' "$G4_STORE/tmp/old.g4part"
touch "$G4_STORE/tmp/new.g4part"
run "$pull" --gc
is '--gc: an orphan and an old partial' "$status $(ls "$G4_STORE/blobs" "$G4_STORE/tmp" | grep -c .)" "0 4"
ok 'the model stays' test -e "$("$pull" --where ok/small)"
for bad in '--list --gc' '--where' '--jobs 0' '--with nothing x' '--limit-rate fast x' '' '--list x'; do
    run "$pull" $bad
    is "2: g4-pull $bad" $status 2
done
done_testing
