#!/bin/sh
# g4-pull against the scripted hub: what a transfer must see to, one rule each: answers that lie, repetition, partial
# files, several files, and what a reference may be.
top_dir=$PWD
. "$top_dir/tests/pull-lib.sh"
serve_model
gguf "$served/small/s.gguf" 500000 5
for f in wrong parts badparts; do gguf "$served/kaggle/$f.gguf" 200000 6; done
mkdir -p "$served/folder"
echo '{"model_type":"gemma3_text"}' >"$served/folder/config.json"
head -c 70000 "$big" >"$served/folder/model.safetensors"
small=$served/small/s.gguf
start_hub
requests() { asked 'select(.port == "storage")' | wc -l; }

# ---- answers that lie ----------------------------------------------------------------
gets 'a range that is longer than asked: in one piece' longrange/model:Q8_0 "$big"; empty_store
fails 'a total that changes from segment to segment' othertotal/model:Q8_0 3 integrity 'were announced'
t0=$(date +%s)
gets 'a 416 that announces a body and sends none' unsat/model:Q8_0 "$big"
ok 'is not waited for' test $(($(date +%s) - t0)) -lt 15
empty_store
fails 'a small file with another git digest' badjson/folder 3 integrity 'git SHA-1 is [0-9a-f]* instead of'
export KAGGLE_API_ENDPOINT="$HF_ENDPOINT" KAGGLE_API_TOKEN=kaggle_secret
fails 'an MD5 that does not fit' kaggle:google/gemma/gguf/e2b/3/wrong.gguf 3 integrity 'its MD5 is [0-9a-f]\{32\} instead of [0-9a-f]\{32\}, twice'
gets 'a CRC-32C alone' kaggle:google/gemma/gguf/e2b/3/parts.gguf "$served/kaggle/parts.gguf"; empty_store
fails 'that does not fit' kaggle:google/gemma/gguf/e2b/3/badparts.gguf 3 integrity 'its CRC-32C is [0-9a-f]\{8\} instead of [0-9a-f]\{8\}, twice'
fails 'gated, for this token too' gated403/small 3 gated 'not in the authorized list' --token-file "$served/ports"
p -v --token-file "$served/ports" gated403/small
like 'the number of the request with -v' "$(cat err)" 'Root=1-test'
fails 'a folder that is not there' noentry/small 3 not_found 'no such file'

# ---- repetition --------------------------------------------------------------------------
for status in 408 500 502 503 504; do
    gets "$status once" once$status/small "$small"
    empty_store
done
for status in 400 404 410 451; do
    forget
    case $status in 404 | 410) code=not_found want=3 ;; *) code=network want=4 ;; esac
    fails "$status" always$status/small $want $code "$([ $code = network ] && echo "status $status" || echo 'not found')"
    is "$status is asked for once" "$(requests)" 1
done
forget
fails '500 to the end' always500/small 4 network 'status 500' --retry 2
is 'three attempts' "$(requests)" 3
t0=$(date +%s%N)
gets 'Retry-After' busy/small "$small"
ms=$((($(date +%s%N) - t0) / 1000000))
ok "is waited for: $ms ms" test $ms -ge 1000
empty_store

# ---- partial files ---------------------------------------------------------------------------
plain=http://127.0.0.1:$hub/plain
# halved REFERENCE: a pull that ends in the middle
halved() {
    rm -rf "$G4_STORE"
    run sh -c 'ulimit -f 60000; exec "$0" -q --no-space-check --jobs 1 "$@"' "$pull" "$1"
    forget
}
first() { asked 'select(.method == "GET" and .range) | .range' | head -1 | tr -d '"'; }
halved "$plain/ok/model/m-Q8_0.gguf"
is 'a pull that is cut' $status 4
gets 'goes on' "$plain/ok/model/m-Q8_0.gguf" "$big"
ok 'behind what is here' test "$(first | cut -c1-8)" != bytes=0-
is 'if it is still the same: If-Range' "$(asked 'select(.method == "GET") | .if_range' | sort -u)" '"\"v0\""'
halved "$plain/weak/model/m-Q8_0.gguf"
gets 'a weak validator says nothing' "$plain/weak/model/m-Q8_0.gguf" "$big"
is 'so it begins anew, without If-Range' "$(first | cut -c1-8) $(asked .if_range | sort -u)" 'bytes=0- null'
halved "$plain/noetag/model/m-Q8_0.gguf"
gets 'no validator' "$plain/noetag/model/m-Q8_0.gguf" "$big"
is 'so it begins anew' "$(first | cut -c1-8)" bytes=0-
printf one >"$served/etag"
cp "$big" "$served/model/other.gguf"
halved "$plain/etagfile/model/other.gguf"
gguf "$served/model/other.gguf" 40000000 9
printf two >"$served/etag"
gets 'another file under the same address' "$plain/etagfile/model/other.gguf" "$served/model/other.gguf"
empty_store
mkdir -p "$G4_STORE/tmp"
echo precious >precious
ln -s "$tmp/precious" "$G4_STORE/tmp/sha256-$(sha "$small").g4part"
gets 'a link in the place of a partial file' ok/small "$small"
is 'is not followed' "$(cat precious)" precious
empty_store
(umask 027 && "$pull" -q ok/small)
is 'the mode of a blob is the user'\''s' "$(stat -c %a "$("$pull" --where ok/small)")" 640
is 'nothing is left in tmp' "$(ls "$G4_STORE/tmp")" ''
empty_store

