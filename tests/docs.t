#!/bin/sh
# The manual, the README, --help and the completions say what the commands do: mdoc lint, every option of the table
# in the manual and the other way round, every example of the manual and the README run on a tiny model.
n=0
ok() { # ok STATUS NAME
    n=$((n + 1))
    [ "$1" = 0 ] && printf 'ok %d - %s\n' $n "$2" || printf 'not ok %d - %s\n' $n "$2"
}
same() { # same NAME GOT WANTED
    [ "$2" = "$3" ]
    ok $? "$1"
    [ "$2" = "$3" ] || printf 'got:\n%s\nexpected:\n%s\n' "$2" "$3" | sed 's/^/# /'
}
top=$PWD
bin=$top/${G4_BUILD:-build}
gen=$bin/g4-gen
[ -x "$gen" ] || { echo '1..0 # SKIP g4-gen is not built'; exit; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
tab=$(printf '\t')

# ---- form ------------------------------------------------------------------------
# Cross references to pages that are not installed here are no fault of the page.
same 'mandoc -T lint has nothing to say' \
    "$(mandoc -T lint man/*.[157] 2>/dev/null | grep -v 'referenced manual not found')" ''
for command in g4-gen g4-call g4-pull; do
    for section in NAME SYNOPSIS DESCRIPTION OPTIONS INPUT OUTPUT 'EXIT STATUS' ENVIRONMENT EXAMPLES 'SEE ALSO' BUGS; do
        grep -q "^\.Sh $section\$" man/$command.1
        ok $? "$command(1) has $section"
    done
done
lines=$(wc -l <README.md)
[ "$lines" -lt 150 ]
ok $? "README.md has $lines lines"

# ---- the option table against the manual and --help ----------------------------------
# table: `--name` and, after a blank, its letter; the value's name counts as yes or no
for command in g4-call g4-pull g4-gen; do # g4-gen last: its table serves the completions
    "$bin/$command" --completion-helper >"$tmp/helper"
    ok $? "$command: --completion-helper"
    awk -F'\t' 'NF != 4 || $2 !~ /^--[a-z0-9-]+$/ || $4 == ""' "$tmp/helper" >"$tmp/odd"
    same "$command: four fields a line" "$(cat "$tmp/odd")" ''
    awk -F'\t' '{ print $2, ($1 == "" ? "-" : $1), ($3 == "" ? "flag" : $3 ~ /^\[=/ ? "optional" : "value") }' "$tmp/helper" |
        sort >"$tmp/table"
    # The same three of each `.It Fl x , -name Ar value` in OPTIONS.
    sed -n '/^\.Sh OPTIONS/,/^\.Sh INPUT/p' man/$command.1 | grep '^\.It Fl' |
        awk '{
            sub(/^\.It Fl /, "")
            letter = "-"
            if ($2 == ",") { letter = "-" $1; sub(/^[^,]*, /, "") }
            kind = /Ns Op = Ns Ar/ ? "optional" : / Ar / ? "value" : "flag"
            print "-" $1, letter, kind
        }' | sort >"$tmp/manual"
    grep -o 'Fl -no-[a-z0-9-]*' man/$command.1 | sed 's/^Fl /-/' | sort -u >"$tmp/no"
    awk 'NR == FNR { plain[$1] = 1; next }
        { base = $1; sub(/^--no-/, "--", base); if (!(base != $1 && base in plain)) print }' "$tmp/table" "$tmp/table" >"$tmp/plain"
    same "$command: every option is in the manual, with its letter and its value, and no other" \
        "$(diff "$tmp/plain" "$tmp/manual")" ''
    awk '{ print $1 }' "$tmp/table" | grep '^--no-' | sort >"$tmp/table-no"
    same "$command: every --no-NAME is in the manual and no other" "$(diff "$tmp/table-no" "$tmp/no")" ''
    "$bin/$command" --help >"$tmp/help"
    same "$command: every option is in --help" "$(awk '{ print $1 }' "$tmp/plain" |
        while read -r o; do grep -Eq -- "(^|[ ,])(--\[no-\]|--)${o#--}([ =[]|\$)" "$tmp/help" || echo "$o"; done)" ''
    same "$command: --help begins with examples" "$(grep -n -m1 -i '^examples' "$tmp/help" | cut -d: -f1)" 3
    same "$command: --version" "$("$bin/$command" --version)" "$command $(sed -n 's/.*G4_VERSION "\(.*\)"/\1/p' lib/g4.h)"
    same "$command: exit statuses of the manual" "$(sed -n '/^\.Sh EXIT/,/^\.Sh/s/^\.It //p' man/$command.1 | paste -sd' ' -)" \
        "$([ $command = g4-pull ] && echo '0 2 3 4' || echo '0 1 2 3 4 5')"
