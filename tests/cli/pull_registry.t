#!/bin/sh
# g4-pull against Debian's docker-registry: Ollama's manifests, OCI artifacts of each family, indexes, the Hub's /v2/
# addresses, logins by password and by token.
top_dir=$PWD
. "$top_dir/tests/pull-lib.sh"
command -v docker-registry >/dev/null || { echo '1..0 # SKIP docker-registry is not installed'; exit; }

# registry FOLDER [HTPASSWD]: starts one; its port in $port
registry() {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    mkdir -p "$tmp/$1"
    {
        printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\n' "$tmp/$1"
        printf 'http: {addr: 127.0.0.1:%s}\n' "$port"
        [ -z "${2:-}" ] || printf 'auth: {htpasswd: {realm: test, path: %s}}\n' "$2"
    } >"$tmp/$1.yml"
    docker-registry serve "$tmp/$1.yml" >"$tmp/$1.log" 2>&1 &
    pids="$pids $!"
    wait_for sh -c "curl -s -o /dev/null http://127.0.0.1:$port/v2/" || { sed 's/^/# /' "$tmp/$1.log"; exit 1; }
}
# blob REPOSITORY FILE: uploads it; prints the descriptor's digest and size
blob() {
    where=$(curl -s -i $login -X POST "http://127.0.0.1:$port/v2/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -s -f -o /dev/null $login -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" "$where&digest=sha256:$(sha "$2")" || echo "blob $1 $2" >&2
}
# layer MEDIATYPE FILE [TITLE]: one descriptor
layer() {
    printf '{"mediaType":"%s","digest":"sha256:%s","size":%s' "$1" "$(sha "$2")" "$(stat -c %s "$2")"
    [ -z "${3:-}" ] || printf ',"annotations":{"org.opencontainers.image.title":"%s"}' "$3"
    printf '}'
}
# put REPOSITORY TAG MEDIATYPE FILE: uploads a manifest
put() {
    curl -s -f -o /dev/null $login -X PUT -H "Content-Type: $3" --data-binary "@$4" "http://127.0.0.1:$port/v2/$1/manifests/$2" || echo "put $1 $2" >&2
}
oci=application/vnd.oci.image.manifest.v1+json
v2=application/vnd.docker.distribution.manifest.v2+json
# manifest TYPE CONFIGTYPE LAYER...: into the file `manifest`
manifest() {
    type=$1 config=$2
    shift 2
    layers=$(printf '%s,' "$@")
    printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' "$type" "$(layer "$config" config)" "${layers%,}" >manifest
}
# push REPOSITORY TAG TYPE FILE...: blobs, config and the manifest made last
push() {
    repo=$1 tag=$2 type=$3
    shift 3
    for f in config "$@"; do blob "$repo" "$f"; done
    put "$repo" "$tag" "$type" manifest
}

login=
registry plain
at=127.0.0.1:$port
gguf m.gguf 20000000 1
gguf p.gguf 70000 2 clip
echo '{"model_format":"gguf"}' >config
echo '{"temperature":1}' >params
echo 'terms' >licence
echo 'x' >template
o=application/vnd.ollama.image

# ---- Ollama -----------------------------------------------------------------------------
manifest $v2 application/vnd.docker.container.image.v1+json "$(layer $o.model m.gguf)" "$(layer $o.projector p.gguf)" \
    "$(layer $o.template template)" "$(layer $o.params params)" "$(layer $o.license licence)"
push library/gemma4 e2b $v2 m.gguf p.gguf template params licence
gets 'ollama:' "ollama:$at/library/gemma4:e2b" m.gguf
is 'the sidecars that are wanted' "$(jq -r 'select(.event == "done") | .role' out | paste -sd,)" model,params,license
is 'found by name' "$("$pull" --where "ollama:$at/library/gemma4:e2b")" "$G4_STORE/blobs/sha256-$(sha m.gguf)"
gets 'with the projector' "ollama:$at/library/gemma4:e2b" m.gguf --with media
is 'which is fetched besides' "$(jq -r 'select(.event == "done" and .fetched) | .role' out)" mmproj
empty_store
fails 'no such tag' "ollama:$at/library/gemma4:none" 3 not_found 'not found'
fails 'no drafter' "ollama:$at/library/gemma4:e2b" 3 not_found 'no drafter' --with drafter
manifest $v2 application/vnd.docker.container.image.v1+json "$(layer $o.tensor template)" "$(layer $o.json params)"
push library/mlx latest $v2 template params
fails 'an MLX build' "ollama:$at/library/mlx" 3 format 'MLX'

# ---- the Hub's /v2/ addresses ---------------------------------------------------------------
manifest $v2 application/vnd.docker.container.image.v1+json "$(layer $o.model m.gguf)" "$(layer $o.projector p.gguf)"
printf '{"ggufFile":{"rfilename":"gemma-Q4_K_M.gguf"},%s' "$(cut -c2- manifest)" >m2 && mv m2 manifest
push org/model-gguf Q4_K_M $v2 m.gguf p.gguf
put org/model-gguf latest $v2 manifest
HF_ENDPOINT=http://$at gets 'a mirror that is a registry' org/model-gguf:Q4_K_M m.gguf
is 'tells the name' "$(jq -r 'select(.event == "done") | .file' out)" gemma-Q4_K_M.gguf
empty_store
HF_ENDPOINT=http://$at gets 'its choice' org/model-gguf m.gguf
empty_store

# ---- OCI artifacts ------------------------------------------------------------------------------
manifest $oci application/vnd.docker.ai.model.config.v0.1+json "$(layer application/vnd.docker.ai.gguf.v3 m.gguf)" \
    "$(layer application/vnd.docker.ai.license licence)" "$(layer application/vnd.docker.ai.mmproj p.gguf)"
push ai/gemma4 E2B $oci m.gguf licence p.gguf
digest=sha256:$(sha manifest)
gets 'a model of Docker'\''s family' "oci:$at/ai/gemma4:E2B" m.gguf --with media
is 'its files' "$(jq -r 'select(.event == "done") | .role' out | sort | paste -sd,)" license,mmproj,model
empty_store
gets 'by digest' "oci:$at/ai/gemma4@$digest" m.gguf
empty_store
fails 'by a digest that is not there' "oci:$at/ai/gemma4@sha256:$(printf %064d 0)" 3 not_found 'not found'
cp manifest child
manifest $oci application/vnd.oci.empty.v1+json "$(layer application/octet-stream m.gguf some/weights.gguf)" "$(layer text/plain licence README.md)"
push plain/push latest $oci m.gguf licence
gets 'a plain push: by its titles' "oci:$at/plain/push" m.gguf
is 'its name' "$(jq -r 'select(.event == "done") | .file' out)" some/weights.gguf
empty_store
manifest $oci application/vnd.oci.empty.v1+json "$(layer application/octet-stream m.gguf)" "$(layer text/plain licence)"
push plain/unnamed latest $oci m.gguf licence
gets 'a push without titles: by its size' "oci:$at/plain/unnamed" m.gguf
empty_store
manifest $oci application/vnd.cncf.model.config.v1+json "$(layer application/vnd.cncf.model.weight.v1.gguf m.gguf ../../x.gguf)"
push pack/evil latest $oci m.gguf
gets 'ModelPack; a title that leads out is no name' "oci:$at/pack/evil" m.gguf
is 'nothing lies outside' "$(ls "$tmp" "$HOME" | grep -c '^x.gguf')" 0
empty_store
mkdir -p models && cp m.gguf models/inner.gguf && tar -czf layer.tgz models/inner.gguf
manifest $oci application/vnd.oci.image.config.v1+json "$(layer application/vnd.oci.image.layer.v1.tar+gzip layer.tgz)"
push image/model latest $oci layer.tgz
gets 'a container image that carries one' "oci:$at/image/model" m.gguf
empty_store
desc() { printf '{"mediaType":"%s","digest":"sha256:%s","size":%s}' $oci "$(sha "$1")" "$(stat -c %s "$1")"; }
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}' "$(desc child)" >index
put ai/gemma4 index application/vnd.oci.image.index.v1+json index
gets 'an index of one' "oci:$at/ai/gemma4:index" m.gguf
empty_store
sed 's/E2B/x/; s/}$/,"annotations":{"a":"b"}}/' child >child2
put ai/gemma4 other $oci child2
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s,%s]}' "$(desc child)" "$(desc child2)" >index
put ai/gemma4 two application/vnd.oci.image.index.v1+json index
fails 'an index of two models' "oci:$at/ai/gemma4:two" 3 not_found 'of which 2 are models'
fails 'an upper-case name' "oci:$at/AI/gemma4" 2 usage 'lower case'
fails 'no registry' oci:gemma4 2 usage 'names no registry'
fails 'no such repository' "oci:$at/no/body:1" 3 not_found 'not found'
# A blob that is not what its digest says.
manifest $oci application/vnd.docker.ai.model.config.v0.1+json "$(layer application/vnd.docker.ai.gguf.v3 m.gguf)"
push ai/torn latest $oci m.gguf
hex=$(sha m.gguf)
f=$tmp/plain/docker/registry/v2/blobs/sha256/$(echo "$hex" | cut -c1-2)/$hex/data
printf y | dd of="$f" bs=1 seek=12345678 conv=notrunc 2>/dev/null
fails 'a blob that is damaged in the registry' "oci:$at/ai/torn" 3 integrity "instead of $hex, twice"
cp m.gguf "$f"

