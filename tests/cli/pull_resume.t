#!/bin/sh
# g4-pull that is killed at any moment, meets another one, or finds the disk full: what has arrived is kept, what is
# resumed is right, little is fetched twice, memory stays small.  G4_TEST_FULL=1: 50 kills of a 256 MiB pull.
top_dir=$PWD
. "$top_dir/tests/pull-lib.sh"
served=$tmp/served
kills=5 bytes=33554432
[ -z "${G4_TEST_FULL:-}" ] || { kills=50 bytes=268435456; }
gguf "$served/big/b.gguf" $bytes 1
big=$served/big/b.gguf
start_hub
now() { date +%s.%N; }
calc() { awk "BEGIN { printf \"%.3f\", $1 }"; }

# arrived: bytes of the partial file that are the model's, 4 KiB by 4 KiB
cat >arrived.py <<'END'
import glob, sys
parts = glob.glob(sys.argv[1] + "/tmp/*.g4part")
n = 0
if parts:
    with open(parts[0], "rb") as a, open(sys.argv[2], "rb") as b:
        while x := b.read(1 << 20):
            y = a.read(len(x))
            if x == y:
                n += len(x)
            else:
                n += sum(len(x[i:i + 4096]) for i in range(0, len(x), 4096) if x[i:i + 4096] == y[i:i + 4096])
print(n)
END

# ---- kill -9 ------------------------------------------------------------------------------
gets 'undisturbed' slow/big "$big"
empty_store
t0=$(now)
"$pull" -q slow/big
took=$(calc "$(now) - $t0")
size=$(stat -c %s "$big")
right=0 again=0 points=0 resumed=0 i=0
: >list
while [ $i -lt $kills ]; do
    i=$((i + 1))
    empty_store
    "$pull" -q slow/big >/dev/null 2>&1 &
    pid=$!
    sleep "$(awk -v s=$i -v t="$took" 'BEGIN { srand(s * 7919); printf "%.3f", t * (0.05 + 0.9 * rand()) }')"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    had=$(python3 arrived.py "$G4_STORE" "$big")
    forget
    p slow/big
    [ "$status" = 0 ] && cmp -s "$(done_path)" "$big" && right=$((right + 1))
    # What was asked for beyond what had not arrived was fetched twice.
    fetched=$(fetched_bytes)
    twice=$((fetched - (size - had)))
    [ "$had" -gt 0 ] && [ "$had" -lt "$size" ] && points=$((points + 1))
    [ "$had" = 0 ] && [ "$fetched" = 0 ] && twice=0 # it was done before the kill
    [ $twice -gt 0 ] && again=$((again + twice))
    [ "$fetched" -lt "$size" ] && resumed=$((resumed + 1))
    echo "$had of $size had arrived, $fetched were fetched then, $twice of them twice" >>list
done
is "$kills kills: every digest is right" $right $kills
sed 's/^/# /' list
ok "kills in the middle of a transfer: $points of $kills" test $points -ge $((kills / 2))
percent=$(awk "BEGIN { printf \"%.2f\", 100 * $again / $size / $kills }")
ok "fetched twice: $percent % on average (at most 5)" awk "BEGIN { exit !($percent < 5) }"

# A torn journal, or one of another file, is no help and no harm.
for journal in '' '{"version":1' '{"version":1,"identity":"sha256:'$(printf %064d 0)'","size":1,"done":[[0,1]],"synced":[]}' \
    '{"version":1,"identity":"sha256:'$(sha "$big")'","size":'$size',"boot":"x","done":[[0,'$size']],"synced":[[5,1]]}'; do
    empty_store
    mkdir -p "$G4_STORE/tmp"
    head -c "$size" /dev/zero >"$G4_STORE/tmp/sha256-$(sha "$big").g4part"
    echo "$journal" >"$G4_STORE/tmp/sha256-$(sha "$big").g4part.json"
    gets "a journal: $(echo "$journal" | cut -c1-40)" ok/big "$big"