done

# ---- completions ---------------------------------------------------------------------
cat >"$tmp/complete.bash" <<'END'
. completions/g4.bash
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_g4 "$1"
printf '%s\n' "${COMPREPLY[@]}" | sort
END
same 'bash completes every option' "$(bash "$tmp/complete.bash" "$gen" -- | paste -sd' ' -)" \
    "$(awk '{ print $1 }' "$tmp/table" | sort | paste -sd' ' -)"
same 'bash completes the words of a value' "$(bash "$tmp/complete.bash" "$gen" --kv-type '' | paste -sd' ' -)" 'f16 f32'
mkdir -p "$tmp/named/store"
gzip -dc tests/data/text/gemma3-270m/gemma3-270m-f32.gguf.gz >"$tmp/named/store/tiny:1.gguf"
names() { # names COMMAND WORD...: what bash offers, with tiny:1 installed
    HOME=$tmp/named G4_STORE=$tmp/named/store XDG_CACHE_HOME=$tmp/named XDG_CONFIG_HOME=$tmp/named bash "$tmp/complete.bash" "$@" | paste -sd' ' -
}
same 'bash completes short names' "$(names "$bin/g4-pull" gemma4 : 2)" '26b 26b-it'
same 'and installed ones' "$(names "$bin/g4-pull" --where tin)" tiny:1
same 'and for -m' "$(names "$gen" -m tiny : '')" 1
if command -v fish >/dev/null; then
    same 'fish completes every option' "$(XDG_CONFIG_HOME=$tmp PATH=$bin:$PATH fish -c \
        "source $top/completions/g4.fish; complete -C 'g4-gen --'" | cut -f1 | sort | paste -sd' ' -)" \
        "$(awk '{ print $1 }' "$tmp/table" | sort | paste -sd' ' -)"
else
    ok 0 '# SKIP no fish here (make check-full installs it)'
fi
if command -v zsh >/dev/null; then
    zsh -n completions/_g4
    ok $? 'zsh reads its completion'
else
    ok 0 '# SKIP no zsh here (make check-full installs it)'
fi

