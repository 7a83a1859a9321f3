#!/bin/sh
# Text mode: operands, documents, streaming, the newline at the end, quiet stderr.
. "$(dirname "$0")/../lib.sh"
export G4_MODEL="$base_model"
printf 'a b c\n' >a.txt
printf 'd e\n' >b.txt
printf 'x\0y' >bin

run "$gen" --max-tokens 5 'a b' </dev/null
is 'an answer' "$status $(tail -c 1 out | od -An -tx1)" '0  0a'
is 'nothing on stderr' "$(cat err)" ''
cp out first
run "$gen" --max-tokens 5 'a b' </dev/null
ok 'the same command gives the same answer' cmp first out

prompt() { "$gen" --dry-run "$@" 2>/dev/null; }
is 'instruction, blank line, document' "$(prompt say <a.txt)" "<bos>say

a b c"
is 'the document alone' "$(prompt <a.txt)" '<bos>a b c'
is 'one file' "$(prompt say a.txt </dev/null)" "<bos>say

a b c"
is 'several files under their names' "$(prompt say a.txt b.txt </dev/null)" "<bos>say

==> a.txt <==
a b c
==> b.txt <==
d e"
is 'files leave stdin alone' "$(echo zzz | prompt say a.txt)" "<bos>say

a b c"
is '- is stdin' "$(prompt say a.txt - <b.txt)" "<bos>say

==> a.txt <==
a b c
==> <stdin> <==
d e"
is '- alone, and in front' "$(prompt - <b.txt) $(prompt - a.txt <b.txt)" "<bos>d e <bos>==> <stdin> <==
d e
==> a.txt <==
a b c"
is '--prompt-file' "$(prompt --prompt-file b.txt a.txt </dev/null)" "<bos>d e

a b c"
is '--no-stdin' "$(prompt --no-stdin say <a.txt)" '<bos>say'
is 'a while loop keeps its input' "$(printf '1\n2\n' | while read -r l; do prompt --no-stdin "$l"; echo; done | paste -sd,)" '<bos>1,<bos>2'
is 'CRLF at the end of a document' "$(printf 'a b\r\n' | prompt)" '<bos>a b'
printf '\357\273\277a b\n' >mark
is 'a byte order mark is no text' "$(prompt <mark) $(prompt --no-stdin --prompt-file mark) $(prompt --no-stdin -s @mark x)" \
    "<bos>a b <bos>a b $(prompt --no-stdin -s 'a b' x)"
is '... nor in a file that is attached' "$(prompt --no-stdin -f mark x)" "$(printf 'a b\n' >plain; prompt --no-stdin -f plain x | sed 's/plain/mark/')"
for z in gzip bzip2 xz zstd lz4; do
    command -v $z >/dev/null || { skip "$z input" "no $z"; continue; }
    is "$z input" "$($z -c <a.txt 2>/dev/null | prompt say)" "<bos>say

a b c"
done
run "$gen" --dry-run say bin a.txt </dev/null
is 'a file with NUL bytes is skipped with a note' "$status $(grep -c 'bin: skipped' err)" '0 1'
run "$gen" say bin </dev/null
is 'nothing but NUL bytes: no answer' "$status $(cat out)" '1 '
run "$gen" say missing.txt </dev/null
is 'a missing file' "$status $(cat out) $(grep -c missing.txt err)" '4  1'
run "$gen" </dev/null
is 'nothing to do' "$status $(cat out)" '1 '

run "$gen" --json --max-tokens 5 'a b' </dev/null
is '--json gives a record' "$(jq -c '[has("text"), has("prompt"), .finish_reason, .seed, .usage.completion_tokens]' out)" '[true,false,"length",0,5]'
ok '... with the text of text mode' test "$(jq -r .text out)" = "$(cat first)"
run "$gen" --null-out --max-tokens 5 'a b' </dev/null
is '--null-out ends with NUL' "$(tail -c 1 out | od -An -tx1)" ' 00'
run "$gen" -v --max-tokens 5 'a b' </dev/null
like '-v says the times' "$(cat err)" 'load .* ms; prompt .* t/s.*decode 5 tokens, .* t/s'
run "$gen" --stats -q --max-tokens 5 'a b' </dev/null
is '--stats is one JSON line' "$(jq -c '[.records, .completion_tokens]' err)" '[1,5]'

# Streaming: the first piece is there while the model still writes.
mkfifo pipe
"$gen" --max-tokens 4000 'a b' >pipe 2>err &
pid=$!
exec 3<pipe
piece=$(dd bs=1 count=1 <&3 2>/dev/null | wc -c)
kill -0 $pid 2>/dev/null
is 'text streams into a pipe' "$piece $?" '1 0'
exec 3<&-
wait $pid
is 'a reader that goes away ends it by SIGPIPE' $? 141
done_testing
