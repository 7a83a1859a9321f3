# tests/pull-lib.sh: what the tests of g4-pull share, over lib.sh: an empty home, a
# store of its own, the scripted hub of hub-server.py.
. "$top_dir/tests/lib.sh"
pull=${G4_PULL:-$build/g4-pull}
[ -x "$pull" ] || { echo "1..0 # SKIP g4-pull is not built"; exit 0; }
hub_server=$top/tests/hub-server.py
export HOME="$tmp/home" G4_STORE="$tmp/store" PIP_CONFIG_FILE=/dev/null
mkdir -p "$HOME" "$tmp/served"
# Neither the user's secrets and settings nor a proxy take part.
for v in $(env | sed -n 's/^\(HF_[A-Z_]*\|HUGGING[A-Z_]*\|KAGGLE[A-Z_]*\|PIP_INDEX_URL\|PIP_EXTRA_INDEX_URL\|PIP_FIND_LINKS\|PIP_NO_INDEX\|OLLAMA_MODELS\|LLAMA_CACHE\|MODELS_PATH\|TRANSFORMERS_OFFLINE\|[a-zA-Z]*_proxy\|[A-Z]*_PROXY\|NETRC\|CURL_CA_BUNDLE\|SSL_CERT_FILE\|REQUESTS_CA_BUNDLE\|DOCKER_CONFIG\|REGISTRY_AUTH_FILE\|XDG_RUNTIME_DIR\|VIRTUAL_ENV\)=.*/\1/p'); do
    unset "$v"
done
pids=
trap 'for p in $pids; do kill $p 2>/dev/null; done; wait 2>/dev/null; cd /; rm -rf "$tmp"' EXIT

# gguf FILE BYTES SEED [ARCH]
gguf() {
    mkdir -p "$(dirname "$1")" && "$hub_server" make "$@"
}
# What the scripted hub holds at least: $served/model with two quantisations, the larger one $big, and a projector.
serve_model() {
    served=$tmp/served
    big=$served/model/m-Q8_0.gguf
    gguf "$big" 40000000 1
    gguf "$served/model/m-Q4_0.gguf" 300000 2
    gguf "$served/model/mmproj-m-F16.gguf" 100000 3 clip
}
sha() { sha256sum <"$1" | cut -d' ' -f1; }

# Starts the scripted hub over $tmp/served; $hub and $storage are its ports.
start_hub() {
    "$hub_server" serve "$tmp/served" >"$tmp/hub.out" 2>&1 &
    pids="$pids $!"
    wait_for test -e "$tmp/served/ports" || { sed 's/^/# /' "$tmp/hub.out"; exit 1; }
    read -r a b <"$tmp/served/ports"
    hub=${a#hub=} storage=${b#storage=}
    export HF_ENDPOINT="http://127.0.0.1:$hub"
}
asked() { jq -c "$1" "$tmp/served/log" 2>/dev/null; } # asked FILTER: over the requests so far
forget() { : >"$tmp/served/log"; }
fetched_bytes() { # bytes of the ranges that the storage was asked for
    jq -r 'select(.port == "storage" and .method == "GET" and .range) | .range' "$tmp/served/log" |
        sed 's/bytes=//' | awk -F- '{ n += $2 - $1 + 1 } END { print n + 0 }'
}
empty_store() { rm -rf "$G4_STORE"; }

# p ARGS...: g4-pull with short waits; events in $tmp/out, messages in $tmp/err
p() {
    run "$pull" --json --retry-delay 0.02 --speed-time 1 "$@"
}
code() { jq -r 'select(.event == "error") | .error.code' out; }
done_path() { jq -r 'select(.event == "done" and .role == "model") | .path' out | head -1; }
# gets NAME REFERENCE FILE [OPTION...]: pulled, and byte for byte FILE
gets() {
    name=$1 ref=$2 file=$3
    shift 3
    p "$@" "$ref"
    [ "$status" = 0 ] && cmp -s "$(done_path)" "$file" && [ "$(jq -r 'select(.event == "done" and .role == "model") | .sha256' out)" = "$(sha "$file")" ]
    _result $? "$name" || sed 's/^/# /' out | tail -3
}
# fails NAME REFERENCE STATUS CODE PATTERN [OPTION...]: a failure that leaves nothing installed
fails() {
    name=$1 ref=$2 want="$3 $4" pattern=$5
    shift 5
    p "$@" "$ref"
    is "$name" "$status $(code)" "$want"
    like "$name: says so" "$(cat err)" "$pattern"
    is "$name: nothing is installed" "$("$pull" --list)" ''
}