# ---- the examples run -----------------------------------------------------------------
# A folder with the files they speak of, a tiny model, and short answers set in the config file.
mkdir -p "$tmp/here/src" "$tmp/config/g4" "$tmp/cache" "$tmp/data"
cd "$tmp/here" || exit 1
echo 'int main(void) { return 0; }' | tee main.c src/a.c >src/b.c
printf '%s\n' 'who?' 'what?' >questions.txt
printf '%s\n' 'win a prize' 'the minutes of Monday' >mails.txt
printf '{"id":%d,"prompt":"q"}\n' 1 2 >asks.jsonl
printf '{"id":%d,"subject":"sale"}\n' 1 2 >mails.jsonl
cp -r "$top/tests/data/text/g4-edge" "$tmp/chat" && echo '<|turn>' >"$tmp/chat/chat_template.jinja"
mkdir tools
echo '{"name":"add","parameters":{"type":"object"}}' >tools/add.json
printf '#!/bin/sh\njq -c "{sum: (.a + .b)}"\n' >tools/add
chmod +x tools/add
echo '{"messages":[{"role":"user","content":"2+3?"},{"role":"assistant","content":"","tool_calls":[{"id":"call_0","type":"function",
"function":{"name":"add","arguments":"{\"a\":2,\"b\":3}"}}]}]}' | tr -d '\n' >turn.jsonl
printf '%s\n' 'a dull film -> bad' >shots.txt
gzip -dc "$top/tests/data/text/gemma3-270m/gemma3-270m-f32.gguf.gz" >model.gguf
echo '{"max-tokens": 40}' >"$tmp/config/g4/config.json"
PATH=$bin:$PATH
export PATH G4_MODEL="$top/tests/data/text/g4-edge" XDG_CONFIG_HOME="$tmp/config" XDG_CACHE_HOME="$tmp/cache" \
    XDG_DATA_HOME="$tmp/data"

# runs NAME FILE: the commands of FILE; every one must succeed and the last must write something
runs() {
    { echo 'set -e'; cat "$2"; } >"$tmp/script"
    timeout 60 sh "$tmp/script" >"$tmp/out" 2>"$tmp/err" </dev/null
    status=$?
    [ $status = 0 ] && [ -s "$tmp/out" ]
    ok $? "$1: $(head -1 "$2" | cut -c1-70)"
    [ $status = 0 ] && [ -s "$tmp/out" ] || { echo "status $status"; cat "$tmp/err" "$tmp/out"; } | head -20 | sed 's/^/# /'
}
for page in g4-gen.1 g4-call.1 g4-pull.1 g4-jsonl.5 g4-store.5 g4-tools.5 g4.7; do
    # Only a model with a chat format calls tools.
    [ $page != g4-call.1 ] || export G4_MODEL="$tmp/chat"
    [ $page = g4-call.1 ] || export G4_MODEL="$top/tests/data/text/g4-edge"
    # The literal blocks of EXAMPLES, a file each.
    sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$top/man/$page" | sed 's/\\e/\\/g; s/\\(dq/"/g' |
        awk -v base="$tmp/example-$page" '/^\.Bd -literal/ { f = base "-" sprintf("%02d", ++k); next } /^\.Ed/ { f = ""; next } f { print >f }'
    for f in "$tmp/example-$page"-*; do
        if grep -q -- '--resume answers' "$f"; then
            echo 'cat answers.jsonl' >>"$f"
        fi
        runs "$page" "$f"
    done
done
# The shell blocks of the README that use g4-gen; `make` lines name targets that exist.
awk -v base="$tmp/readme" '/^```sh/ { f = base "-" sprintf("%02d", ++k); next } /^```/ { f = ""; next } f { print >f }' "$top/README.md"
for f in "$tmp"/readme-*; do
    if grep -q '^make' "$f"; then
        targets=$(sed -n 's/^\(sudo \)*make \([a-z-]*\).*/\2/p' "$f")
        missing=
        for t in $targets; do grep -q "^$t:" "$top/Makefile" || missing="$missing $t"; done
        same "README: the targets $(echo $targets) exist" "$missing" ''
    else
        while IFS= read -r line; do
            printf '%s\n' "$line" >"$tmp/command"
            runs README "$tmp/command"
        done <"$f"
    fi
done
cd "$top" || exit 1
same 'README: the files it names are there' "$(grep -o '](\([^)]*\))' README.md | sed 's/](//; s/)//' |
    while read -r f; do [ -e "$f" ] || echo "$f"; done)" ''
same 'README and fetch-weights agree on the size' "$(grep -o '253 MB' README.md | sort -u)" \
    "$(sed -n 's/^bytes=\([0-9]*\)/\1/p' tests/fetch-weights | awk '{ printf "%d MB", $1 / 1e6 }')"
echo "1..$n"