# ---- several files ------------------------------------------------------------------------------
fails 'a projector that is corrupt: no model either' badside/model:Q4_0 3 integrity 'mmproj-m-F16.gguf.*twice' --with media
gets 'what was right of it is not fetched again' ok/model:Q4_0 "$served/model/m-Q4_0.gguf" --with media
is 'nor told as fetched' "$(jq -r 'select(.event == "done" and .role == "model") | .fetched' out)" false
empty_store
t0=$(date +%s%N)
p slow/model:Q8_0
s=$((($(date +%s%N) - t0) / 1000000000))
ok 'progress at most twice a second' test "$(grep -c '"progress"' out)" -le $((2 * s + 3))
ok 'but there is some' test "$(grep -c '"progress"' out)" -ge 1
run sh -c '"$0" --json slow/model:Q8_0 | jq -r "select(.event == \"done\" and .role == \"model\").path"' "$pull"
is 'the path by jq' "$(cat out)" "$("$pull" --where slow/model:Q8_0)"
empty_store

fails 'a folder and a drafter' ok/folder 3 not_found 'repository of its own' --with drafter

fails 'an address and a projector' "$plain/ok/small/s.gguf" 3 not_found 'is one file' --with media

# ---- references ------------------------------------------------------------------------------------
for bad in '' 'a--b/c' 'ok/..' 'hf:-x/y' 'ok/x.' 'ok/small:' 'ok/small/../x.gguf' 'hf:x' 'https://' 'ftp://example.org/x.gguf' 'kaggle:x' 'docker:' 'ollama:a/b/c/d e' \
    'oci:x' 'pypi:' 'pypi:x==' 'ok/small@..'; do
    p "$bad"
    is "no reference: '$bad'" "$status $(code)" '2 usage'
done
gets 'where the address has no name, Content-Disposition does' "$plain/disposition/small/s.gguf/" "$small"
is 'without its folders' "$(jq -r 'select(.event == "done") | .file' out)" nice.gguf
empty_store
for c in 'gemma4:E2B:is:no short name, .gemma4:e2b. is' 'gemma4:9b:is:no short name; there are: gemma4, gemma4:e2b, ' 'nowhere.gguf:is:no file .nowhere.gguf'; do
    fails "${c%%:is:*}" "${c%%:is:*}" 3 not_found "${c##*:is:}"
done
fails 'a pin that is none, before anybody is asked' ok/small 2 usage 'not sha256:' --pin abc
HF_ENDPOINT=http://127.0.0.1:1
t0=$(date +%s)
run "$pull" ok/small
is 'no network: said soon' "$status $(grep -c 'cannot reach' err) $(($(date +%s) - t0 < 10))" '4 1 1'
export HF_ENDPOINT=http://127.0.0.1:$hub

p -v --insecure-http "$plain/ok/small/s.gguf"
like 'plain http without a digest is warned of' "$(cat err)" 'nobody vouches'
p -v --insecure-http "$plain/ok/small/s.gguf#sha256=$(sha "$small")"
is 'with one it is not' "$(grep -c vouches err)" 0
empty_store

# ---- a store that only others may write to -------------------------------------------------------------
gets 'installed by one who may' ok/small "$small"
if [ "$(id -u)" != 0 ]; then
    chmod -R a-w "$G4_STORE"
    other() { "$@"; }
else
    chmod a+rx "$tmp" && chmod -R a+rX "$G4_STORE"
    other() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
fi
if other "$pull" --version >/dev/null 2>&1; then
    run other "$pull" --print-path ok/small
    is 'found by one who may not' "$status $(cat out)" "0 $G4_STORE/blobs/sha256-$(sha "$small")"
    run other "$pull" --json ok/model:Q4_0
    is 'who cannot install' "$status $(code) $(grep -c 'Permission denied' err)" '4 io 1'
    run other "$pull" --rm ok/small
    is 'nor remove' "$status $(test -e "$("$pull" --where ok/small)" && echo there)" '4 there'
    is 'but look' "$(other "$pull" --verify; other "$pull" --list -q)" "$(printf 'ok/small: ok\nok/small')"
else
    skip 'another user' 'cannot become one here'
fi
chmod -R u+w "$G4_STORE"
empty_store

# A token is for https, or for this machine.
HF_TOKEN=hf_secret HF_ENDPOINT=http://models.example p --insecure-http --proxy "$HF_ENDPOINT" ok/small
like 'plain http to another machine: the token stays' "$(cat err)" 'not sent over plain http'
is 'nobody saw it' "$(grep -c hf_secret "$served/log")" 0
done_testing
