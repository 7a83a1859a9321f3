#!/bin/sh
# Where records come from: lines, files, lists of files, archives; globs.
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$base_model"
mkdir -p tree/sub
printf 'a b\n' >tree/one.c
printf 'c d\n' >tree/two.h
printf 'e f\n' >tree/sub/three.c
printf 'g\0h' >tree/sub/four.o
printf 'caf\303\251' >"tree/$(printf '\303\251') name.txt"
paths() { jq -r .path out | paste -sd,; }
few() { run "$gen" -q --max-tokens 2 "$@"; }

few --each say tree/one.c tree/two.h tree/sub/four.o </dev/null
is '--each: a record a file, not for NUL bytes' "$status $(paths)" '0 tree/one.c,tree/two.h'
is '--each: the path, not the document' "$(head -1 out | jq -c 'keys_unsorted[:2]')" '["path","text"]'
run "$gen" --max-tokens 2 --each say tree/sub/four.o </dev/null
is '... but with a note' "$status $(grep -c skipped err)" '0 1'
few --each say tree/one.c tree/none tree tree/two.h </dev/null
is '--each: what cannot be read fails in its place' "$status $(jq -r '.error.code // "-"' out | paste -sd,)" '1 -,input,input,-'
few --each --include '*.c' --exclude 'tree/sub/*' say tree/one.c tree/two.h tree/sub/three.c </dev/null
is '--include and --exclude' "$(paths)" tree/one.c
few --each --include 'sub/*' say tree/one.c tree/sub/three.c </dev/null
is 'a pattern with a slash is for the whole path' "$status $(paths)" '0 '
find tree -name '*.c' | sort >in
few --files-from - say <in
is '--files-from -' "$(paths)" tree/one.c,tree/sub/three.c
printf 'tree/one.c\0tree/\303\251 name.txt\0' >list
few --files-from list -0 say </dev/null
is '--files-from FILE -0' "$status $(paths)" "0 tree/one.c,tree/$(printf '\303\251') name.txt"
few --files-from nolist say </dev/null
is 'a list that is missing' "$status" 4

is 'the document goes to the model' "$("$gen" -q --dry-run --each say tree/one.c </dev/null | jq -r .rendered)" "<bos>say

a b"

tar -cf t.tar -C tree one.c sub two.h
few --tar say <t.tar
is '--tar: regular members' "$status $(paths)" '0 one.c,sub/three.c,two.h'
few --tar say t.tar t.tar </dev/null
is '--tar: archives as operands' "$(jq -r .path out | wc -l)" 6
gzip -c t.tar >in
few --tar --include '*.h' say <in
is '--tar: compressed, with a glob' "$(paths)" two.h
tar -cf pax.tar --format=pax -C tree "$(printf '\303\251') name.txt"
LC_ALL=C few --tar say pax.tar </dev/null
is '--tar: names in UTF-8 whatever the locale' "$(paths)" "$(printf '\303\251') name.txt"
(cd tree && find . -type f | sort | cpio -o -H newc 2>/dev/null) >t.cpio
if [ -s t.cpio ]; then
    few --tar --include '*.c' say <t.cpio
    is '--tar: cpio' "$status $(jq -r .path out | wc -l)" '0 2'
else
    skip '--tar: cpio' 'no cpio'
fi
head -c 700 t.tar >in
few --tar say <in
is '--tar: a torn archive' "$status" 4
echo nonsense >in
few --tar say <in
is '--tar: no archive' "$status $(wc -c <out)" '4 0'

printf 'a\r\nb c\n\nd' >in
few --lines say <in
is '--lines: a prompt a line' "$status $(jq -c .prompt out | paste -sd,)" '0 "a","b c","","d"'
printf 'x\0y\nz\n' >in
few --lines say <in
is '--lines: NUL' "$status $(jq -r '.error.code // "-"' out | paste -sd,)" '1 input,-'
printf '{"prompt":"a"}\n' | xz -c >in
few -j <in
is '-j: compressed' "$status $(jq -c .prompt out)" '0 "a"'
printf '{"prompt":"a"}\n' | gzip -c | head -c 20 >in
few -j <in
is '-j: compressed and torn' "$status" 4
printf 'B' >in
few --lines <in
is 'one byte that could begin a magic' "$(jq -r .prompt out)" B
printf '{"prompt":"a"}\n' >1.jsonl
printf '{"prompt":"b"}' >2.jsonl
few -j '' 1.jsonl 2.jsonl 1.jsonl </dev/null
is 'several JSONL files' "$(jq -r .prompt out | paste -sd,)" a,b,a
run "$gen" -j 1.jsonl </dev/null
like 'a file name as the instruction is pointed out' "$(cat err)" "'1.jsonl' is taken as the instruction"

printf 'text to attach\n' >att.txt
is '-f attaches text' "$("$gen" -q --dry-run -f att.txt say </dev/null | grep -c '^text to attach$')" 1
few --json -f "$data/../../LICENSE" say </dev/null
is '-f: status' $status 0
printf '\211PNG\r\n\032\n....' >p.png
few --json -f p.png say </dev/null
is '-f: media are refused for now' "$status $(jq -r .error.code out)" '1 media'
few -f missing say </dev/null
is '-f: a file that is missing' "$status" 4

# Text that is not UTF-8 is read, as grep reads it, and told.
printf 'caf\351 au lait\n' >latin1.txt
run "$gen" -q --dry-run say latin1.txt </dev/null
is 'a byte that is no UTF-8 becomes U+FFFD' "$status $(tail -n 1 out)" "0 $(printf 'caf\357\277\275 au lait')"
run "$gen" --dry-run say latin1.txt </dev/null
like '... and is told with its place' "$(cat err)" 'latin1.txt: not UTF-8 (byte 3)'
printf '{"prompt":"caf\351"}\n' | "$gen" -j -q >out
is 'in JSONL it is an error of the record' "$(jq -r .error.code out)" input
done_testing
