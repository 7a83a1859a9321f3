#!/bin/sh
# Defaults: config file, then environment, then the command line.
. "$(dirname "$0")/../lib.sh"
mkdir -p .config/g4
conf() { printf '%s' "$1" >.config/g4/config.json; }
tokens() { jq .usage.completion_tokens out; }

conf "{\"model\":\"$base_model\",\"max-tokens\":3}"
run "$gen" --json 'a b' </dev/null
is 'the config gives model and limit' "$status $(tokens)" '0 3'
run "$gen" --json --max-tokens 5 'a b' </dev/null
is 'the command line wins' "$(tokens)" 5
G4_MODEL=./nowhere.gguf run "$gen" 'a b' </dev/null
is 'the environment wins over the config' $status 3
G4_MODEL=./nowhere.gguf run "$gen" --json -m "$base_model" 'a b' </dev/null
is '-m wins over the environment' $status 0
G4_DEVICE=nonsense run "$gen" 'a b' </dev/null
ok 'G4_DEVICE is read' test $status != 0
conf "{\"model\":\"$base_model\",\"max-tokens\":3,\"search\":\"x\",\"g4-embed\":{\"foo\":1},\"g4-gen\":{\"max-tokens\":4,\"stop\":[\"q\",\"r\"]}}"
run "$gen" --json 'a b' </dev/null
is 'the command'\''s own section wins; others'\'' names are let be' "$status $(tokens)" '0 4'
conf '{"g4-gen":{"max-token":4}}'
run "$gen" -m "$base_model" 'a b' </dev/null
is 'an unknown name in the own section' "$status $(grep -c "did you mean '--max-tokens'" err)" '2 1'
conf '{"max-tokens":"many"}'
run "$gen" -m "$base_model" 'a b' </dev/null
is 'a bad value, and where it stands' "$status $(cat err)" "2 g4-gen: '$XDG_CONFIG_HOME/g4/config.json': '--max-tokens' wants a whole number, not 'many'"
conf '{"max-tokens":'
run "$gen" -m "$base_model" 'a b' </dev/null
is 'no JSON' "$status $(grep -c config.json err)" '2 1'
run "$gen" --help
is '--help works all the same' $status 0
conf "{\"model\":\"$base_model\",\"think\":false,\"temperature\":0,\"json\":true,\"max-tokens\":2}"
run "$gen" 'a b' </dev/null
is 'flags and numbers' "$status $(tokens)" '0 2'
run "$gen" --no-json 'a b' </dev/null
ok '--no-json takes a flag back' test -z "$(grep finish_reason out)"

# Colours: only on a terminal, unless asked for.
run "$gen" -m ./nowhere.gguf --color always x </dev/null
ok '--color always' grep -q "$(printf '\033')" err
run "$gen" -m ./nowhere.gguf x </dev/null
ok 'none in a pipe' test -z "$(grep "$(printf '\033')" err)"
done_testing
