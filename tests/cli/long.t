#!/bin/sh
# A long context: a prompt that fills it (4K tokens; 128K with G4_TEST_FULL), in the memory that -v states.
. "$(dirname "$0")/../lib.sh"
context=4096
[ -z "${G4_TEST_FULL:-}" ] || context=131072
cp -r "$data/text/gemma3" long
rm -f long/*.gz
sed -i 's/"max_position_embeddings": *4096/"max_position_embeddings": '$context'/' long/config.json
awk -v n=$((context / 5)) 'BEGIN { for (i = 0; i < n; i++) printf "%s ", substr("alphabetagammadeltathe of number", i * 7 % 23 + 1, 4) }' >words
run "$gen" -m long --count <words
tokens=$(cat out)
ok "a document of $tokens tokens, the context holds $context" \
    test "$tokens" -gt $((context / 2)) -a "$tokens" -lt $((context - 16))

# Resident: the stated memory, the file, and 32 MB for the program with its libraries and the text.
run "$gen" -m long --json -v --no-stdin --max-tokens 1 a
stated=$(sed -n 's/.*, \([0-9]*\) MB beside the file$/\1/p' err)
cat >resident.py <<'END'
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=open("resident", "w"))
sys.exit(status)
END
run python3 resident.py "$gen" -m long -d cpu -t 2 --json -q --temperature 0 --max-tokens 8 <words
is 'all of it is read, 8 tokens are written' "$status $(jq -c '[.usage.prompt_tokens, .usage.completion_tokens]' out)" \
    "0 [$((tokens + 1)),8]"
most=$((stated + 32 + $(du -m long/model.safetensors | cut -f1)))
ok "$(cat resident) MB resident, $stated MB stated" test "$(cat resident)" -le $most

# The end of the document is seen, and so is its beginning.
for change in '1s/^..../zzzz/' '$s/....$/zzzz/'; do
    [ $context = 4096 ] || break # minutes each
    sed "$change" words >other
    run "$gen" -m long -d cpu --json -q --temperature 0 --max-tokens 8 --logprobs 0 <other
    cp out changed
    run "$gen" -m long -d cpu --json -q --temperature 0 --max-tokens 8 --logprobs 0 <words
    ok "another document, other log-probabilities ($change)" \
        test "$(jq -c '[.logprobs | .. | .logprob? // empty]' out)" != "$(jq -c '[.logprobs | .. | .logprob? // empty]' changed)"
done
done_testing