# ---- logins ------------------------------------------------------------------------------------------
# bcrypt of "secret"
echo 'user:$2y$05$TKB1z7xLyh9VRd/9SPDYG.eOEOFs3Rrt7.RyB6cczDSSGT/9bvwRq' >"$tmp/htpasswd"
if command -v htpasswd >/dev/null; then htpasswd -Bbn user secret >"$tmp/htpasswd"; else
    python3 -c 'import crypt; print("user:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)).replace("$2b$", "$2y$"))' \
        >"$tmp/htpasswd" 2>/dev/null
fi
registry locked "$tmp/htpasswd"
at=127.0.0.1:$port login='-u user:secret'
manifest $oci application/vnd.docker.ai.model.config.v0.1+json "$(layer application/vnd.docker.ai.gguf.v3 m.gguf)"
push ai/gemma4 E2B $oci m.gguf
fails 'a registry that wants a login' "oci:$at/ai/gemma4:E2B" 3 gated 'docker login'
mkdir -p "$HOME/.docker"
printf '{"auths":{"%s":{"auth":"%s"}}}' "$at" "$(printf user:secret | base64)" >"$HOME/.docker/config.json"
gets 'the password of docker login' "oci:$at/ai/gemma4:E2B" m.gguf
is 'is in no output' "$(cat out err | grep -c "$(printf user:secret | base64)")" 0
empty_store
mkdir -p helpers
cat >helpers/docker-credential-test <<'END_OF_HELPER'
#!/bin/sh
read -r host
echo "$1 $host" >>"$HOME/asked"
case $host in "$AT") echo '{"ServerURL":"x","Username":"user","Secret":"secret"}' ;; *) echo 'credentials not found'; exit 1 ;; esac
END_OF_HELPER
chmod +x helpers/docker-credential-test
export AT="$at"
printf '{"auths":{"%s":{}},"credsStore":"test"}' "$at" >"$HOME/.docker/config.json"
PATH="$tmp/helpers:$PATH" gets 'a password that a program keeps (credsStore)' "oci:$at/ai/gemma4:E2B" m.gguf
is 'was asked for this host' "$(sort -u "$HOME/asked")" "get $at"
empty_store
printf '{"credHelpers":{"%s":"test","other":"none"}}' "$at" >"$HOME/.docker/config.json"
PATH="$tmp/helpers:$PATH" gets 'one for this host (credHelpers)' "oci:$at/ai/gemma4:E2B" m.gguf
is 'it is in no output, and not in the store' "$(cat out err | grep -c "$(printf user:secret | base64)")$(grep -rl secret "$G4_STORE/manifests")" 0
empty_store
AT=other PATH="$tmp/helpers:$PATH" fails 'a program that knows no login' "oci:$at/ai/gemma4:E2B" 3 gated 'docker login'
fails 'a program that is not there' "oci:$at/ai/gemma4:E2B" 3 gated 'docker-credential-test.*cannot be run'
printf '{"credsStore":"../../bin/sh"}' >"$HOME/.docker/config.json"
fails 'a name that is no program'\''s' "oci:$at/ai/gemma4:E2B" 3 gated 'docker login'
printf '{"auths":{"%s":{"auth":"%s"}}}' "$at" "$(printf user:wrong | base64)" >"$HOME/.docker/config.json"
fails 'a wrong password' "oci:$at/ai/gemma4:E2B" 3 gated 'needs a login'
done_testing