done
# One that lies is caught by the digest.
empty_store
mkdir -p "$G4_STORE/tmp"
head -c "$size" /dev/zero >"$G4_STORE/tmp/sha256-$(sha "$big").g4part"
boot=$(cat /proc/sys/kernel/random/boot_id)
echo '{"version":1,"identity":"sha256:'$(sha "$big")'","size":'$size',"boot":"'$boot'","done":[[0,1000000]],"synced":[]}' \
    >"$G4_STORE/tmp/sha256-$(sha "$big").g4part.json"
gets 'a journal that lies' ok/big "$big"
like 'is caught' "$(cat err)" 'arrived corrupt'

# ---- signals -------------------------------------------------------------------------------
empty_store
"$pull" -q slow/big >/dev/null 2>&1 &
pid=$!
wait_for sh -c 'ls "$1"/tmp/*.json' - "$G4_STORE" >/dev/null 2>&1
kill -TERM $pid
wait $pid
ok 'SIGTERM ends it by the signal' test $? = 143
ok 'the partial is kept' test -e "$G4_STORE/tmp/sha256-$(sha "$big").g4part"

# ---- two at once -----------------------------------------------------------------------------
empty_store
forget
"$pull" --json --print-path slow/big >one.out 2>one.err &
a=$!
"$pull" --json slow/big >two.out 2>two.err &
b=$!
wait $a
ra=$?
wait $b
is 'two pulls at once: both succeed' "$ra $?" '0 0'
is 'one download' "$(fetched_bytes)" "$size"
is 'one says that it waits' "$(cat one.err two.err | grep -c 'waiting')" 1
is 'one fetched' "$(cat one.out two.out | grep '"done"' | grep -c '"fetched":true')" 1

# ---- memory ------------------------------------------------------------------------------------
empty_store
python3 - "$pull" ok/big >mem <<'END'
import resource, subprocess, sys
subprocess.run([sys.argv[1], "-q", sys.argv[2]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
END
if [ "${SAN:-}" = 1 ]; then skip memory 'sanitizers take their own'; else ok "memory: $(cat mem) MB at most (below 64)" test "$(cat mem)" -lt 64; fi

# ---- a full disk ----------------------------------------------------------------------------------
empty_store
forget
run sh -c 'ulimit -f '$((size * 7 / 8 / 512))'; exec "$0" --json --retry-delay 0.02 "$@"' "$pull" --no-space-check ok/big
is 'a file size limit' "$status $(code)" '4 space'
like 'the message says what to do' "$(cat err)" 'is kept: make room'
had=$(python3 arrived.py "$G4_STORE" "$big")
ok "what has arrived is kept ($had bytes)" test "$had" -gt 5000000
forget
gets 'and the rest is fetched when there is room' ok/big "$big"
ok "of $size bytes $(fetched_bytes)" test "$(fetched_bytes)" -lt "$((size - had / 2))"
disk=$tmp/disk
mkdir "$disk"
if mount -t tmpfs -o size=$((size / 1048576 + 20))m tmpfs "$disk" 2>/dev/null; then
    trap 'for p in $pids; do kill $p 2>/dev/null; done; wait 2>/dev/null; cd /; umount "$disk"; rm -rf "$tmp"' EXIT
    G4_STORE=$disk/store p ok/big
    is 'a disk with too little room' "$status $(code)" '4 space'
    like 'says how much' "$(cat err)" 'MB more are needed in .*MB are free'
    is 'nothing was fetched' "$(ls "$disk"/store/tmp/*.g4part 2>/dev/null | wc -l) $(du -sm "$disk" | cut -f1)" '1 0'
    head -c $((size * 9 / 10)) /dev/zero >"$disk/filler"
    G4_STORE=$disk/store p --no-space-check ok/big
    is 'a disk that fills up' "$status $(code)" '4 space'
    rm "$disk/filler"
    forget
    export G4_STORE=$disk/store
    gets 'goes on when there is room' ok/big "$big" --no-space-check
    ok "with $(fetched_bytes) of $size bytes" test "$(fetched_bytes)" -lt "$((size - size / 20))"
else
    skip 'a small disk' 'tmpfs cannot be mounted here'
fi
done_testing
