# tests/lib.sh: TAP for shell tests.  Every test runs in an empty folder of its
# own, without the user's configuration, and finds the command in $gen.
# run CMD...   fills out, err and $status;  is NAME GOT WANTED;  ok NAME CMD...
n_tests=0
n_failed=0
top=$PWD
build=$top/${G4_BUILD:-build}
gen=${G4_GEN:-$build/g4-gen}
data=$top/tests/data
user_cache=${XDG_CACHE_HOME:-$HOME/.cache} # what the tests fetched lies there
tmp=$(mktemp -d) || exit 1
trap 'cd /; rm -rf "$tmp"' EXIT
export XDG_CONFIG_HOME="$tmp/.config" XDG_CACHE_HOME="$tmp/.cache" XDG_DATA_HOME="$tmp/.data"
export LC_ALL=C.UTF-8
unset G4_MODEL G4_DEVICE NO_COLOR
cd "$tmp" || exit 1
[ -x "$gen" ] || { echo "1..0 # SKIP g4-gen is not built"; exit 0; }

# model NAME: a tiny seeded model of tests/data/text, unpacked.
model() {
    [ -e "$tmp/.$1.gguf" ] || gzip -dc "$data/text/$1/$1-f32.gguf.gz" >"$tmp/.$1.gguf" || exit 1
    echo "$tmp/.$1.gguf"
}
base_model=$(model gemma3-270m) # no chat format
# Gemma 4 with a chat format: a template text beside the model says so.
chat_model=$tmp/.chat
cp -r "$data/text/g4-edge" "$chat_model" && echo "<|turn>" >"$chat_model/chat_template.jinja" || exit 1

run() {
    "$@" >out 2>err
    status=$?
}

_result() { # STATUS NAME
    n_tests=$((n_tests + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n_tests - $2"
    else
        echo "not ok $n_tests - $2"
        n_failed=$((n_failed + 1))
        [ ! -s err ] || sed 's/^/# stderr: /' err | head -5
    fi
    return "$1"
}

is() {
    [ "$2" = "$3" ]
    _result $? "$1" || printf 'got:\n%s\nexpected:\n%s\n' "$2" "$3" | head -c 4000 | sed 's/^/# /'
}

ok() {
    name=$1
    shift
    "$@"
    _result $? "$name"
}

like() { # NAME TEXT PATTERN (grep)
    printf '%s\n' "$2" | grep -q -- "$3"
    _result $? "$1" || printf '%s\nis not like: %s\n' "$2" "$3" | head -c 2000 | sed 's/^/# /'
}

# Waits until the command says yes, five seconds at most.
wait_for() {
    i=0
    until "$@"; do
        i=$((i + 1))
        [ $i -lt 500 ] || return 1
        sleep 0.01
    done
}

skip() { # NAME WHY
    n_tests=$((n_tests + 1))
    echo "ok $n_tests # SKIP $1: $2"
}

done_testing() {
    echo "1..$n_tests"
    [ $n_failed = 0 ]
}
